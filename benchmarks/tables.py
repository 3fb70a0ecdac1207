"""The nets for tables against each other: their defaults, and what a search of the same minutes finds.

    python benchmarks/tables.py --data DIR [--sets NAME …] [--families NAME …] [--seeds 3] [--minutes 1] [--rows 6000]

DIR/NAME holds `train` and ABOUT.json, which names target, id and metric. A quarter of the training rows is set apart
as the rows to predict, by another draw for each seed; of the rest at most `--rows` are learnt from, in a holdout. The
scores are those of the rows set apart, which decide on nothing. With `--minutes` each family searches as long, on the
first draw, with one worker; its trial with the best validation score predicts. A run for some sets or families only
prints its rows.
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any, cast

# As in a trial's process; read when TensorFlow loads.
os.environ |= {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1", "OMP_NUM_THREADS": "1"}

import numpy as np
import table

import workbench
from workbench import trial
from workbench.autoconfig.draft import draft
from workbench.config import SingleTask
from workbench.data import read_table
from workbench.data.target import encode
from workbench.space import defaults

_SETS = ("online_shoppers", "california_housing", "bank_marketing")
_FAMILIES = ("mlp", "tabm", "dae_mlp", "xgboost", "dae_xgboost")


def main() -> None:
    """Run the sets one after another and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--sets", nargs="+", default=_SETS)
    parser.add_argument("--families", nargs="+", default=_FAMILIES)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=1.0, help="what a search may take; 0: defaults alone")
    parser.add_argument("--rows", type=int, default=6000)
    options = parser.parse_args()
    rows = []
    for name in options.sets:
        for family in options.families:
            rows.append(_row(options.data.resolve() / name, family, options.seeds, options.minutes, options.rows))
            print(json.dumps(rows[-1]), flush=True)
    if (tuple(options.sets), tuple(options.families)) == (_SETS, _FAMILIES):
        words = f"--seeds {options.seeds} --minutes {options.minutes:g} --rows {options.rows}"
        table.write("tables", rows, note=f"`python benchmarks/tables.py --data DIR {words}`")


def _row(data: Path, family: str, seeds: int, minutes: float, most: int) -> dict[str, object]:
    """Return what a family does on a set."""
    scores, seconds, found = [], [], (0, float("nan"))
    for seed in range(seeds):
        with tempfile.TemporaryDirectory() as folder:
            study, truth = _opened(data, Path(folder), family, seed, most)
            spec = study.task.spec(family, 1)
            began = time.process_time()
            folds = list(trial.fit_folds(spec, 0, trial.build_space(family, defaults), folder=Path(folder) / "trial"))
            seconds.append(time.process_time() - began)
            scores.append(spec.metric.score(truth, trial.join_folds(spec, 0, folds).test))
            if seed == 0 and minutes:
                found = _searched(study, truth, minutes)
    deviation = f" ± {np.std(scores):.4g}" if seeds > 1 else ""
    searched = {"trials": found[0], "searched": f"{found[1]:.5g}", "default there": f"{scores[0]:.5g}"}
    return {
        "set": data.name,
        "metric": study.task.metric.name,
        "family": family,
        "CPU seconds": round(float(np.median(seconds)), 1),
        "default": f"{np.mean(scores):.5g}{deviation}",
        **(searched if minutes else {}),
    }


def _opened(data: Path, folder: Path, family: str, seed: int, most: int) -> tuple[Any, np.ndarray]:
    """Return a study of a draw of the training rows, and the targets of the rows set apart, as models number them."""
    about = json.loads((data / "ABOUT.json").read_text())
    rows = read_table(next(path for path in sorted(data.iterdir()) if path.name.partition(".")[0] == "train"))
    order = np.random.default_rng(seed).permutation(len(rows))
    apart, learnt = np.split(order, [len(rows) // 4])
    target = about["target"]
    rows.iloc[learnt[:most]].to_csv(folder / "train.csv", index=False)
    rows.iloc[apart].drop(columns=target).to_csv(folder / "test.csv", index=False)
    file = folder / "study.yaml"
    draft(str(folder / "train.csv"), target=target, metric=about["metric"], out=file)
    study = workbench.open(str(file), home=str(folder / "home"), families=[family], folds={"kind": "holdout"})
    task = cast(SingleTask, study.task.dataset.task)
    return study, encode(rows.iloc[apart][target], name=target, task=task).y


def _searched(study: Any, truth: np.ndarray, minutes: float) -> tuple[int, float]:
    """Return how many trials the minutes gave, and the score of the best of them on the rows set apart."""
    collections.deque(study.search(end=time.monotonic() + 60 * minutes, workers=1), maxlen=0)
    board = study.leaderboard()
    tried = board[(board.family != "constant") & (board.state == "complete")]
    if not len(tried):
        return 0, float("nan")
    own = study.task
    test = study.store.tracker.predictions(tried.iloc[0].run_id, own.schema).test
    return len(tried), own.metric.score(truth, test)


if __name__ == "__main__":
    main()
