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
# # Lesson 05b. The blocks and the kernel (optional)
#
# **Claim.** Written as a list of small operations and run for many prompts side by side, the gradient comes out fast, and in the same bits on any number of threads.
#
# | read | code | run | level | needs | seed |
# |---|---|---|---|---|---|
# | 40 min | 45 min | 1 min | 4 of 5 | 05 | 5 |
#
# **Misconception.** A fast gradient is another gradient: what is compiled cannot be read, and threads change the digits.
#
# **Afterwards you can say.** The pieces of the batch and the order of their sums are fixed, so threads decide who computes a piece and never which bits come out. (t1)
#
# <details><summary>Symbols of this lesson</summary>
#
# | symbol | meaning |
# |---|---|
# | $P_h$, $Q_h$ (here) | the trained blocks of a head; the whole matrices elsewhere |
# | $S$, $s$ (here) | blocks of the state, as in lesson 05 |
# | $A$, $b$ (here) | blocks of $T$: what moves covariates, what moves the label |
# | $r$, $V$ (here) | $s + S b$ and $A S$, halves of a step |
# | $\rho$, $\varphi$ (here) | radius and angle of two normal numbers |
# | $\pi$ | half the circumference of the unit circle |
# | $u$, $k$, $m$, $e$ (here) | random numbers; the series' variable, mantissa and exponent of a logarithm |
# | $\delta$, $\gamma$, $\tau$ (here) | constants and the scaled variable of the Gamma draw |
#
# </details>
#
# This lesson is optional: nothing after it needs more than its first page. You will cut the state of lesson 05 into the blocks that the model trains,
# derive their backward pass line by line, write it as a program of small operations, and run that program on a machine of your own.

# %%
import timeit

import numpy as np

import linattn_np as la
from linattn_np.kernels import operations as o
from linattn_np.kernels import random, random_numpy
from linattn_np.layers.gram import outer, times
from linattn_np.progress import bar
from linattn_np.teaching import by_profile, check, facts, knob, moving, predict, reveal, show
from linattn_np.teaching import symbols, table, versions
from linattn_np.teaching.pictures import lesson_05b as pictures

SEED = 5
versions(SEED)
symbols("B n d L H x w y P Q G T params dX")

# %% [markdown]
# ## 1. Predict
#
# One operation of the gradient, such as a product of two $5 \times 5$ matrices, is done for each of 1,000 prompts. NumPy's way is a product for each prompt; the
# kernel stores the prompt last and runs over it inside. How many times faster is the whole gradient of three layers? And: the batch is cut into two pieces, one for each
# thread, and the sums of the pieces are added. How many of the 150 entries of the gradient keep every bit?

# %%
### BEGIN SOLUTION
faster_guess = 2
kept_guess = 150
### END SOLUTION
predict("05b.p1", "A gradient at n = 20: time by tokens / time of the kernel", faster_guess)
predict("05b.p2", "Two pieces in place of one: entries of 150 with the same bits", kept_guess)

