"""Gradient-boosted trees (Chen and Guestrin, 2016), stopped early by the fold's validation rows."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import xgboost

from workbench import features
from workbench.models.protocol import FitContext, Inputs, Problem, Rows
from workbench.models.tabular.booster_facts import read_facts, write_facts

_ROUNDS = 10_000
# Rounds between two reports of the losses.
_REPORT_EVERY = 10
_OBJECTIVES = {
    "binary": ("binary:logistic", "logloss"),
    "multiclass": ("multi:softprob", "mlogloss"),
    "squared_error": ("reg:squarederror", "rmse"),
    "absolute_error": ("reg:absoluteerror", "mae"),
}


@dataclass(frozen=True)
class XGBoostModel:
    """A fitted preprocessor, and the trees of all rounds; a `protocol.StagedModel`."""

    preprocessor: Any
    trees: xgboost.Booster
    types: list[str]
    """XGBoost's type of each column: `q` for numbers, `c` for codes of categories."""
    length: int
    """The rounds whose trees predict."""

    def predict(self, x: Inputs) -> np.ndarray:
        """Return probabilities, (rows,) of class 1 or (rows, classes), or values (rows,)."""
        return self.predict_stages(x, [self.length])[0]

    def predict_stages(self, x: Inputs, lengths: Sequence[int]) -> list[np.ndarray]:
        """Return what `predict` returns after several numbers of rounds, in ascending order."""
        matrix, done, stages = xgboost.DMatrix(self.preprocessor.transform(x), feature_types=self.types), 0, []
        for length in lengths:
            rounds = (done, min(length, self.trees.num_boosted_rounds()))
            if rounds[1] > done:
                outputs = self.trees.predict(matrix, iteration_range=rounds)
                if length < lengths[-1]:
                    # The next rounds are added to the sums of these.
                    matrix.set_base_margin(self.trees.predict(matrix, iteration_range=rounds, output_margin=True))
                done = rounds[1]
            stages.append(np.asarray(outputs, dtype=np.float64))
        return stages

    def truncate(self, length: int) -> XGBoostModel:
        """Return the model of the first rounds, as many as there are of them."""
        length = min(length, self.trees.num_boosted_rounds())
        return replace(self, trees=self.trees[:length], length=length)

    def save(self, folder: Path) -> None:
        """Write `view.skops`, `trees.ubj`, `types.json` and `booster.json`."""
        features.save(self.preprocessor, folder / "view.skops")
        self.trees.save_model(folder / "trees.ubj")
        (folder / "types.json").write_text(json.dumps(self.types))
        write_facts(folder, length=self.length)


@dataclass(frozen=True)
class BoosterInputs:
    """The training rows as the trees see them, and the preprocessor that made them."""

    preprocessor: Any
    """Fitted."""
    matrix: Any
    """The transformed training rows, dense or sparse; entries that are not stored are missing."""
    types: list[str]
    """XGBoost's type of each column of the matrix."""


def load(folder: Path) -> XGBoostModel:
    """Return the model that `save` wrote to a folder."""
    trees, types = xgboost.Booster(model_file=folder / "trees.ubj"), json.loads((folder / "types.json").read_text())
    facts = read_facts(folder, rounds=trees.num_boosted_rounds())
    return XGBoostModel(features.load(folder / "view.skops"), trees, types, facts["length"])


def fit(hp: Any, problem: Problem, train: Rows, valid: Rows | None, context: FitContext) -> XGBoostModel:
    """Train until the validation loss stops falling or until the deadline.

    Without validation rows, train for `context.length` rounds.
    """
    categories = hp.Choice("categories", ["native", "target", "ordinal"]) if problem.columns else "ordinal"
    preprocessor = features.tree_preprocessor(
        problem.columns,
        train.x,
        categories="target" if categories == "target" else "ordinal",
        classes=problem.classes,
        seed=context.seed,
        kind=problem.kind,
    )
    matrix = preprocessor.fit_transform(train.x, train.y)
    native = features.native_columns(problem.columns, preprocessor) if categories == "native" else []
    types = ["c" if flag else "q" for flag in native] or ["q"] * matrix.shape[1]
    return boost(hp, problem, train, valid, context, BoosterInputs(preprocessor, matrix, types))


