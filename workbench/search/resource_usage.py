"""A trial's use of the machine, sampled every second and written beside its folds under MLflow's names."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

import psutil

# The file in a trial's folder: one JSON object a line for each sample.
FILE = "usage.jsonl"
# Seconds between two samples.
_INTERVAL = 1.0


class _HasUsage(Protocol):
    @property
    def usage(self) -> tuple[float, int] | None: ...


class ResourceMeter:
    """Samples the processes of trials; the samples survive a kill, as folds do."""

    def __init__(self, every: float = _INTERVAL, gpus: Callable[[], Mapping[str, float]] | None = None) -> None:
        """Set the interval in seconds, and the function that returns the use of the machine's GPUs."""
        self._interval = every
        self._gpus = gpus or _gpu_usage()
        self._cores = psutil.cpu_count() or 1
        self._previous: dict[Path, tuple[float, float]] = {}

    def measure(self, folder: Path, process: _HasUsage, *, last: bool = False) -> None:
        """Write a sample if the interval has passed, or if it is the `last` one because the trial has ended.

        Processor use is in percent of all cores since the previous sample. GPU use is that of the whole GPU, because
        trials share it.
        """
        used, now = process.usage, time.time()
        if used is not None:
            self._write_sample(folder, now, *used, due=last)
        if last:
            self._previous.pop(folder, None)

    def _write_sample(self, folder: Path, now: float, seconds: float, memory: int, *, due: bool) -> None:
        before, seconds_before = self._previous.setdefault(folder, (now, seconds))
        passed = now - before
        if passed <= 0 or not (due or passed >= self._interval):
            return
        self._previous[folder] = (now, seconds)
        sample = {
            "time": now,
            "cpu_utilization_percentage": 100 * (seconds - seconds_before) / passed / self._cores,
            "system_memory_usage_megabytes": memory / 1e6,
            **self._gpus(),
        }
        with contextlib.suppress(FileNotFoundError), (folder / FILE).open("a") as file:
            file.write(json.dumps(sample) + "\n")


def read(folder: Path) -> list[dict[str, float]]:
    """Return the samples of a trial; a line that a kill cut short is left out."""
    file = folder / FILE
    samples = []
    for line in file.read_text().splitlines() if file.exists() else ():
        with contextlib.suppress(json.JSONDecodeError):
            samples.append(json.loads(line))
    return samples


def _gpu_usage() -> Callable[[], Mapping[str, float]]:
    """Return a function that measures NVIDIA's GPUs; it returns nothing without GPUs or without nvidia-ml-py."""
    try:
        import pynvml

        pynvml.nvmlInit()
    except Exception:  # noqa: BLE001 - without a driver, or without the library, there is nothing to measure
        return dict
    handles = [pynvml.nvmlDeviceGetHandleByIndex(number) for number in range(pynvml.nvmlDeviceGetCount())]

    def measure() -> dict[str, float]:
        usage = {}
        for number, handle in enumerate(handles):
            # A GPU that is divided among several users does not report its utilization.
            with contextlib.suppress(pynvml.NVMLError):
                usage[f"gpu_{number}_memory_usage_megabytes"] = pynvml.nvmlDeviceGetMemoryInfo(handle).used / 1e6
                usage[f"gpu_{number}_utilization_percentage"] = float(pynvml.nvmlDeviceGetUtilizationRates(handle).gpu)
        return usage

    return measure
