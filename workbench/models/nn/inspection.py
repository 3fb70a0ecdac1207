"""What a net of images looks at: heat maps of Grad-CAM, filters of the first layer, what layers make of an image.

Grad-CAM (Selvaraju et al., 2017): the maps of the last layer that still has places are added up, each weighted by how
much the class's score rises with it on average; what is left above 0 is where the net saw the class. The score is the
one before the last activation, since the probability of a sure class does not change any more. The pictures of filters
and activations are those of Chollet (2021, chapter 9.4).

Whoever reads what was seen needs no Keras.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from workbench.models.nn import architecture
from workbench.models.protocol import Model

FILE = "looking.npz"
"""The file that `ImageInspection.save` makes."""

# So many images are shown: half of them right ones, if there are as many wrong ones.
_IMAGES = 6
_FILTERS = 24
_LAYERS = 4
_CHANNELS = 8
# Pictures, and what layers make of them, are averaged down to about these sides, in pixels.
_SIDE = 56
_MAP_SIDE = 32


@dataclass(frozen=True, eq=False)
class ImageInspection:
    """What a net of images looks at: some images that it had not seen, and what is in it."""

    images: np.ndarray
    """(images, height, width, 1 or 3) bytes."""
    heat: np.ndarray
    """(images, rows, columns) float32 from 0 to 1: what spoke for the predicted class, and where; 1 at its strongest.
    (0, 0, 0) where values are predicted."""
    truth: np.ndarray
    """(images,) class numbers, or values."""
    predicted: np.ndarray
    """(images,) class numbers, or values."""
    probability: np.ndarray
    """(images,) of the predicted class; NaN where values are predicted."""
    filters: np.ndarray
    """(filters, height, width, 1 or 3) float32 of the first layer, from -1 to 1."""
    filters_in_all: int
    """How many the layer has."""
    layers: tuple[str, ...]
    """The layers of `activations`, in their order, each with the size of its map, as in `activation_2, 12×12`."""
    activations: tuple[np.ndarray, ...]
    """(channels, rows, columns) float32 from 0 to 1 of each layer for the first image: those that vary most."""

    def save(self, file: Path) -> None:
        """Write an .npz file."""
        facts = {"filters_in_all": self.filters_in_all, "layers": self.layers}
        plain: dict[str, Any] = {name: getattr(self, name) for name in _PLAIN}
        plain |= {f"layer_{place}": each.astype(np.float16) for place, each in enumerate(self.activations)}
        buffer = io.BytesIO()
        np.savez_compressed(buffer, facts=np.array(json.dumps(facts)), **plain)
        file.write_bytes(buffer.getbuffer())

    @classmethod
    def load(cls, file: Path) -> ImageInspection:
        """Read what `save` wrote; nothing in the file is executed, and Keras is not needed."""
        with np.load(file, allow_pickle=False) as arrays:
            facts = json.loads(str(arrays["facts"]))
            layers = tuple(facts["layers"])
            found = tuple(arrays[f"layer_{place}"].astype(np.float32) for place in range(len(layers)))
            plain = {name: arrays[name] for name in _PLAIN}
        return cls(**plain, filters_in_all=facts["filters_in_all"], layers=layers, activations=found)


_PLAIN = ("images", "heat", "truth", "predicted", "probability", "filters")


def inspect_images(
    model: Model, x: Any, y: np.ndarray, predictions: np.ndarray, *, classes: int
) -> ImageInspection | None:
    """Look at some images through a net, and into it.

    Args:
        model: a fitted model.
        x: (rows, height, width[, channels]) images that it has not learnt from; read are those that are chosen.
        y: (rows,) their true class numbers, or values.
        predictions: (rows,) or (rows, classes), the model's for these rows.
        classes: the number of classes; 0 for a regression.

    Returns:
        None for a model without a net of convolutions.
    """
    nets = list(architecture.nets(model).values())
    if not nets or not _fits(nets[0], x):
        return None
    from workbench.models.nn import data_loader

    predicted, probability = _taken(predictions, classes)
    rows = choose_rows(y, predicted, probability)
    shown = data_loader.to_numpy(x[np.sort(rows)])[np.argsort(np.argsort(rows))]
    maps = _maps(_made(nets, shown[:1]))
    if not maps:
        return None
    heat = grad_cam(nets, shown, predicted[rows]) if classes else np.zeros((0, 0, 0), np.float32)
    filters = _filters(maps[0].layer)
    first = filters[:_FILTERS]
    active = _active(maps)
    some = [active[place] for place in sorted(set(np.linspace(0, len(active) - 1, _LAYERS).round().astype(int)))]
    return ImageInspection(
        _pictures(shown), heat, y[rows], predicted[rows], probability[rows],
        first / (np.abs(first).max() or 1), len(filters),
        tuple(f"{each.layer.name}, {'×'.join(map(str, each.value.shape[1:3]))}" for each in some),
        tuple(_channels(np.asarray(each.value)[0]) for each in some),
    )  # fmt: skip


def choose_rows(y: np.ndarray, predicted: np.ndarray, probability: np.ndarray, most: int = _IMAGES) -> np.ndarray:
    """Return the rows to show: the surest right ones, each of another class as far as there are, then wrong ones.

    Half of them are wrong, or as many as are. Where values are predicted, the first half are those that are least off,
    the others those that are most.

    Args:
        y: (rows,) true class numbers, or values.
        predicted: (rows,) the like.
        probability: (rows,) of the predicted class; NaN where values are predicted.
        most: the most rows.
    """
    if np.isnan(probability).all():
        order = np.argsort(np.abs(y - predicted), kind="stable")
        half = min(most, len(order) + 1) // 2
        return np.concatenate([order[:half], order[half:][::-1][: most - half]])
    sure = np.argsort(-probability, kind="stable")
    right, wrong = sure[(y == predicted)[sure]], sure[(y != predicted)[sure]]
    first = np.unique(predicted[right], return_index=True)[1]
    apart = np.concatenate([right[np.sort(first)], np.delete(right, first)])
    wrong = wrong[: max(most // 2, most - len(right))]
    return np.concatenate([apart[: most - len(wrong)], wrong])


def grad_cam(nets: Sequence[Any], images: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Return where the nets, one after another, see the classes in the images: (images, rows, columns) from 0 to 1.

    Args:
        nets: from images to (rows, values) to probabilities.
        images: as the first net takes them.
        classes: (images,) the class to look for in each.
    """
    import tensorflow as tf

    made = _made(nets, images[:1])
    found = _maps(made)
    if not found:
        return np.zeros((0, 0, 0), np.float32)
    # Of what comes before the map nothing is kept, or a large base would fill the memory.
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        kept: list[Any] = []

        def keep(_: Any, value: Any) -> None:
            tape.watch(value)
            kept.append(value)

        with _hooked([found[-1].layer], keep), _without_activation(made):
            outputs = _through(nets, images)
        score = _score(outputs, classes)
    # A layer may be used more than once: the last time counts, as in `_maps`.
    slopes = tape.gradient(score, kept[-1])
    weights = np.asarray(slopes).mean(axis=(1, 2), keepdims=True)
    heat = np.maximum((weights * np.asarray(kept[-1])).sum(axis=3), 0)
    strongest = heat.max(axis=(1, 2), keepdims=True)
    return np.asarray(heat / np.where(strongest > 0, strongest, 1), dtype=np.float32)


