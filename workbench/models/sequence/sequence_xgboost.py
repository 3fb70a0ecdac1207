"""Gradient-boosted trees (Chen and Guestrin, 2016) on what can be said of sequences as a whole."""

from __future__ import annotations

from typing import Any

from workbench.models.protocol import FitContext, Problem, Rows
from workbench.models.sequence import sequence_trees
from workbench.models.tabular import xgboost
from workbench.models.tabular.xgboost import load

__all__ = ["fit", "load"]


def fit(hp: Any, problem: Problem, train: Rows, valid: Rows | None, setting: FitContext) -> xgboost.XGBoostModel:
    """Train until the validation loss has not fallen for a while, or for the rounds that are set."""
    view = sequence_trees.search_statistics(hp)
    matrix = view.fit_transform(train.x)
    types = ["q"] * matrix.shape[1]
    options: Any = {"view": view, "matrix": matrix, "types": types, "rate": 0.1, "share": 0.2}
    return xgboost.boost(hp, problem, train, valid, setting, **options)
