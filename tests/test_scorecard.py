"""The scorecard: rules judged at their edges, numbers found where they stand, what is committed equal to the figures' JSON."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from linattn_np.experiments import record, registry, rules, scorecard
from linattn_np.experiments.curves import spread
from linattn_np.experiments.papers.maybe_all_you_need import adam_vs_sgd, gradient_noise, published, robust_condition_number
from linattn_np.experiments.rules import Above, Claim, Row, Within, around, in_rows, judge
from linattn_np.training import runs

FIGURES = Path(__file__).parent.parent / "figures"
SOURCE = "2310.01082"
PAPER = {"scale": {"name": "paper", "seeds": 3}}


def ours(*each):
    return spread(np.array(each, float))


# ---------------------------------------------------------------- rules by hand


@pytest.mark.parametrize(
    "rule, each, verdict",
    [
        (Within(2.0, 3.0), (2.0, 2.0, 9.0), "agrees"),  # the median, at the interval's edge
        (Within(2.0, 3.0), (1.9, 1.9, 2.5), "does not agree"),
        (Within(2.0, 3.0, "mean"), (0.0, 0.0, 6.0), "agrees"),
        (Within(2.0, 3.0, "mean", beyond=1.0), (0.0, 0.9, 6.0), "does not agree"),  # the mean agrees, the median points elsewhere
        (Within(2.0, 3.0, "mean", beyond=1.0), (2.0, 2.5, 3.0), "agrees"),
        (Within(2.0, 3.0, "mean", beyond=1.0), (4.0, 5.0, 6.0), "agrees in direction"),
        (Within(2.0, 3.0, "mean", beyond=1.0), (0.5, 0.6, 0.7), "does not agree"),
        (Above(0.9, 0.5), (0.9, 0.9, 0.9), "agrees"),
        (Above(0.9, 0.5), (0.8, 0.89, 1.0), "agrees in direction"),
        (Above(0.9, 0.5), (0.5, 0.5, 1.0), "does not agree"),
        (Above(0.0, 0.0, "lower_quartile"), (-1.0, 1.0, 2.0), "agrees"),  # the lower quartile is 0
        (Above(0.0, 0.0, "lower_quartile"), (-1.1, 1.0, 2.0), "agrees in direction"),
        (around(10.0, 2.0), (5.0, 5.0, 5.0), "agrees"),
        (around(10.0, 2.0), (20.1, 20.1, 20.1), "does not agree"),
    ],
)
def test_verdicts_at_the_edges(rule, each, verdict):
    assert rule.verdict(ours(*each)) == verdict


def test_spread_by_hand():
    found = spread([4.0, 1.0, np.nan, 3.0, 2.0])
    assert (found["median"], found["lower_quartile"], found["upper_quartile"], found["mean"]) == (2.5, 1.75, 3.25, 2.5)
    assert found["std"] == pytest.approx(np.sqrt(5 / 3)) and len(found["each_seed"]) == 5
    assert spread([np.nan, np.nan])["median"] is None


def test_a_row_of_a_table_is_a_claim():
    rule, words = Above(1.0, 0.0), str
    rows = (
        Row("a", "sentence", "page 1", "2", spread, rule),
        Row("b", "other", "code", "3", spread, rule, aside=words, tag="code"),
    )
    first, second = in_rows("figure", "paper.", "reported", rows)
    assert first == Claim("paper.a", "sentence", "page 1", reported="2", figure="figure", values=spread, rule=rule)
    assert second == Claim("paper.b", "other", "code", code="3", figure="figure", values=spread, rule=rule, aside=words)


def claim(values, rule=None, **more):
    return Claim("id", "statement", "where", "theirs", figure="figure", values=values, rule=rule or Above(1.0, 0.0), **more)


def test_a_row_says_what_it_is_made_of():
    row = judge(claim(lambda numbers: ours(1.0, 2.0, 4.0), aside=lambda numbers: "looked aside"), PAPER)
    assert row["verdict"] == "agrees" and row["ours"]["median"] == 2.0 and row["ours"]["seeds"] == 3
    assert row["ours"]["each_seed"] == [1.0, 2.0, 4.0] and "looked aside" in row["why"] and row["rule"] == Above(1.0, 0.0).text


def test_what_was_not_run_is_not_judged():
    value = claim(lambda numbers: ours(1.0, 2.0, 4.0))
    assert judge(value, None)["verdict"] == "not tested" and "reproduce figure" in judge(value, None)["why"]
    quick = judge(value, {"scale": {"name": "quick", "seeds": 3}})
    assert quick["verdict"] == "not tested" and "quick" in quick["why"] and quick["ours"]["median"] == 2.0
    never = judge(Claim("id", "statement", "where", untested="because"), PAPER)
    assert never["verdict"] == "not tested" and never["why"] == "because"


def test_runs_without_a_number_are_counted():
    row = judge(claim(lambda numbers: ours(np.nan, 2.0, 4.0)), PAPER)
    assert row["verdict"] == "agrees" and row["ours"]["seeds"] == 3 and "2 of 3 seeds gave a finite number" in row["why"]
    assert judge(claim(lambda numbers: ours(np.nan, np.nan)), PAPER)["verdict"] == "does not agree"
    few = judge(claim(lambda numbers: ours(np.nan, np.inf, 4.0)), PAPER)  # one seed speaks for itself only
    assert few["verdict"] == "does not agree" and few["why"] == "1 of 3 seeds gave a finite number"


# ---------------------------------------------------------------- what stands beside a verdict


def test_the_share_of_batches_the_released_batch_and_what_a_rounding_does():
    each = {"on_batches": [[2.0, 2.0, 4.0], [1.5, 0.5, 0.5], [0.9, 0.9, 0.9]], "on_released": [3.0, 3.0, None]}
    value = claim(lambda numbers: {**ours(1.0, 2.0, 4.0), **each, "reruns": [ours(2.0), ours(2.1), ours(2.3)]})
    row = judge(value, PAPER)
    assert row["verdict"] == "agrees" and row["batches"]["of"] == 3
    assert row["batches"]["agrees"] == 1 and row["batches"]["in_direction"] == 2
    assert row["batches"]["released_batch"] == {"verdict": "agrees", "median": 3.0}
    assert row["fragile"]["fragile"] and (row["fragile"]["low"], row["fragile"]["high"], row["fragile"]["reruns"]) == (
        2.0,
        2.3,
        2,
    )
    assert "fragile: 2 to 2.3 on 5 test batches over 3 runs" in row["why"]
    steady = judge(claim(lambda numbers: {**ours(2.0), "reruns": [ours(2.0), ours(2.1)]}), PAPER)
    assert not steady["fragile"]["fragile"] and "fragile" not in steady["why"] and steady["batches"] is None
    page = scorecard.markdown([{**row, "paper": SOURCE}])
    assert "agrees on 1 of 3, 2 in direction; **fragile** | 3 (agrees) |" in page
    assert judge(claim(lambda numbers: ours(2.0)), PAPER)["fragile"] is None


def test_a_rule_by_the_geometric_mean():
    rule = Within(2.0, 3.0, "geometric_mean", beyond=1.0)
    assert "geometric mean over seeds within 2 to 3; in direction: geometric mean and median above 1" in rule.text
    assert rule.verdict(ours(1.0, 6.25)) == "agrees" and rule.verdict(ours(0.5, 50.0, 1.1)) == "agrees in direction"
    assert ours(1.0, -1.0)["geometric_mean"] is None and rule.verdict(ours(1.0, -1.0)) == "does not agree"
    assert Above(1.0, 0.0, "geometric_mean").verdict(ours(1.0, -1.0)) == "does not agree"


def test_a_figure_of_an_earlier_format_says_so(tmp_path, monkeypatch):
    def values(numbers):
        return numbers["new"]

    earlier = {**PAPER, "format": runs.FORMAT - 1}
    row = judge(claim(values), earlier)
    assert row["verdict"] == "not tested" and "earlier format, which lacks this number" in row["why"]
    with pytest.raises(KeyError):
        judge(claim(values), {**PAPER, "format": runs.FORMAT})
    assert scorecard.drawn_by(earlier) == {"format": runs.FORMAT - 1, "earlier_format": True} and scorecard.drawn_by(None) == {}
    page = scorecard.markdown([{**row, "paper": SOURCE, **scorecard.drawn_by(earlier)}])
    assert "Drawn from runs of an earlier format than this library's, to be drawn again: figure." in page


def test_what_another_figure_says_of_a_claim(monkeypatch):
    elsewhere = {
        "RELEASED": {"other": lambda id, numbers: numbers.get(id)},
        "ROUNDED": {"other": lambda id, numbers: numbers.get("again")},
    }
    monkeypatch.setattr(scorecard, "readers", elsewhere.get)
    mine = claim(lambda numbers: ours(2.0))
    assert scorecard.said_elsewhere("RELEASED", mine, {"other": None}) is None
    assert scorecard.said_elsewhere("RELEASED", mine, {"other": {}}) is None
    found = {"other": {"id": ours(0.5, 0.25), "again": [ours(2.0), ours(3.0)]}}
    row = judge(mine, PAPER, *(scorecard.said_elsewhere(kind, mine, found) for kind in elsewhere))
    assert row["verdict"] == "agrees" and row["released"]["verdict"] == "agrees in direction" and row["released"]["seeds"] == 2
    assert row["fragile"]["fragile"] and (row["fragile"]["low"], row["fragile"]["high"]) == (2.0, 3.0)
    page = scorecard.markdown([{**row, "paper": SOURCE}])
    assert "**fragile**" in page and "| 0.354 (agrees in direction) |" in page


def test_reruns_of_the_lottery_figure_reach_the_claims_on_losses():
    numbers = {"rounding": {"setting1": {"final_ratio": [ours(4.0)], "SGD": {"1000": [ours(5.0), ours(5.1)]}}}}
    reader = registry.readers("ROUNDED")["one_test_batch"]
    assert reader("adam_beats_sgd.setting1", numbers) == [ours(4.0)] and reader("adam_beats_sgd.setting2", numbers) is None
    assert reader("test_loss.setting1.sgd.1000", numbers) == [ours(5.0), ours(5.1)]
    assert reader("test_loss.setting1.adam.1000", numbers) is reader("condition_ratio.setting1.750", numbers) is None
    rows = {row["id"]: row for row in scorecard.rows(Path(__file__).parents[1] / "figures")}
    assert all(rows[f"adam_beats_sgd.{name}"]["fragile"]["reruns"] == 1 for name in ("setting1", "setting2", "setting3"))


def test_claims_that_did_not_agree_are_revisited():
    known = registry.revisions()
    claims = {claim.id: claim for claim in registry.claims()}
    assert len(known) == 18 == len({entry.id for entry in known}) and all(entry.id in claims for entry in known)
    row = judge(replace(claim(lambda numbers: ours(0.0)), id=known[0].id), PAPER)
    page = scorecard.markdown([{**row, "paper": SOURCE}])
    assert f"{known[0].was}: **does not agree** | 0 [0, 0], 1 seed: **does not agree** | {known[0].why} |" in page


# ---------------------------------------------------------------- claims and where their numbers stand


def test_the_papers_table_is_held_to_its_own_standard_deviation():
    rule = next(claim.rule for claim in registry.claims() if claim.id == "condition_ratio.setting2.1250")
    assert (rule.low, rule.high, rule.statistic, rule.beyond) == (3.12, 8.84, "geometric_mean", 1.0)  # 5.98 (2.86)


def test_readers_by_hand():
    numbers = {**PAPER, "panels": {"setting1": {"SGD": {"judged": {"1000": ours(5.0, 6.0)}}, "final_ratio": ours(4.0, 0.5)}}}
    assert adam_vs_sgd.final_ratio("setting1", numbers)["each_seed"] == [4.0, 0.5]
    assert adam_vs_sgd.test_loss("setting1", "SGD", 1000, numbers)["median"] == 5.5
    assert adam_vs_sgd.test_loss("setting1", "SGD", 5000, numbers)["median"] is None
    robust = {"condition": {"SGD": {"250": ours(7.0, 8.0, 9.0)}}, "table": {"750": ours(2.0, 8.0)}}
    numbers = {**PAPER, "panels": {"setting1": {"robust": robust}}}
    assert robust_condition_number.condition("setting1", "SGD", 250, numbers)["each_seed"] == [7.0, 8.0, 9.0]
    assert robust_condition_number.condition("setting1", "SGD", 500, numbers)["median"] is None
    assert robust_condition_number.ratio("setting1", 750, numbers)["geometric_mean"] == pytest.approx(4.0)
    laws = {"noise": {"p99.9_over_p50": ours(3.0, 8.0)}, "covariance": {"p99.9_over_p50": ours(2.0, 2.0)}}
    numbers = {**PAPER, "panels": {"setting1": {"batches": {"1000": laws}}}}
    assert gradient_noise.noise_over_control("setting1", 1000, numbers)["each_seed"] == [1.5, 4.0]


# ---------------------------------------------------------------- what is committed


def test_the_committed_scorecard_is_made_from_the_committed_figures():
    kept = json.loads((FIGURES / "scorecard.json").read_text())
    found = record.rounded(scorecard.rows(FIGURES))
    assert kept["rows"] == json.loads(json.dumps(found)) and kept["verdicts"] == scorecard.count(found)
    assert (FIGURES / "scorecard.md").read_text() == scorecard.markdown(found)
    assert all(row["verdict"] in rules.VERDICTS for row in kept["rows"])
    run = [row for row in kept["rows"] if row["rule"] and (FIGURES / f"{row['figure']}.json").exists()]
    assert len(run) >= 40 and all(row["ours"] for row in run)  # every figure that has been run has its numbers


def test_the_committed_numbers_follow_from_the_curves():
    """The table's ratios once more, by another road: from the judged curves of the figure's JSON."""
    rows = {row["id"]: row for row in json.loads((FIGURES / "scorecard.json").read_text())["rows"]}
    panels = json.loads((FIGURES / "robust_condition_number.json").read_text())["panels"]
    for setting, t in published.RATIOS:
        curves = [panels[setting]["robust"][optimizer] for optimizer in ("SGD", "Adam")]
        k = curves[0]["iterations"].index(t)
        sgd, adam = (np.array([row[k] for row in curve["each_seed"]]) for curve in curves)
        row = rows[f"condition_ratio.{setting}.{t}"]["ours"]
        assert row["seeds"] == 20 and row["each_seed"][:6] == pytest.approx((sgd / adam).tolist(), rel=1e-4)
        assert row["geometric_mean"] == pytest.approx(np.exp(np.log(row["each_seed"]).mean()), rel=1e-4)
        assert rows[f"condition_ratio.{setting}.{t}"]["batches"]["of"] == 25
    for setting in panels:
        assert panels[setting]["ratios"]["lower"]["0"]["each_seed"] == [1.0] * 6


def test_a_scorecard_of_nothing_says_so(tmp_path):
    found = scorecard.write(tmp_path)
    assert {row["verdict"] for row in found} == {"not tested"}
    assert "not run yet" in (tmp_path / "scorecard.md").read_text()
    assert scorecard.count(found)["not tested"] == len(registry.claims())


def test_markdown_has_a_line_for_each_claim():
    row = judge(claim(lambda numbers: ours(1.0, 2.0, 4.0), aside=lambda numbers: "a|b"), PAPER)
    page = scorecard.markdown([{**row, "paper": SOURCE}])
    assert "2 [1.5, 3], 3 seeds" in page and "**agrees**" in page and "a\\|b" in page
    assert "1 agrees, 0 agrees in direction" in page
