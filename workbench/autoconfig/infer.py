"""Inference of a study's configuration from the profile of its data: target, id, task, metric, families, notes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from workbench import evaluation, models
from workbench.autoconfig import target_columns
from workbench.autoconfig.id_column import infer_id, is_unique_id
from workbench.autoconfig.profile import DataProfile, looks_like_id
from workbench.autoconfig.sample_columns import list_prediction_columns, unique_texts
from workbench.autoconfig.target_columns import InferredTargets
from workbench.autoconfig.time_series import TimeStructure, infer_time
from workbench.config import ColumnKind, SingleTask, StudyConfig, TaskType
from workbench.data.dataset import Kind
from workbench.data.validation import is_unnamed
from workbench.errors import ConfigError, DataError, format_list

if TYPE_CHECKING:
    import pandas as pd

# Families that are left out of the draft, by kind of data, because they are much like others that are in it or cost
# too much. The study file lists them as comments.
_LEFT_OUT = {
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
        # KerasTuner's hypermodels resize all images to one size and are expensive.
        *("hyper_resnet", "hyper_xception", "hyper_image_augment", "hyper_efficientnet"),
    ),
    "sequence": ("linear", "extra_trees", "lightgbm", "catboost", "random_forest"),
    # One family of each sort; families that use only some of the columns add diversity to the ensemble.
    "mixed": (
        *("catboost", "extra_trees", "random_forest", "mlp", "tabm", "dae_mlp", "dae_xgboost", "tfidf_xgboost"),
        *("conv1d", "conv1d_gru", "gru", "lstm"),
        *("resnet", "xception", "inception", "mobilenet", "pretrained", "hog_trees"),
        *("hyper_resnet", "hyper_xception", "hyper_image_augment", "hyper_efficientnet"),
    ),
}
# The families that come first, by kind of data: the most suitable, and among these the cheaper ones.
_FIRST = {
    "image": ("hog_svm", "hog_trees", "cnn", "resnet", "xception", "mlp"),
    "mixed": ("multi_input", "xgboost", "cnn", "wide_and_deep", "tfidf_linear", "hog_svm"),
    "sequence": ("rocket", "sequence_trees", "conv1d", "sequence_xgboost", "conv1d_gru", "gru", "lstm"),
}
_GROUP = re.compile(r"(?i)(^|[_\s.-])(nbr|group|patient|user|customer|client|subject|session|household|account)$")
# Further metrics to report, by the metric that is optimised, or else by the task.
_ALSO = {"roc_auc": ("log_loss",), "accuracy": ("log_loss",), "log_loss": ("accuracy",), "rmse": ("mae", "r2")}
_ALSO_FOR = {"binary": ("log_loss",), "multiclass": ("log_loss",), "regression": ("rmse", "r2")}


@dataclass(frozen=True)
class InferredConfig:
    """The inferred configuration of a study, with notes on the reasons."""

    targets: tuple[str, ...]
    """The target columns."""
    tasks: tuple[SingleTask, ...]
    """The task of each target."""
    metric: str | None
    """The metric to optimise; None if each of several targets has its own metric."""
    also: tuple[str, ...]
    """Further metrics to report."""
    id: str | None
    """The id column."""
    drop: tuple[str, ...]
    """Columns that cannot be features: the test rows lack them, or they are ids."""
    classes: tuple[Any, ...] | None
    """The labels in the order of the class numbers; None for a regression or a target that cannot be encoded yet."""
    group: str | None
    """A column that may group the rows, which folds should then keep together."""
    time: TimeStructure
    """The time structure of the table."""
    kind: Kind
    """The kind of a row: `text` for a table with a column of texts, `mixed` for a table with a column of images,
    else the kind of the profile."""
    texts: bool
    """Whether a column holds texts."""
    kinds: Mapping[str, ColumnKind]
    """The kinds of some columns: those that took long to recognise."""
    families: tuple[str, ...]
    """The families to search."""
    notes: tuple[str, ...]
    """The findings and inferences, one line each."""

    @property
    def task(self) -> TaskType:
        """The task of the study."""
        if len(self.tasks) == 1:
            return self.tasks[0]
        return "multilabel" if set(self.tasks) == {"binary"} else "multitarget"

    @property
    def stratified(self) -> bool:
        """Whether there are classes by which folds can be stratified."""
        return set(self.tasks) != {"regression"}


class _TaskAndMetric(NamedTuple):
    """The tasks of the targets and the metric, as far as inferred."""

    tasks: tuple[SingleTask, ...]
    metric: str | None
    also: tuple[str, ...]
    classes: tuple[Any, ...] | None
    notes: tuple[str, ...]


def infer(profile: DataProfile, targets: Sequence[str] = (), metric: str | None = None) -> InferredConfig:
    """Infer the configuration of a study.

    Args:
        profile: the data.
        targets: the target columns that the user names; inferred if there are none.
        metric: the metric that the user names; inferred if None.

    Raises:
        ConfigError: a given target is not a column, no target can be inferred, or the metric does not suit the target.
        DataError: no row has a target.
    """
    from workbench.data import pixel_table

    inferred = target_columns.infer_targets(profile, targets)
    target_columns.check_near_names(profile, inferred.targets)
    id_, id_note = infer_id(profile, inferred.targets)
    drop, drop_note = _infer_drop(profile, {*inferred.targets, id_})
    left_out = _note_unlabelled(profile, inferred.targets)
    scoring = _infer_task_and_metric(profile, inferred, metric)
    reserved = {*inferred.targets, id_, *drop}
    features = [name for name in map(str, profile.train.columns) if name not in reserved and not is_unnamed(name)]
    is_pixels = profile.features_in_columns and not profile.image_columns and pixel_table.is_pixel_table(features)
    others = [name for name in features if name not in profile.image_columns]
    kinds = {} if is_pixels or not profile.features_in_columns else _recognise_kinds(profile, others)
    texts = "text" in kinds.values()
    kind: Kind = "image" if is_pixels else _infer_kind(profile, others, texts=texts)
    notes = [f"images: the {len(features)} columns are pixels"] if is_pixels else []
    group, time = _infer_group(profile.train[others]), TimeStructure()
    if kind not in ("image", "mixed"):
        time = infer_time(profile, features)
    notes += [inferred.note, *left_out, id_note, drop_note, *scoring.notes]
    notes += [_group_note(profile, group), time.note]
    return InferredConfig(
        targets=inferred.targets,
        tasks=scoring.tasks,
        metric=scoring.metric,
        also=scoring.also,
        id=id_,
        drop=drop,
        classes=scoring.classes,
        group=group,
        time=time,
        kind=kind,
        texts=texts,
        kinds=kinds,
        families=choose_families(kind, scoring.tasks, texts=texts),
        notes=(*profile.notes, *(note for note in notes if note)),
    )


def _note_unlabelled(profile: DataProfile, targets: Sequence[str]) -> tuple[str, ...]:
    """Return notes on the training rows without a target, which the study leaves out, and on texts such as NA in it.

    Raises:
        DataError: no row has a target.
    """
    from workbench.data import labelled_rows, tables

    document = {"name": "draft", "data": {"train": "", "target": list(targets)}, "families": ["linear"]}
    config = StudyConfig.model_validate(document)
    unit = "rows" if profile.steps is None else "sequences"
    rows = labelled_rows.find_labelled(config, profile.train, profile.files.label, unit=unit)
    file = profile.files.train
    return (*(() if file is None else tables.note_markers(config, file, profile.train)), *rows.notes)


def _infer_task_and_metric(profile: DataProfile, inferred: InferredTargets, metric: str | None) -> _TaskAndMetric:
    """Return the tasks of the targets, and the metric."""
    if inferred.several:
        tasks = tuple(target_columns.infer_tasks(profile, inferred.targets, metric).values())
        chosen, note = (metric, "") if metric is not None else target_columns.choose_metric(tasks)
        listed = ", ".join(f"{name} {task}" for name, task in zip(inferred.targets[:6], tasks, strict=False))
        also = _ALSO.get(chosen or "", ()) if set(tasks) == {"binary"} or set(tasks) == {"regression"} else ()
        return _TaskAndMetric(tasks, chosen, also, None, (f"tasks: {listed}{', …' if len(tasks) > 6 else ''}", note))
    target = inferred.targets[0]
    task, task_note = _infer_task(profile, target, metric)
    classes, class_note = _encode_classes(profile, target, task)
    name, metric_note = (metric, "") if metric is not None else _infer_metric(profile, target, task)
    also, notes = _ALSO.get(name, _ALSO_FOR[task]), (task_note, class_note, metric_note)
    return _TaskAndMetric((task,), name, also, classes, notes)


def choose_families(kind: Kind, tasks: Sequence[SingleTask], *, texts: bool = False) -> tuple[str, ...]:
    """Return the installed families for a kind of data: the most suitable first, the others in the order of `FAMILIES`.

    Args:
        kind: the kind of a row.
        tasks: the tasks of the targets.
        texts: whether a column holds texts.
    """
    first = _FIRST.get(kind, ())
    return tuple(
        name
        for name, entry in sorted(models.FAMILIES.items(), key=lambda each: _rank(each[0], first))
        if entry.suits(kind, texts)
        and set(tasks) <= set(entry.tasks)
        and entry.installed
        and name != models.BASELINE
        and name not in _LEFT_OUT.get(kind, ())
    )


def _rank(name: str, first: tuple[str, ...]) -> int:
    return first.index(name) if name in first else len(first)


def _infer_kind(profile: DataProfile, others: list[str], *, texts: bool) -> Kind:
    """Return the kind of a row; `others` are the features that are not images."""
    if profile.image_columns and profile.features_in_columns:
        return "mixed" if any(profile.train[name].nunique(dropna=False) > 1 for name in others) else "image"
    if profile.kind != "table":
        return profile.kind
    return "text" if texts else "table"


def _recognise_kinds(profile: DataProfile, features: list[str]) -> dict[str, ColumnKind]:
    """Return the kinds of the features that are neither numbers nor dates by their dtype."""
    from workbench import data

    objects = [name for name in features if profile.train[name].dtype.kind not in "biufM"]
    return data.kinds(profile.train[objects])


def _infer_drop(profile: DataProfile, kept: Iterable[str | None]) -> tuple[tuple[str, ...], str]:
    """Return the columns that cannot be features, and a note on the reason."""
    if profile.steps is not None:
        names = [name for name in profile.drop if name not in set(kept)]
        return tuple(names), f"drop: {format_list(names)}, no part of a sequence to predict" if names else ""
    if not profile.features_in_columns:
        return (), ""
    kept, test = set(kept), profile.test
    columns = [name for name in map(str, profile.train.columns) if name not in kept and not is_unnamed(name)]
    lacking = [] if test is None else [name for name in columns if name not in test.columns]
    ids = [name for name in columns if name not in lacking and looks_like_id(name) and is_unique_id(profile, name)]
    reasons = [f"{format_list(lacking)}, which the rows to predict lack"] if lacking else []
    reasons += [f"{format_list(ids)}, different in every row"] if ids else []
    return (*lacking, *ids), f"drop: {'; '.join(reasons)}" if reasons else ""


def _infer_task(profile: DataProfile, target: str, metric: str | None) -> tuple[SingleTask, str]:
    """Return the task that follows from the target, the sample submission and the user's metric, and a note.

    Raises:
        ConfigError: the metric is for other tasks.
    """
    from workbench import data

    series = profile.train[target]
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
        and len(list_prediction_columns(profile)) == 1
        and _sample_has_fractions(profile)
    ):
        return "regression", f"task: regression; {target} has few values, but the sample submission shows fractions"
    if task == "regression":
        return task, f"task: regression; {target} has numbers from {series.min():g} to {series.max():g}"
    classes = sorted(distinct.tolist(), key=lambda value: (type(value).__name__, value))
    few = ", ".join(map(str, classes[:6])) + (", …" if len(classes) > 6 else "")
    return task, f"task: {task}; {target} has {len(distinct)} classes: {few}"


def _sample_has_fractions(profile: DataProfile) -> bool:
    """Return whether the sample's predictions include numbers that are not integers."""
    wanted = list_prediction_columns(profile)
    if profile.sample is None or not wanted:
        return False
    values = profile.sample[wanted[0]]
    return bool(values.dtype.kind == "f" and (values.dropna() % 1 != 0).any())


