"""Activation maps of convolutional nets, and Grad-CAM heat maps.

Grad-CAM (Selvaraju et al., 2017) sums the channels of the last activation map with more than one position. A channel's
weight is the mean gradient of the class score over the map, and negative sums become 0. The score is the value before
the last activation, since the probability of a confident class hardly changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from workbench.array import Array


@dataclass(frozen=True)
class LayerOutput:
    """A layer and its output for some images; mostly (images, rows, columns, channels)."""

    layer: Any
    value: Any


def compute_grad_cam(nets: Sequence[Any], images: Array, classes: Array) -> Array:
    """Return the Grad-CAM heat maps of images, (images, rows, columns) float32 from 0 to 1.

    Args:
        nets: nets that are applied one after another, from images to probabilities.
        images: as the first net takes them.
        classes: (images,) the class to explain in each image.

    Returns:
        (0, 0, 0) for nets without activation maps.
    """
    import tensorflow as tf

    outputs = record_outputs(nets, images[:1])
    maps = find_maps(outputs)
    if not maps:
        return np.zeros((0, 0, 0), np.float32)
    # The tape watches only the last map: gradients of all variables of a large backbone would fill the memory.
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        recorded: list[Any] = []

        def watch(_: Any, value: Any) -> None:
            tape.watch(value)
            recorded.append(value)

        with _hook_outputs([maps[-1].layer], watch), _disable_last_activation(outputs):
            scores = _apply_nets(nets, images)
        total = _sum_scores(scores, classes)
    # A layer may be applied more than once: the last output counts, as in `find_maps`.
    activations = recorded[-1]
    weights = np.asarray(tape.gradient(total, activations)).mean(axis=(1, 2), keepdims=True)
    heat = np.maximum((weights * np.asarray(activations)).sum(axis=3), 0)
    strongest = heat.max(axis=(1, 2), keepdims=True)
    return np.asarray(heat / np.where(strongest > 0, strongest, 1), dtype=np.float32)


def record_outputs(nets: Sequence[Any], images: Array) -> list[LayerOutput]:
    """Return the outputs of all layers for images, in the order of computation."""
    outputs: list[LayerOutput] = []
    with _hook_outputs(list_layers(nets), lambda layer, value: outputs.append(LayerOutput(layer, value))):
        _apply_nets(nets, images)
    return outputs


def find_maps(outputs: Sequence[LayerOutput]) -> list[LayerOutput]:
    """Return the activation maps with more than one position, from the first convolution on.

    Empty for nets without convolutions, and if the first convolution's own output has a single position.
    """
    import keras

    kinds = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D, keras.layers.SeparableConv2D)
    first = next((index for index, output in enumerate(outputs) if isinstance(output.layer, kinds)), len(outputs))
    maps = [output for output in outputs[first:] if _count_positions(output.value) > 1]
    return maps if maps and maps[0] is outputs[first] else []


def list_layers(nets: Sequence[Any]) -> list[Any]:
    """Return each layer of nets once, including those in nested nets and layers, without the nets themselves."""
    import keras

    layers = (layer for net in nets for layer in net._flatten_layers(include_self=False))
    return list({id(layer): layer for layer in layers if not isinstance(layer, keras.Model)}.values())


def _count_positions(value: Any) -> int:
    """Return the number of positions of an activation map; 0 if the value is no map."""
    shape = tuple(getattr(value, "shape", ()))
    return int(shape[1] * shape[2]) if len(shape) == 4 else 0


def _apply_nets(nets: Sequence[Any], images: Array) -> Any:
    hidden: Any = images
    for net in nets:
        hidden = net(hidden, training=False)
    return hidden


@contextmanager
def _hook_outputs(layers: Sequence[Any], observe: Callable[[Any, Any], None]) -> Iterator[None]:
    """Call `observe(layer, output)` for every call of the layers, however deep they are nested."""

    def hook(layer: Any) -> None:
        original_call = layer.call

        def call(*args: Any, **options: Any) -> Any:
            value = original_call(*args, **options)
            observe(layer, value)
            return value

        layer.call = call

    for layer in layers:
        hook(layer)
    try:
        yield
    finally:
        for layer in layers:
            del layer.call


@contextmanager
def _disable_last_activation(outputs: Sequence[LayerOutput]) -> Iterator[None]:
    """Let the output layer return scores instead of probabilities."""
    import keras

    activated = (output for output in reversed(outputs) if getattr(output.layer, "activation", None) is not None)
    last = next(activated, outputs[-1])
    activation = getattr(last.layer, "activation", None)
    gives_probabilities = activation in (keras.activations.softmax, keras.activations.sigmoid)
    # A layer before the output may use such an activation for other reasons.
    if not gives_probabilities or last.value.shape != outputs[-1].value.shape:
        yield
        return
    last.layer.activation = keras.activations.linear
    try:
        yield
    finally:
        last.layer.activation = activation


def _sum_scores(scores: Any, classes: Array) -> Any:
    """Return the sum over images of their class's score; a single output is the score of class 1 against class 0."""
    import keras

    if scores.shape[1] > 1:
        signs = np.eye(scores.shape[1], dtype=np.float32)[classes]
    else:
        signs = np.where(classes == 1, 1, -1).astype(np.float32)[:, None]
    return keras.ops.sum(scores * signs)
