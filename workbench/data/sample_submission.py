"""The sample submission: read as it is written, and its rows matched to the test rows.

A column of the sample and a column of the test rows that hold the same values are the key. Names and places of the
columns do not matter. Without a key, row k of the sample is test row k, with a note, unless values speak against it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from workbench.array import Array
from workbench.data import row_matching, table_files
from workbench.data.dataset import Dataset, SampleAlignment
from workbench.data.row_matching import Columns, RowKey
from workbench.errors import SubmissionError, format_list

# A column shares so many values with the sample that rows are missing; fewer are chance, as between ages and numbers.
_MOSTLY = 0.5
# Columns of fewer values may be equally distributed by chance.
_LEAST_DISTINCT = 3
_REMEDY = "Correct data.test or data.sample_submission."


class RawSample(NamedTuple):
    """A sample submission with every value as it is written."""

    name: str
    """The file's name, for messages."""
    frame: pd.DataFrame


class _Match(NamedTuple):
    """The test row of each row of the sample, and how it was found."""

    id_column: str
    rows: Array
    note: str = ""


def read(path: Path) -> RawSample:
    """Read a sample submission.

    Raises:
        SourceError: the file cannot be opened.
        DataError: the file is not a table, or has no rows.
    """
    return RawSample(path.name, table_files.read_as_written(path))


def align(dataset: Dataset, sample: RawSample, read_test: Callable[[], pd.DataFrame | None]) -> Dataset:
    """Return the dataset with the sample submission and the test row of each of its rows.

    Args:
        dataset: the test ids and the targets.
        sample: the sample submission.
        read_test: returns the test rows with all columns as they are written, or None if they are no table; called
            only if the sample does not hold the ids of the dataset.

    Raises:
        SubmissionError: ids are missing, others or repeated; several columns could be the ids; or the rows are those of
            the test rows in an order that no ids tell.
    """
    predictions = _list_predictions(dataset)
    columns = {
        name: values
        for name, values in row_matching.to_columns(sample.frame).items()
        if name == dataset.id_name or name not in predictions
    }
    if dataset.test_ids is None:
        id_column = find_id_column(sample.frame, [dataset.id_name], ignored=predictions)
        return _with_sample(dataset, sample, SampleAlignment(id_column, None))
    match = _Matcher(dataset, sample, columns).match(read_test)
    aligned = _with_sample(dataset, sample, SampleAlignment(match.id_column, match.rows))
    return replace(aligned, notes=(*dataset.notes, match.note)) if match.note else aligned


def find_id_column(frame: pd.DataFrame, names: list[str], *, ignored: Collection[str] = ()) -> str:
    """Return the column of a sample that holds the ids by its name, else the first that differs in every row.

    Args:
        frame: the sample.
        names: the names that the ids may have; case does not matter.
        ignored: the columns of predictions.
    """
    columns = [str(name) for name in frame.columns]
    lowered = {name.lower() for name in names}
    others = [name for name in columns if name not in ignored]
    unique = [name for name in others if frame[name].notna().all() and frame[name].is_unique]
    exact = [name for name in columns if name in names]
    same_letters = [name for name in columns if name.lower() in lowered]
    return [*exact, *same_letters, *unique, *others, columns[0]][0]


def to_types(frame: pd.DataFrame, id_column: str) -> pd.DataFrame:
    """Return a sample with columns of numbers as numbers; the ids stay as they are written."""
    return frame.assign(**{name: _to_numbers(frame[name]) for name in frame.columns if name != id_column})


