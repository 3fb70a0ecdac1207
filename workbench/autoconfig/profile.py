"""What there is to draft a study from: the files named, those found beside them, and what was read from them."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.config import StudyConfig
from workbench.data import image_folder, remote
from workbench.data.csv_header import SUFFIXES, form, is_arrays, read_header
from workbench.data.dataset import Kind
from workbench.data.validation import SCHEMES, SKLEARN
from workbench.errors import ConfigError, SourceError, did_you_mean, format_list, suggest_word

if TYPE_CHECKING:
    import pandas as pd

_SAMPLES = ("sample_submission", "gender_submission", "samplesubmission", "sample-submission")
_ID = re.compile(r"(?i:^id$|[_\s.-]id$)|[a-z]I[dD]$")


@dataclass(frozen=True)
class DataFiles:
    """Where the rows are to come from; nothing has been read yet."""

    train: Path | None
    """The training file; None where `scheme` says where the rows are."""
    test: Path | None = None
    sample: Path | None = None
    scheme: str = ""
    """`sklearn`, `openml` or `kaggle`; empty for files."""
    name: str = ""
    """What follows the scheme."""
    found: frozenset[Path] = frozenset()
    """Those of the files that nobody named: they lay beside `train`."""

    @property
    def label(self) -> str:
        """The source of the training rows, for a sentence."""
        return self.train.name if self.train else f"{self.scheme}:{self.name}"


@dataclass(frozen=True, eq=False)
class DataProfile:
    """What was read."""

    sources: DataFiles
    """Where from; files of a competition are filled in."""
    kind: Kind
    """What a row is."""
    train: pd.DataFrame
    """The training table; of arrays, those with one value for each row."""
    test: pd.DataFrame | None = None
    """The rows to predict, in the same form."""
    sample: pd.DataFrame | None = None
    """The sample submission."""
    target: str | tuple[str, ...] | None = None
    """The target, or several, where the source knows it."""
    columnar: bool = True
    """Whether the columns of `train` are the features; arrays have theirs in `x`."""
    notes: tuple[str, ...] = field(default=())
    """What was found or left aside, a line each."""
    id: str | None = None
    """The column of ids, where the source knows it."""
    steps: str | None = None
    """Of a long table, the column that orders the rows of an id; `train` has one row for each of them."""
    labels: Path | None = None
    """The table that has the targets of a long table."""
    drop: tuple[str, ...] = ()
    """The columns of a long table that the rows to predict lack, or that only name rows."""
    images: Path | None = None
    """The folder whose images the training table names."""
    pictured: tuple[str, ...] = ()
    """The columns that name them."""
    image_size: tuple[int, int] | None = None
    """Height and width that suit the images."""


def looks_like_id(name: str) -> bool:
    """Tell whether a column's name is that of an id: id, ID, user_id, PassengerId."""
    return _ID.search(name) is not None


def find(train: str, test: str | None, sample: str | None) -> DataFiles:
    """Find the files, named or beside `train`, reading no more than their headers.

    Raises:
        SourceError: a named file is not there, or a remote source cannot be used.
        ConfigError: it is a folder or of a form that we do not read, or the source is not known.
        DataError: a header is broken.
    """
    scheme, name = _scheme(train)
    named_test = None if test is None else _located("--test", test)
    named_sample = None if sample is None else _located("--sample-submission", sample)
    if named_sample is not None and (named_sample.is_dir() or is_arrays(named_sample)):
        raise ConfigError(f"--sample-submission must be a table. Received: {sample!r}. Name a .csv file.")
    if scheme:
        _check_source(scheme, name, test)
        return DataFiles(None, named_test, named_sample, scheme, name)
    file = _located("TRAIN", train)
    if file.is_dir():
        image_folder.list_by_class(file, "TRAIN")
    if named_test is not None and (
        is_arrays(file) != is_arrays(named_test) or (file.is_dir() and not named_test.is_dir())
    ):
        raise ConfigError(f"--test must be of the same form as {file.name}. Received: {test!r}. Convert one of them.")
    beside_test = None if named_test else _test_beside(file)
    beside_sample = None if named_sample else _beside(file, _SAMPLES)
    sources = DataFiles(
        train=file,
        test=named_test or beside_test,
        sample=named_sample or beside_sample,
        found=frozenset(path for path in (beside_test, beside_sample) if path),
    )
    for path in (sources.train, sources.test, sources.sample):
        if path is not None and form(path) == "text":
            read_header(path)
    return sources


def read(sources: DataFiles, targets: Sequence[str] = ()) -> DataProfile:
    """Read what was found; `targets` are the columns that the user names, if any.

    Raises:
        ConfigError: there is no array of the target's name, or the test shares no column with the training rows.
        SourceError: a file or a remote source cannot be reached.
        DataError: a file does not hold what it must.
    """
    if sources.scheme == "kaggle":
        sources = _competition(sources)
    if sources.scheme == "sklearn":
        return _from_sklearn(sources, targets)
    if sources.train is None:
        frame, known = remote.openml(sources.name)
        test = None if sources.test is None else _table(sources.test)
        return DataProfile(sources, "table", frame, test, _sample(sources), known)
    if sources.train.is_dir():
        from workbench.autoconfig import images as pictures

        return pictures.from_folder(sources, sources.train, _sample(sources))
    if form(sources.train) == "idx":
        return _from_idx(sources, targets)
    if form(sources.train) == "npz":
        return _from_arrays(sources, sources.train, targets)
    return _from_tables(sources, sources.train)


