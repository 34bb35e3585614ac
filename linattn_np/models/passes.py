"""The passes of the library's own models: NumPy on tokens or states, and the compiled twins. Which one serves is decided here.

NumPy is the definition; a compiled twin answers where it exists and may (``backends.py``). Everything downstream sees a
:class:`Passes` and no backend.
"""

from collections.abc import Callable, Iterator, Sequence
from types import ModuleType
from typing import Any

import numpy as np

from .. import batches
from .._types import Array
from ..kernels import draws_numpy
from ..prompts import RegressionTask
from .attentions import attention_of
from .backends import BACKENDS, can_compile, kernels
from .fresh import is_drawn_in_lanes
from .model import Passes
from .stack import Linearization, loss_and_grad_by

__all__ = ["BACKENDS", "LanePasses", "NumpyPasses", "TokenPasses", "can_compile", "kernels", "run_shares", "transformer_passes"]


def run_shares(passes: Passes, work: Callable[[int, int], None], count: int) -> None:
    """Call ``work(first, last)`` for shares of chunks 0 .. count-1: on the kernels' threads where the passes gain from it."""
    if passes.parallel:
        kernels("threads").run_shares(work, count)
    else:
        work(0, count)


def transformer_passes(model: Any, *arrays: Array) -> Passes:
    """The passes that serve a LinearTransformer."""
    twin = {"lanes": LanePasses, "tokens": TokenPasses, None: NumpyPasses}[attention_of(model.attention).kernel]
    return twin(model) if can_compile(model.backend, *arrays) else NumpyPasses(model)


class NumpyPasses(Passes):
    """A LinearTransformer by its definition, ``stack.py``: on states where the kind of attention sees no more, else on tokens."""

    def layer(self, X: Any) -> ModuleType:
        """The module of the layer that works on X, tokens or a state."""
        attention = attention_of(self.model.attention)
        return attention.layer if isinstance(X, np.ndarray) else attention.state  # type: ignore[return-value]

    def draw(self, task: RegressionTask, sizes: Sequence[int], chunks: Array) -> Iterator[Any]:
        if attention_of(self.model.attention).state is not None and batches.can_draw_states(task):
            return draws_numpy.states_of_chunks(task, sizes, chunks)
        return super().draw(task, sizes, chunks)

    def loss_and_grad(self, params: Array, batch: Any) -> tuple[Any, Array]:
        X, y = batch
        return loss_and_grad_by(self.layer(X), params, X, y, self.model.d + 1)

    def hvps(self, params: Array, batch: Any, directions: Array) -> Array:
        X, y = batch
        product = Linearization(self.layer(X), params, X, y, self.model.d + 1)
        return np.stack([product(v) for v in directions])


class TokenPasses(NumpyPasses):
    """Softmax and ReLU attention by their compiled twin on tokens; second order and groups of prompts by NumPy."""

    parallel = True

    def loss_and_grad(self, params: Array, batch: Any) -> tuple[Any, Array]:
        return kernels("tokens").loss_and_grad(params, *batch, self.model.attention)

    def adder(self, params: Array, n: int) -> Callable[[Any, Array], None]:
        add, attention = kernels("tokens").add_gradient, self.model.attention
        return lambda batch, out: add(params, *batch, attention, 0, len(batch[1]), out)

    def drawing_adder(self, task: RegressionTask) -> Callable[[Array, Array, Array, Array], None]:
        if not is_drawn_in_lanes(task):
            return super().drawing_adder(task)
        add, law, attention = kernels("tokens").add_drawn_gradients, kernels("draws").law_of(task), self.model.attention
        return lambda points, sizes, chunks, out: add(points, law, attention, sizes, chunks, out)

    def grouped_gradients(self, params: Array, batch: Any, size: int) -> Array:
        return NumpyPasses(self.model).grouped_gradients(params, batch, size)


class LanePasses(NumpyPasses):
    """Linear attention by its compiled twin on states, many prompts side by side."""

    parallel = True

    def draw(self, task: RegressionTask, sizes: Sequence[int], chunks: Array) -> Iterator[Any]:
        if is_drawn_in_lanes(task):
            return (kernels("linear").drawn_lanes(task, *each) for each in zip(sizes, chunks, strict=True))
        return (self.prepare(*drawn) for drawn in super(NumpyPasses, self).draw(task, sizes, chunks))

    def prepare(self, Z: Array, y: Array) -> Any:
        return kernels("linear").lanes_from_tokens(Z, y)

    def loss_and_grad(self, params: Array, batch: Any) -> tuple[Any, Array]:
        return kernels("linear").loss_and_grad(params, batch)

    def loss(self, params: Array, batch: Any) -> Any:
        return kernels("linear").loss(params, batch)

    def adder(self, params: Array, n: int) -> Callable[[Any, Array], None]:
        program = kernels("linear").LinearKernel(params, self.model.d + 1, n)  # made once for all parts of a batch
        return lambda lanes, out: program.add_gradient(lanes, 0, len(lanes.G), out)

    def drawing_adder(self, task: RegressionTask) -> Callable[[Array, Array, Array, Array], None]:
        if not is_drawn_in_lanes(task):
            return super().drawing_adder(task)
        law = kernels("draws").law_of(task, batches.can_draw_states(task))
        return kernels("linear").drawing_adder(self.model.shape, law, task.n)

    def grouped_gradients(self, params: Array, batch: Any, size: int) -> Array:
        return kernels("linear").grouped_gradients(params, batch, size)

    def hvps(self, params: Array, batch: Any, directions: Array) -> Array:
        return kernels("linear").hvps(params, batch, directions)

    def grad_and_hvps(self, params: Array, batch: Any, directions: Array) -> tuple[Array, Array]:
        return kernels("linear").grad_and_hvps(params, batch, directions)

    def hessian_diagonal(self, params: Array, batch: Any) -> Array:
        return kernels("linear").hessian_diagonal(params, batch)
