"""Wrong derivations of this study's formulas: each is caught by the module's own checks."""

MUTATIONS = {
    "theory": (
        ("kept_square", "(kept**2 + sigma2", "(kept + sigma2", "the square of what is left"),
        ("noise_once", "lam * q**2).sum", "lam * q).sum", "the filter acts on the noise twice, once for each factor"),
        ("noise_n", "sigma2 / as_count(\"n\", n) * lam", "sigma2 * lam", "a mean over n labels has a variance of sigma^2/n"),
        ("noise_lambda", "* lam * q**2", "* q**2", "noise reaches s through the examples: X^T X brings a lambda"),
        ("gain_one", "n / (n + d + 1 + as_real", "n / (n + d + as_real", "an example meets itself: d + 1, not d"),
        ("gain_noise", "n / (n + d + 1 + as_real", "n / (n + d + 1 + 0 * as_real", "the noise is lost in the gain"),
        ("loss_one", "g**2 * (d + 1 + as_real", "g**2 * (d + as_real", "the 1 of d + 1"),
        ("loss_n", "/ test_n)", "/ test_n**2)", "1/n' once: pairs over n'^2, n' of them equal"),
        ("left_sign", "(1 + b_l * lam)  # of (31.7)", "(1 - b_l * lam)  # of (31.7)", "the sign of Q"),
        ("moved_square", "(1 + a_l * b_l * lam) ** 2", "(1 + a_l * b_l * lam)", "covariates stand in S twice"),
        ("moved_before", "lam * (1 + a_l * b_l * lam) ** 2", "lam * (1 + b_l * lam) ** 2", "P' moves the covariates too"),
        ("bayes_n", "above=0) ** 2 / as_count(\"n\", n))", "above=0) ** 2)", "the penalty is sigma^2 on X^T X, sigma^2/n on S"),
        ("bayes_square", "above=0) ** 2 / as_count", "above=0) / as_count", "a variance, not a standard deviation"),
        ("rank", "np.maximum(lam, 1e-12), 0.0)", "np.maximum(lam, 1e-12), 1.0)", "unseen directions get nothing",
         "s has no part in a direction that no example has"),
        ("few", "sigma2 * n / (d - n - 1)", "sigma2 * n / (d - n)", "the 1 of an inverse chi-square"),
        ("enough", "sigma2 * d / (n - d - 1)", "sigma2 * d / (n - d)", "the same where there are more examples"),
        ("unseen", "return d - n + sigma2", "return sigma2", "what min-norm does not see is lost"),
        ("between", "if abs(n - d) <= 1:", "if n == d:", "infinite on both sides too"),
        ("trace_two", "d - 2 * np.trace(M, axis1=-2", "d - np.trace(M, axis1=-2", "the cross term is twice"),
        ("matrix_one", "(1 + (d + 1) / as_count", "(1 + d / as_count", "an example meets itself"),
    ),
}  # fmt: skip
