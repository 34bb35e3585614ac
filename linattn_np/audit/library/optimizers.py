"""The optimizers, audited: against their recurrences written with scalars, against closed forms, and under a rotation.

Recurrences: each coordinate by itself in Python floats, from (6.1) to (6.7), the state as well as the parameters; and clipping,
(6.8), the same way. Closed forms: SGD with momentum on a quadratic is a
linear recurrence with two roots; under a constant gradient the others have a sum that can be written down. Rotation: for an
orthogonal R a method that only knows lengths and directions obeys update(R x, R g) = R update(x, g); one that treats each
coordinate by itself does not, and an audit of it must see that too. Layers, blocks, matrices, schedules: ``grouped_optimizers``;
``matrix_optimizers``.
"""

import math
from typing import Any

import numpy as np

from ... import optimizers
from ..._types import Array
from ..checks.arrays import array_row
from ..report import Report
from ..row import OK, WRONG, Row
from .grouped_optimizers import check_groups, check_schedules, named
from .matrix_optimizers import check_matrices, check_newton

SIZE, STEPS = 7, 11
SETTINGS: dict[str, dict[str, float]] = {
    "SGD": {"lr": 0.07, "momentum": 0.6},
    "SignDescent": {"lr": 0.07, "momentum": 0.6},
    "NormalizedGD": {"lr": 0.07, "momentum": 0.6},
    "Adagrad": {"lr": 0.07, "eps": 1e-3},
    "RMSProp": {"lr": 0.07, "alpha": 0.8, "eps": 1e-3},
    "Adam": {"lr": 0.07, "beta1": 0.7, "beta2": 0.9, "eps": 1e-3},
    "AdamW": {"lr": 0.07, "beta1": 0.7, "beta2": 0.9, "eps": 1e-3, "weight_decay": 0.3},
}
AUDITED = {*SETTINGS, "Muon", "Shampoo", "SOAP", "Newton", "Scheduled"}  # every optimizer of the library
FOLLOWS_ROTATION = {"SGD": True, "NormalizedGD": True}


def audit_optimizers(seed: int = 0, module: Any = optimizers) -> Report:
    """Judge every optimizer of a module that has names of ``linattn_np.optimizers``; those that it lacks are the library's.

    -> Report
    """
    report = Report("optimizers", point={"seed": seed})
    rng = np.random.default_rng([seed, 4])
    x, gradients = rng.standard_normal(SIZE), rng.standard_normal((STEPS, SIZE))
    R = np.linalg.qr(rng.standard_normal((SIZE, SIZE)))[0]
    for name, setting in SETTINGS.items():
        make = named(module, name)
        opt = make(**setting)
        found, expected = follow(opt, x, gradients), by_scalars(name, setting, x, gradients)
        path = found["x"]
        for part in ("m", "v", "x"):
            if part in found:
                report.rows.append(array_row(f"{name} {part}", found[part], expected[part], 1e-13, "recur"))
        report.rows.append(array_row(f"{name} closed form", *closed_form(make, name, setting, x), 1e-11, "closed"))
        report.rows.append(_rotation(opt, name, x, gradients, R, path))
        report.rows.append(_purity(opt, name, x, gradients))
    for check in (check_clipping, check_groups, check_matrices, check_newton, check_schedules):
        report.rows += check(module, rng)
    return report


def check_clipping(module: Any, rng: np.random.Generator) -> list[Row]:
    """(6.8) in Python floats: at three thresholds, below, between and above the norms, and where squares overflow. -> rows"""
    rows = []
    for by in ("global", "block", "coordinate"):
        for size, quantity in ((1.0, f"clip {by}"), (1e200, f"clip {by}, huge")):
            grad = size * rng.standard_normal((3, 2, 2, 5, 5)) * np.array([1.0, 40.0])[:, None, None]  # P and Q of unlike sizes
            thresholds = [size * threshold for threshold in (0.7, 20.0, 1e4)]
            got = np.array([named(module, "clip")(grad, threshold, by) for threshold in thresholds])
            expected = np.array([clip_by_scalars(grad, threshold, by) for threshold in thresholds])
            rows.append(array_row(quantity, got / size, expected / size, 1e-13, "recur"))
    return rows


def clip_by_scalars(grad: Array, threshold: float, by: str) -> Array:
    """The clipped gradient, one Python float at a time."""
    if by == "coordinate":
        return np.array([max(-threshold, min(threshold, g)) for g in grad.ravel().tolist()]).reshape(grad.shape)
    out = []
    for block in [grad] if by == "global" else grad.reshape(-1, *grad.shape[-2:]):
        norm = math.hypot(*block.ravel().tolist())
        out.append(block * min(1.0, threshold / norm))
    return np.array(out).reshape(grad.shape)


def follow(opt: Any, x: Array, gradients: Array) -> dict[str, Array]:
    """The points x (T, p) that an optimizer visits on a given sequence of gradients, and its buffers m and v where it has
    them.
    """
    state, path = opt.init(np.array(x)), []
    for g in gradients:
        x, state = opt.update(np.array(x), np.array(g), state)
        path.append({"x": np.array(x), **{name: np.array(value) for name, value in state._asdict().items() if name != "t"}})
    return {name: np.array([point[name] for point in path]) for name in path[0]}


