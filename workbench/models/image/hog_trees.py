"""Extra trees (Geurts et al., 2006) on gradient histograms and coarse colours of images."""

from __future__ import annotations

from typing import Any

from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor

from workbench.features import hog
from workbench.models.protocol import FitContext, Problem, Rows
from workbench.models.tabular import forest
from workbench.models.wrappers.sklearn_estimator import EstimatorModel, load

__all__ = ["fit", "load"]


def fit(hp: Any, problem: Problem, train: Rows, valid: Rows | None, setting: FitContext) -> EstimatorModel:
    """Train extremely randomised trees."""
    kind = ExtraTreesClassifier if problem.classes else ExtraTreesRegressor
    # Of a thousand values or more a few say enough, and every one that is looked at costs time.
    shares = {"share": 0.05, "least_share": 0.02} if problem.classes else {"share": 0.3, "least_share": 0.1}
    view = hog.search_hog(hp, train.x)
    return forest.fit(kind, hp, problem, train, setting, leaf=1, bootstrap=False, view=view, **shares)
