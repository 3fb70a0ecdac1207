"""The settings of a study file that a study began with, and in words what has changed since; nothing heavy loads."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from workbench.config import DataConfig, FoldsConfig, StudyConfig, mask_secrets
from workbench.config.schema import ConfigSection
from workbench.errors import StudyError, format_list

Settings = Mapping[str, Any]
"""Values by dotted key, such as `folds.folds`."""

# The sections that define rows, target, metric and folds.
_SECTIONS = {"data", "task", "targets", "metric", "folds"}
# Keys that change nothing that trials depend on.
_HARMLESS = ("data.sample_submission", "data.corrupt")
# Keys that always change the features, whatever the data are.
_FEATURE_KEYS = ("data.lags", "data.windows", "data.horizon")
_RANDOM_FOLDS = (None, "kfold", "stratified", "group", "group_stratified")
_MOST_VALUES = 8


def list_settings(config: StudyConfig) -> dict[str, Any]:
    """Return the settings of a study file as JSON values; secrets are masked."""
    return dict(_flatten(_dump(config, include=_SECTIONS), ""))


def read_settings(begun: Mapping[str, Any]) -> Settings | None:
    """Return the settings in a study's fingerprint; None where they were not recorded yet.

    A key that did not exist when the study began has its default.
    """
    if "settings" not in begun:
        return None
    defaults = {"data": _dump(DataConfig(train="")), "folds": _dump(FoldsConfig())}
    return {**dict(_flatten(defaults, "")), **begun["settings"]}


def check_settings(file: Path, config: StudyConfig) -> None:
    """Refuse a study file whose settings certainly give other rows, targets, features or folds than before.

    Settings that may change nothing, such as another path, pass; `Fingerprint.check` compares the data then. So do
    studies that were begun before settings were recorded.

    Args:
        file: the study's fingerprint, which may be missing.
        config: the study file.

    Raises:
        StudyError: a setting has changed; the message names it with its value before and now.
    """
    if not file.exists():
        return
    begun = json.loads(file.read_text(encoding="utf-8"))
    then, now = read_settings(begun), list_settings(config)
    if then is None:
        return
    certain = set(_list_certain(then, now, begun.get("columns", {}), config))
    if certain:
        raise refuse(config, [words for key, words in describe_changes(then, now).items() if key in certain])


def describe_changes(then: Settings, now: Settings) -> dict[str, str]:
    """Return what has changed by key, as in `folds.folds: 5 -> 3`; the metric is left out."""
    keys = [key for key in dict.fromkeys([*then, *now]) if key not in _HARMLESS and not _is_metric(key)]
    return {
        key: f"{key}: {_format(then.get(key))} -> {_format(now.get(key))}"
        for key in keys
        if then.get(key) != now.get(key)
    }


def metric_may_differ(begun: Mapping[str, Any], config: StudyConfig) -> bool:
    """Return whether the study file may name another metric than the study's fingerprint; the data decide.

    Args:
        begun: the fingerprint, as JSON values.
        config: the study file.
    """
    then, now = read_settings(begun), list_settings(config)
    if then is not None:
        return any(then.get(key) != now.get(key) for key in {*then, *now} if _is_metric(key))
    # The metric of several targets depends on the data, and so does a metric that is not named.
    return config.metric is not None and not isinstance(config.data.target, tuple) and config.metric != begun["metric"]


def refuse(config: StudyConfig, changes: list[str]) -> StudyError:
    """Return the error of a study whose settings or data have changed."""
    return StudyError(
        f"{config.file}: study {config.name!r} was begun otherwise: {'; '.join(changes)}. "
        "Give the study another name, or restore what it was begun with."
    )


def _dump(section: ConfigSection, **options: Any) -> dict[str, Any]:
    # Pydantic warns of lists in fields that hold one name or several.
    return section.model_dump(mode="json", warnings="none", **options)


def _flatten(value: Any, key: str) -> Iterator[tuple[str, Any]]:
    """Yield the values of nested sections with their dotted keys."""
    if isinstance(value, dict):
        for name, part in value.items():
            yield from _flatten(part, f"{key}.{name}" if key else name)
    else:
        yield key, mask_secrets(value) if isinstance(value, str) else value


def _is_metric(key: str) -> bool:
    """Return whether a setting belongs to the metric: its name, and name and weight of the score of one target."""
    return key == "metric" or (key.startswith("targets.") and key.endswith((".metric", ".weight")))


def _list_certain(then: Settings, now: Settings, columns: Mapping[str, str], config: StudyConfig) -> Iterator[str]:
    """Yield the keys whose change cannot leave the study as it was.

    Args:
        then: the settings that the study began with.
        now: the present ones.
        columns: the kind of each feature that the study began with.
        config: the study file.
    """
    changed = {key for key in {*then, *now} if then.get(key) != now.get(key)}
    # A setting without a value follows from the data, and may have followed to the same before.
    both = {key for key in changed if _is_given(then.get(key)) and _is_given(now.get(key))}
    yield from both & {"task", "data.target", "data.id", "data.group", "data.image_size", "folds.kind", "folds.column"}
    yield from changed & set(_FEATURE_KEYS)
    if then.get("folds.kind") == now.get("folds.kind"):
        yield from changed & _list_fold_keys(config)
    for key in changed:
        name = key.removeprefix("data.types.")
        if name != key and name in columns and _is_given(now.get(key)) and now[key] != columns[name]:
            yield key
    # A column that was a feature and is not one any more; the other way round, it may be left out as constant.
    data = config.data
    unused = {"data.id": [data.id], "data.group": [data.group], "data.weight": [data.weight], "data.drop": data.drop}
    for key, names in unused.items():
        if key in changed and set(names) & columns.keys():
            yield key


def _list_fold_keys(config: StudyConfig) -> set[str]:
    """Return the keys that the folds of this kind depend on."""
    kind = config.folds.kind
    if kind in _RANDOM_FOLDS:
        return {"folds.folds", "folds.repeats", "folds.seed"}
    return {"holdout": {"folds.fraction", "folds.seed"}, "time": {"folds.folds"}}.get(str(kind), set())


def _is_given(value: Any) -> bool:
    return value is not None and value != []


def _format(value: Any) -> str:
    """Return a value as a study file has it; a setting without a value is `none`."""
    if isinstance(value, list):
        return f"[{format_list(value, _MOST_VALUES)}]"
    return "none" if value is None else str(value)
