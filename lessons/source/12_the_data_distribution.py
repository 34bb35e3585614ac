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
# # Lesson 12. The data distribution
#
# **Claim.** Stretching all prompts is the same as enlarging Q, exactly, and rates for each block undo it to the last bit; a heavier tail none of twelve rates undoes, for SGD or for Adam.
#
# | read | code | run | level | needs | seed |
# |---|---|---|---|---|---|
# | 40 min | 75 min | 1 min | 3 of 5 | 01, 02, 04, 05, 07, 08, 09 | 12 |
#
# **Misconception.** A changed scale is a changed tail.
#
# **Afterwards you can say.** A scale is a unit of length, so near zero weights it multiplies losses, gradients and curvatures by powers and leaves ratios of quantiles alone; a tail is such a ratio, and no factor takes it away. (t2)
#
# <details><summary>Symbols of this lesson</summary>
#
# | symbol | meaning |
# |---|---|
# | $g$ (here) | squared length of a token's covariates |
# | $u$ (here) | direction of a token's covariates, of length 1 |
# | $k$, $\theta$ (here) | shape and scale of a Gamma law, up to (12.7) |
# | $\Gamma$ | Euler's Gamma function |
# | $\chi^2(d)$ | sum of $d$ squares of independent $N(0, 1)$ numbers |
# | $\mu$ (here) | scale of the data: mean square of one covariate |
# | $\kappa$, $\kappa_m$ (here) | tail of the data: $\mathbb{E} g^2 / (\mathbb{E} g)^2$, and the same for the power $m$ |
# | $C$, $r$ (here) | covariance $\frac{1}{n} \sum_j x_j x_j^\top$ of a prompt, and $r = C w$ |
# | $c$ (here) | what all covariates and labels are multiplied by |
# | $D$, $\theta$ (here) | from (12.11): diagonal matrix of 1 for $P'$ and $c^2$ for $Q'$; all weights |
# | $\eta$ | learning rate, `lr` in code |
# | $\eta$ (here) | in (12.9) the step of a layer, as in lesson 01 |
#
# </details>
#
# The paper changes one law, that of the covariates, and sees losses, noise and curvature change. You will take that law apart into a scale and a tail,
# derive what each of them does, and build the controls that change one and keep the other.

# %%
from fractions import Fraction
from itertools import product
from math import gamma

import numpy as np

import linattn_np as la
from linattn_np.kernels import linear as kernels
from linattn_np.measures import noise
from linattn_np.experiments.papers.maybe_all_you_need import data_distribution
from linattn_np.experiments.scale import Scale
from linattn_np.progress import bar
from linattn_np.teaching import by_profile, check, knob, loaded, moving, paper_and_us, predict
from linattn_np.teaching import reveal, show, slider, symbols, table, versions
from linattn_np.teaching.pictures import lesson_12 as pictures

SEED = 12
versions(SEED)
symbols("B n d L x w y Z P Q G params dX")

# %% [markdown]
# ## 1. Predict
#
# In Setting 3 a covariate has a random direction and a random squared length $g$, drawn for each token from the Gamma law with shape 0.1 and scale 10. Its mean is 1, its
# variance 10. Two guesses. What is the *median* of $g$? And take covariates on the unit sphere, make all of them longer until the squared length is 5, and measure gradient noise at
# the initial weights: by what factor does its tail, p99/p50 of $\|e\|$, change?

# %%
### BEGIN SOLUTION
median_guess = 0.5
tail_guess = 2.0
### END SOLUTION
predict("12.p1", "Median squared length in Setting 3, whose mean is 1", median_guess)
predict("12.p2", "p99/p50 of the noise at squared length 5 over that at 1", tail_guess)

# %% [markdown]
# Three hundred tokens of the sphere, of Setting 1, and of Setting 3.

# %%
def task_of(shape, mean):
    """The library's task with this tail and E g = mean; shape None is the sphere."""
    if shape is None:
        return la.RegressionTask(covariates="sphere", covariance=mean * np.eye(5))
    return la.RegressionTask(covariates="gamma", gamma_shape=shape, gamma_scale=mean / shape)


shown = {"sphere": (None, 1), "N(0, I): Setting 1": (2.5, 5), "Setting 3": (0.1, 1)}
seeded = lambda: np.random.default_rng(SEED)
show(pictures.draw_tokens({name: task_of(*law).draw_covariates((300,), seeded())
                           for name, law in shown.items()}),
     "Tokens by their first two covariates: on the sphere within a disc of radius 1, in "
     "Setting 1 a cloud of radius 2 or 3, in Setting 3 a knot at 0 and a few tokens far out.")

# %% [markdown]
# Left and middle differ in size. Right, most tokens are next to nothing and a few far away, though the mean squared length is that on the left.

# %% [markdown]
# ## 2. Derive
#
# **The law.** Length and direction are drawn separately:
#
# $$ x = \sqrt{g}\, u, \qquad u \text{ uniform on the unit sphere}, \qquad \|x\|^2 = g . \tag{12.1} $$
#
# The sphere is $g = 1$. The Gamma law with shape $k$ and scale $\theta$ has the density $g^{k-1} e^{-g/\theta} / (\Gamma(k)\, \theta^k)$. A further factor $g^m$ only raises the exponent, so
#
# $$ \mathbb{E}\, g^m = \theta^m\, \frac{\Gamma(k + m)}{\Gamma(k)} = \theta^m\, k (k + 1) \cdots (k + m - 1) . \tag{12.2} $$
#
# With $m = 1$ and $2$:
#
# $$ \mathbb{E}\|x\|^2 = k \theta, \qquad \mathbb{E}\|x\|^4 = k (k + 1)\, \theta^2, \qquad \mathrm{Var}\, \|x\|^2 = k \theta^2, \qquad
# \text{excess kurtosis of } \|x\|^2 = \frac{6}{k} . \tag{12.3} $$
#
# <details><summary>Why 6/k</summary>
#
# A factor $e^{tg}$ changes $1/\theta$ into $1/\theta - t$: the logarithm of its mean is $-k \log(1 - \theta t)$, whose series has the cumulants $k\, (r - 1)!\, \theta^r$. The fourth over the square of the second is $6 k \theta^4 / (k \theta^2)^2$.
# </details>
#
# The Gaussian is such a law, too:
#
# $$ x \sim N(0, I_d): \qquad g \text{ is Gamma}(d/2,\, 2), \text{ which is } \chi^2(d), \text{ and independent of } u . \tag{12.4} $$
#
# <details><summary>Why (12.4)</summary>
#
# The density of $N(0, I_d)$ depends on the length $r$ only, so direction and length are independent. A shell of radius $r$ has a volume $\propto r^{d-1} dr$. With $g = r^2$ and
# $dr = dg / (2 \sqrt{g})$ the density of $g$ is $\propto r^{d-1} e^{-r^2/2}\, dr \propto g^{d/2 - 1} e^{-g/2}\, dg$.
# </details>
#
# **The code's choice.** It turns the shape $k$ and takes the scale along:
#
# $$ \theta = \sqrt{10 / k}: \qquad \mathrm{Var}\, g = 10, \qquad \mathbb{E} g = \sqrt{10\, k}, \text{ from 5 at } k = 2.5 \text{ to 1 at } k = 0.1 . \tag{12.5} $$
#
# What is kept is the *variance* of the squared length. Mean and tail both change.
#
# **Taking them apart.** Multiply all covariates by $c$, and $g$ by $c^2$. The mean follows; ratios of moments do not notice:
#
# $$ \kappa_m = \frac{\mathbb{E} g^m}{(\mathbb{E} g)^m} = \Big( 1 + \frac{1}{k} \Big) \cdots \Big( 1 + \frac{m - 1}{k} \Big), \qquad \kappa = \kappa_2 = 1 + \frac{1}{k} . \tag{12.6} $$
#
# The scale is $\mu = \mathbb{E} g / d$, the mean square of one entry; the tail is $\kappa$. It is 1 on the sphere, 1.4 for $N(0, I_5)$, 11 in Setting 3. For small $k$ most tokens are next to nothing:
#
# $$ P(g \le \theta t) = e^{-t} \sum_{j=0}^{\infty} \frac{t^{k+j}}{\Gamma(k + j + 1)}, \qquad \text{median} \approx \theta \left( \tfrac{1}{2} \Gamma(k + 1) \right)^{1/k} \tag{12.7} $$
#
# by parts, again and again; the median is from the term $j = 0$ with $e^{-t} \approx 1$. Turn the shape. With the variance held, as the code does, mean and tail move together; hold the mean and only the tail moves. Left the squared lengths (the first bar holds all that lies further left), right the noise of batches of ten beside its Gaussian control (8.3).

