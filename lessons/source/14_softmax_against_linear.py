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
# **Claim.** The $1/n$ beside the softmax decides its comparison with linear attention before any training, at a loss of 2.70 where answering 0 has 4.86; without it, a second head of opposite sign, with no new weight, lowers the trained loss seven times.
#
# | read | code | run | level | needs | seed |
# |---|---|---|---|---|---|
# | 35 min | 70 min | 1 min | 3 of 5 | 01, 02, 03, 04, 07 | 14 |
#
# **Misconception.** The two attentions differ in the softmax only.
#
# **Afterwards you can say.** One softmax head has positive weights, so it carries nearly the mean label along, whatever the query; a second head with opposite scores and the opposite sign takes that away, and what is left at small scores is linear attention with its scores centred. (t2)
#
# <details><summary>Symbols of this lesson</summary>
#
# | symbol | meaning |
# |---|---|
# | $E$ (here) | weights before the mask; $e$ is one row of it |
# | $S$ (here) | sum of the exponentials of a row |
# | $\delta_{km}$ (here) | 1 if $k = m$, else 0 |
# | $a_j$, $\bar a$ (here) | scores of one reader, and their mean over all $N$ tokens |
# | $c$ (here) | what multiplies the $1/n$ of a layer: 1 is the paper's, $n$ drops it |
# | $m$ (here) | largest label of a prompt, by size |
# | $\beta$ (here) | size of the scores, $Q' = -\beta I$ |
#
# </details>
#
# You will derive softmax attention by hand, forward and backward, and train it beside linear attention, each at its own best rate. Then you
# will take away, one by one, the reasons why it loses: a factor that caps every answer, and a part of its weights that the task has no use for.

# %%
import numpy as np

import linattn_np as la
from linattn_np.kernels import threads, tokens as kernels_tokens
from linattn_np.audit.mutation import CATALOGUE, apply
from linattn_np.optimizers import Adam, clip
from linattn_np.experiments.papers.maybe_all_you_need import attention_kinds
from linattn_np.experiments.scale import Scale, test_batch
from linattn_np.progress import bar
from linattn_np.teaching import by_profile, check, knob, loaded, moving, paper_and_us, predict
from linattn_np.teaching import reveal, show, symbols, table, versions
from linattn_np.teaching.pictures import lesson_14 as pictures

SEED = 14
versions(SEED)
symbols("B n N d D L H y Z P Q M A W V params dX")

# %% [markdown]
# ## 1. Predict
#
# The paper's code has three attentions. They differ in one line: scores as they are, negative scores set to 0 (lesson 14b), or a softmax over all $N$ tokens. All
# else stays, the factor $1/n$ included. Three layers, Setting 1; a model that answers 0 has a loss of about 5. Two guesses. Which loss can softmax attention not get
# below, *whatever* its weights? And with the $1/n$ dropped: give each layer a second head, with the first one's matrices and both their signs turned, so that nothing new is trained. By which factor does the trained loss fall?

# %%
### BEGIN SOLUTION
floor_guess = 0.0
factor_guess = 1.0
### END SOLUTION
predict("14.p1", "Softmax with its 1/n: the loss that no weights get below", floor_guess)
predict("14.p2", "1/n dropped: loss with one head over loss with two", factor_guess)

# %% [markdown]
# ## 2. Derive
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
# Here is one reader's row of $E$ by the three attentions, for five scores. Dashed: the same row after the *query's* score has risen. Nobody reads the query; whom does its score concern?

# %%
show(pictures.draw_row(np.array([-1.0, 0.5, 1.0, 1.5, 0.8]), rise=1.5),
     "Three panels of five bars, a reader's weights for four examples and the query. After the "
     "query's score has risen only its own bar is higher for linear and ReLU; for the softmax "
     "the query's bar is higher and all the others are lower.")

