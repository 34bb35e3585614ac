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
# # Lesson 11. Generalized smoothness
#
# **Claim.** If curvature may grow with the gradient, no fixed step is safe everywhere, and a clipped one is.
#
# | read | code | run | level | needs | seed |
# |---|---|---|---|---|---|
# | 30 min | 40 min | 1 min | 4 of 5 | 06, 09, 10 | 11 |
#
# **Misconception.** Smoothness is a constant of the loss.
#
# You will prove that a step of length about $\|g\| / (L_0 + L_1 \|g\|)$ always descends, recognise clipping in it, and fit $L_0$ and $L_1$ along a run. Then you will turn the clipping threshold until
# training explodes, and look again at a correlation that seemed convincing.

# %%
import warnings

import numpy as np

import linattn_np as la
from linattn_np.progress import bar
from linattn_np.teaching import by_profile, check, knob, loaded, paper_and_us, predict
from linattn_np.teaching import reveal, show, slider, symbols, table, versions

warnings.simplefilter("ignore", la.training.Diverged)  # the tables below say it

SEED = 11
versions(SEED)
symbols("B n d L y P Q params dX")

# %% [markdown]
# As in lessons 09 and 10, $H$ is the Hessian of the loss, $g$ its gradient, and $x$ all numbers of the model in one vector. $\|H\|$ is the largest size of an eigenvalue.
#
# ## 1. Predict
#
# The paper trains with the gradient clipped to length 1. Take its SGD for Setting 1, with a smaller batch of 200, and leave the clipping out: in how many percent of the runs does the loss become infinite within 200 steps?
#
# The paper's fifth result is that along Adam's run the curvature along the step and the gradient's norm grow together, on logarithmic axes. Their correlation over the first thousand steps is about 0.7. What is it without the first quarter?

# %%
### BEGIN SOLUTION
exploded_guess = 10
late_guess = 0.7
### END SOLUTION
predict("11.p1", "Percent of SGD's runs that explode without clipping", exploded_guess)
predict("11.p2", "Correlation of log kappa and log norm without the first quarter", late_guess)

