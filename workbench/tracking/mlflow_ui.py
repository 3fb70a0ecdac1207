"""MLflow's own pages over a home, each study at the link that shows its trials, best first."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from workbench import servers
from workbench.home import Home
from workbench.tracking import home_index, mlflow_store, relocate, run_view

_QUIET = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}


@contextmanager
def serve(home: Home, port: int) -> Iterator[servers.Server]:
    """Run MLflow's server while the context lasts.

    One worker and no job runner: that starts in seconds and needs a fifth of the memory of MLflow's own command.

    Args:
        home: whose studies to show.
        port: the port to listen on, which must be free.

    Raises:
        StudyError: there is nothing to show, or it cannot be read.
    """
    home_index.studies(home)
    relocate.mend(home)
    words = ["server", "--host", servers.HOST, "--port", str(port), "--workers", "1"]
    stores = [
        "--backend-store-uri",
        mlflow_store.url(home.database),
        "--default-artifact-root",
        home.artifacts.as_uri(),
    ]
    with servers.start("MLflow", "mlflow", *words, *stores, port=port, environment=_QUIET) as server:
        yield server


def pages(home: Home, server: servers.Server) -> dict[str, str]:
    """Return the link of each study, the one that was written to last first."""
    found = home_index.studies(home).items()
    return {study: f"{server.address}/{run_view.of_study(experiment)}" for study, experiment in found}
