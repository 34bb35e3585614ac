"""The audit's own test: every wrong derivation is killed, its line named, and what cannot show is explained."""

import ast
import json
import multiprocessing
import re
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from difflib import SequenceMatcher
from pathlib import Path

import numpy as np
import pytest

from linattn_np.audit import audit_layer, audit_model
from linattn_np.audit.checks.program import check_programs, program_case
from linattn_np.audit.library.registry import entry_of, known_layers, layer_of_module
from linattn_np.audit.lines import derivation, source_of
from linattn_np.audit.mutation import CATALOGUE, EVERY, Mutation, apply, find_slip
from linattn_np.audit.mutation.adds import what_each_check_adds
from linattn_np.audit.mutation.judge import CHECKS, STACKS
from linattn_np.audit.mutation.mutant import module_of
from linattn_np.audit.mutation.programs import SHAPES, RowOutcome, judge_programs
from linattn_np.audit.mutation.run import WEAK, MutationRun, run_mutations
from linattn_np.audit.row import CANNOT_JUDGE, OK, WRONG
from linattn_np.kernels.operations import CLEAR
from linattn_np.layers import linear_attention as attention

pytestmark = pytest.mark.long
ROOT = Path(__file__).parents[1]
ONE_BY_ONE = pytest.mark.parametrize("mutation", CATALOGUE, ids=lambda m: m.id)
LAYERS = {entry_of(name).module.__name__.rpartition(".")[2] for name in known_layers()}
UNPACKED = (
    "vattention, vZ",
    "dF = mark",
    "Zh, vZh =",
    "douth, houth =",
    "(vG, vz, _)",
    "vC, vW1",
    "vgain, vC",
    "vq, vk, vv, vP",
    "vZ, vP",
    "vG, vz, _",
    "dG_out, dz_out",
    "hG_out",
    "dT, hT = dT[",
)


@pytest.fixture(scope="module")
def outcomes():
    """At both points, side by side: {sigma: MutationRun}."""
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        runs = {
            0.3: pool.submit(run_mutations, everything=True),
            0.05: pool.submit(run_mutations, catalogue=CATALOGUE, sigma=0.05),
        }
        return {sigma: run.result() for sigma, run in runs.items()}


@pytest.fixture(params=[0.3, 0.05])
def outcome(request, outcomes):
    return outcomes[request.param]


def test_all_are_killed_and_named(outcome):
    assert outcome.ok and not outcome.survivors, str(outcome)
    assert len(outcome.real) >= 50 and all(o.killed and o.line_named for o in outcome.real)


def test_each_of_the_main_checks_kills_every_wrong_line_of_a_gradient(outcome):
    wrong_lines = [o for o in outcome.real if o.mutation.kind == "gradient"]
    for check in ("complex", "probe", "dot", "taylor", "second"):
        assert [o.mutation.id for o in wrong_lines if not o.caught[check]] == []


def test_tangents_are_judged_line_by_line_and_in_the_hessian_vector_product(outcome):
    tangents = [o for o in outcome.real if o.mutation.kind == "tangent"]
    assert all(o.caught["tangent"] and not (o.caught["complex"] or o.caught["probe"] or o.caught["dot"]) for o in tangents)
    for o in tangents:  # H v of one layer by itself uses no tangent of its output, and lets none enter from behind
        at_the_end = (
            o.mutation.line == "vout"
            or o.mutation.line.endswith("'")
            or o.mutation.id.endswith(("hout", "htotal", "hZ_no_residual", "hb2_one_token"))
        )
        assert o.caught["second"] != at_the_end, o.mutation.id


def test_equivalent_ones_are_recognised_by_measuring(outcome):
    for o in outcome.outcomes:
        assert o.equivalent == bool(o.mutation.why_equivalent), f"{o.mutation.id}: measured {o.equivalent}"
        assert bool(o.explanation) == o.equivalent
        if o.mutation.kind == "gradient":
            assert o.equivalent == (not o.caught["complex"] and not o.caught["taylor"])
        if o.equivalent and o.mutation.line:  # its line changes, is named, and the change is lost further on
            assert o.line_named and f"of the lines {o.mutation.line}" in o.explanation


def test_weak_checks_miss_what_the_audit_finds(outcome):
    falls, cosine, absolute = (outcome.score(check) for check in WEAK)
    asked = outcome.asked(WEAK[0])
    assert falls < asked / 4 and cosine < asked and absolute < asked
    assert falls < cosine < absolute


