"""Fresh prompts from the state of a chunk, compiled: the twin of ``draws_numpy``, which defines them, with the same bits.

A block of LANES prompts is drawn into the calling thread's memory, ``tokens`` (N, d+1, LANES); the label that is asked for lies
in the query's label slot. What becomes of a block says whoever asks for it: the linear model sums it to a state (``linear.py``),
softmax and ReLU attention and the composed model use the tokens, and :func:`prompts` writes them into arrays.
"""

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from .._types import Array
from ..prompts import NonlinearTask, Prompts, RegressionTask
from .lanes import LANES, compiled, inlined, working_memory
from .random import fill_gammas, fill_normals

PLAIN, ON_SPHERE, SCALED = 0, 1, 2  # the covariates: as drawn, divided by their length, that times the root of a gamma number


class Law(NamedTuple):
    """A task as the kernels take it: what is drawn, and into how many rows of memory."""

    N: int  # tokens of a prompt, made-up ones where ``triangle``
    d: int
    triangle: bool  # whether (5.18) stands for the examples
    kind: int
    normals: int  # rows of normal numbers
    shapes: Array  # of the gamma numbers
    scale: float  # of the gamma numbers
    noise: float
    root: Array  # C of x = C u, shape (d, d), or (0, 0)
    W1: Array  # of the network before the labels, which has 0 hidden units where there is none
    b1: Array
    W2: Array
    b2: Array

    @property
    def rows(self) -> int:
        """Rows of memory that a block takes: tokens, normals, gammas, features, scratch."""
        return self.N * (self.d + 1) + self.normals + len(self.shapes) + self.d + 3


@lru_cache(maxsize=64)
def law_of(task: RegressionTask, triangle: bool = False) -> Law:
    """The law of a task's prompts, or of the made-up ones that have its states (5.18)."""
    n, d, m = task.n, task.d, min(task.n, task.d)
    kind = {"gaussian": PLAIN, "sphere": ON_SPHERE, "gamma": SCALED}[task.covariates]
    root, scale = task.covariance_root(), float(task.gamma_scale or 0)
    root = np.zeros((0, 0)) if root is None else np.ascontiguousarray(root)
    network = [np.zeros(shape) for shape in ((0, d), (0,), (d, 0), (0,))]
    if isinstance(task, NonlinearTask):
        network = [array.copy() for array in task.weights()]
    if triangle:
        shapes, normals = (n - np.arange(m)) / 2, 2 * d + d * m - m * (m + 1) // 2
        return Law(m + 1, d, True, PLAIN, normals, shapes, 0.0, 0.0, root, *network)
    shapes = np.full(n + 1 if kind == SCALED else 0, task.gamma_shape)
    normals = d + (n + 1) * d + (n if task.label_noise else 0)
    return Law(n + 1, d, False, kind, normals, shapes, scale, task.label_noise, root, *network)


@compiled
def draw_block(law, state, room):
    """Draw LANES prompts into the first N (d+1) rows of room (law.rows, LANES)."""
    N, d, D = law.N, law.d, law.d + 1
    first = N * D
    numbers = room[first : first + law.normals]
    gammas = room[first + law.normals : first + law.normals + len(law.shapes)]
    scratch = room[first + law.normals + len(law.shapes) :]
    fill_normals(state, numbers)
    fill_gammas(state, law.shapes, gammas, scratch)
    if law.triangle:
        place_triangle(N - 1, d, numbers, gammas, room)
    else:
        place_examples(law, numbers[d:], gammas, scratch, room)
    noise = numbers[d + N * d :] if law.noise > 0.0 else numbers[:0]
    for t in range(N):
        add_label(law, numbers, room[t * D : t * D + d], scratch, room[t * D + d])
        if t < len(noise):
            for lane in range(LANES):
                room[t * D + d, lane] += law.noise * noise[t, lane]


@inlined
def place_triangle(m, d, numbers, gammas, room):
    """(5.18): the columns of R as covariates of m tokens, then the query's."""
    D, row = d + 1, 2 * d
    for j in range(m):
        for i in range(d):
            for lane in range(LANES):
                if i < j:
                    room[j * D + i, lane] = 0.0
                elif i == j:
                    room[j * D + i, lane] = math.sqrt(2.0 * gammas[j, lane])
                else:
                    room[j * D + i, lane] = numbers[row, lane]
            row += i > j
    for i in range(d):
        for lane in range(LANES):
            room[m * D + i, lane] = numbers[d + i, lane]


@inlined
def place_examples(law, numbers, gammas, scratch, room):
    """The covariates x = C u of N tokens from their normals."""
    d, D = law.d, law.d + 1
    factor = scratch[0]
    for t in range(law.N):
        if law.kind != PLAIN:
            for lane in range(LANES):
                factor[lane] = numbers[t * d, lane] * numbers[t * d, lane]
            for i in range(1, d):
                for lane in range(LANES):
                    factor[lane] += numbers[t * d + i, lane] * numbers[t * d + i, lane]
            for lane in range(LANES):
                size = math.sqrt(gammas[t, lane] * law.scale) if law.kind == SCALED else 1.0
                factor[lane] = size / math.sqrt(factor[lane])
            for i in range(d):
                for lane in range(LANES):
                    numbers[t * d + i, lane] *= factor[lane]
        for i in range(d):
            if len(law.root) == 0:
                for lane in range(LANES):
                    room[t * D + i, lane] = numbers[t * d + i, lane]
            else:
                for lane in range(LANES):
                    room[t * D + i, lane] = law.root[i, 0] * numbers[t * d, lane]
                for j in range(1, i + 1):
                    for lane in range(LANES):
                        room[t * D + i, lane] += law.root[i, j] * numbers[t * d + j, lane]


@inlined
def add_label(law, w, x, scratch, label):
    """label (LANES,) = <w, x>, or with a network <w, W2 max(W1 x + b1, 0) + b2>; x (d, LANES)."""
    d = law.d
    features, E = x, scratch[d + 1]
    if len(law.b1) > 0:
        features = scratch[1 : d + 1]
        for c in range(d):
            for lane in range(LANES):
                features[c, lane] = law.b2[c]
        for j in range(len(law.b1)):
            for lane in range(LANES):
                E[lane] = law.b1[j]
            for k in range(d):
                for lane in range(LANES):
                    E[lane] += law.W1[j, k] * x[k, lane]
            for c in range(d):
                for lane in range(LANES):
                    features[c, lane] += law.W2[c, j] * max(E[lane], 0.0)
    for lane in range(LANES):
        label[lane] = w[0, lane] * features[0, lane]
    for i in range(1, d):
        for lane in range(LANES):
            label[lane] += w[i, lane] * features[i, lane]


@compiled
def fill_prompts(law, state, room, Z, y):
    """Fill Z (B, N, d+1) and y (B,), block after block."""
    N, D, B = law.N, law.d + 1, len(y)
    for first in range(0, B, LANES):
        draw_block(law, state, room)
        for lane in range(min(LANES, B - first)):
            for t in range(N):
                for i in range(D):
                    Z[first + lane, t, i] = room[t * D + i, lane]
            y[first + lane] = Z[first + lane, N - 1, D - 1]
            Z[first + lane, N - 1, D - 1] = 0.0


def prompts(task: RegressionTask, batch: int, state: Array) -> Prompts:
    """``batch`` prompts of the task; the state (4, LANES) is moved on in place. -> Z (batch, n+1, d+1), y (batch,)"""
    law = law_of(task)
    Z, y = np.empty((batch, law.N, law.d + 1)), np.empty(batch)
    fill_prompts(law, state, working_memory(law.rows), Z, y)
    return Prompts(Z, y)
