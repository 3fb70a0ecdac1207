"""The fits behind a cross-fitted score: each blend is fitted to all rows, and to all folds but one."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from workbench.array import Array
from workbench.ensemble.blend import fit_blend
from workbench.ensemble.decision import CONSTANT, BlendKey
from workbench.ensemble.model_pool import ModelPool
from workbench.ensemble.options import BlendOptions
from workbench.ensemble.prediction_matrix import PredictionMatrix
from workbench.ensemble.regularization import MANY_ROWS
from workbench.ensemble.resampling import Labels
from workbench.ensemble.scorer import apply_threshold
from workbench.ensemble.shared_weights import Blend

# The share of what is left of a fit's time that the next blend may use; the last may use all.
_SHARE = 0.6


@dataclass(frozen=True, eq=False)
class CrossFit:
    """A blend of all rows, and what the same procedure gives on all folds but one."""

    blend: Blend
    predictions: Array
    """The prediction of each row by the blend of the other folds, shaped as a member's; labels where a threshold
    decides."""
    weights: Array
    """(folds, models) the weights without each fold."""

    @property
    def weights_se(self) -> Array:
        """(models,) the standard error of each weight, by the jackknife over folds (Efron and Stein, 1981)."""
        folds = len(self.weights)
        errors: Array = np.sqrt((folds - 1) * self.weights.var(axis=0))
        return errors


def fit_all(
    matrix: PredictionMatrix,
    folds: Labels,
    pool: ModelPool,
    options: BlendOptions,
    keys: Sequence[BlendKey],
    end: float,
) -> dict[BlendKey, CrossFit]:
    """Return the cross-fit of each of some blends.

    Args:
        matrix: the predictions of all models.
        folds: (rows,) numbers from 0.
        pool: the choice of models, which is made anew for each fold from the rows of the others.
        options: how weights are found; `method` and `weighting` are those of each key.
        keys: the blends; the first has most of the time.
        end: the end in seconds of `time.monotonic`, after which each fit at least begins.
    """
    # All fits are alike: a fold must not be shrunk where the whole is not.
    options = replace(options, shrink=options.shrink and len(matrix.y) <= MANY_ROWS)
    count, by_index = int(folds.max()) + 1, dict(zip(matrix.order.tolist(), matrix.members, strict=True))
    whole = _fit_rows(matrix, pool, options, keys, end, count + 1)
    predictions = {key: np.empty(matrix.members[0].shape) for key in keys}
    weights: dict[BlendKey, list[Array]] = {key: [] for key in keys}
    for number in range(count):
        held = folds == number
        fitted = _fit_rows(matrix.select_rows(~held), pool, options, keys, end, count - number)
        for key, blend in fitted.items():
            members = [by_index[index][held] for index in blend.order.tolist()]
            combined = blend.aggregation(members, blend.effective_weights[blend.order])
            predictions[key][held] = apply_threshold(combined, blend.threshold)
            weights[key].append(blend.weights)
    return {key: CrossFit(whole[key], predictions[key], np.array(weights[key])) for key in keys}


def _fit_rows(
    matrix: PredictionMatrix, pool: ModelPool, options: BlendOptions, keys: Sequence[BlendKey], end: float, fits: int
) -> dict[BlendKey, Blend]:
    """Return the blends of the rows of a matrix, in one of `fits` equal parts of the time that is left."""
    part = _Part(matrix, pool)
    until = time.monotonic() + (end - time.monotonic()) / fits
    blends = {}
    for place, key in enumerate(keys):
        share = 1.0 if place == len(keys) - 1 else _SHARE
        seconds = max(1e-3, share * (until - time.monotonic()))
        blends[key] = part.fit(key, replace(options, seconds=seconds))
    return blends


class _Part:
    """The rows of one fit, and the models that are chosen by them."""

    def __init__(self, matrix: PredictionMatrix, pool: ModelPool) -> None:
        self._matrix = matrix
        self._baseline = pool.find_baseline(matrix)
        self._chosen = pool.choose(matrix)
        self._parts: dict[bytes, PredictionMatrix] = {}

    def fit(self, key: BlendKey, options: BlendOptions) -> Blend:
        """Return a blend, with weights and order in the caller's order of models."""
        models = self._select(key)
        # Blends of the same models share what is computed once from them.
        part = self._parts.setdefault(models.tobytes(), self._matrix.select_models(models))
        method, weighting = ("best", key[1]) if key == CONSTANT else key
        blend = fit_blend(part, replace(options, method=method, weighting=weighting))
        order = self._matrix.order[models]
        return replace(
            blend,
            weights=self._place(blend.weights, models),
            output_weights=None if blend.output_weights is None else self._place(blend.output_weights, models),
            order=order[blend.order],
            left_out=self._matrix.left_out,
        )

    def _select(self, key: BlendKey) -> Labels:
        """Return the models of a blend: the baseline alone, or those chosen, without it for the uniform mean."""
        if self._baseline is None:
            return self._chosen
        if key == CONSTANT:
            return np.array([self._baseline])
        informed = self._chosen[self._chosen != self._baseline]
        return informed if key[0] == "uniform" and len(informed) else self._chosen

    def _place(self, weights: Array, models: NDArray[np.intp]) -> Array:
        """Return the weights of some members as weights of the caller's models."""
        placed = np.zeros((len(self._matrix.members) + len(self._matrix.left_out), *weights.shape[1:]))
        placed[self._matrix.order[models]] = weights
        return placed
