"""Trained layers beside gradient descent and GD++, in plain numbers: along training, at the end, elsewhere, and repeated."""

from dataclasses import replace
from typing import Any

import numpy as np

from ...._types import Array
from ....layers import gram
from ....models.transformer import loss, predict
from ...curves import Numbers, curve, spread
from . import training
from .descent import eigenvalues, line_search
from .one_layer import OneLayer
from .tasks import UniformTask
from .weights import construction, gd_plus_plus

TASK = UniformTask()
WIDTHS = (0.5, 0.75, 1.0, 1.25, 1.5, 2.0)  # alpha: covariates uniform on [-alpha, alpha], or task vectors alpha w
EXAMPLES = (10, 25, 50, 100)  # for which the paper prints the gamma of trained layers
ROLLED = 50  # times that the trained layer is repeated
DAMPINGS = (1.0, 0.75)
TEST, SEARCH = 10_000, 20_000  # seeds of the prompts for evaluation, and of those for line searches


def one_layer(found: list[dict[str, Array]], eta: float, Z: Array, y: Array) -> Numbers:
    """One trained layer against one step of descent: along training, at the end, elsewhere, and repeated."""
    along = [[training.alignment(theta, eta, Z, y) for theta in run["params"]] for run in found]
    last = [training.rescaled(run["params"][-1]) for run in found]
    step = training.constructed(eta, TASK.d)
    halfway = [(theta + step) / 2 for theta in last]
    ends = [training.alignment(theta, eta, Z, y) for theta in last]
    model, few = OneLayer(TASK.d), slice(1_000)
    return {
        "along": {key: curve(found[0]["times"], [[at[key] for at in run] for run in along]) for key in ("loss", "cosine",
            "predictions", "models")},
        "descent": ends[0]["descent"], "end": {key: spread([end[key] for end in ends]) for key in ends[0]},
        "halfway": spread([training.alignment(theta, eta, Z, y)["loss"] for theta in halfway]),
        "eta": spread([training.step_of(theta) for theta in last]), "weights": last[0].tolist(),
        "elsewhere": {kind: elsewhere(kind, last, halfway, eta, len(y)) for kind in ("covariates", "task vectors")},
        "repeated": {
            f"{damping:g}": {
                "trained": curve(range(ROLLED + 1), [repeated(model.full(theta), damping, Z[few], y[few]) for theta in last]),
                "descent": curve(range(ROLLED + 1), [repeated(model.full(step), damping, Z[few], y[few])]),
            }
            for damping in DAMPINGS
        },
    }  # fmt: skip


def elsewhere(kind: str, last: list[Array], halfway: list[Array], eta: float, prompts: int) -> Numbers:
    """The losses where covariates, or task vectors, are alpha times as large as in training."""
    rows: dict[str, list[Any]] = {"trained": [], "halfway": [], "descent": []}
    for alpha in WIDTHS:
        Z, y = (TASK if kind == "task vectors" else replace(TASK, width=alpha)).sample(prompts, np.random.default_rng(TEST + 1))
        if kind == "task vectors":
            Z, y = np.concatenate([Z[..., :-1], alpha * Z[..., -1:]], axis=-1), alpha * y
        for key, thetas in (("trained", last), ("halfway", halfway)):
            at = [training.alignment(theta, eta, Z, y) for theta in thetas]
            rows[key].append([each["loss"] for each in at])
        rows["descent"].append([at[0]["descent"]])
    return {key: curve(WIDTHS, np.transpose(values)) for key, values in rows.items()}


def repeated(layer: Array, damping: float, Z: Array, y: Array) -> list[float]:
    """The loss after 0, 1, .. uses of a layer (1, 1, 2, D, D) whose change of the tokens is damped."""
    P, Q = layer[0, :, 0] * damping, layer[0, :, 1]
    activation, losses = gram.compress(Z), []
    with np.errstate(all="ignore"):  # undamped, some prompts diverge
        for _ in range(ROLLED + 1):
            losses.append(float(((gram.readout(activation) - y) ** 2).mean()))
            activation, _ = gram.forward(activation, P, Q)
    return losses


def looped(found: list[dict[str, Array]], searched: Numbers, Z: Array, y: Array) -> Numbers:
    """Two looped layers against two steps of descent and of GD++, along training and at the end."""
    model = training.two_layers(TASK.d)
    descent = {
        "GD": np.repeat(construction(TASK.d, searched["two"]["eta"]), 2, axis=0),
        "GD++": gd_plus_plus(TASK.d, searched["plus"]["eta"], searched["plus"]["c"]),
    }
    few = Z[:1_000]
    theirs = {name: sensitivities(lambda prompts, w=weights: predict(w, prompts), few) for name, weights in descent.items()}
    cosines: dict[str, list[Any]] = {name: [] for name in descent}
    for run in found:
        ours = [
            sensitivities(lambda prompts, w=w: model.predict(w, prompts), few)
            for w in run["params"][:: max(1, len(run["params"]) // 10)]
        ]
        for name, w in theirs.items():
            cosines[name].append([mean_cosine(each, w) for each in ours])
    times = found[0]["times"]
    learned = [training.steps_of_two(run["params"][-1]) for run in found]
    return {
        "losses": {name: loss(weights, Z, y) for name, weights in descent.items()},
        "along": curve(times, [[model.loss(w, Z, y) for w in run["params"]] for run in found]),
        "cosines": {name: curve(times[:: max(1, len(times) // 10)], values) for name, values in cosines.items()},
        "eta": spread([each["eta"] for each in learned]), "c": spread([each["c"] for each in learned]),
        "weights": found[0]["params"][-1][0, 0].tolist(),
    }  # fmt: skip


def sensitivities(answer: Any, Z: Array) -> Array:
    """The derivative of each prediction by its query's covariates, in which it is linear: the answers to unit queries.

    -> (B, d)
    """
    columns = []
    for k in range(TASK.d):
        asked = Z.copy()
        asked[:, -1] = 0.0
        asked[:, -1, k] = 1.0
        columns.append(answer(asked))
    return np.stack(columns, axis=1)


def mean_cosine(v: Array, w: Array) -> float:
    """The mean over prompts of the cosine between two (B, d)."""
    return float(((v * w).sum(axis=1) / np.sqrt((v * v).sum(axis=1) * (w * w).sum(axis=1))).mean())


def gammas(prompts: int) -> Numbers:
    """GD++'s best gamma = c / n for two equal layers, on covariates of width 1/2 as in the paper's code."""
    found = {}
    for n in EXAMPLES:
        task = replace(TASK, n=n, width=0.5)
        best = line_search(eigenvalues(task, min(prompts, 2_000), np.random.default_rng(SEARCH)), task.variance, 2, plus=True)
        found[str(n)] = best["c"] / n
    return found
