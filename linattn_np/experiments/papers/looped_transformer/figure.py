"""A pre-network and a looped layer: errors, loops beyond training, the reason, fewer examples, noise, the learned step."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ....plotting import median_band, new_figure
from ....training.runs import RunFolder
from ...curves import Numbers, band, curve, spread
from ...measured import kept_each
from ...scale import Scale, counted
from . import training
from .claims import CLAIMS

__all__ = ["ALT", "CLAIMS", "SECONDS", "TITLE", "draw", "measure", "sizes", "summary"]

TITLE = "Pre-network and one looped layer: features first, then as many steps of descent as there are loops"
SECONDS = {"paper": 90, "quick": 10}
ALT = (
    "Six panels. Test errors of nine models on a logarithmic axis: the raw loop at the error of least squares on the "
    "covariates, pre-network with 1, 4, 8 loops ever lower, untied steps and full layers beside them. Error against loops "
    "in the test: the raw loop stays level; the models with a pre-network improve a little beyond the loops they were "
    "trained with and then get worse, steeply; the one trained with random loops does so later and far less, and it too "
    "ends above its error at 8 loops. The same for prompts apart, those whose step is too long diverge. Error against "
    "number of examples. Excess risk over ridge against noise. The learned step, which falls with noise."
)
SIGMAS = (0.0, 0.5, 1.0, 2.0)
NOISE_LOOPS = (8, 20)
CURVES: dict[str, dict[str, Any]] = {
    "raw loop": {"color": "#7F7F7F", "linestyle": ":"}, "pre + 1 loop": {"color": "#E69F00", "linestyle": "-."},
    "pre + 4 loops": {"color": "#D55E00", "linestyle": "--"}, "pre + 8 loops": {"color": "#0072B2"},
    "pre + 8 loops, random T": {"color": "#009E73", "linestyle": (0, (5, 2))},
}  # fmt: skip


def sized(scale: Scale) -> dict[str, int]:
    """Updates, batch, seeds, prompts of the test, and updates of the noisy loops."""
    if scale.name == "paper":
        return {"steps": 2000, "batch": 96, "seeds": 3, "prompts": 4000, "noise_steps": 400}
    if scale.name == "quick":
        return {"steps": 250, "batch": 96, "seeds": 1, "prompts": 1000, "noise_steps": 100}
    return {"steps": 12, "batch": scale.batch, "seeds": scale.seeds, "prompts": 60, "noise_steps": 6}


def sizes(scale: Scale) -> str:
    """What is run at this scale."""
    at = sized(scale)
    return (
        f"{len(training.models())} models, {counted(at['steps'], 'iteration')}, batch {at['batch']}, "
        f"{counted(at['seeds'], 'seed')}, {counted(at['prompts'], 'prompt')} for the test; "
        f"{counted(at['noise_steps'], 'iteration')} for each noisy loop"
    )


def measure(folder: RunFolder, scale: Scale, progress: bool | None = None) -> Numbers:
    """Train what is missing and test it: plain numbers, ready for JSON."""
    at = sized(scale)
    seeds, prompts, names = range(at["seeds"]), at["prompts"], tuple(training.models())
    asked = [(name, at["steps"], at["batch"], seed, prompts) for name in names for seed in seeds]
    described = [
        {"asked": each, "size": training.size_of(training.models()[each[0]]), "std": training.FULL_STD} for each in asked
    ]
    found = kept_each(folder, FOLDER, described, training.run, asked, "models", progress)
    runs = {name: found[k * len(seeds) : (k + 1) * len(seeds)] for k, name in enumerate(names)}
    raw = [training.on_raw_covariates(seed, prompts) for seed in seeds]
    every = {
        key: {name: curve(range(len(runs[name][0][key])), [run[key] for run in runs[name]]) for name in CURVES}
        for key in ("after", "stable", "unstable")
    }
    return {
        "sizes": sizes(scale), "sizes_used": at,
        "parameters": {name: training.size_of(which) for name, which in training.models().items()},
        "errors": {name: spread([run["error"] for run in each]) for name, each in runs.items()},
        "share": {name: spread([run["share"] for run in runs[name]]) for name in CURVES},
        "eta": {name: spread([run["eta"] for run in runs[name]]) for name in CURVES},
        "examples": {name: curve(training.EXAMPLES, [run["examples"] for run in runs[name]]) for name in CURVES},
        "raw": {key: spread([each[key] for each in raw]) for key in raw[0]}, **every, "noise": noise(folder, at, progress),
    }  # fmt: skip


FOLDER = "looped_transformer"


def noise(folder: RunFolder, at: dict[str, int], progress: bool | None) -> Numbers:
    """Learned steps and excess risks beside those of least squares, ridge and Newton."""
    seeds = range(at["seeds"])
    asked = [
        (sigma, loops, at["noise_steps"], seed, at["prompts"]) for loops in NOISE_LOOPS for sigma in SIGMAS for seed in seeds
    ]
    found = kept_each(
        folder, f"{FOLDER}_noise", [{"asked": each} for each in asked], training.noisy, asked, "noisy loops", progress
    )
    grouped = iter(found[k : k + len(seeds)] for k in range(0, len(found), len(seeds)))
    numbers: Numbers = {"human": {f"{sigma:g}": training.human(sigma, at["prompts"]) for sigma in SIGMAS}}
    for loops in NOISE_LOOPS:
        each = {f"{sigma:g}": next(grouped) for sigma in SIGMAS}
        numbers[f"T = {loops}"] = {
            sigma: {key: spread([run[key] for run in runs]) for key in ("eta", "risk")} for sigma, runs in each.items()
        }
        for at_sigma, here in numbers[f"T = {loops}"].items():
            risks = [
                training.loop_risk(eta, float(at_sigma), loops, at["prompts"], stable=True) for eta in here["eta"]["each_seed"]
            ]
            here["stable"] = spread(risks)
        clean = numbers[f"T = {loops}"]["0"]["eta"]["median"]
        numbers[f"T = {loops}, step of no noise"] = {
            f"{sigma:g}": float(training.loop_risk(clean, sigma, loops, at["prompts"], stable=True)) for sigma in SIGMAS
        }
    return numbers


# ---------------------------------------------------------------- the picture


def draw(numbers: Numbers, scale: Scale) -> Figure:
    """The figure: six panels."""
    figure, axes = new_figure(columns=3, rows=2, width=4.3, height=3.5)
    draw_errors(axes[0, 0], numbers)
    ax = axes[0, 1]
    for name, style in CURVES.items():
        values = numbers["after"][name]
        median_band(ax, values["iterations"], band(values), name, **style)
    ax.set(yscale="log", ylim=(3e-3, 30), xlabel="loops in the test", ylabel="error", title="(b) beyond the loops of training")
    ax.legend(frameon=False, fontsize=7, loc="upper left")
    draw_apart(axes[0, 2], numbers)
    ax = axes[1, 0]
    for name, style in CURVES.items():
        values = numbers["examples"][name]
        median_band(ax, values["iterations"], band(values), name, **style)
    ax.set(yscale="log", xlabel="examples in the prompt", ylabel="error", title="(d) fewer examples; 30 in training")
    draw_noise(axes[1, 1], numbers["noise"])
    ax = axes[1, 2]
    for loops, style in zip(NOISE_LOOPS, ({"color": "#0072B2"}, {"color": "#D55E00", "linestyle": "--"}), strict=True):
        each = numbers["noise"][f"T = {loops}"]
        quartiles = [
            [each[f"{sigma:g}"]["eta"][key] for sigma in SIGMAS] for key in ("lower_quartile", "median", "upper_quartile")
        ]
        median_band(ax, SIGMAS, quartiles, f"{loops} loops", **style)
    ax.set(xlabel=r"noise $\sigma$", ylabel=r"learned step $\eta$", ylim=(0, None), title="(f) the step falls with noise")
    ax.legend(frameon=False, fontsize=9)
    return figure


def draw_errors(ax: Axes, numbers: Numbers) -> None:
    """Each model's errors, a dot a seed, with its number of parameters."""
    names = list(numbers["errors"])[::-1]
    for row, name in enumerate(names):
        values = np.array(numbers["errors"][name]["each_seed"], float)
        ax.plot(values, np.full(len(values), row), "o", color=CURVES.get(name, {"color": "#000000"})["color"], markersize=5)
    ax.axvline(numbers["raw"]["error"]["median"], color="0.4", linestyle="--", linewidth=1)
    ax.set_yticks(range(len(names)), [f"{name} ({numbers['parameters'][name]})" for name in names], fontsize=7)
    ax.set(xscale="log", xlim=(3e-3, 30), xlabel="error; dashed: least squares on x", title="(a) test error (parameters)")


