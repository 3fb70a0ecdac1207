"""Whether time budgets hold and what they buy: a drafted study on data sets in competition form, against plain XGBoost.

    python benchmarks/deadline.py [NAME …] --data DIR [--minutes 0.5 1 2 5] [--load] [--write deadline]

DIR/NAME holds ABOUT.json (target, id and metric), train, test and sample_submission that `workbench init` finds, and
answers, which only `_score` reads, when the predictions are made. `init` and `run --minutes` are commands of their own.
Plain XGBoost is `XGBClassifier()` or `XGBRegressor()` on ordinal codes; texts are codes as well. On flights, ten lines
of LightGBM get the minutes of the run too. Image files have no plain rival. With --load, a process that takes one core
all the time runs beside the study. With --write, the results replace the table of that name in docs/benchmarks.md; the
table `NAME seconds`, if there is one, says where the workers' seconds go, from the events of the run.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import table
from sklearn import metrics
from sklearn.preprocessing import OrdinalEncoder
from xgboost import XGBClassifier, XGBRegressor

from workbench.search.fork_server import cores

# The seconds that a command may take beyond its minutes.
_GRACE = 10
_LOWER_IS_BETTER = ("rmse", "mae", "rmsle", "log_loss")
_REGRESSION = ("rmse", "mae", "rmsle")


def main() -> None:
    """Run the sets one after another and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--minutes", type=float, nargs="+", default=[1.0])
    parser.add_argument("--load", action="store_true", help="run a process beside the study that takes one core")
    parser.add_argument("--write", metavar="NAME", help="the table of docs/benchmarks.md to replace")
    options = parser.parse_args()
    data = options.data.resolve()
    names = options.names or sorted(path.name for path in data.iterdir() if path.is_dir())
    rows, seconds = [], []
    with _take_a_core(options.load):
        for name in names:
            for minutes in options.minutes:
                row, spent = _compare(data / name, minutes)
                rows.append(row)
                seconds.append({"set": name, "minutes": f"{minutes:g}", **spent})
                print(json.dumps([rows[-1], seconds[-1]]), flush=True)
    if options.write:
        words = [*options.names, "--minutes", *(f"{each:g}" for each in options.minutes)]
        note = f"`python benchmarks/deadline.py {' '.join(words)} --data DIR{' --load' if options.load else ''}`"
        table.write(options.write, rows, note=note)
        if f"<!-- {options.write} seconds -->" in table.PAGE.read_text(encoding="utf-8"):
            heads = list(dict.fromkeys(head for row in seconds for head in row))
            table.write(
                f"{options.write} seconds", [{head: row.get(head, "") for head in heads} for row in seconds], note=note
            )


@contextmanager
def _take_a_core(wanted: bool) -> Iterator[None]:
    """Keep one core busy inside the block."""
    process = multiprocessing.get_context("spawn").Process(target=_spin, daemon=True)
    if wanted:
        process.start()
    try:
        yield
    finally:
        if wanted:
            process.kill()


def _spin() -> None:
    while True:
        pass


def _compare(folder: Path, minutes: float) -> tuple[dict[str, object], dict[str, object]]:
    """Run a set, and return its rows of the two tables."""
    about = json.loads((folder / "ABOUT.json").read_text())
    heads = ("metric", "workbench", "plain XGBoost", "ten lines", "better", "families", "over budget", "first trial")
    row: dict[str, object] = {"set": folder.name, "minutes": f"{minutes:g}", **dict.fromkeys(heads, "")}
    with tempfile.TemporaryDirectory() as home:
        study, events = str(Path(home) / f"{folder.name}.yaml"), str(Path(home) / "events.jsonl")
        train = next(path for path in sorted(folder.glob("train*")))
        drafted = _command("init", str(train), "-o", study, "--metric", about["metric"], folder=home)
        if drafted.returncode:
            return row | {"workbench": _reason(drafted, folder)}, {}
        began = time.time()
        done = _command("run", study, "--minutes", str(minutes), "--events", events, "--json", folder=home)
        over = time.time() - began - 60 * minutes
        if done.returncode:
            return row | {"workbench": _reason(done, folder), "over budget": f"{over:.1f} s"}, {}
        ours = pd.read_csv(json.loads(done.stdout)["submission"])
        happened = [json.loads(line) for line in Path(events).read_text().splitlines()]
    score = _score(folder, about, ours)
    scores = {name: _score(folder, about, made) for name, made in _predict_rivals(folder, about, minutes)}
    sign = -1 if about["metric"] in _LOWER_IS_BETTER else 1
    first = next(each["time"] for each in happened if each["event"] == "trial_started" and each["family"] != "constant")
    scored = {each["row"]["family"] for each in happened if each["event"] == "trial_ended" and each["row"]["score"]}
    row |= {"metric": about["metric"], "workbench": f"{score:.5g}"}
    row |= {name: f"{value:.5g}" for name, value in scores.items()}
    row |= {"better": "yes" if all(sign * score >= sign * value for value in scores.values()) else "no"}
    row |= {"families": len(scored - {"constant"}), "over budget": f"{over:.1f} s"}
    return row | {"first trial": f"{first - began:.1f} s"}, _spent(happened, began, began + 60 * minutes + over)


