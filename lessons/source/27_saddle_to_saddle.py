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
# # Lesson 27. Saddle to saddle
#
# **Claim.** One layer whose heads have a key and a query vector each learns one eigenvector of the covariance after the other: its loss rests on levels that a pencil gives beforehand, to 0.03 %, and with first weights half as large it waits twice as long.
#
# | read | code | run | level | needs | seed |
# |---|---|---|---|---|---|
# | 40 min | 60 min | 1 min | 4 of 5 | 01, 02, 03, 06 | 27 |
#
# **Misconception.** A loss that has stopped falling has arrived at a minimum.
#
# **Afterwards you can say.** A head with a key and a query is a product of three weights, so near zero a direction grows at a rate proportional to what is already there: the one that is ahead runs away alone, the loss drops by its share, and waits for the next head. (t2)
#
# <details><summary>Symbols of this lesson</summary>
#
# | symbol | meaning |
# |---|---|
# | $\eta$ | learning rate, `lr` in code |
# | $\Lambda$, $\lambda_k$ (here) | covariance of the covariates, and its eigenvalues |
# | $S$, $s$ (here) | $\frac{1}{n} \sum_i x_i x_i^\top$ of a prompt, and $\frac{1}{n} \sum_i y_i x_i = S w$ |
# | $M$ (here) | what the whole layer is: prediction $= s^\top M x$ |
# | $c$, $B$, $A$, $C$ (here) | the moments of the prompts, (27.2) to (27.5) |
# | $v_h$, $Q_h$, $a_h$, $b_h$ (here) | a head's value in the corner, its scores, its key and its query |
# | $\sigma$, $u$ (here) | size of the first weights; of one weight, on its way |
# | $\theta$, $g$ (here) | all parameters, and the gradient |
# | $X$, $N$ (here) | a generator of a symmetry, and how it mixes the heads |
#
# </details>
#
# You will compute a loss over infinitely many prompts, find the heights of its saddles by hand, watch training rest on each of them, predict how long, and count by two roads what gradient flow keeps.

# %%
import numpy as np

import linattn_np as la
from linattn_np.experiments.studies import saddle_to_saddle as study
from linattn_np.experiments.studies.saddle_to_saddle import conservation, heads, laws
from linattn_np.experiments.studies.saddle_to_saddle import moments, paper_form, training
from linattn_np.teaching import by_profile, check, knob, loaded, moving, paper_and_us, predict
from linattn_np.teaching import reveal, show, symbols, table, versions
from linattn_np.teaching.pictures import lesson_27 as pictures

SEED = 27
versions(SEED)
symbols("n d H x w y P Q dX")

# %% [markdown]
# ## 1. Predict
#
# One layer reads prompts of 31 examples, whose four covariates have the variances 0.1, 0.2, 0.3 and 0.4. It has five heads, each with a key vector, a query vector and one value. Here is its loss under gradient descent, without any noise:

# %%
Lambda, n = moments.LAMBDA, moments.N
exact = study.exact(Lambda, n)
levels = study.levels(Lambda, n)
steps = by_profile(1500, 12_000)
start = training.stacked([training.start("separate", 0.02, 20, 4)])
run = training.descend("separate", start, exact, 0.2, steps, 10)
show(pictures.draw_losses(levels[:0], {"five heads": run["f"][0]}),
     "A staircase: the loss rests near 1, then near 0.64, 0.38 and 0.21 for hundreds to "
     "thousands of steps, drops quickly from one to the next, and ends near 0.14.")

# %% [markdown]
# Two guesses. All first weights were drawn with standard deviation 0.02. With 0.01, and everything else the same, how many times as long does the first plateau last? And if the layer had two heads in place of five, where would the loss end?

# %%
### BEGIN SOLUTION
wait_guess = 1.1
two_guess = 0.2
### END SOLUTION
predict("27.p1", "First plateau with 0.01, over that with 0.02", wait_guess)
predict("27.p2", "Last loss of two heads", two_guess)

