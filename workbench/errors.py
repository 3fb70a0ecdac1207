"""Every error that a user can cause, and the one sentence they are all written in.

WorkbenchError
├── ConfigError        (ValueError)    a study file, or an option of a command
├── DataError          (ValueError)    what the data files hold
├── SourceError        (OSError)       a source that cannot be reached: no network, no key, no file
├── EvaluationError    (ValueError)    metrics and folds that do not suit the data
├── SpaceError         (ValueError)    a search space that cannot be asked
├── FamilyError        (RuntimeError)  a model family that cannot be trained or loaded
├── EnsembleError      (ValueError)    predictions that cannot be blended
├── SearchError        (RuntimeError)  a search that cannot go on
├── SubmissionError    (ValueError)    a submission that a competition would refuse
└── StudyError         (RuntimeError)  a study that changed, is busy, or has nothing to show yet

The sentence: where, what is expected, what came, what to do.
The command line prints it as `error: …` on stderr and exits with 2; anything else is a bug.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class WorkbenchError(Exception):
    """The base of all errors that a user can cause and mend."""


class ConfigError(WorkbenchError, ValueError):
    """A study file or an option does not say what it must."""


class DataError(WorkbenchError, ValueError):
    """The data do not hold what the study asks of them."""


class SourceError(WorkbenchError, OSError):
    """A source of data cannot be reached."""


class EvaluationError(WorkbenchError, ValueError):
    """A metric or a fold protocol does not suit the data."""


class SpaceError(WorkbenchError, ValueError):
    """A hyperparameter is declared in a way that cannot be answered."""


class FamilyError(WorkbenchError, RuntimeError):
    """A model family cannot be trained, saved or loaded."""


class EnsembleError(WorkbenchError, ValueError):
    """Predictions cannot be blended."""


class SearchError(WorkbenchError, RuntimeError):
    """The search cannot start or go on."""


class SubmissionError(WorkbenchError, ValueError):
    """A competition would refuse this submission."""


class StudyError(WorkbenchError, RuntimeError):
    """A study was changed, is busy, or has nothing to show yet."""


def did_you_mean(word: object, known: Iterable[str]) -> str:
    """Return ` Did you mean 'x'?` for the known word nearest to `word`, or an empty string."""
    near = difflib.get_close_matches(str(word), list(known), n=1, cutoff=0.6)
    return f" Did you mean {near[0]!r}?" if near else ""


def format_list(words: Iterable[object], most: int = 12) -> str:
    """Return `a, b, c, … (n in all)` for a message that must stay one line long."""
    every = [str(word) for word in words]
    if len(every) <= most:
        return ", ".join(every)
    return f"{', '.join(every[:most])}, … ({len(every)} in all)"


def format_value(value: object, most: int = 60) -> str:
    """Return a value as a message shows it: on one line, cut where it is long."""
    if value is None or isinstance(value, bool):
        return {None: "nothing", True: "true", False: "false"}[value]
    words = repr(value) if isinstance(value, str | int | float | list | dict) else str(value)
    return words if len(words) <= most else f"{words[: most - 1]}…"
