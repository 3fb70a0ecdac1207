"""What a user waits for before anything happens: seen from outside, a process each."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import pytest

import workbench
from workbench.cli import main
from workbench.errors import WorkbenchError

# Generous, so that a busy machine does not fail the suite; `make bench` prints the real figures.
SECONDS = 3.0
HEAVY = (
    "tensorflow", "keras", "keras_tuner", "mlflow", "optuna", "sklearn", "scipy", "pandas", "pyarrow", "xgboost",
    "lightgbm", "catboost", "skrub", "sqlalchemy", "matplotlib",
)  # fmt: skip
STUDY = """
name: small
data: {train: train.csv, target: y}
metric: log_loss
families: [linear, xgboost]
"""
# Runs the command line, and tells in a file which modules were loaded when it ended.
WATCHED = """
import sys
from workbench.cli import main
try:
    main()
finally:
    with open({file!r}, "w") as told:
        told.write(" ".join(sorted({{name.partition(".")[0] for name in sys.modules}})))
"""


class Ended(NamedTuple):
    """How a command ended."""

    status: int
    out: str
    err: str
    loaded: set[str]
    seconds: float


@pytest.fixture
def folder(tmp_path):
    """A folder with a small study and its data."""
    (tmp_path / "study.yaml").write_text(STUDY)
    (tmp_path / "train.csv").write_text("a,y\n" + "".join(f"{i},{'no' if i % 2 else 'yes'}\n" for i in range(20)))
    return tmp_path


@pytest.fixture
def run(folder):
    """Return a function that runs `workbench` there, in a process of its own."""

    def command(*arguments: str) -> Ended:
        told = folder / "loaded.txt"
        began = time.monotonic()
        ended = subprocess.run(
            [sys.executable, "-c", WATCHED.format(file=str(told)), *arguments],
            capture_output=True,
            text=True,
            cwd=folder,
            check=False,
        )
        seconds = time.monotonic() - began
        return Ended(ended.returncode, ended.stdout, ended.stderr, set(told.read_text().split()), seconds)

    return command


def heavy(ended: Ended) -> set[str]:
    return ended.loaded & set(HEAVY)


def refused(ended: Ended) -> str:
    """Return the one line on stderr, having checked that the user's mistake was refused as such, and soon."""
    assert (ended.status, ended.out) == (2, "")
    assert ended.err.startswith("error: ")
    assert ended.err.count("\n") == 1
    assert heavy(ended) == set()
    assert ended.seconds < SECONDS
    return ended.err.removeprefix("error: ").rstrip("\n")


def test_importing_workbench_loads_nothing_heavy():
    script = "import sys, workbench; print(*{name.partition('.')[0] for name in sys.modules})"
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded = set(ended.stdout.split())
    assert loaded & {*HEAVY, "numpy", "typer", "rich", "pydantic", "yaml"} == set()
    assert "workbench" in loaded


@pytest.mark.parametrize("arguments", [["--help"], [], ["run", "--help"]], ids=" ".join)
def test_help_loads_nothing_heavy(run, arguments):
    ended = run(*arguments)
    assert (ended.status, ended.err) == (0, "")
    assert ended.out.startswith("Usage: ")
    assert ended.loaded & {*HEAVY, "numpy"} == set()
    assert ended.seconds < SECONDS


def test_the_version_is_printed_and_nothing_heavy_is_loaded(run):
    ended = run("--version")
    assert (ended.status, ended.out, ended.err) == (0, f"workbench {workbench.__version__}\n", "")
    assert ended.loaded & {*HEAVY, "numpy", "pydantic"} == set()
    assert ended.seconds < SECONDS
    assert "--version" in run("--help").out


def test_without_arguments_the_verbs_are_listed(run):
    out = run().out
    for verb in ("init", "run", "leaderboard", "ensemble", "submit", "folds", "ui", "families", "metrics"):
        assert f"\n  {verb} " in out


def test_the_module_is_the_command():
    ended = subprocess.run([sys.executable, "-m", "workbench", "--help"], capture_output=True, text=True, check=True)
    assert ended.stdout.startswith("Usage: ")


