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
# # Lesson 19. Newton's method
#
# **Claim.** Layers with weights typed in make Newton's iteration: least squares in $T + 3$ layers, two further layers for each doubling of the condition number, where descent needs twice as many.
#
# | read | code | run | level | needs | seed |
# |---|---|---|---|---|---|
# | 40 min | 60 min | 1 min | 3 of 5 | 01, 02, 05 | 19 |
#
# **Misconception.** Attention adds up tokens, so what it can do is descent.
#
# **Afterwards you can say.** One head multiplies three blocks of its tokens, enough for X A X, so a layer can square what is left of the error, and then depth grows as the logarithm of the condition number. (t2)
#
# <details><summary>Symbols of this lesson</summary>
#
# | symbol | meaning |
# |---|---|
# | $A$, $X_t$ (here) | the matrix to be inverted, and its inverse after $t$ steps; in (19.10) to (19.12) $A$ has the examples as rows |
# | $H$, $V$, $K$, $Q$ (here) | tokens as columns; a head's value, key and query matrices |
# | $e_a$ (here) | the matrix that reads block $a$ of the tokens |
# | $R$ (here) | $\sum_i a_i a_i^\top$ over the examples |
# | $\eta$ (here) | step length of a layer |
# | $\epsilon$ (here) | size of the start $X_0$; in (19.14) and (19.15) the error that is left |
# | $\kappa$ (here) | condition number of $R$ |
# | $r_t$ (here) | norm of the residual after $t$ steps |
# | $\mu$ (here) | weight of the penalty |
# | $p_i$, $m$ (here) | probability of the wrong label; a power |
# | $\lambda$ (here) | Newton's decrement |
# | $\lambda_{max}$ (here) | largest eigenvalue of $R$ |
#
# </details>
#
# You will type in matrices of zeros and ones, watch layers invert a matrix, and count layers. Then you compare with layers that were trained, which do better than the iteration, and find out why.

# %%
import numpy as np

import linattn_np as la
from linattn_np.experiments.papers import newtons_method as paper
from linattn_np.experiments.papers.newtons_method import blocks, constructions, depth
from linattn_np.experiments.papers.newtons_method import figure as at_scale
from linattn_np.experiments.papers.newtons_method import logistic
from linattn_np.teaching import by_profile, check, knob, loaded, moving, paper_and_us, predict
from linattn_np.teaching import reveal, show, symbols, table, versions
from linattn_np.teaching.pictures import lesson_19 as pictures

SEED = 19
versions(SEED)
symbols("n d w x y Z P Q M")

# %% [markdown]
# ## 1. Predict
#
# Least squares on 20 examples of 5 covariates, the matrix $R = \sum a_i a_i^\top$ of condition number 100. Descent at its best constant step, one layer a step, has the answer to eight digits after some 900 layers. Two guesses: after how many layers has Newton's iteration? And how many more when the condition number is doubled?

# %%
### BEGIN SOLUTION
layers_guess = 100
more_guess = 10
### END SOLUTION
predict("19.p1", "steps of Newton's iteration to 1e-8 at condition number 100", layers_guess)
predict("19.p2", "further steps when the condition number is doubled", more_guess)

# %% [markdown]
# What a step leaves of each eigenvalue, for both. Turn the number of steps.

# %%
moving(pictures.draw_residual,
       "What is left of each eigenvalue: near 1 on the left, near 0 on the right; Newton's "
       "curve moves to the left faster and faster.",
       steps=knob((0, 1, 2, 3, 4, 6, 8, 10), 2, "steps"))

# %% [markdown]
# At first Newton's iteration is the slower one. Then each step does as much as all steps before it.

