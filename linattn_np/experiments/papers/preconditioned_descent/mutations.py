"""Wrong derivations of this paper's modules, at least one for each line that carries an equation: each is caught by the module's
checks.
"""

MUTATIONS = {
    "averaged": (
        ("dR_transposed", "dR_out + U @ dR_out)", "dR_out + U.mT @ dR_out)", "U for its transpose"),
        ("dR_residual", "dR_out + U @ dR_out)", "U @ dR_out)", "the residual's use of R is missing"),
        ("dU_swapped", "dU_remains = R @ dR_out.mT", "dU_remains = dR_out @ R.mT",
         "the factors of the outer product are exchanged"),
        ("dP_without_U", "dT_out @ (T @ U).mT", "dT_out @ T.mT", "U is missing in what P multiplies"),
        ("dP_mean", "(dT_out @ (T @ U).mT).sum(axis=0)", "(dT_out @ (T @ U).mT).mean(axis=0)",
         "a mean over the batch where a sum belongs"),
        ("dT_residual", "dT_moved = dT_out + P.T @ dT_out @ U.mT", "dT_moved = P.T @ dT_out @ U.mT",
         "the residual's use of T is missing"),
        ("dT_P", "dT_out + P.T @ dT_out @ U.mT", "dT_out + P @ dT_out @ U.mT", "P for its transpose"),
        ("dU_moved_P", "dU_moved = (P @ T).mT @ dT_out", "dU_moved = T.mT @ dT_out", "P is missing"),
        ("dU_one_use", "dU_remains + dU_moved)", "dU_remains)", "the use of U in the covariates is forgotten"),
        ("dJ_without_S", 'S @ dU)  # (B, d, d)', 'dU)  # (B, d, d)', "S is missing"),
        ("dQ_transposed", "T @ dJ @ T.mT", "T @ dJ.mT @ T.mT", "dQ comes out transposed"),
        ("dT_one_side", "Q @ T @ dJ.mT + Q.T @ T @ dJ", "Q @ T @ dJ.mT", "J uses T twice"),
        ("dT_sides", "Q @ T @ dJ.mT + Q.T @ T @ dJ", "Q @ T @ dJ + Q.T @ T @ dJ.mT", "the two uses are exchanged"),
        ("dR_last", "2 * Sigma @ R @ W / len(S)", "Sigma @ R @ W / len(S)", "the square's factor 2"),
        ("dR_last_W", "2 * Sigma @ R @ W / len(S)", "2 * Sigma @ R / len(S)", "the tasks' covariance is missing"),
    ),
    "closed_form": (
        ("K_without_trace", "+ np.trace(W @ Sigma) / n * Sigma", "+ 0 * Sigma", "the same example met twice adds a trace"),
        ("K_n", "(n + 1) / n * Sigma @ W @ Sigma", "Sigma @ W @ Sigma", "S taken for its mean"),
        ("dA_factor", "dA = 2 * Sigma @ (A @ K - W @ Sigma)", "dA = Sigma @ (A @ K - W @ Sigma)", "the square's factor 2"),
        ("dA_order", "(A @ K - W @ Sigma)", "(K @ A - W @ Sigma)", "A and K do not commute"),
        ("best_without_trace", "Sigma + np.trace(W @ Sigma) / n * np.linalg.inv(W)", "Sigma", "as if S were its mean"),
        ("best_W", "/ n * np.linalg.inv(W))", "/ n * W)", "W where its inverse belongs"),
        ("sign", "params[0, 0, 1] = -A", "params[0, 0, 1] = A", "uphill in place of downhill"),
    ),
}  # fmt: skip
