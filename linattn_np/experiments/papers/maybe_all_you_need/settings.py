"""The paper's data settings and the hyper-parameters of its released code.

Source: paper, section 3.1; learning rates from its code.
"""

from ....prompts import RegressionTask
from ....training.runs import RunFolder
from ...robust import Batches, batches_for
from ...scale import Scale, runs_of, train_side_by_side
from ...settings import OPTIMIZERS, Setting
from . import released_streams

SETTINGS = {
    "setting1": Setting("Setting 1: Gaussian, n = 20", RegressionTask(n=20), {"SGD": 0.02, "Adam": 0.02}, 1.0),
    "setting2": Setting("Setting 2: Gaussian, n = 5", RegressionTask(n=5), {"SGD": 0.01, "Adam": 0.005}, 1.0),
    "setting3": Setting(
        "Setting 3: heavy-tailed, n = 20", RegressionTask(n=20, covariates="gamma", gamma_shape=0.1, gamma_scale=10.0),
        {"SGD": 0.02, "Adam": 0.02}, 1.0,
    ),
    "sphere": Setting("Spherical, n = 20", RegressionTask(n=20, covariates="sphere"), {"SGD": 5.0, "Adam": 0.1}, 0.1),
}  # fmt: skip
NAMES = {"setting1": "Setting 1", "setting2": "Setting 2", "setting3": "Setting 3"}  # the three of section 3.2


def many_batches(scale: Scale, count: int | None = None) -> Batches:
    """The test batches that claims are judged on, or the first ``count`` of them; beside them the released code's one."""
    return batches_for(scale, (released_streams.test_batch,), count)


def train_main_runs(folder: RunFolder, scale: Scale, progress: bool | None = None) -> None:
    """Train the runs that several figures share, what is missing of them: both optimizers on the three settings."""
    runs = [runs_of(SETTINGS[name], o, scale) for name in NAMES for o in OPTIMIZERS]
    train_side_by_side(folder, runs, "SGD and Adam on three settings", progress)
