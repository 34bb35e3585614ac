"""Lesson 20's system: graph algorithms by layers, the scalar layer and its sweep, what training is held against."""

import json
from pathlib import Path

import numpy as np
import pytest
from shapes import Recorder, complaints

import linattn_np as la
from linattn_np.experiments.papers import electric_flow as paper
from linattn_np.experiments.papers.electric_flow import claims, construction, figure, graphs, recursions, scalar_layer, training
from linattn_np.layers.general_attention import GeneralAttention

FIGURE = Path(__file__).parents[1] / "figures" / "electric_flow.json"
PATH = np.array([[1.0, 0], [-1, 2], [0, -2]])  # a - b of weight 1, b - c of weight 4
UNIT = np.array([1.0, 0, -1])  # one unit goes in at a and comes out at c


# ---------------------------------------------------------------- by hand


def test_two_layers_by_hand():
    """L = [[1, -1, 0], [-1, 5, -4], [0, -4, 4]]; Phi_1 = Psi, L Phi_1 = (1, 3, -4), Phi_2 = 2 Psi - (1, 3, -4)."""
    assert graphs.laplacian(PATH).tolist() == [[1, -1, 0], [-1, 5, -4], [0, -4, 4]]
    assert la.papers.electric_flow.potentials(PATH, UNIT, [1, 1]).tolist() == [1, -3, 2]
    assert paper.potentials(PATH, UNIT[:, None], [1]).tolist() == [[1], [0], [-1]]
    assert np.allclose(recursions.exact(PATH, UNIT[:, None], -1.0)[:, 0], [3 / 4, -1 / 4, -1 / 2], atol=1e-15)


def test_one_scalar_layer_by_hand():
    """phi = 1, psi = 2, l = 3 and v, r, s, w, rho, u = 2, -1, 1, 1, 0, -1: a = -2, so phi' = 8 - 2, psi' = 8, l' = 12.

    With dphi', dpsi', dl' = 1, 1, 2: da = 2 (-2) 3 (2) = -24, dl = 8 + 24 + 2 + 2.
    """
    state = scalar_layer.State(*(np.full((1, 1, 1), value) for value in (1.0, 2.0, 3.0)))
    out, tape = scalar_layer.forward(state, np.array([[2.0, -1, 1, 1, 0, -1]]))
    assert [each.item() for each in out] == [6, 8, 12]
    dstate, dweights = scalar_layer.backward(scalar_layer.State(*(np.full((1, 1, 1), value) for value in (1.0, 1.0, 2.0))), tape)
    assert [each.item() for each in dstate] == [8, 3, 36] and dweights.tolist() == [[3, 2, 1, 6, -24, -72]]


# ---------------------------------------------------------------- by layers


@pytest.mark.parametrize("n, kind, k", [(11, "skip-circle", 3), (5, "full", 2), (13, "skip-circle", 1)])
def test_the_layers_are_the_algorithms(n, kind, k):
    rng = np.random.default_rng(n)
    B, Psi = graphs.random_graphs(rng, 2, n, kind), graphs.demands(rng, 2, n, k)
    steps = rng.uniform(0.01, 0.1, 7)
    for name, arguments in (("potentials", (steps,)), ("resistive", (0.05, 7)), ("heat", (0.2, 7))):
        wanted = getattr(recursions, name)(B, Psi, *arguments)
        assert np.abs(getattr(paper, name)(B, Psi, *arguments) - wanted).max() < 1e-12 * np.abs(wanted).max(), name
    assert np.abs(paper.eigenvectors(B[0], Psi[0], 20.0, 7) - recursions.eigenvectors(B[0], Psi[0], 20.0, 7)).max() < 1e-12


def test_one_graph_is_a_graph_of_many():
    rng = np.random.default_rng(1)
    B, Psi = graphs.random_graphs(rng, 3, 11), graphs.demands(rng, 3, 11, 2)
    every = paper.potentials(B, Psi, [0.1, 0.2])
    assert np.array_equal(paper.potentials(B[1], Psi[1], [0.1, 0.2]), every[1])
    assert np.abs(paper.potentials(B[1], Psi[1, :, 0], [0.1, 0.2]) - every[1, :, 0]).max() < 1e-14


