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
# # Lesson 01. One prompt by hand
#
# **Claim.** One layer of linear attention can do one step of gradient descent on the examples in its prompt, without changing a weight.
#
# | read | code | run | level | needs | seed |
# |---|---|---|---|---|---|
# | 30 min | 55 min | 1 min | 1 of 5 | – | 1 |
#
# **Misconception.** Learning in context changes the weights.
#
# **Afterwards you can say.** The weights do not move; what learns is in the tokens: after each layer their label slots hold what one more step of gradient descent has left unexplained. (t1)
#
# <details><summary>Symbols of this lesson</summary>
#
# | symbol | meaning |
# |---|---|
# | $P'$, $Q'$ | the trained $d \times d$ blocks of $P$ and $Q$ |
# | $q$ | the only entry of $Q'$ when $d = 1$ |
# | $\eta$ (here) | step length of a layer |
# | $u_l$ (here) | the fitted vector after $l$ steps of gradient descent |
# | $C$ (here) | mean of $x x^\top$ over a prompt's examples |
# | $f$ | the loss |
#
# </details>
#
# You will write down one prompt, push it through one layer with a pencil, then in code, and find out what each part of the layer is for:
# the number of examples $n$, the number of covariates $d$, the mask $M$, and the minus sign of the prediction.

# %%
import numpy as np

import linattn_np as la
from linattn_np.progress import bar
from linattn_np.teaching import by_profile, check, facts, knob, moving, predict, reveal, show
from linattn_np.teaching import slider, symbols, table, versions
from linattn_np.teaching.pictures import lesson_01 as pictures

SEED = 1
versions(SEED)
symbols("B n N d D L x w y Z P Q M A W V")

# %% [markdown]
# ## 1. Predict
#
# A prompt holds $n = 20$ pairs $(x_i, y_i)$ with $y_i = \langle w, x_i \rangle$, and one more $x$ whose label is asked for. All $x$ and $w$ are drawn from
# $N(0, I_5)$. A model that always answers 0 has the mean squared error $\mathbb{E} \langle w, x \rangle^2 = 5$. A model with one layer and a single free number,
# its step length $\eta$, does better. Guess before you read on: write numbers in place of the dots.

# %%
### BEGIN SOLUTION
best_loss_guess = 0.0
changed_guess = 100
### END SOLUTION
predict("01.p1", "n = 20, d = 5: the smallest loss that any eta reaches", best_loss_guess)
predict("01.p2", "Without the mask M: percent of predictions that change", changed_guess)

