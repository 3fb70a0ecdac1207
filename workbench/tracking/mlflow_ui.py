"""MLflow's pages over a home; each study has a link that shows its trials, best first."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from workbench import servers
from workbench.home import Home
from workbench.tracking import home_index, mlflow_store, relocate, run_view

_ENVIRONMENT = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}


@contextmanager
def serve(home: Home, port: int) -> Iterator[servers.Server]:
    """Run MLflow's server while the context lasts.

    With one worker and no job runner it starts in seconds and needs a fifth of the memory of MLflow's own command.

    Args:
        home: the home whose studies are shown.
        port: the port to listen on, which must be free.

    Raises:
        StudyError: the home has no study, or cannot be read.
    """
    home_index.studies(home)
    relocate.update_paths(home)
    command = ["server", "--host", servers.HOST, "--port", str(port), "--workers", "1"]
    stores = [
        "--backend-store-uri",
        mlflow_store.url(home.database),
        "--default-artifact-root",
        home.artifacts.as_uri(),
    ]
    with servers.start("MLflow", "mlflow", *command, *stores, port=port, environment=_ENVIRONMENT) as server:
        yield server


def pages(home: Home, server: servers.Server) -> dict[str, str]:
    """Return the link of each study, the one that was written to last first."""
    studies = home_index.studies(home).items()
    return {study: f"{server.address}/{run_view.study_page(experiment)}" for study, experiment in studies}
