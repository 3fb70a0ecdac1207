"""Tables with a column for each pixel, as in Kaggle's Digit Recognizer -> Dataset, and the reader of new tables."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd

from workbench.array import Array
from workbench.config import ColumnKind, StudyConfig
from workbench.data import arrays, new_data, table_files, validation
from workbench.data.arrays import ArrayReader
from workbench.data.cache import Cache
from workbench.data.dataset import Dataset, NewData, NewRows
from workbench.errors import DataError, format_list

# Names of pixel columns, like pixel0, pixel_17, px3 and 28x28; fewer than 64 do not suggest an image.
_PIXEL = re.compile(r"(?i)(pixel|px|p)[ _.-]?\d+|\d+x\d+")
_LEAST = 64


@dataclass(frozen=True)
class PixelReader:
    """Reads new tables of pixels as images."""

    images: ArrayReader
    pixels: tuple[str, ...]
    """The columns of the pixels in their order."""
    optional = ()
    image_format = None

    @property
    def id_column(self) -> str | None:
        """The column of ids."""
        return self.images.id_column

    @property
    def kinds(self) -> dict[str, ColumnKind]:
        """Images have no columns."""
        return {}

    def read(self, rows: NewRows, *, cache: Cache | None = None) -> NewData:
        """Read a table; see `Reader.read`."""
        exact = [self.id_column] if self.id_column else []
        raw = new_data.open_table(rows, source=self.images.source, exact=exact)
        new_data.check_has_rows(raw.frame, raw.name)
        return self.images.read_arrays(to_arrays(raw.frame, raw.name, self.pixels), raw.name)

    def document(self) -> dict[str, Any]:
        """Return the reader as JSON values."""
        return self.images.document() | {"npz": False, "pixels": self.pixels}


def load_pixels(config: StudyConfig, train: Path, test: Path | None) -> Dataset:
    """Read tables of pixels and build a Dataset of images.

    Raises:
        ConfigError: a key names a column that is not there.
        SourceError: a file cannot be opened.
        DataError: the columns make no square image, or hold something other than numbers.
    """
    exact = [config.data.id] if config.data.id else []
    content = table_files.read_content(train, exact)
    frame = content.frame
    validation.check_columns(config, list(map(str, frame.columns)), train.name)
    pixels = tuple(names(config, frame))
    rows = None if test is None else table_files.read_table(test, exact, notations=content.notations)
    files = (train.name, test.name if test else "")
    x = to_arrays(frame, files[0], pixels)
    x_test = None if rows is None else to_arrays(rows, files[1], pixels)
    # The dropped columns are not among the arrays.
    config = config.model_copy(update={"data": config.data.model_copy(update={"drop": ()})})
    dataset = arrays.build(config, x, x_test, names=files)
    return replace(dataset, reader=PixelReader(cast(ArrayReader, dataset.reader), pixels))


def is_requested(config: StudyConfig) -> bool:
    """Return whether the study file says that the table's columns are pixels."""
    return config.data.types.get("x") == "image"


def shape(columns: int) -> tuple[int, ...] | None:
    """Return the shape of a square image with `columns` values, grey rather than RGB; None if there is none."""
    for channels in ((), (3,)):
        values = columns // math.prod(channels)
        side = math.isqrt(values)
        if side > 1 and side * side * math.prod(channels) == columns:
            return (side, side, *channels)
    return None


def is_pixel_table(names: Collection[str]) -> bool:
    """Return whether the names and the number of columns suggest an image."""
    return len(names) >= _LEAST and shape(len(names)) is not None and all(map(_PIXEL.fullmatch, names))


def to_arrays(frame: pd.DataFrame, name: str, names: Sequence[str]) -> Mapping[str, Array]:
    """Return the pixels as images x, and the other columns by name.

    Whole numbers from 0 to 255 become bytes. Pixels are in row-major order, colour channels (red, green, blue) last.

    Args:
        frame: the table.
        name: the table's name, for messages.
        names: the columns of the pixels, in their order.

    Raises:
        DataError: the columns make no square image, or hold something other than numbers.
    """
    row = shape(len(names))
    if row is None:
        raise DataError(
            f"{name} must have N·N or 3·N·N columns of pixels. Received: {len(names)} beside target, id and what "
            "data.drop names. List the columns that are no pixels under data.drop, or remove data.types.x."
        )
    lacks = [column for column in names if column not in frame]
    if lacks:
        raise DataError(
            f"{name} must have the columns of pixels. It lacks {format_list(map(repr, lacks), 5)}. Add them."
        )
    for column in names:
        if frame[column].dtype.kind not in "biuf" or frame[column].isna().any():
            raise DataError(
                f"{name}: column {column!r} must hold a number in every row, as a pixel does. Received: others. "
                "Correct it, list it under data.drop, or remove data.types.x."
            )
    others = [column for column in map(str, frame.columns) if column not in set(names)]
    return {"x": _values(frame[list(names)]).reshape(len(frame), *row), **{c: frame[c].to_numpy() for c in others}}


def names(config: StudyConfig, frame: pd.DataFrame) -> list[str]:
    """Return the columns of the pixels: all columns that the study file does not name for another use."""
    excluded = {*config.data.targets, *config.data.time, *validation.not_features(config)}
    return [name for name in map(str, frame.columns) if name not in excluded and not validation.is_unnamed(name)]


def _values(frame: pd.DataFrame) -> Array:
    values: Array = frame.to_numpy()
    low, high = values.min(), values.max()
    bytewise = low >= 0 and high <= 255 and (values.dtype.kind in "iub" or not (values % 1).any())
    return values.astype(np.uint8 if bytewise else np.float32)
