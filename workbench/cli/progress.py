"""The progress of a search: a live display on a terminal, one line per trial elsewhere, JSON lines for programs."""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from workbench.cli.json_output import to_json
from workbench.cli.terminal import style_text
from workbench.errors import StudyError
from workbench.evaluation.fidelity import describe_fidelity
from workbench.home import trial_name
from workbench.report.formatting import format_duration, format_number
from workbench.search.events import (
    EpochEnded,
    Event,
    FamilySetAside,
    FoldEnded,
    Forecast,
    SearchStarted,
    Stopped,
    TrialEnded,
    TrialPutBack,
    TrialStarted,
)
from workbench.search.storage import TrialRecord

if TYPE_CHECKING:
    from workbench.study import Study

# The reasons for the end of a search, as they are printed.
_END_REASONS = {
    "trials": "the trials are done",
    "minutes": "the time is up",
    "families": "no family is left",
    "exhausted": "everything has been tried",
    "asked": "it was ended by hand",
    "disk": "the disk is nearly full, or the home has reached search.disk; make room, and run again",
}


class ProgressView(Protocol):
    """Something that displays or records events; a context manager."""

    def __enter__(self) -> Self:
        """Start the display."""

    def __exit__(self, *error: object) -> None:
        """Stop the display and leave the screen in order."""

    def __call__(self, event: Event) -> None:
        """Display an event."""


class LineProgress:
    """One line for each trial that has ended."""

    def __init__(self, console: Console, *, maximize: bool) -> None:
        """Write to `console`; `maximize` is the direction of the metric."""
        self._console = console
        self._started = time.monotonic()
        self._best = _Best(maximize)
        self._has_forecast = False

    def __enter__(self) -> Self:
        """Start the display."""
        return self

    def __exit__(self, *error: object) -> None:
        """Do nothing: lines that were written stay."""

    def __call__(self, event: Event) -> None:
        """Write a line for an event."""
        match event:
            case SearchStarted(counts, best):
                self._best.begin(best)
                if event.fidelity != "full":
                    self._console.print(_format_fidelity(event), soft_wrap=True)
                if any(counts.values()):
                    self._console.print(f"Goes on from {_format_counts(counts)}; best {self._best}.", soft_wrap=True)
            case TrialEnded(trial):
                mark = "  ← best" if self._best.update(trial) else ""
                elapsed = f"{time.monotonic() - self._started:7.1f} s  "
                self._console.print(elapsed + _format_trial(trial) + mark, soft_wrap=True)
            case Forecast() if not self._has_forecast:
                self._has_forecast = True
                self._console.print(f"Forecast: {_format_forecast(event)}.", soft_wrap=True)
            case FamilySetAside(family, reason):
                self._console.print(f"{family} is set aside: {reason}", soft_wrap=True)
            case TrialPutBack():
                self._console.print(_format_put_back(event), soft_wrap=True)
            case Stopped():
                self._console.print(_format_end(event), soft_wrap=True)


class EventLog:
    """A file to which each event is appended at once, as one line of JSON.

    A line has the keys `event`, the event's name such as `trial_ended`; `time`, in seconds since 1970; and the fields
    of the event.
    """

    def __init__(self, file: Path) -> None:
        """Open the file for appending.

        Raises:
            StudyError: the file cannot be written.
        """
        try:
            self._stream = file.open("a", encoding="utf-8")
        except OSError as error:
            raise StudyError(
                f"{file}: events cannot be written ({error.strerror}). Name another --events file."
            ) from error

    def __enter__(self) -> Self:
        """Return the log, whose file is open already."""
        return self

    def __exit__(self, *error: object) -> None:
        """Close the file."""
        self._stream.close()

    def __call__(self, event: Event) -> None:
        """Append an event."""
        name = re.sub(r"(?<!^)(?=[A-Z])", "_", type(event).__name__).lower()
        self._stream.write(to_json({"event": name, "time": time.time(), **asdict(event)}) + "\n")
        self._stream.flush()