def boost(
    hp: Any,
    problem: Problem,
    train: Rows,
    valid: Rows | None,
    context: FitContext,
    inputs: BoosterInputs,
    *,
    learning_rate: float = 0.08,
    column_share: float = 0.7,
) -> XGBoostModel:
    """Train on rows that are preprocessed already.

    Args:
        hp: the search space, for the parameters of the trees.
        problem: the learning problem.
        train: the rows to learn from.
        valid: the fold's validation rows, for early stopping.
        context: seed, threads, length, and the callback for losses.
        inputs: the training rows as the trees see them.
        learning_rate: the default learning rate.
        column_share: the default share of the columns that a tree is given.
    """
    learning_rate = hp.Float("learning_rate", 0.02, 0.3, sampling="log", default=learning_rate)
    preprocessor, types = inputs.preprocessor, inputs.types
    training = xgboost.QuantileDMatrix(inputs.matrix, train.y, weight=train.sample_weight, feature_types=types)
    parameters = {**_search_parameters(hp, problem, context, column_share), "learning_rate": learning_rate}
    if valid is None:
        trees = xgboost.train(parameters, training, num_boost_round=context.length)
        return XGBoostModel(preprocessor, trees, types, trees.num_boosted_rounds())
    held_out = xgboost.QuantileDMatrix(
        preprocessor.transform(valid.x), valid.y, weight=valid.sample_weight, feature_types=types, ref=training
    )
    trees = xgboost.train(
        parameters,
        training,
        num_boost_round=_ROUNDS,
        evals=[(held_out, "val_loss")],
        early_stopping_rounds=round(20 + 1.5 / learning_rate),
        callbacks=[_XGBoostProgress(context, learning_rate, training)],
        verbose_eval=False,
    )
    return XGBoostModel(preprocessor, trees, types, trees.best_iteration + 1)


def _search_parameters(hp: Any, problem: Problem, context: FitContext, column_share: float) -> dict[str, Any]:
    objective, metric = _OBJECTIVES[problem.task if problem.classes else problem.loss]
    classes = {"num_class": problem.classes} if problem.task == "multiclass" else {}
    return {
        "objective": objective,
        "eval_metric": metric,
        "max_depth": hp.Int("max_depth", 3, 10, default=6),
        "min_child_weight": hp.Float("min_child_weight", 0.5, 30.0, sampling="log", default=2.0),
        "subsample": hp.Float("subsample", 0.5, 1.0, default=0.8),
        "colsample_bytree": hp.Float("colsample_bytree", 0.2, 1.0, default=column_share),
        "reg_lambda": hp.Float("reg_lambda", 1e-2, 30.0, sampling="log", default=1.0),
        "reg_alpha": hp.Float("reg_alpha", 1e-3, 10.0, sampling="log", default=1e-2),
        "max_cat_to_onehot": 8,
        "nthread": context.threads,
        "seed": context.seed,
        **classes,
    }


class _XGBoostProgress(xgboost.callback.TrainingCallback):  # type: ignore[misc]  # xgboost has no types
    """A callback that reports the losses of every tenth round, and ends the training at the deadline."""

    def __init__(self, context: FitContext, learning_rate: float, training: xgboost.DMatrix) -> None:
        self._context, self._learning_rate, self._training = context, learning_rate, training

    def before_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
        # One round is trained in any case: without a tree there is no best round.
        return epoch > 0 and self._context.must_stop()

    def after_iteration(self, model: Any, epoch: int, evals_log: Mapping[str, Mapping[str, list[float]]]) -> bool:
        if epoch % _REPORT_EVERY == 0:
            losses = {name: next(iter(log.values()))[-1] for name, log in evals_log.items()}
            # The training set is evaluated for its curve only: once for ten evaluations of the validation rows.
            losses["loss"] = float(model.eval(self._training, "loss", epoch).rpartition(":")[2])
            self._context.on_epoch(epoch, losses, progress=(epoch + 1) * self._learning_rate)
        return False
