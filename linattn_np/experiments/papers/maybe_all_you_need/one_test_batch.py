"""Why one test batch of 1000 prompts is a lottery: whether Adam's loss is the lower one, on each of hundreds of batches.

A prompt's loss is large where its Gram matrix X^T X / n has a large eigenvalue, the more so the further a run has got. In
Settings 2 and 3 the largest prompt of a batch can carry nearly all of its loss; which optimizer is ahead then depends on that
prompt. The batches are sorted by the largest eigenvalue in them and cut into groups; each group has a share of batches on which
Adam is ahead. Beside them the same runs once more, their first weights off by 1e-7: which losses hang on a rounding, too.
"""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ...._types import Array
from ....layers import gram
from ....models.stack import prediction_and_tapes
from ....plotting import STYLES, new_figure
from ....prompts import Prompts, RegressionTask
from ....training.runs import RunFolder
from ... import scale as scales
from ...curves import Numbers
from ...measured import Arrays, kept_each
from ...rules import Claim
from ...scale import Scale, histories, in_words, runs_of, test_batch
from ...settings import OPTIMIZERS, Setting
from . import released_streams
from .rounded_losses import in_words as rounding_in_words
from .rounded_losses import rounding
from .settings import NAMES, SETTINGS

TITLE = "One test batch is a lottery: what hundreds of them say"
SECONDS = {"paper": 150, "quick": 2}
BATCHES, GROUPS, CHUNK = 300, 10, 25  # batches in all, groups of them, and batches that one worker looks at
FIRST_SEED = 10_000  # of these batches
TIMES = (5_000, 10_000)
TRIMMED = 0.01  # the share of prompts that a trimmed mean leaves out, those of the largest loss
FIXED = {"ours": "our one fixed batch", "released": "the released code's batch"}
MARKERS = {"ours": "o", "released": "s"}
ALT = (
    "Two rows of three panels, one column for each data setting; each of hundreds of test batches of 1000 prompts has a largest "
    "eigenvalue of a prompt's Gram matrix, which is the horizontal axis. Top: of batches sorted by it and cut into ten "
    "groups, the share on which Adam's mean loss over seeds is below SGD's, in the middle of the run and at its end; the "
    "released code's batch and our fixed batch are marked at 1 where Adam is ahead on them and at 0 where not. Bottom: the share "
    "of a batch's loss that its largest prompt carries, a point for each batch, for SGD and Adam at the end."
)
CLAIMS: tuple[Claim, ...] = ()  # the paper says nothing of other batches


def count(scale: Scale) -> int:
    """How many batches are looked at."""
    return BATCHES if scale.name == "paper" else 2 * CHUNK


