"""Pretrained image nets: architectures of keras.applications, or a saved Keras model of the user's own.

A user's model is cut after its last layer whose output has a height and a width. It receives the pixel values that it
was trained on; an architecture of keras.applications receives its own preprocessing of values up to 255. Images that
are smaller than an architecture's minimum are enlarged, and grey images are repeated in three channels. Layers that are
random during training, such as dropout, are removed.
"""

from __future__ import annotations

import sys
from inspect import signature
from pathlib import Path
from typing import Any, NamedTuple

import keras

from workbench.config import PretrainedConfig
from workbench.errors import FamilyError
from workbench.models.nn.backbone_config import ARCHITECTURES, SEARCHED, describe_unreachable, find_weights
from workbench.models.nn.image_input import ImageStatistics

# The shortest image side that an architecture takes, in pixels.
_MIN_SIDES = {"Xception": 71, "InceptionV3": 75, "InceptionResNetV2": 75}
_USUAL_MIN_SIDE = 32
# Enlarging beyond the size that the architectures were trained on gains nothing.
_TRAINED_SIDE = 224


class Backbone(NamedTuple):
    """A net that was trained on other images, with the preprocessing of a study's images before it."""

    model: Any
    """(height, width, channels) with values up to `max_value` -> (height, width, values)."""
    net: Any
    """The pretrained part of `model`, without its top."""
    max_value: float
    """The largest pixel value that `model` expects."""


def search_backbone(hp: Any, config: PretrainedConfig, statistics: ImageStatistics, *, cut: float) -> Backbone:
    """Return the backbone that the study file names, or one of a few.

    Args:
        hp: the search space.
        config: the study file's section.
        statistics: of the training images.
        cut: the default share of the backbone's layers that is used, from the input on.

    Raises:
        FamilyError: a file does not hold the backbone, or its weights cannot be downloaded.
    """
    name = config.base
    if name is None:
        candidates = _list_candidates(config, statistics)
        name = hp.Choice("base", candidates, default=candidates[0])
    cut = hp.Choice("cut", [0.5, 0.75, 1.0], default=cut)
    image_size = statistics.shape[:2]
    height, width, custom = *image_size, name.endswith(".keras")
    if custom:
        net = _truncate(_load_model(Path(name)), cut)
        height, width = (wanted or has for wanted, has in zip(net.input_shape[1:3], (height, width), strict=True))
    else:
        height, width = _search_input_size(hp, name, height, width)
        net = _truncate(_build_architecture(name, (height, width, 3), config), cut)
    start = keras.Input((*image_size, statistics.channels))
    hidden = start
    if (height, width) != image_size:
        hidden = keras.layers.Resizing(height, width)(hidden)
    hidden = _match_channels(hidden, net.input_shape[3] if len(net.input_shape) == 4 else 1)
    hidden = _match_input(hidden, net) if custom else _preprocess(name, hidden)
    model = keras.Model(start, net(hidden), name="base")
    return Backbone(model, net, statistics.max_value if custom else 255.0)


def _list_candidates(config: PretrainedConfig, statistics: ImageStatistics) -> list[str]:
    """Return the architectures to search: those with weights in the folder, or a few that suit the image size."""
    if config.weights is not None and Path(config.weights).is_dir():
        return [name for name in ARCHITECTURES if find_weights(Path(config.weights), name)]
    # Images are enlarged to at most twice their side to reach an architecture's minimum.
    longest = max(_USUAL_MIN_SIDE, 2 * min(statistics.shape[:2]))
    return [name for name in SEARCHED if _MIN_SIDES.get(name, _USUAL_MIN_SIDE) <= longest]


def _search_input_size(hp: Any, name: str, height: int, width: int) -> tuple[int, int]:
    """Return the size to which images are enlarged: at least the architecture's minimum, and more if searched.

    An architecture halves an image five times, so that 32 pixels shrink to one.
    """
    min_factor = max(1.0, _MIN_SIDES.get(name, _USUAL_MIN_SIDE) / min(height, width))
    side = min_factor * min(height, width)
    max_factor = max(1, min(3, int(_TRAINED_SIDE / side)))
    factor = hp.Int("enlarged", 1, max_factor, default=2 if side < 64 else 1) if max_factor > 1 else 1
    return round(height * min_factor * factor), round(width * min_factor * factor)


