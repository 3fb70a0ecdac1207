"""The baseline: it predicts the same for every row, so that a submission is always possible."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from workbench.models.protocol import FitContext, Inputs, Problem, Rows


@dataclass(frozen=True)
class Constant:
    """A model that knows one row of output."""

    output: list[float]

    def predict(self, x: Inputs) -> np.ndarray:
        """Return the output for every row."""
        rows = np.tile(np.asarray(self.output), (len(x), 1))
        return rows if len(self.output) > 1 else rows[:, 0]

    def save(self, folder: Path) -> None:
        """Write `constant.json`."""
        (folder / "constant.json").write_text(json.dumps(asdict(self)))


def load(folder: Path) -> Constant:
    """Read what `save` wrote."""
    return Constant(**json.loads((folder / "constant.json").read_text()))


def fit(hp: Any, problem: Problem, train: Rows, valid: Rows | None, setting: FitContext) -> Constant:
    """Take what minimises the loss: frequencies for log loss, mean for squares, median for absolutes."""
    weight = np.ones(len(train.y)) if train.weight is None else train.weight
    if problem.classes:
        shares = np.bincount(train.y, weights=weight, minlength=problem.classes) / weight.sum()
        return Constant(shares.tolist() if problem.outputs > 1 else [float(shares[1])])
    if problem.loss == "absolute_error":
        return Constant([float(np.quantile(train.y, 0.5, weights=weight, method="inverted_cdf"))])
    return Constant([float(np.average(train.y, weights=weight))])
