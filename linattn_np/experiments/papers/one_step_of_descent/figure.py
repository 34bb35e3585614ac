"""One trained layer beside one step of gradient descent, two looped layers beside two steps of it and of GD++."""

from dataclasses import replace
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ...._types import Array
from ....plotting import median_band, new_figure
from ....training.runs import RunFolder
from ...curves import Numbers, band
from ...measured import kept_each
from ...panels import limits_in_words
from ...scale import Scale, counted, differences, limited
from . import training
from .claims import CLAIMS
from .comparison import DAMPINGS, SEARCH, TASK, TEST, gammas, looped, one_layer
from .descent import eigenvalues, line_search
from .tasks import best_step

__all__ = ["ALT", "CLAIMS", "SECONDS", "TITLE", "draw", "measure", "sizes", "summary"]

TITLE = "One trained layer is one step of gradient descent; two are two steps of GD++"
SECONDS = {"paper": 120, "quick": 8}
ALT = (
    "Six panels. Loss of one trained layer against iteration, which falls to the line of one step of gradient descent. Cosine "
    "and distances between the two models during training, towards 1 and 0. The trained weights as a heat map: one entry of P's "
    "last row and the diagonal of Q, nothing else. Loss on wider and narrower covariates, three curves that coincide. Loss of "
    "two looped layers, which falls below two steps of gradient descent to two of GD++. The layer repeated 50 times, damped and "
    "not. Lines are medians over seeds, bands quartiles."
)


def sized(scale: Scale) -> tuple[Scale, Scale, int]:
    """The scale of one layer's runs, that of two layers', and the number of prompts for evaluation."""
    if scale.name == "paper":
        one = limited(scale, {"record_every": 50}, steps=4_000, batch=512, seeds=5)
        return one, replace(one, seeds=3), 10_000
    if scale.name == "quick":
        one = limited(scale, {"record_every": 50}, steps=600, batch=200)
        return one, replace(limited(one, steps=400), seeds=1), 2_000
    one = limited(scale, {"record_every": 100})
    return one, replace(limited(one, steps=40), seeds=1, record_every=20), 200


def sizes(scale: Scale) -> str:
    """What is run at this scale."""
    one, two, prompts = sized(scale)
    return (
        f"one layer {counted(one.steps, 'iteration')}, {counted(one.seeds, 'seed')}, two layers "
        f"{counted(two.steps, 'iteration')}, {counted(two.seeds, 'seed')}, batch {one.batch}, {counted(prompts, 'prompt')} for "
        "evaluation"
    )


def runs(folder: RunFolder, model: str, used: Scale, progress: bool | None) -> list[dict[str, Array]]:
    """The runs of one model, a seed each: trained now or kept from before."""
    descriptions = [
        {"model": model, "task": vars(TASK), "steps": used.steps, "batch": used.batch, "seed": seed, "every": used.record_every,
         "optimizer": repr(training.ADAM), "schedule": training.SCHEDULE, "clip": training.CLIP, "std": training.STD}
        for seed in range(used.seeds)
    ]  # fmt: skip
    arguments = [(model, TASK, used.steps, used.batch, seed, used.record_every) for seed in range(used.seeds)]
    return kept_each(folder, "one_step_of_descent", descriptions, training.trained, arguments, f"{model} layer(s)", progress)


def measure(folder: RunFolder, scale: Scale, progress: bool | None = None) -> Numbers:
    """Train what is missing and compare with descent: plain numbers, ready for JSON."""
    one, two, prompts = sized(scale)
    lam = eigenvalues(TASK, prompts, np.random.default_rng(SEARCH))
    searched = {
        "one": line_search(lam, TASK.variance), "two": line_search(lam, TASK.variance, 2),
        "plus": line_search(lam, TASK.variance, 2, plus=True),
    }  # fmt: skip
    Z, y = TASK.sample(prompts, np.random.default_rng(TEST))
    return {
        "limits": differences(scale, one), "seeds_used": [one.seeds, two.seeds], "prompts": prompts, "searched": searched,
        "theory": dict(zip(("eta", "loss"), best_step(TASK.n, TASK.d, TASK.variance), strict=True)),
        "one": one_layer(runs(folder, "one", one, progress), searched["one"]["eta"], Z, y),
        "two": looped(runs(folder, "two", two, progress), searched, Z, y),
        "gammas": gammas(prompts),
    }  # fmt: skip


