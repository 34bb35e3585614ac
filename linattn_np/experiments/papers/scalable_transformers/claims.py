"""What is said of scalable Transformers, and where our numbers for it stand in the figure's JSON.

Second-hand but for the last: the paper's abstract, and numbers of its first author's port to vision. The rules were written before the
run at full scale.
"""

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


CLAIMS = in_rows("scalable_transformers", "scalable.", "reported", (
    Row("crop_alone", "Weights trained at full width alone are of no use when cropped to half (accuracy; chance is 0.083)",
        "abstract, second-hand", "sharing parameters needs a training scheme of its own",
        lambda numbers: at_half(numbers, "full"), Within(0.0, 0.35)),
    Row("joint", "Trained jointly, the crop to half width translates (accuracy)",
        "abstract, second-hand", "one model contains models of several widths", lambda numbers: at_half(numbers, "joint"),
        Above(0.95, 0.5)),
    Row("separate", "At every width the shared weights are within 0.10 of separately trained ones (most that they are behind)",
        "abstract, second-hand", "as good as models trained separately",
        lambda numbers: behind_separate(numbers, "translation", "joint"), Within(-1.0, 0.10)),
    Row("stages_noise", "With wrong labels, word and sequence stages help the narrow widths (mean gain in accuracy)",
        "three-stage training, second-hand", "both self-distillation stages improve all widths",
        lambda numbers: gain(numbers, "noisy"), Above(0.01, 0.0)),
    Row("stages_everywhere", "With wrong labels they harm no narrow width (least gain)",
        "three-stage training, second-hand", "both self-distillation stages improve all widths",
        lambda numbers: gain(numbers, "noisy", least=True), Above(0.0, -0.005)),
    Row("stages_clean", "Without wrong labels they help, too (mean gain in accuracy)",
        "three-stage training, second-hand", "both self-distillation stages improve all widths",
        lambda numbers: gain(numbers, "clean"), Above(0.01, 0.0)),
    Row("separate_noise", "With wrong labels three stages are as good as separate models (most that they are behind)",
        "abstract, second-hand", "as good as models trained separately",
        lambda numbers: behind_separate(numbers, "noisy", "stages"), Within(-1.0, 0.01)),
    Row("full_model", "The full model gains from being trained with its crops (accuracy at full width, right labels)",
        "log of the port to vision", "81.8 to 82.5 on ImageNet, in the vision port",
        lambda numbers: gain_of_full(numbers, "clean"), Above(0.0, -0.01), tag="code"),
))  # fmt: skip
