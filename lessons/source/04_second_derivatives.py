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
# # Lesson 04. Second derivatives
#
# **Claim.** Differentiate each of the thirteen lines once more, and the exact Hessian of 150 parameters is 150 runs of the result.
#
# | read | code | run | level | needs | seed |
# |---|---|---|---|---|---|
# | 40 min | 70 min | 1 min | 4 of 5 | 02, 03 | 4 |
#
# **Misconception.** A Hessian needs finite differences, or automatic differentiation.
#
# **Afterwards you can say.** The Hessian is a Gauss-Newton part, which cannot curve downwards, plus the errors times the curvature of the predictions, which can; both come from one more run of the product rule through the code. (t3)
#
# <details><summary>Symbols of this lesson</summary>
#
# | symbol | meaning |
# |---|---|
# | $f$, $\theta$, $v$ (here) | the loss, all parameters, a direction of them |
# | $H$ (here) | the Hessian of the loss; heads elsewhere |
# | $p_b$, $e_b$ (here) | prediction and error of prompt $b$ |
# | $\sigma$ (here) | size of the random weights |
# | $K$, $C$ (here) | blocks of the Hessian between $P'$ and $Q'$, and among the $Q'$ |
# | $u$, $s$ (here) | any vector, and a small number, in (4.19) |
# | $\varphi$, $R_2$ (here) | the loss along a line, and what two terms leave of it |
#
# </details>
#
# You will apply the product rule to a backward pass, with a pencil first, have the result judged as in lesson 03, and draw the Hessian
# of the paper's model: where it is zero, where it is small, and why more than a third of its eigenvalues is negative.

# %%
import numpy as np

import linattn_np as la
from linattn_np.progress import bar
from linattn_np.teaching import by_profile, check, facts, knob, moving, predict, reveal, show
from linattn_np.teaching import slider, symbols, table, versions
from linattn_np.teaching.pictures import lesson_04 as pictures

SEED = 4
versions(SEED)
symbols("B n N d D L Z P Q M A W V params dX vX hX")

# %% [markdown]
# ## 1. Predict
#
# The Hessian of the model with 3 layers and $d = 5$ has $150 \times 150 = 22{,}500$ entries. At the paper's initial weights: how many of them
# are exactly zero, for every batch? And how many of the 150 eigenvalues are negative?

# %%
### BEGIN SOLUTION
zeros_guess = 25
negative_guess = 0
### END SOLUTION
predict("04.p1", "Entries of the Hessian, of 22500, that are exactly zero", zeros_guess)
predict("04.p2", "Negative eigenvalues, of 150, at the initial weights", negative_guess)

# %% [markdown]
# ## 2. Derive
#
# **What is asked.** The Hessian $H$ has the entries $\partial^2 f / \partial \theta_i \partial \theta_j$. Here it is at the paper's initial weights, as the library computes it. The 150 parameters are
# sorted as $P'_0, Q'_0, P'_1, Q'_1, P'_2, Q'_2$, 25 each.

# %%
Z, y = la.RegressionTask(n=20, d=5).sample(by_profile(8, 30), np.random.default_rng(SEED))
params = la.init_params(np.random.default_rng(SEED), layers=3, d=5, std=0.05)
H_library = la.hessian(params, Z, y, backend="numpy")
title = "the Hessian at the initial weights; grey: exactly 0"
show(pictures.hessian_with_key(H_library, title),
     "A 150 by 150 matrix in 6 by 6 blocks, red positive, blue negative: all blocks between "
     "Qs are strong, with dark red diagonals; those between P0, P1 and Q fainter; P0 and P1 "
     "among themselves nearly white; the row and the column of P2 grey, exactly zero.")
reveal("04.p1", int((H_library == 0).sum()),
       "150² - 125²: rows and columns of the last layer's P'.")

# %% [markdown]
# Why is nearly a third of it zero, why are the $Q'$ blocks strong and the $P'$ blocks nearly white, and does it curve downwards anywhere? And how does one compute it? As a matrix $H$ is large, but its product
# with a direction $v$ is an array like $\theta$, and column $j$ is the product with a unit vector. That product is the derivative of the gradient along $v$,
#
# $$ H v = \frac{d}{dt}\, \nabla f(\theta + t v) \Big|_{t=0} . $$
#
# So differentiate the code of the gradient along $v$, line by line. Call $vX$ the derivative of $X$ along the direction, its *tangent*, and $hX$ that of
# the gradient $dX$.
#
# **In scalars.** One product, forward and backward, and each differentiated along the direction:
#
# $$ \begin{aligned} c &= x y, & dx &= dc\, y, \\ vc &= vx\, y + x\, vy, & hx &= hc\, y + dc\, vy . \end{aligned} $$
#
# That is all of it. A backward line is a product of two factors, so its tangent has two terms: the new $h$ with the old factor, and
# the old $d$ with the factor's tangent. The second one is what people forget.
#
# **In indices.** The score has three factors, $A_{ij} = \sum_{a,c} Z_{ia}\, Q_{ca}\, Z_{jc}$, so its tangent has three terms, one with each factor
# replaced by its tangent. Read as matrix products as in lesson 02, the first is $vZ\, Q^\top Z^\top$.
#
# **In matrices, forward.** The tangents of (2.1) to (2.4):
#
# $$ vA = vZ\, Q^\top Z^\top + Z\, vQ^\top Z^\top + Z\, Q^\top vZ^\top \tag{4.1} $$
# $$ vW = vA\, M \tag{4.2} $$
# $$ vV = vZ\, P^\top + Z\, vP^\top \tag{4.3} $$
# $$ vZ' = vZ + \frac{1}{n} \sum_h \left( vW\, V + W\, vV \right) \tag{4.4} $$
#
# A tangent is an arrow on each number. Here are the tokens of the pencil prompt after two layers with small weights, as points: covariate to the right, label upwards. Each has its tangent for a
# direction that moves $Q$ alone, as an arrow, and the dotted curve along which it goes when $Q$ really moves.

