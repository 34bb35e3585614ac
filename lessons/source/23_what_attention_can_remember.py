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
# # Lesson 23. What attention can remember
#
# **Claim.** Linear attention of width $D$ answers $L$ unforeseeable bits with an error of at least $1 - D^2 / L$, and training gets there; so it needs $D = \sqrt{L}$, and its cost is of order $L^2$ again, while softmax attention does it at width 3.
#
# | read | code | run | level | needs | seed |
# |---|---|---|---|---|---|
# | 30 min | 65 min | 1 min | 2 of 5 | 02, 03, 05, 06, 14 | 23 |
#
# **Misconception.** Linear attention saves computation, because its cost grows with L and not with L squared.
#
# **Afterwards you can say.** Linear attention keeps D times D numbers, so what it can do with L items is a matrix of rank at most D squared; to answer L unforeseeable questions that matrix must be the identity, which has rank L, and no training changes a rank. (t2)
#
# <details><summary>Symbols of this lesson</summary>
#
# | symbol | meaning |
# |---|---|
# | $L$, $D$ (here) | number of bits to remember; width of keys, queries and values |
# | $s_i$ (here) | bit at position $i$, $+1$ or $-1$ with equal chance, independent of the others |
# | $q_j$, $k_i$, $u_j$, $r_i$ (here) | learned rows: query and key; reader of values and value. $Q$, $K$, $U$, $R$ are their tables, $L \times D$ |
# | $M$ (here) | what queries do with items: answer $j$ is $\sum_i M_{ji} s_i$ |
# | $A$, $W$ (here) | the two factors of $M$: weights from keys, and what the values add |
# | $\circ$ | product entry by entry |
# | $S$ (here) | scores: products of queries and keys |
# | $\phi$ (here) | feature map, $\phi(x) = x + 1$ above 0 and $e^x$ below |
# | $m$ (here) | how far back a local program looks |
#
# </details>
#
# You will prove a floor under the error of linear attention in four lines, train attention until it stands on the floor, and see what a program makes of it that must read its own earlier answers.

# %%
import numpy as np

import linattn_np as la
from linattn_np.experiments.papers.what_attention_can_remember import closed_loop, constructions
from linattn_np.experiments.papers.what_attention_can_remember import readout, recall
from linattn_np.progress import bar
from linattn_np.teaching import by_profile, check, knob, loaded, moving, paper_and_us, predict
from linattn_np.teaching import reveal, show, symbols, table, versions
from linattn_np.teaching.pictures import lesson_23 as pictures

SEED = 23
versions(SEED)
symbols("dX vX")

# %% [markdown]
# ## 1. Predict
#
# A sequence holds 64 bits, drawn at random, one at each position. Query $j$ asks for bit $j$. Keys, queries and values may be *any* tables of numbers: they are trained, with an exact gradient. An answer that is always 0 has a mean squared error of 1.
# Two guesses: how small can the error of linear attention get at width 6? And what is the smallest width at which softmax attention has no error to speak of, 0.02 or less?

# %%
### BEGIN SOLUTION
error_guess = 0.1
width_guess = 6
### END SOLUTION
predict("23.p1", "Linear attention, width 6, 64 bits: its error after training", error_guess)
predict("23.p2", "Softmax attention, 64 bits: the smallest width that is enough", width_guess)

# %% [markdown]
# Here is what trained linear attention does with 36 items. Dark in row $j$, column $i$ means that query $j$ looks at item $i$. What is wanted is the diagonal and nothing else.

# %%
L_small = 36
trained = {D: recall.fit(L_small, D, "linear", range(2)) for D in range(1, 8)}
best = {D: int(np.argmin(errors)) for D, (_, errors) in trained.items()}
matrix = {D: readout.forward(tables, "linear")[0][best[D]]
          for D, (tables, _) in trained.items()}
error = {D: float(errors[best[D]]) for D, (_, errors) in trained.items()}
show(pictures.draw_matrices({f"D = {D}: error {error[D]:.3f}": matrix[D]
                             for D in (2, 4, 5, 6)}),
     "Four matrices of 36 queries by 36 items. At width 2 a few smeared blocks, at 4 and 5 a "
     "diagonal with much grey beside it, at width 6 the diagonal alone.")

