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
# # Lesson 16. One step of descent
#
# **Claim.** A layer of linear attention can be one step of gradient descent exactly, training finds that layer, and the length of the step, $n / (s\,(n + d - 2 + k))$, is known before training.
#
# | read | code | run | level | needs | seed |
# |---|---|---|---|---|---|
# | 35 min | 65 min | 1 min | 3 of 5 | 01, 02, 03 | 16 |
#
# **Misconception.** What a Transformer has learned is spread over its weights, and nobody can write it down.
#
# **Afterwards you can say.** On average over prompts without a preferred direction the gradient of Q is a multiple of the identity, so training slides along minus eta times I and stops where the best single step of descent lies. (t2)
#
# <details><summary>Symbols of this lesson</summary>
#
# | symbol | meaning |
# |---|---|
# | $\eta$ (here) | step length of the descent that a layer takes within a prompt |
# | $R(w)$, $w_0$, $w_1$ (here) | loss of a prompt's examples; weights before and after a step |
# | $S$ (here) | $\frac{1}{n} \sum_i x_i x_i^\top$ of one prompt |
# | $G$ (here) | $\frac{1}{n} \sum_i e_i e_i^\top$ with tokens $e_i = (x_i ; y_i)$ |
# | $p$, $K$ (here) | last row of $P$; first $d$ columns of $Q$ |
# | $u$, $a$ (here) | what (16.5) and (16.6) make on the way |
# | $s$, $k$ (here) | variance of one covariate, and its $\mathbb{E}[x^4] / s^2$ |
# | $\lambda$ (here) | an eigenvalue of $S$ |
# | $c$ (here) | how much GD++ shrinks the covariates; the paper's $\gamma$ is $c / n$ |
# | $r$, $m$ (here) | what is left of the error, and of a covariate, in one eigenvalue |
# | $\alpha$ (here) | width of the covariates, relative to training |
#
# </details>
#
# In lesson 02 the first step of training moved every $Q'$ towards $-\eta I$. Here you follow that movement to its end: you derive where it stops, train layers from random weights, and find them there. Then you ask what two layers add.

# %%
import numpy as np

import linattn_np as la
from linattn_np.experiments.papers import one_step_of_descent as system
from linattn_np.experiments.papers.one_step_of_descent import descent, training
from linattn_np.experiments.scale import PAPER
from linattn_np.progress import bar
from linattn_np.teaching import by_profile, check, knob, loaded, moving, paper_and_us, predict
from linattn_np.teaching import reveal, show, symbols, table, versions
from linattn_np.teaching.pictures import lesson_16 as pictures

SEED = 16
versions(SEED)
symbols("B n d D y Z P Q params dX")

# %% [markdown]
# ## 1. Predict
#
# A prompt has 10 examples of 10 covariates, each uniform on $[-1, 1]$, and labels $y_i = \langle w, x_i \rangle$. One layer with whole $11 \times 11$ matrices $P$ and $Q$ is trained from small random weights. Two guesses: of its 242 numbers, how many does a prediction see at all? And the variance of a covariate is $1/3$, so $S$ is $I / 3$ on average and a step of length 3 would solve the *average* prompt; what length will the layer learn?

# %%
### BEGIN SOLUTION
seen_guess = 242
eta_guess = 3
### END SOLUTION
predict("16.p1", "Of 242 numbers: how many can change a prediction", seen_guess)
predict("16.p2", "The step length that the trained layer has learned", eta_guess)

