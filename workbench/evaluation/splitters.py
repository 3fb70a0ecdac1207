"""The strategies that assign rows to folds. Each returns (rows,) fold numbers, -1 for rows that only train.

scikit-learn's splitters are used wherever they apply; classes that are too rare for them are assigned here.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable

import numpy as np
import pandas as pd

from workbench.array import Array
from workbench.config import FoldKind, FoldsConfig
from workbench.errors import EvaluationError

# The most folds that a user's column may have.
_MAX_COLUMN_FOLDS = 1000


def split_at_random(
    kind: FoldKind, config: FoldsConfig, repeat: int, rows: int, y: Array | None, groups: Array | None
) -> Array:
    """Assign the rows to folds at random, for one repeat.

    Args:
        kind: any kind except `time` and `column`.
        config: the number of folds, the fraction of a hold-out, and the seed.
        repeat: the number of the repeat, which is added to the seed.
        rows: the number of rows.
        y: (rows,) the strata, for stratified kinds; a hold-out is stratified too if they are given.
        groups: (rows,) group numbers.

    Raises:
        EvaluationError: there are fewer rows or groups than folds.
    """
    seed = (config.seed + repeat) % 2**32
    units, name = (rows, "rows") if groups is None else (int(groups.max(initial=-1)) + 1, "groups of data.group")
    least = 2 if kind == "holdout" else config.folds
    if units < least:
        key = f"folds.kind {kind!r}" if kind == "holdout" else f"folds.folds: {least}"
        raise EvaluationError(f"{key} needs {least} {name} or more. Received: {units}. {_suggest_fewer_folds(units)}")
    if kind == "holdout":
        return _hold_out(config.fraction, seed, rows, y, groups)
    stratify = y if kind in ("stratified", "group_stratified") else None
    if groups is None:
        return _split_rows(config.folds, seed, rows, stratify)
    return _split_groups(config.folds, seed, stratify, groups)


def encode_groups(groups: Array) -> Array:
    """Return (rows,) group numbers; a row without a group gets a group of its own."""
    numbers = pd.factorize(np.asarray(groups))[0].astype(np.int64)
    ungrouped = numbers < 0
    numbers[ungrouped] = numbers.max(initial=-1) + 1 + np.arange(ungrouped.sum())
    return numbers


def rank_times(time: Array) -> Array:
    """Return (rows,) the rank of each row in time, from 0; equal times have equal ranks.

    Raises:
        EvaluationError: a time is missing, or the values are of types that cannot be sorted together.
    """
    values = np.asarray(time)
    if pd.api.types.infer_dtype(values) in ("mixed", "mixed-integer"):
        kinds = sorted({type(value).__name__ for value in values.tolist()})
        raise EvaluationError(
            f"data.time must hold values that can be sorted. Received: {' and '.join(kinds)}. "
            "Make them all dates or all numbers."
        )
    numbers = pd.factorize(values, sort=True)[0].astype(np.int64)
    missing = int((numbers < 0).sum())
    if missing:
        raise EvaluationError(
            f"data.time must be known for every row. Received: {missing} missing values. Fill them, or drop the rows."
        )
    return numbers


def split_by_time(order: Array, folds: int) -> Array:
    """Split the rows into `folds + 1` blocks of about equal size in time; the first block only trains.

    Rows of equal time stay in one block, so each boundary is moved to the nearest change of time.

    Raises:
        EvaluationError: there are too few distinct times.
    """
    starts = np.concatenate(([0], np.bincount(order).cumsum()[:-1]))
    if len(starts) <= folds:
        raise EvaluationError(
            f"folds.folds must be less than the number of distinct values of data.time, {len(starts)}. "
            f"Received: {folds}. {_suggest_fewer_folds(len(starts) - 1)}"
        )
    first = np.zeros(len(starts), dtype=np.int64)
    cut = 0
    for fold in range(1, folds + 1):
        wanted = fold * len(order) / (folds + 1)
        nearest = int(np.abs(starts - wanted).argmin())
        # Each block gets at least one distinct time and leaves one for each later block.
        cut = min(max(nearest, cut + 1), len(starts) - 1 - (folds - fold))
        first[cut] = 1
    return first.cumsum()[order] - 1


def split_by_column(column: Array) -> Array:
    """Return the user's folds, numbered in sorted order; missing, empty and negative ones become -1.

    Raises:
        EvaluationError: no row is validated, no row is left for training, or there are too many folds.
    """
    labels = pd.Series(np.asarray(column))
    if not pd.api.types.is_numeric_dtype(labels):
        text = labels.astype(object).where(labels.notna(), "").astype(str).str.strip()
        as_numbers = pd.to_numeric(text.where(text != ""), errors="coerce")
        labels = as_numbers if as_numbers.notna().eq(text != "").all() else text.where(text != "")
    if pd.api.types.is_numeric_dtype(labels):
        labels = labels.astype(np.float64)
        labels = labels.where(labels >= 0)
    numbers, distinct = pd.factorize(labels, sort=True)
    if not len(distinct) or (len(distinct) == 1 and (numbers == 0).all()):
        raise EvaluationError(
            f"folds.column must set rows apart for validation and leave rows for training. Received: {len(distinct)} "
            f"folds over {int((numbers >= 0).sum())} of {len(numbers)} rows. Give two folds, or one and empty cells."
        )
    if len(distinct) > _MAX_COLUMN_FOLDS:
        raise EvaluationError(
            f"folds.column must hold at most {_MAX_COLUMN_FOLDS} folds. Received: {len(distinct)}. "
            "Choose another column."
        )
    return numbers


def _split_rows(folds: int, seed: int, rows: int, y: Array | None) -> Array:
    """Assign single rows, stratified if `y` is given."""
    from sklearn.model_selection import KFold, StratifiedKFold

    if y is None:
        return _assign(KFold(folds, shuffle=True, random_state=seed).split(np.zeros(rows)), rows)
    if np.bincount(y).min() >= folds:
        return _assign(StratifiedKFold(folds, shuffle=True, random_state=seed).split(np.zeros(rows), y), rows)
    # Rows sorted by class are assigned to the folds in turn: the folds' counts of a class differ by at most one.
    assigned = np.empty(rows, dtype=np.int64)
    assigned[_order_by_class(y, seed)] = np.arange(rows) % folds
    return assigned


def _split_groups(folds: int, seed: int, y: Array | None, groups: Array) -> Array:
    """Assign whole groups; if `y` is given, the classes are spread as evenly as the groups allow."""
    from sklearn.model_selection import GroupKFold, StratifiedGroupKFold

    rows = len(groups)
    if y is not None and np.bincount(y).max() >= folds:
        splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
        with warnings.catch_warnings():
            # A class with fewer rows than there are folds is spread as evenly as possible, so the warning is noise.
            warnings.filterwarnings("ignore", "The least populated class", UserWarning)
            assigned = _assign(splitter.split(np.zeros(rows), y, groups), rows)
        # With few groups, each of one class, the splitter may leave a fold empty.
        if len(np.unique(assigned)) == folds:
            return assigned
    return _assign(GroupKFold(folds, shuffle=True, random_state=seed).split(np.zeros(rows), groups=groups), rows)


def _hold_out(fraction: float, seed: int, rows: int, y: Array | None, groups: Array | None) -> Array:
    """Hold out a fraction of the rows, or of the groups if there are any."""
    from sklearn.model_selection import GroupShuffleSplit, ShuffleSplit, StratifiedShuffleSplit

    units = rows if groups is None else int(groups.max()) + 1
    size = min(max(round(fraction * units), 1), units - 1)
    if groups is not None:
        splits = GroupShuffleSplit(1, test_size=size, random_state=seed).split(np.zeros(rows), groups=groups)
        return _assign(splits, rows)
    if y is None or np.bincount(y).max() == 1:
        return _assign(ShuffleSplit(1, test_size=size, random_state=seed).split(np.zeros(rows)), rows)
    counts = np.bincount(y)
    if counts.min() >= 2 and min(size, rows - size) >= len(counts):
        splitter = StratifiedShuffleSplit(1, test_size=size, random_state=seed)
        return _assign(splitter.split(np.zeros(rows), y), rows)
    # Take rows at even distances in the order of class; the only row of a class is left for training.
    order = _order_by_class(y, seed)
    order = order[counts[y[order]] > 1]
    size = min(size, len(order))
    assigned = np.full(rows, -1)
    assigned[order[((np.arange(size) + 0.5) * len(order) / size).astype(np.int64)]] = 0
    return assigned


def _order_by_class(y: Array, seed: int) -> Array:
    """Return the rows in the order of class, shuffled within each class."""
    return np.lexsort((np.random.default_rng(seed).random(len(y)), y))


def _assign(splits: Iterable[tuple[Array, Array]], rows: int) -> Array:
    """Return (rows,) the fold that validates each row, -1 if none does."""
    assigned = np.full(rows, -1)
    for fold, (_, valid) in enumerate(splits):
        assigned[valid] = fold
    return assigned


def _suggest_fewer_folds(most: int) -> str:
    """Return a hint for a study with too many folds."""
    return f"Set folds.folds to {most} or fewer." if most >= 2 else "Choose another folds.kind, or bring more data."
