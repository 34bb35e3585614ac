"""Numba twin of ``models/composed.py``: the ReLU network around the linear model's program, as one program on tokens.

The features are made of the covariates (15.1) to (15.3) and summed to the state (15.11), (15.12); the linear model's steps with
full matrices go forward and back to the state's gradient, and that goes back through the tokens (15.15) to the network (15.4) to
(15.9). It runs as the programs of ``tokens.py`` do.
"""

from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np

from .._checks import as_numbers, as_prompts
from .._types import Array
from . import operands, steps
from .draws import Law
from .operations import IDENTITY, RELU, RELU_BACKWARD, Operand, Program, Term, copy, multiply
from .threads import run_chunks
from .tokens import CHUNK, Addresses, TokenPasses, add_drawn_sums, add_sums


@lru_cache(maxsize=64)
def passes(d: int, h: int, L: int, H: int, n: int) -> TokenPasses:
    """The program of a network with h units and L layers with H heads on n examples."""
    D, N, network = d + 1, n + 1, 2 * d * h + h + d
    memory, out = operands.Memory(D, L, H), Program()
    weights = operands.Weights(*(
        [[memory.weight(name, network, l, head, which, shared=True) for head in range(H)] for l in range(L)]
        for name, which in (("P", 0), ("Q", 1), ("vP", 0), ("vQ", 1))
    ))  # fmt: skip
    values, y, present, grads = (
        memory.activations(),
        memory.number("y"),
        memory.number("present"),
        memory.gradients("d", False, network),
    )
    C, tokens, R, E = memory.matrix("C", N, D), memory.matrix("tokens", N, D), memory.matrix("R", N, h), memory.matrix("E", N, h)
    dF, dE, one = memory.matrix("dF", N, d), memory.matrix("dE", N, h), memory.number("1")
    dR, F = replace(R, name="dR"), tokens.column_block(0, d, "F")
    ones = replace(one, rows=N, row=0, name="1")
    W1, b1, W2, b2 = network_of("", 0, d, h, shared=True)
    dW1, db1, dW2, db2 = network_of("d", grads.squares.at + 1, d, h)
    out.set(one, Term(IDENTITY), "15.1")
    out.set(R, ones @ b1.T, "15.1")
    out.add(R, C.column_block(0, d) @ W1.T, "15.1")
    out.set(E, Term(RELU, R), "15.2")
    out.set(F, ones @ b2.T, "15.3")
    out.add(F, E @ W2.T, "15.3")
    out.set(tokens.column_block(d, 1, "tokens[label]"), copy(C.column_block(d, 1, "C[label]")), "15.11")
    G, z, examples = values.S[0], values.x[0], tokens.block(0, n)
    out.set(G, examples.T @ examples, "15.12")
    out.set(z, copy(tokens.block(n, 1, name="tokens[query]").T), "15.12")
    for operand in (flat(G), z):  # a place that no prompt takes adds nothing
        out.set(operand, multiply(present, operand), "15.12")
    shape = operands.Shape(L, H, D, True, n)
    steps.forward(shape, weights, values, out)
    steps.error(values, y, grads, out)
    steps.backward(shape, weights, values, grads, out, inputs=True)
    out.set(dF.block(0, n), 2 * (examples @ grads.S[0].column_block(0, d)), "15.15")
    out.set(dF.block(n, 1, name="dF[query]"), copy(grads.x[0].block(0, d).T), "15.15")
    out.add(dW2, dF.T @ E, "15.4")
    out.add(db2, dF.T @ ones, "15.5")
    out.set(dE, dF @ W2, "15.6")
    out.set(dR, Term(RELU_BACKWARD, E, dE), "15.7")
    out.add(dW1, dR.T @ C.column_block(0, d), "15.8")
    out.add(db1, dR.T @ ones, "15.9")
    return TokenPasses(out, Addresses(C.at, y.at, present.at, grads.squares.at), memory.used)


def network_of(prefix: str, first: int, d: int, h: int, shared: bool = False) -> list[Operand]:
    """W1, b1, W2, b2 in the order of theta, from an address on."""
    found = []
    for name, rows, columns in (("W1", h, d), ("b1", h, 1), ("W2", d, h), ("b2", d, 1)):
        found.append(Operand(prefix + name, first, rows, columns, columns, 1, shared))
        first += rows * columns
    return found


def flat(operand: Operand) -> Operand:
    """The entries of a matrix as one column."""
    return replace(operand, rows=operand.rows * operand.columns, columns=1, row=1)


def passes_of(model: Any, n: int) -> TokenPasses:
    """The program of a Composed on n examples."""
    return passes(model.d, model.hidden, model.layers, model.heads, n)


def add_gradient(model: Any, theta: Array, Z: Array, y: Array, first: int, last: int, out: Array) -> None:
    """Add to out (1 + p,) the sums of error^2 and of its gradient over prompts first .. last-1. One thread."""
    add_sums(passes_of(model, Z.shape[1] - 1), theta, Z, y, first, last, out)


def add_drawn_gradients(model: Any, points: Array, law: Law, sizes: Array, chunks: Array, out: Array) -> None:
    """The same at each of the points (m, p) for each of some chunks: sizes[c] prompts of a law, drawn from chunks[c], which is
    moved on, into out[c] (m, 1 + p).
    """
    add_drawn_sums(passes_of(model, law.N - 1), law, points, sizes, chunks, out)


def loss_and_grad(model: Any, theta: Array, Z: Array, y: Array) -> tuple[float, Array]:
    """The loss and its gradient (p,): the twin of ``Composed.loss_and_grad``; model a Composed.

    Raises ValueError for other shapes.
    """
    theta, (Z, y) = as_numbers("theta", model.as_params(theta)), as_prompts(Z, y)
    if Z.shape[2] != model.d + 1:
        raise ValueError(f"Z: expected tokens of width d+1 = {model.d + 1}, got shape {Z.shape}")
    Z, y, theta = (np.ascontiguousarray(array, np.float64) for array in (Z, y, theta))
    starts = range(0, len(y), CHUNK)
    sums = np.zeros((len(starts), 1 + model.size))
    run_chunks(lambda c: add_gradient(model, theta, Z, y, starts[c], min(len(y), starts[c] + CHUNK), sums[c]), len(starts))
    total = sums.sum(axis=0) / len(y)
    return total[0].item(), total[1:]
