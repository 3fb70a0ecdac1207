"""Allocation: which family gets the next trial.

Interrupted trials come first, then each family's defaults in the study file's order. After that the family with the
lowest ratio of what it has received to its promise is next. Promise follows from the rank of the family's best trial
and from that trial's weight in a blend of the families' best. The most promising family gets most trials, and every
family gets some.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from workbench.search.storage import TrialRecord


@dataclass
class FamilyProgress:
    """The trials of a family so far."""

    family: str
    started: int = 0
    """Trials started, in this call or before."""
    has_waiting: bool = False
    """Whether an interrupted trial waits to go on."""
    seconds: float = 0.0
    """Seconds spent in finished trials."""
    best_loss: float | None = None
    """The loss of the best trial."""
    best: TrialRecord | None = None
    """The best trial."""
    weight: float = 0.0
    """The weight of the best trial in a blend of the families' best."""
    complete_seconds: list[float] = field(default_factory=list)
    """Seconds of each complete trial."""
    consecutive_failures: int = 0
    """Trials that failed in a row, in this call."""
    running: int = 0
    """Trials under way."""

    @property
    def expected_seconds(self) -> float | None:
        """The median seconds of a complete trial; None before the first."""
        ordered = sorted(self.complete_seconds)
        return ordered[len(ordered) // 2] if ordered else None


def choose(families: Sequence[FamilyProgress], seconds_left: float | None) -> FamilyProgress | None:
    """Return the family to try next; None if no trial would end in the time that is left.

    Without a time limit the choice follows from the trials alone, so a resumed study repeats it.
    """
    for each in families:
        if each.has_waiting and not each.running:
            return each
    for each in families:
        if not each.started:
            return each
    in_time = [f for f in families if seconds_left is None or (f.expected_seconds or 0.0) <= seconds_left]
    ranked = sorted(families, key=lambda f: float("inf") if f.best_loss is None else f.best_loss)

    def priority(each: FamilyProgress) -> tuple[bool, float]:
        # While a family's first trial is running, the duration of a second one is unknown.
        unknown = seconds_left is not None and each.running > 0 and each.expected_seconds is None
        return unknown, _expect_trials(each, seconds_left) / _promise(each, ranked.index(each) + 1)

    return min(in_time, key=priority, default=None)


def _promise(family: FamilyProgress, rank: int) -> float:
    """Return the promise of a family: 1 / rank + 2 × weight.

    Over all families, ranks add about as much as weights, which sum to 1.
    """
    return 1 / rank + 2 * family.weight


def _expect_trials(family: FamilyProgress, seconds_left: float | None) -> float:
    """Return what a family has received: its trials, or under a time limit the geometric mean of trials and seconds.

    The mean keeps a cheap family from taking all of a budget of trials, and an expensive one all of a budget of
    minutes. A running trial counts with its expected seconds.
    """
    if seconds_left is None:
        return family.started
    seconds = family.seconds + family.running * (family.expected_seconds or 1.0)
    return math.sqrt(seconds * family.started)