# %%
prompt = np.array([[[1.0, 2], [3, 6], [1, 0]]])  # (1, N, D)
small_P, small_Q = np.diag([0.1, 1.0])[None], np.diag([-0.2, 0.0])[None]  # (H, D, D)
moved_Q = np.array([[[1.0, 0.3], [0, 0]]])
one_layer = lambda Z, t: la.attention.forward(Z, small_P, small_Q + t * moved_Q)[0]
after_two = lambda t: one_layer(one_layer(prompt, t), t)[0]  # (N, D)
path = np.array([after_two(t) for t in np.linspace(-0.15, 0.15, 41)])
show(pictures.arrows_on_tokens(path, after_two(1e-30j).imag / 1e-30, 0.15),
     "Three points in the plane, each on a dotted curve that bends, with a straight arrow that "
     "touches the curve at the point: the tangents of the tokens.")

# %% [markdown]
# **Backward.** Two inputs now: $dZ'$ and its tangent $hZ'$. The tangents of (2.5) to (2.7), which undo the sum:
#
# $$ hW = \frac{1}{n} \left( hZ'\, V^\top + dZ'\, vV^\top \right) \tag{4.5} $$
# $$ hV = \frac{1}{n} \left( W^\top hZ' + vW^\top dZ' \right) \tag{4.6} $$
# $$ hZ \mathrel{+}= hZ' \qquad \text{(residual)} \tag{4.7} $$
#
# Of (2.8) and (2.9), which undo the value:
#
# $$ hP = \sum_b \left( hV^\top Z + dV^\top vZ \right) \tag{4.8} $$
# $$ hZ \mathrel{+}= hV\, P + dV\, vP \qquad \text{(value)} \tag{4.9} $$
#
# Of (2.10), where the mask does not move:
#
# $$ hA = hW\, M \tag{4.10} $$
#
# And of (2.11) to (2.13), which undo the score and have three factors each. In indices the first is $dQ_{ca} = \sum_{ij} Z_{jc}\, dA_{ij}\, Z_{ia}$; replace one
# factor at a time, $vZ_{jc}\, dA_{ij}\, Z_{ia} + Z_{jc}\, hA_{ij}\, Z_{ia} + Z_{jc}\, dA_{ij}\, vZ_{ia}$, and read the sums as matrix products again:
#
# $$ hQ = \sum_b \left( vZ^\top dA^\top Z + Z^\top hA^\top Z + Z^\top dA^\top vZ \right) \tag{4.11} $$
# $$ hZ \mathrel{+}= hA\, Z\, Q + dA\, vZ\, Q + dA\, Z\, vQ \qquad \text{(reader)} \tag{4.12} $$
# $$ hZ \mathrel{+}= hA^\top Z\, Q^\top + dA^\top vZ\, Q^\top + dA^\top Z\, vQ^\top \qquad \text{(read)} \tag{4.13} $$
#
# **Where it begins, and the stack.** The prompts do not move, so $vZ_0 = 0$. Corners do not move either: outside the blocks $P'$, $Q'$
# the direction is 0. After the last layer, (1.4), (2.14) and (2.15) are linear in the prediction:
#
# $$ v\mathrm{prediction} = -[vZ_L]_{N,D}, \qquad h\mathrm{prediction}_b = \frac{2}{B}\, v\mathrm{prediction}_b, \qquad
# [hZ_L]_{N,D} = -h\mathrm{prediction} \tag{4.16} $$
#
# Go down the layers with $dZ$ and $hZ$ side by side. The top-left blocks of all $hP$ and $hQ$ are $H v$.
#
# **What it costs.** Count the matrix products of a layer. The gradient takes 4 forward and 10 backward. The tangent of a product of two factors takes two products and that of a product of three takes six in place of two: 10 forward,
# 26 backward, and the 6 of the gradient that they need ($A$, $V$, $W V$, $dA$, $dV$). So 42 against 14, and where another layer lies below, $dZ$ takes 5 more: a product $H v$ costs about three gradients,
# whatever the number of parameters. Section 4 counts by machine.
#
# **What $H$ is made of.** Write $p_b$ for the predictions and $e_b = p_b - y_b$. Then $\nabla f = \frac{2}{B} \sum_b e_b \nabla p_b$, and once more by
# the product rule:
#
# $$ H = \underbrace{\frac{2}{B} \sum_b \nabla p_b\, \nabla p_b^\top}_{\text{Gauss-Newton}}
# + \frac{2}{B} \sum_b e_b\, \nabla^2 p_b \tag{4.17} $$
#
# The first part has no negative eigenvalue, since $u^\top (\nabla p\, \nabla p^\top) u$ is a square. In the code it comes from the terms with an $h$. The second part
# is made by all terms with a $d$; it may have any sign, and it fades as the errors fade. Add it little by little, before and after training:

# %%
setting = la.papers.maybe_all_you_need.SETTINGS["setting1"]
adam = la.optimizers.Adam(0.02, beta1=0.9, beta2=0.9)
one = la.train(setting.task, adam, by_profile(100, 300), batch=200, seed=SEED, progress=False,
               record_every=by_profile(50, 100))
iterations = [0, *(int(t) for t in one.snapshots if t in (100, 300))]
weights = {t: one.snapshots[t] for t in iterations} | {0: params}
found = {t: (la.hessian(x, Z, y), pictures.gauss_newton(x, Z, y)) for t, x in weights.items()}
moving(
    pictures.two_parts(found),
    "Left, the norms of the 36 blocks; right, the eigenvalues in order, signed and "
    "logarithmic. Without the error part none is negative; with it dozens are, and they "
    "shrink as training goes on.",
    iteration=knob(iterations, 0, "iteration"),
    share=knob((0.0, 0.25, 0.5, 1.0), 1.0, "share of the error part"),
)

