"""Evidence -> what a study would say: target, id, task, metric, hints, families, and why."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from workbench import evaluation, models
from workbench.autoconfig import target_columns
from workbench.autoconfig.profile import DataProfile, looks_like_id
from workbench.autoconfig.target_columns import InferredTargets, list_answer_columns
from workbench.autoconfig.time_series import TimeStructure, infer_time
from workbench.config import SingleTask, TaskType
from workbench.data.dataset import Kind
from workbench.data.validation import is_unnamed
from workbench.errors import ConfigError, DataError, format_list

if TYPE_CHECKING:
    import pandas as pd

# Forests, boosted trees and linear models on the same topics, bare pixels or steps say much the same; one or two will
# do to begin with.
_SPARED = {
    "table": ("multi_input", "dae_mlp", "dae_xgboost"),
    "text": (
        "catboost",
        "random_forest",
        "wide_and_deep",
        "multi_input",
        "lstm",
        "conv1d_gru",
        "tabm",
        "dae_mlp",
        "dae_xgboost",
    ),
    "image": (
        *("linear", "lightgbm", "catboost", "extra_trees", "random_forest"),
        *("inception", "mobilenet", "pretrained", "multi_input"),
        # KerasTuner's have one size for all images, and are dear.
        *("hyper_resnet", "hyper_xception", "hyper_image_augment", "hyper_efficientnet"),
    ),
    "sequence": ("linear", "extra_trees", "lightgbm", "catboost", "random_forest"),
    # A family of each sort: those that see a part of the columns only are there to be blended.
    "mixed": (
        *("catboost", "extra_trees", "random_forest", "mlp", "tabm", "dae_mlp", "dae_xgboost", "tfidf_xgboost"),
        *("conv1d", "conv1d_gru", "gru", "lstm"),
        *("resnet", "xception", "inception", "mobilenet", "pretrained", "hog_trees"),
        *("hyper_resnet", "hyper_xception", "hyper_image_augment", "hyper_efficientnet"),
    ),
}
# What suits a kind of data best has the first turns, and of these the cheap ones.
_FIRST = {
    "image": ("hog_svm", "hog_trees", "cnn", "resnet", "xception", "mlp"),
    "mixed": ("multi_input", "xgboost", "cnn", "wide_and_deep", "tfidf_linear", "hog_svm"),
    "sequence": ("rocket", "sequence_trees", "conv1d", "sequence_xgboost", "conv1d_gru", "gru", "lstm"),
}
_GROUP = re.compile(r"(?i)(^|[_\s.-])(nbr|group|patient|user|customer|client|subject|session|household|account)$")
# What is shown beside a metric; of other metrics, beside any for the task.
_ALSO = {"roc_auc": ("log_loss",), "accuracy": ("log_loss",), "log_loss": ("accuracy",), "rmse": ("mae", "r2")}
_ALSO_FOR = {"binary": ("log_loss",), "multiclass": ("log_loss",), "regression": ("rmse", "r2")}
# What a target is shows in as many rows.
_ROWS = 2000


@dataclass(frozen=True)
class InferredConfig:
    """What a study would say, and why."""

    targets: tuple[str, ...]
    """The column to predict, or several."""
    tasks: tuple[SingleTask, ...]
    """What is asked of each."""
    metric: str | None
    """What is optimised; None where each of several targets has a metric of its own."""
    also: tuple[str, ...]
    """What is shown beside it."""
    id: str | None
    """The column that names the rows."""
    drop: tuple[str, ...]
    """Columns that cannot be features: the rows to predict lack them, or they only name rows."""
    classes: tuple[Any, ...] | None
    """As models number them; None for a regression, or where the target cannot be learnt as it is."""
    group: str | None
    """A column that looks as if rows of equal values belong together."""
    chronology: TimeStructure
    """What the columns say of time."""
    kind: Kind
    """What a row is: the evidence's kind, text where a column of the table holds texts, mixed beside one of images."""
    texts: bool
    """Whether a column holds texts."""
    families: tuple[str, ...]
    """What is there for data of this kind."""
    notes: tuple[str, ...]
    """What was found and inferred, a line each."""

    @property
    def task(self) -> TaskType:
        """What is asked of a row."""
        if len(self.tasks) == 1:
            return self.tasks[0]
        return "multilabel" if set(self.tasks) == {"binary"} else "multitarget"

    @property
    def stratified(self) -> bool:
        """Whether there are classes that folds can have alike."""
        return set(self.tasks) != {"regression"}


