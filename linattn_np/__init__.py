"""linattn_np: linear Transformers trained in plain NumPy, with every gradient derived by hand.

Symbols, the same everywhere
    B batch, n examples, N = n+1 tokens, d covariates, D = d+1 token width, L layers, H heads
    Z tokens (rows here, columns in the paper), P, Q the layer's matrices, M the mask diag(1, .., 1, 0), G = Z M Z^T the state
    dX gradient of the loss, shaped like X; vX tangent (derivative along a direction); hX tangent of a gradient
Equation numbers (1.1), (2.7), ... count within the lesson of that number.

Words, one for one thing
    prompt      n examples and a query; a task is a law of prompts; each part of a batch is drawn and used by one thread
    layer       one step Z -> Z'; a model is a stack of layers with the loss; params are all its numbers, in one array
    error       prediction minus label; residual is a layer's skip connection
    use         one of the places where a variable enters; its gradient is the sum over its uses, which ``mark`` names
    run         one training, from start to record (a History); a snapshot is its params after a step. A lesson is executed
    program     a list of operations on small matrices, which a person reads and the compiled machine runs
    check       one way to judge a gradient; its results are rows, each with a verdict: ok, WRONG or CANNOT JUDGE
    mutation    a wrong derivation that the project plants; a known mistake explains a number; a slip is a student's
    paper       its experiments make figures; a claim is a sentence of the paper, the number of ours, and a rule that judges it

>>> import numpy as np, linattn_np as la
>>> task = la.RegressionTask(n=20, d=5)
>>> Z, y = task.sample(1000, np.random.default_rng(0))
>>> params = la.init_params(np.random.default_rng(1))
>>> value, grad = la.loss_and_grad(params, Z, y)
>>> grad.shape
(3, 1, 2, 5, 5)
"""

from importlib import import_module as _import_module

TYPE_CHECKING = False  # typing itself takes as long as everything else here
if TYPE_CHECKING:  # what the names below load when they are first used
    from typing import Any as _Any

    from . import optimizers as optimizers
    from .models.composed import Composed
    from .models.transformer import LinearTransformer, hessian, hvp, init_params, loss, loss_and_grad, predict
    from .prompts import NonlinearTask, Prompts, RegressionTask
    from .training.history import History
    from .training.loop import losses_along, train

__version__ = "0.2.0"
__all__ = [
    "Composed", "History", "LinearTransformer", "NonlinearTask", "Prompts", "RegressionTask", "hessian", "hvp", "init_params",
    "loss", "loss_and_grad",
    "losses_along", "optimizers", "predict", "train",
]  # fmt: skip
# where each name stands, "module" or "module:name". It loads when first used: the import takes no time, not even NumPy's
_PLACES = {
    **{name: f"models.transformer:{name}" for name in ("LinearTransformer", "hessian", "hvp", "init_params", "loss",
                                                       "loss_and_grad",
                                                       "predict")},
    "Composed": "models.composed:Composed",
    **{name: f"prompts:{name}" for name in ("NonlinearTask", "Prompts", "RegressionTask")},
    **{name: f"training.loop:{name}" for name in ("losses_along", "train")},
    "History": "training.history:History",
    "attention": "layers.linear_attention", "linear_attention": "layers.linear_attention", "gram": "layers.gram",
    "mlp": "layers.mlp",
    "general_attention": "layers.general_attention", "layer_norm": "layers.layer_norm", "cross_entropy": "layers.cross_entropy",
    "causal_softmax": "layers.causal_softmax", "relu_attention": "layers.relu_attention",
    "softmax_attention": "layers.softmax_attention", "composed": "models.composed",
    "stack": "models.stack", "transformer": "models.transformer", "tied": "models.tied",
    "composed_diagonal": "measures.composed_diagonal",
    "estimators": "measures.estimators", "smoothness_fits": "measures.smoothness_fits", "tails": "measures.tails",
    "landscape": "measures.landscape", "noise": "measures.noise", "programs": "kernels.programs", "processors": "kernels.threads",
    "runs": "training.runs",
    "sweeps": "training.sweeps", "papers": "experiments.papers", "studies": "experiments.studies",
    **{name: name for name in ("audit", "batches", "bench", "experiments", "kernels", "layers", "measures", "models",
                               "optimizers",
                               "plotting", "progress", "prompts", "teaching", "training")},
}  # fmt: skip


def __getattr__(name: str) -> "_Any":
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, attribute = _PLACES[name].partition(":")
    found = _import_module(f".{module}", __name__)
    if attribute:
        found = getattr(found, attribute)
    globals()[name] = found  # the next use finds it at once
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_PLACES})
