"""Wrong second derivatives, as data: one line changed in a tangent or in the tangent of a backward pass.

Each entry: id, the first wrong quantity in the order of the computation, the mistake in words, the text that is replaced, what
replaces it, and sometimes why nothing changes. A quantity is a field of the tangent's tape (``vW``), the tangent of the output
(``vout``) or of a gradient (``hQ``): the audit knows each of them by a complex step of the forward or of the backward pass. What
is computed on the way to one of them, such as hA on the way to hQ, is named by the first of them that comes out wrong.
"""
# fmt: off

ATTENTION = (  # lines that all kinds of attention on tokens share; vW and hA are each kind's own
    ("vA_no_reader", "{scores}", "Z as reader is taken for a constant", "vA = vZh @ Q.mT @ Zh.mT + ", "vA = "),
    ("vA_no_Q", "{scores}", "Q is taken for a constant", "vA = vZh @ Q.mT @ Zh.mT + Zh @ vQ.mT @ Zh.mT", "vA = vZh @ Q.mT @ Zh.mT"),
    ("vA_no_read", "{scores}", "Z as what is read is taken for a constant", "Zh @ vQ.mT @ Zh.mT + Zh @ Q.mT @ vZh.mT", "Zh @ vQ.mT @ Zh.mT"),
    ("vA_Q_not_turned", "{scores}", "vQ in place of vQ^T", "Zh @ vQ.mT @ Zh.mT + Zh @ Q.mT", "Zh @ vQ @ Zh.mT + Zh @ Q.mT"),
    ("vV_no_P", "vV", "P is taken for a constant", "vV = vZh @ P.mT + Zh @ vP.mT", "vV = vZh @ P.mT"),
    ("vV_no_Z", "vV", "Z is taken for a constant", "vV = vZh @ P.mT + Zh @ vP.mT", "vV = Zh @ vP.mT"),
    ("vout_no_residual", "vout", "the residual does not move", "vout = vZ + (vW", "vout = (vW"),
    ("vout_no_vW", "vout", "W is taken for a constant", "(vW @ V + W @ vV).sum(axis=1) / n", "(W @ vV).sum(axis=1) / n"),
    ("vout_no_vV", "vout", "V is taken for a constant", "(vW @ V + W @ vV).sum(axis=1) / n", "(vW @ V).sum(axis=1) / n"),
    ("vout_no_n", "vout", "1/n is missing", "(vW @ V + W @ vV).sum(axis=1) / n", "(vW @ V + W @ vV).sum(axis=1)"),
    ("dW_again_no_n", "hQ", "1/n is missing where dW is made again", "dW = douth @ V.mT / n", "dW = douth @ V.mT"),
    ("hW_no_hout", "hQ", "the gradient that enters is taken for a constant", "hW = (houth @ V.mT + douth @ vV.mT) / n", "hW = (douth @ vV.mT) / n"),
    ("hW_no_vV", "hQ", "V is taken for a constant", "hW = (houth @ V.mT + douth @ vV.mT) / n", "hW = (houth @ V.mT) / n"),
    ("dV_again_W_not_turned", "hP", "W in place of W^T where dV is made again", "dV = W.mT @ douth / n", "dV = W @ douth / n"),
    ("hV_no_hout", "hP", "the gradient that enters is taken for a constant", "hV = (W.mT @ houth + vW.mT @ douth) / n", "hV = (vW.mT @ douth) / n"),
    ("hV_no_vW", "hP", "W is taken for a constant", "hV = (W.mT @ houth + vW.mT @ douth) / n", "hV = (W.mT @ houth) / n"),
    ("hZ_no_residual", "hZ", "the residual's tangent is forgotten", "hZ = hout  #", "hZ = 0 * hout  #"),
    ("hP_no_vZ", "hP", "Z is taken for a constant", "hP = (hV.mT @ Zh + dV.mT @ vZh)", "hP = (hV.mT @ Zh)"),
    ("hP_no_hV", "hP", "dV is taken for a constant", "hP = (hV.mT @ Zh + dV.mT @ vZh)", "hP = (dV.mT @ vZh)"),
    ("hZ_value_no_vP", "hZ", "P is taken for a constant", "hZ = hZ + (hV @ P + dV @ vP)", "hZ = hZ + (hV @ P)"),
    ("hZ_value_no_hV", "hZ", "dV is taken for a constant", "hZ = hZ + (hV @ P + dV @ vP)", "hZ = hZ + (dV @ vP)"),
    ("hQ_no_reader", "hQ", "Z as reader is taken for a constant", "hQ = (vZh.mT @ dA.mT @ Zh + Zh.mT @ hA.mT @ Zh + Zh.mT @ dA.mT @ vZh)", "hQ = (vZh.mT @ dA.mT @ Zh + Zh.mT @ hA.mT @ Zh)"),
    ("hQ_no_hA", "hQ", "dA is taken for a constant", "hQ = (vZh.mT @ dA.mT @ Zh + Zh.mT @ hA.mT @ Zh + Zh.mT @ dA.mT @ vZh)", "hQ = (vZh.mT @ dA.mT @ Zh + Zh.mT @ dA.mT @ vZh)"),
    ("hQ_doubled", "hQ", "one of the two uses of Z counted twice, the other not", "hQ = (vZh.mT @ dA.mT @ Zh + Zh.mT @ hA.mT @ Zh + Zh.mT @ dA.mT @ vZh)", "hQ = (2 * vZh.mT @ dA.mT @ Zh + Zh.mT @ hA.mT @ Zh)"),
    ("hZ_reader_no_vQ", "hZ", "Q is taken for a constant", "(hA @ Zh @ Q + dA @ vZh @ Q + dA @ Zh @ vQ)", "(hA @ Zh @ Q + dA @ vZh @ Q)"),
    ("hZ_reader_no_vZ", "hZ", "Z is taken for a constant", "(hA @ Zh @ Q + dA @ vZh @ Q + dA @ Zh @ vQ)", "(hA @ Zh @ Q + dA @ Zh @ vQ)"),
    ("hZ_read_Q_not_turned", "hZ", "Q in place of Q^T", "(hA.mT @ Zh @ Q.mT + dA.mT @ vZh", "(hA.mT @ Zh @ Q + dA.mT @ vZh"),
    ("hZ_read_no_hA", "hZ", "dA is taken for a constant", "(hA.mT @ Zh @ Q.mT + dA.mT @ vZh", "(dA.mT @ vZh"),
)