# %% [markdown]
# **One row, in scalars.** A reader has the scores $a_1, \ldots, a_N$, and $e_k = \exp(a_k) / S$ with $S = \sum_m \exp(a_m)$. Differentiate by $a_m$: the numerator holds it only if $k = m$, $S$ always.
#
# $$ \frac{\partial e_k}{\partial a_m} = e_k\, \delta_{km} - e_k\, e_m = \big[ \mathrm{diag}(e) - e e^\top \big]_{km} $$
#
# For the weights $\frac14, \frac12, \frac14$:
#
# $$ \mathrm{diag}(e) - e e^\top = \frac{1}{16} \begin{pmatrix} 4 & & \\ & 8 & \\ & & 4 \end{pmatrix} - \frac{1}{16} \begin{pmatrix} 1 & 2 & 1 \\ 2 & 4 & 2 \\ 1 & 2 & 1 \end{pmatrix}
# = \frac{1}{16} \begin{pmatrix} 3 & -2 & -1 \\ -2 & 4 & -2 \\ -1 & -2 & 3 \end{pmatrix} $$
#
# It is symmetric. Its rows sum to zero, since a number added to all scores changes nothing. And nothing in it is zero: *each score moves every weight*, as the dashed bars did.
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
# **Undo (14.2).** In indices $dA_{ik} = \sum_j dE_{ij}\, \partial E_{ij} / \partial A_{ik}$. Put the row's derivative in: its first term gives $E_{ik}\, dE_{ik}$, the second
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
# <details><summary>Why the second derivatives need two lines more</summary>
#
# Tangents follow line by line, as in lesson 04. New are only those of (14.2) and (14.12). The row's derivative is symmetric, so the first is the same map once more; in the second all three factors move:
#
# $$ vE_{ik} = E_{ik} \Big( vA_{ik} - \sum_j vA_{ij} E_{ij} \Big) $$
# $$ hA_{ik} = vE_{ik} \Big( dE_{ik} - \sum_j dE_{ij} E_{ij} \Big) + E_{ik} \Big( hE_{ik} - \sum_j (hE_{ij} E_{ij} + dE_{ij}\, vE_{ij}) \Big) $$
#
# </details>
#
# **What the task asks for.** Let a layer add $c$ times what (14.5) adds: $c = 1$ is the paper's, $c = n$ drops the $1/n$. One layer, trained blocks only. The labels are
# $\langle w, x_j \rangle$, so the error is $-\langle w,\, x_q + \frac{c}{n} \sum_j W_j x_j \rangle$ with $W$ the query's row, and its square averages over $w$ to
#
# $$ f = \mathbb{E}\, \Big\| x_q + \frac{c}{n} \sum_{j=1}^{n} W_j\, x_j \Big\|^2 \tag{14.16} $$
#
# The examples must be weighted so that they add up to $-x_q$, the star below. Linear attention has $W_j = -\eta \langle x_j, x_q \rangle$, weights of both signs and of any
# size: a step of gradient descent, (1.6) of lesson 01. A softmax has positive weights with a sum below 1. Prompts in the plane, $c = n = 12$ and $Q' = -\beta I$; switch the second head on, its scores opposite and its sign too, then turn $\beta$. Black diamonds: the weights of both heads together, and what the weighted examples add up to.

# %%
drawn = np.random.default_rng(110)
X, queries = drawn.standard_normal((80, 12, 2)), drawn.standard_normal((80, 2))
queries[0] = 0.9, 0.7
moving(pictures.Plane(X, queries),
       "Left, bars: the weight that each head gives to each of twelve examples. In the middle "
       "the plane with the examples, the path of their weighted sum as the scores grow, and "
       "the target, a star. Right, how far 80 such sums are from their targets.",
       second=knob(("off", "on"), "off", "second head"),
       beta=knob((0.0, 0.2, 0.4, 0.5, 0.75, 1.0, 2.0), 0.75, "size of the scores"))

