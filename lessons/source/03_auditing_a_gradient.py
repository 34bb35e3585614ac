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
# # Lesson 03. Auditing a gradient
#
# **Claim.** The forward pass alone can judge a gradient to twelve digits, while the tests in common use let wrong derivations pass.
#
# | read | code | run | level | needs | seed |
# |---|---|---|---|---|---|
# | 40 min | 65 min | 1 min | 3 of 5 | 02 | 3 |
#
# **Misconception.** If the loss falls, the gradient is right.
#
# **Afterwards you can say.** Any direction within 90 degrees of the gradient goes downhill, so a falling loss says almost nothing; a derivative from the forward pass alone says whether the gradient is right. (t1)
#
# <details><summary>Symbols of this lesson</summary>
#
# | symbol | meaning |
# |---|---|
# | $f$, $\theta$ (here) | the loss, and all that it depends on |
# | $c$, $g$ (here) | the true gradient; what the code returns |
# | $v$, $u$ (here) | a direction of $\theta$; a direction of a layer's input |
# | $\varphi(t)$ (here) | the loss along a line |
# | $h$, $\varepsilon$ (here) | length of a step; relative error of a rounded number |
# | $R(t)$ (here) | what is left of $\varphi$ after its linear part |
# | $\tau$, $\delta$ (here) | a tolerance; a relative error |
# | $J$ (here) | Jacobian of a layer |
# | $\mathrm{dout}$ | cotangent: the gradient that a layer's output is handed |
# | $a_l$, $b_l$ (here) | degrees of covariates and labels in the weights |
# | $\eta$ (here) | learning rate; in lesson 01 the step of a layer |
#
# </details>
#
# You will derive four tests of a gradient, run them on dozens of wrong derivations, each one line away from the right one, and see who
# catches what. Then you will find the two ways in which even the best test is deceived.

# %%
import numpy as np

import linattn_np as la
from linattn_np.audit.mutation import what_each_check_adds
from linattn_np.progress import bar
from linattn_np.teaching import by_profile, check, facts, knob, moving, predict, reveal, show
from linattn_np.teaching import slider, symbols, table, versions
from linattn_np.teaching.pictures import lesson_03 as pictures
from linattn_np.teaching.pictures.lesson_03 import KIND, KNOWN, REAL, gradient_with, in_words

SEED = 3
versions(SEED)
symbols("B n N d D L Z P Q A W V params dX")

# %% [markdown]
# ## 1. Predict
#
# The library keeps a catalogue of wrong backward passes: a factor lost, a matrix transposed, a use of $Z$ forgotten, and so on. Somebody
# trains with each of them for 50 steps, from the paper's initial weights. For how many does the loss *not* fall? And a difference
# quotient $(\varphi(h) - \varphi(0)) / h$ in double precision, 16 digits: with the best $h$ there is, how many digits of the derivative are right?

# %%
### BEGIN SOLUTION
caught_guess = 40
digits_guess = 15
### END SOLUTION
predict("03.p1", "Of 100 wrong gradients: how many fail to lower the loss", caught_guess)
predict("03.p2", "Right digits of a difference quotient at its best h", digits_guess)

# %% [markdown]
# ## 2. Derive
#
# **The question.** Let $c$ be the true gradient of $f$ at $\theta$, and $g$ what your code returns. Go along a line: take a direction $v$ and
# one number $t$. Then everything is a function of one variable.
#
# $$ \varphi(t) = f(\theta + t v), \qquad \varphi'(0) = \langle c, v \rangle \tag{3.1} $$
#
# A test measures $\varphi'(0)$ without your derivation and compares it with $\langle g, v \rangle$.
#
# **Scalars: differences.** Taylor's formula gives $\varphi(h) = \varphi + h \varphi' + \frac{h^2}{2} \varphi'' + \ldots$, all at 0. Each computed
# value is also off by about $\varepsilon |\varphi|$, with $\varepsilon \approx 10^{-16}$. Subtracting two values keeps that error, and dividing by
# $h$ magnifies it:
#
# $$ \Big| \frac{\varphi(h) - \varphi(0)}{h} - \varphi' \Big| \lesssim \frac{h}{2} |\varphi''| + \frac{2 \varepsilon |\varphi|}{h} \tag{3.2} $$
#
# One term grows with $h$, the other falls. Set the derivative by $h$ to zero:
#
# $$ h^* = 2 \sqrt{\varepsilon |\varphi| / |\varphi''|}, \qquad \text{error at } h^* = 2 \sqrt{\varepsilon |\varphi \varphi''|} \tag{3.3} $$
#
# The error is the *root* of $\varepsilon$: half of the digits are lost, whatever you do. With both sides the $h^2$ terms cancel, and a third
# is lost:
#
# $$ \Big| \frac{\varphi(h) - \varphi(-h)}{2 h} - \varphi' \Big| \lesssim \frac{h^2}{6} |\varphi'''| + \frac{\varepsilon |\varphi|}{h} \tag{3.4} $$
#
# **Scalars: the complex step.** You have used it in (2.16) of lesson 02; here is why it works. Put an imaginary step into the same formula.
#
# $$ \varphi(ih) = \varphi + i h \varphi' - \frac{h^2}{2} \varphi'' - i \frac{h^3}{6} \varphi''' + \ldots
# \quad\Rightarrow\quad \frac{\mathrm{Im}\, \varphi(ih)}{h} = \varphi' - \frac{h^2}{6} \varphi''' + \ldots \tag{3.5} $$
#
# The value $\varphi$ sits in the real part and the derivative in the imaginary part. Nothing is subtracted, so nothing cancels, and there is
# no second term that grows as $h$ falls. Take $h = 10^{-30}$: the truncation error is of the order $10^{-60}$. Why does such a small step not drown in
# rounding? Look at one product, of numbers that carry their derivatives as imaginary parts:
#
# $$ (a + i h a')(b + i h b') = (a b - h^2 a' b') + i h\, (a b' + a' b) \tag{3.6} $$
#
# In the real part $10^{-60}$ vanishes beside $ab$, which is therefore the plain forward pass, to the last bit. The imaginary part
# is the product rule, with a factor $h$ that is common to all its terms. A common factor costs no digits.
#
# Here are the three as code, and the loss of a three-layer model along a random line.

