"""Ensembles and members as MLflow models: logged with their runs, registered under the study's name, deleted.

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
from workbench.tracking import mlflow_store, run_metrics
from workbench.tracking.tracker import Tracker

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel
    from mlflow.models import ModelSignature
    from mlflow.pyfunc import PythonModel

NEWEST = "newest"
"""The alias of the newest version."""
_TAG = "workbench.model"
# The folder that the script reads, beside the script in a saved model.
_FOLDER = "bundle"

ModelInput = pd.DataFrame | np.ndarray


@dataclass(frozen=True)
class PortableModel:
    """The parts of a model that MLflow can save."""

    script: Path
    """The script that MLflow runs to load the model; it calls `set_pyfunc_model`."""
    package: Path
    """The package that the script imports; it is saved with the model."""
    write: Callable[[Path], None]
    """Writes the files that the script reads into a new folder."""
    requirements: Sequence[str]
    """The requirements for serving it, in pip's format."""
    example: ModelInput
    """A few rows to predict, in their raw form."""
    id_column: str | None
    """The id column; rows may come without it."""
    optional: Collection[str]
    """The features that rows may come without."""
    output: pd.DataFrame
    """A frame with the columns and types of the predictions; the values do not matter."""


def set_pyfunc_model(folder: Path, read: Callable[[Path], Callable[[ModelInput], pd.DataFrame]]) -> PythonModel:
    """Set the model of the calling script, which MLflow runs, and return it.

    Args:
        folder: the script's folder.
        read: returns the prediction function from the folder that `PortableModel.write` wrote.
    """
    from mlflow.exceptions import INVALID_PARAMETER_VALUE, MlflowException
    from mlflow.models import set_model
    from mlflow.pyfunc import PythonModel

    class WorkbenchModel(PythonModel):  # type: ignore[misc]  # MLflow's types are not checked
        """A model that MLflow can serve."""

        def load_context(self, context: Any) -> None:
            """Load the prediction function."""
            self._predict, self._lock = read(folder / _FOLDER), threading.Lock()

        def predict(self, context: Any, model_input: pd.DataFrame, params: Any = None) -> pd.DataFrame:
            """Return predictions; an error in the rows is reported as the caller's."""
            try:
                # The server uses several threads, and not every library can predict in several.
                with self._lock:
                    return self._predict(model_input)
            except WorkbenchError as error:
                raise MlflowException(str(error), INVALID_PARAMETER_VALUE) from error

    model = WorkbenchModel()
    set_model(model)
    return model


class ModelRegistry:
    """The models of one study."""

    def __init__(self, home: Home, study: str) -> None:
        """Name the study; nothing is created."""
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
            model: its parts.
            run_id: the run that it belongs to.
            name: its name.
            kind: `ensemble` or `member`.
            scores: its scores, by metric.
        """
        from mlflow.entities import LoggedModelOutput, Metric

        tags = {_TAG: kind, "workbench.study": self._study}
        logged = self._client.create_logged_model(self._experiment, name, run_id, tags, model_type="pyfunc")
        try:
            _save(model, logged)
            self._client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=0)])
            # With the run's start as their time these metrics are the run's own points.
            time = self._client.get_run(run_id).info.start_time
            metrics = [
                Metric(run_metrics.metric_name(key), value, time, 0, model_id=logged.model_id, run_id=run_id)
                for key, value in scores.items()
            ]
            self._client.log_batch(run_id, metrics)
        except BaseException:
            self._client.finalize_logged_model(logged.model_id, "FAILED")
            raise
        self._client.finalize_logged_model(logged.model_id, "READY")
        return str(logged.model_id)

    def folder(self, model_id: str) -> Path:
        """Return the folder of a model, which can be copied and served anywhere."""
        return _folder(self._client.get_logged_model(model_id))

    def register(self, model_id: str, run_id: str) -> int:
        """Register a model as the newest version under the study's name; return the version."""
        from mlflow.exceptions import MlflowException

        try:
            self._client.create_registered_model(self._study)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        # The source is a location, because MLflow looks up an id in the process's default store.
        location = self._client.get_logged_model(model_id).artifact_location
        version = self._client.create_model_version(self._study, location, run_id, model_id=model_id)
        self._client.set_registered_model_alias(self._study, NEWEST, version.version)
        return int(version.version)

    def delete_except(self, kept: Collection[str] = ()) -> None:
        """Delete the study's models and their files, except those with the ids in `kept` and registered ones."""
        where = f"tags.`{_TAG}` IN ('ensemble', 'member')"
        # A version names its model by location, or by id if it was registered on MLflow's pages.
        registered = {version.source for version in self._client.search_model_versions()}
        for model in self._client.search_logged_models([self._experiment], where, max_results=1000):
            names = {model.artifact_location, f"models:/{model.model_id}"}
            if names & registered or model.model_id in kept:
                continue
            folder = _folder(model)
            self._client.delete_logged_model(model.model_id)
            if self._home.artifacts in folder.parents:
                shutil.rmtree(folder.parent, ignore_errors=True)


