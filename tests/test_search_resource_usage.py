"""Samples of a trial's resource usage."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import psutil
import pytest

from workbench.search.resource_usage import FILE, ResourceMeter, read


class FakeProcess:
    """A process with given usages."""

    def __init__(self, *usages: tuple[float, int] | None) -> None:
        self.usages = list(usages)

    @property
    def usage(self) -> tuple[float, int] | None:
        return self.usages.pop(0)


class OwnProcess:
    """This process."""

    @property
    def usage(self) -> tuple[float, int] | None:
        process = psutil.Process(os.getpid())
        return sum(process.cpu_times()[:2]), process.memory_info().rss


def no_gpus() -> dict[str, float]:
    return {}


def test_a_busy_process_has_a_positive_processor_use(tmp_path: Path) -> None:
    meter, process = ResourceMeter(every=0.2, gpus=no_gpus), OwnProcess()
    end = time.monotonic() + 5
    while not read(tmp_path) and time.monotonic() < end:
        meter.measure(tmp_path, process)
        sum(range(100_000))
    (found,) = read(tmp_path)
    assert 0 < found["cpu_utilization_percentage"] <= 110 / (psutil.cpu_count() or 1)
    assert 10 < found["system_memory_usage_megabytes"] < 1e6
    assert abs(found["time"] - time.time()) < 60


def test_samples_are_no_more_frequent_than_the_interval(tmp_path: Path) -> None:
    meter = ResourceMeter(every=3600, gpus=no_gpus)
    for seconds in range(5):
        meter.measure(tmp_path, FakeProcess((seconds, 1_000_000)))
    assert read(tmp_path) == []
    meter.measure(tmp_path, FakeProcess((6.0, 2_000_000)), last=True)
    (found,) = read(tmp_path)
    assert found["system_memory_usage_megabytes"] == 2.0


def test_an_ended_process_has_no_sample(tmp_path: Path) -> None:
    meter = ResourceMeter(every=0, gpus=no_gpus)
    meter.measure(tmp_path, FakeProcess((1.0, 5)))
    meter.measure(tmp_path, FakeProcess(None), last=True)
    assert read(tmp_path) == []


def test_a_trial_that_continues_in_another_process_is_measured_from_its_start(tmp_path: Path) -> None:
    meter = ResourceMeter(every=0, gpus=no_gpus)
    meter.measure(tmp_path, FakeProcess((50.0, 5)))
    meter.measure(tmp_path, FakeProcess((50.0, 5)), last=True)
    meter.measure(tmp_path, FakeProcess((0.5, 5)))
    time.sleep(0.01)
    meter.measure(tmp_path, FakeProcess((0.5, 5)))
    assert all(each["cpu_utilization_percentage"] >= 0 for each in read(tmp_path))


def test_samples_include_gpus(tmp_path: Path) -> None:
    meter = ResourceMeter(every=0, gpus=lambda: {"gpu_0_utilization_percentage": 70.0})
    meter.measure(tmp_path, FakeProcess((1.0, 5)))
    time.sleep(0.01)
    meter.measure(tmp_path, FakeProcess((1.0, 5)))
    assert read(tmp_path)[0]["gpu_0_utilization_percentage"] == 70.0


def test_a_line_that_a_kill_cut_short_is_left_out(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text(json.dumps({"time": 1.0}) + '\n{"time": 2')
    assert read(tmp_path) == [{"time": 1.0}]


@pytest.mark.parametrize("there", [True, False])
def test_a_trial_that_was_not_measured_has_no_samples(tmp_path: Path, there: bool) -> None:
    folder = tmp_path if there else tmp_path / "gone"
    assert read(folder) == []
    meter = ResourceMeter(every=0, gpus=no_gpus)
    meter.measure(folder, FakeProcess((1.0, 5)))
    time.sleep(0.01)
    meter.measure(folder, FakeProcess((1.0, 5)))
    assert len(read(folder)) == there
