"""MLflow's database in a home: made whole or not at all, and spoken to without telemetry or chatter."""

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

# MLflow would otherwise look up its makers' host, tell of every table it makes, and draw bars over ours.
_QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    # A model's requirements are ours to say; a lock file that lies in the current folder is none of its files.
    "MLFLOW_UV_AUTO_DETECT": "false",
}


def client(home: Home) -> MlflowClient:
    """Return MLflow's client for the home's database, which is made when it is not there.

    Raises:
        StudyError: the database cannot be read, or the home has moved and the database cannot be written to.
    """
    # Said before MLflow takes its seconds to load.
    if home.database.exists():
        relocate.mend(home)
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    from mlflow import MlflowClient

    # What goes wrong with the database is raised; it need not be logged over ninety lines as well.
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
    if not home.database.exists():
        _make(home)
    place = url(home.database)
    return MlflowClient(tracking_uri=place, registry_uri=place)


def url(database: Path) -> str:
    """Return the address of a database; what would mean something else in one is escaped."""
    path = str(database)
    escaped = path.replace("%", "%25").replace("?", "%3F")
    # Of an address that begins in the usual way MLflow makes the folder, as it is written: escaped.
    return f"sqlite:///{path}" if escaped == path else f"sqlite+pysqlite:///{escaped}"


@contextmanager
def lock(home: Home) -> Iterator[None]:
    """Hold what only one process at a time may make; the system lets go when the process ends, however it ends."""
    import filelock

    with filelock.FileLock(home.path / "mlflow.lock"):
        yield


def _make(home: Home) -> None:
    """Make the database under another name first: one with half its tables could never be opened again."""
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    home.create()
    with lock(home):
        if home.database.exists():
            return
        with stage_file(home.database) as part:
            store = SqlAlchemyStore(url(part), home.artifacts.as_uri())
            store.engine.dispose()
