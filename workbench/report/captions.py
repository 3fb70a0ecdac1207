"""What a figure leaves out, in sentences that are empty where all is shown."""

from __future__ import annotations

from collections.abc import Sequence


def best_of(shown: int, known: int, things: str, best: str = "best") -> str:
    """Say how many of so many things are shown, if not all."""
    return f"The {best} {shown} of {known} {things} are shown." if shown < known else ""


def count_left_out(count: int, thing: str) -> str:
    """Say how many things are left out."""
    if not count:
        return ""
    return f"1 {thing} is left out." if count == 1 else f"{count} {thing}s are left out."


def count_at_edge(count: int, scores: int) -> str:
    """Say how many scores were moved to a figure's edge."""
    if not count:
        return ""
    which = "1 poor score lies" if count == 1 else f"{count} poor scores lie"
    return f"{which} beyond the edge, where the mark is hollow (of {scores})."


def join_names(names: Sequence[str], most: int = 6) -> str:
    """Return names with commas between, the last of many left out."""
    return ", ".join([*names[:most], *(["…"] if len(names) > most else [])])


def join_sentences(*sentences: str) -> str:
    """Return the sentences that say something, one after another."""
    return " ".join(sentence for sentence in sentences if sentence)
