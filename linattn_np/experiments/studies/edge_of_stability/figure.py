"""Midpoint Hessian at 2/eta, that it follows the rate, momentum and Adam, the cubic amplitude, the central flow, small
batches.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from ...._types import Array
from ....training.runs import RunFolder
from ...curves import Numbers
from ...measured import kept_each
from ...scale import Scale, counted
from . import claims, measurements
from .claims import CLAIMS
from .edges import edge
from .measurements import Size
from .panels import draw

__all__ = ["ALT", "CLAIMS", "SECONDS", "TITLE", "draw", "measure", "sizes", "summary"]

TITLE = "The edge of stability: where the largest curvature stops, why it stops there, and when it does not get there"
SECONDS = {"paper": 330, "quick": 13}
ALT = (
    "Ten panels. The largest curvature over 2/eta along descent, each seed, midway between iterates: lines rise and stop at 1. "
    "The same for one seed at the iterates and midway: the iterates lie above and below, the midpoints on 1. Medians of each "
    "seed for four rates and for the heavy ball: dots at 1 or below. The curvature while the rate is halved and brought back, "
    "with 2/eta as a staircase. Adam's preconditioned curvature against its predicted edge for four beta1, dots on the diagonal "
    "over a factor of 39. Half the jump squared against 2a/b, dots on the diagonal. Distances of central flow and gradient flow "
    "from descent for each run. The curvature over 2/eta against the batch size: it falls as batches get smaller. The curvature "
    "while the rate falls linearly to 0, with 2/eta as a dashed line that rises away. Adam's medians over its edge for four "
    "beta1, at a constant rate and at one that falls to 0."
)
FIRST_SEED = 20  # 0 to 5 were used to find the effects


def size_of(scale: Scale) -> tuple[Size, int]:
    """How long the runs are, and the number of seeds."""
    if scale.name == "paper":
        return Size(), 8
    if scale.name == "quick":
        return Size(64, 600, 35, 300, 30, (300, 300, 100, 100), 300, 100, 1024, 400, 100), min(scale.seeds, 2)
    return Size(scale.batch, 40, 13, 20, 5, (10, 10, 10, 10), 10, 10, 1024, 20, 10), scale.seeds


def sizes(scale: Scale) -> str:
    """What is run at this scale."""
    size, seeds = size_of(scale)
    return (
        f"{counted(size.steps, 'step')} of descent on a fixed batch of {size.prompts}, {len(claims.RATES)} rates and the heavy "
        f"ball; Adam, {len(claims.BETAS)} beta1, {counted(size.adam_steps, 'step')}; flows over "
        f"{counted(size.flow_steps, 'step')}; {counted(size.batch_steps, 'step')} on batches out of {size.many:,}; "
        f"{counted(seeds, 'seed')} from {FIRST_SEED}"
    )


def measure(folder: RunFolder, scale: Scale, progress: bool | None = None) -> Numbers:
    """Run what is missing: plain numbers, ready for JSON."""
    size, count = size_of(scale)
    seeds = range(FIRST_SEED, FIRST_SEED + count)

    def every(function: Callable[..., Any], label: str, *settings: tuple[Any, ...]) -> list[list[dict[str, Array]]]:
        """The function's arrays for each setting and seed."""
        arguments = [(seed, *setting, size) for setting in settings for seed in seeds]
        told = [{"seed": a[0], "setting": a[1:-1], "size": size._asdict()} for a in arguments]
        found = kept_each(folder, f"edge_of_stability_{function.__name__}", told, function, arguments, label, progress)
        return [found[k * count : (k + 1) * count] for k in range(len(settings))]

    runs = {f"{rate:g}": (rate, 0.0) for rate in claims.RATES} | {"momentum": (claims.MOMENTUM_RATE, claims.MOMENTUM)}
    hover = every(measurements.hover, "descent", *runs.values())
    follow = every(measurements.follow, "the rate halved", (claims.FOLLOW_RATE,))[0]
    decay = every(measurements.decaying, "the rate falling to 0", (claims.DECAY_RATE,))[0]
    pairs = [(beta1, beta2) for beta2 in claims.BETA2 for beta1 in claims.BETAS]
    adam = every(measurements.adams, "Adam", *((claims.ADAM_RATE, *pair) for pair in pairs))
    falling = [(claims.ADAM_RATE, beta1, claims.BETA2[0]) for beta1 in claims.BETAS]
    decay_adam = every(measurements.decaying_adams, "Adam, the rate falling to 0", *falling)
    flows = [one for found in every(measurements.flows, "flows", *((rate,) for rate in claims.FLOW_RATES)) for one in found]
    batches = every(measurements.batches, "batches", *((claims.BATCH_RATE, batch) for batch in claims.BATCHES))
    return {
        "sizes": sizes(scale),
        "run_seeds": list(seeds),
        "hover": {name: along(found, edge(*runs[name])) for name, found in zip(runs, hover, strict=True)},
        "follow": {
            "times": follow[0]["times"].tolist(), "rates": follow[0]["rates"].tolist(),
            "midpoint": numbers_of([one["sharpness"] / edge(claims.FOLLOW_RATE) for one in follow]),
        },
        "adam": {
            f"{b1:g}, {b2:g}": numbers_of([np.median(one["ratio"]) for one in f])
            for (b1, b2), f in zip(pairs, adam, strict=True)
        },
        "decay": {
            "times": decay[0]["times"].tolist(), "rates": decay[0]["rates"].tolist(),
            "sharpness": numbers_of([one["sharpness"] for one in decay]),
        },
        "decay_adam": {
            f"{beta1:g}": numbers_of([np.median(one["ratio"]) for one in f])
            for beta1, f in zip(claims.BETAS, decay_adam, strict=True)
        },
        "flows": {
            "rates": [rate for rate in claims.FLOW_RATES for _ in seeds], "seeds": [*seeds] * len(claims.FLOW_RATES),
            **{name: numbers_of([one[name] for one in flows]) for name in flows[0]},
        },
        "batches": {str(batch): numbers_of([np.median(one["ratio"]) for one in f]) for batch, f in zip(claims.BATCHES, batches,
            strict=True)},
        "batch_losses": {str(batch): numbers_of([one["losses"][-1] for one in f]) for batch, f in zip(claims.BATCHES, batches,
            strict=True)},
    }  # fmt: skip


