"""What a net has learnt from other images, used again in one of three ways.

- `features`: the base runs once over the images, and a small net learns from what it says of them.
- `frozen`: the base stays as it is, with the head on top of it; images are changed a little while the head trains.
- `tuned`: the head first (Kumar et al., 2022), then the base as well, or its top layers, at a lower rate.

Which is tried first follows from the number of images and from whether the base has seen images like these: few images
unlike those of the base are the one of the four cases of the CS231n notes (Karpathy et al., 2015) in which the base
stays as it is. In all of them the base's layers of batch normalisation keep their averages (Chollet, 2021, chapter 8),
and its dropout is off.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from workbench.models.nn import backbones, heads, image_input, mixup, optimizer, training
from workbench.models.nn.backbones import Backbone
from workbench.models.nn.feature_extractor import FeatureExtractor
from workbench.models.nn.training import Network, load
from workbench.models.protocol import FitContext, Problem, Rows

__all__ = ["fit", "load"]

# From so many images on it is safe to change the base.
_MANY = 2000
# From so many images it is learnt how far apart the values are that a base gives.
_SAMPLE = 500
# A value that varies less than this share of the one that varies most is not enlarged further: what is rare among few
# images would come out far too large in the next ones.
_FLOOR = 0.25
# Of more values than these each counts less, so that a step changes the outputs no more.
_FULL = 128
# What a base says is pooled in a grid of so many cells a side, for where something is tells as well: by default with so
# many values at most as a head on few images bears, and never with more than memory bears.
_GRIDS = (1, 2, 4)
_USUAL, _MOST = 2048, 8192


def fit(hp: Any, problem: Problem, train: Rows, valid: Rows | None, setting: FitContext) -> Network:
    """Train a net on top of a base, and perhaps the top of the base."""
    known, similar = image_input.measure_pixels(train.x), setting.training.pretrained.similar
    many = known.rows >= _MANY
    way = hp.Choice("way", ["features", "frozen", "tuned"], default="tuned" if many or similar else "features")
    # What the top of a base has learnt fits its own classes, and few images do not suffice to learn it anew.
    cut = 1.0 if many else 0.75
    ways = {"features": _features, "frozen": _frozen, "tuned": _tuned}
    return ways[way](_Task(hp, problem, train, valid, setting, known, cut))


@dataclass(frozen=True)
class _Task:
    """What all ways are given."""

    hp: Any
    problem: Problem
    train: Rows
    valid: Rows | None
    setting: FitContext
    known: image_input.PixelStatistics
    cut: float

    def base(self) -> Backbone:
        """Return the base, frozen."""
        base = backbones.search_backbone(self.hp, self.setting.training.pretrained, self.known, cut=self.cut)
        base.model.trainable = False
        return base

    def said(self, base: Backbone, hidden: Any) -> Any:
        """Return what the base says of standardised images, (rows, values)."""
        hidden = base.model(image_input.restore_pixels(hidden, self.known, base.brightest))
        height, width, values = hidden.shape[1:]
        usual = max(side for side in _GRIDS if side == 1 or side**2 * values <= _USUAL)
        side = min(self.hp.Choice("grid", list(_GRIDS), default=usual), max(1, int((_MOST / values) ** 0.5)))
        pooling = self.hp.Choice("pooling", ["average", "max"])
        layer = {"average": keras.layers.AveragePooling2D, "max": keras.layers.MaxPooling2D}[pooling]
        return keras.layers.Flatten()(layer((-(-height // side), -(-width // side)), padding="same")(hidden))

    def view(self, base: Backbone, cache: Path | None = None) -> FeatureExtractor:
        """Return images as the base sees them."""
        start, hidden = image_input.image_input(None, self.known)
        return FeatureExtractor(keras.Model(start, self.said(base, hidden)), cache)

    def head(self, hidden: Any, seen: np.ndarray) -> Any:
        """Return the outputs of the layers that are trained in any case.

        Args:
            hidden: what the base says, (rows, values).
            seen: what it says of training images, to standardise by: averages that follow a short training come late.
        """
        mean, deviation = seen.mean(axis=0, dtype=float), seen.std(axis=0, dtype=float)
        deviation = np.maximum(deviation, _FLOOR * deviation.max() or 1.0)
        deviation = deviation * max(1.0, (len(deviation) / _FULL) ** 0.5)
        hidden = keras.layers.Rescaling((1 / deviation).tolist(), (-mean / deviation).tolist())(hidden)
        kind = self.hp.Choice("head", ["linear", "dense"])
        with self.hp.conditional_scope("head", ["dense"]):
            units = self.hp.Int("units", 32, 512, step=2, sampling="log", default=128)
        if kind == "dense":
            hidden = keras.layers.Dense(units, "relu")(hidden)
        hidden = keras.layers.Dropout(self.hp.Float("dropout", 0.0, 0.6, step=0.1, default=0.2))(hidden)
        return heads.output_layer(hidden, self.problem)

    def trained(self, build: Callable[[], Any], setting: FitContext, **options: Any) -> Network:
        """Return what `build` makes, trained."""
        choices = {**optimizer.search_any_optimizer(self.known.epochs), **options.pop("choices", {})}
        rows = (self.hp, self.problem, self.train, self.valid, setting)
        return training.fit(build, *rows, choices=choices, **{"view": None, **options})


def _features(task: _Task) -> Network:
    # Names begin anew, so that the same layers are known again in the cache.
    training.reset_state(task.setting.seed)
    view = task.view(task.base(), task.setting.cache)
    matrix = view.transform(task.train.x)

    def build() -> Any:
        given = keras.Input(matrix.shape[1:])
        return keras.Model(given, task.head(given, matrix))

    return task.trained(build, task.setting, view=view, matrix=matrix)


def _frozen(task: _Task) -> Network:
    mixed = mixup.search_mixup(task.hp) if task.problem.classes else None
    return task.trained(lambda: _whole(task, task.base()), task.setting, mixing=mixed)


def _tuned(task: _Task) -> Network:
    """Train the head, then the top of the base as well; the better of the two is what there is at the end."""
    hp, setting = task.hp, task.setting
    first = hp.Int("head_epochs", 2, 20, sampling="log", default=6)
    share = hp.Float("unfrozen", 0.1, 1.0, step=0.1, default=1.0)
    slower = hp.Float("rate_share", 0.01, 1.0, sampling="log", default=0.3)
    options: dict[str, Any] = {"mixing": mixup.search_mixup(hp) if task.problem.classes else None}
    made: list[Backbone] = []

    def build() -> Any:
        made.append(task.base())
        return _whole(task, made[0])

    stages = _Stages(setting, first)
    model = task.trained(build, stages.head(), **options)
    if stages.left < 1:
        return model
    kept, best = model.net.get_weights(), stages.best
    _unfreeze(made[0], share)
    tuned = task.trained(lambda: model.net, stages.rest(), choices={"share": slower}, **options)
    if task.valid is not None and best < stages.best:
        tuned.net.set_weights(kept)
    return tuned


def _whole(task: _Task, base: Backbone) -> Any:
    """Return a net from images to outputs."""
    seen = task.view(base).transform(task.train.x[:: max(1, task.known.rows // _SAMPLE)])
    start, hidden = image_input.image_input(task.hp, task.known)
    return keras.Model(start, task.head(task.said(base, hidden), seen))


def _unfreeze(base: Backbone, share: float) -> None:
    """Let the top layers of the base learn, but for those of batch normalisation."""
    base.model.trainable = True
    layers = [layer for layer in _leaves(base.net) if layer.weights]
    frozen = len(layers) - max(1, round(share * len(layers)))
    for place, layer in enumerate(layers):
        layer.trainable = place >= frozen and not isinstance(layer, keras.layers.BatchNormalization)


def _leaves(net: Any) -> list[Any]:
    """Return the layers of a net, and in the place of a net in it the layers of that."""
    return [leaf for layer in net.layers for leaf in (_leaves(layer) if hasattr(layer, "layers") else [layer])]


@dataclass
class _Stages:
    """A training in two stages that looks like one to whoever watches."""

    setting: FitContext
    first: int
    best: float = float("inf")
    """The least validation loss of the stage under way, or the last one."""
    done: int = field(default=0, init=False)

    @property
    def left(self) -> int:
        """The most epochs that are left after the first stage."""
        total = self.setting.epochs if self.setting.length is None else self.setting.length
        return total - self.done

    def head(self) -> FitContext:
        """Return how the head is trained."""
        lasts: dict[str, Any] = {"epochs": min(self.first, self.setting.epochs)}
        if self.setting.length is not None:
            lasts["length"] = min(self.first, self.setting.length)
        return replace(self.setting, watch=self._told(0), name=f"{self.setting.name}/head", **lasts)

    def rest(self) -> FitContext:
        """Return how head and top are trained after that."""
        self.best = float("inf")
        length = None if self.setting.length is None else self.left
        return replace(self.setting, watch=self._told(self.done), epochs=self.left, length=length)

    def _told(self, before: int) -> Callable[..., None]:
        def watch(
            epoch: int, losses: Mapping[str, float], progress: float | None = None, of: int | None = None
        ) -> None:
            self.done = before + epoch + 1
            self.best = min(self.best, losses.get("val_loss", float("inf")))
            # How long the second stage will be is not settled while the first one lasts.
            self.setting.watch(before + epoch, losses, progress, None if of is None or not before else before + of)

        return watch
