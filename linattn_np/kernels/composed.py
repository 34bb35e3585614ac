"""Numba twin of ``models/composed.py``: the ReLU network in lanes around the linear model's machine. Compiled when first used.

A block of LANES prompts is put in lanes, its features are made and compressed to the state (15.11), (15.12), the machine of
``interpreter.py`` runs the full model forward and back to the state's gradient, and that goes back through the tokens to the network.
The activations are made twice, not kept: five products cost less than fetching them. Chunks as in ``linear.py``.
"""

from typing import Any

import numpy as np

from .._checks import as_numbers, as_prompts
from .._types import Array
from . import programs
from .interpreter import LANES, add_lane_sums, clear, compiled, run, working_memory
from .linear import CHUNK_BLOCKS
from .threads import run_chunks

CHUNK = CHUNK_BLOCKS * LANES  # prompts in a chunk


@compiled
def load_tokens(Z, start, lanes, tokens):
    """Prompts start .. start+lanes-1 of Z (B, N, D) into tokens (N, D, LANES); places left over get zeros."""
    for t in range(tokens.shape[0]):
        for i in range(tokens.shape[1]):
            for lane in range(LANES):
                tokens[t, i, lane] = Z[start + lane, t, i] if lane < lanes else 0.0


@compiled
def features(dims, W1, b1, W2, b2, C, tokens, E):
    """(15.1) to (15.3), (15.11): the covariates of C (N, D, LANES) become features in tokens; the label stays. E is scratch."""
    d = len(dims)
    for t in range(len(C)):
        for c in range(d):
            for lane in range(LANES):
                tokens[t, c, lane] = b2[c]
        for lane in range(LANES):
            tokens[t, d, lane] = C[t, d, lane]
        for j in range(len(b1)):
            for lane in range(LANES):
                total = b1[j]
                for k in range(len(dims)):
                    total += W1[j, k] * C[t, k, lane]
                E[lane] = max(total, 0.0)
            for c in range(len(dims)):
                for lane in range(LANES):
                    tokens[t, c, lane] += W2[c, j] * E[lane]


@compiled
def compress(tokens, lanes, G, x, mem):
    """(5.16) into the machine's memory: G at address G, the query's token at x.

    Places left over get zeros: their prediction is then 0 as their label is, so that they add nothing.
    """
    N, D = tokens.shape[0], tokens.shape[1]
    for i in range(D):
        for j in range(i, D):
            for lane in range(LANES):
                mem[G + i * D + j, lane] = 0.0
            for t in range(N - 1):
                for lane in range(LANES):
                    mem[G + i * D + j, lane] += tokens[t, i, lane] * tokens[t, j, lane]
            for lane in range(LANES):
                mem[G + i * D + j, lane] = mem[G + i * D + j, lane] if lane < lanes else 0.0
                mem[G + j * D + i, lane] = mem[G + i * D + j, lane]
        for lane in range(LANES):
            mem[x + i, lane] = tokens[N - 1, i, lane] if lane < lanes else 0.0


@compiled
def token_gradients(dims, tokens, dG, dx, mem, dF):
    """(15.15): dF (N, d, LANES) for every token, from the state's gradient in the machine's memory; dG is symmetric."""
    N, D, d = tokens.shape[0], tokens.shape[1], len(dims)
    for t in range(N - 1):
        for c in range(d):
            for lane in range(LANES):
                dF[t, c, lane] = 0.0
            for i in range(D):
                for lane in range(LANES):
                    dF[t, c, lane] += 2.0 * mem[dG + c * D + i, lane] * tokens[t, i, lane]
    for c in range(d):
        for lane in range(LANES):
            dF[N - 1, c, lane] = mem[dx + c, lane]