# %%
def share_below(g, shape, scale):
    """P(squared length <= g), (12.7)."""
    t = np.asarray(g) / scale
    term = t**shape * np.exp(-t) / gamma(shape + 1)
    total = term
    for j in range(1, 200):
        term = term * t / (shape + j)
        total = total + term
    return total


def median_of(shape, scale):
    low, high = 0.0, 100.0 * scale
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if share_below(middle, shape, scale) < 0.5 else (low, middle)
    return middle


# %%
start = la.init_params(np.random.default_rng(SEED))


def draw_shape(shape, held):
    scale, rng = (10 / shape) ** 0.5 if held == "variance 10" else 1 / shape, seeded()
    task = la.RegressionTask(covariates="gamma", gamma_shape=shape, gamma_scale=scale)
    g, middle = rng.gamma(shape, scale, 10_000), median_of(shape, scale)
    found = noise.measure_noise(start, task, 10, 300, rng, progress=False)
    control = noise.gaussian_norms(found.spectrum, 3000, rng)
    title = f"shape {shape:g}, scale {scale:.3g}: kappa {1 + 1 / shape:.3g}"
    return pictures.draw_law(g, shape * scale, middle, title, found, control)


slider(draw_shape, "Left, histogram of the logarithm of the squared length, with its mean and "
       "median. Right, density of the noise norm over its median, beside a Gaussian control.",
       shape=knob((0.1, 0.15, 0.2, 0.3, 0.5, 0.8, 1.2, 1.8, 2.5), 0.1, "shape"),
       held=knob(("variance 10", "mean 1"), "variance 10", "what is held"))
rough = 10 * (gamma(1.1) / 2) ** 10
reveal("12.p1", median_of(0.1, 10.0), f"The right half of (12.7) alone gives {rough:.5f}.")

# %% [markdown]
# The spike in the noise is made of batches without one prompt that has a long query *and* a long example: their gradient is next to 0, and $\|e\|$ is the length of the reference.
#
# **How a tail enters.** Loss and gradient are means of *products* of covariates, and a product of long-tailed factors has a longer tail. Degree two knows the scale only: at zero weights the loss is $\mathbb{E} \langle w, x \rangle^2 = \mathbb{E} g$. Degree four knows $\kappa$:
#
# $$ \mathbb{E}[C^2] = \mu^2 \Big( 1 + \frac{\kappa d - 1}{n} \Big) I \tag{12.8} $$
#
# <details><summary>Why (12.8)</summary>
#
# By symmetry $\mathbb{E}[x x^\top] = \mu I$ and $\mathbb{E}[\|x\|^2 x x^\top] = \frac{1}{d} \mathbb{E}[g^2]\, I = \kappa d\, \mu^2 I$. In $C^2$, $C = \frac{1}{n} \sum_j x_j x_j^\top$, count pairs as for (1.9) of lesson 01: $n (n - 1)$ different ones give $\mu^2 I$ each, $n$ equal ones $\kappa d\, \mu^2 I$ each.
# </details>
#
# Put it into the parabola (1.8) of one layer with step $\eta$:
#
# $$ f(\eta) = \mathbb{E} g\, \Big( 1 - 2 \eta \mu + \eta^2 \mu^2 \Big( 1 + \frac{\kappa d - 1}{n} \Big) \Big) . \tag{12.9} $$
#
# The scale multiplies $f$ and divides $\eta$. The tail decides how much of $f$ the best $\eta$ can take away (exercise 12.5). And for the noise of one prompt's $dQ$ at zero weights, against its mean $2 \mu^2 I$:
#
# $$ \frac{\mathbb{E} \|dQ - \mathbb{E}\, dQ\|^2}{\|\mathbb{E}\, dQ\|^2} = d (d + 2)\, \kappa \Big( 1 + \frac{\kappa d - 1}{n} \Big) - 1 \tag{12.10} $$
#
# and a $B$-th of it for a batch. No $\mu$ is left: noise relative to signal is a matter of the tail alone.
#
# <details><summary>Why (12.10)</summary>
#
# At zero weights the prediction is $-r^\top Q' x$ with $r = C w$ and the query $x$, as in lesson 09, and the error $-y$, so by (2.14) of lesson 02
# the gradient is $2 y\, r x^\top$. Its squared length is $4 y^2 \|r\|^2 \|x\|^2$; average over $x$, which gives $\|w\|^2\, \mathbb{E}[g^2] / d$, then over $C$ by (12.8), then over $w$ with
# $\mathbb{E} \|w\|^4 = d (d + 2)$. Divide by $\|2 \mu^2 I\|^2$. Higher moments of the noise bring higher $\kappa_m$; in Setting 3 $\kappa_4 = 7161$.
# </details>

# %%
def step_leaves(kappa, n=20, d=5):
    """The least value of (12.9), over the loss at zero weights."""
    return 1 - 1 / (1 + (kappa * d - 1) / n)


def noise_over_signal(kappa, n=20, d=5):
    """(12.10), for one prompt."""
    return d * (d + 2) * kappa * (1 + (kappa * d - 1) / n) - 1


kappas, sizes = np.linspace(1, 12, 100), np.geomspace(1, 10_000, 50)
show(pictures.draw_step(kappas, step_leaves(kappas), sizes,
                        {k: noise_over_signal(k) / sizes for k in (1.0, 1.4, 11.0)}),
     "Left, the share of the loss that the best step of one layer leaves, rising with kappa. "
     "Right, noise over signal against the batch: three parallel lines, kappa 11 far on top.")
print("left by one layer:", *(f"kappa {k:g}: {step_leaves(k):.3f};" for k in (1, 1.4, 11)))

