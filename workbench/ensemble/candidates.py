"""The choice of models to blend: the best of each family, then the best of all, no model twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from workbench.array import Array
from workbench.errors import EnsembleError

_NEAR = 1e-5
_ROUNDING = 1e-6


def candidates(
    scores: Sequence[float], families: Sequence[str], predictions: Sequence[ArrayLike], direction: str, most: int
) -> list[int]:
    """Return the indices of at most `most` models to blend, in the order in which they were chosen.

    The best model of each family comes first, then all others by score. A model is left out where Lin's
    concordance (1989) with one already chosen is above 0.99999 in every column, and where its score is not finite.

    Args:
        scores: a score a model.
        families: the family of each model.
        predictions: an array per model, all of one shape.
        direction: `minimize` or `maximize`.
        most: how many to return at most.

    Raises:
        EnsembleError: the arguments are of different lengths, or the direction or `most` cannot be used.
    """
    if not len(scores) == len(families) == len(predictions):
        raise EnsembleError(
            "scores, families and predictions must have an entry for each model. "
            f"Received: {len(scores)}, {len(families)} and {len(predictions)}."
        )
    if direction not in ("minimize", "maximize"):
        raise EnsembleError(f"direction must be 'minimize' or 'maximize'. Received: {direction!r}.")
    if most < 1:
        raise EnsembleError(f"most must be at least 1. Received: {most!r}.")
    sign = 1 if direction == "minimize" else -1
    chosen: dict[int, _Columns] = {}
    for index in rank_by_family([sign * score for score in scores], families):
        if len(chosen) == most:
            break
        model = _Columns.of(predictions[index])
        if not any(model.is_near(other) for other in chosen.values()):
            chosen[index] = model
    return list(chosen)


def rank_by_family(losses: Sequence[float], families: Sequence[str]) -> list[int]:
    """Return the indices of the models whose loss is finite: the best of each family first, then the others by loss."""
    finite = [index for index, loss in enumerate(losses) if np.isfinite(loss)]
    ranked = sorted(finite, key=losses.__getitem__)
    leaders = set({families[index]: index for index in reversed(ranked)}.values())
    return sorted(ranked, key=lambda index: index not in leaders)


@dataclass(frozen=True, eq=False)
class _Columns:
    """A model's predictions, (rows, columns), with the mean and the variance of each column."""

    values: Array
    mean: Array
    variance: Array

    @classmethod
    def of(cls, predictions: ArrayLike) -> _Columns:
        values = np.atleast_2d(np.asarray(predictions, dtype=np.float64).T).T
        return cls(values, values.mean(axis=0), values.var(axis=0))

    def is_near(self, other: _Columns) -> bool:
        """Return whether 1 - concordance, mean (a-b)² / (var a + var b + (mean a - mean b)²), is almost 0.

        It is computed for each column, because the columns of several targets have different units. Most models differ
        by a mean or a deviation already: mean (a-b)² is at least the sum of the squares of these differences.
        """
        shift = (self.mean - other.mean) ** 2
        most = _NEAR * (self.variance + other.variance + shift)
        least = shift + (np.sqrt(self.variance) - np.sqrt(other.variance)) ** 2
        # The bound is exact but for rounding.
        if (least > most * (1 + _ROUNDING)).any():
            return False
        return bool((np.mean((self.values - other.values) ** 2, axis=0) <= most).all())