class _Matcher:
    """Finds the test row of each row of a sample."""

    def __init__(self, dataset: Dataset, sample: RawSample, columns: Columns) -> None:
        ids = np.array([]) if dataset.test_ids is None else dataset.test_ids
        self._id_name, self._sample, self._columns = dataset.id_name, sample, columns
        self._rows = len(ids)
        # Ids that are row numbers are mostly none of the files'.
        numbered = np.array_equal(ids, np.arange(len(ids)))
        own = {} if numbered else {dataset.id_name: pd.Series(ids)}
        self._test = row_matching.to_columns(pd.DataFrame(own))

    def match(self, read_test: Callable[[], pd.DataFrame | None]) -> _Match:
        """Return the test rows by a key, by row numbers, or by position.

        Raises:
            SubmissionError: see `align`.
        """
        key = self._choose(row_matching.find_keys(self._columns, self._test, self._id_name))
        if key is None:
            frame = read_test()
            # A table with several rows for each prediction has no column that names each once.
            if frame is not None and len(frame) == self._rows:
                self._test = row_matching.to_columns(frame) | self._test
            key = self._choose(row_matching.find_keys(self._columns, self._test, self._id_name))
        if key is not None and any(key.rank[:3]):
            return _Match(key.left, key.rows)
        self._refuse_other_values(named=key is not None)
        if key is not None:
            note = f"{self._sample.name}: {key.left!r} has the values of {key.right!r} of the test rows"
            return _Match(key.left, key.rows, note)
        self._refuse_other_order()
        return self._match_by_position()

    def _choose(self, keys: list[RowKey]) -> RowKey | None:
        """Return the first of equally good keys, which must agree on the rows."""
        if any((key.rows != keys[0].rows).any() for key in keys[1:]):
            pairs = format_list([f"{key.left} = {key.right}" for key in keys], 5)
            raise SubmissionError(
                f"{self._sample.name}: one column must name the test rows. Received several that give different rows: "
                f"{pairs}. Set data.id to the column of the test rows."
            )
        return keys[0] if keys else None

    def _refuse_other_values(self, *, named: bool) -> None:
        """Refuse a sample whose ids are not those of the test rows.

        Args:
            named: whether only columns of one name must agree; else also those that share values beyond chance.
        """
        for name, other in self._list_likely_pairs(named=named):
            ours, theirs = self._columns[name], self._test[other]
            # A column of unique values would be the key if the sample had the same.
            if row_matching.is_key(theirs) or not any(
                row_matching.have_equal_values(notation(ours), notation(theirs)) for notation in row_matching.NOTATIONS
            ):
                raise self._explain(name, other)

    def _list_likely_pairs(self, *, named: bool) -> Iterator[tuple[str, str]]:
        """Yield pairs of columns that must agree: those of one name, and those that share values beyond chance."""
        pairs = [(name, other) for name in self._columns for other in self._test]
        yield from ((name, other) for name, other in pairs if name.lower() == other.lower())
        for name, other in [] if named else pairs:
            ours, theirs = self._columns[name], self._test[other]
            if not row_matching.is_key(theirs):
                continue
            share, is_id = row_matching.share_values(ours, theirs), other == self._id_name
            # A column with few values holds labels, and row numbers are among the values of many columns.
            is_part = share > 0 and 2 * ours.nunique() >= self._rows if is_id else share > _MOSTLY
            if is_part and (is_id or row_matching.numbers_rows(ours) is None):
                yield name, other

    def _explain(self, name: str, other: str) -> SubmissionError:
        """Return an error that counts the ids that differ."""
        ours, theirs = self._columns[name], self._test[other]
        repeated = ours[ours.duplicated()].dropna().unique()
        if row_matching.is_key(theirs) and len(repeated):
            return SubmissionError(
                f"{self._sample.name}: column {name!r} must name each test row once. It names ids twice: "
                f"{format_list(repeated, 5)}. {_REMEDY}"
            )
        ours, theirs = row_matching.to_common_notation(ours.fillna("nan"), theirs.fillna("nan"))
        unknown, missing = ours[~ours.isin(theirs)].unique(), theirs[~theirs.isin(ours)].unique()
        parts = [f"{len(unknown)} others ({format_list(unknown, 5)})"] if len(unknown) else []
        parts += [f"none of {len(missing)} ({format_list(missing, 5)})"] if len(missing) else []
        return SubmissionError(
            f"{self._sample.name}: the ids in column {name!r} must be those of the {self._rows} test rows in column "
            f"{other!r}. Received: {' and '.join(parts) or 'some more often'}. {_REMEDY}"
        )

    def _refuse_other_order(self) -> None:
        """Refuse a sample with the values of a column of the test rows in another order, which no ids tell."""
        for name, ours in self._columns.items():
            for other, theirs in self._test.items():
                least = 2 if name.lower() == other.lower() else _LEAST_DISTINCT
                if ours.nunique() >= least and row_matching.is_reordered(ours, theirs):
                    raise SubmissionError(
                        f"{self._sample.name}: column {name!r} must have the values of the test rows' column {other!r} "
                        "in their order, because no column names each row. Received: another order. Add an id to both "
                        "files, or sort the sample as the test rows are."
                    )

    def _match_by_position(self) -> _Match:
        """Return the rows by their numbers, else by position.

        Raises:
            SubmissionError: there is not one row for each test row.
        """
        rows = len(self._sample.frame)
        if rows != self._rows:
            raise SubmissionError(
                f"{self._sample.name}: must have a row for each of the {self._rows} test rows. Received: {rows} rows. "
                f"{_REMEDY}"
            )
        for name, texts in self._columns.items():
            numbered = row_matching.numbers_rows(texts)
            if numbered is not None:
                start, order = numbered
                note = f"{self._sample.name}: {name!r} numbers the test rows from {start}, which have no such column"
                return _Match(name, order, note)
        predictions = {name for name in map(str, self._sample.frame.columns) if name not in self._columns}
        id_column = find_id_column(self._sample.frame, [self._id_name], ignored=predictions)
        note = (
            f"{self._sample.name}: no column has the values of a column of the test rows, so its rows are taken to be "
            "the test rows in their order"
        )
        return _Match(id_column, np.arange(rows), note)


def _list_predictions(dataset: Dataset) -> set[str]:
    """Return the names that columns of predictions may have: targets, labels, and TARGET_LABEL."""
    targets = {target.name: target.classes for target in dataset.targets} or {dataset.target: dataset.classes}
    labels = {name: [str(label) for label in classes or ()] for name, classes in targets.items()}
    return {*targets, *(each for name in labels for label in labels[name] for each in (label, f"{name}_{label}"))}


def _with_sample(dataset: Dataset, sample: RawSample, alignment: SampleAlignment) -> Dataset:
    return replace(dataset, sample=to_types(sample.frame, alignment.id_column), alignment=alignment)


def _to_numbers(series: pd.Series[Any]) -> pd.Series[Any]:
    if series.dtype.kind in "biuf":
        return series
    try:
        return pd.to_numeric(series)
    except (ValueError, TypeError):
        return series
