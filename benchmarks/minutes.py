"""Whether `--minutes` holds: a drafted study on every data set in competition form, and how long the command took.

    python benchmarks/minutes.py --data DIR [--minutes 2] [NAME …]

DIR/NAME holds train (a table or an .npz), and test and sample_submission that `workbench init` finds beside it. Answers
are not looked at. A set that no family can read is listed with the reason that the command gives.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd
import table

# What a command may take beyond its minutes, in seconds.
_GRACE = 10


def main() -> None:
    """Run the sets one after another and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=2.0)
    options = parser.parse_args()
    names = options.names or sorted(path.name for path in options.data.iterdir() if path.is_dir())
    rows = []
    for name in names:
        rows.append(_run(options.data / name, options.minutes))
        print(json.dumps(rows[-1]), flush=True)
    if not options.names:
        note = f"`python benchmarks/minutes.py --data DIR --minutes {options.minutes:g}`"
        table.write("minutes", rows, note=note)


def _run(folder: Path, minutes: float) -> dict[str, object]:
    train = next(path for path in sorted(folder.glob("train*")))
    heads = ("seconds", "in time", "submission", "trials", "honest score")
    row: dict[str, object] = {"set": folder.name, **dict.fromkeys(heads, "")}
    with tempfile.TemporaryDirectory() as home:
        study = str(Path(home) / f"{folder.name}.yaml")
        drafted = _command("init", str(train), "-o", study, folder=home)
        if drafted.returncode:
            return row | {"submission": _reason(drafted, folder)}
        began = time.monotonic()
        done = _command("run", study, "--minutes", str(minutes), "--json", folder=home)
        seconds = time.monotonic() - began
        row |= {"seconds": round(seconds, 1), "in time": "yes" if seconds <= 60 * minutes + _GRACE else "no"}
        if done.returncode:
            return row | {"submission": _reason(done, folder)}
        summary = json.loads(done.stdout)
        written = len(pd.read_csv(summary["submission"]))
        sample = len(pd.read_csv(next(folder.glob("sample_submission*"))))
    ensemble = summary["ensemble"]
    members = ", ".join(dict.fromkeys(member["family"] for member in ensemble["members"]))
    trials = ", ".join(f"{count} {state}" for state, count in summary["trials"].items() if count)
    return row | {
        "submission": f"{written} of {sample} rows, from {members}",
        "trials": trials,
        "honest score": f"{ensemble['metric']} {ensemble['honest_score']:.5g}",
    }


def _command(*words: str, folder: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "workbench", *words], cwd=folder, capture_output=True, text=True)


def _reason(done: subprocess.CompletedProcess[str], folder: Path) -> str:
    """Return what a command gave as its reason, without this machine's paths."""
    return done.stderr.strip().splitlines()[-1].replace(f"{folder.resolve().parent}/", "")


if __name__ == "__main__":
    main()
