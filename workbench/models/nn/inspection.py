"""Pictures of an image net's inner workings: Grad-CAM heat maps, filters of the first layer, activations of layers.

The pictures of filters and activations follow Chollet (2021, chapter 9.4). Reading a saved inspection needs no Keras.
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from workbench.array import Array
from workbench.models.nn import activation_maps, architecture
from workbench.models.nn.activation_maps import LayerOutput
from workbench.models.protocol import Model

FILE = "looking.npz"
"""The file that `ImageInspection.save` makes."""

_IMAGES = 6
_FILTERS = 24
_LAYERS = 4
_CHANNELS = 8
# Images and activation maps are averaged down to about these sides, in pixels.
_IMAGE_SIDE = 56
_MAP_SIDE = 32
# The fields of `ImageInspection` that the file holds as arrays of the same name.
_ARRAYS = ("images", "heat", "truth", "predicted", "probability", "filters")


@dataclass(frozen=True, eq=False)
class ImageInspection:
    """Held-out images with their heat maps, and filters and activations of the net."""

    images: Array
    """(images, height, width, 1 or 3) bytes."""
    heat: Array
    """(images, rows, columns) float32: the Grad-CAM heat of the predicted class, with a maximum of 1; (0, 0, 0) for a
    regression."""
    truth: Array
    """(images,) true classes or values."""
    predicted: Array
    """(images,) predicted classes or values."""
    probability: Array
    """(images,) of the predicted class; NaN for a regression."""
    filters: Array
    """(filters, height, width, 1 or 3) float32 of the first convolution, from -1 to 1."""
    filters_in_all: int
    """The number of filters of the first convolution; `filters` has the first of them."""
    layers: tuple[str, ...]
    """The layers of `activations` with the size of their maps, such as `activation_2, 12×12`."""
    activations: tuple[Array, ...]
    """(channels, rows, columns) float32 from 0 to 1 of each layer for the first image: the channels that vary most."""

    def save(self, file: Path) -> None:
        """Write an .npz file."""
        facts = {"filters_in_all": self.filters_in_all, "layers": self.layers}
        arrays: dict[str, Any] = {name: getattr(self, name) for name in _ARRAYS}
        arrays |= {f"layer_{index}": channels.astype(np.float16) for index, channels in enumerate(self.activations)}
        buffer = io.BytesIO()
        np.savez_compressed(buffer, facts=np.array(json.dumps(facts)), **arrays)
        file.write_bytes(buffer.getbuffer())

    @classmethod
    def load(cls, file: Path) -> ImageInspection:
        """Read what `save` wrote; no code in the file runs."""
        with np.load(file, allow_pickle=False) as stored:
            facts = json.loads(str(stored["facts"]))
            layers = tuple(facts["layers"])
            activations = tuple(stored[f"layer_{index}"].astype(np.float32) for index in range(len(layers)))
            arrays = {name: stored[name] for name in _ARRAYS}
        return cls(**arrays, filters_in_all=facts["filters_in_all"], layers=layers, activations=activations)


def inspect_images(model: Model, x: Any, y: Array, predictions: Array, *, classes: int) -> ImageInspection | None:
    """Inspect a net on some held-out images.

    Args:
        model: a fitted model.
        x: (rows, height, width[, channels]) held-out images; only the chosen ones are read.
        y: (rows,) their true classes or values.
        predictions: (rows,) or (rows, classes), the model's predictions for them.
        classes: the number of classes; 0 for a regression.

    Returns:
        None for a model without a convolutional net.
    """
    nets = list(architecture.find_nets(model).values())
    if not nets or not _takes_images(nets[0], x):
        return None
    from workbench.models.nn import data_loader

    predicted, probability = _read_predictions(predictions, classes)
    rows = choose_rows(y, predicted, probability)
    # Rows on disk are read in ascending order.
    images = data_loader.to_numpy(x[np.sort(rows)])[np.argsort(np.argsort(rows))]
    maps = activation_maps.find_maps(activation_maps.record_outputs(nets, images[:1]))
    if not maps:
        return None
    no_heat = np.zeros((0, 0, 0), np.float32)
    filters = _extract_filters(maps[0].layer)
    first_filters = filters[:_FILTERS]
    shown_maps = _choose_maps(maps)
    return ImageInspection(
        images=_shrink_images(images),
        heat=activation_maps.compute_grad_cam(nets, images, predicted[rows]) if classes else no_heat,
        truth=y[rows],
        predicted=predicted[rows],
        probability=probability[rows],
        filters=first_filters / (np.abs(first_filters).max() or 1),
        filters_in_all=len(filters),
        layers=tuple(f"{each.layer.name}, {'×'.join(map(str, each.value.shape[1:3]))}" for each in shown_maps),
        activations=tuple(_choose_channels(np.asarray(each.value)[0]) for each in shown_maps),
    )


def choose_rows(y: Array, predicted: Array, probability: Array, count: int = _IMAGES) -> Array:
    """Return the rows to show: the most confident correct predictions, then the most confident errors.

    Up to half of the rows are errors; correct rows cover as many classes as possible. For a regression, the first half
    has the smallest errors, the second half the largest.

    Args:
        y: (rows,) true classes or values.
        predicted: (rows,) predicted classes or values.
        probability: (rows,) of the predicted class; NaN for a regression.
        count: the most rows.
    """
    if np.isnan(probability).all():
        by_error = np.argsort(np.abs(y - predicted), kind="stable")
        half = min(count, len(by_error) + 1) // 2
        return np.concatenate([by_error[:half], by_error[half:][::-1][: count - half]])
    by_confidence = np.argsort(-probability, kind="stable")
    is_correct = (y == predicted)[by_confidence]
    correct, errors = by_confidence[is_correct], by_confidence[~is_correct]
    # The most confident row of each class comes first.
    best_of_class = np.unique(predicted[correct], return_index=True)[1]
    correct = np.concatenate([correct[np.sort(best_of_class)], np.delete(correct, best_of_class)])
    errors = errors[: max(count // 2, count - len(correct))]
    return np.concatenate([correct[: count - len(errors)], errors])


def _takes_images(net: Any, x: Any) -> bool:
    """Return whether a net takes the images as they are; a subclassed net, whose inputs are unknown, counts as one."""
    inputs = getattr(net, "inputs", None)
    return inputs is None or (len(inputs) == 1 and len(inputs[0].shape) == len(x.shape) > 2)


def _read_predictions(predictions: Array, classes: int) -> tuple[Array, Array]:
    """Return the predicted class of each row and its probability; for a regression the values and NaN."""
    if not classes:
        return predictions, np.full(len(predictions), np.nan)
    if predictions.ndim == 1:
        predicted = (predictions >= 0.5).astype(int)
        return predicted, np.where(predicted == 1, predictions, 1 - predictions)
    return predictions.argmax(axis=1), predictions.max(axis=1)


def _choose_maps(maps: Sequence[LayerOutput]) -> list[LayerOutput]:
    """Return a few maps, evenly spaced over the layers: outputs of activation layers, or all if these are too few."""
    import keras

    kinds = (keras.layers.Activation, keras.layers.ReLU, keras.layers.LeakyReLU, keras.layers.ELU, keras.layers.PReLU)
    activated = [each for each in maps if isinstance(each.layer, kinds)]
    candidates = activated if len(activated) >= _LAYERS else list(maps)
    indices = np.linspace(0, len(candidates) - 1, _LAYERS).round().astype(int)
    return [candidates[index] for index in sorted(set(indices))]


def _shrink_images(images: Array) -> Array:
    """Return images as small bytes, (images, height, width, 1 or 3); floats are scaled from black to white."""
    values = images.reshape(*images.shape[:3], -1).astype(np.float32)
    if values.shape[3] not in (1, 3):
        values = values.mean(axis=3, keepdims=True)
    if images.dtype != np.uint8:
        low, high = values.min(), values.max()
        values = (values - low) * (255 / (high - low or 1))
    return np.asarray(_average_blocks(values, _IMAGE_SIDE).round().clip(0, 255), dtype=np.uint8)


def _average_blocks(values: Array, side: int) -> Array:
    """Average (images, height, width, channels) over blocks down to about a side; incomplete edge blocks are cut."""
    step = -(-max(values.shape[1:3]) // side)
    rows, columns = (max(1, length // step) for length in values.shape[1:3])
    block_height, block_width = min(step, values.shape[1]), min(step, values.shape[2])
    cut = values[:, : rows * block_height, : columns * block_width]
    return np.asarray(cut.reshape(len(cut), rows, block_height, columns, block_width, -1).mean(axis=(2, 4)))


def _extract_filters(layer: Any) -> Array:
    """Return the filters of a convolution, (filters, height, width, 1 or 3)."""
    kernel = getattr(layer, "depthwise_kernel", None)
    kernel = layer.kernel if kernel is None else kernel
    values = np.moveaxis(np.asarray(kernel, dtype=np.float32), 3, 0)
    if hasattr(layer, "depthwise_kernel"):
        # Each input channel has filters of its own.
        values = np.moveaxis(values, 3, 1).reshape(-1, *values.shape[1:3], 1)
    elif values.shape[3] != 3:
        values = values.mean(axis=3, keepdims=True)
    return values


def _choose_channels(values: Array) -> Array:
    """Return the channels of a map (rows, columns, channels) that vary most, each scaled from 0 to 1."""
    most_varied = np.argsort(-values.std(axis=(0, 1)), kind="stable")[:_CHANNELS]
    channels = np.moveaxis(values[..., np.sort(most_varied)], 2, 0)[..., None].astype(np.float32)
    small = _average_blocks(channels, _MAP_SIDE)[..., 0]
    low, high = (edge(small, axis=(1, 2), keepdims=True) for edge in (np.min, np.max))
    return np.asarray((small - low) / np.where(high > low, high - low, 1))