@compiled
def network_backward(dims, W1, b1, W2, C, dF, work, dW1, db1, dW2, db2):
    """(15.4) to (15.9): adds the sums over this block; work (2 d + 3, LANES) collects them unit by unit, lane by lane."""
    N, d = len(C), len(dims)
    for c in range(d):
        for t in range(N):
            for lane in range(LANES):
                db2[c] += dF[t, c, lane]
    for j in range(len(b1)):
        work[:] = 0.0
        for t in range(N):
            for lane in range(LANES):
                total, dE = b1[j], 0.0
                for k in range(len(dims)):
                    total += W1[j, k] * C[t, k, lane]
                for c in range(len(dims)):
                    dE += dF[t, c, lane] * W2[c, j]  # (15.6)
                work[0, lane] = max(total, 0.0)  # E (15.2)
                work[1, lane] = dE if total > 0.0 else 0.0  # dR (15.7)
                work[2, lane] += work[1, lane]  # (15.9)
            for c in range(len(dims)):
                for lane in range(LANES):
                    work[3 + c, lane] += dF[t, c, lane] * work[0, lane]  # (15.4)
                    work[3 + d + c, lane] += C[t, c, lane] * work[1, lane]  # (15.8)
        for lane in range(LANES):
            db1[j] += work[2, lane]
        for c in range(d):
            for lane in range(LANES):
                dW2[c, j] += work[3 + c, lane]
                dW1[j, c] += work[3 + d + c, lane]


@compiled
def chunk_gradient(dims, dims_D, gradient, at, shared, W1, b1, W2, b2, Z, y, first, last, mem, sums, dW1, db1, dW2, db2):
    """Adds the sums over prompts first .. last-1: error^2 and the attention's gradient to sums, the network's to its arrays."""
    N, D, d = Z.shape[1], Z.shape[2], Z.shape[2] - 1
    C, tokens, dF = np.empty((N, D, LANES)), np.empty((N, D, LANES)), np.empty((N, d, LANES))
    E, work = np.empty(LANES), np.empty((2 * d + 3, LANES))
    clear(mem, at.sums, len(sums))
    for start in range(first, last, LANES):
        lanes = min(LANES, last - start)
        load_tokens(Z, start, lanes, C)
        features(dims, W1, b1, W2, b2, C, tokens, E)
        compress(tokens, lanes, at.S, at.x, mem)
        for lane in range(LANES):
            mem[at.y, lane] = y[start + lane] if lane < lanes else 0.0
        run(dims_D, None, None, None, gradient.operations, gradient.factors, 0, len(gradient.factors), shared, mem)
        token_gradients(dims, tokens, at.dS, at.dx, mem, dF)
        network_backward(dims, W1, b1, W2, C, dF, work, dW1, db1, dW2, db2)
    add_lane_sums(mem, at.sums, sums)


def add_gradient(model: Any, theta: Array, Z: Array, y: Array, first: int, last: int, out: Array) -> None:
    """Add to out (1 + p,) the sums of error^2 and of its gradient over prompts first .. last-1. One thread."""
    (W1, b1, W2, b2), matrices = model.split(theta)
    D = model.d + 1
    passes = programs.passes(model.layers, model.heads, D, True, Z.shape[1] - 1, 1, True)
    mem, shared = working_memory(passes.slots), np.ascontiguousarray(matrices).ravel()
    sums, split = np.zeros(1 + matrices.size), 1 + model.size - matrices.size
    dnetwork = model.split(out[1:])[0]  # views: the network's sums are added in place
    batch = (Z, y, first, last, mem, sums)
    chunk_gradient((0,) * model.d, (0,) * D, passes.gradient.code, passes.at, shared, W1, b1, W2, b2, *batch, *dnetwork)
    out[0] += sums[0]
    out[split:] += sums[1:]


def loss_and_grad(model: Any, theta: Array, Z: Array, y: Array) -> tuple[float, Array]:
    """The loss and its gradient (p,): the twin of ``Composed.loss_and_grad``; model a Composed. Raises ValueError for other shapes."""
    theta, (Z, y) = as_numbers("theta", model.as_params(theta)), as_prompts(Z, y)
    if Z.shape[2] != model.d + 1:
        raise ValueError(f"Z: expected tokens of width d+1 = {model.d + 1}, got shape {Z.shape}")
    Z, y, theta = (np.ascontiguousarray(array, np.float64) for array in (Z, y, theta))
    starts = range(0, len(y), CHUNK)
    sums = np.zeros((len(starts), 1 + model.size))
    run_chunks(lambda c: add_gradient(model, theta, Z, y, starts[c], min(len(y), starts[c] + CHUNK), sums[c]), len(starts))
    total = sums.sum(axis=0) / len(y)
    return total[0].item(), total[1:]