# %% [markdown]
# The row of $P'_2$ is zero because the last $P'$ never reaches the prediction. The block $Q'_2 Q'_2$ does not change with the share: the prediction is linear in the last $Q'$, so $\nabla^2 p = 0$ there, and it has no negative eigenvalue.
#
# <details><summary>Why the blocks have these sizes, and why there must be negative eigenvalues</summary>
#
# Near small weights count the small matrices that remain after two derivatives. A label reaches the prediction through any $Q'$ alone. $P'_0$ needs
# the scores of its own layer, with $Q'_0$, and those of a later one. In $\nabla^2 p$ the blocks $Q'Q'$ between layers keep none, $P'_0 Q'_0$ keeps the later
# $Q'$. In $P'_0 P'_0$ two $Q'_0$ remain, one for each of the two covariates that the later score reads, and the later $Q'$:
#
# $$ \|H_{Q Q}\| \sim 1, \qquad \|H_{P_0 Q_0}\| \sim \sigma, \qquad \|H_{P_0 P_0}\| \sim \sigma^3 \tag{4.18} $$
#
# In scalars, a matrix with the entries $a, b, b, c$ and a tiny $a$ has the determinant $a c - b^2 < 0$, so its eigenvalues
# have both signs. The same with blocks: put $H_{PP} \approx 0$, $H_{PQ} = K$, $H_{QQ} = C$, and go along $(u, -s K^\top u)$:
#
# $$ \begin{pmatrix} u \\ -s K^\top u \end{pmatrix}^{\!\top} \begin{pmatrix} 0 & K \\ K^\top & C \end{pmatrix}
# \begin{pmatrix} u \\ -s K^\top u \end{pmatrix} = -2 s\, \|K^\top u\|^2 + s^2\, (K^\top u)^\top C\, (K^\top u) \tag{4.19} $$
#
# For small $s > 0$ it is negative for every $u$ with $K^\top u \ne 0$. By (4.18) the best $s$ reaches about $-\sigma^2$, which the $\sigma^3$ of $H_{PP}$ cannot undo.
# How many negative eigenvalues does that make? Take the $u$ in the range of $K$: the directions $(u, -s K^\top u)$ fill a space of dimension $\mathrm{rank}\, K$ on which the form is negative, apart from 0. The eigenvectors with eigenvalue 0 or more span a space on which
# it is not negative, so the two spaces meet in 0 only, and their dimensions add up to at most 150 (this is half of the theorem of Courant and Fischer). So at least $\mathrm{rank}\, K$ eigenvalues are negative: 50, if the two living blocks of $P'$ are coupled to $Q'$ in all
# directions.
#
# </details>
#
# > **Where people slip**
# > - *The $d$ terms.* Carry only $h$ through the backward pass and you get the Gauss-Newton part: symmetric, plausible, wrong.
# > - *A tangent that stops.* $vZ$ is zero at the prompts only. From the second layer on the tokens move.
# > - *Three factors, three terms*, in (4.1) and again in (4.11), (4.12), (4.13).
# > - *The corners.* They are fixed at 1 and 0: the direction has 0 in both.
# > - *$hZ'$ is not zero at the top.* The prediction moves, and the cotangent with it: (4.16).

# %% [markdown]
# ## 3. On paper
#
# The prompt of lesson 02 once more: $P = \mathrm{diag}(1, 1)$, $Q = \mathrm{diag}(-1, 0)$, prediction 10, answer 2. The direction is $vQ = \mathrm{diag}(1, 0)$,
# all else 0. Forward, (4.1) to (4.4), with $vV = 0$:
#
# $$ vA = \begin{pmatrix} 1 & 3 & 1 \\ 3 & 9 & 3 \\ 1 & 3 & 1 \end{pmatrix}, \quad
# vW = \begin{pmatrix} 1 & 3 & 0 \\ 3 & 9 & 0 \\ 1 & 3 & 0 \end{pmatrix}, \quad
# vZ' = \tfrac{1}{2} vW\, V = \begin{pmatrix} 5 & 10 \\ 15 & 30 \\ 5 & 10 \end{pmatrix} $$
#
# So $v\mathrm{prediction} = -10$, $h\mathrm{prediction} = 2 \cdot (-10) = -20$, and $hZ'$ has 20 in the query's label slot. Backward, (4.5) to (4.10), with
# $dZ'$, $dA$ and $dV$ from lesson 02:
#
# $$ hW = \begin{pmatrix} 0 & 0 & 0 \\ 0 & 0 & 0 \\ 20 & 60 & 0 \end{pmatrix} = hA, \quad
# hV = \tfrac{1}{2} \left[ \begin{pmatrix} 0 & -20 \\ 0 & -60 \\ 0 & 0 \end{pmatrix} + \begin{pmatrix} 0 & -16 \\ 0 & -48 \\ 0 & 0 \end{pmatrix} \right]
# = \begin{pmatrix} 0 & -18 \\ 0 & -54 \\ 0 & 0 \end{pmatrix} $$
#
# $$ hP = hV^\top Z = \begin{pmatrix} 0 & 0 \\ -180 & -360 \end{pmatrix}, \qquad hQ = Z^\top hA^\top Z = \begin{pmatrix} 200 & 0 \\ 400 & 0 \end{pmatrix} $$
#
# $$ hZ = \underbrace{\begin{pmatrix} 0 & 0 \\ 0 & 0 \\ 0 & 20 \end{pmatrix}}_{\text{residual}}
# + \underbrace{\begin{pmatrix} 0 & -18 \\ 0 & -54 \\ 0 & 0 \end{pmatrix}}_{\text{value}}
# + \underbrace{\begin{pmatrix} 0 & 0 \\ 0 & 0 \\ -360 & 0 \end{pmatrix}}_{\text{reader}}
# + \underbrace{\begin{pmatrix} -36 & 0 \\ -108 & 0 \\ 0 & 0 \end{pmatrix}}_{\text{read}}
# = \begin{pmatrix} -36 & -18 \\ -108 & -54 \\ -360 & 20 \end{pmatrix} $$
#
# In the reader's term $-200$ comes from $hA\, Z\, Q$ and $-160$ from $dA\, Z\, vQ$; in the read term the shares are $-20$ and $-16$, $-60$ and $-48$.
# The trained entry of $hQ$ is 200. By school calculus $f = (-10 q - 2)^2$ has $f'' = 200$. By machine:

# %%
Z_paper = np.array([[[1.0, 2], [3, 6], [1, 0]]])  # (B, N, D) = (1, 3, 2)
P_paper, Q_paper = np.diag([1.0, 1.0])[None], np.diag([-1.0, 0.0])[None]  # (H, D, D)
Z_next, tape = la.attention.forward(Z_paper, P_paper, Q_paper)
dout = la.attention.readout_backward(2 * (la.attention.readout(Z_next) - 2.0), Z_next)
vQ_paper = np.diag([1.0, 0.0])[None]
vZ_next, vtape = la.attention.tangent(0 * Z_paper, 0 * P_paper, vQ_paper, tape)
hout = la.attention.readout_backward(2 * la.attention.readout(vZ_next), Z_next)
print("vZ'", *vZ_next[0].astype(int).tolist())
second = la.attention.backward_tangent(dout, hout, tape, vtape)
for name, array in zip(("hZ", "hP", "hQ"), second, strict=True):
    print(name, *array[0].astype(int).tolist())

# %% [markdown]
# ## 4. Code it
#
# First as sums over pairs of tokens. Lesson 02's loop with a second line under each line: the tangent of what stands above it.

# %%
def tangents_by_loops(dout, hout, Z, P, Q, vZ, vP, vQ):
    """One prompt: all arrays (N, D) or (D, D) -> vZ', hZ, hP, hQ."""
    n, vout, hZ, hP, hQ = len(Z) - 1, vZ.copy(), hout.copy(), 0 * P, 0 * Q
    for i in range(n + 1):
        for j in range(n):  # the query is not read
            score, value = Z[j] @ Q @ Z[i], P @ Z[j]
            vscore = vZ[j] @ Q @ Z[i] + Z[j] @ vQ @ Z[i] + Z[j] @ Q @ vZ[i]  # (4.1)
            vvalue = vP @ Z[j] + P @ vZ[j]  # (4.3)
            vout[i] += (vscore * value + score * vvalue) / n  # (4.4)
            dscore, dvalue = dout[i] @ value / n, score * dout[i] / n
            hscore = (hout[i] @ value + dout[i] @ vvalue) / n  # (4.5)
            hvalue = (score * hout[i] + vscore * dout[i]) / n  # (4.6)
            hP += np.outer(hvalue, Z[j]) + np.outer(dvalue, vZ[j])  # (4.8)
            hZ[j] += P.T @ hvalue + vP.T @ dvalue  # (4.9)
            moved = np.outer(vZ[j], Z[i]) + np.outer(Z[j], vZ[i])
            hQ += hscore * np.outer(Z[j], Z[i]) + dscore * moved  # (4.11)
            hZ[i] += hscore * Q.T @ Z[j] + dscore * (Q.T @ vZ[j] + vQ.T @ Z[j])  # (4.12)
            hZ[j] += hscore * Q @ Z[i] + dscore * (Q @ vZ[i] + vQ @ Z[i])  # (4.13)
    return vout, hZ, hP, hQ


# %% [markdown]
# Then as matrices, (4.1) to (4.13) as they stand. The argument `drop` leaves out the $d$ term of the line with that number, or of
# every line.

# %%
def forward_tangent(Z, P, Q, vZ, vP, vQ):
    """(2.1) to (2.4) and (4.1) to (4.4) on a batch -> Z', vZ' and W, V, vW, vV."""
    n = Z.shape[1] - 1
    M = np.append(np.ones(n), 0.0)  # (N,)
    W, V = Z @ Q.T @ Z.mT * M, Z @ P.T
    vW = (vZ @ Q.T @ Z.mT + Z @ vQ.T @ Z.mT + Z @ Q.T @ vZ.mT) * M  # (4.1), (4.2)
    vV = vZ @ P.T + Z @ vP.T  # (4.3)
    return Z + W @ V / n, vZ + (vW @ V + W @ vV) / n, (W, V, vW, vV)  # (4.4)


# %%
def backward_tangent(dout, hout, Z, P, Q, vZ, vP, vQ, drop=None):
    """-> dZ and hZ (B, N, D), hP and hQ (D, D): (4.5) to (4.13)."""
    n, (W, V, vW, vV) = Z.shape[1] - 1, forward_tangent(Z, P, Q, vZ, vP, vQ)[2]
    M, k = np.append(np.ones(n), 0.0), lambda line: float(drop not in (line, "every d"))
    dA, dV = dout @ V.mT / n * M, W.mT @ dout / n
    hA = (hout @ V.mT + k("4.5") * dout @ vV.mT) / n * M  # (4.5), (4.10)
    hV = (W.mT @ hout + k("4.6") * vW.mT @ dout) / n  # (4.6)
    hP = hV.mT @ Z + k("4.8") * dV.mT @ vZ  # (4.8)
    both = vZ.mT @ dA.mT @ Z + Z.mT @ dA.mT @ vZ
    hQ = Z.mT @ hA.mT @ Z + k("4.11") * both  # (4.11)
    hZ = hout + hV @ P + k("4.9") * dV @ vP  # (4.7), (4.9)
    hZ = hZ + hA @ Z @ Q + k("4.12") * (dA @ vZ @ Q + dA @ Z @ vQ)  # (4.12)
    read = dA.mT @ vZ @ Q.T + dA.mT @ Z @ vQ.T
    hZ = hZ + hA.mT @ Z @ Q.T + k("4.13") * read  # (4.13)
    dZ = dout + dV @ P + dA @ Z @ Q + dA.mT @ Z @ Q.T
    return dZ, hZ, hP.sum(axis=0), hQ.sum(axis=0)


