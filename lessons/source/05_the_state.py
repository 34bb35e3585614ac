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
# # Lesson 05. The state
#
# **Claim.** All that a layer of linear attention sees of its examples is one small matrix, so after a single sum its cost does not depend on $n$.
#
# | read | code | run | level | needs | seed |
# |---|---|---|---|---|---|
# | 35 min | 70 min | 1 min | 3 of 5 | 02 | 5 |
#
# **Misconception.** The cost of attention must grow with the square of the prompt.
#
# **Afterwards you can say.** A layer reads its examples only through the sum of $z z^\top$; once that sum is made, nothing it computes knows how many examples there were. (t3)
#
# <details><summary>Symbols of this lesson</summary>
#
# | symbol | meaning |
# |---|---|
# | $X$ (here) | the product $T G$, half of a step |
# | $U_h$ (here) | $G Q_h$: what the query will be multiplied by |
# | $O$, $o_i$ (here) | an orthogonal mixture of the examples; orthonormal vectors |
# | $S$, $s$, $c$ (here) | blocks of the state: covariates, border, corner |
# | $\xi_i$ (here) | covariate $i$ of all examples, a vector of length $n$ |
# | $R$ (here) | triangular factor of $S$; a skip's matrix in lesson 02 |
# | $\chi^2(k)$ | sum of $k$ squares of independent $N(0, 1)$ numbers |
#
# </details>
#
# You will replace the tokens of a prompt by a matrix of $(d+1)^2$ numbers, derive the layer and its gradient on it, and draw that matrix without
# drawing a single example. Lesson 05b, which is optional, brings the result to compiled code.

# %%
import time

import numpy as np

import linattn_np as la
from linattn_np.layers.gram import outer, times
from linattn_np.progress import bar
from linattn_np.teaching import by_profile, check, facts, knob, moving, predict, reveal, show
from linattn_np.teaching import slider, symbols, table, versions
from linattn_np.teaching.pictures import lesson_05 as pictures

SEED = 5
versions(SEED)
symbols("B n N d D L H x w y Z z P Q M G T params dX")

# %% [markdown]
# ## 1. Predict
#
# The gradient of a model with three layers is computed token by token, and its time is fitted by $c\, n^a$ for large $n$. What is $a$? And:
# a prompt with $n = 20$, $d = 5$ is drawn from $(n + 2)\, d = 110$ Gaussian numbers: 20 examples, the query, the task vector. How many
# random numbers are enough, if only the model is to see no difference?

# %%
### BEGIN SOLUTION
exponent_guess = 1.0
numbers_guess = 110
### END SOLUTION
predict("05.p1", "Time of the gradient by tokens ~ n^a for large n: a", exponent_guess)
predict("05.p2", "Random numbers for one prompt with n = 20 and d = 5", numbers_guess)

# %% [markdown]
# ## 2. Derive
#
# **In scalars.** Let $d = 1$, with the score $q\, x\, x_j$ and the label $y_j$ for a value. The query's label becomes
#
# $$ y' = y + \frac{1}{n} \sum_{j=1}^{n} q\, x\, x_j\, y_j = y + \frac{q\, x}{n} \sum_{j=1}^{n} x_j y_j . $$
#
# Of all the examples it has taken one sum. Any other examples with the same sum give the same answer.
#
# **In indices.** In general a token becomes, by lesson 01, $z_i' = z_i + \frac{1}{n} \sum_j (z_j^\top Q z_i)\, P z_j$. The score is a number, so it may stand
# behind the vector, $(z_j^\top Q z_i)\, P z_j = P z_j\, (z_j^\top Q z_i) = P\, (z_j z_j^\top)\, Q z_i$, and only the middle depends on $j$:
#
# $$ z_i' = z_i + \frac{1}{n}\, P \Big( \sum_{j=1}^{n} z_j z_j^\top \Big) Q z_i . $$
#
# The sum in brackets is the same for every $i$. It is the **state** $G$, a $D \times D$ matrix. In the paper's columns the step is a change of
# brackets, $P Z M\, (Z^\top Q Z) = P\, (Z M Z^\top)\, Q Z$. The left side makes $N \times N$ scores. The right side never does. Here are both to
# scale, and the multiply-adds of one layer:

# %%
moving(
    pictures.brackets,
    "Left, two squares to scale: the scores, whose side grows with n, and the state, always 6 "
    "by 6. Right, multiply-adds of a layer against n on logarithmic axes: by scores the line "
    "steepens to slope 2, by the state it is flat at first and then has slope 1.",
    n=knob((1, 2, 4, 8, 16, 32, 48, 64), 16, "examples n"),
)

