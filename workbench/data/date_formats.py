"""Dates as text or as the serial numbers of spreadsheets: the format is recognised on a column, then parsed."""

from __future__ import annotations

import re
from typing import Any

import pandas as pd

SERIAL = "serial"
"""The format of the serial numbers of Excel: days since 1899-12-30."""

_DAYS = (
    "%m/%d/%Y",
    "%d/%m/%Y",
    "%Y/%m/%d",
    "%d.%m.%Y",
    "%m-%d-%Y",
    "%d-%m-%Y",
    "%m/%d/%y",
    "%d/%m/%y",
    "%d.%m.%y",
    "%d-%b-%Y",
    "%d-%b-%y",
    "%d %b %Y",
    "%d %B %Y",
    "%b %d, %Y",
    "%B %d, %Y",
    "%b %d %Y",
    "%d/%b/%Y",
)
_TIMES = ("", " %H:%M", " %H:%M:%S", " %H:%M:%S.%f", " %I:%M %p", " %I:%M:%S %p", " %z", " %H:%M:%S %z", ":%H:%M:%S %z")
# The format that reads the most values is taken, the first of several; so 3/4/2020 is March 4, unless another date of
# its column has a day beyond 12 in its first place.
_FORMATS = (
    "ISO8601",
    *(day + time for day in _DAYS for time in _TIMES),
    "%Y%m%d",
    "%a, %d %b %Y %H:%M:%S %z",
    "%a %b %d %H:%M:%S %Y",
)
_SHARE = 0.95
_EARLIEST, _LATEST = pd.Timestamp("1678-01-01"), pd.Timestamp("2262-01-01")

_WEEKDAY = re.compile(r"^(mon|tues?|wed(nes)?|thu(rs?)?|fri|sat(ur)?|sun)(day)?\.?,?\s+", re.IGNORECASE)
_ZONE = re.compile(r"\s*(?:\b(?:UTC|GMT)|(?<=\d)Z)$", re.IGNORECASE)
# The names of other zones: the hour on the clock is kept.
_LOCAL_ZONE = re.compile(r"\s*(\[[\w/+-]+\]|\(?\b(?:CES?T|WES?T|EES?T|[ECMP][SD]T|BST|MSK|JST|IST|AES?T)\)?)$")
_HALF_DAY = re.compile(r"\s*\b([ap])\.?\s?m\.?$", re.IGNORECASE)
_SERIAL_NAME = re.compile(r"date|datum|fecha|timestamp", re.IGNORECASE)
# The serial numbers of 1950 and 2079.
_FIRST_SERIAL, _LAST_SERIAL = 18_264, 65_700


def recognise(strings: pd.Series[Any], *, requested: bool = False) -> str | None:
    """Return the format that reads the most values of a column; None if the column has no dates.

    Args:
        strings: the values as text, without missing ones.
        requested: whether the study file says that they are dates; then half of the values suffice, and digits without
            separators count as dates.
    """
    share, looks = (0.5, r"\d") if requested else (_SHARE, r"\d[-/.:, ]+\w")
    counts = strings.value_counts()
    distinct = pd.Series(counts.index, dtype=object).str.strip()
    head = distinct[:200]
    if not len(head) or head.str.contains(looks).mean() < share / 2 or head.str.len().median() > 40:
        return None
    best, most = None, 0
    shapes = set(map(_shape, map(_simplify, head)))
    for date_format in _FORMATS:
        if (
            not any(_may_suit(date_format, shape) for shape in shapes)
            or _parse(head, date_format).notna().mean() < share / 2
        ):
            continue
        read = int(counts.to_numpy()[_parse(distinct, date_format).notna().to_numpy()].sum())
        if read >= share * counts.sum() and read > most:
            best, most = date_format, read
        if most == counts.sum():
            break
    return best


def _shape(text: str) -> tuple[frozenset[str], bool]:
    """Return the separators of a date, and whether it has letters."""
    return frozenset(re.sub(r"[^\W_]", "", text)), any(map(str.isalpha, text))


def _may_suit(date_format: str, shape: tuple[frozenset[str], bool]) -> bool:
    """Return whether a date of a shape may have a format; parsing decides."""
    if date_format == "ISO8601" or date_format.startswith("%a"):
        return True
    separators, letters = shape
    signs = frozenset("+-:") if "%z" in date_format else frozenset()
    own = frozenset(re.sub(r"%\w", "", date_format))
    return own - signs <= separators <= own | signs and letters == bool(re.search("%[bBp]", date_format))


def is_serial(series: pd.Series[Any], *, requested: bool = False) -> bool:
    """Return whether a column of numbers is called a date, and all its numbers are serial numbers of dates.

    If the study file says that they are dates, as `requested`, the name does not matter.
    """
    numbers = series.dropna().astype("float64")
    if numbers.empty or not (requested or _SERIAL_NAME.search(str(series.name))):
        return False
    return bool(numbers.between(_FIRST_SERIAL, _LAST_SERIAL).all() and numbers.nunique() > 1)


def parse(values: pd.Series[Any], date_format: str | None) -> pd.Series[Any]:
    """Parse strings as naive UTC datetime64[ns]; NaT where they do not fit."""
    if date_format == SERIAL:
        return from_serial(pd.to_numeric(values, errors="coerce"))
    return to_nanoseconds(_parse(values, date_format))


def find_unreadable(values: pd.Series[Any], date_format: str) -> pd.Series[Any]:
    """Return the strings that do not have a format."""
    read = pd.to_numeric(values, errors="coerce") if date_format == SERIAL else _parse(values, date_format)
    return values[read.isna()]


def from_serial(numbers: pd.Series[Any]) -> pd.Series[Any]:
    """Convert the serial numbers of Excel to datetime64[ns], to the second."""
    days = numbers.astype("float64").where(numbers.between(0, 110_000))
    seconds = (days * 86_400).round()
    return pd.to_datetime(seconds, unit="s", origin="1899-12-30").dt.as_unit("ns")


def to_nanoseconds(dates: pd.Series[Any]) -> pd.Series[Any]:
    """Convert to naive UTC datetime64[ns]; dates beyond its range, like 9999-12-31 for never, become NaT."""
    if dates.dt.tz is not None:
        dates = dates.dt.tz_convert(None)
    possible = dates.between(_EARLIEST, _LATEST, inclusive="left")
    return pd.Series(dates.where(possible).astype("datetime64[ns]"))


def describe(name: str, example: str, date_format: str) -> str:
    """Return a note on a column of dates that are not written as in ISO 8601; empty for others."""
    parsed = parse(pd.Series([example], dtype=object), date_format).iloc[0]
    if date_format == "ISO8601" and _simplify(example) == example:
        return ""
    return f"read {name!r} as dates: {example!r} is {parsed:%Y-%m-%d %H:%M:%S}".removesuffix(" 00:00:00")


def _parse(values: pd.Series[Any], date_format: str | None) -> pd.Series[Any]:
    """Parse strings as naive UTC dates; NaT where they do not fit."""
    plain = values if date_format is None or date_format.startswith("%a") else values.map(_simplify, na_action="ignore")
    return pd.to_datetime(plain, format=date_format, errors="coerce", utc=True).dt.tz_localize(None)


def _simplify(text: str) -> str:
    """Return a date without its weekday and the name of its zone, and with AM or PM."""
    if text[:1].isdigit() and text[-1:].isdigit():
        return text
    text = _LOCAL_ZONE.sub("", _ZONE.sub("", _WEEKDAY.sub("", text)))
    return _HALF_DAY.sub(lambda found: f" {found[1].upper()}M", text)
