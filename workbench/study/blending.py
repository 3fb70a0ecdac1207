"""Candidates -> an ensemble and its predictions."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from workbench import ensemble
from workbench.ensemble import Assessment, Blend, BlendOptions, EnsembleMember, EnsembleResult, ModelPool
from workbench.ensemble.ensemble_result import DecisionThreshold
from workbench.evaluation import Metric
from workbench.evaluation.multi_target import MultiTargetMetric, SingleTargetMetric
from workbench.models import BASELINE
from workbench.study.candidate_pool import Candidate, Model
from workbench.study.nomination import MOST_BLENDED
from workbench.study.task import Task
from workbench.tracking import Predictions

# The share of the time for finding out what each member contributes.
_DIVERSITY_TIME = 0.15


@dataclass(frozen=True, eq=False)
class BlendedCandidates:
    """An ensemble that is not recorded yet, with its predictions."""

    ensemble: EnsembleResult
    oof: np.ndarray
    test: np.ndarray | None


def blend_candidates(models: Sequence[Model], task: Task, options: BlendOptions) -> BlendedCandidates:
    """Blend candidates; the cross-fitted score is over the task's folds.

    Args:
        models: the candidates, with their predictions.
        task: the target, the metric and the folds.
        options: how weights are found; the time is for all blends together. Weights are always shrunk.

    Raises:
        EnsembleError: the method does not suit the predictions or the metric.
    """
    began, metric, y = time.monotonic(), task.metric, task.dataset.y[task.schema.rows]
    candidates, predictions = _choose(models, metric)
    oof = [each.oof for each in predictions]
    tests = [each.test for each in predictions if each.test is not None]
    blend_time, diversity_time = _split_time(options.seconds)
    options = replace(options, shrink=True, seconds=blend_time)
    pool = _describe_pool(candidates, metric)
    matrix = ensemble.gather_checked(oof, y, metric, options, groups=task.groups, baseline=pool.baseline)
    assessment = ensemble.cross_fit(matrix, options, _folds(task), pool)
    blend = assessment.blend
    weights = blend.effective_weights
    heaviest = [i for i in np.argsort(-blend.weights, kind="stable").tolist() if weights[i].any()]
    diversity = ensemble.diversity(
        [oof[i] for i in heaviest],
        y,
        metric,
        weights[heaviest],
        seed=options.seed,
        seconds=diversity_time,
        names=[candidates[i].name for i in heaviest],
    )
    combined = metric.clip(blend.combine(oof))
    result = replace(
        _result(assessment, candidates, heaviest, task),
        also=score_ensemble(task.also, y, combined, _threshold(blend, metric)),
        diversity=diversity,
        seconds=time.monotonic() - began,
    )
    return BlendedCandidates(result, combined, metric.clip(blend.combine(tests)) if tests else None)


def _choose(models: Sequence[Model], metric: Metric) -> tuple[list[Candidate], list[Predictions]]:
    """Return the candidates to blend, without near copies, and their predictions."""
    scores, families = [each.score for each, _ in models], [each.family for each, _ in models]
    oof = [predictions.oof for _, predictions in models]
    chosen = ensemble.candidates(scores, families, oof, metric.direction, len(models))
    return [models[i][0] for i in chosen], [models[i][1] for i in chosen]


def _describe_pool(candidates: Sequence[Candidate], metric: Metric) -> ModelPool:
    """Return what the blend must know of the candidates; the baseline takes no part by a metric of ranks."""
    families = [candidate.family for candidate in candidates]
    baseline = None if metric.ranks or BASELINE not in families else families.index(BASELINE)
    return ModelPool(families, MOST_BLENDED, baseline)


def _split_time(seconds: float | None) -> tuple[float | None, float | None]:
    """Return the seconds for the blends and for the diversity."""
    return (None, None) if seconds is None else (seconds * (1 - _DIVERSITY_TIME), seconds * _DIVERSITY_TIME)


def _folds(task: Task) -> np.ndarray | None:
    """Return the folds to cross-fit over; None for random ones.

    With repeated folds, a fold of one repeat holds rows of other folds of the next; then rows are assigned at random.
    """
    folds = task.schema.folds
    return folds if task.folds.repeats == 1 and len(np.unique(folds)) > 1 else None


def _result(
    assessment: Assessment, candidates: Sequence[Candidate], heaviest: Sequence[int], task: Task
) -> EnsembleResult:
    """Return what an assessment knows about an ensemble; `heaviest` are its members, heaviest first."""
    blend, metric = assessment.blend, task.metric
    return EnsembleResult(
        method=blend.method,
        metric=metric.name,
        direction=metric.direction,
        score=blend.score,
        members=tuple(_member(candidates[i], i, assessment, task) for i in heaviest),
        honest_score=assessment.honest_score,
        honest_se=assessment.honest_se,
        optimism=assessment.optimism,
        baselines=assessment.baselines,
        requested_method=assessment.requested_method,
        remark=assessment.remark,
        gap=blend.gap,
        aggregation=blend.aggregation,
        weighting=blend.weighting,
        alternatives=assessment.alternatives,
        threshold=_threshold(blend, metric),
        best_single_run_id=candidates[assessment.best_single].run_id,
        candidates=len(candidates),
    )


def score_ensemble(
    metrics: Sequence[Metric], y: np.ndarray, predictions: np.ndarray, threshold: DecisionThreshold
) -> dict[str, float]:
    """Return an ensemble's scores; metrics of labels are computed at its threshold, or that of each target."""
    return {metric.name: metric.score(y, _decide(metric, predictions, threshold)) for metric in metrics}