def times_of(scale: Scale) -> list[int]:
    """When runs are looked at: in the middle, and at the end."""
    return [t for t in TIMES if t <= scale.steps] if scale.name == "paper" else [scale.steps // 20 * 10, scale.steps]


def sizes(scale: Scale) -> str:
    """What is run at this scale."""
    return f"{in_words(scale)}, {count(scale)} test batches"


def measure(folder: RunFolder, scale: Scale, progress: bool | None = None) -> Numbers:
    """What each batch says of the same runs: plain numbers, ready for JSON."""
    times = times_of(scale)
    panels = {name: panel(folder, SETTINGS[name], scale, times, progress) for name in NAMES}
    again = {name: rounding(folder, SETTINGS[name], scale, progress) for name in NAMES if scale.reruns}
    return {"iterations": times, "batches": count(scale), "groups": GROUPS, "panels": panels, "rounding": again}


def panel(folder: RunFolder, setting: Setting, scale: Scale, times: Sequence[int], progress: bool | None) -> Numbers:
    """One setting: each batch's largest eigenvalue, who is ahead on it, and how much of its loss one prompt carries."""
    runs = {o: runs_of(setting, o, scale) for o in OPTIMIZERS}
    trained = {o: histories(folder, runs[o], f"{o} on {setting.title}", progress) for o in OPTIMIZERS}
    points = np.array([[[h.snapshots.get(t, h.params) for t in times] for h in trained[o]] for o in OPTIMIZERS])
    names = [[f"{seed}" for seed in range(first, first + CHUNK)] for first in range(FIRST_SEED, FIRST_SEED + count(scale), CHUNK)]
    chunks = [*names, list(FIXED)]
    described = {
        "runs": [[run.to_dict() for run in runs[o]] for o in OPTIMIZERS],
        "times": list(times),
        "prompts": scales.TEST_PROMPTS,
    }
    descriptions = [{**described, "names": chunk} for chunk in chunks]
    arguments = [(setting.task, chunk, scales.TEST_PROMPTS, points) for chunk in chunks]
    *found, fixed = kept_each(folder, "lottery", descriptions, carried, arguments, f"batches of {setting.title}", progress)
    every = {key: np.concatenate([each[key] for each in found]) for key in fixed}
    loss = every["loss"].mean(axis=2)  # (batches, optimizers, T): means over seeds
    ahead, largest, rest = loss[:, 1] < loss[:, 0], every["largest"], every["loss"]
    order = np.argsort(every["eigenvalue"])
    groups = np.array_split(order, min(GROUPS, len(order)))
    whole = rest.sum(axis=0) * scales.TEST_PROMPTS  # (optimizers, seeds, T)
    return {
        "title": setting.title, "eigenvalues": every["eigenvalue"].tolist(),
        "share": {str(t): float(ahead[:, k].mean()) for k, t in enumerate(times)},
        "group_eigenvalues": [float(np.median(every["eigenvalue"][group])) for group in groups],
        "group_share": {str(t): [float(ahead[group, k].mean()) for group in groups] for k, t in enumerate(times)},
        **{o: one_prompt(largest[:, i] / rest[:, i] / scales.TEST_PROMPTS, whole[i], largest[:, i], every["trimmed"][:, i])
           for i, o in enumerate(OPTIMIZERS)},
        "fixed": {
            name: {"eigenvalue": float(fixed["eigenvalue"][k]), "adam_ahead": (means[1] < means[0]).tolist(),
                   "share_of_largest": [float(np.median(fixed["largest"][k, i, :, -1] / fixed["loss"][k, i, :,
                       -1]) / scales.TEST_PROMPTS)
                                        for i in range(len(OPTIMIZERS))]}
            for k, name in enumerate(FIXED) for means in [fixed["loss"][k].mean(axis=1)]
        },
    }  # fmt: skip


def one_prompt(shares: Array, whole: Array, largest: Array, trimmed: Array) -> Numbers:
    """How much of the loss one prompt carries, medians over seeds at the end: of each batch, and of all their prompts
    together.
    """
    return {
        "share_of_largest": np.median(shares[..., -1], axis=1).tolist(),
        "share_of_largest_of_all": float(np.median(largest[..., -1].max(axis=0) / whole[:, -1])),
        "mean": float(np.median(whole[:, -1]) / len(largest) / scales.TEST_PROMPTS),
        "trimmed_mean": float(np.median(trimmed[..., -1].mean(axis=0))),
    }


def carried(task: RegressionTask, names: Sequence[str], prompts: int, points: Array) -> Arrays:
    """What a worker finds on some batches, (batches, optimizers, seeds, T): mean loss, that of the largest prompt, trimmed mean.

    points (optimizers, seeds, T, L, H, 2, d, d); beside them eigenvalue (batches,), the largest of X^T X / n in each batch.
    """
    found = np.empty((3, len(names), *points.shape[:3]))
    eigenvalue = np.empty(len(names))
    for b, name in enumerate(names):
        Z, y = batch_of(task, name, prompts)
        X, state = Z[:, :-1, :-1], gram.compress(Z)
        eigenvalue[b] = np.linalg.eigvalsh(X.mT @ X / task.n)[:, -1].max()
        for at in np.ndindex(points.shape[:3]):
            error = prediction_and_tapes(points[at], state, Z.shape[-1], gram)[0] - y
            losses = np.sort(error * error)
            found[(slice(None), b, *at)] = losses.mean(), losses[-1], losses[: round((1 - TRIMMED) * prompts)].mean()
    return {"eigenvalue": eigenvalue, "loss": found[0], "largest": found[1], "trimmed": found[2]}


def batch_of(task: RegressionTask, name: str, prompts: int) -> Prompts:
    """A batch of a seed, our one fixed batch, or the released code's."""
    if name == "ours":
        return test_batch(task)
    return (
        released_streams.test_batch(task, prompts)
        if name == "released"
        else task.sample(prompts, np.random.default_rng(int(name)))
    )


def draw(numbers: Numbers, scale: Scale) -> Figure:
    """The figure: who is ahead above, what one prompt carries below."""
    figure, axes = new_figure(columns=len(NAMES), rows=2, height=3.0)
    for (top, bottom), name in zip(axes.T, NAMES, strict=True):
        found = numbers["panels"][name]
        for (t, share), style in zip(found["group_share"].items(), ("--", "-"), strict=False):
            label = f"iteration {int(t):,}: {found['share'][t]:.0%} of all"
            top.plot(found["group_eigenvalues"], share, style, color="0.2" if style == "-" else "0.55", marker=".", label=label)
        for o in OPTIMIZERS:
            bottom.plot(found["eigenvalues"], found[o]["share_of_largest"], ".", color=STYLES[o]["color"], markersize=3, label=o)
        for key, words in FIXED.items():
            mark_fixed(top, bottom, found["fixed"][key], MARKERS[key], words)
        top.axhline(0.5, color="0.6", linewidth=0.8)
        top.set(ylim=(-0.06, 1.75), title=found["title"])
        top.set_yticks([0, 0.25, 0.5, 0.75, 1.0])
        bottom.set(ylim=(-0.03, 1.03), xlim=top.get_xlim())
        bottom.set_xlabel("largest eigenvalue of $X^T X / n$ in the batch")
        top.legend(frameon=False, fontsize=8, loc="upper left")
    axes[0][0].set_ylabel("share of the batches on which\nAdam's loss is below SGD's")
    axes[1][0].set_ylabel("share of the loss that\none of 1000 prompts carries")
    axes[1][0].legend(frameon=False, fontsize=9, loc="upper left", markerscale=3)
    figure.suptitle(
        f"{numbers['batches']} test batches, loss: mean over {scale.seeds} seeds; bottom: at the end, median over seeds",
        fontsize=11,
    )
    return figure


def mark_fixed(top: Axes, bottom: Axes, found: Numbers, marker: str, words: str) -> None:
    """One of the two fixed batches: who is ahead on it at the end, and what its largest prompt carries."""
    style: Numbers = {"marker": marker, "markersize": 7, "fillstyle": "none", "linestyle": "none", "markeredgewidth": 1.5}
    top.plot(found["eigenvalue"], float(found["adam_ahead"][-1]), color="#009E73", label=words, **style)
    for o, share in zip(OPTIMIZERS, found["share_of_largest"], strict=True):
        bottom.plot(found["eigenvalue"], share, color=STYLES[o]["color"], **style)


def summary(numbers: Numbers) -> str:
    """What came out, in words."""
    lines = [f"{numbers['batches']} test batches of 1000 prompts; losses are means over seeds"]
    for name, found in numbers["panels"].items():
        shares = ", ".join(f"{share:.0%} at {t}" for t, share in found["share"].items())
        ends = list(found["group_share"].values())[-1]
        lines.append(
            f"{found['title']}: Adam's loss is below SGD's on {shares}; from {ends[0]:.0%} of the batches whose largest "
            f"eigenvalue is smallest to {ends[-1]:.0%} of those where it is largest"
        )
        for o in OPTIMIZERS:
            own = found[o]
            lines.append(
                f"  {o}: one prompt carries {np.median(own['share_of_largest']):.0%} of a batch's loss (median), "
                f"{own['share_of_largest_of_all']:.0%} of that of all batches together; mean loss {own['mean']:.3g}, without the "
                f"largest {TRIMMED:.0%} of the prompts {own['trimmed_mean']:.3g}"
            )
        ahead = ", ".join(f"{FIXED[key]}: {'ahead' if found['fixed'][key]['adam_ahead'][-1] else 'behind'}" for key in FIXED)
        lines.append(f"  Adam at the end on {ahead}")
        if name in numbers["rounding"]:
            lines.append(f"  {rounding_in_words(numbers['rounding'][name])}")
    return "\n".join(lines)
