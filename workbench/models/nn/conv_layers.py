"""Convolutional layers that share their hyperparameters: activation, initialiser, penalty, normalisation, dropout."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras

from workbench.models.nn import dense_layers


@dataclass(frozen=True)
class ConvLayers:
    """The hyperparameters that all layers of a convolutional net share; each method applies a new layer."""

    activation: str
    initializer: str
    l1: float
    l2: float
    batch_norm: bool
    """Whether `normalize` applies batch normalisation."""
    dropout: float

    def convolve(self, hidden: Any, filters: int, *, kernel: int = 3, stride: int = 1) -> Any:
        """Apply a convolution to images or to sequences, without activation."""
        options = {"use_bias": not self.batch_norm, "kernel_regularizer": self._build_regularizer()}
        kind = keras.layers.Conv1D if len(hidden.shape) == 3 else keras.layers.Conv2D
        layer = kind(filters, kernel, strides=stride, padding="same", kernel_initializer=self.initializer, **options)
        return layer(hidden)

    def convolve_separable(self, hidden: Any, filters: int) -> Any:
        """Apply a depthwise separable 3×3 convolution, without activation."""
        options: dict[str, Any] = {"depthwise_initializer": self.initializer, "pointwise_initializer": self.initializer}
        options["depthwise_regularizer"] = self._build_regularizer()
        options["pointwise_regularizer"] = self._build_regularizer()
        layer = keras.layers.SeparableConv2D(filters, 3, padding="same", use_bias=not self.batch_norm, **options)
        return layer(hidden)

    def convolve_depthwise(self, hidden: Any, *, stride: int = 1) -> Any:
        """Apply a 3×3 convolution to each channel separately, without activation."""
        options = {"depthwise_initializer": self.initializer, "depthwise_regularizer": self._build_regularizer()}
        layer = keras.layers.DepthwiseConv2D(3, stride, padding="same", use_bias=not self.batch_norm, **options)
        return layer(hidden)

    def apply_dense(self, hidden: Any, units: int) -> Any:
        """Apply a dense layer with activation."""
        layer = keras.layers.Dense(
            units, kernel_initializer=self.initializer, kernel_regularizer=self._build_regularizer()
        )
        return self.activate(layer(hidden))

    def normalize(self, hidden: Any, mask: Any | None = None) -> Any:
        """Apply batch normalisation if `batch_norm`; masked steps do not enter the statistics."""
        return dense_layers.batch_normalize(hidden, mask) if self.batch_norm else hidden

    def activate(self, hidden: Any) -> Any:
        """Apply the activation."""
        return keras.layers.Activation(self.activation)(hidden)

    def apply_dropout(self, hidden: Any) -> Any:
        """Apply dropout."""
        return keras.layers.Dropout(self.dropout)(hidden)

    def _build_regularizer(self) -> Any | None:
        return keras.regularizers.L1L2(self.l1, self.l2) if self.l1 or self.l2 else None


def search_conv_layers(hp: Any, *, batch_norm: bool | None = None) -> ConvLayers:
    """Return the hyperparameters of a net's layers.

    Args:
        hp: the search space.
        batch_norm: whether to apply batch normalisation; None: searched.
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
        batch_norm=hp.Boolean("batch_norm", default=True) if batch_norm is None else batch_norm,
        dropout=hp.Float("dropout", 0.0, 0.5, step=0.1, default=0.2),
    )


def build_conv_blocks(
    layers: ConvLayers, hidden: Any, *, blocks: int, convolutions: int, filters: int, stride: int
) -> Any:
    """Apply blocks of 3×3 convolutions to images, (rows, height, width, channels); each block halves the size.

    Args:
        layers: the hyperparameters of the layers.
        hidden: the images.
        blocks: the number of blocks.
        convolutions: the number of convolutions in a block.
        filters: the filters of the first block; the number doubles from block to block, up to 256.
        stride: the stride of the first convolution.
    """
    for block in range(blocks):
        if block and min(hidden.shape[1:3]) >= 2:
            hidden = keras.layers.MaxPooling2D(padding="same")(hidden)
        for index in range(convolutions):
            first = not block and not index
            hidden = layers.convolve(hidden, min(256, filters * 2**block), stride=stride if first else 1)
            hidden = layers.activate(layers.normalize(hidden))
        hidden = layers.apply_dropout(hidden)
    return hidden
