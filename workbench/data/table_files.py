"""Table files -> frames."""

from __future__ import annotations

import lzma
import warnings
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from workbench.data.csv_header import COMPRESSIONS, SUFFIXES, Header, form, read_header
from workbench.errors import DataError, SourceError

# "None" is not among them because many categories have it as a level; columns of numbers have markers of their own.
_MISSING = ["", "NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "NULL", "null"]


def read_table(path: str | Path, exact: Iterable[str] = ()) -> pd.DataFrame:
    """Read a .csv, .tsv (compressed or not) or .parquet file.

    Args:
        path: the file.
        exact: columns that keep their values as written: integers if all are plain integers, else strings, so that an
            id 007 stays 007.

    Raises:
        SourceError: the file cannot be opened.
        DataError: the file is not a table, or has no rows.
    """
    return read_with_notes(Path(path), exact)[0]


def read_with_notes(path: Path, exact: Iterable[str] = ()) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Read a table as `read_table` does; return also a note on each assumption."""
    kind = form(path)
    if kind not in ("text", "parquet"):
        raise DataError(f"{path}: must be a table. Received: a file named {path.name!r}. Known: {SUFFIXES}.")
    notes: tuple[str, ...] = ()
    if kind == "parquet":
        frame = _read_parquet(path)
    else:
        frame, notes = _read_text(path, read_header(path), list(exact))
    if frame.empty:
        raise DataError(f"{path}: must have rows. Received: a table of {len(frame.columns)} columns and no rows.")
    return frame, notes


def _read_text(path: Path, header: Header, exact: list[str]) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Read a .csv or .tsv file as UTF-8, else as Latin-1 with a note."""
    options: dict[str, Any] = {
        "sep": header.separator,
        "decimal": header.decimal,
        "compression": COMPRESSIONS.get(path.suffix.lower()),
        "keep_default_na": False,
        "na_values": _MISSING,
        "low_memory": False,
        "index_col": False,
        "dtype": {name: "str" for name in exact if name in header.columns},
    }
    notes: tuple[str, ...] = ()
    try:
        # By default pandas only warns when it truncates a row with too many fields.
        with warnings.catch_warnings(action="error", category=pd.errors.ParserWarning):
            try:
                frame = pd.read_csv(path, encoding="utf-8-sig", **options)
            except UnicodeDecodeError:
                frame = pd.read_csv(path, encoding="latin-1", **options)
                notes = (f"read {path.name} as Latin-1: it is not UTF-8",)
    except (pd.errors.ParserError, pd.errors.ParserWarning, EOFError, zlib.error, lzma.LZMAError) as error:
        raise DataError(
            f"{path}: must be a table with {len(header.columns)} columns in every row. Received: "
            f"{str(error).strip().rstrip('.')}. Correct the file."
        ) from error
    except OSError as error:
        raise SourceError(f"{path}: cannot be read ({error}). Check that it is there, and whole.") from error
    for name in options["dtype"]:
        frame[name] = as_written(frame[name])
    return frame, notes


def as_written(series: pd.Series[Any]) -> pd.Series[Any]:
    """Convert strings to integers if each is a plain integer without leading zeros; else leave them."""
    if series.notna().all() and series.str.fullmatch(r"0|-?[1-9]\d{0,17}").all():
        return series.astype("int64")
    return series


def _read_parquet(path: Path) -> pd.DataFrame:
    """Read a .parquet file; a named index becomes a column."""
    try:
        frame = pd.read_parquet(path)
    except FileNotFoundError as error:
        raise SourceError(f"{path}: cannot be read ({error.strerror}). Check data.train and data.test.") from error
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: must be a Parquet file. Received: {error}. Write it again.") from error
    frame = frame.reset_index(drop=frame.index.names == [None])
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