# %%
def forward_difference(phi, h):
    return (phi(h) - phi(0.0)) / h


def central_difference(phi, h):
    return (phi(h) - phi(-h)) / (2 * h)


def complex_step(phi, h=1e-30):
    return phi(1j * h).imag / h


rng = np.random.default_rng(SEED)
Z, y = la.RegressionTask(n=20, d=5).sample(by_profile(4, 10), rng)
params, v = 0.3 * rng.standard_normal((2, 3, 1, 2, 5, 5))
_, g = la.loss_and_grad(params, Z, y, backend="numpy")
phi = lambda t: la.loss(params + t * v, Z, y)
single = [array.astype(np.float32) for array in (params, v, Z, y)]  # 32 bits, 7 digits
phi32 = lambda t: np.float32(la.loss(single[0] + np.float32(t) * single[1], *single[2:]))

# %% [markdown]
# The error of each against $h$. The reference is $\langle g, v \rangle$ with the gradient of lesson 02, whose audit is still to come. Run the cell and turn $h$ to read the numbers.

# %%
steps, slope = np.logspace(0, -30, 61), (g * v).sum()
relative = lambda value: max(abs(float(value) - slope) / abs(slope), 1e-17)
with np.errstate(all="ignore"):
    errors = {
        "forward, 32 bits": [relative(forward_difference(phi32, h)) for h in steps],
        "forward difference": [relative(forward_difference(phi, h)) for h in steps],
        "central difference": [relative(central_difference(phi, h)) for h in steps],
        "complex step": [relative(complex_step(phi, h)) for h in steps],
    }


def draw_errors(exponent):
    return pictures.errors_against_step(steps, errors, exponent)


slider(draw_errors, "Relative error against step size. The three differences fall, turn and "
                    "rise again, to 1 and above; the complex step falls to 1e-15 and stays "
                    "there, down to 1e-30.",
       exponent=knob(range(0, -31, -1), -8, "exponent of h"))
best = {name: min(values) for name, values in errors.items()}
reveal("03.p2", round(-np.log10(best["forward difference"]), 1),
       f"Central: {-np.log10(best['central difference']):.1f} digits. Complex: "
       f"{-np.log10(max(best['complex step'], 1e-16)):.0f}. In 32 bits: "
       f"{-np.log10(best['forward, 32 bits']):.1f}.")

# %% [markdown]
# Below $h = 10^{-16}$ a difference is $0/h$, and its relative error is 1. The complex step does not notice.
#
# **Scalars: the order.** A test that needs no complex numbers: subtract the claim, and see how fast the rest falls.
#
# $$ R(t) = \big| \varphi(t) - \varphi(0) - t \langle g, v \rangle \big|
# = \Big| t \langle c - g, v \rangle + \frac{t^2}{2} \varphi'' + \ldots \Big| \tag{3.7} $$
#
# Halve $t$. If $g$ is right, $R$ falls to a quarter, slope 2 on logarithmic axes; if not, to a half, slope 1, once $t$ is small enough.
#
# **Indices.** With $v = e_k$, the $k$-th unit vector, a test judges one entry. A random $v$ judges all of them at once. For independent
# normal entries of $v$, what a wrong gradient changes is normal too:
#
# $$ \frac{\mathrm{Im}\, f(\theta + i h e_k)}{h} = c_k, \qquad
# \langle g - c, v \rangle = \sum_k (g_k - c_k)\, v_k \sim N\big(0, \|g - c\|^2\big) \tag{3.8} $$
#
# It is smaller than $\tau \|g - c\|$ with a probability of less than $0.8\, \tau$, since $0.8$ is twice the density of $N(0, 1)$ at zero. So
# one random direction is enough, *if the tolerance is tight*. A mistake of relative size $\delta$ is seen only where the tolerance is below $\delta$.
#
# **Matrices: the adjoint.** A layer is a function $F$ from arrays to arrays, with a Jacobian $J_{ij} = \partial F_i / \partial Z_j$. Forward, a
# direction $u$ becomes $J u$. Backward, a cotangent $\mathrm{dout}$ becomes $J^\top \mathrm{dout}$: that is what a backward pass claims to compute. In indices both
# orders of summation are the same number,
#
# $$ \langle J u, \mathrm{dout} \rangle = \sum_{ij} \mathrm{dout}_i\, J_{ij}\, u_j = \langle u, J^\top \mathrm{dout} \rangle, \qquad J u = \mathrm{Im}\, F(Z + i h u) / h \tag{3.9} $$
#
# and neither $J$ nor a loss is needed. This is the *dot test*. A layer with a residual has $J = I + K$, and both sides contain
# $\langle u, \mathrm{dout} \rangle$. If $K$ is tiny, the identity drowns it, so test what is left:
#
# $$ \langle J u - u, \mathrm{dout} \rangle = \langle u, J^\top \mathrm{dout} - \mathrm{dout} \rangle \tag{3.10} $$
#
# **Matrices: each line by itself.** Move an intermediate $X$ in the middle of the forward pass along a random $vX$, and let the rest be
# computed from there:
#
# $$ \frac{1}{h}\, \mathrm{Im}\, f \big|_{X \,\to\, X + i h\, vX} = \langle dX, vX \rangle \tag{3.11} $$
#
# Go through the lines in backward order. The first one that fails has correct input and a wrong result: there is the mistake. $vX$ must be
# random. A $vX$ of ones sees only the sum of the entries of $dX$, and a transposed matrix has the same sum.
#
# **What the weak tests ask.** A small step along $-g$ changes the loss by $-\eta \langle c, g \rangle$. So
#
# $$ f(\theta - \eta g) < f(\theta) \ \text{ for small } \eta \quad\Leftarrow\quad \langle c, g \rangle > 0 . \tag{3.12} $$
#
# Every $g$ within 90 degrees of $c$ passes: half of all directions. The cosine is stricter, but blind to every factor; and for an error
# of relative size $\delta$ at a right angle to $c$
#
# $$ \cos(c, g) = \frac{1}{\sqrt{1 + \delta^2}}, \qquad \text{above } 0.99 \text{ up to } \delta = 0.14 \tag{3.13} $$
#
# Turn $g$ and stretch it. Light grey is where the loss falls, dark grey where the cosine is content.