# %% [markdown]
# At width 6 it is the diagonal alone, at 5 it is not, and $6 = \sqrt{36}$. Why there?

# %% [markdown]
# ## 2. Derive
#
# **One answer.** Item $i$ has a key $k_i$ and the value $s_i r_i$; query $j$ weighs it with $A_{ji}$ and reads the value with $u_j$, as $W_{ji} = u_j \cdot r_i$. So the answer is $\sum_i A_{ji} W_{ji} s_i$, linear in the bits:
#
# $$ \mathrm{answer} = M s, \qquad M = A \circ W \tag{23.1} $$
#
# **The error, without sampling.** The bits are independent, with mean 0 and square 1. So $\mathbb{E}[s_i s_{i'}]$ is 1 for $i = i'$ and 0 otherwise, and of the square of $\sum_i (M_{ji} - I_{ji}) s_i$ only the squares are left:
#
# $$ f = \frac{1}{L}\, \mathbb{E}\, \| M s - s \|^2 = \frac{1}{L}\, \| M - I \|^2 \tag{23.2} $$
#
# with the sum of all squared entries. The loss is a formula; no bit is ever drawn, and what keeps it up is no noise.
#
# **What is kept.** In linear attention $A_{ji} = q_j \cdot k_i / \sqrt{D}$. Both factors are sums of products, so the items can be added up before anybody asks:
#
# $$ \mathrm{answer}_j = \frac{1}{\sqrt{D}}\; q_j^\top \Big( \sum_i k_i\, (s_i r_i)^\top \Big) u_j \tag{23.3} $$
#
# The bracket is the state of lesson 05: $D \times D$ numbers, however many items went in. That is the promise, and the catch.
#
# **The rank.** Write the products out: $M_{ji} = \sum_{a,b} (q_{ja} u_{jb}) (k_{ia} r_{ib}) / \sqrt{D}$. Each pair $(a, b)$ adds a column times a row, and there are $D^2$ pairs:
#
# $$ \mathrm{rank}\, M \le D^2 \tag{23.4} $$
#
# **The floor.** $M$ has a null space of dimension at least $L - D^2$. On a unit vector $v$ of it $(M - I) v = -v$. Take an orthonormal basis that begins with such vectors; the sum of squares is the same in any orthonormal basis, so
#
# $$ f = \frac{1}{L} \| M - I \|^2 \ge \max\Big( 0,\; 1 - \frac{D^2}{L} \Big) \tag{23.5} $$
#
# No step used how $q, k, u, r$ came about. Whatever the training, no point lies lower.
#
# **Enough.** Let $D = \sqrt{L}$, and give item $i$ a place in the state: row $i \,\mathrm{div}\, D$, column $i \bmod D$. With unit vectors $e$,
#
# $$ k_i = e_{\mathrm{row}(i)}, \quad r_i = e_{\mathrm{column}(i)}, \quad q_j = \sqrt{D}\, e_{\mathrm{row}(j)}, \quad u_j = e_{\mathrm{column}(j)} \quad \Rightarrow \quad M = I \tag{23.6} $$
#
# The state is the bits themselves, $D$ to a row. So $\sqrt{L}$ is needed and enough.
#
# Turn the width, and watch the diagonal appear:

# %%
asked = closed_loop.programs(by_profile(100, 1000), L_small, np.random.default_rng(SEED))
final = {D: closed_loop.final_accuracy(M, asked) for D, M in matrix.items()}
floors = {D: recall.floor(L_small, D) for D in matrix}
moving(lambda D: pictures.draw_width(D, matrix[D], error, floors, final[D]),
       "Left, what 36 queries do with 36 items; right, the error against the width, on its "
       "floor.",
       D=knob(tuple(matrix), 4, "width D"))

