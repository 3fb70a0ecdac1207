"""The arrays of an .npz file: in memory, large images and sequences aside, which are put on disk."""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from workbench.array import Array
from workbench.data import memmap, padding
from workbench.data.cache import Cache
from workbench.errors import DataError, SourceError

_LARGE = memmap.LARGE
# What is read at a time.
_BLOCK = 16 * 2**20


class ArrayHeader(NamedTuple):
    """What the first bytes of an array tell."""

    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype[Any]
    names: tuple[str, ...] = ()
    """All arrays of the file."""

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        """How many bytes the values take."""
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def liftable(self) -> bool:
        """Whether the values are large images or sequences that can be read row by row."""
        return self.nbytes > _LARGE and self.ndim in (3, 4) and not self.fortran and self.dtype.kind in "biuf"


def read(path: Path) -> dict[str, Array]:
    """Read all arrays of a file into memory; pickled objects are refused.

    Raises:
        SourceError: the file cannot be opened.
        DataError: it holds what is not plain arrays.
    """
    with _errors(path), np.load(path, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def head(path: Path) -> ArrayHeader | None:
    """Return the head of x; None where there is no x, or the file is none that `read` could read."""
    try:
        with zipfile.ZipFile(path) as archive, archive.open("x.npy") as stream:
            names = tuple(name.removesuffix(".npy") for name in archive.namelist())
            return _head(stream)._replace(names=names)
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile, zlib.error):
        return None


def extract_to_disk(
    path: Path, cache: Cache, *, sequence: bool = False, ragged: bool = False, steps: int | None = None
) -> dict[str, Any]:
    """Return the arrays of a file, x as bytes or float32 that lie on disk, where they are put once.

    Args:
        path: the file.
        cache: where x is put.
        sequence: whether x is sequences, which may have missing values.
        ragged: whether the array `lengths` says how long each of them is.
        steps: how many steps sequences are padded to, or cut at; as many as they have unless given.

    Raises:
        SourceError: the file cannot be opened.
        DataError: it holds what is not plain arrays, x has values that it must not have, or lengths do not fit it.
    """
    with _errors(path), np.load(path, allow_pickle=False) as archive:
        beside = {name: archive[name] for name in archive.files if name != "x"}
    known, stat = head(path), path.stat()
    ends = padding.lengths(beside["lengths"], known.shape, path.name) if ragged and known else None
    made_from = {"npz": path.name, "size": stat.st_size, "time": stat.st_mtime_ns, "sequence": sequence}
    made_from |= {"ragged": ragged, "steps": steps}

    def lift(folder: Path) -> None:
        memmap.save_blocks(folder, known.shape[0] if known else 0, _blocks(path, sequence, ends, steps))

    return {"x": memmap.open_saved(cache.entry(made_from, lift)), **beside}


def _blocks(path: Path, sequence: bool, ends: Array | None, steps: int | None) -> Iterator[Array]:
    """Yield x some megabytes at a time, as it is put on disk."""
    unfit, start = 0, 0
    with _errors(path), zipfile.ZipFile(path) as archive, archive.open("x.npy") as stream:
        known = _head(stream)
        row = known.nbytes // known.shape[0]
        while content := stream.read(max(1, _BLOCK // row) * row):
            block = np.frombuffer(content, known.dtype).reshape(-1, *known.shape[1:])
            own = None if ends is None else ends[start : start + len(block)]
            start += len(block)
            unfit += count_unusable(block, sequence, own)
            if sequence:
                yield padding.to_padded(block, lengths=own, steps=steps)
            else:
                yield block if block.dtype == np.uint8 else block.astype("float32")
    if unfit:
        raise non_finite_error(path.name, unfit, sequence)


def count_unusable(x: Array, sequence: bool, ends: Array | None = None) -> int:
    """Return how many values are infinite, or missing where nothing may be; what padding replaces does not count."""
    if x.dtype.kind != "f":
        return 0
    bad = np.isinf(x.astype("float32")) if sequence else ~np.isfinite(x.astype("float32"))
    return int((bad if ends is None else bad[padding.real_steps(x.shape[1], ends)]).sum())


def non_finite_error(name: str, unfit: int, sequence: bool = False) -> DataError:
    """Return the error for an x with so many values that cannot be used."""
    if sequence:
        return DataError(
            f"{name}: x must be finite, or NaN where a value is missing. Received: {unfit} values that are infinite. "
            "Correct them."
        )
    return DataError(
        f"{name}: x must be finite. Received: {unfit} values that are not. Fill them. (Sequences may lack values; if "
        "these are some, set data.types to {x: sequence}.)"
    )


def _head(stream: IO[bytes]) -> ArrayHeader:
    read_header = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }[np.lib.format.read_magic(stream)]
    return ArrayHeader(*read_header(stream))


@contextmanager
def _errors(path: Path) -> Iterator[None]:
    """Say in our own sentence why a file cannot be read."""
    try:
        yield
    except (ValueError, EOFError, AttributeError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(
            f"{path}: must hold plain arrays, written by numpy.savez. Received: {str(error).rstrip('.')}. "
            "Write it again, without objects."
        ) from error
    except OSError as error:
        raise SourceError(f"{path}: cannot be read ({error}). Check that it is there, and whole.") from error
