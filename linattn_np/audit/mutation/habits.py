"""Mistakes of habit, as data: not a wrong formula but a cache, a buffer, a type, a value that happens to be one.

They are planted in one layer of linear or softmax attention, with two heads, and judged by the audit of that layer. Each entry:
id, the quantity that the audit must give, the mistake in words, and the pairs of texts (old, new).
"""
# fmt: off

RETURN = "    return dZ, dP, dQ"
ENTER = '    Zh = Z[:, None]  # (B, 1, N, D)\n    douth = mark'
SUM = 'dZ = mark("dZ", dZ_residual + dZ_value + dZ_reader + dZ_read)'

LINEAR = (
    ("stale_tape", "hP", "the tape of the first forward is used ever after",
     (ENTER, "    Z, P, Q, W, V = backward.kept = getattr(backward, 'kept', (Z, P, Q, W, V))\n" + ENTER)),
    ("first_gradient_kept", "whole", "the first gradient is handed out ever after",
     (RETURN, "    backward.kept = getattr(backward, 'kept', (dZ, dP, dQ))\n    return backward.kept")),
    ("dP_accumulates", "same bits twice", "dP is added up from call to call",
     (RETURN, "    dP = dP + getattr(backward, 'before', 0.0)\n    backward.before = dP.real\n" + RETURN)),
    ("dout_overwritten", "arguments kept", "the sum is made in the array that came in",
     (SUM, "dZ = dZ_residual\n    dZ += dZ_value + dZ_reader + dZ_read\n    mark('dZ', dZ)")),
    ("tape_overwritten", "arguments kept", "the tape's P is turned in place",
     (RETURN, "    P *= -1.0\n" + RETURN)),
    ("dZ_set_not_added", "dZ", "= in the place of +=: the last use alone is left",
     (SUM, 'dZ = mark("dZ", dZ_read)')),
    ("one_head_dZ", "dZ_value", "the first head alone",
     ("(dV @ P).sum(axis=1))", "(dV @ P)[:, 0])")),
    ("one_head_dQ", "dQ", "the first head's gradient for all heads",
     ('mark("dQ", (Zh.mT @ dA.mT @ Zh).sum(axis=0))',
      'mark("dQ", np.broadcast_to((Zh.mT @ dA.mT @ Zh).sum(axis=0)[:1], Q.shape))')),
    ("one_token_dP", "dP", "the first token alone",
     ("(dV.mT @ Zh).sum(axis=0))", "(dV[..., :1, :].mT @ Zh[..., :1, :]).sum(axis=0))")),
    ("one_prompt_dP", "dP", "the first prompt alone",
     ("(dV.mT @ Zh).sum(axis=0))", "(dV.mT @ Zh)[0])")),
    ("float32_inside", "dA", "one product in 32 bits",
     ('mark("dA", dW', 'mark("dA", dW.astype(np.complex64 if np.iscomplexobj(dW) else np.float32)')),
    ("corner_is_one", "dZ_value", "the corner of P is taken for the one that it is in d x d blocks",
     ("    # B3  undoes F3", "    P = np.array(P)\n    P[:, -1, -1] = 1.0\n    # B3  undoes F3")),
    ("returned_halved", "dQ", "what is returned is not what was derived",
     (RETURN, "    return dZ, dP, 0.5 * dQ")),
    ("entry_lost", "dQ", "one small entry is lost",
     (RETURN, "    dQ = np.array(dQ)\n    dQ[0, 0, 0] *= 1 + 1e-8\n" + RETURN)),
    ("everything_halved", "dout", "the gradient and its tangent are those of half the function",
     ('mark("dout", dout)', 'mark("dout", dout := 0.5 * dout)'),
     ("    douth, houth = dout", "    dout, hout = 0.5 * dout, 0.5 * hout\n    douth, houth = dout")),
)

SOFTMAX = (
    ("eps_in_mean", "dA", "an eps in the backward that the forward does not have",
     ("E * (dE - (dE * E).sum(axis=-1, keepdims=True))", "E * (dE - (dE * E).sum(axis=-1, keepdims=True) / (1 + 1e-8))")),
    ("eps_added", "dA", "an eps under the root that is added outside of it",
     ('mark("dA", E * (dE', 'mark("dA", (E + 1e-8) * (dE')),
)
