"""Layers of products and pointwise functions, and losses."""

import numpy as np

from . import subject

normal = np.random.default_rng(0).standard_normal


@subject(
    wrong={
        "factor 2": ("dout.T @ x", "2 * dout.T @ x", "dW"),
        "mean": ("dout.sum(0)", "dout.mean(0)", "db"),
        "sign": ("dout @ W", "-(dout @ W)", "dx"),
        "first row only": ("dout.sum(0)", "dout[0]", "db"),
        "ones for dout": ("dout.sum(0)", "np.ones_like(dout).sum(0)", "db"),
    }
)
def affine():
    def forward(t):
        return t["x"] @ t["W"].T + t["b"]

    def backward(t, dout):
        x, W = t["x"], t["W"]
        return {"x": dout @ W, "W": dout.T @ x, "b": dout.sum(0)}

    return forward, backward, {"x": normal((7, 3)), "W": normal((5, 3)), "b": normal(5)}


@subject(
    wrong={"input for cotangent": ("dx = dout @ W.T", "dx = t['x'] @ W.T", "dx"), "x for dout": ("x.T @ dout", "x.T @ x", "dW")}
)
def square_affine_of_the_template():
    normal = np.random.default_rng(0).standard_normal

    def forward(t):
        return t["x"] @ t["W"]

    def backward(t, dout):
        x, W = t["x"], t["W"]
        dx = dout @ W.T
        return {"x": dx, "W": x.T @ dout}

    return forward, backward, {"x": normal((5, 5)), "W": normal((5, 5))}


@subject(
    wrong={
        "derivative of tanh": ("(1 - h * h)", "(1 - h)", "dx dW1"),
        "residual": ('return {"x": dout + ds', 'return {"x": ds', "dx"),
        "transposed": ("dout.T @ h", "(dout.T @ h)[::-1]", "dW2"),
        "3 %": ("ds.T @ x", "1.03 * ds.T @ x", "dW1"),
    }
)
def residual_tanh_network():
    def forward(t):
        return t["x"] + np.tanh(t["x"] @ t["W1"].T) @ t["W2"].T

    def backward(t, dout):
        x, W1, W2 = t["x"], t["W1"], t["W2"]
        h = np.tanh(x @ W1.T)
        ds = (dout @ W2) * (1 - h * h)
        return {"x": dout + ds @ W1, "W1": ds.T @ x, "W2": dout.T @ h}

    return forward, backward, {"x": normal((7, 3)), "W1": normal((5, 3)), "W2": normal((3, 5))}


@subject(
    wrong={
        "mask of the output": ("* (s > 0)", "* (dout @ W2 > 0)", "dx dW1 db1"),
        "mask forgotten": ("* (s > 0)", "", "dx dW1 db1"),
    }
)
def relu_network():
    def forward(t):
        return np.maximum(t["x"] @ t["W1"].T + t["b1"], 0) @ t["W2"].T

    def backward(t, dout):
        x, W1, W2 = t["x"], t["W1"], t["W2"]
        s = x @ W1.T + t["b1"]
        ds = (dout @ W2) * (s > 0)
        return {"x": ds @ W1, "W1": ds.T @ x, "b1": ds.sum(0), "W2": dout.T @ np.maximum(s, 0)}

    return forward, backward, {"x": normal((7, 3)), "W1": normal((5, 3)), "b1": normal(5), "W2": normal((3, 5))}


@subject(wrong={"one term": (" + 0.5 * x * (1 - u * u) * du", "", "dtheta")})
def gelu():
    k = np.sqrt(2 / np.pi)

    def forward(x):
        return 0.5 * x * (1 + np.tanh(k * (x + 0.044715 * x**3)))

    def backward(x, dout):
        u = np.tanh(k * (x + 0.044715 * x**3))
        du = k * (1 + 3 * 0.044715 * x**2)
        return dout * (0.5 * (1 + u) + 0.5 * x * (1 - u * u) * du)

    return forward, backward, normal((7, 3))


