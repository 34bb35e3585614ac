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
# # Lesson 20. Electric flow
#
# **Claim.** On tokens that are a graph's nodes the attention matrix is the graph's Laplacian, so a layer is a step towards its electric potentials; trained layers that leave the graph alone find Chebyshev's steps, and layers that rewrite it gain 2.7 nats of log loss at depth 3 and 5 at depth 5.
#
# | read | code | run | level | needs | seed |
# |---|---|---|---|---|---|
# | 35 min | 65 min | 1 min | 3 of 5 | 02, 03, 05, 06 | 20 |
#
# **Misconception.** A Transformer that is given a graph has to learn how to use it.
#
# **Afterwards you can say.** A layer multiplies the potentials by its attention matrix, which is the Laplacian, so layers make a polynomial of it, one degree a layer; a layer that also rewrites the incidence matrix triples the degree of what the next one multiplies by. (t2)
#
# <details><summary>Symbols of this lesson</summary>
#
# | symbol | meaning |
# |---|---|
# | $B$ (here) | incidence matrix, a row for each node and a column for each edge; $b_e$ a column, $c_e$ the edge's weight |
# | $L$ (here) | the Laplacian $B B^\top$; layers are counted in words |
# | $n$, $m$, $k$ (here) | nodes, edges, demands |
# | $\Psi$, $\Phi$ (here) | demands and potentials, $n \times k$; $\Phi_*$ the wanted ones |
# | $R$ (here) | linear skip of a layer |
# | $\delta$ (here) | step of a layer |
# | $\lambda$ (here) | an eigenvalue of $L$; $l$ that of the present $B B^\top$, which begins at $\lambda$ |
# | $\phi$, $\psi$ (here) | potential and demand along one eigenvector |
# | $v, r, s, w, \rho, u$ (here) | the six scalars of a layer; $a = 1 + \rho + u l$ |
# | $q$, $h$, $h_*$ (here) | squared length of the demands along an eigenvector; $\phi$ at length 1, and what it should be |
# | $\epsilon$ (here) | distance of an eigenvalue from the top of the curve, relative |
# | $\gamma$ (here) | $-u$ where $\rho = 0$ |
#
# </details>
#
# You will type in the weights of a layer that solves for currents in a street map, train six scalars a layer by a sweep of your own, and find out why rewriting the graph is worth so much.

# %%
import numpy as np

import linattn_np as la
from linattn_np.experiments.papers import electric_flow as flow
from linattn_np.experiments.papers.electric_flow import construction, graphs, recursions
from linattn_np.experiments.papers.electric_flow import scalar_layer, training
from linattn_np.experiments.papers.electric_flow.figure import flow as town_flow
from linattn_np.progress import bar
from linattn_np.teaching import by_profile, check, knob, loaded, moving, paper_and_us, predict
from linattn_np.teaching import reveal, show, symbols, table, versions
from linattn_np.teaching.pictures import lesson_20 as pictures

SEED = 20
versions(SEED)
symbols("Z P Q dX vX")

# %% [markdown]
# ## 1. Predict
#
# A unit of current goes into one corner of a street map and comes out at the opposite one. Tokens are crossings; each layer of attention moves the potentials one step towards the answer, from zero. After 4 layers, how many streets away from a corner may a potential differ from 0?
# And a second guess, on random graphs of 10 nodes: with 3 trained layers the log of the loss is about $-2.4$. If the layers may also rewrite the edges, what is it?

# %%
### BEGIN SOLUTION
streets_guess = 4
loss_guess = -2.6
### END SOLUTION
predict("20.p1", "After 4 layers: streets from a corner to the last potential that is not 0",
        streets_guess)
predict("20.p2", "Log loss of 3 layers that may rewrite the edges", loss_guess)

# %%
town = town_flow()
ends, widths, places = (np.array(town[name]) for name in ("ends", "widths", "places"))
B_town = graphs.incidence(len(places), ends, np.sqrt(widths))  # (n, m)
corner = np.zeros(len(places))
corner[0], corner[-1] = 1.0, -1.0
exact = recursions.exact(B_town, corner[:, None], -1.0)[:, 0]
top = np.linalg.eigvalsh(graphs.laplacian(B_town))[-1]
four = flow.potentials(B_town, corner, np.full(4, 1.9 / top))
show(pictures.draw_streets(town, {"4 layers": four, "the answer": exact}),
     "A map of 35 crossings, twice. After four layers a few streets near two corners carry "
     "current; in the answer it flows through the whole town.")
