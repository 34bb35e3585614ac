"""The audit on functions written as a reader of the README would write them: verdict, name and oracle of each are known."""

import numpy as np
import pytest
from audit_subjects import load

from linattn_np.audit import AuditError, audit_gradient

CASES = load()
STILL_WRONG = {  # what the audit does not yet answer as it should; to be empty
    "square_affine_of_the_template, input for cotangent",
    "square_affine_of_the_template, x for dout",
    "nested_dictionaries",
    "nested_dictionaries, W",
    "nested_tuples",
    "nested_tuples, b",
    "integer_arrays_are_not_differentiated",
    "integer_arrays_are_not_differentiated, overwritten",
    "a_mark_whose_result_is_not_used",
    "absolute_values",
    "absolute_values, sign",
    "absolute_values, 2",
    "norm",
    "norm, not divided",
    "conjugate",
    "conjugate, factor",
    "vdot",
    "vdot, factor",
    "python_float",
    "python_float, cos",
    "math_functions",
    "math_functions, exp",
    "float_buffer_in_forward",
    "float_buffer_in_forward, one row",
    "a_factor_that_is_one, k forgotten",
    "a_factor_that_is_one, k squared",
    "clip",
    "mean_absolute_error",
    "mean_absolute_error, sign",
    "real_part_taken",
    "real_part_taken, dW",
    "noise_in_backward",
    "stale_cache",
    "leaves_by_sys_exit",
    "leaves_by_sys_exit_in_backward",
    "log_determinant",
    "log_determinant, transposed",
    "sum_of_singular_values",
    "sum_of_singular_values, half",
    "eigenvalues_of_the_symmetric_part",
    "eigenvalues_of_the_symmetric_part, eigenvalue",
    "cholesky",
    "cholesky, upper part",
    "batch_norm",
    "cancelling_batch_norm",
    "cancelling_batch_norm, dx",
    "bias_before_batch_norm, dV",
    "one_array_at_a_kink, dV",
    "one_array_at_a_kink, dV, last row",
    "stationary_in_one_array, dA",
    "a_hundred_and_fifty_thousand_entries, one entry",
    "a_large_array_with_absolute_values",
    "a_large_array_with_absolute_values, one entry",
    "targets_that_sum_to_one",
    "saturated_tanh",
    "saturated_tanh, saturated",
    "many_kinks",
}


def said(case):
    """What is not as it should be with the audit of one subject; empty when all is well."""
    try:
        report = audit_gradient(*case.make())
    except AuditError as error:
        if case.verdict != "cannot be run":
            return f"cannot be run: {error}"
        return "" if case.says in str(error) else f"no {case.says!r} in {error}"
    except SystemExit:
        return "the audit was left without a verdict"
    if report.verdict != case.verdict:
        return f"{report.verdict}, not {case.verdict}\n{report}"
    first = report.first_wrong and report.first_wrong.quantity.replace(" ", "-")
    if case.first and first not in case.first:
        return f"first wrong {first}, not {' or '.join(case.first)}\n{report}"
    if case.oracle and getattr(report, "oracle", "complex step") != case.oracle:
        return f"oracle {report.oracle}, not {case.oracle}\n{report}"
    if case.says and case.says not in " ".join(str(report).split()):
        return f"no {case.says!r} in\n{report}"
    return ""


@pytest.mark.parametrize("name", CASES)
def test_subject(name):
    problem = said(CASES[name])
    if name in STILL_WRONG:
        assert problem, f"{name} is as it should be: take it off the list"
    else:
        assert not problem, problem


def test_subjects_are_many_and_of_every_verdict():
    verdicts = [case.verdict for case in CASES.values()]
    assert len(CASES) >= 200 and {"ok", "WRONG", "CANNOT JUDGE", "cannot be run"} == set(verdicts)
    assert np.mean([verdict == "ok" for verdict in verdicts]) > 0.2
