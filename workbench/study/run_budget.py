"""The budget of one `run`: trials, and the time for the search and for what follows it."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from workbench.config import StudyConfig

# A study file without a budget gets this one.
MINUTES = 10.0


@dataclass(frozen=True)
class RunBudget:
    """The limits of one call; times are seconds of `time.monotonic`."""

    trials: int | None
    """The number of finished trials that the study should reach in all."""
    end: float | None
    """The end of the call."""
    search_end: float | None
    """The end of the search; the rest is for the ensemble and the submission."""

    @classmethod
    def of(cls, config: StudyConfig, trials: int | None, minutes: float | None, began: float) -> RunBudget:
        """Return the call's own budget; without one the file's, else ten minutes.

        Args:
            config: the study file.
            trials: the number of finished trials that the caller wants.
            minutes: the minutes that the caller allows.
            began: the start of the call.
        """
        if trials is None and minutes is None:
            trials, minutes = config.search.trials, config.search.minutes
            if trials is None and minutes is None:
                minutes = MINUTES
        if minutes is None:
            return cls(trials, None, None)
        end = began + 60 * minutes
        return cls(trials, end, end - _reserve(60 * minutes))

    def shorten(self, seconds: float) -> RunBudget:
        """Return the budget with an end in so many seconds at the latest."""
        soon = time.monotonic() + seconds
        return replace(self, end=soon if self.end is None else min(self.end, soon))

    def blend_seconds(self) -> float | None:
        """Return the time for the blends: most of what is left; None without a time limit."""
        return None if self.end is None else max(2.0, 0.6 * (self.end - time.monotonic()))


def _reserve(seconds: float) -> float:
    """Return the part of a time budget that is kept for the ensemble and the submission."""
    return min(max(4.0, 0.1 * seconds), 50.0)
