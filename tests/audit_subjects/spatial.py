"""Convolutions and pooling."""

import numpy as np

from . import subject

normal = np.random.default_rng(3).standard_normal


@subject(wrong={"flipped": ("dx[:, i : i + 5] += np.einsum(\"bto,o->bt\", dout, t[\"w\"][:, i])",
                            "dx[:, i : i + 5] += np.einsum(\"bto,o->bt\", dout, t[\"w\"][:, 2 - i])", "dx"),
                "first tap only": ("for i in range(3):  # taps", "for i in range(1):", "dx dw")})  # fmt: skip
def convolution_1d():
    def forward(t):
        return sum(t["x"][:, i : i + 5, None] * t["w"][:, i] for i in range(3)) + t["b"]

    def backward(t, dout):
        dx, dw = np.zeros_like(t["x"]), np.zeros_like(t["w"])
        for i in range(3):  # taps
            dx[:, i : i + 5] += np.einsum("bto,o->bt", dout, t["w"][:, i])
            dw[:, i] = np.einsum("bto,bt->o", dout, t["x"][:, i : i + 5])
        return {"x": dx, "w": dw, "b": dout.sum((0, 1))}

    return forward, backward, {"x": normal((3, 7)), "w": normal((4, 3)), "b": normal(4)}


def columns(x, k, stride):
    """im2col: (B, C, H, W) -> (B, out, out, C*k*k), with the indices."""
    h, w = (x.shape[2] - k) // stride + 1, (x.shape[3] - k) // stride + 1
    out = np.zeros((x.shape[0], h, w, x.shape[1], k, k), x.dtype)
    for i in range(h):
        for j in range(w):
            out[:, i, j] = x[:, :, i * stride : i * stride + k, j * stride : j * stride + k]
    return out.reshape(x.shape[0], h, w, -1)


@subject(
    wrong={
        "overwritten windows": (
            "dx[:, :, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3] +=",
            "dx[:, :, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3] =",
            "dx",
        ),
        "padding": ("dx[:, :, 1:-1, 1:-1]", "dx[:, :, 2:, 2:]", "dx"),
        "bias mean": ("dout.sum((0, 1, 2))", "dout.mean((0, 1, 2))", "db"),
    }
)
def convolution_2d_with_padding_and_stride():
    def padded(t):
        return np.pad(t["x"], ((0, 0), (0, 0), (1, 1), (1, 1)))

    def forward(t):
        return columns(padded(t), 3, 2) @ t["W"] + t["b"]

    def backward(t, dout):
        x = padded(t)
        c, dx = columns(x, 3, 2), np.zeros_like(x)
        d = (dout @ t["W"].T).reshape(*dout.shape[:3], 2, 3, 3)
        for i in range(dout.shape[1]):
            for j in range(dout.shape[2]):
                dx[:, :, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3] += d[:, i, j]
        return {"x": dx[:, :, 1:-1, 1:-1], "W": np.einsum("bijk,bijo->ko", c, dout), "b": dout.sum((0, 1, 2))}

    return forward, backward, {"x": normal((2, 2, 5, 5)), "W": normal((18, 3)), "b": normal(3)}


@subject(wrong={"spread": ("top[..., None] == w", "np.ones_like(w.real) > 0", "dtheta")})
def max_pooling():
    def windows(x):
        return x.reshape(3, 4, 2)

    def forward(x):
        return windows(np.sin(x)).max(-1)

    def backward(x, dout):
        w = windows(np.sin(x))
        top = w.max(-1)
        return (dout[..., None] * (top[..., None] == w)).reshape(x.shape) * np.cos(x)

    return forward, backward, normal((3, 8))


@subject(wrong={"1/4": ("/ 4", "", "dtheta")})
def mean_pooling():
    def forward(x):
        return (x**2).reshape(2, 3, 2, 2, 2).mean((2, 4))

    def backward(x, dout):
        return 2 * x * np.repeat(np.repeat(dout, 2, 1), 2, 2) / 4

    return forward, backward, normal((2, 6, 4))


@subject(wrong={"rest": ("dx[:, 4:] = dout[:, 4:]", "pass", "dtheta")})
def a_slice_is_changed_in_a_copy():
    def forward(x):
        y = x.copy()
        y[:, :4] = np.exp(y[:, :4])
        return y

    def backward(x, dout):
        dx = np.zeros_like(x)
        dx[:, :4] = dout[:, :4] * np.exp(x[:, :4])
        dx[:, 4:] = dout[:, 4:]
        return dx

    return forward, backward, normal((3, 7))
