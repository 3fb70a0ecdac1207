"""Extra trees: thresholds drawn at random, all rows in every tree (Geurts et al., 2006)."""

from __future__ import annotations

from typing import Any

from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor

from workbench.models.protocol import FitContext, Problem, Rows
from workbench.models.tabular import forest
from workbench.models.wrappers.sklearn_estimator import EstimatorModel, load

__all__ = ["fit", "load"]


def fit(hp: Any, problem: Problem, train: Rows, valid: Rows | None, setting: FitContext) -> EstimatorModel:
    """Train extremely randomised trees."""
    kind = ExtraTreesClassifier if problem.classes else ExtraTreesRegressor
    leaf, share = {"binary": (5, 0.4), "multiclass": (1, 0.6), "regression": (1, 0.7)}[problem.task]
    return forest.fit(kind, hp, problem, train, setting, leaf=leaf, share=share, bootstrap=False)
