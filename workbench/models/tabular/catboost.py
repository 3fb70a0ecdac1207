"""Gradient-boosted symmetric trees with ordered statistics of categories (Prokhorenkova et al., 2018)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import catboost
import numpy as np
import pandas as pd

from workbench import features
from workbench.models.protocol import FitContext, Inputs, Model, Problem, Rows
from workbench.models.tabular import constant
from workbench.models.tabular.booster_facts import read_facts, write_facts

_ROUNDS = 1500
_PATIENCE = 40
# Rounds between two reports of the losses.
_REPORT_EVERY = 10
_OBJECTIVES = {
    "binary": "Logloss",
    "multiclass": "MultiClass",
    "squared_error": "RMSE",
    "absolute_error": "MAE",
}


@dataclass(frozen=True)
class CatBoostModel:
    """A fitted preprocessor, and the trees of all rounds; a `protocol.StagedModel`."""

    preprocessor: Any
    trees: Any
    length: int
    """The rounds whose trees predict."""

    def predict(self, x: Inputs) -> np.ndarray:
        """Return probabilities, (rows,) of class 1 or (rows, classes), or values (rows,)."""
        return self.predict_stages(x, [self.length])[0]

    def predict_stages(self, x: Inputs, lengths: Sequence[int]) -> list[np.ndarray]:
        """Return what `predict` returns after several numbers of rounds, in ascending order."""
        kind = {"Logloss": "Probability", "MultiClass": "Probability"}.get(self.trees.get_param("loss_function"))
        categories = self.trees.get_cat_feature_indices()
        # CatBoost predicts so fast that most of the time goes to the rows, which are prepared once.
        rows = catboost.Pool(_as_frame(self.preprocessor.transform(x), categories), cat_features=categories)
        stages = []
        for length in lengths:
            options = {"prediction_type": kind or "RawFormulaVal", "ntree_end": min(length, self.trees.tree_count_)}
            outputs = np.asarray(self.trees.predict(rows, **options), dtype=np.float64)
            stages.append(outputs[:, 1] if outputs.ndim == 2 and outputs.shape[1] == 2 else outputs)
        return stages

    def truncate(self, length: int) -> CatBoostModel:
        """Return the model of the first rounds, as many as there are of them."""
        trees = self.trees.copy()
        trees.shrink(ntree_end=min(length, trees.tree_count_))
        return replace(self, trees=trees, length=trees.tree_count_)

    def save(self, folder: Path) -> None:
        """Write `view.skops`, `trees.cbm` and `booster.json`."""
        features.save(self.preprocessor, folder / "view.skops")
        self.trees.save_model(folder / "trees.cbm")
        write_facts(folder, length=self.length)


def load(folder: Path) -> Model:
    """Return the model that its `save` wrote to a folder."""
    if (folder / "constant.json").exists():
        return constant.load(folder)
    trees = catboost.CatBoost()
    trees.load_model(folder / "trees.cbm")
    facts = read_facts(folder, rounds=trees.tree_count_)
    return CatBoostModel(features.load(folder / "view.skops"), trees, facts["length"])


def fit(hp: Any, problem: Problem, train: Rows, valid: Rows | None, context: FitContext) -> Model:
    """Train until the validation loss stops falling or until the deadline.

    Without validation rows, train for `context.length` rounds.
    """
    parameters = _search_parameters(hp, problem, context)
    if len(np.unique(train.y)) == 1:
        # CatBoost refuses targets that are all the same.
        return constant.fit(hp, problem, train, valid, context)
    preprocessor = features.tree_preprocessor(
        problem.columns, train.x, categories="ordinal", classes=problem.classes, seed=context.seed, kind=problem.kind
    )
    matrix = preprocessor.fit_transform(train.x, train.y)
    flags = features.categorical_columns(problem.columns, preprocessor)
    categories = [i for i, flag in enumerate(flags) if flag]
    training = catboost.Pool(
        _as_frame(matrix, categories), train.y, cat_features=categories, weight=train.sample_weight
    )
    if valid is None:
        trees = catboost.CatBoost({**parameters, "iterations": context.length})
        return CatBoostModel(preprocessor, trees.fit(training), trees.tree_count_)
    held_out = catboost.Pool(
        _as_frame(preprocessor.transform(valid.x), categories),
        valid.y,
        cat_features=categories,
        weight=valid.sample_weight,
    )
    trees = catboost.CatBoost({**parameters, "iterations": _ROUNDS, "od_type": "Iter", "od_wait": _PATIENCE})
    callback = _CatBoostProgress(context, parameters["learning_rate"])
    trees.fit(training, eval_set=held_out, use_best_model=False, callbacks=[callback])
    if callback.error is not None:
        raise callback.error
    return CatBoostModel(preprocessor, trees, trees.get_best_iteration() + 1)


def _search_parameters(hp: Any, problem: Problem, context: FitContext) -> dict[str, Any]:
    classes = {"classes_count": problem.classes} if problem.task == "multiclass" else {}
    return {
        "loss_function": _OBJECTIVES[problem.task if problem.classes else problem.loss],
        "learning_rate": hp.Float("learning_rate", 0.03, 0.3, sampling="log", default=0.1),
        "depth": hp.Int("depth", 4, 8, default=6),
        "l2_leaf_reg": hp.Float("l2_leaf_reg", 1.0, 30.0, sampling="log", default=3.0),
        "random_strength": hp.Float("random_strength", 0.1, 10.0, sampling="log", default=1.0),
        "bagging_temperature": hp.Float("bagging_temperature", 0.0, 2.0, default=1.0),
        "thread_count": context.threads,
        "random_seed": context.seed,
        "allow_writing_files": False,
        "logging_level": "Silent",
        **classes,
    }


def _as_frame(matrix: np.ndarray, categories: list[int]) -> pd.DataFrame:
    """Return the matrix with categories as integers, as CatBoost requires; -1 is missing."""
    columns = {i: matrix[:, i] for i in range(matrix.shape[1])}
    integers = {i: np.nan_to_num(matrix[:, i], nan=-1).astype(int) for i in categories}
    return pd.DataFrame(columns | integers)


class _CatBoostProgress:
    """A callback that reports the losses of every tenth round, and ends the training at the deadline."""

    def __init__(self, context: FitContext, learning_rate: float) -> None:
        self._context, self._learning_rate = context, learning_rate
        self.error: Exception | None = None

    def after_iteration(self, info: Any) -> bool:
        """Report the losses, and return whether to continue; an error is kept, because CatBoost would wrap it."""
        epoch = info.iteration - 1
        if epoch % _REPORT_EVERY == 0:
            names = {"learn": "loss", "validation": "val_loss"}
            losses = {names[part]: next(iter(curves.values()))[-1] for part, curves in info.metrics.items()}
            try:
                self._context.on_epoch(epoch, losses, progress=info.iteration * self._learning_rate)
            except Exception as error:  # noqa: BLE001 - raised again after training
                self.error = error
        return self.error is None and not self._context.must_stop()
