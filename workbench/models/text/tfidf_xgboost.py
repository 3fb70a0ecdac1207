"""Gradient-boosted trees (Chen and Guestrin, 2016) on sparse tf-idf and the other columns."""

from __future__ import annotations

from typing import Any

from workbench import features
from workbench.models.protocol import FitContext, Problem, Rows
from workbench.models.tabular import xgboost
from workbench.models.tabular.xgboost import load

__all__ = ["fit", "load"]


def fit(hp: Any, problem: Problem, train: Rows, valid: Rows | None, context: FitContext) -> xgboost.XGBoostModel:
    """Train until the validation loss stops falling, or without validation rows for `context.length` rounds."""
    vectorizer = features.Tfidf(
        "words",
        longest=hp.Int("words", 1, 2, default=1),
        rarest=hp.Int("rarest", 2, 8, default=3),
        most=hp.Int("most", 500, 8_000, step=2, sampling="log", default=1_000),
        # Without scaling a column has few distinct values, one for each count: on long texts trees grow four times as
        # fast.
        even=False,
    )
    rest = {name: kind for name, kind in problem.columns.items() if kind != "text"}
    options: Any = {"categories": "target", "classes": problem.classes, "seed": context.seed}
    remainder = features.tree_preprocessor(rest, train.x, **options) if rest else None
    preprocessor = features.sparse_preprocessor(problem.columns, [vectorizer], remainder=remainder, statistics=True)
    matrix = preprocessor.fit_transform(train.x, train.y)
    inputs = xgboost.BoosterInputs(preprocessor, matrix, ["q"] * matrix.shape[1])
    return xgboost.boost(hp, problem, train, valid, context, inputs, learning_rate=0.2, column_share=0.3)
