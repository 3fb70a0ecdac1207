"""An array that lies on disk: read when it is asked for, by every process from the same pages of memory."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, overload

import numpy as np

from workbench.data.dataset import Array
from workbench.errors import SourceError

# What is read at a time where many rows are gone through, in bytes.
_BLOCK = 32 * 2**20


class Stored:
    """Rows of a `.npy` file that are not in memory.

    It has an array's `shape`, `dtype`, `ndim`, `size`, `nbytes` and `len`. Row numbers or a mask give a view:
    `stored[rows]` is another `Stored`, for which nothing is read, as of a fold's training rows. A number or a slice
    reads: `stored[7]` and `stored[10:20]` are NumPy arrays of their own, and so is `numpy.asarray(stored)`, whole. A
    batch of any rows is `numpy.asarray(stored[rows])`.

    Pickled it is its path and its row numbers. Every process maps the file for itself, read-only; the system keeps
    one copy of what is read for all of them, and drops it first when memory is short.
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
        self._file: Array | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape that the rows have as an array."""
        return (len(self), *self._mapped().shape[1:])

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of a value."""
        return self._mapped().dtype

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return self._mapped().ndim

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
        return len(self._mapped() if self._rows is None else self._rows)

    @overload
    def __getitem__(self, index: int | slice) -> Array: ...
    @overload
    def __getitem__(self, index: Array | list[int]) -> Stored: ...
    def __getitem__(self, index: Any) -> Array | Stored:
        """Return the values of a row or a slice of rows, or a view of the rows with these numbers."""
        if isinstance(index, int | np.integer | slice):
            place = index if self._rows is None else self._rows[index]
            return np.array(self._mapped()[place])
        rows = np.arange(len(self)) if self._rows is None else self._rows
        view = Stored(self.path, rows[np.asarray(index)])
        view._file = self._file
        return view

    def __iter__(self) -> Iterator[Array]:
        """Yield row after row."""
        return (self[row] for row in range(len(self)))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        """Return all rows in memory, converted as they are read."""
        if copy is False:
            raise ValueError("An array that lies on disk cannot be had without a copy.")
        values: Array = np.empty(self.shape, dtype or self.dtype)
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

    def _mapped(self) -> Array:
        if self._file is None:
            try:
                self._file = np.load(self.path, mmap_mode="r", allow_pickle=False).view(np.ndarray)
            except OSError as error:
                raise SourceError(
                    f"{self.path}: must stay there while it is in use. Received: {error.strerror or error}. "
                    "Give the same command again: it is made anew."
                ) from error
        return self._file


def _stored(path: Path, rows: Array | None, digest: str) -> Stored:
    return Stored(path, rows, digest=digest)


class Writer:
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

    def __enter__(self) -> Writer:
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
