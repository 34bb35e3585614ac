"""Checks of interpreted drawing at tiny sizes: random numbers and prompts against mathematics, and twin against twin, to the last
bit.
"""

import math
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np

from ..._types import Array
from ...kernels import programs
from ...layers import gram
from ...prompts import NonlinearTask, RegressionTask

Modules = dict[str, ModuleType]


def same(got: Any, wanted: Any, tolerance: float = 0.0) -> None:
    """The bits, or numbers that differ by a tolerance relative to 1 + their size."""
    got, wanted = np.asarray(got), np.asarray(wanted)
    assert got.shape == wanted.shape, "another shape"
    if tolerance:
        assert np.all(np.abs(got - wanted) <= tolerance * (1 + np.abs(wanted))), "other numbers"
    else:
        assert np.array_equal(got, wanted), "other bits"


# ---------------------------------------------------------------- random numbers


def states_of(m: Modules, chunk: int = 0) -> tuple[Array, Array]:
    """The same state twice."""
    state = m["random_numpy"].lane_states(5, chunk, m["lanes"].LANES)
    return state.copy(), state.copy()


def check_bits(m: Modules) -> None:
    """Both twins give the published generator's bits."""
    wanted = [41943041, 58720359, 3588806011781223, 3591011842654386, 9228616714210784205, 9973669472204895162]
    one, other = (np.array([[1], [2], [3], [4]], np.uint64).repeat(4, axis=1) for _ in range(2))
    same([int(m["random"].next_bits(one, 2)) for _ in wanted], wanted)
    same([m["random_numpy"].next_bits(other)[1] for _ in wanted], np.array(wanted, np.uint64))
    same(one[:, 2], other[:, 2])
    same(one[:, 0], [1, 2, 3, 4])


def check_functions(m: Modules) -> None:
    """Uniform numbers, logarithm and exponential against their mathematics, and twin against twin, to the last bit."""
    compiled, definition = m["random"], m["random_numpy"]
    bits = np.array([0, 2**64 - 1, 2**63, 2**12, 12345678901234567890], np.uint64)
    same(definition.uniforms(bits), [((int(word) >> 12) + 0.5) / 2.0**52 for word in bits])
    same([compiled.uniform(word) for word in bits], definition.uniforms(bits))
    u = np.concatenate(
        [np.linspace(0.01, 3.0, 60), 2.0 ** -np.arange(1.0, 54.0, 7), 1 - 2.0 ** -np.arange(2.0, 54.0, 9), [math.sqrt(0.5)]]
    )
    exact = np.longdouble
    logarithms = np.log(u.astype(exact))
    assert np.all(np.abs(definition.log(u) - logarithms) <= 4e-16 * np.abs(logarithms)), "log"
    same([compiled.log(float(each)) for each in u], definition.log(u))
    y = np.concatenate([-np.linspace(0.0, 3.0, 41), [-100.5, -707.99]])
    assert np.all(np.abs(definition.exp(y) / np.exp(y.astype(exact)) - 1) <= 4e-16), "exp"
    y = np.append(y, [-708.0, np.nextafter(-708.0, -np.inf), -709.0])
    same(definition.exp(y[-2:]), [0.0, 0.0])
    assert definition.exp(y[-3:-2])[0] > 0
    same([compiled.exp(float(each)) for each in y], definition.exp(y))
    t = np.linspace(-0.5, 0.5, 41)
    angle = t.astype(exact) * (exact(np.pi) + exact(1.2246467991473531772e-16)) / 2
    sine, cosine = t * definition.polynomial(definition.SIN, t * t), definition.polynomial(definition.COS, t * t)
    assert np.all(np.abs(sine - np.sin(angle)) <= 4e-16 * np.abs(np.sin(angle))), "sin"
    assert np.all(np.abs(cosine / np.cos(angle) - 1) <= 4e-16), "cos"
    z, s, half = (
        np.linspace(-0.3466, 0.3465, 20).astype(exact),
        t.astype(exact) / 3,
        (exact(np.pi) + exact(1.2246467991473531772e-16)) / 2,
    )
    for name, powers, value, most in (  # the series themselves, without rounding
        ("EXP", z, np.exp(z), 1e-17), ("LOG", s * s, (np.log((1 + s) / (1 - s)) - 2 * s) / np.where(s == 0, 1, s**3), 1e-3),
        ("SIN", exact(t) ** 2, np.sin(half * t) / np.where(t == 0, 1, t), 2e-16), ("COS", exact(t) ** 2, np.cos(half * t), 2e-16),
    ):  # fmt: skip
        sums = sum(exact(each) * powers**i for i, each in enumerate(getattr(definition, name)))
        assert np.all((np.abs(sums - value) <= most)[np.abs(t[: np.size(powers)]) > 0]), f"terms of {name}"
    for name in ("LOG", "SIN", "COS", "EXP"):
        same(
            [compiled.polynomial(getattr(compiled, name), float(each)) for each in t],
            definition.polynomial(getattr(definition, name), t),
        )


