"""Two rows made one, and their targets alike: mixup (Zhang et al., 2018) and CutMix (Yun et al., 2019)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np


@dataclass(frozen=True)
class Mixup:
    """How the rows of a batch are mixed, each batch with its own share."""

    kind: Literal["mixup", "cutmix"]
    alpha: float
    """Shares are drawn from Beta(alpha, alpha): near 0 or 1 for small values."""

    def mixed(
        self, x: np.ndarray, y: np.ndarray, weight: np.ndarray | None, *, seed: Sequence[int]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Return the rows mixed with each other.

        Args:
            x: (rows, height, width[, channels]).
            y: (rows, classes), or (rows,) of the second class's probability.
            weight: (rows,), where there are any.
            seed: what the partners and the share follow from.
        """
        rng = np.random.default_rng(seed)
        share, partner = rng.beta(self.alpha, self.alpha), rng.permutation(len(x))
        if self.kind == "mixup":
            blended = share * x.astype(np.float32) + (1 - share) * x[partner].astype(np.float32)
            x = np.rint(blended).astype(x.dtype) if x.dtype == np.uint8 else blended.astype(x.dtype)
        else:
            x, share = _cut(x, partner, share, rng)
        if weight is not None:
            weight = share * weight + (1 - share) * weight[partner]
        return x, share * y + (1 - share) * y[partner], weight


def search_mixup(hp: Any) -> Mixup | None:
    """Return how rows are mixed, if at all."""
    kind = hp.Choice("mixing", ["none", "mixup", "cutmix"])
    with hp.conditional_scope("mixing", ["mixup", "cutmix"]):
        alpha = hp.Float("mixing_alpha", 0.1, 1.0, step=0.1, default=0.3)
    return None if kind == "none" else Mixup(kind, alpha)


def _cut(x: np.ndarray, partner: np.ndarray, share: float, rng: np.random.Generator) -> tuple[np.ndarray, float]:
    """Return images with a rectangle of their partners', and the share of the area that is their own."""
    height, width = x.shape[1:3]
    side = np.sqrt(1 - share)
    top, left = rng.integers(height), rng.integers(width)
    tall, wide = side * height / 2, side * width / 2
    rows = slice(max(0, round(top - tall)), min(height, round(top + tall)))
    columns = slice(max(0, round(left - wide)), min(width, round(left + wide)))
    x = x.copy()
    x[:, rows, columns] = x[partner, rows, columns]
    return x, 1 - (rows.stop - rows.start) * (columns.stop - columns.start) / (height * width)
