"""The tokenizer that all features of texts share: texts as strings, normalised and split into words."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Any

import numpy as np

# In scripts without spaces each character is a word.
_UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
# Punctuation marks and emojis are words too: they carry tone.
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W{_UNSPACED}]+|[^\w\s]")


def texts(column: Iterable[object]) -> list[str]:
    """Return a column of texts as strings; a missing text is empty."""
    return [text if isinstance(text, str) else "" for text in column]


def normalize_text(text: str, max_characters: int) -> str:
    """Return the beginning of a text in lower case and in Unicode's NFKC form."""
    return unicodedata.normalize("NFKC", text[:max_characters]).lower()


def split_words(text: str, max_characters: int) -> list[str]:
    """Return the words in the beginning of a text: runs of letters and digits, and single marks."""
    return _WORD.findall(normalize_text(text, max_characters))


def columns_with_text(x: Any, names: Iterable[str]) -> list[str]:
    """Return the columns that hold any text; the others have no vocabulary."""
    return [name for name in names if np.any([bool(text.strip()) for text in texts(x[name])])]
