"""What a model is: the three methods that everything downstream asks for, and what follows from them.

``train``, noise, landscape, audit, runs and sweeps take any object with ``init_params``, ``as_params`` and ``loss_and_grad``;
params may be an array of any shape. What else they need, drawing prompts, the gradient of a part of a batch, Hessian-vector
products, is a :class:`Passes`: the generic one here, in NumPy and from ``loss_and_grad`` alone, or what the model's own
``passes`` answers where it knows a faster way (``passes.py``).
"""

import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np

from .._types import Array
from ..optimizers.groups import Grouping, groups_by_shape
from ..prompts import Prompts, RegressionTask
from .fresh import fresh_prompts

STEP = 1e-30  # of the complex step: (h v)^2 vanishes beside h v, so the imaginary part is the exact first derivative


class Model(Protocol):
    """All that is asked of a model. For ``Run`` it must also be a frozen dataclass in a module that workers can import."""

    def init_params(self, rng: np.random.Generator, std: float) -> Array:
        """Parameters to start from, of any shape, float64; ``std`` says how large they are."""
        ...

    def as_params(self, params: Any) -> Array:
        """``params`` as an array of this model's shape, or ValueError: the one place where the shape is checked."""
        ...

    def loss_and_grad(self, params: Array, Z: Array, y: Array) -> tuple[float, Array]:
        """The mean loss of prompts Z (B, n+1, d+1) with labels y (B,), and its gradient, like params.

        Second order is read off a complex step, so the code takes complex params too (no ``abs``, no ``.conj()``); or the
        model has ``hvps(params, Z, y, directions)``, directions (m, *params.shape), of its own. Where params are not of the shape
        (L, H, 2, k, k), ``groups(by)`` may say which entries are one "block" or one "layer" (``optimizers.groups``).
        """
        ...


def as_model(model: Any) -> Model:
    """``model`` if it has what is asked of a model. Raises ValueError otherwise."""
    missing = [name for name in ("init_params", "as_params", "loss_and_grad") if not callable(getattr(model, name, None))]
    if missing or isinstance(model, type):
        lacks = f" without {', '.join(missing)}" if missing else ", which is a class"
        raise ValueError(f"model: expected an instance with init_params, as_params and loss_and_grad, got {model!r}{lacks}")
    return model


def check_width(model: Any, Z: Array) -> None:
    """Raise ValueError unless a model that says its number of covariates d can take tokens of the width of Z (B, n+1, d+1)."""
    d = getattr(model, "d", Z.shape[-1] - 1)
    if Z.shape[-1] != d + 1:
        raise ValueError(f"Z: expected tokens of width d+1 = {d + 1} for {model}, got shape {Z.shape}")


def groups_of(model: Any, params: Array, asked: Grouping) -> Array:
    """The number of each entry's group, by the model's own ``groups`` or by the shape of params. -> integers like params

    Raises ValueError, with the model's name, where it has no such groups.
    """
    if asked.by == "global" or not callable(getattr(model, "groups", None)):
        return groups_by_shape(params.shape, asked, f" of {model}")
    groups = np.asarray(model.groups(asked.by))
    if groups.shape != params.shape or groups.dtype.kind not in "iu" or groups.min() < 0:
        raise ValueError(
            f"groups: expected integers of at least 0 of the shape of params, {params.shape}, from {model}, got "
            f"{groups.dtype} of shape {groups.shape}"
        )
    return groups


def passes_of(model: Model, *arrays: Array) -> "Passes":
    """The passes that serve a model, for arrays of these types (none: float64)."""
    make = getattr(model, "passes", None)
    return Passes(model) if make is None else make(*arrays)


