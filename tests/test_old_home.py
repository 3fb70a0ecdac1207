"""A home that an older version made opens: every verb reads it, its models predict the same, and its studies go on.

`fixtures/make_home.py` made the archives, each with the version in its name.
"""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from workbench.cli.commands import app

pytestmark = pytest.mark.slow

ARCHIVE = Path(__file__).parent / "fixtures" / "home_0_1.zip"
TESTS = {
    "houses": "houses-test.csv",
    "waves": "waves-test.npz",
    "shapes": "shapes-test.npz",
    "prices": "prices-test.csv",
}
# Loads an exported model with the code that it brought. MLflow refuses whole numbers where a fraction may come.
ELSEWHERE = """
import sys
import mlflow.pyfunc, pandas as pd
model, data, out = sys.argv[1:]
rows = pd.read_csv(data)
rows = rows.astype(dict.fromkeys(rows.select_dtypes("integer"), float))
mlflow.pyfunc.load_model(model).predict(rows).to_csv(out, index=False)
"""

Ask = Callable[..., Any]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked archive, in another place than where it was made."""
    place = tmp_path_factory.mktemp("old")
    with zipfile.ZipFile(ARCHIVE) as packed:
        packed.extractall(place)
    return place


@pytest.fixture
def ask(folder: Path, capsys: pytest.CaptureFixture[str]) -> Ask:
    """Return a function that runs a verb on a study, and returns its JSON."""

    def call(verb: str, name: str, *words: str) -> Any:
        capsys.readouterr()
        app(
            [verb, str(folder / f"{name}.yaml"), *words, "--home", str(folder / "home"), "--json"],
            standalone_mode=False,
        )
        return json.loads(capsys.readouterr().out)

    return call


def expected(folder: Path, name: str) -> Any:
    return json.loads((folder / "expected" / f"{name}.json").read_text())


def same(one: pd.DataFrame, other: pd.DataFrame) -> None:
    assert list(one) == list(other)
    for name in one:
        if one[name].dtype.kind == "f":
            np.testing.assert_allclose(one[name], other[name], rtol=1e-5, atol=1e-7)
        else:
            assert one[name].tolist() == other[name].tolist()


def select_keys(row: dict[str, Any], old: dict[str, Any]) -> dict[str, Any]:
    """Return the values of a row under the keys that the old version wrote."""
    return {key: row[key] for key in old}


# First of all, before a test adds trials.
@pytest.mark.parametrize("name", TESTS)
def test_the_leaderboard_has_the_trials_that_the_old_version_told(folder: Path, ask: Ask, name: str) -> None:
    old, new = expected(folder, name)["leaderboard"], ask("leaderboard", name)
    assert [row["length"] for row in new] == [None] * len(old)
    assert [select_keys(row, old[0]) for row in new] == old


@pytest.mark.parametrize("name", TESTS)
def test_the_old_models_predict_the_same(folder: Path, ask: Ask, tmp_path: Path, name: str) -> None:
    told = ask("predict", name, str(folder / TESTS[name]), "-o", str(tmp_path / "p.csv"))
    assert told["rows"] > 0
    same(pd.read_csv(tmp_path / "p.csv"), pd.read_csv(folder / "expected" / f"{name}.csv"))


@pytest.mark.parametrize("name", ["prices", "houses"])
def test_old_models_are_exported_and_predict_the_same_away_from_home(
    folder: Path, ask: Ask, tmp_path: Path, name: str
) -> None:
    told = ask("export", name, "-o", str(tmp_path / "model"))
    assert told["run_id"] == expected(folder, name)["ensemble"]["run_id"]
    words = [str(tmp_path / "model"), str(folder / TESTS[name]), str(tmp_path / "p.csv")]
    subprocess.run([sys.executable, "-I", "-c", ELSEWHERE, *words], cwd=tmp_path, check=True)
    same(pd.read_csv(tmp_path / "p.csv"), pd.read_csv(folder / "expected" / f"{name}.csv"))


@pytest.mark.parametrize("name", ["prices", "waves"])
def test_the_report_tells_an_old_study(folder: Path, ask: Ask, tmp_path: Path, name: str) -> None:
    path = Path(ask("report", name, "-o", str(tmp_path / "report.html"))["path"])
    page = path.read_text()
    assert all(f"{row['family']} #{row['number']}" in page for row in expected(folder, name)["leaderboard"])


def test_an_old_study_is_blended_as_the_old_version_did(folder: Path, ask: Ask) -> None:
    old, new = expected(folder, "prices")["ensemble"], ask("ensemble", "prices")
    assert [member["name"] for member in new["members"]] == [member["name"] for member in old["members"]]
    assert new["score"] == pytest.approx(old["score"], rel=1e-6)


def test_an_old_study_goes_on_and_keeps_its_trials(folder: Path, ask: Ask, tmp_path: Path) -> None:
    before = {row["run_id"]: row for row in expected(folder, "waves")["leaderboard"]}
    # A trial was interrupted after its first fold, and waits.
    assert [place.name for place in (folder / "home/studies/waves/trials").glob("*")] == ["conv1d-1"]
    assert ("conv1d", 1) not in {(row["family"], row["number"]) for row in before.values()}
    ran = ask("run", "waves", "--trials", "5", "-o", str(tmp_path / "s.csv"))
    after = {row["run_id"]: row for row in ask("leaderboard", "waves")}
    assert ran["trials"]["complete"] == len(after) == len(before) + 1 == 5
    assert {run_id: select_keys(after[run_id], row) for run_id, row in before.items()} == before
    assert ("conv1d", 1) in {(row["family"], row["number"]) for row in after.values()}