# %%
moving(
    pictures.angle_and_length,
    "The true gradient c as an arrow to the right and g beside it, with a half disc of "
    "directions in which the loss falls and a narrow wedge in which the cosine is above 0.99; "
    "beside them, which of four tests let g pass.",
    angle=knob((0, 5, 15, 45, 85, 120), 45, "angle, degrees"),
    length=knob((0.5, 1.0, 2.0), 1.0, "length of g over c"),
)

# %% [markdown]
# <details><summary>May we use complex numbers here? The degree of the loss</summary>
#
# Covariates start with degree $a_0 = 0$ in the weights, labels with $b_0 = 0$. A score multiplies two covariates and a $Q$;
# a new covariate is a score times a $P'$ times a covariate, a new label a score times a label:
#
# $$ a_{l+1} = 3 a_l + 2, \qquad b_{l+1} = 2 a_l + 1 + b_l, \qquad \deg f = 2 b_L = 2,\ 12,\ 46 \ \text{ for } L = 1, 2, 3 \tag{3.14} $$
#
# The loss is a polynomial, so it has a derivative in the complex plane everywhere. Section 7 counts the degrees.
#
# </details>
#
# > **Where people slip**
# > - *A real step of $10^{-30}$.* It vanishes beside $\theta$. Only the imaginary part has room for it.
# > - *`np.abs`, `norm`, `vdot`, `.conj()` in the loss.* They forget the imaginary part without a warning, and the derivative is 0.
# > - *Slope 2 between any two steps.* Above, higher powers rule; below, rounding. Choose the steps before you look at $g$.
# > - *$v = g$.* Along its own direction a gradient looks best. Draw $v$ at random.
# > - *A special point.* Symmetric weights, one layer, $n = 1$, $d = 1$: many a mistake is not wrong there.

# %% [markdown]
# ## 3. On paper
#
# In lesson 02 the prompt with two examples had the loss $f(q) = (-10 q - 2)^2$, and at $q = -1$ it is 64, with the slope $-160$ and the
# second derivative 200. Let $h = 1$, a giant step, and $\varphi(t) = f(-1 + t) = (8 - 10 t)^2$.
#
# - Forward: $\varphi(1) - \varphi(0) = 4 - 64 = -60$. Off by $100 = \frac{h}{2} \varphi''$, as (3.2) says.
# - Central: $\frac{1}{2}(\varphi(1) - \varphi(-1)) = \frac{1}{2} (4 - 324) = -160$. Exact, since a parabola has no $\varphi'''$.
# - Complex: $\varphi(i) = (8 - 10 i)^2 = 64 - 100 - 160 i$. The imaginary part is $-160$, exact for the same reason. The real part is off
#   by $100 h^2$; with $h = 10^{-30}$ nobody would see it.
# - Order: the right slope leaves $R(t) = 100 t^2$, which is 1 and 0.01 at $t = 0.1$ and $0.01$. Half the slope, $-80$, leaves
#   $|100 t^2 - 80 t|$: 7 and 0.79. One falls by 100, the other by 9.
#
# **The dot test** for the one line $A = Z Q^\top Z^\top$, with covariates $x = (1, 3, 1)$ and $q = -1$, so $A_{ij} = -x_i x_j$. Move the
# first covariate, $u = (1, 0, 0)$, and take a cotangent $\mathrm{dout}$:
#
# $$ J u = -\begin{pmatrix} 2 & 3 & 1 \\ 3 & 0 & 0 \\ 1 & 0 & 0 \end{pmatrix}, \qquad
# \mathrm{dout} = \begin{pmatrix} 1 & 2 & 0 \\ 4 & 1 & 3 \\ 0 & 5 & 2 \end{pmatrix}, \qquad
# \langle J u, \mathrm{dout} \rangle = -(2 + 6 + 0 + 12 + 0) = -20 $$
#
# Backward, token 1 gets $-\sum_j \mathrm{dout}_{1j} x_j = -7$ as reader and $-\sum_i \mathrm{dout}_{i1} x_i = -13$ as what is read, $-20$ in all. Who forgets the
# second use gets $-7$, who counts the reader twice $-14$. Now replace it by ones: reader $-5$, read $-5$. Twice the reader is
# $-10$, and $\langle J u, \mathrm{dout} \rangle$ is $-10$ too. **The mistake passes, because the cotangent was special.** By machine:

# %%
x, u = np.array([1.0, 3, 1]), np.array([1.0, 0, 0])
dout = np.array([[1.0, 2, 0], [4, 1, 3], [0, 5, 2]])
square = lambda t: (8 - 10 * t) * (8 - 10 * t)
print("forward, central, complex:", square(1) - square(0), (square(1) - square(-1)) / 2,
      square(1j).imag)
for name, cotangent in (("dout", dout), ("ones", np.ones((3, 3)))):
    pushed = -(np.outer(u, x) + np.outer(x, u))  # J u
    reader, read = -(u @ cotangent @ x), -(u @ cotangent.T @ x)
    print(f"{name}: <J u, dout> = {(pushed * cotangent).sum():.0f}, backward "
          f"{reader + read:.0f}, twice the reader {2 * reader:.0f}")

# %% [markdown]
# ## 4. Code it
#
# **From entries to matrices.** The gradient entry by entry, a loop over $e_k$; then the whole Jacobian of one small layer, column by
# column, with $Ju$ and $J^\top \mathrm{dout}$ as matrix products; then the same without $J$: a single complex step, and the library's backward pass.

# %%
def complex_gradient(f, theta):
    """The gradient of the number f(theta), entry by entry: (3.8)."""
    gradient = np.zeros(theta.shape)
    for at in np.ndindex(theta.shape):
        unit = np.zeros(theta.shape)
        unit[at] = 1.0
        gradient[at] = complex_step(lambda t, unit=unit: f(theta + t * unit))
    return gradient


def push(F, Z, u, h=1e-30):
    """J u, the derivative of the array F(Z) along u: (3.9)."""
    return F(Z + 1j * h * u).imag / h


# %%
rng = np.random.default_rng(SEED)
Zs, us, douts = rng.standard_normal((3, 2, 5, 4))  # B = 2, N = 5, D = 4
Ps, Qs = rng.standard_normal((2, 1, 4, 4))  # one head
layer = lambda Z: la.attention.forward(Z, Ps, Qs)[0]
pull = lambda Z, dout: la.attention.backward(dout, la.attention.forward(Z, Ps, Qs)[1])[0]
units = np.eye(Zs.size).reshape(-1, *Zs.shape)
J = np.stack([push(layer, Zs, e).ravel() for e in units], axis=1)  # (40, 40)
gap = lambda a, b: f"{np.abs(a - b).max() / np.abs(b).max():.0e}"
by_entries = complex_gradient(lambda theta: la.loss(theta, Z, y), params)
table(("compared", "relative difference"), [
    ("gradient of the loss: 150 complex steps and loss_and_grad", gap(by_entries, g)),
    ("J u: matrix product and one complex step",
     gap(J @ us.ravel(), push(layer, Zs, us).ravel())),
    ("J^T dout: matrix product and the backward pass",
     gap(J.T @ douts.ravel(), pull(Zs, douts).ravel())),
])

# %% [markdown]
# ## 5. Audit it
#
# Three tests, stated once more: every entry equals its complex step (3.8); $\langle Ju, \mathrm{dout} \rangle = \langle u, J^\top \mathrm{dout} \rangle$, without the
# residual (3.10); the remainder (3.7) falls with slope 2. First on your own backward pass of one layer, then with planted mistakes.

# %%
def pull_with(Z, dout, mistake=None):
    """dZ of one layer, (2.5) to (2.13), with room for mistakes."""
    P, Q, n = Ps[0], Qs[0], Z.shape[1] - 1
    M = np.append(np.ones(n), 0.0)
    dV = (Z @ Q.T @ Z.mT * M).mT @ dout / n
    dA = dout @ (Z @ P.T).mT / n * (1.0 if mistake == "mask forgotten" else M)
    reader, read = dA @ Z @ Q, dA.mT @ Z @ Q.T
    if mistake == "read forgotten":
        read = 0.0
    if mistake == "reader twice":
        read = reader
    return dout + dV @ (P.T if mistake == "P transposed" else P) + reader + read


def three_tests(mistake, u, dout):
    f = lambda Z: (dout * layer(Z)).sum()  # a number: the layer with a cotangent
    got, phi = pull_with(Zs, dout, mistake), lambda t: f(Zs + t * u)
    entries = gap(got, complex_gradient(f, Zs))
    left, right = ((push(layer, Zs, u) - u) * dout).sum(), (u * (got - dout)).sum()
    t = 2.0 ** -np.arange(8, 15)
    R = np.array([abs(phi(s) - phi(0.0) - s * (got * u).sum()) for s in t])
    return entries, f"{abs(left - right) / abs(left):.0e}", np.log2(R[:-1] / R[1:]).mean()


