"""Arrays on disk that are read on access, through the page cache that all processes share."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from io import FileIO
from pathlib import Path
from typing import Any, NamedTuple, overload

import numpy as np

from workbench.array import Array
from workbench.errors import SourceError

# Arrays of more bytes than this stay on disk.
LARGE = 64 * 2**20
# Bytes that are read at a time in a pass over many rows.
_BLOCK = 32 * 2**20
_ROWS, _FACTS = "x.npy", "facts.json"


class MemmapArray:
    """Rows of a `.npy` file that are read on access.

    The class has the attributes `shape`, `dtype`, `ndim`, `size`, `nbytes` and `len` of an array. Indexing with row
    numbers or a mask returns another `MemmapArray` without reading, as for a fold's training rows. Indexing with a
    number or a slice reads: `array[7]`, `array[10:20]` and `numpy.asarray(array)` are NumPy arrays. A batch of any rows
    is `numpy.asarray(array[rows])`.

    A pickle holds the path and the row numbers. Reads go through the system's page cache, which all processes share and
    which shrinks when memory is short. The file is not mapped: mapped pages count as memory of every process, and a
    truncated file would kill the process.
    """

    def __init__(self, path: Path, rows: Array | None = None, *, digest: str = "") -> None:
        """Select rows of the file by number, or all of them; the file is not opened yet.

        Args:
            path: the `.npy` file.
            rows: row numbers of the file.
            digest: a digest of the values, for a study's fingerprint.
        """
        self.path, self.digest = path, digest
        self._rows = rows

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the selected rows as an array."""
        return (len(self), *self._npy_header.shape[1:])

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of values."""
        return self._npy_header.dtype

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return len(self._npy_header.shape)

    @property
    def size(self) -> int:
        """The number of values."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """The bytes that the rows would take in memory."""
        return self.size * self.dtype.itemsize

    def __len__(self) -> int:
        """Return the number of rows."""
        return self._npy_header.shape[0] if self._rows is None else len(self._rows)

    @overload
    def __getitem__(self, index: int | slice) -> Array: ...
    @overload
    def __getitem__(self, index: Array | list[int]) -> MemmapArray: ...
    def __getitem__(self, index: Any) -> Array | MemmapArray:
        """Read a row or a slice of rows, or return a view of the rows with these numbers."""
        rows = np.arange(len(self)) if self._rows is None else self._rows
        if isinstance(index, slice):
            return self._read(rows[index])
        if isinstance(index, int | np.integer):
            return np.asarray(self._read(rows[index : index + 1 or None])[0])
        # NumPy converts an empty list to floats.
        return MemmapArray(self.path, rows[np.asarray(index, dtype=None if len(index) else int)])

    def __iter__(self) -> Iterator[Array]:
        """Yield the rows."""
        return (self[row] for row in range(len(self)))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        """Read all rows, converted block by block."""
        if copy is False:
            raise ValueError("An array on disk cannot become a NumPy array without a copy.")
        if dtype is None or np.dtype(dtype) == self.dtype:
            return self[:]
        values: Array = np.empty(self.shape, dtype)
        for part, block in self.blocks():
            values[part] = block
        return values

    def blocks(self) -> Iterator[tuple[slice, Array]]:
        """Yield all rows in order, some megabytes at a time: their slice and their values."""
        step = max(1, _BLOCK // max(1, self.nbytes // max(1, len(self))))
        for start in range(0, len(self), step):
            part = slice(start, min(start + step, len(self)))
            yield part, self[part]

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the path and the row numbers, not the values."""
        return _restore, (self.path, self._rows, self.digest)

    def __repr__(self) -> str:
        """Return a description without opening the file."""
        return f"Stored({str(self.path)!r}{'' if self._rows is None else f', {len(self._rows)} rows'})"

    @cached_property
    def _npy_header(self) -> NpyHeader:
        with self._open() as file:
            np.lib.format.read_magic(file)
            shape, _, dtype = np.lib.format.read_array_header_1_0(file)
            start = file.tell()
        # The modification time tells `Cache.sweep` that the file is in use.
        with suppress(OSError):
            os.utime(self.path)
        return NpyHeader(shape, dtype, start)

    def _read(self, rows: Array) -> Array:
        """Read the rows with these numbers, adjacent rows in one read."""
        header = self._npy_header
        values: Array = np.empty((len(rows), *header.shape[1:]), header.dtype)
        if not values.size:
            return values
        size = values[:1].nbytes
        memory = values.reshape(-1).view(np.uint8).data
        ends = [*(np.flatnonzero(np.diff(rows) != 1) + 1).tolist(), len(rows)]
        with self._open() as file:
            for begin, end in zip([0, *ends], ends, strict=False):
                file.seek(header.start + int(rows[begin]) * size)
                self._fill(file, memory[begin * size : end * size])
        return values

    def _fill(self, file: FileIO, memory: memoryview) -> None:
        while memory:
            count = file.readinto(memory)
            if not count:
                raise self._unreadable_error("it is cut off")
            memory = memory[count:]

    @contextmanager
    def _open(self) -> Iterator[FileIO]:
        """Open the file for one read, so that threads and forked processes do not share its position."""
        try:
            file = FileIO(self.path)
        except OSError as error:
            raise self._unreadable_error(error.strerror or str(error)) from error
        with file:
            yield file

    def _unreadable_error(self, received: str) -> SourceError:
        return SourceError(
            f"{self.path}: must stay there while it is in use. Received: {received}. Give the same command again: "
            "it is made anew."
        )


def save_blocks(folder: Path, rows: int, blocks: Iterable[Array]) -> None:
    """Write an array of `rows` rows block by block, with the digest that the array would have in memory."""
    digest = None
    with NpyWriter(folder / _ROWS) as writer:
        for block in blocks:
            digest = digest or hashlib.sha256(str((rows, *block.shape[1:])).encode())
            digest.update(np.ascontiguousarray(block).data)
            writer.append(block)
    (folder / _FACTS).write_text(json.dumps({"digest": digest.hexdigest()[:16] if digest else ""}))


def open_saved(folder: Path) -> MemmapArray:
    """Open the array that `save_blocks` wrote."""
    return MemmapArray(folder / _ROWS, digest=json.loads((folder / _FACTS).read_text())["digest"])


class NpyHeader(NamedTuple):
    """The header of a `.npy` file, and the position of its values."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    start: int


def _restore(path: Path, rows: Array | None, digest: str) -> MemmapArray:
    return MemmapArray(path, rows, digest=digest)


class NpyWriter:
    """Writes a `.npy` file block by block with any number of rows, without mapping it."""

    def __init__(self, path: Path) -> None:
        """Open the file; the first block defines the shape of a row."""
        self._file = path.open("wb")
        self._rows = 0
        self._row_format: tuple[tuple[int, ...], np.dtype[Any]] | None = None

    def append(self, block: Array) -> None:
        """Append rows."""
        if self._row_format is None:
            self._row_format = block.shape[1:], block.dtype
            self._write_header()
        self._file.write(np.ascontiguousarray(block).data)
        self._rows += len(block)

    def __enter__(self) -> NpyWriter:
        """Return the writer itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Write the number of rows into the header, and close the file."""
        if self._row_format is not None:
            self._file.seek(0)
            self._write_header()
        self._file.close()

    def _write_header(self) -> None:
        """Write the header; its padding leaves room for a larger number of rows."""
        shape, dtype = self._row_format or ((), np.dtype("uint8"))
        header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": (self._rows, *shape)}
        np.lib.format.write_array_header_1_0(self._file, header)
