"""The context of prediction, stored when a study begins so that `predict` does not load the training data."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from workbench import files
from workbench.data.source_digest import SourceDigest, digest_sources
from workbench.errors import DataError, SourceError
from workbench.home import Home
from workbench.study.task import Task

if TYPE_CHECKING:
    from workbench.data import Reader
    from workbench.evaluation.metrics import Direction, LowerBounds
    from workbench.submission import SubmissionLayout
    from workbench.trial import Transforms

_FILE = "inference.json"


@dataclass(frozen=True)
class InferenceContext:
    """The parts of a predictor that follow from the training data, not from an ensemble."""

    reader: Reader
    """Reads new rows in the form of the training rows."""
    direction: Direction
    """Whether more or less of the metric is better."""
    layout: SubmissionLayout
    transform: Transforms
    """The transform of the target; for several targets, one for each column of predictions."""
    models: tuple[tuple[int, int], ...]
    """(repeat, fold) of each fold model of a trial of full fidelity that predicts new rows."""
    bounds: LowerBounds = None
    """The least prediction that the metric allows; for several targets, of each column of predictions."""

    @classmethod
    def of(cls, task: Task) -> InferenceContext:
        """Derive the context from a study's training data.

        Raises:
            SubmissionError: the columns of the sample submission do not fit.
        """
        from workbench import submission, trial

        return cls(
            reader=task.reader,
            direction=task.metric.direction,
            layout=submission.infer_layout(task.dataset, task.metric),
            transform=trial.output_transforms(task.dataset, task.transform),
            models=tuple(task.all_folds.prediction_pairs()),
            bounds=task.metric.bounds,
        )

    def document(self) -> dict[str, Any]:
        """Return the context as JSON values, under the keys that an exported predictor uses."""
        return {
            "reader": self.reader.document(),
            "direction": self.direction,
            "layout": self.layout.document(),
            "transform": self.transform,
            "models": self.models,
            "bounds": self.bounds,
        }

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> InferenceContext:
        """Return the context that `document` wrote."""
        from workbench.data import reader_from_document
        from workbench.submission import SubmissionLayout

        return cls(
            reader=reader_from_document(document["reader"]),
            direction=document["direction"],
            layout=SubmissionLayout.from_document(document["layout"]),
            transform=document["transform"],
            models=tuple((repeat, fold) for repeat, fold in document["models"]),
            bounds=document.get("bounds"),
        )


def store(task: Task, home: Home) -> None:
    """Write the context beside the study's fingerprint.

    Raises:
        SubmissionError: the columns of the sample submission do not fit.
    """
    _write(_file(task, home), InferenceContext.of(task), digest_sources(task.config))


def load(task: Task, home: Home) -> InferenceContext:
    """Return the stored context if the study's sources are unchanged; else derive it from the training data.

    If the training data cannot be read any more, the stored context is all that is needed to predict with kept models.

    Raises:
        StudyError: the study was begun with other data.
    """
    file, stored, now = _file(task, home), _read(task, home), digest_sources(task.config)
    then = SourceDigest(**stored["sources"]) if stored else None
    if stored and then == now:
        return InferenceContext.from_document(stored)
    try:
        _ = task.dataset
    except (SourceError, DataError):
        if stored and then and then.keys == now.keys:
            return InferenceContext.from_document(stored)
        raise
    begun = home.fingerprint(task.config.name).exists()
    if begun:
        task.facts.check(home.fingerprint(task.config.name), task.config, but=["test"])
    context = InferenceContext.of(task)
    if begun:
        # A home that is read-only can still predict.
        with suppress(OSError):
            _write(file, context, now)
    return context


def read_direction(task: Task, home: Home) -> Direction | None:
    """Return the direction of the metric that the study began with; None if it is not stored for this study file."""
    stored = _read(task, home)
    known = stored and stored["sources"]["keys"] == digest_sources(task.config).keys
    return cast("Direction", stored["direction"]) if stored and known else None


def makes_same_predictions(task: Task, home: Home) -> bool:
    """Return whether trials under the study's present metric make predictions as those before: transform and range."""
    stored = _read(task, home)
    if not stored:
        return False
    now = InferenceContext.of(task).document()
    return all(json.dumps(now[key]) == json.dumps(stored.get(key)) for key in ("transform", "bounds"))


def _read(task: Task, home: Home) -> dict[str, Any] | None:
    file = _file(task, home)
    return cast("dict[str, Any]", json.loads(file.read_text())) if file.exists() else None


def _file(task: Task, home: Home) -> Path:
    return home.fingerprint(task.config.name).with_name(_FILE)


def _write(file: Path, context: InferenceContext, sources: SourceDigest) -> None:
    files.write_text(file, json.dumps({"sources": sources._asdict(), **context.document()}))