# %% [markdown]
# **How a scale enters.** Let $x \to c x$. Labels are $\langle w, x \rangle$ and follow, so all tokens become $c$ times as long, and $y$ too. A score is $x_i^\top Q' x_j$ and would grow by $c^2$: divide all $Q'$ by $c^2$, and scores are what they were. Then each layer adds the old multiples of tokens that are $c$ times as long, and the next layer finds the same situation. The prediction comes out times $c$. Call the loss on stretched prompts $f_c$, and collect
# $D = \mathrm{diag}(1 \text{ for } P', c^2 \text{ for } Q')$:
#
# $$ f_c(\theta) = c^2 f(D \theta) . \tag{12.11} $$
#
# Exactly, for every depth and every prompt. **A scale is a change of units of $Q$.** The chain rule gives
#
# $$ \nabla f_c(\theta) = c^2 D\, \nabla f(D \theta), \qquad H_c(\theta) = c^2 D\, H(D \theta)\, D . \tag{12.12} $$
#
# Near zero weights $dQ$ and $H_{QQ}$ tend to constants. By (9.4) of lesson 09 $H_{PP}$ is of third degree in $Q'$; $dP$ needs two $Q'$, its own and a later one, so it is of second. Put $D \theta$ in:
#
# $$ f \sim c^2, \quad dQ \sim c^4, \quad dP \sim c^6, \quad H_{QQ} \sim c^6, \quad H_{PP} \sim c^8 \qquad \text{at fixed } \theta . \tag{12.13} $$
#
# **$R_{med}$ has two answers.** At the start it is the largest of $Q$ over the largest of $P$, (9.5), with the lower median. In (12.12) the two $D$ outside multiply this ratio by $c^4$: the units of $Q$. The $D$ inside makes $Q'$ larger and divides it by $(c^2)^3$: the size of the weights, as in lesson 09. So
#
# $$ R_{med} \sim c^{4 - 6} = c^{-2} \text{ at fixed weights } \theta, \qquad R_{med} \sim c^{4} \text{ at fixed predictions, } D^{-1} \theta . \tag{12.14} $$
#
# Stretch the data, and it falls or rises, as you leave the weights or rescale them. Neither speaks of a tail.
#
# **Rates.** Start from $D^{-1} \theta_0$ and ask that $D \theta$ move as before. A step of SGD (6.1) moves $D \theta$ by $\eta_c\, c^2 D^2\, \nabla f$,
# one of Adam (6.6), blind to factors, by $\eta_c D$ times what it was. So
#
# $$ \text{SGD: } \eta_P \to \eta_P / c^2, \quad \eta_Q \to \eta_Q / c^6; \qquad \text{Adam: } \eta_P \to \eta_P, \quad \eta_Q \to \eta_Q / c^2 \tag{12.15} $$
#
# makes the whole run the same. Sphere and $N(0, I_5)$ differ by $c^2 = \frac{1}{5}$ in scale. From Setting 1's rates of 0.02 this predicts, for $Q$, 2.5 for SGD and 0.1 for Adam. The paper's rates on the sphere, one for both blocks, are 5 and 0.1; in Setting 3, of the same $\mathbb{E} g$, 0.02 and 0.02.
#
# Now both knobs. At the paper's initial weights, for five tails at four scales: how well conditioned, and how heavy the noise of batches of 100?

# %%
KAPPAS, MEANS = (1.0, 1.4, 2.0, 4.0, 11.0), (1.0, 2.0, 3.0, 5.0)
SEEDS, draws, batch = by_profile(2, 3, 6), by_profile(20, 500, 5000), by_profile(20, 100)
grid, size, normal = {}, {}, {}  # (R_med, p99/p50 of the noise), its median, the control
with bar(SEEDS * len(KAPPAS) * len(MEANS), "laws", unit="law") as shown:
    for kappa, mean, seed in product(KAPPAS, MEANS, range(SEEDS)):
        task = task_of(None if kappa == 1 else 1 / (kappa - 1), mean)
        rng, key = np.random.default_rng([SEED, seed]), (kappa, mean)
        x = la.init_params(rng)
        h = [la.landscape.hessian_diagonal(x, *task.sample(by_profile(50, 300), rng))
             for _ in range(by_profile(1, 9))]
        found = noise.measure_noise(x, task, batch, draws, rng, progress=False)  # (8.1)
        control = noise.gaussian_norms(found.spectrum, 10_000, rng)  # (8.3)
        heavy, plain = (np.divide(*np.quantile(v, [0.99, 0.5])) for v in (found.norms, control))
        R = la.landscape.robust_condition_number(np.median(h, axis=0))
        grid.setdefault(key, []).append((R, heavy))
        size.setdefault(key, []).append(np.median(found.norms))
        normal.setdefault(key, []).append(plain)
        shown.update()
grid = {key: np.array(values) for key, values in grid.items()}  # (seeds, 2) each

# %%
moving(lambda kappa, mean: pictures.draw_knobs(grid, kappa, mean),
       "R_med at the initial weights against p99/p50 of the noise norm, a dot for each law. "
       "Along the scale the dot moves sideways, along the tail upwards; crosses are seeds.",
       mean=knob(MEANS, 1.0, "scale: mean squared length"),
       kappa=knob(KAPPAS, 1.0, "tail: kappa"))
of = lambda kappa, mean, k: float(np.median(grid[kappa, mean][:, k]))
change = lambda kappa, k: of(kappa, 5, k) / of(kappa, 1, k)
rows = [(f"kappa {q:g}", *(form.format(v) for k, form in ((0, "{:.0f}"), (1, "{:.2f}"))
                           for v in (of(q, 1, k), of(q, 5, k))),
         f"{change(q, 0):.2f}", f"{change(q, 1):.2f}") for q in KAPPAS]
table(("tail", "R_med, E g = 1", "E g = 5", "p99/p50, E g = 1", "E g = 5", "R_med: ratio",
       "p99/p50: ratio"), rows,
      f"medians of {SEEDS} seeds; R_med from the median of each entry over batches")
others = ", ".join(row[-1] for row in rows[1:])
reveal("12.p2", change(1.0, 1), f"The other tails, in order: {others}. From sphere to Setting "
       f"3, at the same E g = 1: {of(11.0, 1, 1) / of(1.0, 1, 1):.1f}.")

# %% [markdown]
# Five times the mean square divides $R_{med}$ by about five, as $c^{-2}$ wants. Turning the tail changes $R_{med}$ about as much as another seed does (crosses). The last column is 1 on the sphere and up to a fifth more for long tails: by (12.11) the initial $Q$ is in effect five times larger at $\mathbb{E} g = 5$, and for a long prompt that is no longer small.
#
# > **Where people slip**
# > - *The code's scale as "the same scale".* It keeps $\mathrm{Var}\, g$. Neither $\mathbb{E} g$ nor $\kappa$ stays.
# > - *The mean as the typical length.* In Setting 3 they are a hundredfold apart, (12.7).
# > - *Comparing norms.* A tail is a ratio of quantiles, or $\kappa$. A norm is a scale.
# > - *$g$ and $\sqrt{g}$.* The Gamma law is that of the squared length.