# %%
mistakes = (None, "mask forgotten", "read forgotten", "reader twice", "P transposed")
found = [(m or "none: yours", *three_tests(m, us, douts)) for m in mistakes]
table(("mistake", "worst entry", "dot test", "slope"), found)

# %% [markdown]
# Each test catches each mistake, and none needs to know what the mistake was. What they do not say is *where* it is. That is what (3.11)
# is for. The library's audit runs it on every line of every layer; here somebody has forgotten the mask in (2.10).

# %%
forgotten = KNOWN["score_leaks_to_query"]
report = la.audit.audit_model(module=pictures.apply(forgotten), backend="numpy", batch=4)
lines = [row for row in report.rows if row.check == "probe" and row.quantity.startswith("2.")]
table(("line of layer 2", "<dX, vX>", "complex step", "error", "verdict"),
      [(r.label, r.got, r.reference, f"{r.error:.0e}", r.verdict) for r in lines])
print(*report.summary()[:2], sep="\n")

# %% [markdown]
# $dW$ and $dP$ come before the mistake and are right. $dA$ is the first that is wrong. Everything that is computed from it is wrong too,
# and would have sent you looking in the wrong place.
#
# **The catalogue.** Each entry replaces one line of the library's source. `apply` compiles the changed text, and we ask five
# questions of the gradient that comes out, at the paper's initial weights. (A few entries change a line and not the gradient. They are
# left out.)

# %%
TESTS = ("loss falls", "cosine > 0.99", "difference, 1 %", "within 0.02", "complex step")


def ask(mutation, params, Z, y, v, c):
    """The five answers: True where a test notices; c is the true gradient."""
    f = lambda theta: la.loss(theta, Z, y, KIND[mutation.module])
    g = gradient_with(mutation, params, Z, y)
    falls = pictures.trained_downhill(mutation, params, Z, y, f)  # 50 steps with it
    lengths = np.sqrt((g * g).sum() * (c * c).sum()) or 1.0  # one of them returns zeros
    quotient = forward_difference(lambda t: f(params + t * v), 1e-5)
    differs = abs((g * v).sum() - quotient) > 0.01 * abs(quotient)
    worst = np.abs(g - c).max()
    return (not falls, (g * c).sum() <= 0.99 * lengths, differs, worst > 0.02,
            worst > 1e-12 * np.abs(c).max())


# %%
rng = np.random.default_rng(SEED)
Zc, yc = la.RegressionTask(n=20, d=5).sample(8, rng)
start = la.init_params(rng, layers=3, d=5, std=0.05)
direction = rng.standard_normal(start.shape)
asked = REAL[:: by_profile(6, 1)]
answers = np.zeros((len(asked), len(TESTS)), bool)
truth = {kind: complex_gradient(lambda p, kind=kind: la.loss(p, Zc, yc, kind), start)
         for kind in ("linear", "softmax", "relu")}
with bar(len(asked), "wrong derivations", unit="mutation") as shown:
    for i, mutation in enumerate(asked):
        c = truth[KIND[mutation.module]]
        answers[i] = ask(mutation, start, Zc, yc, direction, c)
        shown.update()
caught = answers.sum(axis=0)
table(("test", f"catches, of {len(asked)}"), list(zip(TESTS, caught.tolist(), strict=True)))
reveal("03.p1", round(100 * caught[0] / len(asked)),
       "The others lead downhill all the same, as (3.12) allows.")

# %%
missed = ", ".join(f"{len(asked) - k} for {test}"
                   for test, k in zip(TESTS, caught, strict=True))
show(pictures.caught_and_missed([in_words(m) for m in asked], answers, TESTS),
     f"{len(asked)} wrong derivations by row, tests by column, a disc for caught and a cross "
     f"for missed. Crosses: {missed}.")

# %% [markdown]
# A disc is a mistake caught, a cross one that passes. "The loss falls" is nearly no test at all. The cosine forgives every factor and every
# small mistake. A percent, which is what 32 bits allow, lets a third of them pass, and an absolute tolerance a few; *which* ones
# depends on the weights, as section 6 shows. The command `python -m linattn_np audit --mutate` runs this on the full audit,
# which must also name the wrong line.
#
# **Why the audit has more than one check.** Checks that caught the same mistakes would be one check. Each of these has a mistake that it
# catches and that another check, asked about the same code, misses:

# %%
rows = [pictures.added_in_words(one) for one in what_each_check_adds()]
table(("this check", "catches", "which is missed by", "because"), rows)

# %% [markdown]
# **How the best test is deceived, 1: a function that is not analytic.** The same mean square, written in four ways:

# %%
def losses(error):
    return {
        "error * error": (error * error).mean(),
        "np.abs(error) ** 2": (np.abs(error) ** 2).mean(),
        "np.linalg.norm(error) ** 2 / B": np.linalg.norm(error) ** 2 / len(error),
        "np.vdot(error, error) / B": np.vdot(error, error) / len(error),
    }


error_at = lambda t: la.predict(params + t * v, Z) - y
rows = [(name, complex_step(lambda t, name=name: losses(error_at(t))[name]),
         central_difference(lambda t, name=name: losses(error_at(t))[name], 1e-5))
        for name in losses(y)]
table(("the loss is written", "complex step", "central difference"), rows)
with_abs = lambda theta: (np.abs(la.predict(theta, Z[:3]) - y[:3]) ** 2).mean()
by_hand = lambda theta: la.loss_and_grad(theta, Z[:3], y[:3], backend="numpy")[1]
for factor in (1, 2):
    judged = la.audit.audit_gradient(with_abs, lambda t, f=factor: f * by_hand(t), params)
    print(f"{factor} x the gradient: {judged.verdict}, judged by {judged.oracle}")

