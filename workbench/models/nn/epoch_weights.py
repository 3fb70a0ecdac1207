"""The weights of a net after the epochs of its training, so that an epoch can be chosen when the training is over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

from workbench.array import Array

FILE = "stages.npz"
"""The name of the file that `EpochWeights.save` writes into the folder of a model."""

# The most bytes of the kept weights: a trial holds the models of all its folds at once.
_MAX_BYTES = 64 * 2**20


@dataclass
class EpochWeights:
    """The weights of a net after some numbers of epochs, in the order of `net.weights`.

    Where they take too many bytes, every second, fourth … number of epochs is kept, and always the best one. An array
    that did not change since the kept stage before, such as one of a frozen layer, is the same object and counts once.
    """

    max_bytes: int = _MAX_BYTES
    losses: dict[int, float] = field(default_factory=dict)
    """The validation loss after each kept number of epochs."""
    weights: dict[int, list[Array]] = field(default_factory=dict)
    _every: int = 1

    @property
    def best(self) -> int:
        """The number of epochs with the lowest validation loss, the first of several; it is always kept."""
        return min(self.losses, key=lambda length: self.losses[length])

    def find_nearest(self, length: int) -> int:
        """Return the kept number of epochs that is nearest to a length; the smaller of two."""
        return min(self.losses, key=lambda kept: (abs(kept - length), kept))

    def add(self, length: int, weights: Sequence[Array], loss: float) -> None:
        """Keep the weights after a number of epochs, which is larger than those before."""
        before = self.weights[max(self.weights)] if self.weights else [None] * len(weights)
        self.weights[length] = [
            old if old is not None and np.array_equal(old, new) else new
            for old, new in zip(before, weights, strict=True)
        ]
        self.losses[length] = loss
        self._thin()
        while self._count_bytes() > self.max_bytes and len(self.losses) > 1:
            self._every *= 2
            self._thin()

    def reorder(self, order: Sequence[int]) -> None:
        """Arrange the arrays of every stage anew: `order` has the present position of each."""
        self.weights = {length: [arrays[index] for index in order] for length, arrays in self.weights.items()}

    def append(self, later: EpochWeights, offset: int) -> None:
        """Add the stages of a later training of the same net, which began after `offset` epochs."""
        for length, weights in later.weights.items():
            self.add(offset + length, weights, later.losses[length])

    def save(self, folder: Path) -> None:
        """Write `stages.npz`: the distinct arrays of each weight, stacked, and the stages' rows in these stacks."""
        lengths = sorted(self.weights)
        stages = [self.weights[length] for length in lengths]
        arrays: dict[str, Any] = {"lengths": lengths, "losses": [self.losses[length] for length in lengths]}
        rows = np.zeros((len(stages), len(stages[0])), np.int32)
        for position, column in enumerate(zip(*stages, strict=True)):
            changed = [index == 0 or column[index - 1] is not array for index, array in enumerate(column)]
            rows[:, position] = np.cumsum(changed) - 1
            arrays[f"weight_{position}"] = np.stack([column[index] for index in np.flatnonzero(changed)])
        np.savez(folder / FILE, rows=rows, **arrays)

    @classmethod
    def load(cls, folder: Path) -> EpochWeights:
        """Read what `save` wrote; no code in the file runs."""
        with np.load(folder / FILE, allow_pickle=False) as stored:
            rows, lengths = stored["rows"], [int(length) for length in stored["lengths"]]
            losses = dict(zip(lengths, map(float, stored["losses"]), strict=True))
            # Each array is one object in all stages that share it.
            stacks = [list(stored[f"weight_{position}"]) for position in range(rows.shape[1])]
        stages = [[stack[row] for stack, row in zip(stacks, of_stage, strict=True)] for of_stage in rows]
        return cls(losses=losses, weights=dict(zip(lengths, stages, strict=True)))

    def _thin(self) -> None:
        best = self.best
        dropped = [length for length in self.losses if length % self._every and length != best]
        for length in dropped:
            del self.losses[length], self.weights[length]

    def _count_bytes(self) -> int:
        sizes = {id(array): array.nbytes for arrays in self.weights.values() for array in arrays}
        return sum(sizes.values())


class WeightHistory(keras.callbacks.Callback):  # type: ignore[misc]  # Keras has no types
    """A callback that keeps the weights of a net after each epoch with a validation loss."""

    def __init__(self) -> None:
        """Begin without weights."""
        super().__init__()
        self.stages = EpochWeights()

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        """Forget an earlier training."""
        self.stages = EpochWeights()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Keep the weights."""
        if logs and "val_loss" in logs:
            self.stages.add(epoch + 1, self.model.get_weights(), float(logs["val_loss"]))

    def collect_for(self, net: Any) -> EpochWeights | None:
        """Return the weights in the order of `net.weights`, or None.

        They are None where the training reported no validation loss, where the net has weights that were not trained
        here, or where its weights now are not those of the best epoch.

        Args:
            net: the trained net, or one that shares its weights.
        """
        if not self.stages.losses:
            return None
        positions = {id(variable): index for index, variable in enumerate(self.model.weights)}
        order = [positions.get(id(variable), -1) for variable in net.weights]
        if sorted(order) != list(range(len(positions))):
            return None
        self.stages.reorder(order)
        best = self.stages.weights[self.stages.best]
        same = all(np.array_equal(kept, now) for kept, now in zip(best, net.get_weights(), strict=True))
        return self.stages if same else None
