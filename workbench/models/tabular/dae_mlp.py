"""A net of dense layers on the activations of a denoising autoencoder (Jahrer, 2017)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import keras

from workbench.models.nn import denoising_autoencoder, dense_layers, heads, keras_model, training
from workbench.models.nn.denoising_autoencoder import AutoencoderModel, DenoisingEncoder
from workbench.models.protocol import FitContext, Problem, Rows


def fit(hp: Any, problem: Problem, train: Rows, valid: Rows | None, context: FitContext) -> AutoencoderModel:
    """Train the autoencoder without labels, then a multi-layer perceptron on its activations."""

    def fit_head(encoder: DenoisingEncoder, own_context: FitContext) -> AutoencoderModel:
        encoded = replace(train, x=encoder.transform(train.x))

        def build() -> Any:
            entrance = keras.Input((encoded.x.shape[1],))
            hidden = dense_layers.build_dense_stack(hp, dense_layers.batch_normalize(entrance), units=128)
            return keras.Model(entrance, heads.build_output_layer(hidden, problem))

        held_out = None if valid is None else replace(valid, x=encoder.transform(valid.x))
        head = training.fit(training.NetSpec(build), hp, problem, encoded, held_out, own_context)
        return denoising_autoencoder.add_head(encoder, None, head)

    return denoising_autoencoder.fit(hp, problem, train, context, fit_head)


def load(folder: Path) -> AutoencoderModel:
    """Return the model that its `save` wrote to a folder."""
    return denoising_autoencoder.load(folder, keras_model.load)
