"""The scores of cross-fitted predictions, on all rows and on resampled ones, and their standard errors.

Resampled rows show by how much a score of given predictions varies. Out-of-fold predictions vary as well: a row is in
the training of the models that predict other rows, and these in the training of the model that predicts it. Every pair
of rows counts twice. This doubles the variance of the score where the predictions are only training noise (a
degenerate U-statistic: Hoeffding, 1948; on the variance of cross-validation: Bengio and Grandvalet, 2004). The share of
training noise in the variance of the predictions is one less the slope of the regression of the target on them. The
slope is taken one standard error lower, because what chance adds to the score it adds to the slope as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from workbench.array import Array
from workbench.ensemble.prediction_matrix import PredictionMatrix
from workbench.ensemble.resampling import BootstrapSample


@dataclass(frozen=True, eq=False)
class CrossFittedScores:
    """The score of cross-fitted predictions, on all rows and on resamples."""

    score: float
    loss: float
    """The score as a number to minimise."""
    resampled: Array
    """(resamples,) the score on each resample; NaN where it is not defined."""
    sign: int
    """1 where low scores are good, -1 where high ones are."""
    share: float
    """The rows of a resample over all rows, by which its spread is scaled."""
    noise: float = 0.0
    """The share of training noise in the variance of the predictions, from 0 to 1."""

    @classmethod
    def of(
        cls, matrix: PredictionMatrix, predictions: Array, resamples: Sequence[BootstrapSample]
    ) -> CrossFittedScores:
        """Return the scores of predictions."""
        score, scorer = score_predictions(matrix, predictions), matrix.plain_scorer
        resampled = [scorer.subset(each.rows).score(predictions[each.rows]) for each in resamples]
        sign = 1 if matrix.metric.direction == "minimize" else -1
        noise = _estimate_noise(*_to_columns(matrix, predictions), resamples)
        return cls(score, matrix.metric.loss_of(score), np.array(resampled), sign, resamples[0].share, noise)

    @property
    def se(self) -> float | None:
        """The standard error of the score; None where most resamples have none."""
        error = _standard_error(self.resampled, self.share)
        return None if error is None else error * float(np.sqrt(1 + self.noise))

    @property
    def deviations(self) -> Array:
        """(resamples,) the loss on each resample less their mean, scaled to the spread over as many rows as there are.

        NaN where the score is not defined.
        """
        defined = self.resampled[np.isfinite(self.resampled)]
        centre = defined.mean() if len(defined) else np.nan
        spread: Array = self.sign * (self.resampled - centre) * np.sqrt(self.share)
        return spread

    def gain_se(self, other: CrossFittedScores) -> float | None:
        """Return the standard error of the difference of two scores."""
        return _standard_error(self.resampled - other.resampled, self.share)


def score_predictions(matrix: PredictionMatrix, predictions: Array) -> float:
    """Return the metric of predictions of all rows."""
    return matrix.metric.score(matrix.y, predictions, matrix.sample_weight)


def _standard_error(values: Array, share: float) -> float | None:
    """Return the standard error from values on resamples; None where most are not defined."""
    defined = values[np.isfinite(values)]
    return None if len(defined) < len(values) / 2 else float(defined.std(ddof=1) * np.sqrt(share))


def _to_columns(matrix: PredictionMatrix, predictions: Array) -> tuple[Array, Array]:
    """Return predictions and what they predict, (rows, columns) each; several targets in units of their deviations."""
    metric = matrix.multi_target_metric
    if metric is None:
        return _pair(predictions, matrix.y)
    pairs = []
    for part in metric.parts:
        own, y = _pair(part.predictions(predictions), part.y(matrix.y))
        scale = float(y.std()) or 1.0
        pairs.append((own / scale, y / scale))
    return np.hstack([own for own, _ in pairs]), np.hstack([y for _, y in pairs])


def _pair(predictions: Array, y: Array) -> tuple[Array, Array]:
    """Return the predictions of one target and its values, or for more than two classes 1 for the class of each row."""
    if predictions.ndim == 1:
        return predictions[:, None], y[:, None].astype(np.float64)
    return predictions, np.eye(predictions.shape[1])[y.astype(np.intp)]


def _estimate_noise(predictions: Array, y: Array, resamples: Sequence[BootstrapSample]) -> float:
    """Return the share of training noise in the variance of predictions, (rows, columns)."""
    slopes = [_slope(predictions[each.rows], y[each.rows]) for each in resamples]
    error = float(np.std(slopes)) * np.sqrt(resamples[0].share)
    return float(np.clip(1 - _slope(predictions, y) + error, 0, 1))


def _slope(predictions: Array, y: Array) -> float:
    """Return the slope of the regression of y on predictions, one for all columns; 1 for constant predictions."""
    centred = predictions - predictions.mean(axis=0)
    variance = float((centred**2).sum())
    return float((centred * y).sum()) / variance if variance else 1.0
