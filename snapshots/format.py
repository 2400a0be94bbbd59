"""The bytes of a snapshot file, version 1: header, index, arrays, digest. `docs/journal.md` draws them.

Owns the layout and the description of array types. Never opens a file. Invariants: integers are little-endian; every
array begins on a 64-byte boundary; the last 16 bytes are the XXH3-128 of all bytes before them; the index is JSON and
describes each type by name, format and offset, so nothing in a file is ever executed.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import xxhash

Array: TypeAlias = npt.NDArray[Any]

MAGIC = b"XSNAPSHT"
VERSION = 1
HEADER_BYTES = 64
DIGEST_BYTES = 16
BOUNDARY_BYTES = 64

_HEADER = struct.Struct("<8sIIqq32s")
assert _HEADER.size == HEADER_BYTES
_ZEROS = bytes(32)


class Corrupt(Exception):
    """A snapshot file is not what its digest says. `str()` is a sentence that names the file."""


class Header(NamedTuple):
    """The first 64 bytes of a snapshot file, without magic and version."""

    index_bytes: int
    sequence: int
    file_bytes: int


class Stored(NamedTuple):
    """Where one array is in a file."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    rows_stored: int
    """Leading rows that are in the file; the rest are zeros."""
    offset: int
    stored_bytes: int
    digest: str
    """XXH3-128 of the stored bytes, in hexadecimal."""


class Index(NamedTuple):
    """What is in a file."""

    meta: dict[str, str | int]
    arrays: list[Stored]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A verified set of arrays, each writable and of its full shape."""

    sequence: int
    arrays: dict[str, Array]
    meta: dict[str, str | int]


def pack_header(header: Header) -> bytes:
    """Return the 64 bytes of `header`."""
    return _HEADER.pack(MAGIC, VERSION, header.index_bytes, header.sequence, header.file_bytes, _ZEROS)


def parse_header(data: bytes) -> Header:
    """Read the first 64 bytes of a file. Raises `Corrupt`."""
    if len(data) < HEADER_BYTES:
        raise Corrupt(f"it has {len(data)} bytes, fewer than a header")
    magic, version, index_bytes, sequence, file_bytes, rest = _HEADER.unpack_from(data)
    if magic != MAGIC:
        raise Corrupt("it does not begin with the magic of a snapshot")
    if version != VERSION:
        raise Corrupt(f"it has format version {version}, this program reads version {VERSION}")
    if rest != _ZEROS:
        raise Corrupt("its header has a field that version 1 never writes")
    return Header(index_bytes, sequence, file_bytes)


def describe(dtype: np.dtype[Any]) -> Any:
    """Return a JSON description of `dtype`: a format string, or fields with name, offset, shape and type.

    Raises `ValueError` for types that hold Python objects or are not little-endian.
    """
    if dtype.hasobject:
        raise ValueError(f"An array of Python objects can not be in a snapshot: {dtype}.")
    if dtype.fields is None:
        if dtype.str.startswith(">"):
            raise ValueError(f"An array of big-endian numbers can not be in a snapshot: {dtype}.")
        return dtype.str
    fields = []
    for name in dtype.names or ():
        of, offset = dtype.fields[name][:2]
        fields.append({"name": name, "offset": offset, "shape": list(of.shape), "type": describe(of.base)})
    return {"itemsize": dtype.itemsize, "fields": fields}


def dtype_of(description: Any) -> np.dtype[Any]:
    """Return the dtype of a description. Raises `ValueError`, `TypeError` or `KeyError` when it is none."""
    if isinstance(description, str):
        dtype: np.dtype[Any] = np.dtype(description)
    else:
        fields = description["fields"]
        dtype = np.dtype(
            {
                "names": [field["name"] for field in fields],
                "formats": [(dtype_of(field["type"]), tuple(field["shape"])) for field in fields],
                "offsets": [field["offset"] for field in fields],
                "itemsize": description["itemsize"],
            }
        )
    if dtype.hasobject:
        raise ValueError("The type holds Python objects.")
    return dtype


def plan(arrays: Mapping[str, Array], meta: Mapping[str, str | int]) -> tuple[bytes, list[tuple[Stored, Array]], int]:
    """Lay out a file: return the index bytes, the arrays with their places, and the size of the file.

    Offsets depend on the index and the index on the offsets, so offsets in it count from the end of the index.
    """
    placed: list[tuple[Stored, Array]] = []
    offset = 0
    for name, array in arrays.items():
        if not array.shape:
            raise ValueError(f"The array {name} has no dimension; a number belongs into meta.")
        dtype = dtype_of(describe(array.dtype))
        rows = rows_stored(array)
        stored = np.ascontiguousarray(array[:rows])
        digest = xxhash.xxh3_128_hexdigest(raw(stored).data)
        placed.append((Stored(name, dtype, array.shape, rows, offset, stored.nbytes, digest), stored))
        offset += -(-stored.nbytes // BOUNDARY_BYTES) * BOUNDARY_BYTES
    shown = [
        {
            "name": at.name,
            "type": describe(at.dtype),
            "shape": list(at.shape),
            "rows_stored": at.rows_stored,
            "offset": at.offset,
            "stored_bytes": at.stored_bytes,
            "xxh3_128": at.digest,
        }
        for at, _ in placed
    ]
    index = json.dumps({"meta": dict(meta), "arrays": shown}, separators=(",", ":")).encode()
    index += b" " * (-len(index) % BOUNDARY_BYTES)
    return index, placed, HEADER_BYTES + len(index) + offset + DIGEST_BYTES


def parse_index(data: bytes) -> Index:
    """Read an index, offsets made absolute. Raises `Corrupt`."""
    try:
        shown = json.loads(data)
        arrays = [
            Stored(
                name=at["name"],
                dtype=dtype_of(at["type"]),
                shape=tuple(at["shape"]),
                rows_stored=at["rows_stored"],
                offset=HEADER_BYTES + len(data) + at["offset"],
                stored_bytes=at["stored_bytes"],
                digest=at["xxh3_128"],
            )
            for at in shown["arrays"]
        ]
        return Index(shown["meta"], arrays)
    except (ValueError, TypeError, KeyError) as error:
        raise Corrupt(f"its index can not be read ({error})") from error


def rows_stored(array: Array) -> int:
    """Return the number of leading rows up to the last one that has a byte other than zero."""
    rows = len(array)
    row_bytes = array.nbytes // rows if rows else 0
    if not row_bytes:
        return 0
    step = max(1, 4 * 1024 * 1024 // row_bytes)
    while rows:
        first = max(0, rows - step)
        used = np.flatnonzero(raw(np.ascontiguousarray(array[first:rows])))
        if used.size:
            return first + int(used[-1]) // row_bytes + 1
        rows = first
    return 0


def raw(array: Array) -> npt.NDArray[np.uint8]:
    """Return the bytes of a contiguous array, without copying."""
    flat = np.asarray(array).reshape(-1)
    return flat.view(np.uint8) if array.nbytes else np.zeros(0, np.uint8)