# %% [markdown]
# ## 2. Derive
#
# **What a prompt is to one layer.** Let $P_h$ be $v_h$ in the corner of the label and $Q_h$ act on covariates, so that with $s = \frac{1}{n} \sum_i y_i x_i$ over the examples
#
# $$ \text{prediction} = -\sum_h v_h\, s^\top Q_h\, x = s^\top M x = \langle M, s x^\top \rangle \tag{27.1} $$
#
# The prediction is linear in $M$, so the loss is quadratic, whatever the prompts are:
#
# $$ f(M) = c - 2 \langle B, M \rangle + \langle M, A M \rangle, \quad c = E y^2, \; B = E\, y\, s x^\top, \; A M = E\, s s^\top M x x^\top \tag{27.2} $$
#
# So prompts can be replaced by three moments, without any sampling.
#
# *One covariate.* With $y_i = w x_i$, $s = w \frac{1}{n} \sum_i x_i^2$. For $x \sim N(0, \lambda)$, $E x^4 = 3 \lambda^2$, and of the $n^2$ pairs in $s^2$ $n$ are a covariate with itself: $E s^2 = \frac{1}{n^2} (n \cdot 3 \lambda^2 + n (n - 1) \lambda^2) = \lambda^2 (1 + \frac{2}{n})$.
#
# *Several.* Isserlis' theorem, Wick's to physicists: the mean of a product of four Gaussians is a sum over the three ways to pair them,
#
# $$ E\, x_i x_j x_k x_l = \Lambda_{ij} \Lambda_{kl} + \Lambda_{ik} \Lambda_{jl} + \Lambda_{il} \Lambda_{jk} \tag{27.3} $$
#
# Now $s = S w$ with $S = \frac{1}{n} \sum_i x_i x_i^\top$, and $w \sim N(0, I)$, $x$ and the examples are independent. So $E\, y\, s x^\top = E[S]\, E[w w^\top]\, E[x x^\top]$:
#
# $$ c = \mathrm{tr}\, \Lambda, \qquad B = \Lambda^2 \tag{27.4} $$
#
# and $E\, s s^\top = E S^2$. Two different examples give $\Lambda^2$; an example with itself gives $E\, x (x^\top x) x^\top$, whose entry $il$ is (27.3) with $j = k$, summed: $2 \Lambda^2 + \mathrm{tr}(\Lambda)\, \Lambda$. Together
#
# $$ C = E\, s s^\top = \Big( 1 + \frac{1}{n} \Big) \Lambda^2 + \frac{\mathrm{tr}\, \Lambda}{n} \Lambda, \qquad A M = C M \Lambda \tag{27.5} $$

# %%
rng = np.random.default_rng(SEED)
M_any = rng.standard_normal((4, 4))
counts, gaps = by_profile((10, 100), (10, 100, 1000, 10_000, 100_000)), []
for count in counts:
    c, B, A = study.of_prompts(*moments.task().sample(count, rng))
    sampled = c - 2 * (B * M_any).sum() + M_any.ravel() @ A @ M_any.ravel()
    whole = exact.c - 2 * (exact.B * M_any).sum() + M_any.ravel() @ exact.A @ M_any.ravel()
    gaps.append(abs(sampled / whole - 1))
figure, axes = la.plotting.new_figure(width=4.6, height=2.7)
axes[0, 0].loglog(counts, gaps, "o-", label="one draw each")
axes[0, 0].loglog(counts, 2 / np.sqrt(counts), "--", color="0.4", label="slope -1/2")
axes[0, 0].set(xlabel="prompts", ylabel="relative distance")
axes[0, 0].legend(frameon=False)
show(figure, "The loss of one M on more and more prompts comes nearer to that of the exact "
             "moments, roughly as one over the square root of their number.")

# %% [markdown]
# **Heads.** A *merged* head has a whole matrix $Q_h$; a *separate* one has a key and a query,
#
# $$ Q_h = a_h b_h^\top \tag{27.6} $$
# $$ M = -\sum_h v_h Q_h \tag{27.7} $$
#
# Backward, the lines undone in reverse; $A$ is symmetric, so
#
# $$ dM = 2 (A M - B) = 2 (C M \Lambda - \Lambda^2) \tag{27.8} $$
# $$ dv_h = -\langle Q_h, dM \rangle, \qquad dQ_h = -v_h\, dM \tag{27.9} $$
# $$ da_h = dQ_h\, b_h, \qquad db_h = dQ_h^\top a_h \tag{27.10} $$
#
# **Saddles.** A head with $v = a = b = 0$ has no gradient at all, since each of the three gradients is a product of the two others. Take eigenvectors of $\Lambda$ as axes. $C$ is diagonal there, and $dM = 0$ along axis $k$ at
#
# $$ M_{kk} = \frac{\lambda_k}{C_{kk}} = \frac{1}{(1 + \frac{1}{n}) \lambda_k + \frac{1}{n} \mathrm{tr}\, \Lambda} \tag{27.11} $$
#
# Let $m$ heads have that on one axis each and all others be zero. On the axes that are learned $dM$ is 0; on the others the heads' keys and queries do not see it. So nothing moves, and yet a further head could lower the loss: a saddle. Axis $k$ takes $B_{kk} M_{kk} = \lambda_k^2 M_{kk}$ off the loss, the more the larger $\lambda_k$. With the largest first the heights are
#
# $$ f_m = \mathrm{tr}\, \Lambda - \sum_{k \le m} \frac{\lambda_k}{1 + \frac{1}{n} \big( 1 + \mathrm{tr}\, \Lambda / \lambda_k \big)} \tag{27.12} $$
#
# They have nothing in them that was measured. Turn the step:

# %%
print("levels:", " ".join(f"{level:.4f}" for level in levels))
shown = tuple(int(step) for step in np.unique(np.geomspace(100, steps, 18).round(-1)))
moving(lambda step: pictures.draw_model(run["f"][0], run["M"][0, step // 10], levels, step),
       "Left the loss with a dot at one step and the five levels dashed, right the model M as "
       "a heat map: its diagonal fills up from the largest variance to the smallest.",
       step=knob(shown, shown[9], "step"))

# %% [markdown]
# **How long does it wait?** Start with merged heads near zero. To first order $dM = -2 \Lambda^2$, so $v_h$ is pushed by $Q_h$ along $\Lambda^2$, and $Q_h$ by $v_h$. A pair that push each other: in balance each step multiplies both by
#
# $$ 1 + 2 \eta\, \| \Lambda^2 \| \tag{27.13} $$
#
# with the root of the sum of squares as norm. *All* axes grow together, $Q_h$ along $\Lambda^2$: no order, no plateau. First weights a tenth as large cost a fixed number of steps,
#
# $$ \frac{\ln 10}{\ln (1 + 2 \eta\, \| \Lambda^2 \|)} \tag{27.14} $$
#
# A separate head has three factors. Let $a = b = u e_k$ and $v = -u$: each is pushed by the product of two,
#
# $$ \dot u = 2 \lambda_k^2\, u^2, \qquad \frac{1}{u(0)} - \frac{1}{u(t)} = 2 \lambda_k^2\, t \tag{27.15} $$
#
# The *rate* $\dot u / u$ is proportional to $u$ itself. So $u$ runs away at $t = 1 / (2 \lambda_k^2 u(0))$, one over the size, and whoever is ahead leaves the others behind: while $u$ goes to infinity, a rival with half the $\lambda_k^2 u(0)$ has only doubled.

# %%
ahead, behind = 0.02, 0.01
sizes = {}
for title, factors, last in (("two factors", 2, 80), ("three factors", 3, 1700)):
    u, path = np.array([ahead, behind]), []
    for _ in range(last):
        path.append(u)
        u = u + 0.2 * 2 * 0.4**2 * u ** (factors - 1) * (u < 1)  # held at 1
    sizes[title] = np.arange(last), np.array(path)
show(pictures.draw_growth(sizes),
     "Left, two factors: both sizes grow along parallel lines, reaching 1 ten steps apart. "
     "Right, three: the one ahead runs away near step 760 when the other has only doubled.")

# %% [markdown]
# **What is kept.** Say the loss of every prompt is the same at $e^{tX} \theta$ as at $\theta$. At $t = 0$
#
# $$ g \cdot X \theta = 0 \tag{27.16} $$
#
# If $X$ is symmetric, gradient flow $\dot \theta = -g$ keeps a quadratic form:
#
# $$ \frac{d}{dt}\, \theta^\top X \theta = -2\, g \cdot X \theta = 0 \tag{27.17} $$
#
# (Rotations have antisymmetric generators and keep nothing.) A layer sees its heads only through $\sum_h P_h G Q_h$, so heads may be mixed: $P$ by a matrix, $Q$ by its inverse. With full matrices any symmetric $N$ will do, and
#
# $$ \langle P_h, P_j \rangle - \langle Q_h, Q_j \rangle \tag{27.18} $$
#
# is kept for each of the $\frac{1}{2} H (H + 1)$ pairs $h \le j$, in every layer. In the paper's form $P_h$ has a corner 1 that does not move, which asks for $N 1 = 0$:
#
# $$ \sum_{hj} N_{hj} \big( \langle P_h', P_j' \rangle - \langle Q_h', Q_j' \rangle \big), \qquad N = N^\top, \; N 1 = 0 \tag{27.19} $$
#
# These are $\frac{1}{2} H (H - 1)$, so none for one head; for two, $\| P_1' - P_2' \|^2 - \| Q_1' - Q_2' \|^2$. In the last layer $P'$ has no gradient, and all $Q_h'$ have the same: their differences stand still.
#
# Is that all? A machine can ask without knowing any symmetry: draw many $\theta$ and prompts, and solve
#
# $$ g^\top A\, \theta = 0 \quad \text{for all of them, over symmetric } A . \tag{27.20} $$
#
# > **Where people slip**
# > - *"The gradient is zero, so it has converged."* At (27.12) all of it is zero, four times, above the minimum.
# > - *$C = \Lambda^2$.* An example meets itself: that is the whole floor under the loss.
# > - *Transposed.* $a$ stands on the left of $Q = a b^\top$: $da = dQ\, b$, without a transposition.
# > - *Exponential waiting everywhere.* Two factors make an exponential, three make one over the size.

# %% [markdown]
# ## 3. On paper
#
# $\Lambda = \mathrm{diag}(1, 2)$ and $n = 3$: the shares are $\frac{2}{1 + (1 + 3/2)/3} = \frac{12}{11}$ and $\frac{1}{1 + (1 + 3)/3} = \frac{3}{7}$, so the levels are $3$, $\frac{21}{11}$, $\frac{114}{77}$.
#
# With $n = 1$: $C = 2 \Lambda^2 + 3 \Lambda = \mathrm{diag}(5, 14)$. One head, $v = -1$, $a = b = (1, 0)$, so $M = \mathrm{diag}(1, 0)$: $f = 3 - 2 + 5 = 6$, $dM = 2\, (C M \Lambda - \Lambda^2) = \mathrm{diag}(8, -8)$, $dv = -8$, $da = db = (8, 0)$. The step is downhill on the axis that was too large; nothing moves towards the other, whose $dM$ is not zero: key and query do not see it.

# %%
small = np.diag([1.0, 2.0])
print("levels times 77:", (77 * study.levels(small, 3)).round(9).tolist())
v, a, b = np.array([[-1.0]]), np.array([[[1.0, 0]]]), np.array([[[1.0, 0]]])
f, dv, da, db = heads.separate_loss_and_grad(v, a, b, study.exact(small, 1))
print("f, dv, da, db:", f.item(), dv.item(), da[0, 0].tolist(), db[0, 0].tolist())

# %% [markdown]
# ## 4. Code it
#
# Loops first: the loss of a head on prompts, one prompt after the other.

# %%
def loss_by_loops(v, a, b, Z, y):
    """The mean squared error of separate heads, from (27.1)."""
    total = 0.0
    for prompt, answer in zip(Z, y, strict=True):
        s = sum(token[-1] * token[:-1] for token in prompt[:-1]) / (len(prompt) - 1)
        x = prompt[-1, :-1]
        prediction = -sum(v[h] * (s @ a[h]) * (b[h] @ x) for h in range(len(v)))
        total += (prediction - answer) ** 2
    return total / len(y)


# %%
def loss_and_gradient(v, a, b, c, B, A):
    """(27.2) and (27.6) to (27.10), as matrices: one network."""
    Q = a[:, :, None] * b[:, None, :]  # (H, d, d)
    M = -np.einsum("h,hij->ij", v, Q)
    error = (A @ M.ravel()).reshape(M.shape) - B
    f = c + (M * (error - B)).sum()
    dM = 2 * error
    dv = -np.einsum("hij,ij->h", Q, dM)
    dQ = -v[:, None, None] * dM
    return f, dv, np.einsum("hij,hj->hi", dQ, b), np.einsum("hij,hi->hj", dQ, a)


Z, y = moments.task().sample(by_profile(50, 500), rng)
v, a, b = rng.standard_normal(5), *rng.standard_normal((2, 5, 4))
ours = loss_and_gradient(v, a, b, *study.of_prompts(Z, y))
params = heads.as_params(v, heads.keys_and_queries(a, b))
loss, grad = la.loss_and_grad(params, Z, y)
dQ = grad[0, :, 1, :4, :4]
table(("compared", "largest difference, relative"), [
    ("loss: loops and moments", f"{abs(loss_by_loops(v, a, b, Z, y) / ours[0] - 1):.0e}"),
    ("loss: moments and library", f"{abs(ours[0] / loss - 1):.0e}"),
    ("dv", f"{np.abs(ours[1] - grad[0, :, 0, -1, -1]).max() / np.abs(ours[1]).max():.0e}"),
    ("da", f"{np.abs(ours[2] - (dQ @ b[:, :, None])[..., 0]).max() / np.abs(dQ).max():.0e}"),
])

# %% [markdown]
# ## 5. Audit it
#
# The gradient against complex steps, on exact moments of a covariance that is not diagonal; then a planted mistake, $da$ with a transposition.

# %%
root = rng.standard_normal((3, 3))
point = study.exact(root @ root.T / 3 + 0.2 * np.eye(3), 7)
theta = {"v": rng.standard_normal(5), "a": rng.standard_normal((5, 3)),
         "b": rng.standard_normal((5, 3))}


def forward(theta):
    return loss_and_gradient(**theta, **point._asdict())[0]


def backward(theta, dout):
    grads = loss_and_gradient(**theta, **point._asdict())[1:]
    return {name: dout * grad for name, grad in zip("vab", grads, strict=True)}


# %%
def planted(theta, dout):
    M = -np.einsum("h,hi,hj->ij", theta["v"], theta["a"], theta["b"])
    dM = 2 * ((point.A @ M.ravel()).reshape(M.shape) - point.B)
    da = np.einsum("h,ji,hj->hi", -theta["v"], dM, theta["b"])
    return {**backward(theta, dout), "a": dout * da}


rows = []
for name, function in (("by hand", backward), ("planted", planted)):
    report = la.audit.audit_gradient(forward, function, theta)
    wrong = sorted({row.quantity for row in report.rows if row.verdict == "WRONG"})
    rows.append((name, report.verdict, ", ".join(wrong)))
table(("what", "verdict", "wrong"), rows)

# %% [markdown]
# ## 6. Experiment
#
# One question: are the plateaus the saddles (27.12)? One knob: the number of heads. The rules, before the run. On each plateau of at least 200 steps the flattest point must lie within 0.5 % of its level, and $M$ have the rank that the level says. And the control: with $H$ heads the rank cannot pass $H$, so they must end on level $H$ and stay there; if they end anywhere else, the levels are not what holds the loss up.

# %%
seeds = tuple(range(20, 20 + by_profile(1, 5)))
found = laws.separate(seeds, steps)
rows = []
for seed, flat in zip(seeds, found["flat"], strict=True):
    for m, (step, loss, error, lasts, rank) in enumerate(flat.T):
        if np.isfinite(step):
            rows.append((seed, m, int(step), f"{loss:.4f}", f"{levels[m]:.4f}",
                         f"{abs(error):.1e}", int(lasts), int(rank)))
table(("seed", "level", "flattest at", "loss", "derived", "distance", "lasts", "rank of M"),
      rows)

# %%
few = seeds[:3]
control = laws.head_counts(few, *by_profile((1500, 1500), (20_000, 20_000)))
show(pictures.draw_losses(levels, {f"{H} heads" if H > 1 else "1 head": np.median(each, axis=0)
                                   for H, each in zip(laws.COUNTS,
                                                      control["f"].swapaxes(0, 1),
                                                      strict=True)}, every=10),
     "One head ends on the second of five dashed lines, two on the third, three "
     "on the fourth, four and five on the last.")
ends = control["last"]
table(("heads", "derived", *(f"seed {seed}" for seed in few)),
      [(H, f"{levels[min(H, 4)]:.4f}", *(f"{end:.4f}" for end in ends[:, k]))
       for k, H in enumerate(laws.COUNTS)])
reveal("27.p2", float(np.median(ends[:, 1])), "Level 2: rank 2 cannot do more.")

# %% [markdown]
# Where a plateau is short the loss is on its way and need not touch the level; the table says so. A head more is a level less, and the fifth is of no use. Larger first weights blur the staircase too, but that is a weak control: on other seeds, not shown here, some rested on a level all the same.
#
# **A rate that falls to 0.** Schedules change when a drop comes. Do they change where the plateaus lie? (27.12) knows no rate, and a flow only knows the sum of the rates. The same networks, the rate falling linearly:

# %%
falling = laws.decaying(few, steps)
full_run = loaded("saddle_to_saddle")
rows = []
for name, at, flat, clocks in (("here", few, falling["flat"], falling["clocks"]),
                               ("loaded", full_run["seeds_used"], full_run["decay"]["flat"],
                                full_run["decay"]["clocks"])):
    flat, clocks = np.array(flat, float), np.array(clocks, float)
    for seed, each, clock in zip(at, flat, clocks, strict=True):
        lasting = np.nan_to_num(each[3]) >= 200
        far = f"{np.abs(each[2][lasting]).max():.1e}" if lasting.any() else "none lasts"
        rows.append((name, seed, int(np.isfinite(each[2]).sum()), far,
                     *(f"{c:.1f}" for c in clock)))
table(("run", "seed", "plateaus", "farthest from its level", "constant rate", "falling rate"),
      rows, "last two: the sum of the rates at the first drop")

# %% [markdown]
# The levels stay, and the first drop comes at the same sum of rates. In steps it comes later, and since the rates of a run that falls to 0 sum to half as much, a run that waits long may end a level higher: one of the loaded eight does.
#
# **Merged heads** on the same moments, and the waiting laws:

# %%
together = laws.merged(seeds, 300)
drops = laws.first_drops(few, by_profile(1500, 8000))["drops"]
stds = {"merged": laws.MERGED_STDS, "separate": laws.SEPARATE_STDS}
waits = {"merged": together["begin"], "separate": drops}
smaller = {kind: each[0] / np.array(each) for kind, each in stds.items()}
law = {"merged": waits["merged"][:, :1] + laws.decade() * np.log10(smaller["merged"]),
       "separate": waits["separate"][:, :1] * smaller["separate"]}
show(pictures.draw_waits(stds, waits, law),
     "Steps before the first drop against the size of the first weights: merged heads along a "
     "straight line in the logarithm, separate ones along one over the size. Lines are the "
     "laws, from each seed's first dot.")
near = together["near"][:, 2].max()
print(f"merged: {np.diff(together['begin']).mean():.1f} steps a decade, (27.14) says "
      f"{laws.decade():.1f}; from 10 % to 90 % of the fall in "
      f"{np.median(together['falls'][:, 2]):.0f} steps, at most {near} of them within 1 % of a "
      "level")
ratios = drops[:, 1:] / drops[:, :-1]
reveal("27.p1", float(ratios[0, 0]), "The other ratios: " + ", ".join(
    f"{ratio:.2f}" for ratio in ratios.ravel()[1:] if np.isfinite(ratio)))

# %% [markdown]
# Same data, same loss, same rate: the staircase belongs to the *product* of key and query, not to the data.
#
# **What is kept**, by two roads; and how far it drifts when flow becomes steps, at the same time $\eta t$:

# %%
cases = [(True, 1, 1, 2), (True, 1, 2, 2), (True, 3, 1, 1), (False, 2, 1, 2),
         (False, 2, 2, 2), (False, 1, 3, 2)]
rows = []
for full, layers, H, d in cases:
    model = la.LinearTransformer(d=d, layers=layers, heads=H, full=full)
    space = study.null_space(model, rng)
    rows.append(("full" if full else "paper's", layers, H, d, study.by_symmetry(model),
                 space["count"], f"{space['gap'][0]:.3f}, {space['gap'][1]:.0e}"))
table(("form", "layers", "heads", "d", "symmetries", "null space",
       "smallest not 0, largest 0"), rows)
etas = (0.002, 0.001, 0.0005)
drift = conservation.drift(20, etas, by_profile(0.02, 1.0), by_profile(16, 128))
table(("rate", "drift", "while the first term moves by", "Q1 - Q2, last layer"),
      [(eta, f"{drift['drift'][k, 0]:.2e}", f"{drift['moved'][k, 0]:.3f}",
        f"{drift['last'][k]:.0e}") for k, eta in enumerate(etas)],
      "two heads, three layers, first layer; half the rate, half the drift")

# %% [markdown]
# **Where there is no saddle.** In the paper's own form $P = \mathrm{diag}(P', 1)$: the corner makes the layer linear in $Q'$ at zero, not a product. Is $P' = 0$ a saddle all the same? Minimize over $Q'$ with $P' = 0$, and look at the gradient there; then train from a tiny $P'$.

# %%
tried = paper_form.without_p(20, *by_profile((60, 32, 20), (1500, 256, 4000)))
tiny, usual = tried["crossings"]
print(f"best loss with P' = 0: {tried['best']:.4f}")
print(f"gradient there: {tried['by_P']:.2f} by P', {tried['by_Q']:.0e} by Q'")
print(f"steps to that loss from P' of 0.1: {usual:.0f}; of 0.00001: {tiny:.0f}")

# %% [markdown]
# A slope, not a saddle; and a start ten thousand times nearer to it costs next to nothing. So this lesson is about one layer with separate keys and queries, and its plateaus are not an explanation of anything in lessons 07 to 15.

# %% [markdown]
# ## 7. The paper and us
#
# There is no paper here: the study is our own, on eight seeds that were not used to find the rules. Saddle-to-saddle dynamics of in-context linear attention are the subject of Zhang, Singh, Latham and Saxe (arXiv 2501.16265); the levels (27.12) stand in the code beside it, as a second-hand reading says, and its text was not at hand.

# %%
flat = np.array(full_run["separate"]["flat"], float)
figure, axes = la.plotting.new_figure(width=4.8, height=3.0)
axes[0, 0].loglog(flat[:, 3].ravel(), np.abs(flat[:, 2]).ravel(), "o", label="exact moments")
on_prompts = np.array(full_run["prompts"]["flat"], float)
axes[0, 0].loglog(on_prompts[:, 3].ravel(), np.abs(on_prompts[:, 2]).ravel(), "x",
                  label="4096 prompts")
axes[0, 0].set(xlabel="steps that a plateau lasts", ylabel="distance from its level")
axes[0, 0].legend(frameon=False)
print(f"plateaus on exact moments last {flat[:, 3].min():.0f} to {flat[:, 3].max():.0f} steps")
show(figure, "Loaded. Every plateau of eight seeds: on exact moments the long ones are within "
             "0.03 % of their levels, on 4096 prompts within 8 %.")

# %%
paper_and_us([f"saddle_to_saddle.{name}" for name in (
    "levels", "rank", "decay.levels", "decay.clock", "heads", "merged", "no_plateau", "decade",
    "halving", "prompts", "library", "conserved", "drift", "last", "no_saddle", "no_waiting")])

# %% [markdown]
# Two lines do not agree, and both rules stand as they were written. *Heads*: one of 40 networks, with four heads, was still on level 3 after 20,000 steps; it had reached level 4 by 100,000. The level was right and the time was not enough, which is the lesson's own subject: nothing bounds the wait. *Prompts*: 4096 of them have moments of their own, and so levels of their own; from the best model of the same rank on the same prompts the plateaus are off by 0.06 % at most. The rule had taken the sampling error of five seeds for that of all.
#
# **What is still open.** The levels are derived, the durations are not: which head is ahead, and by how much, hangs on the draw, and plateaus from 40 steps to the last 10,000 of a run were seen; no law for their distribution is given here. The null space was asked for quadratic forms only, at 15 small sizes; that nothing else is kept is not proved. With keys of rank 2 or 4, tried on a few seeds only, plateaus became shorter and some were skipped. And whether a network of several layers with separate keys and queries has such saddles, or Adam passes them faster, was not tried.

# %% [markdown]
# ## 8. Exercises
#
# Six cards. Write your answer in the cell under a card, run it, then the check.

# %% [markdown]
# ### Exercise 27.1 (derive, level 2, 10 min)
#
# Write `second_moment(lam, n)`: $E s^2$ for one covariate of variance `lam`. *Done:* the check passes.
#
# <details><summary>Hint 1</summary>How many of the n² pairs are an example with itself?</details>
# <details><summary>Hint 2</summary>(27.5) with d = 1: what is the trace?</details>

# %%
def second_moment(lam, n):
    ### BEGIN SOLUTION
    return lam**2 * (1 + 2 / n)
    ### END SOLUTION


# %%
check("27.1", second_moment)

# %% [markdown]
# ### Exercise 27.2 (code, level 2, 10 min)
#
# Write `all_levels(lam, n)`: the $d + 1$ losses (27.12) for eigenvalues `lam` in any order. *Done:* the check passes.
#
# <details><summary>Hint 1</summary>Which eigenvalue is learned first?</details>
# <details><summary>Hint 2</summary>A running sum of shares, with a 0 before it.</details>

# %%
def all_levels(lam, n):
    ### BEGIN SOLUTION
    lam = np.sort(lam)[::-1]
    total = lam.sum()
    shares = lam / (1 + (1 + total / lam) / n)
    return total - np.concatenate([[0.0], np.cumsum(shares)])
    ### END SOLUTION


# %%
check("27.2", all_levels)

# %% [markdown]
# ### Exercise 27.3 (find the bug, level 2, 10 min)
#
# With this gradient heads leave zero, and then end above the last level. Find the mistake, and write the repaired function. *Done:* right for any point.
#
# <details><summary>Hint 1</summary>While M is near zero dM is symmetric, and nobody sees it.</details>
# <details><summary>Hint 2</summary>Write a bᵀ with indices, and differentiate by one entry of b.</details>

# %%
def buggy_gradient(v, a, b, dM):
    return -(a @ dM @ b), -v * dM @ b, -v * dM @ a


# %%
def head_gradient(v, a, b, dM):
    ### BEGIN SOLUTION
    return -(a @ dM @ b), -v * dM @ b, -v * dM.T @ a
    ### END SOLUTION


# %%
check("27.3", head_gradient)

# %% [markdown]
# ### Exercise 27.4 (derive, level 3, 10 min)
#
# Write `wait(lam, u, eta)`: after how many steps (27.15) is infinite, from a head of size `u`. *Done:* the check passes.
#
# <details><summary>Hint 1</summary>Separate the variables: du over u squared.</details>
# <details><summary>Hint 2</summary>t is a time; how long is a step?</details>
#
# <!-- ### BEGIN SOLUTION -->
# <details><summary>Solution</summary>1/u - 1/∞ = 2 lam² t, and t is eta times the steps.</details>
# <!-- ### END SOLUTION -->

# %%
def wait(lam, u, eta):
    ### BEGIN SOLUTION
    return 1 / (2 * eta * lam**2 * u)
    ### END SOLUTION


# %%
check("27.4", wait)

# %% [markdown]
# ### Exercise 27.5 (derive, level 4, 10 min)
#
# Write `conserved(layers, heads, d, full)`: how many quadratic forms gradient flow keeps, for $d > 1$. *Done:* the check passes.
#
# <details><summary>Hint 1</summary>How many symmetric N are there, and how many with N 1 = 0?</details>
# <details><summary>Hint 2</summary>In the last layer of the paper's form some numbers stand still. Their products are forms.</details>

# %%
def conserved(layers, heads, d, full):
    ### BEGIN SOLUTION
    if full:
        return layers * heads * (heads + 1) // 2
    still = (heads - 1) * d * d
    return (layers - 1) * heads * (heads - 1) // 2 + still * (still + 1) // 2
    ### END SOLUTION


# %%
check("27.5", conserved)

# %% [markdown]
# ### Exercise 27.6 (experiment, level 3, 10 min)
#
# With $\eta = 0.1$ in place of 0.2, how many steps more do merged heads wait when their first weights are a tenth as large? *Done:* one number, to 3 %.
#
# <details><summary>Hint 1</summary>training.start("merged", std, seed, 4) and training.descend(...)["f"]; a drop has begun where the loss is below laws.edges()[0].</details>
# <details><summary>Hint 2</summary>(27.14) before you measure.</details>

# %%
def decade_at(eta, seed=20):
    ### BEGIN SOLUTION
    begins = []
    for std in (1e-3, 1e-4):
        weights = training.stacked([training.start("merged", std, seed, 4)])
        f = training.descend("merged", weights, exact, eta, 400, 400)["f"][0]
        begins.append(training.crossing(f, laws.edges()[0]))
    return begins[1] - begins[0]
    ### END SOLUTION


# %%
### BEGIN SOLUTION
more = decade_at(0.1)
### END SOLUTION
check("27.6", more)

# %% [markdown]
# ## 9. Exit ticket
#
# Write the letters in quotes.
#
# **t1.** A loss has not moved in the fourth digit for 1000 steps, and its gradient is almost 0. What follows?
#
# - (a) it has arrived at a minimum
# - (b) the learning rate is too small
# - (c) that the point is nearly stationary, and nothing about minimum or saddle
# - (d) that the noise of the batches balances the gradient
#
# **t2.** Why does a layer with separate keys and queries learn one eigenvector after the other?
#
# - (a) near zero a head grows at a rate proportional to its own size, so the one that is ahead runs away alone
# - (b) the gradient of the smaller eigenvectors is zero until the larger are learned
# - (c) the data have four variances
# - (d) the prompts are drawn in that order
#
# **t3.** One head in the paper's form, $P = \mathrm{diag}(P', 1)$, $Q = \mathrm{diag}(Q', 0)$: which quadratic forms does gradient flow keep?
#
# - (a) $\| P' \|^2 - \| Q' \|^2$ in every layer
# - (b) $\| P_1' - P_2' \|^2 - \| Q_1' - Q_2' \|^2$
# - (c) the corner's square less $\| Q' \|^2$
# - (d) none

# %%
### BEGIN SOLUTION
t1 = "c"
t2 = "a"
t3 = "d"
### END SOLUTION
check("27.t1", t1)
check("27.t2", t2)
check("27.t3", t3)

# %% [markdown]
# **Further reading**
#
# - Zhang, Singh, Latham and Saxe, *Training Dynamics of In-Context Learning in Linear Attention*, arXiv 2501.16265. Merged and separate keys and queries.
# - Saxe, McClelland and Ganguli, *Exact solutions to the nonlinear dynamics of learning in deep linear neural networks*, 2013. Plateaus where products of two are learned.
# - Isserlis, *On a formula for the product-moment coefficient of any order of a normal frequency distribution*, Biometrika 1918.