# %% [markdown]
# ## 2. Derive
#
# **The constant.** In scalars: let $|f''| \le L$ everywhere, and step from $x$ by $-\eta g$ with $g = f'(x)$. Taylor's formula with its remainder,
# $f(x + u) = f(x) + g u + \int_0^1 (1 - t)\, f''(x + t u)\, u^2\, dt$, gives the *descent lemma*. In many dimensions $u^2$ becomes $\|u\|^2$:
#
# $$ \|H(x)\| \le L \quad \text{for all } x \tag{11.1} $$
#
# $$ f(x - \eta g) \le f(x) - \eta \|g\|^2 \Big( 1 - \frac{\eta L}{2} \Big) \tag{11.2} $$
#
# So every $\eta < 2 / L$ descends. If there is an $L$. Our loss has none: along a line it is a polynomial, of degree 46 for three layers, and its second derivative has no bound. Not even $t^4$ has one.
#
# **What may grow.** Zhang and others proposed to let the curvature grow with the gradient:
#
# $$ \|H(x)\| \le L_0 + L_1 \|g(x)\| \tag{11.3} $$
#
# In one variable every polynomial obeys it for some $L_0$: far out $|f''| / |f'|$ goes to 0. For $e^x$ the two are equal, so $L_0 = 0$, $L_1 = 1$. In several variables it can fail: $f = a^2 b^2$ has no gradient at $(a, 0)$ and the curvature $2 a^2$ there. A loss made of products, as ours is, may or may not obey it where training goes. That is a question for an
# experiment.
#
# **How fast the bound grows.** Walk from $x$ to $x + u$ and let $m(t) = L_0 + L_1 \|g(x + t u)\|$. The gradient changes by $H u$ per unit of $t$, so $\big| \tfrac{d}{dt} \|g\| \big| \le \|H\| \|u\| \le m(t) \|u\|$, hence $m' \le L_1 \|u\|\, m$, and
#
# $$ m(t) \le m(0)\, e^{L_1 \|u\| t} \tag{11.4} $$
#
# Curvature cannot explode over a length of order $1 / L_1$.
#
# **The step that descends.** Take $u = -\eta g$ with $\eta = c / m$, where $m = m(0) = L_0 + L_1 \|g\|$. Then $L_1 \|u\| = c\, L_1 \|g\| / m \le c$, and the integral of Taylor's formula is at most $\|u\|^2 m \int_0^1 (1 - t)\, e^{ct}\, dt$. That integral is
# $(e^c - 1 - c) / c^2$, and $\|u\|^2 m = c^2 \|g\|^2 / m$. With the linear term $-c \|g\|^2 / m$:
#
# $$ f\Big( x - \frac{c}{m}\, g \Big) \le f(x) - \frac{\|g\|^2}{m} \big( 1 + 2c - e^c \big), \qquad m = L_0 + L_1 \|g\| \tag{11.5} $$
#
# The bracket is positive for $0 < c \le 1.25$; at $c = 1$ it is $3 - e > 0.28$. No constant $L$ occurs. Where the gradient is large the step is shortened, and that is enough.
#
# **What clipping has to do with it.** The length of this step is
#
# $$ \frac{c\, \|g\|}{L_0 + L_1 \|g\|}, \qquad \text{between one half and all of} \quad \min\Big( \frac{c}{L_0} \|g\|,\; \frac{c}{L_1} \Big) \tag{11.6} $$
#
# (for positive $a$, $b$ the number $ab / (a + b)$ lies between $\min / 2$ and $\min$; put $a = c \|g\| / L_0$, $b = c / L_1$). The minimum on the right is gradient descent with the rate $c / L_0$, its gradient clipped (6.8) at the threshold $L_0 / L_1$. So clipping is, up to a factor of 2, the step that (11.3) asks for; with half the rate it is never longer.
# Without it one fixed $\eta$ has to serve the largest gradient on the way, and all the small ones after it.
#
# **How to measure it.** From a run we have $\kappa$ of the steps, (10.1), and $\|g\|$. The paper draws $\log \kappa$ against $\log \|g\|$:
#
# $$ \log \kappa = a + b \log \|g\| \qquad \text{on the points with } \kappa > 0 \tag{11.7} $$
#
# $$ \kappa = L_0 + L_1 \|g\|, \quad L_0, L_1 \ge 0 \qquad \text{on all points, by least squares} \tag{11.8} $$
#
# The logarithm of a negative $\kappa$ is not a number, and a plotting library leaves such points out without a word. A measure that has no sign, and looks at the whole length of a step $u$, is the largest relative change of the gradient:
#
# $$ \max_{0 < \gamma \le 1} \frac{\| g(x + \gamma u) - g(x) \|}{\gamma \|u\|} \tag{11.9} $$
#
# For $\gamma \to 0$ it is $\|Hu\| / \|u\|$, which is at least $|\kappa|$, since $|u^\top H u| \le \|u\| \|Hu\|$.
#
# > **Where people slip**
# > - *Points that vanish.* `np.log` of a negative number is `nan`, and `nan` is not drawn. Count them.
# > - *A line in a log-log plot is a power law*, not $L_0 + L_1 \|g\|$. With $L_0 > 0$ the line bends.
# > - *Along the step is not $\|H\|$.* $\kappa$ is a lower bound of what (11.3) speaks of.
# > - *Both fall with time.* Two series that fall together are correlated, whatever connects them.

# %% [markdown]
# ## 3. On paper
#
# The prompt of lesson 09 once more, two layers, now with $p_0 = p_1 = 0$ and both scores equal, $q_0 = q_1 = q$. Then $s = q + q (1 + q)$ and $s + 1 = (1 + q)^2$. With $t = 1 + q$ the loss is
#
# $$ f = t^4, \qquad f' = 4 t^3, \qquad f'' = 12 t^2 . $$
#
# | $t$ | 0 | 1 | 2 | 3 | 4 |
# |---|---|---|---|---|---|
# | $f'$ | 0 | 4 | 32 | 108 | 256 |
# | $f''$ | 0 | 12 | 48 | 108 | 192 |
# | $16 + f'$ | 16 | 20 | 48 | 124 | 272 |
#
# With $L_1 = 1$ we need $L_0 = \max_t (12 t^2 - 4 t^3)$. Its derivative $24 t - 12 t^2$ is 0 at $t = 2$, so $L_0 = 48 - 32 = 16$. The loss is $(16, 1)$-smooth, and has no constant $L$.
#
# Descend from $t = 4$ with the rate $1 / L_0 = 1/16$. Unclipped: $256 / 16 = 16$, so $t = -12$; then $f' = -6912$, and $t = -12 + 432 = 420$. Clipped at $L_0 / L_1 = 16$ a step has at most length 1: $t = 4, 3, 2, 1$, then $f' = 4$ and $t = 0.75$. By machine:

# %%
Z_paper, y_paper = np.array([[[1.0, 1], [-1, -1], [1, 0]]]), np.array([1.0])


def tied(t):
    """The weights p = 0, q = t - 1 in both layers: (2, 1, 2, 1, 1)."""
    return np.array([0.0, t - 1, 0.0, t - 1]).reshape(2, 1, 2, 1, 1)


