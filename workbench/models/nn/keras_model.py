"""A fitted Keras net with its preprocessor and the scaling of its targets."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from workbench import features
from workbench.array import Array
from workbench.models.nn import data_loader, heads
from workbench.models.nn.feature_extractor import FeatureExtractor
from workbench.models.protocol import Inputs

# Preprocessors that save themselves, each with a file that only it writes. Every other preprocessor is a scikit-learn
# object in `view.skops`. The wide-and-deep preprocessor comes last: other preprocessors write .skops files, too.
_SKLEARN_FILE = "view.skops"
_PREPROCESSORS: dict[type[Any], str] = {
    features.TextVectorizer: "tokens.json",
    features.MultiInputEncoder: "branches.json",
    features.SequenceScaler: "steps.json",
    FeatureExtractor: "extraction.keras",
    features.WideAndDeepEncoder: "*.skops",
}
_SELF_SAVING: Any = tuple(_PREPROCESSORS)


@dataclass(frozen=True)
class KerasModel:
    """A fitted preprocessor and a trained net; implements `protocol.Model`."""

    preprocessor: Any | None
    """None: the net takes the rows unchanged."""
    net: Any
    shift: float | list[float]
    scale: float | list[float]
    """A regression net predicts standard scores: value = shift + scale · output. A list has one number for each output
    of several targets."""
    output_bounds: tuple[tuple[int, int], ...] = ()
    """The first and the last column (exclusive) of each of several targets in the output; empty for one target."""

    @property
    def nets(self) -> dict[str, Any]:
        """The nets that rows pass through, in order."""
        extractor = {"features": self.preprocessor.net} if isinstance(self.preprocessor, FeatureExtractor) else {}
        return {**extractor, "net": self.net}

    def predict(self, x: Inputs) -> Array:
        """Return probabilities, (rows,) of class 1 or (rows, classes), or values (rows,); see `protocol.Model`."""
        inputs = transform_inputs(self.preprocessor, x)
        batch_size = data_loader.choose_prediction_batch_size(inputs)
        if data_loader.fits_in_memory(inputs):
            outputs = self.net.predict(inputs, batch_size=batch_size, verbose=0)
        else:
            outputs = self.net.predict(data_loader.Batches(inputs, batch_size=batch_size), verbose=0)
        return heads.decode_outputs(np.asarray(outputs, dtype=np.float64), self.shift, self.scale, self.output_bounds)

    def save(self, folder: Path) -> None:
        """Write `net.keras`, `network.json` and the preprocessor's files."""
        self.net.save(folder / "net.keras")
        if isinstance(self.preprocessor, _SELF_SAVING):
            self.preprocessor.save(folder)
        elif self.preprocessor is not None:
            features.save(self.preprocessor, folder / _SKLEARN_FILE)
        document = {"shift": self.shift, "scale": self.scale, "spans": self.output_bounds}
        (folder / "network.json").write_text(json.dumps(document))


def load(folder: Path, layers: Mapping[str, Any] | None = None) -> KerasModel:
    """Read what `KerasModel.save` wrote; no code in the files runs.

    Args:
        folder: the folder that `save` wrote to.
        layers: layer classes that are not part of Keras, by name.
    """
    net = keras.saving.load_model(folder / "net.keras", layers, compile=False, safe_mode=True)
    document = json.loads((folder / "network.json").read_text())
    # Folders of the first versions have no bounds.
    bounds = tuple((start, stop) for start, stop in document.get("spans", ()))
    return KerasModel(_load_preprocessor(folder), net, document["shift"], document["scale"], bounds)


def transform_inputs(preprocessor: Any | None, x: Inputs) -> Any:
    """Return the net's inputs: one array, or a list of arrays; a large array stays on disk."""
    if isinstance(preprocessor, features.MultiInputEncoder):
        parts = preprocessor.transform(x)
        return [data_loader.to_numpy(part) if data_loader.fits_in_memory(part) else part for part in parts]
    if preprocessor is not None and not isinstance(preprocessor, features.SequenceScaler):
        return preprocessor.transform(x)
    inputs = x if preprocessor is None else data_loader.ScaledSequences(preprocessor, x)
    return data_loader.to_numpy(inputs) if data_loader.fits_in_memory(inputs) else inputs


def _load_preprocessor(folder: Path) -> Any | None:
    if (folder / _SKLEARN_FILE).exists():
        return features.load(folder / _SKLEARN_FILE)
    kind = next((kind for kind, pattern in _PREPROCESSORS.items() if any(folder.glob(pattern))), None)
    return None if kind is None else kind.load(folder)
