"""Mixed training samples: mixup (Zhang et al., 2018) and CutMix (Yun et al., 2019)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from workbench.array import Array


@dataclass(frozen=True)
class Mixup:
    """The mix of each batch's rows with a permutation of them; every batch draws its own share."""

    kind: Literal["mixup", "cutmix"]
    alpha: float
    """Shares come from Beta(alpha, alpha): close to 0 or 1 for small values."""

    def mix(
        self, x: Array, y: Array, sample_weight: Array | None, *, seed: Sequence[int]
    ) -> tuple[Array, Array, Array | None]:
        """Return mixed inputs, targets and sample weights.

        Args:
            x: (rows, height, width[, channels]).
            y: (rows, classes), or (rows,) probabilities of class 1.
            sample_weight: (rows,), or None.
            seed: determines the partners and the share.
        """
        rng = np.random.default_rng(seed)
        share, partner = rng.beta(self.alpha, self.alpha), rng.permutation(len(x))
        if self.kind == "mixup":
            blended = share * x.astype(np.float32) + (1 - share) * x[partner].astype(np.float32)
            x = np.rint(blended).astype(x.dtype) if x.dtype == np.uint8 else blended.astype(x.dtype)
        else:
            x, share = _paste_patches(x, partner, share, rng)
        if sample_weight is not None:
            sample_weight = share * sample_weight + (1 - share) * sample_weight[partner]
        return x, share * y + (1 - share) * y[partner], sample_weight


def search_mixup(hp: Any) -> Mixup | None:
    """Return how samples are mixed; None: not at all."""
    kind = hp.Choice("mixing", ["none", "mixup", "cutmix"])
    with hp.conditional_scope("mixing", ["mixup", "cutmix"]):
        alpha = hp.Float("mixing_alpha", 0.1, 1.0, step=0.1, default=0.3)
    return None if kind == "none" else Mixup(kind, alpha)


def _paste_patches(x: Array, partner: Array, share: float, rng: np.random.Generator) -> tuple[Array, float]:
    """Return images with a rectangle of their partners', and the share of the area that stays."""
    height, width = x.shape[1:3]
    side = np.sqrt(1 - share)
    top, left = rng.integers(height), rng.integers(width)
    half_height, half_width = side * height / 2, side * width / 2
    rows = slice(max(0, round(top - half_height)), min(height, round(top + half_height)))
    columns = slice(max(0, round(left - half_width)), min(width, round(left + half_width)))
    x = x.copy()
    x[:, rows, columns] = x[partner, rows, columns]
    return x, 1 - (rows.stop - rows.start) * (columns.stop - columns.start) / (height * width)
