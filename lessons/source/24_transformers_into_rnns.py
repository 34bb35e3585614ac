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
# # Lesson 24. Transformers into recurrent networks
#
# **Claim.** Swap softmax for 32 learned features, finetune for 100 iterations, and a language model is where training from random weights gets after 850 (median of five seeds, 550 at least); it then reads with 1,088 numbers however long the text.
#
# | read | code | run | level | needs | seed |
# |---|---|---|---|---|---|
# | 40 min | 60 min | 1 min | 3 of 5 | 02, 03, 06, 14 | 24 |
#
# **Misconception.** To take the place of softmax, a feature map has to approximate it.
#
# **Afterwards you can say.** The swap replaces only how a match of query and key is scored; finetuning lives on all the rest, which is kept, and relearns the score in about a hundred iterations; and since a score is now a product of features, the past is a sum of fixed size. (t2)
#
# <details><summary>Symbols of this lesson</summary>
#
# | symbol | meaning |
# |---|---|
# | $a_t$ | symbol at place $t$ of a text |
# | $V$ (here) | number of symbols, 16; $v$ is a value |
# | $\pi$ (here) | permutation of a text's symbols |
# | $T$ (here) | length of a text, 64 |
# | $w$ (here) | width of a token, 32 |
# | $C$, $D$ (here) | tables of the symbol and of the one before it |
# | $q_i$, $k_j$, $v_j$, $e$ (here) | query, key and value of a place in one head, and their length, 16 |
# | $p_{ij}$ | weight of place $j$ for reader $i$ |
# | $\phi$ (here) | feature map |
# | $W$, $b$ (here) | weights of the learned map, of each head |
# | $F$, $G$, $k$ (here) | features of queries and of keys, and how many a head has; $k_j$ is a key |
# | $s_{ij}$, $\sigma_i$, $S_i$ (here) | product of features, its sum over $j$, and the denominator |
# | $\epsilon$ | the floor of a denominator, 0.01 |
# | $\mathbf{S}_i$, $z_i$ (here) | state: the sums of $G_j v_j^\top$ and of $G_j$ up to place $i$ |
# | $O$, $Y$ (here) | what the heads take home, and what attention adds to a token |
# | $U$ (here) | matrix that makes logits of the last tokens $N$ |
#
# </details>
#
# You will derive attention through features and its backward pass, train a small language model with softmax, replace the softmax by features that nobody has trained, and see what finetuning repairs, and how fast. Then four controls say which part of the model was worth keeping.

# %%
import numpy as np

import linattn_np as la
from linattn_np.experiments.papers.transformers_into_rnns import claims, figure, language_model
from linattn_np.experiments.papers.transformers_into_rnns import feature_weights, runs, text
from linattn_np.progress import bar
from linattn_np.teaching import by_profile, check, knob, loaded, moving, paper_and_us, predict
from linattn_np.teaching import reveal, show, symbols, table, versions
from linattn_np.teaching.pictures import lesson_24 as pictures

t2r = la.papers.transformers_into_rnns
SEED = 24
versions(SEED)
symbols("B H dX")

# %% [markdown]
# ## 1. Predict
#
# Here is one text. Its symbols are 16 numbers. It has drawn a permutation $\pi$ of them for itself, and goes from $a$ to $\pi(a)$ with probability 0.8, else to any symbol. Nobody is told $\pi$: it must be read off the text. A filled dot is a pair that has been there before.

# %%
one = text.texts(np.random.default_rng(SEED), 9)[6]
show(pictures.draw_text(one),
     "One text of 64 symbols as dots. In the first third most are open, new pairs; later most "
     "are filled: the same pair of symbols came before.")
print(f"perplexity of who knows pi: {text.floor():.2f}; of who counts pairs: "
      f"{text.counting_reader(runs.held_out(runs.Plan())):.2f}; of who knows nothing: 16")

# %% [markdown]
# Perplexity is $\exp$ of the mean cross-entropy; here always over the second half of the texts. After 1000 iterations a softmax Transformer has 3.7. Then its softmax is swapped for 32 features with random weights; all other weights stay. Two guesses: what is the perplexity right after the swap? After 100 iterations of finetuning it has some value; how many does the *same recurrent model from random weights* need for that value?

