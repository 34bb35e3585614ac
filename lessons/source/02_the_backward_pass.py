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
# # Lesson 02. The backward pass
#
# **Claim.** The exact gradient of a layer of linear attention is nine short lines, and every use of the tokens has a line of its own.
#
# | read | code | run | level | needs | seed |
# |---|---|---|---|---|---|
# | 35 min | 65 min | 1 min | 2 of 5 | 01 | 2 |
#
# **Misconception.** A variable has one gradient, wherever it is used.
#
# **Afterwards you can say.** The tokens are used in four places, as reader, as what is read, as value and by the residual, and their gradient is the sum of one term for each use. (t2)
#
# <details><summary>Symbols of this lesson</summary>
#
# | symbol | meaning |
# |---|---|
# | $F$ (here) | any number made of the layer's output |
# | $\theta$, $v$, $h$ (here) | all that may be moved; a direction; the length of an imaginary step |
# | $r_b$ (here) | what the query reads with weights near 0: the mean of $y_j x_j$ |
# | $m_j$, $m_{ij}$ | entries of the mask's diagonal; who may read whom |
# | $S$, $R$ (here) | a skip past attention and its matrix |
# | $\sigma$ (here) | size of random weights |
#
# </details>
#
# You will derive $dP$, $dQ$ and $dZ$ of one layer, with a pencil and three tokens first, then in general. You will code them twice, have them
# judged by a test that knows nothing of your derivation, find a sixth of all parameters dead, and see where the first step of training leads.

# %%
import numpy as np

import linattn_np as la
from linattn_np.progress import bar
from linattn_np.teaching import by_profile, check, facts, knob, moving, predict, reveal, show
from linattn_np.teaching import slider, symbols, table, versions
from linattn_np.teaching.pictures import lesson_02 as pictures

SEED = 2
versions(SEED)
symbols("B n N d D L H y Z P Q M A W V params dX")

# %% [markdown]
# ## 1. Predict
#
# A model with 3 layers and $d = 5$ has 150 trained numbers. Two guesses about their gradient, before anything is computed. The second: in a
# layer each token is used in four places, and so its gradient has four terms. One of them comes from the token as a *reader*, the $z_i$ in
# the score that token $i$ gives to token $j$. At the paper's initial weights, someone forgets that term.

# %%
### BEGIN SOLUTION
zeros_guess = 0
share_guess = 25
### END SOLUTION
predict("02.p1", "Of 150 entries of the gradient: how many are exactly zero", zeros_guess)
predict("02.p2", "Reader's term forgotten: percent by which the gradient changes", share_guess)

# %% [markdown]
# ## 2. Derive
#
# **What a gradient is.** $dX$ has the shape of $X$, and a small change $vX$ of $X$ changes the loss by
# $\langle dX, vX \rangle = \sum_{ij} dX_{ij}\, vX_{ij}$. Two rules are all we need.
#
# *Rule 1, a product.* In scalars, $c = x y$ gives $dx = dc\, y$ and $dy = x\, dc$. In indices, $C_{ik} = \sum_j X_{ij} Y_{jk}$ has
# $\partial C_{ik} / \partial X_{ij} = Y_{jk}$, so $dX_{ij} = \sum_k dC_{ik} Y_{jk}$. In matrices, for $C = XY$:
#
# $$ dX = dC\, Y^\top, \qquad dY = X^\top dC . $$
#
# *Rule 2, several uses.* If $X$ is used in several places, change it in one of them at a time. The changes of the loss add up, so $dX$ is
# the *sum* of one term for each use.
#
# **The forward pass**, one operation a line, from lesson 01. Each prompt $b$ and each head $h$ has its own copy of these lines; the heads of a prompt meet in the last one.
#
# $$ A = Z Q^\top Z^\top \tag{2.1} $$
# $$ W = A M \tag{2.2} $$
# $$ V = Z P^\top \tag{2.3} $$
# $$ Z' = Z + \frac{1}{n} \sum_h W V \tag{2.4} $$
#
# Count the uses of $Z$: on the left of $A$ (it reads), on the right of $A$ (it is read), in $V$ (its value), and in $Z'$ (the residual).
# Four uses, four terms. Move through the lines, forward and back; what follows derives the orange half.

# %%
moving(
    pictures.uses_of_tokens,
    "The layer as a graph: from Z two arrows to A, one to V and one to Z', from A over W to "
    "Z', from V to Z'. Line by line the arrows light up in blue; then, from dZ' back, in "
    "orange, until four have reached dZ.",
    line=knob(range(1, len(pictures.LINES) + 1), 4, "line"),
)