# %% [markdown]
# ## 2. Derive
#
# **A step within a prompt.** The examples of a prompt are data for a linear model with weights $w$. Its loss, and one step of gradient descent from $w_0$:
#
# $$ R(w) = \frac{1}{2n} \sum_i (\langle w, x_i \rangle - y_i)^2 \tag{16.1} $$
# $$ w_1 = w_0 - \eta \nabla R(w_0) = w_0 - \frac{\eta}{n} \sum_i (\langle w_0, x_i \rangle - y_i)\, x_i \tag{16.2} $$
#
# From $w_0 = 0$ the step predicts $\langle w_1, x \rangle = \frac{\eta}{n} \sum_i y_i \langle x_i, x \rangle$ for a query $x$: labels, weighted by scores. That is a layer. A score $-\eta \langle x_i, x \rangle$ and a value $y_i$ come from
#
# $$ P = \begin{pmatrix} 0 & 0 \\ 0 & 1 \end{pmatrix}, \qquad Q = -\eta \begin{pmatrix} I & 0 \\ 0 & 0 \end{pmatrix}. \tag{16.3} $$
#
# Any other start can stand in the value: the residual in place of the label. The query then brings its first prediction along, in its label slot.
#
# $$ P = \begin{pmatrix} 0 & 0 \\ -w_0^\top & 1 \end{pmatrix}, \quad \text{the same } Q, \quad \text{query } (x ; -\langle w_0, x \rangle) \tag{16.4} $$
#
# So a layer *can* be a step. Nothing says yet that training goes there.
#
# **What a prediction sees.** Let the query be $(x ; 0)$. The layer adds $\frac{1}{n} P Z M Z^\top Q\, (x ; 0)$ to it in the paper's columns, and only the last entry of that is read. So of $P$ only the last row $p$ matters, and of $Q$ the first $d$ columns $K$:
#
# $$ u = K x \tag{16.5} $$
# $$ a = G u, \qquad G = \tfrac{1}{n} \textstyle\sum_i e_i e_i^\top \tag{16.6} $$
# $$ \mathrm{prediction} = -p^\top a \tag{16.7} $$
#
# Undone from the end, with $G$ symmetric:
#
# $$ dp = -\sum_b d\mathrm{prediction}\; a \tag{16.8} $$
# $$ da = -d\mathrm{prediction}\; p \tag{16.9} $$
# $$ du = G\, da \tag{16.10} $$
# $$ dK = \sum_b du\; x^\top \tag{16.11} $$
#
# Rescaling $p$ by a number and $K$ by its inverse changes nothing. Below, layers are shown with the last entry of $p$ at 1. Here is one in training. Move through the iterations:

