"""The claims of the paper's section 3.2 and the rule that judges each, written before the runs at the paper's scale.

Factors and shares below are choices, made once: curves read off a plot are held to a factor of 1.5 (noise: 1.25, since 10,000
draws pin its bulk down), condition numbers to a factor of 2, ratios to the paper's own mean plus or minus its own standard
deviation, and "lower throughout" to nine tenths of the windows. An ``aside`` says what else was looked at; it decides nothing.
"""

from functools import partial

from ...rules import Above, Claim, Within, around
from . import readers
from .claims_section4 import CLAIMS as section4

SETTINGS = {"setting1": "Setting 1", "setting2": "Setting 2", "setting3": "Setting 3"}
PLOT, NOISE, CONDITION, THROUGHOUT, FAINT = 1.5, 1.25, 2.0, 0.9, 0.5
TAIL = 1.1  # heavy: the noise's p99.9 / p50 is at least this many times that of Gaussian noise with the same covariance
RATIOS = {  # the paper's table: mean and standard deviation of R_med(SGD) / R_med(Adam)
    ("setting1", 750): (1.76, 0.40), ("setting1", 1250): (1.58, 0.41), ("setting2", 750): (3.14, 0.97),
    ("setting2", 1250): (5.98, 2.86), ("setting3", 750): (9.57, 13.3), ("setting3", 1250): (6.53, 3.55),
}  # fmt: skip
CODE_RATIOS = {("setting1", 750): "2.57 (0.91)", ("setting1", 1250): "1.30 (0.78)"}
LOSSES = {("Adam", 1000): 1.7e-3, ("Adam", 10_000): 1.7e-3, ("SGD", 1000): 2.5e-2, ("SGD", 5000): 1.5e-2, ("SGD", 10_000): 8e-3}
CONDITIONS = {("SGD", 0): 270, ("Adam", 250): 8, ("Adam", 1500): 100, ("SGD", 250): 300, ("SGD", 2250): 80, ("SGD", 10_000): 170}


def adam_against_sgd():
    least = {"setting1": 3.0, "setting2": 1.0, "setting3": 1.0}
    for setting, title in SETTINGS.items():
        yield Claim(
            id=f"adam_beats_sgd.{setting}", figure="adam_vs_sgd", where="section 3.2, loss curves",
            statement=f"{title}: Adam's test loss ends below SGD's",
            paper="Adam far below SGD (plot)", code="about 5 times (8e-3 / 1.7e-3)" if setting == "setting1" else None,
            values=partial(readers.final_ratio, setting), aside=partial(readers.other_batches, setting),
            rule=Above(least[setting], 1.0, "median" if setting == "setting1" else "lower_quartile"),
        )  # fmt: skip
    for (optimizer, t), value in LOSSES.items():
        yield Claim(
            id=f"test_loss.setting1.{optimizer.lower()}.{t}", figure="adam_vs_sgd", where="released code, loss plot",
            statement=f"Setting 1: {optimizer}'s test loss at iteration {t} is about {value:g}", code=f"{value:g}",
            values=partial(readers.test_loss, "setting1", optimizer, t), rule=around(value, PLOT),
        )  # fmt: skip


def heavy_tails():
    for setting, title in SETTINGS.items():
        yield Claim(
            id=f"noise_skewed.{setting}", figure="gradient_noise", where="section 3.2, noise histograms",
            statement=f"{title}: gradient noise at initialization, batch 1000, is skewed to the right",
            paper="skewed to the right (histogram)", code="skewed to the right" if setting == "setting1" else None,
            values=partial(readers.noise, setting, 1000, "skewness"), aside=partial(readers.control_skewness, setting, 1000),
            rule=Above(0.0, 0.0, "lower_quartile"),
        )  # fmt: skip
        yield Claim(
            id=f"noise_heavy_tailed.{setting}", figure="gradient_noise", where="section 3.2, noise histograms",
            statement=f"{title}: that noise is heavy-tailed, beyond Gaussian noise with the same covariance",
            paper="heavy-tailed (in words, no control)",
            values=partial(readers.noise_over_control, setting, 1000), aside=partial(readers.at_batches, setting),
            rule=Above(TAIL, 1.0),
        )  # fmt: skip
    for key, name, value in (("mode", "mode", 2.1), ("minimum", "smallest", 1.2), ("maximum", "largest", 4.6)):
        yield Claim(
            id=f"noise_{key}.setting1", figure="gradient_noise", where="released code, noise histogram",
            statement=f"Setting 1: the {name} of 10,000 noise norms is about {value:g}", code=f"{value:g}",
            values=partial(readers.noise, "setting1", 1000, key), rule=around(value, NOISE),
        )  # fmt: skip


