"""The arrays of an .npz file; large images and sequences are extracted to disk."""

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
# Bytes that are read at a time.
_BLOCK = 16 * 2**20


class ArrayHeader(NamedTuple):
    """The header of an array."""

    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype[Any]
    names: tuple[str, ...] = ()
    """The names of all arrays of the file."""

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        """The bytes of the values."""
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def extractable(self) -> bool:
        """Whether the array is large and can be extracted row by row: images or sequences in C order."""
        return self.nbytes > _LARGE and self.ndim in (3, 4) and not self.fortran and self.dtype.kind in "biuf"


def read(path: Path) -> dict[str, Array]:
    """Read all arrays of a file into memory; pickled objects are refused.

    Raises:
        SourceError: the file cannot be opened.
        DataError: the file holds something other than plain arrays.
    """
    with _translate_errors(path), np.load(path, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def head(path: Path) -> ArrayHeader | None:
    """Return the header of x; None if there is no x, or the file cannot be read."""
    try:
        with zipfile.ZipFile(path) as archive, archive.open("x.npy") as stream:
            names = tuple(name.removesuffix(".npy") for name in archive.namelist())
            return _read_array_header(stream)._replace(names=names)
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile, zlib.error):
        return None


def extract_to_disk(
    path: Path, cache: Cache, *, sequence: bool = False, ragged: bool = False, steps: int | None = None
) -> dict[str, Any]:
    """Return the arrays of a file, with x extracted to disk once, as bytes or float32.

    Args:
        path: the file.
        cache: where x is extracted to.
        sequence: whether x holds sequences, which may have missing values.
        ragged: whether the array `lengths` holds the number of real steps of each sequence.
        steps: the number of steps that sequences are padded to or cut at. Default: unchanged.

    Raises:
        SourceError: the file cannot be opened.
        DataError: the file holds something other than plain arrays, x has unusable values, or lengths do not fit x.
    """
    with _translate_errors(path), np.load(path, allow_pickle=False) as archive:
        beside = {name: archive[name] for name in archive.files if name != "x"}
    header, stat = head(path), path.stat()
    ends = padding.lengths(beside["lengths"], header.shape, path.name) if ragged and header else None
    inputs = {"npz": path.name, "size": stat.st_size, "time": stat.st_mtime_ns, "sequence": sequence}
    inputs |= {"ragged": ragged, "steps": steps}

    def extract(folder: Path) -> None:
        memmap.save_blocks(folder, header.shape[0] if header else 0, _blocks(path, sequence, ends, steps))

    return {"x": memmap.open_saved(cache.entry(inputs, extract)), **beside}


def _blocks(path: Path, sequence: bool, ends: Array | None, steps: int | None) -> Iterator[Array]:
    """Yield x some megabytes at a time, in the form that is written to disk."""
    unusable, start = 0, 0
    with _translate_errors(path), zipfile.ZipFile(path) as archive, archive.open("x.npy") as stream:
        header = _read_array_header(stream)
        row = header.nbytes // header.shape[0]
        while content := stream.read(max(1, _BLOCK // row) * row):
            block = np.frombuffer(content, header.dtype).reshape(-1, *header.shape[1:])
            own = None if ends is None else ends[start : start + len(block)]
            start += len(block)
            unusable += count_unusable(block, sequence, own)
            if sequence:
                yield padding.to_padded(block, lengths=own, steps=steps)
            else:
                yield block if block.dtype == np.uint8 else block.astype("float32")
    if unusable:
        raise non_finite_error(path.name, unusable, sequence)


def count_unusable(x: Array, sequence: bool, ends: Array | None = None) -> int:
    """Count values that are infinite, or missing outside sequences; padded steps do not count."""
    if x.dtype.kind != "f":
        return 0
    bad = np.isinf(x.astype("float32")) if sequence else ~np.isfinite(x.astype("float32"))
    return int((bad if ends is None else bad[padding.real_steps(x.shape[1], ends)]).sum())


def non_finite_error(name: str, unusable: int, sequence: bool = False) -> DataError:
    """Return the error for an x with `unusable` unusable values."""
    if sequence:
        return DataError(
            f"{name}: x must be finite, or NaN where a value is missing. Received: {unusable} values that are "
            "infinite. Correct them."
        )
    return DataError(
        f"{name}: x must be finite. Received: {unusable} values that are not. Fill them. (Sequences may lack values; "
        "if these are some, set data.types to {x: sequence}.)"
    )


def _read_array_header(stream: IO[bytes]) -> ArrayHeader:
    read_header = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }[np.lib.format.read_magic(stream)]
    return ArrayHeader(*read_header(stream))


@contextmanager
def _translate_errors(path: Path) -> Iterator[None]:
    """Raise errors of reading with the name of the file and a remedy."""
    try:
        yield
    except (ValueError, EOFError, AttributeError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(
            f"{path}: must hold plain arrays, written by numpy.savez. Received: {str(error).rstrip('.')}. "
            "Write it again, without objects."
        ) from error
    except OSError as error:
        raise SourceError(f"{path}: cannot be read ({error}). Check that it is there, and whole.") from error
