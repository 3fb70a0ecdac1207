"""A predictor -> MLflow models of the ensemble and its members, each complete enough to be served elsewhere."""

from __future__ import annotations

import contextlib
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import workbench
from workbench import files, inference, models
from workbench.data import Dataset
from workbench.ensemble import EnsembleResult
from workbench.errors import ConfigError, StudyError
from workbench.inference.predictor import Predictor
from workbench.study.study_store import StudyStore
from workbench.tracking.model_registry import NEWEST, ModelRegistry, PortableModel

# The bytes that a run's models may take together; on request the ensemble's own is logged whatever its size.
MOST = 500_000_000
# The seconds for writing a model to a slow disk, at least.
_SECONDS = 2.0
# The imports of `workbench.inference.predictor`, whatever the members are, and MLflow, which serves.
_ALWAYS = ("mlflow", "numpy", "pandas", "pyarrow", "pydantic", "scipy", "sklearn", "skops", "yaml")
_KERAS = ("keras", "tensorflow")
# Libraries whose distributions have other names, the likelier name first.
_DISTRIBUTIONS = {
    "sklearn": ("scikit-learn",),
    "tensorflow": ("tensorflow-cpu", "tensorflow"),
    "xgboost": ("xgboost-cpu", "xgboost"),
    "yaml": ("pyyaml",),
}


class Export:
    """The models of one ensemble."""

    def __init__(self, store: StudyStore, predictor: Predictor, ensemble: EnsembleResult) -> None:
        """Keep an ensemble with its models; nothing is written yet."""
        self._store, self._predictor, self._ensemble = store, predictor, ensemble

    @cached_property
    def _registry(self) -> ModelRegistry:
        return ModelRegistry(self._store.home, self._store.config.name)

    def log(self, until: float | None = None, most: int | None = None) -> str | None:
        """Log the ensemble's model and its members', heaviest first; they replace those of earlier ensembles.

        Members are left out where `MOST` bytes do not hold them.

        Args:
            until: the deadline in seconds of `time.monotonic`; models that there is no time for are left out.
            most: the bytes that the ensemble's model may take.

        Returns:
            The id of the ensemble's model; None where it was left out.
        """
        sizes = [member.size() for member in self._predictor.members]
        if (most is not None and sum(sizes) > most) or _is_late(until, _SECONDS):
            return None
        began = time.monotonic()
        ensemble, metric = self._ensemble, self._ensemble.metric
        found = [self._log_model(self._predictor, ensemble.run_id, "ensemble", {metric: ensemble.score})]
        took, left = time.monotonic() - began, MOST - sum(sizes)
        for place, (member, size) in enumerate(zip(ensemble.members, sizes, strict=True)):
            if size <= left and not _is_late(until, took):
                left -= size
                alone = self._predictor.select_member(place)
                found.append(self._log_model(alone, member.run_id, "member", {metric: member.score}))
        self._registry.delete_except(found)
        return found[0]

    def copy(self, model_id: str, out: Path) -> None:
        """Copy the folder of a logged model to `out`, which must be new or empty."""
        shutil.copytree(self._registry.folder(model_id), out, dirs_exist_ok=True)

    def document(self, model_id: str, out: Path | None, *, register: bool) -> dict[str, Any]:
        """Return the document that the command line prints; with `register`, register the model first."""
        name, run_id = self._store.config.name, self._ensemble.run_id
        version = self._registry.register(model_id, run_id) if register else None
        return {
            "model_uri": f"models:/{model_id}",
            "path": str(out or self._registry.folder(model_id)),
            "registered": None if version is None else {"name": name, "version": version, "alias": NEWEST},
            "run_id": run_id,
        }

    def _log_model(self, predictor: Predictor, run_id: str, kind: str, scores: Mapping[str, float]) -> str:
        """Log one model; return its id."""
        dataset = self._store.task.dataset
        made = PortableModel(
            script=Path(inference.__file__).with_name("pyfunc.py"),
            package=Path(workbench.__file__).parent,
            write=predictor.write,
            requirements=requirements(predictor, self._store.config.resolve),
            example=_example(dataset),
            id_column=predictor.reader.id_column,
            optional=predictor.reader.optional,
            output=_example_output(predictor, dataset),
        )
        # MLflow allows no dots, colons and slashes in the name of a model.
        name = "ensemble" if kind == "ensemble" else re.sub(r"\W", "_", predictor.members[0].family)
        with self._store.home.explain_disk_errors():
            return self._registry.log(made, run_id, name=name, kind=kind, scores=scores)


def check_out(out: Path | None) -> None:
    """Refuse a folder that is not empty.

    Raises:
        ConfigError: it is not empty.
    """
    if out is not None and out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ConfigError(f"{out}: must be a new or an empty folder. Received: one with files in it. Name another.")
    try:
        if out is not None:
            files.check_folder(out)
    except OSError as error:
        raise ConfigError(f"{out}: cannot be written to ({error.strerror}). Name another folder with -o.") from error


def requirements(predictor: Predictor, resolve: Callable[[str], Path] = Path) -> list[str]:
    """Return the requirements of serving a predictor, at the versions that are installed here.

    Args:
        predictor: the ensemble to serve.
        resolve: finds the files of user-defined families, as `StudyConfig.resolve` does.
    """
    dates = "date" in predictor.reader.kinds.values()
    wanted = {*_ALWAYS, *_libraries(predictor, resolve), *(("skrub",) if dates else ())}
    wanted |= {"pillow"} if predictor.reader.image_format is not None else set()
    return sorted(_pin(library) for library in wanted)


def _pin(library: str) -> str:
    """Return the requirement of a library by its distribution and installed version."""
    from importlib import metadata

    for name in _DISTRIBUTIONS.get(library, (library,)):
        with contextlib.suppress(metadata.PackageNotFoundError):
            return f"{name}=={metadata.version(name)}"
    raise StudyError(f"{library} must be installed to export a model that needs it. It is not. Install it.")


def _libraries(predictor: Predictor, resolve: Callable[[str], Path]) -> Iterator[str]:
    for family in predictor.families:
        entry = models.FAMILIES.get(family) or models.get_entry(family, resolve)
        yield from (*(_KERAS if entry.keras else (entry.library,)), *entry.other_libraries)


def _example(dataset: Dataset) -> pd.DataFrame | np.ndarray:
    if isinstance(dataset.example, pd.DataFrame):
        return dataset.example
    return np.asarray(dataset.example)


def _example_output(predictor: Predictor, dataset: Dataset) -> pd.DataFrame:
    """Return a table with the columns and types of predictions, without predicting."""
    width = len(dataset.classes) if dataset.classes and len(dataset.classes) > 2 else 0
    width = sum(target.outputs for target in dataset.targets) or width
    ids = dataset.ids[:1] if predictor.reader.id_column else np.zeros(1, dtype=np.int64)
    return predictor.layout.fill(ids, np.zeros((1, width) if width else 1))


def _is_late(until: float | None, seconds: float) -> bool:
    return until is not None and time.monotonic() + seconds > until
