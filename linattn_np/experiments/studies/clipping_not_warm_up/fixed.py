"""One fixed batch: which constant rates train, on a grid of rates, with a warm-up, with clipping, and from another place.

Seed s: prompts from default_rng(10000 + s), first weights from default_rng(s), three layers, d = 5, n = 20. A run trains if its
loss after the last step is below 0.5; it is lost at the step after which a number is no longer finite.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from ...._types import Array
from ....measures.landscape import Objective
from ....models.transformer import LinearTransformer
from ....optimizers import SGD, Adam, Linear, Scheduled, WarmUp, clip, global_norm
from ....prompts import RegressionTask

Arrays = dict[str, Array]
TASK, MODEL = RegressionTask(n=20, d=5), LinearTransformer(d=5, layers=3)
TRAINED = 0.5  # a loss below this
SMALL = 0.005  # the rate of the small steps that lead to another place
HOPELESS = 1e30  # an unclipped loss above this is lost: the next steps overflow


class Way(NamedTuple):
    """How a run goes, beside its rate."""

    kind: str  # "descent", "momentum" or "Adam"
    warm_up: int = 0
    threshold: float | None = None
    decay: bool = False  # linear, to 0 at the end
    place: float = 0.0  # eta times steps of small steps, without momentum, before the run begins
    ks: tuple[int, int, int] = (0, 1, 1)  # the rates are 2^(k/6) for k in range(*ks)


def _ways() -> Iterator[tuple[str, Way]]:
    slow = {"descent": (-26, 7, 1), "momentum": (-40, -3, 1)}
    quick = {"descent": (-12, 10, 1), "momentum": (-24, 1, 1)}  # with clipping smaller rates are not asked for
    for kind in slow:
        yield f"{kind}, none", Way(kind, ks=slow[kind])
        for steps in (20, 50, 200):
            yield f"{kind}, warm-up {steps}", Way(kind, steps, ks=slow[kind])
        yield f"{kind}, clip 1", Way(kind, threshold=1.0, ks=quick[kind])
    for kind, low, high in (("descent", (-20, 5, 2), (0, 25, 2)), ("momentum", (-34, -5, 2), (-12, 15, 2))):
        yield f"{kind}, clip 4", Way(kind, threshold=4.0, ks=low)
        yield f"{kind}, clip 0.25", Way(kind, threshold=0.25, ks=high)
    yield "momentum, decay", Way("momentum", decay=True, ks=slow["momentum"])
    yield "momentum, clip 1, decay", Way("momentum", threshold=1.0, decay=True, ks=quick["momentum"])
    for place in (1.0, 3.0):
        yield f"momentum, from {place:g}", Way("momentum", place=place, ks=slow["momentum"])
    for steps in (0, 200):
        for threshold in (None, 1.0):
            name = (f", clip {threshold:g}" if threshold else "") + (f", warm-up {steps}" if steps else "")
            yield f"Adam{name or ', none'}", Way("Adam", steps, threshold, ks=(-24, 4, 3))


WAYS = dict(_ways())


def surface_of(seed: int, prompts: int) -> Objective:
    """The loss on the fixed batch of a seed."""
    return Objective(*TASK.sample(prompts, np.random.default_rng(10_000 + seed)), MODEL)


def start_of(seed: int) -> Array:
    """The first weights of a seed."""
    return MODEL.init_params(np.random.default_rng(seed))


def optimizer_of(way: Way, rate: float, steps: int) -> Any:
    """The optimizer of a way at a rate, its schedule inside."""
    plain = Adam(rate, 0.9, 0.9) if way.kind == "Adam" else SGD(rate, 0.9 if way.kind == "momentum" else 0.0)
    last = Linear(steps) if way.decay else None
    if way.warm_up:
        return Scheduled(plain, WarmUp(way.warm_up, last))
    return plain if last is None else Scheduled(plain, last)


def descend(surface: Objective, x: Array, way: Way, rate: float, steps: int) -> Iterator[tuple[int, Array, float, Array]]:
    """Yields t, x, loss and unclipped gradient before update t + 1, t = 0 .. steps, and ends where they are lost."""
    optimizer = optimizer_of(way, rate, steps)
    state = optimizer.init(x)
    with np.errstate(all="ignore"):
        for t in range(steps + 1):
            loss, grad = surface.loss_and_grad(x)
            if not (np.isfinite(grad).all() and loss < HOPELESS):
                return
            yield t, x, loss, grad
            taken = grad if way.threshold is None else clip(grad, way.threshold)
            x, state = optimizer.update(x, taken, state)


def placed(surface: Objective, x: Array, place: float) -> Array:
    """Where small steps without momentum are after eta times steps = ``place``."""
    for _ in range(round(place / SMALL)):
        x = x - SMALL * surface.grad(x)
    return x


def rates(way: Way) -> Array:
    """The rates that are tried, ascending."""
    return np.array([2 ** (k / 6) for k in range(*way.ks)])


def tried(seed: int, name: str, prompts: int, steps: int, most: int | None = None) -> Arrays:
    """Every rate of a way: loss after the last step, infinite where it is lost, and the step at which it is, else -1; each (R,).

    ``most``: no more rates than this, spread over the grid.
    """
    surface, way = surface_of(seed, prompts), WAYS[name]
    x = placed(surface, start_of(seed), way.place)
    grid = rates(way)
    chosen = grid if most is None else grid[np.linspace(0, len(grid) - 1, most).astype(int)]
    loss, lost = np.full(len(chosen), np.inf), np.full(len(chosen), -1)
    for k, rate in enumerate(chosen.tolist()):
        losses = [value for _, _, value, _ in descend(surface, x, way, rate, steps)]
        if len(losses) == steps + 1:
            loss[k] = losses[-1]
        else:
            lost[k] = len(losses)
    return {"rates": chosen, "loss": loss, "lost": lost}


def largest(rates: Sequence[float] | Array, losses: Any) -> float:
    """The largest rate that trains; NaN where none does. Rates ascend, losses (R,)."""
    trains = np.flatnonzero(np.asarray(losses, float) < TRAINED)
    return float(rates[trains[-1]]) if len(trains) else float("nan")


def safe(rates: Sequence[float] | Array, losses: Any) -> float:
    """The largest rate up to which every rate of the grid trains; NaN where the first does not."""
    trains = np.asarray(losses, float) < TRAINED
    first = len(trains) if trains.all() else int(np.argmin(trains))
    return float(rates[first - 1]) if first else float("nan")


def start_facts(seed: int, prompts: int) -> Arrays:
    """Sharpness and gradient length at the start, and at the places 1 and 3: sharpness (3,), gradient (3,)."""
    surface, x = surface_of(seed, prompts), start_of(seed)
    points = [placed(surface, x, place) for place in (0.0, 1.0, 3.0)]
    return {
        "sharpness": np.array([np.linalg.eigvalsh(surface.hessian(point))[-1] for point in points]),
        "gradient": np.array([global_norm(surface.grad(point)) for point in points]),
    }
