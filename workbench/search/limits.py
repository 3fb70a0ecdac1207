"""What a trial, and a home, may take: seconds, memory, disk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import psutil

from workbench.home import GIGABYTE

# A machine with less than this share of its memory left is about to kill a process of its own choice.
_LEAST_SHARE = 0.02


class _Process(Protocol):
    @property
    def memory(self) -> int: ...


class _Running(Protocol):
    @property
    def process(self) -> _Process: ...

    @property
    def began(self) -> float: ...


@dataclass(frozen=True)
class Limits:
    """Limits of one call of the search; None is no limit."""

    seconds: float | None = None
    """A trial's time in this call."""
    memory: float | None = None
    """Gigabytes that a trial's process may have in memory, the libraries' 0.4 among them."""
    full: Callable[[], bool] = lambda: False
    """Tells whether the home has no room for another trial."""

    def broken(self, running: Sequence[_Running], now: float) -> dict[int, str]:
        """Return the trials to end, by their index, with the reason: those over a limit; the largest in an emergency.

        Args:
            running: the trials under way.
            now: seconds of `time.monotonic`.
        """
        over = {}
        memory = [each.process.memory / GIGABYTE for each in running]
        for index, (each, taken) in enumerate(zip(running, memory, strict=True)):
            if self.seconds is not None and now - each.began > self.seconds:
                over[index] = f"out of time: it took more than search.trial_seconds, {self.seconds:g} s"
            elif self.memory is not None and taken > self.memory:
                over[index] = f"out of memory: {taken:.2f} GB is more than search.trial_memory, {self.memory:g} GB"
        machine = psutil.virtual_memory()
        if running and not over and machine.available < _LEAST_SHARE * machine.total:
            largest = memory.index(max(memory))
            left = f"the machine had {machine.available / GIGABYTE:.2f} GB left"
            over[largest] = f"out of memory: it took {memory[largest]:.2f} GB, and {left}"
        return over
