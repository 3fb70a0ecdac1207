"""Provenance: a study's file, the commit that the file lies in, and its data, without secrets."""

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

# Seconds for one git command; a repository that takes longer is described without its answer.
_TIMEOUT = 2.0
# The libraries on which a trial's numbers may depend.
_LIBRARIES = (
    *("catboost", "keras", "keras-tuner", "lightgbm", "mlflow", "numpy", "optuna", "pandas", "scikit-learn", "scipy"),
    *("skops", "skrub", "tensorflow", "tensorflow-cpu", "xgboost", "xgboost-cpu"),
)


@dataclass(frozen=True)
class DataOrigin:
    """A source of rows that a study trains on or predicts."""

    source: str
    """The source as the study file names it: a path, or KIND:NAME."""
    digest: str
    """A digest of the rows; any difference between rows changes it."""
    context: Literal["training", "testing"]
    rows: int
    columns: Mapping[str, str] = field(default_factory=dict)
    """The kind of each column of a table."""
    shape: tuple[int, ...] = ()
    """For arrays, the shape of one row."""


@dataclass(frozen=True)
class Provenance:
    """The provenance of a study."""

    text: str = ""
    """The study file, with masked secrets."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """Under MLflow's names: the study file, the user, and the commit of the file's repository."""
    data: tuple[DataOrigin, ...] = ()


def read_provenance(file: Path, data: tuple[DataOrigin, ...]) -> Provenance:
    """Return the provenance of the study that `file` describes; without git or a repository it has no commit."""
    root, commit = _git_tags(file.resolve().parent)
    inside = root is not None and file.resolve().is_relative_to(root)
    source = (file.resolve().relative_to(root) if root and inside else file).as_posix()
    tags = {"mlflow.source.name": source, "mlflow.source.type": "LOCAL", **_user_tag(), **commit}
    return Provenance(mask_secrets(file.read_text(encoding="utf-8-sig")), tags, data)


def versions() -> dict[str, str]:
    """Return the versions of Python, workbench and the installed libraries."""
    found = {"python": platform.python_version(), "workbench": workbench.__version__}
    for name in _LIBRARIES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def _git_tags(folder: Path) -> tuple[Path | None, dict[str, str]]:
    """Return the root of the repository that `folder` is in, and MLflow's tags for its commit."""
    git = partial(_git, folder)
    answer = (git("rev-parse", "--show-toplevel", "HEAD", "--abbrev-ref", "HEAD") or "").splitlines()
    if len(answer) != 3:
        return None, {}
    # Untracked files are not listed: that would walk through the whole folder.
    changes = git("status", "--porcelain", "--untracked-files=no")
    remote = git("config", "--get", "remote.origin.url")
    found = {"commit": answer[1], "repoURL": remote and _strip_credentials(remote)}
    found["branch"] = None if answer[2] == "HEAD" else answer[2]
    found["dirty"] = None if changes is None else str(bool(changes)).lower()
    return Path(answer[0]), {f"mlflow.source.git.{key}": value for key, value in found.items() if value}


def _git(folder: Path, *arguments: str) -> str | None:
    """Return git's output; None without git, without a repository, or after the timeout."""
    # Git must write nothing, and start no program that the repository's own settings name.
    command = ["git", "--no-optional-locks", "-c", "core.fsmonitor=false", "-C", str(folder), *arguments]
    # Within a git hook, git's variables name another repository.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=_TIMEOUT, check=True)
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _strip_credentials(remote: str) -> str:
    """Return a remote's URL without user and password; `git@host:path` holds none."""
    parts = urlsplit(remote)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment=""))


def _user_tag() -> dict[str, str]:
    try:
        return {"mlflow.user": getpass.getuser()}
    except (KeyError, OSError):
        # A container may run as a user without a name.
        return {}
