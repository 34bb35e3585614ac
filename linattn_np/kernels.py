"""Numba twins of the linear model: the same mathematics as ``gram.py`` and ``transformer.py``, compiled and fast.

Twins: ``loss_and_grad`` of ``transformer.loss_and_grad``, ``hvps`` of ``transformer.hvp``, ``lanes_from_tokens`` of
``gram.compress``, ``lanes_from_draws`` of ``streams.gaussian_state``. NumPy is the definition; a test holds each pair together.

With the d x d blocks P = diag(P', 1), Q = diag(Q', 0) the state splits into G = [[S, s], [s^T, c]] and the query (x ; label):
(5.18) U_h = S Q_h,  A = I + (1/n) sum_h P_h U_h     (5.23) dA = 2 dS' V + ds' r^T + dx' x^T
(5.19) b = (1/n) sum_h Q_h^T s                       (5.24) dr = A^T ds',  db = S dr + dlabel x
(5.20) x' = A x,  label' = label + b^T x             (5.25) dS = A^T dS' A + sym(dr b^T + sum_h dU_h Q_h^T)
(5.21) r = s + S b,  s' = A r                        (5.26) ds = dr + (1/n) sum_h Q_h db
(5.22) V = A S,  S' = V A^T                          (5.27) dx = A^T dx' + dlabel b
                                                     (5.28) dU_h = P_h^T dA / n,  dP_h = dA U_h^T / n
                                                     (5.29) dQ_h = S dU_h + s db^T / n
S and dS are symmetric. The corner c is never needed, and the last layer needs only b, so its A, P and S' are skipped. With full
matrices S stands for G, x for the query's token, and s, b, r fall away. Derived in lesson 05.

How it is made fast and safe: LANES prompts side by side in the last axis of every array, so each operation on a small matrix is
a vector operation; k is a compile-time constant (the length of a tuple), so its loops unroll; the pieces are small, so LLVM
compiles them in seconds. No fastmath and no numba parallelism: a batch is cut into chunks of fixed size, threads take whole
chunks, and the chunks' sums are added in order, so the bits do not depend on the number of threads or on the machine's vectors.
"""

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numba
import numpy as np
from numba.core import event

LANES = 16  # prompts side by side: 8 leave the vector units idle, 64 fall out of the first-level cache
CHUNK_BLOCKS = 16  # blocks of LANES prompts in a chunk, the unit that a thread takes
CHUNK = LANES * CHUNK_BLOCKS

compiled = numba.njit(cache=True, nogil=True, error_model="numpy")


class Lanes(NamedTuple):
    """A batch of states, LANES prompts side by side; places left over in the last block hold zeros, which add nothing."""

    G: np.ndarray  # (blocks, D, D, LANES)
    z: np.ndarray  # (blocks, D, LANES)
    y: np.ndarray  # (blocks, LANES)
    n: int
    batch: int


def available():
    """Whether the kernels can be compiled here (not with NUMBA_DISABLE_JIT=1, where they would crawl)."""
    return not numba.config.DISABLE_JIT


# ---------------------------------------------------------------- threads and the first compile


class _Announcement(event.Listener):
    """Says once, on standard error, that a compilation is under way: it is part of the user's wait."""

    def __init__(self):
        self.said = False

    def on_start(self, event):
        if not self.said and event.data["dispatcher"].py_func.__module__ == __name__:
            self.said = True
            print("linattn_np: compiling the kernels, once on this machine (some seconds) ...", file=sys.stderr)

    def on_end(self, event):
        pass


event.register("numba:compile", _Announcement())

_pools = {}  # {(process, threads): pool}; a forked child must not use its parent's pool
_threads = None


def get_threads():
    """The number of threads the kernels use: what ``set_threads`` said, or else the processors this process may use."""
    if _threads is not None:
        return _threads
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def set_threads(threads):
    """Use this many threads (None: all processors). The results do not depend on it, only the time."""
    global _threads
    if threads is not None and (not isinstance(threads, int) or threads < 1):
        raise ValueError(f"threads: expected an integer of at least 1, or None, got {threads!r}")
    _threads = threads


