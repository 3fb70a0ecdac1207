"""The ways of dealing rows into folds; each returns (rows,) fold numbers, -1 for rows that only train.

scikit-learn's splitters do it wherever they can; classes too rare for them are dealt here.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable

import numpy as np
import pandas as pd

from workbench.array import Array
from workbench.config import FoldKind, FoldsConfig
from workbench.errors import EvaluationError

_MOST_BROUGHT = 1000


def random_folds(
    kind: FoldKind, config: FoldsConfig, repeat: int, rows: int, y: Array | None, groups: Array | None
) -> Array:
    """Deal the rows once, by chance.

    Args:
        kind: any but `time` and `column`.
        config: the number of folds, the share of a hold-out, and the seed.
        repeat: added to the seed.
        rows: how many there are.
        y: (rows,) class numbers, for what is stratified: a hold-out too where it is given.
        groups: (rows,) group numbers.

    Raises:
        EvaluationError: there are fewer rows or groups than folds.
    """
    seed = (config.seed + repeat) % 2**32
    units, name = (rows, "rows") if groups is None else (int(groups.max(initial=-1)) + 1, "groups of data.group")
    least = 2 if kind == "holdout" else config.folds
    if units < least:
        key = f"folds.kind {kind!r}" if kind == "holdout" else f"folds.folds: {least}"
        raise EvaluationError(f"{key} needs {least} {name} or more. Received: {units}. {_fewer(units)}")
    if kind == "holdout":
        return _holdout(config.fraction, seed, rows, y, groups)
    stratify = y if kind in ("stratified", "group_stratified") else None
    if groups is None:
        return _by_row(config.folds, seed, rows, stratify)
    return _by_group(config.folds, seed, stratify, groups)


def encode_groups(groups: Array) -> Array:
    """Return groups as numbers; a row without a group gets one of its own."""
    numbers = pd.factorize(np.asarray(groups))[0].astype(np.int64)
    alone = numbers < 0
    numbers[alone] = numbers.max(initial=-1) + 1 + np.arange(alone.sum())
    return numbers


def time_ranks(time: Array) -> Array:
    """Return the rank of each row in time from 0, equal where times are.

    Raises:
        EvaluationError: a time is missing, or they are a mixture that cannot be sorted.
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


def time_blocks(order: Array, folds: int) -> Array:
    """Cut the rows into folds + 1 blocks of about equal size in time; the first only trains.

    Rows of one time stay in one block, so each cut goes to the change of time nearest to where it should be.

    Raises:
        EvaluationError: there are too few distinct times.
    """
    starts = np.concatenate(([0], np.bincount(order).cumsum()[:-1]))
    if len(starts) <= folds:
        raise EvaluationError(
            f"folds.folds must be less than the number of distinct values of data.time, {len(starts)}. "
            f"Received: {folds}. {_fewer(len(starts) - 1)}"
        )
    first = np.zeros(len(starts), dtype=np.int64)
    cut = 0
    for fold in range(1, folds + 1):
        wanted = fold * len(order) / (folds + 1)
        nearest = int(np.abs(starts - wanted).argmin())
        # Each block keeps at least one time, and leaves one for each block after it.
        cut = min(max(nearest, cut + 1), len(starts) - 1 - (folds - fold))
        first[cut] = 1
    return first.cumsum()[order] - 1


def column_folds(column: Array) -> Array:
    """Return the user's folds, numbered in sorted order; missing, empty and negative ones become -1.

    Raises:
        EvaluationError: no row is validated, none would train, or there are absurdly many folds.
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
    if len(distinct) > _MOST_BROUGHT:
        raise EvaluationError(
            f"folds.column must hold at most {_MOST_BROUGHT} folds. Received: {len(distinct)}. Choose another column."
        )
    return numbers


def _by_row(folds: int, seed: int, rows: int, y: Array | None) -> Array:
    """Deal single rows, class by class where `y` is given."""
    from sklearn.model_selection import KFold, StratifiedKFold

    if y is None:
        return _assigned(KFold(folds, shuffle=True, random_state=seed).split(np.zeros(rows)), rows)
    if np.bincount(y).min() >= folds:
        return _assigned(StratifiedKFold(folds, shuffle=True, random_state=seed).split(np.zeros(rows), y), rows)
    # The rows in order of class go round the folds, so that no fold gets a rare class twice before all had it once.
    assigned = np.empty(rows, dtype=np.int64)
    assigned[_by_class(y, seed)] = np.arange(rows) % folds
    return assigned


def _by_group(folds: int, seed: int, y: Array | None, groups: Array) -> Array:
    """Deal whole groups, with the classes spread as evenly as those allow where `y` is given."""
    from sklearn.model_selection import GroupKFold, StratifiedGroupKFold

    rows = len(groups)
    if y is not None and np.bincount(y).max() >= folds:
        splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
        with warnings.catch_warnings():
            # A class rarer than the folds is spread as well as it can be; that is no reason to warn.
            warnings.filterwarnings("ignore", "The least populated class", UserWarning)
            assigned = _assigned(splitter.split(np.zeros(rows), y, groups), rows)
        # With few groups of pure classes it may leave a fold empty.
        if len(np.unique(assigned)) == folds:
            return assigned
    return _assigned(GroupKFold(folds, shuffle=True, random_state=seed).split(np.zeros(rows), groups=groups), rows)


def _holdout(fraction: float, seed: int, rows: int, y: Array | None, groups: Array | None) -> Array:
    """Set a share of the rows apart, or of the groups where there are any."""
    from sklearn.model_selection import GroupShuffleSplit, ShuffleSplit, StratifiedShuffleSplit

    units = rows if groups is None else int(groups.max()) + 1
    size = min(max(round(fraction * units), 1), units - 1)
    if groups is not None:
        splits = GroupShuffleSplit(1, test_size=size, random_state=seed).split(np.zeros(rows), groups=groups)
        return _assigned(splits, rows)
    if y is None or np.bincount(y).max() == 1:
        return _assigned(ShuffleSplit(1, test_size=size, random_state=seed).split(np.zeros(rows)), rows)
    counts = np.bincount(y)
    if counts.min() >= 2 and min(size, rows - size) >= len(counts):
        splitter = StratifiedShuffleSplit(1, test_size=size, random_state=seed)
        return _assigned(splitter.split(np.zeros(rows), y), rows)
    # Rows at even distances in order of class; the only row of a class is for training.
    order = _by_class(y, seed)
    order = order[counts[y[order]] > 1]
    size = min(size, len(order))
    assigned = np.full(rows, -1)
    assigned[order[((np.arange(size) + 0.5) * len(order) / size).astype(np.int64)]] = 0
    return assigned


def _by_class(y: Array, seed: int) -> Array:
    """Return the rows in order of class, shuffled within each."""
    return np.lexsort((np.random.default_rng(seed).random(len(y)), y))


def _assigned(splits: Iterable[tuple[Array, Array]], rows: int) -> Array:
    """Return the fold whose validation part each row is in, -1 where it is in none."""
    assigned = np.full(rows, -1)
    for fold, (_, valid) in enumerate(splits):
        assigned[valid] = fold
    return assigned


def _fewer(most: int) -> str:
    """Return what to do about too many folds."""
    return f"Set folds.folds to {most} or fewer." if most >= 2 else "Choose another folds.kind, or bring more data."
