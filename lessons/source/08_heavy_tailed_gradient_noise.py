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
# # Lesson 08. Heavy-tailed gradient noise
#
# **Claim.** At the initial weights the noise of a batch has a heavier tail than Gaussian noise of the same covariance, by a margin that shrinks with the batch; where steps are clipped, training with it goes better than with the Gaussian.
#
# | read | code | run | level | needs | seed |
# |---|---|---|---|---|---|
# | 40 min | 65 min | 1 min | 3 of 5 | 05, 07 | 8 |
#
# **Misconception.** Gradient noise is Gaussian, since a batch is a mean.
#
# **Afterwards you can say.** A gradient is a product of Gaussians, kurtosis multiplies in a product and falls like 1/B in a mean, so a tail means nothing before it is held against Gaussian noise of the same covariance. (t2)
#
# <details><summary>Symbols of this lesson</summary>
#
# | symbol | meaning |
# |---|---|
# | $e$ | noise: gradient of a batch minus that of a much larger one |
# | $\Sigma$ | covariance of one prompt's gradient |
# | $\lambda_i$ (here) | eigenvalues of the noise's covariance |
# | $\Lambda$ | diagonal matrix of the $\lambda_i$ |
# | $\xi$ | standard normal vector or number |
# | $\sigma^2$, $\mu_3$, $\mu_4$ (here) | second, third and fourth moment of one entry about its mean; $\mu$ alone is the momentum |
# | $a$ (here) | exponent of a power law |
# | $\alpha$ (here) | index of a stable law |
# | $K$ | number of copies in the sum (8.8) |
#
# </details>
#
# You will see where the tail comes from, derive how fast a mean forgets it, measure the noise of the paper's model for batches of 1 to 1000 prompts
# with a Gaussian control beside every number, and then train with the one and with the other. One popular estimator will call the control itself heavy-tailed.

# %%
from itertools import product

import numpy as np

import linattn_np as la
from linattn_np.kernels import draws_numpy, linear as kernels, random_numpy
from linattn_np.measures import noise
from linattn_np.experiments.papers.maybe_all_you_need import gradient_noise
from linattn_np.experiments.scale import Scale
from linattn_np.optimizers import SGD, Adam, clip
from linattn_np.progress import bar
from linattn_np.teaching import by_profile, check, knob, loaded, moving, paper_and_us, predict
from linattn_np.teaching import reveal, show, slider, symbols, table, versions
from linattn_np.teaching.pictures import lesson_08 as pictures

SEED = 8
versions(SEED)
symbols("B n d D x w y Z Q params dX")

# %% [markdown]
# ## 1. Predict
#
# The model stands at its initial weights. Its gradient has 150 entries, 25 of them always zero. Two guesses. The first is about one living entry, from
# batch to batch of a *single* prompt: a Gaussian has excess kurtosis 0. The second is about exactly Gaussian noise whose entries have
# the variances of that gradient's: an estimator of the tail index $\alpha$, made to give 2 for a Gaussian, is fed all entries together.

# %%
### BEGIN SOLUTION
kurtosis_guess = 3
alpha_guess = 2.0
### END SOLUTION
predict("08.p1", "One prompt: excess kurtosis of an entry of its gradient", kurtosis_guess)
predict("08.p2", "Gaussian control, all entries pooled: the estimated alpha", alpha_guess)

# %% [markdown]
# The whole lesson in one picture: multiply independent Gaussians, and take means of $B$ such products. How often does one lie far out?

# %%
factors, few = (1, 2, 3, 4, 5, 6), (1, 10, 100)
products = pictures.Products(np.random.default_rng(SEED), factors, few,
                             by_profile(20_000, 1_000_000))
moving(lambda factors, batch: products.draw(factors, batch),
       "Share of means beyond x standard deviations, logarithmic, beside a Gaussian's: one "
       "factor is the Gaussian; more make the tail heavier, and larger batches pull it back.",
       factors=knob(factors, 3, "Gaussian factors"), batch=knob(few, 1, "batch size B"))

# %% [markdown]
# ## 2. Derive
#
# **The noise.** A batch of $B$ prompts gives a gradient $g$, a mean over prompts. A batch 100 times larger gives $g_{\mathrm{ref}}$:
#
# $$ e = g_{\mathrm{batch}} - g_{\mathrm{ref}} \tag{8.1} $$
#
# If the gradient of one prompt has covariance $\Sigma$, then $\mathbb{E}\, \|e\|^2 = \frac{\mathrm{tr}\, \Sigma}{B} \left( 1 + \frac{1}{100} \right)$: the reference, which is independent, adds a hundredth.
#
# **Three things are called heavy.** Say which one you mean.
#
# *A power law*: $P(X > x) \sim x^{-a}$. High moments are infinite. Beyond a threshold the logarithms of the excess are exponential with mean $1 / a$, so take the $(k+1)$-th largest value as the threshold, and the mean of the $k$ logarithms above it:
#
# $$ \mathrm{Hill}(k) = 1 \Big/ \frac{1}{k} \sum_{i=1}^{k} \log \frac{x_{(i)}}{x_{(k+1)}}, \qquad \text{standard error about } \frac{a}{\sqrt{k}} \tag{8.2} $$
#
# It gives a number for *every* law, the local slope of the tail on two logarithmic axes. It means a power law only if it stays the same, within its error, as $k$
# changes.
#
# *No exponential moment*, the textbook's meaning: $\mathbb{E}\, e^{s |X|} = \infty$ for every $s > 0$. All powers may be finite. A product of three Gaussians is of this kind.
#
# *Heavier than a control.* The norm of a Gaussian vector is not Gaussian, so "heavier than a Gaussian" is not enough for $\|e\|$. The control is a Gaussian vector with the covariance of $e$. In the coordinates of the eigenvectors its entries are independent, with the eigenvalues $\lambda_i$ as variances, and its norm has the law of
#
# $$ \|\Lambda^{1/2} \xi\|, \qquad \xi \sim N(0, I) \tag{8.3} $$
#
# The same rotation of the real $e$ makes its entries uncorrelated, and neither Gaussian nor independent: that is the difference which is measured.