def along(found: list[dict[str, Array]], limit: float) -> Numbers:
    """The runs of one rate: curvatures over the edge, the two sides of (26.11), and losses, each (seeds, T)."""
    met = np.array([one["met"] for one in found])
    return {
        "times": found[0]["times"].tolist(), "midpoint": numbers_of(met[..., 0] / limit),
        "second": numbers_of(met[..., 1] / limit),
        "iterate": numbers_of(met[..., 2] / limit), "measured": numbers_of(met[..., 3]), "predicted": numbers_of(met[..., 4]),
        "loss": numbers_of([one["losses"] for one in found]),
    }  # fmt: skip


def numbers_of(values: Any) -> Any:
    """Arrays as nested lists."""
    return np.asarray(values, float).tolist()


def summary(numbers: Numbers) -> str:
    """What came out, in words."""

    def row(values: Any, digits: int = 2) -> str:
        return " ".join(f"{value:.{digits}f}" for value in np.array(values, float).ravel())

    lines = [f"seeds {', '.join(map(str, numbers['run_seeds']))}"]
    for run in numbers["hover"]:
        share = claims.hovering(run, numbers)["each_seed"]
        lines.append(
            f"descent {run}: median midpoint over the edge {row(np.median(claims.midway(numbers, run), axis=1))}; within 5 %: "
            f"{row(share)}"
        )
    lines.append(f"halved and back, over the first edge: {'; '.join(row(one) for one in claims.ends_of_phases(numbers))}")
    lines += [f"Adam, beta1, beta2 = {key}, over its edge: {row(values)}" for key, values in numbers["adam"].items()]
    lines.append(
        f"rate falling to 0: shares of times within 5 % of 2/eta_t {row(claims.decay_hovers(numbers)['each_seed'])}; Adam, "
        f"{claims.decay_adam_in_words(numbers)}"
    )
    lines.append(f"c^2 over 2a/b: {row(claims.amplitudes(claims.AMPLITUDE_RATES, numbers)['each_seed'])}")
    ratio, error = (row(read(numbers)["each_seed"], digits) for read, digits in ((claims.flow_ratio, 1), (claims.flow_error, 4)))
    lines.append(f"gradient flow over central flow: {ratio}; error of the central flow: {error}")
    lines += [f"batch {batch}: lambda over 2/eta {row(values)}" for batch, values in numbers["batches"].items()]
    return "\n".join(lines)
