"""Whether another study's predictions are for this one's rows, target and folds, and where each row of it is there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from workbench.errors import StudyError, format_list
from workbench.evaluation import folds
from workbench.study.task import Task
from workbench.tracking import Predictions

# How many ids a message names.
_FEW = 3


@dataclass(frozen=True, eq=False)
class Alignment:
    """Where each prediction of a study is among another's; as they come, of the study itself."""

    oof: np.ndarray | slice = field(default_factory=lambda: slice(None))
    test: np.ndarray | slice = field(default_factory=lambda: slice(None))

    def placed(self, found: Predictions) -> Predictions:
        """Return the other's predictions in the study's order."""
        return Predictions(found.oof[self.oof], None if found.test is None else found.test[self.test])


def align(own: Task, other: Task) -> Alignment:
    """Return where each prediction of `own` is among those of `other`, whose rows may come in another order.

    Raises:
        StudyError: rows, target, folds or test rows are others; what differs is named.
    """
    if own.folds.hash != other.folds.hash:
        raise StudyError(
            f"{other.config.file}: study {other.config.name!r} must have the rows, target and folds of study "
            f"{own.config.name!r}. What differs: {'; '.join(_differences(own, other))}. Give a study of another name "
            f"the same data, and as folds.column what 'workbench folds {own.config.file}' writes."
        )
    there = _found(own.dataset.ids, other.dataset.ids)
    place = np.empty(other.folds.assignment.shape, dtype=np.int64)
    place[other.schema.repeats, other.schema.rows] = np.arange(len(other.schema.rows))
    return Alignment(place[own.schema.repeats, there[own.schema.rows]], _test(own, other))


def _test(own: Task, other: Task) -> np.ndarray | slice:
    """Return where each test row of `own` is among those of `other`."""
    here, there = own.dataset.test_ids, other.dataset.test_ids
    if here is None:
        return slice(None)
    must = f"{other.config.file}: study {other.config.name!r} must predict the test rows of study {own.config.name!r}"
    remedy = "Give a study of another name the same data.test."
    if there is None:
        raise StudyError(f"{must}, which has {len(here)}. Received: none, without data.test. {remedy}")
    order = _found(here, there)
    if len(here) != len(there) or (order < 0).any():
        raise StudyError(f"{must}. What differs: {_rows(here, there, 'data.test')}. {remedy}")
    return order


def _differences(own: Task, other: Task) -> Iterator[str]:
    """Yield what makes the fold hashes differ; a cause, not what follows from it."""
    here, there = own.dataset.ids, other.dataset.ids
    order = _found(here, there)
    shared = np.flatnonzero(order >= 0)
    causes = [] if len(here) == len(there) == len(shared) else [_rows(here, there, "rows")]
    causes += _target(own, other, shared, order[shared])
    dealt, given = own.folds.assignment[:, shared], other.folds.assignment[:, order[shared]]
    if not np.array_equal(dealt, given):
        ours, theirs = _deal(own), _deal(other)
        keys = [key for key in ours if key in theirs and ours[key] != theirs[key]]
        facts = ", ".join(f"{key} {theirs[key]!r} there and {ours[key]!r} here" for key in keys)
        if facts or not causes:
            causes.append(f"folds ({facts or 'the same deal over rows in another order'})")
    yield from causes


def _rows(here: np.ndarray, there: np.ndarray, name: str) -> str:
    """Say how many rows each has, and which the other lacks."""
    own, other = folds.to_texts(here), folds.to_texts(there)
    only_there, only_here = sorted(set(other) - set(own)), sorted(set(own) - set(other))
    alone = [
        f"only {where} id {format_list(ids, _FEW)}"
        for where, ids in (("there", only_there), ("here", only_here))
        if ids
    ]
    return f"{name} ({'; '.join([f'{len(other)} there and {len(own)} here', *alone])})"


def _target(own: Task, other: Task, here: np.ndarray, there: np.ndarray) -> list[str]:
    """Say how the target differs on the rows that both have."""
    a, b = own.dataset, other.dataset
    if a.task != b.task:
        return [f"target ({b.target!r}, {b.task} there and {a.target!r}, {a.task} here)"]
    ours, theirs = _labels(own)[here], _labels(other)[there]
    if ours.shape[1:] != theirs.shape[1:]:
        return [f"target ({b.target!r} there and {a.target!r} here)"]
    wrong = np.flatnonzero((ours != theirs).reshape(len(ours), -1).any(axis=1))
    if len(wrong):
        first = wrong[0]
        return [
            f"target ({b.target!r} there and {a.target!r} here; {len(wrong)} of {len(here)} values, the first of id "
            f"{a.ids[here[first]]}: {theirs[first]} there and {ours[first]} here)"
        ]
    known, others = (format_list(each.classes or [target.classes for target in each.targets]) for each in (a, b))
    return [] if known == others else [f"target (classes {others} there and {known} here, see data.positive)"]


def _labels(task: Task) -> np.ndarray:
    """Return the target's values: of classes their labels as text."""
    data = task.dataset
    return data.y if data.classes is None else np.array(folds.to_texts(np.array(data.classes, dtype=object)))[data.y]


def _deal(task: Task) -> dict[str, Any]:
    """Return what folds were dealt by."""
    made, config = task.folds, task.config.folds
    chance: dict[str, Any] = {} if made.kind in ("time", "column") else {"seed": config.seed}
    part = {"fraction": config.fraction} if made.kind == "holdout" else {}
    return {"kind": made.kind, "folds": made.folds, "repeats": made.repeats, **chance, **part}


def _found(wanted: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """Return where each wanted id is among `ids`, -1 where it is not."""
    return np.asarray(pd.Index(folds.to_texts(ids)).get_indexer(pd.Index(folds.to_texts(wanted))))