def test_with_many_layers_they_arrive():
    rng = np.random.default_rng(2)
    B, Psi = 0.5 * graphs.random_graphs(rng, 1, 7, "full")[0], graphs.demands(rng, 1, 7, 2)[0]
    values, vectors = np.linalg.eigh(graphs.laplacian(B))
    step = 1 / values[-1]
    assert np.allclose(paper.potentials(B, Psi, np.full(400, step)), recursions.exact(B, Psi, -1.0), atol=1e-10)
    assert np.allclose(paper.resistive(B, Psi, step, 400), recursions.exact(B, Psi, -0.5), atol=1e-10)
    kernel = vectors * np.exp(-0.3 * values) @ vectors.T
    assert np.abs(paper.heat(B, Psi, 0.3, 800) - kernel @ Psi).max() < 3e-3
    found = paper.eigenvectors(B, rng.standard_normal((7, 3)) + 1, 0.75 * values[-1], 600)
    assert np.allclose(np.abs(found.T @ vectors[:, :3]), np.eye(3), atol=1e-6)


def test_edges_have_neither_order_nor_direction():
    rng = np.random.default_rng(3)
    B, Psi = graphs.random_graphs(rng, 1, 11)[0], graphs.demands(rng, 1, 11, 2)[0]
    turned = B[:, rng.permutation(B.shape[1])] * rng.choice([-1.0, 1.0], B.shape[1])
    assert np.allclose(paper.potentials(turned, Psi, [0.1, 0.2]), paper.potentials(B, Psi, [0.1, 0.2]), atol=1e-13)
    order = rng.permutation(11)
    assert np.allclose(paper.potentials(B[order], Psi[order], [0.1]), paper.potentials(B, Psi, [0.1])[order], atol=1e-13)


def test_the_molecule_and_the_town_are_in_one_piece():
    B = graphs.molecule()
    assert B.shape == (28, 31) and np.linalg.eigvalsh(graphs.laplacian(B))[1] > 0.01
    assert np.array_equal(np.sort(np.diag(graphs.laplacian(B)))[[0, -1]], [1, 4])  # a carbon has four neighbours at most
    ends, widths, places = graphs.town(np.random.default_rng(0), 4, 3, closed=5)
    assert len(ends) == len(widths) == 17 - 5 and len(places) == 12
    assert np.linalg.eigvalsh(graphs.laplacian(graphs.incidence(12, ends, widths)))[1] > 1e-9


# ---------------------------------------------------------------- the scalar layer is the layer on tokens


def test_the_scalar_recursion_is_the_transformer():
    rng = np.random.default_rng(4)
    B, Psi = 0.3 * graphs.random_graphs(rng, 1, 11)[0], graphs.demands(rng, 1, 11, 3)[0]
    scalars = 0.3 * rng.standard_normal((4, 6))
    values, vectors = np.linalg.eigh(graphs.laplacian(B))
    phi = scalar_layer.run(scalars[None], values[None])[0].phi[0, 0]
    wanted = vectors * phi @ vectors.T @ Psi
    assert np.abs(construction.run(B, Psi, scalars) - wanted).max() < 1e-12 * np.abs(wanted).max()


def test_the_scalar_sweep_is_the_backward_pass_of_attention():
    """Attention's own dP and dR, traced over their blocks, are the gradient that the scalar sweep gives."""
    rng = np.random.default_rng(5)
    B, Psi = 0.3 * graphs.random_graphs(rng, 1, 5, "full")[0], graphs.demands(rng, 1, 5, 3)[0]
    m, k, layers = B.shape[1], 3, 3
    scalars = 0.3 * rng.standard_normal((layers, 6))
    layer = GeneralAttention(mask=np.ones(5), c=1.0)
    Z, tapes = np.concatenate([B, Psi, np.zeros((5, k))], axis=1)[None], []
    for each in scalars:
        Z, tape = layer.forward(Z, *construction.weights(m, k, each))
        tapes.append(tape)
    Phi, target = Z[0, :, m + k :], recursions.exact(B, Psi, -1.0)
    length = np.sqrt((Phi**2).sum())
    H = Phi / length
    dH = 2 * (H - target / np.sqrt((target**2).sum()))
    dZ, found = np.zeros_like(Z), np.zeros((layers, 6))
    dZ[0, :, m + k :] = (dH - H * (H * dH).sum()) / length
    at, demand, potential = np.arange(m), np.arange(m, m + k), np.arange(m + k, m + 2 * k)
    for l in reversed(range(layers)):
        dZ, dP, _, dR = layer.backward(dZ, tapes[l])
        blocks = (dP[0][potential, potential], dR[potential, demand], dR[potential, potential], dP[0][demand, demand])
        found[l] = [each.sum() for each in (*blocks, dR[at, at], dP[0][at, at])]
    spectra = graphs.spectra(B[None], Psi[None])
    value, grad = scalar_layer.loss_and_grad(scalars[None], *spectra, scalar_layer.wanted(*spectra, -1.0))
    assert abs(value[0] - ((H - target / np.sqrt((target**2).sum())) ** 2).sum()) < 1e-12
    assert np.abs(grad[0] - found).max() < 1e-10 * np.abs(found).max()