def stem(path: Path) -> str:
    """Return a file's name without the suffixes of tables, arrays and compressions."""
    name = path.name
    while form(Path(name)) is not None and Path(name).suffix:
        name = Path(name).stem
    return name


def _scheme(train: str) -> tuple[str, str]:
    """Return scheme and name, as `data.checks.source` does where there is a study file already."""
    found = re.fullmatch(r"([A-Za-z_]{2,}):(.*)", train)
    return (found[1], found[2]) if found and not Path(train).exists() else ("", "")


def _check_source(scheme: str, name: str, test: str | None) -> None:
    if scheme not in SCHEMES:
        hint = suggest_word(scheme, SCHEMES, label="Known sources", shown=[f"{each}:" for each in SCHEMES])
        raise ConfigError(f"TRAIN must be a file or a known source. Received: '{scheme}:{name}'.{hint}")
    if not name.strip():
        raise ConfigError(f"TRAIN must say what to take, as in '{scheme}:NAME'. Received: '{scheme}:'. Name it.")
    if scheme == "sklearn" and name not in SKLEARN:
        hint = suggest_word(name, SKLEARN)
        raise ConfigError(f"TRAIN must be a known data set of sklearn:. Received: '{scheme}:{name}'.{hint}")
    if scheme == "sklearn" and test is not None:
        raise ConfigError(
            f"--test does not go with a sklearn: source. Received: {test!r}. "
            "Remove it: sklearn: sources set a fifth of their rows apart."
        )
    if scheme == "kaggle":
        remote.check_kaggle(name)


def _located(word: str, value: str) -> Path:
    """Return the file that was given as `word` on the command line."""
    path = Path(value)
    if not path.exists():
        folder = path.parent
        near = [file.name for file in folder.iterdir()] if folder.is_dir() else []
        raise SourceError(
            f"{word} must be an existing file. Received: {value!r}.{did_you_mean(path.name, near)} "
            f"Looked in {folder.resolve()}."
        )
    if path.is_dir():
        inside = sorted(file for file in path.iterdir() if stem(file).lower() == "train" and form(file))
        if inside or word == "--sample-submission":
            hint = f"Did you mean {str(inside[0])!r}?" if inside else f"Readable: {SUFFIXES}."
            raise ConfigError(f"{word} must be a file. Received the folder {value!r}. {hint}")
        return path.resolve()
    if form(path) is None:
        raise ConfigError(f"{word} must be a file of a known form. Received: {value!r}. Known: {SUFFIXES}.")
    return path.resolve()


def _test_stem(train: Path) -> str:
    """Return `test` for train.csv and adult.csv, and `adult_test` for adult_train.csv."""
    name = stem(train).lower()
    return name.replace("train", "test") if "train" in name else "test"


def _test_beside(train: Path) -> Path | None:
    """Return the rows to predict that lie beside the training data, in their form."""
    if train.is_dir():
        from workbench.autoconfig import images as pictures

        return pictures.test_beside(train)[0]
    known = [_test_stem(train)]
    # MNIST's own files call the test t10k.
    return _beside(train, [*known, known[0].replace("test", "t10k")] if form(train) == "idx" else known, like=train)


def _beside(train: Path, stems: Iterable[str], like: Path | None = None) -> Path | None:
    """Return the file beside `train` with one of these stems, best with the suffixes of `like`."""
    arrays = like is not None and is_arrays(like)
    wanted = list(stems)
    fits = [
        file
        for file in sorted(train.parent.iterdir())
        if stem(file).lower() in wanted
        and form(file) is not None
        and is_arrays(file) == arrays
        and file.is_file()
        and file != train
    ]
    suffixes = train.name[len(stem(train)) :]
    return min(
        fits, key=lambda file: (wanted.index(stem(file).lower()), not file.name.endswith(suffixes)), default=None
    )


def _table(path: Path, exact: Iterable[str] = ()) -> pd.DataFrame:
    from workbench import data

    frame: pd.DataFrame = data.read_table(path, exact)
    return frame


def _sample(sources: DataFiles) -> pd.DataFrame | None:
    return None if sources.sample is None else _table(sources.sample)


