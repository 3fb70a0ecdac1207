"""A study file for someone who has only the data: looked at, inferred, written with a comment for each key."""

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
from workbench.autoconfig import infer, profile
from workbench.autoconfig.infer import InferredConfig
from workbench.autoconfig.profile import DataFiles, DataProfile
from workbench.config import FoldKind, TaskType
from workbench.errors import ConfigError, EvaluationError
from workbench.search.pruners import pruner_names
from workbench.search.samplers import sampler_names
from workbench.study.run_budget import MINUTES
from workbench.study.study_validation import check

# With more rows than this, one fold tells nearly as much as five do, in a fifth of the time.
MANY_ROWS = 200_000
# From a folder this many steps up, a path says where it comes from better than how to get there.
_FAR = 3
_COMMENT_AT = 38
_LINE = 118


@dataclass(frozen=True)
class Draft:
    """A study file that was written, and what it says."""

    path: Path
    """The file, as the user named it."""
    target: str | list[str]
    """What is predicted; a list of several targets."""
    task: TaskType
    """What is asked of it."""
    metric: str | None
    """What is optimised; None where each of several targets has a metric of its own."""
    notes: tuple[str, ...]
    """What was inferred and why, a line each."""


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
    """Look at the data, and write a commented study file.

    Args:
        train: the training data: a table, an .npz, a folder of images, or a source such as sklearn:digits.
        test: the rows to predict; looked for beside `train` unless given.
        sample_submission: the competition's example; looked for beside `train` unless given.
        target: the column to predict, or several; inferred unless given.
        metric: what the competition judges by; a usual one for the task unless given.
        out: the file to write; NAME.yaml in the current folder unless given.
        force: whether a file that is there is written over.

    Raises:
        ConfigError: the file is there already, an option cannot be used, or the target cannot be told.
        SourceError: a file or a source cannot be reached.
        DataError: the data cannot be read.
    """
    sources = profile.find(train, test, sample_submission)
    path = Path(out) if out is not None else Path(f"{_default_name(sources)}.yaml")
    _check_free(path, force)
    _check_metric(metric, path)
    targets = [target] if isinstance(target, str) else list(target or ())
    seen = profile.read(sources, targets)
    guess = infer.infer(seen, targets, metric)
    text = "\n".join(_document(path, seen, guess)) + "\n"
    _write(path, text)
    named = guess.targets[0] if len(guess.targets) == 1 else list(guess.targets)
    return Draft(path, named, guess.task, guess.metric, guess.notes)


def study_name(words: str) -> str:
    """Return `words` as a valid name of a study."""
    plain = unicodedata.normalize("NFKD", words).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", plain).strip("_.-")[:100] or "study"


def _default_name(sources: DataFiles) -> str:
    """Return the name after the training file, or after its folder where it is just `train`."""
    if sources.train is None:
        words = sources.name.partition("/")[0]
        return study_name(f"{sources.scheme}_{words}" if words.isdigit() else words)
    stem = profile.stem(sources.train)
    return study_name(sources.train.parent.name if stem.lower() == "train" else stem)


def _check_free(path: Path, force: bool) -> None:
    if path.is_dir():
        raise ConfigError(f"{path}: must be a file to write. Received: a folder. Name a file in it with -o.")
    if path.exists() and not force:
        raise ConfigError(f"{path}: is there already. Name another file with -o, or write over it with --force.")


def _check_metric(metric: str | None, path: Path) -> None:
    try:
        if metric is not None:
            evaluation.check(metric, lambda file: path.parent / file)
    except EvaluationError as error:
        raise ConfigError(f"--{'' if str(error).startswith('metric') else 'metric '}{error}") from error


