"""What the papers derive by hand: every derivation passes its audits, every wrong one made of it is caught, no line is left
out.
"""

import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from linattn_np import audit
from linattn_np.__main__ import main
from linattn_np.experiments import command, derivations, registry

MODULES = [(paper, module) for paper, found in derivations.derived_modules(registry.places()).items() for module in found]


@pytest.mark.long
@pytest.mark.parametrize("paper, module", MODULES, ids=[f"{paper}.{m.__name__.rpartition('.')[2]}" for paper, m in MODULES])
def test_a_papers_derivation_is_right_and_every_wrong_one_is_caught(paper, module):
    judged = derivations.judge(module)
    assert judged.ok, str(judged)
    assert judged.audits and judged.mutations > len(judged.equivalent)


# ---------------------------------------------------------------- the judge itself, on a derivation of three lines

SOURCE = """
def forward(x):
    return {out}


def backward(x, dout):
    twice = 2 * dout  # (16.1)
    dx = twice * x  # (16.2)
    return dx


def by_hand():
    return abs(backward(3.0, 1.0) - 6.0)


CHECKS = {{"by hand": by_hand}}
"""
ENTRIES = (("half", "2 * dout", "dout", "the factor 2 is lost"), ("one", "twice * x", "twice", "x is lost"))


@pytest.fixture
def paper(monkeypatch):
    """A function (source, entries) -> the module of a paper."""

    def make(source, entries):
        module = ModuleType("made_paper.derived")
        module.__package__, module.__mutated__ = "made_paper", source
        exec(source, module.__dict__)
        package, mutations = ModuleType("made_paper"), ModuleType("made_paper.mutations")
        package.__path__, mutations.MUTATIONS = [], {"derived": entries}
        for name, found in (("made_paper", package), ("made_paper.mutations", mutations), ("made_paper.derived", module)):
            monkeypatch.setitem(sys.modules, name, found)
        return module

    return make


def test_a_right_derivation_whose_mutations_are_caught_is_ok(paper):
    judged = derivations.judge(paper(SOURCE.format(out="x * x"), ENTRIES))
    assert judged.ok and (judged.audits, judged.mutations) == (1, 2)
    assert str(judged) == "derived: 1 of 1 audits ok, 2 of 2 wrong derivations caught"


def test_what_is_wrong_survives_or_is_left_out_is_named(paper):
    wrong = derivations.judge(paper(SOURCE.format(out="x * x").replace("6.0", "7.0"), ENTRIES))
    assert not wrong.ok and wrong.wrong == ["by hand"]
    left_out = derivations.judge(paper(SOURCE.format(out="x * x"), ENTRIES[:1]))
    assert not left_out.ok and left_out.untouched == ["dx = twice * x  # (16.2)"]
    same = ("same", "twice * x", "x * twice", "the order")
    survived = derivations.judge(paper(SOURCE.format(out="x * x"), (*ENTRIES[:1], same)))
    assert not survived.ok and survived.survivors == ["same (the order)"] and "survived: same" in str(survived)
    known = derivations.judge(paper(SOURCE.format(out="x * x"), (*ENTRIES[:1], (*same, "a product commutes"))))
    assert known.ok and known.equivalent == ["same (the order): a product commutes"]
    with pytest.raises(ValueError, match=r"mutation gone: expected its line once in derived.py, found it 0 times"):
        derivations.judge(paper(SOURCE.format(out="x * x"), (("gone", "not there", "x", "-"),)))


def test_a_wrong_derivation_that_cannot_be_judged_is_not_caught():
    def audited(verdict):
        return SimpleNamespace(AUDITS={"a": lambda: SimpleNamespace(ok=verdict == "ok", verdict=verdict)})

    for verdict, of_right, of_wrong in (("ok", [], []), ("WRONG", ["a"], ["a"]), ("CANNOT JUDGE", ["a"], [])):
        assert derivations.wrong_audits(audited(verdict)) == of_right
        assert derivations.wrong_audits(audited(verdict), first=True) == of_wrong
    right = audit.audit_gradient(lambda x: x * x, lambda x, dout: 2 * x * dout, np.array([0.3, -0.7, 1.1]))
    assert right.verdict == "ok"  # the words that the judge reads are the audit's


def test_the_command_prints_what_was_judged(paper, monkeypatch, capsys):
    good, bad = paper(SOURCE.format(out="x * x"), ENTRIES), paper(SOURCE.format(out="x * x"), ENTRIES[:1])
    monkeypatch.setattr(command, "derived_modules", lambda names: {"made_paper": [bad]})
    assert main(["reproduce", "--audit"]) == 1
    assert "made_paper: derived: 1 of 1 audits ok, 1 of 1 wrong derivations caught" in capsys.readouterr().out
    paper(SOURCE.format(out="x * x"), ENTRIES)
    monkeypatch.setattr(command, "derived_modules", lambda names: {"made_paper": [good]})
    assert main(["reproduce", "--audit"]) == 0
