"""The gradient against arrays that another program computed."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..._types import Array
from ..row import OK, WRONG, Row, place
from ..subject import AuditError, Subject, gradient_of


def check_arrays(
    subject: Subject, gradient: Mapping[str, Array], reference: Mapping[str, Any], tolerance: float = 1e-10
) -> list[Row]:
    """The gradient against arrays that another program computed, name by name."""
    rows = []
    for name, array in reference.items():
        if name not in gradient:
            raise AuditError(f"reference: expected the names {', '.join(gradient)}, got {name!r}")
        g, array = gradient[name], np.asarray(array, np.float64)
        if array.shape != g.shape:
            raise AuditError(f"reference: expected shape {g.shape} for {name}, got {array.shape}")
        rows.append(array_row(gradient_of(name), g, array, tolerance))
    return rows


def array_row(quantity: str, got: Any, reference: Any, tolerance: float, check: str = "arrays") -> Row:
    """max|got - reference| / max|reference| as a row."""
    got, reference = np.atleast_1d(got), np.atleast_1d(reference)
    gap = np.abs(got - reference)
    at = np.unravel_index(np.argmax(gap), gap.shape)
    error = float(gap[at] / (np.abs(reference).max() or 1.0))
    note = "" if error <= tolerance else f"largest difference at {place(at)}"
    return Row(check, quantity, float(got[at]), float(reference[at]), error, tolerance, WRONG if note else OK, note)
