"""An ensemble with all that it takes to predict, in one folder: neither the home nor the training data are needed."""

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
from workbench.data import NewRows, Reader
from workbench.data.dataset import Rows
from workbench.data.new_data import NewData
from workbench.ensemble.aggregation import Aggregation, WeightedMean, from_document, to_document
from workbench.models.protocol import Model
from workbench.submission import SubmissionLayout, Threshold
from workbench.trial import Transforms

_FILE = "bundle.json"
# The arrays of the aggregation; those of ranks are the only ones.
_ARRAYS = "ranks.npz"


@dataclass(frozen=True)
class StoredModel:
    """A model on disk, in memory only when it is wanted: many that are large need not be there together."""

    family: str
    folder: Path
    model: Model | None = None

    def loaded(self) -> StoredModel:
        """Return the same with the model in memory."""
        return replace(self, model=self.ready())

    def ready(self) -> Model:
        """Return the model."""
        return models.module(self.family).load(self.folder) if self.model is None else self.model


@dataclass(frozen=True)
class Member:
    """A model of the ensemble: the mean of some trials, each the mean of its own models."""

    name: str
    family: str
    weight: float
    trials: Sequence[Sequence[StoredModel]]
    weights: Mapping[str, float] | None = None
    """By target or by class, where it has not one weight for all; `weight` then is their mean."""

    def predict(self, x: Rows, transform: Transforms) -> np.ndarray:
        """Return the member's predictions in the target's own units, (rows,) or (rows, classes)."""

        def made(model: StoredModel) -> np.ndarray:
            return trial.predict(model.ready(), x, family=self.family, transform=transform)

        return _mean(_mean(made(model) for model in each) for each in self.trials)

    def size(self) -> int:
        """Return how many bytes the member's models take on disk."""
        files = (file for each in self.trials for model in each for file in model.folder.rglob("*") if file.is_file())
        return sum(file.stat().st_size for file in files)


@dataclass(frozen=True, eq=False)
class Predictor:
    """All that it takes to predict."""

    reader: Reader
    members: Sequence[Member]
    joiner: Aggregation
    layout: SubmissionLayout
    transform: Transforms = "none"
    """What the target was trained on; of several, what each column of predictions is turned back from."""
    threshold: Threshold = None

    @property
    def families(self) -> set[str]:
        """The families of the members."""
        return {member.family for member in self.members}

    def predict(self, rows: NewRows) -> pd.DataFrame:
        """Return predictions with the submission's columns, in the rows' own order.

        Raises:
            SourceError: the file cannot be opened.
            DataError: the rows do not have the columns, or what columns must hold.
            FamilyError: a model cannot be loaded, or predicted what is not a number.
        """
        return self.table(self.reader.read(rows))

    def table(self, new: NewData) -> pd.DataFrame:
        """Return what `predict` does for rows that the reader has read."""
        x, ids = new
        predictions = [member.predict(x, self.transform) for member in self.members]
        joined = self.joiner(predictions, self._weights)
        return self.layout.fill(ids, joined, self.threshold)

    @property
    def _weights(self) -> np.ndarray:
        """The members' weights, (members,), or (members, targets or classes)."""
        return np.array([[*member.weights.values()] if member.weights else member.weight for member in self.members])

    def serve(self, rows: pd.DataFrame | np.ndarray) -> pd.DataFrame:
        """Return predictions for rows that a server was sent: who sends JSON leaves out what is missing."""
        return self.predict(self.reader.completed(rows) if isinstance(rows, pd.DataFrame) else rows)

    def alone(self, place: int) -> Predictor:
        """Return the bundle of a single member."""
        return replace(
            self,
            members=[replace(self.members[place], weight=1.0, weights=None)],
            joiner=WeightedMean(),
            threshold=None,
        )

    def in_memory(self) -> Predictor:
        """Return the bundle with its models loaded, for many predictions."""
        return replace(self, members=[_loaded(member) for member in self.members])

    def write(self, folder: Path) -> None:
        """Write everything into a new folder: JSON, arrays, and the models as their families wrote them."""
        folder.mkdir(parents=True)
        known = {
            "members": [_copied(member, folder, f"models/{place}") for place, member in enumerate(self.members)],
            "joiner": to_document(self.joiner),
            "layout": self.layout.document(),
            "reader": self.reader.document(),
            "transform": self.transform,
            "threshold": self.threshold,
        }
        if arrays := self.joiner.arrays():
            np.savez_compressed(folder / _ARRAYS, *arrays)
        (folder / _FILE).write_text(json.dumps(known, indent=1))


def read(folder: Path) -> Predictor:
    """Read what `Predictor.write` wrote; the models stay on disk until they predict, or `in_memory` loads them."""
    known = json.loads((folder / _FILE).read_text())
    return Predictor(
        reader=Reader.from_document(known["reader"]),
        members=[_member(folder, member) for member in known["members"]],
        joiner=_joiner(folder, known["joiner"]),
        layout=SubmissionLayout.from_document(known["layout"]),
        transform=known["transform"],
        threshold=known["threshold"],
    )


def _member(folder: Path, known: Mapping[str, Any]) -> Member:
    trials = [[StoredModel(known["family"], folder / name) for name in names] for names in known["trials"]]
    return Member(**{**known, "trials": trials})


def _joiner(folder: Path, known: Mapping[str, Any]) -> Aggregation:
    if not (folder / _ARRAYS).exists():
        return from_document(known)
    with np.load(folder / _ARRAYS, allow_pickle=False) as arrays:
        return from_document(known, [arrays[f"arr_{place}"] for place in range(len(arrays.files))])


def _loaded(member: Member) -> Member:
    return replace(member, trials=[[model.loaded() for model in each] for each in member.trials])


def _copied(member: Member, folder: Path, place: str) -> dict[str, Any]:
    """Copy a member's models below `place` in a folder, and return what there is to know of it."""
    names = []
    for number, each in enumerate(member.trials):
        names.append([f"{place}/{number}-{model.folder.name}" for model in each])
        for model, name in zip(each, names[-1], strict=True):
            shutil.copytree(model.folder, folder / name)
    known = {"name": member.name, "family": member.family, "weight": member.weight, "weights": member.weights}
    return {**known, "trials": names}


def _mean(predictions: Iterable[np.ndarray]) -> np.ndarray:
    each = list(predictions)
    return np.asarray(sum(each) / len(each))
