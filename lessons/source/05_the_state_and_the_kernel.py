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
# # Lesson 05. The state and the kernel
#
# **Claim.** All that a layer of linear attention sees of its examples is one small matrix, so after a single sum its cost does not depend on $n$.
#
# | read | code | run | level | needs | seed |
# |---|---|---|---|---|---|
# | 40 min | 45 min | 1 min | 3 of 5 | 02 | 5 |
#
# **Misconception.** The cost of attention must grow with the square of the prompt.
#
# You will replace the tokens of a prompt by a matrix of $(d+1)^2$ numbers, derive the layer and its gradient on it, draw that matrix
# without drawing a single token, and bring the result to compiled code whose bits do not depend on the number of threads.

# %%
import time
import timeit

import numpy as np

import linattn_np as la
from linattn_np.layers.gram import outer, times
from linattn_np.progress import bar
from linattn_np.teaching import by_profile, check, facts, knob, predict, reveal, show
from linattn_np.teaching import slider, symbols, table, versions

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
# **In indices.** In general a token becomes, by lesson 01,
#
# $$ z_i' = z_i + \frac{1}{n} \sum_{j=1}^{n} (z_j^\top Q z_i)\, P z_j = z_i + \frac{1}{n}\, P \Big( \sum_{j=1}^{n} z_j z_j^\top \Big) Q z_i , $$
#
# since the score is a number and may stand behind $P z_j$. The sum in brackets is the same for every $i$. It is the **state**; in rows
#
# $$ G = \sum_{j=1}^{n} z_j z_j^\top = Z^\top M Z \in \mathbb{R}^{D \times D} \tag{5.16} $$
#
# In the paper's columns the same step is a change of brackets, $P Z M (Z^\top Q Z) = P\, (Z M Z^\top)\, Q Z$. The left side makes $N \times N$
# scores. The right side never does. (Numbers are those that the library's code quotes, so (5.16) comes first.)
#
# **In matrices.** With heads $h$, all tokens are multiplied by one matrix $T$:
#
# $$ U_h = G\, Q_h \tag{5.1} $$
# $$ T = I + \frac{1}{n} \sum_h P_h U_h \tag{5.2} $$
# $$ z' = T z \tag{5.3} $$
#
# The examples move by the same $T$, so the next layer's state is $\sum_j T z_j z_j^\top T^\top$, in two products:
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
# **Backward.** Rule 1 (product) and rule 2 (several uses) of lesson 02. Undo (5.5), where $T$ is used for the first time from the end:
#
# $$ dX = dG'\, T \tag{5.6} $$
# $$ dT = dG'^\top X \tag{5.7} $$
#
# For (5.7) write $G'_{ik} = \sum_j X_{ij} T_{kj}$, so $dT_{kj} = \sum_i dG'_{ik} X_{ij}$. Undo (5.4), then (5.3):
#
# $$ dT \mathrel{+}= dX\, G^\top \tag{5.8} $$
# $$ dG = T^\top dX \tag{5.9} $$
# $$ dT \mathrel{+}= dz'\, z^\top \tag{5.10} $$
# $$ dz = T^\top dz' \tag{5.11} $$
#
# $T$ is complete now: three uses, left, right, and on the query. Undo (5.2) and (5.1); $P$ and $Q$ are shared by the prompts $b$:
#
# $$ dU_h = \frac{1}{n} P_h^\top dT \tag{5.12} $$
# $$ dP_h = \frac{1}{n} \sum_b dT\, U_h^\top \tag{5.13} $$
# $$ dG \mathrel{+}= \sum_h dU_h\, Q_h^\top \tag{5.14} $$
# $$ dQ_h = \sum_b G^\top dU_h \tag{5.15} $$
#
# No line uses that $G$ is symmetric, so the lines may be tested on a general $G$. If tokens need a gradient, (5.16) has
# $G_{ac} = \sum_j Z_{ja} Z_{jc}$, two uses of $Z$, and the query's row is $dz$:
#
# $$ dZ = M Z\, (dG + dG^\top) \quad \text{on the examples} \tag{5.17} $$
#
# **The trained blocks.** The model trains $P = \mathrm{diag}(P', 1)$ and $Q = \mathrm{diag}(Q', 0)$. Cut the state likewise: $S = \sum_j x_j x_j^\top$,
# $s = \sum_j y_j x_j$, $c = \sum_j y_j^2$, and $z = (x\,;\, \mathrm{label})$. Then
#
# $$ P_h G Q_h = \begin{pmatrix} P_h' & 0 \\ 0 & 1 \end{pmatrix} \begin{pmatrix} S & s \\ s^\top & c \end{pmatrix}
# \begin{pmatrix} Q_h' & 0 \\ 0 & 0 \end{pmatrix} = \begin{pmatrix} P_h' S Q_h' & 0 \\ s^\top Q_h' & 0 \end{pmatrix},
# \qquad T = \begin{pmatrix} A & 0 \\ b^\top & 1 \end{pmatrix} $$
#
# From here on $P_h, Q_h$ mean the blocks, and $A$, $V$ are no longer the scores and values of lesson 02. Read off $T$, then $Tz$, then $T G T^\top$:
#
# $$ U_h = S\, Q_h, \qquad A = I + \frac{1}{n} \sum_h P_h U_h \tag{5.18} $$
# $$ b = \frac{1}{n} \sum_h Q_h^\top s \tag{5.19} $$
# $$ x' = A\, x, \qquad \mathrm{label}' = \mathrm{label} + b^\top x \tag{5.20} $$
# $$ r = s + S\, b, \qquad s' = A\, r \tag{5.21} $$
# $$ V = A\, S, \qquad S' = V A^\top \tag{5.22} $$
#
# The upper right block of $T G T^\top$ is $A S b + A s = A r$. The corner $c$ stands in no other line: the model never sees the size of the
# labels by itself. And in the last layer only (5.19) and the label are read.
#
# **Their backward pass.** $A$ is used in $x'$, $s'$, $V$ and $S'$. The last two give $dS'^\top V$ and, through $dV = dS' A$, the term
# $dV S^\top = dS' A S = dS' V$. If $dS'$ is symmetric the two are equal:
#
# $$ dA = 2\, dS'\, V + ds'\, r^\top + dx'\, x^\top \tag{5.23} $$
# $$ dr = A^\top ds', \qquad db = S\, dr + d\mathrm{label}\; x \tag{5.24} $$
# $$ dS = A^\top dS' A + \mathrm{sym}\Big( dr\, b^\top + \sum_h dU_h Q_h^\top \Big) \tag{5.25} $$
# $$ ds = dr + \frac{1}{n} \sum_h Q_h\, db \tag{5.26} $$
# $$ dx = A^\top dx' + d\mathrm{label}\; b \tag{5.27} $$
# $$ dU_h = \frac{1}{n} P_h^\top dA, \qquad dP_h = \frac{1}{n} \sum_b dA\, U_h^\top \tag{5.28} $$
# $$ dQ_h = \sum_b \Big( S\, dU_h + \frac{1}{n}\, s\, db^\top \Big) \tag{5.29} $$
#
# Here $\mathrm{sym}(Y) = \frac{1}{2}(Y + Y^\top)$. Why may we symmetrize? $S$ can only move along symmetric $vS$, and
# $\langle Y, vS \rangle = \langle \mathrm{sym}(Y), vS \rangle$ for these. So $dS$ is symmetric by choice, and (5.23) may use it. $d\mathrm{label}$ passes through all layers
# unchanged, since every label is added to; by (2.14) and (2.15) of lesson 02 it is $-d\mathrm{prediction}$.
#
# **Drawing the state itself.** For Gaussian covariates even the examples need not be drawn. Let $X$ be $n \times d$ with independent $N(0, 1)$
# entries, and orthogonalize its columns one after the other, as in a QR decomposition: $X = O R^\top$, with orthonormal columns in $O$ and $R$ lower
# triangular with a positive diagonal. Then $S = X^\top X = R\, O^\top O\, R^\top = R R^\top$. What is the law of $R$?
#
# Take column $i = 0, 1, \ldots$ of $X$. Given the columns before it, $o_0, \ldots, o_{i-1}$ are fixed orthonormal vectors. Column $i$ is
# independent of them and $N(0, I_n)$, so its coordinates in *any* orthonormal basis are independent $N(0, 1)$. Choose one that begins with
# $o_0, \ldots, o_{i-1}$. The first $i$ coordinates are $R_{i0}, \ldots, R_{i,i-1}$. The length of what is left is $R_{ii}$, and its square is
# a sum of $n - i$ squares. This law does not depend on the columns before, so all entries are independent:
#
# $$ S = R R^\top, \quad R_{jj}^2 \sim \chi^2(n - j), \quad R_{ij} \sim N(0, 1) \text{ for } i > j; \qquad s = S w, \quad c = w^\top S w \tag{5.30} $$
#
# with $j$ from 0; $s$ and $c$ follow from $y = X w$. If $n < d$, the columns span everything after $n$ steps: $R$ is $d \times n$, and its rows from $n$ on are
# Gaussian throughout. A prompt costs $d(d+1)/2$ numbers for $R$, $d$ for $w$, $d$ for the query.
#
# **The numbers themselves.** What does it take to draw $N(0, 1)$ and $\chi$ with additions, products and roots alone, which every computer rounds alike?
# For independent $N(0, 1)$ numbers $x, y$ the density is $e^{-(x^2 + y^2)/2} / 2\pi$, and $dx\, dy = \frac{1}{2}\, d(r^2)\, d\varphi$. So the angle is
# uniform and $P(r^2 > t) = e^{-t/2}$, which $-2 \log u$ has for uniform $u$ (Box and Muller):
#
# $$ x = r \cos\varphi, \quad y = r \sin\varphi, \qquad r^2 = -2 \log u, \quad \varphi = 2\pi u' \tag{5.31} $$
#
# Sine and cosine have their series. For the logarithm write $u = 2^e m$ with $\sqrt{1/2} \le m < \sqrt 2$. With $s = (m-1)/(m+1)$ we have $m = (1+s)/(1-s)$:
#
# $$ \log m = \log(1 + s) - \log(1 - s) = 2 \Big( s + \frac{s^3}{3} + \frac{s^5}{5} + \ldots \Big), \qquad |s| < 0.172 \tag{5.32} $$
#
# Ten terms leave out less than $3 \cdot 10^{-17}$ of it. And $\chi^2(k)$ is twice a Gamma$(k/2)$ number, with density $\propto y^{a-1} e^{-y}$. Put
# $y = d\,v$, $v = (1 + cx)^3$. As $dy/dx \propto v^{2/3}$, the density of $x$ is $\propto v^{a - 1/3} e^{-dv}$, and with $d = a - \frac{1}{3}$ that is
# $\propto e^{g(x)}$, $g = d\,(\log v - v + 1)$. Choose $c = 1/\sqrt{9d}$ and compare with $-x^2/2$: with $\tau = cx$
#
# $$ g(x) + \frac{x^2}{2} = d f(\tau), \quad f(\tau) = 3 \log(1 + \tau) - (1 + \tau)^3 + 1 + \frac{9 \tau^2}{2}, \quad f(0) = 0, \quad f'(\tau) = \frac{-3\tau^3}{1 + \tau} \tag{5.33} $$
#
# so $f$ rises before 0 and falls after it: $e^{g} \le e^{-x^2/2}$. Draw $x \sim N(0, 1)$, keep it with probability $e^{g(x) + x^2/2}$, that is if
# $\log u < g(x) + x^2/2$, and take $y = d\,v$. The law is exact (Marsaglia and Tsang, for $a \ge 1$; a smaller $a$ takes Gamma$(a+1)$ times $u^{1/a}$).
#
# > **Where people slip**
# > - *A use of $T$.* $T G T^\top$ has two, the query a third. With a single layer nobody misses the first two (section 5).
# > - *The query in $G$.* The mask is now just where the sum ends. The symmetry tests above do not notice.
# > - *The factor 2 without the symmetry.* $2\, dS' V$ is right only if $dS'$ was symmetrized in the layer above.
# > - *$\chi^2(n)$ everywhere.* Each column has lost one dimension to each column before it.
# > - *The same uniform number for the candidate and for its test.* What is kept then depends on what was drawn.

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
# **Two layers with blocks.** Examples $(1, 1)$ and $(-1, -1)$, query 1, answer 1, so $S = s = 2$. Numbers $p_0 = q_0 = 1$ and $q_1 = -1$:
#
# $$ A = 1 + \tfrac{1}{2} \cdot 2 = 2, \quad b = 1, \quad x' = 2, \quad \mathrm{label}' = 1, \quad r = 4, \quad s' = 8, \qquad b_1 = -4, \quad
# \mathrm{label}'' = 1 - 8 = -7 $$
#
# The prediction is 7, $d\mathrm{label} = -12$. Backward through layer 1, then layer 0:
#
# $$ dq_1 = -96, \quad ds' = 12, \quad dx' = 48; \qquad dA = 12 \cdot 4 + 48 = 96, \quad dr = 24, \quad db = 48 - 12 = 36, \quad dU = 48 $$
#
# and $dp_0 = 96$, $dq_0 = 2 \cdot 48 + 36 = 132$. School calculus agrees: the label is $q_0 + q_1 (1 + p_0 q_0)^2 (1 + q_0)$. By machine:

