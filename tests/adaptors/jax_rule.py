"""The adaptor with jax itself: python tests/adaptors/jax_rule.py, in an environment that has jax. Not part of the suite."""

import jax
import jax.numpy as jnp
import numpy as np

from linattn_np.audit import audit_gradient
from linattn_np.audit.adaptors import jax_custom_vjp

jax.config.update("jax_enable_x64", True)
normal = np.random.default_rng(0).standard_normal


def layer(factor):
    """tanh(x W) with a rule by hand, whose dW is off by ``factor``."""

    def back(kept, dout):
        x, W = kept
        ds = dout * (1 - jnp.tanh(x @ W) ** 2)
        return ds @ W.T, factor * x.T @ ds

    made = jax.custom_vjp(lambda x, W: jnp.tanh(x @ W))
    made.defvjp(lambda x, W: (jnp.tanh(x @ W), (x, W)), back)
    return made


if __name__ == "__main__":
    theta = normal((7, 3)), normal((3, 5))
    right, wrong = (audit_gradient(*jax_custom_vjp(jax, layer(factor)), theta) for factor in (1, 2))
    assert right.ok and right.oracle == "differences", str(right)
    assert wrong.verdict == "WRONG" and wrong.first_wrong.quantity == "dtheta[1]", str(wrong)
    print("ok: the right rule passes, the wrong one is named")