# %% [markdown]
# Three of the four say 0, and nothing warns you. So the complex step is itself held against a coarse difference before it
# is believed; seven digits are enough for that. Where the two disagree the audit leaves the complex step and judges by real differences: fewer digits,
# and the report says so. CANNOT JUDGE is left for where they give no number either, at a kink or with random numbers.
#
# **How it is deceived, 2: a special point.** A gradient that is right by accident passes rightly. Each row plants a mistake at a point where
# it changes nothing:

# %%
def at_point(id, **point):
    """The error that the mistake makes here, and how the audit judges the correct code here."""
    sizes = {"layers": 3, "d": 3, "n": 7, "batch": 3, "sigma": 0.3, "symmetric": False, **point}
    rng = np.random.default_rng(SEED)
    Z, y = la.RegressionTask(n=sizes["n"], d=sizes["d"]).sample(sizes["batch"], rng)
    theta = la.init_params(rng, sizes["layers"], sizes["d"], std=sizes["sigma"])
    theta = theta + theta.mT if sizes["symmetric"] else theta
    c = la.loss_and_grad(theta, Z, y, backend="numpy")[1]
    wrong = gradient_with(KNOWN[id], theta, Z, y)
    report = la.audit.audit_model(backend="numpy", **sizes)
    words = ", ".join(f"{key} = {value}" for key, value in point.items()) or "generic"
    error = np.abs(wrong - c).max() / np.abs(c).max()
    return words, in_words(KNOWN[id]), f"{error:.0e}", report.verdict


points = (("value_P_transposed", {}), ("value_P_transposed", {"symmetric": True}),
          ("residual_dropped", {"layers": 1}), ("dQ_transposed", {"d": 1}),
          ("dW_no_n", {"n": 1}), ("value_dropped", {"sigma": 0.0}))
rows = [at_point(id, **point) for id, point in points[: by_profile(2, 6)]]
table(("point", "planted mistake", "its error", "audit of the correct code"), rows)

# %% [markdown]
# An audit must therefore judge the point as well: it multiplies every line by random factors, and if no gradient moves, a mistake there
# could not show.
#
# ## 6. Experiment
#
# One question: what decides whether a loose test catches a mistake? One knob: $\sigma$, the size of the random weights. The wrong derivations
# of linear layers and of the stack, 38 of them, several seeds, each with its own weights and prompts. "The loss falls" is asked here as (3.12) puts it,
# $\langle c, g \rangle > 0$.

# %%
linear = [m for m in REAL if m.module in ("stack", "linear_attention")]


def relative_errors(mutations, sigma, seed, batch=8):
    """For each mutation: |g - c| / |c|, and which of five tests notice it."""
    rng = np.random.default_rng([SEED, seed])
    Z, y = la.RegressionTask(n=20, d=5).sample(batch, rng)
    theta = la.init_params(rng, layers=3, d=5, std=sigma)
    c = la.loss_and_grad(theta, Z, y, backend="numpy")[1]
    size, out = np.sqrt((c * c).sum()), []
    for mutation in mutations:
        g = gradient_with(mutation, theta, Z, y)
        delta, inner = np.sqrt(((g - c) ** 2).sum()) / size, (g * c).sum()
        cosine = inner / (size * np.sqrt((g * g).sum()))
        far = np.abs(g - c).max() > 0.02
        out.append((delta, inner <= 0, cosine <= 0.99, delta > 0.01, far, delta > 1e-12))
    return np.array(out)


# %%
sigmas, seeds = np.geomspace(0.005, 0.5, 9).round(3), by_profile(1, 5, 30)
with bar(len(sigmas), "sigmas", unit="sigma") as shown:
    measured = []
    for sigma in sigmas:
        measured.append([relative_errors(linear, sigma, seed) for seed in range(seeds)])
        shown.update()
measured = np.array(measured)  # (sigmas, seeds, mutations, 6)

# %%
counts = np.quantile(measured[..., 1:].sum(axis=2), [0.25, 0.5, 0.75], axis=1)
deltas = np.median(measured[..., 0], axis=1)  # (sigmas, mutations)
ids = ("value_P_transposed", "score_reader_only", "dV_W_not_turned", "dQ_transposed")
chosen = {in_words(KNOWN[id]): deltas[:, linear.index(KNOWN[id])] for id in ids}
names = ("loss falls", "cosine > 0.99", "relative 1 %", "absolute 0.02", "complex step")
ends = "; ".join(f"{name} from {counts[1, 0, k]:.0f} to {counts[1, -1, k]:.0f}"
                 for k, name in enumerate(names))
steepest = chosen[in_words(KNOWN[ids[0]])]
show(pictures.caught_against_size(sigmas, counts, names, deltas, chosen, seeds),
     f"Left, caught of {len(linear)} from the smallest to the largest sigma: {ends}. Right, "
     "relative errors on logarithmic axes: flat for a transposed dQ, slope 1 and 2 for W and "
     f"for what is read, and steepest for P transposed, from {steepest[0]:.0e} to "
     f"{steepest[-1]:.0e}.")

