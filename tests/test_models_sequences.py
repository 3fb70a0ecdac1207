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
SETTING = FitContext(3, 1, lambda epoch, losses, progress=None, of=None: None, epochs=1)


def waves(rows=80, steps=16):
    """Sequences of two channels, the first of which swings fast in every other row."""
    rng, y = np.random.default_rng(1), np.arange(rows) % 2
    time = np.arange(steps) * np.where(y, 2.5, 0.7)[:, None] + rng.uniform(0, 6, size=(rows, 1))
    x = np.stack([np.sin(time), rng.normal(size=time.shape)], axis=2) + rng.normal(size=(rows, steps, 2)) / 5
    return (100 + 10 * x).astype(np.float32), y


def fit(family, x, y, suggest=defaults, **setting):
    from workbench.space.keras import HyperParameters

    cut = len(y) * 3 // 4
    train, valid = Rows(x[np.arange(cut)], y[:cut]), Rows(x[np.arange(cut, len(y))], y[cut:])
    return models.family(family).fit(HyperParameters(suggest), PROBLEM, train, valid, replace(SETTING, **setting))


def told(**answers):
    return lambda question: answers.get(question.name, defaults(question))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_net_learns_how_fast_sequences_of_unequal_length_swing(family):
    x, y = waves(200)
    x[np.arange(16) >= np.random.default_rng(2).integers(8, 17, size=len(x))[:, None]] = np.nan
    predictions = fit(family, x, y, epochs=12).predict(x[150:])
    assert ((predictions > 0.5) == y[150:]).mean() > 0.85


@pytest.mark.parametrize("answers", [{}, {"pooling": "last", "layers": 2, "residual": False}], ids=["default", "other"])
@pytest.mark.parametrize("family", FAMILIES)
def test_padding_does_not_change_what_a_net_says_of_a_row(family, answers):
    answers = {key: value for key, value in answers.items() if key != "pooling" or family != "conv1d"}
    long, y = waves()
    long[1:, 8:] = np.nan
    short = ragged(long[:, :8])
    long[1:, :8] = short[1:]
    one, other = fit(family, short, y, told(**answers)), fit(family, long, y, told(**answers))
    seen = one.view.transform(short[1:])
    padded = np.full((len(seen), 16, seen.shape[2]), np.nan, np.float32)
    padded[:, :8] = seen
    other.net.set_weights(one.net.get_weights())
    np.testing.assert_allclose(other.net.predict(padded, verbose=0), one.net.predict(seen, verbose=0), atol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_long_sequence_is_read_several_steps_at_a_time(family):
    x, y = waves(24, steps=700)
    model = fit(family, x, y)
    assert max(layer.output.shape[1] for layer in model.net.layers if "reshape" in layer.name) <= 256
    assert np.isfinite(model.predict(x)).all()


def test_a_net_trains_and_predicts_from_sequences_on_disk_without_reading_them_whole(tmp_path, monkeypatch):
    from workbench.features import SequenceScaler
    from workbench.models.nn import data_loader

    x, y = waves()
    np.save(tmp_path / "x.npy", ragged(x))
    lying = MemmapArray(tmp_path / "x.npy")
    monkeypatch.setattr(data_loader, "WHOLE", 1000)
    monkeypatch.setattr(data_loader, "PREDICTED_VALUES", 0)
    seen = []
    transform = SequenceScaler.transform
    monkeypatch.setattr(SequenceScaler, "transform", lambda view, x: seen.append(len(x)) or transform(view, x))
    model = fit("conv1d", lying, y)
    lazy = model.predict(lying)
    assert max(seen) == 32
    monkeypatch.setattr(data_loader, "WHOLE", 10**9)
    np.testing.assert_allclose(model.predict(ragged(x)), lazy, rtol=1e-4, atol=1e-5)
