"""What predicts, as models of MLflow's: logged with the run that it is of, registered under the study's name, freed.

Nothing is pickled: a model is a script (models from code), the package that it imports, and a folder that it reads.
"""

from __future__ import annotations

import shutil
import threading
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from workbench.errors import WorkbenchError
from workbench.home import Home
from workbench.tracking import mlflow_store
from workbench.tracking.tracker import Tracker

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel
    from mlflow.models import ModelSignature
    from mlflow.pyfunc import PythonModel

NEWEST = "newest"
"""The alias of the version that was registered last."""
_TAG = "workbench.model"
# What the script reads, in the folder that MLflow copies the script to.
_FOLDER = "bundle"

Rows = pd.DataFrame | np.ndarray


@dataclass(frozen=True)
class PortableModel:
    """What a model is made of."""

    script: Path
    """What MLflow runs to load it; it calls `offer`."""
    package: Path
    """The package that the script imports, taken along."""
    write: Callable[[Path], None]
    """Writes what the script reads into a new folder."""
    requirements: Sequence[str]
    """What must be installed where it is served, as pip is told."""
    example: Rows
    """A few rows to predict, as they came."""
    id_column: str | None
    """The column that names rows; they may come without it."""
    optional: Collection[str]
    """The features that they may come without."""
    answer: pd.DataFrame
    """Predictions by their columns and types; the values do not matter."""


def offer_model(place: Path, read: Callable[[Path], Callable[[Rows], pd.DataFrame]]) -> PythonModel:
    """Give the MLflow that runs the calling script its model, and return that.

    Args:
        place: the script's folder.
        read: returns what predicts, from the folder that `PortableModel.write` wrote.
    """
    from mlflow.exceptions import INVALID_PARAMETER_VALUE, MlflowException
    from mlflow.models import set_model
    from mlflow.pyfunc import PythonModel

    class Offered(PythonModel):  # type: ignore[misc]  # MLflow's types are not looked at
        """A model that MLflow can serve."""

        def load_context(self, context: Any) -> None:
            """Load what predicts."""
            self._predict, self._lock = read(place / _FOLDER), threading.Lock()

        def predict(self, context: Any, model_input: pd.DataFrame, params: Any = None) -> pd.DataFrame:
            """Return predictions; what is wrong with the rows is the caller's mistake."""
            try:
                # The server answers in several threads, and not every library predicts in several.
                with self._lock:
                    return self._predict(model_input)
            except WorkbenchError as error:
                raise MlflowException(str(error), INVALID_PARAMETER_VALUE) from error

    model = Offered()
    set_model(model)
    return model


class ModelRegistry:
    """The models of one study."""

    def __init__(self, home: Home, study: str) -> None:
        """Look into the home; nothing is made."""
        self._home, self._study = home, study

    @cached_property
    def _client(self) -> MlflowClient:
        return mlflow_store.client(self._home)

    @cached_property
    def _experiment(self) -> str:
        return Tracker(self._home, self._study).experiment_id

    def log(self, model: PortableModel, run_id: str, *, name: str, kind: str, scores: Mapping[str, float]) -> str:
        """Log a model with its run; return its id.

        Args:
            model: what it is made of.
            run_id: the run that it is of.
            name: what it is called.
            kind: `ensemble` or `member`.
            scores: what it is worth, by metric.
        """
        from mlflow.entities import LoggedModelOutput, Metric

        tags = {_TAG: kind, "workbench.study": self._study}
        logged = self._client.create_logged_model(self._experiment, name, run_id, tags, model_type="pyfunc")
        try:
            _save(model, logged)
            self._client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=0)])
            # With the run's own time as their stamp these are the run's own points.
            stamp = self._client.get_run(run_id).info.start_time
            points = [
                Metric(key, value, stamp, 0, model_id=logged.model_id, run_id=run_id) for key, value in scores.items()
            ]
            self._client.log_batch(run_id, points)
        except BaseException:
            self._client.finalize_logged_model(logged.model_id, "FAILED")
            raise
        self._client.finalize_logged_model(logged.model_id, "READY")
        return str(logged.model_id)

    def folder(self, model_id: str) -> Path:
        """Return the folder of a model: it can be copied, and served anywhere."""
        return _folder(self._client.get_logged_model(model_id))

    def register(self, model_id: str, run_id: str) -> int:
        """Make a model the newest version of what is registered under the study's name; return the version."""
        from mlflow.exceptions import MlflowException

        try:
            self._client.create_registered_model(self._study)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        # Named by its place: by its id, MLflow would look for it in whatever store the process uses otherwise.
        place = self._client.get_logged_model(model_id).artifact_location
        version = self._client.create_model_version(self._study, place, run_id, model_id=model_id)
        self._client.set_registered_model_alias(self._study, NEWEST, version.version)
        return int(version.version)

    def free(self, but: Collection[str] = ()) -> None:
        """Delete the study's models, those named and those of registered versions excepted, and their files."""
        where = f"tags.`{_TAG}` IN ('ensemble', 'member')"
        # A version names its model by its place, or by its id where MLflow's pages registered it.
        registered = {version.source for version in self._client.search_model_versions()}
        for model in self._client.search_logged_models([self._experiment], where, max_results=1000):
            names = {model.artifact_location, f"models:/{model.model_id}"}
            if names & registered or model.model_id in but:
                continue
            place = _folder(model)
            self._client.delete_logged_model(model.model_id)
            if self._home.artifacts in place.parents:
                shutil.rmtree(place.parent, ignore_errors=True)


