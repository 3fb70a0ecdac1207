"""Sequences of unequal length: how long each is, and the view of them that nets see.

A sequence that is shorter than others is filled up at its end with steps that are NaN in all channels. NaN elsewhere is
a missing value.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

# What is looked at, or made, at a time: so many values.
_BLOCK = 4 * 2**20
# What lies further out, in deviations, is taken for this: one value must not drown all others.
_FURTHEST = 30.0


def sequence_lengths(x: Any) -> np.ndarray:
    """Return how many steps each sequence has before its padding, (rows,), at least 1."""
    found = np.ones(len(x), dtype=np.int64)
    for part, values in _blocks(x):
        there = _there(values)
        last = there.shape[1] - np.argmax(there[:, ::-1], axis=1)
        found[part] = np.where(there.any(axis=1), last, 1)
    return found


@dataclass(frozen=True)
class SequenceScaler:
    """A fitted view of sequences: one scale, nothing missing but the padding, no more steps than training rows had."""

    steps: int
    """How long the longest training row is."""
    mean: tuple[float, ...]
    """Of each channel, over the training rows' own steps."""
    deviation: tuple[float, ...]
    gaps: tuple[int, ...]
    """The channels in which training rows lack values: each is followed, after all channels, by one that says where."""

    @property
    def values(self) -> int:
        """How many values a step has."""
        return len(self.mean) + len(self.gaps)

    def transform(self, x: Any) -> np.ndarray:
        """Return (rows, steps, values) of float32; padding, and nothing else, is NaN.

        A missing value is the one before it in its channel, or the channel's mean where there is none before it.
        """
        made = np.empty((len(x), self.steps, self.values), np.float32)
        for part, values in _blocks(x):
            made[part] = self._made(values)
        return made

    def save(self, folder: Path) -> None:
        """Write `steps.json`."""
        (folder / "steps.json").write_text(json.dumps(asdict(self)))

    @classmethod
    def load(cls, folder: Path) -> SequenceScaler:
        """Read what `save` wrote."""
        facts: Any = json.loads((folder / "steps.json").read_text())
        return cls(facts["steps"], *(tuple(facts[key]) for key in ("mean", "deviation", "gaps")))

    def _made(self, x: np.ndarray) -> np.ndarray:
        own = np.arange(self.steps) < np.minimum(sequence_lengths(x), self.steps)[:, None]
        scaled = np.full((len(x), self.steps, len(self.mean)), np.nan, np.float32)
        kept = x[:, : self.steps]
        scores = (kept - np.array(self.mean, np.float32)) / np.array(self.deviation, np.float32)
        scaled[:, : kept.shape[1]] = np.clip(scores, -_FURTHEST, _FURTHEST)
        missing = np.isnan(scaled)
        made = np.concatenate([_filled(scaled, missing), missing[:, :, list(self.gaps)]], axis=2, dtype=np.float32)
        made[~own] = np.nan
        return made


def fit_sequence_scaler(x: Any) -> SequenceScaler:
    """Return the view fitted on a fold's training rows; (rows, steps, channels), in memory or on disk."""
    long, channels = sequence_lengths(x), x.shape[2]
    counts, sums, squares = np.zeros(channels), np.zeros(channels), np.zeros(channels)
    lacking = np.zeros(channels, dtype=bool)
    # Squares of values far from zero would lose their digits.
    origin = _origin(x)
    for part, values in _blocks(x):
        own = values[np.arange(values.shape[1]) < long[part][:, None]] - origin
        known = ~np.isnan(own)
        own = np.where(known, own, 0.0)
        counts, sums, squares = counts + known.sum(axis=0), sums + own.sum(axis=0), squares + (own**2).sum(axis=0)
        lacking |= ~known.all(axis=0)
    mean = sums / np.maximum(1, counts)
    deviation = np.sqrt(np.maximum(0.0, squares / np.maximum(1, counts) - mean**2))
    mean += origin
    # Division by what rounding has left of a constant would make noise of it.
    deviation = np.where(deviation > np.maximum(1e-30, 1e-6 * np.abs(mean)), deviation, 1.0)
    gaps = tuple(np.flatnonzero(lacking).tolist())
    return SequenceScaler(int(long.max(initial=1)), tuple(mean.tolist()), tuple(deviation.tolist()), gaps)


def _origin(x: Any) -> np.ndarray:
    """Return a value of each channel near to the others, (channels,) of float64."""
    first = np.asarray(x[:64], dtype=np.float64).reshape(-1, x.shape[2])
    known = ~np.isnan(first)
    return np.asarray(np.where(known, first, 0.0).sum(axis=0) / np.maximum(1, known.sum(axis=0)))


def _blocks(x: Any) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield all rows in order, not too many at a time: which they are, and their values."""
    count = max(1, _BLOCK // max(1, int(np.prod(x.shape[1:]))))
    for start in range(0, len(x), count):
        part = slice(start, start + count)
        yield part, np.asarray(x[part])


def _there(x: np.ndarray) -> np.ndarray:
    """Return where there is a value at all, (rows, steps)."""
    return np.ones(x.shape[:2], dtype=bool) if x.dtype.kind != "f" else ~np.isnan(x).all(axis=2)


def _filled(x: np.ndarray, missing: np.ndarray) -> np.ndarray:
    """Return each channel with the last value before it, or 0, where one is missing."""
    if not missing.any():
        return x
    known = np.where(missing, 0, np.arange(x.shape[1])[:, None])
    filled: np.ndarray = np.take_along_axis(x, np.maximum.accumulate(known, axis=1), axis=1)
    return np.where(np.isnan(filled), np.float32(0), filled)
