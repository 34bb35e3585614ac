# ---
# jupyter:
#   jupytext:
#     cell_metadata_filter: -all
#     formats: ipynb,source//py:percent
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Lesson 21. Momentum
#
# **Claim.** One momentum between the layers of linear attention is Polyak's heavy ball, and with it eight layers have a third of the loss; "momentum" within causal attention is a weight that grows with the distance, and helps only where the symbol wanted is far.
#
# | read | code | run | level | needs | seed |
# |---|---|---|---|---|---|
# | 45 min | 70 min | 1 min | 4 of 5 | 01, 02, 03, 06 | 21 |
#
# **Misconception.** Momentum makes attention converge faster, wherever it is put in.
#
# **Afterwards you can say.** Between layers momentum repeats the last move of the implicit weights, so small eigenvalues are not left behind; within attention it damps the newest tokens, so I hold the far gain fixed and ask how far back the wanted token is. (t2)
#
# <details><summary>Symbols of this lesson</summary>
#
# | symbol | meaning |
# |---|---|
# | $\eta_l$ (here) | step of layer $l$; one number where there is no index |
# | $\beta_l$ (here) | momentum of layer $l$; within attention one number $\beta$ |
# | $\gamma$ (here) | factor of the momentum within attention |
# | $C$, $b$ (here) | $\frac{1}{n} \sum_j x_j x_j^\top$ and $\frac{1}{n} \sum_j y_j x_j$ of one prompt |
# | $g_l$ (here) | $b - C w_l$, minus the gradient of the prompt's own loss |
# | $\delta$ (here) | what the adaptive momentum stays below 1 by, $10^{-3}$ |
# | $\lambda$, $\nu$ (here) | an eigenvalue of $C$; its smallest |
# | $\rho$ (here) | factor by which a layer shrinks the error along an eigenvector |
# | $\varphi$ (here) | feature map $\mathrm{elu} + 1$ |
# | $m_i$, $s_i$ (here) | momentum and state after token $i$, both $D \times D$ |
# | $a_k$ (here) | weight of a token $k$ places back |
#
# </details>
#
# The Momentum Transformer puts momentum in two places: between layers, and into the sum that causal linear attention keeps. You will derive both, learn the two numbers of the first by a hand-made
# backward pass, and hold the second against a control that the paper does not have.

# %%
import numpy as np

import linattn_np as la
from linattn_np.experiments.papers.momentum import heavy_ball, scalars
from linattn_np.experiments.papers.momentum.copy_network import CopyNetwork
from linattn_np.experiments.papers.momentum.copy_task import CopyTask, at_the_end, train
from linattn_np.progress import bar
from linattn_np.teaching import by_profile, check, knob, loaded, moving, paper_and_us
from linattn_np.teaching import predict, reveal, show, symbols, table, versions
from linattn_np.teaching.pictures import lesson_21 as pictures

SEED = 21
versions(SEED)
symbols("B n d L w y Z P Q dX")

# %% [markdown]
# ## 1. Predict
#
# Eight layers of attention descend on prompts whose covariates have eigenvalues near 1, 1/4 and 1/16. One learned number more, a momentum between layers: what is left of the loss, as a fraction of the loss without it? And a small network is to name the symbol $k$ places back: momentum .9 within its attention, at
# equal far gain, changes its loss. For which of $k = 1, 3, 6, 12$ does it help?

# %%
### BEGIN SOLUTION
fraction_guess = 0.5
helps_guess = "all of them"
### END SOLUTION
predict("21.p1", "loss of eight layers with a learned momentum, over that without",
        fraction_guess)
predict("21.p2", "for which k momentum .9 lowers the loss", helps_guess)

# %% [markdown]
# What momentum can do shows in one prompt. Descent shrinks the error along an eigenvector of $C$ by the factor $|1 - \eta \lambda|$ a layer, momentum by another one. Turn $\beta$, and watch the left end, where the small eigenvalues are.

# %%
prompts = scalars.prompts(3, np.random.default_rng(SEED))
eigenvalues = np.linalg.eigvalsh(prompts.C[0])
moving(lambda beta: pictures.draw_rate(beta, 0.9, eigenvalues),
       "The factor of the error a layer against the eigenvalue: a V for descent, and for the "
       "heavy ball a flat floor at the root of beta between two arms.",
       beta=knob((0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9), 0.4, "momentum"))

