"""Separate weights for each of several targets: the score is a mean over targets, so each is a blend by itself."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import cast

import numpy as np

from workbench.array import Array
from workbench.ensemble.aggregation import PerOutput
from workbench.ensemble.multi_target_scorer import expand_thresholds, score_factors, target_weights
from workbench.ensemble.options import SECONDS, BlendOptions
from workbench.ensemble.prediction_matrix import PredictionMatrix
from workbench.ensemble.resampling import Labels
from workbench.ensemble.shared_weights import Blend, find_shared_weights
from workbench.errors import EnsembleError
from workbench.evaluation.multi_target import MultiTargetMetric

# The share of the time for choosing members, where the targets together would have too many.
_CHOICE_SHARE = 0.5


def blend_per_target(matrix: PredictionMatrix, options: BlendOptions) -> Blend:
    """Return weights for each target, each by the method and in its part of the time.

    `options.members` limits the models that have weight for any target. Where the targets together would have more,
    they are blended again among those with most weight over all targets, and among those that share weights best; the
    better of the two is returned.

    Args:
        matrix: the predictions of several targets.
        options: as for `blend`; the time is for all targets together.

    Raises:
        EnsembleError: a target's metric is not defined on these rows.
    """
    metric, members = cast("MultiTargetMetric", matrix.metric), options.members
    models, began = len(matrix.members), time.monotonic()
    end = began + (SECONDS if options.seconds is None else options.seconds)
    narrow = members is not None and members < models
    first = began + (_CHOICE_SHARE if narrow else 1.0) * (end - began)
    free = _blend_models(matrix, np.arange(models), first, options)
    if members is None or np.count_nonzero(free.weights) <= members:
        return free
    unlimited = replace(options, members=None)
    heaviest = np.argsort(-free.weights[matrix.order], kind="stable")[:members]
    half = time.monotonic() + (end - time.monotonic()) / 2
    by_weight = _blend_models(matrix, np.sort(heaviest), half, unlimited)
    left = max(1e-3, (end - time.monotonic()) / 2)
    shared = find_shared_weights(matrix, replace(options, seconds=left))
    by_shared = _blend_models(matrix, np.flatnonzero(shared.weights[matrix.order]), end, unlimited)
    best = min((by_weight, by_shared), key=lambda blend: metric.loss_of(blend.score))
    evaluations = sum(each.evaluations for each in (shared, free, by_weight, by_shared))
    return replace(best, evaluations=evaluations, seconds=time.monotonic() - began)


def _blend_models(matrix: PredictionMatrix, models: Labels, end: float, options: BlendOptions) -> Blend:
    """Return weights by target of some of the models."""
    began = time.monotonic()
    blends = _blend_targets([part.select_models(models).canonical() for part in matrix.parts], matrix, end, options)
    weights = np.zeros((len(matrix.members), len(blends)))
    weights[models] = np.stack([blend.weights for blend in blends], axis=1)
    return _combine(matrix, weights, blends, began)


def _blend_targets(
    parts: Sequence[PredictionMatrix], matrix: PredictionMatrix, end: float, options: BlendOptions
) -> list[Blend]:
    """Return a blend of each target; time that one leaves is for the next."""
    metric = cast("MultiTargetMetric", matrix.metric)
    blends = []
    for place, (target, part) in enumerate(zip(metric.parts, parts, strict=True)):
        seconds = max(1e-3, (end - time.monotonic()) / (len(parts) - place))
        try:
            blends.append(find_shared_weights(part, replace(options, seconds=seconds)))
        except EnsembleError as error:
            raise EnsembleError(f"target {target.target!r}: {error}") from error
    return blends


def _combine(matrix: PredictionMatrix, weights: Array, blends: Sequence[Blend], began: float) -> Blend:
    """Return the blend of all targets, scored as a whole; its gap is the sum of the targets' gaps, if all have one."""
    metric = cast("MultiTargetMetric", matrix.metric)
    aggregation = PerOutput.of_targets(metric, [blend.aggregation for blend in blends])
    threshold = expand_thresholds(metric, [_single_threshold(blend) for blend in blends])
    gaps = [blend.gap for blend in blends]
    output_weights = np.stack([matrix.restore_order(column) for column in weights.T], axis=1)
    return Blend(
        weights=output_weights @ target_weights(metric),
        score=matrix.scorer.score_at(aggregation(matrix.members, weights), threshold),
        gap=None if None in gaps else float(score_factors(metric) @ [gap or 0.0 for gap in gaps]),
        seconds=time.monotonic() - began,
        evaluations=sum(blend.evaluations for blend in blends),
        method=blends[0].method,
        threshold=threshold,
        left_out=matrix.left_out,
        aggregation=aggregation,
        order=matrix.order,
        weighting="target",
        output_weights=output_weights,
        multi_target=True,
    )


def _single_threshold(blend: Blend) -> float | None:
    """Return the threshold of a blend of one target."""
    return None if isinstance(blend.threshold, tuple) else blend.threshold
