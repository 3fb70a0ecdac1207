"""Gradient-boosted symmetric trees with ordered statistics of categories (Prokhorenkova et al., 2018)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import catboost
import numpy as np
import pandas as pd

from workbench import features
from workbench.models.protocol import FitContext, Inputs, Model, Problem, Rows
from workbench.models.tabular import constant

_ROUNDS = 1500
_OBJECTIVES = {
    "binary": "Logloss",
    "multiclass": "MultiClass",
    "squared_error": "RMSE",
    "absolute_error": "MAE",
}


@dataclass(frozen=True)
class CatBoostModel:
    """A view of the data, and the trees up to the best round."""

    view: Any
    trees: Any

    def predict(self, x: Inputs) -> np.ndarray:
        """Return probabilities, (rows,) of class 1 or (rows, classes), or values (rows,)."""
        kind = {"Logloss": "Probability", "MultiClass": "Probability"}.get(self.trees.get_param("loss_function"))
        categories = self.trees.get_cat_feature_indices()
        rows = _frame(self.view.transform(x), categories)
        outputs = np.asarray(self.trees.predict(rows, prediction_type=kind or "RawFormulaVal"), dtype=np.float64)
        return outputs[:, 1] if outputs.ndim == 2 and outputs.shape[1] == 2 else outputs

    def save(self, folder: Path) -> None:
        """Write `view.skops` and `trees.cbm`."""
        features.save(self.view, folder / "view.skops")
        self.trees.save_model(folder / "trees.cbm")


def load(folder: Path) -> Model:
    """Read what `save` wrote."""
    if (folder / "constant.json").exists():
        return constant.load(folder)
    trees = catboost.CatBoost()
    trees.load_model(folder / "trees.cbm")
    return CatBoostModel(features.load(folder / "view.skops"), trees)


def fit(hp: Any, problem: Problem, train: Rows, valid: Rows | None, setting: FitContext) -> Model:
    """Train until the validation loss has not fallen for a while, or for the rounds that are set."""
    parameters = _parameters(hp, problem, setting)
    if len(np.unique(train.y)) == 1:
        # CatBoost refuses a fold whose targets are all the same.
        return constant.fit(hp, problem, train, valid, setting)
    view = features.tree_preprocessor(
        problem.columns, train.x, categories="ordinal", classes=problem.classes, seed=setting.seed, kind=problem.kind
    )
    matrix = view.fit_transform(train.x, train.y)
    categories = [i for i, flag in enumerate(features.categorical_columns(problem.columns, view)) if flag]
    training = catboost.Pool(_frame(matrix, categories), train.y, cat_features=categories, weight=train.weight)
    if valid is None:
        trees = catboost.CatBoost({**parameters, "iterations": setting.length})
        return CatBoostModel(view, trees.fit(training))
    held_out = catboost.Pool(_frame(view.transform(valid.x), categories), valid.y, cat_features=categories)
    trees = catboost.CatBoost({**parameters, "iterations": _ROUNDS, "od_type": "Iter", "od_wait": 40})
    watch = _Watch(setting, parameters["learning_rate"])
    trees.fit(training, eval_set=held_out, use_best_model=True, callbacks=[watch])
    if watch.raised is not None:
        raise watch.raised
    return CatBoostModel(view, trees)


def _parameters(hp: Any, problem: Problem, setting: FitContext) -> dict[str, Any]:
    classes = {"classes_count": problem.classes} if problem.task == "multiclass" else {}
    return {
        "loss_function": _OBJECTIVES[problem.task if problem.classes else problem.loss],
        "learning_rate": hp.Float("learning_rate", 0.03, 0.3, sampling="log", default=0.1),
        "depth": hp.Int("depth", 4, 8, default=6),
        "l2_leaf_reg": hp.Float("l2_leaf_reg", 1.0, 30.0, sampling="log", default=3.0),
        "random_strength": hp.Float("random_strength", 0.1, 10.0, sampling="log", default=1.0),
        "bagging_temperature": hp.Float("bagging_temperature", 0.0, 2.0, default=1.0),
        "thread_count": setting.threads,
        "random_seed": setting.seed,
        "allow_writing_files": False,
        "logging_level": "Silent",
        **classes,
    }


def _frame(matrix: np.ndarray, categories: list[int]) -> pd.DataFrame:
    """Return the codes with categories as integers, as CatBoost wants them; -1 is missing."""
    columns = {i: matrix[:, i] for i in range(matrix.shape[1])}
    whole = {i: np.nan_to_num(matrix[:, i], nan=-1).astype(int) for i in categories}
    return pd.DataFrame(columns | whole)


class _Watch:
    """Tell of every tenth round; a curve needs no more."""

    def __init__(self, setting: FitContext, rate: float) -> None:
        self._setting, self._rate = setting, rate
        self.raised: Exception | None = None

    def after_iteration(self, info: Any) -> bool:
        """Return whether to go on; CatBoost would wrap what is raised here."""
        epoch = info.iteration - 1
        if epoch % 10 == 0:
            names = {"learn": "loss", "validation": "val_loss"}
            losses = {names[part]: next(iter(curves.values()))[-1] for part, curves in info.metrics.items()}
            try:
                self._setting.watch(epoch, losses, progress=info.iteration * self._rate)
            except Exception as error:  # noqa: BLE001 - raised again when CatBoost has let go
                self.raised = error
        return self.raised is None
