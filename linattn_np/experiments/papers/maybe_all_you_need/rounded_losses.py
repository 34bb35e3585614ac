"""Which test losses hang on a rounding: the same runs once more, first weights off by 1e-7, as ``one_test_batch`` keeps them.

:func:`rounded` reads them back for the claims of ``adam_vs_sgd``.
"""

import numpy as np

from ...._types import Array
from ....training.runs import RunFolder
from ...curves import Numbers
from ...fragility import BATCHES, as_spreads, is_fragile, range_of, reruns
from ...measured import table
from ...robust import losses, middle, setting_on_batches
from ...scale import Scale
from ...settings import OPTIMIZERS, Setting
from .published import LOSSES, SCORED
from .settings import NAMES, many_batches


def rounding(folder: RunFolder, setting: Setting, scale: Scale, progress: bool | None) -> Numbers:
    """{optimizer: {iteration: seeds' losses of the runs and of one rerun of each}, "final_ratio": SGD over Adam at the end}"""
    batches = many_batches(scale, BATCHES)
    times = np.array(sorted({*(t for t in SCORED if t <= scale.steps), scale.steps}))
    found: Numbers = {}
    end: dict[str, list[Array]] = {}
    for o in OPTIMIZERS:
        own = setting_on_batches(folder, setting, o, scale, losses, times.tolist(), batches, progress)
        again = reruns(folder, setting, o, scale, times.tolist(), batches, "losses", 1, progress)
        medians = [middle(table(each, "losses", times), batches) for each in (own, *again)]  # (seeds, T) each
        end[o] = [values[:, -1] for values in medians]
        found[o] = {str(t): as_spreads(values[:, k] for values in medians) for k, t in enumerate(times.tolist())}
    found["final_ratio"] = as_spreads(sgd / adam for sgd, adam in zip(end["SGD"], end["Adam"], strict=True))
    return found


def rounded(claim_id: str, numbers: Numbers) -> list[Numbers] | None:
    """The runs of a claim of ``adam_vs_sgd`` and their reruns, as ``fragility.as_spreads`` gives them; None: not measured.

    numbers: the JSON of ``one_test_batch``.
    """
    found = numbers.get("rounding", {})  # a JSON of an earlier version has none
    for name in NAMES:
        if claim_id == f"adam_beats_sgd.{name}":
            return found.get(name, {}).get("final_ratio")
    for optimizer, t in LOSSES:
        if claim_id == f"test_loss.setting1.{optimizer.lower()}.{t}":
            return found.get("setting1", {}).get(optimizer, {}).get(str(t))
    return None


def in_words(found: Numbers) -> str:
    """What a rounding does to the ratio of the losses at the end."""
    low, high = range_of(found["final_ratio"], "median")
    verdict = "fragile" if is_fragile(found["final_ratio"], "median") else "not fragile"
    return f"SGD's loss over Adam's at the end, first weights off by 1e-7: {low:.3g} to {high:.3g}, {verdict}"
