"""The metrics of a study with several targets, and the transform that each target is trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from workbench.config import StudyConfig, TargetConfig
from workbench.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np

    from workbench.data import Dataset
    from workbench.data.dataset import Target
    from workbench.evaluation import Metric
    from workbench.evaluation.multi_target import MultiTargetMetric, SingleTargetMetric, TargetMetric

Transform = Literal["none", "log1p"]


def metric(config: StudyConfig, dataset: Dataset) -> MultiTargetMetric:
    """Return the weighted mean of the targets' scores.

    Raises:
        ConfigError: a metric does not suit its target, or the metrics cannot be averaged.
    """
    from workbench import evaluation
    from workbench.errors import EvaluationError
    from workbench.evaluation.multi_target import combine_metrics

    parts = []
    for place, target in enumerate(dataset.targets):
        own = _target_config(config, target)
        key, name = (f"targets.{target.name}.metric", own.metric) if own.metric else ("metric", config.metric)
        found = _find_metric(config, dataset, place, key, name or evaluation.default(target.task))
        parts.append(_target_metric(dataset, place, replace(found, loss=own.loss or found.loss), own.weight))
    try:
        return combine_metrics(parts, dataset.y)
    except EvaluationError as error:
        raise ConfigError(f"{config.file}: {error}") from error


def also(
    config: StudyConfig, dataset: Dataset, of: MultiTargetMetric
) -> tuple[MultiTargetMetric | SingleTargetMetric, ...]:
    """Return the further metrics, each over the targets that it suits, and each target's own score.

    Args:
        config: names the further metrics.
        dataset: the targets.
        of: the study's metric, from `metric`.

    Raises:
        ConfigError: a metric suits no target.
    """
    from workbench import evaluation
    from workbench.evaluation.multi_target import SingleTargetMetric, combine_metrics

    found: list[MultiTargetMetric | SingleTargetMetric] = []
    for number, name in enumerate(config.also):
        tasks = evaluation.metric(name, config.resolve).tasks
        suited = [place for place, target in enumerate(dataset.targets) if target.task in tasks] or [0]
        key = f"also[{number}]"
        metrics = [(place, _find_metric(config, dataset, place, key, name)) for place in suited]
        parts = [_target_metric(dataset, place, metric, of.parts[place].weight) for place, metric in metrics]
        found.append(combine_metrics(parts, dataset.y))
    return (*found, *(SingleTargetMetric.of(part) for part in of.parts))


def transforms(config: StudyConfig, dataset: Dataset, of: MultiTargetMetric) -> tuple[Transform, ...]:
    """Return the transform that each target is trained on.

    Raises:
        ConfigError: a logarithm is requested for a target with values of -1 or below.
    """
    chosen: list[Transform] = []
    for target, part in zip(dataset.targets, of.parts, strict=True):
        if target.classes is not None:
            chosen.append("none")
            continue
        key, requested = f"targets.{target.name}.transform", _target_config(config, target).transform
        chosen.append(transform(config, key, requested, part.metric, part.y(dataset.y)))
    return tuple(chosen)


def transform(config: StudyConfig, key: str, requested: Transform | None, metric: Metric, y: np.ndarray) -> Transform:
    """Return the transform that a numeric target is trained on.

    Args:
        config: the study file.
        key: its key for this target, for messages.
        requested: its value; None lets the metric and the target decide.
        metric: the target's metric.
        y: (rows,) the target's values.

    Raises:
        ConfigError: a logarithm is requested for a target with values of -1 or below.
    """
    if requested is None and metric.loss == "absolute_error" and _is_skewed(y):
        # The median of the logarithms is the logarithm of the median, and easier to learn with long tails.
        return "log1p"
    found = requested or metric.transform
    if found == "log1p" and (y <= -1).any():
        raise config.error(key, "needs a target above -1", "log1p")
    return found


def outputs(targets: Sequence[Target]) -> tuple[str, ...]:
    """Return the names of the prediction columns: the target's name, or one for each of its classes."""
    return tuple(
        name
        for target in targets
        for name in (
            [f"{target.name}_{label}" for label in target.classes or ()] if target.outputs > 1 else [target.name]
        )
    )


def _target_config(config: StudyConfig, target: Target) -> TargetConfig:
    return config.targets.get(target.name, TargetConfig())


def _target_metric(dataset: Dataset, place: int, metric: Metric, weight: float) -> TargetMetric:
    """Return a target's columns, metric and weight."""
    from workbench.data.dataset import output_spans
    from workbench.evaluation.multi_target import TargetMetric

    target, span = dataset.targets[place], output_spans(dataset.targets)[place]
    return TargetMetric(target.name, metric, place, span.start, span.stop, len(target.classes or ()), weight)


def _find_metric(config: StudyConfig, dataset: Dataset, place: int, key: str, name: str) -> Metric:
    """Return a metric that suits a target."""
    from workbench import evaluation
    from workbench.errors import EvaluationError

    target = dataset.targets[place]
    try:
        metric = evaluation.metric(name, config.resolve, task=target.task)
        metric.check_target(target.task, _target_metric(dataset, place, metric, 1.0).y(dataset.y))
    except EvaluationError as error:
        hint = "" if key.startswith("targets") else f" Or set targets.{target.name}.metric."
        raise ConfigError(f"{config.file}: {key}, for target {target.name!r}: {error}{hint}") from error
    return metric


def _is_skewed(y: np.ndarray) -> bool:
    """Return whether values are non-negative with a long tail: a skewness above 1."""
    import numpy as np

    if y.min() < 0:
        return False
    apart = y - y.mean()
    return bool(np.mean(apart**3) > np.mean(apart**2) ** 1.5 > 0)
