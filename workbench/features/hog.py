"""Images -> histograms of oriented gradients (Dalal and Triggs, 2005), and their colours on a coarse grid."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin

# Pixels on a side of a cell, at most: larger images are shrunk.
_LARGEST_CELL = 8
# Images at a time: their gradients take many times their own memory.
_AT_A_TIME = 256
# From so many images the brightest value is learnt.
_SAMPLE = 1000
# What a value of a block is clipped to, so that no one edge says it all.
_CLIP = 0.2


class HogFeatures(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Images -> a matrix (rows, values) of float32: gradient histograms of blocks of 2×2 cells, then mean colours."""

    def __init__(self, cells: int = 7, orientations: int = 9, colours: int = 7) -> None:
        """Cut an image into `cells` × `cells` cells and into `colours` × `colours` patches of one colour."""
        self.cells, self.orientations, self.colours = cells, orientations, colours

    def fit(self, x: Any, y: Any = None) -> HogFeatures:
        """Learn what the brightest value is, so that colours weigh about as much as gradients do."""
        sample = np.asarray(x[:: max(1, len(x) // _SAMPLE)])
        self.brightest_ = 255.0 if sample.dtype == np.uint8 else float(np.abs(sample).max()) or 1.0
        return self

    def transform(self, x: Any) -> np.ndarray:
        """Return the histograms of the images, (rows, height, width[, channels])."""
        parts = [self._some(np.asarray(x[start : start + _AT_A_TIME])) for start in range(0, len(x), _AT_A_TIME)]
        return np.concatenate(parts)

    def _some(self, x: np.ndarray) -> np.ndarray:
        images = x.reshape(*x.shape[:3], -1).astype(np.float32) / np.float32(self.brightest_)
        cells = max(1, min(self.cells, *(side // 2 for side in images.shape[1:3])))
        pixels = int(np.clip(round(min(images.shape[1:3]) / cells), 2, _LARGEST_CELL))
        means = [resize(images, self.colours).reshape(len(x), -1)] if self.colours else []
        votes = _votes(resize(images, cells * pixels), self.orientations)
        histograms = votes.reshape(len(x), cells, pixels, cells, pixels, -1).sum(axis=(2, 4))
        return np.concatenate([_blocks(histograms), *means], axis=1)


def search_hog(hp: Any, x: Any) -> HogFeatures:
    """Return the histograms that the search asks for; of images of several channels, every patch has several means."""
    return HogFeatures(
        cells=hp.Int("cells", 4, 10, default=7),
        orientations=hp.Int("orientations", 6, 12, default=9),
        colours=hp.Int("colours", 0, 10, default=4 if len(x.shape) == 4 else 7),
    )


def resize(images: np.ndarray, side: int) -> np.ndarray:
    """Return square images: each new pixel is the mean of what it covers of (rows, height, width, channels)."""
    for axis in (1, 2):
        if images.shape[axis] != side:
            images = np.moveaxis(np.tensordot(images, _overlaps(images.shape[axis], side), axes=(axis, 1)), -1, axis)
    return images


def _overlaps(old: int, new: int) -> np.ndarray:
    """Return the share of each old pixel in each new one, (new, old)."""
    edges = np.arange(new + 1) * (old / new)
    low, high = edges[:-1, None], edges[1:, None]
    covered = np.minimum(high, np.arange(1, old + 1)) - np.maximum(low, np.arange(old))
    return np.asarray(np.clip(covered, 0, None) * (new / old), dtype=np.float32)


def _votes(images: np.ndarray, orientations: int) -> np.ndarray:
    """Return (rows, height, width, orientations): the gradient's length, shared by the two nearest directions.

    Of several channels, the one with the longest gradient counts. Opposite directions are one.
    """
    down, across = np.gradient(images, axis=(1, 2))
    longest = np.argmax(down**2 + across**2, axis=-1)[..., None]
    down, across = (np.take_along_axis(each, longest, axis=-1)[..., 0] for each in (down, across))
    place = np.arctan2(down, across) / np.pi * orientations % orientations
    away = np.abs(place[..., None] - np.arange(orientations, dtype=np.float32))
    shares = np.clip(1 - np.minimum(away, orientations - away), 0, None)
    return np.asarray(np.hypot(down, across)[..., None] * shares)


def _blocks(histograms: np.ndarray) -> np.ndarray:
    """Return (rows, values): overlapping blocks of 2×2 cells, each of length 1, clipped, and of length 1 again."""
    corners = [slice(0, -1), slice(1, None)] if histograms.shape[1] > 1 else [slice(None)]
    blocks = np.concatenate([histograms[:, down, across] for down in corners for across in corners], axis=-1)
    for most in (_CLIP, np.inf):
        length = np.sqrt(np.sum(blocks**2, axis=-1, keepdims=True))
        blocks = np.minimum(blocks / np.maximum(length, 1e-6), most)
    return np.asarray(blocks.reshape(len(blocks), -1))
