"""The README's page on the audit: its template and each wrong variant that it names say what it says; tests and other
libraries.
"""

import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from linattn_np.audit import audit_gradient
from linattn_np.audit.adaptors import jax_custom_vjp, torch_function
from linattn_np.audit.testing import assert_gradient, gradient_fixture

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "README.md").read_text().partition("## Audit your own gradient")[2].partition("\n## ")[0]
TEMPLATE, NAMED = re.findall(r"```python\n(.*?)```", PAGE, re.S)[:2]
normal = np.random.default_rng(3).standard_normal


def made(*changes, named=False):
    """The functions of the page, with (old, new) replaced."""
    text = TEMPLATE + (NAMED if named else "")
    for old, new in changes:
        assert old in (NAMED if named else TEMPLATE)
        text = text.replace(old, new)
    scope = {}
    exec(text, scope)
    return scope["forward"], scope["backward"], scope["subject"]()[2]


VARIANTS = {  # what the page says is changed, and what it says is printed
    "as it stands": ([], False, ""),
    "1.03": ([('ds.T @ t["x"]', '1.03 * ds.T @ t["x"]')], False, "dW, every entry is 1.03 times the derivative"),
    "dout forgotten": ([("dout + ds", "ds")], False, "dx, the contribution dout is missing"),
    "with names": ([], True, ""),
    "1 - a": ([("(1 - a * a)", "(1 - a)")], True, "dx_reader"),
    "a use left out": ([("dx_reader + dx_residual", "dx_reader")], True, "the contribution dx_residual is missing"),
}


@pytest.mark.parametrize("name", VARIANTS)
def test_the_template_and_its_wrong_variants(name):
    changes, named, said = VARIANTS[name]
    report = audit_gradient(*made(*changes, named=named))
    text = " ".join(str(report).split())
    assert report.verdict == ("WRONG" if said else "ok"), text
    assert said in text
    if said:
        stated = said if "contribution" not in said or "dx_residual" in said else f"first wrong: {said}"
        assert stated in " ".join(PAGE.split())


def test_the_page_names_what_a_report_has():
    report = audit_gradient(*made())
    for name in re.findall(r"`\.(\w+)`", PAGE.split("In Python and in a notebook")[1].split("\n\n")[0]):
        assert hasattr(report, name), name
    assert (report.oracle, report.arrays, report.arrays["dW"]) == ("complex step", {"x": "ok", "W": "ok", "V": "ok"}, "ok")
    assert report.to_dict()["arrays"] == {"x": "ok", "W": "ok", "V": "ok"} and report.to_dict()["oracle"] == "complex step"


def test_assert_gradient_in_a_test_suite():
    square, double = (lambda t: (t**2).sum()), (lambda t: 2 * t)
    assert assert_gradient(square, double, normal(3)).ok
    with pytest.raises(AssertionError, match="every entry is 1/2 of the derivative"):
        assert_gradient(square, lambda t: t, normal(3))
    assert callable(gradient_fixture)


def test_products_by_hand_are_named():
    report = audit_gradient(lambda t: (t**3).sum(), lambda t: 3 * t**2, normal(5), hvp=lambda t, v: 3 * t * v)
    assert "H v is 1/2 of it" in str(report)


class Tensor:
    """As much of a torch tensor as the adaptor touches."""

    def __init__(self, array, requires_grad=False):
        self.array, self.requires_grad, self.shape = np.array(array), requires_grad, np.shape(array)

    def detach(self):
        return self

    def numpy(self):
        return self.array

    def reshape(self, shape):
        return Tensor(self.array.reshape(shape))


def torch_like(factor):
    """A library with one function, a product, whose rule for the first argument is off by ``factor``."""
    apply = lambda a, b: Tensor(a.array * b.array)
    library = SimpleNamespace(tensor=Tensor, autograd=SimpleNamespace())

    def grad(out, given, dout, allow_unused):
        a, b = given
        return Tensor(factor * dout.array * b.array), Tensor(dout.array * a.array)

    library.autograd.grad = grad
    return library, SimpleNamespace(apply=apply)


def jax_like(factor):
    def vjp(function, a, b):
        return function(a, b), lambda dout: (factor * dout * b, dout * a)

    return SimpleNamespace(numpy=np, vjp=vjp), lambda a, b: np.asarray(a) * b


@pytest.mark.parametrize("adaptor, like", [(torch_function, torch_like), (jax_custom_vjp, jax_like)])
def test_adaptors_import_nothing_and_find_a_wrong_rule(adaptor, like):
    theta = normal((5, 3)), normal((5, 3))
    assert audit_gradient(*adaptor(*like(1)), theta).oracle == "differences"
    assert audit_gradient(*adaptor(*like(1)), theta).ok
    wrong = audit_gradient(*adaptor(*like(2)), theta)
    assert (
        wrong.verdict == "WRONG"
        and wrong.first_wrong.quantity == "dtheta[0]"
        and "is a factor 1/2 missing" in wrong.first_wrong.note
    )
