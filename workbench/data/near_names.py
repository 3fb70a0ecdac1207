"""Columns of two tables that are probably the same column under names that differ a little."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Mapping

# A word of fewer letters than this has no typing error, because many short words differ in one letter.
_LEAST_LETTERS = 4
# Other ways to write umlauts: ä, ae and a become one letter.
_DIGRAPHS = re.compile(r"(?<=[aou])e")


def pair_names(lacking: Collection[str], others: Collection[str]) -> dict[str, str]:
    """Return pairs of names that differ in case, spaces, punctuation, accents or one typing error alone.

    Args:
        lacking: the columns that one table has and the other lacks.
        others: the columns that the other table has besides; each belongs to one pair at most.

    Examples:
        >>> pair_names(["Month", "Größe", "lag 1"], ["month", "groesse", "lag 2"])
        {'Month': 'month', 'Größe': 'groesse'}
    """
    free, pairs = list(others), dict[str, str]()
    for is_near in (_are_alike, _differ_by_typo):
        for name in lacking:
            near = next((other for other in free if name not in pairs and is_near(name, other)), None)
            if near is not None:
                pairs[name] = near
                free.remove(near)
    return pairs


def describe_pairs(pairs: Mapping[str, str], *, table: str, source: str) -> str:
    """Return a sentence on the pairs of `source` and `table`, such as: test.csv has 'month', train.csv has 'Month'."""
    shown = [f"{table} has {other!r}, {source} has {name!r}" for name, other in list(pairs.items())[:5]]
    more = f"; and {len(pairs) - 5} more pairs" if len(pairs) > 5 else ""
    return f"{'; '.join(shown)}{more}: rename one of {'them' if len(pairs) == 1 else 'each pair'}."


def normalize_name(name: str) -> str:
    """Return a name in lower case without spaces, punctuation and accents.

    Examples:
        >>> normalize_name("Lot-Größe (m²)")
        'lotgrossem2'
    """
    letters = unicodedata.normalize("NFKD", name.casefold())
    return "".join(letter for letter in letters if letter.isalnum())


def _are_alike(name: str, other: str) -> bool:
    one, two = normalize_name(name), normalize_name(other)
    return bool(one) and _DIGRAPHS.sub("", one) == _DIGRAPHS.sub("", two)


def _differ_by_typo(name: str, other: str) -> bool:
    """Return whether one letter of a word is missing, added or another, or two are exchanged; digits count as words."""
    one, two = (re.findall(r"[^\W\d_]+|\d+", unicodedata.normalize("NFC", each).casefold()) for each in (name, other))
    if len(one) != len(two):
        return False
    pairs = [(left, right) for left, right in zip(one, two, strict=True) if left != right]
    return len(pairs) == 1 and _is_one_edit(*pairs[0])


def _is_one_edit(one: str, two: str) -> bool:
    """Return whether two words of letters differ by one edit."""
    if not (one.isalpha() and two.isalpha()) or min(len(one), len(two)) < _LEAST_LETTERS:
        return False
    start = next((place for place, (a, b) in enumerate(zip(one, two, strict=False)) if a != b), min(len(one), len(two)))
    one, two = one[start:], two[start:]
    return one[1:] == two[1:] or one[1:] == two or one == two[1:] or (one[:2] == two[1::-1] and one[2:] == two[2:])
