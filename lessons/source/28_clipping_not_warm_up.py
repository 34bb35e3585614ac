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
# # Lesson 28. Clipping, not warm-up
#
# **Claim.** With momentum 0.9 on a fixed batch, clipping at 1 raises the largest rate that trains 6 to 20 times, in each of eight seeds; a warm-up of 50 steps 0.9 to 1.4 times.
#
# | read | code | run | level | needs | seed |
# |---|---|---|---|---|---|
# | 30 min | 55 min | 1 min | 3 of 5 | 04, 06, 07, 26 | 28 |
#
# **Misconception.** Warm-up is what saves the first steps.
#
# **Afterwards you can say.** At the start the gradient is long, and one step that is too long lands where the loss grows with a high power, from where nothing comes back; clipping bounds that step and leaves the rate whole, while a warm-up hands the same rate to a later step. (t2)
#
# <details><summary>Symbols of this lesson</summary>
#
# | symbol | meaning |
# |---|---|
# | $\eta$ | learning rate, `lr` in code |
# | $\mu$ | momentum of SGD |
# | $\lambda$ (here) | an eigenvalue of the Hessian, the curvature along its eigenvector |
# | $x$, $m$, $g$ (here) | the place along that eigenvector, or all parameters; the buffer; the gradient |
# | $z$ (here) | what a step multiplies a pair $(m, x)$ by |
# | $W$, $t$ (here) | steps of a warm-up; number of the step, from 1 |
# | $c$ (here) | threshold of clipping |
# | $q$ (here) | half the power with which a loss grows far out |
#
# </details>
#
# You will lose runs on purpose: find which rates a fixed batch allows, with and without warm-up and clipping, see where the lost ones went, and test what kills them: the curvature at the start, the place, or the length of a step.

# %%
import numpy as np

import linattn_np as la
from linattn_np.experiments.studies import clipping_not_warm_up as study
from linattn_np.experiments.studies.clipping_not_warm_up import fixed, fresh, path, quadratic
from linattn_np.experiments.studies.clipping_not_warm_up import readers
from linattn_np.optimizers import clip, global_norm
from linattn_np.progress import bar
from linattn_np.teaching import by_profile, check, knob, loaded, moving, paper_and_us, predict
from linattn_np.teaching import reveal, show, symbols, table, versions
from linattn_np.teaching.pictures import lesson_28 as pictures

SEED = 28
PROMPTS, STEPS = by_profile((16, 20), (256, 600))
SEEDS = range(20, by_profile(21, 23))
versions(SEED)
symbols("L d n P Q")

# %% [markdown]
# ## 1. Predict
#
# Three layers, always the same 256 prompts, momentum 0.9, a constant rate, no clipping:

# %%
surface, start = fixed.surface_of(20, PROMPTS), fixed.start_of(20)
plain = {f"rate {rate:g}": np.array([loss for _, _, loss, _ in fixed.descend(
    surface, start, fixed.Way("momentum"), rate, STEPS)]) for rate in (0.02, 0.04, 0.06)}
show(pictures.draw_losses(plain, STEPS),
     "Loss on logarithmic axes. Rates 0.02 and 0.04 train; at 0.06 the loss shoots up within "
     "ten steps, and the run is lost, at a cross.")
H = surface.hessian(start)
print(f"largest eigenvalue of the Hessian at the start: {np.linalg.eigvalsh(H)[-1]:.1f}")
print(f"edge of momentum 0.9 at rate 0.06: {3.8 / 0.06:.1f}")
print(f"length of the gradient at the start: {global_norm(surface.grad(start)):.1f}")

# %% [markdown]
# At 0.06 the start lies far below the edge of lesson 26, and yet the run is lost. Two guesses. Take the largest rate that trains. By what factor does it grow, in the median seed, if every gradient is clipped to length 1? And by what factor if the rate rises from 0 over the first 50 steps instead?

# %%
### BEGIN SOLUTION
clip_guess = 2
warm_up_guess = 4
### END SOLUTION
predict("28.p1", "Largest rate with clipping at 1, over that without", clip_guess)
predict("28.p2", "Largest rate with a warm-up of 50 steps, over that without", warm_up_guess)

