"""Weights of their own for each of several targets: their score is a mean, so each is a blend by itself."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np

from workbench.array import Array
from workbench.ensemble.aggregation import PerOutput
from workbench.ensemble.methods import SECONDS, Blend, find_shared_weights
from workbench.ensemble.multi_target_scorer import expand_thresholds, score_factors, target_weights
from workbench.ensemble.prediction_matrix import PredictionMatrix
from workbench.ensemble.resampling import Labels
from workbench.errors import EnsembleError
from workbench.evaluation.multi_target import MultiTargetMetric

# The share of the time that is for choosing members, where targets together would have too many.
_TO_CHOOSE = 0.5


def blend_per_target(
    bank: PredictionMatrix, *, members: int | None = None, seconds: float | None = None, **options: Any
) -> Blend:
    """Return weights for each target, each by the method and in its part of the time.

    Args:
        bank: the predictions of several targets.
        members: how many models may have weight for any target. Where the targets together would have more, they are
            weighed again among those with most weight over all targets and among those that share weights best.
        seconds: for all targets together; 20 unless given.
        options: as for `blend_bank`, the method among them.

    Raises:
        EnsembleError: a target's metric is not defined on these rows.
    """
    metric = cast("MultiTargetMetric", bank.metric)
    models, began = len(bank.members), time.monotonic()
    end = began + (SECONDS if seconds is None else seconds)
    narrow = members is not None and members < models
    first = began + (_TO_CHOOSE if narrow else 1.0) * (end - began)
    tries = [_blended(bank, metric, np.arange(models), first, {**options, "members": members})]
    taken = tries[0]
    if members is not None and np.count_nonzero(taken.weights) > members:
        heaviest = np.argsort(-taken.weights[bank.order], kind="stable")[:members]
        half = time.monotonic() + (end - time.monotonic()) / 2
        tries.append(_blended(bank, metric, np.sort(heaviest), half, options))
        left = max(1e-3, (end - time.monotonic()) / 2)
        shared = find_shared_weights(bank, **options, members=members, seconds=left)
        chosen = np.flatnonzero(shared.weights[bank.order])
        tries.append(_blended(bank, metric, chosen, end, options))
        taken = min(tries[1:], key=lambda blend: metric.loss_of(blend.score))
        evaluations = shared.evaluations + sum(each.evaluations for each in tries)
        taken = replace(taken, evaluations=evaluations, seconds=time.monotonic() - began)
    return taken


def _blended(
    bank: PredictionMatrix, metric: MultiTargetMetric, models: Labels, end: float, options: dict[str, Any]
) -> Blend:
    """Return weights by target of some of the models."""
    began = time.monotonic()
    found = _each(metric, [part.only(models).settled() for part in bank.parts], end, options)
    weights = np.zeros((len(bank.members), len(found)))
    weights[models] = np.stack([blend.weights for blend in found], axis=1)
    return _together(bank, metric, weights, found, began)


def _each(
    metric: MultiTargetMetric, banks: Sequence[PredictionMatrix], end: float, options: dict[str, Any]
) -> list[Blend]:
    """Return a blend of each target, the time that one leaves being for the next."""
    found = []
    for place, (part, bank) in enumerate(zip(metric.parts, banks, strict=True)):
        seconds = max(1e-3, (end - time.monotonic()) / (len(banks) - place))
        try:
            found.append(find_shared_weights(bank, **options, seconds=seconds))
        except EnsembleError as error:
            raise EnsembleError(f"target {part.target!r}: {error}") from error
    return found


def _together(
    bank: PredictionMatrix, metric: MultiTargetMetric, weights: Array, blends: Sequence[Blend], began: float
) -> Blend:
    """Return the blend of all targets, scored as a whole; its gap is the sum of the targets' gaps, if all have one."""
    joiner = PerOutput.of_targets(metric, [blend.joiner for blend in blends])
    threshold = expand_thresholds(metric, [_single(blend) for blend in blends])
    gaps = [blend.gap for blend in blends]
    apart = np.stack([bank.as_given(own) for own in weights.T], axis=1)
    return Blend(
        weights=apart @ target_weights(metric),
        score=bank.judge.score_at(joiner(bank.members, weights), threshold),
        gap=None if None in gaps else float(score_factors(metric) @ [gap or 0.0 for gap in gaps]),
        seconds=time.monotonic() - began,
        evaluations=sum(blend.evaluations for blend in blends),
        method=blends[0].method,
        threshold=threshold,
        left_out=bank.left_out,
        joiner=joiner,
        order=bank.order,
        whose="target",
        apart=apart,
        several=True,
    )


def _single(blend: Blend) -> float | None:
    """Return the threshold of a blend of one target."""
    return None if isinstance(blend.threshold, tuple) else blend.threshold
