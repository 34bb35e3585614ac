"""Generic points to test at: distinct prime sizes, weights that are neither small nor special."""

import numpy as np

import linattn_np as la
from linattn_np.kernels import draws_numpy
from linattn_np.layers import general_attention, gram, relu_attention, softmax_attention
from linattn_np.layers import linear_attention as attention
from linattn_np.layers.general_attention import GeneralAttention

B, n, d, H = 7, 11, 4, 2
N, D = n + 1, d + 1
SOME = (1, 0, 1, 1, 0, 1, 1, 1, 0, 1, 0, 1)  # which of the N tokens may be read: the last one too
LAYERS = {
    "linear": attention,
    "softmax": softmax_attention,
    "relu": relu_attention,
    "state": gram,
    "general": general_attention,
    "general, some read": GeneralAttention(SOME, c=-0.7),
    "general, causal without skip": GeneralAttention(np.tri(N), c=0.3, skip=False),
}


def has_skip(name):
    """Whether the weights of the layer are P, Q and R."""
    return LAYERS[name] is general_attention or getattr(LAYERS[name], "skip", False)


def layer_point(name, seed=0):
    """An activation for the layer, its weights P and Q (H, D, D) and R (D, D) where it has one, and a function for more
    arrays.
    """
    rng = np.random.default_rng(seed)

    def normal(*shape, scale=0.4):
        return scale * rng.standard_normal(shape)

    X = gram.State(normal(B, D, D), normal(B, D), n) if name == "state" else normal(B, N, D)
    weights = [normal(H, D, D), normal(H, D, D)] + [normal(D, D)] * has_skip(name)
    return X, weights, normal


def like_all(weights, normal):
    """Random arrays shaped like the weights."""
    return [normal(*weight.shape) for weight in weights]


def like(X, normal):
    """A random array or state shaped like X."""
    return X._replace(G=normal(*X.G.shape), z=normal(*X.z.shape)) if isinstance(X, gram.State) else normal(*X.shape)


def add(X, factor, V):
    """X + factor V for arrays and states."""
    return X._replace(G=X.G + factor * V.G, z=X.z + factor * V.z) if isinstance(X, gram.State) else X + factor * V


def dot(X, Y):
    """Inner product over everything."""
    return (X.G * Y.G).sum() + (X.z * Y.z).sum() if isinstance(X, gram.State) else (X * Y).sum()


def imag(X):
    """Imaginary parts of an array or state."""
    return X._replace(G=X.G.imag, z=X.z.imag) if isinstance(X, gram.State) else X.imag


def model_point(layers=3, heads=2, full=False, std=0.3, seed=0, batch=B, d=d, n=n):
    """Params, prompts and labels at a generic point."""
    rng = np.random.default_rng(seed)
    params = la.init_params(rng, layers, d, heads, std, full)
    return params, *la.RegressionTask(n=n, d=d).sample(batch, rng)


def relative(got, wanted):
    """Largest difference over largest size."""
    return np.max(np.abs(np.asarray(got) - wanted)) / np.max(np.abs(wanted))


def fresh(task, sizes, states):
    """Prompts of chunks of these sizes by the NumPy definition, chunk k from states[k], the states in turn. -> Z, y"""
    drawn = [draws_numpy.prompts(task, size, states[k % len(states)]) for k, size in enumerate(sizes)]
    return tuple(np.concatenate(arrays) for arrays in zip(*drawn, strict=True))
