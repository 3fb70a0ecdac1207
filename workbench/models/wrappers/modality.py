"""The part of rows with images among their columns that a family takes, which alone it then sees.

Families of tables see the other columns, families of images the first column of images; a family that takes all of it,
as its entry says, sees all of it.
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
from workbench.models.protocol import Family, FitContext, Inputs, Model, Problem, Rows

_FILE = "portion.json"


@dataclass(frozen=True)
class ModalitySelection:
    """What a family takes of such rows."""

    columns: Mapping[str, ColumnKind]
    """The columns beside the images, and what each is; none where it takes images."""
    image: str | None = None
    """The column of images that it takes."""

    @classmethod
    def of(cls, kinds: Sequence[str], columns: Mapping[str, ColumnKind]) -> ModalitySelection:
        """Return what a family that takes these kinds of data takes of these columns."""
        beside = {name: kind for name, kind in columns.items() if kind != "image"}
        if "table" in kinds or ("text" in kinds and "text" in beside.values()):
            return cls(beside)
        return cls({}, next(name for name, kind in columns.items() if kind == "image"))

    def problem(self, problem: Problem) -> Problem:
        """Return the problem as the family is told of it."""
        kind: Any = "image" if self.image is not None else "text" if "text" in self.columns.values() else "table"
        targets = tuple(replace(target, kind=kind, columns=self.columns) for target in problem.targets)
        return replace(problem, kind=kind, columns=self.columns, targets=targets)

    def inputs(self, x: Any) -> Any:
        """Return the part of rows that the family takes; images on disk stay there until they are asked for."""
        return x[list(self.columns)] if self.image is None else cast(ImageArray, x[self.image].array).seen

    def rows(self, rows: Rows | None) -> Rows | None:
        """Return rows with that part of them."""
        return None if rows is None else replace(rows, x=self.inputs(rows.x))


@dataclass(frozen=True)
class ModalityModel:
    """A model that was given a part of the rows, and takes whole ones."""

    model: Model
    portion: ModalitySelection

    @property
    def others(self) -> dict[str, Model]:
        """The model itself."""
        return {"": self.model}

    def predict(self, x: Inputs) -> np.ndarray:
        """Return the model's predictions; of images it is given some megabytes at a time."""
        seen = self.portion.inputs(x)
        if self.portion.image is None:
            return self.model.predict(seen)
        return np.concatenate([self.model.predict(block) for _, block in seen.blocks()])

    def save(self, folder: Path) -> None:
        """Write the model's own files, and `portion.json`."""
        self.model.save(folder)
        known = {"columns": dict(self.portion.columns), "image": self.portion.image}
        (folder / _FILE).write_text(json.dumps(known), encoding="utf-8")


@dataclass(frozen=True)
class ModalityFamily:
    """A family that takes any rows with images among their columns, though it can do with a part of them alone."""

    family: Family
    kinds: Sequence[str]
    """What the family itself takes."""

    def fit(self, hp: Any, problem: Problem, train: Rows, valid: Rows | None, setting: FitContext) -> Model:
        """Train one model, on the part of the rows that the family takes."""
        if problem.kind != "mixed":
            return self.family.fit(hp, problem, train, valid, setting)
        portion = ModalitySelection.of(self.kinds, problem.columns)
        others = setting.unlabelled
        if others is not None:
            setting = replace(setting, unlabelled=replace(others, x=portion.inputs(others.x)))
        given = replace(train, x=portion.inputs(train.x))
        model = self.family.fit(hp, portion.problem(problem), given, portion.rows(valid), setting)
        return ModalityModel(model, portion)

    def load(self, folder: Path) -> Model:
        """Read what the model's `save` wrote."""
        model = self.family.load(folder)
        if not (folder / _FILE).exists():
            return model
        return ModalityModel(model, ModalitySelection(**json.loads((folder / _FILE).read_text(encoding="utf-8"))))
