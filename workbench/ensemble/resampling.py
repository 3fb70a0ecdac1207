"""Random folds, to cross-fit over and to choose a penalty by; and bootstrap samples of rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.errors import EnsembleError

Labels = NDArray[np.intp]

_FOLDS = 5


def assign_folds(y: NDArray[Any], clusters: Labels, rng: np.random.Generator) -> Labels:
    """Assign clusters of rows to random folds, in the target's order, so that every fold covers the target's range.

    Args:
        y: (rows,) the target, or (rows, targets), ordered by the first target first.
        clusters: (rows,) numbers from 0; rows of one number stay together.
        rng: draws the folds.

    Raises:
        EnsembleError: there is one cluster only.
    """
    count = int(clusters.max()) + 1
    if count < 2:
        raise EnsembleError("y must hold at least two rows (or groups) to cross-fit. Received: one.")
    first = np.unique(clusters, return_index=True)[1]
    order = np.lexsort((rng.permutation(count), *np.atleast_2d(y[first].T)[::-1]))
    folds = np.empty(count, dtype=np.intp)
    folds[order] = np.arange(count) % min(_FOLDS, count)
    return folds[clusters]


def encode_labels(name: str, given: Any, rows: int) -> Labels:
    """Return labels encoded as numbers from 0.

    Raises:
        EnsembleError: there is not one for each row.
    """
    found = np.asarray(given)
    if found.shape != (rows,):
        raise EnsembleError(
            f"{name} must hold a label for each of the {rows} rows. Received: an array of shape {found.shape}."
        )
    return np.unique(found, return_inverse=True)[1].astype(np.intp)


@dataclass(frozen=True)
class BootstrapSample:
    """Rows drawn with replacement."""

    rows: Labels
    share: float
    """The number of drawn clusters over the number of all."""


def bootstrap(clusters: Labels, rng: np.random.Generator, count: int, most: int) -> Iterator[BootstrapSample]:
    """Yield rows drawn with replacement, a cluster at a time (the bootstrap: Efron, 1979).

    With many rows only some are drawn, and a standard error over resamples must be scaled by the root of their share
    (the m out of n bootstrap).

    Args:
        clusters: (rows,) numbers from 0; rows of one number are drawn together.
        rng: draws the clusters.
        count: the number of resamples.
        most: about the largest number of rows of each.
    """
    order = np.argsort(clusters, kind="stable")
    sizes = np.bincount(clusters)
    alone = len(sizes) == len(order)
    parts = [] if alone else np.split(order, np.cumsum(sizes)[:-1])
    size = max(1, min(len(sizes), int(most * len(sizes) / len(order))))
    for _ in range(count):
        drawn = rng.integers(len(sizes), size=size)
        rows = order[drawn] if alone else np.concatenate([parts[part] for part in drawn])
        yield BootstrapSample(rows, size / len(sizes))