def _write(path: Path, text: str) -> None:
    """Write the file whole or not at all, and only if it passes the checks that every study file must pass."""
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written ({error.strerror}). Name another file with -o.") from error
    try:
        check(configs.load(part))
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _document(path: Path, seen: DataProfile, guess: InferredConfig) -> Iterator[str]:
    """Yield the lines of the study file."""
    schema = Path(configs.__file__).parent.with_name("study.schema.json")
    yield f"# yaml-language-server: $schema={_seen_from(path, schema)}"
    yield f"# Drafted from {seen.sources.label}. Read it, change what is wrong, then: workbench run {path.name}"
    yield ""
    yield _line("name", study_name(path.stem), "the study's identity: its experiment, and where its trials are kept")
    yield ""
    yield "data:"
    yield from _data(path, seen, guess)
    yield ""
    yield _line("task", guess.task, "binary, multiclass or regression; of several targets multilabel or multitarget")
    if guess.metric is None:
        yield _hint("metric", "log_loss", "one for every target; unless set, log_loss for classes and rmse for numbers")
    else:
        yield _line("metric", guess.metric, f"what is optimised; or {_others(guess)}, file.py:function")
    yield _line("also", list(guess.also), "shown and logged, not optimised")
    if len(guess.targets) > 1:
        yield f"{'# targets:':<{_COMMENT_AT}} # what is particular of one of them: task, metric, weight, loss, …"
        yield f"#   {guess.targets[0]}: {{weight: 2}}"
    elif guess.task != "regression":
        yield _hint("class_weight", "balanced", "weigh classes by the inverse of their frequency")
    yield ""
    yield "folds:"
    yield from _folds(seen, guess)
    yield ""
    yield from _families(guess)
    yield ""
    yield "search:"
    search, blend = configs.SearchConfig.model_validate({}), configs.EnsembleConfig.model_validate({})
    yield _line("minutes", int(MINUTES), "what one run may take, submission included; beside it or instead: trials", 1)
    yield _line("sampler", search.sampler, f"what suggests hyperparameters: {', '.join(sampler_names())}", 1)
    yield _line("goal", search.goal, "what tpe learns from: score, or ensemble (what a trial would add to it)", 1)
    yield _line("pruner", search.pruner, f"what ends poor trials: {', '.join(pruner_names())}", 1)
    yield ""
    yield "ensemble:"
    yield _line("method", blend.method, f"how the trials are weighed: {', '.join(ensemble.methods())}", 1)
    yield _line("members", blend.members, "the most trials that are blended", 1)
    yield ""
    yield _line("seed", configs.StudyConfig.model_fields["seed"].default, "of samplers and models")


def _data(path: Path, seen: DataProfile, guess: InferredConfig) -> Iterator[str]:
    """Yield the files, and the columns that are not features."""
    sources = seen.sources
    source = f"{sources.scheme}:{sources.name}"
    train = source if sources.scheme or sources.train is None else _seen_from(path, sources.train)
    yield _line("train", train, "a table, an .npz, a folder of images, or sklearn:NAME, openml:ID, kaggle:NAME", 1)
    if seen.images is not None:
        yield _line("images", _seen_from(path, seen.images), "the folder of the files that the table names", 1)
    files = {"labels": (seen.labels, "a row for each id: the target, and group, weight or folds")}
    files["test"] = (sources.test, "the rows to predict")
    files["sample_submission"] = (sources.sample, "the submission gets its columns, order and ids")
    for key, (file, comment) in files.items():
        # A competition finds its own files again.
        if file is not None and not (sources.scheme and file in sources.found):
            named = file.name if sources.scheme and key == "labels" else _seen_from(path, file)
            yield _line(key, named, comment, 1)
    yield from _columns(seen, guess)


def _columns(seen: DataProfile, guess: InferredConfig) -> Iterator[str]:
    """Yield what the columns are."""
    if len(guess.targets) == 1:
        yield _line("target", guess.targets[0], "the column to predict", 1)
    else:
        yield _line("target", list(guess.targets), "the columns to predict", 1)
    if guess.task == "binary" and guess.classes:
        yield _hint(
            "positive",
            guess.classes[-1],
            "the class whose probability is predicted; the last in sorted order, unless set",
            1,
        )
    if seen.image_size is not None:
        yield _line("image_size", list(seen.image_size), "height and width that images are stretched to", 1)
        yield _hint("corrupt", "skip", "leave out training images that cannot be decoded", 1)
    if guess.id is not None:
        yield _line("id", guess.id, "names the rows; never a feature", 1)
    if seen.steps is not None:
        yield _line("steps", seen.steps, "orders the steps within one id; all rows of an id are one sequence", 1)
    if guess.drop:
        yield _line("drop", list(guess.drop), "left out: the rows to predict lack them, or they only name rows", 1)
    elif seen.columnar:
        yield _hint("drop", [], "columns to leave out", 1)
    if guess.kind == "image" and seen.columnar and not seen.pictured:
        yield _line("types", {"x": "image"}, "the columns are the pixels of an image", 1)
    elif seen.columnar:
        yield _hint("types", {}, "what a column is where the guess is wrong, as in {zip: category}", 1)
    if guess.group is not None:
        yield _hint("group", guess.group, "rows of equal values stay in one fold; see folds.kind", 1)
    yield from _time(guess)


def _time(guess: InferredConfig) -> Iterator[str]:
    """Yield what orders the rows, and what they are shown of their past where later ones are to be predicted."""
    found = guess.chronology
    if not found.time:
        return
    time = found.time[0] if len(found.time) == 1 else list(found.time)
    if not found.later:
        yield _hint("time", time, "orders the rows; see folds.kind", 1)
        return
    yield _line("time", time, "orders the rows; see folds.kind", 1)
    if found.series:
        yield _line("series", list(found.series), "tells apart rows of one time", 1)
    if found.lags:
        yield _line("lags", list(found.lags), "steps back at which a row is shown its inputs", 1)
        yield _line("windows", list(found.windows), "steps up to a row over which its inputs are averaged", 1)
        if guess.task == "regression":
            yield _hint("horizon", found.ahead, "shows rows the target, too, from so many steps back", 1)


