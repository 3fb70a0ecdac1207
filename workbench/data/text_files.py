"""Text tables -> columns of strings, as they are written."""

from __future__ import annotations

import contextlib
import csv
import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as arrow_csv

from workbench.data.csv_header import COMPRESSIONS, Header, read_bytes
from workbench.data.dialect import Quoting, decode, find_quotings
from workbench.errors import DataError

MISSING = ("", "NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "NULL", "null")
"""The markers of missing values in any column. `None` is not among them because many categories have it as a level."""

# The bytes that Arrow reads at a time; a longer row is read by the standard library.
_BLOCK = 1 << 24
_LONE_QUOTES = "quotation marks are read as text: they do not come in pairs around fields"


class TextColumns(NamedTuple):
    """The columns of a text table."""

    columns: dict[str, pa.ChunkedArray]
    """(rows,) strings; null where the value is missing."""
    notes: tuple[str, ...]
    """Sentences on what was assumed."""


class _RowError(Exception):
    """A row does not have as many fields as there are columns, or a quotation does not end."""


def read_columns(path: Path, header: Header, missing: Mapping[str, Sequence[str]] | None = None) -> TextColumns:
    """Read the columns of a text table.

    Args:
        path: the file.
        header: its column names and dialect.
        missing: for a column, what means a missing value instead of `MISSING`.

    Raises:
        SourceError: the file cannot be opened.
        DataError: a row has more fields than there are columns, or a quotation does not end.
    """
    table, notes = _read_table(path, header, null_values=() if missing else MISSING)
    if missing:
        table = {name: _replace_missing(column, missing.get(name, MISSING)) for name, column in table.items()}
    rows = _count_filled(table)
    total = len(next(iter(table.values()), ()))
    if rows < total:
        table = {name: column.slice(0, rows) for name, column in table.items()}
        notes.append(f"left out {total - rows} empty rows at its end")
    return TextColumns(table, tuple(f"{path.name}: {note}" for note in notes))


def count_markers(path: Path, header: Header, name: str) -> dict[str, int]:
    """Return the number of rows for each marker of a missing value that a column has, most frequent first."""
    table, _ = _read_table(path, header, null_values=())
    counts = pc.value_counts(table[name].combine_chunks())
    found = {str(each["values"].as_py()): each["counts"].as_py() for each in counts}
    markers = {marker: found[marker] for marker in MISSING if marker in found}
    return dict(sorted(markers.items(), key=lambda each: -each[1]))


def _read_table(
    path: Path, header: Header, *, null_values: Sequence[str]
) -> tuple[dict[str, pa.ChunkedArray], list[str]]:
    """Return the columns and notes, read by Arrow, or by the standard library where a row is not as Arrow wants it."""
    compressed = path.suffix.lower() in COMPRESSIONS
    content = pa.py_buffer(read_bytes(path)) if compressed else pa.memory_map(str(path)).read_buffer()
    has_quotes = re.search(b'"', content) is not None
    # Without quotation marks no value has several lines, and Arrow reads in parallel.
    quoted = has_quotes and header.dialect.quoting.quote != ""
    with contextlib.suppress(pa.ArrowInvalid):
        table = _read_by_arrow(content, header, null_values, quoted=quoted)
        if not (quoted and _has_line_ends(table)):
            return table, [_LONE_QUOTES] if has_quotes and not quoted else []
    rows, notes = _read_irregular(path, header)
    columns = zip(*rows, strict=True) if rows else [[] for _ in header.columns]
    arrays = (pa.chunked_array([pa.array(column, pa.string())]) for column in columns)
    replaced = (_replace_missing(array, null_values) for array in arrays)
    return dict(zip(header.columns, replaced, strict=True)), notes


def _read_irregular(path: Path, header: Header) -> tuple[list[list[str]], list[str]]:
    """Return the rows and notes, read by the standard library with the first way of quoting that suits all rows."""
    text, note = decode(read_bytes(path))
    notes = [f"read {note}"] if note else []
    for quoting in dict.fromkeys([header.dialect.quoting, *find_quotings(text)]):
        try:
            rows, found = _read_by_csv(text, header, quoting)
        except (_RowError, csv.Error) as error:
            reason = error
            continue
        break
    else:
        raise DataError(
            f"{path}: must be a table with {len(header.columns)} columns in every row. Received: {reason}. Correct "
            "the file."
        )
    lone = [_LONE_QUOTES] if not quoting.quote and '"' in text else []
    return rows, [*notes, *found, *lone]


def _read_by_arrow(
    content: pa.Buffer, header: Header, null_values: Sequence[str], *, quoted: bool
) -> dict[str, pa.ChunkedArray]:
    """Read a regular table of UTF-8.

    Raises:
        pyarrow.ArrowInvalid: a row has another number of fields, is very long, or is not UTF-8.
    """
    dialect = header.dialect
    table = arrow_csv.read_csv(
        pa.BufferReader(content),
        read_options=arrow_csv.ReadOptions(
            block_size=_BLOCK, skip_rows=dialect.skipped, autogenerate_column_names=True
        ),
        parse_options=arrow_csv.ParseOptions(
            delimiter=dialect.separator,
            quote_char=dialect.quoting.quote or False,
            double_quote=not dialect.quoting.escape,
            escape_char=dialect.quoting.escape or False,
            newlines_in_values=quoted,
        ),
        convert_options=arrow_csv.ConvertOptions(
            column_types={f"f{place}": pa.string() for place in range(len(header.columns))},
            null_values=list(null_values),
            strings_can_be_null=bool(null_values),
            quoted_strings_can_be_null=True,
        ),
    )
    if table.num_columns != len(header.columns):
        raise pa.ArrowInvalid("the rows have another number of fields than the line of column names")
    # The first row is that of the column names.
    return dict(zip(header.columns, table.slice(1).columns, strict=True))


def _read_by_csv(text: str, header: Header, quoting: Quoting) -> tuple[list[list[str]], list[str]]:
    """Return the rows of any table, filled up to the number of columns, and notes.

    Raises:
        csv.Error: a quotation does not end.
        _RowError: a row has more fields than there are columns.
    """
    width, lines = len(header.columns), io.StringIO(text, newline="")
    for _ in range(header.dialect.skipped):
        lines.readline()
    reader = quoting.read(lines, header.dialect.separator)
    csv.field_size_limit(max(csv.field_size_limit(), len(text)))
    rows: list[list[str]] = []
    short = comments = 0
    for fields in reader:
        if len(fields) > width and not any(fields[width:]):
            fields = fields[:width]
        if len(fields) > width:
            line = header.dialect.skipped + getattr(reader, "line_num", 0)
            raise _RowError(f"{len(fields)} fields in line {line}")
        if len(fields) < width and fields and fields[0].startswith("#"):
            comments += 1
        elif len(fields) == width or fields:
            short += len(fields) < width
            rows.append(fields + [""] * (width - len(fields)))
    notes = [f"left out {comments} lines of comments"] if comments else []
    # The line of column names may lack the name of the last column.
    body = rows[1:]
    short -= bool(rows) and rows[0][-1] == "" and short > 0 and header.columns[-1].startswith("Unnamed: ")
    if short:
        notes.append(f"{short} rows have too few fields: the values at their end are missing")
    return body, notes


def _has_line_ends(table: Mapping[str, pa.ChunkedArray]) -> bool:
    """Return whether a value has several lines, which also a lone quotation mark can cause."""
    return any(pc.any(pc.match_substring_regex(column, "[\r\n]")).as_py() for column in table.values())


def _replace_missing(column: pa.ChunkedArray, markers: Sequence[str]) -> pa.ChunkedArray:
    """Return the column with null in place of the markers."""
    if not markers:
        return column
    found = pc.is_in(column, value_set=pa.array(list(markers), pa.string()))
    return pc.if_else(found, pa.scalar(None, pa.string()), column)


def _count_filled(table: Mapping[str, pa.ChunkedArray]) -> int:
    """Return the number of rows without the empty ones at the end."""
    rows = len(next(iter(table.values()), ()))
    while rows and not any((column[rows - 1].as_py() or "").strip() for column in table.values()):
        rows -= 1
    return rows
