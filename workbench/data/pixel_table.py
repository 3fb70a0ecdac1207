"""A table with a column for each pixel -> arrays, as Kaggle's Digit Recognizer has it."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping, Sequence

import numpy as np
import pandas as pd

from workbench.array import Array
from workbench.config import StudyConfig
from workbench.data import validation
from workbench.errors import DataError, format_list

# pixel0, pixel_17, px3, 28x28: how columns of pixels are named; a table of fewer is not called an image unasked.
_PIXEL = re.compile(r"(?i)(pixel|px|p)[ _.-]?\d+|\d+x\d+")
_LEAST = 64


def is_requested(config: StudyConfig) -> bool:
    """Tell whether the study file says that the table's columns are pixels."""
    return config.data.types.get("x") == "image"


def shape(columns: int) -> tuple[int, ...] | None:
    """Return the shape of a square image of so many values, grey before red, green and blue; None where none fits."""
    for channels in ((), (3,)):
        values = columns // math.prod(channels)
        side = math.isqrt(values)
        if side > 1 and side * side * math.prod(channels) == columns:
            return (side, side, *channels)
    return None


def is_pixel_table(names: Collection[str]) -> bool:
    """Tell whether columns are those of an image by their names and their number."""
    return len(names) >= _LEAST and shape(len(names)) is not None and all(map(_PIXEL.fullmatch, names))


def arrays(frame: pd.DataFrame, name: str, names: Sequence[str]) -> Mapping[str, Array]:
    """Return x, and the columns beside it.

    Whole numbers from 0 to 255 become bytes. The pixels of a row follow each other line by line, those of a colour
    image as red, green, blue.

    Args:
        frame: the table.
        name: the table's, for messages.
        names: the columns of the pixels, in their order.

    Raises:
        DataError: the columns make no square image, or hold what is no number.
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
    """Return the columns of the pixels: all that nothing else is known of."""
    apart = {*config.data.targets, *config.data.time, *validation.not_features(config)}
    return [name for name in map(str, frame.columns) if name not in apart and not validation.is_unnamed(name)]


def _values(frame: pd.DataFrame) -> Array:
    values: Array = frame.to_numpy()
    low, high = values.min(), values.max()
    bytewise = low >= 0 and high <= 255 and (values.dtype.kind in "iub" or not (values % 1).any())
    return values.astype(np.uint8 if bytewise else np.float32)
