"""The draft of a study file: inferred from the data, and written with a comment for each key."""

from __future__ import annotations

import os
import re
import textwrap
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import yaml

from workbench import config as configs
from workbench import ensemble, evaluation, models
from workbench.autoconfig.column_summary import ColumnSummary, summarize_columns
from workbench.autoconfig.discovery import data_stem, find_files
from workbench.autoconfig.infer import InferredConfig, infer
from workbench.autoconfig.profile import DataFiles, DataProfile
from workbench.autoconfig.profiling import read_profile
from workbench.config import FoldKind, TaskType
from workbench.errors import ConfigError, EvaluationError
from workbench.files import check_file, explain_write_errors, make_absolute, stage_file
from workbench.search.pruners import pruner_names
from workbench.search.samplers import sampler_names
from workbench.study.run_budget import MINUTES
from workbench.study.study_validation import check

# With more rows than this, a single hold-out is nearly as informative as five folds and takes a fifth of the time.
MANY_ROWS = 200_000
# A relative path with more `..` than this is written as an absolute path.
_MAX_PARENTS = 3
# The column at which comments start, and the longest line.
_COMMENT_COLUMN = 38
_LINE_LENGTH = 118


@dataclass(frozen=True)
class Draft:
    """A study file that was written, with its main settings."""

    path: Path
    """The path, as the user gave it."""
    target: str | list[str]
    """The target, or a list of several targets."""
    task: TaskType
    """The task."""
    metric: str | None
    """The metric to optimise; None if each of several targets has its own metric."""
    notes: tuple[str, ...]
    """Notes on what was inferred and why, one line each."""
    columns: tuple[ColumnSummary, ...] = ()
    """The columns of the data, and what becomes of them."""


def draft(
    train: str,
    *,
    test: str | None = None,
    sample_submission: str | None = None,
    target: str | Sequence[str] | None = None,
    metric: str | None = None,
    out: str | os.PathLike[str] | None = None,
    force: bool = False,
) -> Draft:
    """Profile the data and write a commented study file.

    Args:
        train: the training data: a table, an .npz, a folder of images, or a source such as sklearn:digits.
        test: the test data; looked for beside `train` by default.
        sample_submission: the competition's sample submission; looked for beside `train` by default.
        target: the target column or columns; inferred by default.
        metric: the metric of the competition; a common one for the task by default.
        out: the file to write; NAME.yaml in the current folder by default.
        force: whether an existing file is overwritten.

    Raises:
        ConfigError: the file exists, an option is not valid, or the target cannot be inferred.
        SourceError: a file or a source cannot be reached.
        DataError: the data cannot be read.
    """
    files = find_files(train, test, sample_submission)
    path = Path(out) if out is not None else Path(f"{_default_name(files)}.yaml")
    _check_path(path, force)
    _check_metric(metric, path)
    targets = [target] if isinstance(target, str) else list(target or ())
    profile = read_profile(files, targets)
    inferred = infer(profile, targets, metric)
    text = "\n".join(_lines(path, profile, inferred)) + "\n"
    _write(path, text)
    names = inferred.targets[0] if len(inferred.targets) == 1 else list(inferred.targets)
    columns = summarize_columns(profile, inferred)
    return Draft(path, names, inferred.task, inferred.metric, inferred.notes, columns)


def study_name(text: str) -> str:
    """Return `text` as a valid name of a study.

    Examples:
        >>> study_name("Spaceship Titanic (2022)")
        'Spaceship_Titanic_2022'
    """
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", plain).strip("_.-")[:100] or "study"


def _default_name(files: DataFiles) -> str:
    """Return the study's name: that of the source or the training file, or of its folder if the file is `train`."""
    if files.train is None:
        name = files.name.partition("/")[0]
        return study_name(f"{files.scheme}_{name}" if name.isdigit() else name)
    stem = data_stem(files.train)
    return study_name(files.train.parent.name if stem.lower() == "train" else stem)


