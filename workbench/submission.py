"""The submission file: its columns, ids and classes are checked before it is written, and no value is missing."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from workbench import files
from workbench.array import Array
from workbench.data import Dataset
from workbench.errors import SubmissionError, format_list
from workbench.evaluation import Metric
from workbench.evaluation.multi_target import MultiTargetMetric

ColumnContent = Literal["id", "value", "rounded", "label"] | int
"""The content of a column: the row's id, its value (or probability of the positive class), its value as a whole number,
its label, or the probability of the class with this number."""
Threshold = float | None | Mapping[str, float | None]
"""The lowest probability at which a row is labelled with the positive class; None means 0.5. With several targets, a
mapping by the target's name."""


@dataclass(frozen=True)
class SubmissionLayout:
    """The columns of a submission and their contents: everything that is needed to fill it in for any rows."""

    columns: Mapping[str, ColumnContent]
    classes: tuple[Any, ...] | None
    """The labels in the order of the class numbers; None for a regression and for several targets."""
    targets: Mapping[str, tuple[Any, ...] | None] = field(default_factory=dict)
    """With several targets: the labels of each, in the order of their predictions."""
    owners: Mapping[str, str] = field(default_factory=dict)
    """With several targets: the target of each column except the id."""

    def fill(self, ids: Array, predictions: Array, threshold: Threshold = None) -> pd.DataFrame:
        """Return predictions in the submission's columns, in the order of the rows.

        Args:
            ids: (rows,) the ids of the rows.
            predictions: as for `make`.
            threshold: as for `make`.
        """
        if not self.targets:
            render = _column_renderer(self.classes, predictions, threshold if isinstance(threshold, float) else None)
            return pd.DataFrame(
                {name: ids if content == "id" else render(content) for name, content in self.columns.items()}
            )
        thresholds = threshold if isinstance(threshold, Mapping) else {}
        renderers, start = {}, 0
        for name, classes in self.targets.items():
            stop = start + (len(classes) if classes is not None and len(classes) > 2 else 1)
            outputs = predictions[:, start:stop] if stop - start > 1 else predictions[:, start]
            renderers[name], start = _column_renderer(classes, outputs, thresholds.get(name)), stop
        return pd.DataFrame(
            {
                name: ids if content == "id" else renderers[self.owners[name]](content)
                for name, content in self.columns.items()
            }
        )

    def document(self) -> dict[str, Any]:
        """Return the layout as a JSON document."""
        return {key: dict(value) if isinstance(value, Mapping) else value for key, value in vars(self).items()}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> SubmissionLayout:
        """Return the layout of a document that `document` made."""
        targets = {name: _as_tuple(labels) for name, labels in document.get("targets", {}).items()}
        return cls(document["columns"], _as_tuple(document["classes"]), targets, document.get("owners", {}))


def infer_layout(dataset: Dataset, metric: Metric) -> SubmissionLayout:
    """Return the layout of a study's submission: that of the sample, or one that follows from target and metric.

    Args:
        dataset: the sample submission, the targets and their classes.
        metric: decides between labels and probabilities where the sample does not show which are wanted.

    Raises:
        SubmissionError: the sample's columns do not match the targets or classes.
    """
    if isinstance(metric, MultiTargetMetric):
        return _infer_multi_target_layout(dataset, metric)
    classes, sample = dataset.classes, dataset.sample
    if sample is not None:
        id_column = _id_column(dataset)
        contents = _match_columns(sample, _prediction_columns(sample, id_column), dataset.target, classes, metric) | {
            id_column: "id"
        }
        return SubmissionLayout({str(name): contents[name] for name in sample.columns}, classes)
    return SubmissionLayout({dataset.id_name: "id", **_default_columns(dataset.target, classes, metric)}, classes)


def _infer_multi_target_layout(dataset: Dataset, metric: MultiTargetMetric) -> SubmissionLayout:
    """Return the layout of a submission with several targets."""
    sample, id_column = dataset.sample, dataset.id_name
    targets = {target.name: target.classes for target in dataset.targets}
    contents: dict[str, ColumnContent] = {}
    owners: dict[str, str] = {}
    if sample is None:
        by_target = {
            part.target: _default_columns(part.target, targets[part.target], part.metric) for part in metric.parts
        }
        names = [id_column, *(column for columns in by_target.values() for column in columns)]
    else:
        id_column = _id_column(dataset)
        names = [str(name) for name in sample.columns]
        owned = _group_by_target(_prediction_columns(sample, id_column), targets)
        by_target = {
            part.target: _match_columns(sample, owned[part.target], part.target, targets[part.target], part.metric)
            for part in metric.parts
        }
    for target, columns in by_target.items():
        contents |= columns
        owners |= dict.fromkeys(columns, target)
    columns = {name: "id" if name == id_column else contents[name] for name in names}
    return SubmissionLayout(columns, None, targets, owners)