def by_scalars(name: str, s: dict[str, float], x: Any, gradients: Array) -> dict[str, Array]:
    """The same paths from the recurrence, one Python float at a time."""
    x, path = [float(value) for value in x], []
    m, v = [0.0] * len(x), [0.0] * len(x)
    for t, g in enumerate(gradients.tolist(), start=1):
        if "momentum" in s:
            m = [s["momentum"] * a + b for a, b in zip(m, g, strict=True)]
            length = math.sqrt(sum(a * a for a in m))
        for i, gi in enumerate(g):
            if name == "SGD":
                x[i] -= s["lr"] * m[i]
            elif name == "SignDescent":
                x[i] -= s["lr"] * math.copysign(1.0, m[i])
            elif name == "NormalizedGD":
                x[i] -= s["lr"] * m[i] / length
            elif name == "Adagrad":
                v[i] += gi * gi
                x[i] -= s["lr"] * gi / (math.sqrt(v[i]) + s["eps"])
            elif name == "RMSProp":
                v[i] = s["alpha"] * v[i] + (1 - s["alpha"]) * gi * gi
                x[i] -= s["lr"] * gi / (math.sqrt(v[i]) + s["eps"])
            else:
                x[i] *= 1 - s["lr"] * s.get("weight_decay", 0.0)
                m[i] = s["beta1"] * m[i] + (1 - s["beta1"]) * gi
                v[i] = s["beta2"] * v[i] + (1 - s["beta2"]) * gi * gi
                root = math.sqrt(v[i] / (1 - s["beta2"] ** t))
                x[i] -= s["lr"] * m[i] / (1 - s["beta1"] ** t) / (root + s["eps"])
        path.append((list(x), list(m), list(v)))
    return dict(zip("xmv", np.array(path).swapaxes(0, 1), strict=True))


def closed_form(make: Any, name: str, setting: dict[str, float], x: Array) -> tuple[Array, Array]:
    """Where the optimizer ends, and where a formula without a loop says it must. -> (got, expected)

    SGD: f = sum lambda_i x_i^2 / 2. The others: a constant gradient g = x; eps = 0 where the sum needs it.
    """
    s = dict(setting)
    if name == "SGD":
        curvature, opt = np.linspace(0.3, 9.0, SIZE), make(**s)
        state, at = opt.init(x), np.array(x)
        for _ in range(STEPS):
            at, state = opt.update(at, curvature * at, state)
        # x_(t+1) = (1 + mu - lr lambda) x_t - mu x_(t-1), x_0 = x, x_1 = (1 - lr lambda) x: two roots, two constants
        mu, b = s["momentum"], (1 + s["momentum"] - s["lr"] * curvature).astype(complex)
        root = np.sqrt(b * b - 4 * mu)
        up, down = (b + root) / 2, (b - root) / 2
        share = ((1 - s["lr"] * curvature) - down) / (up - down)
        return at, (x * (share * up**STEPS + (1 - share) * down**STEPS)).real
    if name == "Adagrad":
        s["eps"] = 0.0
    end = follow(make(**s), x, np.tile(x, (STEPS, 1)))["x"][-1]
    t, lr, size = np.arange(1, STEPS + 1), s["lr"], np.abs(x)
    if name == "SignDescent":
        return end, x - lr * STEPS * np.sign(x)
    if name == "NormalizedGD":
        return end, x - lr * STEPS * x / np.linalg.norm(x)
    if name == "Adagrad":
        return end, x - lr * np.sign(x) * (1 / np.sqrt(t)).sum()
    if name == "RMSProp":
        return end, x - lr * (x / (np.sqrt(1 - s["alpha"] ** t[:, None]) * size + s["eps"])).sum(axis=0)
    keep = 1 - lr * s.get("weight_decay", 0.0)
    steps = STEPS if keep == 1 else (1 - keep**STEPS) / (1 - keep)
    return end, keep**STEPS * x - lr * steps * x / (size + s["eps"])


def _rotation(opt: Any, name: str, x: Array, gradients: Array, R: Array, path: Array) -> Row:
    """update(R x, R g) = R update(x, g) must hold for methods of lengths, and fail for methods of coordinates."""
    turned = follow(opt, R @ x, gradients @ R.T)["x"]
    gap = float(np.abs(turned - path @ R.T).max() / np.abs(path).max())
    if FOLLOWS_ROTATION.get(name):
        note = "" if gap <= 1e-13 else "it should follow a rotation of the parameters and does not"
        return Row("rotation", f"{name} follows", gap, 0.0, gap, 1e-13, WRONG if note else OK, note)
    note = "" if gap > 1e-3 else "it should depend on the axes and does not"
    return Row("rotation", f"{name} does not", gap, None, None, None, WRONG if note else OK, note)


def _purity(opt: Any, name: str, x: Array, gradients: Array) -> Row:
    """The arguments and the state stay as they were, and the same call gives the same bits."""
    state = opt.update(x, gradients[0], opt.init(x))[1]
    before = [np.array(part) for part in (x, gradients[1], *state)]
    first, again = opt.update(x, gradients[1], state), opt.update(x, gradients[1], state)
    kept = all(np.array_equal(a, b) for a, b in zip(before, (x, gradients[1], *state), strict=True))
    same = np.array_equal(first[0], again[0]) and all(np.array_equal(a, b) for a, b in zip(first[1], again[1], strict=True))
    note = "" if kept and same else "it changes its arguments in place" if not kept else "a second call gives another result"
    return Row("purity", name, None, None, None, None, WRONG if note else OK, note)
