"""What is said of scalable Transformers, and where our numbers for it stand in the figure's JSON.

Second-hand but for the last: the paper's abstract, and numbers of its first author's port to vision. The rules were written before the
run at full scale.
"""

from typing import Any

import numpy as np

from ...curves import Numbers, spread
from ...rules import Above, Claim, Within


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


CITED: dict[str, Any] = {"figure": "scalable_transformers"}
CLAIMS = (
    Claim(
        id="scalable.crop_alone", statement="Weights trained at full width alone are of no use when cropped to half (accuracy; chance is 0.083)",
        where="abstract, second-hand", reported="sharing parameters needs a training scheme of its own",
        values=lambda numbers: at_half(numbers, "full"), rule=Within(0.0, 0.35), **CITED,
    ),
    Claim(
        id="scalable.joint", statement="Trained jointly, the crop to half width translates (accuracy)",
        where="abstract, second-hand", reported="one model contains models of several widths",
        values=lambda numbers: at_half(numbers, "joint"), rule=Above(0.95, 0.5), **CITED,
    ),
    Claim(
        id="scalable.separate", statement="At every width the shared weights are within 0.10 of separately trained ones (most that they are behind)",
        where="abstract, second-hand", reported="as good as models trained separately",
        values=lambda numbers: behind_separate(numbers, "translation", "joint"), rule=Within(-1.0, 0.10), **CITED,
    ),
    Claim(
        id="scalable.stages_noise", statement="With wrong labels, word and sequence stages help the narrow widths (mean gain in accuracy)",
        where="three-stage training, second-hand", reported="both self-distillation stages improve all widths",
        values=lambda numbers: gain(numbers, "noisy"), rule=Above(0.01, 0.0), **CITED,
    ),
    Claim(
        id="scalable.stages_everywhere", statement="With wrong labels they harm no narrow width (least gain)",
        where="three-stage training, second-hand", reported="both self-distillation stages improve all widths",
        values=lambda numbers: gain(numbers, "noisy", least=True), rule=Above(0.0, -0.005), **CITED,
    ),
    Claim(
        id="scalable.stages_clean", statement="Without wrong labels they help, too (mean gain in accuracy)",
        where="three-stage training, second-hand", reported="both self-distillation stages improve all widths",
        values=lambda numbers: gain(numbers, "clean"), rule=Above(0.01, 0.0), **CITED,
    ),
    Claim(
        id="scalable.separate_noise", statement="With wrong labels three stages are as good as separate models (most that they are behind)",
        where="abstract, second-hand", reported="as good as models trained separately",
        values=lambda numbers: behind_separate(numbers, "noisy", "stages"), rule=Within(-1.0, 0.01), **CITED,
    ),
    Claim(
        id="scalable.full_model", statement="The full model gains from being trained with its crops (accuracy at full width, right labels)",
        where="log of the port to vision", code="81.8 to 82.5 on ImageNet, in the vision port",
        values=lambda numbers: gain_of_full(numbers, "clean"), rule=Above(0.0, -0.01), **CITED,
    ),
)  # fmt: skip
