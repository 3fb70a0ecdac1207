"""Fidelity: how much of the data a trial trains on and is scored on.

A budget of minutes may not buy all folds of a large table. Its trials then use the first fold alone, a hold-out, or a
part of the rows of that fold. The rows of a lower fidelity are rows of the same folds, so no model sees a row that it
is scored on. Trials of one fidelity are comparable with each other, not with those of another.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from workbench.array import Array

if TYPE_CHECKING:
    from workbench.evaluation.folds import Folds

Fidelity = Literal["full", "holdout", "holdout/4", "holdout/16", "holdout/64"]
"""All folds; the first fold alone; a quarter, … of the rows of that fold."""
FIDELITIES: tuple[Fidelity, ...] = get_args(Fidelity)
"""The fidelities, the highest first."""

# With fewer validation rows, scores of a single fold would tell too little.
_MIN_ROWS = 1000


def list_fidelities(folds: Folds) -> list[Fidelity]:
    """Return the fidelities that folds can have, the highest first."""
    rows = int((folds.assignment[0] == _first_fold(folds)).sum())
    lower = [each for each in FIDELITIES[1:] if rows // _divisor(each) >= _MIN_ROWS]
    return ["full", *(each for each in lower if len(folds) > 1 or _divisor(each) > 1)]


def reduce_folds(folds: Folds, fidelity: Fidelity, strata: Array | None = None) -> Folds:
    """Return the folds at a fidelity; a lower one than `full` has one fold, number 0, and the hash of all folds.

    Args:
        folds: all folds.
        fidelity: one of `list_fidelities`.
        strata: (rows,) classes, of each of which the same part is kept, at least one row.
    """
    if fidelity == "full":
        return folds
    valid = folds.assignment[0] == _first_fold(folds)
    assignment = np.where(valid, 0, -1).astype(np.int16)
    if (divisor := _divisor(fidelity)) > 1:
        for part in (valid, ~valid):
            rows = np.flatnonzero(part)
            own = np.zeros(len(rows), dtype=np.int64) if strata is None else np.asarray(strata)[rows]
            assignment[rows[_thin_out(own, divisor)]] = -2
    return replace(folds, assignment=assignment[None])


def describe_fidelity(fidelity: Fidelity) -> str:
    """Return a fidelity in words."""
    if fidelity == "full":
        return "all folds"
    divisor = _divisor(fidelity)
    return "a hold-out, the first fold" if divisor == 1 else f"a hold-out, 1/{divisor} of the rows of the first fold"


def _first_fold(folds: Folds) -> int:
    """Return the fold that stands for all: in order of time the last one, which trains on the most rows."""
    return folds.folds - 1 if folds.kind == "time" else 0


def _divisor(fidelity: Fidelity) -> int:
    return int(fidelity.partition("/")[2] or 1)


def _thin_out(strata: Array, divisor: int) -> Array:
    """Return the indices of the rows to leave out, so that one of `divisor` rows of each stratum is left."""
    order = np.random.default_rng(0).permutation(len(strata))
    order = order[np.argsort(strata[order], kind="stable")]
    _, starts, counts = np.unique(strata[order], return_index=True, return_counts=True)
    rank = np.arange(len(order)) - np.repeat(starts, counts)
    return np.asarray(order[rank % divisor > 0])
