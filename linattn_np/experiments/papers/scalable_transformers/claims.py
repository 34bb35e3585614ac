"""What is said of scalable Transformers, and where our numbers for it stand in the figure's JSON.

Second-hand but for the last: the paper's abstract, and numbers of its first author's port to vision. The rules were written
before the run at full scale. The settings of the toys were chosen on seeds and prompts other than those judged (``runs``).
``ASKED`` is what was asked of every seed beforehand; it decides no verdict, and stands beside those of which it says more.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np

from ...curves import Numbers, spread
from ...rules import Above, Row, Within, in_rows


def table(numbers: Numbers, panel: str, way: str) -> np.ndarray:
    """Accuracies (seeds, widths)."""
    return np.array(numbers[panel][way], float)


def at_half(numbers: Numbers, way: str) -> Numbers:
    """The accuracy of the translation at half width, for each seed."""
    return spread(table(numbers, "translation", way)[:, -2])


def behind_separate(numbers: Numbers, panel: str, way: str) -> Numbers:
    """The most by which separately trained models are better, over the narrow widths, for each seed."""
    return spread((table(numbers, panel, "separate") - table(numbers, panel, way))[:, :-1].max(axis=1))


def gain(numbers: Numbers, panel: str, least: bool = False) -> Numbers:
    """Three stages less three joint ones, over the narrow widths: the mean for each seed, or the least."""
    gaps = (table(numbers, panel, "stages") - table(numbers, panel, "joint"))[:, :-1]
    return spread(gaps.min(axis=1) if least else gaps.mean(axis=1))


def gain_of_full(numbers: Numbers, panel: str) -> Numbers:
    """At full width: three joint stages less the same model trained alone as long, for each seed."""
    return spread((table(numbers, panel, "joint") - table(numbers, panel, "separate"))[:, -1])


def farthest(numbers: Numbers, panel: str) -> Numbers:
    """The most that the stages move the accuracy of a narrow width, up or down, for each seed."""
    gaps = (table(numbers, panel, "stages") - table(numbers, panel, "joint"))[:, :-1]
    return spread(np.abs(gaps).max(axis=1))


class Asked(NamedTuple):
    """What was asked of every seed: its number at least ``low`` and at most ``high``."""

    words: str
    values: Callable[[Numbers], Numbers]
    low: float = -np.inf
    high: float = np.inf


ASKED = {
    "crop_alone": Asked("half width, cropped from full width alone: below 0.35", partial(at_half, way="full"), high=0.35),
    "joint": Asked("half width, joint: at least 0.95", partial(at_half, way="joint"), low=0.95),
    "separate": Asked("joint at most 0.10 behind separate models, at every narrow width",
                      partial(behind_separate, panel="translation", way="joint"), high=0.10),
    "stages_noise": Asked("40 % wrong labels: the stages gain 0.01 in the mean", partial(gain, panel="noisy"), low=0.01),
    "stages_everywhere": Asked("40 % wrong labels: no narrow width loses by the stages", partial(gain, panel="noisy", least=True),
                               low=0.0),
    "stages_clean": Asked("right labels: the stages move no narrow width by more than 0.01", partial(farthest, panel="clean"),
                          high=0.01),
}  # fmt: skip


def kept(numbers: Numbers, name: str) -> tuple[float, int, int]:
    """A line of ``ASKED``: the number of the seed farthest on its wrong side, and how many seeds keep it, of how many."""
    asked = ASKED[name]
    each = np.array(asked.values(numbers)["each_seed"], float)
    worst = each.min() if np.isfinite(asked.low) else each.max()
    return float(worst), int(((each >= asked.low) & (each <= asked.high)).sum()), len(each)


def kept_in_words(name: str, numbers: Numbers) -> str:
    """The same as a sentence."""
    worst, seeds, of = kept(numbers, name)
    return (
        f"asked of every seed: {ASKED[name].words}; {'met' if seeds == of else 'not met'}: {seeds} of {of} keep it, the worst "
        f"{worst:.4g}"
    )


def how_judged(numbers: Numbers) -> str:
    """On what it was judged, and what was asked of every seed."""
    on = numbers["judged_on"]
    chosen, judged = (", ".join(map(str, on[key])) for key in ("settings_chosen_on", "seeds"))
    return f"settings chosen on seeds {chosen} and other prompts, judged on seeds {judged}; {kept_in_words('joint', numbers)}"


CLAIMS = in_rows("scalable_transformers", "scalable.", "reported", (
    Row("crop_alone", "Weights trained at full width alone are of no use when cropped to half (accuracy; chance is 0.083)",
        "abstract, second-hand", "sharing parameters needs a training scheme of its own",
        lambda numbers: at_half(numbers, "full"), Within(0.0, 0.35), aside=partial(kept_in_words, "crop_alone")),
    Row("joint", "Trained jointly, the crop to half width translates (accuracy)",
        "abstract, second-hand", "one model contains models of several widths", lambda numbers: at_half(numbers, "joint"),
        Above(0.95, 0.5), aside=how_judged),
    Row("separate", "At every width the shared weights are within 0.10 of separately trained ones (most that they are behind)",
        "abstract, second-hand", "as good as models trained separately",
        lambda numbers: behind_separate(numbers, "translation", "joint"), Within(-1.0, 0.10),
        aside=partial(kept_in_words, "separate")),
    Row("stages_noise", "With wrong labels, word and sequence stages help the narrow widths (mean gain in accuracy)",
        "three-stage training, second-hand", "both self-distillation stages improve all widths",
        lambda numbers: gain(numbers, "noisy"), Above(0.01, 0.0), aside=partial(kept_in_words, "stages_noise")),
    Row("stages_everywhere", "With wrong labels they harm no narrow width (least gain)",
        "three-stage training, second-hand", "both self-distillation stages improve all widths",
        lambda numbers: gain(numbers, "noisy", least=True), Above(0.0, -0.005),
        aside=partial(kept_in_words, "stages_everywhere")),
    Row("stages_clean", "Without wrong labels they help, too (mean gain in accuracy)",
        "three-stage training, second-hand", "both self-distillation stages improve all widths",
        lambda numbers: gain(numbers, "clean"), Above(0.01, 0.0), aside=partial(kept_in_words, "stages_clean")),
    Row("separate_noise", "With wrong labels three stages are as good as separate models (most that they are behind)",
        "abstract, second-hand", "as good as models trained separately",
        lambda numbers: behind_separate(numbers, "noisy", "stages"), Within(-1.0, 0.01)),
    Row("full_model", "The full model gains from being trained with its crops (accuracy at full width, right labels)",
        "log of the port to vision", "81.8 to 82.5 on ImageNet, in the vision port",
        lambda numbers: gain_of_full(numbers, "clean"), Above(0.0, -0.01), tag="code"),
))  # fmt: skip