@dataclass(frozen=True)
class _Map:
    """What a layer made of images; mostly (images, rows, columns, channels)."""

    layer: Any
    value: Any


def _made(nets: Sequence[Any], images: np.ndarray) -> list[_Map]:
    """Return what all layers make of images, in the order in which it comes about."""
    made: list[_Map] = []
    with _hooked(leaf_layers(nets), lambda layer, value: made.append(_Map(layer, value))):
        _through(nets, images)
    return made


def _maps(made: Sequence[_Map]) -> list[_Map]:
    """Return the maps from the first convolution on that have more than one place; none without convolutions."""
    import keras

    convolutions = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D, keras.layers.SeparableConv2D)
    first = next((place for place, each in enumerate(made) if isinstance(each.layer, convolutions)), len(made))
    found = [each for each in made[first:] if _places(each.value) > 1]
    return found if found and found[0] is made[first] else []


def _active(maps: Sequence[_Map]) -> list[_Map]:
    """Return the maps of layers that are there to activate; all where there are too few of them."""
    import keras

    kinds = (keras.layers.Activation, keras.layers.ReLU, keras.layers.LeakyReLU, keras.layers.ELU, keras.layers.PReLU)
    found = [each for each in maps if isinstance(each.layer, kinds)]
    return found if len(found) >= _LAYERS else list(maps)


def _places(value: Any) -> int:
    """Return how many places a map has; 0 of what is none."""
    shape = tuple(getattr(value, "shape", ()))
    return int(shape[1] * shape[2]) if len(shape) == 4 else 0


def _fits(net: Any, x: Any) -> bool:
    """Tell whether a net takes the images as they are; one that is not made of layers alone is taken to."""
    inputs = getattr(net, "inputs", None)
    return inputs is None or (len(inputs) == 1 and len(inputs[0].shape) == len(x.shape) > 2)


def _through(nets: Sequence[Any], images: np.ndarray) -> Any:
    hidden: Any = images
    for net in nets:
        hidden = net(hidden, training=False)
    return hidden