# %% [markdown]
# At $\beta = 0$ one head adds up to the mean of the examples, which has nothing to do with the query; with two heads the path begins at 0. And the misses come closer to the star. Now say it in formulas.
#
# **The factor matters to the softmax only.** $cA$ is the score of $cQ$, so for linear attention a factor $c$ is the same model with $cQ$ in
# place of $Q$. A softmax does not pass a factor on. Let $m = \max_{j \le n} |y_j|$. Its weights are positive and sum to less than one, and the corner of $P$ is 1: a layer adds at most $\frac{c}{n} m$ to any label. So $m$ grows by at most
# $1 + \frac{c}{n}$ in each layer, and the query's slot, which begins at 0, by the same amounts:
#
# $$ |\mathrm{prediction}| \le \Big( \big( 1 + \tfrac{c}{n} \big)^L - 1 \Big)\, m, \qquad
# f \ge \mathbb{E} \big( |y| - |\mathrm{prediction}|_{\max} \big)_+^2 \tag{14.17} $$
#
# for all $P'$ and $Q'$, trained or not. With $n = 20$, $L = 3$, $c = 1$ the cap is $0.158\, m$.
#
# **One head carries the mean label.** Expand (14.2) for small scores, $e^{a} = 1 + a + \ldots$:
#
# $$ \sum_{j \le n} W_j\, y_j = \frac{1}{N} \sum_{j \le n} y_j + \frac{1}{N} \sum_{j \le n} (a_j - \bar a)\, y_j + O(a^2), \qquad \bar a = \frac{1}{N} \sum_{k=1}^{N} a_k \tag{14.18} $$
#
# The second sum is linear attention, with scores freed of their mean. The first is there whatever $Q'$ is: the mean label, of mean square $\|w\|^2 / n$, which does not know the query. The task is odd: turn a covariate's sign and its label turns too. An even part of the weights, one that is the same for $a$ and $-a$, is noise to it.
#
# **A second head takes it away.** Give it the scores $-a$ and the sign $-1$, that is $-Q$ and $-P$. The two together are odd in $a$, so all even terms are gone:
#
# $$ \sum_{j \le n} (W_j^{+} - W_j^{-})\, y_j = \frac{2}{N} \sum_{j \le n} (a_j - \bar a)\, y_j + O(a^3) \tag{14.19} $$
#
# Small scores with a large $c$ make this as exact as one likes: linear attention with *centred* scores. So three things can keep a softmax from the step (1.6): the cap, the even part, and the mean $\bar a$ that the normalization takes off. Section 6 takes them away one by one.
#
# **A control.** *Mirror* a prompt: beside each example $(x_j, y_j)$ put $(-x_j, -y_j)$. Then the even part cancels in the sum over the examples, and one head gives $\sum_j 2 \sinh(a_j)\, y_j / S$. If the even part is what the second head removes, then on mirrored prompts it must gain nothing.
#
# > **Where people slip**
# > - *$1/n$ beside a softmax.* The weights sum to one already; (14.17) is the price.
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
# *The second head* has the scores $-q, -2q, -q$, exponentials $\frac12, \frac14, \frac12$, so $e^- = (\frac25, \frac15, \frac25)$. Together $W^+ - W^- = (-\frac{3}{20}, \frac{3}{10}, 0)$: a weight of each sign, which no single softmax has. The slot is
# $\frac12 (-\frac{3}{20} \cdot 16 + \frac{3}{10} \cdot 32) = \frac{18}{5}$. By machine:

# %%
Z_paper = np.array([[[1, 16], [2, 32], [1.0, 0]]])  # (B, N, D) = (1, 3, 2)
P_paper, Q_paper = np.eye(2)[None], np.diag([np.log(2), 0.0])[None]  # (H, D, D)
seen = {}
mark = lambda name, value: seen.setdefault(name, value)
out, tape = la.softmax_attention.forward(Z_paper, P_paper, Q_paper, mark)
dout = la.softmax_attention.readout_backward(2 * (la.softmax_attention.readout(out) - 16), out)
_, _, dQ = la.softmax_attention.backward(dout, tape, mark)
E_row, dA_row = (seen[name][0, 0, -1].round(9).tolist() for name in ("E", "dA"))
print(f"E {E_row}  slot {out[0, -1, -1]:.9g}  dA {dA_row}  dq {dQ[0, 0, 0]:.9g}")
two_heads = [np.concatenate([X, -X]) for X in (P_paper, Q_paper)]
out, tape = la.softmax_attention.forward(Z_paper, *two_heads)
W_row = (tape.E[0, 0, -1] - tape.E[0, 1, -1]) * [1, 1, 0]  # the mask of (14.3)
print(f"two heads: weights {W_row.round(9).tolist()}  slot {out[0, -1, -1]:.9g}")

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
# As matrices, on a batch. The argument `mistake` is for later.

