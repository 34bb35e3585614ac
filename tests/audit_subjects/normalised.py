"""Normalisations: where projections, means and small numbers are forgotten."""

import numpy as np

from . import subject

normal = np.random.default_rng(1).standard_normal


@subject(
    wrong={
        "mean term": ("dh - dh.mean(-1, keepdims=True) - h *", "dh - h *", "dx: constant along axis 1"),
        "projection": (" - h * (dh * h).mean(-1, keepdims=True)", "", "dx"),
        "both": ("(dh - dh.mean(-1, keepdims=True) - h * (dh * h).mean(-1, keepdims=True)) / s", "dh / s", "dx"),
        "sum": ("(dh * h).mean(-1, keepdims=True)", "(dh * h).sum(-1, keepdims=True)", "dx"),
        "gain": ("(dout * h).sum(0)", "dout.sum(0)", "dg"),
        "deviation": (") / s", ")", "dx"),
    }
)
def layer_norm():
    def forward(t):
        c = t["x"] - t["x"].mean(-1, keepdims=True)
        return c / np.sqrt((c * c).mean(-1, keepdims=True) + 1e-5) * t["g"] + t["b"]

    def backward(t, dout):
        c = t["x"] - t["x"].mean(-1, keepdims=True)
        s = np.sqrt((c * c).mean(-1, keepdims=True) + 1e-5)
        h, dh = c / s, dout * t["g"]
        dx = (dh - dh.mean(-1, keepdims=True) - h * (dh * h).mean(-1, keepdims=True)) / s
        return {"x": dx, "g": (dout * h).sum(0), "b": dout.sum(0)}

    return forward, backward, {"x": normal((7, 5)), "g": normal(5), "b": normal(5)}


@subject(
    wrong={
        "axis": ("dh - dh.mean(0)", "dh - dh.mean(1, keepdims=True)", "dx"),
        "as in use": ("(dh - dh.mean(0) - h * (dh * h).mean(0)) / s", "dh / s", "dx"),
    }
)
def batch_norm():
    normal = np.random.default_rng(0).standard_normal

    def forward(t):
        c = t["x"] - t["x"].mean(0)
        return t["g"] * c / np.sqrt((c * c).mean(0) + 1e-5) + t["b"]

    def backward(t, dout):
        c = t["x"] - t["x"].mean(0)
        s = np.sqrt((c * c).mean(0) + 1e-5)
        h, dh = c / s, dout * t["g"]
        return {"x": (dh - dh.mean(0) - h * (dh * h).mean(0)) / s, "g": (dout * h).sum(0), "b": dout.sum(0)}

    return forward, backward, {"x": normal((7, 3)), "g": normal(3), "b": normal(3)}


@subject(wrong={"half": ("0.5 * dv", "dv", "dtheta"), "mean twice": ("dmu = dc.sum(0)", "dmu = 2 * dc.sum(0)", "dtheta")})
def batch_norm_in_steps():
    """The long way, through the variance, with an inner sum that cancels."""

    def forward(x):
        mu = x.mean(0)
        return (x - mu) * (((x - mu) ** 2).mean(0) + 1e-8) ** -0.5

    def backward(x, dout):
        n, c = len(x), x - x.mean(0)
        v = (c**2).mean(0) + 1e-8
        dv = -((dout * c).sum(0)) * v**-1.5
        dc = dout * v**-0.5 + 0.5 * dv * 2 * c / n
        dmu = dc.sum(0)
        return dc - dmu / n

    return forward, backward, normal((11, 4))


@subject(
    wrong={
        "projection": (" - x * (dh * x).mean(-1, keepdims=True) / r**2", "", "dx: a multiple of x for each slice"),
        "cube": ("/ r**2", "/ r", "dx"),
    }
)
def rms_norm():
    def forward(t):
        return t["x"] / np.sqrt((t["x"] ** 2).mean(-1, keepdims=True) + 1e-6) * t["g"]

    def backward(t, dout):
        x = t["x"]
        r = np.sqrt((x**2).mean(-1, keepdims=True) + 1e-6)
        dh = dout * t["g"]
        return {"x": (dh - x * (dh * x).mean(-1, keepdims=True) / r**2) / r, "g": (dout * x / r).sum(0)}

    return forward, backward, {"x": normal((7, 5)), "g": normal(5)}


@subject(wrong={"projection": ("dout - y * (y * dout).sum(1, keepdims=True)", "dout", "dx")})
def unit_rows():
    def forward(t):
        return t["x"] / np.sqrt((t["x"] ** 2).sum(1, keepdims=True))

    def backward(t, dout):
        r = np.sqrt((t["x"] ** 2).sum(1, keepdims=True))
        y = t["x"] / r
        return {"x": (dout - y * (y * dout).sum(1, keepdims=True)) / r}

    return forward, backward, {"x": normal((5, 3))}


@subject(wrong={"doubled": ("- 1e6 * dout", "- 1e6 * dout + dout", "dx"), "one per mille": ("(1e6 + 1)", "(1e6 + 1.001)", "dx")})
def cancelling_terms():
    """dx is a difference of terms a million times larger, so it holds ten digits; dw holds all."""

    def forward(t):
        return t["w"] * np.sin((1e6 + t["w"]) * t["x"] - 1e6 * t["x"]) ** 2

    def backward(t, dout):
        x, w = t["x"], t["w"]
        s = (1e6 + w) * x - 1e6 * x
        dout, dw = dout * w * np.sin(2 * s), dout * np.sin(s) ** 2
        return {"x": dout * (1e6 + 1) - 1e6 * dout + dout * (w - 1), "w": dw + dout * x}

    return forward, backward, {"x": normal((5, 3)), "w": 1 + 0.1 * normal((5, 3))}


@subject("CANNOT JUDGE", wrong={"dV": ("dout.T @ a", "2 * dout.T @ a", "dV"), "dW": ("dz.T @ t", "-dz.T @ t", "dW")})
def bias_before_batch_norm():
    """db is zero but for rounding, so nothing can be said of it; of the others everything."""

    def forward(t):
        z = t["x"] @ t["W"].T + t["b"]
        c = z - z.mean(0)
        return np.tanh(c / np.sqrt((c * c).mean(0) + 1e-5)) @ t["V"].T

    def backward(t, dout):
        z = t["x"] @ t["W"].T + t["b"]
        c = z - z.mean(0)
        s = np.sqrt((c * c).mean(0) + 1e-5)
        h = c / s
        a = np.tanh(h)
        dh = dout @ t["V"] * (1 - a * a)
        dz = (dh - dh.mean(0) - h * (dh * h).mean(0)) / s
        return {"x": dz @ t["W"], "W": dz.T @ t["x"], "b": dz.sum(0), "V": dout.T @ a}

    return forward, backward, {"x": normal((11, 3)), "W": normal((4, 3)), "b": normal(4), "V": normal((2, 4))}