def run_chunks(work, count):
    """Call ``work(chunk)`` for chunk = 0 .. count-1, on the kernels' threads, and wait for all."""
    threads = min(get_threads(), count)
    if threads == 1:
        for chunk in range(count):
            work(chunk)
        return
    key = (os.getpid(), threads)
    if key not in _pools:
        _pools[key] = ThreadPoolExecutor(threads - 1, thread_name_prefix="linattn_np")

    def share(first):
        for chunk in range(first, count, threads):
            work(chunk)

    others = [_pools[key].submit(share, first) for first in range(1, threads)]
    share(0)
    for other in others:
        other.result()


# ---------------------------------------------------------------- products of small matrices, LANES at a time
# dims is a tuple of length k: its length is known when the function is compiled. Capital letters are (k, k, LANES), small ones
# (k, LANES), W is one (k, k) matrix shared by all lanes. Each product is added to C with a factor.


@compiled
def add_AB(dims, A, B, factor, C):
    """C += factor A B"""
    k = len(dims)
    for i in range(k):
        for j in range(k):
            for lane in range(LANES):
                total = 0.0
                for m in range(k):
                    total += A[i, m, lane] * B[m, j, lane]
                C[i, j, lane] += factor * total


@compiled
def add_ABt(dims, A, B, factor, C):
    """C += factor A B^T"""
    k = len(dims)
    for i in range(k):
        for j in range(k):
            for lane in range(LANES):
                total = 0.0
                for m in range(k):
                    total += A[i, m, lane] * B[j, m, lane]
                C[i, j, lane] += factor * total


@compiled
def add_AtB(dims, A, B, factor, C):
    """C += factor A^T B"""
    k = len(dims)
    for i in range(k):
        for j in range(k):
            for lane in range(LANES):
                total = 0.0
                for m in range(k):
                    total += A[m, i, lane] * B[m, j, lane]
                C[i, j, lane] += factor * total


@compiled
def add_AW(dims, A, W, factor, C):
    """C += factor A W"""
    k = len(dims)
    for i in range(k):
        for j in range(k):
            for lane in range(LANES):
                total = 0.0
                for m in range(k):
                    total += A[i, m, lane] * W[m, j]
                C[i, j, lane] += factor * total


@compiled
def add_Av(dims, A, v, factor, c):
    """c += factor A v"""
    k = len(dims)
    for i in range(k):
        for lane in range(LANES):
            total = 0.0
            for m in range(k):
                total += A[i, m, lane] * v[m, lane]
            c[i, lane] += factor * total


@compiled
def add_Atv(dims, A, v, factor, c):
    """c += factor A^T v"""
    k = len(dims)
    for i in range(k):
        for lane in range(LANES):
            total = 0.0
            for m in range(k):
                total += A[m, i, lane] * v[m, lane]
            c[i, lane] += factor * total


@compiled
def add_WA(dims, W, A, factor, C):
    """C += factor W A"""
    k = len(dims)
    for i in range(k):
        for j in range(k):
            for lane in range(LANES):
                total = 0.0
                for m in range(k):
                    total += W[i, m] * A[m, j, lane]
                C[i, j, lane] += factor * total


@compiled
def add_Wv(dims, W, v, factor, c):
    """c += factor W v"""
    k = len(dims)
    for i in range(k):
        for lane in range(LANES):
            total = 0.0
            for m in range(k):
                total += W[i, m] * v[m, lane]
            c[i, lane] += factor * total


@compiled
def add_outer(dims, a, b, factor, C):
    """C += factor a b^T"""
    k = len(dims)
    for i in range(k):
        for j in range(k):
            for lane in range(LANES):
                C[i, j, lane] += factor * a[i, lane] * b[j, lane]


@compiled
def add_scaled(dims, label, v, c):
    """c += label v, label (LANES,)"""
    for i in range(len(dims)):
        for lane in range(LANES):
            c[i, lane] += label[lane] * v[i, lane]


@compiled
def add_dot(dims, a, b, label):
    """label += a^T b, label (LANES,)"""
    for i in range(len(dims)):
        for lane in range(LANES):
            label[lane] += a[i, lane] * b[i, lane]