# %% [markdown]
# ## 2. Derive
#
# **Scalars.** To find $1/a$ without dividing, take $x' = x (2 - a x)$. With $r = 1 - a x$ the new residual is $1 - a x (2 - a x) = (1 - a x)^2$. It is squared. For matrices the order of factors matters, and
#
# $$ X_{t+1} = X_t (2I - A X_t) \tag{19.1} $$
# $$ I - X_{t+1} A = (I - X_t A)^2 \tag{19.2} $$
#
# Put (19.1) into the left side: $I - 2 X_t A + X_t A X_t A$. No commuting was used.
#
# **What a layer can do.** In columns, plain sums, and without an average, a layer of linear attention is
#
# $$ H' = H + \sum_h V_h H M\, (K_h H M)^\top\, Q_h H \tag{19.3} $$
#
# which is (2.4) with $P = V$ and the score matrix $K^\top Q$. Let the rows of $H$ be blocks, and $e_a$ read block $a$. A head with $V = c\, e_b^\top e_a$, $K = e_k$, $Q = e_q$ does
#
# $$ b \mathrel{+}= c\, (a M)(k M)^\top q \tag{19.4} $$
#
# a product of three blocks, the middle one transposed. That is all we need.
#
# **A symmetric matrix.** Blocks $X, A, I$, each $d \times d$; tokens are columns, $d$ of them, all read. Two heads:
#
# $$ X \mathrel{+}= -X A^\top X, \qquad X \mathrel{+}= X I^\top I \qquad \Rightarrow \qquad X' = 2X - X A X \tag{19.5} $$
#
# **Any matrix** needs the transpose first: a block $Y$, and two layers of two heads each:
#
# $$ Y \mathrel{+}= I A^\top I - Y I^\top I = A^\top - Y, \qquad \text{then} \quad X \mathrel{+}= -X Y^\top X + X I^\top I \tag{19.6} $$
#
# **Least squares.** Tokens are now the examples and the query. Blocks: data $a_i$, unit $[I, 0]$, $X$, $R$, and three rows for label, scratch and output. One layer makes $R$ and $X_0$, then one layer a step, and two read the answer:
#
# $$ R = \textstyle\sum a_i a_i^\top, \;\; X_0 = \epsilon R, \qquad X \mathrel{+}= X - X R X, \qquad \text{scratch} = y^\top A X_T, \quad \text{output} = \text{scratch} \cdot a_q \tag{19.7} $$
#
# That is $T + 3$ layers of width $4d + 3$, as the paper's Theorem 4.2 says. For $\epsilon = 1 / \lambda_{max}^2$ all eigenvalues of $I - X_0 R$ lie in $[0, 1)$.
#
# **Descent**, to compare with, has tokens $(a_i; y_i)$ and one head, as in lesson 01:
#
# $$ y_j \mathrel{+}= -\eta \sum_i y_i\, a_i^\top a_j \tag{19.8} $$
#
# > **Where people slip**
# > - *The transpose.* A head transposes its key. With $K = e_A$ you get $X A^\top X$.
# > - *Sums, not means.* With $1/N$ in front the weights would have to know $N$.
# > - *The start.* If $\epsilon > 2 / \lambda_{max}^2$, a residual is larger than 1, and is squared as well.

# %%
rng = np.random.default_rng(SEED)
A_sym = np.diag([1.0, 0.5, 0.1])
starts = {"1 / max^2": 1.0, "1.9 / max^2": 1.9, "2.1 / max^2": 2.1}
rows = []
for name, eps in starts.items():
    steps = constructions.recursion(A_sym, eps * A_sym, 7)
    left = [np.linalg.norm(np.eye(3) - X @ A_sym, 2) for X in steps]
    rows.append((name, left[0], left[2], left[4], left[7]))
table(("X_0 / A", "start", "2 steps", "4 steps", "7 steps"), rows, "Norm of the residual")

