"""What the study says, each sentence with its number and the rule that judges it, written before the run.

A number is a ratio of test losses of the same seed, each method at its own best rate; the ranges are what earlier runs on other
seeds let expect. Where a run is lost its ratio is missing, and the words beside the claim count it.
"""

from functools import partial
from typing import Any

from ...rules import Above, Claim, Row, Within, in_rows
from .readings import (
    bases,
    bases_in_words,
    control,
    exponent,
    in_words,
    larger_batch,
    last_over_first,
    last_q,
    ratio,
    speed_up,
    whole_step,
)

FIGURE = "why_depth_favours_adam"


def _ratio(name: str, statement: str, layers: int, method: str, than: str, theirs: str, rule: Any, constant: bool = False) -> Row:
    asked: Any = {"layers": layers, "method": method, "than": than, "schedule": "constant" if constant else "linear"}
    where = f"{layers} layers" + (", constant rate" if constant else "")
    return Row(name, statement, where, theirs, partial(ratio, **asked), rule, partial(in_words, **asked))


SIX = "6 layers"
ROWS = (
    _ratio("gap_2", "Two layers: SGD's loss is Adam's", 2, "SGD", "Adam", "1.0", Within(0.9, 1.1)),
    _ratio("gap_3", "The lead of Adam over SGD as the paper trains them", 3, "SGD", "Adam", "5.8 to 7.2", Above(5, 1)),
    _ratio("gap_4", "The same lead is larger with a layer more", 4, "SGD", "Adam", "39 to 53", Above(30, 1)),
    _ratio("gap_6", "The lead of Adam over SGD grows with depth", 6, "SGD", "Adam", "390 to 1000", Above(250, 1)),
    _ratio("rescued_3", "SGD with a tight clip and layer rates is not behind the paper's Adam",
           3, "SGD, both", "Adam", "0.98 to 1.01", Within(0, 1.3)),
    _ratio("rescued_4", "SGD with a tight clip and layer rates is ahead of the paper's Adam, or not behind",
           4, "SGD, both", "Adam", "0.63 to 0.69", Within(0, 1.3)),
    _ratio("rescued_6", "SGD with a tight clip and layer rates is ahead of the paper's Adam, or not behind",
           6, "SGD, both", "Adam", "0.17 to 0.41", Within(0, 1.3)),
    _ratio("clip_3", "Adam's lead where it gets the same tight clip",
           3, "SGD, tight clip", "Adam, tight clip", "1.6", Within(1.2, 2.2)),
    _ratio("clip_4", "Adam's lead grows where it gets the same tight clip",
           4, "SGD, tight clip", "Adam, tight clip", "14", Within(7, 28)),
    _ratio("clip_6", "From four to six layers the lead at equal tight clip stays",
           6, "SGD, tight clip", "Adam, tight clip", "12 to 15", Within(6, 30)),
    _ratio("clip_helps_4", "The tight clip helps Adam itself",
           4, "Adam", "Adam, tight clip", "3.5", Above(1.7, 1)),
    _ratio("clip_helps_6", "The tight clip helps Adam itself, more at more layers",
           6, "Adam", "Adam, tight clip", "18", Above(5, 1)),
    _ratio("rates_help_4", "Layer rates help Adam itself", 4, "Adam", "Adam, layer rates", "9", Above(4, 1)),
    _ratio("rates_help_6", "Layer rates help Adam itself, more at more layers",
           6, "Adam", "Adam, layer rates", "60", Above(15, 1)),
    _ratio("rates_4", "Layer rates for both at the paper's clip: Adam's lead",
           4, "SGD, layer rates", "Adam, layer rates", "some 28", Above(8, 1)),
    _ratio("rates_6", "Layer rates for both at the paper's clip: Adam's lead grows",
           6, "SGD, layer rates", "Adam, layer rates", "thousands", Above(500, 1)),
    _ratio("both_3", "Tight clip and layer rates for both: no lead where both are at the model's floor",
           3, "SGD, both", "Adam, both", "1", Within(0.85, 1.2)),
    _ratio("both_4", "Tight clip and layer rates for both: a lead remains",
           4, "SGD, both", "Adam, both", "at least 3.7", Above(2, 1)),
    _ratio("both_6", "Tight clip and layer rates for both: the growth with depth is not removed",
           6, "SGD, both", "Adam, both", "at least 12", Above(8, 1)),
    _ratio("reversed_4", "Control: layer rates the wrong way round do harm",
           4, "SGD, tight clip, rates reversed", "SGD, tight clip", "7 at three layers", Above(2, 1)),
    _ratio("reversed_6", "Control: layer rates the wrong way round do harm",
           6, "SGD, tight clip, rates reversed", "SGD, tight clip", "7 at three layers", Above(2, 1)),
    _ratio("layer_3", "One second moment for each layer does what Adam does",
           3, "each layer", "Adam", "0.99 to 1.01", Within(0.85, 1.2)),
    _ratio("layer_6", "One second moment for each layer is within a factor of 2.5 of Adam",
           6, "each layer", "Adam", "1.0 to 2.7", Within(0.4, 2.5)),
    _ratio("one_3", "One second moment for all does not", 3, "one scalar", "Adam", "2.7 to 2.9", Above(2.2, 1)),
    _ratio("one_6", "The distance of one second moment for all grows with depth",
           6, "one scalar", "Adam", "50 to 100", Above(20, 1)),
    _ratio("constant_3", "At a constant rate Adam leads", 3, "SGD", "Adam", "3 to 4", Above(2, 1), True),
    _ratio("constant_6", "At a constant rate the lead grows, though less", 6, "SGD", "Adam", "35", Above(10, 1), True),
    _ratio("constant_rescued_6", "At a constant rate SGD with both is ahead of the paper's Adam",
           6, "Adam", "SGD, both", "7", Above(2, 1), True),
    _ratio("constant_both_6", "At a constant rate, both for both: a lead remains",
           6, "SGD, both", "Adam, both", "not known", Above(2, 1), True),
    Row("exponent_sgd", "SGD's loss falls with the budget T as a power (exponent), 250 to 4000 steps", "3 layers", "-0.72",
        partial(exponent, layers=3, method="SGD"), Within(-0.9, -0.6)),
    Row("exponent_adam", "Adam's loss falls faster (exponent), up to 1000 steps", "3 layers", "-1.5",
        partial(exponent, layers=3, method="Adam"), Within(-5, -1.3)),
    Row("exponent_sgd_6", "SGD's exponent is hardly steeper", SIX, "-0.97",
        partial(exponent, layers=6, method="SGD"), Within(-1.25, -0.7)),
    Row("exponent_adam_6", "Adam's exponent is much steeper", SIX, "-2.8",
        partial(exponent, layers=6, method="Adam"), Within(-5, -2.1)),
    Row("speed_3", "Adam needs so many times fewer steps for SGD's loss", "3 layers", "6",
        partial(speed_up, layers=3), Within(4, 10)),
    Row("speed_6", "The speed-up grows mildly, while the ratio of losses explodes", SIX, "12",
        partial(speed_up, layers=6), Within(8, 20)),
    Row("speed_clip_6", "Adam needs so many times fewer steps where it gets the same tight clip", SIX, "not known",
        partial(speed_up, layers=6, adam="Adam, tight clip", sgd="SGD, tight clip"), Within(1.2, 8)),
    Row("covariates_3", "A layer hands on smaller covariates: tr S in the last layer over the first, Adam", "3 layers", "0.10",
        partial(last_over_first, layers=3, row=0), Within(0, 0.25)),
    Row("covariates_6", "A layer hands on smaller covariates: tr S in the last layer over the first, Adam",
        SIX, "0.18 to 0.25", partial(last_over_first, layers=6, row=0), Within(0, 0.35)),
    Row("weights_3", "So the last layer needs a larger Q: |Q| over that of the first", "3 layers", "24",
        partial(last_over_first, layers=3, row=1), Above(8, 1)),
    Row("gradients_3", "And gets a smaller gradient by Q: last over first", "3 layers", "0.09",
        partial(last_over_first, layers=3, row=2), Within(0, 0.3)),
    Row("last_q_6", "SGD's last Q stays behind Adam's", SIX, "0.17", partial(last_q, layers=6), Within(0, 0.6)),
    *(
        Row(f"whole_{L}", "Adam's last layer has a Q of one over the scale of its covariates (their product)", f"{L} layers",
            "1", partial(whole_step, layers=L), Within(0.6, 1.6))
        for L in (3, 4, 6)
    ),
    *(
        Row(f"base_{kind.lower()}_{L}", f"The base of the layer rates that is best for {kind} over the one that the covariates "
            "say", f"{L} layers", "1", partial(bases, layers=L, method=f"{kind}, both"), Within(0.4, 2.5),
            partial(bases_in_words, layers=L, method=f"{kind}, both"))
        for L in (4, 6) for kind in ("SGD", "Adam")
    ),
    Row("late", "Control: Adam for 300 steps, then SGD, over Adam: SGD is slow late", SIX, "200 or more",
        partial(control, name="Adam, then SGD", than="Adam"), Above(30, 1)),
    Row("late_sgd", "Control: Adam for 300 steps, then SGD, over SGD: Adam's start hardly helps it", SIX, "0.3 at eight layers",
        partial(control, name="Adam, then SGD", than="SGD"), Within(0.1, 1.5)),
    Row("early", "Control: SGD for 300 steps, then Adam, over Adam: SGD's start hardly harms it", SIX, "1 to 3 at eight layers",
        partial(control, name="SGD, then Adam", than="Adam"), Within(0.3, 3)),
    Row("chebyshev_sgd", "Control: a start at Chebyshev step lengths does not help SGD (over its usual start)", SIX, "0.9",
        partial(control, name="SGD, Chebyshev start", than="SGD"), Within(0.6, 1.6)),
    Row("chebyshev_adam", "Control: nor Adam (over its usual start)",
        SIX, "1.0", partial(control, name="Adam, Chebyshev start", than="Adam"), Within(0.5, 2)),
    Row("floor", "Control: the lead is there at four times the batch, so it is no noise floor of SGD", SIX,
        "14,000 at eight layers", larger_batch, Above(250, 1)),
)  # fmt: skip
CLAIMS: tuple[Claim, ...] = in_rows(FIGURE, "why_depth_favours_adam.", "predicted", ROWS)
