"""Random forest: trees on bootstrapped rows, averaged (Breiman, 2001)."""

from __future__ import annotations

from typing import Any

from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

from workbench.models.protocol import FitContext, Problem, Rows
from workbench.models.tabular import forest
from workbench.models.wrappers.sklearn_estimator import EstimatorModel, load

__all__ = ["fit", "load"]

_DEFAULTS = {
    "binary": forest.ForestDefaults(leaf=5, share=0.3, bootstrap=True),
    "multiclass": forest.ForestDefaults(leaf=1, share=0.3, bootstrap=True),
    "regression": forest.ForestDefaults(leaf=2, share=0.5, bootstrap=True),
}


def fit(hp: Any, problem: Problem, train: Rows, valid: Rows | None, context: FitContext) -> EstimatorModel:
    """Train a random forest."""
    forest_class = RandomForestClassifier if problem.classes else RandomForestRegressor
    return forest.fit(forest_class, hp, problem, train, context, _DEFAULTS[problem.task])
