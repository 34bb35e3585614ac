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
# # Lesson 30. Why depth favours Adam
#
# **Claim.** As the paper trains them, but with a rate that falls to 0, SGD's loss is 1, 6, 47 and 670 times Adam's at 2, 3, 4 and 6 layers. A tight clip and a rate for each layer bring SGD to that Adam or past it; give Adam the same two, and it is ahead again, 24 times at six layers: the growth with depth is not removed.
#
# | read | code | run | level | needs | seed |
# |---|---|---|---|---|---|
# | 35 min | 60 min | 1 min | 4 of 5 | 06, 07, 11, 13 | 30 |
#
# **Misconception.** Whoever has lifted SGD to Adam's loss by some trick has explained Adam's lead.
#
# **Afterwards you can say.** Each layer hands on smaller covariates, so the next one needs a larger $Q$ and gets a smaller gradient: one rate for all layers is too small for the last by the square of a scale with SGD, and by that scale with Adam. (t2)
#
# <details><summary>Symbols of this lesson</summary>
#
# | symbol | meaning |
# |---|---|
# | $\eta$ | learning rate, `lr` in code |
# | $\mu$ | momentum of SGD |
# | $\Delta$ (here) | what a step changes |
# | $S_l$, $s_l$ (here) | second moment of the covariates that layer $l$ is handed, and its scale: the mean over prompts of $\mathrm{tr}\, S_l / d$ |
# | $T_l$ (here) | what layer $l$ multiplies covariates by |
# | $p_l$, $q_l$ (here) | numbers of a layer with $P_l' = p_l I$ and $Q_l' = -q_l I$ |
# | $\rho_l$ (here) | what the labels are multiplied by, before layer $l$ |
# | $u_l$ (here) | the share that layer $l$ takes off, $q_l s_l$ |
# | $b$ (here) | base of the layers' rates |
# | $\beta_2$ (here) | weight of the old mean of squares in Adam |
# | $R$, $k$ (here) | size of a spike over the usual gradient, and the steps after it |
# | $\tau$ (here) | threshold of the clip |
# | $g$ (here) | the gradient |
#
# </details>
#
# Lesson 13 ended with an open question: why does Adam's lead grow with depth? You will derive from one scalar why layers need rates of their own, predict those rates without a fit, and then do what the tempting experiment leaves out: give Adam the same.

# %%
import numpy as np

import linattn_np as la
from linattn_np.experiments.studies.why_depth_favours_adam import layers as study
from linattn_np.experiments.studies.why_depth_favours_adam import readings, training
from linattn_np.experiments.studies.why_depth_favours_adam.methods import METHODS
from linattn_np.experiments.studies.why_depth_favours_adam.size import PAIRS
from linattn_np.optimizers import SGD, Adam, global_norm
from linattn_np.progress import bar
from linattn_np.teaching import by_profile, check, knob, loaded, moving, paper_and_us, predict
from linattn_np.teaching import reveal, show, symbols, table, versions
from linattn_np.teaching.pictures import lesson_30 as pictures

SEED, task, STEPS = 30, la.RegressionTask(), by_profile(60, 2000)
versions(SEED)
symbols("B L n d P Q dX")

# %% [markdown]
# ## 1. Predict
#
# Fresh batches of 128 prompts, 2000 steps, momentum 0.9, the gradient clipped at 1 as in the paper, the rate falling linearly to 0, each optimizer at a rate that suits its depth. One run each:

# %%
TESTS, RATES = training.test_batches(*by_profile((3, 100), (25, 1000))), {
    "SGD": {2: 0.04, 3: 0.32, 4: 0.16, 6: 0.16}, "Adam": {2: 0.04, 3: 0.04, 4: 0.06, 6: 0.04}}


def last_params(optimizer, L, seed=SEED, clip=1.0, steps=STEPS):
    return la.train(task, optimizer, steps, 128, layers=L, clip=clip, seed=seed,
                    schedule="linear", progress=False).params


def test_loss(params):
    """The median over 25 fresh batches: rare prompts do not move it."""
    return float(np.median([la.loss(params, batch.Z, batch.y) for batch in TESTS]))


ends = {(name, L): last_params(SGD(rate, 0.9) if name == "SGD" else Adam(rate, 0.9, 0.9), L)
        for name, rates in RATES.items() for L, rate in rates.items()}
show(pictures.draw_by_depth({name: {L: test_loss(ends[name, L]) for L in rates}
                             for name, rates in RATES.items()}),
     "Test loss against depth on a logarithmic axis: both fall, Adam's ever faster; at two "
     "layers they are equal, at six two to three powers of ten apart.")

