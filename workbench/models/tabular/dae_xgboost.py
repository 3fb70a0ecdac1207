"""Boosted trees on the columns and on the activations of a denoising autoencoder (Jahrer, 2017)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from workbench import features
from workbench.models.nn import denoising_autoencoder
from workbench.models.nn.denoising_autoencoder import AutoencoderModel, DenoisingEncoder
from workbench.models.protocol import FitContext, Problem, Rows
from workbench.models.tabular import xgboost


def fit(hp: Any, problem: Problem, train: Rows, valid: Rows | None, context: FitContext) -> AutoencoderModel:
    """Train the autoencoder without labels, then trees on the columns and its activations."""

    def fit_head(encoder: DenoisingEncoder, own_context: FitContext) -> AutoencoderModel:
        preprocessor = features.tree_preprocessor(
            problem.columns, train.x, categories="target", classes=problem.classes, seed=context.seed
        )
        columns = preprocessor.fit_transform(train.x, train.y)
        matrix = np.hstack([columns, encoder.transform(train.x)])
        held_out = None
        if valid is not None:
            held_out = replace(valid, x=denoising_autoencoder.encode(encoder, preprocessor, valid.x))
        # The trees are given encoded rows, which need no preprocessor.
        inputs = xgboost.BoosterInputs(features.Flatten(), matrix, ["q"] * matrix.shape[1])
        # A single one of many activations tells little, and trees on fewer columns grow faster.
        head = xgboost.boost(hp, problem, train, held_out, own_context, inputs, column_share=0.3)
        return denoising_autoencoder.add_head(encoder, preprocessor, head)

    return denoising_autoencoder.fit(hp, problem, train, context, fit_head)


def load(folder: Path) -> AutoencoderModel:
    """Return the model that its `save` wrote to a folder."""
    return denoising_autoencoder.load(folder, xgboost.load)
