"""Rows by falling probability: what ROC and precision–recall curves are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workbench.array import Array
from workbench.report.report_data import ReportData

MOST_POINTS = 300
"""Of a curve that is drawn; areas are computed from all."""


@dataclass(frozen=True, eq=False)
class Ranking:
    """How many rows of a class, and how many others, are among those of the highest probabilities."""

    hits: Array
    """(cuts,) from 0 up to all of the class; a cut falls between different probabilities only."""
    misses: Array
    """(cuts,) of the other rows."""

    @classmethod
    def of(cls, positive: NDArray[np.bool_], probability: Array) -> Ranking:
        """Rank rows.

        Args:
            positive: (rows,) whether a row is of the class.
            probability: (rows,) that was predicted for it.
        """
        order = np.argsort(-probability, kind="stable")
        ranked = probability[order]
        ends = np.append(np.flatnonzero(ranked[1:] != ranked[:-1]), len(ranked) - 1)
        hits = np.cumsum(positive[order], dtype=np.float64)[ends]
        return cls(np.append(0.0, hits), np.append(0.0, ends + 1 - hits))

    @property
    def prevalence(self) -> float:
        """The share of the rows that are of the class."""
        return float(self.hits[-1] / (self.hits[-1] + self.misses[-1]))

    def roc(self) -> tuple[Array, Array]:
        """Return false and true positive rates, (cuts,) each."""
        return self.misses / self.misses[-1], self.hits / self.hits[-1]

    def area(self) -> float:
        """Return the area under the ROC curve."""
        false, found = self.roc()
        return float(np.trapezoid(y=found, x=false))

    def precision_recall(self) -> tuple[Array, Array]:
        """Return recall and precision, (cuts,) each; with nothing taken, precision is 1 as is the custom."""
        precision = np.append(1.0, self.hits[1:] / (self.hits + self.misses)[1:])
        return self.hits / self.hits[-1], precision

    def average_precision(self) -> float:
        """Return the mean over the rows of the class of the precision at their rank."""
        recall, precision = self.precision_recall()
        return float(np.diff(recall) @ precision[1:])


def of_members(story: ReportData, most: int) -> Mapping[str, Ranking]:
    """Return how the ensemble and its heaviest members rank the rows of two classes; nothing where one is absent."""
    positive = story.y == 1
    if story.oof is None or story.oof.ndim > 1 or positive.all() or not positive.any():
        return {}
    heaviest = list(story.members.items())[:most] if len(story.members) > 1 else []
    return {name: Ranking.of(positive, oof) for name, oof in [("ensemble", story.oof), *heaviest]}


def of_classes(story: ReportData) -> Mapping[int, Ranking]:
    """Return how the ensemble ranks the rows for each of three or more classes that has some but not all of them."""
    if story.oof is None or story.oof.ndim == 1:
        return {}
    rows = {index: story.y == index for index in range(story.oof.shape[1])}
    return {
        index: Ranking.of(positive, story.oof[:, index])
        for index, positive in rows.items()
        if positive.any() and not positive.all()
    }


def thin_points(x: Array, y: Array) -> tuple[Array, Array]:
    """Return a curve with so few points that it can be drawn, spread evenly along its length, the ends among them."""
    if len(x) <= MOST_POINTS:
        return x, y
    along = np.append(0.0, np.cumsum(np.abs(np.diff(x)) + np.abs(np.diff(y))))
    taken = np.searchsorted(along, np.linspace(0, along[-1], MOST_POINTS))
    taken = np.unique(np.clip(np.append(taken, len(x) - 1), 0, len(x) - 1))
    return x[taken], y[taken]