LINEAR = (
    ("vW_no_mask", "vW", "the mask is forgotten", "vW = vA * {mask}", "vW = vA"),
    ("dA_again_no_mask", "hQ", "the mask is forgotten where dA is made again", "dA = dW * {mask}  #", "dA = dW  #"),
    ("hA_no_mask", "hQ", "the mask is forgotten", "hA = hW * {mask}  #", "hA = hW  #"),
)

SOFTMAX = (
    ("vE_no_mean", "vE", "the normalisation is taken for a constant", "vE = E * (vA - (vA * E).sum(axis=-1, keepdims=True))", "vE = E * vA"),
    ("vE_wrong_axis", "vE", "the mean over readers", "vE = E * (vA - (vA * E).sum(axis=-1, keepdims=True))", "vE = E * (vA - (vA * E).sum(axis=-2, keepdims=True))"),
    ("vW_no_mask", "vout", "the mask is forgotten", "W, vW = E * {mask}, vE * {mask}  # (B, H, N, N)\n    # F4", "W, vW = E * {mask}, vE  # (B, H, N, N)\n    # F4"),
    ("vW_again_no_mask", "hP", "the mask is forgotten where vW is made again", "W, vW = E * {mask}, vE * {mask}  # (B, H, N, N)\n    # B5", "W, vW = E * {mask}, vE  # (B, H, N, N)\n    # B5"),
    ("dE_again_no_mask", "hQ", "the mask is forgotten where dE is made again", "dE = dW * {mask}  # (B, H, N, N)\n    hE", "dE = dW  # (B, H, N, N)\n    hE"),
    ("hE_no_mask", "hQ", "the mask is forgotten", "hE = hW * {mask}", "hE = hW"),
    ("mean_wrong_axis", "hQ", "the mean over readers", "    mean = (dE * E).sum(axis=-1, keepdims=True)", "    mean = (dE * E).sum(axis=-2, keepdims=True)"),
    ("hmean_no_hE", "hQ", "dE is taken for a constant in the mean", "hmean = (hE * E + dE * vE)", "hmean = (dE * vE)"),
    ("hmean_no_vE", "hQ", "E is taken for a constant in the mean", "hmean = (hE * E + dE * vE)", "hmean = (hE * E)"),
    ("dA_again_no_mean", "hQ", "the mean is forgotten where dA is made again", "    dA = E * (dE - mean)", "    dA = E * dE"),
    ("hA_no_vE", "hQ", "E is taken for a constant", "hA = vE * (dE - mean) + E * (hE - hmean)", "hA = E * (hE - hmean)"),
    ("hA_no_hmean", "hQ", "the mean is taken for a constant", "hA = vE * (dE - mean) + E * (hE - hmean)", "hA = vE * (dE - mean) + E * hE"),
)

