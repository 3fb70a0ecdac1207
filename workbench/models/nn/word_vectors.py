"""Pretrained word vectors from a text file in the format of GloVe or word2vec, optionally gzipped.

Each line holds a word and its numbers. word2vec writes a header line with the number of words and the number of values.
The file is read line by line, and only the vectors of requested words stay in memory.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np

from workbench.array import Array
from workbench.config import WordVectorsConfig
from workbench.data.cache import Cache
from workbench.errors import FamilyError, format_list


class WordVectors(NamedTuple):
    """The vectors of some words. The cache stores the fields by name."""

    matrix: Array
    """(words, values) float32; 0 for words that the file lacks."""
    known: Array
    """(words,) of True for words that the file has."""


def check(config: WordVectorsConfig, resolve: Callable[[str], Path]) -> None:
    """Check that the file exists and that its first lines are words with vectors.

    Raises:
        FamilyError: it does not, or they are not.
    """
    if config.file is None:
        return
    path = resolve(config.file)
    if not path.is_file():
        raise FamilyError(f"must name a file that is there. Received: {config.file!r} ({path}).")
    if not list(islice(_read_lines(path), 3)):
        raise FamilyError(f"must hold words and their numbers. Received: {config.file!r}, which is empty.")


def resolve_path(config: WordVectorsConfig, resolve: Callable[[str], Path]) -> WordVectorsConfig:
    """Return the section with an absolute path."""
    return config if config.file is None else config.model_copy(update={"file": str(resolve(config.file))})


def load_vectors(config: WordVectorsConfig, words: Sequence[str], cache: Path | None) -> WordVectors | None:
    """Return the vectors of words; None if the study file names no file.

    A large file takes long to read, so the result for the same words and the same file is kept in the cache, if any.

    Raises:
        FamilyError: as `read` does.
    """
    if config.file is None:
        return None
    file = Path(config.file)
    if cache is None:
        return read(file, words)
    state = file.stat()
    key = {"vectors of": list(words), "file": str(file), "as of": [state.st_size, state.st_mtime_ns]}
    folder = Cache(cache).entry(key, lambda place: np.savez(place / "vectors.npz", **read(file, words)._asdict()))
    with np.load(folder / "vectors.npz", allow_pickle=False) as arrays:
        return WordVectors(arrays["matrix"], arrays["known"])


def read(file: Path, words: Sequence[str]) -> WordVectors:
    """Return the vectors of words; a word that the file lacks gets the vector of its capitalised form.

    Raises:
        FamilyError: a line is not a word with as many numbers as the other lines, or the file has none of the words.
    """
    indices = {word: index for index, word in enumerate(words)}
    exact: dict[int, Array] = {}
    capitalized: dict[int, Array] = {}
    for number, word, values in _read_lines(file):
        found, index = (exact, indices[word]) if word in indices else (capitalized, indices.get(word.lower()))
        if index is not None and index not in found:
            found[index] = _parse_vector(file, number, values)
    vectors = {**capitalized, **exact}
    if not vectors:
        raise FamilyError(
            f"{file.name} must have words of the texts. Received: none of {format_list(words, 5)}. "
            "Is it of their language?"
        )
    matrix = np.zeros((len(words), len(next(iter(vectors.values())))), np.float32)
    known = np.zeros(len(words), bool)
    for index, vector in vectors.items():
        matrix[index], known[index] = vector, True
    return WordVectors(matrix, known)


def _read_lines(file: Path) -> Iterator[tuple[int, str, list[str]]]:
    """Yield each line's number, its word, and its values as text.

    Raises:
        FamilyError: a line has more or fewer values than the first one, or the file is not text.
    """
    opener = gzip.open if file.suffix == ".gz" else open
    width = 0
    try:
        with opener(file, "rt", encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if number == 1 and (width := _parse_header(line)):
                    continue
                width = width or len(line.split()) - 1
                # Split from the right: a word may contain spaces.
                word, *values = line.rstrip().rsplit(" ", width) if width else [line]
                if number <= 2:
                    _parse_vector(file, number, values)
                if len(values) != width or width < 1 or _ends_with_number(word):
                    expected, received = width or "its", len(line.split()) - 1
                    raise FamilyError(
                        f"{file.name}, line {number}: must be a word and {expected} numbers, not {received}."
                    )
                yield number, word, values
    except (UnicodeDecodeError, OSError, EOFError) as error:
        raise FamilyError(
            f"{file.name}: must be vectors of words as UTF-8 text. Received: {error}. "
            "A binary file of word2vec has to be written as text first."
        ) from error


def _parse_header(line: str) -> int:
    """Return the number of values that a header line of word2vec declares; 0 if the line is not a header."""
    parts = line.split()
    return int(parts[1]) if len(parts) == 2 and all(part.isdecimal() for part in parts) else 0


def _ends_with_number(word: str) -> bool:
    """Return whether a word ends with a space and a number, which is one value too many."""
    first, space, last = word.rpartition(" ")
    if not first or not space:
        return False
    try:
        float(last)
    except ValueError:
        return False
    return True


def _parse_vector(file: Path, line: int, values: Sequence[str]) -> Array:
    """Return the values of a line.

    Raises:
        FamilyError: a value is not a number, or not finite.
    """
    try:
        vector = np.array(values, dtype=np.float32)
    except ValueError as error:
        raise FamilyError(f"{file.name}, line {line}: must hold numbers after the word. Received: {error}.") from error
    if not np.isfinite(vector).all():
        raise FamilyError(f"{file.name}, line {line}: must hold finite numbers. Received: another.")
    return vector
