"""The arrays of an .npz file: in memory, large images and sequences aside, which are put on disk."""

from __future__ import annotations

import hashlib
import json
import math
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from workbench.data import stored
from workbench.data.cache import Cache
from workbench.data.dataset import Array
from workbench.data.stored import Stored
from workbench.errors import DataError, SourceError

# An x of more bytes than this is not held by every process.
_LARGE = 64 * 2**20
# What is read at a time.
_BLOCK = 16 * 2**20


class Head(NamedTuple):
    """What the first bytes of an array tell."""

    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype[Any]

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


def head(path: Path) -> Head | None:
    """Return the head of x; None where there is no x, or the file is none that `read` could read."""
    try:
        with zipfile.ZipFile(path) as archive, archive.open("x.npy") as stream:
            return _head(stream)
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile, zlib.error):
        return None


def lifted(path: Path, cache: Cache) -> dict[str, Any]:
    """Return the arrays of a file, x as bytes or float32 that lie on disk, where they are put once.

    Raises:
        SourceError: the file cannot be opened.
        DataError: it holds what is not plain arrays, or x has values that are not finite.
    """
    with _errors(path), np.load(path, allow_pickle=False) as archive:
        beside = {name: archive[name] for name in archive.files if name != "x"}
    stat = path.stat()
    made_from = {"npz": path.name, "size": stat.st_size, "time": stat.st_mtime_ns}
    folder = cache.entry(made_from, lambda folder: _lift(path, folder))
    facts = json.loads((folder / "facts.json").read_text())
    return {"x": Stored(folder / "x.npy", digest=facts["digest"]), **beside}


def _lift(path: Path, folder: Path) -> None:
    """Copy x into a file of its own, block by block."""
    unfit = 0
    with _errors(path), zipfile.ZipFile(path) as archive, archive.open("x.npy") as stream:
        known = _head(stream)
        words = hashlib.sha256(str(known.shape).encode())
        row = known.nbytes // known.shape[0]
        with stored.Writer(folder / "x.npy") as writer:
            while content := stream.read(max(1, _BLOCK // row) * row):
                block = np.frombuffer(content, known.dtype).reshape(-1, *known.shape[1:])
                block = block if block.dtype == np.uint8 else block.astype("float32")
                unfit += 0 if block.dtype == np.uint8 else int((~np.isfinite(block)).sum())
                writer.append(block)
                words.update(block.tobytes())
    if unfit:
        raise not_finite(path.name, unfit)
    (folder / "facts.json").write_text(json.dumps({"digest": words.hexdigest()[:16]}))


def not_finite(name: str, unfit: int) -> DataError:
    """Return the error for an x with so many values that are not finite."""
    return DataError(f"{name}: x must be finite. Received: {unfit} values that are not. Fill them.")


def _head(stream: IO[bytes]) -> Head:
    read_header = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }[np.lib.format.read_magic(stream)]
    return Head(*read_header(stream))


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
