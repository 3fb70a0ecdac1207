"""Extra trees (Geurts et al., 2006) on statistics and spectra of whole sequences."""

from __future__ import annotations

from typing import Any

from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline

from workbench import features
from workbench.models.protocol import FitContext, Problem, Rows
from workbench.models.tabular import forest
from workbench.models.wrappers.sklearn_estimator import EstimatorModel, load

__all__ = ["fit", "load", "search_statistics"]


def fit(hp: Any, problem: Problem, train: Rows, valid: Rows | None, context: FitContext) -> EstimatorModel:
    """Train extremely randomised trees."""
    kind = ExtraTreesClassifier if problem.classes else ExtraTreesRegressor
    defaults = forest.ForestDefaults(leaf=1, share=0.3, bootstrap=False, min_share=0.05)
    return forest.fit(kind, hp, problem, train, context, defaults, preprocessor=search_statistics(hp))


def search_statistics(hp: Any) -> Pipeline:
    """Return an unfitted preprocessor: statistics of whole sequences; missing ones get the training median."""
    statistics = features.SequenceStatistics(
        differences=hp.Boolean("differences", default=False),
        parts=hp.Int("parts", 0, 8, default=4),
        lags=hp.Int("lags", 0, 12, default=8),
        bands=hp.Int("bands", 0, 32, default=16),
    )
    return make_pipeline(statistics, SimpleImputer(strategy="median", keep_empty_features=True))
