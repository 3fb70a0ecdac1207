"""Optimizers and learning-rate schedules in the search space.

`plateau` lowers the rate when the loss stops improving, and training stops early. `cosine` (Loshchilov and Hutter,
2017) and `step` lower it over a searched number of epochs, the horizon, and training ends there. Every schedule may
begin with a warm-up (Goyal et al., 2017).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import keras

ScheduleKind = Literal["plateau", "cosine", "step"]

# Epochs without improvement after which the rate falls.
_PLATEAU_PATIENCE = 3
_ADAPTIVE = ["adamw", "adam", "rmsprop"]


@dataclass(frozen=True)
class OptimizerChoices:
    """The search space of an optimizer and its learning-rate schedule; the first of several names is the default."""

    optimizers: tuple[str, ...] = ("adamw", "adam", "rmsprop", "sgd", "adagrad")
    schedules: tuple[ScheduleKind, ...] = ("cosine", "plateau", "step")
    max_warmup: int = 4
    """The longest warm-up, in epochs; 0: none is tried."""
    horizon: int = 24
    """The default horizon of `cosine` and `step`, in epochs."""
    rate_factor: float = 1.0
    """Multiplies the searched learning rate."""


TABULAR_CHOICES = OptimizerChoices(optimizers=("adamw", "sgd"), schedules=("plateau", "cosine"), max_warmup=0)
"""The choices that pay off for nets on tables, so that a short search does not spend trials on others."""


@dataclass(frozen=True)
class LearningRateSchedule:
    """The learning rate of every epoch."""

    kind: ScheduleKind
    rate: float
    """The highest learning rate."""
    warmup: int
    """Epochs in which the rate rises to it."""
    horizon: int | None
    """The epoch at which the rate has fallen and training ends; None for a plateau schedule."""

    def compute_rate(self, epoch: float, current: float) -> float:
        """Return the rate of an epoch, counted from 0 and perhaps with a fraction, given the rate before it."""
        if epoch < self.warmup:
            return self.rate * (epoch + 1) / (self.warmup + 1)
        if self.horizon is None:
            return self.rate if epoch == self.warmup else current
        done = (epoch - self.warmup) / max(1, self.horizon - self.warmup)
        if self.kind == "cosine":
            return fade(self.rate, min(done, 1.0))
        # The usual two steps, at half and at three quarters of the horizon.
        return float(self.rate * 0.1 ** ((done >= 0.5) + (done >= 0.75)))

    def set_compressed_rate(self, optimizer: Any, begun: float, share: float, rate: float) -> None:
        """Set the rate of a training that must end early; see `time_limit.CompressibleSchedule`.

        A schedule with a horizon runs through the rest of its epochs; a plateau schedule falls to 0 along a cosine.
        """
        if self.horizon is not None:
            rate = self.compute_rate(begun + share * (self.horizon - begun), rate)
        else:
            rate = fade(rate, share)
        optimizer.learning_rate = rate

    def limit_epochs(self, max_epochs: int) -> int:
        """Return the most epochs to train for: the horizon, up to a limit."""
        return max_epochs if self.horizon is None else min(max_epochs, self.horizon)

    def build_callbacks(
        self, *, has_validation: bool, patience: int | None, on_plateau: bool, max_epochs: int
    ) -> list[Any]:
        """Return the callbacks that set the rate, stop early and restore the best weights.

        Args:
            has_validation: whether there is a validation loss; early stopping and the best weights need one.
            patience: epochs without improvement before a training without a horizon stops; None: never.
            on_plateau: whether the rate falls on a plateau.
            max_epochs: the most epochs.
        """
        rates = [keras.callbacks.LearningRateScheduler(self.compute_rate)] if self.warmup or self.horizon else []
        if self.horizon is None and on_plateau:
            options = {"factor": 0.3, "patience": _PLATEAU_PATIENCE, "cooldown": self.warmup}
            rates.append(keras.callbacks.ReduceLROnPlateau("val_loss" if has_validation else "loss", **options))
        stop_after = patience if patience is not None and self.horizon is None else max_epochs
        early = keras.callbacks.EarlyStopping("val_loss", patience=stop_after, restore_best_weights=True)
        return [*([early] if has_validation else []), *rates]


def fade(rate: float, share: float) -> float:
    """Return a rate that falls to 0 along half a period of the cosine; `share` runs from 0 to 1."""
    return rate * (1 + math.cos(math.pi * share)) / 2


def search_optimizer(hp: Any, choices: OptimizerChoices) -> tuple[Any, LearningRateSchedule]:
    """Return a Keras optimizer and the schedule of its learning rate."""
    optimizer = _search_optimizer(hp, choices.optimizers)
    rate = choices.rate_factor * float(hp.get("learning_rate"))
    optimizer.learning_rate = rate
    kind = hp.Choice("schedule", list(choices.schedules), default=choices.schedules[0])
    warmup = hp.Int("warmup", 0, choices.max_warmup, default=0) if choices.max_warmup else 0
    with hp.conditional_scope("schedule", ["cosine", "step"]):
        horizon = hp.Int("horizon", 6, 96, sampling="log", default=choices.horizon)
    return optimizer, LearningRateSchedule(kind, rate, warmup, horizon)


def _search_optimizer(hp: Any, names: tuple[str, ...]) -> Any:
    """Return an optimizer; its learning rate and its own hyperparameters are searched."""
    name = hp.Choice("optimizer", list(names), default=names[0])
    # One scope for all adaptive optimizers, so that the sampler shares what it learns about their rate.
    with hp.conditional_scope("optimizer", _ADAPTIVE):
        rate = hp.Float("learning_rate", 1e-4, 1e-2, sampling="log", default=2e-3)
    with hp.conditional_scope("optimizer", ["adamw"]):
        decay = hp.Float("weight_decay", 1e-5, 1e-1, sampling="log", default=4e-3)
    if name == "adamw":
        return keras.optimizers.AdamW(rate, weight_decay=decay)
    if name in _ADAPTIVE:
        return {"adam": keras.optimizers.Adam, "rmsprop": keras.optimizers.RMSprop}[name](rate)
    with hp.conditional_scope("optimizer", ["sgd"]):
        sgd_rate = hp.Float("learning_rate", 3e-3, 0.3, sampling="log", default=5e-2)
        momentum = hp.Float("momentum", 0.8, 0.98, default=0.9)
    with hp.conditional_scope("optimizer", ["adagrad"]):
        adagrad_rate = hp.Float("learning_rate", 1e-3, 0.1, sampling="log", default=2e-2)
    if name == "adagrad":
        return keras.optimizers.Adagrad(adagrad_rate)
    return keras.optimizers.SGD(sgd_rate, momentum=momentum, nesterov=True)