def _decide(metric: Metric, predictions: np.ndarray, threshold: DecisionThreshold) -> np.ndarray:
    """Return predictions as a metric reads them: labels where it looks at labels and there is a threshold."""
    if not isinstance(threshold, Mapping):
        return ensemble.apply_threshold(predictions, threshold) if metric.wants == "labels" else predictions
    parts = (
        metric.parts
        if isinstance(metric, MultiTargetMetric)
        else (metric.part,)
        if isinstance(metric, SingleTargetMetric)
        else ()
    )
    cuts: list[float | None] = [None] * predictions.shape[1]
    for part in parts:
        if part is not None and part.metric.wants == "labels":
            cuts[part.start] = threshold.get(part.target)
    return ensemble.apply_threshold(predictions, tuple(cuts))


def _threshold(blend: Blend, metric: Metric) -> DecisionThreshold:
    """Return the threshold; for several targets by name."""
    found = blend.threshold
    if not isinstance(metric, MultiTargetMetric):
        return None if isinstance(found, tuple) else found
    return {part.target: found[part.start] if isinstance(found, tuple) else None for part in metric.parts}


def _output_names(blend: Blend, task: Task) -> list[str]:
    """Return the names of the targets or classes that have weights of their own; none for shared weights."""
    if blend.output_weights is None:
        return []
    data = task.dataset
    return [target.name for target in data.targets] or [str(label) for label in data.classes or ()]


def _member(candidate: Candidate, index: int, assessment: Assessment, task: Task) -> EnsembleMember:
    """Return the candidate at an index of the blended ones as a member."""
    blend, errors = assessment.blend, assessment.weights_se
    output_weights = None
    if blend.output_weights is not None:
        names = _output_names(blend, task)
        output_weights = dict(zip(names, blend.output_weights[index].tolist(), strict=True))
    return EnsembleMember(
        run_id=candidate.run_id,
        family=candidate.family,
        name=candidate.name,
        score=candidate.score,
        weight=float(blend.weights[index]),
        weight_se=None if errors is None else float(errors[index]),
        output_weights=output_weights,
        study=candidate.study,
        run_ids=candidate.run_ids,
    )
