"""The figure: a softmax language model turned into a recurrent one, and what reading costs either."""

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ....plotting import median_band, new_figure
from ....training.runs import RunFolder
from ...curves import Numbers, band, curve
from ...measured import kept, kept_each
from ...scale import Scale, counted, differences
from .claims import CLAIMS, NAME, against_more_softmax, cheaper, equal_budget, fixed_early, fixed_from_scratch, fixed_late
from .runs import CONTROLS, SCRATCH, SIZES, TIMED, converted, described, from_scratch, held_out, plan, reading
from .text import SYMBOLS, counting_reader, floor

__all__ = ["ALT", "CLAIMS", "SECONDS", "TITLE", "draw", "measure", "sizes", "summary"]

TITLE = "Finetuning pretrained Transformers into RNNs: a learned feature map in place of softmax"
SECONDS = {"paper": 240, "quick": 15}
SEEDS = 5
STYLES: dict[str, dict[str, Any]] = {
    "softmax": {"color": "#000000", "linestyle": "-."},
    "32": {"color": "#0072B2", "linestyle": "-"},
    "8": {"color": "#009E73", "linestyle": (0, (1, 1))},
    "4": {"color": "#CC79A7", "linestyle": (0, (5, 1, 1, 1, 1, 1))},
    "elu": {"color": "#D55E00", "linestyle": "--"},
}
LABELS = {"softmax": "softmax", "32": "32 learned features", "8": "8 learned", "4": "4 learned", "elu": "elu + 1 (16 features)"}
CONTROL_STYLES = {"-": "#E69F00", "--": "#56B4E9", "-.": "#D55E00", ":": "0.35"}
ALT = (
    "Four panels. Top left: perplexity against iteration in all; softmax falls to the end of pretraining, where the swap throws "
    "the curves of 32 learned features and of elu + 1 back up; the learned map falls to softmax's level at once, elu + 1 more "
    "slowly; both trained from random weights fall over the whole time. Top right: the finetuning alone, for 4, 8 and 32 learned "
    "features, elu + 1 and softmax swapped for itself, with the floor. Bottom left: four controls of the swap for 32 features "
    "beside it. Bottom right: seconds for one more symbol against the length of the text before it, level for features and "
    "rising for softmax."
)


def sizes(scale: Scale) -> str:
    """What is run at this scale."""
    chosen = plan(scale)
    return (
        f"{chosen.pretrained} + {counted(chosen.finetuned, 'iteration')}, batch {chosen.batch}, "
        f"{counted(seeds_of(scale), 'seed')}"
    )


def seeds_of(scale: Scale) -> int:
    """Five at the paper's scale, else two at most."""
    return SEEDS if scale.name == "paper" else min(2, scale.seeds)


def measure(folder: RunFolder, scale: Scale, progress: bool | None = None) -> Numbers:
    """Train what is missing and measure: plain numbers, ready for JSON."""
    chosen, seeds = plan(scale), range(seeds_of(scale))
    about = described(chosen)
    jobs = [(seed, size) for seed in seeds for size in SCRATCH]
    swaps = kept_each(folder, f"{NAME}_converted", [{"seed": seed, "plan": about} for seed in seeds], converted,
                      [(seed, chosen) for seed in seeds], "softmax, then swapped", progress)  # fmt: skip
    whole = kept_each(folder, f"{NAME}_scratch", [{"seed": seed, "features": size, "plan": about} for seed, size in jobs],
                      from_scratch,
                      [(*job, chosen) for job in jobs], "from random weights", progress)  # fmt: skip
    timed = {
        str(size): kept(
            folder, f"{NAME}_reading", {"features": size, "plan": about}, partial(reading, size, chosen.lengths, chosen.reads)
        )
        for size in TIMED
    }
    each = lambda name: np.stack([found[name] for found in swaps])
    by_size = {str(size): [found["scratch"] for (_, s), found in zip(jobs, whole, strict=True) if s == size] for size in SCRATCH}
    used = replace(scale, steps=chosen.total, batch=chosen.batch, seeds=len(seeds))
    return {
        "limits": differences(scale, used),
        "plan": {**about, "total": chosen.total, "early": chosen.early}, "floor": floor(),
        "counting": counting_reader(held_out(chosen)), "uniform": SYMBOLS,
        "pretraining": curve(chosen.marks(chosen.pretrained, 20), each("pretraining")),
        "converted": {name: curve(chosen.after, each(name)) for name in [*map(str, SIZES), *CONTROLS]},
        "scratch": {name: curve(chosen.marks(chosen.total, 26), np.stack(rows)) for name, rows in by_size.items()},
        "reading": {name: {"lengths": list(chosen.lengths), **{key: found[key].tolist() for key in ("numbers", "seconds")}}
                    for name, found in timed.items()},
    }  # fmt: skip


