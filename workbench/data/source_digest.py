"""Digests that say whether a study's data sources are unchanged, without reading them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from workbench.config import StudyConfig
from workbench.data import image_folder, validation

# The sections of a study file that define rows, target, metric and folds.
_SECTIONS = {"data", "task", "targets", "metric", "folds"}


class SourceDigest(NamedTuple):
    """A digest of the keys of the study file that define the data, and one of the files that they name."""

    keys: str
    files: str


def digest_sources(config: StudyConfig) -> SourceDigest:
    """Return the digests of a study's data sources.

    Files are identified by path, size and modification time. A remote source is identified by its name alone.
    """
    # Pydantic warns of lists in fields that hold one name or several.
    keys = config.model_dump(mode="json", include=_SECTIONS, warnings="none")
    files = {str(path): [*_stats(path)] for path in _files(config)}
    return SourceDigest(_digest(keys), _digest(files))


def _files(config: StudyConfig) -> Iterator[Path]:
    """Yield the files and folders that the study file names as data, and the scripts of its metrics."""
    data = config.data
    local = not validation.source(config)[0]
    names = [*([data.train] if local else []), data.test, data.images, data.labels, data.sample_submission]
    yield from (config.resolve(name) for name in names if name is not None)
    for metric in (config.metric, *(target.metric for target in config.targets.values())):
        script, separator, _ = (metric or "").rpartition(".py:")
        if separator:
            yield config.resolve(f"{script}.py")


def _stats(path: Path) -> Iterator[tuple[str, int, int]]:
    """Yield name, size and modification time of a file, or of every file of a folder; nothing if there is none."""
    for file in image_folder.walk_files(path) if path.is_dir() else [path]:
        if file.exists():
            stat = file.stat()
            yield file.relative_to(path).as_posix(), stat.st_size, stat.st_mtime_ns


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
