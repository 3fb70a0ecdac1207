"""Gradient-boosted trees (Chen and Guestrin, 2016) on statistics and spectra of whole sequences."""

from __future__ import annotations

from typing import Any

from workbench.models.protocol import FitContext, Problem, Rows
from workbench.models.sequence import sequence_trees
from workbench.models.tabular import xgboost
from workbench.models.tabular.xgboost import load

__all__ = ["fit", "load"]


def fit(hp: Any, problem: Problem, train: Rows, valid: Rows | None, context: FitContext) -> xgboost.XGBoostModel:
    """Train until the validation loss stops improving, or for a given number of rounds."""
    preprocessor = sequence_trees.search_statistics(hp)
    matrix = preprocessor.fit_transform(train.x)
    inputs = xgboost.BoosterInputs(preprocessor, matrix, ["q"] * matrix.shape[1])
    return xgboost.boost(hp, problem, train, valid, context, inputs, learning_rate=0.1, column_share=0.2)