# %% [markdown]
# The sentence under the picture speaks of a program; section 6 says what it is.
#
# **Four kinds.** Values may be missing: then $W$ is all ones, the bit itself is the value, and only the keys tell items apart.
#
# $$ W = U R^\top \quad \text{or} \quad W_{ji} = 1 \;\; \text{("plain")} \tag{23.7} $$
#
# With all scores in $S = Q K^\top$, or $S = \phi(Q) \phi(K)^\top$ for "elu", the weights are
#
# $$ A = \frac{S}{\sqrt{D}} \quad \text{("linear" and "plain")} \tag{23.8} $$
#
# $$ A_{ji} = \frac{e^{S_{ji}}}{\sum_l e^{S_{jl}}} \quad \text{("softmax", without values)} \tag{23.9} $$
#
# $$ A_{ji} = \frac{S_{ji}}{\sum_l S_{jl}} \quad \text{("elu", with values)} \tag{23.10} $$
#
# A division of rows multiplies $M$ by a diagonal matrix and leaves its rank: (23.5) holds for "elu" too. For "plain" the rank is at most $D$, and the floor $1 - D/L$. For softmax there is none: $e^{S}$ of a matrix of rank 2 can have rank $L$. It keeps all keys, $L D$ numbers, and compares with each of them.
#
# **The gradient.** Of (23.1), with $dM$ given:
#
# $$ dA = dM \circ W \tag{23.11} $$
# $$ dW = dM \circ A \tag{23.12} $$
# $$ dU = dW\, R, \qquad dR = dW^\top U \tag{23.13} $$
#
# Back through the weights to the scores, for the three formulas in turn (the softmax as in (14.12)):
#
# $$ dS = dA / \sqrt{D} \tag{23.14} $$
# $$ dS_{ji} = A_{ji} \Big( dA_{ji} - \sum_l dA_{jl} A_{jl} \Big) \tag{23.15} $$
# $$ dS_{ji} = \Big( dA_{ji} - \sum_l dA_{jl} A_{jl} \Big) \Big/ \sum_l S_{jl} \tag{23.16} $$
#
# and at both ends, with $\phi' = 1$ where there is no feature map:
#
# $$ dM = \frac{2}{L} (M - I) \tag{23.17} $$
# $$ dQ = (dS\, \phi(K)) \circ \phi'(Q), \qquad dK = (dS^\top \phi(Q)) \circ \phi'(K) \tag{23.18} $$
#
# > **Where people slip**
# > - *"The state has $D^2$ numbers, so $D$ items fit."* $D^2$ items fit, if keys *and* values tell them apart.
# > - *"A longer training would do."* A floor is no plateau.
# > - *Transposes.* $dR$ belongs to items, which are the columns of $M$; $dU$ to queries, its rows.
# > - *Counting cost at a fixed width.* The width that is needed grows with $L$.

# %% [markdown]
# ## 3. On paper
#
# Two bits, width 1: $Q = (1, 2)$, $K = (1, -1)$, $U = (2, 1)$, $R = (1, 3)$, all columns. Then
#
# $$ A = \begin{pmatrix} 1 & -1 \\ 2 & -2 \end{pmatrix}, \quad W = \begin{pmatrix} 2 & 6 \\ 1 & 3 \end{pmatrix}, \quad M = \begin{pmatrix} 2 & -6 \\ 2 & -6 \end{pmatrix}, \quad f = \tfrac{1}{2} (1 + 36 + 4 + 49) = 45 . $$
#
# The rows of $M$ are multiples of each other, as rank 1 says, and the floor is $1 - \frac{1}{2}$. Backward, with $dM = M - I$:
#
# $$ dM = \begin{pmatrix} 1 & -6 \\ 2 & -7 \end{pmatrix}, \quad dS = dA = \begin{pmatrix} 2 & -36 \\ 2 & -21 \end{pmatrix}, \quad dW = \begin{pmatrix} 1 & 6 \\ 4 & 14 \end{pmatrix} $$
#
# $$ dQ = (38, 23), \quad dK = (6, -78), \quad dU = (19, 46), \quad dR = (6, 26) $$

# %%
paper_tables = np.array([[[1.0], [2]], [[1], [-1]], [[2], [1]], [[1], [3]]])  # q, k, u, r
f_paper, grad_paper = readout.loss_and_grad(paper_tables, "linear")
print("f =", f_paper, "  dQ, dK, dU, dR =", grad_paper[..., 0].astype(int).tolist())
state = constructions.state_after(constructions.packed(4), np.array([1.0, -1, -1, 1]))
print("four bits packed into the state of width 2:", state.astype(int).tolist())

