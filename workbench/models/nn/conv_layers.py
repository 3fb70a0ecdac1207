"""What the layers of a net of convolutions have in common, searched once: activation, initialiser, penalty, dropout."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras

from workbench.models.nn import training


@dataclass(frozen=True)
class ConvLayers:
    """How convolutions and dense layers are made."""

    activation: str
    initializer: str
    l1: float
    l2: float
    normalise: bool
    """Whether values are batch-normalised before they are activated."""
    dropout: float

    def convolved(self, hidden: Any, filters: int, *, kernel: int = 3, stride: int = 1) -> Any:
        """Return a convolution of images, or of sequences, not yet activated."""
        options = {"use_bias": not self.normalise, "kernel_regularizer": self._penalty()}
        kind = keras.layers.Conv1D if len(hidden.shape) == 3 else keras.layers.Conv2D
        layer = kind(filters, kernel, strides=stride, padding="same", kernel_initializer=self.initializer, **options)
        return layer(hidden)

    def separated(self, hidden: Any, filters: int) -> Any:
        """Return a depthwise separable 3×3 convolution, not yet activated: channel by channel, then across them."""
        ways: dict[str, Any] = {"depthwise_initializer": self.initializer, "pointwise_initializer": self.initializer}
        ways |= {"depthwise_regularizer": self._penalty(), "pointwise_regularizer": self._penalty()}
        layer = keras.layers.SeparableConv2D(filters, 3, padding="same", use_bias=not self.normalise, **ways)
        return layer(hidden)

    def depthwise(self, hidden: Any, *, stride: int = 1) -> Any:
        """Return a 3×3 convolution of each channel by itself, not yet activated."""
        options = {"depthwise_initializer": self.initializer, "depthwise_regularizer": self._penalty()}
        layer = keras.layers.DepthwiseConv2D(3, stride, padding="same", use_bias=not self.normalise, **options)
        return layer(hidden)

    def dense(self, hidden: Any, units: int) -> Any:
        """Return a dense layer, activated."""
        layer = keras.layers.Dense(units, kernel_initializer=self.initializer, kernel_regularizer=self._penalty())
        return self.activated(layer(hidden))

    def normalised(self, hidden: Any, mask: Any | None = None) -> Any:
        """Return values normalised where the style says so; what a mask leaves out does not count."""
        return training.batch_normalize(hidden, mask) if self.normalise else hidden

    def activated(self, hidden: Any) -> Any:
        """Return values after the activation."""
        return keras.layers.Activation(self.activation)(hidden)

    def dropped(self, hidden: Any) -> Any:
        """Return values of which some are dropped while the net trains."""
        return keras.layers.Dropout(self.dropout)(hidden)

    def _penalty(self) -> Any | None:
        return keras.regularizers.L1L2(self.l1, self.l2) if self.l1 or self.l2 else None


def search_conv_layers(hp: Any, *, normalise: bool | None = None) -> ConvLayers:
    """Return the style of a net.

    Args:
        hp: the search space.
        normalise: whether to batch-normalise, where that is no question.
    """
    penalty = hp.Choice("penalty", ["none", "l2", "l1", "l1_l2"])
    with hp.conditional_scope("penalty", ["l1", "l1_l2"]):
        l1 = hp.Float("l1", 1e-8, 1e-4, sampling="log", default=1e-6)
    with hp.conditional_scope("penalty", ["l2", "l1_l2"]):
        l2 = hp.Float("l2", 1e-7, 1e-3, sampling="log", default=1e-5)
    return ConvLayers(
        activation=hp.Choice("activation", ["relu", "leaky_relu", "elu", "gelu", "tanh"]),
        initializer=hp.Choice("initializer", ["he_normal", "glorot_uniform", "lecun_normal"]),
        l1=l1 if "l1" in penalty else 0.0,
        l2=l2 if "l2" in penalty else 0.0,
        normalise=hp.Boolean("batch_norm", default=True) if normalise is None else normalise,
        dropout=hp.Float("dropout", 0.0, 0.5, step=0.1, default=0.2),
    )
