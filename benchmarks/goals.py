"""What the sampler should learn from: `goal: ensemble` against `goal: score`, by the ensemble's score on held-out rows.

    python benchmarks/goals.py [--data DIR] [--seeds 3] [--trials 45] [NAME …]

Both studies of a pair have the same rows, folds, seed and number of trials, and one worker each, so that they begin
alike and part where the sampler has trials enough to learn from. The rows are drawn anew for each seed; the answers to
the held-out ones stay here until both ensembles have predicted. The sets are scikit-learn's; with --data also some in
competition form, rows of DIR/NAME/train.csv.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import table

import workbench
from workbench import evaluation

_OWN = {"breast_cancer": "log_loss", "diabetes": "rmse", "wine": "log_loss"}
_MORE = ("bank_marketing", "california_housing")
_GOALS = ("score", "ensemble")
_FAMILIES = ("linear", "extra_trees", "xgboost")
# Few enough rows that a trial takes a second; of a small set a third is held out.
_ROWS, _HELD_OUT = 500, 2000
# Scores that differ by less, of their size, are even.
_EVEN = 1e-4


@dataclass(frozen=True)
class Pair:
    """Two studies of the same rows."""

    name: str
    seed: int
    metric: str
    folder: Path
    answers: list[Any]

    def file(self, goal: str) -> Path:
        """Return the study file of one of the two."""
        return self.folder / f"{goal}.yaml"


@dataclass(frozen=True)
class Outcome:
    """What a pair came to: by goal, the ensemble's scores; above zero, `gain` is to the credit of `goal: ensemble`."""

    pair: Pair
    held_out: dict[str, float]
    honest: dict[str, float]
    seconds: dict[str, float]

    def gain(self, scores: dict[str, float]) -> float:
        """Return by how much of its size the loss, or the score, is better."""
        sign = 1 if evaluation.metric(self.pair.metric).direction == "maximize" else -1
        return sign * (scores["ensemble"] - scores["score"]) / abs(scores["score"])


def main() -> None:
    """Run all pairs, as many studies at a time as there are cores, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--trials", type=int, default=45)
    parser.add_argument("--study", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.study:
        print(json.dumps(_ran(options.study)))
        return
    names = options.names or [*_OWN, *(_MORE if options.data else ())]
    with tempfile.TemporaryDirectory() as folder:
        pairs = [
            _pair(Path(folder), options.data, name, seed, options.trials)
            for seed in range(1, options.seeds + 1)
            for name in names
        ]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            said = pool.map(_side, [pair.file(goal) for pair in pairs for goal in _GOALS])
            outcomes = [_outcome(pair, [next(said), next(said)]) for pair in pairs]
    rows = [_row(name, [each for each in outcomes if each.pair.name == name]) for name in names]
    rows.append(_total(outcomes))
    for row in rows:
        print(json.dumps(row, ensure_ascii=False), flush=True)
    if not options.names:
        words = f"{' --data DIR' if options.data else ''} --seeds {options.seeds} --trials {options.trials}"
        table.write("goals", rows, note=f"`python benchmarks/goals.py{words}`")


def _pair(folder: Path, data: Path | None, name: str, seed: int, trials: int) -> Pair:
    """Draw rows, and write what both studies may see of them."""
    frame, target, metric = _set(data, name)
    frame = frame.sample(frac=1, random_state=seed, ignore_index=True)
    rows = min(_ROWS, 2 * len(frame) // 3)
    train, held_out = frame[:rows], frame[rows : rows + _HELD_OUT]
    pair = Pair(name, seed, metric, folder / f"{name}-{seed}", held_out[target].tolist())
    pair.folder.mkdir()
    train.to_csv(pair.folder / "train.csv", index=False)
    held_out.drop(columns=target).to_csv(pair.folder / "test.csv", index=False)
    for goal in _GOALS:
        study = {
            "name": goal,
            "data": {"train": "train.csv", "test": "test.csv", "target": target},
            "metric": metric,
            "folds": {"folds": 3},
            "families": list(_FAMILIES),
            "search": {"trials": trials, "workers": 1, "goal": goal},
            "seed": seed,
        }
        # JSON is YAML.
        pair.file(goal).write_text(json.dumps(study))
    return pair


def _set(data: Path | None, name: str) -> tuple[pd.DataFrame, str, str]:
    """Return a set's rows, its target and its metric."""
    if name in _OWN:
        from sklearn import datasets

        frame = getattr(datasets, f"load_{name}")(as_frame=True).frame
        return frame, "target", _OWN[name]
    if data is None:
        raise SystemExit(f"{name} is none of scikit-learn's sets. Say where it is with --data DIR.")
    about = json.loads((data / name / "ABOUT.json").read_text())
    frame = pd.read_csv(data / name / "train.csv").drop(columns=about["id"])
    return frame, about["target"], about["metric"]


