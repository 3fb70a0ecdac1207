"""Table files -> frames."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import pandas as pd
import pyarrow as pa

from workbench.data import notation, text_files, typed_tables
from workbench.data.csv_header import SUFFIXES, form, read_header
from workbench.data.notation import Notation
from workbench.errors import DataError


class TableContent(NamedTuple):
    """The content of a table file."""

    frame: pd.DataFrame
    """The columns: numbers, true and false, dates, or strings."""
    notations: Mapping[str, Notation] = MappingProxyType({})
    """The notation of each column of a text table; empty for other files."""
    notes: tuple[str, ...] = ()
    """Sentences on what was assumed."""


def read_table(
    path: str | Path,
    exact: Iterable[str] = (),
    *,
    notations: Mapping[str, Notation] | None = None,
    missing: Mapping[str, Sequence[str]] | None = None,
) -> pd.DataFrame:
    """Read a table file, see `SUFFIXES`.

    Args:
        path: the file.
        exact: columns that keep their values as written: integers if all are plain integers, else strings, so that an
            id 007 stays 007.
        notations: how the values of columns are written, as learnt on training rows. Default: learnt on this file.
        missing: for columns of a text table, the values that mean missing. Default: empty, NA, NaN, NULL and the like.

    Raises:
        SourceError: the file cannot be opened.
        DataError: the file is not a table, or has no rows.
    """
    return read_content(Path(path), exact, notations=notations, missing=missing).frame


def read_as_written(path: Path) -> pd.DataFrame:
    """Read a table whose values stay as they are written, so that an id 007 stays 007.

    Raises:
        SourceError: the file cannot be opened.
        DataError: the file is not a table, or has no rows.
    """
    if form(path) == "frame":
        return typed_tables.read(path)
    return read_table(path, read_header(path).columns)


def read_content(
    path: Path,
    exact: Iterable[str] = (),
    *,
    notations: Mapping[str, Notation] | None = None,
    missing: Mapping[str, Sequence[str]] | None = None,
) -> TableContent:
    """Read a table as `read_table` does; return also how its columns are written, and a note on each assumption."""
    kind = form(path)
    if kind == "text":
        content = _read_text(path, set(exact), notations or {}, missing or {})
    elif kind == "frame":
        content = _read_typed(path, set(exact), notations or {})
    else:
        raise DataError(f"{path}: must be a table. Received: a file named {path.name!r}. Known: {SUFFIXES}.")
    if content.frame.empty:
        width = len(content.frame.columns)
        raise DataError(f"{path}: must have rows. Received: a table of {width} columns and no rows.")
    return content


def _read_text(
    path: Path, exact: set[str], notations: Mapping[str, Notation], missing: Mapping[str, Sequence[str]]
) -> TableContent:
    """Read a text table."""
    header = read_header(path)
    markers = {name: each.missing for name, each in notations.items() if each.missing is not None}
    markers |= {name: tuple(each) for name, each in missing.items()}
    columns, notes = text_files.read_columns(path, header, markers)
    content = _read_notations(path, columns, exact, notations, header.dialect.separator)
    known = {name: each._replace(missing=markers.get(name)) for name, each in content.notations.items()}
    return TableContent(content.frame, known, (*header.notes, *notes, *content.notes))


def _read_typed(path: Path, exact: set[str], notations: Mapping[str, Notation]) -> TableContent:
    """Read a table whose columns have types; strings that are numbers in an unusual notation become numbers."""
    frame = typed_tables.read(path)
    names = [name for name in map(str, frame.columns) if typed_tables.has_strings(frame[name])]
    columns = {name: typed_tables.to_strings(frame[name]) for name in names}
    content = _read_notations(path, columns, exact, notations, ",")
    unusual = {name: each for name, each in content.notations.items() if each.kind == "number" and not each.is_plain}
    read = frame.assign(**{name: content.frame[name] for name in unusual})
    return TableContent(read, unusual, content.notes)


def _read_notations(
    path: Path,
    columns: dict[str, pa.ChunkedArray],
    exact: set[str],
    notations: Mapping[str, Notation],
    separator: str,
) -> TableContent:
    """Read columns of strings, each removed when it is read; a column without a known notation is learnt."""
    fixed = {name: Notation() if name in exact else notations.get(name) for name in columns}
    order = list(columns)
    read = notation.learn({name: columns.pop(name) for name in order if fixed[name] is None}, separator)
    found = fixed | {name: each.notation for name, each in read.items()}
    notes = tuple(f"{path.name}: {each.note}" for each in read.values() if each.note)
    frame: dict[str, pd.Series[Any]] = {}
    for name in order:
        values = read.pop(name).values if name in read else notation.read_column(columns.pop(name), fixed[name])
        frame[name] = as_written(values) if name in exact else values
    return TableContent(
        pd.DataFrame(frame, copy=False), {name: each for name, each in found.items() if each is not None}, notes
    )


def as_written(series: pd.Series[Any]) -> pd.Series[Any]:
    """Convert strings to integers if each is a plain integer without leading zeros; else leave them."""
    if series.notna().all() and series.str.fullmatch(r"0|-?[1-9]\d{0,17}").all():
        return series.astype("int64")
    return series