# %% [markdown]
# What a loose tolerance lets pass is not a small mistake. It is a large mistake at small weights. As in lesson 02, a path through $k$
# small matrices counts as $\sigma^k$, and who transposes $P$ in the value's path changes the gradient by a high power of $\sigma$ only (exercise 03.6 finds it). At the paper's
# initial weights, the grey line, that is of the order of $10^{-4}$. Training makes the weights grow, and at $\sigma = 0.5$ the same line is wrong
# by tens of percent. The complex step sees it at every $\sigma$. Run the cell, turn $\sigma$ and read the names:

# %%
def draw_names(sigma):
    at = int(np.argmin(np.abs(sigmas - sigma)))
    delta, noticed = deltas[at], np.median(measured[at, :, :, 2], axis=0) > 0.5
    return pictures.errors_by_name([in_words(m) for m in linear], delta, noticed, sigma)


middle = int(np.argmin(np.abs(sigmas - 0.05)))
passed = int((np.median(measured[middle, :, :, 2], axis=0) <= 0.5).sum())
slider(draw_names, f"Relative errors of {len(linear)} wrong gradients by name, sorted, on a "
                   f"logarithmic axis, from {deltas[middle].min():.0e} to "
                   f"{deltas[middle].max():.0e}; {passed} of them are crosses, which the "
                   "cosine lets pass.",
       sigma=knob(sigmas, 0.05, "sigma"))

# %% [markdown]
# ## 7. The paper and us
#
# The paper uses automatic differentiation and tests no gradient, so there is no experiment to compare. One fact of its model carries this lesson:
# the loss is a polynomial in the weights, of the degrees (3.14). We count the degree without any algebra: far from 0, a polynomial of
# degree $k$ winds $k$ times around the origin while its argument goes once around a large circle.

# %%
def degree(layers):
    """The degree of the loss of one prompt along a random line."""
    rng = np.random.default_rng(SEED)
    Z, y = la.RegressionTask(n=5, d=3).sample(1, rng)
    theta, v = rng.standard_normal((2, layers, 1, 2, 3, 3))
    circle = 1e4 * np.exp(2j * np.pi * np.linspace(0, 1, 401))
    angles = np.unwrap(np.angle([la.loss(theta + t * v, Z, y) for t in circle]))
    return round((angles[-1] - angles[0]) / (2 * np.pi))


facts([(f"degree of the loss for {L} layer{'s' * (L > 1)}", "follows from section 2, (3.14)",
        said, degree(L)) for L, said in ((1, 2), (2, 12), (3, 46))])

# %% [markdown]
# ## 8. Exercises
#
# Six cards. Write your answer in the cell under a card, run it, then the check.

# %% [markdown]
# ### Exercise 03.1 (derive, level 2, 10 min)
#
# Find the step at which the bound (3.4) of the central difference is smallest, and write it as a function of $\varepsilon$, $|\varphi|$ and
# $|\varphi'''|$. What error is left there? *Done:* the check passes.
#
# <details><summary>Hint 1</summary>Set the derivative of (3.4) by h to zero.</details>
#
# <!-- ### BEGIN SOLUTION -->
# <details><summary>Solution</summary>h f3 / 3 = eps f / h², so h³ = 3 eps f / f3. There the second term is twice the first, and their sum
# is a multiple of the power 2/3 of eps: about 11 of 16 digits are right.</details>
# <!-- ### END SOLUTION -->

# %%
def best_central_step(eps, f, f3):
    ### BEGIN SOLUTION
    return (3 * eps * f / f3) ** (1 / 3)
    ### END SOLUTION


# %%
check("03.1", best_central_step)

# %% [markdown]
# ### Exercise 03.2 (code, level 2, 10 min)
#
# Write the gradient of `f`, a function from an array to a number, at `x`, from calls of `f` alone. The check asks for twelve digits, which no difference quotient has.
# *Done:* the check passes, and `x` is unchanged.
#
# <details><summary>Hint 1</summary>An imaginary step into a complex copy of x, one entry at a time.</details>
# <details><summary>Hint 2</summary>np.ndindex(x.shape) counts through the entries.</details>

# %%
def gradient_from_values(f, x):
    ### BEGIN SOLUTION
    out = np.zeros(x.shape)
    for at in np.ndindex(x.shape):
        stepped = x.astype(complex)
        stepped[at] += 1e-30j
        out[at] = f(stepped).imag / 1e-30
    return out
    ### END SOLUTION


# %%
check("03.2", gradient_from_values)

# %% [markdown]
# ### Exercise 03.3 (code, level 2, 10 min)
#
# Write both sides of the dot test (3.9), for `forward(Z)` and `backward(Z, dout)`. The backward pass that the check hands you is wrong, so the
# sides differ: return them as they are. *Done:* two numbers, $\langle J u, \mathrm{dout} \rangle$ first.
#
# <details><summary>Hint 1</summary>J u is one complex step along u; J itself is not needed.</details>

# %%
def dot_sides(forward, backward, Z, u, dout):
    ### BEGIN SOLUTION
    pushed = forward(Z + 1e-30j * u).imag / 1e-30
    return (pushed * dout).sum(), (u * backward(Z, dout)).sum()
    ### END SOLUTION


# %%
check("03.3", dot_sides)

# %% [markdown]
# ### Exercise 03.4 (find the bug, level 1, 5 min)
#
# This slope of a mean square comes out as 0 for every input, and nothing complains. Repair one line. *Done:* the check passes.
#
# <details><summary>Hint 1</summary>What is the imaginary part of abs(1 + 1e-30j)?</details>

