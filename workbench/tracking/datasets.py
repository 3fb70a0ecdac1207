"""A study's data as MLflow's datasets: source, digest, schema and size, without the rows."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.config import mask_secrets
from workbench.tracking.provenance import DataOrigin

if TYPE_CHECKING:
    from mlflow.entities import DatasetInput

# MLflow's type for each kind of column.
_TYPES = {
    "number": "double",
    "boolean": "boolean",
    "category": "string",
    "date": "datetime",
    "text": "string",
    "image": "string",
}
# MLflow's limits on names and schemas.
_MAX_NAME = 500
_MAX_SCHEMA = 1_000_000


def inputs(data: Sequence[DataOrigin]) -> list[DatasetInput]:
    """Return the datasets as inputs of a run, each with its context."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    found = []
    for each in data:
        source = _source(each.source)
        kind, location = source._get_source_type(), source.to_json()
        dataset = Dataset(_name(each.source), each.digest, kind, location, _schema(each), _profile(each))
        found.append(DatasetInput(dataset, [InputTag("mlflow.data.context", each.context)]))
    return found


def _source(source: str) -> Any:
    """Return MLflow's class for a source: a file, or a library that gives data by name."""
    from mlflow.data.code_dataset_source import CodeDatasetSource
    from mlflow.data.sources import LocalArtifactDatasetSource

    masked = mask_secrets(source)
    if _is_library(source):
        return CodeDatasetSource({"mlflow.source.type": "LIBRARY", "mlflow.source.name": masked})
    return LocalArtifactDatasetSource(masked)


def _name(source: str) -> str:
    return mask_secrets(source if _is_library(source) else PurePath(source).name)[:_MAX_NAME]


def _is_library(source: str) -> bool:
    return source.partition(":")[0] in ("sklearn", "openml", "kaggle")


def _schema(data: DataOrigin) -> str | None:
    """Return the columns, or the shape, in MLflow's JSON; None if there are too many columns."""
    from mlflow.types import ColSpec, Schema, TensorSpec

    if data.shape:
        kind, schema = "mlflow_tensorspec", Schema([TensorSpec(np.dtype("float32"), (-1, *data.shape))])
    else:
        kind = "mlflow_colspec"
        schema = Schema([ColSpec(_TYPES[kind], name, required=False) for name, kind in data.columns.items()])
    text = json.dumps({kind: schema.to_dict()})
    return text if len(text) < _MAX_SCHEMA else None


def _profile(data: DataOrigin) -> str:
    elements = math.prod(data.shape) if data.shape else len(data.columns)
    return json.dumps({"num_rows": data.rows, "num_elements": data.rows * elements})
