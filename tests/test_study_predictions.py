"""Blends over everything that was run on the same folds: other studies, and predictions made elsewhere."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import workbench
from workbench import config as configs
from workbench.cli.commands import app
from workbench.errors import ConfigError, DataError, SourceError, StudyError
from workbench.home import Home
from workbench.study.alignment import align
from workbench.study.candidate_pool import Candidate
from workbench.study.external_predictions import read
from workbench.study.nomination import nominate
from workbench.study.task import Task

STUDY = """
name: NAME
data: {train: train.csv, test: test.csv, target: species, id: row}
metric: log_loss
folds: {kind: column, column: part}
families: [linear]
search: {workers: 1}
"""


def tables() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return 100 rows of three kinds of trees with their folds, and 20 rows to predict."""
    rng = np.random.default_rng(3)
    kind = rng.integers(0, 3, 120)
    frame = pd.DataFrame({"row": np.arange(120), "length": kind + rng.normal(size=120), "wide": rng.normal(size=120)})
    frame["species"] = np.array(["oak", "elm", "fir"])[kind]
    frame["part"] = np.arange(120) % 3
    return frame[:100], frame[100:].drop(columns=["species", "part"])


def written(folder: Path, name: str, *changes: tuple[str, str], **files: pd.DataFrame) -> Path:
    """Write the study `name`, with `changes` of its text and tables of its own in the place of train and test."""
    train, test = tables()
    text = STUDY.replace("NAME", name)
    for key, frame in {"train": train, "test": test, **files}.items():
        file = f"{name}-{key}.csv" if key in files else f"{key}.csv"
        frame.to_csv(folder / file, index=False)
        text = text.replace(f"{key}.csv", file)
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (folder / f"{name}.yaml").write_text(text)
    return folder / f"{name}.yaml"


def said(capsys: pytest.CaptureFixture[str], verb: str, file: Path, *words: object) -> Any:
    """Run a verb as the command line does and return the JSON that it prints."""
    capsys.readouterr()
    line = [verb, str(file), *map(str, words), "--home", str(file.parent / "mlruns"), "--json"]
    app(line, standalone_mode=False)
    return json.loads(capsys.readouterr().out)


