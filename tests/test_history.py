"""The record of a run: it prints short, draws itself, and a run that left the finite numbers says so."""

import inspect
import pickle
import subprocess
import sys
import warnings

import matplotlib
import numpy as np
import pytest

import linattn_np as la
from linattn_np.plotting import new_figure
from linattn_np.training.history import POINTS, Diverged, History
from linattn_np.training.runs import Run


def history(steps=307, diverged_at=None):
    """A record with losses that fall from 8 by halves, 31 steps each, and twice that as norms."""
    loss = 8.0 * 0.5 ** (np.arange(steps) // 31)
    if diverged_at is not None:
        loss[diverged_at:] = np.nan
    params = np.zeros((3, 1, 2, 5, 5))
    return History(loss, 2 * loss, params, diverged_at, {0: params, steps: params}, {0: params}, 1.26)


def test_a_record_prints_on_one_short_line():
    assert repr(history()) == (
        "History(steps 307, loss 8 -> 0.0156, gradient norm 16 -> 0.0312, params 3x1x2x5x5, snapshots 2, seconds 1.3)"
    )
    assert repr(history(diverged_at=31)).startswith("History(steps diverged at step 31 of 307, loss 8 -> 8, ")
    assert "loss none" in repr(history(diverged_at=0)) and len(repr(history(diverged_at=0))) < 160


def test_a_notebook_shows_the_same_as_a_table():
    page = history()._repr_html_()
    assert all(f">{value}".replace("->", "&rarr;") in page or f">{value}" in page for value in ("307", "3x1x2x5x5", "1.3"))
    assert "8 &rarr; 0.0156" in page and page.count("<tr>") == 6


def test_every_field_is_documented():
    said = inspect.getdoc(History)
    assert all(f"\n{name} " in said for name in History.__dataclass_fields__)


def test_the_plot_is_the_median_of_blocks_of_steps():
    figure = history().plot(label="Adam")
    (ax,) = figure.axes
    (line,) = ax.lines
    assert len(line.get_xdata()) == POINTS and ax.get_yscale() == "log"
    assert line.get_ydata()[0] == 8.0 and line.get_ydata()[-1] == history().loss[-1]
    assert ax.get_xlabel() == "step" and ax.get_ylabel().startswith("loss") and line.get_color() == "#0072B2"
    norms = history().plot(what="grad_norm").axes[0]
    assert norms.lines[0].get_ydata()[0] == 16.0 and "gradient" in norms.get_ylabel()
    figure, axes = new_figure(columns=2)
    assert history().plot(axes[0, 1], color="red") is figure and len(axes[0, 1].lines) == 1 and not axes[0, 0].lines
    with pytest.raises(ValueError, match="what: expected one of 'loss', 'grad_norm', got 'norm'"):
        history().plot(what="norm")


@pytest.mark.parametrize("diverged_at", [0, 1, 3, 250])
def test_the_plot_of_a_run_that_diverged_ends_where_it_did(diverged_at):
    figure = history(diverged_at=diverged_at).plot()
    curve, end = figure.axes[0].lines
    assert len(curve.get_xdata()) == min(diverged_at, POINTS) and end.get_xdata()[0] == diverged_at
    assert figure.axes[0].texts[0].get_text() == f"diverged at step {diverged_at}"
    assert len(figure._repr_png_()) > 1000


def test_a_figure_shows_itself_in_a_notebook_without_a_backend():
    figure, _ = new_figure()
    assert isinstance(figure, matplotlib.figure.Figure) and figure._repr_png_().startswith(b"\x89PNG")
    pickle.loads(pickle.dumps(figure))


def test_a_run_that_diverges_warns_and_says_what_may_help():
    with pytest.warns(Diverged, match=r"diverged at step \d+ of 50: .* smaller learning rate or clip") as caught:
        found = la.train(la.RegressionTask(n=5), la.optimizers.SGD(1e3), 50, batch=5, clip=None)
    assert f"at step {found.diverged_at} of" in str(caught[0].message) and caught[0].filename == __file__
    assert np.isfinite(found.params).all()


def test_a_good_run_and_a_run_that_is_kept_do_not_warn():
    task = la.RegressionTask(n=5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        la.train(task, la.optimizers.SGD(1e-3), 5, batch=5)
        assert Run(task, la.optimizers.SGD(1e3), 50, batch=5, clip=None).train().diverged_at is not None  # the table says it


def test_training_needs_no_matplotlib():
    code = (
        "import sys, linattn_np as la; la.train(la.RegressionTask(n=3), la.optimizers.SGD(0.1), 2, batch=3, backend='numpy');"
        "print('matplotlib' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False"
