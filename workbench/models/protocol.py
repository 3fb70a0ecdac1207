"""The contract of a family: a module with `fit(hp, problem, train, valid, context)` and `load(folder)`.

Think twice before adding to this contract. A family never sees the metric, the folds, the ids or the test rows; one
that learns without labels sees the features of all rows, if its entry in the registry says so.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import pandas as pd

from workbench.config import ColumnKind, TaskType, TrainingConfig

# With more targets than this, their own losses are not reported at every epoch.
_MAX_REPORTED_TARGETS = 12
Inputs = pd.DataFrame | np.ndarray
Loss = Literal["log_loss", "squared_error", "absolute_error"]


@dataclass(frozen=True)
class Problem:
    """The learning problem, the same for every fold."""

    kind: Literal["table", "text", "image", "sequence", "mixed"]
    task: TaskType
    classes: int
    """The number of classes; 0 for regression."""
    columns: Mapping[str, ColumnKind]
    """The kind of each column of a table; empty otherwise."""
    loss: Loss
    """The loss that training minimises; it follows from the study's metric."""
    targets: tuple[Problem, ...] = ()
    """With several targets, the problem of each, in the order of the columns of `Rows.y`; empty with one target. Only
    families whose entry is `joint` receive several targets at once; `classes` is 0 then."""
    name: str = ""
    """The name of the target, if it is one of several."""
    weight: float = 1.0
    """The weight of the target's loss among those of the others."""

    @property
    def outputs(self) -> int:
        """The width of a prediction: a column for each of more than two classes, else one; targets side by side."""
        return sum(target.outputs for target in self.targets) or (self.classes if self.classes > 2 else 1)

    @property
    def reported_targets(self) -> tuple[str, ...]:
        """The names of the targets whose losses are reported, as single words; empty if there are too many targets."""
        if len(self.targets) > _MAX_REPORTED_TARGETS:
            return ()
        return tuple(re.sub(r"\W", "_", target.name) for target in self.targets)

    def iter_targets(self) -> Iterator[tuple[Problem, slice]]:
        """Yield the problem of each target with its columns of the predictions; a single target yields itself."""
        start = 0
        for target in self.targets or (self,):
            yield target, slice(start, start + target.outputs)
            start += target.outputs


@dataclass(frozen=True)
class Rows:
    """Rows of the data: inputs, targets (class indices or values), and optional weights of the rows.

    Several targets are (rows, targets) float64.
    """

    x: Inputs
    y: np.ndarray
    sample_weight: np.ndarray | None = None


class ProgressCallback(Protocol):
    """A callable that receives the losses of a training as it goes on."""

    def __call__(
        self, epoch: int, losses: Mapping[str, float], progress: float | None = None, of: int | None = None
    ) -> None:
        """Receive the losses of an epoch; the family must not catch what this raises.

        Args:
            epoch: the epoch or boosting round, from 0.
            losses: the losses by name, as in {'loss': 0.3, 'val_loss': 0.4}.
            progress: the position on a scale on which models of the family can be compared; by default the number of
                epochs. Boosted trees report rounds × learning rate.
            of: the number of epochs in all, if it is known.
        """


@dataclass(frozen=True)
class UnlabeledFeatures:
    """The features of all rows, those without a target included, which the folds of a trial have in common."""

    x: Inputs
    seed: int
    """The trial's seed; the seeds of its folds differ."""
    kept: dict[str, Any] = field(default_factory=dict)
    """The results that a family keeps from one fold of the trial to the next."""


@dataclass
class Deadline:
    """The end of a piece of work."""

    end: float
    """Seconds of `time.monotonic`."""
    whole: Deadline | None = None
    """The deadline of which this is a share."""
    reached: bool = False
    """Whether a training ended because of it, or because of a share of it."""

    @property
    def seconds_left(self) -> float:
        """The seconds until the end; negative after it."""
        return self.end - time.monotonic()

    def take(self, share: float) -> Deadline:
        """Return the deadline of a share of the time that is left."""
        return Deadline(time.monotonic() + share * self.seconds_left, whole=self)

    def mark_reached(self) -> None:
        """Record that it ended a training."""
        self.reached = True
        if self.whole is not None:
            self.whole.mark_reached()


@dataclass(frozen=True)
class FitContext:
    """The circumstances of one training, which do not belong to the problem or to the hyperparameters."""

    seed: int
    threads: int
    on_epoch: ProgressCallback
    epochs: int = 100
    """The largest number of epochs of a net."""
    length: int | None = None
    """Without validation rows, the exact number of epochs or boosting rounds."""
    training: TrainingConfig = field(default_factory=TrainingConfig)
    """The study file's options for nets, with absolute paths."""
    name: str = ""
    """The name of this training in logs: a path below the user's folder for them."""
    unlabelled: UnlabeledFeatures | None = None
    """For a family whose entry is `unlabelled`; without it the family uses the training rows alone."""
    cache: Path | None = None
    """A folder for results that are expensive to compute and that other trials can use."""
    deadline: Deadline | None = None
    """The end of the training, for a family whose entry is `keeps_deadline`: it ends by then with a usable model."""

    def must_stop(self) -> bool:
        """Return whether the deadline has passed, and record that it ended the training."""
        if self.deadline is None or self.deadline.seconds_left > 0:
            return False
        self.deadline.mark_reached()
        return True


class Model(Protocol):
    """A model that was fitted on the training rows of a fold."""

    def predict(self, x: Inputs) -> np.ndarray:
        """Return probabilities, (rows,) of class 1 or (rows, classes), or values (rows,), as float64.

        With several targets, (rows, outputs): the columns of the targets side by side.
        """

    def save(self, folder: Path) -> None:
        """Write everything that `load` needs into `folder`, in formats that run no code when read."""


@runtime_checkable
class StagedModel(Model, Protocol):
    """A model that also holds other stages of its training, which differ by the number of boosting rounds or epochs.

    Its predictions are those of the stage with the lowest validation loss of the fold. `save` writes all stages, and
    `load` reads them.
    """

    @property
    def length(self) -> int:
        """The number of boosting rounds or epochs after which it predicts."""

    def predict_stages(self, x: Inputs, lengths: Sequence[int]) -> Sequence[np.ndarray]:
        """Return the predictions of the models that `truncate` gives for lengths in ascending order, in one pass."""

    def truncate(self, length: int) -> Model:
        """Return the model after a number of rounds or epochs, without other stages.

        Where that stage was not reached or not kept, it is the model of the nearest one.
        """


class Family(Protocol):
    """A module in one of the folders of families."""

    def fit(self, hp: Any, problem: Problem, train: Rows, valid: Rows | None, context: FitContext) -> Model:
        """Train one model.

        Args:
            hp: the search space; every call declares a hyperparameter and returns its value.
            problem: the learning problem.
            train: the rows to learn from; all preprocessing is fitted on these.
            valid: the fold's validation rows, for early stopping and curves only; None if `train` holds all rows.
            context: seed, threads, the callback for losses, and the length of training without validation rows.
        """

    def load(self, folder: Path) -> Model:
        """Return the model that its `save` wrote to a folder."""
