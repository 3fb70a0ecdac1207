"""A denoising autoencoder for tables, whose hidden activations are features for other models.

After Vincent et al. (2008), with the swap noise of the winning solution to Porto Seguro's Safe Driver Prediction
(Jahrer, 2017): some values of a row are replaced by those of other rows, and the net learns to restore them from the
dependence between columns. It needs no labels, so it also learns from the features of validation and test rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd

from workbench import features
from workbench.array import Array
from workbench.models.nn import keras_model, training
from workbench.models.nn.optimizer import fade
from workbench.models.nn.time_limit import TimeLimit
from workbench.models.protocol import Deadline, FitContext, Inputs, Model, Problem, Rows, StagedModel

_BATCH_SIZE = 256
# The share of the time until a deadline that the autoencoder may take; the rest is for the head.
_ENCODER_SHARE = 0.5


@dataclass(frozen=True)
class DenoisingEncoder:
    """The encoder of a trained autoencoder: a table -> the activations of all hidden layers, side by side."""

    preprocessor: Any
    net: Any

    def transform(self, x: Inputs) -> Array:
        """Return the activations, (rows, layers · units) float32."""
        inputs = self.preprocessor.transform(x)
        return np.asarray(self.net.predict(inputs, batch_size=4096, verbose=0), dtype=np.float32)

    def save(self, folder: Path) -> None:
        """Write `encoder.skops` and `encoder.keras`."""
        features.save(self.preprocessor, folder / "encoder.skops")
        self.net.save(folder / "encoder.keras")

    @classmethod
    def load(cls, folder: Path) -> DenoisingEncoder:
        """Read what `save` wrote; no code in the files runs."""
        keras_model.skip_graph_optimization()
        net = keras.saving.load_model(folder / "encoder.keras", compile=False, safe_mode=True)
        return cls(features.load(folder / "encoder.skops"), net)


@dataclass(frozen=True)
class AutoencoderModel:
    """An encoder, and a model that was trained on its activations."""

    encoder: DenoisingEncoder
    column_preprocessor: Any | None
    """The preprocessor of the columns for a head that takes them beside the activations; None: activations only."""
    head: Model

    @property
    def nets(self) -> dict[str, Any]:
        """The nets that rows pass through, in order."""
        return {"encoder": self.encoder.net, **getattr(self.head, "nets", {})}

    def predict(self, x: Inputs) -> Array:
        """Return probabilities, (rows,) of class 1 or (rows, classes), or values (rows,)."""
        return self.head.predict(encode(self.encoder, self.column_preprocessor, x))

    def save(self, folder: Path) -> None:
        """Write the encoder and the preprocessor, and the head into a folder of its own."""
        self.encoder.save(folder)
        if self.column_preprocessor is not None:
            features.save(self.column_preprocessor, folder / "beside.skops")
        (folder / "head").mkdir()
        self.head.save(folder / "head")


FitHead = Callable[[DenoisingEncoder, FitContext], AutoencoderModel]
"""Trains a head on the activations of an encoder, and returns both."""


@dataclass(frozen=True)
class StagedAutoencoderModel(AutoencoderModel):
    """An encoder, and a model that also holds other stages of its training."""

    head: StagedModel

    @property
    def length(self) -> int:
        """The number of boosting rounds or epochs after which the head predicts."""
        return self.head.length

    def predict_stages(self, x: Inputs, lengths: Sequence[int]) -> Sequence[np.ndarray]:
        """Return the predictions with the head after several numbers of rounds or epochs."""
        return self.head.predict_stages(encode(self.encoder, self.column_preprocessor, x), lengths)

    def truncate(self, length: int) -> AutoencoderModel:
        """Return the model with the head after a number of rounds or epochs, without other stages."""
        return AutoencoderModel(self.encoder, self.column_preprocessor, self.head.truncate(length))


def load(folder: Path, load_head: Callable[[Path], Model]) -> AutoencoderModel:
    """Read what `AutoencoderModel.save` wrote; `load_head` reads the head's folder."""
    file = folder / "beside.skops"
    preprocessor = features.load(file) if file.exists() else None
    return add_head(DenoisingEncoder.load(folder), preprocessor, load_head(folder / "head"))


def add_head(encoder: DenoisingEncoder, column_preprocessor: Any | None, head: Model) -> AutoencoderModel:
    """Return the model of an encoder and of what was trained on its activations, staged if the latter is."""
    if isinstance(head, StagedModel):
        return StagedAutoencoderModel(encoder, column_preprocessor, head)
    return AutoencoderModel(encoder, column_preprocessor, head)


def encode(encoder: DenoisingEncoder, column_preprocessor: Any | None, x: Inputs) -> Array:
    """Return the activations, after the preprocessed columns if there is a preprocessor for them."""
    encoded = encoder.transform(x)
    if column_preprocessor is None:
        return encoded
    return np.hstack([np.asarray(column_preprocessor.transform(x), dtype=np.float32), encoded])


