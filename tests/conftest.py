"""What several test files share: which tests need Numba; every experiment measured once at a tiny scale."""

from importlib.util import find_spec
from types import SimpleNamespace

import pytest

from linattn_np.experiments import registry, scale
from linattn_np.training.runs import RunFolder

PROMPTS = 37  # of the tiny test batch
TINY = scale.Scale(
    "tiny", steps=300, batch=29, seeds=2, record_every=10, test_every=50, hessian_every=100, noise_draws=127, search_steps=20,
    search_seeds=2, test_batches=3, table_seeds=3, reruns=1,
)  # fmt: skip


# Where Numba is not installed, the files that import compiled code or compile something themselves are not collected, and of the
# others the tests with the mark ``numba`` are deselected; where it is installed everything runs.
HAS_NUMBA = find_spec("numba") is not None
NEED_NUMBA = [
    f"test_{name}.py" for name in ("bench", "bits", "compiling", "composed", "draws", "fuzz", "kernels", "kernels_tokens",
                                   "noise", "random", "shape_comments",
                                   "streams", "warmup")
]  # fmt: skip
collect_ignore = [] if HAS_NUMBA else NEED_NUMBA


def pytest_addoption(parser):
    parser.addoption("--long", action="store_true", help="the tests that take minutes, and these alone; .ci/run asks for both")


def pytest_configure(config):
    config.addinivalue_line("markers", "numba: needs Numba; deselected where it is not installed")
    config.addinivalue_line("markers", "long: takes minutes; run by python -m pytest --long, deselected otherwise")


def pytest_report_header():
    return None if HAS_NUMBA else f"without Numba: the tests marked numba are deselected, and {', '.join(NEED_NUMBA)} left out"


def pytest_collection_modifyitems(config, items):
    def left_out(item):
        lacks_numba = not HAS_NUMBA and item.get_closest_marker("numba")
        return lacks_numba or bool(item.get_closest_marker("long")) != config.getoption("--long")

    others = [item for item in items if left_out(item)]
    if others:
        config.hook.pytest_deselected(items=others)
        kept = set(items) - set(others)
        items[:] = [item for item in items if item in kept]


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
