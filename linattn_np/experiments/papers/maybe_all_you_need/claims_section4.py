"""The claims of the paper's section 4, of its bigger model, its attention kinds and its nonlinear regression, each with its rule.

Written before the runs at the paper's scale. Where the paper says only "larger" or "heavier", the sign alone is agreement in
direction, and a factor set here is agreement: 1.1 for a tail, 1.25 for a condition number or a speed, 1.5 for a loss or a gap,
3 for "much". "Does not clearly change" is held to a factor of 2 either way.
"""

from functools import partial

from ...rules import Above, Claim, Within, around
from . import readers_section4 as readers
from .nonlinear_regression import CODE_RATES, CODE_RATIOS

TAIL, CLEAR, LOSS, MUCH, UNCHANGED = 1.1, 1.25, 1.5, 3.0, 2.0
SLOWER_AT = 1_000  # the iteration at which speeds are compared
NONLINEAR_LOSSES = {("Adam", 0): 0.26, ("Adam", 100): 0.065, ("Adam", 400): 0.0145, ("Adam", 1000): 9.6e-4, ("SGD", 10_000): 8e-3}


def data_distribution():
    common = {"figure": "data_distribution", "where": "section 4.1, spherical against heavy-tailed covariates"}
    yield Claim(
        id="data.noise",
        statement="Heavier tails in the data give heavier-tailed gradient noise (p99.9/p50 over that on the sphere)",
        paper="heavier (histogram)", values=readers.heavier_noise, aside=readers.skewness_of_both,
        rule=Above(TAIL, 1.0), **common,
    )  # fmt: skip
    yield Claim(
        id="data.condition",
        statement="Heavier tails in the data give a larger gap in R_med (median ratio over that on the sphere)",
        paper="larger (plot)", values=readers.larger_condition_gap, rule=Above(CLEAR, 1.0), **common,
    )  # fmt: skip
    for optimizer in ("SGD", "Adam"):
        yield Claim(
            id=f"data.slower.{optimizer.lower()}",
            statement=f"Heavier tails slow {optimizer} down (share of the loss left at {SLOWER_AT}, over that on the sphere)",
            paper="slower (plot)", values=partial(readers.slower, optimizer, SLOWER_AT), rule=Above(CLEAR, 1.0), **common,
        )  # fmt: skip
    yield Claim(
        id="data.gap",
        statement="The relative gap of SGD and Adam does not clearly change with the tails (gap over that on the sphere)",
        paper="no clear change", values=readers.change_of_gap, rule=around(1.0, UNCHANGED), **common,
    )  # fmt: skip


def depth():
    common = {"figure": "depth", "where": "section 4.2, number of layers"}
    yield Claim(
        id="depth.gap",
        statement="The gap between SGD and Adam grows with depth (correlation of L and the logarithm of the loss ratio)",
        paper="grows (plot)", values=readers.gap_with_depth, aside=readers.gaps_in_words, rule=Above(0.8, 0.0), **common,
    )  # fmt: skip
    for optimizer in ("SGD", "Adam"):
        yield Claim(
            id=f"depth.loss.{optimizer.lower()}",
            statement=f"{optimizer}'s loss falls with depth (loss of L = 2 over that of L = 8)",
            paper="falls (plot)", values=partial(readers.falls_with_depth, optimizer), rule=Above(LOSS, 1.0), **common,
        )  # fmt: skip
    yield Claim(
        id="depth.noise",
        statement="Gradient noise is heavier-tailed for L = 6, 8 than for L = 2, 4 (least p99.9/p50 over the largest)",
        paper="heavier (histogram)", values=readers.heavier_with_depth, rule=Above(TAIL, 1.0), **common,
    )  # fmt: skip
    yield Claim(
        id="depth.condition",
        statement="The gap in R_med is larger for L = 4, 6, 8 than for L = 2 (least median ratio over that of L = 2)",
        paper="larger (plot)", values=readers.condition_gap_with_depth, rule=Above(CLEAR, 1.0), **common,
    )  # fmt: skip


def bigger_model():
    common = {"figure": "bigger_model", "where": "section 3.2, bigger model"}
    yield Claim(
        id="bigger_model.loss",
        statement="A bigger model (L=8, d=20, n=60) has loss curves that look alike: Adam's ends below SGD's",
        paper="alike (plot)", values=partial(readers.gap_of, "bigger"), rule=Above(1.0, 1.0, "lower_quartile"), **common,
    )  # fmt: skip
    yield Claim(
        id="bigger_model.noise",
        statement="A bigger model (L=8, d=20, n=60) has gradient noise that looks alike: skewed to the right",
        paper="alike (histogram)", values=partial(readers.noise, "bigger", "skewness"),
        rule=Above(0.0, 0.0, "lower_quartile"), **common,
    )  # fmt: skip
    yield Claim(
        id="bigger_model.heavy_tails",
        statement="A bigger model's noise is heavy-tailed, beyond Gaussian noise with the same covariance",
        paper="heavy-tailed (histogram, no control)", values=partial(readers.tail_over_control, "bigger"),
        rule=Above(TAIL, 1.0), **common,
    )  # fmt: skip


