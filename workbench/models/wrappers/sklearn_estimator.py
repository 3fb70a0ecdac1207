"""A fitted scikit-learn estimator with its inputs: what the linear family and the forests return."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.dummy import DummyClassifier

from workbench import features
from workbench.models.protocol import Inputs, Problem, Rows


@dataclass(frozen=True)
class EstimatorModel:
    """A view of the data, and an estimator on top of it."""

    view: Any
    estimator: Any
    classes: int
    """The number of classes of the problem, which a fold may not have all seen; 0 for regression."""

    def predict(self, x: Inputs) -> np.ndarray:
        """Return probabilities, (rows,) of class 1 or (rows, classes), or values (rows,)."""
        matrix = self.view.transform(x)
        if not self.classes:
            return np.asarray(self.estimator.predict(matrix), dtype=np.float64)
        shares = np.zeros((len(x), self.classes))
        shares[:, self.estimator.classes_.astype(int)] = self.estimator.predict_proba(matrix)
        return shares if self.classes > 2 else shares[:, 1]

    def save(self, folder: Path) -> None:
        """Write `view.skops`, `estimator.skops` and `estimator.json`."""
        features.save(self.view, folder / "view.skops")
        features.save(self.estimator, folder / "estimator.skops")
        (folder / "estimator.json").write_text(json.dumps({"classes": self.classes}))


def load(folder: Path) -> EstimatorModel:
    """Read what `save` wrote."""
    classes = json.loads((folder / "estimator.json").read_text())["classes"]
    return EstimatorModel(features.load(folder / "view.skops"), features.load(folder / "estimator.skops"), classes)


def fit(view: Any, estimator: Any, problem: Problem, train: Rows, *, matrix: Any | None = None) -> EstimatorModel:
    """Fit the view and the estimator on the fold's training rows; `matrix` is what a fitted view made of them."""
    if matrix is None:
        matrix = view.fit_transform(train.x, train.y)
    if problem.classes and len(np.unique(train.y)) == 1:
        # A fold may hold one class only, which most classifiers refuse.
        estimator = DummyClassifier()
    estimator.fit(matrix, train.y, sample_weight=train.weight)
    return EstimatorModel(view, estimator, problem.classes)
