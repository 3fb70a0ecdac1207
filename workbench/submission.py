"""The file that a competition takes, checked before it is written: columns, ids, classes, no missing value."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from workbench import files
from workbench.data import Dataset
from workbench.errors import SubmissionError, format_list
from workbench.evaluation import Metric
from workbench.evaluation.multi_target import MultiTargetMetric

Shown = Literal["id", "value", "label"] | int
"""What a column shows: the row's id, its value or probability of the positive class, its label, or the probability of a
class, by number."""


Threshold = float | None | Mapping[str, float | None]
"""The probability from which on a row is labelled with the positive class; 0.5 where it is None. Of several targets, by
the name of each."""


@dataclass(frozen=True)
class SubmissionLayout:
    """The columns of a submission, and what each of them shows: all there is to know of it to fill it for any rows."""

    columns: Mapping[str, Shown]
    classes: tuple[Any, ...] | None
    """The labels by class number; None for values."""
    targets: Mapping[str, tuple[Any, ...] | None] = field(default_factory=dict)
    """Of several targets: the labels of each, in the order of their predictions."""
    owners: Mapping[str, str] = field(default_factory=dict)
    """Of several targets: the target that each column but the id shows."""

    def table(self, ids: np.ndarray, predictions: np.ndarray, threshold: Threshold = None) -> pd.DataFrame:
        """Return predictions with the submission's columns, in the rows' own order.

        Args:
            ids: the rows' names.
            predictions: for the rows, as `make` takes them.
            threshold: as `make` takes it.
        """
        if not self.targets:
            known = _answers(self.classes, predictions, threshold if isinstance(threshold, float) else None)
            return pd.DataFrame({name: ids if it == "id" else known(it) for name, it in self.columns.items()})
        cuts = threshold if isinstance(threshold, Mapping) else {}
        answers, start = {}, 0
        for name, classes in self.targets.items():
            stop = start + (len(classes) if classes is not None and len(classes) > 2 else 1)
            own = predictions[:, start:stop] if stop - start > 1 else predictions[:, start]
            answers[name], start = _answers(classes, own, cuts.get(name)), stop
        columns = self.columns.items()
        return pd.DataFrame({name: ids if it == "id" else answers[self.owners[name]](it) for name, it in columns})

    def document(self) -> dict[str, Any]:
        """Return all of it, for JSON."""
        return {key: dict(value) if isinstance(value, Mapping) else value for key, value in vars(self).items()}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> SubmissionLayout:
        """Return what `document` wrote."""
        targets = {name: _tuple(labels) for name, labels in document.get("targets", {}).items()}
        return cls(document["columns"], _tuple(document["classes"]), targets, document.get("owners", {}))


def infer_layout(dataset: Dataset, metric: Metric) -> SubmissionLayout:
    """Return the columns of a study's submission: those of its sample, or those that follow from target and metric.

    Args:
        dataset: the sample submission, the targets and their classes.
        metric: says whether labels or probabilities are wanted where the sample does not.

    Raises:
        SubmissionError: the sample's columns do not fit.
    """
    if isinstance(metric, MultiTargetMetric):
        return _of_several(dataset, metric)
    classes, sample = dataset.classes, dataset.sample
    if sample is not None:
        own = _id_column(sample, dataset)
        shown = _columns(sample, _beside(sample, own), dataset.target, classes, metric) | {own: "id"}
        return SubmissionLayout({str(name): shown[name] for name in sample.columns}, classes)
    return SubmissionLayout({dataset.id_name: "id", **_usual(dataset.target, classes, metric)}, classes)


def _of_several(dataset: Dataset, metric: MultiTargetMetric) -> SubmissionLayout:
    """Return the columns of a submission of several targets."""
    sample, own = dataset.sample, dataset.id_name
    targets = {target.name: target.classes for target in dataset.targets}
    shown: dict[str, Shown] = {}
    owners: dict[str, str] = {}
    if sample is None:
        found = {part.target: _usual(part.target, targets[part.target], part.metric) for part in metric.parts}
        names = [own, *(column for columns in found.values() for column in columns)]
    else:
        own = _id_column(sample, dataset)
        names = [str(name) for name in sample.columns]
        beside = _by_target(_beside(sample, own), targets)
        found = {
            part.target: _columns(sample, beside[part.target], part.target, targets[part.target], part.metric)
            for part in metric.parts
        }
    for target, columns in found.items():
        shown |= columns
        owners |= dict.fromkeys(columns, target)
    return SubmissionLayout({name: "id" if name == own else shown[name] for name in names}, None, targets, owners)


def _by_target(columns: list[str], targets: Mapping[str, tuple[Any, ...] | None]) -> dict[str, list[str]]:
    """Return the columns of a sample that belong to each target: that of its name, or `TARGET_CLASS` for its classes.

    Raises:
        SubmissionError: a column is of no target, or a target has none.
    """
    found: dict[str, list[str]] = {name: [] for name in targets}
    nobody = []
    for column in columns:
        # The longest name wins, as one target's may begin with another's.
        fits = [name for name, labels in targets.items() if column == name or _is_of(column, name, labels)]
        if fits:
            found[max(fits, key=len)].append(column)
        else:
            nobody.append(column)
    without = [name for name, owned in found.items() if not owned]
    if nobody or without:
        received = f"{format_list(nobody, 5)} besides" if nobody else f"none for {format_list(without, 5)}"
        raise SubmissionError(
            f"The sample submission must have a column for each target, or TARGET_CLASS for each of its classes. "
            f"Received: {received}. Targets: {format_list(targets)}. Correct data.target or data.sample_submission."
        )
    return found


def _is_of(column: str, target: str, labels: tuple[Any, ...] | None) -> bool:
    return labels is not None and any(column == f"{target}_{label}" for label in labels)


def _usual(target: str, classes: tuple[Any, ...] | None, metric: Metric) -> dict[str, Shown]:
    """Return the columns of a target where no sample says which."""
    if classes is not None and metric.wants == "labels":
        return {target: "label"}
    if classes is not None and len(classes) > 2:
        return {f"{target}_{label}": number for number, label in enumerate(classes)}
    return {target: "value"}


def make(
    dataset: Dataset,
    predictions: np.ndarray,
    metric: Metric,
    *,
    by_position: bool = False,
    threshold: Threshold = None,
) -> pd.DataFrame:
    """Return the submission.

    With a sample submission it has exactly its columns, order and ids; without one it has the id and one column for
    the target, or a column `TARGET_CLASS` for each of several classes; of several targets, so for each of them.

    Args:
        dataset: the test ids, the classes and the sample submission.
        predictions: for the test rows, (rows,) values or probabilities of the positive class, or (rows, classes); of
            several targets (rows, outputs), those of each beside each other.
        metric: says whether labels or probabilities are wanted where the sample does not.
        by_position: whether the sample's rows are the test rows in order, since these have no ids of their own.
        threshold: from where on a row is labelled with the positive class.

    Raises:
        SubmissionError: rows, ids or columns do not fit, or a prediction is not finite.
    """
    if dataset.test_ids is None:
        raise SubmissionError("The study has no test rows to predict. Set data.test in the study file.")
    if len(predictions) != len(dataset.test_ids):
        raise SubmissionError(
            f"Predictions must be for the {len(dataset.test_ids)} test rows. Received: {len(predictions)} rows."
        )
    if not np.isfinite(predictions).all():
        wrong = int((~np.isfinite(predictions)).sum())
        raise SubmissionError(f"Predictions must be finite. Received: {wrong} that are infinite or NaN.")
    shown = infer_layout(dataset, metric).table(dataset.test_ids, predictions, threshold)
    if dataset.sample is None:
        return shown
    own = _id_column(dataset.sample, dataset)
    order, filled = _order(dataset.sample[own], dataset, by_position=by_position), dataset.sample.copy()
    for name in _beside(dataset.sample, own):
        filled[name] = shown[name].to_numpy()[order]
    return filled


def write(frame: pd.DataFrame, path: Path, stamp: Mapping[str, Any]) -> None:
    """Write the submission, and beside it `PATH.json` that says what made it; each whole or not at all.

    Raises:
        SubmissionError: the folder cannot be written to.
    """
    try:
        files.write_text(path, frame.to_csv(index=False))
        files.write_text(path.with_name(path.name + ".json"), json.dumps({"rows": len(frame), **stamp}, indent=1) + "\n")
    except OSError as error:
        raise SubmissionError(f"{path}: cannot be written ({error.strerror}). Name another file with -o.") from error


def _id_column(sample: pd.DataFrame, dataset: Dataset) -> str:
    """Return the column of ids: the one named as the data's, in whatever case, else the first beside the target."""
    names = [str(name) for name in sample.columns]
    exact = [name for name in names if name == dataset.id_name]
    alike = [name for name in names if name.lower() == dataset.id_name.lower()]
    targets = [target.name for target in dataset.targets] or [dataset.target]
    return [*exact, *alike, *(name for name in names if name not in targets), names[0]][0]


