"""What is measured: the searches, the runs at their best points, budgets and controls; and what came out, in words."""

from typing import Any

import numpy as np

from ....training.runs import RunFolder
from ...curves import Numbers
from ...scale import Scale
from . import training
from .claims import CLAIMS
from .controls import budgets, controls
from .methods import METHODS
from .panels import draw, middle
from .readings import of_seeds, steps_needed
from .size import CONSTANT, DEEPEST, Size, in_words, size_of
from .training import Case, Run, base_at, best_point, rate_at

__all__ = ["ALT", "CLAIMS", "SECONDS", "TITLE", "draw", "measure", "sizes", "summary"]

TITLE = "Why depth favours Adam: what a tight clip and rates for the layers explain when Adam gets the same"
SECONDS = {"paper": 390, "quick": 8}
ALT = (
    "Eight panels. Median test loss of each method against depth. SGD's loss over Adam's against depth, a line for each equal "
    "treatment: the paper's clip, a tight clip, rates for the layers, both. The same at a constant rate. Loss against the number "
    "of steps, SGD and Adam at three depths. Against the layer, at the end of Adam: scale of the covariates, falling, and length "
    "of Q, rising. Length of the gradient by Q. The best base of the layer rates against the one that the covariates say, with "
    "the diagonal. Controls: optimizers switched after 300 steps, other starts, a larger batch, a dot for each seed."
)
ALIKE = (("Adam", "SGD"), ("Adam, tight clip", "SGD, tight clip"), ("Adam, both", "SGD, both"))


def sizes(scale: Scale) -> str:
    """What is run at this scale."""
    return in_words(size_of(scale))


def measure(folder: RunFolder, scale: Scale, progress: bool | None = None) -> Numbers:
    """Search, run, and control: plain numbers, ready for JSON; a lost run has loss null."""
    size = size_of(scale)
    like = Run(0, "", 0.0, 1.0, 0, size.steps, size.batch, tests=size.tests)
    falling: dict[Case, Any] = {("linear", L, m): (size.searched(L), None) for L in size.depths for m in size.methods(L)}
    for case in falling:
        if case[1] == DEEPEST or METHODS[case[2]].layer_rates <= 0:
            falling[case] = (falling[case][0], training.BASES[case[1]])
    found: Numbers = {
        "sizes": in_words(size), "steps": size.steps, "seeds_used": size.seeds, "seeds_of_the_search": size.search, "runs": {},
    }  # fmt: skip
    best, found["runs"]["linear"] = settled(folder, falling, like, size, progress)
    constant: dict[Case, Any] = {
        (None, L, m): (size.search, best["linear", L, m].base) for L in size.constant for m in CONSTANT
    }  # fmt: skip
    _, found["runs"]["constant"] = settled(folder, constant, like, size, progress)
    main = {(L, method): run for (_, L, method), run in best.items()}
    found["budgets"] = budgets(folder, main, size, progress)
    found["controls"], found["controls_at"] = controls(folder, main, size, progress), size.budgets[-1]
    return plain(found)


def settled(folder: RunFolder, cases: dict[Case, Any], like: Run, size: Size, progress: Any) -> tuple[dict[Case, Run], Numbers]:
    """Each case at its best point, on all seeds. -> the runs, and numbers by depth and method"""
    scores = training.search(folder, cases, like, progress) if size.search else {case: {(0, 0): 0.0} for case in cases}
    best: dict[Case, Run] = {}
    for case, known in scores.items():
        (j, k), (schedule, L, method) = best_point(known), case
        base = base_at(L, j, cases[case][1])
        best[case] = like._replace(layers=L, method=method, rate=rate_at(L, method, k), base=base, schedule=schedule)
    runs = training.run_all(
        folder, [run._replace(seed=seed) for run in best.values() for seed in size.seeds], "methods", progress
    )
    done = iter(runs)
    numbers: Numbers = {str(case[1]): {} for case in cases}
    for case, run in best.items():
        of = [next(done) for _ in size.seeds]
        known, at = scores[case], best_point(scores[case])
        numbers[str(case[1])][case[2]] = {
            "rate": run.rate, "base": run.base if METHODS[run.method].layer_rates else None,
            "clip": METHODS[run.method].clip(run.layers), "searched": len(known) if size.search else 0,
            "at_the_edge": bool(size.search) and abs(at[1]) == training.FARTHEST,
            "search": [[base_at(run.layers, j, cases[case][1]), rate_at(run.layers, run.method, k), score]
                       for (j, k), score in sorted(known.items())],
            "loss": [each["loss"] for each in of], "by_layer": [each["by_layer"] for each in of],
        }  # fmt: skip
    return best, numbers


def plain(entry: Any) -> Any:
    """Arrays as lists, and what is not finite as None."""
    if isinstance(entry, dict):
        return {name: plain(each) for name, each in entry.items()}
    if isinstance(entry, np.ndarray):
        return plain(entry.tolist())
    if isinstance(entry, list | tuple):
        return [plain(each) for each in entry]
    return None if isinstance(entry, float) and not np.isfinite(entry) else entry


def summary(numbers: Numbers) -> str:
    """What came out, in words."""
    lines = [numbers["sizes"]]
    for schedule, at in numbers["runs"].items():
        for L, every in at.items():
            words = [f"{method} {middle(of_seeds(found['loss'])):.3g}" for method, found in every.items()]
            lost = sum(loss is None for found in every.values() for loss in found["loss"])
            edge = [method for method, found in every.items() if found["at_the_edge"]]
            lines.append(
                f"{L} layers, {schedule}: {', '.join(words)}; {lost} lost" + (f"; edge: {', '.join(edge)}" if edge else "")
            )
    for L in numbers["budgets"]:
        needed = {pair: steps_needed(numbers, int(L), *pair) for pair in ALIKE}
        words = [f"{adam} {np.nanmedian(row):.0f}" for (adam, _), row in needed.items() if np.isfinite(row).any()]
        lines.append(f"{L} layers, steps that Adam needs for the last loss of SGD treated alike: {', '.join(words)}")
    lines.append("controls: " + ", ".join(
        f"{name} {middle(of_seeds(found['loss'])):.3g}" for name, found in numbers["controls"].items()))  # fmt: skip
    return "\n".join(lines)
