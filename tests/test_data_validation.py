from __future__ import annotations

import bz2
import gzip
import lzma
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from workbench import config, data
from workbench.data.csv_header import read_header
from workbench.errors import ConfigError, DataError, SourceError

TABLE = "PassengerId,Survived,Age,Ticket\n1,0,22,A1\n2,1,38,B2\n3,1,26,C3\n"


def study(folder: Path, folds: dict[str, Any] | None = None, **keys: Any) -> config.StudyConfig:
    file = folder / "study.yaml"
    document = {"name": "s", "families": ["linear"], "data": keys} | ({"folds": folds} if folds else {})
    file.write_text(yaml.safe_dump(document))
    return config.load(file)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "train.csv").write_text(TABLE)
    (tmp_path / "test.csv").write_text("PassengerId,Age,Ticket\n4,30,D4\n")
    return tmp_path


def test_a_good_study_passes(folder):
    data.peek(study(folder, train="train.csv", test="test.csv", target="Survived", id="PassengerId"))


def test_a_misspelt_target_is_refused_with_file_key_value_and_the_word_meant(folder):
    with pytest.raises(ConfigError) as caught:
        data.peek(study(folder, train="train.csv", target="Survved"))
    message = str(caught.value)
    assert "study.yaml: data.target must be a column of train.csv. Received: 'Survved'." in message
    assert "Did you mean 'Survived'?" in message
    assert "Columns: PassengerId, Survived, Age, Ticket." in message


@pytest.mark.parametrize(
    ("keys", "key"),
    [
        ({"id": "Passenger"}, "data.id"),
        ({"group": "Grp"}, "data.group"),
        ({"time": "When"}, "data.time"),
        ({"weight": "W"}, "data.weight"),
        ({"drop": ["Age", "Cabin"]}, r"data.drop\[1\]"),
        ({"types": {"Agge": "number"}}, "data.types.Agge"),
        ({"folds": {"kind": "column", "column": "fold"}}, "folds.column"),
    ],
)
def test_every_key_that_names_a_column_is_checked(folder, keys, key):
    with pytest.raises(ConfigError, match=f"{key} must be a column of train.csv"):
        data.peek(study(folder, train="train.csv", target="Survived", **keys))


def test_a_missing_target_key_is_refused_with_the_columns_to_choose_from(folder):
    with pytest.raises(ConfigError, match=r"data.target is missing.*PassengerId, Survived"):
        data.peek(study(folder, train="train.csv"))


def test_the_target_cannot_be_the_id_as_well(folder):
    with pytest.raises(ConfigError, match=r"data.id must not be the target"):
        data.peek(study(folder, train="train.csv", target="Survived", id="Survived"))


def test_an_array_kind_is_refused_for_a_column(folder):
    with pytest.raises(ConfigError, match=r"data.types.Age must be one of number, boolean"):
        data.peek(study(folder, train="train.csv", target="Survived", types={"Age": "sequence"}))
    with pytest.raises(ConfigError, match=r"data.types.Age must go with data.images. Received: 'image'"):
        data.peek(study(folder, train="train.csv", target="Survived", types={"Age": "image"}))


def test_a_missing_file_names_both_places_and_a_file_like_it(folder):
    with pytest.raises(SourceError) as caught:
        data.peek(study(folder, train="trian.csv", target="Survived"))
    assert "data.train must be an existing file. Received: 'trian.csv'. Did you mean 'train.csv'?" in str(caught.value)
    assert str(folder) in str(caught.value)
    assert str(Path.cwd()) in str(caught.value)


def test_folders_without_images_and_unknown_suffixes_are_refused(folder):
    (folder / "images").mkdir()
    (folder / "train.sav").write_text("")
    with pytest.raises(DataError, match=r"study.yaml: data.train must be a folder of images .* which holds none"):
        data.peek(study(folder, train="images", target="y"))
    with pytest.raises(ConfigError, match="A folder cannot be read"):
        data.peek(study(folder, train="train.csv", target="Survived", sample_submission="images"))
    with pytest.raises(ConfigError, match=r"known form.*\.parquet"):
        data.peek(study(folder, train="train.sav", target="y"))


def test_a_test_file_may_hold_the_target_but_not_lack_a_feature(folder):
    keys: dict[str, Any] = {"train": "train.csv", "test": "test.csv", "target": "Survived", "id": "PassengerId"}
    (folder / "test.csv").write_text(TABLE)
    data.peek(study(folder, **keys))
    (folder / "test.csv").write_text("PassengerId,Age\n4,30\n")
    with pytest.raises(DataError, match=r"test.csv must have .* train.csv\. It lacks 'Ticket'\."):
        data.peek(study(folder, **keys))
    data.peek(study(folder, **keys, drop=["Ticket"]))


def test_a_test_file_must_have_the_id(folder):
    (folder / "test.csv").write_text("Age,Ticket\n30,D4\n")
    with pytest.raises(DataError, match="It lacks 'PassengerId'"):
        data.peek(study(folder, train="train.csv", test="test.csv", target="Survived", id="PassengerId"))