# %% [markdown]
# **In scalars.** Let $d = 1$. Token $i$'s label becomes $y_i' = y_i + \frac{1}{n} \sum_{j \le n} W_{ij} V_j$, with the score $W_{ij} = q\, x_i x_j$ and the value $V_j = y_j$. Let all $dy_i'$ be
# given, and undo it from the end. The sum hands $dy_i'$ to $y_i$ unchanged. It gives $dW_{ij} = dy_i' V_j / n$ and $dV_j = \sum_i W_{ij}\, dy_i' / n$; since $V_j = y_j$, that is
# a second term for $y_j$. The score is a product of three factors, so $dq = \sum_{ij} dW_{ij}\, x_i x_j$, and $x_k$ gets a term as
# reader, $\sum_j dW_{kj}\, q x_j$, and one as what is read, $\sum_i dW_{ik}\, q x_i$. These two sums run along different axes of $dW$. That is
# the whole derivation; what follows dresses it in indices.
#
# **Undo (2.4).** In indices $Z'_{ic} = Z_{ic} + \frac{1}{n} \sum_j W_{ij} V_{jc}$. Rule 1 for the product $W V$, and the residual as it is:
#
# $$ dW = \frac{1}{n}\, dZ'\, V^\top \tag{2.5} $$
# $$ dV = \frac{1}{n}\, W^\top dZ' \tag{2.6} $$
# $$ dZ \mathrel{+}= dZ' \qquad \text{(residual)} \tag{2.7} $$
#
# **Undo (2.3).** $V_{jc} = \sum_a Z_{ja} P_{ca}$, so $dP_{ca} = \sum_j dV_{jc} Z_{ja}$ and $dZ_{ja} \mathrel{+}= \sum_c dV_{jc} P_{ca}$. All
# prompts $b$ use the same $P$, so by rule 2 their terms add up:
#
# $$ dP = \sum_b dV^\top Z \tag{2.8} $$
# $$ dZ \mathrel{+}= dV\, P \qquad \text{(value)} \tag{2.9} $$
#
# **Undo (2.2).** $W_{ij} = A_{ij} m_j$ with $m$ the diagonal of $M$:
#
# $$ dA = dW\, M \tag{2.10} $$
#
# **Undo (2.1).** $A_{ij} = \sum_{a,c} Z_{ia}\, Q_{ca}\, Z_{jc}$, three factors, three terms. Differentiate by each, and read the sums as matrix
# products:
#
# $$ dQ_{ca} = \sum_{i,j} Z_{jc}\, dA_{ij}\, Z_{ia} \quad\Rightarrow\quad dQ = \sum_b Z^\top dA^\top Z \tag{2.11} $$
# $$ dZ_{ia} \mathrel{+}= \sum_{j,c} dA_{ij}\, Z_{jc}\, Q_{ca} \quad\Rightarrow\quad dZ \mathrel{+}= dA\, Z\, Q \qquad \text{(reader)} \tag{2.12} $$
# $$ dZ_{jc} \mathrel{+}= \sum_{i,a} dA_{ij}\, Z_{ia}\, Q_{ca} \quad\Rightarrow\quad dZ \mathrel{+}= dA^\top Z\, Q^\top \qquad \text{(read)} \tag{2.13} $$
#
# With several heads, (2.9), (2.12) and (2.13) are summed over $h$: each head is one more use of $Z$.
#
# **Where it begins.** The loss (1.5) and the prediction (1.4) give
#
# $$ d\mathrm{prediction}_b = \frac{2}{B} (\mathrm{prediction}_b - y_b) \tag{2.14} $$
# $$ [dZ_L]_{N,D} = -\,d\mathrm{prediction}, \quad \text{all other entries } 0 \tag{2.15} $$
#
# **The stack.** The $dZ$ of layer $l$ is the $dZ'$ of layer $l - 1$. Go down to layer 0, keep each $dP$ and $dQ$, and of these keep the
# top-left $d \times d$ blocks, since the corners are not trained.
#
# The library can already make it. Here is the gradient of a three-layer model at the paper's initial weights, as six blocks: red positive, blue negative, and the
# colours logarithmic, as the key says.

# %%
Z, y = la.RegressionTask(n=20, d=5).sample(by_profile(100, 1000), np.random.default_rng(SEED))
params = la.init_params(np.random.default_rng(SEED), layers=3, d=5, std=0.05)
_, grad = la.loss_and_grad(params, Z, y, backend="numpy")  # (3, 1, 2, 5, 5)
show(pictures.signed_blocks(grad),
     "Six 5 by 5 blocks of the gradient in signed logarithmic colours with a key. The blocks "
     "of Q' have a dark red diagonal near 2; those of P' in layers 0 and 1 are some fifty "
     "times smaller and of mixed signs; that of P' in the last layer is zero.")
reveal("02.p1", int((grad == 0).sum()), "The last layer's P', 25 of the 150.")

