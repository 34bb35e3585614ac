"""Log loss against depth of trained and typed-in layers, what updating B does to conditioning, a flow layer by layer, a
molecule.
"""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from ...._types import Array
from ....plotting import median_band, new_figure
from ....progress import bar
from ....training.runs import RunFolder
from ...curves import Numbers, band, curve
from ...measured import kept_each
from ...scale import Scale, counted
from . import construction, graphs, recursions
from .claims import CLAIMS, FROZEN, LOGGED, UPDATED
from .training import DEPTHS, MODES, Size, baselines, chebyshev_steps, every_depth

__all__ = ["ALT", "CLAIMS", "SECONDS", "TITLE", "draw", "measure", "sizes", "summary"]

TITLE = "Attention on the incidence matrix is the Laplacian: electric flow, layer by layer"
SECONDS = {"paper": 150, "quick": 10}
ALT = (
    "Eight panels. Log loss against depth on skip-circles: trained scalars with B frozen lie on Chebyshev's steps, below a tuned "
    "fixed step; with B updated far below; the released code's logged numbers as crosses. The same for resistive embeddings and "
    "for full graphs. The condition number of B B^T before each of nine layers, which falls where B is updated and stays where "
    "it is only scaled. Error of a molecule's eigenvectors against loops of two layers. The potentials of a town's streets after "
    "1, 4 and 16 layers, streets as wide as their flow. The molecule drawn by its first two eigenvectors."
)
NETWORKS = (
    *(("electric", "skip-circle", mode) for mode in MODES), ("resistive", "skip-circle", "B frozen"),
    ("resistive", "skip-circle", "B updated"), ("electric", "full", "B frozen"),
)  # fmt: skip
STYLES: dict[str, dict[str, Any]] = {
    "B frozen": {"color": "#0072B2"}, "B only scaled": {"color": "#009E73", "linestyle": ":"},
    "B updated": {"color": "#D55E00", "linestyle": "--"}, "B and demands updated": {"color": "#CC79A7", "linestyle": "-."},
    "fixed step": {"color": "#7F7F7F", "linestyle": ":"}, "Chebyshev": {"color": "#000000", "linestyle": (0, (5, 2))},
}  # fmt: skip
FLOW_LAYERS = (1, 4, 16)
LOOPS = (1, 3, 10, 30, 100, 300, 1000)
SHIFT = 4.0  # c of the molecule's subspace iteration with c - L, above half of lambda_max


def size_of(scale: Scale) -> tuple[Size, int]:
    """How much a network is trained, and the number of seeds."""
    if scale.name == "paper":
        return Size(), min(scale.seeds, 3)
    if scale.name == "quick":
        return Size(100, 500, 128, 1, 300), min(scale.seeds, 2)
    return Size(12, 60, scale.batch, 1, 40), scale.seeds


def sizes(scale: Scale) -> str:
    """What is run at this scale."""
    size, seeds = size_of(scale)
    return (
        f"{len(NETWORKS)} kinds of network at {len(DEPTHS)} depths, {counted(size.iterations, 'iteration')} on "
        f"{counted(size.graphs, 'graph')}, best of {counted(size.starts, 'start')}, {counted(size.test_graphs, 'graph')} for the "
        f"test, {counted(seeds, 'seed')}"
    )


def measure(folder: RunFolder, scale: Scale, progress: bool | None = None) -> Numbers:
    """Train what is missing, and run the constructions: plain numbers, ready for JSON."""
    size, seeds = size_of(scale)
    arguments = [(mode, task, kind, seed, size) for task, kind, mode in NETWORKS for seed in range(seeds)]
    descriptions = [{"network": asked[:3], "seed": asked[3], "size": size._asdict(), "depths": DEPTHS} for asked in arguments]
    trained = kept_each(folder, "electric_flow", descriptions, every_depth, arguments, "networks", progress)
    tuned = kept_each(
        folder, "electric_flow_baselines", [{"seed": seed, "size": size._asdict()} for seed in range(seeds)], baselines,
        [("skip-circle", seed, size) for seed in range(seeds)], "tuned steps", progress,
    )  # fmt: skip
    log_loss, condition = {}, {}
    for at, (task, kind, mode) in enumerate(NETWORKS):
        found = trained[at * seeds : (at + 1) * seeds]
        log_loss[f"{task}, {kind}, {mode}"] = curve(DEPTHS, np.log([each["loss"] for each in found]))
        condition[f"{task}, {kind}, {mode}"] = curve(range(DEPTHS[-1] + 1), [each["condition"][-1] for each in found])
    with bar(2, "constructions", progress) as shown:
        same = identities(seeds)
        shown.update()
        pictures = {"flow": flow(), "molecule": molecule(min(LOOPS[-1], scale.steps))}
        shown.update()
    steps = {name: curve(range(1, 14), np.log([each[name] for each in tuned])) for name in tuned[0]}
    return {
        "sizes": sizes(scale),
        "seeds_used": seeds,
        "log_loss": log_loss,
        "steps": steps,
        "condition": condition,
        "identities": same,
        **pictures,
    }


