"""Points that hide mistakes, kinks, stationary points, large and small arrays."""

import numpy as np

from . import DIFFERENCES, subject

normal = np.random.default_rng(7).standard_normal


@subject(
    "CANNOT JUDGE",
    oracle="",
    wrong={
        "dV": ("dout.T @ a", "2 * dout.T @ a", "dV"),
        "dV, last row": ("dout.T @ a", "dout.T @ a * np.arange(2)[:, None]", "dV"),
    },
)
def one_array_at_a_kink():
    def forward(t):
        return np.maximum(t["x"], 0) @ t["V"].T

    def backward(t, dout):
        a = np.maximum(t["x"], 0)
        return {"x": dout @ t["V"] * (t["x"] > 0), "V": dout.T @ a}

    x = normal((7, 3))
    x[2, 1] = 0.0
    return forward, backward, {"x": x, "V": normal((2, 3))}


@subject("CANNOT JUDGE", oracle="", wrong={"all entries doubled": ("2 * x", "4 * x", "dtheta")})
def absolute_value_at_zero():
    return (
        (lambda x: (x**2).sum() + np.abs(x[1])),
        (lambda x: 2 * x + np.array([0, 1.0, 0]) * np.sign(x)),
        np.array([0.7, 0.0, -1.3]),
    )


@subject("CANNOT JUDGE", oracle="")
def exactly_stationary():
    return (lambda x: ((x - 0.3) ** 2).sum()), (lambda x: 2 * (x - 0.3)), np.full(5, 0.3) * np.ones(5)


@subject("CANNOT JUDGE", oracle="", wrong={"c": ('"c": 2 * r', '"c": r', "dc")})
def stationary_in_one_array():
    def forward(t):
        r = t["c"] - t["x"].sum()
        return r * r + (t["w"] - 0.7) ** 2

    def backward(t):
        r = t["c"] - t["x"].sum()
        return {"x": -2 * r * np.ones(3), "c": 2 * r, "w": 2 * (t["w"] - 0.7)}

    return forward, backward, {"x": normal(3), "c": np.array(0.4), "w": np.array(0.7)}


@subject("CANNOT JUDGE", oracle="")
def symmetric_matrix():
    A = normal((3, 3))

    def forward(t):
        return np.tanh(t["x"] @ t["A"])

    def backward(t, dout):
        d = dout * (1 - np.tanh(t["x"] @ t["A"]) ** 2)
        return {"x": d @ t["A"].T, "A": t["x"].T @ d}

    return forward, backward, {"x": normal((5, 3)), "A": A + A.T}


@subject("CANNOT JUDGE", oracle="", wrong={"dW": ('t["x"].T @ dout', 'dout.T @ t["x"]', "dW")})
def bias_of_zeros():
    def forward(t):
        return t["x"] @ t["W"] + t["b"]

    def backward(t, dout):
        return {"x": dout @ t["W"].T, "W": t["x"].T @ dout, "b": dout.sum(0)}

    return forward, backward, {"x": normal((5, 3)), "W": normal((3, 3)), "b": np.zeros(3)}


@subject("CANNOT JUDGE", oracle="")
def all_entries_equal():
    return (lambda t: t["x"] ** 3), (lambda t, dout: {"x": 3 * t["x"] ** 2 * dout}), {"x": np.full((3, 5), 0.7)}


@subject("CANNOT JUDGE", oracle="")
def two_equal_arrays():
    A = normal((3, 3))

    def backward(t, dout):
        return {"A": dout @ t["B"].T, "B": t["A"].T @ dout}

    return (lambda t: t["A"] @ t["B"]), backward, {"A": A, "B": A.copy()}


@subject(wrong={"sign": ("-np.sin(x)", "np.sin(x)", "dtheta")})
def a_single_number():
    return (lambda x: np.cos(x)), (lambda x, dout: -np.sin(x) * dout), 0.7


@subject(wrong={"sum": ("dout.sum((0, 1))", "dout.mean((0, 1))", "db")})
def axes_of_length_one():
    def forward(t):
        return np.exp(t["x"]) * t["b"]

    def backward(t, dout):
        dx = dout * np.exp(t["x"]) * t["b"]
        dout = dout * np.exp(t["x"])
        return {"x": dx, "b": dout.sum((0, 1))}

    return forward, backward, {"x": normal((1, 5, 3)), "b": normal(3)}