# %% [markdown]
# ## 2. Derive
#
# **Between layers.** The paper adds to every layer a part of the layer's last move,
#
# $$ Z_{l+1} = Z_l + \mathrm{attention}(Z_l) + \beta_l\, (Z_l - Z_{l-1}), \qquad Z_{-1} = Z_0 \tag{21.1} $$
#
# Take the layer of lesson 16: $P$ adds to the labels alone and $Q = -\eta I$ on the covariates. Covariates stay, so their difference is zero. Token $j$ has the label $y_j - \langle w_l, x_j \rangle$ with $w_0 = 0$: by induction, attention adds $-\eta \langle g_l, x_j \rangle$ and the difference of labels is $-\langle w_l - w_{l-1}, x_j \rangle$. Both are linear in $x_j$, *with the same vector for every token*. So the stack is
#
# $$ w_{l+1} = w_l + \eta_l\, g_l + \beta_l\, (w_l - w_{l-1}), \qquad g_l = b - C w_l \tag{21.2} $$
#
# Polyak's heavy ball, on weights that nobody stores. The query's prediction is $\langle w_L, x \rangle$.
#
# **Its backward pass.** Scalar first: $w_l$ is used in $g_l$, in $w_l - w_{l-1}$, as itself, and once more, with a minus, as "the layer before" of the *next* layer. Four uses, four terms:
#
# $$ dw_l = (1 + \beta_l)\, dw_{l+1} - \eta_l\, C\, dw_{l+1} - \beta_{l+1}\, dw_{l+2} \tag{21.3} $$
# $$ d\eta_l = \sum \langle dw_{l+1}, g_l \rangle \tag{21.4} $$
# $$ d\beta_l = \sum \langle dw_{l+1}, w_l - w_{l-1} \rangle \tag{21.5} $$
#
# One number for all layers gets the sum over $l$.
#
# **How fast.** Along an eigenvector with eigenvalue $\lambda$ the error obeys $e_{l+1} = (1 + \beta - \eta \lambda)\, e_l - \beta\, e_{l-1}$. In the long run it shrinks by the larger root in size of
#
# $$ \rho^2 - (1 + \beta - \eta \lambda)\, \rho + \beta = 0 \tag{21.6} $$
#
# The product of the roots is $\beta$. Where they are complex, both have size $\sqrt{\beta}$, whatever $\lambda$ is: the flat floor of the picture. It ends where the roots become real, at $\sqrt{\eta \lambda} = 1 - \sqrt{\beta}$. To put the end on the smallest eigenvalue take $\beta = (1 - \sqrt{\eta \nu})^2$, the paper's Theorem 2: factor $1 - \sqrt{\eta \nu}$ in place of $1 - \eta \nu$. The right arm rises later too: steps up to $\eta \lambda = 2 (1 + \beta)$ are stable.
#
# The paper's adaptive rule reads $\eta \nu$ off the last two gradients, which along one eigenvector differ by the factor $1 - \eta \lambda$:
#
# $$ \beta_l = \Big( 1 - \sqrt{ |g_l - g_{l-1}| \,/\, |g_{l-1}| } \Big)^2, \qquad \text{at most } 1 - \delta \tag{21.7} $$
#
# For generic matrices the sweep is the same on tokens, with the layer's own backward pass $A_l$ of lesson 02 in the place of the two middle terms:
#
# $$ dZ_l = A_l(dZ_{l+1}) + \beta_l\, dZ_{l+1} - \beta_{l+1}\, dZ_{l+2} \tag{21.8} $$
# $$ d\beta_l = \langle dZ_{l+1}, Z_l - Z_{l-1} \rangle \tag{21.9} $$

# %% [markdown]
# **Within attention.** Causal linear attention keeps $s_i = \sum_{j \le i} \varphi(k_j) v_j^\top$ and $z_i = \sum_{j \le i} \varphi(k_j)$. Read each addition as a gradient step on $s$, the paper says, and give it momentum:
#
# $$ m_i = \beta\, m_{i-1} - \varphi(k_i)\, v_i^\top, \qquad s_i = s_{i-1} - \gamma\, m_i, \qquad z_i \text{ as before} \tag{21.10} $$
#
# But here nothing is minimised: each "gradient" is another token. Unroll it. Token $j$ enters $m_i$ with weight $-\beta^{i-j}$, and $s_i$ adds these up. A token $k$ places back has the weight
#
# $$ a_k = \gamma\, \frac{1 - \beta^{k+1}}{1 - \beta}, \qquad W_{ij} = a_{i-j} \;\text{ for } j \le i, \text{ else } 0 \tag{21.11} $$
#
# from $\gamma$ at distance 0 up to the *far gain* $\gamma / (1 - \beta)$. Momentum damps the newest tokens. Two things change at once, the far gain and the shape; to see the shape alone, keep the far gain fixed.

# %%
moving(lambda beta: pictures.draw_weights(beta),
       "The matrix of weights at far gain 3/2: for beta 0 the same everywhere, for larger "
       "beta a dark diagonal that widens; beside it the weight against the distance, which "
       "rises slower the larger beta is.",
       beta=knob((0.0, 0.1, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9), 0.6, "momentum"))

