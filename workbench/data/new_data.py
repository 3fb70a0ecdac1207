"""New rows before they are read: their form is checked, files are opened, and missing columns are named."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, cast

import numpy as np
import pandas as pd

from workbench.array import Array
from workbench.data import array_files, near_names, notation, table_files
from workbench.data.csv_header import is_arrays, is_folder
from workbench.data.notation import Notation
from workbench.errors import DataError, did_you_mean, format_list

if TYPE_CHECKING:
    from workbench.data.dataset import NewRows

Form = Literal["table", "arrays", "folder"]


class RawTable(NamedTuple):
    """A table of new rows."""

    name: str
    """Its name in messages."""
    frame: pd.DataFrame
    folder: Path | None = None
    """The folder of its file; None for a frame."""


class RawArrays(NamedTuple):
    """Arrays of new rows by name."""

    name: str
    arrays: Mapping[str, Array]


class RawFolder(NamedTuple):
    """A folder of images."""

    path: Path


def open_table(
    rows: NewRows, *, source: str, exact: Iterable[str] = (), notations: Mapping[str, Notation] = MappingProxyType({})
) -> RawTable:
    """Open rows for a reader that accepts tables alone; see `open_rows`."""
    raw = open_rows(rows, ["table"], source=source, exact=exact, notations=notations)
    return cast(RawTable, raw)


def open_rows(
    rows: NewRows,
    forms: Collection[Form],
    *,
    source: str,
    exact: Iterable[str] = (),
    notations: Mapping[str, Notation] = MappingProxyType({}),
) -> RawTable | RawArrays | RawFolder:
    """Open rows to predict.

    Args:
        rows: a file, a frame or an array.
        forms: the forms that the reader accepts.
        source: the name of the training data, for messages.
        exact: columns of a table that keep their values as written.
        notations: how the columns of a table are written, in a file or as strings of a frame.

    Raises:
        SourceError: the file cannot be opened.
        DataError: the rows have another form, or the file is broken.
    """
    if isinstance(rows, np.ndarray):
        _check_form("The array", "arrays", forms, source)
        return RawArrays("The array", {"x": rows})
    if isinstance(rows, pd.DataFrame):
        _check_form("The frame", "table", forms, source)
        frame = rows.rename(columns=str).reset_index(drop=True)
        return RawTable("The frame", _read_strings(frame, notations))
    path = Path(rows).absolute()
    if is_folder(path) and "folder" in forms:
        return RawFolder(path)
    form: Form = "arrays" if is_arrays(path) else "table"
    _check_form(path.name, form, forms, source)
    if form == "arrays":
        return RawArrays(path.name, array_files.read(path))
    return RawTable(path.name, table_files.read_table(path, exact, notations=notations), path.parent)


def _read_strings(frame: pd.DataFrame, notations: Mapping[str, Notation]) -> pd.DataFrame:
    """Return the frame with its columns of strings read as in training."""
    read = {name: notation.read_series(frame[name], each) for name, each in notations.items() if name in frame}
    return frame.assign(**read) if read else frame


def check_columns(
    frame: pd.DataFrame, needed: Iterable[str], *, name: str, source: str, what: str = "feature columns"
) -> None:
    """Refuse a table without rows or without some of the needed columns.

    Args:
        frame: the table.
        needed: the columns.
        name: the table's name, for messages.
        source: the name of the training data, for messages.
        what: what the columns are, for messages.

    Raises:
        DataError: there are no rows, or columns are missing.
    """
    check_has_rows(frame, name)
    wanted = dict.fromkeys(needed)
    lacks = [column for column in wanted if column not in frame]
    if lacks:
        others = [str(column) for column in frame if column not in wanted]
        pairs = near_names.pair_names(lacks, others)
        remedy = f"{did_you_mean(lacks[0], others)} Add them."
        if pairs:
            remedy = f" {near_names.describe_pairs(pairs, table=name, source=source)}"
        raise DataError(f"{name} must have the {what} of {source}. It lacks {format_list(map(repr, lacks))}.{remedy}")


def check_has_rows(frame: pd.DataFrame, name: str) -> None:
    """Refuse a table without rows.

    Raises:
        DataError: there are none.
    """
    if frame.empty:
        raise DataError(f"{name} must have rows to predict. Received: none.")


def add_optional(frame: pd.DataFrame, optional: Iterable[str]) -> pd.DataFrame:
    """Return the frame with the optional columns that it lacks, filled with NaN."""
    return frame.assign(**{name: np.nan for name in optional if name not in frame})


def make_document(**fields: Any) -> dict[str, Any]:
    """Return the document of a reader: the same keys for every class, with `fields` in place of empty values."""
    empty: dict[str, Any] = {"id_column": None, "columns": {}, "numbers": (), "optional": (), "shape": (), "pixels": ()}
    empty |= dict.fromkeys(("windows", "look", "images", "long")) | {"notations": {}}
    nested = {key: asdict(fields[key]) for key in ("windows", "long") if fields.get(key) is not None}
    return empty | fields | nested


def _check_form(name: str, form: Form, forms: Collection[Form], source: str) -> None:
    if form not in forms:
        wanted = "a folder of images" if "folder" in forms else "an .npz file" if "arrays" in forms else "a table"
        raise DataError(f"{name} must be {wanted}, as {source} is. Received: another form. Convert it.")
