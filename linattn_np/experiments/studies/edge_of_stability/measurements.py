"""Runs on a fixed batch, and the exact Hessian along them: at the iterate and midway between two iterates.

Seed s: prompts from default_rng(10000 + s), first weights from default_rng(s), three layers, d = 5, n = 20. No clipping, no noise
but where batches are drawn. lambda is the largest eigenvalue of the Hessian on the whole batch.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from ...._types import Array
from ....measures.landscape import Objective, preconditioned_sharpness
from ....models.transformer import LinearTransformer
from ....optimizers import SGD, Adam, Linear, Scheduled
from ....prompts import RegressionTask
from .cubic import BLOCK, balance, central_flow, gradient_flow, top_pairs
from .edges import adam_edge, edge

Arrays = dict[str, Array]
TASK, MODEL = RegressionTask(n=20, d=5), LinearTransformer(d=5, layers=3)
NEAR = 0.05  # a midpoint whose lambda is this close to the edge, relative, is at the edge
ALONE = 0.9  # and lambda is alone there where the second eigenvalue is below this share of the edge
RAISED = 1.1  # the rate of the quadratic control, over that of the run
CONTROL_STEPS = 200


class Size(NamedTuple):
    """How long the runs are and how often their Hessian is taken."""

    prompts: int = 256
    steps: int = 4000
    every: int = 35  # steps between Hessians
    adam_steps: int = 2000
    adam_every: int = 20
    phases: tuple[int, ...] = (3000, 3000, 1500, 1500)  # of the rate: whole, half, a ramp back, whole
    flow_start: int = 2500
    flow_steps: int = 2500
    many: int = 1024  # prompts that small batches are drawn from
    batch_steps: int = 6000
    batch_every: int = 100


def surface_of(seed: int, prompts: int) -> Objective:
    """The loss on the fixed batch of a seed."""
    return Objective(*TASK.sample(prompts, np.random.default_rng(10_000 + seed)), MODEL)


def start_of(seed: int) -> Array:
    """The first weights of a seed."""
    return MODEL.init_params(np.random.default_rng(seed))


def descent(grad: Callable[[Array], Array], x: Array, optimizer: Any, steps: int) -> Iterator[tuple[int, Array, Array, Any]]:
    """Updates t = 0, 1, ..: yields t, x before, x after, the optimizer's state after; ends where numbers are no longer finite."""
    state = optimizer.init(x)
    with np.errstate(all="ignore"):
        for t in range(steps):
            new, state = optimizer.update(x, grad(x), state)
            if not np.isfinite(new).all():
                return
            yield t, x, new, state
            x = new


def along(surface: Objective, before: Array, after: Array) -> Array:
    """What one pair of iterates meets: lambda_1, lambda_2 midway, lambda_1 at the first, c^2 measured, c^2 of (26.11). -> (5,)

    c is half the distance of the two iterates along the top eigenvector of the Hessian midway.
    """
    middle = 0.5 * (before + after)  # (26.3)
    values, vectors = top_pairs(surface.hessian(middle))
    u = vectors[0].reshape(middle.shape)
    c = 0.5 * ((after - before) * u).sum()
    at_iterate = np.linalg.eigvalsh(surface.hessian(before))[-1]
    return np.array([*values, at_iterate, c * c, balance(surface, middle, u).amplitude_squared])


