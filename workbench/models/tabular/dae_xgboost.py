"""Boosted trees on the columns as they are and on what a denoising autoencoder makes of them (Jahrer, 2017)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from workbench import features
from workbench.models.nn import denoising_autoencoder
from workbench.models.protocol import FitContext, Problem, Rows
from workbench.models.tabular import xgboost


def fit(
    hp: Any, problem: Problem, train: Rows, valid: Rows | None, setting: FitContext
) -> denoising_autoencoder.AutoencoderModel:
    """Train the autoencoder without labels, then trees on the columns and its activations."""
    encoder = denoising_autoencoder.fit(hp, problem, train, setting)
    beside = features.tree_preprocessor(
        problem.columns, train.x, categories="target", classes=problem.classes, seed=setting.seed
    )
    columns = beside.fit_transform(train.x, train.y)
    matrix = np.hstack([columns, encoder.transform(train.x)])
    held_out = None if valid is None else replace(valid, x=denoising_autoencoder.encode(encoder, beside, valid.x))
    head = xgboost.boost(
        hp,
        problem,
        train,
        held_out,
        setting,
        # The head is given what the encoder has seen.
        view=features.Flatten(),
        matrix=matrix,
        types=["q"] * matrix.shape[1],
        # Each of many activations says little alone, and a tree that sees fewer grows sooner.
        share=0.3,
    )
    return denoising_autoencoder.AutoencoderModel(encoder, beside, head)


def load(folder: Path) -> denoising_autoencoder.AutoencoderModel:
    """Read what the model's `save` wrote."""
    return denoising_autoencoder.load(folder, xgboost.load)
