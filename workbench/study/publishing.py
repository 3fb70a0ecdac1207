"""What is told of a study is kept: as a file for a reader, and in MLflow for whoever looks around there."""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from workbench import files
from workbench.errors import ConfigError
from workbench.report import ReportData, markdown, page
from workbench.report.render import RenderedFigure, render_figures
from workbench.study import report_inputs
from workbench.study.study_store import StudyStore
from workbench.tracking import Tracker

if TYPE_CHECKING:
    from workbench.search.storage import TrialRecord

# With fewer seconds left of a budget nothing is drawn; this many are kept for writing what was drawn.
_LEAST_SECONDS = 10.0
_TO_WRITE = 3.0


def place(path: Path, *, pictured: bool) -> None:
    """Refuse a file that a report cannot be written to, before there is one.

    Args:
        path: the file.
        pictured: whether pictures are put into a folder beside it.

    Raises:
        ConfigError: says why.
    """
    beside = folder_of(path)
    if path.is_dir():
        raise ConfigError(f"-o must be a file. Received the folder {str(path)!r}. Name a file in it.")
    if not path.parent.is_dir():
        raise ConfigError(f"{path}: its folder is not there. Make it, or name another file with -o.")
    if pictured and (beside == path or beside.is_file()):
        raise ConfigError(
            f"{path}: the pictures go into the folder {beside.name!r} beside it, which must not be a file. "
            "Name another file with -o, as in -o report.md."
        )


def folder_of(path: Path) -> Path:
    """Return the folder of the pictures of a report in Markdown."""
    return path.with_suffix("")


def write(story: ReportData, drawn: Sequence[RenderedFigure], path: Path, *, pictured: bool) -> None:
    """Write a report: a page, or Markdown with its pictures in a folder beside it.

    Raises:
        ConfigError: it cannot be written.
    """
    try:
        if not pictured:
            files.write_text(path, page.html(story, drawn))
            return
        folder = folder_of(path)
        folder.mkdir(exist_ok=True)
        for each in drawn:
            (folder / f"{each.name}.png").write_bytes(each.png)
        files.write_text(path, markdown.text(story, drawn, folder.name))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written ({error.strerror}). Name another file with -o.") from error


def keep(archive: StudyStore, story: ReportData, drawn: Sequence[RenderedFigure]) -> None:
    """Put the figures of the search, and the page, on the study's own run, and the ensemble's on the ensemble's."""
    with _forgiven("The report could not be put into MLflow"):
        tracker = archive.tracker
        run_id = tracker.study_run()
        _attach(tracker, run_id, [each for each in drawn if each.group == "study"])
        if story.ensemble is not None:
            _attach(tracker, story.ensemble["run_id"], [each for each in drawn if each.group == "ensemble"])
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "report.html"
            file.write_text(page.html(story, drawn), encoding="utf-8")
            tracker.log_artifact(run_id, file)


def picture(archive: StudyStore, rows: Sequence[TrialRecord]) -> None:
    """Put the figures of the newest ensemble on its run."""
    with _forgiven("The ensemble's figures could not be drawn"):
        story = report_inputs.gather_report(archive.task, archive, rows)
        if story.ensemble is not None:
            _attach(archive.tracker, story.ensemble["run_id"], list(render_figures(story, "ensemble")))


def publish(archive: StudyStore, rows: Sequence[TrialRecord], end: float | None) -> None:
    """Put all figures and the page into MLflow, as far as there is time.

    Args:
        archive: the study's.
        rows: its finished trials, best first.
        end: when the time is up, in seconds of `time.monotonic`.
    """
    if end is not None and end - time.monotonic() < _LEAST_SECONDS:
        _say(f"No time is left for figures. They are made by: workbench report {archive.config.file}")
        return
    with _forgiven("The figures could not be drawn"):
        story = report_inputs.gather_report(archive.task, archive, rows)
        keep(archive, story, list(render_figures(story, until=end and end - _TO_WRITE)))


def _attach(tracker: Tracker, run_id: str, drawn: Sequence[RenderedFigure]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for each in drawn:
            file = Path(folder) / f"{each.name}.png"
            file.write_bytes(each.png)
            tracker.log_artifact(run_id, file, "figures")


@contextmanager
def _forgiven(what: str) -> Iterator[None]:
    """Say in a line what went wrong, and go on: what was found must not be lost for what it looks like."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - whatever it is, it is said
        _say(f"{what}: {type(error).__name__}: {' '.join(str(error).split())[:300]}")


def _say(line: str) -> None:
    logging.getLogger("workbench").warning(line)
