"""A table's columns by kind -> the inputs of a net with a branch for each kind."""

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
from workbench.features.preprocessors import Scaling, dense_preprocessor, fit_wide
from workbench.features.text_vectorizer import TextVectorizer, fit_text_vectorizer

# What the column of images is called where there is nothing else.
ALONE = "image"
_FILE = "branches.json"
# A level of fewer training rows tells nothing that other rows could need.
_LEAST = 2


@dataclass(frozen=True)
class MultiInputEncoder:
    """A fitted view."""

    dense: Any | None
    """Numbers, booleans and dates -> (rows, values) float32; None where there are none."""
    levels: Mapping[str, tuple[str, ...]]
    """The columns of categories, and the levels that each one's codes from 1 stand for."""
    texts: Mapping[str, TextVectorizer]
    """The columns of texts, and how each is read."""
    images: tuple[str, ...]
    """The columns of images."""
    shared: tuple[tuple[str, ...], ...] = ()
    """Columns that have levels or words in common, and go through the same layers."""
    wide: Any | None = None
    """Categories, binned numbers and their crosses -> (rows, columns) int32 codes; None unless asked for."""

    def key(self, column: str) -> str:
        """Return what stands for all columns that go through the same layers as this one: the first of them."""
        return next((columns[0] for columns in self.shared if column in columns), column)

    def transform(self, x: Any) -> list[Any]:
        """Return the inputs that there are, of a table or of images alone: dense, codes, each text, each image, wide.

        Codes are (rows, columns) int32, 0 for what is missing or rare; a text is (rows, steps) int32, and images are
        read when rows are asked for.
        """
        x = as_table(x)
        inputs: list[Any] = [] if self.dense is None else [np.asarray(self.dense.transform(x))]
        if self.levels:
            known = [pd.Index(levels, dtype=object) for levels in self.levels.values()]
            codes = [each.get_indexer(pd.Index(x[name])) for each, name in zip(known, self.levels, strict=True)]
            inputs.append(np.column_stack(codes).astype(np.int32) + 1)
        inputs += [read.transform(x)[0] for read in self.texts.values()]
        inputs += [cast(ImageArray, x[name].array).seen for name in self.images]
        return inputs if self.wide is None else [*inputs, np.asarray(self.wide.transform(x))]

    def save(self, folder: Path) -> None:
        """Write `branches.json`, and what else there is as `dense.skops` and `wide.skops`."""
        texts = {name: {"lengths": dict(read.lengths), "words": read.vocabulary} for name, read in self.texts.items()}
        known = {"levels": dict(self.levels), "texts": texts, "images": self.images, "shared": self.shared}
        (folder / _FILE).write_text(json.dumps(known), encoding="utf-8")
        for name, view in (("dense", self.dense), ("wide", self.wide)):
            if view is not None:
                persistence.save(view, folder / f"{name}.skops")

    @classmethod
    def load(cls, folder: Path) -> MultiInputEncoder:
        """Read what `save` wrote."""
        known = json.loads((folder / _FILE).read_text(encoding="utf-8"))
        views = {name: folder / f"{name}.skops" for name in ("dense", "wide")}
        return cls(
            **{name: persistence.load(file) if file.exists() else None for name, file in views.items()},
            levels={name: tuple(levels) for name, levels in known["levels"].items()},
            texts={
                name: TextVectorizer(each["lengths"], tuple(each["words"]), None)
                for name, each in known["texts"].items()
            },
            images=tuple(known["images"]),
            shared=tuple(map(tuple, known["shared"])),
        )


def as_table(x: Any) -> pd.DataFrame:
    """Return rows as a table; images alone are its one column."""
    return x if isinstance(x, pd.DataFrame) else pd.DataFrame({ALONE: ImageArray(x)})


def fit_multi_input(
    columns: Mapping[str, ColumnKind],
    x: Any,
    y: np.ndarray,
    *,
    numbers: Scaling,
    seed: int,
    longest: int,
    shared: Sequence[Sequence[str]] = (),
    crosses: int | None = None,
) -> MultiInputEncoder:
    """Return the fitted view of a net with a branch for each kind of column.

    Args:
        columns: the kind of each column; none where the rows are images alone.
        x: the fold's training rows.
        y: their targets.
        numbers: how numbers are scaled.
        seed: of what is drawn.
        longest: how many words of a text are read.
        shared: columns of categories, texts or images, some lists of them, that go through the same layers.
        crosses: how many pairs of columns a wide part joins; None where there is to be none.
    """
    x, columns = as_table(x), columns or {ALONE: "image"}
    plain = {name: kind for name, kind in columns.items() if kind in ("number", "boolean", "date")}
    told = tuple(tuple(name for name in names if name in columns) for names in shared)
    view = MultiInputEncoder(
        dense=dense_preprocessor(plain, x, numbers=numbers, classes=0, seed=seed).fit(x) if plain else None,
        levels={},
        texts={},
        images=tuple(name for name, kind in columns.items() if kind == "image"),
        shared=tuple(names for names in told if len(names) > 1),
        wide=None if crosses is None else fit_wide(columns, x, crosses),
    )
    levels: dict[str, tuple[str, ...]] = {}
    texts: dict[str, TextVectorizer] = {}
    for names in _together(view, [name for name, kind in columns.items() if kind == "category"]):
        levels |= dict.fromkeys(names, _levels(x, names))
    for names in _together(view, [name for name, kind in columns.items() if kind == "text"]):
        options: Any = {"numbers": numbers, "classes": 0, "seed": seed, "longest": longest * len(names)}
        read, _ = fit_text_vectorizer(dict.fromkeys(names, "text"), x, y, **options)
        texts |= {name: replace(read, lengths={name: read.lengths[name]}) for name in names}
    order = list(columns)
    return replace(
        view,
        levels=dict(sorted(levels.items(), key=lambda item: order.index(item[0]))),
        texts=dict(sorted(texts.items(), key=lambda item: order.index(item[0]))),
    )


def _together(view: MultiInputEncoder, names: Sequence[str]) -> list[list[str]]:
    """Return columns of one kind in lists of those that go through the same layers."""
    found: dict[str, list[str]] = {}
    for name in names:
        found.setdefault(view.key(name), []).append(name)
    return list(found.values())


def _levels(x: pd.DataFrame, names: Sequence[str]) -> tuple[str, ...]:
    """Return the levels of some columns that are not rare in all of them together."""
    counts = pd.concat([x[name] for name in names], ignore_index=True).value_counts()
    return tuple(sorted(map(str, counts.index[counts >= _LEAST])))
