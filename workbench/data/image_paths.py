"""Which images of a folder the values of a table's column name, found by looking."""

from __future__ import annotations

from collections.abc import Collection
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

import pandas as pd

from workbench.data import column_types, image_folder
from workbench.data.image_folder import ImageFiles
from workbench.errors import DataError, format_list

# How many names are looked up to tell whether a column holds names of files, and how many must be there.
_TRIED, SHARE = 200, 0.5


def name_column(frame: pd.DataFrame, index: ImageIndex) -> str | None:
    """Return the column of a table whose values name images of a folder best; None where there is none.

    Of columns that do so alike it is the one that names most.
    """
    shares = {str(column): index.share(frame[column]) for column in frame.columns}
    best = max(shares, key=lambda column: (shares[column], frame[column].nunique()))
    return best if shares[best] >= SHARE else None


def name_columns(frame: pd.DataFrame, index: ImageIndex, asked: Collection[str] = ()) -> tuple[str, ...]:
    """Return all columns of a table that name images of a folder.

    Only values with their files' suffixes show that a column is one of several: numbers alone may be counts. Without
    any such column it is the one that names images best.

    Args:
        frame: the table, its values as they are written.
        index: the images of the folder.
        asked: columns that the study file says are images.
    """
    sure = [
        c for c in map(str, frame.columns) if c in asked or (_suffixed(frame[c]) and index.share(frame[c]) >= SHARE)
    ]
    best = None if sure else name_column(frame, index)
    return tuple(sure) if best is None else (best,)


class ImageIndex:
    """The images of a folder by every way to write where they lie."""

    def __init__(self, images: ImageFiles) -> None:
        """Look at the files' places."""
        self.folder = images.folder
        # A whole path says more than a name, and a name more than one without its suffix.
        self._tiers: list[dict[str, Path | None]] = [{}, {}, {}, {}]
        for path, file in zip(image_folder.paths(images), images.files, strict=True):
            keys = path, file.name, str(PurePosixPath(path).with_suffix("")), file.stem
            for tier, key in zip(self._tiers, keys, strict=True):
                tier[key] = None if key in tier else file

    def find(self, word: str) -> Path | None:
        """Return the image that a word means; the folders that it begins with may be others than here."""
        parts = PurePosixPath(word.strip().replace("\\", "/")).parts
        for start in range(len(parts)):
            tail = "/".join(parts[start:])
            for tier in self._tiers:
                if tail in tier:
                    return tier[tail]
        return None

    def alike(self, one: pd.Series[Any], other: pd.Series[Any]) -> bool:
        """Tell whether two columns name the same image in every row."""
        pairs = zip(column_types.texts(one).fillna(""), column_types.texts(other).fillna(""), strict=True)
        found = ((self.find(a), self.find(b)) for a, b in pairs)
        return all(a == b and a is not None for a, b in found)

    def share(self, series: pd.Series[Any]) -> float:
        """Return which share of the first distinct values name images."""
        words = column_types.texts(series).dropna().unique()[:_TRIED]
        return sum(self.find(word) is not None for word in words) / max(1, len(words))


class NearbyImages:
    """Images of rows to predict: where their names lead from the rows' own file, else those of a folder."""

    def __init__(self, beside: Path | None, folder: Path) -> None:
        """Look beside the file of the rows, where there is one, then below `folder`, then below the current folder.

        Whoever writes a file names images wherever they are; rows without one, as a server is sent them, do not reach
        beyond the two folders.
        """
        self.folder = folder
        self._beside = beside

    def find(self, word: str) -> Path | None:
        """Return the image that a word means."""
        places = [] if self._beside is None else [self._beside]
        here = next((found for base in places if (found := _image(base / word))), None)
        below = self._index.find(word) if here is None and self._index is not None else here
        within = (Path.cwd() / word).resolve().is_relative_to(Path.cwd().resolve())
        return _image(Path.cwd() / word) if below is None and within else below

    @cached_property
    def _index(self) -> ImageIndex | None:
        files = (
            [file for file in image_folder.walk_files(self.folder) if image_folder.is_image(file)]
            if self.folder.is_dir()
            else []
        )
        return ImageIndex(ImageFiles(self.folder, tuple(files))) if files else None


class ImageLocator(Protocol):
    """Where images are looked for."""

    folder: Path

    def find(self, word: str) -> Path | None:
        """Return the image that a word means."""


def files(series: pd.Series[Any], places: ImageLocator, name: str, *, blank: bool = False) -> list[Path | None]:
    """Return the image that each value of a column names.

    Args:
        series: the column.
        places: where images are looked for.
        name: the table's, for messages.
        blank: whether a value may be missing; its image is None.

    Raises:
        DataError: a value names none, or more than one.
    """
    words = column_types.texts(series).fillna("")
    known = {word: places.find(word) if word else None for word in words.unique()}
    lost = [word for word, file in known.items() if file is None and (word or not blank)]
    if lost:
        raise DataError(
            f"{name}: column {series.name!r} must name one image of {places.folder} in every row. Received: "
            f"{format_list(map(repr, lost), 3)}, which are none, or more than one. Correct them."
        )
    return [known[word] for word in words]


def _image(path: Path) -> Path | None:
    return path if image_folder.is_image(path) and path.is_file() else None


def _suffixed(series: pd.Series[Any]) -> bool:
    """Tell whether most of the first distinct values end as files of images do."""
    words = column_types.texts(series).dropna().unique()[:_TRIED]
    return sum(image_folder.is_image(Path(word)) for word in words) >= max(1, SHARE * len(words))
