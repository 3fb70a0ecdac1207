"""MLflow's database in a home: created whole or not at all, opened without telemetry and log output."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.files import stage_file
from workbench.home import Home
from workbench.tracking import relocate

if TYPE_CHECKING:
    from mlflow import MlflowClient

# Without these MLflow would contact its makers' host, log every table that it creates, and draw its own progress bars.
_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    # Workbench lists a model's requirements itself; a lock file in the current folder is not part of the model.
    "MLFLOW_UV_AUTO_DETECT": "false",
}


def client(home: Home) -> MlflowClient:
    """Return MLflow's client for the home's database; a missing database is created.

    Raises:
        StudyError: the database cannot be read, or the home has moved and the database cannot be written to.
    """
    # Errors of the database come before MLflow loads, which takes seconds.
    if home.database.exists():
        relocate.update_paths(home)
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    from mlflow import MlflowClient

    # Errors of the database are raised; MLflow would also log each over ninety lines.
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
    if not home.database.exists():
        _create(home)
    address = url(home.database)
    return MlflowClient(tracking_uri=address, registry_uri=address)


def url(database: Path) -> str:
    """Return the SQLAlchemy URL of a database, with the characters escaped that a URL gives a meaning."""
    path = str(database)
    escaped = path.replace("%", "%25").replace("?", "%3F")
    # For a URL that begins with `sqlite:` MLflow creates the folder under its escaped name.
    return f"sqlite:///{path}" if escaped == path else f"sqlite+pysqlite:///{escaped}"


@contextmanager
def lock(home: Home) -> Iterator[None]:
    """Hold the lock for what only one process may create; the system releases it when the process ends."""
    import filelock

    with filelock.FileLock(home.path / "mlflow.lock"):
        yield


def _create(home: Home) -> None:
    """Create the database under another name first: one with half of its tables could never be opened again."""
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    home.create()
    with lock(home):
        if home.database.exists():
            return
        with stage_file(home.database) as part:
            store = SqlAlchemyStore(url(part), home.artifacts.as_uri())
            store.engine.dispose()
