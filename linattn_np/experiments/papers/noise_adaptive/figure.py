"""Table 1 of the paper at its full width, and what stands behind it: the loss for each sigma, the learned numbers, the
theorems.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ....plotting import new_figure
from ....training.runs import RunFolder
from ...curves import Numbers, spread
from ...measured import Arrays, kept, kept_each
from ...scale import Scale, counted
from . import baselines, theory, training
from .claims import CLAIMS as CLAIMS
from .claims import best
from .published import BASELINES, COLUMNS, printed, tolerance

TITLE = "Noise that differs from prompt to prompt: what linear layers learn"
SECONDS = {"paper": 280, "quick": 8}
ALT = (
    "Four panels. First: adjusted loss against the number of layers, noise uniform on 0 to 5, logarithmic, for GD++, the "
    "diagonal model with one head, four free numbers and full matrices; each seed a dot, the paper's table as open squares, the "
    "three ridge baselines as horizontal lines. Second: adjusted loss against the noise of the prompt for the deepest models and "
    "the baselines. Third: our entries of the table against the printed ones on logarithmic axes, with the tolerance as a band. "
    "Fourth: the four numbers that each layer of the deepest model learned, as a coloured grid."
)
STYLES: dict[str, dict[str, Any]] = {
    "GD++": {"color": "#D55E00", "linestyle": "--"}, "diagonal": {"color": "#0072B2", "linestyle": "-"},
    "four": {"color": "#009E73", "linestyle": ":"}, "full": {"color": "#CC79A7", "linestyle": "-."},
}  # fmt: skip
NAMES = {"GD++": "GD++", "diagonal": "diagonal, one head", "four": "four free numbers", "full": "full, one head"}
GREYS = {"constant ridge": "0.55", "adaptive ridge": "0.35", "tuned ridge": "0.0"}
Job = tuple[str, int, str, int, int, int, int, bool]  # the arguments of training.row


def jobs(scale: Scale) -> list[Job]:
    """What is trained: kind, layers, column, steps, batch, seed, prompts measured, and whether on expected labels."""
    paper, depths = scale.name == "paper", {"paper": (1, 2, 3, 4), "quick": (1, 2, 3)}.get(scale.name, (1, 2))
    count = {"paper": 25_000, "quick": 4_000}.get(scale.name, 300)
    cells = [(kind, L, "5", seed, True) for kind in ("GD++", "diagonal", "four") for L in depths for seed in range(seeds(scale))]
    cells += [("full", L, "5", 0, True) for L in depths[:2]]
    if paper:
        cells += [("full", 2, "5", 0, False), ("diagonal", 2, "5", 0, False)]  # on the labels themselves, as a control
        others = [column for column in COLUMNS if column != "5"]
        cells += [(kind, L, column, 0, True) for column in others for kind in ("GD++", "diagonal") for L in (1, 2, 3)]
        cells += [("full", L, column, 0, True) for column in others for L in (1, 2)]
        cells += [("four", 3, column, 0, True) for column in others]
        cells += [("diagonal", 3, column, seed, True) for column in others for seed in (1, 2)]  # one seed may be caught far off
    cells.sort(key=lambda cell: list(COLUMNS).index(cell[2]))  # a worker keeps the prompts of one column
    limit, batch = (10_000, training.BATCH) if paper else (300, 64) if scale.name == "quick" else (12, scale.batch)
    return [
        (kind, L, column, min(training.recipe(kind, L)[1], limit), batch, seed, count, expected)
        for kind, L, column, seed, expected in cells
    ]  # fmt: skip


def seeds(scale: Scale) -> int:
    """Three at most."""
    return min(scale.seeds, 3)


def sizes(scale: Scale) -> str:
    """What is run at this scale, in words."""
    todo = jobs(scale)
    most = max(job[3] for job in todo)
    return (
        f"{counted(len(todo), 'model')}, up to {counted(most, 'step')} of {todo[0][4]} prompts, {counted(seeds(scale), 'seed')}"
    )


def measure(folder: RunFolder, scale: Scale, progress: bool | None = None) -> Numbers:
    """Train and measure every cell of the table, tune the baselines, run the theorems."""
    todo = jobs(scale)
    rows = kept_each(
        folder,
        "noise_adaptive",
        [describe(job) for job in todo],
        training.row,
        todo,
        "models for noise of unknown size",
        progress,
    )
    columns = dict.fromkeys(job[2] for job in todo)
    count = todo[0][6]
    ridge = kept_each(
        folder, "noise_adaptive_ridge", [{"column": c, "count": count} for c in columns], ridge_losses,
        [(c, count) for c in columns],
        "ridge baselines", progress,
    )  # fmt: skip
    description = {"seeds": seeds(scale), "prompts": 100 if scale.name == "paper" else 10}
    theorems = kept(folder, "noise_adaptive_theorems", description, lambda: theorem_numbers(seeds(scale), description["prompts"]))
    return {
        "sizes": sizes(scale),
        "table": table(todo, rows), "control": control(todo, rows), "sigmas": list(training.SIGMAS),
        "baselines": {c: {name: float(found[name]) for name in BASELINES} for c, found in zip(columns, ridge, strict=True)},
        "tuned": {c: {name: float(found[name]) for name in ("constant", "cap",
                                                            "factor")} for c, found in zip(columns, ridge, strict=True)},
        "profile": profiles(todo, rows, ridge[list(columns).index("5")]), "learned": learned(todo, rows),
        "theorems": {name: spread(values) if values.ndim == 1 else values.tolist() for name, values in theorems.items()},
    }  # fmt: skip


def describe(job: Job) -> dict[str, Any]:
    """Everything that decides the numbers of a job."""
    names = ("kind", "layers", "column", "steps", "batch", "seed", "count", "expected")
    settings = {
        "rate": training.recipe(job[0], job[1])[0],
        "betas": training.BETAS,
        "clip": training.CLIP,
        "task": repr(COLUMNS[job[2]]),
    }
    return dict(zip(names, job, strict=True)) | settings


def ridge_losses(column: str, count: int) -> Arrays:
    """The adjusted losses of the three baselines on a column's prompts, what was tuned, and their profiles over sigma."""
    found = training.prompts_of(COLUMNS[column], count)
    tuned = baselines.tune(found)
    losses = {name: np.array(baselines.adjusted(found, baselines.baseline(found, name, tuned)).mean()) for name in BASELINES}
    profile: Arrays = {}
    if column == "5":
        for name in BASELINES:
            each = [
                baselines.adjusted(one, baselines.baseline(one, name, tuned)).mean()
                for one in training.profile_prompts(max(count // 12, 50))
            ]
            profile[f"{name} profile"] = np.array(each)
    return losses | {name: np.array(value) for name, value in tuned.items()} | profile


def theorem_numbers(count: int, prompts: int) -> Arrays:
    """Theorems 4.1, 5.1 and 5.2 on each seed."""
    near = np.array([theory.condition_numbers(1.1, 1, seed) for seed in range(count)])
    paths = np.array([theory.condition_numbers(kappa, 11) for kappa in (10.0, 100.0, 1000.0)])
    small, large = (np.array([theory.distance_to_ridge(n, (1.0, 3.0), s, prompts) for s in range(count)]) for n in (50, 800))
    return {
        "linear_model": np.array([theory.linear_model_error(seed) for seed in range(count)]),
        "squared": near[:, 1] / near[:, 0] ** 2, "condition": paths,
        "rate": (np.log(small / large) / np.log(800 / 50)).mean(axis=1),
    }  # fmt: skip


def chosen(todo: Iterable[Job], rows: Iterable[Arrays], **wanted: Any) -> list[Arrays]:
    """The rows of the jobs that have these values."""
    return [row for job, row in zip(todo, rows, strict=True) if wanted.items() <= describe(job).items()]


def table(todo: list[Job], rows: list[Arrays]) -> Numbers:
    """{column: {"GD++ 2": ours over seeds, with the printed entry where there is one}}."""
    found: Numbers = {}
    for kind, L, column in dict.fromkeys(job[:3] for job in todo):
        losses = [row["loss"] for row in chosen(todo, rows, kind=kind, layers=L, column=column, expected=True)]
        entry = spread(losses) | {"printed": None if kind == "four" else printed(kind, column, L)}
        found.setdefault(column, {})[f"{kind} {L}"] = entry
    return found


def control(todo: list[Job], rows: list[Arrays]) -> Numbers:
    """The losses of models trained on the labels themselves."""
    return {f"{job[0]} {job[1]}": float(row["loss"]) for job, row in zip(todo, rows, strict=True) if not job[-1]}


def profiles(todo: list[Job], rows: list[Arrays], ridge: Arrays) -> Numbers:
    """The loss for each sigma of the deepest models, median over seeds and each seed, and of the baselines."""
    deepest = max(job[1] for job in todo)
    found: Numbers = {"layers": deepest}
    for kind in ("GD++", "diagonal", "four"):
        each = np.array([row["profile"] for row in chosen(todo, rows, kind=kind, layers=deepest, column="5", expected=True)])
        found[kind] = {"median": np.median(each, axis=0).tolist(), "each_seed": each.tolist()}
    return found | {name: ridge[f"{name} profile"].tolist() for name in BASELINES}


def learned(todo: list[Job], rows: list[Arrays]) -> list[list[float]]:
    """The numbers of the best seed's deepest model with four free numbers, on means over the examples. (L, 4)"""
    deepest = chosen(todo, rows, kind="four", layers=max(job[1] for job in todo), column="5")
    return min(deepest, key=lambda row: row["loss"])["params"].tolist()


# ---------------------------------------------------------------- the picture and the words


def draw(numbers: Numbers, scale: Scale) -> Figure:
    """The figure, from the numbers alone."""
    figure, axes = new_figure(columns=2, rows=2, width=5.4, height=4.0)
    draw_depths(axes[0][0], numbers)
    draw_profiles(axes[0][1], numbers)
    draw_table(axes[1][0], numbers)
    draw_learned(axes[1][1], numbers)
    figure.suptitle(
        "Adjusted loss: half the squared error, minus half that of ridge regression that knows the noise", fontsize=11
    )
    return figure


def draw_depths(ax: Axes, numbers: Numbers) -> None:
    """Loss against depth for sigma ~ U(0, 5)."""
    column = numbers["table"]["5"]
    for kind, style in STYLES.items():
        depths = [L for L in range(1, 8) if f"{kind} {L}" in column]
        ax.plot(depths, [column[f"{kind} {L}"]["median"] for L in depths], label=NAMES[kind], linewidth=1.6, **style)
        for L in depths:
            each, entry = column[f"{kind} {L}"]["each_seed"], column[f"{kind} {L}"]["printed"]
            ax.plot([L] * len(each), each, "o", markersize=4, color=style["color"])
            if entry is not None:
                ax.plot(L, entry, "s", markersize=9, fillstyle="none", color=style["color"])
    for name, grey in GREYS.items():
        ax.axhline(numbers["baselines"]["5"][name], color=grey, linewidth=0.9, linestyle=(0, (4, 2)))
        ax.text(
            0.99, numbers["baselines"]["5"][name], name, transform=ax.get_yaxis_transform(), ha="right", va="bottom", fontsize=8
        )
    ax.set(yscale="log", xlabel="layers $L$", ylabel="adjusted loss", title="noise $\\sigma\\sim U(0, 5)$; squares: the paper")
    ax.set_xticks([L for L in range(1, 5) if f"GD++ {L}" in column])
    ax.legend(frameon=False, fontsize=8, loc="upper right")


def draw_profiles(ax: Axes, numbers: Numbers) -> None:
    """Loss against sigma."""
    found = numbers["profile"]
    for kind in ("GD++", "diagonal", "four"):
        ax.plot(
            numbers["sigmas"], found[kind]["median"], label=f"{NAMES[kind]}, L = {found['layers']}", linewidth=1.6, **STYLES[kind]
        )
    for name, grey in GREYS.items():
        ax.plot(numbers["sigmas"], found[name], color=grey, linewidth=0.9, linestyle=(0, (4, 2)), label=name)
    ax.axvspan(0, 5, color="0.9", zorder=0)
    ax.set(
        xlabel="noise of the prompt $\\sigma$ (grey: trained on)", ylabel="adjusted loss", title="which noise a model is made for"
    )
    ax.set_ylim(0, 1.6 * max(found["constant ridge"][:-2]))
    ax.legend(frameon=False, fontsize=8, loc="upper center", ncols=2)


def draw_table(ax: Axes, numbers: Numbers) -> None:
    """Ours against the printed entries."""
    line = np.geomspace(0.005, 2.5, 200)
    width = np.array([tolerance(entry) for entry in line])
    ax.fill_between(line, line * (1 - width), line * (1 + width), color="0.88", label="6 %, below 0.1 25 %")
    ax.plot(line, line, color="0.5", linewidth=0.8)
    for kind, marker in (("GD++", "o"), ("diagonal", "x"), ("full", "+")):
        pairs = [(entry["printed"], best(entry)) for name, entry in entries(numbers) if name.startswith(kind)]
        ax.plot(*zip(*pairs, strict=True), marker, markersize=6, fillstyle="none", color=STYLES[kind]["color"], label=NAMES[kind])
    ax.set(xscale="log", yscale="log", xlabel="entry of the paper's Table 1", ylabel="ours", title="every entry side by side")
    ax.legend(frameon=False, fontsize=8, loc="lower right")


def entries(numbers: Numbers) -> list[tuple[str, Numbers]]:
    """All entries that the paper prints, with their names."""
    return [
        (name, entry) for column in numbers["table"].values() for name, entry in column.items() if entry["printed"] is not None
    ]


def draw_learned(ax: Axes, numbers: Numbers) -> None:
    """The learned numbers as a grid."""
    grid = np.array(numbers["learned"])
    top = float(np.abs(grid).max())
    ax.imshow(grid, cmap="PuOr", vmin=-top, vmax=top, aspect="auto")
    for (l, k), value in np.ndenumerate(grid):
        ax.text(k, l, f"{value:.3f}", ha="center", va="center", fontsize=9, color="white" if abs(value) > 0.6 * top else "black")
    ax.set_xticks(range(4), ["$n\\,w_{xx}$", "$n\\,w_{xy}$", "$n\\,w_{yx}$", "$n\\,w_{yy}$"])
    ax.set_yticks(range(len(grid)), [f"layer {l + 1}" for l in range(len(grid))])
    ax.grid(visible=False)
    ax.set_title("the four numbers of each layer, best seed")


def summary(numbers: Numbers) -> str:
    """Every entry beside the printed one, and what the theorems gave."""
    lines = ["adjusted loss, ours (best seed) / printed; * outside the tolerance"]
    for column, found in numbers["table"].items():
        words = []
        for name, entry in found.items():
            ours, theirs = best(entry), entry["printed"]
            off = theirs is not None and abs(ours / theirs - 1) > tolerance(theirs)
            words.append(f"{name} {ours:.3g}" + ("" if theirs is None else f"/{theirs:.3g}") + "*" * off)
        ridge = [f"{name} {numbers['baselines'][column][name]:.3g}/{printed(name, column):.3g}" for name in BASELINES]
        lines.append(f"  noise {column}: {', '.join(words)}; {', '.join(ridge)}")
    for name, value in numbers["control"].items():
        lines.append(
            f"  {name} trained on the labels themselves: {value:.3g}, on their means {best(numbers['table']['5'][name]):.3g}"
        )
    found = numbers["theorems"]
    lines.append(
        f"theorem 4.1: largest difference {found['linear_model']['median']:.1g}; 5.1: (kappa' - 1) / (kappa - 1)^2 = "
        f"{found['squared']['median']:.3g} at 1.1; 5.2: the distance to ridge falls as n to the power "
        f"-{found['rate']['median']:.2f}"
    )
    return "\n".join(lines)
