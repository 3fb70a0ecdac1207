"""A drafted study of a few minutes against plain XGBoost, on data sets in competition form.

    python benchmarks/competitions.py --data DIR [--minutes 3] [NAME …]

DIR/NAME holds train, test and sample_submission in CSV, and answers.csv, the truth, which only `_score` reads, when
both sides have made their predictions. Plain XGBoost is `XGBClassifier()` or `XGBRegressor()` with no argument, on
all training rows, strings as ordinal codes; it runs on the same machine just after the study.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import table
from sklearn import metrics
from sklearn.preprocessing import OrdinalEncoder
from xgboost import XGBClassifier, XGBRegressor

NAMES = ("bank_marketing", "california_housing", "forest_cover")


def main() -> None:
    """Run the sets one after another and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=NAMES)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=3.0)
    options = parser.parse_args()
    rows = [_compare(options.data / name, options.minutes) for name in options.names]
    note = f"`python benchmarks/competitions.py --data DIR --minutes {options.minutes:g}`"
    table.write("competitions", rows, note=note)


def _compare(folder: Path, minutes: float) -> dict[str, object]:
    about = json.loads((folder / "ABOUT.json").read_text())
    with tempfile.TemporaryDirectory() as home:
        study = Path(home) / f"{folder.name}.yaml"
        command("init", str(folder / "train.csv"), "-o", str(study), folder=home)
        began = time.monotonic()
        said = command("run", str(study), "--minutes", str(minutes), "--json", folder=home)
        seconds = time.monotonic() - began
        summary = json.loads(said)
        ours = pd.read_csv(summary["submission"])
    score, rival = (_score(folder, about, predictions) for predictions in (ours, plain(folder, about)))
    better = score < rival if about["metric"] in ("rmse", "mae", "log_loss", "rmsle") else score > rival
    row = {
        "set": folder.name,
        "metric": about["metric"],
        "workbench": f"{score:.5g}",
        "plain XGBoost": f"{rival:.5g}",
        "ratio": f"{score / rival:.4f}",
        "better": "yes" if better else "no",
        "seconds": round(seconds, 1),
        "trials": sum(summary["trials"].values()),
        "ensemble, honest": f"{summary['ensemble']['honest_score']:.5g}",
    }
    print(json.dumps(row), flush=True)
    return row


def command(*words: str, folder: str | Path) -> str:
    """Return what a command of ours prints, run in a folder."""
    done = subprocess.run(
        [sys.executable, "-m", "workbench", *words], cwd=folder, stdout=subprocess.PIPE, text=True, check=True
    )
    return done.stdout


def plain(folder: Path, about: dict[str, Any]) -> pd.DataFrame:
    """Return what XGBoost says as it comes, in the form of a submission."""
    train, test = pd.read_csv(folder / "train.csv"), pd.read_csv(folder / "test.csv")
    target, ids = about["target"], about["id"]
    features = [name for name in train.columns if name not in (target, ids)]
    words = [name for name in features if not pd.api.types.is_numeric_dtype(train[name])]
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    if words:
        train[words], test[words] = encoder.fit_transform(train[words]), encoder.transform(test[words])
    x, x_test = train[features].astype(float), test[features].astype(float)
    if about["metric"] in ("rmse", "mae"):
        predictions = XGBRegressor().fit(x, train[target]).predict(x_test)
    else:
        classes, y = np.unique(train[target], return_inverse=True)
        model = XGBClassifier().fit(x, y)
        labels = about["metric"] == "accuracy"
        predictions = classes[model.predict(x_test)] if labels else model.predict_proba(x_test)[:, 1]
    return pd.DataFrame({ids: test[ids], target: predictions})


def _score(folder: Path, about: dict[str, Any], predictions: pd.DataFrame) -> float:
    """Hold predictions against the answers; the only place that reads them."""
    target, ids = about["target"], about["id"]
    truth = pd.read_csv(folder / "answers.csv").set_index(ids)[target]
    predicted = predictions.set_index(ids)[target].reindex(truth.index)
    if about["metric"] == "accuracy":
        return float(metrics.accuracy_score(truth, predicted))
    if about["metric"] == "roc_auc":
        return float(metrics.roc_auc_score(truth, predicted))
    return float(metrics.root_mean_squared_error(truth, predicted))


if __name__ == "__main__":
    main()
