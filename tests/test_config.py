from __future__ import annotations

import inspect
import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from workbench import config, errors, study
from workbench.config import StudyConfig
from workbench.errors import ConfigError, WorkbenchError

STUDIES = Path(__file__).parents[1] / "studies"
MINIMAL = "name: a\ndata: {train: t.csv, target: y}\nfamilies: [linear]\n"


def put(folder: Path, text: str, name: str = "s.yaml") -> Path:
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return file


def refusal(file: Path, **overrides) -> str:
    """Return what `load` says about a file, the name left out that the one line must begin with."""
    with pytest.raises(ConfigError) as caught:
        config.load(file, **overrides)
    message = str(caught.value)
    assert message.startswith(str(file))
    assert "\n" not in message
    assert message.endswith((".", "?", ")"))
    assert "pydantic" not in message
    return message.removeprefix(str(file))


def test_what_is_left_out_has_a_default(tmp_path):
    loaded = config.load(put(tmp_path, MINIMAL))
    assert (loaded.name, loaded.data.train, loaded.families) == ("a", "t.csv", ("linear",))
    assert (loaded.folds.folds, loaded.folds.seed, loaded.seed, loaded.task) == (5, 7, 7, None)
    assert loaded.search.trials is None
    assert loaded.ensemble.method is None


def test_every_key_of_the_contract_is_read(tmp_path):
    text = """
    name: bank_marketing
    data:
      train: train.csv
      test: test.csv
      sample_submission: sample.csv
      target: y
      id: id
      group: g
      time: t
      weight: w
      drop: [a, b]
      types: {zip: category, x: image}
      positive: yes
      target_transform: log1p
    task: binary
    metric: roc_auc
    also: [log_loss]
    folds: {kind: stratified, folds: 4, repeats: 2, seed: 1}
    families: [linear, studies/my_models.py:TwoTower]
    class_weight: balanced
    search: {trials: 60, minutes: 0.5, sampler: tpe, pruner: hyperband, workers: 2}
    ensemble: {method: greedy, members: 3}
    seed: 3
    """
    loaded = config.load(put(tmp_path, inspect.cleandoc(text)))
    assert loaded.data.drop == ("a", "b")
    assert loaded.data.types == {"zip": "category", "x": "image"}
    assert loaded.data.positive is True
    assert (loaded.folds.kind, loaded.folds.folds, loaded.folds.repeats) == ("stratified", 4, 2)
    assert (loaded.search.trials, loaded.search.minutes, loaded.ensemble.members) == (60, 0.5, 3)


