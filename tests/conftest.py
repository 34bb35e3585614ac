"""What several test files share: every experiment measured once at a tiny scale."""

from types import SimpleNamespace

import pytest

from linattn_np.experiments import registry, scale
from linattn_np.training.runs import RunFolder

PROMPTS = 37  # of the tiny test batch
TINY = scale.Scale(
    "tiny", steps=300, batch=29, seeds=2, record_every=10, test_every=50, hessian_every=100, noise_draws=127, search_steps=20,
    search_seeds=2,
)  # fmt: skip


@pytest.fixture(scope="session")
def tiny_experiments(tmp_path_factory):
    """.measured(name): an experiment's numbers, measured once; .folder: the runs that all of them share."""
    found, folder = {}, RunFolder(tmp_path_factory.mktemp("experiments") / "runs")

    def measured(name):
        if name not in found:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(scale, "TEST_PROMPTS", PROMPTS)
                found[name] = registry.experiment(name).measure(folder, TINY, False)
        return found[name]

    return SimpleNamespace(measured=measured, folder=folder, scale=TINY)


@pytest.fixture
def tiny(tiny_experiments, monkeypatch):
    """The same, for a test that measures on the tiny test batch itself."""
    monkeypatch.setattr(scale, "TEST_PROMPTS", PROMPTS)
    return tiny_experiments
