"""The time and the size of a report for a study of 500 trials, 25 members and 10,000 rows.

    python benchmarks/report.py [--trials 500] [--rows 10000] [--keep DIR]

No model is trained: the results of the trials are generated and recorded as a search records them, in Optuna's journal
and as MLflow runs with predictions and curves, and then blended. The command makes the report in its own process, so
the time includes imports.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import table

import workbench
from workbench.space import Hyperparameter
from workbench.study import Study
from workbench.trial import State, TrialResult

_STUDY = """
name: five_hundred
data: {train: train.csv, target: y, id: id}
metric: log_loss
also: [roc_auc, accuracy]
folds: {folds: 5}
families: [linear, xgboost, lightgbm, extra_trees, random_forest, mlp]
search: {sampler: random}
"""
_HYPERPARAMETERS = (
    *(Hyperparameter(f"rate_{place}", "float", 0.1, 1e-4, 1.0, log=True) for place in range(4)),
    *(Hyperparameter(f"depth_{place}", "int", 4, 1, 12, step=1) for place in range(3)),
    Hyperparameter("kind", "categorical", "a", choices=("a", "b", "c")),
)
_EPOCHS = 60


def main() -> None:
    """Generate the study, make its report, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=500)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--keep", type=Path, help="the folder of the reports")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        members = _generate(folder, options.trials, options.rows)
        kept = options.keep or folder
        rows = [_measure(folder, kept / "report.html"), _measure(folder, kept / "report.md", "--markdown")]
    for row in rows:
        row |= {"trials": options.trials, "rows": f"{options.rows:,}", "members": members}
        print(json.dumps(row), flush=True)
    if (options.trials, options.rows) == (500, 10_000):
        table.write("report", rows, note="`python benchmarks/report.py`")


def _generate(folder: Path, trials: int, rows: int) -> int:
    """Record the study; return the number of members of its ensemble."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, 20))
    y = (rng.random(rows) < 1 / (1 + np.exp(-x[:, :5].sum(axis=1)))).astype(int)
    frame = pd.DataFrame(x, columns=[f"column_{place}" for place in range(20)]).assign(y=y, id=np.arange(rows))
    frame.to_csv(folder / "train.csv", index=False)
    (folder / "study.yaml").write_text(_STUDY)
    study = workbench.open(str(folder / "study.yaml"), str(folder / "mlruns"))
    study.home.create()
    study.store.begin()
    families = ("constant", *study.config.families)
    for number in range(trials):
        _record_trial(study, families[min(number, 1 + number % (len(families) - 1))], x[:, :5].sum(axis=1), rng)
    return len(study.ensemble(seconds=30).members)


def _record_trial(study: Study, family: str, signal: np.ndarray, rng: np.random.Generator) -> None:
    """Record one trial, as the scheduler does at its end."""
    task, store = study.task, study.store
    trial = store.storage.ask(family)
    values: dict[str, Any] = {each.name: trial.suggest(each) for each in _HYPERPARAMETERS}
    state: State = rng.choice(["complete", "pruned", "failed"], p=[0.75, 0.2, 0.05]) if trial.number else "complete"
    fields: dict[str, Any] = {"family": family, "number": trial.number, "hyperparameters": values, "seconds": 1.0}
    fields |= {"curves": _curves(rng) if family in ("xgboost", "lightgbm", "mlp") else {}}
    if state == "complete":
        noise = 1.0 + abs(np.log10(values["rate_0"]) + 2) + 0.1 * values["depth_0"]
        oof = 1 / (1 + np.exp(-(signal + noise * rng.normal(size=len(signal)))[task.schema.rows] / (1 + noise)))
        y = task.dataset.y[task.schema.rows]
        scores = [task.metric.score(y[task.schema.folds == fold], oof[task.schema.folds == fold]) for fold in range(5)]
        fields |= {"score": task.metric.score(y, oof), "fold_scores": scores, "oof": oof}
        fields |= {"also": {metric.name: metric.score(y, oof) for metric in task.also}}
    else:
        fields |= {"fold_scores": [], "reason": "pruned after fold 0" if state == "pruned" else "ValueError: no"}
    result = TrialResult(state=state, **fields)
    run_id = store.tracker.log_trial(result, task.schema, metric=task.metric.name)
    trial.finish(result, run_id)


def _curves(rng: np.random.Generator) -> dict[tuple[int, int], dict[str, list[float]]]:
    epochs = np.arange(_EPOCHS, dtype=float)
    return {
        (0, fold): {
            "epoch": epochs.tolist(),
            "loss": (np.exp(-epochs / 20) + rng.random() / 50).tolist(),
            "val_loss": (np.exp(-epochs / 20) + 0.1 + rng.random() / 20).tolist(),
        }
        for fold in range(5)
    }


def _measure(folder: Path, file: Path, *options: str) -> dict[str, Any]:
    """Make a report with the command; return its time and its size."""
    arguments = ["report", str(folder / "study.yaml"), "--home", str(folder / "mlruns"), "-o", str(file), *options]
    began, cpu_began = time.monotonic(), _cpu_seconds()
    subprocess.run([sys.executable, "-m", "workbench", *arguments], check=True, stdout=subprocess.DEVNULL)
    seconds, cpu = time.monotonic() - began, _cpu_seconds() - cpu_began
    figures = file.with_suffix("")
    files = [file, *(figures.iterdir() if figures.is_dir() else [])]
    size = sum(each.stat().st_size for each in files) / 1e6
    times = {"seconds": f"{seconds:.1f}", "of a core": f"{cpu:.1f}"}
    return {"report": file.suffix.lstrip("."), **times, "MB": f"{size:.2f}"}


def _cpu_seconds() -> float:
    """Return the CPU time of this process's children in seconds."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()