# %% [markdown]
# **Where the tail comes from.** At small weights an entry of the gradient is a product, error times label times covariates, all of them Gaussian or nearly so. Let $X$ and $Y$ be independent with mean 0. Then
#
# $$ \frac{\mathbb{E} (XY)^4}{(\mathbb{E} (XY)^2)^2} = \frac{\mathbb{E} X^4}{(\mathbb{E} X^2)^2} \cdot \frac{\mathbb{E} Y^4}{(\mathbb{E} Y^2)^2} \tag{8.4} $$
#
# A Gaussian has 3; the square of one, about 0, has $105 / 3^2 = 35 / 3$. So $k$ independent Gaussians have $3^k$, and shared factors make it more. Nothing is rare or broken in such data. It is enough to multiply.
#
# **What a mean forgets.** Let $u$ be the deviation of an entry for one prompt, with moments $\sigma^2, \mu_3, \mu_4$, and
# $S = u_1 + \ldots + u_B$. Multiply out. Terms with a lone factor have mean zero, so $\mathbb{E} S^2 = B \sigma^2$, $\mathbb{E} S^3 = B \mu_3$ and $\mathbb{E} S^4 = B \mu_4 + 3 B (B - 1)\, \sigma^4$:
# four indices agree in $B$ ways, or two pairs do, 3 ways to pair and $B (B - 1)$ ways to choose. The factors $1 / B$ of the mean cancel in
#
# $$ \mathrm{skewness}_B = \frac{\mu_3}{\sigma^3 \sqrt{B}}, \qquad
# \mathrm{excess}_B = \frac{\mathbb{E} S^4}{(\mathbb{E} S^2)^2} - 3 = \frac{1}{B} \left( \frac{\mu_4}{\sigma^4} - 3 \right) \tag{8.5} $$
#
# A mean does become Gaussian, at a rate of $1 / B$ and from wherever it starts. Here are the gradients of many single prompts in Setting 1; means of $B$ of them in a row are batches. The dotted line is (8.5), drawn from the value at $B = 1$ alone. (A fourth moment is a mean of rare large numbers, the kind of mean that lesson 07
# warns of. Its height depends on the sample; trust the slope.)

# %%
def single_prompts(prompts, seed, piece=10_000):
    """Gradients of single prompts in Setting 1 at the initial weights: (prompts, 150)."""
    rng, rows = np.random.default_rng([SEED, seed]), []
    params = la.init_params(rng)
    for first in range(0, prompts, piece):
        size = min(piece, prompts - first)
        lanes = kernels.lanes_from_tokens(*la.RegressionTask().sample(size, rng))
        rows.append(kernels.grouped_gradients(params, lanes, 1))
    return np.concatenate(rows)


sizes = (1, 2, 5, 10, 20, 50, 100)
E = single_prompts(by_profile(4000, 40_000), 0)
E = E[:, E.any(axis=0)]  # without the 25 dead entries
quartiles = pictures.kurtosis_by_batch(E, sizes)
show(pictures.draw_forgetting(sizes, quartiles),
     "Excess kurtosis of an entry against batch size, both logarithmic: from about 100 at one "
     "prompt it falls along the line of slope -1.")
reveal("08.p1", quartiles[1, 0],
       f"Median of the entries. In batches of 100: {quartiles[1, -1]:.2f}.")

