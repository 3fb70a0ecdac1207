"""A model for each of several targets, with the same hyperparameters, for families that learn one at a time."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from workbench.models.protocol import Family, FitContext, Inputs, Model, Problem, Rows

_FILE = "separate.json"


@dataclass(frozen=True)
class MultiOutputModel:
    """The models of the targets, in their order."""

    models: Sequence[Model]

    @property
    def others(self) -> dict[str, Model]:
        """The models, by the numbers of their targets."""
        return {f"target {place}": model for place, model in enumerate(self.models)}

    def predict(self, x: Inputs) -> np.ndarray:
        """Return the predictions of all targets beside each other, (rows, outputs)."""
        return np.column_stack([model.predict(x) for model in self.models])

    def save(self, folder: Path) -> None:
        """Write each model into a folder of its own, and `separate.json`."""
        for place, model in enumerate(self.models):
            own = folder / str(place)
            own.mkdir()
            model.save(own)
        (folder / _FILE).write_text(json.dumps({"models": len(self.models)}))


@dataclass(frozen=True)
class MultiOutputFamily:
    """A family of which a model may be asked for several targets, whether or not one model learns them all."""

    family: Family
    joint: bool
    """Whether one model of it does."""

    def fit(self, hp: Any, problem: Problem, train: Rows, valid: Rows | None, setting: FitContext) -> Model:
        """Train one model, or one for each target."""
        if self.joint or not problem.targets:
            return self.family.fit(hp, problem, train, valid, setting)
        heard = [_Heard() for _ in problem.targets]
        models = []
        for place, (target, watch) in enumerate(zip(problem.targets, heard, strict=True)):
            rows = [part and Rows(part.x, _one(part.y, place, target), part.weight) for part in (train, valid)]
            own = replace(setting, watch=watch, name=f"{setting.name}/{place}")
            models.append(self.family.fit(hp, target, rows[0] or train, rows[1], own))
        _tell(heard, problem, setting)
        return MultiOutputModel(models)

    def load(self, folder: Path) -> Model:
        """Read what the model's `save` wrote."""
        file = folder / _FILE
        if not file.exists():
            return self.family.load(folder)
        places = range(json.loads(file.read_text())["models"])
        return MultiOutputModel([self.family.load(folder / str(place)) for place in places])


@dataclass
class _Heard:
    """What the training of one target's model told."""

    losses: list[dict[str, float]] = field(default_factory=list)
    epochs: list[int] = field(default_factory=list)
    progress: list[float | None] = field(default_factory=list)

    def __call__(self, epoch: int, losses: Any, progress: float | None = None, of: int | None = None) -> None:
        self.losses.append({name: float(value) for name, value in losses.items()})
        self.epochs.append(epoch)
        self.progress.append(progress)


def _one(y: np.ndarray, place: int, target: Problem) -> np.ndarray:
    column: np.ndarray = y[:, place]
    return column.astype(np.int64) if target.classes else column


def _tell(heard: Sequence[_Heard], problem: Problem, setting: FitContext) -> None:
    """Tell of the targets' trainings as if they had gone on side by side: the mean of their losses by their weights.

    A training that ended earlier than another goes on with what it had at its end. Of a few targets each one's own
    losses are told as well, as those of a net that learns them together are.
    """
    told = [each for each in heard if each.losses]
    if len(told) < len(heard):
        return
    weights = [target.weight for target in problem.targets]
    longest = max(told, key=lambda each: len(each.losses))
    names = set.intersection(*(set(each.losses[-1]) for each in told))
    for step, (epoch, progress) in enumerate(zip(longest.epochs, longest.progress, strict=True)):
        last = [each.losses[min(step, len(each.losses) - 1)] for each in told]
        mean = {name: float(np.average([losses[name] for losses in last], weights=weights)) for name in sorted(names)}
        for target, losses in zip(problem.told, last, strict=False):
            mean |= {_named(target, name): losses[name] for name in names}
        setting.watch(epoch, mean, progress)


def _named(target: str, loss: str) -> str:
    """Return what a loss of one target is called: `val_price_loss` for `val_loss`."""
    before, _, last = loss.rpartition("_")
    return f"{before}_{target}_{last}" if before else f"{target}_{last}"