touching = (graphs.laplacian(B_town) != 0).astype(float)
within = [np.linalg.matrix_power(touching, streets)[0] > 0 for streets in range(12)]
distance = np.argmax(within, axis=0)  # streets from the first corner
reveal("20.p1", int(distance[four > 0].max()),
       "The first layer fills the corner itself; each one after it reaches one street further.")

# %% [markdown]
# ## 2. Derive
#
# **The graph.** Write edge $e$ between nodes $i$ and $j$ of weight $c_e$ as a column $b_e$ with $+\sqrt{c_e}$ at $i$ and $-\sqrt{c_e}$ at $j$. Which end has the minus is arbitrary. All columns together are $B$, $n \times m$, and
#
# $$ L = B B^\top = \sum_e b_e b_e^\top \tag{20.1} $$
#
# has the sum of a node's weights on the diagonal and $-c_e$ between neighbours. Its rows add up to 0. Let current $\Psi_i$ go in at node $i$, with sum 0. Ohm's and Kirchhoff's laws say that what flows out of $i$ is $\sum_j c_{ij} (\Phi_i - \Phi_j) = (L \Phi)_i$, so the potentials solve
#
# $$ L\, \Phi_* = \Psi, \qquad \Phi_* = L^{+} \Psi \tag{20.2} $$
#
# with sum 0. They are the minimum of $\frac{1}{2} \Phi^\top L \Phi - \Psi^\top \Phi$, and the negative gradient of that is $\Psi - L \Phi$.
#
# **The layer.** A token is a node: its row of $B$, its $k$ demands, its $k$ potentials. In columns, as papers write it, $Z = [B^\top; \Psi^\top; \Phi^\top]$, and a layer with a linear skip $R$ and all tokens read is
#
# $$ Z \leftarrow Z + R Z + P Z\, (Z^\top Q Z) . \tag{20.3} $$
#
# Let $Q$ be 1 on the first $m$ places of the diagonal and 0 elsewhere: it reads $B$ and nothing else. Then
#
# $$ Z^\top Q Z = B B^\top = L . \tag{20.4} $$
#
# Nobody told a token who its neighbours are. It compares its row of edges with all others, and the product is 0 unless they share an edge. Let $P$ be $-\delta$ on the potentials, and let $R$ bring $\delta$ times the demands to the potentials:
#
# $$ \Phi \leftarrow \Phi + \delta\, (\Psi - L \Phi), \tag{20.5} $$
#
# a step of gradient descent. From $\Phi = 0$, after $\ell$ layers and along an eigenvector of eigenvalue $\lambda$, where $\phi \leftarrow (1 - \delta \lambda) \phi + \delta \psi$,
#
# $$ \phi_\ell = \frac{1 - (1 - \delta \lambda)^\ell}{\lambda}\, \psi, \tag{20.6} $$
#
# a polynomial of degree $\ell - 1$ in $\lambda$. It tends to $\psi / \lambda$ for $\delta < 2 / \lambda_{max}$. With a step of its own in each layer, $(1 - \delta \lambda)^\ell$ becomes $\prod_l (1 - \delta_l \lambda)$, and Chebyshev's polynomial is the best such product for an interval: $1 / \delta_l$ are its roots. Turn the number of layers:

# %%
spectrum = np.linalg.eigvalsh(graphs.laplacian(B_town))
steps_of = {"one step": lambda layers: np.full(layers, 1.9 / spectrum[-1]),
            "Chebyshev's": lambda layers: training.chebyshev_steps(spectrum[1], spectrum[-1],
                                                                   layers)}
moving(lambda layers, steps: pictures.draw_layers(
           town, flow.potentials(B_town, corner, steps_of[steps](layers)), exact, layers),
       "A street map; crossings coloured by potential, streets as wide as their current, "
       "which spreads from two corners until it is the answer.",
       layers=knob((1, 2, 4, 8, 12, 16, 24, 32), 4, "layers"),
       steps=knob(tuple(steps_of), "one step", "steps"))

