"""Which family gets the next trial.

First what was interrupted, then each family's defaults in the study file's order. After that the turn goes to the
family that has had the least for its rank: the best family gets most, none is starved.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass
class Standing:
    """What a family has done so far."""

    family: str
    started: int = 0
    """Trials begun, in this call or before."""
    waiting: bool = False
    """Whether an interrupted trial waits to go on."""
    spent: float = 0.0
    """Seconds in trials, those under way not counted."""
    loss: float | None = None
    """The best score so far, smaller is better."""
    complete: list[float] = field(default_factory=list)
    """Seconds of each complete trial."""
    failures: int = 0
    """Failed trials in a row, in this call."""
    running: int = 0

    @property
    def forecast(self) -> float | None:
        """Seconds that a trial of the family may take: the median so far."""
        return sorted(self.complete)[len(self.complete) // 2] if self.complete else None


def choose(standings: Sequence[Standing], seconds_left: float | None) -> Standing | None:
    """Return the family to try next; None when no trial is worth beginning in the time that is left."""
    for standing in standings:
        if standing.waiting and not standing.running:
            return standing
    for standing in standings:
        if not standing.started:
            return standing
    able = [s for s in standings if seconds_left is None or (s.forecast or 0.0) <= seconds_left]
    ranked = sorted(standings, key=lambda s: float("inf") if s.loss is None else s.loss)
    return min(able, key=lambda s: _claim(s, ranked.index(s) + 1), default=None)


def _claim(standing: Standing, rank: int) -> float:
    """Return what a family has had, times its rank; a trial under way counts as its forecast.

    The geometric mean of seconds and trials: neither a cheap family takes all of a budget of trials, nor a dear one
    all of a budget of minutes.
    """
    seconds = standing.spent + standing.running * (standing.forecast or 1.0)
    return math.sqrt(seconds * standing.started) * rank
