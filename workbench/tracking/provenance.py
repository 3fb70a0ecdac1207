"""Where a study comes from: its file, the commit that the file lies in, and the data, told so that no secret is."""

from __future__ import annotations

import contextlib
import getpass
import os
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit, urlunsplit

import workbench
from workbench.config import mask_secrets

# Seconds for a question to git; of a repository too large to answer by then less is told.
_PATIENCE = 2.0
# What a trial's numbers may hang on.
_LIBRARIES = (
    *("catboost", "keras", "keras-tuner", "lightgbm", "mlflow", "numpy", "optuna", "pandas", "scikit-learn", "scipy"),
    *("skops", "skrub", "tensorflow", "tensorflow-cpu", "xgboost", "xgboost-cpu"),
)


@dataclass(frozen=True)
class DataOrigin:
    """Rows that a study learns from, or predicts."""

    source: str
    """As the study file names it: a path, or KIND:NAME."""
    digest: str
    """Of what is in them; rows that differ anywhere have another."""
    context: Literal["training", "testing"]
    rows: int
    columns: Mapping[str, str] = field(default_factory=dict)
    """What each column of a table is."""
    shape: tuple[int, ...] = ()
    """Of arrays, the shape of one row."""


@dataclass(frozen=True)
class Provenance:
    """Where a study comes from."""

    text: str = ""
    """The study file, what looks like a secret masked."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """Under MLflow's names: the study file, who runs it, and the commit of the repository that it lies in."""
    data: tuple[DataOrigin, ...] = ()


def read_provenance(file: Path, data: tuple[DataOrigin, ...]) -> Provenance:
    """Return the origin of the study that `file` describes; without git, or a repository, it tells of neither."""
    name, commit = _commit(file.resolve().parent)
    inside = name is not None and file.resolve().is_relative_to(name)
    source = (file.resolve().relative_to(name) if name and inside else file).as_posix()
    tags = {"mlflow.source.name": source, "mlflow.source.type": "LOCAL", **_user(), **commit}
    return Provenance(mask_secrets(file.read_text(encoding="utf-8-sig")), tags, data)


def versions() -> dict[str, str]:
    """Return the versions of Python, workbench and the libraries that are installed."""
    found = {"python": platform.python_version(), "workbench": workbench.__version__}
    for name in _LIBRARIES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def _commit(folder: Path) -> tuple[Path | None, dict[str, str]]:
    """Return the root of the repository that `folder` is in, and MLflow's tags for where it stands."""
    ask = partial(_git, folder)
    known = (ask("rev-parse", "--show-toplevel", "HEAD", "--abbrev-ref", "HEAD") or "").splitlines()
    if len(known) != 3:
        return None, {}
    # What is not tracked is not looked at: that would take a walk over all there is.
    changes = ask("status", "--porcelain", "--untracked-files=no")
    remote = ask("config", "--get", "remote.origin.url")
    found = {"commit": known[1], "repoURL": remote and _bare(remote)}
    found["branch"] = None if known[2] == "HEAD" else known[2]
    found["dirty"] = None if changes is None else str(bool(changes)).lower()
    return Path(known[0]), {f"mlflow.source.git.{key}": value for key, value in found.items() if value}


def _git(folder: Path, *words: str) -> str | None:
    """Return what git answers; None where there is no git, no repository, or no answer in time."""
    # A question must write nothing, and start nothing that a repository's own settings name.
    command = ["git", "--no-optional-locks", "-c", "core.fsmonitor=false", "-C", str(folder), *words]
    # In a hook of git's, its variables name another repository.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=_PATIENCE, check=True)
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _bare(remote: str) -> str:
    """Return a remote's address without who logs in; `git@host:path` names nobody."""
    parts = urlsplit(remote)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment=""))


def _user() -> dict[str, str]:
    try:
        return {"mlflow.user": getpass.getuser()}
    except (KeyError, OSError):
        # A container may run as a user that has no name.
        return {}