def _encode_classes(profile: DataProfile, target: str, task: SingleTask) -> tuple[tuple[Any, ...] | None, str]:
    """Return the classes, or None and a note on what must be corrected before the target can be encoded."""
    from workbench.data.target import encode

    try:
        return encode(profile.train[target].dropna(), name=target, task=task).classes, ""
    except DataError as error:
        return None, f"before it can run: {error}"


def _infer_metric(profile: DataProfile, target: str, task: SingleTask) -> tuple[str, str]:
    """Return a metric that suits the task and the predictions in the sample submission, and a note."""
    if task == "regression":
        return "rmse", "metric: rmse, the usual one for numbers; the competition's rules may say another"
    default = "roc_auc" if task == "binary" else "log_loss"
    wanted = list_prediction_columns(profile)
    if profile.sample is None or not wanted:
        return default, f"metric: {default}, a usual one for {task}; the competition's rules may say another"
    name = wanted[0]
    if len(wanted) > 1:
        return default, f"metric: {default}; the sample submission shows a probability for each class"
    if not _shows_labels(profile.sample[name], profile.train[target]):
        if task == "binary":
            return default, f"metric: {default}; the sample submission shows probabilities"
        values = format_list(profile.sample[name].unique(), 3)
        return "accuracy", f"metric: accuracy; one column for {task} must hold labels, though the sample has {values}"
    doubt = ""
    if task == "binary" and profile.sample[name].nunique() == 1 and profile.sample[name].dtype.kind in "iu":
        doubt = f" (all {profile.sample[name].iloc[0]}: were probabilities meant, set metric: roc_auc)"
    return "accuracy", f"metric: accuracy; the sample submission shows labels{doubt}"


