"""What a study with several targets is scored by, target by target, and what each of them is trained on."""

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
        ConfigError: a metric does not suit its target, or they do not go together.
    """
    from workbench import evaluation
    from workbench.errors import EvaluationError
    from workbench.evaluation.multi_target import combine_metrics

    parts = []
    for place, target in enumerate(dataset.targets):
        own = _own(config, target)
        key, name = (f"targets.{target.name}.metric", own.metric) if own.metric else ("metric", config.metric)
        found = _checked(config, dataset, place, key, name or evaluation.default(target.task))
        parts.append(_part(dataset, place, replace(found, loss=own.loss or found.loss), own.weight))
    try:
        return combine_metrics(parts, dataset.y)
    except EvaluationError as error:
        raise ConfigError(f"{config.file}: {error}") from error


def also(
    config: StudyConfig, dataset: Dataset, of: MultiTargetMetric
) -> tuple[MultiTargetMetric | SingleTargetMetric, ...]:
    """Return what else is shown: the further metrics, each over the targets that it suits, and each target's own score.

    Args:
        config: names the further metrics.
        dataset: the targets.
        of: what `metric` returned.

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
        parts = [_part(dataset, at, _checked(config, dataset, at, key, name), of.parts[at].weight) for at in suited]
        found.append(combine_metrics(parts, dataset.y))
    return (*found, *(SingleTargetMetric.of(part) for part in of.parts))


def transforms(config: StudyConfig, dataset: Dataset, of: MultiTargetMetric) -> tuple[Transform, ...]:
    """Return what each target is trained on.

    Raises:
        ConfigError: the logarithm is asked of a target that has none.
    """
    return tuple(
        transform(
            config, f"targets.{target.name}.transform", _own(config, target).transform, part.metric, part.y(dataset.y)
        )
        if target.classes is None
        else "none"
        for target, part in zip(dataset.targets, of.parts, strict=True)
    )


def transform(config: StudyConfig, key: str, asked: Transform | None, metric: Metric, y: np.ndarray) -> Transform:
    """Return what a target of numbers is trained on.

    Args:
        config: the study file.
        key: what of it asks, for messages.
        asked: what it says.
        metric: what the target is scored by.
        y: (rows,) its values.

    Raises:
        ConfigError: the logarithm is asked of a target that has none.
    """
    if asked is None and metric.loss == "absolute_error" and _skewed(y):
        # The median of logarithms is the logarithm of the median, and easier to learn where tails are long.
        return "log1p"
    found = asked or metric.transform
    if found == "log1p" and (y <= -1).any():
        raise config.error(key, "needs a target above -1", "log1p")
    return found


def outputs(targets: Sequence[Target]) -> tuple[str, ...]:
    """Return the names of the columns of predictions: a target's, or one for each of its classes."""
    return tuple(
        name
        for target in targets
        for name in (
            [f"{target.name}_{label}" for label in target.classes or ()] if target.outputs > 1 else [target.name]
        )
    )


def _own(config: StudyConfig, target: Target) -> TargetConfig:
    return config.targets.get(target.name, TargetConfig())


def _part(dataset: Dataset, place: int, metric: Metric, weight: float) -> TargetMetric:
    """Return where a target stands, and how it is scored."""
    from workbench.data.dataset import output_spans
    from workbench.evaluation.multi_target import TargetMetric

    target, span = dataset.targets[place], output_spans(dataset.targets)[place]
    return TargetMetric(target.name, metric, place, span.start, span.stop, len(target.classes or ()), weight)


def _checked(config: StudyConfig, dataset: Dataset, place: int, key: str, name: str) -> Metric:
    """Return a metric that suits a target."""
    from workbench import evaluation
    from workbench.errors import EvaluationError

    target = dataset.targets[place]
    try:
        metric = evaluation.metric(name, config.resolve, task=target.task)
        metric.check_target(target.task, _part(dataset, place, metric, 1.0).y(dataset.y))
    except EvaluationError as error:
        hint = "" if key.startswith("targets") else f" Or set targets.{target.name}.metric."
        raise ConfigError(f"{config.file}: {key}, for target {target.name!r}: {error}{hint}") from error
    return metric


def _skewed(y: np.ndarray) -> bool:
    """Tell whether values are amounts of at least 0 with a long tail: a skewness above 1."""
    import numpy as np

    if y.min() < 0:
        return False
    apart = y - y.mean()
    return bool(np.mean(apart**3) > np.mean(apart**2) ** 1.5 > 0)
