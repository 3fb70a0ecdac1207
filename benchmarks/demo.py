"""Seconds and score of the demo study: `make bench`.

The study runs through the real command, in a home of its own that is thrown away.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import table

ROOT = Path(__file__).parent.parent


def main() -> None:
    """Run the demo once and write its line."""
    with tempfile.TemporaryDirectory() as folder:
        words = ["-m", "workbench", "run", str(ROOT / "studies/digits.yaml"), "--json", "--home", f"{folder}/mlruns"]
        began = time.monotonic()
        done = subprocess.run([sys.executable, *words], cwd=folder, stdout=subprocess.PIPE, text=True, check=True)
        seconds = time.monotonic() - began
    summary = json.loads(done.stdout)
    ensemble, best = summary["ensemble"], summary["best"]
    row = {
        "seconds": round(seconds),
        "trials": sum(summary["trials"].values()),
        "best single": f"{best['family']} #{best['number']}: {best['score']:.4f}",
        "ensemble log loss": f"{ensemble['score']:.4f}",
        "honest log loss": f"{ensemble['honest_score']:.4f} ± {ensemble['honest_se']:.4f}",
        "ensemble accuracy": f"{ensemble['also']['accuracy']:.4f}",
        "members": ", ".join(f"{m['name']} {m['weight']:.2f}" for m in ensemble["members"]),
        "true log loss": f"{summary['test_scores']['log_loss']:.4f}",
        "true accuracy": f"{summary['test_scores']['accuracy']:.4f}",
    }
    table.write("demo", [{"": key, "digits": value} for key, value in row.items()], note="`make bench`")
    print(json.dumps(row, indent=1))


if __name__ == "__main__":
    main()
