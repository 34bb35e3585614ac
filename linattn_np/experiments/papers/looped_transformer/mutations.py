"""Wrong versions of the loop's derivation; each must be caught by its audit or its check."""

MUTATIONS = {
    "loop": (
        ("read_without_f", "dp[..., None] * f", "dp[..., None] + 0 * f", "the query's features are lost"),
        ("query_last_loop", "(a * dp[..., None]).sum(axis=0)", "(a[-1:] * dp[..., None]).sum(axis=0)",
         "the query's features are read after every loop, not after the last alone"),
        ("eta_of_a", "(da * g[t]).sum()", "(da * a[t]).sum()", "the step stands before g_t, not a_t"),
        ("dg_without_eta", "dg = etas[t] * da", "dg = da", "the step's factor is lost"),
        ("c_once", "dc = dc + dg", "dc = dg", "c is used in every loop, its gradients add up"),
        ("G_sign", "dG - dg[:, :, None] * a[t][:, None, :]", "dG + dg[:, :, None] * a[t][:, None, :]", "the sign of G in g_t"),
        ("G_turned", "dg[:, :, None] * a[t][:, None, :]", "a[t][:, :, None] * dg[:, None, :]",
         "rows and columns of dG are exchanged"),
        ("G_next", "* a[t][:, None, :]", "* a[t + 1][:, None, :]", "g_t reads the coefficients before the step"),
        ("a_not_kept", "da_read[t] + da - times", "da_read[t] - times", "the residual: a_t is in a_{t+1} too"),
        ("a_not_in_g", " - times(G.mT, dg)  # (B, k)", "  # (B, k)", "a_t is in g_t too"),
        ("a_not_read", "da = da_read[t] + da", "da = da", "the predictions of earlier loops are lost"),
        ("label_not_divided", "dc[:, None, :] / n", "dc[:, None, :]", "the 1/n of c is lost"),
        ("dy_not_divided", "times(F, dc) / n", "times(F, dc)", "the 1/n of c is lost in dy"),
        ("F_once", "F @ (dG + dG.mT) / n", "F @ dG / n", "F stands twice in G"),
        ("vF_once", "(vF.mT @ F + F.mT @ vF) / n", "(vF.mT @ F) / n", "F stands twice in G, so has two tangents"),
        ("vc_label", "times(vF.mT, y) + times(F.mT, vy)", "times(vF.mT, y)", "the tangent of the labels is lost"),
        ("vg_G", "vc - times(vG, a[t]) - times", "vc - times", "the tangent of G is lost in g_t"),
        ("va_step", "va[t] + vetas[t] * g[t] + eta * vg", "va[t] + eta * vg", "the tangent of the step is lost"),
        ("vp_query", "np.stack(va) * f + a * vf", "np.stack(va) * f", "the tangent of the query's features is lost"),
    ),
}  # fmt: skip
