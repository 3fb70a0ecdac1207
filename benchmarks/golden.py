"""Records what a fixed set of small studies gives, bit for bit, and compares a later version with the record.

    python benchmarks/golden.py record DIR
    python benchmarks/golden.py compare DIR [--only digits films]

Each study runs through the real command line, in a process and a home of its own. The script imports no module of the
package and reads only what is public: the commands' JSON, the artifacts and metrics in MLflow, and the files written.
So it compares any two versions, whatever their modules are called. The version is the one that `python -m workbench`
finds; set PYTHONPATH to choose another.

A record holds no seconds, run ids or paths. The predictions are bound to the machine and to the versions of the
libraries: compare on the machine that recorded. Every process sees one core and takes one thread, because the number of
threads changes sums.
`DIR/inputs` keeps the study files and the data, and `compare` runs those, not the ones that this script would write.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

STUDIES = Path(__file__).resolve().parent.parent / "studies"

DIGITS = """
name: digits
data: {train: "sklearn:digits"}
metric: log_loss
also: [accuracy]
folds: {kind: stratified, folds: 2}
families: [linear, random_forest, cnn, mlp]
search: {trials: 5, pruner: none}
training: {epochs: 2}
"""
DIABETES = """
name: diabetes
data: {train: "sklearn:diabetes"}
metric: rmse
also: [mae, r2]
folds: {kind: kfold, folds: 2, repeats: 2}
families: [linear, extra_trees, xgboost, wide_and_deep]
search: {trials: 6, sampler: random, pruner: none}
training: {epochs: 3}
"""
# A metric without slopes, for which few members keep the search of weights short.
TABLE = """
name: table
data: {train: table.csv, test: table-test.csv, sample_submission: table-sample.csv, target: sold, id: key}
metric: roc_auc
also: [log_loss, f1_macro]
folds: {kind: stratified, folds: 2}
families: [linear, xgboost, lightgbm, mlp]
class_weight: balanced
search: {trials: 6, pruner: none}
training: {epochs: 3}
ensemble: {members: 3}
"""
# Log loss is convex, so its blends end long before their time is over.
FILMS = """
name: films
data: {train: films.csv, target: [comedy, crime, romance, space], id: id}
targets: {space: {weight: 2}}
metric: log_loss
also: [roc_auc]
folds: {folds: 2}
families: [tfidf_linear, tfidf_xgboost, conv1d, mlp]
search: {trials: 5, pruner: none}
training: {epochs: 2}
"""
LETTERS = """
name: letters
data: {train: letters.csv, target: matter, id: id}
metric: log_loss
also: [accuracy]
folds: {kind: stratified, folds: 2}
families: [tfidf_linear, linear, multi_input]
search: {trials: 4, pruner: none}
training: {epochs: 2}
"""
GESTURES = """
name: gestures
data: {train: gestures.csv, target: kind, id: gesture, steps: time, group: person}
metric: log_loss
also: [accuracy]
folds: {kind: group_stratified, folds: 2}
families: [rocket, sequence_trees, conv1d, gru]
search: {trials: 5, pruner: none}
training: {epochs: 2}
"""
# Enough cheap trials for TPE to leave its random start, and for the pruner to judge.
WINE = """
name: wine
data: {train: "sklearn:wine"}
metric: log_loss
folds: {kind: stratified, folds: 4}
families: [linear, extra_trees]
search: {trials: 20, sampler: tpe, goal: ensemble, pruner: paired}
"""


@dataclass(frozen=True)
class Case:
    """A study and what to ask it after its run."""

    study: str
    data: tuple[str, ...] = ()
    """Files that the study reads."""
    ensembles: tuple[tuple[str, ...], ...] = ()
    """Options of further calls of `workbench ensemble`."""
    predict: str | None = None
    """A file of rows to predict with the last of these ensembles."""


CASES = {
    "digits": Case(DIGITS, ensembles=(("--method", "stack"),)),
    "diabetes": Case(DIABETES),
    "table": Case(
        TABLE,
        ("table.csv", "table-test.csv", "table-sample.csv"),
        (("--method", "rank"), ("--method", "stack")),
        "table-test.csv",
    ),
    "films": Case(FILMS, ("films.csv",)),
    "letters": Case(LETTERS, ("letters.csv",), (("--method", "convex", "--weights", "class"),)),
    "gestures": Case(GESTURES, ("gestures.csv",)),
    "wine": Case(WINE),
}
ONE_CORE = "import os\nos.sched_getaffinity, os.cpu_count = (lambda pid: {0}), (lambda: 1)\n"
# Blends have budgets of 10 seconds and more. A command that takes longer may have run out of one.
SLOW = 10.0
# Standard errors come from as many resamples as there is time for, so they differ on a busy machine.
CLOCKED = {"weight_se", "honest_se", "gain_se"}
# Keys whose values differ in every run.
DROPPED = {"run_id", "run_ids", "best_single_run_id", "model_uri", "seconds", "submission", "path"}


def table(folder: Path) -> None:
    """Write a table of numbers, categories, a date, missing values and two classes; test rows; a sample submission."""
    rng = random.Random(11)
    rows = []
    for number in range(400):
        size, town, rooms = rng.gauss(0, 1), rng.choice(["Rome", "Oslo", "Lima", "Bern"]), rng.randint(1, 6)
        worth = size + 0.4 * rooms + {"Rome": 0.8, "Oslo": 0.2, "Lima": -0.5, "Bern": 0.0}[town] + rng.gauss(0, 0.7)
        row: dict[str, Any] = {
            "key": f"h{number}",
            "size": round(size, 4),
            "rooms": rooms,
            "noise": round(rng.random(), 4),
            "town": town,
            "built": f"{rng.randint(1950, 2020)}-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}",
            "heated": rng.choice(["gas", "wood"]),
        }
        for name in ("size", "town", "built"):
            row[name] = row[name] if rng.random() > 0.1 else None
        rows.append({**row, "sold": "yes" if worth > 1.6 else "no"})
    frame = pd.DataFrame(rows)
    frame[:300].to_csv(folder / "table.csv", index=False)
    frame[300:].drop(columns="sold").to_csv(folder / "table-test.csv", index=False)
    frame[300:][["key"]].assign(sold=0.5).to_csv(folder / "table-sample.csv", index=False)


def prepare(folder: Path) -> None:
    """Write the study files and their data."""
    folder.mkdir(parents=True, exist_ok=True)
    table(folder)
    for name, case in CASES.items():
        (folder / f"{name}.yaml").write_text(case.study.lstrip() + "seed: 7\n")
        for file in case.data:
            if not (folder / file).exists():
                shutil.copy(STUDIES / file, folder)


def environment(folder: Path) -> dict[str, str]:
    """Return the environment of every command: one thread each, and paths that hold in another folder.

    A module that Python imports at its start hides all cores but one. A process that is pinned to a core would do as
    well, but it waits for that core while others are idle.
    """
    start = folder / "start"
    start.mkdir(exist_ok=True)
    (start / "sitecustomize.py").write_text(ONE_CORE)
    threads: tuple[str, ...] = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
    threads += ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
    paths = [
        str(start),
        *(str(Path(path).resolve()) for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path),
    ]
    others = {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": "0", "PYTHONHASHSEED": "0", "COLUMNS": "120"}
    return {**os.environ, **dict.fromkeys(threads, "1"), **others, "PYTHONPATH": os.pathsep.join(paths)}


def python(words: list[str], folder: Path) -> str:
    """Run Python in a folder and return what it prints.

    Raises:
        SystemExit: the command failed; its error is printed.
    """
    ended = subprocess.run(
        [sys.executable, *words], cwd=folder, env=environment(folder), capture_output=True, text=True
    )
    if ended.returncode:
        raise SystemExit(f"{' '.join(words)} ended with {ended.returncode}:\n{ended.stderr[-4000:]}")
    return ended.stdout


def workbench(*words: str, folder: Path) -> Any:
    """Run a command of workbench and return its JSON."""
    return json.loads(python(["-m", "workbench", *words, "--home", "home", "--json"], folder))


def steady(value: Any) -> Any:
    """Return a JSON value without what differs from run to run."""
    if isinstance(value, dict):
        return {key: steady(inner) for key, inner in value.items() if key not in DROPPED}
    return [steady(inner) for inner in value] if isinstance(value, list) else value


def digest(content: bytes) -> str:
    """Return the SHA-256 of bytes."""
    return hashlib.sha256(content).hexdigest()


def parquet(file: Path) -> dict[str, Any]:
    """Return the digest of each column of a table, and the means of the numbers, which show how far two are apart."""
    frame = pd.read_parquet(file)
    columns = {}
    for name in frame:
        values = frame[name]
        if values.dtype.kind == "f":
            exact = values.to_numpy("float64")
            columns[name] = {"sha256": digest(exact.tobytes()), "mean": repr(float(values.mean()))}
        else:
            columns[name] = {"sha256": digest(json.dumps([str(value) for value in values]).encode())}
    return {"rows": len(frame), "columns": columns}


def kept(home: Path, run_id: str) -> dict[str, Any]:
    """Return what MLflow has of a run: artifacts, predictions and the last value of each metric."""
    # A trial that was pruned early has none.
    folder = next((home / "artifacts").glob(f"*/{run_id}/artifacts"), home / "nothing")
    with closing(sqlite3.connect(home / "mlflow.db")) as connection:
        query = "SELECT key, value FROM latest_metrics WHERE run_uuid = ? ORDER BY key"
        metrics = {key: value for key, value in connection.execute(query, (run_id,)) if "seconds" not in key}
    files = sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())
    tables = {file: parquet(folder / file) for file in files if file.endswith(".parquet")}
    return {"metrics": metrics, "artifacts": files, "tables": tables}


def record_case(name: str, inputs: Path) -> dict[str, Any]:
    """Run a study in a new home and return its record."""
    case, file = CASES[name], f"{name}.yaml"
    with tempfile.TemporaryDirectory(prefix=f"golden-{name}-") as place:
        folder = Path(place)
        for source in (file, *case.data):
            shutil.copy(inputs / source, folder)
        home = folder / "home"
        ran = workbench("run", file, "--workers", "1", "-o", "submission.csv", folder=folder)
        trials = workbench("leaderboard", file, folder=folder)
        record: dict[str, Any] = {
            "run": {key: steady(value) for key, value in ran.items() if key not in {"best", "ensemble"} | DROPPED},
            "submission": digest((folder / "submission.csv").read_bytes()) if ran["submission"] else None,
            "order": [f"{row['family']} #{row['number']}" for row in trials],
            "trials": {f"{row['family']} #{row['number']}": steady(row) for row in trials},
            "ensembles": {"run": ensemble(ran["ensemble"], home)},
        }
        for row in trials:
            record["trials"][f"{row['family']} #{row['number']}"]["mlflow"] = kept(home, row["run_id"])
        for options in case.ensembles:
            made = workbench("ensemble", file, *options, folder=folder)
            record["ensembles"][" ".join(options)] = ensemble(made, home)
        if case.predict is not None:
            workbench("predict", file, case.predict, "-o", "predicted.csv", folder=folder)
            record["predicted"] = digest((folder / "predicted.csv").read_bytes())
    return json.loads(json.dumps(record))  # type: ignore[no-any-return]


def ensemble(document: dict[str, Any], home: Path) -> dict[str, Any]:
    """Return the steady part of an ensemble's document, and its predictions."""
    if document["seconds"] > SLOW:
        print(f"An ensemble took {document['seconds']:.0f} s; its figures may depend on the time.", file=sys.stderr)
    tables = kept(home, document["run_id"])["tables"]
    return {**steady(document), "tables": tables}


