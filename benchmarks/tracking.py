"""MLflow's share of a study's time: 40 trials that report 50 epochs in each of 5 folds.

    python benchmarks/tracking.py [--passes 4 16] [--trials 40] [--write]

The study, its scheduler and its store are real. The trials are those of `perceptron`, which always trains for 50
epochs, each of --passes passes over scikit-learn's digits. MLflow's time is the time that the study's process spends in
`workbench.tracking`, from loading MLflow to logging the ensemble and reading predictions, with the writing of Parquet
files and the description of the experiment. Trials go on while it logs.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import perceptron
import table

from workbench import study as studies
from workbench.study import Study
from workbench.tracking import Tracker

_STUDY = f"""
name: tracking
data: {{train: sklearn:digits}}
metric: log_loss
also: [accuracy]
families: [{perceptron.NAME}]
search: {{pruner: none, workers: 2}}
"""
_GOAL = 0.05


class Clock:
    """The seconds spent in a tracker, and in each of its methods."""

    def __init__(self) -> None:
        """Begin without a time."""
        self.seconds: dict[str, list[float]] = {}
        self._inside = False

    def time_method(self, owner: type, name: str) -> None:
        """Time the calls of a method, except those from within another timed method."""
        method: Callable[..., Any] = getattr(owner, name)

        @wraps(method)
        def timed(*args: Any, **options: Any) -> Any:
            if self._inside:
                return method(*args, **options)
            self._inside, began = True, time.perf_counter()
            try:
                return method(*args, **options)
            finally:
                self._inside = False
                self.seconds.setdefault(name, []).append(time.perf_counter() - began)

        setattr(owner, name, timed)

    @property
    def total(self) -> float:
        """The seconds of all methods."""
        return sum(map(sum, self.seconds.values()))


def main() -> None:
    """Measure each number of passes in a process of its own, and write the table."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--passes", type=int, nargs="+", default=[4, 16])
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--write", action="store_true", help="put the table into docs/benchmarks.md")
    options = parser.parse_args()
    if os.environ.get(perceptron.PASSES):
        measure(options.trials)
        return
    rows = []
    for passes in options.passes:
        words = [sys.executable, __file__, "--trials", str(options.trials)]
        # The trials' processes import the family from this file's folder.
        found = os.pathsep.join([str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])])
        environment = {**os.environ, perceptron.PASSES: str(passes), "PYTHONPATH": found}
        done = subprocess.run(words, env=environment, stdout=subprocess.PIPE, text=True, check=True)
        rows.append(dict(line.split("\t") for line in done.stdout.splitlines()))
        print(rows[-1], flush=True)
    if options.write:
        table.write("tracking", rows, note="`python benchmarks/tracking.py --write`")


def measure(trials: int) -> None:
    """Run one study and print its times, a line for each column."""
    clock = Clock()
    for name in [name for name, value in vars(Tracker).items() if callable(value) and not name.startswith("_")]:
        clock.time_method(Tracker, name)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        Path("tracking.yaml").write_text(_STUDY)
        study = studies.open("tracking.yaml", home=f"{folder}/mlruns")
        preload_family(study)
        began = time.perf_counter()
        study.run(trials=trials + 1)
        wall = time.perf_counter() - began
        seconds = [row.seconds for row in study.trials() if row.family == perceptron.NAME]
    records = clock.seconds["log_trial"]
    share = clock.total / wall
    columns = {
        "a trial, median": f"{statistics.median(seconds):.1f} s",
        "trials": len(seconds),
        "the whole run": f"{wall:.0f} s",
        "in MLflow": f"{clock.total:.1f} s, {records[0] + clock.seconds['describe'][0]:.1f} s of it to begin",
        "recording a trial": f"{1000 * statistics.median(records):.0f} ms, {1000 * max(records[1:]):.0f} ms at most",
        "MLflow's share": f"{share:.1%}",
        "≤ 5 %": "yes" if share <= _GOAL else "no",
    }
    print("\n".join(f"{key}\t{value}" for key, value in columns.items()))
    for name, parts in sorted(clock.seconds.items(), key=lambda each: -sum(each[1])):
        print(f"{name}: {len(parts)} times, {sum(parts):.2f} s", file=sys.stderr)


def preload_family(study: Study) -> None:
    """Make the processes of the study's trials load the benchmark's family."""
    modules = study.task.modules()
    study.task.modules = lambda *, nets=True: [*modules, perceptron.__name__]  # type: ignore[method-assign]


if __name__ == "__main__":
    main()