# %%
### BEGIN SOLUTION
swap_guess = 6
scratch_guess = 300
### END SOLUTION
predict("24.p1", "perplexity right after the swap", swap_guess)
predict("24.p2", "iterations from random weights", scratch_guess)

# %% [markdown]
# ## 2. Derive
#
# **The tokens.** A token holds its symbol, the one before it, and its place, as fixed sines and cosines $s_t$:
#
# $$ X_t = C_{a_t} + D_{a_{t-1}} + s_t \tag{24.1} $$
#
# So a place knows which symbol it *followed*. To guess what follows $a_i$, look for places $j$ whose symbol before is $a_i$, and read their own symbol. That is a match of a query with keys, and one layer can do it.
#
# **Weights.** A query $q_i$ meets the keys $k_j$ of the places up to its own. Softmax, and its replacement:
#
# $$ p_{ij} = \frac{\exp(q_i^\top k_j / \sqrt{e})}{\sum_{l \le i} \exp(q_i^\top k_l / \sqrt{e})} \tag{24.2} $$
#
# $$ s_{ij} = F_i^\top G_j, \quad F_i = \phi(q_i / \sqrt{e}), \quad G_j = \phi(k_j), \qquad p_{ij} = \frac{s_{ij}}{S_i}, \quad S_i = \max(\sigma_i, \epsilon), \quad \sigma_i = \sum_{l \le i} s_{il} \tag{24.3} $$
#
# with $\epsilon = 0.01$. Features must not be negative, so that weights are not. One map is learned, with weights of each head that queries and keys share; the other is fixed, and takes $q_i$ as it is:
#
# $$ \phi(x) = \max(W x + b, 0) \tag{24.4} $$
#
# $$ \phi(x) = x + 1 \ \text{ for } x > 0, \text{ else } e^x \qquad \text{(elu + 1)} \tag{24.5} $$
#
# Around the weights nothing differs:
#
# $$ q, k, v = X W_q^\top,\ X W_k^\top,\ X W_v^\top, \qquad O_i = \sum_{j \le i} p_{ij}\, v_j, \qquad Y = O W_o^\top \tag{24.6} $$
#
# **Why features.** Put (24.3) into (24.6): $O_i = \sum_j (F_i^\top G_j) v_j / S_i$, and $F_i$ does not depend on $j$. Pull it out:
#
# $$ \mathbf{S}_i = \mathbf{S}_{i-1} + G_i v_i^\top, \quad z_i = z_{i-1} + G_i, \qquad O_i = \mathbf{S}_i^\top F_i / \max(z_i^\top F_i, \epsilon) \tag{24.7} $$
#
# The past is a matrix and a vector, $k e + k$ numbers, whatever $i$. With the exponential nothing can be pulled out, and every key and value must be kept: $2 e\, i$ numbers. Here is what each reader takes of each place, once with softmax weights of random queries and keys, once with features: turn how many.

# %%
def random_weights(features, seed=SEED):
    """p (T, T) of one head of an untrained model on the text above."""
    net, params = t2r.model(seed, features)
    _, tape = net.forward(net.split(params), one[None])
    return tape.attended.p[0, 0]


def draw_random(features):
    panels = {"softmax": random_weights("softmax"),
              f"{features} features": random_weights(features)}
    largest = [f"{p[-16:].max():.2f}" for p in panels.values()]
    return pictures.draw_weights(panels, one), f"Largest weight: {largest[0]} and {largest[1]}."


moving(draw_random, "Weights of the last 16 readers, untrained, softmax beside features; rings "
       "mark the places that a reader should look at. Neither knows them.",
       features=knob((2, 4, 8, 32), 32, "features of a head"))

