"""The adaptor with torch itself: python tests/adaptors/torch_rule.py, in an environment that has torch. Not part of the suite."""

import numpy as np
import torch

from linattn_np.audit import audit_gradient
from linattn_np.audit.adaptors import torch_function

normal = np.random.default_rng(0).standard_normal


def layer(factor):
    """tanh(x W) with a rule by hand, whose dW is off by ``factor``."""

    class Layer(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, W):
            a = torch.tanh(x @ W)
            ctx.save_for_backward(x, W, a)
            return a

        @staticmethod
        def backward(ctx, dout):
            x, W, a = ctx.saved_tensors
            ds = dout * (1 - a * a)
            return ds @ W.T, factor * x.T @ ds

    return Layer


if __name__ == "__main__":
    theta = normal((7, 3)), normal((3, 5))
    right, wrong = (audit_gradient(*torch_function(torch, layer(factor)), theta) for factor in (1, 2))
    assert right.ok and right.oracle == "differences", str(right)
    assert wrong.verdict == "WRONG" and wrong.first_wrong.quantity == "dtheta[1]", str(wrong)
    print("ok: the right rule passes, the wrong one is named")
