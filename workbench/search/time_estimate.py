"""How long a trial under way still needs, by its pace so far."""

from __future__ import annotations

from dataclasses import dataclass, field

# From so many epochs on their mean says how long the next ones take.
_EPOCHS = 2


@dataclass
class TimeEstimate:
    """What is known of a trial's folds; times are seconds of `time.monotonic`."""

    folds: int
    """How many folds the trial has."""
    since: float
    """When its fold under way was begun."""
    done: int = 0
    """Folds done so far."""
    _spent: list[float] = field(default_factory=list)
    _first: tuple[int, float] | None = None
    """An epoch of the fold under way, and when it ended."""
    _fold: float = 0.0
    """Seconds that the fold under way will take, by its epochs."""

    def fold(self, now: float) -> None:
        """Take note that a fold ended."""
        self._spent.append(now - self.since)
        self.done, self.since, self._first, self._fold = self.done + 1, now, None, 0.0

    def epoch(self, epoch: int, of: int | None, now: float) -> None:
        """Take note that an epoch, from 0, ended; `of` is how many there will be, where that is settled."""
        if self._first is None:
            # The first one tells nothing of the next: in it the net is compiled.
            self._first = (epoch, now)
            return
        first, when = self._first
        if of is not None and epoch - first >= _EPOCHS:
            self._fold = when - self.since + (of - 1 - first) * (now - when) / (epoch - first)

    def needs(self, now: float) -> float:
        """Return for how many seconds more the trial will run; where little is known, at least."""
        elapsed = now - self.since
        usual = sum(self._spent) / len(self._spent) if self._spent else 0.0
        return (self.folds - self.done) * max(usual, elapsed, self._fold) - elapsed
