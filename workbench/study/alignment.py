"""The check that another study has this one's rows, target and folds, and the order that maps its rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from workbench.errors import StudyError, format_list
from workbench.evaluation import folds
from workbench.evaluation.fidelity import FIDELITIES, describe_fidelity
from workbench.study.task import Task
from workbench.tracking import Predictions

# The number of ids that a message names.
_FEW = 3


@dataclass(frozen=True, eq=False)
class Alignment:
    """The index of each prediction of a study among another's; the identity by default."""

    oof: np.ndarray | slice = field(default_factory=lambda: slice(None))
    test: np.ndarray | slice = field(default_factory=lambda: slice(None))

    def reorder(self, predictions: Predictions) -> Predictions:
        """Return the other study's predictions in this study's order."""
        return Predictions(predictions.oof[self.oof], None if predictions.test is None else predictions.test[self.test])


def align(task: Task, other: Task) -> Alignment:
    """Return the index of each prediction of `task` among those of `other`, whose rows may come in another order.

    Raises:
        StudyError: rows, target, folds, fidelity or test rows differ; the message names the difference.
    """
    if task.all_folds.hash != other.all_folds.hash:
        raise StudyError(
            f"{other.config.file}: study {other.config.name!r} must have the rows, target and folds of study "
            f"{task.config.name!r}. What differs: {'; '.join(_differences(task, other))}. Give a study of another name "
            f"the same data, and as folds.column what 'workbench folds {task.config.file}' writes."
        )
    if task.fidelity != other.fidelity:
        ours, theirs = describe_fidelity(task.fidelity), describe_fidelity(other.fidelity)
        short = task if FIDELITIES.index(task.fidelity) > FIDELITIES.index(other.fidelity) else other
        raise StudyError(
            f"{other.config.file}: study {other.config.name!r} must be scored on the rows of study "
            f"{task.config.name!r}. Its trials use {theirs}, those of {task.config.name!r} {ours}. "
            f"Run {short.config.file} with more minutes."
        )
    there = _locate(task.dataset.ids, other.dataset.ids)
    place = np.empty(other.folds.assignment.shape, dtype=np.int64)
    place[other.schema.repeats, other.schema.rows] = np.arange(len(other.schema.rows))
    return Alignment(place[task.schema.repeats, there[task.schema.rows]], _test(task, other))


def _test(task: Task, other: Task) -> np.ndarray | slice:
    """Return the index of each test row of `task` among those of `other`."""
    here, there = task.dataset.test_ids, other.dataset.test_ids
    if here is None:
        return slice(None)
    must = f"{other.config.file}: study {other.config.name!r} must predict the test rows of study {task.config.name!r}"
    remedy = "Give a study of another name the same data.test."
    if there is None:
        raise StudyError(f"{must}, which has {len(here)}. Received: none, without data.test. {remedy}")
    order = _locate(here, there)
    if len(here) != len(there) or (order < 0).any():
        raise StudyError(f"{must}. What differs: {_rows(here, there, 'data.test')}. {remedy}")
    return order


def _differences(task: Task, other: Task) -> Iterator[str]:
    """Yield the causes of different fold hashes, without their consequences."""
    here, there = task.dataset.ids, other.dataset.ids
    order = _locate(here, there)
    shared = np.flatnonzero(order >= 0)
    causes = [] if len(here) == len(there) == len(shared) else [_rows(here, there, "rows")]
    causes += _target(task, other, shared, order[shared])
    assigned, given = task.all_folds.assignment[:, shared], other.all_folds.assignment[:, order[shared]]
    if not np.array_equal(assigned, given):
        ours, theirs = _fold_options(task), _fold_options(other)
        keys = [key for key in ours if key in theirs and ours[key] != theirs[key]]
        facts = ", ".join(f"{key} {theirs[key]!r} there and {ours[key]!r} here" for key in keys)
        if facts or not causes:
            causes.append(f"folds ({facts or 'the same deal over rows in another order'})")
    yield from causes


def _rows(here: np.ndarray, there: np.ndarray, name: str) -> str:
    """Return a description of how many rows each has, and of those that only one has."""
    ours, theirs = folds.to_texts(here), folds.to_texts(there)
    only_there, only_here = sorted(set(theirs) - set(ours)), sorted(set(ours) - set(theirs))
    alone = [
        f"only {where} id {format_list(ids, _FEW)}"
        for where, ids in (("there", only_there), ("here", only_here))
        if ids
    ]
    return f"{name} ({'; '.join([f'{len(theirs)} there and {len(ours)} here', *alone])})"


def _target(task: Task, other: Task, here: np.ndarray, there: np.ndarray) -> list[str]:
    """Return a description of how the target differs on the rows that both have; empty where it does not."""
    a, b = task.dataset, other.dataset
    if a.task != b.task:
        return [f"target ({b.target!r}, {b.task} there and {a.target!r}, {a.task} here)"]
    ours, theirs = _labels(task)[here], _labels(other)[there]
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
    """Return the target's values; for classes their labels as text."""
    data = task.dataset
    return data.y if data.classes is None else np.array(folds.to_texts(np.array(data.classes, dtype=object)))[data.y]


def _fold_options(task: Task) -> dict[str, Any]:
    """Return the options that the folds follow from."""
    made, config = task.all_folds, task.config.folds
    chance: dict[str, Any] = {} if made.kind in ("time", "column") else {"seed": config.seed}
    part = {"fraction": config.fraction} if made.kind == "holdout" else {}
    return {"kind": made.kind, "folds": made.folds, "repeats": made.repeats, **chance, **part}


def _locate(wanted: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """Return the index of each wanted id among `ids`, -1 where it is missing."""
    return np.asarray(pd.Index(folds.to_texts(ids)).get_indexer(pd.Index(folds.to_texts(wanted))))
