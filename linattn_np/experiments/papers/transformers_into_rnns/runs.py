"""What a worker trains for one seed: softmax and its conversions, or a model from random weights for as long as both together."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ...._types import Array
from ...scale import Scale
from .language_model import LanguageModel
from .recurrent import Model, Reader
from .text import texts
from .training import BATCH, FINETUNED, FIRST_RATE, PRETRAINED, SECOND_RATE, perplexity, train

SIZES: tuple[int | str, ...] = (4, 8, 32, "elu", "softmax")  # what attention is swapped for; softmax for itself is the control
FEATURES = 32  # of the controls
CONTROLS: dict[str, tuple[Any, tuple[str, ...]]] = {  # of the swap: weights drawn anew at it, and those that are trained after it
    "queries and keys drawn anew": (("Wq", "Wk"), ()),
    "all but queries and keys drawn anew": (None, ()),
    "everything drawn anew": (tuple(LanguageModel(FEATURES).shapes), ()),
    "the map alone trained": ((), ("W", "b")),
}
SCRATCH: tuple[int | str, ...] = (8, 32, "elu")
TIMED: tuple[int | str, ...] = ("softmax", "elu", 32)
TEST_SEED = 24_000  # of the texts that every perplexity is measured on


@dataclass(frozen=True)
class Plan:
    """How long, on what, and how far texts go whose reading is timed."""

    pretrained: int = PRETRAINED
    finetuned: int = FINETUNED
    batch: int = BATCH
    test: int = 512
    lengths: tuple[int, ...] = (64, 256, 1024, 4096, 16_384, 65_536)
    reads: int = 401

    @property
    def total(self) -> int:
        """The iterations of softmax and of the finetuning together: what a model from random weights gets."""
        return self.pretrained + self.finetuned

    @property
    def early(self) -> int:
        """A third of the finetuning."""
        return self.finetuned // 3

    def marks(self, iterations: int, parts: int) -> list[int]:
        """Where perplexity is measured: the ends of so many parts, and the start."""
        return sorted({iterations * j // parts for j in range(parts + 1)})

    @property
    def after(self) -> list[int]:
        """The same after the swap: every twelfth, ``early`` among them."""
        return sorted({*self.marks(self.finetuned, 12), self.early})


def plan(scale: Scale) -> Plan:
    """The paper scale's is the whole; any other is small."""
    if scale.name == "paper":
        return Plan()
    if scale.name == "quick":
        return Plan(120, 40, 8, 64, (64, 1024, 16_384), 101)
    return Plan(6, 6, 3, 8, (64, 128), 3)


def described(plan: Plan) -> dict[str, Any]:
    """The plan in plain numbers."""
    return {**asdict(plan), "lengths": list(plan.lengths)}


def held_out(plan: Plan) -> Array:
    """The texts that every perplexity is measured on."""
    return texts(np.random.default_rng(TEST_SEED), plan.test)


def pretrain(seed: int, plan: Plan, after: Callable[[], object] = lambda: None) -> tuple[LanguageModel, Array, Array]:
    """Softmax from the random weights of a seed; ``after`` is called after each iteration.

    -> the model, its params, its perplexities at ``marks(pretrained, 20)``
    """
    rng, model, test = np.random.default_rng([seed, 0]), LanguageModel("softmax"), held_out(plan)
    marks = plan.marks(plan.pretrained, 20)
    start, measured = model.init_params(rng), lambda params: perplexity(model, params, test)
    params, found = train(model, start, plan.pretrained, FIRST_RATE, rng, plan.batch, marks, measured, after=after)
    return model, params, found


def finetune(
    model: LanguageModel, params: Array, features: int | str, seed: int, plan: Plan, anew: Any = (), only: Any = (),
    look: Callable[[Array], object] = lambda params: None, after: Callable[[], object] = lambda: None,
) -> tuple[LanguageModel, Array, Array]:  # fmt: skip
    """The swap and what follows. anew: names of weights that are drawn again (None: all but queries and keys); only: as in
    ``train``.

    ``look(params)`` is called where perplexity is measured, ``after()`` after each iteration. -> the model, its params, its
    perplexities at ``plan.after``
    """
    rng, test = np.random.default_rng([seed, 1]), held_out(plan)
    other, start = model.swapped(params, features, rng)
    fresh = other.split(other.init_params(rng))
    anew = [name for name in other.shapes if name not in ("Wq", "Wk")] if anew is None else anew
    own = other.split(start)
    start = np.concatenate([(fresh[name] if name in anew else own[name]).ravel() for name in other.shapes])

    def measured(params: Array) -> float:
        look(params)
        return perplexity(other, params, test)

    trained, found = train(other, start, plan.finetuned, SECOND_RATE, rng, plan.batch, plan.after, measured, only, after)
    return other, trained, found


def converted(seed: int, plan: Plan) -> dict[str, Array]:
    """Perplexities of softmax, of every swap and of the controls, for one seed."""
    model, params, found = pretrain(seed, plan)
    swaps = {str(size): finetune(model, params, size, seed, plan)[2] for size in SIZES}
    controls = {name: finetune(model, params, FEATURES, seed, plan, *how)[2] for name, how in CONTROLS.items()}
    return {"pretraining": found, **swaps, **controls}


def from_scratch(seed: int, features: int | str, plan: Plan) -> dict[str, Array]:
    """Perplexities of a model that is trained from random weights for the whole time, at ``marks(total, 26)``."""
    rng, model, test = np.random.default_rng([seed, 2]), LanguageModel(features), held_out(plan)
    marks = plan.marks(plan.total, 26)
    start = model.init_params(rng)
    _, found = train(model, start, plan.total, FIRST_RATE, rng, plan.batch, marks, lambda p: perplexity(model, p, test))
    return {"scratch": found}


def reading(features: int | str, lengths: tuple[int, ...], reads: int) -> dict[str, Array]:
    """Numbers kept and processor seconds for one more symbol after texts of these lengths: the shortest of so many readings."""
    net = LanguageModel(features)
    params = net.init_params(np.random.default_rng(0))
    numbers, seconds = [], []
    for length in lengths:
        reader = Reader(Model(net, params))
        reader.read_all(np.random.default_rng(1).integers(net.symbols, size=length))
        numbers.append(reader.memory.numbers)
        reader.read(0)  # the first touches memory that later ones find
        spent = []
        for _ in range(reads):
            began = time.process_time()  # of this process alone, so that others on the machine do not count
            reader.read(0)
            spent.append(time.process_time() - began)
        seconds.append(min(spent))
    return {"numbers": np.array(numbers), "seconds": np.array(seconds)}