# %%
def layer(Z, P, Q, mistake=None):
    """Z' (B, N, D), and E (B, N, N) and V (B, N, D) for the way back; P and Q (D, D)."""
    n = Z.shape[1] - 1
    A = Z @ Q.T @ Z.mT  # (14.1)
    if mistake == "mask before the softmax":
        A = A + np.append(np.zeros(n), -np.inf)
    E = np.exp(A - A.real.max(axis=-1, keepdims=True))
    E = E / E.sum(axis=-1, keepdims=True)  # (14.2)
    W, V = E * np.append(np.ones(n), 0.0), Z @ P.T  # (14.3), (14.4)
    return Z + W @ V / n, E, V  # (14.5)


# %%
def backward(dout, Z, P, Q, mistake=None):
    """dZ (B, N, D), dP and dQ (D, D)."""
    n = Z.shape[1] - 1
    _, E, V = layer(Z, P, Q, mistake)
    M = np.append(np.ones(n), 0.0)
    dV = (E * M).mT @ dout / n  # (14.7)
    dW = dout @ V.mT / n  # (14.6)
    dE = dW * (1.0 if mistake == "mask forgotten backward" else M)  # (14.11)
    axis = -2 if mistake == "mean over the readers" else -1
    mean = (dE * E).sum(axis=axis, keepdims=True)
    dA = E * (dE - (0.0 if mistake == "no mean term" else mean))  # (14.12)
    dZ = dout + dV @ P + dA @ Z @ Q + dA.mT @ Z @ Q.T  # (14.8), (14.10), (14.14), (14.15)
    dP, dQ = (dV.mT @ Z).sum(axis=0), (Z.mT @ dA.mT @ Z).sum(axis=0)  # (14.9), (14.13)
    return dZ, dP, dQ


# %% [markdown]
# Then the library's module, which has a head axis, and the compiled kernel, which computes the loss and gradient of a whole model.

# %%
rng = np.random.default_rng(SEED)
Zs, douts = rng.standard_normal((2, 3, 8, 6))  # B = 3, N = 8, D = 6
P, Q = 0.5 * rng.standard_normal((2, 6, 6))
gap = lambda a, b: f"{np.abs(a - b).max() / np.abs(b).max():.0e}"
matrices = layer(Zs, P, Q)[0], *backward(douts, Zs, P, Q)
outs, dZs, dPs, dQs = zip(*(softmax_by_loops(*pair, P, Q) for pair in zip(douts, Zs)))
loops = np.stack(outs), np.stack(dZs), sum(dPs), sum(dQs)
out, tape = la.softmax_attention.forward(Zs, P[None], Q[None])
dZ, dP, dQ = la.softmax_attention.backward(douts, tape)
table(("compared", "Z'", "dZ", "dP", "dQ"), [
    ("loops and matrices", *map(gap, loops, matrices)),
    ("matrices and library", *map(gap, matrices, (out, dZ, dP[0], dQ[0]))),
], "relative differences")
params, prompts = la.init_params(rng, std=0.3), la.RegressionTask().sample(50, rng)
slow = la.loss_and_grad(params, *prompts, "softmax", backend="numpy")[1]
fast = kernels_tokens.loss_and_grad(params, *prompts, "softmax")[1]
print(f"gradient of three layers, NumPy and compiled: {gap(fast, slow)}")

# %% [markdown]
# ## 5. Audit it
#
# Two tests. **Gradient**: every entry equals its complex step, (2.16) of lesson 02; $\exp$ is analytic. **Query**: it takes part in the
# normalization. Let the score of the query grow for one reader, $A_{iN} \to \infty$. Then $E_{iN} \to 1$, the reader's other weights vanish, and it must read nothing: $Z'_i = Z_i$. Four planted mistakes:

# %%
def complex_step(mistake, h=1e-30):
    """The gradient of <douts, Z'> by Z, P and Q, from the forward pass alone."""
    gradients, arrays = [], (Zs, P, Q)
    for k, array in enumerate(arrays):
        gradient = np.zeros(array.shape)
        for at in np.ndindex(array.shape):
            stepped = [a.astype(complex) for a in arrays]
            stepped[k][at] += 1j * h
            gradient[at] = (douts * layer(*stepped, mistake)[0]).sum().imag / h
        gradients.append(gradient)
    return gradients


