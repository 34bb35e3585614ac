"""Linear attention with a linear skip: the layer that a reader of another paper needs, and one that a stack can be made of.

In columns, as papers write it, for tokens of any width D, any mask M and any real c:

    Z' = Z + R Z + c sum_h P_h Z M Z^T Q_h Z

Everything but R is ``linear_attention.py``, called here with its mask and its divisor 1/c, so no line is derived twice; there R =
0, M = diag(1, .., 1, 0) and c = 1/n. Tokens are rows here: transposed, the skip adds Z R^T to what attention gives.

Forward                                          Backward, from dZ'' = df/dZ''
(2.4)   Z'  = Z + c sum_h W V    attention       (2.19) dR  = sum_b dZ''^T Z
(2.17)  S   = Z R^T              skip            (2.20) dZ += dZ'' R    skip, the fifth use of Z
(2.18)  Z'' = Z' + S                             and dZ' = dZ'' goes to attention, (2.5) to (2.13)

The skip is a product of two variables, so its tangents are those of (2.17), (2.19) and (2.20), one more term for each factor.
A stack calls :class:`GeneralAttention`, which holds the mask and c. Some layers that it is: gradient descent on a graph's nodes,
all tokens read (R a step on the demands); a causal layer, mask (N, N); Polyak's heavy ball on twice the width, tokens (Z_l,
Z_{l-1}) and R = [[b, -b], [1, -1]]. Which entry of which token is the answer is the model's affair.
"""

from dataclasses import dataclass
from functools import cached_property
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from .._checks import as_numbers, as_real
from .._types import Array
from . import linear_attention
from .linear_attention import readout, readout_backward
from .marks import Mark, keep


class Tape(NamedTuple):
    """What the backward pass needs of a forward pass (or, of a tangent pass, the tangents of the same)."""

    attention: linear_attention.Tape
    Z: Array  # (B, N, D)
    R: Array  # (D, D)


def forward(
    Z: Array, P: Array, Q: Array, R: Array, mark: Mark = keep, mask: Array | None = None, n: float | None = None
) -> tuple[Array, Tape]:
    """One layer: (2.1) to (2.4), then the skip (2.17), (2.18).

    Z (B, N, D), P and Q (H, D, D), R (D, D) -> Z'' (B, N, D) and the tape. mask and n as in ``linear_attention.forward``.
    Cost O(B H N^2 D + B N D^2). Derived in lesson 02.
    """
    Z, R = mark("tokens", Z), mark("R", R)
    # F1  Z' = Z + c sum_h W V                                                                   (2.1) to (2.4)
    attended, tape = linear_attention.forward(Z, P, Q, mark, mask, n)  # (B, N, D)
    # F2  S = Z R^T                      the skip, in columns R Z                                (2.17)
    S = mark("S", mark("Z_skip", Z) @ R.T)  # (B, N, D)
    # F3  Z'' = Z' + S                                                                           (2.18)
    total = mark("total", attended + S)  # (B, N, D)
    return total, Tape(tape, Z, R)


def backward(dtotal: Array, tape: Tape, mark: Mark = keep) -> tuple[Array, Array, Array, Array]:
    """Gradients of one layer: the skip's (2.19) and (2.20), then attention's (2.5) to (2.13).

    dZ'' (B, N, D) -> dZ (B, N, D), dP and dQ (H, D, D), dR (D, D), summed over the batch. Cost O(B H N^2 D + B N D^2).
    """
    attention, Z, R = tape
    # B3  undoes F3  Z'' = Z' + S: both get the same
    dtotal = mark("dtotal", dtotal)  # (B, N, D)
    dS = mark("dS", dtotal)  # (B, N, D)
    # B2  undoes F2  S = Z R^T
    dR = mark("dR", (dS.mT @ Z).sum(axis=0))  # (D, D)                         (2.19)
    dZ_skip = mark("dZ_skip", dS @ R)  # (B, N, D)                             (2.20) use 5 of 5
    # B1  undoes F1  Z' = Z + c sum_h W V: uses 1 to 4                         (2.5) to (2.13)
    dZ, dP, dQ = linear_attention.backward(dtotal, attention, mark)
    dtokens = mark("dtokens", dZ + dZ_skip)  # (B, N, D)
    return dtokens, dP, dQ, dR


def tangent(vZ: Array, vP: Array, vQ: Array, vR: Array, tape: Tape) -> tuple[Array, Tape]:
    """Derivative of the layer along (vZ, vP, vQ, vR): (4.1) to (4.4), then the tangents of (2.17) and (2.18).

    Shapes as Z, P, Q, R -> vZ'' (B, N, D) and the tangents of the tape. Cost O(B H N^2 D + B N D^2).
    """
    attention, Z, R = tape
    # F1  Z' = Z + c sum_h W V                                                                   (4.1) to (4.4)
    vattended, vtape = linear_attention.tangent(vZ, vP, vQ, attention)  # (B, N, D)
    # F2  S = Z R^T                                                                              of (2.17)
    vS = vZ @ R.T + Z @ vR.T  # (B, N, D)
    # F3  Z'' = Z' + S                                                                           of (2.18)
    vtotal = vattended + vS  # (B, N, D)
    return vtotal, Tape(vtape, vZ, vR)