# %% [markdown]
# ## 2. Derive
#
# **What the rate does to a quadratic loss.** Along an eigenvector with eigenvalue $\lambda$ the gradient is $\lambda x$, and a step of descent multiplies $x$ by $1 - \eta \lambda$. So each step changes the distance by
#
# $$ | 1 - \eta \lambda | \tag{28.1} $$
#
# which is above 1 for $\lambda > 2 / \eta$. With a buffer, $m \leftarrow \mu m + \lambda x$, $x \leftarrow x - \eta m$, it is the longer root of (26.5):
#
# $$ z^2 - (1 + \mu - \eta \lambda)\, z + \mu = 0 \tag{28.2} $$
#
# above 1 for $\lambda > 2 (1 + \mu) / \eta$. Nothing in it knows how far out $x$ is: below the edge every start comes in, above it every start is lost.
#
# **What warm-up does to it.** Step $t$, counted from 1, has the rate
#
# $$ \eta \min\Big( 1, \frac{t}{W} \Big) \tag{28.3} $$
#
# It is above the edge from the first step with
#
# $$ t > \frac{2 (1 + \mu)\, W}{\eta \lambda} \tag{28.4} $$
#
# on, and stays there. So on a quadratic loss *no warm-up lets a larger rate train*. It postpones the same end. If warm-up helps, it is because the curvature is another one by then.
#
# **What clipping does to it.** A clipped gradient (6.8) has at most length $c$. A buffer sums $\mu^k$ times such gradients, so no step is longer than
#
# $$ \frac{\eta\, c}{1 - \mu} \tag{28.5} $$
#
# In one dimension, without momentum, there are two maps:
#
# $$ x \leftarrow (1 - \eta \lambda)\, x \;\text{ where }\; |x| \le \frac{c}{\lambda}, \qquad x \leftarrow x \mp \eta c \;\text{ outside} \tag{28.6} $$
#
# From far out $|x|$ falls by $\eta c$ a step. Above the edge, $\eta \lambda > 2$, the inner map grows, to at most $(\eta \lambda - 1)\, c / \lambda$; from there the outer one leads back over the minimum. So the end is
#
# $$ |x| \le \eta c - \frac{c}{\lambda} \tag{28.7} $$
#
# for every start. Clipped descent cannot be lost on a quadratic loss, at any rate; above the edge it does not converge either, but jumps. Turn the rate:

# %%
def one_dimension(product, count=24):
    """Descent on 2 x^2 from 1/8, plain and clipped at 4, rate times curvature = product."""
    rate, paths = product / 4, []
    for threshold in (np.inf, 4.0):
        walk = quadratic.steps(0.125, rate, 4.0, threshold)
        paths.append([0.125, *(next(walk) for _ in range(count))])
    return pictures.draw_parabola(product, *map(np.array, paths), study.trapped(rate, 4.0, 4.0))


moving(one_dimension, "x against step. Below 2 both come to rest; above, the plain one leaves "
       "the picture and the clipped one jumps between two dotted lines.",
       product=knob((0.5, 1.5, 1.9, 2.1, 2.5, 3.0, 4.0, 6.0), 3.0, "rate times curvature"))

# %% [markdown]
# **Why a run is lost so fast.** This loss is not quadratic. A layer multiplies covariates three times, and by $P'$ and $Q'$: degree $3 D + 2$ in all parameters after degree $D$, so 2, then 8. A label is multiplied by two covariates and $Q'$, since its corner of $P$ is 1: after degree $E$ degree $E + 2 D + 1$, so 1, 6, 23 after one, two and three layers. The loss is a square: degree 46. Far out along a line a loss of degree $2 q$ is like $\frac{1}{2 q} x^{2 q}$, and a step multiplies $x$ by
#
# $$ 1 - \eta\, x^{2 q - 2} \tag{28.8} $$
#
# For $q = 1$ that is (28.1). For $q > 1$ the *place* decides: beyond $x^{2 q - 2} = 2 / \eta$ each step makes the next one longer still, and the number of digits of $x$ is multiplied by $2 q - 1$ each time. A few steps are enough to overflow. So a large rate needs two things: a start from where no step leads out there, and that later none does.
#
# A fixed rate takes the longest step where the gradient is longest. If that is the start, one can go around it in two ways: small steps until it is left behind (warm-up), or steps that are short wherever the gradient is long (clipping). They can be told apart: warm-up should be enough if *only* the start is dangerous.
#
# > **Where people slip**
# > - *"The rate is above the edge at the start, so it is lost."* Look at the numbers under the first picture.
# > - *"Clipping is a smaller rate."* Only where $\| g \| > c$. Elsewhere the rate is whole.
# > - *Clipping the buffer.* (28.5) is about what goes into the sum.
# > - *"Lost later is less lost."* What counts is whether it trains.

