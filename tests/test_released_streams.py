"""The released code's random numbers, held to pieces of them that torch made (``data/released_streams.npz``)."""

from pathlib import Path

import numpy as np
import pytest

import linattn_np as la
from linattn_np.experiments.papers.maybe_all_you_need.released_streams import ReleasedStream, TorchGenerator, test_batch
from linattn_np.experiments.papers.maybe_all_you_need.settings import SETTINGS

MADE = np.load(Path(__file__).parent / "data" / "released_streams.npz")
TASKS = {
    "s1": SETTINGS["setting1"].task,
    "s2": SETTINGS["setting2"].task,
    "s3": SETTINGS["setting3"].task,
    "sph": SETTINGS["sphere"].task,
}
# Tolerances: torch rounds log, cos and sin in float32 otherwise than NumPy, 5e-7 on a number of size 4; weights are scaled by
# 0.05.
test_batch.__test__ = False  # a function of the package, not a test


def close(array, made, atol=1e-7):
    return np.allclose(array, made, rtol=0, atol=atol)


def made_by_torch(prompts, key):
    """Whether the first prompts are torch's, and sums over the whole batch."""
    Z, y = prompts
    first = close(Z[:4], MADE[f"{key}/Z_first4"], 1e-6) and close(y[:4], MADE[f"{key}/y_first4"], 1e-6)
    sums = np.array([Z.sum(), (Z * Z).sum(), y.sum(), (y * y).sum()])
    return first and np.allclose(sums, MADE[f"{key}/sums"], rtol=1e-7, atol=1e-4)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("seed", [0, 3])
def test_weights_and_batches_are_those_of_torch(task, seed):
    stream = ReleasedStream(TASKS[task], seed)
    assert close(stream.init_params(), MADE[f"{task}/{seed}/params"])
    for k in range(2):
        assert made_by_torch(stream.batch(), f"{task}/{seed}/batch{k}")


@pytest.mark.parametrize("task", TASKS)
def test_the_test_batch_is_that_of_torch(task):
    assert made_by_torch(test_batch(TASKS[task]), f"{task}/99/batch0")


def test_networks_are_those_of_torch():
    for name, array in zip(("W1", "b1", "W2", "b2"), TorchGenerator(7).network(5, 10, 5), strict=True):
        assert close(array, MADE[f"hidden_network/{name}"])


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_order_of_draws_of_nonlinear_regression(seed):
    torch, expected = (
        TorchGenerator(seed),
        {name: MADE[f"nonlinear/{seed}/{name}"] for name in ("attention_P", "attention_Q_transposed")},
    )
    attention = torch.normals(3, 1, 2, 6, 6) * np.float32(0.1)
    assert close(attention[:, :, 0], expected["attention_P"])
    assert close(attention[:, :, 1], expected["attention_Q_transposed"])
    for name, array in zip(("W1", "b1", "W2", "b2"), torch.network(5, 30, 5), strict=True):
        assert close(array, MADE[f"nonlinear/{seed}/{name}"])
    for name, shape in (("X_first2", (2000, 20, 5)), ("query_first2", (2000, 5)), ("w_first2", (2000, 5))):
        assert close(torch.normals(*shape)[:2], MADE[f"nonlinear/{seed}/{name}"], 1e-6)


def test_what_the_released_code_does_not_draw_is_refused():
    with pytest.raises(ValueError, match="at least 16 numbers"):
        TorchGenerator(0).normals(3, 5)
    with pytest.raises(ValueError, match="without covariance and label_noise"):
        ReleasedStream(la.RegressionTask(n=7, d=5, label_noise=0.1), 0)
