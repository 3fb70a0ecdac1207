"""The trials that have ended: their results go to MLflow, and then to the scheduler, which tells Optuna."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from workbench import trial
from workbench.errors import EvaluationError
from workbench.search.storage import ActiveTrial
from workbench.search.worker import TrialOutcome
from workbench.trial import FoldResult, TrialResult, TrialSpec

TrialFolder = Callable[[str, int], Path]
"""Returns the folder of a family's trial with that number, which holds its finished folds."""
Record = Callable[[TrialResult, Path], str]
"""Writes a result to MLflow and keeps what must last of its folder; returns the run's id. Idempotent."""


@dataclass(frozen=True)
class RecordedTrial:
    """A trial whose result is in MLflow, and not yet in Optuna."""

    trial: ActiveTrial
    result: TrialResult
    run_id: str


class TrialRecorder:
    """Records trials one after another, in the order of their ends."""

    def __init__(
        self, specs: Mapping[str, TrialSpec], folder: TrialFolder, record: Record, *, beside: bool = False
    ) -> None:
        """Set what a record needs.

        Args:
            specs: the specifications by family.
            folder: returns a trial's folder.
            record: writes a result to MLflow.
            beside: whether trials are recorded in another thread, so that nobody waits for MLflow.
        """
        self._specs, self._folder, self._record = specs, folder, record
        self._ended: deque[tuple[ActiveTrial, TrialOutcome]] = deque()
        self._thread = ThreadPoolExecutor(1) if beside else None
        self._future: Future[tuple[TrialResult, str]] | None = None

    def __len__(self) -> int:
        """Return the number of trials that wait."""
        return len(self._ended)

    @property
    def waiting(self) -> list[ActiveTrial]:
        """The trials that wait."""
        return [active for active, _ in self._ended]

    def add(self, active: ActiveTrial, outcome: TrialOutcome) -> None:
        """Add a trial that has ended."""
        self._ended.append((active, outcome))

    def take(self, *, wait: bool) -> Iterator[RecordedTrial]:
        """Yield trials that are recorded, and begin to record the next one.

        Args:
            wait: whether to wait until all are recorded.
        """
        while self._ended:
            active, outcome = self._ended[0]
            if self._thread is None:
                result, run_id = self._write(active, outcome)
            else:
                self._future = self._future or self._thread.submit(self._write, active, outcome)
                if not wait and not self._future.done():
                    return
                result, run_id = self._future.result()
                self._future = None
            self._ended.popleft()
            yield RecordedTrial(active, result, run_id)

    def close(self) -> None:
        """Wait for the trial that is being recorded."""
        if self._thread is not None:
            self._thread.shutdown()

    def _write(self, active: ActiveTrial, outcome: TrialOutcome) -> tuple[TrialResult, str]:
        """Join a trial's folds, and write the result to MLflow; return it and the run's id."""
        spec, folder = self._specs[active.family], self._folder(active.family, active.number)
        folds = [fold for pair in spec.folds.pairs() if (fold := FoldResult.load(folder, *pair)) is not None]
        join = partial(
            trial.join_folds,
            spec,
            active.number,
            folds,
            hyperparameters=outcome.hyperparameters,
            interrupted=outcome.interrupted,
        )
        try:
            result = join(state=outcome.state, reason=outcome.reason)
        except EvaluationError as error:
            result = join(state="failed", reason=str(error))
        return result, self._record(result, folder)
