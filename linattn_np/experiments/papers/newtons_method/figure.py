"""Newton's iteration by layers against descent by layers: errors, depths, higher orders with trained layers, logistic loss."""

from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ...._types import Array
from ....plotting import new_figure
from ....training.runs import RunFolder
from ...curves import Numbers, spread
from ...measured import Arrays, kept, kept_each
from ...scale import Scale, counted
from . import depth, logistic
from .claims import CLAIMS as CLAIMS
from .constructions import answers, inverses, recursion

TITLE = "Newton's iteration by layers of linear attention"
SECONDS = {"paper": 30, "quick": 5}
ALT = (
    "Four panels. First: relative error of the least-squares answer against the number of layers, both logarithmic, for descent "
    "(dashed) and for Newton's iteration (solid), one colour for each condition number. Second: layers needed for an error of "
    "1e-8 against the condition number, logarithmic; descent grows in proportion, Newton's iteration by two layers for each "
    "doubling. Third: squared error against layers for iterations of order 2, 3 and 4 from two starts, and for trained models as "
    "dots. Fourth: regularised logistic loss above its minimum against steps, damped Newton and descent, median and range over "
    "seeds."
)
COLORS = ("#009E73", "#0072B2", "#E69F00", "#D55E00", "#000000")
ORDERS = {2: ":", 3: "--", 4: "-."}
TRAINING = {1: 400, 2: 1000, 3: 2000}  # steps of training at full scale, for each number of layers
BATCH = 256


def seeds(scale: Scale) -> int:
    """Three at most."""
    return min(scale.seeds, 3)


def kappas(scale: Scale) -> tuple[float, ...]:
    """The condition numbers of R."""
    return {"paper": (1.5, 10.0, 30.0, 100.0, 300.0), "quick": (1.5, 10.0, 100.0)}.get(scale.name, (1.5, 10.0, 20.0))


def jobs(scale: Scale) -> list[tuple[int, int, int, int]]:
    """What is trained: layers, steps, batch, seed."""
    limit, batch, most = {"paper": (4000, BATCH, 3), "quick": (300, 128, 3)}.get(scale.name, (20, scale.batch, 2))
    return [(L, min(steps, limit), batch, seed) for L, steps in TRAINING.items() if most >= L for seed in range(seeds(scale))]


def sizes(scale: Scale) -> str:
    """What is run at this scale, in words."""
    todo = jobs(scale)
    most = max(job[1] for job in todo)
    return (
        f"condition numbers up to {kappas(scale)[-1]:g}, {counted(len(todo), 'trained model')}, up to {counted(most, 'step')}, "
        f"{counted(seeds(scale), 'seed')}"
    )


def measure(folder: RunFolder, scale: Scale, progress: bool | None = None) -> Numbers:
    """The constructions against their recursions, the depths, the orders, the trained models, logistic loss."""
    todo, many, asked = jobs(scale), seeds(scale), kappas(scale)
    trained = kept_each(
        folder, "newtons_method_trained", [dict(zip(("layers", "steps", "batch", "seed"), job, strict=True)) for job in todo],
        depth.trained_loss, todo, "trained layers beside Newton's iteration", progress,
    )  # fmt: skip
    paths = kept_each(
        folder, "newtons_method_errors", [{"kappa": kappa, "seeds": many} for kappa in asked], depth.errors,
        [(kappa, newton_steps(kappa), int(12 * kappa + 60), many) for kappa in asked],
        "layers of descent and of Newton's iteration", progress,
    )  # fmt: skip
    each = kept(folder, "newtons_method_exact", {"seeds": many}, partial(exact_numbers, many))
    convex = kept(folder, "newtons_method_logistic", {"seeds": many}, partial(logistic_numbers, many))
    depths = {
        name: np.array([[depth.depth_of(path) for path in found[name]] for found in paths]).T for name in ("Newton", "descent")
    }
    return {
        "sizes": sizes(scale),
        "kappas": list(asked), "depths": {name: values.tolist() for name, values in depths.items()},
        "errors": {name: [thinned(np.median(found[name], axis=0)) for found in paths] for name in ("Newton", "descent")},
        "each": {name: spread(values) for name, values in (each | convex).items() if values.ndim == 1},
        "logistic": {name: convex[name].tolist() for name in ("newton gaps", "descent gaps")}, "orders": orders(todo, trained),
    }  # fmt: skip


def newton_steps(kappa: float) -> int:
    """Enough for every seed: (19.14) for a residual of 1e-8, and some."""
    return int(2 * np.log2(kappa)) + 12


def thinned(path: Array) -> list[list[float]]:
    """[layers, errors] of a path, at most some 60 places, closer together at first."""
    places = np.unique(np.geomspace(1, len(path), 60).astype(int)) - 1
    return [places.tolist(), path[places].tolist()]


