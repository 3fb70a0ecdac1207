"""A head on a net that was pretrained on other images, in one of three ways.

- `features`: the backbone computes features of all images once, and a small net learns from them.
- `frozen`: the backbone is part of the net but is not trained; images are augmented while the head trains.
- `tuned`: the head is trained first (Kumar et al., 2022), then the backbone or its top layers, too, at a lower rate.

The default way follows from the number of images and from whether the backbone was trained on similar images: few
images that differ from them are the one of the four cases in the CS231n notes (Karpathy et al., 2015) in which the
backbone stays frozen. Batch normalisation layers of the backbone always keep their averages (Chollet, 2021, chapter 8),
and its dropout is off.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from workbench.array import Array
from workbench.models.nn import backbones, heads, image_input, training
from workbench.models.nn.backbones import Backbone
from workbench.models.nn.feature_extractor import FeatureExtractor
from workbench.models.nn.image_input import ImageStatistics
from workbench.models.nn.keras_model import KerasModel, StagedKerasModel, load
from workbench.models.nn.mixup import Mixup, search_mixup
from workbench.models.nn.optimizer import OptimizerChoices
from workbench.models.nn.training import NetSpec
from workbench.models.protocol import FitContext, Problem, Rows

__all__ = ["fit", "load"]

# From this many images on it is safe to train the backbone.
_MANY_IMAGES = 2000
# The scale of a backbone's features is measured on about this many images.
_SAMPLE = 500
# Features are divided by at least this share of the largest standard deviation: a feature that is rare in few images
# would become far too large in new ones.
_MIN_STD_SHARE = 0.25
# Beyond this many features each one is scaled down, so that a training step changes the outputs no more.
_UNSCALED_FEATURES = 128
# Feature maps are pooled to a grid, since positions matter, too. The grid's side in cells, the most features by default
# (as many as a head learns from few images), and the most that fit in memory.
_GRID_SIDES = (1, 2, 4)
_DEFAULT_MAX_FEATURES, _MAX_FEATURES = 2048, 8192
# The most of the time until a deadline in which the head is trained alone.
_HEAD_SHARE = 0.3


def fit(hp: Any, problem: Problem, train: Rows, valid: Rows | None, context: FitContext) -> KerasModel:
    """Train a net on a backbone, and perhaps the top of the backbone."""
    statistics, similar = image_input.measure_images(train.x), context.training.pretrained.similar
    many = statistics.rows >= _MANY_IMAGES
    way = hp.Choice("way", ["features", "frozen", "tuned"], default="tuned" if many or similar else "features")
    # The top of a backbone is specific to its own classes, and few images do not suffice to retrain it.
    cut = 1.0 if many else 0.75
    ways = {"features": _fit_on_features, "frozen": _fit_frozen, "tuned": _fit_tuned}
    return ways[way](_TransferLearning(hp, problem, train, valid, context, statistics, cut))


@dataclass(frozen=True)
class _TransferLearning:
    """The arguments and the building blocks of all three ways."""

    hp: Any
    problem: Problem
    train: Rows
    valid: Rows | None
    context: FitContext
    statistics: ImageStatistics
    cut: float
    """The default share of the backbone's layers that is used."""

    @property
    def optimizers(self) -> OptimizerChoices:
        """The search space of the optimizer."""
        return OptimizerChoices(horizon=self.statistics.default_epochs)

    def search_backbone(self) -> Backbone:
        """Return the backbone, frozen."""
        pretrained = self.context.training.pretrained
        backbone = backbones.search_backbone(self.hp, pretrained, self.statistics, cut=self.cut)
        backbone.model.trainable = False
        return backbone

    def search_mixup(self) -> Mixup | None:
        """Return how samples are mixed; only classes are."""
        return search_mixup(self.hp) if self.problem.classes else None

    def extract_features(self, backbone: Backbone, hidden: Any) -> Any:
        """Apply the backbone to standardised images and pool its map to a grid, (rows, values)."""
        hidden = backbone.model(image_input.restore_pixels(hidden, self.statistics, backbone.max_value))
        height, width, values = hidden.shape[1:]
        default = max(side for side in _GRID_SIDES if side == 1 or side**2 * values <= _DEFAULT_MAX_FEATURES)
        max_side = max(1, int((_MAX_FEATURES / values) ** 0.5))
        side = min(self.hp.Choice("grid", list(_GRID_SIDES), default=default), max_side)
        pooling = self.hp.Choice("pooling", ["average", "max"])
        layer = {"average": keras.layers.AveragePooling2D, "max": keras.layers.MaxPooling2D}[pooling]
        return keras.layers.Flatten()(layer((-(-height // side), -(-width // side)), padding="same")(hidden))

    def build_extractor(self, backbone: Backbone, cache: Path | None = None) -> FeatureExtractor:
        """Return the net from images to the backbone's features, as a preprocessor."""
        start, hidden = image_input.build_image_input(None, self.statistics)
        return FeatureExtractor(keras.Model(start, self.extract_features(backbone, hidden)), cache)

    def build_head(self, hidden: Any, train_features: Array) -> Any:
        """Build the layers after the backbone, up to the output.

        Args:
            hidden: the backbone's features, (rows, values).
            train_features: the features of training images, to standardise by. The moving averages of a batch
                normalisation would settle too late in a short training.
        """
        mean, std = train_features.mean(axis=0, dtype=float), train_features.std(axis=0, dtype=float)
        std = np.maximum(std, _MIN_STD_SHARE * std.max() or 1.0)
        std = std * max(1.0, (len(std) / _UNSCALED_FEATURES) ** 0.5)
        hidden = keras.layers.Rescaling((1 / std).tolist(), (-mean / std).tolist())(hidden)
        kind = self.hp.Choice("head", ["linear", "dense"])
        with self.hp.conditional_scope("head", ["dense"]):
            units = self.hp.Int("units", 32, 512, step=2, sampling="log", default=128)
        if kind == "dense":
            hidden = keras.layers.Dense(units, "relu")(hidden)
        hidden = keras.layers.Dropout(self.hp.Float("dropout", 0.0, 0.6, step=0.1, default=0.2))(hidden)
        return heads.build_output_layer(hidden, self.problem)

    def build_net(self, backbone: Backbone) -> Any:
        """Build a net from images to outputs."""
        sample = self.train.x[:: max(1, self.statistics.rows // _SAMPLE)]
        sample_features = self.build_extractor(backbone).transform(sample)
        start, hidden = image_input.build_image_input(self.hp, self.statistics)
        return keras.Model(start, self.build_head(self.extract_features(backbone, hidden), sample_features))

    def train_net(self, spec: NetSpec, context: FitContext) -> KerasModel:
        """Train a net."""
        return training.fit(spec, self.hp, self.problem, self.train, self.valid, context)


def _fit_on_features(task: _TransferLearning) -> KerasModel:
    # Layer names restart, so that the cache recognises the same layers.
    training.reset_keras(task.context.seed)
    extractor = task.build_extractor(task.search_backbone(), task.context.cache)
    train_features = extractor.transform(task.train.x)

    def build() -> Any:
        start = keras.Input(train_features.shape[1:])
        return keras.Model(start, task.build_head(start, train_features))

    spec = NetSpec(build, preprocessor=extractor, train_inputs=train_features, optimizers=task.optimizers)
    return task.train_net(spec, task.context)


def _fit_frozen(task: _TransferLearning) -> KerasModel:
    mixup = task.search_mixup()
    spec = NetSpec(lambda: task.build_net(task.search_backbone()), mixup=mixup, optimizers=task.optimizers)
    return task.train_net(spec, task.context)


def _fit_tuned(task: _TransferLearning) -> KerasModel:
    """Train the head, then the top of the backbone as well; return the stage with the lower validation loss."""
    hp = task.hp
    head_epochs = hp.Int("head_epochs", 2, 20, sampling="log", default=6)
    unfrozen_share = hp.Float("unfrozen", 0.1, 1.0, step=0.1, default=1.0)
    rate_factor = hp.Float("rate_share", 0.01, 1.0, sampling="log", default=0.3)
    mixup = task.search_mixup()
    built: list[Backbone] = []

    def build() -> Any:
        built.append(task.search_backbone())
        return task.build_net(built[0])

    stages = _TwoStageTraining(task.context, head_epochs)
    head_spec = NetSpec(build, mixup=mixup, optimizers=task.optimizers)
    model = task.train_net(head_spec, stages.make_head_context())
    if not stages.go_on:
        return model
    head_weights, head_loss, head_epochs = model.net.get_weights(), stages.best_loss, stages.epochs_done
    _unfreeze(built[0], unfrozen_share)
    slower = replace(task.optimizers, rate_factor=rate_factor)
    tuned = task.train_net(replace(head_spec, build=lambda: model.net, optimizers=slower), stages.make_tuning_context())
    if task.valid is not None and head_loss < stages.best_loss:
        tuned.net.set_weights(head_weights)
    return tuned.prepend(model, head_epochs) if isinstance(tuned, StagedKerasModel) else tuned


def _unfreeze(backbone: Backbone, share: float) -> None:
    """Make the top layers of the backbone trainable, except batch normalisation.

    Args:
        backbone: the backbone.
        share: of its layers with weights, from the top.
    """
    backbone.model.trainable = True
    layers = [layer for layer in _flatten_layers(backbone.net) if layer.weights]
    frozen = len(layers) - max(1, round(share * len(layers)))
    for index, layer in enumerate(layers):
        layer.trainable = index >= frozen and not isinstance(layer, keras.layers.BatchNormalization)


def _flatten_layers(net: Any) -> list[Any]:
    """Return the layers of a net, with those of nested nets in their place."""
    return [leaf for layer in net.layers for leaf in (_flatten_layers(layer) if hasattr(layer, "layers") else [layer])]


@dataclass
class _TwoStageTraining:
    """Two successive trainings whose progress is reported as one."""

    context: FitContext
    head_epochs: int
    best_loss: float = float("inf")
    """The lowest validation loss of the current or the last stage."""
    epochs_done: int = field(default=0, init=False)

    @property
    def epochs_left(self) -> int:
        """The most epochs of the second stage."""
        total = self.context.epochs if self.context.length is None else self.context.length
        return total - self.epochs_done

    @property
    def go_on(self) -> bool:
        """Whether the second stage has epochs, and time for some."""
        return self.epochs_left > 0 and not self.context.must_stop()

    def make_head_context(self) -> FitContext:
        """Return the context of the first stage, which trains the head."""
        limits: dict[str, Any] = {"epochs": min(self.head_epochs, self.context.epochs)}
        if self.context.length is not None:
            limits["length"] = min(self.head_epochs, self.context.length)
        if self.context.deadline is not None:
            limits["deadline"] = self.context.deadline.take(_HEAD_SHARE)
        return replace(self.context, on_epoch=self._report_after(0), name=f"{self.context.name}/head", **limits)

    def make_tuning_context(self) -> FitContext:
        """Return the context of the second stage, which trains the head and the top of the backbone."""
        self.best_loss = float("inf")
        length = None if self.context.length is None else self.epochs_left
        report = self._report_after(self.epochs_done)
        return replace(self.context, on_epoch=report, epochs=self.epochs_left, length=length)

    def _report_after(self, earlier: int) -> Callable[..., None]:
        """Return a progress callback that counts epochs on from those of an earlier stage."""

        def report(
            epoch: int, losses: Mapping[str, float], progress: float | None = None, of: int | None = None
        ) -> None:
            self.epochs_done = earlier + epoch + 1
            self.best_loss = min(self.best_loss, losses.get("val_loss", float("inf")))
            # The length of the second stage is unknown during the first.
            total = None if of is None or not earlier else earlier + of
            self.context.on_epoch(earlier + epoch, losses, progress, total)

        return report
