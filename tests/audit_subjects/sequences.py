"""Attention, recurrent networks, cumulative sums, lookups."""

import numpy as np

from . import subject

normal = np.random.default_rng(2).standard_normal


def softmax_rows(s):
    e = np.exp(s - s.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


@subject(
    wrong={
        "key for query": ('"Wq": t["x"].T @ dq, "Wk": t["x"].T @ dk', '"Wq": t["x"].T @ dk, "Wk": t["x"].T @ dq', "dWq dWk"),
        "scale": ("dk = ds.swapaxes(-1, -2) @ q / c", "dk = ds.swapaxes(-1, -2) @ q", "dWk dx"),
        "transposed": ("dk = ds.swapaxes(-1, -2) @ q", "dk = ds @ q", "dWk dx"),
        "value path": ('dq @ t["Wq"].T + dk @ t["Wk"].T + dv @ t["Wv"].T', 'dq @ t["Wq"].T + dk @ t["Wk"].T', "dx"),
        "normaliser": ("ds = a * (da - (a * da).sum(-1, keepdims=True))", "ds = a * da", "dx dWq dWk"),
    }
)
def causal_attention():
    n, c = 6, np.sqrt(3.0)
    mask = np.tril(np.ones((n, n))) == 0

    def parts(t):
        q, k, v = (t["x"] @ t[name] for name in ("Wq", "Wk", "Wv"))
        s = np.where(mask, -1e30, q @ k.T / c)
        return q, k, v, softmax_rows(s)

    def forward(t):
        _, _, v, a = parts(t)
        return a @ v

    def backward(t, dout):
        q, k, v, a = parts(t)
        dv, da = a.T @ dout, dout @ v.T
        ds = a * (da - (a * da).sum(-1, keepdims=True))
        dq = ds @ k / c
        dk = ds.swapaxes(-1, -2) @ q / c
        dx = dq @ t["Wq"].T + dk @ t["Wk"].T + dv @ t["Wv"].T
        return {"x": dx, "Wq": t["x"].T @ dq, "Wk": t["x"].T @ dk, "Wv": t["x"].T @ dv}

    return forward, backward, {"x": normal((n, 4)), **{w: normal((4, 3)) for w in ("Wq", "Wk", "Wv")}}


@subject(wrong={"one head": ("dWo = o.reshape(5, -1).T @ dout", "dWo = o.reshape(5, -1).T @ dout; dWo[:3] = 0", "dWo"),
                "heads mixed": ("(dout @ t[\"Wo\"].T).reshape(5, 2, 3)", "(dout @ t[\"Wo\"].T).reshape(5, 3, 2).swapaxes(1, 2)",
                                "dx dq dk")})  # fmt: skip
def two_heads():
    def parts(t):
        q, k = (np.einsum("nd,hdk->nhk", t["x"], t[name]) for name in "qk")
        a = softmax_rows(np.einsum("ihk,jhk->hij", q, k))
        return q, k, a, np.einsum("hij,jhk->ihk", a, k)

    def forward(t):
        return parts(t)[3].reshape(5, -1) @ t["Wo"]

    def backward(t, dout):
        q, k, a, o = parts(t)
        do = (dout @ t["Wo"].T).reshape(5, 2, 3)
        dWo = o.reshape(5, -1).T @ dout
        da = np.einsum("ihk,jhk->hij", do, k)
        ds = a * (da - (a * da).sum(-1, keepdims=True))
        dq = np.einsum("hij,jhk->ihk", ds, k)
        dk = np.einsum("hij,ihk->jhk", ds, q) + np.einsum("hij,ihk->jhk", a, do)
        dx = np.einsum("nhk,hdk->nd", dq, t["q"]) + np.einsum("nhk,hdk->nd", dk, t["k"])
        grad = {"q": np.einsum("nd,nhk->hdk", t["x"], dq), "k": np.einsum("nd,nhk->hdk", t["x"], dk)}
        return {"x": dx, **grad, "Wo": dWo}

    return forward, backward, {"x": normal((5, 4)), "q": normal((2, 4, 3)), "k": normal((2, 4, 3)), "Wo": normal((6, 4))}


@subject(
    wrong={
        "overwritten": ("np.add.at(dE, index, dh)", "dE[index] += dh", "dE: an index repeated there"),
        "assigned": ("np.add.at(dE, index, dh)", "dE[index] = dh", "dE"),
    }
)
def embedding_with_repeated_indices():
    index = np.array([2, 0, 2, 5, 2, 1, 5])

    def forward(t):
        return np.tanh(t["E"][index] @ t["W"])

    def backward(t, dout):
        h = t["E"][index]
        ds = dout * (1 - np.tanh(h @ t["W"]) ** 2)
        dh = ds @ t["W"].T
        dE = np.zeros_like(t["E"])
        np.add.at(dE, index, dh)
        return {"E": dE, "W": h.T @ ds}

    return forward, backward, {"E": normal((6, 3)), "W": normal((3, 4))}


@subject(wrong={"gathered twice": ("dx[order] = dout", "dx = dout[order]", "dtheta")})
def gather_of_a_permutation():
    order = np.array([3, 0, 4, 1, 2])

    def forward(x):
        return np.sin(x)[order]

    def backward(x, dout):
        dx = np.zeros_like(x)
        dx[order] = dout
        return dx * np.cos(x)

    return forward, backward, normal((5, 3))


@subject(
    wrong={
        "last step only": ('dh = ds @ t["U"].T', "dh = 0 * dh", "dU dW dh0"),
        "not accumulated": ('dW += np.outer(t["x"][i], ds)', 'dW = np.outer(t["x"][i], ds)', "dW"),
        "off by one": ("np.outer(hs[i], ds)", "np.outer(hs[i + 1], ds)", "dU"),
    }
)
def recurrent_network():
    def states(t):
        hs = [t["h0"]]
        for x in t["x"]:
            hs.append(np.tanh(x @ t["W"] + hs[-1] @ t["U"]))
        return hs

    def forward(t):
        return np.stack(states(t)[1:])

    def backward(t, dout):
        hs, dh = states(t), np.zeros_like(t["h0"])
        dx, dW, dU = np.zeros_like(t["x"]), np.zeros_like(t["W"]), np.zeros_like(t["U"])
        for i in reversed(range(len(t["x"]))):
            ds = (dout[i] + dh) * (1 - hs[i + 1] ** 2)
            dx[i] = t["W"] @ ds
            dW += np.outer(t["x"][i], ds)
            dU += np.outer(hs[i], ds)
            dh = ds @ t["U"].T
        return {"x": dx, "W": dW, "U": dU, "h0": dh}

    return forward, backward, {"x": normal((6, 3)), "W": normal((3, 4)), "U": normal((4, 4)), "h0": normal(4)}


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


@subject(
    wrong={
        "reset gate": ("dr = dn * un * n1", "dr = dn * n1", "dx dWr"),
        "carry": ("dh = dh * z + ", "dh = ", "dx dWz dWr dWn dUn dh0"),
    }
)
def gated_recurrent_unit():
    def step(t, x, h):
        a = np.concatenate([x, h])
        z, r = sigmoid(a @ t["Wz"]), sigmoid(a @ t["Wr"])
        un = h @ t["Un"]
        n = np.tanh(x @ t["Wn"] + r * un)
        return a, z, r, un, n, (1 - z) * n + z * h

    def forward(t):
        h = t["h0"]
        for x in t["x"]:
            h = step(t, x, h)[-1]
        return h

    def backward(t, dout):
        hs, tape = [t["h0"]], []
        for x in t["x"]:
            tape.append(step(t, x, hs[-1]))
            hs.append(tape[-1][-1])
        g, dh = {k: np.zeros_like(v) for k, v in t.items()}, dout
        for i in reversed(range(len(tape))):
            a, z, r, un, n, _ = tape[i]
            dz, dn = dh * (hs[i] - n) * z * (1 - z), dh * (1 - z)
            n1 = 1 - n * n
            dr = dn * un * n1
            dr = dr * r * (1 - r)
            g["Wz"] += np.outer(a, dz)
            g["Wr"] += np.outer(a, dr)
            g["Wn"] += np.outer(t["x"][i], dn * n1)
            g["Un"] += np.outer(hs[i], dn * n1 * r)
            da = t["Wz"] @ dz + t["Wr"] @ dr
            g["x"][i] = da[:3] + t["Wn"] @ (dn * n1)
            dh = dh * z + da[3:] + t["Un"] @ (dn * n1 * r)
        g["h0"] = dh
        return g

    theta = {"x": normal((5, 3)), "Wz": normal((5, 2)), "Wr": normal((5, 2)), "Wn": normal((3, 2)), "Un": normal((2, 2))}
    return forward, backward, {**theta, "h0": normal(2)}


@subject(
    wrong={
        "reversed": ("np.cumsum(dout[::-1], 0)[::-1]", "np.cumsum(dout, 0)", "dtheta"),
        "not turned back": ("np.cumsum(dout[::-1], 0)[::-1]", "np.cumsum(dout[::-1], 0)", "dtheta"),
    }
)
def cumulative_sum():
    def forward(x):
        return np.cumsum(x**2, 0)

    def backward(x, dout):
        return 2 * x * np.cumsum(dout[::-1], 0)[::-1]

    return forward, backward, normal((7, 3))


@subject(wrong={"division": ("/ x", "/ x**2", "dtheta")})
def cumulative_product():
    def forward(x):
        return np.cumprod(x)

    def backward(x, dout):
        return np.cumsum((dout * np.cumprod(x))[::-1])[::-1] / x

    return forward, backward, 1 + 0.3 * normal(7)


@subject(
    wrong={
        "shifted": ("dx[1:] += dout", "dx[:-1] += dout", "dtheta"),
        "one end": ("dx[:-1] -= dout", "dx[1:-1] -= dout[1:]", "dtheta"),
    }
)
def differences_of_neighbours():
    def forward(x):
        return np.diff(x**3, axis=0)

    def backward(x, dout):
        dx = np.zeros_like(x)
        dx[1:] += dout
        dx[:-1] -= dout
        return 3 * x**2 * dx

    return forward, backward, normal((7, 2))