# %% [markdown]
# **Higher orders.** A sum of more terms leaves a higher power:
#
# $$ X_{t+1} = X_t \sum_{m < p} (I - A X_t)^m, \qquad I - X_{t+1} A = (I - X_t A)^p \tag{19.9} $$
#
# **Beyond least squares.** Newton's method on a loss inverts a Hessian at each step. Logistic loss, $y_i = \pm 1$ and $p_i = 1 / (1 + e^{y_i a_i^\top w})$:
#
# $$ f = \tfrac{1}{n} \textstyle\sum \log(1 + e^{-y_i a_i^\top w}) + \tfrac{\mu}{2} |w|^2 \tag{19.10} $$
# $$ \nabla f = -\tfrac{1}{n} A^\top (p \circ y) + \mu w \tag{19.11} $$
# $$ \nabla^2 f = \tfrac{1}{n} A^\top \mathrm{diag}(p (1 - p)) A + \mu I \tag{19.12} $$
# $$ w' = w - \frac{2 \sqrt{\mu}}{2 \sqrt{\mu} + \lambda}\, (\nabla^2 f)^{-1} \nabla f, \qquad \lambda^2 = \nabla f^\top (\nabla^2 f)^{-1} \nabla f \tag{19.13} $$
#
# Our layers compute the inverse in (19.13). That ReLU layers can approximate $p$ and the step length is the paper's other half; its width grows like $1/\epsilon^8$, and we do not rebuild it.
#
# **How deep.** At $X_0 = R / \lambda_{max}^2$ the largest residual is $r_0 = 1 - \kappa^{-2}$, and $(1 - \kappa^{-2})^{2^t} \approx e^{-2^t / \kappa^2}$. So
#
# $$ r_t = r_0^{2^t} \le \epsilon \quad \text{at} \quad t = 2 \log_2 \kappa + \log_2 \log(1/\epsilon) \tag{19.14} $$
#
# Descent at its best step shrinks by $(\kappa - 1)/(\kappa + 1)$ each time:
#
# $$ t = \tfrac{1}{2} \kappa \log(1/\epsilon) \tag{19.15} $$
#
# **And trained layers?** A layer that moves covariates by $w_{xx}$ and labels by $w_{yx}$ multiplies the examples' labels by $1 + w_{yx} R_l$, where $R_{l+1} = (I + w_{xx} R_l)^2 R_l$ has three times the degree in $R$. The residual after $L$ layers is a polynomial in $R$ of degree
#
# $$ 1 + 3 + \ldots + 3^{L-1} = \tfrac{1}{2} (3^L - 1) = 1, 4, 13, \ldots \tag{19.16} $$
#
# Order $p$ from $X_0 = c I$ has degree $p^t$ after $t$ steps. By degrees, $L$ layers lie between $L - 1$ steps of order 3 and of order 4.

# %% [markdown]
# ## 3. On paper
#
# $A = \begin{pmatrix} 2 & 1 \\ 1 & 1 \end{pmatrix}$ from $X_0 = I$. Then $X_1 = 2I - A = \begin{pmatrix} 0 & -1 \\ -1 & 1 \end{pmatrix}$. Check (19.2): $I - X_0 A = \begin{pmatrix} -1 & -1 \\ -1 & 0 \end{pmatrix}$, squared $\begin{pmatrix} 2 & 1 \\ 1 & 1 \end{pmatrix}$, and $I - X_1 A = I - \begin{pmatrix} -1 & -1 \\ -1 & 0 \end{pmatrix}$, the same. Its norm is above 1: this start is too large, and the iteration would run away. Least squares with one covariate: $a = 1, 2$, $y = 3, 6$, query 5. $R = 5$, $X_0 = 5/25 = 1/5$ is the inverse at once, and the answer is $5 \cdot \frac{1}{5} \cdot 15 = 15$.

# %%
A_paper = np.array([[2.0, 1], [1, 1]])
Z_paper = np.concatenate([np.eye(2), A_paper, np.eye(2)]).T[None]  # tokens as rows
out = blocks.run(Z_paper, constructions.newton_layers(2, symmetric=True))
print("X_1", out[0].T[:2].astype(int).tolist())
print("answer", paper.least_squares([[1], [2]], [3, 6], [5], steps=0))

# %% [markdown]
# ## 4. Code it
#
# Loops first: one head, entry by entry.

# %%
def head_loops(H, V, K, Q, m):
    """(19.3), one head: H (w, N) in columns, m (N,) who is read."""
    out = H.copy()
    for j in range(H.shape[1]):  # the reader
        for i in range(H.shape[1]):  # the read
            score = m[i] * (K @ H[:, i]) @ (Q @ H[:, j])
            out[:, j] += score * (V @ H[:, i])
    return out


# %% [markdown]
# Then the matrices of (19.5), typed in, and the library's.

# %%
def typed_in(d):
    """P and Q of both heads of (19.5), each (2, 3d, 3d)."""
    I, P, Q = np.eye(d), np.zeros((2, 3 * d, 3 * d)), np.zeros((2, 3 * d, 3 * d))
    x, a, unit = slice(0, d), slice(d, 2 * d), slice(2 * d, 3 * d)
    P[0, x, x], Q[0, a, x] = -I, I  # X += -X A^T X
    P[1, x, x], Q[1, unit, unit] = I, I  # X += X I^T I
    return P, Q