def guesses(file: Path, share: float = 0.8) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return predictions that give the true class `share`, as a colleague would send them; test rows get thirds."""
    own = open_task(file)
    labels = ["elm", "fir", "oak"]
    oof = own.schema.oof_keys().rename(columns={own.dataset.id_name: "row"})
    y = own.dataset.y[own.schema.rows]
    for number, label in enumerate(labels):
        oof[f"prediction_{label}"] = np.where(y == number, share, (1 - share) / 2)
    test = pd.DataFrame({"row": own.dataset.test_ids, **{f"prediction_{label}": 1 / 3 for label in labels}})
    return oof.drop(columns="repeat").sample(frac=1, random_state=1), test.sample(frac=1, random_state=2)


def given(folder: Path, oof: pd.DataFrame, test: pd.DataFrame | None) -> list[object]:
    """Write predictions, and return the options that name them."""
    oof.to_csv(folder / "their-oof.csv", index=False)
    words: list[object] = ["--oof", folder / "their-oof.csv", "--name", "anna"]
    if test is not None:
        test.to_csv(folder / "their-test.csv", index=False)
        words += ["--test", folder / "their-test.csv"]
    return words


def open_task(file: Path) -> Task:
    return Task(configs.load(file))


def frame(file: Path, run_id: str, name: str = "oof.parquet") -> pd.DataFrame:
    """Return the predictions of a run by their ids, in the order of the ids."""
    (path,) = (file.parent / "mlruns" / "artifacts").glob(f"*/{run_id}/artifacts/{name}")
    return pd.read_parquet(path).set_index("row").sort_index()


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, database: Path) -> Path:
    """A folder with two studies that were run on the same folds: `mixed` has its rows in another order."""
    folder = tmp_path_factory.mktemp("study")
    (folder / "mlruns").mkdir()
    shutil.copy(database, folder / "mlruns" / database.name)
    first = written(folder, "first", ("[linear]", "[linear, extra_trees]"))
    train, test = (table.sample(frac=1, random_state=5) for table in tables())
    changes = ("log_loss", "accuracy"), ("[linear]", "[xgboost]")
    mixed = written(folder, "mixed", *changes, train=train, test=test)
    seeded = written(folder, "seeded", ("[linear]", "[extra_trees]"), ("search:", "seed: 11\nsearch:"))
    for file, trials in ((first, 3), (mixed, 2), (seeded, 2)):
        workbench.open(str(file), str(folder / "mlruns")).run(trials=trials, out=folder / "submission.csv")
    return folder


@pytest.mark.slow
def test_trials_of_another_study_join_where_the_fold_hash_agrees_in_whatever_order_its_rows_are(
    finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, mixed = finished / "first.yaml", finished / "mixed.yaml"
    made = said(capsys, "ensemble", first, "--from", mixed, "--method", "uniform")
    theirs = [member for member in made["members"] if member["study"] == "mixed"]
    assert theirs
    assert {member["name"].split(" #")[0] for member in theirs} == {"mixed/xgboost"}
    assert {member["study"] for member in made["members"]} == {"first", "mixed"}
    own = open_task(first)
    labels = list(own.schema.outputs)
    for member in theirs:
        shown = frame(mixed, member["run_id"])[labels].to_numpy()
        assert member["score"] == pytest.approx(own.metric.score(own.dataset.y, shown))
    for name in ("oof.parquet", "test.parquet"):
        each = [frame(first, member["run_id"], name)[labels] for member in made["members"]]
        blended = sum(part * member["weight"] for part, member in zip(each, made["members"], strict=True))
        assert np.allclose(blended, frame(first, made["run_id"], name)[labels], atol=1e-12), name
    out = finished / "joined.csv"
    assert said(capsys, "submit", first, "-o", out)["run_id"] == made["run_id"]


@pytest.mark.slow
def test_seeds_of_one_configuration_are_one_member_their_mean(
    finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = finished / "first.yaml"
    made = said(capsys, "ensemble", first, "--from", finished / "seeded.yaml", "--method", "uniform")
    (member,) = [each for each in made["members"] if len(each["run_ids"]) > 1]
    assert (member["study"], member["name"], member["run_id"]) == ("first", "extra_trees #0", member["run_ids"][0])
    own = open_task(first)
    one, other = (frame(first, run_id)[list(own.schema.outputs)].to_numpy() for run_id in member["run_ids"])
    assert not np.allclose(one, other)
    assert member["score"] == pytest.approx(own.metric.score(own.dataset.y, (one + other) / 2))


@pytest.mark.slow
def test_the_weights_of_every_trial_behind_a_member_are_needed(
    finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = finished / "first.yaml"
    made = said(capsys, "ensemble", first, "--from", finished / "seeded.yaml", "--method", "uniform")
    store = workbench.open(str(first), str(finished / "mlruns")).store
    runs = {run_id for member in made["members"] for run_id in member["run_ids"]}
    assert store.checkpoints_in_use() == {row.key for row in store.trials() if row.run_id in runs}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "changes", "named"),
    [
        (
            "target",
            {"species,": "length,", "log_loss": "rmse", "row}": "row, drop: [species]}"},
            "target .'length', reg",
        ),
        (
            "folds",
            {"{kind: column, column: part}": "{folds: 4}", "row}": "row, drop: [part]}"},
            "folds .kind 'stratified'",
        ),
        ("rows", {"train.csv": "fewer.csv"}, "rows .90 there and 100 here; only here id 90, 91, 92, … .10 in all"),
        (
            "tests",
            {"test: test.csv, ": ""},
            "must predict the test rows of study 'first', which has 20. Received: none",
        ),
    ],
)
def test_a_study_of_other_rows_target_or_folds_is_refused_with_what_differs(
    finished: Path,
    name: str,
    changes: dict[str, str],
    named: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    tables()[0][:90].to_csv(finished / "fewer.csv", index=False)
    first, other = finished / "first.yaml", written(finished, f"other_{name}", *changes.items())
    own = open_task(other)
    oof = own.schema.oof_keys().assign(**dict.fromkeys(own.schema.outputs, 1 / 3))
    test = (
        None
        if own.dataset.test_ids is None
        else own.schema.test_keys().assign(**dict.fromkeys(own.schema.outputs, 1 / 3))
    )
    said(capsys, "import", other, *given(tmp_path, oof, test))
    with pytest.raises(StudyError, match=named):
        said(capsys, "ensemble", first, "--from", other)


@pytest.mark.slow
def test_a_source_must_have_trials_be_another_and_be_what_it_was_begun_as(
    finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, mixed = finished / "first.yaml", finished / "mixed.yaml"
    with pytest.raises(StudyError, match=r"Study 'empty' has no complete trial in .*mlruns. Run it"):
        said(capsys, "ensemble", first, "--from", written(finished, "empty"))
    for words in ((first,), (mixed, "--from", mixed)):
        with pytest.raises(StudyError, match="--from must name other studies than 'first', each once"):
            said(capsys, "ensemble", first, "--from", *words)
    changed = finished / "changed.yaml"
    changed.write_text(mixed.read_text().replace("id: row", "id: row, drop: [wide]"))
    with pytest.raises(StudyError, match=r"'mixed' was begun otherwise: data.drop: \[\] -> \[wide\]\."):
        said(capsys, "ensemble", first, "--from", changed)


@pytest.mark.slow
def test_an_imported_table_joins_the_blend_and_is_replaced_by_one_of_its_name(
    tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = written(tmp_path, "alone")
    workbench.open(str(file), str(home)).run(trials=2, out=tmp_path / "submission.csv")
    words = given(tmp_path, *guesses(file))
    taken = said(capsys, "import", file, *words)
    assert taken == {"run_id": taken["run_id"], "score": pytest.approx(-np.log(0.8)), "replaced": False}
    made = said(capsys, "ensemble", file)
    member = made["members"][0]
    assert (member["run_id"], member["family"], member["name"]) == (taken["run_id"], "anna", "anna")
    assert member["weight"] > 0.3
    assert made["best_single"] == pytest.approx(taken["score"])
    better = said(capsys, "import", file, *given(tmp_path, *guesses(file, 0.9)))
    assert better == {"run_id": better["run_id"], "score": pytest.approx(-np.log(0.9)), "replaced": True}
    again = said(capsys, "ensemble", file)
    assert {m["run_id"] for m in again["members"] if m["family"] == "anna"} == {better["run_id"]}
    neighbour = written(tmp_path, "neighbour")
    workbench.open(str(neighbour), str(home)).run(trials=2, out=tmp_path / "submission.csv")
    joined = said(capsys, "ensemble", neighbour, "--from", file)
    assert joined["members"][0]["name"] == "alone/anna"
    assert joined["members"][0]["run_id"] == better["run_id"]


@pytest.mark.slow
def test_a_study_without_a_trial_takes_predictions_and_blends_them(
    tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = written(tmp_path, "fresh")
    taken = said(capsys, "import", file, *given(tmp_path, *guesses(file)))
    facts, own = Home(home), open_task(file)
    assert json.loads(facts.fingerprint("fresh").read_text())["folds"] == own.folds.hash
    run = workbench.open(str(file), str(home)).store.tracker
    assert [(each.name, each.score) for each in run.imports("log_loss")] == [("anna", taken["score"])]
    test = run.predictions(taken["run_id"], own.schema).test
    assert test is not None
    assert np.allclose(test, 1 / 3)
    made = said(capsys, "ensemble", file)
    assert [member["family"] for member in made["members"]] == ["anna"]
    assert said(capsys, "submit", file, "-o", tmp_path / "s.csv")["rows"] == 20
    with pytest.raises(StudyError, match="has no trials yet"):
        said(capsys, "leaderboard", file)


def test_a_study_that_is_being_run_takes_nothing(
    tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = written(tmp_path, "busy")
    words = given(tmp_path, *guesses(file))
    with Home(home).lock("busy"), pytest.raises(StudyError, match="being run by another process"):
        said(capsys, "import", file, *words)


Change = Callable[[pd.DataFrame], pd.DataFrame]


def put(column: str, value: Any, rows: int = 1) -> Change:
    """Return what writes a value into the first rows, by id, of a column."""

    def change(frame: pd.DataFrame) -> pd.DataFrame:
        changed = frame.sort_values("row").astype({column: object})
        changed.iloc[:rows, list(changed).index(column)] = value
        return changed

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.drop(columns="fold"), "must have the columns row, fold and predictions. .* Add fold"),
        (lambda f: f.rename(columns={"row": "key"}), "must have the columns row, fold .* Received: key, fold"),
        (
            lambda f: f.sort_values("row")[3:],
            "the study's 100 ids. Received: none of 3 .0, 1, 2.. Train with the folds",
        ),
        (lambda f: pd.concat([f, f.sort_values("row")[:2]]), "every id once. Received: 2 more than once .0, 1.. Train"),
        (put("row", 700), r"Received: 1 others \(700\) and none of 1 \(0\)"),
        (put("row", None, 4), "column 'row' must have a value in every row. Received: 4 rows without"),
        (
            put("fold", 2, 4),
            "fold' must be .* Received: 3 of 100 rows with another, the first id 0: 2, where the study h",
        ),
        (put("fold", "one"), "column 'fold' must hold whole numbers from 0. Received: 1 values .* 'one'"),
        (put("prediction_elm", None, 2), "must be finite numbers. Received: 2 of 100 rows .* first id 0"),
        (put("prediction_elm", "elm"), "must be finite numbers. Received: 1 of 100 rows .* first id 0: elm, "),
        (put("prediction_elm", 1.5), "must be probabilities. Received: 1 of 100 rows .* first id 0: 1.5"),
        (put("prediction_elm", 0.95), "must be probabilities that sum to 1. Received: 1 of 100 rows"),
        (
            lambda f: f.drop(columns="prediction_fir"),
            "predictions in prediction_elm, prediction_fir, prediction_oak or in",
        ),
    ],
)
def test_predictions_that_do_not_fit_are_refused_with_what_is_wrong(
    tmp_path: Path, change: Change, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = written(tmp_path, "strict")
    oof, test = guesses(file)
    with pytest.raises(DataError, match=message):
        said(capsys, "import", file, *given(tmp_path, change(oof), test))
    assert not (tmp_path / "mlruns").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda f: f.sort_values("row")[1:],
            "the study's 20 ids. Received: none of 1 .100.. Predict the rows of data.test",
        ),
        (put("row", 3), "Received: 1 others .3. and none of 1 .100."),
        (put("prediction_oak", np.inf), "must be finite numbers. Received: 1 of 20 rows .* first id 100"),
    ],
)
def test_test_predictions_that_do_not_fit_are_refused(
    tmp_path: Path, change: Change, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = written(tmp_path, "strict")
    oof, test = guesses(file)
    with pytest.raises(DataError, match=message):
        said(capsys, "import", file, *given(tmp_path, oof, change(test)))


def test_options_that_cannot_be_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = written(tmp_path, "strict")
    oof, test = guesses(file)
    with pytest.raises(ConfigError, match="--test must name predictions for the 20 test rows"):
        said(capsys, "import", file, *given(tmp_path, oof, None))
    for name, message in (("an na", "must be letters"), ("xgboost", "must not be that of a family.*'my_xgboost'")):
        words = [name if word == "anna" else word for word in given(tmp_path, oof, test)]
        with pytest.raises(ConfigError, match=f"--name {message}"):
            said(capsys, "import", file, *words)
    with pytest.raises(SourceError, match=r"nowhere\.csv"):
        said(capsys, "import", file, *given(tmp_path, oof, test), "--oof", tmp_path / "nowhere.csv")
    untested = written(tmp_path, "untested", ("test: test.csv, ", ""))
    with pytest.raises(ConfigError, match=r"--test does not go with .* no rows to predict. Leave it out"):
        said(capsys, "import", untested, *given(tmp_path, oof, test))


def two(folder: Path, name: str, *changes: tuple[str, str]) -> Path:
    """Write a study of two classes that are dealt twice."""
    train, _ = tables()
    train = train.assign(species=np.where(train.species == "oak", "oak", "elm")).drop(columns="part")
    deal = ("{kind: column, column: part}", "{folds: 3, repeats: 2}"), ("test: test.csv, ", "")
    return written(folder, name, *deal, *changes, train=train)


@pytest.mark.parametrize("columns", [["prediction"], ["prediction_oak"], ["prediction_elm", "prediction_oak"], ["oak"]])
def test_of_two_classes_the_second_one_is_predicted_once_in_every_repeat(tmp_path: Path, columns: list[str]) -> None:
    own = open_task(two(tmp_path, "two"))
    p = np.random.default_rng(1).random(200)
    oof = own.schema.oof_keys()
    for name in columns:
        oof[name] = 1 - p if name.endswith("elm") else p
    oof.sample(frac=1, random_state=1).to_parquet(tmp_path / "oof.parquet")
    result = read(own, "anna", tmp_path / "oof.parquet", None)
    assert result.oof is not None
    assert np.allclose(result.oof, p)
    assert len(result.fold_scores) == 6
    assert result.score == pytest.approx(own.metric.score(own.dataset.y[own.schema.rows], p))
    oof.drop(columns="repeat").to_parquet(tmp_path / "once.parquet")
    with pytest.raises(DataError, match="must have the columns row, fold, repeat and predictions"):
        read(own, "anna", tmp_path / "once.parquet", None)
    oof.drop(index=100).to_parquet(tmp_path / "less.parquet")
    with pytest.raises(DataError, match=r"none of 1 \(0 \(repeat 1\)\)"):
        read(own, "anna", tmp_path / "less.parquet", None)


def test_the_probability_of_the_first_of_two_classes_is_not_taken_for_the_seconds(tmp_path: Path) -> None:
    own = open_task(two(tmp_path, "two"))
    own.schema.oof_keys().assign(prediction_elm=0.5).to_csv(tmp_path / "oof.csv", index=False)
    with pytest.raises(DataError, match=r"in prediction or in prediction_oak or in oak. Received: prediction_elm"):
        read(own, "anna", tmp_path / "oof.csv", None)


def test_rounded_probabilities_are_made_to_sum_to_one(tmp_path: Path) -> None:
    own = open_task(written(tmp_path, "rounded"))
    oof, test = guesses(tmp_path / "rounded.yaml", 1 / 3)
    for table, name in ((oof, "their-oof.csv"), (test, "their-test.csv")):
        table.round(4).to_csv(tmp_path / name, index=False)
    result = read(own, "anna", tmp_path / "their-oof.csv", tmp_path / "their-test.csv")
    assert result.oof is not None
    assert np.allclose(result.oof.sum(axis=1), 1, atol=1e-12)


def test_what_makes_folds_differ_is_named(tmp_path: Path) -> None:
    train, test = tables()
    own = open_task(written(tmp_path, "own"))
    changed = train.assign(species=np.where(train.row < 2, "ash", train.species))
    others = {
        "target .'species' there and 'species' here; 2 of 100 values, the first of id 0: ash there": {"train": changed},
        r"rows \(101 there and 100 here; only there id 900\)": {
            "train": pd.concat([train, train[:1].assign(row=900)]),
        },
        r"data.test \(19 there and 20 here; only here id 100\)": {"test": test[1:]},
    }
    for number, (message, files) in enumerate(others.items()):
        other = open_task(written(tmp_path, f"other{number}", **files))
        with pytest.raises(StudyError, match=message):
            align(own, other)


def test_reversed_classes_and_the_same_folds_over_another_order_are_named(tmp_path: Path) -> None:
    own = open_task(two(tmp_path, "two"))
    turned = open_task(two(tmp_path, "turned", ("id: row", "id: row, positive: elm")))
    with pytest.raises(StudyError, match=r"target \(classes oak, elm there and elm, oak here, see data.positive\)"):
        align(own, turned)
    reseeded = open_task(two(tmp_path, "reseeded", ("repeats: 2", "repeats: 2, seed: 9")))
    with pytest.raises(StudyError, match=r"What differs: folds \(seed 9 there and 7 here\)\. Give"):
        align(own, reseeded)
    path = two(tmp_path, "mixed")
    mixed = pd.read_csv(tmp_path / "mixed-train.csv").sample(frac=1, random_state=1)
    mixed.to_csv(tmp_path / "mixed-train.csv", index=False)
    with pytest.raises(StudyError, match=r"folds \(the same deal over rows in another order\)"):
        align(own, open_task(path))


def candidate(study: str, family: str, number: int, score: float) -> Candidate:
    name = f"{study}/{family} #{number}"
    return Candidate(name, study, family, name, score, name, (name,))


def test_studies_take_turns_and_the_best_of_each_family_come_first() -> None:
    one = [candidate("a", "mlp", 0, 0.1), candidate("a", "mlp", 1, 0.2), candidate("a", "linear", 0, 0.3)]
    two = [candidate("b", "constant", 0, 0.0), candidate("b", "mlp", 0, 0.9)]
    names = [each.name for each in nominate([one, two], 4)]
    assert len(names) == 4
    assert set(names[:3]) == {"a/mlp #0", "a/linear #0", "b/mlp #0"}
    assert names[3] == "a/mlp #1"
    assert [each.name for each in nominate([[], two[:1]], 4)] == ["b/constant #0"]
    assert "b/constant #0" in [each.name for each in nominate([one, two], 4, baseline=True)]
