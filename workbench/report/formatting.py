"""How numbers are said, on the screen and in a report."""

from __future__ import annotations

import shlex


def number(value: float | None) -> str:
    """Return a score with five significant digits, or a dash."""
    return "–" if value is None else f"{value:.5g}"


def spread(value: float | None, error: float | None) -> str:
    """Return a score and its error, as in `0.8123 ± 0.0041`."""
    return number(value) if value is None or error is None else f"{number(value)} ± {error:.2g}"


def clock(seconds: float) -> str:
    """Return a span of time, as in `8.2 s`, `3 min 20 s` or `7 h 5 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def count_noun(count: int, noun: str) -> str:
    """Return a count with its noun, as in `1 trial` or `12,357 trials`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def listing(words: list[str], most: int = 4) -> str:
    """Return `a, b and c`, or `a, b and 7 more`."""
    shown = words if len(words) <= most else [*words[: most - 1], f"{len(words) - most + 1} more"]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def format_parameter(value: object) -> str:
    """Return a hyperparameter's value."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def command(verb: str, file: str, *options: str) -> str:
    """Return a command as a shell takes it."""
    return " ".join(["workbench", verb, shlex.quote(file), *options])