# %% [markdown]
# ## 2. Derive
#
# **The trained blocks.** The model trains $P = \mathrm{diag}(P_h, 1)$ and $Q = \mathrm{diag}(Q_h, 0)$. Cut the state likewise: $S = \sum_j x_j x_j^\top$,
# $s = \sum_j y_j x_j$, $c = \sum_j y_j^2$, and $z = (x\,;\, \mathrm{label})$. Then, by (5.1) and (5.2),
#
# $$ P G Q = \begin{pmatrix} P_h & 0 \\ 0 & 1 \end{pmatrix} \begin{pmatrix} S & s \\ s^\top & c \end{pmatrix}
# \begin{pmatrix} Q_h & 0 \\ 0 & 0 \end{pmatrix} = \begin{pmatrix} P_h S Q_h & 0 \\ s^\top Q_h & 0 \end{pmatrix},
# \qquad T = \begin{pmatrix} A & 0 \\ b^\top & 1 \end{pmatrix} $$
#
# Read off $T$: its upper left block is $I + \frac{1}{n} \sum_h P_h S Q_h$ and its lower left $\frac{1}{n} \sum_h s^\top Q_h$:
#
# $$ U_h = S\, Q_h, \qquad A = I + \frac{1}{n} \sum_h P_h U_h \tag{5b.1} $$
# $$ b = \frac{1}{n} \sum_h Q_h^\top s \tag{5b.2} $$
#
# Then $T z$, row by row:
#
# $$ x' = A\, x, \qquad \mathrm{label}' = \mathrm{label} + b^\top x \tag{5b.3} $$
#
# Then $T G T^\top$. First $T G$ has the blocks $A S$ and $A s$ above; times $T^\top$, whose columns are $(A^\top; 0)$ and $(b; 1)$, the upper left becomes $A S A^\top$ and the upper
# right $A S b + A s = A (s + S b)$:
#
# $$ r = s + S\, b, \qquad s' = A\, r \tag{5b.4} $$
# $$ V = A\, S, \qquad S' = V A^\top \tag{5b.5} $$
#
# The corner $c$ stands in no other line: the model never sees the size of the labels by itself. And in the last layer only (5b.2) and the label are read.
# Here is a gradient of two such layers with $d = 1$, one operation after the other. Move through it once before you derive it; section 3 does the same numbers by hand.
# (A program counts layers from 1, so its $P_1$, $Q_1$, $Q_2$ are the $p_0$, $q_0$, $q_1$ of section 3, and its $b_2$ is the $b_1$ there.)

# %%
running = pictures.Running(np.array([1.0, 1, 0, -1]), S=2, s=2, x=1, y=1, n=2)
moving(
    running,
    "Left, the operations around the present one, with their equations; right, every number "
    "of the memory, the one that is written in orange and those that are read in blue.",
    operation=knob(range(1, len(running.steps) + 1), 9, "operation"),
)

