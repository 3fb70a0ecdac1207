"""Images -> histograms of oriented gradients (Dalal and Triggs, 2005) and mean colours on a coarse grid."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin

# Longest side of a cell in pixels; larger images are shrunk.
_LARGEST_CELL = 8
# Images in a batch: their gradients take many times their own memory.
_BATCH_SIZE = 256
# Images that the largest value is fitted on.
_SAMPLE_SIZE = 1000
# Normalised block values are clipped to this, so that a single strong edge does not dominate (L2-Hys).
_CLIP = 0.2


class HogFeatures(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Images -> (rows, values) float32: gradient histograms of blocks of 2×2 cells, then mean colours."""

    def __init__(self, cells: int = 7, orientations: int = 9, colours: int = 7) -> None:
        """Set the grids.

        Args:
            cells: cells along each side of an image.
            orientations: bins of a histogram, over half a turn.
            colours: patches along each side whose mean colours are features; 0 for none.
        """
        self.cells, self.orientations, self.colours = cells, orientations, colours

    def fit(self, x: Any, y: Any = None) -> HogFeatures:
        """Fit the largest value of a pixel, so that colours have about the same scale as gradients."""
        sample = np.asarray(x[:: max(1, len(x) // _SAMPLE_SIZE)])
        self.brightest_ = 255.0 if sample.dtype == np.uint8 else float(np.abs(sample).max()) or 1.0
        return self

    def transform(self, x: Any) -> np.ndarray:
        """Return the features of images, (rows, height, width[, channels])."""
        starts = range(0, len(x), _BATCH_SIZE)
        return np.concatenate([self._transform_batch(np.asarray(x[start : start + _BATCH_SIZE])) for start in starts])

    def _transform_batch(self, x: np.ndarray) -> np.ndarray:
        images = x.reshape(*x.shape[:3], -1).astype(np.float32) / np.float32(self.brightest_)
        cells = max(1, min(self.cells, *(side // 2 for side in images.shape[1:3])))
        pixels = int(np.clip(round(min(images.shape[1:3]) / cells), 2, _LARGEST_CELL))
        means = [resize(images, self.colours).reshape(len(x), -1)] if self.colours else []
        votes = _orientation_votes(resize(images, cells * pixels), self.orientations)
        histograms = votes.reshape(len(x), cells, pixels, cells, pixels, -1).sum(axis=(2, 4))
        return np.concatenate([_normalize_blocks(histograms), *means], axis=1)


def search_hog(hp: Any, x: Any) -> HogFeatures:
    """Return histograms whose grids are searched; a colour patch has a mean for each channel."""
    return HogFeatures(
        cells=hp.Int("cells", 4, 10, default=7),
        orientations=hp.Int("orientations", 6, 12, default=9),
        colours=hp.Int("colours", 0, 10, default=4 if len(x.shape) == 4 else 7),
    )


def resize(images: np.ndarray, side: int) -> np.ndarray:
    """Return square images from (rows, height, width, channels); a new pixel is the mean of the area it covers."""
    for axis in (1, 2):
        if images.shape[axis] != side:
            overlaps = _pixel_overlaps(images.shape[axis], side)
            images = np.moveaxis(np.tensordot(images, overlaps, axes=(axis, 1)), -1, axis)
    return images


def _pixel_overlaps(old: int, new: int) -> np.ndarray:
    """Return the share of each old pixel in each new one, (new, old)."""
    edges = np.arange(new + 1) * (old / new)
    low, high = edges[:-1, None], edges[1:, None]
    covered = np.minimum(high, np.arange(1, old + 1)) - np.maximum(low, np.arange(old))
    return np.asarray(np.clip(covered, 0, None) * (new / old), dtype=np.float32)


def _orientation_votes(images: np.ndarray, orientations: int) -> np.ndarray:
    """Return gradient magnitudes, (rows, height, width, orientations), interpolated between the two nearest bins.

    The channel with the largest gradient counts. Opposite directions share a bin.
    """
    down, across = np.gradient(images, axis=(1, 2))
    largest = np.argmax(down**2 + across**2, axis=-1)[..., None]
    down, across = (np.take_along_axis(each, largest, axis=-1)[..., 0] for each in (down, across))
    position = np.arctan2(down, across) / np.pi * orientations % orientations
    distance = np.abs(position[..., None] - np.arange(orientations, dtype=np.float32))
    shares = np.clip(1 - np.minimum(distance, orientations - distance), 0, None)
    return np.asarray(np.hypot(down, across)[..., None] * shares)


def _normalize_blocks(histograms: np.ndarray) -> np.ndarray:
    """Return (rows, values): overlapping blocks of 2×2 cells, scaled to length 1, clipped, and scaled again."""
    corners = [slice(0, -1), slice(1, None)] if histograms.shape[1] > 1 else [slice(None)]
    blocks = np.concatenate([histograms[:, down, across] for down in corners for across in corners], axis=-1)
    for largest in (_CLIP, np.inf):
        length = np.sqrt(np.sum(blocks**2, axis=-1, keepdims=True))
        blocks = np.minimum(blocks / np.maximum(length, 1e-6), largest)
    return np.asarray(blocks.reshape(len(blocks), -1))
