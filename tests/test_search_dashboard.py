"""Optuna's dashboard over the journal of a running search: it shows the trials and changes nothing."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any
from wsgiref.util import setup_testing_defaults

import pytest
from test_search import finish, storage_in

from workbench import servers
from workbench.errors import StudyError
from workbench.home import Home
from workbench.search import dashboard

pytest.importorskip("optuna_dashboard", reason="optuna-dashboard, the extra 'dashboard', is not installed")

# Runs trials without a model until the second argument's file exists.
SEARCH = """
import itertools, sys, time
from pathlib import Path
from test_search import storage_in, finish
storage, enough = storage_in(Path(sys.argv[1])), Path(sys.argv[2])
for number in itertools.count():
    finish(storage, "xgboost", 1 / (2 + number))
    if enough.exists():
        break
    time.sleep(0.05)
"""


@pytest.fixture
def pages(tmp_path):
    """A function that sends a request to the dashboard of a study with two families of three trials each."""
    storage = storage_in(tmp_path)
    for family in ("linear", "xgboost"):
        for score in (0.5, 0.3, 0.4):
            finish(storage, family, score)
    application = dashboard.application(tmp_path / "optuna.journal")

    def ask(path: str, method: str = "GET", host: str = "127.0.0.1:8080", body: bytes = b"{}") -> tuple[int, Any]:
        given: dict[str, Any] = {}
        setup_testing_defaults(given)
        given |= {"PATH_INFO": path, "REQUEST_METHOD": method, "HTTP_HOST": host, "CONTENT_TYPE": "application/json"}
        given |= {"wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))}
        status: list[str] = []

        def start(line: str, *_: Any) -> Any:
            status.append(line)

        parts = application(given, start)
        answer = b"".join(parts)
        getattr(parts, "close", bool)()
        return int(status[0].split()[0]), json.loads(answer) if answer.startswith(b"{") else answer

    return ask


def test_the_dashboard_shows_every_family_as_a_study_with_its_trials(pages):
    status, known = pages("/api/studies")
    ids = {each["study_name"]: each["study_id"] for each in known["study_summaries"]}
    assert (status, set(ids)) == (200, {"s/linear", "s/xgboost"})
    _, study = pages(f"/api/studies/{ids['s/xgboost']}")
    assert [trial["values"] for trial in study["trials"]] == [[0.5], [0.3], [0.4]]
    assert [trial["number"] for trial in study["best_trials"]] == [1]
    assert b"<title>Optuna Dashboard" in pages("/dashboard")[1]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("DELETE", "/api/studies/0"),
        ("POST", "/api/studies/0/rename"),
        ("POST", "/api/studies"),
        ("PUT", "/api/studies/0/note"),
        ("POST", "/api/trials/0/tell"),
    ],
)
def test_requests_that_write_are_refused(pages, tmp_path, method, path):
    journal = tmp_path / "optuna.journal"
    before = journal.read_bytes()
    body = b'{"study_name": "t", "directions": ["minimize"], "version": 1, "body": "b", "state": "Fail"}'
    assert pages(path, method, body=body) == (
        403,
        {"reason": "Studies of workbench are shown here and cannot be changed."},
    )
    assert journal.read_bytes() == before


@pytest.mark.parametrize(
    ("host", "status"), [("localhost:8080", 200), ("127.0.0.1", 200), ("evil.example:8080", 403), ("", 403)]
)
def test_requests_with_another_host_are_refused(pages, host, status):
    assert pages("/api/studies", host=host)[0] == status


def test_a_home_without_trials_is_refused(tmp_path):
    with pytest.raises(StudyError, match="there is no trial here yet"), dashboard.serve(Home(tmp_path), 8080):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_the_dashboard_follows_a_running_study_and_its_journal_stays_whole(tmp_path):
    finish(storage_in(tmp_path), "linear", 0.5)
    enough = tmp_path / "enough"
    with servers.reserve_port(dashboard.PORT) as port, dashboard.serve(Home(tmp_path), port) as server:
        server.wait()

        def ask(path: str) -> Any:
            with urllib.request.urlopen(f"{server.address}{path}", timeout=10) as response:
                return json.load(response)

        search = [sys.executable, "-c", SEARCH, str(tmp_path), str(enough)]
        # The dashboard reads trials again when its own are some seconds old.
        seen, end = [], time.monotonic() + 60
        with subprocess.Popen(search, cwd=Path(__file__).parent) as process:
            while process.poll() is None:
                names = {each["study_name"]: each["study_id"] for each in ask("/api/studies")["study_summaries"]}
                if "s/xgboost" in names:
                    seen.append(len(ask(f"/api/studies/{names['s/xgboost']}")["trials"]))
                if len(set(seen) - {0}) > 1 or time.monotonic() > end:
                    enough.touch()
                time.sleep(0.05)
        assert process.returncode == 0
        assert len(set(seen) - {0}) > 1, "the trials that were added were not shown"
        assert seen == sorted(seen)
        trials, end = len(storage_in(tmp_path).records()) - 1, time.monotonic() + 30
        while (last := ask(f"/api/studies/{names['s/xgboost']}")["trials"]) and time.monotonic() < end:
            if len(last) == trials and all(trial["state"] == "Complete" for trial in last):
                break
            time.sleep(0.5)
        assert [trial["values"] for trial in last] == [[1 / (2 + number)] for number in range(trials)]
    for line in (tmp_path / "optuna.journal").read_text().splitlines():
        json.loads(line)