# %% [markdown]
# In parallel, with $F = \varphi(q)$ and $G = \varphi(k)$, where $\varphi(x) = x + 1$ above 0 and $e^x$ below:
#
# $$ F = \varphi(q), \qquad G = \varphi(k), \qquad \varphi' = 1 \text{ or } e^x \tag{21.12} $$
# $$ S = F G^\top \text{ for } j \le i, \quad z_i = \sum_j S_{ij}, \quad P_{ij} = W_{ij} S_{ij} / z_i, \quad O = P v \tag{21.13} $$
#
# Backward. $S$ is used twice, in the numerator $N = W S$ and in the denominator, which is *not* weighted:
#
# $$ dP = dO\, v^\top, \qquad dv = P^\top dO \tag{21.14} $$
# $$ dN = dP / z, \qquad dz_i = - \sum_j dP_{ij} P_{ij} / z_i \tag{21.15} $$
# $$ dS = W\, dN + dz \;\text{ for } j \le i, \qquad dW = \sum S\, dN \tag{21.16} $$
# $$ dF = dS\, G, \quad dG = dS^\top F, \quad dq = dF\, \varphi'(q), \quad dk = dG\, \varphi'(k) \tag{21.17} $$
#
# With $da_k$ the sum of $dW_{ij}$ over the pairs $k$ apart, the two numbers get
#
# $$ d\gamma = \sum_k da_k\, a_k / \gamma \tag{21.18} $$
# $$ d\beta = \sum_k da_k\, \gamma\, \frac{(1 - \beta^{k+1}) - (k+1)\, \beta^k (1 - \beta)}{(1 - \beta)^2} \tag{21.19} $$
#
# <details><summary>Why layer norm and cross-entropy go back as they do</summary>
#
# The copy network below also needs these two. A token $X$ with $D$ entries, means over its entries:
#
# $$ C = X - \mathrm{mean}\, X \tag{21.21} $$
# $$ V = \mathrm{mean}\, C^2 + \mathrm{eps} \tag{21.22} $$
# $$ S = V^{-1/2} \tag{21.23} $$
# $$ U = C S \tag{21.24} $$
# $$ Y = U\, \mathrm{gain} + \mathrm{bias} \tag{21.25} $$
#
# $C$ is used twice, in $U$ and in its own spread. From $dY$, upwards:
#
# $$ d\,\mathrm{gain} = \sum dY\, U \tag{21.26} $$
# $$ d\,\mathrm{bias} = \sum dY \tag{21.27} $$
# $$ dU = dY\, \mathrm{gain} \tag{21.28} $$
# $$ dC = dU\, S \;\text{ (scaled)} \tag{21.29} $$
# $$ dS = \sum_j dU\, C \tag{21.30} $$
# $$ dV = - \tfrac{1}{2} dS\, S^3 \tag{21.31} $$
# $$ dC \mathrel{+}= 2\, C\, dV / D \;\text{ (spread)} \tag{21.32} $$
# $$ dX = dC - \mathrm{mean}\, dC \tag{21.33} $$
#
# Cross-entropy, each token's share its weight over the sum of weights:
#
# $$ L = A - \log \sum_k e^{A_k} \tag{21.34} $$
# $$ \mathrm{loss} = - \sum \mathrm{share}\; L[\mathrm{target}] \tag{21.35} $$
# $$ dL = - \mathrm{share} \text{ at the target, else } 0 \tag{21.36} $$
# $$ dA = dL - e^L \sum_k dL \tag{21.37} $$
#
# </details>
#
# <details><summary>The rest of the copy network</summary>
#
# Causal softmax attention (`la.layers.causal_softmax`) is lesson 14's with a triangular mask, which acts before the softmax:
#
# $$ A = q k^\top / \sqrt{D}, \quad P = \mathrm{softmax} \text{ over } j \le i, \quad O = P v \tag{21.38} $$
# $$ dP = dO\, v^\top \tag{21.39} $$
# $$ dv = P^\top dO \tag{21.40} $$
# $$ dA = P\, \big( dP - \sum_j dP\, P \big) \tag{21.41} $$
# $$ dq = dA\, k / \sqrt{D} \tag{21.42} $$
# $$ dk = dA^\top q / \sqrt{D} \tag{21.43} $$
#
# A token is its symbol's row of $E$ beside the sines and cosines of its place; norms stand behind the sums:
#
# $$ X = [E[a_t] ; s_t] \tag{21.44} $$
# $$ q, k, v = X W^\top, \quad X' = \mathrm{norm}(X + O W_o^\top) \tag{21.45} $$
# $$ X'' = \mathrm{norm}(X' + \mathrm{network}(X')) \tag{21.46} $$
# $$ \mathrm{logits} = X U^\top + c \tag{21.47} $$
# $$ dU = \sum d\mathrm{logits}^\top X, \quad dc = \sum d\mathrm{logits}, \quad dX = d\mathrm{logits}\, U \tag{21.48} $$
# $$ dX' = dY'' + \text{what the network hands down}, \quad Y'' \text{ the sum before the norm} \tag{21.49} $$
# $$ dW_o = \sum dY'^\top O, \quad dO = dY' W_o \tag{21.50} $$
# $$ dW = \sum d(q, k, v)^\top X, \quad dX = dY' + d(q, k, v)\, W \tag{21.51} $$
# $$ dE[v] = \text{sum of } dX_t \text{ over the } t \text{ with } a_t = v \tag{21.52} $$
# </details>
#
# > **Where people slip**
# > - *The fourth use.* Without the last term of (21.3) the gradient still points roughly the right way.
# > - *Momentum of $w$.* It repeats the last move, not the place.
# > - *The denominator.* Its scores have no weights, but they do have a gradient.
# > - *A gain taken for an effect.* $\beta = .1$, $\gamma = .6$ multiplies nearly everything by 2/3.