def _group_by_target(columns: list[str], targets: Mapping[str, tuple[Any, ...] | None]) -> dict[str, list[str]]:
    """Return the sample's columns by target: the one with the target's name, or one `TARGET_CLASS` for each class.

    Raises:
        SubmissionError: a column belongs to no target, or a target has no column.
    """
    owned: dict[str, list[str]] = {name: [] for name in targets}
    unknown = []
    for column in columns:
        # The longest name wins, because one target's name may begin with another's.
        matches = [name for name, labels in targets.items() if column == name or _is_class_column(column, name, labels)]
        if matches:
            owned[max(matches, key=len)].append(column)
        else:
            unknown.append(column)
    missing = [name for name, own in owned.items() if not own]
    if unknown or missing:
        received = f"{format_list(unknown, 5)} besides" if unknown else f"none for {format_list(missing, 5)}"
        raise SubmissionError(
            f"The sample submission must have a column for each target, or TARGET_CLASS for each of its classes. "
            f"Received: {received}. Targets: {format_list(targets)}. Correct data.target or data.sample_submission."
        )
    return owned


def _is_class_column(column: str, target: str, labels: tuple[Any, ...] | None) -> bool:
    return labels is not None and any(column == f"{target}_{label}" for label in labels)


def _default_columns(target: str, classes: tuple[Any, ...] | None, metric: Metric) -> dict[str, ColumnContent]:
    """Return the columns of a target for a submission without a sample."""
    if classes is None:
        return {target: _value_content(metric)}
    if metric.wants == "labels":
        return {target: "label"}
    if len(classes) > 2:
        return {f"{target}_{label}": number for number, label in enumerate(classes)}
    return {target: "value"}


