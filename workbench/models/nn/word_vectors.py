"""Vectors of words from a file, as GloVe and word2vec write it as text: a word and its numbers a line, also gzipped.

word2vec says in a first line how many words and numbers there are. The file is read line by line, and only the vectors
of words that are asked for are kept.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np

from workbench.config import WordVectorsConfig
from workbench.data.cache import Cache
from workbench.errors import FamilyError, format_list


class WordVectors(NamedTuple):
    """What a file says of some words."""

    matrix: np.ndarray
    """(words, numbers) float32; 0 for words that the file does not have."""
    known: np.ndarray
    """(words,) of True where it does."""


def check(asked: WordVectorsConfig, resolve: Callable[[str], Path]) -> None:
    """Look whether a file is there, and whether its first lines are words and their vectors.

    Raises:
        FamilyError: it is not, or they are not.
    """
    if asked.file is None:
        return
    path = resolve(asked.file)
    if not path.is_file():
        raise FamilyError(f"must name a file that is there. Received: {asked.file!r} ({path}).")
    if not list(islice(_rows(path), 3)):
        raise FamilyError(f"must hold words and their numbers. Received: {asked.file!r}, which is empty.")


def resolve_path(asked: WordVectorsConfig, resolve: Callable[[str], Path]) -> WordVectorsConfig:
    """Return `asked` with an absolute path."""
    return asked if asked.file is None else asked.model_copy(update={"file": str(resolve(asked.file))})


def load_vectors(asked: WordVectorsConfig, words: Sequence[str], cache: Path | None) -> WordVectors | None:
    """Return the vectors of words, None where the study file names no file.

    A large file takes long to read: where there is a cache, what was found for the same words is kept.

    Raises:
        FamilyError: what `read` raises.
    """
    if asked.file is None:
        return None
    file = Path(asked.file)
    if cache is None:
        return read(file, words)
    state = file.stat()
    made_from = {"vectors of": list(words), "file": str(file), "as of": [state.st_size, state.st_mtime_ns]}
    folder = Cache(cache).entry(made_from, lambda place: np.savez(place / "vectors.npz", **read(file, words)._asdict()))
    with np.load(folder / "vectors.npz", allow_pickle=False) as kept:
        return WordVectors(kept["matrix"], kept["known"])


def read(file: Path, words: Sequence[str]) -> WordVectors:
    """Return the vectors of words; where the file has no such word, that of the same one with capitals.

    Raises:
        FamilyError: a line is not a word with as many numbers as the others have, or the file has none of the words.
    """
    places = {word: place for place, word in enumerate(words)}
    exact: dict[int, np.ndarray] = {}
    capital: dict[int, np.ndarray] = {}
    for number, word, values in _rows(file):
        found, place = (exact, places[word]) if word in places else (capital, places.get(word.lower()))
        if place is not None and place not in found:
            found[place] = _numbers(file, number, values)
    every = {**capital, **exact}
    if not every:
        raise FamilyError(
            f"{file.name} must have words of the texts. Received: none of {format_list(words, 5)}. Is it of their language?"
        )
    matrix = np.zeros((len(words), len(next(iter(every.values())))), np.float32)
    known = np.zeros(len(words), bool)
    for place, numbers in every.items():
        matrix[place], known[place] = numbers, True
    return WordVectors(matrix, known)


def _rows(file: Path) -> Iterator[tuple[int, str, list[str]]]:
    """Yield the number of each line, its word and its numbers, these as they are written.

    Raises:
        FamilyError: a line has more or fewer numbers than the first one, or the file cannot be read as text.
    """
    opened = gzip.open if file.suffix == ".gz" else open
    width = 0
    try:
        with opened(file, "rt", encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if number == 1 and (width := _declared(line)):
                    continue
                width = width or len(line.split()) - 1
                # From the right: a word may hold spaces itself.
                word, *values = line.rstrip().rsplit(" ", width) if width else [line]
                if number <= 2:
                    _numbers(file, number, values)
                if len(values) != width or width < 1 or _is_number(word.rpartition(" ")):
                    wanted, came = width or "its", len(line.split()) - 1
                    raise FamilyError(f"{file.name}, line {number}: must be a word and {wanted} numbers, not {came}.")
                yield number, word, values
    except (UnicodeDecodeError, OSError, EOFError) as error:
        raise FamilyError(
            f"{file.name}: must be vectors of words as UTF-8 text. Received: {error}. "
            "A binary file of word2vec has to be written as text first."
        ) from error


def _declared(line: str) -> int:
    """Return how many numbers a word has where a first line says so, else 0."""
    said = line.split()
    return int(said[1]) if len(said) == 2 and all(each.isdecimal() for each in said) else 0


def _is_number(parts: tuple[str, str, str]) -> bool:
    """Tell whether what follows the last space in a word is a number that is one too many."""
    first, space, last = parts
    if not first or not space:
        return False
    try:
        float(last)
    except ValueError:
        return False
    return True


def _numbers(file: Path, line: int, values: Sequence[str]) -> np.ndarray:
    """Return the numbers of a line.

    Raises:
        FamilyError: one of them is none, or not finite.
    """
    try:
        numbers = np.array(values, dtype=np.float32)
    except ValueError as error:
        raise FamilyError(f"{file.name}, line {line}: must hold numbers after the word. Received: {error}.") from error
    if not np.isfinite(numbers).all():
        raise FamilyError(f"{file.name}, line {line}: must hold finite numbers. Received: another.")
    return numbers