# %%
Z_paper = np.array([[[1.0, 2], [3, 6], [1, 0]]])
P_paper, Q_paper = np.diag([1.0, 1.0])[None], np.diag([-1.0, 0.0])[None]
after, tape = la.gram.forward(la.gram.compress(Z_paper), P_paper, Q_paper)
dafter = la.gram.readout_backward(np.array([16.0]), after)
dstate, dP, dQ = la.gram.backward(dafter, tape)
pairs = {"G'": after.G, "z'": after.z, "dP": dP, "dQ": dQ, "dG": dstate.G, "dz": dstate.z,
         "dZ": la.gram.compress_backward(dstate, Z_paper)}
print(*[f"{name} {array[0].astype(int).tolist()}" for name, array in pairs.items()], sep="\n")
blocks = np.array([1.0, 1, 0, -1]).reshape(2, 1, 2, 1, 1)  # p0, q0, p1, q1
Z_two, y_two = np.array([[[1.0, 1], [-1, -1], [1, 0]]]), np.array([1.0])
_, grad = la.loss_and_grad(blocks, Z_two, y_two, backend="numpy")
print("dp0, dq0, dp1, dq1 =", grad.ravel().astype(int).tolist())

# %% [markdown]
# ## 4. Code it
#
# What does a state look like? Divided by $n$ it is the covariance of the examples, and its last column an estimate of the task: as $n$
# grows, $S/n \to I$ and $s/n \to w$. Turn $n$.

