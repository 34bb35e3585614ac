"""Wrong versions of the edges, of the force and of the central flow; each must be caught by the checks of its module."""

MUTATIONS = {
    "edges": (
        ("edge_doubled", "return 2 * (1 + momentum) / rate", "return 4 * (1 + momentum) / rate", "the largest step, not half of it"),
        ("momentum_lost", "2 * (1 + momentum) / rate", "2 * (1 - momentum) / rate", "the heavy ball's edge with the sign of 1 - mu"),
        ("adam_not_averaged", "(2 + 2 * beta1) / ((1 - beta1) * rate)", "(2 + 2 * beta1) / rate", "Adam's buffer is a mean: w = 1 - beta1"),
        ("adam_sign", "(2 + 2 * beta1) / ((1", "(2 - 2 * beta1) / ((1", "the trace of the matrix with the wrong sign"),
        ("weight_exchanged", "1 - beta if averaged else 1.0", "1.0 if averaged else 1 - beta", "sum and mean are exchanged"),
        ("old_buffer", "[-rate * beta, 1 - rate * weight * curvature]", "[-rate * beta, 1.0]", "x takes its step with the buffer before the update"),
        ("buffer_kept", "[[beta, weight * curvature]", "[[1.0, weight * curvature]", "the buffer does not decay"),
    ),
    "cubic": (
        ("gradient_once", "- 2 * middle + surface", "- middle + surface", "the second difference without its 2"),
        ("first_difference", "/ (h * h)  # (26.9)", "/ h  # (26.9)", "a second difference is divided by h squared"),
        ("wrong_side", "surface.grad(x - h * u))", "surface.grad(x + h * u))", "the same side twice"),
        ("a_sign", "float(-(grad * grad_lambda).sum())", "float((grad * grad_lambda).sum())", "the sign of a: descent goes against the gradient"),
        ("b_root", "float((grad_lambda * grad_lambda).sum())", "float(np.sqrt((grad_lambda * grad_lambda).sum()))", "b is a square"),
        ("along_u", "grad_lambda - (grad_lambda * u).sum() * u", "grad_lambda", "the part along u is left in grad lambda"),
        ("two_lost", "return 2 * self.a / self.b", "return self.a / self.b", "the mean of the square of an oscillation c, -c is c^2, of (c^2/2) half"),
        ("no_force", "force * found.grad_lambda)", "0 * found.grad_lambda)", "the central flow without its force"),
        ("force_up", "(found.grad + force", "(found.grad - force", "the force pushes sharpness up"),
        ("edge_of_flow", "sharpness >= 2 / rate", "sharpness >= 1 / rate", "the force begins at 1 / eta"),
        ("top_of_basis", "float(values[-1])", "float(values[0])", "the smallest of the followed values"),
        ("valley_half", "0.5 * x * x + self.rho", "x * x + self.rho", "the 1/2 of the valley is lost in its gradient"),
        ("valley_cross", "[[s, x], [x, self.rho]]", "[[s, 0], [0, self.rho]]", "the valley's curvature without its mixed term"),
    ),
}  # fmt: skip