# %% [markdown]
# ## 3. On paper
#
# **Two laws of the same variance.** Law A: $g$ is 3 or 7, with probability $\frac{1}{2}$ each. Law B: $g$ is 5 with probability $\frac{1}{5}$, else 0.
#
# $$ \text{A: } \mathbb{E} g = 5, \; \mathbb{E} g^2 = \tfrac{9 + 49}{2} = 29, \; \mathrm{Var} = 4, \; \kappa = \tfrac{29}{25}; \qquad
# \text{B: } \mathbb{E} g = 1, \; \mathbb{E} g^2 = \tfrac{25}{5} = 5, \; \mathrm{Var} = 4, \; \kappa = 5 . $$
#
# The mean goes from 5 to 1 and the variance stays, as in (12.5). Law A divided by 5, with the lengths $\frac{3}{5}$ and $\frac{7}{5}$, has the mean of B and the $\kappa$ of A.
#
# **Noise.** With $d = n = L = 1$ the gradient at zero is $2 w^2 g_0 g_1$, as in lesson 08. $\mathbb{E} w^2 = 1$, $\mathbb{E} w^4 = 3$, so its relative variance is
#
# $$ \frac{4 \cdot 3\, (\mathbb{E} g^2)^2}{(2\, (\mathbb{E} g)^2)^2} - 1 = 3 \kappa^2 - 1, \qquad \text{A: } \tfrac{10092}{2500} - 1 = 3.0368, \qquad \text{B: } \tfrac{300}{4} - 1 = 74 . $$
#
# (12.10) says $3 \kappa (1 + \kappa - 1) - 1$, the same. For A divided by 5 it is 3.0368 again.
#
# **A scale.** Take the prompt of lesson 09: covariates 1 and $-1$, $w = 1$, query 1, two layers. At $p_0 = q_0 = 1$, $p_1 = 0$, $q_1 = -1$ it had $f = 36$, slot $s = -7$, derivatives of the slot $-8, -11, 0, 8$, and the Hessian's diagonal
# 176, 386, 0, 128. So $\nabla f = 2 (s + 1) \nabla s = (96, 132, 0, -96)$. Stretch by $c = 2$, and divide the $q$ by 4. In the order $p_0, q_0, p_1, q_1$ the gradient is multiplied by $4 \cdot (1, 4, 1, 4)$, the diagonal by
# $4 \cdot (1, 16, 1, 16)$:
#
# $$ f_c = 144, \qquad \nabla f_c = (384, 2112, 0, -1536), \qquad \mathrm{diag}\, H_c = (704, 24704, 0, 8192) . $$
#
# The largest of $Q$ over the largest of $P$ was $386 / 176 = 2.19$ and is now $24704 / 704 = 35.09$, sixteenfold: the $c^4$ of (12.14) at fixed predictions. $R_{med}$ with the lower median was $386 / 128 = 3.02$, since the median was an entry of $Q$, and is 35.09 now. Leave the weights as they are instead, and the third line below is another story. Nothing but a unit of length has changed.

# %%
half, fifth = Fraction(1, 2), Fraction(1, 5)
laws = {"A": {3: half, 7: half}, "B": {0: 4 * fifth, 5: fifth},
        "A / 5": {3 * fifth: half, 7 * fifth: half}}
nodes, weights = np.polynomial.hermite_e.hermegauss(3)  # exact up to degree 5
zero, rows = np.zeros((1, 1, 2, 1, 1)), []
for name, law in laws.items():
    m1, m2 = (sum(p * g**m for g, p in law.items()) for m in (1, 2))
    found = np.zeros(2)
    for (g1, p1), (g0, p0), k in product(law.items(), law.items(), range(3)):
        w, x1, x0 = nodes[k], float(g1) ** 0.5, float(g0) ** 0.5
        Z = np.array([[[x1, w * x1], [x0, 0.0]]])  # (B, N, D) = (1, 2, 2)
        grad = la.loss_and_grad(zero, Z, np.array([w * x0]), backend="numpy")[1][0, 0, 1, 0, 0]
        found += float(p1 * p0) * weights[k] / weights.sum() * np.array([grad, grad**2])
    rows.append((name, m1, m2, m2 - m1**2, m2 / m1**2, f"{3 * (m2 / m1**2) ** 2 - 1}",
                 f"{found[1] / found[0] ** 2 - 1:.6g}"))
table(("law", "E g", "E g^2", "Var g", "kappa", "3 kappa^2 - 1", "by the gradient"),
      [tuple(map(str, row)) for row in rows])

# %%
Z = np.array([[[1.0, 1], [-1, -1], [1, 0]]])
at = np.array([1.0, 1, 0, -1]).reshape(2, 1, 2, 1, 1)  # p0, q0, p1, q1
for c, divided in ((1, 1), (2, 4), (2, 1)):  # the third: stretched, with the weights left alone
    theta = at / np.array([1, divided])[:, None, None]
    f, grad = la.loss_and_grad(theta, c * Z, np.array([1.0 * c]))
    diagonal = np.diag(la.hessian(theta, c * Z, np.array([1.0 * c])))
    R = la.landscape.robust_condition_number(diagonal)
    print(f"c = {c}, q / {divided}: f {f:g}, gradient", grad.ravel().astype(int).tolist(),
          "diagonal of H", diagonal.astype(int).tolist(), f"R_med {R:.2f}")

# %% [markdown]
# ## 4. Code it
#
# Token by token first, in the library's order of drawing: all directions, then all squared lengths, then the tasks.

# %%
def prompts_by_loops(B, n, d, shape, scale, rng):
    """Z (B, n+1, d+1) and y (B,) with Gamma squared lengths."""
    Z, y = np.zeros((B, n + 1, d + 1)), np.zeros(B)
    for b, i in product(range(B), range(n + 1)):
        e = rng.standard_normal(d)
        Z[b, i, :d] = e / np.sqrt(sum(entry**2 for entry in e))  # a direction
    for b, i in product(range(B), range(n + 1)):
        Z[b, i, :d] *= np.sqrt(rng.gamma(shape, scale))  # (12.1): the query, too
    for b in range(B):
        w = rng.standard_normal(d)
        for i in range(n):
            Z[b, i, d] = sum(w[a] * Z[b, i, a] for a in range(d))
        y[b] = sum(w[a] * Z[b, n, a] for a in range(d))
    return Z, y


def prompts_by_arrays(B, n, d, shape, scale, rng):
    """The same, all tokens at once."""
    u = rng.standard_normal((B, n + 1, d))
    u /= np.sqrt((u * u).sum(axis=-1, keepdims=True))
    X = u * np.sqrt(rng.gamma(shape, scale, (B, n + 1, 1)))  # (12.1)
    labels = (X @ rng.standard_normal((B, d, 1)))[..., 0]  # (B, n+1)
    asked = labels[:, -1].copy()
    labels[:, -1] = 0.0
    return np.concatenate([X, labels[..., None]], axis=2), asked


# %%
heavy = la.papers.maybe_all_you_need.SETTINGS["setting3"].task
drawn = [f(300, 20, 5, 0.1, 10.0, np.random.default_rng(SEED))
         for f in (prompts_by_loops, prompts_by_arrays)]
drawn += [task.sample(300, np.random.default_rng(SEED)) for task in (heavy, task_of(0.1, 1.0))]
gap = lambda a, b: f"{max(np.abs(p - q).max() for p, q in zip(a, b)):.0e}"
table(("compared, Z and y", "largest difference"), [
    ("loops and arrays", gap(drawn[0], drawn[1])),
    ("arrays and the library's Setting 3", gap(drawn[1], drawn[2])),
    ("Setting 3 and its task by tail and mean", gap(drawn[2], drawn[3])),
])

# %% [markdown]
# The formulas against draws, with the standard error of each mean: six laws by tail and mean, among them $N(0, I_5)$ as the Gamma law that it is.

# %%
LAWS = {"sphere": (None, 1), "sphere, stretched": (None, 5), "N(0, I)": (2.5, 5),
        "N(0, I), shrunk": (2.5, 1), "Setting 3": (0.1, 1), "Setting 3, stretched": (0.1, 5)}
