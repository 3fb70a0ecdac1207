"""A support vector machine, or its logistic sister, on the principal components of gradient histograms of images.

The machine's decisions between pairs of classes become probabilities by a logistic regression on decisions that are
cross-fitted within the training rows, after Platt (1999). Its time grows with the square of the rows; logistic
regression on as much of the same kernel as a sample of the rows spans (Williams and Seeger, 2001) does not, so it
serves where there are many. With few rows it is the better one, too.
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
# Rows that span the kernel of many.
_SPAN = 1500
# Histograms are shares: where they vary no more than this, rounding is all that varies.
_ROUNDED = 1e-12


def fit(
    hp: Any, problem: Problem, train: Rows, valid: Rows | None, setting: FitContext
) -> sklearn_estimator.EstimatorModel:
    """Train a model whose loss, penalty, kernel and inputs are searched."""
    rows = len(train.y)
    loss = hp.Choice("loss", ["hinge", "logistic"], default="logistic" if rows < _FEW_ROWS else "hinge")
    c = hp.Float("C", 0.1, 300.0, sampling="log", default=100.0 if rows < _FEW_ROWS else 10.0)
    gamma = hp.Float("gamma", 0.1, 10.0, sampling="log", default=1.0)
    most = hp.Int("components", 30, 300, sampling="log", default=150)
    view = make_pipeline(hog.search_hog(hp, train.x))
    matrix = view.fit_transform(train.x)
    view.steps.append(("components", PCA(min(most, *matrix.shape), random_state=setting.seed)))
    with np.errstate(invalid="ignore"):
        # Of images that are all the same, the share of each component in no variance at all is asked for.
        matrix = view[-1].fit_transform(matrix)
    # Relative to the rows' mean square distance, so that it means the same for any number of components.
    spread = float(matrix.var(axis=0).sum())
    gamma /= spread if spread > _ROUNDED else 1.0
    rarest = int(np.unique(train.y, return_counts=True)[1].min()) if problem.classes else rows
    # Decisions cannot be cross-fitted where a class has one row only.
    if loss == "hinge" and rows <= _MANY_ROWS and rarest > 1:
        machine = _classifier(c, gamma, min(_FOLDS, rarest)) if problem.classes else _regressor(SVR(C=c, gamma=gamma))
        return sklearn_estimator.fit(view, machine, problem, train, matrix=matrix)
    # Of rows that are all the same, more than one would be told apart by their rounding.
    span = min(_SPAN, rows) if spread > _ROUNDED else 1
    kernel = Nystroem(gamma=gamma, n_components=span, random_state=setting.seed)
    view.steps.append(("kernel", kernel))
    matrix = view[-1].fit_transform(matrix)
    linear = LogisticRegression(C=c, max_iter=300) if problem.classes else _regressor(Ridge(alpha=1 / c))
    return sklearn_estimator.fit(view, linear, problem, train, matrix=matrix)


def _classifier(c: float, gamma: float, folds: int) -> Any:
    machine = SVC(C=c, gamma=gamma, decision_function_shape="ovo")
    # Of many pairs' decisions, most say the same: the penalty is a strong one.
    last = LogisticRegression(C=0.1, max_iter=300)
    return StackingClassifier([("machine", machine)], last, cv=folds, stack_method="decision_function")


def _regressor(regressor: Any) -> Any:
    """Train on standard scores of the target, so that the penalty means the same for every target."""
    return TransformedTargetRegressor(regressor, transformer=StandardScaler())