# %% [markdown]
# **Backward.** From $dY$, the gradient of the loss by what attention adds. Undo (24.6) from behind:
#
# $$ dW_o = \sum_{b,t} dY^\top O, \qquad dO = dY\, W_o \tag{24.8} $$
#
# $$ dp_{ij} = dO_i^\top v_j, \qquad dv_j = \sum_{i \ge j} p_{ij}\, dO_i \tag{24.9} $$
#
# Softmax is lesson 14's (14.12), with the mask inside: where $p_{ij} = 0$, nothing comes through.
#
# $$ dA_{ij} = p_{ij} \Big( dp_{ij} - \sum_l dp_{il}\, p_{il} \Big) \tag{24.10} $$
#
# $$ dq_i = \sum_j dA_{ij}\, k_j / \sqrt{e}, \qquad dk_j = \sum_i dA_{ij}\, q_i / \sqrt{e} \tag{24.11} $$
#
# With features $p_{ij} = s_{ij} / S_i$, a quotient. The numerator gives $dp_{ij} / S_i$. The denominator moves all weights of a reader: $dS_i = -\sum_l dp_{il}\, p_{il} / S_i$, and only where the floor does not hold. Since $\sigma_i$ is a sum, each of its terms gets the whole of it:
#
# $$ ds_{ij} = \frac{1}{S_i} \Big( dp_{ij} - [\sigma_i > \epsilon] \sum_l dp_{il}\, p_{il} \Big) \quad (j \le i) \tag{24.12} $$
#
# $$ dF_i = \sum_j ds_{ij}\, G_j, \qquad dG_j = \sum_i ds_{ij}\, F_i \tag{24.13} $$
#
# Compare with (24.10): the bracket is the same, in front stands $1/S_i$ in place of $p_{ij}$. Through the map, with $R = x W^\top + b$ and $x$ either $q / \sqrt{e}$ or $k$:
#
# $$ dR = dF\, [R > 0] \tag{24.14} $$
#
# $$ dW = \sum_{b,t} dR^\top x, \qquad db = \sum_{b,t} dR, \qquad dx = dR\, W \tag{24.15} $$
#
# $W$ and $b$ are used twice, for queries and for keys: two contributions each. For elu + 1,
#
# $$ dx = dF \ \text{ for } x > 0, \text{ else } dF\, \phi(x) . \tag{24.16} $$
#
# <details><summary>Why (24.17) to (24.20): the matrices, the tables, the rest of the model</summary>
#
# $X$ has three uses, as query, key and value:
#
# $$ dW_q = \sum dq^\top X,\ \text{so } dW_k,\ dW_v, \qquad dX = dq\, W_q + dk\, W_k + dv\, W_v \tag{24.17} $$
#
# A row of a table collects the places that read it:
#
# $$ dC_v = \sum_{t:\, a_t = v} dX_t, \qquad dD_v = \sum_{t:\, a_{t-1} = v} dX_t \tag{24.18} $$
#
# The whole model is one block with two residual sums, layer norm before each part, and logits at the end. A sum hands its gradient to both of its terms:
#
# $$ X_1 = X_0 + \mathrm{attention}(\mathrm{norm}(X_0)), \quad X_2 = X_1 + \mathrm{network}(\mathrm{norm}(X_1)), \quad \mathrm{logits} = N U^\top,\ N = \mathrm{norm}(X_2) \tag{24.19} $$
#
# $$ dU = \sum d\mathrm{logits}^\top N, \qquad dN = d\mathrm{logits}\, U \tag{24.20} $$
#
# The network is lesson 15's; layer norm and cross-entropy are in `linattn_np.layers`, derived with lesson 21.
# </details>
#
# > **Where people slip**
# > - *The denominator.* $S_i$ depends on every $s_{il}$; holding it fixed loses the sum in (24.12).
# > - *The floor.* Where it holds, $S_i$ does not move, and the weights do not add up to one.
# > - *One map, two uses.* $dW$ from queries alone is half of it, and the loss still falls.
# > - *Late state.* A place reads itself: first (24.7) left, then right.

