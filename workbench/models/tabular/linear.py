"""Linear models on scaled inputs: ridge and logistic regression, or with elastic-net penalty."""

from __future__ import annotations

from typing import Any

from sklearn.compose import TransformedTargetRegressor
from sklearn.linear_model import ElasticNet, LogisticRegression, Ridge, SGDRegressor
from sklearn.preprocessing import StandardScaler

from workbench import features
from workbench.models.protocol import FitContext, Problem, Rows
from workbench.models.wrappers import sklearn_estimator
from workbench.models.wrappers.sklearn_estimator import load

__all__ = ["fit", "load"]


def fit(
    hp: Any, problem: Problem, train: Rows, valid: Rows | None, setting: FitContext
) -> sklearn_estimator.EstimatorModel:
    """Train a linear model whose penalty is searched."""
    numbers: features.Scaling = hp.Choice("numbers", ["standard", "quantile"]) if problem.columns else "standard"
    view = features.dense_preprocessor(
        problem.columns, train.x, numbers=numbers, classes=problem.classes, seed=setting.seed, kind=problem.kind
    )
    penalty = hp.Choice("penalty", ["l2", "elastic_net"])
    strength = hp.Float("strength", 1e-6, 1.0, sampling="log", default=1e-4)
    with hp.conditional_scope("penalty", ["elastic_net"]):
        mix = hp.Float("l1_ratio", 0.05, 1.0, default=0.5)
    make = _classifier if problem.classes else _regressor
    return sklearn_estimator.fit(
        view, make(problem, len(train.y), penalty, strength, mix, setting.seed), problem, train
    )


def _classifier(problem: Problem, rows: int, penalty: str, strength: float, mix: float | None, seed: int) -> Any:
    # The penalty is a row's, so that it means the same for any number of rows.
    c = 1 / (strength * rows)
    if penalty == "l2":
        return LogisticRegression(C=c, max_iter=500)
    return LogisticRegression(C=c, l1_ratio=mix, solver="saga", max_iter=200, tol=1e-3, random_state=seed)


def _regressor(problem: Problem, rows: int, penalty: str, strength: float, mix: float | None, seed: int) -> Any:
    if problem.loss == "absolute_error":
        ratio = {"penalty": "l2"} if penalty == "l2" else {"penalty": "elasticnet", "l1_ratio": mix}
        return _standardised(
            SGDRegressor("epsilon_insensitive", epsilon=0, alpha=strength, random_state=seed, average=True, **ratio)
        )
    if penalty == "l2":
        return _standardised(Ridge(alpha=strength * rows))
    return _standardised(ElasticNet(alpha=strength, l1_ratio=mix, max_iter=2000, tol=1e-3))


def _standardised(regressor: Any) -> TransformedTargetRegressor:
    """Train on standard scores of the target, so that penalties mean the same for every target."""
    return TransformedTargetRegressor(regressor, transformer=StandardScaler())
