"""A denoising autoencoder for tables: what its hidden layers make of a row is what other models learn from.

After Vincent et al. (2008), with the swap noise that won Porto Seguro's Safe Driver Prediction (Jahrer, 2017): some
values of a row are replaced by those of other rows, and the net learns to undo it, from the columns' dependence on each
other. It needs no labels, so it also learns from the features of the rows to validate on and to predict.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd

from workbench import features
from workbench.models.nn import training
from workbench.models.protocol import FitContext, Inputs, Model, Problem, Rows

_BATCH = 256


@dataclass(frozen=True)
class AutoencoderFeatures:
    """A table -> the activations of the autoencoder's hidden layers, all of them side by side."""

    view: Any
    net: Any

    def transform(self, x: Inputs) -> np.ndarray:
        """Return the activations, (rows, layers · units) float32."""
        return np.asarray(self.net.predict(self.view.transform(x), batch_size=4096, verbose=0), dtype=np.float32)

    def save(self, folder: Path) -> None:
        """Write `encoder.skops` and `encoder.keras`."""
        features.save(self.view, folder / "encoder.skops")
        self.net.save(folder / "encoder.keras")

    @classmethod
    def load(cls, folder: Path) -> AutoencoderFeatures:
        """Read what `save` wrote; nothing in the files is executed."""
        net = keras.saving.load_model(folder / "encoder.keras", compile=False, safe_mode=True)
        return cls(features.load(folder / "encoder.skops"), net)


@dataclass(frozen=True)
class EncodedModel:
    """An encoder, and a model that has learnt from its activations."""

    encoder: AutoencoderFeatures
    beside: Any | None
    """A view of the columns as they are, for a model that sees these too."""
    head: Model

    @property
    def nets(self) -> dict[str, Any]:
        """The nets that rows go through, one after another."""
        return {"encoder": self.encoder.net, **getattr(self.head, "nets", {})}

    def predict(self, x: Inputs) -> np.ndarray:
        """Return probabilities, (rows,) of class 1 or (rows, classes), or values (rows,)."""
        return self.head.predict(encode(self.encoder, self.beside, x))

    def save(self, folder: Path) -> None:
        """Write the encoder and what stands beside it, and the head into a folder of its own."""
        self.encoder.save(folder)
        if self.beside is not None:
            features.save(self.beside, folder / "beside.skops")
        (folder / "head").mkdir()
        self.head.save(folder / "head")


def load(folder: Path, head: Any) -> EncodedModel:
    """Read what `EncodedModel.save` wrote; `head` reads a folder of the head's family."""
    beside = folder / "beside.skops"
    return EncodedModel(
        AutoencoderFeatures.load(folder), features.load(beside) if beside.exists() else None, head(folder / "head")
    )


def encode(encoder: AutoencoderFeatures, beside: Any | None, x: Inputs) -> np.ndarray:
    """Return the activations, behind the columns as they are where a model sees these too."""
    encoded = encoder.transform(x)
    return encoded if beside is None else np.hstack([np.asarray(beside.transform(x), dtype=np.float32), encoded])


def fit(hp: Any, problem: Problem, train: Rows, setting: FitContext) -> AutoencoderFeatures:
    """Train the autoencoder once a trial; the trial's next folds get the same encoder.

    Args:
        hp: the search space.
        problem: what is to be learned; of it, only the columns are looked at.
        train: the rows to learn from where `setting` has no others.
        setting: the rows without labels.
    """
    asked = {
        "noise": hp.Float("swap_noise", 0.05, 0.3, step=0.05, default=0.15),
        "units": hp.Int("encoder_units", 32, 256, step=2, sampling="log", default=128),
        "layers": hp.Int("encoder_layers", 1, 3, default=2),
        "steps": hp.Int("encoder_steps", 500, 8000, step=2, sampling="log", default=2000),
    }
    others = setting.unlabelled
    if others is None:
        return _fitted(problem, pd.DataFrame(train.x), setting.seed, **asked)
    if "encoder" not in others.kept:
        others.kept["encoder"] = _fitted(problem, pd.DataFrame(others.x), others.seed, **asked)
    encoder: AutoencoderFeatures = others.kept["encoder"]
    return encoder


def _fitted(
    problem: Problem, x: pd.DataFrame, seed: int, *, noise: float, units: int, layers: int, steps: int
) -> AutoencoderFeatures:
    """Return an encoder that was trained for so many steps, however many rows there are."""
    training.reset_state(seed)
    view = features.dense_preprocessor(problem.columns, x, numbers="quantile", classes=0, seed=seed, labelled=False)
    matrix = view.fit_transform(x)
    entrance = keras.Input((matrix.shape[1],))
    activations = [entrance]
    for _ in range(layers):
        layer = keras.layers.Dense(units, activation="relu", kernel_initializer="he_normal")
        activations.append(layer(activations[-1]))
    autoencoder = keras.Model(entrance, keras.layers.Dense(matrix.shape[1])(activations[-1]))
    autoencoder.compile(
        keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(2e-3, steps)),
        "mean_squared_error",
        steps_per_execution=16,
        jit_compile=False,
    )
    autoencoder.fit(SwapNoiseBatches(matrix, noise, steps=steps, seed=seed), epochs=1, verbose=0)
    hidden = activations[1] if layers == 1 else keras.layers.Concatenate()(activations[1:])
    return AutoencoderFeatures(view, keras.Model(entrance, hidden))


class SwapNoiseBatches(keras.utils.PyDataset):  # type: ignore[misc]  # Keras has no types
    """Batches of rows drawn at random, some values swapped for other rows' of the same column; and as they were."""

    def __init__(self, matrix: np.ndarray, noise: float, *, steps: int, seed: int) -> None:
        """Serve so many batches, in which `noise` is the share of the values that are swapped."""
        super().__init__()
        self._matrix, self._noise, self._steps, self._seed = matrix, noise, steps, seed

    def __len__(self) -> int:
        """Return the number of batches."""
        return self._steps

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows with swapped values, and the rows."""
        rng = np.random.default_rng((self._seed, index))
        count, columns = self._matrix.shape
        rows = self._matrix[rng.integers(count, size=min(_BATCH, count))]
        others = self._matrix[rng.integers(count, size=rows.shape), np.arange(columns)]
        return np.where(rng.random(rows.shape) < self._noise, others, rows), rows