# %% [markdown]
# ## 2. Derive
#
# **The prompt.** Each example becomes a token: its covariates, then its label. The query is the last token, and its label slot is 0,
# because its label is the question. Tokens are rows here; the paper writes them as columns.
#
# $$ Z_0 = \begin{pmatrix} x_1^\top & y_1 \\ \vdots & \vdots \\ x_n^\top & y_n \\ x_{n+1}^\top & 0 \end{pmatrix}
# \in \mathbb{R}^{N \times D}, \qquad N = n + 1, \quad D = d + 1 \tag{1.1} $$
#
# The task vector $w$ appears nowhere in it. Every prompt has another $w$, and the model must make do with the examples.
#
# **One covariate, in scalars.** Let $d = 1$. A layer changes each token's label by reading the examples. How much token $i$ reads of
# token $j$ is a *score*, here $q\, x_i x_j$ with one number $q$. What it reads there is a *value*, here the label $y_j$. It adds what it
# has read to its own label, divided by the number of examples:
#
# $$ y_i' = y_i + \frac{1}{n} \sum_{j=1}^{n} q\, x_i x_j\, y_j . $$
#
# The sum stops at $n$. The query reads and is never read. That is all the mask says.
#
# **In indices.** For tokens $z_i$ with $D$ entries the score becomes a bilinear form with a matrix $Q$, and the value a matrix $P$ times
# the token:
#
# $$ z_i' = z_i + \frac{1}{n} \sum_{j=1}^{n} \left( z_j^\top Q\, z_i \right) P z_j . $$
#
# **In matrices.** In the paper's columns, $Z$ has $z_j$ as column $j$. Then $z_j^\top Q\, z_i$ is entry $(j, i)$ of $Z^\top Q Z$, the mask $M = \mathrm{diag}(1, \ldots, 1, 0)$ keeps the rows
# $j \le n$ of it, and the sum over $j$ of $P z_j$ times such an entry is column $i$ of a product:
#
# $$ \sum_{j=1}^{n} P z_j \left( z_j^\top Q\, z_i \right) = \sum_{j=1}^{N} (P Z)_{:,j}\, M_{jj}\, (Z^\top Q Z)_{ji} = \left[ P Z M (Z^\top Q Z) \right]_{:,i} . $$
#
# Our rows are the transpose, $(P Z M Z^\top Q Z)^\top = (Z^\top Q^\top Z)\, M\, Z^\top P^\top$. Now call the rows $Z$ instead of $Z^\top$:
#
# $$ \mathrm{Attn}_{P,Q}(Z) = \left( Z Q^\top Z^\top M \right) Z P^\top \tag{1.2} $$
#
# Read it from the left: scores, mask, values. A stack of $L$ layers adds such a term to its tokens $L$ times:
#
# $$ Z_{l+1} = Z_l + \frac{1}{n} \mathrm{Attn}_{P_l, Q_l}(Z_l), \qquad l = 0, \ldots, L - 1 \tag{1.3} $$
#
# The answer is read from the query's label slot, with a minus sign that will explain itself in a moment:
#
# $$ \mathrm{prediction} = -[Z_L]_{N, D} \tag{1.4} $$
#
# The loss is the mean square of the error over $B$ prompts, where $y_b = \langle w_b, x_{n+1} \rangle$ is the label asked for in prompt $b$. It is not halved.
#
# $$ f = \frac{1}{B} \sum_{b=1}^{B} (\mathrm{prediction}_b - y_b)^2 \tag{1.5} $$
#
# Here is a layer at work on a prompt with two examples, the one that you will do with a pencil in section 3. Do not check the numbers yet; look at what moves where.

# %%
moving(
    pictures.pencil_prompt,
    "Five tables of numbers that fill up step by step: three tokens, their scores, the scores "
    "after the mask with an empty last column, what each token has read, and the new tokens.",
    step=knob(range(1, pictures.STEPS + 1), 5, "step"),
)

# %% [markdown]
# **Which entries are trained.** Only the top-left $d \times d$ blocks $P'$ and $Q'$: the layer uses $P = \mathrm{diag}(P', 1)$ and
# $Q = \mathrm{diag}(Q', 0)$. So scores look at covariates only, and labels are read as they are. With three layers and $d = 5$ that makes
# $2 \cdot 3 \cdot 25 = 150$ numbers.
#
# **What such a layer can do.** Choose $P' = 0$ and $Q' = -\eta I$. Covariates stay as they are, and the labels become
#
# $$ y_i' = y_i - \Big\langle \frac{\eta}{n} \sum_{j=1}^{n} y_j x_j,\; x_i \Big\rangle , \qquad i = 1, \ldots, N \tag{1.6} $$
#
# Now fit a vector $u$ to the examples by gradient descent on $\frac{1}{2n} \sum_j (\langle u, x_j \rangle - y_j)^2$, from $u_0 = 0$ with
# step $\eta$:
#
# $$ u_{l+1} = u_l + \frac{\eta}{n} \sum_{j=1}^{n} \left( y_j - \langle u_l, x_j \rangle \right) x_j \tag{1.7} $$
#
# Compare the two for $l = 0$. The vector inside (1.6) is $u_1$. So after one layer the label slot of example $i$ holds
# $y_i - \langle u_1, x_i \rangle$, its *residual*, and the query's slot, which began at 0, holds $0 - \langle u_1, x_{n+1} \rangle$.
#
# Now suppose that after $l$ layers the slots hold
# $y_i - \langle u_l, x_i \rangle$ and $-\langle u_l, x_{n+1} \rangle$. The next layer does (1.6) with these in place of the labels: it subtracts
# $\langle \frac{\eta}{n} \sum_j (y_j - \langle u_l, x_j \rangle)\, x_j,\; x_i \rangle$, and the vector in it is $u_{l+1} - u_l$ by (1.7). So the slots then hold
# $y_i - \langle u_l, x_i \rangle - \langle u_{l+1} - u_l, x_i \rangle = y_i - \langle u_{l+1}, x_i \rangle$, and likewise the query's. By induction that is so for every number of layers.
#
# **That is what the minus sign is for:** minus the slot is the fitted answer. The weights have not moved. What learned is $u$, and it
# lives in the tokens.
#
# The picture shows 300 prompts: each dot is one, its true answer to the right, the model's upwards, on the dashed line where it is perfect. Run the cell, then
# turn $\eta$ and the number of layers; what leaves the page is drawn at its edge.

