from __future__ import annotations

import sys

import numpy as np
import pytest

from workbench.data.memmap import MemmapArray
from workbench.features import SequenceScaler, fit_sequence_scaler, sequence_lengths

LENGTHS = np.array([5, 1, 7, 3, 7, 2])


def ragged(seed=0, longest=9):
    """Six rows of two channels, at most seven of nine steps long, with a value missing inside two of them."""
    x = np.random.default_rng(seed).normal([100, -3], [5, 0.1], size=(6, longest, 2)).astype(np.float32)
    x[np.arange(longest) >= LENGTHS[:, None]] = np.nan
    x[0, 2, 1] = np.nan
    x[2, 0, 1] = np.nan
    return x


def without_padding(x):
    return [row[:length] for row, length in zip(x, LENGTHS, strict=True)]


def test_a_sequence_ends_where_its_padding_begins():
    x = ragged()
    np.testing.assert_array_equal(sequence_lengths(x), LENGTHS)
    x[1] = np.nan
    x[3, 0] = np.nan
    np.testing.assert_array_equal(sequence_lengths(x), LENGTHS)
    np.testing.assert_array_equal(sequence_lengths(np.zeros((2, 4, 3), np.uint8)), [4, 4])


def test_channels_are_scaled_by_the_training_rows_own_steps():
    x = ragged()
    scaler = fit_sequence_scaler(x)
    real = np.concatenate(without_padding(x)).astype(float)
    np.testing.assert_allclose(scaler.mean, np.nanmean(real, axis=0), rtol=1e-6)
    np.testing.assert_allclose(scaler.deviation, np.nanstd(real, axis=0), rtol=1e-4)
    first = scaler.transform(x)[:, :, 0]
    np.testing.assert_allclose(np.concatenate(without_padding(first)).mean(), 0, atol=1e-4)
    np.testing.assert_allclose(np.concatenate(without_padding(first)).std(), 1, atol=1e-4)


def test_only_padding_is_nan_and_steps_beyond_the_training_rows_are_cut():
    x = ragged()
    scaler = fit_sequence_scaler(x)
    scaled = scaler.transform(x)
    assert scaled.shape == (6, 7, scaler.values)
    assert scaled.dtype == np.float32
    np.testing.assert_array_equal(np.isnan(scaled).all(axis=2), np.arange(7) >= LENGTHS[:, None])
    np.testing.assert_array_equal(np.isnan(scaled).any(axis=2), np.isnan(scaled).all(axis=2))


def test_a_missing_value_is_the_one_before_it_and_is_flagged():
    x = ragged()
    scaler = fit_sequence_scaler(x)
    scaled = scaler.transform(x)
    assert scaler.gaps == (1,)
    assert scaled[0, 2, 1] == scaled[0, 1, 1]
    assert scaled[2, 0, 1] == 0
    flags = np.argwhere(scaled[:, :, 2] == 1)
    np.testing.assert_array_equal(flags, [[0, 2], [2, 0]])


def test_a_row_is_scaled_the_same_among_other_rows():
    x = ragged()
    scaler = fit_sequence_scaler(x[:3])
    np.testing.assert_array_equal(scaler.transform(x)[1:2], scaler.transform(x[1:2]))


@pytest.mark.parametrize("count", [3, 9, 12])
def test_rows_may_come_shorter_and_longer_than_in_training(count):
    scaler = fit_sequence_scaler(ragged())
    x = np.ones((2, count, 2), np.float32)
    scaled = scaler.transform(x)
    assert scaled.shape == (2, 7, 3)
    np.testing.assert_array_equal(np.isnan(scaled).all(axis=2).sum(axis=1), 7 - min(count, 7))


def test_constant_and_empty_channels_give_finite_values():
    x = ragged()
    x[:, :, 0] = np.where(np.isnan(x[:, :, 0]), np.nan, np.float32(1e9) / 3)
    x[:, :, 1] = np.nan
    scaled = fit_sequence_scaler(x).transform(x)
    assert np.nanmax(np.abs(scaled[:, :, :2])) == 0
    x[0, 0] = 1e30
    assert np.isfinite(fit_sequence_scaler(ragged()).transform(x)[0, 0]).all()


def test_bytes_and_rows_on_disk_are_scaled_like_floats_in_memory(tmp_path):
    x = np.random.default_rng(0).integers(0, 255, size=(40, 5, 3), dtype=np.uint8)
    np.save(tmp_path / "x.npy", x)
    on_disk = MemmapArray(tmp_path / "x.npy")
    scaler = fit_sequence_scaler(on_disk)
    assert scaler == fit_sequence_scaler(x) == fit_sequence_scaler(x.astype(np.float32))
    np.testing.assert_array_equal(scaler.transform(on_disk), scaler.transform(x))
    rows = np.array([3, 1, 30])
    np.testing.assert_array_equal(scaler.transform(on_disk[rows]), scaler.transform(x[rows]))


def test_batches_give_the_same_scores_as_all_rows_at_once(monkeypatch):
    x = np.concatenate([ragged(seed) for seed in range(4)])
    whole = fit_sequence_scaler(x)
    scaled = whole.transform(x)
    monkeypatch.setattr(sys.modules["workbench.features.sequence_scaler"], "_BATCH_VALUES", 60)
    np.testing.assert_allclose(fit_sequence_scaler(x).deviation, whole.deviation, rtol=1e-12)
    np.testing.assert_array_equal(whole.transform(x), scaled)


def test_a_loaded_scaler_is_the_same(tmp_path):
    scaler = fit_sequence_scaler(ragged())
    scaler.save(tmp_path)
    assert SequenceScaler.load(tmp_path) == scaler
