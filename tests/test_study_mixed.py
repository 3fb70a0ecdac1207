"""A study of four kinds of columns in one table, from the made-up wares to new rows and to what a server is sent."""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

import workbench
from workbench import data
from workbench.cli.commands import app

pytestmark = pytest.mark.slow

STUDIES = Path(__file__).parents[1] / "studies"
FEATURES = ["age", "maker", "text", "photo"]


def wares() -> Any:
    """Return the script that makes the table."""
    spec = importlib.util.spec_from_file_location("wares", STUDIES / "wares.py")
    assert spec is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the wares of the study, and others that no study sees."""
    folder = tmp_path_factory.mktemp("wares")
    wares().write(folder, 400, seed=7)
    wares().write(folder, 200, seed=8, name="later")
    return folder


def study(folder: Path, home: Path, name: str, families: list[str], drop: list[str], **keys: Any) -> Any:
    said = yaml.safe_load((STUDIES / "wares.yaml").read_text())
    said |= {"name": name, "families": families, "folds": {"kind": "holdout", "fraction": 0.25}}
    said["data"] |= {"drop": drop} if drop else {}
    if "photo" in drop:
        del said["data"]["images"]
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(said | keys))
    return workbench.open(str(folder / f"{name}.yaml"), str(home))


def error(opened: Any, folder: Path) -> float:
    """Return the root mean squared error on the rows that no study has seen."""
    later = pd.read_csv(folder / "later.csv")
    predicted = opened.predict(str(folder / "later.csv"))
    assert predicted["id"].tolist() == later["id"].tolist()
    return float(np.sqrt(np.mean((predicted["price"] - later["price"]) ** 2)))


def test_the_study_that_ships_opens_once_its_script_has_run(made, tmp_path):
    wares().write(tmp_path, 30, seed=7)
    shutil.copy(STUDIES / "wares.yaml", tmp_path)
    opened = workbench.open(str(tmp_path / "wares.yaml"))
    assert opened.task.dataset.kind == "mixed"
    opened.task.check()


def test_all_columns_together_beat_each_alone_on_rows_that_no_study_has_seen(made, home):
    whole = study(made, home, "whole", ["multi_input"], [])
    whole.run(trials=2, workers=1, out=made / "s.csv")
    assert set(whole.task.dataset.columns.values()) == {"number", "category", "text", "image"}
    together = error(whole, made)
    for name in FEATURES:
        alone = study(made, home, f"only_{name}", ["multi_input"], [other for other in FEATURES if other != name])
        alone.run(trials=2, workers=1, out=made / "s.csv")
        assert together < 0.7 * error(alone, made)


def test_families_that_see_a_part_are_blended_and_leave_the_house_together(made, home, tmp_path):
    families = ["multi_input", "xgboost", "hog_svm", "tfidf_linear"]
    ensemble = {"method": "uniform"}
    opened = study(made, home, "blend", families, [], training={"epochs": 3}, ensemble=ensemble)
    opened.run(trials=5, workers=1, out=made / "s.csv")
    later = pd.read_csv(made / "later.csv").drop(columns="price")
    expected = opened.predict(later)
    app(["predict", str(made / "blend.yaml"), str(made / "later.csv"), "-o", str(tmp_path / "p.csv"), "--home",
         str(home)], standalone_mode=False)  # fmt: skip
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "p.csv"), expected, check_dtype=False, rtol=1e-4)
    opened.export(out=tmp_path / "model")
    from workbench.inference import predictor

    (place,) = (tmp_path / "model").rglob("bundle.json")
    served = predictor.read(place.parent).load_models()
    assert {member.family for member in served.members} >= {"multi_input", "xgboost", "hog_svm"}
    rows = pd.DataFrame(json.loads(later.head(5).to_json(orient="records")))
    pd.testing.assert_frame_equal(served.serve(rows), expected.head(5), check_dtype=False, rtol=1e-4)
    whole = rows.assign(photo=[str(made / "pictures" / name) for name in rows.photo])
    pd.testing.assert_frame_equal(served.serve(whole), expected.head(5), check_dtype=False, rtol=1e-4)
    with pytest.raises(ValueError, match="column 'photo' must name one image of"):
        served.serve(rows.assign(photo="none.png"))


def test_the_other_columns_of_a_table_with_images_are_left_out_where_folders_are_predicted(made, tmp_path):
    wares().write(tmp_path, 30, seed=7)
    shutil.copytree(tmp_path / "pictures", tmp_path / "later")
    shutil.copy(STUDIES / "wares.yaml", tmp_path)
    said = yaml.safe_load((tmp_path / "wares.yaml").read_text())
    said["data"] |= {"test": "later", "id": "photo"}
    (tmp_path / "wares.yaml").write_text(yaml.safe_dump(said | {"families": ["cnn"]}))
    dataset = data.load(workbench.open(str(tmp_path / "wares.yaml")).config)
    assert dataset.kind == "image"
    assert any("columns beside the images" in note for note in dataset.notes)