def _folder(model: LoggedModel) -> Path:
    from mlflow.utils.file_utils import local_file_uri_to_path

    return Path(local_file_uri_to_path(model.artifact_location))


def _save(model: PortableModel, logged: LoggedModel) -> None:
    """Write a model in MLflow's format to its location."""
    folder = _folder(logged)
    ids = {"run_id": logged.source_run_id, "model_id": logged.model_id, "model_uuid": logged.model_id}
    with warnings.catch_warnings():
        # MLflow warns about its own type hints on import; pandas warns about how MLflow compares columns.
        warnings.simplefilter("ignore")
        from mlflow.models import Model
        from mlflow.pyfunc import save_model

        mlflow_model = Model(artifact_path=logged.artifact_location, **ids)
        save_model(
            folder,
            python_model=str(model.script),
            code_paths=[str(model.package)],
            pip_requirements=list(model.requirements),
            signature=_signature(model),
            input_example=_input_example(model),
            mlflow_model=mlflow_model,
        )
    model.write(folder / _FOLDER)
    # The script's path on this machine is useless on another; MLflow needs only its name.
    mlflow_model.flavors["python_function"]["model_code_path"] = model.script.name
    mlflow_model.model_size_bytes = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    mlflow_model.save(str(folder / "MLmodel"))


def _signature(model: PortableModel) -> ModelSignature:
    """Return the signature: the columns of a table, the shape of images and sequences."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema, TensorSpec

    outputs = Schema([ColSpec(_type(values), str(name)) for name, values in model.output.items()])
    example = _input_example(model)
    if isinstance(example, np.ndarray):
        return ModelSignature(Schema([TensorSpec(example.dtype, (-1, *example.shape[1:]))]), outputs)
    optional = {model.id_column, *model.optional}
    columns = [ColSpec(_type(values), str(name), required=name not in optional) for name, values in example.items()]
    return ModelSignature(Schema(columns), outputs)


def _input_example(model: PortableModel) -> ModelInput:
    """Return the example as a client sends it: ids unchanged, numbers as floats (integers may be missing), text."""
    if isinstance(model.example, np.ndarray):
        return model.example

    def convert(name: str, values: pd.Series[Any]) -> pd.Series[Any]:
        is_number = pd.api.types.is_numeric_dtype(values.dtype) and not pd.api.types.is_bool_dtype(values.dtype)
        if is_number:
            return values if name == model.id_column else values.astype("float64")
        return values.astype(object).map(str, na_action="ignore").where(values.notna(), None)

    return pd.DataFrame({str(name): convert(str(name), values) for name, values in model.example.items()})


def _type(values: pd.Series[Any]) -> str:
    """Return MLflow's type of a column."""
    if pd.api.types.is_bool_dtype(values.dtype):
        return "boolean"
    if pd.api.types.is_integer_dtype(values.dtype):
        return "long"
    return "double" if pd.api.types.is_float_dtype(values.dtype) else "string"
