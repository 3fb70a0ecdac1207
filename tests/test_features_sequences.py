from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from miniatures import arrays, ragged
from scipy import stats
from sklearn.linear_model import LogisticRegression

from workbench import features, models
from workbench.data.memmap import MemmapArray
from workbench.models.protocol import FitContext, Problem, Rows
from workbench.models.sequence.rocket import ScaledLogisticRegression
from workbench.space import Space, defaults

QUANTILES = [0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95]
# Values before the shape of a single channel: the share of missing values, five moments and extremes, the quantiles.
LEVEL = 6 + len(QUANTILES)


def bare(**options: Any) -> features.SequenceStatistics:
    """Return statistics without segments, lags and bands, unless given as options."""
    return features.SequenceStatistics(**({"parts": 0, "lags": 0, "bands": 0} | options))


def noise(rows: int = 5, steps: int = 40, channels: int = 1, seed: int = 2) -> np.ndarray:
    return np.random.default_rng(seed).normal(3, 2, size=(rows, steps, channels)).astype(np.float32)


def waves(period: Any, steps: int = 96) -> np.ndarray:
    """Return (rows, steps, 1) of sine waves, one for each period."""
    values: np.ndarray = np.sin(2 * np.pi * np.arange(steps) / np.atleast_1d(period)[:, None])
    return values.astype(np.float32)[:, :, None]


def test_level_and_shape_are_those_of_scipy():
    x = noise()
    statistics = bare().transform(x)
    for row, values in zip(statistics, x[:, :, 0].astype(float), strict=True):
        level = [0, values.mean(), values.std(), np.abs(values).mean(), values.min(), values.max()]
        np.testing.assert_allclose(row[:LEVEL], [*level, *np.quantile(values, QUANTILES)], rtol=1e-4)
        shape = [stats.skew(values), stats.kurtosis(values, fisher=False), stats.pearsonr(np.arange(40), values)[0]]
        np.testing.assert_allclose(row[LEVEL : LEVEL + 3], shape, rtol=1e-4, atol=1e-5)
        above = values > values.mean()
        assert row[LEVEL + 3] * 40 == pytest.approx(sum(a != b for a, b in itertools.pairwise(above)))
        peaks = sum(values[i - 1] < values[i] > values[i + 1] for i in range(1, 39))
        assert row[LEVEL + 4] * 40 == pytest.approx(peaks)


def test_segments_have_means_of_standard_scores():
    x = noise(steps=10)
    scores = (x - x.mean(axis=1, keepdims=True)) / x.std(axis=1, keepdims=True)
    segments = [scores[:, :3, 0], scores[:, 3:6, 0], scores[:, 6:, 0]]
    expected = [s.mean(axis=1) for s in segments] + [(s**2).mean(axis=1) for s in segments]
    np.testing.assert_allclose(bare(parts=3).transform(x)[:, -6:], np.transpose(expected), rtol=1e-4, atol=1e-5)


def test_autocorrelations_are_those_of_numpy():
    x = noise()
    statistics = bare(lags=7).transform(x)[:, LEVEL + 5 :]
    for row, values in zip(statistics, x[:, :, 0].astype(float), strict=True):
        scores = (values - values.mean()) / values.std()
        whole = np.correlate(scores, scores, "full")[39:] / 40
        np.testing.assert_allclose(row[:7], whole[[1, 2, 3, 4, 6, 8, 12]], atol=1e-5)


def test_a_wave_has_its_period_among_autocorrelations_and_its_frequency_in_the_spectrum():
    statistics = bare(lags=1, bands=8).transform(waves([6.0, 16.0]))[:, LEVEL + 5 :]
    np.testing.assert_allclose(statistics[:, 1], np.array([6, 16]) / 96)
    np.testing.assert_allclose(statistics[:, 3 + 8], [1 / 6, 1 / 16], rtol=0.02)
    assert statistics[:, 3 : 3 + 8].argmax(axis=1).tolist() == [2, 0]
    entropy, noisy = statistics[:, -1], bare(bands=8).transform(noise(2, 96))[:, -1]
    assert entropy.max() < 0.5 < noisy.min()


def test_the_norm_of_channels_does_not_depend_on_the_orientation_of_the_sensor():
    x = noise(channels=3)
    rotated = x @ np.linalg.qr(noise(1, 3, 3, seed=5)[0])[0]
    # Three shares of missing values, three correlations, then every level statistic for three channels and the norm.
    statistics, other = bare().transform(x), bare().transform(rotated)
    np.testing.assert_allclose(statistics[0, 3:6], np.corrcoef(x[0].T)[[0, 0, 1], [1, 2, 2]], atol=1e-5)
    norms = slice(6 + 3, 6 + 4 * 12, 4)
    np.testing.assert_allclose(statistics[:, norms], other[:, norms], rtol=1e-3)
    assert np.abs(statistics - other).max() > 0.1


def test_statistics_of_differences_follow_those_of_the_values():
    x = noise()
    once, both = bare().transform(x), bare(differences=True).transform(x)
    np.testing.assert_array_equal(both[:, : once.shape[1]], once)
    deviation = np.diff(x[:, :, 0], axis=1, prepend=x[:, :1, 0]).std(axis=1)
    np.testing.assert_allclose(both[:, once.shape[1] + 1], deviation, rtol=1e-4)


