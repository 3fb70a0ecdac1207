"""The tables of a report, whatever its format: the texts of the cells, and the numbers by which they are sorted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.report.formatting import format_duration, format_number, format_parameter, format_with_error
from workbench.report.report_data import ReportData
from workbench.report.trial_columns import TrialColumn, select_columns

if TYPE_CHECKING:
    from workbench.ensemble import EnsembleMember, EnsembleResult, Weighting
    from workbench.ensemble.cross_fitting import Alternative
    from workbench.search.storage import TrialRecord
    from workbench.trial import State

# A member's weights for more outputs than these are shown as their range.
_MAX_OUTPUTS = 8
_RANGE = ("least", "most")
WEIGHTING_NAMES = {"shared": "shared weights", "target": "weights by target", "class": "weights by class"}
# The trials of a family whose hyperparameters are shown.
_BEST_TRIALS = 3
BASELINE_NAMES = {
    "constant": "constant baseline",
    "best": "best single model",
    "uniform": "uniform mean",
    "greedy": "greedy selection",
}
"""The names of the simpler blends that an ensemble is compared with, the simplest first."""
_MAX_REASON = 200


@dataclass(frozen=True)
class Cell:
    """The text of a cell, and the number by which it is sorted, if any."""

    text: str
    value: float | None = None


@dataclass(frozen=True)
class TableColumn:
    """The heading of a column."""

    title: str
    number: bool = False


@dataclass(frozen=True)
class ReportTable:
    """Rows of cells under a caption; the first cell of a row is its heading."""

    caption: str
    columns: tuple[TableColumn, ...]
    rows: tuple[tuple[Cell, ...], ...]
    marked: tuple[int, ...] = ()
    """The indices of rows in bold."""
    faint: tuple[int, ...] = ()
    """The indices of rows in grey."""
    sortable: bool = False


def build_leaderboard(data: ReportData) -> ReportTable:
    """Return the best trial of each family, and the number of its trials; families without trials come last."""
    also = data.study.also
    states: tuple[State, ...] = ("pruned", "failed")
    early_states = [state for state in states if any(trial.state == state for trial in data.trials)]
    rows = []
    for family, trials in data.trials_by_family.items():
        best, counts = trials[0], Counter(trial.state for trial in trials)
        score, std = (best.score, best.std) if best.state == "complete" else (None, None)
        scores = [_score(score), _score(std, 2), *(_score(best.also.get(name)) for name in also)]
        tallies = [_count(len(trials)), *(_count(counts[state]) for state in early_states)]
        rows.append((Cell(family), *scores, *tallies, _duration(sum(trial.seconds for trial in trials))))
    for family in data.study.families:
        if family not in data.trials_by_family:
            dashes = [Cell("–")] * (2 + len(also))
            rows.append((Cell(family), *dashes, *[_count(0)] * (1 + len(early_states)), _duration(0)))
    titles = [data.study.metric, "± folds", *also, "trials", *early_states, "time"]
    columns = (TableColumn("family"), *_number_columns(*titles))
    marked = (0,) if data.complete_trials else ()
    return ReportTable("The best trial of each family", columns, tuple(rows), marked=marked)


def build_members(data: ReportData) -> ReportTable | None:
    """Return the members of the ensemble, heaviest first, and the contribution of each; None without an ensemble."""
    ensemble = data.ensemble
    if ensemble is None:
        return None
    diversity = {} if ensemble.diversity is None else {member.name: member for member in ensemble.diversity.members}
    names = tuple(ensemble.members[0].output_weights or ())
    outputs = names if len(names) <= _MAX_OUTPUTS else _RANGE
    rows = []
    for member in ensemble.members:
        known = diversity.get(member.name)
        contribution, correlation = (
            (None, None) if known is None else (known.contribution, known.mean_error_correlation)
        )
        error = member.weight_se
        weight = f"{member.weight:.3f}" + ("" if error is None else f" ± {error:.3f}")
        rows.append((
            Cell(member.name), Cell(weight, member.weight), *_output_weights(member, outputs), _score(member.score),
            Cell("–" if contribution is None else f"{contribution:+.2g}", contribution), _score(correlation, 3),
        ))  # fmt: skip
    columns = (
        TableColumn("member"),
        *_number_columns("mean weight ± se" if outputs else "weight ± se", *outputs),
        *_number_columns(ensemble.metric, "adds", "error correlation"),
    )
    return ReportTable("Members of the ensemble", columns, tuple(rows))


def _output_weights(member: EnsembleMember, outputs: Sequence[str]) -> list[Cell]:
    """Return a member's weight for each target or class; for many outputs, the least and the greatest."""
    weights: Mapping[str, float] = member.output_weights or {}
    shown = [min(weights.values()), max(weights.values())] if tuple(outputs) == _RANGE else weights.values()
    return [Cell(f"{weight:.3f}", weight) for weight in shown]


