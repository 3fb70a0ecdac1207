"""The backbones that `training.pretrained` may name, and the checks of that section of a study file.

Nothing here imports Keras, so that a bad study file is refused at once.
"""

from __future__ import annotations

import os
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from workbench.config import PretrainedConfig
from workbench.errors import FamilyError, suggest_word

SEARCHED = ("MobileNetV2", "EfficientNetB0", "DenseNet121", "ResNet50V2", "Xception")
"""The architectures to search if the study file names no backbone."""
_OTHERS = (
    *("ConvNeXtTiny", "ConvNeXtSmall", "ConvNeXtBase", "ConvNeXtLarge", "ConvNeXtXLarge"),
    *("DenseNet169", "DenseNet201", "InceptionResNetV2", "InceptionV3"),
    *(f"EfficientNetB{size}" for size in range(1, 8)),
    *(f"EfficientNetV2{size}" for size in ("B0", "B1", "B2", "B3", "S", "M", "L")),
    *("MobileNet", "MobileNetV3Large", "MobileNetV3Small", "NASNetLarge", "NASNetMobile"),
    *("ResNet50", "ResNet101", "ResNet152", "ResNet101V2", "ResNet152V2", "VGG16", "VGG19"),
)
ARCHITECTURES = (*SEARCHED, *_OTHERS)
"""The architectures of keras.applications."""
_WEIGHT_SUFFIXES = (".weights.h5", ".h5", ".keras")
_DOWNLOAD_URL = "https://storage.googleapis.com/tensorflow/keras-applications/"


def check_configured(config: PretrainedConfig) -> None:
    """Check that the study file names a backbone or weights.

    Raises:
        FamilyError: it names neither.
    """
    if config.base is None and config.weights is None:
        raise FamilyError(
            "must say what the family 'pretrained' starts from. Received: nothing. "
            "Write base: file.keras, or base: MobileNetV2 and weights: file, folder, imagenet or none."
        )


def check_base(config: PretrainedConfig, resolve: Callable[[str], Path]) -> None:
    """Check that the backbone exists.

    Raises:
        FamilyError: it is neither an architecture nor an existing file.
    """
    name = config.base
    if name is None or name in ARCHITECTURES:
        return
    if not name.endswith(".keras"):
        hint = suggest_word(name, ARCHITECTURES)
        raise FamilyError(f"must be an architecture of keras.applications or a file.keras. Received: {name!r}.{hint}")
    _require_path(name, resolve)


def check_weights(config: PretrainedConfig, resolve: Callable[[str], Path]) -> None:
    """Check that the weights exist and that their architecture is known.

    Raises:
        FamilyError: they do not exist, or no architecture is given for them.
    """
    name = config.weights
    if config.base is not None and config.base.endswith(".keras"):
        if name is not None:
            raise FamilyError(f"must be left out: a model of your own brings its weights. Received: {name!r}.")
        return
    if name is None and config.base is not None:
        raise FamilyError("must be a file, a folder, imagenet or none. Received: nothing. Say where they are.")
    if name in (None, "imagenet", "none"):
        return
    path = _require_path(str(name), resolve)
    if path.is_dir():
        _check_weights_folder(config, path)
    elif not path.name.endswith(_WEIGHT_SUFFIXES):
        raise FamilyError(f"must be a file that ends with {', '.join(_WEIGHT_SUFFIXES)}. Received: {name!r}.")
    elif config.base is None:
        raise FamilyError(f"must go with a base: whose are they? Received: {name!r}. Set training.pretrained.base.")


def check_reachable(config: PretrainedConfig) -> None:
    """Check that Keras has downloaded the weights, or can download them.

    Raises:
        FamilyError: the weights are not here, and the server cannot be reached.
    """
    if config.weights != "imagenet" or _is_downloaded(config.base):
        return
    try:
        # A new opener reads the environment's proxies as they are now.
        opener = urllib.request.build_opener()
        opener.open(urllib.request.Request(_DOWNLOAD_URL, method="HEAD"), timeout=10).close()
    except urllib.error.HTTPError:
        # The server answered; the folder itself is no file.
        return
    except OSError as error:
        raise FamilyError(describe_unreachable(getattr(error, "reason", error))) from error


def resolve_paths(config: PretrainedConfig, resolve: Callable[[str], Path]) -> PretrainedConfig:
    """Return the section with absolute paths."""
    update = {}
    if config.base is not None and config.base.endswith(".keras"):
        update["base"] = str(resolve(config.base))
    if config.weights not in (None, "imagenet", "none"):
        update["weights"] = str(resolve(str(config.weights)))
    return config.model_copy(update=update)


def find_weights(folder: Path, name: str) -> Path | None:
    """Return the file with an architecture's weights in a folder; None if there is none."""
    return next((file for suffix in _WEIGHT_SUFFIXES if (file := folder / f"{name}{suffix}").exists()), None)


def describe_unreachable(received: object) -> str:
    """Return the message for weights that Keras cannot download."""
    return (
        "must be within reach for Keras to fetch weights. "
        f"Received: {received}. Set training.pretrained.weights to a file or a folder."
    )


def _require_path(name: str, resolve: Callable[[str], Path]) -> Path:
    path = resolve(name)
    if not path.exists():
        raise FamilyError(f"must name a file that is there. Received: {name!r} ({path}).")
    return path


def _check_weights_folder(config: PretrainedConfig, folder: Path) -> None:
    names = ARCHITECTURES if config.base is None else (config.base,)
    if not any(find_weights(folder, name) for name in names):
        example = f"{names[0]}{_WEIGHT_SUFFIXES[0]}"
        raise FamilyError(f"must be a folder with a file such as {example}. Received: {config.weights!r}.")


def _is_downloaded(name: str | None) -> bool:
    """Return whether Keras has downloaded an architecture's weights before."""
    home = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras")) / "models"
    stems = [file.name.lower().replace("_", "") for file in home.glob("*")]
    return name is not None and any(stem.startswith(name.lower()) and "notop" in stem for stem in stems)