# %% [markdown]
# **In matrices.** With heads $h$, all tokens are multiplied by one matrix $T$:
#
# $$ U_h = G\, Q_h \tag{5.1} $$
# $$ T = I + \frac{1}{n} \sum_h P_h U_h \tag{5.2} $$
# $$ z' = T z \tag{5.3} $$
#
# The examples move by the same $T$, so the next layer's state is $\sum_j T z_j\, (T z_j)^\top = T \big( \sum_j z_j z_j^\top \big) T^\top$, in two products:
#
# $$ X = T\, G \tag{5.4} $$
# $$ G' = X\, T^\top \tag{5.5} $$
#
# The next layer needs $G'$ and $z'$ and nothing else. By induction the whole model is a function of $(G, z)$ at its entrance. The examples
# may be forgotten before the first layer.
#
# **What this says about learning.** Two prompts with equal $G$ and query get equal answers at every depth. Order does not count, as in
# lesson 01. Nor does the sign of an example, nor any orthogonal mixture of examples: for $O^\top O = I$ of size $n \times n$, tokens $OZ$ have
# $Z^\top O^\top O Z = G$. Softmax takes the exponential of each score, which does not come out of the sum. It has no such state.
#
# What does a state look like? Divided by $n$ it is the covariance of the examples, and its last column an estimate of the task: as $n$
# grows, the mean of $x_j x_j^\top$ tends to $I$ and that of $y_j x_j = x_j x_j^\top w$ to $w$. Run the cell and turn $n$.

# %%
def draw_state(n):
    rng = np.random.default_rng([SEED, 1])
    w = rng.standard_normal(5)
    x = rng.standard_normal((1024, 5))[:n]
    tokens = np.concatenate([x, x @ w[:, None]], axis=1)  # (n, D)
    limit = np.eye(6)
    limit[5, :5] = limit[:5, 5] = w
    limit[5, 5] = w @ w
    return pictures.state_beside_limit(tokens.T @ tokens / n, limit, n)


slider(draw_state, "Two 6 by 6 tables of numbers: the state divided by n, and its limit, with "
                   "the identity in the upper left and the task vector in its border.",
       n=knob([2**k for k in range(11)], 16, "n"))

# %% [markdown]
# All that a layer will ever know of $w$ is in the last column, and the upper left is there to take the unevenness of the examples out of it.
#
# **Backward.** Rule 1 (product) and rule 2 (several uses) of lesson 02. Undo (5.5), the last use of $T$. In indices
# $G'_{ik} = \sum_j X_{ij} T_{kj}$, so $dX_{ij} = \sum_k dG'_{ik}\, T_{kj}$ and $dT_{kj} = \sum_i dG'_{ik}\, X_{ij}$:
#
# $$ dX = dG'\, T \tag{5.6} $$
# $$ dT = dG'^\top X \tag{5.7} $$
#
# Undo (5.4), $X_{ij} = \sum_m T_{im} G_{mj}$, by rule 1 as it stands; then (5.3), $z'_i = \sum_m T_{im} z_m$:
#
# $$ dT \mathrel{+}= dX\, G^\top \tag{5.8} $$
# $$ dG = T^\top dX \tag{5.9} $$
# $$ dT \mathrel{+}= dz'\, z^\top \tag{5.10} $$
# $$ dz = T^\top dz' \tag{5.11} $$
#
# $T$ is complete now: three uses, right, left, and on the query. Undo (5.2) and (5.1); $P$ and $Q$ are shared by the prompts $b$:
#
# $$ dU_h = \frac{1}{n} P_h^\top dT \tag{5.12} $$
# $$ dP_h = \frac{1}{n} \sum_b dT\, U_h^\top \tag{5.13} $$
# $$ dG \mathrel{+}= \sum_h dU_h\, Q_h^\top \tag{5.14} $$
# $$ dQ_h = \sum_b G^\top dU_h \tag{5.15} $$
#
# No line uses that $G$ is symmetric, so the lines may be tested on a general $G$. The last step is the first one of the forward pass, from tokens (as
# rows) to the state, $G_{ac} = \sum_{j \le n} Z_{ja} Z_{jc}$. It uses each example twice: $dZ_{ja} = \sum_c dG_{ac} Z_{jc} + \sum_c dG_{ca} Z_{jc}$. The query's row is $dz$.
#
# $$ G = Z^\top M Z \tag{5.16} $$
# $$ dZ = M Z\, (dG + dG^\top) \quad \text{on the examples} \tag{5.17} $$
#
# **Drawing the state itself.** For Gaussian covariates even the examples need not be drawn. Let the vector $\xi_i \in \mathbb{R}^n$ hold covariate $i = 0, \ldots, d-1$ of
# all examples, with independent $N(0, 1)$ entries. The upper left block of $G$ is $S_{ik} = \langle \xi_i, \xi_k \rangle$. Orthogonalize the $\xi_i$ one after the other:
# $\xi_i = \sum_{j \le i} R_{ij}\, o_j$ with orthonormal $o_j$ and $R_{ii} > 0$. Then $S_{ik} = \sum_j R_{ij} R_{kj}$, so $S = R R^\top$. What is the law of $R$?
#
# Look before you derive: the mean of each entry's square, over prompts whose examples were drawn one by one.