def backward_tangent(dtotal: Array, htotal: Array, tape: Tape, vtape: Tape) -> tuple[Array, Array, Array, Array]:
    """Derivative of :func:`backward` along the direction of ``vtape``: the tangents of (2.19) and (2.20), (4.5) to (4.13).

    dZ'' and its tangent hZ'' (B, N, D) -> hZ (B, N, D), hP and hQ (H, D, D), hR (D, D). Cost O(B H N^2 D + B N D^2).
    """
    attention, Z, R = tape
    vattention, vZ, vR = vtape
    # B2  of dR = sum_b dZ''^T Z and dZ += dZ'' R
    hR = (htotal.mT @ Z + dtotal.mT @ vZ).sum(axis=0)  # (D, D)                of (2.19)
    hZ_skip = htotal @ R + dtotal @ vR  # (B, N, D)                            of (2.20)
    # B1  of attention                                                         (4.5) to (4.13)
    hZ, hP, hQ = linear_attention.backward_tangent(dtotal, htotal, attention, vattention)
    hZ = hZ + hZ_skip  # (B, N, D)
    return hZ, hP, hQ, hR


@dataclass(frozen=True)
class GeneralAttention:
    """The layer with its mask and its c chosen once, so that a stack calls it as it calls the module of any other layer.

    mask: N numbers, 1 for a token that may be read, or N rows of them, row i for token i as the reader; None is the paper's, all
    but the last token. c: the factor of attention; None is 1/n, n the number of tokens that may be read. ``skip=False`` leaves R
    out: the weights are then P and Q. Objects with the same three values are equal, and they can be sent to other processes.
    Raises ValueError for a mask of another shape, and for a c that is no finite number.
    """

    mask: Any = None
    c: float | None = None
    skip: bool = True

    def __post_init__(self) -> None:
        if self.mask is not None:
            mask = as_numbers("mask", self.mask)
            if mask.ndim not in (1, 2) or mask.size < 1 or mask.shape != mask.shape[:1] * mask.ndim:
                raise ValueError(f"mask: expected shape (N,) or (N, N), one entry for each token or pair, got {mask.shape}")
            object.__setattr__(self, "mask", tuple(map(tuple, mask.tolist())) if mask.ndim == 2 else tuple(mask.tolist()))
        if self.c is not None:
            object.__setattr__(self, "c", as_real("c", self.c))

    @cached_property
    def _bound(self) -> dict[str, Any]:
        """The mask as an array, bool where it is 0/1 so that float32 stays float32, and the divisor 1/c."""
        mask = None if self.mask is None else np.array(self.mask)
        if mask is not None and np.isin(mask, (0, 1)).all():
            mask = mask.astype(bool)
        return {"mask": mask, "n": None if self.c is None else np.inf if self.c == 0 else 1 / self.c}

    @property
    def _layer(self) -> Any:
        return _WITH_SKIP if self.skip else linear_attention

    def forward(self, Z: Array, *weights: Array, mark: Mark = keep) -> tuple[Array, Any]:
        """Z (B, N, D), P, Q (H, D, D) and, with the skip, R (D, D) -> Z' (B, N, D) and the tape."""
        if self.mask is not None and len(self.mask) != Z.shape[1]:
            raise ValueError(f"mask: expected {Z.shape[1]} tokens, as Z of shape {Z.shape} has, got {len(self.mask)}")
        return self._layer.forward(Z, *weights, mark=mark, **self._bound)

    def backward(self, dout: Array, tape: Any, mark: Mark = keep) -> tuple[Array, ...]:
        """dZ' (B, N, D) -> the gradients of what ``forward`` takes."""
        return self._layer.backward(dout, tape, mark)

    def tangent(self, vZ: Array, *vweights_and_tape: Any) -> tuple[Array, Any]:
        """The tangents of what ``forward`` takes, then the tape -> vZ' (B, N, D) and the tangents of the tape."""
        return self._layer.tangent(vZ, *vweights_and_tape)

    def backward_tangent(self, dout: Array, hout: Array, tape: Any, vtape: Any) -> tuple[Array, ...]:
        """dZ' and its tangent -> the tangents of what ``backward`` returns."""
        return self._layer.backward_tangent(dout, hout, tape, vtape)

    readout = staticmethod(readout)
    readout_backward = staticmethod(readout_backward)


_WITH_SKIP = SimpleNamespace(forward=forward, backward=backward, tangent=tangent, backward_tangent=backward_tangent)
