"""The limits of a trial and of a home: seconds, memory, disk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import psutil

from workbench.home import GIGABYTE

# With less than this share of its memory left, the machine is about to kill a process of its own choice.
_MIN_FREE_SHARE = 0.02


class _HasMemory(Protocol):
    @property
    def memory(self) -> int: ...


class _LimitedTrial(Protocol):
    @property
    def process(self) -> _HasMemory: ...

    @property
    def began(self) -> float: ...


@dataclass(frozen=True)
class Limits:
    """The limits of one call of the search; None is no limit."""

    seconds: float | None = None
    """The time of a trial in this call."""
    memory: float | None = None
    """Gigabytes that a trial's process may have in memory, about 0.4 for the libraries included."""
    home_is_full: Callable[[], bool] = lambda: False
    """Tells whether the home has no room for another trial."""

    def find_exceeded(self, running: Sequence[_LimitedTrial], now: float) -> dict[int, str]:
        """Return the trials to end, by index, with the reason: those over a limit, or the largest in an emergency.

        Args:
            running: the trials under way.
            now: seconds of `time.monotonic`.
        """
        over = {}
        memory = [each.process.memory / GIGABYTE for each in running]
        for index, (each, gigabytes) in enumerate(zip(running, memory, strict=True)):
            if self.seconds is not None and now - each.began > self.seconds:
                over[index] = f"out of time: it took more than search.trial_seconds, {self.seconds:g} s"
            elif self.memory is not None and gigabytes > self.memory:
                over[index] = f"out of memory: {gigabytes:.2f} GB is more than search.trial_memory, {self.memory:g} GB"
        machine = psutil.virtual_memory()
        if running and not over and machine.available < _MIN_FREE_SHARE * machine.total:
            largest = memory.index(max(memory))
            left = f"the machine had {machine.available / GIGABYTE:.2f} GB left"
            over[largest] = f"out of memory: it took {memory[largest]:.2f} GB, and {left}"
        return over