RELU = (
    ("vW_no_step", "vW", "the ReLU is taken for the identity", "vW = vA * step * {mask}", "vW = vA * {mask}"),
    ("vW_no_mask", "vW", "the mask is forgotten", "vW = vA * step * {mask}", "vW = vA * step"),
    ("dA_again_no_step", "hQ", "the step is forgotten where dA is made again", "dA = dW * {mask} * step", "dA = dW * {mask}"),
    ("hA_no_step", "hQ", "the ReLU is taken for the identity", "hA = hW * {mask} * step", "hA = hW * {mask}"),
    ("hA_no_mask", "hQ", "the mask is forgotten", "hA = hW * {mask} * step", "hA = hW * step"),
)

STATE = (
    ("vU_no_G", "vU", "G is taken for a constant", "vU = vG[:, None] @ Q + G[:, None] @ vQ", "vU = G[:, None] @ vQ"),
    ("vU_no_Q", "vU", "Q is taken for a constant", "vU = vG[:, None] @ Q + G[:, None] @ vQ", "vU = vG[:, None] @ Q"),
    ("vT_no_P", "vT", "P is taken for a constant", "vT = (vP @ U + P @ vU)", "vT = (P @ vU)"),
    ("vT_no_n", "vT", "1/n is missing", "vT = (vP @ U + P @ vU).sum(axis=1) / n", "vT = (vP @ U + P @ vU).sum(axis=1)"),
    ("vz_no_T", "vz'", "T is taken for a constant", "vz_out = times(vT, z) + times(T, vz)", "vz_out = times(T, vz)"),
    ("vz_no_z", "vz'", "z is taken for a constant", "vz_out = times(vT, z) + times(T, vz)", "vz_out = times(vT, z)"),
    ("vX_no_T", "vX", "T is taken for a constant", "vX = vT @ G + T @ vG", "vX = T @ vG"),
    ("vX_no_G", "vX", "G is taken for a constant", "vX = vT @ G + T @ vG", "vX = vT @ G"),
    ("vG_no_T", "vG'", "T is taken for a constant", "vG_out = vX @ T.mT + X @ vT.mT", "vG_out = vX @ T.mT"),
    ("vG_not_turned", "vG'", "vT in place of vT^T", "vG_out = vX @ T.mT + X @ vT.mT", "vG_out = vX @ T.mT + X @ vT"),
    ("dX_again_turned", "hP", "T^T in place of T where dX is made again", "    dX = dG_out @ T  #", "    dX = dG_out @ T.mT  #"),
    ("hX_no_vT", "hP", "T is taken for a constant", "hX = hG_out @ T + dG_out @ vT", "hX = hG_out @ T"),
    ("dT_again_not_turned", "hP", "dG' in place of dG'^T where dT is made again", "    dT = dG_out.mT @ X  #", "    dT = dG_out @ X  #"),
    ("hT_no_vX", "hP", "X is taken for a constant", "hT = hG_out.mT @ X + dG_out.mT @ vX", "hT = hG_out.mT @ X"),
    ("dT_again_no_left", "hP", "a use of T is forgotten where dT is made again", "dT = dT + dX @ G.mT", "dT = dT"),
    ("hT_left_no_vG", "hP", "G is taken for a constant", "hT = hT + hX @ G.mT + dX @ vG.mT", "hT = hT + hX @ G.mT"),
    ("hG_no_vT", "hG", "T is taken for a constant", "hG = T.mT @ hX + vT.mT @ dX", "hG = T.mT @ hX"),
    ("dT_again_no_query", "hP", "the query's T is forgotten where dT is made again", "dT = dT + outer(dz_out, z)", "dT = dT"),
    ("hT_query_no_vz", "hP", "z is taken for a constant", "outer(hz_out, z) + outer(dz_out, vz)", "outer(hz_out, z)"),
    ("hz_no_vT", "hz", "T is taken for a constant", "times(T.mT, hz_out) + times(vT.mT, dz_out)", "times(T.mT, hz_out)"),
    ("dU_again_no_n", "hQ", "1/n is missing where dU is made again", "    dU = P.mT @ dT / n", "    dU = P.mT @ dT"),
    ("hU_no_vP", "hQ", "P is taken for a constant", "hU = (P.mT @ hT + vP.mT @ dT) / n", "hU = (P.mT @ hT) / n"),
    ("hP_no_vU", "hP", "U is taken for a constant", "hP = (hT @ U.mT + dT @ vU.mT)", "hP = (hT @ U.mT)"),
    ("hG_no_vQ", "hG", "Q is taken for a constant", "hG = hG + (hU @ Q.mT + dU @ vQ.mT)", "hG = hG + (hU @ Q.mT)"),
    ("hQ_no_vG", "hQ", "G is taken for a constant", "hQ = (G[:, None].mT @ hU + vG[:, None].mT @ dU)", "hQ = (G[:, None].mT @ hU)"),
)