def check_pairs(m: Modules) -> None:
    """Two normals for each two words: radius and angle, two of the low bits change sign and exchange."""
    for low in range(4):
        radius_bits, angle_bits = np.array([0x3FED5CC1A2B3C4D5], np.uint64), np.array([0x9A3F0123456789A0 + low], np.uint64)
        radius = math.sqrt(-2 * math.log(((int(radius_bits[0]) >> 12) + 0.5) / 2**52))
        angle = math.pi / 2 * (((int(angle_bits[0]) >> 12) + 0.5) / 2**52 - 0.5)
        pair = [radius * math.cos(angle) * (-1) ** (low & 1), radius * math.sin(angle)]
        made = m["random_numpy"].normal_pairs(radius_bits, angle_bits)
        same([made[0][0], made[1][0]], pair[::-1] if low & 2 else pair, 1e-14)
        same(m["random"].normal_pair(radius_bits[0], angle_bits[0]), [made[0][0], made[1][0]])


def check_normals(m: Modules) -> None:
    """The twins fill rows with the same bits and leave the same state; each lane is a stream of its own."""
    for rows in (1, 2, 5):
        ours, wanted = states_of(m)
        out = np.full((rows, m["lanes"].LANES), np.nan)
        m["random"].fill_normals(ours, out)
        same(out, m["random_numpy"].normals(wanted, rows))
        same(ours, wanted)
        alone = states_of(m)[0][:, 2:3].copy()
        same(m["random_numpy"].normals(alone, rows)[:, 0], out[:, 2])
    state, lanes = states_of(m)[0], m["lanes"].LANES
    for wrong in ((state[:3], np.empty((2, lanes))), (state[:, 1:], np.empty((2, lanes))), (state, np.empty((2, lanes - 1)))):
        refuses(m["random"].fill_normals, *wrong)


def refuses(function: Callable[..., Any], *arguments: Any) -> None:
    """A ValueError, before anything is drawn."""
    try:
        function(*arguments)
    except ValueError:
        return
    raise AssertionError(f"{arguments} were accepted")


SHAPES = (0.1, 0.5, 1.0, 2.5, 10.0)


def check_gammas(m: Modules) -> None:
    """The twins give the same bits, and candidates are taken as Marsaglia and Tsang say; the squeeze takes none that they would
    not.
    """
    definition = m["random_numpy"]
    ours, wanted = states_of(m, 1)
    shapes, lanes = np.repeat(SHAPES, 6), m["lanes"].LANES
    out, scratch = np.full((len(shapes), lanes), np.nan), np.full((2, lanes), np.nan)
    m["random"].fill_gammas(ours, shapes, out, scratch)
    same(out, definition.gammas(wanted, list(shapes)))
    same(ours, wanted)
    for shape in (0.0, -1.0, math.inf, math.nan):
        refuses(m["random"].fill_gammas, states_of(m)[0], np.array([shape]), np.empty((1, lanes)), np.empty((2, lanes)))
    m["random"].fill_gammas(states_of(m)[0], np.array([1e-10]), np.empty((1, lanes)), np.empty((2, lanes)))
    for shape in (1.0, 1.5, 8.0):
        check_acceptance(m, shape)
    d, c = 1.0, 1 / 3
    ours, wanted = states_of(m)
    found = m["random"].first_taken(ours, 1, -9.0, 0.5, c, d)
    part = wanted[:, 1:2].copy()
    x, u = np.array([-9.0]), np.array([0.5])
    while not definition.is_taken(x, u, c, d)[0]:
        x, u = (
            definition.normal_pairs(definition.next_bits(part), definition.next_bits(part))[0],
            definition.uniforms(definition.next_bits(part)),
        )
    same(found, x[0])
    same(ours[:, 1], part[:, 0])
    state = states_of(m)[0]
    drawn = definition.gammas(
        np.tile(state, 500) ^ np.arange(4 * 500, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15), [0.5, 2.5]
    )
    for shape, row in zip((0.5, 2.5), drawn, strict=True):  # 2,000 numbers: the mean to six of its errors
        assert abs(row.mean() - shape) < 6 * math.sqrt(shape / row.size)


NEAR = 1e-10  # relative to log u


