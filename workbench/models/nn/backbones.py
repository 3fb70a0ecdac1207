"""What the family `pretrained` starts from: architectures of keras.applications, or a saved Keras model of one's own.

Of a model of one's own the top is cut: what follows its last layer that still has a height and a width. It is given the
values that the images have, as it was when it was trained; an architecture is given what its own preprocessing makes of
images with values up to 255. Smaller images are enlarged to what the base needs, grey ones get three equal channels.
What acts by chance while a net trains, such as dropout, is taken out of any base.

Nothing heavy is imported before a base is built, so that a study file is checked at once.
"""

from __future__ import annotations

import os
import urllib.error
import urllib.request
from collections.abc import Callable
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from workbench.config import PretrainedConfig
from workbench.errors import FamilyError, suggest_word

if TYPE_CHECKING:
    from workbench.models.nn.image_input import PixelStatistics

# The least side of an image that an architecture takes: 32, but for some.
_LEAST, _LARGER = 32, {"Xception": 71, "InceptionV3": 75, "InceptionResNetV2": 75}
_FEW = ("MobileNetV2", "EfficientNetB0", "DenseNet121", "ResNet50V2", "Xception")
_OTHERS = (
    *("ConvNeXtTiny", "ConvNeXtSmall", "ConvNeXtBase", "ConvNeXtLarge", "ConvNeXtXLarge"),
    *("DenseNet169", "DenseNet201", "InceptionResNetV2", "InceptionV3"),
    *(f"EfficientNetB{size}" for size in range(1, 8)),
    *(f"EfficientNetV2{size}" for size in ("B0", "B1", "B2", "B3", "S", "M", "L")),
    *("MobileNet", "MobileNetV3Large", "MobileNetV3Small", "NASNetLarge", "NASNetMobile"),
    *("ResNet50", "ResNet101", "ResNet152", "ResNet101V2", "ResNet152V2", "VGG16", "VGG19"),
)
ARCHITECTURES = (*_FEW, *_OTHERS)
"""The names of keras.applications; the first few are those that are searched."""
_SUFFIXES = (".weights.h5", ".h5", ".keras")
# Larger images gain nothing from being enlarged: what the architectures were trained on.
_LARGEST = 224
# Where Keras fetches weights from.
_FETCHED_FROM = "https://storage.googleapis.com/tensorflow/keras-applications/"


class Backbone(NamedTuple):
    """What was learnt from other images, on top of the images of a study."""

    model: Any
    """(height, width, channels) with values as `brightest` says -> (height, width, values)."""
    net: Any
    """The part of it that has weights, without its top."""
    brightest: float
    """The value of the brightest pixel that `model` takes."""


def check_given(asked: PretrainedConfig) -> None:
    """Refuse to start from nothing.

    Raises:
        FamilyError: the study file names neither a base nor weights.
    """
    if asked.base is None and asked.weights is None:
        raise FamilyError(
            "must say what the family 'pretrained' starts from. Received: nothing. "
            "Write base: file.keras, or base: MobileNetV2 and weights: file, folder, imagenet or none."
        )


def check_base(asked: PretrainedConfig, resolve: Callable[[str], Path]) -> None:
    """Look whether there is such a base.

    Raises:
        FamilyError: it is neither an architecture nor a file that is there.
    """
    name = asked.base
    if name is None or name in ARCHITECTURES:
        return
    if not name.endswith(".keras"):
        hint = suggest_word(name, ARCHITECTURES)
        raise FamilyError(f"must be an architecture of keras.applications or a file.keras. Received: {name!r}.{hint}")
    _there(name, resolve)


def check_weights(asked: PretrainedConfig, resolve: Callable[[str], Path]) -> None:
    """Look whether the weights are there, and whose they are.

    Raises:
        FamilyError: they are not, or it cannot be told of which base they are.
    """
    name = asked.weights
    if asked.base is not None and asked.base.endswith(".keras"):
        if name is not None:
            raise FamilyError(f"must be left out: a model of your own brings its weights. Received: {name!r}.")
        return
    if name is None and asked.base is not None:
        raise FamilyError("must be a file, a folder, imagenet or none. Received: nothing. Say where they are.")
    if name in (None, "imagenet", "none"):
        return
    path = _there(str(name), resolve)
    if path.is_dir():
        _check_folder(asked, path)
    elif not path.name.endswith(_SUFFIXES):
        raise FamilyError(f"must be a file that ends with {', '.join(_SUFFIXES)}. Received: {name!r}.")
    elif asked.base is None:
        raise FamilyError(f"must go with a base: whose are they? Received: {name!r}. Set training.pretrained.base.")


