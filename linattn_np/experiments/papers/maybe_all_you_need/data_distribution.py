"""Section 4.1: covariates on the sphere against heavy-tailed ones: losses, gradient noise, robust condition number."""

from ....plotting import new_figure
from ...panels import (
    condition,
    draw_condition,
    draw_losses,
    draw_noise,
    limits_in_words,
    losses,
    losses_in_words,
    noise,
    noise_in_words,
    number,
    same_limits,
)
from ...scale import differences, limited
from .settings import SETTINGS

TITLE = "Light and heavy tails in the data: spherical and Gamma-scaled covariates"
TIME = "5 minutes"
NAMES = ("sphere", "setting3")
TITLES = {"sphere": "covariates on the sphere", "setting3": "heavy-tailed covariates (Setting 3)"}
ALT = (
    "Three rows of two panels, left for covariates on the unit sphere, right for covariates scaled by a Gamma variable. Top: "
    "loss of fresh batches against iteration for SGD with momentum and Adam, logarithmic, each point the median of a window. "
    "Middle: density of the gradient noise norm at initialization in units of its median. Bottom: robust condition number "
    "against iteration, logarithmic. Lines are medians over seeds, bands quartiles."
)


def measure(folder, scale, progress=None):
    """Train what is missing and measure the three rows: plain numbers, ready for JSON."""
    small = {"hessian_every": scale.steps}
    used = scale if scale.name == "paper" else limited(scale, small, noise_draws=100, seeds=2)
    panels = {}
    for name in NAMES:
        setting = SETTINGS[name]
        panels[name] = {
            "title": TITLES[name], **losses(folder, setting, used, progress), "noise": noise(folder, setting, used, progress),
            "condition": condition(folder, setting, used, progress),
        }  # fmt: skip
    return {"limits": differences(scale, used), "seeds_used": used.seeds, "draws": used.noise_draws, "panels": panels}


def draw(numbers, scale):
    """The figure: three rows, one column for each law of the covariates."""
    figure, axes = new_figure(columns=len(NAMES), rows=3, height=2.7, width=4.8)
    for column, name in zip(axes.T, NAMES, strict=True):
        panel = numbers["panels"][name]
        draw_losses(column[0], panel, "fresh")
        draw_noise(column[1], panel)
        draw_condition(column[2], panel)
        column[0].set_title(panel["title"])
        column[1].set_xlabel(r"noise norm $||e||$ / its median")
        column[2].set_xlabel("iteration t")
    for row in axes[1:]:
        same_limits(row)
    for ax in axes[1]:
        ax.set_xlim(0.0, 4.0)  # what lies beyond is told by p99.9/p50
    axes[0][0].set_ylabel(f"loss f of fresh batches,\nmedian of {scale.test_every}")
    axes[1][0].set_ylabel(f"density, batch {scale.batch}")
    axes[2][0].set_ylabel("robust condition number\n" + r"$\max|H_{ii}| / \mathrm{median}|H_{ii}|$")
    axes[0][0].legend(title=f"median and quartiles\nof {numbers['seeds_used']} seeds", frameon=False)
    return figure


def summary(numbers):
    """What came out, in words."""
    lines = [limits_in_words(numbers["limits"])]
    for panel in numbers["panels"].values():
        ratio = panel["condition"]["middle_ratio"]
        lines += [losses_in_words(panel), noise_in_words(panel)]
        lines.append(f"  R_med(SGD) / R_med(Adam), median over the path: {number(ratio['median'])} "
                     f"[{number(ratio['lower_quartile'])}, {number(ratio['upper_quartile'])}] over seeds")  # fmt: skip
    return "\n".join(lines)