# %% [markdown]
# **The control is skewed too.** $\|e\|^2 = \sum_i \lambda_i \xi_i^2$ in (8.3). The cumulants of $\xi_i^2$ are 1, 2, 8, and those of independent terms add up:
#
# $$ \mathrm{mean} = \sum_i \lambda_i, \qquad \mathrm{variance} = 2 \sum_i \lambda_i^2, \qquad
# \mathrm{skewness} = \frac{8 \sum_i \lambda_i^3}{\left( 2 \sum_i \lambda_i^2 \right)^{3/2}} \tag{8.6} $$
#
# With $p$ equal eigenvalues the last is $\sqrt{8 / p}$; with one that dominates, $\sqrt{8}$. A histogram of norms that is skewed to the right shows nothing by itself.
#
# **Which of the three is it?** The error of a prompt is a polynomial in its Gaussians, (7.11) of lesson 07, and so is its derivative by any weight:
#
# $$ g = \text{polynomial}(x_1, \ldots, x_{n+1}, w) \quad\Rightarrow\quad \mathbb{E}\, \|g\|^k < \infty \text{ for all } k \tag{8.7} $$
#
# Gammas in place of Gaussians change nothing in this. So there is no power law and no infinite variance. Heavy in the textbook's sense it is: the degree is more than two, so no exponential moment exists, for one prompt and for the mean of a thousand alike. That meaning cannot see the batch. The third one can, and is measured below.
#
# **A pooled estimator.** A law is $\alpha$-stable if the sum of $K$ independent copies has the law of $K^{1/\alpha}$ times one; for a Gaussian
# $\alpha = 2$. Take logarithms of sizes, and means:
#
# $$ \frac{1}{\hat\alpha} = \frac{\overline{\log |X_1 + \ldots + X_K|} - \overline{\log |X|}}{\log K} \tag{8.8} $$
#
# Practice feeds it with all entries of many gradients in a row. For exactly Gaussian entries of variances $\lambda_1, \ldots, \lambda_p$ and $K = p$ it gives
#
# $$ \frac{1}{\hat\alpha} = \frac{1}{2} + \frac{\log \bar\lambda - \overline{\log \lambda}}{2 \log p} \tag{8.9} $$
#
# so it measures how unequal the entries are, and calls it a tail.
#
# <details><summary>Why (8.9)</summary>
#
# Let one gradient be in each sum, and $c = \mathbb{E} \log |\xi|$. The mean of $\log |X|$ is $\frac{1}{2} \overline{\log \lambda} + c$. The sum is Gaussian with variance $p \bar\lambda$, so its logarithm has
# mean $\frac{1}{2} \log p + \frac{1}{2} \log \bar\lambda + c$. Subtract. The mean of the variances is never below their geometric mean, so $\hat\alpha \le 2$, with equality only if all are equal.
# </details>
#
# > **Where people slip**
# > - *"A batch is a mean, so it is Gaussian."* In the limit. (8.5) says when.
# > - *No control.* A norm is skewed by itself, (8.6).
# > - *Pooling.* Entries of different size make a mixture, and a mixture has tails that no entry has.
# > - *A Hill number as proof.* It exists for Gaussians too, and it has an error.

# %% [markdown]
# ## 3. On paper
#
# One layer, $d = 1$, one example: $y_1 = w x_1$, query $x_0$, weight $q = 0$. By (1.6) of lesson 01 the prediction is $-q\, y_1 x_1 x_0$. It is 0, the
# error is $-w x_0$, and
#
# $$ g = 2\, (-w x_0)(-w x_1^2 x_0) = 2\, w^2 x_0^2\, x_1^2 . $$
#
# Three Gaussians. Since $\mathbb{E} \xi^{2k} = 1, 3, 15, 105$ for $k = 1, 2, 3, 4$, the moments are
# $\mathbb{E} g^k = 2^k (1, 3, 15, 105)^3$:
#
# $$ \mathbb{E} g = 2, \quad \mathbb{E} g^2 = 4 \cdot 27 = 108, \quad \mathbb{E} g^3 = 8 \cdot 3375 = 27000, \quad
# \mathbb{E} g^4 = 16 \cdot 1157625 = 18522000 . $$
#
# About the mean: $\sigma^2 = 108 - 4 = 104$, $\mu_3 = 27000 - 6 \cdot 108 + 16 = 26368$, and
# $\mu_4 = 18522000 - 8 \cdot 27000 + 24 \cdot 108 - 48 = 18308544$. The excess kurtosis is $18308544 / 104^2 - 3 = 1689.7$. (About 0 it is quicker: three squares of Gaussians, by (8.4) $(35/3)^3 = 1588$, which is $18522000 / 108^2$.) By (8.5) a batch of 1000 still
# has 1.69.
#
# Two more. Hill: of the values 8, 4, 2 with $k = 2$ the logarithms are $2 \log 2$ and $\log 2$, so the estimate is $1 / (1.5 \log 2) = 0.962$. Pooling: variances 1 and 9 have the
# mean 5 and the geometric mean 3, and (8.9) gives $1 / \hat\alpha = \frac{1}{2} + \frac{1}{2} \log \frac{5}{3} / \log 2 = 0.868$, that is $\hat\alpha = 1.15$, for a Gaussian.
#
# By machine, with the library's gradient and no sampling: Gauss's quadrature with five nodes is exact for polynomials up to degree 9 in each
# variable, and $g^4$ has 8.

# %%
nodes, weights = np.polynomial.hermite_e.hermegauss(5)
weights = weights / weights.sum()
moments = np.zeros(4)
for i, j, k in product(range(5), repeat=3):
    w, x1, x0 = nodes[[i, j, k]]
    Z = np.array([[[x1, w * x1], [x0, 0.0]]])  # (B, N, D) = (1, 2, 2)
    zero, y = np.zeros((1, 1, 2, 1, 1)), np.array([w * x0])
    _, grad = la.loss_and_grad(zero, Z, y, backend="numpy")  # (2.5) to (2.15)
    moments += weights[[i, j, k]].prod() * grad[0, 0, 1, 0, 0] ** np.arange(1, 5)
