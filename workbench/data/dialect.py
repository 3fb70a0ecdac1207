"""The dialect of a text table: encoding, separator, quotation and the line of column names, by the standard library."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import NamedTuple

# The most rows before the column names, such as a title and comments.
_MOST_SKIPPED = 30
# A table is regular if this share of its rows has the same number of fields.
_REGULAR = 0.9
_SEPARATORS = ",;\t|"
_DECLARED = re.compile(r'\s*"?sep=(.)"?\s*?(\r\n|\r|\n)')
_NUMBER = re.compile(r"\s*[-+]?(\d+([.,]\d*)?|[.,]\d+)([eE][-+]?\d+)?\s*")
# Python decodes a byte that is not UTF-8 to one of these.
_STRAY = re.compile("[\udc80-\udcff]")


@dataclass(frozen=True)
class Quoting:
    """The writing of a field that has separators in it."""

    quote: str = '"'
    """The quotation mark; empty if quotation marks are ordinary characters."""
    escape: str = ""
    """The character before a quotation mark within a field; empty if the mark is doubled."""

    def read(self, lines: Iterable[str], separator: str) -> Iterator[list[str]]:
        """Return an iterator over the fields of each row, a `csv.reader`.

        Raises:
            csv.Error: from the iterator, if a quoted field does not end before a separator or the end of its line.
        """
        if not self.quote:
            return csv.reader(lines, delimiter=separator, quoting=csv.QUOTE_NONE)
        escape = self.escape or None
        return csv.reader(
            lines, delimiter=separator, quotechar=self.quote, escapechar=escape, doublequote=not escape, strict=True
        )


@dataclass(frozen=True)
class Dialect:
    """The separator, the quotation marks and the first lines of a text table."""

    separator: str = ","
    quoting: Quoting = field(default_factory=Quoting)
    skipped: int = 0
    """The number of lines before the line of column names."""


class HeaderRow(NamedTuple):
    """The line of column names."""

    columns: tuple[str, ...]
    """The names; a column without one has an empty name."""
    dialect: Dialect
    notes: tuple[str, ...] = ()
    """Phrases on what was assumed."""


class _NumberedRow(NamedTuple):
    """A row that is not blank."""

    lines_before: int
    fields: list[str]


class _Candidate(NamedTuple):
    """A dialect, and how well it suits the rows; the greatest suits best."""

    named: bool
    """Whether the rows are regular, and there are as many column names as fields."""
    regular: bool
    """Whether most rows have the same number of fields, more than one; the column names more than one as well."""
    skipped: int
    """The rows before the column names, as a negative number: a decimal comma divides all rows but the column names."""
    width: int
    share: float
    """The share of the rows that have `width` fields."""


def find_quotings(text: str) -> list[Quoting]:
    """Return the ways of quotation that a text may have, the most usual first."""
    escaped = [Quoting(escape="\\")] if '\\"' in text else []
    return [Quoting(), *escaped, *([Quoting(quote="")] if '"' in text else [])]


def detect_unicode(head: bytes) -> str | None:
    """Return the encoding that a byte order mark or zero bytes show; None if neither is there."""
    if head.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    if head.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return "utf-32"
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    even, odd, pairs = head[::2].count(0), head[1::2].count(0), len(head) // 2
    if odd > 0.4 * pairs and not even:
        return "utf-16-le"
    if even > 0.4 * pairs and not odd:
        return "utf-16-be"
    return None


def decode(content: bytes) -> tuple[str, str]:
    """Decode a whole text; return also a note, empty for plain UTF-8.

    UTF-8 with at most as many stray bytes as characters beyond ASCII is read as such, its stray bytes as Windows-1252.
    Other texts are Windows-1252, or Latin-1 if they have bytes that Windows-1252 lacks.
    """
    marked = detect_unicode(content[:4096])
    if marked is not None and marked.startswith(("utf-16", "utf-32")):
        return content.decode(marked, "replace"), f"as {marked[:6].upper()}"
    text = content.decode(marked or "utf-8", "surrogateescape")
    stray = _STRAY.findall(text)
    if not stray:
        return text, ""
    beyond_ascii = len(text) - len(text.encode("ascii", "ignore")) - len(stray)
    if marked or beyond_ascii >= len(stray):
        shown = ", ".join(repr(_decode_stray(each)) for each in dict.fromkeys(stray[:3]))
        which = "1 byte that is" if len(stray) == 1 else f"{len(stray)} bytes that are"
        return _STRAY.sub(lambda match: _decode_stray(match[0]), text), f"as UTF-8, {which} not UTF-8 as {shown}"
    try:
        return content.decode("cp1252"), "as Windows-1252: it is not UTF-8"
    except UnicodeDecodeError:
        return content.decode("latin-1"), "as Latin-1: it is not UTF-8"


def _decode_stray(character: str) -> str:
    byte = bytes([ord(character) - 0xDC00])
    return byte.decode("cp1252", "ignore") or byte.decode("latin-1")


def detect_dialect(text: str, *, tabs: bool, cut: bool) -> HeaderRow | None:
    """Return the line of column names and the dialect of a table; None for a blank text.

    The separator is the one that divides the column names and the most rows into equally many fields, after the fewest
    other lines.

    Args:
        text: the beginning of the table.
        tabs: whether the file's name says that tabs separate the fields.
        cut: whether the text ends before the table does.
    """
    declared = _DECLARED.match(text)
    first = text.lstrip("\r\n").splitlines()[:1]
    separators = declared[1] if declared else "\t" if tabs and first and "\t" in first[0] else _SEPARATORS
    found: list[tuple[_Candidate, HeaderRow]] = []
    for quoting in find_quotings(text):
        for separator in separators:
            rows = _read_rows(text, separator, quoting, cut=cut)
            rows = rows[1:] if declared and len(rows) > 1 else rows
            if rows:
                found.append(_read_names(rows, Dialect(separator, quoting)))
        if any(candidate.named for candidate, _ in found):
            break
    return max(found, key=lambda each: each[0])[1] if found else None


def _read_rows(text: str, separator: str, quoting: Quoting, *, cut: bool) -> list[_NumberedRow]:
    """Return the rows that are not blank; none if a quotation does not end."""
    lines = io.StringIO(text, newline="").readlines()
    reader: Iterator[list[str]] = quoting.read(lines, separator)
    rows: list[_NumberedRow] = []
    read = 0
    try:
        for fields in reader:
            if fields:
                rows.append(_NumberedRow(read, fields))
            read = getattr(reader, "line_num", read)
    except csv.Error:
        # The last quotation of a cut text may lack its end.
        return rows if cut and read > 0.75 * len(lines) else []
    return rows[:-1] if cut and len(rows) > 1 else rows


def _read_names(rows: list[_NumberedRow], dialect: Dialect) -> tuple[_Candidate, HeaderRow]:
    """Find the line of column names under a dialect."""
    counts = Counter(len(row.fields) for row in rows)
    width = max(counts, key=lambda count: (counts[count], count == len(rows[0].fields)))
    place = _find_names(rows, width)
    body = [row.fields for row in rows[place + 1 :]]
    names, notes = _fit_names(rows[place].fields, body, width)
    if place:
        first = "".join(rows[0].fields).strip()[:40]
        notes = [f"skipped {place} {'lines' if place > 1 else 'line'} before the column names, first {first!r}", *notes]
    if _look_like_data(names, body):
        shown = ", ".join(names[:4]) + (", …" if len(names) > 4 else "")
        notes.append(f"the first line looks like data, not like column names ({shown}): add a line of column names")
    share = sum(len(fields) == width for fields in body) / len(body) if body else 1.0
    regular = width > 1 and share >= _REGULAR and len(names) > 1
    named = regular and len(names) == width
    candidate = _Candidate(named, regular, -place, width if regular else min(len(names), 2), share)
    return candidate, HeaderRow(names, replace(dialect, skipped=rows[place].lines_before), tuple(notes))


def _find_names(rows: list[_NumberedRow], width: int) -> int:
    """Return the place of the row with the column names: the first, or the one after a title and comments."""
    for place, (_, fields) in enumerate(rows[: _MOST_SKIPPED + 1]):
        filled = sum(bool(each.strip()) for each in fields)
        if len(fields) in (width, width - 1) and (filled > 1 or width < 3):
            return place
        if filled > 1 and not fields[0].lstrip().startswith(("#", "%")):
            return 0
    return 0


def _fit_names(names: list[str], body: list[list[str]], width: int) -> tuple[tuple[str, ...], list[str]]:
    """Return as many column names as rows have fields, and a note if one was added."""
    full = [fields for fields in body if len(fields) == width]
    if len(names) != width - 1 or not names[0] or not full:
        return tuple(names), []
    if not any(fields[-1].strip() for fields in full):
        return (*names, ""), []
    firsts = {fields[0] for fields in full}
    if width > 2 and len(firsts) == len(full):
        return ("", *names), ["the first column has no name: rows have one field more than there are names"]
    return tuple(names), []


def _look_like_data(names: tuple[str, ...], body: list[list[str]]) -> bool:
    """Return whether each name could be a value of its column, and at least one is no whole number."""
    rows = [fields for fields in body[:1000] if len(fields) == len(names)]
    if len(rows) < 2:
        return False
    known = [name.strip() != "" and _suits(name, [fields[i] for fields in rows]) for i, name in enumerate(names)]
    numbers = [
        is_number(name) and sum(is_number(fields[i]) for fields in rows) > _REGULAR * len(rows)
        for i, name in enumerate(names)
    ]
    if not all(each or other for each, other in zip(known, numbers, strict=True)):
        return False
    # Names such as 2019 and 2020 are usual, fractions are not.
    return any(not name.strip().isdigit() for name in names)


def _suits(name: str, values: list[str]) -> bool:
    """Return whether a name is one of the values, or differs from most of them in its digits alone, as u1 from u2."""
    if name in values or not re.search(r"\d", name):
        return name in values
    shapes = [re.sub(r"\d+", "0", each) for each in (name, *values)]
    return shapes.count(shapes[0]) > len(shapes) / 2


def is_number(text: str) -> bool:
    """Return whether a text is a number with a decimal point or comma."""
    return _NUMBER.fullmatch(text) is not None
