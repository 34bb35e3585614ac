"""One trained layer beside one step of gradient descent, two looped layers beside two steps of it and of GD++."""

from dataclasses import replace
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ...._types import Array
from ....layers import gram
from ....models.transformer import loss, predict
from ....plotting import median_band, new_figure
from ....training.runs import RunFolder
from ...curves import Numbers, band, curve, spread
from ...measured import kept_each
from ...panels import limits_in_words
from ...scale import Scale, counted, differences, limited
from . import training
from .claims import CLAIMS
from .descent import eigenvalues, line_search
from .one_layer import OneLayer
from .tasks import UniformTask, best_step
from .weights import construction, gd_plus_plus

__all__ = ["ALT", "CLAIMS", "SECONDS", "TITLE", "draw", "measure", "sizes", "summary"]

TITLE = "One trained layer is one step of gradient descent; two are two steps of GD++"
SECONDS = {"paper": 120, "quick": 8}
TASK = UniformTask()
WIDTHS = (0.5, 0.75, 1.0, 1.25, 1.5, 2.0)  # alpha: covariates uniform on [-alpha, alpha], or task vectors alpha w
EXAMPLES = (10, 25, 50, 100)  # for which the paper prints the gamma of trained layers
ROLLED = 50  # times that the trained layer is repeated
DAMPINGS = (1.0, 0.75)
TEST, SEARCH = 10_000, 20_000  # seeds of the prompts for evaluation, and of those for line searches
ALT = (
    "Six panels. Loss of one trained layer against iteration, which falls to the line of one step of gradient descent. Cosine and "
    "distances between the two models during training, towards 1 and 0. The trained weights as a heat map: one entry of P's last row and "
    "the diagonal of Q, nothing else. Loss on wider and narrower covariates, three curves that coincide. Loss of two looped layers, "
    "which falls below two steps of gradient descent to two of GD++. The layer repeated 50 times, damped and not. Lines are medians "
    "over seeds, bands quartiles."
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
        f"one layer {counted(one.steps, 'iteration')}, {counted(one.seeds, 'seed')}, two layers {counted(two.steps, 'iteration')}, "
        f"{counted(two.seeds, 'seed')}, batch {one.batch}, {counted(prompts, 'prompt')} for evaluation"
    )