def descend(t, rule, steps):
    """t after each step of the rule, which turns the derivative into a step."""
    path = [t]
    for _ in range(steps):
        slope = la.loss_and_grad(tied(t), Z_paper, y_paper, backend="numpy")[1][:, 0, 1].sum()
        t = t - rule(slope)  # (2.11), summed over the two layers
        path.append(float(t))
    return path


print("loss   ", [int(la.loss(tied(t), Z_paper, y_paper)) for t in (1, 2, 3, 4)])
print("fixed  ", descend(4.0, lambda g: g / 16, 2))
print("clipped", descend(4.0, lambda g: la.optimizers.clip(g, 16.0) / 16, 4))

# %%
figure, axes = la.plotting.new_figure(columns=2, width=4.2, height=3.0)
t = np.linspace(0, 4, 100)
ax = axes[0, 0]
ax.plot(4 * t**3, 12 * t**2, color="#0072B2", linewidth=2, label="f'' against f'")
ax.plot(4 * t**3, 16 + 4 * t**3, "k--", linewidth=1.3, label="16 + f'")
ax.plot(32, 48, "ko", markersize=5)
ax.set(xlabel="gradient", ylabel="curvature", title="t^4 is (16, 1)-smooth")
ax.legend(frameon=False, fontsize=9)
ax, rules = axes[0, 1], {
    "fixed, 1/16": (lambda g: g / 16, "#D55E00", "--"),
    "fixed, 1/272": (lambda g: g / 272, "#CC79A7", ":"),
    "clipped at 16": (lambda g: la.optimizers.clip(g, 16.0) / 16, "#0072B2", "-"),
    "1 / (16 + |f'|)": (lambda g: g / (16 + abs(g)), "#009E73", "-."),
}
for name, (rule, colour, line) in rules.items():
    path = np.array(descend(4.0, rule, 2 if name == "fixed, 1/16" else 20))
    ax.plot(path**4, color=colour, linestyle=line, linewidth=1.8, label=name)
ax.set(yscale="log", ylim=(1e-3, 1e6), xlabel="step", title="descent from t = 4")
ax.set_ylabel("loss")
ax.legend(frameon=False, fontsize=8, loc="upper right")
show(figure, "Left: the curvature of t^4 against its gradient, touching the line 16 + f' at "
             "32. Right: from t = 4 the fixed rate 1/16 explodes, the fixed rate 1/272 is "
             "slow, and clipping and 1 / (16 + |f'|) fall alike.")

# %% [markdown]
# The pink line is the fixed rate that is safe at the start, $1 / (L_0 + L_1 f')$ with $f' = 256$. It is safe, and keeps the price of the first step for all the others.

# %% [markdown]
# ## 4. Code it
#
# First the data: a run of Adam as in the paper, and along it the norm of the gradient on a fixed batch, $\kappa$ of every recorded step, and (11.9).

# %%
setting = la.papers.maybe_all_you_need.SETTINGS["setting1"]
steps, record, batch = by_profile((80, 4, 100), (1000, 10, 1000))
prompts = setting.task.sample(by_profile(200, 1000), np.random.default_rng(99))
surface = la.landscape.Objective(*prompts)


def path_smoothness(x, u, gammas=(0.25, 0.5, 0.75, 1.0)):
    """(11.9): the largest relative change of the gradient over the step u."""
    size, grad = la.optimizers.global_norm, surface.grad(x)  # (2.5) to (2.15)
    return max(size(surface.grad(x + r * u) - grad) / (r * size(u)) for r in gammas)


def measured(name, seed):
    """Along one run: times, norm of g, kappa, smoothness over the step. (4, T)"""
    run = la.train(setting.task, setting.optimizer(name), steps, batch, clip=setting.clip,
                   seed=seed, record_every=record, progress=False)
    rows = []
    for t in sorted(run.updates):
        x, u = run.snapshots[t], run.updates[t]
        kappa = la.landscape.step_curvature(x, {"u": u}, surface)["u"].kappa  # (10.1)
        norm = la.optimizers.global_norm(surface.grad(x))
        rows.append((t, norm, kappa, path_smoothness(x, u)))
    return np.array(rows).T


# %%
first = measured("Adam", 0)

# %% [markdown]
# Then the two fits. By loops, as school has it; by matrices; by the library.

# %%
def fit_by_loops(kappa, norms):
    """(11.7): the slope b and the share of points left out, from sums."""
    x, y = [], []
    for k, size in zip(kappa, norms, strict=True):
        if k > 0:
            x.append(np.log(size))
            y.append(np.log(k))
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    top = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True))
    return top / sum((a - mean_x) ** 2 for a in x), 1 - len(x) / len(kappa)