def _spent(events: list[dict[str, Any]], began: float, ended: float) -> dict[str, object]:
    """Return the seconds until the first trial, of each family's trials, of idle workers, and after the search.

    A trial's seconds are those of its trainings and predictions. Everything else that keeps a worker is idle time.
    """
    started = {
        (each["family"], each["number"]): each["time"]
        for each in events
        if each["event"] == "trial_started" and each["family"] != "constant"
    }
    took = {
        (each["row"]["family"], each["row"]["number"]): each["row"]["seconds"]
        for each in events
        if each["event"] == "trial_ended"
    }
    first, stopped = min(started.values()), events[-1]["time"]
    seconds: dict[str, float] = defaultdict(float)
    counts: Counter[str] = Counter()
    for key, start in started.items():
        seconds[key[0]] += took.get(key, stopped - start)
        counts[key[0]] += 1
    idle = 1 - sum(seconds.values()) / (cores() * (stopped - first))
    families: dict[str, object] = {name: f"{value:.0f} ({counts[name]})" for name, value in seconds.items()}
    ends: dict[str, object] = {
        "start": f"{first - began:.1f}",
        "idle": f"{100 * idle:.0f} %",
        "after": f"{ended - stopped:.1f}",
    }
    return ends | families


def _command(*words: str, folder: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "workbench", *words], cwd=folder, capture_output=True, text=True)


def _reason(done: subprocess.CompletedProcess[str], folder: Path) -> str:
    """Return what a command gave as its reason, without this machine's paths."""
    return done.stderr.strip().splitlines()[-1].replace(f"{folder.resolve().parent}/", "")


def _read(folder: Path, about: dict[str, Any]) -> tuple[pd.DataFrame, pd.Series, pd.DataFrame, pd.Series] | None:
    """Return training rows, target, test rows and ids, with ordinal codes for words; None for image files."""
    target, ids = about["target"], about["id"]
    if (folder / "train.npz").exists():
        with np.load(folder / "train.npz") as train, np.load(folder / "test.npz") as test:
            x, x_test = (pd.DataFrame(each["x"].reshape(len(each["x"]), -1)) for each in (train, test))
            return x, pd.Series(train["y"]), x_test, pd.Series(test["id"])
    if (folder / "train").is_dir():
        return None
    train, test = (pd.read_csv(next(iter(folder.glob(f"{name}.csv*")))) for name in ("train", "test"))
    features = [name for name in train.columns if name in test.columns and name not in (target, ids)]
    words = [name for name in features if not pd.api.types.is_numeric_dtype(train[name])]
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    if words:
        train[words], test[words] = encoder.fit_transform(train[words]), encoder.transform(test[words])
    return train[features].astype(float), train[target], test[features].astype(float), test[ids]


def _predict_rivals(folder: Path, about: dict[str, Any], minutes: float) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield the name and the predictions of each rival, in the form of a submission."""
    read = _read(folder, about)
    if read is not None:
        yield "plain XGBoost", _plain(*read, about)
        if folder.name == "flights":
            yield "ten lines", _ten_lines(*read, about, minutes)


def _plain(
    x: pd.DataFrame, target: pd.Series, x_test: pd.DataFrame, ids: pd.Series, about: dict[str, Any]
) -> pd.DataFrame:
    """Return what XGBoost says as it comes."""
    if about["metric"] in _REGRESSION:
        predictions = XGBRegressor().fit(x, target).predict(x_test)
    else:
        classes, y = np.unique(target, return_inverse=True)
        model = XGBClassifier().fit(x, y)
        if about["metric"] == "accuracy":
            predictions = classes[model.predict(x_test)]
        elif len(classes) == 2:
            predictions = model.predict_proba(x_test)[:, 1]
        else:
            heads = [f"{about['target']}_{name}" for name in classes]
            return pd.DataFrame(model.predict_proba(x_test), columns=heads).assign(**{about["id"]: ids})
    return pd.DataFrame({about["id"]: ids, about["target"]: predictions})


def _ten_lines(
    x: pd.DataFrame, y: pd.Series, x_test: pd.DataFrame, ids: pd.Series, about: dict[str, Any], minutes: float
) -> pd.DataFrame:
    """Return what ten lines of LightGBM say that stop early or at the end of the minutes."""
    import lightgbm

    began = time.monotonic()
    held_out = np.random.default_rng(0).random(len(y)) < 0.2
    parts = [lightgbm.Dataset(x[part], y[part]) for part in (~held_out, held_out)]

    def stop(state: Any) -> None:
        if time.monotonic() - began > 60 * minutes - 2:
            raise lightgbm.callback.EarlyStopException(state.iteration, state.evaluation_result_list)

    parameters = {"objective": "mae" if about["metric"] == "mae" else "rmse", "verbosity": -1}
    calls = [lightgbm.early_stopping(50, verbose=False), stop]
    model = lightgbm.train(parameters, parts[0], 10_000, valid_sets=[parts[1]], callbacks=calls)
    return pd.DataFrame({about["id"]: ids, about["target"]: model.predict(x_test)})


def _score(folder: Path, about: dict[str, Any], predictions: pd.DataFrame) -> float:
    """Hold predictions against the answers; the only place that reads them."""
    target, ids, metric = about["target"], about["id"], about["metric"]
    truth = pd.read_csv(next(iter(folder.glob("answers*")))).set_index(ids)[target]
    rows = predictions.set_index(ids).reindex(truth.index)
    if target not in rows:
        classes = np.unique(truth)
        return float(metrics.log_loss(truth, rows[[f"{target}_{name}" for name in classes]], labels=classes))
    predicted = rows[target]
    if metric == "accuracy":
        return float(metrics.accuracy_score(truth.astype(str), predicted.astype(str)))
    if metric in ("roc_auc", "log_loss"):
        positive = truth == np.unique(truth)[-1]
        score = metrics.roc_auc_score if metric == "roc_auc" else metrics.log_loss
        return float(score(positive, predicted))
    errors = {
        "rmse": metrics.root_mean_squared_error,
        "mae": metrics.mean_absolute_error,
        "rmsle": metrics.root_mean_squared_log_error,
    }
    return float(errors[metric](truth, predicted.clip(lower=0) if metric == "rmsle" else predicted))


if __name__ == "__main__":
    main()