# %% [markdown]
# ## 3. On paper
#
# **Layers.** One example $(1; 2)$, so $C = 1$, $b = 2$; $\eta = \beta = 1/2$. From $w_0 = 0$:
#
# $$ w_1 = 0 + 1 = 1, \qquad w_2 = 1 + \tfrac{1}{2} \cdot 1 + \tfrac{1}{2} \cdot 1 = 2, \qquad w_3 = 2 + 0 + \tfrac{1}{2} \cdot 1 = \tfrac{5}{2} $$
#
# At $w_2$ the gradient is zero, and the ball rolls on. The query 3 is answered by 3, 6, 7.5.
#
# **Attention.** $q = k = 0$, so $\varphi = 1$; values 1 and 3; $\beta = 1/2$, $\gamma = 2$. Then $a_0 = 2$ and $a_1 = 2 \cdot \frac{3/4}{1/2} = 3$:
#
# $$ O_1 = \frac{2 \cdot 1}{1} = 2, \qquad O_2 = \frac{3 \cdot 1 + 2 \cdot 3}{2} = \frac{9}{2} $$

# %%
ours = la.papers.momentum
Z_paper = np.array([[[1.0, 2.0], [3.0, 0.0]]])  # (B, N, D) = (1, 2, 2)
answers = [ours.predict(ours.heavy_ball_params(1, 0.5, L), Z_paper, 0.5)[0] for L in (1, 2, 3)]
still, values = np.zeros((2, 1)), np.array([[1.0], [3.0]])
print("layers:", *(f"{a:g}" for a in answers),
      "  attention:", *(f"{o:g}" for o in ours.attention(still, still, values, 0.5, 2.0)[:, 0]))

# %% [markdown]
# ## 4. Code it
#
# The stack, as (21.1) says it, by loops over prompts, readers and examples; then as matrices, (21.2); then the library, on tokens and on the state.

# %%
def by_loops(Z, eta, beta, layers):
    """(B,): tokens one by one. Only labels move."""
    out = []
    for tokens in Z:
        X, now = tokens[:, :-1], tokens[:, -1].copy()
        before, n = now, len(tokens) - 1
        for _ in range(layers):
            new = now + beta * (now - before)
            for i in range(n + 1):
                new[i] -= eta / n * sum(now[j] * (X[j] @ X[i]) for j in range(n))
            before, now = now, new
        out.append(-now[-1])
    return np.array(out)


def by_matrices(Z, eta, beta, layers):
    """(B,): the heavy ball (21.2) on the implicit weights."""
    X, y, n = Z[:, :-1, :-1], Z[:, :-1, -1:], Z.shape[1] - 1
    w = before = np.zeros((len(Z), X.shape[-1], 1))
    for _ in range(layers):
        w, before = w + eta * (X.mT @ (y - X @ w)) / n + beta * (w - before), w
    return (Z[:, -1, :-1] * w[..., 0]).sum(axis=1)


# %%
Z, y = la.RegressionTask(n=11, d=4).sample(5, np.random.default_rng(SEED))
params = ours.heavy_ball_params(4, 0.4, 6)
roads = {"loops": by_loops(Z, 0.4, 0.6, 6), "matrices": by_matrices(Z, 0.4, 0.6, 6),
         "library, tokens": ours.predict(params, Z, 0.6)}
reference = ours.predict_on_the_state(params, Z, 0.6)
table(("road", "largest difference from the library's, on the state"),
      [(name, f"{np.abs(found - reference).max():.0e}") for name, found in roads.items()])

# %% [markdown]
# Attention the same way: token by token as (21.10), then with the matrix (21.11).

# %%
def phi(x):
    return np.where(x > 0, x + 1, np.exp(np.minimum(x, 0)))  # (21.12)


def token_by_token(q, k, v, beta, gamma):
    """(T, D): two states, no matrix of pairs (21.10)."""
    m, s, z, out = np.zeros((q.shape[1], v.shape[1])), 0.0, 0.0, []
    for i in range(len(q)):
        m = beta * m - np.outer(phi(k[i]), v[i])
        s, z = s - gamma * m, z + phi(k[i])
        out.append(phi(q[i]) @ s / (phi(q[i]) @ z))
    return np.array(out)


def all_pairs(q, k, v, beta, gamma):
    """(T, D): the closed form (21.11), (21.13)."""
    S = phi(q) @ phi(k).T * np.tri(len(q))
    distance = np.maximum(np.subtract.outer(np.arange(len(q)), np.arange(len(q))), 0)
    W = gamma * (1 - beta ** (distance + 1)) / (1 - beta)
    return (W * S) @ v / S.sum(axis=1, keepdims=True)


# %%
q, k, v = np.random.default_rng(SEED).standard_normal((3, 13, 5))
reference = ours.attention(q, k, v, 0.9, 0.15)
table(("road", "largest difference from the library's"), [
    (name, f"{np.abs(road(q, k, v, 0.9, 0.15) - reference).max():.0e}")
    for name, road in (("token by token", token_by_token), ("all pairs", all_pairs),
                       ("library, recurrent", ours.attention_recurrent))])

# %% [markdown]
# ## 5. Audit it
#
# **The test.** For generic $\eta_l$, $\beta_l$ and any direction $u$, $\mathrm{Im}\, f(x + i h u) / h$ with $h = 10^{-30}$ must be $\langle \text{gradient}, u \rangle$, for each number by itself. Here is the sweep (21.3) to (21.5) written once more, and under it the same with the fourth use forgotten.

# %%
C, b = scalars.prompts(5, np.random.default_rng(SEED))[:2]