def check_acceptance(m: Modules, shape: float) -> None:
    """The test of a gamma candidate at its boundary: a uniform number just below is taken, just above is not, by the twins and by
    ``fill_gammas``.
    """
    definition, compiled, lanes = m["random_numpy"], m["random"], m["lanes"].LANES
    d = shape - 1 / 3
    c = 1 / math.sqrt(9 * d)
    roots = np.array([4e-4, 0.02, 0.1, 0.5, 0.995, 1.4, 1.9])  # of v
    x = (roots - 1) / c
    v = (1 + c * x) ** 3
    limit = 0.5 * x * x + d * (1 - v + np.log(v))
    near = np.where(roots == 0.995, 1e-2, NEAR)
    assert np.all(np.log(np.maximum(1 - definition.SQUEEZE * x**4, 1e-300)) <= limit + 1e-15), "the squeeze takes too many"
    for taken, u in ((True, np.exp(limit * (1 + near))), (False, np.exp(limit * (1 - near)))):
        same(definition.is_taken(x, u.copy(), c, d), np.full(len(x), taken))
        for each, uniform in zip(x, u, strict=True):
            state = states_of(m)[0]
            assert (compiled.first_taken(state, 0, each, uniform, c, d) == each) == taken, "taken"
            assert np.array_equal(state, states_of(m)[0]) == taken, "drawn again"
            for lane in range(lanes):  # others get a candidate that is taken
                candidates, uniforms = np.zeros(lanes), np.full(lanes, 0.5)
                candidates[lane], uniforms[lane] = each, uniform
                values = dict(zip(range(lanes), uniforms, strict=True))
                replaced = {
                    "fill_normals": lambda state, out, candidates=candidates: out.__setitem__(0, candidates),
                    "next_bits": lambda state, lane: lane, "uniform": values.__getitem__,
                    "first_taken": lambda state, lane, x, u, c, d, right=definition.is_taken: (
                        x if right(np.array([x]), np.array([u]), c, d)[0] else 0.125
                    ),
                }  # fmt: skip
                before = {name: getattr(compiled, name) for name in replaced}
                compiled.__dict__.update(replaced)
                out = np.empty((1, lanes))
                compiled.fill_gammas(states_of(m)[0], np.array([shape]), out, np.empty((2, lanes)))
                compiled.__dict__.update(before)
                root = 1 + c * (each if taken else 0.125)
                same(out[0, lane], d * (root * root * root), 1e-14)
    assert not definition.is_taken(np.array([-1.1 / c]), np.array([1e-300]), c, d)[0], "v < 0"


# ---------------------------------------------------------------- prompts


def _tasks() -> list[Any]:
    covariance = np.array([[1.0, 0.3, 0.1], [0.3, 0.5, -0.2], [0.1, -0.2, 0.7]])
    return [
        RegressionTask(n=3, d=2), RegressionTask(n=2, d=3), RegressionTask(n=3, d=2, covariates="sphere", label_noise=0.5),
        RegressionTask(n=2, d=3, covariates="gamma", gamma_shape=0.7, gamma_scale=2.0, covariance=covariance),
        RegressionTask(n=2, d=2, label_noise=1e-10), NonlinearTask(n=2, d=2, hidden=3, network_seed=4),
        NonlinearTask(n=1, d=2, hidden=1),
    ]  # fmt: skip


def check_prompts(m: Modules) -> None:
    """The twins draw the same prompts to the last bits, and what they draw fits together: labels are <w, features of x>."""
    draws, definition, lanes = m["draws"], m["draws_numpy"], m["lanes"].LANES
    for task in _tasks():
        draws.law_of.cache_clear()
        law, batch = draws.law_of(task), lanes + 1
        (ours, wanted), room = states_of(m), np.full((law.rows, lanes), np.nan)
        Z, y = np.full((batch, task.n + 1, task.d + 1), np.nan), np.full(batch, np.nan)
        draws.fill_prompts(law, ours, room, Z, y)
        prompts = definition.prompts(task, batch, wanted)
        same(Z, prompts.Z, 1e-14)
        same(y, prompts.y, 1e-14)
        same(ours, wanted)
        check_labels(task, Z, y, m)


def check_labels(task: Any, Z: Array, y: Array, m: Modules) -> None:
    """The first lane's prompt, from its own stream: what is drawn, in the order that ``draws_numpy`` says."""
    n, d, random = task.n, task.d, m["random_numpy"]
    state = states_of(m)[0][:, :1].copy()
    numbers = random.normals(state, d + (n + 1) * d + (n if task.label_noise else 0))[:, 0]
    w, X, noise = numbers[:d], numbers[d : d + (n + 1) * d].reshape(n + 1, d), numbers[d + (n + 1) * d :]
    if task.covariates != "gaussian":
        squares = (
            random.gammas(state, [task.gamma_shape] * (n + 1)) * task.gamma_scale
            if task.covariates == "gamma"
            else np.ones((n + 1, 1))
        )
        X = X * np.sqrt(squares) / np.sqrt((X * X).sum(axis=1, keepdims=True))
    root = task.covariance_root()
    X = X if root is None else X @ root.T
    labels = task.features(X[None])[0] @ w
    same(Z[0, :, :-1], X, 1e-13)
    same(y[0], labels[-1], 1e-13)
    same(Z[0, :-1, -1], labels[:-1] + (task.label_noise * noise if task.label_noise else 0), 1e-13)
    same(Z[:, -1, -1], 0 * y)


