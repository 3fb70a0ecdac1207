"""The exceptions that a user can cause, and the functions that word their messages.

WorkbenchError
├── ConfigError        (ValueError)    a study file or a command line option is not valid
├── DataError          (ValueError)    the data files do not have the expected content
├── SourceError        (OSError)       a data source cannot be reached: no network, no key, no file
├── EvaluationError    (ValueError)    a metric or a kind of folds does not suit the data
├── SpaceError         (ValueError)    a hyperparameter is declared in a way that cannot be sampled
├── FamilyError        (RuntimeError)  a model family cannot be trained, saved or loaded
├── EnsembleError      (ValueError)    predictions cannot be blended
├── SearchError        (RuntimeError)  a search cannot start or continue
├── SubmissionError    (ValueError)    a competition would refuse the submission
└── StudyError         (RuntimeError)  a study has changed, is in use, or has no results yet

Every message follows one pattern: where, what is expected, what was received, what to do.
The command line prints it as `error: …` on stderr and exits with status 2; any other exception is a bug.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class WorkbenchError(Exception):
    """The base class of all errors that a user can cause and correct."""


class ConfigError(WorkbenchError, ValueError):
    """A study file or a command line option is not valid."""


class DataError(WorkbenchError, ValueError):
    """The data files do not have the content that the study needs."""


class SourceError(WorkbenchError, OSError):
    """A data source cannot be reached."""


class EvaluationError(WorkbenchError, ValueError):
    """A metric or a kind of folds does not suit the data."""


class SpaceError(WorkbenchError, ValueError):
    """A hyperparameter is declared in a way that cannot be sampled."""


class FamilyError(WorkbenchError, RuntimeError):
    """A model family cannot be trained, saved or loaded."""


class EnsembleError(WorkbenchError, ValueError):
    """Predictions cannot be blended."""


class SearchError(WorkbenchError, RuntimeError):
    """A search cannot start or continue."""


class SubmissionError(WorkbenchError, ValueError):
    """A competition would refuse the submission."""


class StudyError(WorkbenchError, RuntimeError):
    """A study has changed, is in use, or has no results yet."""


def did_you_mean(word: object, known: Iterable[str]) -> str:
    """Return ` Did you mean 'x'?` for the known word that is closest to `word`, or an empty string if none is close."""
    close = difflib.get_close_matches(str(word), list(known), n=1, cutoff=0.6)
    return f" Did you mean {close[0]!r}?" if close else ""


def suggest_word(
    word: object,
    known: Iterable[str],
    *,
    label: str = "Known",
    shown: Iterable[object] | None = None,
    most: int = 12,
) -> str:
    """Return the hint for an unknown word: the closest known word, or else the list of known words.

    Args:
        word: the unknown word.
        known: the words that would have been accepted.
        label: what the listed words are called.
        shown: the words as the list shows them; `known` by default.
        most: how many words are listed before the list is cut.

    Examples:
        >>> suggest_word("xgbost", ["xgboost", "linear"])
        " Did you mean 'xgboost'?"
        >>> suggest_word("perceptron", ["xgboost", "linear"])
        ' Known: xgboost, linear.'
    """
    words = list(known)
    listed = format_list(words if shown is None else shown, most) or "none"
    return did_you_mean(word, words) or f" {label}: {listed}."


def format_list(words: Iterable[object], most: int = 12) -> str:
    """Return `a, b, c, … (n in all)`, so that a message stays on one line."""
    every = [str(word) for word in words]
    if len(every) <= most:
        return ", ".join(every)
    return f"{', '.join(every[:most])}, … ({len(every)} in all)"


def format_value(value: object, most: int = 60) -> str:
    """Return a value as messages show it: on one line, cut after `most` characters."""
    if value is None or isinstance(value, bool):
        return {None: "nothing", True: "true", False: "false"}[value]
    text = repr(value) if isinstance(value, str | int | float | list | dict) else str(value)
    return text if len(text) <= most else f"{text[: most - 1]}…"
