"""What a trial uses of the machine, written down beside its folds."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import psutil
import pytest

from workbench.search.resource_usage import FILE, ResourceMeter, read


class Told:
    """A process that says what it is told to have used."""

    def __init__(self, *usages: tuple[float, int] | None) -> None:
        self.usages = list(usages)

    @property
    def usage(self) -> tuple[float, int] | None:
        return self.usages.pop(0)


class Itself:
    """This process."""

    @property
    def usage(self) -> tuple[float, int] | None:
        process = psutil.Process(os.getpid())
        return sum(process.cpu_times()[:2]), process.memory_info().rss


def no_gpus() -> dict[str, float]:
    return {}


def test_a_busy_process_is_seen_to_be_busy(tmp_path: Path) -> None:
    meter, process = ResourceMeter(every=0.2, gpus=no_gpus), Itself()
    end = time.monotonic() + 5
    while not read(tmp_path) and time.monotonic() < end:
        meter.look(tmp_path, process)
        sum(range(100_000))
    (found,) = read(tmp_path)
    assert 0 < found["cpu_utilization_percentage"] <= 110 / (psutil.cpu_count() or 1)
    assert 10 < found["system_memory_usage_megabytes"] < 1e6
    assert abs(found["time"] - time.time()) < 60


def test_looks_come_no_faster_than_asked_for(tmp_path: Path) -> None:
    meter = ResourceMeter(every=3600, gpus=no_gpus)
    for seconds in range(5):
        meter.look(tmp_path, Told((seconds, 1_000_000)))
    assert read(tmp_path) == []
    meter.look(tmp_path, Told((6.0, 2_000_000)), last=True)
    (found,) = read(tmp_path)
    assert found["system_memory_usage_megabytes"] == 2.0


def test_a_process_that_is_gone_used_nothing_more(tmp_path: Path) -> None:
    meter = ResourceMeter(every=0, gpus=no_gpus)
    meter.look(tmp_path, Told((1.0, 5)))
    meter.look(tmp_path, Told(None), last=True)
    assert read(tmp_path) == []


def test_a_trial_that_goes_on_in_another_process_is_measured_from_its_start(tmp_path: Path) -> None:
    meter = ResourceMeter(every=0, gpus=no_gpus)
    meter.look(tmp_path, Told((50.0, 5)))
    meter.look(tmp_path, Told((50.0, 5)), last=True)
    meter.look(tmp_path, Told((0.5, 5)))
    time.sleep(0.01)
    meter.look(tmp_path, Told((0.5, 5)))
    assert all(each["cpu_utilization_percentage"] >= 0 for each in read(tmp_path))


def test_gpus_are_told_of_beside(tmp_path: Path) -> None:
    meter = ResourceMeter(every=0, gpus=lambda: {"gpu_0_utilization_percentage": 70.0})
    meter.look(tmp_path, Told((1.0, 5)))
    time.sleep(0.01)
    meter.look(tmp_path, Told((1.0, 5)))
    assert read(tmp_path)[0]["gpu_0_utilization_percentage"] == 70.0


def test_a_line_that_a_kill_cut_short_is_left_out(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text(json.dumps({"time": 1.0}) + '\n{"time": 2')
    assert read(tmp_path) == [{"time": 1.0}]


@pytest.mark.parametrize("there", [True, False])
def test_a_trial_that_was_not_measured_has_nothing(tmp_path: Path, there: bool) -> None:
    folder = tmp_path if there else tmp_path / "gone"
    assert read(folder) == []
    meter = ResourceMeter(every=0, gpus=no_gpus)
    meter.look(folder, Told((1.0, 5)))
    time.sleep(0.01)
    meter.look(folder, Told((1.0, 5)))
    assert len(read(folder)) == there
