"""The predictor of an ensemble, stored in one folder; it needs neither the home nor the training data."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from workbench import models, trial
from workbench.array import Array
from workbench.data import NewRows, Reader, new_data, reader_from_document
from workbench.data.dataset import NewData, Rows
from workbench.ensemble.aggregation import Aggregation, WeightedMean, from_document, to_document
from workbench.evaluation.metrics import LowerBounds, clip
from workbench.models.protocol import Model
from workbench.submission import SubmissionLayout, Threshold
from workbench.trial import Transforms

_FILE = "bundle.json"
# The arrays of the aggregation; only rank averages have some.
_ARRAYS = "ranks.npz"


@dataclass(frozen=True)
class StoredModel:
    """A model on disk, loaded for each prediction unless `load` keeps it: many large models need much memory."""

    family: str
    folder: Path
    model: Model | None = None

    def load(self) -> StoredModel:
        """Return the stored model with its model in memory."""
        return replace(self, model=self.get())

    def get(self) -> Model:
        """Return the model, from memory or else from disk."""
        return models.get_family(self.family, check=False).load(self.folder) if self.model is None else self.model


@dataclass(frozen=True)
class Member:
    """A member of the ensemble: the mean of some trials, each the mean of its models."""

    name: str
    family: str
    weight: float
    trials: Sequence[Sequence[StoredModel]]
    weights: Mapping[str, float] | None = None
    """The weights by target or by class, if they differ; `weight` is then their mean."""

    def predict(self, x: Rows, transform: Transforms, bounds: LowerBounds = None) -> Array:
        """Return the member's predictions in the target's units, (rows,) or (rows, classes)."""

        def predict_with(model: StoredModel) -> Array:
            return trial.predict(model.get(), x, family=self.family, transform=transform, bounds=bounds)

        return _mean(_mean(predict_with(model) for model in stored) for stored in self.trials)

    def size(self) -> int:
        """Return the bytes of the member's models on disk."""
        folders = (model.folder for stored in self.trials for model in stored)
        files = (file for folder in folders for file in folder.rglob("*") if file.is_file())
        return sum(file.stat().st_size for file in files)

    def load(self) -> Member:
        """Return the member with its models in memory."""
        return replace(self, trials=[[model.load() for model in stored] for stored in self.trials])


@dataclass(frozen=True, eq=False)
class Predictor:
    """An ensemble that reads and predicts new rows."""

    reader: Reader
    members: Sequence[Member]
    aggregation: Aggregation
    layout: SubmissionLayout
    transform: Transforms = "none"
    """The transform of the target; for several targets, one for each column of predictions."""
    threshold: Threshold = None
    bounds: LowerBounds = None
    """The least prediction that the metric allows; for several targets, of each column of predictions."""

    @property
    def families(self) -> set[str]:
        """The families of the members."""
        return {member.family for member in self.members}

    def predict(self, rows: NewRows) -> pd.DataFrame:
        """Return predictions with the submission's columns, in the order of the rows.

        Raises:
            SourceError: the file cannot be opened.
            DataError: the rows lack columns, or a column holds values that it must not hold.
            FamilyError: a model cannot be loaded, or its predictions are not finite.
        """
        return self.table(self.reader.read(rows))

    def table(self, new: NewData) -> pd.DataFrame:
        """Return the predictions for rows that the reader has read."""
        x, ids = new
        predictions = [member.predict(x, self.transform, self.bounds) for member in self.members]
        combined = clip(self.aggregation(predictions, self._weights), self.bounds)
        return self.layout.fill(ids, combined, self.threshold)

    @property
    def _weights(self) -> Array:
        """The members' weights, (members,), or (members, targets or classes)."""
        return np.array([[*member.weights.values()] if member.weights else member.weight for member in self.members])

    def serve(self, rows: pd.DataFrame | Array) -> pd.DataFrame:
        """Return predictions for rows that a client sent; JSON clients leave out missing values."""
        if isinstance(rows, pd.DataFrame):
            rows = new_data.add_optional(rows, self.reader.optional)
        return self.predict(rows)

    def select_member(self, index: int) -> Predictor:
        """Return the predictor of a single member."""
        return replace(
            self,
            members=[replace(self.members[index], weight=1.0, weights=None)],
            aggregation=WeightedMean(),
            threshold=None,
        )

    def load_models(self) -> Predictor:
        """Return the predictor with its models in memory, for many predictions."""
        return replace(self, members=[member.load() for member in self.members])

    def write(self, folder: Path) -> None:
        """Write JSON, arrays, and copies of the models into a new folder."""
        folder.mkdir(parents=True)
        document = {
            "members": [_copy_member(member, folder, f"models/{number}") for number, member in enumerate(self.members)],
            "joiner": to_document(self.aggregation),
            "layout": self.layout.document(),
            "reader": self.reader.document(),
            "transform": self.transform,
            "threshold": self.threshold,
            "bounds": self.bounds,
        }
        if arrays := self.aggregation.arrays():
            np.savez_compressed(folder / _ARRAYS, *arrays)
        (folder / _FILE).write_text(json.dumps(document, indent=1))


def read(folder: Path) -> Predictor:
    """Read what `Predictor.write` wrote; models stay on disk until they predict, or `load_models` loads them."""
    document = json.loads((folder / _FILE).read_text())
    return Predictor(
        reader=reader_from_document(document["reader"]),
        members=[_read_member(folder, member) for member in document["members"]],
        aggregation=_read_aggregation(folder, document["joiner"]),
        layout=SubmissionLayout.from_document(document["layout"]),
        transform=document["transform"],
        threshold=document["threshold"],
        bounds=document.get("bounds"),
    )


def _read_member(folder: Path, document: Mapping[str, Any]) -> Member:
    trials = [[StoredModel(document["family"], folder / name) for name in names] for names in document["trials"]]
    return Member(**{**document, "trials": trials})


def _read_aggregation(folder: Path, document: Mapping[str, Any]) -> Aggregation:
    if not (folder / _ARRAYS).exists():
        return from_document(document)
    with np.load(folder / _ARRAYS, allow_pickle=False) as arrays:
        return from_document(document, [arrays[f"arr_{number}"] for number in range(len(arrays.files))])


def _copy_member(member: Member, folder: Path, path: str) -> dict[str, Any]:
    """Copy a member's models below `path` in a folder, and return the member's document."""
    trials = []
    for number, stored in enumerate(member.trials):
        names = [f"{path}/{number}-{model.folder.name}" for model in stored]
        for model, name in zip(stored, names, strict=True):
            shutil.copytree(model.folder, folder / name)
        trials.append(names)
    weights = {"weight": member.weight, "weights": member.weights}
    return {"name": member.name, "family": member.family, **weights, "trials": trials}


def _mean(predictions: Iterable[Array]) -> Array:
    members = list(predictions)
    return np.asarray(sum(members) / len(members))