def attention_kinds():
    yield Claim(
        id="linear_against_softmax", figure="attention_kinds", where="section 3.2, attention kinds",
        statement="With 3 layers, linear attention's loss falls much faster than softmax attention's (final softmax over linear)",
        paper="much faster (plot)", values=partial(readers.kind_over_linear, "softmax"), rule=Above(MUCH, 1.0),
    )  # fmt: skip


def full_batch():
    common = {"figure": "full_batch", "where": "section 1, quoting Kunstner et al. 2023"}
    yield Claim(
        id="full_batch.gap",
        statement="The gap needs no noise: on one fixed batch SGD's training loss ends above Adam's (their ratio)",
        paper="quoted in words", values=readers.full_batch_gap, aside=readers.gaps_by_batch, rule=Above(LOSS, 1.0), **common,
    )  # fmt: skip
    yield Claim(
        id="full_batch.sign", statement="Without noise sign descent closes most of the gap (share of it, logarithmic)",
        paper="quoted in words", values=readers.sign_share, rule=Above(0.5, 0.0), **common,
    )  # fmt: skip


def nonlinear_regression():
    common = {"figure": "nonlinear_regression", "where": "nonlinear regression, released code"}
    for optimizer, rate in CODE_RATES.items():
        yield Claim(
            id=f"nonlinear.rate.{optimizer.lower()}",
            statement=f"400 iterations choose the rate {rate:g} for {optimizer}", code=f"{rate:g}",
            values=partial(readers.best_rate, optimizer), rule=Within(rate, rate), **common,
        )  # fmt: skip
    for (optimizer, t), value in NONLINEAR_LOSSES.items():
        yield Claim(
            id=f"nonlinear.loss.{optimizer.lower()}.{t}", statement=f"{optimizer}'s loss at iteration {t} is about {value:g}",
            code="7.5e-3 to 8.5e-3" if optimizer == "SGD" else f"{value:g}", values=partial(readers.loss_at, optimizer, t),
            rule=around(value, LOSS), **common,
        )  # fmt: skip
    yield Claim(
        id="nonlinear.adam_falls", statement="Adam's loss has been below 2e-3 by iteration 1500 (2e-3 over its smallest)",
        code="9.6e-4 at 1000", values=partial(readers.below, "Adam", 2e-3, 1_500), rule=Above(1.0, 1.0), **common,
    )  # fmt: skip
    yield Claim(
        id="nonlinear.sgd_stays", statement="SGD's loss is still above 4e-3 at iteration 10,000 (its loss over 4e-3)",
        code="7.5e-3 to 8.5e-3", values=partial(readers.over, "SGD", 4e-3, 10_000), rule=Above(1.0, 1.0), **common,
    )  # fmt: skip
    for t, (mean, std) in CODE_RATIOS.items():
        low, high = float(f"{mean - std:.4g}"), float(f"{mean + std:.4g}")
        yield Claim(
            id=f"nonlinear.condition_ratio.{t}", statement=f"R_med(SGD) / R_med(Adam) at iteration {t} is {mean:g} ({std:g})",
            code=f"{mean:g} ({std:g})", values=partial(readers.nonlinear_ratio, t),
            rule=Within(low, high, "mean", beyond=None if t == 0 else 1.0), **common,
        )  # fmt: skip
    yield Claim(
        id="nonlinear.noise_mode", statement="The mode of the noise norm at initialization is about 0.005", code="0.005",
        values=partial(readers.nonlinear_noise, "mode"), rule=around(0.005, LOSS), **common,
    )  # fmt: skip
    yield Claim(
        id="nonlinear.noise_skewed",
        statement="That noise is clearly skewed to the right (skewness)", code="clearly skewed (QQ plot)",
        values=partial(readers.nonlinear_noise, "skewness"), rule=Above(0.5, 0.0), **common,
    )  # fmt: skip
    yield Claim(
        id="nonlinear.directional_smoothness",
        statement="The directional smoothness of Adam's steps is below that of SGD's (share of the windows)",
        paper="lower for Adam (plot)", values=readers.nonlinear_smoothness, rule=Above(0.9, 0.5), **common,
    )  # fmt: skip


CLAIMS = (
    *data_distribution(), *depth(), *bigger_model(), *attention_kinds(), *nonlinear_regression(), *full_batch(),
)  # fmt: skip