@subject(wrong={"product rule": ("s + x * s * (1 - s)", "s * (1 - s)", "dtheta")})
def silu():
    def forward(x):
        return x / (1 + np.exp(-x))

    def backward(x, dout):
        s = 1 / (1 + np.exp(-x))
        return dout * (s + x * s * (1 - s))

    return forward, backward, normal((5, 7))


@subject(wrong={"tanh for sigmoid": ("1 / (1 + np.exp(-x))", "np.tanh(x)", "dtheta")})
def softplus():
    def forward(x):
        return np.maximum(x, 0) + np.log1p(np.exp(np.where(x > 0, -x, x)))

    def backward(x, dout):
        return dout * (1 / (1 + np.exp(-x)))

    return forward, backward, normal(11)


@subject(
    wrong={
        "1/n": ("d /= len(labels)", "pass", "dlogits dx dW"),
        "label not subtracted": ("d[np.arange(len(labels)), labels] -= 1", "pass", "dx dW"),
        "shifted": ("labels] -= 1", "(labels + 1) % 4] -= 1", "dx dW"),
    }
)
def softmax_cross_entropy():
    labels = np.array([0, 2, 1, 3, 0, 2, 2])

    def forward(t):
        z = t["x"] @ t["W"]
        z = z - z.max(axis=1, keepdims=True)
        return -(z[np.arange(7), labels] - np.log(np.exp(z).sum(axis=1))).mean()

    def backward(t):
        z = t["x"] @ t["W"]
        p = np.exp(z - z.max(axis=1, keepdims=True))
        d = p / p.sum(axis=1, keepdims=True)
        d[np.arange(len(labels)), labels] -= 1
        d /= len(labels)
        return {"x": d @ t["W"].T, "W": t["x"].T @ d}

    return forward, backward, {"x": normal((7, 3)), "W": normal((3, 4))}


@subject(wrong={"not normalised": ("e / e.sum(1, keepdims=True)", "e", "dtheta")})
def log_sum_exp():
    def forward(x):
        m = x.max(axis=1, keepdims=True)
        return (m + np.log(np.exp(x - m).sum(axis=1, keepdims=True)))[:, 0]

    def backward(x, dout):
        e = np.exp(x - x.max(axis=1, keepdims=True))
        return dout[:, None] * (e / e.sum(1, keepdims=True))

    return forward, backward, normal((5, 7))


@subject(wrong={"projection": ("p * (dout - (p * dout).sum(1, keepdims=True))", "p * dout", "dtheta")})
def softmax():
    def probabilities(x):
        e = np.exp(x - x.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)

    def backward(x, dout):
        p = probabilities(x)
        return p * (dout - (p * dout).sum(1, keepdims=True))

    return probabilities, backward, normal((5, 7))


@subject(wrong={"factor 2": ("2 * (r / r.size)", "r / r.size", "dx dW"), "sum": ("2 * (r / r.size)", "2 * r", "dx dW")})
def mean_squared_error():
    y = normal((7, 2))

    def forward(t):
        return ((t["x"] @ t["W"] - y) ** 2).mean()

    def backward(t):
        r = t["x"] @ t["W"] - y
        d = 2 * (r / r.size)
        return {"x": d @ t["W"].T, "W": t["x"].T @ d}

    return forward, backward, {"x": normal((7, 3)), "W": normal((3, 2))}


@subject(wrong={"A for A + A.T": ("(A + A.T) @ x", "2 * A @ x", "dx"), "dA": ("np.outer(x, x)", "np.outer(x, x @ A)", "dA")})
def quadratic_form():
    def forward(t):
        return t["x"] @ t["A"] @ t["x"]

    def backward(t):
        x, A = t["x"], t["A"]
        return {"x": (A + A.T) @ x, "A": np.outer(x, x)}

    return forward, backward, {"x": normal(5), "A": normal((5, 5))}