# %%
task = system.UniformTask()  # n = d = 10, covariates on [-1, 1]
steps, batch = by_profile(120, 1500), by_profile(64, 512)
run = la.train(task, training.ADAM, steps, batch, schedule=training.SCHEDULE,
               model=system.OneLayer(10), std=0.02, clip=10.0, seed=SEED,
               record_every=steps // 60, progress=False)
watched = [t for t in run.snapshots if t * 60 // steps in (0, 1, 2, 3, 4, 6, 8, 12, 30, 60)]
moving(lambda t: pictures.draw_weights(t, run.snapshots[t], training.step_of(run.snapshots[t])),
       "The last row of P and the first 10 columns of Q as colours. Noise at first; then one "
       "red entry in P's row, and a blue diagonal in Q that is everywhere equally dark.",
       t=knob(watched, watched[-1], "iteration"))
numbers = 11 + 11 * 10
reveal("16.p1", numbers, "11 of P and 110 of Q; the other 121 have gradient zero.")

# %% [markdown]
# **Why it goes there.** Put $p = (0, .., 0, 1)$ and $Q = -\eta I$ in its block, and ask for the mean gradient of $Q$ over all prompts. Covariates that are uniform on a cube have no preferred axis and no preferred sign: exchange two axes, or turn one round, and the law of the prompts is the same. A matrix that all of these leave alone is a multiple of $I$. So the mean gradient points along $I$, and descent never leaves the line $Q = -\eta I$: the question is only which $\eta$.
#
# On that line the error is $\langle x, (\eta S - I) w \rangle$. Average its square over $w \sim N(0, I)$ and over a query of variance $s$:
#
# $$ f(\eta) = s\, \mathbb{E}\, \mathrm{tr}\, (I - \eta S)^2 = s\, \big( d - 2 \eta\, \mathbb{E}\, \mathrm{tr}\, S + \eta^2\, \mathbb{E}\, \mathrm{tr}\, S^2 \big) \tag{16.12} $$
#
# $\mathrm{tr}\, S^2 = \frac{1}{n^2} \sum_{ij} \langle x_i, x_j \rangle^2$. A pair of different examples gives $d s^2$. An example with itself gives $\mathbb{E}\, |x|^4 = d k s^2 + d (d-1) s^2$, with $k = \mathbb{E}[x^4] / s^2$ of one entry. There are $n (n-1)$ pairs of the first kind and $n$ of the second:
#
# $$ \mathbb{E}\, \mathrm{tr}\, S = d s, \qquad \mathbb{E}\, \mathrm{tr}\, S^2 = \frac{d s^2}{n}\, (n + d - 2 + k) \tag{16.13} $$
# $$ \eta^* = \frac{\mathbb{E}\, \mathrm{tr}\, S}{\mathbb{E}\, \mathrm{tr}\, S^2} = \frac{n}{s\, (n + d - 2 + k)}, \qquad f(\eta^*) = s d\, \Big( 1 - \frac{n}{n + d - 2 + k} \Big) \tag{16.14} $$
#
# Gaussian covariates have $k = 3$, uniform ones $k = 9/5$. The step is shorter than $1/s$, since $S$ is not its mean: where it is larger, a step of $1/s$ goes too far. And the gradient on the way is
#
# $$ \mathbb{E}[dQ] = -\frac{1}{d} f'(\eta)\, I \tag{16.15} $$
#
# because $f'(\eta) = \langle \mathbb{E}[dQ], -I \rangle$ and $\mathbb{E}[dQ]$ is a multiple of $I$. At $\eta = 0$ it is $2 s^2 I$, lesson 02's $2 I$ for $s = 1$; at $\eta^*$ it is zero. This is the whole path, beginning and end:

# %%
eta_star, least = system.best_step(task.n, task.d, task.variance)
etas = np.linspace(0, 2.4, 7)
Z, y = task.sample(by_profile(2000, 40_000), np.random.default_rng(SEED))
measured = [la.loss_and_grad(system.construction(10, eta), Z, y)[1][0, 0, 1] for eta in etas]
show(pictures.draw_path(etas, measured, task, eta_star),
     "The mean gradient of Q against eta: its diagonal falls along a straight line from "
     "2 s squared through zero at 1.515, the entries off it are zero.")
print(f"eta* = {eta_star:.4f}, loss {least:.4f}, where no step at all has {10 / 3:.4f}")

# %% [markdown]
# **Two layers.** A layer may also use its upper rows of $P$: it changes the covariates. The paper's GD++ is the simplest way,
#
# $$ P = \begin{pmatrix} (c / \eta)\, I & 0 \\ 0 & 1 \end{pmatrix}, \quad \text{the same } Q: \qquad x_j \leftarrow x_j - c\, S x_j \text{ as well.} \tag{16.16} $$
#
# Everything is a polynomial of $S$, so look at one eigenvalue $\lambda$. Let the covariates have become $m$ times themselves and the error $r$ times what it was. The next layer meets examples $m x_i$, so its $S$ has the eigenvalue $\lambda m^2$:
#
# $$ r \leftarrow r\, (1 - \eta \lambda m^2), \qquad m \leftarrow m\, (1 - c \lambda m^2) \tag{16.17} $$
#
# With $c = 0$ it is descent, $r = (1 - \eta \lambda)^2$ after two layers. With $c > 0$ the second step sees $\lambda (1 - c \lambda)^2$. That function has its maximum at $\lambda = 1 / (3 c)$ and is flat around it: large eigenvalues come down, small ones stay. So the second step may be longer.
#
# > **Where people slip**
# > - *The query among the examples.* Keys and values come from the $n$ examples only. With $n + 1$ the step is another.
# > - *$S$ taken for its mean.* Then $\eta$ would be $1/s$, twice too long here.
# > - *A halved loss, a narrower cube.* The paper's text says $[-1, 1]$ and its code $[-1/2, 1/2]$ and half the square: its plateau at 0.2 is $f(\eta^*) / 8$.
# > - *A scale shared by $P$ and $Q$.* Compare products, or fix one entry first.

# %% [markdown]
# ## 3. On paper
#
# Two examples, $(1, 2)$ with label 3 and $(0, 1)$ with label $-1$, and the query $(2, 1)$. From $w_0 = 0$ with $\eta = 4$:
#
# $$ w_1 = \frac{4}{2} \Big[ 3 \begin{pmatrix} 1 \\ 2 \end{pmatrix} - \begin{pmatrix} 0 \\ 1 \end{pmatrix} \Big] = \begin{pmatrix} 6 \\ 10 \end{pmatrix}, \qquad \langle w_1, x \rangle = 22 . $$
#
# From $w_0 = (1, -1)$ with $\eta = 1$ the residuals $\langle w_0, x_i \rangle - y_i$ are $-4$ and $0$, so $w_1 = (1, -1) + \frac{1}{2} \cdot 4\, (1, 2) = (3, 3)$, and the answer is 9.
#
# And (16.13), with covariates $\pm 1$ and $n = d = 2$, so $s = k = 1$. Both examples on one line up to sign: $\mathrm{tr}\, S^2 = 4$. At right angles: $\mathrm{tr}\, S^2 = 2$. Half of the 16 prompts are of each kind, so the mean is 3, and (16.13) says $\frac{2}{2} (2 + 2 - 2 + 1) = 3$. The best step is $2/3$.

# %%
Z_paper = np.array([[[1.0, 2, 3], [0, 1, -1], [2, 1, 0]]])  # (B, N, D) = (1, 3, 3)
Z_start = np.array([[[1.0, 2, 3], [0, 1, -1], [2, 1, -1]]])  # its slot holds -<w_0, x>
print(la.predict(system.construction(2, 4.0), Z_paper)[0],
      la.predict(system.step_from(np.array([1.0, -1.0]), 1.0), Z_start)[0],
      system.best_step(2, 2, 1.0, kurtosis=1.0)[0])

# %% [markdown]
# ## 4. Code it
#
# The step by loops, then in matrices, then as a layer of the library.

# %%
def step_by_loops(Z, eta):
    """(16.2) from w_0 = 0 for one prompt Z (n+1, d+1), and its answer to the query."""
    n, w = len(Z) - 1, np.zeros(Z.shape[1] - 1)
    for i in range(n):
        w += eta / n * Z[i, -1] * Z[i, :-1]
    return sum(w[c] * Z[-1, c] for c in range(len(w)))


def step_by_matrices(Z, eta):
    """The same for prompts Z (B, n+1, d+1)."""
    w = eta * np.einsum("bi,bic->bc", Z[:, :-1, -1], Z[:, :-1, :-1]) / (Z.shape[1] - 1)
    return (w * Z[:, -1, :-1]).sum(axis=1)


few = Z[:50]
loops = np.array([step_by_loops(prompt, 1.5) for prompt in few])
matrices, layer = step_by_matrices(few, 1.5), la.predict(system.construction(10, 1.5), few)
table(("compared", "largest difference"), [
    ("loops and matrices", f"{np.abs(loops - matrices).max():.0e}"),
    ("matrices and the layer", f"{np.abs(matrices - layer).max():.0e}"),
])

# %% [markdown]
# And the model that is trained, (16.5) to (16.11). `G` is made once for each prompt; a training step is then four small products.

# %%
def forward_seen(p, K, G, x):
    """Predictions (B,), and a. p (D,), K (D, d), G (B, D, D), x (B, d)."""
    u = x @ K.T  # (16.5)
    a = np.einsum("bij,bj->bi", G, u)  # (16.6)
    return -(a @ p), a  # (16.7)


def backward_seen(dprediction, p, G, x, a):
    """dp (D,) and dK (D, d)."""
    dp = -(dprediction @ a)  # (16.8)
    da = -dprediction[:, None] * p  # (16.9)
    du = np.einsum("bij,bj->bi", G, da)  # (16.10)
    return dp, du.T @ x  # (16.11)


theta = np.random.default_rng(SEED).standard_normal((11, 11))
G, x = few[:, :-1].mT @ few[:, :-1] / 10, few[:, -1, :-1]
prediction, a = forward_seen(theta[:, 0], theta[:, 1:], G, x)
dp, dK = backward_seen(2 * (prediction - y[:50]) / 50, theta[:, 0], G, x, a)
whole = la.loss_and_grad(system.OneLayer(10).full(theta), few, y[:50])[1][0, 0]  # (2, 11, 11)
print(f"dp and dK beside the whole layer's: {np.abs(dp - whole[0, -1]).max():.0e},",
      f"{np.abs(dK - whole[1, :, :-1]).max():.0e}; elsewhere {np.abs(whole[0, :-1]).max():.0f}")

# %% [markdown]
# ## 5. Audit it
#
# By a complex step, as in lesson 03: your backward pass, and one with a planted mistake, in which $G$ is missing in (16.10).

# %%
G5, x5 = G[:5], x[:5]


def mine(theta, dout):
    a = forward_seen(theta["p"], theta["K"], G5, x5)[1]
    return dict(zip(("p", "K"), backward_seen(dout, theta["p"], G5, x5, a), strict=True))


def without_G(theta, dout):
    return {**mine(theta, dout), "K": (-dout[:, None] * theta["p"]).T @ x5}


rows, start = [], {"p": theta[:, 0], "K": theta[:, 1:]}
for back in (mine, without_G):
    report = la.audit.audit_gradient(
        lambda theta: forward_seen(theta["p"], theta["K"], G5, x5)[0], back, start)
    wrong = sorted({row.quantity for row in report.rows
                    if row.verdict == "WRONG" and row.quantity.startswith("d")})
    rows.append((back.__name__, report.verdict, ", ".join(wrong)))
table(("gradient", "verdict", "wrong in"), rows)

# %% [markdown]
# **The derivation.** (16.14) used that entries are independent and symmetric, and nothing else of their law. So it must hold for three laws of different $k$: the step with the least loss on many prompts, found by a line search, beside the formula.

# %%
rng, rows = np.random.default_rng(SEED), []
laws = {"signs, k = 1": (1.0, lambda size: rng.choice([-1.0, 1.0], size)),
        "uniform, k = 9/5": (1.8, lambda size: rng.uniform(-3**0.5, 3**0.5, size)),
        "Gaussian, k = 3": (3.0, rng.standard_normal)}
for law, (k, draw) in laws.items():
    X = draw((by_profile(2000, 40_000), 6, 4))
    lam = np.linalg.eigvalsh(X.mT @ X / 6)  # (B, d)
    rows.append((law, system.best_step(6, 4, 1.0, k)[0], descent.line_search(lam, 1.0)["eta"]))
table(("law of the covariates", "eta* by (16.14)", "by line search"), rows,
      "n = 6, d = 4, s = 1")

# %% [markdown]
# ## 6. Experiment
#
# One question: does training find (16.14)? One knob: $n$, the number of examples. If the layer is a step of descent and nothing more, the learned $\eta$ follows the formula's curve for every $n$. A layer that had learned something else, a nearest neighbour say, would have no reason to.

# %%
sizes, seeds = by_profile((3, 10), (3, 5, 10, 20, 40)), by_profile(1, 3)
model, steps, batch = system.OneLayer(5), by_profile(150, 900), by_profile(64, 256)
learned, rows = {}, []
with bar(len(sizes) * seeds, "runs", unit="run") as shown:
    for n in sizes:
        law = system.UniformTask(n=n, d=5)
        ends = []
        for seed in range(seeds):
            trained = la.train(law, training.ADAM, steps, batch,
                               schedule=training.SCHEDULE, model=model, std=0.05, clip=10.0,
                               seed=seed, progress=False).params
            ends.append((training.step_of(trained), trained))
            shown.update()
        best, learned[n] = system.best_step(n, 5, law.variance)[0], [eta for eta, _ in ends]
        found = training.alignment(ends[0][1], best, *law.sample(by_profile(500, 10_000),
                                                                 np.random.default_rng(99)))
        rows.append((n, best, float(np.median(learned[n])), found["loss"] / found["descent"],
                     found["cosine"]))
show(pictures.draw_learned(learned, lambda n: system.best_step(n, 5, 1 / 3)[0]),
     "Learned step length against the number of examples: dots of all seeds on the curve of "
     "the closed form, which rises from 1.2 towards 3.")
table(("n", "eta* by (16.14)", "learned, median", "loss / loss of one step", "cosine"), rows,
      f"d = 5, {seeds} seeds; the last two columns: one seed, fresh prompts")

# %%
reveal("16.p2", training.step_of(run.params),
       f"For n = d = 10, the run of section 2; the closed form says {eta_star:.4f}.")

# %% [markdown]
# The dots lie on the curve. Now the control that could refute the *reason*. The argument of section 2 needs that no direction is preferred. Prefer some: give the covariates the standard deviations 1, 1, 1, 1/2, 1/2. If symmetry is what keeps $Q$ on the line $-\eta I$, then now it must leave it, though a step of gradient descent with one $\eta$ is as available as before.

# %%
deviations = np.array([1.0, 1.0, 1.0, 0.5, 0.5])
law, rows = la.RegressionTask(n=10, d=5, covariance=np.diag(deviations**2)), []
for seed in range(seeds):
    trained = la.train(law, training.ADAM, steps, batch, schedule=training.SCHEDULE,
                       model=model, std=0.05, clip=10.0, seed=seed, progress=False).params
    K = -training.rescaled(trained)[:-1, 1:]
    off = np.abs(K[~np.eye(5, dtype=bool)]).max()
    rows.append((seed, *(float(entry) for entry in np.diag(K)), float(off)))
table(("seed", *(f"deviation {s:g}" for s in deviations), "largest off it"), rows,
      "the diagonal of -Q, learned")

# %% [markdown]
# It leaves the line: where covariates are small the layer takes longer steps. It is still a step of descent, with a matrix in the place of $\eta$. What that matrix is, lesson 17 derives.
#
# **Two layers.** Beside two steps of descent, two of GD++, by (16.17): the least loss over $\eta$ for each $c$.

# %%
lam = descent.eigenvalues(task, by_profile(500, 4000), np.random.default_rng(SEED))
two = {name: descent.line_search(lam, task.variance, 2, plus) for name, plus in
       (("GD", False), ("GD++", True))}
show(pictures.draw_two(lam, task.variance, two, descent.loss),
     "Left: loss of two layers against c, each with its best eta; at c = 0 it is descent's "
     "1.25, and the minimum 0.88 lies near c = 0.44. Right: what is left of each eigenvalue's "
     "error after two layers: GD++ is nearer to zero on a wider range of eigenvalues.")
print("; ".join(f"{name}: eta {best['eta']:.3f}, c {best['c']:.3f}, loss {best['loss']:.4f}"
                for name, best in two.items()))

# %% [markdown]
# ## 7. The paper and us
#
# The same at the paper's scale: five seeds of one layer, three of two looped layers, 10,000 prompts for evaluation.

# %%
paper = loaded("one_step_of_descent")
show(system.draw(paper, PAPER),
     "Loaded, six panels: " + system.ALT[len("Six panels. "):])

# %%
paper_and_us([claim.id for claim in system.CLAIMS])

# %% [markdown]
# **What stands behind the rows.** The paper trains $W_K$, $W_Q$, $W_V$ and a projection; we train their products, which are all that a prediction sees. The paper's plots have no numbers, so rules of one percent or three stand in for "identical". Where the paper prints a number, $\gamma$ for four $n$, our line search over GD++ gives it without any training, on the *code's* narrower cube; with the text's $[-1, 1]$ it would be four times smaller. Two of the paper's experiments are not repeated here: softmax attention with two heads, and tokens in which covariates and labels alternate.
#
# **What is open.** Why two trained layers stop at GD++, and do not use their whole matrices for more, the argument of symmetry explains only in part: it leaves $P$ and $Q$ multiples of $I$ in their blocks, and says nothing about which multiples.

# %% [markdown]
# ## 8. Exercises
#
# Six cards. Write your answer in the cell under a card, run it, then the check.

# %% [markdown]
# ### Exercise 16.1 (derive, level 1, 5 min)
#
# The prompt of section 3 from $w_0 = 0$, now with $\eta = 3$: what does one step answer? *Done:* one number.
#
# <details><summary>Hint 1</summary>The sum of y_i x_i is (3, 5).</details>
# <details><summary>Hint 2</summary>n = 2: the query is no example.</details>

# %%
### BEGIN SOLUTION
answer = 3 / 2 * (3 * 2 + 5 * 1)
### END SOLUTION
check("16.1", answer)

# %% [markdown]
# ### Exercise 16.2 (code, level 2, 10 min)
#
# Write `step_from(Z, w0, eta)`: the answer (B,) of one step of descent from `w0` (d,) for prompts `Z` (B, n+1, d+1), from (16.2), not through a layer. *Done:* right for sizes that you do not know.
#
# <details><summary>Hint 1</summary>The residuals of all examples at once: X @ w0 - labels, shape (B, n).</details>
# <details><summary>Hint 2</summary>The step moves against the gradient, and the gradient is a mean over the n examples.</details>

# %%
def step_from(Z, w0, eta):
    ### BEGIN SOLUTION
    X, labels, query = Z[:, :-1, :-1], Z[:, :-1, -1], Z[:, -1, :-1]
    gradient = ((X @ w0 - labels)[..., None] * X).mean(axis=1)  # (B, d)
    return ((w0 - eta * gradient) * query).sum(axis=1)
    ### END SOLUTION


# %%
check("16.2", step_from)

# %% [markdown]
# ### Exercise 16.3 (find the bug, level 2, 10 min)
#
# With this gradient of `K` the loss falls, but never as far as it should. Find the mistake, and write the repaired function: `dprediction` (B,), `p` (D,), `G` (B, D, D), `x` (B, d) to dK (D, d). *Done:* the check passes.
#
# <details><summary>Hint 1</summary>Write (16.9) to (16.11) beside it, line by line.</details>
# <details><summary>Hint 2</summary>Which sum over prompts may be taken before which product?</details>

# %%
def buggy_gradient(dprediction, p, G, x):
    da = -dprediction[:, None] * p
    du = da @ G.mean(axis=0)  # the average prompt
    return du.T @ x


# %%
def gradient_of_K(dprediction, p, G, x):
    ### BEGIN SOLUTION
    da = -dprediction[:, None] * p
    du = (G @ da[..., None])[..., 0]
    return du.T @ x
    ### END SOLUTION


# %%
check("16.3", gradient_of_K)

# %% [markdown]
# ### Exercise 16.4 (derive, level 3, 10 min)
#
# Labels may have noise: $y_i = \langle w, x_i \rangle + \xi_i$ with $\xi_i$ of variance $\tau$, independent of all else; the query's answer has none. Derive the best $\eta$ as a function of `n`, `d`, `s`, `k` and `tau`. *Done:* the check passes.
#
# <details><summary>Hint 1</summary>The prediction gains a term: eta/n times the sum of the noises times x_i · x.</details>
# <details><summary>Hint 2</summary>The mean square of that term is tau eta² s E tr S / n. Add it to (16.12).</details>
#
# <!-- ### BEGIN SOLUTION -->
# <details><summary>Solution</summary>The coefficient of eta² grows from s E tr S² to s (E tr S² + tau E tr S / n), so eta* = E tr S / (E tr S² + tau E tr S / n) =
# n / (s (n + d - 2 + k) + tau). Noise makes the step shorter, whatever the task.</details>
# <!-- ### END SOLUTION -->

# %%
def best_with_noise(n, d, s, k, tau):
    ### BEGIN SOLUTION
    return n / (s * (n + d - 2 + k) + tau)
    ### END SOLUTION


# %%
check("16.4", best_with_noise)

# %% [markdown]
# ### Exercise 16.5 (code, level 3, 15 min)
#
# Write `remaining(lam, eta, c, layers)`: the factor $r$ of (16.17) for eigenvalues `lam` after some layers of GD++. *Done:* right for any number of layers.
#
# <details><summary>Hint 1</summary>r and m start at 1, and both are updated from the m before the layer.</details>
# <details><summary>Hint 2</summary>Compute lam m² once, then use it twice.</details>

# %%
def remaining(lam, eta, c, layers):
    ### BEGIN SOLUTION
    r, m = np.ones_like(lam), np.ones_like(lam)
    for _ in range(layers):
        moved = lam * m**2
        r, m = r * (1 - eta * moved), m * (1 - c * moved)
    return r
    ### END SOLUTION


# %%
check("16.5", remaining)

# %% [markdown]
# ### Exercise 16.6 (experiment, level 3, 15 min)
#
# A step that is best alone is too long to be repeated. Take the layer (16.3) with $0.75\, \eta^*$ in the setting of section 2, and use it ten times in a row. By what factor is the loss after ten uses smaller than after one? Measure on fresh prompts of `task`. *Done:* within 10 percent.
#
# <details><summary>Hint 1</summary>np.repeat(system.construction(10, eta), 10, axis=0) are ten layers with the same weights.</details>
# <details><summary>Hint 2</summary>la.loss(params, Z, y) with one layer, and with ten, on some 10,000 prompts.</details>

# %%
def measure_factor():
    ### BEGIN SOLUTION
    layer, prompts = system.construction(10, 0.75 * eta_star), task.sample(10_000, rng)
    one, ten = (la.loss(np.repeat(layer, uses, axis=0), *prompts) for uses in (1, 10))
    return one / ten
    ### END SOLUTION


# %%
### BEGIN SOLUTION
factor = measure_factor()
### END SOLUTION
check("16.6", factor)

# %% [markdown]
# ## 9. Exit ticket
#
# Write the letters in quotes.
#
# **t1.** Which part of a layer's $P$ must be the number 1 for the layer to be a step of descent?
#
# - (a) all of its diagonal
# - (b) the label's entry
# - (c) none: $P$ may be 0
# - (d) the covariates' block
#
# **t2.** Why does training stay on the line $Q = -\eta I$?
#
# - (a) the weights begin there
# - (b) the optimizer is Adam
# - (c) no direction of the covariates is preferred, so the mean gradient is a multiple of $I$
# - (d) $Q$ is tied to a multiple of $I$
#
# **t3.** The number of examples goes from 10 to infinity at $d = 10$. What does the learned $\eta$ do?
#
# - (a) it grows towards $1 / s$
# - (b) it falls towards 0
# - (c) it stays
# - (d) it grows without bound

# %%
### BEGIN SOLUTION
t1 = "b"
t2 = "c"
t3 = "a"
### END SOLUTION
check("16.t1", t1)
check("16.t2", t2)
check("16.t3", t3)

# %% [markdown]
# **Further reading**
#
# - von Oswald, Niklasson, Randazzo, Sacramento, Mordvintsev, Zhmoginov and Vladymyrov, *Transformers learn in-context by gradient descent*, 2023. The construction, the comparison, GD++.
# - Zhang, Frei and Bartlett, *Trained Transformers learn linear models in-context*, 2024. That gradient flow on one layer ends at the optimum, proved.
# - Lesson 17: what takes the place of $\eta$ when directions differ.