def _folder(model: LoggedModel) -> Path:
    from mlflow.utils.file_utils import local_file_uri_to_path

    return Path(local_file_uri_to_path(model.artifact_location))


def _save(model: PortableModel, logged: LoggedModel) -> None:
    """Write a model in MLflow's form to where it belongs."""
    place = _folder(logged)
    known = {"run_id": logged.source_run_id, "model_id": logged.model_id, "model_uuid": logged.model_id}
    with warnings.catch_warnings():
        # Imported, MLflow warns of type hints of its own; of how it compares columns, pandas warns.
        warnings.simplefilter("ignore")
        from mlflow.models import Model
        from mlflow.pyfunc import save_model

        made = Model(artifact_path=logged.artifact_location, **known)
        save_model(
            place,
            python_model=str(model.script),
            code_paths=[str(model.package)],
            pip_requirements=list(model.requirements),
            signature=_signature(model),
            input_example=_sent(model),
            mlflow_model=made,
        )
    model.write(place / _FOLDER)
    # Where the script lay on this machine says nothing on another; MLflow looks at its name only.
    made.flavors["python_function"]["model_code_path"] = model.script.name
    made.model_size_bytes = sum(file.stat().st_size for file in place.rglob("*") if file.is_file())
    made.save(str(place / "MLmodel"))


def _signature(model: PortableModel) -> ModelSignature:
    """Return what goes in and comes out: of a table the columns, of images and sequences their shape."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema, TensorSpec

    outputs = Schema([ColSpec(_type(values), str(name)) for name, values in model.answer.items()])
    sent = _sent(model)
    if isinstance(sent, np.ndarray):
        return ModelSignature(Schema([TensorSpec(sent.dtype, (-1, *sent.shape[1:]))]), outputs)
    spared = {model.id_column, *model.optional}
    columns = [ColSpec(_type(values), str(name), required=name not in spared) for name, values in sent.items()]
    return ModelSignature(Schema(columns), outputs)


def _sent(model: PortableModel) -> Rows:
    """Return the example as rows are sent: ids as they are, fractions (a whole number may be missing), and text."""
    if isinstance(model.example, np.ndarray):
        return model.example

    def plain(name: str, values: pd.Series[Any]) -> pd.Series[Any]:
        number = pd.api.types.is_numeric_dtype(values.dtype) and not pd.api.types.is_bool_dtype(values.dtype)
        if number:
            return values if name == model.id_column else values.astype("float64")
        return values.astype(object).map(str, na_action="ignore").where(values.notna(), None)

    return pd.DataFrame({str(name): plain(str(name), values) for name, values in model.example.items()})


def _type(values: pd.Series[Any]) -> str:
    """Return MLflow's type for what a column holds."""
    if pd.api.types.is_bool_dtype(values.dtype):
        return "boolean"
    if pd.api.types.is_integer_dtype(values.dtype):
        return "long"
    return "double" if pd.api.types.is_float_dtype(values.dtype) else "string"