class _Asked(NamedTuple):
    tasks: tuple[SingleTask, ...]
    metric: str | None
    also: tuple[str, ...]
    classes: tuple[Any, ...] | None
    notes: tuple[str, ...]


def infer(evidence: DataProfile, targets: Sequence[str] = (), metric: str | None = None) -> InferredConfig:
    """Infer what a study of this evidence would say; `targets` and `metric` are the user's word, if any.

    Raises:
        ConfigError: the target is no column, or none can be inferred, or the metric does not suit it.
    """
    from workbench.data import pixel_table

    aimed = target_columns.infer_targets(evidence, targets)
    id_, id_note = _id(evidence, aimed.targets)
    drop, drop_note = _drop(evidence, {*aimed.targets, id_})
    asked = _asked(evidence, aimed, metric)
    apart = {*aimed.targets, id_, *drop}
    left = [name for name in map(str, evidence.train.columns) if name not in apart and not is_unnamed(name)]
    flat = evidence.columnar and not evidence.pictured and pixel_table.is_pixel_table(left)
    beside = [name for name in left if name not in evidence.pictured]
    texts = not flat and evidence.columnar and _wordy(evidence, beside)
    kind: Kind = "image" if flat else _kind(evidence, beside, texts=texts)
    notes = [f"images: the {len(left)} columns are pixels"] if flat else []
    group, chronology = _group(evidence.train[beside]), TimeStructure()
    if kind not in ("image", "mixed"):
        chronology = infer_time(evidence, left)
    notes += [aimed.note, id_note, drop_note, *asked.notes]
    notes += [_group_note(evidence, group), chronology.note]
    return InferredConfig(
        targets=aimed.targets,
        tasks=asked.tasks,
        metric=asked.metric,
        also=asked.also,
        id=id_,
        drop=drop,
        classes=asked.classes,
        group=group,
        chronology=chronology,
        kind=kind,
        texts=texts,
        families=families(kind, asked.tasks, texts=texts),
        notes=(*evidence.notes, *(note for note in notes if note)),
    )


def _asked(evidence: DataProfile, aimed: InferredTargets, metric: str | None) -> _Asked:
    """Return what is asked of the targets, and how it is scored."""
    if aimed.several:
        tasks = tuple(target_columns.infer_tasks(evidence, aimed.targets, metric).values())
        chosen, note = (metric, "") if metric is not None else target_columns.choose_metric(tasks)
        what = ", ".join(f"{name} {task}" for name, task in zip(aimed.targets[:6], tasks, strict=False))
        also = _ALSO.get(chosen or "", ()) if set(tasks) == {"binary"} or set(tasks) == {"regression"} else ()
        return _Asked(tasks, chosen, also, None, (f"tasks: {what}{', …' if len(tasks) > 6 else ''}", note))
    label = aimed.targets[0]
    task, task_note = _task(evidence, label, metric)
    classes, class_note = _classes(evidence, label, task)
    usual, metric_note = (metric, "") if metric is not None else _metric(evidence, label, task)
    return _Asked((task,), usual, _ALSO.get(usual, _ALSO_FOR[task]), classes, (task_note, class_note, metric_note))


def families(kind: Kind, tasks: Sequence[SingleTask], *, texts: bool = False) -> tuple[str, ...]:
    """Return the installed families for data of this kind: the most suitable, then in the order of their table.

    Args:
        kind: what a row is.
        tasks: what is asked of it.
        texts: whether a column holds texts.
    """
    first = _FIRST.get(kind, ())
    return tuple(
        name
        for name, entry in sorted(models.FAMILIES.items(), key=lambda each: _place(each[0], first))
        if entry.suits(kind, texts)
        and set(tasks) <= set(entry.tasks)
        and entry.installed
        and name != models.BASELINE
        and name not in _SPARED.get(kind, ())
    )


def _place(name: str, first: tuple[str, ...]) -> int:
    return first.index(name) if name in first else len(first)


