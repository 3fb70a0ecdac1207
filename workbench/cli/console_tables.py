"""Tables for the terminal: leaderboard, ensemble and diversity."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from rich.table import Table

from workbench.report.formatting import format_duration, format_number
from workbench.report.report_tables import BASELINE_NAMES, WEIGHTING_NAMES, list_alternatives
from workbench.report.trial_columns import select_columns

if TYPE_CHECKING:
    from workbench.ensemble import EnsembleMember, EnsembleResult
    from workbench.ensemble.diversity import Diversity
    from workbench.ensemble.ensemble_result import DecisionThreshold
    from workbench.search.storage import TrialRecord

# A member's weights for more outputs than these are shown as their range.
_MAX_OUTPUTS = 8
_RANGE = "from – to"
# The most further scores beside a trial's own; the report and MLflow have all.
_MAX_SCORES = 4
_MAX_STATE = 60


def leaderboard(rows: Sequence[TrialRecord], *, metric: str, most: int | None = None) -> Table:
    """Return the trials, best first; `most` limits them, and the caption gives the number of the others."""
    also, extra = _also(rows), select_columns(rows)
    shown = rows if most is None else rows[:most]
    rest = f"{len(rows) - len(shown)} more: workbench leaderboard" if len(shown) < len(rows) else None
    table = Table(title="Leaderboard", caption=rest, title_justify="left", caption_justify="left")
    table.add_column("#", justify="right")
    table.add_column("trial", no_wrap=True)
    table.add_column(metric, justify="right", style="bold")
    table.add_column("± folds", justify="right")
    for name in also:
        table.add_column(name, justify="right")
    for column in extra:
        table.add_column(column.title, justify="right", no_wrap=True)
    table.add_column("state")
    for rank, trial in enumerate(shown, 1):
        state = trial.state if trial.reason is None else f"{trial.state}: {trial.reason}"
        scores = [format_number(score) for score in (trial.score, trial.std, *(trial.also.get(name) for name in also))]
        numbers = [column.text(trial) for column in extra]
        style = "dim" if trial.state != "complete" else None
        table.add_row(str(rank), trial.name, *scores, *numbers, state[:_MAX_STATE], style=style)
    return table


def _also(rows: Sequence[TrialRecord]) -> list[str]:
    """Return the names of the further scores; of too many for a terminal, the first that are not of one target."""
    names = list(dict.fromkeys(name for row in rows for name in row.also))
    return names if len(names) <= _MAX_SCORES else [name for name in names if "." not in name][:_MAX_SCORES]


def by_family(rows: Sequence[TrialRecord], *, metric: str) -> Table:
    """Return the best trial of each family, and the number of its trials."""
    table = Table(title="Best of each family", title_justify="left")
    also = _also(rows)
    table.add_column("family", no_wrap=True)
    table.add_column(metric, justify="right", style="bold")
    table.add_column("± folds", justify="right")
    for name in also:
        table.add_column(name, justify="right")
    for heading in ("trials", "pruned", "failed", "time"):
        table.add_column(heading, justify="right", no_wrap=True)
    for family in dict.fromkeys(row.family for row in rows):
        trials = [row for row in rows if row.family == family]
        best = trials[0]
        counts = [sum(trial.state == state for trial in trials) for state in ("complete", "pruned", "failed")]
        scores = [format_number(score) for score in (best.score, best.std, *(best.also.get(name) for name in also))]
        table.add_row(family, *scores, *map(str, counts), format_duration(sum(trial.seconds for trial in trials)))
    return table


def ensemble(result: EnsembleResult, *, details: bool = False) -> Table:
    """Return an ensemble's members and its score, with a sentence on what is taken.

    Args:
        result: the ensemble.
        details: whether the scores of simpler blends, the decision threshold and the certificate are shown too.
    """
    outputs = _outputs(result)
    remarks = _remarks(result, details=details)
    table = Table(
        title=_title(result, outputs), caption="\n".join(remarks), title_justify="left", caption_justify="left"
    )
    table.add_column("mean weight" if outputs else "weight", justify="right")
    table.add_column("member", no_wrap=True)
    for name in outputs:
        table.add_column(name, justify="right")
    table.add_column(result.metric, justify="right")
    table.add_column("honest", justify="right")
    for member in result.members:
        weight_error = "" if member.weight_se is None else f" ± {member.weight_se:.3f}"
        weights = _output_weights(member, outputs)
        table.add_row(f"{member.weight:.3f}{weight_error}", member.name, *weights, format_number(member.score))
    table.add_section()
    empty = [""] * len(outputs)
    for name, score, cross_fitted, error in _comparisons(result) if details else ():
        table.add_row("", name, *empty, format_number(score), format_number(cross_fitted) + _error(error), style="dim")
    honest = format_number(result.honest_score) + _error(result.honest_se)
    table.add_row("", "this ensemble", *empty, format_number(result.score), honest, style="bold")
    for name, value in result.also.items():
        table.add_row("", f"… {name}", *empty, format_number(value))
    for name, threshold in _thresholds(result.threshold) if details else ():
        table.add_row("", name, *empty, format_number(threshold), style="dim")
    if details and result.gap is not None:
        table.add_row("", "gap to the best weights", *empty, f"≤ {result.gap:.2g}", style="dim")
    return table


def _title(result: EnsembleResult, outputs: Sequence[str]) -> str:
    count, candidates = len(result.members), result.candidates
    members = f"{count} of {candidates} trials" if candidates > 1 else "the only complete trial"
    return f"Ensemble ({result.method}, {members}{', ' + WEIGHTING_NAMES[result.weighting] if outputs else ''})"


def _remarks(result: EnsembleResult, *, details: bool) -> list[str]:
    remarks = [result.remark] if result.remark else []
    if details and result.gap is None:
        remarks.append("No certificate exists for this metric and method.")
    return remarks


def _outputs(result: EnsembleResult) -> list[str]:
    """Return the columns of weights by target or class; for many outputs, a single one for their range."""
    names = list(result.members[0].output_weights or ())
    return names if len(names) <= _MAX_OUTPUTS else [_RANGE]


def _output_weights(member: EnsembleMember, outputs: Sequence[str]) -> list[str]:
    weights = member.output_weights
    if not outputs or weights is None:
        return []
    if list(outputs) == [_RANGE]:
        return [f"{min(weights.values()):.3f} – {max(weights.values()):.3f}"]
    return [f"{weights[name]:.3f}" for name in outputs]


def _comparisons(result: EnsembleResult) -> Iterator[tuple[str, float | None, float | None, float | None]]:
    """Yield simpler blends and other weightings: name, score, cross-fitted score and its standard error."""
    for key, name in BASELINE_NAMES.items():
        if key in result.baselines:
            baseline = result.baselines[key]
            yield name, baseline.score, baseline.honest_score, None
    for weighting, each in list_alternatives(result).items():
        yield WEIGHTING_NAMES[weighting], each.score, each.honest_score, each.honest_se


def _error(error: float | None) -> str:
    return "" if error is None else f" ± {error:.2g}"


def _thresholds(threshold: DecisionThreshold) -> list[tuple[str, float]]:
    """Return decision thresholds by name; for several targets, the first few that have one."""
    if not isinstance(threshold, Mapping):
        return [] if threshold is None else [("threshold of class 1", threshold)]
    return [(f"threshold of {name}", value) for name, value in threshold.items() if value is not None][:_MAX_OUTPUTS]


def diversity(found: Diversity) -> Table:
    """Return how an ensemble's members differ and what each contributes."""
    figures = ("contribution", "error_correlation", "disagreement")
    caption = [f"{name.replace('_', ' ')}: {found.measures[name]}" for name in figures]
    caption.append("error correlation and disagreement are a member's means over the others")
    if not all(member.reoptimised for member in found.members) and len(found.members) > 1:
        caption.append("* time ran out: the weights of the others were scaled up, not fitted again")
    if found.ambiguity is not None:
        mean, gain, loss = map(
            format_number,
            (found.ambiguity.mean_member_loss, found.ambiguity.ambiguity, found.ambiguity.ensemble_loss),
        )
        caption.append(
            f"ambiguity, of {found.ambiguity.measure}: members' mean {mean} - ambiguity {gain} = ensemble {loss}"
        )
    table = Table(title="Diversity", caption="\n".join(caption), title_justify="left", caption_justify="left")
    table.add_column("weight", justify="right")
    table.add_column("member", no_wrap=True)
    for name in figures:
        table.add_column(name.replace("_", " "), justify="right")
    for member in found.members:
        contribution = "–" if member.contribution is None else f"{member.contribution:+.2g}"
        star = "" if member.reoptimised or member.contribution is None else "*"
        means = [format_number(mean) for mean in (member.mean_error_correlation, member.mean_disagreement)]
        table.add_row(f"{member.weight:.3f}", member.name, contribution + star, *means)
    return table