# %% [markdown]
# ## 4. Code it
#
# Three ways to the same answers: sums over items; the matrix $M$; and the state, which never holds $M$.

# %%
def by_loops(q, k, u, r, s):
    """(23.1), answer by answer: (L,)."""
    L, D = q.shape
    answers = np.zeros(L)
    for j in range(L):
        for i in range(L):
            answers[j] += (q[j] @ k[i]) / np.sqrt(D) * (u[j] @ r[i]) * s[i]
    return answers


def by_matrix(q, k, u, r, s):
    """(23.1) with (23.7) and (23.8)."""
    return (q @ k.T / np.sqrt(q.shape[1]) * (u @ r.T)) @ s


rng = np.random.default_rng(SEED)
tables, s = rng.standard_normal((4, 11, 3)), rng.integers(2, size=11) * 2.0 - 1
library = readout.forward(tables, "linear")[0] @ s
from_state = constructions.read_state(tables, constructions.state_after(tables, s))  # (23.3)
table(("compared", "largest difference"), [
    ("loops and matrix", f"{np.abs(by_loops(*tables, s) - by_matrix(*tables, s)).max():.0e}"),
    ("matrix and library", f"{np.abs(by_matrix(*tables, s) - library).max():.0e}"),
    ("library and state", f"{np.abs(library - from_state).max():.0e}"),
])

# %% [markdown]
# Then the gradient of (23.2), line for line.

# %%
def loss(theta):
    """(23.2) for linear attention; theta holds q, k, u, r."""
    L, D = theta["q"].shape
    M = theta["q"] @ theta["k"].T / np.sqrt(D) * (theta["u"] @ theta["r"].T)
    return ((M - np.eye(L)) ** 2).sum() / L


def gradient(theta):
    q, k, u, r = (theta[name] for name in "qkur")
    L, D = q.shape
    A, W = q @ k.T / np.sqrt(D), u @ r.T
    dM = 2 * (A * W - np.eye(L)) / L  # (23.17)
    dA, dW = dM * W, dM * A  # (23.11), (23.12)
    dS = dA / np.sqrt(D)  # (23.14)
    return {"q": dS @ k, "k": dS.T @ q,  # (23.18)
            "u": dW @ r, "r": dW.T @ u}  # (23.13)


theta = dict(zip("qkur", tables, strict=True))
ours, theirs = gradient(theta), readout.loss_and_grad(tables, "linear")[1]
gaps = [np.abs(ours[name] - grad).max() for name, grad in zip("qkur", theirs, strict=True)]
print("ours and the library's:", *(f"{gap:.0e}" for gap in gaps))

# %% [markdown]
# ## 5. Audit it
#
# The test: for generic tables and a generic direction $v$, the imaginary part of $f(\theta + i h v) / h$ is $\langle \nabla f, v \rangle$, to the last digits. And the proof is tested too, on random tables: the rank of $M$, and its distance to $I$, must keep to (23.4) and (23.5).

# %%
def planted(theta):
    """A transposition: r is taken to belong to the queries."""
    wrong = gradient(theta)
    L, D = theta["q"].shape
    A = theta["q"] @ theta["k"].T / np.sqrt(D)
    dM = 2 * (A * (theta["u"] @ theta["r"].T) - np.eye(L)) / L
    return {**wrong, "r": (dM * A) @ theta["u"]}


rows = []
for name, backward in (("gradient", gradient), ("planted", planted)):
    report = la.audit.audit_gradient(loss, backward, theta)
    wrong = sorted({row.quantity for row in report.rows
                    if row.verdict == "WRONG" and row.quantity in ("dq", "dk", "du", "dr")})
    rows.append((name, report.verdict, ", ".join(wrong)))
table(("what", "verdict", "wrong"), rows)

# %%
rows, draws = [], by_profile(20, 200)
for kind, L, D in (("linear", 17, 3), ("elu", 17, 3), ("plain", 17, 3), ("softmax", 17, 3)):
    shape = (draws, readout.tables_of(kind), L, D)
    M = readout.forward(rng.standard_normal(shape), kind)[0]
    rank = np.linalg.matrix_rank(M).max()
    # the best multiple of M there is, so that scale alone does not decide
    fit = np.einsum("bjj->b", M) ** 2 / (M * M).sum(axis=(1, 2))
    rows.append((kind, int(rank), recall.floor(L, D, kind), float((1 - fit / L).min())))