def identities(seeds: int) -> dict[str, list[float]]:
    """The largest distance of each construction by layers from its recursion, relative, on a random graph of each seed."""
    asked: dict[str, tuple[Any, ...]] = {
        "potentials": (np.linspace(0.01, 0.1, 7),), "resistive": (0.05, 7), "heat": (0.2, 7), "eigenvectors": (20.0, 7)
    }  # fmt: skip
    found: dict[str, list[float]] = {name: [] for name in asked}
    for seed in range(seeds):
        rng = np.random.default_rng([20, seed])
        B, Psi = graphs.random_graphs(rng, 1, 11 + 2 * seed)[0], graphs.demands(rng, 1, 11 + 2 * seed, 3)[0]
        for name, more in asked.items():
            wanted = getattr(recursions, name)(B, Psi, *more)
            found[name].append(float(np.abs(getattr(construction, name)(B, Psi, *more) - wanted).max() / np.abs(wanted).max()))
    return found


def flow() -> Numbers:
    """Potentials and flows of a town's streets: a unit current from corner to corner, after FLOW_LAYERS layers and exactly."""
    ends, widths, places = graphs.town(np.random.default_rng(3))
    B = graphs.incidence(len(places), ends, np.sqrt(widths))
    Psi = np.zeros((len(places), 1))
    Psi[0], Psi[-1] = 1.0, -1.0
    values = np.linalg.eigvalsh(graphs.laplacian(B))
    after = [construction.potentials(B, Psi, chebyshev_steps(values[1], values[-1], layers))[:, 0] for layers in FLOW_LAYERS]
    exact = recursions.exact(B, Psi, -1.0)[:, 0]
    errors = [float(np.sqrt(((phi - exact) ** 2).sum() / (exact**2).sum())) for phi in after]
    return {
        "ends": ends.tolist(), "widths": widths.tolist(), "places": places.tolist(), "layers": FLOW_LAYERS,
        "potentials": [phi.tolist() for phi in after], "exact": exact.tolist(), "errors": errors,
    }  # fmt: skip


def molecule(most: int) -> Numbers:
    """Cholesterol's positional encoding by looped layers: distance from the eigenvectors, up to signs, against loops."""
    B = graphs.molecule()
    values, vectors = np.linalg.eigh(graphs.laplacian(B))
    Phi = np.random.default_rng(0).standard_normal((len(B), 4))
    Phi[:, 0] = 1.0  # the constant, which the heads take out of the others
    loops, done, errors = [each for each in LOOPS if each <= most], 0, []
    for each in loops:
        Phi, done = construction.eigenvectors(B, Phi, SHIFT, each - done), each
        along = np.abs((Phi * vectors[:, :4]).sum(axis=0))[1:]
        errors.append(float(np.sqrt(np.maximum(2 - 2 * along, 0)).max()))
    return {
        "nodes": len(B), "edges": B.shape[1], "loops": loops, "errors": errors, "eigenvalues": values[1:4].tolist(),
        "encoding": Phi[:, 1:].tolist(),
    }  # fmt: skip


# ---------------------------------------------------------------- the picture


def draw(numbers: Numbers, scale: Scale) -> Figure:
    """The figure: curves above, graphs below."""
    figure, axes = new_figure(columns=4, rows=2, width=3.9, height=3.5)
    draw_losses(axes[0, 0], numbers)
    draw_elsewhere(axes[0, 1], numbers)
    draw_conditions(axes[0, 2], numbers)
    draw_loops(axes[0, 3], numbers["molecule"])
    streets = numbers["flow"]
    for at, layers in enumerate(streets["layers"]):
        draw_town(axes[1, at], streets, streets["potentials"][at], f"({'efg'[at]}) {counted(layers, 'layer')}")
    draw_molecule(axes[1, 3], numbers["molecule"])
    return figure


def draw_losses(ax: Axes, numbers: Numbers) -> None:
    """The electric flow on skip-circles against depth."""
    for mode in MODES:
        median_band(ax, DEPTHS, band(numbers["log_loss"][f"electric, skip-circle, {mode}"]), mode, **STYLES[mode])
    for name in ("fixed step", "Chebyshev"):
        values = numbers["steps"][name]
        ax.plot(values["iterations"][:9], values["median"][:9], label=f"{name}, tuned", linewidth=1.4, **STYLES[name])
    for key, color in ((FROZEN, "#0072B2"), (UPDATED, "#D55E00")):
        ax.plot(DEPTHS, LOGGED[key], "x", color=color, markersize=6)
    ax.plot([], [], "kx", label="released code's log")
    ax.set(xlabel="layers", ylabel="log loss", title="(a) electric flow, skip-circles", xticks=DEPTHS)
    ax.legend(frameon=False, fontsize=7, loc="lower left")