m1, m2, m3, m4 = moments
central = [m2 - m1**2, m3 - 3 * m1 * m2 + 2 * m1**3]
central.append(m4 - 4 * m1 * m3 + 6 * m1**2 * m2 - 3 * m1**4)
print("moments      ", *(f"{m:.10g}" for m in moments))
print("about mean   ", *(f"{m:.10g}" for m in central))
print(f"excess kurtosis {central[2] / central[0] ** 2 - 3:.1f}")
print(f"about zero, m4 / m2^2 = {m4 / m2**2:.1f}, (35/3)^3 = {(35 / 3) ** 3:.1f}")
print(f"Hill {noise.hill(np.array([2.0, 8, 4]), 2):.3f}")
print(f"pooled alpha {1 / (0.5 + 0.5 * np.log(5 / 3) / np.log(2)):.2f}")

# %% [markdown]
# ## 4. Code it
#
# The noise of some batches, as (8.1) says it: a gradient for each batch, and a sum over its entries.

# %%
def noise_by_loops(params, Z, y, batch, reference):
    """||e|| for each batch of prompts in a row."""
    norms = []
    for first in range(0, len(y), batch):
        part = slice(first, first + batch)
        _, grad = la.loss_and_grad(params, Z[part], y[part])  # (2.14), (2.15), (2.5) to (2.13)
        e = grad.ravel() - reference  # (8.1)
        norms.append(np.sqrt(sum(entry**2 for entry in e)))
    return np.array(norms)


def noise_by_matrices(params, Z, y, batch, reference):
    """The same, all batches at once: the kernel adds the gradients of each group of prompts."""
    lanes = kernels.lanes_from_tokens(Z, y)  # the states (5.16), many prompts side by side
    G = kernels.grouped_gradients(params, lanes, batch)  # (batches, p)
    e = G - reference  # (batches, p)
    return np.sqrt((e * e).sum(axis=1))


# %% [markdown]
# The library's `measure_noise` draws its prompts chunk by chunk, as training does, each from a random state of its own. The first chunk can be drawn again here. And
# the statistics, from their definitions, against the library's:

# %%
heavy = la.papers.maybe_all_you_need.SETTINGS["setting3"].task
params = la.init_params(np.random.default_rng(SEED))
reference = noise.gradient_mean(params, heavy, 20_000, np.random.default_rng(0))
second = int(np.random.default_rng(1).integers(2**63, size=2)[1])
chunk = random_numpy.chunk_states(second, 1)[0]
Z, y = draws_numpy.prompts(heavy, 250, chunk)
loops, matrices = (f(params, Z, y, 10, reference) for f in (noise_by_loops, noise_by_matrices))
rng = np.random.default_rng(1)
library = noise.measure_noise(params, heavy, 10, 25, rng, reference=reference)


def my_hill(x, k):
    largest = sorted(x.tolist())[::-1][: k + 1]
    return k / sum(np.log(value / largest[k]) for value in largest[:k])  # (8.2)


u = (loops - loops.mean()) / loops.std()
gap = lambda a, b: f"{np.abs(a - b).max() / np.abs(b).max():.0e}"
table(("compared", "relative difference"), [
    ("||e||: loops and matrices", gap(loops, matrices)),
    ("||e||: matrices and measure_noise", gap(matrices, library.norms)),
    ("skewness, mean of u^3", gap((u**3).mean(), noise.skewness(loops))),
    ("excess kurtosis, mean of u^4 - 3", gap((u**4).mean() - 3, noise.excess_kurtosis(loops))),
    ("Hill, k = 8", gap(my_hill(loops, 8), noise.hill(loops, 8))),
])

# %% [markdown]
# ## 5. Audit it
#
# Here it is not a derivative that needs an audit but a claim: "the tail is heavy". Whatever statistic makes it must pass these:
#
# 1. **Control.** On Gaussian noise it says Gaussian, whatever the variances of the entries.
# 2. **Rotation.** Rotating all vectors by one orthogonal matrix changes neither their lengths nor the fact that they are Gaussian. Nor may it change the verdict.
# 3. **Known law.** For $P(X > x) = x^{-3}$ it says 3. For Hill this can be made sharp: by the argument before (8.2) the mean of $1 / \mathrm{Hill}(k)$
#    is exactly $\frac{1}{3}$, for every $k$.
#
# Four statistics meet the first two, with the variances of the entries of section 2; its gradients stand in the last column.

# %%
def pooled_alpha(E):
    """(8.8) on all entries in a row, K = p: one gradient in each sum."""
    sums, K = E.sum(axis=1), E.shape[1]
    return np.log(K) / (np.log(np.abs(sums)).mean() - np.log(np.abs(E)).mean())


def norm_over_control(E):
    """p99 / p50 of the norms, divided by that of the control (8.3)."""
    spectrum = np.maximum(np.linalg.eigvalsh(E.T @ E / len(E)), 0)
    control = noise.gaussian_norms(spectrum, 20_000, np.random.default_rng(0))
    high, middle = np.quantile(np.sqrt((E * E).sum(axis=1)), [0.99, 0.5])
    return high / middle / np.divide(*np.quantile(control, [0.99, 0.5]))


statistics = {  # name: (function, what it says of a Gaussian)
    "alpha, entries pooled": (pooled_alpha, 2.0),
    "excess kurtosis, entries pooled": (lambda E: noise.excess_kurtosis(E.ravel()), 0.0),
    "excess kurtosis, entry by entry":
        (lambda E: np.median([noise.excess_kurtosis(entry) for entry in E.T]), 0.0),
    "p99 / p50 of ||e||, over control": (norm_over_control, 1.0),
}