def check_states(m: Modules) -> None:
    """States from tokens, from drawn tokens and from made-up examples, with zeros in the places left over."""
    linear, draws, lanes = m["linear"], m["draws"], m["lanes"].LANES
    for task in (RegressionTask(n=5, d=3), RegressionTask(n=3, d=4)):
        D, batch = task.d + 1, 2 * lanes + 3
        Z, y = task.sample(batch, np.random.default_rng(2))
        made = linear.empty_lanes(batch, D, task.n)
        linear.compress_chunk(Z, y, 0, 1, made.G, made.z, made.y)
        linear.compress_chunk(Z, y, 1, 3, made.G, made.z, made.y)
        hold(made, gram.compress(Z), y, batch)
        numbers = np.random.default_rng(3).standard_normal((2 * task.d + task.d * min(task.n, task.d) - _below(task), batch))
        drawn = linear.empty_lanes(batch, D, task.n)
        linear.gaussian_chunk(task.d, min(task.n, task.d), numbers, drawn.G, drawn.z, drawn.y)
        hold(drawn, *from_draws(task, numbers), batch)
        for triangle in (False, True):
            draws.law_of.cache_clear()
            law, (ours, wanted) = draws.law_of(task, triangle), states_of(m)
            room, filled = np.full((law.rows + (D + 1) ** 2, lanes), np.nan), linear.empty_lanes(batch, D, task.n)
            to_state = programs.state(law.N, task.d, D, law.rows).code
            linear.fill_states(law, to_state, ours, room, room[law.rows :], batch, filled.G, filled.z, filled.y)
            definition = m["draws_numpy"]
            if triangle:
                state, labels = definition.states(task, batch, wanted)
            else:
                Z, labels = definition.prompts(task, batch, wanted)
                state = gram.compress(Z)
            hold(filled, state, labels, batch)
            same(ours, wanted)
            if triangle:
                check_triangle(task, state, labels, m)


def _below(task: Any) -> int:
    m = min(task.n, task.d)
    return m * (m + 1) // 2 - m


def from_draws(task: Any, numbers: Array) -> tuple[Any, Array]:
    """The states of ``batches.gaussian_state``, written out."""
    d, m, batch = task.d, min(task.n, task.d), numbers.shape[1]
    R, row = np.zeros((batch, d, m)), m
    for j in range(m):
        R[:, j, j] = numbers[j]
        for i in range(j + 1, d):
            R[:, i, j], row = numbers[row], row + 1
    return _state(task, R.mT, numbers[row : row + d].T, numbers[row + d : row + 2 * d].T)


def check_triangle(task: Any, state: Any, labels: Array, m: Modules) -> None:
    """The triangle of a state from the first lane's own stream."""
    n, d, few = task.n, task.d, min(task.n, task.d)
    stream = states_of(m)[0][:, :1].copy()
    numbers = m["random_numpy"].normals(stream, 2 * d + sum(d - 1 - j for j in range(few)))[:, 0]
    squares = 2 * m["random_numpy"].gammas(stream, [(n - j) / 2 for j in range(few)])[:, 0]
    R, row = np.zeros((few, d)), 2 * d
    for j in range(few):
        R[j, j] = math.sqrt(squares[j])
        for i in range(j + 1, d):
            R[j, i], row = numbers[row], row + 1
    wanted, label = _state(task, R[None], numbers[None, :d], numbers[None, d : 2 * d])
    same(state.G[:1], wanted.G, 1e-13)
    same(state.z[:1], wanted.z, 1e-13)
    same(labels[:1], label, 1e-13)


def _state(task: Any, X: Array, w: Array, x: Array) -> tuple[Any, Array]:
    """The states of examples X (B, m, d) with task vectors w (B, d) and queries x (B, d), and the labels."""
    made = np.concatenate([X, (X @ w[..., None])], axis=2)
    return gram.State(made.mT @ made, np.concatenate([x, 0 * x[:, :1]], axis=1), task.n), (w * x).sum(axis=1)


def hold(lanes: Any, state: Any, y: Array, batch: int) -> None:
    """The lanes hold these states, and zeros in the places left over."""
    D = state.z.shape[1]
    G, z = lanes.G.transpose(0, 3, 1, 2).reshape(-1, D, D), lanes.z.transpose(0, 2, 1).reshape(-1, D)
    same(G[:batch], state.G, 1e-13)
    same(z[:batch], state.z, 1e-13)
    same(lanes.y.ravel()[:batch], y, 1e-13)
    assert np.all(G[batch:] == 0) and np.all(z[batch:] == 0) and np.all(lanes.y.ravel()[batch:] == 0), (
        "a place left over is not zero"
    )
