"""What a family is: a module with `fit(hp, problem, train, valid, setting)` and `load(folder)`.

Think twice before adding to this contract. A family never sees the metric, the folds, the ids or the test rows;
one that learns without labels sees the features of all rows, if it says so in its entry.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import pandas as pd

from workbench.config import ColumnKind, TaskType, TrainingConfig

# Of so many targets at most, each one's loss is told of every epoch.
_TOLD = 12
Inputs = pd.DataFrame | np.ndarray
Loss = Literal["log_loss", "squared_error", "absolute_error"]


@dataclass(frozen=True)
class Problem:
    """What is to be learned, the same for every fold."""

    kind: Literal["table", "text", "image", "sequence", "mixed"]
    task: TaskType
    classes: int
    """The number of classes; 0 for regression."""
    columns: Mapping[str, ColumnKind]
    """The kind of each column of a table; empty otherwise."""
    loss: Loss
    """What training minimises: it follows from the study's metric."""
    targets: tuple[Problem, ...] = ()
    """Several targets, each as if it were the only one, in the order of the columns of `Rows.y`; none where there is
    one. Only families whose entry says that they are `joint` are asked for several at once; `classes` is 0 then."""
    name: str = ""
    """Which of several targets it is."""
    weight: float = 1.0
    """How much its loss counts beside those of the others."""

    @property
    def outputs(self) -> int:
        """The width of a prediction: a column per class when there are more than two, else one; several in a row."""
        return sum(target.outputs for target in self.targets) or (self.classes if self.classes > 2 else 1)

    @property
    def told(self) -> tuple[str, ...]:
        """The names of several targets as single words, where they are so few that each one's loss is told."""
        return tuple(re.sub(r"\W", "_", target.name) for target in self.targets) if len(self.targets) <= _TOLD else ()

    def parts(self) -> Iterator[tuple[Problem, slice]]:
        """Yield every target with its columns of predictions; a single one is its own."""
        start = 0
        for target in self.targets or (self,):
            yield target, slice(start, start + target.outputs)
            start += target.outputs


@dataclass(frozen=True)
class Rows:
    """Some rows of the data: inputs, targets (class indices or values), and weights where there are any.

    Several targets are (rows, targets) float64.
    """

    x: Inputs
    y: np.ndarray
    weight: np.ndarray | None = None


class ProgressCallback(Protocol):
    """Who is told how training goes."""

    def __call__(
        self, epoch: int, losses: Mapping[str, float], progress: float | None = None, of: int | None = None
    ) -> None:
        """Take the losses of an epoch; whatever it raises must be let through.

        Args:
            epoch: the epoch or boosting round, from 0.
            losses: as in {'loss': 0.3, 'val_loss': 0.4}.
            progress: where this model stands on a scale on which models of the family can be compared; the number of
                epochs trained unless given. Boosted trees say rounds times learning rate.
            of: how many epochs there will be, where that is settled.
        """


@dataclass(frozen=True)
class UnlabeledFeatures:
    """What the folds of a trial have in common: every row's features, of training, validation and test alike."""

    x: Inputs
    seed: int
    """The trial's; those of its folds differ."""
    kept: dict[str, Any] = field(default_factory=dict)
    """What a family has made of them, kept from one fold of the trial to the next."""


@dataclass(frozen=True)
class FitContext:
    """How a model is to be trained here and now."""

    seed: int
    threads: int
    watch: ProgressCallback
    epochs: int = 100
    """The most epochs that a net is trained for."""
    length: int | None = None
    """Without validation rows, the epochs or boosting rounds to train for, no more and no fewer."""
    training: TrainingConfig = field(default_factory=TrainingConfig)
    """What the study file says about the training of nets, its paths absolute."""
    name: str = ""
    """What logs of this training are called, a path below the user's folder for them."""
    unlabelled: UnlabeledFeatures | None = None
    """For a family whose entry asks for it; without it the family makes do with the rows to learn from."""
    cache: Path | None = None
    """Where what is made of the rows once, and takes long, may be kept for other trials."""


class Model(Protocol):
    """A fitted fold model."""

    def predict(self, x: Inputs) -> np.ndarray:
        """Return probabilities, (rows,) of class 1 or (rows, classes), or values (rows,), as float64.

        Of several targets (rows, outputs), the columns of each beside each other.
        """

    def save(self, folder: Path) -> None:
        """Write everything that `load` needs into `folder`, in formats that run no code when read."""


class Family(Protocol):
    """A module of this folder."""

    def fit(self, hp: Any, problem: Problem, train: Rows, valid: Rows | None, setting: FitContext) -> Model:
        """Train one model.

        Args:
            hp: the search space; every call declares a hyperparameter and returns its value.
            problem: what is to be learned.
            train: the rows to learn from; whatever is fitted is fitted on these.
            valid: the fold's validation rows, for early stopping and curves only; None where `train` is all there is.
            setting: seed, threads, whom to tell of every epoch, and how long to train without validation rows.
        """

    def load(self, folder: Path) -> Model:
        """Read what the model's `save` wrote."""
