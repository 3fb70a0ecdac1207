"""`workbench ui` as a user gives it: what it prints, serves and ends, and that a study runs on beside it."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from test_servers import gone, listening
from test_tracking_ui import log_trial, tracker_of

from workbench.home import Home
from workbench.tracking import home_index

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="looks at Linux's /proc"),
]

STUDY = """
name: small
data: {train: "sklearn:breast_cancer", target: target}
metric: log_loss
folds: {folds: 2}
families: [linear, xgboost]
search: {workers: 1}
"""
LINK = re.compile(r"http://127\.0\.0\.1:(\d+)")


class Pages:
    """`workbench ui` under way, and what it has printed."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process, self.said = process, ""
        for line in process.stdout:
            self.said += line
            if line.startswith("Ctrl-C ends"):
                break
        self.ports = list(dict.fromkeys(map(int, LINK.findall(self.said))))

    @property
    def servers(self) -> list[int]:
        """The leaders of the servers' groups: the command's children."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(pid) for pid in children.split()]

    def ask(self, path: str, port: int = 0) -> Any:
        with urllib.request.urlopen(f"http://127.0.0.1:{port or self.ports[0]}{path}", timeout=30) as response:
            return json.load(response)


@contextmanager
def pages(home: Home, *words: str) -> Iterator[Pages]:
    command = [sys.executable, "-m", "workbench", "ui", "--home", str(home.path), *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield Pages(process)
        finally:
            process.kill()


@pytest.fixture
def shelf(home):
    """A home with thirteen studies, three of them with a trial."""
    own = Home(home)
    for number in range(10):
        tracker_of(own, f"begun {number}")
    for study in ("first", "second", "third"):
        log_trial(own, study)
        time.sleep(0.01)
    return own


def test_it_prints_a_link_for_each_study_and_takes_another_port_where_one_is_taken(shelf):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        with pages(shelf, "--port", str(taken)) as shown:
            home, first, *older, more, last = shown.said.splitlines()
            assert home == f"Home: {shelf.path}"
            (port,) = shown.ports
            assert taken < port < taken + 20
            ids = home_index.studies(shelf)
            assert first.startswith(
                f"MLflow shows the studies at http://127.0.0.1:{port}/#/experiments/{ids['third']}/"
            )
            assert [line.split("  http")[0].strip() for line in older[:2]] == ["second", "first"]
            assert len(older) == 9
            assert f"/#/experiments/{ids['second']}/runs?workflowType=machine_learning" in older[0]
            assert more == f"  … and 3 more at http://127.0.0.1:{port}/#/experiments?workflowType=machine_learning"
            assert last == "Ctrl-C ends it."
            assert listening(port) == {"0100007F"}
            (server,) = shown.servers
            shown.process.send_signal(signal.SIGHUP)
            _, said = shown.process.communicate(timeout=20)
            assert shown.process.returncode == 0
            assert f"Port {taken} is taken; MLflow gets {port}.\n" in said
            assert said.endswith("Ended.\n")
    assert gone(server, port)


@pytest.mark.parametrize(("sign", "status"), [("SIGTERM", 0), ("SIGKILL", -9)])
def test_all_servers_end_with_the_command(shelf, sign, status):
    pytest.importorskip("optuna_dashboard")
    pytest.importorskip("tensorboard")
    (shelf.path / "optuna.journal").touch()
    with pages(shelf, "--dashboard", "--tensorboard") as shown:
        assert "\nOptuna's dashboard shows the search of each family at http://127.0.0.1:" in shown.said
        assert "\nTensorBoard shows the losses of each fold at http://127.0.0.1:" in shown.said
        assert shown.said.endswith("Ctrl-C ends them.\n")
        leaders, ports = shown.servers, shown.ports
        assert len(leaders) == len(ports) == 3
        assert all(listening(port) == {"0100007F"} for port in ports)
        shown.process.send_signal(getattr(signal, sign))
        assert shown.process.wait(20) == status
    assert all(gone(leader, port) for leader in leaders for port in ports)


def test_a_server_that_dies_ends_the_command_with_a_reason_and_the_others(shelf):
    with pages(shelf) as shown:
        (server,) = shown.servers
        os.killpg(server, signal.SIGKILL)
        _, said = shown.process.communicate(timeout=20)
        assert shown.process.returncode == 2
        assert re.search(r"^error: MLflow ended with exit status -9", said, re.MULTILINE)
    assert gone(server, shown.ports[0])


def test_a_study_runs_on_while_its_pages_are_looked_at(tmp_path):
    pytest.importorskip("optuna_dashboard")
    pytest.importorskip("tensorboard")
    (tmp_path / "small.yaml").write_text(STUDY)
    home = Home(tmp_path / "mlruns")
    command = [sys.executable, "-m", "workbench", "run", "small.yaml", "--trials", "24", "--json"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as study:
        end = time.monotonic() + 60
        while not (home.database.exists() and home.journal.exists() and home_index.trials(home)):
            assert time.monotonic() < end
            assert study.poll() is None
            time.sleep(0.1)
        with pages(home, "--dashboard", "--tensorboard") as shown:
            seen = []
            while study.poll() is None:
                seen.append(looked_at(home, shown))
                time.sleep(0.5)
            summary = json.loads(study.communicate()[0])
            assert study.returncode == 0
            assert len(seen) > 1, "the study was over before it was looked at"
            assert seen == sorted(seen)
            assert seen[0] < sum(summary["trials"].values()) == 24
            assert looked_at(home, shown) >= 24
            assert curves_of(shown)
            leaders, ports = shown.servers, shown.ports
            shown.process.send_signal(signal.SIGINT)
            assert shown.process.wait(20) == 0
            assert shown.process.stderr.read().endswith("Ended.\n")
    assert all(gone(leader, port) for leader, port in zip(leaders, ports, strict=True))
    for line in home.journal.read_text().splitlines():
        json.loads(line)


def looked_at(home: Home, shown: Pages) -> int:
    """Ask the pages as a browser does; return how many of the study's trials MLflow shows."""
    study = shown.ask("/api/studies", shown.ports[1])["study_summaries"][-1]["study_id"]
    shown.ask(f"/api/studies/{study}", shown.ports[1])
    shown.ask("/data/runs", shown.ports[2])
    url = f"http://127.0.0.1:{shown.ports[0]}/ajax-api/2.0/mlflow/runs/search"
    where = {"experiment_ids": [home_index.studies(home)["small"]], "filter": "tags.`workbench.kind` = 'trial'"}
    request = urllib.request.Request(
        url, json.dumps({**where, "max_results": 1000}).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as response:
        return len(json.load(response).get("runs", []))


def curves_of(shown: Pages, seconds: float = 40.0) -> list[str]:
    """Return the runs that TensorBoard knows, as soon as it knows some."""
    found: list[str]
    end = time.monotonic() + seconds
    while not (found := shown.ask("/data/runs", shown.ports[2])) and time.monotonic() < end:
        time.sleep(0.5)
    return found