# %% [markdown]
# Other blocks make other algorithms. Demands that shrink, $\Psi \leftarrow (1 - \delta L) \Psi$, and are added up with the coefficients of $(1 - x)^{-1/2}$ give the *resistive embedding* $L^{+1/2} \Psi$; potentials copied from the demands once and multiplied by $1 - tL/\ell$ give the *heat kernel* $e^{-tL} \Psi$; $c - L$ with heads that read the potentials and take from each column its parts along those before it, then unit columns, is *subspace iteration*.
#
# **One number in each block.** Let $P$, $R$ have one scalar a block: $P$ has $u$ on $B$, $w$ on $\Psi$, $v$ on $\Phi$; $R$ has $\rho$ on $B$, $s$ on $\Phi$, and $r$ from $\Psi$ to $\Phi$. All blocks stay polynomials in $L$, so along an eigenvector the layer is
#
# $$ \phi' = (1 + s + v l)\, \phi + r\, \psi \tag{20.7} $$
# $$ \psi' = (1 + w l)\, \psi \tag{20.8} $$
# $$ a = 1 + \rho + u l, \qquad l' = a^2\, l \tag{20.9} $$
#
# where $l$ is the eigenvalue of the *present* $B B^\top$: since $B' = (1 + \rho + u B B^\top) B$, it is multiplied by $a$ twice. The loss does not see the length of $\phi$. With $q$ the squared length of the demands along each eigenvector,
#
# $$ N = \Big( \sum q\, \phi^2 \Big)^{1/2}, \quad h = \phi / N, \quad f = \text{mean over graphs of} \sum q\, (h - h_*)^2 . \tag{20.10} $$
#
# **Backward.** First the loss; $N$ depends on $\phi$ too, which takes the part along $h$ out:
#
# $$ dh = \frac{2 q\, (h - h_*)}{\mathrm{graphs}}, \qquad d\phi = \frac{1}{N} \Big( dh - q\, h \sum h\, dh \Big) \tag{20.11} $$
#
# Then each layer, its lines undone in reverse. The eigenvalue is used four times:
#
# $$ da = 2 a\, l\, dl', \qquad dl \mathrel{+}= a^2\, dl' \tag{20.12} $$
# $$ d\rho = \sum da, \quad du = \sum l\, da, \quad dl \mathrel{+}= u\, da \tag{20.13} $$
# $$ dw = \sum l\, \psi\, d\psi', \quad d\psi \mathrel{+}= (1 + w l)\, d\psi', \quad dl \mathrel{+}= w\, \psi\, d\psi' \tag{20.14} $$
# $$ dr = \sum \psi\, d\phi', \quad ds = \sum \phi\, d\phi', \quad dv = \sum l\, \phi\, d\phi' \tag{20.15} $$
# $$ d\phi \mathrel{+}= (1 + s + v l)\, d\phi', \quad d\psi \mathrel{+}= r\, d\phi', \quad dl \mathrel{+}= v\, \phi\, d\phi' \tag{20.16} $$
#
# **Why rewrite the graph?** With $u = 0$ each layer after the first raises the degree of $\phi$ by one. With $u \ne 0$ the eigenvalue itself becomes a polynomial: of degree 3 after one layer, 9 after two. The layers then multiply $\phi$ by polynomials of these degrees:
#
# $$ \deg l_\ell = 3^\ell, \qquad \deg \phi_\ell = 3 + 9 + \ldots + 3^{\ell-1} \tag{20.17} $$
#
# And the spectrum is squeezed. Take $\rho = 0$ and $u = -\gamma$. The curve $l (1 - \gamma l)^2$ has its top at $\gamma l = \frac{1}{3}$. For $\gamma l = \frac{1}{3} (1 + \epsilon)$,
#
# $$ l' = \frac{4 - 3 \epsilon^2 + \epsilon^3}{27\, \gamma} . \tag{20.18} $$
#
# A distance $\epsilon$ has become $\frac{3}{4} \epsilon^2$: near the top it is *squared*. Far below the top $l' \approx l$ while the largest eigenvalue becomes at most $4 / (27 \gamma)$, so with $\gamma \lambda_{max} < 1$ a large ratio of eigenvalues falls to no less than 4/27 of it. Gradient descent with this update is known as GD++ (lesson 16).

# %%
l = np.linspace(0, 1.2, 121)
show(pictures.draw_squeeze({gamma: (l, l * (1 - gamma * l) ** 2) for gamma in (1.0, 0.8, 1.3)}),
     "Three curves that rise along the diagonal, turn over at one third of one over gamma, "
     "fall to zero at one over gamma and rise again: a wide range of eigenvalues before the "
     "layer becomes a narrow one after it, if none lies near the zero.")

# %% [markdown]
# > **Where people slip**
# > - *$N$ taken for a constant.* Then $d\phi$ has a part along $\phi$, which changes no loss.
# > - *A use of $l$ lost.* It stands in $\phi'$, in $\psi'$, in $a$, and in $l'$ itself.
# > - *"Updating $B$ squares the condition number."* What is squared is the distance from the top; a large ratio is divided by less than 7.
# > - *Demands that do not add up to 0.* Their mean is never balanced: the mean potential grows by $\delta$ times it in every layer.

