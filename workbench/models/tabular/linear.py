"""Linear models on scaled inputs: ridge and logistic regression, or with an elastic-net penalty."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from sklearn.compose import TransformedTargetRegressor
from sklearn.linear_model import ElasticNet, LogisticRegression, Ridge, SGDRegressor
from sklearn.preprocessing import StandardScaler

from workbench import features
from workbench.models.protocol import FitContext, Problem, Rows
from workbench.models.wrappers import sklearn_estimator
from workbench.models.wrappers.sklearn_estimator import load

__all__ = ["fit", "load"]


@dataclass(frozen=True)
class _Penalty:
    kind: Literal["l2", "elastic_net"]
    strength: float
    """Relative to the mean loss of a row, so that it means the same for any number of rows."""
    l1_ratio: float | None


def fit(
    hp: Any, problem: Problem, train: Rows, valid: Rows | None, context: FitContext
) -> sklearn_estimator.EstimatorModel:
    """Train a linear model whose penalty is searched."""
    numbers: features.NumberScaling = hp.Choice("numbers", ["standard", "quantile"]) if problem.columns else "standard"
    preprocessor = features.dense_preprocessor(
        problem.columns, train.x, numbers=numbers, classes=problem.classes, seed=context.seed, kind=problem.kind
    )
    kind = hp.Choice("penalty", ["l2", "elastic_net"])
    strength = hp.Float("strength", 1e-6, 1.0, sampling="log", default=1e-4)
    with hp.conditional_scope("penalty", ["elastic_net"]):
        l1_ratio = hp.Float("l1_ratio", 0.05, 1.0, default=0.5)
    penalty = _Penalty(kind, strength, l1_ratio)
    if problem.classes:
        estimator = _build_classifier(len(train.y), penalty, context.seed)
    else:
        estimator = _build_regressor(problem, len(train.y), penalty, context.seed)
    return sklearn_estimator.fit(preprocessor, estimator, problem, train)


def _build_classifier(rows: int, penalty: _Penalty, seed: int) -> LogisticRegression:
    c = 1 / (penalty.strength * rows)
    if penalty.kind == "l2":
        return LogisticRegression(C=c, max_iter=500)
    return LogisticRegression(C=c, l1_ratio=penalty.l1_ratio, solver="saga", max_iter=200, tol=1e-3, random_state=seed)


def _build_regressor(problem: Problem, rows: int, penalty: _Penalty, seed: int) -> TransformedTargetRegressor:
    if problem.loss == "absolute_error":
        options: dict[str, Any] = {"penalty": "l2"}
        if penalty.kind == "elastic_net":
            options = {"penalty": "elasticnet", "l1_ratio": penalty.l1_ratio}
        regressor: Any = SGDRegressor(
            "epsilon_insensitive", epsilon=0, alpha=penalty.strength, random_state=seed, average=True, **options
        )
    elif penalty.kind == "l2":
        regressor = Ridge(alpha=penalty.strength * rows)
    else:
        regressor = ElasticNet(alpha=penalty.strength, l1_ratio=penalty.l1_ratio, max_iter=2000, tol=1e-3)
    # On standard scores of the target, penalties mean the same for every target.
    return TransformedTargetRegressor(regressor, transformer=StandardScaler())