def exact_numbers(many: int) -> Arrays:
    """For each seed: layers against recursions, and what a step does to the residual."""
    found: dict[str, list[float]] = {name: [] for name in ("symmetric", "general", "least_squares", "squared", "orders")}
    for seed in range(many):
        rng = np.random.default_rng([190, seed])
        A = rng.standard_normal((5, 5))
        for name, matrix in (("symmetric", A + A.T), ("general", A)):
            other = recursion(matrix, matrix.T / np.linalg.norm(matrix, 2) ** 2, 12)
            found[name].append(apart(inverses(matrix, 12, name == "symmetric"), other))
        X, y, query = depth.problem(10.0, rng)
        R = X.T @ X
        steps = recursion(R, R / np.linalg.norm(R, 2) ** 2, 12) @ (X.T @ y) @ query
        found["least_squares"].append(apart(answers(X, y, query, 12), steps))
        r = depth.residuals(30.0, 12, seed)
        found["squared"].append(float((r[1:] / r[:-1] ** 2).max()))
        found["orders"].append(max(depth.order_error(order, seed) for order in (2, 3, 4, 5)))
    return {name: np.array(values) for name, values in found.items()}


def apart(layers: Array, other: Array) -> float:
    """The largest difference, relative to the largest entry."""
    return float(np.abs(layers - other).max() / np.abs(other).max())


def logistic_numbers(many: int, steps: int = 12) -> Arrays:
    """The gaps f - min f along both methods, and for each seed what the two phases of damped Newton's method promise."""
    gaps: dict[str, list[Array]] = {"newton gaps": [], "descent gaps": []}
    decreases, ratios = [], []
    for seed in range(many):
        problem = logistic.draw_problem(np.random.default_rng([195, seed]))
        path, lam = logistic.damped_newton(problem, steps)
        values = np.array([logistic.loss(problem, w) for w in path])
        slow = np.array([logistic.loss(problem, w) for w in logistic.descent(problem, 5 * steps)])
        gaps["newton gaps"].append(values - values.min())
        gaps["descent gaps"].append(slow - values.min())
        own = lam / (2 * np.sqrt(problem.mu))  # the decrement of f / (4 mu)
        far, near = own[:-1] >= 0.25, (own[:-1] < 0.25) & (own[:-1] > 1e-6)
        decreases.append((-np.diff(values) / (4 * problem.mu))[far].min() if far.any() else np.nan)
        ratios.append((own[1:][near] / own[:-1][near] ** 2).max())
    return {name: np.array(values) for name, values in gaps.items()} | {
        "decrease": np.array(decreases),
        "decrement": np.array(ratios),
    }


def orders(todo: list[tuple[int, int, int, int]], trained: list[Arrays]) -> Numbers:
    """The squared errors of iterations after 0 .. 4 steps, from both starts, and of the trained models: for each depth, each
    seed.
    """
    found: Numbers = {}
    for order in ORDERS:
        found[f"order {order}"] = depth.iteration_losses(order, 4).tolist()
        found[f"order {order}, best start"] = depth.iteration_losses(order, 3, best_start=True).tolist()
    depths = dict.fromkeys(job[0] for job in todo)
    found["trained"] = [[float(row["loss"]) for job, row in zip(todo, trained, strict=True) if job[0] == L] for L in depths]
    return found


# ---------------------------------------------------------------- the picture and the words


def draw(numbers: Numbers, scale: Scale) -> Figure:
    """The figure, from the numbers alone."""
    figure, axes = new_figure(columns=2, rows=2, width=5.4, height=4.0)
    draw_errors(axes[0][0], numbers)
    draw_depths(axes[0][1], numbers)
    draw_orders(axes[1][0], numbers["orders"])
    draw_logistic(axes[1][1], numbers["logistic"])
    return figure


def draw_errors(ax: Axes, numbers: Numbers) -> None:
    """Error against layers, on a logarithmic axis of layers that begins with one."""
    for kappa, color, newton, descent in zip(
        numbers["kappas"], COLORS, numbers["errors"]["Newton"], numbers["errors"]["descent"], strict=False
    ):
        for (steps, errors), style in ((descent, "--"), (newton, "-")):
            shown = [(t + 1, e) for t, e in zip(steps, errors, strict=True) if e > 1e-15]
            ax.plot(
                *zip(*shown, strict=True),
                style,
                color=color,
                linewidth=1.5,
                label=f"$\\kappa$ = {kappa:g}" if style == "-" else None,
            )
    ax.axhline(depth.ENOUGH, color="0.6", linewidth=0.8)
    ax.set(
        xscale="log",
        yscale="log",
        xlabel="steps + 1",
        ylabel="relative error of the answer",
        title="dashed: descent, solid: Newton",
    )
    ax.set_ylim(1e-14, 10)
    ax.legend(frameon=False, fontsize=8, loc="lower left")