def hover(seed: int, rate: float, momentum: float, size: Size) -> Arrays:
    """One run of descent: times (T,), met (T, 5) as ``along`` has it (NaN after a run that diverged), losses at these times."""
    surface = surface_of(seed, size.prompts)
    times = np.arange(0, size.steps, size.every)
    met, losses = np.full((len(times), 5), np.nan), np.full(len(times), np.nan)
    for t, before, after, _ in descent(surface.grad, start_of(seed), SGD(rate, momentum), size.steps):
        if t % size.every == 0:
            met[t // size.every], losses[t // size.every] = along(surface, before, after), surface.loss(before)
    return {"times": times, "met": met, "losses": losses}


def follow(seed: int, rate: float, size: Size) -> Arrays:
    """lambda midway while the rate is halved and brought back by a ramp: times, rates, sharpness, each (T,)."""
    whole, half, ramp, end = size.phases
    parts = [np.full(whole, rate), np.full(half, rate / 2), np.linspace(rate / 2, rate, ramp + 2)[1:-1], np.full(end, rate)]
    return rated(seed, np.concatenate(parts), size)


def decaying(seed: int, rate: float, size: Size) -> Arrays:
    """lambda midway while the rate falls linearly to 0 (29.9): times, rates, sharpness, each (T,)."""
    return rated(seed, rate * np.array([Linear(size.steps)(t) for t in range(size.steps)]), size)


def rated(seed: int, rates: Array, size: Size) -> Arrays:
    """lambda midway along descent with a rate for each step: times, rates, sharpness, each (T,), NaN where it has diverged."""
    surface, x = surface_of(seed, size.prompts), start_of(seed)
    times = np.arange(0, len(rates), size.every)
    sharpness = np.full(len(times), np.nan)
    for t, eta in enumerate(rates.tolist()):
        new = x - eta * surface.grad(x)
        if not np.isfinite(new).all():
            break
        if t % size.every == 0:
            sharpness[t // size.every] = top_pairs(surface.hessian(0.5 * (x + new)), 1)[0][0]
        x = new
    return {"times": times, "rates": rates[times], "sharpness": sharpness}


def adams(seed: int, rate: float, beta1: float, beta2: float, size: Size) -> Arrays:
    """Adam's preconditioned sharpness midway over its edge (26.7), along the second half of a run: times, ratio, each (T,)."""
    return adam_runs(seed, rate, beta1, beta2, size, lambda t: 1.0)


def decaying_adams(seed: int, rate: float, beta1: float, beta2: float, size: Size) -> Arrays:
    """The same over the edge of the moment, while the rate falls linearly to 0 (29.9)."""
    return adam_runs(seed, rate, beta1, beta2, size, Linear(size.adam_steps))


def adam_runs(seed: int, rate: float, beta1: float, beta2: float, size: Size, schedule: Callable[[int], float]) -> Arrays:
    """What both measure, with the rate ``rate`` times schedule(t)."""
    surface, adam = surface_of(seed, size.prompts), Adam(rate, beta1, beta2)
    times = np.arange(size.adam_steps // 2, size.adam_steps, size.adam_every)
    ratio = np.full(len(times), np.nan)
    for t, before, after, state in descent(surface.grad, start_of(seed), Scheduled(adam, schedule), size.adam_steps):
        if t >= times[0] and (t - times[0]) % size.adam_every == 0:
            v_hat = state.inside.v / (1 - beta2**state.t)
            H = surface.hessian(0.5 * (before + after))
            sharpness = preconditioned_sharpness(H, v_hat, beta1, state.t, adam.eps)
            ratio[(t - times[0]) // size.adam_every] = sharpness / adam_edge(rate * schedule(t), beta1)
    return {"times": times, "ratio": ratio}


def flows(seed: int, rate: float, size: Size) -> Arrays:
    """Descent, central flow and gradient flow from one midpoint, ``flow_steps`` on; NaN where an end is not at the edge.

    edges: lambda_1 and lambda_2 midway at the start and at the end, over the edge (2, 2). moved: how far the midpoint went.
    central, gradient: distances of the flows from it. losses: of all three. central_sharpness: lambda of the central flow at its
    end, over the edge. control: 200 steps with a rate a tenth larger, how far they go on the quadratic model of the loss at the
    first midpoint and on the loss, and on the loss lambda midway over its edge, and the loss over that at the start (4,).
    """
    surface, wanted = surface_of(seed, size.prompts), (size.flow_start, size.flow_start + size.flow_steps)
    kept = {
        t: (before, after)
        for t, before, after, _ in descent(surface.grad, start_of(seed), SGD(rate), wanted[1] + 1)
        if t in wanted
    }
    found = {name: np.array(np.nan) for name in ("moved", "central", "gradient", "central_sharpness")}
    found |= {"edges": np.full((2, 2), np.nan), "losses": np.full(3, np.nan), "control": np.full(4, np.nan)}
    if wanted[1] not in kept:
        return found
    start, end = (0.5 * (kept[t][0] + kept[t][1]) for t in wanted)
    values, vectors = top_pairs(surface.hessian(start), BLOCK)
    found["edges"] = np.array([values[:2], top_pairs(surface.hessian(end))[0]]) / edge(rate)
    if not at_edge(found["edges"]).all():
        return found
    central, sharpness = central_flow(surface, start, vectors.reshape(-1, *start.shape), rate, size.flow_steps)
    straight = gradient_flow(surface, start, rate, size.flow_steps)
    return found | {
        "moved": distance(end, start), "central": distance(central, end), "gradient": distance(straight, end),
        "central_sharpness": np.array(sharpness / edge(rate)),
        "losses": np.array([surface.loss(x) for x in (end, central, straight)]),
        "control": control(surface, start, kept[wanted[0]][0], RAISED * rate),
    }  # fmt: skip


def control(surface: Objective, middle: Array, x: Array, rate: float) -> Array:
    """Steps of descent from x on the quadratic model of the loss at ``middle``, and on the loss: as ``flows`` has it. -> (4,)"""
    H, g, model = surface.hessian(middle), surface.grad(middle).ravel(), (x - middle).ravel()
    for _ in range(CONTROL_STEPS):
        model = model - rate * (g + H @ model)
    *_, (_, before, after, _) = descent(surface.grad, x, SGD(rate), CONTROL_STEPS)
    sharpness = top_pairs(surface.hessian(0.5 * (before + after)), 1)[0][0] / edge(rate)
    loss = surface.loss(after) / surface.loss(x)
    return np.array([distance(model, (x - middle).ravel()), distance(after, x), sharpness, loss])


def at_edge(values: Array) -> Array:
    """Whether lambda_1 is at the edge and alone there: values (.., 2), lambda_1 and lambda_2 over the edge -> (..)"""
    return (np.abs(values[..., 0] - 1) <= NEAR) & (values[..., 1] < ALONE)


def distance(x: Array, y: Array) -> Array:
    """The Euclidean distance."""
    return np.sqrt(((x - y) ** 2).sum())


def batches(seed: int, rate: float, batch: int, size: Size) -> Arrays:
    """Descent on batches drawn from a fixed set: lambda of the whole set midway, over the edge, in the last half of the run.

    -> times, ratio, each (T,), NaN from where the run diverged; losses of the whole set at these times.
    """
    surface, rng = surface_of(seed, size.many), np.random.default_rng([26, seed, batch])
    passes = surface.at(start_of(seed))[1]

    def grad(x: Array) -> Array:
        if batch == size.many:
            return surface.grad(x)
        drawn = rng.choice(size.many, batch, replace=False)
        return passes.loss_and_grad(x, passes.prepare(surface.Z[drawn], surface.y[drawn]))[1]

    times = np.arange(size.batch_steps // 2, size.batch_steps, size.batch_every)
    ratio, losses = np.full(len(times), np.nan), np.full(len(times), np.nan)
    for t, before, after, _ in descent(grad, start_of(seed), SGD(rate), size.batch_steps):
        if t >= times[0] and (t - times[0]) % size.batch_every == 0:
            k = (t - times[0]) // size.batch_every
            ratio[k] = top_pairs(surface.hessian(0.5 * (before + after)), 1)[0][0] / edge(rate)
            losses[k] = surface.loss(before)
    return {"times": times, "ratio": ratio, "losses": losses}