# %% [markdown]
# Two remedies are known. A *tight clip*, a threshold of 0.001 in place of 1; and *layer rates*, larger ones for later layers. Two guesses for six layers: if SGD **and** Adam get both, what is the loss of SGD over that of Adam? And as the paper trains them, how many times fewer steps does Adam need for the loss that SGD has after 2000?

# %%
### BEGIN SOLUTION
both_guess = 1
steps_guess = 500
### END SOLUTION
predict("30.p1", "SGD over Adam, six layers, both remedies for both", both_guess)
predict("30.p2", "How many times fewer steps Adam needs for SGD's loss, L = 6", steps_guess)

# %% [markdown]
# ## 2. Derive
#
# **What a layer hands on.** The covariates of a prompt are the rows of $X$, and all that a layer's matrix can see of them is their second moment $S = X^\top X / n$. With $P = \mathrm{diag}(P', 1)$ and $Q = \mathrm{diag}(Q', 0)$ a layer multiplies every covariate by one matrix, so
#
# $$ x \leftarrow T_l\, x, \qquad T_l = I + P_l'\, S_l\, Q_l' \tag{30.1} $$
# $$ S_{l+1} = T_l\, S_l\, T_l^\top \tag{30.2} $$
#
# *In scalars*, $P_l' = p_l I$ and $Q_l' = -q_l I$, this and what becomes of the labels is (13.3) in other letters:
#
# $$ s_{l+1} = s_l\, (1 - p_l q_l s_l)^2 \tag{30.3} $$
# $$ \rho_{l+1} = \rho_l\, (1 - q_l s_l) \tag{30.4} $$
#
# **The next layer needs a larger $Q$.** The loss sees $q_l$ only through
#
# $$ u_l = q_l s_l , \tag{30.5} $$
#
# the share that the layer takes off, which is 1 if it takes all. So a good $q_l$ is about $1 / s_l$: the smaller the covariates, the larger. Below are two trained models of six layers. Turn the layer:

# %%
some = task.sample(by_profile(40, 300), np.random.default_rng(SEED))
seen = {}
for name in RATES:
    params = ends[name, 6]
    rows = study.by_layer(params, training.test_batches(by_profile(3, 25), 128))
    values = np.linalg.eigvalsh(study.handed_on(params, some.Z)).reshape(6, -1)
    seen[name] = values, rows, rows[0] * rows[1] / np.sqrt(5)
moving(lambda optimizer, layer: pictures.draw_layers(seen, optimizer, layer),
       "Left the share of the eigenvalues of S below each value before one layer, beside that "
       "before the first. Right, by layer: their scale, the length of Q' and of the gradient.",
       optimizer=knob(("SGD", "Adam"), "Adam", "optimizer"),
       layer=knob((0, 1, 2, 3, 4, 5), 5, "layer"))

# %%
rows = []
for (name, L), params in ends.items():
    if L > 2:
        found = study.by_layer(params, training.test_batches(by_profile(3, 25), 128))
        texts = [" ".join(f"{x:.2g}" for x in row) for row in found]
        whole = " ".join(f"{x:.2f}" for x in found[0] * found[1] / np.sqrt(5))
        rows.append((name, L, *texts, whole))
table(("optimizer", "L", "scale s", "length of Q'", "gradient by Q'", "s times Q' over root d"),
      rows)

# %% [markdown]
# The last column is of order 1 in the late layers, under both, as (30.5) says. What differs are the scales. Adam's fall from layer to layer, its eigenvalues draw together, and the last $Q'$ is long. SGD's hardly fall at six layers, and its $Q'$ stay short: it has ended in a model whose layers all see nearly the same covariates, and that model is worse.
#
# **And gets a smaller gradient.** By the chain rule through (30.5), with all later layers as they are,
#
# $$ \frac{\partial f}{\partial q_l} = s_l\, \frac{\partial f}{\partial u_l} \tag{30.6} $$
#
# What counts is how far a step moves $u_l$. SGD is short of $s_l$ twice, once in the gradient and once on the way from $q_l$ to $u_l$; Adam's step has the size $\eta$ whatever the gradient is, so it is short of $s_l$ once:
#
# $$ \text{SGD:} \quad \Delta u_l = s_l\, \Delta q_l = -\eta\, s_l^2\, \frac{\partial f}{\partial u_l} \tag{30.7} $$
# $$ \text{Adam:} \quad | \Delta u_l | \approx \eta\, s_l \tag{30.8} $$
#
# (At three layers the gradients in the table fall with the layer; at four and six the last is the smallest, without such an order, since $\partial f / \partial u_l$ differs as well.) So one rate for all is uneven for both, and for SGD by the square. The same progress everywhere asks for rates that rise as $s_l^{-2}$ with SGD and as $s_l^{-1}$ with Adam: $b^l$ and $b^{l/2}$, with one base for both, if the $s_l$ fall evenly,
#
# $$ b = \Big( \frac{s_0}{s_{L-1}} \Big)^{2 / (L - 1)} \tag{30.9} $$
#
# Nothing is fitted: $b$ is read off a trained model. It will be held against a search.