# %%
def slope_of_zero(prediction, v, y):
    error = prediction + 1e-30j * v - y
    return (np.abs(error) ** 2).mean().imag / 1e-30


# %%
def mean_square_slope(prediction, v, y):
    ### BEGIN SOLUTION
    error = prediction + 1e-30j * v - y
    return (error * error).mean().imag / 1e-30
    ### END SOLUTION


# %%
check("03.4", mean_square_slope)

# %% [markdown]
# ### Exercise 03.5 (find the bug, level 3, 15 min)
#
# The author of this backward pass of $A = Z Q^\top Z^\top$ has tested it with a dot test. It passes to the last digit, as the
# next cell shows. Find out what is wrong with the test, then with the code. *Done:* the repaired function is right at generic points.
#
# <details><summary>Hint 1</summary>Draw dA and Q at random, and look at dZ and dQ one after the other.</details>
# <details><summary>Hint 2</summary>There are two mistakes, and a symmetric dA hides both.</details>

# %%
def found_scores_backward(dA, Z, Q):
    """dZ (B, N, D) and dQ (D, D) from dA (B, N, N)."""
    return 2 * dA @ Z @ Q, (Z.mT @ dA @ Z).sum(axis=0)


symmetric, ones = Qs[0] + Qs[0].T, np.ones((2, 5, 5))
pushed = push(lambda Z: Z @ symmetric.T @ Z.mT, Zs, us)
got = found_scores_backward(ones, Zs, symmetric)[0]
print(f"the author's dot test: {(pushed * ones).sum():.12f} = {(us * got).sum():.12f}")

# %%
def scores_backward(dA, Z, Q):
    ### BEGIN SOLUTION
    return dA @ Z @ Q + dA.mT @ Z @ Q.T, (Z.mT @ dA.mT @ Z).sum(axis=0)
    ### END SOLUTION


# %%
check("03.5", scores_backward)

# %% [markdown]
# ### Exercise 03.6 (experiment, level 3, 15 min)
#
# With what power of $\sigma$ does the relative error of $P^\top$ for $P$ in (2.9) fall, for small $\sigma$? (The catalogue calls it `value_P_transposed`.) Count the small matrices on its way first,
# then measure. *Done:* within 10 percent of the power.
#
# <details><summary>Hint 1</summary>relative_errors([KNOWN["value_P_transposed"]], sigma, seed)[0, 0] is the error. Take medians over
# seeds.</details>
# <details><summary>Hint 2</summary>The slope is np.polyfit(np.log(sigmas), np.log(medians), 1)[0].</details>
# <details><summary>Hint 3</summary>P' acts on covariates. Which way leads from the loss through a later layer's scores to a covariate, and
# from there through P' and one more W or V to a weight?</details>
#
# <!-- ### BEGIN SOLUTION -->
# <details><summary>Solution</summary>The loss reaches a covariate through the scores of a later layer, with one Q (power 1). It goes on as dV, through a W
# with another Q (power 2), through the transposed P' (power 3), and into the gradient of an earlier Q through V, which holds that layer's P',
# or of an earlier P' through W (power 4). The whole gradient is of power 0.</details>
# <!-- ### END SOLUTION -->

# %%
def measure_power():
    ### BEGIN SOLUTION
    small, one = np.array([0.005, 0.01, 0.02]), [KNOWN["value_P_transposed"]]
    medians = [np.median([relative_errors(one, s, seed)[0, 0] for seed in range(9)])
               for s in small]
    return np.polyfit(np.log(small), np.log(medians), 1)[0]
    ### END SOLUTION


# %%
### BEGIN SOLUTION
power = measure_power()
### END SOLUTION
check("03.6", power)

# %% [markdown]
# ## 9. Exit ticket
#
# Write the letters in quotes.
#
# **t1.** A model trains for 1000 steps and its loss falls. What is known of the gradient?
#
# - (a) it is right
# - (b) it is right up to a positive factor
# - (c) it was mostly within 90 degrees of the right one
# - (d) nothing at all
#
# **t2.** Why may the complex step use $h = 10^{-30}$, and a difference quotient not?
#
# - (a) it subtracts nothing, so no digits cancel
# - (b) complex numbers have twice as many digits
# - (c) its truncation error is smaller
# - (d) it evaluates the function only once
#
# **t3.** All weights are symmetric, and every entry agrees with its complex step. What follows for $P^\top$ in place of $P$?
#
# - (a) the code has the right one
# - (b) the code has the wrong one
# - (c) the complex step is not to be trusted
# - (d) nothing

# %%
### BEGIN SOLUTION
t1 = "c"
t2 = "a"
t3 = "d"
### END SOLUTION
check("03.t1", t1)
check("03.t2", t2)
check("03.t3", t3)

# %% [markdown]
# **Further reading**
#
# - Squire and Trapp, *Using complex variables to estimate derivatives of real functions*, SIAM Review 40, 1998. Two pages: (3.5).
# - Martins, Sturdza and Alonso, *The complex-step derivative approximation*, ACM TOMS 29, 2003. What to do about `abs`, `max` and comparisons.
# - Higham, *Accuracy and Stability of Numerical Algorithms*, SIAM 2002. Where the $\varepsilon |\varphi|$ of (3.2) comes from.
# - `linattn_np/audit/checks/taylor.py`: how the audit decides which steps of (3.7) count, before it looks at $g$. Lesson 04 adds the next order.