def list_alternatives(ensemble: EnsembleResult) -> dict[Weighting, Alternative]:
    """Return the weightings that were fitted and are not used."""
    simpler = ensemble.method != ensemble.requested_method
    return {
        weighting: alternative
        for weighting, alternative in ensemble.alternatives.items()
        if simpler or weighting != ensemble.weighting
    }


def build_comparison(data: ReportData) -> ReportTable | None:
    """Return the ensemble beside simpler ones; None without an ensemble."""
    ensemble = data.ensemble
    if ensemble is None:
        return None
    rows = []
    for key, name in BASELINE_NAMES.items():
        if key not in ensemble.baselines:
            continue
        baseline = ensemble.baselines[key]
        error = "" if baseline.gain_se is None else f" ± {baseline.gain_se:.2g}"
        gain = Cell(f"{baseline.gain:+.2g}{error}", baseline.gain)
        rows.append((Cell(name), _score(baseline.score), _score(baseline.honest_score), gain))
    for weighting, each in list_alternatives(ensemble).items():
        honest = Cell(format_with_error(each.honest_score, each.honest_se), each.honest_score)
        rows.append((Cell(WEIGHTING_NAMES[weighting]), _score(each.score), honest, Cell("")))
    honest = Cell(format_with_error(ensemble.honest_score, ensemble.honest_se), ensemble.honest_score)
    rows.append((Cell("this ensemble"), _score(ensemble.score), honest, Cell("")))
    columns = (TableColumn("blend"), *_number_columns(ensemble.metric, "honest", "gain over it"))
    caption = (
        "The ensemble beside simpler ones; honest scores are cross-fitted, and a gain is the difference of those of "
        f"{ensemble.requested_method} and the blend"
    )
    return ReportTable(caption, columns, tuple(rows), marked=(len(rows) - 1,))


def build_targets(data: ReportData) -> ReportTable | None:
    """Return the scores of the ensemble and the best trial for each of several targets; None for a single target."""
    study, best = data.study, data.complete_trials[:1]
    if not study.targets:
        return None
    ensemble_scores: Mapping[str, float] = {} if data.ensemble is None else data.ensemble.also
    rows = []
    for target, name in zip(study.targets, study.target_scores, strict=True):
        cells = [Cell(target.name), Cell(target.task), Cell(name.removeprefix(f"{target.name}."))]
        scores = [ensemble_scores.get(name), *(trial.also.get(name) for trial in best)]
        rows.append((*cells, *(_score(score) for score in scores)))
    titles = ["ensemble", *(f"best trial, {trial.name}" for trial in best)]
    columns = (TableColumn("target"), TableColumn("task"), TableColumn("metric"), *_number_columns(*titles))
    return ReportTable("The score of each target, out of fold", columns, tuple(rows), sortable=True)


def build_trials(data: ReportData) -> ReportTable:
    """Return every finished trial, best first."""
    also, extra = data.study.also, select_columns(data.trials)
    columns = (
        TableColumn("trial"), TableColumn("state"), *_number_columns(data.study.metric, "± folds", *also),
        *_number_columns(*(column.title for column in extra), "ended after"),
        TableColumn("hyperparameters"), TableColumn("reason"),
    )  # fmt: skip
    rows = tuple(_trial_cells(trial, also, extra, data.end_times.get(trial.key)) for trial in data.trials)
    faint = tuple(index for index, trial in enumerate(data.trials) if trial.state != "complete")
    return ReportTable("Every finished trial, best first", columns, rows, faint=faint, sortable=True)