def draw(numbers: Numbers, scale: Scale) -> Figure:
    """The figure: six panels."""
    figure, axes = new_figure(columns=3, rows=2, width=4.0, height=3.3)
    one, two, blue = numbers["one"], numbers["two"], "#0072B2"
    dashed: dict[str, Any] = {"color": "black", "linestyle": "--", "linewidth": 1.2}
    ax = axes[0, 0]
    median_band(ax, one["along"]["loss"]["iterations"], band(one["along"]["loss"]), "one trained layer", color=blue)
    ax.axhline(one["descent"], label="one step of descent", **dashed)
    ax.set(
        xlabel="iteration t",
        ylabel=f"loss f on {numbers['prompts']:,} prompts",
        title=f"(a) {counted(numbers['seeds_used'][0], 'seed')}",
    )
    ax.legend(frameon=False, fontsize=9)
    ax = axes[0, 1]
    for key, label, color, line in (
        ("cosine", "cosine of the two w", blue, "-"), ("predictions", "distance of predictions, relative", "#D55E00", "--"),
        ("models", "distance of the two w", "#009E73", ":"),
    ):  # fmt: skip
        median_band(ax, one["along"][key]["iterations"], band(one["along"][key]), label, color=color, linestyle=line)
    ax.set(xlabel="iteration t", title="(b) layer and step compared", yscale="log", ylim=(5e-4, 4))
    ax.legend(frameon=False, fontsize=8, loc="lower center")
    ax = axes[0, 2]
    weights = np.array(one["weights"])
    size = np.abs(weights).max()
    image = ax.imshow(weights, cmap="RdBu_r", vmin=-size, vmax=size)
    ax.axvline(0.5, color="black", linewidth=1)
    ax.grid(False)
    ax.set(title="(c) P's last row | Q's first d columns", xticks=[], yticks=[])
    figure.colorbar(image, ax=ax, shrink=0.8)
    ax = axes[1, 0]
    for key, label, style in (
        ("trained", "trained layer", {"color": blue}),
        ("halfway", "halfway", {"color": "#D55E00", "linestyle": ":"}),
    ):
        values = one["elsewhere"]["covariates"][key]
        median_band(ax, values["iterations"], band(values), label, **style)
    values = one["elsewhere"]["covariates"]["descent"]
    ax.plot(values["iterations"], values["median"], label="one step of descent", **dashed)
    ax.set(yscale="log", xlabel=r"width $\alpha$ of the covariates", ylabel="loss f", title="(d) elsewhere; trained at 1")
    ax.legend(frameon=False, fontsize=9)
    ax = axes[1, 1]
    median_band(ax, two["along"]["iterations"], band(two["along"]), "two looped layers", color=blue)
    for name, style in (("GD", dashed), ("GD++", {**dashed, "color": "#D55E00", "linestyle": ":"})):
        ax.axhline(two["losses"][name], label=f"two steps of {name}", **style)
    ax.set(xlabel="iteration t", ylabel="loss f", title=f"(e) {counted(numbers['seeds_used'][1], 'seed')}")
    ax.legend(frameon=False, fontsize=9)
    ax = axes[1, 2]
    for damping, line in zip(DAMPINGS, (":", "-"), strict=True):
        values = one["repeated"][f"{damping:g}"]
        median_band(
            ax,
            values["trained"]["iterations"],
            band(values["trained"]),
            f"layer, damped by {damping:g}",
            color=blue,
            linestyle=line,
        )
        ax.plot(
            values["descent"]["iterations"],
            values["descent"]["median"],
            color="black",
            linestyle=line,
            linewidth=1,
            label="descent, the same",
        )
    ax.set(yscale="log", ylim=(1e-1, 1e2), xlabel="times repeated", ylabel="loss f", title="(f) the layer repeated")
    ax.legend(frameon=False, fontsize=8)
    return figure


def summary(numbers: Numbers) -> str:
    """What came out, in words."""
    one, two = numbers["one"], numbers["two"]
    end, losses = one["end"], two["losses"]
    last = np.array(two["along"]["each_seed"], float)[:, -1]
    return "\n".join([
        limits_in_words(numbers["limits"]),
        f"one layer: loss {end['loss']['median']:.4g}, one step of descent {one['descent']:.4g}, halfway between their weights "
        f"{one['halfway']['median']:.4g}; cosine {end['cosine']['median']:.5f}, predictions differ by "
        f"{end['predictions']['median']:.3g}",
        f"eta learned {one['eta']['median']:.4g}, line search {numbers['searched']['one']['eta']:.4g}, closed form "
        f"{numbers['theory']['eta']:.4g}",
        f"two looped layers: loss {np.median(last):.4g}; two steps of GD {losses['GD']:.4g}, of GD++ {losses['GD++']:.4g}; "
        f"learned eta {two['eta']['median']:.3g}, c {two['c']['median']:.3g}; best {numbers['searched']['plus']['eta']:.3g}, "
        f"{numbers['searched']['plus']['c']:.3g}",
        "gamma of GD++ for n = " + ", ".join(f"{n}: {value:.3g}" for n, value in numbers["gammas"].items()),
    ])  # fmt: skip
