"""The claims of the paper's section 3.2 and the rule that judges each, written before the runs at the paper's scale.

Factors and shares below are choices, made once: curves read off a plot are held to a factor of 1.5 (noise: 1.25, since 10,000
draws pin its bulk down), condition numbers to a factor of 2, ratios to the paper's own mean plus or minus its own standard
deviation, and "lower throughout" to nine tenths of the windows.
"""

from functools import partial

from .measured import spread
from .rules import Above, Claim, Within, around

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


# ---------------------------------------------------------------- where each number stands in a figure's JSON


def final_ratio(setting, numbers):
    """SGD's final test loss over Adam's, seed by seed."""
    panel = numbers["panels"][setting]
    sgd, adam = (panel[optimizer]["final_test_loss_of_each_seed"] for optimizer in ("SGD", "Adam"))
    return spread([a / b if a is not None and b else float("nan") for a, b in zip(sgd, adam, strict=True)])


def other_batches(setting, numbers):
    """What the fixed test batch alone does not show."""
    panel = numbers["panels"][setting]
    other = panel["other_test_batches"]
    window = max(1, len(panel["SGD"]["fresh"]["median"]) // 10)
    last = [sorted(panel[o]["fresh"]["median"][-window:])[window // 2] for o in ("SGD", "Adam")]
    return (
        f"Adam's median is below SGD's on {other['adam_below_sgd']} of {other['batches']} other test batches, and SGD's loss of fresh "
        f"batches over the last tenth of the run is {last[0] / last[1]:.3g} times Adam's"
    )


def test_loss(setting, optimizer, iteration, numbers):
    found = numbers["panels"][setting][optimizer]["test_loss_of_each_seed"].get(str(iteration))
    return spread(values_or_nan(found or [None] * numbers["scale"]["seeds"]))


def condition(setting, optimizer, iteration, numbers):
    curve = numbers["panels"][setting][optimizer]["lower"]
    if iteration not in curve["iterations"]:
        return spread([float("nan")] * numbers["scale"]["seeds"])
    k = curve["iterations"].index(iteration)
    return spread(values_or_nan([row[k] for row in curve["each_seed"]]))


def values_or_nan(values):
    """JSON writes None where a seed has no finite number."""
    return [float("nan") if value is None else value for value in values]


def noise(setting, batch, key, numbers):
    return numbers["panels"][setting]["batches"][str(batch)]["noise"][key]


def control_skewness(setting, batch, numbers):
    control = numbers["panels"][setting]["batches"][str(batch)]["covariance"]["skewness"]["median"]
    return f"the norm of Gaussian noise with the same covariance has {control:.3g}"


def noise_over_control(setting, batch, numbers):
    """p99.9 / p50 of the noise over the same of its control with the whole covariance, seed by seed."""
    found = numbers["panels"][setting]["batches"][str(batch)]
    ours, control = (found[law]["p99.9_over_p50"]["each_seed"] for law in ("noise", "covariance"))
    return spread([a / b for a, b in zip(ours, control, strict=True)])


def at_batches(setting, numbers):
    """The same quantity for the other batch sizes."""
    found = {b: noise_over_control(setting, b, numbers)["median"] for b in numbers["panels"][setting]["batches"]}
    return "times the control's p99.9/p50, by batch size: " + ", ".join(f"{b}: {value:.3g}" for b, value in found.items())


def ratio(setting, iteration, numbers, kind="lower"):
    found = numbers["panels"][setting]["ratios"][kind].get(str(iteration))
    return found or spread([float("nan")] * numbers["scale"]["seeds"])


def other_medians(setting, iteration, numbers):
    """The ratio with the other two definitions of R_med."""
    found = {name: ratio(setting, iteration, numbers, kind) for kind, name in (("usual", "usual median"), ("alive", "without dead parameters"))}
    return "; ".join(f"{name}: mean {value['mean']:.3g} ({value['std']:.3g})" for name, value in found.items() if value["mean"] is not None)


def entry(setting, key, numbers):
    return numbers["panels"][setting][key]


def negative_shares(setting, numbers):
    panel = numbers["panels"][setting]
    shares = ", ".join(f"{o} {panel[o]['negative_share']['median']:.2%}" for o in ("SGD", "Adam"))
    return f"share of steps with negative curvature (median over seeds): {shares}; both count"


def left_out(setting, numbers):
    share = numbers["panels"][setting]["Adam"]["negative_share"]["median"]
    return f"points with negative curvature, which the logarithm leaves out: {share:.2%} (median over seeds)"


def fit(setting, key, numbers):
    return numbers["panels"][setting]["Adam"][key]


# ---------------------------------------------------------------- the claims


def adam_against_sgd():
    least = {"setting1": 3.0, "setting2": 1.0, "setting3": 1.0}
    for setting, title in SETTINGS.items():
        yield Claim(
            f"adam_beats_sgd.{setting}", f"{title}: Adam's test loss ends below SGD's", "section 3.2, loss curves", "Adam far below SGD (plot)",
            "about 5 times (8e-3 / 1.7e-3)" if setting == "setting1" else None, "adam_vs_sgd", partial(final_ratio, setting),
            Above(least[setting], 1.0, "lower_quartile" if setting != "setting1" else "median"), partial(other_batches, setting),
        )  # fmt: skip
    for (optimizer, t), value in LOSSES.items():
        yield Claim(
            f"test_loss.setting1.{optimizer.lower()}.{t}", f"Setting 1: {optimizer}'s test loss at iteration {t} is about {value:g}",
            "released code, loss plot", None, f"{value:g}", "adam_vs_sgd", partial(test_loss, "setting1", optimizer, t), around(value, PLOT),
        )  # fmt: skip


def heavy_tails():
    for setting, title in SETTINGS.items():
        yield Claim(
            f"noise_skewed.{setting}", f"{title}: gradient noise at initialization, batch 1000, is skewed to the right", "section 3.2, noise histograms",
            "histogram skewed to the right", "histogram skewed to the right" if setting == "setting1" else None, "gradient_noise",
            partial(noise, setting, 1000, "skewness"), Above(0.0, 0.0, "lower_quartile"), partial(control_skewness, setting, 1000),
        )  # fmt: skip
        yield Claim(
            f"noise_heavy_tailed.{setting}", f"{title}: that noise is heavy-tailed, beyond Gaussian noise with the same covariance",
            "section 3.2, noise histograms", "heavy-tailed (in words; no control)", None, "gradient_noise",
            partial(noise_over_control, setting, 1000), Above(TAIL, 1.0), partial(at_batches, setting),
        )  # fmt: skip
    for key, name, value in (("mode", "mode", 2.1), ("minimum", "smallest", 1.2), ("maximum", "largest", 4.6)):
        yield Claim(
            f"noise_{key}.setting1", f"Setting 1: the {name} of 10,000 noise norms is about {value:g}", "released code, noise histogram", None,
            f"{value:g}", "gradient_noise", partial(noise, "setting1", 1000, key), around(value, NOISE),
        )  # fmt: skip


def condition_numbers():
    for (setting, t), (mean, std) in RATIOS.items():
        low, high = float(f"{mean - std:.4g}"), float(f"{mean + std:.4g}")
        yield Claim(
            f"condition_ratio.{setting}.{t}", f"{SETTINGS[setting]}: R_med(SGD) / R_med(Adam) at iteration {t} is {mean:g} ({std:g})",
            "section 3.2, table of R_med ratios", f"{mean:g} ({std:g})", CODE_RATIOS.get((setting, t)), "robust_condition_number",
            partial(ratio, setting, t), Within(low, high, "mean", beyond=1.0), partial(other_medians, setting, t),
        )  # fmt: skip
    for setting, title in SETTINGS.items():
        yield Claim(
            f"condition_lower_for_adam.{setting}", f"{title}: after the start Adam's R_med stays below SGD's", "section 3.2, R_med plots",
            "lower for Adam (plot)", None, "robust_condition_number", partial(entry, setting, "share_sgd_above"), Above(THROUGHOUT, FAINT),
        )  # fmt: skip
    for (optimizer, t), value in CONDITIONS.items():
        yield Claim(
            f"condition.setting1.{optimizer.lower()}.{t}", f"Setting 1: {optimizer}'s R_med at iteration {t} is about {value:g}",
            "released code, R_med plot", None, f"{value:g}", "robust_condition_number", partial(condition, "setting1", optimizer, t),
            around(value, CONDITION),
        )  # fmt: skip


def smoothness():
    for setting, title in SETTINGS.items():
        yield Claim(
            f"directional_smoothness.{setting}", f"{title}: the directional smoothness of Adam's steps is below that of SGD's",
            "section 3.2, smoothness plots", "lower for Adam (plot)", None, "directional_smoothness", partial(entry, setting, "share_sgd_above"),
            Above(THROUGHOUT, FAINT), partial(negative_shares, setting),
        )  # fmt: skip
    for setting, title in SETTINGS.items():
        yield Claim(
            f"generalized_smoothness.{setting}", f"{title}: along Adam's path smoothness grows with the gradient norm (slope b > 0, correlation)",
            "section 3.2, generalized smoothness", "grow together (plot)", None, "generalized_smoothness",
            partial(fit, setting, "signed_correlation"), Above(0.5, 0.0), partial(left_out, setting),
        )  # fmt: skip
    for key, value in (("log_norm_low", -5), ("log_norm_high", 4), ("log_kappa_low", -5), ("log_kappa_high", 4)):
        words = f"{'smallest' if key.endswith('low') else 'largest'} log {'gradient norm' if 'norm' in key else 'smoothness'}"
        yield Claim(
            f"generalized_smoothness.setting1.{key}", f"Setting 1: the {words} along Adam's path is about {value}",
            "released code, generalized smoothness plot", None, f"{value}", "generalized_smoothness", partial(fit, "setting1", key),
            Within(value - 1.0, value + 1.0),
        )  # fmt: skip


def not_yet():
    later = (
        ("linear_against_softmax", "With 3 layers, linear attention's loss falls much faster than softmax attention's", "section 3.2, attention variants"),
        ("bigger_model.loss", "A bigger model (L=8, d=20, n=60) has loss curves that look alike", "section 3.2, bigger model"),
        ("bigger_model.noise", "A bigger model (L=8, d=20, n=60) has a noise histogram that looks alike", "section 3.2, bigger model"),
    )
    for name, statement, where in later:
        yield Claim(name, statement, where, "a plot", None, None, None, None, untested="no figure of this project measures it")
    yield Claim(
        "language_models", "Full Transformers show the same five features (CNNs, PTB, WikiText-2, SQuAD; Kunstner et al. 2023)", "section 3.1",
        "R_med ratio 1.43 to 3.54 (Jiang et al. 2022)", None, None, None, None, untested="needs trained language models; cited only",
    )  # fmt: skip


CLAIMS = (*adam_against_sgd(), *heavy_tails(), *condition_numbers(), *smoothness(), *not_yet())