# %% [markdown]
# ## 3. On paper
#
# A path of three nodes, $a - b$ of weight 1 and $b - c$ of weight 4; a unit goes in at $a$ and comes out at $c$:
#
# $$ B = \begin{pmatrix} 1 & 0 \\ -1 & 2 \\ 0 & -2 \end{pmatrix}, \quad L = \begin{pmatrix} 1 & -1 & 0 \\ -1 & 5 & -4 \\ 0 & -4 & 4 \end{pmatrix}, \quad \Psi = \begin{pmatrix} 1 \\ 0 \\ -1 \end{pmatrix} . $$
#
# With $\delta = 1$: $\Phi_1 = \Psi$, $L \Phi_1 = (1, 3, -4)$, and $\Phi_2 = \Phi_1 + \Psi - L \Phi_1 = (1, -3, 2)$. (The step is far too long, which makes whole numbers.) The answer: a current of 1 through both edges, so $\Phi_a - \Phi_b = 1$ and $\Phi_b - \Phi_c = \frac{1}{4}$, with sum 0: $\Phi_* = (\frac{3}{4}, -\frac{1}{4}, -\frac{1}{2})$.
#
# A scalar layer: $\phi = 1$, $\psi = 2$, $l = 3$ and $(v, r, s, w, \rho, u) = (2, -1, 1, 1, 0, -1)$. Then $a = -2$, $\phi' = 8 - 2 = 6$, $\psi' = 8$, $l' = 12$. Backward from $d\phi' = d\psi' = 1$, $dl' = 2$: $da = 2 (-2)\, 3 \cdot 2 = -24$, and $dl = 8 + 24 + 2 + 2 = 36$.

# %%
B_path, unit = np.array([[1.0, 0], [-1, 2], [0, -2]]), np.array([1.0, 0, -1])
print("two layers:", flow.potentials(B_path, unit, [1, 1]).astype(int).tolist())
print("the answer:", recursions.exact(B_path, unit[:, None], -1.0)[:, 0].round(12).tolist())
state = scalar_layer.State(*(np.full((1, 1, 1), value) for value in (1.0, 2.0, 3.0)))
out, tape = scalar_layer.forward(state, np.array([[2.0, -1, 1, 1, 0, -1]]))
back = scalar_layer.State(*(np.full((1, 1, 1), value) for value in (1.0, 1.0, 2.0)))
print("phi', psi', l':", [int(each.item()) for each in out],
      "  dl:", int(scalar_layer.backward(back, tape)[0].l.item()))

# %% [markdown]
# ## 4. Code it
#
# The step three times: by loops over edges, as a current would; with the matrix $L$; and by attention with weights typed in.

# %%
def by_edges(ends, widths, demand, delta, layers):
    """(20.5), edge by edge: (n,)."""
    phi = np.zeros(len(demand))
    for _ in range(layers):
        change = demand.copy()
        for (i, j), width in zip(ends, widths, strict=True):
            current = width * (phi[i] - phi[j])
            change[i] -= current
            change[j] += current
        phi = phi + delta * change
    return phi


# %%
def by_attention(B, demand, delta, layers):
    """(20.3) with the weights of (20.4) and (20.5), tokens as rows."""
    n, m = B.shape
    Z = np.concatenate([B, demand[:, None], np.zeros((n, 1))], axis=1)  # (n, m + 2)
    P, Q, R = np.zeros((3, m + 2, m + 2))
    Q[range(m), range(m)], P[-1, -1], R[-1, -2] = 1.0, -delta, delta
    for _ in range(layers):
        scores = Z @ Q @ Z.T  # (20.4)
        Z = Z + Z @ R.T + scores @ Z @ P.T
    return Z[:, -1]


delta = 1 / top
edges = by_edges(ends, widths, corner, delta, 9)
attention = by_attention(B_town, corner, delta, 9)
library = flow.potentials(B_town, corner, np.full(9, delta))
by_matrix = recursions.potentials(B_town, corner[:, None], np.full(9, delta))[:, 0]
table(("compared", "largest difference"), [
    ("edges and matrix", f"{np.abs(edges - by_matrix).max():.0e}"),
    ("matrix and attention", f"{np.abs(by_matrix - attention).max():.0e}"),
    ("attention and library", f"{np.abs(attention - library).max():.0e}"),
])

# %% [markdown]
# Then one scalar layer and its backward pass.