def condition_numbers():
    for (setting, t), (mean, std) in RATIOS.items():
        low, high = float(f"{mean - std:.4g}"), float(f"{mean + std:.4g}")
        yield Claim(
            id=f"condition_ratio.{setting}.{t}", figure="robust_condition_number", where="section 3.2, table of R_med ratios",
            statement=f"{SETTINGS[setting]}: R_med(SGD) / R_med(Adam) at iteration {t} is {mean:g} ({std:g})",
            paper=f"{mean:g} ({std:g})", code=CODE_RATIOS.get((setting, t)),
            values=partial(readers.ratio, setting, t), aside=partial(readers.other_ratios, setting, t),
            rule=Within(low, high, "mean", beyond=1.0),
        )  # fmt: skip
    for setting, title in SETTINGS.items():
        yield Claim(
            id=f"condition_lower_for_adam.{setting}", figure="robust_condition_number", where="section 3.2, R_med plots",
            statement=f"{title}: after the start Adam's R_med stays below SGD's (share of the measured iterations)",
            paper="lower for Adam (plot)", values=partial(readers.entry, setting, "share_sgd_above"),
            rule=Above(THROUGHOUT, FAINT),
        )  # fmt: skip
    for (optimizer, t), value in CONDITIONS.items():
        yield Claim(
            id=f"condition.setting1.{optimizer.lower()}.{t}", figure="robust_condition_number", where="released code, R_med plot",
            statement=f"Setting 1: {optimizer}'s R_med at iteration {t} is about {value:g}", code=f"{value:g}",
            values=partial(readers.condition, "setting1", optimizer, t), rule=around(value, CONDITION),
        )  # fmt: skip


def smoothness():
    for setting, title in SETTINGS.items():
        yield Claim(
            id=f"directional_smoothness.{setting}", figure="directional_smoothness", where="section 3.2, smoothness plots",
            statement=f"{title}: the directional smoothness of Adam's steps is below that of SGD's (share of the windows)",
            paper="lower for Adam (plot)", values=partial(readers.entry, setting, "share_sgd_above"),
            aside=partial(readers.other_steps, setting), rule=Above(THROUGHOUT, FAINT),
        )  # fmt: skip
    for setting, title in SETTINGS.items():
        yield Claim(
            id=f"generalized_smoothness.{setting}", figure="generalized_smoothness", where="section 3.2, generalized smoothness",
            statement=f"{title}: along Adam's path smoothness grows with the gradient norm (correlation of the logarithms)",
            paper="they grow together (plot)", values=partial(readers.fit, setting, "signed_correlation"),
            aside=partial(readers.left_out, setting), rule=Above(0.5, 0.0),
        )  # fmt: skip
    for key, value in (("log_norm_low", -5), ("log_norm_high", 4), ("log_kappa_low", -5), ("log_kappa_high", 4)):
        words = f"{'smallest' if key.endswith('low') else 'largest'} log {'gradient norm' if 'norm' in key else 'smoothness'}"
        yield Claim(
            id=f"generalized_smoothness.setting1.{key}", figure="generalized_smoothness",
            where="released code, generalized smoothness plot",
            statement=f"Setting 1: the {words} along Adam's path is about {value}", code=f"{value}",
            values=partial(readers.fit, "setting1", key), rule=Within(value - 1.0, value + 1.0),
        )  # fmt: skip


def cited():
    yield Claim(
        id="language_models", where="section 3.1",
        statement="Full Transformers show the same features (PTB, WikiText-2, SQuAD; Kunstner et al. 2023)",
        paper="R_med ratio 1.43 to 3.54 (Jiang et al. 2022)", untested="needs trained language models; cited only",
    )  # fmt: skip
    yield Claim(
        id="image_models", where="section 3.1", statement="Convolutional networks on MNIST and CIFAR-10 beside them",
        paper="plots (Kunstner et al. 2023)", untested="needs trained image models; cited only",
    )  # fmt: skip


CLAIMS = (*adam_against_sgd(), *heavy_tails(), *condition_numbers(), *smoothness(), *section4, *cited())