# %% [markdown]
# ## 3. On paper
#
# $\lambda = 4$, $\eta = 1$: $1 - \eta \lambda = -3$, so from 5 descent goes to $-15$, 45. Clipped at $c = 2$, where $c / \lambda = \frac{1}{2}$: 5, 3, 1, $-1$, 1, $-1$. From $\frac{1}{4}$: $-\frac{3}{4}$, $\frac{5}{4}$, $-\frac{3}{4}$; the bound (28.7) is $2 - \frac{1}{2} = \frac{3}{2}$. A warm-up of 10 steps to a rate of 4 on $\lambda = 1$: the edge of the rate is 2, and step 6 is the first above it. A quartic, $q = 2$, $\eta = \frac{1}{2}$: beyond $x = 2$. From $x = 3$: $3 - \frac{27}{2} = -10.5$, then 568.3.

# %%
walk = quadratic.steps(5.0, 1.0, 4.0, 2.0)
print("clipped from 5:", [next(walk) for _ in range(5)])
walk = quadratic.steps(0.25, 1.0, 4.0, 2.0)
print("clipped from 1/4:", [next(walk) for _ in range(3)])
print("within", study.trapped(1.0, 4.0, 2.0))
print("first step above the edge:", study.crossing(4.0, 1.0, 10))
x = 3.0
for _ in range(2):
    x = x - 0.5 * x**3
    print("quartic:", round(x, 1))
far = np.random.default_rng(SEED).standard_normal(start.shape)
low, high = (np.log2(surface.loss_and_grad(scale * far)[0]) for scale in (1000.0, 2000.0))
print(f"power of our loss, far out: {high - low:.2f}")

# %% [markdown]
# ## 4. Code it
#
# Clipping, in a loop over the parameters, then as an array; then a whole run.

# %%
def clip_by_loop(g, c):
    total = 0.0
    for number in g.ravel():
        total += number * number
    factor = min(1.0, c / total**0.5)
    out = g.copy()
    for at in range(out.size):
        out.ravel()[at] *= factor
    return out


def clip_by_array(g, c):
    return g * min(1.0, c / np.sqrt((g * g).sum()))


def run(x, grad_of, rate, momentum, warm_up, c, steps):
    """Warm-up (28.3), clipping and momentum: x after the steps."""
    m = np.zeros_like(x)
    for t in range(1, steps + 1):
        g = grad_of(x)
        m = momentum * m + (g if c is None else clip_by_array(g, c))
        x = x - rate * min(1.0, t / warm_up) * m
    return x


# %%
g = surface.grad(start)
rows = [("clip: loop and array", np.abs(clip_by_loop(g, 1.0) - clip_by_array(g, 1.0)).max()),
        ("clip: array and library", np.abs(clip_by_array(g, 1.0) - clip(g, 1.0)).max())]
ours = run(start, surface.grad, 0.03, 0.9, 7, 1.0, 12)
way = fixed.Way("momentum", warm_up=7, threshold=1.0)
theirs = list(fixed.descend(surface, start, way, 0.03, 12))[-1][1]
rows.append(("run: ours and the study's", np.abs(ours - theirs).max()))
table(("compared", "largest difference"), [(name, f"{gap:.0e}") for name, gap in rows])

# %% [markdown]
# ## 5. Audit it
#
# A clipping must: keep the direction, be at most $c$ long, leave a short gradient alone, and commute with a rotation of all parameters. Ours, and two planted mistakes: one that always brings to length $c$, and one that clips each coordinate.

# %%
rng = np.random.default_rng(SEED)
R = np.linalg.qr(rng.standard_normal((7, 7)))[0]


def worst(function, c=0.8):
    """The four complaints about a clipping, over vectors of all lengths, as numbers."""
    found = np.zeros(4)
    for v in rng.standard_normal((200, 7)) * rng.uniform(0.01, 3, (200, 1)):
        out = function(v, c)
        cosine = out @ v / np.sqrt((out @ out) * (v @ v))
        short = np.sqrt(v @ v) <= c
        found = np.maximum(found, [1 - cosine, np.sqrt(out @ out) - c,
                                   short * np.abs(out - v).max(),
                                   np.abs(function(R @ v, c) - R @ out).max()])
    return found


