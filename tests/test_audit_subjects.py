"""The audit on functions written as a reader of the README would write them: verdict, name and oracle of each are known."""

import numpy as np
import pytest
from audit_subjects import load

from linattn_np.audit import AuditError, audit_gradient

CASES = load()
STILL_WRONG: set[str] = set()  # what the audit does not yet answer as it should


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