A = rng.standard_normal((4, 4))
A = A + A.T
X0 = A / np.linalg.norm(A, 2) ** 2
Z = np.concatenate([X0, A, np.eye(4)]).T[None]
attention = la.general_attention.GeneralAttention(np.ones(4), c=1.0, skip=False)
for _ in range(6):
    Z, _ = attention.forward(Z, *typed_in(4))
print("typed in and library", np.abs(Z[0, :, :4].T - paper.invert(A, 6)).max() < 1e-12)
print("library and recursion", np.abs(paper.invert(A, 6)
                                      - constructions.recursion(A, X0, 6)[-1]).max() < 1e-12)
V, K, Q = rng.standard_normal((3, 5, 5))
H, m = rng.standard_normal((5, 7)), np.arange(7.0) < 6
whole = H + V @ (H * m) @ (K @ (H * m)).T @ (Q @ H)
print("loops and matrices", np.abs(head_loops(H, V, K, Q, m) - whole).max() < 1e-12)

# %% [markdown]
# ## 5. Audit it
#
# Nothing is learned in the layers; what is derived by hand here is the gradient of logistic loss.

# %%
problem = logistic.draw_problem(rng)
theta = {"w": rng.standard_normal(5)}
report = la.audit.audit_gradient(
    lambda theta: logistic.loss(problem, theta["w"]),
    lambda theta: {"w": logistic.gradient(problem, theta["w"])}, theta, title="logistic loss")
print(report.verdict)

# %% [markdown]
# Now a mistake: $1 - p$ in the place of $p$.

# %%
def wrong_gradient(theta):
    margin = problem.y * (problem.A @ theta["w"])
    p = 1 / (1 + np.exp(-margin))
    return {"w": -problem.A.T @ (p * problem.y) / 26 + problem.mu * theta["w"]}


wrong = la.audit.audit_gradient(lambda theta: logistic.loss(problem, theta["w"]),
                                wrong_gradient, theta, title="1 - p")
print(wrong.verdict, "first at", wrong.first_wrong.quantity)

# %% [markdown]
# ## 6. Experiment
#
# **One question.** How does depth grow with the condition number? **One knob**: $\kappa$ of $R$. All answers come from layers; the errors are against least squares by LAPACK.

# %%
KAPPAS, SEEDS = by_profile((10.0, 40.0), (10.0, 20.0, 40.0, 80.0)), by_profile(1, 3)
found, rows = {}, []
for kappa in KAPPAS:
    found[kappa] = depth.errors(kappa, int(2 * np.log2(kappa)) + 9, int(11 * kappa), SEEDS)
    needed = {name: np.median([depth.depth_of(path) for path in paths])
              for name, paths in found[kappa].items()}
    said = 2 * np.log2(kappa) + np.log2(np.log(1e8)), kappa / 2 * np.log(1e8)
    rows.append((kappa, needed["Newton"], said[0], needed["descent"], said[1]))
table(("kappa", "Newton", "by (19.14)", "descent", "by (19.15)"), rows,
      f"Steps to an error of 1e-8, median of {SEEDS} seeds")
few = {k: {name: np.median(paths, axis=0) for name, paths in found[k].items()}
       for k in (KAPPAS[0], KAPPAS[-1])}
show(pictures.draw_errors(few),
     "Error against steps on logarithmic axes: Newton's curves stay level and then fall like a "
     "stone, descent's fall steadily and much later.")

# %%
at_100 = depth.errors(100.0, 22, 1, 1)["Newton"][0]
reveal("19.p1", depth.depth_of(at_100), "2 log2(100) is 13.3; the rest is the squaring.")
more = (rows[-1][1] - rows[0][1]) / np.log2(KAPPAS[-1] / KAPPAS[0])
reveal("19.p2", more, "Two: the residual is 1 - 1/kappa^2, and a step squares it.")

# %% [markdown]
# **A control.** If it is the squaring that does it, a step of higher order must need fewer steps by the ratio of logarithms, and a step that is not squaring must lose the logarithm. Order 3 and 4, and order 2 with the wrong factor, $X (1.5\, I - 0.5\, A X)$, whose residual no longer loses its first power:

# %%
def steps_of(step, kappa):
    """Steps until the residual of diag(1, 1/kappa) is below 1e-8, at most 5,000."""
    lam, x = np.array([1.0, 1 / kappa]), np.array([1.0, 1 / kappa])
    for t in range(5000):
        if np.abs(1 - lam * x).max() < 1e-8:
            return t
        x = step(lam, x)
    return np.nan


orders = {f"order {p}": lambda lam, x, p=p: x * sum((1 - lam * x) ** m for m in range(p))
          for p in (2, 3, 4)}
orders["half a step"] = lambda lam, x: x * (1.5 - 0.5 * lam * x)
table(("step", "kappa = 10", "40", "160", "further per doubling"),
      [(name, *(steps_of(f, k) for k in (10, 40, 160)),
        (steps_of(f, 160) - steps_of(f, 10)) / 4) for name, f in orders.items()],
      "Steps to 1e-8")

# %% [markdown]
# Orders 3 and 4 need $2 / \log_2 3 = 1.26$ and 1 for each doubling. Half a step still grows as a logarithm, since a small $x$ is multiplied by 1.5 each time, but it needs more, and its end is not squared: from a residual of 0.1 on it only halves. Two things are at work: a phase in which small eigenvalues are multiplied by a constant, which gives the logarithm of $\kappa$, and the squaring at the end, which gives $\log \log$ of the error.
#
# Damped Newton's method on logistic loss, each Hessian inverted by nine layers, beside descent:

# %%
path, decrement = logistic.damped_newton(problem, 6)
slow = logistic.descent(problem, 6)
lowest = logistic.loss(problem, path[-1])
table(("step", "f - min f, Newton", "decrement of f / (4 mu)", "f - min f, descent"),
      [(t, max(0.0, logistic.loss(problem, path[t]) - lowest),
        decrement[t] / (2 * np.sqrt(problem.mu)), logistic.loss(problem, slow[t]) - lowest)
       for t in range(6)])

# %% [markdown]
# ## 7. The paper and us

# %%
numbers = loaded("newtons_method")
figure, axes = la.plotting.new_figure(columns=2, rows=2, width=4.4, height=3.4)
at_scale.draw_errors(axes[0, 0], numbers)
at_scale.draw_depths(axes[0, 1], numbers)
at_scale.draw_orders(axes[1, 0], numbers["orders"])
at_scale.draw_logistic(axes[1, 1], numbers["logistic"])
show(figure, "Loaded, four panels: errors against steps; depth against condition number, "
             "descent in proportion and Newton level; trained layers far below iterations of "
             "order 2 and 3; logistic loss above its minimum for damped Newton and descent.")

# %%
paper_and_us([f"newtons_method_{name}" for name in (
    "symmetric", "general", "least_squares", "squared", "orders", "newton_depth",
    "descent_depth", "first_phase", "second_phase", "trained")])

# %% [markdown]
# **Where it does not come out.** The paper finds its trained layers between the second and the third order, $l$ layers beside $l$ steps. Ours, with four numbers a layer and no layer norm, lose much less. Part of it is the start: $X_0 = \alpha R$ begins with small eigenvalues tiny. Beside iterations that begin at the best $c I$ they come close to order 4, as the degrees in (19.16) say, and their numbers are free where an iteration's are fixed. The paper's models have a width of 64, four heads and clipped activations, are trained otherwise, and it compares outputs in a plot; so our row is in the spirit of theirs, no more. The logistic Transformer of its Figure 7 is not trained here.

# %% [markdown]
# ## 8. Exercises
#
# Six cards. Write your answer in the cell under a card, run it, then the check.

# %% [markdown]
# ### Exercise 19.1 (derive, level 1, 5 min)
#
# A residual is 1/2. After how many steps of Newton's iteration is it 1/65536? *Done:* one number.
#
# <details><summary>Hint 1</summary>65536 is a power of 2.</details>

# %%
### BEGIN SOLUTION
steps_to_there = 4
### END SOLUTION
check("19.1", steps_to_there)

# %% [markdown]
# ### Exercise 19.2 (code, level 2, 10 min)
#
# Write `one_head(H, V, K, Q, m)`, (19.3) with one head, without a loop. *Done:* right for sizes that you do not know.
#
# <details><summary>Hint 1</summary>H * m leaves out the columns that are not read.</details>
# <details><summary>Hint 2</summary>Who reads is not masked.</details>