def reads_nothing(mistake):
    """Whether reader 0 is silenced by a query that scores 100 with it."""
    Z = Zs.copy()
    towards = Z[:, 0] @ Q.T  # (B, D) what a token's score with reader 0 is measured along
    Z[:, -1] = 100 * towards / (towards**2).sum(axis=-1, keepdims=True)
    return np.abs(layer(Z, P, Q, mistake)[0] - Z)[:, 0].max() < 1e-9


# %%
rows, right = [], complex_step(None)
for mistake in (None, "no mean term", "mean over the readers", "mask forgotten backward",
                "mask before the softmax"):
    before = mistake == "mask before the softmax"  # a mistake of both passes alike
    oracle = complex_step(mistake) if before else right
    errors = map(gap, backward(douts, Zs, P, Q, mistake), oracle)
    rows.append((mistake or "none: yours", *errors,
                 "passes" if reads_nothing(mistake) else "FAILS"))
table(("mistake", "error of dZ", "of dP", "of dQ", "query"), rows)

# %% [markdown]
# The mistakes of the backward pass are caught by the complex step, in $dZ$ and $dQ$; $dP$ does not contain them. The mask before the softmax is another matter. Its gradient
# is right to the last digit, for the wrong model: a gradient is only ever judged against its own forward pass. The second test sees it.
#
# **The library's audit** on whole models, second derivatives included; then with its planted version of your first mistake.

# %%
forgotten = {mutation.id: mutation for mutation in CATALOGUE}["softmax_no_mean"]
reports = {
    "softmax": la.audit.audit_model("softmax", batch=2, n=7),
    "softmax, no mean term":
        la.audit.audit_model("softmax", module=apply(forgotten), batch=2, n=7),
}
table(("three layers", "verdict", "what it adds"),
      [(name, report.verdict, report.summary()[1]) for name, report in reports.items()])

# %% [markdown]
# ### Optional. The shift
#
# `exp` overflows at 710, so a number is taken off the scores first. Which? Any number that is common to a row cancels in the quotient, its imaginary part included.
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
exact = (w * E * (va - (va * E).sum(axis=-1, keepdims=True))).sum()  # by (14.12)
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

# %% [markdown]
# ## 6. Experiment
#
# One question: what of softmax attention's loss is due to the softmax? First without any training, the bounds (14.17) on the paper's test batch; two heads add twice as much, so there $2c$ stands for $c$. Beside the cap stands the largest answer of
# 300 models with random weights of size 3.

# %%
Z_test, y_test = test_batch(la.RegressionTask())  # 1000 prompts, seed 99
m_test = np.abs(Z_test[:, :-1, -1]).max(axis=1)  # (B,) the largest label of each prompt


def cap(c, n=20, L=3):
    return (1 + c / n) ** L - 1  # (14.17)


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
# **One layer, the best $c$.** Now let $c$ be free: with $P' = 0$ and $Q' = -\beta I$ the slot is $\frac{c}{n} s$ with $s = \sum_j W_j y_j$, and the best $c$ is a least squares fit of $-y$. What is left is the fault of the weights alone. Between the softmax with two heads and linear attention stands $W_j = \sinh a_j$: odd, and not normalized.

# %%
def best_loss(W, Z, y):
    """The loss with the weights W (B, n) of the examples' labels, at its best c."""
    s = (W * Z[:, :-1, -1]).sum(axis=1)  # (B,)
    return (y * y).mean() - (s * y).mean() ** 2 / (s * s).mean()


def products_of(Z):
    """<x_j, x_q> for all tokens (B, N)."""
    return (Z[:, :, :-1] @ Z[:, -1, :-1, None])[..., 0]


softmax, betas = la.softmax_attention.softmax, np.geomspace(0.01, 2.0, by_profile(6, 24))
ROWS = {"linear": lambda a: a, "sinh, not normalized": np.sinh,
        "softmax, two heads": lambda a: softmax(a) - softmax(-a), "softmax, one head": softmax}
