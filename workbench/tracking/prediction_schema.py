"""The layout of a study's predictions, which lets any two of its trials be blended."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from workbench.array import Array


@dataclass(frozen=True)
class PredictionSchema:
    """The rows and columns of a study's predictions, the same for all its trials."""

    id_name: str
    ids: Array
    """(rows,): the training rows' ids."""
    test_ids: Array | None
    repeats: Array
    """(predictions,): with `rows` and `folds`, the repeat, row and fold of each out-of-fold prediction."""
    rows: Array
    folds: Array
    hash: str
    outputs: tuple[str, ...]
    """The name of each column of predictions."""

    def oof_keys(self) -> pd.DataFrame:
        """Return id, repeat and fold of each out-of-fold prediction."""
        return pd.DataFrame({self._id: self.ids[self.rows], "repeat": self.repeats, "fold": self.folds})

    def test_keys(self) -> pd.DataFrame:
        """Return the id of each test prediction."""
        return pd.DataFrame({self._id: self.test_ids})

    def oof_frame(self, predictions: Array) -> pd.DataFrame:
        """Return out-of-fold predictions with id, repeat and fold."""
        return self.oof_keys().join(self._output_frame(predictions))

    def test_frame(self, predictions: Array) -> pd.DataFrame:
        """Return test predictions with their ids."""
        return self.test_keys().join(self._output_frame(predictions))

    def predictions(self, frame: pd.DataFrame) -> Array:
        """Return the predictions of a frame as an array, (rows,) or (rows, outputs)."""
        values = frame[list(self.outputs)].to_numpy(dtype=np.float64)
        return values if len(self.outputs) > 1 else values[:, 0]

    @property
    def _id(self) -> str:
        """The name of the id column; `id` if the id has the name of another column."""
        return "id" if self.id_name in ("repeat", "fold", *self.outputs) else self.id_name

    def _output_frame(self, predictions: Array) -> pd.DataFrame:
        return pd.DataFrame(predictions.reshape(len(predictions), -1), columns=list(self.outputs))


@dataclass(frozen=True)
class Predictions:
    """The predictions of a run."""

    oof: Array
    test: Array | None


@dataclass(frozen=True)
class ImportedPredictions:
    """Predictions that were made elsewhere and imported into a study."""

    run_id: str
    name: str
    score: float