# %%
def layer(phi, psi, l, scalars):
    """(20.7) to (20.9)."""
    v, r, s, w, rho, u = scalars
    a = 1 + rho + u * l
    return (1 + s + v * l) * phi + r * psi, (1 + w * l) * psi, a * a * l


def layer_backward(phi, psi, l, scalars, dphi, dpsi, dl):
    """(20.12) to (20.16): the gradients of phi, psi, l and of the six scalars."""
    v, r, s, w, rho, u = scalars
    a = 1 + rho + u * l
    da = 2 * a * l * dl  # (20.12)
    dscalars = [(l * phi * dphi).sum(), (psi * dphi).sum(), (phi * dphi).sum(),  # (20.15)
                (l * psi * dpsi).sum(), da.sum(), (l * da).sum()]  # (20.14), (20.13)
    return ((1 + s + v * l) * dphi, r * dphi + (1 + w * l) * dpsi,
            a * a * dl + u * da + w * psi * dpsi + v * phi * dphi, np.array(dscalars))


# %%
rng = np.random.default_rng(SEED)
point = {name: rng.uniform(0.4, 1.6, 5) for name in ("phi", "psi", "l")}
point["scalars"] = 0.3 * rng.standard_normal(6)
out, tape = scalar_layer.forward(
    scalar_layer.State(*(point[name][None, None] for name in ("phi", "psi", "l"))),
    point["scalars"][None])
dout = rng.standard_normal((3, 5))
library = scalar_layer.backward(scalar_layer.State(*dout[:, None, None]), tape)
ours = layer_backward(**point, dphi=dout[0], dpsi=dout[1], dl=dout[2])
gaps = [np.abs(a - b).max() for a, b in zip(ours, (*library[0], library[1]), strict=True)]
print("ours and the library's:", *(f"{gap:.0e}" for gap in gaps))

# %% [markdown]
# ## 5. Audit it
#
# Two tests. *The derivation of the recursion*: six random scalars in each of four layers of attention, on tokens, must give what (20.7) to (20.9) give along the eigenvectors. *The sweep*: the gradient against complex steps, line by line, and then a planted mistake, the use of $l$ inside $a$ forgotten.

# %%
B_graph = 0.3 * graphs.random_graphs(rng, 1, 11)[0]
Psi = graphs.demands(rng, 1, 11, 3)[0]
scalars = 0.3 * rng.standard_normal((4, 6))
values, vectors = np.linalg.eigh(graphs.laplacian(B_graph))
along = scalar_layer.run(scalars[None], values[None])[0].phi[0, 0]
wanted = vectors * along @ vectors.T @ Psi
found = construction.run(B_graph, Psi, scalars)
print(f"attention and recursion: {np.abs(found - wanted).max() / np.abs(wanted).max():.0e}")

# %%
def forward(theta):
    return np.stack(layer(**theta))


def backward(theta, dout, forget=False):
    grads = layer_backward(**theta, dphi=dout[0], dpsi=dout[1], dl=dout[2])
    found = dict(zip(("phi", "psi", "l", "scalars"), grads, strict=True))
    if forget:
        _, _, _, _, rho, u = theta["scalars"]
        a = 1 + rho + u * theta["l"]
        found["l"] = found["l"] - u * 2 * a * theta["l"] * dout[2]
    return found


def planted(theta, dout):
    return backward(theta, dout, forget=True)


rows = []
for name, function in (("the sweep", backward), ("planted", planted)):
    report = la.audit.audit_gradient(forward, function, point)
    wrong = sorted({row.quantity for row in report.rows if row.verdict == "WRONG"})
    rows.append((name, report.verdict, ", ".join(wrong)))
table(("what", "verdict", "wrong"), rows)

# %% [markdown]
# ## 6. Experiment
#
# One question: what is it worth to rewrite the graph? Graphs of 10 nodes on a circle with random weights and one kind of skip link, 10 random demands each, the electric potentials wanted. One knob, which scalars may move: $v, r, s$ ("B frozen"); these and $\rho, u$ ("B updated"); and a control that rewrites $B$ without changing its spectrum's shape, $v, r, s, \rho$ ("B only scaled").
# The rules, before the run. If the degree is what counts, the control must lie on the frozen curve, to 0.1. If conditioning is what changes, the ratio $l_{max} / l_{min}$ must fall through the layers with $u$, and stay as it is without.