def runs(folder: RunFolder, model: str, used: Scale, progress: bool | None) -> list[dict[str, Array]]:
    """The runs of one model, a seed each: trained now or kept from before."""
    descriptions = [
        {"model": model, "task": vars(TASK), "steps": used.steps, "batch": used.batch, "seed": seed, "every": used.record_every,
         "optimizer": repr(training.optimizer(used.steps)), "clip": training.CLIP, "std": training.STD}
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


def one_layer(found: list[dict[str, Array]], eta: float, Z: Array, y: Array) -> Numbers:
    """One trained layer against one step of descent: along training, at the end, elsewhere, and repeated."""
    along = [[training.alignment(theta, eta, Z, y) for theta in run["params"]] for run in found]
    last = [training.rescaled(run["params"][-1]) for run in found]
    step = training.constructed(eta, TASK.d)
    halfway = [(theta + step) / 2 for theta in last]
    ends = [training.alignment(theta, eta, Z, y) for theta in last]
    model, few = OneLayer(TASK.d), slice(1_000)
    return {
        "along": {key: curve(found[0]["times"], [[at[key] for at in run] for run in along]) for key in ("loss", "cosine", "predictions", "models")},
        "descent": ends[0]["descent"], "end": {key: spread([end[key] for end in ends]) for key in ends[0]},
        "halfway": spread([training.alignment(theta, eta, Z, y)["loss"] for theta in halfway]),
        "eta": spread([training.step_of(theta) for theta in last]), "weights": last[0].tolist(),
        "elsewhere": {kind: elsewhere(kind, last, halfway, eta, len(y)) for kind in ("covariates", "task vectors")},
        "repeated": {
            f"{damping:g}": {
                "trained": curve(range(ROLLED + 1), [repeated(model.full(theta), damping, Z[few], y[few]) for theta in last]),
                "descent": curve(range(ROLLED + 1), [repeated(model.full(step), damping, Z[few], y[few])]),
            }
            for damping in DAMPINGS
        },
    }  # fmt: skip


def elsewhere(kind: str, last: list[Array], halfway: list[Array], eta: float, prompts: int) -> Numbers:
    """The losses where covariates, or task vectors, are alpha times as large as in training."""
    rows: dict[str, list[Any]] = {"trained": [], "halfway": [], "descent": []}
    for alpha in WIDTHS:
        Z, y = (TASK if kind == "task vectors" else replace(TASK, width=alpha)).sample(prompts, np.random.default_rng(TEST + 1))
        if kind == "task vectors":
            Z, y = np.concatenate([Z[..., :-1], alpha * Z[..., -1:]], axis=-1), alpha * y
        for key, thetas in (("trained", last), ("halfway", halfway)):
            at = [training.alignment(theta, eta, Z, y) for theta in thetas]
            rows[key].append([each["loss"] for each in at])
        rows["descent"].append([at[0]["descent"]])
    return {key: curve(WIDTHS, np.transpose(values)) for key, values in rows.items()}


def repeated(layer: Array, damping: float, Z: Array, y: Array) -> list[float]:
    """The loss after 0, 1, .. uses of a layer (1, 1, 2, D, D) whose change of the tokens is damped."""
    P, Q = layer[0, :, 0] * damping, layer[0, :, 1]
    activation, losses = gram.compress(Z), []
    with np.errstate(all="ignore"):  # undamped, some prompts diverge
        for _ in range(ROLLED + 1):
            losses.append(float(((gram.readout(activation) - y) ** 2).mean()))
            activation, _ = gram.forward(activation, P, Q)
    return losses


def looped(found: list[dict[str, Array]], searched: Numbers, Z: Array, y: Array) -> Numbers:
    """Two looped layers against two steps of descent and of GD++, along training and at the end."""
    model = training.two_layers(TASK.d)
    descent = {
        "GD": np.repeat(construction(TASK.d, searched["two"]["eta"]), 2, axis=0),
        "GD++": gd_plus_plus(TASK.d, searched["plus"]["eta"], searched["plus"]["c"]),
    }
    few = Z[:1_000]
    theirs = {name: sensitivities(lambda prompts, w=weights: predict(w, prompts), few) for name, weights in descent.items()}
    cosines: dict[str, list[Any]] = {name: [] for name in descent}
    for run in found:
        ours = [
            sensitivities(lambda prompts, w=w: model.predict(w, prompts), few)
            for w in run["params"][:: max(1, len(run["params"]) // 10)]
        ]
        for name, w in theirs.items():
            cosines[name].append([mean_cosine(each, w) for each in ours])
    times = found[0]["times"]
    learned = [training.steps_of_two(run["params"][-1]) for run in found]
    return {
        "losses": {name: loss(weights, Z, y) for name, weights in descent.items()},
        "along": curve(times, [[model.loss(w, Z, y) for w in run["params"]] for run in found]),
        "cosines": {name: curve(times[:: max(1, len(times) // 10)], values) for name, values in cosines.items()},
        "eta": spread([each["eta"] for each in learned]), "c": spread([each["c"] for each in learned]),
        "weights": found[0]["params"][-1][0, 0].tolist(),
    }  # fmt: skip


def sensitivities(answer: Any, Z: Array) -> Array:
    """The derivative of each prediction by its query's covariates, in which it is linear: the answers to unit queries. -> (B, d)"""
    columns = []
    for k in range(TASK.d):
        asked = Z.copy()
        asked[:, -1] = 0.0
        asked[:, -1, k] = 1.0
        columns.append(answer(asked))
    return np.stack(columns, axis=1)


def mean_cosine(v: Array, w: Array) -> float:
    """The mean over prompts of the cosine between two (B, d)."""
    return float(((v * w).sum(axis=1) / np.sqrt((v * v).sum(axis=1) * (w * w).sum(axis=1))).mean())


def gammas(prompts: int) -> Numbers:
    """GD++'s best gamma = c / n for two equal layers, on covariates of width 1/2 as in the paper's code."""
    found = {}
    for n in EXAMPLES:
        task = replace(TASK, n=n, width=0.5)
        best = line_search(eigenvalues(task, min(prompts, 2_000), np.random.default_rng(SEARCH)), task.variance, 2, plus=True)
        found[str(n)] = best["c"] / n
    return found


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
    ax.set(xlabel="iteration t", title="(b) layer and step compared", yscale="log", ylim=(5e-3, 4))
    ax.legend(frameon=False, fontsize=8, loc="center right")
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
        f"{one['halfway']['median']:.4g}; cosine {end['cosine']['median']:.5f}, predictions differ by {end['predictions']['median']:.3g}",
        f"eta learned {one['eta']['median']:.4g}, line search {numbers['searched']['one']['eta']:.4g}, closed form {numbers['theory']['eta']:.4g}",
        f"two looped layers: loss {np.median(last):.4g}; two steps of GD {losses['GD']:.4g}, of GD++ {losses['GD++']:.4g}; learned eta "
        f"{two['eta']['median']:.3g}, c {two['c']['median']:.3g}; best {numbers['searched']['plus']['eta']:.3g}, {numbers['searched']['plus']['c']:.3g}",
        "gamma of GD++ for n = " + ", ".join(f"{n}: {value:.3g}" for n, value in numbers["gammas"].items()),
    ])  # fmt: skip
