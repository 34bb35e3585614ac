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
# # Lesson 14. Softmax against linear
#
# **Claim.** Linear attention's loss falls far below softmax attention's, but the 1/n kept beside the softmax decides the comparison before any training.
#
# | read | code | run | level | needs | seed |
# |---|---|---|---|---|---|
# | 35 min | 45 min | 1 min | 3 of 5 | 01, 02, 03, 04, 07 | 14 |
#
# **Misconception.** The two attentions differ in the softmax only.
#
# You will derive softmax and ReLU attention by hand, forward and backward, and train them beside linear attention, each at its own best rate. Then you
# will take away, one by one, the reasons why they lose: a factor that caps every answer, and a part of each weight that the task has no use for.

# %%
import numpy as np

import linattn_np as la
from linattn_np.kernels import threads, tokens as kernels_tokens
from linattn_np.audit.mutation import CATALOGUE, apply
from linattn_np.optimizers import Adam, clip
from linattn_np.experiments.papers.maybe_all_you_need import attention_kinds
from linattn_np.experiments.scale import Scale, test_batch
from linattn_np.progress import bar
from linattn_np.teaching import by_profile, check, knob, loaded, paper_and_us, predict, reveal
from linattn_np.teaching import show, slider, symbols, table, versions

SEED = 14
versions(SEED)
symbols("B n N d D L y Z P Q M A W V params dX")

# %% [markdown]
# ## 1. Predict
#
# The paper's code has three attentions. They differ in one line: scores as they are, negative scores set to 0, or a softmax over all $N$ tokens. All
# else stays, the factor $1/n$ included. Three layers, Setting 1; a model that answers 0 has a loss of about 5. Two guesses: which loss can softmax attention not get
# below, *whatever* its weights? And with the $1/n$ dropped, and the learning rates searched again: how many times linear attention's loss does it reach?

# %%
### BEGIN SOLUTION
floor_guess = 0.0
ratio_guess = 1
### END SOLUTION
predict("14.p1", "Softmax with its 1/n: the loss that no weights get below", floor_guess)
predict("14.p2", "1/n dropped: trained softmax's loss over linear's", ratio_guess)

