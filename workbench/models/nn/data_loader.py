"""What a net is fed with: arrays as they are where they are small, batches of rows where they are large.

A large array may lie on disk: all that is asked of it is `shape`, `dtype`, `len` and `array[rows]`, which gives what
`numpy.asarray` takes. Bytes stay bytes, to be scaled in the net.
"""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np

from workbench.features import SequenceScaler
from workbench.models.nn.mixup import Mixup

# What goes into memory whole: Keras copies it once, and its batches cost least.
WHOLE = 256 * 2**20
# How many values of the rows there may be in a batch for predictions; a net's own values are many times as many.
PREDICTED_VALUES = 400_000


class Batches(keras.utils.PyDataset):  # type: ignore[misc]  # Keras has no types
    """Batches of the rows of an array, or of a list of some.

    To learn from, they come in another order every epoch, and mixed if asked.
    """

    def __init__(
        self,
        x: Any,
        y: np.ndarray | None = None,
        weight: np.ndarray | None = None,
        *,
        batch: int,
        seed: int | None = None,
        mixing: Mixup | None = None,
    ) -> None:
        """Serve rows in their order, or shuffled where there is a seed."""
        super().__init__()
        self._x, self._y, self._weight = x, y, weight
        self._batch, self._seed, self._mixing = batch, seed, mixing
        self._epoch = 0
        self._order = self._shuffled()

    def __len__(self) -> int:
        """Return the number of batches."""
        return math.ceil(count_rows(self._x) / self._batch)

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        """Return inputs, and targets and weights where there are any."""
        rows = self._order[index * self._batch : (index + 1) * self._batch]
        x = _some(self._x, slice(rows[0], rows[-1] + 1) if self._seed is None else rows)
        if self._y is None:
            return (x,)
        y, weight = self._y[rows], None if self._weight is None else self._weight[rows]
        if self._mixing is not None and self._seed is not None:
            x, y, weight = self._mixing.mixed(x, y, weight, seed=(self._seed, self._epoch, index))
        return (x, y) if weight is None else (x, y, weight)

    def on_epoch_end(self) -> None:
        """Deal the rows anew."""
        self._epoch += 1
        self._order = self._shuffled()

    def _shuffled(self) -> np.ndarray:
        if self._seed is None:
            return np.arange(count_rows(self._x))
        return np.random.default_rng((self._seed, self._epoch)).permutation(count_rows(self._x))


class LazySequences:
    """Sequences through a view of theirs, made when rows are asked for: in memory they may be larger than on disk."""

    dtype = np.dtype(np.float32)

    def __init__(self, view: SequenceScaler, x: Any) -> None:
        """See all rows of `x` through `view`."""
        self._view, self._x = view, x
        self.shape = (len(x), view.steps, view.values)

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self._x)

    def __getitem__(self, rows: Any) -> np.ndarray:
        """Return the rows of a slice, or those with these numbers."""
        return self._view.transform(self._x[rows])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """Return all rows."""
        return self._view.transform(self._x)


def to_numpy(x: Any) -> np.ndarray:
    """Return rows as a NumPy array: bytes and codes as they are, other numbers as Keras computes with."""
    return np.asarray(x, dtype=np.float32 if np.dtype(x.dtype).kind == "f" else None)


def fits_in_memory(x: Any) -> bool:
    """Tell whether an array is fed whole, or a list of which all are in memory."""
    if isinstance(x, list):
        return all(isinstance(part, np.ndarray) for part in x)
    return bool(math.prod(x.shape) * np.dtype(x.dtype).itemsize <= WHOLE)


def count_rows(x: Any) -> int:
    """Return the number of rows of an array, or of a list of them."""
    return len(x[0]) if isinstance(x, list) else len(x)


def _some(x: Any, rows: Any) -> Any:
    """Return some rows of an array, or of each of a list."""
    return tuple(to_numpy(part[rows]) for part in x) if isinstance(x, list) else to_numpy(x[rows])


def prediction_batch_size(x: Any) -> int:
    """Return how many rows to predict at a time."""
    values = max(math.prod(part.shape[1:3]) for part in (x if isinstance(x, list) else [x]))
    return int(np.clip(PREDICTED_VALUES // max(1, values), 16, 4096))