# %%
for L in (3, 4, 6):
    s = study.by_layer(ends["Adam", L], TESTS[:3])[0]
    print(f"L = {L}: the covariates say a base of {study.predicted_base(s):.1f}")

# %% [markdown]
# **What a clip does to each.** The rate of SGD is bounded by its longest steps, and the usual gradient is far shorter. A threshold $\tau$ caps the longest: with momentum a gradient $g$ adds up to $\eta\, g / (1 - \mu)$, so of the steps
#
# $$ \frac{\text{usual}}{\text{longest}} \approx \frac{\text{median of} \min(\|g\|, \tau)}{\min(\max \|g\|, \tau)}, \tag{30.10} $$
#
# which is 1 once $\tau$ is below nearly all gradients. Adam's steps are even without it. One guess why a clip should help it, too: a single gradient $R$ times the usual one enters its mean of squares as $(1 - \beta_2) R^2$ and is forgotten at the rate $\beta_2$. It is down to the usual square after
#
# $$ k = \frac{\ln \big( (1 - \beta_2) R^2 \big)}{\ln (1 / \beta_2)} \text{ steps,} \tag{30.11} $$
#
# and until then Adam hardly moves:

# %%
gradient, optimizer = np.ones(700), Adam(1.0, 0.9, 0.9)
gradient[300], x, walked = 1e4, np.zeros(1), []
state = optimizer.init(x)
for g in gradient:
    new, state = optimizer.update(x, np.array([g]), state)
    walked.append((x - new).item())
    x = new
show(pictures.draw_spike(np.array(walked)[250:550], gradient[250:550]),
     "A gradient of 1 with one spike of 10,000, and Adam's step: it falls to a "
     "fiftieth and takes some 150 steps to come back.")
k = np.log(0.1 * 1e8) / np.log(1 / 0.9)
print(f"(30.11): {k:.0f} steps; Adam's step is below 1/sqrt(2) for "
      f"{(np.array(walked)[300:] < 2**-0.5).sum()} steps")

# %% [markdown]
# Is that what happens in training? Section 6 asks.
#
# **A gradient to audit.** How does a layer's first weight change the scale that it hands on? For $f = \mathrm{tr}\, S_1$, with $S$ symmetric, line by line from (30.2) and (30.1):
#
# $$ dT = 2\, T S, \qquad dP' = dT\, (S Q')^\top, \qquad dQ' = (P' S)^\top dT \tag{30.12} $$
#
# > **Where people slip**
# > - *"The last layer's gradient is small, so it has converged."* It is small because its covariates are.
# > - *The same powers for both.* SGD is short of $s_l$ twice, Adam once.
# > - *Layer rates by a factor on Adam's gradient.* Adam divides it out again: the factor belongs to the step.
# > - *SGD with two remedies beside Adam with none.* That compares three things at once.

# %% [markdown]
# ## 3. On paper
#
# Two examples with covariates 1 and 3: $s_0 = (1 + 9)/2 = 5$. With $p = 2$ and $q = \frac{1}{20}$: $T = 1 - 2 \cdot \frac{1}{20} \cdot 5 = \frac{1}{2}$, so the covariates become $\frac{1}{2}$ and $\frac{3}{2}$, and $s_1 = \frac{5}{4}$. The label of the first layer is multiplied by $1 - \frac{5}{20} = \frac{3}{4}$. The next layer needs a $q$ four times as large; its rate must be 16 times as large for SGD, and 4 times for Adam; $b = 16$.

# %%
Z = np.array([[[1.0, 2.0], [3.0, 6.0], [1.0, 0.0]]])  # y = 2 x
params = np.array([2.0, -1 / 20, 0, 0]).reshape(2, 1, 2, 1, 1)
handed = study.handed_on(params, Z).ravel()
print("s:", handed.tolist(), " b:", study.predicted_base(handed))

# %% [markdown]
# ## 4. Code it
#
# Loops: one prompt after the other, one covariate after the other.

# %%
def covariates_by_loops(params, Z):
    """tr S_l / d before each layer, the mean over prompts, from (30.1) alone."""
    found = np.zeros(len(params))
    for prompt in Z:
        xs = [token[:-1].copy() for token in prompt[:-1]]
        for l, (P, Q) in enumerate(params[:, 0]):
            S = sum(np.outer(x, x) for x in xs) / len(xs)
            found[l] += np.trace(S) / len(P) / len(Z)
            xs = [x + P @ S @ Q @ x for x in xs]
    return found


