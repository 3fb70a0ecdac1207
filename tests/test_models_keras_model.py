"""Saved Keras models: the kind of the preprocessor is found by its files, also in folders of the first versions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from miniatures import COLUMNS, TRAIN, ragged, table

from workbench import features

pytestmark = pytest.mark.slow
KINDS = ("none", "scikit-learn", "text", "sequence", "multi-input", "wide and deep", "extractor")


def fit_preprocessor(kind: str) -> Any:
    import keras

    from workbench.models.nn.feature_extractor import FeatureExtractor

    y = np.arange(TRAIN) % 2
    if kind == "scikit-learn":
        return features.dense_preprocessor({"size": "number"}, table()[["size"]], numbers="standard", classes=2, seed=1)
    if kind == "text":
        texts = table(TRAIN)[["note"]]
        return features.fit_text_vectorizer(
            {"note": "text"}, texts, y, numbers="quantile", classes=2, seed=1, max_length=8
        )[0]
    if kind == "sequence":
        return features.fit_sequence_scaler(ragged(np.random.default_rng(0).normal(size=(20, 6, 2)).astype("float32")))
    if kind == "multi-input":
        return features.fit_multi_input(COLUMNS, table(TRAIN), y, numbers="quantile", seed=1, max_length=8, crosses=2)
    if kind == "wide and deep":
        return features.fit_wide_and_deep(COLUMNS, table(TRAIN), numbers="quantile", crosses=2, seed=1)
    start = keras.Input((4,))
    return FeatureExtractor(keras.Model(start, keras.layers.Dense(2)(start))) if kind == "extractor" else None


@pytest.mark.parametrize("kind", KINDS)
def test_a_loaded_model_has_the_same_kind_of_preprocessor(kind: str, tmp_path: Path) -> None:
    import keras

    from workbench.models.nn import keras_model

    start = keras.Input((3,))
    model = keras_model.KerasModel(fit_preprocessor(kind), keras.Model(start, keras.layers.Dense(1)(start)), 2.0, 3.0)
    model.save(tmp_path)
    loaded = keras_model.load(tmp_path)
    assert type(loaded.preprocessor) is type(model.preprocessor)
    assert (loaded.shift, loaded.scale, loaded.output_bounds) == (2.0, 3.0, ())


def test_a_folder_without_output_bounds_is_loaded(tmp_path: Path) -> None:
    import keras

    from workbench.models.nn import keras_model

    start = keras.Input((3,))
    net = keras.Model(start, keras.layers.Dense(1)(start))
    keras_model.KerasModel(None, net, 2.0, 3.0).save(tmp_path)
    file = tmp_path / "network.json"
    document = json.loads(file.read_text())
    assert document == {"shift": 2.0, "scale": 3.0, "spans": []}
    del document["spans"]
    file.write_text(json.dumps(document))
    x = np.ones((2, 3), np.float32)
    np.testing.assert_allclose(
        keras_model.load(tmp_path).predict(x), 2 + 3 * net.predict(x, verbose=0)[:, 0], rtol=1e-6
    )
