from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from miniatures import ragged

from workbench import models
from workbench.data.memmap import MemmapArray
from workbench.models.protocol import FitContext, Problem, Rows
from workbench.space import defaults

pytestmark = pytest.mark.slow
FAMILIES = ["conv1d", "conv1d_gru", "gru", "lstm"]
PROBLEM = Problem("sequence", "binary", 2, {}, "log_loss")
CONTEXT = FitContext(3, 1, lambda epoch, losses, progress=None, of=None: None, epochs=1)


def make_waves(rows=80, steps=16):
    """Return two-channel sequences whose first channel has a high frequency in every other row, and the classes."""
    rng, y = np.random.default_rng(1), np.arange(rows) % 2
    time = np.arange(steps) * np.where(y, 2.5, 0.7)[:, None] + rng.uniform(0, 6, size=(rows, 1))
    x = np.stack([np.sin(time), rng.normal(size=time.shape)], axis=2) + rng.normal(size=(rows, steps, 2)) / 5
    return (100 + 10 * x).astype(np.float32), y


def fit(family, x, y, suggest=defaults, **context):
    from workbench.space.keras import HyperParameters

    cut = len(y) * 3 // 4
    train, valid = Rows(x[np.arange(cut)], y[:cut]), Rows(x[np.arange(cut, len(y))], y[cut:])
    return models.get_family(family).fit(HyperParameters(suggest), PROBLEM, train, valid, replace(CONTEXT, **context))


def choose(**answers):
    return lambda question: answers.get(question.name, defaults(question))


@pytest.mark.parametrize("family", ["conv1d_gru", "lstm"])
def test_a_net_learns_the_frequency_of_sequences_of_unequal_length(family):
    x, y = make_waves(200)
    x[np.arange(16) >= np.random.default_rng(2).integers(8, 17, size=len(x))[:, None]] = np.nan
    predictions = fit(family, x, y, epochs=12).predict(x[150:])
    assert ((predictions > 0.5) == y[150:]).mean() > 0.85


LAST = {"pooling": "last", "layers": 2, "residual": False}


@pytest.mark.parametrize(
    ("family", "answers"),
    [*((family, {}) for family in FAMILIES), ("gru", LAST), ("lstm", LAST)],
    ids=[*FAMILIES, "gru-last", "lstm-last"],
)
def test_padding_does_not_change_predictions(family, answers):
    import keras

    x, y = make_waves()
    short = ragged(x[:, :8])
    model = fit(family, short, y, choose(**answers))
    one, scaled = model.net, model.preprocessor.transform(short)
    other = keras.models.clone_model(one, [keras.Input((16, scaled.shape[2]))])
    other.set_weights(one.get_weights())
    padded = np.full((len(x), 16, scaled.shape[2]), np.nan, np.float32)
    padded[:, :8] = scaled
    np.testing.assert_allclose(other.predict(padded, verbose=0), one.predict(scaled, verbose=0), atol=1e-5)


@pytest.mark.parametrize("family", ["conv1d", "lstm"])
def test_steps_of_a_long_sequence_are_merged(family):
    x, y = make_waves(24, steps=700)
    model = fit(family, x, y)
    assert max(layer.output.shape[1] for layer in model.net.layers if "reshape" in layer.name) <= 256
    assert np.isfinite(model.predict(x)).all()


def test_a_net_trains_and_predicts_from_sequences_on_disk_in_batches(tmp_path, monkeypatch):
    from workbench.features import SequenceScaler
    from workbench.models.nn import data_loader

    x, y = make_waves()
    np.save(tmp_path / "x.npy", ragged(x))
    on_disk = MemmapArray(tmp_path / "x.npy")
    monkeypatch.setattr(data_loader, "MAX_IN_MEMORY_BYTES", 1000)
    monkeypatch.setattr(data_loader, "MAX_PREDICTION_VALUES", 0)
    batch_sizes = []
    transform = SequenceScaler.transform

    def recording_transform(scaler, x):
        batch_sizes.append(len(x))
        return transform(scaler, x)

    monkeypatch.setattr(SequenceScaler, "transform", recording_transform)
    model = fit("conv1d", on_disk, y)
    lazy = model.predict(on_disk)
    assert max(batch_sizes) == 32
    monkeypatch.setattr(data_loader, "MAX_IN_MEMORY_BYTES", 10**9)
    np.testing.assert_allclose(model.predict(ragged(x)), lazy, rtol=1e-4, atol=1e-5)