# %%
def scales(params, Z):
    """The same from (30.2), for all prompts at once."""
    X = Z[:, :-1, :-1]
    S, found = X.mT @ X / X.shape[1], []
    for P, Q in params[:, 0]:
        found.append(np.trace(S, axis1=1, axis2=2).mean() / len(P))
        T = np.eye(len(P)) + P @ S @ Q
        S = T @ S @ T.mT
    return np.array(found)


few, params = some.Z[:20], ends["Adam", 4]
state, library = la.gram.compress(few), []
for P, Q in la.transformer.to_full(params, 6).swapaxes(1, 2):
    library.append(np.trace(state.G[:, :5, :5], axis1=1, axis2=2).mean() / 5 / 20)
    state, _ = la.gram.forward(state, P, Q)
ours = scales(params, few)
table(("compared", "largest difference"), [
    ("loops and matrices", f"{np.abs(covariates_by_loops(params, few) - ours).max():.0e}"),
    ("matrices and the library's state", f"{np.abs(library - ours).max():.0e}")])

# %% [markdown]
# ## 5. Audit it
#
# (30.12) against complex steps; then two planted mistakes, a lost transposition and a lost 2.

# %%
rng = np.random.default_rng(SEED)
X = rng.standard_normal((7, 3))
S = X.T @ X / 7
theta = {"P": rng.standard_normal((3, 3)), "Q": rng.standard_normal((3, 3))}


def forward(theta):
    T = np.eye(3) + theta["P"] @ S @ theta["Q"]
    return np.trace(T @ S @ T.T)


def backward(theta, dout, two=2.0, turn=np.transpose):
    T = np.eye(3) + theta["P"] @ S @ theta["Q"]
    dT = two * dout * T @ S
    return {"P": dT @ (S @ theta["Q"]).T, "Q": turn(theta["P"] @ S) @ dT}


# %%
rows = []
for name, planted in (("by hand", {}), ("not transposed", {"turn": np.asarray}),
                      ("2 lost", {"two": 1.0})):
    report = la.audit.audit_gradient(
        forward, lambda t, d, planted=planted: backward(t, d, **planted), theta)
    wrong = sorted({row.quantity for row in report.rows if row.verdict == "WRONG"})
    rows.append((name, report.verdict, ", ".join(wrong)))
table(("what", "verdict", "wrong"), rows)

# %% [markdown]
# And (30.6) itself: a layer whose covariates are $a$ times as small and whose $Q'$ is $1/a^2$ times as large is the same layer, with a gradient by $Q'$ that is $a^2$ times as large.

# %%
a, (Z, y) = 0.5, task.sample(11, rng)[:2]
one = la.init_params(rng, 1, std=0.3)
other = one * np.array([1, a**-2])[:, None, None]
(loss, grad), (same, less) = (la.loss_and_grad(one, Z, y),
                              la.loss_and_grad(other, Z * np.array([a] * 5 + [1]), y))
share = less[:, :, 1] / grad[:, :, 1]
print(f"losses differ by {abs(same / loss - 1):.0e}; gradient by Q' over the first: "
      f"{share.min():.6f} to {share.max():.6f}")

# %% [markdown]
# ## 6. Experiment
#
# One question: how much of the growth do the two remedies explain? One knob: which of them *both* optimizers get. The rules, before the run, on seeds that no search has seen: SGD over Adam is below 1.1, above 5, above 30 and above 250 at 2, 3, 4 and 6 layers; SGD with both remedies is below 1.3 of the *paper's* Adam. That is the tempting half. The control is the other: if the remedies were the reason, the ratio would be 1 at every depth where both get them.
#
# Rates and bases are those that the full run found for each method and depth, on two other seeds.

# %%
full_run = loaded("why_depth_favours_adam")
settings = full_run["runs"]["linear"]
depths, seeds = by_profile((2, 3), (2, 3, 4, 6)), range(30, by_profile(31, 33))


def run_of(L, method, seed, **more):
    found = settings[str(L)][method]
    base = found["base"] or 1.0
    size = {"steps": STEPS, "batch": by_profile(16, 128),
            "tests": by_profile((3, 100), (25, 1000))}
    return training.Run(L, method, found["rate"], base, seed, **size | more)


def losses_of(L, method, **more):
    runs = [run_of(L, method, seed, **more) for seed in seeds]
    return np.array([training.trained(run)["loss"] for run in runs])


losses = {}
cells = [(L, method) for L in depths for method in PAIRS if method in settings[str(L)]]
with bar(len(cells), "methods and depths") as shown:
    for L, method in cells:
        losses[L, method] = losses_of(L, method)
        shown.update()