def _check_path(path: Path, force: bool) -> None:
    """Check that the study file may be written."""
    if path.is_dir():
        raise ConfigError(f"{path}: must be a file to write. Received: a folder. Name a file in it with -o.")
    if path.exists() and not force:
        raise ConfigError(f"{path}: is there already. Name another file with -o, or write over it with --force.")
    with explain_write_errors(path):
        check_file(path)


def _check_metric(metric: str | None, path: Path) -> None:
    """Check that the metric exists."""
    try:
        if metric is not None:
            evaluation.check(metric, lambda file: path.parent / file)
    except EvaluationError as error:
        raise ConfigError(f"--{'' if str(error).startswith('metric') else 'metric '}{error}") from error


def _write(path: Path, text: str) -> None:
    """Write the file atomically, after it has passed the checks that every study file must pass."""
    with explain_write_errors(path), stage_file(path) as part:
        part.write_text(text, encoding="utf-8")
        check(configs.load(part))


def _lines(path: Path, profile: DataProfile, inferred: InferredConfig) -> Iterator[str]:
    """Yield the lines of the study file."""
    schema = Path(configs.__file__).parent.with_name("study.schema.json")
    yield f"# yaml-language-server: $schema={_relative_path(path, schema)}"
    yield f"# Drafted from {profile.files.label}. Read it, change what is wrong, then: workbench run {path.name}"
    yield ""
    yield _set("name", study_name(path.stem), "the identity of the study and the name of its MLflow experiment")
    yield ""
    yield "data:"
    yield from _data_lines(path, profile, inferred)
    yield ""
    yield from _task_lines(inferred)
    yield ""
    yield "folds:"
    yield from _fold_lines(profile, inferred)
    yield ""
    yield from _family_lines(inferred)
    yield ""
    yield from _search_lines()
    yield ""
    yield _set("seed", configs.StudyConfig.model_fields["seed"].default, "the random seed of samplers and models")


def _task_lines(inferred: InferredConfig) -> Iterator[str]:
    """Yield the lines about the task and the metrics."""
    yield _set(
        "task", inferred.task, "binary, multiclass or regression; with several targets multilabel or multitarget"
    )
    if inferred.metric is None:
        yield _hint(
            "metric", "log_loss", "one metric for all targets; default: log_loss for classes and rmse for numbers"
        )
    else:
        yield _set(
            "metric", inferred.metric, f"the metric to optimise; or {_other_metrics(inferred)}, file.py:function"
        )
    yield _set("also", list(inferred.also), "computed and logged, but not optimised")
    if len(inferred.targets) > 1:
        yield f"{'# targets:':<{_COMMENT_COLUMN}} # settings of single targets: task, metric, weight, loss, …"
        yield f"#   {inferred.targets[0]}: {{weight: 2}}"
    elif inferred.task != "regression":
        yield _hint("class_weight", "balanced", "weight classes by the inverse of their frequency")


def _search_lines() -> Iterator[str]:
    """Yield the lines of the sections `search` and `ensemble`."""
    yield "search:"
    search, blend = configs.SearchConfig.model_validate({}), configs.EnsembleConfig.model_validate({})
    yield _set("minutes", int(MINUTES), "time limit of one run, submission included; or set trials, or both", 1)
    yield _set("sampler", search.sampler, f"the Optuna sampler: {', '.join(sampler_names())}", 1)
    yield _set("goal", search.goal, "the objective of tpe: score, or ensemble (the gain of the ensemble)", 1)
    yield _set("pruner", search.pruner, f"stops unpromising trials: {', '.join(pruner_names())}", 1)
    yield ""
    yield "ensemble:"
    yield _hint("method", ensemble.methods()[0], f"{', '.join(ensemble.methods())}; unset: decided by honest scores", 1)
    yield _set("members", blend.members, "the most members of the ensemble", 1)