def check_reachable(asked: PretrainedConfig) -> None:
    """Refuse weights that Keras would have to fetch where it cannot.

    Raises:
        FamilyError: neither are they here nor does the network lead there.
    """
    if asked.weights != "imagenet" or _fetched(asked.base):
        return
    try:
        # A new opener heeds the environment's proxies as they are now.
        opener = urllib.request.build_opener()
        opener.open(urllib.request.Request(_FETCHED_FROM, method="HEAD"), timeout=10).close()
    except urllib.error.HTTPError:
        # It answered; that the folder itself is no file does not matter.
        return
    except OSError as error:
        raise FamilyError(_unreachable(getattr(error, "reason", error))) from error


def resolve_paths(asked: PretrainedConfig, resolve: Callable[[str], Path]) -> PretrainedConfig:
    """Return `asked` with absolute paths."""
    found = {}
    if asked.base is not None and asked.base.endswith(".keras"):
        found["base"] = str(resolve(asked.base))
    if asked.weights not in (None, "imagenet", "none"):
        found["weights"] = str(resolve(str(asked.weights)))
    return asked.model_copy(update=found)


def search_backbone(hp: Any, asked: PretrainedConfig, known: PixelStatistics, *, cut: float) -> Backbone:
    """Return the base that is asked for, or one of a few.

    Args:
        hp: the search space.
        asked: what the study file says.
        known: what is known of the images.
        cut: the default of the share of the base's layers that is used, counted from the images on.

    Raises:
        FamilyError: a file does not hold the base, or weights cannot be fetched.
    """
    import keras

    name = asked.base
    if name is None:
        few = _offered(asked, known)
        name = hp.Choice("base", few, default=few[0])
    cut = hp.Choice("cut", [0.5, 0.75, 1.0], default=cut)
    height, width, own = *known.shape[:2], name.endswith(".keras")
    if own:
        net = _cut(_loaded(Path(name)), cut)
        height, width = (asks or has for asks, has in zip(net.input_shape[1:3], (height, width), strict=True))
    else:
        height, width = _enlarged(hp, name, height, width)
        net = _cut(_architecture(name, (height, width, 3), asked), cut)
    start = keras.Input((*known.shape[:2], known.channels))
    hidden = start
    if (height, width) != known.shape[:2]:
        hidden = keras.layers.Resizing(height, width)(hidden)
    hidden = _coloured(hidden, net.input_shape[3] if len(net.input_shape) == 4 else 1)
    hidden = _raw(hidden, net) if own else _preprocessed(name, hidden)
    model = keras.Model(start, net(hidden), name="base")
    return Backbone(model, net, known.brightest if own else 255.0)


def _there(name: str, resolve: Callable[[str], Path]) -> Path:
    path = resolve(name)
    if not path.exists():
        raise FamilyError(f"must name a file that is there. Received: {name!r} ({path}).")
    return path


def _check_folder(asked: PretrainedConfig, folder: Path) -> None:
    wanted = ARCHITECTURES if asked.base is None else (asked.base,)
    if not any(_in_folder(folder, name) for name in wanted):
        example = f"{wanted[0]}{_SUFFIXES[0]}"
        raise FamilyError(f"must be a folder with a file such as {example}. Received: {asked.weights!r}.")


def _in_folder(folder: Path, name: str) -> Path | None:
    return next((file for suffix in _SUFFIXES if (file := folder / f"{name}{suffix}").exists()), None)


def _fetched(name: str | None) -> bool:
    """Tell whether Keras has fetched an architecture's weights before."""
    home = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras")) / "models"
    stems = [file.name.lower().replace("_", "") for file in home.glob("*")]
    return name is not None and any(stem.startswith(name.lower()) and "notop" in stem for stem in stems)


def _unreachable(received: object) -> str:
    return (
        "must be within reach for Keras to fetch weights. "
        f"Received: {received}. Set training.pretrained.weights to a file or a folder."
    )


def _offered(asked: PretrainedConfig, known: PixelStatistics) -> list[str]:
    """Return a few architectures that suit the size of the images, or those whose weights there are."""
    if asked.weights is not None and Path(asked.weights).is_dir():
        return [name for name in ARCHITECTURES if _in_folder(Path(asked.weights), name)]
    return [name for name in _FEW if _LARGER.get(name, _LEAST) <= max(_LEAST, 2 * min(known.shape[:2]))]


def _enlarged(hp: Any, name: str, height: int, width: int) -> tuple[int, int]:
    """Return the size that images are brought to: at least what the architecture takes, and more if that is searched.

    An architecture halves an image five times: of 32 pixels only one would be left.
    """
    least = max(1.0, _LARGER.get(name, _LEAST) / min(height, width))
    side = least * min(height, width)
    most = max(1, min(3, int(_LARGEST / side)))
    times = hp.Int("enlarged", 1, most, default=2 if side < 64 else 1) if most > 1 else 1
    return round(height * least * times), round(width * least * times)