# %% [markdown]
# And the library's `attention.tangent` and `attention.backward_tangent`, the same with a head axis.

# %%
rng = np.random.default_rng(SEED)
Zs, vZs, douts, houts = rng.standard_normal((4, 3, 8, 6))  # B = 3, N = 8, D = 6
P, Q, vP, vQ = rng.standard_normal((4, 6, 6))
each = [tangents_by_loops(douts[b], houts[b], Zs[b], P, Q, vZs[b], vP, vQ) for b in range(3)]
vout, hZ, hP, hQ = zip(*each, strict=True)
loops = np.stack(vout), np.stack(hZ), sum(hP), sum(hQ)
matrices = (forward_tangent(Zs, P, Q, vZs, vP, vQ)[1],
            *backward_tangent(douts, houts, Zs, P, Q, vZs, vP, vQ)[1:])
_, tape = la.attention.forward(Zs, P[None], Q[None])
vout, vtape = la.attention.tangent(vZs, vP[None], vQ[None], tape)
hZ, hP, hQ = la.attention.backward_tangent(douts, houts, tape, vtape)
library = vout, hZ, hP[0], hQ[0]
gap = lambda a, b: f"{np.abs(a - b).max() / np.abs(b).max():.0e}"
table(("tangent", "loops against matrices", "matrices against library"),
      [(name, gap(a, b), gap(b, c)) for name, a, b, c in
       zip(("vZ'", "hZ", "hP", "hQ"), loops, matrices, library, strict=True)])

# %% [markdown]
# **The stack.** Up with $Z$ and $vZ$, down with $dZ$ and $hZ$. `to_full` puts the blocks into their corners, `to_full_tangent` does so for a
# direction, with zeros in the corners.

# %%
def product(params, Z, y, v, drop=None):
    """H v, like params (L, 1, 2, d, d)."""
    d, D, steps = params.shape[-1], Z.shape[-1], []
    matrices = la.transformer.to_full(params, D)[:, 0]  # (L, 2, D, D)
    directions = la.transformer.to_full_tangent(v, D)[:, 0]
    vZ = np.zeros(Z.shape)
    for (P, Q), (vP, vQ) in zip(matrices, directions, strict=True):
        steps.append((Z, P, Q, vZ, vP, vQ))
        Z, vZ, _ = forward_tangent(*steps[-1])
    dZ = la.attention.readout_backward(2 / len(y) * (la.attention.readout(Z) - y), Z)
    hZ = la.attention.readout_backward(2 / len(y) * la.attention.readout(vZ), Z)  # (4.16)
    out = np.zeros(params.shape)
    for l in reversed(range(len(steps))):
        dZ, hZ, hP, hQ = backward_tangent(dZ, hZ, *steps[l], drop)
        out[l, 0] = hP[:d, :d], hQ[:d, :d]
    return out


# %%
units = np.eye(params.size).reshape(-1, *params.shape)
H = np.stack([product(params, Z, y, e).ravel() for e in units], axis=1)  # (150, 150)
without = np.stack([product(params, Z, y, e, "every d").ravel() for e in units], axis=1)
table(("compared", "relative difference"), [
    ("150 products of yours and la.hessian", gap(H, H_library)),
    ("H and its transpose", gap(H, H.T)),
    ("yours without the d terms, and Gauss-Newton",
     gap(without, pictures.gauss_newton(params, Z, y))),
])

# %% [markdown]
# And the cost, counted on one layer: the library's own functions are run on arrays that count the products they take part in.

# %%
def gradient_of_a_layer(Z, P, Q):
    _, tape = la.attention.forward(Z, P[None], Q[None])
    return la.attention.backward(Z, tape)


def product_of_a_layer(Z, P, Q):
    _, tape = la.attention.forward(Z, P[None], Q[None])
    _, vtape = la.attention.tangent(Z, P[None], Q[None], tape)
    return la.attention.backward_tangent(Z, Z, tape, vtape)


one_gradient = pictures.count_products(gradient_of_a_layer, Z, P, Q)
one_product = pictures.count_products(product_of_a_layer, Z, P, Q)
table(("one layer", "matrix products", "multiply-adds"), [
    ("gradient", *one_gradient), ("H v", *one_product),
    ("H v over gradient",
     *(f"{b / a:.2f}" for a, b in zip(one_gradient, one_product, strict=True)))])

# %% [markdown]
# Why are the diagonals of all nine $Q'Q'$ blocks dark red? At small weights the three layers act alike: the prediction is about $-r_b^\top (Q'_0 + Q'_1 + Q'_2)\, x_b$ with
# $r_b = \frac{1}{n} \sum_j y_j x_j$. So all nine share the Gauss-Newton part $\frac{2}{B} \sum_b r_b r_b^\top \otimes x_b x_b^\top$, whose mean is, by (1.9) of lesson 01,
# $2 \left(1 + \frac{d+1}{n}\right) I = 2.6\, I$. Between different layers the second part of (4.17) comes on top. What section 2 promised, as numbers:

# %%
def block(H, a, b):
    """The 25 x 25 block of H for the names a and b."""
    at = pictures.BLOCKS.index
    return H.reshape(6, 25, 6, 25)[at(a), :, at(b)]


rows = []
for name in pictures.BLOCKS:
    values = np.linalg.eigvalsh(block(H, name, name))
    size = np.abs(values).max()
    rows.append((name, float(size), float(values[0]), float(values[-1]),
                 int((values < -1e-12 * size).sum())))
