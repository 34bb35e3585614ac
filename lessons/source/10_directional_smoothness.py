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
# # Lesson 10. Directional smoothness
#
# **Claim.** The curvature along a step says how long it may be; how much it can descend depends on its angle with the gradient as well.
#
# | read | code | run | level | needs | seed |
# |---|---|---|---|---|---|
# | 30 min | 40 min | 1 min | 3 of 5 | 02, 04, 06, 09 | 10 |
#
# **Misconception.** Low curvature along the step means that the step descends.
#
# You will measure the curvature that a step meets, with its sign, and the descent that it allows. Then you will put the directions of all optimizers side by
# side at one point, and see which of them bends least and which descends most. They are not the same.

# %%
import numpy as np

import linattn_np as la
from linattn_np.experiments.papers.maybe_all_you_need import directional_smoothness as at_scale
from linattn_np.progress import bar
from linattn_np.teaching import by_profile, check, knob, loaded, paper_and_us, predict
from linattn_np.teaching import reveal, show, slider, symbols, table, versions

SEED = 10
versions(SEED)
symbols("B n d L y P Q params dX")

# %% [markdown]
# As in lesson 09, $H$ is the Hessian of the loss on one fixed batch, $g$ its gradient, and all numbers of the model stand in one vector $x$ of length $p = 150$.
#
# ## 1. Predict
#
# After some hundred steps of Adam we stop, and look in two directions from the same point: that of the gradient, and that of Adam's next step. The paper's fourth result is
# that the curvature along Adam's is lower. Guess how many times. Then guess the descent: with the best length for each, how many times *more* does the gradient's direction
# allow than Adam's? (Less than 1 if Adam's allows more.)

# %%
### BEGIN SOLUTION
curvature_guess = 2
descent_guess = 0.5
### END SOLUTION
predict("10.p1", "Curvature along the gradient over that along Adam's step", curvature_guess)
predict("10.p2", "Descent allowed along the gradient over that along Adam's", descent_guess)

# %% [markdown]
# ## 2. Derive
#
# **In scalars.** One variable, slope $g$, curvature $h$: $f(x + s) \approx f(x) + g s + \frac{1}{2} h s^2$. If $h > 0$ this parabola has its lowest point at $s^* = -g / h$, lies
# $g^2 / (2h)$ below $f(x)$ there, and at $2 s^*$ it is back at $f(x)$. So $h$ bounds the length, and $g^2 / h$ is what can be gained. If $h \le 0$ the parabola bounds nothing.
#
# **In indices.** Walk from $x$ along a direction $u$. By the chain rule the slope is $\frac{d}{ds} f(x + s u) = \sum_i g_i u_i$, and once more
# $\frac{d^2}{ds^2} f(x + s u) = \sum_{ij} u_i H_{ij} u_j$. Only $Hu$ is needed, one Hessian-vector product, (4.1) to (4.13) of lesson 04.
#
# **In matrices.** Divide by the squared length of $u$, so that the number belongs to the direction alone. That is the *directional smoothness*, with its sign:
#
# $$ \kappa(u) = \frac{u^\top H u}{u^\top u} \tag{10.1} $$
#
# $$ f(x + s u) = f(x) + s\, g^\top u + \frac{s^2}{2}\, \kappa(u)\, u^\top u + O(s^3) \tag{10.2} $$
#
# For a unit $u$ the slope is $g^\top u = \|g\| \cos(u, g)$. Put it in place of the scalar $g$, and $\kappa$ in place of $h$. The best decrease that the parabola allows along $u$ is
#
# $$ \frac{\|g\|^2 \cos^2(u, g)}{2\, \kappa(u)}, \qquad \text{at the length} \quad s^* = -\frac{\|g\| \cos(u, g)}{\kappa(u)}, \qquad \kappa(u) > 0 \tag{10.3} $$
#
# Two numbers decide: $\cos^2$ above, $\kappa$ below. Ten times less curvature is worth nothing if $\cos^2$ is ten times smaller as well. And where $\cos = 0$ the decrease is 0, however flat the ground.
#
# **What $\kappa$ is made of.** Write a unit $u = \sum_i c_i e_i$ in eigenvectors of $H$. Then
#
# $$ \kappa(u) = \sum_i \lambda_i c_i^2, \qquad \sum_i c_i^2 = 1 \tag{10.4} $$
#
# a weighted mean of eigenvalues. It lies between the smallest and the largest. For a direction drawn at random every $c_i^2$ is $1/p$ on average, so $\kappa$ is $\mathrm{tr}(H) / p$ on average. If a few eigenvalues are large and
# most are small, nearly every direction is flat. To be flat is nothing special. The gradient is not drawn at random: on $\frac{1}{2} \sum_i \lambda_i x_i^2$ it has the components $\lambda_i x_i$, so it prefers the steep ones.
#
# **The most that any direction allows.** Let $H$ be positive definite. By the inequality of Cauchy and Schwarz, for $H^{1/2} u$ and $H^{-1/2} g$,
#
# $$ \frac{(g^\top u)^2}{2\, u^\top H u} \le \frac{1}{2}\, g^\top H^{-1} g, \qquad \text{with equality for } u = -H^{-1} g \tag{10.5} $$
#
# That is Newton's direction. An optimizer is good at a point as far as it comes near it; having little curvature is not the goal.
#
# **Why would a step meet less curvature than the gradient?** Momentum adds up gradients. Along a steep direction they overshoot, change sign, and cancel; along a flat one they agree. Adam also divides each coordinate by the
# root of its mean square (6.6), and steep coordinates tend to have large gradients.
#
# **Adam in its own coordinates.** Let $D$ be diagonal, $x = D^{-1/2} z$, and descend in $z$. The gradient by $z$ is $D^{-1/2} g$, so a step $z - \eta D^{-1/2} g$ moves $x$ by $-\eta D^{-1} g$. The Hessian by $z$ is $D^{-1/2} H D^{-1/2}$. Adam's division (6.6) is by $\sqrt{\hat v} + \epsilon$, and its
# first moment carries $1 / (1 - \beta_1^t)$. So with the diagonal $P$ (not the value matrix)
#
# $$ P = (1 - \beta_1^t)(\sqrt{\hat v} + \epsilon), \qquad \text{sharpness in Adam's coordinates:} \quad \lambda_1\big( P^{-1/2} H P^{-1/2} \big) \tag{10.6} $$
#
# What limits SGD's rate is $\lambda_1(H)$. What limits Adam's is this number.
#
# > **Where people slip**
# > - *Curvature without descent.* $\kappa$ near 0 is no merit. Report the cosine beside it.
# > - *Not dividing by $u^\top u$.* The step's length gets into the number, and a small learning rate looks smooth.
# > - *Another point.* $H$ belongs to the point *before* the step.
# > - *The sign.* Where $\kappa \le 0$ there is no parabola with a lowest point. Count such steps; do not drop them.