def _side(file: Path) -> dict[str, Any]:
    """Run a study in a process of its own, and return what it says."""
    command = [sys.executable, __file__, "--study", str(file)]
    done = subprocess.run(command, cwd=file.parent, stdout=subprocess.PIPE, text=True, check=True)
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return said


def _ran(file: str) -> dict[str, Any]:
    """Run a study to its end; return what its ensemble predicts."""
    study = workbench.open(file, str(Path(file).with_suffix("")))
    summary = study.run(out=Path(file).with_suffix(".csv"))
    assert summary.ensemble is not None
    own = study.task
    test = study.store.tracker.predictions(summary.ensemble["run_id"], own.schema).test
    return {
        "predictions": np.asarray(test).tolist(),
        "classes": own.dataset.classes and [str(label) for label in own.dataset.classes],
        "honest": summary.ensemble["honest_score"],
        "seconds": summary.seconds,
    }


def _outcome(pair: Pair, said: Sequence[dict[str, Any]]) -> Outcome:
    """Hold predictions against the answers; the only place that looks at them."""
    metric, classes = evaluation.metric(pair.metric), said[0]["classes"]
    y = np.array(pair.answers if classes is None else [classes.index(str(label)) for label in pair.answers])
    by_goal = dict(zip(_GOALS, said, strict=True))
    outcome = Outcome(
        pair,
        {goal: metric.score(y, np.array(each["predictions"])) for goal, each in by_goal.items()},
        {goal: each["honest"] for goal, each in by_goal.items()},
        {goal: each["seconds"] for goal, each in by_goal.items()},
    )
    print(f"# {pair.name} {pair.seed}: held out {outcome.held_out}, honest {outcome.honest}", flush=True)
    return outcome


def _row(name: str, outcomes: Sequence[Outcome]) -> dict[str, object]:
    means = {goal: float(np.mean([each.held_out[goal] for each in outcomes])) for goal in _GOALS}
    return {
        "set": name,
        "metric": outcomes[0].pair.metric,
        **{f"goal: {goal}": f"{mean:.5g}" for goal, mean in means.items()},
        **_verdict(outcomes),
    }


def _total(outcomes: Sequence[Outcome]) -> dict[str, object]:
    return {"set": "all", "metric": "", **{f"goal: {goal}": "" for goal in _GOALS}, **_verdict(outcomes)}


def _verdict(outcomes: Sequence[Outcome]) -> dict[str, object]:
    """Count who wins on the held-out rows, and by the honest score, which is on the training rows."""
    gains = np.array([each.gain(each.held_out) for each in outcomes])
    error = gains.std(ddof=1) / np.sqrt(len(gains)) if len(gains) > 1 else float("nan")
    seconds = {goal: sum(each.seconds[goal] for each in outcomes) for goal in _GOALS}
    return {
        "gain of ensemble": f"{100 * gains.mean():+.2f} ± {100 * error:.2f} %",
        "wins–ties–losses": _count(gains),
        "by honest score": _count(np.array([each.gain(each.honest) for each in outcomes])),
        "seconds": f"{seconds['score']:.0f}, {seconds['ensemble']:.0f}",
    }


def _count(gains: np.ndarray) -> str:
    wins, losses = int((gains > _EVEN).sum()), int((gains < -_EVEN).sum())
    return f"{wins}–{len(gains) - wins - losses}–{losses}"


if __name__ == "__main__":
    main()
