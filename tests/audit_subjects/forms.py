"""What theta and a gradient may look like, and what is not one."""

from typing import NamedTuple

import numpy as np

from . import subject

normal = np.random.default_rng(10).standard_normal


class Weights(NamedTuple):
    W: np.ndarray
    b: np.ndarray


@subject(wrong={"b": ("dout.sum(0))", "dout[0])", "db")})
def named_tuple():
    x = normal((7, 3))

    def backward(t, dout):
        return Weights(x.T @ dout, dout.sum(0))

    return (lambda t: x @ t.W + t.b), backward, Weights(normal((3, 2)), normal(2))


@subject(wrong={"second": ("[t[1] * dout, t[0] * dout]", "[t[1] * dout, t[1] * dout]", "dtheta[1]")})
def a_list():
    return (lambda t: t[0] * t[1]), (lambda t, dout: [t[1] * dout, t[0] * dout]), [normal(5), normal(5)]


@subject(wrong={"W": ('"W": x.T @ dout', '"W": 3 * x.T @ dout', "dlayer.W")})
def nested_dictionaries():
    def forward(t):
        return t["x"] @ t["layer"]["W"] + t["layer"]["b"]

    def backward(t, dout):
        x = t["x"]
        return {"x": dout @ t["layer"]["W"].T, "layer": {"W": x.T @ dout, "b": dout.sum(0)}}

    return forward, backward, {"x": normal((7, 3)), "layer": {"W": normal((3, 2)), "b": normal(2)}}


@subject(wrong={"b": ("(t[0][0].T @ dout, dout.sum(0))", "(t[0][0].T @ dout, dout.mean(0))", "dtheta[1][1]")})
def nested_tuples():
    def forward(t):
        (x,), (W, b) = t
        return x @ W + b

    def backward(t, dout):
        return (dout @ t[1][0].T,), (t[0][0].T @ dout, dout.sum(0))

    return forward, backward, ((normal((7, 3)),), (normal((3, 2)), normal(2)))


@subject(wrong={"overwritten": ('np.add.at(dE, t["index"], dout)', 'dE[t["index"]] = dout', "dE")})
def integer_arrays_are_not_differentiated():
    def forward(t):
        return t["E"][t["index"]]

    def backward(t, dout):
        dE = np.zeros_like(t["E"])
        np.add.at(dE, t["index"], dout)
        return {"E": dE}

    return forward, backward, {"E": normal((5, 3)), "index": np.array([1, 4, 1, 0])}


@subject(wrong={"2": ('"x": 2 * t', '"x": t', "dx")})
def whole_numbers_as_values():
    return (lambda t: (t["x"] ** 2).sum()), (lambda t: {"x": 2 * t["x"]}), {"x": np.array([3, -1, 4, 2])}


@subject(wrong={"sign": ("dout * np.cos(x)", "-dout * np.cos(x)", "dtheta")})
def single_precision_of_theta():
    return (lambda x: np.sin(x)), (lambda x, dout: dout * np.cos(x)), normal((5, 3)).astype(np.float32)


@subject(wrong={"2": ('2 * t["W"]', 't["W"]', "dW")})
def a_scalar_forward_without_dout():
    return (lambda t: (t["W"] ** 2).sum()), (lambda t: {"W": 2 * t["W"]}), {"W": normal((3, 5))}


@subject(wrong={"2": ("[2 * v for v in x]", "[v for v in x]", "dtheta")})
def a_gradient_as_a_list_of_numbers():
    return (lambda x: (x**2).sum()), (lambda x: [2 * v for v in x]), normal(5)


@subject("cannot be run", says="shape (3, 2)")
def wrong_shape():
    return (lambda t: t["W"] ** 2), (lambda t, dout: {"W": (2 * t["W"] * dout).T}), {"W": normal((3, 2))}


@subject("cannot be run", says="missing ['b']")
def missing_name():
    return (lambda t: t["a"] * t["b"]), (lambda t, dout: {"a": t["b"] * dout}), {"a": normal(3), "b": normal(3)}


@subject("cannot be run", says="unknown ['c']")
def extra_name():
    return (lambda t: t["a"] ** 2), (lambda t, dout: {"a": 2 * t["a"] * dout, "c": 0}), {"a": normal(3)}


@subject("cannot be run", says="return missing")
def nothing_returned():
    return (lambda x: x**2), (lambda x, dout: None), normal(3)


@subject("cannot be run", says="NoneType")
def nothing_for_one_name():
    return (lambda t: t["a"] * t["b"]), (lambda t, dout: {"a": t["b"] * dout, "b": None}), {"a": normal(3), "b": normal(3)}


@subject("cannot be run", says="NaN")
def outside_the_domain():
    return (lambda x: np.log(x)), (lambda x, dout: dout / x), np.array([0.3, -1.0])


@subject("cannot be run", says="NameError")
def a_name_that_is_not_there():
    return (lambda x: x**2), (lambda x, dout: 2 * y * dout), normal(3)  # noqa: F821


@subject("CANNOT JUDGE", says="mark", oracle="")
def a_mark_whose_result_is_not_used():
    def forward(t, mark):
        a = np.tanh(t["x"])
        mark("a", a)
        return a * t["k"]

    def backward(t, dout, mark):
        a = np.tanh(t["x"])
        da = mark("da", dout * t["k"])
        return {"x": da * (1 - a * a), "k": (dout * a).sum(0)}

    return forward, backward, {"x": normal((5, 3)), "k": normal(3)}
