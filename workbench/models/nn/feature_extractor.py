"""Features of images from a frozen net, computed once for each array of images.

With a cache, the features of each array (a fold's training rows, its validation rows, the test rows) are kept there.
The net then runs once over each image for every fold, however many trials there are.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import keras
import numpy as np

from workbench.array import Array
from workbench.data.cache import Cache
from workbench.models.nn import data_loader

# The most rows in a batch: a net's activations are many times as large as the images.
_MAX_BATCH_SIZE = 128
# Rows that are hashed at a time.
_HASHED_ROWS = 1000


@dataclass(frozen=True)
class FeatureExtractor:
    """A preprocessor of images: a frozen net."""

    net: Any
    """Images -> (rows, values)."""
    cache: Path | None = None
    """The folder of cached features."""

    def transform(self, x: Any) -> Array:
        """Return the features, (rows, values) float32."""
        if self.cache is None:
            return self._compute_features(x)
        key = {"features of": _hash_rows(x), "from": self._hash}
        folder = Cache(self.cache).entry(key, lambda place: np.save(place / "features.npy", self._compute_features(x)))
        return np.asarray(np.load(folder / "features.npy", allow_pickle=False))

    def save(self, folder: Path) -> None:
        """Write `extraction.keras`."""
        self.net.save(folder / "extraction.keras")

    @classmethod
    def load(cls, folder: Path) -> FeatureExtractor:
        """Read what `save` wrote; no code in the file runs."""
        return cls(keras.saving.load_model(folder / "extraction.keras", compile=False, safe_mode=True))

    def _compute_features(self, x: Any) -> Array:
        batch_size = min(_MAX_BATCH_SIZE, data_loader.choose_prediction_batch_size(x))
        batches = data_loader.Batches(x, batch_size=batch_size)
        return np.asarray(self.net.predict(batches, verbose=0), dtype=np.float32)

    @cached_property
    def _hash(self) -> str:
        """The hash of the net's layers and weights."""
        digest = hashlib.sha256(json.dumps(self.net.get_config(), sort_keys=True, default=str).encode())
        for weight in self.net.get_weights():
            digest.update(np.ascontiguousarray(weight).data)
        return digest.hexdigest()


def _hash_rows(x: Any) -> str:
    digest = hashlib.sha256(str((x.shape, np.dtype(x.dtype).name)).encode())
    for start in range(0, len(x), _HASHED_ROWS):
        digest.update(np.ascontiguousarray(data_loader.to_numpy(x[start : start + _HASHED_ROWS])).data)
    return digest.hexdigest()
