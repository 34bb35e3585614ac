"""Batches in parts, and states drawn directly: the same law as states made from tokens."""

import numpy as np
import pytest

import linattn_np as la
from linattn_np import batches
from linattn_np.kernels import linear as kernels
from linattn_np.layers import gram


def test_chunk_sizes_add_up_and_are_those_of_the_kernels():
    assert batches.chunk_sizes(1000) == [256, 256, 256, 232]
    assert batches.chunk_sizes(1) == [1] and batches.chunk_sizes(256) == [256]
    assert batches.CHUNK == kernels.LANES * kernels.CHUNK_BLOCKS


def test_generators_depend_on_seed_and_place_only():
    first, more = batches.generators(3, 2), batches.generators(3, 5)
    assert [g.random() for g in first] == [g.random() for g in more[:2]]
    assert batches.generators(3, 1)[0].random() != batches.generators(4, 1)[0].random()


def test_gaussian_state_worked_by_hand():
    task = la.RegressionTask(n=3, d=2)
    draws = np.array([[2.0], [1.0], [3.0], [1.0], [-1.0], [4.0], [5.0]])  # R = [[2, 0], [3, 1]], w = (1, -1), x = (4, 5)
    state, y = batches.gaussian_state(task, draws)
    assert state.G.tolist() == [[[4, 6, -2], [6, 10, -4], [-2, -4, 2]]]
    assert state.z.tolist() == [[4, 5, 0]] and y.tolist() == [-1]


@pytest.mark.parametrize("n", [3, 7])  # fewer examples than covariates: G is singular
def test_drawn_states_have_the_law_of_states_made_from_tokens(n):
    task, batch = la.RegressionTask(n=n, d=5), 20_000
    state, y = batches.gaussian_state(task, batches.draw_gaussian(task, batch, np.random.default_rng(1)))
    prompts = task.sample(batch, np.random.default_rng(2))
    other = gram.compress(prompts.Z)
    rows, columns = np.triu_indices(6)

    def features(state, y):
        """Entries, products of entries and of the query with labels: first and second moments."""
        entries = state.G[:, rows, columns]
        return np.column_stack([entries, entries[:, :8] * entries[:, -8:], entries**2, state.z * y[:, None], state.z**2, y**2])

    ours, theirs = features(state, y), features(other, prompts.y)
    error = np.sqrt((ours.var(axis=0) + theirs.var(axis=0)) / batch)
    assert np.all(np.abs(ours.mean(axis=0) - theirs.mean(axis=0)) <= 4.5 * error)
    rank = np.linalg.matrix_rank(state.G[:50, :5, :5], tol=1e-9)
    assert np.all(rank == min(n, 5))


def test_only_plain_gaussian_tasks_have_the_shortcut():
    assert batches.can_draw_states(la.RegressionTask())
    assert not batches.can_draw_states(la.RegressionTask(covariates="sphere"))
    assert not batches.can_draw_states(la.RegressionTask(label_noise=0.1))
    assert not batches.can_draw_states(la.RegressionTask(d=2, covariance=np.eye(2)))