rng, rows, tokens = np.random.default_rng(SEED), [], by_profile(20_000, 400_000)
for name, (k, mean) in LAWS.items():
    g = (task_of(k, mean).draw_covariates((tokens,), rng) ** 2).sum(axis=1)
    cells = [f"{mean:g}: {g.mean():.3f} ± {g.std() / tokens**0.5:.3f}"]
    kappa = 1 if k is None else 1 + 1 / k
    error = (g**2).std() / tokens**0.5 / mean**2
    cells += [f"{mean**2 * (kappa - 1):g}: {g.var():.2f}",
              f"{kappa:.3g}: {(g**2).mean() / mean**2:.3f} ± {error:.3f}"]
    median = mean if k is None else median_of(k, mean / k)
    rows.append((name, *cells, f"{median:.3g}: {np.median(g):.3g}"))
table(("covariates", "E g", "Var g", "kappa", "median of g"), rows, "formula: measured")

# %% [markdown]
# Two rows have the variance 10, $N(0, I)$ and Setting 3, and agree in nothing else: the variance of a squared length is neither its scale nor its tail.

# %% [markdown]
# ## 5. Audit it
#
# **A sampler.** Testing the moments of a long tail is a weak test: the standard errors above are largest where it matters. Shares have no tail, so test shares, in Setting 3 and with one token or pair per prompt, so that draws are independent:
#
# 1. *Lengths.* An example's squared length is below $t$ with the probability (12.7).
# 2. *Query.* So is the query's.
# 3. *Pairs.* Two tokens of a prompt fall on the same side of $t$ with probability $p^2 + (1 - p)^2$.
# 4. *Directions.* $\mathbb{E}\, u_a^4 = 3 / (d (d + 2))$. For a Gaussian $3 = \mathbb{E} z_a^4 = \mathbb{E} \|z\|^4\, \mathbb{E} u_a^4$, and $\mathbb{E} \|z\|^4 = d (d + 2)$ by (12.3).
# 5. *Labels.* One $w$ explains all of a prompt's labels and $y$, to rounding.
#
# Six planted mistakes.

# %%
def with_mistake(B, rng, mistake, n=20, d=5, shape=0.1, scale=10.0):
    u = rng.standard_normal((B, n + 1, d))
    if mistake == "directions from a cube":
        u = rng.uniform(-1, 1, (B, n + 1, d))
    u /= np.sqrt((u * u).sum(axis=-1, keepdims=True))
    if mistake == "scale taken for a rate":
        scale = 1 / scale
    g = rng.gamma(shape, scale, (B, n + 1, 1))
    if mistake == "one g for a prompt":
        g = np.broadcast_to(g[:, :1], g.shape)
    if mistake == "query without its g":
        g[:, -1] = 1.0
    X = u * (g if mistake == "g for its root" else np.sqrt(g))
    labelled = u if mistake == "labels before g" else X
    labels = (labelled @ rng.standard_normal((B, d, 1)))[..., 0]
    asked = labels[:, -1].copy()
    labels[:, -1] = 0.0
    return np.concatenate([X, labels[..., None]], axis=2), asked


# %%
def sampler_tests(Z, y):
    """'passes' or 'FAILS' for the five statements; |z| < 4 for those that are random."""
    X, B = Z[..., :-1], len(y)
    g = (X * X).sum(axis=-1)  # (B, n+1)
    levels = np.array([1e-8, 1e-4, 0.01, 0.3, 3.0, 10.0])
    p = share_below(levels, 0.1, 10.0)
    z = lambda hits, p: np.abs(hits.mean(axis=0) - p) / np.sqrt(p * (1 - p) / B)
    half = share_below(0.006, 0.1, 10.0)
    same = (g[:, 0] < 0.006) == (g[:, 1] < 0.006)
    fourth = (X[:, 0, 0] ** 2 / g[:, 0]) ** 2
    labels = Z[..., -1] + np.eye(g.shape[1])[-1] * y[:, None]  # the query's with them
    w = np.linalg.pinv(X) @ labels[..., None]  # (B, d, 1)
    left = np.abs((X @ w)[..., 0] - labels).max(axis=1) / np.abs(labels).max(axis=1)
    good = (z(g[:, :1] < levels, p).max() < 4, z(g[:, -1:] < levels, p).max() < 4,
            z(same, half**2 + (1 - half) ** 2) < 4,
            abs(fourth.mean() - 3 / 35) < 4 * fourth.std() / B**0.5, left.max() < 1e-8)
    return ["passes" if right else "FAILS" for right in good]


# %%
rows = [("library", *sampler_tests(*heavy.sample(4000, np.random.default_rng(SEED))))]
yours = prompts_by_arrays(4000, 20, 5, 0.1, 10.0, np.random.default_rng(SEED + 1))
rows.append(("your arrays", *sampler_tests(*yours)))
for mistake in ("g for its root", "scale taken for a rate", "one g for a prompt",
                "query without its g", "directions from a cube", "labels before g"):
    wrong = with_mistake(4000, np.random.default_rng(SEED), mistake)
    rows.append((mistake, *sampler_tests(*wrong)))
table(("sampler", "lengths", "query", "pairs", "directions", "labels"), rows)

# %% [markdown]
# **A scale.** (12.11) and (12.12) on the library's code, which knows of neither: three layers, weights that are not small, $c = 1.7$. A planted mistake beside them: covariates stretched, labels not.

# %%
rng, c = np.random.default_rng(SEED), 1.7
theta = la.init_params(rng, d=3, std=0.3)
Z, y = la.RegressionTask(n=6, d=3).sample(40, rng)
D = np.array([1, c * c])[:, None, None] * np.ones_like(theta)
forgotten = np.array([c] * 3 + [1])  # the label's column keeps its unit
f, grad = la.loss_and_grad(D * theta, Z, y)
H, flat, rows = la.hessian(D * theta, Z, y), D.ravel(), []
for name, (Zc, yc) in {"all stretched": (c * Z, c * y),
                       "labels forgotten": (forgotten * Z, y)}.items():
    fc, gc = la.loss_and_grad(theta, Zc, yc)
    Hc = la.hessian(theta, Zc, yc)
    gaps = (abs(fc / (c * c * f) - 1), np.abs(gc - c * c * D * grad).max() / np.abs(gc).max(),
            np.abs(Hc - c * c * flat[:, None] * H * flat).max() / np.abs(Hc).max())
    rows.append((name, *(f"{value:.0e}" for value in gaps),
                 "passes" if max(gaps) < 1e-10 else "FAILS"))
table(("prompts", "f, (12.11)", "gradient, (12.12)", "Hessian, (12.12)", "verdict"), rows,
      "relative difference of the two sides")

# %% [markdown]
# And the powers (12.13) and (12.14), at the paper's initial weights, from the sphere and the sphere shrunk to half:

# %%
def sizes_at(c, x, Z, y):
    """Loss, dQ, dP, the largest of |H_ii| in Q and in P, and R_med, on stretched prompts."""
    f, grad = la.loss_and_grad(x, c * Z, c * y)
    diagonal = la.landscape.hessian_diagonal(x, c * Z, c * y)
    of_P, of_Q = np.abs(diagonal.reshape(3, 2, 25)).max(axis=(0, 2))
    dP, dQ = np.sqrt((grad**2).sum(axis=(0, 1, 3, 4)))
    return np.array([f, dQ, dP, of_Q, of_P, la.landscape.robust_condition_number(diagonal)])


x = la.init_params(np.random.default_rng(SEED))
Z, y = task_of(None, 1).sample(by_profile(200, 1000), np.random.default_rng(99))
rescaled = x / np.array([1, 0.25])[:, None, None]  # the weights at half the length, (12.11)
fixed, same = (np.log2(sizes_at(1, x, Z, y) / sizes_at(0.5, at_half, Z, y))
               for at_half in (x, rescaled))
