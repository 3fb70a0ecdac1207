"""Preprocessors of tables, images and sequences for the families of models, unfitted.

`tree_preprocessor` keeps missing values and has one column for each category; `dense_preprocessor` leaves nothing
missing and puts all columns on one scale, for linear models and nets.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, QuantileTransformer, StandardScaler

from workbench.config import ColumnKind
from workbench.features.array_transformers import Flatten, SequenceStandardizer, Thumbnails
from workbench.features.encoders import TargetMeanEncoder
from workbench.features.number_centering import NumberCentering
from workbench.features.piecewise_linear import PiecewiseLinearEncoder
from workbench.features.text_statistics import TextStatistics
from workbench.features.tfidf import LatentTopics, Tfidf
from workbench.features.tokenizer import columns_with_text

Inputs = pd.DataFrame | np.ndarray
ColumnKinds = Mapping[str, ColumnKind]
CategoryEncoding = Literal["ordinal", "target"]
NumberScaling = Literal["standard", "quantile", "pieces"]
Kind = Literal["table", "text", "image", "sequence", "mixed"]

# Trees that split sets of levels overfit a category with more levels; its codes are numbers for them.
_MAX_NATIVE_LEVELS = 100
# A category with more levels is encoded by means of the target, not by one column for each level.
MAX_LEVELS = 50
_TARGET_FOLDS = 5
_QUANTILES = 1000


def tree_preprocessor(
    columns: ColumnKinds, x: Inputs, *, categories: CategoryEncoding, classes: int, seed: int, kind: Kind = "table"
) -> Any:
    """Return the unfitted preprocessor for trees: float32, missing values kept.

    Large numbers of a small spread are centred before the cast.

    Args:
        columns: the kind of each column; empty for images and sequences, which are flattened.
        x: the fold's training rows; they decide which categories have many levels and which texts are empty.
        categories: ordinal codes for every category, or means of the target for those with many levels.
        classes: the number of classes, 0 for regression.
        seed: of the folds of target encoding and of the text's projection.
        kind: what a row is; large images are shrunk.
    """
    if not columns:
        return _flatten(kind)
    few_levels, many_levels = columns_of(columns, "category"), list[str]()
    if categories == "target":
        few_levels, many_levels = _split_by_levels(columns, x)
    ordinal = OrdinalEncoder(
        handle_unknown="use_encoded_value",
        unknown_value=np.nan,
        encoded_missing_value=np.nan,
        dtype=np.float32,
    )
    split = column_transformer(
        [
            ("numbers", NumberCentering(), columns_of(columns, "number", "boolean")),
            ("categories", ordinal, few_levels),
            ("targets", _target_encoder(classes, seed), many_levels),
            ("dates", _date_encoder, columns_of(columns, "date")),
            *[
                (f"text {name}", _text_encoder(seed), name)
                for name in columns_with_text(x, columns_of(columns, "text"))
            ],
        ]
    )
    return make_pipeline(split, Flatten())


def categorical_columns(columns: ColumnKinds, preprocessor: Any, most_levels: int | None = None) -> list[bool]:
    """Return which columns of a fitted `tree_preprocessor`'s matrix hold ordinal codes of categories.

    Args:
        columns: the kind of each column.
        preprocessor: the fitted preprocessor.
        most_levels: leaves out categories with more levels.
    """
    if not columns:
        return []
    slices = preprocessor[0].output_indices_
    flags = [False] * max(part.stop for part in slices.values())
    where = slices.get("categories", slice(0, 0))
    if where.stop > where.start:
        levels = preprocessor[0].named_transformers_["categories"].categories_
        flags[where] = [most_levels is None or len(known) <= most_levels for known in levels]
    return flags


def native_columns(columns: ColumnKinds, preprocessor: Any) -> list[bool]:
    """Return which columns hold codes of categories with so few levels that trees may split sets of these."""
    return categorical_columns(columns, preprocessor, _MAX_NATIVE_LEVELS)


def dense_preprocessor(
    columns: ColumnKinds,
    x: Inputs,
    *,
    numbers: NumberScaling,
    classes: int,
    seed: int,
    kind: Kind = "table",
    target_encoding: bool = True,
) -> Any:
    """Return the unfitted preprocessor for linear models and nets: float32, nothing missing, one scale.

    Args:
        columns: the kind of each column; empty for images and sequences, which are flattened.
        x: the fold's training rows; they decide which categories have many levels and which texts are empty.
        numbers: standard scores, quantiles mapped to a normal distribution (for heavy tails), or piecewise linear
            encoding.
        classes: the number of classes, 0 for regression.
        seed: of the folds of target encoding and of the text's projection.
        kind: what a row is; large images are shrunk.
        target_encoding: whether categories with many levels are encoded by means of the target; otherwise their rare
            levels share a column.
    """
    if not columns:
        return make_pipeline(_flatten(kind), SequenceStandardizer() if kind == "sequence" else StandardScaler())
    few_levels, many_levels = columns_of(columns, "category"), list[str]()
    if target_encoding:
        few_levels, many_levels = _split_by_levels(columns, x)
    onehot = OneHotEncoder(
        handle_unknown="infrequent_if_exist",
        max_categories=MAX_LEVELS,
        sparse_output=False,
        dtype=np.float32,
    )
    split = column_transformer(
        [
            ("numbers", _number_scaler(numbers, len(x), seed), columns_of(columns, "number", "boolean")),
            ("categories", onehot, few_levels),
            ("targets", make_pipeline(_target_encoder(classes, seed), StandardScaler()), many_levels),
            ("dates", _circular_date_encoder, columns_of(columns, "date")),
            *[
                (f"text {name}", make_pipeline(_text_encoder(seed), StandardScaler()), name)
                for name in columns_with_text(x, columns_of(columns, "text"))
            ],
        ]
    )
    return make_pipeline(split, Flatten())


def columns_of(columns: ColumnKinds, *kinds: ColumnKind) -> list[str]:
    """Return the names of the columns of some kinds."""
    return [name for name, kind in columns.items() if kind in kinds]


def column_transformer(blocks: list[tuple[str, Any, str | list[str]]]) -> ColumnTransformer:
    """Return a `ColumnTransformer` of the blocks that have columns.

    Args:
        blocks: name, transformer and columns of each; a function is called for its transformer if there are columns.
    """
    present = [
        (name, transformer() if callable(transformer) else transformer, names)
        for name, transformer, names in blocks
        if names
    ]
    return ColumnTransformer(present, sparse_threshold=0, verbose_feature_names_out=False)


def median_imputer() -> SimpleImputer:
    """Return an imputer of medians that adds a column of flags for each column with missing values."""
    return SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)


def _flatten(kind: Kind) -> Flatten:
    return Thumbnails() if kind == "image" else Flatten()


def _split_by_levels(columns: ColumnKinds, x: Any) -> tuple[list[str], list[str]]:
    """Return the categories with few levels, and those with many."""
    names = columns_of(columns, "category")
    many_levels = [name for name in names if x[name].nunique() > MAX_LEVELS]
    return [name for name in names if name not in many_levels], many_levels


def _number_scaler(numbers: NumberScaling, rows: int, seed: int) -> Any:
    if numbers == "standard":
        return make_pipeline(median_imputer(), StandardScaler())
    if numbers == "pieces":
        return make_pipeline(median_imputer(), PiecewiseLinearEncoder())
    # QuantileTransformer warns when it is asked for more quantiles than there are rows.
    quantiles = QuantileTransformer(n_quantiles=min(_QUANTILES, rows), output_distribution="normal", random_state=seed)
    return make_pipeline(median_imputer(), quantiles)


def _target_encoder(classes: int, seed: int) -> TargetMeanEncoder:
    """Return the target encoder; its type is "auto" because a fold may hold two of three classes."""
    splitter = StratifiedKFold if classes else KFold
    return TargetMeanEncoder(
        target_type="auto" if classes else "continuous", cv=splitter(_TARGET_FOLDS, shuffle=True, random_state=seed)
    )


def _date_encoder(periodic: Literal["circular"] | None = None) -> Any:
    """Return an encoder of dates as numbers; if circular, December is next to January and Sunday to Monday."""
    # Imported here because skrub is slow to load.
    from skrub import ApplyToCols, DatetimeEncoder

    return ApplyToCols(
        DatetimeEncoder(resolution="hour", add_weekday=True, add_day_of_year=True, periodic_encoding=periodic)
    )


def _circular_date_encoder() -> Any:
    return make_pipeline(_date_encoder("circular"), median_imputer(), StandardScaler())


def _text_encoder(seed: int) -> FeatureUnion:
    """Return an encoder of a column of texts as latent topics and statistics of characters."""
    return FeatureUnion([("topics", make_pipeline(Tfidf(), LatentTopics(seed=seed))), ("looks", TextStatistics())])
