"""Training the scalar layers, and what they are held against: a tuned fixed step and Chebyshev's steps.

Every network is trained as every other: Adam, the rate lowered along half a cosine, gradients clipped, a few starts of which the
best on the training graphs is kept. Which scalars may move is all that differs.
"""

from typing import Any, NamedTuple

import numpy as np

from ...._types import Array
from ....optimizers import Adam, Cosine, Scheduled
from .graphs import Spectra, random_spectra
from .scalar_layer import NAMES, loss, loss_and_grad, run, wanted

MODES = {  # the scalars that are learned
    "B frozen": ("v", "r", "s"),
    "B only scaled": ("v", "r", "s", "rho"),
    "B updated": ("v", "r", "s", "rho", "u"),
    "B and demands updated": NAMES,
}
POWERS = {"electric": -1.0, "resistive": -0.5}  # the potentials that are wanted, as a power of L
DEPTHS = (1, 3, 5, 7, 9)
TEST_SEED = 99
STD = 0.1  # of the random part of the first scalars, as in the released code
ADAM = Adam(0.02, beta1=0.9, beta2=0.99)  # the released code's, where one layer has this rate
CLIP = 1.0  # as in the released code
TUNING_GRAPHS = 300  # on which the baselines' steps are chosen


class Size(NamedTuple):
    """How much one network is trained."""

    iterations: int = 600
    graphs: int = 2000
    batch: int = 256
    starts: int = 4
    test_graphs: int = 1000


def data(seed: int, kind: str, size: Size) -> tuple[Spectra, Spectra]:
    """Training graphs of a seed and the test graphs, which are the same for every seed; L in units of the mean lambda_max."""
    train = random_spectra(np.random.default_rng(seed), size.graphs, kind)
    test = random_spectra(np.random.default_rng(TEST_SEED), size.test_graphs, kind)
    unit = train.l[:, -1].mean()
    return Spectra(train.l / unit, train.q), Spectra(test.l / unit, test.q)


def first_scalars(rng: np.random.Generator, mode: str, layers: int, starts: int) -> Array:
    """(starts, layers, 6): the electric flow's step, v = -1 and r = 1, plus noise; what is not learned is 0."""
    names = np.array(NAMES)
    step = (names == "r").astype(float) - (names == "v")
    return np.isin(names, MODES[mode]) * (step + STD * rng.standard_normal((starts, layers, len(names))))


def train(mode: str, task: str, kind: str, layers: int, seed: int, size: Size) -> dict[str, Array]:
    """Train the scalars that a mode leaves free, and keep the start that is best on the training graphs.

    -> {"loss": its test loss (), "scalars" (layers, 6), "condition" (layers + 1,): see :func:`conditions`}.
    Cost O(iterations starts layers batch n).
    """
    seen, unseen = data(seed, kind, size)
    target, free = wanted(*seen, POWERS[task]), np.isin(NAMES, MODES[mode])
    rng = np.random.default_rng([seed, layers])
    w = first_scalars(rng, mode, layers, size.starts)
    optimizer = Scheduled(ADAM, Cosine(size.iterations))
    state = optimizer.init(w)
    with np.errstate(all="ignore"):  # a start that diverges is not the best one
        for _ in range(size.iterations):
            some = rng.integers(0, size.graphs, size.batch)
            grad = loss_and_grad(w, seen.l[some], seen.q[some], target[some])[1] * free
            norms = np.sqrt((grad * grad).sum(axis=(1, 2), keepdims=True))
            w, state = optimizer.update(w, grad * np.minimum(1, CLIP / np.maximum(norms, 1e-300)), state)
        best = chosen(w, task, seen)
        found = loss(best, *unseen, wanted(*unseen, POWERS[task]))[0]
        return {"loss": found, "scalars": best[0], "condition": conditions(best, unseen.l)}


def chosen(candidates: Array, task: str, seen: Spectra) -> Array:
    """Of networks (S, layers, 6) the one with the least loss on these graphs. -> (1, layers, 6)"""
    losses = loss(candidates, *seen, wanted(*seen, POWERS[task]))
    return candidates[np.argmin(np.where(np.isfinite(losses), losses, np.inf))][None]


def conditions(weights: Array, l: Array) -> Array:
    """The median over graphs of lambda_max / lambda_min of B B^T before each layer, and after the last. -> (layers + 1,)"""
    last, tapes = run(weights, l)
    every = [*(tape.state.l[0] for tape in tapes), last.l[0]]
    return np.array([np.median(each.max(axis=-1) / each.min(axis=-1)) for each in every])


def every_depth(mode: str, task: str, kind: str, seed: int, size: Size) -> dict[str, Array]:
    """:func:`train` at each of DEPTHS. -> {"loss": (depths,), "condition": (depths, 10), 0 after a network's end}"""
    found = [train(mode, task, kind, layers, seed, size) for layers in DEPTHS]
    condition = np.zeros((len(DEPTHS), DEPTHS[-1] + 1))
    for row, each in zip(condition, found, strict=True):
        row[: len(each["condition"])] = each["condition"]
    return {"loss": np.array([each["loss"] for each in found]), "condition": condition}


# ---------------------------------------------------------------- what they are held against


def steps_to_scalars(deltas: Array) -> Array:
    """Scalars (S, layers, 6) of gradient descent with steps (S, layers)."""
    out = np.zeros((*deltas.shape, len(NAMES)))
    out[..., NAMES.index("v")], out[..., NAMES.index("r")] = -deltas, deltas
    return out


def chebyshev_steps(low: Any, high: Any, layers: int) -> Array:
    """The steps 1 / root of Chebyshev's polynomial T_layers on [low, high]. low, high numbers or (S,) -> (.., layers)"""
    roots = np.cos(np.pi * (np.arange(layers) + 0.5) / layers)
    low, high = np.asarray(low)[..., None], np.asarray(high)[..., None]
    return 1 / ((high + low) / 2 + (high - low) / 2 * roots)


def baselines(kind: str, seed: int, size: Size, most: int = 13) -> dict[str, Array]:
    """Test losses of the electric flow by 1 to ``most`` steps: one fixed step, and Chebyshev's, tuned at each number. -> (most,)

    The step, or the two ends of Chebyshev's interval, are the best of a grid on the first training graphs.
    """
    seen, unseen = data(seed, kind, size)
    some, target = Spectra(seen.l[:TUNING_GRAPHS], seen.q[:TUNING_GRAPHS]), wanted(*unseen, -1.0)
    fixed = np.geomspace(0.3, 2.0, 30)[:, None]
    low, high = (each.ravel() for each in np.meshgrid(np.geomspace(0.02, 0.5, 20), np.linspace(0.8, 1.7, 14)))
    found: dict[str, list[float]] = {"fixed step": [], "Chebyshev": []}
    for layers in range(1, most + 1):
        for name, steps in (("fixed step", np.repeat(fixed, layers, axis=1)), ("Chebyshev", chebyshev_steps(low, high, layers))):
            with np.errstate(all="ignore"):  # steps that diverge are not the best
                found[name].append(loss(chosen(steps_to_scalars(steps), "electric", some), *unseen, target)[0])
    return {name: np.array(values) for name, values in found.items()}
