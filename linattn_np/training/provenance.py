"""What computed a number: versions, compiled or not, linear algebra, processor. It stands in every file that keeps numbers.

**The same bits on every machine** are promised for what compiled training keeps: losses, gradient norms and params of linear,
softmax and ReLU attention and of the network before it. Between a seed and them stand +, -, *, / and sqrt in a fixed order, which
IEEE 754 rounds in one way only: no BLAS, no LAPACK, no logarithm or exponential of a library, however many threads and workers
there are (``tests/test_bits.py``). The one exception are the params a run starts from, which NumPy's generator draws: one in 4000
of its normal numbers takes log1p from the C library.

**Not promised**: other ways to compute. Kernels that Python interprets (NUMBA_DISABLE_JIT=1) and plain NumPy agree with compiled
ones to rounding, so what they compute is kept under names of its own. Optimizers that multiply matrices (Muon and its kin) go
through BLAS or LAPACK, and the schedule "cosine" through the C library's cosine. What is measured on prompts that ``sample``
gave, or added up by matrix products (Hessians, moments of noise), depends on BLAS in its last digits, and so may a model or a
task of your own.
"""

import os
import platform
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from .. import __version__


@lru_cache(maxsize=1)
def backend() -> str:
    """How kernels run in this process: "numba", "interpreted" (Numba does not compile) or "numpy" (there is no Numba)."""
    try:
        import numba
    except ImportError:
        return "numpy"
    return "interpreted" if getattr(numba.config, "DISABLE_JIT", 0) else "numba"


@lru_cache(maxsize=1)
def _found() -> dict[str, Any]:
    try:
        import numba

        compiler = numba.__version__
    except ImportError:
        compiler = None
    built: dict[str, Any] = np.show_config(mode="dicts")  # type: ignore[assignment]
    blas = built.get("Build Dependencies", {}).get("blas", {})
    return {
        "linattn_np": __version__, "python": platform.python_version(), "numpy": np.__version__, "numba": compiler,
        "backend": backend(),
        "blas": f"{blas.get('name', 'unknown')} {blas.get('version', '')}".strip(), "cpu": processor(),
        "cpu_features": " ".join(built.get("SIMD Extensions", {}).get("found", [])),
    }  # fmt: skip


def provenance() -> dict[str, Any]:
    """The record of this process, as plain values."""
    return dict(_found())


def processor() -> str:
    """The type of this machine's processor, as far as it can be found out."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    except OSError:
        names = []
    name = names[0] if names else platform.processor() or platform.machine() or "unknown"
    core = os.environ.get("OPENBLAS_CORETYPE")
    return f"{name} (OPENBLAS_CORETYPE={core})" if core else name
