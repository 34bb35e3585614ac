"""Every shape comment in a module that holds a layer, a model, prompts or a measure is true, and a false one in any is found."""

from pathlib import Path

import numpy as np
import pytest
from points import B, D, H, N, d, layer_point, like, n
from shapes import Recorder, claims, complaints

import linattn_np as la
from linattn_np import batches, kernels
from linattn_np.kernels import operations, programs
from linattn_np.kernels.interpreter import LANES
from linattn_np.layers import (
    causal_softmax,
    cross_entropy,
    general_attention,
    gram,
    layer_norm,
    linear_attention,
    mlp,
    relu_attention,
    softmax_attention,
)
from linattn_np.measures import composed_diagonal, landscape, noise, smoothness_fits
from linattn_np.models.composed import Composed
from linattn_np.models.ties import Diagonal
from linattn_np.models.transformer import LinearTransformer

PACKAGE = Path(la.__file__).parent
FILES = [
    *(path for folder in ("layers", "models", "measures", "kernels") for path in sorted((PACKAGE / folder).glob("*.py"))),
    *(PACKAGE / name for name in ("prompts.py", "batches.py")),
]
WORDS = {"blocks", "some batches", "count", "steps", "rows", "columns", "prompts"}  # axes that are no size of the point
h, o, L, draws, T = 13, 3, 2, 17, 19
SIZES = {"B": B, "n": n, "N": N, "d": d, "D": D, "H": H, "h": h, "L": L, "draws": draws, "T": T, "LANES": LANES}
COMMENTED = [path for path in FILES if claims(path.read_text(encoding="utf-8"))]


@pytest.fixture(scope="module")
def seen():
    """What the lines of all these modules make, each run at sizes of its own."""
    recorder = Recorder(FILES)
    run = lambda sizes, function, *arguments, **named: recorder.record({**SIZES, **sizes}, function, *arguments, **named)
    for name, layer in (
        ("linear", linear_attention), ("softmax", softmax_attention), ("relu", relu_attention), ("state", gram),
        ("general", general_attention),
    ):  # fmt: skip
        X, weights, normal = layer_point(name)
        pass_through(run, {}, layer, [X, *weights], lambda a, normal=normal: like(a, normal))
        run({}, layer.readout_backward, run({}, layer.readout, X), X)
    rng = np.random.default_rng(0)
    network = [rng.standard_normal(shape) for shape in ((B, N, d), (h, d), (h,), (o, h), (o,))]
    pass_through(run, {"o": o}, mlp, network, lambda a: rng.standard_normal(a.shape))
    tokens = rng.standard_normal((B, N, D))
    pass_through(run, {}, layer_norm, [tokens, *rng.standard_normal((2, D))], lambda a: rng.standard_normal(a.shape))
    heads = [*rng.standard_normal((3, B, H, T, D))]
    pass_through(run, {}, causal_softmax, heads, lambda a: rng.standard_normal(a.shape))
    targets = rng.integers(0, D, (B, N))
    pass_through(run, {"K": D}, cross_entropy, [tokens], lambda a: np.array(rng.standard_normal(a.shape)), targets=targets)
    run({}, gram.compress_backward, run({}, gram.compress, tokens), tokens)
    run_prompts(run, rng)
    run_models(run, rng)
    return dict(recorder.seen)


def pass_through(run, sizes, layer, arguments, draw, **options):
    """All four functions of a layer."""
    out, tape = run(sizes, layer.forward, *arguments, **options)
    dout = draw(out)
    run(sizes, layer.backward, dout, tape)
    _, vtape = run(sizes, layer.tangent, *(draw(a) for a in arguments), tape)
    run(sizes, layer.backward_tangent, dout, draw(out), tape, vtape)


def run_prompts(run, rng):
    task = la.RegressionTask(n=n, d=d)
    run({}, task.sample, B, rng)
    run({"h": d, "o": d}, la.NonlinearTask(n=n, d=d, hidden=d).sample, B, rng)
    run({}, batches.gaussian_state, task, run({}, batches.draw_gaussian, task, B, rng))
    run({}, batches.can_draw_states, la.RegressionTask(n=n, d=d, covariance=np.eye(d)))
    run({}, la.RegressionTask(n=n, d=d, covariance=np.eye(d)).covariance_root)


def run_models(run, rng):
    """The models, what is measured on them, and their programs."""
    Z, y = la.RegressionTask(n=n, d=d).sample(B, rng)
    for full in (False, True):
        model = LinearTransformer(d, L, H, full, backend="numpy")
        params = model.init_params(rng, 0.3)
        sizes = {"k": params.shape[-1], "p": params.size, "m": 1}
        run(sizes, model.loss_and_grad, params, Z, y)
        H_matrix = run(sizes, model.hessian, params, Z, y)
        run(sizes, landscape.spectrum, H_matrix)
        run(sizes, landscape.directional_smoothness, params, rng.standard_normal(params.shape), Z, y, model)
        run({**sizes, "B": None}, noise.measure_noise, params, la.RegressionTask(n=n, d=d), 23, draws, rng, model)
    composed = Composed(d, h, L, H, backend="numpy")
    theta = composed.init_params(rng, 0.3)
    sizes = {"p": theta.size, "o": d, "q": D * (D + 1) // 2 + D}
    run(sizes, composed.loss_and_grad, theta, Z, y)
    run(sizes, composed_diagonal.hessian_diagonal, composed, theta, Z, y)
    run(sizes, composed.hvp, theta, Z, y, theta)
    run({"m": L * H * 2 * d}, Diagonal().map, (L, H, 2, d, d))
    run({}, smoothness_fits.fit_l0_l1, *rng.random((2, T)))
    run({}, kernels.lanes_from_tokens, Z, y)
    passes = programs.passes(L, H, d, False, n)
    run({}, lambda: passes.gradient.code)
    run({}, operations.evaluate, passes.gradient, np.zeros((passes.slots, B)), np.zeros(L * H * 2 * d * d))


def test_shape_comments_are_true(seen):
    assert [each for path in FILES for each in complaints(path, path.read_text(encoding="utf-8"), seen, WORDS)] == []


@pytest.mark.parametrize("path", COMMENTED, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_false_comment_on_any_line_is_found(seen, path):
    """An axis too many, an axis too few, and two axes exchanged, planted in each comment of the module in turn."""
    source = path.read_text(encoding="utf-8").splitlines()
    for (line, name), choices in claims("\n".join(source)).items():
        if (str(path), line, name) not in seen:
            continue  # a tape beside the array that the comment speaks of
        shapes = [choice for choice in choices if not WORDS & {*choice}] or choices
        first = shapes[0]
        wrong = [(*first, "N"), first[:-1] if len(first) > 1 else ("N", "N")]
        wrong += [first[::-1]] if len(first) > 1 and first[::-1] != first and not WORDS & {*first} else []
        for symbols in wrong:
            found = complaints(path, planted(source, line, symbols), seen, WORDS)
            assert any(each.startswith(f"{path.name}:{line} {name} is ") for each in found), (line, name, symbols)


def planted(source, line, symbols):
    """The module's text with another shape in the comment of the statement that begins on this line."""
    lines, last = list(source), line - 1
    while "# (" not in lines[last]:
        last += 1
    head, _, tail = lines[last].partition("# (")
    lines[last] = f"{head}# ({', '.join(symbols)},) {tail.partition(')')[2].removeprefix(' or (N, N)')}"
    return "\n".join(lines)
