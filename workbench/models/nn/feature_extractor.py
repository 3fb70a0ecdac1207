"""Features of images: what a net that is not trained any more says of them, asked once for the same images.

Where there is a cache, the features of each array are kept there: a fold's training rows, its validation rows, the test
rows. So the base runs once over each image for every fold, whatever number of trials there are.
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

from workbench.data.cache import Cache
from workbench.models.nn import data_loader

# A net's own values are many times as many as the images': the most rows at a time.
_BATCH = 128
# So many rows are read at a time for the digest.
_BLOCK = 1000


@dataclass(frozen=True)
class FeatureExtractor:
    """A view of images."""

    net: Any
    """Images as they are -> (rows, values)."""
    cache: Path | None = None
    """Where features are kept."""

    def transform(self, x: Any) -> np.ndarray:
        """Return the features, (rows, values) float32."""
        if self.cache is None:
            return self._features(x)
        known = {"features of": _digest(x), "from": self._identity}
        folder = Cache(self.cache).entry(known, lambda place: np.save(place / "features.npy", self._features(x)))
        return np.asarray(np.load(folder / "features.npy", allow_pickle=False))

    def save(self, folder: Path) -> None:
        """Write `extraction.keras`."""
        self.net.save(folder / "extraction.keras")

    @classmethod
    def load(cls, folder: Path) -> FeatureExtractor:
        """Read what `save` wrote; nothing in the file is executed."""
        return cls(keras.saving.load_model(folder / "extraction.keras", compile=False, safe_mode=True))

    def _features(self, x: Any) -> np.ndarray:
        batches = data_loader.Batches(x, batch=min(_BATCH, data_loader.prediction_batch_size(x)))
        return np.asarray(self.net.predict(batches, verbose=0), dtype=np.float32)

    @cached_property
    def _identity(self) -> str:
        """What tells this net from every other: its layers and its weights."""
        words = hashlib.sha256(json.dumps(self.net.get_config(), sort_keys=True, default=str).encode())
        for weight in self.net.get_weights():
            words.update(np.ascontiguousarray(weight).data)
        return words.hexdigest()


def _digest(x: Any) -> str:
    words = hashlib.sha256(str((x.shape, np.dtype(x.dtype).name)).encode())
    for begin in range(0, len(x), _BLOCK):
        words.update(np.ascontiguousarray(data_loader.to_numpy(x[begin : begin + _BLOCK])).data)
    return words.hexdigest()