# %% [markdown]
# **The backward pass, line by line.** As in lesson 02: undo the forward lines from the last to the first, each by rule 1, and collect the uses. First count them.
# $A$ is used in $x'$, $s'$, $V$ and $S'$; $b$ in $\mathrm{label}'$ and $r$; $S$ in $U_h$, $r$ and $V$; $s$ in $b$ and $r$; $x$ in $x'$ and $\mathrm{label}'$; $Q_h$ in $U_h$ and $b$.
#
# *Why $dS$ may be taken symmetric.* $S$ is symmetric in every layer, so it can only move along symmetric $vS$. For these $\langle Y, vS \rangle = \langle Y^\top, vS \rangle$, so
# $\langle Y, vS \rangle = \langle \mathrm{sym}(Y), vS \rangle$ with $\mathrm{sym}(Y) = \frac{1}{2} (Y + Y^\top)$. Whatever gradient $Y$ comes out, $\mathrm{sym}(Y)$ describes the same changes of the loss. We hand down $\mathrm{sym}(Y)$
# and may then rely on $dS'^\top = dS'$.
#
# *Undo (5b.5).* $S' = V A^\top$ is (5.5) with $V$ for $X$ and $A$ for $T$, so $dV = dS' A$ and $dA \mathrel{+}= dS'^\top V = dS' V$. $V = A S$ gives $dA \mathrel{+}= dV\, S^\top = dS' A S = dS' V$, the same
# once more, and $dS \mathrel{+}= A^\top dV = A^\top dS' A$. *Undo (5b.4).* $s' = A r$ gives $dA \mathrel{+}= ds'\, r^\top$ and $dr = A^\top ds'$. *Undo (5b.3).* $x' = A x$ gives $dA \mathrel{+}= dx'\, x^\top$. Now $A$ is complete, four uses in three terms:
#
# $$ dA = 2\, dS'\, V + ds'\, r^\top + dx'\, x^\top \tag{5b.6} $$
#
# $r = s + S b$ hands $dr$ to $s$ as it is, gives $dS \mathrel{+}= dr\, b^\top$, and $db \mathrel{+}= S^\top dr = S\, dr$. The label's line $\mathrm{label}' = \mathrm{label} + b^\top x$ is a number: $db \mathrel{+}= d\mathrm{label}\; x$,
# $dx \mathrel{+}= d\mathrm{label}\; b$, and $d\mathrm{label}$ goes down unchanged, since every layer adds to the label; by (2.14) and (2.15) it is $-d\mathrm{prediction}$. So
#
# $$ dr = A^\top ds', \qquad db = S\, dr + d\mathrm{label}\; x \tag{5b.7} $$
#
# *Undo (5b.1).* $A = I + \frac{1}{n} \sum_h P_h U_h$ gives $dU_h = \frac{1}{n} P_h^\top dA$ and $dP_h = \frac{1}{n} dA\, U_h^\top$, to be summed over the prompts. $U_h = S Q_h$ gives $dS \mathrel{+}= dU_h Q_h^\top$ and
# $dQ_h \mathrel{+}= S^\top dU_h = S\, dU_h$. That was the last use of $S$; the term from $V$ is symmetric already:
#
# $$ dS = A^\top dS' A + \mathrm{sym}\Big( dr\, b^\top + \sum_h dU_h Q_h^\top \Big) \tag{5b.8} $$
#
# *Undo (5b.2).* In indices $b_a = \frac{1}{n} \sum_h \sum_c Q_{h,ca}\, s_c$. So $s_c$ gets $\frac{1}{n} \sum_h \sum_a Q_{h,ca}\, db_a$, and $Q_{h,ca}$ gets $\frac{1}{n}\, s_c\, db_a$. With the other uses of $s$ and $Q_h$, and the two of $x$:
#
# $$ ds = dr + \frac{1}{n} \sum_h Q_h\, db \tag{5b.9} $$
# $$ dx = A^\top dx' + d\mathrm{label}\; b \tag{5b.10} $$
# $$ dU_h = \frac{1}{n} P_h^\top dA, \qquad dP_h = \frac{1}{n} \sum_b dA\, U_h^\top \tag{5b.11} $$
# $$ dQ_h = \sum_b \Big( S\, dU_h + \frac{1}{n}\, s\, db^\top \Big) \tag{5b.12} $$
#
# (In the sums $\sum_b$ the letter counts prompts.) At the top $dS' = 0$, $ds' = 0$, $dx' = 0$. Then $dA = 0$ and $dP = 0$ in the last layer: the dead block of lesson 02 once more. With one layer
# below it $ds'$ and $dx'$ are there and $dS'$ is still zero: the factor 2 matters from three layers on.
#
# > **Where people slip**
# > - *One of the two uses in $A S A^\top$.* Right for one and two layers, wrong for three (exercise 05b.2).
# > - *The factor 2 without the symmetry.* $2\, dS' V$ is right only if $dS'$ was symmetrized in the layer above.
# > - *$b$ in $r$.* The label's line is not the only reader of $b$.
# > - *The same uniform number for the candidate and for its test* (below). What is kept then depends on what was drawn.
#
# <details><summary><b>The random numbers themselves</b>, from additions, products and roots (needed for section 4's last cell only)</summary>
#
# What does it take to draw $N(0, 1)$ and $\chi$ with operations that every computer rounds alike? For independent $N(0, 1)$ numbers $u_1, u_2$ the density is
# $e^{-(u_1^2 + u_2^2)/2} / 2\pi$, and $du_1\, du_2 = \frac{1}{2}\, d(\rho^2)\, d\varphi$. So the angle is uniform and $P(\rho^2 > t) = e^{-t/2}$, which $-2 \log u$ has for uniform $u$ (Box and Muller):
#
# $$ u_1 = \rho \cos\varphi, \quad u_2 = \rho \sin\varphi, \qquad \rho^2 = -2 \log u, \quad \varphi = 2\pi u' \tag{5b.13} $$
#
# Sine and cosine have their series. For the logarithm write $u = 2^e m$ with $\sqrt{1/2} \le m < \sqrt 2$. With $k = (m-1)/(m+1)$ we have $m = (1+k)/(1-k)$:
#
# $$ \log m = \log(1 + k) - \log(1 - k) = 2 \Big( k + \frac{k^3}{3} + \frac{k^5}{5} + \ldots \Big), \qquad |k| < 0.172 \tag{5b.14} $$
#
# Ten terms leave out less than $3 \cdot 10^{-17}$ of it. And $\chi^2(m)$ is twice a Gamma$(m/2)$ number, with density $\propto t^{a-1} e^{-t}$, $a = m/2$. Put
# $t = \delta v$, $v = (1 + \gamma u)^3$. As $dt/du \propto v^{2/3}$, the density of $u$ is $\propto v^{a - 1/3} e^{-\delta v}$, and with $\delta = a - \frac{1}{3}$ that is
# $\propto e^{g(u)}$, $g = \delta\,(\log v - v + 1)$. Choose $\gamma = 1/\sqrt{9 \delta}$ and compare with $-u^2/2$: with $\tau = \gamma u$
#
# $$ g(u) + \frac{u^2}{2} = \delta f(\tau), \quad f(\tau) = 3 \log(1 + \tau) - (1 + \tau)^3 + 1 + \frac{9 \tau^2}{2}, \quad f(0) = 0, \quad f'(\tau) = \frac{-3\tau^3}{1 + \tau} \tag{5b.15} $$
#
# so $f$ rises before 0 and falls after it: $e^{g} \le e^{-u^2/2}$. Draw $u \sim N(0, 1)$, keep it with probability $e^{g(u) + u^2/2}$, that is if
# $\log u' < g(u) + u^2/2$ for a uniform $u'$, and take $\delta v$. The law is exact (Marsaglia and Tsang, for $a \ge 1$; a smaller $a$ takes Gamma$(a+1)$ times $u'^{1/a}$).
#
# </details>