table(("diagonal block", "size", "smallest eigenvalue", "largest", "negative, of 25"), rows)
K = np.block([[block(H, p, q) for q in ("Q0", "Q1", "Q2")] for p in ("P0", "P1")])
values = np.linalg.eigvalsh(H)
counts = [int(which.sum()) for which in (values < -1e-12, values > 1e-12)]
reveal("04.p2", counts[0], f"The rank of K in (4.19) is {np.linalg.matrix_rank(K)}; "
                           f"{150 - sum(counts)} eigenvalues are zero, {counts[1]} positive.")

# %% [markdown]
# ## 5. Audit it
#
# The tests, in mathematics. The gradient of lesson 02 has been audited, so its complex step is an oracle for $H v$. A Hessian is
# symmetric. And along a line the remainder after *two* terms must fall with slope 3, one more than in (3.7) of lesson 03:
#
# $$ H v = \frac{1}{h} \mathrm{Im}\, \nabla f(\theta + i h v), \qquad u^\top H v = v^\top H u \tag{4.20} $$
# $$ R_2(t) = \Big| \varphi(t) - \varphi(0) - t \langle g, v \rangle - \frac{t^2}{2} v^\top H v \Big| \sim t^3 \tag{4.21} $$
#
# We run them on your product, then leave out the $d$ term of one line after the other. The weights are larger here, so that every line counts.

# %%
rng = np.random.default_rng(SEED)
few = la.RegressionTask(n=20, d=5).sample(30, rng)
theta, u, v = 0.3 * rng.standard_normal((3, 3, 1, 2, 5, 5))
gradient = lambda at: la.loss_and_grad(at, *few, backend="numpy")[1]
oracle = gradient(theta + 1e-30j * v).imag / 1e-30
t = 2.0 ** -np.arange(9, 15)
rise = np.array([la.loss(theta + s * v, *few) for s in t]) - la.loss(theta, *few)
rise -= t * (gradient(theta) * v).sum()


def judged(drop):
    Hv, Hu = (product(theta, *few, x, drop) for x in (v, u))
    left, right = (u * Hv).sum(), (v * Hu).sum()
    R = np.abs(rise - t**2 / 2 * (v * Hv).sum())
    error, uneven = gap(Hv, oracle), abs(left - right) / max(abs(left), abs(right))
    return error, f"{uneven:.0e}", f"{np.polyfit(np.log(t), np.log(R), 1)[0]:.2f}"


lines = (None, "4.5", "4.6", "4.8", "4.9", "4.11", "4.12", "4.13", "every d")
table(("d term dropped in", "error of H v", "asymmetry", "slope of R"),
      [(line or "none: yours", *judged(line)) for line in lines])

# %% [markdown]
# The complex step and the slope catch every one. (4.5) and (4.6) cost the same asymmetry, and so do (4.8) and (4.9): each pair holds the two halves of one
# mixed derivative. The symmetry catches all but the last row: with every $d$ term gone the product is that of the Gauss-Newton part of (4.17), which is
# symmetric too. **A symmetric matrix is not yet the Hessian.**
#
# **Finite differences.** How good is $\frac{1}{2h} (\nabla f(\theta + h v) - \nabla f(\theta - h v))$, the way that needs no second derivation? Beside the exact product:

# %%
steps, exact = np.logspace(-1, -12, 23), product(theta, *few, v)
relative = lambda a: np.abs(a - exact).max() / np.abs(exact).max()
forward = [relative((gradient(theta + h * v) - gradient(theta)) / h) for h in steps]
central = [relative((gradient(theta + h * v) - gradient(theta - h * v)) / (2 * h))
           for h in steps]
show(pictures.errors_of_differences(steps, {"forward difference": forward,
                                            "central difference": central}, relative(oracle)),
     "Relative error of H v against the step: the forward difference turns near 1e-8, "
     "the central one near 1e-5 with an error of 1e-10, the exact product is at 1e-15.")

# %% [markdown]
# The best central step leaves ten digits, and it was chosen by looking at the answer: with a step a hundred times larger or smaller, six to
# eight are left. The exact product has no step to choose.
#
# ## 6. Experiment
#
# One question: what happens to the Hessian while the model learns? One knob: the iteration. Setting 1 of the paper, Adam, several seeds; at
# each snapshot the exact Hessian on one fixed batch. We count negative eigenvalues, and ask what share of $\|H\|_F^2$ lies on the diagonal, and
# what share in the six diagonal blocks.

# %%
seeds, every = by_profile(2, 5, 20), 50
count = by_profile(100, 300)
Zt, yt = setting.task.sample(by_profile(50, 200), np.random.default_rng(SEED))
with bar(seeds, "runs", unit="run") as shown:
    curves = []
    for seed in range(seeds):
        adam = la.optimizers.Adam(0.02, beta1=0.9, beta2=0.9)
        history = la.train(setting.task, adam, count, batch=200, seed=seed,
                           record_every=every, progress=False)
        times, weights = history.snapshot_array()
        curves.append([(la.loss(x, Zt, yt), la.hessian(x, Zt, yt)) for x in weights])
        shown.update()
hessians = np.array([[found for _, found in run] for run in curves])  # (seeds, T, 150, 150)
test_loss = np.array([[value for value, _ in run] for run in curves])

# %%
spectra = np.linalg.eigvalsh(hessians)  # (seeds, T, 150), ascending
rounding = 1e-12 * np.abs(spectra).max(axis=-1, keepdims=True)
negative = (spectra < -rounding).sum(axis=-1)
square = (hessians**2).sum(axis=(2, 3))
by_block = hessians.reshape(*square.shape, 6, 25, 6, 25) ** 2
inside = sum(by_block[:, :, i, :, i].sum(axis=(2, 3)) for i in range(6)) / square
diagonal = (np.diagonal(hessians, axis1=2, axis2=3) ** 2).sum(axis=-1) / square
curves_of = {"largest": spectra[..., -1], "minus smallest": -spectra[..., 0],
             "negative": negative, "six blocks": inside, "diagonal entries": diagonal}