# %% [markdown]
# ## 2. Derive
#
# **One row, in scalars.** A reader has the scores $a_1, \ldots, a_N$. The softmax makes weights of them that are positive and sum to one,
# $e_k = \exp(a_k) / S$ with $S = \sum_m \exp(a_m)$. Differentiate by $a_m$: the numerator holds it only if $k = m$, $S$ always.
#
# $$ \frac{\partial e_k}{\partial a_m} = e_k\, \delta_{km} - e_k\, e_m = \big[ \mathrm{diag}(e) - e e^\top \big]_{km} \tag{14.31} $$
#
# For the weights $\frac14, \frac12, \frac14$:
#
# $$ \mathrm{diag}(e) - e e^\top = \frac{1}{16} \begin{pmatrix} 4 & & \\ & 8 & \\ & & 4 \end{pmatrix} - \frac{1}{16} \begin{pmatrix} 1 & 2 & 1 \\ 2 & 4 & 2 \\ 1 & 2 & 1 \end{pmatrix}
# = \frac{1}{16} \begin{pmatrix} 3 & -2 & -1 \\ -2 & 4 & -2 \\ -1 & -2 & 3 \end{pmatrix} $$
#
# It is symmetric. Its rows sum to zero, since a number added to all scores changes nothing. And nothing in it is zero: *each score moves every weight*.
#
# **The forward pass.** Lesson 02's, with one line more.
#
# $$ A = Z Q^\top Z^\top \tag{14.1} $$
# $$ E_{ij} = \exp A_{ij} \Big/ \sum_{k=1}^{N} \exp A_{ik} \tag{14.2} $$
# $$ W = E M \tag{14.3} $$
# $$ V = Z P^\top \tag{14.4} $$
# $$ Z' = Z + \frac{1}{n} \sum_h W V \tag{14.5} $$
#
# Mind the order of (14.2) and (14.3). The sum runs over all $N$ tokens, the query included, and the mask comes after it. So row $i$ of $W$ sums to
# $1 - E_{iN}$, and what the query takes is lost to the examples.
#
# **Undo (14.5), (14.4), (14.3)** as in lesson 02:
#
# $$ dW = \frac{1}{n}\, dZ'\, V^\top \tag{14.6} $$
# $$ dV = \frac{1}{n}\, W^\top dZ' \tag{14.7} $$
# $$ dZ \mathrel{+}= dZ' \qquad \text{(residual)} \tag{14.8} $$
# $$ dP = \sum_b dV^\top Z \tag{14.9} $$
# $$ dZ \mathrel{+}= dV\, P \qquad \text{(value)} \tag{14.10} $$
# $$ dE = dW\, M \tag{14.11} $$
#
# **Undo (14.2).** In indices $dA_{ik} = \sum_j dE_{ij}\, \partial E_{ij} / \partial A_{ik}$. Put (14.31) in: the first term gives $E_{ik}\, dE_{ik}$, the second
# $-E_{ik} \sum_j dE_{ij} E_{ij}$. So from each entry of $dE$ its row's mean is taken off, a mean with the weights $E$:
#
# $$ dA_{ik} = E_{ik} \Big( dE_{ik} - \sum_j dE_{ij}\, E_{ij} \Big) \tag{14.12} $$
#
# The query's column of $dE$ is zero, by (14.11). Its column of $dA$ is not. Nobody reads the query, and yet its score takes weight from the others.
#
# **Undo (14.1)**, three factors, three terms:
#
# $$ dQ = \sum_b Z^\top dA^\top Z \tag{14.13} $$
# $$ dZ \mathrel{+}= dA\, Z\, Q \qquad \text{(reader)} \tag{14.14} $$
# $$ dZ \mathrel{+}= dA^\top Z\, Q^\top \qquad \text{(read)} \tag{14.15} $$
#
# **Second derivatives.** Tangents follow line by line, as in lesson 04. New are only those of (14.2) and (14.12). The Jacobian is symmetric, so the first
# is the same map once more; in the second all three factors move:
#
# $$ vE_{ik} = E_{ik} \Big( vA_{ik} - \sum_j vA_{ij} E_{ij} \Big) $$
# $$ hA_{ik} = vE_{ik} \Big( dE_{ik} - \sum_j dE_{ij} E_{ij} \Big) + E_{ik} \Big( hE_{ik} - \sum_j (hE_{ij} E_{ij} + dE_{ij}\, vE_{ij}) \Big) $$
#
# **ReLU attention.** Let $\mathrm{step}(a)$ be 1 for $a > 0$ and 0 elsewhere. Two lines are new, (14.17) and (14.27). The others repeat (14.1), (14.3) to (14.11) and (14.13) to (14.15).
#
# $$ A = Z Q^\top Z^\top \tag{14.16} $$
# $$ E = \max(A, 0) = A\, \mathrm{step}(A) \tag{14.17} $$
# $$ W = E M \tag{14.18} $$
# $$ V = Z P^\top \tag{14.19} $$
# $$ Z' = Z + \frac{1}{n} \sum_h W V \tag{14.20} $$
# $$ dW = \frac{1}{n}\, dZ'\, V^\top \tag{14.21} $$
# $$ dV = \frac{1}{n}\, W^\top dZ' \tag{14.22} $$
# $$ dZ \mathrel{+}= dZ' \qquad \text{(residual)} \tag{14.23} $$
# $$ dP = \sum_b dV^\top Z \tag{14.24} $$
# $$ dZ \mathrel{+}= dV\, P \qquad \text{(value)} \tag{14.25} $$
# $$ dE = dW\, M \tag{14.26} $$
# $$ dA = dE\, \mathrm{step}(A) \tag{14.27} $$
# $$ dQ = \sum_b Z^\top dA^\top Z \tag{14.28} $$
# $$ dZ \mathrel{+}= dA\, Z\, Q \qquad \text{(reader)} \tag{14.29} $$
# $$ dZ \mathrel{+}= dA^\top Z\, Q^\top \qquad \text{(read)} \tag{14.30} $$
#
# Each score moves its own weight alone, and the step does not change along a direction, except at a score of exactly 0: there the layer has a kink and no derivative.
#
# **What the task asks for.** Let a layer add $c$ times what (14.5) adds: $c = 1$ is the paper's, $c = n$ drops the $1/n$. One layer, trained blocks only. The labels are
# $\langle w, x_j \rangle$, so the error is $-\langle w,\, x_q + \frac{c}{n} \sum_j W_j x_j \rangle$ with $W$ the query's row, and its square averages over $w$ to
#
# $$ f = \mathbb{E}\, \Big\| x_q + \frac{c}{n} \sum_{j=1}^{n} W_j\, x_j \Big\|^2 \tag{14.32} $$
#
# The examples must be weighted so that they add up to $-x_q$. Linear attention has $W_j = -\eta \langle x_j, x_q \rangle$, weights of both signs and of any
# size: a step of gradient descent, (1.6) of lesson 01. A softmax has positive weights with a sum below 1. Its point $\sum_j W_j x_j$ lies between the
# examples, and $-\frac{n}{c} x_q$, which it should meet, lies $n$ times as far out as the query if $c = 1$.
#
# **Why the factor matters to the softmax only.** $cA$ is the score of $cQ$, and $\max(cA, 0) = c \max(A, 0)$. So for linear and ReLU attention a factor $c > 0$ is the same model with $cQ$ in
# place of $Q$. A softmax does not pass a factor on. Let $m = \max_{j \le n} |y_j|$. Softmax weights are positive and sum to less than one, and the corner of $P$ is 1: a layer adds at most $\frac{c}{n} m$ to any label. So $m$ grows by at most
# $1 + \frac{c}{n}$ in each layer, and the query's slot, which begins at 0, by the same amounts:
#
# $$ |\mathrm{prediction}| \le \Big( \big( 1 + \tfrac{c}{n} \big)^L - 1 \Big)\, m, \qquad
# f \ge \mathbb{E} \big( |y| - |\mathrm{prediction}|_{\max} \big)_+^2 \tag{14.33} $$
#
# for all $P'$ and $Q'$, trained or not. With $n = 20$, $L = 3$, $c = 1$ the cap is $0.158\, m$.
#
# **What the softmax and the ReLU add.** The task is odd: turn the sign of a covariate and its label turns too. Split the functions into odd and even parts,
#
# $$ \max(a, 0) = \tfrac{1}{2} a + \tfrac{1}{2} |a|, \qquad e^a = \sinh a + \cosh a \tag{14.34} $$
#
# The odd part of a ReLU is linear attention with $\frac{1}{2} Q$. The even part, $\frac{1}{2n} \sum_j |a_j|\, y_j$, gives $y$ and $-y$ the same weight, so over examples it averages to 0 and says nothing about
# $w$ but noise. For small scores the softmax gives
#
# $$ \sum_{j \le n} W_j\, y_j = \frac{1}{N} \sum_{j \le n} y_j + \frac{1}{N} \sum_{j \le n} (a_j - \bar a)\, y_j + O(a^2), \qquad \bar a = \frac{1}{N} \sum_{k=1}^{N} a_k \tag{14.35} $$
#
# That is linear attention, with scores freed of their mean, plus nearly the mean label, whatever $Q'$ is. The mean label is noise too: its mean square is $\|w\|^2 / n$, and it does not know the query.
#
# **A test of that.** *Mirror* a prompt: beside each example $(x_j, y_j)$ put $(-x_j, -y_j)$. Even parts now cancel exactly:
# $\sum_j (\max(a_j, 0) - \max(-a_j, 0))\, y_j = \sum_j a_j y_j$, half of what linear attention sums up. A mirrored token stays the mirror of its twin through all layers, so on mirrored prompts ReLU attention *is* linear attention:
#
# $$ \mathrm{prediction}_{\mathrm{ReLU}}(P', Q') = \mathrm{prediction}_{\mathrm{linear}}(P', \tfrac{1}{2} Q') \tag{14.36} $$
#
# For a softmax the first layer becomes $\sum_j 2 \sinh(a_j)\, y_j / S$.
#
# > **Where people slip**
# > - *$1/n$ beside a softmax.* The weights sum to one already; (14.33) is the price.
# > - *Mask first.* Then the query takes no part in the sum: another model, with a right gradient of its own.
# > - *The mean term.* Without it (14.12) looks like the rule for any pointwise function.
# > - *One learning rate for all kinds.* It is one kind's best.

