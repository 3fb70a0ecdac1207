"""Sequences -> what can be said of each as a whole: level, form, parts, echoes and spectrum of its channels.

Rows are taken group by group of one length, without their padding, so that padding cannot change what is said of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin

from workbench.features.sequence_scaler import sequence_lengths

# Values looked at together; what is made of them takes some ten times as much memory.
_AT_A_TIME = 1_000_000
_QUANTILES = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)
# A deviation below this share of a channel's size is rounding, not movement.
_STILL = 1e-6
# Shares of power below this are nothing.
_SILENCE = 1e-6
# What trees of scikit-learn can tell apart, and more than most measurements reach.
_LARGEST = 1e30


class SequenceStatistics(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Sequences -> a matrix (rows, values) of float32; NaN is the level of a channel without any value in the row.

    Beside the channels, their norm is looked at where there are several: the length of a vector does not depend on how
    the sensor was turned.
    """

    def __init__(self, differences: bool = False, parts: int = 4, lags: int = 8, bands: int = 16) -> None:
        """Look at so many parts, lags and bands.

        Args:
            differences: whether all is said of the differences from step to step, too.
            parts: the parts of a row whose mean and mean square are told; 0 for none.
            lags: how many autocorrelations are told, at lags 1, 2, 3, 4, 6, 8, 12, …; 0 for none.
            bands: the bands of the spectrum, equally wide; 0 for no spectrum.
        """
        self.differences, self.parts, self.lags, self.bands = differences, parts, lags, bands

    def fit(self, x: Any, y: Any = None) -> SequenceStatistics:
        """Learn nothing."""
        return self

    def transform(self, x: Any) -> np.ndarray:
        """Return the summaries of sequences, (rows, steps, channels)."""
        count = max(1, _AT_A_TIME // max(1, x.shape[1] * x.shape[2]))
        made = [self._some(np.asarray(x[start : start + count])) for start in range(0, len(x), count)]
        return np.concatenate(made)

    def __sklearn_is_fitted__(self) -> bool:
        """Tell scikit-learn that there is nothing to fit."""
        return True

    def _some(self, x: np.ndarray) -> np.ndarray:
        long = sequence_lengths(x)
        groups = [np.flatnonzero(long == length) for length in np.unique(long)]
        said = [
            np.concatenate(list(self._said(x[rows, : long[rows[0]]].astype(np.float64))), axis=1) for rows in groups
        ]
        # Back into the order in which the rows came.
        ordered = np.concatenate(said)[np.argsort(np.concatenate(groups))]
        return np.asarray(np.clip(ordered, -_LARGEST, _LARGEST), dtype=np.float32)

    def _said(self, x: np.ndarray) -> Iterator[np.ndarray]:
        """Yield (rows, values) for sequences of one length, (rows, steps, channels)."""
        yield np.isnan(x).mean(axis=1)
        x = _filled(x)
        if x.shape[2] > 1:
            yield _correlations(x)
            x = np.concatenate([x, np.linalg.norm(x, axis=2, keepdims=True)], axis=2)
        for values in [x, np.diff(x, axis=1, prepend=x[:, :1])] if self.differences else [x]:
            scores = _scores(values)
            yield _level(values)
            yield _form(scores)
            if self.parts:
                yield _parts(scores, self.parts)
            if self.lags:
                yield _echoes(scores, self.lags)
            if self.bands:
                yield _spectrum(scores, self.bands)


def _filled(x: np.ndarray) -> np.ndarray:
    """Return sequences whose missing values lie between their neighbours; a channel without any value stays NaN."""
    missing = np.isnan(x)
    if not missing.any():
        return x
    x, steps = x.copy(), np.arange(x.shape[1])
    for row, channel in np.argwhere(missing.any(axis=1) & ~missing.all(axis=1)):
        gaps, values = missing[row, :, channel], x[row, :, channel]
        x[row, gaps, channel] = np.interp(steps[gaps], steps[~gaps], values[~gaps])
    return x


def _scores(x: np.ndarray) -> np.ndarray:
    """Return standard scores within each row and channel, all 0 where nothing moves or nothing is known."""
    deviation = x.std(axis=1, keepdims=True)
    moves = deviation > _STILL * np.abs(x).max(axis=1, keepdims=True)
    return np.where(moves, (x - x.mean(axis=1, keepdims=True)) / np.where(moves, deviation, 1), 0)


def _correlations(x: np.ndarray) -> np.ndarray:
    """Return the correlation of each pair of channels, (rows, pairs)."""
    scores = _scores(x)
    pairs = np.triu_indices(x.shape[2], 1)
    return np.asarray((np.swapaxes(scores, 1, 2) @ scores)[:, *pairs] / x.shape[1])


def _level(x: np.ndarray) -> np.ndarray:
    """Return mean, deviation, mean size, extremes and quantiles of each channel."""
    where = [x.mean(axis=1), x.std(axis=1), np.abs(x).mean(axis=1), x.min(axis=1), x.max(axis=1)]
    return np.concatenate([*where, *np.quantile(x, _QUANTILES, axis=1)], axis=1)


def _form(x: np.ndarray) -> np.ndarray:
    """Return of standard scores skewness, kurtosis, trend, and the shares of steps that cross 0 and that are peaks."""
    steps = x.shape[1]
    time = _scores(np.arange(steps, dtype=np.float64)[None, :, None])
    crossings = np.diff(x > 0, axis=1).sum(axis=1) / steps
    peaks = ((x[:, 1:-1] > x[:, :-2]) & (x[:, 1:-1] >= x[:, 2:])).sum(axis=1) / steps
    return np.concatenate([(x**3).mean(axis=1), (x**4).mean(axis=1), (x * time).mean(axis=1), crossings, peaks], axis=1)


def _parts(x: np.ndarray, parts: int) -> np.ndarray:
    """Return mean and mean square of standard scores in parts of the row, as equal in length as they can be."""
    edges = np.arange(parts + 1) * x.shape[1] // parts
    counts = np.maximum(1, np.diff(edges))[:, None]
    means = [np.add.reduceat(x**power, edges[:-1], axis=1) / counts for power in (1, 2)]
    return np.concatenate(means, axis=1).reshape(len(x), -1)


def _echoes(x: np.ndarray, lags: int) -> np.ndarray:
    """Return autocorrelations of standard scores at some lags, and the lag and height of the highest echo.

    The echo is looked for from the first lag on at which there is no correlation. Lags beyond the row's length give 0.
    """
    steps = x.shape[1]
    power = np.abs(np.fft.rfft(x, 2 * steps, axis=1)) ** 2
    found = np.fft.irfft(power, 2 * steps, axis=1)[:, :steps] / steps
    later = np.where(np.maximum.accumulate(found <= 0, axis=1), found, 0)
    told = np.unique([lag for power in range(lags) for lag in (2**power, 3 * 2**power // 2)])[:lags]
    at = np.where((told < steps)[:, None], found[:, np.minimum(told, steps - 1)], 0)
    return np.concatenate([at.reshape(len(x), -1), later.argmax(axis=1) / steps, later.max(axis=1)], axis=1)


def _spectrum(x: np.ndarray, bands: int) -> np.ndarray:
    """Return log shares of power in bands, and the frequency of the peak, centroid, spread and entropy.

    Frequencies are cycles a step, up to ½, whatever the length: a short row is continued with zeros, as many as it
    takes for every band to have some frequencies.
    """
    steps = x.shape[1]
    size = max(steps, 4 * bands)
    power = np.abs(np.fft.rfft(x * np.hanning(steps + 2)[1:-1, None], size, axis=1))[:, 1:] ** 2
    total = power.sum(axis=1, keepdims=True)
    share = power / np.where(total > 0, total, 1)
    frequency = np.fft.rfftfreq(size)[1:, None]
    inside = np.add.reduceat(share, np.arange(bands) * len(frequency) // bands, axis=1).reshape(len(x), -1)
    centroid = (share * frequency).sum(axis=1)
    spread = np.sqrt(np.maximum(0, (share * frequency**2).sum(axis=1) - centroid**2))
    entropy = -(share * np.log(np.maximum(share, _SILENCE))).sum(axis=1) / np.log(len(frequency))
    peak = frequency[share.argmax(axis=1), 0]
    return np.concatenate([np.log10(np.maximum(inside, _SILENCE)), peak, centroid, spread, entropy], axis=1)
