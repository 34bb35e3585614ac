"""What the paper says and what its mechanism predicts, with the rules that judge it, written before the run at full scale.

The paper's copy task has four layers and 10,000 iterations, and its result is a plot; here one layer has 400, two have 600. What
is judged is the direction of what it says, and at equal far gain gamma / (1 - beta), which the paper does not hold fixed.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from ...curves import Numbers, each_seed, spread
from ...rules import Above, Claim, Within, around

LRA = {"softmax": 58.70, "linear": 54.67, "momentum": 55.68}  # accuracies, averages over five tasks, as the paper prints them
DEEP = 16  # the depth at which the learned momentum is held against the optimal one


def losses(numbers: Numbers, part: str, variant: str, key: str = "loss") -> Any:
    """The numbers of each seed."""
    return np.array(numbers[part][variant][key]["each_seed"], float)


def less(part: str, one: str, other: str, numbers: Numbers) -> Numbers:
    """How much lower the loss of ``other`` is than that of ``one``, seed by seed, in nats."""
    return spread(losses(numbers, part, one) - losses(numbers, part, other))


def paper_gain_only(numbers: Numbers) -> Numbers:
    """The paper's momentum less its far gain alone, seed by seed."""
    return less("copy", "paper", "gain 2/3", numbers)


def of_every_seed(values: Callable[[Numbers], Numbers], numbers: Numbers) -> str:
    """The numbers of all seeds from the least to the largest."""
    found = [value for value in values(numbers)["each_seed"] if value is not None]
    return f"single seeds {min(found):.3f} to {max(found):.3f}"


