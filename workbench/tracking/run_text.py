"""The names of runs, and the notes that MLflow shows as their descriptions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from workbench.ensemble import EnsembleResult
from workbench.tracking import run_view
from workbench.trial import TrialResult

if TYPE_CHECKING:
    from mlflow.entities import Run

# The length of a reason in a run's name; the run's note has the whole reason.
_MAX_REASON = 60


def trial_run_name(result: TrialResult) -> str:
    """Return the name of a trial's run: the trial, and its score or why it has none."""
    return f"{result.name} · {_outcome(result)}"


def import_run_name(result: TrialResult) -> str:
    """Return the name of the run of imported predictions."""
    return f"{result.family}, imported · {_outcome(result)}"


def ensemble_run_name(ensemble: EnsembleResult) -> str:
    """Return the name of an ensemble's run: its size, its score and its cross-fitted score."""
    name = f"ensemble of {len(ensemble.members)} · {ensemble.score:.5g}"
    if ensemble.honest_score is not None:
        name += f" · honest {ensemble.honest_score:.5g}"
    return name


def ensemble_note(ensemble: EnsembleResult, members: Sequence[Run]) -> str:
    """Return a Markdown table of an ensemble's members and their weights, each with a link to its run."""
    experiments = {run.info.run_id: run.info.experiment_id for run in members}
    lines = ["| member | weight |", "| --- | --- |"]
    for member in ensemble.members:
        link = run_view.run_page(experiments.get(member.run_id, 0), member.run_id)
        lines.append(f"| [{member.name}]({link}) | {member.weight:.4f} |")
    return "\n".join(lines)


def _outcome(result: TrialResult) -> str:
    if result.score is not None:
        return f"{result.score:.5g}"
    reason = " ".join((result.reason or result.state).split())
    text = reason if reason.startswith(result.state) else f"{result.state}: {reason}"
    return text if len(text) <= _MAX_REASON else f"{text[: _MAX_REASON - 1]}…"