def fit_by_matrices(kappa, norms):
    """The same by least squares on the columns 1 and log ||g||."""
    good = kappa > 0
    columns = np.stack([np.ones(good.sum()), np.log(norms[good])], axis=1)
    return np.linalg.lstsq(columns, np.log(kappa[good]))[0][1], 1 - good.mean()


# %%
def fit_line(kappa, norms):
    """(11.8): both free, or one of them 0; the best that is not negative."""
    columns, answers = np.stack([np.ones_like(norms), norms], axis=1), [np.zeros(2)]
    for free in ([0], [1], [0, 1]):
        answer = np.zeros(2)
        answer[free] = np.linalg.lstsq(columns[:, free], kappa)[0]
        answers.append(answer)
    return min((a for a in answers if (a >= 0).all()),
               key=lambda a: ((kappa - columns @ a) ** 2).sum())


# %%
times, norms, kappa, over_step = first
library = la.landscape.fit_log(kappa, norms)
(b_loops, left_loops), (b, left) = fit_by_loops(kappa, norms), fit_by_matrices(kappa, norms)
line = np.abs(fit_line(kappa, norms) - la.landscape.fit_l0_l1(kappa, norms)).max()
x, u = (la.init_params(np.random.default_rng(seed)) for seed in (1, 2))
over = path_smoothness(x, u) - la.landscape.path_smoothness(x, u, surface)
gaps = [
    ("slope: loops, matrices", b_loops - b), ("slope: matrices, library", b - library.b),
    ("share left out: loops, library", left_loops - library.negative_share),
    ("L0, L1: ours, library", line), ("(11.9): ours, library", over),
]
table(("compared", "difference"), [(name, f"{abs(gap):.0e}") for name, gap in gaps])

# %% [markdown]
# ## 5. Audit it
#
# **The theorem.** (11.5) is to hold for every function that obeys (11.3), at every point, for every $c$. So try functions whose $L_0$ and $L_1$ are known, on a fine grid. The code looks for the smallest value of $(\text{decrease})\, m / g^2 - (1 + 2c - e^c)$; below 0 the theorem would be wrong, and the table says how far. Three wrong claims beside it: an $L_0$ that is too small to
# obey (11.3), a step that forgets $L_1$, and a step twice as long as allowed that still promises something.

# %%
KNOWN = {  # f, f', f'', L0, L1
    "t^4": (lambda t: t**4, lambda t: 4 * t**3, lambda t: 12 * t**2, 16.0, 1.0),
    "exp t": (np.exp, np.exp, np.exp, 0.0, 1.0),
    "cosh t": (np.cosh, np.sinh, np.cosh, 1.0, 1.0),
    "cos t": (np.cos, lambda t: -np.sin(t), lambda t: -np.cos(t), 1.0, 0.0),
}
T = np.linspace(-6, 6, 4000)


def audit(f, df, ddf, L0, L1, longer=lambda m, L0: 1.0):
    """Does (11.3) hold on the grid, and the least margin of (11.5)."""
    g, margin = df(T), np.inf
    m = L0 + L1 * np.abs(g)
    obeys = (np.abs(ddf(T)) <= m * (1 + 1e-9)).all()
    for c in np.linspace(0.05, 1.25, 25):
        step = c * g / m * longer(m, L0)
        gain = (f(T) - f(T - step)) * m - (1 + 2 * c - np.exp(c)) * g**2
        margin = min(margin, (gain / np.maximum(g**2, 1e-12)).min())
    verdict = "passes" if margin > -1e-6 else f"FAILS, {margin:.1e}"
    return "obeys" if obeys else "BREAKS", verdict


# %%
rows = [(name, *audit(*known)) for name, known in KNOWN.items()]
quartic = KNOWN["t^4"]
rows += [("t^4, L0 = 0.1", *audit(*quartic[:3], 0.1, 1.0)),
         ("t^4, L1 forgotten in the step", *audit(*quartic, lambda m, L0: m / L0)),
         ("cos t, step twice as long", *audit(*KNOWN["cos t"], lambda m, L0: 2.0))]
table(("function and claim", "(11.3)", "(11.5)"), rows)

# %% [markdown]
# **The fits.** Make data with a known answer, $\kappa = 3 \|g\|^{0.7}$, turn five percent of the points negative, and ask for the slope, and for what was left out. Two planted mistakes: `nan` dropped without a word, and the size $|\kappa|$ in place of $\kappa$.