@pytest.mark.parametrize(
    "transformer", [features.SequenceStatistics(differences=True), features.MiniRocket(values=800)]
)
def test_padding_and_other_rows_do_not_change_a_row(transformer):
    x = noise(30, 20, 2)
    lengths = np.random.default_rng(1).integers(1, 21, size=30)
    padded = np.where(np.arange(20)[:, None] < lengths[:, None, None], x, np.float32(np.nan))
    statistics = transformer.fit(padded).transform(padded)
    assert np.isfinite(statistics).all()
    for row in range(30):
        alone = transformer.transform(x[row : row + 1, : lengths[row]])[0]
        np.testing.assert_allclose(alone, statistics[row], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("transformer", [features.SequenceStatistics(), features.MiniRocket(values=800)])
def test_rows_on_disk_give_the_same_as_in_memory(transformer, tmp_path):
    x = ragged(arrays("sequence"))
    np.save(tmp_path / "x.npy", x)
    stored = MemmapArray(tmp_path / "x.npy")[np.arange(60)]
    np.testing.assert_array_equal(transformer.fit(stored).transform(stored), transformer.fit(x[:60]).transform(x[:60]))


def test_a_gap_is_interpolated_and_its_share_is_reported():
    ramp = np.linspace(-1, 2, 30, dtype=np.float32)[None, :, None]
    gapped = ramp.copy()
    gapped[0, 7:13] = np.nan
    whole, statistics = features.SequenceStatistics().transform(ramp), features.SequenceStatistics().transform(gapped)
    assert statistics[0, 0] == pytest.approx(0.2)
    np.testing.assert_allclose(statistics[:, 1:], whole[:, 1:], atol=1e-4)


def test_only_the_level_of_a_channel_without_values_is_missing():
    x = noise(3, 20, 2)
    x[1, :, 0] = np.nan
    statistics = bare().transform(x)
    assert not np.isnan(statistics[[0, 2]]).any()
    # All twelve level statistics of the channel and of the norm.
    assert np.isnan(statistics[1]).sum() == 2 * 12


@pytest.mark.parametrize("steps", [1, 2, 3])
@pytest.mark.parametrize("value", [0, 7, 3e38])
def test_constant_sequences_raise_no_warnings(steps, value):
    x = np.full((4, steps, 2), value, np.float32)
    assert np.isfinite(features.SequenceStatistics(differences=True).transform(x)).all()
    assert np.isfinite(features.MiniRocket(values=100).fit(x).transform(x)).all()


def test_a_kernel_gives_the_share_of_steps_above_its_thresholds():
    x = noise(40, 25, 2)
    transformer = features.MiniRocket(values=600, thresholds=4).fit(x)
    statistics = transformer.transform(x[:1])[0].astype(float)
    scaled, position = transformer.steps_.transform(x[:1])[0], 0
    for (differences, dilation), weights, thresholds in zip(
        transformer.views_, transformer.weights_, transformer.thresholds_, strict=True
    ):
        values = np.diff(scaled, axis=0, prepend=scaled[:1]) if differences else scaled
        for kernel in range(weights.shape[1]):
            outputs = np.zeros(25)
            for step in range(25):
                for tap in range(9):
                    at = step + (tap - 4) * dilation
                    if 0 <= at < 25:
                        outputs[step] += weights[2 * tap : 2 * tap + 2, kernel] @ values[at]
            for level, threshold in enumerate(thresholds[:, kernel]):
                share = statistics[position + level * weights.shape[1] + kernel]
                assert abs(share - (outputs > threshold).mean()) <= 1 / 25 + 1e-6
        position += weights.size // len(weights) * 4
    assert position == len(statistics)


def test_thresholds_are_quantiles_of_the_training_rows():
    x = noise(200, 30, 2)
    transformer = features.MiniRocket(values=800, thresholds=8)
    np.testing.assert_allclose(transformer.fit_transform(x).mean(), 0.5, atol=0.02)
    # Far from the training rows, every level kernel is on one side of all its thresholds.
    assert np.abs(transformer.transform(x + 100) - transformer.transform(x)).mean() > 0.1


def test_equal_rows_have_equal_features_in_any_batch():
    x = np.random.default_rng(0).integers(0, 3, size=(50, 12, 2)).astype(np.uint8)
    transformer = features.MiniRocket(values=1000).fit(x)
    whole = transformer.transform(x)
    np.testing.assert_array_equal(np.concatenate([transformer.transform(x[row : row + 1]) for row in range(50)]), whole)


@pytest.mark.parametrize("rows", [40, 120])
def test_scaled_logistic_regression_is_logistic_regression_in_the_span_of_the_rows(rows):
    rng = np.random.default_rng(4)
    x, y = rng.normal(size=(rows, 80)).astype(np.float32), np.arange(rows) % 3
    weight = rng.uniform(0.5, 2, size=rows)
    size = np.sqrt((x**2).sum(axis=1).mean())
    plain = LogisticRegression(C=20, max_iter=500, tol=1e-6).fit(x / size, y, weight)
    scaled_model = ScaledLogisticRegression(C=20, max_iter=500, tol=1e-6).fit(x, y, weight)
    new = rng.normal(size=(10, 80)).astype(np.float32)
    np.testing.assert_allclose(scaled_model.predict_proba(new), plain.predict_proba(new / size), atol=1e-3)


@pytest.mark.parametrize("family", ["rocket", "sequence_trees", "sequence_xgboost"])
def test_classes_that_differ_in_rhythm_alone_are_separated(family):
    rng = np.random.default_rng(3)
    y = np.arange(120) % 2
    x = np.stack([np.roll(wave, rng.integers(60)) for wave in waves(np.where(y, 12.0, 9.0), 72)])
    x = (x + 0.5 * rng.normal(size=x.shape)).astype(np.float32)
    train, valid = Rows(x[:80], y[:80]), Rows(x[80:], y[80:])
    context = FitContext(1, 1, lambda epoch, losses, progress=None, of=None: None)
    problem = Problem("sequence", "binary", 2, {}, "log_loss")
    model = models.get_family(family).fit(Space(defaults), problem, train, valid, context)
    assert ((model.predict(valid.x) > 0.5) == valid.y).mean() > 0.9