def _from_tables(sources: DataFiles, file: Path) -> DataProfile:
    """Read tables, and look for images that they name; what may be an id as it is written."""
    from workbench.autoconfig import images as pictures
    from workbench.autoconfig import sequences

    sample = _sample(sources)
    columns = read_header(file).columns if form(file) == "text" else ()
    exact = [name for name in columns if looks_like_id(name) or (sample is not None and name == sample.columns[0])]
    train = _table(file, exact)
    test = None if sources.test is None or sources.test.is_dir() else _table(sources.test, exact)
    aside: list[str] = []
    evidence = DataProfile(sources, "table", train, test, sample, notes=_found(sources))
    pictured = pictures.from_table(evidence, file)
    if pictured.images is not None:
        return pictured
    if test is not None and sources.test is not None:
        shared = sum(name in test.columns for name in train.columns)
        if sources.test in sources.found and shared < len(test.columns) / 2:
            aside = [f"{sources.test.name} is left aside: most of its columns are not in {file.name}"]
            sources, test = replace(sources, test=None), None
        elif not shared:
            raise ConfigError(
                f"--test must have the feature columns of {file.name}. Received: {format_list(test.columns)}. "
                "Name another file."
            )
    found = DataProfile(sources, "table", train, test, sample, notes=(*_found(sources), *aside))
    return sequences.from_table(found, file)


def _from_arrays(sources: DataFiles, file: Path, targets: Sequence[str]) -> DataProfile:
    """Read arrays; beside the kind of x, only those with one value for each row are looked at."""
    from workbench import data

    names = _arrays(file)
    named = next((name for name in targets if name not in names), targets[0] if targets else "y")
    if names and not {named, "y"} & names:
        hint = suggest_word(named, sorted(names), label="Arrays")
        raise ConfigError(f"--target must be an array of {file.name}. Received: {named!r}.{hint} Set --target to it.")
    loaded = data.load(_least(sources, targets))
    train = _beside_x(file)
    if loaded.targets:
        told = {target.name: target.values(column) for target, column in zip(loaded.targets, loaded.y.T, strict=True)}
        frame = train.drop(columns=[name for name in told if name in train]).assign(**told)
        rows = None if sources.test is None else _beside_x(sources.test)
        return DataProfile(sources, loaded.kind, frame, rows, loaded.sample, tuple(told), False, _found(sources))
    # `data` takes y under whatever name the study file gives the target.
    train = train if named in train else train.rename(columns={"y": named})
    test = None if sources.test is None else _beside_x(sources.test)
    return DataProfile(sources, loaded.kind, train, test, loaded.sample, named, False, _found(sources))


def _arrays(file: Path) -> set[str]:
    """Return the names of the arrays in a file; none where it is broken, which `data.load` says better."""
    if not zipfile.is_zipfile(file):
        return set()
    with zipfile.ZipFile(file) as archive:
        return {name.removesuffix(".npy") for name in archive.namelist()}


def _beside_x(file: Path) -> pd.DataFrame:
    """Return the arrays with one value for each row of x."""
    import numpy as np
    import pandas as pd

    with np.load(file, allow_pickle=False) as arrays:
        rows = len(arrays["x"])
        beside = {name: arrays[name] for name in arrays.files if name != "x"}
    return pd.DataFrame({name: each.reshape(rows) for name, each in beside.items() if each.size == len(each) == rows})


def _from_sklearn(sources: DataFiles, targets: Sequence[str]) -> DataProfile:
    """Read a data set that ships with scikit-learn; its columns are known to be features."""
    import numpy as np
    import pandas as pd

    from workbench import data

    loaded = data.load(_least(sources, targets))
    values = loaded.y if loaded.classes is None else np.array(loaded.classes)[loaded.y]
    frame = pd.DataFrame({loaded.target: values})
    return DataProfile(sources, loaded.kind, frame, None, loaded.sample, loaded.target, False)


def _from_idx(sources: DataFiles, targets: Sequence[str]) -> DataProfile:
    """Read IDX files, which hold images and labels and nothing else."""
    import numpy as np
    import pandas as pd

    from workbench import data

    loaded = data.load(_least(sources, targets))
    values = loaded.y if loaded.classes is None else np.array(loaded.classes)[loaded.y]
    frame = pd.DataFrame({loaded.target: values})
    return DataProfile(sources, loaded.kind, frame, None, loaded.sample, loaded.target, False, _found(sources))


def _least(sources: DataFiles, targets: Sequence[str]) -> StudyConfig:
    """Return the least that `data.load` needs to know."""
    named = {"train": sources.train, "test": sources.test, "sample_submission": sources.sample}
    files = {key: str(path) for key, path in named.items() if path is not None}
    if sources.scheme:
        files["train"] = f"{sources.scheme}:{sources.name}"
    return StudyConfig.model_validate(
        {"name": "draft", "data": {**files, "target": list(targets) or None}, "families": ["linear"]}
    )


def _competition(sources: DataFiles) -> DataFiles:
    """Fetch a competition; its own test and sample serve where the user names none."""
    files = remote.kaggle(sources.name)
    own = frozenset(path for path in (files.test, files.sample) if path)
    test, sample = sources.test or files.test, sources.sample or files.sample
    return replace(sources, train=files.train, test=test, sample=sample, found=own - {sources.test, sources.sample})


def _found(sources: DataFiles) -> tuple[str, ...]:
    """Say which files nobody named."""
    found = [path for path in (sources.test, sources.sample) if path in sources.found]
    return tuple(f"{path.name} was found beside {sources.label}" for path in found if path)
