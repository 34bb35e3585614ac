"""Random numbers in lanes put to every question of ``tests/randomness.py``, a thousand million of them. About five minutes.

Run ``python tests/benchmarks/random_numbers.py`` or, for fewer, ``python tests/benchmarks/random_numbers.py --count 1e8``. Exit
status 1 where a p-value is below 1e-6. The suite asks the same of a few million.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))  # randomness.py
sys.path.insert(0, str(Path(__file__).parents[2]))  # the package
from randomness import FREEDOMS, NormalQuestions, anderson_darling_p, kolmogorov_smirnov_p, of_gamma

from linattn_np.kernels import random
from linattn_np.kernels.interpreter import LANES
from linattn_np.progress import bar

ROWS = 65_000  # of a block
TOO_RARE = 1e-6


def normals(count, seed):
    """{question: p-value} for ``count`` normals, each block from the next one of four chunks."""
    questions, block = NormalQuestions(), np.empty((ROWS, LANES))
    blocks = max(1, round(count / block.size))
    states = [random.lane_states(seed, chunk) for chunk in range(4)]
    with bar(blocks, "normals", unit="block") as shown:
        for i in range(blocks):
            random.fill_normals(states[i % 4], block)
            questions.take(block)
            shown.update()
    return questions.p_values()


def gammas(count, seed):
    """{question: p-value} for the gamma variates that training draws: chi^2 with every n - j in use, and Gamma(0.1)."""
    found, x, scratch = {}, np.empty((max(1000, count) // LANES, LANES)), np.empty((2, LANES))
    for chunk, shape in enumerate((0.1, *(freedom / 2 for freedom in FREEDOMS))):
        random.fill_gammas(random.lane_states(seed, 100 + chunk), np.full(len(x), shape), x, scratch)
        u = of_gamma(x.ravel(), shape)
        found[f"Gamma({shape}): Kolmogorov-Smirnov"] = kolmogorov_smirnov_p(u)
        found[f"Gamma({shape}): Anderson-Darling"] = anderson_darling_p(u)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=float, default=1e9, metavar="N", help="how many normals (default: 1e9)")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="default: 0")
    args = parser.parse_args()
    found = normals(args.count, args.seed) | gammas(min(500_000, int(args.count / 100)), args.seed)
    for question, p in found.items():
        print(f"{question:36s} p = {p:.3g}{'  TOO RARE' if p < TOO_RARE else ''}")
    print(f"smallest of {len(found)}: {min(found.values()):.3g}")
    return int(min(found.values()) < TOO_RARE)


if __name__ == "__main__":
    sys.exit(main())
