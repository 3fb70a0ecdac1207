"""A column of images in a frame: where each row's image lies among others, never the pixels themselves."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from pandas.api.extensions import ExtensionArray, ExtensionDtype, register_extension_dtype, take

from workbench.array import Array
from workbench.data.memmap import MemmapArray

_MISSING = -1
# What is read at a time where many rows are gone through, in bytes.
_BLOCK = 32 * 2**20


@register_extension_dtype
class ImageDtype(ExtensionDtype):
    """The type of a column of images."""

    name = "pictures"
    type = np.ndarray
    kind = "O"
    na_value = None

    @classmethod
    def construct_array_type(cls) -> Any:
        """Return the array that goes with the type."""
        return ImageArray


class ImageArray(ExtensionArray):
    """Images of one shape, one a row; a row without an image has a missing value, which is read as a blank image.

    It holds its sources, arrays of images in memory or on disk, and for each row the number of its image in all of
    them. Rows are taken, joined, copied and pickled by these numbers alone.
    """

    def __init__(self, sources: Array | MemmapArray | Sequence[Array | MemmapArray], places: Any | None = None) -> None:
        """Take the images with these numbers, or all of them.

        Args:
            sources: (images, height, width[, channels]) each, of one shape and type; they are numbered through.
            places: the numbers of the rows' images, -1 where a row has none.

        Raises:
            ValueError: the sources' images differ in shape or type, or a number is none of theirs.
        """
        self._sources = tuple(sources) if isinstance(sources, (list, tuple)) else (sources,)
        count = sum(map(len, self._sources))
        self._places = np.arange(count) if places is None else np.asarray(places, dtype=np.int64)
        forms = {(tuple(source.shape[1:]), np.dtype(source.dtype)) for source in self._sources}
        if len(forms) != 1:
            raise ValueError(f"images in one column must have one shape and type. Received: {sorted(map(str, forms))}.")
        if len(self._places) and (self._places.min() < _MISSING or self._places.max() >= count):
            raise ValueError(f"numbers of images must lie between -1 and {count - 1}. Received others.")

    @property
    def dtype(self) -> ImageDtype:
        """The column's type."""
        return ImageDtype()

    @property
    def nbytes(self) -> int:
        """How many bytes the column takes in memory, images that lie there aside."""
        return int(self._places.nbytes)

    @property
    def seen(self) -> LazyImages:
        """The images as an array that is read when rows are asked for."""
        return LazyImages(self)

    @property
    def digest(self) -> str:
        """16 hex digits over the images of all rows; of those that lie on disk, over what they are known by."""
        words = hashlib.sha256(f"{[source.shape[1:] for source in self._sources]}".encode())
        for source in self._sources:
            known = (
                source.digest.encode() if isinstance(source, MemmapArray) else np.ascontiguousarray(source).tobytes()
            )
            words.update(known)
        words.update(self._places.tobytes())
        return words.hexdigest()[:16]

    def read(self, rows: Any = slice(None)) -> Array:
        """Return the images of some rows, a slice or numbers, as (rows, height, width[, channels])."""
        places = self._places[rows]
        first = self._sources[0]
        values: Array = np.zeros((len(places), *first.shape[1:]), first.dtype)
        begin = 0
        for source in self._sources:
            own = (places >= begin) & (places < begin + len(source))
            if own.any():
                values[own] = np.asarray(source[places[own] - begin])
            begin += len(source)
        return values

    def isna(self) -> Array:
        """Return which rows have no image."""
        missing: Array = self._places == _MISSING
        return missing

    def take(self, indices: Any, *, allow_fill: bool = False, fill_value: Any = None) -> ImageArray:
        """Return the rows with these numbers; with `allow_fill`, -1 stands for a row without an image."""
        fill = _MISSING if allow_fill else None
        return self._of(take(self._places, np.asarray(indices, dtype=np.intp), fill_value=fill, allow_fill=allow_fill))

    def copy(self) -> ImageArray:
        """Return the same rows; the images are not copied."""
        return self._of(self._places.copy())

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self._places)

    def __getitem__(self, item: Any) -> Any:
        """Return the image of a row, None where it has none; or a column of some rows."""
        item = pd.api.indexers.check_array_indexer(self, item)
        if isinstance(item, (int, np.integer)):
            number = range(len(self))[item]
            return None if self._places[number] == _MISSING else self.read(slice(number, number + 1))[0]
        return self._of(self._places[item])

    def __eq__(self, other: Any) -> Any:
        """Return which rows are the same image of the same sources."""
        if not isinstance(other, ImageArray) or len(other) != len(self):
            return NotImplemented
        sources, moved = _joined([self, other])
        return (moved[0] == moved[1]) & (len(sources) == len(self._sources)) & (moved[0] != _MISSING)

    def _of(self, places: Any) -> ImageArray:
        return ImageArray(self._sources, places)

    def _values_for_factorize(self) -> tuple[Array, Any]:
        return self._places, _MISSING

    def _formatter(self, boxed: bool = False) -> Any:
        return lambda image: "none" if image is None else "×".join(map(str, image.shape))

    @classmethod
    def _from_factorized(cls, values: Any, original: ImageArray) -> ImageArray:
        return original._of(values)

    @classmethod
    def _concat_same_type(cls, to_concat: Sequence[ImageArray]) -> ImageArray:
        sources, places = _joined(to_concat)
        return cls(sources, np.concatenate(places))

    @classmethod
    def _from_sequence(cls, scalars: Any, *, dtype: Any = None, copy: bool = False) -> ImageArray:
        if isinstance(scalars, ImageArray):
            return scalars
        images = [image for image in scalars if image is not None]
        if not images:
            raise ValueError("images must be there to know their shape. Received: none. Add one.")
        there = np.array([image is not None for image in scalars])
        return cls(np.stack(images), np.where(there, np.cumsum(there) - 1, _MISSING))


