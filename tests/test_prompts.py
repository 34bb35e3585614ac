"""The data: shapes, labels, and the laws of the covariates."""

import numpy as np
import pytest

import linattn_np as la
from linattn_np.prompts import triangular_root


def sample(batch=4000, **settings):
    return la.RegressionTask(**settings).sample(batch, np.random.default_rng(0))


def standard_errors(values, wanted):
    """How many standard errors the mean of values lies from what is wanted."""
    return np.abs(values.mean(axis=0) - wanted) / (values.std(axis=0) / np.sqrt(len(values)))


def test_shapes_and_the_empty_label_of_the_query():
    Z, y = sample(11, n=7, d=3)
    assert Z.shape == (11, 8, 4) and y.shape == (11,)
    assert np.all(Z[:, -1, -1] == 0) and np.all(Z[:, :-1, -1] != 0)


def test_labels_are_linear_in_the_covariates_with_one_task_vector_a_prompt():
    Z, y = sample(11, n=7, d=3)
    for prompt, label in zip(Z, y, strict=True):
        w, residual, rank, _ = np.linalg.lstsq(prompt[:-1, :-1], prompt[:-1, -1], rcond=None)
        assert rank == 3 and np.all(residual < 1e-20)
        assert np.isclose(prompt[-1, :-1] @ w, label, rtol=1e-10)


def test_gaussian_covariates_and_task_vectors_are_standard_normal():
    Z, y = sample(n=3, d=2)
    X = Z[..., :-1]
    assert standard_errors(X[:, 0, 0], 0) < 4 and standard_errors(X[:, -1, 1] ** 2, 1) < 4
    assert standard_errors(X[:, 0, 0] * X[:, 1, 0], 0) < 4
    assert standard_errors(y**2, 2) < 4  # E <w, x>^2 = d


def test_sphere_covariates_have_length_one():
    Z, _ = sample(n=3, d=5, covariates="sphere")
    assert np.allclose((Z[..., :-1] ** 2).sum(axis=-1), 1, rtol=1e-14)
    assert standard_errors(Z[:, 0, 0] ** 2, 1 / 5) < 4


def test_gamma_covariates_have_gamma_squared_lengths_query_included():
    Z, _ = sample(n=3, d=5, covariates="gamma", gamma_shape=0.1, gamma_scale=10.0)
    squares = (Z[..., :-1] ** 2).sum(axis=-1)  # (B, 4)
    assert np.all(standard_errors(squares, 1.0) < 4)  # mean: shape times scale
    assert np.all(standard_errors((squares - 1) ** 2, 10.0) < 4)  # variance: shape times scale squared
    assert np.corrcoef(squares.T)[0, 1:].max() < 0.1  # a squared length of its own for each token


def test_gamma_scale_defaults_to_keeping_the_variance_and_2_5_is_gaussian():
    assert la.RegressionTask(covariates="gamma", gamma_shape=0.1).gamma_scale == 10.0
    assert la.RegressionTask(covariates="gamma", gamma_shape=2.5).gamma_scale == 2.0
    X = sample(n=1, d=5, covariates="gamma", gamma_shape=2.5)[0][:, 0, :-1]
    assert standard_errors(X[:, 0] ** 2, 1) < 4 and standard_errors(X[:, 0] ** 4, 3) < 4


def test_covariance_shapes_the_covariates():
    covariance = np.array([[2.0, 0.6], [0.6, 0.5]])
    X = sample(n=1, d=2, covariance=covariance)[0][:, 1, :-1]
    assert np.all(standard_errors(X[:, :, None] * X[:, None, :], covariance) < 4)


def test_label_noise_reaches_the_examples_and_not_the_answer():
    (clean, y), (noisy, noisy_y) = sample(n=7, d=3), sample(n=7, d=3, label_noise=0.5)
    assert np.array_equal(clean[..., :-1], noisy[..., :-1]) and np.array_equal(y, noisy_y)
    noise = (noisy - clean)[:, :-1, -1]
    assert standard_errors(noise.ravel() ** 2, 0.25) < 4
    assert np.all(noisy[:, -1, -1] == 0)


def test_same_seed_same_bits_and_tasks_compare():
    assert sample(5)[0].tobytes() == sample(5)[0].tobytes()
    assert la.RegressionTask(d=2, covariance=np.eye(2)) == la.RegressionTask(d=2, covariance=((1.0, 0.0), (0.0, 1.0)))
    assert hash(la.RegressionTask()) == hash(la.RegressionTask())


@pytest.mark.parametrize("covariates", ["gaussian", "sphere", "gamma"])
def test_one_covariate_and_one_example_work(covariates):
    Z, y = sample(5, n=1, d=1, covariates=covariates)
    assert Z.shape == (5, 2, 2) and np.isfinite(Z).all() and np.isfinite(y).all()


def test_the_root_of_a_covariance_is_choleskys():
    A = np.random.default_rng(0).standard_normal((7, 5))
    C, wanted = triangular_root(A.T @ A), np.linalg.cholesky(A.T @ A)
    assert np.abs(C - wanted).max() < 1e-13 * np.abs(wanted).max() and (np.triu(C, 1) == 0).all()