def test_run_as_text_and_dictionary(outcome):
    lines = str(outcome).splitlines()
    assert max(map(len, lines)) <= 80 and f"killed {len(outcome.real)} of {len(outcome.real)}" in str(outcome)
    found = json.loads(json.dumps(outcome.to_dict(), allow_nan=False))
    assert found["ok"] and len(found["mutations"]) == len(outcome.outcomes) and set(found["scores"]) == {*CHECKS, *WEAK}


def test_each_check_adds_something_and_the_table_says_what():
    added = what_each_check_adds()
    assert all(one.holds for one in added), [str(one) for one in added if not one.holds]
    assert {one.check for one in added} == set(CHECKS)
    run = MutationRun([], {}, added=added)
    rows = run.table_of_additions().splitlines()
    assert max(map(len, rows)) <= 80 and len(rows) == len(added) + 1 and all(row.split()[0] in CHECKS for row in rows[1:])
    broken = MutationRun([], {}, added=[replace(added[0], missed=False)])
    assert not broken.ok and f"{added[0].check} adds nothing" in str(broken)


def test_every_row_of_a_program_is_judged_in_every_way():
    rows = judge_programs()
    assert [row for row in rows if not row.why_equivalent and not (row.killed and row.line_named)] == []
    assert all(not row.result_differs for row in rows if row.why_equivalent)
    assert len({row.way for row in rows}) == 6 and len(rows) > 900
    for shape in SHAPES:
        case = program_case(*SHAPES[shape])
        for which in ("gradient", "hvp"):
            steps = getattr(case.passes, which).steps
            changed = {row.index for row in rows if (row.shape, row.program) == (shape, which)}
            assert all(step.term.operation == CLEAR for i, step in enumerate(steps) if i not in changed)


def test_a_program_that_is_right_passes_and_a_wrong_row_survives_no_run():
    case = program_case(2, 1, 3, False, 5, seed=3)
    found = check_programs(case, case.passes.gradient, case.passes.hvp)
    assert len(found) > 35 and all(row.verdict == OK for row in found)
    row = RowOutcome("d x d", "hvp", 7, "factor lost", "vA1 = vP1 U1", "vA1", "", False)
    run = MutationRun([], {}, rows=[row])
    assert not run.ok and "survived: d x d hvp, vA1 = vP1 U1" in str(run)


def test_the_readme_has_the_number_that_the_program_prints():
    (number,) = re.findall(r"plants\s+(\d+) wrong derivations", (ROOT / "README.md").read_text())
    assert int(number) == sum(not mutation.why_equivalent for mutation in EVERY)


# the catalogue ----------------------------------------------------------------------------------------------------------


def test_the_data_fits_the_source():
    for mutation in EVERY:
        assert mutation.old != mutation.new and mutation.slip
        module = apply(mutation)
        if mutation.kind == "gradient":
            assert bool(mutation.hint) != bool(mutation.why_equivalent)
        if mutation.old.startswith('mark("d') and mutation.line:
            assert mutation.old.startswith(f'mark("{mutation.line}"')
        if mutation.kind == "gradient" and mutation.module in LAYERS and mutation.equation and mutation.line:
            assert derivation(module, "backward")[mutation.line].equation == mutation.equation


def test_catalogue_is_a_set():
    assert max(Counter(m.id for m in EVERY).values()) == 1
    assert max(Counter((m.module, m.old, m.new, m.also) for m in EVERY).values()) == 1
    assert {m.module for m in EVERY if m.kind in ("gradient", "layer")} == {"stack", "composed", *LAYERS}


@pytest.mark.parametrize("layer", sorted(LAYERS))
def test_every_line_of_a_derivation_has_a_mutation(layer):
    """Every line that makes a gradient, a tangent or the tangent of a gradient is changed by some mutation."""
    module = module_of(layer)
    text = source_of(module).splitlines()
    changed = set()
    for mutation in (m for m in EVERY if m.module == layer):
        blocks = SequenceMatcher(None, text, apply(mutation).__mutated__.splitlines(), autojunk=False).get_opcodes()
        changed |= {line for kind, start, stop, _, _ in blocks if kind != "equal" for line in range(start, max(stop, start + 1))}
    missing = []
    for function in ast.parse(source_of(module)).body:
        if isinstance(function, ast.FunctionDef) and function.name in ("backward", "tangent", "backward_tangent"):
            for node in (node for node in function.body if isinstance(node, ast.Assign)):
                names = [name.id for target in node.targets for name in ast.walk(target) if isinstance(name, ast.Name)]
                derived = any(re.fullmatch(r"[dvh]([A-Z]\w*|[bz]\d?|out|mean)", name) for name in names)
                if derived and not set(range(node.lineno - 1, node.end_lineno)) & changed:
                    missing.append(text[node.lineno - 1].strip())
    assert [line for line in missing if not line.startswith(UNPACKED)] == []


