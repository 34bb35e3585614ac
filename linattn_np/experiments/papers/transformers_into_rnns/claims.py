"""What the paper claims, each with the rule that judges it. The rules were written before the runs at full scale.

Of the paper its abstract, leaderboards that quote it and its authors' code were read, not the body: its numbers stand as reported.
They are of other corpora and models a thousand times larger, so the rules hold the sentences, not the numbers.
"""

from typing import Any

import numpy as np

from ...curves import Numbers, each_seed, spread
from ...rules import Above, Claim, Within

NAME = "transformers_into_rnns"
WORDS = "in words (abstract)"


def at_end(curve: Numbers) -> Any:
    """Each seed's perplexity at the end of a curve."""
    return each_seed(curve)


def early(numbers: Numbers, features: str) -> Any:
    """Each seed's perplexity after a third of the finetuning."""
    return each_seed(numbers["converted"][features], numbers["plan"]["early"])


def at_the_swap(numbers: Numbers) -> Numbers:
    """Perplexity of 32 learned features before any finetuning."""
    return spread(each_seed(numbers["converted"]["32"], 0))


def kept_quality(numbers: Numbers) -> Numbers:
    """Softmax's perplexity at the end of its training over that of the converted model."""
    return spread(at_end(numbers["pretraining"]) / at_end(numbers["converted"]["32"]))


def against_more_softmax(numbers: Numbers) -> str:
    """The control: softmax, trained as much longer."""
    ratio = np.median(at_end(numbers["converted"]["softmax"]) / at_end(numbers["converted"]["32"]))
    return f"softmax trained as much longer, instead of swapped: ratio {ratio:.3f}"


def cheaper(numbers: Numbers) -> Numbers:
    """Iterations from random weights until the perplexity of a third of the finetuning, over the iterations of that third."""
    curve, found = numbers["scratch"]["32"], []
    for row, wanted in zip(curve["each_seed"], early(numbers, "32"), strict=True):
        reached = [t for t, value in zip(curve["iterations"], row, strict=True) if value <= wanted]
        found.append((reached[0] if reached else curve["iterations"][-1]) / numbers["plan"]["early"])
    return spread(found)


def equal_budget(numbers: Numbers) -> Numbers:
    """Perplexity from random weights over that of the converted model, both after as many iterations in all."""
    return spread(at_end(numbers["scratch"]["32"]) / at_end(numbers["converted"]["32"]))


def fixed_early(numbers: Numbers) -> Numbers:
    """Perplexity of elu + 1 over that of 32 learned features, a third into the finetuning."""
    return spread(early(numbers, "elu") / early(numbers, "32"))


def fixed_late(numbers: Numbers) -> Numbers:
    """The same at the end of the finetuning."""
    return spread(at_end(numbers["converted"]["elu"]) / at_end(numbers["converted"]["32"]))


def fixed_from_scratch(numbers: Numbers) -> str:
    """The control: both maps trained from random weights."""
    ratio = np.median(at_end(numbers["scratch"]["elu"]) / at_end(numbers["scratch"]["32"]))
    return f"both from random weights with the whole budget: ratio {ratio:.3f}"


def fewer(numbers: Numbers) -> Numbers:
    """Perplexity of 8 learned features over that of 32 at the end of the finetuning."""
    return spread(at_end(numbers["converted"]["8"]) / at_end(numbers["converted"]["32"]))


def growth(numbers: Numbers, features: str, what: str) -> Numbers:
    """A quantity of reading after the longest text over that after the shortest."""
    found = numbers["reading"][features][what]
    return spread([found[-1] / found[0]])


CLAIMS = (
    Claim(
        id="rnns.swap_alone", where="section 2, the procedure",
        statement="Swap, then finetune: the swap alone does not keep the model (perplexity of 32 features at the swap; 16 knows nothing)",
        reported=WORDS, figure=NAME, values=at_the_swap, rule=Above(10.0, 5.0),
    ),
    Claim(
        id="rnns.keeps_quality", where="abstract; WikiText-103",
        statement="A pretrained softmax Transformer becomes a recurrent one that is as good (its perplexity over the converted model's)",
        reported="perplexity 19.0 valid, 19.6 test on WikiText-103", figure=NAME, values=kept_quality, rule=Above(1.0, 0.95), aside=against_more_softmax,
    ),
    Claim(
        id="rnns.cheaper_than_scratch", where="abstract",
        statement="Finetuning costs less than training the recurrent model from scratch (its iterations to the same perplexity, over ours)",
        reported=WORDS, figure=NAME, values=cheaper, rule=Above(4.0, 1.0),
    ),
    Claim(
        id="rnns.equal_budget", where="abstract",
        statement="Pretraining helps: from scratch with pretraining's iterations added, perplexity is higher (its perplexity over ours)",
        reported=WORDS, figure=NAME, values=equal_budget, rule=Above(1.0, 1.0),
    ),
    Claim(
        id="rnns.learned_map_early", where="abstract",
        statement="A learned feature map converts better than a fixed one, elu + 1, after a third of the finetuning (ratio of perplexities)",
        reported=WORDS, figure=NAME, values=fixed_early, rule=Above(1.5, 1.0),
    ),
    Claim(
        id="rnns.learned_map_late", where="abstract",
        statement="The same at the end of the finetuning",
        reported=WORDS, figure=NAME, values=fixed_late, rule=Above(1.1, 1.0), aside=fixed_from_scratch,
    ),
    Claim(
        id="rnns.feature_size", where="abstract; released code, 64 features of 128 numbers",
        statement="The feature size trades cost against accuracy: 8 features convert less well than 32 (ratio of perplexities)",
        reported=WORDS, figure=NAME, values=fewer, rule=Above(1.2, 1.0),
    ),
    Claim(
        id="rnns.constant_time", where="figure 1, second-hand",
        statement="A symbol takes the recurrent model as long after a long text as after a short one (ratio of seconds)",
        reported="constant in the length", figure=NAME, values=lambda numbers: growth(numbers, "32", "seconds"), rule=Within(0.6, 1.6),
    ),
    Claim(
        id="rnns.softmax_grows", where="figure 1, second-hand",
        statement="Softmax reads what it has kept, a key and a value a symbol (seconds after the longest text over the shortest)",
        reported="linear in the length", figure=NAME, values=lambda numbers: growth(numbers, "softmax", "seconds"), rule=Above(4.0, 1.6),
    ),
)  # fmt: skip