# %%
rng, E = np.random.default_rng(SEED), E - E.mean(axis=0)  # (prompts, 125), one prompt in each
variances = E.var(axis=0)
xi = rng.standard_normal(E.shape)
rotation = np.linalg.qr(rng.standard_normal((125, 125)))[0]
unequal = xi * np.sqrt(variances)
rows = []
for name, (f, gaussian) in statistics.items():
    values = [f(x) for x in (xi, unequal, unequal @ rotation, E)]
    good = max(abs(value - gaussian) for value in values[:3]) < 0.1
    rows.append((name, *(f"{value:.2f}" for value in values), "passes" if good else "FAILS"))
table(("statistic", "Gaussian, equal", "Gaussian, unequal", "the same, rotated",
       "noise, 1 prompt", "verdict"), rows)
uneven = np.log(variances.mean()) - np.log(variances).mean()
predicted = 1 / (0.5 + uneven / (2 * np.log(125)))
reveal("08.p2", pooled_alpha(unequal), f"(8.9) says {predicted:.3f} from the variances alone.")

# %% [markdown]
# Both pooled statistics call the control heavy-tailed; after a rotation, which levels the variances, they nearly take it back. The other two say of each Gaussian
# what is so, and of the noise that it is not one. In the noise's own $\alpha$ nobody can tell the tail from the unequal entries; and by (8.7) there is no stable law
# whose $\alpha$ it could be.
#
# The third test, on your Hill and on one with a planted mistake: the threshold is the $k$-th largest value and not the one after it.

# %%
def hill_off_by_one(x, k):
    largest = np.sort(x)[::-1][:k]
    return k / np.log(largest / largest[-1]).sum()


pareto = np.random.default_rng(SEED).random((4000, 200)) ** (-1 / 3)  # P(X > x) = x^-3
rows = []
for name, f in (("yours", my_hill), ("threshold x_(k)", hill_off_by_one)):
    inverse = np.array([1 / f(x, 5) for x in pareto])
    z = (inverse.mean() - 1 / 3) / (inverse.std() / np.sqrt(len(inverse)))
    verdict = "passes" if abs(z) < 4 else "FAILS"
    rows.append((name, f"{inverse.mean():.3f}", f"{z:.1f}", verdict))
table(("Hill", "mean of 1/Hill, k = 5 (1/3)", "z", "verdict"), rows)

# %% [markdown]
# ## 6. Experiment
#
# **How far beyond its control is the noise?** One knob: the batch size, in all three settings. Each seed has its own initial weights. The statistic is p99 / p50 of $\|e\|$, divided by that
# of the control with the same covariance. It is read off hundreds of batches, so no single one decides it.

# %%
names, seeds = ("setting1", "setting2", "setting3"), by_profile(2, 3, 6)
draws = by_profile({1: 400, 10: 400, 100: 50}, {1: 20_000, 10: 3000, 100: 1000, 1000: 300})
settings = la.papers.maybe_all_you_need.SETTINGS
measured, beyond = {}, {}
with bar(len(names) * seeds * len(draws), "noise", unit="batch size") as shown:
    for name, seed, B in product(names, range(seeds), draws):
        rng = np.random.default_rng([SEED, seed, B])
        params = la.init_params(np.random.default_rng([SEED, seed]))
        task = settings[name].task
        found = noise.measure_noise(params, task, B, draws[B], rng, progress=False)
        control = noise.gaussian_norms(found.spectrum, 20_000, rng)  # (8.3)
        measured[name, seed, B] = found.norms, control  # (8.1)
        spread = [np.divide(*np.quantile(x, [0.99, 0.5])) for x in (found.norms, control)]
        beyond[name, seed, B] = spread[0] / spread[1]
        shown.update()

# %%
titles = {name: settings[name].title for name in names}
show(pictures.draw_beyond(titles, beyond, seeds, list(draws)),
     "Tail of the noise over its control against batch size: falling in all settings, "
     "close to 1 at batch 1000 in Setting 1, clearly above it in Setting 3.")

# %% [markdown]
# Batch size is the knob that the paper holds at 1000. There the noise of Setting 1 is nearly that of a Gaussian with its covariance; Setting 3 is far from it. Nothing about the
# *model* has changed along a curve. Turn the batch size, and look at the whole law beside its control.

# %%
def draw_law(B, setting):
    norms, control = measured[f"setting{setting}", 0, B]
    return pictures.draw_law(norms, control[:5000], f"Setting {setting}, batch {B}")


slider(draw_law,
       "Left, density of the noise norm beside its control. Right, both against a "
       "normal law: the noise bends up at the right end, the control by far less.",
       B=knob(draws, 100, "batch size"), setting=knob((1, 2, 3), 1, "setting"))

# %% [markdown]
# **Is it a power law?** Then Hill's number would not depend on $k$. Setting 1, single prompts, with the control; each number with its standard error from (8.2).

# %%
rows, x = [], measured["setting1", 0, 1][0]
for law, norms in zip(("noise", "control"), measured["setting1", 0, 1]):
    cells = []
    for k in by_profile((5, 20, 80), (50, 200, 800, 3200)):
        a = noise.hill(norms[: len(x)], k)
        cells.append(f"{a:.2f} ± {a / np.sqrt(k):.2f}")
    rows.append((law, *cells))
