"""Sequences -> how often random convolutions of them exceed thresholds, after MiniRocket (Dempster et al., 2021).

As there, a kernel spans nine steps, of which three weigh more, at dilations that grow to the length of a row; what is
told of its output is the share of steps above each of some thresholds. Three things differ: half of the kernels are
sums of the three steps alone, so that they see levels and not only changes; a kernel looks at the channels from a
random direction; thresholds are quantiles over many rows. Of the three, the first made a linear model on windows of
walking better by most.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, product
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin

from workbench.features.sequence_scaler import fit_sequence_scaler, sequence_lengths

_SPAN = 9
_HEAVY = np.array(list(combinations(range(_SPAN), 3)))
# The share of kernels that see levels, where it is not differences that they see.
_LEVELS = 0.5
_DILATIONS = 8
# From so many rows, fewer where they are long, thresholds are learnt, and from so many of their steps, about.
_SAMPLE, _OUTPUTS = 256, 5_000
# Above a threshold is what is above by more than rounding: the same row must be told the same among any others.
_MARGIN = 1e-3
# Values looked at together.
_AT_A_TIME = 4_000_000


class MiniRocket(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Sequences -> a matrix (rows, about `values`) of float32, shares from 0 to 1."""

    def __init__(self, values: int = 6000, thresholds: int = 8, differences: bool = True, seed: int = 0) -> None:
        """Tell so many values of a row.

        Args:
            values: how many, about.
            thresholds: how many of them are told of each kernel.
            differences: whether half of the kernels see the differences from step to step.
            seed: of all that is drawn.
        """
        self.values, self.thresholds, self.differences, self.seed = values, thresholds, differences, seed

    def fit(self, x: Any, y: Any = None) -> MiniRocket:
        """Draw the kernels, and learn scales and thresholds from the rows."""
        rng = np.random.default_rng(self.seed)
        self.steps_ = fit_sequence_scaler(x)
        reach = np.log2(max(1, (self.steps_.steps - 1) / (_SPAN - 1)))
        dilations = np.unique((2 ** np.linspace(0, reach, _DILATIONS)).astype(int)).tolist()
        self.views_ = list(product([False, True] if self.differences else [False], dilations))
        count = max(1, round(self.values / self.thresholds / len(self.views_)))
        self.weights_ = [_weights(rng, count, x.shape[2], changes) for changes, _ in self.views_]
        few = max(1, min(_SAMPLE, 10 * _AT_A_TIME // (self.steps_.steps * len(self.weights_[0]))))
        sample = np.asarray(x[np.sort(rng.permutation(len(x))[:few])])
        levels = (np.arange(self.thresholds) + 0.5) / self.thresholds
        self.thresholds_ = [np.quantile(each, levels, axis=0).astype(np.float32) for each in self._outputs(sample)]
        return self

    def transform(self, x: Any) -> np.ndarray:
        """Return the shares for sequences, (rows, steps, channels)."""
        inputs, kernels = self.weights_[0].shape
        count = max(1, _AT_A_TIME // (self.steps_.steps * (inputs + kernels)))
        made = np.empty((len(x), kernels * self.thresholds * len(self.views_)), np.float32)
        for start in range(0, len(x), count):
            for rows, values in self._whole(np.asarray(x[start : start + count])):
                shares = [
                    _shares(_convolved(values, weights, *view), thresholds)
                    for view, weights, thresholds in zip(self.views_, self.weights_, self.thresholds_, strict=True)
                ]
                made[start + rows] = np.concatenate(shares, axis=1)
        return made

    def _whole(self, x: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the rows of each length: their numbers, and their values, scaled, without padding."""
        # What follows the channels says where values lack; the kernels are about what there is.
        x = self.steps_.transform(x)[:, :, : x.shape[2]]
        long = sequence_lengths(x)
        for length in np.unique(long):
            rows = np.flatnonzero(long == length)
            yield rows, x[rows, :length]

    def _outputs(self, x: np.ndarray) -> Iterator[np.ndarray]:
        """Yield for each view some outputs of its kernels, (steps of rows, kernels)."""
        groups = [values for _, values in self._whole(x)]
        for view, weights in zip(self.views_, self.weights_, strict=True):
            outputs = [_convolved(values, weights, *view).reshape(-1, weights.shape[1]) for values in groups]
            joined = np.concatenate(outputs)
            yield joined[:: max(1, len(joined) // _OUTPUTS)]


def _weights(rng: np.random.Generator, count: int, channels: int, changes: bool) -> np.ndarray:
    """Return the weights of kernels, (nine steps × channels, count); if they see changes, they sum to 0 over time."""
    rounds = -(-count // len(_HEAVY))
    order = np.concatenate([rng.permutation(len(_HEAVY)) for _ in range(rounds)])[:count]
    time = np.zeros((count, _SPAN))
    np.put_along_axis(time, _HEAVY[order], 1, axis=1)
    zeroed = changes | (rng.random(count) >= _LEVELS)
    time[zeroed] = 3 * time[zeroed] - 1
    across = rng.normal(size=(count, channels))
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    return np.asarray((time[:, :, None] * across[:, None, :]).reshape(count, -1).T, dtype=np.float32)


def _convolved(x: np.ndarray, weights: np.ndarray, differences: bool, dilation: int) -> np.ndarray:
    """Return the outputs of kernels at every step, (rows, steps, kernels); beyond its ends a row is 0, its mean."""
    if differences:
        x = np.diff(x, axis=1, prepend=x[:, :1])
    count, beyond = x.shape[1], dilation * (_SPAN // 2)
    padded = np.pad(x, ((0, 0), (beyond, beyond), (0, 0)))
    around = [padded[:, place * dilation : place * dilation + count] for place in range(_SPAN)]
    return np.asarray(np.concatenate(around, axis=2) @ weights)


def _shares(outputs: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """Return the share of steps at which each kernel's output is above each threshold, (rows, thresholds × kernels)."""
    above = [(outputs > threshold + _MARGIN).sum(axis=1, dtype=np.uint32) for threshold in thresholds]
    return np.concatenate(above, axis=1) / np.float32(outputs.shape[1])