# %%
rng, size = np.random.default_rng(SEED), by_profile(1000, 10_000)
many = la.RegressionTask(n=20, d=5).sample(size, rng)
R = np.linalg.cholesky(la.gram.compress(many.Z).G[:, :5, :5])  # S = R R^T
show(pictures.mean_squares((R**2).mean(axis=0), 20),
     "Left, a triangular table: the mean square of each entry of R, about 20, 19, 18, 17, 16 "
     "on the diagonal and 1 below it. Right, the diagonal's means on the line n - j.")

# %% [markdown]
# Take $\xi_i$. Given those before it, $o_0, \ldots, o_{i-1}$ are fixed orthonormal vectors. $\xi_i$ is
# independent of them and $N(0, I_n)$, so its coordinates in *any* orthonormal basis are independent $N(0, 1)$. Choose one that begins with
# $o_0, \ldots, o_{i-1}$. The first $i$ coordinates are $R_{i0}, \ldots, R_{i,i-1}$. The length of what is left is $R_{ii}$, and its square is
# a sum of $n - i$ squares. This law does not depend on what came before, so all entries are independent:
#
# $$ S = R R^\top, \quad R_{jj}^2 \sim \chi^2(n - j), \quad R_{ij} \sim N(0, 1) \text{ for } i > j; \qquad s = S w, \quad c = w^\top S w \tag{5.18} $$
#
# The rest of $G$ follows: the labels are $\sum_k w_k \xi_k$, so the border has $s_i = \langle \xi_i, \sum_k w_k \xi_k \rangle = (S w)_i$ and the corner $c = \sum_i w_i s_i$.
# A prompt costs $d(d+1)/2$ numbers for $R$, $d$ for $w$, $d$ for the query. (If $n < d$, the $\xi_i$ span everything after $n$ steps: $R$ is $d \times n$, and its
# rows from $n$ on are Gaussian throughout.)
#
# > **Where people slip**
# > - *A use of $T$.* $T G T^\top$ has two, the query a third. With a single layer nobody misses the first two (section 5).
# > - *The query in $G$.* The mask is now just where the sum ends. The symmetry tests of section 5 do not notice.
# > - *$2\, Z\, dG$ for (5.17).* Right only if $dG$ is symmetric, and nothing above makes it so.
# > - *$\chi^2(n)$ everywhere.* Each $\xi_i$ has lost one dimension to each one before it.

# %% [markdown]
# ## 3. On paper
#
# The prompt of lessons 01 and 02: examples $(1, 2)$ and $(3, 6)$, query $(1, 0)$, $P = I$, $Q = \mathrm{diag}(-1, 0)$.
#
# $$ G = \begin{pmatrix} 10 & 20 \\ 20 & 40 \end{pmatrix}, \quad U = \begin{pmatrix} -10 & 0 \\ -20 & 0 \end{pmatrix}, \quad
# T = \begin{pmatrix} -4 & 0 \\ -10 & 1 \end{pmatrix}, \quad z' = T \begin{pmatrix} 1 \\ 0 \end{pmatrix} = \begin{pmatrix} -4 \\ -10 \end{pmatrix}, \quad
# G' = \begin{pmatrix} 160 & 320 \\ 320 & 640 \end{pmatrix} $$
#
# The query's row of lesson 01 was $(-4, -10)$. Backward from $dz' = (0, -16)$ and $dG' = 0$:
#
# $$ dT = \begin{pmatrix} 0 & 0 \\ -16 & 0 \end{pmatrix}, \quad dU = \begin{pmatrix} 0 & 0 \\ -8 & 0 \end{pmatrix}, \quad
# dP = \begin{pmatrix} 0 & 0 \\ 80 & 160 \end{pmatrix}, \quad dQ = \begin{pmatrix} -160 & 0 \\ -320 & 0 \end{pmatrix} $$
# $$ dG = dU\, Q^\top = \begin{pmatrix} 0 & 0 \\ 8 & 0 \end{pmatrix}, \quad dz = T^\top dz' = \begin{pmatrix} 160 \\ -16 \end{pmatrix} $$
#
# These are the $dP$, $dQ$ of lesson 02, and with $dG + dG^\top$ the example $(1, 2)$ gets $(16, 8)$ and $(3, 6)$ gets $(48, 24)$, also as there.
#
# By machine:

# %%
Z_paper = np.array([[[1.0, 2], [3, 6], [1, 0]]])
P_paper, Q_paper = np.diag([1.0, 1.0])[None], np.diag([-1.0, 0.0])[None]
after, tape = la.gram.forward(la.gram.compress(Z_paper), P_paper, Q_paper)
dafter = la.gram.readout_backward(np.array([16.0]), after)
dstate, dP, dQ = la.gram.backward(dafter, tape)
pairs = {"G'": after.G, "z'": after.z, "dP": dP, "dQ": dQ, "dG": dstate.G, "dz": dstate.z,
         "dZ": la.gram.compress_backward(dstate, Z_paper)}
print(*[f"{name} {array[0].astype(int).tolist()}" for name, array in pairs.items()], sep="\n")

# %% [markdown]
# ## 4. Code it
#
# The sums, then the matrices, then the library. Loops first, on one prompt:

# %%
def state_by_loops(Z):
    """(5.16) of one prompt, Z (N, D): a sum over the examples."""
    G = np.zeros((Z.shape[1], Z.shape[1]))
    for z in Z[:-1]:  # the query, the last token, is not read
        G += np.outer(z, z)
    return G


def layer_by_matrices(G, z, P, Q, n):
    """(5.1) to (5.5) on a batch with one head: G (B, D, D), z (B, D), P and Q (D, D)."""
    T = np.eye(G.shape[-1]) + P @ (G @ Q) / n
    return T @ G @ T.mT, times(T, z)


# %%
rng = np.random.default_rng(SEED)
Z, y = la.RegressionTask(n=7, d=3).sample(5, rng)
P, Q = rng.standard_normal((2, 4, 4)) / 2
G = np.stack([state_by_loops(prompt) for prompt in Z])
G_next, z_next = layer_by_matrices(G, Z[:, -1], P, Q, 7)
library, _ = la.gram.forward(la.gram.compress(Z), P[None], Q[None])
of_tokens = la.gram.compress(la.attention.forward(Z, P[None], Q[None])[0])  # lesson 01's layer
gap = lambda a, b: f"{np.abs(a - b).max() / np.abs(b).max():.0e}"
table(("compared", "G'", "z'"), [
    ("matrices and library", gap(G_next, library.G), gap(z_next, library.z)),
    ("library and tokens", gap(library.G, of_tokens.G), gap(library.z, of_tokens.z)),
])

# %% [markdown]
# The backward pass, a line for each number. `drop` leaves one use out; section 5 needs it.

# %%
def backward_by_matrices(dG_next, dz_next, G, z, P, Q, n, drop=None):
    """(5.6) to (5.15) -> dG, dz, dP, dQ; dP and dQ summed over the batch."""
    U = G @ Q
    T = np.eye(G.shape[-1]) + P @ U / n
    dX = dG_next @ T  # (5.6)
    uses = {
        "T on the right": dG_next.mT @ (T @ G),  # (5.7)
        "T on the left": dX @ G.mT,  # (5.8)
        "T on the query": outer(dz_next, z),  # (5.10)
    }
    dT = sum(use for name, use in uses.items() if name != drop)
    dU = P.T @ dT / n  # (5.12)
    dP = (dT @ U.mT).sum(axis=0) / n  # (5.13)
    dQ = (G.mT @ dU).sum(axis=0)  # (5.15)
    dG = T.mT @ dX  # (5.9)
    if drop != "G in the scores":
        dG = dG + dU @ Q.T  # (5.14)
    return dG, times(T.mT, dz_next), dP, dQ  # dz is (5.11)


# %% [markdown]
# ## 5. Audit it
#
# **The state is enough.** For every orthogonal $O$: $\mathrm{prediction}(OZ) = \mathrm{prediction}(Z)$, the query left alone. Order is the special case
# that every attention passes.

# %%
setting1 = la.papers.maybe_all_you_need.SETTINGS["setting1"].task
Z1, y1 = setting1.sample(by_profile(200, 1000), np.random.default_rng(SEED))
model = la.init_params(np.random.default_rng(SEED), layers=3, d=5, std=0.3)


