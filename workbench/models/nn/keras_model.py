"""A fitted Keras net with its preprocessor and the scaling of its targets."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

from workbench import features
from workbench.array import Array
from workbench.models.nn import data_loader, epoch_weights, heads
from workbench.models.nn.epoch_weights import EpochWeights, WeightHistory
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
    weights: Sequence[Array] | None = field(default=None, repr=False, compare=False)
    """The weights that the net is given before each use, if models of other stages share it; None: those that it
    has."""

    @property
    def nets(self) -> dict[str, Any]:
        """The nets that rows pass through, in order."""
        extractor = {"features": self.preprocessor.net} if isinstance(self.preprocessor, FeatureExtractor) else {}
        return {**extractor, "net": self._restore_net()}

    def predict(self, x: Inputs) -> Array:
        """Return probabilities, (rows,) of class 1 or (rows, classes), or values (rows,); see `protocol.Model`."""
        inputs = transform_inputs(self.preprocessor, x)
        batch_size, net = data_loader.choose_prediction_batch_size(inputs), self._restore_net()
        if data_loader.fits_in_memory(inputs):
            outputs = net.predict(inputs, batch_size=batch_size, verbose=0)
        else:
            outputs = net.predict(data_loader.Batches(inputs, batch_size=batch_size), verbose=0)
        return heads.decode_outputs(np.asarray(outputs, dtype=np.float64), self.shift, self.scale, self.output_bounds)

    def save(self, folder: Path) -> None:
        """Write `net.keras`, `network.json` and the preprocessor's files."""
        self._restore_net().save(folder / "net.keras")
        if isinstance(self.preprocessor, _SELF_SAVING):
            self.preprocessor.save(folder)
        elif self.preprocessor is not None:
            features.save(self.preprocessor, folder / _SKLEARN_FILE)
        document = {"shift": self.shift, "scale": self.scale, "spans": self.output_bounds}
        (folder / "network.json").write_text(json.dumps(document))

    def _restore_net(self) -> Any:
        """Return the net with the weights of this model."""
        if self.weights is not None:
            self.net.set_weights(self.weights)
        return self.net


@dataclass(frozen=True)
class StagedKerasModel(KerasModel):
    """A Keras model that also holds its net's weights after other epochs; implements `protocol.StagedModel`.

    The models that `truncate` returns share the net with it and with each other.
    """

    stages: EpochWeights = field(default_factory=EpochWeights, repr=False, compare=False)

    @property
    def length(self) -> int:
        """The number of epochs after which it predicts: the one with the lowest validation loss."""
        return self.stages.best

    def predict_stages(self, x: Inputs, lengths: Sequence[int]) -> list[np.ndarray]:
        """Return the predictions after several numbers of epochs; the same weights predict once."""
        kept: dict[int, np.ndarray] = {}
        nearest = [self.stages.find_nearest(length) for length in lengths]
        for epoch in nearest:
            if epoch not in kept:
                kept[epoch] = self.truncate(epoch).predict(x)
        return [kept[epoch] for epoch in nearest]

    def truncate(self, length: int) -> KerasModel:
        """Return the model after a number of epochs, or after the nearest number whose weights were kept."""
        weights = self.stages.weights[self.stages.find_nearest(length)]
        return KerasModel(self.preprocessor, self.net, self.shift, self.scale, self.output_bounds, weights)

    def prepend(self, earlier: KerasModel, epochs: int) -> StagedKerasModel:
        """Return the model with the stages of an earlier training of the same net before its own.

        Args:
            earlier: the model that the net was before; without stages it adds none.
            epochs: the number of epochs that it was trained for.
        """
        stages = EpochWeights()
        if isinstance(earlier, StagedKerasModel):
            stages.append(earlier.stages, 0)
        stages.append(self.stages, epochs)
        return _with_stages(self, stages)

    def save(self, folder: Path) -> None:
        """Write the files of every Keras model, and `stages.npz`."""
        super().save(folder)
        self.stages.save(folder)


def add_stages(model: KerasModel, history: WeightHistory | None) -> KerasModel:
    """Return a model that also holds the weights of its training's epochs, if they are known."""
    stages = None if history is None else history.collect_for(model.net)
    return model if stages is None else _with_stages(model, stages)


def _with_stages(model: KerasModel, stages: EpochWeights) -> StagedKerasModel:
    best = stages.weights[stages.best]
    fields = (model.preprocessor, model.net, model.shift, model.scale, model.output_bounds)
    return StagedKerasModel(*fields, best, stages)


def load(folder: Path, layers: Mapping[str, Any] | None = None) -> KerasModel:
    """Read what a Keras model's `save` wrote, with the stages of its training if it has any; no code in it runs.

    Args:
        folder: the folder that `save` wrote to.
        layers: layer classes that are not part of Keras, by name.
    """
    skip_graph_optimization()
    net = keras.saving.load_model(folder / "net.keras", layers, compile=False, safe_mode=True)
    document = json.loads((folder / "network.json").read_text())
    # Folders of the first versions have no bounds.
    bounds = tuple((start, stop) for start, stop in document.get("spans", ()))
    model = KerasModel(_load_preprocessor(folder), net, document["shift"], document["scale"], bounds)
    return _with_stages(model, EpochWeights.load(folder)) if (folder / epoch_weights.FILE).exists() else model


def skip_graph_optimization() -> None:
    """Make TensorFlow run graphs as they were traced, where there is no GPU.

    Its optimiser rewrites the graph of every new net and of every epoch's data. That takes 2 to 4 s a net, and on CPUs
    the epochs are as fast without it (measured for dense, convolutional and recurrent nets).
    """
    if keras.backend.backend() != "tensorflow":
        return
    import tensorflow

    if not tensorflow.config.list_physical_devices("GPU"):
        tensorflow.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})


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