# %% [markdown]
# ## 3. On paper
#
# $d = 1$, $n = 2$, covariates 1 and 2, the query 1, $w = 16$: labels 16 and 32, the answer 16. $P = \mathrm{diag}(1, 1)$, $Q = \mathrm{diag}(q, 0)$ with $q = \log 2$. The query's
# scores are $q, 2q, q$, their exponentials 2, 4, 2:
#
# $$ e = \big( \tfrac14, \tfrac12, \tfrac14 \big), \quad W = \big( \tfrac14, \tfrac12, 0 \big), \quad
# \mathrm{slot} = \tfrac12 \big( \tfrac14 \cdot 16 + \tfrac12 \cdot 32 \big) = 10, \quad \mathrm{error} = -10 - 16 = -26, \quad f = 676 $$
#
# Backward, the query's row. $d\mathrm{prediction} = -52$, so the slot has $52$, and $dW = \frac12 \cdot 52 \cdot (16, 32, 0) = dE$:
#
# $$ dE = (416, 832, 0), \qquad \textstyle\sum_j dE_j e_j = 104 + 416 = 520, \qquad
# dA = \big( \tfrac14 (-104),\; \tfrac12 \cdot 312,\; \tfrac14 (-520) \big) = (-26, 156, -130) $$
#
# The three sum to zero, and the masked query has the second largest. With covariates $1, 2, 1$ this makes $dq = -26 + 312 - 130 = 156$. By school calculus, with $r = e^q$: the slot is $s = \frac12 \frac{16 + 32 r}{2 + r}$,
# $\frac{ds}{dq} = \frac{24\, r}{(2 + r)^2} = 3$ at $r = 2$, and $f = (-s - 16)^2$ has the slope $2 (-26)(-3) = 156$.
#
# ReLU, with covariates $-1, 2$, the query 1 and $q = 1$: scores $-1, 2, 1$, so $E = (0, 2, 1)$ and $W = (0, 2, 0)$. The labels are $-16, 32$, the slot $\frac12 \cdot 2 \cdot 32 = 32$, the error $-48$.
# $dE = \frac12 \cdot 96 \cdot (-16, 32, 0) = (-768, 1536, 0)$, the step leaves $dA = (0, 1536, 0)$, and $dq = 3072$. The slot is $32 q$ here, and $2 \cdot 48 \cdot 32 = 3072$. By machine:

# %%
def by_machine(module, x, q):
    """The query's row of E and dA, the slot and dq on the prompt above."""
    Z = np.array([[[x[0], 16 * x[0]], [x[1], 16 * x[1]], [1, 0]]])  # (B, N, D) = (1, 3, 2)
    P, Q, seen = np.eye(2)[None], np.diag([q, 0.0])[None], {}
    mark = lambda name, value: seen.setdefault(name, value)
    out, tape = module.forward(Z, P, Q, mark)
    dout = module.readout_backward(2 * (module.readout(out) - 16), out)  # (2.14), (2.15)
    _, _, dQ = module.backward(dout, tape, mark)
    E, dA = ((seen[name][0, 0, -1] + 0.0).round(9).tolist() for name in ("E", "dA"))
    print(f"E {E}  slot {out[0, -1, -1]:.9g}  dA {dA}  dq {dQ[0, 0, 0]:.9g}")


by_machine(la.softmax_attention, (1.0, 2.0), np.log(2))
by_machine(la.relu_attention, (-1.0, 2.0), 1.0)

# %% [markdown]
# ## 4. Code it
#
# Softmax attention as the sums say it, one reader at a time, forward and backward. The mask is the range of `j`; the normalization has the range of `k`.

# %%
def softmax_by_loops(dout, Z, P, Q):
    """Z' of one prompt, Z (N, D), and the gradients of <dout, Z'>."""
    N, n = len(Z), len(Z) - 1
    out, dZ, dP, dQ = Z.copy(), dout.copy(), np.zeros_like(P), np.zeros_like(Q)  # (14.8)
    for i in range(N):
        a = [Z[k] @ Q @ Z[i] for k in range(N)]  # (14.1)
        powers = [np.exp(score - max(a)) for score in a]  # the shift cancels in the quotient
        e = [power / sum(powers) for power in powers]  # (14.2) all N tokens
        dE = [0.0] * N
        for j in range(n):  # (14.3), (14.11): nobody reads the query
            value = P @ Z[j]  # (14.4)
            out[i] += e[j] * value / n  # (14.5)
            dE[j] = dout[i] @ value / n  # (14.6)
            dvalue = e[j] * dout[i] / n  # (14.7)
            dP += np.outer(dvalue, Z[j])  # (14.9)
            dZ[j] += P.T @ dvalue  # (14.10) value
        mean = sum(dE[k] * e[k] for k in range(N))
        for k in range(N):  # the query as well
            dscore = e[k] * (dE[k] - mean)  # (14.12)
            dQ += dscore * np.outer(Z[k], Z[i])  # (14.13)
            dZ[i] += dscore * Q.T @ Z[k]  # (14.14) reader
            dZ[k] += dscore * Q @ Z[i]  # (14.15) read
    return out, dZ, dP, dQ


# %% [markdown]
# As matrices, on a batch, for both kinds. The argument `mistake` is for later.

# %%
def layer(Z, P, Q, kind, mistake=None):
    """Z' (B, N, D), and E (B, N, N) and V (B, N, D) for the way back; P and Q (D, D)."""
    n = Z.shape[1] - 1
    A = Z @ Q.T @ Z.mT  # (14.1), (14.16)
    if kind == "softmax":
        if mistake == "mask before the softmax":
            A = A + np.append(np.zeros(n), -np.inf)
        E = np.exp(A - A.real.max(axis=-1, keepdims=True))
        E = E / E.sum(axis=-1, keepdims=True)  # (14.2)
    else:
        E = A * (A.real > 0)  # (14.17)
    W, V = E * np.append(np.ones(n), 0.0), Z @ P.T  # (14.3), (14.4); (14.18), (14.19)
    return Z + W @ V / n, E, V  # (14.5), (14.20)