def mixed(Z, O):
    """The prompts with their examples mixed by O (n, n)."""
    return np.concatenate([O @ Z[:, :-1], Z[:, -1:]], axis=1)


rng = np.random.default_rng(SEED)
mixtures = {"order": np.eye(20)[rng.permutation(20)],
            "signs": np.diag(rng.choice([-1.0, 1.0], 20)),
            "any mixture": np.linalg.qr(rng.standard_normal((20, 20)))[0]}
rows = []
for attention in ("linear", "softmax", "relu"):
    answers = lambda Z: la.predict(model, Z, attention=attention)
    plain, few = answers(Z1[:100]), Z1[:100]
    rows.append((attention, *(gap(answers(mixed(few, O)), plain) for O in mixtures.values())))
table(("attention", *mixtures), rows, "Largest change of a prediction, relative to the largest")

# %% [markdown]
# **The gradient.** The complex step, (2.16) of lesson 02, on the state: $\mathrm{Im}\, f(\theta + i h v) / h = \langle df, v \rangle$ with
# $h = 10^{-30}$ and a generic direction $v$, knows nothing of (5.6) to (5.15). We run models of one, two and three layers, with full matrices, and plant four
# mistakes: one use forgotten in each.

# %%
def state_gradient(params, state, y, drop=None):
    """dP and dQ of all layers, (L, 2, D, D), by the lines above."""
    matrices, (G, z, n), kept = params[:, 0], state, []
    for P, Q in matrices:
        kept.append((G, z, P, Q, n))
        G, z = layer_by_matrices(*kept[-1])
    dG, dz, grad = np.zeros_like(G), np.zeros_like(z), np.zeros_like(matrices)
    dz[:, -1] = 2 * (z[:, -1] + y) / len(y)  # minus dprediction
    for l in reversed(range(len(matrices))):
        dG, dz, grad[l, 0], grad[l, 1] = backward_by_matrices(dG, dz, *kept[l], drop)
    return grad


# %%
def slope_error(layers, drop):
    """Relative error of <df, v> against the complex step."""
    rng = np.random.default_rng([SEED, layers])
    full = la.init_params(rng, layers=layers, d=5, std=0.1, full=True)
    v, h = rng.standard_normal(full.shape), 1e-30
    stepped = la.predict(full + 1j * h * v, Z1[:20].astype(complex)) - y1[:20]
    slope = (stepped**2).mean().imag / h
    got = (state_gradient(full, la.gram.compress(Z1[:20]), y1[:20], drop) * v[:, 0]).sum()
    return f"{abs(got - slope) / abs(slope):.0e}"


USES = (None, "T on the right", "T on the left", "T on the query", "G in the scores")
rows = [(drop or "nothing", *(slope_error(L, drop) for L in (1, 2, 3))) for drop in USES]
table(("forgotten", "1 layer", "2 layers", "3 layers"), rows)

# %% [markdown]
# With one layer nobody reads $G'$, so three of four mistakes change nothing at all. An audit of a single layer from the loss would have
# passed them. The library audits a layer from a generic $dG'$ instead.
#
# **The draw.** (5.18) claims a law, so test moments. $\mathbb{E}[S] = n I$, and (1.9) of lesson 01 times $n^2$ gives $\mathbb{E}[S^2] = n (n + d + 1) I$. The determinant
# is the product of the $R_{jj}^2$, so $\mathbb{E}[\det S] = n (n-1) \cdots (n-d+1)$. The planted mistake takes $\chi^2(n)$ everywhere.

# %%
def moments(S):
    square = S @ S
    entries = [array[:, i, i].mean() for array in (S, square) for i in (0, 4)]
    return [*entries, np.linalg.det(S).mean(), np.median(np.linalg.eigvalsh(S)[:, 0])]


def drawn(task, count, rng, slip=False):
    """States by (5.18); ``slip``: chi-square with n degrees of freedom in every column."""
    draws = la.batches.draw_gaussian(task, count, rng)
    if slip:
        draws[: task.d] = np.sqrt(rng.chisquare(task.n, (task.d, count)))
    return la.batches.gaussian_state(task, draws)[0].G[:, :5, :5], draws.shape[0]


