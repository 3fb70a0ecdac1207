"""The time that a running trial still needs, from its folds and epochs so far."""

from __future__ import annotations

from dataclasses import dataclass, field

# The number of epochs whose mean predicts the following ones.
_EPOCHS = 2


@dataclass
class TimeEstimate:
    """The times of a trial's folds, in seconds of `time.monotonic`."""

    folds: int
    """The number of folds that the trial has."""
    fold_began: float
    """When the current fold began."""
    folds_done: int = 0
    """Folds done so far."""
    _fold_seconds: list[float] = field(default_factory=list)
    _first_epoch: tuple[int, float] | None = None
    """The first reported epoch of the current fold, and when it ended."""
    _predicted: float = 0.0
    """The seconds that the current fold will take, by its epochs."""

    def end_fold(self, now: float) -> None:
        """Record that a fold ended."""
        self._fold_seconds.append(now - self.fold_began)
        self.folds_done += 1
        self.fold_began, self._first_epoch, self._predicted = now, None, 0.0

    def end_epoch(self, epoch: int, of: int | None, now: float) -> None:
        """Record that an epoch, from 0, ended; `of` is the number of epochs if it is settled."""
        if self._first_epoch is None:
            # The net is compiled in the first epoch, so its time does not predict the next.
            self._first_epoch = (epoch, now)
            return
        first, first_ended = self._first_epoch
        if of is not None and epoch - first >= _EPOCHS:
            seconds = now - first_ended
            self._predicted = first_ended - self.fold_began + (of - 1 - first) * seconds / (epoch - first)

    def remaining(self, now: float) -> float:
        """Return the seconds that the trial will still run; with little known, a lower bound."""
        elapsed = now - self.fold_began
        mean = sum(self._fold_seconds) / len(self._fold_seconds) if self._fold_seconds else 0.0
        return (self.folds - self.folds_done) * max(mean, elapsed, self._predicted) - elapsed
