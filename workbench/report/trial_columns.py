"""Columns of the leaderboard beside the scores, shared by the console and the report.

To add one: a line in `TRIAL_COLUMNS`, and the field of `TrialRecord` that it shows. `--json` prints every field.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.evaluation.fidelity import FIDELITIES
from workbench.report.formatting import format_duration

if TYPE_CHECKING:
    from workbench.search.storage import TrialRecord


@dataclass(frozen=True)
class TrialColumn:
    """A numeric column of the leaderboard."""

    title: str
    value: Callable[[TrialRecord], float | None]
    """Returns the number of a trial, by which the report sorts; None where it has none."""
    format: Callable[[float], str]
    optional: bool = False
    """Whether the column is left out where no trial has a value other than 0."""

    def text(self, trial: TrialRecord) -> str:
        """Return the text of a trial's cell, a dash where it has no value."""
        value = self.value(trial)
        return "–" if value is None else self.format(value)


TRIAL_COLUMNS = (
    TrialColumn(
        "fidelity",
        lambda trial: FIDELITIES.index(trial.fidelity),
        lambda place: FIDELITIES[int(place)],
        optional=True,
    ),
    TrialColumn("parameters", lambda trial: trial.parameters, "{:,}".format, optional=True),
    TrialColumn("time", lambda trial: trial.seconds, format_duration),
)


def select_columns(trials: Sequence[TrialRecord]) -> list[TrialColumn]:
    """Return the columns without the optional ones in which no trial has a value other than 0."""
    return [column for column in TRIAL_COLUMNS if not column.optional or any(map(column.value, trials))]