# %%
def draw_state(n):
    rng = np.random.default_rng([SEED, 1])
    w = rng.standard_normal(5)
    X = rng.standard_normal((1024, 5))[:n]
    tokens = np.concatenate([X, X @ w[:, None]], axis=1)  # (n, D)
    limit = np.eye(6)
    limit[5, :5] = limit[:5, 5] = w
    limit[5, 5] = w @ w
    figure, axes = la.plotting.new_figure(columns=2, width=3.9, height=3.5)
    titles = (f"G / n from {n} examples", "its limit: I, w, |w|²")
    for ax, G, title in zip(axes[0], (tokens.T @ tokens / n, limit), titles, strict=True):
        ax.imshow(G, vmin=-2.5, vmax=2.5, cmap="PuOr")
        for (i, j), value in np.ndenumerate(G):
            colour = "w" if abs(value) > 1.6 else "k"
            ax.text(j, i, f"{value:.2f}", ha="center", va="center", fontsize=9, color=colour)
        ax.axhline(4.5, color="k", linewidth=1)
        ax.axvline(4.5, color="k", linewidth=1)
        ax.set_axis_off()
        ax.set_title(title, fontsize=10)
    return figure


slider(draw_state, "Two 6 by 6 tables of numbers: the state divided by n, and its limit, with "
                   "the identity in the upper left and the task vector in its border.",
       n=knob([2**k for k in range(11)], 16, "n"))

