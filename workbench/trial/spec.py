"""The specification that all trials of a family share, and the hyperparameter space of one trial."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from workbench import models
from workbench.config import TrainingConfig
from workbench.data import Dataset
from workbench.data.dataset import Target
from workbench.evaluation import Metric
from workbench.evaluation.fidelity import Fidelity
from workbench.evaluation.folds import Folds
from workbench.evaluation.multi_target import MultiTargetMetric, TargetMetric
from workbench.models.protocol import Problem
from workbench.space import Suggest, defaults

Transform = Literal["none", "log1p"]
Transforms = Transform | Sequence[Transform]
"""The transform of the target that models are trained on; with several targets, one for each."""


@dataclass(frozen=True)
class TrialSpec:
    """Everything a trial needs beside its hyperparameters; the same for all trials of a family."""

    family: str
    dataset: Dataset
    folds: Folds
    """The folds at the spec's fidelity."""
    metric: Metric
    also: tuple[Metric, ...] = ()
    transform: Transforms = "none"
    """The transform of the target that models are trained on; predictions are transformed back."""
    class_weight: Literal["balanced"] | None = None
    seed: int = 7
    threads: int = 1
    deterministic: bool = False
    """Whether nets may use only operations that give the same bits each time."""
    training: TrainingConfig = field(default_factory=TrainingConfig)
    """The study file's options for the training of nets, with absolute paths."""
    cache: Path | None = None
    """The folder in which families may keep slow computations on the rows for other trials."""
    honest_lengths: bool = True
    """Whether the number of rounds or epochs that predicts a fold's rows is chosen by other folds. Studies that were
    begun by earlier versions choose it on the fold's own rows, which is optimistic."""
    fidelity: Fidelity = "full"
    """The part of the data that the trials use."""
    source: str | None = None
    """The reference to a user's own family that every process can resolve: `file.py:Name` with an absolute path."""

    @property
    def resolved_family(self) -> str:
        """The reference under which `models` finds the family; `family` is its name in the study."""
        return self.source or self.family

    @property
    def problem(self) -> Problem:
        """The problem that the family's `fit` receives."""
        data = self.dataset
        classes = len(data.classes) if data.classes else 0
        problem = Problem(data.kind, data.task, classes, data.columns, self.metric.loss)
        if not isinstance(self.metric, MultiTargetMetric):
            return problem
        pairs = zip(data.targets, self.metric.parts, strict=True)
        return replace(problem, targets=tuple(_target_problem(problem, target, metric) for target, metric in pairs))

    @property
    def transforms(self) -> Transforms:
        """The transform of each column of predictions."""
        return output_transforms(self.dataset, self.transform)


def output_transforms(dataset: Dataset, transform: Transforms) -> Transforms:
    """Return the transform of each column of predictions; a single target's transform is returned as it is."""
    if isinstance(transform, str):
        return transform
    pairs = zip(dataset.targets, transform, strict=True)
    return [each for target, each in pairs for _ in range(target.outputs)]


def build_space(family: str, suggest: Suggest) -> Any:
    """Return the hyperparameters of one trial, whose values `suggest` gives; every fold reads the same ones.

    Keras families get KerasTuner's HyperParameters, the others a light class that loads no Keras.

    Args:
        family: the family as `TrialSpec.resolved_family` names it.
        suggest: returns the value of a hyperparameter.
    """
    if models.get_entry(family).keras:
        from workbench.space.keras import HyperParameters

        return HyperParameters(suggest)
    from workbench.space import Space

    return Space(suggest)


def restore_space(family: str, values: Mapping[str, Any]) -> Any:
    """Return the hyperparameters of a finished trial, to train models with them again."""
    hp = build_space(family, defaults)
    hp.values.update(values)
    return hp


def _target_problem(problem: Problem, target: Target, metric: TargetMetric) -> Problem:
    """Return the problem of one of several targets."""
    own: dict[str, Any] = {"task": target.task, "classes": metric.classes, "loss": metric.metric.loss}
    return replace(problem, name=target.name, weight=metric.weight, **own)
