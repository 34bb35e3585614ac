"""Wrong derivations of layers that are judged by themselves: no model of the library is made of them."""
# fmt: off

LAYER_NORM = (  # id, line, the mistake in words, old, new
    ("dout_doubled", "dout", "a residual's gradient is added once more", 'mark("dout", dout)', 'mark("dout", 2 * dout)'),
    ("gain_of_C", "dgain", "the centred token in the place of the normalised one", '(dout * U).sum(axis=tokens)', '(dout * C).sum(axis=tokens)'),
    ("gain_token_mean", "dgain", "mean over the tokens in place of the sum", '(dout * U).sum(axis=tokens)', '(dout * U).mean(axis=tokens)'),
    ("bias_one_token", "dbias", "the bias is used by every token", 'mark("dbias", dout.sum(axis=tokens))', 'mark("dbias", dout.reshape(-1, len(gain))[-1])'),
    ("U_no_gain", "dU", "the gain is forgotten", 'mark("dU", dout * gain)', 'mark("dU", dout)'),
    ("scaled_no_S", "dC_scaled", "the factor S is forgotten", 'mark("dC_scaled", dU * S)', 'mark("dC_scaled", dU)'),
    ("S_of_U", "dS", "the normalised token in the place of the centred one", 'mark("dS", (dU * C)', 'mark("dS", (dU * U)'),
    ("S_mean", "dS", "mean over the entries in place of the sum", 'mark("dS", (dU * C).sum(', 'mark("dS", (dU * C).mean('),
    ("V_square", "dV", "S^2 in the place of S^3", 'mark("dV", -0.5 * dS * S**3)', 'mark("dV", -0.5 * dS * S**2)'),
    ("V_sign", "dV", "a larger variance makes a smaller S", 'mark("dV", -0.5 * dS * S**3)', 'mark("dV", 0.5 * dS * S**3)'),
    ("spread_no_2", "dC_spread", "the square's factor 2 is lost", 'mark("dC_spread", 2 * C * dV', 'mark("dC_spread", C * dV'),
    ("spread_unbiased", "dC_spread", "divided by D-1, as an unbiased variance is", "dV / C.shape[-1])", "dV / (C.shape[-1] - 1))"),
    ("spread_dropped", "dC", "the spread is taken for a constant", 'mark("dC", dC_scaled + dC_spread)', 'mark("dC", dC_scaled)'),
    ("mean_dropped", "dX", "the mean is taken for a constant", 'mark("dX", dC - dC.mean(axis=-1, keepdims=True))', 'mark("dX", dC)'),
    ("mean_over_tokens", "dX", "the mean over the tokens in place of the entries", 'mark("dX", dC - dC.mean(axis=-1, keepdims=True))', 'mark("dX", dC - dC.mean(axis=-2, keepdims=True))'),
)
LAYER_NORM_TANGENTS = (
    ("vC_no_mean", "vC", "the mean is taken for a constant", "vC = vX - vX.mean(axis=-1, keepdims=True)", "vC = vX"),
    ("vV_no_2", "vS", "the square's factor 2 is lost", "vV = 2 * (C * vC).mean(axis=-1, keepdims=True)", "vV = (C * vC).mean(axis=-1, keepdims=True)"),
    ("vS_sign", "vS", "a larger variance makes a smaller S", "vS = -0.5 * vV * S**3", "vS = 0.5 * vV * S**3"),
    ("vU_no_vS", "vU", "the spread is taken for a constant", "vU = vC * S + C * vS", "vU = vC * S"),
    ("vout_no_vgain", "vout", "the gain is taken for a constant", "vout = vU * gain + U * vgain + vbias", "vout = vU * gain + vbias"),
    ("vout_no_vbias", "vout", "the bias is taken for a constant", "vout = vU * gain + U * vgain + vbias", "vout = vU * gain + U * vgain"),
    ("hgain_no_vU", "hgain", "U is taken for a constant", "hgain = (hout * U + dout * vU)", "hgain = (hout * U)"),
    ("hbias_part_of_hout", "hbias", "the sum over tokens is missing", "hbias = hout.sum(axis=tokens)", "hbias = hout.reshape(-1, D)[-1]"),
    ("dU_again_no_gain", "hX", "the gain is forgotten where dU is made again", "    dU = dout * gain  #", "    dU = dout  #"),
    ("hU_no_vgain", "hX", "the gain is taken for a constant", "hU = hout * gain + dout * vgain", "hU = hout * gain"),
    ("hC_no_vS", "hX", "S is taken for a constant", "hC = hU * S + dU * vS", "hC = hU * S"),
    ("dS_again_mean", "hX", "a mean in place of the sum where dS is made again", "    dS = (dU * C).sum(axis=-1, keepdims=True)  #", "    dS = (dU * C).mean(axis=-1, keepdims=True)  #"),
    ("hS_no_vC", "hX", "C is taken for a constant", "hS = (hU * C + dU * vC)", "hS = (hU * C)"),
    ("dV_again_square", "hX", "S^2 in the place of S^3 where dV is made again", "    dV = -0.5 * dS * S**3  #", "    dV = -0.5 * dS * S**2  #"),
    ("hV_no_vS", "hX", "S is taken for a constant", "hV = -0.5 * hS * S**3 - 1.5 * dS * S**2 * vS", "hV = -0.5 * hS * S**3"),
    ("hC_spread_no_vC", "hX", "C is taken for a constant", "hC = hC + 2 * (vC * dV + C * hV) / D", "hC = hC + 2 * (C * hV) / D"),
    ("hX_no_mean", "hX", "the mean is taken for a constant", "hX = hC - hC.mean(axis=-1, keepdims=True)", "hX = hC"),
)
CROSS_ENTROPY = (
    ("dout_of_the_sum", "dout", "the loss is taken for a sum over the tokens", 'mark("dout", dout)', 'mark("dout", len(hot) * dout)'),
    ("L_no_share", "dL", "every token counts alike", 'mark("dL", -dout * share * hot)', 'mark("dL", -dout * hot / hot.sum())'),
    ("L_sign", "dL", "the loss is minus the logarithm", 'mark("dL", -dout * share * hot)', 'mark("dL", dout * share * hot)'),
    ("L_no_dout", "dL", "what enters is taken for 1", 'mark("dL", -dout * share * hot)', 'mark("dL", -share * hot)'),
    ("logits_no_sum", "dlogits", "the normalisation is taken for a constant", "dL - E * dL.sum(axis=-1, keepdims=True))", "dL)"),
    ("logits_wrong_axis", "dlogits", "the sum runs over the tokens", "dL - E * dL.sum(axis=-1, keepdims=True))", "dL - E * dL.sum(axis=-2, keepdims=True))"),
)
CROSS_ENTROPY_TANGENTS = (
    ("vL_no_mean", "vE", "the normalisation is taken for a constant", "vL = vlogits - (E * vlogits).sum(axis=-1, keepdims=True)", "vL = vlogits"),
    ("vE_no_E", "vE", "the exponential's derivative is lost", "vE = E * vL", "vE = vL"),
    ("vout_no_share", "vout", "every token counts alike", "-(share * hot * vL).sum()", "-(hot * vL).sum() / hot.sum()"),
    ("dL_again_no_share", "hlogits", "every token counts alike where dL is made again", "    dL = -dout * share * hot  #", "    dL = -dout * hot / hot.sum()  #"),
    ("hL_no_share_of_hout", "hlogits", "every token counts alike", "hL = -hout * share * hot", "hL = -hout * hot / hot.sum()"),
    ("vE_half_in_hlogits", "hlogits", "half the tangent of E", "    vE = vtape.E  #", "    vE = vtape.E / 2  #"),
    ("hlogits_no_vE", "hlogits", "E is taken for a constant", "hL - vE * dL.sum(axis=-1, keepdims=True) - E", "hL - E"),
    ("hlogits_no_sum_of_hout", "hlogits", "the second term is forgotten", " - E * hL.sum(axis=-1, keepdims=True)", ""),
)
CAUSAL_SOFTMAX = (
    ("dout_doubled", "dout", "a residual's gradient is added once more", 'mark("dout", dout), q.shape', 'mark("dout", 2 * dout), q.shape'),
    ("P_turned", "dP", "the product taken in the other order", 'mark("dP", dout @ v.mT)', 'mark("dP", v @ dout.mT)'),
    ("v_not_turned", "dv", "P is not transposed", 'mark("dv", P.mT @ dout)', 'mark("dv", P @ dout)'),
    ("v_plain_mean", "dv", "every token up to the reader counts alike", 'mark("dv", P.mT @ dout)', 'mark("dv", (P > 0).mT @ dout)'),
    ("A_no_mean", "dA", "the normalisation is taken for a constant", 'mark("dA", P * (dP - (dP * P).sum(axis=-1, keepdims=True)))', 'mark("dA", P * dP)'),
    ("A_mean_of_the_read", "dA", "the mean runs over the readers", "(dP * P).sum(axis=-1, keepdims=True)))  #", "(dP * P).sum(axis=-2, keepdims=True)))  #"),
    ("A_no_P", "dA", "the factor P is lost", 'mark("dA", P * (dP', 'mark("dA", np.tri(len(P[0, 0])) * (dP'),
    ("q_no_root", "dq", "the root of D is lost", 'mark("dq", dA @ k / root)', 'mark("dq", dA @ k)'),
    ("q_turned", "dq", "reader and read change places", 'mark("dq", dA @ k / root)', 'mark("dq", dA.mT @ k / root)'),
    ("k_not_turned", "dk", "reader and read change places", 'mark("dk", dA.mT @ q / root)', 'mark("dk", dA @ q / root)'),
    ("k_by_D", "dk", "divided by D in place of its root", 'mark("dk", dA.mT @ q / root)', 'mark("dk", dA.mT @ q / root**2)'),
)
CAUSAL_SOFTMAX_TANGENTS = (
    ("vA_no_vk", "vP", "keys are taken for constants", "(vq @ k.mT + q @ vk.mT) / q.shape", "(vq @ k.mT) / q.shape"),
    ("vA_no_root", "vP", "the root of D is lost", "(vq @ k.mT + q @ vk.mT) / q.shape[-1] ** 0.5", "(vq @ k.mT + q @ vk.mT)"),
    ("vP_no_mean", "vP", "the normalisation is taken for a constant", "vP = P * (vA - (vA * P).sum(axis=-1, keepdims=True))", "vP = P * vA"),
    ("vout_no_vv", "vout", "values are taken for constants", "vout = vP @ v + P @ vv", "vout = vP @ v"),
    ("dP_again_turned", "hq", "the product taken in the other order where dP is made again", "    dP = dout @ v.mT  #", "    dP = v @ dout.mT  #"),
    ("hP_no_vv", "hq", "values are taken for constants", "hP = hout @ v.mT + dout @ vv.mT", "hP = hout @ v.mT"),
    ("hv_no_vP", "hv", "P is taken for a constant", "hv = P.mT @ hout + vP.mT @ dout", "hv = P.mT @ hout"),
    ("mean_again_of_P", "hq", "the weights' own mean where the mean is made again", "mean = (dP * P).sum(axis=-1, keepdims=True)  # (B, H, T, 1)\n    hmean", "mean = (P * P).sum(axis=-1, keepdims=True)  # (B, H, T, 1)\n    hmean"),
    ("hmean_no_vP", "hq", "P is taken for a constant in the mean", "hmean = (hP * P + dP * vP)", "hmean = (hP * P)"),
    ("dA_again_no_mean", "hq", "the normalisation is taken for a constant where dA is made again", "    dA = P * (dP - mean)", "    dA = P * dP"),
    ("hA_no_vP", "hq", "P is taken for a constant", "hA = vP * (dP - mean) + P * (hP - hmean)", "hA = P * (hP - hmean)"),
    ("hq_no_vk", "hq", "keys are taken for constants", "hq = (hA @ k + dA @ vk) / root", "hq = (hA @ k) / root"),
    ("hk_no_vq", "hk", "queries are taken for constants", "hk = (hA.mT @ q + dA.mT @ vq) / root", "hk = (hA.mT @ q) / root"),
)
LAYERS = {"layer_norm": LAYER_NORM, "cross_entropy": CROSS_ENTROPY, "causal_softmax": CAUSAL_SOFTMAX}
TANGENTS = {"layer_norm": LAYER_NORM_TANGENTS, "cross_entropy": CROSS_ENTROPY_TANGENTS, "causal_softmax": CAUSAL_SOFTMAX_TANGENTS}