# %% [markdown]
# All that a layer will ever know of $w$ is in the last column, and $S$ is there to take the unevenness of the examples out of it.
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
# The split version, for a whole model with one head. It returns the loss's gradient and keeps nothing of size $n$.

# %%
def split_forward(params, S, s, x, n):
    """(5.18) to (5.22) for all layers -> the query's label (B,), and what backward needs."""
    tapes, label = [], np.zeros(len(x))
    for P, Q in params[:, 0]:
        U, b = S @ Q, s @ Q / n  # (5.18), (5.19)
        A = np.eye(len(P)) + P @ U / n  # (5.18)
        r, V = s + times(S, b), A @ S  # (5.21), (5.22)
        tapes.append((S, s, x, U, A, b, r, V))
        label = label + (b * x).sum(axis=1)  # (5.20)
        S, s, x = V @ A.mT, times(A, r), times(A, x)  # (5.22), (5.21), (5.20)
    return label, tapes


def split_gradient(params, S, s, x, y, n):
    label, tapes = split_forward(params, S, s, x, n)
    dlabel = 2 * (label + y)[:, None] / len(y)  # minus dprediction; (B, 1)
    dS, ds, dx, grad = (np.zeros_like(array) for array in (S, s, x, params))
    for l in reversed(range(len(params))):
        grad[l, 0], dS, ds, dx = split_backward(dS, ds, dx, dlabel, *params[l, 0], *tapes[l], n)
    return grad


# %%
def split_backward(dS_next, ds_next, dx_next, dlabel, P, Q, S, s, x, U, A, b, r, V, n):
    """(5.23) to (5.29) -> (dP, dQ), dS, ds, dx of one layer."""
    dA = 2 * dS_next @ V + outer(ds_next, r) + outer(dx_next, x)  # (5.23)
    dr = times(A.mT, ds_next)  # (5.24)
    db = times(S, dr) + dlabel * x  # (5.24)
    dU = P.T @ dA / n  # (5.28)
    dP = (dA @ U.mT).sum(axis=0) / n  # (5.28)
    dQ = (S @ dU + outer(s, db) / n).sum(axis=0)  # (5.29)
    Y = outer(dr, b) + dU @ Q.T
    dS = A.mT @ dS_next @ A + (Y + Y.mT) / 2  # (5.25)
    ds = dr + db @ Q.T / n  # (5.26)
    dx = times(A.mT, dx_next) + dlabel * b  # (5.27)
    return (dP, dQ), dS, ds, dx


# %%
setting1 = la.papers.maybe_all_you_need.SETTINGS["setting1"].task
Z1, y1 = setting1.sample(by_profile(200, 1000), np.random.default_rng(SEED))
model = la.init_params(np.random.default_rng(SEED), layers=3, d=5, std=0.3)


def parts(Z):
    """S, s and x of prompts with d = 5."""
    G, z, _ = la.gram.compress(Z)
    return G[:, :5, :5], G[:, :5, 5], z[:, :5]


split = split_gradient(model, *parts(Z1), y1, 20)
_, by_tokens = la.loss_and_grad(model, Z1, y1, backend="numpy")
print("split and tokens, largest relative difference:", gap(split, by_tokens))

