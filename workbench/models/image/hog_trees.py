"""Extra trees (Geurts et al., 2006) on histograms of oriented gradients and coarse colours of images."""

from __future__ import annotations

from typing import Any

from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor

from workbench.features import hog
from workbench.models.protocol import FitContext, Problem, Rows
from workbench.models.tabular import forest
from workbench.models.wrappers.sklearn_estimator import EstimatorModel, load

__all__ = ["fit", "load"]


def fit(hp: Any, problem: Problem, train: Rows, valid: Rows | None, context: FitContext) -> EstimatorModel:
    """Train extremely randomised trees."""
    kind = ExtraTreesClassifier if problem.classes else ExtraTreesRegressor
    # A split needs to search only a few of a thousand or more features, and each one costs time.
    shares = {"share": 0.05, "min_share": 0.02} if problem.classes else {"share": 0.3, "min_share": 0.1}
    defaults = forest.ForestDefaults(leaf=1, bootstrap=False, **shares)
    return forest.fit(kind, hp, problem, train, context, defaults, preprocessor=hog.search_hog(hp, train.x))
