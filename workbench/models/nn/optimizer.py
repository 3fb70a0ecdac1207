"""The optimizer of a net and how its learning rate goes over the epochs, both in the search space.

`plateau` lets the rate fall when the loss stands still, and training ends when it stands still for long. `cosine`
(Loshchilov and Hutter, 2017) and `step` let it fall over a horizon of epochs that is searched, and end there. Any of
them may begin with a warm-up (Goyal et al., 2017).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import keras

OPTIMIZERS = ("adamw", "adam", "rmsprop", "sgd", "adagrad")
SCHEDULES = ("plateau", "cosine", "step")
# Epochs without progress after which the rate falls.
_PATIENCE = 3
# For nets on tables: what pays there, so that a short search is not spent on the rest.
FEW = {"optimizers": ("adamw", "sgd"), "schedules": ("plateau", "cosine"), "longest_warmup": 0}
_ADAPTIVE = ["adamw", "adam", "rmsprop"]


@dataclass(frozen=True)
class LearningRateSchedule:
    """How the learning rate goes."""

    kind: Literal["plateau", "cosine", "step"]
    rate: float
    """The highest learning rate."""
    warmup: int
    """Epochs in which the rate rises to it."""
    horizon: int | None
    """Epochs after which it has fallen, and training ends; None for a plateau."""

    def at(self, epoch: int, current: float) -> float:
        """Return the rate of an epoch, from 0, whose predecessor had the `current` one."""
        if epoch < self.warmup:
            return self.rate * (epoch + 1) / (self.warmup + 1)
        if self.horizon is None:
            return self.rate if epoch == self.warmup else current
        done = (epoch - self.warmup) / max(1, self.horizon - self.warmup)
        if self.kind == "cosine":
            return self.rate * (1 + math.cos(math.pi * min(done, 1.0))) / 2
        # The usual two steps, at half and at three quarters of the way.
        return float(self.rate * 0.1 ** ((done >= 0.5) + (done >= 0.75)))

    def epochs(self, most: int) -> int:
        """Return how many epochs to train for at most."""
        return most if self.horizon is None else min(most, self.horizon)

    def callbacks(self, *, stops: bool, patience: int | None, on_plateau: bool, most: int) -> list[Any]:
        """Return what moves the rate, ends the training and restores the best weights.

        Args:
            stops: whether there is a validation loss, which decides on all of it.
            patience: epochs without progress after which a training without a horizon ends; None: never.
            on_plateau: whether the rate falls on a plateau.
            most: the most epochs.
        """
        moves = [keras.callbacks.LearningRateScheduler(self.at)] if self.warmup or self.horizon else []
        if self.horizon is None and on_plateau:
            falls = {"factor": 0.3, "patience": _PATIENCE, "cooldown": self.warmup}
            moves.append(keras.callbacks.ReduceLROnPlateau("val_loss" if stops else "loss", **falls))
        waits = patience if patience is not None and self.horizon is None else most
        early = keras.callbacks.EarlyStopping("val_loss", patience=waits, restore_best_weights=True)
        return [*([early] if stops else []), *moves]


def search_any_optimizer(horizon: int) -> dict[str, Any]:
    """Return what `searched` may choose from for a net that may have any optimizer; `horizon` is its default."""
    return {"optimizers": OPTIMIZERS, "schedules": ("cosine", "plateau", "step"), "horizon": horizon}


def search_optimizer(
    hp: Any,
    *,
    optimizers: Sequence[str] = OPTIMIZERS,
    schedules: Sequence[str] = SCHEDULES,
    longest_warmup: int = 4,
    horizon: int = 24,
    share: float = 1.0,
) -> tuple[Any, LearningRateSchedule]:
    """Return an optimizer, and the schedule of its learning rate.

    Args:
        hp: the search space.
        optimizers: the names to choose from, the default first.
        schedules: likewise.
        longest_warmup: in epochs; 0 where none is to be tried.
        horizon: the default of the epochs that `cosine` and `step` go over.
        share: what part of the rate that is searched is used.
    """
    optimizer = _optimizer(hp, optimizers)
    rate = share * float(hp.get("learning_rate"))
    optimizer.learning_rate = rate
    kind = hp.Choice("schedule", list(schedules), default=schedules[0])
    warmup = hp.Int("warmup", 0, longest_warmup, default=0) if longest_warmup else 0
    with hp.conditional_scope("schedule", ["cosine", "step"]):
        horizon = hp.Int("horizon", 6, 96, sampling="log", default=horizon)
    return optimizer, LearningRateSchedule(kind, rate, warmup, horizon)


def _optimizer(hp: Any, names: Sequence[str]) -> Any:
    """Return an optimizer with the rate, and what else it alone has, searched."""
    name = hp.Choice("optimizer", list(names), default=names[0])
    # A scope belongs to all the names in it, or what is learnt about one of them is not known to the next.
    with hp.conditional_scope("optimizer", _ADAPTIVE):
        rate = hp.Float("learning_rate", 1e-4, 1e-2, sampling="log", default=2e-3)
    with hp.conditional_scope("optimizer", ["adamw"]):
        decay = hp.Float("weight_decay", 1e-5, 1e-1, sampling="log", default=4e-3)
    if name == "adamw":
        return keras.optimizers.AdamW(rate, weight_decay=decay)
    if name in _ADAPTIVE:
        return {"adam": keras.optimizers.Adam, "rmsprop": keras.optimizers.RMSprop}[name](rate)
    with hp.conditional_scope("optimizer", ["sgd"]):
        fast = hp.Float("learning_rate", 3e-3, 0.3, sampling="log", default=5e-2)
        momentum = hp.Float("momentum", 0.8, 0.98, default=0.9)
    with hp.conditional_scope("optimizer", ["adagrad"]):
        own = hp.Float("learning_rate", 1e-3, 0.1, sampling="log", default=2e-2)
    if name == "adagrad":
        return keras.optimizers.Adagrad(own)
    return keras.optimizers.SGD(fast, momentum=momentum, nesterov=True)
