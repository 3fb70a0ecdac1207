"""A search as it happens: live on a terminal, a line a trial elsewhere, JSON lines for programs."""

from __future__ import annotations

import re
import time
from collections import deque
from dataclasses import asdict
from pathlib import Path
from typing import Protocol, Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from workbench.cli.json_output import text
from workbench.errors import StudyError
from workbench.home import trial_name
from workbench.report.formatting import format_duration, format_number
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
)
from workbench.search.storage import TrialRecord

_ENDS = {
    "trials": "the trials are done",
    "minutes": "the time is up",
    "families": "no family is left",
    "exhausted": "everything has been tried",
    "disk": "the disk is nearly full, or the home has reached search.disk; make room, and run again",
}


class ProgressView(Protocol):
    """Draws events; a context."""

    def __enter__(self) -> Self:
        """Begin to draw."""

    def __exit__(self, *error: object) -> None:
        """Leave the screen tidy."""

    def __call__(self, event: Event) -> None:
        """Draw an event."""


class LineProgress:
    """A line for each trial that ended."""

    def __init__(self, console: Console, *, maximize: bool) -> None:
        """Write to `console`."""
        self._console = console
        self._began = time.monotonic()
        self._best = _Best(maximize)
        self._foretold = False

    def __enter__(self) -> Self:
        """Begin to draw."""
        return self

    def __exit__(self, *error: object) -> None:
        """Leave things as they are."""

    def __call__(self, event: Event) -> None:
        """Write a line for what ended."""
        match event:
            case TrialEnded(row):
                new = self._best.take(row)
                where = f"{time.monotonic() - self._began:7.1f} s  "
                self._console.print(where + _line(row) + ("  ← best" if new else ""), highlight=False, soft_wrap=True)
            case Forecast() if not self._foretold:
                self._foretold = True
                self._console.print(f"Forecast: {_forecast(event)}.", highlight=False, soft_wrap=True)
            case FamilySetAside(family, reason):
                self._console.print(f"{family} is set aside: {reason}", highlight=False, soft_wrap=True)
            case TrialPutBack():
                self._console.print(_put_back(event), highlight=False, soft_wrap=True)
            case Stopped(why, interrupted):
                self._console.print(_stopped(why, interrupted), highlight=False, soft_wrap=True)


class EventLog:
    """Adds each event to a file as one line of JSON, at once.

    A line has `event`, the event's name as in `trial_ended`; `time`, in seconds since 1970; and what the event holds.
    """

    def __init__(self, file: Path) -> None:
        """Open the file, to add to what it holds.

        Raises:
            StudyError: it cannot be written.
        """
        try:
            self._stream = file.open("a", encoding="utf-8")
        except OSError as error:
            raise StudyError(
                f"{file}: events cannot be written ({error.strerror}). Name another --events file."
            ) from error

    def __enter__(self) -> Self:
        """Begin to write."""
        return self

    def __exit__(self, *error: object) -> None:
        """Close the file."""
        self._stream.close()

    def __call__(self, event: Event) -> None:
        """Write an event."""
        name = re.sub(r"(?<!^)(?=[A-Z])", "_", type(event).__name__).lower()
        self._stream.write(text({"event": name, "time": time.time(), **asdict(event)}) + "\n")
        self._stream.flush()


