"""Where everything that must last lies: one folder, its files, and the lock of a study."""

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

# A trial's predictions and the books that hold them take some megabytes; with fewer bytes none is begun.
_LEAST_FREE = 100_000_000
# With fewer bytes than this a disk is full.
_FULL = 1_000_000


@dataclass(frozen=True)
class Home:
    """The folder of all studies: MLflow's store, Optuna's journal, and the folds of trials under way."""

    path: Path

    @property
    def database(self) -> Path:
        """MLflow's SQLite store."""
        return self.path / "mlflow.db"

    @property
    def artifacts(self) -> Path:
        """MLflow's artifacts, a folder per experiment."""
        return self.path / "artifacts"

    @property
    def journal(self) -> Path:
        """Optuna's storage, the truth about trials."""
        return self.path / "optuna.journal"

    def facts(self, study: str) -> Path:
        """The file that says what a study was begun with: data, target, metric, fold hash."""
        return self.path / "studies" / study / "study.json"

    def folds(self, study: str) -> Path:
        """The file of a study's folds, written once."""
        return self.path / "studies" / study / "folds.parquet"

    def trial(self, study: str, family: str, number: int) -> Path:
        """The folder of a trial's finished folds, until MLflow has them."""
        return self.trials(study) / folder_name(family, number)

    def trials(self, study: str) -> Path:
        """The folder of the trials under way."""
        return self.path / "studies" / study / "trials"

    def weights(self, study: str) -> Path:
        """The folder of the weights of a study's best trials."""
        return self.path / "studies" / study / "weights"

    def weights_of(self, study: str, family: str, number: int) -> Path:
        """The folder of a trial's weights: `REPEAT-FOLD` for each fold model."""
        return self.weights(study) / folder_name(family, number)

    @property
    def cache(self) -> Path:
        """What was made of the data once: decoded images, large arrays."""
        return self.path / "cache"

    def create(self) -> None:
        """Make the folder.

        Raises:
            StudyError: it cannot be made or written to.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StudyError(f"{self.path}: the home cannot be made ({error.strerror}). Choose --home.") from error
        if not os.access(self.path, os.W_OK):
            raise StudyError(f"{self.path}: the home cannot be written to. Choose another with --home.")

    def full(self, most: float | None = None) -> bool:
        """Tell whether there is no room for more: the disk has none, or the home takes `most` gigabytes already."""
        if shutil.disk_usage(self.path).free < _LEAST_FREE:
            return True
        return most is not None and self.size() >= most * GIGABYTE

    def size(self) -> int:
        """Return how many bytes the home's files take."""
        return sum(file.stat().st_size for file in self.path.rglob("*") if file.is_file())

    @contextmanager
    def room(self) -> Iterator[None]:
        """Say in one line what goes wrong inside because the home cannot be written to any more.

        Raises:
            StudyError: the disk is full, or has become read-only.
        """
        try:
            yield
        except Exception as error:
            # Libraries have their own errors for a disk that is full; that it is full is what they have in common.
            if shutil.disk_usage(self.path).free < _FULL:
                trouble, remedy = "the disk is full", "Make room"
            elif isinstance(error, OSError) and error.errno in (errno.EROFS, errno.EACCES, errno.EDQUOT):
                trouble, remedy = f"cannot be written to ({error.strerror})", "Mend that"
            else:
                raise
            raise StudyError(
                f"{self.path}: {trouble}. {remedy} and give the same command again: what was finished is kept."
            ) from error

    @contextmanager
    def lock(self, study: str) -> Iterator[None]:
        """Hold a study for this process; the system lets go when the process ends, however it ends.

        Raises:
            StudyError: another process holds it.
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
    """Return what a trial's folders are called; what no folder's name may hold gives way to a number of its own."""
    plain = re.sub(r"[^\w.-]", "_", family)
    mark = "" if plain == family else f"-{zlib.crc32(family.encode()):08x}"
    return f"{plain}{mark}-{number}"


def trial_name(family: str, number: int) -> str:
    """Return a trial's name as people read it."""
    return f"{family} #{number}"


def find(folder: str | os.PathLike[str] | None = None) -> Home:
    """Return the home: `folder`, else the environment's WORKBENCH_HOME, else `mlruns` here."""
    return Home(Path(folder or os.environ.get("WORKBENCH_HOME") or "mlruns").resolve())
