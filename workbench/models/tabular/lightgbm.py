"""Gradient-boosted trees grown leaf by leaf (Ke et al., 2017), stopped by the fold's validation rows."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np

from workbench import features
from workbench.models.protocol import FitContext, Inputs, Problem, Rows

_ROUNDS = 3000
_OBJECTIVES = {
    "binary": "binary",
    "multiclass": "multiclass",
    "squared_error": "regression",
    "absolute_error": "regression_l1",
}


@dataclass(frozen=True)
class LightGBMModel:
    """A view of the data, and the trees up to the best round."""

    view: Any
    trees: lightgbm.Booster
    threads: int

    def predict(self, x: Inputs) -> np.ndarray:
        """Return probabilities, (rows,) of class 1 or (rows, classes), or values (rows,)."""
        matrix = self.view.transform(x)
        return np.asarray(self.trees.predict(matrix, num_threads=self.threads), dtype=np.float64)

    def save(self, folder: Path) -> None:
        """Write `view.skops`, `trees.txt` and `booster.json`."""
        features.save(self.view, folder / "view.skops")
        self.trees.save_model(folder / "trees.txt")
        (folder / "booster.json").write_text(json.dumps({"threads": self.threads}))


def load(folder: Path) -> LightGBMModel:
    """Read what `save` wrote."""
    facts = json.loads((folder / "booster.json").read_text())
    return LightGBMModel(
        features.load(folder / "view.skops"), lightgbm.Booster(model_file=folder / "trees.txt"), **facts
    )


def fit(hp: Any, problem: Problem, train: Rows, valid: Rows | None, setting: FitContext) -> LightGBMModel:
    """Train until the validation loss has not fallen for a while, or for the rounds that are set."""
    categories = hp.Choice("categories", ["native", "target", "ordinal"]) if problem.columns else "ordinal"
    coded: features.Coding = "target" if categories == "target" else "ordinal"
    view = features.tree_preprocessor(
        problem.columns, train.x, categories=coded, classes=problem.classes, seed=setting.seed, kind=problem.kind
    )
    matrix = view.fit_transform(train.x, train.y)
    flags = features.categorical_columns(problem.columns, view) if categories == "native" else []
    rate = hp.Float("learning_rate", 0.02, 0.3, sampling="log", default=0.06)
    training = lightgbm.Dataset(
        matrix, train.y, weight=train.weight, categorical_feature=[i for i, flag in enumerate(flags) if flag]
    )
    parameters = {**_parameters(hp, problem, setting), "learning_rate": rate}
    if valid is None:
        return LightGBMModel(
            view, lightgbm.train(parameters, training, num_boost_round=setting.length), setting.threads
        )
    held_out = lightgbm.Dataset(view.transform(valid.x), valid.y, weight=valid.weight, reference=training)
    trees = lightgbm.train(
        parameters,
        training,
        num_boost_round=_ROUNDS,
        valid_sets=[training, held_out],
        valid_names=["training", "held out"],
        callbacks=[
            lightgbm.early_stopping(round(20 + 1.5 / rate), verbose=False),
            lambda env: _watch(env, setting, rate),
        ],
    )
    best = lightgbm.Booster(model_str=trees.model_to_string(num_iteration=trees.best_iteration))
    return LightGBMModel(view, best, setting.threads)


def _parameters(hp: Any, problem: Problem, setting: FitContext) -> dict[str, Any]:
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
        "num_threads": setting.threads,
        "seed": setting.seed,
        "deterministic": True,
        "force_col_wise": True,
        "verbosity": -1,
        # The training set is among the evaluated ones for its curve only.
        "first_metric_only": True,
    }


def _watch(env: Any, setting: FitContext, rate: float) -> None:
    """Tell of every tenth round; a curve needs no more."""
    if env.iteration % 10 == 0:
        names = {"training": "loss", "held out": "val_loss"}
        losses = {names[entry[0]]: entry[2] for entry in env.evaluation_result_list}
        setting.watch(env.iteration, losses, progress=(env.iteration + 1) * rate)