# What is written below a minimal study, and what is said of it.
@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("metrc: rmse", ": metrc is not a key of a study file. Did you mean 'metric'?"),
        ("folds: {sed: 1}", ": folds.sed is not a key of a study file. Did you mean 'seed'?"),
        ("target: y", ": target is not a key of a study file. It belongs under data."),
        ("trials: 5", ": trials is not a key of a study file. It belongs under search."),
        ("search: {metric: rmse}", ": search.metric is not a key of a study file. It belongs at the top of the file."),
        (
            "ensemble: {qqq: 1}",
            ": ensemble.qqq is not a key of a study file. Known keys: method, members, final",
        ),
        ("ensemble: {seeds: 3}", ": ensemble must have final 'refit' for seeds above 1."),
        ("1: b", ": 1 is not a key of a study file. Known keys: name, data, "),
        ("on: b", ": true is not a key of a study file. Known keys: name, data, "),
        ('"a b\\nc": 1', ": a b c is not a key of a study file. Known keys: "),
        (
            "task: regresion",
            ": task must be 'binary', 'multiclass', 'regression', 'multilabel' or 'multitarget'. Received: 'regresi",
        ),
        ("folds: {kind: stratifed}", "'time' or 'column'. Received: 'stratifed'. Did you mean 'stratified'?"),
        ("folds: {folds: many}", ": folds.folds must be a whole number. Received: 'many'."),
        ("folds: {folds: 2.5}", ": folds.folds must be a whole number. Received: 2.5."),
        ("folds: {folds: '5'}", ": folds.folds must be a whole number. Received: '5'. Remove the quotes."),
        ("folds: {folds: 1}", ": folds.folds must be at least 2. Received: 1."),
        ("folds: {folds: 101}", ": folds.folds must be at most 100. Received: 101."),
        ("folds: {fraction: 20}", ": folds.fraction must be below 1. Received: 20."),
        ("folds: 5", ": folds must be a mapping. Received: 5. Its keys: kind, folds, repeats, seed, fraction, column."),
        (
            "folds: {column: f}",
            ": folds must have both or neither of kind 'column' and the key column. Received: {'col",
        ),
        ("folds: {kind: column}", ": folds must have both or neither of kind 'column' and the key column."),
        (
            "folds: {kind: time, repeats: 2}",
            ": folds must be of kind kfold or stratified for repeats above 1. Received",
        ),
        ("search: {minutes: -1}", ": search.minutes must be above 0. Received: -1."),
        ("search: {minutes: ten}", ": search.minutes must be a number. Received: 'ten'."),
        ("search: {minutes: .inf}", ": search.minutes must be a finite number. Received: inf."),
        ("search: {minutes: .nan}", ": search.minutes must be a finite number. Received: nan."),
        ("search: {trials: true}", ": search.trials must be a whole number. Received: true."),
        ("search: {trials: 0}", ": search.trials must be at least 1. Received: 0."),
        ("search:", ": search must be a mapping. Received: nothing. Fill it in, or remove the line."),
        ("seed:", ": seed must be a whole number. Received: nothing. Fill it in, or remove the line."),
        ("seed: -1", ": seed must be at least 0. Received: -1."),
        ("also: accuracy", ": also must be a list. Received: 'accuracy'. Write [accuracy]."),
        ("also: [accuracy, 3]", ": also[1] must be text. Received: 3. Put it in quotes."),
        ("class_weight: balnced", ": class_weight must be 'balanced'. Received: 'balnced'. Did you mean 'balanced'?"),
        ("metric: {a: 1}", ": metric must be text. Received: {'a': 1}."),
        ("sed: 1\nmetrc: a\ntask: b", ": sed is not a key of a study file. Did you mean 'seed'? (2 more mistakes)"),
        ("seed: a\ntask: b", " (1 more mistake)"),
    ],
)
def test_a_mistake_below_a_good_study_is_named_with_its_remedy(tmp_path, line, message):
    assert message in refusal(put(tmp_path, MINIMAL + line))


