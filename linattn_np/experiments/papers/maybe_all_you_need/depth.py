"""Section 4.2: 2, 4, 6 and 8 layers: losses, gradient noise, robust condition number, each depth at its own learning rates."""

from dataclasses import replace

from ....plotting import new_figure
from ...panels import (
    OPTIMIZERS,
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
    search,
)
from ...scale import differences, limited
from .settings import SETTINGS

TITLE = "Depth: 2, 4, 6 and 8 layers"
TIME = "12 minutes"
DEPTHS = (2, 4, 6, 8)
RATES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
ALT = (
    "Three rows of panels, one column for each number of layers. Top: test loss on one fixed batch against iteration for SGD "
    "with momentum and Adam, logarithmic, each at the learning rate found best for that depth. Middle: density of the gradient "
    "noise norm at initialization in units of its median. Bottom: robust condition number against iteration, logarithmic. Lines "
    "are medians over seeds, bands quartiles."
)


def sized(scale):
    """The scale and depths that fit the time: exact Hessians of 400 parameters are dear.

    Each rate is tried for as long as it will be used: of eight layers' rates, those that are best after 1,000 iterations diverge later.
    """
    every = {"hessian_every": 500, "record_every": scale.test_every}
    if scale.name == "paper":
        return replace(limited(scale, every, search_seeds=1), search_steps=scale.steps), DEPTHS
    return limited(scale, {"hessian_every": scale.steps}, noise_draws=100, seeds=2, search_steps=100, search_seeds=1), DEPTHS[:2]


def measure(folder, scale, progress=None):
    """Search the rates, train what is missing and measure the three rows: plain numbers, ready for JSON."""
    used, depths = sized(scale)
    panels = {}
    for layers in depths:
        setting = replace(SETTINGS["setting1"], title=f"L = {layers}", layers=layers)
        found = search(folder, setting, RATES, used, progress)
        setting = replace(setting, learning_rates={o: found[o]["best"] for o in OPTIMIZERS})
        panels[str(layers)] = {
            "title": setting.title, "search": found, **losses(folder, setting, used, progress),
            "noise": noise(folder, setting, used, progress), "condition": condition(folder, setting, used, progress),
        }  # fmt: skip
    return {"limits": differences(scale, used), "seeds_used": used.seeds, "draws": used.noise_draws, "panels": panels}


def draw(numbers, scale):
    """The figure: three rows, one column for each depth."""
    panels = numbers["panels"].values()
    figure, axes = new_figure(columns=max(2, len(panels)), rows=3, height=2.6, width=3.3)
    for column, panel in zip(axes.T, panels, strict=True):
        draw_losses(column[0], panel)
        draw_noise(column[1], panel)
        draw_condition(column[2], panel)
        rates = ", ".join(f"{o} {panel[o]['learning_rate']:g}" for o in OPTIMIZERS)
        column[0].set_title(f"{panel['title']}\nη: {rates}", fontsize=10)
        column[1].set_xlabel(r"noise norm $||e||$ / its median")
        column[2].set_xlabel("iteration t")
    for row, kind in ((axes[0], "y"), (axes[1], "x"), (axes[1], "y"), (axes[2], "y")):
        same_limits(row, kind)
    axes[0][0].set_ylabel("test loss f, fixed batch")
    axes[1][0].set_ylabel(f"density, batch {scale.batch}")
    axes[2][0].set_ylabel("robust condition number\n" + r"$\max|H_{ii}| / \mathrm{median}|H_{ii}|$")
    axes[0][0].legend(title=f"median and quartiles,\n{numbers['seeds_used']} seeds", frameon=False, fontsize=9)
    return figure


def summary(numbers):
    """What came out, in words."""
    lines = [limits_in_words(numbers["limits"])]
    for panel in numbers["panels"].values():
        ratio = panel["condition"]["middle_ratio"]
        edge = [o for o in OPTIMIZERS if panel["search"][o]["at_the_edge"]]
        lines.append(losses_in_words(panel) + (f"; best at the edge of the searched rates: {', '.join(edge)}" if edge else ""))
        lines.append(f"{noise_in_words(panel)}; R_med(SGD) / R_med(Adam), median over the path: {number(ratio['median'])}")
    return "\n".join(lines)