# %%
def step_params(eta, layers, d=5):
    """(layers, 1, 2, d, d): P' = 0 and Q' = -eta I, so each layer is one step of (1.7)."""
    params = np.zeros((layers, 1, 2, d, d))
    params[:, :, 1] = -eta * np.eye(d)
    return params


dots = la.RegressionTask(n=20, d=5).sample(300, np.random.default_rng(SEED))


def draw_answers(eta, layers):
    answers = la.predict(step_params(eta, layers), dots.Z)
    loss = ((answers - dots.y) ** 2).mean()
    title = f"step {eta:.2f}, layers {layers}: loss {loss:.3g}"
    return pictures.answers_against_labels(dots.y, answers, title)


slider(
    draw_answers,
    "Predictions against true answers for 300 prompts: a cloud of dots along the dashed "
    "diagonal, flatter than it.",
    eta=knob(np.arange(0, 2.01, 0.05).round(2), 0.75, "step"),
    layers=knob(range(1, 9), 1, "layers"),
)

# %% [markdown]
# **The best step.** Write $C = \frac{1}{n} \sum_j x_j x_j^\top$. After one layer $u_1 = \eta\, C w$, so the error is
# $\langle (\eta C - I) w, x_{n+1} \rangle$. Average its square: over $x_{n+1}$, which is $N(0, I)$, it is $\|(\eta C - I) w\|^2$; over $w$, which is $N(0, I)$ too, that is
# the sum of the squared entries of $\eta C - I$, the trace of its square; and over the examples:
#
# $$ f(\eta) = \mathrm{tr}\, \mathbb{E}\big[ (I - \eta C)^2 \big] = d - 2 \eta\, d + \eta^2\, \mathrm{tr}\, \mathbb{E}[C^2] \tag{1.8} $$
#
# since $\mathbb{E}[C] = I$. In $C^2 = \frac{1}{n^2} \sum_{i,j} x_i x_i^\top x_j x_j^\top$ the $n(n-1)$ pairs with $i \ne j$ give $I$ each.
# The $n$ others give $\mathbb{E}[\|x\|^2 x x^\top]$. Let $x$ have the entries $\xi_1, \ldots, \xi_d$. Off the diagonal the mean is 0, and on it
# $\mathbb{E}[\|x\|^2 \xi_1^2] = \mathbb{E}[\xi_1^4] + (d-1)\, \mathbb{E}[\xi_1^2 \xi_2^2] = 3 + (d - 1)$. Together $\frac{1}{n^2} \left( n (n - 1) + n (d + 2) \right) I$, so
#
# $$ \mathbb{E}[C^2] = \Big( 1 + \frac{d + 1}{n} \Big) I \tag{1.9} $$
#
# and the parabola (1.8), $d - 2 \eta\, d + \eta^2 d\, (1 + \frac{d+1}{n})$, has its minimum where
#
# $$ \eta^* = \frac{n}{n + d + 1}, \qquad f(\eta^*) = \frac{d (d + 1)}{n + d + 1} \tag{1.10} $$
#
# > **Where people slip**
# > - *Rows and columns.* With tokens as rows it is $Z Q^\top Z^\top$ and $Z P^\top$. With symmetric matrices you would never notice.
# > - *$1/(n+1)$.* The query is a token and not an example. The sum has $n$ terms.
# > - *The mask on the wrong side.* The last *column* of the scores is cleared: the query reads. Clear the row and it never answers.
# > - *The leaked label.* Put the query's label into its slot and the task is gone.

