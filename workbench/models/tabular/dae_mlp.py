"""A net of dense layers on what a denoising autoencoder makes of a table (Jahrer, 2017)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras

from workbench.models.nn import denoising_autoencoder, dense_layers, heads, keras_model, training
from workbench.models.protocol import FitContext, Problem, Rows


def fit(
    hp: Any, problem: Problem, train: Rows, valid: Rows | None, setting: FitContext
) -> denoising_autoencoder.AutoencoderModel:
    """Train the autoencoder without labels, then a multi-layer perceptron on its activations."""
    encoder = denoising_autoencoder.fit(hp, problem, train, setting)

    def encoded(rows: Rows) -> Rows:
        return Rows(encoder.transform(rows.x), rows.y, rows.weight)

    known = encoded(train)

    def build() -> Any:
        entrance = keras.Input((known.x.shape[1],))
        hidden = dense_layers.build_dense_stack(hp, dense_layers.batch_normalize(entrance), units=128)
        return keras.Model(entrance, heads.build_output_layer(hidden, problem))

    held_out = None if valid is None else encoded(valid)
    head = training.fit(training.NetSpec(build), hp, problem, known, held_out, setting)
    return denoising_autoencoder.AutoencoderModel(encoder, None, head)


def load(folder: Path) -> denoising_autoencoder.AutoencoderModel:
    """Read what the model's `save` wrote."""
    return denoising_autoencoder.load(folder, keras_model.load)
