"""Four kinds of columns in one table: nets that take all of them, beside the same net on one, and families of a part.

    python benchmarks/inputs.py [--rows 600] [--unseen 1000] [--seeds 3]

The table is the made-up one of `studies/wares.py`, made anew for each seed: a price that hangs on a number, a category,
a text and a photo alike. Every family has its defaults; a fifth of the rows to learn from is set apart to stop by.
Errors are those on the unseen rows, whose own noise is 5; the price's deviation is 21.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

# As in a trial's process; read when TensorFlow loads.
os.environ |= {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1", "OMP_NUM_THREADS": "1"}

import numpy as np
import pandas as pd
import table

from workbench import config, data, models
from workbench.models.protocol import FitContext, Problem, Rows
from workbench.space import Space, defaults

_STUDIES = Path(__file__).resolve().parents[1] / "studies"
_ALL = ("multi_input", "wide_and_deep", "xgboost", "tfidf_linear", "cnn", "hog_svm")


def main() -> None:
    """Make the tables, train every family on each, and write the means over the seeds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=600)
    parser.add_argument("--unseen", type=int, default=1000)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    found: dict[str, list[tuple[float, float]]] = {}
    for seed in range(options.seeds):
        with tempfile.TemporaryDirectory() as folder:
            known, new = _tables(Path(folder), options.rows, options.unseen, seed)
            asked = [(family, list(known.columns)) for family in _ALL]
            asked += [("multi_input", [name]) for name in known.columns]
            for family, columns in asked:
                name = f"{family}, {columns[0]} alone" if len(columns) == 1 else family
                found.setdefault(name, []).append(_error(known, new, family, columns, seed))
                print(json.dumps({"seed": seed, "model": name, "rmse, seconds": found[name][-1]}), flush=True)
    rows = []
    for name, each in found.items():
        errors, seconds = np.array(each).T
        rmse = {f"seed {seed}": f"{error:.2f}" for seed, error in enumerate(errors)}
        rows.append({"model": name, **rmse, "mean rmse": f"{errors.mean():.2f}", "seconds": f"{seconds.mean():.0f}"})
    note = f"`python benchmarks/inputs.py --rows {options.rows} --unseen {options.unseen} --seeds {options.seeds}`"
    table.write("inputs", rows, note=note)


def _tables(folder: Path, rows: int, unseen: int, seed: int) -> tuple[data.Dataset, tuple[pd.DataFrame, np.ndarray]]:
    """Return the rows to learn from, and others with their prices."""
    sys.path.insert(0, str(_STUDIES))
    wares = importlib.import_module("wares")
    wares.write(folder, rows, seed=2 * seed)
    later = wares.write(folder, unseen, seed=2 * seed + 1, name="later")
    (folder / "wares.yaml").write_text((_STUDIES / "wares.yaml").read_text())
    study = config.load(folder / "wares.yaml")
    known = data.load(study)
    x: Any = known.reader.read(folder / "later.csv").x
    return known, (x, later["price"].to_numpy())


def _error(
    known: data.Dataset, new: tuple[pd.DataFrame, np.ndarray], family: str, names: list[str], seed: int
) -> tuple[float, float]:
    """Return the root mean squared error on the unseen rows, and the CPU seconds of the training."""
    problem, x = _problem(known, names, known.x)
    if models.get_entry(family).keras:
        from workbench.space.keras import HyperParameters

        hp: Any = HyperParameters(defaults)
    else:
        hp = Space(defaults)
    setting = FitContext(seed, 1, lambda *told, **more: None)
    cut, began = len(known.y) // 5, time.process_time()
    train, valid = Rows(x[cut:], known.y[cut:]), Rows(x[:cut], known.y[:cut])
    model = models.get_family(family).fit(hp, problem, train, valid, setting)
    seconds = time.process_time() - began
    apart = model.predict(_problem(known, names, new[0])[1]) - new[1]
    return float(np.sqrt(np.mean(apart**2))), seconds


def _problem(known: data.Dataset, names: list[str], frame: Any) -> tuple[Problem, Any]:
    """Return the problem of some columns, and rows with these alone."""
    columns = {name: known.columns[name] for name in names}
    kinds = set(columns.values())
    if kinds == {"image"}:
        return Problem("image", "regression", 0, {}, "squared_error"), frame[names[0]].array.read()
    kind: Any = "mixed" if "image" in kinds else "text" if "text" in kinds else "table"
    return Problem(kind, "regression", 0, columns, "squared_error"), frame[names]


if __name__ == "__main__":
    main()
