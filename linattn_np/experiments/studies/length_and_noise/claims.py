"""What was derived in lesson 31, or found on seeds 0 to 4, and the rules that judge it, written before the full run."""

from collections.abc import Callable
from functools import partial
from typing import Any

from ...curves import Numbers
from ...rules import Above, Claim, Row, Within, in_rows
from . import many_prompts, readers, readers_many

FIGURE = "length_and_noise"


def _row(
    name: str, statement: str, theirs: str, rule: Within | Above, values: Callable[..., Any], *args: Any,
    aside: Callable[..., str] | None = None, aside_args: tuple[Any, ...] | None = None,
) -> Row:  # fmt: skip
    def told(function: Callable[..., Any] | None, given: tuple[Any, ...]) -> Any:
        return None if function is None else partial(_later, function, given)

    return Row(
        name, statement, "lesson 31", theirs, told(values, args), rule, told(aside, args if aside_args is None else aside_args)
    )


def _later(function: Callable[..., Any], given: tuple[Any, ...], numbers: Numbers) -> Any:
    """A reader of the JSON with its arguments behind the numbers."""
    return function(numbers, *given)


LINEAR, CONSTANT, SHORTER = "20, linear", "20, constant", (4, 5, 6)
ROWS = (
    _row("one_layer", "One layer, trained at n, tested at n': loss (31.4) (largest relative distance over 32 pairs)",
         "0; at most 0.08 on seeds 0 to 2", Within(0.0, 0.08, statistic="largest"), readers.one_layer,
         aside=readers.one_layer_in_words),
    _row("longer", "Three layers trained at 20: longer prompts help (mean loss at 40 over that at 20, largest)",
         "0.02 to 0.25", Within(0.0, 0.25, statistic="largest"), readers.longer, LINEAR),
    _row("explodes", "The mean loss at 5 explodes (smallest of the seeds)",
         "1e6 to 2e11: no number", Above(1e4, 1.0, statistic="smallest"), readers.short_mean, LINEAR),
    _row("one_prompt", "That mean is no number: one prompt's share in the sum of 25,000 squared errors",
         "0.96 to 1", Above(0.5, 0.2), readers.top, LINEAR),
    _row("median", "The median error at 5 does not (largest of the seeds)",
         "0.11 to 0.18", Within(0.0, 0.3, statistic="largest"), readers.short_median, LINEAR),
    _row("window", "Inside the window of training the mean at 5 is tame (farthest from 0.75)",
         "0.72 to 0.82", Within(0.6, 0.9, statistic="farthest"), readers.inside, LINEAR, aside=readers.inside_in_words),
    _row("queries", "Control: without as many prompts of the longest queries the mean at 5 explodes still (smallest)",
         "5e7", Above(1e4, 1.0, statistic="smallest"), readers.short_mean, LINEAR, "short_queries"),
    _row("polynomial", "The loss inside the window is that of the polynomial (31.7) (ratio at 5, 7, 10, farthest from 1)",
         "1.00 to 1.05", Within(0.85, 1.15, statistic="farthest"), readers.polynomial, LINEAR),
    _row("exchanged", "Control: 5 examples with the spectra of 20 are as good as 20 (ratio of medians)",
         "1, since a layer sees the Gram matrix only", Within(0.9, 1.1), readers.exchanged, aside=readers.exchanged_in_words),
    _row("exchanged_long", "Control: 160 examples with the spectra of 5 explode (mean, smallest of the seeds)",
         "as 5 do", Above(1e4, 1.0, statistic="smallest"), readers.exchanged_long),
    _row("longer_constant", "At a constant rate longer prompts help too (largest)",
         "0.07 to 0.5", Within(0.0, 0.25, statistic="largest"), readers.longer, CONSTANT),
    _row("explodes_constant", "At a constant rate the mean at 5 explodes too (smallest)",
         "1e7 to 4e11", Above(1e4, 1.0, statistic="smallest"), readers.short_mean, CONSTANT),
    _row("median_constant", "At a constant rate the median error at 5 does not (largest)",
         "0.12 to 0.19", Within(0.0, 0.3, statistic="largest"), readers.short_median, CONSTANT),
    _row("window_constant", "At a constant rate the window tames the mean at 5 too (farthest from 0.75)",
         "0.73 to 0.86", Within(0.6, 0.9, statistic="farthest"), readers.inside, CONSTANT, aside=readers.inside_in_words),
    _row("peak", "Noise 1: minimum-norm least squares peaks at n = d (median at 5 over the larger of those at 4 and 6, smallest)",
         "2.6 to 2.8", Above(2.5, 1.0, statistic="smallest"), readers.peak, "main, linear", SHORTER,
         aside=readers.means_in_words, aside_args=("main, linear", 5)),
    _row("bayes", "Three layers trained at n = 4, 5, 6 follow Bayes' ridge (loss over Bayes', largest)",
         "1.01 to 1.03", Within(0.97, 1.03, statistic="largest"), readers.over_bayes, "main, linear", SHORTER,
         aside=readers.over_bayes_in_words),
    _row("bayes_12", "They do at n = 12 (largest)",
         "1.01 to 1.06", Within(0.97, 1.07, statistic="largest"), readers.over_bayes, "main, linear", (12,),
         aside=readers.over_bayes_in_words),
    _row("wrong", "Control: of five ridges, penalties 0.1 to 10 times Bayes', Bayes' is nearest (share of the lengths, smallest)",
         "1", Above(1.0, 0.5, statistic="smallest"), readers.nearest, "main, linear", aside=readers.nearest_in_words),
    _row("no_peak", "They have no peak: loss at n = 5 over that at 4 (largest)",
         "0.83", Within(0.0, 0.95, statistic="largest"), readers.no_peak, "main, linear"),
    _row("bayes_constant", "At a constant rate they follow Bayes at n = 4, 5, 6 (largest)",
         "1.00 to 1.02, but for rare prompts", Within(0.97, 1.03, statistic="largest"),
         readers.over_bayes, "main, constant", SHORTER,
         aside=readers.over_bayes_in_words),
    _row("bayes_fixed", "With decay from the rate 0.01, where it was found, they do (largest)",
         "1.01 to 1.02", Within(0.97, 1.03, statistic="largest"), readers.over_bayes, "main, fixed rate", SHORTER,
         aside=readers.over_bayes_in_words),
    _row("other_d_peak", "With d = 3 the peak of least squares is at n = 3 (over 2 and 4, smallest)",
         "2.6", Above(2.0, 1.0, statistic="smallest"), readers.peak, "other d, linear", (2, 3, 4),
         aside=readers.means_in_words, aside_args=("other d, linear", 3)),
    _row("other_d_bayes", "With d = 3 the model follows Bayes at n = 2, 3, 4 (largest)",
         "1.00 to 1.02", Within(0.97, 1.03, statistic="largest"), readers.over_bayes, "other d, linear", (2, 3, 4),
         aside=readers.over_bayes_in_words),
    _row("less_noise_peak", "With noise 0.5 least squares peaks at n = d too (smallest)",
         "1.6", Above(1.3, 1.0, statistic="smallest"), readers.peak, "less noise, linear", SHORTER,
         aside=readers.means_in_words, aside_args=("less noise, linear", 5)),
    _row("less_noise_bayes", "With noise 0.5, a steeper filter, the model follows Bayes less closely (largest)",
         "1.05 at n = 6", Within(0.97, 1.1, statistic="largest"), readers.over_bayes, "less noise, linear", SHORTER,
         aside=readers.over_bayes_in_words),
    _row("less_noise_wrong", "With noise 0.5 Bayes' is the nearest of five ridges too (share of the lengths, smallest)",
         "1 at n = 6", Above(1.0, 0.5, statistic="smallest"), readers.nearest, "less noise, linear",
         aside=readers.nearest_in_words),
    _row("few", "Noise 1: layers of two numbers, best of 96 starts on the spectrum alone: loss over Bayes' (largest)",
         "1.0009 to 1.0026 on spectra of one other seed; added after the trained models were seen",
         Within(1.0, 1.005, statistic="largest"), readers.few_over_bayes, 1.0,
         (4, 5, 6, 12), aside=readers.few_in_words),
    _row("few_less_noise", "With noise 0.5 they miss more: the polynomial's own limit (n = 6)",
         "1.047 on spectra of one other seed; added after the trained models were seen",
         Within(1.03, 1.06), readers.few_over_bayes, 0.5, (6,), aside=readers.few_in_words),
    _row("few_share", "With noise 0.5 most of what the trained model misses is that limit (share, smallest of n = 4, 5, 6)",
         "0.6 to 0.7; added after the trained models were seen", Above(0.5, 0.3, statistic="smallest"), readers.few_share),
    _row("few_layers", "Control: each further layer of the four misses at most half as much (noise 0.5, n = 6, smallest ratio)",
         "3.7, 13 and 7 or more; added after the trained models were seen",
         Above(2.0, 1.0, statistic="smallest"), readers.few_layers, aside=readers.few_layers_in_words),
    *(_row(f"prompts_d{d}" + ("" if n == 20 else "_short"),
           f"One layer fitted to N prompts, d = {d}, n = {n}: largest at N = d^2 = {d * d} (over N = d^2 - 2, d^2 + 2, smallest)",
           "3 to 9", Above(1.5, 1.0, statistic="smallest"), readers_many.double_descent, d, n, 2,
           aside=readers_many.largest_in_words)
      for d, n in many_prompts.CASES),
    _row("prompts_far", "d = 5: the same over N = d^2 - 5, d^2 + 5 (smallest)",
         "9 to 14", Above(4.0, 1.5, statistic="smallest"), readers_many.double_descent, 5, 20, 5),
    _row("penalty", "Control: a ridge penalty of 10 kills the peak (loss at N = 25 without over with, smallest)",
         "20 to 70", Above(10.0, 2.0, statistic="smallest"), readers_many.penalty_at_peak, aside=readers_many.penalties_in_words),
    _row("penalty_falls", "Control: with it the loss falls from each N to the next (rises among 10, 20, 25, 30, 50, 100)",
         "0", Within(0.0, 0.0, statistic="largest"), readers_many.penalty_rises),
)  # fmt: skip
CLAIMS: tuple[Claim, ...] = in_rows(FIGURE, "length_and_noise.", "predicted", ROWS)