def draw_apart(ax: Axes, numbers: Numbers) -> None:
    """Prompts whose step is too long, and the others."""
    name = "pre + 8 loops"
    share = numbers["share"][name]["median"]
    for key, label, style in (
        ("unstable", rf"$\eta \lambda_{{max}} > 2$, {share:.2%} of prompts", {"color": "#D55E00", "linestyle": "--"}),
        ("stable", r"$\eta \lambda_{max} < 2$", {"color": "#0072B2"}),
    ):  # fmt: skip
        values = numbers[key][name]
        median_band(ax, values["iterations"], band(values), label, **style)
    ax.axvline(training.LOOPS, ymax=0.83, color="0.5", linewidth=1)  # below the legend
    ax.set(yscale="log", xlabel="loops in the test", ylabel="error", title="(c) pre + 8 loops, prompts apart")
    ax.legend(frameon=False, fontsize=8)


def draw_noise(ax: Axes, found: Numbers) -> None:
    """Excess risk over ridge's."""
    noisy = [f"{sigma:g}" for sigma in SIGMAS[1:]]
    ridge = np.array([found["human"][sigma]["ridge"] for sigma in noisy])
    for loops, style in zip(NOISE_LOOPS, ({"color": "#0072B2"}, {"color": "#D55E00", "linestyle": "--"}), strict=True):
        each = found[f"T = {loops}"]
        quartiles = [[each[sigma]["stable"][key] for sigma in noisy] for key in ("lower_quartile", "median", "upper_quartile")]
        median_band(ax, SIGMAS[1:], np.array(quartiles) / ridge, f"{loops} loops, trained", **style)
    values = np.array([found["T = 20, step of no noise"][sigma] for sigma in noisy])
    ax.plot(SIGMAS[1:], values / ridge, ":", color="#D55E00", label="20 loops, step of no noise")
    for which, line in (("least squares", "-."), ("Newton, stopped", ":")):
        values = np.array([found["human"][sigma][which] for sigma in noisy])
        ax.plot(SIGMAS[1:], values / ridge, color="k", linestyle=line, linewidth=1.2, label=which)
    ax.axhline(1.0, color="0.5", linewidth=1)
    ax.set(
        xlabel=r"noise $\sigma$",
        ylabel="excess risk over ridge's",
        ylim=(0.9, 2.5),
        title="(e) noisy labels; prompts with a safe step",
    )
    ax.legend(frameon=False, fontsize=8)


