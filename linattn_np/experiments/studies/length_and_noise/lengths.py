"""Trained on prompts of one length, tested on others: one layer beside its formula, three layers, and what the window says."""

import numpy as np

from ...._types import Array
from ....prompts import RegressionTask
from . import testing
from .size import Size
from .theory import layer_numbers, residual
from .training import trained

D = 5
ONE_TRAINED, ONE_TESTED, ONE_RATE = (5, 10, 20, 40), (2, 5, 10, 20, 40, 80, 160, 320), 0.02
SHORT, MORE = 10, 10  # a test with prompts of at most SHORT examples has MORE times the prompts: their losses scatter
TESTED = (5, 7, 10, 14, 20, 40, 160, 320)
CASES = ((20, "linear"), (20, "constant"), (5, "linear"), (40, "linear"))  # training length and schedule of three layers
QUANTILE, SPECTRA = 0.999, 100_000  # the window: this quantile of the largest eigenvalue over so many training prompts


def one_layer(seed: int, size: Size) -> dict[str, Array]:
    """Mean losses of trained single layers: loss (trained lengths, tested lengths), gain (trained lengths,)."""
    tasks = [RegressionTask(n=n, d=D) for n in ONE_TRAINED]
    weights = [trained(task, 1, "linear", ONE_RATE, seed, *size.one)[0][0, 0, 1] for task in tasks]
    losses = np.zeros((len(weights), len(ONE_TESTED)))
    for k, n in enumerate(ONE_TESTED):
        prompts = size.prompts * (MORE if n <= SHORT else 1)
        for Z, y in testing.batches(RegressionTask(n=n, d=D), size.batches, prompts, seed):
            losses[:, k] += [np.mean((testing.one_layer_answers(Q, Z) - y) ** 2) / size.batches for Q in weights]
    return {"loss": losses, "gain": np.array([-np.trace(Q) / D for Q in weights])}


def window(n: int, seed: int, count: int = SPECTRA) -> float:
    """The QUANTILE of the largest eigenvalue of S over training prompts of n examples."""
    X = np.random.default_rng([31, seed, n]).standard_normal((count, n, D))
    return float(np.quantile(np.linalg.eigvalsh(X.mT @ X / n)[:, -1], QUANTILE))


def three_layers(seed: int, n: int, schedule: str, rate: float, size: Size) -> dict[str, Array]:
    """Trained at n, tested at each of TESTED (T,): means and medians of each batch (T, batches), and over all prompts (T,)

    top: the largest squared error over the sum of all; inside: the mean over prompts whose largest eigenvalue is in the window;
    removed: the share of the others; short_queries: the mean without as many prompts, those with the longest queries; predicted:
    the mean of sum_k r(lambda_k)^2 inside the window. a, b (3,) of (31.6) and the window's end.
    """
    params, _ = trained(RegressionTask(n=n, d=D), 3, schedule, rate, seed, *size.three)
    (a, b), end = layer_numbers(params), window(n, seed, min(SPECTRA, 4 * size.batches * size.prompts))
    found = {name: np.zeros(len(TESTED)) for name in ("mean", "top", "inside", "removed", "short_queries", "predicted")}
    found |= {name: np.zeros((len(TESTED), size.batches)) for name in ("means", "medians")}
    for k, test_n in enumerate(TESTED):
        errors, largest, queries, predicted = [], [], [], []
        for Z, y in testing.batches(RegressionTask(n=test_n, d=D), size.batches, size.prompts, seed):
            errors.append((testing.answers(params, Z) - y) ** 2)
            lam = testing.spectra(Z)
            largest.append(lam[:, -1])
            predicted.append((residual(lam, a, b) ** 2).sum(axis=1))
            queries.append((Z[:, -1, :-1] ** 2).sum(axis=1))
        e, inside = np.array(errors), np.array(largest) <= end
        length = np.array(queries)
        kept = length <= np.quantile(length, inside.mean())
        found["means"][k], found["medians"][k] = e.mean(axis=1), np.median(e, axis=1)
        for name, value in (
            ("mean", e.mean()), ("top", e.max() / e.sum()), ("inside", e[inside].mean()), ("removed", 1 - inside.mean()),
            ("short_queries", e[kept].mean()), ("predicted", np.array(predicted)[inside].mean()),
        ):  # fmt: skip
            found[name][k] = value
    return found | {"a": a, "b": b, "window": np.array(end)}


def exchanged(seed: int, rate: float, size: Size) -> dict[str, Array]:
    """A model trained at 20 on four kinds of prompts: 20 examples, 5 examples, 5 with the spectra of 20, and 160 with those of 5.

    -> mean and median of the squared errors, (4,) each: the medians are those over batches
    """
    params, _ = trained(RegressionTask(n=20, d=D), 3, "linear", rate, seed, *size.three)
    rng, means, medians = np.random.default_rng([31, seed, 0]), [], []
    for own, others in ((20, None), (5, None), (5, 20), (160, 5)):
        errors = []
        for Z, y in testing.batches(RegressionTask(n=own, d=D), size.batches, size.prompts, seed):
            if others is not None:
                lam = testing.spectra(RegressionTask(n=others, d=D).sample(len(Z), rng).Z)
                Z, y = testing.with_spectra(Z, y, lam, rng)
            errors.append((testing.answers(params, Z) - y) ** 2)
        means.append(np.mean(errors))
        medians.append(np.median(np.median(errors, axis=1)))
    return {"mean": np.array(means), "median": np.array(medians)}