# %%
rng = np.random.default_rng(SEED)
made_norms = np.exp(rng.uniform(-4, 2, 400))
made = 3 * made_norms**0.7
made[np.argsort(made_norms)[:20]] *= -1e-3  # the twenty smallest


def silent(kappa, norms):
    with np.errstate(invalid="ignore"):
        y = np.log(kappa)
    good = np.isfinite(y)
    return np.polyfit(np.log(norms[good]), y[good], 1)[0], np.mean(~np.isfinite(y[good]))


def sizes_only(kappa, norms):
    return np.polyfit(np.log(norms), np.log(np.abs(kappa)), 1)[0], 0.0


rows = []
fits = {"ours": fit_by_matrices, "nan dropped": silent, "|kappa|": sizes_only}
for name, fit in fits.items():
    b, share = fit(made, made_norms)
    verdicts = [abs(b - 0.7) < 1e-9, abs(share - 0.05) < 1e-9]
    rows.append((name, b, share, *("passes" if v else "FAILS" for v in verdicts)))
table(("fit", "slope", "share left out", "slope is 0.7", "share is 0.05"), rows)

# %% [markdown]
# ## 6. Experiment
#
# **First the paper's claim.** Do curvature and gradient grow together along Adam's path? Several seeds. "late" leaves out the first quarter of the run.

# %%
seeds, late = by_profile(3, 3, 6), steps // 4
runs = [first]
with bar(seeds, "runs", unit="run") as shown:
    shown.update()
    for seed in range(1, seeds):
        runs.append(measured("Adam", seed))
        shown.update()
rows, late_r = [], []
for seed, (times, norms, kappa, over_step) in enumerate(runs):
    end = times >= late
    fit, fit_late = (la.landscape.fit_log(kappa[s], norms[s]) for s in (times >= 0, end))
    steps_late = la.landscape.fit_log(over_step[end], norms[end]).correlation
    late_r.append(fit_late.correlation)
    rows.append((seed, f"{100 * fit.negative_share:.1f} %", fit.b, fit.correlation,
                 fit_late.correlation, la.landscape.fit_log(over_step, norms).correlation,
                 steps_late, *fit_line(over_step, norms)))
head = ("seed", "kappa <= 0", "slope b", "r", "r late", "(11.9): r", "(11.9): r late",
        "L0", "L1")
table(head, rows, "r: correlation of the logarithms; L0 and L1 from (11.9)")
reveal("11.p2", float(np.median(late_r)), "Median over seeds.")

# %%
figure, axes = la.plotting.new_figure(columns=2, width=4.4, height=3.4)
together = np.concatenate(runs, axis=1)  # (4, seeds T)
for ax, row, label in ((axes[0, 0], 2, "curvature along the step, kappa"),
                       (axes[0, 1], 3, "smoothness over the step, (11.9)")):
    good = together[row] > 0
    dots = ax.scatter(together[1, good], together[row, good], c=together[0, good], s=8,
                      cmap="cividis")
    ax.set(xscale="log", yscale="log", xlabel="norm of the gradient", title=label)
    ax.title.set_fontsize(10)
    x = np.geomspace(together[1].min(), together[1].max(), 60)
    L0, L1 = fit_line(together[row], together[1])
    ax.plot(x, L0 + L1 * x, "k-", linewidth=1.3, label=f"{L0:.2g} + {L1:.2g} |g|")
    ax.legend(frameon=False, fontsize=9)
figure.colorbar(dots, ax=axes, label="iteration t")
show(figure, "Curvature along the step, and smoothness over the step, against gradient norm, "
             "logarithmic: a broad rising cloud, its upper right end from the first "
             "iterations, its lower left from all the others. The fitted line bends.")

# %% [markdown]
# Over the whole run the claim comes out: all slopes and correlations are positive. But look at the colours. The upper right end is the very beginning, when everything is large; most of the run is one round cloud. Without the first quarter the correlation of $\log \kappa$ and $\log \|g\|$ is much weaker. That of (11.9) falls less: over the whole length
# of a step the connection is real, and the sign of $\kappa$ cannot spoil it.

# %% [markdown]
# **Then the knob: the clipping threshold.** SGD with the paper's rate and momentum, a smaller batch, and thresholds from 0.03 to none.

# %%
thresholds = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, None)
tries, short = by_profile(3, 5, 10), by_profile(60, 200)


def sgd_with(threshold, seed, size=200):
    """One short run of the paper's SGD with another clipping threshold."""
    return la.train(setting.task, setting.optimizer("SGD"), short, size, clip=threshold,
                    seed=seed, progress=False)


