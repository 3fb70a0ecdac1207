"""Files of tables whose columns have types: Parquet, Feather, Excel, JSON lines -> frames."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from workbench.data.csv_header import list_parts
from workbench.data.text_files import MISSING
from workbench.errors import DataError, SourceError


def read(path: Path) -> pd.DataFrame:
    """Read a file of a table with types, or a folder of its parts; a named index becomes a column.

    Raises:
        SourceError: the file cannot be opened, or the package that reads it is not installed.
        DataError: the file is not what its name says, names a column twice, or has lists or structures.
    """
    parts = list_parts(path) if path.is_dir() else [path]
    frames = [_read_file(part) for part in parts]
    frame = frames[0] if len(frames) == 1 else pd.concat(frames, ignore_index=True)
    frame.columns = frame.columns.map(str)
    if frame.columns.has_duplicates:
        duplicate = frame.columns[frame.columns.duplicated()][0]
        raise DataError(f"{path}: column names must differ. Received: {duplicate!r} twice. Rename one of them.")
    for name in (name for name in frame if frame[name].dtype == object):
        nested = frame[name].map(lambda value: isinstance(value, (list, dict, np.ndarray)))
        if nested.any():
            raise DataError(
                f"{path}: column {name!r} must hold single values. Received: lists or structures. Unfold them."
            )
    return frame


def has_strings(series: pd.Series[Any]) -> bool:
    """Return whether a column holds strings alone, and missing values."""
    return isinstance(series.dtype, pd.StringDtype) or (
        series.dtype == object and pd.api.types.infer_dtype(series, skipna=True) == "string"
    )


def to_strings(series: pd.Series[Any]) -> pa.ChunkedArray:
    """Return a column of strings as Arrow does."""
    return pa.chunked_array([pa.array(series.astype(object).where(series.notna(), None), pa.string())])


def _read_file(path: Path) -> pd.DataFrame:
    read, name = _READERS[path.suffix.lower()]
    try:
        return _add_index(read(path))
    except FileNotFoundError as error:
        raise SourceError(f"{path}: cannot be read ({error.strerror}). Check data.train and data.test.") from error
    except ImportError as error:
        raise SourceError(f"{path}: needs the package openpyxl. Install it with: pip install openpyxl") from error
    except Exception as error:
        raise DataError(f"{path}: must be {name}. Received: {error}. Write it again.") from error


def _add_index(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the frame with a named index as a column; an index that repeats a column is left out."""
    names = [str(name) for name in frame.index.names if name is not None]
    repeated = [name for name in names if name in frame and (frame.index.get_level_values(name) == frame[name]).all()]
    frame = frame.reset_index(level=repeated, drop=True) if len(repeated) < frame.index.nlevels else frame
    unnamed = frame.index.names == [None] or len(repeated) == frame.index.nlevels
    return frame.reset_index(drop=unnamed)


def _read_excel(path: Path) -> pd.DataFrame:
    """Read the first sheet without its empty rows."""
    sheet = pd.read_excel(path, engine="openpyxl", dtype=object, keep_default_na=False, na_values=list(MISSING))
    return sheet.dropna(how="all").reset_index(drop=True).infer_objects()


def _read_json_lines(path: Path) -> pd.DataFrame:
    return pd.read_json(path, lines=True, dtype=False)


_READERS: dict[str, tuple[Callable[[Any], pd.DataFrame], str]] = {
    ".parquet": (pd.read_parquet, "a Parquet file"),
    ".pq": (pd.read_parquet, "a Parquet file"),
    ".feather": (pd.read_feather, "a Feather file"),
    ".arrow": (pd.read_feather, "a Feather file"),
    ".xlsx": (_read_excel, "an Excel file"),
    ".jsonl": (_read_json_lines, "a file of JSON lines"),
    ".ndjson": (_read_json_lines, "a file of JSON lines"),
}
