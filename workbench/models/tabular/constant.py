"""The baseline: the same prediction for every row, so that a submission is always possible."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from workbench.models.protocol import FitContext, Inputs, Problem, Rows

_FILE = "constant.json"


@dataclass(frozen=True)
class ConstantModel:
    """A model that predicts the same output for every row."""

    output: list[float]

    def predict(self, x: Inputs) -> np.ndarray:
        """Return the output for every row."""
        rows = np.tile(np.asarray(self.output), (len(x), 1))
        return rows if len(self.output) > 1 else rows[:, 0]

    def save(self, folder: Path) -> None:
        """Write `constant.json`."""
        (folder / _FILE).write_text(json.dumps(asdict(self)))


def load(folder: Path) -> ConstantModel:
    """Return the model that `save` wrote to a folder."""
    return ConstantModel(**json.loads((folder / _FILE).read_text()))


def fit(hp: Any, problem: Problem, train: Rows, valid: Rows | None, context: FitContext) -> ConstantModel:
    """Return the constant that minimises the loss: frequencies, the median for absolute errors, or the mean."""
    weight = np.ones(len(train.y)) if train.sample_weight is None else train.sample_weight
    if problem.classes:
        shares = np.bincount(train.y, weights=weight, minlength=problem.classes) / weight.sum()
        return ConstantModel(shares.tolist() if problem.outputs > 1 else [float(shares[1])])
    if problem.loss == "absolute_error":
        return ConstantModel([float(np.quantile(train.y, 0.5, weights=weight, method="inverted_cdf"))])
    return ConstantModel([float(np.average(train.y, weights=weight))])
