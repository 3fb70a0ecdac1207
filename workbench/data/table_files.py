"""Table files -> frames."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import pandas as pd

from workbench.data import notation, text_files, typed_tables
from workbench.data.csv_header import SUFFIXES, form, read_header
from workbench.data.notation import Notation
from workbench.errors import DataError


class TableContent(NamedTuple):
    """The content of a table file."""

    frame: pd.DataFrame
    """The columns: numbers, true and false, dates, or strings."""
    notations: Mapping[str, Notation] = MappingProxyType({})
    """How the values of each column of a text table are written; empty for other files."""
    notes: tuple[str, ...] = ()
    """What was assumed, one sentence each."""


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
        content = _read_text(path, set(exact), notations or {}, missing)
    elif kind == "frame":
        content = TableContent(typed_tables.read(path))
    else:
        raise DataError(f"{path}: must be a table. Received: a file named {path.name!r}. Known: {SUFFIXES}.")
    if content.frame.empty:
        width = len(content.frame.columns)
        raise DataError(f"{path}: must have rows. Received: a table of {width} columns and no rows.")
    return content


def _read_text(
    path: Path,
    exact: set[str],
    notations: Mapping[str, Notation],
    missing: Mapping[str, Sequence[str]] | None,
) -> TableContent:
    """Read a text table; a column without a known notation is learnt."""
    header = read_header(path)
    own = {name: each.missing for name, each in notations.items() if each.missing is not None}
    missing = own | dict(missing or {})
    columns, notes = text_files.read_columns(path, header, missing)
    fixed = {name: Notation() for name in columns if name in exact} | {
        name: known for name, known in notations.items() if name in columns and name not in exact
    }
    read = notation.learn({name: each for name, each in columns.items() if name not in fixed}, header.dialect.separator)
    learnt = {name: each.notation for name, each in read.items() if each.notation is not None}
    stated = tuple(f"{path.name}: {each.note}" for each in read.values() if each.note)
    frame: dict[str, pd.Series[Any]] = {}
    for name in header.columns:
        column = columns.pop(name)
        values = notation.read_column(column, fixed[name]) if name in fixed else read.pop(name).values
        frame[name] = as_written(values) if name in exact else values
    known = {
        name: each._replace(missing=tuple(missing[name])) if name in missing else each
        for name, each in (fixed | learnt).items()
    }
    return TableContent(pd.DataFrame(frame), known, (*header.notes, *notes, *stated))


def as_written(series: pd.Series[Any]) -> pd.Series[Any]:
    """Convert strings to integers if each is a plain integer without leading zeros; else leave them."""
    if series.notna().all() and series.str.fullmatch(r"0|-?[1-9]\d{0,17}").all():
        return series.astype("int64")
    return series
