"""Extra trees (Geurts et al., 2006) on gradient histograms and coarse colours of images."""

from typing import Any

from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor

from workbench.features import hog
from workbench.models.protocol import Problem, Rows, Setting
from workbench.models.tabular import forest
from workbench.models.wrappers.sklearn_estimator import Estimator, load

__all__ = ["fit", "load"]


def fit(hp: Any, problem: Problem, train: Rows, valid: Rows | None, setting: Setting) -> Estimator:
    """Train extremely randomised trees."""
    kind = ExtraTreesClassifier if problem.classes else ExtraTreesRegressor
    # Of a thousand values or more a few say enough, and every one that is looked at costs time.
    shares = {"share": 0.05, "least_share": 0.02} if problem.classes else {"share": 0.3, "least_share": 0.1}
    view = hog.searched(hp, train.x)
    return forest.fit(kind, hp, problem, train, setting, leaf=1, bootstrap=False, view=view, **shares)
