"""Sentences on what a figure leaves out; empty where it shows everything."""

from __future__ import annotations

from collections.abc import Sequence


def describe_selection(shown: int, total: int, noun: str, order: str = "best") -> str:
    """Return a sentence on how many of all items are shown, empty if all are."""
    return f"The {order} {shown} of {total} {noun} are shown." if shown < total else ""


def describe_omitted(count: int, noun: str) -> str:
    """Return a sentence on how many items are left out, empty if none is."""
    if not count:
        return ""
    return f"1 {noun} is left out." if count == 1 else f"{count} {noun}s are left out."


def describe_clipped(count: int, total: int) -> str:
    """Return a sentence on how many scores are drawn at the edge of a figure, empty if none is."""
    if not count:
        return ""
    subject = "1 poor score lies" if count == 1 else f"{count} poor scores lie"
    return f"{subject} beyond the edge, where the mark is hollow (of {total})."


def join_names(names: Sequence[str], limit: int = 6) -> str:
    """Return names with commas between them; an ellipsis stands for those after the first `limit`."""
    return ", ".join([*names[:limit], *(["…"] if len(names) > limit else [])])


def join_sentences(*sentences: str) -> str:
    """Return the sentences that are not empty, separated by spaces."""
    return " ".join(sentence for sentence in sentences if sentence)