# %%
over = readings.over
REMEDIES = ("the paper's clip", "tight clip", "layer rates", "both")
ratios = {}
for k, remedy in enumerate(REMEDIES):
    sgd, adam = PAIRS[2 * k : 2 * k + 2]
    ratios[remedy] = {L: over(losses[L, sgd], losses[L, adam])
                    for L in depths if (L, sgd) in losses}


def middle(row):
    """The median of what is finite."""
    return float(np.median(row[np.isfinite(row)])) if np.isfinite(row).any() else np.nan


def words(row):
    return f"{middle(row):.3g}" if np.isfinite(row).any() else "lost"


show(pictures.draw_ratios(ratios, "loss of SGD over Adam's"),
     "SGD over Adam against depth: with the paper's clip and with layer rates it rises to "
     "hundreds at six layers; with a tight clip, or both, it is ten to twenty-five from four "
     "layers on.")

# %%
table(("both get", *(f"L = {L}" for L in depths)),
      [(remedy, *(words(row[L]) if L in row else "" for L in depths))
       for remedy, row in ratios.items()],
      "SGD over Adam, medians of the seeds")
tempting = {L: over(losses[L, "SGD, both"], losses[L, "Adam"]) for L in depths if L > 2}
print("SGD with both over Adam with neither:",
      ", ".join(f"{words(row)} at L = {L}" for L, row in tempting.items()))
lost = sum(int((~np.isfinite(row)).sum()) for row in losses.values())
print(f"{lost} of {sum(map(len, losses.values()))} runs lost")
reveal("30.p1", middle(ratios["both"][depths[-1]]))

# %% [markdown]
# The tempting half comes out: SGD with both remedies is level with the paper's Adam at three layers, and below it at four and six. Whoever stops here writes that a clip and layer rates explain Adam. The control says otherwise. Where both get the same, the ratio is 1 only at two layers, and at three with layer rates, where both stand on the model's floor; at four and six Adam is ahead in every row. A tight clip ends the steep growth from four layers to six, layer rates alone do not. The remedies help *both*:

# %%
rows = []
for L in depths[1:]:
    for kind in ("SGD", "Adam"):
        plain, rest = losses[L, kind], [losses[L, f"{kind}, {name}"] for name in REMEDIES[1:]]
        rows.append((L, kind, f"{np.median(plain):.2g}",
                     *(words(over(plain, row)) for row in rest)))
gains = [f"gain: {name}" for name in REMEDIES[1:]]
table(("L", "optimizer", "its loss with the paper's clip", *gains), rows)

# %% [markdown]
# At six layers the clip gains SGD hundreds and Adam more than ten, and both together gain Adam a hundred: it is no yardstick that stands still.
#
# **Budgets.** A ratio of losses is not a speed. Loss against the number of steps $T$, the rate falling to 0 at each $T$:

# %%
SHARES = {"SGD": (1 / 8, 1 / 4, 1 / 2), "Adam": (1 / 16, 1 / 8, 1 / 4, 1 / 2)}
curves, needed = {}, {}
for L in depths[1::2]:
    curves[L] = {}
    for name, shares in SHARES.items():
        T = [round(share * STEPS) for share in shares]
        at = np.array([losses_of(L, name, steps=steps) for steps in T] + [losses[L, name]])
        curves[L][name] = [*T, STEPS], at
    goal = np.median(losses[L, "SGD"])
    T, at = curves[L]["Adam"][0], np.median(curves[L]["Adam"][1], axis=1)
    needed[L] = float(np.exp(np.interp(-np.log(goal), -np.log(at), np.log(T))))
show(pictures.draw_budgets(curves, needed),
     "Loss against steps at three and at six layers: SGD falls along a gentle slope, Adam "
     "along a steep one; a bar shows how much earlier Adam is at SGD's last loss.")
slope = lambda T, at: np.polyfit(np.log(T), np.log(np.median(at, axis=1)), 1)[0]
for L, each in curves.items():
    T, at = each["Adam"]
    print(f"L = {L}: exponent {slope(*each['SGD']):.2f} for SGD, {slope(T[:-1], at[:-1]):.2f} "
          f"for Adam up to T = {T[-2]}; Adam needs {needed[L]:.0f} of {STEPS} steps, "
          f"{STEPS / needed[L]:.0f} times fewer")
reveal("30.p2", STEPS / needed[max(needed)])

# %% [markdown]
# Adam needs a few times fewer steps at three layers and a dozen times fewer at six, while the ratio of the losses goes from 7 to hundreds. The deeper the model, the more steeply Adam's loss falls with $T$, and a lead in steps becomes an exploding ratio of losses.
#
# **Controls**, at the largest depth: the layer rates the wrong way round; one optimizer for the first 300 steps and the other after; a start at the step lengths of Chebyshev's polynomial, in case SGD only begins badly.

