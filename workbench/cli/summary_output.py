"""The output of the command line at the end of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console

from workbench.cli import console_tables
from workbench.ensemble import EnsembleResult
from workbench.report.formatting import format_command, format_duration, format_number

if TYPE_CHECKING:
    from workbench.study import Study, Summary


def print_ensemble(console: Console, result: EnsembleResult, *, details: bool) -> None:
    """Print an ensemble; with details, also simpler ones beside it, the certificate and what each member adds."""
    console.print(console_tables.ensemble(result, details=details))
    if details and result.diversity is not None:
        console.print(console_tables.diversity(result.diversity))


def print_summary(console: Console, study: Study, summary: Summary, *, details: bool = False) -> None:
    """Print the result of a run: families, ensemble, submission, and the test scores if they are known."""
    for note in study.task.dataset.notes:
        console.print(note, style="dim", soft_wrap=True)
    console.print(console_tables.by_family(study.store.trials(), metric=study.task.metric.name))
    if summary.ensemble is not None:
        print_ensemble(console, EnsembleResult.from_document(summary.ensemble), details=details)
    if summary.submission is not None:
        console.print(f"Submission: {summary.submission}", soft_wrap=True)
    if summary.test_scores is not None and summary.ensemble is not None:
        scores = ", ".join(f"{name} {format_number(value)}" for name, value in summary.test_scores.items())
        console.print(f"Its score on the held-out test rows: {scores}.", soft_wrap=True)
    if summary.model_uri is not None:
        console.print(f"MLflow model: {summary.model_uri}", soft_wrap=True)
    counts = ", ".join(f"{count} {state}" for state, count in summary.trials.items())
    next_steps = f"workbench ui · {format_command('report', str(study.config.file))}"
    console.print(f"{counts} in {format_duration(summary.seconds)}. Next: {next_steps}", soft_wrap=True)
