from __future__ import annotations

import gzip
import itertools
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

import workbench
from workbench import config, data
from workbench.autoconfig.draft import MANY_ROWS, draft, study_name
from workbench.errors import ConfigError, DataError, SourceError
from workbench.evaluation import folds
from workbench.study.study_validation import check

ROWS = 60
SCHEMA = Path(config.__file__).parent.with_name("study.schema.json")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder `sales`, and a current folder beside it."""
    (tmp_path / "here").mkdir()
    (tmp_path / "sales").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "sales"


def table(**columns) -> pd.DataFrame:
    chance = np.random.default_rng(0)
    return pd.DataFrame({"id": np.arange(100, 100 + ROWS), "size": chance.normal(size=ROWS).round(3), **columns})


def put(folder: Path, train: pd.DataFrame, lacks: list[str], sample: pd.DataFrame | None = None) -> str:
    """Write train, test (the first rows again, without some columns) and a sample submission."""
    train.to_csv(folder / "train.csv", index=False)
    train.head(10).drop(columns=lacks).to_csv(folder / "test.csv", index=False)
    if sample is not None:
        sample.to_csv(folder / "sample_submission.csv", index=False)
    return str(folder / "train.csv")


def answers(**columns) -> pd.DataFrame:
    return pd.DataFrame({"id": np.arange(100, 110), **columns})


def classes(*names) -> list[Any]:
    return [names[i % len(names)] for i in range(ROWS)]


def document(path: Path) -> dict[str, Any]:
    written: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return written


def test_a_folder_in_competition_form_becomes_a_study_that_loads_its_data(folder):
    made = draft(put(folder, table(y=classes("no", "yes")), ["y"], answers(y=0.5)))
    assert made.path == Path("sales.yaml")
    assert (made.target, made.task, made.metric) == ("y", "binary", "roc_auc")
    written = document(made.path)
    assert written["name"] == "sales"
    assert written["data"] == {
        "train": "../sales/train.csv",
        "test": "../sales/test.csv",
        "sample_submission": "../sales/sample_submission.csv",
        "target": "y",
        "id": "id",
    }
    assert written["also"] == ["log_loss"]
    assert written["folds"]["kind"] == "stratified"
    study = config.load(made.path)
    check(study)
    dataset = data.load(study)
    assert list(dataset.x.columns) == ["size"]
    assert dataset.test_ids is not None
    assert (len(dataset.test_ids), dataset.classes) == (10, ("no", "yes"))


def test_files_that_lie_beside_train_are_named_in_the_notes(folder):
    made = draft(put(folder, table(y=classes("a", "b")), ["y"], answers(y=0.5)))
    assert "test.csv was found beside train.csv" in made.notes
    assert "sample_submission.csv was found beside train.csv" in made.notes


@pytest.mark.parametrize("name", ["gender_submission.csv", "sampleSubmission.csv.gz"])
def test_a_sample_submission_is_known_by_its_usual_names(folder, name):
    train = put(folder, table(y=classes("a", "b")), ["y"])
    answers(y="a").to_csv(folder / name, index=False)
    assert document(draft(train).path)["data"]["sample_submission"] == f"../sales/{name}"


def test_the_test_file_with_the_suffixes_of_train_is_taken_among_several(folder):
    train = put(folder, table(y=classes("a", "b")), ["y"])
    (folder / "test.csv.gz").write_bytes(gzip.compress((folder / "test.csv").read_bytes()))
    assert document(draft(train).path)["data"]["test"] == "../sales/test.csv"


def test_the_test_of_adult_train_is_adult_test(folder):
    put(folder, table(y=classes("a", "b")), ["y"])
    (folder / "train.csv").rename(folder / "adult_train.csv")
    (folder / "test.csv").rename(folder / "adult_test.csv")
    made = draft(str(folder / "adult_train.csv"))
    assert made.path.name == "adult_train.yaml"
    assert document(made.path)["data"]["test"] == "../sales/adult_test.csv"


def test_a_test_file_of_another_table_is_left_aside_and_that_is_said(folder):
    train = put(folder, table(a=1.5, b=2.5, label=classes("a", "b")), [])
    pd.DataFrame({"id": [1], "what": [2], "else": [3]}).to_csv(folder / "test.csv", index=False)
    made = draft(train)
    assert "test" not in document(made.path)["data"]
    assert any(note.startswith("test.csv is left aside") for note in made.notes)


def test_a_named_test_that_shares_no_column_is_refused(folder):
    train = put(folder, table(label=classes("a", "b")), [])
    pd.DataFrame({"what": [2]}).to_csv(folder / "other.csv", index=False)
    with pytest.raises(ConfigError, match=r"--test must have the feature columns of train.csv. Received: what"):
        draft(train, test=str(folder / "other.csv"))


def test_of_several_columns_that_test_lacks_the_sample_names_the_target_and_the_others_are_dropped(folder):
    frame = table(sold=classes(1.5, 2.5, 3.25), leak=1.0, seller="x")
    made = draft(put(folder, frame, ["sold", "leak", "seller"], answers(sold=0.1)))
    assert (made.target, made.task, made.metric) == ("sold", "regression", "rmse")
    assert document(made.path)["data"]["drop"] == ["leak", "seller"]
    assert document(made.path)["also"] == ["mae", "r2"]
    assert document(made.path)["folds"]["kind"] == "kfold"
    assert any("leak, seller" in note for note in made.notes)


@pytest.mark.parametrize("prefix", ["state_", ""])
def test_a_sample_with_a_column_for_each_class_names_the_target(folder, prefix):
    frame = table(state=classes("new", "old", "lost"), code=classes(7, 8, 9))
    shown = {f"{prefix}{name}": 1 / 3 for name in ("lost", "new", "old")}
    made = draft(put(folder, frame, ["state", "code"], answers(**shown)))
    assert (made.target, made.task, made.metric) == ("state", "multiclass", "log_loss")
    assert document(made.path)["also"] == ["accuracy"]


@pytest.mark.parametrize(
    ("columns", "target"),
    [
        ({"Label": classes("a", "b"), "weight": 1.5}, "Label"),
        ({"colour": classes("a", "b"), "price": np.arange(ROWS) / 7}, "price"),
    ],
)
def test_without_a_test_the_target_is_known_by_its_name_or_is_the_last_column(folder, columns, target):
    table(**columns).to_csv(folder / "train.csv", index=False)
    assert draft(str(folder / "train.csv")).target == target


@pytest.mark.parametrize(
    "last",
    [
        pd.date_range("2024-01-01", periods=ROWS).astype(str),
        [f"name {i}" for i in range(ROWS)],
        ["same"] * ROWS,
    ],
)
def test_a_last_column_that_cannot_be_learnt_is_not_taken_and_the_columns_are_listed(folder, last):
    table(last=last).to_csv(folder / "train.csv", index=False)
    with pytest.raises(ConfigError, match=r"Columns: id, size, last. Name it with --target COLUMN."):
        draft(str(folder / "train.csv"))
    assert draft(str(folder / "train.csv"), target="size").target == "size"
    assert list(Path().iterdir()) == [Path("sales.yaml")]


def shop(**columns: Any) -> pd.DataFrame:
    return table(Month=classes("Feb", "May", "Nov"), Weekend=classes(False, True), **columns)


def test_a_training_file_without_the_target_is_refused(folder):
    train = put(folder, shop(), [], answers(Revenue=0.5))
    wanted = (
        r"train.csv must have the target. sample_submission.csv predicts 'Revenue', which train.csv lacks. test.csv "
        r"has every column of train.csv. Name the file that has it, or name the column to predict with --target COLUMN."
    )
    with pytest.raises(ConfigError, match=wanted):
        draft(train)
    assert draft(train, target="Weekend").target == "Weekend"


@pytest.mark.parametrize("sample", [None, "prediction"])
def test_without_a_column_that_test_lacks_no_target_is_guessed(folder, sample):
    shown = None if sample is None else answers(**{sample: 0.5})
    train = put(folder, shop(row_id=np.arange(ROWS)), ["row_id"], shown)
    with pytest.raises(
        ConfigError, match=r"train.csv must have a column that test.csv lacks, the target. Received: id, s"
    ):
        draft(train)


def test_a_column_that_test_lacks_is_no_target_if_the_sample_predicts_another(folder):
    train = put(folder, shop(comment=classes("x", "y")), ["comment"], answers(Revenue=0.5))
    with pytest.raises(
        ConfigError, match=r"predicts 'Revenue', which train.csv lacks. Columns that test.csv lacks: comm"
    ):
        draft(train)


def test_without_a_test_the_sample_decides_whether_the_target_is_there(folder):
    shop().to_csv(folder / "train.csv", index=False)
    answers(Revenue=0.5).to_csv(folder / "sample_submission.csv", index=False)
    with pytest.raises(ConfigError, match=r"predicts 'Revenue', which train.csv lacks. Name the file"):
        draft(str(folder / "train.csv"))
    answers(Weekend=0.5).to_csv(folder / "sample_submission.csv", index=False)
    assert draft(str(folder / "train.csv")).target == "Weekend"


@pytest.mark.parametrize(
    ("shown", "lacks", "target"),
    [
        ({"Month_Feb": 0.2, "Month_May": 0.3, "Month_Nov": 0.5}, ["Month", "Weekend"], "Month"),
        ({"Feb": 0.2, "May": 0.3, "Nov": 0.5}, ["Month", "Weekend"], "Month"),
        ({"c1": 0.2, "c2": 0.3, "c3": 0.5}, ["Month", "Weekend"], "Month"),
        ({"month": "Feb"}, ["Month", "Weekend"], "Month"),
        ({"predicted_weekend": 0.5}, ["Month", "Weekend"], "Weekend"),
        ({"Weekend_prob": 0.5}, ["Month", "Weekend"], "Weekend"),
        ({"Weekend": 0.5, "Month": "May"}, ["Month", "Weekend"], ["Weekend", "Month"]),
        ({"Weekend": 0.5, "Month_Feb": 0, "Month_May": 0, "Month_Nov": 1}, ["Month", "Weekend"], ["Weekend", "Month"]),
        # The test file may have the target too, as a placeholder.
        ({"Weekend": 0.5}, [], "Weekend"),
        ({"prediction": 0.5}, ["Month"], "Month"),
        ({"prediction": 0.5}, ["Month", "Weekend"], "Weekend"),
    ],
)
def test_the_target_is_what_the_sample_predicts(folder, shown, lacks, target):
    assert draft(put(folder, shop(), lacks, answers(**shown))).target == target


def test_a_column_that_is_empty_in_the_test_is_the_target_if_the_test_lacks_none(folder):
    train = put(folder, shop(), [])
    pd.read_csv(folder / "test.csv").assign(Weekend=None).to_csv(folder / "test.csv", index=False)
    assert draft(train).target == "Weekend"


def test_the_ids_of_a_sample_need_not_come_first(folder):
    shown = answers(y=0.5)[["y", "id"]].sample(frac=1, random_state=0)
    made = draft(put(folder, shop(y=classes("a", "b")), ["y"], shown))
    assert (made.target, made.metric, document(made.path)["data"]["id"]) == ("y", "roc_auc", "id")


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("Month", "month"),
        ("Page Values", "page_values"),
        ("Page Values", " PageValues"),
        ("price (EUR)", "price EUR"),
        ("Größe", "Gro\u0308ße"),
        ("Größe", "groesse"),
        ("temperature", "temprature"),
        ("temperature", "tempertaure"),
    ],
)
def test_a_column_with_a_near_name_in_the_test_is_not_dropped_but_refused(folder, name, other):
    frame = table(**{name: classes(1, 2, 3, 4, 5), "y": classes("a", "b")})
    train = put(folder, frame, ["y"], answers(y=0.5))
    pd.read_csv(folder / "test.csv").rename(columns={name: other}).to_csv(folder / "test.csv", index=False)
    words = re.escape(f"test.csv has {other!r}, train.csv has {name!r}: rename one of them.")
    with pytest.raises(ConfigError, match=words):
        draft(train)
    (folder / "study.yaml").write_text(yaml.safe_dump({"name": "s", "families": ["linear"], "data": {
        "train": "train.csv", "test": "test.csv", "target": "y", "id": "id"}}))  # fmt: skip
    with pytest.raises(DataError, match=words):
        data.load(config.load(folder / "study.yaml"))


def test_a_test_whose_names_all_differ_in_case_is_not_left_aside(folder):
    train = put(folder, shop(y=classes("a", "b")), ["y"])
    pd.read_csv(folder / "test.csv").rename(columns=str.upper).to_csv(folder / "test.csv", index=False)
    with pytest.raises(ConfigError, match=r"test.csv has 'ID', train.csv has 'id'; .* rename one of each pair."):
        draft(train)


def test_columns_whose_names_differ_by_a_number_are_no_pair(folder):
    train = put(folder, table(lag_1=1.5, lag_2=2.5, y=classes("a", "b")), ["y"])
    pd.read_csv(folder / "test.csv").rename(columns={"lag_1": "lag_3"}).to_csv(folder / "test.csv", index=False)
    assert document(draft(train).path)["data"]["drop"] == ["lag_1"]


def test_the_columns_are_summarised_with_what_becomes_of_them(folder):
    frame = table(
        town=[None, *classes("Rome", "Oslo")[1:]],
        code=[f"c{n}" for n in range(ROWS)],
        same=3,
        hollow=None,
        leak=classes(1, 2),
        y=[None, None, None, *classes("a", "b")[3:]],
    )
    train = put(folder, frame.rename(columns={"code": "row_id"}), ["leak", "y"], answers(y=0.5))
    test = pd.read_csv(folder / "test.csv").assign(extra="x")
    test.loc[:4, "size"] = None
    test.to_csv(folder / "test.csv", index=False)
    found = {each.name: each for each in draft(train).columns}
    uses = {name: (each.use, each.reason) for name, each in found.items()}
    assert uses == {
        "id": ("id", None),
        "size": ("feature", None),
        "town": ("feature", None),
        "row_id": ("dropped", "different in every row"),
        "same": ("dropped", "constant"),
        "hollow": ("dropped", "empty"),
        "leak": ("dropped", "test.csv lacks it"),
        "y": ("target", None),
        "extra": ("dropped", "train.csv lacks it"),
    }
    assert (found["town"].kind, found["town"].levels, found["town"].example) == ("category", 2, "Oslo")
    assert (found["town"].missing, found["town"].missing_test) == (1 / ROWS, 0.1)
    assert (found["size"].missing, found["size"].missing_test) == (0, 0.5)
    assert (found["y"].missing, found["y"].missing_test) == (0.05, None)
    assert (found["extra"].missing, found["extra"].levels, found["extra"].example) == (None, 0, "x")


def test_the_columns_of_a_long_table_are_those_of_its_steps_and_its_labels(folder):
    run = np.repeat(np.arange(10), 4)
    frame = pd.DataFrame({"run": run, "step": np.tile(np.arange(4), 10), "speed": np.arange(40) * 0.5})
    frame.to_csv(folder / "train.csv", index=False)
    labels = pd.DataFrame({"run": range(10), "kind": ["a", "b"] * 5})
    labels.to_csv(folder / "labels.csv", index=False)
    made = draft(str(folder / "train.csv"), target="kind")
    assert [(each.name, each.use, each.levels) for each in made.columns] == [
        ("run", "id", 10),
        ("step", "steps", 4),
        ("speed", "feature", 40),
        ("kind", "target", 2),
    ]


def init(*arguments: str) -> str:
    command = [sys.executable, "-m", "workbench", "init", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_init_prints_the_columns_as_they_are_called_and_counts_those_of_a_wide_table(folder):
    wide = {f"column {n}": 1.5 for n in range(50)}
    train = put(folder, table(**{"[bold]a[/]": classes("x", "[/y]")}, **wide, y=classes("a", "b")), ["y"])
    lines = init(train).splitlines()
    assert sum("column " in line and "constant" in line for line in lines) == 40 - 3
    assert any("[bold]a[/]" in line and "│ x " in line for line in lines)
    assert any(line.startswith("14 more columns, 13 of them dropped: workbench init --json") for line in lines)
    document = json.loads(init(train, "--json", "--force"))
    assert list(document) == ["path", "target", "task", "metric", "notes", "columns"]
    assert len(document["columns"]) == 54
    assert document["columns"][2] == {
        "name": "[bold]a[/]",
        "use": "feature",
        "reason": None,
        "kind": "category",
        "missing": 0.0,
        "missing_test": 0.0,
        "levels": 2,
        "example": "x",
    }


def test_a_misspelt_target_is_refused_with_the_word_meant(folder):
    train = put(folder, table(price=np.arange(ROWS) / 7), ["price"])
    with pytest.raises(
        ConfigError, match=r"--target must be a column of train.csv. Received: 'prise'. Did you mean 'pr"
    ):
        draft(train, target="prise")


def test_a_column_named_like_an_id_is_one_only_where_it_differs_in_every_row(folder):
    frame = table(y=classes("a", "b"), shop_id=classes(*range(12))).rename(columns={"id": "OrderId"})
    made = draft(put(folder, frame, ["y"]))
    assert document(made.path)["data"]["id"] == "OrderId"
    assert any(note.startswith("perhaps a group: shop_id") for note in made.notes)
    repeated = frame.assign(OrderId=classes(1, 2, 3))
    assert "id" not in document(draft(put(folder, repeated, ["y"]), force=True).path)["data"]


def test_a_column_of_the_sample_that_repeats_is_no_id(folder):
    frame = table(y=classes("a", "b")).assign(id=classes(1, 2))
    made = draft(put(folder, frame, ["y"], answers(y=0.5)))
    assert "id" not in document(made.path)["data"]
    assert any(note.startswith("no id: id of the sample submission does not name") for note in made.notes)


def test_an_id_that_the_sample_calls_otherwise_is_known_by_its_values(folder):
    made = draft(put(folder, table(y=classes("a", "b")), ["y"], answers(y=0.5).rename(columns={"id": "row"})))
    assert document(made.path)["data"]["id"] == "id"


def test_a_second_id_never_becomes_a_feature(folder):
    frame = table(y=classes("a", "b"), user_id=[f"u{i}" for i in range(ROWS)])
    assert document(draft(put(folder, frame, ["y"])).path)["data"]["drop"] == ["user_id"]


def test_an_id_that_test_lacks_is_dropped(folder):
    train = put(folder, table(y=classes("a", "b"), age=1.5), ["id", "y"])
    written = document(draft(train, target="y").path)["data"]
    assert written["drop"] == ["id"]
    assert "id" not in written


@pytest.mark.parametrize(
    ("values", "shown", "task", "metric"),
    [
        (classes("no", "yes"), "no", "binary", "accuracy"),
        (classes("no", "yes"), 0.5, "binary", "roc_auc"),
        (classes(True, False), False, "binary", "accuracy"),
        (classes(0, 1), classes(0, 1)[:10], "binary", "accuracy"),
        (classes(0, 1), 0.0, "binary", "roc_auc"),
        (classes(0, 1), 0.25, "binary", "roc_auc"),
        (classes(1, 2, 3), 1, "multiclass", "accuracy"),
        (classes(1, 2, 3), 1.0, "multiclass", "accuracy"),
        (classes(1, 2, 3), 1.8, "regression", "rmse"),
        (np.arange(ROWS) * 1.5, 0, "regression", "rmse"),
    ],
)
def test_task_and_metric_follow_from_target_and_sample(folder, values, shown, task, metric):
    made = draft(put(folder, table(y=values), ["y"], answers(y=shown)))
    assert (made.task, made.metric) == (task, metric)


@pytest.mark.parametrize(
    ("values", "metric", "task", "also"),
    [
        (classes("no", "yes"), "log_loss", "binary", ["accuracy"]),
        (classes("no", "yes"), "mcc", "binary", ["log_loss"]),
        (classes(1, 2, 3), "mae", "regression", ["rmse", "r2"]),
        (classes(1, 2, 3), "qwk", "multiclass", ["log_loss"]),
        (np.arange(ROWS) * 1.5, "mae", "regression", ["rmse", "r2"]),
    ],
)
def test_a_metric_that_is_given_is_taken_and_says_what_the_task_is(folder, values, metric, task, also):
    made = draft(put(folder, table(y=values), ["y"]), metric=metric)
    written = document(made.path)
    assert (made.task, written["task"], written["metric"], written["also"]) == (task, task, metric, also)
    assert config.load(made.path).metric == metric


def test_a_sample_of_zeros_alone_is_labels_with_a_doubt_that_is_told(folder):
    made = draft(put(folder, table(y=classes(0, 1)), ["y"], answers(y=0)))
    assert made.metric == "accuracy"
    assert any("set metric: roc_auc" in note for note in made.notes)


def test_a_target_that_cannot_be_learnt_yet_is_drafted_with_the_reason(folder):
    made = draft(put(folder, table(y=[*classes("a")[:-1], None]), ["y"]))
    assert any("before it can run" in note and "two classes or more" in note for note in made.notes)


def test_rows_without_a_target_are_counted_in_a_note(folder):
    made = draft(put(folder, table(y=[*classes("a", "b")[:-1], None]), ["y"]))
    assert "left out 1 of 60 rows of train.csv without the target 'y'" in made.notes
    assert len(data.load(config.load(made.path)).y) == 59


def test_several_targets_of_arrays_may_have_gaps(folder):
    y = np.stack([np.arange(ROWS) % 2, np.arange(ROWS) + 0.5], axis=1)
    y[3, 1] = np.nan
    np.savez(folder / "train.npz", x=np.random.default_rng(0).normal(size=(ROWS, 4)), y=y)
    made = draft(str(folder / "train.npz"))
    assert made.target == ["y0", "y1"]
    assert "left out 1 of 60 rows of train.npz without one of the targets (missing: 'y1' in 1)" in made.notes


def uncommented(path: Path, *keys: str) -> None:
    """Remove the comments before `keys`; a line that has such a key already gives way to them."""
    live, hints = tuple(f"{key}:" for key in keys), tuple(f"# {key}:" for key in keys)
    lines = [line for line in path.read_text().splitlines() if not line.strip().startswith(live)]
    bare = [line.replace("# ", "", 1) if line.strip().startswith(hints) else line for line in lines]
    path.write_text("\n".join(bare))


def test_the_hints_of_a_group_hold_when_their_comments_are_removed(folder):
    frame = table(y=classes("a", "b"), patient_nbr=classes(*range(900, 920)))
    made = draft(put(folder, frame, ["y"]))
    assert config.load(made.path).data.group is None
    uncommented(made.path, "group", "kind")
    study = config.load(made.path)
    dataset = data.load(study)
    dealt = folds.make(study.folds, task=dataset.task, y=dataset.y, ids=dataset.ids, groups=dataset.groups)
    assert dealt.kind == "group_stratified"


def test_the_hints_of_a_time_hold_when_their_comments_are_removed(folder):
    frame = table(y=np.arange(ROWS) / 7, day=pd.date_range("2024-01-01", periods=ROWS).astype(str))
    made = draft(put(folder, frame, ["y"]))
    uncommented(made.path, "time", "kind")
    study = config.load(made.path)
    dataset = data.load(study)
    assert folds.make(study.folds, task="regression", y=dataset.y, ids=dataset.ids, time=dataset.time).kind == "time"


def later(folder: Path, frame: pd.DataFrame, train: int) -> str:
    """Write the first rows as training data, and those after them without the target as rows to predict."""
    frame[:train].to_csv(folder / "train.csv", index=False)
    frame[train:].drop(columns="y").to_csv(folder / "test.csv", index=False)
    return str(folder / "train.csv")


def in_time(**columns) -> pd.DataFrame:
    return table(y=np.arange(ROWS) / 7, **columns)


@pytest.mark.parametrize(
    ("columns", "time", "lags", "windows"),
    [
        ({"day": pd.date_range("2024-01-01", periods=ROWS).astype(str)}, ["day"], [1, 7], [7, 28]),
        ({"at": pd.date_range("2024-01-01", periods=ROWS, freq="h").astype(str)}, ["at"], [1, 24], [24, 72]),
        ({"at": pd.date_range("2015-01-01", periods=ROWS, freq="MS").astype(str)}, ["at"], [1, 12], [3, 12]),
        ({"yr": np.arange(ROWS) // 12 + 2015, "mnth": np.arange(ROWS) % 12 + 1}, ["yr", "mnth"], [1, 12], [3, 12]),
        (
            {"day": (pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(ROWS) // 24, "D")).astype(str)}
            | {"hr": np.arange(ROWS) % 24},
            ["day", "hr"],
            [1, 24],
            [24, 72],
        ),
    ],
)
def test_where_later_rows_are_to_be_predicted_folds_and_windows_are_in_order_of_time(
    folder, columns, time, lags, windows
):
    made = draft(later(folder, in_time(**columns), 50))
    written = document(made.path)
    assert written["folds"]["kind"] == "time"
    assert written["data"]["time"] == (time[0] if len(time) == 1 else time)
    assert (written["data"]["lags"], written["data"]["windows"]) == (lags, windows)
    assert any(note.startswith(f"time: {', '.join(time)}; all rows to predict are later") for note in made.notes)
    uncommented(made.path, "horizon")
    study = config.load(made.path)
    assert study.data.horizon == 10
    dataset = data.load(study)
    assert isinstance(dataset.x_test, pd.DataFrame)
    assert f"size lag {lags[0]}" in dataset.x_test
    assert dataset.x_test["y lag 10"].notna().all()


def test_series_are_told_apart_by_the_columns_that_do(folder):
    days = np.repeat(pd.date_range("2024-01-01", periods=ROWS // 6).astype(str), 6)
    frame = in_time(day=days, shop=classes("a", "b", "c"), item=[i // 3 % 2 for i in range(ROWS)])
    made = draft(later(folder, frame, 48))
    assert set(document(made.path)["data"]["series"]) == {"shop", "item"}
    assert "size lag 1" in data.load(config.load(made.path)).x


def test_rows_of_one_time_that_nothing_tells_apart_have_no_windows(folder):
    days = np.repeat(pd.date_range("2024-01-01", periods=ROWS // 6).astype(str), 6)
    written = document(draft(later(folder, in_time(day=days), 48)).path)
    assert written["folds"]["kind"] == "time"
    assert "lags" not in written["data"]


def test_parts_of_dates_that_are_not_later_in_the_test_say_nothing(folder):
    frame = in_time(year=np.arange(ROWS) // 12 + 2015, month=np.arange(ROWS) % 12 + 1)
    made = draft(put(folder, frame, ["y"]))
    assert "time" not in document(made.path)["data"]
    assert document(made.path)["folds"]["kind"] == "kfold"


def test_a_group_of_which_the_test_has_others_is_urged(folder):
    frame = table(y=classes("a", "b"), patient_nbr=classes(*range(900, 920)))
    train = put(folder, frame, ["y"])
    pd.read_csv(folder / "test.csv").assign(patient_nbr=7).to_csv(folder / "test.csv", index=False)
    assert any("no patient_nbr to predict was seen in training" in note for note in draft(train).notes)


def test_a_long_table_is_held_out_once(folder):
    rows = MANY_ROWS + 1
    pd.DataFrame({"a": np.arange(rows) % 97, "y": np.arange(rows) % 2}).to_csv(folder / "train.csv", index=False)
    written = document(draft(str(folder / "train.csv")).path)["folds"]
    assert (written["kind"], written["fraction"]) == ("holdout", 0.2)


def test_columns_and_files_with_awkward_names_are_quoted(folder):
    target, leak = "yes: no # {x}", "été, [1]\n'2'"
    frame = table(**{target: classes("on", "off"), leak: 1.0, "null": 2.5})
    frame.to_csv(folder / "my train & more.csv", index=False)
    frame.head(10).drop(columns=[target, leak]).to_csv(folder / "rest.csv", index=False)
    made = draft(str(folder / "my train & more.csv"), test=str(folder / "rest.csv"), target=target)
    assert made.path.name == "my_train_more.yaml"
    written = document(made.path)["data"]
    assert (written["target"], written["drop"]) == (target, [leak])
    assert "# positive: 'on'" in made.path.read_text(encoding="utf-8")


def test_a_class_of_two_lines_stays_in_its_comment(folder):
    made = draft(put(folder, table(y=classes("no", "yes\n\nor: so")), ["y"]))
    assert '# positive: "yes\\n\\nor: so"' in made.path.read_text()
    assert config.load(made.path).data.positive is None


def test_tsv_parquet_and_compressed_tables_are_read(folder):
    frame = table(y=classes("a", "b"))
    frame.to_csv(folder / "one.tsv.gz", index=False, sep="\t")
    frame.to_parquet(folder / "two.parquet")
    assert draft(str(folder / "one.tsv.gz")).path == Path("one.yaml")
    assert draft(str(folder / "two.parquet")).target == "y"


@pytest.mark.parametrize(
    ("shape", "family", "missing"),
    [((12, 12), "cnn", "wide_and_deep"), ((30, 3), "mlp", "cnn"), ((4,), "wide_and_deep", "cnn")],
)
def test_arrays_get_the_families_of_their_kind(folder, shape, family, missing):
    x = np.random.default_rng(0).normal(size=(ROWS, *shape))
    np.savez(folder / "train.npz", x=x, y=np.array(classes("a", "b", "c")))
    np.savez(folder / "test.npz", x=x[:10], id=np.arange(10))
    answers(y="a").assign(id=np.arange(10)).to_csv(folder / "sample_submission.csv", index=False)
    made = draft(str(folder / "train.npz"))
    assert (made.target, made.task, made.metric) == ("y", "multiclass", "accuracy")
    written = document(made.path)
    assert family in written["families"]
    assert missing not in written["families"]
    assert "constant" not in written["families"]
    test_ids = data.load(config.load(made.path)).test_ids
    assert test_ids is not None
    assert len(test_ids) == 10


def test_families_that_a_draft_spares_are_there_as_comments(folder):
    draft("sklearn:digits")
    assert "extra_trees" not in document(Path("digits.yaml"))["families"]
    assert "  # - extra_trees " in Path("digits.yaml").read_text()


def test_arrays_without_a_target_are_refused_with_their_names(folder):
    np.savez(folder / "train.npz", x=np.ones((9, 4)), labels=np.arange(9))
    with pytest.raises(
        ConfigError, match=r"--target must be an array of train.npz. Received: 'label'. Did you mean 'la"
    ):
        draft(str(folder / "train.npz"), target="label")
    with pytest.raises(ConfigError, match=r"Arrays: labels, x."):
        draft(str(folder / "train.npz"))


@pytest.mark.parametrize(
    ("source", "task"), [("wine", "multiclass"), ("diabetes", "regression"), ("digits", "multiclass")]
)
def test_data_that_ship_with_scikit_learn_need_nothing_else(folder, source, task):
    made = draft(f"sklearn:{source}")
    assert (made.path, made.task) == (Path(f"{source}.yaml"), task)
    assert document(made.path)["data"] == {"train": f"sklearn:{source}", "target": "target"}
    assert ("cnn" in document(made.path)["families"]) == (source == "digits")
    assert data.load(config.load(made.path)).task == task


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"train": "sklern:wine"},
            "TRAIN must be a file or a known source. Received: 'sklern:wine'. Did you mean 'sklearn'",
        ),
        ({"train": "sklearn:wnie"}, "Received: 'sklearn:wnie'. Did you mean 'wine'"),
        ({"train": "openml:"}, "must say what to take, as in 'openml:NAME'"),
        ({"train": "sklearn:wine", "test": "train.csv"}, "--test does not go with a sklearn: source"),
        ({"train": "train.csv", "test": "a.npz"}, "--test must be of the same form as train.csv"),
        ({"train": "train.csv", "sample_submission": "a.npz"}, "--sample-submission must be a table"),
        ({"train": "notes.txt"}, "TRAIN must be a file of a known form. Received: 'notes.txt'. Known: .csv"),
        ({"train": "train.csv", "metric": "logloss"}, "--metric must be a known metric or file.py:function. Rec"),
        ({"train": "train.csv", "metric": "own.py:f"}, "--metric 'own.py:f': own.py cannot be read (No such file"),
        ({"train": "train.csv", "metric": "rmse"}, "--metric must suit y, which is binary. Received: 'rmse'. Choose"),
        ({"train": "."}, r"TRAIN must be a file. Received the folder '.'. Did you mean 'train.csv'"),
    ],
)
def test_what_cannot_be_used_is_refused_in_the_usual_sentence(folder, monkeypatch, options, words):
    monkeypatch.chdir(folder)
    put(folder, table(y=classes("a", "b")), ["y"])
    np.savez(folder / "a.npz", x=np.ones((3, 2)))
    (folder / "notes.txt").write_text("hello")
    with pytest.raises(ConfigError) as caught:
        draft(**options)
    assert words in str(caught.value)


def test_a_broken_header_is_refused(folder):
    (folder / "train.csv").write_text("a,a\n1,2\n")
    with pytest.raises(DataError, match="column names must differ"):
        draft(str(folder / "train.csv"))


def test_a_missing_file_is_refused_with_the_word_meant_before_anything_heavy_loads(folder):
    put(folder, table(y=classes("a", "b")), ["y"])
    program = (
        "import sys\n"
        "from workbench.errors import SourceError\n"
        "from workbench.autoconfig.draft import draft\n"
        "try:\n"
        f"    draft({str(folder / 'trian.csv')!r})\n"
        "except SourceError as error:\n"
        "    print(error)\n"
        "print(sorted({'pandas', 'sklearn', 'scipy', 'optuna', 'mlflow'} & set(sys.modules)))\n"
    )
    said = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert said[0].startswith("TRAIN must be an existing file. Received:")
    assert "Did you mean 'train.csv'?" in said[0]
    assert said[1] == "[]"


def test_a_missing_test_is_refused_by_the_name_of_its_option(folder):
    train = put(folder, table(y=classes("a", "b")), ["y"])
    with pytest.raises(SourceError, match="--test must be an existing file"):
        draft(train, test="nowhere.csv")


@pytest.fixture
def competition(folder, monkeypatch):
    """A package kagglehub whose every competition is the folder `sales`."""
    library = folder / "library" / "kagglehub"
    library.mkdir(parents=True)
    (library / "__init__.py").write_text(f"def competition_download(name):\n    return {str(folder)!r}\n")
    errors = ("UnauthenticatedError", "CredentialError", "NotFoundError")
    (library / "exceptions.py").write_text("\n".join(f"class {name}(Exception): pass" for name in errors))
    before = {name: sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] == "kagglehub"}
    monkeypatch.syspath_prepend(folder / "library")
    monkeypatch.setenv("KAGGLE_API_TOKEN", "none that is real")
    yield folder
    for name in [name for name in sys.modules if name.partition(".")[0] == "kagglehub"]:
        del sys.modules[name]
    sys.modules.update(before)


def test_a_competition_finds_its_own_files_and_only_its_name_is_written(competition):
    put(competition, table(y=classes("a", "b")), ["y"], answers(y=0.5))
    made = draft("kaggle:sales-2024")
    assert made.path == Path("sales-2024.yaml")
    assert (made.target, made.metric) == ("y", "roc_auc")
    assert document(made.path)["data"] == {"train": "kaggle:sales-2024", "target": "y", "id": "id"}
    test_ids = data.load(config.load(made.path)).test_ids
    assert test_ids is not None
    assert len(test_ids) == 10


def test_a_file_that_is_there_is_written_over_only_when_asked(folder):
    train = put(folder, table(y=classes("a", "b")), ["y"])
    Path("sales.yaml").write_text("mine")
    with pytest.raises(ConfigError, match=r"sales.yaml: is there already.* --force"):
        draft(train)
    assert Path("sales.yaml").read_text() == "mine"
    draft(train, force=True)
    assert document(Path("sales.yaml"))["name"] == "sales"


def test_the_study_is_named_as_its_file_and_its_folder_is_made(folder):
    made = draft(put(folder, table(y=classes("a", "b")), ["y"]), out="deep/er/second try.yaml")
    assert document(made.path)["name"] == "second_try"
    assert document(made.path)["data"]["train"] == "../../../sales/train.csv"
    assert [file.name for file in made.path.parent.iterdir()] == ["second try.yaml"]


def test_a_file_that_cannot_be_written_is_refused(folder):
    train = put(folder, table(y=classes("a", "b")), ["y"])
    Path("taken").write_text("")
    with pytest.raises(ConfigError, match=r"taken/s.yaml: cannot be written .* Name another file with -o."):
        draft(train, out="taken/s.yaml")
    with pytest.raises(ConfigError, match="must be a file to write"):
        draft(train, out=str(folder))


@pytest.mark.parametrize(
    ("words", "name"),
    [("Größe 2!", "Große_2".replace("ß", "")), ("..x..", "x"), ("日本", "study"), ("a" * 200, "a" * 100)],
)
def test_any_words_become_a_valid_name(words, name):
    assert study_name(words) == name


def test_every_key_has_a_comment_and_no_line_is_endless(folder):
    frame = table(y=classes("a", "b", "c"), patient_nbr=classes(*range(900, 920)), leak=1.5)
    text = draft(put(folder, frame, ["y", "leak"], answers(y="a"))).path.read_text()
    lines = text.splitlines()
    sections = ("data:", "folds:", "search:", "ensemble:", "families:")
    for above, line in itertools.pairwise(lines):
        bare = line.strip()
        assert len(line) < 140
        assert (
            not bare or bare.startswith(("#", *sections)) or "  # " in line or " # " in line or above.strip()[:1] == "#"
        )


def test_the_first_line_leads_editors_to_the_schema(folder):
    made = draft(put(folder, table(y=classes("a", "b")), ["y"]))
    first = made.path.read_text().splitlines()[0]
    path = first.removeprefix("# yaml-language-server: $schema=")
    assert (made.path.parent / path).resolve() == SCHEMA.resolve()


def test_the_schema_that_ships_is_up_to_date():
    remedy = "Make it again: python -m workbench.config > workbench/study.schema.json"
    assert json.loads(SCHEMA.read_text(encoding="utf-8")) == config.json_schema(), remedy


def test_the_command_that_makes_the_schema_prints_it():
    made = subprocess.run([sys.executable, "-m", "workbench.config"], capture_output=True, text=True, check=True)
    assert json.loads(made.stdout) == config.json_schema()


def test_a_table_with_texts_gets_the_families_that_read_them(folder):
    notes = [f"the {n}th letter says what is wrong with the lamp" for n in range(ROWS)]
    made = draft(put(folder, table(note=notes, y=classes("no", "yes")), ["y"]))
    families = document(made.path)["families"]
    assert families[:2] == ["tfidf_linear", "tfidf_xgboost"]
    assert "xgboost" in families
    assert "cnn" not in families
    assert config.load(made.path) is not None


def test_a_table_of_names_gets_no_families_for_texts(folder):
    names = [f"Braund, Mr. Owen Harris {n}" for n in range(ROWS)]
    made = draft(put(folder, table(name=names, y=classes("no", "yes")), ["y"]))
    assert "tfidf_linear" not in document(made.path)["families"]


def test_a_family_for_texts_is_refused_on_a_table_without_any(folder):
    made = draft(put(folder, table(town=classes("Rome", "Oslo"), y=classes("no", "yes")), ["y"]))
    text = made.path.read_text().replace("  - linear", "  - tfidf_linear\n  - linear", 1)
    made.path.write_text(text)
    with pytest.raises(ConfigError, match=r"must suit binary on data of kind table\. Received: 'tfidf_linear'"):
        workbench.open(str(made.path), home="home").task.check()