table(("kind", "largest rank", "floor", "least error found"), rows,
      f"{draws} random tables, L = 17, D = 3")

# %% [markdown]
# The planted transposition is caught and named. No random table lies under its floor, and softmax has full rank at width 3. That none lies *near* the floor is no surprise: nothing was trained.

# %% [markdown]
# ## 6. Experiment
#
# One question: how wide must it be? One knob, $D$, at several $L$; Adam with $\beta_1 = 0.9$, $\beta_2 = 0.99$, a rate of 0.05 that falls along half a cosine, 800 iterations. The rules, before the run: a width is enough where the error is below 0.02. The derivation is refuted if an error lies under its floor; it says nothing worth knowing if training stays far above it.

# %%
lengths, seeds = by_profile((9, 16), (16, 36, 64)), by_profile(2, 3)
errors, plan = {}, []
for L in lengths:
    root = int(np.sqrt(L))
    plan += [("linear", L, D) for D in range(1, root + 2)]
    plan += [("plain", L, D) for D in (L // 4, L // 2, L - 2, L - 1, L)]
    plan += [("softmax", L, D) for D in (1, 2, 3, 4)]
with bar(len(plan), "tables", unit="width") as shown:
    for kind, L, D in plan:
        errors.setdefault((kind, L), {})[D] = recall.fit(L, D, kind, range(seeds))[1].tolist()
        shown.update()
least = {L: {D: recall.floor(L, D) for D in errors["linear", L]} for L in lengths}
show(pictures.draw_errors(errors, least),
     "Left, errors of linear attention at three lengths: the dots lie on the curves 1 - D^2/L "
     "and reach zero at the root of L. Right, at the largest length softmax falls to zero at "
     "width 3, linear at the root of L, plain at L.")

# %%
def smallest(found):
    """The smallest width at which one of the seeds is below 0.02."""
    return min(D for D, each in found.items() if min(each) < 0.02)


widths = {(kind, L): smallest(found) for (kind, L), found in errors.items()}
cost = closed_loop.multiplications
rows = [(L, widths["linear", L], widths["plain", L], widths["softmax", L],
         cost(L, widths["linear", L], "linear"), cost(L, widths["softmax", L], "softmax"))
        for L in lengths]
table(("L", "linear", "plain", "softmax", "multiplications, linear", "softmax"), rows,
      "smallest widths, and what L steps cost there")
gap = max(abs(e - least[L][D]) for L in lengths for D, each in errors["linear", L].items()
          for e in each if least[L][D] > 0)
print(f"linear, below the root of L: farthest from the floor {gap:.1e}")
reveal("23.p1", recall.floor(64, 6), "The floor (23.5) with 36 of 64; training stands on it.")
reveal("23.p2", widths["softmax", lengths[-1]], f"At {lengths[-1]} bits.")

# %% [markdown]
# The dots stand on the floor. Linear attention needs $\sqrt{L}$, and then its $2 L D^2$ multiplications are $2 L^2$: it grows as softmax's do, at the width that each needs. What was saved by not keeping the keys is paid for in width.
#
# **Could training be the limit, and not the rank?** Three controls. Plain attention has the same optimizer and, at width $L/2$, more numbers than linear attention at $\sqrt{L}$, and stops at $1 - D/L$, as its rank says. Softmax has the fewest numbers of all and reaches 0. And tables that are written down, (23.6), reach 0 where trained ones do, and no earlier. Softmax at width 2 is the opposite case: there *is* no floor, and yet training fails at 64 bits.

# %%
L = lengths[-1]
circle = readout.loss(constructions.circle(L, L), "softmax")  # keys on a circle, large enough
rows = [("written down: a circle", "-", f"{circle:.0e}")]  # no training
for length in (3.0, 12.0, 24.0):
    found = recall.fit(L, 2, "softmax", range(seeds), length=length)[1]
    rows.append(("trained", f"{length:g}", f"{np.median(found):.3f}"))
table(("softmax, width 2", "length of the first keys", "error"), rows, f"{L} bits")

# %% [markdown]
# Keys on a large circle do it at width 2. Training comes the nearer the longer the first keys are: neighbours on the circle must differ by several units of score, and short keys have to grow first. That is a limit of temperature and training, not of memory.
#
# **A program that reads its own answers.** A dynamic program has states $\mathrm{dp}_i = s_i\, \mathrm{dp}_{h(i)}$: the bit of its place times an earlier state, at a place $h(i) < i$ that the input names. A model that writes all its states down, as a chain of thought, must recall $\mathrm{dp}_{h(i)}$, *as it wrote it*. A wrong state makes all its descendants wrong. Here it recalls with the trained tables of each width; the answer is the last state.

# %%
rows = []
for D, M in matrix.items():
    single = closed_loop.recall_accuracy(M, asked)
    rows.append((D, f"{error[D]:.4f}", f"{single:.3f}", f"{final[D]:.3f}"))
table(("D", "error", "single bits right", "last state right"), rows,
      f"L = {L_small}, {len(asked.bits)} programs; a guess is right in half of the cases")

# %% [markdown]
# At half of $\sqrt{L}$ most single bits are right, and the last state is hardly better than a coin. At $\sqrt{L}$ all is right.
#
# **Locality.** What if only the last $m$ states are ever asked for? Then the error at time $t$ counts the queries for the last $m$ places, among all items so far, and $f$ is its mean over $t$: a sum $\sum_{ji} c_{ji} (M_{ji} - I_{ji})^2$ with weights that count how often a pair matters. Items that come after the last asking for $j$ weigh nothing in row $j$.

# %%
L, reaches = by_profile(16, L_small), {"the last 4": 4, "all so far": by_profile(16, L_small)}
local = {title: {D: recall.fit(L, D, "linear", range(seeds), recall.local_weights(L, m))[1]
                 for D in range(1, int(np.sqrt(L)) + 2)} for title, m in reaches.items()}
show(pictures.draw_local(local, 0.05),
     "Error against width on a logarithmic scale. When the last four are asked for it is below "
     "0.05 at width 3 and falls slowly; when all are, it falls to zero at the root of L.")
m4 = closed_loop.programs(by_profile(100, 500), 1024, np.random.default_rng(SEED), reach=4)
window = readout.forward(constructions.circle(1024, 4), "softmax")[0]
share = closed_loop.final_accuracy(window, m4, window=4)
print(f"softmax over a window of 4, width 2, programs of length 1024: {share:.3f} right")

# %% [markdown]
# Locality lowers the width that linear attention needs. It does not do so exactly: with the old items still in the state, exact answers need full rank even here (the part of $M$ that counts is triangular with ones on its diagonal). A small error needs much less. How the trained tables do it, perhaps by growing with the position so that old items fade, was not looked into and is open here. For *sparse* attention, softmax over a window, the case is clear: width 2 for any length, at a cost of order $m L$.

# %% [markdown]
# ## 7. The paper and us
#
# The paper (2402.13934) proves, for chain-of-thought on general dynamic programs and with numbers of $O(\log L)$ digits, that sparse and linear Transformers of constant depth need a width of order $\sqrt{L}$, up to logarithms, where the softmax Transformer does not; so that their total cost is of order $L^2$ again. It trains all three on arithmetic, longest increasing subsequence and edit distance. **What is rebuilt here is the memory argument alone**: one read-out, a floor of our own derivation, and a toy program. The paper's trained chain-of-thought runs are not reproduced, and all that the table quotes is second-hand. Verdicts are of medians; where a single seed falls short, or softmax's width grows a little after all, the last column says so.

# %%
paper = loaded("what_attention_can_remember")
figure, axes = la.plotting.new_figure(columns=2, width=4.2, height=3.2)
left, right = axes[0]
for kind, look in pictures.LOOK.items():
    found = paper["recall"][kind]
    width = [smallest(dict(zip(one["widths"], one["errors"], strict=True)))
             for one in found.values()]
    left.plot(paper["lengths"], width, marker="o", label=kind, markersize=4, **look)
for color, (L, one) in zip((*pictures.SHADES, "#E69F00"), paper["recall"]["linear"].items(),
                           strict=True):
    right.plot(np.array(one["widths"]) / np.sqrt(int(L)), np.median(one["final"], axis=1),
               color=color, label=f"L = {L}")
left.set(xscale="log", yscale="log", xlabel="bits L", ylabel="smallest width that is enough")
left.set_xticks(paper["lengths"], paper["lengths"])
left.minorticks_off()
left.legend(frameon=False, fontsize=9)
right.set(xlabel="D over root of L", ylabel="last state right, closed loop")
right.legend(frameon=False, fontsize=9)
show(figure, "Loaded. Left, smallest widths against length: plain rises with slope 1, linear "
             "with slope one half, softmax stays at 2 or 3. Right, a program in closed loop: "
             "the curves of all lengths rise from one half at 0.5 to 1 at 1 on the axis of D "
             "over root of L.")

# %%
paper_and_us([
    "memory.width", "memory.floor", "memory.floor_elu", "memory.softmax_width", "memory.cost",
    "memory.closed_loop", "memory.closed_loop_short", "memory.sparse_local",
    "memory.local_linear",
])

# %% [markdown]
# **What this does not say.** Softmax's widths, 2 and 3, are those of a task without noise and with a free temperature; the theory asks for order $\log L$. For linear attention under locality the paper leaves the tight bound open: its positive result there is the sparse Transformer's, with blocks of order $m$ and constant width. And on its arithmetic task the standard Transformer, as reported, still needed the fewest operations for 90 % accuracy, so that locality narrows the gap and need not close it.

# %% [markdown]
# ## 8. Exercises
#
# Six cards. Write your answer in the cell under a card, run it, then the check.

# %% [markdown]
# ### Exercise 23.1 (derive, level 1, 5 min)
#
# What is the least error of linear attention of width 7 on 100 bits? *Done:* one number.
#
# <details><summary>Hint 1</summary>How many dimensions can M reach, and how many are left over?</details>
# <details><summary>Hint 2</summary>(23.5).</details>

# %%
### BEGIN SOLUTION
least_error = 1 - 49 / 100
### END SOLUTION
check("23.1", least_error)

# %% [markdown]
# ### Exercise 23.2 (code, level 2, 10 min)
#
# Write `answers_from_state(q, k, u, r, s)`: the answers (L,) of linear attention, with nothing larger than $L \times D$ or $D \times D$. *Done:* the check passes.
#
# <details><summary>Hint 1</summary>The state of (23.3) is a product of two matrices, with the bits on one of them.</details>
# <details><summary>Hint 2</summary>The answers are row sums of (q state) times u.</details>

# %%
def answers_from_state(q, k, u, r, s):
    ### BEGIN SOLUTION
    state = k.T @ (s[:, None] * r)
    return ((q @ state) * u).sum(axis=1) / np.sqrt(q.shape[1])
    ### END SOLUTION


# %%
check("23.2", answers_from_state)

# %% [markdown]
# ### Exercise 23.3 (find the bug, level 2, 10 min)
#
# The loss falls with this gradient, but not to the floor. Find the mistake, and write the repaired function. *Done:* right for any tables.
#
# <details><summary>Hint 1</summary>Which of the four belong to queries, and which to items?</details>
# <details><summary>Hint 2</summary>Look at (23.13).</details>

# %%
def buggy_gradient(q, k, u, r):
    L, D = q.shape
    A, W = q @ k.T / np.sqrt(D), u @ r.T
    dM = 2 * (A * W - np.eye(L)) / L
    dS, dW = dM * W / np.sqrt(D), dM * A
    return dS @ k, dS.T @ q, dW @ r, dW @ u


# %%
def table_gradient(q, k, u, r):
    ### BEGIN SOLUTION
    L, D = q.shape
    A, W = q @ k.T / np.sqrt(D), u @ r.T
    dM = 2 * (A * W - np.eye(L)) / L
    dS, dW = dM * W / np.sqrt(D), dM * A
    return dS @ k, dS.T @ q, dW @ r, dW.T @ u
    ### END SOLUTION


# %%
check("23.3", table_gradient)

# %% [markdown]
# ### Exercise 23.4 (code, level 3, 15 min)
#
# Write `closed_loop_states(M, s, h)`: the states (L,) that the model writes, one after the other. Place 0 gets `s[0]`; place `i` gets `s[i]` times the sign of what query `h[i]` recalls from the states written before place `i` (a 0 counts as $+1$). *Done:* the check passes.
#
# <details><summary>Hint 1</summary>A loop over places; the row of M is that of the parent.</details>
# <details><summary>Hint 2</summary>M[h[i], :i] @ written[:i]</details>

# %%
def closed_loop_states(M, s, h):
    ### BEGIN SOLUTION
    written = s.copy()
    for i in range(1, len(s)):
        written[i] = s[i] * (1.0 if M[h[i], :i] @ written[:i] >= 0 else -1.0)
    return written
    ### END SOLUTION


# %%
check("23.4", closed_loop_states)

# %% [markdown]
# ### Exercise 23.5 (derive, level 3, 10 min)
#
# $H$ heads of width $D$ each read the same items, and their answers are added. Write `floor_with_heads(L, D, H)`. With $H D$ fixed, how many heads are best for remembering? *Done:* the check passes.
#
# <details><summary>Hint 1</summary>The rank of a sum is at most the sum of the ranks.</details>
# <details><summary>Hint 2</summary>Replace the rank in the proof of (23.5).</details>
#
# <!-- ### BEGIN SOLUTION -->
# <details><summary>Solution</summary>rank M ≤ H D², so f ≥ max(0, 1 - H D²/L). With HD = w fixed, H D² = w²/H: one head remembers most.</details>
# <!-- ### END SOLUTION -->

# %%
def floor_with_heads(L, D, H):
    ### BEGIN SOLUTION
    return max(0.0, 1 - H * D * D / L)
    ### END SOLUTION


# %%
check("23.5", floor_with_heads)

# %% [markdown]
# ### Exercise 23.6 (experiment, level 2, 15 min)
#
# The last 4 of 36 bits are asked for. What is the smallest width of linear attention whose causal error is below 0.05 for one of two seeds? Guess from $\sqrt{4}$ and $\sqrt{36}$ first. *Done:* one number.
#
# <details><summary>Hint 1</summary>recall.fit(36, D, "linear", range(2), recall.local_weights(36, 4))</details>
# <details><summary>Hint 2</summary>It returns tables and errors; D from 1 on, until the smaller error is below 0.05.</details>

# %%
def local_width():
    ### BEGIN SOLUTION
    for D in range(1, 7):
        if recall.fit(36, D, "linear", range(2), recall.local_weights(36, 4))[1].min() < 0.05:
            return D
    ### END SOLUTION


# %%
### BEGIN SOLUTION
width = local_width()
### END SOLUTION
check("23.6", width)

# %% [markdown]
# ## 9. Exit ticket
#
# Write the letters in quotes.
#
# **t1.** Linear attention answers 400 bits without error. Its width is at least
#
# - (a) 400, as the number of bits
# - (b) 20
# - (c) 200
# - (d) 3
#
# **t2.** Width 5 on 36 bits stays at an error of 0.3056 however long it is trained. Why?
#
# - (a) the learning rate is too small
# - (b) the numbers have too few digits
# - (c) its matrix has rank 25 at most, and the identity has 36
# - (d) Adam cannot train products of tables
#
# **t3.** At the width that it needs, how does linear attention's cost grow with $L$, and what would change that?
#
# - (a) as $L^2$; a program that looks back only a few places
# - (b) as $L$; nothing needs to change
# - (c) as $L^2$; a faster kernel
# - (d) as $L^{1.5}$; longer training

# %%
### BEGIN SOLUTION
t1 = "b"
t2 = "c"
t3 = "a"
### END SOLUTION
check("23.t1", t1)
check("23.t2", t2)
check("23.t3", t3)

# %% [markdown]
# **Further reading**
#
# - *Do Efficient Transformers Really Save Computation?*, arXiv 2402.13934. The theorems behind section 7.
# - Katharopoulos, Vyas, Pappas and Fleuret, *Transformers are RNNs*, 2020. The state (23.3), and the feature map elu + 1.
# - Schlag, Irie and Schmidhuber, *Linear Transformers Are Secretly Fast Weight Programmers*, 2021. What fits into the state, and a rule that overwrites.