def make(
    dataset: Dataset,
    predictions: Array,
    metric: Metric,
    *,
    threshold: Threshold = None,
) -> pd.DataFrame:
    """Return the submission.

    A sample submission decides columns, order and ids. Without a sample there are the id and one column for
    each target, or one column `TARGET_CLASS` for each class of a target with more than two.

    Args:
        dataset: the test ids, the classes and the sample submission.
        predictions: predictions for the test rows: (rows,) values or probabilities of the positive class, or
            (rows, classes); with several targets (rows, outputs), the outputs of a target in adjacent columns.
        metric: decides between labels and probabilities where the sample does not show which are wanted.
        threshold: the lowest probability at which a row is labelled with the positive class.

    Raises:
        SubmissionError: the columns do not match, or a prediction is not finite.
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
    table = infer_layout(dataset, metric).fill(dataset.test_ids, predictions, threshold)
    if dataset.sample is None or dataset.alignment is None:
        return table
    submission = dataset.sample.copy()
    for name in _prediction_columns(dataset.sample, dataset.alignment.id_column):
        submission[name] = table[name].to_numpy()[dataset.alignment.rows]
    return submission


def check_path(path: Path) -> None:
    """Check that a submission can be written to a file; the file stays as it is.

    Raises:
        SubmissionError: it cannot.
    """
    with files.explain_write_errors(path, SubmissionError):
        for each in (path, _stamp_path(path)):
            files.check_file(each)


def write(frame: pd.DataFrame, path: Path, stamp: Mapping[str, Any]) -> None:
    """Write the submission and `PATH.json`, which records its origin (`stamp`); each is written atomically.

    Raises:
        SubmissionError: the folder cannot be written to.
    """
    with files.explain_write_errors(path, SubmissionError):
        files.write_text(path, frame.to_csv(index=False))
        record = json.dumps({"rows": len(frame), **stamp}, indent=1)
        files.write_text(_stamp_path(path), f"{record}\n")


def _stamp_path(path: Path) -> Path:
    """Return the file that records the origin of a submission."""
    return path.with_name(f"{path.name}.json")


def _id_column(dataset: Dataset) -> str:
    return dataset.id_name if dataset.alignment is None else dataset.alignment.id_column


def _prediction_columns(sample: pd.DataFrame, id_column: str) -> list[str]:
    """Return the columns to fill in.

    Raises:
        SubmissionError: the sample has only ids.
    """
    columns = [name for name in sample.columns if name != id_column]
    if not columns:
        raise SubmissionError(f"The sample submission must have a column beside {id_column!r}. It has none.")
    return columns


def _match_columns(
    sample: pd.DataFrame, columns: list[str], target: str, classes: tuple[Any, ...] | None, metric: Metric
) -> dict[str, ColumnContent]:
    """Return the content of each of the sample's columns that belong to a target.

    Raises:
        SubmissionError: the columns do not match the target's classes.
    """
    if classes is None:
        if len(columns) > 1:
            raise SubmissionError(
                f"The sample submission must have one column of values. Received: {format_list(columns)}."
            )
        return {columns[0]: _value_content(metric)}
    if len(columns) > 1:
        return dict(_match_classes(columns, classes))
    name = columns[0]
    # A target's own name may end in a label, as `is_no` does; the column is not the probability of that class.
    number = None if name == target else _match_class(name, classes)
    if _shows_labels(sample[name], classes, metric):
        return {name: "label"}
    if len(classes) > 2 and number is None:
        raise SubmissionError(
            f"The sample submission's column {name!r} must hold labels. "
            f"Received: {format_list(sample[name].unique(), 5)}. Classes: {format_list(classes)}."
        )
    return {name: "value" if number is None else number}


def _value_content(metric: Metric) -> ColumnContent:
    """Return the content of a column of values: a metric of labels scores values that are rounded."""
    return "rounded" if metric.wants == "labels" else "value"


def _match_classes(columns: list[str], classes: tuple[Any, ...]) -> dict[str, int]:
    """Return the class number of each column.

    Raises:
        SubmissionError: there is not exactly one column for each class.
    """
    matches = {name: _match_class(name, classes) for name in columns}
    numbers = {name: number for name, number in matches.items() if number is not None}
    unknown = [name for name in columns if name not in numbers]
    if unknown:
        raise SubmissionError(
            f"Each column of the sample submission must name a class. Received: {format_list(unknown)}. "
            f"Classes: {format_list(classes)}."
        )
    if sorted(numbers.values()) != list(range(len(classes))):
        raise SubmissionError(
            f"The sample submission must have one column for each class. Received: {format_list(columns)}. "
            f"Classes: {format_list(classes)}."
        )
    return numbers


def _match_class(column: str, classes: tuple[Any, ...]) -> int | None:
    """Return the class whose label is the column's name, or whose `_LABEL` the name ends with; the longest wins."""
    matches = [i for i, label in enumerate(classes) if column == str(label) or column.endswith(f"_{label}")]
    return max(matches, key=lambda i: len(str(classes[i])), default=None)


def _shows_labels(values: pd.Series, classes: tuple[Any, ...], metric: Metric) -> bool:
    """Return whether a column holds labels; zeros and ones are probabilities if the metric takes probabilities."""
    distinct = {str(value).removesuffix(".0") for value in values.dropna().unique()}
    if not distinct:
        return len(classes) > 2 or metric.wants == "labels"
    if not distinct <= {str(label).removesuffix(".0") for label in classes}:
        return False
    return metric.wants == "labels" or set(map(str, classes)) != {"0", "1"}


def _column_renderer(
    classes: tuple[Any, ...] | None, predictions: Array, threshold: float | None
) -> Callable[[ColumnContent], Array]:
    """Return a function that turns a target's predictions into the values of a column."""

    def render(content: ColumnContent) -> Array:
        if content == "value":
            return predictions
        if content == "rounded":
            return np.rint(predictions).astype(np.int64)
        if isinstance(content, int):
            return predictions[:, content] if predictions.ndim > 1 else predictions if content else 1 - predictions
        return _predict_labels(classes or (), predictions, threshold)

    return render


def _predict_labels(classes: tuple[Any, ...], predictions: Array, threshold: float | None) -> Array:
    """Return (rows,) the label of the most probable class; with two classes, of the positive one from the threshold."""
    least = 0.5 if threshold is None else threshold
    index = predictions.argmax(axis=1) if predictions.ndim > 1 else (predictions >= least).astype(int)
    return np.asarray(np.array(classes, dtype=object)[index])


def _as_tuple(values: list[Any] | tuple[Any, ...] | None) -> tuple[Any, ...] | None:
    return None if values is None else tuple(values)