# %%
def one_head(H, V, K, Q, m):
    ### BEGIN SOLUTION
    return H + V @ (H * m) @ (K @ (H * m)).T @ (Q @ H)
    ### END SOLUTION


# %%
check("19.2", one_head)

# %% [markdown]
# ### Exercise 19.3 (find the bug, level 2, 10 min)
#
# This step of order 3 is right for a start that commutes with $A$, and wrong for others. Find the mistake, and write the repaired function. *Done:* right for any $X$ and $A$.
#
# <details><summary>Hint 1</summary>Compare with (19.9), letter by letter.</details>
# <details><summary>Hint 2</summary>Multiply (19.9) from the right by A: which products appear?</details>

# %%
def buggy_order_three(X, A):
    gap = np.eye(len(A)) - X @ A
    return X @ (np.eye(len(A)) + gap + gap @ gap)


# %%
def order_three(X, A):
    ### BEGIN SOLUTION
    gap = np.eye(len(A)) - A @ X
    return X @ (np.eye(len(A)) + gap + gap @ gap)
    ### END SOLUTION


# %%
check("19.3", order_three)

# %% [markdown]
# ### Exercise 19.4 (derive, level 3, 10 min)
#
# Derive (19.16), and write it as a function of the number of layers. *Done:* the check passes.
#
# <details><summary>Hint 1</summary>What is the degree of R after l layers?</details>
# <details><summary>Hint 2</summary>Degrees add up where polynomials are multiplied.</details>

# %%
def degree(L):
    ### BEGIN SOLUTION
    return (3**L - 1) / 2
    ### END SOLUTION


# %%
check("19.4", degree)

# %% [markdown]
# ### Exercise 19.5 (code, level 2, 10 min)
#
# Write `logistic_gradient(A, y, w, mu)`, the gradient of (19.10). *Done:* the check passes.
#
# <details><summary>Hint 1</summary>The derivative of log(1 + exp(-m)) is -1 / (1 + exp(m)).</details>

# %%
def logistic_gradient(A, y, w, mu):
    ### BEGIN SOLUTION
    p = 1 / (1 + np.exp(y * (A @ w)))
    return -A.T @ (p * y) / len(y) + mu * w
    ### END SOLUTION


# %%
check("19.5", logistic_gradient)

# %% [markdown]
# ### Exercise 19.6 (experiment, level 2, 15 min)
#
# Measure how many further steps Newton's iteration needs for each doubling of the condition number, between 100 and 10,000. *Done:* within 15 percent.
#
# <details><summary>Hint 1</summary>steps_of with order 2, at both ends; how many doublings lie between?</details>

# %%
### BEGIN SOLUTION
newton = orders["order 2"]
per_doubling = (steps_of(newton, 10_000) - steps_of(newton, 100)) / np.log2(100)
### END SOLUTION
check("19.6", per_doubling)

# %% [markdown]
# ## 9. Exit ticket
#
# Write the letters in quotes.
#
# **t1.** What does one step of Newton's iteration do to the residual $I - XA$?
#
# - (a) it halves it
# - (b) it squares it
# - (c) it raises it to the power $2^t$
# - (d) it raises it to the power 3
#
# **t2.** The condition number of $R$ grows from 10 to 1000. Descent needs a hundred times as many layers. Newton's iteration, from $X_0 = \epsilon R$?
#
# - (a) a hundred times as many
# - (b) some 13 more
# - (c) the same number
# - (d) 2 more
#
# **t3.** Why do three trained layers lose less than three steps of order 3 from $X_0 = \alpha R$?
#
# - (a) they contain an exact inverse
# - (b) they have seen the prompts
# - (c) polynomials of higher degree, with free coefficients and a better start
# - (d) order 3 does not converge

# %%
### BEGIN SOLUTION
t1 = "b"
t2 = "b"
t3 = "c"
### END SOLUTION
check("19.t1", t1)
check("19.t2", t2)
check("19.t3", t3)

# %% [markdown]
# **Further reading**
#
# - Giannou et al., *How Well Can Transformers Emulate In-context Newton's Method?*, 2024. The paper of this lesson, read in its text; its matrices are derived here.
# - Schulz, *Iterative Berechnung der reziproken Matrix*, 1933. The iteration.
# - Nesterov, *Lectures on Convex Optimization*, 2018. Self-concordance and the two phases of damped Newton's method.