one = la.RegressionTask(n=20).sample(by_profile(500, 40_000), np.random.default_rng(SEED))
scores = [-beta * products_of(one.Z) for beta in betas]
best = {name: np.array([best_loss(row(a)[:, :-1], *one) for a in scores])
        for name, row in ROWS.items()}
show(pictures.draw_one_layer(betas, best),
     "Loss of one layer with the best c against the size of the scores. Linear is level and "
     "lowest. Two heads and sinh begin near it at small scores and rise; sinh starts on it, "
     "two heads a little above. One head begins near 5, has its lowest point above 2 and "
     "rises.")
a = scores[0]
centred = best_loss((a - a.mean(axis=1, keepdims=True))[:, :-1], *one)
table(("weights of the labels", "smallest loss", "at beta"),
      [*((name, losses.min(), betas[losses.argmin()]) for name, losses in best.items()),
       ("linear, scores centred by their mean", centred, "–")],
      f"one layer, the best c; (1.10) says {30 / 26:.3f} for linear")

# %% [markdown]
# So it is settled for one layer which part costs what. The even part, which one head cannot shed, is by far the most of it. Two heads shed it, and end where linear attention with centred scores ends: what is left is the mean $\bar a$ of the normalization, and it is small. The $\sinh$ costs nothing, since small scores with a large $c$ make it a straight line.
#
# **Three layers, trained.** The factor multiplies $P$, corner included, and the second head is the first with both signs turned; the compiled kernels take whole matrices, and the chain rule gives the gradient of what is trained. One way more: $c = 1$ and one head, but
# *all* of $P$ and $Q$ trained, so that the model may set its corners itself.

# %%
def loss_and_grad(params, Z, y, kind, c, heads):
    """(1.5) and its gradient; each layer adds c times what (14.5) adds, head 2 is -P and -Q."""
    full = la.transformer.to_full(params, Z.shape[-1]).copy()  # diag(P', 1), diag(Q', 0)
    full[:, :, 0] *= c
    if kind == "linear":
        value, grad = la.loss_and_grad(full, Z, y)
    else:
        both = np.concatenate([full, -full], axis=1) if heads == 2 else full
        value, grad = kernels_tokens.loss_and_grad(both, Z, y, kind)  # (14.1) to (14.15)
        grad = grad[:, :1] - grad[:, 1:] if heads == 2 else grad.copy()
    grad[:, :, 0] *= c
    return value, la.transformer.to_full_adjoint(grad, params.shape[-1])


def ordinary(batch, rng):
    return la.RegressionTask(n=20).sample(batch, rng)


# %%
def train(kind, c, heads, lr, seed, full=False, draw=ordinary):
    """The trained params, and the loss of each fresh batch of 100 before its step."""
    rng, losses = np.random.default_rng([SEED, seed]), []
    x, optimizer = la.init_params(rng, full=full), Adam(lr, beta1=0.9, beta2=0.9)
    state = optimizer.init(x)
    with np.errstate(all="ignore"):  # the largest rates may diverge
        for _ in range(steps):
            value, grad = loss_and_grad(x, *draw(100, rng), kind, c, heads)
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
WAYS = {"linear": ("linear", 1, 1, False),
        "softmax, c = 1": ("softmax", 1, 1, False),
        "softmax, c = 1, all trained": ("softmax", 1, 1, True),
        "softmax, c = 8": ("softmax", 8, 1, False),
        "softmax, c = 20": ("softmax", 20, 1, False),
        **{f"two heads, c = {c}": ("softmax", c, 2, False) for c in (1, 20, 60, 200)}}
RATES = by_profile((0.01, 0.05), (0.005, 0.01, 0.02, 0.05, 0.1))
seeds, steps = by_profile(2, 4), by_profile(20, 300)


