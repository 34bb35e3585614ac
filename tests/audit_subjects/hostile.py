"""Code through which no complex step passes, or which looks as if none did: judged by differences where need be."""

import math

import numpy as np

from . import COMPLEX, DIFFERENCES, subject

normal = np.random.default_rng(5).standard_normal
VALUES = np.array([0.3, -1.1, 0.7, 2.1, -0.4])


@subject(oracle=DIFFERENCES, wrong={"sign": ("np.sign(x)", "1.0", "dtheta"), "2": ("np.sign(x)", "2 * np.sign(x)", "dtheta")})
def absolute_values():
    return (lambda x: (np.abs(x) * np.arange(5)).sum()), (lambda x: np.sign(x) * np.arange(5)), VALUES


@subject(oracle=DIFFERENCES, wrong={"not divided": ("x / np.linalg.norm(x)", "x", "dtheta")})
def norm():
    return (lambda x: np.linalg.norm(x)), (lambda x: x / np.linalg.norm(x)), VALUES


@subject(oracle=DIFFERENCES, wrong={"factor": ("2 * x", "x", "dtheta")})
def conjugate():
    return (lambda x: (x * x.conj()).sum()), (lambda x: 2 * x), VALUES


@subject(oracle=DIFFERENCES, wrong={"factor": ("2 * x", "3 * x", "dtheta")})
def vdot():
    return (lambda x: np.vdot(x, x)), (lambda x: 2 * x), VALUES


@subject(oracle=DIFFERENCES, wrong={"cos": ("np.cos(s)", "np.sin(s)", "dx")})
def python_float():
    def forward(t):
        return np.sin(float(t["x"].sum())) * float(t["x"][0])

    def backward(t):
        s = t["x"].sum()
        g = np.cos(s) * t["x"][0] * np.ones(5)
        g[0] += np.sin(s)
        return {"x": g}

    return forward, backward, {"x": VALUES}


@subject(oracle=DIFFERENCES, wrong={"exp": ("np.array([math.exp(v)", "np.array([math.exp(-v)", "dtheta")})
def math_functions():
    def forward(x):
        return sum(math.exp(v) for v in x)

    def backward(x):
        return np.array([math.exp(v) for v in x])

    return forward, backward, VALUES


@subject(oracle=DIFFERENCES, wrong={"one row": ("dx[i] = 2 * x[i] * dout[i]", "dx[i] = 2 * x[i] * dout[i] * (i > 0)", "dx")})
def float_buffer_in_forward():
    def forward(t):
        out = np.empty(t["x"].shape, dtype=float)
        for i in range(len(out)):
            out[i] = t["x"][i] ** 2
        return out

    def backward(t, dout):
        x, dx = t["x"], np.zeros(t["x"].shape)
        for i in range(len(x)):
            dx[i] = 2 * x[i] * dout[i]
        return {"x": dx}

    return forward, backward, {"x": normal((5, 3))}


@subject(wrong={"one row": ('dW[i] = dout[:, i] @ t["x"]', 'dW[i] = dout[:, i] @ t["x"] if i else 0', "dW")})
def float_buffer_in_backward():
    def forward(t):
        return np.sin(t["x"] @ t["W"].T)

    def backward(t, dout):
        dout = dout * np.cos(t["x"] @ t["W"].T)
        dW = np.empty((5, 3), dtype=float)
        for i in range(5):
            dW[i] = dout[:, i] @ t["x"]
        return {"x": dout @ t["W"], "W": dW}

    return forward, backward, {"x": normal((7, 3)), "W": normal((5, 3))}


@subject(
    wrong={
        "k forgotten": ("dx[:] = k * dout", "dx[:] = dout", "dx"),
        "k squared": ("dx[:] = k * dout", "dx[:] = k**2 * dout", "dx"),
    }
)
def a_factor_that_is_one():
    def forward(t):
        return t["k"] * np.tanh(t["x"])

    def backward(t, dout):
        x, k, dx = t["x"], t["k"], np.zeros(t["x"].shape)
        a = np.tanh(x)
        dx[:] = k * dout * (1 - a * a)
        return {"x": dx, "k": (dout * a).sum()}

    return forward, backward, {"x": normal((5, 3)), "k": np.array(1.0)}


@subject(wrong={"indicator": ("np.where(x > 0, 1.0, 0.1)", "np.where(x > 0.5, 1.0, 0.1)", "dtheta")})
def leaky_relu_by_where():
    return (lambda x: np.where(x > 0, x, 0.1 * x)), (lambda x, dout: dout * np.where(x > 0, 1.0, 0.1)), normal(11)


@subject(wrong={"order": ("dx[order] = dout", "dx[:] = dout", "dtheta")})
def sorting():
    weights = np.arange(7.0)

    def forward(x):
        return np.sort(x) ** 2 * weights

    def backward(x, dout):
        order, dx = np.argsort(x), np.zeros_like(x)
        dx[order] = dout * 2 * x[order] * weights
        return dx

    return forward, backward, normal(7)


@subject(wrong={"where": ("dx[i] = 1", "dx[i - 1] = 1", "dtheta")})
def largest_entry_by_argmax():
    def forward(x):
        return x[np.argmax(x)] ** 1

    def backward(x):
        dx, i = np.zeros_like(x), np.argmax(x)
        dx[i] = 1
        return dx

    return forward, backward, normal(7)


@subject(wrong={"bound": ("(x < 1)", "(x < 2)", "dtheta")})
def clip():
    return (lambda x: np.clip(x, -1, 1) ** 2), (lambda x, dout: dout * 2 * x * (x > -1) * (x < 1)), 1.5 * normal(13)


@subject(oracle=DIFFERENCES, wrong={"sign": ("np.sign(d) / d.size", "d / d.size", "dx")})
def mean_absolute_error():
    y = normal((7, 2))

    def forward(t):
        return np.abs(t["x"] @ t["W"] - y).mean()

    def backward(t):
        d = t["x"] @ t["W"] - y
        g = np.sign(d) / d.size
        return {"x": g @ t["W"].T, "W": t["x"].T @ g}

    return forward, backward, {"x": normal((7, 3)), "W": normal((3, 2))}


@subject(oracle=DIFFERENCES, wrong={"dW": ("ds.T @ x", "1.001 * ds.T @ x", "dW")})
def real_part_taken():
    def forward(t):
        return np.tanh(np.real(t["x"] @ t["W"].T))

    def backward(t, dout):
        x = t["x"]
        ds = dout * (1 - np.tanh(x @ t["W"].T) ** 2)
        return {"x": ds @ t["W"], "W": ds.T @ x}

    return forward, backward, {"x": normal((7, 3)), "W": normal((5, 3))}


@subject(oracle=COMPLEX, wrong={"mean": ("/ x.size", "", "dtheta")})
def huber():
    def forward(x):
        return np.where(x * x < 1, 0.5 * x * x, np.sqrt(x * x) - 0.5).mean()

    def backward(x):
        return np.where(x * x < 1, x, np.sign(x)) / x.size

    return forward, backward, 1.5 * normal((3, 5))


@subject("CANNOT JUDGE", oracle="")
def noise_of_single_precision_in_forward():
    """Differences of a function that is rounded to seven digits say nothing to eight."""

    def forward(x):
        return float(np.sum(np.float32(x) ** 2, dtype=np.float32))

    return forward, (lambda x: 2 * x), VALUES


@subject("CANNOT JUDGE", oracle="")
def steps():
    return (lambda x: np.round(np.abs(x) * 4).sum() + np.abs(x).sum()), (lambda x: np.sign(x)), np.array([0.375, -1.1, 0.7])
