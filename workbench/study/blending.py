"""Candidates -> an ensemble and its predictions."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from workbench import ensemble
from workbench.ensemble import Assessment, Blend, EnsembleMember, EnsembleResult, Whose
from workbench.ensemble.result import DecisionThreshold
from workbench.evaluation import Metric
from workbench.evaluation.multi_target import MultiTargetMetric, SingleTargetMetric
from workbench.study.candidate_pool import Candidate, Model
from workbench.study.task import Task

# The share of the time in which is found out what each member adds.
_TO_EXPLAIN = 0.15


def blend_candidates(
    models: Sequence[Model],
    task: Task,
    *,
    method: str,
    weights: Whose | None,
    members: int,
    simplify: bool | None,
    seed: int,
    seconds: float | None,
) -> tuple[EnsembleResult, np.ndarray, np.ndarray | None]:
    """Blend candidates; return the ensemble, the out-of-fold and the test predictions.

    Args:
        models: the candidates, with their predictions.
        task: says what is predicted, and how well; the honest score is cross-fitted over its folds.
        method: how weights are found.
        weights: whether members have one each, or one for each target or class; as is better unless given.
        members: the most members.
        simplify: whether a simpler blend is taken where it is as good; on few rows unless given.
        seed: of the blends.
        seconds: how long the blends may take together.
    """
    began = time.monotonic()
    metric, vault = task.metric, task.schema
    y = task.dataset.y[vault.rows]
    scores, families = [each.score for each, _ in models], [each.family for each, _ in models]
    chosen = ensemble.candidates(scores, families, [found.oof for _, found in models], metric.direction, len(models))
    rows, predictions = [models[i][0] for i in chosen], [models[i][1] for i in chosen]
    oof, tests = [found.oof for found in predictions], [found.test for found in predictions if found.test is not None]
    shares = (None, None) if seconds is None else (seconds * (1 - _TO_EXPLAIN), seconds * _TO_EXPLAIN)
    options: dict[str, Any] = {"method": method, "members": members, "seed": seed, "seconds": shares[0]}
    options |= {"fold": _fold(task), "groups": task.groups, "shrink": True, "simplify": simplify}
    result = ensemble.assess(oof, y, metric, weights=weights, **options)
    every = result.blend.weights if result.blend.apart is None else result.blend.apart
    joined = result.blend.combine(oof)
    heaviest = [i for i in np.argsort(-result.blend.weights, kind="stable").tolist() if every[i].any()]
    names, shown = [rows[i].name for i in heaviest], [oof[i] for i in heaviest]
    explained = ensemble.diversity(shown, y, metric, every[heaviest], seed=seed, seconds=shares[1], names=names)
    threshold = _threshold(result.blend, metric)
    made = EnsembleResult(
        method=result.blend.method,
        metric=metric.name,
        direction=metric.direction,
        score=result.blend.score,
        members=tuple(_member(rows[i], i, result, task) for i in heaviest),
        honest_score=result.honest_score,
        honest_se=result.honest_se,
        optimism=result.optimism,
        baselines=result.rivals,
        requested_method=result.asked,
        remark=result.remark,
        gap=result.blend.gap,
        aggregation=result.blend.joiner,
        weighting=result.blend.whose,
        alternatives=result.alternatives,
        threshold=threshold,
        best_single_run_id=rows[result.best_single].run_id,
        also=score_ensemble(task.also, y, joined, threshold),
        candidates=len(rows),
        diversity=explained,
        seconds=time.monotonic() - began,
    )
    return made, joined, result.blend.combine(tests) if tests else None


def _fold(task: Task) -> np.ndarray | None:
    """Return the folds to cross-fit over; None where rows are to be dealt.

    Where rows are dealt repeatedly a fold holds rows that are elsewhere in another deal; then whole rows are dealt.
    """
    folds = task.schema.folds
    return folds if task.folds.repeats == 1 and len(np.unique(folds)) > 1 else None


def score_ensemble(
    metrics: Sequence[Metric], y: np.ndarray, joined: np.ndarray, threshold: DecisionThreshold
) -> dict[str, float]:
    """Return an ensemble's scores; its threshold, of several targets each one's, decides for metrics of labels."""
    return {metric.name: metric.score(y, _decided(metric, joined, threshold)) for metric in metrics}


def _decided(metric: Metric, joined: np.ndarray, threshold: DecisionThreshold) -> np.ndarray:
    """Return predictions as a metric is to read them: labels where it looks at labels and a threshold decides."""
    if not isinstance(threshold, Mapping):
        return ensemble.apply_threshold(joined, threshold) if metric.wants == "labels" else joined
    parts = (
        metric.parts
        if isinstance(metric, MultiTargetMetric)
        else (metric.part,)
        if isinstance(metric, SingleTargetMetric)
        else ()
    )
    cuts: list[float | None] = [None] * joined.shape[1]
    for part in parts:
        if part is not None and part.metric.wants == "labels":
            cuts[part.start] = threshold.get(part.target)
    return ensemble.apply_threshold(joined, tuple(cuts))


def _threshold(blend: Blend, metric: Metric) -> DecisionThreshold:
    """Return the threshold that decides about labels; of several targets, that of each by name."""
    found = blend.threshold
    if not isinstance(metric, MultiTargetMetric):
        return None if isinstance(found, tuple) else found
    return {part.target: found[part.start] if isinstance(found, tuple) else None for part in metric.parts}


def _parts(blend: Blend, task: Task) -> list[str]:
    """Return what the weights of a member are for: the targets' or the classes' names; none where it has one weight."""
    if blend.apart is None:
        return []
    data = task.dataset
    return [target.name for target in data.targets] or [str(label) for label in data.classes or ()]


def _member(candidate: Candidate, place: int, result: Assessment, task: Task) -> EnsembleMember:
    """Return the member that the candidate is at a place among those that were blended."""
    blend, spread, parts = result.blend, result.weights_se, _parts(result.blend, task)
    own = None if blend.apart is None else dict(zip(parts, blend.apart[place].tolist(), strict=True))
    error = None if spread is None else float(spread[place])
    return EnsembleMember(
        run_id=candidate.run_id,
        family=candidate.family,
        name=candidate.name,
        score=candidate.score,
        weight=float(blend.weights[place]),
        weight_se=error,
        output_weights=own,
        study=candidate.study,
        run_ids=candidate.run_ids,
    )
