"""The scores of cross-fitted predictions, on all rows and on resampled ones, and their standard errors."""

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

    @classmethod
    def of(
        cls, matrix: PredictionMatrix, predictions: Array, resamples: Sequence[BootstrapSample]
    ) -> CrossFittedScores:
        """Return the scores of predictions."""
        score, scorer = score_predictions(matrix, predictions), matrix.plain_scorer
        resampled = [scorer.subset(each.rows).score(predictions[each.rows]) for each in resamples]
        sign = 1 if matrix.metric.direction == "minimize" else -1
        return cls(score, matrix.metric.loss_of(score), np.array(resampled), sign, resamples[0].share)

    @property
    def se(self) -> float | None:
        """The standard error of the score; None where most resamples have none."""
        return _standard_error(self.resampled, self.share)

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