def run(theta):
    """w_4 (B, d) for theta (2, 4): etas and betas."""
    w = before = 0 * b
    for eta, beta in theta.T:
        w, before = w + eta * (b - (C @ w[..., None])[..., 0]) + beta * (w - before), w
    return w


def sweep(theta, dw, fourth_use=1.0):
    """(21.3) to (21.5)."""
    w, grad, later = [0 * b, 0 * b], np.zeros(theta.shape), 0.0  # w_{-1}, w_0
    for l in range(theta.shape[1]):
        w.append(run(theta[:, : l + 1]))
    for l in reversed(range(theta.shape[1])):
        eta, beta = theta[:, l]
        g = b - (C @ w[l + 1][..., None])[..., 0]
        grad[:, l] = (dw * g).sum(), (dw * (w[l + 1] - w[l])).sum()
        now = (1 + beta) * dw - eta * (C @ dw[..., None])[..., 0] + later
        later, dw = -beta * dw * fourth_use, now
    return grad


# %%
theta = np.random.default_rng(SEED).uniform(0.2, 0.8, (2, 4))
good = la.audit.audit_gradient(run, sweep, theta, title="heavy ball")
wrong = lambda t, dw: sweep(t, dw, 0.0)
bad = la.audit.audit_gradient(run, wrong, theta, title="fourth use forgotten")
print(f"{good.title}: {good.verdict}\n{bad.title}: {bad.verdict}")
pair = [sweep(theta, np.ones(b.shape), use).ravel() for use in (1.0, 0.0)]
cosine = pair[0] @ pair[1] / np.prod([np.linalg.norm(g) for g in pair])
print(f"cosine of the right and the wrong gradient: {cosine:.2f}")

# %% [markdown]
# The wrong sweep has a cosine of more than zero with the right one: a step along it may well lower the loss, so a falling loss is no test of it.

# %% [markdown]
# ## 6. Experiment
#
# **Between layers.** One question: what does one momentum more buy, against depth? The knob is the number of layers. Beside the heavy ball stand two rivals: *a step for each layer*, which has more numbers and no momentum; and descent on *whitened* covariates, where no eigenvalue is small.

# %%
depths, seeds = by_profile((2, 4), (2, 4, 8, 12)), by_profile(1, 2)
size = {"iterations": by_profile(5, 60), "count": by_profile(100, 2048)}
found = {kind: np.zeros((len(depths), seeds)) for kind in scalars.KINDS}
betas = np.zeros((len(depths), seeds))
with bar(len(scalars.KINDS) * betas.size, "two numbers learned", unit="run") as shown:
    for kind, losses in found.items():
        for at in np.ndindex(betas.shape):
            run_of = scalars.train(kind, depths[at[0]], seed=at[1], **size)
            losses[at] = run_of["loss"]
            if kind == "heavy ball":
                betas[at] = run_of["theta"][1]
            shown.update()
show(pictures.draw_ball(depths, found, betas),
     "Loss against depth: descent falls slowly, a step for each layer somewhat faster, the "
     "heavy ball fast; whitened descent lies lowest. The learned momentum grows.")
at = depths.index(by_profile(4, 8))
medians = {kind: np.median(losses[at]) for kind, losses in found.items()}
reveal("21.p1", medians["heavy ball"] / medians["descent"],
       f"At {depths[at]} layers, medians of {seeds} seeds.")
table(("kind", f"loss at {depths[at]} layers"),
      [(kind, float(value)) for kind, value in medians.items()])

# %% [markdown]
# Look at the two rivals. Where the covariates are whitened, descent alone is far below the heavy ball: what momentum cures is the spread of the eigenvalues, and nothing else. Steps of their own do not come as far in the same number of iterations. Is that because they *cannot*? The error of (21.2) along an eigenvector is a polynomial of degree $L$ in $\lambda$ that is 1 at 0, made by a recurrence of three terms, so its roots are real and distinct (Favard). Descent with the steps $1 / \text{root}$ has the same polynomial. Type them in:

# %%
def steps_of(eta, beta, layers):
    """The steps of the plain descent that is the heavy ball of that many layers."""
    x = np.polynomial.Polynomial([0.0, 1.0])
    error = before = np.polynomial.Polynomial([1.0])
    for _ in range(layers):
        error, before = error - eta * x * error + beta * (error - before), error
    return 1 / error.roots()


depth, drawn = 8, scalars.prompts(by_profile(100, 4000), np.random.default_rng(SEED))
typed = steps_of(1.1, 0.63, depth)
losses = [scalars.loss_and_grad(kind, numbers, depth, drawn)[0] for kind, numbers in (
    ("heavy ball", np.array([1.1, 0.63])), ("steps", typed), ("descent", np.array([0.8])))]
table(("eight layers", "loss on the same prompts"), [
    ("heavy ball, eta 1.1 and beta .63", losses[0]), ("steps typed in, no momentum", losses[1]),
    ("one step, .8", losses[2])])
print("the steps:", *(f"{step:.2f}" for step in np.sort(typed)))