def fit(hp: Any, problem: Problem, train: Rows, context: FitContext, fit_head: FitHead) -> AutoencoderModel:
    """Train the autoencoder once in a trial, and a head; all folds of the trial share the encoder.

    Args:
        hp: the search space.
        problem: the columns; its targets are not used.
        train: the rows to learn from if `context` has no unlabelled rows.
        context: seed, unlabelled rows and the deadline, which autoencoder and head share.
        fit_head: trains the head.
    """
    whole = context.deadline
    if whole is None:
        return fit_head(_fit_shared_encoder(hp, problem, train, context), context)
    own = replace(context, deadline=whole.take(_ENCODER_SHARE))
    return fit_head(_fit_shared_encoder(hp, problem, train, own), context)


def _fit_shared_encoder(hp: Any, problem: Problem, train: Rows, context: FitContext) -> DenoisingEncoder:
    """Return the encoder of the trial, trained if this is the first fold."""
    options = _AutoencoderOptions(
        noise=hp.Float("swap_noise", 0.05, 0.3, step=0.05, default=0.15),
        units=hp.Int("encoder_units", 32, 256, step=2, sampling="log", default=128),
        layers=hp.Int("encoder_layers", 1, 3, default=2),
        steps=hp.Int("encoder_steps", 500, 8000, step=2, sampling="log", default=2000),
    )
    unlabelled = context.unlabelled
    if unlabelled is None:
        return _fit_encoder(problem, pd.DataFrame(train.x), context.seed, options, context.deadline)
    if "encoder" not in unlabelled.kept:
        frame = pd.DataFrame(unlabelled.x)
        encoder = _fit_encoder(problem, frame, unlabelled.seed, options, context.deadline)
        unlabelled.kept["encoder"] = encoder
    kept: DenoisingEncoder = unlabelled.kept["encoder"]
    return kept


@dataclass(frozen=True)
class _AutoencoderOptions:
    """The hyperparameters of an autoencoder."""

    noise: float
    """The share of values that are swapped."""
    units: int
    layers: int
    steps: int
    """The number of training steps, whatever the number of rows."""


def _fit_encoder(
    problem: Problem, x: pd.DataFrame, seed: int, options: _AutoencoderOptions, deadline: Deadline | None
) -> DenoisingEncoder:
    training.reset_keras(seed)
    preprocessor = features.dense_preprocessor(
        problem.columns, x, numbers="quantile", classes=0, seed=seed, target_encoding=False
    )
    matrix = preprocessor.fit_transform(x)
    start = keras.Input((matrix.shape[1],))
    activations = [start]
    for _ in range(options.layers):
        layer = keras.layers.Dense(options.units, activation="relu", kernel_initializer="he_normal")
        activations.append(layer(activations[-1]))
    autoencoder = keras.Model(start, keras.layers.Dense(matrix.shape[1])(activations[-1]))
    schedule = _CompressibleDecay(2e-3, options.steps)
    autoencoder.compile(
        keras.optimizers.Adam(schedule),
        "mean_squared_error",
        steps_per_execution=16,
        jit_compile=False,
    )
    batches = SwapNoiseBatches(matrix, options.noise, steps=options.steps, seed=seed)
    limit = [] if deadline is None else [TimeLimit(deadline, 1, schedule, has_validation=False)]
    autoencoder.fit(batches, epochs=1, callbacks=limit, verbose=0)
    hidden = activations[1] if options.layers == 1 else keras.layers.Concatenate()(activations[1:])
    return DenoisingEncoder(preprocessor, keras.Model(start, hidden))


class _CompressibleDecay(keras.optimizers.schedules.CosineDecay):  # type: ignore[misc]  # Keras has no types
    """A cosine decay times a factor, which falls to 0 in a training that must end early."""

    def __init__(self, rate: float, steps: int) -> None:
        super().__init__(rate, steps)
        self._factor = keras.Variable(1.0, trainable=False)

    def __call__(self, step: Any) -> Any:
        return super().__call__(step) * self._factor

    def set_compressed_rate(self, optimizer: Any, begun: float, share: float, rate: float) -> None:
        self._factor.assign(fade(1.0, share))


class SwapNoiseBatches(keras.utils.PyDataset):  # type: ignore[misc]  # Keras has no types
    """Batches of random rows with swap noise as inputs, and the same rows without it as targets.

    Swap noise replaces a value by that of another row in the same column.
    """

    def __init__(self, matrix: Array, noise: float, *, steps: int, seed: int) -> None:
        """Serve `steps` batches in which a share `noise` of the values is swapped."""
        super().__init__()
        self._matrix, self._noise, self._steps, self._seed = matrix, noise, steps, seed

    def __len__(self) -> int:
        """Return the number of batches."""
        return self._steps

    def __getitem__(self, index: int) -> tuple[Array, Array]:
        """Return the noisy rows and the rows."""
        rng = np.random.default_rng((self._seed, index))
        count, columns = self._matrix.shape
        rows = self._matrix[rng.integers(count, size=min(_BATCH_SIZE, count))]
        others = self._matrix[rng.integers(count, size=rows.shape), np.arange(columns)]
        return np.where(rng.random(rows.shape) < self._noise, others, rows), rows
