"""What the paper claims, each with the rule that judges it. The rules were written before the runs at full scale.

Of the paper its abstract, leaderboards that quote it and its authors' code were read, not the body: its numbers stand as
reported. They are of other corpora and models a thousand times larger, so the rules hold the sentences, not the numbers.
"""

from typing import Any

import numpy as np

from ...curves import Numbers, each_seed, spread
from ...rules import Above, Row, Within, in_rows

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


CLAIMS = in_rows(NAME, "rnns.", "reported", (
    Row("swap_alone", "Swap, then finetune: the swap alone does not keep the model (perplexity of 32 features at the swap; 16 "
        "knows nothing)",
        "section 2, the procedure", WORDS, at_the_swap, Above(10.0, 5.0)),
    Row("keeps_quality", "A pretrained softmax Transformer becomes a recurrent one that is as good (its perplexity over the "
        "converted model's)",
        "abstract; WikiText-103", "perplexity 19.0 valid, 19.6 test on WikiText-103", kept_quality, Above(1.0, 0.95),
        aside=against_more_softmax),
    Row("cheaper_than_scratch", "Finetuning costs less than training the recurrent model from scratch (its iterations to the "
        "same perplexity, over ours)",
        "abstract", WORDS, cheaper, Above(4.0, 1.0)),
    Row("equal_budget", "Pretraining helps: from scratch with pretraining's iterations added, perplexity is higher (its "
        "perplexity over ours)",
        "abstract", WORDS, equal_budget, Above(1.0, 1.0)),
    Row("learned_map_early", "A learned feature map converts better than a fixed one, elu + 1, after a third of the finetuning "
        "(ratio of perplexities)",
        "abstract", WORDS, fixed_early, Above(1.5, 1.0)),
    Row("learned_map_late", "The same at the end of the finetuning",
        "abstract", WORDS, fixed_late, Above(1.1, 1.0), aside=fixed_from_scratch),
    Row("feature_size", "The feature size trades cost against accuracy: 8 features convert less well than 32 (ratio of "
        "perplexities)",
        "abstract; released code, 64 features of 128 numbers", WORDS, fewer, Above(1.2, 1.0)),
    Row("constant_time", "A symbol takes the recurrent model as long after a long text as after a short one (ratio of seconds)",
        "figure 1, second-hand", "constant in the length", lambda numbers: growth(numbers, "32", "seconds"), Within(0.6, 1.6)),
    Row("softmax_grows", "Softmax reads what it has kept, a key and a value a symbol (seconds after the longest text over the "
        "shortest)",
        "figure 1, second-hand", "linear in the length", lambda numbers: growth(numbers, "softmax", "seconds"),
        Above(4.0, 1.6)),
))  # fmt: skip