def score(losses):
    value = np.median(losses[-steps // 5 :])
    return value if np.isfinite(value) else np.inf


def searched(kind, c, heads, full, draw=ordinary):
    """-> {rate: score}, the best rate, and its runs, one for each seed."""
    first = side_by_side([(kind, c, heads, lr, 0, full, draw) for lr in RATES])
    scores = {lr: score(losses) for lr, (_, losses) in zip(RATES, first)}
    best = min(scores, key=scores.get)
    rest = side_by_side([(kind, c, heads, best, k, full, draw) for k in range(1, seeds)])
    return scores, best, [first[RATES.index(best)], *rest]


# %%
found = {}
with bar(len(WAYS), "attention kinds", unit="way") as shown:
    for name, way in WAYS.items():
        found[name] = searched(*way)
        shown.update()

# %%
rows, drawn, middle = [], {}, {}
for name, (kind, c, heads, full) in WAYS.items():
    tried, best_rate, runs = found[name]
    tests = [loss_and_grad(x, Z_test, y_test, kind, c, heads)[0] for x, _ in runs]
    middle[name] = float(np.median(tests))
    bound = floor(heads * c) if kind == "softmax" and not full else None
    drawn[name] = (list(tried.values()), tests, bound if bound and bound > 5e-3 else None)
    rows.append((name, best_rate, middle[name], f"{min(tests):.3g} to {max(tests):.3g}",
                 "–" if bound is None else f"{bound:.2g}",
                 f"{middle[name] / middle['linear']:.3g}",
                 f"{tried[found['linear'][1]]:.3g}"))
show(pictures.draw_ways(drawn),
     "A line for each way, loss on a logarithmic axis. Linear lies near 0.01. Softmax with one "
     "head lies above 1 with any c, with c = 1 above its floor. With two heads it moves left "
     "as c grows, to near linear attention at c = 200.")
table(("attention", "best rate", "test loss", "seeds", "floor (14.17)", "over linear",
       "score at linear's rate"), rows, f"{steps} iterations, batches of 100, {seeds} seeds")

# %%
LOOKS = {"linear": ("#0072B2", "-"), "softmax, c = 20": ("#D55E00", "--"),
         "two heads, c = 20": ("#CC79A7", "-")}
corners = [x[:, 0, 0, -1, -1] for x, _ in found["softmax, c = 1, all trained"][2]]
print("corners of P that were trained, size by layer:",
      *np.median(np.abs(corners), axis=0).round(1))
mean_label = Z_test[:, :-1, -1].mean(axis=1)  # (B,)
constant = ((1 + 20 / 21) ** 3 - 1) * mean_label  # (14.18) with a = 0, three times, c = 20
at_zero = loss_and_grad(np.zeros((3, 1, 2, 5, 5)), Z_test, y_test, "softmax", 20, 1)[0]
print(f"c = 20, one head, weights of zero: loss {at_zero:.2f}, by (14.18) "
      f"{((constant + y_test) ** 2).mean():.2f}")
reveal("14.p2", middle["softmax, c = 20"] / middle["two heads, c = 20"],
       f"At c = 20. Over linear's loss: {middle['softmax, c = 20'] / middle['linear']:.0f} and "
       f"{middle['two heads, c = 20'] / middle['linear']:.0f}.")

# %% [markdown]
# Start with the floor. With the $1/n$ kept, the softmax's loss hardly depends on the rate, and the greater part of it is floor: no rate, no start and no patience can remove that. Raise $c$
# with one head, and the loss falls and then rises again: the mean label of (14.18) is multiplied by $c$ as well, and by $1 + c/N$ in each layer, so that at $c = 20$ training begins far above the loss of answering 0. The model that may train its corners gets below the floor, which was derived for corners of 1.
#
# With two heads there is nothing to be multiplied. The larger $c$, the smaller the scores may be, and the closer the loss comes to linear attention's. At $c = 200$ a factor of two is left (its best rate is the lowest of the list, so perhaps less). What it is made of, the centring or a slower start, was not separated here, and 300 iterations are few.
#
# Search the rates or not? Look at the last column: at the rate that suits linear attention the two heads with $c = 200$ end at a loss of about a hundred, and one would report the opposite.
#
# **The control.** Mirrored prompts: 10 examples and their images, with half as many different examples to learn from.

# %%
def draw_mirrored(batch, rng):
    """Prompts of 10 examples and their mirror images: (B, 21, 6), and the labels."""
    Z, y = la.RegressionTask(n=10).sample(batch, rng)
    return np.concatenate([Z[:, :-1], -Z[:, :-1], Z[:, -1:]], axis=1), y


mirrored = {name: searched(*WAYS[name], draw_mirrored) for name in LOOKS}
losses_of = lambda runs: np.array([losses for _, losses in runs])
show(pictures.draw_curves({
    "20 examples": {name: losses_of(found[name][2]) for name in LOOKS},
    "10 examples and their mirrors": {name: losses_of(mirrored[name][2]) for name in LOOKS},
}, LOOKS), "Loss against iteration on ordinary and on mirrored prompts. On ordinary ones two "
           "heads lie far below one head; on mirrored ones the two curves lie together.")
last = lambda runs: [score(losses) for _, losses in runs]
rows = [(name, *(f"{np.median(last(r)):.3g} ({min(last(r)):.3g} to {max(last(r)):.3g})"
                 for r in (found[name][2], mirrored[name][2])), mirrored[name][1])
        for name in LOOKS]
table(("attention", "20 examples", "10 and their mirrors", "best rate, mirrored"), rows,
      "loss of fresh batches in the last fifth: median (range) over the seeds")

# %% [markdown]
# The mirrored prompts know less, and linear attention is worse on them, as it must be. One softmax head is *better* on them, by far: its even part is gone. And there the second head gains nothing, as it should if that part is all that it removes.
#
# So, with care. *In this parametrization*, one head with a corner fixed at 1, a softmax can hardly do the step (1.6): its answers are capped while the $1/n$ is kept, and it cannot get rid of the mean label. Neither is a property of softmax attention as such: the first is a factor, and the second goes with a second head.
#
# ## 7. The paper and us
#
# The paper's experiment at its size is loaded and not computed here: three layers, Setting 1, batches of 1000, each kind with Adam at its own best of seven rates. The dotted line is the floor (14.17) on the fixed test batch.

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
       "(14.17): no less than (over linear)"), rows, "medians of the seeds; 1/n kept in all")