# %% [markdown]
# ## 3. On paper
#
# Take $d = 1$, $n = 2$, $w = 2$, covariates 1 and 3, and the query 1. The labels are 2 and 6, and the answer asked for is 2. Let
# $P = \mathrm{diag}(1, 1)$ and $Q = \mathrm{diag}(-1, 0)$, so $P' = 1$ and $\eta = 1$. (With $P' = 1$ the covariates move too. After a single layer nobody reads them, so (1.6) still says what
# the labels become.) Do it with a pencil before you look.
#
# $$ Z = \begin{pmatrix} 1 & 2 \\ 3 & 6 \\ 1 & 0 \end{pmatrix}, \quad
# A = Z Q^\top Z^\top = \begin{pmatrix} -1 & -3 & -1 \\ -3 & -9 & -3 \\ -1 & -3 & -1 \end{pmatrix}, \quad
# W = A M = \begin{pmatrix} -1 & -3 & 0 \\ -3 & -9 & 0 \\ -1 & -3 & 0 \end{pmatrix}, \quad V = Z P^\top = Z $$
#
# $$ \tfrac{1}{2} W V = \begin{pmatrix} -5 & -10 \\ -15 & -30 \\ -5 & -10 \end{pmatrix}, \qquad
# Z' = Z + \tfrac{1}{2} W V = \begin{pmatrix} -4 & -8 \\ -12 & -24 \\ -4 & -10 \end{pmatrix} $$
#
# The prediction is $+10$. The answer is 2, so the error is 8 and the loss 64. The step was too long: here $C = \frac{1}{2}(1 + 9) = 5$, and
# (1.7) gives $u_1 = \eta \cdot 5 \cdot 2 = 10$. The same numbers by machine:

# %%
Z_paper = np.array([[[1.0, 2], [3, 6], [1, 0]]])  # (B, N, D) = (1, 3, 2)
P_paper, Q_paper = np.diag([1.0, 1.0])[None], np.diag([-1.0, 0.0])[None]  # (H, D, D), one head
Z_next, tape = la.attention.forward(Z_paper, P_paper, Q_paper)
print("W V / n =", *(tape.W @ tape.V / 2)[0, 0].tolist())
print("Z'      =", *Z_next[0].tolist())
print("prediction", la.attention.readout(Z_next)[0])

# %% [markdown]
# ## 4. Code it
#
# First as the sums are written, token by token: the definition in indices, with nothing left out.

# %%
def layer_by_loops(Z, P, Q):
    """One layer on one prompt, Z (N, D), as the sum over examples says it."""
    N, D = Z.shape
    n = N - 1
    out = Z.copy()
    for i in range(N):
        for j in range(n):  # the examples: the query, token n, is not read
            score = sum(Z[j, a] * Q[a, b] * Z[i, b] for a in range(D) for b in range(D))
            for a in range(D):
                out[i, a] += score * sum(P[a, b] * Z[j, b] for b in range(D)) / n
    return out


# %% [markdown]
# Then as matrices, (1.2) and (1.3). The mask multiplies columns, so it is a vector that is broadcast over the rows.

