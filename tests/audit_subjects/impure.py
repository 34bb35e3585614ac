"""Functions that keep a state, draw random numbers, change their arguments, print, or do not come back."""

import os
import sys
import warnings

import numpy as np

from . import subject

normal = np.random.default_rng(6).standard_normal


@subject("WRONG", first="same-bits-twice")
def a_buffer_that_accumulates():
    total = np.zeros((5, 3))

    def forward(t):
        return t["x"] @ t["W"].T

    def backward(t, dout):
        total[...] += dout.T @ t["x"]
        return {"x": dout @ t["W"], "W": total}

    return forward, backward, {"x": normal((7, 3)), "W": normal((5, 3))}


@subject("WRONG", first="arguments-kept")
def dout_is_changed_in_place():
    def forward(t):
        return np.maximum(t["x"], 0) ** 2

    def backward(t, dout):
        dout *= 2 * np.maximum(t["x"], 0)
        return {"x": dout}

    return forward, backward, {"x": normal((7, 3))}


@subject("WRONG", first="arguments-kept")
def theta_is_changed_in_forward():
    def forward(t):
        t["x"] *= 2
        return np.sin(t["x"])

    def backward(t, dout):
        return {"x": 2 * dout * np.cos(2 * t["x"])}

    return forward, backward, {"x": normal((7, 3))}


@subject("CANNOT JUDGE", oracle="")
def noise_in_forward():
    return (lambda x: (x**2).sum() + np.random.default_rng().normal()), (lambda x: 2 * x), normal(5)


@subject("WRONG", says="random")
def noise_in_backward():
    return (lambda x: (x**2).sum()), (lambda x: 2 * x + np.random.default_rng().normal()), normal(5)


@subject("WRONG", says="cache")
def stale_cache():
    """backward uses what the last forward left: right only where the last forward was at the same theta."""
    cache = {}

    def forward(t):
        cache["a"] = np.tanh(t["x"] @ t["W"].T)
        return cache["a"] @ t["V"].T

    def backward(t, dout):
        a = cache["a"].real
        ds = dout @ t["V"] * (1 - a * a)
        return {"x": ds @ t["W"], "W": ds.T @ t["x"], "V": dout.T @ a}

    return forward, backward, {"x": normal((7, 3)), "W": normal((5, 3)), "V": normal((2, 5))}


@subject(wrong={"factor": ("2 * x", "4 * x", "dtheta")})
def prints_and_warns():
    def forward(x):
        print("WRONG", "ok", "CANNOT JUDGE")
        warnings.warn("again", stacklevel=1)
        return (x**2).sum()

    return forward, (lambda x: 2 * x), normal(5)


@subject(wrong={"factor": ("2 * x", "4 * x", "dtheta")})
def errors_of_numpy_are_raised():
    def forward(x):
        with np.errstate(all="raise"):
            return (x**2).sum()

    return forward, (lambda x: 2 * x), normal(5)


@subject("cannot be run", says="SystemExit")
def leaves_by_sys_exit():
    return (lambda x: sys.exit(0)), (lambda x: 2 * x), normal(5)


@subject("cannot be run", says="SystemExit")
def leaves_by_sys_exit_in_backward():
    return (lambda x: (x**2).sum()), (lambda x: sys.exit("ok")), normal(5)


@subject("cannot be run", says="RecursionError")
def never_ends_to_call_itself():
    def forward(x):
        return forward(x)

    return forward, (lambda x: 2 * x), normal(5)


def leaves_by_os_exit():
    """Only for the command, which runs a reader's file in a process of its own."""
    return (lambda x: os._exit(0)), (lambda x: 2 * x), normal(5)


def leaves_by_keyboard_interrupt():
    """Only for the command."""

    def forward(x):
        raise KeyboardInterrupt

    return forward, (lambda x: 2 * x), normal(5)


def leaves_by_abort():
    """Only for the command: what a crash in compiled code does."""
    return (lambda x: os.abort()), (lambda x: 2 * x), normal(5)


def prints_a_verdict_and_leaves():
    """Only for the command: what is printed is no verdict."""

    def forward(x):
        print("my_layer.py:subject: ok")
        print("ok (0.0 s)", flush=True)
        os._exit(0)

    return forward, (lambda x: 2 * x), normal(5)