# What is written in the place of a line of a minimal study, and what is said of it.
@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("name: a\n", "", ": name is missing. Add it to the file."),
        ("name: a", "name: 2024", ": name must be text. Received: 2024. Put it in quotes."),
        ("name: a", "name: 2024-01-02", ": name must be text. Received: 2024-01-02. Put it in quotes."),
        (
            "name: a",
            "name: a b",
            ": name must be letters, digits, '_', '.' and '-', the first a letter or a digit. Rec",
        ),
        ("name: a", "name: ../a", ": name must be letters, digits"),
        ("name: a", f"name: {'a' * 101}", ": name must have at most 100 characters. Received: 'aaa"),
        ("name: a", "nam: a", ": nam is not a key of a study file. Did you mean 'name'? (1 more mistake)"),
        ("{train: t.csv, target: y}", "t.csv", ": data must be a mapping. Received: 't.csv'. Its keys: train, test, "),
        ("{train: t.csv, target: y}", "{}", ": data.train is missing. Add it to the file."),
        ("target: y", "targt: y", ": data.targt is not a key of a study file. Did you mean 'target'?"),
        ("target: y", "target: 1", ": data.target must be text. Received: 1. Put it in quotes."),
        ("target: y", "target: [a, a]", ": data.target must have different columns. Received: ['a', 'a']."),
        ("target: y", "target: []", ": data.target must be a column, or a list of columns in quotes. Received: []."),
        ("target: y", "drop: a", ": data.drop must be a list. Received: 'a'. Write [a]."),
        ("target: y", "types: [zip]", ": data.types must be a mapping. Received: ['zip']."),
        ("target: y", "types: {zip: categry}", "Received: 'categry'. Did you mean 'category'?"),
        ("target: y", "types: {1: number}", ": data.types[1] must be text. Received: 1. Put it in quotes."),
        ("target: y", "positive: [a]", ": data.positive must be one class: a text, a number, true or false. Received:"),
        ("[linear]", "[]", ": families must have at least 1 entry. Received: []."),
        ("[linear]", "xgboost", ": families must be a list. Received: 'xgboost'. Write [xgboost]."),
        ("[linear]", "", ": families must be a list. Received: nothing. Fill it in, or remove the line."),
        ("[linear]", "[linear, {mlp: 1}]", ": families[1] must be text. Received: {'mlp': 1}."),
        ("families: [linear]\n", "", ": families is missing. Add it to the file."),
    ],
)
def test_a_mistake_in_a_study_is_named_with_its_remedy(tmp_path, old, new, message):
    assert message in refusal(put(tmp_path, MINIMAL.replace(old, new)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: [a\n", ", line 2, column 1: is not YAML: expected ',' or ']', but got '<stream end>'."),
        (
            "data:\n\ttrain: t.csv\n",
            ", line 2, column 1: is not YAML: found character '\\t' that cannot start any token. In",
        ),
        (
            "name: a: b\n",
            ", line 1, column 8: is not YAML: mapping values are not allowed here. Put a value that holds",
        ),
        ("? [a, b]\n: 1\n", ", line 1, column 3: is not YAML: found unhashable key."),
        ("{a: 1}: 2\n", ", line 1, column 1: is not YAML: found unhashable key."),
        ("name: *b\n", ", line 1, column 7: is not YAML: found undefined alias 'b'."),
        ("name: a\x00\n", ": is not YAML: unacceptable character #x0000"),
        ("name: 2024-13-45\n", ": is not YAML: month must be in 1..12"),
        ("a: 1\n---\nb: 1\n", ", line 2, column 1: is not YAML: but found another document."),
        ("a: !!python/object:os.system {}\n", "could not determine a constructor for the tag"),
        ("a: 1\nb: 2\na: 3\n", ", line 3, column 1: is not YAML: the key 'a' stands twice. Remove one of them."),
        ("a: {b: {c: 1, c: 1}}\n", ", line 1, column 15: is not YAML: the key 'c' stands twice. Remove one of them."),
        ("- a\n", ": must be a mapping with name, data and families. Received: ['a']."),
        ("# nothing yet\n", ": must be a mapping with name, data and families. Received: nothing."),
        ("word " * 99, ": must be a mapping with name, data and families. Received: 'word word"),
    ],
)
def test_what_is_not_a_mapping_in_yaml_is_refused(tmp_path, text, message):
    said = refusal(put(tmp_path, text))
    assert message in said
    assert len(said) < 200


def test_a_mapping_that_another_takes_over_is_no_key_given_twice(tmp_path):
    text = MINIMAL + "search: {<<: {trials: 3, minutes: 2}, <<: {workers: 1}, trials: 4}\n"
    search = config.load(put(tmp_path, text)).search
    assert (search.trials, search.minutes, search.workers) == (4, 2, 1)


def test_a_file_that_is_not_there_leads_to_one_that_is(tmp_path):
    put(tmp_path, MINIMAL, "digits.yaml")
    assert refusal(tmp_path / "digit.yaml").endswith("(No such file or directory). Did you mean 'digits.yaml'?")
    assert refusal(tmp_path / "zzz.yaml").endswith("Make one with 'workbench init TRAIN.csv'.")
    assert refusal(tmp_path / "none" / "zzz.yaml").endswith("Make one with 'workbench init TRAIN.csv'.")


def test_a_folder_leads_to_the_study_files_in_it(tmp_path):
    assert refusal(tmp_path).endswith("cannot be read (Is a directory). Name a study file.")
    put(tmp_path, MINIMAL, "digits.yaml")
    assert refusal(tmp_path).endswith("Name a study file in it: digits.yaml.")


def test_data_given_in_place_of_a_study_lead_to_init(tmp_path):
    file = put(tmp_path, "id,y\n1,2\n", "train.csv")
    assert refusal(file).endswith(f"From data, make one with 'workbench init {file}'.")
    (tmp_path / "train.parquet").write_bytes(b"PAR1\xff\xfe")
    assert "From data, make one with 'workbench init " in refusal(tmp_path / "train.parquet")


def test_a_file_that_is_not_utf8_is_refused(tmp_path):
    file = tmp_path / "s.yaml"
    file.write_bytes("name: é\n".encode("latin-1"))
    assert refusal(file) == ": must be a UTF-8 text file. Received: byte 0xe9 at position 6. Save it as UTF-8."


def test_a_byte_order_mark_is_no_mistake(tmp_path):
    file = tmp_path / "s.yaml"
    file.write_text(MINIMAL, encoding="utf-8-sig")
    assert config.load(file).name == "a"


def test_overrides_take_the_place_of_what_the_file_says(tmp_path):
    file = put(tmp_path, MINIMAL + "seed: 1\n")
    assert config.load(file, seed=3, search={"trials": 2}).seed == 3
    assert config.load(file, search={"trials": 2}).search.trials == 2
    assert config.load(file).seed == 1


def test_overrides_are_checked_as_the_file_is(tmp_path):
    file = put(tmp_path, MINIMAL)
    assert "seed must be at least 0. Received: -1." in refusal(file, seed=-1)
    assert "sed is not a key of a study file. Did you mean 'seed'?" in refusal(file, sed=1)


def test_a_config_cannot_be_changed(tmp_path):
    loaded = config.load(put(tmp_path, MINIMAL))
    with pytest.raises(ValidationError, match="frozen"):
        loaded.seed = 3
    with pytest.raises(ValidationError, match="frozen"):
        loaded.data.target = "z"


def test_paths_are_seen_from_the_study_files_folder_first(tmp_path, monkeypatch):
    here, there = tmp_path / "here", tmp_path / "there"
    for folder in (here, there):
        folder.mkdir()
    monkeypatch.chdir(here)
    loaded = config.load(put(there, MINIMAL))
    assert loaded.file == there / "s.yaml"
    assert loaded.resolve("t.csv") == there / "t.csv"
    (here / "t.csv").touch()
    assert loaded.resolve("t.csv") == here / "t.csv"
    (there / "t.csv").touch()
    assert loaded.resolve("t.csv") == there / "t.csv"
    assert loaded.resolve(str(here / "t.csv")) == here / "t.csv"


def test_a_study_file_named_relatively_finds_what_lies_beside_it(tmp_path, monkeypatch):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "t.csv").touch()
    put(tmp_path / "deep", MINIMAL)
    monkeypatch.chdir(tmp_path)
    loaded = config.load("deep/s.yaml")
    assert loaded.file == Path("deep/s.yaml")
    assert loaded.resolve("t.csv") == tmp_path / "deep" / "t.csv"