# %%
def layer_by_matrices(Z, P, Q):
    """One layer on a batch, Z (B, N, D), P and Q (D, D)."""
    n = Z.shape[1] - 1
    M = np.append(np.ones(n), 0.0)  # (N,) the diagonal of the mask
    A = Z @ Q.T @ Z.mT  # (B, N, N) A[b, i, j]: token i reads token j
    W = A * M  # (B, N, N) the last column is zero
    V = Z @ P.T  # (B, N, D)
    return Z + W @ V / n


# %% [markdown]
# And the library's function, which carries a head axis. Three ways, the same numbers, at generic matrices and at sizes that are all
# different, so that no swapped axis can hide.

# %%
rng = np.random.default_rng(SEED)
Z, y = la.RegressionTask(n=7, d=3).sample(5, rng)  # (5, 8, 4), (5,)
P, Q = rng.standard_normal((2, 4, 4))
matrices = layer_by_matrices(Z, P, Q)
loops = np.stack([layer_by_loops(prompt, P, Q) for prompt in Z])
library, _ = la.attention.forward(Z, P[None], Q[None])
table(("compared", "largest difference"), [
    ("loops and matrices", f"{np.abs(loops - matrices).max():.0e}"),
    ("matrices and library", f"{np.abs(matrices - library).max():.0e}"),
])

# %% [markdown]
# ## 5. Audit it
#
# How would you know that a layer is right if there were no second version of it? By what must hold for *any* right version. Three tests,
# each stated first in mathematics:
#
# 1. **Order.** Examples have no order. For every permutation $\pi$ of them, $\mathrm{prediction}(\pi Z) = \mathrm{prediction}(Z)$.
# 2. **Scale.** Scores do not look at labels, and values are linear in them. Multiply all labels by $c$ and the prediction is multiplied
#    by $c$, for any $P', Q'$.
# 3. **One step.** For $P' = 0$, $Q' = -\eta I$ the prediction is $\langle u_1, x_{n+1} \rangle$ with $u_1$ from (1.7), computed without
#    any attention.
#
# A test earns trust by catching something. So here are three planted mistakes: the mask hides the first token and not the query; $1/(n+1)$
# in place of $1/n$; a label that enters the scores, since the corner of $Q$ was forgotten.

# %%
def layer_with(Z, P, Q, hidden=-1, extra=0, corner=0.0):
    """The layer with room for three mistakes; the defaults are right."""
    Q = Q + corner * np.diag([0.0] * (Z.shape[2] - 1) + [1.0])
    M = np.ones(Z.shape[1])
    M[hidden] = 0.0
    return Z + (Z @ Q.T @ Z.mT * M) @ Z @ P.T / (Z.shape[1] - 1 + extra)


def failed_tests(layer, eta=0.3):
    """What the three tests find: 'fails' or 'passes' for each."""
    params = la.init_params(np.random.default_rng(SEED), layers=1, d=3, std=0.3)
    P, Q = la.transformer.to_full(params, 4)[0, 0]  # with the fixed corners, (4, 4)

    def answer(Z):  # two layers deep
        return -layer(layer(Z, P, Q), P, Q)[:, -1, -1]

    order = answer(Z[:, [3, 0, 6, 1, 5, 2, 4, 7]]) - answer(Z)
    scale = answer(Z * [1, 1, 1, 2]) - 2 * answer(Z)
    P1, Q1 = la.transformer.to_full(step_params(eta, 1, 3), 4)[0, 0]
    u = eta * (Z[:, :-1, 3:] * Z[:, :-1, :3]).mean(axis=1)  # (B, d)
    step = -layer(Z, P1, Q1)[:, -1, -1] - (u * Z[:, -1, :3]).sum(axis=1)
    return ["passes" if np.abs(gap).max() < 1e-12 else "FAILS" for gap in (order, scale, step)]


