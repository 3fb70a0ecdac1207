"""Rows dealt into random folds: to cross-fit over, and to choose a penalty by."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.errors import EnsembleError

Labels = NDArray[np.intp]

_FOLDS = 5


def deal(y: NDArray[Any], clusters: Labels, rng: np.random.Generator) -> Labels:
    """Deal clusters of rows into random folds, in the target's order so that each fold gets some of everything.

    Args:
        y: (rows,) the target.
        clusters: (rows,) numbers from 0; rows of one number stay together.
        rng: draws the folds.

    Raises:
        EnsembleError: there is one cluster only.
    """
    count = int(clusters.max()) + 1
    if count < 2:
        raise EnsembleError("y must hold at least two rows (or groups) to cross-fit. Received: one.")
    first = np.unique(clusters, return_index=True)[1]
    order = np.lexsort((rng.permutation(count), y[first]))
    folds = np.empty(count, dtype=np.intp)
    folds[order] = np.arange(count) % min(_FOLDS, count)
    return folds[clusters]


def labels(name: str, given: Any, rows: int) -> Labels:
    """Return labels as numbers from 0.

    Raises:
        EnsembleError: there is not one for each row.
    """
    found = np.asarray(given)
    if found.shape != (rows,):
        raise EnsembleError(
            f"{name} must hold a label for each of the {rows} rows. Received: an array of shape {found.shape}."
        )
    return np.unique(found, return_inverse=True)[1].astype(np.intp)
