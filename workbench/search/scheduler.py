"""The loop of the search: ask Optuna, start a process, receive messages, tell Optuna, until the budget is spent."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from workbench import models, trial
from workbench.errors import SearchError
from workbench.models import BASELINE
from workbench.search import first_turns, worker
from workbench.search.allocation import FamilyProgress, choose
from workbench.search.cost_estimate import CostEstimate
from workbench.search.events import (
    EpochEnded,
    Event,
    FamilySetAside,
    FoldEnded,
    Forecast,
    SearchStarted,
    Stopped,
    StopReason,
    TrialEnded,
    TrialPutBack,
    TrialStarted,
)
from workbench.search.limits import Limits
from workbench.search.pool import WorkerProcess
from workbench.search.pruners import END
from workbench.search.resource_usage import ResourceMeter
from workbench.search.storage import ActiveTrial, TrialRecord, TrialStorage
from workbench.search.time_estimate import TimeEstimate
from workbench.search.trial_recorder import Record, TrialFolder, TrialRecorder
from workbench.space import Hyperparameter
from workbench.trial import InterruptedFold, TrialSpec

_MAX_FAILURES = 3
# The shortest time, in seconds, in which a trial is worth starting.
_MIN_SECONDS = 1.0
# Seconds between two checks of the limits while no worker sends a message, also while a trial is being recorded.
_CHECK_INTERVAL, _SHORT_INTERVAL = 1.0, 0.1


class Executor(Protocol):
    """Starts a process for a trial, and waits for any of them, as `pool.Pool` does."""

    def start(
        self, spec: TrialSpec, number: int, folder: Path, *, slot: int = 0, end: float | None = None
    ) -> WorkerProcess:
        """Start a trial in the worker slot of that number, which must end at `end` if its family can."""

    def is_ready(self, spec: TrialSpec) -> bool:
        """Return whether a trial can start at once, its libraries being loaded."""

    def wait(self, processes: Sequence[WorkerProcess], seconds: float | None) -> list[WorkerProcess]:
        """Return the processes that have sent a message or died."""


@dataclass(frozen=True)
class SearchPlan:
    """The families to search, and the budget."""

    specs: Mapping[str, TrialSpec]
    """By family, in the order of their first trials; the baseline is one of them."""
    trial_folder: TrialFolder
    record: Record
    workers: int
    trials: int | None
    """Finished trials of the fidelity that the study should reach, the baseline included."""
    deadline: float | None
    """When the search must be over, in seconds of `time.monotonic`."""
    limits: Limits = field(default_factory=Limits)
    can_record: Callable[[], bool] = lambda: True
    """Tells whether `record` can write at once; under a time limit, trials that have ended wait for that."""
    blend_weights: Callable[[Sequence[TrialRecord]], Mapping[str, float]] = lambda trials: {}
    """Returns, by family, the weights of the families' best trials in a blend of them."""
    trials_with_checkpoints: int = 0
    """The number of trials of each family that keep checkpoints: the best after each fold."""
    meter: ResourceMeter | None = None
    """Records the trials' use of the machine."""
    load: Callable[[Sequence[str]], None] = lambda families: None
    """Begins to load the libraries of these families; called once a trial is under way, and before a net starts."""
    must_stop: Callable[[], bool] = lambda: False
    """Tells whether the user has asked for the end of the search; looked at every second."""


@dataclass
class _RunningTrial:
    """A trial and its process."""

    trial: ActiveTrial
    process: WorkerProcess
    slot: int
    began: float
    """When the process was started, in seconds of `time.monotonic`."""
    end: float | None
    """When the trial must end by itself; None for a family that does not keep deadlines."""
    estimate: TimeEstimate