# %% [markdown]
# **To the kernel.** A batch of 1,000 prompts means thousands of products of $5 \times 5$ matrices. NumPy handles each as a small job of its own, and
# the handling costs more than the arithmetic. Three ideas make it fast.
#
# *Lanes.* Store an array as (rows, columns, prompt), the prompt last. Each multiplication then acts on a whole row of prompts, which is what a
# processor's vector instructions do. Sums over $k$ stay inside one lane, so no lane knows of its neighbours.
#
# *Programs.* Written out, the forward and backward pass of three layers is one long function, and a compiler's time grows faster than its length. But
# it consists of a few kinds of small operations. So the library writes a *list* of operations, with the address of each operand, and compiles only
# the machine that runs a list. The list can be printed, each line with its equation:

# %%
from linattn_np.kernels import operations as o

lines = la.kernels.listing(la.programs.passes(3, 1, 5, False, 20).gradient).splitlines()
print(f"{len(lines)} operations: a layer forward, the error, and the way back to dQ3")
print("\n".join([*lines[:12], "...", *lines[22:29]]))

# %% [markdown]
# And here is the machine that runs such a list, in NumPy:

# %%
product = lambda a, b: np.einsum("imt,mjt->ijt", a, b)  # t is the prompt, the last axis
COMPUTE = {
    o.PRODUCT: product, o.SHARED_LEFT: product, o.SHARED_RIGHT: product,  # shared: P or Q
    o.OUTER: lambda a, b: a * b.swapaxes(0, 1), o.MULTIPLY: lambda a, b: a * b,
    o.COPY: lambda a: a, o.SYMMETRIZE: lambda a: (a + a.swapaxes(0, 1)) / 2,
    o.IDENTITY: lambda: np.eye(5)[..., None],
}


def machine(program, mem, shared):
    """Run a program; mem (slots, prompts) holds every number once for each prompt."""

    def entries(X):  # (rows, columns, prompts)
        at = o.places_of(X)
        return shared[at][..., None] if X.shared else mem[at]

    for step in program.steps:
        operands = [entries(X) for X in (step.term.a, step.term.b) if X]
        out = step.term.factor * COMPUTE[step.term.operation](*operands)
        mem[o.places_of(step.c)] = out + (entries(step.c) if step.add else 0)


# %%
def machine_gradient(params, S, s, x, y, n):
    """The gradient of the loss by the library's program, run by the machine above."""
    L, H, _, k, _ = params.shape
    passes = la.programs.passes(L, H, k, False, n)
    mem, at = np.zeros((passes.slots, len(y))), passes.at
    for first, array in ((at.S, S), (at.s, s), (at.x, x), (at.y, y[:, None])):
        rows = array.reshape(len(y), -1).T  # (entries, prompts)
        mem[first : first + len(rows)] = rows
    machine(passes.gradient, mem, params.ravel())
    sums = mem[at.sums : at.sums + 1 + params.size].sum(axis=1) / len(y)
    return sums[1:].reshape(params.shape)  # sums[0] is the loss


ways = {
    "tokens, NumPy": lambda: la.loss_and_grad(model, Z1, y1, backend="numpy")[1],
    "blocks of the state, NumPy": lambda: split_gradient(model, *parts(Z1), y1, 20),
    "the machine, NumPy": lambda: machine_gradient(model, *parts(Z1), y1, 20),
    "the machine, Numba": lambda: la.loss_and_grad(model, Z1, y1)[1],
}
rows = [(name, gap(work(), by_tokens)) for name, work in ways.items()]
table(("gradient of three layers", "against tokens"), rows)

# %% [markdown]
# In Numba a step is three loops, `i`, `j`, `lane`, with a sum inside: `total += a[i, m] * b[m, j]`. $k$ is the length of a tuple, so the compiler
# knows it and unrolls the sum. Its `total` stays in registers, several lanes in each. A block holds 64 prompts: with fewer, each operation of the list
# costs more than its work, and with more, the numbers of a block fall out of the caches.
#
# *Chunks.* Threads take pieces of the batch and their sums are added. Rounded addition is not associative, $(a + b) + c \ne a + (b + c)$, so the last
# digits depend on the pieces. If there are as many pieces as threads, another computer gives other bits, and training lets such a
# difference grow. So the pieces are *fixed*: 256 prompts each, whatever the number of threads, each summed in a fixed order, and the sums of pieces
# added in their order. Threads decide only who computes a piece.

# %% [markdown]
# The random numbers go into lanes as well. Here are (5.32) and (5.33) as they stand; how many candidates are lost?

# %%
def log_by_series(u, terms=10):
    """(5.32): frexp gives m in [1/2, 1) and e; a small m is doubled, and e is then one less."""
    m, e = np.frexp(u)
    m, e = np.where(m < 0.5**0.5, 2 * m, m), e - (m < 0.5**0.5)
    s = (m - 1) / (m + 1)
    return e * np.log(2) + 2 * sum(s ** (2 * i + 1) / (2 * i + 1) for i in range(terms))