def test_the_loss_sees_no_length_and_is_zero_at_the_answer():
    l, q = np.random.default_rng(6).uniform(0.5, 2.0, (2, 3, 5))
    target = scalar_layer.wanted(l, q, -0.5)
    value, tape = scalar_layer.loss_forward(np.stack([7 * l**-0.5, l]), q, target)
    assert value[0] < 1e-28 and value[1] > 1e-3
    assert np.abs((scalar_layer.loss_backward(tape) * np.stack([l, l]))[1].sum()) < 1e-14  # along phi nothing changes


def test_what_updating_does_to_an_eigenvalue():
    """At l = (1 + e) / 3 the layer a = 1 - l gives (4 - 3 e^2 + e^3) / 27: a distance e from the maximum is squared."""
    e = np.array([0.5, 0.1, -0.3])
    l = np.broadcast_to((1 + e) / 3, (1, 1, 3))
    out, _ = scalar_layer.forward(scalar_layer.start(l), np.array([[0, 0, 0, 0, 0, -1.0]]))
    assert np.allclose(out.l[0, 0], (4 - 3 * e**2 + e**3) / 27, rtol=1e-14)


# ---------------------------------------------------------------- training and what it is held against


def test_chebyshevs_steps_by_their_polynomial():
    """prod (1 - delta x) is T_L mapped to the interval, so its largest size there is 1 / T_L((high + low) / (high - low))."""
    steps = training.chebyshev_steps(0.5, 3.0, 5)
    x = np.linspace(0.5, 3.0, 1001)
    assert np.isclose(np.abs(np.prod(1 - steps[:, None] * x, axis=0)).max(), 1 / np.cosh(5 * np.arccosh(3.5 / 2.5)), rtol=1e-12)
    assert training.chebyshev_steps(np.array([0.5, 1.0]), 3.0, 1).tolist() == [[2 / 3.5], [0.5]]


def test_training_moves_what_is_free_and_keeps_the_best_start():
    size = training.Size(20, 50, 20, 3, 40)
    for mode, free in training.MODES.items():
        first = training.first_scalars(np.random.default_rng([0, 2]), mode, 2, 3)
        found = training.train(mode, "electric", "skip-circle", 2, 0, size)
        still = ~np.isin(scalar_layer.NAMES, free)
        assert (found["scalars"][:, still] == 0).all() and (found["scalars"] != first[0])[:, ~still].any()
        assert np.allclose(found["condition"][1:], found["condition"][0]) == ("u" not in free)  # scaling B changes no ratio
    seen, _ = training.data(0, "full", size)
    candidates = np.stack([training.steps_to_scalars(np.full((1, 3), step))[0] for step in (5.0, 0.8, np.nan)])
    assert np.array_equal(training.chosen(candidates, "electric", seen)[0], candidates[1])


def test_a_full_layer_of_steps_is_the_scalar_layer():
    steps = np.array([[0.1, 0.2, 0.3]])
    rng = np.random.default_rng(7)
    B, Psi = graphs.random_graphs(rng, 1, 9)[0], graphs.demands(rng, 1, 9, 2)[0]
    by_scalars = construction.run(B, Psi, training.steps_to_scalars(steps)[0])
    assert np.array_equal(by_scalars, paper.potentials(B, Psi, steps[0]))


# ---------------------------------------------------------------- claims, acceptance, errors


