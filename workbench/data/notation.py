"""The notation of the values of a text table's columns: decided once on the training rows, then imposed on other rows.

A value is kept as text unless all values of its column are numbers in one notation, or all are true and false. Leading
zeros mark a code: `0101` is not 101.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

MARKERS = frozenset(
    [
        *("", "?", "-", "--", "\u2013", "\u2014", ".", "*"),
        *("na", "n/a", "nan", "null", "none", "nil", "missing", "unknown"),
        *("n.a.", "n.a", "n.d.", "k.a.", "#n/a", "#n/v", "#value!", "#ref!", "#div/0!", "#num!"),
        *("∞", "+∞", "-∞"),
    ]
)
"""Markers of missing values among numbers, in lower case; among categories they stay levels."""

_BOOLEANS = {"true": True, "false": False}
_SPACES = "\u00a0\u2007\u2009\u202f"
_DIGITS = r"\d[\d.,'’_ ]*|[.,]\d+"
# Dashes in place of cents, as in 12.- and 12,--
_NO_CENTS = r"(?:(?<=[.,])[-\u2013\u2014]{1,2})?"
_CURRENCY = r"[$€£¥₹₽₩₺฿]|[A-Z]{0,3}\$|USD|EUR|GBP|CHF|JPY|CNY|INR|Rs\.?|kr\.?|zł"
_UNIT = r"[^\W\d_][\w²³/·.^-]{0,9}|[%‰°][CFK]?|[$€£¥₹₽₩₺฿]"
_WRITTEN = re.compile(
    rf"(?P<open>\()?\s*(?P<sign>[-+])?\s*(?P<before>{_CURRENCY})?\s*(?P<sign_after>[-+])?\s*"
    rf"(?P<digits>{_DIGITS}){_NO_CENTS}(?P<exponent>[eE][-+]?\d+)?\s*(?P<unit>{_UNIT})?\s*(?P<close>\))?(?P<sign_last>-)?"
)
# (decimal sign, separator of thousands), and the digits that they allow; the first that suits all values is taken.
_FORMS: Mapping[tuple[str, str], re.Pattern[str]] = {
    (".", ""): re.compile(r"\d*\.?\d*"),
    (",", ""): re.compile(r"\d*,?\d*"),
    (".", ","): re.compile(r"\d{1,3}(,\d{2,3})*,\d{3}(\.\d*)?|\d*(\.\d*)?"),
    (",", "."): re.compile(r"\d{1,3}(\.\d{3})+(,\d*)?|\d*(,\d*)?"),
    (".", " "): re.compile(r"\d{1,3}( \d{3})+(\.\d*)?|\d*(\.\d*)?"),
    (",", " "): re.compile(r"\d{1,3}( \d{3})+(,\d*)?|\d*(,\d*)?"),
    (".", "'"): re.compile(r"\d{1,3}(['’]\d{3})+(\.\d*)?|\d*(\.\d*)?"),
    (",", "'"): re.compile(r"\d{1,3}(['’]\d{3})+(,\d*)?|\d*(,\d*)?"),
    (".", "_"): re.compile(r"\d{1,3}(_\d{3})+(\.\d*)?|\d*(\.\d*)?"),
}
_GROUPS = {sign: re.compile(rf"\d{{1,3}}({re.escape(sign)}\d{{3}})+") for sign in ",."}
# A column is text if fewer of its first values than this share are numbers.
_LEAST_SHARE = 0.5
# Words that are at most this share of a column's distinct values are noted: the others are numbers.
_MOST_WORDS = 0.1
_FIRST = 200
# The rows that show whether a file has decimal commas.
_HEAD = 1000


class Notation(NamedTuple):
    """The writing of a column's values."""

    kind: Literal["text", "number", "boolean"] = "text"
    decimal: str = "."
    thousands: str = ""
    """The separator of thousands; empty for none."""
    affix: str = ""
    """A currency or a unit around the digits, as in $5 and 5 kg; empty for none."""
    missing: tuple[str, ...] | None = None
    """The markers of missing values in this column; None for those of any column."""

    @property
    def is_plain(self) -> bool:
        """Whether programs write numbers so."""
        return (self.decimal, self.thousands, self.affix) == (".", "", "")