# %%
count, rng = by_profile(4000, 40_000), np.random.default_rng(SEED)
S_tokens = la.gram.compress(setting1.sample(count, rng).Z).G[:, :5, :5]
S_drawn, numbers = drawn(setting1, count, rng)
S_slip, _ = drawn(setting1, count, rng, slip=True)
derived = (20, 20, 20 * 26, 20 * 26, 20 * 19 * 18 * 17 * 16, "-")
names = ("mean of S[0, 0]", "mean of S[4, 4]", "mean of S²[0, 0]", "mean of S²[4, 4]",
         "mean of det S", "median of the smallest eigenvalue")
columns = zip(names, derived, moments(S_tokens), moments(S_drawn), moments(S_slip), strict=True)
words = lambda v: v if v == "-" else f"{v:,.4g}" if v < 1e4 else f"{v:,.0f}"
rows = [(name, *map(words, values)) for name, *values in columns]
table(("moment", "derived", "from tokens", "drawn by (5.18)", "with the mistake"), rows)
reveal("05.p2", numbers, "15 for R, 5 for the task, 5 for the query. The law is the same.")

# %% [markdown]
# The moments of the first covariate, $S_{00}$ and $(S^2)_{00}$, are right even with the mistake in all others. Only what involves later ones shows it: a test of one entry is no test of a law.
#
# ## 6. Experiment
#
# One question: how does the time of one gradient grow with $n$? One knob: $n$, with $B = 16$ prompts, $L = 3$, $d = 5$, several seeds. Four ways: tokens in
# NumPy, which forms the scores; state in NumPy; tokens to state to gradient in Numba; and Numba on states drawn by (5.18), whose work
# does not grow with $n$, the drawing included. Beside them the multiply-adds, counted: by tokens the 14 products of lesson 02's lines in each layer, seven of them with $N^2 D$
# and seven with $N D^2$; by the state one sum over the examples, which exercise 05.1 counts, then 12 products of $D \times D$ matrices in each layer.

# %%
la.kernels.set_threads(1)  # so that the processor's own clock counts all of the work


def seconds(work, repeats=5):
    """The shortest of some runs, without what other programs take of the processor."""
    found = []
    for _ in range(repeats):
        began = time.process_time()
        work()
        found.append(time.process_time() - began)
    return min(found)


def by_state(Z, y):
    return la.stack.loss_and_grad_by(la.gram, model, la.gram.compress(Z), y, 6)


def by_draws(task, rng):
    lanes = la.kernels.lanes_from_draws(task, la.batches.draw_gaussian(task, 16, rng))
    return la.kernels.loss_and_grad(model, lanes)


# %%
def measure(n, seed):
    """Seconds of the four ways; NaN where a way would take too long."""
    rng, task = np.random.default_rng([SEED, seed]), la.RegressionTask(n=n, d=5)
    Z, y = task.sample(16, rng)
    tokens = n <= by_profile(64, 512, 1024)
    by_tokens = lambda: la.loss_and_grad(model, Z, y, backend="numpy")
    return [seconds(by_tokens) if tokens else np.nan,
            seconds(lambda: by_state(Z, y)), seconds(lambda: la.loss_and_grad(model, Z, y)),
            seconds(lambda: by_draws(task, rng))]


# %%
sizes, seeds = 2 ** np.arange(3, by_profile(10, 16)), by_profile(2, 5, 9)
with bar(len(sizes) * seeds, "measurements", unit="run") as shown:
    measured = np.zeros((seeds, len(sizes), 4))
    for seed in range(seeds):
        for i, n in enumerate(sizes):
            measured[seed, i] = measure(int(n), seed)
            shown.update()
quartiles = 1e3 * np.quantile(measured, [0.25, 0.5, 0.75], axis=0)  # milliseconds
NAMES = ("tokens, NumPy", "state, NumPy", "state, Numba", "state drawn, Numba")
counts = np.array([pictures.gradient_counts(int(n)) for n in sizes])  # (sizes, 2)
la.kernels.set_threads(None)
figure, exponents = pictures.times_and_counts(sizes, quartiles, NAMES, counts, seeds)
show(figure, "Time of a gradient against n on logarithmic axes. Tokens rise along the line of "
             "their multiply-adds, slope 2; the state in NumPy and in Numba is flat at first "
             "and turns to slope 1, as its line does; drawn states stay flat.")
reveal("05.p1", round(exponents[0][0], 2), "On the state only the sum (5.16) grows, linearly; "
       f"measured there: {exponents[1][0]:.2f} in NumPy, {exponents[2][0]:.2f} in Numba.")
table(("way", "at its largest n, time grows like n to the", "multiply-adds, counted"), [
    (name, f"{time:.2f}", f"{count:.2f}") for name, (time, count) in
    zip(NAMES, exponents, strict=True)
])

