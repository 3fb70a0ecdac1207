"""The loop of the search: ask Optuna, start a process, listen, tell, until the budget is spent."""

import shutil
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from workbench import trial
from workbench.errors import EvaluationError, SearchError
from workbench.models import BASELINE
from workbench.search import worker
from workbench.search.allocation import Standing, choose
from workbench.search.books import Books, Live, Row
from workbench.search.events import Event, FamilySetAside, FoldEnded, Stopped, TrialEnded, TrialStarted, Why
from workbench.search.pool import Pool, Process, wait
from workbench.space import Question
from workbench.trial import FoldResult, Result, Spec

_MOST_FAILURES = 3
# No trial gets anywhere in less than this.
_LEAST_SECONDS = 1.0


@dataclass(frozen=True)
class Plan:
    """What to search, and for how long."""

    specs: Mapping[str, Spec]
    """By family, in the order of their first turns; the baseline among them."""
    folder: Callable[[str, int], Path]
    """Where a family's trial of that number keeps its finished folds."""
    record: Callable[[Result, Path], str]
    """Writes a result, and a log that may be there, to MLflow; returns the run's id. Twice is as once."""
    workers: int
    trials: int | None
    """Finished trials that the study should reach, the baseline included."""
    deadline: float | None
    """When the search must be over, in seconds of `time.monotonic`."""


@dataclass
class _Running:
    """A trial under way."""

    live: Live
    process: Process
    folds: int = 0


class Search:
    """One call of the search; iterate over `events` to run it."""

    def __init__(self, plan: Plan, books: Books, pool: Pool) -> None:
        """Take stock of the trials that there are."""
        self._plan = plan
        self._books = books
        self._pool = pool
        self._running: list[_Running] = []
        rows = books.rows()
        self._finished = sum(row.state != "failed" for row in rows)
        self._standings = {family: self._standing(family, rows) for family in plan.specs}
        self._aside: dict[str, str] = {}

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
            for process in wait([running.process for running in self._running], left):
                yield from self._listen(next(r for r in self._running if r.process is process))
            if left is not None and left <= 0:
                return "minutes"

    def _baseline(self) -> Iterator[Event]:
        """Train the constant model here and now, so that there is something to submit whatever follows."""
        standing = self._standings[BASELINE]
        if standing.complete:
            return
        spec = self._plan.specs[BASELINE]
        live = self._books.ask(BASELINE)
        folder = self._plan.folder(BASELINE, live.number)
        yield TrialStarted(BASELINE, live.number, len(spec.folds))
        for _ in trial.run(spec, live.number, live.answer, folder=folder):
            pass
        yield from self._end(live, worker.Done("complete"))

    def _fill(self) -> Generator[Event, None, Why]:
        """Start trials while there is room; return why there are no more."""
        while len(self._running) < self._plan.workers:
            if self._plan.trials is not None and self._finished + len(self._running) >= self._plan.trials:
                return "trials"
            left = self._seconds_left()
            if left is not None and left < _LEAST_SECONDS:
                return "minutes"
            out = {BASELINE, *self._aside, *self._books.exhausted}
            able = [standing for family, standing in self._standings.items() if family not in out]
            if not able:
                return "exhausted" if self._books.exhausted else "families"
            standing = choose(able, left)
            if standing is None:
                return "minutes"
            yield from self._start(standing)
        return "trials"

    def _start(self, standing: Standing) -> Iterator[Event]:
        family = standing.family
        live = self._books.ask(family)
        standing.started += 1
        standing.waiting = self._books.waiting(family)
        if live.hopeless:
            yield from self._end(
                live, worker.Done("failed", "the whole command died under this trial, again and again")
            )
            return
        spec = self._plan.specs[family]
        yield TrialStarted(family, live.number, len(spec.folds))
        process = self._pool.start(spec, live.number, self._plan.folder(family, live.number))
        self._running.append(_Running(live, process))
        standing.running += 1

    def _listen(self, running: _Running) -> Iterator[Event]:
        """Take one message of a worker, and answer it."""
        live = running.live
        match running.process.receive():
            case Question() as question:
                try:
                    running.process.send(live.answer(question))
                except SearchError as error:
                    running.process.send(error)
            case worker.FoldDone(score):
                running.folds += 1
                yield FoldEnded(live.family, live.number, running.folds, score)
                last = running.folds == len(self._plan.specs[live.family].folds)
                running.process.send(not live.prune(score) or last)
            case worker.Done() as done:
                yield from self._over(running, done)
            case None:
                yield from self._over(running, worker.Done("failed", running.process.obituary()))

    def _over(self, running: _Running, done: worker.Done) -> Iterator[Event]:
        self._running.remove(running)
        self._standings[running.live.family].running -= 1
        running.process.end()
        yield from self._end(running.live, done)

    def _end(self, live: Live, done: worker.Done) -> Iterator[Event]:
        """Write the result to MLflow, then tell Optuna: what Optuna has been told is in MLflow."""
        spec = self._plan.specs[live.family]
        folder = self._plan.folder(live.family, live.number)
        folds = [fold for pair in spec.folds.pairs() if (fold := FoldResult.load(folder, *pair)) is not None]
        try:
            result = trial.result(spec, live.number, folds, state=done.state, reason=done.reason)
        except EvaluationError as error:
            result = trial.result(spec, live.number, folds, state="failed", reason=str(error))
        row = live.end(result, self._plan.record(result, folder / worker.LOG))
        shutil.rmtree(folder, ignore_errors=True)
        self._count(row)
        yield TrialEnded(row)
        standing = self._standings[live.family]
        if standing.failures >= _MOST_FAILURES:
            self._aside[live.family] = row.reason or "failed"
            yield FamilySetAside(live.family, self._aside[live.family])

    def _count(self, row: Row) -> None:
        standing = self._standings[row.family]
        self._finished += row.state != "failed"
        standing.failures = standing.failures + 1 if row.state == "failed" else 0
        self._tally(standing, row)

    def _tally(self, standing: Standing, row: Row) -> None:
        standing.spent += row.seconds
        if row.state == "complete" and row.score is not None:
            loss = self._plan.specs[row.family].metric.loss_of(row.score)
            standing.complete.append(row.seconds)
            standing.loss = loss if standing.loss is None else min(standing.loss, loss)

    def _standing(self, family: str, rows: Sequence[Row]) -> Standing:
        standing = Standing(family, waiting=self._books.waiting(family))
        for row in rows:
            if row.family == family:
                standing.started += 1
                self._tally(standing, row)
        return standing

    def _seconds_left(self) -> float | None:
        return None if self._plan.deadline is None else max(0.0, self._plan.deadline - time.monotonic())

    def _release(self) -> int:
        """End the trials under way and put them back in the queue; their finished folds are kept."""
        for running in self._running:
            running.process.end()
            running.live.release()
        return len(self._running)
