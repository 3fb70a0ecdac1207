"""A table -> the inputs of a wide-and-deep net (Cheng et al., 2016): dense values, embedding indices, crosses."""

from __future__ import annotations

import itertools
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import KBinsDiscretizer

from workbench.features.encoders import CategoryIndexEncoder, FeatureCrosses
from workbench.features.persistence import load, save
from workbench.features.preprocessors import (
    MAX_LEVELS,
    ColumnKinds,
    Inputs,
    NumberScaling,
    column_transformer,
    columns_of,
    dense_preprocessor,
    median_imputer,
)

# Bins of a number in the wide part, and the rows that an index of the wide part needs.
_BINS, _MIN_FREQUENCY = 8, 5


@dataclass(frozen=True)
class WideAndDeepEncoder:
    """The fitted preprocessors of a wide-and-deep net; one is None where the table has no columns for it."""

    dense: Any | None
    """Numbers, dates and texts -> (rows, values) float32."""
    deep: Any | None
    """Categories -> (rows, columns) int32 indices, to be embedded."""
    wide: Any | None
    """Categories, binned numbers and crosses -> (rows, columns) int32 indices; no index occurs in two columns."""

    def transform(self, x: Inputs) -> list[np.ndarray]:
        """Return the matrices of the preprocessors that are not None, in the order dense, deep, wide."""
        parts = (self.dense, self.deep, self.wide)
        return [np.asarray(preprocessor.transform(x)) for preprocessor in parts if preprocessor is not None]

    def levels(self, part: Literal["deep", "wide"]) -> list[int]:
        """Return the number of indices of each column of a part, the unknown's 0 included."""
        pipeline = getattr(self, part)
        return list(pipeline[-1].levels_) if pipeline is not None else []

    def save(self, folder: Path) -> None:
        """Write `dense.skops`, `deep.skops` and `wide.skops`, as far as they are there."""
        for name, preprocessor in vars(self).items():
            if preprocessor is not None:
                save(preprocessor, folder / f"{name}.skops")

    @classmethod
    def load(cls, folder: Path) -> WideAndDeepEncoder:
        """Return the encoder that `save` wrote to a folder."""
        files = [folder / f"{name}.skops" for name in ("dense", "deep", "wide")]
        return cls(*[load(file) if file.exists() else None for file in files])


def fit_wide_and_deep(
    columns: ColumnKinds, x: pd.DataFrame, *, numbers: NumberScaling, crosses: int, seed: int
) -> WideAndDeepEncoder:
    """Fit the preprocessors of a wide-and-deep net.

    Args:
        columns: the kind of each column.
        x: the fold's training rows.
        numbers: how numbers are scaled for the deep part.
        crosses: the number of pairs of columns to cross in the wide part; pairs with the fewest combinations first.
        seed: of the text's projection.
    """
    categories = columns_of(columns, "category")
    rest = {name: kind for name, kind in columns.items() if kind != "category"}
    deep = make_pipeline(column_transformer([("categories", "passthrough", categories)]), CategoryIndexEncoder())
    return WideAndDeepEncoder(
        dense_preprocessor(rest, x, numbers=numbers, classes=0, seed=seed).fit(x) if rest else None,
        deep.fit(x) if categories else None,
        fit_wide(columns, x, crosses),
    )


def fit_wide(columns: ColumnKinds, x: pd.DataFrame, crosses: int) -> Pipeline | None:
    """Fit the wide part: categories, numbers as eighths of their distribution, and crosses; None without columns."""
    categories = columns_of(columns, "category", "boolean")
    # A column of one value cannot be binned.
    numbers = [name for name in columns_of(columns, "number") if x[name].nunique() > 1]
    if not categories and not numbers:
        return None
    bins = KBinsDiscretizer(_BINS, encode="ordinal", strategy="quantile", quantile_method="averaged_inverted_cdf")
    split = column_transformer(
        [("levels", CategoryIndexEncoder(), categories), ("bins", make_pipeline(median_imputer(), bins), numbers)]
    )
    with warnings.catch_warnings():
        # Columns of few values get fewer bins, as intended.
        warnings.filterwarnings("ignore", message="Bins whose width are too small")
        matrix = np.asarray(split.fit_transform(x)).astype(int)
    feature_crosses = FeatureCrosses(_smallest_pairs(matrix.max(axis=0) + 1, crosses))
    indices = CategoryIndexEncoder(min_frequency=_MIN_FREQUENCY, joint=True).fit(feature_crosses.transform(matrix))
    return Pipeline([("split", split), ("crosses", feature_crosses), ("codes", indices)])


def _smallest_pairs(levels: np.ndarray, count: int) -> list[list[int]]:
    """Return the `count` pairs of columns with the fewest combinations of levels."""
    crossable = [i for i in range(len(levels)) if 1 < levels[i] <= MAX_LEVELS]
    pairs = sorted(itertools.combinations(crossable, 2), key=lambda pair: (levels[pair[0]] * levels[pair[1]], pair))
    return [list(pair) for pair in pairs[:count]]