def _trial_cells(
    trial: TrialRecord, also: Sequence[str], extra: Sequence[TrialColumn], end_time: float | None
) -> tuple[Cell, ...]:
    values = ", ".join(f"{name}={format_parameter(value)}" for name, value in _active(trial).items())
    scores = [_score(trial.score), _score(trial.std, 2), *(_score(trial.also.get(name)) for name in also)]
    numbers = [Cell(column.text(trial), column.value(trial)) for column in extra]
    ended = Cell("–") if end_time is None else _duration(end_time)
    reason = " ".join((trial.reason or "").split())
    cut = reason if len(reason) <= _MAX_REASON else f"{reason[: _MAX_REASON - 1]}…"
    return (Cell(trial.name), Cell(trial.state), *scores, *numbers, ended, Cell(values), Cell(cut))


def build_hyperparameters(data: ReportData) -> list[ReportTable]:
    """Return the hyperparameters of the best trials, one table for each family that has some."""
    tables = []
    for family, trials in data.complete_by_family.items():
        best = trials[:_BEST_TRIALS]
        names = dict.fromkeys(name for trial in best for name in _active(trial))
        if not names:
            continue
        shares = data.importances.get(family, {})
        rows = [
            (
                Cell(name),
                *(Cell(format_parameter(_active(each).get(name, "–"))) for each in best),
                *_share(shares, name),
            )
            for name in sorted(names, key=lambda name: -shares.get(name, 0.0))
        ]
        rows.append((Cell(data.study.metric), *(_score(each.score) for each in best), *([Cell("")] if shares else [])))
        titles = [*(f"#{trial.number}" for trial in best), *(["importance"] if shares else [])]
        caption = f"{family}: its best {'trial' if len(best) == 1 else f'{len(best)} trials'}"
        columns = (TableColumn("hyperparameter"), *_number_columns(*titles))
        tables.append(ReportTable(caption, columns, tuple(rows), marked=(len(rows) - 1,)))
    return tables


def build_columns(data: ReportData) -> ReportTable | None:
    """Return the columns of the data and their types; None for data without columns."""
    rows = tuple((Cell(name), Cell(kind)) for name, kind in data.study.columns.items())
    return ReportTable("Columns of the data", (TableColumn("column"), TableColumn("type")), rows) if rows else None


def count_finished(data: ReportData) -> int:
    """Return the number of trials that count towards a budget: those that did not fail."""
    return sum(trial.state != "failed" for trial in data.trials)


def count_column_types(data: ReportData) -> str:
    """Return the number of columns of each type, as in `7 number, 3 category`."""
    return ", ".join(f"{count} {kind}" for kind, count in Counter(data.study.columns.values()).most_common())


def build_versions(data: ReportData) -> ReportTable | None:
    """Return the versions of the libraries; None where they are unknown."""
    if data.recipe is None:
        return None
    rows = tuple((Cell(name), Cell(version)) for name, version in data.recipe.versions.items())
    columns = (TableColumn("library"), TableColumn("version"))
    return ReportTable("Versions, at the time of this report", columns, rows)


def _number_columns(*titles: str) -> tuple[TableColumn, ...]:
    return tuple(TableColumn(title, number=True) for title in titles)


def _active(trial: TrialRecord) -> dict[str, Any]:
    """Return the hyperparameters whose conditions hold."""
    return {name: value for name, value in trial.hyperparameters.items() if value is not None}


def _share(shares: Mapping[str, float], name: str) -> Iterable[Cell]:
    return [Cell(f"{shares[name]:.0%}" if name in shares else "–", shares.get(name))] if shares else []


def _score(value: float | None, digits: int = 5) -> Cell:
    return Cell(format_number(value) if digits == 5 or value is None else f"{value:.{digits}g}", value)


def _count(count: int) -> Cell:
    return Cell(f"{count:,}", count)


def _duration(seconds: float) -> Cell:
    return Cell(format_duration(seconds), seconds)