class Passes:
    """How a model's numbers are computed: here in NumPy, from ``loss_and_grad`` alone.

    A *batch* is prompts in the form in which the model uses them: tokens with labels (Z, y), or what ``draw`` and ``prepare``
    of a subclass make. Params are float64 and of the model's shape already.
    """

    parallel = False  # whether several threads may compute at once and gain from it

    def __init__(self, model: Any) -> None:
        self.model = model

    def draw(self, task: RegressionTask, sizes: Sequence[int], chunks: Array) -> Iterator[Any]:
        """Fresh prompts of the task: a batch of sizes[c] from the state chunks[c] (4, lanes), which is moved on in place."""
        return fresh_prompts(task, sizes, chunks, getattr(self.model, "backend", "numba"))

    def prepare(self, Z: Array, y: Array) -> Any:
        """Given prompts Z (B, n+1, d+1) and labels y (B,), which are known to be good. -> a batch"""
        return Prompts(Z, y)

    def loss_and_grad(self, params: Array, batch: Any) -> tuple[Any, Array]:
        """The mean loss of a batch and its gradient. -> (float, like params)"""
        value, grad = self.model.loss_and_grad(params, *batch)
        if np.shape(grad) != params.shape:
            raise ValueError(f"loss_and_grad: expected a gradient of the shape of params, {params.shape}, got {np.shape(grad)}")
        return value, grad

    def loss(self, params: Array, batch: Any) -> Any:
        """The mean loss of a batch, a float."""
        return self.loss_and_grad(params, batch)[0]

    def adder(self, params: Array, n: int) -> Callable[[Any, Array], None]:
        """The function ``add(batch, out)`` that adds the sums over a batch of the loss and of its gradient to out (1 + p,).

        n is the number of examples in each prompt.
        """

        def add(batch: Any, out: Array) -> None:
            count = len(batch[1])
            value, grad = self.loss_and_grad(params, batch)
            out[0] += value * count
            out[1:] += grad.ravel() * count

        return add

    def drawing_adder(self, task: RegressionTask) -> Callable[[Array, Array, Array, Array], None]:
        """The function ``add(points, sizes, chunks, out)`` that does the same at points (m, *params.shape), for batches that it
        draws as :meth:`draw` does.

        The sums over the batch of chunk c at points[i] are added to out[c, i].
        """

        def draw_and_add(points: Array, sizes: Array, chunks: Array, out: Array) -> None:
            adders = [self.adder(params, task.n) for params in points]
            for batch, sums in zip(self.draw(task, sizes.tolist(), chunks), out, strict=True):
                for add, to in zip(adders, sums, strict=True):
                    add(batch, to)

        return draw_and_add

    def grouped_gradients(self, params: Array, batch: Any, size: int) -> Array:
        """The gradients of each ``size`` prompts in a row, (B / size, p); prompts left over are not used."""
        X, y = batch
        rows = []
        for first in range(0, len(y) - size + 1, size):
            part = slice(first, first + size)
            some = X[part] if isinstance(X, np.ndarray) else X._replace(G=X.G[part], z=X.z[part])
            rows.append(self.loss_and_grad(params, (some, y[part]))[1].ravel())
        return np.stack(rows)

    def hvps(self, params: Array, batch: Any, directions: Array) -> Array:
        """The Hessian of the mean loss times each of the directions (m, *params.shape). -> the same shape"""
        if hasattr(self.model, "hvps"):
            return self.model.hvps(params, *batch, directions)
        return np.stack([self._complex_step(params, batch, v) for v in directions])

    def grad_and_hvps(self, params: Array, batch: Any, directions: Array) -> tuple[Array, Array]:
        """The gradient, like params, and :meth:`hvps`."""
        return self.loss_and_grad(params, batch)[1], self.hvps(params, batch, directions)

    def hessian_diagonal(self, params: Array, batch: Any) -> Array:
        """The diagonal of the Hessian of the mean loss. -> like params"""
        p = params.size
        return np.diag(self.hvps(params, batch, np.eye(p).reshape(p, *params.shape)).reshape(p, p)).reshape(params.shape)

    def _complex_step(self, params: Array, batch: Any, v: Array) -> Array:
        """H v = Im gradient(params + i h v) / h, exact to rounding where the code keeps the imaginary part.

        Where it loses it, the loss's own derivative along v no longer equals <gradient, v>: that is seen and said.
        """
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", np.exceptions.ComplexWarning)  # an imaginary part thrown away
                value, grad = self.loss_and_grad(params + 1j * STEP * v, batch)
        except (TypeError, np.exceptions.ComplexWarning) as error:
            raise ValueError(f"loss_and_grad: expected code that takes complex params, or a method hvps, got {error}") from error
        slope, wanted = np.imag(value) / STEP, (np.real(grad) * v).sum()
        if abs(slope - wanted) > 1e-8 * np.sqrt((np.real(grad) ** 2).sum() * (v * v).sum()):
            raise ValueError(
                "loss_and_grad: expected code that keeps the imaginary part of complex params (no abs, no conj, no float), or a "
                f"method hvps, got a slope of {slope:g} along v where the gradient gives {wanted:g}"
            )
        return np.imag(grad) / STEP