def leaf_layers(nets: Sequence[Any]) -> list[Any]:
    """Return the layers of nets, and of nets and layers in them; no net itself, and each layer once."""
    import keras

    every = (layer for net in nets for layer in net._flatten_layers(include_self=False))
    return list({id(layer): layer for layer in every if not isinstance(layer, keras.Model)}.values())


@contextmanager
def _hooked(layers: Sequence[Any], told: Callable[[Any, Any], None]) -> Iterator[None]:
    """Tell of every value that a layer gives, wherever in a net of nets it is."""

    def hook(layer: Any) -> None:
        plain = layer.call

        def call(*args: Any, **given: Any) -> Any:
            value = plain(*args, **given)
            told(layer, value)
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
def _without_activation(made: Sequence[_Map]) -> Iterator[None]:
    """Let the layer that gives the outputs give its scores as they are, in the place of probabilities."""
    import keras

    last = next((each for each in reversed(made) if getattr(each.layer, "activation", None) is not None), made[-1])
    plain = getattr(last.layer, "activation", None)
    shares = plain in (keras.activations.softmax, keras.activations.sigmoid)
    # A layer before the outputs may have such an activation as well, for other reasons.
    if not shares or last.value.shape != made[-1].value.shape:
        yield
        return
    last.layer.activation = keras.activations.linear
    try:
        yield
    finally:
        last.layer.activation = plain


def _score(outputs: Any, classes: np.ndarray) -> Any:
    """Return the sum of the images' scores of their classes; a single output is the score of class 1 against 0."""
    import keras

    if outputs.shape[1] > 1:
        signs = np.eye(outputs.shape[1], dtype=np.float32)[classes]
    else:
        signs = np.where(classes == 1, 1, -1).astype(np.float32)[:, None]
    return keras.ops.sum(outputs * signs)


def _taken(predictions: np.ndarray, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the predicted class of each row and its probability; or the values, and NaN."""
    if not classes:
        return predictions, np.full(len(predictions), np.nan)
    if predictions.ndim == 1:
        predicted = (predictions >= 0.5).astype(int)
        return predicted, np.where(predicted == 1, predictions, 1 - predictions)
    return predictions.argmax(axis=1), predictions.max(axis=1)


def _pictures(images: np.ndarray) -> np.ndarray:
    """Return images as small pictures, (images, height, width, 1 or 3) bytes; the darkest of other numbers is black."""
    values = images.reshape(*images.shape[:3], -1).astype(np.float32)
    if values.shape[3] not in (1, 3):
        values = values.mean(axis=3, keepdims=True)
    if images.dtype != np.uint8:
        low, high = values.min(), values.max()
        values = (values - low) * (255 / (high - low or 1))
    return np.asarray(_smaller(values, _SIDE).round().clip(0, 255), dtype=np.uint8)


def _smaller(values: np.ndarray, side: int) -> np.ndarray:
    """Average (images, height, width, channels) over blocks of pixels; what is left over at the edges goes."""
    step = -(-max(values.shape[1:3]) // side)
    rows, columns = (max(1, length // step) for length in values.shape[1:3])
    high, wide = min(step, values.shape[1]), min(step, values.shape[2])
    cut = values[:, : rows * high, : columns * wide]
    return np.asarray(cut.reshape(len(cut), rows, high, columns, wide, -1).mean(axis=(2, 4)))


def _filters(layer: Any) -> np.ndarray:
    """Return the filters of a layer of convolutions, (filters, height, width, 1 or 3)."""
    kernel = getattr(layer, "depthwise_kernel", None)
    kernel = layer.kernel if kernel is None else kernel
    values = np.moveaxis(np.asarray(kernel, dtype=np.float32), 3, 0)
    if hasattr(layer, "depthwise_kernel"):
        # Each channel has filters of its own.
        values = np.moveaxis(values, 3, 1).reshape(-1, *values.shape[1:3], 1)
    elif values.shape[3] != 3:
        values = values.mean(axis=3, keepdims=True)
    return values


def _channels(values: np.ndarray) -> np.ndarray:
    """Return the channels of a map (rows, columns, channels) that vary most, each from 0 to 1."""
    most = np.argsort(-values.std(axis=(0, 1)), kind="stable")[:_CHANNELS]
    apart = np.moveaxis(values[..., np.sort(most)], 2, 0)[..., None].astype(np.float32)
    shown = _smaller(apart, _MAP_SIDE)[..., 0]
    low, high = (edge(shown, axis=(1, 2), keepdims=True) for edge in (np.min, np.max))
    return np.asarray((shown - low) / np.where(high > low, high - low, 1))
