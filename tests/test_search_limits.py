"""Limits on seconds, memory and disk; test doubles replace a full machine."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from test_search import Recorder, search

from workbench.errors import SearchError
from workbench.home import GIGABYTE
from workbench.search.events import Stopped, TrialEnded
from workbench.search.limits import Limits
from workbench.search.pool import Pool


@dataclass(frozen=True)
class FakeProcess:
    """A stand-in for a process."""

    memory: int


@dataclass(frozen=True)
class FakeTrial:
    """A stand-in for a running trial."""

    process: FakeProcess
    began: float


def trial(gigabytes: float = 0.4, began: float = 0.0) -> FakeTrial:
    return FakeTrial(FakeProcess(int(gigabytes * GIGABYTE)), began)


@pytest.fixture(scope="module")
def pool() -> Pool:
    return Pool(["workbench.trial", "workbench.models.tabular.linear", "workbench.models.tabular.xgboost"])


def test_a_trial_within_its_limits_is_not_ended() -> None:
    assert Limits(seconds=10, memory=1).find_exceeded([trial(), trial()], now=9) == {}
    assert Limits().find_exceeded([trial(0.5, 0)], now=1e9) == {}
    assert Limits(seconds=1).find_exceeded([], now=5) == {}


def test_a_trial_over_a_limit_is_returned_with_the_reason() -> None:
    over = Limits(seconds=10, memory=1).find_exceeded([trial(0.4, 0), trial(1.5, 8), trial(0.4, 8)], now=11)
    assert over == {
        0: "out of time: it took more than search.trial_seconds, 10 s",
        1: "out of memory: 1.50 GB is more than search.trial_memory, 1 GB",
    }


def test_the_largest_trial_is_ended_when_the_machine_runs_out_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    total = psutil.virtual_memory()
    nearly_full = total._replace(available=total.total // 100)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: nearly_full)
    over = Limits().find_exceeded([trial(0.4), trial(3.0), trial(1.0)], now=0)
    assert list(over) == [1]
    assert over[1].startswith("out of memory: it took 3.00 GB, and the machine had")


@pytest.mark.parametrize(
    ("limits", "reason"),
    [(Limits(seconds=0.01), "out of time"), (Limits(memory=0.001), "out of memory: 0")],
)
def test_trials_over_a_limit_fail_with_the_reason_and_their_hyperparameters(
    limits: Limits, reason: str, tmp_path: Path, pool: Pool
) -> None:
    record = Recorder()
    with pytest.raises(SearchError, match=reason):
        list(search(tmp_path, pool, record, families=["xgboost"], trials=9, workers=1, limits=limits).run())
    failed = [result for result in record.results if result.state == "failed"]
    assert len(failed) == 3
    assert all((result.reason or "").startswith(reason) for result in failed)
    assert all(0 < result.seconds < 60 for result in failed)


def test_a_full_disk_ends_the_search_before_the_next_trial(tmp_path: Path, pool: Pool) -> None:
    record = Recorder()
    limits = Limits(home_is_full=lambda: len(record.results) >= 3)
    began = time.monotonic()
    events = list(search(tmp_path, pool, record, families=["linear"], trials=50, workers=1, limits=limits).run())
    assert events[-1] == Stopped("disk", 0)
    assert sum(isinstance(event, TrialEnded) for event in events) == 3
    assert time.monotonic() - began < 60