NETWORK = (
    ("vR_no_C", "vE", "C is taken for a constant", "vR = vC @ W1.T + C @ vW1.T + vb1", "vR = C @ vW1.T + vb1"),
    ("vR_no_b1", "vE", "b1 is taken for a constant", "vR = vC @ W1.T + C @ vW1.T + vb1", "vR = vC @ W1.T + C @ vW1.T"),
    ("vE_no_step", "vE", "the ReLU is taken for the identity", "vE = vR * step", "vE = vR"),
    ("vF_no_W2", "vout", "W2 is taken for a constant", "vF = vE @ W2.T + E @ vW2.T + vb2", "vF = vE @ W2.T + vb2"),
    ("vF_no_b2", "vout", "b2 is taken for a constant", "vF = vE @ W2.T + E @ vW2.T + vb2", "vF = vE @ W2.T + E @ vW2.T"),
    ("hW2_no_vE", "hW2", "E is taken for a constant", "hW2 = (hF.mT @ E + dF.mT @ vE)", "hW2 = (hF.mT @ E)"),
    ("hb2_one_token", "hb2", "the sum over tokens is missing", "hb2 = hF.sum(axis=(0, 1))", "hb2 = hF[:, -1].sum(axis=0)"),
    ("dE_again_one_token", "hW1", "the query's token alone where dE is made again", "    dE = dF @ W2  #", "    dE = dF[:, -1:] @ W2  #"),
    ("hE_no_vW2", "hW1", "W2 is taken for a constant", "hE = hF @ W2 + dF @ vW2", "hE = hF @ W2"),
    ("dR_again_no_step", "hW1", "the step is forgotten where dR is made again", "    dR = dE * step  #", "    dR = dE  #"),
    ("hR_no_step", "hW1", "the ReLU is taken for the identity", "hR = hE * step", "hR = hE"),
    ("hW1_no_vC", "hW1", "C is taken for a constant", "hW1 = (hR.mT @ C + dR.mT @ vC)", "hW1 = (hR.mT @ C)"),
    ("hb1_before_step", "hb1", "hb1 taken before the ReLU", "hb1 = hR.sum(axis=(0, 1))", "hb1 = hE.sum(axis=(0, 1))"),
    ("hC_no_vW1", "hC", "W1 is taken for a constant", "hC = hR @ W1 + dR @ vW1", "hC = hR @ W1"),
)

