from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from miniatures import objects

from workbench.config import ColumnKind
from workbench.models.protocol import FitContext, Problem, Rows

pytestmark = pytest.mark.slow
KINDS: dict[str, ColumnKind] = {"note": "text", "size": "number"}


def rows(count=80):
    rng, n = np.random.default_rng(0), np.arange(count)
    words = np.array(["red", "blue"])[n % 2]
    notes = [f"{'so ' * rng.integers(0, 6)}{word} it is" for word in words]
    return pd.DataFrame({"note": objects(notes), "size": rng.normal(size=count)}), n % 2


@pytest.fixture(scope="module")
def trained():
    """A small recurrent net for texts, its validation rows and its first layers."""
    import keras

    from workbench.models.nn import heads, text_input, training
    from workbench.space import defaults
    from workbench.space.keras import HyperParameters

    x, y = rows()
    problem = Problem("text", "binary", 2, KINDS, "log_loss")
    context = FitContext(3, 1, lambda epoch, losses, progress=None, of=None: None, epochs=12)
    hp, train, valid = HyperParameters(defaults), Rows(x[:60], y[:60]), Rows(x[60:], y[60:])
    vectorizer, matrices = text_input.search_text_vectorizer(hp, problem, train, context)
    stems = []

    def build():
        stem = text_input.build_text_input(hp, vectorizer, matrices)
        stems.append(stem)
        hidden = keras.layers.Concatenate()([keras.layers.GRU(8)(stem.steps, mask=stem.mask), stem.other_columns])
        return keras.Model(stem.inputs, heads.build_output_layer(hidden, problem))

    spec = training.NetSpec(build, preprocessor=vectorizer, train_inputs=matrices)
    return training.fit(spec, hp, problem, train, valid, context), valid, stems[0]


def test_a_net_learns_the_word_that_determines_the_class(trained):
    model, valid, _ = trained
    predictions = model.predict(valid.x)
    assert ((predictions > 0.5) == valid.y).mean() > 0.9


def test_padding_is_masked(trained):
    import keras

    model, valid, stem = trained
    codes = model.preprocessor.transform(valid.x)
    mask = keras.Model(stem.inputs, stem.mask).predict(codes, verbose=0)
    np.testing.assert_array_equal(mask, codes[0] != 0)
    assert not mask.all()


def test_a_saved_net_for_texts_predicts_the_same(trained, tmp_path):
    from workbench.models.nn import keras_model

    model, valid, _ = trained
    strange = pd.DataFrame({"note": objects(["", np.nan, "never seen 😀"]), "size": [np.nan, 1e9, 0.0]})
    model.save(tmp_path)
    assert {file.suffix for file in tmp_path.iterdir()} == {".json", ".keras", ".npz", ".skops"}
    loaded = keras_model.load(tmp_path)
    for x in (valid.x, strange, strange[:1]):
        np.testing.assert_allclose(loaded.predict(x), model.predict(x), atol=1e-6)