quartiles = {name: np.quantile(x, [0.25, 0.5, 0.75], axis=0) for name, x in curves_of.items()}
show(pictures.while_learning(times, quartiles, seeds),
     "Three panels against the iteration. The largest eigenvalue falls about tenfold, the "
     "most negative one about twentyfold; 40 to 60 stay negative; the six blocks hold 20 to "
     "60 percent of the squared norm, the diagonal entries about 20.")

# %%
def draw_iteration(iteration):
    at = list(times).index(iteration)
    title = (f"iteration {iteration}: loss {test_loss[0, at]:.2g}, "
             f"{negative[0, at]} negative eigenvalues")
    return pictures.hessian_with_key(hessians[0, at], title, width=5.2)


slider(draw_iteration, "The Hessian of one run, coloured as above: after 100 iterations the "
                       "block of P0 is among the strongest, P2 is still grey.",
       iteration=knob([int(time) for time in times], 100, "iteration"))

# %% [markdown]
# The largest eigenvalue falls about tenfold, the most negative one about twentyfold. With the errors fades the second part of (4.17), and with it the
# size of the negative curvature. But the *number* of negative eigenvalues hardly changes: 40 to 60 of the 125 living directions curve downwards
# all the time.
#
# The block of $P'_0$, nearly white at the start, is among the strongest after 100 iterations: (4.18) holds for small weights only. And the diagonal, the only part of $H$ from
# which the paper's condition number is read, holds a fifth of $\|H\|_F^2$.
#
# ## 7. The paper and us
#
# The paper computes Hessians by automatic differentiation, for its robust condition number; lesson 09 is about that number. Here we compare
# facts of the model that its released code shows, with the Hessian of this lesson at the initial weights.

# %%
sizes = np.abs(np.diag(H))  # in the order of params: P', Q' of each layer
in_P = np.tile(np.repeat([True, False], 25), 3)
facts([
    ("size of the Hessian for 3 layers and d = 5", "released code", "(150, 150)", H.shape),
    ("zeros on its diagonal", "released code", 25, int((sizes == 0).sum())),
    ("entries of P' among the 75 smallest of the diagonal", "released code", 75,
     int(in_P[np.argsort(sizes)[:75]].sum())),
])

# %% [markdown]
# ## 8. Exercises
#
# Six cards. Write your answer in the cell under a card, run it, then the check.

# %% [markdown]
# ### Exercise 04.1 (derive, level 3, 15 min)
#
# Two layers, $d = 1$, two examples, all covariates 1, $w = 1$. With $p = P'_0$, $q = Q'_0$, $r = Q'_1$ the prediction is
# $-\left( q + r (1 + p q)^2 (1 + q) \right)$, and the answer asked for is 1. Confirm the formula. Then find the $3 \times 3$ Hessian of the loss by
# (4.17), in the order $p, q, r$, at $p = q = 1$, $r = -1$. *Done:* nine integers.
#
# <details><summary>Hint 1</summary>After one layer the covariates are 1 + pq, the labels of the examples 1 + q, that of the query q.</details>
# <details><summary>Hint 2</summary>The prediction is 7 and the error 6. The first derivatives are 8, 11 and -8.</details>
# <details><summary>Hint 3</summary>The second derivatives of the prediction: 4, 16, -8 in the first row, 12 and -12, and 0.</details>

# %%
### BEGIN SOLUTION
slopes = np.array([8, 11, -8])
bends = np.array([[4, 16, -8], [16, 12, -12], [-8, -12, 0]])
two_layers = 2 * (np.outer(slopes, slopes) + 6 * bends)
### END SOLUTION
check("04.1", two_layers)

# %% [markdown]
# ### Exercise 04.2 (code, level 2, 10 min)
#
# Write the tangent of one layer on a batch, (4.1) to (4.4), from memory. *Done:* right at sizes that you do not know.
#
# <details><summary>Hint 1</summary>Three terms in vA, two in vV, two in the sum, and the residual: eight in all.</details>

# %%
def layer_tangent(Z, P, Q, vZ, vP, vQ):
    ### BEGIN SOLUTION
    n = Z.shape[1] - 1
    M = np.append(np.ones(n), 0.0)
    W, V = Z @ Q.T @ Z.mT * M, Z @ P.T
    vW = (vZ @ Q.T @ Z.mT + Z @ vQ.T @ Z.mT + Z @ Q.T @ vZ.mT) * M
    return vZ + (vW @ V + W @ (vZ @ P.T + Z @ vP.T)) / n
    ### END SOLUTION


# %%
check("04.2", layer_tangent)

# %% [markdown]
# ### Exercise 04.3 (find the bug, level 3, 15 min)
#
# With this pass the Hessian comes out symmetric, with no negative eigenvalue, and its author is pleased. Use the complex step of
# `la.attention.backward` to find out what is missing, and where. *Done:* $hZ$, $hP$, $hQ$ are right.
#
# <details><summary>Hint 1</summary>What does it do with dout?</details>
# <details><summary>Hint 2</summary>Seven lines have lost their d terms. Each old factor moves too.</details>

# %%
def found_backward_tangent(dout, hout, Z, P, Q, vZ, vP, vQ):
    n = Z.shape[1] - 1
    M = np.append(np.ones(n), 0.0)
    _, _, (W, V, vW, vV) = forward_tangent(Z, P, Q, vZ, vP, vQ)
    hA, hV = hout @ V.mT / n * M, W.mT @ hout / n
    hZ = hout + hV @ P + hA @ Z @ Q + hA.mT @ Z @ Q.T
    return hZ, (hV.mT @ Z).sum(axis=0), (Z.mT @ hA.mT @ Z).sum(axis=0)


