"""An array that lies on disk: read when it is asked for, by every process from the system's one cache of it."""

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

# An array of more bytes than this is not held by every process.
LARGE = 64 * 2**20
# What is read at a time where many rows are gone through, in bytes.
_BLOCK = 32 * 2**20
_ROWS, _FACTS = "x.npy", "facts.json"


class MemmapArray:
    """Rows of a `.npy` file that are not in memory.

    It has an array's `shape`, `dtype`, `ndim`, `size`, `nbytes` and `len`. Row numbers or a mask give a view:
    `stored[rows]` is another `MemmapArray`, for which nothing is read, as of a fold's training rows. A number or a slice
    reads: `stored[7]` and `stored[10:20]` are NumPy arrays of their own, and so is `numpy.asarray(stored)`, whole. A
    batch of any rows is `numpy.asarray(stored[rows])`.

    Pickled it is its path and its row numbers. What is read comes from the system's cache of the file, which holds it
    once for all processes and gives it up when memory is short. (Mapped into memory, it would count as every process's
    own, and a file that is cut off would end the process.)
    """

    def __init__(self, path: Path, rows: Array | None = None, *, digest: str = "") -> None:
        """Take the file's rows with these numbers, or all of them; nothing is opened yet.

        Args:
            path: the `.npy` file.
            rows: row numbers of the file.
            digest: what the values are known by in a study's facts.
        """
        self.path, self.digest = path, digest
        self._rows = rows

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape that the rows have as an array."""
        return (len(self), *self._head.shape[1:])

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of a value."""
        return self._head.dtype

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return len(self._head.shape)

    @property
    def size(self) -> int:
        """The number of values."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """How many bytes the rows would take in memory."""
        return self.size * self.dtype.itemsize

    def __len__(self) -> int:
        """Return the number of rows."""
        return self._head.shape[0] if self._rows is None else len(self._rows)

    @overload
    def __getitem__(self, index: int | slice) -> Array: ...
    @overload
    def __getitem__(self, index: Array | list[int]) -> MemmapArray: ...
    def __getitem__(self, index: Any) -> Array | MemmapArray:
        """Return the values of a row or a slice of rows, or a view of the rows with these numbers."""
        rows = np.arange(len(self)) if self._rows is None else self._rows
        if isinstance(index, slice):
            return self._read(rows[index])
        if isinstance(index, int | np.integer):
            return np.asarray(self._read(rows[index : index + 1 or None])[0])
        # A list without any number in it would be one of floats.
        return MemmapArray(self.path, rows[np.asarray(index, dtype=None if len(index) else int)])

    def __iter__(self) -> Iterator[Array]:
        """Yield row after row."""
        return (self[row] for row in range(len(self)))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        """Return all rows in memory, converted as they are read."""
        if copy is False:
            raise ValueError("An array that lies on disk cannot be had without a copy.")
        if dtype is None or np.dtype(dtype) == self.dtype:
            return self[:]
        values: Array = np.empty(self.shape, dtype)
        for part, block in self.blocks():
            values[part] = block
        return values

    def blocks(self) -> Iterator[tuple[slice, Array]]:
        """Yield all rows in order, some megabytes at a time: which they are, and their values."""
        step = max(1, _BLOCK // max(1, self.nbytes // max(1, len(self))))
        for start in range(0, len(self), step):
            part = slice(start, min(start + step, len(self)))
            yield part, self[part]

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the path and the row numbers, never the values."""
        return _stored, (self.path, self._rows, self.digest)

    def __repr__(self) -> str:
        """Return what it is, without a look at the file."""
        return f"Stored({str(self.path)!r}{'' if self._rows is None else f', {len(self._rows)} rows'})"

    @cached_property
    def _head(self) -> NpyHeader:
        with self._opened() as file:
            np.lib.format.read_magic(file)
            shape, _, dtype = np.lib.format.read_array_header_1_0(file)
            start = file.tell()
        # Whoever sweeps the cache sees that the file is in use.
        with suppress(OSError):
            os.utime(self.path)
        return NpyHeader(shape, dtype, start)

    def _read(self, rows: Array) -> Array:
        """Return the file's rows with these numbers, those that lie beside each other at once."""
        head = self._head
        values: Array = np.empty((len(rows), *head.shape[1:]), head.dtype)
        if not values.size:
            return values
        size = values[:1].nbytes
        memory = values.reshape(-1).view(np.uint8).data
        ends = [*(np.flatnonzero(np.diff(rows) != 1) + 1).tolist(), len(rows)]
        with self._opened() as file:
            for begin, end in zip([0, *ends], ends, strict=False):
                file.seek(head.start + int(rows[begin]) * size)
                self._fill(file, memory[begin * size : end * size])
        return values

    def _fill(self, file: FileIO, memory: memoryview) -> None:
        while memory:
            count = file.readinto(memory)
            if not count:
                raise self._gone("it is cut off")
            memory = memory[count:]

    @contextmanager
    def _opened(self) -> Iterator[FileIO]:
        """Open the file for one reading, so that neither threads nor forked processes share a place in it."""
        try:
            file = FileIO(self.path)
        except OSError as error:
            raise self._gone(error.strerror or str(error)) from error
        with file:
            yield file

    def _gone(self, received: str) -> SourceError:
        return SourceError(
            f"{self.path}: must stay there while it is in use. Received: {received}. Give the same command again: "
            "it is made anew."
        )


def save_blocks(folder: Path, rows: int, blocks: Iterable[Array]) -> None:
    """Write an array of so many rows, which come block by block, with the digest that it would have in memory."""
    words = None
    with NpyWriter(folder / _ROWS) as writer:
        for block in blocks:
            words = words or hashlib.sha256(str((rows, *block.shape[1:])).encode())
            words.update(np.ascontiguousarray(block).data)
            writer.append(block)
    (folder / _FACTS).write_text(json.dumps({"digest": words.hexdigest()[:16] if words else ""}))


def open_saved(folder: Path) -> MemmapArray:
    """Return what `keep` wrote."""
    return MemmapArray(folder / _ROWS, digest=json.loads((folder / _FACTS).read_text())["digest"])


class NpyHeader(NamedTuple):
    """What the first bytes of a `.npy` file say, and where its values start."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    start: int


def _stored(path: Path, rows: Array | None, digest: str) -> MemmapArray:
    return MemmapArray(path, rows, digest=digest)


class NpyWriter:
    """Writes a `.npy` file block by block, as many rows as come, without ever mapping it."""

    def __init__(self, path: Path) -> None:
        """Open the file; what a row is follows from the first block."""
        self._file = path.open("wb")
        self._rows = 0
        self._row: tuple[tuple[int, ...], np.dtype[Any]] | None = None

    def append(self, block: Array) -> None:
        """Write more rows."""
        if self._row is None:
            self._row = block.shape[1:], block.dtype
            self._header()
        self._file.write(np.ascontiguousarray(block).data)
        self._rows += len(block)

    def __enter__(self) -> NpyWriter:
        """Return the writer itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Say in the header how many rows there are, and close the file."""
        if self._row is not None:
            self._file.seek(0)
            self._header()
        self._file.close()

    def _header(self) -> None:
        """Write the header, which leaves room for its number of rows to grow."""
        shape, dtype = self._row or ((), np.dtype("uint8"))
        known = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": (self._rows, *shape)}
        np.lib.format.write_array_header_1_0(self._file, known)
