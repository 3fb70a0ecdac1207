"""Fidelities: the rows that trials use where a budget does not buy all folds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from workbench.config import FoldsConfig
from workbench.evaluation import folds
from workbench.evaluation.fidelity import FIDELITIES, Fidelity, list_fidelities, reduce_folds
from workbench.evaluation.folds import Folds

ROWS = 40_000


def deal(kind: str, rows: int = ROWS, **options: Any) -> tuple[Folds, np.ndarray]:
    """Return folds and their classes, one of which is rare."""
    y = np.where(np.arange(rows) % (rows // 10) == 0, 2, np.arange(rows) % 2)
    given: dict[str, Any] = {"groups": np.arange(rows) // 3, "time": np.arange(rows)}
    needed = {"group": ["groups"], "time": ["time"]}.get(kind, [])
    config = FoldsConfig.model_validate({"kind": kind} | options)
    dealt = folds.make(config, task="multiclass", y=y, ids=np.arange(rows), **{name: given[name] for name in needed})
    return dealt, y


@pytest.mark.parametrize(("kind", "fold"), [("stratified", 0), ("group", 0), ("time", 4)])
@pytest.mark.parametrize("fidelity", FIDELITIES[1:4])
def test_lower_fidelities_have_rows_of_one_of_the_folds(kind: str, fold: int, fidelity: Fidelity) -> None:
    dealt, y = deal(kind, repeats=1)
    reduced = reduce_folds(dealt, fidelity, y)
    assert list(reduced.pairs()) == list(reduced.prediction_pairs()) == [(0, 0)]
    assert reduced.hash == dealt.hash
    divisor = int(fidelity.partition("/")[2] or 1)
    for all_rows, rows in zip(dealt.split(0, fold), reduced.split(0, 0), strict=True):
        assert set(rows) <= set(all_rows)
        assert len(rows) == pytest.approx(len(all_rows) / divisor, abs=3)
        assert set(y[rows]) == set(y[all_rows])
    assert np.array_equal(reduced.oof_rows()[1], reduced.split(0, 0)[1])


def test_a_fidelity_is_offered_if_it_differs_and_has_a_thousand_validation_rows() -> None:
    assert list_fidelities(deal("stratified")[0]) == ["full", "holdout", "holdout/4"]
    assert list_fidelities(deal("holdout")[0]) == ["full", "holdout/4"]
    assert list_fidelities(deal("stratified", 4_000)[0]) == ["full"]
    assert list_fidelities(deal("stratified", 5_000)[0]) == ["full", "holdout"]
    assert list_fidelities(deal("stratified", 5_000, repeats=2)[0]) == ["full", "holdout"]


def test_full_fidelity_is_the_folds_themselves() -> None:
    dealt, _ = deal("stratified")
    assert reduce_folds(dealt, "full") is dealt