# %% [markdown]
# ## 3. On paper
#
# The four numbers $p_0, q_0, p_1, q_1$ and the prompt of lesson 09, at $(1, 1, 0, -1)$, where $f = 36$ and $s = -7$. With $f = (s + 1)^2$ the gradient is $2 (s + 1) s_i = -12\, s_i$, and off the diagonal $H_{ij} = 2 s_i s_j + 2 (s + 1)\, s_{ij} = 2 s_i s_j - 12\, s_{ij}$. With
# $s_{p_0 q_0} = -16$, $s_{p_0 q_1} = 8$, $s_{q_0 q_1} = 12$:
#
# $$ g = \begin{pmatrix} 96 \\ 132 \\ 0 \\ -96 \end{pmatrix}, \qquad
# H = \begin{pmatrix} 176 & 368 & 0 & -224 \\ 368 & 386 & 0 & -320 \\ 0 & 0 & 0 & 0 \\ -224 & -320 & 0 & 128 \end{pmatrix} $$
#
# Five directions. With a pencil: $u^\top u$, $g^\top u$, and $u^\top H u$, then $\kappa$ and the allowed decrease $(g^\top u)^2 / (2 u^\top H u)$.
#
# | u | u'u | g'u | u'Hu | κ | decrease | what it is |
# |---|---|---|---|---|---|---|
# | $(1, 1, 0, -1)$ | 3 | 324 | 2514 | 838 | 20.9 | sign of the gradient |
# | $(8, 11, 0, -8)$ | 249 | 2988 | 215922 | 867.2 | 20.7 | gradient over 12 |
# | $(0, 0, 0, 1)$ | 1 | $-96$ | 128 | 128 | 36 | $q_1$ alone |
# | $(0, 0, 1, 0)$ | 1 | 0 | 0 | 0 | 0 | $p_1$ alone |
# | $(1, -1, 0, 0)$ | 2 | $-36$ | $-174$ | $-87$ | no bound | $p_0$ up, $q_0$ down |
#
# Read the third row: $q_1$ alone makes a large angle with the gradient, and allows the most, since its curvature is so much smaller. It allows 36, the whole loss: $s$ is linear in $q_1$, so along $q_1$ the loss *is* its
# parabola. Read the fourth: $p_1$ is dead, perfectly flat, and leads nowhere. By machine:

# %%
Z_paper = np.array([[[1.0, 1], [-1, -1], [1, 0]]])  # (B, N, D) = (1, 3, 2)
params_paper, y_paper = np.array([1.0, 1, 0, -1]).reshape(2, 1, 2, 1, 1), np.array([1.0])
_, g_paper = la.loss_and_grad(params_paper, Z_paper, y_paper, backend="numpy")
H_paper, g_paper = la.hessian(params_paper, Z_paper, y_paper), g_paper.ravel()
print("g", g_paper.astype(int).tolist())
for u in ([1, 1, 0, -1], [8, 11, 0, -8], [0, 0, 0, 1], [0, 0, 1, 0], [1, -1, 0, 0]):
    u = np.array(u)
    print(u, [int(v) for v in (u @ u, g_paper @ u, u @ H_paper @ u)])

# %%
figure, axes = la.plotting.new_figure(columns=4, width=2.25, height=2.5)
at = np.linspace(-0.5, 1.2, 80)  # distance along the unit vector, downhill to the right
for ax, u in zip(axes[0], ([-1, -1, 0, 1], [0, 0, 0, 1], [0, 0, 1, 0], [1, -1, 0, 0])):
    u = np.array(u) / np.sqrt(np.dot(u, u))
    ways = [params_paper + s * u.reshape(params_paper.shape) for s in at]
    losses = [la.loss(x, Z_paper, y_paper) for x in ways]
    ax.plot(at, losses, color="#0072B2", linewidth=2, label="loss")
    parabola = 36 + at * (g_paper @ u) + at**2 / 2 * (u @ H_paper @ u)  # (10.2)
    ax.plot(at, parabola, "k--", linewidth=1.3, label="parabola")
    ax.plot(0, 36, "ko", markersize=5)
    ax.set(ylim=(-2, 80), xlabel="distance s")
titles = ("against the sign", "q1 alone", "p1 alone: dead", "negative curvature")
for ax, title in zip(axes[0], titles):
    ax.set_title(title, fontsize=10)
axes[0, 0].set_ylabel("loss f")
axes[0, 2].legend(frameon=False, fontsize=9)
show(figure, "The loss along four directions, with the parabola of each. Against the sign: "
             "steep, lowest near 0.2. q1: the parabola is the loss and touches 0. p1: flat. "
             "The last one bends downwards and has no lowest point.")

# %% [markdown]
# ## 4. Code it
#
# Loops, as the indices say it; then matrices; then the library, which never forms $H$.

# %%
def kappa_by_loops(H, u):
    """(10.1), one pair of coordinates at a time."""
    top = sum(u[i] * H[i, j] * u[j] for i in range(len(u)) for j in range(len(u)))
    return top / sum(u[i] * u[i] for i in range(len(u)))


def meeting(H, g, u):
    """kappa, cosine and allowed decrease of a direction u: (10.1) and (10.3)."""
    u = u / np.sqrt(u @ u)
    kappa, slope = u @ H @ u, g @ u
    decrease = slope**2 / (2 * kappa) if kappa > 0 else (np.inf if slope else 0.0)
    return kappa, slope / np.sqrt(g @ g), decrease


task = la.papers.maybe_all_you_need.SETTINGS["setting1"].task
small, few = la.init_params(np.random.default_rng(SEED), d=3), la.RegressionTask(n=7, d=3)
Zs, ys = few.sample(40, np.random.default_rng(SEED))
H, u = la.hessian(small, Zs, ys), np.random.default_rng(SEED).standard_normal(small.size)
g = la.loss_and_grad(small, Zs, ys)[1].ravel()  # (2.5) to (2.15)
by_matrices = meeting(H, g, u)
library = la.landscape.directional_smoothness(small, u.reshape(small.shape), Zs, ys)
table(("compared", "relative difference"), [
    ("loops and matrices", f"{abs(kappa_by_loops(H, u) / by_matrices[0] - 1):.0e}"),
    ("matrices and library", f"{abs(library / by_matrices[0] - 1):.0e}"),
])

# %% [markdown]
# Now one point, and every direction that an optimizer would take from it. The point lies on Adam's path. "Adam" is the step that it took there; the others are made from the gradient of the fixed batch, (6.1) to (6.8). Two more for comparison: the
# eigenvector of the largest eigenvalue, and one entry of the dead $P'$.

# %%
setting, record = la.papers.maybe_all_you_need.SETTINGS["setting1"], by_profile(4, 10)
steps, batch, prompts = by_profile((40, 100, 100), (600, 1000, 1000))
surface = la.landscape.Objective(*task.sample(prompts, np.random.default_rng(99)))


