"""The header of a text table, read with the standard library alone."""

from __future__ import annotations

import bz2
import codecs
import contextlib
import gzip
import io
import lzma
import os
import re
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple, cast

from workbench.data.dialect import Dialect, decode, detect_dialect, detect_unicode, is_number
from workbench.errors import DataError, SourceError

Form = Literal["text", "frame", "npz", "idx"]

SUFFIXES = ".csv, .tsv (also with .gz, .bz2, .xz, .zst, .zip), .parquet, .feather, .xlsx, .jsonl, .npz, IDX"
COMPRESSIONS = (".gz", ".bz2", ".xz", ".zst", ".zip")
_FORMS: dict[str, Form] = {
    **dict.fromkeys((".csv", ".tsv"), "text"),
    **dict.fromkeys((".parquet", ".pq", ".feather", ".arrow", ".xlsx", ".jsonl", ".ndjson"), "frame"),
    ".npz": "npz",
}

# Bytes after the first line that show the dialect, and the most bytes of the first line.
_PEEK, _LONGEST_LINE = 1 << 16, 1 << 22


class Header(NamedTuple):
    """The column names and the dialect of a text table."""

    columns: tuple[str, ...]
    dialect: Dialect
    notes: tuple[str, ...] = ()
    """Sentences on what was assumed."""


def form(path: Path) -> Form | None:
    """Return the form of a file by its suffixes, or of a folder of parts; None if it cannot be read."""
    if re.search(r"(?i)[.-]idx\d-ubyte(\.gz)?$", path.name):
        return "idx"
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in COMPRESSIONS:
        suffixes.pop()
        return "text" if suffixes and suffixes[-1] in (".csv", ".tsv") else None
    if path.is_dir():
        return "frame" if list_parts(path) else None
    return _FORMS.get(suffixes[-1]) if suffixes else None


def list_parts(folder: Path) -> list[Path]:
    """Return the Parquet files of a table that Spark or Dask wrote as a folder; none for another folder."""
    parts = []
    # A folder of images may have a million entries; the first one tells.
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(("_", ".")):
                continue
            if not entry.name.lower().endswith((".parquet", ".pq")) or not entry.is_file():
                return []
            parts.append(folder / entry.name)
    return sorted(parts)


def is_folder(path: Path) -> bool:
    """Return whether a path is a folder of other files than the parts of one table."""
    return path.is_dir() and not list_parts(path)


def follow_bare_link(path: Path) -> Path:
    """Return a file; for a link whose own name has no known suffix, the target where that has one."""
    return path.resolve() if form(path) is None and path.is_symlink() and form(path.resolve()) else path


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
    head, cut = _read_head(path)
    tabs = ".tsv" in (suffix.lower() for suffix in path.suffixes)
    found = detect_dialect(_decode_head(head, path, cut=cut), tabs=tabs, cut=cut)
    if found is None:
        raise DataError(f"{path}: must start with a line of column names. Received: an empty file.")
    columns = tuple(name or f"Unnamed: {place}" for place, name in enumerate(found.columns))
    notes = tuple(f"{path.name}: {note}" for note in found.notes)
    duplicate = next((name for name in columns if columns.count(name) > 1), None)
    if duplicate is not None:
        hint = " Add a line of column names, if the first line is data." if is_number(duplicate) else ""
        raise DataError(f"{path}: column names must differ. Received: {duplicate!r} twice. Rename one of them.{hint}")
    return Header(columns, found.dialect, notes)


def read_bytes(path: Path) -> bytes:
    """Return the content of a file, decompressed.

    Raises:
        SourceError: the file cannot be opened.
        DataError: the file is not compressed as its suffix says.
    """
    with _explain_failure(path), _open(path) as file:
        return file.read()


def _read_head(path: Path) -> tuple[bytes, bool]:
    """Return the first line and the next bytes, decompressed, and whether the file goes on after them."""
    with _explain_failure(path), _open(path) as file:
        head = file.readline(_LONGEST_LINE) + file.read(_PEEK)
        return head, bool(file.read(1))


@contextlib.contextmanager
def _explain_failure(path: Path) -> Iterator[None]:
    """Raise an error that names the file if it cannot be opened or decompressed."""
    try:
        yield
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
    if suffix == ".zst":
        import pyarrow

        return cast(BinaryIO, io.BufferedReader(pyarrow.CompressedInputStream(str(path), "zstd")))
    if suffix == ".zip":
        archive = zipfile.ZipFile(path)
        names = archive.namelist()
        if len(names) != 1:
            raise DataError(f"{path}: must hold one file. Received: {len(names)}. Unpack it and name one.")
        return cast(BinaryIO, archive.open(names[0]))
    return path.open("rb")


def _decode_head(head: bytes, path: Path, *, cut: bool) -> str:
    """Decode the beginning of a file as the whole file is decoded."""
    marked = detect_unicode(head)
    if marked is None and b"\0" in head:
        raise DataError(f"{path}: must be a UTF-8 text table. Received: bytes that are no text. Save it as CSV.")
    try:
        # An incremental decoder accepts a truncated last character.
        return codecs.getincrementaldecoder(marked or "utf-8")().decode(head)
    except UnicodeDecodeError:
        return decode(read_bytes(path) if cut else head)[0][: len(head)]
