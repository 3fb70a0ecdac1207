"""Gradient-boosted trees (Chen and Guestrin, 2016), stopped by the fold's validation rows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xgboost

from workbench import features
from workbench.models.protocol import FitContext, Inputs, Problem, Rows

_ROUNDS = 3000
_OBJECTIVES = {
    "binary": ("binary:logistic", "logloss"),
    "multiclass": ("multi:softprob", "mlogloss"),
    "squared_error": ("reg:squarederror", "rmse"),
    "absolute_error": ("reg:absoluteerror", "mae"),
}


@dataclass(frozen=True)
class XGBoostModel:
    """A view of the data, and the trees up to the best round."""

    view: Any
    trees: xgboost.Booster
    types: list[str]
    """XGBoost's type of each column: `q` for numbers, `c` for codes of categories."""

    def predict(self, x: Inputs) -> np.ndarray:
        """Return probabilities, (rows,) of class 1 or (rows, classes), or values (rows,)."""
        matrix = xgboost.DMatrix(self.view.transform(x), feature_types=self.types)
        return np.asarray(self.trees.predict(matrix), dtype=np.float64)

    def save(self, folder: Path) -> None:
        """Write `view.skops`, `trees.ubj` and `types.json`."""
        features.save(self.view, folder / "view.skops")
        self.trees.save_model(folder / "trees.ubj")
        (folder / "types.json").write_text(json.dumps(self.types))


def load(folder: Path) -> XGBoostModel:
    """Read what `save` wrote."""
    trees = xgboost.Booster(model_file=folder / "trees.ubj")
    return XGBoostModel(features.load(folder / "view.skops"), trees, json.loads((folder / "types.json").read_text()))


def fit(hp: Any, problem: Problem, train: Rows, valid: Rows | None, setting: FitContext) -> XGBoostModel:
    """Train until the validation loss has not fallen for a while, or for the rounds that are set."""
    categories = hp.Choice("categories", ["native", "target", "ordinal"]) if problem.columns else "ordinal"
    view = features.tree_preprocessor(
        problem.columns,
        train.x,
        categories="target" if categories == "target" else "ordinal",
        classes=problem.classes,
        seed=setting.seed,
        kind=problem.kind,
    )
    matrix = view.fit_transform(train.x, train.y)
    native = features.categorical_columns(problem.columns, view) if categories == "native" else []
    types = ["c" if flag else "q" for flag in native] or ["q"] * matrix.shape[1]
    return boost(hp, problem, train, valid, setting, view=view, matrix=matrix, types=types)


def boost(
    hp: Any,
    problem: Problem,
    train: Rows,
    valid: Rows | None,
    setting: FitContext,
    *,
    view: Any,
    matrix: Any,
    types: list[str],
    rate: float = 0.08,
    share: float = 0.7,
) -> XGBoostModel:
    """Train on rows that were seen through a view already.

    Args:
        hp: the search space, for what all trees have.
        problem: what is to be learned.
        train: the rows to learn from.
        valid: the fold's validation rows, for early stopping.
        setting: seed, threads, length, and whom to tell.
        view: the fitted view.
        matrix: the training rows in it, dense or sparse; what is not stored is missing.
        types: XGBoost's type of each of its columns.
        rate: the learning rate to begin with.
        share: of its columns that a tree sees, to begin with.
    """
    rate = hp.Float("learning_rate", 0.02, 0.3, sampling="log", default=rate)
    training = xgboost.QuantileDMatrix(matrix, train.y, weight=train.weight, feature_types=types)
    parameters = {**_parameters(hp, problem, setting, share), "learning_rate": rate}
    if valid is None:
        return XGBoostModel(view, xgboost.train(parameters, training, num_boost_round=setting.length), types)
    held_out = xgboost.QuantileDMatrix(
        view.transform(valid.x), valid.y, weight=valid.weight, feature_types=types, ref=training
    )
    trees = xgboost.train(
        parameters,
        training,
        num_boost_round=_ROUNDS,
        evals=[(training, "loss"), (held_out, "val_loss")],
        early_stopping_rounds=round(20 + 1.5 / rate),
        callbacks=[_Watch(setting, rate)],
        verbose_eval=False,
    )
    return XGBoostModel(view, trees[: trees.best_iteration + 1], types)


def _parameters(hp: Any, problem: Problem, setting: FitContext, share: float) -> dict[str, Any]:
    objective, metric = _OBJECTIVES[problem.task if problem.classes else problem.loss]
    classes = {"num_class": problem.classes} if problem.task == "multiclass" else {}
    return {
        "objective": objective,
        "eval_metric": metric,
        "max_depth": hp.Int("max_depth", 3, 10, default=6),
        "min_child_weight": hp.Float("min_child_weight", 0.5, 30.0, sampling="log", default=2.0),
        "subsample": hp.Float("subsample", 0.5, 1.0, default=0.8),
        "colsample_bytree": hp.Float("colsample_bytree", 0.2, 1.0, default=share),
        "reg_lambda": hp.Float("reg_lambda", 1e-2, 30.0, sampling="log", default=1.0),
        "reg_alpha": hp.Float("reg_alpha", 1e-3, 10.0, sampling="log", default=1e-2),
        "max_cat_to_onehot": 8,
        "nthread": setting.threads,
        "seed": setting.seed,
        **classes,
    }


class _Watch(xgboost.callback.TrainingCallback):  # type: ignore[misc]  # xgboost has no types
    """Tell of every tenth round; a curve needs no more."""

    def __init__(self, setting: FitContext, rate: float) -> None:
        self._setting, self._rate = setting, rate

    def after_iteration(self, model: Any, epoch: int, evals_log: Mapping[str, Mapping[str, list[float]]]) -> bool:
        if epoch % 10 == 0:
            losses = {name: next(iter(log.values()))[-1] for name, log in evals_log.items()}
            self._setting.watch(epoch, losses, progress=(epoch + 1) * self._rate)
        return False