def _architecture(name: str, shape: tuple[int, int, int], asked: PretrainedConfig) -> Any:
    """Return an architecture of keras.applications without its top, with its weights."""
    import keras

    build, weights = getattr(keras.applications, name), asked.weights
    if weights == "imagenet":
        try:
            return build(include_top=False, weights="imagenet", input_shape=shape)
        # Keras raises nothing more particular when it cannot fetch a file.
        except Exception as error:
            raise FamilyError(_unreachable(error)) from error
    net = build(include_top=False, weights=None, input_shape=shape)
    if weights in (None, "none"):
        return net
    path = Path(str(weights))
    file = _in_folder(path, name) if path.is_dir() else path
    try:
        if file is not None and file.suffix == ".keras":
            net.set_weights(_cut(_loaded(file), 1.0).get_weights())
        else:
            net.load_weights(file)
    except (ValueError, OSError, KeyError) as error:
        reason = " ".join(str(error).split())[:200]
        raise FamilyError(f"{file}: must hold weights of {name} without its top. Received: {reason}.") from error
    return net


def _loaded(file: Path) -> Any:
    """Return a saved Keras model; nothing in the file is executed."""
    import keras

    try:
        return keras.saving.load_model(file, compile=False, safe_mode=True)
    except (ValueError, OSError, TypeError, KeyError) as error:
        reason = " ".join(str(error).split())[:200]
        raise FamilyError(f"{file}: must be a Keras model that can be loaded. Received: {reason}") from error


def _cut(net: Any, share: float) -> Any:
    """Return the first layers of a net up to one whose output has a height and a width.

    Args:
        net: a functional or sequential model of images.
        share: of all such layers.

    Raises:
        FamilyError: the net has no such layer, or more than one input.
    """
    import keras

    inputs = net.inputs or []
    shapes = {layer: getattr(layer.output, "shape", ()) for layer in net.layers}
    spatial = [layer for layer, shape in shapes.items() if len(shape) == 4]
    if len(inputs) != 1 or len(inputs[0].shape) not in (3, 4) or not any(layer.weights for layer in spatial):
        raise FamilyError(f"{net.name} must be a net of convolutions with one input, images. Received: none such.")
    first = next(place for place, layer in enumerate(spatial) if layer.weights)
    last = max(first, round(share * len(spatial)) - 1)
    return _still(keras.Model(inputs[0], spatial[last].output))


def _still(net: Any) -> Any:
    """Return a net without what acts by chance while it trains: dropout, noise, changed images.

    Frozen layers of batch normalisation stand still, but these do not; and a net within another is told that it trains
    whenever the other does, even if it was called with `training=False` (Keras 3).
    """
    import keras

    def stilled(layer: Any) -> Any:
        # What acts by chance asks whether it trains, and has no weights.
        if isinstance(layer, keras.Layer) and not layer.weights and "training" in signature(layer.call).parameters:
            return keras.layers.Identity(name=layer.name)
        return type(layer).from_config(layer.get_config())

    made = keras.models.clone_model(net, clone_function=stilled, recursive=True)
    made.set_weights(net.get_weights())
    return made


def _coloured(hidden: Any, wanted: int) -> Any:
    """Return images with as many channels as the base takes.

    Raises:
        FamilyError: they have neither one nor three, or the base takes another number.
    """
    import keras

    given = hidden.shape[-1]
    if given == wanted:
        return hidden
    if given == 1:
        return keras.layers.Concatenate()([hidden] * wanted)
    if wanted == 1:
        return keras.ops.mean(hidden, axis=-1, keepdims=True)
    raise FamilyError(
        f"training.pretrained.base must take images of {given} channels. Received: one that takes {wanted}."
    )


def _raw(hidden: Any, net: Any) -> Any:
    """Return images as a model of one's own takes them: of its rank, bytes where it takes bytes."""
    import keras

    if len(net.input_shape) == 3:
        hidden = keras.layers.Reshape(hidden.shape[1:3])(hidden)
    if net.inputs[0].dtype == "uint8":
        hidden = keras.ops.cast(keras.ops.clip(keras.ops.round(hidden), 0, 255), "uint8")
    return hidden


def _preprocessed(name: str, hidden: Any) -> Any:
    """Return images, of values up to 255, as an architecture was trained to see them."""
    import sys

    import keras

    # Each architecture's preprocessing lies beside it in its module.
    return sys.modules[getattr(keras.applications, name).__module__].preprocess_input(hidden)