# %%
def backward(dout, Z, P, Q, kind, mistake=None):
    """dZ (B, N, D), dP and dQ (D, D)."""
    n = Z.shape[1] - 1
    _, E, V = layer(Z, P, Q, kind, mistake)
    M = np.append(np.ones(n), 0.0)
    dV = (E * M).mT @ dout / n  # (14.7), (14.22)
    dW = dout @ V.mT / n  # (14.6), (14.21)
    dE = dW * (1.0 if mistake == "mask forgotten backward" else M)  # (14.11), (14.26)
    if kind == "softmax":
        axis = -2 if mistake == "mean over the readers" else -1
        mean = (dE * E).sum(axis=axis, keepdims=True)
        dA = E * (dE - (0.0 if mistake == "no mean term" else mean))  # (14.12)
    else:
        dA = dE * (1.0 if mistake == "no step" else E > 0)  # (14.27)
    dZ = dout + dV @ P + dA @ Z @ Q + dA.mT @ Z @ Q.T  # (14.8), (14.10), (14.14), (14.15)
    dP, dQ = (dV.mT @ Z).sum(axis=0), (Z.mT @ dA.mT @ Z).sum(axis=0)  # (14.9), (14.13)
    return dZ, dP, dQ


# %% [markdown]
# Then the library's modules, which have a head axis, and the compiled kernels, which compute the loss and gradient of a whole model.

# %%
rng = np.random.default_rng(SEED)
Zs, douts = rng.standard_normal((2, 3, 8, 6))  # B = 3, N = 8, D = 6
P, Q = 0.5 * rng.standard_normal((2, 6, 6))
modules = {"softmax": la.softmax_attention, "relu": la.relu_attention}
gap = lambda a, b: f"{np.abs(a - b).max() / np.abs(b).max():.0e}"
matrices = {k: (layer(Zs, P, Q, k)[0], *backward(douts, Zs, P, Q, k)) for k in modules}
outs, dZs, dPs, dQs = zip(*(softmax_by_loops(*pair, P, Q) for pair in zip(douts, Zs)))
loops = np.stack(outs), np.stack(dZs), sum(dPs), sum(dQs)
rows = [("softmax: loops and matrices", *map(gap, loops, matrices["softmax"]))]
for kind, module in modules.items():
    out, tape = module.forward(Zs, P[None], Q[None])
    library = out, *(g if g.ndim == 3 and len(g) == 3 else g[0]
                     for g in module.backward(douts, tape))
    rows.append((f"{kind}: matrices and library", *map(gap, matrices[kind], library)))
table(("compared", "Z'", "dZ", "dP", "dQ"), rows, "relative differences")
params, prompts = la.init_params(rng, std=0.3), la.RegressionTask().sample(50, rng)
for kind in modules:
    slow = la.loss_and_grad(params, *prompts, kind, backend="numpy")[1]
    fast = kernels_tokens.loss_and_grad(params, *prompts, kind)[1]
    print(f"{kind}: gradient of three layers, NumPy and compiled: {gap(fast, slow)}")

# %% [markdown]
# Now look at (14.32): $d = 2$, twelve examples, one layer with $Q' = -\beta I$. The star is $-x_q$, where the weighted examples should add up. Turn $\beta$, the size of the scores. For a softmax $1/\beta$ is its *temperature*: hot, it
# reads all tokens alike; cold, only one.

# %%
X, x_q = np.random.default_rng(110).standard_normal((12, 2)), np.array([0.9, 0.7])
LOOKS = {"linear": ("linear", 1, "#0072B2", "-"), "ReLU": ("relu", 1, "#009E73", "-."),
         "softmax, 1/n dropped": ("softmax", 12, "#D55E00", "--"),
         "softmax, 1/n kept": ("softmax", 1, "#000000", ":")}


def parts(kind, c, beta):
    """(c / n) W_j of the query's row (n,): scores (14.1), its own among them."""
    a = -beta * np.append(X @ x_q, x_q @ x_q)  # (N,)
    E = {"linear": a, "relu": np.maximum(a, 0), "softmax": la.softmax_attention.softmax(a)}
    return c / 12 * E[kind][:-1]


# %%
def draw_weights(attention, beta):
    figure, axes = la.plotting.new_figure(columns=2, width=4.2, height=3.5)
    left, right = axes[0]
    kind, c, colour, _ = LOOKS[attention]
    order = np.argsort(X @ x_q)
    W = parts(kind, c, beta)[order]
    left.bar(range(1, 13), W, color=colour)
    left.axhline(0, color="0.4", linewidth=0.8)
    left.set(xlabel="example, by <x_j, x_q>", ylabel="its weight, (c/n) W_j")
    left.set(ylim=(-0.6, 1.0), title=f"{attention}: sum {W.sum():.2f}")
    right.plot(*X.T, "o", color="0.7", markersize=5, label="examples")
    for name, (kind, c, colour, line) in LOOKS.items():
        path = np.array([parts(kind, c, b) @ X for b in np.linspace(0, 6, 121)])
        right.plot(*path.T, color=colour, linestyle=line, label=name)
        here = parts(kind, c, beta) @ X
        right.plot(*here, marker="D" if name == attention else "o", color=colour, markersize=7)
    right.plot(*-x_q, "k*", markersize=13, label="target")
    miss = np.linalg.norm(parts(*LOOKS[attention][:2], beta) @ X + x_q)
    right.set(xlim=(-2.2, 2.2), ylim=(-2.2, 2.2), title=f"distance to the target {miss:.2f}")
    figure.legend(*right.get_legend_handles_labels(), loc="outside lower center", ncols=3,
                  frameon=False, fontsize=8)
    return figure


slider(draw_weights, "Left, the weight of each of twelve examples for one attention. Right, "
       "the plane: paths of the weighted sum as scores grow. Linear passes the target's "
       "neighbourhood; softmax ends at one example; with 1/n kept it stays near 0.",
       attention=knob(LOOKS, "softmax, 1/n dropped", "attention"),
       beta=knob((0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0), 1.0, "1 / temperature"))

# %% [markdown]
# Without the $1/n$ the softmax's path comes close to the target, at one temperature. With it no temperature helps. That is one prompt in the plane; section 6 asks for thousands, in five dimensions.

# %% [markdown]
# ## 5. Audit it
#
# Two tests. **Gradient**: every entry equals its complex step, (2.16) of lesson 02; $\exp$ is analytic, and a ReLU is away from its kinks. **Query**: it takes part in the
# normalization. Let the score of the query grow for one reader, $A_{iN} \to \infty$. Then $E_{iN} \to 1$, the reader's other weights vanish, and it must read nothing: $Z'_i = Z_i$. Five planted mistakes:

# %%
def complex_step(kind, mistake, h=1e-30):
    """The gradient of <douts, Z'> by Z, P and Q, from the forward pass alone."""
    gradients, arrays = [], (Zs, P, Q)
    for k, array in enumerate(arrays):
        gradient = np.zeros(array.shape)
        for at in np.ndindex(array.shape):
            stepped = [a.astype(complex) for a in arrays]
            stepped[k][at] += 1j * h
            gradient[at] = (douts * layer(*stepped, kind, mistake)[0]).sum().imag / h
        gradients.append(gradient)
    return gradients


