"""The files among a run's artifacts: predictions and curves as tables, written and read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from workbench.array import Array
from workbench.errors import StudyError
from workbench.tracking.prediction_schema import Predictions, PredictionSchema
from workbench.trial import TrialResult

if TYPE_CHECKING:
    from mlflow import MlflowClient

_OOF = "oof.parquet"
_TEST = "test.parquet"
_CURVES = "curves.parquet"


def write_predictions(oof: Array | None, test: Array | None, schema: PredictionSchema, folder: Path) -> None:
    """Write out-of-fold and test predictions as tables, those that there are."""
    if oof is not None:
        schema.oof_frame(oof).to_parquet(folder / _OOF, index=False)
    if test is not None:
        schema.test_frame(test).to_parquet(folder / _TEST, index=False)


def write_curves(result: TrialResult, folder: Path) -> None:
    """Write the curves of a trial as one table; no file if it has none."""
    curves = [
        pd.DataFrame(dict(curve)).assign(repeat=repeat, fold=fold)
        for (repeat, fold), curve in result.curves.items()
        if curve
    ]
    if curves:
        pd.concat(curves).to_parquet(folder / _CURVES, index=False)


class RunArtifacts:
    """The artifacts of one study's runs."""

    def __init__(self, client: MlflowClient, study: str, location: Path) -> None:
        """Set the source.

        Args:
            client: MLflow's client of the home.
            study: the study's name, for messages.
            location: the home's folder of artifacts.
        """
        self._client, self._study, self._location = client, study, location

    def has(self, run_id: str, name: str) -> bool:
        """Tell whether a run has a file or folder of that name."""
        return name in {file.path for file in self._client.list_artifacts(run_id)}

    def path(self, run_id: str, name: str) -> Path:
        """Return the path of a file or folder of a run.

        Raises:
            StudyError: it cannot be read.
        """
        # MLflow asks its database several times for each file, which for the models of a blend takes seconds.
        local = self._location / self._study / run_id / "artifacts" / name
        if local.exists():
            return local
        from mlflow.exceptions import MlflowException

        try:
            return Path(self._client.download_artifacts(run_id, name))
        except (MlflowException, OSError) as error:
            reason = " ".join(str(error).rstrip(".").split())
            raise StudyError(
                f"Study {self._study!r}: run {run_id} must have the artifact {name}. It cannot be read: {reason}. "
                f"Restore it below {self._location}, or give the study another name and run it anew."
            ) from error

    def predictions(self, run_id: str, schema: PredictionSchema, *, test: bool = True) -> Predictions:
        """Return the predictions of a run for the rows of a schema; without `test`, the out-of-fold ones alone.

        Raises:
            StudyError: they are missing, or lack rows of the schema, or have other folds.
        """
        # Predictions for all folds have more rows than a schema of a lower fidelity.
        oof = self._frame(run_id, _OOF, schema.oof_keys(), select=True)
        return Predictions(schema.predictions(oof), self.test_predictions(run_id, schema) if test else None)

    def test_predictions(self, run_id: str, schema: PredictionSchema) -> Array | None:
        """Return the test predictions of a run; None where the schema has no test rows.

        Raises:
            StudyError: they are missing, or have other rows than the schema.
        """
        if schema.test_ids is None:
            return None
        return schema.predictions(self._frame(run_id, _TEST, schema.test_keys()))

    def curves(self, run_id: str) -> dict[tuple[int, int], dict[str, list[float]]]:
        """Return the curve of each (repeat, fold) of a trial; empty if it has none.

        Raises:
            StudyError: they cannot be read.
        """
        if not self.has(run_id, _CURVES):
            return {}
        frame = pd.read_parquet(self.path(run_id, _CURVES))
        names = [name for name in frame.columns if name not in ("repeat", "fold")]
        curves: dict[tuple[int, int], dict[str, list[float]]] = {}
        for repeat, fold in frame[["repeat", "fold"]].drop_duplicates().to_numpy().tolist():
            own = frame[(frame["repeat"] == repeat) & (frame["fold"] == fold)]
            curves[repeat, fold] = {name: own[name].tolist() for name in names}
        return curves

    def _frame(self, run_id: str, name: str, keys: pd.DataFrame, *, select: bool = False) -> pd.DataFrame:
        """Return a table of predictions, whose rows must have `keys`; with `select`, it may have other rows as well."""
        frame = pd.read_parquet(self.path(run_id, name))
        if select and len(frame) > len(keys) and set(keys) <= set(frame):
            frame = keys.merge(frame, on=[*keys])
        if not all(np.array_equal(frame.get(key, []), keys[key]) for key in keys):
            raise StudyError(
                f"Study {self._study!r}: {name} of run {run_id} must hold this study's rows and folds. It holds others."
            )
        return frame