def _build_architecture(name: str, shape: tuple[int, int, int], config: PretrainedConfig) -> Any:
    """Return an architecture of keras.applications without its top, with its weights."""
    build, weights = getattr(keras.applications, name), config.weights
    if weights == "imagenet":
        try:
            return build(include_top=False, weights="imagenet", input_shape=shape)
        # Keras raises a bare Exception if a download fails.
        except Exception as error:
            raise FamilyError(describe_unreachable(error)) from error
    net = build(include_top=False, weights=None, input_shape=shape)
    if weights in (None, "none"):
        return net
    path = Path(str(weights))
    file = find_weights(path, name) if path.is_dir() else path
    try:
        if file is not None and file.suffix == ".keras":
            net.set_weights(_truncate(_load_model(file), 1.0).get_weights())
        else:
            net.load_weights(file)
    except (ValueError, OSError, KeyError) as error:
        reason = " ".join(str(error).split())[:200]
        raise FamilyError(f"{file}: must hold weights of {name} without its top. Received: {reason}.") from error
    return net


def _load_model(file: Path) -> Any:
    """Return a saved Keras model; no code in the file runs."""
    try:
        return keras.saving.load_model(file, compile=False, safe_mode=True)
    except (ValueError, OSError, TypeError, KeyError) as error:
        reason = " ".join(str(error).split())[:200]
        raise FamilyError(f"{file}: must be a Keras model that can be loaded. Received: {reason}") from error


def _truncate(net: Any, share: float) -> Any:
    """Return the first layers of a net, up to one whose output has a height and a width.

    Args:
        net: a functional or sequential model of images.
        share: the share of the layers with such outputs that stays.

    Raises:
        FamilyError: the net has no such layer with weights, or more than one input.
    """
    inputs = net.inputs or []
    shapes = {layer: getattr(layer.output, "shape", ()) for layer in net.layers}
    spatial = [layer for layer, shape in shapes.items() if len(shape) == 4]
    if len(inputs) != 1 or len(inputs[0].shape) not in (3, 4) or not any(layer.weights for layer in spatial):
        raise FamilyError(f"{net.name} must be a net of convolutions with one input, images. Received: none such.")
    first = next(index for index, layer in enumerate(spatial) if layer.weights)
    last = max(first, round(share * len(spatial)) - 1)
    return _remove_randomness(keras.Model(inputs[0], spatial[last].output))


def _remove_randomness(net: Any) -> Any:
    """Return a net without layers that are random during training: dropout, noise, augmentation.

    Freezing does not switch them off, unlike batch normalisation. In Keras 3, a nested net runs in training mode with
    the outer net, even if it was called with `training=False`.
    """

    def clone_layer(layer: Any) -> Any:
        # A random layer has no weights, and its `call` takes `training`.
        if isinstance(layer, keras.Layer) and not layer.weights and "training" in signature(layer.call).parameters:
            return keras.layers.Identity(name=layer.name)
        return type(layer).from_config(layer.get_config())

    clone = keras.models.clone_model(net, clone_function=clone_layer, recursive=True)
    clone.set_weights(net.get_weights())
    return clone


def _match_channels(hidden: Any, channels: int) -> Any:
    """Return images with as many channels as the backbone takes.

    Raises:
        FamilyError: neither the images nor the backbone have one channel, and their numbers differ.
    """
    given = hidden.shape[-1]
    if given == channels:
        return hidden
    if given == 1:
        return keras.layers.Concatenate()([hidden] * channels)
    if channels == 1:
        return keras.ops.mean(hidden, axis=-1, keepdims=True)
    raise FamilyError(
        f"training.pretrained.base must take images of {given} channels. Received: one that takes {channels}."
    )


def _match_input(hidden: Any, net: Any) -> Any:
    """Return images with the rank and the type of a user's model: bytes if it takes bytes."""
    if len(net.input_shape) == 3:
        hidden = keras.layers.Reshape(hidden.shape[1:3])(hidden)
    if net.inputs[0].dtype == "uint8":
        hidden = keras.ops.cast(keras.ops.clip(keras.ops.round(hidden), 0, 255), "uint8")
    return hidden


def _preprocess(name: str, hidden: Any) -> Any:
    """Apply an architecture's own preprocessing to images with values up to 255."""
    # `preprocess_input` is in the module that defines the architecture.
    return sys.modules[getattr(keras.applications, name).__module__].preprocess_input(hidden)
