"""Tables with images, for families that accept a table or images but not both.

A family of tables is given the other columns, a family of images the first column of images. Families that accept mixed
data are not wrapped.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from workbench.config import ColumnKind
from workbench.data.image_column import ImageArray
from workbench.models.protocol import Family, FitContext, Inputs, Model, Problem, Rows, StagedModel

_FILE = "portion.json"


@dataclass(frozen=True)
class ModalitySelection:
    """The part of a table with images that a family is given: the other columns, or one column of images."""

    columns: Mapping[str, ColumnKind]
    """The kinds of the columns other than images; empty if the family is given images."""
    image: str | None = None
    """The column of images that the family is given."""

    @classmethod
    def for_kinds(cls, kinds: Sequence[str], columns: Mapping[str, ColumnKind]) -> ModalitySelection:
        """Return the selection for a family that accepts some kinds of data."""
        others = {name: kind for name, kind in columns.items() if kind != "image"}
        if "table" in kinds or ("text" in kinds and "text" in others.values()):
            return cls(others)
        return cls({}, next(name for name, kind in columns.items() if kind == "image"))

    def select_problem(self, problem: Problem) -> Problem:
        """Return the problem with the kind and the columns of the selection."""
        kind: Any = "image" if self.image is not None else "text" if "text" in self.columns.values() else "table"
        targets = tuple(replace(target, kind=kind, columns=self.columns) for target in problem.targets)
        return replace(problem, kind=kind, columns=self.columns, targets=targets)

    def select_inputs(self, x: Any) -> Any:
        """Return the selected part of the inputs; images on disk are read only when rows are indexed."""
        return x[list(self.columns)] if self.image is None else cast(ImageArray, x[self.image].array).seen

    def select_rows(self, rows: Rows) -> Rows:
        """Return rows with the selected part of their inputs."""
        return replace(rows, x=self.select_inputs(rows.x))


@dataclass(frozen=True)
class ModalityModel:
    """A model that was trained on a part of a table with images, and that predicts from whole rows."""

    model: Model
    selection: ModalitySelection

    @property
    def submodels(self) -> dict[str, Model]:
        """The wrapped model, for `nn.architecture`."""
        return {"": self.model}

    def predict(self, x: Inputs) -> np.ndarray:
        """Return the model's predictions; images are predicted in batches of some megabytes."""
        selected = self.selection.select_inputs(x)
        if self.selection.image is None:
            return self.model.predict(selected)
        return np.concatenate([self.model.predict(block) for _, block in selected.blocks()])

    def save(self, folder: Path) -> None:
        """Write the model's own files, and `portion.json`."""
        self.model.save(folder)
        fields = {"columns": dict(self.selection.columns), "image": self.selection.image}
        (folder / _FILE).write_text(json.dumps(fields), encoding="utf-8")


@dataclass(frozen=True)
class StagedModalityModel(ModalityModel):
    """A model of a part of the rows that also holds other stages of its training."""

    model: StagedModel

    @property
    def length(self) -> int:
        """The number of boosting rounds or epochs after which it predicts."""
        return self.model.length

    def predict_stages(self, x: Inputs, lengths: Sequence[int]) -> Sequence[np.ndarray]:
        """Return the model's predictions after several numbers of rounds or epochs."""
        selected = self.selection.select_inputs(x)
        if self.selection.image is None:
            return self.model.predict_stages(selected, lengths)
        blocks = [self.model.predict_stages(block, lengths) for _, block in selected.blocks()]
        return [np.concatenate(stage) for stage in zip(*blocks, strict=True)]

    def truncate(self, length: int) -> ModalityModel:
        """Return the model after a number of rounds or epochs, without other stages."""
        return ModalityModel(self.model.truncate(length), self.selection)


@dataclass(frozen=True)
class ModalityFamily:
    """A family that accepts tables with images and passes on the part that the wrapped family accepts."""

    family: Family
    kinds: Sequence[str]
    """The kinds of data that the wrapped family accepts."""

    def fit(self, hp: Any, problem: Problem, train: Rows, valid: Rows | None, context: FitContext) -> Model:
        """Train one model on the part of the rows that the family accepts."""
        if problem.kind != "mixed":
            return self.family.fit(hp, problem, train, valid, context)
        selection = ModalitySelection.for_kinds(self.kinds, problem.columns)
        unlabelled = context.unlabelled
        if unlabelled is not None:
            unlabelled = replace(unlabelled, x=selection.select_inputs(unlabelled.x))
            context = replace(context, unlabelled=unlabelled)
        model = self.family.fit(
            hp,
            selection.select_problem(problem),
            selection.select_rows(train),
            None if valid is None else selection.select_rows(valid),
            context,
        )
        return _select_before(model, selection)

    def load(self, folder: Path) -> Model:
        """Return the model that its `save` wrote to a folder."""
        model = self.family.load(folder)
        if not (folder / _FILE).exists():
            return model
        return _select_before(model, ModalitySelection(**json.loads((folder / _FILE).read_text(encoding="utf-8"))))


def _select_before(model: Model, selection: ModalitySelection) -> ModalityModel:
    """Return a model that selects a part of the rows before another model predicts, staged if that one is."""
    if isinstance(model, StagedModel):
        return StagedModalityModel(model, selection)
    return ModalityModel(model, selection)