def test_the_claims_read_their_numbers():
    rows = np.array([[-1.0, -2, -3, -4, -5], [-1.0, -2.5, -3, -4, -6]])
    numbers = {
        "log_loss": {
            key: {"each_seed": (rows * factor).tolist()} for key, factor in zip(claims.LOGGED, (1, 2, 3, 4), strict=True)
        },
        "identities": {"a": [1e-15, 2e-15], "b": [3e-15, 0.0]},
    }
    assert claims.level(claims.FROZEN, 9, numbers)["each_seed"] == [-5, -6]
    assert claims.gap(claims.UPDATED, claims.FROZEN, 5, numbers)["each_seed"] == [3, 3]
    assert claims.least_drop(claims.FROZEN, numbers)["each_seed"] == [1, 0.5]
    assert claims.identities(numbers)["each_seed"] == [3e-15, 2e-15]
    assert {claim.id: claim.code for claim in paper.CLAIMS}["electric_flow.updating.9"] == "2.26"


def test_what_must_come_out_does():
    """The acceptance lines, on the committed figure: frozen against fixed and Chebyshev steps, slope, what updating adds."""
    numbers = json.loads(FIGURE.read_text())
    frozen, updated = (np.median(claims.every_seed(numbers, key), axis=0) for key in (claims.FROZEN, claims.UPDATED))
    fixed, chebyshev = (np.array(numbers["steps"][name]["median"])[:9:2] for name in ("fixed step", "Chebyshev"))
    assert (frozen <= chebyshev + 0.05).all() and (frozen[2:] <= fixed[2:] - 1.0).all()
    assert (np.diff(frozen) < 0).all() and (np.diff(updated) < 0).all() and chebyshev[-1] <= fixed[-1] - 2
    assert -0.75 < np.polyfit(training.DEPTHS, frozen, 1)[0] < -0.55
    assert frozen[1] - updated[1] >= 2 and frozen[2] - updated[2] >= 4
    assert max(map(max, numbers["identities"].values())) < 1e-12 and numbers["molecule"]["errors"][-1] < 1e-6


@pytest.mark.parametrize("call, says", [
    (lambda: paper.potentials(PATH[0], UNIT, [1]), r"B: expected an incidence matrix \(n, m\)"),
    (lambda: paper.potentials(PATH, UNIT[:2], [1]), r"Psi: expected demands at n = 3 nodes"),
    (lambda: paper.potentials(PATH, UNIT, 1.0), "deltas: expected 1 axes"),
    (lambda: paper.resistive(PATH, UNIT, 0.0, 3), "delta: expected a finite number above 0"),
    (lambda: paper.heat(PATH, UNIT, -1.0, 3), "t: expected"), (lambda: paper.heat(PATH, UNIT, 1.0, 0), "layers: expected"),
    (lambda: paper.eigenvectors(PATH, np.eye(3), 5.0, 0), "loops: expected"),
    (lambda: graphs.random_graphs(np.random.default_rng(0), 2, 7), "n: expected an integer of at least 9"),
    (lambda: graphs.random_graphs(np.random.default_rng(0), 2, 7, "star"), "kind: expected one of"),
])  # fmt: skip
def test_bad_input_is_named(call, says):
    with pytest.raises(ValueError, match=says):
        call()


def test_shape_comments_are_true():
    file = Path(scalar_layer.__file__)
    recorder, sizes, rng = Recorder([file]), {"S": 2, "G": 3, "E": 5}, np.random.default_rng(0)
    state = scalar_layer.State(*rng.uniform(0.5, 1.5, (3, 2, 3, 5)))
    weights, q = 0.3 * rng.standard_normal((2, 6)), rng.uniform(0.5, 1.5, (3, 5))
    out, tape = recorder.record(sizes, scalar_layer.forward, state, weights)
    recorder.record(sizes, scalar_layer.backward, out, tape)
    recorder.record(sizes, scalar_layer.tangent, out, weights, tape)
    _, loss_tape = recorder.record(sizes, scalar_layer.loss_forward, out.phi, q, q)
    recorder.record(sizes, scalar_layer.loss_backward, loss_tape)
    made = Path(construction.__file__)
    other = Recorder([made])
    other.record({"D": 11 + 2 * 3}, construction.weights, 11, 3, weights[0])
    for path, seen in ((file, recorder.seen), (made, other.seen)):
        assert complaints(path, path.read_text(), dict(seen)) == []


def test_the_picture_names_its_sizes():
    assert figure.sizes(la.experiments.scale.PAPER).endswith("best of 4 starts, 1,000 graphs for the test, 3 seeds")
