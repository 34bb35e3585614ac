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
# **Claim.** Of what Adam does to the gradient, the averaging flattens the step and turns it away from descent; the division flattens it and costs no descent at all.
#
# | read | code | run | level | needs | seed |
# |---|---|---|---|---|---|
# | 40 min | 70 min | 1 min | 3 of 5 | 02, 04, 06, 09 | 10 |
#
# **Misconception.** Low curvature along the step means that the step descends.
#
# **Afterwards you can say.** What a direction can gain is its squared cosine with the gradient over its curvature: dividing by the root of v lowers the curvature and keeps the cosine, averaging lowers both, so a flat step alone explains nothing. (t1)
#
# <details><summary>Symbols of this lesson</summary>
#
# | symbol | meaning |
# |---|---|
# | $u$ | a direction, as long as all numbers of the model |
# | $x$ (here) | all numbers of the model in one vector |
# | $g$, $H$ (here) | gradient and Hessian of the loss on one fixed batch |
# | $\kappa(u)$ | curvature along $u$: directional smoothness |
# | $\delta$ (here) | distance walked along $u$ |
# | $c_i$, $e_i$ | coordinates of $u$ in the eigenvectors $e_i$ of $H$ |
# | $\lambda_i$ | eigenvalues of $H$ |
# | $m$, $\hat v$, $\beta$, $\epsilon$ | Adam's mean of gradients and of their squares, their weight, and `eps` |
# | $S$ (here) | diagonal matrix of Adam's scales |
# | $s$ (here) | what the query's label slot holds, as in lesson 09 |
#
# </details>
#
# You will take Adam's step apart into its two ideas and see which of them bends less and which descends; measure the curvature that steps meet, with its sign; and find the number at which Adam's own sharpness stops.

# %%
import numpy as np

import linattn_np as la
from linattn_np.experiments.papers.maybe_all_you_need import directional_smoothness as at_scale
from linattn_np.optimizers import SGD, Adam, clip
from linattn_np.progress import bar
from linattn_np.teaching import by_profile, check, knob, loaded, moving, paper_and_us, predict
from linattn_np.teaching import reveal, show, slider, symbols, table, versions
from linattn_np.teaching.pictures import lesson_10 as pictures

SEED = 10
versions(SEED)
symbols("B n d L y P Q params dX")

# %% [markdown]
# ## 1. Predict
#
# After some hundred steps of Adam we stop, and look in two directions from the same point: that of the gradient, and that of Adam's next step, $m / \sqrt v$. The paper's fourth result is
# that the curvature along Adam's is lower. Guess how many times. Then guess what the *division* alone, $g / \sqrt v$, does to the descent: with the best length for each, how many times as much as the gradient's direction does it allow?

# %%
### BEGIN SOLUTION
curvature_guess = 2
descent_guess = 3
### END SOLUTION
predict("10.p1", "Curvature along the gradient over that along Adam's step", curvature_guess)
predict("10.p2", "Descent allowed along g / sqrt v over that along the gradient", descent_guess)

# %% [markdown]
# Three runs of Adam, Setting 1, the paper's rate. At each recorded point the four directions that one gets by averaging or not, dividing or not; $g$ is the gradient of one fixed batch of 1000, $m$ and $v$ are Adam's own. Turn the step.

# %%
setting = la.papers.maybe_all_you_need.SETTINGS["setting1"]
task, steps, record = setting.task, by_profile(40, 600), by_profile(4, 10)
surface = la.landscape.Objective(*task.sample(by_profile(100, 1000), np.random.default_rng(99)))
adam = Adam(0.02, 0.9, 0.9)


# %%
def path_of(optimizer, seed, batch=by_profile(100, 1000)):
    """{t: (x before step t+1, the step, the state after, its batch's gradient)} along a run."""
    rng, found = np.random.default_rng([SEED, seed]), {}
    x = la.init_params(np.random.default_rng(seed))
    state = optimizer.init(x)
    for t in range(steps):
        grad = clip(la.loss_and_grad(x, *task.sample(batch, rng))[1], setting.clip)
        new, state = optimizer.update(x, grad, state)
        if t and t % record == 0:
            found[t] = x, new - x, state, grad
        x = new
    return found


