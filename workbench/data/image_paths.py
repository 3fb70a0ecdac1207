"""The images of a folder that the values of a column name, and the columns that name images."""

from __future__ import annotations

from collections.abc import Collection
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

import pandas as pd

from workbench.data import column_types, image_folder
from workbench.data.image_folder import ImageFiles
from workbench.errors import DataError, format_list

# Distinct values that are looked up to decide whether a column names files, and the share that must exist.
_TRIED, SHARE = 200, 0.5


def name_column(frame: pd.DataFrame, index: ImageIndex) -> str | None:
    """Return the column of a table whose values name images of a folder best; None if there is none.

    Among columns with the same share of matches it is the one with the most distinct values.
    """
    shares = {str(column): index.share(frame[column]) for column in frame.columns}
    best = max(shares, key=lambda column: (shares[column], frame[column].nunique()))
    return best if shares[best] >= SHARE else None


def name_columns(frame: pd.DataFrame, index: ImageIndex, declared: Collection[str] = ()) -> tuple[str, ...]:
    """Return all columns of a table that name images of a folder.

    Several columns are accepted only if their values have the suffixes of files, because plain numbers may be counts.
    Without such a column the one that names images best is returned.

    Args:
        frame: the table, its values as written.
        index: the images of the folder.
        declared: columns that the study file declares as images.
    """
    sure = [
        c
        for c in map(str, frame.columns)
        if c in declared or (_has_suffixes(frame[c]) and index.share(frame[c]) >= SHARE)
    ]
    best = None if sure else name_column(frame, index)
    return tuple(sure) if best is None else (best,)


class ImageIndex:
    """Looks up the images of a folder by path, file name, and either without suffix."""

    def __init__(self, images: ImageFiles) -> None:
        """Index the files."""
        self.folder = images.folder
        # From the most specific key to the least; an ambiguous key maps to None.
        self._tiers: list[dict[str, Path | None]] = [{}, {}, {}, {}]
        for path, file in zip(image_folder.paths(images), images.files, strict=True):
            keys = path, file.name, str(PurePosixPath(path).with_suffix("")), file.stem
            for tier, key in zip(self._tiers, keys, strict=True):
                tier[key] = None if key in tier else file

    def find(self, text: str) -> Path | None:
        """Return the image that a text names; leading folders of the text may be missing here."""
        parts = PurePosixPath(text.strip().replace("\\", "/")).parts
        for start in range(len(parts)):
            tail = "/".join(parts[start:])
            for tier in self._tiers:
                if tail in tier:
                    return tier[tail]
        return None

    def alike(self, one: pd.Series[Any], other: pd.Series[Any]) -> bool:
        """Return whether two columns name the same image in every row."""
        pairs = zip(column_types.texts(one).fillna(""), column_types.texts(other).fillna(""), strict=True)
        found = ((self.find(a), self.find(b)) for a, b in pairs)
        return all(a == b and a is not None for a, b in found)

    def share(self, series: pd.Series[Any]) -> float:
        """Return the share of the first distinct values that name images."""
        texts = column_types.texts(series).dropna().unique()[:_TRIED]
        return sum(self.find(text) is not None for text in texts) / max(1, len(texts))


class NearbyImages:
    """Looks up images of rows to predict: beside the rows' file, then in the training images' folder."""

    def __init__(self, beside: Path | None, folder: Path) -> None:
        """Look beside the file of the rows if there is one, then below `folder`, then below the current folder.

        A file may name images anywhere; rows without a file, as a server receives them, cannot reach beyond the two
        folders.
        """
        self.folder = folder
        self._folder = beside

    def find(self, text: str) -> Path | None:
        """Return the image that a text names."""
        bases = [] if self._folder is None else [self._folder]
        here = next((found for base in bases if (found := _image(base / text))), None)
        below = self._index.find(text) if here is None and self._index is not None else here
        within = (Path.cwd() / text).resolve().is_relative_to(Path.cwd().resolve())
        return _image(Path.cwd() / text) if below is None and within else below

    @cached_property
    def _index(self) -> ImageIndex | None:
        files = (
            [file for file in image_folder.walk_files(self.folder) if image_folder.is_image(file)]
            if self.folder.is_dir()
            else []
        )
        return ImageIndex(ImageFiles(self.folder, tuple(files))) if files else None


class ImageLocator(Protocol):
    """Looks up images by the texts that name them."""

    folder: Path

    def find(self, text: str) -> Path | None:
        """Return the image that a text names."""


def files(series: pd.Series[Any], locator: ImageLocator, name: str, *, blank: bool = False) -> list[Path | None]:
    """Return the image that each value of a column names.

    Args:
        series: the column.
        locator: looks up the images.
        name: the table's name, for messages.
        blank: whether a value may be missing; its image is None.

    Raises:
        DataError: a value names none, or more than one.
    """
    texts = column_types.texts(series).fillna("")
    known = {text: locator.find(text) if text else None for text in texts.unique()}
    lost = [text for text, file in known.items() if file is None and (text or not blank)]
    if lost:
        raise DataError(
            f"{name}: column {series.name!r} must name one image of {locator.folder} in every row. Received: "
            f"{format_list(map(repr, lost), 3)}, which are none, or more than one. Correct them."
        )
    return [known[text] for text in texts]


def _image(path: Path) -> Path | None:
    return path if image_folder.is_image(path) and path.is_file() else None


def _has_suffixes(series: pd.Series[Any]) -> bool:
    """Return whether most of the first distinct values have suffixes of image files."""
    texts = column_types.texts(series).dropna().unique()[:_TRIED]
    return sum(image_folder.is_image(Path(text)) for text in texts) >= max(1, SHARE * len(texts))
