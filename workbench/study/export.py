"""A bundle -> models of MLflow's: the ensemble and its members, each with all that it takes to serve it elsewhere."""

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
from workbench import models
from workbench.data import Dataset
from workbench.ensemble import EnsembleResult
from workbench.errors import ConfigError, StudyError
from workbench.inference import predictor
from workbench.inference.predictor import Predictor
from workbench.study.study_store import StudyStore
from workbench.tracking.model_registry import NEWEST, ModelRegistry, PortableModel

# What a run's models may take together, in bytes; the ensemble's own is logged on request whatever its size.
MOST = 500_000_000
# What writing a model takes at least, in seconds, on a slow disk.
_SECONDS = 2.0
# What `workbench.inference.predictor` imports, whatever the members are; MLflow is what serves.
_ALWAYS = ("mlflow", "numpy", "pandas", "pyarrow", "pydantic", "scipy", "sklearn", "skops", "yaml")
_KERAS = ("keras", "tensorflow")
# Libraries that are installed under other names than they are imported by, the likelier name first.
_SOLD_AS = {
    "sklearn": ("scikit-learn",),
    "tensorflow": ("tensorflow-cpu", "tensorflow"),
    "xgboost": ("xgboost-cpu", "xgboost"),
    "yaml": ("pyyaml",),
}


class Export:
    """The models of one ensemble."""

    def __init__(self, archive: StudyStore, bundle: Predictor, ensemble: EnsembleResult) -> None:
        """Hold an ensemble with its models; nothing is written yet."""
        self._store, self._bundle, self._ensemble = archive, bundle, ensemble

    @cached_property
    def _logged(self) -> ModelRegistry:
        return ModelRegistry(self._store.home, self._store.config.name)

    def log(self, until: float | None = None, most: int | None = None) -> str | None:
        """Log the ensemble's model and its members', the heaviest first, in the place of those of earlier ensembles.

        Members are left out where `MOST` bytes do not hold them.

        Args:
            until: when to be done, in seconds of `time.monotonic`; what there is no time for is left out.
            most: bytes that the ensemble's model may take.

        Returns:
            The id of the ensemble's model; None where it was left out.
        """
        sizes = [member.size() for member in self._bundle.members]
        if (most is not None and sum(sizes) > most) or _late(until, _SECONDS):
            return None
        began = time.monotonic()
        ensemble, metric = self._ensemble, self._ensemble.metric
        found = [self._one(self._bundle, ensemble.run_id, "ensemble", {metric: ensemble.score})]
        took, left = time.monotonic() - began, MOST - sum(sizes)
        for place, (member, size) in enumerate(zip(ensemble.members, sizes, strict=True)):
            if size <= left and not _late(until, took):
                left -= size
                found.append(self._one(self._bundle.alone(place), member.run_id, "member", {metric: member.score}))
        self._logged.delete_except(found)
        return found[0]

    def copy(self, model_id: str, out: Path) -> None:
        """Write the folder of a logged model to `out` as well, which must be new or empty."""
        shutil.copytree(self._logged.folder(model_id), out, dirs_exist_ok=True)

    def document(self, model_id: str, out: Path | None, *, register: bool) -> dict[str, Any]:
        """Register the model if asked to, and say what was made, as the command line prints it."""
        name, run_id = self._store.config.name, self._ensemble.run_id
        version = self._logged.register(model_id, run_id) if register else None
        return {
            "model_uri": f"models:/{model_id}",
            "path": str(out or self._logged.folder(model_id)),
            "registered": None if version is None else {"name": name, "version": version, "alias": NEWEST},
            "run_id": run_id,
        }

    def _one(self, bundle: Predictor, run_id: str, kind: str, scores: Mapping[str, float]) -> str:
        """Log one model; return its id."""
        dataset = self._store.task.dataset
        made = PortableModel(
            script=Path(predictor.__file__).with_name("pyfunc.py"),
            package=Path(workbench.__file__).parent,
            write=bundle.write,
            requirements=requirements(bundle, self._store.config.resolve),
            example=_example(dataset),
            id_column=bundle.reader.id_column,
            optional=bundle.reader.optional,
            output=_answer(bundle, dataset),
        )
        # MLflow takes no dots, colons and strokes in the name of a model.
        name = "ensemble" if kind == "ensemble" else re.sub(r"\W", "_", bundle.members[0].family)
        with self._store.home.explain_disk_errors():
            return self._logged.log(made, run_id, name=name, kind=kind, scores=scores)


def check_out(out: Path | None) -> None:
    """Refuse a folder that there is something in.

    Raises:
        ConfigError: there is.
    """
    if out is not None and out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ConfigError(f"{out}: must be a new or an empty folder. Received: one with files in it. Name another.")


def requirements(bundle: Predictor, resolve: Callable[[str], Path] = Path) -> list[str]:
    """Return what must be installed to serve a bundle, at the versions that are installed here.

    Args:
        bundle: what is to be served.
        resolve: finds the files of families of the user's own, as `StudyConfig.resolve` does.
    """
    dates = "date" in bundle.reader.kinds.values()
    wanted = {*_ALWAYS, *_libraries(bundle, resolve), *(("skrub",) if dates else ())}
    wanted |= {"pillow"} if bundle.reader.look is not None else set()
    return sorted(_pinned(library) for library in wanted)


def _pinned(library: str) -> str:
    """Return a library by the name and version under which it is installed."""
    from importlib import metadata

    for name in _SOLD_AS.get(library, (library,)):
        with contextlib.suppress(metadata.PackageNotFoundError):
            return f"{name}=={metadata.version(name)}"
    raise StudyError(f"{library} must be installed to export a model that needs it. It is not. Install it.")


def _libraries(bundle: Predictor, resolve: Callable[[str], Path]) -> Iterator[str]:
    for family in bundle.families:
        entry = models.FAMILIES.get(family) or models.entry(family, resolve)
        yield from (*(_KERAS if entry.keras else (entry.package,)), *entry.also)


def _example(dataset: Dataset) -> pd.DataFrame | np.ndarray:
    if isinstance(dataset.example, pd.DataFrame):
        return dataset.example
    return np.asarray(dataset.example)


def _answer(bundle: Predictor, dataset: Dataset) -> pd.DataFrame:
    """Return predictions as they come out, without predicting: for their columns and types."""
    width = len(dataset.classes) if dataset.classes and len(dataset.classes) > 2 else 0
    width = sum(target.outputs for target in dataset.targets) or width
    ids = dataset.ids[:1] if bundle.reader.id_column else np.zeros(1, dtype=np.int64)
    return bundle.layout.fill(ids, np.zeros((1, width) if width else 1))


def _late(until: float | None, seconds: float) -> bool:
    return until is not None and time.monotonic() + seconds > until