def reads_nothing(mistake):
    """Whether reader 0 is silenced by a query that scores 100 with it."""
    Z = Zs.copy()
    towards = Z[:, 0] @ Q.T  # (B, D) what a token's score with reader 0 is measured along
    Z[:, -1] = 100 * towards / (towards**2).sum(axis=-1, keepdims=True)
    return np.abs(layer(Z, P, Q, "softmax", mistake)[0] - Z)[:, 0].max() < 1e-9


# %%
rows, right = [], {kind: complex_step(kind, None) for kind in modules}
mistakes = ("no mean term", "mean over the readers", "mask forgotten backward",
            "mask before the softmax")
for kind, mistake in (("softmax", None), *(("softmax", each) for each in mistakes),
                      ("relu", None), ("relu", "no step")):
    before = mistake == "mask before the softmax"  # a mistake of both passes alike
    oracle = complex_step(kind, mistake) if before else right[kind]
    errors = map(gap, backward(douts, Zs, P, Q, kind, mistake), oracle)
    query = "–" if kind == "relu" else "passes" if reads_nothing(mistake) else "FAILS"
    rows.append((kind, mistake or "none: yours", *errors, query))
table(("attention", "mistake", "error of dZ", "of dP", "of dQ", "query"), rows)

# %% [markdown]
# The mistakes of the backward pass are caught by the complex step, in $dZ$ and $dQ$; $dP$ does not contain them. The mask before the softmax is another matter. Its gradient
# is right to the last digit, for the wrong model: a gradient is only ever judged against its own forward pass. The second test sees it.
#
# **The shift.** `exp` overflows at 710, so a number is taken off the scores first. Which? Any number that is common to a row cancels in the quotient, its imaginary part included.
# Six rows of seven scores, as they are and then lifted by $-2000, -1000, \ldots, 3000$, a row each, which should change nothing. (`max` of complex numbers goes by the real part first.)

# %%
shifts = {
    "none": lambda A: 0.0,
    "largest real part of the row": lambda A: A.real.max(axis=-1, keepdims=True),
    "largest entry of the row, complex": lambda A: A.max(axis=-1, keepdims=True),
    "largest modulus of the row": lambda A: np.abs(A).max(axis=-1, keepdims=True),
    "largest real part of all": lambda A: A.real.max(),
}
a, va, w = np.random.default_rng(SEED).standard_normal((3, 6, 7))
E = la.softmax_attention.softmax(a)
exact = (w * E * (va - (va * E).sum(axis=-1, keepdims=True))).sum()  # by (14.31)
rows = []
for name, shift in shifts.items():
    errors = []
    for lift in (0, 1000 * np.arange(-2, 4)[:, None]):
        with np.errstate(all="ignore"):
            A = a + lift + 1e-30j * va
            powers = np.exp(A - shift(A))
            stepped = (w * powers / powers.sum(axis=-1, keepdims=True)).sum().imag / 1e-30
        errors.append(f"{abs(stepped - exact):.0e}" if np.isfinite(stepped) else "not a number")
    rows.append((name, *errors))
table(("taken off", "error of the derivative", "rows lifted"), rows)

# %% [markdown]
# The complex maximum does no harm, though one might fear it. A shift far above the largest score of a row does: the whole row underflows, and its quotient is $0/0$.
#
# **The library's audit** on whole models, second derivatives included; then with its planted version of your first mistake; then ReLU at weights of zero, where every score is 0, a kink.

# %%
forgotten = {mutation.id: mutation for mutation in CATALOGUE}["softmax_no_mean"]
reports = {
    "softmax": la.audit.audit_model("softmax", batch=2, n=7),
    "softmax, no mean term":
        la.audit.audit_model("softmax", module=apply(forgotten), batch=2, n=7),
    "ReLU": la.audit.audit_model("relu"),
    "ReLU, weights of zero": la.audit.audit_model("relu", sigma=0.0),
}
table(("three layers", "verdict", "what it adds"),
      [(name, report.verdict, report.summary()[1]) for name, report in reports.items()])

# %% [markdown]
# At a kink the audit does not say ok and does not say wrong. The slope is 1 on one side of it and 0 on the other. The library takes 0, by its strict $A > 0$; that is a convention, not a derivative.
#
# ## 6. Experiment
#
# One question: what of softmax attention's loss is due to the softmax? One knob: the factor $c$. First without any training, the bounds (14.33) on the paper's test batch. Beside the cap stands the largest answer of
# 300 models with random weights of size 3.

# %%
Z_test, y_test = test_batch(la.RegressionTask())  # 1000 prompts, seed 99
m_test = np.abs(Z_test[:, :-1, -1]).max(axis=1)  # (B,) the largest label of each prompt


def cap(c, n=20, L=3):
    return (1 + c / n) ** L - 1  # (14.33)


def floor(c):
    """No weights have a smaller loss on the test batch."""
    return (np.maximum(np.abs(y_test) - cap(c) * m_test, 0) ** 2).mean()


rng, tried, few = np.random.default_rng(SEED), 0.0, Z_test[:50]
for _ in range(by_profile(20, 300)):
    answers = la.predict(la.init_params(rng, std=3.0), few, "softmax")
    tried = max(tried, (np.abs(answers) / m_test[:50]).max())
table(("c", "cap on |prediction| / m", "smallest possible loss"),
      [(c, cap(c), floor(c)) for c in (1, 2, 4, 8, 20)],
      f"test batch; answering 0 has a loss of {(y_test**2).mean():.2f}")
print(f"c = 1, random weights: largest |prediction| / m {tried:.3f}")
reveal("14.p1", floor(1), "For every P' and Q'. No softmax with its 1/n can do better.")

# %% [markdown]
# Now train. The factor multiplies $P$, corner included; the compiled kernels take whole matrices, and the chain rule gives the gradient. One way more: $c = 1$, but
# *all* of $P$ and $Q$ trained, so that the model may set its corners itself.