class LiveProgress:
    """A live display of the running trials, the best trial, and the last trials that have ended."""

    def __init__(
        self, console: Console, *, title: str, maximize: bool, trials: int | None, minutes: float | None
    ) -> None:
        """Display on `console`.

        Args:
            console: the terminal.
            title: the first words of the display.
            maximize: the direction of the metric.
            trials: the budget of trials, if any.
            minutes: the budget of time, if any.
        """
        self._title, self._trials, self._minutes = title, trials, minutes
        self._started = time.monotonic()
        self._best = _Best(maximize)
        self._ended: deque[tuple[TrialRecord, bool]] = deque(maxlen=10)
        self._counts: dict[str, int] = {"complete": 0, "pruned": 0, "failed": 0}
        self._running: dict[tuple[str, int], _DisplayedTrial] = {}
        self._notes: list[str] = []
        self._forecast = ""
        self._live = Live(console=console, get_renderable=self._draw, refresh_per_second=4, transient=True)
        self._console = console

    def __enter__(self) -> Self:
        """Start the display."""
        self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        """Remove the live display."""
        self._live.stop()

    def __call__(self, event: Event) -> None:
        """Update the display with an event."""
        match event:
            case SearchStarted(counts, best):
                self._counts |= counts
                self._best.begin(best)
                if event.fidelity != "full":
                    self._notes.append(_format_fidelity(event))
            case TrialStarted(family, number, folds):
                self._running[family, number] = _DisplayedTrial(folds)
            case EpochEnded(family, number, _, epoch):
                self._running[family, number].epoch = epoch
            case FoldEnded(family, number, done, score):
                running = self._running[family, number]
                running.done, running.score, running.epoch = done, score, None
            case Forecast():
                self._forecast = _format_forecast(event)
            case TrialEnded(trial):
                self._running.pop((trial.family, trial.number), None)
                self._counts[trial.state] += 1
                self._ended.append((trial, self._best.update(trial)))
            case FamilySetAside(family, reason):
                self._notes.append(f"{family} is set aside: {reason}")
            case TrialPutBack(family, number):
                self._running.pop((family, number), None)
                self._notes.append(_format_put_back(event))
            case Stopped():
                self._console.print(_format_end(event))

    def _draw(self) -> Group:
        """Return the display."""
        elapsed = time.monotonic() - self._started
        counts = _format_counts(self._counts) or "loading the libraries"
        left = f"   {format_duration(max(0.0, 60 * self._minutes - elapsed))} left" if self._minutes else ""
        head = style_text(self._title, "bold")
        head.append_text(style_text(f"   {format_duration(elapsed)}{left}   {counts}   best {self._best}", "not bold"))
        running = Table.grid(padding=(0, 2))
        for (family, index), trial in self._running.items():
            score = "" if trial.score is None else f"last fold {format_number(trial.score)}"
            fold = f"fold {min(trial.done + 1, trial.folds)} of {trial.folds}"
            epoch = "" if trial.epoch is None else f"epoch {trial.epoch + 1}"
            since = format_duration(time.monotonic() - trial.started)
            running.add_row(style_text(f"▸ {trial_name(family, index)}", "cyan"), fold, epoch, since, score)
        ended = [style_text(_format_trial(trial), "green" if is_best else "dim") for trial, is_best in self._ended]
        notes = [style_text(note, "yellow") for note in self._notes]
        forecast = [style_text(self._forecast, "dim")] if self._forecast else []
        return Group(head, self._draw_bar(elapsed), *forecast, *ended, *notes, running)

    def _draw_bar(self, elapsed: float) -> Table:
        """Return a bar of the share of the budget that is used."""
        shares = []
        if self._minutes:
            shares.append(elapsed / (60 * self._minutes))
        if self._trials:
            shares.append((self._counts["complete"] + self._counts["pruned"]) / self._trials)
        # The bar is put in a grid because it does not end its line by itself.
        bar = Table.grid()
        if shares:
            bar.add_row(ProgressBar(total=1.0, completed=min(1.0, max(shares)), width=60))
        return bar


