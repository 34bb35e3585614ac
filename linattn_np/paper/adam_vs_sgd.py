"""The paper's first result: Adam's test loss falls far below SGD's on all three data settings (paper, section 3.2)."""

import numpy as np

from ..plotting import median_band, new_figure
from ..training import losses_along
from .scale import histories, quartiles, runs_of, test_batch
from .settings import SETTINGS

TITLE = "Adam against SGD on three data settings"
NAMES = ("setting1", "setting2", "setting3")
OPTIMIZERS = ("SGD", "Adam")
ALT = (
    "Three panels, one for each data setting: test loss on a logarithmic scale against iteration, for SGD with momentum and Adam. "
    "Lines are medians over seeds, bands run from the lower to the upper quartile."
)
ADAM_RANGE, LEAST_RATIO = (5e-4, 2.5e-3), 3.0  # what Setting 1 should give at paper scale, set before the run


def measure(folder, scale, progress=None):
    """Train what is missing and measure the test losses: plain numbers, ready for JSON."""
    panels = {}
    for name in NAMES:
        setting = SETTINGS[name]
        test = test_batch(setting.task)
        panels[name] = {"title": setting.title}
        for optimizer in OPTIMIZERS:
            kept = histories(folder, runs_of(setting, optimizer, scale), f"{optimizer} on {name}", progress)
            times, losses = on_common_times([losses_along(history, *test, every=scale.test_every) for history in kept], scale)
            low, median, high = quartiles(losses)
            panels[name][optimizer] = {
                "learning_rate": setting.learning_rates[optimizer],
                "diverged_at": [history.diverged_at for history in kept],
                "iterations": times.tolist(), "lower_quartile": low.tolist(), "median": median.tolist(), "upper_quartile": high.tolist(),
                "final_loss_of_each_seed": losses[:, -1].tolist(),
            }  # fmt: skip
    return {"panels": panels, "checks": checks(panels, scale)}


def on_common_times(pairs, scale):
    """Losses of all seeds at the same times (seeds, T); NaN where a run that diverged has none."""
    times = np.array(sorted({*range(0, scale.steps + 1, scale.test_every), scale.steps}))
    losses = np.full((len(pairs), len(times)), np.nan)
    for row, (at, values) in zip(losses, pairs, strict=True):
        known = np.isin(at, times)  # the last snapshot of a run that diverged may lie between
        row[np.searchsorted(times, at[known])] = values[known]
    return times, losses


def checks(panels, scale):
    """The claims that this figure is held against, each with our number: true or false at paper scale, else not judged."""
    last = {name: {o: panels[name][o]["median"][-1] for o in OPTIMIZERS} for name in NAMES}
    ratio = {name: last[name]["SGD"] / last[name]["Adam"] for name in NAMES}
    low, high = ADAM_RANGE
    rows = [
        (f"Setting 1: Adam's median test loss at the end lies within {low:g} to {high:g}", last["setting1"]["Adam"],
         low <= last["setting1"]["Adam"] <= high),
        (f"Setting 1: SGD's median is at least {LEAST_RATIO:g} times Adam's", ratio["setting1"], ratio["setting1"] >= LEAST_RATIO),
        ("Setting 2: SGD's median over Adam's is above 1", ratio["setting2"], ratio["setting2"] > 1),
        ("Setting 3: SGD's median over Adam's is above 1", ratio["setting3"], ratio["setting3"] > 1),
    ]  # fmt: skip
    judged = scale.name == "paper"
    return [{"claim": claim, "ours": value, "holds": bool(holds) if judged else None} for claim, value, holds in rows]


def draw(numbers, scale):
    """The figure."""
    figure, axes = new_figure(columns=len(NAMES))
    for ax, name in zip(axes[0], NAMES, strict=True):
        panel = numbers["panels"][name]
        for optimizer in OPTIMIZERS:
            curve = panel[optimizer]
            band = [curve["lower_quartile"], curve["median"], curve["upper_quartile"]]
            median_band(ax, curve["iterations"], band, optimizer)
        ax.set(title=panel["title"], xlabel="iteration t", yscale="log")
    axes[0][0].set_ylabel("test loss f")
    axes[0][0].legend(title=f"median and quartiles\nof {scale.seeds} seeds", frameon=False)
    return figure


def summary(numbers):
    """What came out, in words."""
    lines = []
    for name in NAMES:
        panel = numbers["panels"][name]
        sgd, adam = (panel[optimizer]["median"][-1] for optimizer in OPTIMIZERS)
        t = panel["SGD"]["iterations"][-1]
        lines.append(f"{panel['title']}: median test loss at {t} is {adam:.2e} for Adam and {sgd:.2e} for SGD, {sgd / adam:.1f} times")
        diverged = [f"{o}: {sum(at is not None for at in panel[o]['diverged_at'])}" for o in OPTIMIZERS]
        if any(at is not None for o in OPTIMIZERS for at in panel[o]["diverged_at"]):
            lines.append(f"  runs that diverged: {', '.join(diverged)}")
    verdict = {True: "holds", False: "DOES NOT HOLD", None: "not judged at this scale"}
    lines += [f"  {verdict[check['holds']]}: {check['claim']} (ours {check['ours']:.3g})" for check in numbers["checks"]]
    return "\n".join(lines)