TEXT = Notation()


class ReadColumn(NamedTuple):
    """A column with its notation."""

    values: pd.Series[Any]
    notation: Notation | None
    """None if all values are missing."""
    note: str = ""
    """A phrase on what was assumed."""


def learn(columns: dict[str, pa.ChunkedArray], separator: str = ",") -> dict[str, ReadColumn]:
    """Decide the notation of each column of training rows, and read the columns.

    Where digits such as `1,450` can be read in two ways, the other columns and the separator of fields decide.

    Args:
        columns: (rows,) strings; null where the value is missing. Each is removed when it is read, to free its memory.
        separator: the separator of fields.
    """
    heads = [column.slice(0, _HEAD) for column in columns.values()]
    commas = _have_decimal_commas(heads, doubtful=separator == ";")
    with ThreadPoolExecutor() as pool:
        names = list(columns)
        return dict(zip(names, pool.map(lambda name: _learn_one(name, columns.pop(name), commas), names), strict=True))


def _learn_one(name: str, column: pa.ChunkedArray, commas: bool) -> ReadColumn:
    """Decide the notation of a column, and read it.

    Args:
        name: the column.
        column: (rows,) strings.
        commas: whether the file has decimal commas.
    """
    read = _learn_fast(column)
    if read is not None and not (commas and read.values.dtype.kind == "f" and _are_thousands(column)):
        return read
    values = _distinct(column)
    notation = Notation("number", ",", ".") if read is not None else _learn_written(values, commas=commas)
    return ReadColumn(read_column(column, notation), notation, _describe(name, values, notation))


def _are_thousands(column: pa.ChunkedArray) -> bool:
    """Return whether all numbers of a file with decimal commas are like 1.450, which then is a number of thousands."""
    values = [value.strip().lstrip("+-") for value in _distinct(column)]
    return "." in "".join(values[:_FIRST]) and all(_GROUPS["."].fullmatch(each) or each.isdigit() for each in values)


def read_column(column: pa.ChunkedArray, notation: Notation | None) -> pd.Series[Any]:
    """Read a column as `notation` says: int64, float64, bool or strings.

    If some values are not of the notation, the column has objects: numbers where values can be read, and other values
    as they are written.
    """
    if notation is None and column.null_count == len(column):
        return _empty(column)
    if notation is None or notation.kind == "text":
        return _as_strings(column)
    if notation.kind == "number" and notation.is_plain:
        fast = _cast(column)
        if fast is not None:
            return fast
    encoded = column.combine_chunks().dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    levels = encoded.dictionary.to_pylist()
    values = [_read_value(level, notation) for level in levels]
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    return _take(values, codes, notation)


def read_series(series: pd.Series[Any], notation: Notation) -> pd.Series[Any]:
    """Read a series of strings as `notation` says; series of another type are returned as they are."""
    if series.dtype.kind not in "OUT" or notation.kind == "text":
        return series
    codes, levels = pd.factorize(series)
    values = [_read_value(level, notation) if isinstance(level, str) else level for level in levels]
    return _take(values, codes, notation).set_axis(series.index)


def _describe(name: str, values: list[str], notation: Notation) -> str:
    """Return a note on numbers that are not written as programs write them, or on words among numbers; else nothing."""
    if notation.kind == "text":
        return _describe_words(name, values)
    unusual = (value for value in values if _read_plain(_clean(value), value) != _read_value(value, notation))
    example = next((value for value in unusual if _clean(value).lower() not in MARKERS), None)
    if notation.kind != "number" or example is None:
        return ""
    return f"read {name!r} as numbers: {example!r} is {_read_value(example, notation):.15g}"


def _describe_words(name: str, values: list[str]) -> str:
    """Return a note on a few words that make a column of numbers a text; nothing for other texts."""
    words = [
        value for value in values if not _WRITTEN.fullmatch(_clean(value)) and _clean(value).lower() not in MARKERS
    ]
    if not words or len(words) > _MOST_WORDS * len(values):
        return ""
    return (
        f"read {name!r} as text, since {words[0]!r} is no number. If it means a missing value: "
        f"data.missing: {{{name}: [{words[0]}]}}"
    )


