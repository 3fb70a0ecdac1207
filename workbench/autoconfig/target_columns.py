"""What a study is about to predict: a column of the training rows, or several, and what is asked of them."""

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

_USUAL_TARGETS = ("target", "label", "labels", "y", "class", "outcome")
# What a target is shows in as many rows.
_ROWS = 2000


@dataclass(frozen=True)
class InferredTargets:
    """The targets, and how they were found."""

    targets: tuple[str, ...]
    note: str

    @property
    def several(self) -> bool:
        """Whether there is more than one."""
        return len(self.targets) > 1


def infer_targets(evidence: DataProfile, given: Sequence[str]) -> InferredTargets:
    """Return what is to be predicted; `given` are the columns that the user names, if any.

    Raises:
        ConfigError: one of them is no column, or none can be told.
    """
    columns = [name for name in map(str, evidence.train.columns) if not is_unnamed(name)]
    for name in given:
        if name not in columns:
            hint = f"{did_you_mean(name, columns)} Columns: {format_list(columns)}."
            where = evidence.sources.label
            raise ConfigError(f"--target must be a column of {where}. Received: {name!r}.{hint} Name one of them.")
    if given:
        found = tuple(dict.fromkeys(given))
        return InferredTargets(found, f"{'target' if len(found) == 1 else 'targets'}: {', '.join(found)}, as asked")
    if isinstance(evidence.target, tuple):
        return InferredTargets(
            evidence.target, f"targets: {format_list(evidence.target)}, as {evidence.sources.label} has them"
        )
    several = _several(evidence, columns)
    if several:
        return InferredTargets(
            several, f"targets: {format_list(several)}, which the sample submission has and the rows to predict lack"
        )
    return _one(evidence, columns)


def infer_tasks(evidence: DataProfile, targets: Sequence[str], metric: str | None) -> dict[str, SingleTask]:
    """Return what is asked of each of several targets.

    Raises:
        ConfigError: the user's metric does not suit one of them.
    """
    from workbench import data

    found = {name: data.infer_task(evidence.train[name].dropna()) for name in targets}
    suited = next((each["tasks"] for each in evaluation.describe() if each["name"] == metric), None)
    for name, task in found.items():
        if suited is not None and task not in suited:
            if "regression" in suited and evidence.train[name].dtype.kind in "iuf":
                found[name] = "regression"
                continue
            raise ConfigError(
                f"--metric must suit every target. Received: {metric!r}, but {name} is {task}. "
                "Leave it out, and set targets.NAME.metric in the file."
            )
    return found


def choose_metric(tasks: Sequence[SingleTask]) -> tuple[str | None, str]:
    """Return a metric for several targets, where one suits all of them, and why."""
    kinds = set(tasks)
    rules = "the competition's rules may say another"
    if kinds == {"regression"}:
        return "rmse", f"metric: the mean of the targets' rmse; {rules}"
    if "regression" in kinds:
        return None, "metric: log_loss of classes and rmse of numbers, each as a share of a constant's"
    usual = "roc_auc" if kinds == {"binary"} else "log_loss"
    return usual, f"metric: the mean of the targets' {usual}; {rules}"


def list_answer_columns(evidence: DataProfile) -> list[str]:
    """Return the columns of the sample submission that a prediction fills."""
    return [] if evidence.sample is None else [str(name) for name in evidence.sample.columns[1:]]


def _several(evidence: DataProfile, columns: Sequence[str]) -> tuple[str, ...]:
    """Return the columns that the sample submission asks for, where these are two or more of the training rows."""
    if evidence.target is not None or evidence.test is None:
        return ()
    asked = list_answer_columns(evidence)
    lacking = {name for name in columns if name not in evidence.test.columns}
    told = len(asked) > 1 and all(name in lacking and _learnable(evidence.train[name]) for name in asked)
    return tuple(asked) if told else ()


def _one(evidence: DataProfile, columns: Sequence[str]) -> InferredTargets:
    """Return the one target that the files tell of."""
    train, where = evidence.train, evidence.sources.label
    if isinstance(evidence.target, str):
        return InferredTargets((evidence.target,), f"target: {evidence.target}, as {where} has it")
    lacking = [] if evidence.test is None else [name for name in columns if name not in evidence.test.columns]
    if len(lacking) == 1 and not looks_like_id(lacking[0]):
        return InferredTargets((lacking[0],), f"target: {lacking[0]}, the only column that the rows to predict lack")
    candidates = [name for name in lacking if not looks_like_id(name)] or list(columns)
    among = " among the columns that the rows to predict lack" if lacking else ""
    asked = list_answer_columns(evidence)
    for name in candidates:
        if asked and _named_by(asked, name, train[name]):
            return InferredTargets((name,), f"target: {name}, which the sample submission names")
    usual = {name.lower(): name for name in candidates}
    for word in _USUAL_TARGETS:
        if word in usual and _learnable(train[usual[word]]):
            return InferredTargets(
                (usual[word],), f"target: {usual[word]}, by its name{among}; name another with --target"
            )
    last = candidates[-1] if candidates else ""
    if last and not looks_like_id(last) and _learnable(train[last]):
        return InferredTargets((last,), f"target: {last}, the last column{among}; name another with --target")
    raise ConfigError(
        f"{where}: the column to predict cannot be told. Columns: {format_list(columns)}. Name it with --target COLUMN."
    )


def _named_by(asked: list[str], name: str, series: pd.Series[Any]) -> bool:
    """Tell whether the sample's columns are this one, or its classes: TARGET_CLASS or CLASS."""
    if name in asked or all(each.startswith(f"{name}_") for each in asked):
        return True
    return len(asked) > 1 and set(asked) <= set(map(str, series.dropna().unique()))


def _learnable(series: pd.Series[Any]) -> bool:
    """Tell whether values could be classes that repeat, or amounts."""
    from workbench import data

    distinct = series.nunique()
    kind = data.kinds(series.head(_ROWS).to_frame())[str(series.name)]
    words = kind in ("category", "text") and distinct > max(20, len(series) / 2)
    return distinct > 1 and kind != "date" and not words
