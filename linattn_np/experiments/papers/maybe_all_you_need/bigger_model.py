"""Section 3.2: a bigger model, 8 layers, 20 covariates and 60 examples: loss curves and gradient noise."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from matplotlib.figure import Figure

from ....plotting import new_figure
from ....prompts import RegressionTask
from ....training.runs import RunFolder
from ...curves import Numbers, spread
from ...panels import draw_losses, draw_noise, draw_quantiles, limits_in_words, losses_in_words, noise_in_words, number
from ...rules import Above, Claim
from ...scale import Scale, differences, in_words, limited
from ...search import search
from ...settings import OPTIMIZERS, Setting
from ...variants import gap, losses, noise, tails
from .factors import TAIL

TITLE = "A bigger model: 8 layers, d = 20, n = 60"
SECONDS = {"paper": 400, "quick": 2}
TASK = RegressionTask(n=60, d=20)
CONTROLS = 20  # times as many draws of the Gaussian control: its tail is known better than the noise's, and costs nothing
RATES = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1)
ALT = (
    "Four panels for a model of 8 layers on 60 examples of 20 covariates. Loss on one fixed test batch against iteration for SGD "
    "with momentum and Adam, logarithmic; loss of the fresh training batches, medians of windows; density of the gradient noise "
    "norm at initialization in units of its median; its quantiles against those of a normal law beside Gaussian noise with the "
    "same covariance. Lines are medians over seeds, bands quartiles."
)


def sized(scale: Scale) -> tuple[Scale, Scale]:
    """A prompt costs this model some 50 microseconds, a hundred times what Setting 1 costs: batches and iterations are cut.

    -> the scale of the training, and that of the noise, whose batches are not cut at the paper's scale.
    """
    every = {"record_every": scale.test_every}
    if scale.name == "paper":
        used = limited(scale, every, steps=3_500, batch=250, noise_draws=1_500, search_steps=1_000, search_seeds=1)
        return used, replace(used, batch=scale.batch)
    used = limited(scale, every, steps=100, batch=16, seeds=2, noise_draws=50, search_seeds=1)
    used = replace(used, search_steps=used.steps)  # a rate that is best after a few steps may diverge later
    return used, used


def sizes(scale: Scale) -> str:
    """What is run at this scale."""
    return in_words(sized(scale)[0])


def measure(folder: RunFolder, scale: Scale, progress: bool | None = None) -> Numbers:
    """Search the rates, train what is missing and measure losses and noise: plain numbers, ready for JSON."""
    used, of_noise = sized(scale)
    setting = Setting("L = 8, d = 20, n = 60", TASK, {}, 1.0, layers=8)
    found = search(folder, setting, RATES if scale.name == "paper" else RATES[::2], used, progress)
    setting = replace(setting, learning_rates={o: found[o]["best"] for o in OPTIMIZERS})
    panel = {
        "title": setting.title, "search": found, **losses(folder, setting, used, progress),
        "noise": noise(folder, setting, of_noise, progress, CONTROLS),
    }  # fmt: skip
    return {
        "limits": differences(scale, used), "seeds_used": used.seeds, "batch_used": used.batch,
        "noise_batch": of_noise.batch, "draws": used.noise_draws, "panels": {"bigger": panel},
    }  # fmt: skip


def draw(numbers: Numbers, scale: Scale) -> Figure:
    """The figure: two panels of losses, two of noise."""
    panel = numbers["panels"]["bigger"]
    figure, axes = new_figure(columns=2, rows=2, height=3.1, width=4.6)
    (test, fresh), (density, quantiles) = axes
    for ax, kind in ((test, "test"), (fresh, "fresh")):
        draw_losses(ax, panel, kind)
        ax.set_xlabel("iteration t")
    test.set_ylabel("test loss f, fixed batch")
    fresh.set_ylabel(f"loss f of fresh batches,\nmedian of {scale.test_every}")
    test.legend(title=f"median and quartiles,\n{numbers['seeds_used']} seeds", frameon=False, fontsize=9)
    draw_noise(density, panel)
    density.set(xlabel=r"noise norm $||e||$ / its median", ylabel=f"density, batch {numbers['noise_batch']}")
    draw_quantiles(quantiles, panel["noise"])
    rates = ", ".join(f"{o} {panel[o]['learning_rate']:g}" for o in OPTIMIZERS)
    figure.suptitle(f"{panel['title']}; batch {numbers['batch_used']}; learning rates: {rates}", fontsize=11)
    return figure


def summary(numbers: Numbers) -> str:
    """What came out, in words."""
    panel = numbers["panels"]["bigger"]
    tried = []
    for o in OPTIMIZERS:
        found = panel["search"][o]
        scores = ", ".join(f"{r:g}: {number(s)}" for r, s in zip(found["rates"], found["scores"], strict=True))
        tried.append(f"{o} {scores}{' (best at the edge)' if found['at_the_edge'] else ''}")
    lines = [limits_in_words(numbers["limits"]), losses_in_words(panel), noise_in_words(panel)]
    return "\n".join([*lines, f"  rates searched, median loss of each: {'; '.join(tried)}"])


# ---------------------------------------------------------------- the claims, and where their numbers stand in the JSON


def loss_gap(numbers: Numbers) -> Numbers:
    """SGD's loss of fresh batches over Adam's, last tenth of the run, seed by seed."""
    return spread(gap(numbers["panels"]["bigger"]))


def skewness(numbers: Numbers) -> Numbers:
    """The skewness of the noise norm."""
    return numbers["panels"]["bigger"]["noise"]["noise"]["skewness"]


def tail_over_control(numbers: Numbers) -> Numbers:
    """p99.9 / p50 of the noise over that of Gaussian noise with the same covariance, seed by seed."""
    panel = numbers["panels"]["bigger"]
    return spread(tails(panel) / tails(panel, "control"))


def pooled_tail(numbers: Numbers) -> str:
    """The same of all seeds' draws together, each in units of its seed's median."""
    found = numbers["panels"]["bigger"]["noise"]
    noise, control = (found[law]["pooled_p99.9_over_p50"] for law in ("noise", "control"))
    return f"{numbers['draws']:,} draws a seed; all seeds together {noise / control:.3g}"


def claims() -> Iterator[Claim]:
    """The curves of a bigger model look alike."""
    common: dict[str, Any] = {"figure": "bigger_model", "where": "section 3.2, bigger model"}
    yield Claim(
        id="bigger_model.loss",
        statement="A bigger model (L=8, d=20, n=60) has loss curves that look alike: Adam's ends below SGD's",
        printed="alike (plot)", values=loss_gap, rule=Above(1.0, 1.0, "lower_quartile"), **common,
    )  # fmt: skip
    yield Claim(
        id="bigger_model.noise",
        statement="A bigger model (L=8, d=20, n=60) has gradient noise that looks alike: skewed to the right",
        printed="alike (histogram)", values=skewness, rule=Above(0.0, 0.0, "lower_quartile"), **common,
    )  # fmt: skip
    yield Claim(
        id="bigger_model.heavy_tails",
        statement="A bigger model's noise is heavy-tailed, beyond Gaussian noise with the same covariance",
        printed="heavy-tailed (histogram, no control)", values=tail_over_control, aside=pooled_tail, rule=Above(TAIL, 1.0),
        **common,
    )  # fmt: skip


CLAIMS = tuple(claims())