planted = {"ours": clip_by_array, "always": lambda g, c: g * c / np.sqrt((g * g).sum()),
           "by coordinate": lambda g, c: np.clip(g, -c, c)}
table(("what", "direction", "too long by", "short ones changed by", "rotation"),
      [(name, *(f"{value:.0e}" if value > 1e-12 else "ok" for value in worst(function)))
       for name, function in planted.items()])

# %% [markdown]
# And (28.1), (28.2) against steps that are taken, on both sides of the edge; beside them a formula with $1 - \mu$ in the trace.

# %%
rows = []
for rate, curvature, momentum in ((0.1, 26.0, 0.0), (0.06, 60.0, 0.9), (0.06, 70.0, 0.9)):
    walk = quadratic.steps(1.0, rate, curvature, momentum=momentum)
    size = [abs(next(walk)) for _ in range(400)]
    measured = (max(size[300:]) / max(size[100:200])) ** (1 / 200)
    wrong = max(abs(np.roots([1, -(1 - momentum - rate * curvature), momentum])))
    rows.append((rate, curvature, momentum, f"{measured:.3f}",
                 f"{study.growth(rate, curvature, momentum):.3f}", f"{wrong:.3f}"))
table(("rate", "curvature", "momentum", "measured", "(28.2)", "planted"), rows)

# %% [markdown]
# Without momentum the planted formula is right: a test at $\mu = 0$ says nothing about it.

# %% [markdown]
# ## 6. Experiment
#
# One question: which constant rates train? A run trains if its loss is below 0.5 after 600 steps. One knob, the rate, on a grid; every dot below is a run. What could refute the lesson was fixed before: if warm-up raised the largest rate as clipping does, or if momentum's largest rate were set by the curvature at the start, as (28.2) would have it.

