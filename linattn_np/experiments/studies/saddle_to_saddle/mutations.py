"""Wrong derivations of this study's modules, one for each line that carries an equation: each is caught by the module's own
checks.
"""

MUTATIONS = {
    "moments": (
        ("C_same", "(1 + 1 / n) * Lambda @ Lambda", "Lambda @ Lambda", "the pair that crosses the two Lambda is missing"),
        ("C_trace", "+ np.trace(Lambda) * Lambda / n", "+ Lambda / n", "the trace is missing"),
        ("C_n", "+ np.trace(Lambda) * Lambda / n", "+ np.trace(Lambda) * Lambda", "the mean over n examples is missing"),
        ("B_once", "Lambda @ Lambda, np.kron", "Lambda, np.kron", "B = Lambda: the query's covariance is missing"),
        ("A_sides", "np.kron(C, Lambda)", "np.kron(Lambda, C)", "query and examples in each other's place"),
        ("s_sum", "/ X.shape[1]  # (B, d)", "# (B, d)", "a sum where the layer takes a mean"),
        ("B_mean", "(y @ phi / len(y))", "(y @ phi)", "a sum over the prompts where a mean belongs"),
        ("fall_one", "(1 + (1 + values.sum() / values)", "(1 + (values.sum() / values)", "1 + tr / lambda: the 1 is lost"),
        ("fall_ratio", "values.sum() / values)", "values / values.sum())", "lambda / tr in the place of tr / lambda"),
    ),
    "heads": (
        ("da_transposed", "(dQ @ b[..., None])", "(dQ.mT @ b[..., None])", "transposed: keys are the rows of Q"),
        ("da_uses_a", "(dQ @ b[..., None])", "(dQ @ a[..., None])", "a in the place of b"),
        ("db_transposed", "(dQ.mT @ a[..., None])", "(dQ @ a[..., None])", "not transposed: queries are the columns of Q"),
        ("vQ_one_term", "a[..., :, None] * vb[..., None, :]  # (S", "0 * vb[..., None, :]  # (S",
         "the product rule's second term"),
        ("dM_two", "2 * df[:, None, None] * error", "df[:, None, None] * error", "the 2 of the square"),
        ("dM_df", "2 * df[:, None, None] * error", "2 * error", "what comes from above is lost"),
        ("dv_sign", "-(Q * dM[:, None])", "(Q * dM[:, None])", "the minus of M = -sum v Q, on the way to v"),
        ("dQ_sign", "-v[..., None, None] * dM[:, None]", "v[..., None, None] * dM[:, None]", "the same minus, on the way to Q"),
        ("dQ_v", "-v[..., None, None] * dM[:, None]", "-np.ones_like(v)[..., None, None] * dM[:, None]", "v is missing"),
        ("vM_one_term", "+ v[..., None, None] * vQ).sum", "+ 0 * vQ).sum", "the product rule's second term"),
        ("vM_sign", "vM = -(vv", "vM = (vv", "the minus in the tangent"),
        ("vf_two", "2 * (error * vM)", "(error * vM)", "the 2 of the square, in the tangent"),
    ),
    "conservation": (
        ("full_sign", "yield _mixed(size, [(N, p, p, 1.0), (N, q, q, -1.0)])\n    if",
         "yield _mixed(size, [(N, p, p, 1.0), (N, q, q, 1.0)])\n    if",
         "Q is mixed by the inverse: its sign is the other"),
        ("paper_sign", "(N, q, q, -1.0)])\n        for", "(N, q, q, 1.0)])\n        for", "the same in the paper's form"),
        ("corner", "np.eye(H)[h] - np.eye(H)[0]", "np.eye(H)[h]", "N 1 = 0 is lost: the corner 1 changes"),
        ("rows", "Q[0, :, ::k]", "Q[0, :, :k]", "the first row of Q in the place of its first column"),
        ("antisymmetric", "np.outer(vectors[k], vectors[l]) - np.outer", "np.outer(vectors[k], vectors[l]) + np.outer",
         "symmetric in the place of antisymmetric"),
    ),
}  # fmt: skip
