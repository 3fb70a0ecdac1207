"""Inference of the target columns and their tasks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench import evaluation
from workbench.autoconfig.profile import DataProfile, looks_like_id
from workbench.config import SingleTask
from workbench.data.validation import is_unnamed
from workbench.errors import ConfigError, did_you_mean, format_list

if TYPE_CHECKING:
    import pandas as pd

_COMMON_TARGETS = ("target", "label", "labels", "y", "class", "outcome")
# Rows that are examined to find the kind of a column.
_KIND_ROWS = 2000


@dataclass(frozen=True)
class InferredTargets:
    """The target columns, and a note on how they were found."""

    targets: tuple[str, ...]
    note: str

    @property
    def several(self) -> bool:
        """Whether there is more than one target."""
        return len(self.targets) > 1


def infer_targets(profile: DataProfile, given: Sequence[str]) -> InferredTargets:
    """Return the target columns.

    Args:
        profile: the data.
        given: the target columns that the user names; inferred if there are none.

    Raises:
        ConfigError: a given target is not a column, or the target cannot be inferred.
    """
    columns = [name for name in map(str, profile.train.columns) if not is_unnamed(name)]
    for name in given:
        if name not in columns:
            hint = f"{did_you_mean(name, columns)} Columns: {format_list(columns)}."
            where = profile.files.label
            raise ConfigError(f"--target must be a column of {where}. Received: {name!r}.{hint} Name one of them.")
    if given:
        targets = tuple(dict.fromkeys(given))
        word = "target" if len(targets) == 1 else "targets"
        return InferredTargets(targets, f"{word}: {', '.join(targets)}, as asked")
    if isinstance(profile.target, tuple):
        return InferredTargets(
            profile.target, f"targets: {format_list(profile.target)}, as {profile.files.label} has them"
        )
    several = _infer_several(profile, columns)
    if several:
        return InferredTargets(
            several, f"targets: {format_list(several)}, which the sample submission has and the rows to predict lack"
        )
    return _infer_one(profile, columns)


def infer_tasks(profile: DataProfile, targets: Sequence[str], metric: str | None) -> dict[str, SingleTask]:
    """Return the task of each of several targets.

    Raises:
        ConfigError: the user's metric does not suit one of the targets.
    """
    from workbench import data

    tasks = {name: data.infer_task(profile.train[name].dropna()) for name in targets}
    suitable = next((each["tasks"] for each in evaluation.describe() if each["name"] == metric), None)
    for name, task in tasks.items():
        if suitable is not None and task not in suitable:
            if "regression" in suitable and profile.train[name].dtype.kind in "iuf":
                tasks[name] = "regression"
                continue
            raise ConfigError(
                f"--metric must suit every target. Received: {metric!r}, but {name} is {task}. "
                "Leave it out, and set targets.NAME.metric in the file."
            )
    return tasks


def choose_metric(tasks: Sequence[SingleTask]) -> tuple[str | None, str]:
    """Return a metric for several targets, or None if no metric suits all of them, and the reason."""
    kinds = set(tasks)
    caveat = "the competition's rules may say another"
    if kinds == {"regression"}:
        return "rmse", f"metric: the mean of the targets' rmse; {caveat}"
    if "regression" in kinds:
        return None, "metric: log_loss of classes and rmse of numbers, each as a share of a constant's"
    metric = "roc_auc" if kinds == {"binary"} else "log_loss"
    return metric, f"metric: the mean of the targets' {metric}; {caveat}"


def list_prediction_columns(profile: DataProfile) -> list[str]:
    """Return the columns of the sample submission that hold predictions."""
    return [] if profile.sample is None else [str(name) for name in profile.sample.columns[1:]]


def _infer_several(profile: DataProfile, columns: Sequence[str]) -> tuple[str, ...]:
    """Return the sample's prediction columns if they are two or more columns that only the training rows have."""
    if profile.target is not None or profile.test is None:
        return ()
    wanted = list_prediction_columns(profile)
    lacking = {name for name in columns if name not in profile.test.columns}
    valid = len(wanted) > 1 and all(name in lacking and _is_learnable(profile.train[name]) for name in wanted)
    return tuple(wanted) if valid else ()


def _infer_one(profile: DataProfile, columns: Sequence[str]) -> InferredTargets:
    """Return the single target, as the source, the test rows, the sample submission or the names of columns show it.

    Raises:
        ConfigError: the target cannot be inferred.
    """
    train, where = profile.train, profile.files.label
    if isinstance(profile.target, str):
        return InferredTargets((profile.target,), f"target: {profile.target}, as {where} has it")
    lacking = [] if profile.test is None else [name for name in columns if name not in profile.test.columns]
    if len(lacking) == 1 and not looks_like_id(lacking[0]):
        return InferredTargets((lacking[0],), f"target: {lacking[0]}, the only column that the rows to predict lack")
    candidates = [name for name in lacking if not looks_like_id(name)] or list(columns)
    among = " among the columns that the rows to predict lack" if lacking else ""
    wanted = list_prediction_columns(profile)
    for name in candidates:
        if wanted and _matches_sample(wanted, name, train[name]):
            return InferredTargets((name,), f"target: {name}, which the sample submission names")
    by_lower = {name.lower(): name for name in candidates}
    for word in _COMMON_TARGETS:
        if word in by_lower and _is_learnable(train[by_lower[word]]):
            return InferredTargets(
                (by_lower[word],), f"target: {by_lower[word]}, by its name{among}; name another with --target"
            )
    last = candidates[-1] if candidates else ""
    if last and not looks_like_id(last) and _is_learnable(train[last]):
        return InferredTargets((last,), f"target: {last}, the last column{among}; name another with --target")
    raise ConfigError(
        f"{where}: the column to predict cannot be told. Columns: {format_list(columns)}. Name it with --target COLUMN."
    )


def _matches_sample(wanted: list[str], name: str, series: pd.Series[Any]) -> bool:
    """Return whether the sample's prediction columns are this column or its classes, TARGET_CLASS or CLASS."""
    if name in wanted or all(each.startswith(f"{name}_") for each in wanted):
        return True
    return len(wanted) > 1 and set(wanted) <= set(map(str, series.dropna().unique()))


def _is_learnable(series: pd.Series[Any]) -> bool:
    """Return whether values could be a target: classes that repeat, or numbers."""
    from workbench import data

    distinct = series.nunique()
    kind = data.kinds(series.head(_KIND_ROWS).to_frame())[str(series.name)]
    unique_texts = kind in ("category", "text") and distinct > max(20, len(series) / 2)
    return distinct > 1 and kind != "date" and not unique_texts