def gamma_candidates(a, count, rng):
    """(5.33): candidates d v and which of them are kept."""
    d = a - 1 / 3
    x, u = rng.standard_normal(count), rng.random(count)
    v = (1 + x / np.sqrt(9 * d)) ** 3
    bound = x**2 / 2 + d * (np.log(np.where(v > 0, v, 1)) - v + 1)
    return d * v, (v > 0) & (np.log(u) < bound)


# %%
u, rng = np.random.default_rng(SEED).random(100_000), np.random.default_rng(SEED)
errors = [f"{np.abs(log_by_series(u, k) / np.log(u) - 1).max():.0e}" for k in (2, 4, 6, 8, 10)]
print("largest relative error of log u with 2, 4, 6, 8, 10 terms:", ", ".join(errors))
rows = []
for freedom in (20, 16, 2):
    values, kept = gamma_candidates(freedom / 2, by_profile(20_000, 400_000), rng)
    chi_square = 2 * values[kept]
    mean, variance = chi_square.mean(), chi_square.var()
    rows.append((freedom, f"{kept.mean():.1%}", f"{mean:.2f}", f"{variance:.1f}"))
table(("degrees of freedom k", "kept", "mean (k)", "variance (2 k)"), rows)

# %% [markdown]
# With ten terms only rounding is left. The library has both, in NumPy (`kernels.random_numpy`) and compiled (`kernels.random`), over the bits of xoshiro256++ with one state a lane. No
# library's logarithm or cosine is called, so the two should agree to the last bit. Training draws its prompts with them.

# %%
from linattn_np.kernels import random, random_numpy

ours, defined = random.lane_states(SEED, 0), random_numpy.lane_states(SEED, 0)
numbers_in_lanes, gammas = np.empty((2000, 64)), np.empty((5, 64))
halves = np.arange(10, 7.5, -0.5)
random.fill_normals(ours, numbers_in_lanes)
random.fill_gammas(ours, halves, gammas, np.empty((2, 64)))
same = [np.array_equal(numbers_in_lanes, random_numpy.normals(defined, 2000)),
        np.array_equal(gammas, random_numpy.gammas(defined, halves))]
print("normals, gammas: the same bits compiled and in NumPy:", *same)
generator = np.random.default_rng(SEED)
slow, fast = (min(timeit.repeat(work, number=3, repeat=7)) for work in (
    lambda: generator.standard_normal(out=numbers_in_lanes),
    lambda: random.fill_normals(ours, numbers_in_lanes)))
print(f"a normal from NumPy's generator takes {slow / fast:.0f} times as long as one in lanes")

# %% [markdown]
# ## 5. Audit it
#
# **The state is enough.** For every orthogonal $O$: $\mathrm{prediction}(OZ) = \mathrm{prediction}(Z)$, the query left alone. Order is the special case
# that every attention passes.

# %%
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
# **The draw.** (5.30) claims a law, so test moments. $\mathbb{E}[S] = n I$, and (1.9) of lesson 01 times $n^2$ gives $\mathbb{E}[S^2] = n (n + d + 1) I$. The determinant
# is the product of the $R_{jj}^2$, so $\mathbb{E}[\det S] = n (n-1) \cdots (n-d+1)$. The planted mistake takes $\chi^2(n)$ everywhere.

# %%
def moments(S):
    square = S @ S
    entries = [array[:, i, i].mean() for array in (S, square) for i in (0, 4)]
    return [*entries, np.linalg.det(S).mean(), np.median(np.linalg.eigvalsh(S)[:, 0])]


def drawn(task, count, rng, slip=False):
    """States by (5.30); ``slip``: chi-square with n degrees of freedom in every column."""
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
table(("moment", "derived", "from tokens", "drawn by (5.30)", "with the mistake"), rows)
reveal("05.p2", numbers, "15 for R, 5 for the task, 5 for the query. The law is the same.")

# %% [markdown]
# The first column's moments are right even with the mistake. Only what involves later columns shows it: a test of one entry is no test of a law.
#
# **The bits.** Run the kernel with 1, 2 and 3 threads and compare bytes. The planted mistake cuts the batch into as many pieces as threads.

# %%
def cut_by_threads(threads):
    """The gradient as a weighted mean over ``threads`` pieces of the batch."""
    pieces = zip(np.array_split(Z1, threads), np.array_split(y1, threads), strict=True)
    grads = [len(y) * la.loss_and_grad(model, Z, y)[1] for Z, y in pieces]
    return sum(grads) / len(y1)


def fixed_chunks(threads):
    la.kernels.set_threads(threads)
    grad = la.loss_and_grad(model, Z1, y1)[1]
    la.kernels.set_threads(None)
    return grad


rows = []
for name, way in (("fixed chunks", fixed_chunks), ("one piece a thread", cut_by_threads)):
    one, *others = [way(threads) for threads in (1, 2, 3)]
    rows.append((name, *(f"{(other != one).sum()} of {one.size}" for other in others),
                 gap(others[-1], one)))
