"""The training lengths of a trial: the numbers of boosting rounds or epochs after which its models predict.

Early stopping finds the length with the lowest loss on a fold's validation rows. A score of these rows at this length
is too good: on 400 rows of pure noise, the mean ROC AUC of boosted trees is 0.54, and 0.57 for a mean of eight models.
So the rows of a fold are predicted with the mean length of the other folds, and new rows with the mean of all. A single
fold is divided in halves, and each half is predicted with the length that is best for the other one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from workbench import models
from workbench.array import Array
from workbench.errors import EvaluationError
from workbench.evaluation import splitters
from workbench.models.protocol import Model, StagedModel
from workbench.trial.result import mean_length
from workbench.trial.spec import TrialSpec

# The number of lengths that are compared on the halves of a single fold.
_COMPARED = 12
# The most by which the number of rounds grows for training on all rows; folds may hold a small part of them.
_MOST_GROWTH = 2.0

PredictStages = Callable[[StagedModel, Array, Sequence[int]], Sequence[Array]]
"""Receives a model, the indices of training rows, and lengths in ascending order; returns the predictions of the rows
after each length, in the target's own units."""


def truncate(model: Model, length: int | None) -> Model:
    """Return the model after a number of rounds or epochs; a model without stages, or without a length, as it is."""
    return model.truncate(length) if length is not None and isinstance(model, StagedModel) else model


def predict_validation_rows(
    spec: TrialSpec,
    fold: tuple[int, int],
    model: StagedModel,
    *,
    others: Sequence[int | None],
    curve: Mapping[str, Sequence[float]],
    predict: PredictStages,
) -> Array:
    """Return the predictions of a fold's validation rows with a length that these rows did not choose.

    Args:
        spec: the folds, the metric and the data.
        fold: the repeat and the fold.
        model: the model of the fold, with its stages.
        others: the best lengths of the other folds of the repeat, which choose; those of other repeats hold some of the
            rows.
        curve: the curve of the fold's training.
        predict: predicts rows after several lengths.
    """
    rows = spec.folds.split(*fold)[1]
    length = mean_length(others)
    if length is not None:
        return predict(model, rows, [length])[0]
    longest = max(int(curve["epoch"][-1]) + 1, model.length)
    return _predict_halves(spec, rows, model, longest, predict)


def read_length(curves: Mapping[tuple[int, int], Mapping[str, Sequence[float]]]) -> int | None:
    """Return the mean of the folds' best numbers of epochs or rounds, as their curves show them.

    It serves trials whose record has no length: those of families without stages, and those of earlier versions.

    Args:
        curves: the curves of the trial's folds; without a validation loss in them the result is None.
    """
    return mean_length([c["epoch"][int(np.nanargmin(c["val_loss"]))] + 1 for c in curves.values() if "val_loss" in c])


def extrapolate_length(spec: TrialSpec, length: int | None) -> int | None:
    """Return the length for training on all rows, given the mean length of the folds.

    Boosting rounds grow with the number of rows. A net's epochs do not, because each has more steps then.
    """
    if length is None or models.get_entry(spec.resolved_family).keras:
        return length
    fold_rows = np.mean([len(spec.folds.split(repeat, fold)[0]) for repeat, fold in spec.folds.pairs()])
    return max(1, round(length * min(len(spec.dataset.y) / float(fold_rows), _MOST_GROWTH)))


def _predict_halves(spec: TrialSpec, rows: Array, model: StagedModel, longest: int, predict: PredictStages) -> Array:
    """Return the predictions of a single fold's rows: each half with the length that is best for the other half."""
    first = _divide(spec, rows)
    lengths = sorted({max(1, round(longest * step / _COMPARED)) for step in range(1, _COMPARED + 1)})
    stages = predict(model, rows, lengths)
    try:
        best = [_find_best(spec, rows, stages, half) for half in (first, ~first)]
    except EvaluationError:
        # The metric may not be defined on a half, as without all classes.
        return predict(model, rows, [model.length])[0]
    of_first, of_second = (stages[index] for index in best)
    return np.where(first.reshape(-1, *[1] * (of_first.ndim - 1)), of_second, of_first)


def _divide(spec: TrialSpec, rows: Array) -> Array:
    """Return which rows are in the first half: groups stay whole, and with folds in order of time it is the earlier."""
    if spec.folds.order is not None:
        order = spec.folds.order[rows]
        return np.asarray(order <= np.median(order))
    groups = spec.dataset.groups
    clusters = np.arange(len(rows))
    if groups is not None:
        clusters = np.unique(splitters.encode_groups(groups)[rows], return_inverse=True)[1]
    chosen = np.random.default_rng(spec.seed).permutation(clusters.max() + 1) % 2 == 0
    return np.asarray(chosen[clusters])


def _find_best(spec: TrialSpec, rows: Array, stages: Sequence[Array], half: Array) -> int:
    """Return the index of the stage whose predictions score best on a half of the rows."""
    y = spec.dataset.y[rows][half]
    losses = [spec.metric.loss_of(spec.metric.score(y, stage[half])) for stage in stages]
    if not np.isfinite(losses).any():
        raise EvaluationError(f"{spec.metric.name} is not defined on the rows.")
    return int(np.nanargmin(losses))