@subject(
    wrong={
        "one entry": ("g = 3 * w * x**2", "g = 3 * w * x**2; g.flat[123456] *= 1.01", "dtheta"),
        "doubled": ("3 * w * x**2", "6 * w * x**2", "dtheta"),
    }
)
def a_hundred_and_fifty_thousand_entries():
    w = np.linspace(1, 2, 150_000).reshape(300, 500)

    def backward(x):
        g = 3 * w * x**2
        return g

    return (lambda x: (w * x**3).sum()), backward, normal((300, 500))


@subject(oracle=DIFFERENCES, wrong={"one entry": ("g = w * np.sign(x)", "g = w * np.sign(x); g[77, 3] *= 1.01", "dtheta")})
def a_large_array_with_absolute_values():
    w = np.linspace(1, 2, 3000).reshape(300, 10)

    def backward(x):
        g = w * np.sign(x)
        return g

    x = normal((300, 10))
    return (lambda x: (w * np.abs(x)).sum()), backward, x + np.sign(x)


@subject(wrong={"slope": ("1e-9 * dout", "2e-9 * dout", "dy")})
def arrays_of_very_different_sizes():
    def forward(t):
        return t["x"] ** 2 + 1e-9 * t["y"]

    def backward(t, dout):
        return {"x": 2 * t["x"] * dout, "y": 1e-9 * dout}

    return forward, backward, {"x": normal(5), "y": normal(5)}


@subject(wrong={"1/(1 - p)": ('/ (1 - t["p"])', "", "dp")})
def positive_numbers_below_one():
    def forward(t):
        return np.log(t["p"]) - np.log(1 - t["p"])

    def backward(t, dout):
        return {"p": dout / t["p"] / (1 - t["p"])}

    return forward, backward, {"p": np.random.default_rng(8).uniform(0.05, 0.95, (5, 3))}


@subject("CANNOT JUDGE", oracle="", wrong={"not normalised": ('p - t["y"]', "p", "dz")})
def targets_that_sum_to_one():
    """p - y is the gradient only where each y sums to one, as these do: right here, and nobody's gradient nearby."""

    def logp(z):
        z = z - z.max(1, keepdims=True)
        return z - np.log(np.exp(z).sum(1, keepdims=True))

    def forward(t):
        return -(t["y"] * logp(t["z"])).sum()

    def backward(t):
        p = np.exp(logp(t["z"]))
        return {"z": p - t["y"], "y": -logp(t["z"])}

    y = np.random.default_rng(9).uniform(0.1, 1, (5, 4))
    return forward, backward, {"z": normal((5, 4)), "y": y / y.sum(1, keepdims=True)}


@subject(wrong={"saturated": ("1 - a * a", "1 - a", "dx")})
def saturated_tanh():
    def forward(t):
        return np.tanh(t["x"]) * 3

    def backward(t, dout):
        a = np.tanh(t["x"])
        return {"x": 3 * dout * (1 - a * a)}

    return forward, backward, {"x": 8 + normal(7)}


@subject("WRONG", first="dx", says="that of single precision")
def single_precision_inside():
    return (lambda t: np.exp(t["x"])), (lambda t, dout: {"x": (dout * np.exp(t["x"])).astype(np.float32)}), {"x": normal((5, 3))}


@subject("WRONG", first="dx", says="differences, single precision")
def a_backward_that_differences():
    f = lambda x: np.exp(x) * np.sin(x)

    def backward(t, dout):
        return {"x": dout * (f(t["x"] + 1e-6) - f(t["x"] - 1e-6)) / 2e-6}

    return (lambda t: f(t["x"])), backward, {"x": normal((5, 3))}


@subject("CANNOT JUDGE", oracle="")
def the_output_does_not_depend():
    return (lambda x: np.ones(3)), (lambda x, dout: 0 * x), normal(5)


@subject(wrong={"relu": ("2 * np.maximum(x, 0)", "np.maximum(x, 0)", "dtheta")})
def relu_squared():
    return (lambda x: np.maximum(x, 0) ** 2), (lambda x, dout: dout * 2 * np.maximum(x, 0)), normal(11)


@subject(wrong={"mask": ("(s > 0)", "(s > 0.01)", "dx dW")})
def many_kinks():
    def forward(t):
        return np.maximum(t["x"] @ t["W"], 0).sum(1)

    def backward(t, dout):
        s = t["x"] @ t["W"]
        d = dout[:, None] * (s > 0)
        return {"x": d @ t["W"].T, "W": t["x"].T @ d}

    return forward, backward, {"x": normal((200, 3)), "W": normal((3, 50))}
