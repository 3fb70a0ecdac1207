"""The loop of the search: ask Optuna, start a process, listen, tell, until the budget is spent."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Protocol

from workbench import trial
from workbench.errors import EvaluationError, SearchError
from workbench.models import BASELINE
from workbench.search import worker
from workbench.search.allocation import FamilyProgress, choose
from workbench.search.events import (
    EpochEnded,
    Event,
    FamilySetAside,
    FoldEnded,
    Forecast,
    Stopped,
    TrialEnded,
    TrialPutBack,
    TrialStarted,
    Why,
)
from workbench.search.limits import Limits
from workbench.search.pool import Process
from workbench.search.pruners import END
from workbench.search.resource_usage import ResourceMeter
from workbench.search.storage import ActiveTrial, TrialRecord, TrialStorage
from workbench.search.time_estimate import TimeEstimate
from workbench.space import Hyperparameter
from workbench.trial import FoldResult, InterruptedFold, TrialResult, TrialSpec

_MOST_FAILURES = 3
# No trial gets anywhere in less than this.
_LEAST_SECONDS = 1.0
# How often limits are looked at while no worker says anything.
_LOOK = 1.0


class Workers(Protocol):
    """Starts a process for a trial, and waits for any of them; `pool.Pool` does."""

    def start(self, spec: TrialSpec, number: int, folder: Path, *, slot: int = 0) -> Process:
        """Start a trial as the worker of that number."""

    def wait(self, processes: Sequence[Process], seconds: float | None) -> list[Process]:
        """Return the processes that say something, or died."""


@dataclass(frozen=True)
class Plan:
    """What to search, and for how long."""

    specs: Mapping[str, TrialSpec]
    """By family, in the order of their first turns; the baseline among them."""
    folder: Callable[[str, int], Path]
    """Where a family's trial of that number keeps its finished folds."""
    record: Callable[[TrialResult, Path], str]
    """Writes a result to MLflow, and what else is to last of its folder; returns the run's id. Twice is as once."""
    workers: int
    trials: int | None
    """Finished trials that the study should reach, the baseline included."""
    deadline: float | None
    """When the search must be over, in seconds of `time.monotonic`."""
    limits: Limits = field(default_factory=Limits)
    weigh: Callable[[Sequence[TrialRecord]], Mapping[str, float]] = lambda rows: {}
    """The weights that the best trials of each family, these, have in a blend of them, by family."""
    weights: int = 0
    """How many trials of each family keep the weights of their models: those that are the best after each fold."""
    meter: ResourceMeter | None = None
    """Writes down what trials use of the machine."""


@dataclass
class _Running:
    """A trial under way."""

    live: ActiveTrial
    process: Process
    slot: int
    began: float
    """When the trial's process was started, in seconds of `time.monotonic`."""
    pace: TimeEstimate