# %% [markdown]
# ## 3. On paper
#
# **Two layers with blocks.** Examples $(1, 1)$ and $(-1, -1)$, query 1, answer 1, so $n = 2$ and $S = s = 2$. Numbers $p_0 = q_0 = 1$ and $q_1 = -1$:
#
# $$ U = 2, \quad A = 1 + \tfrac{1}{2} \cdot 2 = 2, \quad b = \tfrac{1}{2} \cdot 2 = 1, \quad x' = 2, \quad \mathrm{label}' = 1, \quad r = 2 + 2 = 4, \quad s' = 8, \qquad
# b_1 = \tfrac{1}{2} (-1) \cdot 8 = -4, \quad \mathrm{label}'' = 1 - 4 \cdot 2 = -7 $$
#
# The prediction is 7, the error 6, $d\mathrm{label} = -12$. Backward through layer 1, where $dS'' = ds'' = dx'' = 0$:
#
# $$ db_1 = -12 \cdot 2 = -24, \quad dq_1 = \tfrac{1}{2} \cdot 8 \cdot (-24) = -96, \quad ds' = \tfrac{1}{2} (-1)(-24) = 12, \quad dx' = -12 \cdot (-4) = 48 $$
#
# and layer 0, with $dS' = 0$:
#
# $$ dA = 12 \cdot 4 + 48 \cdot 1 = 96, \quad dr = 2 \cdot 12 = 24, \quad db = 2 \cdot 24 - 12 \cdot 1 = 36, \quad dU = \tfrac{1}{2} \cdot 96 = 48 $$
# $$ dp_0 = \tfrac{1}{2} \cdot 96 \cdot 2 = 96, \qquad dq_0 = 2 \cdot 48 + \tfrac{1}{2} \cdot 2 \cdot 36 = 132 $$
#
# School calculus agrees: the label is $q_0 + q_1 (1 + p_0 q_0)^2 (1 + q_0)$. By machine:

# %%
blocks = np.array([1.0, 1, 0, -1]).reshape(2, 1, 2, 1, 1)  # p0, q0, p1, q1
Z_two, y_two = np.array([[[1.0, 1], [-1, -1], [1, 0]]]), np.array([1.0])
_, grad = la.loss_and_grad(blocks, Z_two, y_two, backend="numpy")
print("dp0, dq0, dp1, dq1 =", grad.ravel().astype(int).tolist())

# %% [markdown]
# ## 4. Code it
#
# The blocks for a whole model with one head. It returns the loss's gradient and keeps nothing of size $n$.

# %%
def split_forward(params, S, s, x, n):
    """(5b.1) to (5b.5) for all layers -> the query's label (B,), and what backward needs."""
    tapes, label = [], np.zeros(len(x))
    for P, Q in params[:, 0]:
        U, b = S @ Q, s @ Q / n  # (5b.1), (5b.2)
        A = np.eye(len(P)) + P @ U / n  # (5b.1)
        r, V = s + times(S, b), A @ S  # (5b.4), (5b.5)
        tapes.append((S, s, x, U, A, b, r, V))
        label = label + (b * x).sum(axis=1)  # (5b.3)
        S, s, x = V @ A.mT, times(A, r), times(A, x)  # (5b.5), (5b.4), (5b.3)
    return label, tapes


def split_gradient(params, S, s, x, y, n, mistake=None):
    label, tapes = split_forward(params, S, s, x, n)
    dlabel = 2 * (label + y)[:, None] / len(y)  # minus dprediction; (B, 1)
    dS, ds, dx, grad = (np.zeros_like(array) for array in (S, s, x, params))
    for l in reversed(range(len(params))):
        above = dS, ds, dx, dlabel
        grad[l, 0], dS, ds, dx = split_backward(*above, *params[l, 0], *tapes[l], n, mistake)
    return grad


# %% [markdown]
# A line for each number. `mistake` spoils one of four places; section 5 needs it.

# %%
MISTAKES = ("one use of A in S'", "b in r forgotten", "Q in b forgotten", "dS not symmetrized")


def split_backward(dS_next, ds_next, dx_next, dlabel, P, Q, S, s, x, U, A, b, r, V, n, mistake):
    """(5b.6) to (5b.12) -> (dP, dQ), dS, ds, dx of one layer."""
    A_use, r_use, b_use, symmetric = (float(mistake != name) for name in MISTAKES)
    dA = (1 + A_use) * dS_next @ V + outer(ds_next, r) + outer(dx_next, x)  # (5b.6)
    dr = times(A.mT, ds_next)  # (5b.7)
    db = r_use * times(S, dr) + dlabel * x  # (5b.7)
    dU = P.T @ dA / n  # (5b.11)
    dP = (dA @ U.mT).sum(axis=0) / n  # (5b.11)
    dQ = (S @ dU + b_use * outer(s, db) / n).sum(axis=0)  # (5b.12)
    Y = outer(dr, b) + dU @ Q.T
    Y = (Y + Y.mT) / 2 if symmetric else Y
    dS = A.mT @ dS_next @ A + Y  # (5b.8)
    ds = dr + db @ Q.T / n  # (5b.9)
    dx = times(A.mT, dx_next) + dlabel * b  # (5b.10)
    return (dP, dQ), dS, ds, dx