outcomes = np.zeros((len(thresholds), tries, 2))  # infinite or not, and the loss at the end
with bar(len(thresholds), "thresholds", unit="threshold") as shown:
    for i, threshold in enumerate(thresholds):
        for seed in range(tries):
            run = sgd_with(threshold, seed)
            infinite = run.diverged_at is not None
            outcomes[i, seed] = infinite, np.inf if infinite else np.median(run.loss[-20:])
        shown.update()
share = 100 * outcomes[..., 0].mean(axis=1)
low, middle, high = np.quantile(outcomes[..., 1], [0, 0.5, 1], axis=1, method="inverted_cdf")
table(("threshold", "infinite, percent", "best loss", "median", "worst loss"),
      [("none" if t is None else t, *map(float, values)) for t, *values in
       zip(thresholds, share, low, middle, high, strict=True)], f"{tries} runs each")
reveal("11.p1", float(share[-1]), "Without clipping.")

# %% [markdown]
# Read the table from the top. Very small thresholds are safe and slow: every gradient is clipped, and SGD walks at a fixed pace. From 1 to 10 the result is nearly the same; the threshold is not delicate. Then something happens that a test for infinities does not see: with a threshold of 30 or 100 runs do not become infinite, since no step can be longer than
# the clipped one, and yet some have a loss beyond any use. Clipping does not only prevent overflow. It has to be low enough to descend.
#
# **What would (11.6) recommend?** The threshold $L_0 / L_1$. Here we can have the real thing, $\|H\|$ from exact Hessians along the clipped run, and not just its shadow along the steps.