GENERAL = (
    ("vS_no_R", "vout", "R is taken for a constant", "vS = vZ @ R.T + Z @ vR.T", "vS = vZ @ R.T"),
    ("vS_no_Z", "vout", "Z is taken for a constant", "vS = vZ @ R.T + Z @ vR.T", "vS = Z @ vR.T"),
    ("vtotal_no_skip", "vout", "the skip does not move", "vtotal = vattended + vS", "vtotal = vattended"),
    ("vattended_no_vQ", "vQ", "Q is taken for a constant", "linear_attention.tangent(vZ, vP, vQ, attention)", "linear_attention.tangent(vZ, vP, 0 * vQ, attention)"),
    ("hR_no_vZ", "hR", "Z is taken for a constant", "hR = (htotal.mT @ Z + dtotal.mT @ vZ)", "hR = (htotal.mT @ Z)"),
    ("hR_no_htotal", "hR", "the gradient that enters is taken for a constant", "hR = (htotal.mT @ Z + dtotal.mT @ vZ)", "hR = (dtotal.mT @ vZ)"),
    ("hZ_skip_no_vR", "hZ", "R is taken for a constant", "hZ_skip = htotal @ R + dtotal @ vR", "hZ_skip = htotal @ R"),
    ("hP_still", "hP", "attention's tangent is not handed on", "linear_attention.backward_tangent(dtotal, htotal, attention, vattention)", "linear_attention.backward_tangent(dtotal, htotal, attention, vattention._replace(V=0 * vattention.V, W=0 * vattention.W))"),
    ("hZ_skip_dropped", "hZ", "the skip's tangent is forgotten", "    hZ = hZ + hZ_skip", "    hZ = hZ"),
)