def _data_lines(path: Path, profile: DataProfile, inferred: InferredConfig) -> Iterator[str]:
    """Yield the lines of the section `data`."""
    files = profile.files
    source = f"{files.scheme}:{files.name}"
    train = source if files.scheme or files.train is None else _relative_path(path, files.train)
    yield _set("train", train, "a table, an .npz, a folder of images, or sklearn:NAME, openml:ID, kaggle:NAME", 1)
    if profile.images is not None:
        yield _set(
            "images", _relative_path(path, profile.images), "the folder of the image files that the table names", 1
        )
    further = {
        "labels": (profile.labels, "one row for each id: the target, and group, weight or folds"),
        "test": (files.test, "the rows to predict"),
        "sample_submission": (files.sample, "the submission gets its columns, order and ids"),
    }
    for key, (file, comment) in further.items():
        # The files of a downloaded competition are found again by its name.
        if file is not None and not (files.scheme and file in files.discovered):
            value = file.name if files.scheme and key == "labels" else _relative_path(path, file)
            yield _set(key, value, comment, 1)
    yield from _column_lines(profile, inferred)


def _column_lines(profile: DataProfile, inferred: InferredConfig) -> Iterator[str]:
    """Yield the lines about the roles of the columns."""
    if len(inferred.targets) == 1:
        yield _set("target", inferred.targets[0], "the target column", 1)
    else:
        yield _set("target", list(inferred.targets), "the target columns", 1)
    if inferred.task == "binary" and inferred.classes:
        yield _hint(
            "positive",
            inferred.classes[-1],
            "the class whose probability is predicted; default: the last in sorted order",
            1,
        )
    if profile.image_size is not None:
        yield _set("image_size", list(profile.image_size), "height and width to which images are resized", 1)
        yield _hint("corrupt", "skip", "skip training images that cannot be decoded", 1)
    if inferred.id is not None:
        yield _set("id", inferred.id, "identifies the rows; never a feature", 1)
    if profile.steps is not None:
        yield _set("steps", profile.steps, "orders the steps within one id; all rows of an id are one sequence", 1)
    if inferred.drop:
        yield _set("drop", list(inferred.drop), "excluded: missing in the test rows, or only ids", 1)
    elif profile.features_in_columns:
        yield _hint("drop", [], "columns to exclude", 1)
    if inferred.kind == "image" and profile.features_in_columns and not profile.image_columns:
        yield _set("types", {"x": "image"}, "the columns are the pixels of an image", 1)
    elif profile.features_in_columns:
        yield _hint("types", {}, "corrects the kind of a column, as in {zip: category}", 1)
    if inferred.group is not None:
        yield _hint("group", inferred.group, "keeps rows of equal values in one fold; see folds.kind", 1)
    yield from _time_lines(inferred)


def _time_lines(inferred: InferredConfig) -> Iterator[str]:
    """Yield the lines about time: the order of the rows and, if the test rows are later, series, lags and windows."""
    structure = inferred.time
    if not structure.columns:
        return
    time = structure.columns[0] if len(structure.columns) == 1 else list(structure.columns)
    if not structure.test_is_later:
        yield _hint("time", time, "orders the rows; see folds.kind", 1)
        return
    yield _set("time", time, "orders the rows; see folds.kind", 1)
    if structure.series:
        yield _set("series", list(structure.series), "identifies the series; one row per time in each", 1)
    if structure.lags:
        yield _set("lags", list(structure.lags), "steps back whose inputs are added to a row", 1)
        yield _set("windows", list(structure.windows), "steps up to a row over which inputs are averaged", 1)
        if inferred.task == "regression":
            yield _hint("horizon", structure.horizon, "also adds the target from this many steps back", 1)


def _fold_lines(profile: DataProfile, inferred: InferredConfig) -> Iterator[str]:
    """Yield the lines of the section `folds`, with alternatives that the columns suggest."""
    rows, defaults = len(profile.train), configs.FoldsConfig.model_validate({})
    if inferred.time.test_is_later:
        yield _set(
            "kind", "time", f"validates on later rows, like the submission; or {_other_kinds('time', inferred)}", 1
        )
        folds = defaults.folds if rows <= MANY_ROWS else 2
        yield _set("folds", min(folds, max(rows - 1, 2)), "models per trial; the last predicts new rows", 1)
    elif rows > MANY_ROWS:
        comment = f"a single hold-out, because there are {rows:,} rows; or {_other_kinds('holdout', inferred)}"
        yield _set("kind", "holdout", comment, 1)
        yield _set("fraction", defaults.fraction, "the fraction of rows that is held out", 1)
    else:
        kind = "stratified" if inferred.stratified else "kfold"
        yield _set("kind", kind, f"or {_other_kinds(kind, inferred)}", 1)
        yield _set("folds", min(defaults.folds, max(rows, 2)), "models per trial", 1)
        yield _hint("repeats", 2, "repeats with other random folds (kfold, stratified)", 1)
    if inferred.group is not None:
        kind = "group_stratified" if inferred.stratified else "group"
        yield _hint("kind", kind, f"with data.group: no {inferred.group!r} in two folds", 1)
    if inferred.time.columns and not inferred.time.test_is_later:
        yield _hint("kind", "time", f"with data.time: validates on later {inferred.time.columns[0]!r} only", 1)
    yield _set("seed", defaults.seed, "the random seed of the folds, separate from that of the study", 1)


