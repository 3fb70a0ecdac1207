"""The views of a table, of images and of sequences that models of most families see.

Three of them: `codes` for trees (one column each, missing values kept), `dense` for linear models and
nets (no missing values, one scale), and `parts` for nets with embeddings and crossed columns.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import (
    KBinsDiscretizer,
    OneHotEncoder,
    OrdinalEncoder,
    QuantileTransformer,
    StandardScaler,
    TargetEncoder,
)

from workbench.config import ColumnKind
from workbench.features.persistence import load, save
from workbench.features.piecewise_linear import PiecewiseLinearEncoder
from workbench.features.text_statistics import TextStatistics
from workbench.features.tfidf import LatentTopics, Tfidf
from workbench.features.tokenizer import columns_with_text

Inputs = pd.DataFrame | np.ndarray
Columns = Mapping[str, ColumnKind]
Coding = Literal["ordinal", "target"]
Scaling = Literal["standard", "quantile", "pieces"]
Kind = Literal["table", "text", "image", "sequence", "mixed"]

# A category with more levels than this is told by the target's mean instead of by one column a level.
MOST_LEVELS = 50
# To models that know no neighbourhood, finer pixels than this say little, and cost much.
LONGEST_SIDE = 32
# No standard score of a sequence is larger.
_FARTHEST = 10.0
# Images that are shrunk at a time.
_IMAGES = 512


class Flatten(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Rows of any shape -> a matrix (rows, values) of float32, for models that know no neighbourhood."""

    def fit(self, x: Inputs, y: Any = None) -> Flatten:
        """Learn nothing."""
        return self

    def transform(self, x: Inputs) -> np.ndarray:
        """Return the rows as a matrix."""
        x = np.asarray(x, dtype=np.float32)
        return x.reshape(len(x), -1)

    def __sklearn_is_fitted__(self) -> bool:
        """Tell scikit-learn that there is nothing to fit."""
        return True


