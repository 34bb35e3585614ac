"""The paper's data settings and the hyper-parameters of its released code."""

from dataclasses import dataclass

from ....optimizers import SGD, Adam
from ....prompts import RegressionTask


@dataclass(frozen=True)
class Setting:
    """One data setting: the task, and what it is trained with. Source: paper, section 3.1; learning rates from its code."""

    title: str
    task: RegressionTask
    learning_rates: dict  # {"SGD": .., "Adam": ..}
    clip: float
    layers: int = 3

    def optimizer(self, name):
        """The paper's SGD (momentum 0.9) or Adam (beta1 = beta2 = 0.9) at this setting's rate."""
        rate = self.learning_rates[name]
        return {"SGD": SGD(rate, momentum=0.9), "Adam": Adam(rate, beta1=0.9, beta2=0.9)}[name]


SETTINGS = {
    "setting1": Setting("Setting 1: Gaussian, n = 20", RegressionTask(n=20), {"SGD": 0.02, "Adam": 0.02}, 1.0),
    "setting2": Setting("Setting 2: Gaussian, n = 5", RegressionTask(n=5), {"SGD": 0.01, "Adam": 0.005}, 1.0),
    "setting3": Setting(
        "Setting 3: heavy-tailed, n = 20", RegressionTask(n=20, covariates="gamma", gamma_shape=0.1, gamma_scale=10.0),
        {"SGD": 0.02, "Adam": 0.02}, 1.0,
    ),
    "sphere": Setting("Spherical, n = 20", RegressionTask(n=20, covariates="sphere"), {"SGD": 5.0, "Adam": 0.1}, 0.1),
}  # fmt: skip