# %%
size = training.Size(*by_profile((15, 60, 20, 1, 50), (300, 1000, 128, 2, 500)))
seeds, depths = by_profile(2, 3), (1, 3, 5)
modes = ("B frozen", "B only scaled", "B updated")
losses, ratios = {}, {}
with bar(len(modes) * seeds * len(depths), "networks", unit="run") as shown:
    for mode in modes:
        losses[mode], ratios[mode] = np.zeros((seeds, len(depths))), []
        for seed in range(seeds):
            for k, layers in enumerate(depths):
                run = training.train(mode, "electric", "skip-circle", layers, seed, size)
                losses[mode][seed, k] = np.log(run["loss"])
                shown.update()
            ratios[mode].append(run["condition"])
with np.errstate(all="ignore"):
    tuned = [training.baselines("skip-circle", seed, size, 5) for seed in range(seeds)]
for name in ("fixed step", "Chebyshev"):
    losses[f"{name}, tuned"] = np.log([each[name][::2] for each in tuned])
show(pictures.draw_depths(depths, losses),
     "Log loss against layers. A tuned fixed step falls least; Chebyshev's steps, B frozen and "
     "B only scaled lie on one line; B updated falls far below it.")

# %%
rows = [(name, *(f"{value:.2f}" for value in np.median(each, axis=0)))
        for name, each in losses.items()]
table(("layers", *map(str, depths)), rows, f"log loss, medians of {seeds} seeds")
rows = [(mode, *(f"{value:.1f}" for value in np.median(each, axis=0)))
        for mode, each in ratios.items()]
table(("largest over smallest eigenvalue before layer", *map(str, range(1, 6)), "end"), rows,
      f"5 layers: median over graphs, then over {seeds} seeds")
reveal("20.p2", float(np.median(losses["B updated"][:, 1])),
       f"B frozen: {np.median(losses['B frozen'][:, 1]):.2f}. Section 7 loads the full run.")

# %% [markdown]
# The control lies on the frozen curve, and both lie on Chebyshev's: with the graph left alone, training finds what numerical analysis has had since Chebyshev. A layer that may rewrite the graph falls far below, and the second table shows the squeeze.
#
# **A control for the degree.** Three layers that rewrite $B$ make a polynomial of degree 12 by (20.17). So do 13 steps of Chebyshev's. Are they as good? The full run says:

# %%
paper = loaded("electric_flow")
chebyshev = np.array(paper["steps"]["Chebyshev"]["median"])
updated = np.array(paper["log_loss"]["electric, skip-circle, B updated"]["median"])
for k, layers in enumerate((3, 5), start=1):
    equal = int((chebyshev > updated[k]).sum())
    words = f"between {equal} and {equal + 1}" if equal < 13 else "more than 13"
    print(f"{layers} layers that update B: log loss {updated[k]:.2f}; worth {words} steps")
print(f"13 of Chebyshev's steps: {chebyshev[12]:.2f}")

# %% [markdown]
# So the degree is a ceiling, not the measure: three such layers, with at most 15 scalars, do not reach the best polynomial of degree 12. How near five or seven of them come to the best of theirs was not measured; below a log loss of about $-11$ the 600 iterations of training are probably what limits it.
#
# **A real graph.** The positional encoding of a molecule is made of the eigenvectors of its Laplacian. Here is cholesterol without its hydrogens, 28 atoms and 31 bonds typed in by hand, and two layers looped: multiply by $c - L$, then take from each column its parts along those before it.

# %%
molecule = graphs.molecule()
start = np.random.default_rng(0).standard_normal((len(molecule), 4))
start[:, 0] = 1.0  # the constant, which the heads take out of the others
_, vectors = np.linalg.eigh(graphs.laplacian(molecule))
encoding, rows = start, []
for loops in by_profile((10, 20), (100, 200, 300)):
    encoding = flow.eigenvectors(molecule, encoding, 4.0, loops)
    inner = np.abs((encoding * vectors[:, :4]).sum(axis=0))[1:]
    rows.append((loops, f"{np.sqrt(np.maximum(2 - 2 * inner, 0)).max():.1e}"))
show(pictures.draw_encoding(encoding[:, 1:]),
     "28 atoms placed by two eigenvectors: a chain bent into a horseshoe, with the four rings "
     "along one arm.")
table(("further loops", "distance from the three eigenvectors"), rows)

# %% [markdown]
# ## 7. The paper and us
#
# The paper (2410.16699) proves that such weights exist, also for a multiplicative expansion and a parameter-efficient layer, and trains them. **Its body was not at hand.** The matrices above are derived here; what the table quotes are the released code's stored outputs for *full* matrices, and second-hand accounts. That code normalises $B$ and $\Phi$ after each layer, which ours does not. Its runs on molecules (QM9, ZINC) are not reproduced.

