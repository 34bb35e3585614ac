"""Trained stacks beside the closed form and tuned descents, in plain numbers: losses by depth, weights, distances to the
identity.
"""

from typing import Any

import numpy as np

from ...._types import Array
from ...curves import Numbers, curve, spread
from . import training
from .averaged import Averaged
from .closed_form import best_preconditioner, least_loss

DEPTHS = (1, 2, 3, 4)
SHOWN = 3  # layers of the stack whose weights are looked at, as in the paper's demonstrations
TEST = 30_000  # seed of the S for evaluation


def one_layer(found: list[dict[str, Array]], roots: list[Array], n: int, count: int) -> Numbers:
    """One layer on tasks w ~ N(0, I), trained, beside the closed form: along Sigma's eigenvectors, and as a whole."""
    W = np.eye(training.D)
    rows: dict[str, list[Any]] = {"along": [], "distance": [], "inverse": [], "loss": []}
    for run, C in zip(found, roots, strict=True):
        A, Sigma, U = -run["params"][-1][0, 1], C @ C.T, C / np.array(training.SCALES)
        distance, inverse = training.one_layer_distance(A, Sigma, n, W)
        S = training.states(Sigma, n, count, np.random.default_rng(TEST))
        model = Averaged(Sigma, 1, W)
        best = training.constant(best_preconditioner(Sigma, n, W), 1.0, 1)
        rows["along"].append(np.diag(U.T @ A @ U).tolist())
        rows["distance"].append(distance)
        rows["inverse"].append(inverse)
        rows["loss"].append(model.loss_of(run["params"][-1][:, None], S) / model.loss_of(best, S))
    return {
        "along": rows["along"], "least_loss": least_loss(roots[0] @ roots[0].T, n, W), "distance": spread(rows["distance"]),
        "inverse": spread(rows["inverse"]), "loss_ratio": spread(rows["loss"]),
    }  # fmt: skip


def losses(stacks: Numbers, few: Numbers, roots: list[Array], S: Array) -> Numbers:
    """{kind: {depth: spread}}: the loss of every stack on S of its own Sigma, made of the same plain S."""
    found: Numbers = {kind: {} for kind in ("gd", "preconditioned", *few, *stacks)}
    for layers in DEPTHS:
        for kind, runs_of in stacks.items():
            values = [
                Averaged(C @ C.T, layers).loss_of(run["params"][-1][:, None], C @ S @ C.T)
                for run, C in zip(runs_of[layers], roots, strict=True)
            ]  # fmt: skip
            found[kind][str(layers)] = spread(values)
        for kind, one_of in few.items():  # in the coordinates of Sigma = I, where they mean the same
            found[kind][str(layers)] = spread(
                [Averaged(np.eye(training.D), layers).loss_of(one_of[layers]["params"][-1][:, None], S)]
            )
        for kind in ("gd", "preconditioned"):
            C = roots[0]  # a rotation changes neither
            A, model, here = (
                np.eye(training.D) if kind == "gd" else np.linalg.inv(C @ C.T),
                Averaged(C @ C.T, layers),
                C @ S @ C.T,
            )
            eta = training.tuned(A, model, here)
            found[kind][str(layers)] = {**spread([model.loss_of(training.constant(A, eta, layers), here)]), "eta": eta}
    return found


def along(stacks: dict[int, list[dict[str, Array]]], roots: list[Array], S: Array) -> Numbers:
    """The loss along training, for each depth."""
    few = S[:1_000]
    return {
        str(layers): curve(found[0]["times"], [
            [Averaged(C @ C.T, layers).loss_of(params[:, None], C @ few @ C.T) for params in run["params"]]
            for run, C in zip(found, roots, strict=True)
        ])
        for layers, found in stacks.items()
    }  # fmt: skip


def distances(found: list[dict[str, Array]], roots: list[Array], with_B: bool) -> Numbers:
    """Distances to the identity along training: A_l as it is and as C^T A_l C, and B_l of all but the last layer where it is
    trained.
    """
    kinds = {"raw": lambda layer, C: layer[1], "whitened": lambda layer, C: C.T @ layer[1] @ C, "B": lambda layer, C: layer[0]}
    return {
        kind: [
            curve(found[0]["times"], [
                [training.distance_to_identity(of(params[layer],
                                                  C)) for params in run["params"]] for run, C in zip(found, roots, strict=True)
            ])
            for layer in range(SHOWN - (kind == "B"))
        ]
        for kind, of in kinds.items() if kind != "B" or with_B
    }  # fmt: skip


def shown(run: dict[str, Array], C: Array) -> Numbers:
    """The trained middle layer's A = -Q', as it is and whitened."""
    A = -run["params"][-1][1, 1]
    return {"A": A.tolist(), "whitened": (C.T @ A @ C).tolist()}