@compiled
def symmetrize(dims, M, C):
    """C += (M + M^T) / 2"""
    k = len(dims)
    for i in range(k):
        for j in range(k):
            for lane in range(LANES):
                C[i, j, lane] += 0.5 * (M[i, j, lane] + M[j, i, lane])


@compiled
def add_lane_sums(sums, out):
    """out (p,) += the sums of sums (p, LANES) over the lanes, as a fixed tree."""
    half = np.empty(LANES // 2)
    for i in range(out.size):
        for lane in range(LANES // 2):
            half[lane] = sums[i, lane] + sums[i, lane + LANES // 2]
        out[i] += ((half[0] + half[4]) + (half[2] + half[6])) + ((half[1] + half[5]) + (half[3] + half[7]))


# ---------------------------------------------------------------- one block of LANES prompts, all layers


class Forward(NamedTuple):
    """The forward pass of a block, or its tangent; entry l belongs to layer l, entry L of S, s, x to the end."""

    S: np.ndarray  # (L+1, k, k, LANES)
    s: np.ndarray  # (L+1, k, LANES)
    x: np.ndarray  # (L+1, k, LANES)
    b: np.ndarray  # (L, k, LANES)
    r: np.ndarray  # (L, k, LANES)
    U: np.ndarray  # (L, H, k, k, LANES)
    A: np.ndarray  # (L, k, k, LANES)
    V: np.ndarray  # (L, k, k, LANES)
    label: np.ndarray  # (LANES,)


class Backward(NamedTuple):
    """The backward pass of a block, or its tangent; dS, ds, dx at entry l are the gradients of S, s, x at entry l."""

    dS: np.ndarray  # (L+1, k, k, LANES)
    ds: np.ndarray  # (L+1, k, LANES)
    dx: np.ndarray  # (L+1, k, LANES)
    dA: np.ndarray  # (L, k, k, LANES)
    dr: np.ndarray  # (L, k, LANES)
    db: np.ndarray  # (L, k, LANES)
    dU: np.ndarray  # (L, H, k, k, LANES)
    E: np.ndarray  # (L, k, k, LANES)     E = dS' A
    M: np.ndarray  # (k, k, LANES)        what (5.25) symmetrizes
    dlabel: np.ndarray  # (LANES,)
    sums: np.ndarray  # (L, H, 2, k, k, LANES)   dP and dQ, summed over blocks lane by lane


@compiled
def new_forward(dims, L, H):
    """Memory for the forward pass of one block."""
    k = len(dims)
    return Forward(
        np.zeros((L + 1, k, k, LANES)),
        np.zeros((L + 1, k, LANES)),
        np.zeros((L + 1, k, LANES)),
        np.zeros((L, k, LANES)),
        np.zeros((L, k, LANES)),
        np.zeros((L, H, k, k, LANES)),
        np.zeros((L, k, k, LANES)),
        np.zeros((L, k, k, LANES)),
        np.zeros(LANES),
    )


@compiled
def new_backward(dims, L, H):
    """Memory for the backward pass of one block."""
    k = len(dims)
    return Backward(
        np.zeros((L + 1, k, k, LANES)),
        np.zeros((L + 1, k, LANES)),
        np.zeros((L + 1, k, LANES)),
        np.zeros((L, k, k, LANES)),
        np.zeros((L, k, LANES)),
        np.zeros((L, k, LANES)),
        np.zeros((L, H, k, k, LANES)),
        np.zeros((L, k, k, LANES)),
        np.zeros((k, k, LANES)),
        np.zeros(LANES),
        np.zeros((L, H, 2, k, k, LANES)),
    )


@compiled
def load(dims, G, z, f):
    """Put the state of a block, G (D, D, LANES) and z (D, LANES), at the start of the forward pass ``f``."""
    k = len(dims)
    for i in range(k):
        for lane in range(LANES):
            f.x[0, i, lane] = z[i, lane]
            f.s[0, i, lane] = G[i, -1, lane]
        for j in range(k):
            for lane in range(LANES):
                f.S[0, i, j, lane] = G[i, j, lane]
    f.label[:] = 0.0


@compiled
def set_identity(dims, A):
    """A = I in every lane."""
    A[:] = 0.0
    for i in range(len(dims)):
        A[i, i] = 1.0


@compiled
def forward(dims, params, turned, full, n, f):
    """(5.18) to (5.22) for the block in ``f``; ``turned`` is params with every matrix transposed. f.label: -prediction."""
    L, H = params.shape[0], params.shape[1]
    moving = L if full else L - 1  # with d x d blocks the last layer only reads out
    for l in range(moving):
        S, x, A, U = f.S[l], f.x[l], f.A[l], f.U[l]
        U[:] = 0.0
        set_identity(dims, A)
        for h in range(H):
            add_AW(dims, S, params[l, h, 1], 1.0, U[h])  # (5.18) U = S Q
            add_WA(dims, params[l, h, 0], U[h], 1.0 / n, A)  # (5.18) A = I + P U / n
        f.x[l + 1] = 0.0
        add_Av(dims, A, x, 1.0, f.x[l + 1])  # (5.20) x' = A x
        if not full:
            read_label(dims, turned, n, l, f)
            f.r[l] = f.s[l]
            add_Av(dims, S, f.b[l], 1.0, f.r[l])  # (5.21) r = s + S b
            f.s[l + 1] = 0.0
            add_Av(dims, A, f.r[l], 1.0, f.s[l + 1])  # (5.21) s' = A r
        if l + 1 < moving:
            f.V[l] = 0.0
            add_AB(dims, A, S, 1.0, f.V[l])  # (5.22) V = A S
            f.S[l + 1] = 0.0
            add_ABt(dims, f.V[l], A, 1.0, f.S[l + 1])  # (5.22) S' = V A^T
    if full:
        f.label[:] = f.x[L, -1]
    else:
        read_label(dims, turned, n, L - 1, f)


@compiled
def read_label(dims, turned, n, l, f):
    """(5.19), (5.20): b = sum_h Q^T s / n and label += b^T x."""
    f.b[l] = 0.0
    for h in range(turned.shape[1]):
        add_Wv(dims, turned[l, h, 1], f.s[l], 1.0 / n, f.b[l])
    add_dot(dims, f.b[l], f.x[l], f.label)


@compiled
def backward(dims, params, turned, full, n, f, g, to_input):
    """(5.23) to (5.29) from g.dlabel; adds dP and dQ to g.sums. Gradients of the state itself only with ``to_input``."""
    L, H = params.shape[0], params.shape[1]
    moving = L if full else L - 1
    g.ds[moving] = 0.0
    g.dx[moving] = 0.0
    if full:
        g.dx[L, -1] = g.dlabel
    else:
        l = L - 1
        g.db[l] = 0.0
        add_scaled(dims, g.dlabel, f.x[l], g.db[l])  # of (5.20) label' = label + b^T x
        add_scaled(dims, g.dlabel, f.b[l], g.dx[l])
        for h in range(H):
            add_outer(dims, f.s[l], g.db[l], 1.0 / n, g.sums[l, h, 1])  # (5.29)
            add_Wv(dims, params[l, h, 1], g.db[l], 1.0 / n, g.ds[l])  # (5.26)
    for l in range(moving - 1, -1, -1):
        S, A, dA = f.S[l], f.A[l], g.dA[l]
        dA[:] = 0.0
        add_outer(dims, g.dx[l + 1], f.x[l], 1.0, dA)  # (5.23) dx' x^T
        if l + 1 < moving:
            add_AB(dims, g.dS[l + 1], f.V[l], 2.0, dA)  # (5.23) 2 dS' V
        if not full:
            add_outer(dims, g.ds[l + 1], f.r[l], 1.0, dA)  # (5.23) ds' r^T
            g.dr[l] = 0.0
            add_Atv(dims, A, g.ds[l + 1], 1.0, g.dr[l])  # (5.24) dr = A^T ds'
            g.db[l] = 0.0
            add_Av(dims, S, g.dr[l], 1.0, g.db[l])  # (5.24) db = S dr + dlabel x
            add_scaled(dims, g.dlabel, f.x[l], g.db[l])
        g.dU[l] = 0.0
        for h in range(H):
            add_WA(dims, turned[l, h, 0], dA, 1.0 / n, g.dU[l, h])  # (5.28) dU = P^T dA / n
            add_ABt(dims, dA, f.U[l, h], 1.0 / n, g.sums[l, h, 0])  # (5.28) dP = dA U^T / n
            add_AB(dims, S, g.dU[l, h], 1.0, g.sums[l, h, 1])  # (5.29) dQ = S dU + s db^T / n
            if not full:
                add_outer(dims, f.s[l], g.db[l], 1.0 / n, g.sums[l, h, 1])
        if l > 0 or to_input:
            g.M[:] = 0.0
            g.dS[l] = 0.0
            g.dx[l] = 0.0
            for h in range(H):
                add_AW(dims, g.dU[l, h], turned[l, h, 1], 1.0, g.M)  # (5.25) dU Q^T
            if l + 1 < moving:
                g.E[l] = 0.0
                add_AB(dims, g.dS[l + 1], A, 1.0, g.E[l])
                add_AtB(dims, A, g.E[l], 1.0, g.dS[l])  # (5.25) A^T dS' A
            add_Atv(dims, A, g.dx[l + 1], 1.0, g.dx[l])  # (5.27) dx = A^T dx' + dlabel b
            if not full:
                add_outer(dims, g.dr[l], f.b[l], 1.0, g.M)  # (5.25) dr b^T
                add_scaled(dims, g.dlabel, f.b[l], g.dx[l])
                g.ds[l] = g.dr[l]
                for h in range(H):
                    add_Wv(dims, params[l, h, 1], g.db[l], 1.0 / n, g.ds[l])  # (5.26) ds = dr + Q db / n
            symmetrize(dims, g.M, g.dS[l])


@compiled
def tangent(dims, params, turned, vparams, vturned, full, n, f, v):
    """The tangent of :func:`forward` along vparams, into ``v``; the state does not move."""
    L, H = params.shape[0], params.shape[1]
    moving = L if full else L - 1
    v.label[:] = 0.0
    for l in range(moving):
        S, A, vS, vA, vU = f.S[l], f.A[l], v.S[l], v.A[l], v.U[l]
        vU[:] = 0.0
        vA[:] = 0.0
        for h in range(H):
            if l > 0:
                add_AW(dims, vS, params[l, h, 1], 1.0, vU[h])  # of (5.18): vU = vS Q + S vQ
            add_AW(dims, S, vparams[l, h, 1], 1.0, vU[h])
            add_WA(dims, vparams[l, h, 0], f.U[l, h], 1.0 / n, vA)  # of (5.18): vA = (vP U + P vU) / n
            add_WA(dims, params[l, h, 0], vU[h], 1.0 / n, vA)
        v.x[l + 1] = 0.0
        add_Av(dims, vA, f.x[l], 1.0, v.x[l + 1])  # of (5.20): vx' = vA x + A vx
        add_Av(dims, A, v.x[l], 1.0, v.x[l + 1])
        if not full:
            read_label_tangent(dims, turned, vturned, n, l, f, v)
            v.r[l] = v.s[l]
            add_Av(dims, vS, f.b[l], 1.0, v.r[l])  # of (5.21): vr = vs + vS b + S vb
            add_Av(dims, S, v.b[l], 1.0, v.r[l])
            v.s[l + 1] = 0.0
            add_Av(dims, vA, f.r[l], 1.0, v.s[l + 1])  # of (5.21): vs' = vA r + A vr
            add_Av(dims, A, v.r[l], 1.0, v.s[l + 1])
        if l + 1 < moving:
            v.V[l] = 0.0
            add_AB(dims, vA, S, 1.0, v.V[l])  # of (5.22): vV = vA S + A vS
            if l > 0:
                add_AB(dims, A, vS, 1.0, v.V[l])
            v.S[l + 1] = 0.0
            add_ABt(dims, v.V[l], A, 1.0, v.S[l + 1])  # of (5.22): vS' = vV A^T + V vA^T
            add_ABt(dims, f.V[l], vA, 1.0, v.S[l + 1])
    if full:
        v.label[:] = v.x[L, -1]
    else:
        read_label_tangent(dims, turned, vturned, n, L - 1, f, v)


@compiled
def read_label_tangent(dims, turned, vturned, n, l, f, v):
    """The tangent of :func:`read_label`."""
    v.b[l] = 0.0
    for h in range(turned.shape[1]):
        add_Wv(dims, vturned[l, h, 1], f.s[l], 1.0 / n, v.b[l])
        add_Wv(dims, turned[l, h, 1], v.s[l], 1.0 / n, v.b[l])
    add_dot(dims, v.b[l], f.x[l], v.label)
    add_dot(dims, f.b[l], v.x[l], v.label)


@compiled
def backward_tangent(dims, params, turned, vparams, vturned, full, n, f, v, g, w):
    """The tangent of :func:`backward` along the direction of ``v``, from w.dlabel; adds hP and hQ to w.sums."""
    L, H = params.shape[0], params.shape[1]
    moving = L if full else L - 1
    w.ds[moving] = 0.0
    w.dx[moving] = 0.0
    if full:
        w.dx[L, -1] = w.dlabel
    else:
        l = L - 1
        label_tangent(dims, f, v, g, w, l)  # hdb into w.db[l], hdx into w.dx[l]
        for h in range(H):
            add_outer(dims, v.s[l], g.db[l], 1.0 / n, w.sums[l, h, 1])  # of (5.29)
            add_outer(dims, f.s[l], w.db[l], 1.0 / n, w.sums[l, h, 1])
            add_Wv(dims, vparams[l, h, 1], g.db[l], 1.0 / n, w.ds[l])  # of (5.26)
            add_Wv(dims, params[l, h, 1], w.db[l], 1.0 / n, w.ds[l])
    for l in range(moving - 1, -1, -1):
        S, A, vS, vA, hA = f.S[l], f.A[l], v.S[l], v.A[l], w.dA[l]
        hA[:] = 0.0
        add_outer(dims, w.dx[l + 1], f.x[l], 1.0, hA)  # of (5.23) dx' x^T
        add_outer(dims, g.dx[l + 1], v.x[l], 1.0, hA)
        if l + 1 < moving:
            add_AB(dims, w.dS[l + 1], f.V[l], 2.0, hA)  # of (5.23) 2 dS' V
            add_AB(dims, g.dS[l + 1], v.V[l], 2.0, hA)
        if not full:
            add_outer(dims, w.ds[l + 1], f.r[l], 1.0, hA)  # of (5.23) ds' r^T
            add_outer(dims, g.ds[l + 1], v.r[l], 1.0, hA)
            w.dr[l] = 0.0
            add_Atv(dims, vA, g.ds[l + 1], 1.0, w.dr[l])  # of (5.24) dr = A^T ds'
            add_Atv(dims, A, w.ds[l + 1], 1.0, w.dr[l])
            label_tangent(dims, f, v, g, w, l)  # of (5.24) the part dlabel x of db
            add_Av(dims, vS, g.dr[l], 1.0, w.db[l])  # of (5.24) the part S dr
            add_Av(dims, S, w.dr[l], 1.0, w.db[l])
        w.dU[l] = 0.0
        for h in range(H):
            add_WA(dims, vturned[l, h, 0], g.dA[l], 1.0 / n, w.dU[l, h])  # of (5.28) dU = P^T dA / n
            add_WA(dims, turned[l, h, 0], hA, 1.0 / n, w.dU[l, h])
            add_ABt(dims, hA, f.U[l, h], 1.0 / n, w.sums[l, h, 0])  # of (5.28) dP = dA U^T / n
            add_ABt(dims, g.dA[l], v.U[l, h], 1.0 / n, w.sums[l, h, 0])
            if l > 0:
                add_AB(dims, vS, g.dU[l, h], 1.0, w.sums[l, h, 1])  # of (5.29) dQ = S dU + s db^T / n
            add_AB(dims, S, w.dU[l, h], 1.0, w.sums[l, h, 1])
            if not full:
                add_outer(dims, v.s[l], g.db[l], 1.0 / n, w.sums[l, h, 1])
                add_outer(dims, f.s[l], w.db[l], 1.0 / n, w.sums[l, h, 1])
        if l > 0:
            w.M[:] = 0.0
            w.dS[l] = 0.0
            for h in range(H):
                add_AW(dims, w.dU[l, h], turned[l, h, 1], 1.0, w.M)  # of (5.25) dU Q^T
                add_AW(dims, g.dU[l, h], vturned[l, h, 1], 1.0, w.M)
            if l + 1 < moving:
                w.E[l] = 0.0
                add_AB(dims, w.dS[l + 1], A, 1.0, w.E[l])  # of (5.25) A^T dS' A, E = dS' A
                add_AB(dims, g.dS[l + 1], vA, 1.0, w.E[l])
                add_AtB(dims, vA, g.E[l], 1.0, w.dS[l])
                add_AtB(dims, A, w.E[l], 1.0, w.dS[l])
            if not full:
                add_outer(dims, w.dr[l], f.b[l], 1.0, w.M)  # of (5.25) dr b^T
                add_outer(dims, g.dr[l], v.b[l], 1.0, w.M)
                w.ds[l] = w.dr[l]
                for h in range(H):
                    add_Wv(dims, vparams[l, h, 1], g.db[l], 1.0 / n, w.ds[l])  # of (5.26) ds = dr + Q db / n
                    add_Wv(dims, params[l, h, 1], w.db[l], 1.0 / n, w.ds[l])
            else:
                w.dx[l] = 0.0
            add_Atv(dims, vA, g.dx[l + 1], 1.0, w.dx[l])  # of (5.27) the part A^T dx' of dx
            add_Atv(dims, A, w.dx[l + 1], 1.0, w.dx[l])
            symmetrize(dims, w.M, w.dS[l])


@compiled
def label_tangent(dims, f, v, g, w, l):
    """Start hdb and hdx of layer l with the tangents of dlabel x and dlabel b."""
    w.db[l] = 0.0
    add_scaled(dims, w.dlabel, f.x[l], w.db[l])
    add_scaled(dims, g.dlabel, v.x[l], w.db[l])
    w.dx[l] = 0.0
    add_scaled(dims, w.dlabel, f.b[l], w.dx[l])
    add_scaled(dims, g.dlabel, v.b[l], w.dx[l])


# ---------------------------------------------------------------- one chunk of blocks


@compiled
def gradient_chunk(dims, params, turned, full, n, G, z, y, first, last, out):
    """Sums over the prompts of blocks first .. last-1: out[0] += error^2, out[1:] += d(error^2)/dparams."""
    L, H = params.shape[0], params.shape[1]
    f, g = new_forward(dims, L, H), new_backward(dims, L, H)
    squares = np.zeros((1, LANES))
    for block in range(first, last):
        load(dims, G[block], z[block], f)
        forward(dims, params, turned, full, n, f)
        for lane in range(LANES):
            error = -f.label[lane] - y[block, lane]
            squares[0, lane] += error * error
            g.dlabel[lane] = -2.0 * error  # (2.14), (2.15), without 1/B
        backward(dims, params, turned, full, n, f, g, False)
    add_lane_sums(squares, out[:1])
    add_lane_sums(g.sums.reshape(-1, LANES), out[1:])


@compiled
def hvp_chunk(dims, params, turned, directions, vturned, full, n, G, z, y, first, last, out):
    """out[m] += the sum over the prompts of blocks first .. last-1 of the Hessian of error^2 times directions[m]."""
    L, H = params.shape[0], params.shape[1]
    f, g, v, w = new_forward(dims, L, H), new_backward(dims, L, H), new_forward(dims, L, H), new_backward(dims, L, H)
    for block in range(first, last):
        load(dims, G[block], z[block], f)
        forward(dims, params, turned, full, n, f)
        for lane in range(LANES):
            g.dlabel[lane] = -2.0 * (-f.label[lane] - y[block, lane])
        backward(dims, params, turned, full, n, f, g, False)
        for m in range(directions.shape[0]):
            tangent(dims, params, turned, directions[m], vturned[m], full, n, f, v)
            for lane in range(LANES):
                w.dlabel[lane] = 2.0 * v.label[lane]
            w.sums[:] = 0.0
            backward_tangent(dims, params, turned, directions[m], vturned[m], full, n, f, v, g, w)
            add_lane_sums(w.sums.reshape(-1, LANES), out[m])


@compiled
def compress_chunk(Z, y, first, last, G, z, y_lanes):
    """(5.16) for blocks first .. last-1: tokens (B, N, D) to states in lanes."""
    B, N, D = Z.shape
    token = np.zeros((D, LANES))
    for block in range(first, last):
        lanes = min(LANES, B - block * LANES)
        for t in range(N - 1):
            for lane in range(lanes):
                for i in range(D):
                    token[i, lane] = Z[block * LANES + lane, t, i]
            for i in range(D):
                for j in range(i, D):
                    for lane in range(LANES):
                        G[block, i, j, lane] += token[i, lane] * token[j, lane]
        token[:] = 0.0
        for i in range(D):
            for j in range(i):
                G[block, i, j] = G[block, j, i]
            for lane in range(lanes):
                z[block, i, lane] = Z[block * LANES + lane, N - 1, i]
        for lane in range(lanes):
            y_lanes[block, lane] = y[block * LANES + lane]


# ---------------------------------------------------------------- what the rest of the library calls


def _matrices(params):
    """The compile-time k, params and the transposed params, contiguous."""
    return (0,) * params.shape[-1], np.ascontiguousarray(params), np.ascontiguousarray(params.swapaxes(-1, -2))


def empty_lanes(batch, D, n):
    """Room for a batch of states of token width D, filled with zeros."""
    blocks = -(-batch // LANES)
    return Lanes(np.zeros((blocks, D, D, LANES)), np.zeros((blocks, D, LANES)), np.zeros((blocks, LANES)), n, batch)


def lanes_from_tokens(Z, y):
    """The states of prompts Z (B, N, D) with labels y (B,): the twin of ``gram.compress``."""
    Z, y = np.ascontiguousarray(Z, np.float64), np.ascontiguousarray(y, np.float64)
    lanes = empty_lanes(len(Z), Z.shape[2], Z.shape[1] - 1)
    blocks = len(lanes.G)

    def work(chunk):
        last = min(blocks, (chunk + 1) * CHUNK_BLOCKS)
        compress_chunk(Z, y, chunk * CHUNK_BLOCKS, last, lanes.G, lanes.z, lanes.y)

    run_chunks(work, -(-blocks // CHUNK_BLOCKS))
    return lanes


def loss_and_grad(params, lanes):
    """The loss and its gradient (like params) for a batch in lanes: the twin of ``transformer.loss_and_grad``."""
    dims, params, turned = _matrices(params)
    full, blocks = params.shape[-1] == lanes.z.shape[1], len(lanes.G)
    chunks = -(-blocks // CHUNK_BLOCKS)
    sums = np.zeros((chunks, 1 + params.size))

    def work(chunk):
        last = min(blocks, (chunk + 1) * CHUNK_BLOCKS)
        gradient_chunk(dims, params, turned, full, lanes.n, lanes.G, lanes.z, lanes.y, chunk * CHUNK_BLOCKS, last, sums[chunk])

    run_chunks(work, chunks)
    total = sums.sum(axis=0) / lanes.batch
    return total[0].item(), total[1:].reshape(params.shape)


def hvps(params, lanes, directions):
    """Hessian-vector products for directions (m, *params.shape) -> the same shape: the twin of ``transformer.hvp``."""
    dims, params, turned = _matrices(params)
    _, directions, vturned = _matrices(np.asarray(directions, np.float64))
    full, blocks = params.shape[-1] == lanes.z.shape[1], len(lanes.G)
    chunks = -(-blocks // CHUNK_BLOCKS)
    sums = np.zeros((chunks, len(directions), params.size))

    def work(chunk):
        last = min(blocks, (chunk + 1) * CHUNK_BLOCKS)
        hvp_chunk(
            dims, params, turned, directions, vturned, full, lanes.n,
            lanes.G, lanes.z, lanes.y, chunk * CHUNK_BLOCKS, last, sums[chunk],
        )  # fmt: skip

    run_chunks(work, chunks)
    return sums.sum(axis=0).reshape(directions.shape) / lanes.batch