# %%
few = setting.task.sample(by_profile(100, 300), np.random.default_rng(99))
exact = la.landscape.Objective(*few)
rows = []
for seed in range(3):
    run = la.train(setting.task, setting.optimizer("SGD"), short, 200, seed=seed, clip=1.0,
                   record_every=short // 10, progress=False)
    path = [run.snapshots[t] for t in sorted(run.snapshots)]
    largest = np.array([np.abs(np.linalg.eigvalsh(exact.hessian(x))).max() for x in path])
    norms = np.array([la.optimizers.global_norm(exact.grad(x)) for x in path])
    L0, L1 = fit_line(largest, norms)
    ratio = L0 / L1 if L1 > 0 else np.inf
    rows.append((seed, L0, L1, ratio, 0.2 * L0,
                 np.corrcoef(np.log(largest), np.log(norms))[0, 1]))
head = ("seed", "L0", "L1", "threshold L0 / L1", "c = 0.2 L0", "r of the logarithms")
table(head, rows,
      "Spectral norm of H against the norm of g, along SGD clipped at 1")

# %% [markdown]
# The recommended threshold is of the order where the runs above begin to fail. The theorem itself does not cover them: with momentum 0.9 the rate 0.02 acts like $0.02 / (1 - 0.9) = 0.2$, by (6.1), so that $c = 0.2\, L_0$, more than the 1.25 of (11.5). And the last column is a warning. Along SGD's path $\|H\|$ stays large while the gradient becomes small: $L_0$ carries most of it, and "curvature grows with the gradient" is not what one sees. What clipping does for SGD here, it does mainly in the first steps.
#
# Turn the threshold yourself. Left the loss, right the norm of each batch's gradient, with the threshold as a line.

# %%
def draw_run(threshold):
    run = sgd_with(None if threshold == "none" else threshold, 0, size=100)
    figure, axes = la.plotting.new_figure(columns=2, width=4.2, height=3.0)
    for ax, values, label in zip(axes[0], (run.loss, run.grad_norm), ("loss", "norm of g")):
        values = np.where(values < 1e12, values, np.nan)
        ax.plot(values, color=la.plotting.STYLES["SGD"]["color"], linewidth=1.2)
        ax.set(yscale="log", xlim=(0, short), xlabel="iteration t", ylabel=label)
        ax.set_yticks([1e-2, 1, 100, 1e4])
        ax.set_ylim(1e-2, 1e5)
        ax.minorticks_off()
    clipped = 0.0
    if threshold != "none":
        axes[0, 1].axhline(threshold, color="k", linestyle="--", linewidth=1)
        clipped = 100 * np.mean(run.grad_norm > threshold)
    ended = "" if run.diverged_at is None else f", infinite at {run.diverged_at}"
    axes[0, 0].set_title(f"threshold {threshold}: {clipped:.0f} % clipped{ended}", fontsize=10)
    return figure


slider(draw_run, "Loss and gradient norm of SGD clipped at 1: the loss falls smoothly, and "
                 "only the first gradients and a few later ones reach the dashed threshold.",
       threshold=knob((*thresholds[:-1], "none"), 1.0, "threshold"))

# %% [markdown]
# ## 7. The paper and us
#
# The paper's plot is of the first 2000 iterations of Adam. Ours, at its scale:

# %%
paper = loaded("generalized_smoothness")
figure, axes = la.plotting.new_figure(columns=3, width=3.0, height=3.0)
rows = []
for k, ax in enumerate(axes[0]):
    panel, r_all, r_late = paper["panels"][f"setting{k + 1}"], [], []
    for points in panel["points"]:
        t, norm, bend = (np.array(points[key], float)
                         for key in ("iterations", "norm", "kappa"))
        good, end = bend > 0, t >= 500
        dots = ax.scatter(norm[good], bend[good], c=t[good], s=3, cmap="cividis", linewidths=0)
        r_all.append(la.landscape.fit_log(bend, norm).correlation)
        r_late.append(la.landscape.fit_log(bend[end], norm[end]).correlation)
    left = 100 * panel["Adam"]["negative_share"]["median"]
    rows.append((f"Setting {k + 1}", np.median(r_all), np.median(r_late), f"{left:.1f} %"))
    ax.set(xscale="log", yscale="log", title=f"Setting {k + 1}")
    ax.set_xlabel("norm of the gradient")
axes[0, 0].set_ylabel("curvature along the step")
figure.colorbar(dots, ax=axes, label="iteration t")
show(figure, "Loaded: curvature along Adam's steps against gradient norm for three data "
             "settings. Settings 1 and 2: a cloud with a tail to the upper right from the "
             "first iterations. Setting 3: a rising cloud whose upper end comes last.")
table(("", "correlation", "from iteration 500 on", "kappa <= 0, not drawn"), rows,
      "Loaded: medians over seeds")

# %%
paper_and_us([
    *[f"generalized_smoothness.setting{k}" for k in (1, 2, 3)],
    *[f"generalized_smoothness.setting1.log_{what}"
      for what in ("norm_low", "norm_high", "kappa_low", "kappa_high")],
])

# %% [markdown]
# **Where it does not come out.** The direction of the claim does, in all three settings, most weakly in Setting 2. Not all of the four ends of the released code's plot do: our largest gradient and our smallest curvature lie further in. Such ends are single points, and depend on the seed and on which iterations are recorded.
#
# The second column of the small table is ours, not the paper's. In Settings 1 and 2 the correlation is much weaker once the first iterations are out; there "they grow together" says mostly that a run begins where both are large. In Setting 3 it is not: there both rise late in the run, together. The released plot does not tell
# these cases apart, and it leaves out the points of the last column.

# %% [markdown]
# ## 8. Exercises
#
# Six cards. Write your answer in the cell under a card, run it, then the check.

# %% [markdown]
# ### Exercise 11.1 (derive, level 1, 5 min)
#
# Section 3: from $t = 3$ take one step of (11.5) with $c = 1$, $L_0 = 16$, $L_1 = 1$. What is the loss after it? *Done:* one number.
#
# <details><summary>Hint 1</summary>f' = 108, and m = 16 + 108.</details>

# %%
### BEGIN SOLUTION
loss_after = (3 - 108 / 124) ** 4
### END SOLUTION
check("11.1", loss_after)

# %% [markdown]
# ### Exercise 11.2 (code, level 2, 5 min)
#
# Write `safe_step(g, L0, L1)`: what (11.5) with $c = 1$ adds to $x$, for a gradient `g` of any shape. *Done:* the check passes.
#
# <details><summary>Hint 1</summary>One norm for all entries together.</details>

# %%
def safe_step(g, L0, L1):
    ### BEGIN SOLUTION
    return -g / (L0 + L1 * np.sqrt((g * g).sum()))
    ### END SOLUTION


# %%
check("11.2", safe_step)

# %% [markdown]
# ### Exercise 11.3 (find the bug, level 2, 10 min)
#
# This function makes the paper's plot into a slope. It says that no point was left out. Repair it, so that it returns the slope of (11.7) and the share of points with $\kappa \le 0$. *Done:* both right.
#
# <details><summary>Hint 1</summary>When is the share counted, before or after the points are gone?</details>

# %%
def buggy_slope(kappa, norms):
    with np.errstate(all="ignore"):
        x, y = np.log(norms), np.log(kappa)
    x, y = x[np.isfinite(y)], y[np.isfinite(y)]
    share = 1 - np.isfinite(y).mean()
    return np.polyfit(x, y, 1)[0], share


# %%
def slope_and_share(kappa, norms):
    ### BEGIN SOLUTION
    good = kappa > 0
    return np.polyfit(np.log(norms[good]), np.log(kappa[good]), 1)[0], 1 - good.mean()
    ### END SOLUTION


# %%
check("11.3", slope_and_share)

# %% [markdown]
# ### Exercise 11.4 (code, level 3, 10 min)
#
# Write (11.9) for a step `u` (like `params`) with `gammas` a list: `over_the_step(params, u, Z, y, gammas)`, from `la.loss_and_grad`. *Done:* the check passes.
#
# <details><summary>Hint 1</summary>The gradient at the start once, then one for each gamma.</details>
# <details><summary>Hint 2</summary>Below stands the distance walked: gamma times the length of u.</details>

# %%
def over_the_step(params, u, Z, y, gammas):
    ### BEGIN SOLUTION
    grad = lambda x: la.loss_and_grad(x, Z, y)[1]
    size = lambda x: np.sqrt((x * x).sum())
    start = grad(params)
    return max(size(grad(params + r * u) - start) / (r * size(u)) for r in gammas)
    ### END SOLUTION


# %%
check("11.4", over_the_step)

# %% [markdown]
# ### Exercise 11.5 (derive, level 3, 10 min)
#
# For which $c$ does (11.5) promise the most? *Done:* one number.
#
# <details><summary>Hint 1</summary>Differentiate the bracket by c.</details>
#
# <!-- ### BEGIN SOLUTION -->
# <details><summary>Solution</summary>The derivative 2 - e^c is zero at c = log 2, about 0.69; the bracket is then 2 log 2 - 1, about 0.39.</details>
# <!-- ### END SOLUTION -->

# %%
### BEGIN SOLUTION
best_c = np.log(2)
### END SOLUTION
check("11.5", best_c)

# %% [markdown]
# ### Exercise 11.6 (experiment, level 2, 15 min)
#
# Measure the slope of log curvature against log gradient for the model of section 3, for $t$ from 2 to 10: curvature from `la.hessian`, gradient from `la.loss_and_grad`, both along $u = (0, 1, 0, 1)$, that is, both scores moved together. Say first what it should be. *Done:* within 5 percent.
#
# <details><summary>Hint 1</summary>f' = 4 t³ and f'' = 12 t²: how does one grow with the other?</details>
# <details><summary>Hint 2</summary>u @ H @ u and g @ u, then np.polyfit on the logarithms.</details>

# %%
def measure_slope():
    ### BEGIN SOLUTION
    u, bends, slopes = np.array([0.0, 1, 0, 1]), [], []
    for t in range(2, 11):
        bends.append(u @ la.hessian(tied(t), Z_paper, y_paper) @ u)
        _, grad = la.loss_and_grad(tied(t), Z_paper, y_paper, backend="numpy")
        slopes.append(grad.ravel() @ u)
    return np.polyfit(np.log(slopes), np.log(bends), 1)[0]
    ### END SOLUTION


# %%
### BEGIN SOLUTION
slope_of_quartic = measure_slope()
### END SOLUTION
check("11.6", slope_of_quartic)

# %% [markdown]
# ## 9. Exit ticket
#
# Write the letters in quotes.
#
# **t1.** The gradient is very large, and (11.3) holds with $L_0, L_1 > 0$. How long is the step of (11.5)?
#
# - (a) about $c / L_0$ times the gradient
# - (b) about $c / L_1$, however large the gradient
# - (c) it grows with the square of the gradient
# - (d) nearly 0
#
# **t2.** Two percent of the points have $\kappa < 0$. What does a log-log plot show of them?
#
# - (a) points at the lower edge
# - (b) points mirrored upwards
# - (c) nothing, and no remark
# - (d) an error
#
# **t3.** Over a whole run $\log \kappa$ and $\log \|g\|$ are strongly correlated. What should be looked at before it is called a law?
#
# - (a) the same correlation on a part of the run without its start
# - (b) the learning rate
# - (c) the slope in base 10
# - (d) the largest eigenvalue at the end

# %%
### BEGIN SOLUTION
t1 = "b"
t2 = "c"
t3 = "a"
### END SOLUTION
check("11.t1", t1)
check("11.t2", t2)
check("11.t3", t3)

# %% [markdown]
# **Further reading**
#
# - Zhang, He, Sra and Jadbabaie, *Why gradient clipping accelerates training*, arXiv 1905.11881. Where (11.3) comes from, with the plots for language models that the paper's fifth result repeats.
# - Zhang, Jin, Fang and Wang, *Improved analysis of clipping algorithms for non-convex optimization*, arXiv 2010.02519. The condition without second derivatives, and momentum.
# - Pascanu, Mikolov and Bengio, *On the difficulty of training recurrent neural networks*, arXiv 1211.5063. Clipping before there was a theory for it.
