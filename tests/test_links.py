"""Files are named and their neighbours are found by the path that the user gave, not by the target of a link."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from workbench import config as configs
from workbench import home as homes
from workbench.autoconfig.discovery import find_files
from workbench.autoconfig.draft import draft
from workbench.data import validation
from workbench.errors import SourceError
from workbench.files import describe_broken_link, make_absolute

TRAIN = "id,a,b,y\n" + "".join(f"{i},{i % 7},{i % 3},{i % 2}\n" for i in range(60))
TEST = "id,a,b\n" + "".join(f"{i},{i % 7},{i % 3}\n" for i in range(60, 80))
SAMPLE = "id,y\n" + "".join(f"{i},0\n" for i in range(60, 80))
STUDY = "name: s\ndata: {{train: {train}, target: y}}\nfamilies: [linear]\n"


@pytest.fixture
def snapshot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of links into a store whose files have no suffixes, as DVC and the Hugging Face cache lay it out."""
    store, folder = tmp_path / "blobs", tmp_path / "snapshot"
    store.mkdir()
    folder.mkdir()
    for name, blob, text in (
        ("train.csv", "9f2c01", TRAIN),
        ("test.csv", "77aa02", TEST),
        ("sample_submission.csv", "00bb03", SAMPLE),
    ):
        (store / blob).write_text(text)
        (folder / name).symlink_to(f"../blobs/{blob}")
    monkeypatch.chdir(tmp_path)
    return folder


def load(folder: Path, train: str) -> configs.StudyConfig:
    file = folder / "s.yaml"
    file.write_text(STUDY.format(train=train))
    return configs.load(file)


def test_a_link_is_read_by_its_own_suffix_and_its_neighbours_are_found(snapshot: Path) -> None:
    files = find_files("snapshot/train.csv", None, None)
    assert files.train == snapshot / "train.csv"
    assert files.test == snapshot / "test.csv"
    assert files.sample == snapshot / "sample_submission.csv"


def test_init_names_the_links_in_the_study_file(snapshot: Path) -> None:
    written = draft("snapshot/train.csv", out="study.yaml")
    document = yaml.safe_load(Path("study.yaml").read_text())
    assert {key: document["data"][key] for key in ("train", "test", "sample_submission")} == {
        "train": "snapshot/train.csv",
        "test": "snapshot/test.csv",
        "sample_submission": "snapshot/sample_submission.csv",
    }
    assert written.target == "y"
    validation.peek(configs.load("study.yaml"))


def test_a_study_beside_a_link_reads_it(snapshot: Path) -> None:
    config = load(snapshot, "train.csv")
    assert validation.find_file(config, "data.train", "train.csv") == snapshot / "train.csv"
    validation.peek(config)


def test_a_link_without_a_suffix_is_read_by_its_targets(snapshot: Path) -> None:
    (snapshot / "named.csv").write_text(TRAIN)
    (snapshot / "newest").symlink_to("named.csv")
    assert find_files("snapshot/newest", None, None).train == snapshot / "named.csv"
    validation.peek(load(snapshot, "newest"))


@pytest.mark.parametrize("chain", [1, 2])
def test_a_broken_link_is_named_with_its_missing_target(snapshot: Path, chain: int) -> None:
    (snapshot.parent / "blobs" / "9f2c01").unlink()
    name = "train.csv"
    if chain == 2:
        (snapshot / "alias.csv").symlink_to("train.csv")
        name = "alias.csv"
    missing = f"{snapshot / name} is a link to {snapshot.parent}/blobs/9f2c01, which is missing. Mend the link."
    with pytest.raises(SourceError) as error:
        find_files(f"snapshot/{name}", None, None)
    assert str(error.value).startswith("TRAIN must be an existing file.")
    assert str(error.value).endswith(missing)
    config = load(snapshot, name)
    with pytest.raises(SourceError) as error:
        validation.peek(config)
    assert str(error.value).endswith(missing)


def test_a_broken_link_beside_the_training_file_is_not_passed_over(snapshot: Path) -> None:
    (snapshot.parent / "blobs" / "77aa02").unlink()
    with pytest.raises(SourceError, match=r"Received: 'test.csv'. .*snapshot/test.csv is a link to .*77aa02, which is"):
        find_files("snapshot/train.csv", None, None)