# %% [markdown]
# The same loss, without momentum. So the heavy ball can do nothing that $L$ steps cannot. It says the same with one number for any depth, and that number is easy to learn: the longest of those steps lies far beyond what is stable when it is repeated, and training does not get there.
#
# **Within attention.** The knob is the distance. A small network, one layer, is asked for the symbol $k$ places back, once with $\beta = .9$ and once with $\beta = 0$, both with far gain 3/2.

# %%
lags, seeds = by_profile((1, 12), (1, 3, 6, 12)), by_profile(1, 2)
iterations = by_profile(3, 150)
change = np.zeros((len(lags), seeds))
with bar(2 * change.size, "symbols at a distance", unit="run") as shown:
    for at in np.ndindex(change.shape):
        for sign, beta in ((1, 0.9), (-1, 0.0)):
            network = CopyNetwork(beta=beta, gamma=1.5 * (1 - beta))
            run_of = train(network, CopyTask(lag=lags[at[0]]), iterations, at[1])
            change[at] += sign * at_the_end(run_of["loss"])
            shown.update()
show(pictures.draw_lags(lags, change),
     "The loss with beta .9 less that with beta 0, in nats, against the distance: above zero "
     "for near symbols, falling towards zero and below it for far ones.")
helps = [str(k) for k, row in zip(lags, change, strict=True) if np.median(row) < 0]
reveal("21.p2", ", ".join(helps) or "none",
       f"{iterations} iterations, medians of {seeds} seeds.")
table(("places back", *(f"seed {s}" for s in range(seeds))),
      [(k, *(f"{x:+.3f}" for x in row)) for k, row in zip(lags, change, strict=True)],
      "loss of beta .9 less that of beta 0, in nats")

# %% [markdown]
# Nothing converges faster here. The weights (21.11) are an opinion about where the wanted symbol is. Where the opinion is wrong, they do harm, and more than they help where it is right. In 150 iterations the far symbols are hardly learned yet; the copy task below has 400.

# %% [markdown]
# ## 7. The paper and us
#
# The same at full scale: learned numbers with three seeds, the copy task with five.

# %%
paper = loaded("momentum")
show(ours.draw(paper, None),
     "Loaded: six panels. Loss and learned momentum against depth; weights against distance; "
     "the copy task's losses; their ends for each seed; what beta .6 and .9 change.")

# %%
paper_and_us([
    "momentum.heavy_ball.4", "momentum.heavy_ball.8", "momentum.heavy_ball.16",
    "momentum.optimum", "momentum.depth", "momentum.adaptive", "momentum.copy.paper",
    "momentum.copy.gain", "momentum.copy.reweighting", "momentum.copy.order",
    "momentum.copy.gap", "momentum.copy.softmax", "momentum.copy.smaller", "momentum.near",
    "momentum.two_layers", "momentum.released",
])

# %% [markdown]
# With one layer words have one length. Two layers can find out how long the word is; here it has 8 to 14 symbols, and the network 600 iterations.

# %%
table(("two layers, loss at the end", *(f"seed {s}" for s in range(5)), "median"),
      [(name, *found["loss"]["each_seed"], found["loss"]["median"])
       for name, found in paper["two"].items()], "nats; beta .6 and .9 have far gain 3/2")
rows = []
for name in ("beta .6", "beta .9"):
    to_gain = [np.subtract(*both) for both in zip(*(
        paper["two"][each]["curve"]["each_seed"] for each in (name, "gain 3/2")), strict=True)]
    for at in (4, 9, 14, 19):  # the end of every fourth window of twenty
        differences = np.array(to_gain)[:, at]
        rows.append((name, paper["two"][name]["curve"]["iterations"][at],
                     f"{np.median(differences):+.3f}", f"{(differences < 0).sum()} of 5"))
table(("two layers", "iteration", "to the gain alone", "lower in"), rows,
      "nats, median of seeds")

# %% [markdown]
# With two layers the order is gone. After half of the iterations $\beta = .9$ is below its gain alone in every seed; at the end it is above it in all but one. And $\beta = .6$ is below in three of five, with seeds a tenth of a nat and more apart: five of them do not decide. So the reweighting helped early and not at the end; in one layer it helped to the end. Why it turns is open. A guess, not tested: once the network has found where to look, an opinion about distances is in its way.
#
# **What this is.** A partial replication, in the spirit of the paper's copy task: one layer of width 32 and words of 12 symbols, or two layers and up to 14, where the paper has four layers and up to 63; hundreds of iterations where it has ten thousand. The paper's own results there are curves without numbers; in its authors' log linear and softmax attention both end near 100 percent, so its claim is about speed. Of its other experiments we rebuild none. What it prints of them, read in its text:

# %%
head = "attention", "LRA, average", "MNIST, bits/dim", "CIFAR-10, bits/dim", "translation, BLEU"
table(head, [
    ("softmax", "58.70", "0.84", "3.20", "24.34"), ("linear", "54.67", "0.85", "3.44", "21.37"),
    ("momentum", "55.68", "0.84", "3.43", "22.11"),
    ("with the adaptive connection", "56.04", "0.80", "3.38", "22.20"),
], "The paper's numbers, not ours; of its baselines none has the gain alone.")

# %% [markdown]
# **Where it does not come out.** The paper's own $\beta$ and $\gamma$ do nothing that their far gain alone does not do, and that gain, 2/3, is here a little worse than 1. At fixed $\gamma = .6$ the paper finds smaller $\beta$ better; here the larger one is, and its far gain is nine times as large: gain and shape were turned together.