# %% [markdown]
# ## 3. On paper
#
# One head of one number, $e = 1$, two features: $\phi(x) = (\max(x + 1, 0), \max(-x, 0))$. Keys 1 and 3, values 10 and 40; the second place has query 0.
#
# $$ G_1 = (2, 0), \quad G_2 = (4, 0), \quad F_2 = (1, 0): \qquad s_{2 \cdot} = (2, 4), \quad S_2 = 6, \quad p_{2 \cdot} = (\tfrac13, \tfrac23), \quad O_2 = 30 . $$
#
# As a state: $\mathbf{S}_1 = (20, 0)$, $z_1 = (2, 0)$; $\mathbf{S}_2 = (180, 0)$, $z_2 = (6, 0)$; $O_2 = 180 / 6 = 30$. Backward, from $dp_{2 \cdot} = (9, 3)$: the mean is $\frac13 9 + \frac23 3 = 5$, so $ds_{2 \cdot} = (9 - 5, 3 - 5) / 6 = (\frac23, -\frac13)$. Were the query $-1$, then $F_2 = (0, 1)$, all products are 0, the floor holds, and $O_2 = 0$.

# %%
q, k = (np.array(x, float).reshape(1, 1, 2, 1) for x in ([2, 0], [1, 3]))
W, b = np.array([[[1.0], [-1.0]]]), np.array([[1.0, 0.0]])
p, tape = feature_weights.forward(q, k, W, b)
dq, dk, dW, db = feature_weights.backward(np.array([[[[0.0, 0], [9, 3]]]]), tape)
print("weights", p[0, 0, 1].round(4), "  O_2 =", p[0, 0, 1] @ [10, 40])
print("dk", dk[0, 0, :, 0].round(4), "  dW", dW[0, :, 0].round(4), "  db", db[0].round(4))

# %% [markdown]
# The gradient of each key is its $ds$ times $F_2 = 1$, through $W = 1$: $\frac23$ and $-\frac13$. And $dW = 1 \cdot \frac23 - 3 \cdot \frac13 = -\frac13$ from the keys, nothing from the query, which is 0.

# %% [markdown]
# ## 4. Code it
#
# Attention through features by loops, as (24.3) and (24.6) say it; by matrices; as a state (24.7); and the library's.

# %%
def by_loops(F, G, v, floor=0.01):
    """(24.3) and (24.6) for one head: F and G (T, k), v (T, e) -> O (T, e)."""
    O = np.zeros_like(v)
    for i in range(len(v)):
        s = [F[i] @ G[j] for j in range(i + 1)]
        for j in range(i + 1):
            O[i] += s[j] / max(sum(s), floor) * v[j]
    return O


def by_matrices(F, G, v, floor=0.01):
    s = np.tril(F @ G.T)  # (T, T)
    return s / np.maximum(s.sum(axis=1, keepdims=True), floor) @ v  # (T, e)


def by_state(F, G, v, floor=0.01):
    S, z, O = np.zeros((F.shape[1], v.shape[1])), np.zeros(F.shape[1]), np.zeros_like(v)
    for i in range(len(v)):
        S, z = S + np.outer(G[i], v[i]), z + G[i]  # (24.7)
        O[i] = F[i] @ S / max(F[i] @ z, floor)
    return O


# %%
rng = np.random.default_rng(SEED)
x_q, x_k, v = rng.standard_normal((3, 11, 5))
W, b = rng.standard_normal((7, 5)), rng.standard_normal(7)
F, G = (np.maximum(x @ W.T + b, 0) for x in (x_q / np.sqrt(5), x_k))  # (24.4)
library = feature_weights.forward(x_q[None, None], x_k[None, None], W[None], b[None])[0]
wanted = by_loops(F, G, v)
rows = [(name, f"{np.abs(got - wanted).max():.0e}") for name, got in
        (("matrices", by_matrices(F, G, v)), ("state", by_state(F, G, v)),
         ("library", library[0, 0] @ v))]
table(("compared with the loops", "largest difference"), rows)
for features in (32, "elu", "softmax"):
    model, tokens = t2r.model(SEED, features), rng.integers(16, size=200)
    gap = t2r.generate_recurrent(model, tokens) - t2r.generate_parallel(model, tokens)
    print(f"whole model, {features}: one by one and at once differ by {np.abs(gap).max():.0e}")

# %% [markdown]
# ## 5. Audit it
#
# The test: for random $W$-shaped directions $u$, $\langle dW, u \rangle = \mathrm{Im}\, f(W + \mathrm{i} h u) / h$, and so for every line. Below is the backward pass (24.12) to (24.15), written again, and the same with the denominator held fixed.

