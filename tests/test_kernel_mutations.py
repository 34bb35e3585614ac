"""Wrong kernels: the machine and the drawing, interpreted with one place of their source changed; a named check kills each."""

import pytest

from linattn_np.audit.mutation import kernel_checks
from linattn_np.audit.mutation.kernels import every_mutant, judge_kernels, table_of_kernels
from linattn_np.audit.mutation.sources import MODULES

pytestmark = pytest.mark.long
EVERY = every_mutant()


@pytest.mark.parametrize("module", MODULES)
def test_wrong_kernels_are_killed(module):
    """A sample here; ``python -m linattn_np audit --mutate`` takes every one."""
    outcomes = judge_kernels([mutant for mutant in EVERY if mutant.module == module][::23])
    assert outcomes and not [str(o.mutant) for o in outcomes if o.survived]
    assert sum(bool(o.killed_by) for o in outcomes) > 0.8 * len(outcomes)


def test_a_check_that_asks_nothing_lets_wrong_kernels_live(monkeypatch):
    monkeypatch.setitem(kernel_checks.CHECKS, "lanes", (lambda modules: None,))
    outcomes = judge_kernels([mutant for mutant in EVERY if mutant.module == "lanes"])
    assert all(o.survived for o in outcomes) and len(outcomes) > 10
    assert table_of_kernels(outcomes)[1].split()[:3] == ["lanes", str(len(outcomes)), "0"]


def test_nothing_is_judged_by_a_check_that_the_right_kernels_fail(monkeypatch):
    def fails(modules):
        raise AssertionError("always")

    monkeypatch.setitem(kernel_checks.CHECKS, "lanes", (fails,))
    with pytest.raises(AssertionError, match="always"):
        judge_kernels(EVERY[:1])