class LiveProgress:
    """What each worker does, the best so far, the last trials that ended; drawn over in place."""

    def __init__(
        self, console: Console, *, title: str, maximize: bool, trials: int | None, minutes: float | None
    ) -> None:
        """Draw on `console`; `trials` and `minutes` are the budget."""
        self._title, self._trials, self._minutes = title, trials, minutes
        self._began = time.monotonic()
        self._best = _Best(maximize)
        self._rows: deque[tuple[TrialRecord, bool]] = deque(maxlen=10)
        self._counts = {"complete": 0, "pruned": 0, "failed": 0}
        self._running: dict[tuple[str, int], _Task] = {}
        self._notes: list[str] = []
        self._forecast = ""
        self._live = Live(console=console, get_renderable=self._draw, refresh_per_second=4, transient=True)
        self._console = console

    def __enter__(self) -> Self:
        """Begin to draw."""
        self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        """Clear the live part."""
        self._live.stop()

    def __call__(self, event: Event) -> None:
        """Take an event into the picture."""
        match event:
            case TrialStarted(family, trial, folds):
                self._running[family, trial] = _Task(folds)
            case EpochEnded(family, trial, _, epoch):
                self._running[family, trial].epoch = epoch
            case FoldEnded(family, trial, done, score):
                task = self._running[family, trial]
                task.done, task.score, task.epoch = done, score, None
            case Forecast():
                self._forecast = _forecast(event)
            case TrialEnded(row):
                self._running.pop((row.family, row.number), None)
                self._counts[row.state] += 1
                self._rows.append((row, self._best.take(row)))
            case FamilySetAside(family, reason):
                self._notes.append(f"{family} is set aside: {reason}")
            case TrialPutBack(family, trial):
                self._running.pop((family, trial), None)
                self._notes.append(_put_back(event))
            case Stopped(why, interrupted):
                self._console.print(_stopped(why, interrupted), highlight=False)

    def _draw(self) -> Group:
        spent = time.monotonic() - self._began
        counts = ", ".join(f"{n} {state}" for state, n in self._counts.items() if n) or "loading the libraries"
        left = f"   {format_duration(max(0.0, 60 * self._minutes - spent))} left" if self._minutes else ""
        head = Text.assemble((self._title, "bold"), f"   {format_duration(spent)}{left}   {counts}   best {self._best}")
        tasks = Table.grid(padding=(0, 2))
        for (family, trial), task in self._running.items():
            score = "" if task.score is None else f"last fold {format_number(task.score)}"
            where = f"fold {min(task.done + 1, task.folds)} of {task.folds}"
            epoch = "" if task.epoch is None else f"epoch {task.epoch + 1}"
            since = format_duration(time.monotonic() - task.began)
            tasks.add_row(Text(f"▸ {trial_name(family, trial)}", "cyan"), where, epoch, since, score)
        ended = [Text(_line(row), "green" if new else "dim") for row, new in self._rows]
        notes = [Text(note, "yellow") for note in self._notes]
        foretold = [Text(self._forecast, "dim")] if self._forecast else []
        return Group(head, self._bar(spent), *foretold, *ended, *notes, tasks)

    def _bar(self, spent: float) -> Table:
        shares = []
        if self._minutes:
            shares.append(spent / (60 * self._minutes))
        if self._trials:
            shares.append((self._counts["complete"] + self._counts["pruned"]) / self._trials)
        # In a grid, since a bar by itself does not end its line.
        bar = Table.grid()
        if shares:
            bar.add_row(ProgressBar(total=1.0, completed=min(1.0, max(shares)), width=60))
        return bar


class _Task:
    """What a worker is at."""

    def __init__(self, folds: int) -> None:
        self.folds = folds
        self.done = 0
        self.score: float | None = None
        self.epoch: int | None = None
        self.began = time.monotonic()


class _Best:
    """The best trial so far."""

    def __init__(self, maximize: bool) -> None:
        self._sign = -1 if maximize else 1
        self._row: TrialRecord | None = None

    def take(self, row: TrialRecord) -> bool:
        """Look at a trial; return whether it is the best now."""
        if row.state != "complete" or row.score is None:
            return False
        if self._row is not None and self._sign * row.score >= self._sign * (self._row.score or 0.0):
            return False
        self._row = row
        return True

    def __str__(self) -> str:
        return "–" if self._row is None else f"{format_number(self._row.score)} ({self._row.name})"


def _line(row: TrialRecord) -> str:
    spread = "" if row.std is None or row.score is None else f"± {format_number(row.std)}"
    reason = "" if row.reason is None else f"  {row.reason[:100]}"
    name = row.name
    score, seconds = format_number(row.score), format_duration(row.seconds)
    return f"{name:<20} {row.state:<9} {score:>10} {spread:<12} {seconds:>12}{reason}"


def _forecast(forecast: Forecast) -> str:
    end = time.strftime("%H:%M", time.localtime(time.time() + forecast.seconds))
    return f"about {forecast.trials} trials in all, in {format_duration(forecast.seconds)} (at {end})"


def _put_back(event: TrialPutBack) -> str:
    needs, left = format_duration(event.seconds), format_duration(event.left)
    return f"{event.name} waits for the next run: it needs {needs} more, and {left} is left"


def _stopped(why: str, interrupted: int) -> str:
    waiting = f"; {interrupted} trials under way wait for the next run" if interrupted > 1 else ""
    waiting = "; the trial under way waits for the next run" if interrupted == 1 else waiting
    return f"Search over: {_ENDS[why]}{waiting}."
