"""A study's data as MLflow's data sets: their source, digest, schema and size, but not their rows."""

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

# What the kinds of columns are to MLflow.
_TYPES = {
    "number": "double",
    "boolean": "boolean",
    "category": "string",
    "date": "datetime",
    "text": "string",
    "image": "string",
}
# MLflow takes no longer names and schemas.
_LONGEST_NAME = 500
_LONGEST_SCHEMA = 1_000_000


def inputs(data: Sequence[DataOrigin]) -> list[DatasetInput]:
    """Return the data sets as inputs of a run, each with its context."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    found = []
    for each in data:
        source = _source(each.source)
        kind, where = source._get_source_type(), source.to_json()
        described = Dataset(_name(each.source), each.digest, kind, where, _schema(each), _profile(each))
        found.append(DatasetInput(described, [InputTag("mlflow.data.context", each.context)]))
    return found


def _source(named: str) -> Any:
    """Return MLflow's word for where data are from: a file, or a library that gives them by name."""
    from mlflow.data.code_dataset_source import CodeDatasetSource
    from mlflow.data.sources import LocalArtifactDatasetSource

    shown = mask_secrets(named)
    if _by_name(named):
        return CodeDatasetSource({"mlflow.source.type": "LIBRARY", "mlflow.source.name": shown})
    return LocalArtifactDatasetSource(shown)


def _name(named: str) -> str:
    return mask_secrets(named if _by_name(named) else PurePath(named).name)[:_LONGEST_NAME]


def _by_name(named: str) -> bool:
    return named.partition(":")[0] in ("sklearn", "openml", "kaggle")


def _schema(data: DataOrigin) -> str | None:
    """Return the columns, or the shape, as MLflow writes them; nothing where there are too many."""
    from mlflow.types import ColSpec, Schema, TensorSpec

    if data.shape:
        kind, schema = "mlflow_tensorspec", Schema([TensorSpec(np.dtype("float32"), (-1, *data.shape))])
    else:
        kind = "mlflow_colspec"
        schema = Schema([ColSpec(_TYPES[kind], name, required=False) for name, kind in data.columns.items()])
    text = json.dumps({kind: schema.to_dict()})
    return text if len(text) < _LONGEST_SCHEMA else None


def _profile(data: DataOrigin) -> str:
    numbers = math.prod(data.shape) if data.shape else len(data.columns)
    return json.dumps({"num_rows": data.rows, "num_elements": data.rows * numbers})