@contextmanager
def show_progress(
    study: Study, console: Console, trials: int | None, minutes: float | None, events: str | None
) -> Iterator[Callable[[Event], None]]:
    """Show a live display on a terminal and lines elsewhere, and write the events to a file if one is given."""
    maximize = study.task.scored_by.direction == "maximize"
    overridden = trials is not None or minutes is not None
    budget = (trials, minutes) if overridden else (study.config.search.trials, study.config.search.minutes)
    listeners: list[ProgressView] = [EventLog(Path(events))] if events is not None else []
    if console.is_terminal:
        title = f"{study.name} · {study.task.scored_by.name}"
        listeners.append(LiveProgress(console, title=title, maximize=maximize, trials=budget[0], minutes=budget[1]))
    else:
        listeners.append(LineProgress(console, maximize=maximize))

    def listen(event: Event) -> None:
        for listener in listeners:
            listener(event)

    with ExitStack() as stack:
        for listener in listeners:
            stack.enter_context(listener)
        yield listen


class _DisplayedTrial:
    """A running trial and its progress."""

    def __init__(self, folds: int) -> None:
        self.folds = folds
        self.done = 0
        self.score: float | None = None
        self.epoch: int | None = None
        self.started = time.monotonic()


class _Best:
    """The best trial so far."""

    def __init__(self, maximize: bool) -> None:
        self._sign = -1 if maximize else 1
        self._trial: TrialRecord | None = None

    def begin(self, trial: TrialRecord | None) -> None:
        """Begin with the best trial of earlier calls."""
        self._trial = trial

    def update(self, trial: TrialRecord) -> bool:
        """Take a trial into account; return whether it is the best one now."""
        if trial.state != "complete" or trial.score is None:
            return False
        if self._trial is not None and self._sign * trial.score >= self._sign * (self._trial.score or 0.0):
            return False
        self._trial = trial
        return True

    def __str__(self) -> str:
        if self._trial is None:
            return "–"
        return f"{format_number(self._trial.score)} ({self._trial.name})"


def _format_fidelity(event: SearchStarted) -> str:
    """Return on which part of the data the trials are made, and why."""
    return (
        f"The time does not buy all folds of all rows: trials use {describe_fidelity(event.fidelity)}, with "
        f"{event.rows:,} training rows. A run with more minutes goes on with more of the data."
    )


def _format_counts(counts: Mapping[str, int]) -> str:
    """Return the numbers of trials by state, without those that are 0."""
    return ", ".join(f"{count} {state}" for state, count in counts.items() if count)


def _format_trial(trial: TrialRecord) -> str:
    """Return a trial with its state, score and duration in one line."""
    spread = "" if trial.std is None or trial.score is None else f"± {format_number(trial.std)}"
    reason = "" if trial.reason is None else f"  {trial.reason[:100]}"
    score, duration = format_number(trial.score), format_duration(trial.seconds)
    return f"{trial.name:<20} {trial.state:<9} {score:>10} {spread:<12} {duration:>12}{reason}"


def _format_forecast(forecast: Forecast) -> str:
    """Return how many trials are expected, and when."""
    end = time.strftime("%H:%M", time.localtime(time.time() + forecast.seconds))
    return f"about {forecast.trials} trials in all, in {format_duration(forecast.seconds)} (at {end})"


def _format_put_back(event: TrialPutBack) -> str:
    """Return why a trial is left to the next run."""
    needs, left = format_duration(event.seconds), format_duration(event.left)
    return f"{event.name} waits for the next run: it needs {needs} more, and {left} is left"


def _format_end(stopped: Stopped) -> str:
    """Return why the search has ended, how many trials are left to the next run, and what had no time for a trial."""
    count = stopped.interrupted
    waiting = f"; {count} trials under way wait for the next run" if count > 1 else ""
    waiting = "; the trial under way waits for the next run" if count == 1 else waiting
    needs = [f"{family} ({format_duration(seconds)})" for family, seconds in stopped.not_started.items()]
    without = f" No time for a first trial, which needs at least: {', '.join(needs)}." if needs else ""
    return f"Search over: {_END_REASONS[stopped.why]}{waiting}.{without}"