# %%
mistakes = {
    "yours, as in section 4": layer_by_matrices,
    "mask hides the first token": lambda Z, P, Q: layer_with(Z, P, Q, hidden=0),
    "1/(n+1)": lambda Z, P, Q: layer_with(Z, P, Q, extra=1),
    "labels enter the scores": lambda Z, P, Q: layer_with(Z, P, Q, corner=0.5),
}
found = [(name, *failed_tests(layer)) for name, layer in mistakes.items()]
table(("layer", "order", "scale", "one step"), found)

# %% [markdown]
# Each mistake passes at least one test and fails another. No single test is an audit; that remains true for gradients, where lesson 03
# is about nothing else.
#
# And the mask? Take it out of one layer: the query's label slot is 0, so reading it adds nothing to the label.

# %%
def unmasked(Z, P, Q):
    return Z + (Z @ Q.T @ Z.mT) @ Z @ P.T / (Z.shape[1] - 1)


P3, Q3 = la.transformer.to_full(step_params(0.5, 1, 3), 4)[0, 0]
right, wrong, changed = Z, Z, []
for _ in range(2):
    right, wrong = layer_by_matrices(right, P3, Q3), unmasked(wrong, P3, Q3)
    gap = np.abs(right - wrong)[:, -1, -1]  # (B,) of the query's label slot
    changed.append(100 * np.mean(gap > 1e-12))
reveal("01.p2", changed[0], f"With a second layer: {changed[1]:.0f} percent. Then the query's "
                            "slot holds a prediction, and the query reads it.")

# %% [markdown]
# ## 6. Experiment
#
# One question: is (1.10) right about the best step? One knob: $\eta$, with one layer, $n = 20$, $d = 5$. Several seeds, each with its own
# prompts; the line is (1.8), and nothing is fitted.

# %%
n, d, seeds = 20, 5, by_profile(3, 7, 15)
etas = np.linspace(0, 1.6, 17)
losses = np.zeros((seeds, len(etas)))
with bar(seeds, "seeds", unit="seed") as shown:
    for seed in range(seeds):
        rng = np.random.default_rng([SEED, seed])
        prompts = la.RegressionTask(n=n, d=d).sample(by_profile(500, 2000, 20_000), rng)
        losses[seed] = [la.loss(step_params(eta, 1), *prompts) for eta in etas]
        shown.update()
quartiles = np.quantile(losses, [0.25, 0.5, 0.75], axis=0)
theory = d - 2 * etas * d + etas**2 * d * (1 + (d + 1) / n)  # (1.8) with (1.9)
best = etas[quartiles[1].argmin()], quartiles[1].min()

# %%
show(pictures.loss_against_step(etas, theory, quartiles, n / (n + d + 1), seeds),
     "Loss against step length: a parabola from 5 at step 0 to a minimum near 1.15 "
     "at step 0.77, the measured medians on the derived curve.")
reveal("01.p1", d * (d + 1) / (n + d + 1),
       f"Measured: {best[1]:.2f} at eta = {best[0]:.2f}. One step cannot reach 0: C is not I.")

# %% [markdown]
# The number to keep: $30/26 \approx 1.15$. As long as $n$ is much larger than $d$, more examples bring $C$ closer to $I$ and the loss down like $1/n$, and more covariates
# raise it like $d^2$. And since $1/n$ stands in the layer, the best step $n / (n + d + 1)$ stays between 0 and 1 and tends to 1 as examples are added: 0.77 for $n = 20$, 0.94 for 100;
# exercise 01.6 measures another. Without it the best step would be $1 / (n + d + 1)$, and weights that suit one length of prompt would suit no other. That is what $1/n$ is for.

# %% [markdown]
# ## 7. The paper and us
#
# This lesson trains nothing, so there is no experiment of the paper to agree with. What can be compared are facts of the model. The column
# "ours" is computed in this cell.

