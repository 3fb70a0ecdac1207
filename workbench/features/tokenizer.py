"""How texts are cut into words, the same for every view of them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Any

import numpy as np

# Scripts that are written without spaces: a character is a word.
_UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
# Marks and emojis are words too: spam shouts, and a face says more than a sentence.
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W{_UNSPACED}]+|[^\w\s]")


def texts(column: Iterable[object]) -> list[str]:
    """Return a column of texts as strings, empty where a text is missing."""
    return [text if isinstance(text, str) else "" for text in column]


def normalize_text(text: str, most: int) -> str:
    """Return the first `most` characters of a text in small letters, each character in its usual form (NFKC)."""
    return unicodedata.normalize("NFKC", text[:most]).lower()


def split_words(text: str, most: int) -> list[str]:
    """Return the words among the first `most` characters of a text: runs of letters and digits, and single marks."""
    return _WORD.findall(normalize_text(text, most))


def columns_with_text(x: Any, names: Iterable[str]) -> list[str]:
    """Return the columns that hold any text; of the others there is no vocabulary to learn."""
    return [name for name in names if np.any([bool(text.strip()) for text in texts(x[name])])]
