"""A summary of each column of the data: kind, missing values, levels, an example, and what becomes of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from workbench.autoconfig.infer import InferredConfig
from workbench.autoconfig.profile import DataProfile
from workbench.config import ColumnKind
from workbench.data.validation import is_unnamed

if TYPE_CHECKING:
    import pandas as pd

# The longest example, in characters.
_MAX_EXAMPLE = 40


@dataclass(frozen=True)
class ColumnSummary:
    """A column of the training table, or of the test table alone."""

    name: str
    use: Literal["feature", "target", "id", "steps", "dropped"]
    """The use of the column in the draft."""
    reason: str | None
    """Why it is dropped; None for other columns."""
    kind: ColumnKind
    missing: float | None
    """The share of training rows without a value; None if the training table lacks the column."""
    missing_test: float | None
    """The same for the test rows; None if there are none, or they lack the column."""
    levels: int
    """The number of distinct values in the training rows."""
    example: str | None
    """The first value, cut to 40 characters; None if all are missing."""


def summarize_columns(profile: DataProfile, inferred: InferredConfig) -> tuple[ColumnSummary, ...]:
    """Return a summary of each column: those of the training table in their order, then those of the test alone."""
    return tuple(_summaries(profile, inferred))


def _summaries(profile: DataProfile, inferred: InferredConfig) -> Iterator[ColumnSummary]:
    from workbench import data

    train = profile.train if profile.table is None else profile.table
    # A long table has its labels in another table.
    train_columns = {str(name): train[name] for name in train.columns}
    train_columns |= {str(name): profile.train[name] for name in profile.train.columns if name not in train.columns}
    test = profile.test if profile.test_table is None else profile.test_table
    test_columns = {} if test is None else {str(name): test[name] for name in test.columns}
    for name in dict.fromkeys([*train_columns, *test_columns]):
        values, new = train_columns.get(name), test_columns.get(name)
        shown = test_columns[name] if values is None else values
        kind: ColumnKind | None = "image" if name in profile.image_columns else inferred.kinds.get(name)
        levels = 0 if values is None else int(values.nunique())
        reason = _find_reason(profile, inferred, name, values, levels)
        yield ColumnSummary(
            name=name,
            use="dropped" if reason else _find_use(profile, inferred, name),
            reason=reason,
            kind=kind or data.kinds(shown.to_frame(name))[name],
            missing=None if values is None else _missing_share(values),
            missing_test=None if new is None else _missing_share(new),
            levels=levels,
            example=_find_example(shown),
        )


def _find_use(
    profile: DataProfile, inferred: InferredConfig, name: str
) -> Literal["feature", "target", "id", "steps", "dropped"]:
    """Return the use of a column that is not dropped."""
    if name in inferred.targets:
        return "target"
    if name == inferred.id:
        return "id"
    return "steps" if name == profile.steps else "feature"


def _find_reason(
    profile: DataProfile, inferred: InferredConfig, name: str, values: pd.Series[Any] | None, levels: int
) -> str | None:
    """Return why a column is dropped, or None."""
    test = profile.files.test
    has_columns = profile.features_in_columns or profile.steps is not None
    if values is None:
        return None if name == inferred.id else f"{profile.files.label} lacks it"
    if _find_use(profile, inferred, name) != "feature" or name in profile.image_columns:
        return None
    if is_unnamed(name):
        return "no name"
    if name in inferred.drop:
        tested = profile.test if profile.test_table is None else profile.test_table
        lacks = tested is not None and name not in tested.columns
        return f"{test.name if test else 'the test'} lacks it" if lacks else "different in every row"
    if not has_columns:
        return "not part of the images" if profile.kind == "image" else "not part of x"
    if levels == 0:
        return "empty"
    return "constant" if levels == 1 and values.notna().all() else None


def _missing_share(values: pd.Series[Any]) -> float:
    return float(values.isna().mean()) if len(values) else 0.0


def _find_example(values: pd.Series[Any]) -> str | None:
    """Return the first value as text; whole numbers without a fraction, because a column with gaps is of floats."""
    known = values.notna().to_numpy()
    if not known.any():
        return None
    value: Any = values.iloc[int(known.argmax())]
    text = str(value).removesuffix(".0") if isinstance(value, float) else str(value)
    return text if len(text) <= _MAX_EXAMPLE else f"{text[: _MAX_EXAMPLE - 1]}…"
