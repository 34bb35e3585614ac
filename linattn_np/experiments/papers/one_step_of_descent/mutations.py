"""Wrong derivations of this paper's modules, one for each line that carries an equation: each is caught by the module's own
checks.
"""

MUTATIONS = {
    "one_layer": (
        ("dp_sign", "-(dprediction @ a)", "(dprediction @ a)", "the minus of the readout is lost"),
        ("dp_uses_u", '-(dprediction @ a))  # (D,)', '-(dprediction @ (x @ tape.K.T)))  # (D,)',
         "u in the place of a: G is missing"),
        ("da_sign", "-dprediction[:, None] * p", "dprediction[:, None] * p", "the minus of the readout is lost on the way to K"),
        ("du_no_G", "(G @ da[..., None])[..., 0])  # (B, D)", "da)  # (B, D)", "G is missing on the way back"),
        ("dK_no_x", "du.T @ x", "du.T @ np.ones_like(x)", "the query's covariates are missing"),
        ("dK_mean", "du.T @ x", "du.T @ x / len(x)", "a mean over the batch where a sum belongs"),
        ("vu_uses_K", "vu = x @ vK.T", "vu = x @ tape.K.T", "the weights where their tangent belongs"),
        ("va_no_G", "va = (G @ vu[..., None])[..., 0]", "va = vu", "G is missing in the tangent"),
        ("vprediction_one_term", "-(va @ p + a @ vp)", "-(va @ p)", "the product rule's second term is missing"),
        ("vprediction_sign", "-(va @ p + a @ vp)", "-(va @ p - a @ vp)", "a sign within the product rule"),
    ),
    "weights": (
        ("sign", "params[0, 0, 1] = -eta * np.eye(d)", "params[0, 0, 1] = eta * np.eye(d)", "uphill in place of downhill"),
        ("w0_sign", "[*-w0, 1.0]", "[*w0, 1.0]", "the residual's sign: y + w_0 . x"),
        ("w0_eta", '-as_real("eta", eta) * np.eye(len(w0))', '-np.eye(len(w0))', "the step length is missing"),
        ("c_over_eta", "c / eta * np.eye(d)", "c * np.eye(d)", "Q's eta also multiplies the covariates' step"),
        ("c_sign", "c / eta * np.eye(d)", "-c / eta * np.eye(d)", "covariates stretched in place of shrunk"),
        ("plus_one_layer", "params[:, 0, 1] = -eta", "params[:1, 0, 1] = -eta", "only the first layer descends"),
    ),
    "descent": (
        ("moved_once", "moved = lam * m * m", "moved = lam * m", "S m in the place of S m^2"),
        ("moved_never", "moved = lam * m * m", "moved = lam", "the covariates' change is forgotten"),
        ("step_sign", "r * (1 - eta * moved)", "r * (1 + eta * moved)", "uphill in place of downhill"),
        ("m_after_r", "m * (1 - c * moved)", "m - c * moved", "the change of m lacks its factor m"),
    ),
}  # fmt: skip
