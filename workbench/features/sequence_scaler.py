"""Sequences of unequal length: their lengths, and the scaler that nets and random convolutions use.

A sequence that is shorter than others is padded at its end with steps that are NaN in all channels. NaN elsewhere is a
missing value.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

_FILE = "steps.json"
# Values in a batch.
_BATCH_VALUES = 4 * 2**20
# Standard scores are clipped to ± this value, so that an outlier does not dominate.
_LARGEST_SCORE = 30.0


def sequence_lengths(x: Any) -> np.ndarray:
    """Return the number of steps of each sequence before its padding, (rows,), at least 1."""
    lengths = np.ones(len(x), dtype=np.int64)
    for part, values in _iter_batches(x):
        present = _steps_with_values(values)
        last = present.shape[1] - np.argmax(present[:, ::-1], axis=1)
        lengths[part] = np.where(present.any(axis=1), last, 1)
    return lengths


@dataclass(frozen=True)
class SequenceScaler:
    """A fitted scaler: standard scores of each channel, gaps filled, no more steps than training rows had."""

    steps: int
    """The length of the longest training row."""
    mean: tuple[float, ...]
    """The mean of each channel over the training rows, without their padding."""
    deviation: tuple[float, ...]
    """The standard deviation of each channel; 1 for a constant channel."""
    gaps: tuple[int, ...]
    """The channels with missing values in training rows; a flag for each of them follows the channels."""

    @property
    def values(self) -> int:
        """The number of values of a step."""
        return len(self.mean) + len(self.gaps)

    def transform(self, x: Any) -> np.ndarray:
        """Return (rows, steps, values) float32; padding, and nothing else, is NaN.

        A missing value becomes the last one before it in its channel, or the channel's mean if there is none.
        """
        scaled = np.empty((len(x), self.steps, self.values), np.float32)
        for part, values in _iter_batches(x):
            scaled[part] = self._transform_batch(values)
        return scaled

    def save(self, folder: Path) -> None:
        """Write `steps.json`."""
        (folder / _FILE).write_text(json.dumps(asdict(self)))

    @classmethod
    def load(cls, folder: Path) -> SequenceScaler:
        """Return the scaler that `save` wrote to a folder."""
        fields: Any = json.loads((folder / _FILE).read_text())
        return cls(fields["steps"], *(tuple(fields[name]) for name in ("mean", "deviation", "gaps")))

    def _transform_batch(self, x: np.ndarray) -> np.ndarray:
        unpadded = np.arange(self.steps) < np.minimum(sequence_lengths(x), self.steps)[:, None]
        scores = np.full((len(x), self.steps, len(self.mean)), np.nan, np.float32)
        kept = x[:, : self.steps]
        scaled = (kept - np.array(self.mean, np.float32)) / np.array(self.deviation, np.float32)
        scores[:, : kept.shape[1]] = np.clip(scaled, -_LARGEST_SCORE, _LARGEST_SCORE)
        missing = np.isnan(scores)
        flags = missing[:, :, list(self.gaps)]
        values = np.concatenate([_fill_forward(scores, missing), flags], axis=2, dtype=np.float32)
        values[~unpadded] = np.nan
        return values


def fit_sequence_scaler(x: Any) -> SequenceScaler:
    """Fit the scaler on a fold's training rows, (rows, steps, channels), in memory or on disk."""
    lengths, channels = sequence_lengths(x), x.shape[2]
    counts, sums, squares = np.zeros(channels), np.zeros(channels), np.zeros(channels)
    has_gaps = np.zeros(channels, dtype=bool)
    # Squares of values far from zero would lose their digits.
    origin = _estimate_origin(x)
    for part, values in _iter_batches(x):
        steps = values[np.arange(values.shape[1]) < lengths[part][:, None]] - origin
        known = ~np.isnan(steps)
        steps = np.where(known, steps, 0.0)
        counts, sums, squares = (
            counts + known.sum(axis=0),
            sums + steps.sum(axis=0),
            squares + (steps**2).sum(axis=0),
        )
        has_gaps |= ~known.all(axis=0)
    mean = sums / np.maximum(1, counts)
    deviation = np.sqrt(np.maximum(0.0, squares / np.maximum(1, counts) - mean**2))
    mean += origin
    # The deviation of a constant channel is rounding error; a division by it would amplify noise.
    deviation = np.where(deviation > np.maximum(1e-30, 1e-6 * np.abs(mean)), deviation, 1.0)
    gaps = tuple(np.flatnonzero(has_gaps).tolist())
    return SequenceScaler(int(lengths.max(initial=1)), tuple(mean.tolist()), tuple(deviation.tolist()), gaps)


def _estimate_origin(x: Any) -> np.ndarray:
    """Return the mean of each channel over the first rows, (channels,) float64."""
    first = np.asarray(x[:64], dtype=np.float64).reshape(-1, x.shape[2])
    known = ~np.isnan(first)
    return np.asarray(np.where(known, first, 0.0).sum(axis=0) / np.maximum(1, known.sum(axis=0)))


def _iter_batches(x: Any) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield all rows in order, in batches that fit in memory: their positions, and their values."""
    batch_size = max(1, _BATCH_VALUES // max(1, int(np.prod(x.shape[1:]))))
    for start in range(0, len(x), batch_size):
        part = slice(start, start + batch_size)
        yield part, np.asarray(x[part])


def _steps_with_values(x: np.ndarray) -> np.ndarray:
    """Return which steps have a value in any channel, (rows, steps)."""
    return np.ones(x.shape[:2], dtype=bool) if x.dtype.kind != "f" else ~np.isnan(x).all(axis=2)


def _fill_forward(x: np.ndarray, missing: np.ndarray) -> np.ndarray:
    """Return each channel with missing values replaced by the last value before them, or by 0."""
    if not missing.any():
        return x
    known = np.where(missing, 0, np.arange(x.shape[1])[:, None])
    filled: np.ndarray = np.take_along_axis(x, np.maximum.accumulate(known, axis=1), axis=1)
    return np.where(np.isnan(filled), np.float32(0), filled)