# %%
def loss_and_grad(params, Z, y, kind, c):
    """(1.5) and its gradient for layers that add c times what (14.5) adds."""
    full = la.transformer.to_full(params, Z.shape[-1]).copy()  # diag(P', 1), diag(Q', 0)
    full[:, :, 0] *= c
    if kind == "linear":
        value, grad = la.loss_and_grad(full, Z, y)
    else:
        value, grad = kernels_tokens.loss_and_grad(full, Z, y, kind)  # (14.1) to (14.30)
    grad[:, :, 0] *= c
    return value, la.transformer.to_full_adjoint(grad, params.shape[-1])


def ordinary(batch, rng):
    return la.RegressionTask(n=20).sample(batch, rng)


# %%
def train(kind, c, lr, seed, full=False, draw=ordinary):
    """The trained params, and the loss of each fresh batch of 100 before its step."""
    rng, losses = np.random.default_rng([SEED, seed]), []
    x, optimizer = la.init_params(rng, full=full), Adam(lr, beta1=0.9, beta2=0.9)
    state = optimizer.init(x)
    with np.errstate(all="ignore"):  # the largest rates may diverge
        for _ in range(steps):
            value, grad = loss_and_grad(x, *draw(100, rng), kind, c)
            losses.append(value)
            x, state = optimizer.update(x, clip(grad, 1.0), state)
    return x, np.array(losses)


def side_by_side(jobs):
    """train(*job) for each job, in this order, shared out among the kernels' threads."""
    done = [None] * len(jobs)

    def work(k):
        done[k] = train(*jobs[k])

    threads.run_chunks(work, len(jobs))
    return done


# %% [markdown]
# The comparison is only as fair as the search of the rates. Every way gets its own, by runs of full length with the first seed, scored by the median of the last fifth of
# their losses. The other seeds are then trained at the best rate.

# %%
WAYS = {"linear": ("linear", 1, False), "ReLU": ("relu", 1, False),
        **{f"softmax, c = {c}": ("softmax", c, False) for c in (1, 4, 8, 20)},
        "softmax, corners trained": ("softmax", 1, True)}
RATES = by_profile((0.02, 0.05), (0.01, 0.02, 0.05, 0.1, 0.2))
seeds, steps = by_profile(3, 4), by_profile(20, 300)