def _kind(evidence: DataProfile, beside: list[str], *, texts: bool) -> Kind:
    """Return what a row is; `beside` are the features that are no images."""
    if evidence.pictured and evidence.columnar:
        return "mixed" if any(evidence.train[name].nunique(dropna=False) > 1 for name in beside) else "image"
    if evidence.kind != "table":
        return evidence.kind
    return "text" if texts else "table"


def _wordy(evidence: DataProfile, features: list[str]) -> bool:
    """Tell whether a column holds texts."""
    from workbench import data

    words = [name for name in features if evidence.train[name].dtype.kind not in "biufM"]
    return "text" in data.kinds(evidence.train[words]).values()


def _id(evidence: DataProfile, targets: Sequence[str]) -> tuple[str | None, str]:
    """Return the column that names the rows, and how it was found."""
    train, test, sample = evidence.train, evidence.test, evidence.sample
    if evidence.id is not None:
        what = "the names of the images" if evidence.steps is None else "whose rows are one sequence each"
        return evidence.id, f"id: {evidence.id}, {what}"
    if not evidence.columnar:
        there = "id" in train.columns or (test is not None and "id" in test.columns)
        return ("id", "") if there and "id" not in targets else (None, "")
    names = [name for name in map(str, train.columns) if looks_like_id(name) and name not in targets]
    if sample is not None:
        first = str(sample.columns[0])
        if first in train.columns and first not in targets and _names_rows(evidence, first):
            return first, f"id: {first}, the first column of the sample submission"
        for name in names:
            if _names_rows(evidence, name) and test is not None and _texts(test[name]) == _texts(sample[first]):
                return name, f"id: {name}, whose values the sample submission has as {first}"
        return None, (
            f"no id: {first}, the first column of the sample submission, does not name each row once here; "
            "predictions follow the order of the rows"
        )
    for name in sorted(names, key=lambda name: name.lower() != "id"):
        if _names_rows(evidence, name):
            return name, f"id: {name}, by its name, and different in every row"
    return None, "no id: rows are numbered in their order"


def _names_rows(evidence: DataProfile, name: str) -> bool:
    """Tell whether a column names each row once, in training and test."""
    frames = [evidence.train] if evidence.test is None else [evidence.train, evidence.test]
    return all(
        name in frame.columns
        and frame[name].is_unique
        and frame[name].notna().all()
        and (frame[name].dtype.kind != "f" or (frame[name] % 1 == 0).all())
        for frame in frames
    )


def _drop(evidence: DataProfile, kept: Iterable[str | None]) -> tuple[tuple[str, ...], str]:
    """Return the columns that cannot be features, and why."""
    if evidence.steps is not None:
        names = [name for name in evidence.drop if name not in set(kept)]
        return tuple(names), f"drop: {format_list(names)}, no part of a sequence to predict" if names else ""
    if not evidence.columnar:
        return (), ""
    kept, test = set(kept), evidence.test
    columns = [name for name in map(str, evidence.train.columns) if name not in kept and not is_unnamed(name)]
    lacking = [] if test is None else [name for name in columns if name not in test.columns]
    names = [name for name in columns if name not in lacking and looks_like_id(name) and _names_rows(evidence, name)]
    reasons = [f"{format_list(lacking)}, which the rows to predict lack"] if lacking else []
    reasons += [f"{format_list(names)}, different in every row"] if names else []
    return (*lacking, *names), f"drop: {'; '.join(reasons)}" if reasons else ""