# %%
from linattn_np.experiments.papers.electric_flow.claims import LOGGED  # noqa: E402

figure, axes = la.plotting.new_figure(columns=2, width=4.2, height=3.2)
for ax, keys in zip(axes[0], (("electric, skip-circle, B frozen",
                               "electric, skip-circle, B updated"),
                              ("electric, full, B frozen",
                               "resistive, skip-circle, B updated")), strict=True):
    for key, color in zip(keys, ("#0072B2", "#D55E00"), strict=True):
        ours = paper["log_loss"][key]
        ax.plot(ours["iterations"], ours["median"], color=color, label=key)
        ax.plot(ours["iterations"], LOGGED[key], "x", color=color)
    ax.set(xlabel="layers", ylabel="log loss", ylim=(-14, 0), xticks=ours["iterations"])
    ax.legend(frameon=False, fontsize=8)
show(figure, "Loaded. Lines are ours, crosses the released code's. All fall with depth. "
             "Left, updating B lies below frozen in both; from 3 layers on our lines lie one "
             "to eight nats below their crosses.")

# %%
paper_and_us([
    "electric_flow.constructions", "electric_flow.falls.frozen", "electric_flow.falls.updated",
    "electric_flow.updating.5", "electric_flow.updating.9", "electric_flow.full",
    "electric_flow.level.electric.frozen.1", "electric_flow.level.electric.frozen.9",
    "electric_flow.level.electric.updated.9", "electric_flow.level.resistive.updated.9",
])

# %% [markdown]
# What is found again is the order, frozen above updated, and the fall with depth. The levels are not. Ours are lower: a few scalars a layer cannot leave the polynomials of $L$, have no other minimum to fall into, and were trained as the best of four starts. The code's full matrices have thousands of weights a layer and, frozen, end near the tuned fixed step. That the rest is a matter of optimization is likely and was not tested.

# %% [markdown]
# ## 8. Exercises
#
# Six cards. Write your answer in the cell under a card, run it, then the check.

# %% [markdown]
# ### Exercise 20.1 (derive, level 1, 5 min)
#
# The path of section 3 with $\delta = \frac{1}{4}$: what is the potential of node $a$ after two layers? *Done:* one number.
#
# <details><summary>Hint 1</summary>The first layer gives δΨ.</details>
# <details><summary>Hint 2</summary>The demand enters in the second layer again.</details>

# %%
### BEGIN SOLUTION
after_two = 1 / 4 + (1 - 1 / 4) / 4
### END SOLUTION
check("20.1", after_two)

# %% [markdown]
# ### Exercise 20.2 (code, level 2, 15 min)
#
# Write `flow_weights(m, k, delta)`: $P$, $Q$, $R$ of (20.3), each $(m + 2k) \times (m + 2k)$, for one step (20.5) with $k$ demands. *Done:* the check passes.
#
# <details><summary>Hint 1</summary>Three blocks: m places for B, k for Ψ, k for Φ. Only four blocks of the three matrices are not zero.</details>
# <details><summary>Hint 2</summary>In columns R acts from the left: its row is the receiver.</details>

# %%
def flow_weights(m, k, delta):
    ### BEGIN SOLUTION
    D = m + 2 * k
    P, Q, R = np.zeros((3, D, D))
    Q[range(m), range(m)] = 1.0
    P[range(m + k, D), range(m + k, D)] = -delta
    R[range(m + k, D), range(m, m + k)] = delta
    return P, Q, R
    ### END SOLUTION


# %%
check("20.2", flow_weights)

# %% [markdown]
# ### Exercise 20.3 (find the bug, level 2, 10 min)
#
# With this gradient of $l$, layers that update $B$ train, but badly. Find the mistake, and write the repaired function. *Done:* right for any point.
#
# <details><summary>Hint 1</summary>In which of the three formulas does l stand, and how often?</details>
# <details><summary>Hint 2</summary>Compare with (20.12) to (20.16), one "dl +=" after the other.</details>

# %%
def buggy_gradient(phi, psi, l, scalars, dphi, dpsi, dl):
    v, r, s, w, rho, u = scalars
    a = 1 + rho + u * l
    return a * a * dl + w * psi * dpsi + v * phi * dphi


# %%
def eigenvalue_gradient(phi, psi, l, scalars, dphi, dpsi, dl):
    ### BEGIN SOLUTION
    v, r, s, w, rho, u = scalars
    a = 1 + rho + u * l
    return a * a * dl + u * 2 * a * l * dl + w * psi * dpsi + v * phi * dphi
    ### END SOLUTION


