"""What is asked of every argument, and the error that answers when it does not hold.

Each message names the argument, says what was expected and what came, and, where there is one, the usual cause.
"""

import os
from collections.abc import Iterable
from difflib import get_close_matches
from numbers import Integral, Real
from typing import Any

import numpy as np

from ._types import Array


def as_numbers(name: str, value: Any, ndim: int | None = None, complex_ok: bool = False) -> Array:
    """``value`` as a finite float (or complex) array; integers become float64, float32 stays float32."""
    if isinstance(value, np.ma.MaskedArray):  # the masked entries would be computed with
        raise ValueError(f"{name}: expected an array without a mask, got a masked one; fill it or leave entries out first")
    try:
        array = np.asarray(value)
    except ValueError as error:  # a ragged list
        raise ValueError(f"{name}: expected an array of numbers, got one that NumPy cannot make: {error}") from None
    if array.dtype.kind in "biu":
        array = array.astype(np.float64)
    if array.dtype.kind not in ("fc" if complex_ok else "f"):
        wanted = "real or complex" if complex_ok else "real"
        raise ValueError(f"{name}: expected {wanted} numbers, got dtype {array.dtype}")
    if array.dtype not in (np.float32, np.float64, np.complex64, np.complex128):
        array = array.astype(np.complex128 if array.dtype.kind == "c" else np.float64)
    if ndim is not None and array.ndim != ndim:
        raise ValueError(f"{name}: expected {ndim} axes, got shape {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name}: expected finite numbers, got {np.sum(~np.isfinite(array))} NaN or infinite entries")
    return array


def as_params(params: Any) -> Array:
    """``params`` as an array (L, H, 2, k, k); real or complex."""
    params = as_numbers("params", params, complex_ok=True)
    shape = params.shape
    if params.ndim != 5 or shape[2] != 2 or shape[3] != shape[4] or min(shape) < 1:
        cause = "; is this Z? params come first: (params, Z, y)" if params.ndim == 3 else "; [.., 0] is P and [.., 1] is Q"
        raise ValueError(f"params: expected shape (layers, heads, 2, k, k), got {shape}{cause}")
    return params


_ABSENT = object()


def as_prompts(Z: Any, y: Any = _ABSENT, complex_ok: bool = False) -> Any:
    """``Z`` (B, n+1, d+1) and, when given, ``y`` (B,) as arrays that belong together. -> Z, or Z and y"""
    Z = as_numbers("Z", Z, complex_ok=complex_ok)
    if Z.ndim != 3 or Z.shape[0] < 1 or Z.shape[1] < 2 or Z.shape[2] < 2:
        cause = "are these params? They come first: (params, Z, y)" if Z.ndim == 5 else "tokens are rows"
        raise ValueError(f"Z: expected shape (batch, n+1, d+1) with batch, n, d >= 1, got {Z.shape}; {cause}")
    if y is _ABSENT:
        return Z
    y = as_numbers("y", y)
    if y.shape != (Z.shape[0],):
        raise ValueError(f"y: expected shape ({Z.shape[0]},), one label for each prompt of Z, got {y.shape}")
    return Z, y


def one_of(name: str, value: Any, allowed: Iterable[str]) -> str:
    """Raise unless ``value`` is one of the strings in ``allowed``."""
    if not isinstance(value, str) or value not in allowed:
        raise ValueError(f"{name}: expected one of {', '.join(map(repr, allowed))}, got {value!r}{did_you_mean(value, allowed)}")
    return value


def did_you_mean(value: Any, allowed: Iterable[str]) -> str:
    """The end of an error's sentence that names what was probably meant; empty where nothing is near."""
    spelled = {name.casefold(): name for name in allowed}
    if not isinstance(value, str):
        return ""
    word = value.casefold()
    near = get_close_matches(word, spelled, 1) or [name for name in spelled if len(word) > 2 and word in name]
    return f"; did you mean {spelled[near[0]]!r}?" if near else ""


def as_count(name: str, value: Any, least: int = 1) -> int:
    """``value`` as an int of at least ``least``."""
    if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
        raise ValueError(f"{name}: expected an integer of at least {least}, got {value!r}")
    return int(value)


def as_flag(name: str, value: Any) -> bool:
    """``value`` as True or False; a string is neither, "no" would count as true."""
    if not isinstance(value, bool | np.bool_):
        raise ValueError(f"{name}: expected True or False, got {value!r}")
    return bool(value)


def check_memory(name: str, value: Any, bytes_each: float) -> Any:
    """``value``, unless so many things of ``bytes_each`` take more than the machine's memory."""
    if value * bytes_each > MEMORY:
        need, there = (f"{size / 2**30:.3g} GiB" for size in (value * bytes_each, MEMORY))
        raise ValueError(
            f"{name}: expected less than would fill the memory, got {value}, which takes {need}; this machine has {there}"
        )
    return value


def _memory() -> int:
    """The bytes of memory of this machine; many where it does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 2**36


MEMORY = _memory()


def as_real(name: str, value: Any, above: float | None = None, least: float | None = None, below: float | None = None) -> float:
    """``value`` as a finite float with ``above < value``, ``least <= value`` and ``value < below`` where given."""
    good = isinstance(value, Real) and not isinstance(value, bool) and bool(np.isfinite(float(value)))
    good = good and (above is None or value > above) and (least is None or value >= least) and (below is None or value < below)
    if not good:
        limits = ("above", above), ("at least", least), ("below", below)
        bounds = [f"{words} {bound}" for words, bound in limits if bound is not None]
        raise ValueError(f"{name}: expected a finite number{' ' if bounds else ''}{' and '.join(bounds)}, got {value!r}")
    return float(value)


def as_rng(rng: Any) -> np.random.Generator:
    """Raise unless ``rng`` is a ``numpy.random.Generator``."""
    if not isinstance(rng, np.random.Generator):
        cause = f": a seed? Write np.random.default_rng({rng})" if isinstance(rng, Integral) and not isinstance(rng, bool) else ""
        wanted = "expected a numpy.random.Generator such as np.random.default_rng(0)"
        raise ValueError(f"rng: {wanted}, got {type(rng).__name__}{cause}")
    return rng