def run_of(name, seed):
    """One run of the paper's SGD or Adam, every tenth step kept."""
    return la.train(task, setting.optimizer(name), steps, batch, clip=setting.clip, seed=seed,
                    record_every=record, progress=False)


def directions_of(history, t):
    """All directions at snapshot t of a run: {name: like params}."""
    x = history.snapshots[t]
    found = la.landscape.directions_at(surface.grad(x), history.updates[t])
    for twin in ("normalized", "clipped"):  # parallel to the gradient: only the length differs
        del found[twin]
    found["steepest"] = np.linalg.eigh(surface.hessian(x))[1][:, -1].reshape(x.shape)
    found["dead"] = np.zeros(x.shape)
    found["dead"][-1, 0, 0, 0, 0] = 1.0  # an entry of the last P'
    return found


# %%
adam = run_of("Adam", 0)
middle = sorted(adam.updates)[len(adam.updates) // 2]
met = la.landscape.step_curvature(adam.snapshots[middle], directions_of(adam, middle), surface)
rows = [(name, m.kappa, m.cosine, m.decrease, m.decrease / met["gradient"].decrease)
        for name, m in met.items()]
table(("direction", "kappa", "cosine", "allowed decrease", "over the gradient's"), rows,
      f"At iteration {middle} of Adam")

# %%
def cloud(history, t, size):
    """kappa and squared cosine (size,) of directions drawn at random, at snapshot t."""
    x = history.snapshots[t]
    H, g = surface.hessian(x), surface.grad(x).ravel()
    U = np.random.default_rng(SEED).standard_normal((size, x.size))
    return (U @ H * U).sum(axis=1) / (U**2).sum(axis=1), (U @ g) ** 2 / (
        (U**2).sum(axis=1) * (g @ g))


figure, axes = la.plotting.new_figure(width=6.4, height=4.0)
ax, x = axes[0, 0], np.geomspace(1e-3, 30, 50)
kappas, squares = cloud(adam, middle, 1000)
ax.scatter(kappas[:300], squares[:300], s=6, color="0.75", label="300 drawn at random")
for share in (1, 0.1, 0.01, 0.001):  # equal decrease: cos^2 / kappa is the same
    level = share / met["gradient"].kappa
    ax.plot(x, level * x, color="0.6", linewidth=1, zorder=1)
    ax.text(0.0115, 1.3 * level * 0.0115, f"{share:g}", color="0.3", rotation=32, fontsize=8)
for (name, m), marker in zip(met.items(), "osDX^P", strict=True):
    if m.kappa > 0:
        colour = la.plotting.STYLES.get(name, {"color": "0.3"})["color"]
        ax.scatter(m.kappa, m.cosine**2, marker=marker, s=55, color=colour, label=name)
ax.set(xscale="log", yscale="log", xlim=(1e-2, 10), ylim=(1e-5, 2))
ax.set(xlabel="curvature along the direction, kappa", ylabel="squared cosine with g")
ax.legend(frameon=False, fontsize=9, loc="lower right")
show(figure, "Squared cosine against curvature, grey lines of equal allowed decrease. "
             "Gradient, sign and coordinate-clipped lie near the line 1, Adam's step below "
             "them; a cloud of random directions lies to the left, far below.")
flatter = 100 * np.mean(kappas < met["Adam"].kappa)
allowed = np.median(squares[kappas > 0] / kappas[kappas > 0]) * met["gradient"].kappa
print(f"of 1000 directions drawn at random {flatter:.0f} percent are flatter than Adam's step")
print(f"their median descent is {allowed:.2g} of the gradient's")

# %% [markdown]
# Along a grey line the allowed decrease is the same, as a share of the gradient's. Going left is less curvature; going *up* across the lines is more descent. The dead direction is not in the picture: logarithms have no place for 0 and 0.
#
# Look at the cloud, and at the lines below the picture. To meet little curvature one may simply draw a direction at random, as (10.4) says. Nobody would call that a good step.

# %% [markdown]
# ## 5. Audit it
#
# Three tests. *Direction only*: $\kappa(-3u) = \kappa(u)$. *Unit vectors*: $\kappa(e_i) = H_{ii}$, the diagonal of lesson 09. *Taylor*: what (10.2) leaves out is $O(s^3)$, so when $s$ is halved the error falls by 8. The third one needs the loss alone,
# and no derivation. Four planted mistakes: no division by $u^\top u$, the factor $\frac{1}{2}$ of (10.2), the curvature at the point *after* the step, and the gradient's sign.

# %%
def kappa_of(x, u):
    """(10.1) by one Hessian-vector product."""
    return (u * surface.hvps(x, u[None])[0]).sum() / (u * u).sum()


def order(x, u, kappa, half=0.5, sign=1.0):
    """The power of s with which f(x + s u) departs from the parabola (10.2)."""
    f, grad = surface.loss_and_grad(x)
    lengths = 0.08 * 0.5 ** np.arange(5)
    bend = half * kappa(x, u) * (u * u).sum()
    model = f + sign * lengths * (grad * u).sum() + lengths**2 * bend
    true = np.array([surface.loss_and_grad(x + s * u)[0] for s in lengths])
    return np.polyfit(np.log(lengths), np.log(np.abs(true - model)), 1)[0]


# %%
x = adam.snapshots[middle]
v = 2.0 * la.init_params(np.random.default_rng(SEED), std=1 / np.sqrt(150))  # length near 2
e = np.eye(150)[30].reshape(x.shape)  # an entry of Q'
mistakes = {
    "right": (kappa_of, {}),
    "not divided by u'u": (lambda x, u: kappa_of(x, u) * (u * u).sum(), {}),
    "factor 1/2 forgotten": (kappa_of, {"half": 1.0}),
    "H after the step": (lambda x, u: kappa_of(x + 0.1 * u, u), {}),
    "sign of the gradient": (kappa_of, {"sign": -1.0}),
}
rows = []
for name, (kappa, wrong) in mistakes.items():
    same = np.isclose(kappa(x, -3 * v), kappa(x, v), rtol=1e-9)
    entry = np.isclose(kappa(x, e), surface.diagonal(x)[30], rtol=1e-9)
    passed = ["passes" if good else "FAILS" for good in (same, entry)]
    rows.append((name, *passed, f"{order(x, v, kappa, **wrong):.2f}"))
table(("version", "direction only", "unit vectors", "order (3 is right)"), rows)

# %% [markdown]
# Only the order catches all four. The first test also catches the first mistake, and misses two others entirely: a formula may depend on the direction alone and be wrong.

# %% [markdown]
# ## 6. Experiment
#
# One question: do the steps of Adam meet less curvature than those of SGD, and do they descend more? One knob: the direction. First along the two paths, several seeds: every recorded step, at its own point.

# %%
seeds, names = by_profile(3, 3, 6), ("SGD", "Adam")
found, adams = {name: [] for name in names}, []
with bar(2 * seeds, "runs", unit="run") as shown:
    for name in names:
        for seed in range(seeds):
            history = adam if (name, seed) == ("Adam", 0) else run_of(name, seed)
            times = np.array(sorted(history.updates))
            found[name].append([
                la.landscape.step_curvature(x, {"u": u}, surface)["u"]
                for x, u in ((history.snapshots[t], history.updates[t]) for t in times)
            ])
            if name == "Adam":
                adams.append(history)
            shown.update()
along = {name: np.array(found[name]) for name in names}  # (seeds, times, 3)

# %%
def in_windows(values, width=5):
    """Quartiles over the seeds and the recorded steps of each window. (seeds, T) -> (3, W)"""
    cut = values.reshape(len(values), -1, width).swapaxes(0, 1)
    cut = cut.reshape(len(cut), -1)
    return np.quantile(cut, [0.25, 0.5, 0.75], axis=1, method="inverted_cdf")


figure, axes = la.plotting.new_figure(columns=3, width=3.0, height=3.2)
labels = ("curvature, kappa", "cosine of step and gradient", "allowed decrease")
for k, (ax, label) in enumerate(zip(axes[0], labels, strict=True)):
    for name in names:
        la.plotting.median_band(ax, times[2::5], in_windows(along[name][..., k]), name)
    ax.set(xlabel="iteration t", title=label)
    ax.title.set_fontsize(10)
axes[0, 0].set_yscale("symlog", linthresh=0.1)
axes[0, 1].axhline(0, color="0.5", linewidth=0.8)
axes[0, 2].set_yscale("log")
axes[0, 0].legend(frameon=False, fontsize=9)
show(figure, "Along SGD and Adam: SGD's curvature rises above 1 and Adam's falls to 0.2; both "
             "cosines are between -0.5 and 0, most of the time near -0.1; the decrease that "
             "SGD's steps allow is soon the larger one.")
shares = [(name, along[name][..., 0].size, *(100 * np.mean(c) for c in (
    along[name][..., 0] <= 0, along[name][..., 1] > 0))) for name in names]
table(("optimizer", "steps", "kappa <= 0, percent", "uphill (cosine > 0), percent"), shares)

# %% [markdown]
# The first panel is the paper's claim, and here it stands: after a short while SGD's steps meet many times the curvature of Adam's. The other two panels are what the claim does not say. Both optimizers move nearly across the gradient, because their steps are mostly momentum and noise. And a considerable share of
# the steps goes uphill on the fixed batch. Negative curvature is rare; the table counts it.
#
# But this compares two paths: at the same iteration SGD and Adam stand at different points, with different gradients. So put all directions at the *same* points, those of Adam's paths.

# %%
compared = ("gradient", "sign", "coordinate-clipped", "Adam")
values = []
for history in adams:
    for t in sorted(history.updates)[5::5]:
        x = history.snapshots[t]
        here = la.landscape.directions_at(surface.grad(x), history.updates[t])
        m = la.landscape.step_curvature(x, {name: here[name] for name in compared}, surface)
        values.append([m[name] for name in compared])
values = np.array(values)  # (points, directions, 3)
against = values[:, :1] / values  # the gradient's over each direction's
rows = [(name, *np.median(values[:, k, :2], axis=0), *np.median(against[:, k, [0, 2]], axis=0))
        for k, name in enumerate(compared)]
head = ("direction", "kappa", "cosine", "curvature: gradient's over its own",
        "descent: gradient's over its own")
table(head, rows, f"Medians over {len(values)} points of {seeds} runs of Adam")
reveal("10.p1", float(rows[-1][3]), "How many times less curvature Adam's step meets.")
reveal("10.p2", float(rows[-1][4]), "How many times less descent it allows.")

# %% [markdown]
# Adam's step meets several times less curvature than the gradient, and allows several times *less* descent. It lost more in the squared cosine than it gained in the curvature. The sign of the gradient does better: about half the curvature, and nearly the same descent.
#
# This does not say that Adam is a bad optimizer. Its step is an average over past batches, and is made to be right on average over many steps; one step on one batch is not what it is for. It says that a low $\kappa$ does not explain its success.
#
# Now by eye. The solid line is the loss itself along the direction, dashed the parabola, and the grey line stands at the best length of (10.3); it is negative where the step leads uphill. Try "dead" and "steepest", and the start, where the parabola is a poor guide.

# %%
shown_at = [sorted(adam.updates)[k * (len(adam.updates) - 1) // 4] for k in range(5)]
coarse = la.landscape.Objective(*task.sample(by_profile(100, 300), np.random.default_rng(99)))
prepared = {t: directions_of(adam, t) for t in shown_at}


def draw_line(direction, t):
    x, u = adam.snapshots[t], prepared[t][direction]
    u = u / la.optimizers.global_norm(u)
    m = la.landscape.step_curvature(x, {"u": u}, coarse)["u"]
    f, grad = coarse.loss_and_grad(x)
    slope = (grad * u).sum()
    best = -slope / m.kappa if m.kappa > 0 and slope else 0.3
    at = abs(best) * np.linspace(-3, 3, 37)
    true = np.array([coarse.loss_and_grad(x + s * u)[0] for s in at])
    parabola = f + at * slope + at**2 * m.kappa / 2
    figure, axes = la.plotting.new_figure(width=6.0, height=3.3)
    ax = axes[0, 0]
    ax.plot(at, true, color="#0072B2", linewidth=2, label="loss")
    ax.plot(at, parabola, color="k", linestyle="--", linewidth=1.3, label="parabola (10.2)")
    ax.plot(0, f, "ko", markersize=5)
    ax.axvline(best, color="0.6", linewidth=1)
    way = "uphill" if slope > 0 else "downhill" if slope < 0 else "level"
    ax.set(xlabel=f"distance along the direction, which leads {way}", ylabel="loss")
    ax.set_title(f"kappa {m.kappa:.3g}, cosine {m.cosine:.3f}, allowed decrease "
                 f"{m.decrease:.2e} of {f:.2e}", fontsize=10)
    ax.legend(frameon=False, fontsize=9)
    return figure


slider(draw_line, "The loss along Adam's direction and the parabola that touches it: they "
                  "agree near the point and stay close to the best length.",
       direction=knob(list(prepared[shown_at[0]]), "Adam", "direction"),
       t=knob(shown_at, shown_at[2], "iteration"))

# %% [markdown]
# ## 7. The paper and us
#
# The same at the paper's scale, for three data settings. Above, curvature along the paths; below, the descent that each direction allows at the points of Adam's path, over the gradient's.

# %%
paper = loaded("directional_smoothness")
figure, axes = la.plotting.new_figure(columns=3, rows=2, width=3.0, height=2.6)
rows = []
for k, (top, bottom) in enumerate(axes.T):
    panel = paper["panels"][f"setting{k + 1}"]
    for name in names:
        curve = panel[name]["kappa"]
        la.plotting.median_band(top, curve["iterations"], at_scale.band(curve), name)
    one = {name: {key: np.array(values, float) for key, values in row.items()}
           for name, row in panel["at_one_point"].items()}
    for name in compared[1:]:
        share = one[name]["decrease"] / one["gradient"]["decrease"]
        bottom.plot(one[name]["iterations"], share, label=name, **la.plotting.STYLES[name])
        less = np.nanmedian(one["gradient"]["kappa"] / one[name]["kappa"])
        rows.append((f"Setting {k + 1}", name, less, np.nanmedian(share)))
    top.set_yscale("symlog", linthresh=at_scale.threshold(panel))
    top.set_title(f"Setting {k + 1}")
    bottom.axhline(1, color="0.5", linewidth=0.8)
    bottom.set(yscale="log", xlabel="iteration t")
axes[0, 0].set_ylabel("curvature, kappa")
axes[1, 0].set_ylabel("allowed decrease\nover the gradient's")
axes[0, 0].legend(frameon=False, fontsize=8)
figure.legend(*axes[1, 0].get_legend_handles_labels(), frameon=False, fontsize=8, ncols=3,
              loc="outside lower center")
show(figure, "Loaded. Top: in Setting 1 SGD's curvature stays above Adam's; in Settings 2 and "
             "3 the curves cross, and Adam's is often above. Bottom: Adam's direction allows "
             "mostly less than the gradient's, the sign's about the same.")
head = ("", "direction", "gradient's curvature over its own",
        "its decrease over the gradient's")
table(head, rows, "Loaded: medians over iterations, at the points of Adam's paths")

# %%
paper_and_us([f"directional_smoothness.setting{k}" for k in (1, 2, 3)])

# %% [markdown]
# **Where it does not come out.** In Setting 1 the claim holds nearly always. In Settings 2 and 3 it does not, on the paper's test batch: more often than not Adam's steps meet *more* curvature than SGD's. Read the column "why" before you conclude anything from that. In Setting 2 Adam's are lower in the first iterations, and on other test batches the shares are different ones: as in lesson 09, a
# single batch with rare prompts decides too much.
#
# What remains is in the table above. At equal points Adam's direction is flatter than the gradient in all three settings. Along the paths the two optimizers stand at different points, and where they stand can matter more than which way they look.
#
# The paper takes low directional smoothness as a sign of a better direction. The last column of that table is our reason for doubt: at the same points the flatter direction allows less.

# %% [markdown]
# ## 8. Exercises
#
# Six cards. Write your answer in the cell under a card, run it, then the check.

# %% [markdown]
# ### Exercise 10.1 (derive, level 1, 10 min)
#
# Section 3 again: the decrease that the direction $(1, 0, 0, -1)$ allows. *Done:* one number.
#
# <details><summary>Hint 1</summary>In u'Hu the entry off the diagonal occurs twice, and with the sign of both coordinates.</details>

# %%
### BEGIN SOLUTION
decrease_one = 192**2 / (2 * 752)
### END SOLUTION
check("10.1", decrease_one)

# %% [markdown]
# ### Exercise 10.2 (code, level 2, 10 min)
#
# Write `meets(H, g, u)`: curvature, cosine, and allowed decrease of a direction `u` of any length; `H` is positive definite. *Done:* the check passes.
#
# <details><summary>Hint 1</summary>Make u a unit vector first, and in a new variable.</details>

# %%
def meets(H, g, u):
    ### BEGIN SOLUTION
    u = u / np.sqrt(u @ u)
    kappa, slope = u @ H @ u, g @ u
    return kappa, slope / np.sqrt(g @ g), slope**2 / (2 * kappa)
    ### END SOLUTION


# %%
check("10.2", meets)

# %% [markdown]
# ### Exercise 10.3 (find the bug, level 2, 10 min)
#
# This function is meant to give the curvature that the step from `before` to `after` meets. It runs, and its numbers look plausible: lower for smaller learning rates. Find the mistakes, there are two, and repair it. *Done:* as `la.landscape.directional_smoothness`, without calling it.
#
# <details><summary>Hint 1</summary>A curvature does not depend on the length of the step.</details>
# <details><summary>Hint 2</summary>At which point is H taken?</details>

# %%
def buggy_kappa(before, after, Z, y):
    u = after - before
    return (u * la.hvp(after, Z, y, u)).sum() / np.sqrt((u * u).sum())


# %%
def kappa_of_step(before, after, Z, y):
    ### BEGIN SOLUTION
    u = after - before
    return (u * la.hvp(before, Z, y, u)).sum() / (u * u).sum()
    ### END SOLUTION


# %%
check("10.3", kappa_of_step)

# %% [markdown]
# ### Exercise 10.4 (derive, level 3, 10 min)
#
# Write the most that *any* direction allows, (10.5), as a function of a positive definite `H` and `g`. Then use it: how close does the gradient's own direction come? *Done:* the check passes.
#
# <details><summary>Hint 1</summary>np.linalg.solve(H, g) is better than an inverse.</details>

# %%
def most_decrease(H, g):
    ### BEGIN SOLUTION
    return g @ np.linalg.solve(H, g) / 2
    ### END SOLUTION


# %%
check("10.4", most_decrease)

# %% [markdown]
# ### Exercise 10.5 (code, level 3, 15 min)
#
# Write `adam_sharpness(H, v_hat, t)`, (10.6), for `H` (p, p), `v_hat` (p,), beta1 = 0.9 and eps = 1e-8. *Done:* the check passes.
#
# <details><summary>Hint 1</summary>P is diagonal: its root multiplies rows and columns. No matrix product is needed.</details>
# <details><summary>Hint 2</summary>np.linalg.eigvalsh wants a symmetric matrix, and reads only half of it.</details>

# %%
def adam_sharpness(H, v_hat, t):
    ### BEGIN SOLUTION
    root = 1 / np.sqrt((1 - 0.9**t) * (np.sqrt(v_hat) + 1e-8))
    return np.linalg.eigvalsh(root[:, None] * H * root)[-1]
    ### END SOLUTION


# %%
check("10.5", adam_sharpness)

# %% [markdown]
# ### Exercise 10.6 (experiment, level 2, 15 min)
#
# What curvature does a direction drawn at random meet, on average, at the paper's initial weights? Say first what (10.4) and (9.3) of lesson 09 together predict for 150 numbers, 75 of which belong to $Q$. Then draw a few thousand directions and measure, on 1000 prompts of Setting 1, `default_rng(99)`, with the weights of `default_rng(0)`. *Done:* within 5 percent.
#
# <details><summary>Hint 1</summary>75 diagonal entries are near 2.6, the others near 0, and there are 150.</details>
# <details><summary>Hint 2</summary>la.hessian once, then U = rng.standard_normal((5000, 150)) and einsum.</details>

# %%
def mean_curvature():
    ### BEGIN SOLUTION
    Z, y = task.sample(1000, np.random.default_rng(99))
    H = la.hessian(la.init_params(np.random.default_rng(0)), Z, y)
    U = np.random.default_rng(SEED).standard_normal((20_000, 150))
    return ((U @ H * U).sum(axis=1) / (U * U).sum(axis=1)).mean()
    ### END SOLUTION


# %%
### BEGIN SOLUTION
random_kappa = mean_curvature()
### END SOLUTION
check("10.6", random_kappa)

# %% [markdown]
# ## 9. Exit ticket
#
# Write the letters in quotes.
#
# **t1.** One direction meets a hundredth of the curvature of another, and its cosine is a tenth. How do the allowed decreases compare?
#
# - (a) the first allows a hundred times more
# - (b) the first allows ten times more
# - (c) they are equal
# - (d) the first allows ten times less
#
# **t2.** Along a direction that leads downhill $\kappa < 0$. What does the parabola say about the step's length?
#
# - (a) nothing: it has no lowest point
# - (b) it must be negative
# - (c) it must be zero
# - (d) it may be at most twice the best one
#
# **t3.** Someone shows that steps of a new optimizer meet very little curvature. What do you ask for first?
#
# - (a) the largest eigenvalue
# - (b) the cosine with the gradient
# - (c) the learning rate
# - (d) more seeds

# %%
### BEGIN SOLUTION
t1 = "c"
t2 = "a"
t3 = "b"
### END SOLUTION
check("10.t1", t1)
check("10.t2", t2)
check("10.t3", t3)

# %% [markdown]
# **Further reading**
#
# - Pan and Li, *Toward understanding why Adam converges faster than SGD for Transformers*, arXiv 2306.00204. Where directional sharpness comes from, and the observation that clipping by coordinate lowers it.
# - Cohen et al., *Adaptive gradient methods at the edge of stability*, arXiv 2207.14484. The preconditioned sharpness (10.6), and where Adam holds it.
# - Nocedal and Wright, *Numerical Optimization*. Chapter 2 is (10.2) and (10.3); chapter 3 is about directions that descend.