def in_how_many(numbers: Numbers) -> str:
    """Two layers: beta .6 too, in how many seeds each beta is lower than its gain alone and than linear, and half way."""
    found = []
    for name in ("beta .6", "beta .9"):
        gain, linear = (np.array(less("two", other, name, numbers)["each_seed"], float) for other in ("gain 3/2", "linear"))
        found.append(
            f"{name}: {np.median(gain):.2g} to its gain alone, lower in {(gain > 0).sum()} of {len(gain)} seeds; "
            f"{np.median(linear):.2g} to linear, lower in {(linear > 0).sum()}"
        )
    curves = [np.array(numbers["two"][name]["curve"]["each_seed"], float) for name in ("gain 3/2", "beta .9")]
    half = np.subtract(*curves)[:, (len(curves[0].T) - 1) // 2]
    return "; ".join([*found, f"half way beta .9: {np.median(half):.2g} to its gain alone, lower in {(half > 0).sum()}"])


def in_order(numbers: Numbers) -> Numbers:
    """The least of the steps down linear, gain 3/2, beta .6, beta .9, seed by seed."""
    rows = np.array([losses(numbers, "copy", name) for name in ("linear", "gain 3/2", "beta .6", "beta .9")])
    return spread(-np.diff(rows, axis=0).max(axis=0))


def share_of_the_gap(numbers: Numbers) -> Numbers:
    """Of what linear attention loses to softmax, how much momentum .9 wins back, seed by seed."""
    softmax, linear, momentum = (losses(numbers, "copy", name) for name in ("softmax", "linear", "beta .9"))
    return spread((linear - momentum) / (linear - softmax))


def behind_softmax(numbers: Numbers) -> Numbers:
    """The best of the linear forms less softmax, seed by seed."""
    names = [name for name in numbers["copy"] if name != "softmax"]
    return spread(np.min([losses(numbers, "copy", name) for name in names], axis=0) - losses(numbers, "copy", "softmax"))


def smaller_is_better(numbers: Numbers) -> Numbers:
    """At gamma = 0.6: the loss of beta .9 less that of beta .1, seed by seed."""
    larger = losses(numbers, "ablation", "beta .9, gamma .6")
    return spread(larger - losses(numbers, "copy", "paper")[: len(larger)])


def other_model(variant: str, numbers: Numbers) -> Numbers:
    """Trained with the released parallel weights: the loss run recurrently less that run as trained, seed by seed."""
    return spread(losses(numbers, "released", variant, "recurrent") - losses(numbers, "released", variant, "parallel"))


def at_the_papers(numbers: Numbers) -> str:
    """The same at the paper's beta."""
    return f"at the paper's beta .1, {other_model('paper', numbers)['median']:.2g}"


def over_heavy_ball(layers: int, numbers: Numbers) -> Numbers:
    """The loss of descent over that of the heavy ball, seed by seed."""
    return spread(each_seed(numbers["descent"]["loss"], layers) / each_seed(numbers["heavy ball"]["loss"], layers))


def shallower(layers: int, numbers: Numbers) -> Numbers:
    """The same at that depth, or at the deepest that there is."""
    depths = numbers["heavy ball"]["loss"]["iterations"]
    return over_heavy_ball(layers if layers in depths else depths[-1], numbers)


def beside_the_optimum(numbers: Numbers) -> Numbers:
    """The learned momentum over (1 - sqrt(eta nu))^2, eta the learned step, nu the median smallest eigenvalue, seed by seed."""
    found, depths = numbers["heavy ball"], numbers["heavy ball"]["loss"]["iterations"]
    depth = DEEP if DEEP in depths else depths[-1]
    eta, beta = (each_seed(found[key], depth) for key in ("eta", "beta"))
    return spread(beta / (1 - np.sqrt(eta * numbers["eigenvalues"]["smallest"])) ** 2)


def growing_momentum(numbers: Numbers) -> Numbers:
    """The learned momentum at the deepest stack less that of two layers, seed by seed."""
    found = numbers["heavy ball"]["beta"]
    return spread(each_seed(found) - each_seed(found, 2))


def least_growth(numbers: Numbers) -> str:
    """The least step of the learned momentum from one depth to the next, of all seeds."""
    steps = np.diff(np.array(numbers["heavy ball"]["beta"]["each_seed"], float), axis=1)
    always = (steps > 0).all(axis=1).sum()
    return f"least step from one depth to the next {steps.min():+.2g}; it grows at every depth in {always} of {len(steps)} seeds"


def adaptive_share(numbers: Numbers, kind: str = "adaptive") -> Numbers:
    """Of what the learned heavy ball gains over descent at 8 layers, how much the adaptive rule does, seed by seed."""
    depths = numbers["descent"]["loss"]["iterations"]
    depth = 8 if 8 in depths else depths[-1]
    descent, ball, found = (each_seed(numbers[name]["loss"], depth) for name in ("descent", "heavy ball", kind))
    return spread((descent - found) / (descent - ball))


def by_token(numbers: Numbers) -> str:
    """The same for the released code's rule."""
    return f"by token, as in the released code, {adaptive_share(numbers, 'adaptive by token')['median']:.2g}"


def claims() -> Iterator[Claim]:
    """The claims, the cleanest first."""
    yield from between_layers()
    yield from within_attention()


def between_layers() -> Iterator[Claim]:
    """The claims on momentum between layers, the heavy ball."""
    common: dict[str, Any] = {"figure": "momentum"}
    theory: dict[str, Any] = {"where": "Theorem 2", **common}
    for layers, least in ((4, 1 / 0.75), (8, 1 / 0.4), (16, 1 / 0.1)):
        yield Claim(
            id=f"momentum.heavy_ball.{layers}", printed="faster at the optimal momentum",
            statement=f"{layers} layers with one learned momentum between them have a lower loss than without "
            "(descent's over theirs)",
            values=partial(shallower, layers), rule=Above(float(f"{least:.3g}"), 1.0), **theory,
        )  # fmt: skip
    yield Claim(
        id="momentum.optimum", printed="(1 - sqrt(gamma nu))^2", values=beside_the_optimum, rule=around(1.0, 1.5),
        statement="The momentum learned by 16 layers is the optimal one for a quadratic (ratio of the two)", **theory,
    )  # fmt: skip
    yield Claim(
        id="momentum.depth", printed="the optimum is one of many steps", values=growing_momentum, rule=Above(0.2, 0.0),
        aside=least_growth,
        statement="The learned momentum grows with the number of layers (16 layers' less 2 layers')", **theory,
    )  # fmt: skip
    yield Claim(
        id="momentum.adaptive", printed="as good as momentum, without a search", values=adaptive_share, aside=by_token,
        rule=Above(0.9, 0.0),
        statement="The adaptive momentum is as good as the best constant one at 8 layers (share of its gain over descent)",
        where="equation (18), Figure 4", **common,
    )  # fmt: skip


def within_attention() -> Iterator[Claim]:
    """The claims on momentum within causal attention, on the copy task and its control."""
    common: dict[str, Any] = {"figure": "momentum"}
    figure1: dict[str, Any] = {"where": "copy task, Figure 1", **common}
    yield Claim(
        id="momentum.copy.paper", printed="a better training loss than linear (plot)",
        values=partial(less, "copy", "linear", "paper"),
        statement="Momentum with the paper's beta .1 and gamma .6 has a lower loss than linear attention (difference in nats)",
        rule=Above(0.02, 0.0), **figure1,
    )  # fmt: skip
    yield Claim(
        id="momentum.copy.gain", code="beta .1, gamma .6, no control", values=paper_gain_only,
        aside=partial(of_every_seed, paper_gain_only),
        statement="The paper's momentum does what its far gain alone does: 2/3 times the attention (difference in nats)",
        rule=Within(-0.02, 0.02), where="script of the copy task", **common,
    )  # fmt: skip
    yield Claim(
        id="momentum.copy.reweighting", printed="momentum better than linear (plot)",
        values=partial(less, "copy", "gain 3/2", "beta .9"),
        aside=partial(of_every_seed, partial(less, "copy", "gain 3/2", "beta .9")),
        statement="At equal far gain 3/2, beta .9 has a lower loss than beta 0 (difference in nats)", rule=Above(0.05, 0.0),
        **figure1,
    )  # fmt: skip
    yield Claim(
        id="momentum.copy.order", printed="momentum better than linear (plot)", values=in_order, rule=Above(0.0, -0.02),
        aside=partial(of_every_seed, in_order),
        statement="Linear, gain 3/2, beta .6, beta .9: each lower than the one before (least step in nats)", **figure1,
    )  # fmt: skip
    yield Claim(
        id="momentum.copy.gap", values=share_of_the_gap, rule=around(_printed_share(), 3.0, beyond=0.0),
        printed=f"{_printed_share():.2f}, from averages {LRA['linear']}, {LRA['momentum']}, {LRA['softmax']}",
        statement="Momentum closes part of the gap between linear and softmax attention (share; the paper's is of its LRA "
        "averages)",
        where="table of the LRA tasks", **common,
    )  # fmt: skip
    yield Claim(
        id="momentum.copy.softmax", printed="softmax converges fastest (plot)", values=behind_softmax, rule=Above(0.5, 0.0),
        aside=partial(of_every_seed, behind_softmax),
        statement="Softmax attention has a lower loss than every linear form (difference to the best of them in nats)", **figure1,
    )  # fmt: skip
    yield Claim(
        id="momentum.copy.smaller", printed="smaller beta is better (plot)", values=smaller_is_better, rule=Above(0.02, 0.0),
        statement="At gamma .6, beta .9 has a higher loss than beta .1 (difference in nats)", where="copy task, Figure 5",
        **common,
    )  # fmt: skip
    yield Claim(
        id="momentum.near", printed="favours old tokens, the opposite of local attention",
        values=partial(less, "lag", "beta .9", "gain 3/2"),
        aside=partial(of_every_seed, partial(less, "lag", "beta .9", "gain 3/2")),
        statement="Where the symbol asked for is 3 places back, beta .9 is worse than its gain alone (difference in nats)",
        rule=Above(0.15, 0.0), where="remark after (13)", **common,
    )  # fmt: skip
    yield Claim(
        id="momentum.two_layers", printed="momentum better than linear (plot)",
        values=partial(less, "two", "gain 3/2", "beta .9"),
        aside=in_how_many,
        statement="With two layers and words of 8 to 14 symbols, at equal far gain, beta .9 has a lower loss than beta 0 (nats)",
        rule=Above(0.05, 0.0), **figure1,
    )  # fmt: skip
    yield Claim(
        id="momentum.released", code="trains by (14) within the causal sum, answers by (12)",
        values=partial(other_model, "beta .9"),
        aside=at_the_papers,
        statement="What the released code trains is not what it runs: at beta .9 the loss rises when run recurrently (nats)",
        rule=Above(0.02, 0.0), where="causal momentum attention, parallel and recurrent", **common,
    )  # fmt: skip


def _printed_share() -> float:
    """How much of the gap momentum closes in the paper's averages."""
    return (LRA["momentum"] - LRA["linear"]) / (LRA["softmax"] - LRA["linear"])


CLAIMS = tuple(claims())