def _take(values: Sequence[Any], codes: np.ndarray[Any, Any], notation: Notation) -> pd.Series[Any]:
    """Return the value of each code; -1 is missing."""
    if notation.kind == "boolean":
        read = np.array([*values, None], dtype=object)[codes]
        if (codes >= 0).all() and all(isinstance(value, bool) for value in values):
            return pd.Series(read.astype(bool))
        return pd.Series(np.where(codes >= 0, read, np.nan), dtype=object)
    if all(isinstance(value, float) for value in values):
        return pd.Series(np.array([*values, np.nan], dtype=np.float64)[codes])
    return pd.Series(np.array([*values, np.nan], dtype=object)[codes], dtype=object)


def _read_value(text: str, notation: Notation) -> float | bool | str:
    """Return the value of a text; the text itself if it is not of the notation."""
    stripped = _clean(text)
    if notation.kind == "boolean":
        return _BOOLEANS.get(stripped.lower(), text)
    if stripped.lower() in MARKERS:
        return np.nan
    found = _WRITTEN.fullmatch(stripped)
    form = _FORMS[notation.decimal, notation.thousands]
    if found is None or not _is_balanced(found) or not form.fullmatch(found["digits"].strip()):
        return _read_plain(stripped, text)
    if (found["before"] or found["unit"] or notation.affix) != notation.affix:
        return text
    return _value(found, notation)


def _read_plain(stripped: str, text: str) -> float | str:
    """Return a number as programs write it; the text if it is none."""
    try:
        return float(stripped) if "_" not in stripped else text
    except ValueError:
        return text


def _value(found: re.Match[str], notation: Notation) -> float:
    digits = found["digits"].strip()
    if notation.thousands:
        digits = digits.replace(notation.thousands, "").replace("’" if notation.thousands == "'" else "\0", "")
    number = float(digits.replace(notation.decimal, ".") + (found["exponent"] or ""))
    signs = [found["sign"], found["sign_after"], found["sign_last"]]
    return -number if found["open"] or "-" in signs else number


def _clean(text: str) -> str:
    """Return a text without spaces around it, with one kind of minus and of space."""
    for space in _SPACES:
        text = text.replace(space, " ")
    return text.strip().replace("\u2212", "-")


def _is_balanced(found: re.Match[str]) -> bool:
    signs = sum(found[name] is not None for name in ("sign", "sign_after", "sign_last"))
    return (found["open"] is None) == (found["close"] is None) and signs <= (found["open"] is None)


def _learn_fast(column: pa.ChunkedArray) -> ReadColumn | None:
    """Return a column that is empty, or of numbers as programs write them; None if values must be looked at."""
    if column.null_count == len(column):
        return ReadColumn(_empty(column), None)
    numbers = _cast(column)
    if numbers is None:
        first = [value for value in _distinct(column.slice(0, _FIRST)) if value.strip().lower() not in MARKERS]
        words = first and not _is_mostly_numeric(first) and not _are_booleans(first)
        return ReadColumn(_as_strings(column), TEXT) if words else None
    return ReadColumn(_as_strings(column), TEXT) if _has_codes(column) else ReadColumn(numbers, Notation("number"))


def _has_codes(column: pa.ChunkedArray) -> bool:
    """Return whether a number has leading zeros, or is hexadecimal; read from the bytes, which takes little time."""
    for chunk in column.chunks:
        _, offset_buffer, data = chunk.buffers()
        if not data:
            continue
        text = np.frombuffer(data, dtype=np.uint8)
        offsets = np.frombuffer(offset_buffer, dtype=np.int32)[chunk.offset : chunk.offset + len(chunk) + 1]
        starts, ends = offsets[:-1], offsets[1:]
        signed = (starts < ends) & np.isin(text[np.minimum(starts, len(text) - 1)], (ord("-"), ord("+")))
        starts = starts + signed
        starts = starts[ends - starts > 1]
        following = text[starts[text[starts] == ord("0")] + 1]
        if (((following >= ord("0")) & (following <= ord("9"))) | np.isin(following, (ord("x"), ord("X")))).any():
            return True
    return False