table(("law", *(f"k = {k}" for k in by_profile((5, 20, 80), (50, 200, 800, 3200)))), rows,
      f"Hill(k) of the norms of {min(len(x), 20_000):,} single prompts, Setting 1")

# %% [markdown]
# Along the first row the number falls as $k$ grows, by several times its error: further out the tail is steeper, as it must be where all moments exist, (8.7). So it is no power law. The Gaussian control has Hill numbers too. They are larger, and that comparison is all that Hill can offer here.
#
# **What does the tail do to training?** If it were harmful, Gaussian noise with the same covariance would train better. It can be made: take the gradients $G_i$ of $m$ prompts at the weights of the moment, their mean, and add $c \sum_i \xi_i (G_i - \bar G)$, Gaussian given these prompts. The mean of $m$ has the covariance $\Sigma / m$ already and the sum adds $c^2 (m - 1)\, \Sigma$, so $c^2 = \frac{m - B}{m (m - 1) B}$ makes the whole $\Sigma / B$, as for a batch of $B$. Everything else stays: Setting 1, the paper's rates, clipping at 1, the same start.

# %%
task, m = la.RegressionTask(), by_profile(60, 200)


def one_gradient(noise_of, x, B, rng):
    """A gradient with the noise of B prompts, or with Gaussian noise of the same covariance."""
    if noise_of == "prompts":
        return la.loss_and_grad(x, *task.sample(B, rng))[1]
    lanes = kernels.lanes_from_tokens(*task.sample(m, rng))
    G = kernels.grouped_gradients(x, lanes, 1)  # (m, 150)
    c = np.sqrt((m - B) / (m * (m - 1) * B))
    deviation = c * rng.standard_normal(m) @ (G - G.mean(axis=0))
    return (G.mean(axis=0) + deviation).reshape(x.shape)


# %%
def loss_after(noise_of, optimizer, B, seed, threshold=1.0, steps=by_profile(40, 300)):
    """The median loss of fresh batches over the last part of a run, and the share clipped."""
    rng, ends, cut = np.random.default_rng([SEED, seed, B]), [], 0
    x = la.init_params(np.random.default_rng(seed))
    state = optimizer.init(x)
    for t in range(steps):
        g = one_gradient(noise_of, x, B, rng)
        cut += la.optimizers.global_norm(g) > 1
        x, state = optimizer.update(x, clip(g, threshold) if threshold else g, state)
        if la.optimizers.global_norm(x) > 100:  # no way back from there
            return np.inf, np.nan
        if t >= steps // 2 and t % 10 == 0:
            ends.append(la.loss(x, *task.sample(500, rng)))
    return np.median(ends), 100 * cut / steps


# %%
kinds, tried = ("prompts", "Gaussian"), by_profile((5, 20), (5, 10, 20, 50))
makers = {"SGD": lambda: SGD(0.02, 0.9), "Adam": lambda: Adam(0.02, 0.9, 0.9)}
ends, rows = {}, []
with bar(2 * len(kinds) * len(tried), "two noises", unit="batch size") as shown:
    for name, B in product(makers, tried):
        found = {kind: np.array([loss_after(kind, makers[name](), B, s) for s in range(5)])
                 for kind in kinds}
        ends |= {(name, kind, B): found[kind][:, 0] for kind in kinds}
        medians = [np.median(found[kind], axis=0) for kind in kinds]
        worse = (found["Gaussian"][:, 0] > found["prompts"][:, 0]).sum()
        rows.append((name, B, *(v[0] for v in medians), f"{worse} of 5",
                     *(f"{v[1]:.0f} %" for v in medians)))
        shown.update(2)
show(pictures.draw_training(tried, ends),
     "Loss at the end against batch size with the noise of the prompts and with Gaussian noise "
     "of the same covariance, SGD and Adam: the Gaussian's is the higher one at each batch "
     "size.")
table(("optimizer", "batch", "loss, prompts", "loss, Gaussian", "Gaussian worse",
       "clipped, prompts", "clipped, Gaussian"), rows, "medians of 5 seeds")
half = [np.median(x) / np.sqrt(np.mean(x**2)) for x in measured["setting1", 0, 10]]
print("median over root mean square of ||e||, batches of 10 at the start: "
      f"prompts {half[0]:.2f}, Gaussian {half[1]:.2f}")

# %% [markdown]
# The Gaussian is the worse one to train with, at every batch size and nearly every seed, and most for small batches. With the same variance, a Gaussian spreads it over *all* batches: each is far off, and more of them are clipped. The prompts have most of theirs in a few batches, which clipping cuts down to a step no longer than any other's, and the many others are closer to the mean, as the line under the table says. So in clipped training the tail does no harm; a large variance does.
#
# Is the clipping the reason, then? Take it away. SGD at the paper's rate is lost without it, with either noise (lesson 11), so it runs at a tenth of that rate. Adam bounds its steps by itself, (7.7).

