"""Sequences -> how often random convolutions exceed thresholds, after MiniRocket (Dempster et al., 2021).

As in MiniRocket, a kernel spans nine steps, three of which have a larger weight, at dilations that grow up to the
length of a sequence, and the features are the proportion of positive values (PPV) for several thresholds. Three things
differ:

- half of the kernels sum the three steps alone, so that they see levels and not only changes;
- a kernel projects the channels on a random direction;
- thresholds are quantiles over many rows.

The first change improved a linear model on windows of walking most.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, product
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin

from workbench.features.sequence_scaler import fit_sequence_scaler, sequence_lengths

_KERNEL_SIZE = 9
_HEAVY_STEPS = np.array(list(combinations(range(_KERNEL_SIZE), 3)))
# Share of level kernels among those that are not applied to differences.
_LEVEL_SHARE = 0.5
_DILATIONS = 8
# Thresholds are fitted on at most this many rows, fewer if they are long, and on about this many outputs.
_SAMPLE_SIZE, _SAMPLE_OUTPUTS = 256, 5_000
# An output exceeds a threshold by more than rounding, so that a row's features do not depend on its batch.
_MARGIN = 1e-3
# Values in a batch.
_BATCH_VALUES = 4_000_000


class MiniRocket(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Sequences -> (rows, about `values`) float32, shares from 0 to 1."""

    def __init__(self, values: int = 6000, thresholds: int = 8, differences: bool = True, seed: int = 0) -> None:
        """Set the options.

        Args:
            values: the approximate number of features.
            thresholds: thresholds of each kernel.
            differences: whether half of the kernels are applied to the differences between steps.
            seed: of all random draws.
        """
        self.values, self.thresholds, self.differences, self.seed = values, thresholds, differences, seed

    def fit(self, x: Any, y: Any = None) -> MiniRocket:
        """Draw the kernels, and fit the scales of the channels and the thresholds."""
        rng = np.random.default_rng(self.seed)
        self.steps_ = fit_sequence_scaler(x)
        reach = np.log2(max(1, (self.steps_.steps - 1) / (_KERNEL_SIZE - 1)))
        dilations = np.unique((2 ** np.linspace(0, reach, _DILATIONS)).astype(int)).tolist()
        self.views_ = list(product([False, True] if self.differences else [False], dilations))
        count = max(1, round(self.values / self.thresholds / len(self.views_)))
        self.weights_ = [_draw_kernels(rng, count, x.shape[2], differences) for differences, _ in self.views_]
        size = max(1, min(_SAMPLE_SIZE, 10 * _BATCH_VALUES // (self.steps_.steps * len(self.weights_[0]))))
        sample = np.asarray(x[np.sort(rng.permutation(len(x))[:size])])
        levels = (np.arange(self.thresholds) + 0.5) / self.thresholds
        self.thresholds_ = [
            np.quantile(outputs, levels, axis=0).astype(np.float32) for outputs in self._sample_outputs(sample)
        ]
        return self

    def transform(self, x: Any) -> np.ndarray:
        """Return the features of sequences, (rows, steps, channels)."""
        inputs, kernels = self.weights_[0].shape
        batch_size = max(1, _BATCH_VALUES // (self.steps_.steps * (inputs + kernels)))
        features = np.empty((len(x), kernels * self.thresholds * len(self.views_)), np.float32)
        for start in range(0, len(x), batch_size):
            for rows, values in self._group_by_length(np.asarray(x[start : start + batch_size])):
                shares = [
                    _positive_shares(_convolve(values, weights, *view), thresholds)
                    for view, weights, thresholds in zip(self.views_, self.weights_, self.thresholds_, strict=True)
                ]
                features[start + rows] = np.concatenate(shares, axis=1)
        return features

    def _group_by_length(self, x: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the rows of each length: their positions, and their scaled values without padding."""
        # The scaler appends flags of missing values to the channels; the kernels do not use them.
        x = self.steps_.transform(x)[:, :, : x.shape[2]]
        lengths = sequence_lengths(x)
        for length in np.unique(lengths):
            rows = np.flatnonzero(lengths == length)
            yield rows, x[rows, :length]

    def _sample_outputs(self, x: np.ndarray) -> Iterator[np.ndarray]:
        """Yield for each pair of differences and dilation a sample of the kernels' outputs, (outputs, kernels)."""
        groups = [values for _, values in self._group_by_length(x)]
        for view, weights in zip(self.views_, self.weights_, strict=True):
            outputs = [_convolve(values, weights, *view).reshape(-1, weights.shape[1]) for values in groups]
            stacked = np.concatenate(outputs)
            yield stacked[:: max(1, len(stacked) // _SAMPLE_OUTPUTS)]


def _draw_kernels(rng: np.random.Generator, count: int, channels: int, differences: bool) -> np.ndarray:
    """Return the weights of kernels, (nine steps × channels, count); for differences they sum to 0 over time."""
    repeats = -(-count // len(_HEAVY_STEPS))
    order = np.concatenate([rng.permutation(len(_HEAVY_STEPS)) for _ in range(repeats)])[:count]
    time = np.zeros((count, _KERNEL_SIZE))
    np.put_along_axis(time, _HEAVY_STEPS[order], 1, axis=1)
    zero_sum = differences | (rng.random(count) >= _LEVEL_SHARE)
    time[zero_sum] = 3 * time[zero_sum] - 1
    direction = rng.normal(size=(count, channels))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    return np.asarray((time[:, :, None] * direction[:, None, :]).reshape(count, -1).T, dtype=np.float32)


def _convolve(x: np.ndarray, weights: np.ndarray, differences: bool, dilation: int) -> np.ndarray:
    """Return the outputs of kernels at every step, (rows, steps, kernels); rows are padded with 0, their mean."""
    if differences:
        x = np.diff(x, axis=1, prepend=x[:, :1])
    steps, margin = x.shape[1], dilation * (_KERNEL_SIZE // 2)
    padded = np.pad(x, ((0, 0), (margin, margin), (0, 0)))
    taps = [padded[:, tap * dilation : tap * dilation + steps] for tap in range(_KERNEL_SIZE)]
    return np.asarray(np.concatenate(taps, axis=2) @ weights)


def _positive_shares(outputs: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """Return the share of steps with an output above each threshold, (rows, thresholds × kernels)."""
    above = [(outputs > threshold + _MARGIN).sum(axis=1, dtype=np.uint32) for threshold in thresholds]
    return np.concatenate(above, axis=1) / np.float32(outputs.shape[1])