# %%
setting1 = la.papers.maybe_all_you_need.SETTINGS["setting1"].task
Z1, y1 = setting1.sample(by_profile(200, 1000), np.random.default_rng(SEED))
model = la.init_params(np.random.default_rng(SEED), layers=3, d=5, std=0.3)
gap = lambda a, b: f"{np.abs(a - b).max() / np.abs(b).max():.0e}"


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
# processor's vector instructions do. Sums over the inner index stay inside one lane, so no lane knows of its neighbours.
#
# *Programs.* Written out, the forward and backward pass of three layers is one long function, and a compiler's time grows faster than its length. But
# it consists of a few kinds of small operations. So the library writes a *list* of operations, with the address of each operand, and compiles only
# the machine that runs a list. The moving picture of section 2 was such a list; here is that of three layers with $d = 5$, each line with its equation:

# %%
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
# In Numba a step is three loops, `i`, `j`, `lane`, with a sum inside: `total += a[i, m] * b[m, j]`. The number of terms is the length of a tuple, so the compiler
# knows it and unrolls the sum. Its `total` stays in registers, several lanes in each. A block holds 64 prompts: with fewer, each operation of the list
# costs more than its work, and with more, the numbers of a block fall out of the caches.
#
# *Chunks.* Threads take pieces of the batch and their sums are added. Rounded addition is not associative, $(a + b) + c \ne a + (b + c)$, so the last
# digits depend on the pieces. If there are as many pieces as threads, another computer gives other bits, and training lets such a
# difference grow. So the pieces are *fixed*: 256 prompts each, whatever the number of threads, each summed in a fixed order, and the sums of pieces
# added in their order. Threads decide only who computes a piece. Section 5 tests it.
#
# *Random numbers* go into lanes as well. Here are (5b.14) and (5b.15) as they stand; how many candidates are lost?

# %%
def log_by_series(u, terms=10):
    """(5b.14): frexp gives m in [1/2, 1) and e; a small m is doubled, and e one less."""
    m, e = np.frexp(u)
    m, e = np.where(m < 0.5**0.5, 2 * m, m), e - (m < 0.5**0.5)
    k = (m - 1) / (m + 1)
    return e * np.log(2) + 2 * sum(k ** (2 * i + 1) / (2 * i + 1) for i in range(terms))


def gamma_candidates(a, count, rng):
    """(5b.15): candidates delta v and which of them are kept."""
    delta = a - 1 / 3
    u, uniform = rng.standard_normal(count), rng.random(count)
    v = (1 + u / np.sqrt(9 * delta)) ** 3
    bound = u**2 / 2 + delta * (np.log(np.where(v > 0, v, 1)) - v + 1)
    return delta * v, (v > 0) & (np.log(uniform) < bound)


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
ours, defined = random.lane_states(SEED, 0), random_numpy.lane_states(SEED, 0)
numbers_in_lanes, gammas = np.empty((2000, 64)), np.empty((5, 64))
halves = np.arange(10, 7.5, -0.5)  # half the degrees of freedom
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
# **The gradient.** The complex step, (2.16) of lesson 02, knows nothing of (5b.6) to (5b.12). We run models of one to four layers, and plant four
# mistakes: a factor 2, the symmetry, $b$ in $r$, and $Q$ in $b$.

# %%
def slope_error(layers, mistake):
    """Relative error of <df, v> against the complex step."""
    rng = np.random.default_rng([SEED, layers])
    theta = la.init_params(rng, layers=layers, d=5, std=0.3)
    v, h = rng.standard_normal(theta.shape), 1e-30
    stepped = la.predict(theta + 1j * h * v, Z1[:20].astype(complex)) - y1[:20]
    slope = (stepped**2).mean().imag / h
    got = (split_gradient(theta, *parts(Z1[:20]), y1[:20], 20, mistake) * v).sum()
    return f"{abs(got - slope) / abs(slope):.0e}"


table(("mistake", "1 layer", "2 layers", "3 layers", "4 layers"),
      [(m or "none", *(slope_error(L, m) for L in (1, 2, 3, 4))) for m in (None, *MISTAKES)])