names = ("f", "dQ", "dP", "largest H_ii of Q", "largest H_ii of P", "R_med, lower median")
table(("quantity", "fixed weights: derived", "measured", "fixed predictions", "measured"),
      [(name, a, f"{b:.2f}", c, f"{d:.2f}") for name, a, b, c, d in
       zip(names, (2, 4, 6, 6, 8, -2), fixed, (2, 4, 2, 6, 2, 4), same)], "powers of c")

# %% [markdown]
# **Whole runs.** Setting 1 with all covariates halved, by both optimizers, without clipping and therefore at a small rate for SGD: with the rates (12.15) for each block and the start $D^{-1} \theta_0$, with one rate for both blocks (that of $Q$), and with the old rates. If (12.15) is right the first of them is
# the original run, and since halving is exact in binary, exactly.

# %%
def train_by_hand(x, batches, rates, adam):
    """The losses of a run; rates (2, 1, 1), for P and for Q."""
    m, v, losses = np.zeros_like(x), np.zeros_like(x), []
    for t, (Z, y) in enumerate(batches, start=1):
        loss, grad = la.loss_and_grad(x, Z, y)
        if adam:  # (6.6) with eps = 0; a dead parameter has v = 0 and stays
            m, v = 0.9 * m + 0.1 * grad, 0.9 * v + 0.1 * grad * grad
            step = m / (1 - 0.9**t) / np.sqrt(np.where(v > 0, v, 1) / (1 - 0.9**t))
        else:
            m = step = 0.9 * m + grad  # (6.1)
        x = x - rates * step
        losses.append(loss)
        if not np.isfinite(x).all():
            break
    return np.array(losses)


# %%
rng, c2, rows = np.random.default_rng(SEED), 0.25, []
x0, unit = la.init_params(rng), np.ones((2, 1, 1))
batches = [la.RegressionTask().sample(200, rng) for _ in range(by_profile(40, 100))]
halved = [(0.5 * Z, 0.5 * y) for Z, y in batches]
for name, powers in (("SGD", (1, 3)), ("Adam", (0, 1))):
    eta, adam = {"SGD": 0.005, "Adam": 0.02}[name], name == "Adam"
    run = lambda b, x, r, eta=eta, adam=adam: train_by_hand(x, b, eta * r, adam)
    undone = x0 / np.array([1, c2])[:, None, None]
    of_P, of_Q = (c2 ** -float(power) * unit[:1] for power in powers)  # (12.15)
    rates = {"for each block": np.concatenate([of_P, of_Q]), "one for both": of_Q, "old": unit}
    original = run(batches, x0, unit)
    for kind, r in rates.items():
        with np.errstate(all="ignore"):  # wrong rates may diverge
            found = run(halved, undone, r) / c2
        off = np.abs(found / original[: len(found)] - 1).max()
        rows.append((name, kind, "diverges" if len(found) < len(original) else f"{off:.1e}"))
table(("optimizer", "rates", "largest relative difference of the losses"), rows)

# %% [markdown]
# A scale is undone to the last bit, by rates for each block. No *one* rate does it for SGD, since $P$ and $Q$ ask for different powers: the scale decides how well conditioned SGD's problem is. A tail is no factor, so (12.12) offers no such rates for it. Whether others help is a matter of search, in section 6.

# %% [markdown]
# ## 6. Experiment
#
# **One knob at a time.** The grid of section 2 once more, as lines.

# %%
by_scale = lambda values, kappa: np.transpose([values[kappa, mean] for mean in MEANS])
tails = {key: values[:, 1] for key, values in grid.items()}
show(pictures.draw_noise(MEANS, *({k: by_scale(values, k) for k in (1.0, 1.4, 11.0)}
                                  for values in (size, tails, normal))),
     "Left: the median noise norm grows with the square of the mean squared length for three "
     "tails. Right: p99/p50 is nearly level for each; for kappa 11 it lies far above its "
     "dotted control.")
slope = {k: np.polyfit(np.log(MEANS), np.log(np.median(by_scale(size, k), axis=0)), 1)[0]
         for k in (1.0, 1.4, 11.0)}
print("power of E g in the median noise norm:",
      *(f"kappa {k:g}: {v:.2f};" for k, v in slope.items()))

# %% [markdown]
# The left panel is the scale, the right one the tail. How much noise there is against how much signal is (12.10). One layer at zero weights, single prompts:

# %%
def relative_variance(task, prompts, rng):
    """The mean squared gradient over the squared mean, less 1, and its standard error."""
    squares, total, zero = [], 0.0, np.zeros((1, 1, 2, 5, 5))
    for _ in range(prompts // 10_000):
        lanes = kernels.lanes_from_tokens(*task.sample(10_000, rng))
        G = kernels.grouped_gradients(zero, lanes, 1)[:, 25:]  # (prompts, 25) of Q
        squares.append((G * G).sum(axis=1))
        total = total + G.sum(axis=0) / prompts
    squares, signal = np.concatenate(squares), (total**2).sum()
    return squares.mean() / signal - 1, squares.std() / signal / prompts**0.5


rows = []
for name in ("sphere", "sphere, stretched", "N(0, I)", "Setting 3"):
    k, mean = LAWS[name]
    one = noise_over_signal(1 if k is None else 1 + 1 / k)
    seen, error = relative_variance(task_of(k, mean), by_profile(10_000, 200_000),
                                    np.random.default_rng(SEED))
    rows.append((name, f"{one:.1f}", f"{seen:.1f} ± {error:.1f}", f"{one / 1000:.3g}",
                 f"{128 * noise_over_signal(1) / one:.3g}"))
table(("covariates", "(12.10), one prompt", "measured", "batch of 1000",
       "batch on the sphere with the noise of 128"), rows, "noise variance over squared signal")

# %% [markdown]
# In Setting 3 a batch of 1000 still has more noise than signal when training begins.
#
# **Training.** SGD and Adam on the sphere and in Setting 3. $\mathbb{E} g = 1$ in both, so both start at the loss 1. The paper compares them at different rates and clipping, so beside its pairs stand the crossed ones: each law at the other's rates. Two more runs ask *why* a tail is slow. If it is the noise, then the sphere with a batch of 4, which the table says has about the noise of Setting 3 with 128, must be as slow, and Setting 3 with ten times the batch must be much faster.

# %%
steps, usual = by_profile(60, 600, 10_000), by_profile(64, 128, 1000)
paper, seeds = la.papers.maybe_all_you_need.SETTINGS, by_profile(2, 3, 6)
settings = {"sphere": paper["sphere"], "Setting 3": paper["setting3"]}
asked = [(data, rates, usual) for data, rates in product(settings, settings)]
asked += [("sphere", "Setting 3", usual // 32), ("Setting 3", "Setting 3", 10 * usual)]
tests = [np.random.default_rng([SEED, k]) for k in range(by_profile(5, 25))]
fresh = {data: [settings[data].task.sample(by_profile(50, 400), rng) for rng in tests]
         for data in settings}
losses, ends = {}, {}
with bar(2 * len(asked) * seeds, "runs", unit="run") as shown:
    for (data, rates, batch), opt, seed in product(asked, ("SGD", "Adam"), range(seeds)):
        used, key = settings[rates], (data, rates, batch, opt)
        run = la.train(settings[data].task, used.optimizer(opt), steps, batch=batch,
                       clip=used.clip, seed=seed, progress=False)
        losses.setdefault(key, []).append(run.loss)
        ends.setdefault(key, []).append([la.loss(run.params, *test) for test in fresh[data]])
        shown.update()
losses, ends = ({key: np.array(v) for key, v in found.items()} for found in (losses, ends))
# (seeds, steps), (seeds, test batches)

# %%
panels = {}
for data, rates, batch in asked[:2] + asked[3:4]:
    r, clip = settings[rates].learning_rates, settings[rates].clip
    title = f"{data}\nSGD {r['SGD']:g}, Adam {r['Adam']:g}, clip {clip:g}"
    panels[title] = {opt: losses[data, rates, batch, opt] for opt in ("SGD", "Adam")}
show(pictures.draw_training(panels),
     "Loss against step. On the sphere at its own rates both fall furthest, at those "
     "of Setting 3 both are slower; Setting 3 itself stays highest, Adam below SGD.")
rows, words = [], lambda x: f"{x:.3g}" if x < 1e4 else f"{x:.0e}"
for data, rates, batch in asked:
    end = [ends[data, rates, batch, opt] for opt in ("SGD", "Adam")]
    each = [np.nanmedian(v, axis=1) for v in end]  # (seeds,)
    ahead = np.mean(end[1] < end[0])
    rows.append((data, rates, batch, *(words(np.median(v)) for v in each),
                 words(np.median(each[0] / each[1])), f"{100 * ahead:.0f} %"))
table(("covariates", "rates of", "batch", "SGD", "Adam", "SGD / Adam", "Adam lower"), rows,
      f"loss after {steps} steps, median of {len(tests)} test batches and of {seeds} seeds; "
      "last column: share of batches and seeds on which Adam's is lower")

# %% [markdown]
# Read it by rows. *One and two* are the same data: a part of the paper's difference is the rates. *Two and four* have the same rates and the same mean square: the heavy tail leaves far more loss, for both optimizers. *Three:* it forbids the sphere's
# rates; SGD leaves the region altogether. *Five:* the sphere with as much noise as Setting 3 stays far below Setting 3. *Six:* ten times the prompts change little. So it is not the noise that makes the tail slow. (12.9) names what is left: with $\kappa = 11$ one layer of descent cannot take away more than about a quarter of the loss, whatever its rate; on the sphere it takes five sixths.
#
# Are those rates just badly chosen? Twelve rates for each optimizer and law, the same for all, at the paper's size.

# %%
numbers = loaded("data_distribution")
searched = {panel["title"]: panel["search"] for panel in numbers["panels"].values()}
show(pictures.draw_search(searched),
     "Loaded: loss against learning rate for SGD and Adam. On the sphere both curves fall to "
     "a thousandth and less; with the heavy tail both have a flat bottom above 0.2.")
rows, least = [], {}
for title, found in searched.items():
    for opt in ("SGD", "Adam"):
        least[title, opt] = np.nanmin(np.array(found[opt]["scores"], float))
        edge = " (edge)" * found[opt]["at_the_edge"]
        rows.append((title, opt, f"{found[opt]['best']:g}{edge}", f"{least[title, opt]:.3g}"))
table(("law", "optimizer", "best rate", "loss there"), rows,
      f"{numbers['scale']['search_steps']:,} steps, {numbers['scale']['search_seeds']} seeds; "
      "at zero weights the loss is 1 in both")
light, heavy_tail = searched
print("best with the heavy tail over best on the sphere:",
      *(f"{opt} {least[heavy_tail, opt] / least[light, opt]:.0f};" for opt in ("SGD", "Adam")))

# %% [markdown]
# Each optimizer at its own best rate for each law, the heavy tail leaves hundreds of times more with SGD and thousands of times more with Adam, over these 2000 steps with batches of 1000. That is the sense of "no rate undoes it": twelve rates, one for both blocks. Rates for each block were not searched.
#
# And the gap between the optimizers: the table above has it many times larger on the sphere than with the heavy tail, at either pair of rates. But a ratio of losses is pressed towards 1 where neither can remove much. How much *sooner* Adam gets to the same loss is the fairer question, and section 7 asks it.

# %% [markdown]
# ## 7. The paper and us
#
# The paper's comparison at its size: losses, noise at initialization with its control, and $R_{med}$ for both laws.

# %%
figure = data_distribution.draw(numbers, Scale(**numbers["scale"]))
show(figure, numbers["alt"])
rows = []
for panel in numbers["panels"].values():
    at_end = [panel[opt]["fresh"] for opt in ("SGD", "Adam")]
    ends = [np.median(np.array(curve["each_seed"])[:, -20:], axis=1) for curve in at_end]
    laws = [panel["noise"][law]["p99.9_over_p50"]["median"] for law in ("noise", "control")]
    path = [np.median(panel["condition"][opt]["median"][1:]) for opt in ("SGD", "Adam")]
    rates = [f"{panel[opt]['learning_rate']:g}" for opt in ("SGD", "Adam")]
    rows.append((panel["title"], ", ".join(rates), *(f"{np.median(end):.3g}" for end in ends),
                 f"{np.median(ends[0] / ends[1]):.3g}", "{:.3g} ({:.3g})".format(*laws),
                 f"{panel['condition']['SGD']['median'][0]:.0f}",
                 "{:.0f}, {:.0f}".format(*path)))
table(("law", "rates", "SGD's loss", "Adam's loss", "ratio", "p99.9/p50 (control)",
       "R_med at 0", "R_med later: SGD, Adam"), rows,
      "medians over seeds; losses: the last 1000 fresh batches; R_med later: the path after 0")
ratio = np.array(numbers["panels"]["setting3"]["condition"]["ratio"]["median"])[1:]
early = len(ratio) // 4
larger = (ratio[:early] < 1).sum(), (ratio[early:] < 1).sum()
print(f"Setting 3: Adam's R_med is the larger one at {larger[0]} of the first {early} points "
      f"after 0, and at {larger[1]} of the other {len(ratio) - early}")

# %%
claims = ("noise", "condition", "slower.sgd", "slower.adam", "gap")
paper_and_us([f"data.{claim}" for claim in claims])

# %% [markdown]
# **What comes out.** The noise claim does, and here the comparison is a clean one: initial weights, no rates, the same $\mathbb{E} g$, and on the sphere hardly anything beyond the control. Both optimizers are slower with the heavy tail, at each one's best rate too.
#
# **The gap.** The paper sees no clear change of the relative gap. Asked as "how many times sooner does Adam reach SGD's loss", ours does not change either. Asked as a ratio of final losses it does, since each task's floor limits it: "why" gives both.
#
# **With a remark.** The gap in $R_{med}$ is larger in Setting 3 over the path as a whole; on the sphere there is hardly one. But in the first quarter of Setting 3's run Adam's $R_{med}$ is as often the larger one, as the last line says, and lesson 09 found how much of such a ratio is SGD's rate. At $t = 0$ the number measures scale and weights, (12.14): rescale the weights of one law, and it is any number you like.

# %% [markdown]
# ## 8. Exercises
#
# Seven cards. Write your answer in the cell under a card, run it, then the check.

# %% [markdown]
# ### Exercise 12.1 (derive, level 1, 5 min)
#
# Shape 0.4 with the code's scale (12.5). What is $\mathbb{E} \|x\|^4$? *Done:* one number.
#
# <details><summary>Hint 1</summary>The scale is √(10/0.4) = 5; then (12.3).</details>

# %%
### BEGIN SOLUTION
fourth_moment = 0.4 * 1.4 * 25
### END SOLUTION
check("12.1", fourth_moment)

# %% [markdown]
# ### Exercise 12.2 (code, level 1, 10 min)
#
# Covariates from numbers that are given: normals `e` (B, N, d) for the directions and squared lengths `g` (B, N). *Done:* the squared lengths of what you return are `g`.
#
# <details><summary>Hint 1</summary>np.sqrt((e * e).sum(axis=-1, keepdims=True)) is the length of each token.</details>

# %%
def stretch(e, g):
    ### BEGIN SOLUTION
    u = e / np.sqrt((e * e).sum(axis=-1, keepdims=True))
    return u * np.sqrt(g)[..., None]
    ### END SOLUTION


# %%
check("12.2", stretch)

# %% [markdown]
# ### Exercise 12.3 (derive, level 2, 10 min)
#
# A control needs a tail and a scale of your choice. Return the shape and the scale of the Gamma law with mean squared length `mean` and with `kappa`. *Done:* `gamma_for(5, 1.4)` is (2.5, 2).
#
# <details><summary>Hint 1</summary>First the shape, from (12.6); then the scale, from (12.3).</details>
#
# <!-- ### BEGIN SOLUTION -->
# <details><summary>Solution</summary>κ = 1 + 1/k gives k = 1/(κ − 1), and kθ = mean gives θ = mean (κ − 1).</details>
# <!-- ### END SOLUTION -->

# %%
def gamma_for(mean, kappa):
    ### BEGIN SOLUTION
    return 1 / (kappa - 1), mean * (kappa - 1)
    ### END SOLUTION


# %%
check("12.3", gamma_for)

# %% [markdown]
# ### Exercise 12.4 (find the bug, level 3, 15 min)
#
# This should bring a batch of prompts to the mean squared length `mean`, all tokens counted, and change nothing else. It changes the tail, too, and more. Find all three mistakes and write the repaired function: `Z` (B, N, D) and `y` (B,) to new `Z` and `y`. *Done:* the check passes.
#
# <details><summary>Hint 1</summary>How many different factors does it use, and with what power?</details>
# <details><summary>Hint 2</summary>What are the labels of stretched covariates?</details>

# %%
def buggy_match(Z, y, mean):
    g = (Z[..., :-1] ** 2).sum(axis=-1)  # (B, N)
    c = mean / g.mean(axis=1)  # (B,)
    out = Z.copy()
    out[..., :-1] *= c[:, None, None]
    return out, y


# %%
def match(Z, y, mean):
    ### BEGIN SOLUTION
    g = (Z[..., :-1] ** 2).sum(axis=-1)
    c = np.sqrt(mean / g.mean())
    return c * Z, c * y
    ### END SOLUTION


# %%
check("12.4", match)

# %% [markdown]
# ### Exercise 12.5 (derive, level 3, 15 min)
#
# One layer and the best step in (12.9): which share of the loss at zero weights is left? A function of `kappa`, `n`, `d`. *Done:* for $\kappa = 1.4$, $n = 20$, $d = 5$ it is $\frac{6}{26}$, as (1.10) of lesson 01 says; compare the sphere and Setting 3.
#
# <details><summary>Hint 1</summary>A parabola 1 - 2s + a s² has its minimum at s = 1/a.</details>
#
# <!-- ### BEGIN SOLUTION -->
# <details><summary>Solution</summary>With s = ημ and a = 1 + (κd − 1)/n the least value is 1 − 1/a = (κd − 1)/(n + κd − 1): 4/24 on the sphere,
# 6/26 for Gaussians, 54/74 in Setting 3. The scale has dropped out.</details>
# <!-- ### END SOLUTION -->

# %%
def one_layer_share(kappa, n, d):
    ### BEGIN SOLUTION
    return (kappa * d - 1) / (n + kappa * d - 1)
    ### END SOLUTION


# %%
check("12.5", one_layer_share)

# %% [markdown]
# ### Exercise 12.6 (code, level 2, 10 min)
#
# Trained weights are to be used on prompts `c` times as long. Return new `params` (L, H, 2, d, d) that answer them as well as the old ones answered the old prompts. *Done:* the check passes, and `params` is as it was.
#
# <details><summary>Hint 1</summary>(12.11): which weights are D θ?</details>

# %%
def undo_scale(params, c):
    ### BEGIN SOLUTION
    return params / np.array([1.0, c * c])[:, None, None]
    ### END SOLUTION


# %%
check("12.6", undo_scale)

# %% [markdown]
# ### Exercise 12.7 (experiment, level 2, 10 min)
#
# With which power of $\mathbb{E} g$ does the median noise norm grow when the weights are really small, $\sigma = 0.005$? Use shape 2.5, batches of 100, three or more means between 1 and 5; say first what (12.13) demands. *Done:* within 10 percent.
#
# <details><summary>Hint 1</summary>noise.measure_noise(la.init_params(rng, std=0.005), task_of(2.5, mean), 100, 80, rng, progress=False).norms</details>
# <details><summary>Hint 2</summary>The slope of the logarithms: np.polyfit(np.log(means), np.log(medians), 1)[0].</details>

# %%
def measure_power():
    ### BEGIN SOLUTION
    medians = []
    for mean in (1, 2, 5):
        rng = np.random.default_rng(0)
        params = la.init_params(rng, std=0.005)
        found = noise.measure_noise(params, task_of(2.5, mean), 100, 80, rng, progress=False)
        medians.append(np.median(found.norms))
    return np.polyfit(np.log([1, 2, 5]), np.log(medians), 1)[0]
    ### END SOLUTION


# %%
### BEGIN SOLUTION
power = measure_power()
### END SOLUTION
check("12.7", power)

# %% [markdown]
# ## 9. Exit ticket
#
# Write the letters in quotes.
#
# **t1.** Covariates from Gamma(0.1, scale 10) take the place of $N(0, I_5)$. What of their squared length is kept?
#
# - (a) the mean
# - (b) the variance
# - (c) the median
# - (d) $\kappa$
#
# **t2.** All covariates and labels are doubled; the weights are near 0. What becomes of p99.9/p50 of the noise norm?
#
# - (a) it grows 16 times
# - (b) it grows 4 times
# - (c) it grows, since long prompts are rare
# - (d) it stays
#
# **t3.** SGD takes a rate of 5 on the sphere and 0.02 for $N(0, I_5)$. What explains most of it?
#
# - (a) the lighter tail of the sphere
# - (b) the clipping at 0.1
# - (c) the mean square, five times smaller, to the third power
# - (d) the number of examples

# %%
### BEGIN SOLUTION
t1 = "b"
t2 = "d"
t3 = "c"
### END SOLUTION
check("12.t1", t1)
check("12.t2", t2)
check("12.t3", t3)

# %% [markdown]
# **Further reading**
#
# - Ahn et al., arXiv 2310.01082, section 4.1. The figure of section 7; the learning rates and the clipping are in its released code.
# - Zhang et al., *Why are adaptive methods good for attention models?*, arXiv 1912.03194. Heavy-tailed noise, clipping, and what they do to SGD.
# - Kunstner et al., *Heavy-tailed class imbalance and why Adam outperforms gradient descent on language models*, arXiv 2402.19449. A tail in the labels instead of the covariates.
# - Vershynin, *High-Dimensional Probability*, chapter 3. Length and direction of random vectors, and what (12.4) becomes for large $d$.