# %%
count, iterations = by_profile((100, 3), (4096, 60))
eta, beta = scalars.train("heavy ball", 16, iterations, count, seed=1)["theta"]
test = scalars.prompts(count, np.random.default_rng([1, 1]))  # what that seed is tested on
w, _ = heavy_ball.forward(test.C, test.b, np.full(16, eta), np.full(16, beta))
errors = ((w * test.query).sum(axis=1) - test.y) ** 2
eigenvalues, worst = np.linalg.eigvalsh(test.C), np.argsort(errors)[-2:]
print(f"seed 1: stable up to an eigenvalue of {2 * (1 + beta) / eta:.2f}; two of {count} "
      f"prompts have {eigenvalues[worst[0], -1]:.2f} and {eigenvalues[worst[1], -1]:.2f}, and "
      f"{100 * errors[worst].sum() / errors.sum():.0f} % of the loss")
_, adaptive = heavy_ball.adaptive(test.C, test.b, 0.9, 8)  # its best step there
medians = [f"{m:.2f}" for m in np.median(adaptive, axis=1)]
print("adaptive momentum, medians by layer:", *medians,
      f"  optimum {(1 - np.sqrt(0.9 * np.median(eigenvalues[:, 0]))) ** 2:.2f}")

# %% [markdown]
# At sixteen layers the quartiles are wide: in one of the three seeds a rare test prompt or two, with an eigenvalue beyond what the learned numbers bear, outweigh all others. And the adaptive momentum has less than half of the gain of a learned one, because it is too small all along: the ratio in (21.7) is that of all directions at once, and finds $\eta \nu$ only when the steep ones have died out, which takes more layers than there are.
#
# **Traps in the released code.** (1) Its parallel training code takes the distance to the *end of the text* in (21.11), whoever reads, while its recurrent code is (21.10): what is trained is not what is run. We expected the loss to rise when the trained network is run recurrently. At $\beta = .1$ nothing happens; at $.9$ it *falls* a little. A likely reason, not tested: the recurrent weights damp near tokens for every reader and not only for the last ones, and this task rewards that. (2) With the copy task's $\beta$ and $\gamma$ even the right weights are 2/3 for all but the two newest tokens. (3) Its code for the LRA tasks leaves the denominator out. (4) It takes the adaptive momentum for each token by itself. Then tokens no longer share one $w$, and (21.2) is gone; the row above says that it does no worse.

# %% [markdown]
# ## 8. Exercises
#
# Six cards. Write your answer in the cell under a card, run it, then the check.

# %% [markdown]
# ### Exercise 21.1 (derive, level 1, 5 min)
#
# $C = 1$, $b = 2$ as in section 3, and now $\eta = 1/4$, $\beta = 1/2$. What is $w_3$? *Done:* one number.
#
# <details><summary>Hint 1</summary>Write three columns: w, its gradient, its last move.</details>
# <details><summary>Hint 2</summary>The first layer has no last move.</details>

# %%
### BEGIN SOLUTION
w_three = 1.125 + 0.25 * (2 - 1.125) + 0.5 * (1.125 - 0.5)
### END SOLUTION
check("21.1", w_three)

# %% [markdown]
# ### Exercise 21.2 (code, level 2, 10 min)
#
# Write `heavy_ball_weights(C, b, eta, beta, layers)`: $w_L$ (B, d) of (21.2) from zero, for C (B, d, d) and b (B, d). *Done:* the check passes.
#
# <details><summary>Hint 1</summary>Keep two arrays, the weights and those before.</details>
# <details><summary>Hint 2</summary>Both change in one line, so that neither is overwritten too early.</details>

# %%
def heavy_ball_weights(C, b, eta, beta, layers):
    ### BEGIN SOLUTION
    w = before = np.zeros_like(b)
    for _ in range(layers):
        w, before = w + eta * (b - (C @ w[..., None])[..., 0]) + beta * (w - before), w
    return w
    ### END SOLUTION


# %%
check("21.2", heavy_ball_weights)

# %% [markdown]
# ### Exercise 21.3 (find the bug, level 3, 20 min)
#
# These gradients of one $\eta$ and one $\beta$ for all layers are wrong, and only a little for small $\beta$. Find the mistake and write the repaired function. *Done:* the check passes.
#
# <details><summary>Hint 1</summary>In which lines of the forward pass does a given w stand? Count them over two layers.</details>
# <details><summary>Hint 2</summary>What belongs to the layer before has to wait for one round of the loop.</details>

# %%
def buggy_gradients(C, b, eta, beta, layers, dw):
    w, before, steps, gradients = 0 * b, 0 * b, [], []
    for _ in range(layers):
        g = b - (C @ w[..., None])[..., 0]
        gradients.append(g)
        steps.append(w - before)
        w, before = w + eta * g + beta * (w - before), w
    deta = dbeta = 0.0
    for g, step in zip(gradients[::-1], steps[::-1], strict=True):
        deta, dbeta = deta + (dw * g).sum(), dbeta + (dw * step).sum()
        dw = (1 + beta) * dw - eta * (C @ dw[..., None])[..., 0]
    return deta, dbeta