def draw(numbers: Numbers, scale: Scale) -> Figure:
    """The figure, from the numbers alone."""
    figure, axes = new_figure(columns=2, rows=2, width=5.2, height=3.6)
    (whole, after), (controls, reads) = axes
    first = numbers["plan"]["pretrained"]
    line(whole, numbers["pretraining"], "softmax", "softmax", **STYLES["softmax"])
    for name in ("32", "elu"):
        line(whole, numbers["converted"][name], f"{LABELS[name]}, swapped", name, shift=first, **STYLES[name])
        line(
            whole,
            numbers["scratch"][name],
            f"{LABELS[name]}, from scratch",
            name,
            **{**STYLES[name], "alpha": 0.45, "linestyle": ":"},
        )
    for name in map(str, SIZES):
        line(
            after,
            numbers["converted"][name],
            LABELS[name] + (" swapped for itself" if name == "softmax" else ""),
            name,
            **STYLES[name],
        )
    line(controls, numbers["converted"]["32"], "32 learned features", "32", **STYLES["32"])
    for name, (style, color) in zip(CONTROLS, CONTROL_STYLES.items(), strict=True):
        line(controls, numbers["converted"][name], name, name, color=color, linestyle=style)
    for ax, words in (
        (whole, "iterations in all"),
        (after, "iterations after the swap"),
        (controls, "iterations after the swap"),
    ):
        for level in ("floor", "counting"):
            ax.axhline(numbers[level], color="0.6", linewidth=0.8, linestyle="-" if level == "floor" else "--")
        ax.set(yscale="log", xlabel=words, ylabel="perplexity, second half of texts", ylim=(2.5, 40))
        ax.set_yticks([2.7, 4, 8, 16], ["2.7", "4", "8", "16"])
        ax.minorticks_off()
        ax.legend(frameon=False, fontsize=8, loc="upper right", bbox_to_anchor=(0.7 if ax is whole else 1.0, 1.0))
    for name in map(str, TIMED):
        found = numbers["reading"][name]
        reads.plot(
            found["lengths"], 1e6 * np.array(found["seconds"]), marker="o", markersize=4, label=LABELS[name], **STYLES[name]
        )
    reads.set(xscale="log", yscale="log", xlabel="symbols read before", ylabel="microseconds for one more symbol")
    reads.legend(frameon=False, fontsize=8, loc="upper left")
    figure.suptitle(
        f"median and quartiles over {counted(len(numbers['pretraining']['each_seed']), 'seed')}; gray: who knows the "
        "permutation, and (dashed) who counts",
        fontsize=11,
    )
    return figure


def line(ax: Any, found: Numbers, label: str, name: str, shift: int = 0, **style: Any) -> None:
    """A curve's median and band."""
    median_band(ax, np.array(found["iterations"]) + shift, band(found), label, **style)


def summary(numbers: Numbers) -> str:
    """What came out, in words."""
    middle = lambda found: f"{found['median'][-1]:.3g}"
    lines = [
        f"median perplexities; {numbers['floor']:.3g} knows the permutation, {numbers['counting']:.3g} counts, 16 knows nothing"
    ]
    lines.append(f"softmax after {numbers['plan']['pretrained']} iterations: {middle(numbers['pretraining'])}")
    for name, found in numbers["converted"].items():
        steps = ", ".join(f"{t}: {value:.3g}" for t, value in zip(found["iterations"], found["median"], strict=True))
        lines.append(f"  swapped, {LABELS.get(name, name)}: {steps}")
    lines += [f"  from scratch, {LABELS[name]}: {middle(found)}" for name, found in numbers["scratch"].items()]
    for name, found in numbers["reading"].items():
        pairs = zip(found["lengths"], found["numbers"], found["seconds"], strict=True)
        lines.append(
            f"  reading, {LABELS[name]}: " + ", ".join(f"after {n:,}: {kept:,} numbers, {1e6 * s:.0f} us" for n, kept, s in pairs)
        )
    lines.append(
        f"from scratch needs {cheaper(numbers)['median']:.3g} times the iterations; at equal iterations its perplexity is "
        f"{equal_budget(numbers)['median']:.3f} times as high; elu + 1 is {fixed_early(numbers)['median']:.3g} times as high "
        f"early and {fixed_late(numbers)['median']:.3g} late; {fixed_from_scratch(numbers)}; {against_more_softmax(numbers)}"
    )
    return "\n".join(lines)
