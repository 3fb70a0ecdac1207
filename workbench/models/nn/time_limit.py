"""Training that ends by a deadline, with a learning rate that has fallen by then.

The callback measures the pace of a training. As long as all its epochs fit, it changes nothing. If they do not fit,
then after a third of the time the rest of the learning-rate schedule is compressed into the time that is left. Training
stops in time for the last validation, within an epoch if need be. A rate that is high at first and falls in the rest of
the time suits a training whose length is not known when it begins (Hägele et al., 2024).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import keras

from workbench.models.protocol import Deadline

# The share of the time after which a schedule is compressed: the pace is well known by then.
_MEASURED_SHARE = 1 / 3
# The number of epochs whose mean duration is the pace.
_RECENT_EPOCHS = 3
# A validation takes about this share of an epoch's time, until it is measured: it has fewer rows and no gradients.
_VALIDATION_SHARE = 0.15
# The tracing of its function takes about this share of that of the training function (measured: 0.16).
_TRACING_SHARE = 0.2
# Another epoch is begun only if there is time for this share of it.
_MIN_EPOCH_SHARE = 0.1


class CompressibleSchedule(Protocol):
    """A learning-rate schedule that can end early."""

    def set_compressed_rate(self, optimizer: Any, begun: float, share: float, rate: float) -> None:
        """Set the rate of an optimizer whose schedule is compressed.

        Args:
            optimizer: the net's optimizer.
            begun: the number of epochs, with fractions, after which the schedule was compressed.
            share: how much of the time from then to the end of the training has passed, from 0 to 1.
            rate: the rate when the schedule was compressed.
        """


@dataclass(frozen=True)
class _Moment:
    """A point of a training."""

    seconds: float
    """Seconds of `time.monotonic`."""
    progress: float
    """The number of epochs done, with fractions."""
    rate: float = 0.0
    """The learning rate."""


class TimeLimit(keras.callbacks.Callback):  # type: ignore[misc]  # Keras has no types
    """A callback that ends a training at a deadline, and notes in the deadline whether it did."""

    def __init__(
        self, deadline: Deadline, epochs: int, schedule: CompressibleSchedule, *, has_validation: bool
    ) -> None:
        """Limit a training that ends by itself after a number of epochs, or earlier."""
        super().__init__()
        self._deadline, self._epochs, self._schedule = deadline, epochs, schedule
        self._durations = _Durations(has_validation)
        # A validation that takes longer would leave no time to train.
        self._max_reserve = max(0.0, deadline.seconds_left / 2)
        self._epoch = 0
        self._compressed: _Moment | None = None

    @property
    def expected_epochs(self) -> int:
        """The number of epochs that the training will have if its pace stays the same."""
        pace = self._durations.epoch_seconds
        if self._compressed is None or pace is None:
            return self._epochs
        return min(self._epochs, self._epoch + 1 + int(max(0.0, self._seconds_left) / pace))

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Set the rate of a compressed schedule, after the callback of the schedule itself."""
        self._epoch = epoch
        self._set_rate()

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """Measure an execution of the training function, and stop if there is no time for another."""
        progress = self._epoch + (batch + 1) / self.params["steps"]
        self._durations.end_execution(progress)
        self._review(progress, self._durations.execution_seconds)

    def on_test_begin(self, logs: Mapping[str, float] | None = None) -> None:
        """Note when the validation begins."""
        self._durations.begin_validation()

    def on_test_end(self, logs: Mapping[str, float] | None = None) -> None:
        """Measure the validation."""
        self._durations.end_validation()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Measure the epoch, and stop if there is no time for a part of another."""
        self._durations.end_epoch()
        self._review(epoch + 1, _MIN_EPOCH_SHARE * (self._durations.epoch_seconds or 0.0))

    @property
    def _seconds_left(self) -> float:
        """The seconds until training must stop, so that the last validation ends at the deadline."""
        return self._deadline.seconds_left - min(self._max_reserve, self._durations.validation_seconds)

    def _review(self, progress: float, needed: float) -> None:
        """Compress the schedule if not all epochs fit, and stop if `needed` seconds are not left."""
        left, pace = self._seconds_left, self._durations.epoch_seconds
        if self.model.stop_training or progress >= self._epochs:
            return
        if left > 0 and (pace is None or pace * (self._epochs - progress) <= left):
            return
        now = time.monotonic()
        spent = now - self._durations.began
        if self._compressed is None and spent >= _MEASURED_SHARE * (spent + left):
            rate = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
            self._compressed = _Moment(now, progress, rate)
        self._set_rate()
        if left <= needed:
            self._deadline.mark_reached()
            self.model.stop_training = True

    def _set_rate(self) -> None:
        """Set the rate of a compressed schedule."""
        if self._compressed is None:
            return
        passed = time.monotonic() - self._compressed.seconds
        share = min(1.0, passed / (passed + max(self._seconds_left, 1e-9)))
        begun, rate = self._compressed.progress, self._compressed.rate
        self._schedule.set_compressed_rate(self.model.optimizer, begun, share, rate)


class _Durations:
    """The durations of a training's parts, in seconds."""

    def __init__(self, has_validation: bool) -> None:
        self.began = self._last = time.monotonic()
        self.execution_seconds = 0.0
        """The duration of the last execution of the training function, which runs some steps; 0 before the second."""
        self._first: _Moment | None = None
        self._first_epoch_seconds: float | None = None
        self._tracing_seconds = 0.0
        self._validation_seconds: float | None = None if has_validation else 0.0
        self._epoch_ends: list[float] = []

    @property
    def epoch_seconds(self) -> float | None:
        """The duration of an epoch; in the first two without its validation, and None while it is not known.

        Tracing and compilation, which are in the first execution, do not count.
        """
        if len(self._epoch_ends) > 1:
            return (self._epoch_ends[-1] - self._epoch_ends[0]) / (len(self._epoch_ends) - 1)
        return self._first_epoch_seconds

    @property
    def validation_seconds(self) -> float:
        """The duration of a validation: that of the last one, or before that an estimate."""
        if self._validation_seconds is not None:
            return self._validation_seconds
        return _VALIDATION_SHARE * (self.epoch_seconds or 0.0) + _TRACING_SHARE * self._tracing_seconds

    def end_execution(self, progress: float) -> None:
        """Measure an execution that ended after a number of epochs."""
        now = time.monotonic()
        if self._first is None:
            self._first = _Moment(now, progress)
        else:
            self.execution_seconds = now - self._last
        if not self._epoch_ends and progress > self._first.progress:
            seconds = (now - self._first.seconds) / (progress - self._first.progress)
            self._first_epoch_seconds = seconds
            self._tracing_seconds = max(0.0, self._first.seconds - self.began - seconds * self._first.progress)
        self._last = now

    def begin_validation(self) -> None:
        """Note when a validation begins."""
        self._last = time.monotonic()

    def end_validation(self) -> None:
        """Measure the validation that ends."""
        self._validation_seconds = time.monotonic() - self._last

    def end_epoch(self) -> None:
        """Measure the epoch that ends."""
        self._last = time.monotonic()
        self._epoch_ends = [*self._epoch_ends, self._last][-_RECENT_EPOCHS - 1 :]
