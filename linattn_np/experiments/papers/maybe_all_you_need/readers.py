"""Where the number behind each claim stands in a figure's JSON: functions that the claims name.

Each takes the setting, what picks the number, and the JSON last. -> as ``measured.spread`` gives it, or words.
"""

import statistics

from ...measured import spread


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
        f"Adam's median is below SGD's on {other['adam_below_sgd']} of {other['batches']} other test batches, and SGD's loss of "
        f"fresh batches over the last tenth of the run is {last[0] / last[1]:.3g} times Adam's"
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


def other_ratios(setting, iteration, numbers):
    """The ratio with the other two definitions of R_med, on other test batches, and later."""
    words = []
    for kind, name in (("usual", "usual median"), ("alive", "without dead parameters")):
        value = ratio(setting, iteration, numbers, kind)
        if value["mean"] is not None:
            words.append(f"{name}: mean {value['mean']:.3g} ({value['std']:.3g})")
    other = numbers["panels"][setting]["other_batches"].get(str(iteration))
    if other:
        words.append(f"mean on {len(other)} other test batches: {min(other):.3g} to {max(other):.3g}")
    later = ratio(setting, 5000, numbers)
    if later["mean"] is not None:
        words.append(f"at iteration 5000: {later['mean']:.3g} ({later['std']:.3g})")
    return "; ".join(words)


def entry(setting, key, numbers):
    return numbers["panels"][setting][key]


def other_steps(setting, numbers):
    """The same claim at the start, on other test batches, and at one point; how many steps meet negative curvature."""
    panel = numbers["panels"][setting]
    shares = ", ".join(f"{o} {panel[o]['negative_share']['median']:.2%}" for o in ("SGD", "Adam"))
    rows, other = panel["at_one_point"], panel["other_batches"]
    same = statistics.median(a / g for a, g in zip(rows["Adam"]["kappa"], rows["gradient"]["kappa"], strict=True))
    return (
        f"first 2000 iterations alone: median share {panel['share_sgd_above_early']['median']:.2g}; single steps on {len(other)} "
        f"other test batches: {min(other):.2g} to {max(other):.2g}; at the same points, those of "
        f"Adam's path, Adam's step meets {same:.2g} times the curvature of the gradient's direction; steps that meet negative "
        f"curvature, counted like the others: {shares}"
    )


def left_out(setting, numbers):
    share = numbers["panels"][setting]["Adam"]["negative_share"]["median"]
    return f"points with negative curvature, which the logarithm leaves out: {share:.2%} (median over seeds)"


def fit(setting, key, numbers):
    return numbers["panels"][setting]["Adam"][key]
