"""Discovery of the data files: those that the user names, and those that are found beside them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from workbench.autoconfig import images
from workbench.autoconfig.profile import DataFiles
from workbench.data import image_folder, remote
from workbench.data.csv_header import SUFFIXES, follow_bare_link, form, is_arrays, is_folder, read_header
from workbench.data.validation import SCHEMES, SKLEARN
from workbench.errors import ConfigError, SourceError, did_you_mean, suggest_word
from workbench.files import describe_broken_link, make_absolute

# Names of sample submissions.
_SAMPLE_STEMS = ("sample_submission", "gender_submission", "samplesubmission", "sample-submission")


def find_files(train: str, test: str | None, sample: str | None) -> DataFiles:
    """Find the data files, and the test and sample files beside `train`; only headers are read.

    Args:
        train: the training file, or a source such as `sklearn:digits`.
        test: the test file; looked for beside `train` if None.
        sample: the sample submission; looked for beside `train` if None.

    Raises:
        SourceError: a named file is missing, or a remote source cannot be used.
        ConfigError: a file is a folder or has an unknown format, or the source is unknown.
        DataError: a header is not valid.
    """
    scheme, name = _split_scheme(train)
    named_test = None if test is None else _locate("--test", test)
    named_sample = None if sample is None else _locate("--sample-submission", sample)
    if named_sample is not None and (named_sample.is_dir() or is_arrays(named_sample)):
        raise ConfigError(f"--sample-submission must be a table. Received: {sample!r}. Name a .csv file.")
    if scheme:
        _check_source(scheme, name, test)
        return DataFiles(None, named_test, named_sample, scheme, name)
    file = _locate("TRAIN", train)
    if is_folder(file):
        image_folder.list_by_class(file, "TRAIN")
    if named_test is not None and (
        is_arrays(file) != is_arrays(named_test) or (is_folder(file) and not is_folder(named_test))
    ):
        raise ConfigError(f"--test must be of the same form as {file.name}. Received: {test!r}. Convert one of them.")
    found_test = None if named_test else _find_test(file)
    found_sample = None if named_sample else _find_beside(file, _SAMPLE_STEMS)
    files = DataFiles(
        train=file,
        test=named_test or found_test,
        sample=named_sample or found_sample,
        discovered=frozenset(path for path in (found_test, found_sample) if path),
    )
    for path in (files.train, files.test, files.sample):
        if path is not None and form(path) == "text":
            read_header(path)
    return files


def data_stem(path: Path) -> str:
    """Return a file's name without the suffixes of data formats and compressions."""
    name = path.name
    while form(Path(name)) is not None and Path(name).suffix:
        name = Path(name).stem
    return name


def _split_scheme(train: str) -> tuple[str, str]:
    """Return scheme and name of a source; both are empty for a file."""
    match = re.fullmatch(r"([A-Za-z_]{2,}):(.*)", train)
    return (match[1], match[2]) if match and not Path(train).exists() else ("", "")


def _check_source(scheme: str, name: str, test: str | None) -> None:
    """Check that a source exists and can be used."""
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


def _locate(word: str, value: str) -> Path:
    """Return the path of the file that the user gave as the argument or option `word`."""
    path = make_absolute(value)
    if not path.exists():
        _check_link(word, value, path)
        folder = path.parent
        names = [file.name for file in folder.iterdir()] if folder.is_dir() else []
        raise SourceError(
            f"{word} must be an existing file. Received: {value!r}.{did_you_mean(path.name, names)} Looked in {folder}."
        )
    if is_folder(path):
        train_files = sorted(file for file in path.iterdir() if data_stem(file).lower() == "train" and form(file))
        if train_files or word == "--sample-submission":
            hint = (
                f"Did you mean {str(Path(value) / train_files[0].name)!r}?" if train_files else f"Readable: {SUFFIXES}."
            )
            raise ConfigError(f"{word} must be a file. Received the folder {value!r}. {hint}")
        return path
    path = follow_bare_link(path)
    if form(path) is None:
        raise ConfigError(f"{word} must be a file of a known form. Received: {value!r}. Known: {SUFFIXES}.")
    return path


def _check_link(word: str, value: str, path: Path) -> None:
    """Refuse a link whose target is missing."""
    broken = describe_broken_link(path)
    if broken:
        raise SourceError(f"{word} must be an existing file. Received: {value!r}.{broken}")


def _test_stem(train: Path) -> str:
    """Return the stem of the test file: `test` for train.csv and adult.csv, `adult_test` for adult_train.csv."""
    name = data_stem(train).lower()
    return name.replace("train", "test") if "train" in name else "test"


def _find_test(train: Path) -> Path | None:
    """Return the test file beside the training file, in the same format, or None."""
    if is_folder(train):
        return images.find_test_folder(train)[0]
    stems = [_test_stem(train)]
    if form(train) == "idx":
        # The test files of MNIST are named t10k.
        stems.append(stems[0].replace("test", "t10k"))
    return _find_beside(train, stems, like=train)


def _find_beside(train: Path, stems: Iterable[str], like: Path | None = None) -> Path | None:
    """Return the file beside `train` with one of these stems, preferably with the suffixes of `train`."""
    arrays = like is not None and is_arrays(like)
    wanted = list(stems)
    matches = [
        file
        for file in sorted(train.parent.iterdir())
        if data_stem(file).lower() in wanted
        and form(file) is not None
        and is_arrays(file) == arrays
        and (file.is_file() or describe_broken_link(file))
        and file != train
    ]
    suffixes = train.name[len(data_stem(train)) :]
    found = min(
        matches,
        key=lambda file: (wanted.index(data_stem(file).lower()), not file.name.endswith(suffixes)),
        default=None,
    )
    if found is not None:
        _check_link("A file beside TRAIN", found.name, found)
    return found