# Hessian-vector products of whole models, and the exact diagonal; one quantity is known of each: H v, or the diagonal of H
STACK = (
    ("product_no_readout_factor", "H v by hand", "the factor 2 of (2.14) is lost in its tangent", "2 * vprediction / len(vprediction)", "vprediction / len(vprediction)"),
    ("product_no_mean", "H v by hand", "the mean's 1/B is lost in its tangent", "2 * vprediction / len(vprediction)", "2 * vprediction"),
    ("product_entered_last", "H v by hand", "every layer is given what entered the last one", "layer.backward_tangent(self.entered[l], hX", "layer.backward_tangent(self.entered[-1], hX"),
    ("product_hX_forgotten", "H v by hand", "what is handed down does not move", "layer.backward_tangent(self.entered[l], hX", "layer.backward_tangent(self.entered[l], hX if l == len(vtapes) - 1 else zero_like(hX)"),
    ("product_gradient_halved", "H v by hand", "the gradient that enters lost its factor 2", "dlast = layer.readout_backward(2 * (prediction - y) / len(y), self.last)", "dlast = layer.readout_backward((prediction - y) / len(y), self.last)"),
)
COMPOSED = (
    ("composed_vF_forgotten", "H v by hand", "the features do not move", "vtokens = np.concatenate([vF,", "vtokens = np.concatenate([0 * vF,"),
    ("composed_htokens_no_state", "H v by hand", "the state's gradient does not move", "htokens = gram.compress_backward(hstate, self.tokens) + ", "htokens = "),
    ("composed_htokens_no_tokens", "H v by hand", "the tokens do not move in (15.15)", "self.dstate._replace(z=np.zeros_like(self.dstate.z)), vtokens", "self.dstate._replace(z=np.zeros_like(self.dstate.z)), 0 * vtokens"),
    ("composed_query_twice", "H v by hand", "the query's gradient is taken for its tangent", "self.dstate._replace(z=np.zeros_like(self.dstate.z)), vtokens", "self.dstate, vtokens"),
    ("composed_cross_once", "H v by hand", "vG = V^T tokens without its transpose", "gram.State(cross + cross.mT,", "gram.State(cross,"),
    ("composed_dF_shifted", "H v by hand", "the label's column is taken for a covariate's", "self.network.backward_tangent(self.dtokens[..., :-1]", "self.network.backward_tangent(self.dtokens[..., 1:]"),
    ("composed_hF_shifted", "H v by hand", "the label's column is taken for a covariate's", "htokens[..., :-1], self.tape, vtape", "htokens[..., 1:], self.tape, vtape"),
)
DIAGONAL = (
    ("diagonal_no_squares", "diagonal of H", "the second derivative of the state along V is forgotten", "return first + 2 * (r @ dG @ r) @ squares", "return first"),
    ("diagonal_squares_once", "diagonal of H", "the factor 2 of (15.17) is lost", "return first + 2 * (r @ dG @ r) @ squares", "return first + (r @ dG @ r) @ squares"),
    ("diagonal_query_in_squares", "diagonal of H", "the query is counted among the examples", "squares = (m[:, :-1] ** 2)", "squares = (m**2)"),
    ("diagonal_no_query", "diagonal of H", "the query does not move", "    A[len(rows) :, D] = r\n", ""),
    ("diagonal_half_G", "diagonal of H", "vG = r u^T without its transpose", "        A[k, i] += r[j]\n", ""),
    ("diagonal_basis_not_symmetric", "diagonal of H", "a direction of G moves one of two equal entries", "= basis[np.arange(len(rows)), columns, rows] = 1.0", "= 1.0"),
    ("diagonal_no_step", "diagonal of H", "the ReLU is taken for the identity", "m = tape.step[..., a : a + 1] * np", "m = np"),
    ("diagonal_W2_row", "diagonal of H", "a row of W2 in the place of a column", "np.append(W2[:, a], 0.0)", "np.append(W2[a % len(W2)][: len(W2)], 0.0)"),
    ("diagonal_b2_zero", "diagonal of H", "the bias does not move the tokens", "m = np.concatenate([tape.E, ones], axis=-1)", "m = np.concatenate([tape.E, 0 * ones], axis=-1)"),
    ("diagonal_parts_swapped", "diagonal of H", "b1 and W2 change places", "at_W1[:, :-1], at_W1[:, -1], at_W2[:, :-1], at_W2[:, -1]", "at_W1[:, :-1], at_W2[:, -1], at_W2[:, :-1], at_W1[:, -1]"),
    ("diagonal_u_of_query", "diagonal of H", "the query's token is counted in u", "u = m[:, :-1].mT @ examples", "u = (m[:, :-1] + m[:, -1:]).mT @ examples"),
    ("diagonal_first_unsquared", "diagonal of H", "v K in the place of v K v", "first = ((numbers @ small) * numbers)", "first = (numbers @ small)"),
    ("diagonal_attention_doubled", "diagonal of H", "the attention's entries are doubled", "(at.attention.along(still, v)[1] * v).sum()", "2 * (at.attention.along(still, v)[1] * v).sum()"),
)
