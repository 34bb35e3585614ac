"""The audit inside a test suite: ``assert_gradient`` as a function, and as a pytest fixture of the same name.

In a ``conftest.py``: ``from linattn_np.audit.testing import gradient_fixture as assert_gradient``. pytest is imported only where
it is there, so that nothing but a test suite asks for it.
"""

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from .gradient import audit_gradient
from .report import Report

pytest: Any = import_module("pytest") if find_spec("pytest") else None


def assert_gradient(forward: Callable, backward: Callable, theta: Any, **options: Any) -> Report:
    """Raise AssertionError with the whole report unless the verdict is ok. -> the report

    options: those of :func:`linattn_np.audit.audit_gradient`.
    """
    report = audit_gradient(forward, backward, theta, **options)
    if not report.ok:
        raise AssertionError(f"{report.verdict}\n{report}")
    return report


def gradient_fixture() -> Callable:
    """``assert_gradient`` for a test that names it as an argument."""
    return assert_gradient


if pytest is not None:
    gradient_fixture = pytest.fixture(gradient_fixture)
