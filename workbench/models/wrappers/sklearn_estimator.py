"""A preprocessor and a fitted scikit-learn estimator, saved without pickle."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.dummy import DummyClassifier

from workbench import features
from workbench.models.protocol import Inputs, Problem, Rows

_PREPROCESSOR_FILE, _ESTIMATOR_FILE, _FILE = "view.skops", "estimator.skops", "estimator.json"


@dataclass(frozen=True)
class EstimatorModel:
    """A fitted preprocessor, and a fitted estimator on top of it."""

    preprocessor: Any
    estimator: Any
    classes: int
    """The number of classes of the problem, some of which a fold may lack; 0 for regression."""

    def predict(self, x: Inputs) -> np.ndarray:
        """Return probabilities, (rows,) of class 1 or (rows, classes), or values (rows,)."""
        matrix = self.preprocessor.transform(x)
        if not self.classes:
            return np.asarray(self.estimator.predict(matrix), dtype=np.float64)
        probabilities = np.zeros((len(x), self.classes))
        probabilities[:, self.estimator.classes_.astype(int)] = self.estimator.predict_proba(matrix)
        return probabilities if self.classes > 2 else probabilities[:, 1]

    def save(self, folder: Path) -> None:
        """Write `view.skops`, `estimator.skops` and `estimator.json`."""
        features.save(self.preprocessor, folder / _PREPROCESSOR_FILE)
        features.save(self.estimator, folder / _ESTIMATOR_FILE)
        (folder / _FILE).write_text(json.dumps({"classes": self.classes}))


def load(folder: Path) -> EstimatorModel:
    """Return the model that `save` wrote to a folder."""
    classes = json.loads((folder / _FILE).read_text())["classes"]
    return EstimatorModel(features.load(folder / _PREPROCESSOR_FILE), features.load(folder / _ESTIMATOR_FILE), classes)


def fit(
    preprocessor: Any,
    estimator: Any,
    problem: Problem,
    train: Rows,
    *,
    matrix: Any | None = None,
    train_estimator: Callable[[Any, Any, Rows], object] | None = None,
) -> EstimatorModel:
    """Fit a preprocessor and an estimator on the fold's training rows.

    Args:
        preprocessor: fitted if there is a `matrix`.
        estimator: fitted here.
        problem: the learning problem.
        train: the rows to learn from.
        matrix: the transformed training rows, if the preprocessor is fitted already.
        train_estimator: trains the estimator on the transformed rows; by default its own `fit` does.
    """
    if matrix is None:
        matrix = preprocessor.fit_transform(train.x, train.y)
    if problem.classes and len(np.unique(train.y)) == 1:
        # Most classifiers refuse a fold with a single class.
        estimator, train_estimator = DummyClassifier(), None
    if train_estimator is None:
        estimator.fit(matrix, train.y, sample_weight=train.sample_weight)
    else:
        train_estimator(estimator, matrix, train)
    return EstimatorModel(preprocessor, estimator, problem.classes)