def differences(old: Any, new: Any, place: str = "") -> Iterator[str]:
    """Tell where two records differ, one line each."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted({*old, *new} - CLOCKED):
            inside = f"{place} / {key}" if place else key
            if key not in new:
                yield f"{inside}: is gone"
            elif key not in old:
                yield f"{inside}: is new: {str(new[key])[:80]}"
            else:
                yield from differences(old[key], new[key], inside)
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, (one, other) in enumerate(zip(old, new, strict=True)):
            yield from differences(one, other, f"{place}[{index}]")
    # NaN equals NaN here.
    elif repr(old) != repr(new):
        yield f"{place}: {str(old)[:120]} -> {str(new)[:120]}"


def main() -> None:
    """Record, or compare and exit with 1 where anything differs."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("command", choices=["record", "compare"])
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument("--only", nargs="+", choices=list(CASES), default=list(CASES), metavar="STUDY")
    asked = parser.parse_args()
    folder, inputs, found = asked.folder.resolve(), asked.folder.resolve() / "inputs", 0
    if asked.command == "record":
        prepare(inputs)
    with tempfile.TemporaryDirectory() as place:
        print(python(["-c", "import workbench; print(workbench.__file__)"], Path(place)).strip(), flush=True)
    for name in asked.only:
        began, file = time.monotonic(), folder / f"{name}.json"
        made = record_case(name, inputs)
        if asked.command == "record":
            file.write_text(json.dumps(made, indent=1, sort_keys=True) + "\n")
            told = [f"{len(made['trials'])} trials recorded"]
        else:
            told = list(differences(json.loads(file.read_text()), made)) or ["same"]
            found += told != ["same"]
        for line in told:
            print(f"{name}: {line}")
        print(f"{name}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
