"""The studies and trials of a home, read from its database without MLflow, whose client takes seconds to load."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from workbench.errors import StudyError
from workbench.home import Home
from workbench.tracking import run_view

_STUDIES = """
    SELECT e.experiment_id, e.name FROM experiments e
    JOIN experiment_tags t ON t.experiment_id = e.experiment_id AND t.key = :view
    LEFT JOIN runs r ON r.experiment_id = e.experiment_id AND r.lifecycle_stage = 'active'
    WHERE e.lifecycle_stage = 'active' GROUP BY e.experiment_id
    ORDER BY MAX(COALESCE(r.end_time, r.start_time)) DESC, e.experiment_id DESC
"""
_TRIALS = """
    SELECT r.run_uuid, e.name, r.name, r.artifact_uri, r.start_time / 1000.0 FROM runs r
    JOIN experiments e ON e.experiment_id = r.experiment_id AND e.lifecycle_stage = 'active'
    JOIN tags t ON t.run_uuid = r.run_uuid AND t.key = 'workbench.kind' AND t.value = 'trial'
    WHERE r.lifecycle_stage = 'active' AND r.end_time IS NOT NULL ORDER BY r.end_time DESC
"""

# Seconds to wait while another process writes; MLflow waits as long.
_TIMEOUT = 20.0


@dataclass(frozen=True)
class TrialSummary:
    """A trial that has ended."""

    run_id: str
    study: str
    name: str
    """The name of its run: family, number and score."""
    folder: Path
    """The folder of its artifacts."""
    began: float
    """Seconds since 1970."""


def studies(home: Home) -> dict[str, str]:
    """Return the studies and the ids of their experiments, the one that was written to last first.

    Raises:
        StudyError: there is no database, or it cannot be read.
    """
    return {name: str(experiment) for experiment, name in _query(home, _STUDIES, {"view": run_view.TAG})}


def trials(home: Home) -> list[TrialSummary]:
    """Return the trials of all studies that have ended, the newest first.

    Raises:
        StudyError: there is no database, or it cannot be read.
    """
    return [
        TrialSummary(run_id, study, name, Path(unquote(uri.removeprefix("file://"))), began)
        for run_id, study, name, uri, began in _query(home, _TRIALS, {})
    ]


def _query(home: Home, statement: str, values: Mapping[str, str]) -> list[tuple[Any, ...]]:
    if not home.database.exists():
        raise StudyError(f"{home.path}: there is no study here yet. Run one, or name its home with --home.")
    try:
        with closing(sqlite3.connect(f"{home.database.as_uri()}?mode=ro", uri=True, timeout=_TIMEOUT)) as connection:
            return connection.execute(statement, values).fetchall()
    except sqlite3.Error as error:
        raise StudyError(f"{home.database}: must be MLflow's store. It cannot be read ({error}).") from error