# %%
params = la.init_params(np.random.default_rng(SEED))
task = la.papers.maybe_all_you_need.SETTINGS["setting1"].task
prompts = task.sample(20_000, np.random.default_rng(SEED))
at_zero = la.loss(0 * params[:1], *prompts)
facts([
    ("trained numbers for 3 layers and d = 5", "section 2, released code", 150, params.size),
    ("with all weights 0 the loss is E|w|^2 = d", "follows from section 2", 5, round(at_zero)),
    ("examples and covariates in Setting 1", "section 3", "20, 5", f"{task.n}, {task.d}"),
])

# %% [markdown]
# ## 8. Exercises
#
# Six cards. Write your answer in the cell under a card, run it, then the check.

# %% [markdown]
# ### Exercise 01.1 (derive, level 1, 5 min)
#
# For which $\eta$ does one layer with $P' = 0$ and $Q' = -\eta$ answer the prompt of section 3 exactly? *Done:* one number.
#
# <details><summary>Hint 1</summary>Set u_1 = w in (1.7).</details>
# <details><summary>Hint 2</summary>u_1 is eta times the mean of x² times w.</details>

# %%
### BEGIN SOLUTION
eta_exact = 1 / 5  # the mean of x^2 is (1 + 9) / 2 = 5
### END SOLUTION
check("01.1", eta_exact)

# %% [markdown]
# ### Exercise 01.2 (code, level 1, 5 min)
#
# Write the prompt (1.1): from covariates `X` (B, N, d), the query's last, and task vectors `w` (B, d), make `Z` (B, N, d+1).
# *Done:* the check passes at sizes that you do not know.
#
# <details><summary>Hint 1</summary>All labels at once: (X @ w[..., None])[..., 0] has shape (B, N).</details>
# <details><summary>Hint 2</summary>One label must not be there.</details>

# %%
def make_tokens(X, w):
    ### BEGIN SOLUTION
    Z = np.zeros((*X.shape[:2], X.shape[2] + 1))
    Z[..., :-1] = X
    Z[:, :-1, -1] = (X @ w[..., None])[:, :-1, 0]
    return Z
    ### END SOLUTION


# %%
check("01.2", make_tokens)

# %% [markdown]
# ### Exercise 01.3 (code, level 2, 15 min)
#
# Close the page above and write the layer again: `Z` (B, N, D), `P` and `Q` (D, D), returns the next tokens. *Done:* right, and `Z` is
# unchanged.
#
# <details><summary>Hint 1</summary>Four lines: scores, mask, values, residual.</details>
# <details><summary>Hint 2</summary>Z.mT transposes the last two axes of a batch.</details>
# <details><summary>Hint 3</summary>Z += ... writes into the caller's array.</details>

# %%
def my_layer(Z, P, Q):
    ### BEGIN SOLUTION
    n = Z.shape[1] - 1
    W = Z @ Q.T @ Z.mT
    W[:, :, -1] = 0.0
    return Z + W @ (Z @ P.T) / n
    ### END SOLUTION


# %%
check("01.3", my_layer)

# %% [markdown]
# ### Exercise 01.4 (find the bug, level 2, 10 min)
#
# This function gives the right predictions for one layer and wrong ones for two. Find the line, then write the repaired function.
# *Done:* right for three layers.
#
# <details><summary>Hint 1</summary>What stands in the query's label slot after the first layer?</details>
# <details><summary>Hint 2</summary>The sum in (1.6) has n terms.</details>

# %%
def buggy_descend(Z, eta, layers):
    X, label = Z[..., :-1], Z[..., -1]  # (B, N, d), (B, N)
    n = Z.shape[1] - 1
    for _ in range(layers):
        scores = -eta * X @ X.mT  # (B, N, N)
        label = label + (scores @ label[..., None])[..., 0] / n
    return -label[:, -1]