# %% [markdown]
# Each mistake has a smallest depth at which it shows. An audit at one depth would have passed some; the library's audits a program's rows one by one instead.
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
one_piece, two_pieces = cut_by_threads(1), cut_by_threads(2)
reveal("05b.p2", int((one_piece == two_pieces).sum()), "25 of them are the dead block's zeros. "
       "In fixed chunks: all 150, on any number of threads.")

# %% [markdown]
# ## 6. Experiment
#
# One question: where does the time go? One knob: the batch $B$, at the paper's $n = 20$, $d = 5$, three layers, on one thread. Four ways of section 4, each from the tokens,
# in microseconds for a prompt. If a way costs the same for each prompt its line is flat; what falls is the price of starting an operation, shared by more prompts.

# %%
la.kernels.set_threads(1)
batches, seeds = 4 ** np.arange(0, by_profile(4, 6)), by_profile(2, 5, 9)
NAMES = tuple(ways)


def measure(B, seed):
    """Seconds for a prompt, by each of the four ways."""
    Z, y = setting1.sample(B, np.random.default_rng([SEED, seed]))
    work = (lambda: la.loss_and_grad(model, Z, y, backend="numpy"),
            lambda: split_gradient(model, *parts(Z), y, 20),
            lambda: machine_gradient(model, *parts(Z), y, 20),
            lambda: la.loss_and_grad(model, Z, y))
    return [pictures.seconds(run) / B for run in work]


measured = np.zeros((seeds, len(batches), 4))
with bar(seeds * len(batches), "measurements", unit="run") as shown:
    for seed in range(seeds):
        for i, B in enumerate(batches):
            measured[seed, i] = measure(int(B), seed)
            shown.update()

# %%
quartiles = 1e6 * np.quantile(measured, [0.25, 0.5, 0.75], axis=0)
show(pictures.against_batch(batches, quartiles, NAMES, seeds),
     "Microseconds for a prompt against the batch, logarithmic. All lines fall at first; "
     "tokens and blocks level off, the machine in NumPy falls longer and the compiled one "
     "is lowest at large batches.")
at_most = 1e6 * np.median(measured, axis=0)[-1]
reveal("05b.p1", round(at_most[0] / at_most[3], 1),
       f"On one thread, at {batches[-1]} prompts; the machine in NumPy: "
       f"{at_most[0] / at_most[2]:.1f} times.")
la.kernels.set_threads(None)

# %% [markdown]
# The tokens and the blocks in NumPy pay for each small product of each prompt, at any batch. The machine in NumPy pays for each operation of the list once, whatever the batch, so its price for a prompt falls
# until the arithmetic itself is seen. The compiled machine starts an operation for next to nothing. It is the same list, read by another reader.
#
# ## 7. The paper and us
#
# The paper reports no times, and its released code works on tokens. What can be compared are facts of the model.

# %%
first = la.programs.passes(3, 1, 5, False, 20)
writes_P3 = [step for step in first.gradient.steps if step.c.name == "dP3"]
facts([
    ("trained numbers for 3 layers and d = 5", "released code", 150, model.size),
    ("entries without gradient, in the program's result", "released code", 25,
     int((la.loss_and_grad(model, Z1, y1)[1] == 0).sum())),
    ("operations that write the last P'", "follows from (5b.6)", 0, len(writes_P3)),
])

# %% [markdown]
# ## 8. Exercises
#
# Four cards. Write your answer in the cell under a card, run it, then the check.

# %% [markdown]
# ### Exercise 05b.1 (derive, level 2, 15 min)
#
# Section 3 once more, with $q_1 = -2$ in place of $-1$. Go forward and backward by (5b.1) to (5b.12), and check with school calculus. *Done:* three integers, $dp_0$, $dq_0$, $dq_1$.
#
# <details><summary>Hint 1</summary>The first layer forward is as it was. The label is now -15.</details>
# <details><summary>Hint 2</summary>The error is 14, so d label is -28.</details>

# %%
### BEGIN SOLUTION
three_slopes = [448, 644, -224]
### END SOLUTION
check("05b.1", three_slopes)