# %% [markdown]
# Tokens pay for $N^2$ scores in every layer, forward and backward. The state pays for one sum over the examples, once. While that is small against the layers, the curve is
# flat; then it is a straight line of slope 1. The measured exponents differ from the counted ones: by a tenth or two on one computer, by more than a half for the tokens on another. The computer's memory may be why: where the scores outgrow a cache, each
# multiply-add waits longer. This lesson does not test that, so it stays open.
#
# At the size of the paper, $n = 20$, no exponent matters yet. What makes the state fast there is lesson 05b.

# %% [markdown]
# ## 7. The paper and us
#
# The paper reports no times, and its released code works on tokens. What can be compared are facts of the model, computed here.

# %%
rng = np.random.default_rng(SEED)
draws = la.batches.draw_gaussian(setting1, 20_000, rng)
states, labels = la.batches.gaussian_state(setting1, draws)
at_zero, _ = la.stack.loss_and_grad_by(la.gram, 0 * model, states, labels, 6)
_, grad = la.stack.loss_and_grad_by(la.gram, model, la.gram.compress(Z1), y1, 6)
Z_mixed = mixed(Z1, mixtures["any mixture"])
change = np.abs(la.predict(model, Z_mixed) - la.predict(model, Z1)).max()
facts([
    ("a layer sees the examples only through Z M Z^T", "follows from section 2", "no change",
     "no change" if change < 1e-9 else "change"),
    ("loss with all weights 0, on drawn states", "follows from section 2", 5, round(at_zero)),
    ("entries without gradient, on the state", "released code", 25, int((grad == 0).sum())),
])

# %% [markdown]
# ## 8. Exercises
#
# Six cards. Write your answer in the cell under a card, run it, then the check.

# %% [markdown]
# ### Exercise 05.1 (derive, level 1, 5 min)
#
# How many multiply-adds does the sum (5.16) take for one prompt, if symmetry is used? Write the number as a function of `n` and `d`.
# *Done:* the check passes.
#
# <details><summary>Hint 1</summary>Count the entries on and above the diagonal of a matrix of size d + 1.</details>

# %%
def multiply_adds(n, d):
    ### BEGIN SOLUTION
    return n * (d + 1) * (d + 2) // 2
    ### END SOLUTION


# %%
check("05.1", multiply_adds)

# %% [markdown]
# ### Exercise 05.2 (code, level 2, 10 min)
#
# Close the page above. Write one layer on the state: `G` (B, D, D), `z` (B, D), `P` and `Q` (D, D), `n`; return `G'` and `z'`.
# *Done:* right for a `G` that is not symmetric.
#
# <details><summary>Hint 1</summary>All tokens are multiplied by one matrix T. What happens to z zᵀ?</details>
# <details><summary>Hint 2</summary>la.gram.times(T, z) multiplies each prompt's vector by its matrix.</details>

# %%
def my_state_layer(G, z, P, Q, n):
    ### BEGIN SOLUTION
    T = np.eye(G.shape[-1]) + P @ G @ Q / n
    return T @ G @ T.mT, (T @ z[..., None])[..., 0]
    ### END SOLUTION


# %%
check("05.2", my_state_layer)

# %% [markdown]
# ### Exercise 05.3 (code, level 3, 20 min)
#
# And its backward pass: from `dG_next` (B, D, D) and `dz_next` (B, D) to `dG`, `dz`, `dP`, `dQ`. *Done:* all four right.
#
# <details><summary>Hint 1</summary>T is used three times and G twice.</details>
# <details><summary>Hint 2</summary>G here is a general matrix: keep its transposes where they are.</details>

# %%
def my_state_backward(dG_next, dz_next, G, z, P, Q, n):
    ### BEGIN SOLUTION
    U = G @ Q
    T = np.eye(G.shape[-1]) + P @ U / n
    dX = dG_next @ T
    dT = dG_next.mT @ T @ G + dX @ G.mT + outer(dz_next, z)
    dU = P.T @ dT / n
    dP, dQ = (dT @ U.mT).sum(axis=0) / n, (G.mT @ dU).sum(axis=0)
    return T.mT @ dX + dU @ Q.T, times(T.mT, dz_next), dP, dQ
    ### END SOLUTION


# %%
check("05.3", my_state_backward)

# %% [markdown]
# ### Exercise 05.4 (find the bug, level 2, 10 min)
#
# This function brings the gradient of a state back to its tokens, (5.17). Its author tested it with the loss $\|G\|^2$, and it passed. It is wrong for most
# losses. Repair it: `dG` (B, D, D), `dz` (B, D), `Z` (B, N, D), the query last. *Done:* right for a general `dG`.
#
# <details><summary>Hint 1</summary>What is special about the gradient of |G|², which is 2 G?</details>
# <details><summary>Hint 2</summary>Write G_ac as a sum over j, and differentiate by Z_ja: there are two terms.</details>

