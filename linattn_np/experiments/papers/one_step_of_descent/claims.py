"""What the paper says of one and two layers, and the rules that judge it, written before the run at its scale."""

import numpy as np

from ...curves import Numbers, each_seed, numbers_or_nan, spread
from ...rules import Above, Row, Within, in_rows

PRINTED_GAMMAS = {"10": 0.179, "25": 0.099, "50": 0.056, "100": 0.029}  # appendix A.10, of trained looped layers
NEAR = 0.5, 1.5  # the widths alpha on which curves are compared
WIDER = 4.0  # gamma belongs to sums of x x^T, which are four times smaller on [-1/2, 1/2] than on [-1, 1]


def one_ratio(numbers: Numbers) -> Numbers:
    """The trained layer's loss over that of the step, seed by seed."""
    return spread(np.array(numbers["one"]["end"]["loss"]["each_seed"]) / numbers["one"]["descent"])


def halfway_ratio(numbers: Numbers) -> Numbers:
    """The same for the weights halfway between the two."""
    return spread(np.array(numbers["one"]["halfway"]["each_seed"]) / numbers["one"]["descent"])


def cosine(numbers: Numbers) -> Numbers:
    """The cosine of the two models at the end."""
    return dict(numbers["one"]["end"]["cosine"])


def predictions(numbers: Numbers) -> Numbers:
    """The relative distance of the two predictions at the end."""
    return dict(numbers["one"]["end"]["predictions"])


def step_ratio(numbers: Numbers) -> Numbers:
    """The eta that is learned over the closed form's."""
    return spread(np.array(numbers["one"]["eta"]["each_seed"]) / numbers["theory"]["eta"])


def plateau(numbers: Numbers) -> Numbers:
    """Half the squared error on covariates of width 1/2, as the paper's code has it: losses scale with the variance."""
    return spread(np.array(numbers["one"]["end"]["loss"]["each_seed"]) / 8)


def elsewhere_gap(numbers: Numbers) -> Numbers:
    """The largest |ratio - 1| of the two losses over the widths and task vectors from 0.5 to 1.5, seed by seed."""
    gaps = []
    for kind in numbers["one"]["elsewhere"].values():
        near = [k for k, alpha in enumerate(kind["descent"]["iterations"]) if NEAR[0] <= alpha <= NEAR[1]]
        ratio = np.array(kind["trained"]["each_seed"], float) / np.array(kind["descent"]["median"], float)
        gaps.append(np.abs(ratio[:, near] - 1).max(axis=1))
    return spread(np.max(gaps, axis=0))


def beyond_descent(numbers: Numbers) -> Numbers:
    """The loss of two steps of GD over that of two looped layers, seed by seed."""
    return spread(numbers["two"]["losses"]["GD"] / each_seed(numbers["two"]["along"]))


def beside_plus(numbers: Numbers) -> Numbers:
    """The loss of two looped layers over that of two steps of GD++, seed by seed."""
    return spread(each_seed(numbers["two"]["along"]) / numbers["two"]["losses"]["GD++"])


def better_aligned(numbers: Numbers) -> Numbers:
    """The cosine with GD++ less that with GD, at the end, seed by seed."""
    return spread(each_seed(numbers["two"]["cosines"]["GD++"]) - each_seed(numbers["two"]["cosines"]["GD"]))


def trained_gamma(numbers: Numbers) -> Numbers:
    """The gamma that two looped layers have learned at n = 10, on covariates of width 1/2."""
    return spread(WIDER * np.array(numbers["two"]["c"]["each_seed"]) / 10)


def worst_gamma(numbers: Numbers) -> Numbers:
    """The largest factor between our best gamma of GD++ and the printed one, over the four n."""
    ratios = [numbers["gammas"][n] / printed for n, printed in PRINTED_GAMMAS.items()]
    return spread([max(max(ratio, 1 / ratio) for ratio in ratios) if min(ratios) > 0 else np.inf])


def all_gammas(numbers: Numbers) -> str:
    """The gammas one by one."""
    return "for n = " + ", ".join(f"{n}: {numbers['gammas'][n]:.3g} (paper {printed})" for n, printed in PRINTED_GAMMAS.items())


def falls_when_damped(numbers: Numbers) -> Numbers:
    """The layer repeated with 0.75: loss after one use over that after 50; without damping it is printed beside."""
    rows = [numbers_or_nan(row) for row in numbers["one"]["repeated"]["0.75"]["trained"]["each_seed"]]
    return spread([row[1] / row[-1] for row in rows])


def undamped(numbers: Numbers) -> str:
    """What happens without damping."""
    last = numbers["one"]["repeated"]["1"]["trained"]["median"][-1]
    return f"undamped the loss after 50 uses is {'infinite' if last is None else f'{last:.2g}'}"


FIGURE_2, FIGURE_3 = "section 3, Figure 2", "section 3, Figure 3 (a)"
CLAIMS = in_rows("one_step_of_descent", "one_step_of_descent.", "printed", (
    Row("loss", "A trained layer has the loss of one step of gradient descent (ratio of the two)",
        FIGURE_2, "identical (plot)", one_ratio, Within(0.99, 1.01)),
    Row("cosine", "Its model and that of the step point the same way (cosine)",
        FIGURE_2, "almost perfect alignment (plot)", cosine, Above(0.999, 0.9)),
    Row("predictions", "Its predictions are those of the step (relative distance)",
        FIGURE_2, "almost perfect alignment (plot)", predictions, Within(0.0, 0.03)),
    Row("eta", "It has learned the step length that is best on average (ratio to the closed form)",
        "section 2, Figure 9", "meta-learned, no number", step_ratio, Within(0.98, 1.02)),
    Row("halfway", "Weights halfway between layer and construction have the same loss (ratio)",
        FIGURE_2, "identical (plot)", halfway_ratio, Within(0.99, 1.01)),
    Row("elsewhere", "Off the training distribution, alpha from 0.5 to 1.5, both have the same loss (largest relative gap)",
        FIGURE_2, "identical (plot, log scale)", elsewhere_gap, Within(0.0, 0.03)),
    Row("plateau", "The loss of one step, halved, on the code's covariates of width 1/2",
        "appendix A.11", "0.2", plateau, Within(0.19, 0.21)),
    Row("damped", "Repeated 50 times with damping 0.75 the layer goes on descending (loss after 1 over after 50)",
        "appendix A.6", "steadily decreasing (plot)", falls_when_damped, Above(1.0, 0.9), aside=undamped),
    Row("beyond", "Two looped layers surpass two steps of gradient descent (its loss over theirs)",
        FIGURE_3, "surpasses (plot)", beyond_descent, Above(1.1, 1.0)),
    Row("plus", "They match two steps of GD++ (their loss over its)",
        FIGURE_3, "matching (plot)", beside_plus, Within(0.95, 1.05)),
    Row("aligned", "They align better with GD++ than with descent (difference of the cosines)",
        FIGURE_3, "much better (plot)", better_aligned, Above(0.01, 0.0)),
    Row("gamma", "The gamma that two looped layers learn at n = 10 (code's covariates)",
        "appendix A.10", "0.179", trained_gamma, Within(0.16, 0.2)),
    Row("gammas", "GD++'s best gamma for n = 10, 25, 50, 100 is that of trained layers (largest factor)",
        "appendix A.10", "0.179, 0.099, 0.056, 0.029", worst_gamma, Within(1.0, 1.1), aside=all_gammas),
))  # fmt: skip
