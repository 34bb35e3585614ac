"""Named arrays in one file that can be believed: a ``.npz`` that says what it is, what computed it, and its own checksum.

``np.load`` opens such a file. Here it is read by hand, because nothing in a file that may be broken is taken at its word: no
pickle, no size that its bytes do not have, no array that the checksum does not cover.
"""

import hashlib
import io
import json
import math
import os
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .._types import Array
from .files import atomic_file, read_regular, set_aside
from .provenance import provenance

MOST_BYTES, MOST_ARRAYS = 2**33, 64  # a file with more is none of ours
PLAIN = "biufU"  # the kinds of types that are kept: booleans, integers, real numbers, text


def checksum(arrays: Mapping[str, Array]) -> str:
    """SHA-256 over the names, types, shapes and bytes of all arrays."""
    found = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        found.update(json.dumps([name, array.dtype.str, np.shape(arrays[name])]).encode() + b"\n")
        found.update(array.tobytes())
    return found.hexdigest()


def write_arrays(
    path: str | os.PathLike[str], description: str, arrays: Mapping[str, Any], made_by: Mapping[str, Any] | None = None
) -> None:
    """Keep arrays with the description that they belong to; whole or not at all.

    ``made_by``: where they were computed elsewhere.
    """
    made = json.dumps(provenance() if made_by is None else dict(made_by), sort_keys=True)
    named: dict[str, Any] = {
        "description": np.array(description),
        "made_by": np.array(made),
        **{k: np.asarray(a) for k, a in arrays.items()},
    }
    for name, array in named.items():
        if array.dtype.kind not in PLAIN:
            raise ValueError(f"{name}: expected plain numbers or text, got dtype {array.dtype}")
    with atomic_file(path) as file:
        np.savez(file, checksum=np.array(checksum(named)), **named)


def read_arrays(path: Path, description: str, what: str) -> dict[str, Array] | None:
    """{name: array} of a file with this description, or None where there is none; what else stands there is set aside."""
    found = read_with_origin(path, description, what)
    return None if found is None else found[0]


def read_with_origin(path: Path, description: str, what: str) -> tuple[dict[str, Array], dict[str, Any]] | None:
    """The arrays of a file with this description, and the record of what computed them; None where there is no file.

    Whatever else stands there is set aside, and named on standard error: another thing than a file, a broken one, one that
    describes something else. Raises OSError where it cannot be set aside.
    """
    try:
        data = read_regular(path, MOST_BYTES)
        if data is None:
            return None
        arrays = unpack(data)
        if arrays.pop("checksum").item() != checksum(arrays):
            raise ValueError("its checksum does not hold")
        if arrays.pop("description").item() != description:
            raise ValueError(f"it describes another {what}")
        return arrays, json.loads(arrays.pop("made_by").item())
    except Exception as error:  # a file may be wrong in ways that nobody thought of; all have the same answer
        put_aside(path, what, error)
        return None


def put_aside(path: Path, what: str, error: Exception) -> None:
    """Set a file aside that is not what it should be, and say so."""
    said = " ".join(str(error).split()) or type(error).__name__
    said = f"it has no {error.args[0]}" if isinstance(error, KeyError) else said
    aside = set_aside(path)
    if aside is not None:
        print(f"linattn_np: {path} is not a finished {what} ({said}); kept as {aside.name}", file=sys.stderr)


def unpack(data: bytes) -> dict[str, Array]:
    """The arrays in the bytes of a ``.npz`` file. Raises ValueError, or what zipfile raises, where it is not whole."""
    if not zipfile.is_zipfile(io.BytesIO(data)):
        raise ValueError("it is not a whole .npz file")
    arrays: dict[str, Array] = {}
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = archive.infolist()
        if len(members) > MOST_ARRAYS:
            raise ValueError(f"it holds {len(members)} arrays")
        for member in members:
            name = member.filename.removesuffix(".npy")
            if name in arrays or member.compress_type != zipfile.ZIP_STORED or member.file_size > len(data):
                raise ValueError(f"its entry {name!r} is not as it was written")
            arrays[name] = unpack_one(name, archive.read(member))
    return arrays


def unpack_one(name: str, data: bytes) -> Array:
    """The array in the bytes of a ``.npy`` file."""
    stream = io.BytesIO(data)
    version = np.lib.format.read_magic(stream)
    if version != (1, 0):
        raise ValueError(f"its array {name!r} has format {version}")
    shape, fortran, dtype = np.lib.format.read_array_header_1_0(stream)
    if dtype.kind not in PLAIN:
        raise ValueError(f"its array {name!r} has type {dtype}, and plain numbers or text were written")
    size = math.prod(shape) * dtype.itemsize
    if min(shape, default=0) < 0 or size != len(data) - stream.tell():
        raise ValueError(f"its array {name!r} of shape {shape} does not have the bytes of that shape")
    flat = np.frombuffer(data, dtype, count=math.prod(shape), offset=stream.tell())
    return flat.reshape(shape, order="F" if fortran else "C").copy()
