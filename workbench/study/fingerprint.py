"""The fingerprint of a study: with other data, metric or folds its trials could not be compared."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from dataclasses import asdict, dataclass
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
from workbench.errors import StudyError


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
        """Write the fingerprint the first time; later, check it against the written one.

        Raises:
            StudyError: a fact has changed; the message names it.
        """
        if file.exists():
            self.check(file, config)
            return
        files.write_text(file, json.dumps(asdict(self), indent=1, default=str))

    def check(self, file: Path, config: StudyConfig, *, but: Collection[str] = ()) -> None:
        """Check the facts, except those named in `but`, against the written ones.

        Raises:
            StudyError: a fact has changed; the message names it.
        """
        then = json.loads(file.read_text())
        now = json.loads(json.dumps(asdict(self), default=str))
        changed = [key for key in now if key not in but and now[key] != then.get(key)]
        if changed:
            # Folds change with target and rows: the message names the cause, not the consequence.
            causes = [key for key in changed if key != "folds"] or changed
            what = "; ".join(f"{key} was {then.get(key)!r} and is {now[key]!r}" for key in causes)
            raise StudyError(
                f"{config.file}: study {config.name!r} was begun otherwise: {what}. "
                "Give the study another name, or restore what it was begun with."
            )


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
