"""A column of images in a frame, stored as indices into arrays of images."""

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
# Bytes that are read at a time in a pass over many rows.
_BLOCK = 32 * 2**20


@register_extension_dtype
class ImageDtype(ExtensionDtype):
    """The dtype of a column of images."""

    name = "pictures"
    type = np.ndarray
    kind = "O"
    na_value = None

    @classmethod
    def construct_array_type(cls) -> Any:
        """Return the extension array of the dtype."""
        return ImageArray


class ImageArray(ExtensionArray):
    """Images of one shape, one per row; a row without an image is missing and reads as a blank image.

    The array holds its sources, which are arrays of images in memory or on disk, and for each row the index of its
    image in the concatenation of the sources. Taking, concatenating, copying and pickling move indices alone.
    """

    def __init__(
        self, sources: Array | MemmapArray | Sequence[Array | MemmapArray], indices: Any | None = None
    ) -> None:
        """Select the images with these indices, or all of them.

        Args:
            sources: (images, height, width[, channels]) each, of one shape and type; indices run through all of them.
            indices: the indices of the rows' images, -1 for a row without one.

        Raises:
            ValueError: the images differ in shape or type, or an index is out of range.
        """
        self._sources = tuple(sources) if isinstance(sources, (list, tuple)) else (sources,)
        count = sum(map(len, self._sources))
        self._indices = np.arange(count) if indices is None else np.asarray(indices, dtype=np.int64)
        formats = {(tuple(source.shape[1:]), np.dtype(source.dtype)) for source in self._sources}
        if len(formats) != 1:
            raise ValueError(
                f"images in one column must have one shape and type. Received: {sorted(map(str, formats))}."
            )
        if len(self._indices) and (self._indices.min() < _MISSING or self._indices.max() >= count):
            raise ValueError(f"indices of images must lie between -1 and {count - 1}. Received others.")

    @property
    def dtype(self) -> ImageDtype:
        """The dtype of the column."""
        return ImageDtype()

    @property
    def nbytes(self) -> int:
        """The bytes of the indices; the sources are not counted."""
        return int(self._indices.nbytes)

    @property
    def seen(self) -> LazyImages:
        """The images as an array that reads rows on access."""
        return LazyImages(self)

    @property
    def digest(self) -> str:
        """16 hex digits over the images of all rows; an array on disk contributes its own digest."""
        words = hashlib.sha256(f"{[source.shape[1:] for source in self._sources]}".encode())
        for source in self._sources:
            known = (
                source.digest.encode() if isinstance(source, MemmapArray) else np.ascontiguousarray(source).tobytes()
            )
            words.update(known)
        words.update(self._indices.tobytes())
        return words.hexdigest()[:16]

    def read(self, rows: Any = slice(None)) -> Array:
        """Return the images of some rows, a slice or indices, as (rows, height, width[, channels])."""
        indices = self._indices[rows]
        first = self._sources[0]
        values: Array = np.zeros((len(indices), *first.shape[1:]), first.dtype)
        begin = 0
        for source in self._sources:
            own = (indices >= begin) & (indices < begin + len(source))
            if own.any():
                values[own] = np.asarray(source[indices[own] - begin])
            begin += len(source)
        return values

    def isna(self) -> Array:
        """Return a mask of the rows without an image."""
        missing: Array = self._indices == _MISSING
        return missing

    def take(self, indices: Any, *, allow_fill: bool = False, fill_value: Any = None) -> ImageArray:
        """Return the rows at these positions; with `allow_fill`, -1 stands for a row without an image."""
        fill = _MISSING if allow_fill else None
        return self._with_indices(
            take(self._indices, np.asarray(indices, dtype=np.intp), fill_value=fill, allow_fill=allow_fill)
        )

    def copy(self) -> ImageArray:
        """Copy the indices; the images are shared."""
        return self._with_indices(self._indices.copy())

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self._indices)

    def __getitem__(self, item: Any) -> Any:
        """Return the image of a row, None without one; or a column of some rows."""
        item = pd.api.indexers.check_array_indexer(self, item)
        if isinstance(item, (int, np.integer)):
            number = range(len(self))[item]
            return None if self._indices[number] == _MISSING else self.read(slice(number, number + 1))[0]
        return self._with_indices(self._indices[item])

    def __eq__(self, other: Any) -> Any:
        """Return a mask of the rows with the same image of the same sources."""
        if not isinstance(other, ImageArray) or len(other) != len(self):
            return NotImplemented
        sources, moved = _merge_sources([self, other])
        return (moved[0] == moved[1]) & (len(sources) == len(self._sources)) & (moved[0] != _MISSING)

    def _with_indices(self, indices: Any) -> ImageArray:
        return ImageArray(self._sources, indices)

    def _values_for_factorize(self) -> tuple[Array, Any]:
        return self._indices, _MISSING

    def _formatter(self, boxed: bool = False) -> Any:
        return lambda image: "none" if image is None else "×".join(map(str, image.shape))

    @classmethod
    def _from_factorized(cls, values: Any, original: ImageArray) -> ImageArray:
        return original._with_indices(values)

    @classmethod
    def _concat_same_type(cls, to_concat: Sequence[ImageArray]) -> ImageArray:
        sources, indices = _merge_sources(to_concat)
        return cls(sources, np.concatenate(indices))

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
    """The images of a column as an array that reads rows on access, because all of them may not fit into memory."""

    def __init__(self, column: ImageArray) -> None:
        """View all rows of a column."""
        self._column = column
        one = column.read(slice(0, 0))
        self.shape, self.dtype, self.ndim = (len(column), *one.shape[1:]), one.dtype, one.ndim

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self._column)

    def __getitem__(self, rows: Any) -> Any:
        """Return the image of a row, or those of a slice or of these indices."""
        if isinstance(rows, (int, np.integer)):
            number = range(len(self))[rows]
            return self[number : number + 1][0]
        return self._column.read(rows)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        """Return all rows."""
        read = self._column.read()
        return read if dtype is None else read.astype(dtype, copy=False)

    def blocks(self) -> Iterator[tuple[slice, Array]]:
        """Yield all rows in order, some megabytes at a time: their slice and their images."""
        step = max(1, _BLOCK // max(1, math.prod(self.shape[1:]) * self.dtype.itemsize))
        for start in range(0, len(self), step):
            part = slice(start, min(start + step, len(self)))
            yield part, self[part]


def _merge_sources(columns: Sequence[ImageArray]) -> tuple[list[Array | MemmapArray], list[Array]]:
    """Return the distinct sources of some columns, and each column's indices into them."""
    sources: list[Array | MemmapArray] = []
    merged = []
    for column in columns:
        moved, begin = np.full(len(column), _MISSING, np.int64), 0
        for source in column._sources:
            place = next((number for number, each in enumerate(sources) if _is_same(each, source)), len(sources))
            if place == len(sources):
                sources.append(source)
            own = (column._indices >= begin) & (column._indices < begin + len(source))
            moved[own] = column._indices[own] - begin + sum(map(len, sources[:place]))
            begin += len(source)
        merged.append(moved)
    return sources, merged


def _is_same(one: Array | MemmapArray, other: Array | MemmapArray) -> bool:
    """Return whether two sources are the same array; views of a file are compared by its digest."""
    if isinstance(one, MemmapArray) and isinstance(other, MemmapArray) and one.digest:
        return (one.path, one.digest) == (other.path, other.digest)
    return one is other