# %%
def buggy_tokens(dG, dz, Z):
    dZ = 2 * Z @ dG
    dZ[:, -1] = dz
    return dZ


# %%
def repaired_tokens(dG, dz, Z):
    ### BEGIN SOLUTION
    dZ = Z @ (dG + dG.mT)
    dZ[:, -1] = dz
    return dZ
    ### END SOLUTION


# %%
check("05.4", repaired_tokens)

# %% [markdown]
# ### Exercise 05.5 (derive, level 4, 15 min)
#
# A least-squares fit to the examples multiplies $s$ by $S^{-1}$. Derive $\mathbb{E}[(S^{-1})_{d,d}]$, the last diagonal entry, from (5.18), and write it as a
# function of `n` and `d`, for $n > d + 1$. *Done:* the check passes.
#
# <details><summary>Hint 1</summary>The last column of the inverse of a triangular R has one entry.</details>
# <details><summary>Hint 2</summary>The mean of 1/χ²(k) is 1/(k - 2), for k above 2.</details>
#
# <!-- ### BEGIN SOLUTION -->
# <details><summary>Solution</summary>S⁻¹ = R⁻ᵀ R⁻¹, so its last diagonal entry is the squared length of the last column of R⁻¹. That column
# has a single entry, 1 over the last diagonal entry of R, whose square is χ²(n - d + 1). So the mean is 1/(n - d - 1). All covariates have the
# same law, so every diagonal entry has this mean. For n = d + 1 it is infinite: some prompts leave w nearly free.</details>
# <!-- ### END SOLUTION -->

# %%
def mean_inverse(n, d):
    ### BEGIN SOLUTION
    return 1 / (n - d - 1)
    ### END SOLUTION


# %%
check("05.5", mean_inverse)

# %% [markdown]
# ### Exercise 05.6 (experiment, level 2, 10 min)
#
# Measure it: for $n = 12$, $d = 5$, draw 50,000 states with `la.batches` and take the mean of the *first* diagonal entry of $S^{-1}$.
# *Done:* within 5 percent.
#
# <details><summary>Hint 1</summary>draw_gaussian(task, batch, rng), then gaussian_state(task, draws)[0].G.</details>
# <details><summary>Hint 2</summary>Invert the d x d block, not G: with exact labels G has no inverse.</details>

# %%
def measure_inverse():
    ### BEGIN SOLUTION
    task = la.RegressionTask(n=12, d=5)
    draws = la.batches.draw_gaussian(task, 50_000, np.random.default_rng(SEED))
    G = la.batches.gaussian_state(task, draws)[0].G
    return np.linalg.inv(G[:, :5, :5])[:, 0, 0].mean()
    ### END SOLUTION


### BEGIN SOLUTION
measured_inverse = measure_inverse()
### END SOLUTION
check("05.6", measured_inverse)

# %% [markdown]
# ## 9. Exit ticket
#
# Write the letters in quotes.
#
# **t1.** Which of these can change the prediction of linear attention?
#
# - (a) the first two examples swapped
# - (b) one example replaced by its negative, label included
# - (c) one example replaced by a copy of another
# - (d) all examples rotated among themselves
#
# **t2.** Why can softmax attention not be run on $G$?
#
# - (a) it divides by a sum
# - (b) the exponential of a score is not linear in the token that is read
# - (c) it reads the query, too
# - (d) it has more weights
#
# **t3.** A prompt grows from 1,000 examples to 2,000. What takes twice as long, on the state?
#
# - (a) every layer, forward and backward
# - (b) the first layer only
# - (c) nothing
# - (d) one sum over the examples, before the first layer

# %%
### BEGIN SOLUTION
t1 = "c"
t2 = "b"
t3 = "d"
### END SOLUTION
check("05.t1", t1)
check("05.t2", t2)
check("05.t3", t3)

# %% [markdown]
# **Further reading**
#
# - Katharopoulos et al., *Transformers are RNNs*, arXiv 2006.16236. The same change of brackets for language models, where the state is updated
#   token by token.
# - Bartlett, *On the theory of statistical regression*, 1933; Muirhead, *Aspects of Multivariate Statistical Theory*, 1982, chapter 3. The decomposition
#   (5.18) and what follows from it.
# - Lesson 08 draws states by the million to see the noise of gradients.