# %%
L = depths[-1]
sgd, adam = (settings[str(L)][name]["rate"] for name in ("SGD", "Adam"))
early = round(0.15 * STEPS)
wrong = losses_of(L, "SGD, tight clip, rates reversed")
switched = {"Adam, then SGD": losses_of(L, "SGD", before=("Adam", adam, early)),
            "SGD, then Adam": losses_of(L, "Adam", before=("SGD", sgd, early))}
chebyshev = {name: losses_of(L, name, start="Chebyshev") for name in ("SGD", "Adam")}
rows = [("rates the wrong way round, SGD with a tight clip", wrong, "SGD, tight clip")]
rows += [(name, row, name.split()[-1]) for name, row in switched.items()]
rows += [(f"{name} from a Chebyshev start", row, name) for name, row in chebyshev.items()]
table(("control", "loss", "over the usual run of", "ratio"),
      [(name, words(row), usual, words(over(row, losses[L, usual])))
       for name, row, usual in rows])

# %% [markdown]
# The wrong way round costs SGD a factor of some 40: it is the order of the rates that helps, not that they differ. After 300 steps of Adam SGD still ends more than a hundred times above Adam; after 300 steps of SGD Adam ends where it always does. So SGD is slow late, not badly begun. And a Chebyshev start moves neither by more than a factor of two.
#
# **A guess refuted.** Does Adam stand still after spikes, (30.11), and does the tight clip help it by ending that? Then its usual step must become much longer under the clip.

