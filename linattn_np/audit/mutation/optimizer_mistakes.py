"""Wrong optimizers and clipping, as data: id, the first quantity that the audit of the optimizers must find, words, old, new."""
# fmt: off

FIRST_ORDER = (
    ("momentum_damped", "SGD m", "m <- mu m + (1 - mu) g", "return self.momentum * state.m + grad", "return self.momentum * state.m + (1 - self.momentum) * grad"),
    ("momentum_forgotten", "SGD m", "the buffer is not kept", "return self.momentum * state.m + grad", "return grad"),
    ("momentum_in_place", "SGD", "the buffer is updated in place", "return self.momentum * state.m + grad", "state.m[...] = self.momentum * state.m + grad\n        return state.m"),
    ("sgd_uphill", "SGD x", "up the gradient", "return params - self.lr * m, Momentum(m)", "return params + self.lr * m, Momentum(m)"),
    ("sgd_old_buffer", "SGD x", "the step is taken with the buffer of before", "return params - self.lr * m, Momentum(m)", "return params - self.lr * state.m, Momentum(m)"),
    ("sgd_in_place", "SGD", "the parameters are moved in place", "return params - self.lr * m, Momentum(m)", "params -= self.lr * m\n        return params, Momentum(m)"),
    ("sign_of_gradient", "SignDescent x", "the sign of the gradient, not of the buffer", "self.lr * np.sign(m)", "self.lr * np.sign(grad)"),
    ("normalized_by_gradient", "NormalizedGD x", "the norm of the gradient, not of the buffer", "norm = global_norm(m)", "norm = global_norm(grad)"),
    ("normalized_each", "NormalizedGD x", "each coordinate by its own size", "(self.lr / norm if norm > 0 else 0.0) * m", "self.lr * m / np.sqrt(m * m)"),
    ("adagrad_set_not_added", "Adagrad v", "= in the place of +=", "v = state.v + grad * grad", "v = grad * grad"),
    ("adagrad_eps_inside", "Adagrad x", "eps under the root", "v = state.v + grad * grad\n        return params - self.lr * grad / (np.sqrt(v) + self.eps)", "v = state.v + grad * grad\n        return params - self.lr * grad / np.sqrt(v + self.eps)"),
    ("rmsprop_not_squared", "RMSProp v", "|g| in the place of g^2", "v = self.alpha * state.v + (1 - self.alpha) * grad * grad", "v = self.alpha * state.v + (1 - self.alpha) * np.abs(grad)"),
    ("rmsprop_undamped", "RMSProp v", "1 - alpha is forgotten", "v = self.alpha * state.v + (1 - self.alpha) * grad * grad", "v = self.alpha * state.v + grad * grad"),
    ("rmsprop_eps_inside", "RMSProp x", "eps under the root", "(1 - self.alpha) * grad * grad\n        return params - self.lr * grad / (np.sqrt(v) + self.eps)", "(1 - self.alpha) * grad * grad\n        return params - self.lr * grad / np.sqrt(v + self.eps)"),
    ("adam_betas_swapped", "Adam m", "beta2 in the place of beta1", "m = self.beta1 * state.m + (1 - self.beta1) * grad", "m = self.beta2 * state.m + (1 - self.beta2) * grad"),
    ("adam_v_of_m", "Adam v", "the square of the mean for the mean of the square", "squares = (1 - self.beta2) * grad * grad", "squares = (1 - self.beta2) * m * m"),
    ("adam_no_correction_m", "Adam x", "m is not corrected", "m_hat = m / (1 - power(self.beta1, t))", "m_hat = m"),
    ("adam_no_correction_v", "Adam x", "v is not corrected", "v_hat = v / (1 - power(self.beta2, t))", "v_hat = v"),
    ("adam_t_from_zero", "Adam x", "the correction counts the updates before", "v_hat = v / (1 - power(self.beta2, t))", "v_hat = v / (1 - power(self.beta2, t + 1))"),
    ("adam_eps_inside", "Adam x", "eps under the root", "self.lr * m_hat / (np.sqrt(v_hat) + self.eps)", "self.lr * m_hat / np.sqrt(v_hat + self.eps)"),
    ("adam_eps_before", "Adam x", "eps added before v is corrected", "self.lr * m_hat / (np.sqrt(v_hat) + self.eps)", "self.lr * m_hat / (np.sqrt(v_hat) + self.eps / np.sqrt(1 - power(self.beta2, t)))"),
    ("adam_float32", "Adam m", "the mean is kept in 32 bits", "m = self.beta1 * state.m + (1 - self.beta1) * grad", "m = (self.beta1 * state.m + (1 - self.beta1) * grad).astype(np.float32)"),
    ("adamw_in_gradient", "AdamW m", "the decay goes through the preconditioner", "adam.update((1 - self.lr * self.weight_decay) * params, grad, state)", "adam.update(params, grad + self.weight_decay * params, state)"),
    ("adamw_without_rate", "AdamW x", "the decay is not multiplied by the rate", "(1 - self.lr * self.weight_decay) * params", "(1 - self.weight_decay) * params"),
    ("adamw_decay_after", "AdamW x", "the step is decayed with the parameters", "return adam.update((1 - self.lr * self.weight_decay) * params, grad, state)", "params, state = adam.update(params, grad, state)\n        return (1 - self.lr * self.weight_decay) * params, state"),
    ("clip_by_squares", "NormalizedGD x", "the squared norm", "return np.sqrt(squares)", "return squares"),
    ("clip_lengthens", "clip global", "a short gradient is lengthened", "np.where(norms > threshold, grad * (threshold / np.maximum(norms, threshold)), grad)", "grad * (threshold / norms)"),
    ("clip_block_of_layer", "clip block", "P and Q share one norm", "else (-2, -1)", "else (-3, -2, -1)"),
    ("clip_block_is_global", "clip block", "one norm for all blocks", "None if by == \"global\" else (-2, -1)", "None"),
    ("clip_coordinate_one_side", "clip coordinate", "negative entries are not clipped", "np.clip(grad, -threshold, threshold)", "np.minimum(grad, threshold)"),
    ("clip_overflow", "clip global, huge", "squares beyond 1e154 overflow", "if not np.isinf(squares).any():", "if True:"),
    ("adam_groups_forgotten", "Adam by block v", "every coordinate keeps its own second moment", "if self.second_moment != \"coordinate\":", "if False:"),
    ("adam_dead_counted", "Adam by layer v", "entries without gradient are counted in the mean", "group_means(squares, grad != 0, state.groups)", "group_means(squares, grad == grad, state.groups)"),
    ("adam_groups_of_squares_of_means", "Adam by block v", "the mean of g, squared, for the mean of g^2", "squares = group_means(squares, grad != 0, state.groups)", "squares = (1 - self.beta2) * group_means(grad, grad != 0, state.groups) ** 2"),
    ("sgd_rates_forgotten", "SGD with layer rates x", "the layers' rates are forgotten", "return params - self.lr * state.rates * m, RatedMomentum", "return params - self.lr * m, RatedMomentum"),
    ("sgd_rates_in_buffer", "SGD with layer rates x", "the buffer is multiplied by the rates, again at each step", "state.rates * m, RatedMomentum(m,", "state.rates * m, RatedMomentum(state.rates * m,"),
)
GROUPS = (
    ("groups_block_of_head", "groups by block", "P and Q of a head are one block", "else 3\n", "else 2\n"),
    ("groups_layer_of_head", "groups by layer", "each head is a layer", "axes = 1 if", "axes = 2 if"),
)
MATRICES = (
    ("muon_damped", "Muon x, 5 by 5", "M <- mu M + (1 - mu) G", "m = self.momentum * state.m + grad", "m = self.momentum * state.m + (1 - self.momentum) * grad"),
    ("muon_of_gradient", "Muon x, 5 by 5", "the gradient is made orthogonal, not the momentum", "self.lr * orthogonalized(m)", "self.lr * orthogonalized(grad)"),
    ("muon_cubic", "Muon x, 5 by 5", "the fifth power is forgotten", "(b * A + c * A @ A) @ X", "(b * A) @ X"),
    ("muon_four_times", "Muon x, 5 by 5", "one iteration fewer", "range(ITERATIONS)", "range(ITERATIONS - 1)"),
    ("muon_norm_of_all", "Muon x, 5 by 5", "one norm for all blocks", "(M * M).sum(axis=(-2, -1), keepdims=True)", "(M * M).sum(keepdims=True)"),
    ("muon_in_place", "Muon", "the buffer is updated in place", "m = self.momentum * state.m + grad", "m = state.m; m *= self.momentum; m += grad"),
    ("muon_uphill", "Muon x, 5 by 5", "up the gradient", "params - self.lr * orthogonalized", "params + self.lr * orthogonalized"),
)
SCHEDULES = (
    ("linear_rises_again", "Scheduled by Linear", "the rate rises again after the end", "max(0.0, 1 - t / self.steps)", "abs(1 - t / self.steps)"),
    ("linear_from_one", "Scheduled by Linear", "the first update is counted as the second", "1 - t / self.steps", "1 - (t + 1) / self.steps"),
    ("cosine_whole", "Scheduled by Cosine", "a whole turn: the rate rises again", "math.cos(math.pi * min", "math.cos(2 * math.pi * min"),
    ("cosine_not_halved", "Scheduled by Cosine", "twice the rate", "min(t / self.steps, 1.0))) / 2", "min(t / self.steps, 1.0)))"),
    ("warm_up_from_zero", "Scheduled by WarmUp", "the first update has rate 0", "min(1.0, (t + 1) / self.steps)", "min(1.0, t / self.steps)"),
    ("warm_up_forgets", "Scheduled by WarmUp, then Linear", "what follows is forgotten", "1.0 if self.then is None else self.then(t)", "1.0"),
    ("scheduled_stands", "Scheduled by Linear", "t does not count", "ScheduledState(state.t + 1, inside)", "ScheduledState(state.t, inside)"),
)
MODULES = {"first_order": FIRST_ORDER, "groups": GROUPS, "matrices": MATRICES, "schedules": SCHEDULES}