table(("sums by", "numbers changed by 2 threads", "by 3 threads", "how far, at most"), rows)

# %% [markdown]
# ## 6. Experiment
#
# One question: how does the time of one gradient grow with $n$? One knob: $n$, with $B = 64$ prompts, $L = 3$, $d = 5$, several seeds. Four ways: tokens in
# NumPy, which forms the scores; state in NumPy; tokens to state to gradient in Numba; and Numba on states drawn by (5.30), which never sees $n$
# at all, the drawing included. The exponent is fitted to the four largest values of $n$ of each way.

# %%
def seconds(work, repeats=3):
    """The shortest of some runs: what is longer is the rest of the computer."""
    found = []
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        found.append(time.perf_counter() - began)
    return min(found)


def by_state(Z, y):
    return la.stack.loss_and_grad_by(la.gram, model, la.gram.compress(Z), y, 6)


def by_draws(task, rng):
    lanes = la.kernels.lanes_from_draws(task, la.batches.draw_gaussian(task, 64, rng))
    return la.kernels.loss_and_grad(model, lanes)


# %%
def measure(n, seed):
    """Seconds of the four ways; NaN where a way would take too long."""
    rng, task = np.random.default_rng([SEED, seed]), la.RegressionTask(n=n, d=5)
    Z, y = task.sample(64, rng)
    tokens = n <= by_profile(64, 256, 512)
    by_tokens = lambda: la.loss_and_grad(model, Z, y, backend="numpy")
    return [seconds(by_tokens) if tokens else np.nan,
            seconds(lambda: by_state(Z, y)), seconds(lambda: la.loss_and_grad(model, Z, y)),
            seconds(lambda: by_draws(task, rng))]


# %%
sizes, seeds = 2 ** np.arange(3, by_profile(10, 12)), by_profile(2, 5, 9)
with bar(len(sizes) * seeds, "measurements", unit="run") as shown:
    measured = np.zeros((seeds, len(sizes), 4))
    for seed in range(seeds):
        for i, n in enumerate(sizes):
            measured[seed, i] = measure(int(n), seed)
            shown.update()
quartiles = 1e3 * np.quantile(measured, [0.25, 0.5, 0.75], axis=0)  # milliseconds
NAMES = ("tokens, NumPy", "state, NumPy", "state, Numba", "state drawn, Numba")
STYLES = (("#D55E00", "--"), ("#0072B2", "-."), ("#000000", "-"), ("#009E73", ":"))
figure, axes = la.plotting.new_figure(width=6.4, height=4.2)
ax, exponents = axes[0, 0], []
for k, (name, (color, linestyle)) in enumerate(zip(NAMES, STYLES, strict=True)):
    seen = np.isfinite(quartiles[1, :, k])
    x, low_mid_high = sizes[seen], quartiles[:, seen, k]
    exponents.append(np.polyfit(np.log(x[-4:]), np.log(low_mid_high[1, -4:]), 1)[0])
    label = f"{name}: n^{exponents[-1]:.2f}"
    la.plotting.median_band(ax, x, low_mid_high, label, color=color, linestyle=linestyle)
ax.set(xscale="log", yscale="log", xlabel="examples in a prompt, n")
ax.set_ylabel(f"milliseconds for 64 prompts ({seeds} seeds)")
ax.legend(frameon=False, fontsize=9, title="way: growth fitted at the largest n")
show(figure, "Time of a gradient against n on logarithmic axes. Tokens rise with a slope near "
             "2; the state in NumPy and in Numba is flat at first and turns towards slope 1; "
             "drawn states stay flat.")
reveal("05.p1", round(exponents[0], 2), "On the state only the sum (5.16) grows, linearly; "
       f"fitted there: {exponents[1]:.2f} in NumPy, {exponents[2]:.2f} in Numba.")

# %% [markdown]
# Tokens pay for $N^2$ scores in every layer, forward and backward. The state pays for one sum over the examples, once; exercise 05.1
# counts it. While that is small against the layers, the curve is flat; then it is a straight line of slope 1. Measured slopes are not
# exactly 2 and 1: the flat part pulls them down, and where arrays outgrow the caches of the computer, time grows faster than the count of operations.
#
# And at the size of the paper, $n = 20$, where no exponent matters yet? The four ways of section 4, on one batch, each from the tokens:

# %%
timed = {name: seconds(work, repeats=by_profile(2, 7)) for name, work in ways.items()}
reference = timed["tokens, NumPy"]
table(("way", "milliseconds", "times faster"), [
    (name, f"{1e3 * t:.2f}", f"{reference / t:.1f}") for name, t in timed.items()
], f"A gradient of {len(y1)} prompts of Setting 1 on {la.processors.processors()} processors.")

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
# Seven cards. Write your answer in the cell under a card, run it, then the check.

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
# <details><summary>Hint 1</summary>All tokens are multiplied by one matrix T. What happens to z z'?</details>
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
# ### Exercise 05.4 (find the bug, level 3, 10 min)
#
# This function gives the right gradient for one and two layers and a wrong one for three. It takes what comes from the layer above,
# $dS'$ (symmetric), $ds'$, $dx'$ and $d\mathrm{label}$, and returns $dP$ and $dQ$. Repair it. *Done:* right at sizes that you do not know.
#
# <details><summary>Hint 1</summary>Which of the inputs is zero until there is a third layer?</details>
# <details><summary>Hint 2</summary>S' = A S A' uses A twice.</details>

# %%
def buggy_blocks(dS_next, ds_next, dx_next, dlabel, S, s, x, P, Q, n):
    U, b = S @ Q, s @ Q / n
    A = np.eye(len(P)) + P @ U / n
    dA = dS_next @ (A @ S) + outer(ds_next, s + times(S, b)) + outer(dx_next, x)
    db = times(S, times(A.mT, ds_next)) + dlabel[:, None] * x
    dU = P.T @ dA / n
    return (dA @ U.mT).sum(axis=0) / n, (S @ dU + outer(s, db) / n).sum(axis=0)


# %%
def repaired_blocks(dS_next, ds_next, dx_next, dlabel, S, s, x, P, Q, n):
    ### BEGIN SOLUTION
    U, b = S @ Q, s @ Q / n
    A = np.eye(len(P)) + P @ U / n
    dA = 2 * dS_next @ (A @ S) + outer(ds_next, s + times(S, b)) + outer(dx_next, x)
    db = times(S, times(A.mT, ds_next)) + dlabel[:, None] * x
    dU = P.T @ dA / n
    return (dA @ U.mT).sum(axis=0) / n, (S @ dU + outer(s, db) / n).sum(axis=0)
    ### END SOLUTION


# %%
check("05.4", repaired_blocks)

# %% [markdown]
# ### Exercise 05.5 (code, level 2, 10 min)
#
# From the factor `R` (B, d, d) and the task `w` (B, d), make the state `G` (B, d+1, d+1) of (5.30). *Done:* the check passes.
#
# <details><summary>Hint 1</summary>S first. Then s and c from it, with w.</details>

# %%
def state_from_factor(R, w):
    ### BEGIN SOLUTION
    B, d, _ = R.shape
    G = np.zeros((B, d + 1, d + 1))
    S = R @ R.mT
    s = times(S, w)
    G[:, :d, :d], G[:, :d, d], G[:, d, :d], G[:, d, d] = S, s, s, (w * s).sum(axis=1)
    return G
    ### END SOLUTION


# %%
check("05.5", state_from_factor)

# %% [markdown]
# ### Exercise 05.6 (derive, level 4, 15 min)
#
# A least-squares fit to the examples multiplies $s$ by $S^{-1}$. Derive $\mathbb{E}[(S^{-1})_{d,d}]$, the last diagonal entry, from (5.30), and write it as a
# function of `n` and `d`, for $n > d + 1$. *Done:* the check passes.
#
# <details><summary>Hint 1</summary>The last column of the inverse of a triangular R has one entry.</details>
# <details><summary>Hint 2</summary>The mean of 1/χ²(k) is 1/(k - 2), for k above 2.</details>
#
# <!-- ### BEGIN SOLUTION -->
# <details><summary>Solution</summary>S⁻¹ = R⁻ᵀ R⁻¹, so its last diagonal entry is the squared length of the last column of R⁻¹. That column
# has a single entry, 1 over the last diagonal entry of R, whose square is χ²(n - d + 1). So the mean is 1/(n - d - 1). All columns of X have the
# same law, so every diagonal entry has this mean. For n = d + 1 it is infinite: some prompts leave w nearly free.</details>
# <!-- ### END SOLUTION -->

# %%
def mean_inverse(n, d):
    ### BEGIN SOLUTION
    return 1 / (n - d - 1)
    ### END SOLUTION


# %%
check("05.6", mean_inverse)

# %% [markdown]
# ### Exercise 05.7 (experiment, level 2, 10 min)
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
check("05.7", measured_inverse)

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
# **t3.** Why does the kernel give the same bits on one thread and on eight?
#
# - (a) it computes in double precision
# - (b) addition is commutative
# - (c) the threads wait for each other
# - (d) the pieces and the order of their sums do not depend on the threads

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
#   (5.30) and what follows from it.
# - Box and Muller, *A note on the generation of random normal deviates*, 1958; Marsaglia and Tsang, *A simple method for generating gamma variables*, 2000;
#   Blackman and Vigna, *Scrambled linear pseudorandom number generators*, 2021. Behind (5.31), (5.33) and the bits.
# - Goldberg, *What every computer scientist should know about floating-point arithmetic*, 1991. Why the order of a sum is part of its result.
# - Lesson 08 draws states by the million to see the noise of gradients.