def score(losses):
    value = np.median(losses[-steps // 5 :])
    return value if np.isfinite(value) else np.inf


def searched(kind, c, full, draw=ordinary):
    """-> {rate: score}, the best rate, and its runs, one for each seed."""
    first = side_by_side([(kind, c, lr, 0, full, draw) for lr in RATES])
    scores = {lr: score(losses) for lr, (_, losses) in zip(RATES, first)}
    best = min(scores, key=scores.get)
    rest = side_by_side([(kind, c, best, seed, full, draw) for seed in range(1, seeds)])
    return scores, best, [first[RATES.index(best)], *rest]


# %%
found = {}
with bar(len(WAYS), "attention kinds", unit="way") as shown:
    for name, way in WAYS.items():
        found[name] = searched(*way)
        shown.update()

# %%
COLOURS = dict(zip(WAYS, (("#0072B2", "-"), ("#009E73", "-."), ("#D55E00", "--"),
                          ("#E69F00", "--"), ("#CC79A7", "--"), ("#000000", "--"),
                          ("#D55E00", ":"))))


def draw_curve(ax, name, runs):
    """Medians of twenty windows of each run's losses, then quartiles over the seeds."""
    colour, line = COLOURS[name]
    each = np.median([losses.reshape(20, -1) for _, losses in runs], axis=2)
    quartiles = np.quantile(each, [0.25, 0.5, 0.75], axis=0)
    at = steps // 20 * (np.arange(20) + 0.5)
    la.plotting.median_band(ax, at, quartiles, name, color=colour, linestyle=line)


figure, axes = la.plotting.new_figure(columns=2, width=4.4, height=4.2)
left, right = axes[0]
for name, (colour, line) in COLOURS.items():
    tried, _, runs = found[name]
    left.plot(RATES, tried.values(), marker="o", markersize=4, color=colour, linestyle=line)
    draw_curve(right, name, runs)
right.axhline(floor(1), color="0.5", linewidth=1, label="floor of c = 1, test batch")
left.set(xscale="log", yscale="log", ylim=(5e-3, 50), xlabel="learning rate of Adam")
left.set(ylabel="loss of fresh batches, last fifth", title="search, first seed")
right.set(yscale="log", ylim=(5e-3, 50), xlabel="iteration t")
right.set(ylabel=f"loss of fresh batches, {seeds} seeds", title="each at its best rate")
figure.legend(*right.get_legend_handles_labels(), loc="outside lower center", ncols=4,
              frameon=False, fontsize=8)
show(figure, "Left, score against learning rate, a curve for each attention. Right, loss "
             "against iteration: linear falls by powers of ten, ReLU and the softmaxes stay "
             "above 1; the softmax with c = 1 lies above its floor, those with more below.")

# %%
middle, rows, linear_rate = {}, [], found["linear"][1]
for name, (kind, c, full) in WAYS.items():
    tried, best, runs = found[name]
    tests = [loss_and_grad(x, Z_test, y_test, kind, c)[0] for x, _ in runs]
    middle[name] = float(np.median(tests))
    bound = f"{floor(c):.2g}" if kind == "softmax" and not full else "–"
    rows.append((name, best, middle[name], f"{min(tests):.3g} to {max(tests):.3g}", bound,
                 f"{middle[name] / middle['linear']:.0f}", f"{tried[linear_rate]:.3g}"))
table(("attention", "best rate", "test loss", "seeds", "floor (14.33)", "over linear",
       "score at linear's rate"), rows, f"{steps} iterations, batches of 100, {seeds} seeds")
corners = [x[:, 0, 0, -1, -1] for x, _ in found["softmax, corners trained"][2]]
print("corners of P that were trained, by layer:", *np.median(corners, axis=0).round(1))
mean_label = Z_test[:, :-1, -1].mean(axis=1)  # (B,)
constant = ((1 + 20 / 21) ** 3 - 1) * mean_label  # (14.35) with a = 0, three times, c = 20
at_zero = loss_and_grad(np.zeros((3, 1, 2, 5, 5)), Z_test, y_test, "softmax", 20)[0]
print(f"c = 20 at weights of zero: loss {at_zero:.2f}, by (14.35) "
      f"{((constant + y_test) ** 2).mean():.2f}")
reveal("14.p2", middle["softmax, c = 20"] / middle["linear"],
       f"With the 1/n kept: {middle['softmax, c = 1'] / middle['linear']:.0f}. With c = 8: "
       f"{middle['softmax, c = 8'] / middle['linear']:.0f}.")

# %% [markdown]
# Start with the floor. With the $1/n$ kept, the softmax's loss hardly depends on the rate, and the greater part of it is floor: no rate, no start and no patience can remove that. Raise $c$
# and the loss falls, at $c = 8$ to less than half. At $c = n$ it is higher again. The mean label of (14.35) is multiplied by $c$ as well, and by $1 + c/N$ in each layer; that is why the black curve begins far above the loss of answering 0. The model
# that may train its corners finds the same by itself: corners of some layers grow to several times 1, and its loss goes below the floor, which was derived for corners of 1.
#
# Search the rates or not? At the rate that suits linear attention the softmax with $c = n$ looks no better than with $c = 1$. At its own it does.
#
# In the best case the distance to linear attention is still a large factor, the column "over linear"; and ReLU attention, which has no cap, is about as far away. Both have an even part. Take it away: train on mirrored prompts, 10 examples and their
# images, with half as many different examples to learn from.

# %%
def draw_mirrored(batch, rng):
    """Prompts of 10 examples and their mirror images: (B, 21, 6), and the labels."""
    Z, y = la.RegressionTask(n=10).sample(batch, rng)
    return np.concatenate([Z[:, :-1], -Z[:, :-1], Z[:, -1:]], axis=1), y


params, (Zm, ym) = la.init_params(rng, std=0.3), draw_mirrored(1000, np.random.default_rng(99))
halved = params * np.array([1, 0.5])[:, None, None]  # P', Q' / 2
difference = la.predict(params, Zm, "relu") - la.predict(halved, Zm)
print(f"(14.36), three layers: largest difference {np.abs(difference).max():.0e}")
mirrored = {name: searched(*WAYS[name], draw_mirrored)
            for name in ("linear", "ReLU", "softmax, c = 20")}

# %%
figure, axes = la.plotting.new_figure(columns=2, width=4.2, height=3.2)
rows = []
for name, (_, best, runs) in mirrored.items():
    draw_curve(axes[0, 0], name, found[name][2])
    draw_curve(axes[0, 1], name, runs)
    scores = [[score(losses) for _, losses in each] for each in (found[name][2], runs)]
    rows.append((name, *(f"{np.median(s):.3g} ({min(s):.3g} to {max(s):.3g})" for s in scores),
                 best))
for ax, title in zip(axes[0], ("20 examples", "10 examples and their mirrors")):
    ax.set(yscale="log", ylim=(5e-3, 20), xlabel="iteration t", title=title)
axes[0, 0].set_ylabel(f"loss of fresh batches, {seeds} seeds")
axes[0, 1].legend(frameon=False, fontsize=8)
show(figure, "Loss against iteration on ordinary prompts and on mirrored ones. On mirrored "
             "prompts ReLU falls with linear attention, and the softmax without 1/n falls "
             "below 1.")
table(("attention", "20 examples", "10 and their mirrors", "best rate, mirrored"), rows,
      "loss of fresh batches in the last fifth: median (range) over the seeds")

# %% [markdown]
# The mirrored prompts know less, and linear attention is worse on them, as it must be. ReLU attention is *better*, by far: by (14.36) it now is linear attention, and what is left between the two is training and not the model. The softmax
# without $1/n$ gains too, and stays behind: $\sinh$ is not the score, and the normalization is still there. Which of the two it is has not been measured here.
#
# So, with care. *In this parametrization*, one head with a corner fixed at 1, a softmax can hardly do the step (1.6): its answers are capped while the $1/n$ is kept, and it cannot get rid of the mean label and of the even part of its weights. That is a statement about
# this model. Two heads with corners $1$ and $-1$ and opposite $Q$ would add up to an odd function of the scores.
#
# ## 7. The paper and us
#
# The paper's experiment at its size is loaded and not computed here: three layers, Setting 1, batches of 1000, each kind with Adam at its own best of seven rates.

# %%
numbers = loaded("attention_kinds")
show(attention_kinds.draw(numbers, Scale(**numbers["scale"])), attention_kinds.ALT)
print(attention_kinds.summary(numbers).splitlines()[0])
final = {k: panel["test"]["median"][-1] for k, panel in numbers["panels"].items()}
rows = [(panel["title"], panel["learning_rate"], f"{final[k]:.3g}",
         f"{final[k] / final['linear']:.3g}",
         f"{floor(1):.3g} ({floor(1) / final['linear']:.3g})" if k == "softmax" else "–")
        for k, panel in numbers["panels"].items()]
table(("attention", "best rate", "last test loss", "over linear",
       "(14.33): no less than (over linear)"), rows, "medians of the seeds; 1/n kept in all")

# %%
paper_and_us(["linear_against_softmax"])

# %% [markdown]
# The verdict is "agrees", by far more than the factor of 3 that was set to be "much". But look at the last column of the table before it. Whatever the softmax had learned, (14.33) alone holds its loss above the first number, and so its ratio to linear
# attention's loss above the one in brackets. The verdict was settled by the $1/n$ before the first step. The curve shows it too: the softmax is down at its level almost at once, and at no rate of the search does it get far from there.
#
# That does not make the claim wrong. It is what the released code does; and at class size a large gap remained when each kind had its own rate and the $1/n$ was dropped. But this curve is no evidence on the softmax: the two models differ in a softmax *and* in what $1/n$ means beside it.
#
# ## 8. Exercises
#
# Six cards. Write your answer in the cell under a card, run it, then the check.

# %% [markdown]
# ### Exercise 14.1 (derive, level 1, 10 min)
#
# Back to section 3, softmax attention with covariates 1, 2 and the query 1, but $w = 10$ and $q = \log 3$. What is $dq$? *Done:* one number.
#
# <details><summary>Hint 1</summary>The exponentials are 3, 9, 3. Labels 10, 20, 0.</details>
# <details><summary>Hint 2</summary>The slot is 7, the error -17, and dE = (170, 340, 0).</details>

# %%
### BEGIN SOLUTION
dq = 61.2  # dA = (-13.6, 61.2, -47.6), read with covariates 1, 2, 1
### END SOLUTION
check("14.1", dq)

# %% [markdown]
# ### Exercise 14.2 (code, level 2, 5 min)
#
# (14.12) from memory: `dE` and the weights `E`, both (B, N, N), give `dA`. *Done:* the check passes.
#
# <details><summary>Hint 1</summary>keepdims=True, and which axis sums to one?</details>

# %%
def softmax_backward(dE, E):
    ### BEGIN SOLUTION
    return E * (dE - (dE * E).sum(axis=-1, keepdims=True))
    ### END SOLUTION


# %%
check("14.2", softmax_backward)

# %% [markdown]
# ### Exercise 14.3 (find the bug, level 2, 10 min)
#
# "The weights of the paper's softmax attention." The rows sum to one, and that should make you suspicious. Repair it. *Done:* right for any scores `A` (B, N, N).
#
# <details><summary>Hint 1</summary>What do the rows of (14.3) sum to?</details>

# %%
def buggy_weights(A):
    A = A.copy()
    A[..., -1] = -np.inf  # nobody reads the query
    E = np.exp(A - A.max(axis=-1, keepdims=True))
    return E / E.sum(axis=-1, keepdims=True)


# %%
def read_weights(A):
    ### BEGIN SOLUTION
    E = np.exp(A - A.max(axis=-1, keepdims=True))
    E = E / E.sum(axis=-1, keepdims=True)
    E[..., -1] = 0.0
    return E
    ### END SOLUTION


# %%
check("14.3", read_weights)

# %% [markdown]
# ### Exercise 14.4 (derive, level 3, 15 min)
#
# The weights of one row along a line of scores: what is the second derivative of $\mathrm{softmax}(a + t v)$ by $t$ at 0? Write it for `a` and `v` (N,). *Done:* the check passes, and the
# entries sum to zero.
#
# <details><summary>Hint 1</summary>The first derivative is e (v - m) with m = the sum of e v. Differentiate both factors.</details>
# <details><summary>Hint 2</summary>The derivative of m is the variance of v under the weights e.</details>
#
# <!-- ### BEGIN SOLUTION -->
# <details><summary>Solution</summary>e' = e (v - m). So e'' = e' (v - m) - e m' = e (v - m)² - e m', and m' = Σ e' v = Σ e (v - m) v = Σ e (v - m)².</details>
# <!-- ### END SOLUTION -->

# %%
def bend(a, v):
    ### BEGIN SOLUTION
    e = la.softmax_attention.softmax(a)
    square = (v - e @ v) ** 2
    return e * (square - e @ square)
    ### END SOLUTION


# %%
check("14.4", bend)

# %% [markdown]
# ### Exercise 14.5 (derive, level 2, 10 min)
#
# The cap of (14.33) for any factor, number of examples and number of layers, over the largest label. For which $c$ does it reach 1 with $n = 20$, $L = 3$? *Done:* the function passes.
#
# <details><summary>Hint 1</summary>The query's slot grows by c/n times the largest label there is at that layer. A geometric sum.</details>

# %%
def largest_answer(c, n, L):
    ### BEGIN SOLUTION
    return (1 + c / n) ** L - 1
    ### END SOLUTION


# %%
check("14.5", largest_answer)

# %% [markdown]
# ### Exercise 14.6 (experiment, level 3, 20 min)
#
# One layer of *ReLU* attention with $P' = 0$ and $Q' = -\eta I$, $n = 20$, $d = 5$: what is its smallest loss over $\eta$? For linear attention (1.10) of lesson 01 says $30/26 = 1.15$. *Done:* within 3 percent.
#
# <details><summary>Hint 1</summary>20,000 prompts and a grid of η between 0.8 and 1.6; la.loss(params, Z, y, "relu").</details>
# <details><summary>Hint 2</summary>On paper: the mean of the weighted sum is -η/2 x_q, and only half of the examples are read.</details>
#
# <!-- ### BEGIN SOLUTION -->
# <details><summary>Solution</summary>By (14.32) f = d (1 - η + η² K) with K = (d + 2) / (2n) + (1 - 1/n) / 4 = 0.4125: the pairs i = j give (d + 2) / 2 each, the others
# a quarter. The minimum is d (1 - 1 / (4 K)) = 1.97, at η = 1 / (2 K) = 1.21.</details>
# <!-- ### END SOLUTION -->

# %%
def smallest_relu_loss():
    ### BEGIN SOLUTION
    Z, y = la.RegressionTask(n=20, d=5).sample(20_000, np.random.default_rng(SEED))
    losses = []
    for eta in np.linspace(1.0, 1.4, 5):
        params = np.zeros((1, 1, 2, 5, 5))
        params[0, 0, 1] = -eta * np.eye(5)
        losses.append(loss_and_grad(params, Z, y, "relu", 1)[0])
    return min(losses)
    ### END SOLUTION


# %%
### BEGIN SOLUTION
relu_loss = smallest_relu_loss()
### END SOLUTION
check("14.6", relu_loss)

# %% [markdown]
# ## 9. Exit ticket
#
# Write the letters in quotes.
#
# **t1.** Nobody reads the query. Is the gradient of its score zero in softmax attention?
#
# - (a) yes, since $dE$ is zero in its column
# - (b) no: the score takes part in the normalization
# - (c) no, but only in the last layer
# - (d) yes, since the mask removes it
#
# **t2.** You drop the $1/n$ from all layers. For which attention do rescaled $Q$ give the old model back?
#
# - (a) softmax
# - (b) linear only
# - (c) linear and ReLU
# - (d) softmax and linear
#
# **t3.** A softmax model has 100 times the loss of a linear one, both trained at the rate that suits the linear one. What follows about the softmax?
#
# - (a) it trains more slowly at any rate
# - (b) its weights cannot express a good answer
# - (c) nothing but the rate is to blame
# - (d) nothing yet: rates are to be searched, and caps to be looked for

# %%
### BEGIN SOLUTION
t1 = "b"
t2 = "c"
t3 = "d"
### END SOLUTION
check("14.t1", t1)
check("14.t2", t2)
check("14.t3", t3)

# %% [markdown]
# **Further reading**
#
# - Ahn et al., arXiv 2310.01082, section 3.2. The figure of section 7; the $1/n$ beside the softmax is seen in the released code.
# - von Oswald et al., *Transformers learn in-context by gradient descent*, arXiv 2212.07677. The construction (1.6) for linear attention, and what of it is found in trained models.
# - Katharopoulos et al., *Transformers are RNNs*, arXiv 2006.16236. Linear attention as a replacement of the softmax, for its cost.
# - Vaswani et al., *Attention is all you need*, arXiv 1706.03762. The softmax, with separate keys and queries and the mask *before* it.
