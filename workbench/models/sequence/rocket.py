"""A linear model on MiniRocket features: how often random convolutions of a sequence exceed thresholds.

Dempster et al. (2021) use ridge regression, whose decision values are not probabilities. Logistic regression on the
same features is as accurate, and its probabilities can be blended.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.compose import TransformedTargetRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from workbench import features
from workbench.array import Array
from workbench.models.protocol import FitContext, Problem, Rows
from workbench.models.wrappers import sklearn_estimator
from workbench.models.wrappers.sklearn_estimator import load

__all__ = ["ScaledLogisticRegression", "fit", "load"]

# With more rows, the Cholesky decomposition takes longer than it saves.
_MAX_DUAL_ROWS = 2_000
# The most features of all training rows together: 400 MB.
_MAX_FEATURES = 100_000_000


class ScaledLogisticRegression(LogisticRegression):  # type: ignore[misc]  # scikit-learn has no types
    """Logistic regression with a penalty relative to the mean squared norm of the rows.

    It is fast for more columns than rows. With an L2 penalty the coefficients are a linear combination of the
    rows (representer theorem, Schölkopf et al., 2001), so the problem has as many dimensions as there are rows.
    """

    def fit(self, x: Array, y: Array, sample_weight: Array | None = None) -> ScaledLogisticRegression:
        """Fit the coefficients."""
        norm = _mean_norm(x)
        if len(x) > min(_MAX_DUAL_ROWS, x.shape[1]):
            super().fit(x / np.float32(norm), y, sample_weight)
            self.coef_: Array = self.coef_ / norm
            return self
        x = x.astype(np.float64) / norm
        # The small diagonal keeps the Gram matrix of linearly dependent rows positive definite.
        root = np.linalg.cholesky(x @ x.T + 1e-9 * np.eye(len(x)))
        super().fit(root, y, sample_weight)
        self.coef_ = np.linalg.solve(root.T, self.coef_.T).T @ x / norm
        self.n_features_in_ = x.shape[1]
        return self


def fit(
    hp: Any, problem: Problem, train: Rows, valid: Rows | None, context: FitContext
) -> sklearn_estimator.EstimatorModel:
    """Train a linear model; its penalty and its features are searched."""
    values = hp.Int("values", 1_000, 16_000, sampling="log", default=6_000)
    rocket = features.MiniRocket(
        values=min(values, max(500, _MAX_FEATURES // len(train.y))),
        thresholds=hp.Int("thresholds", 4, 16, sampling="log", default=8),
        differences=hp.Boolean("differences", default=True),
        seed=context.seed,
    )
    low, high, default = (1.0, 3_000.0, 100.0) if problem.classes else (0.1, 300.0, 3.0)
    c = hp.Float("C", low, high, sampling="log", default=default)
    preprocessor = make_pipeline(rocket, StandardScaler())
    matrix = preprocessor.fit_transform(train.x)
    linear = (
        ScaledLogisticRegression(C=c, max_iter=300) if problem.classes else _build_ridge(_mean_norm(matrix) ** 2 / c)
    )
    return sklearn_estimator.fit(preprocessor, linear, problem, train, matrix=matrix)


def _build_ridge(penalty: float) -> TransformedTargetRegressor:
    """Return ridge regression on standard scores of the target, so that the penalty is independent of its unit."""
    return TransformedTargetRegressor(Ridge(alpha=penalty), transformer=StandardScaler())


def _mean_norm(x: Array) -> float:
    """Return the root mean squared norm of the rows; 1 if all values are 0."""
    return float(np.sqrt(np.square(x).sum(axis=1, dtype=np.float64).mean())) or 1.0
