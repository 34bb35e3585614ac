"""Exercises of lesson 25: scalable Transformers."""

import numpy as np

from ..exercise import BY_HAND, Exercise, Slip, choice


def network_at(rng, s):
    """W1 (4 w, w), W2 (w, 4 w) and a narrower width."""
    w = 2 * s["d"]
    return rng.standard_normal((4 * w, w)), rng.standard_normal((w, 4 * w)), s["d"]


def crop_network(W1, W2, w):
    """The feed-forward network of width w."""
    return W1[: 4 * w, :w], W2[:w, : 4 * w]


def loss_gradients(rng, s):
    """The full gradient (n, 2d), and that of a crop (d, d)."""
    return rng.standard_normal((s["n"], 2 * s["d"])), rng.standard_normal((min(s["n"], s["d"]), s["d"]))


def added(G, g):
    """(25.3)."""
    out = np.array(G)
    out[: g.shape[0], : g.shape[1]] += g
    return out


def _placed(G, g, write):
    out = np.array(G)
    write(out)
    return out


def labels_and_logits(rng, s):
    """Symbols (B,), logits (B, n), a share."""
    return rng.integers(s["n"], size=s["B"]), rng.standard_normal((s["B"], s["n"])), 0.3


def soft_targets(y, logits, a):
    """(25.4)."""
    E = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (1 - a) * (y[:, None] == np.arange(logits.shape[1])) + a * E / E.sum(axis=1, keepdims=True)


def weights_of(rng, s):
    """Wq, Wk, Wv (2d, 2d) and a narrower width d."""
    w = 2 * s["d"]
    return (*rng.standard_normal((3, w, w)), s["d"])


def crop_qkv(Wq, Wk, Wv, w):
    """Each by itself."""
    return Wq[:w, :w], Wk[:w, :w], Wv[:w, :w]


def _fused(Wq, Wk, Wv, w):
    fused = np.concatenate([Wq, Wk, Wv])[: 3 * w, :w]
    return fused[:w], fused[w : 2 * w], fused[2 * w :]


EXERCISES = (
    Exercise(
        "25.1", "How many numbers of W1 (4w, w) and W2 (w, 4w) together has the crop to a quarter of the width, as a share of "
                "all?",
        1 / 16,
        slips=(
            Slip("both axes of each matrix are cropped", 1 / 4),
            Slip("the hidden layer is cropped with the width", 1 / 2),
            Slip("two axes, a quarter each, and not three", 1 / 64),
            Slip("that is for an eighth on one axis only", 1 / 8),
        ),
        tolerance=BY_HAND,
    ),
    Exercise(
        "25.2", "Write crop_network(W1, W2, w): the feed-forward matrices of the crop to width w.", crop_network, network_at,
        ("W1", "W2"),
        (
            Slip("W1 and W2 have changed places: W1 has the hidden units in its rows",
                 lambda W1, W2, w: (W2.T[: 4 * w, :w], W1.T[:w, : 4 * w])),
            Slip("the columns of W1 and the rows of W2 are channels too: the first ones are kept",
                 lambda W1, W2, w: (W1[: 4 * w, -w:], W2[-w:, : 4 * w])),
            Slip("those are the last channels: the first ones are kept",
                 lambda W1, W2, w: (W1[-4 * w :, -w:], W2[-w:, -4 * w :])),
            Slip("every second channel would do as well, but a crop of a crop must be a crop: the first ones",
                 lambda W1, W2, w: (W1[::2, ::2], W2[::2, ::2])),
        ),
    ),
    Exercise(
        "25.3", "Write added(G, g): the gradient of all weights, when G is the full model's and g that of a crop's loss.", added,
        loss_gradients, ("gradient",),
        (
            Slip("the crop's gradient is added to the full one's, it does not replace it",
                 lambda G, g: _placed(G, g, lambda out: out.__setitem__((slice(0, g.shape[0]), slice(0, g.shape[1])), g))),
            Slip("it belongs into the top left, not the bottom right",
                 lambda G, g: _placed(G, g, lambda out: out.__setitem__((slice(-g.shape[0], None), slice(-g.shape[1], None)),
                                                                        out[-g.shape[0] :, -g.shape[1] :] + g))),
            Slip("the full model's own gradient stays as it is outside", lambda G, g: added(np.zeros_like(G), g)),
            Slip("the loss is a sum and not a mean of the two", lambda G, g: added(G, g) / 2),
        ),
    ),
    Exercise(
        "25.4", "Write soft_targets(y, logits, a): (1 - a) of the label and a of the wide model's probabilities, (B, V).",
        soft_targets,
        labels_and_logits, ("targets",),
        (
            Slip("a and 1 - a have changed places", lambda y, logits, a: soft_targets(y, logits, 1 - a)),
            Slip("the logits are not probabilities yet",
                 lambda y, logits, a: (1 - a) * (y[:, None] == np.arange(logits.shape[1])) + a * logits),
            Slip("that is the wide model alone", lambda y, logits, a: soft_targets(y, logits, 1.0)),
            Slip("that is the label alone", lambda y, logits, a: soft_targets(y, logits, 0.0)),
        ),
    ),
    Exercise(
        "25.5", "Repair crop_qkv(Wq, Wk, Wv, w): the crops of the three matrices of one head.", crop_qkv, weights_of,
        ("Wq", "Wk", "Wv"),
        (
            Slip("the rows of the fused matrix are Wq's first, all of them: each matrix is cropped by itself", _fused),
            Slip("of the columns, too, the first ones are kept", lambda Wq, Wk, Wv, w: (Wq[:w, -w:], Wk[:w, -w:], Wv[:w, -w:])),
            Slip("of the rows, too, the first ones are kept", lambda Wq, Wk, Wv, w: (Wq[-w:, :w], Wk[-w:, :w], Wv[-w:, :w])),
            Slip("keys and values have changed places", lambda Wq, Wk, Wv, w: (Wq[:w, :w], Wv[:w, :w], Wk[:w, :w])),
        ),
    ),
    Exercise(
        "25.6", "The accuracy at width 8 of weights that were trained at full width alone, to 40 %.", 1 / 12,
        slips=(
            Slip("that is the full width; the crop is asked for", 1.0),
            Slip("so good are crops of jointly trained weights: is the stage 'full'?", 0.5),
            Slip("a quarter of the channels need not give a quarter of the accuracy", 0.25),
        ),
        tolerance=0.4,
    ),
    choice(
        "25.t1", "Why do the first channels of a model that was trained at full width alone not work by themselves?", "a",
        b="the learning rate has no part in it: a longer training does not change what the channels rely on",
        c="they have been trained, together with all others",
        d="the crop has the right shapes everywhere",
    ),
    choice(
        "25.t2", "Where does the gradient of a narrow model's loss go?", "c",
        a="the narrow model has no weights of its own",
        b="outside the block its loss does not depend on the weights",
        d="that is for the wide model's answers, which are taken as given",
    ),
    choice(
        "25.t3", "On clean labels distillation changes nothing much; with 40 % wrong labels look at the table. What can it add "
                 "at all?", "b",
        a="the wide model's answers are made of the same labels",
        c="the number of steps is the same in both",
        d="narrow models have the same shapes either way",
    ),
)  # fmt: skip
