"""The fingerprint of a study: with other data, metric or folds its trials could not be compared."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from workbench import files
from workbench.config import StudyConfig
from workbench.data import Dataset
from workbench.data.dataset import Rows
from workbench.data.image_column import ImageArray
from workbench.data.memmap import MemmapArray
from workbench.errors import format_list
from workbench.study.recorded_settings import describe_changes, list_settings, read_settings, refuse

HONEST_LENGTHS = "honest_lengths"
"""The key of a written fingerprint that tells how training lengths are chosen, as `TrialSpec.honest_lengths` does;
studies of earlier versions lack it."""


@dataclass(frozen=True)
class Fingerprint:
    """The facts that must not change while a study keeps its name."""

    metric: str
    task: str
    target: str
    classes: list[Any] | None
    rows: int
    features: str
    """A digest of the columns and values of the training features."""
    test: str
    """The same for the test features."""
    folds: str
    """The fold hash: over ids, target and assignment."""
    columns: Mapping[str, str] = field(default_factory=dict, compare=False)
    """The kind of each feature of a table, which explains differences."""

    @classmethod
    def of(cls, dataset: Dataset, metric: str, folds: str) -> Fingerprint:
        """Return the fingerprint of a dataset, a metric and folds."""
        return cls(
            metric=metric,
            task=dataset.task,
            target=dataset.target,
            classes=[target.classes for target in dataset.targets]
            or (list(dataset.classes) if dataset.classes else None),
            rows=len(dataset.y),
            features=_digest_features(dataset),
            test=_digest(dataset.x_test),
            folds=folds,
            columns={str(name): kind for name, kind in dataset.columns.items()},
        )

    def training(self, y: np.ndarray) -> str:
        """Return a digest of the training rows: their features, and their target, `y`."""
        digest = hashlib.sha256(f"{self.features} {self.target} {self.classes}".encode())
        digest.update(np.ascontiguousarray(y).tobytes())
        return digest.hexdigest()[:16]

    @staticmethod
    def features_of(file: Path) -> str | None:
        """Return the digest of the features in a written fingerprint; None where there is none."""
        return str(json.loads(file.read_text())["features"]) if file.exists() else None

    def settle(self, file: Path, config: StudyConfig) -> None:
        """Write the fingerprint with the settings the first time; later, check it against the written one.

        Raises:
            StudyError: a fact has changed; the message names it.
        """
        begun = self.check(file, config) if file.exists() else {HONEST_LENGTHS: True}
        # Settings that have changed without an effect, such as a path, are the ones to compare with from now on.
        now = {**begun, **self._document(), "settings": list_settings(config)}
        if now != begun:
            files.write_text(file, json.dumps(now, indent=1))

    def check(self, file: Path, config: StudyConfig, *, but: Collection[str] = ()) -> dict[str, Any]:
        """Check the facts, except those named in `but`, against the written ones, and return what is written.

        Raises:
            StudyError: a fact has changed; the message names it.
        """
        begun: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        now = self._document()
        changed = [key for key in now if key not in {*but, "columns"} and now[key] != begun.get(key)]
        if changed:
            then = read_settings(begun)
            if then is None:
                # Folds change with target and rows: the message names the cause, not the consequence.
                causes = [key for key in changed if key != "folds"] or changed
                raise refuse(config, [f"{key} was {begun.get(key)!r} and is {now[key]!r}" for key in causes])
            settings = list(describe_changes(then, list_settings(config)).values())
            facts = [words for key in changed for words in _describe_fact(key, begun, now)]
            raise refuse(config, [*settings, *facts] or _describe_values(changed))
        return begun

    def _document(self) -> dict[str, Any]:
        """Return the facts as JSON values."""
        document: dict[str, Any] = json.loads(json.dumps(asdict(self), default=str))
        return document


def _describe_fact(key: str, begun: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return in words how a fact has changed; nothing where only a digest tells."""
    then, present = begun[key], now[key]
    match key:
        case "rows":
            return [f"data.train: {then} rows -> {present}"]
        case "classes" if isinstance(then, list) and isinstance(present, list):
            return [f"classes: {format_list(then)} -> {format_list(present)}"]
        case "metric" | "task" | "target":
            return [f"{key}: {then} -> {present}"]
        case "features":
            return _describe_columns(begun.get("columns", {}), now["columns"])
    return []


def _describe_columns(then: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Return which features are new, are gone, or have another kind."""
    added, removed = [name for name in now if name not in then], [name for name in then if name not in now]
    changed = [f"{name} {then[name]} -> {now[name]}" for name in now if name in then and then[name] != now[name]]
    groups = {"new": added, "gone": removed, "of another kind": changed}
    return [f"features {word}: {format_list(names)}" for word, names in groups.items() if names]


def _describe_values(changed: Collection[str]) -> list[str]:
    """Return which data have changed where settings, counts and columns are as before."""
    words = {
        "features": "data.train: other rows",
        "folds": "data.train: other ids, targets or groups",
        "test": "data.test: other rows",
    }
    # Folds change with the rows.
    causes = [key for key in words if key in changed and (key != "folds" or "features" not in changed)]
    return [words[key] for key in causes]


def _digest_features(dataset: Dataset) -> str:
    """Return a digest of the training features, and of those of the rows without a target if there are some."""
    digest = _digest(dataset.x)
    if dataset.unlabelled is None:
        return digest
    return hashlib.sha256(f"{digest} {_digest(dataset.unlabelled)}".encode()).hexdigest()[:16]


def _digest(x: Rows | None) -> str:
    """Return 16 hex digits over shape, column names and values; for images in files, over the files."""
    if x is None:
        return "none"
    if isinstance(x, MemmapArray):
        return x.digest
    hashed = hashlib.sha256(str(x.shape).encode())
    if isinstance(x, pd.DataFrame):
        hashed.update("\x1f".join(map(str, x.columns)).encode())
        images = [name for name in x.columns if isinstance(x[name].array, ImageArray)]
        hashed.update(pd.util.hash_pandas_object(x.drop(columns=images), index=False).to_numpy().tobytes())
        hashed.update("".join(x[name].array.digest for name in images).encode())
    else:
        hashed.update(np.ascontiguousarray(x).tobytes())
    return hashed.hexdigest()[:16]
