"""Audited here: optimizers that see layers and blocks, (29.1) and (29.2), and schedules, (29.9).

Groups: the recurrences in Python floats on params (L, H, 2, k, k) whose last P is dead. Schedules: sums without a loop.
"""

import math
from typing import Any

import numpy as np

from ... import optimizers
from ..._types import Array
from ..checks.arrays import array_row
from ..row import OK, WRONG, Row

SHAPE, STEPS = (3, 2, 2, 3, 3), 5
ADAM = {"lr": 0.07, "beta1": 0.7, "beta2": 0.9, "eps": 1e-3}
RATES = (1.0, 0.25, 4.0)


def named(module: Any, name: str) -> Any:
    """What a module calls by a name of ``linattn_np.optimizers``, or the original where it has none."""
    return getattr(module, name, None) or getattr(optimizers, name)


def check_groups(module: Any, rng: np.random.Generator) -> list[Row]:
    """(29.1) and (29.2) against Python floats, with groups counted by hand. -> rows"""
    x, gradients = rng.standard_normal(SHAPE), rng.standard_normal((STEPS, *SHAPE))
    gradients[:, -1, :, 0] = 0.0  # no prediction depends on the last layer's P
    rows = []
    for by in ("block", "layer", "global"):
        labels = labels_by_hand(by)
        shape_says = named(module, "groups_by_shape")(SHAPE, optimizers.Grouping("second_moment", by))
        rows.append(array_row(f"groups by {by}", shape_says.ravel().astype(float), np.array(labels, float), 1e-13, "recur"))
        expected = adam_by_scalars(x, gradients, labels)
        found = walked(named(module, "Adam")(**ADAM, second_moment=by), x, gradients)
        rows += [array_row(f"Adam by {by} {part}", found[part], expected[part], 1e-13, "recur") for part in "vx"]
    found = walked(named(module, "SGD")(0.07, 0.6, RATES), x, gradients)
    rows.append(array_row("SGD with layer rates x", found["x"], rated_by_scalars(x, gradients), 1e-13, "recur"))
    return rows


def labels_by_hand(by: str) -> list[int]:
    """The number of each entry's group, in C order."""
    L, H, _, k, _ = SHAPE
    places = [(l, h, pq) for l in range(L) for h in range(H) for pq in range(2) for _ in range(k * k)]
    return [{"block": 2 * H * l + 2 * h + pq, "layer": l, "global": 0}[by] for l, h, pq in places]


def walked(opt: Any, x: Array, gradients: Array) -> dict[str, Array]:
    """The points and the second moments along given gradients, (T, p) each."""
    state, path = opt.init(x), []
    for g in gradients:
        x, state = opt.update(x, g, state)
        path.append((x.ravel(), np.ravel(getattr(state, "v", x))))
    return dict(zip("xv", np.array(path).swapaxes(0, 1), strict=True))


def adam_by_scalars(x: Array, gradients: Array, labels: list[int]) -> dict[str, Array]:
    """Adam with a second moment for each label, one Python float at a time."""
    at, m, v = x.ravel().tolist(), [0.0] * x.size, dict.fromkeys(labels, 0.0)
    path = []
    for t, g in enumerate(gradients.reshape(len(gradients), -1).tolist(), start=1):
        for label in v:
            squares = [gi * gi for gi, mine in zip(g, labels, strict=True) if mine == label and gi != 0.0]
            v[label] = ADAM["beta2"] * v[label] + (1 - ADAM["beta2"]) * (sum(squares) / len(squares) if squares else 0.0)
        for i, gi in enumerate(g):
            m[i] = ADAM["beta1"] * m[i] + (1 - ADAM["beta1"]) * gi
            root = math.sqrt(v[labels[i]] / (1 - ADAM["beta2"] ** t))
            at[i] -= ADAM["lr"] * m[i] / (1 - ADAM["beta1"] ** t) / (root + ADAM["eps"])
        path.append((list(at), [v[label] for label in labels]))
    return dict(zip("xv", np.array(path).swapaxes(0, 1), strict=True))


def rated_by_scalars(x: Array, gradients: Array) -> Array:
    """SGD with momentum 0.6 and RATES, one Python float at a time. -> (T, p)"""
    at, m, layers = x.ravel().tolist(), [0.0] * x.size, labels_by_hand("layer")
    path = []
    for g in gradients.reshape(len(gradients), -1).tolist():
        for i, gi in enumerate(g):
            m[i] = 0.6 * m[i] + gi
            at[i] -= 0.07 * RATES[layers[i]] * m[i]
        path.append(list(at))
    return np.array(path)


def kept_pure(name: str, opt: Any, x: Array, gradients: Array) -> Row:
    """The params, the gradient and the state's buffer stay as they were."""
    state = opt.update(x, gradients[0], opt.init(x))[1]
    before = [x.copy(), gradients[1].copy(), *(np.array(part) for part in state)]
    opt.update(x, gradients[1], state)
    kept = all(np.array_equal(a, b) for a, b in zip(before, (x, gradients[1], *state), strict=True))
    note = "" if kept else "it changes its arguments in place"
    return Row("purity", name, None, None, None, None, WRONG if note else OK, note)


# ---------------------------------------------------------------- schedules


def check_schedules(module: Any, rng: np.random.Generator) -> list[Row]:
    """(29.9): SGD along a constant gradient goes lr g times the sum of the factors, which has a closed form. -> rows"""
    x, g, T, W = rng.standard_normal((2, 7)).tolist(), rng.standard_normal(7), 13, 4
    sums = {  # of T updates, and of T + 5: nothing moves after the end
        "Linear": (named(module, "Linear")(T), (T + 1) / 2, (T + 1) / 2),
        "Cosine": (named(module, "Cosine")(T), (T + 1) / 2, (T + 1) / 2),
        "WarmUp": (named(module, "WarmUp")(W), T - (W - 1) / 2, T + 5 - (W - 1) / 2),
        "WarmUp, then Linear": (
            named(module, "WarmUp")(W, optimizers.Linear(T)),
            *[(T + 1) / 2 - sum((1 - (t + 1) / W) * (1 - t / T) for t in range(W))] * 2,
        ),
    }
    rows = []
    for name, (schedule, *wanted) in sums.items():
        opt = named(module, "Scheduled")(optimizers.SGD(0.07), schedule)
        path = walked(opt, np.array(x[0]), np.tile(g, (T + 5, 1)))["x"][[T - 1, T + 4]]
        expected = np.array(x[0]) - 0.07 * np.outer(wanted, g)
        rows.append(array_row(f"Scheduled by {name}", path, expected, 1e-12, "closed"))
    return rows
