"""The order and the length of the families' first trials under a time limit.

The order is that of the expected gain per second: cheap and strong families come first. A first trial gets a share of
the processors' time that is left, weighted by its cost and the square of its gain: a strong family that is cut short
loses more than the weak ones gain. The others that wait keep the least time for a
usable model. Families whose least time does not fit beside the better ones are not started.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

# The share of the time left that a first trial may take while other families wait.
_MOST = 0.6
# Beside this many families, one is started only if its least time is a small part of the time of all workers: what it
# adds to the ensemble is less than what a strong family loses.
_ALWAYS, _SMALL_PART = 4, 0.15
# The shortest duration that is told apart from another, in seconds.
_SHORT = 0.1


class WaitingFamily(Protocol):
    """A family that waits for its first trial."""

    @property
    def gain(self) -> float:
        """The expected gain of the trial, from 0 to 1."""

    @property
    def trial_seconds(self) -> float:
        """The seconds of a trial whose trainings end by themselves."""

    @property
    def least_seconds(self) -> float:
        """The seconds of the shortest trial with a usable model."""


F = TypeVar("F", bound=WaitingFamily)


def gain_per_second(gain: float, seconds: float) -> float:
    """Return the expected gain per second of a trial, by which families are ordered."""
    return gain / max(seconds, _SHORT)


def admit(waiting: Sequence[F], left: float, available: float, *, begun: int = 0) -> list[F]:
    """Return the families that can have a first trial, in the order of their turns.

    Args:
        waiting: the families, in an order that decides between equal ones.
        left: the seconds until the end of the search.
        available: the seconds of all workers until then.
        begun: the number of families that have had a trial.
    """
    admitted: list[F] = []
    most = _SMALL_PART * available
    for each in sorted(waiting, key=lambda each: -gain_per_second(each.gain, each.trial_seconds)):
        limit = left if begun + len(admitted) < _ALWAYS else min(left, most)
        if each.least_seconds <= min(limit, available):
            admitted.append(each)
            available -= each.least_seconds
    return admitted


def share(
    own: WaitingFamily, waiting: Sequence[WaitingFamily], left: float, available: float, *, begun: int = 0
) -> float:
    """Return the seconds that a trial may take while other families wait for their first one.

    Args:
        own: the family of the trial.
        waiting: the other families.
        left: the seconds until the end of the search.
        available: the seconds of all workers until then.
        begun: the number of families that have had a trial, this one included.
    """
    others = admit(waiting, left, available - own.least_seconds, begun=begun)
    if not others:
        return left

    def weight(each: WaitingFamily) -> float:
        return each.gain**2 * min(max(each.trial_seconds, _SHORT), _MOST * left)

    part = available * weight(own) / (weight(own) + sum(map(weight, others)))
    reserve = sum(each.least_seconds for each in others)
    return max(own.least_seconds, min(part, available - reserve, _MOST * left))