# %%
apart = {"SGD, lr 0.002": (lambda: SGD(0.002, 0.9), 50), "Adam, lr 0.02": (makers["Adam"], 20)}
rows = []
for (name, (make, B)), threshold in product(apart.items(), (1.0, None)):
    found = [np.array([loss_after(kind, make(), B, s, threshold)[0]
                       for s in range(by_profile(2, 5))]) for kind in kinds]
    rows.append((name, B, threshold or "none", *(float(np.median(v)) for v in found),
                 f"{(found[1] > found[0]).sum()} of {len(found[0])}"))
table(("run", "batch", "clipped at", "loss, prompts", "loss, Gaussian", "Gaussian worse"), rows,
      f"medians of {len(found[0])} seeds")

# %% [markdown]
# Adam is worse off with the Gaussian, clipped or not. So it is not the clipping as such: a step that does not grow with the gradient is enough, and Adam takes such steps anyway. In SGD at the small rate five seeds decide nothing, clipped or not. What would decide it is SGD without clipping at a rate where noise matters, and that run is lost. So the reason given fits all rows; it is not proved by them.

# %% [markdown]
# ## 7. The paper and us
#
# The paper's experiment, at its size, is loaded and not computed here: 10,000 batches of 1000 prompts, for six initializations, and the smaller batches beside them.

# %%
numbers = loaded("gradient_noise")
figure = gradient_noise.draw(numbers, Scale(**numbers["scale"]))
show(figure, "Three settings in columns: density of the noise norm, quantiles against a normal "
     "law, tails for four batch sizes. Noise lies beyond its controls at the right end, most "
     "in Setting 3, least in Setting 1.")
rows = []
for name, B in product(names, numbers["batches"]):
    laws = numbers["panels"][name]["batches"][str(B)]
    cells = [[f"{laws[law][key]['median']:.3g}" for law in ("noise", "covariance")]
             for key in ("skewness", "excess_kurtosis", "p99.9_over_p50")]
    rows.append((name, B, *(f"{ours} ({control})" for ours, control in cells)))
table(("setting", "batch", "skewness (control)", "excess kurtosis (control)",
       "p99.9/p50 (control)"), rows,
      "medians over seeds of statistics of ||e||; in brackets Gaussian, same covariance")

# %% [markdown]
# The paper shows the histogram and calls it heavy-tailed. The control turns that into a number: the last column of the table, noise over control. It agrees in all three settings, clearly in
# Setting 3 and narrowly in Setting 1.

# %%
paper_and_us([*(f"noise_heavy_tailed.{name}" for name in names),
              *(f"noise_skewed.{name}" for name in names),
              *(f"noise_{key}.setting1" for key in ("mode", "minimum", "maximum"))])

# %% [markdown]
# ## 8. Exercises
#
# Seven cards. Write your answer in the cell under a card, run it, then the check.

# %% [markdown]
# ### Exercise 08.1 (derive, level 1, 5 min)
#
# Back to section 3: $\sigma^2 = 104$ and $\mu_3 = 26368$. How many prompts must a batch have for its skewness to be 0.1? *Done:* a number, to 2 percent.
#
# <details><summary>Hint 1</summary>The skewness of one prompt is 26368 / 104^1.5; then (8.5).</details>

# %%
### BEGIN SOLUTION
prompts_needed = (26368 / 104**1.5 / 0.1) ** 2
### END SOLUTION
check("08.1", prompts_needed)

# %% [markdown]
# ### Exercise 08.2 (code, level 2, 10 min)
#
# Hill's estimator from memory: `x` (draws,), all positive, in any order, and `k`. *Done:* the check passes.
#
# <details><summary>Hint 1</summary>Which value is the threshold, and is it one of the k?</details>

# %%
def hill(x, k):
    ### BEGIN SOLUTION
    x = np.sort(x)[::-1]
    return 1 / np.log(x[:k] / x[k]).mean()
    ### END SOLUTION


# %%
check("08.2", hill)

# %% [markdown]
# ### Exercise 08.3 (derive, level 2, 10 min)
#
# Skewness and kurtosis of $\|e\|^2$ for the control: return the standard deviation, the skewness and the excess kurtosis as functions of the eigenvalues `lam` (p,). The fourth cumulant of $\xi^2$
# is 48. *Done:* three numbers; for one eigenvalue they are $\sqrt{2} \lambda$, $\sqrt{8}$, 12.
#
# <details><summary>Hint 1</summary>The r-th cumulant of λ ξ² is λʳ times that of ξ², and cumulants of independent terms add.</details>
# <details><summary>Hint 2</summary>The excess kurtosis is the fourth cumulant over the square of the second.</details>
#
# <!-- ### BEGIN SOLUTION -->
# <details><summary>Solution</summary>Cumulants of the sum: 2 Σλ², 8 Σλ³, 48 Σλ⁴. So std = √(2 Σλ²), skewness = 8 Σλ³ / (2 Σλ²)^1.5,
# excess = 48 Σλ⁴ / (2 Σλ²)² = 12 Σλ⁴ / (Σλ²)².</details>
# <!-- ### END SOLUTION -->

# %%
def control_of(lam):
    ### BEGIN SOLUTION
    variance = 2 * (lam**2).sum()
    third, fourth = 8 * (lam**3).sum(), 48 * (lam**4).sum()
    return np.sqrt(variance), third / variance**1.5, fourth / variance**2
    ### END SOLUTION


# %%
check("08.3", control_of)