# %% [markdown]
# The picture asks three questions. *Why is one block zero?* In the last layer $dZ'$ has one entry, in the label column $D$. By (2.6) $dV$ is zero outside that column. By (2.8)
# $dP$ is zero outside its last *row*. But the trained block $P'$ is the first $d$ rows. So its gradient is zero, for every batch, always:
# the last $P'$ moves covariates, and after the last layer nobody reads a covariate.
#
# *Why are the other $P'$ faint?* They act on covariates, which reach the label only through later scores, and those are small at the start.
#
# *Why has every $dQ'$ the same red diagonal?* Put all weights to zero. Then every layer is the identity, the prediction is 0 and the error $-y_b$. A layer's $dZ'$ has the single entry
# $-d\mathrm{prediction}_b = \frac{2}{B} y_b$ in the query's label slot, and its values there are the labels $y_j$. So by (2.5) $dA_{N j} = \frac{1}{n} \cdot \frac{2}{B} y_b\, y_j$ for $j \le n$, and by (2.11), with $x_b$ for the query's covariates,
#
# $$ dQ' = \frac{2}{B} \sum_b y_b\, r_b\, x_b^\top, \qquad r_b = \frac{1}{n} \sum_{j=1}^n y_j x_j = C w, \quad C = \frac{1}{n} \sum_j x_j x_j^\top . $$
#
# With $y_b = \langle w, x_b \rangle = w^\top x_b$ the mean over prompts is $\mathbb{E}[dQ'] = 2\, \mathbb{E}[C]\, \mathbb{E}[w w^\top]\, \mathbb{E}[x_b x_b^\top] = 2 I$. **The first step of gradient descent moves every $Q'$ from 0 towards $-\eta I$.** That is the
# construction of lesson 01: a layer that takes a step of gradient descent on its examples. Nobody put it in; it is the direction of steepest descent.
#
# The claim that could fail: it is the data that choose this direction. Multiply the last covariate of every token by 2 and leave the labels as they are. Then that covariate's entry of $r_b$
# and its entry of $x_b$ are both doubled, so the last diagonal entry of $\mathbb{E}[dQ']$ must be 8 and not 2. With a large batch:

# %%
rng, size = np.random.default_rng(SEED), by_profile(2000, 20_000)
many = la.RegressionTask(n=20, d=5).sample(size, rng)
at_zero, first = la.loss_and_grad(0 * params, *many)
Q_blocks = first[:, 0, 1]  # (3, 5, 5)
on = np.eye(5, dtype=bool)
print(f"diagonal of dQ' from {Q_blocks[:, on].min():+.2f} to {Q_blocks[:, on].max():+.2f}, "
      f"off it at most {np.abs(Q_blocks[:, ~on]).max():.2f}; dP' at most "
      f"{np.abs(first[:, 0, 0]).max():.0e}")
start = la.loss_and_grad(params, *many)[1][:, 0, 1][:, on]
print(f"from the paper's random weights: from {start.min():+.2f} to {start.max():+.2f}")
longer = many.Z * [1, 1, 1, 1, 2, 1]  # the last covariate twice as long
_, other = la.loss_and_grad(0 * params, longer, many.y)
print("last covariate doubled: diagonal", *other[:, 0, 1][:, on].mean(axis=0).round(2).tolist())
for rate in (0.05, 0.1, 0.15):
    print(f"one step from 0 with rate {rate}: loss {at_zero:.2f} ->",
          f"{la.loss(-rate * first, *many):.2f}; Q' is about {-2 * rate:.1f} I")

# %% [markdown]
# > **Where people slip**
# > - *One use of $Z$ is missing.* Three of the four terms look like enough, and training still works.
# > - *Reader and read.* $dA\, Z Q$ and $dA^\top Z Q^\top$ differ in two transpositions. Twice one of them is right where both are symmetric, or
# >   both antisymmetric, and hardly anywhere else.
# > - *$dP$ and $dQ$ transposed.* Both are square, so no shape will complain. Only a test can.
# > - *The mask, again.* It must stand in the backward pass too, (2.10), or the query gets a gradient for what nobody read.

# %% [markdown]
# ## 3. On paper
#
# The prompt of lesson 01: $d = 1$, $n = 2$, $w = 2$, with $P = \mathrm{diag}(1, 1)$, $Q = \mathrm{diag}(-1, 0)$. The prediction was 10, the
# answer 2. So $d\mathrm{prediction} = 2 \cdot 8 = 16$. Take a pencil and go backward; every number is an integer.
#
# $$ dZ' = \begin{pmatrix} 0 & 0 \\ 0 & 0 \\ 0 & -16 \end{pmatrix}, \quad
# dW = \tfrac{1}{2} dZ' V^\top = \begin{pmatrix} 0 & 0 & 0 \\ 0 & 0 & 0 \\ -16 & -48 & 0 \end{pmatrix} = dA, \quad
# dV = \tfrac{1}{2} W^\top dZ' = \begin{pmatrix} 0 & 8 \\ 0 & 24 \\ 0 & 0 \end{pmatrix} $$
#
# $$ dP = dV^\top Z = \begin{pmatrix} 0 & 0 \\ 80 & 160 \end{pmatrix}, \qquad
# dQ = Z^\top dA^\top Z = \begin{pmatrix} -160 & 0 \\ -320 & 0 \end{pmatrix} $$
#
# $$ dZ = \underbrace{\begin{pmatrix} 0 & 0 \\ 0 & 0 \\ 0 & -16 \end{pmatrix}}_{\text{residual}}
# + \underbrace{\begin{pmatrix} 0 & 8 \\ 0 & 24 \\ 0 & 0 \end{pmatrix}}_{\text{value}}
# + \underbrace{\begin{pmatrix} 0 & 0 \\ 0 & 0 \\ 160 & 0 \end{pmatrix}}_{\text{reader}}
# + \underbrace{\begin{pmatrix} 16 & 0 \\ 48 & 0 \\ 0 & 0 \end{pmatrix}}_{\text{read}}
# = \begin{pmatrix} 16 & 8 \\ 48 & 24 \\ 160 & -16 \end{pmatrix} $$
#
# Trained are only $p$ and $q$, the top-left entries: $dp = 0$, the dead block, and $dq = -160$. Check it by school calculus. The
# prediction is $-q\, x_3 \cdot \frac{1}{2} \sum_j x_j y_j = -10 q$, so $f = (-10 q - 2)^2$ and
# $f' = 2\, (-10 q - 2)(-10)$, which is $-160$ at $q = -1$. There is no $p$ in it. By machine:

# %%
Z_paper = np.array([[[1.0, 2], [3, 6], [1, 0]]])  # (B, N, D) = (1, 3, 2)
P_paper, Q_paper = np.diag([1.0, 1.0])[None], np.diag([-1.0, 0.0])[None]  # (H, D, D)
Z_next, tape = la.attention.forward(Z_paper, P_paper, Q_paper)
dprediction = 2 * (la.attention.readout(Z_next) - 2.0)  # (B,)
dout = la.attention.readout_backward(dprediction, Z_next)  # (B, N, D)
for name, array in zip(("dZ", "dP", "dQ"), la.attention.backward(dout, tape), strict=True):
    print(name, *array[0].astype(int).tolist())

# %% [markdown]
# ## 4. Code it
#
# Now the layer's backward pass as the sums say it, one pair of tokens at a time. The mask is the range of `j`.

# %%
def backward_by_loops(dout, Z, P, Q):
    """Gradients of one layer on one prompt: dout and Z (N, D), P and Q (D, D)."""
    N, n = len(Z), len(Z) - 1
    dZ, dP, dQ = dout.copy(), np.zeros_like(P), np.zeros_like(Q)  # (2.7)
    for i in range(N):
        for j in range(n):  # (2.10): nobody reads the query
            score, value = Z[j] @ Q @ Z[i], P @ Z[j]  # A[i, j] and V[j]
            dscore = dout[i] @ value / n  # (2.5)
            dvalue = score * dout[i] / n  # (2.6), what token i adds to dV[j]
            dP += np.outer(dvalue, Z[j])  # (2.8)
            dZ[j] += P.T @ dvalue  # (2.9) value
            dQ += dscore * np.outer(Z[j], Z[i])  # (2.11)
            dZ[i] += dscore * Q.T @ Z[j]  # (2.12) reader
            dZ[j] += dscore * Q @ Z[i]  # (2.13) read
    return dZ, dP, dQ


# %% [markdown]
# Then as matrices, a line for each number, on a whole batch. The argument `drop` leaves one of the four terms out; we will need it.

# %%
def backward_by_matrices(dout, Z, P, Q, drop=None):
    """The same on a batch: dout and Z (B, N, D) -> dZ (B, N, D), dP and dQ (D, D)."""
    n = Z.shape[1] - 1
    M = np.append(np.ones(n), 0.0)  # (N,)
    W, V = Z @ Q.T @ Z.mT * M, Z @ P.T  # (2.1) to (2.3)
    dW = dout @ V.mT / n  # (2.5)  (B, N, N)
    dV = W.mT @ dout / n  # (2.6)  (B, N, D)
    dP = (dV.mT @ Z).sum(axis=0)  # (2.8)  (D, D)
    dA = dW * M  # (2.10)  (B, N, N)
    dQ = (Z.mT @ dA.mT @ Z).sum(axis=0)  # (2.11)  (D, D)
    terms = {
        "residual": dout,  # (2.7)
        "value": dV @ P,  # (2.9)
        "reader": dA @ Z @ Q,  # (2.12)
        "read": dA.mT @ Z @ Q.T,  # (2.13)
    }
    return sum(term for name, term in terms.items() if name != drop), dP, dQ


# %% [markdown]
# And the library's `attention.backward`, the same nine lines with a head axis. Sizes are distinct, matrices generic.

# %%
rng = np.random.default_rng(SEED)
Zs, douts = rng.standard_normal((2, 3, 8, 6))  # B = 3, N = 8, D = 6
P, Q = rng.standard_normal((2, 6, 6))
by_matrices = backward_by_matrices(douts, Zs, P, Q)
each = [backward_by_loops(douts[b], Zs[b], P, Q) for b in range(3)]
dZs, dPs, dQs = zip(*each, strict=True)  # P and Q are shared by the prompts: rule 2
by_loops = np.stack(dZs), sum(dPs), sum(dQs)
_, tape = la.attention.forward(Zs, P[None], Q[None])
dZ, dP, dQ = la.attention.backward(douts, tape)
library = dZ, dP[0], dQ[0]
gap = lambda a, b: f"{np.abs(a - b).max() / np.abs(b).max():.0e}"
rows = [(name, gap(a, b), gap(b, c)) for name, a, b, c in
        zip(("dZ", "dP", "dQ"), by_loops, by_matrices, library, strict=True)]
