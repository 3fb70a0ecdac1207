"""The task of a study, its key results and what is proven about them, in sentences."""

from __future__ import annotations

from dataclasses import dataclass

from workbench.errors import format_list
from workbench.report.formatting import count_noun, format_duration, format_number, format_with_error
from workbench.report.report_data import ReportData


@dataclass(frozen=True)
class KeyResult:
    """A number at the top of the report, and what it is a number of."""

    name: str
    value: str
    description: str
    remark: str = ""


def describe_task(data: ReportData) -> str:
    """Return the target, the data, the metric and the folds as sentences."""
    study = data.study
    test = "" if study.test_rows is None else f", {study.test_rows:,} to predict"
    classes = "" if study.classes is None or study.task == "binary" else f" of {len(study.classes)} classes"
    target = format_list([target.name for target in study.targets], 6) if study.targets else study.target
    return (
        f"Predict {target} ({study.task}{classes}) from {study.source}: {count_noun(study.rows, 'row')}{test}. "
        f"Scored by {study.metric}, {'lower' if data.sign > 0 else 'higher'} is better; {study.folds}."
    )


def list_key_results(data: ReportData) -> list[KeyResult]:
    """Return the best single model, the ensemble and the number of trials."""
    return [_best_model(data), _ensemble(data), _trials(data)]


def _best_model(data: ReportData) -> KeyResult:
    if not data.complete_trials:
        return KeyResult("Best single model", "–", "no trial is complete yet")
    best = data.complete_trials[0]
    remarks = [] if best.std is None else [f"± {best.std:.2g} over the folds"]
    if data.ensemble is not None and data.ensemble.candidates > 1:
        # The score of the best of many models is optimistic; only its cross-fitted score compares with the ensemble's.
        cross_fitted = format_number(data.ensemble.baselines["best"].honest_score)
        remarks.append(f"honest, as a choice among many: {cross_fitted}")
    return KeyResult("Best single model", format_number(best.score), best.name, "; ".join(remarks))


def _ensemble(data: ReportData) -> KeyResult:
    ensemble = data.ensemble
    if ensemble is None:
        return KeyResult("Ensemble", "–", "none is made yet")
    members, candidates = len(ensemble.members), ensemble.candidates
    description = f"honest score of {members} of {candidates} models" if candidates > 1 else "of the only model"
    value = format_with_error(ensemble.honest_score, ensemble.honest_se)
    return KeyResult("Ensemble", value, description, describe_gain(data))


def describe_gain(data: ReportData) -> str:
    """Return a sentence on what is taken and why; in ensembles of older versions, on the gain that there is."""
    ensemble = data.ensemble
    if ensemble is None or ensemble.candidates < 2:
        return ""
    if ensemble.remark:
        return ensemble.remark
    best = ensemble.baselines["best"]
    error = "" if best.gain_se is None else f" ± {best.gain_se:.2g}"
    return f"Better than the best single model by {best.gain:.2g}{error}."


def _trials(data: ReportData) -> KeyResult:
    counts = {state: sum(trial.state == state for trial in data.trials) for state in ("complete", "pruned", "failed")}
    parts = [f"{count} {state}" for state, count in counts.items() if count]
    parts += [f"{data.unfinished_trials} under way or waiting"] if data.unfinished_trials else []
    seconds = max(data.end_times.values(), default=0.0)
    remark = f"{format_duration(seconds)} of search" if seconds else ""
    return KeyResult("Trials", f"{len(data.trials):,}", ", ".join(parts), remark)


def explain_certificate(data: ReportData) -> str:
    """Return a sentence on the proven bound of the ensemble's score; empty without an ensemble."""
    ensemble = data.ensemble
    if ensemble is None:
        return ""
    if ensemble.gap is None:
        return (
            f"No certificate exists for {ensemble.metric} with the method {ensemble.method}: other weights of "
            "the same candidates may be better."
        )
    return (
        f"No other weights of the same candidates can be better by more than {ensemble.gap:.2g} "
        f"{ensemble.metric} on these rows; that is proven, not estimated."
    )


def explain_cross_fitting(data: ReportData) -> str:
    """Return sentences on the ensemble's two scores; empty without an ensemble."""
    ensemble = data.ensemble
    if ensemble is None:
        return ""
    return (
        f"On the rows that its weights were fitted to, the ensemble scores {format_number(ensemble.score)}. The honest "
        f"score, {format_with_error(ensemble.honest_score, ensemble.honest_se)}, is cross-fitted: each fold is scored "
        "with models and weights that were chosen on the other folds, and the score is corrected for the decision "
        "between blends; ± is one standard error over resampled rows."
    )


def introduce_architectures(data: ReportData) -> str:
    """Return a sentence on the selection of nets."""
    selection = (
        "The best trial of each family that has a net."
        if data.ensemble is None
        else "The members of the ensemble that have nets, the heaviest first."
    )
    return f"{selection} Each is the model of the last fold, as Keras draws it or lists its layers."
