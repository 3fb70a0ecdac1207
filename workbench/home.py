"""Where everything that must last lies: one folder, its files, and the lock of a study."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from workbench.errors import StudyError


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
        return self.path / "studies" / study / "trials" / f"{family.replace('/', '_')}-{number}"

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


def find(folder: str | os.PathLike[str] | None = None) -> Home:
    """Return the home: `folder`, else the environment's WORKBENCH_HOME, else `mlruns` here."""
    return Home(Path(folder or os.environ.get("WORKBENCH_HOME") or "mlruns").resolve())