def draw_elsewhere(ax: Axes, numbers: Numbers) -> None:
    """Resistive embeddings, and full graphs."""
    for key, label, style in (
        ("resistive, skip-circle, B frozen", "resistive, B frozen", STYLES["B frozen"]),
        ("resistive, skip-circle, B updated", "resistive, B updated", STYLES["B updated"]),
        ("electric, full, B frozen", "electric, full graphs, B frozen", {"color": "#E69F00", "linestyle": "-."}),
    ):
        median_band(ax, DEPTHS, band(numbers["log_loss"][key]), label, **style)
        if key in LOGGED:
            ax.plot(DEPTHS, LOGGED[key], "x", color=style["color"], markersize=6)
    ax.plot([], [], "kx", label="released code's log")
    ax.set(xlabel="layers", ylabel="log loss", title="(b) another task, other graphs", xticks=DEPTHS)
    ax.legend(frameon=False, fontsize=7, loc="lower left")


def draw_conditions(ax: Axes, numbers: Numbers) -> None:
    """The condition number of B B^T through the deepest networks."""
    layers = np.arange(DEPTHS[-1] + 1)
    for mode in MODES:
        median_band(ax, layers, band(numbers["condition"][f"electric, skip-circle, {mode}"]), mode, **STYLES[mode])
    first = numbers["condition"][FROZEN]["median"][0]
    ax.plot(layers[:3], first * (4 / 27) ** layers[:3], color="0.4", linewidth=1, label="4/27 a layer: a bound for large ratios")
    ax.set(
        yscale="log", ylim=(0.8, None), xlabel="layers passed", title=r"(c) $\lambda_{max} / \lambda_{min}$ of $B B^T$, 9 layers"
    )
    ax.legend(frameon=False, fontsize=7)


def draw_loops(ax: Axes, found: Numbers) -> None:
    """The molecule's eigenvectors, found by loops."""
    ax.plot(found["loops"], found["errors"], "o-", color="#0072B2", linewidth=1.6)
    ax.set(
        xscale="log", yscale="log", xlabel="loops of two layers", ylabel="distance from the eigenvectors",
        title=f"(d) cholesterol, {found['nodes']} atoms",
    )  # fmt: skip


def draw_town(ax: Axes, streets: Numbers, potentials: Any, title: str) -> None:
    """Crossings coloured by potential, streets as wide as their flow."""
    places, ends, phi = np.array(streets["places"]), np.array(streets["ends"]), np.array(potentials)
    flows = np.array(streets["widths"]) * np.abs(phi[ends[:, 0]] - phi[ends[:, 1]])
    scale = max(np.abs(phi).max(), 1e-12)
    ax.add_collection(LineCollection(list(places[ends]), linewidths=0.6, colors="0.8"))
    ax.add_collection(LineCollection(list(places[ends]), linewidths=9 * flows, colors="#0072B2"))
    ax.scatter(
        places[:, 0],
        places[:, 1],
        c=phi,
        cmap="RdBu_r",
        vmin=-scale,
        vmax=scale,
        s=42,
        edgecolors="0.3",
        linewidths=0.6,
        zorder=3,
    )
    bare(ax, title)


def draw_molecule(ax: Axes, found: Numbers) -> None:
    """The molecule with its first two eigenvectors as places and the third as colour."""
    encoding, ends = np.array(found["encoding"]), np.array(graphs.CHOLESTEROL) - 1
    ax.add_collection(LineCollection(list(encoding[ends, :2]), linewidths=1.2, colors="0.5"))
    ax.scatter(encoding[:, 0], encoding[:, 1], c=encoding[:, 2], cmap="RdBu_r", s=42, edgecolors="0.3", linewidths=0.6, zorder=3)
    bare(ax, "(h) placed by its encoding")


def bare(ax: Axes, title: str) -> None:
    """Axes that carry a picture and no numbers."""
    ax.set(title=title, xticks=[], yticks=[])
    ax.margins(0.08)
    ax.grid(False)
    ax.spines[:].set_visible(False)


def summary(numbers: Numbers) -> str:
    """What came out, in words."""

    def row(values: Array) -> str:
        return " ".join(f"{value:.2f}" for value in values)

    lines = [f"log loss at {', '.join(map(str, DEPTHS))} layers, median of {counted(numbers['seeds_used'], 'seed')}"]
    lines += [f"  {key}: {row(values['median'])}" for key, values in numbers["log_loss"].items()]
    lines += [f"  electric, skip-circle, {key}, tuned: {row(values['median'][:9:2])}" for key, values in numbers["steps"].items()]
    lines += [
        f"condition number of B B^T through 9 layers, {mode}: "
        f"{row(numbers['condition'][f'electric, skip-circle, {mode}']['median'])}"
        for mode in MODES
    ]
    lines.append(f"layers and algorithms differ by at most {np.max(list(numbers['identities'].values())):.1e}")
    streets, found = numbers["flow"], numbers["molecule"]
    lines.append(f"town: relative error {row(streets['errors'])} after {', '.join(map(str, streets['layers']))} layers")
    lines.append(
        f"cholesterol: distance from the eigenvectors {found['errors'][-1]:.1e} after {counted(found['loops'][-1], 'loop')}"
    )
    return "\n".join(lines)
