"""Optimizers from scratch: pure functions on one array, nothing changed in place.

``state = opt.init(params)``, then ``params, state = opt.update(params, grad, state)``. x params, g gradient, m momentum buffer,
v mean of squares, t the number of updates so far, this one included; products, quotients, roots and signs are elementwise.

(6.1) SGD            m <- mu m + g,                            x <- x - lr m
(6.2) sign descent   m <- mu m + g,                            x <- x - lr sign(m)
(6.3) normalized     m <- mu m + g,                            x <- x - lr m / ||m||
(6.4) Adagrad        v <- v + g^2,                             x <- x - lr g / (sqrt(v) + eps)
(6.5) RMSProp        v <- alpha v + (1 - alpha) g^2,           x <- x - lr g / (sqrt(v) + eps)
(6.6) Adam           m <- beta1 m + (1 - beta1) g,  v <- beta2 v + (1 - beta2) g^2,
                     m_hat = m / (1 - beta1^t),  v_hat = v / (1 - beta2^t),   x <- x - lr m_hat / (sqrt(v_hat) + eps)
(6.7) AdamW          x <- (1 - lr weight_decay) x, then (6.6)
(6.8) clipping       g <- g min(1, threshold / ||g||), with ||g|| of the whole gradient, of each block P or Q, or |g_i|
Derived in lesson 06, where Adam is built from SGD one idea at a time. Beyond the paper:
(29.1) SGD with a rate for each layer; (29.2) Adam with one second moment for each block, each layer, or all (``first_order``)
(29.3) Muon: the momentum's nearest orthogonal matrix; (29.5) Shampoo, (29.6) SOAP: inverse roots and eigenbases (``matrices``)
(29.7) Newton and Gauss-Newton, damped, with the exact curvature (``newton``)
(29.9) a schedule: lr times a function of the step (``schedules``)
"""

from typing import Any

from .base import GroupedMoments, Moments, Momentum, Optimizer, RatedMomentum, Squares, described, power
from .first_order import CLIPPINGS, SGD, Adagrad, Adam, AdamW, NormalizedGD, RMSProp, SignDescent, clip, global_norm, norm_over
from .groups import GROUPINGS, Grouping, groups_by_shape
from .matrices import SOAP, Muon, Shampoo
from .newton import Newton
from .schedules import Cosine, Linear, Scheduled, WarmUp

__all__ = [
    "CLIPPINGS", "GROUPINGS", "KINDS", "SGD", "SOAP", "Adagrad", "Adam", "AdamW", "Cosine", "GroupedMoments", "Grouping",
    "Linear", "Moments", "Momentum", "Muon", "Newton",
    "NormalizedGD", "Optimizer", "RMSProp", "RatedMomentum", "Scheduled", "Shampoo", "SignDescent", "Squares", "WarmUp",
    "check_optimizer", "clip",
    "described", "global_norm", "groups_by_shape", "norm_over", "power",
]  # fmt: skip

KINDS = {kind.__name__: kind for kind in (SGD, SignDescent, NormalizedGD, Adagrad, RMSProp, Adam, AdamW, Muon, Shampoo, SOAP)}


def check_optimizer(optimizer: Any) -> Optimizer:
    """Raise ValueError unless ``optimizer`` is an instance with ``init`` and ``update``; a name or a class is answered with what
    to write.
    """
    if hasattr(optimizer, "init") and hasattr(optimizer, "update") and not isinstance(optimizer, type):
        return optimizer
    name = optimizer.__name__ if isinstance(optimizer, type) else optimizer
    spelled = {kind.casefold(): kind for kind in KINDS}
    meant = spelled.get(name.casefold()) if isinstance(name, str) else None
    cause = f". Did you mean la.optimizers.{meant}(0.02)?" if meant else ""
    raise ValueError(f"optimizer: expected an instance with init and update, such as Adam(0.02), got {optimizer!r}{cause}")