table(("gradient", "loops against matrices", "matrices against library"), rows)

# %% [markdown]
# ## 5. Audit it
#
# Three versions agree, and all three rest on one derivation. If it is wrong, they are wrong together. A judge must not know it.
#
# **The test.** The layer is made of sums and products, so its output $F(\theta) = \langle \mathrm{dout}, Z'(\theta) \rangle$ is analytic in
# every entry of $\theta = (Z, P, Q)$, and complex numbers may be put in. Expand along a direction $v$ with a step $ih$:
#
# $$ F(\theta + i h v) = F(\theta) + i h \langle dF, v \rangle - \tfrac{h^2}{2} \langle v, F'' v \rangle + \ldots
# \quad\Rightarrow\quad \frac{\mathrm{Im}\, F(\theta + i h v)}{h} = \langle dF, v \rangle + O(h^2) \tag{2.16} $$
#
# Nothing is subtracted, so nothing cancels, and $h$ may be $10^{-30}$: then the $O(h^2)$ is far below rounding. A difference quotient loses
# half its digits; this loses none. It needs only the forward pass. Here it is in full:

# %%
def complex_step(forward, dout, arrays, h=1e-30):
    """The gradient of <dout, forward(*arrays)>, entry by entry, from the forward pass alone."""
    gradients = []
    for k, array in enumerate(arrays):
        gradient = np.zeros(array.shape)
        for at in np.ndindex(array.shape):
            stepped = [a.astype(complex) for a in arrays]
            stepped[k][at] += 1j * h
            gradient[at] = (dout * forward(*stepped)).sum().imag / h
        gradients.append(gradient)
    return gradients


def layer(Z, P, Q):
    """The forward pass (2.1) to (2.4), one head; complex numbers pass through."""
    return la.attention.forward(Z, P[None], Q[None])[0]


oracle = complex_step(layer, douts, (Zs, P, Q))
rows = []
for drop in (None, "residual", "value", "reader", "read"):
    got = backward_by_matrices(douts, Zs, P, Q, drop)
    rows.append((drop or "nothing", *(gap(g, c) for g, c in zip(got, oracle, strict=True))))
table(("term dropped", "error of dZ", "error of dP", "error of dQ"), rows)

# %% [markdown]
# The complete version agrees to the last digits. Each planted mistake is caught at once, in $dZ$, and only there: $dP$ and $dQ$ of *this*
# layer do not contain the dropped term. A check of $dP$ and $dQ$ of one layer would have passed all four.
#
# The library's audit does this for whole models and says *where*. It wants a forward and a backward pass, and the names of the lines,
# given by `mark`: `mark(name, array)` hands the array through and tells the audit its name, so that the audit can move just that line, or just that use, and compare. This time the mistake is smaller: one $Q$ is transposed.

# %%
def marked_forward(theta, mark):
    Z = theta["Z"]
    reader, read = mark("Z_reader", Z), mark("Z_read", Z)
    A = mark("A", reader @ theta["Q"].T @ read.mT)
    W = A * np.append(np.ones(Z.shape[1] - 1), 0.0)
    return Z + W @ Z @ theta["P"].T / (Z.shape[1] - 1)


def marked_backward(theta, dout, mark):
    Z, P, Q = theta["Z"], theta["P"], theta["Q"]
    n = Z.shape[1] - 1
    M = np.append(np.ones(n), 0.0)
    dV = (Z @ Q.T @ Z.mT * M).mT @ dout / n
    dA = mark("dA", dout @ (Z @ P.T).mT / n * M)
    reader = mark("dZ_reader", dA @ Z @ Q.T)  # the planted mistake
    read = mark("dZ_read", dA.mT @ Z @ Q.T)
    dQ = (Z.mT @ dA.mT @ Z).sum(axis=0)
    return {"Z": dout + dV @ P + reader + read, "P": (dV.mT @ Z).sum(axis=0), "Q": dQ}


numbers = {"dA": "2.10", "dZ_reader": "2.12", "dZ_read": "2.13"}
report = la.audit.audit_gradient(marked_forward, marked_backward, {"Z": Zs, "P": P, "Q": Q},
                                 equations=numbers, title="the backward pass with a mistake")
print(*report.summary()[:2], sep="\n")

