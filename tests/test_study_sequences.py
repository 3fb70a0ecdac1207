"""Studies of sequences from end to end: of unequal lengths, with holes, from a long table and from arrays."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import workbench
from workbench import config, data
from workbench.study import Study

pytestmark = pytest.mark.slow

ROWS, TRAIN = 90, 60
STUDIES = {
    "long": """
name: long
data: {train: train.csv, test: test.csv, labels: labels.csv, sample_submission: sample.csv, target: kind, id: run,
  steps: second}
""",
    "arrays": """
name: arrays
data: {train: train.npz, test: test.npz, id: run, target: kind}
""",
}
REST = """
metric: log_loss
folds: {folds: 2}
families: [linear, extra_trees, xgboost]
search: {trials: 4, workers: 2, pruner: none}
ensemble: {method: uniform}
"""


def sequences() -> tuple[pd.DataFrame, np.ndarray]:
    """Return a long table of waves, slow and quick ones, and the kind of each of its runs."""
    rng = np.random.default_rng(2)
    kinds, parts = rng.integers(0, 2, ROWS), []
    for run, kind in enumerate(kinds):
        # Those to predict may be longer than all of training.
        seconds = np.arange(rng.integers(6, 12 if run < TRAIN else 15))
        wave = np.sin((0.4 + 0.5 * kind) * seconds) + rng.normal(size=len(seconds)) / 3
        wave[rng.random(len(seconds)) < 0.1] = np.nan
        parts.append(pd.DataFrame({"run": 100 + run, "second": seconds, "wave": wave, "level": kind + rng.normal()}))
    return pd.concat(parts, ignore_index=True), kinds


def write(folder: Path) -> None:
    """Write the files of both studies."""
    frame, kinds = sequences()
    train = frame.run < 100 + TRAIN
    frame[train].sample(frac=1, random_state=0).to_csv(folder / "train.csv", index=False)
    frame[~train].to_csv(folder / "test.csv", index=False)
    labels = pd.DataFrame({"run": 100 + np.arange(ROWS), "kind": np.array(["slow", "quick"])[kinds]})
    labels[:TRAIN].sample(frac=1, random_state=1).to_csv(folder / "labels.csv", index=False)
    labels[TRAIN:][::-1].assign(kind=0.5).to_csv(folder / "sample.csv", index=False)
    lengths = frame.groupby("run").size().to_numpy()
    x = np.zeros((ROWS, lengths.max(), 2))
    x[np.arange(x.shape[1]) < lengths[:, None]] = frame[["wave", "level"]]
    for name, rows in (("train", labels.index < TRAIN), ("test", labels.index >= TRAIN)):
        steps = lengths[rows].max()
        known: dict[str, Any] = {"kind": labels.kind[rows].to_numpy(dtype="U")} if name == "train" else {}
        run, own = labels.run[rows].to_numpy(), lengths[rows]
        np.savez(folder / f"{name}.npz", x=x[rows, :steps], lengths=own, run=run, **known)


def ran(folder: Path, home: Path, name: str) -> Study:
    """Return a study that was run."""
    write(folder)
    (folder / f"{name}.yaml").write_text(STUDIES[name] + REST)
    study = workbench.open(str(folder / f"{name}.yaml"), str(home))
    study.run(out=folder / "submission.csv")
    return study


@pytest.mark.parametrize("name", list(STUDIES))
def test_sequences_are_searched_blended_predicted_and_exported(tmp_path: Path, home: Path, name: str) -> None:
    study = ran(tmp_path, home, name)
    dataset = study.task.dataset
    assert (dataset.kind, dataset.x.shape) == ("sequence", (TRAIN, 11, 2))
    assert isinstance(dataset.x, np.ndarray)
    assert np.isnan(dataset.x[:, -1]).any()
    scores = study.leaderboard().set_index("family").score
    assert (scores.drop("constant") < scores["constant"]).all()
    test = tmp_path / ("test.csv" if name == "long" else "test.npz")
    predicted = study.predict(str(test))
    assert predicted.run.tolist() == list(range(100 + TRAIN, 100 + ROWS))
    submitted = pd.read_csv(tmp_path / "submission.csv").set_index("run").loc[predicted.run]
    np.testing.assert_allclose(submitted.iloc[:, -1], predicted.iloc[:, -1], atol=1e-6)
    study.export(out=tmp_path / "model")
    served = exported(tmp_path / "model", pd.read_csv(test) if name == "long" else np.asarray(dataset.x_test))
    np.testing.assert_allclose(served.iloc[:, -1], predicted.iloc[:, -1], atol=1e-6)
    assert (served.run.tolist() == predicted.run.tolist()) == (name == "long")


def exported(model: Path, rows: pd.DataFrame | np.ndarray) -> pd.DataFrame:
    """Return what an exported model predicts; MLflow takes no whole numbers where it promised fractions."""
    import mlflow.pyfunc

    loaded = mlflow.pyfunc.load_model(str(model))
    if isinstance(rows, pd.DataFrame):
        rows = rows.astype({name: "float64" for name in rows.columns if name != "run"})
        shuffled = loaded.predict(rows.sample(frac=1, random_state=0)).sort_values("run", ignore_index=True)
        pd.testing.assert_frame_equal(shuffled, loaded.predict(rows))
    else:
        rows = rows.astype("float32")
    predicted: pd.DataFrame = loaded.predict(rows)
    return predicted


def test_the_study_of_gestures_has_the_data_that_its_script_writes(tmp_path: Path, monkeypatch) -> None:
    file = Path(__file__).parents[1] / "studies" / "gestures.yaml"
    study = config.load(file)
    data.peek(study)
    dataset = data.load(study)
    assert dataset.classes is not None
    assert (dataset.kind, len(dataset.y), len(dataset.classes)) == ("sequence", 180, 4)
    spec = importlib.util.spec_from_file_location("gestures", file.with_suffix(".py"))
    assert spec is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    monkeypatch.setattr(script, "__file__", str(tmp_path / "gestures.py"))
    script.main()
    assert (tmp_path / "gestures.csv").read_bytes() == file.with_name("gestures.csv").read_bytes()