@subject(wrong={"swapped": ('"u": np.einsum("bk,kij,bj->bi", dout, T, v)', '"u": np.einsum("bk,kij,bi->bj", dout, T, v)', "du"),
                "two gradients swapped": ("{\"u\": np.einsum(\"bk,kij,bj->bi\", dout, T, v), \"v\":",
                                          "{\"v\": np.einsum(\"bk,kij,bj->bi\", dout, T, v), \"u\":",
                                          "du dv: this is the gradient of v")})  # fmt: skip
def bilinear():
    def forward(t):
        return np.einsum("kij,bi,bj->bk", t["T"], t["u"], t["v"])

    def backward(t, dout):
        T, u, v = t["T"], t["u"], t["v"]
        dT = np.einsum("bk,bi,bj->kij", dout, u, v)
        return {"u": np.einsum("bk,kij,bj->bi", dout, T, v), "v": np.einsum("bk,kij,bi->bj", dout, T, u), "T": dT}

    return forward, backward, {"T": normal((3, 4, 4)), "u": normal((7, 4)), "v": normal((7, 4))}


@subject(wrong={"swapped": ("return dout @ b, a @ dout", "return a @ dout, dout @ b", "dtheta[0] dtheta[1]")})
def outer_product():
    def forward(t):
        return np.outer(t[0], t[1])

    def backward(t, dout):
        a, b = t
        return dout @ b, a @ dout

    return forward, backward, (normal(5), normal(5))


@subject(wrong={"mask": ("dout * mask / 0.7", "dout / 0.7", "dx"), "scale": ("dout * mask / 0.7", "dout * mask", "dx")})
def dropout_with_a_fixed_mask():
    mask = np.random.default_rng(3).random((7, 3)) < 0.7

    def forward(t):
        return np.sin(t["x"]) * mask / 0.7

    def backward(t, dout):
        return {"x": dout * mask / 0.7 * np.cos(t["x"])}

    return forward, backward, {"x": normal((7, 3))}


@subject(
    wrong={
        "1.5": ('mark("da", dout @ t["V"])', 'mark("da", 1.5 * dout @ t["V"])', "da"),
        "derivative": ("1 - a * a", "1 - a", "dx_reader"),
        "use": ("dx_reader + dx_residual", "dx_reader", "dx"),
        "sign": ('mark("dx_residual", dout)', 'mark("dx_residual", -dout)', "dx_residual"),
    }
)
def named_lines_of_the_readme():
    def forward(t, mark):
        reader, residual = mark("x_reader", t["x"]), mark("x_residual", t["x"])
        a = mark("a", np.tanh(reader @ t["W"].T))
        return residual + a @ t["V"].T

    def backward(t, dout, mark):
        a = np.tanh(t["x"] @ t["W"].T)
        da = mark("da", dout @ t["V"])
        ds = da * (1 - a * a)
        dx_reader, dx_residual = mark("dx_reader", ds @ t["W"]), mark("dx_residual", dout)
        return {"x": mark("dx", dx_reader + dx_residual), "W": mark("dW", ds.T @ t["x"]), "V": mark("dV", dout.T @ a)}

    return forward, backward, {"x": normal((7, 3)), "W": normal((5, 3)), "V": normal((3, 5))}


@subject(wrong={"factor": ('t["k"] * (p - y)', '2 * t["k"] * (p - y)', "dz"), "label": ("(p - y)", "p", "dz")})
def a_confident_softmax():
    """p - 1 for p near 1 keeps few digits, and is right all the same."""
    y = np.eye(5)[0]

    def loss(z):
        z = z - z.max()
        return np.log(np.exp(z).sum()) - z[0]

    def forward(t):
        return t["k"] * loss(t["z"])

    def backward(t):
        e = np.exp(t["z"] - t["z"].max())
        p = e / e.sum()
        return {"z": t["k"] * (p - y), "k": loss(t["z"])}

    return forward, backward, {"z": np.array([20.0, 1.3, -2.1, 0.4, 7.7]), "k": np.array(1.7)}