# %% [markdown]
# <details><summary>Any mask, any factor, a skip: the layers of other papers</summary>
#
# They have any number $c$ for $\frac{1}{n}$, and any table $m_{ij}$ of who may read whom: $W_{ij} = A_{ij} m_{ij}$
# and $dA_{ij} = dW_{ij} m_{ij}$. No other line changes. Some also send each token past attention through a matrix $R$, a fifth use of $Z$:
#
# $$ S = Z R^\top \tag{2.17} $$
# $$ Z'' = Z' + S \tag{2.18} $$
#
# The sum hands $dZ''$ to both, so $dZ' = dZ''$ and $dS = dZ''$. And (2.17) is (2.3) with another name, so (2.8) and (2.9) say what its gradients are:
#
# $$ dR = \sum_b dZ''^\top Z \tag{2.19} $$
# $$ dZ \mathrel{+}= dZ''\, R \qquad \text{(skip)} \tag{2.20} $$
#
# </details>
#
# ## 6. Experiment
#
# One question: how much of the gradient does each use of $Z$ carry? One knob: $\sigma$, the size of the random weights. For each use, leave
# its term out in every layer and measure the relative change of the whole gradient; then the same for the block $P'$ of the first layer
# alone. Several seeds, each with its own weights and prompts.

# %%
USES = ("residual", "value", "reader", "read")


def gradient_without(params, Z, y, drop):
    """The gradient of the loss with one use of Z left out; drop=None is right."""
    matrices = la.transformer.to_full(params, Z.shape[-1])[:, 0]  # (L, 2, D, D)
    tokens = [Z]
    for P, Q in matrices:
        tokens.append(layer(tokens[-1], P, Q))
    dprediction = 2 * (la.attention.readout(tokens[-1]) - y) / len(y)
    dZ = la.attention.readout_backward(dprediction, tokens[-1])
    grad, d = np.zeros_like(params), params.shape[-1]
    for l in reversed(range(len(matrices))):
        dZ, dP, dQ = backward_by_matrices(dZ, tokens[l], *matrices[l], drop)
        grad[l, 0] = dP[:d, :d], dQ[:d, :d]
    return grad


# %%
def shares(sigma, seed, batch=20, n=20, d=5):
    """For each use: the change without it, of the whole gradient and of P' in layer 0."""
    rng = np.random.default_rng([SEED, seed])
    Z, y = la.RegressionTask(n=n, d=d).sample(batch, rng)
    params = la.init_params(rng, layers=3, d=d, std=sigma)
    right = gradient_without(params, Z, y, None)
    change = [gradient_without(params, Z, y, use) - right for use in USES]
    size = lambda x: np.sqrt((x * x).sum())
    return [(size(c) / size(right), size(c[0, 0, 0]) / size(right[0, 0, 0])) for c in change]


# %%
sigmas, seeds = np.geomspace(0.005, 0.2, 9), by_profile(3, 9, 30)
with bar(len(sigmas), "sigmas", unit="sigma") as shown:
    measured = np.zeros((len(sigmas), seeds, 4, 2))
    for i, sigma in enumerate(sigmas):
        measured[i] = [shares(sigma, seed) for seed in range(seeds)]
        shown.update()
quartiles = np.quantile(measured, [0.25, 0.5, 0.75], axis=1)  # (3, sigmas, uses, 2)
show(pictures.shares_against_size(sigmas, quartiles, USES, seeds),
     "Relative change of the gradient without one use, against sigma, logarithmic. All "
     "parameters: the residual's change is near 0.8, the value's rises with slope 1 to 0.1 "
     "at the grey line, reader's and read's with slope 2 to 0.02. First layer's P' alone: "
     "residual 1, reader 0.7, read 0.6 at every sigma, and the value rises with slope 1.")

# %%
reader = shares(0.05, 0, batch=by_profile(100, 1000))[2]
right, wrong = (gradient_without(params, Z, y, drop) for drop in (None, "reader"))
cosine = (right * wrong).sum() / np.sqrt((right**2).sum() * (wrong**2).sum())
reveal("02.p2", 100 * reader[0], f"The first layer's P' alone: {100 * reader[1]:.0f} percent. "
                                 f"Cosine between right and wrong gradient: {cosine:.4f}.")

# %% [markdown]
# The grey line is the paper's initial size, 0.05. There, the gradient of someone who has forgotten the reader, or the read, is within a
# few percent of the right one, and the two point in nearly the same direction. A step along the wrong one lowers the loss, and a test with
# a tolerance of five percent is content. Yet $P'$ of the first layer is updated by something else than its gradient.
#
# The slopes say why. Near $\sigma = 0$ a layer is nearly the identity, and a path through $k$ small matrices counts as $\sigma^k$. The
# residual needs none. The value's path needs one: the scores' $Q'$. Its $P$ costs nothing, since a label passes through $P$'s corner, which is fixed at 1 and not small. A path through scores needs two: the $Q'$ that turns a label's gradient into
# a covariate's, and one more below, since a covariate has been moved by small matrices only. But $P'$ of an early layer reaches the label by later scores *only*.
# A test at small weights, or one number for the whole gradient, hides exactly this. Run the cell, turn $\sigma$ and look at every block:

# %%
def draw_blocks(sigma):
    rng = np.random.default_rng(SEED)
    Z, y = la.RegressionTask(n=20, d=5).sample(30, rng)
    params = sigma * rng.standard_normal((3, 1, 2, 5, 5))
    right = gradient_without(params, Z, y, None)[:, 0].reshape(6, -1)
    alive = [0, 1, 2, 3, 5]  # block 4 is the dead one
    size = lambda x: np.sqrt((x * x).sum(axis=1))[alive]
    off = [gradient_without(params, Z, y, use)[:, 0].reshape(6, -1) - right for use in USES]
    percent = 100 * np.array([size(change) / size(right) for change in off])
    names = [f"{name}', layer {l}" for l in range(3) for name in "PQ"]
    return pictures.percentages(percent, USES, [names[block] for block in alive],
                                f"change of each block without a use of Z, sigma = {sigma:.3f}")


slider(draw_blocks, "Table of percentages: at sigma 0.05 dropping the reader or the read "
                    "changes P' of layers 0 and 1 by 46 to 126 percent, Q' of these layers by "
                    "1 to 3, and Q' of layer 2 not at all; dropping the residual changes P' "
                    "and Q' of layer 0 and Q' of layer 1 by 100 percent.",
       sigma=knob(np.geomspace(0.005, 0.5, 21).round(4), 0.05, "sigma"))

# %% [markdown]
# ## 7. The paper and us
#
# The paper computes its gradients by automatic differentiation and reports none of them, so again there are facts of the model to compare,
# counted in this cell, and no experiment.

# %%
full = la.init_params(np.random.default_rng(SEED), layers=3, d=5, std=0.3)
_, grad = la.loss_and_grad(full, Z, y, backend="numpy")
zero = grad == 0
facts([
    ("trained numbers for 3 layers and d = 5", "released code", 150, grad.size),
    ("of these without any gradient", "released code", 25, int(zero.sum())),
    ("of these in the last layer's P'", "follows from (1.4)", 25, int(zero[-1, 0, 0].sum())),
])

# %% [markdown]
# ## 8. Exercises
#
# Six cards. Write your answer in the cell under a card, run it, then the check.

# %% [markdown]
# ### Exercise 02.1 (derive, level 1, 5 min)
#
# Back to section 3. What is $df/dq$ at $q = -2$? Do it by the nine lines, then by school calculus. *Done:* one number, twice.
#
# <details><summary>Hint 1</summary>The prediction is 20 now, and dprediction 36.</details>

# %%
### BEGIN SOLUTION
dq_at_minus_two = 2 * (20 - 2) * (-10.0)
### END SOLUTION
check("02.1", dq_at_minus_two)

# %% [markdown]
# ### Exercise 02.2 (code, level 2, 10 min)
#
# Write $dP$ and $dQ$ of one layer on a batch from memory. *Done:* right at sizes that you do not know.
#
# <details><summary>Hint 1</summary>You need W and V again: compute them first.</details>
# <details><summary>Hint 2</summary>The shapes decide most transpositions; for dQ they do not. Write the indices.</details>

# %%
def dP_and_dQ(dout, Z, P, Q):
    ### BEGIN SOLUTION
    n = Z.shape[1] - 1
    M = np.append(np.ones(n), 0.0)
    dV = (Z @ Q.T @ Z.mT * M).mT @ dout / n
    dA = dout @ (Z @ P.T).mT / n * M
    return (dV.mT @ Z).sum(axis=0), (Z.mT @ dA.mT @ Z).sum(axis=0)
    ### END SOLUTION


# %%
check("02.2", dP_and_dQ)

# %% [markdown]
# ### Exercise 02.3 (code, level 3, 15 min)
#
# Now $dZ$, all four terms. Leave one out first and look at what the check says. *Done:* right, and `dout` is unchanged.
#
# <details><summary>Hint 1</summary>Residual, value, reader, read: (2.7), (2.9), (2.12), (2.13).</details>
# <details><summary>Hint 2</summary>dZ = dout; dZ += ... writes into dout.</details>

# %%
def dZ_alone(dout, Z, P, Q):
    ### BEGIN SOLUTION
    n = Z.shape[1] - 1
    M = np.append(np.ones(n), 0.0)
    dV = (Z @ Q.T @ Z.mT * M).mT @ dout / n
    dA = dout @ (Z @ P.T).mT / n * M
    return dout + dV @ P + dA @ Z @ Q + dA.mT @ Z @ Q.T
    ### END SOLUTION


# %%
check("02.3", dZ_alone)

# %% [markdown]
# ### Exercise 02.4 (find the bug, level 2, 10 min)
#
# A model trained with this backward pass learns, and nothing looks wrong. One line is. Find it with (2.16), not by reading:
# compare with `complex_step`, see which of the three is off, and where. *Done:* the repaired function passes.
#
# <details><summary>Hint 1</summary>dP is right. So the value path is right, and the fault lies in the scores.</details>
# <details><summary>Hint 2</summary>Which forward line has no counterpart?</details>

