"""What a trial uses of the machine, written down every second or so beside its folds, under MLflow's names."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

import psutil

# Where a trial's folder has what it used: a line of JSON for each look.
FILE = "usage.jsonl"
# Seconds from look to look.
_EVERY = 1.0


class _Process(Protocol):
    @property
    def usage(self) -> tuple[float, int] | None: ...


class ResourceMeter:
    """Looks at the processes of trials; what it writes survives a kill, as their folds do."""

    def __init__(self, every: float = _EVERY, gpus: Callable[[], Mapping[str, float]] | None = None) -> None:
        """Hold how many seconds lie between two looks, and what tells of the machine's GPUs."""
        self._every = every
        self._gpus = gpus or _gpus()
        self._cores = psutil.cpu_count() or 1
        self._before: dict[Path, tuple[float, float]] = {}

    def look(self, folder: Path, process: _Process, *, last: bool = False) -> None:
        """Write down what a process uses, if it is time to, or if this is the `last` look: its trial has ended.

        The processor is in percent of all cores, since the look before; GPUs are told of whole, as trials share them.
        """
        used, now = process.usage, time.time()
        if used is not None:
            self._note(folder, now, *used, due=last)
        if last:
            self._before.pop(folder, None)

    def _note(self, folder: Path, now: float, seconds: float, memory: int, *, due: bool) -> None:
        before = self._before.setdefault(folder, (now, seconds))
        passed = now - before[0]
        if passed <= 0 or not (due or passed >= self._every):
            return
        self._before[folder] = (now, seconds)
        found = {
            "time": now,
            "cpu_utilization_percentage": 100 * (seconds - before[1]) / passed / self._cores,
            "system_memory_usage_megabytes": memory / 1e6,
            **self._gpus(),
        }
        with contextlib.suppress(FileNotFoundError), (folder / FILE).open("a") as file:
            file.write(json.dumps(found) + "\n")


def read(folder: Path) -> list[dict[str, float]]:
    """Return what was written of a trial; a line that a kill cut short is left out."""
    file = folder / FILE
    found = []
    for line in file.read_text().splitlines() if file.exists() else ():
        with contextlib.suppress(json.JSONDecodeError):
            found.append(json.loads(line))
    return found


def _gpus() -> Callable[[], Mapping[str, float]]:
    """Return what tells how busy and how full NVIDIA's GPUs are; of none where there are none, or no nvidia-ml-py."""
    try:
        import pynvml

        pynvml.nvmlInit()
    except Exception:  # noqa: BLE001 - without a driver, or without the library, there is nothing to tell
        return dict
    handles = [pynvml.nvmlDeviceGetHandleByIndex(number) for number in range(pynvml.nvmlDeviceGetCount())]

    def told() -> dict[str, float]:
        found = {}
        for number, handle in enumerate(handles):
            # One that is divided among several users does not say how busy it is.
            with contextlib.suppress(pynvml.NVMLError):
                found[f"gpu_{number}_memory_usage_megabytes"] = pynvml.nvmlDeviceGetMemoryInfo(handle).used / 1e6
                found[f"gpu_{number}_utilization_percentage"] = float(pynvml.nvmlDeviceGetUtilizationRates(handle).gpu)
        return found

    return told