# %% [markdown]
# ### Exercise 08.4 (find the bug, level 2, 10 min)
#
# "The excess kurtosis of the noise's entries", from `E` (draws, p). Feed it Gaussian vectors with unequal variances and see what it says. Then repair it: the *median* over the entries of each
# entry's own excess kurtosis. *Done:* the check passes.
#
# <details><summary>Hint 1</summary>Each entry has its own mean and its own standard deviation.</details>

# %%
def buggy_kurtosis(E):
    u = (E - E.mean()) / E.std()
    return (u**4).mean() - 3


# %%
def entry_kurtosis(E):
    ### BEGIN SOLUTION
    u = (E - E.mean(axis=0)) / E.std(axis=0)
    return np.median((u**4).mean(axis=0) - 3)
    ### END SOLUTION


# %%
check("08.4", entry_kurtosis)

# %% [markdown]
# ### Exercise 08.5 (derive, level 3, 10 min)
#
# What does the pooled estimator say of Gaussian noise whose entries have the variances `lam` (p,)? Write it as a function. *Done:* the check passes, and
# equal variances give 2.
#
# <details><summary>Hint 1</summary>(8.9); the mean of logarithms is not the logarithm of the mean.</details>

# %%
def alpha_of_gaussian(lam):
    ### BEGIN SOLUTION
    return 1 / (0.5 + (np.log(lam.mean()) - np.log(lam).mean()) / (2 * np.log(len(lam))))
    ### END SOLUTION


# %%
check("08.5", alpha_of_gaussian)

# %% [markdown]
# ### Exercise 08.6 (code, level 2, 10 min)
#
# The norms of all batches from single-prompt gradients: `G` (prompts, p) and a batch size `B` that divides the number of prompts. The reference is the mean over all of them. *Done:*
# (prompts / B,) norms.
#
# <details><summary>Hint 1</summary>G.reshape(-1, B, p).mean(axis=1) has a row for each batch.</details>

# %%
def batch_norms(G, B):
    ### BEGIN SOLUTION
    e = G.reshape(-1, B, G.shape[1]).mean(axis=1) - G.mean(axis=0)
    return np.sqrt((e * e).sum(axis=1))
    ### END SOLUTION


# %%
check("08.6", batch_norms)

# %% [markdown]
# ### Exercise 08.7 (experiment, level 2, 10 min)
#
# With which power of $B$ does the *skewness* of an entry fall? Use `single_prompts`, the last 25 entries, batches of 1 to 50, and the median over the entries of the size of the skewness; say first what (8.5) demands.
# *Done:* within 15 percent.
#
# <details><summary>Hint 1</summary>100,000 prompts are enough. np.abs(noise.skewness(entry)) for each entry of the means.</details>
# <details><summary>Hint 2</summary>The slope of log skewness against log B: np.polyfit(np.log(sizes), np.log(medians), 1)[0].</details>

# %%
def measure_power():
    ### BEGIN SOLUTION
    few, medians = np.array([1, 2, 5, 10, 20, 50]), []
    entries = single_prompts(100_000, 1)[:, -25:]
    for B in few:
        means = entries.reshape(-1, B, 25).mean(axis=1)
        medians.append(np.median([np.abs(noise.skewness(entry)) for entry in means.T]))
    return np.polyfit(np.log(few), np.log(medians), 1)[0]
    ### END SOLUTION


# %%
### BEGIN SOLUTION
power = measure_power()
### END SOLUTION
check("08.7", power)

# %% [markdown]
# ## 9. Exit ticket
#
# Write the letters in quotes.
#
# **t1.** A histogram of $\|e\|$ is skewed to the right. What follows?
#
# - (a) the noise is heavy-tailed
# - (b) the noise has infinite variance
# - (c) the batch is too small
# - (d) nothing, before it is held against Gaussian noise of the same covariance
#
# **t2.** An entry of one prompt's gradient is the product of three independent Gaussians. Which excess kurtosis do batches of 100 have?
#
# - (a) $(3 + 3 + 3 - 3) / 100 = 0.06$
# - (b) $(27 - 3) / \sqrt{100} = 2.4$
# - (c) $(27 - 3) / 100 = 0.24$
# - (d) 0, by the central limit theorem
#
# **t3.** The pooled estimate of $\alpha$ is 1.3. Which one explanation is enough?
#
# - (a) the entries have unequal variances
# - (b) the batch is large
# - (c) the learning rate is small
# - (d) the reference gradient is noisy

# %%
### BEGIN SOLUTION
t1 = "d"
t2 = "c"
t3 = "a"
### END SOLUTION
check("08.t1", t1)
check("08.t2", t2)
check("08.t3", t3)

# %% [markdown]
# **Further reading**
#
# - Ahn et al., arXiv 2310.01082, section 3.2. The histograms of section 7, without the controls.
# - Simsekli, Sagun and Gurbuzbalaban, *A tail-index analysis of stochastic gradient noise in deep neural networks*, arXiv 1901.06053. The pooled estimator (8.8), and
#   what was concluded from it.
# - Xie, Sato and Sugiyama, *A diffusion theory for deep learning dynamics*, arXiv 2002.03495. The opposite reading of such histograms.
# - Hill, *A simple general approach to inference about the tail of a distribution*, Annals of Statistics 3, 1975.