def _family_lines(inferred: InferredConfig) -> Iterator[str]:
    """Yield the families, and as comments those that could be added."""
    yield "families:  # in the order of their first trials; delete a line to leave a family out"
    for name in inferred.families:
        yield f"{f'  - {name}':<{_COMMENT_COLUMN}} # {models.FAMILIES[name].description}"
    for name, entry in models.FAMILIES.items():
        if (
            name in inferred.families
            or name == models.BASELINE
            or not entry.suits(inferred.kind, inferred.texts)
            or not set(inferred.tasks) <= set(entry.tasks)
        ):
            continue
        remedy = "" if entry.installed else f"; first: pip install {entry.library}"
        yield f"{f'  # - {name}':<{_COMMENT_COLUMN}} # {entry.description}{remedy}"


def _other_metrics(inferred: InferredConfig) -> str:
    """Return a list of the other metrics for the task."""
    tasks = set(inferred.tasks)
    return ", ".join(
        m["name"] for m in evaluation.describe() if tasks <= set(m["tasks"]) and m["name"] != inferred.metric
    )


def _other_kinds(kind: str, inferred: InferredConfig) -> str:
    """Return a list of the other kinds of folds; stratified kinds only if there are classes."""
    others = [other for other in get_args(FoldKind) if other != kind]
    return ", ".join(other for other in others if inferred.stratified or "stratified" not in other)


def _relative_path(study: Path, file: Path) -> str:
    """Return the path of `file` relative to the study file's folder, absolute where it is far away."""
    folder = make_absolute(study.parent)
    try:
        relative = Path(os.path.relpath(file, folder))
    except ValueError:
        # On Windows there is no relative path to another drive.
        return file.as_posix()
    # `..` leads elsewhere if the folder is a link.
    is_same = os.path.realpath(folder / relative) == os.path.realpath(file)
    return (relative if is_same and relative.parts.count("..") <= _MAX_PARENTS else file).as_posix()


def _set(key: str, value: Any, comment: str, depth: int = 0) -> str:
    """Return the line of a key."""
    return _append_comment(f"{'  ' * depth}{key}: {_to_yaml(value)}", comment)


def _hint(key: str, value: Any, comment: str, depth: int = 0) -> str:
    """Return the line of a key that is commented out."""
    return _append_comment(f"{'  ' * depth}# {key}: {_to_yaml(value)}", comment)


def _append_comment(entry: str, comment: str) -> str:
    """Return an entry followed by its comment, which is put above it if the line would be too long."""
    line = f"{entry:<{_COMMENT_COLUMN}} # {comment}"
    if len(entry) <= _COMMENT_COLUMN and len(line) <= _LINE_LENGTH:
        return line
    indent = " " * (len(entry) - len(entry.lstrip()))
    comments = textwrap.wrap(comment, _LINE_LENGTH, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# ")
    return "\n".join([*comments, entry])


def _to_yaml(value: Any) -> str:
    """Return a value as one line of YAML, quoted if necessary."""
    options: dict[str, Any] = {"default_flow_style": True, "width": float("inf"), "allow_unicode": True}
    text: str = yaml.safe_dump([value], **options).strip()
    if "\n" in text:
        text = yaml.safe_dump([value], default_style='"', **options).strip()
    return text[1:-1]