def _beside(sample: pd.DataFrame, id_column: str) -> list[str]:
    """Return the columns of predictions."""
    columns = [name for name in sample.columns if name != id_column]
    if not columns:
        raise SubmissionError(f"The sample submission must have a column beside {id_column!r}. It has none.")
    return columns


def _order(ids: pd.Series, dataset: Dataset, *, by_position: bool) -> np.ndarray:
    """Return, for each row of the sample, the position of its prediction."""
    wanted = pd.Index([]) if dataset.test_ids is None else pd.Index(dataset.test_ids.astype(str))
    if by_position and len(ids) == len(wanted):
        return np.arange(len(ids))
    if by_position:
        raise SubmissionError(
            f"The sample submission must have a row for each of the {len(wanted)} test rows. Received: {len(ids)} "
            "rows. Correct data.test or data.sample_submission."
        )
    if ids.duplicated().any():
        raise SubmissionError(
            f"The sample submission names ids twice: {format_list(ids[ids.duplicated()].unique(), 5)}."
        )
    # A column of whole floats is one of integers that pandas met a gap in.
    whole = ids.dtype.kind == "f" and (ids.dropna() % 1 == 0).all()
    shown = pd.Index((ids.astype("Int64") if whole else ids).astype(str))
    order = wanted.get_indexer(shown)
    others, missing = shown[order < 0], wanted[~wanted.isin(shown)]
    if len(others) or len(missing):
        what = f"{len(others)} others ({format_list(others, 5)})" if len(others) else ""
        what += " and " if len(others) and len(missing) else ""
        what += f"none of {len(missing)} ({format_list(missing, 5)})" if len(missing) else ""
        raise SubmissionError(
            f"The sample submission's ids must be those of the {len(wanted)} test rows. Received: {what}. "
            "Correct data.test or data.sample_submission."
        )
    return np.asarray(order)


