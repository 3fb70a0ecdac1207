"""MLflow's own pages over a home, on 127.0.0.1 only."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager

from workbench.errors import StudyError
from workbench.home import Home
from workbench.tracking import moved, store, view

_HOST = "127.0.0.1"
_PATIENCE = 90.0


@contextmanager
def serve(home: Home, port: int) -> Iterator[str]:
    """Run MLflow's server while the context lasts; give the link that shows the newest study's trials, best first.

    One worker and no job runner: that starts in seconds and needs a fifth of the memory of MLflow's own command.

    Args:
        home: whose studies to show.
        port: the port to listen on; when it is taken, a free one.

    Raises:
        StudyError: there is nothing to show, it cannot be read, or the server does not answer.
    """
    if not home.database.exists():
        raise StudyError(f"{home.path}: there is no study here yet. Run one, or name its home with --home.")
    moved.mend(home)
    page = _newest(home)
    port = port if _free(port) else _any_port()
    process = _start(home, port)
    try:
        _wait(process, port)
        yield f"http://{_HOST}:{port}/{page}"
    finally:
        _stop(process)


def _start(home: Home, port: int) -> "subprocess.Popen[bytes]":
    server = ["server", "--host", _HOST, "--port", str(port), "--workers", "1"]
    stores = ["--backend-store-uri", store.url(home.database), "--default-artifact-root", home.artifacts.as_uri()]
    quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    return subprocess.Popen(
        [sys.executable, "-m", "mlflow", *server, *stores],
        env={**os.environ, **quiet},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _wait(process: "subprocess.Popen[bytes]", port: int) -> None:
    """Wait until the server answers."""
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end:
        if process.poll() is not None:
            raise StudyError(f"MLflow's server ended with exit status {process.returncode}. Try another --port.")
        try:
            with urllib.request.urlopen(f"http://{_HOST}:{port}/health", timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise StudyError(f"MLflow's server did not answer on port {port} within {_PATIENCE:.0f} s.")


def _stop(process: "subprocess.Popen[bytes]") -> None:
    """End the server and the processes that it started."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, sign)
            process.wait(5)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue


def _free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port))
        except OSError:
            return False
    return True


def _any_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        return int(probe.getsockname()[1])


def _newest(home: Home) -> str:
    """Return the page of the study that was written to last: its trials, sorted by score."""
    import sqlite3

    # MLflow's own client takes seconds to load, and the server is about to load it anyway.
    try:
        with closing(sqlite3.connect(f"{home.database.as_uri()}?mode=ro", uri=True)) as connection:
            row = connection.execute(
                "SELECT r.experiment_id FROM runs r JOIN tags t ON t.run_uuid = r.run_uuid "
                "WHERE t.key = 'workbench.study' ORDER BY COALESCE(r.end_time, r.start_time) DESC LIMIT 1"
            ).fetchone()
    except sqlite3.Error as error:
        raise StudyError(f"{home.database}: must be MLflow's store. It cannot be read ({error}).") from error
    if row is None:
        return ""
    return f"#/experiments/{row[0]}/runs?workflowType=machine_learning&viewStateShareKey={view.KEY}"