def _cast(column: pa.ChunkedArray) -> pd.Series[Any] | None:
    """Return integers, else fractions; None if a value is neither."""
    for kind in (pa.int64(), pa.float64()):
        try:
            pc.cast(column.slice(0, _FIRST), kind)
            numbers = pc.cast(column, kind)
        except pa.ArrowInvalid:
            continue
        return pd.Series(numbers.to_numpy() if not numbers.null_count else numbers.cast(pa.float64()).to_numpy())
    return None


def _distinct(column: pa.ChunkedArray) -> list[str]:
    """Return the distinct values that are not missing."""
    return [value for value in pc.unique(column).to_pylist() if value is not None]


def _are_booleans(values: list[str]) -> bool:
    return {value.strip().lower() for value in values[:10]} <= _BOOLEANS.keys()


def _learn_written(values: list[str], *, commas: bool) -> Notation:
    """Decide the notation of a column by its distinct values.

    Args:
        values: the distinct values.
        commas: whether the file has decimal commas.
    """
    if _are_booleans(values):
        return Notation("boolean")
    cleaned = [value for value in map(_clean, values) if value.lower() not in MARKERS]
    matches = _match_all(cleaned)
    if not matches:
        return TEXT
    affixes = {found["before"] or found["unit"] or "" for found in matches} - {""}
    if len(affixes) > 1 or any(found["before"] and found["unit"] for found in matches):
        return TEXT
    digits = [found["digits"].strip() for found in matches]
    if any(re.match(r"0\d", each) for each in digits):
        return TEXT
    form = _choose_form(digits, commas=commas)
    return TEXT if form is None else Notation("number", *form, next(iter(affixes), ""))


def _match_all(values: list[str]) -> list[re.Match[str]]:
    """Return how each value is written; none if one is no number, or there are no values."""
    if not _is_mostly_numeric(values[:_FIRST]):
        return []
    matches = []
    for value in values:
        found = _WRITTEN.fullmatch(value)
        if found is None or not _is_balanced(found):
            return []
        matches.append(found)
    return matches


def _is_mostly_numeric(values: list[str]) -> bool:
    return sum(any(map(str.isdigit, value)) for value in values) > _LEAST_SHARE * len(values)


def _choose_form(digits: list[str], *, commas: bool) -> tuple[str, str] | None:
    """Return decimal sign and separator of thousands that suit all digits; None if there are none.

    Groups of three after each comma or point are thousands if they are so in all values.
    """
    for sign, form in ((",", (".", ",")), (".", (",", "."))):
        marked = [each for each in digits if sign in each]
        other = "." if sign == "," else ","
        if not marked or any(other in each for each in digits):
            continue
        grouped = all(_GROUPS[sign].fullmatch(each) for each in marked)
        if grouped and (commas == (sign == ".") or any(each.count(sign) > 1 for each in marked)):
            return form
    order = [(".", ""), *sorted(_FORMS, key=lambda form: form[0] != ",")] if commas else list(_FORMS)
    return next((form for form in order if all(_FORMS[form].fullmatch(each) for each in digits)), None)


def _have_decimal_commas(heads: Iterable[pa.ChunkedArray], *, doubtful: bool) -> bool:
    """Return whether some columns have decimal commas.

    Args:
        heads: the first rows of each column.
        doubtful: whether a comma before groups of three digits is taken for a decimal comma, if no column says more.
    """
    grouped = False
    for head in heads:
        plain = _cast(head)
        if plain is not None:
            doubtful = doubtful and (plain.dtype.kind != "f" or bool(plain.isna().all()) or _are_thousands(head))
            continue
        cleaned = [value for value in map(_clean, _distinct(head)) if value.lower() not in MARKERS]
        digits = [found["digits"].strip() for found in _match_all(cleaned)]
        marked = [each for each in digits if "," in each]
        if any("." in each.rpartition(",")[2] for each in marked):
            doubtful = False
        elif marked and any(all(_FORMS[",", sign].fullmatch(each) for each in digits) for sign in (".", " ", "'")):
            if not all(_GROUPS[","].fullmatch(each) for each in marked):
                return True
            grouped = True
    return grouped and doubtful


def _as_strings(column: pa.ChunkedArray) -> pd.Series[Any]:
    return pd.Series(column.to_pandas(), dtype="str")


def _empty(column: pa.ChunkedArray) -> pd.Series[Any]:
    return pd.Series(np.full(len(column), np.nan))
