"""What trained stacks compute on covariates of covariance Sigma: preconditioned descent, layer by layer, beside tuned
descents.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ...._types import Array
from ....plotting import median_band, new_figure
from ....training.runs import RunFolder
from ...curves import Numbers, band, curve
from ...measured import kept_each
from ...panels import limits_in_words
from ...scale import Scale, counted, differences, limited
from . import training
from .averaged import Averaged
from .claims import CLAIMS
from .comparison import DEPTHS, SHOWN, TEST, along, distances, losses, one_layer, shown

__all__ = ["ALT", "CLAIMS", "SECONDS", "TITLE", "draw", "measure", "sizes", "summary"]

TITLE = "Trained layers are steps of preconditioned gradient descent"
SECONDS = {"paper": 170, "quick": 10}
FEW, MANY = 5, 20  # examples of the one layer that is held against the closed form
KINDS = {  # what losses are compared: label and look
    "gd": ("GD, one tuned step", {"color": "black", "linestyle": "--"}),
    "preconditioned": (r"$\Sigma^{-1}$-GD, one tuned step", {"color": "#E69F00", "linestyle": "-."}),
    "steps": (r"$\Sigma^{-1}$-GD, a step a layer", {"color": "#009E73", "linestyle": ":"}),
    "A": ("trained, $B_l = 0$", {"color": "#D55E00", "linestyle": "-"}),
    "scalars": ("GD++, two steps a layer", {"color": "#CC79A7", "linestyle": ":"}),
    "all": ("trained, $A_l$ and $B_l$", {"color": "#0072B2", "linestyle": "-"}),
}  # fmt: skip
ALT = (
    "Six panels. One layer's preconditioner along the eigenvectors of Sigma, on the closed form's curve and below 1/lambda, for "
    "5 and 20 examples. Loss against depth, logarithmic: descent with one step highest, preconditioned descent below, trained "
    "stacks lowest. Loss against iteration for 1 to 4 layers. Distances to the identity of A_l as it is, near 0.7, and after "
    "whitening, which fall; of B_l. A trained A_l as heat maps, before whitening and after. Lines are medians over seeds, bands "
    "quartiles."
)


def sized(scale: Scale) -> tuple[Scale, dict[str, Any]]:
    """The scale, and the iterations of each run: trained stacks by depth, one layer, few numbers, and the plain demonstration."""
    if scale.name == "paper":
        used = limited(scale, {"record_every": 200}, steps=8_000, batch=256, seeds=3)
        return used, {"all": {1: 200, 2: 500, 3: 1_000, 4: 1_000}, "fixed": 2_048, "A": {1: 2_000, 2: 3_000, 3: 4_000, 4: 4_000},
                      "one": 2_000,
                      "few": 3_000, "plain": 8_000, "states": 5_000}  # fmt: skip
    steps, few, count = (400, 300, 1_000) if scale.name == "quick" else (25, 10, 50)
    used = limited(scale, {"record_every": steps // 5}, steps=steps, batch=64, seeds=1 if scale.name == "quick" else 2)
    short = dict.fromkeys(DEPTHS, steps)
    fixed = dict.fromkeys(DEPTHS, 80 if scale.name == "quick" else 5)
    return used, {
        "all": fixed,
        "fixed": 256 if scale.name == "quick" else 64,
        "A": short,
        "one": steps,
        "few": few,
        "plain": few,
        "states": count,
    }


def sizes(scale: Scale) -> str:
    """What is run at this scale."""
    used, steps = sized(scale)
    longest = counted(max(steps["all"].values()), "iteration")
    return (
        f"1 to 4 layers, up to {longest} of L-BFGS on {steps['fixed']:,} covariances, or {used.steps:,} of Adam on {used.batch}, "
        f"{counted(used.seeds, 'seed')}"
    )


def runs(folder: RunFolder, asked: list[tuple[Any, ...]], label: str, progress: bool | None) -> list[dict[str, Array]]:
    """The runs with these arguments of ``training.trained``, trained now or kept from before."""
    names = ("kind", "Sigma", "n", "layers", "how", "steps", "batch", "seed", "every", "W")
    descriptions = [
        {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in zip(names, arguments, strict=False)}
        | {"optimizer": repr(training.optimizer(arguments[4])), "std": training.STD}
        for arguments in asked
    ]  # fmt: skip
    return kept_each(folder, "preconditioned_descent", descriptions, training.trained, asked, label, progress)


def measure(folder: RunFolder, scale: Scale, progress: bool | None = None) -> Numbers:
    """Train what is missing, tune the descents, and compare: plain numbers, ready for JSON."""
    used, steps = sized(scale)
    roots = [training.root(seed) for seed in range(used.seeds)]
    plain = np.eye(training.D)
    stacks = {
        kind: {layers: runs(folder, [(kind, C @ C.T, training.N, layers, how, steps[kind][layers], batch, seed,
                                      max(1, steps[kind][layers] // 40))
                                     for seed, C in enumerate(roots)], f"{layers} layers, {kind}", progress) for layers in DEPTHS}
        for kind, how, batch in (("all", "L-BFGS", steps["fixed"]), ("A", "skewed", used.batch))
    }  # fmt: skip
    few = {
        kind: {layers: runs(folder, [(kind, plain, training.N, layers, "few", steps["few"], used.batch, 0, steps["few"])], kind,
                            progress)[0]
               for layers in DEPTHS} for kind in ("steps", "scalars")
    }  # fmt: skip
    S = training.states(plain, training.N, steps["states"], np.random.default_rng(TEST))
    demonstration = runs(folder, [("all", plain, training.N, SHOWN, "plain", steps["plain"], used.batch, seed,
                                   max(1, steps["plain"] // 80))
                                  for seed in range(used.seeds)], "Sigma = I", progress)  # fmt: skip
    return {
        "limits": differences(scale, used), "iterations": steps["all"], "seeds_used": used.seeds, "scales": list(training.SCALES),
        "one": {
            str(n): one_layer(runs(folder, [("all", C @ C.T, n, 1, "skewed", steps["one"], used.batch, seed, steps["one"], plain)
                                            for seed, C in enumerate(roots)], f"one layer, n = {n}", progress), roots, n,
                                            4 * steps["states"])
            for n in (FEW, MANY)
        },
        "losses": losses(stacks, few, roots, S), "along": along(stacks["all"], roots, S),
        "distances": {kind: distances(found[SHOWN], roots, kind == "all") for kind, found in stacks.items()},
        "weights": shown(stacks["all"][SHOWN][0], roots[0]),
        "plain": curve(demonstration[0]["times"], [[Averaged(plain, SHOWN).loss_of(p[:, None],
            S) for p in run["params"]] for run in demonstration]),
    }  # fmt: skip


def draw(numbers: Numbers, scale: Scale) -> Figure:
    """The figure: six panels."""
    figure, axes = new_figure(columns=3, rows=2, width=4.2, height=3.4)
    draw_one_layer(axes[0, 0], numbers)
    ax = axes[0, 1]
    for kind, (label, style) in KINDS.items():
        found = [numbers["losses"][kind][str(layers)]["median"] for layers in DEPTHS]
        ax.plot(DEPTHS, found, marker="o", markersize=3, linewidth=1.6, label=label, **style)
    ax.set(yscale="log", xlabel="layers L", ylabel="loss f", xticks=DEPTHS, title=f"(b) {counted(numbers['seeds_used'], 'seed')}")
    ax.legend(frameon=False, fontsize=7)
    ax = axes[0, 2]
    for layers, color, line in zip(DEPTHS, ("#000000", "#D55E00", "#009E73", "#0072B2"), ("-", "--", "-.", ":"), strict=True):
        values = numbers["along"][str(layers)]
        median_band(ax, values["iterations"], band(values), f"L = {layers}", color=color, linestyle=line)
    ax.set(yscale="log", ylim=(2e-4, 20), xlabel="iteration t", ylabel="loss f", title="(c) $A_l$ and $B_l$ trained")
    ax.legend(frameon=False, fontsize=9)
    for ax, kinds, title in ((axes[1, 0], ("raw", "whitened"), "(d) $A_l$, L = 3"), (axes[1, 1], ("B",), "(e) $B_l$, L = 3")):
        for kind in kinds:
            color = {"raw": "#D55E00", "whitened": "#0072B2", "B": "#009E73"}[kind]
            for layer, values in enumerate(numbers["distances"]["all"][kind]):
                label = {"raw": "$A_l$", "whitened": r"$\Sigma^{1/2} A_l \Sigma^{1/2}$", "B": "$B_l$"}[kind]
                line = ("-", "--", ":")[layer]
                median_band(ax, values["iterations"], band(values), f"{label}, l = {layer}", color=color, linestyle=line)
        ax.set(ylim=(0, 1.35), xlabel="iteration t", ylabel="distance to a multiple of I", title=title)
        ax.legend(frameon=False, fontsize=8, ncols=2, loc="upper right")
    ax = axes[1, 2]
    parts = [np.array(numbers["weights"][name]) for name in ("A", "whitened")]
    ax.imshow(np.hstack([part / np.abs(part).max() for part in parts]), cmap="RdBu_r", vmin=-1, vmax=1)
    ax.axvline(training.D - 0.5, color="black", linewidth=1)
    ax.grid(False)
    ax.set(title=r"(f) $A_1$  |  $\Sigma^{1/2} A_1 \Sigma^{1/2}$, each / its largest", xticks=[], yticks=[])
    return figure


def draw_one_layer(ax: Any, numbers: Numbers) -> None:
    """One layer's preconditioner along Sigma's eigenvectors, and the closed form."""
    lam = np.geomspace(0.05, 1.3, 60)
    trace, eigenvalues = sum(s * s for s in numbers["scales"]), np.array(numbers["scales"]) ** 2
    for n, color, marker in ((FEW, "#D55E00", "s"), (MANY, "#0072B2", "o")):
        ax.plot(lam, 1 / ((n + 1) / n * lam + trace / n), color=color, linewidth=1.4, label=f"closed form, n = {n}")
        for k, along_one in enumerate(numbers["one"][str(n)]["along"]):
            ax.plot(
                eigenvalues,
                along_one,
                marker,
                color=color,
                markersize=4,
                fillstyle="none",
                label=None if k else f"trained, n = {n}",
            )
    ax.plot(lam, 1 / lam, color="black", linestyle=":", linewidth=1, label=r"$1/\lambda$")
    ax.set(
        xscale="log",
        yscale="log",
        ylim=(0.3, 20),
        xlabel=r"eigenvalue $\lambda$ of $\Sigma$",
        ylabel="of A",
        title="(a) one layer, tasks N(0, I)",
    )
    ax.legend(frameon=False, fontsize=8)


def summary(numbers: Numbers) -> str:
    """What came out, in words."""
    lines = [limits_in_words(numbers["limits"])]
    for n, one in numbers["one"].items():
        lines.append(
            f"one layer, n = {n}: A is {one['distance']['median']:.3g} from the closed form, which is "
            f"{one['inverse']['median']:.3g} from Sigma^-1 (relative); loss over the least {one['loss_ratio']['median']:.5g}"
        )
    for kind, (label, _) in KINDS.items():
        words = ", ".join(f"{numbers['losses'][kind][str(layers)]['median']:.4g}" for layers in DEPTHS)
        lines.append(f"{label.replace('$', '')}: loss for L = 1 to 4: {words}")
    for kind, found in numbers["distances"].items():
        ends = {name: ", ".join(f"{values['median'][-1]:.3g}" for values in curves) for name, curves in found.items()}
        lines.append(
            f"distance to the identity, L = {SHOWN}, {kind}: A_l {ends['raw']}; whitened {ends['whitened']}"
            + (f"; B_l {ends['B']}" if "B" in ends else "")
        )
    return "\n".join(lines)