# %%
def forward(theta, mark):
    F = mark("F", relu(theta["q"] @ theta["W"].T))  # (T, k)
    G = mark("G", relu(theta["k"] @ theta["W"].T))  # (T, k)
    s = mark("s", np.tri(len(F)) * (F @ G.T))  # (T, T)
    return s / s.sum(axis=1, keepdims=True)


def relu(R):
    return R * (R.real > 0)


def backward(theta, dp, mark, denominator=1.0):
    F, G = relu(theta["q"] @ theta["W"].T), relu(theta["k"] @ theta["W"].T)
    s = np.tri(len(F)) * (F @ G.T)
    S = s.sum(axis=1, keepdims=True)
    mean = (dp * s).sum(axis=1, keepdims=True) / S
    ds = mark("ds", (dp - denominator * mean) / S)  # (24.12)
    dF = mark("dF", (np.tri(len(F)) * ds) @ G)  # (24.13)
    dG = mark("dG", (np.tri(len(F)) * ds).T @ F)
    dR_q, dR_k = dF * (F > 0), dG * (G > 0)  # (24.14)
    return {"q": dR_q @ theta["W"], "k": dR_k @ theta["W"],
            "W": dR_q.T @ theta["q"] + dR_k.T @ theta["k"]}  # (24.15): two uses


# %%
theta = {"q": rng.standard_normal((6, 3)), "k": rng.standard_normal((6, 3)),
         "W": rng.standard_normal((11, 3))}
fixed = lambda theta, dp, mark: backward(theta, dp, mark, denominator=0.0)
numbers = {"ds": "24.12", "dF": "24.13", "dG": "24.13"}
rows = []
for name, function in (("the derivation", backward), ("denominator held fixed", fixed)):
    report = la.audit.audit_gradient(forward, function, theta, equations=numbers)
    wrong = [f"{row.quantity} ({row.equation})" for row in report.rows
             if row.verdict == "WRONG" and row.check == "probe"]
    rows.append((name, report.verdict, ", ".join(wrong[:1]) or "none"))
whole = language_model.audited(5)
lines = [row for row in whole.rows if row.check == "probe"]
rows.append((f"the library's whole model, {len(lines)} lines", whole.verdict, "none"))
table(("backward pass", "verdict", "first wrong line"), rows)

# %% [markdown]
# The whole backward pass, from the loss to both tables, is judged line by line; that the library agrees with automatic differentiation too is a test of the project's.

# %% [markdown]
# ## 6. Experiment
#
# One question: what does the swap keep? One knob: what attention is swapped for, and which weights survive it. First softmax, for 1000 iterations; then, each for 300 iterations with a fresh Adam, features of three sizes, and four controls with 32 features.

# %%
plan = by_profile(runs.Plan(20, 12, 4, 16), runs.Plan(1000, 300, 32, 256))
net, test, snapshots, found = None, runs.held_out(plan), {}, {}
swaps = {f"{k} features": (k, (), ()) for k in (32, 8, 4)}
swaps |= {name: (32, *how) for name, how in runs.CONTROLS.items()}
with bar(plan.pretrained + len(swaps) * plan.finetuned, "training", unit="it") as shown:
    net, softmax_params, before = runs.pretrain(SEED, plan, shown.update)
    for name, (features, anew, only) in swaps.items():
        kept = []
        other, _, found[name] = runs.finetune(net, softmax_params, features, SEED, plan, anew,
                                              only, kept.append, shown.update)
        snapshots[name] = other, kept
levels = {"softmax before the swap": before[-1], "counting": text.counting_reader(test),
          "knowing the permutation": text.floor()}
show(pictures.draw_runs(plan.after, found, levels),
     "Perplexity after the swap, seven runs. All start at 15 or above. 32 features fall to "
     "softmax's level within 100 iterations; 8 and 4 stay higher. With queries and keys drawn "
     "anew it falls later, with all else drawn anew hardly; the map alone nearly suffices.")

