"""Allocation: which family gets the next trial.

Interrupted trials come first, then each family's defaults: in the study file's order, or under a time limit in that of
`first_turns`. After that the family with the lowest ratio of what it has received to its promise is next. Promise
follows from the rank of the family's best trial and from that trial's weight in a blend of the families' best. The most
promising family gets most trials, and every family gets some.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from workbench.search import first_turns
from workbench.search.storage import TrialRecord

# Seconds of a trial of which nothing is known.
_UNKNOWN = 10.0


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
    gain: float = 0.5
    """The expected gain of its first trial, from 0 to 1."""
    prior_seconds: float = _UNKNOWN
    """The expected seconds of a trial before the first has ended."""
    least_seconds: float = 0.0
    """The expected seconds of the shortest trial with a usable model."""
    keeps_deadline: bool = False
    """Whether a trial can be given an end."""

    @property
    def expected_seconds(self) -> float | None:
        """The median seconds of a complete trial; None before the first."""
        ordered = sorted(self.complete_seconds)
        return ordered[len(ordered) // 2] if ordered else None

    @property
    def trial_seconds(self) -> float:
        """The expected seconds of a trial: the median of the complete ones, or before the first the prior."""
        return self.prior_seconds if self.expected_seconds is None else self.expected_seconds

    def fits(self, seconds: float) -> bool:
        """Return whether a further trial can end in so many seconds, at the cost of half of its trainings at most."""
        expected = self.expected_seconds or 0.0
        return expected <= seconds or (self.can_be_cut_to(seconds) and expected <= 2 * seconds)

    def can_be_cut_to(self, seconds: float) -> bool:
        """Return whether a further trial that is cut short to so many seconds has a usable model."""
        return self.keeps_deadline and self.least_seconds <= seconds


def choose(
    families: Sequence[FamilyProgress], seconds_left: float | None, available: float | None = None
) -> FamilyProgress | None:
    """Return the family to try next; None if no trial would end in the time that is left.

    Without a time limit the choice follows from the trials alone, so a resumed study repeats it.

    Args:
        families: the families that may get a trial, in the study file's order.
        seconds_left: the seconds until the end of the search; None without a time limit.
        available: the seconds of all workers until then; those of one worker unless given.
    """
    for each in families:
        if each.has_waiting and not each.running:
            return each
    waiting = [each for each in families if not each.started]
    if seconds_left is not None:
        available = seconds_left if available is None else available
        waiting = first_turns.admit(waiting, seconds_left, available, begun=len(families) - len(waiting))
    if waiting:
        return waiting[0]
    begun = [each for each in families if each.started]
    in_time = [f for f in begun if seconds_left is None or f.fits(seconds_left)]
    if seconds_left is not None and not in_time:
        # A trial that is cut short uses the rest of the time.
        in_time = [f for f in begun if f.can_be_cut_to(seconds_left)]
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
