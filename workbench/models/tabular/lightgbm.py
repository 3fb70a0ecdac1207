"""Gradient-boosted trees that grow leaf by leaf (Ke et al., 2017), stopped early by the fold's validation rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
from scipy import special

from workbench import features
from workbench.models.protocol import FitContext, Inputs, Problem, Rows
from workbench.models.tabular.booster_facts import read_facts, write_facts

_ROUNDS = 10_000
# Rounds between two reports of the losses.
_REPORT_EVERY = 10
# LightGBM predicts row by row. These rounds stay in a core's cache: for 600 rounds that is six times as fast as all at
# once.
_ROUNDS_AT_ONCE = 50
_OBJECTIVES = {
    "binary": "binary",
    "multiclass": "multiclass",
    "squared_error": "regression",
    "absolute_error": "regression_l1",
}


@dataclass(frozen=True)
class LightGBMModel:
    """A fitted preprocessor, and the trees of all rounds; a `protocol.StagedModel`."""

    preprocessor: Any
    trees: lightgbm.Booster
    threads: int
    length: int
    """The rounds whose trees predict."""

    def predict(self, x: Inputs) -> np.ndarray:
        """Return probabilities, (rows,) of class 1 or (rows, classes), or values (rows,)."""
        return self.predict_stages(x, [self.length])[0]

    def predict_stages(self, x: Inputs, lengths: Sequence[int]) -> list[np.ndarray]:
        """Return what `predict` returns after several numbers of rounds, in ascending order."""
        matrix, done = self.preprocessor.transform(x), 0
        link = {"binary": special.expit, "multiclass": partial(special.softmax, axis=1)}
        apply = link.get(self.trees.params["objective"], np.asarray)
        sums: Any = 0.0
        stages = []
        for length in lengths:
            for start in range(done, length, _ROUNDS_AT_ONCE):
                rounds = {"start_iteration": start, "num_iteration": min(_ROUNDS_AT_ONCE, length - start)}
                sums = sums + self.trees.predict(matrix, raw_score=True, num_threads=self.threads, **rounds)
            done = length
            stages.append(np.asarray(apply(sums), dtype=np.float64))
        return stages

    def truncate(self, length: int) -> LightGBMModel:
        """Return the model of the first rounds, as many as there are of them."""
        length = min(length, self.trees.current_iteration())
        trees = lightgbm.Booster(model_str=self.trees.model_to_string(num_iteration=length))
        return replace(self, trees=trees, length=length)

    def save(self, folder: Path) -> None:
        """Write `view.skops`, `trees.txt` and `booster.json`."""
        features.save(self.preprocessor, folder / "view.skops")
        # Without a number, LightGBM saves the rounds up to the best one.
        self.trees.save_model(folder / "trees.txt", num_iteration=self.trees.current_iteration())
        write_facts(folder, threads=self.threads, length=self.length)


def load(folder: Path) -> LightGBMModel:
    """Return the model that `save` wrote to a folder."""
    trees = lightgbm.Booster(model_file=folder / "trees.txt")
    facts = read_facts(folder, rounds=trees.current_iteration())
    return LightGBMModel(features.load(folder / "view.skops"), trees, facts["threads"], facts["length"])


def fit(hp: Any, problem: Problem, train: Rows, valid: Rows | None, context: FitContext) -> LightGBMModel:
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
    flags = features.native_columns(problem.columns, preprocessor) if categories == "native" else []
    learning_rate = hp.Float("learning_rate", 0.02, 0.3, sampling="log", default=0.06)
    training = lightgbm.Dataset(
        matrix, train.y, weight=train.sample_weight, categorical_feature=[i for i, flag in enumerate(flags) if flag]
    )
    parameters = {**_search_parameters(hp, problem, context), "learning_rate": learning_rate}
    if valid is None:
        trees = lightgbm.train(parameters, training, num_boost_round=context.length)
        return LightGBMModel(preprocessor, trees, context.threads, trees.current_iteration())
    held_out = lightgbm.Dataset(
        preprocessor.transform(valid.x), valid.y, weight=valid.sample_weight, reference=training
    )
    trees = lightgbm.train(
        parameters,
        training,
        num_boost_round=_ROUNDS,
        valid_sets=[held_out],
        callbacks=[
            lightgbm.early_stopping(round(20 + 1.5 / learning_rate), verbose=False),
            _LightGBMProgress(context, learning_rate),
        ],
        # Otherwise LightGBM drops the rounds after the best one.
        keep_training_booster=True,
    )
    everything = trees.model_to_string(num_iteration=trees.current_iteration())
    return LightGBMModel(preprocessor, lightgbm.Booster(model_str=everything), context.threads, trees.best_iteration)


def _search_parameters(hp: Any, problem: Problem, context: FitContext) -> dict[str, Any]:
    return {
        "objective": _OBJECTIVES[problem.task if problem.classes else problem.loss],
        "num_class": problem.outputs,
        "num_leaves": hp.Int("num_leaves", 7, 255, sampling="log", default=31),
        "min_data_in_leaf": hp.Int("min_data_in_leaf", 2, 100, sampling="log", default=15),
        "bagging_fraction": hp.Float("bagging_fraction", 0.5, 1.0, default=0.8),
        "bagging_freq": 1,
        "feature_fraction": hp.Float("feature_fraction", 0.3, 1.0, default=0.7),
        "lambda_l1": hp.Float("lambda_l1", 1e-3, 10.0, sampling="log", default=1e-2),
        "lambda_l2": hp.Float("lambda_l2", 1e-2, 30.0, sampling="log", default=1.0),
        "num_threads": context.threads,
        "seed": context.seed,
        "deterministic": True,
        "force_col_wise": True,
        "verbosity": -1,
    }


class _LightGBMProgress:
    """A callback that reports the losses of every tenth round, and ends the training at the deadline."""

    def __init__(self, context: FitContext, learning_rate: float) -> None:
        self._context, self._learning_rate = context, learning_rate
        self._best = (math.inf, 0)

    def __call__(self, env: Any) -> None:
        losses = {"val_loss": env.evaluation_result_list[0][2]}
        self._best = min(self._best, (losses["val_loss"], env.iteration))
        if env.iteration % _REPORT_EVERY == 0:
            # The training set is evaluated for its curve only: once for ten evaluations of the validation rows.
            losses["loss"] = env.model.eval_train()[0][2]
            self._context.on_epoch(env.iteration, losses, progress=(env.iteration + 1) * self._learning_rate)
        if self._context.must_stop():
            raise lightgbm.callback.EarlyStopException(self._best[1], env.evaluation_result_list)