# %%
paper_and_us(["linear_against_softmax"])

# %% [markdown]
# The verdict is "agrees", by far more than the factor that was set to be "much". But look at the last column of the table before it. Whatever the softmax had learned, (14.17) alone holds its loss above the first number, and so its ratio to linear
# attention's loss above the one in brackets. The verdict was settled by the $1/n$ before the first step. The curve shows it too: the softmax is down at its level almost at once, and stays there.
#
# That does not make the claim wrong. It is what the released code does. But this curve is no evidence on the softmax: the two models differ in a softmax, in what $1/n$ means beside it, *and* in whether one head can be odd.
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
# The cap of (14.17) for any factor, number of examples and number of layers, over the largest label. For which $c$ does it reach 1 with $n = 20$, $L = 3$? *Done:* the function passes.
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
# Two heads in one layer, $P' = 0$, $Q' = -\beta I$, now with $n = 10$ examples in $d = 3$ dimensions: what is the smallest loss over $\beta$ and $c$? For linear attention (1.10) of lesson 01 says $12/14 = 0.857$. *Done:* within 3 percent.
#
# <details><summary>Hint 1</summary>20,000 prompts of la.RegressionTask(n=10, d=3); products_of and best_loss of section 6 do the work.</details>
# <details><summary>Hint 2</summary>Where does the curve of section 6 have its lowest point? Where (14.19) is nearly exact.</details>

# %%
def smallest_loss_of_two_heads():
    ### BEGIN SOLUTION
    Z, y = la.RegressionTask(n=10, d=3).sample(40_000, np.random.default_rng(SEED))
    a = products_of(Z)
    row = lambda beta: (softmax(-beta * a) - softmax(beta * a))[:, :-1]
    return min(best_loss(row(beta), Z, y) for beta in (0.01, 0.05, 0.1, 0.2, 0.4))
    ### END SOLUTION


# %%
### BEGIN SOLUTION
two_heads_loss = smallest_loss_of_two_heads()
### END SOLUTION
check("14.6", two_heads_loss)

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
# **t2.** A second head has the first one's matrices with both signs turned. Why does the loss fall so far?
#
# - (a) twice as many weights are trained
# - (b) the $1/n$ is gone
# - (c) what does not depend on the sign of the scores cancels, the mean label first of all
# - (d) the two softmaxes add up to weights that sum to one
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
