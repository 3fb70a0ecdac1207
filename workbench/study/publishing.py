"""The report of a study, as a file and in MLflow."""

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

# With fewer seconds left of a budget no figure is drawn.
_LEAST_SECONDS = 10.0
# The seconds that are kept for writing the figures.
_WRITE_SECONDS = 3.0


def check_path(path: Path, *, markdown: bool) -> None:
    """Refuse a file that a report cannot be written to, before there is one.

    Args:
        path: the file.
        markdown: whether the figures go into a folder beside it.

    Raises:
        ConfigError: the file cannot be written.
    """
    beside = figure_folder(path)
    if path.is_dir():
        raise ConfigError(f"-o must be a file. Received the folder {str(path)!r}. Name a file in it.")
    if not path.parent.is_dir():
        raise ConfigError(f"{path}: its folder is not there. Make it, or name another file with -o.")
    with files.explain_write_errors(path):
        files.check_file(path)
    if markdown and (beside == path or beside.is_file()):
        raise ConfigError(
            f"{path}: the pictures go into the folder {beside.name!r} beside it, which must not be a file. "
            "Name another file with -o, as in -o report.md."
        )


def figure_folder(path: Path) -> Path:
    """Return the folder of the figures of a report in Markdown."""
    return path.with_suffix("")


def make_report(store: StudyStore, trials: Sequence[TrialRecord], path: Path, *, markdown: bool) -> None:
    """Draw the figures, write the report, and attach both to the runs in MLflow.

    Args:
        store: the study's.
        trials: its finished trials, best first.
        path: the report's file.
        markdown: whether it is Markdown with figures as files, instead of an HTML page.

    Raises:
        StudyError: the data, target, folds or metric have changed.
        ConfigError: the file cannot be written.
    """
    data = report_inputs.gather_report(store.task, store, trials)
    figures = list(render_figures(data))
    write(data, figures, path, as_markdown=markdown)
    attach_report(store, data, figures)


def write(data: ReportData, figures: Sequence[RenderedFigure], path: Path, *, as_markdown: bool) -> None:
    """Write a report: an HTML page, or Markdown with its figures in a folder beside it.

    Raises:
        ConfigError: it cannot be written.
    """
    with files.explain_write_errors(path):
        if not as_markdown:
            files.write_text(path, page.render_page(data, figures))
            return
        folder = figure_folder(path)
        folder.mkdir(exist_ok=True)
        for each in figures:
            (folder / f"{each.name}.png").write_bytes(each.png)
        files.write_text(path, markdown.render_markdown(data, figures, folder.name))


def attach_report(store: StudyStore, data: ReportData, figures: Sequence[RenderedFigure]) -> None:
    """Attach the page and the figures of the search to the study's run, the ensemble's figures to the ensemble's."""
    with _warn_on_error("The report could not be put into MLflow"):
        tracker = store.tracker
        run_id = tracker.study_run()
        _attach(tracker, run_id, [each for each in figures if each.group == "study"])
        if data.ensemble is not None:
            _attach(tracker, data.ensemble.run_id, [each for each in figures if each.group == "ensemble"])
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "report.html"
            file.write_text(page.render_page(data, figures), encoding="utf-8")
            tracker.log_artifact(run_id, file)


def attach_ensemble_figures(store: StudyStore, trials: Sequence[TrialRecord]) -> None:
    """Attach the figures of the newest ensemble to its run."""
    with _warn_on_error("The ensemble's figures could not be drawn"):
        data = report_inputs.gather_report(store.task, store, trials)
        if data.ensemble is not None:
            _attach(store.tracker, data.ensemble.run_id, list(render_figures(data, "ensemble")))


def publish(store: StudyStore, trials: Sequence[TrialRecord], end: float | None) -> None:
    """Attach all figures and the page to the runs in MLflow, as far as there is time.

    Args:
        store: the study's.
        trials: its finished trials, best first.
        end: the end of the call, in seconds of `time.monotonic`; None without a time limit.
    """
    if end is not None and end - time.monotonic() < _LEAST_SECONDS:
        _warn(f"No time is left for figures. They are made by: workbench report {store.config.file}")
        return
    with _warn_on_error("The figures could not be drawn"):
        data = report_inputs.gather_report(store.task, store, trials)
        attach_report(store, data, list(render_figures(data, until=end and end - _WRITE_SECONDS)))


def _attach(tracker: Tracker, run_id: str, figures: Sequence[RenderedFigure]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for each in figures:
            file = Path(folder) / f"{each.name}.png"
            file.write_bytes(each.png)
            tracker.log_artifact(run_id, file, "figures")


@contextmanager
def _warn_on_error(what: str) -> Iterator[None]:
    """Log an error as a warning and go on: results must not be lost because a figure cannot be drawn."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - every error becomes a warning
        _warn(f"{what}: {type(error).__name__}: {' '.join(str(error).split())[:300]}")


def _warn(line: str) -> None:
    logging.getLogger("workbench").warning(line)