class Search:
    """One call of the search; iterate over `events` to run it."""

    def __init__(self, plan: Plan, books: TrialStorage, pool: Workers) -> None:
        """Take stock of the trials that there are."""
        self._plan = plan
        self._storage = books
        self._pool = pool
        self._running: list[_Running] = []
        rows = books.rows()
        self._finished = sum(row.state != "failed" for row in rows)
        self._standings = {family: FamilyProgress(family, waiting=books.waiting(family)) for family in plan.specs}
        for row in reversed(rows):
            if row.family in self._standings:
                self._standings[row.family].started += 1
                self._tally(row)
        self._weigh()
        self._aside: dict[str, str] = {}
        self._back: set[str] = set()
        self._began = time.monotonic()
        self._ended = 0

    def events(self) -> Iterator[Event]:
        """Run trials until the budget is spent; trials then under way go back to the queue.

        Raises:
            SearchError: no family is left that can be trained.
        """
        yield from self._baseline()
        try:
            why = yield from self._loop()
        finally:
            interrupted = self._release()
        if why == "families":
            reasons = "; ".join(f"{family}: {reason}" for family, reason in self._aside.items())
            raise SearchError(f"Every family failed {_MOST_FAILURES} times in a row. {reasons}")
        yield Stopped(why, interrupted)

    def _loop(self) -> Generator[Event, None, Why]:
        while True:
            why = yield from self._fill()
            if not self._running:
                return why
            left = self._seconds_left()
            for process in self._pool.wait([r.process for r in self._running], min(_LOOK, left or _LOOK)):
                yield from self._listen(next(r for r in self._running if r.process is process))
            yield from self._enforce()
            if left is not None and left <= 0:
                return "minutes"

    def _baseline(self) -> Iterator[Event]:
        """Train the constant model here and now, so that there is something to submit whatever follows."""
        standing = self._standings[BASELINE]
        if standing.complete:
            return
        spec = self._plan.specs[BASELINE]
        live = self._storage.ask(BASELINE)
        folder = self._plan.folder(BASELINE, live.number)
        try:
            yield TrialStarted(BASELINE, live.number, len(spec.folds))
            for _ in trial.run(spec, live.number, trial.space(BASELINE, live.answer), folder=folder):
                pass
            row = self._end(live, worker.Done("complete"))
        finally:
            live.release()
        yield from self._tell(row)

    def _fill(self) -> Generator[Event, None, Why]:
        """Start trials while there is room; return why there are no more."""
        while len(self._running) < self._plan.workers:
            if self._plan.trials is not None and self._finished + len(self._running) >= self._plan.trials:
                return "trials"
            left = self._seconds_left()
            if left is not None and left < _LEAST_SECONDS:
                return "minutes"
            if self._plan.limits.full():
                return "disk"
            able = self._able()
            if not able:
                return "minutes" if self._back else "exhausted" if self._storage.exhausted else "families"
            standing = choose(able, left)
            if standing is None:
                return "minutes"
            yield from self._start(standing)
        return "trials"

    def _able(self) -> list[FamilyProgress]:
        """Return the families that may have a turn."""
        out = {*self._aside, *self._back, *self._storage.exhausted}
        return [standing for standing in self._others() if standing.family not in out]

    def _start(self, standing: FamilyProgress) -> Iterator[Event]:
        family = standing.family
        live = self._storage.ask(family)
        standing.started += 1
        standing.waiting = self._storage.waiting(family)
        if live.hopeless:
            reason = "the whole command died under this trial, again and again"
            yield from self._tell(self._end(live, worker.Done("failed", reason)))
            return
        spec = self._plan.specs[family]
        yield TrialStarted(family, live.number, len(spec.folds))
        slot = min(set(range(self._plan.workers)) - {running.slot for running in self._running})
        process = self._pool.start(spec, live.number, self._plan.folder(family, live.number), slot=slot)
        now = time.monotonic()
        self._running.append(_Running(live, process, slot, now, TimeEstimate(len(spec.folds), now)))
        standing.running += 1

    def _listen(self, running: _Running) -> Iterator[Event]:
        """Take one message of a worker, and answer it."""
        live = running.live
        match running.process.receive():
            case Hyperparameter() as question:
                try:
                    running.process.send(live.answer(question))
                except SearchError as error:
                    running.process.send(error)
            case worker.Epoch(fold, epoch, rung, loss, of):
                running.pace.epoch(epoch, of, time.monotonic())
                if rung is not None and loss is not None:
                    running.process.send(not live.report((fold, rung), loss))
                yield EpochEnded(live.family, live.number, fold, epoch)
            case worker.FoldDone(score):
                running.pace.fold(time.monotonic())
                done = running.pace.done
                poor = live.report((done - 1, END), score)
                last = done == running.pace.folds
                running.process.send("stop" if poor and not last else self._answer(live.rank(done)))
                yield FoldEnded(live.family, live.number, done, score)
            case worker.Done() as end:
                yield from self._over(running, end)
            case None:
                yield from self._over(running, self._cut(running, running.process.obituary()))

    def _answer(self, rank: int) -> worker.Answer:
        """Return how a trial goes on of whose family so many were better up to here."""
        if rank >= self._plan.weights:
            return "go on"
        return "keep and go on" if rank else "keep, show and go on"

    def _enforce(self) -> Iterator[Event]:
        """End what took more than it may, put back what cannot end in time, and see what the rest takes."""
        over = self._plan.limits.broken(self._running, time.monotonic())
        for running, reason in [(self._running[index], reason) for index, reason in over.items()]:
            yield from self._over(running, self._cut(running, reason))
        if (left := self._seconds_left()) is not None:
            for running in list(self._running):
                yield from self._put_back(running, left)
        for running in self._running:
            self._measure(running)

    def _put_back(self, running: _Running, left: float) -> Iterator[Event]:
        """End a trial for now, which waits for the next run, if it cannot end in time and another may."""
        needed = running.pace.needs(time.monotonic())
        family = running.live.family
        if needed <= left or choose([other for other in self._able() if other.family != family], left) is None:
            return
        self._measure(running, last=True)
        running.process.end()
        running.live.release()
        self._running.remove(running)
        self._standings[family].running -= 1
        self._back.add(family)
        yield TrialPutBack(family, running.live.number, needed, left)

    def _measure(self, running: _Running, *, last: bool = False) -> None:
        if self._plan.meter is not None:
            folder = self._plan.folder(running.live.family, running.live.number)
            self._plan.meter.look(folder, running.process, last=last)

    def _cut(self, running: _Running, reason: str) -> worker.Done:
        """Return the end of a trial that could not say so itself."""
        pairs = list(self._plan.specs[running.live.family].folds.pairs())
        # A trial may also die after its last fold.
        whole = running.pace.done == len(pairs)
        cut = None if whole else InterruptedFold(*pairs[running.pace.done], time.monotonic() - running.pace.since, {})
        return worker.Done("failed", reason, running.live.hyperparameters, cut)

    def _over(self, running: _Running, done: worker.Done) -> Iterator[Event]:
        self._measure(running, last=True)
        running.process.end()
        row = self._end(running.live, done)
        self._running.remove(running)
        self._standings[running.live.family].running -= 1
        self._ended += 1
        yield from self._tell(row)
        if self._ended >= len(self._others()):
            yield self._forecast()

    def _end(self, live: ActiveTrial, done: worker.Done) -> TrialRecord:
        """Write the result to MLflow, then tell Optuna: what Optuna has been told is in MLflow."""
        spec = self._plan.specs[live.family]
        folder = self._plan.folder(live.family, live.number)
        folds = [fold for pair in spec.folds.pairs() if (fold := FoldResult.load(folder, *pair)) is not None]
        known = partial(trial.join_folds, spec, live.number, folds, hyperparameters=done.hyperparameters, cut=done.cut)
        try:
            result = known(state=done.state, reason=done.reason)
        except EvaluationError as error:
            result = known(state="failed", reason=str(error))
        row = live.end(result, self._plan.record(result, folder))
        shutil.rmtree(folder, ignore_errors=True)
        self._finished += row.state != "failed"
        if self._tally(row):
            self._weigh()
        return row

    def _tell(self, row: TrialRecord) -> Iterator[Event]:
        """Tell of a trial that ended, and of a family that fails again and again."""
        yield TrialEnded(row)
        standing = self._standings[row.family]
        standing.failures = standing.failures + 1 if row.state == "failed" else 0
        if standing.failures >= _MOST_FAILURES:
            self._aside[row.family] = row.reason or "failed"
            yield FamilySetAside(row.family, self._aside[row.family])

    def _tally(self, row: TrialRecord) -> bool:
        """Add a trial to its family's standing; return whether it is the family's best now."""
        standing = self._standings[row.family]
        standing.spent += row.seconds
        if row.state != "complete" or row.score is None:
            return False
        standing.complete.append(row.seconds)
        loss = self._plan.specs[row.family].metric.loss_of(row.score)
        if standing.loss is not None and standing.loss <= loss:
            return False
        standing.loss, standing.best = loss, row
        return True

    def _weigh(self) -> None:
        """Ask what the best of each family is worth in a blend of them."""
        best = [standing.best for standing in self._others() if standing.best is not None]
        for family, weight in (self._plan.weigh(best) if len(best) > 1 else {}).items():
            self._standings[family].weight = weight

    def _others(self) -> list[FamilyProgress]:
        return [standing for standing in self._standings.values() if standing.family != BASELINE]

    def _forecast(self) -> Forecast:
        """Judge by the pace so far."""
        seconds = (time.monotonic() - self._began) / self._ended
        left = self._seconds_left()
        more = float("inf") if left is None else left / seconds
        if self._plan.trials is not None:
            more = min(more, max(0, self._plan.trials - self._finished))
        return Forecast(self._finished + int(more), more * seconds)

    def _seconds_left(self) -> float | None:
        return None if self._plan.deadline is None else max(0.0, self._plan.deadline - time.monotonic())

    def _release(self) -> int:
        """End the trials under way and put them back in the queue; their finished folds are kept."""
        for running in self._running:
            running.process.end()
        for running in self._running:
            running.live.release()
        return len(self._running)
