"""The home: the folder that holds all studies, with the paths of its files and the lock of a study."""

from __future__ import annotations

import errno
import os
import re
import shutil
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from workbench.errors import StudyError

GIGABYTE = 1_000_000_000

# The default name of the folder.
_NAME = "mlruns"

# Bytes that must be free before a trial starts: its predictions, the journal and MLflow's rows take some megabytes.
_FREE_FOR_TRIAL = 100_000_000
# With fewer free bytes than this a disk counts as full.
_FREE_ON_FULL_DISK = 1_000_000


@dataclass(frozen=True)
class Home:
    """The folder of all studies: MLflow's store, Optuna's journal, and the finished folds of running trials."""

    path: Path

    @property
    def database(self) -> Path:
        """MLflow's SQLite database."""
        return self.path / "mlflow.db"

    @property
    def artifacts(self) -> Path:
        """The folder of MLflow's artifacts, with one folder per experiment."""
        return self.path / "artifacts"

    @property
    def journal(self) -> Path:
        """The file of Optuna's storage, which is authoritative for trials."""
        return self.path / "optuna.journal"

    def fingerprint(self, study: str) -> Path:
        """Return the file that records the data, target, metric and fold hash that a study started with."""
        return self.path / "studies" / study / "study.json"

    def folds(self, study: str) -> Path:
        """Return the file of a study's folds, which is written once."""
        return self.path / "studies" / study / "folds.parquet"

    def trial(self, study: str, family: str, number: int) -> Path:
        """Return the folder of a trial's finished folds; they stay there until they are in MLflow."""
        return self.trials(study) / folder_name(family, number)

    def trials(self, study: str) -> Path:
        """Return the folder of the running trials."""
        return self.path / "studies" / study / "trials"

    def checkpoints(self, study: str) -> Path:
        """Return the folder of the checkpoints of a study's best trials."""
        return self.path / "studies" / study / "weights"

    def trial_checkpoints(self, study: str, family: str, number: int) -> Path:
        """Return the folder of a trial's checkpoints, with a folder `REPEAT-FOLD` for each fold model."""
        return self.checkpoints(study) / folder_name(family, number)

    @property
    def cache(self) -> Path:
        """The folder of what is derived from the data once: decoded images, large arrays."""
        return self.path / "cache"

    def exists(self) -> bool:
        """Return whether the folder is a home: it holds a study, trials or MLflow's store."""
        return any(path.exists() for path in (self.path / "studies", self.journal, self.database))

    def create(self) -> None:
        """Make the folder.

        Raises:
            StudyError: the folder cannot be made or written to.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StudyError(f"{self.path}: the home cannot be made ({error.strerror}). Choose --home.") from error
        if not os.access(self.path, os.W_OK):
            raise StudyError(f"{self.path}: the home cannot be written to. Choose another with --home.")

    def is_full(self, most: float | None = None) -> bool:
        """Return whether another trial has no room: the disk is nearly full, or the home takes `most` gigabytes."""
        if shutil.disk_usage(self.path).free < _FREE_FOR_TRIAL:
            return True
        return most is not None and self.size() >= most * GIGABYTE

    def size(self) -> int:
        """Return how many bytes the home's files take."""
        return sum(file.stat().st_size for file in self.path.rglob("*") if file.is_file())

    @contextmanager
    def explain_disk_errors(self) -> Iterator[None]:
        """Turn an exception that the disk causes inside the block into one line that says so.

        Raises:
            StudyError: the disk is full or read-only.
        """
        try:
            yield
        except Exception as error:
            # Libraries raise their own exceptions on a full disk, so the free space is checked instead of the type.
            if shutil.disk_usage(self.path).free < _FREE_ON_FULL_DISK:
                cause, remedy = "the disk is full", "Make room"
            elif isinstance(error, OSError) and error.errno in (errno.EROFS, errno.EACCES, errno.EDQUOT):
                cause, remedy = f"cannot be written to ({error.strerror})", "Mend that"
            else:
                raise
            raise StudyError(
                f"{self.path}: {cause}. {remedy} and give the same command again: what was finished is kept."
            ) from error

    @contextmanager
    def lock(self, study: str) -> Iterator[None]:
        """Hold the lock of a study; the operating system releases it when the process ends, even by a kill.

        Raises:
            StudyError: another process holds the lock.
        """
        import filelock

        path = self.path / "studies" / study / "lock"
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with filelock.FileLock(path, timeout=0):
                yield
        except filelock.Timeout as error:
            raise StudyError(
                f"Study {study!r} is being run by another process. Wait for it, or give this one another name."
            ) from error


def folder_name(family: str, number: int) -> str:
    """Return the name of a trial's folders.

    Characters that a folder name must not have are replaced by `_`. A checksum of the family's name is then added, so
    that two families do not share a folder.
    """
    plain = re.sub(r"[^\w.-]", "_", family)
    checksum = "" if plain == family else f"-{zlib.crc32(family.encode()):08x}"
    return f"{plain}{checksum}-{number}"


def trial_name(family: str, number: int) -> str:
    """Return a trial's name as people read it.

    Examples:
        >>> trial_name("xgboost", 3)
        'xgboost #3'
    """
    return f"{family} #{number}"


def find(folder: str | os.PathLike[str] | None = None, study_file: str | os.PathLike[str] | None = None) -> Home:
    """Return the home.

    It is `folder`, else the environment variable WORKBENCH_HOME, else `mlruns` in the current folder. Where the current
    folder has no home, it is `mlruns` beside the study file if that is a home. A leading `~` is the user's folder.

    Args:
        folder: the folder of the home.
        study_file: the study file that a command was given.
    """
    named = folder or os.environ.get("WORKBENCH_HOME")
    if named:
        return _open(os.path.expanduser(named))
    here = _open(_NAME)
    beside = here if study_file is None else _open(Path(study_file).parent / _NAME)
    return beside if beside.exists() and not here.exists() else here


def _open(folder: str | os.PathLike[str]) -> Home:
    # A home has one path whichever link leads to it, since MLflow's database holds absolute paths.
    return Home(Path(folder).resolve())