def test_a_line_that_moved_away_is_reported():
    with pytest.raises(ValueError, match="mutation gone: expected its line once in linear_attention.py, found it 0 times"):
        apply(Mutation("gone", "attention", "no such line", "", "dA", "", ""))


def test_mutating_leaves_the_library_alone():
    before = attention.backward
    module = apply(next(m for m in CATALOGUE if m.id == "dQ_transposed"))
    assert attention.backward is before is not module.backward


# one mutation at a time, through the public functions -------------------------------------------------------------------


@ONE_BY_ONE
def test_layer_audit_alone(mutation):
    """One layer by itself, with full P and Q and a random cotangent: what the stack does is out of its sight."""
    if mutation.module in STACKS or mutation.id.startswith("readout"):
        return
    name = layer_of_module(mutation.module)
    report = audit_layer(name, module=apply(mutation), d=3, n=5, batch=2)
    always_equal = ("dV_masked", "relu_step_from_W", "mlp_step_from_E")
    assert (report.verdict == WRONG) == (mutation.id not in always_equal), str(report)
    if mutation.line and mutation.line != "dmatrices":
        first = report.first_wrong
        assert first.quantity == mutation.line and (not mutation.equation or f"({mutation.equation})" in first.label)


def test_model_audit_names_line_number_and_formula():
    report = audit_model(module=apply(next(m for m in CATALOGUE if m.id == "reader_Q_transposed")), backend="numpy")
    first = report.first_wrong
    assert first.label == "2.dZ_reader (2.12)" and "should be dZ += dA Z Q, reader" in first.note


def test_at_one_layer_mistakes_hide_and_the_audit_says_so():
    run = run_mutations(catalogue=[m for m in CATALOGUE if m.id in ("value_dropped", "dP_transposed")], layers=1, d=3, n=7)
    assert not run.ok and run.reasons and not any(o.caught["complex"] for o in run.outcomes)
    assert "cannot judge at this point" in str(run)


def test_symmetric_weights_hide_a_transposition_from_the_gradient():
    mutation = next(m for m in CATALOGUE if m.id == "value_P_transposed")
    rows = audit_model(module=apply(mutation), symmetric=True, d=3, n=7, backend="numpy").rows
    assert {row.check for row in rows if row.verdict == WRONG} <= {"second", "kernel"}  # a direction may be asymmetric
    assert any(row.verdict == CANNOT_JUDGE and row.quantity == "P" for row in rows)
    assert audit_model(module=apply(mutation), d=3, n=7, backend="numpy").first_wrong.quantity == "1.dZ_value"


def test_a_survivor_is_reported(monkeypatch):
    for module in ("complex_step", "probes", "dot", "taylor", "second"):
        monkeypatch.setattr(f"linattn_np.audit.checks.{module}.WRONG", "ok")
    run = run_mutations(catalogue=CATALOGUE[:1], d=3, n=7)
    assert not run.ok and "survived: loss_not_doubled" in str(run)


# hints for readers ------------------------------------------------------------------------------------------------------


def test_a_readers_answer_is_matched_with_a_slip():
    rng = np.random.default_rng(2)
    Z, P, Q = rng.standard_normal((2, 7, 4)), rng.standard_normal((1, 4, 4)), rng.standard_normal((1, 4, 4))
    out, tape = attention.forward(Z, P, Q)
    dout = rng.standard_normal(out.shape)
    dZ, dP, dQ = attention.backward(dout, tape)
    assert find_slip("linear_attention", "backward", (dZ - dout, dP, dQ), dout, tape).hint == "one use of Z is missing"
    assert find_slip("linear_attention", "backward", (dZ, dP, dQ.mT), dout, tape).hint == "transposed"
    assert find_slip("linear_attention", "backward", (dZ, 6 * dP, dQ), dout, tape).hint == "off by 1/n"
    assert find_slip("linear_attention", "backward", (dZ, dP, dQ), dout, tape) is None
    assert find_slip("linear_attention", "backward", (dZ, dP, 1.7 * dQ), dout, tape) is None