# %%
def scan(name, seeds=SEEDS):
    """Every other rate of a way's grid: rates, and which train, a row for each seed."""
    count = by_profile(3, (len(fixed.rates(fixed.WAYS[name])) + 1) // 2)
    found = [fixed.tried(seed, name, PROMPTS, STEPS, count) for seed in seeds]
    return found[0]["rates"], np.array([each["loss"] < fixed.TRAINED for each in found])


def largest(rates, trains):
    return np.array([rates[row][-1] if row.any() else np.nan for row in trains])


names = ("none", "warm-up 50", "warm-up 200", "clip 1")
trains = {}
with bar(len(names), "rates") as shown:
    for name in names:
        trains[name] = scan(f"momentum, {name}")
        shown.update()
show(pictures.draw_rates(trains),
     "Rates that train, momentum 0.9, a row for each seed. Without anything only small ones; "
     "with warm-up some more, with gaps; with clipping all up to about 0.4.")
best = {name: largest(*found) for name, found in trains.items()}
safe = {name: [fixed.safe(rates, np.where(row, 0.0, 1.0)) for row in rows]
        for name, (rates, rows) in trains.items()}
table(("momentum 0.9", *(f"seed {seed}" for seed in SEEDS), "over none, median",
       "up to the first gap, over none"),
      [(name, *values, float(np.median(values / best["none"])),
        float(np.median(np.divide(safe[name], safe["none"]))))
       for name, values in best.items()],
      "the largest rate that trains")
reveal("28.p1", float(np.median(best["clip 1"] / best["none"])), "Median of these seeds.")
reveal("28.p2", float(np.median(best["warm-up 50"] / best["none"])), "Median of these seeds.")

# %% [markdown]
# Without anything the rates end at 0.03 to 0.05. A warm-up of 50 steps gains up to a factor of 2 on these seeds. One of 200 steps shows single rates that are far larger, and gaps below them: a rate trains, and a smaller one is lost. Clipping gains about a factor of 10, its rows have no gap, and they end at the same rate in all three seeds.
#
# So (28.4), by which warm-up changes nothing but the date, is too simple: this loss is not quadratic, and in some seeds a warm-up does help. What it does not do is help reliably. Look at four runs at one rate:

# %%
def paths(rate, steps=by_profile(8, 300)):
    """Loss and sharpness of four runs of seed 20 at one rate."""
    runs = {name: path.followed(20, name, by_profile(16, 128), steps, rate) for name in names}
    return pictures.draw_paths(rate, 3.8 / rate, path.times(steps), runs)


moving(paths, "Loss left, sharpness right, on logarithmic axes, four runs at one rate, the "
       "edge dashed, crosses where runs are lost. As the rate grows the plain run is lost "
       "first, then the short and the long warm-up, the clipped one at none of these rates.",
       rate=knob(by_profile((0.02, 0.06), (0.02, 0.04, 0.06, 0.1, 0.2, 0.3)), 0.06, "rate"))

# %% [markdown]
# Go through the rates, on 128 prompts here. Every run starts at the same place, where the gradient is long; at 0.06 the sharpness there is below the edge, and the plain run is thrown out within ten steps. The warm-ups pass the start and find flat ground; then their rate rises, the sharpness rises with it, and at the larger rates they are lost after all, later. At these the clipped run is thrown over the edge too, and comes back: its steps are short where the gradient is long. It is what (28.7) was on the parabola.
#
# How often does clipping act? And the control: a model that is linearized at the start has a quadratic loss, and (28.2) says whether it is lost at that rate.

# %%
first = path.followed(20, "clip 1", PROMPTS, by_profile(8, 300), 0.06)
linear = path.linearized(20, PROMPTS, STEPS)
print(f"clip 1 at rate 0.06: acts on {100 * first['share'][0]:.0f} % of the first "
      f"{path.EARLY} steps, on {100 * first['share'][1]:.0f} % of those from step 100 on")
print(f"sharpness of the linearized model at the start: {linear['sharpness']:.1f}")
print(f"its loss after {STEPS} steps at rate 0.06, over that before: {linear['ratio']:.2f}")

# %% [markdown]
# **Is it the place?** Take small steps without momentum until $\eta$ times steps is 1, and start there, at the full rate at once. No schedule; another place.

# %%
trains["from eta t = 1"] = scan("momentum, from 1")
facts = [fixed.start_facts(seed, PROMPTS) for seed in SEEDS]
moved = largest(*trains["from eta t = 1"])
rows = []
for seed, each, *rates in zip(SEEDS, facts, best["none"], moved, strict=True):
    for k, where in enumerate(("the start", "eta t = 1")):
        sharpness = each["sharpness"][k]
        rows.append((seed, where, each["gradient"][k], sharpness, 3.8 / sharpness, rates[k]))
table(("seed", "from", "gradient", "sharpness", "3.8 / sharpness", "largest rate"), rows)

# %% [markdown]
# From there 5 to 10 times the rate trains, at once. So the start is dangerous, as warm-up has it. But not by its sharpness: momentum is lost there at less than a third of the rate that (28.2) allows, and it is still so at the new place. And a schedule is no safe way there: with the long warm-up, rates were lost that train from here at once.
#
# **What does clipping limit?** If it is the step (28.5), a threshold a fourth as large allows a rate four times as large.

# %%
rows = []
for c in (0.25, 1.0, 4.0):
    rate = largest(*scan(f"momentum, clip {c:g}"))
    rows.append((c, *rate, *(c * rate), float(np.median(10 * c * rate))))
table(("c", *(f"largest rate, seed {seed}" for seed in SEEDS),
       *(f"times c, seed {seed}" for seed in SEEDS), "(28.5), median"), rows, "momentum 0.9")

# %%
rows = []
for decay in (False, True):
    way = fixed.Way("momentum", threshold=1.0, decay=decay)
    for seed in SEEDS:
        walk = fixed.descend(fixed.surface_of(seed, PROMPTS), fixed.start_of(seed), way, 0.7,
                             STEPS)
        loss = np.array([value for _, _, value, _ in walk])
        rows.append(("linear decay" if decay else "constant", seed, f"{loss.max():.0e}",
                     f"{loss[-1]:.2g}", "no" if len(loss) == STEPS + 1 else "yes"))
table(("rate 0.7, clip 1", "seed", "largest loss on the way", "last loss", "lost"), rows)

# %% [markdown]
# Over a factor of 16 in $c$ the rate times $c$ hardly moves: with clipping it is the longest step that is limited, to between 2.5 and 4, and the rate only through it. And above the limit the clipped run is not lost. At a constant rate it is adrift on the walls, at losses with many digits, and cannot come to rest; let the same rate fall, and it walks back, from a loss of $10^{11}$. Without clipping nothing comes back from there.
#
# **Fresh batches** hold rare prompts, whose gradient is long anywhere. So the start is not the only danger:

# %%
size = fresh.Fresh(*by_profile(((8, 8), (8, 8)), ((600, 1000), (800, 1000))),
                   batches=by_profile(1, 25), prompts=by_profile(16, 1000))
rows = []
with bar(len(fresh.SURVIVAL), "fresh batches") as shown:
    for name in fresh.SURVIVAL:
        ends = [fresh.survived(name, False, 0.06, seed, size) for seed in SEEDS]
        rows.append((name, *(f"lost at {int(e['lost'])}" if e["lost"] >= 0 else
                             f"{float(e['loss']):.3f}" for e in ends)))
        shown.update()
table(("momentum 0.9, rate 0.06", *(f"seed {seed}" for seed in SEEDS)), rows,
      "fresh batches of 1000 prompts, loss over the last tenth of 600 steps")
rows = []
for name in ("none", "warm-up 200"):
    runs = [fresh.trained(f"beta2 0.9, decay, {name}", 0.05, seed, size) for seed in SEEDS]
    rows.append((f"Adam, {name}", *(f"{float(each['loss']):.5f}" for each in runs)))
table(("Adam, clip 1, rate 0.05, decay", *(f"seed {seed}" for seed in SEEDS)), rows,
      "test loss after 800 steps, median over 25 batches")

# %% [markdown]
# With clipping all train. Without, they are lost at once, and a warm-up postpones it or saves some; which ones, single prompts decide, so that no factor is read from fresh batches. For Adam, whose steps are bounded by themselves (lesson 06), three seeds show differences of either sign, and nothing more.

# %% [markdown]
# ## 7. The paper and us
#
# There is no paper here: the study is our own. The effects were found on other seeds, rules were written down then, and the study ran on eight fresh seeds, with 512 prompts in the fixed batch and every rate of the grid. The rates of Adam and of the thresholds were searched by factors of 1.4 on two further seeds. "Where" says on which part a claim rests.

# %%
full = loaded("clipping_not_warm_up")
rows = []
for kind in ("descent", "momentum"):
    for name in names[1:]:
        first, low = (readers.ratio(full, f"{kind}, {name}", f"{kind}, none", which)
                      for which in ("largest", "safe"))
        ends = [(min(each["each_seed"]), max(each["each_seed"])) for each in (first, low)]
        rows.append((kind, name, *(f"{least:.2g} to {most:.2g}" for least, most in ends)))
table(("", "way", "largest rate that trains", "up to the first gap"), rows,
      "over that of none, the range of eight seeds")

# %%
thresholds = ("clip 0.1", "clip 1", "clip 10", "none")
losses = {f"{o}, {s}": np.array([[np.inf if v is None else v for v in full["own"][
    f"Setting 1, {o}, {s}, {name}"]["loss"]] for name in thresholds]).T
    for o in ("SGD", "Adam") for s in ("decay", "constant")}
show(pictures.draw_thresholds(thresholds, losses),
     "Loaded. Median test loss against the threshold, each at its own best rate, Setting 1. "
     "With decay the median loss of SGD falls more than tenfold from none to 0.1; that of Adam "
     "hardly changes.")
rows = []
for way, values in losses.items():
    rates = [full["own"][f"Setting 1, {way}, {name}"]["rate"] for name in thresholds]
    rows.append((way, *(f"{np.median(column):.2g} at {rate:.2g}"
                        + (f", {lost} lost" if (lost := np.isinf(column).sum()) else "")
                        for column, rate in zip(values.T, rates, strict=True))))
table(("Setting 1", *thresholds), rows, "median test loss at the best rate, eight seeds")
top = [row[-1] for row in full["fixed"]["momentum, clip 1, decay"]["loss"]]
print(f"clip 1 with decay, momentum 0.9, fixed batch, rate 1, where the grid ends: "
      f"{sum(loss is not None and loss < 0.5 for loss in top)} of {len(top)} seeds train")

# %%
paper_and_us([f"clipping_not_warm_up.{name}" for name in (
    "gd.warm_up", "gd.clip", "gd.long", "momentum.clip", "momentum.warm_up", "momentum.safe",
    "momentum.islands", "momentum.safe_clip", "momentum.decay", "gd.length",
    "momentum.length", "gd.sharpness", "momentum.sharpness", "momentum.not_set", "place",
    "fresh.clip", "fresh.none", "fresh.warm_up", "fresh.clip_decay", "fresh.postponed",
    "adam.own", "adam.constant", "adam.at_005", "adam.slow", "threshold.none.1",
    "threshold.none.2", "threshold.own", "threshold.own_constant", "threshold.tight",
    "path.start", "path.lost", "path.linear", "path.clip", "path.early", "path.late")])

# %% [markdown]
# Seven lines do not agree, or in direction only; their rules stand as they were written. None of them is about clipping on the fixed batch.
#
# - *Descent, warm-up of 50 and of 200.* Earlier seeds had gained 1.4 to 1.8; these gain from 0.9 to 5, the one below and the other above the rule. Without momentum a warm-up does help in most seeds; clipping gains 5 to 11.
# - *Fresh batches.* Three of eight live on with a long warm-up at 0.06, where we had expected one at most.
# - *Adam, at one rate and at a constant rate.* We had expected no difference, and warm-up costs about a factor of two. At each one's own best rate, with decay, there is none. It lowers the best loss nowhere, which would have refuted us.
# - *SGD without clipping in Setting 1.* One of eight lives at 0.02. At the best constant rate that the search had found six are lost, so that there is no ratio left to judge, and the line counts as not agreeing, though it says what it was to say.
#
# Momentum's largest rate and one over the curvature at the start have a rank correlation of 0.47 over the seeds: below the 5 % point, but eight seeds are too few to call it zero.
#
# With decay every seed trains with clipping up to the end of the grid, so that the factor there is a lower bound. And what clipping is worth at each one's own best rate is large for SGD, the more the tighter, if the rate decays; for Adam it is nothing that can be seen here.
#
# **What is still open.** *The gaps.* Why a rate trains while smaller ones are lost, nobody here can say; a run is lost by a single step, and no law for it is given. *The longest step.* What makes it 3 or 4 with momentum, in every seed, is not derived. *The long warm-up* is lost at rates that train at once from $\eta t = 1$. It arrives with a full buffer, and elsewhere; the two were not told apart. *Later.* On a fixed batch clipping hardly acts after the first hundred steps, while the sharpness stays near the edge and the force of lesson 26 holds it; whether it could be switched off there, and on fresh batches, was not tried. And all of it is one model, three layers, at $d = 5$.

# %% [markdown]
# ## 8. Exercises
#
# Six cards. Write your answer in the cell under a card, run it, then the check.

# %% [markdown]
# ### Exercise 28.1 (derive, level 2, 10 min)
#
# Write `growth(rate, curvature, momentum)`: the factor by which a step multiplies $x$ in the long run, the longer root of (28.2). *Done:* the check passes, on both sides of the edge.
#
# <details><summary>Hint 1</summary>When are the roots a complex pair, and how long are they then?</details>
# <details><summary>Hint 2</summary>The product of the roots can be read off the equation.</details>

# %%
def growth(rate, curvature, momentum):
    ### BEGIN SOLUTION
    trace = 1 + momentum - rate * curvature
    square = trace**2 - 4 * momentum
    return np.sqrt(momentum) if square < 0 else (abs(trace) + np.sqrt(square)) / 2
    ### END SOLUTION


# %%
check("28.1", growth)

# %% [markdown]
# ### Exercise 28.2 (derive, level 2, 5 min)
#
# Write `crossing(rate, curvature, warm_up)`: the first step, counted from 1, at which descent with a warm-up, without momentum, is above the edge of a quadratic loss. *Done:* the check passes.
#
# <details><summary>Hint 1</summary>Which rate is the edge of this curvature?</details>

# %%
def crossing(rate, curvature, warm_up):
    ### BEGIN SOLUTION
    return np.floor(2 * warm_up / (rate * curvature)) + 1
    ### END SOLUTION


# %%
check("28.2", crossing)

# %% [markdown]
# ### Exercise 28.3 (code, level 3, 10 min)
#
# Write `step(x, m, g, t, rate, momentum, warm_up, c)`: one update with clipping, momentum and warm-up, after `t` updates. Return `x, m`. *Done:* the check passes.
#
# <details><summary>Hint 1</summary>In which order do gradient, clipping, buffer and rate come in section 4?</details>
# <details><summary>Hint 2</summary>t updates lie behind; which number has this one?</details>

# %%
def step(x, m, g, t, rate, momentum, warm_up, c):
    ### BEGIN SOLUTION
    g = g * min(1.0, c / np.sqrt((g * g).sum()))
    m = momentum * m + g
    return x - rate * min(1.0, (t + 1) / warm_up) * m, m
    ### END SOLUTION


# %%
check("28.3", step)

# %% [markdown]
# ### Exercise 28.4 (find the bug, level 2, 10 min)
#
# With this clipping the first steps go well, and then the loss never comes to rest. Find the mistake, and write the repaired function. *Done:* right for long and for short gradients.
#
# <details><summary>Hint 1</summary>What does it do near a minimum?</details>

# %%
def buggy_clip(g, c):
    return g * c / np.sqrt((g * g).sum())


# %%
def clipped(g, c):
    ### BEGIN SOLUTION
    return g * min(1.0, c / np.sqrt((g * g).sum()))
    ### END SOLUTION


# %%
check("28.4", clipped)

# %% [markdown]
# ### Exercise 28.5 (derive, level 3, 10 min)
#
# Write `trapped(rate, curvature, c)`: the distance from the minimum within which clipped descent on a quadratic loss ends, above the edge. *Done:* the check passes.
#
# <details><summary>Hint 1</summary>From where does the inner map of (28.6) lead farthest out?</details>
# <details><summary>Hint 2</summary>And how far does the outer one lead, from just outside?</details>
#
# <!-- ### BEGIN SOLUTION -->
# <details><summary>Solution</summary>From |x| = c / lambda to (eta lambda - 1) c / lambda, over the minimum; the outer map leads from just outside to the same distance, and from farther out it leads in.</details>
# <!-- ### END SOLUTION -->

# %%
def trapped(rate, curvature, c):
    ### BEGIN SOLUTION
    return rate * c - c / curvature
    ### END SOLUTION


# %%
check("28.5", trapped)

# %% [markdown]
# ### Exercise 28.6 (experiment, level 3, 10 min)
#
# How long does clipping act? Seed 20, 256 prompts, descent without momentum at rate 0.05, clipped at 1: after how many steps is the gradient shorter than 1 for the first time? *Done:* one number, to 3 %.
#
# <details><summary>Hint 1</summary>fixed.surface_of(20, 256), fixed.start_of(20), and fixed.descend with fixed.Way("descent", threshold=1.0).</details>
# <details><summary>Hint 2</summary>It yields the gradient before it is clipped.</details>

# %%
def steps_until_short(seed, rate, c):
    ### BEGIN SOLUTION
    way = fixed.Way("descent", threshold=c)
    for t, _, _, grad in fixed.descend(fixed.surface_of(seed, 256), fixed.start_of(seed), way,
                                       rate, 500):
        if global_norm(grad) < 1:
            return t
    ### END SOLUTION


# %%
### BEGIN SOLUTION
acts = steps_until_short(20, 0.05, 1.0)
### END SOLUTION
check("28.6", acts)

# %% [markdown]
# ## 9. Exit ticket
#
# Write the letters in quotes.
#
# **t1.** On a quadratic loss a rate is twice the edge. What does a warm-up of 200 steps change?
#
# - (a) the run trains, since the curvature has fallen by then
# - (b) the run trains, since the first steps were small
# - (c) the same end comes later
# - (d) nothing at all
#
# **t2.** Why does a run with clipping stand rates that kill it without?
#
# - (a) it cannot take the long step at the start that leads out to where nothing comes back, and later its rate is whole
# - (b) it trains with a smaller rate
# - (c) the sharpness at the start is above the edge, and clipping lowers the rate below it
# - (d) it turns the gradient into a better direction
#
# **t3.** A run with warm-up is lost at step 160, without at step 9. What follows?
#
# - (a) that warm-up raises the largest rate that trains
# - (b) that a longer warm-up will train
# - (c) that the start was not dangerous
# - (d) nothing about whether a larger rate trains

# %%
### BEGIN SOLUTION
t1 = "c"
t2 = "a"
t3 = "d"
### END SOLUTION
check("28.t1", t1)
check("28.t2", t2)
check("28.t3", t3)

# %% [markdown]
# **Further reading**
#
# - Zhang, He, Sra and Jadbabaie, *Why Gradient Clipping Accelerates Training*, arXiv 1905.11881. Lesson 11 has its smoothness.
# - Kalra and Barkeshli, *Why Warmup the Learning Rate?*, arXiv 2406.09405. Warm-up that lowers the sharpness so that larger rates pass: half of it is found here.
# - Cohen, Kaur, Li, Kolter and Talwalkar, *Gradient Descent on Neural Networks Typically Occurs at the Edge of Stability*, arXiv 2103.00065.
