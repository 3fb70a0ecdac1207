"""Extra trees: thresholds drawn at random, all rows in every tree (Geurts et al., 2006)."""

from __future__ import annotations

from typing import Any

from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor

from workbench.models.protocol import FitContext, Problem, Rows
from workbench.models.tabular import forest
from workbench.models.wrappers.sklearn_estimator import EstimatorModel, load

__all__ = ["fit", "load"]

_DEFAULTS = {
    "binary": forest.ForestDefaults(leaf=5, share=0.4, bootstrap=False),
    "multiclass": forest.ForestDefaults(leaf=1, share=0.6, bootstrap=False),
    "regression": forest.ForestDefaults(leaf=1, share=0.7, bootstrap=False),
}


def fit(hp: Any, problem: Problem, train: Rows, valid: Rows | None, context: FitContext) -> EstimatorModel:
    """Train extremely randomised trees."""
    forest_class = ExtraTreesClassifier if problem.classes else ExtraTreesRegressor
    return forest.fit(forest_class, hp, problem, train, context, _DEFAULTS[problem.task])
