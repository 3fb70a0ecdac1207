"""A drafted study of ten minutes on images, texts, sequences and a forecasting table, held against the answers.

    python benchmarks/kinds.py --data DIR [--minutes 10] [--keep FOLDER] [NAME …]

DIR/NAME holds train, test and sample_submission, and answers, the truth, which only `_score` reads, when everything has
been predicted. `workbench init --metric` drafts the study, `workbench run` runs it as it is. Beside the submission's
score stand those of the ensemble's members: of the one that is best out of fold, which is what one would have
submitted instead, and of the one that is best on the answers, which nobody can know before. The goals are figures;
of beijing_pm25 it is what `XGBRegressor()` reaches on the raw columns, trained here.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import table
from competitions import command, plain
from sklearn import metrics

import workbench
from workbench.data import read_table

GOALS = {
    "fashion_mnist": 0.89,
    "sms_spam": 0.052,
    "newsgroups": 0.975,
    "walking": 0.84,
    "clothing": 0.55,
    "beijing_pm25": None,
}


def main() -> None:
    """Run the sets one after another and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--keep", type=Path, help="a folder for the studies and their homes, to look at afterwards")
    options = parser.parse_args()
    rows = []
    for name in options.names or GOALS:
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder) if options.keep is None else options.keep / name
            place.mkdir(parents=True, exist_ok=True)
            rows.append(_row(options.data.resolve() / name, place, options.minutes))
            print(json.dumps(rows[-1]), flush=True)
    if not options.names:
        table.write("kinds", rows, note=f"`python benchmarks/kinds.py --data DIR --minutes {options.minutes:g}`")


def _row(data: Path, place: Path, minutes: float) -> dict[str, object]:
    """Draft a study, run it, and hold it against the goal."""
    about = json.loads((data / "ABOUT.json").read_text())
    study, home = place / f"{data.name}.yaml", place / "home"
    command("init", str(_file(data, "train")), "--metric", about["metric"], "-o", str(study), folder=place)
    began = time.monotonic()
    words = ("run", str(study), "--home", str(home), "--minutes", f"{minutes:g}", "--json")
    summary = json.loads(command(*words, folder=place))
    seconds = time.monotonic() - began
    opened = workbench.open(str(study), str(home))
    members = _members(opened, summary["ensemble"]["members"], data, about)
    sent, classes = read_table(summary["submission"]), opened.task.dataset.classes
    score = _score(data, about, sent[about["id"]], sent[about["target"]], classes)
    sign = 1 if opened.task.metric.direction == "maximize" else -1
    goal = GOALS[data.name]
    if goal is None:
        rival = plain(data, about)
        goal = _score(data, about, rival[about["id"]], rival[about["target"]], None)
    best = max(members, key=lambda member: sign * member["answers"])
    first = max(members, key=lambda member: sign * member["oof"])
    weights: Counter[str] = Counter()
    for member in members:
        weights[member["family"]] += member["weight"]
    return {
        "set": data.name,
        "metric": about["metric"],
        "goal": f"{goal:.4g}",
        "submission": f"{score:.4f}",
        "reached": "yes" if sign * score >= sign * goal else "no",
        "best member by folds": f"{first['answers']:.4f} ({first['family']})",
        "best member on answers": f"{best['answers']:.4f} ({best['family']})",
        "honest": f"{summary['ensemble']['honest_score']:.4f} ({summary['ensemble']['metric']})",
        "weights": ", ".join(f"{family} {weight:.2f}" for family, weight in weights.most_common() if weight > 0.005),
        "trials": sum(summary["trials"].values()),
        "seconds": round(seconds),
    }


def _members(study: Any, members: list[dict[str, Any]], data: Path, about: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the ensemble's members, heaviest first, with their scores out of fold and on the answers."""
    own = study.task
    board = study.leaderboard().set_index("run_id")
    found = []
    for member in sorted(members, key=lambda member: -member["weight"]):
        test = study.store.tracker.predictions(member["run_id"], own.schema).test
        answers = _score(data, about, np.asarray(own.dataset.test_ids), test, own.dataset.classes)
        found.append({**member, "answers": answers, "oof": float(board.loc[member["run_id"], "score"])})
    return found


def _file(data: Path, stem: str) -> Path:
    """Return the file, or the folder, of that name."""
    return next(path for path in sorted(data.iterdir()) if path.name.partition(".")[0] == stem)


def _score(data: Path, about: dict[str, Any], ids: Any, predictions: Any, classes: Any) -> float:
    """Hold predictions (labels, probabilities or values) against the answers; the only place that reads them."""
    truth = read_table(_file(data, "answers")).set_index(about["id"])[about["target"]]
    frame = pd.DataFrame(np.asarray(predictions).reshape(len(ids), -1), index=ids).reindex(truth.index)
    values = frame.to_numpy()
    if about["metric"] == "mae":
        return float(metrics.mean_absolute_error(truth, values[:, 0]))
    if about["metric"] == "log_loss":
        positive = truth == classes[1]
        return float(metrics.log_loss(positive, values[:, 0].astype(float)))
    # A member says how likely each class is, a submission which one it is.
    probable = np.asarray(classes)[values.argmax(axis=1)] if values.shape[1] > 1 else values[:, 0]
    return float(metrics.accuracy_score(truth.astype(str), pd.Series(probable).astype(str)))


if __name__ == "__main__":
    main()