# %%
check("20.3", eigenvalue_gradient)

# %% [markdown]
# ### Exercise 20.4 (derive, level 3, 10 min)
#
# Write `degree(layers)`: the degree in $\lambda$ of $\phi$ after `layers` layers that all update $B$ (demands left alone, $\phi = 0$ at first). *Done:* the check passes.
#
# <details><summary>Hint 1</summary>The first layer gives r ψ, of degree 0. By what does the second one multiply it?</details>
# <details><summary>Hint 2</summary>(20.17), and the sum of a geometric series.</details>
#
# <!-- ### BEGIN SOLUTION -->
# <details><summary>Solution</summary>3 + 9 + … + 3^(layers-1) = (3^layers - 3) / 2.</details>
# <!-- ### END SOLUTION -->

# %%
def degree(layers):
    ### BEGIN SOLUTION
    return (3**layers - 3) // 2
    ### END SOLUTION


# %%
check("20.4", degree)

# %% [markdown]
# ### Exercise 20.5 (code, level 2, 10 min)
#
# Write `chebyshev(low, high, layers)`: the steps $1 / x_l$, sorted, where $x_l$ are the roots of Chebyshev's polynomial moved from $[-1, 1]$ to the interval. *Done:* the check passes.
#
# <details><summary>Hint 1</summary>On [-1, 1] the roots are cos(π (l + 1/2) / layers).</details>
# <details><summary>Hint 2</summary>Middle plus half the length times the root.</details>

# %%
def chebyshev(low, high, layers):
    ### BEGIN SOLUTION
    roots = np.cos(np.pi * (np.arange(layers) + 0.5) / layers)
    return np.sort(1 / ((high + low) / 2 + (high - low) / 2 * roots))
    ### END SOLUTION


# %%
check("20.5", chebyshev)

# %% [markdown]
# ### Exercise 20.6 (experiment, level 2, 15 min)
#
# From `start`, with $c = 4$: after how many loops are all three eigenvectors of the molecule within 0.001, in the distance of the table above? *Done:* one number, to 10 %.
#
# <details><summary>Hint 1</summary>flow.eigenvectors(molecule, encoding, 4.0, 5) goes five loops further.</details>
# <details><summary>Hint 2</summary>Signs do not count: take the size of the inner products.</details>

# %%
def loops_needed(c=4.0, tolerance=1e-3):
    ### BEGIN SOLUTION
    encoding, loops, distance = start, 0, 2.0
    while distance > tolerance:
        encoding, loops = flow.eigenvectors(molecule, encoding, c, 5), loops + 5
        inner = np.abs((encoding * vectors[:, :4]).sum(axis=0))[1:]
        distance = np.sqrt(np.maximum(2 - 2 * inner, 0)).max()
    return loops
    ### END SOLUTION


# %%
### BEGIN SOLUTION
loops = loops_needed()
### END SOLUTION
check("20.6", loops)

# %% [markdown]
# ## 9. Exit ticket
#
# Write the letters in quotes.
#
# **t1.** Why is the attention matrix of these layers the Laplacian?
#
# - (a) training has made it so
# - (b) $Q$ picks the rows of $B$, and products of two of them are the entries of $B B^\top$
# - (c) the softmax normalises its rows
# - (d) each token holds a list of its neighbours
#
# **t2.** What does a layer gain by rewriting $B$?
#
# - (a) a common factor for all eigenvalues
# - (b) another graph, with another answer
# - (c) the next layer multiplies by a polynomial of three times the degree, on a spectrum squeezed together
# - (d) more parameters
#
# **t3.** $B$ is scaled by a learned factor in every layer. The log loss against $B$ frozen is
#
# - (a) the same
# - (b) lower, by about as much as for $B$ updated
# - (c) higher
# - (d) lower at depth 9 only

# %%
### BEGIN SOLUTION
t1 = "b"
t2 = "c"
t3 = "a"
### END SOLUTION
check("20.t1", t1)
check("20.t2", t2)
check("20.t3", t3)

# %% [markdown]
# **Further reading**
#
# - Cheng, Carin and Sra, *Graph Transformers Dream of Electric Flow*, arXiv 2410.16699.
# - Spielman, *Spectral and Algebraic Graph Theory*. Laplacians, effective resistance, and why solving $L \Phi = \Psi$ is a subject of its own.
# - Dwivedi and Bresson, *A Generalization of Transformer Networks to Graphs*, 2021. Laplacian eigenvectors as positional encodings.
