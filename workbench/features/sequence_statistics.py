"""Sequences -> statistics of each as a whole: level, shape, segments, autocorrelations and spectrum of its channels.

Rows are grouped by length and lose their padding, so that padding cannot change the statistics.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin

from workbench.features.sequence_scaler import sequence_lengths

# Values in a batch; the statistics take about ten times as much memory.
_BATCH_VALUES = 1_000_000
_QUANTILES = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)
# A deviation below this share of a channel's largest value is rounding error.
_SMALLEST_DEVIATION = 1e-6
# Smaller shares of power count as this share.
_SMALLEST_POWER = 1e-6
# scikit-learn's trees refuse values beyond float32's range.
_LARGEST = 1e30


class SequenceStatistics(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Sequences -> (rows, values) float32; NaN is the level of a channel without any value in the row.

    With several channels, their Euclidean norm is a further one: the length of a vector does not depend on the
    orientation of the sensor.
    """

    def __init__(self, differences: bool = False, parts: int = 4, lags: int = 8, bands: int = 16) -> None:
        """Set the options.

        Args:
            differences: whether to add the statistics of the differences between steps.
            parts: segments of a row with a mean and a mean square each; 0 for none.
            lags: the number of autocorrelations, at lags 1, 2, 3, 4, 6, 8, 12, …; 0 for none.
            bands: bands of the spectrum, of equal width; 0 for no spectrum.
        """
        self.differences, self.parts, self.lags, self.bands = differences, parts, lags, bands

    def fit(self, x: Any, y: Any = None) -> SequenceStatistics:
        """Return the transformer; there is nothing to fit."""
        return self

    def transform(self, x: Any) -> np.ndarray:
        """Return the statistics of sequences, (rows, steps, channels)."""
        batch_size = max(1, _BATCH_VALUES // max(1, x.shape[1] * x.shape[2]))
        starts = range(0, len(x), batch_size)
        return np.concatenate([self._transform_batch(np.asarray(x[start : start + batch_size])) for start in starts])

    def __sklearn_is_fitted__(self) -> bool:
        """Tell scikit-learn that there is nothing to fit."""
        return True

    def _transform_batch(self, x: np.ndarray) -> np.ndarray:
        lengths = sequence_lengths(x)
        groups = [np.flatnonzero(lengths == length) for length in np.unique(lengths)]
        statistics = [
            np.concatenate(list(self._iter_statistics(x[rows, : lengths[rows[0]]].astype(np.float64))), axis=1)
            for rows in groups
        ]
        in_row_order = np.concatenate(statistics)[np.argsort(np.concatenate(groups))]
        return np.asarray(np.clip(in_row_order, -_LARGEST, _LARGEST), dtype=np.float32)

    def _iter_statistics(self, x: np.ndarray) -> Iterator[np.ndarray]:
        """Yield (rows, values) for sequences of one length, (rows, steps, channels)."""
        yield np.isnan(x).mean(axis=1)
        x = _interpolate(x)
        if x.shape[2] > 1:
            yield _correlations(x)
            x = np.concatenate([x, np.linalg.norm(x, axis=2, keepdims=True)], axis=2)
        for values in [x, np.diff(x, axis=1, prepend=x[:, :1])] if self.differences else [x]:
            scores = _standard_scores(values)
            yield _level(values)
            yield _shape(scores)
            if self.parts:
                yield _segment_means(scores, self.parts)
            if self.lags:
                yield _autocorrelations(scores, self.lags)
            if self.bands:
                yield _spectrum(scores, self.bands)


def _interpolate(x: np.ndarray) -> np.ndarray:
    """Return sequences with missing values interpolated linearly; a channel without any value stays NaN."""
    missing = np.isnan(x)
    if not missing.any():
        return x
    x, steps = x.copy(), np.arange(x.shape[1])
    for row, channel in np.argwhere(missing.any(axis=1) & ~missing.all(axis=1)):
        gaps, values = missing[row, :, channel], x[row, :, channel]
        x[row, gaps, channel] = np.interp(steps[gaps], steps[~gaps], values[~gaps])
    return x


def _standard_scores(x: np.ndarray) -> np.ndarray:
    """Return standard scores within each row and channel, 0 for a constant or unknown channel."""
    deviation = x.std(axis=1, keepdims=True)
    varies = deviation > _SMALLEST_DEVIATION * np.abs(x).max(axis=1, keepdims=True)
    return np.where(varies, (x - x.mean(axis=1, keepdims=True)) / np.where(varies, deviation, 1), 0)


def _correlations(x: np.ndarray) -> np.ndarray:
    """Return the correlation of each pair of channels, (rows, pairs)."""
    scores = _standard_scores(x)
    pairs = np.triu_indices(x.shape[2], 1)
    return np.asarray((np.swapaxes(scores, 1, 2) @ scores)[:, *pairs] / x.shape[1])


def _level(x: np.ndarray) -> np.ndarray:
    """Return mean, deviation, mean absolute value, extremes and quantiles of each channel."""
    moments = [x.mean(axis=1), x.std(axis=1), np.abs(x).mean(axis=1), x.min(axis=1), x.max(axis=1)]
    return np.concatenate([*moments, *np.quantile(x, _QUANTILES, axis=1)], axis=1)


def _shape(scores: np.ndarray) -> np.ndarray:
    """Return skewness, kurtosis, trend, and the shares of steps that cross 0 and that are peaks."""
    steps = scores.shape[1]
    time = _standard_scores(np.arange(steps, dtype=np.float64)[None, :, None])
    crossings = np.diff(scores > 0, axis=1).sum(axis=1) / steps
    peaks = ((scores[:, 1:-1] > scores[:, :-2]) & (scores[:, 1:-1] >= scores[:, 2:])).sum(axis=1) / steps
    moments = [(scores**3).mean(axis=1), (scores**4).mean(axis=1), (scores * time).mean(axis=1)]
    return np.concatenate([*moments, crossings, peaks], axis=1)


def _segment_means(scores: np.ndarray, segments: int) -> np.ndarray:
    """Return mean and mean square of each segment of the row; the segments' lengths differ by at most one."""
    edges = np.arange(segments + 1) * scores.shape[1] // segments
    counts = np.maximum(1, np.diff(edges))[:, None]
    means = [np.add.reduceat(scores**power, edges[:-1], axis=1) / counts for power in (1, 2)]
    return np.concatenate(means, axis=1).reshape(len(scores), -1)


def _autocorrelations(scores: np.ndarray, count: int) -> np.ndarray:
    """Return autocorrelations at some lags, and the lag and height of the highest peak.

    The peak is searched from the first lag without positive correlation. Lags beyond the row's length give 0.
    """
    steps = scores.shape[1]
    power = np.abs(np.fft.rfft(scores, 2 * steps, axis=1)) ** 2
    correlations = np.fft.irfft(power, 2 * steps, axis=1)[:, :steps] / steps
    later = np.where(np.maximum.accumulate(correlations <= 0, axis=1), correlations, 0)
    lags = np.unique([lag for power in range(count) for lag in (2**power, 3 * 2**power // 2)])[:count]
    at_lags = np.where((lags < steps)[:, None], correlations[:, np.minimum(lags, steps - 1)], 0)
    return np.concatenate([at_lags.reshape(len(scores), -1), later.argmax(axis=1) / steps, later.max(axis=1)], axis=1)


def _spectrum(scores: np.ndarray, bands: int) -> np.ndarray:
    """Return log shares of power in bands, and the frequency of the peak, centroid, spread and entropy.

    Frequencies are in cycles per step, up to ½, whatever the length: a short row is padded with zeros until every band
    has some frequencies.
    """
    steps = scores.shape[1]
    size = max(steps, 4 * bands)
    power = np.abs(np.fft.rfft(scores * np.hanning(steps + 2)[1:-1, None], size, axis=1))[:, 1:] ** 2
    total = power.sum(axis=1, keepdims=True)
    share = power / np.where(total > 0, total, 1)
    frequency = np.fft.rfftfreq(size)[1:, None]
    in_bands = np.add.reduceat(share, np.arange(bands) * len(frequency) // bands, axis=1).reshape(len(scores), -1)
    centroid = (share * frequency).sum(axis=1)
    spread = np.sqrt(np.maximum(0, (share * frequency**2).sum(axis=1) - centroid**2))
    entropy = -(share * np.log(np.maximum(share, _SMALLEST_POWER))).sum(axis=1) / np.log(len(frequency))
    peak = frequency[share.argmax(axis=1), 0]
    return np.concatenate([np.log10(np.maximum(in_bands, _SMALLEST_POWER)), peak, centroid, spread, entropy], axis=1)