# %%
rows = []
for L in depths[1:]:
    for name in ("SGD", "SGD, tight clip", "Adam", "Adam, tight clip"):
        rate = settings[str(L)][name]["rate"]
        how, tight = METHODS[name], METHODS[name].clip(L)
        history = la.train(task, how.make(L, rate, 1.0), STEPS, 128, layers=L, clip=tight,
                           seed=30, schedule="linear", record_every=1, progress=False)
        inner = np.arange(STEPS // 5, 4 * STEPS // 5)
        length = np.array([global_norm(history.updates[t]) / (1 - t / STEPS) for t in inner])
        g, usual = history.grad_norm[inner], np.median(length)
        rows.append((L, name, f"{g.max() / np.median(g):.1g}", f"{(g > tight).mean():.1%}",
                     f"{usual:.3f}", f"{usual / rate:.2g}",
                     f"{np.quantile(length, 0.999) / usual:.1f}",
                     f"{(length < usual / 3).mean():.1%}"))
table(("L", "method", "largest gradient over median", "clipped", "usual step",
       "over the rate", "longest (99.9 %) over usual", "below a third of usual"), rows)

# %% [markdown]
# For SGD it is (30.10) that one sees: the longest steps come within a factor of two of the usual one. For Adam the guess is refuted. Not one of its steps is below a third of the usual, whichever the clip, and in units of the rate its usual step is hardly longer under the tight clip. (30.11) is right, and not what happens here; why not was not looked into.

# %% [markdown]
# ## 7. The paper and us
#
# There is no paper here: the study is our own, on eight seeds that no search has seen, each method at its own best rate (and base, where there is one) of a search by factors of 1.4 and 2. Eight layers are shown and not graded: their rates were searched on one seed, and runs are lost.

# %%
def of_the_full_run(depths, schedule):
    """SGD over Adam where both get the same, {remedy: {depth: (seeds,)}}."""
    found = {}
    for k, remedy in enumerate(REMEDIES):
        sgd, adam = PAIRS[2 * k : 2 * k + 2]
        found[remedy] = {
            L: over(*(readings.losses(full_run, L, name, schedule) for name in (sgd, adam)))
            for L in depths if sgd in full_run["runs"][schedule][str(L)]}
    return found


for schedule, at in (("linear", (2, 3, 4, 6, 8)), ("constant", (3, 4, 6))):
    every = of_the_full_run(at, schedule)
    rows = [(remedy, *(words(row[L]) if L in row else "" for L in at))
            for remedy, row in every.items() if row]
    table(("both get", *(f"L = {L}" for L in at)), rows,
          f"SGD over Adam, {schedule} rate, medians of the seeds of which both runs ended")
    if schedule == "linear":
        show(pictures.draw_ratios(every, "loss of SGD over Adam's"),
             "Loaded, eight seeds, up to eight layers: SGD over Adam rises by powers of ten "
             "with the paper's clip and with layer rates; else it is ten to sixty "
             "from four on.")

# %%
rows = []
for L in (3, 4, 6):
    said = [study.predicted_base(row) for row in readings.by_layer(full_run, L, "Adam")[:, 0]]
    rows.append((L, f"{np.median(said):.1f}", *(settings[str(L)][name]["base"] for name in (
        "SGD, layer rates", "SGD, both", "Adam, layer rates", "Adam, both"))))
table(("L", "the covariates say", "SGD", "SGD, tight clip", "Adam", "Adam, tight clip"), rows,
      "bases of the layer rates: (30.9), and the best of a search by factors of 2")
for L in (2, 3, 4, 6, 8):
    lost = sum(loss is None for found in settings[str(L)].values() for loss in found["loss"])
    print(f"L = {L}: {lost} of {8 * len(settings[str(L)])} runs lost")

# %%
paper_and_us([f"why_depth_favours_adam.{name}" for name in (
    "gap_2", "gap_3", "gap_4", "gap_6", "rescued_3", "rescued_4", "rescued_6", "clip_3",
    "clip_4", "clip_6", "rates_4", "rates_6", "both_3", "both_4", "both_6",
    "clip_helps_4", "clip_helps_6", "rates_help_4", "rates_help_6", "layer_3", "layer_6",
    "one_3", "one_6", "constant_3", "constant_6", "constant_rescued_6", "constant_both_6")])

# %%
paper_and_us([f"why_depth_favours_adam.{name}" for name in (
    "exponent_sgd", "exponent_adam", "exponent_sgd_6", "exponent_adam_6", "speed_3",
    "speed_6", "speed_clip_6", "covariates_3", "covariates_6", "weights_3", "gradients_3",
    "last_q_6", "whole_3", "whole_4", "whole_6", "base_sgd_4", "base_adam_4",
    "base_sgd_6", "base_adam_6", "reversed_4", "reversed_6", "late", "late_sgd", "early",
    "chebyshev_sgd", "chebyshev_adam", "floor")])

# %% [markdown]
# Three lines do not agree as they were written. *Constant rate, both for both*, and this one matters: at six layers SGD's loss is half of Adam's. The lead that is left where both get the same needs the falling rate; at a constant one Adam leads as the paper trains them, and with both remedies no longer. (The bases there are those found with the falling rate.) *Adam's base at four layers*: the search took 16, the covariates say 5; all others are within a factor of 2.5, in a search by factors of 2. *Layer rates for Adam at six layers* gain 9 in the median, not the 15 that was asked for.
#
# **What is still open.** Why Adam, at equal clip and layer rates, is 15 and 24 times ahead at four and six layers, with a rate that falls; and why at six not with one that does not. What in its coordinates does it, when one second moment for each layer is within a factor of 2 of Adam at the paper's clip. Why the tight clip helps Adam, now that (30.11) is not the reason. The threshold 0.001 was chosen by hand and searched for neither. Eight layers rest on rates that were searched on one seed, and lost 14 of 80 runs. And all of this is one head in the paper's sparse form on Gaussian prompts, 2000 steps; lesson 29 has places where its claim about layers breaks, and nothing here was tried there.

# %% [markdown]
# ## 8. Exercises
#
# Six cards. Write your answer in the cell under a card, run it, then the check.

# %% [markdown]
# ### Exercise 30.1 (derive, level 2, 10 min)
#
# Write `handed_on(s, p, q)`: the scales $s_l$ before each of $L$ layers from $s_0$ and the numbers `p`, `q` (L,). *Done:* the check passes.
#
# <details><summary>Hint 1</summary>A covariate is multiplied once, its square twice.</details>
# <details><summary>Hint 2</summary>The last layer's numbers are not needed.</details>

# %%
def handed_on(s, p, q):
    ### BEGIN SOLUTION
    out = [s]
    for p_l, q_l in zip(p[:-1], q[:-1]):
        out.append(out[-1] * (1 - p_l * q_l * out[-1]) ** 2)
    return np.array(out)
    ### END SOLUTION


# %%
check("30.1", handed_on)

# %% [markdown]
# ### Exercise 30.2 (code, level 2, 10 min)
#
# Write `next_moment(S, P, Q)`: (30.2) for `S` (B, d, d) and the blocks `P`, `Q` (d, d). *Done:* the check passes.
#
# <details><summary>Hint 1</summary>T has the skip connection in it.</details>
# <details><summary>Hint 2</summary>A product of matrices, transposed, turns its order round: use T.mT.</details>

# %%
def next_moment(S, P, Q):
    ### BEGIN SOLUTION
    T = np.eye(len(P)) + P @ S @ Q
    return T @ S @ T.mT
    ### END SOLUTION


# %%
check("30.2", next_moment)

# %% [markdown]
# ### Exercise 30.3 (find the bug, level 3, 10 min)
#
# Layer rates for Adam, its first step, with eps 0. It runs, and the rates do nothing. Find the mistake, and write the repaired function. *Done:* each layer's step is its own.
#
# <details><summary>Hint 1</summary>What is left of a factor after the division?</details>
# <details><summary>Hint 2</summary>What should be a times as long: the gradient, or the step?</details>

# %%
def buggy_step(params, grad, lr, factors):
    grad = factors.reshape(-1, 1, 1, 1, 1) * grad
    return params - lr * grad / np.sqrt(grad**2)


# %%
def rated_step(params, grad, lr, factors):
    ### BEGIN SOLUTION
    return params - lr * factors.reshape(-1, 1, 1, 1, 1) * grad / np.sqrt(grad**2)
    ### END SOLUTION


# %%
check("30.3", rated_step)

# %% [markdown]
# ### Exercise 30.4 (derive, level 3, 10 min)
#
# Write `two_rates(s)`: from the scales `s` (L,) the factors of the layers' rates for SGD and for Adam, the last layer's 1. *Done:* the check passes.
#
# <details><summary>Hint 1</summary>How often is each short of s, (30.7) and (30.8)?</details>
# <details><summary>Hint 2</summary>Factor times s to that power is the same for all layers.</details>

# %%
def two_rates(s):
    ### BEGIN SOLUTION
    return (s[-1] / s) ** 2, s[-1] / s
    ### END SOLUTION


# %%
check("30.4", two_rates)

# %% [markdown]
# ### Exercise 30.5 (derive, level 2, 10 min)
#
# Write `recovery(R, beta2)`: the number of steps (30.11). Derive it without looking. *Done:* the check passes.
#
# <details><summary>Hint 1</summary>With what weight does a new square enter v, and what multiplies it at each later step?</details>
# <details><summary>Hint 2</summary>Take the logarithm where it has become 1.</details>
#
# <!-- ### BEGIN SOLUTION -->
# <details><summary>Solution</summary>(1 - β₂) R² β₂ᵏ = 1.</details>
# <!-- ### END SOLUTION -->

# %%
def recovery(R, beta2):
    ### BEGIN SOLUTION
    return np.log((1 - beta2) * R**2) / np.log(1 / beta2)
    ### END SOLUTION


# %%
check("30.5", recovery)

# %% [markdown]
# ### Exercise 30.6 (experiment, level 3, 10 min)
#
# Train four layers with Adam, 2000 steps, rate 0.06, falling to 0. What base do its covariates say? *Done:* one number, to 15 %.
#
# <details><summary>Hint 1</summary>`last_params` of section 1 and `scales` of section 4.</details>
# <details><summary>Hint 2</summary>(30.9): how many gaps are there between four layers?</details>

# %%
def measured_base(seed=7):
    ### BEGIN SOLUTION
    s = scales(last_params(Adam(0.06, 0.9, 0.9), 4, seed=seed, steps=2000), some.Z)
    return (s[0] / s[-1]) ** (2 / 3)
    ### END SOLUTION


# %%
### BEGIN SOLUTION
base = measured_base()
### END SOLUTION
check("30.6", base)

# %% [markdown]
# ## 9. Exit ticket
#
# Write the letters in quotes.
#
# **t1.** A trick lifts SGD to the loss that Adam has without it. What follows?
#
# - (a) the trick is the reason of Adam's lead
# - (b) Adam does the same trick inside
# - (c) nothing about the lead, before Adam has had the trick as well
# - (d) SGD is the better optimizer
#
# **t2.** Why does the last layer need a larger rate than the first?
#
# - (a) it is handed smaller covariates, so it needs a larger $Q'$ and gets a smaller gradient
# - (b) its gradient is larger
# - (c) its $P'$ is dead
# - (d) SGD makes its covariates small, and Adam does not
#
# **t3.** From three layers to six the ratio of the losses grows from 7 to hundreds. How much faster is Adam?
#
# - (a) as many times as the ratio says
# - (b) some ten times in steps; the losses drift apart because deep models fall steeply with the steps
# - (c) not at all
# - (d) it cannot be known

# %%
### BEGIN SOLUTION
t1 = "c"
t2 = "a"
t3 = "b"
### END SOLUTION
check("30.t1", t1)
check("30.t2", t2)
check("30.t3", t3)

# %% [markdown]
# **Further reading**
#
# - Lesson 29, for what Adam's scales do at three layers, and where that fails.
# - Zhang et al., *Adam-mini: Use Fewer Learning Rates To Gain More*, arXiv 2406.16793. One second moment for a block of weights.
# - Ahn et al., *Linear attention is (maybe) all you need*, arXiv 2310.01082, section 4.2. The growth with depth, as the paper shows it.
