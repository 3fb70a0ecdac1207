"""Folds: the assignment of rows to validation sets, its hash, and its file.

A study makes its folds once and keeps them in a file. Predictions may be blended only if the hashes of their folds are
equal.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast, get_args

import numpy as np
import pandas as pd

from workbench.array import Array
from workbench.config import FoldKind, FoldsConfig, TaskType
from workbench.errors import EvaluationError
from workbench.evaluation import splitters
from workbench.files import stage_file

# The key of the study file that a kind of folds needs.
_REQUIRED_KEYS = {
    "group": "data.group",
    "group_stratified": "data.group",
    "time": "data.time",
    "column": "folds.column",
}


@dataclass(frozen=True, eq=False)
class Folds:
    """The fold of every row in every repeat."""

    kind: FoldKind
    """The strategy that assigned the rows."""
    assignment: Array
    """(repeats, rows) int16: the fold that validates the row; -1 for rows that are never validated, -2 for rows that
    take no part, which only `fidelity.reduce_folds` makes."""
    order: Array | None
    """(rows,) int64 ranks of the rows in time, equal for equal times, for kind `time`; None for other kinds."""
    hash: str
    """16 hex digits over ids, target and assignment, independent of the order of the rows."""

    def __len__(self) -> int:
        """Return the number of models that a trial fits: folds times repeats."""
        return self.repeats * self.folds

    @property
    def repeats(self) -> int:
        """The number of repeats."""
        return len(self.assignment)

    @property
    def folds(self) -> int:
        """The number of folds of a repeat."""
        return int(self.assignment.max()) + 1

    @property
    def validated(self) -> Array:
        """(rows,) booleans: whether every repeat validates the row."""
        return cast(Array, (self.assignment >= 0).all(axis=0))

    def pairs(self) -> Iterator[tuple[int, int]]:
        """Yield every (repeat, fold)."""
        for repeat in range(self.repeats):
            for fold in range(self.folds):
                yield repeat, fold

    def prediction_pairs(self) -> Iterator[tuple[int, int]]:
        """Yield every (repeat, fold) whose model predicts new rows.

        For kind `time` only the model of the last fold predicts: it is trained on the most and the latest rows, and a
        mean with models that lack the latest rows is worse.
        """
        yield from self.pairs() if self.kind != "time" else [(0, self.folds - 1)]

    def split(self, repeat: int, fold: int) -> tuple[Array, Array]:
        """Return the indices of the training rows and those of the validation rows, both in ascending order."""
        assigned = self.assignment[repeat]
        valid = assigned == fold
        train = ~valid if self.order is None else self.order < self.order[valid].min()
        train &= assigned > -2
        return np.flatnonzero(train), np.flatnonzero(valid)

    def oof_rows(self) -> tuple[Array, Array]:
        """Return the repeats and the rows of all out-of-fold predictions, in the order in which these are stored."""
        repeats, rows = np.nonzero(self.assignment >= 0)
        return repeats, rows


def make(
    config: FoldsConfig,
    *,
    task: TaskType,
    y: Array,
    ids: Array,
    groups: Array | None = None,
    time: Array | None = None,
    column: Array | None = None,
    classes: Sequence[bool] = (),
) -> Folds:
    """Assign the rows to folds.

    Args:
        config: the kind and number of folds; the default kind depends on `groups` and `task`.
        task: the task; a regression is not stratified.
        y: (rows,) class numbers, labels or values; with several targets (rows, targets).
        ids: (rows,) unique ids of the rows.
        groups: (rows,) the groups, whose rows stay in one fold; a row without a group is a group of its own.
        time: (rows,) values that order the rows, for kind `time`.
        column: (rows,) the user's folds, for kind `column`; rows with a missing, empty or negative value only train.
        classes: with several targets, whether each is a classification.

    Raises:
        EvaluationError: there are too few rows, groups or times, or a required column is missing.
    """
    strata = _compute_strata(task, y, classes)
    kind = config.kind or _default_kind(groups is not None, strata is not None)
    _check_kind(kind, strata is not None, {"data.group": groups, "data.time": time, "folds.column": column})
    order = None
    if kind == "time" and time is not None:
        order = splitters.rank_times(time)
        repeats = [splitters.split_by_time(order, config.folds)]
    elif kind == "column" and column is not None:
        repeats = [splitters.split_by_column(column)]
    else:
        codes = None if groups is None else splitters.encode_groups(groups)
        repeats = [
            splitters.split_at_random(kind, config, repeat, len(y), strata, codes) for repeat in range(config.repeats)
        ]
    assignment = np.stack(repeats).astype(np.int16)
    return Folds(kind, assignment, order, compute_hash(task=task, y=y, ids=ids, assignment=assignment))


def compute_hash(*, task: TaskType, y: Array, ids: Array, assignment: Array) -> str:
    """Return 16 hex digits of the SHA-256 over ids, target and assignment, with the rows sorted by id.

    Ids and class labels are hashed as text (1, 1.0 and '1' are equal), values and several targets as little-endian
    doubles.

    Raises:
        EvaluationError: an id is not unique.
    """
    names = to_texts(ids)
    order = sorted(range(len(names)), key=names.__getitem__)
    repeated = next((names[a] for a, b in itertools.pairwise(order) if names[a] == names[b]), None)
    if repeated is not None:
        raise EvaluationError(
            f"ids must be unique. Received: {repeated!r} more than once. Set data.id to another column."
        )
    digest = hashlib.sha256(json.dumps([names[i] for i in order]).encode())
    if task == "regression" or np.ndim(y) > 1:
        # Adding 0.0 turns -0.0 into 0.0, so that both have the same bytes.
        digest.update((np.asarray(y, dtype="<f8")[order] + 0.0).tobytes())
    else:
        labels = to_texts(y)
        digest.update(json.dumps([labels[i] for i in order]).encode())
    digest.update(json.dumps(assignment.shape).encode())
    digest.update(np.ascontiguousarray(assignment[:, order], dtype="<i2").tobytes())
    return digest.hexdigest()[:16]


def to_texts(values: Array) -> list[str]:
    """Return ids or labels as text that does not depend on their dtype: 1, 1.0 and '1' give the same text."""
    return [_to_text(value) for value in np.asarray(values).tolist()]


def to_frame(folds: Folds, ids: Array, id_name: str = "id") -> pd.DataFrame:
    """Return a table of id, repeat and fold with the validated rows, in the order of `Folds.oof_rows`."""
    repeats, rows = folds.oof_rows()
    fold = folds.assignment[repeats, rows].astype(np.int64)
    return pd.DataFrame({id_name: np.asarray(ids)[rows], "repeat": repeats, "fold": fold})


def save(folds: Folds, path: str | os.PathLike[str]) -> None:
    """Write the folds to a Parquet file atomically."""
    import pyarrow
    import pyarrow.parquet

    columns = {f"repeat_{repeat}": row for repeat, row in enumerate(folds.assignment)}
    if folds.order is not None:
        columns["order"] = folds.order
    table = pyarrow.table(columns).replace_schema_metadata({"kind": folds.kind, "hash": folds.hash})
    with stage_file(Path(path)) as part:
        pyarrow.parquet.write_table(table, part, write_page_checksum=True)


def load(path: str | os.PathLike[str]) -> Folds:
    """Read the folds from a file that `save` wrote.

    Raises:
        EvaluationError: the file is missing or damaged, or does not hold folds.
    """
    import pyarrow
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.read_table(os.fspath(path), page_checksum_verification=True)
    except (OSError, pyarrow.ArrowException) as error:
        reason = "no file" if isinstance(error, FileNotFoundError) else str(error).splitlines()[0].rstrip(".")
        raise _refuse_file(path, reason) from error
    metadata = {
        key.decode(errors="replace"): value.decode(errors="replace")
        for key, value in (table.schema.metadata or {}).items()
    }
    names = [name for name in table.column_names if name != "order"]
    if metadata.get("kind") not in get_args(FoldKind) or not re.fullmatch("[0-9a-f]{16}", metadata.get("hash", "")):
        raise _refuse_file(path, "kind or hash is missing")
    if not names or names != [f"repeat_{repeat}" for repeat in range(len(names))]:
        raise _refuse_file(path, f"the columns are {table.column_names}")
    if ("order" in table.column_names) != (metadata["kind"] == "time"):
        raise _refuse_file(path, "the column 'order' and the kind 'time' go together")
    if any(field.type != (pyarrow.int64() if field.name == "order" else pyarrow.int16()) for field in table.schema):
        raise _refuse_file(path, "a column has the wrong type")
    if any(column.null_count for column in table.columns):
        raise _refuse_file(path, "a value is missing")
    assignment = np.stack([table[name].to_numpy() for name in names])
    if not assignment.size or not _is_complete(assignment):
        raise _refuse_file(path, "a fold has no rows")
    order = table["order"].to_numpy() if "order" in table.column_names else None
    return Folds(cast(FoldKind, metadata["kind"]), assignment, order, metadata["hash"])


def _compute_strata(task: TaskType, y: Array, classes: Sequence[bool]) -> Array | None:
    """Return (rows,) the number of each row's stratum, or None if there are no classes.

    With one target a stratum is a class. With several it is a combination of classes. Combinations are numbered so that
    those of the rarest classes are adjacent: rows that are assigned to the folds in turn, in this order, spread rare
    classes evenly even if each combination is rare.
    """
    if np.ndim(y) < 2:
        return None if task == "regression" else pd.factorize(np.asarray(y))[0]
    if not any(classes):
        return None
    columns = y[:, np.asarray(classes, dtype=bool)].astype(np.int64).T
    # The last key of `lexsort` is the primary one.
    rarest_last = sorted(columns, key=lambda column: -np.bincount(column)[np.unique(column)].min())
    order = np.lexsort(rarest_last)
    changes = np.any([np.diff(column[order]) != 0 for column in columns], axis=0)
    strata = np.empty(len(y), dtype=np.int64)
    strata[order] = np.concatenate(([0], np.cumsum(changes)))
    return strata


def _default_kind(grouped: bool, stratified: bool) -> FoldKind:
    """Return the kind of folds for a study that names none."""
    if grouped:
        return "group_stratified" if stratified else "group"
    return "stratified" if stratified else "kfold"


def _check_kind(kind: FoldKind, stratified: bool, columns: Mapping[str, Array | None]) -> None:
    """Check that the kind of folds suits the target and the available columns.

    Raises:
        EvaluationError: the kind does not suit them.
    """
    key = _REQUIRED_KEYS.get(kind)
    if key and columns[key] is None:
        raise EvaluationError(f"folds.kind {kind!r} needs {key}. Received: none. Set {key} to a column.")
    if not stratified and kind in ("stratified", "group_stratified"):
        other = "kfold" if kind == "stratified" else "group"
        raise EvaluationError(f"folds.kind {kind!r} needs classes. Received: a regression. Set it to {other!r}.")
    if kind in ("kfold", "stratified") and columns["data.group"] is not None:
        other = "group" if kind == "kfold" or not stratified else "group_stratified"
        raise EvaluationError(
            f"folds.kind must keep the groups of data.group together. Received: {kind!r}. "
            f"Set it to {other!r}, or leave data.group out."
        )


def _to_text(value: object) -> str:
    """Return integers, booleans and floats with integer values without a decimal point, and all else by `str`."""
    if isinstance(value, bool | int) or (isinstance(value, float) and value.is_integer()):
        return str(int(value))
    return str(value)


def _is_complete(assignment: Array) -> bool:
    """Return whether every repeat has all folds, numbered from 0."""
    folds = set(range(int(assignment.max()) + 1))
    return bool(folds) and all(set(np.unique(row).tolist()) - {-1} == folds for row in assignment)


def _refuse_file(path: str | os.PathLike[str], reason: str) -> EvaluationError:
    """Return the error for a file of folds that cannot be used."""
    return EvaluationError(
        f"{os.fspath(path)}: must be the folds that a study wrote. Received: {reason}. "
        "Restore the file, or start a study of another name."
    )
