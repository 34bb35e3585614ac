"""What is trained for the figure, a seed at a time: the translation in five ways, and the noise panel with and without wrong
labels.

Heads, rates, batches and iterations of both tasks were chosen on other seeds, ``CHOSEN``, than those they are judged on,
``JUDGED``.
"""

from typing import Any, NamedTuple

import numpy as np

from ...._types import Array
from ....training.runs import RunFolder
from ...curves import Numbers
from ...measured import kept_each
from ...scale import Scale
from . import noisy, translation
from .block import Params
from .nested import add_fused, crop_fused, cropped
from .training import Crop, Net, accuracy, train

CHOSEN = (0, 1, 2)  # seeds of the pilot runs that settled the settings
JUDGED = (10, 11, 12, 13, 14)  # seeds of the figure, in no pilot run


class Sizes(NamedTuple):
    """What a scale runs."""

    seeds: tuple[int, ...]
    iterations: int  # of the translation
    stage: int  # iterations of a stage of the noise panel


def sized(scale: Scale) -> Sizes:
    """The sizes of a scale; the seeds of ``JUDGED``, at small scales some of them."""
    part = {"paper": 1.0, "quick": 0.1}.get(scale.name, 0.02)
    return Sizes(
        JUDGED[: len(JUDGED) if part == 1 else min(2, scale.seeds)],
        round(part * translation.ITERATIONS),
        round(part * noisy.ITERATIONS),
    )


def at_widths(net: Net, params: Params, widths: tuple[int, ...], x: Array, y: Array, crop: Any = None) -> Array:
    """The accuracy of every width of one set of weights."""
    take = crop or (lambda params, width: cropped(params, net.shapes(width)))
    return np.array([accuracy(net, take(params, width), x, y) for width in widths])


def translate(seed: int, iterations: int) -> dict[str, Array]:
    """Accuracies at all widths: full, joint, word (half joint, half with the wide model's answers), fused, and separate
    models.
    """
    net, widths, draw = translation.NET, translation.WIDTHS, translation.draw_batch
    x, y = translation.test_set()
    narrow, found = widths[:-1], {}

    def run(width: int, stages: dict[str, int], crop: Crop | None = None) -> Params:
        params, rng = net.init(np.random.default_rng(seed), width), np.random.default_rng([seed, 1])
        for stage, steps in stages.items():
            params = train(net, params, draw, steps, translation.RATE, rng, stage, narrow, crop)
        return params

    for name, stages in {
        "full": {"full": iterations}, "joint": {"joint": iterations},
        "word": {"joint": iterations - iterations // 2, "word": iterations // 2},
    }.items():  # fmt: skip
        found[name] = at_widths(net, run(widths[-1], stages), widths, x, y)
    fused = Crop(crop_fused, add_fused)
    found["fused"] = at_widths(net, run(widths[-1], {"joint": iterations}, fused), widths, x, y, crop_fused)
    alone = [accuracy(net, run(width, {"full": iterations}), x, y) for width in narrow]
    return {**found, "separate": np.array([*alone, found["full"][-1]])}


def learn_from_noise(seed: int, noise: float, stage: int) -> dict[str, Array]:
    """Accuracies on right labels at all widths: full, three stages, three joint stages, separate models; equal iterations but
    "full".
    """
    net, widths, known = noisy.NET, noisy.WIDTHS, noisy.data(seed, noise)
    draw, narrow = noisy.draw_from(known), widths[:-1]

    def run(width: int, stages: tuple[str, ...], first: Params | None = None, stream: int = 1) -> Params:
        params = net.init(np.random.default_rng(seed), width) if first is None else first
        rng = np.random.default_rng([seed, stream])
        for name in stages:
            params = train(net, params, draw, stage, noisy.RATE, rng, name, narrow)
        return params

    def read(params: Params) -> Array:
        return at_widths(net, params, widths, known.test_x, known.test_y)

    shared = run(widths[-1], ("joint",))
    alone = [accuracy(net, run(width, ("full",) * 3), known.test_x, known.test_y) for width in widths]
    return {
        "full": read(run(widths[-1], ("full",))), "separate": np.array(alone),
        "stages": read(run(widths[-1], ("word", "sequence"), shared, 2)),
        "joint": read(run(widths[-1], ("joint", "joint"), shared, 2)),
    }  # fmt: skip


def trained(folder: RunFolder, sizes: Sizes, progress: bool | None = None) -> Numbers:
    """{"translation" and the two noise panels: {way: a list of the widths for each seed}}, kept from before or trained now."""
    seeds = sizes.seeds
    found: Numbers = {}
    described = [{"seed": seed, "iterations": sizes.iterations, "test": translation.TEST_SEED} for seed in seeds]
    arrays = kept_each(
        folder, "translation", described, translate, [(s, sizes.iterations) for s in seeds], "translation", progress
    )
    found["translation"] = {"widths": list(translation.WIDTHS), **together(arrays)}
    cases = [(seed, noise) for noise in (noisy.NOISE, 0.0) for seed in seeds]
    panels = [{"seed": seed, "noise": noise, "stage": sizes.stage} for seed, noise in cases]
    arrays = kept_each(
        folder, "noise", panels, learn_from_noise, [(*case, sizes.stage) for case in cases], "noise panel", progress
    )
    for at, name in enumerate(("noisy", "clean")):
        found[name] = {"widths": list(noisy.WIDTHS), **together(arrays[at * len(seeds) : (at + 1) * len(seeds)])}
    return found


def together(arrays: list[dict[str, Array]]) -> Numbers:
    """{way: a list of the widths for each seed}."""
    return {name: [each[name].tolist() for each in arrays] for name in arrays[0]}