def parts(point):
    """Adam's step taken apart at a point of its path: averaged or not, divided or not."""
    x, _, state, _ = point
    m, v = (a / (1 - 0.9**state.t) for a in (state.m, state.v))  # (6.6)
    g, root = surface.grad(x), np.sqrt(v) + 1e-8
    return {"g": -g, "g / sqrt v": -g / root, "m": -m, "m / sqrt v": -m / root}


# %%
adams = [path_of(adam, seed) for seed in range(3)]
shown_at = sorted(adams[0])[4::5]
met = {t: [la.landscape.step_curvature(run[t][0], parts(run[t]), surface) for run in adams]
       for t in shown_at}  # kappa, cosine, decrease: (10.1), (10.3)
split = {t: {name: np.array([m[name] for m in met[t]]) for name in pictures.PARTS} for t in met}
moving(lambda t: pictures.draw_split(split[t], t),
       "Squared cosine against curvature of four directions, arrows between them, grey lines "
       "of equal allowed decrease, as a share of the gradient's. Dividing moves left along a "
       "line; averaging moves down across the lines.",
       t=knob(shown_at, shown_at[len(shown_at) // 2], "step"))
all_of = {name: np.concatenate([split[t][name] for t in met]) for name in pictures.PARTS}
g_first = {name: values / all_of["g"] for name, values in all_of.items()}
reveal("10.p1", 1 / np.median(g_first["m / sqrt v"][:, 0]),
       "Median of the points of three runs.")
reveal("10.p2", np.median(g_first["g / sqrt v"][:, 2]), "Adam's whole step allows "
       f"{np.median(g_first['m / sqrt v'][:, 2]):.2g} of the gradient's.")

# %% [markdown]
# Along a grey line the allowed decrease is the same share of the gradient's. The division goes left along a line: less curvature, as much descent. The averaging goes down across the lines. Both are "flatter".

# %% [markdown]
# ## 2. Derive
#
# **In scalars.** One variable, slope $g$, curvature $h$: $f(x + \delta) \approx f(x) + g \delta + \frac{1}{2} h \delta^2$. If $h > 0$ this parabola has its lowest point at $\delta^* = -g / h$, lies
# $g^2 / (2h)$ below $f(x)$ there, and at $2 \delta^*$ it is back at $f(x)$. So $h$ bounds the length, and $g^2 / h$ is what can be gained. If $h \le 0$ the parabola bounds nothing.
#
# **In indices.** Walk from $x$ along a direction $u$. By the chain rule the slope is $\frac{d}{d\delta} f(x + \delta u) = \sum_i g_i u_i$, and once more
# $\frac{d^2}{d\delta^2} f(x + \delta u) = \sum_{ij} u_i H_{ij} u_j$. Only $Hu$ is needed, one Hessian-vector product, (4.1) to (4.13) of lesson 04.
#
# **In matrices.** Divide by the squared length of $u$, so that the number belongs to the direction alone. That is the *directional smoothness*, with its sign:
#
# $$ \kappa(u) = \frac{u^\top H u}{u^\top u} \tag{10.1} $$
#
# $$ f(x + \delta u) = f(x) + \delta\, g^\top u + \frac{\delta^2}{2}\, \kappa(u)\, u^\top u + O(\delta^3) \tag{10.2} $$
#
# For a unit $u$ the slope is $g^\top u = \|g\| \cos(u, g)$. Put it in place of the scalar $g$, and $\kappa$ in place of $h$. The best decrease that the parabola allows along $u$ is
#
# $$ \frac{\|g\|^2 \cos^2(u, g)}{2\, \kappa(u)}, \qquad \text{at the length} \quad \delta^* = -\frac{\|g\| \cos(u, g)}{\kappa(u)}, \qquad \kappa(u) > 0 \tag{10.3} $$
#
# Two numbers decide: $\cos^2$ above, $\kappa$ below. Ten times less curvature is worth nothing if $\cos^2$ is ten times smaller as well. *Mind the square.* It forgets the sign: (10.3) credits a direction that leads uphill with what its opposite would gain. An optimizer walks along $u$ only. So where steps of a run are judged we count an uphill step as 0, and say how many there are.
#
# By eye: the solid line is the loss along the direction, dashed the parabola, the grey line stands at the best length, negative where the step leads uphill. "steepest" is the first eigenvector, "dead" an entry of the last $P'$.

# %%
def directions_of(run, t):
    """All directions that an optimizer would take from a point: {name: like params}."""
    x, step, _, _ = run[t]
    found = la.landscape.directions_at(surface.grad(x), step)
    for twin in ("normalized", "clipped"):  # parallel to the gradient: only the length differs
        del found[twin]
    found["steepest"] = np.linalg.eigh(surface.hessian(x))[1][:, -1].reshape(x.shape)
    found["dead"] = np.zeros(x.shape)
    found["dead"][-1, 0, 0, 0, 0] = 1.0  # an entry of the last P'
    return found


few_times = [sorted(adams[0])[k * (len(adams[0]) - 1) // 4] for k in range(5)]
prepared = {t: directions_of(adams[0], t) for t in few_times}


def draw_line(direction, t):
    x, u = adams[0][t][0], prepared[t][direction]
    u = u / la.optimizers.global_norm(u)
    met = la.landscape.step_curvature(x, {"u": u}, surface)["u"]
    return pictures.draw_line(x, u, met, surface)


slider(draw_line, "The loss along Adam's direction and the parabola that touches it: they "
                  "agree around the point, where this step leads a little uphill.",
       direction=knob(list(prepared[few_times[0]]), "Adam", "direction"),
       t=knob(few_times, few_times[2], "iteration"))

# %% [markdown]
# **What $\kappa$ is made of.** Write a unit $u = \sum_i c_i e_i$ in eigenvectors of $H$. Then
#
# $$ \kappa(u) = \sum_i \lambda_i c_i^2, \qquad \sum_i c_i^2 = 1 \tag{10.4} $$
#
# a weighted mean of eigenvalues. For a direction drawn at random every $c_i^2$ is $1/p$ on average, so $\kappa$ is $\mathrm{tr}(H) / p$ on average. If a few eigenvalues are large and
# most are small, nearly every direction is flat. To be flat is nothing special. The gradient is not drawn at random: on $\frac{1}{2} \sum_i \lambda_i x_i^2$ it has the components $\lambda_i x_i$, so it prefers the steep ones.
#
# **The most that any direction allows.** Let $H$ be positive definite. By the inequality of Cauchy and Schwarz, for $H^{1/2} u$ and $H^{-1/2} g$,
#
# $$ \frac{(g^\top u)^2}{2\, u^\top H u} \le \frac{1}{2}\, g^\top H^{-1} g, \qquad \text{with equality for } u = -H^{-1} g \tag{10.5} $$
#
# That is Newton's direction. An optimizer is good at a point as far as it comes near it; having little curvature is not the goal.
#
# **Why is Adam's step flat?** For two reasons. *Averaging*: along a steep direction gradients overshoot, change sign, and cancel; along a flat one they agree. What cancels is also what today's gradient is made of, so the angle opens. *Dividing* by the root of the mean square: steep coordinates tend to have large gradients. That is a step towards (10.5) with a diagonal in place of $H$.
#
# **Adam in its own coordinates.** Let $S$ be diagonal, $x = S^{-1/2} \tilde x$, and descend in $\tilde x$. The gradient by $\tilde x$ is $S^{-1/2} g$, so a step $\tilde x - \eta S^{-1/2} g$ moves $x$ by $-\eta S^{-1} g$. The Hessian by $\tilde x$ is $S^{-1/2} H S^{-1/2}$. Adam's division (6.6) is by $\sqrt{\hat v} + \epsilon$, and its
# first moment carries $1 / (1 - \beta_1^t)$. So
#
# $$ S = (1 - \beta_1^t)(\mathrm{diag} \sqrt{\hat v} + \epsilon I), \qquad \text{sharpness in Adam's coordinates:} \quad \lambda_1\big( S^{-1/2} H S^{-1/2} \big) \tag{10.6} $$
#
# and Adam's mean is $1 - \beta_1$ times a momentum buffer with $\mu = \beta_1$. So the ceiling (7.4) reads $(1 - \beta_1)\, \eta\, \lambda_1 < 2 (1 + \beta_1)$, or
#
# $$ \lambda_1\big( S^{-1/2} H S^{-1/2} \big) < \frac{2 (1 + \beta_1)}{(1 - \beta_1)\, \eta} = \frac{38}{\eta} \quad \text{for } \beta_1 = 0.9, \qquad \text{as for SGD} \quad \lambda_1(H) < \frac{3.8}{\eta} \tag{10.7} $$
#
# if $S$ and $H$ stayed as they are. Section 6 measures how near the runs come.
#
# > **Where people slip**
# > - *Curvature without descent.* $\kappa$ near 0 is no merit. Report the cosine beside it.
# > - *Not dividing by $u^\top u$.* The step's length gets into the number, and a small learning rate looks smooth.
# > - *The squared cosine of an uphill step.* It is no gain. Count such steps.
# > - *The sign.* Where $\kappa \le 0$ there is no parabola with a lowest point. Count those too.

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
# | u | uᵀu | gᵀu | uᵀHu | κ | decrease | what it is |
# |---|---|---|---|---|---|---|
# | (1, 1, 0, −1) | 3 | 324 | 2514 | 838 | 20.9 | sign of the gradient |
# | (8, 11, 0, −8) | 249 | 2988 | 215922 | 867.2 | 20.7 | gradient over 12 |
# | (0, 0, 0, 1) | 1 | −96 | 128 | 128 | 36 | $q_1$ alone |
# | (0, 0, 1, 0) | 1 | 0 | 0 | 0 | 0 | $p_1$ alone |
# | (1, −1, 0, 0) | 2 | −36 | −174 | −87 | no bound | $p_0$ up, $q_0$ down |
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
at, panels = np.linspace(-0.5, 1.2, 80), {}  # distance along u, downhill to the right
for title, u in {"against the sign": [-1, -1, 0, 1], "q1 alone": [0, 0, 0, 1],
                 "p1 alone: dead": [0, 0, 1, 0], "negative curvature": [1, -1, 0, 0]}.items():
    u = np.array(u) / np.sqrt(np.dot(u, u))
    ways = [params_paper + r * u.reshape(params_paper.shape) for r in at]
    parabola = 36 + at * (g_paper @ u) + at**2 / 2 * (u @ H_paper @ u)  # (10.2)
    panels[title] = np.array([la.loss(x, Z_paper, y_paper) for x in ways]), parabola
show(pictures.draw_pencil(panels, at),
     "The loss along four directions, with the parabola of each. Against the sign: steep, "
     "lowest near 0.2. q1: the parabola is the loss and touches 0. p1: flat. The last one "
     "bends downwards and has no lowest point.")

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
# Now one point in the middle of Adam's path, and every direction that an optimizer would take from it, beside a thousand drawn at random.

# %%
middle = few_times[2]
met_there = la.landscape.step_curvature(adams[0][middle][0], prepared[middle], surface)
rows = [(name, m.kappa, m.cosine, m.decrease, m.decrease / met_there["gradient"].decrease)
        for name, m in met_there.items()]
table(("direction", "kappa", "cosine", "allowed decrease", "over the gradient's"), rows,
      f"At iteration {middle} of Adam")
x = adams[0][middle][0]
H_there, g_there = surface.hessian(x), surface.grad(x).ravel()
U = np.random.default_rng(SEED).standard_normal((1000, x.size))
kappas = (U @ H_there * U).sum(axis=1) / (U**2).sum(axis=1)
squares = (U @ g_there) ** 2 / ((U**2).sum(axis=1) * (g_there @ g_there))
show(pictures.draw_directions(met_there, kappas, squares),
     "Squared cosine against curvature, grey lines of equal allowed decrease. "
     "Gradient, sign and coordinate-clipped lie near the line 1, Adam's step below "
     "them; a cloud of random directions lies to the left, far below.")
flatter = 100 * np.mean(kappas < met_there["Adam"].kappa)
allowed = np.median(squares[kappas > 0] / kappas[kappas > 0]) * met_there["gradient"].kappa
print(f"of 1000 directions drawn at random {flatter:.0f} percent are flatter than Adam's step")
print(f"their median descent is {allowed:.2g} of the gradient's")

# %% [markdown]
# The dead direction is not in the picture: logarithms have no place for 0 and 0. Look at the cloud, and at the lines below the picture. To meet little curvature one may simply draw a direction at random, as (10.4) says. Nobody would call that a good step.

# %% [markdown]
# ## 5. Audit it
#
# Three tests. *Direction only*: $\kappa(-3u) = \kappa(u)$. *Unit vectors*: $\kappa(e_i) = H_{ii}$, the diagonal of lesson 09. *Taylor*: what (10.2) leaves out is $O(\delta^3)$, so when $\delta$ is halved the error falls by 8. The third one needs the loss alone,
# and no derivation. Four planted mistakes: no division by $u^\top u$, the factor $\frac{1}{2}$ of (10.2), the curvature at the point *after* the step, and the gradient's sign.

# %%
def kappa_of(x, u):
    """(10.1) by one Hessian-vector product."""
    return (u * surface.hvps(x, u[None])[0]).sum() / (u * u).sum()


def order(x, u, kappa, half=0.5, sign=1.0):
    """The power of the distance with which f departs from the parabola (10.2)."""
    f, grad = surface.loss_and_grad(x)
    lengths = 0.08 * 0.5 ** np.arange(5)
    bend = half * kappa(x, u) * (u * u).sum()
    model = f + sign * lengths * (grad * u).sum() + lengths**2 * bend
    true = np.array([surface.loss_and_grad(x + s * u)[0] for s in lengths])
    return np.polyfit(np.log(lengths), np.log(np.abs(true - model)), 1)[0]


# %%
x = adams[0][middle][0]
v = 2.0 * la.init_params(np.random.default_rng(SEED), std=1 / np.sqrt(150))  # length near 2
e = np.eye(150)[30].reshape(x.shape)  # an entry of Q'
mistakes = {
    "right": (kappa_of, {}),
    "not divided by its square": (lambda x, u: kappa_of(x, u) * (u * u).sum(), {}),
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
# **The same point.** First Adam's step taken apart, at the points of section 1: medians, and the share of points at which a direction allows more than the gradient does. "The batch's own gradient" is the newest term of $m$: it shows what a fresh batch costs, before any averaging over time.

# %%
values = {name: [] for name in (*pictures.PARTS, "the batch's own gradient")}
for run in adams:
    for t in shown_at:
        here = {**parts(run[t]), "the batch's own gradient": -run[t][3]}
        for name, m in la.landscape.step_curvature(run[t][0], here, surface).items():
            values[name].append(m)
values = {name: np.array(found) for name, found in values.items()}  # (points, 3)
rows = []
for name, v in values.items():
    less, share = values["g"][:, 0] / v[:, 0], v[:, 2] / values["g"][:, 2]
    rows.append((name, *(float(np.median(a)) for a in (less, -v[:, 1], share)),
                 f"{100 * np.mean(share > 1):.0f} %", f"{100 * np.mean(v[:, 1] > 0):.0f} %"))
head = ("direction", "gradient's kappa over its own", "cosine with descent",
        "decrease over the gradient's", "more than the gradient", "uphill")
table(head, rows, f"{len(values['g'])} points of {len(adams)} runs of Adam")

# %% [markdown]
# The two ideas of Adam do different things. *Dividing* makes the step a little flatter, keeps most of the cosine, and allows as much as the gradient or slightly more. *Averaging* makes it several times flatter and nearly orthogonal to the gradient, at many points even uphill: the descent of this point is lost with the angle. The last row says where it goes. A fresh batch, without any averaging over time, has already lost half of the cosine to its noise; the age of the other gradients does the rest.
#
# This does not say that Adam is a bad optimizer. An average over batches is made to be right over many steps, and one point on one batch is not what it is for. It says that the low $\kappa$ of Adam's step is for the most part the averaging's, and explains no descent; the part that comes free is the division's.
#
# **The paths.** Do the steps of Adam meet less curvature than those of SGD? Here the points differ as well as the directions, and so does the rate. SGD stands at 0.02, as in the released code, and at 0.16, near its best (lesson 07). Each number is the median over 25 batches.

# %%
racers = {"SGD, lr 0.02": SGD(0.02, 0.9), "SGD, lr 0.16": SGD(0.16, 0.9), "Adam, lr 0.02": adam}
seeds, batches = by_profile(2, 3), [
    la.landscape.Objective(*task.sample(by_profile(20, 150), np.random.default_rng([99, k])))
    for k in range(by_profile(5, 25))]
along = {name: [] for name in racers}
with bar(len(racers) * seeds, "runs", unit="run") as shown:
    for name, optimizer in racers.items():
        for seed in range(seeds):
            run = adams[seed] if optimizer is adam else path_of(optimizer, seed)
            times = sorted(run)[1::2]
            meet = lambda t, b: la.landscape.step_curvature(run[t][0], {"u": run[t][1]}, b)["u"]
            along[name].append([[meet(t, b) for b in batches] for t in times])
            shown.update()
along = {name: np.array(found) for name, found in along.items()}  # (seeds, times, batches, 3)
for found in along.values():
    found[..., 2] = np.where(found[..., 1] < 0, found[..., 2], 0.0)  # uphill: nothing gained

# %%
medians = {name: np.median(found, axis=2) for name, found in along.items()}
show(pictures.draw_paths(times, medians),
     "Along three runs: the steps of SGD at 0.02 meet far more curvature than the others, "
     "those of SGD at 0.16 a few times more than Adam's at the end. The median cosines lie "
     "between -0.3 and 0. The decrease that the steps of Adam and of SGD at 0.16 allow falls.")
rows = []
for name, found in along.items():
    lower = np.mean(along["Adam, lr 0.02"][..., 0] < found[..., 0])
    rows.append((name, float(np.median(found[:, len(times) // 4 :, :, 0])),
                 "" if name.startswith("Adam") else f"{100 * lower:.0f} %",
                 f"{100 * np.mean(found[..., 0] <= 0):.1f} %",
                 f"{100 * np.mean(found[..., 1] > 0):.0f} %"))
head = ("steps of", "kappa after a quarter", "Adam's kappa lower", "kappa <= 0", "uphill")
table(head, rows, f"{seeds} seeds, {len(times)} steps each, {len(batches)} batches")

# %% [markdown]
# The rate alone takes SGD's curvature from far above Adam's to two or three times Adam's. What is left at each one's best rate is small beside that, and holds on most steps and batches. And every fourth step or so, of each optimizer, leads uphill on a batch it has not seen: such steps are mostly momentum and noise.
#
# **The limit.** Does anything come near (10.7)? The control is to take the noise away: one fixed batch at every step, against fresh ones.

# %%
length, every = by_profile(40, 2000), by_profile(20, 100)


def sharpness_along(optimizer, fixed, seed):
    """The rate times the sharpness that limits this optimizer, along a run: (T,)"""
    rng, found = np.random.default_rng([SEED, 1, seed]), []
    own = task.sample(by_profile(50, 500), np.random.default_rng([99, seed]))
    objective, x = la.landscape.Objective(*own), la.init_params(np.random.default_rng(seed))
    state = optimizer.init(x)
    for t in range(1, length + 1):
        prompts = own if fixed else task.sample(len(own.y), rng)
        before, grad = x, clip(la.loss_and_grad(x, *prompts)[1], 1.0)
        x, state = optimizer.update(x, grad, state)
        if t % every == 0:
            H = objective.hessian(before)
            if isinstance(optimizer, SGD):
                sharp = np.linalg.eigvalsh(H)[-1]
            else:
                v_hat = state.v / (1 - 0.9**state.t)
                sharp = la.landscape.preconditioned_sharpness(H, v_hat, 0.9, state.t)  # (10.6)
            found.append(optimizer.lr * sharp)
    return found


# %%
limits, rows = {}, []
tried = (("SGD", SGD(0.1, 0.9)), ("Adam", Adam(0.01, 0.9, 0.9)), ("Adam", adam))
for name, optimizer in tried:
    for kind in ("one fixed batch", "fresh batches"):
        found = np.array([sharpness_along(optimizer, kind == "one fixed batch", seed)
                          for seed in range(2)])
        limits[name, kind] = found
        late = found[:, found.shape[1] // 3 :]
        rows.append((f"{name}, lr {optimizer.lr:g}", kind, float(np.median(late)),
                     float(late.max()), 3.8 if name == "SGD" else 38.0))
show(pictures.draw_limits(range(every, length + 1, every), limits),
     "Rate times sharpness against step. On one fixed batch both SGD and Adam come up to the "
     "dashed limit, Adam to stay; on fresh batches they stay far below.")
table(("run", "trained on", "rate times sharpness, median", "largest", "limit (10.7)"), rows,
      "after the first third, 2 seeds")

# %% [markdown]
# Without noise Adam sits at its limit, at both rates, and SGD comes up to its own, which is ten times lower, as derived: the edge of stability. On fresh batches, in the same number of steps, both stay far below. So along the paper's runs it is not the ceiling that keeps the curvature down, nor Adam's coordinates as such; a fresh batch at each step is enough. How noise does that is open here.

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
    for name in ("SGD", "Adam"):
        curve = panel[name]["kappa"]
        la.plotting.median_band(top, curve["iterations"], at_scale.band(curve), name)
    one = {name: {key: np.array(values, float) for key, values in row.items()}
           for name, row in panel["at_one_point"].items()}
    for name in ("sign", "coordinate-clipped", "Adam"):
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
show(figure, "Loaded, one fixed batch. Top: in Setting 1 SGD's curvature stays above Adam's; "
             "in Settings 2 and 3 the curves cross, and Adam's is often above. Bottom: Adam's "
             "direction allows mostly less than the gradient's, the sign's about the same.")
head = ("", "direction", "gradient's curvature over its own",
        "its decrease over the gradient's")
table(head, rows, "Loaded: medians over iterations, at the points of Adam's paths")

# %%
paper_and_us([f"directional_smoothness.setting{k}" for k in (1, 2, 3)])

# %% [markdown]
# **Where it does not come out.** By the median over 25 batches the claim comes out in Settings 1 and 2, and in direction in Setting 3. On a single batch it need not: the picture above is of one, where Adam's steps of Setting 2 meet *more* curvature for most of the run, and the column "why" gives the range. These are the released rates; in Setting 1, by section 6, most of the difference is the rate.
#
# At equal points, in the table above, Adam's direction is flatter than the gradient in all three settings, and allows less. The paper takes low directional smoothness as a sign of a better direction. The sign's row is our reason for doubt: less flat than Adam's, and it keeps the descent.

# %% [markdown]
# ## 8. Exercises
#
# Six cards. Write your answer in the cell under a card, run it, then the check.

# %% [markdown]
# ### Exercise 10.1 (derive, level 1, 10 min)
#
# Section 3 again: the decrease that the direction $(1, 0, 0, -1)$ allows. *Done:* one number.
#
# <details><summary>Hint 1</summary>In uᵀHu the entry off the diagonal occurs twice, and with the sign of both coordinates.</details>

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
# <details><summary>Hint 1</summary>S is diagonal: its root multiplies rows and columns. No matrix product is needed.</details>
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