class Search:
    """One call of the search; iterate over `run()`."""

    def __init__(self, plan: SearchPlan, storage: TrialStorage, executor: Executor) -> None:
        """Read the trials that the storage has."""
        self._plan = plan
        self._storage = storage
        self._executor = executor
        self._running: list[_RunningTrial] = []
        # Under a time limit the workers must not wait for MLflow.
        self._recorder = TrialRecorder(plan.specs, plan.trial_folder, plan.record, beside=plan.deadline is not None)
        records = storage.comparable_records()
        self._before = SearchStarted(
            {state: sum(record.state == state for record in records) for state in ("complete", "pruned", "failed")},
            next((record for record in records if record.state == "complete"), None),
            storage.fidelity,
            len(plan.specs[BASELINE].folds.split(0, 0)[0]),
        )
        self._finished = sum(record.state != "failed" for record in records)
        self._progress = {
            family: FamilyProgress(family, has_waiting=storage.has_waiting(family)) for family in plan.specs
        }
        for record in reversed(records):
            if record.family in self._progress:
                self._progress[record.family].started += 1
                self._add_to_progress(record)
        self._costs = CostEstimate(plan.specs if plan.deadline is not None else {})
        self._costs.update(self._progress)
        # Weights are read from MLflow, which under a time limit must not delay the first trial.
        self._has_weights = plan.deadline is None
        if self._has_weights:
            self._update_weights()
        self._set_aside: dict[str, str] = {}
        self._families_put_back: set[str] = set()
        self._began = time.monotonic()
        self._ended = 0

    def run(self) -> Iterator[Event]:
        """Run trials until the budget is spent; trials then under way go back to the queue.

        Raises:
            SearchError: every family failed.
        """
        yield self._before
        try:
            yield from self._run_baseline()
            reason = yield from self._loop()
            yield from self._finish_recorded(wait=True)
        finally:
            self._recorder.close()
            interrupted = self._requeue_running()
        if reason == "families":
            reasons = "; ".join(f"{family}: {cause}" for family, cause in self._set_aside.items())
            raise SearchError(f"Every family failed {_MAX_FAILURES} times in a row. {reasons}")
        yield Stopped(reason, interrupted, self._not_started() if reason == "minutes" else {})

    def _loop(self) -> Generator[Event, None, StopReason]:
        while not self._plan.must_stop():
            reason = yield from self._start_trials()
            if len(self._recorder) and (not self._running or self._plan.can_record()):
                before = len(self._recorder)
                yield from self._finish_recorded(wait=not self._running)
                if len(self._recorder) < before:
                    continue
            if not self._has_weights and self._plan.can_record():
                self._update_weights()
            if not self._running:
                return reason
            left = self._seconds_left()
            processes = [running.process for running in self._running]
            interval = _SHORT_INTERVAL if len(self._recorder) else _CHECK_INTERVAL
            for process in self._executor.wait(processes, min(interval, left or interval)):
                yield from self._receive(next(r for r in self._running if r.process is process))
            yield from self._enforce_limits()
            if left is not None and left <= 0:
                return "minutes"
        return "asked"

    def _run_baseline(self) -> Iterator[Event]:
        """Train the constant model in this process, so that a submission is possible whatever follows."""
        if self._progress[BASELINE].complete_seconds:
            return
        spec = self._plan.specs[BASELINE]
        active = self._storage.ask(BASELINE)
        folder = self._plan.trial_folder(BASELINE, active.number)
        self._recorder.add(active, worker.TrialOutcome("complete"))
        self._progress[BASELINE].running += 1
        yield TrialStarted(BASELINE, active.number, len(spec.folds))
        for _ in trial.fit_folds(spec, active.number, trial.build_space(BASELINE, active.suggest), folder=folder):
            pass

    def _start_trials(self) -> Generator[Event, None, StopReason]:
        """Start trials in free slots; return why no more can start."""
        while len(self._running) < self._plan.workers:
            under_way = len(self._running) + len(self._recorder)
            if self._plan.trials is not None and self._finished + under_way >= self._plan.trials:
                return "trials"
            left = self._seconds_left()
            if left is not None and left < _MIN_SECONDS:
                return "minutes"
            if self._plan.limits.home_is_full():
                return "disk"
            available = self._available()
            if not available:
                return "minutes" if self._families_put_back else "exhausted" if self._storage.exhausted else "families"
            family = self._choose(available, left)
            if family is None:
                return "minutes"
            if models.get_entry(self._plan.specs[family.family].resolved_family).keras:
                self._plan.load([family.family])
            if self._running and not self._is_ready(family):
                # To start it now would keep the running trials waiting for answers.
                break
            yield from self._start(family)
        return "trials"

    def _choose(self, families: Sequence[FamilyProgress], left: float | None) -> FamilyProgress | None:
        """Return the family to try next; under a time limit, one whose libraries are loaded is preferred."""
        if left is None:
            return choose(families, None)
        available = self._worker_seconds(left)
        return choose([*filter(self._is_ready, families)], left, available) or choose(families, left, available)

    def _list_next(self) -> list[str]:
        """Return the families that can still get a trial; under a time limit, those whose first one fits."""
        left, families = self._seconds_left(), self._available()
        waiting = [each for each in families if not each.started]
        if left is not None:
            begun = len(families) - len(waiting)
            waiting = first_turns.admit(waiting, left, self._worker_seconds(left), begun=begun)
        return [each.family for each in [*(each for each in families if each.started), *waiting]]

    def _is_ready(self, progress: FamilyProgress) -> bool:
        return self._executor.is_ready(self._plan.specs[progress.family])

    def _worker_seconds(self, left: float) -> float:
        """Return the seconds of all workers until the end of the search, without those that running trials take."""
        now = time.monotonic()
        taken = (self._expect_seconds(each, now) if each.end is None else each.end - now for each in self._running)
        return self._plan.workers * left - sum(min(max(seconds, 0.0), left) for seconds in taken)

    def _expect_seconds(self, running: _RunningTrial, now: float) -> float:
        """Return the seconds that a running trial without an end still needs."""
        expected = self._progress[running.trial.family].trial_seconds - (now - running.began)
        return max(expected, running.estimate.remaining(now))

    def _available(self) -> list[FamilyProgress]:
        """Return the families that may get a trial."""
        out = {*self._set_aside, *self._families_put_back, *self._storage.exhausted}
        return [each for each in self._without_baseline() if each.family not in out]

    def _start(self, progress: FamilyProgress) -> Iterator[Event]:
        family = progress.family
        active = self._storage.ask(family)
        progress.started += 1
        progress.has_waiting = self._storage.has_waiting(family)
        progress.running += 1
        if active.exceeds_restarts:
            reason = "the whole command died under this trial, again and again"
            self._recorder.add(active, worker.TrialOutcome("failed", reason))
            yield from self._finish_recorded(wait=True)
            return
        spec = self._plan.specs[family]
        slot = min(set(range(self._plan.workers)) - {running.slot for running in self._running})
        folder = self._plan.trial_folder(family, active.number)
        end = self._trial_end(progress)
        process = self._executor.start(spec, active.number, folder, slot=slot, end=end)
        now = time.monotonic()
        self._running.append(_RunningTrial(active, process, slot, now, end, TimeEstimate(len(spec.folds), now)))
        self._plan.load(self._list_next())
        yield TrialStarted(family, active.number, len(spec.folds))

    def _trial_end(self, progress: FamilyProgress) -> float | None:
        """Return when a trial that starts now must end, so that families that wait for their first trial get one.

        It is None without a time limit, and for a family that does not keep deadlines.
        """
        left = self._seconds_left()
        if left is None or not progress.keeps_deadline:
            return None
        families = self._available()
        waiting = [each for each in families if not each.started]
        begun = len(families) - len(waiting)
        return time.monotonic() + first_turns.share(progress, waiting, left, self._worker_seconds(left), begun=begun)

    def _receive(self, running: _RunningTrial) -> Iterator[Event]:
        """Receive one message of a worker, and answer it."""
        active = running.trial
        match running.process.receive():
            case Hyperparameter() as hyperparameter:
                try:
                    running.process.send(active.suggest(hyperparameter))
                except SearchError as error:
                    running.process.send(error)
            case worker.EpochReport(fold, epoch, rung, loss, of):
                running.estimate.end_epoch(epoch, of, time.monotonic())
                if rung is not None and loss is not None:
                    running.process.send(not active.report((fold, rung), loss))
                yield EpochEnded(active.family, active.number, fold, epoch)
            case worker.FoldReport(score, cut_short):
                now = time.monotonic()
                if not cut_short and self._costs.measure(active.family, now - running.estimate.fold_began):
                    self._costs.update(self._progress)
                running.estimate.end_fold(now)
                done = running.estimate.folds_done
                prune = active.report((done - 1, END), score)
                last = done == running.estimate.folds
                running.process.send("stop" if prune and not last else self._decide(active.count_better(done)))
                yield FoldEnded(active.family, active.number, done, score)
            case worker.TrialOutcome() as outcome:
                yield from self._end(running, outcome)
            case None:
                yield from self._end(running, self._fail(running, running.process.describe_end()))

    def _decide(self, better: int) -> worker.Decision:
        """Return how a trial goes on, from the number of its family's trials that were better up to here."""
        if better >= self._plan.trials_with_checkpoints:
            return "continue"
        return "keep" if better else "keep and inspect"

    def _enforce_limits(self) -> Iterator[Event]:
        """End trials over a limit, put back trials that cannot end in time, and measure the others."""
        over = self._plan.limits.find_exceeded(self._running, time.monotonic())
        for running, reason in [(self._running[index], reason) for index, reason in over.items()]:
            yield from self._end(running, self._fail(running, reason))
        if (left := self._seconds_left()) is not None:
            for running in list(self._running):
                yield from self._put_back(running, left)
        for running in self._running:
            self._measure(running)

    def _put_back(self, running: _RunningTrial, left: float) -> Iterator[Event]:
        """End a trial without an end of its own that takes too long if another family can use the time.

        It waits for the next run.
        """
        family = running.trial.family
        if running.end is not None:
            return
        needed = running.estimate.remaining(time.monotonic())
        others = [each for each in self._available() if each.family != family]
        if needed <= left or self._choose(others, left) is None:
            return
        self._measure(running, last=True)
        running.process.end()
        running.trial.requeue()
        self._running.remove(running)
        self._progress[family].running -= 1
        self._families_put_back.add(family)
        yield TrialPutBack(family, running.trial.number, needed, left)

    def _measure(self, running: _RunningTrial, *, last: bool = False) -> None:
        if self._plan.meter is not None:
            folder = self._plan.trial_folder(running.trial.family, running.trial.number)
            self._plan.meter.measure(folder, running.process, last=last)

    def _fail(self, running: _RunningTrial, reason: str) -> worker.TrialOutcome:
        """Return the outcome of a trial whose process could not send one."""
        pairs = list(self._plan.specs[running.trial.family].folds.pairs())
        done = running.estimate.folds_done
        # A trial may also die after its last fold.
        if done == len(pairs):
            return worker.TrialOutcome("failed", reason, running.trial.hyperparameters)
        interrupted = InterruptedFold(*pairs[done], time.monotonic() - running.estimate.fold_began, {})
        return worker.TrialOutcome("failed", reason, running.trial.hyperparameters, interrupted)

    def _end(self, running: _RunningTrial, outcome: worker.TrialOutcome) -> Iterator[Event]:
        """End a running trial's process, and record the trial; under a time limit after another one has started.

        The first trial of a family is recorded at once, because the choice of the next family depends on it.
        """
        self._measure(running, last=True)
        running.process.end()
        self._running.remove(running)
        self._recorder.add(running.trial, outcome)
        is_first = not self._progress[running.trial.family].complete_seconds
        if self._plan.deadline is None or (is_first and self._plan.can_record()):
            yield from self._finish_recorded(wait=True)

    def _finish_recorded(self, *, wait: bool) -> Iterator[Event]:
        """Tell Optuna of the trials that are in MLflow; every trial that is finished in Optuna is there."""
        for recorded in self._recorder.take(wait=wait):
            active, family = recorded.trial, recorded.trial.family
            record = active.finish(recorded.result, recorded.run_id)
            shutil.rmtree(self._plan.trial_folder(family, active.number), ignore_errors=True)
            self._finished += record.state != "failed"
            if self._add_to_progress(record):
                self._update_weights()
            self._progress[family].running -= 1
            self._ended += family != BASELINE
            yield from self._announce(record)
            if family != BASELINE and self._ended >= len(self._without_baseline()):
                yield self._forecast()

    def _announce(self, record: TrialRecord) -> Iterator[Event]:
        """Yield the end of a trial, and set its family aside if it fails again and again."""
        yield TrialEnded(record)
        progress = self._progress[record.family]
        progress.consecutive_failures = progress.consecutive_failures + 1 if record.state == "failed" else 0
        if progress.consecutive_failures >= _MAX_FAILURES:
            self._set_aside[record.family] = record.reason or "failed"
            yield FamilySetAside(record.family, self._set_aside[record.family])

    def _add_to_progress(self, record: TrialRecord) -> bool:
        """Add a trial to its family's progress; return whether it is the family's best now."""
        progress = self._progress[record.family]
        progress.seconds += record.seconds
        if record.state != "complete" or record.score is None:
            return False
        progress.complete_seconds.append(record.seconds)
        loss = self._plan.specs[record.family].metric.loss_of(record.score)
        if progress.best_loss is not None and progress.best_loss <= loss:
            return False
        progress.best_loss, progress.best = loss, record
        return True

    def _update_weights(self) -> None:
        """Update the weights of the families' best trials in a blend of them."""
        self._has_weights = True
        best = [each.best for each in self._without_baseline() if each.best is not None]
        for family, weight in (self._plan.blend_weights(best) if len(best) > 1 else {}).items():
            self._progress[family].weight = weight

    def _not_started(self) -> Mapping[str, float]:
        """Return the seconds that a first trial needs, by family, of those that had no time for one."""
        return {each.family: each.least_seconds for each in self._without_baseline() if not each.started}

    def _without_baseline(self) -> list[FamilyProgress]:
        return [each for each in self._progress.values() if each.family != BASELINE]

    def _forecast(self) -> Forecast:
        """Return how far the budget will reach at the pace so far."""
        seconds = (time.monotonic() - self._began) / self._ended
        left = self._seconds_left()
        more = float("inf") if left is None else left / seconds
        if self._plan.trials is not None:
            more = min(more, max(0, self._plan.trials - self._finished))
        return Forecast(self._finished + int(more), more * seconds)

    def _seconds_left(self) -> float | None:
        return None if self._plan.deadline is None else max(0.0, self._plan.deadline - time.monotonic())

    def _requeue_running(self) -> int:
        """End the running trials and put them back in the queue; their finished folds are kept."""
        for running in self._running:
            running.process.end()
        for active in [*(running.trial for running in self._running), *self._recorder.waiting]:
            active.requeue()
        return len(self._running)