def test_rooms_refuse_words_in_the_same_sentence(tmp_path):
    loaded = config.load(put(tmp_path, MINIMAL))
    error = loaded.error("families[0]", "must be a known family", "xgbost", " Did you mean 'xgboost'?")
    assert isinstance(error, ConfigError)
    expected = "families[0] must be a known family. Received: 'xgbost'. Did you mean 'xgboost'?"
    assert str(error) == f"{tmp_path / 's.yaml'}: {expected}"


@pytest.mark.parametrize("file", sorted(STUDIES.glob("*.yaml")), ids=lambda file: file.stem)
def test_the_studies_that_ship_load(file):
    loaded = config.load(file)
    assert loaded.name == file.stem
    # The images of wares are not there before its script has drawn them.
    if not loaded.data.train.startswith("kaggle:") and loaded.name != "wares":
        study.open(file)


def test_there_are_studies_that_ship():
    assert {"digits", "breast_cancer", "diabetes", "wine", "titanic", "letters", "disaster_tweets"} <= {
        file.stem for file in STUDIES.glob("*.yaml")
    }


def test_the_schema_knows_every_key_and_says_what_it_is_for():
    schema = config.json_schema()
    assert set(schema["properties"]) == set(StudyConfig.model_fields)
    assert json.loads(json.dumps(schema)) == schema
    mappings = [schema, *schema["$defs"].values()]
    keys = {key: value for each in mappings for key, value in each["properties"].items() if "$ref" not in value}
    assert [key for key, value in keys.items() if not value.get("description")] == []
    assert [each["title"] for each in mappings if not each.get("description")] == []
    assert all(each["additionalProperties"] is False for each in mappings)


LEAVES = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if kind is not WorkbenchError and kind.__module__ == errors.__name__
]


@pytest.mark.parametrize("kind", LEAVES)
def test_every_error_is_ours_and_a_builtin_one(kind):
    assert issubclass(kind, WorkbenchError)
    assert issubclass(kind, (ValueError, OSError, RuntimeError))
    assert str(kind("a sentence.")) == "a sentence."


def test_the_hierarchy_is_drawn_as_it_is():
    drawn = {line.split()[1]: line.split("(")[1].split(")")[0] for line in errors.__doc__.splitlines() if "── " in line}
    assert drawn == {kind.__name__: kind.__bases__[1].__name__ for kind in LEAVES}


def test_a_long_list_is_cut_and_counted():
    assert errors.format_list([1, "b"]) == "1, b"
    assert errors.format_list(iter(range(20)), 3) == "0, 1, 2, … (20 in all)"


def test_only_a_word_that_is_near_is_proposed():
    assert errors.did_you_mean("xgbost", ["linear", "xgboost"]) == " Did you mean 'xgboost'?"
    assert errors.did_you_mean("zzz", ["linear", "xgboost"]) == ""
    assert errors.did_you_mean(None, ["linear"]) == ""