# %%
def two_gradients(C, b, eta, beta, layers, dw):
    ### BEGIN SOLUTION
    w, before, steps, gradients = 0 * b, 0 * b, [], []
    for _ in range(layers):
        g = b - (C @ w[..., None])[..., 0]
        gradients.append(g)
        steps.append(w - before)
        w, before = w + eta * g + beta * (w - before), w
    deta, dbeta, later = 0.0, 0.0, 0 * dw
    for g, step in zip(gradients[::-1], steps[::-1], strict=True):
        deta, dbeta = deta + (dw * g).sum(), dbeta + (dw * step).sum()
        dw, later = (1 + beta) * dw - eta * (C @ dw[..., None])[..., 0] + later, -beta * dw
    return deta, dbeta
    ### END SOLUTION


# %%
check("21.3", two_gradients)

# %% [markdown]
# ### Exercise 21.4 (code, level 2, 10 min)
#
# Write `weights(beta, gamma, T)`: the matrix $W$ (T, T) of (21.11). *Done:* the check passes.
#
# <details><summary>Hint 1</summary>np.subtract.outer gives all distances at once.</details>
# <details><summary>Hint 2</summary>What a reader must not see is zero, whatever the formula says there.</details>

# %%
def weights(beta, gamma, T):
    ### BEGIN SOLUTION
    distance = np.subtract.outer(np.arange(T), np.arange(T))
    a = gamma * (1 - beta ** (np.maximum(distance, 0) + 1)) / (1 - beta)
    return np.where(distance >= 0, a, 0.0)
    ### END SOLUTION


# %%
check("21.4", weights)

# %% [markdown]
# ### Exercise 21.5 (derive, level 2, 10 min)
#
# How far back must a token be for half the far gain? Derive the distance $k$, a real number, and write `half_distance(beta)`. What is it for the paper's $\beta = .1$? *Done:* the check passes.
#
# <details><summary>Hint 1</summary>gamma does not matter.</details>
# <details><summary>Hint 2</summary>Solve for the power of beta, then take logarithms.</details>
#
# <!-- ### BEGIN SOLUTION -->
# <details><summary>Solution</summary>1 - beta^(k+1) = 1/2, so (k + 1) log beta = log(1/2). For beta = .1 the distance is -0.7: even at distance 0 a token has more than half. For .9 it is 5.6.</details>
# <!-- ### END SOLUTION -->

# %%
def half_distance(beta):
    ### BEGIN SOLUTION
    return np.log(0.5) / np.log(beta) - 1
    ### END SOLUTION


# %%
check("21.5", half_distance)

# %% [markdown]
# ### Exercise 21.6 (experiment, level 2, 15 min)
#
# No learning: eight layers, $\eta = 1$, the prompts of section 6, $\beta$ on the grid $0, .05, .., .9$. Which $\beta$ has the lowest mean squared error? Say first what it should be, then measure. *Done:* within a grid point.
#
# <details><summary>Hint 1</summary>scalars.prompts(4000, rng) has C, b, query and y; your function of 21.2 gives w.</details>
# <details><summary>Hint 2</summary>The prediction is the scalar product of w and the query, prompt by prompt.</details>

# %%
### BEGIN SOLUTION
drawn = scalars.prompts(4000, np.random.default_rng(SEED))
grid = np.arange(0, 0.925, 0.05)
answers = [(heavy_ball_weights(drawn.C, drawn.b, 1.0, beta, 8) * drawn.query).sum(axis=1)
           for beta in grid]
best_beta = grid[np.argmin([((answer - drawn.y) ** 2).mean() for answer in answers])]
### END SOLUTION
check("21.6", best_beta)

# %% [markdown]
# ## 9. Exit ticket
#
# Write the letters in quotes.
#
# **t1.** Each token gets a momentum of its own, read off its own two last updates. What no longer holds?
#
# - (a) covariates stay as they are
# - (b) a layer is linear attention plus a difference of activations
# - (c) all tokens share one vector of weights
# - (d) the momentum is below 1
#
# **t2.** At equal far gain, when does momentum within attention lower the loss?
#
# - (a) where the token wanted is among the newest
# - (b) where the token wanted is far back
# - (c) always, since the numerator is accelerated
# - (d) always, since more layers converge
#
# **t3.** $\beta = .1$ and $\gamma = .6$: what is done to tokens that are three or more places back?
#
# - (a) they are multiplied by about 2/3
# - (b) they are multiplied by .6
# - (c) they are multiplied by 3/2
# - (d) they are multiplied by about .54

# %%
### BEGIN SOLUTION
t1 = "c"
t2 = "b"
t3 = "a"
### END SOLUTION
check("21.t1", t1)
check("21.t2", t2)
check("21.t3", t3)

# %% [markdown]
# **Further reading**
#
# - Nguyen, Baraniuk, Kirby, Osher and Wang, *Momentum Transformer: closing the performance gap between self-attention and its linearization*, 2022. Both momenta, Theorem 2, and the tables quoted above.
# - Polyak, *Some methods of speeding up the convergence of iteration methods*, 1964. The heavy ball and its rate.
# - Katharopoulos, Vyas, Pappas and Fleuret, *Transformers are RNNs*, 2020. Causal linear attention with elu + 1, and the copy task.