# %%
def repaired_backward_tangent(dout, hout, Z, P, Q, vZ, vP, vQ):
    ### BEGIN SOLUTION
    n = Z.shape[1] - 1
    M = np.append(np.ones(n), 0.0)
    _, _, (W, V, vW, vV) = forward_tangent(Z, P, Q, vZ, vP, vQ)
    dA, hA = dout @ V.mT / n * M, (hout @ V.mT + dout @ vV.mT) / n * M
    dV, hV = W.mT @ dout / n, (W.mT @ hout + vW.mT @ dout) / n
    hP = hV.mT @ Z + dV.mT @ vZ
    hQ = vZ.mT @ dA.mT @ Z + Z.mT @ hA.mT @ Z + Z.mT @ dA.mT @ vZ
    hZ = hout + hV @ P + dV @ vP + hA @ Z @ Q + dA @ vZ @ Q + dA @ Z @ vQ
    hZ = hZ + hA.mT @ Z @ Q.T + dA.mT @ vZ @ Q.T + dA.mT @ Z @ vQ.T
    return hZ, hP.sum(axis=0), hQ.sum(axis=0)
    ### END SOLUTION


# %%
check("04.3", repaired_backward_tangent)

# %% [markdown]
# ### Exercise 04.4 (code, level 1, 5 min)
#
# Make the matrix out of the product: `product(v)` takes and returns arrays of `shape`, and you return a matrix. The product
# that the check hands you is linear and *not* symmetric, so that rows and columns differ. *Done:* the check passes.
#
# <details><summary>Hint 1</summary>Column j is the product with the j-th unit vector, both in the default order of reshape.</details>

# %%
def hessian_from(product, shape):
    ### BEGIN SOLUTION
    p = int(np.prod(shape))
    return np.stack([product(e.reshape(shape)).ravel() for e in np.eye(p)], axis=1)
    ### END SOLUTION


# %%
check("04.4", hessian_from)

# %% [markdown]
# ### Exercise 04.5 (derive, level 3, 15 min)
#
# One layer: by exercise 02.5 the prediction is $-r_b^\top Q' x_b$, with $r_b = \frac{1}{n} \sum_j y_j x_j$ and the query $x_b$. Use (4.17) to write the
# Hessian by the entries of $Q'$ as a function of `Z`. Why is there no `y` and no `Q'` in it? *Done:* $(d^2, d^2)$, C order.
#
# <details><summary>Hint 1</summary>The gradient of the prediction is minus the outer product of r and x.</details>
#
# <!-- ### BEGIN SOLUTION -->
# <details><summary>Solution</summary>The prediction is linear in Q', so its second derivative is zero and the error drops out. What is left is
# (2/B) Σ J Jᵀ, with J the 25 entries of r xᵀ written in a row. The sign of J cancels.</details>
# <!-- ### END SOLUTION -->

# %%
def one_layer_hessian(Z):
    ### BEGIN SOLUTION
    r = (Z[:, :-1, -1:] * Z[:, :-1, :-1]).mean(axis=1)  # (B, d)
    J = np.einsum("ba,bc->bac", r, Z[:, -1, :-1]).reshape(len(Z), -1)  # (B, d d)
    return 2 / len(Z) * J.T @ J
    ### END SOLUTION


# %%
check("04.5", one_layer_hessian)

# %% [markdown]
# ### Exercise 04.6 (experiment, level 2, 10 min)
#
# Is (4.18) right about $P'_0 P'_0$? Measure the power of $\sigma$ with which the norm of that block shrinks. *Done:* within 10 percent.
#
# <details><summary>Hint 1</summary>block(la.hessian(...), "P0", "P0") is the block. Take sigmas well below 0.05, and medians over seeds.</details>
# <details><summary>Hint 2</summary>The slope is np.polyfit(np.log(sigmas), np.log(medians), 1)[0].</details>

# %%
def measure_power():
    ### BEGIN SOLUTION
    small, medians = np.array([0.002, 0.004, 0.008]), []
    for sigma in small:
        starts = [la.init_params(np.random.default_rng(seed), std=sigma) for seed in range(5)]
        sizes = [np.linalg.norm(block(la.hessian(x, Z, y), "P0", "P0")) for x in starts]
        medians.append(np.median(sizes))
    return np.polyfit(np.log(small), np.log(medians), 1)[0]
    ### END SOLUTION


# %%
### BEGIN SOLUTION
power = measure_power()
### END SOLUTION
check("04.6", power)

# %% [markdown]
# ## 9. Exit ticket
#
# Write the letters in quotes.
#
# **t1.** What does one product $H v$ cost?
#
# - (a) one entry of $H$ after the other
# - (b) about three gradients
# - (c) 150 gradients
# - (d) as much as one forward pass
#
# **t2.** Your $H$ comes out symmetric to the last digit. What follows?
#
# - (a) it is the Hessian
# - (b) it has no negative eigenvalue
# - (c) it may still be another symmetric matrix
# - (d) nothing at all
#
# **t3.** Why has the diagonal block of the last layer's $Q'$ no negative eigenvalue?
#
# - (a) the prediction is linear in it
# - (b) it is the dead block
# - (c) the weights are small
# - (d) the loss is positive

# %%
### BEGIN SOLUTION
t1 = "b"
t2 = "c"
t3 = "a"
### END SOLUTION
check("04.t1", t1)
check("04.t2", t2)
check("04.t3", t3)

# %% [markdown]
# **Further reading**
#
# - Pearlmutter, *Fast exact multiplication by the Hessian*, Neural Computation 6, 1994. The product as the derivative of a backward
#   pass, for networks of the time.
# - Martens, *New insights and perspectives on the natural gradient method*, JMLR 21, 2020. What the Gauss-Newton part of (4.17) is good for.
# - Benzi, Golub and Liesen, *Numerical solution of saddle point problems*, Acta Numerica 14, 2005. Matrices such as the one in (4.19), and their
#   eigenvalues of both signs.
# - Lessons 09 to 11 read numbers off this matrix: the robust condition number, and the curvature along a step.