# What is changed in a good study file, and what is said of it.
TYPOS = [
    ("metric:", "metrc:", "metrc is not a key of a study file. Did you mean 'metric'?"),
    ("xgboost", "xgbost", "families[1] must be a known family. Received: 'xgbost'. Did you mean 'xgboost'?"),
    ("log_loss", "logloss", "metric must be a known metric or file.py:function. Received: 'logloss'. Did you mean"),
    ("target: y", "target: z", "data.target must be a column of train.csv. Received: 'z'."),
    ("train.csv", "trian.csv", "data.train must be an existing file. Received: 'trian.csv'. Did you mean 'train.csv'?"),
    ("linear, xgboost", "linear, linear", "families must name each family once. Received: ['linear']."),
    ("[linear, xgboost]", "[linear]\nsearch: {sampler: tp}", "search.sampler must be "),
    ("[linear, xgboost]", "[linear]\nsearch: {pruner: medan}", "search.pruner must be "),
    ("[linear, xgboost]", "[linear]\nensemble: {method: greed}", "ensemble.method must be "),
    ("[linear, xgboost]", "[linear]\nalso: [accuracy, aucc]", "also[1] must be a known metric"),
]


@pytest.mark.parametrize(("old", "new", "message"), TYPOS)
def test_a_word_that_no_room_knows_is_refused_naming_file_and_key(folder, monkeypatch, old, new, message):
    monkeypatch.chdir(folder)
    Path("study.yaml").write_text(STUDY.replace(old, new))
    with pytest.raises(WorkbenchError) as refusal:
        workbench.open("study.yaml")
    assert str(refusal.value).startswith(f"study.yaml: {message}")
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(("old", "new", "message"), [TYPOS[0], TYPOS[1], TYPOS[3]])
def test_a_typo_in_a_study_file_is_refused_before_anything_heavy_loads(run, folder, old, new, message):
    (folder / "study.yaml").write_text(STUDY.replace(old, new))
    assert refused(run("run", "study.yaml", "--json")).startswith(f"study.yaml: {message}")
    assert not (folder / "mlruns").exists()


def test_a_command_that_is_not_known_is_refused_before_anything_heavy_loads(run):
    assert refused(run("rn", "study.yaml")) == "No such command 'rn'. Did you mean 'run'? Try 'workbench --help'."


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("run stdy.yaml", "stdy.yaml: cannot be read (No such file or directory). Did you mean 'study.yaml'?"),
        ("leaderboard stdy.yaml --json", "stdy.yaml: cannot be read (No such file or directory)."),
        (
            "ensemble study.yaml --method greed",
            "method must be a known way to blend. Received: 'greed'. Did you mean 'greedy'",
        ),
        ("run", "Missing argument 'STUDY.yaml'. Try 'workbench --help'."),
        ("folds study.yaml", "Missing option '-o' / '--out'. Try 'workbench --help'."),
        ("run study.yaml --trial 3", "No such option: --trial"),
        ("run study.yaml --trials three", "Invalid value for '--trials'"),
        ("run study.yaml --trials 0", "Invalid value for '--trials'"),
        ("run study.yaml --minutes 0", "Invalid value: --minutes must be above 0. Received: 0.0. Try"),
        ("run study.yaml --minutes nan", "Invalid value: --minutes must be above 0. Received: nan. Try"),
        ("run study.yaml other.yaml", "Got unexpected extra argument"),
        ("ui --port 99999", "Invalid value for '--port'"),
        ("ui --home nowhere", "{folder}/nowhere: there is no study here yet. Run one, or name its home with --home."),
        ("submit study.yaml", "Study 'small' has no ensemble yet. Make one with 'workbench run' or 'ensemble'."),
        ("leaderboard study.yaml", "Study 'small' has no trials yet. Run it: workbench run study.yaml"),
        ("--json families", "No such option: --json"),
    ],
)
def test_a_command_that_cannot_be_done_is_refused_in_one_line(folder, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", ["workbench", *arguments.split()])
    with pytest.raises(SystemExit) as end:
        main()
    out, err = capsys.readouterr()
    assert (end.value.code, out) == (2, "")
    assert err.removeprefix("Starting MLflow …\n").startswith(f"error: {message.format(folder=folder)}")
    assert err.endswith("\n")
    assert err.removeprefix("Starting MLflow …\n").count("\n") == 1
    assert not (folder / "mlruns").exists()


@pytest.mark.parametrize("verb", ["families", "metrics"])
def test_what_there_is_to_choose_from_is_told_as_json(run, verb):
    ended = run(verb, "--json")
    document = json.loads(ended.out)
    assert (ended.status, ended.err, heavy(ended)) == (0, "", set())
    assert all({"name", "description", "tasks"} <= set(entry) for entry in document)


def test_the_installed_command_runs_the_same_program():
    command = Path(sys.executable).with_name("workbench")
    if not command.exists():
        pytest.skip("workbench is not installed beside this Python")
    ended = subprocess.run([command, "metrics", "--json"], capture_output=True, text=True, check=True)
    assert {"log_loss", "rmse"} <= {entry["name"] for entry in json.loads(ended.stdout)}