def _columns(
    sample: pd.DataFrame, columns: list[str], target: str, classes: tuple[Any, ...] | None, metric: Metric
) -> dict[str, Shown]:
    """Return what each of a target's columns of predictions shows."""
    if classes is None:
        if len(columns) > 1:
            raise SubmissionError(
                f"The sample submission must have one column of values. Received: {format_list(columns)}."
            )
        return {columns[0]: "value"}
    if len(columns) > 1:
        return dict(_owners(columns, classes))
    name = columns[0]
    # A target may end in the label of a class, as is_no does; its column is still not that class's.
    owner = None if name == target else _class_of(name, classes)
    if _shows_labels(sample[name], classes, metric):
        return {name: "label"}
    if len(classes) > 2 and owner is None:
        raise SubmissionError(
            f"The sample submission's column {name!r} must hold labels. Received: {format_list(sample[name].unique(), 5)}. "
            f"Classes: {format_list(classes)}."
        )
    return {name: "value" if owner is None else owner}


def _owners(columns: list[str], classes: tuple[Any, ...]) -> dict[str, int]:
    """Return the class of each column, where there is a column for every class."""
    found = {name: _class_of(name, classes) for name in columns}
    owners = {name: owner for name, owner in found.items() if owner is not None}
    nobody = [name for name in columns if name not in owners]
    if nobody:
        raise SubmissionError(
            f"Each column of the sample submission must name a class. Received: {format_list(nobody)}. "
            f"Classes: {format_list(classes)}."
        )
    if sorted(owners.values()) != list(range(len(classes))):
        raise SubmissionError(
            f"The sample submission must have one column for each class. Received: {format_list(columns)}. "
            f"Classes: {format_list(classes)}."
        )
    return owners


def _class_of(column: str, classes: tuple[Any, ...]) -> int | None:
    """Return the class whose label a column's name equals or, after `_`, ends in; the longest label wins."""
    fits = [i for i, label in enumerate(classes) if column == str(label) or column.endswith(f"_{label}")]
    return max(fits, key=lambda i: len(str(classes[i])), default=None)


def _shows_labels(values: pd.Series, classes: tuple[Any, ...], metric: Metric) -> bool:
    """Tell whether a column holds labels; zeros and ones are probabilities where the metric wants these."""
    shown = {str(value).removesuffix(".0") for value in values.dropna().unique()}
    if not shown:
        return len(classes) > 2 or metric.wants == "labels"
    if not shown <= {str(label).removesuffix(".0") for label in classes}:
        return False
    return metric.wants == "labels" or set(map(str, classes)) != {"0", "1"}


def _answers(
    classes: tuple[Any, ...] | None, predictions: np.ndarray, threshold: float | None
) -> Callable[[Shown], np.ndarray]:
    """Return what gives of a target's predictions the values of a column."""

    def values(shown: Shown) -> np.ndarray:
        if shown == "value":
            return predictions
        if isinstance(shown, int):
            return predictions[:, shown] if predictions.ndim > 1 else predictions if shown else 1 - predictions
        return _labels(classes or (), predictions, threshold)

    return values


def _labels(classes: tuple[Any, ...], predictions: np.ndarray, threshold: float | None) -> np.ndarray:
    """Return the label of each row's likeliest class; of two, the positive one from the threshold on."""
    least = 0.5 if threshold is None else threshold
    index = predictions.argmax(axis=1) if predictions.ndim > 1 else (predictions >= least).astype(int)
    return np.asarray(np.array(classes, dtype=object)[index])


def _tuple(values: list[Any] | tuple[Any, ...] | None) -> tuple[Any, ...] | None:
    return None if values is None else tuple(values)
