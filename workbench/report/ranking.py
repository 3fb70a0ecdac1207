"""Counts of hits and misses by falling probability, for ROC and precision–recall curves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workbench.array import Array
from workbench.report.report_data import ReportData

MAX_POINTS = 300
"""The most points of a drawn curve; areas are computed from all points."""


@dataclass(frozen=True, eq=False)
class Ranking:
    """The rows of a class, and the other rows, above each threshold of the predicted probability."""

    hits: Array
    """(thresholds,) rows of the class, from 0 up to all; thresholds lie between distinct probabilities only."""
    misses: Array
    """(thresholds,) other rows."""

    @classmethod
    def from_predictions(cls, positive: NDArray[np.bool_], probability: Array) -> Ranking:
        """Return the counts for predicted probabilities.

        Args:
            positive: (rows,) whether a row belongs to the class.
            probability: (rows,) the predicted probability of the class.
        """
        order = np.argsort(-probability, kind="stable")
        ranked = probability[order]
        ends = np.append(np.flatnonzero(ranked[1:] != ranked[:-1]), len(ranked) - 1)
        hits = np.cumsum(positive[order], dtype=np.float64)[ends]
        return cls(np.append(0.0, hits), np.append(0.0, ends + 1 - hits))

    @property
    def prevalence(self) -> float:
        """The share of the rows that belong to the class."""
        return float(self.hits[-1] / (self.hits[-1] + self.misses[-1]))

    def roc(self) -> tuple[Array, Array]:
        """Return false and true positive rates, (thresholds,) each."""
        return self.misses / self.misses[-1], self.hits / self.hits[-1]

    def area(self) -> float:
        """Return the area under the ROC curve."""
        false_positive, true_positive = self.roc()
        return float(np.trapezoid(y=true_positive, x=false_positive))

    def precision_recall(self) -> tuple[Array, Array]:
        """Return recall and precision, (thresholds,) each; precision is 1 by convention where no row is predicted."""
        precision = np.append(1.0, self.hits[1:] / (self.hits + self.misses)[1:])
        return self.hits / self.hits[-1], precision

    def average_precision(self) -> float:
        """Return the average precision: the mean, over the rows of the class, of the precision at their rank."""
        recall, precision = self.precision_recall()
        return float(np.diff(recall) @ precision[1:])


def rank_members(data: ReportData, limit: int) -> Mapping[str, Ranking]:
    """Return the rankings of the ensemble and its heaviest members for two classes.

    The result is empty without an ensemble, for more classes, and where one of the two does not occur.
    """
    positive = data.y == 1
    if data.oof is None or data.oof.ndim > 1 or positive.all() or not positive.any():
        return {}
    heaviest = list(data.member_oof.items())[:limit] if len(data.member_oof) > 1 else []
    return {name: Ranking.from_predictions(positive, oof) for name, oof in [("ensemble", data.oof), *heaviest]}


def rank_classes(data: ReportData) -> Mapping[int, Ranking]:
    """Return the ensemble's ranking for each of three or more classes, by class index.

    Classes that have no row, or every row, are left out; the result is empty for two classes.
    """
    if data.oof is None or data.oof.ndim == 1:
        return {}
    by_class = {index: data.y == index for index in range(data.oof.shape[1])}
    return {
        index: Ranking.from_predictions(positive, data.oof[:, index])
        for index, positive in by_class.items()
        if positive.any() and not positive.all()
    }


def thin_points(x: Array, y: Array) -> tuple[Array, Array]:
    """Return a curve with about `MAX_POINTS` points, spread evenly along its length, with both ends."""
    if len(x) <= MAX_POINTS:
        return x, y
    length = np.append(0.0, np.cumsum(np.abs(np.diff(x)) + np.abs(np.diff(y))))
    kept = np.searchsorted(length, np.linspace(0, length[-1], MAX_POINTS))
    kept = np.unique(np.clip(np.append(kept, len(x) - 1), 0, len(x) - 1))
    return x[kept], y[kept]
