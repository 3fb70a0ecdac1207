"""Several targets for families that learn one at a time: a model for each, with the same hyperparameters."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
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
    def submodels(self) -> dict[str, Model]:
        """The wrapped models by the positions of their targets, for `nn.architecture`."""
        return {f"target {position}": model for position, model in enumerate(self.models)}

    def predict(self, x: Inputs) -> np.ndarray:
        """Return the predictions of all targets side by side, (rows, outputs)."""
        return np.column_stack([model.predict(x) for model in self.models])

    def save(self, folder: Path) -> None:
        """Write `separate.json`, and each model into a subfolder."""
        for position, model in enumerate(self.models):
            subfolder = folder / str(position)
            subfolder.mkdir()
            model.save(subfolder)
        (folder / _FILE).write_text(json.dumps({"models": len(self.models)}))


@dataclass(frozen=True)
class MultiOutputFamily:
    """A family that accepts several targets, whether or not the wrapped family learns them jointly."""

    family: Family
    joint: bool
    """Whether one model of the wrapped family learns all targets."""

    def fit(self, hp: Any, problem: Problem, train: Rows, valid: Rows | None, context: FitContext) -> Model:
        """Train one model, or one for each target."""
        if self.joint or not problem.targets:
            return self.family.fit(hp, problem, train, valid, context)
        histories = [_History() for _ in problem.targets]
        models = []
        for position, (target, history) in enumerate(zip(problem.targets, histories, strict=True)):
            own = None if context.deadline is None else context.deadline.take(1 / (len(histories) - position))
            model = self.family.fit(
                hp,
                target,
                _select_target(train, position, target),
                None if valid is None else _select_target(valid, position, target),
                replace(context, on_epoch=history, name=f"{context.name}/{position}", deadline=own),
            )
            models.append(model)
        _report_mean(histories, problem, context)
        return MultiOutputModel(models)

    def load(self, folder: Path) -> Model:
        """Return the model that its `save` wrote to a folder."""
        file = folder / _FILE
        if not file.exists():
            return self.family.load(folder)
        positions = range(json.loads(file.read_text())["models"])
        return MultiOutputModel([self.family.load(folder / str(position)) for position in positions])


@dataclass
class _History:
    """A progress callback that records the training of one target's model."""

    losses: list[dict[str, float]] = field(default_factory=list)
    epochs: list[int] = field(default_factory=list)
    progress: list[float | None] = field(default_factory=list)

    def __call__(
        self, epoch: int, losses: Mapping[str, float], progress: float | None = None, of: int | None = None
    ) -> None:
        self.losses.append({name: float(value) for name, value in losses.items()})
        self.epochs.append(epoch)
        self.progress.append(progress)


def _select_target(rows: Rows, position: int, target: Problem) -> Rows:
    column: np.ndarray = rows.y[:, position]
    return replace(rows, y=column.astype(np.int64) if target.classes else column)


def _report_mean(histories: Sequence[_History], problem: Problem, context: FitContext) -> None:
    """Report the trainings of the targets as if they were one: the weighted mean of their losses at each epoch.

    A training that ended earlier keeps its last losses. With few targets, the losses of each are reported too, under
    the names that a net with several outputs gives them.
    """
    if not all(history.losses for history in histories):
        return
    weights = [target.weight for target in problem.targets]
    longest = max(histories, key=lambda history: len(history.losses))
    names = set.intersection(*(set(history.losses[-1]) for history in histories))
    for step, (epoch, progress) in enumerate(zip(longest.epochs, longest.progress, strict=True)):
        current = [history.losses[min(step, len(history.losses) - 1)] for history in histories]
        losses = {name: float(np.average([each[name] for each in current], weights=weights)) for name in sorted(names)}
        for target, own in zip(problem.reported_targets, current, strict=False):
            losses |= {_target_loss_name(target, name): own[name] for name in names}
        context.on_epoch(epoch, losses, progress)


def _target_loss_name(target: str, loss: str) -> str:
    """Return the name of a loss of one target: `val_price_loss` for `val_loss`."""
    before, _, last = loss.rpartition("_")
    return f"{before}_{target}_{last}" if before else f"{target}_{last}"
