"""The time and memory that a large CSV file takes to be read, beside pandas with Arrow's engine.

    python benchmarks/reading.py [--rows 1000000] [--runs 5]

The file is generated: eight columns of fractions, six of whole numbers and four of categories. Each run is a process of
its own that imports first and reads then; the readers take turns. Memory is the peak of the process beyond what it had
before it read.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import table

_READERS = {
    "workbench": "from workbench.data import read_table as read",
    "pandas, Arrow's engine": "import functools, pandas; read = functools.partial(pandas.read_csv, engine='pyarrow')",
}
_MEASURE = """
import json, pathlib, resource, sys, threading, time
import pyarrow.csv, pyarrow.compute, pandas
{setup}
read(sys.argv[2])
status = pathlib.Path("/proc/self/status")
def anonymous():
    return int(next(line for line in status.read_text().splitlines() if line.startswith("RssAnon")).split()[1]) * 1024
peak = before = anonymous()
done = threading.Event()
def watch():
    global peak
    while not done.wait(0.005):
        peak = max(peak, anonymous())
watcher = threading.Thread(target=watch)
watcher.start()
start = time.perf_counter()
frame = read(sys.argv[1])
seconds = time.perf_counter() - start
done.set()
watcher.join()
print(json.dumps({{"seconds": seconds, "memory": peak - before, "rows": len(frame)}}))
"""


def main() -> None:
    """Generate the file, read it by turns, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        file, small = Path(folder) / "large.csv", Path(folder) / "small.csv"
        generate(file, options.rows)
        generate(small, 100)
        found: dict[str, list[dict[str, float]]] = {name: [] for name in _READERS}
        for _ in range(options.runs):
            for name, setup in _READERS.items():
                found[name].append(measure(setup, file, small))
        size = file.stat().st_size
    base = statistics.median(run["seconds"] for run in found["pandas, Arrow's engine"])
    rows = []
    for name, runs in found.items():
        assert all(run["rows"] == options.rows for run in runs)
        seconds = [run["seconds"] for run in runs]
        memory = statistics.median(run["memory"] for run in runs)
        rows.append(
            {
                "reader": name,
                "seconds, median": f"{statistics.median(seconds):.2f}",
                "least": f"{min(seconds):.2f}",
                "most": f"{max(seconds):.2f}",
                "ratio of medians": f"{statistics.median(seconds) / base:.2f}",
                "memory / file": f"{memory / size:.1f}",
            }
        )
    note = f"`python benchmarks/reading.py --rows {options.rows} --runs {options.runs}`, a file of {size / 1e6:.0f} MB"
    table.write("reading", rows, note=note)
    print(json.dumps(rows, indent=1))


def generate(file: Path, rows: int) -> None:
    """Write a table of numbers and categories."""
    rng = np.random.default_rng(0)
    columns: dict[str, object] = {f"fraction_{i}": rng.normal(size=rows).round(4) for i in range(8)}
    columns |= {f"count_{i}": rng.integers(0, 10_000, rows) for i in range(6)}
    columns |= {f"colour_{i}": rng.choice(["red", "green", "blue", "yellow"], rows) for i in range(4)}
    pd.DataFrame(columns).to_csv(file, index=False)


def measure(setup: str, file: Path, small: Path) -> dict[str, float]:
    """Read a file in a process of its own; return seconds, bytes and rows."""
    command = [sys.executable, "-c", _MEASURE.format(setup=setup), str(file), str(small)]
    found: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return found


if __name__ == "__main__":
    main()