def _folds(seen: DataProfile, guess: InferredConfig) -> Iterator[str]:
    """Yield how the rows are dealt, and what the columns suggest instead."""
    rows, usual = len(seen.train), configs.FoldsConfig.model_validate({})
    if guess.chronology.later:
        yield _line("kind", "time", f"validated on later rows, as the submission is; or {_kinds('time', guess)}", 1)
        folds = usual.folds if rows <= MANY_ROWS else 2
        yield _line("folds", min(folds, max(rows - 1, 2)), "models a trial fits; the last predicts new rows", 1)
    elif rows > MANY_ROWS:
        comment = f"one part set apart, for there are {rows:,} rows; or {_kinds('holdout', guess)}"
        yield _line("kind", "holdout", comment, 1)
        yield _line("fraction", usual.fraction, "the share of rows set apart", 1)
    else:
        kind = "stratified" if guess.stratified else "kfold"
        yield _line("kind", kind, f"or {_kinds(kind, guess)}", 1)
        yield _line("folds", min(usual.folds, max(rows, 2)), "models a trial fits", 1)
        yield _hint("repeats", 2, "how often the rows are dealt anew (kfold, stratified)", 1)
    if guess.group is not None:
        kind = "group_stratified" if guess.stratified else "group"
        yield _hint("kind", kind, f"instead, with data.group: no {guess.group!r} in two folds", 1)
    if guess.chronology.time and not guess.chronology.later:
        yield _hint("kind", "time", f"instead, with data.time: validated on later {guess.chronology.time[0]!r} only", 1)
    yield _line("seed", usual.seed, "of the deal; not the study's, so that folds stay when that changes", 1)


def _families(guess: InferredConfig) -> Iterator[str]:
    """Yield the families, and below them those that could be there, too."""
    yield "families:  # in the order of their first turn; a line less is a family less"
    for name in guess.families:
        yield f"{f'  - {name}':<{_COMMENT_AT}} # {models.FAMILIES[name].description}"
    for name, entry in models.FAMILIES.items():
        if (
            name in guess.families
            or name == models.BASELINE
            or not entry.suits(guess.kind, guess.texts)
            or not set(guess.tasks) <= set(entry.tasks)
        ):
            continue
        remedy = "" if entry.installed else f"; first: pip install 'workbench[{entry.extra}]'"
        yield f"{f'  # - {name}':<{_COMMENT_AT}} # {entry.description}{remedy}"


def _others(guess: InferredConfig) -> str:
    """Return the other metrics for the task."""
    tasks = set(guess.tasks)
    return ", ".join(m["name"] for m in evaluation.describe() if tasks <= set(m["tasks"]) and m["name"] != guess.metric)


def _kinds(kind: str, guess: InferredConfig) -> str:
    """Return the other kinds of folds; without classes, nothing is stratified."""
    others = [other for other in get_args(FoldKind) if other != kind]
    return ", ".join(other for other in others if guess.stratified or "stratified" not in other)


def _seen_from(study: Path, file: Path) -> str:
    """Return the path of `file` relative to the study file's folder, absolute where it is far away."""
    try:
        near = Path(os.path.relpath(file, study.parent.resolve()))
    except ValueError:
        # On another drive there is no way from here to there.
        return file.as_posix()
    return (file if near.parts.count("..") > _FAR else near).as_posix()


def _line(key: str, value: Any, comment: str, depth: int = 0) -> str:
    return _noted(f"{'  ' * depth}{key}: {_yaml(value)}", comment)


def _hint(key: str, value: Any, comment: str, depth: int = 0) -> str:
    return _noted(f"{'  ' * depth}# {key}: {_yaml(value)}", comment)


def _noted(entry: str, comment: str) -> str:
    """Return an entry with its comment behind it; above it where the line would be long."""
    line = f"{entry:<{_COMMENT_AT}} # {comment}"
    if len(entry) <= _COMMENT_AT and len(line) <= _LINE:
        return line
    indent = " " * (len(entry) - len(entry.lstrip()))
    comments = textwrap.wrap(comment, _LINE, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# ")
    return "\n".join([*comments, entry])


def _yaml(value: Any) -> str:
    """Return a value in one line of YAML, quoted where it must be."""
    options: dict[str, Any] = {"default_flow_style": True, "width": float("inf"), "allow_unicode": True}
    text: str = yaml.safe_dump([value], **options).strip()
    if "\n" in text:
        text = yaml.safe_dump([value], default_style='"', **options).strip()
    return text[1:-1]