def draw_depths(ax: Axes, numbers: Numbers) -> None:
    """Depth against condition number, with what (19.14) and (19.15) say."""
    kappas = np.array(numbers["kappas"])
    for name, color, marker in (("descent", "#D55E00", "s"), ("Newton", "#0072B2", "o")):
        for k, each in enumerate(np.array(numbers["depths"][name], float)):
            ax.plot(kappas, each, marker, color=color, markersize=5, label=None if k else f"{name}, each seed")
    fine = np.geomspace(kappas[0], kappas[-1], 100)
    ax.plot(fine, fine / 2 * np.log(1e8), "--", color="#D55E00", linewidth=1, label="$(\\kappa/2)\\,\\log 10^8$")
    ax.plot(
        fine,
        2 * np.log2(fine) + np.log2(np.log(1e8)),
        "-",
        color="#0072B2",
        linewidth=1,
        label="$2\\log_2\\kappa+\\log_2\\log 10^8$",
    )
    ax.set(
        xscale="log",
        yscale="log",
        xlabel="condition number of $X^T X$",
        ylabel="steps to an error of $10^{-8}$",
        title="how deep",
    )
    ax.legend(frameon=False, fontsize=8, loc="upper left")


def draw_orders(ax: Axes, found: Numbers) -> None:
    """Squared error against layers: iterations and trained models."""
    for order, style in ORDERS.items():
        late, early = found[f"order {order}"], found[f"order {order}, best start"]
        ax.plot(range(1, len(late)), late[1:], style, color="0.55", label=f"order {order}, $X_0=\\alpha R$, $L$ steps")
        ax.plot(range(1, len(early) + 1), early, style, color="#0072B2", label=f"order {order}, best $cI$, $L-1$ steps")
    for L, each in enumerate(found["trained"], 1):
        ax.plot([L] * len(each), each, "o", color="#D55E00", markersize=6, label="trained, $L$ layers" if L == 1 else None)
    ax.set(yscale="log", xlabel="layers $L$", ylabel="mean squared error", title="trained layers beside higher orders")
    ax.set_ylim(1e-7, 20)
    ax.set_xticks(range(1, 5))
    ax.legend(frameon=False, fontsize=7.5, loc="lower left")


def draw_logistic(ax: Axes, found: Numbers) -> None:
    """Logistic loss above its minimum."""
    styles: tuple[tuple[str, str, dict[str, Any]], ...] = (
        ("newton gaps", "damped Newton", {"color": "#0072B2", "linestyle": "-"}),
        ("descent gaps", "descent, step 1/L", {"color": "#D55E00", "linestyle": "--"}),
    )
    for name, label, style in styles:
        values = np.maximum(np.array(found[name], float), 1e-17)
        ax.plot(np.median(values, axis=0), label=label, linewidth=1.6, **style)
        ax.fill_between(
            range(values.shape[1]), values.min(axis=0), values.max(axis=0), color=style["color"], alpha=0.2, linewidth=0
        )
    ax.set(yscale="log", xlabel="steps", ylabel="$f(w)-\\min f$", title="logistic loss, $\\mu=0.1$, $d=5$, $n=26$", xlim=(0, 30))
    ax.set_ylim(1e-16, 1)
    ax.legend(frameon=False, fontsize=8)


def summary(numbers: Numbers) -> str:
    """What came out, in words."""
    lines = []
    for k, kappa in enumerate(numbers["kappas"]):
        words = [f"{name} {np.median([each[k] for each in numbers['depths'][name]]):g}" for name in ("descent", "Newton")]
        lines.append(f"condition number {kappa:g}: steps to 1e-8: {', '.join(words)}")
    for L, each in enumerate(numbers["orders"]["trained"], 1):
        beside = [f"order {p} {numbers['orders'][f'order {p}'][L]:.3g}" for p in ORDERS]
        best = [f"order {p} {numbers['orders'][f'order {p}, best start'][L - 1]:.3g}" for p in ORDERS]
        lines.append(
            f"{L} trained layers: {np.median(each):.3g}; {L} steps from alpha R: {', '.join(beside)}; {L - 1} from cI: "
            f"{', '.join(best)}"
        )
    each = numbers["each"]
    lines.append(
        "layers against recursions: " + ", ".join(f"{name} {each[name]['median']:.1g}" for name in ("symmetric", "general",
            "least_squares"))
        + f"; r'/r^2 at most {each['squared']['median']:.9g}; decrements lam'/lam^2 at most {each['decrement']['median']:.3g}"
    )  # fmt: skip
    return "\n".join(lines)
