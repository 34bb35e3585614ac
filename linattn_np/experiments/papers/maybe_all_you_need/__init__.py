"""Linear attention is (maybe) all you need: the paper's settings, its printed numbers, and one module for each figure.

Its claims stand in the modules of the figures that measure them, each with its rule (``factors``) beside the function that reads
its number. An ``aside`` says what else was looked at; it decides nothing.
"""

from ...rules import Claim
from ...settings import Setting
from .released_claims import released
from .revisions import REVISIONS
from .rounded_losses import rounded
from .settings import SETTINGS

__all__ = ["CLAIMS", "EXPERIMENTS", "RELEASED", "REVISIONS", "ROUNDED", "SETTINGS", "SOURCE", "TITLE", "Setting"]

TITLE = "Linear attention is (maybe) all you need (to understand Transformer optimization)"
SOURCE = "arXiv 2310.01082"
EXPERIMENTS = (  # modules here, in the order in which they are drawn: those that share training runs after each other
    "adam_vs_sgd", "one_test_batch", "gradient_noise", "robust_condition_number", "directional_smoothness",
    "generalized_smoothness", "learning_rates", "data_distribution", "depth", "bigger_model", "attention_kinds",
    "nonlinear_regression", "full_batch", "released_code",
)  # fmt: skip
RELEASED = {"released_code": released}  # what the paper's own random numbers say of the other figures' claims
ROUNDED = {"one_test_batch": rounded}  # and what runs say of them whose first weights are off by a rounding
CLAIMS = (  # those that none of the experiments measures
    Claim(
        id="language_models", where="section 3.1",
        statement="Full Transformers show the same features (PTB, WikiText-2, SQuAD; Kunstner et al. 2023)",
        printed="R_med ratio 1.43 to 3.54 (Jiang et al. 2022)", untested="needs trained language models; cited only",
    ),
    Claim(
        id="image_models", where="section 3.1", statement="Convolutional networks on MNIST and CIFAR-10 beside them",
        printed="plots (Kunstner et al. 2023)", untested="needs trained image models; cited only",
    ),
)  # fmt: skip
