"""A kernel classifier on the principal components of histograms of oriented gradients (HOG) of images.

Either a support vector machine or kernel logistic regression. A logistic regression on cross-fitted decision values
turns the machine's one-against-one decisions into probabilities, after Platt (1999). The machine's training time grows
with the square of the rows. Logistic regression on a Nyström approximation of the kernel (Williams and Seeger, 2001)
does not, so it replaces the machine for many rows; it is also the better default for few rows.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.compose import TransformedTargetRegressor
from sklearn.decomposition import PCA
from sklearn.ensemble import StackingClassifier
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, SVR

from workbench.features import hog
from workbench.models.protocol import FitContext, Problem, Rows
from workbench.models.wrappers import sklearn_estimator
from workbench.models.wrappers.sklearn_estimator import load

__all__ = ["fit", "load"]

_FEW_ROWS, _MANY_ROWS = 2_000, 20_000
_FOLDS = 3
# The rows of the Nyström approximation.
_NYSTROEM_ROWS = 1500
# Histograms are shares: a smaller variance is rounding error.
_MIN_VARIANCE = 1e-12


def fit(
    hp: Any, problem: Problem, train: Rows, valid: Rows | None, context: FitContext
) -> sklearn_estimator.EstimatorModel:
    """Train a model; its loss, penalty, kernel and features are searched."""
    rows = len(train.y)
    loss = hp.Choice("loss", ["hinge", "logistic"], default="logistic" if rows < _FEW_ROWS else "hinge")
    c = hp.Float("C", 0.1, 300.0, sampling="log", default=100.0 if rows < _FEW_ROWS else 10.0)
    gamma = hp.Float("gamma", 0.1, 10.0, sampling="log", default=1.0)
    components = hp.Int("components", 30, 300, sampling="log", default=150)
    preprocessor = make_pipeline(hog.search_hog(hp, train.x))
    matrix = preprocessor.fit_transform(train.x)
    preprocessor.steps.append(("components", PCA(min(components, *matrix.shape), random_state=context.seed)))
    with np.errstate(invalid="ignore"):
        # PCA divides by the total variance, which is 0 if all images are the same.
        matrix = preprocessor[-1].fit_transform(matrix)
    # Gamma is relative to the mean squared distance, so that it is independent of the number of components.
    variance = float(matrix.var(axis=0).sum())
    gamma /= variance if variance > _MIN_VARIANCE else 1.0
    rarest_count = int(np.unique(train.y, return_counts=True)[1].min()) if problem.classes else rows
    # Decisions cannot be cross-fitted if a class has a single row.
    if loss == "hinge" and rows <= _MANY_ROWS and rarest_count > 1:
        folds = min(_FOLDS, rarest_count)
        machine = _build_svc(c, gamma, folds) if problem.classes else _scale_target(SVR(C=c, gamma=gamma))
        return sklearn_estimator.fit(preprocessor, machine, problem, train, matrix=matrix)
    # Identical rows would differ by rounding only.
    nystroem_rows = min(_NYSTROEM_ROWS, rows) if variance > _MIN_VARIANCE else 1
    kernel = Nystroem(gamma=gamma, n_components=nystroem_rows, random_state=context.seed)
    preprocessor.steps.append(("kernel", kernel))
    matrix = preprocessor[-1].fit_transform(matrix)
    linear = LogisticRegression(C=c, max_iter=300) if problem.classes else _scale_target(Ridge(alpha=1 / c))
    return sklearn_estimator.fit(preprocessor, linear, problem, train, matrix=matrix)


def _build_svc(c: float, gamma: float, folds: int) -> Any:
    machine = SVC(C=c, gamma=gamma, decision_function_shape="ovo")
    # The decisions of many class pairs are correlated, so the penalty is strong.
    final = LogisticRegression(C=0.1, max_iter=300)
    return StackingClassifier([("machine", machine)], final, cv=folds, stack_method="decision_function")


def _scale_target(regressor: Any) -> Any:
    """Return a regressor on standard scores of the target, so that the penalty is independent of its unit."""
    return TransformedTargetRegressor(regressor, transformer=StandardScaler())
