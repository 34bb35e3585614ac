"""A rate that falls along half a cosine: by hand, and within a run."""

import numpy as np

import linattn_np as la
from linattn_np.experiments.schedules import Cosine


def test_the_rate_is_whole_at_first_half_in_the_middle_and_nothing_after_the_end():
    opt, params, grad = Cosine(la.optimizers.SGD(0.5), steps=4), np.zeros(2), np.array([1.0, -2.0])
    state, moved = opt.init(params), []
    for _ in range(6):
        new, state = opt.update(params, grad, state)
        moved.append((params - new) / grad)
        params = new
    rates = 0.25 * (1 + np.cos(np.pi * np.array([0, 1, 2, 3, 4, 4]) / 4))
    assert np.allclose(np.array(moved), rates[:, None], atol=1e-15) and rates[2] == 0.25 and state.t == 6


def test_the_state_inside_is_kept_from_step_to_step():
    inside, grads = la.optimizers.Adam(0.1), np.random.default_rng(0).standard_normal((5, 3))
    opt = Cosine(inside, steps=10**12)  # a rate that does not move
    a = b = np.zeros(3)
    state, plain = opt.init(a), inside.init(b)
    for g in grads:
        (a, state), (b, plain) = opt.update(a, g, state), inside.update(b, g, plain)
    assert np.allclose(a, b, atol=1e-15) and np.abs(a).min() > 0.01


def test_a_run_takes_it_as_any_optimizer():
    task = la.RegressionTask(n=7, d=3)
    history = la.train(
        task, Cosine(la.optimizers.Adam(0.05), 40), 40, 23, layers=1, record_every=1, progress=False, backend="numpy"
    )
    steps = [np.abs(update).max() for _, update in sorted(history.updates.items())]
    assert steps[-1] < 1e-3 < 1e-2 < steps[0]