# %% [markdown]
# ### Exercise 05b.2 (find the bug, level 3, 10 min)
#
# This function gives the right gradient for one and two layers and a wrong one for three. It takes what comes from the layer above,
# $dS'$ (symmetric), $ds'$, $dx'$ and $d\mathrm{label}$, and returns $dP$ and $dQ$. Repair it. *Done:* right at sizes that you do not know.
#
# <details><summary>Hint 1</summary>Which of the inputs is zero until there is a third layer?</details>
# <details><summary>Hint 2</summary>S' = A S Aᵀ uses A twice.</details>

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
check("05b.2", repaired_blocks)

# %% [markdown]
# ### Exercise 05b.3 (code, level 2, 10 min)
#
# Write the machine's most frequent operation: the products of `a` (rows, inner, prompts) and `b` (inner, columns, prompts), prompt by prompt, stored in lanes. *Done:* right where
# all four sizes differ.
#
# <details><summary>Hint 1</summary>Write it in indices, the prompt last, and give the indices to np.einsum.</details>
# <details><summary>Hint 2</summary>Or loop over the inner index: a[:, m, None] has the shape (rows, 1, prompts).</details>

# %%
def product_in_lanes(a, b):
    ### BEGIN SOLUTION
    return np.einsum("imt,mjt->ijt", a, b)
    ### END SOLUTION


# %%
check("05b.3", product_in_lanes)

# %% [markdown]
# ### Exercise 05b.4 (experiment, level 2, 10 min)
#
# How many terms of (5b.14) give every logarithm of a uniform number to ten digits? Measure it with `log_by_series`, and say first what the largest $|k|$ promises. *Done:* one integer.
#
# <details><summary>Hint 1</summary>Each further term wins a factor of about 0.172 squared: count how many it takes to reach 1e-10.</details>

# %%
def count_terms():
    ### BEGIN SOLUTION
    u = np.random.default_rng(SEED).random(100_000)
    worst = lambda terms: np.abs(log_by_series(u, terms) / np.log(u) - 1).max()
    return next(terms for terms in range(1, 12) if worst(terms) < 1e-10)
    ### END SOLUTION


### BEGIN SOLUTION
counted_terms = count_terms()
### END SOLUTION
check("05b.4", counted_terms)

# %% [markdown]
# ## 9. Exit ticket
#
# Write the letters in quotes.
#
# **t1.** Why does the kernel give the same bits on one thread and on eight?
#
# - (a) it computes in double precision
# - (b) addition is commutative
# - (c) the threads wait for each other
# - (d) the pieces and the order of their sums do not depend on the threads
#
# **t2.** Why may $dA$ hold $2\, dS' V$ in place of two different terms?
#
# - (a) $dS'$ and $S$ are symmetric
# - (b) $A$ is symmetric
# - (c) both terms are small
# - (d) the loss is a square
#
# **t3.** Why is the prompt the last axis in the kernel?
#
# - (a) the memory is smaller
# - (b) one instruction then does the same step for many prompts
# - (c) prompts may then depend on each other
# - (d) rounding is smaller

# %%
### BEGIN SOLUTION
t1 = "d"
t2 = "a"
t3 = "b"
### END SOLUTION
check("05b.t1", t1)
check("05b.t2", t2)
check("05b.t3", t3)

# %% [markdown]
# **Further reading**
#
# - Goldberg, *What every computer scientist should know about floating-point arithmetic*, 1991. Why the order of a sum is part of its result.
# - Box and Muller, *A note on the generation of random normal deviates*, 1958; Marsaglia and Tsang, *A simple method for generating gamma variables*, 2000;
#   Blackman and Vigna, *Scrambled linear pseudorandom number generators*, 2021. Behind (5b.13), (5b.15) and the bits.
# - `linattn_np/kernels/steps.py`: the program of this lesson, with several heads and second derivatives.
