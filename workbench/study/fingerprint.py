"""What a study was begun with. Gone on with as something else, its trials could not be compared."""

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
    """What must stay the same as long as a study keeps its name."""

    metric: str
    task: str
    target: str
    classes: list[Any] | None
    rows: int
    features: str
    """A digest of the columns and values of the training features."""
    test: str
    """The same of the test features."""
    folds: str
    """The fold hash: over ids, target and assignment."""

    @classmethod
    def of(cls, dataset: Dataset, metric: str, folds: str) -> Fingerprint:
        """Return the facts of a study about to begin, or to go on."""
        return cls(
            metric=metric,
            task=dataset.task,
            target=dataset.target,
            classes=[target.classes for target in dataset.targets]
            or (list(dataset.classes) if dataset.classes else None),
            rows=len(dataset.y),
            features=_digest(dataset.x),
            test=_digest(dataset.x_test),
            folds=folds,
        )

    def training(self, y: np.ndarray) -> str:
        """Return a digest of the training rows: their features, and their target, `y`."""
        words = hashlib.sha256(f"{self.features} {self.target} {self.classes}".encode())
        words.update(np.ascontiguousarray(y).tobytes())
        return words.hexdigest()[:16]

    @staticmethod
    def features_of(file: Path) -> str | None:
        """Return the digest of the features that a study was begun with; None where it has not begun."""
        return str(json.loads(file.read_text())["features"]) if file.exists() else None

    def settle(self, file: Path, config: StudyConfig) -> None:
        """Write the facts down the first time; later, hold them against what was written.

        Raises:
            StudyError: something changed; it is named.
        """
        if file.exists():
            self.check(file, config)
            return
        files.write_text(file, json.dumps(asdict(self), indent=1, default=str))

    def check(self, file: Path, config: StudyConfig, *, but: Collection[str] = ()) -> None:
        """Hold the facts, those named in `but` aside, against what was written.

        Raises:
            StudyError: something changed; it is named.
        """
        then = json.loads(file.read_text())
        now = json.loads(json.dumps(asdict(self), default=str))
        changed = [key for key in now if key not in but and now[key] != then.get(key)]
        if changed:
            # The folds follow from target and rows; what caused the change is named, not what followed.
            causes = [key for key in changed if key != "folds"] or changed
            what = "; ".join(f"{key} was {then.get(key)!r} and is {now[key]!r}" for key in causes)
            raise StudyError(
                f"{config.file}: study {config.name!r} was begun otherwise: {what}. "
                "Give the study another name, or restore what it was begun with."
            )


def _digest(x: Rows | None) -> str:
    """Return 16 hex digits over shape, column names and values; of images in files, over these."""
    if x is None:
        return "none"
    if isinstance(x, MemmapArray):
        return x.digest
    words = hashlib.sha256(str(x.shape).encode())
    if isinstance(x, pd.DataFrame):
        words.update("\x1f".join(map(str, x.columns)).encode())
        pictures = [name for name in x.columns if isinstance(x[name].array, ImageArray)]
        words.update(pd.util.hash_pandas_object(x.drop(columns=pictures), index=False).to_numpy().tobytes())
        words.update("".join(x[name].array.digest for name in pictures).encode())
    else:
        words.update(np.ascontiguousarray(x).tobytes())
    return words.hexdigest()[:16]
