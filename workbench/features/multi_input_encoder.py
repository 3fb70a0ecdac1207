"""A table -> the inputs of a net with a branch for each kind of column."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd

from workbench.config import ColumnKind
from workbench.data.image_column import ImageArray
from workbench.features import persistence
from workbench.features.preprocessors import NumberScaling, dense_preprocessor
from workbench.features.text_vectorizer import TextVectorizer, fit_text_vectorizer
from workbench.features.wide_and_deep_encoder import fit_wide

# The name of the column of images where a row is an image and nothing else.
_IMAGE_COLUMN = "image"
_FILE = "branches.json"
# Levels with fewer training rows share the index of unknown levels.
_MIN_FREQUENCY = 2


@dataclass(frozen=True)
class MultiInputEncoder:
    """A fitted preprocessor with an output for each input of a net."""

    dense: Any | None
    """Numbers, booleans and dates -> (rows, values) float32; None without such columns."""
    levels: Mapping[str, tuple[str, ...]]
    """The columns of categories, and the levels with the indices from 1 of each."""
    texts: Mapping[str, TextVectorizer]
    """The columns of texts, and the vectorizer of each."""
    images: tuple[str, ...]
    """The columns of images."""
    shared: tuple[tuple[str, ...], ...] = ()
    """Groups of columns with common levels or words that go through the same layers."""
    wide: Any | None = None
    """Categories, binned numbers and crosses -> (rows, columns) int32 indices; None without a wide part."""

    def find_layer_key(self, column: str) -> str:
        """Return the first column of the group that goes through the same layers as this one, or the column itself."""
        return next((columns[0] for columns in self.shared if column in columns), column)

    def transform(self, x: Any) -> list[Any]:
        """Return the inputs of the columns that there are: dense, categories, each text, each image, wide.

        Categories are (rows, columns) int32 indices, 0 for missing, rare or unknown levels; a text is (rows, steps)
        int32. Images are read only when rows are indexed.
        """
        x = as_table(x)
        inputs: list[Any] = [] if self.dense is None else [np.asarray(self.dense.transform(x))]
        if self.levels:
            known = [pd.Index(levels, dtype=object) for levels in self.levels.values()]
            indices = [each.get_indexer(pd.Index(x[name])) for each, name in zip(known, self.levels, strict=True)]
            inputs.append(np.column_stack(indices).astype(np.int32) + 1)
        inputs += [vectorizer.transform(x)[0] for vectorizer in self.texts.values()]
        inputs += [cast(ImageArray, x[name].array).seen for name in self.images]
        return inputs if self.wide is None else [*inputs, np.asarray(self.wide.transform(x))]

    def save(self, folder: Path) -> None:
        """Write `branches.json`, and `dense.skops` and `wide.skops`, as far as they are there."""
        texts = {name: {"lengths": dict(each.lengths), "words": each.vocabulary} for name, each in self.texts.items()}
        fields = {"levels": dict(self.levels), "texts": texts, "images": self.images, "shared": self.shared}
        (folder / _FILE).write_text(json.dumps(fields), encoding="utf-8")
        for name, preprocessor in (("dense", self.dense), ("wide", self.wide)):
            if preprocessor is not None:
                persistence.save(preprocessor, folder / f"{name}.skops")

    @classmethod
    def load(cls, folder: Path) -> MultiInputEncoder:
        """Return the encoder that `save` wrote to a folder."""
        fields = json.loads((folder / _FILE).read_text(encoding="utf-8"))
        files = {name: folder / f"{name}.skops" for name in ("dense", "wide")}
        return cls(
            **{name: persistence.load(file) if file.exists() else None for name, file in files.items()},
            levels={name: tuple(levels) for name, levels in fields["levels"].items()},
            texts={
                name: TextVectorizer(each["lengths"], tuple(each["words"]), None)
                for name, each in fields["texts"].items()
            },
            images=tuple(fields["images"]),
            shared=tuple(map(tuple, fields["shared"])),
        )


def as_table(x: Any) -> pd.DataFrame:
    """Return rows as a table; images become its only column."""
    return x if isinstance(x, pd.DataFrame) else pd.DataFrame({_IMAGE_COLUMN: ImageArray(x)})


def fit_multi_input(
    columns: Mapping[str, ColumnKind],
    x: Any,
    y: np.ndarray,
    *,
    numbers: NumberScaling,
    seed: int,
    max_length: int,
    shared: Sequence[Sequence[str]] = (),
    crosses: int | None = None,
) -> MultiInputEncoder:
    """Fit the preprocessor of a net with a branch for each kind of column.

    Args:
        columns: the kind of each column; empty if a row is an image.
        x: the fold's training rows.
        y: their targets.
        numbers: how numbers are scaled.
        seed: of the random draws.
        max_length: the number of words that are read of a text.
        shared: groups of columns of categories, texts or images that go through the same layers.
        crosses: the number of pairs of columns that a wide part crosses; None for no wide part.
    """
    x, columns = as_table(x), columns or {_IMAGE_COLUMN: "image"}
    plain = {name: kind for name, kind in columns.items() if kind in ("number", "boolean", "date")}
    groups = tuple(tuple(name for name in names if name in columns) for names in shared)
    encoder = MultiInputEncoder(
        dense=dense_preprocessor(plain, x, numbers=numbers, classes=0, seed=seed).fit(x) if plain else None,
        levels={},
        texts={},
        images=tuple(name for name, kind in columns.items() if kind == "image"),
        shared=tuple(names for names in groups if len(names) > 1),
        wide=None if crosses is None else fit_wide(columns, x, crosses),
    )
    levels: dict[str, tuple[str, ...]] = {}
    texts: dict[str, TextVectorizer] = {}
    for names in _group_shared(encoder, [name for name, kind in columns.items() if kind == "category"]):
        levels |= dict.fromkeys(names, _frequent_levels(x, names))
    for names in _group_shared(encoder, [name for name, kind in columns.items() if kind == "text"]):
        options: Any = {"numbers": numbers, "classes": 0, "seed": seed, "max_length": max_length * len(names)}
        vectorizer, _ = fit_text_vectorizer(dict.fromkeys(names, "text"), x, y, **options)
        texts |= {name: replace(vectorizer, lengths={name: vectorizer.lengths[name]}) for name in names}
    order = list(columns)
    return replace(
        encoder,
        levels=dict(sorted(levels.items(), key=lambda item: order.index(item[0]))),
        texts=dict(sorted(texts.items(), key=lambda item: order.index(item[0]))),
    )


def _group_shared(encoder: MultiInputEncoder, names: Sequence[str]) -> list[list[str]]:
    """Return columns of one kind, grouped by the layers that they go through."""
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(encoder.find_layer_key(name), []).append(name)
    return list(groups.values())


def _frequent_levels(x: pd.DataFrame, names: Sequence[str]) -> tuple[str, ...]:
    """Return the levels that are frequent enough in some columns taken together, sorted."""
    counts = pd.concat([x[name] for name in names], ignore_index=True).value_counts()
    return tuple(sorted(map(str, counts.index[counts >= _MIN_FREQUENCY])))
