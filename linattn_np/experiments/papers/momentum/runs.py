"""Everything that is trained for the figure, each run kept beside the others, in the order in which it is measured."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ...._types import Array
from ....training.runs import RunFolder
from ...curves import Numbers, curve, spread
from ...measured import kept_each
from . import scalars
from .copy_network import CopyNetwork
from .copy_task import LAG, CopyTask, at_the_end, train, unseen_loss

VARIANTS: dict[str, dict[str, Any]] = {  # what the attention of the network is
    "softmax": {"kind": "softmax"},
    "linear": {},
    "paper": {"beta": 0.1, "gamma": 0.6},  # the numbers of the paper's copy task
    "gain 2/3": {"gamma": 2 / 3},  # their far gain without momentum
    "gain 3/2": {"gamma": 1.5},
    "beta .6": {"beta": 0.6, "gamma": 0.6},  # far gain 3/2
    "beta .9": {"beta": 0.9, "gamma": 0.15},  # far gain 3/2
    "beta .9, gamma .6": {"beta": 0.9, "gamma": 0.6},  # far gain 6
}
MAIN = tuple(VARIANTS)[:7]
NEAR = ("softmax", "linear", "gain 3/2", "beta .9")  # of the control
TWO = ("softmax", "linear", "gain 3/2", "beta .6", "beta .9")  # with two layers
WINDOWS = 20  # of a loss curve


class Sizes(NamedTuple):
    """How much is run."""

    seeds: int  # of the main comparisons
    few: int  # of the others
    copy: int  # iterations of the copy task, its control, and two layers
    lag: int
    two: int
    layers: tuple[int, ...]  # depths of the heavy ball
    scalar: int  # iterations there
    prompts: int  # there


def copied(variant: dict[str, Any], task: CopyTask, iterations: int, seed: int) -> dict[str, Array]:
    """One training run: the loss in windows, loss and accuracy at the end, and the losses of the network run on unseen texts.

    Where the weights are those of the released parallel code, "recurrent" is the loss of the same params run as its
    recurrent code does.
    """
    model = CopyNetwork(**variant)
    found = train(model, task, iterations, seed)
    parallel = recurrent = unseen_loss(model, found["params"], task)
    if model.released:
        recurrent = unseen_loss(CopyNetwork(**{**variant, "released": False}), found["params"], task)
    windows = np.array_split(found["loss"], min(WINDOWS, iterations))
    return {
        "windows": np.array([window.mean() for window in windows]),
        "loss": np.array(at_the_end(found["loss"])), "accuracy": np.array(at_the_end(found["accuracy"])),
        "parallel": np.array(parallel), "recurrent": np.array(recurrent),
    }  # fmt: skip


def runs(
    folder: RunFolder,
    variants: dict[str, dict[str, Any]],
    task: CopyTask,
    iterations: int,
    seeds: int,
    label: str,
    progress: bool | None,
) -> Numbers:
    """Every variant on a task with every seed. -> for each its loss curve, loss and accuracy at the end, loss on unseen texts"""
    asked = [(variant, task, iterations, seed) for variant in variants.values() for seed in range(seeds)]
    descriptions = [{"variant": v, "task": vars(t), "iterations": i, "seed": s} for v, t, i, s in asked]
    found = kept_each(folder, "momentum-copy", descriptions, copied, asked, label, progress)
    numbers: Numbers = {}
    for k, name in enumerate(variants):
        own = found[k * seeds : (k + 1) * seeds]
        windows = np.array([each["windows"] for each in own])
        ends = np.arange(1, windows.shape[1] + 1) * iterations / windows.shape[1]
        numbers[name] = {
            "curve": curve(ends.round().astype(int), windows),
            **{key: spread([float(each[key]) for each in own]) for key in ("loss", "accuracy", "parallel", "recurrent")},
        }
    return numbers


def chosen(names: Sequence[str], **more: Any) -> dict[str, dict[str, Any]]:
    """Some of the variants, with more arguments for their networks."""
    return {name: {**VARIANTS[name], **more} for name in names}


def copy_runs(folder: RunFolder, sizes: Sizes, progress: bool | None) -> Numbers:
    """The copy task, its control, two layers, the paper's ablation and the released weights."""
    far, near, longer = CopyTask(), CopyTask(lag=LAG), CopyTask(8, 14)
    released = chosen(("paper", "beta .9"), released=True)
    return {
        "copy": runs(folder, chosen(MAIN), far, sizes.copy, sizes.seeds, "copy task", progress),
        "ablation": runs(folder, chosen(("beta .9, gamma .6",)), far, sizes.copy, sizes.few, "beta .9 at gamma .6", progress),
        "lag": runs(folder, chosen(NEAR), near, sizes.lag, sizes.few, "control: 3 places back", progress),
        "released": runs(folder, released, far, sizes.copy, sizes.few, "weights of the released code", progress),
        "two": runs(folder, chosen(TWO, layers=2), longer, sizes.two, sizes.seeds, "two layers", progress),
    }


def scalar_runs(folder: RunFolder, sizes: Sizes, progress: bool | None) -> Numbers:
    """Descent, heavy ball, steps of their own, whitened descent, and the adaptive rule by prompt and by token, at every depth."""
    depths, seeds = sizes.layers, range(sizes.few)
    numbers: Numbers = {}
    for kind in scalars.KINDS:
        asked = [(kind, layers, sizes.scalar, sizes.prompts, seed) for seed in seeds for layers in depths]
        descriptions = [{"kind": k, "layers": l, "iterations": i, "count": c, "seed": s} for k, l, i, c, s in asked]
        found = kept_each(folder, "momentum-scalars", descriptions, scalars.train, asked, f"{kind}, all depths", progress)
        numbers[kind] = {key: curve(depths, by_seed(found, key, depths)) for key in ("loss", "trained")}
        if kind != "steps":
            numbers[kind]["eta"] = curve(depths, by_seed(found, "theta", depths, 0))
        if kind == "heavy ball":
            numbers[kind]["beta"] = curve(depths, by_seed(found, "theta", depths, 1))
    for name, by_token in (("adaptive", False), ("adaptive by token", True)):
        adaptive = [(layers, sizes.prompts, seed, by_token) for seed in seeds for layers in depths]
        words = [{"adaptive": name, "layers": l, "count": c, "seed": s} for l, c, s, _ in adaptive]
        found = kept_each(folder, "momentum-scalars", words, scalars.adapted, adaptive, name, progress)
        numbers[name] = {key: curve(depths, by_seed(found, key, depths)) for key in ("loss", "eta", "beta")}
    drawn = scalars.prompts(sizes.prompts, np.random.default_rng([0, 1]))
    smallest, largest = np.linalg.eigvalsh(drawn.C)[:, [0, -1]].T
    numbers["eigenvalues"] = {"smallest": float(np.median(smallest)), "largest": float(np.median(largest))}
    return numbers


def by_seed(found: Sequence[dict[str, Array]], key: str, depths: Sequence[int], place: int | None = None) -> Array:
    """(seeds, depths) from runs in that order: a number, or entry ``place`` of an array."""
    values = [each[key] if place is None else each[key][place] for each in found]
    return np.array(values, float).reshape(-1, len(depths))