def test_a_broken_link_beside_the_study_is_not_replaced_by_a_file_of_the_current_folder(snapshot: Path) -> None:
    (snapshot.parent / "train.csv").write_text(TRAIN)
    (snapshot.parent / "blobs" / "9f2c01").unlink()
    with pytest.raises(SourceError, match=r"snapshot/train\.csv is a link to"):
        validation.peek(load(snapshot, "train.csv"))


def test_a_link_to_a_study_file_finds_the_data_beside_the_link_first_and_then_beside_the_target(tmp_path: Path) -> None:
    kept, used = tmp_path / "kept", tmp_path / "used"
    kept.mkdir()
    used.mkdir()
    load(kept, "train.csv")
    (kept / "train.csv").write_text(TRAIN)
    (used / "s.yaml").symlink_to(kept / "s.yaml")
    config = configs.load(used / "s.yaml")
    assert config.resolve("train.csv") == kept / "train.csv"
    (used / "train.csv").write_text(TRAIN)
    assert config.resolve("train.csv") == used / "train.csv"
    assert config.resolve("absent.csv") == used / "absent.csv"


def test_parents_behind_a_link_to_a_folder_are_those_of_its_target(tmp_path: Path) -> None:
    deep = tmp_path / "store" / "deep"
    deep.mkdir(parents=True)
    (tmp_path / "store" / "x.csv").write_text(TRAIN)
    (tmp_path / "link").symlink_to(deep)
    assert make_absolute(tmp_path / "link" / ".." / "x.csv").read_text() == TRAIN
    assert make_absolute(tmp_path / "store" / "deep" / ".." / "x.csv") == tmp_path / "store" / "x.csv"
    assert make_absolute("a/../b") == Path.cwd() / "b"


def test_a_study_in_a_linked_folder_names_data_that_it_finds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "far" / "studies").mkdir(parents=True)
    (tmp_path / "studies").symlink_to(tmp_path / "far" / "studies")
    (tmp_path / "train.csv").write_text(TRAIN)
    monkeypatch.chdir(tmp_path)
    draft("train.csv", target="y", out="studies/s.yaml")
    config = configs.load("studies/s.yaml")
    assert os.path.samefile(config.resolve(config.data.train), tmp_path / "train.csv")


def test_whole_links_are_not_described(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("file")
    assert describe_broken_link(tmp_path / "link") == ""
    assert describe_broken_link(tmp_path / "absent") == ""
    (tmp_path / "folder").symlink_to("nowhere")
    assert f"{tmp_path}/folder is a link to {tmp_path}/nowhere" in describe_broken_link(tmp_path / "folder" / "x.csv")


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a study in `project`, and the current folder `here`; neither has a home."""
    monkeypatch.delenv("WORKBENCH_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    (tmp_path / "project").mkdir()
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path


def make_home(folder: Path) -> Path:
    home = folder / "mlruns"
    (home / "studies").mkdir(parents=True)
    return home


def test_the_home_is_in_the_current_folder_unless_only_the_studys_folder_has_one(places: Path) -> None:
    study = places / "project" / "s.yaml"
    here, beside = places / "here" / "mlruns", places / "project" / "mlruns"
    assert homes.find(None, study).path == here
    make_home(places / "project")
    assert homes.find(None, study).path == beside
    assert homes.find(None, "../project/s.yaml").path == beside
    assert homes.find().path == here
    # MLflow itself makes a folder of this name.
    here.mkdir()
    assert homes.find(None, study).path == beside
    (here / "mlflow.db").touch()
    assert homes.find(None, study).path == here


def test_a_named_home_comes_first_and_a_tilde_is_the_users_folder(
    places: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = places / "project" / "s.yaml"
    make_home(places / "project")
    monkeypatch.setenv("WORKBENCH_HOME", "~/x")
    assert homes.find(None, study).path == places / "user" / "x"
    assert homes.find("~/y", study).path == places / "user" / "y"
    assert homes.find("plain", study).path == places / "here" / "plain"
