"""python docs/heads.py: train SGD and Adam with 1, 2 and 4 heads, for the page "Turn the knobs"; writes docs/pages/heads.json.

Setting 1 at the paper's batch, 6 seeds, 3,000 iterations, both optimizers at the paper's rates.
"""

import json
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from linattn_np.experiments import registry  # noqa: E402
from linattn_np.experiments.curves import curve, fresh_losses  # noqa: E402
from linattn_np.experiments.scale import histories  # noqa: E402
from linattn_np.training.runs import FORMAT, Run, RunFolder  # noqa: E402

SEEDS, STEPS, EVERY, HEADS = 6, 3_000, 50, (1, 2, 4)


def main() -> None:
    """Train and write."""
    setting, times = registry.settings()["setting1"], list(range(0, STEPS + 1, EVERY))
    panels = {}
    with tempfile.TemporaryDirectory() as folder:
        for heads in HEADS:
            panels[str(heads)] = {}
            for name in ("SGD", "Adam"):
                runs = [
                    Run(
                        setting.task,
                        setting.optimizer(name),
                        STEPS,
                        1000,
                        heads=heads,
                        clip=setting.clip,
                        seed=seed,
                        record_every=STEPS,
                    )
                    for seed in range(SEEDS)
                ]
                trained = histories(RunFolder(Path(folder)), runs, f"{name}, {heads} heads")
                found = curve(times[1:], fresh_losses(trained, times), each_seed=False)
                panels[str(heads)][name] = {"fresh": {key: [float(f"{v:.4g}") for v in values] for key, values in found.items()}}
    record = {"seeds": list(range(SEEDS)), "format": FORMAT, "panels": panels}
    (HERE / "pages" / "heads.json").write_text(json.dumps(record) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
