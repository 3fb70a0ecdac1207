"""The choice of models to blend: the best of each family, then the best of all, no model twice."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from workbench.array import Array
from workbench.errors import EnsembleError

_NEAR = 1e-5


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
    finite = [index for index, score in enumerate(scores) if np.isfinite(score)]
    ranked = sorted(finite, key=lambda index: sign * scores[index])
    leaders = list({families[index]: index for index in reversed(ranked)}.values())
    chosen: dict[int, Array] = {}
    for index in sorted(leaders, key=ranked.index) + ranked:
        if len(chosen) == most:
            break
        model = np.atleast_2d(np.asarray(predictions[index], dtype=np.float64).T).T
        if index not in chosen and not any(_near(model, other) for other in chosen.values()):
            chosen[index] = model
    return list(chosen)


def _near(a: Array, b: Array) -> bool:
    """Return whether 1 - concordance, mean (a-b)² / (var a + var b + (mean a - mean b)²), is almost 0.

    It is computed for each column, because the columns of several targets have different units.
    """
    spread = a.var(axis=0) + b.var(axis=0) + (a.mean(axis=0) - b.mean(axis=0)) ** 2
    return bool((np.mean((a - b) ** 2, axis=0) <= _NEAR * spread).all())
