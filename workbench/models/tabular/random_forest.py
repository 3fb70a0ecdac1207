"""Random forest: trees on bootstrapped rows, averaged (Breiman, 2001)."""

from __future__ import annotations

from typing import Any

from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

from workbench.models.protocol import FitContext, Problem, Rows
from workbench.models.tabular import forest
from workbench.models.wrappers.sklearn_estimator import EstimatorModel, load

__all__ = ["fit", "load"]


def fit(hp: Any, problem: Problem, train: Rows, valid: Rows | None, setting: FitContext) -> EstimatorModel:
    """Train a random forest."""
    kind = RandomForestClassifier if problem.classes else RandomForestRegressor
    leaf, share = {"binary": (5, 0.3), "multiclass": (1, 0.3), "regression": (2, 0.5)}[problem.task]
    return forest.fit(kind, hp, problem, train, setting, leaf=leaf, share=share, bootstrap=True)
