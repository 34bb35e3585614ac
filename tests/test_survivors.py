"""Lines that could be broken without a test's notice: each has one here."""

import shutil
from pathlib import Path

import numpy as np
import pytest

import linattn_np as la
from linattn_np.__main__ import main
from linattn_np.teaching.handout import to_handout
from linattn_np.teaching.sources import find_lessons, read_source
from linattn_np.training import loop

LESSONS = Path(__file__).parents[1] / "lessons"


class Stays:
    """An optimizer that looks at no gradient: what is not finite does not reach the params by it."""

    def init(self, params):
        return ()

    def update(self, params, grad, state):
        return params, state


class Jumps(Stays):
    """One whose update alone leaves the finite numbers."""

    def update(self, params, grad, state):
        return params * np.inf, state


@pytest.mark.parametrize("loss, grad, optimizer", [(np.nan, 1.0, Stays()), (1.0, np.nan, Stays()), (1.0, 1.0, Jumps())])
def test_a_loss_a_gradient_or_an_update_that_is_not_finite_ends_the_run(loss, grad, optimizer, monkeypatch):
    class Gradient:
        states = np.zeros((0, 4, 64), np.uint64)
        __init__ = lambda self, *given: None
        at_points = lambda self, points: (np.full(len(points), loss), np.full(points.shape, grad))

    monkeypatch.setattr(loop, "BatchGradient", Gradient)
    with pytest.warns(UserWarning, match="diverged"):
        history = la.train(la.RegressionTask(n=3, d=2), optimizer, 3, 5, progress=False)
    assert history.diverged_at == 0 and np.isfinite(history.params).all()


def test_handouts_are_never_written_over_the_lessons(tmp_path, capsys):
    shutil.copytree(LESSONS / "source", tmp_path / "lessons" / "source")
    (tmp_path / "lessons" / "01_one_prompt_by_hand.ipynb").write_text("the complete lesson")
    arguments = [
        "lessons",
        "handout",
        "1",
        "--folder",
        str(tmp_path / "lessons"),
        "--out",
        str(tmp_path / "x" / ".." / "lessons"),
    ]
    assert main(arguments) == 2 and "--out: expected another folder" in capsys.readouterr().err
    assert (tmp_path / "lessons" / "01_one_prompt_by_hand.ipynb").read_text() == "the complete lesson"


def test_nothing_pairs_a_handout_with_its_source():
    [lesson] = find_lessons(LESSONS, ["1"])
    source = read_source(lesson.source)
    assert "jupytext" in source.metadata and "jupytext" not in to_handout(source).metadata
