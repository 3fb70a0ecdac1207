"""Numbers, durations and lists as text, for the console and the report."""

from __future__ import annotations

import shlex


def format_number(value: float | None) -> str:
    """Return a score with five significant digits, or a dash."""
    return "–" if value is None else f"{value:.5g}"


def format_with_error(value: float | None, error: float | None) -> str:
    """Return a score and its standard error, as in `0.8123 ± 0.0041`."""
    return format_number(value) if value is None or error is None else f"{format_number(value)} ± {error:.2g}"


def format_duration(seconds: float) -> str:
    """Return a duration, as in `8.2 s`, `3 min 20 s` or `7 h 5 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def count_noun(count: int, noun: str) -> str:
    """Return a count with its noun, as in `1 trial` or `12,357 trials`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def join_words(words: list[str], limit: int = 4) -> str:
    """Return `a, b and c`, or `a, b and 7 more` for more words than `limit`."""
    parts = words if len(words) <= limit else [*words[: limit - 1], f"{len(words) - limit + 1} more"]
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def format_parameter(value: object) -> str:
    """Return the value of a hyperparameter."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def format_command(verb: str, file: str, *options: str) -> str:
    """Return a command, quoted for a shell."""
    return " ".join(["workbench", verb, shlex.quote(file), *options])