# %%
at = [0, plan.after.index(plan.finetuned // 6), plan.after.index(plan.early), -1]
rows = [(name, *(float(curve[k]) for k in at)) for name, curve in found.items()]
table(("swap", *(f"after {plan.after[k]}" for k in at)), rows,
      f"perplexity; softmax before the swap {before[-1]:.3g}, one seed; five in section 7")
reveal("24.p1", float(found["32 features"][0]),
       "Nearly the uniform guess: the swap alone undoes the model. Nothing was approximated, "
       "and it did not have to be.")

# %% [markdown]
# The features are random at first, so what each reader takes is a blur. Look at it being repaired. Rings mark where a reader should look: places whose symbol followed the one it reads. Under each frame stands the share of a reader's weight on them.

# %%
def weights_of(model, params, texts):
    """p (B, H, T, T) of a model on texts."""
    return model.forward(model.split(params), texts)[1].attended.p


rings = np.stack([pictures.matching(row) for row in test[:64]])[:, None]  # (B, 1, T, T)
has = rings[..., 32:, :].any(axis=-1)  # readers in the second half with a place to look at
share = lambda p: ((p * rings)[..., 32:, :].sum(axis=-1).max(axis=1)[has[:, 0]]).mean()
model32, kept32 = snapshots["32 features"]
p_soft = weights_of(net, softmax_params, test[:64])
p_32 = {t: weights_of(model32, params, test[:64]) for t, params in zip(plan.after, kept32)}
head = (p_soft * rings).sum(axis=(0, 2, 3)).argmax()


def draw_repair(t):
    panels = {"softmax": p_soft[0, head], f"32 features, {t}": p_32[t][0, head]}
    return (pictures.draw_weights(panels, test[0]),
            f"Share on the right places: softmax {share(p_soft):.2f}, features after {t} "
            f"iterations {share(p_32[t]):.2f}.")


moving(draw_repair, "Weights of the last 16 readers: softmax beside features, a blur right "
       "after the swap that sharpens on the rings within 100 iterations.",
       t=knob([plan.after[k] for k in (0, 1, 2, 3, 4, -1)], 0, "iterations after the swap"))

# %% [markdown]
# **Which part was worth keeping?** Four runs with 32 features form a square: queries and keys kept or drawn anew, and all the rest kept or drawn anew. If finetuning only had to imitate softmax with the queries and keys it found, then drawing *those* anew should be fatal. It is not: the run is behind at first, and ends close to the one that kept them. With the *rest* drawn anew, 300 iterations do not suffice, and the pretrained queries and keys are then of no use: everything drawn anew does no worse. So finetuning lives on what stands around the match: tables that tell symbols apart, values that carry them, a network and logits that read them. And one more: train $W$ and $b$ alone, 1,088 of the model's numbers, and nearly all comes back. So the rest *may* stay as it is; what it is worth, the square says. (All have the same short schedule. "Everything drawn anew" is a corner of this square, no fair run from random weights: that is in section 7.)
#
# **How many features?** Suppose scores depended on symbols alone. A head's scores, a table of 16 by 16, are then a product of 16 by $k$ and $k$ by 16: of rank $k$ at most, while a sharp match of every symbol needs 16. Two heads can share the alphabet, and a reader that no key matches takes nothing, thanks to the floor. So with $2k < 16$ some symbols must stay blurred, which is what 4 features show. With 8 a sharp match would be possible. Training does not find it, neither after the swap nor, in section 7, from random weights, where it ends much higher still. Why not is open.

# %% [markdown]
# ## 7. The paper and us
#
# The paper converts models a thousand times larger (WikiText-103, translation). This is in the spirit of it: its sentences are held, not its numbers. Of the paper we read the abstract, leaderboards and its authors' code, so "theirs" is second-hand. Five seeds, loaded:

# %%
paper = loaded("transformers_into_rnns")
show(figure.draw(paper, None), "Loaded: " + figure.ALT)

# %%
paper_and_us([claim.id for claim in claims.CLAIMS])
needed = claims.cheaper(paper)
reveal("24.p2", needed["median"] * paper["plan"]["early"],
       f"Median of {len(needed['each_seed'])} seeds, loaded; measured every 50 iterations.")

# %% [markdown]
# **What stays of "better than from scratch".** At an equal budget of 1300 iterations the converted model with 32 features is ahead of the one from random weights in each of the five seeds, in three of them by about one percent. The cost is where the gain lies: who has a softmax model already saves most of the training. With 8 features the gain is large, as the table below says; what the swap inherits seems to matter more where features are scarce. A word of warning: give the run from random weights a cosine of 300 iterations only, and its rate is gone before it finds the match. That would be a comparison of schedules.
#
# **And of "learned beats fixed".** After the swap elu + 1 recovers more slowly, by less than the factors we had written down (1.5 early, 1.1 late), so these rows say "in direction". From random weights, with the whole budget, it comes within about a percent of the learned map. So the learned map buys cheap *conversion*. It also has twice the features here; what the number alone does was not taken apart.
#
# **And of "no loss".** The converted model is better than the softmax that it was made of. Part of that is the longer training: softmax trained for 300 iterations more gains as well, and is still a percent behind. Both are near the reader of section 1 who counts, 3.54.

# %%
ends = {f"swapped: {name}": curve for name, curve in paper["converted"].items()}
ends |= {f"from scratch: {name}": curve for name, curve in paper["scratch"].items()}
table(("run", "iterations", "median", "lower quartile", "upper quartile"),
      [(name, curve["iterations"][-1], *(curve[key][-1] for key in
        ("median", "lower_quartile", "upper_quartile"))) for name, curve in ends.items()],
      "Loaded: perplexity at the end, five seeds")
rows = [(name, n, numbers, 1e6 * seconds) for name, r in paper["reading"].items()
        for n, numbers, seconds in zip(r["lengths"], r["numbers"], r["seconds"], strict=True)
        if n in (64, 1024, 65_536)]
table(("attention", "symbols before", "numbers kept", "us for one more"), rows, "Loaded")

# %% [markdown]
# ## 8. Exercises
#
# Five cards. Write your answer in the cell under a card, run it, then the check.

# %% [markdown]
# ### Exercise 24.1 (derive, level 1, 10 min)
#
# From which length of text on is one head's cache of keys and values at least as large as its state, $k$ features, $e$ numbers a value? Write `break_even(k, e)`. *Done:* a formula, checked at several sizes.
#
# <details><summary>Hint 1</summary>Count the numbers of the matrix and of the vector in (24.7).</details>
# <details><summary>Hint 2</summary>A cache grows by the same amount with each symbol.</details>

# %%
def break_even(k, e):
    ### BEGIN SOLUTION
    return (k * e + k) / (2 * e)
    ### END SOLUTION


# %%
check("24.1", break_even)

# %% [markdown]
# ### Exercise 24.2 (code, level 3, 15 min)
#
# Write `through_normalisation(dp, s)`: $ds$ (T, T) of (24.12), for $p = s / \max(\sigma, 0.01)$ with $s$ (T, T) zero above the diagonal. *Done:* right where the floor holds, too.
#
# <details><summary>Hint 1</summary>Begin with p itself; the sum in (24.12) is over one row.</details>
# <details><summary>Hint 2</summary>The bracket [..] is a column of ones and zeros. Entries above the diagonal are not read.</details>

# %%
def through_normalisation(dp, s):
    ### BEGIN SOLUTION
    sums = s.sum(axis=1, keepdims=True)
    S = np.maximum(sums, 0.01)
    mean = (dp * s).sum(axis=1, keepdims=True) / S
    return np.tril(dp - (sums > 0.01) * mean) / S
    ### END SOLUTION


# %%
check("24.2", through_normalisation)

# %% [markdown]
# ### Exercise 24.3 (find the bug, level 2, 10 min)
#
# This gradient of the shared map trains, and the loss falls. Find what is wrong, and write the repaired function: `dF`, `dG` (T, k) are the gradients of both features, `q`, `k` (T, e) what the map was given.
#
#     def map_gradient(dF, dG, q, k, W, b):
#         step = q @ W.T + b > 0
#         dR = (dF + dG) * step
#         return dR.T @ q, dR.sum(axis=0)
#
# *Done:* the check passes.
#
# <details><summary>Hint 1</summary>How many uses has W, and what is each one given?</details>
# <details><summary>Hint 2</summary>Which features are on for a query says nothing of a key.</details>

# %%
def map_gradient(dF, dG, q, k, W, b):
    ### BEGIN SOLUTION
    dR_q, dR_k = dF * (q @ W.T + b > 0), dG * (k @ W.T + b > 0)
    return dR_q.T @ q + dR_k.T @ k, (dR_q + dR_k).sum(axis=0)
    ### END SOLUTION


# %%
check("24.3", map_gradient)

# %% [markdown]
# ### Exercise 24.4 (code, level 2, 10 min)
#
# Write `read_one(S, z, F, G, v)`: one head reads one more symbol, with features `F` of its query and `G` of its key (k,) and value `v` (e,). Return the answer (e,), and the new `S` (k, e) and `z` (k,). *Done:* right, and the arguments are as they were.
#
# <details><summary>Hint 1</summary>A symbol is among what it may read.</details>
# <details><summary>Hint 2</summary>S + ... makes a new array, S += ... changes the caller's.</details>

# %%
def read_one(S, z, F, G, v):
    ### BEGIN SOLUTION
    S, z = S + np.outer(G, v), z + G
    return F @ S / max(F @ z, 0.01), S, z
    ### END SOLUTION


# %%
check("24.4", read_one)

# %% [markdown]
# ### Exercise 24.5 (experiment, level 3, 15 min)
#
# How good can a reader be who must learn the permutation from the text? Build one without any training: for each symbol count what followed it, weigh the 16 possible successors by Bayes' rule, and predict 0.8 times these weights plus 0.2/16. Measure its perplexity over the second half of 500 texts. *Done:* within 4 percent.
#
# <details><summary>Hint 1</summary>A pair has probability 0.8125 under the right successor, else 0.0125: each time it is seen the weight grows by the same factor.</details>
# <details><summary>Hint 2</summary>text.texts(rng, 500) gives (500, 64) symbols. Predict first, then count. The places are 32 to 63, counted from 0.</details>

# %%
def measure_counting():
    ### BEGIN SOLUTION
    found = text.texts(np.random.default_rng(SEED), 500)
    seen, rows, losses = np.zeros((500, 16, 16)), np.arange(500), []
    for t in range(63):
        weights = (0.8125 / 0.0125) ** seen[rows, found[:, t]]
        shares = 0.8 * weights / weights.sum(axis=1, keepdims=True) + 0.0125
        losses.append(-np.log(shares[rows, found[:, t + 1]]))
        seen[rows, found[:, t], found[:, t + 1]] += 1
    return np.exp(np.mean(losses[31:]))
    ### END SOLUTION


# %%
### BEGIN SOLUTION
counting = measure_counting()
### END SOLUTION
check("24.5", counting)

# %% [markdown]
# ## 9. Exit ticket
#
# Write the letters in quotes.
#
# **t1.** Why is perplexity near 16 right after the swap?
#
# - (a) 32 features are too few
# - (b) the other weights were changed by the swap
# - (c) scores of untrained features say nothing of which places match
# - (d) reading from a state is less exact than reading at once
#
# **t2.** Which of these says what it is that pretraining saves?
#
# - (a) four features end at a perplexity above 8
# - (b) all but queries and keys drawn anew ends far above queries and keys drawn anew
# - (c) a state has 1,088 numbers
# - (d) training the map alone brings nearly everything back
#
# **t3.** A converted model reads a text ten times as long. What grows?
#
# - (a) nothing that it keeps, nor its time for one more symbol
# - (b) the numbers in S and z
# - (c) the time for one more symbol
# - (d) the number of features

# %%
### BEGIN SOLUTION
t1 = "c"
t2 = "b"
t3 = "a"
### END SOLUTION
check("24.t1", t1)
check("24.t2", t2)
check("24.t3", t3)

# %% [markdown]
# **Further reading**
#
# - Kasai and others, *Finetuning Pretrained Transformers into RNNs*, 2021. The procedure of this lesson at full size.
# - Katharopoulos and others, *Transformers are RNNs*, 2020. Attention as a state, and elu + 1.
# - Zhang and others, *The Hedgehog and the Porcupine*, 2024. Learned maps that are trained to imitate softmax first, and what that gains over this lesson's.
