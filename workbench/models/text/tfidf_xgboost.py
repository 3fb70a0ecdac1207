"""Gradient-boosted trees (Chen and Guestrin, 2016) on tf-idf as it is, sparse, and on the other columns beside it."""

from __future__ import annotations

from typing import Any

from workbench import features
from workbench.models.protocol import FitContext, Problem, Rows
from workbench.models.tabular import xgboost
from workbench.models.tabular.xgboost import load

__all__ = ["fit", "load"]


def fit(hp: Any, problem: Problem, train: Rows, valid: Rows | None, setting: FitContext) -> xgboost.XGBoostModel:
    """Train until the validation loss has not fallen for a while, or for the rounds that are set."""
    grams = features.Tfidf(
        "words",
        longest=hp.Int("words", 1, 2, default=1),
        rarest=hp.Int("rarest", 2, 8, default=3),
        most=hp.Int("most", 500, 8_000, step=2, sampling="log", default=1_000),
        # A column then has few values, as many as a word has counts: on long texts trees grow four times as fast.
        even=False,
    )
    rest = {name: kind for name, kind in problem.columns.items() if kind != "text"}
    coded: Any = {"categories": "target", "classes": problem.classes, "seed": setting.seed}
    beside = features.tree_preprocessor(rest, train.x, **coded) if rest else None
    view = features.sparse_preprocessor(problem.columns, [grams], beside=beside, looks=True)
    matrix = view.fit_transform(train.x, train.y)
    types = ["q"] * matrix.shape[1]
    options: Any = {"view": view, "matrix": matrix, "types": types, "rate": 0.2, "share": 0.3}
    return xgboost.boost(hp, problem, train, valid, setting, **options)