def _shows_labels(values: pd.Series[Any], target: pd.Series[Any]) -> bool:
    """Return whether the sample's values are classes; 0.0 and 1.0 for the classes 0 and 1 are probabilities."""
    shown, known = unique_texts(values), unique_texts(target)
    return shown <= known and not (values.dtype.kind == "f" and known == {"0", "1"})


def _infer_group(frame: pd.DataFrame) -> str | None:
    """Return a column whose name and repeated values suggest that it groups the rows, or None."""
    rows = len(frame)
    least = min(50, max(5, rows // 10))
    for name in map(str, frame.columns):
        if not (looks_like_id(name) or _GROUP.search(name)):
            continue
        if least <= frame[name].nunique() <= 0.95 * rows and frame[name].notna().all():
            return name
    return None


def _group_note(profile: DataProfile, group: str | None) -> str:
    """Return a note about the group column, or an empty string if there is none."""
    if not group:
        return ""
    advice = "to be judged on values not seen before, set data.group (see the file)"
    if profile.test is None or group not in profile.test:
        return f"perhaps a group: {group}; {advice}"
    known = profile.test[group].isin(profile.train[group]).mean()
    if not known:
        return f"perhaps a group: no {group} to predict was seen in training, so set data.group (see the file)"
    return f"perhaps a group: {group}; {known:.0%} of the rows to predict have a value seen in training; {advice}"
