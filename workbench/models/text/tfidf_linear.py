"""Linear models on tf-idf of words and characters, and on the other columns.

For classification, columns may be multiplied by log-count ratios: the logarithm of how much more frequent an n-gram is
in one class than in the others (Wang and Manning, 2012, "Baselines and bigrams").
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import expit
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.compose import TransformedTargetRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVR

from workbench import features
from workbench.features.tokenizer import texts
from workbench.models.protocol import FitContext, Problem, Rows
from workbench.models.wrappers import sklearn_estimator
from workbench.models.wrappers.sklearn_estimator import load

__all__ = ["OneVsRestLogisticRegression", "fit", "load"]

# With more characters than this to learn from, words alone are nearly as accurate, in a seventh of the time.
_MANY_CHARACTERS = 1_500_000


class OneVsRestLogisticRegression(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Logistic regression of each class against the rest: on wide sparse rows ten times as fast as multinomial."""

    def __init__(self, c: float, smoothing: float | None, seed: int) -> None:
        """Set the options.

        Args:
            c: the inverse of the penalty.
            smoothing: added to the counts of log-count ratios; None to use no ratios.
            seed: of the solver.
        """
        self.c, self.smoothing, self.seed = c, smoothing, seed

    def fit(self, x: Any, y: np.ndarray, sample_weight: np.ndarray | None = None) -> OneVsRestLogisticRegression:
        """Fit the coefficients of each class; of two classes, only those of the second."""
        self.classes_ = np.unique(y)
        positives = self.classes_[1:] if len(self.classes_) == 2 else self.classes_
        fitted = [self._fit_class(x, y == label, sample_weight) for label in positives]
        self.weights_ = np.column_stack([coefficients for coefficients, _ in fitted])
        self.shifts_ = np.array([intercept for _, intercept in fitted])
        return self

    def _fit_class(self, x: Any, y: np.ndarray, sample_weight: np.ndarray | None) -> tuple[np.ndarray, float]:
        """Return the coefficients of a class, multiplied by the ratios, and its intercept."""
        ratios = np.ones(x.shape[1]) if self.smoothing is None else _log_count_ratios(x, y, self.smoothing)
        # The dual problem is the faster one with more columns than rows.
        model = LogisticRegression(C=self.c, solver="liblinear", dual=True, tol=0.01, random_state=self.seed)
        model.fit(x.multiply(ratios).tocsr(), y, sample_weight=sample_weight)
        return ratios * model.coef_[0], float(model.intercept_[0])

    def predict_proba(self, x: Any) -> np.ndarray:
        """Return probabilities, (rows, classes); those of the single classifiers are scaled to sum to 1."""
        probabilities = expit(np.asarray(x @ self.weights_) + self.shifts_)
        if len(self.classes_) == 2:
            return np.column_stack([1 - probabilities, probabilities])
        probabilities = np.maximum(probabilities, 1e-12)
        return np.asarray(probabilities / probabilities.sum(axis=1, keepdims=True))


def _log_count_ratios(x: Any, y: np.ndarray, smoothing: float) -> np.ndarray:
    """Return for each column the logarithm of its share in the rows of a class over its share in the others."""
    sums = [np.maximum(np.asarray(x[rows].sum(axis=0)).ravel(), 0) + smoothing for rows in (y, ~y)]
    inside, outside = (each / each.sum() for each in sums)
    return np.asarray(np.log(inside / outside))


def fit(
    hp: Any, problem: Problem, train: Rows, valid: Rows | None, context: FitContext
) -> sklearn_estimator.EstimatorModel:
    """Train a linear model whose n-grams and penalty are searched."""
    preprocessor = features.sparse_preprocessor(
        problem.columns,
        _search_vectorizers(hp, problem, train),
        remainder=_remainder_preprocessor(problem, train, context),
        statistics=False,
    )
    # The strength is relative to the mean loss of a row, so that it means the same for any number of rows.
    if not problem.classes:
        alpha = hp.Float("strength", 1e-6, 1e-1, sampling="log", default=3e-4) * len(train.y)
        return sklearn_estimator.fit(preprocessor, _build_regressor(problem, alpha, context.seed), problem, train)
    c = 1 / (hp.Float("strength", 1e-7, 1e-3, sampling="log", default=3e-6) * len(train.y))
    smoothing = None
    # On six newsgroups the ratios halve the log loss; on spam they raise it by a third.
    if hp.Boolean("ratios", default=problem.classes > 2):
        with hp.conditional_scope("ratios", [True]):
            smoothing = hp.Float("smoothing", 1e-3, 1.0, sampling="log", default=0.02)
    estimator = OneVsRestLogisticRegression(c, smoothing, context.seed)
    return sklearn_estimator.fit(preprocessor, estimator, problem, train)


def _search_vectorizers(hp: Any, problem: Problem, train: Rows) -> list[features.Tfidf]:
    """Return the vectorizers of a column of texts: of words, of characters, or both."""
    rows: Any = train.x
    columns = [texts(rows[name]) for name, kind in problem.columns.items() if kind == "text"]
    long = sum(len(text) for column in columns for text in column) > _MANY_CHARACTERS
    units = hp.Choice("units", ["both", "words", "characters"], default="words" if long else "both")
    rarest = hp.Int("rarest", 1, 4, default=2)
    vectorizers = []
    with hp.conditional_scope("units", ["both", "words"]):
        longest = hp.Int("words", 1, 3, default=1)
    if units != "characters":
        vectorizers.append(features.Tfidf("words", 1, longest, rarest))
    with hp.conditional_scope("units", ["both", "characters"]):
        longest = hp.Int("characters", 3, 6, default=5)
    if units != "words":
        vectorizers.append(features.Tfidf("characters", 2, longest, rarest))
    return vectorizers


def _remainder_preprocessor(problem: Problem, train: Rows, context: FitContext) -> Any | None:
    """Return the unfitted preprocessor of the other columns; None without any."""
    rest = {name: kind for name, kind in problem.columns.items() if kind != "text"}
    options: Any = {"numbers": "quantile", "classes": problem.classes, "seed": context.seed}
    return features.dense_preprocessor(rest, train.x, **options) if rest else None


def _build_regressor(problem: Problem, alpha: float, seed: int) -> TransformedTargetRegressor:
    """Return ridge regression, or a linear model of absolute errors, on standard scores of the target."""
    regressor: Any = Ridge(alpha=alpha)
    if problem.loss == "absolute_error":
        regressor = LinearSVR(epsilon=0, C=1 / alpha, random_state=seed, tol=1e-3)
    return TransformedTargetRegressor(regressor, transformer=StandardScaler())
