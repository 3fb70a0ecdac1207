"""The header of a text table, read with the standard library alone."""

from __future__ import annotations

import bz2
import codecs
import csv
import gzip
import io
import lzma
import re
import zipfile
import zlib
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple, cast

from workbench.errors import DataError, SourceError

Form = Literal["text", "parquet", "npz", "idx"]

SUFFIXES = ".csv, .tsv (also with .gz, .bz2, .xz, .zip), .parquet, .npz, IDX"
COMPRESSIONS = {".gz": "gzip", ".bz2": "bz2", ".xz": "xz", ".zip": "zip"}

# Bytes after the header that show the decimal sign.
_PEEK = 1 << 16


class Header(NamedTuple):
    """The column names and the dialect of a text table."""

    columns: tuple[str, ...]
    separator: str
    decimal: str


def form(path: Path) -> Form | None:
    """Return the form of a file by its suffixes; None if it cannot be read."""
    if re.search(r"(?i)[.-]idx\d-ubyte(\.gz)?$", path.name):
        return "idx"
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in COMPRESSIONS:
        suffixes.pop()
        return "text" if suffixes and suffixes[-1] in (".csv", ".tsv") else None
    known: dict[str, Form] = {
        ".csv": "text",
        ".tsv": "text",
        ".parquet": "parquet",
        ".pq": "parquet",
        ".npz": "npz",
    }
    return known.get(suffixes[-1]) if suffixes else None


def is_arrays(path: Path) -> bool:
    """Return whether a file holds arrays, not a table."""
    return form(path) in ("npz", "idx")


def read_header(path: Path) -> Header:
    """Read the column names and the dialect of a .csv or .tsv file, compressed or not.

    A column without a name is called `Unnamed: N`, as in pandas.

    Raises:
        SourceError: the file cannot be opened.
        DataError: the file is empty, is not text, does not match its suffix, or names a column twice.
    """
    head = _head(path)
    if b"\0" in head:
        raise DataError(f"{path}: must be a UTF-8 text table. Received: bytes that are no text. Save it as CSV.")
    text = _decode(head)
    separators = "\t" if ".tsv" in (suffix.lower() for suffix in path.suffixes) else ",;\t|"
    row, separator = max(((_first_row(text, s), s) for s in separators), key=lambda candidate: len(candidate[0]))
    if not row:
        raise DataError(f"{path}: must start with a line of column names. Received: an empty file.")
    columns = tuple(name or f"Unnamed: {place}" for place, name in enumerate(row))
    duplicate = next((name for name in columns if columns.count(name) > 1), None)
    if duplicate is not None:
        raise DataError(f"{path}: column names must differ. Received: {duplicate!r} twice. Rename one of them.")
    return Header(columns, separator, _decimal(text, separator))


def _head(path: Path) -> bytes:
    """Return the first line and the next bytes, decompressed."""
    try:
        with _open(path) as file:
            return file.readline() + file.read(_PEEK)
    except (EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, gzip.BadGzipFile) as error:
        raise DataError(
            f"{path}: must be a file compressed as its suffix says. Received: {error}. Download it again."
        ) from error
    except OSError as error:
        reason = error.strerror or error
        raise SourceError(f"{path}: cannot be read ({reason}). Check that it is there, and whole.") from error


def _open(path: Path) -> BinaryIO:
    """Open a file for reading bytes; its suffix decides the decompression."""
    suffix = path.suffix.lower()
    if suffix == ".gz":
        return cast(BinaryIO, gzip.open(path))
    if suffix == ".bz2":
        return cast(BinaryIO, bz2.open(path))
    if suffix == ".xz":
        return cast(BinaryIO, lzma.open(path))
    if suffix == ".zip":
        archive = zipfile.ZipFile(path)
        names = archive.namelist()
        if len(names) != 1:
            raise DataError(f"{path}: must hold one file. Received: {len(names)}. Unpack it and name one.")
        return cast(BinaryIO, archive.open(names[0]))
    return path.open("rb")


def _decode(head: bytes) -> str:
    """Decode UTF-8 without its byte order mark, else Latin-1."""
    try:
        # An incremental decoder accepts a truncated last character.
        return codecs.getincrementaldecoder("utf-8-sig")().decode(head)
    except UnicodeDecodeError:
        return head.decode("latin-1")


def _first_row(text: str, separator: str) -> list[str]:
    """Return the fields of the first line that is not empty."""
    try:
        return next((row for row in csv.reader(io.StringIO(text), delimiter=separator) if row), [])
    except csv.Error:
        return []


def _decimal(text: str, separator: str) -> str:
    """Return the decimal sign: a comma if fields are separated by semicolons and numbers have commas, no points."""
    edge = r'(?:^|[;"])-?\d+{}\d+(?=$|[;"\r\n])'
    commas = separator == ";" and re.search(edge.format(","), text, re.MULTILINE)
    points = re.search(edge.format(r"\."), text, re.MULTILINE)
    return "," if commas and not points else "."