class LazyImages:
    """The images of a column, read when rows are asked for: in memory they may be larger than they should be there."""

    def __init__(self, pictures: ImageArray) -> None:
        """See all rows."""
        self._pictures = pictures
        one = pictures.read(slice(0, 0))
        self.shape, self.dtype, self.ndim = (len(pictures), *one.shape[1:]), one.dtype, one.ndim

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self._pictures)

    def __getitem__(self, rows: Any) -> Any:
        """Return the image of a row, or those of a slice or with these numbers."""
        if isinstance(rows, (int, np.integer)):
            number = range(len(self))[rows]
            return self[number : number + 1][0]
        return self._pictures.read(rows)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        """Return all rows."""
        read = self._pictures.read()
        return read if dtype is None else read.astype(dtype, copy=False)

    def blocks(self) -> Iterator[tuple[slice, Array]]:
        """Yield all rows in order, some megabytes at a time: which they are, and their images."""
        step = max(1, _BLOCK // max(1, math.prod(self.shape[1:]) * self.dtype.itemsize))
        for start in range(0, len(self), step):
            part = slice(start, min(start + step, len(self)))
            yield part, self[part]


def _joined(columns: Sequence[ImageArray]) -> tuple[list[Array | MemmapArray], list[Array]]:
    """Return the sources of some columns, each once, and each column's numbers among them."""
    sources: list[Array | MemmapArray] = []
    found = []
    for column in columns:
        moved, begin = np.full(len(column), _MISSING, np.int64), 0
        for source in column._sources:
            place = next((number for number, each in enumerate(sources) if _same(each, source)), len(sources))
            if place == len(sources):
                sources.append(source)
            own = (column._places >= begin) & (column._places < begin + len(source))
            moved[own] = column._places[own] - begin + sum(map(len, sources[:place]))
            begin += len(source)
        found.append(moved)
    return sources, found


def _same(one: Array | MemmapArray, other: Array | MemmapArray) -> bool:
    """Tell whether two sources are one; views of a file's rows are not looked into."""
    if isinstance(one, MemmapArray) and isinstance(other, MemmapArray) and one.digest:
        return (one.path, one.digest) == (other.path, other.digest)
    return one is other