def _task(evidence: DataProfile, target: str, metric: str | None) -> tuple[SingleTask, str]:
    """Return the task that target, sample submission and the user's metric show.

    Raises:
        ConfigError: the metric is for other tasks.
    """
    from workbench import data

    series = evidence.train[target]
    task = data.infer_task(series)
    tasks = next((each["tasks"] for each in evaluation.describe() if each["name"] == metric), [task])
    if task not in tasks:
        if "regression" in tasks and series.dtype.kind in "iuf":
            return "regression", f"task: regression, which {metric} is for; {target} has {series.nunique()} values"
        others = format_list([each["name"] for each in evaluation.describe() if task in each["tasks"]], 20)
        raise ConfigError(
            f"--metric must suit {target}, which is {task}. Received: {metric!r}. Choose one of: {others}."
        )
    distinct = series.dropna().unique()
    if (
        task == "multiclass"
        and series.dtype.kind in "iuf"
        and len(list_answer_columns(evidence)) == 1
        and _fractions(evidence)
    ):
        return "regression", f"task: regression; {target} has few values, but the sample submission shows fractions"
    if task == "regression":
        return task, f"task: regression; {target} has numbers from {series.min():g} to {series.max():g}"
    classes = sorted(distinct.tolist(), key=lambda value: (type(value).__name__, value))
    few = ", ".join(map(str, classes[:6])) + (", …" if len(classes) > 6 else "")
    return task, f"task: {task}; {target} has {len(distinct)} classes: {few}"


def _fractions(evidence: DataProfile) -> bool:
    """Tell whether the sample's predictions are numbers that are not whole."""
    if evidence.sample is None:
        return False
    values = evidence.sample.iloc[:, 1]
    return bool(values.dtype.kind == "f" and (values.dropna() % 1 != 0).any())


def _classes(evidence: DataProfile, target: str, task: SingleTask) -> tuple[tuple[Any, ...] | None, str]:
    """Return the classes; or what must be mended before the target can be learnt."""
    from workbench.data.target import encode

    try:
        return encode(evidence.train[target], name=target, task=task).classes, ""
    except DataError as error:
        return None, f"before it can run: {error}"


def _metric(evidence: DataProfile, target: str, task: SingleTask) -> tuple[str, str]:
    """Return a metric for the task, and for what the sample submission shows."""
    if task == "regression":
        return "rmse", "metric: rmse, the usual one for numbers; the competition's rules may say another"
    usual = "roc_auc" if task == "binary" else "log_loss"
    asked = list_answer_columns(evidence)
    if evidence.sample is None or not asked:
        return usual, f"metric: {usual}, a usual one for {task}; the competition's rules may say another"
    name = asked[0]
    if len(asked) > 1:
        return usual, f"metric: {usual}; the sample submission shows a probability for each class"
    if not _shows_labels(evidence.sample[name], evidence.train[target]):
        if task == "binary":
            return usual, f"metric: {usual}; the sample submission shows probabilities"
        values = format_list(evidence.sample[name].unique(), 3)
        return "accuracy", f"metric: accuracy; one column for {task} must hold labels, though the sample has {values}"
    doubt = ""
    if task == "binary" and evidence.sample[name].nunique() == 1 and evidence.sample[name].dtype.kind in "iu":
        doubt = f" (all {evidence.sample[name].iloc[0]}: were probabilities meant, set metric: roc_auc)"
    return "accuracy", f"metric: accuracy; the sample submission shows labels{doubt}"


def _shows_labels(values: pd.Series[Any], target: pd.Series[Any]) -> bool:
    """Tell whether the sample's values are classes; 0.0 and 1.0 for classes 0 and 1 are probabilities."""
    shown, known = _texts(values), _texts(target)
    return shown <= known and not (values.dtype.kind == "f" and known == {"0", "1"})


def _texts(series: pd.Series[Any]) -> set[str]:
    return {str(value).removesuffix(".0") for value in series.dropna().unique()}


def _group(frame: pd.DataFrame) -> str | None:
    """Return a column whose name and repeated values say that rows belong together."""
    rows = len(frame)
    least = min(50, max(5, rows // 10))
    for name in map(str, frame.columns):
        if not (looks_like_id(name) or _GROUP.search(name)):
            continue
        if least <= frame[name].nunique() <= 0.95 * rows and frame[name].notna().all():
            return name
    return None


def _group_note(evidence: DataProfile, group: str | None) -> str:
    if not group:
        return ""
    advice = "to be judged on values not seen before, set data.group (see the file)"
    if evidence.test is None or group not in evidence.test:
        return f"perhaps a group: {group}; {advice}"
    known = evidence.test[group].isin(evidence.train[group]).mean()
    if not known:
        return f"perhaps a group: no {group} to predict was seen in training, so set data.group (see the file)"
    return f"perhaps a group: {group}; {known:.0%} of the rows to predict have a value seen in training; {advice}"
