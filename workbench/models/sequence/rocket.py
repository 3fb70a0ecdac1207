"""A linear model on how often random convolutions of sequences exceed thresholds, after MiniRocket.

Dempster et al. (2021) classify by ridge regression, whose decisions are no probabilities; logistic regression on the
same values is as accurate, and its probabilities can be blended.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.compose import TransformedTargetRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from workbench import features
from workbench.models.protocol import FitContext, Problem, Rows
from workbench.models.wrappers import sklearn_estimator
from workbench.models.wrappers.sklearn_estimator import load

__all__ = ["ScaledLogisticRegression", "fit", "load"]

# With more rows than this, finding their span takes longer than it saves.
_MOST_ROWS = 2_000
# Of all training rows together, in memory: 400 MB.
_MOST_VALUES = 100_000_000


class ScaledLogisticRegression(LogisticRegression):  # type: ignore[misc]  # scikit-learn has no types
    """Logistic regression whose penalty is relative to the rows' mean square, made for more columns than rows.

    Coefficients that are penalised by their squares are sums of rows (Schölkopf et al., 2001), so they are found in as
    many dimensions as there are rows.
    """

    def fit(self, x: np.ndarray, y: np.ndarray, sample_weight: np.ndarray | None = None) -> ScaledLogisticRegression:
        """Find the coefficients."""
        size = _size(x)
        if len(x) > min(_MOST_ROWS, x.shape[1]):
            super().fit(x / np.float32(size), y, sample_weight)
            self.coef_: np.ndarray = self.coef_ / size
            return self
        x = x.astype(np.float64) / size
        # Rows that are sums of others would have a root of 0.
        root = np.linalg.cholesky(x @ x.T + 1e-9 * np.eye(len(x)))
        super().fit(root, y, sample_weight)
        self.coef_ = np.linalg.solve(root.T, self.coef_.T).T @ x / size
        self.n_features_in_ = x.shape[1]
        return self


def fit(
    hp: Any, problem: Problem, train: Rows, valid: Rows | None, setting: FitContext
) -> sklearn_estimator.EstimatorModel:
    """Train a linear model whose penalty and inputs are searched."""
    values = hp.Int("values", 1_000, 16_000, sampling="log", default=6_000)
    kernels = features.MiniRocket(
        values=min(values, max(500, _MOST_VALUES // len(train.y))),
        thresholds=hp.Int("thresholds", 4, 16, sampling="log", default=8),
        differences=hp.Boolean("differences", default=True),
        seed=setting.seed,
    )
    least, most, usual = (1.0, 3_000.0, 100.0) if problem.classes else (0.1, 300.0, 3.0)
    c = hp.Float("C", least, most, sampling="log", default=usual)
    view = make_pipeline(kernels, StandardScaler())
    matrix = view.fit_transform(train.x)
    linear = ScaledLogisticRegression(C=c, max_iter=300) if problem.classes else _regressor(_size(matrix) ** 2 / c)
    return sklearn_estimator.fit(view, linear, problem, train, matrix=matrix)


def _regressor(penalty: float) -> TransformedTargetRegressor:
    """Train on standard scores of the target, so that the penalty means the same for every target."""
    return TransformedTargetRegressor(Ridge(alpha=penalty), transformer=StandardScaler())


def _size(x: np.ndarray) -> float:
    """Return the root of the rows' mean square, 1 where all is 0."""
    return float(np.sqrt(np.square(x).sum(axis=1, dtype=np.float64).mean())) or 1.0
