"""Which family gets the next trial.

First what was interrupted, then each family's defaults in the study file's order. After that the turn goes to the
family that has had the least for what it promises: by the rank of its best trial, and by the weight that this trial
has in a blend of the families' best. The family that promises most gets most, none is starved.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from workbench.search.storage import TrialRecord


@dataclass
class FamilyProgress:
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
    best: TrialRecord | None = None
    """The trial that has it."""
    weight: float = 0.0
    """What that trial adds to the others: its weight in a blend of the families' best."""
    complete: list[float] = field(default_factory=list)
    """Seconds of each complete trial."""
    failures: int = 0
    """Failed trials in a row, in this call."""
    running: int = 0

    @property
    def forecast(self) -> float | None:
        """Seconds that a trial of the family may take: the median so far."""
        return sorted(self.complete)[len(self.complete) // 2] if self.complete else None


def choose(standings: Sequence[FamilyProgress], seconds_left: float | None) -> FamilyProgress | None:
    """Return the family to try next; None when no trial is worth beginning in the time that is left.

    Without a limit of time the choice follows from the trials alone, so that it is the same again.
    """
    for standing in standings:
        if standing.waiting and not standing.running:
            return standing
    for standing in standings:
        if not standing.started:
            return standing
    able = [s for s in standings if seconds_left is None or (s.forecast or 0.0) <= seconds_left]
    ranked = sorted(standings, key=lambda s: float("inf") if s.loss is None else s.loss)

    def order(standing: FamilyProgress) -> tuple[bool, float]:
        # Of a family whose first trial is under way nobody knows what a second one takes.
        unknown = seconds_left is not None and standing.running > 0 and standing.forecast is None
        return unknown, _had(standing, seconds_left) / _promise(standing, ranked.index(standing) + 1)

    return min(able, key=order, default=None)


def _promise(standing: FamilyProgress, rank: int) -> float:
    """Return what a family promises: ranks give all families together about as much as weights do, which sum to 1."""
    return 1 / rank + 2 * standing.weight


def _had(standing: FamilyProgress, seconds_left: float | None) -> float:
    """Return what a family has had: trials, and under a limit of time the geometric mean of them and their seconds.

    So neither a cheap family takes all of a budget of trials, nor a dear one all of a budget of minutes. A trial
    under way counts as its forecast.
    """
    if seconds_left is None:
        return standing.started
    seconds = standing.spent + standing.running * (standing.forecast or 1.0)
    return math.sqrt(seconds * standing.started)
