"""The data that Keras's `fit` and `predict` receive: small arrays as they are, large arrays in batches.

A large array may lie on disk. It needs `shape`, `dtype`, `len` and `array[rows]`, whose result `numpy.asarray` accepts.
Bytes stay bytes; the net scales them.
"""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np

from workbench.array import Array
from workbench.features import SequenceScaler
from workbench.models.nn.mixup import Mixup

# Arrays up to this size go to Keras whole: it copies them once, and its own batches are the fastest.
MAX_IN_MEMORY_BYTES = 256 * 2**20
# The most input values of a prediction batch; a net's activations are many times as large.
MAX_PREDICTION_VALUES = 400_000


class Batches(keras.utils.PyDataset):  # type: ignore[misc]  # Keras has no types
    """Batches of the rows of one array, or of a list of arrays.

    Training batches are shuffled every epoch, and mixed on request.
    """

    def __init__(
        self,
        x: Any,
        y: Array | None = None,
        sample_weight: Array | None = None,
        *,
        batch_size: int,
        seed: int | None = None,
        mixup: Mixup | None = None,
    ) -> None:
        """Serve the rows in their order without a seed, shuffled with one."""
        super().__init__()
        self._x, self._y, self._sample_weight = x, y, sample_weight
        self._batch_size, self._seed, self._mixup = batch_size, seed, mixup
        self._epoch = 0
        self._order = self._shuffle()

    def __len__(self) -> int:
        """Return the number of batches."""
        return math.ceil(count_rows(self._x) / self._batch_size)

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        """Return a batch: inputs, then targets and sample weights if there are any."""
        rows = self._order[index * self._batch_size : (index + 1) * self._batch_size]
        x = _select_rows(self._x, slice(rows[0], rows[-1] + 1) if self._seed is None else rows)
        if self._y is None:
            return (x,)
        y, weight = self._y[rows], None if self._sample_weight is None else self._sample_weight[rows]
        if self._mixup is not None and self._seed is not None:
            x, y, weight = self._mixup.mix(x, y, weight, seed=(self._seed, self._epoch, index))
        return (x, y) if weight is None else (x, y, weight)

    def on_epoch_end(self) -> None:
        """Shuffle the rows again."""
        self._epoch += 1
        self._order = self._shuffle()

    def _shuffle(self) -> Array:
        if self._seed is None:
            return np.arange(count_rows(self._x))
        return np.random.default_rng((self._seed, self._epoch)).permutation(count_rows(self._x))


class ScaledSequences:
    """Sequences that are scaled when rows are read: scaled sequences can be larger in memory than on disk."""

    dtype = np.dtype(np.float32)

    def __init__(self, scaler: SequenceScaler, x: Any) -> None:
        """Scale the rows of `x` with a fitted scaler."""
        self._scaler, self._x = scaler, x
        self.shape = (len(x), scaler.steps, scaler.values)

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self._x)

    def __getitem__(self, rows: Any) -> Array:
        """Return the rows of a slice or of an index array."""
        return self._scaler.transform(self._x[rows])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        """Return all rows."""
        return self._scaler.transform(self._x)


def to_numpy(x: Any) -> Array:
    """Return rows as a NumPy array: floats as float32, bytes and integer codes unchanged."""
    return np.asarray(x, dtype=np.float32 if np.dtype(x.dtype).kind == "f" else None)


def fits_in_memory(x: Any) -> bool:
    """Return whether Keras receives an array whole; for a list, whether all its arrays are in memory."""
    if isinstance(x, list):
        return all(isinstance(part, np.ndarray) for part in x)
    return bool(math.prod(x.shape) * np.dtype(x.dtype).itemsize <= MAX_IN_MEMORY_BYTES)


def count_rows(x: Any) -> int:
    """Return the number of rows of an array or of a list of arrays."""
    return len(x[0]) if isinstance(x, list) else len(x)


def choose_prediction_batch_size(x: Any) -> int:
    """Return the batch size for predictions: smaller for larger rows."""
    values = max(math.prod(part.shape[1:3]) for part in (x if isinstance(x, list) else [x]))
    return int(np.clip(MAX_PREDICTION_VALUES // max(1, values), 16, 4096))


def _select_rows(x: Any, rows: Any) -> Any:
    """Return some rows of an array, or a tuple of them for a list of arrays."""
    return tuple(to_numpy(part[rows]) for part in x) if isinstance(x, list) else to_numpy(x[rows])
