"""IDX files, the format of MNIST: images in one file, labels in another beside it."""

from __future__ import annotations

import gzip
import re
import zlib
from pathlib import Path

import numpy as np

from workbench.array import Array
from workbench.errors import DataError, SourceError

_DTYPES = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}


def read(path: Path) -> dict[str, Array]:
    """Read x, and y from the file of labels beside it if there is one.

    Raises:
        SourceError: a file cannot be opened.
        DataError: a file is not a whole IDX file.
    """
    label_file = labels(path)
    return {"x": _read_array(path)} | ({} if label_file is None else {"y": _read_array(label_file)})


def labels(path: Path) -> Path | None:
    """Return the file of labels of a file of images: train-labels-idx1-ubyte for train-images-idx3-ubyte."""
    name = re.sub(r"idx\d", "idx1", re.sub(r"(?i)images", "labels", path.name.removesuffix(".gz")))
    return next((file for file in (path.with_name(name), path.with_name(f"{name}.gz")) if file.is_file()), None)


def _read_array(path: Path) -> Array:
    """Read one file: two zero bytes, the type, the number of dimensions, the dimensions, big-endian values."""
    content = _content(path)
    kind, dimensions = (content[2], content[3]) if len(content) >= 4 and not any(content[:2]) else (0, 0)
    start = 4 + 4 * dimensions
    shape = tuple(np.frombuffer(content[4:start], ">u4").astype(int)) if len(content) >= start else ()
    dtype = np.dtype(_DTYPES.get(kind, "V1"))
    if kind not in _DTYPES or len(shape) != dimensions or len(content) - start != int(np.prod(shape)) * dtype.itemsize:
        raise DataError(
            f"{path}: must be a whole IDX file. Received: {len(content)} bytes that do not fit their own head. "
            "Download it again."
        )
    return np.frombuffer(content[start:], dtype).reshape(shape).astype(dtype.newbyteorder("="))


def _content(path: Path) -> bytes:
    try:
        return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"{path}: must be a file compressed by gzip. Received: {error}. Download it again.") from error
    except OSError as error:
        raise SourceError(f"{path}: cannot be read ({error.strerror}). Check that it is there, and whole.") from error
