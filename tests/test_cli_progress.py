"""What a search looks like: lines, a screen, and JSON lines for programs."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from workbench.cli.progress import EventLog, LineProgress, LiveProgress
from workbench.errors import StudyError
from workbench.search.events import (
    EpochEnded,
    Event,
    FoldEnded,
    Forecast,
    SearchStarted,
    Stopped,
    TrialEnded,
    TrialPutBack,
    TrialStarted,
)
from workbench.search.storage import TrialRecord


def row(number: int, score: float | None, state: str = "complete", reason: str | None = None) -> TrialRecord:
    return TrialRecord(f"run-{number}", "mlp", number, score, 0.1, [0.5], state, 7.0, {"units": 8}, {}, reason)  # type: ignore[arg-type]


STORY: list[Event] = [
    TrialStarted("mlp", 0, 3),
    EpochEnded("mlp", 0, 0, 11),
    FoldEnded("mlp", 0, 1, 0.5),
    TrialEnded(row(0, 0.5)),
    Forecast(40, 3700.0),
    TrialStarted("mlp", 1, 3),
    TrialEnded(row(1, None, "failed", "out of memory")),
    TrialEnded(row(2, 0.4)),
    Forecast(41, 3600.0),
    TrialStarted("cnn", 0, 5),
    TrialPutBack("cnn", 0, 4000.0, 300.0),
    TrialStarted("mlp", 3, 3),
    FoldEnded("mlp", 3, 1, 0.45),
    EpochEnded("mlp", 3, 1, 4),
]


def test_lines_say_what_ended_the_forecast_once_and_what_is_best() -> None:
    text = io.StringIO()
    with LineProgress(Console(file=text, width=120), maximize=False) as lines:
        for event in [*STORY, Stopped("disk", 1)]:
            lines(event)
    said = text.getvalue().splitlines()
    assert [("← best" in line) for line in said if " s  mlp" in line] == [True, False, True]
    assert "out of memory" in said[2]
    assert any(line.startswith("cnn #0 waits for the next run") for line in said)
    assert sum(line.startswith("Forecast: about 40 trials in all, in 1 h 1 min") for line in said) == 1
    assert "Forecast: about 41" not in text.getvalue()
    assert "the disk is nearly full" in said[-1]
    assert "the trial under way waits" in said[-1]


def test_a_resumed_run_shows_the_study_best_and_counts() -> None:
    began = SearchStarted({"complete": 7, "pruned": 2, "failed": 0}, row(9, 0.45), "holdout", 19_200)
    text = io.StringIO()
    lines = LineProgress(Console(file=text, width=120), maximize=False)
    console = Console(file=io.StringIO(), width=140, force_terminal=True, record=True)
    screen = LiveProgress(console, title="s", maximize=False, trials=20, minutes=None)
    for event in [began, *STORY[:4]]:
        lines(event)
        screen(event)
    assert "Goes on from 7 complete, 2 pruned; best 0.45 (mlp #9)." in text.getvalue()
    assert "trials use a hold-out, the first fold, with 19,200 training rows." in text.getvalue()
    assert "← best" not in text.getvalue()
    console.print(screen._draw())
    shown = console.export_text()
    assert "8 complete, 2 pruned" in shown
    assert "best 0.45 (mlp #9)" in shown
    lines(TrialEnded(row(2, 0.4)))
    assert text.getvalue().count("← best") == 1


def test_the_end_says_which_families_had_no_time() -> None:
    text = io.StringIO()
    lines = LineProgress(Console(file=text, width=120), maximize=False)
    lines(Stopped("minutes", 0, {"tabm": 150.0, "mlp": 40.0}))
    assert text.getvalue().startswith("Search over: the time is up. No time for a first trial, which needs at least:")
    assert "tabm (2 min 30 s), mlp (40.0 s)." in text.getvalue()


def test_a_screen_shows_counts_best_forecast_time_left_and_what_each_worker_does() -> None:
    console = Console(file=io.StringIO(), width=140, force_terminal=True, record=True)
    screen = LiveProgress(console, title="s · log_loss", maximize=False, trials=None, minutes=10)
    for event in STORY:
        screen(event)
    console.print(screen._draw())
    shown = console.export_text()
    for words in ("2 complete, 1 failed", "best 0.4 (mlp #2)", "left", "about 41 trials", "▸ mlp #3", "fold 2 of 3"):
        assert words in shown
    assert "epoch 5" in shown
    assert "▸ mlp #0" not in shown
    assert "▸ cnn #0" not in shown
    assert "cnn #0 waits for the next run: it needs 1 h 6 min more, and 5 min 0 s is left" in shown


def test_events_are_lines_of_json_added_to_the_file_at_once(tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    file.write_text('{"event": "of an earlier run"}\n')
    with EventLog(file) as write:
        for count, event in enumerate([*STORY, Forecast(3, float("inf"))], 2):
            write(event)
            assert len(file.read_text().splitlines()) == count
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [line["event"] for line in lines[1:5]] == ["trial_started", "epoch_ended", "fold_ended", "trial_ended"]
    assert lines[4]["row"]["hyperparameters"] == {"units": 8}
    assert lines[2].items() >= {"family": "mlp", "number": 0, "fold": 0, "epoch": 11}.items()
    assert lines[-1]["seconds"] is None
    assert lines[1]["time"] > 1.7e9


def test_a_file_of_events_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="events cannot be written"):
        EventLog(tmp_path / "no" / "events.jsonl")