# %%
def buggy_backward(dout, Z, P, Q):
    n = Z.shape[1] - 1
    M = np.append(np.ones(n), 0.0)
    W, V = Z @ Q.T @ Z.mT * M, Z @ P.T
    dA = dout @ V.mT / n
    dV = W.mT @ dout / n
    dP = (dV.mT @ Z).sum(axis=0)
    dQ = (Z.mT @ dA.mT @ Z).sum(axis=0)
    return dout + dV @ P + dA @ Z @ Q + dA.mT @ Z @ Q.T, dP, dQ


# %%
def repaired_backward(dout, Z, P, Q):
    ### BEGIN SOLUTION
    n = Z.shape[1] - 1
    M = np.append(np.ones(n), 0.0)
    W, V = Z @ Q.T @ Z.mT * M, Z @ P.T
    dA = dout @ V.mT / n * M  # (2.10) was missing
    dV = W.mT @ dout / n
    dP = (dV.mT @ Z).sum(axis=0)
    dQ = (Z.mT @ dA.mT @ Z).sum(axis=0)
    return dout + dV @ P + dA @ Z @ Q + dA.mT @ Z @ Q.T, dP, dQ
    ### END SOLUTION


# %%
check("02.4", repaired_backward)

# %% [markdown]
# ### Exercise 02.5 (derive, level 3, 15 min)
#
# One layer needs no backward pass. By (1.6), with any $Q'$ in place of $-\eta I$, the prediction is
# $-\frac{1}{n} \sum_j y_j\, x_j^\top Q' x_{n+1}$, linear in $Q'$. Derive $dQ'$ of the loss (1.5) and write it as a function of `Q` (d, d), `Z`
# and `y`. *Done:* the check passes.
#
# <details><summary>Hint 1</summary>The derivative of aᵀ Q b by Q is the outer product a bᵀ.</details>
#
# <!-- ### BEGIN SOLUTION -->
# <details><summary>Solution</summary>With r = (1/n) Σ y_j x_j the prediction is -rᵀ Q' x, its derivative by Q' is -r xᵀ, and the loss
# gives dQ' = -(2/B) Σ (prediction - y) r xᵀ, summed over the prompts. At Q' = 0 it is section 2's.</details>
# <!-- ### END SOLUTION -->

# %%
def one_layer_dQ(Q, Z, y):
    ### BEGIN SOLUTION
    X, query = Z[:, :-1, :-1], Z[:, -1, :-1]
    r = (Z[:, :-1, -1:] * X).mean(axis=1)  # (B, d)
    error = -np.einsum("ba,ac,bc->b", r, Q, query) - y  # (B,)
    return -2 / len(y) * np.einsum("b,ba,bc->ac", error, r, query)
    ### END SOLUTION


# %%
check("02.5", one_layer_dQ)

# %% [markdown]
# ### Exercise 02.6 (experiment, level 2, 10 min)
#
# With what power of $\sigma$ does the reader's share of the whole gradient grow, for small $\sigma$? Measure it with `shares`; say first what
# it should be. *Done:* within 10 percent.
#
# <details><summary>Hint 1</summary>shares(sigma, seed)[2][0] is the share. Take the medians over a few seeds.</details>
# <details><summary>Hint 2</summary>The slope of log share against log sigma: np.polyfit(np.log(sigmas), np.log(medians), 1)[0].</details>

# %%
def measure_power():
    ### BEGIN SOLUTION
    small = np.array([0.005, 0.01, 0.02])
    medians = [np.median([shares(sigma, seed)[2][0] for seed in range(5)]) for sigma in small]
    return np.polyfit(np.log(small), np.log(medians), 1)[0]
    ### END SOLUTION


# %%
### BEGIN SOLUTION
power = measure_power()
### END SOLUTION
check("02.6", power)

# %% [markdown]
# ## 9. Exit ticket
#
# Write the letters in quotes.
#
# **t1.** Which part of the gradient is zero for every batch?
#
# - (a) the first layer's $P'$
# - (b) the last layer's $Q'$
# - (c) the last layer's $P'$
# - (d) every $P'$
#
# **t2.** Why are there four terms in $dZ$?
#
# - (a) $Z$ is used in four places
# - (b) there are four kinds of tokens
# - (c) there are four weight matrices
# - (d) one for each layer and one for the loss
#
# **t3.** Which row of $dV$ is zero in every layer?
#
# - (a) none
# - (b) that of the first example
# - (c) all but the query's
# - (d) the query's

# %%
### BEGIN SOLUTION
t1 = "c"
t2 = "a"
t3 = "d"
### END SOLUTION
check("02.t1", t1)
check("02.t2", t2)
check("02.t3", t3)

# %% [markdown]
# **Further reading**
#
# - Griewank and Walther, *Evaluating Derivatives*, SIAM 2008. Why a backward pass costs a small multiple of the forward pass, whatever the
#   number of parameters; the nine lines are an instance.
# - Squire and Trapp, *Using complex variables to estimate derivatives of real functions*, SIAM Review 40, 1998. Two pages: the test (2.16).
# - Lesson 03 makes an audit of it: which wrong derivations which checks miss.