class EmptyColumnFiller(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A matrix -> the same, 0 in columns without any training value, which not all that takes NaN can do with."""

    def fit(self, x: np.ndarray, y: Any = None) -> EmptyColumnFiller:
        """Learn which columns have no value."""
        self.empty_ = np.isnan(x).all(axis=0)
        return self

    def transform(self, x: np.ndarray) -> np.ndarray:
        """Return the matrix."""
        return np.where(self.empty_, np.float32(0), x)


class Thumbnails(Flatten):
    """Images -> a matrix (rows, values) of float32; those with a side above 32 are averaged down to that first."""

    def transform(self, x: Any) -> np.ndarray:
        """Return the images as a matrix, made of some hundred at a time."""
        sides = np.array(x.shape[1:3])
        if sides.max() <= LONGEST_SIDE:
            return super().transform(x)
        made = np.maximum(1, np.round(sides * LONGEST_SIDE / sides.max()).astype(int))
        small = np.empty((len(x), *made, *x.shape[3:]), np.float32)
        for start in range(0, len(x), _IMAGES):
            part = np.asarray(x[start : start + _IMAGES], dtype=np.float32)
            for axis, side in enumerate(made, 1):
                part = _averaged(part, axis, side)
            small[start : start + _IMAGES] = part
        return small.reshape(len(x), -1)


def _averaged(x: np.ndarray, axis: int, parts: int) -> np.ndarray:
    """Return the means over `parts` stretches of an axis, as equal in length as they can be."""
    edges = np.arange(parts + 1) * x.shape[axis] // parts
    lengths = np.diff(edges).reshape([-1 if place == axis else 1 for place in range(x.ndim)])
    return np.asarray(np.add.reduceat(x, edges[:-1], axis=axis) / lengths, dtype=np.float32)


class SequenceStandardizer(StandardScaler):  # type: ignore[misc]  # scikit-learn has no types
    """Values -> standard scores, 0 where there is no value and none beyond 10, for sequences.

    A step that hardly any training sequence is long enough for has scores that mean little.
    """

    def fit(self, x: np.ndarray, y: Any = None, sample_weight: Any = None) -> SequenceStandardizer:
        """Learn mean and deviation of what there is; of a step that no sequence has there is nothing."""
        with np.errstate(invalid="ignore"):
            super().fit(x, y, sample_weight)
        return self

    def transform(self, x: np.ndarray, copy: Any = None) -> np.ndarray:
        """Return the scores, shape (rows, values)."""
        scores: np.ndarray = np.nan_to_num(super().transform(x, copy), nan=0.0)
        return scores.clip(-_FARTHEST, _FARTHEST)


class TargetMeanEncoder(TargetEncoder):  # type: ignore[misc]  # scikit-learn has no types
    """Categories -> the target's means, for a training row the means of other rows (Micci-Barreca, 2001)."""

    def fit_transform(self, x: Inputs, y: Any) -> np.ndarray:
        """Learn the means, and return those that the other folds' rows give."""
        with warnings.catch_warnings():
            # A class of fewer rows than folds is missing from some folds, which does no harm here.
            warnings.filterwarnings("ignore", message="The least populated class")
            return np.asarray(super().fit_transform(x, y))


class FeatureCrosses(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Columns of small codes -> the same columns and joined pairs, for the wide part of Cheng et al. (2016)."""

    def __init__(self, pairs: list[list[int]]) -> None:
        """Join the columns at the positions in `pairs`."""
        self.pairs = pairs

    def fit(self, x: Inputs, y: Any = None) -> FeatureCrosses:
        """Learn nothing."""
        return self

    def transform(self, x: Inputs) -> np.ndarray:
        """Return the codes and a code for each joint level, shape (rows, columns + pairs)."""
        x = np.asarray(x, dtype=np.int64)
        joined = [x[:, a] * 1_000_000 + x[:, b] for a, b in self.pairs]
        return np.column_stack([x, *joined])

    def __sklearn_is_fitted__(self) -> bool:
        """Tell scikit-learn that there is nothing to fit."""
        return True


class OrdinalCodes(OrdinalEncoder):  # type: ignore[misc]  # scikit-learn has no types
    """Levels -> integers from 1, for embeddings; 0 stands for what is missing or was not in training."""

    def __init__(self, min_frequency: int | None = None, joint: bool = False) -> None:
        """Give levels rarer than `min_frequency` one code together; with `joint`, no code serves two columns."""
        self.joint = joint
        super().__init__(
            handle_unknown="use_encoded_value",
            unknown_value=-1,
            encoded_missing_value=-1,
            min_frequency=min_frequency,
        )

    def fit(self, x: Inputs, y: Any = None) -> OrdinalCodes:
        """Learn the levels, and how many codes each column needs."""
        super().fit(x)
        tops = super().transform(x).max(axis=0).astype(int)
        # One more for the unknown's 0, one more because codes start at 1.
        self.levels_ = [int(top) + 2 for top in tops]
        return self

    def transform(self, x: Inputs) -> np.ndarray:
        """Return the codes, shape (rows, columns), as int32."""
        codes: np.ndarray = (super().transform(x) + 1).astype(np.int32)
        return codes + np.cumsum([0, *self.levels_[:-1]], dtype=np.int32) if self.joint else codes


def tree_preprocessor(
    columns: Columns, x: Inputs, *, categories: Coding, classes: int, seed: int, kind: Kind = "table"
) -> Any:
    """Return the unfitted view for trees: float32, missing values kept.

    Args:
        columns: the kind of each column; empty for images and sequences, which are flattened.
        x: the fold's training rows, looked at for the number of levels and for columns without any text.
        categories: whether every category is coded by order, or those of many levels by the target's mean.
        classes: the number of classes, 0 for regression.
        seed: of the folds inside target encoding and of the text's projection.
        kind: what a row is; images are shrunk where they are large.
    """
    if not columns:
        return _flat(kind)
    few, many = _by_levels(columns, x) if categories == "target" else (_of(columns, "category"), [])
    ordinal = OrdinalEncoder(
        handle_unknown="use_encoded_value",
        unknown_value=np.nan,
        encoded_missing_value=np.nan,
        dtype=np.float32,
    )
    numbers = _of(columns, "number", "boolean")
    split = _columns(
        [
            ("numbers", "passthrough", numbers),
            ("categories", ordinal, few),
            ("targets", _means(classes, seed), many),
            ("dates", _dates, _of(columns, "date")),
            *[(f"text {name}", _text(seed), name) for name in columns_with_text(x, _of(columns, "text"))],
        ]
    )
    return make_pipeline(split, Flatten())


def categorical_columns(columns: Columns, view: Any) -> list[bool]:
    """Return which of the columns of a fitted `codes` view hold ordinal codes of categories."""
    if not columns:
        return []
    slices = view[0].output_indices_
    flags = np.zeros(max(part.stop for part in slices.values()), dtype=bool)
    flags[slices.get("categories", slice(0))] = True
    return [bool(flag) for flag in flags]


def dense_preprocessor(
    columns: Columns,
    x: Inputs,
    *,
    numbers: Scaling,
    classes: int,
    seed: int,
    kind: Kind = "table",
    labelled: bool = True,
) -> Any:
    """Return the unfitted view for linear models and nets: float32, nothing missing, one scale.

    Args:
        columns: the kind of each column; empty for images and sequences, which are flattened.
        x: the fold's training rows, looked at for the number of levels and for columns without any text.
        numbers: standard scores, quantiles mapped to a normal distribution (for heavy tails), or shares of bins.
        classes: the number of classes, 0 for regression.
        seed: of the folds inside target encoding and of the text's projection.
        kind: what a row is; images are shrunk where they are large.
        labelled: whether there is a target to code categories of many levels by; without, their rare levels are one.
    """
    if not columns:
        return make_pipeline(_flat(kind), SequenceStandardizer() if kind == "sequence" else StandardScaler())
    few, many = _by_levels(columns, x) if labelled else (_of(columns, "category"), [])
    onehot = OneHotEncoder(
        handle_unknown="infrequent_if_exist",
        max_categories=MOST_LEVELS,
        sparse_output=False,
        dtype=np.float32,
    )
    split = _columns(
        [
            ("numbers", _scaled(numbers, len(x), seed), _of(columns, "number", "boolean")),
            ("categories", onehot, few),
            ("targets", make_pipeline(_means(classes, seed), StandardScaler()), many),
            ("dates", lambda: make_pipeline(_dates("circular"), *_filled(), StandardScaler()), _of(columns, "date")),
            *[
                (f"text {name}", make_pipeline(_text(seed), StandardScaler()), name)
                for name in columns_with_text(x, _of(columns, "text"))
            ],
        ]
    )
    return make_pipeline(split, Flatten())


@dataclass(frozen=True)
class WideAndDeepInputs:
    """The fitted views of a net with embeddings; a view is None where the table has nothing for it."""

    dense: Any | None
    """Numbers, dates and texts -> (rows, values) float32."""
    deep: Any | None
    """Categories -> (rows, columns) int32 codes, to be embedded."""
    wide: Any | None
    """Categories, binned numbers and their crosses -> (rows, columns) int32 codes, no code in two columns."""

    def transform(self, x: Inputs) -> list[np.ndarray]:
        """Return the matrices of the views that there are, in the order dense, deep, wide."""
        return [np.asarray(view.transform(x)) for view in (self.dense, self.deep, self.wide) if view is not None]

    def levels(self, view: Literal["deep", "wide"]) -> list[int]:
        """Return how many codes each column of a view can have, the unknown's 0 included."""
        pipeline = getattr(self, view)
        return list(pipeline[-1].levels_) if pipeline is not None else []

    def save(self, folder: Path) -> None:
        """Write the views into `folder`."""
        for name, view in vars(self).items():
            if view is not None:
                save(view, folder / f"{name}.skops")

    @classmethod
    def load(cls, folder: Path) -> WideAndDeepInputs:
        """Read what `save` wrote."""
        files = [folder / f"{name}.skops" for name in ("dense", "deep", "wide")]
        return cls(*[load(file) if file.exists() else None for file in files])


def fit_wide_and_deep(
    columns: Columns, x: pd.DataFrame, *, numbers: Scaling, crosses: int, seed: int
) -> WideAndDeepInputs:
    """Return the fitted views of a wide-and-deep net.

    Args:
        columns: the kind of each column.
        x: the fold's training rows.
        numbers: how numbers are scaled for the deep part.
        crosses: how many pairs of columns the wide part joins, those of the fewest joint levels first.
        seed: of the text's projection.
    """
    categories = _of(columns, "category")
    rest = {name: kind for name, kind in columns.items() if kind != "category"}
    deep = make_pipeline(_columns([("categories", "passthrough", categories)]), OrdinalCodes())
    return WideAndDeepInputs(
        dense_preprocessor(rest, x, numbers=numbers, classes=0, seed=seed).fit(x) if rest else None,
        deep.fit(x) if categories else None,
        fit_wide(columns, x, crosses),
    )


def fit_wide(columns: Columns, x: pd.DataFrame, crosses: int) -> Any | None:
    """Return the fitted wide part; numbers enter it as eighths of their distribution."""
    categories = _of(columns, "category", "boolean")
    # A column of one value cannot be cut into bins.
    spread = [name for name in _of(columns, "number") if x[name].nunique() > 1]
    if not categories and not spread:
        return None
    bins = KBinsDiscretizer(8, encode="ordinal", strategy="quantile", quantile_method="averaged_inverted_cdf")
    split = _columns([("levels", OrdinalCodes(), categories), ("bins", make_pipeline(*_filled(), bins), spread)])
    with warnings.catch_warnings():
        # Columns of few values have fewer bins, which is what is wanted of them.
        warnings.filterwarnings("ignore", message="Bins whose width are too small")
        matrix = np.asarray(split.fit_transform(x)).astype(int)
    levels = matrix.max(axis=0) + 1
    few = [i for i in range(len(levels)) if 1 < levels[i] <= MOST_LEVELS]
    pairs = sorted(itertools.combinations(few, 2), key=lambda pair: (levels[pair[0]] * levels[pair[1]], pair))
    joined = FeatureCrosses([list(pair) for pair in pairs[:crosses]])
    codes = OrdinalCodes(min_frequency=5, joint=True).fit(joined.transform(matrix))
    return Pipeline([("split", split), ("crosses", joined), ("codes", codes)])


def _flat(kind: Kind) -> Flatten:
    """Return what makes a matrix of rows without columns."""
    return Thumbnails() if kind == "image" else Flatten()


def _of(columns: Columns, *kinds: ColumnKind) -> list[str]:
    return [name for name, kind in columns.items() if kind in kinds]


def _columns(blocks: list[tuple[str, Any, str | list[str]]]) -> ColumnTransformer:
    """Join the blocks that have columns; a function is called for its transformer, since skrub is slow to load."""
    made = [(name, view() if callable(view) else view, names) for name, view, names in blocks if names]
    return ColumnTransformer(made, sparse_threshold=0, verbose_feature_names_out=False)


def _by_levels(columns: Columns, x: Any) -> tuple[list[str], list[str]]:
    """Split the categories into those of few levels and those of many."""
    names = _of(columns, "category")
    many = [name for name in names if x[name].nunique() > MOST_LEVELS]
    return [name for name in names if name not in many], many


def _filled() -> list[Any]:
    """Fill what is missing with the median, and say where it was missing."""
    return [SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)]


def _scaled(numbers: Scaling, rows: int, seed: int) -> Any:
    if numbers == "standard":
        return make_pipeline(*_filled(), StandardScaler())
    if numbers == "pieces":
        return make_pipeline(*_filled(), PiecewiseLinearEncoder())
    # QuantileTransformer warns when it is asked for more quantiles than there are rows.
    quantiles = QuantileTransformer(n_quantiles=min(1000, rows), output_distribution="normal", random_state=seed)
    return make_pipeline(*_filled(), quantiles)


def _means(classes: int, seed: int) -> TargetMeanEncoder:
    """Return the encoder by the target; "auto" because a fold may hold two of three classes."""
    folds = StratifiedKFold if classes else KFold
    return TargetMeanEncoder(
        target_type="auto" if classes else "continuous", cv=folds(5, shuffle=True, random_state=seed)
    )


def _dates(periodic: Literal["circular"] | None = None) -> Any:
    """Return what makes numbers of dates; circular, December is next to January and Sunday to Monday."""
    from skrub import ApplyToCols, DatetimeEncoder

    return ApplyToCols(
        DatetimeEncoder(resolution="hour", add_weekday=True, add_day_of_year=True, periodic_encoding=periodic)
    )


def _text(seed: int) -> FeatureUnion:
    """Return what tells dense models and trees of a column of texts: what it is about, and how it looks."""
    return FeatureUnion([("topics", make_pipeline(Tfidf(), LatentTopics(seed=seed))), ("looks", TextStatistics())])