def summary(numbers: Numbers) -> str:
    """What came out, in words."""
    raw, found = numbers["raw"], numbers["noise"]
    lines = [
        f"variance of the labels {raw['variance']['median']:.3g}, least squares on the covariates {raw['error']['median']:.3g}; "
        f"medians of {counted(numbers['sizes_used']['seeds'], 'seed')}"
    ]
    for name, values in numbers["errors"].items():
        line = f"  {name} ({numbers['parameters'][name]} parameters): error {values['median']:.3g}"
        if name in CURVES:
            after = numbers["after"][name]["median"]
            later = ", ".join(f"{after[t]:.3g}" for t in (8, 16, 24, 32))
            line += f"; after 8, 16, 24, 32 loops {later}, step {numbers['eta'][name]['median']:.3g}"
        lines.append(line)
    apart = {key: numbers[key]["pre + 8 loops"]["median"][24] for key in ("stable", "unstable")}
    share = numbers["share"]["pre + 8 loops"]["median"]
    words = ["none" if value is None else f"{value:.3g}" for value in apart.values()]
    lines.append(f"pre + 8 loops after 24: {words[0]} where the step is safe, {words[1]} on the {share:.2%} where it is not")
    for sigma, values in found["human"].items():
        loops = ", ".join(f"{loops} loops {found[f'T = {loops}'][sigma]['risk']['median']:.3g}" for loops in NOISE_LOOPS)
        safe = ", ".join(f"{found[f'T = {loops}'][sigma]['stable']['median']:.3g}" for loops in NOISE_LOOPS)
        steps = ", ".join(f"{found[f'T = {loops}'][sigma]['eta']['median']:.3g}" for loops in NOISE_LOOPS)
        lines.append(
            f"noise {sigma}: {loops} (steps {steps}; where the step is safe {safe}); least squares "
            f"{values['least squares']:.3g}, ridge {values['ridge']:.3g}, Newton {values['Newton']:.3g}, "
            f"stopped after {values['stopped at']} {values['Newton, stopped']:.3g}"
        )
    return "\n".join(lines)
