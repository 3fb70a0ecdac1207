"""How the predictions of a study are laid out, so that any two trials of it can be blended."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class PredictionSchema:
    """How the predictions of a study are laid out: the same for all its trials."""

    id_name: str
    ids: np.ndarray
    """(rows,): the training rows' ids."""
    test_ids: np.ndarray | None
    repeats: np.ndarray
    """(predictions,): with `rows` and `folds`, what each out-of-fold prediction belongs to."""
    rows: np.ndarray
    folds: np.ndarray
    hash: str
    outputs: tuple[str, ...]
    """The name of each column of predictions."""

    def oof_keys(self) -> pd.DataFrame:
        """Return id, repeat and fold of each out-of-fold prediction."""
        return pd.DataFrame({self._id: self.ids[self.rows], "repeat": self.repeats, "fold": self.folds})

    def test_keys(self) -> pd.DataFrame:
        """Return the id of each test prediction."""
        return pd.DataFrame({self._id: self.test_ids})

    def oof_frame(self, predictions: np.ndarray) -> pd.DataFrame:
        """Return out-of-fold predictions with id, repeat and fold."""
        return self.oof_keys().join(self._outputs(predictions))

    def test_frame(self, predictions: np.ndarray) -> pd.DataFrame:
        """Return test predictions with their ids."""
        return self.test_keys().join(self._outputs(predictions))

    def predictions(self, frame: pd.DataFrame) -> np.ndarray:
        """Return the predictions of a frame as an array, (rows,) or (rows, outputs)."""
        values = frame[list(self.outputs)].to_numpy(dtype=np.float64)
        return values if len(self.outputs) > 1 else values[:, 0]

    @property
    def _id(self) -> str:
        """The name of the id column; an id called as another column is, is just `id`."""
        return "id" if self.id_name in ("repeat", "fold", *self.outputs) else self.id_name

    def _outputs(self, predictions: np.ndarray) -> pd.DataFrame:
        return pd.DataFrame(predictions.reshape(len(predictions), -1), columns=list(self.outputs))


@dataclass(frozen=True)
class Predictions:
    """What the vault holds of a run."""

    oof: np.ndarray
    test: np.ndarray | None


@dataclass(frozen=True)
class Imported:
    """Predictions that were made elsewhere and taken into a study."""

    run_id: str
    name: str
    score: float