def test_a_broken_sample_submission_is_refused(folder):
    (folder / "sample.csv").write_text("")
    with pytest.raises(DataError, match=r"sample.csv: must start with a line of column names"):
        data.peek(study(folder, train="train.csv", target="Survived", sample_submission="sample.csv"))


def test_unknown_sources_and_names_are_refused_with_the_word_meant(folder):
    with pytest.raises(ConfigError, match="Did you mean 'digits'"):
        data.peek(study(folder, train="sklearn:digit"))
    with pytest.raises(ConfigError, match="Did you mean 'sklearn'"):
        data.peek(study(folder, train="sklern:digits"))
    with pytest.raises(ConfigError, match=r"data.test does not go with a sklearn: source"):
        data.peek(study(folder, train="sklearn:digits", test="test.csv"))


def test_headers_are_read_through_every_compression(tmp_path):
    content = TABLE.encode()
    (tmp_path / "a.csv").write_bytes(b"\xef\xbb\xbf" + content)
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(content))
    (tmp_path / "a.csv.bz2").write_bytes(bz2.compress(content))
    (tmp_path / "a.csv.xz").write_bytes(lzma.compress(content))
    with zipfile.ZipFile(tmp_path / "a.csv.zip", "w") as archive:
        archive.writestr("a.csv", content)
    (tmp_path / "a.tsv").write_bytes(content.replace(b",", b"\t"))
    for path in tmp_path.iterdir():
        assert read_header(path).columns == ("PassengerId", "Survived", "Age", "Ticket"), path


@pytest.mark.parametrize(
    ("text", "separator", "columns", "skipped"),
    [
        ("a,b\n1,2\n", ",", ("a", "b"), 0),
        ("a;b;c\n1,5;2;x\n", ";", ("a", "b", "c"), 0),
        ("a\tb\n1\t2\n", "\t", ("a", "b"), 0),
        ("a|b\n1|2\n", "|", ("a", "b"), 0),
        ('"x, in m","y; z"\n1,2\n', ",", ("x, in m", "y; z"), 0),
        ("x (m, net);y, z;w, v\n1;2;3\n", ";", ("x (m, net)", "y, z", "w, v"), 0),
        ("only\n1\n", ",", ("only",), 0),
        (",a\n0,1\n", ",", ("Unnamed: 0", "a"), 0),
        ("a,b\r1,2\r", ",", ("a", "b"), 0),
        ("a;b\n1;2;\n3;4;\n", ";", ("a", "b", "Unnamed: 2"), 0),
        ("a,b\nx,1,2\ny,3,4\n", ",", ("Unnamed: 0", "a", "b"), 0),
        ("sep=;\na,x;b\n1;2\n", ";", ("a,x", "b"), 1),
        ("# made today\n\na,b,c\n1,2,3\n", ",", ("a", "b", "c"), 2),
        ("Sales;;\na;b;c\n1;2;3\n", ";", ("a", "b", "c"), 1),
    ],
)
def test_the_separator_and_the_line_of_column_names_are_recognised(tmp_path, text, separator, columns, skipped):
    (tmp_path / "a.csv").write_bytes(text.encode())
    header = read_header(tmp_path / "a.csv")
    assert header.columns == columns
    assert (header.dialect.separator, header.dialect.skipped) == (separator, skipped)


def test_a_first_line_that_looks_like_data_is_noted(tmp_path):
    (tmp_path / "a.csv").write_text("4.8,3,red\n5.0,2,red\n4.1,1,blue\n3.1,1,red\n")
    (note,) = read_header(tmp_path / "a.csv").notes
    assert note.startswith("a.csv: the first line looks like data, not like column names (4.8, 3, red): add")
    (tmp_path / "a.csv").write_text("2019,2020,red\n5.0,2,red\n4.1,1,blue\n3.1,1,red\n")
    assert read_header(tmp_path / "a.csv").notes
    (tmp_path / "a.csv").write_text("2019,2020,2021\n5.0,2,3\n4.1,1,2\n")
    assert not read_header(tmp_path / "a.csv").notes


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("a.csv", b"", "Received: an empty file"),
        ("a.csv", b"a,b,a\n1,2,3\n", "column names must differ. Received: 'a' twice"),
        ("a.csv", b"PK\x03\x04\0\0\x08\0\0", "must be a UTF-8 text table"),
        ("a.csv.gz", b"a,b\n1,2\n", "must be a file compressed as its suffix says"),
        ("a.csv.zip", b"a,b\n1,2\n", "must be a file compressed as its suffix says"),
    ],
)
def test_a_header_that_cannot_be_used_is_refused(tmp_path, name, content, sentence):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=sentence):
        read_header(tmp_path / name)


def test_peek_loads_nothing_heavy(folder):
    file = study(folder, train="train.csv", test="test.csv", target="Survived", id="PassengerId").file
    code = (
        "import sys; from workbench import config, data; data.peek(config.load(sys.argv[1]));"
        "print([m for m in ('numpy', 'pandas', 'sklearn', 'scipy', 'pyarrow') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, str(file)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