# %%
def descend(Z, eta, layers):
    ### BEGIN SOLUTION
    X, label = Z[..., :-1], Z[..., -1]
    n = Z.shape[1] - 1
    for _ in range(layers):
        scores = -eta * X @ X[:, :n].mT  # (B, N, n): the query is not read
        label = label + (scores @ label[:, :n, None])[..., 0] / n
    return -label[:, -1]
    ### END SOLUTION


# %%
check("01.4", descend)

# %% [markdown]
# ### Exercise 01.5 (derive, level 3, 10 min)
#
# Without looking: the smallest loss of one layer as a function of `n` and `d`. Derive it from (1.8) and (1.9), then write it down.
# *Done:* the check passes.
#
# <details><summary>Hint 1</summary>A parabola a - 2 b s + c s² has its minimum a - b²/c at s = b/c.</details>
#
# <!-- ### BEGIN SOLUTION -->
# <details><summary>Solution</summary>With a = b = d and c = d (1 + (d+1)/n) the minimum is
# d - d / (1 + (d+1)/n) = d (d+1) / (n + d + 1).</details>
# <!-- ### END SOLUTION -->

# %%
def best_loss(n, d):
    ### BEGIN SOLUTION
    return d * (d + 1) / (n + d + 1)
    ### END SOLUTION


# %%
check("01.5", best_loss)

# %% [markdown]
# ### Exercise 01.6 (experiment, level 2, 10 min)
#
# Measure the best $\eta$ for $n = 5$, $d = 5$: repeat section 6 with a finer grid, and more prompts if the minimum is not steady.
# *Done:* within 5 percent.
#
# <details><summary>Hint 1</summary>With a grid of 0.02 and 20,000 prompts the noise is small enough.</details>
# <details><summary>Hint 2</summary>np.polyfit(etas, losses, 2) finds the parabola, and its vertex is steadier than the smallest value.</details>

# %%
def measure_best_eta():
    ### BEGIN SOLUTION
    prompts = la.RegressionTask(n=5, d=5).sample(20_000, np.random.default_rng(SEED))
    grid = np.linspace(0, 1, 11)
    c2, c1, _ = np.polyfit(grid, [la.loss(step_params(eta, 1), *prompts) for eta in grid], 2)
    return -c1 / (2 * c2)
    ### END SOLUTION


### BEGIN SOLUTION
measured_eta = measure_best_eta()
### END SOLUTION
check("01.6", measured_eta)

# %% [markdown]
# ## 9. Exit ticket
#
# Write the letters in quotes.
#
# **t1.** The model meets a prompt with a new task $w$. What changes inside it?
#
# - (a) the weights $P$ and $Q$
# - (b) only the tokens
# - (c) the mask
# - (d) nothing
#
# **t2.** Why is the prediction *minus* the label slot?
#
# - (a) the loss would be negative otherwise
# - (b) to cancel the minus in $Q' = -\eta I$
# - (c) the slots hold residuals, and the query's label began at 0
# - (d) rows and columns differ by a sign
#
# **t3.** Someone drops the factor $1/n$. How does the best $\eta$ change from $n = 20$ to $n = 40$, for $d = 5$?
#
# - (a) it is nearly halved
# - (b) it hardly changes
# - (c) it is nearly doubled
# - (d) it stays exactly the same

# %%
### BEGIN SOLUTION
t1 = "b"
t2 = "c"
t3 = "a"
### END SOLUTION
check("01.t1", t1)
check("01.t2", t2)
check("01.t3", t3)

# %% [markdown]
# **Further reading**
#
# - Ahn et al., *Linear attention is (maybe) all you need (to understand transformer optimization)*, arXiv 2310.01082. Section 2 is this
#   lesson; the rest of the course rebuilds its section 3.
# - von Oswald et al., *Transformers learn in-context by gradient descent*, arXiv 2212.07677. The construction (1.6), and evidence that
#   trained models find it.
# - Garg et al., *What can Transformers learn in-context?*, arXiv 2208.01066. The task, for full Transformers.
