"""Folds: every kind keeps its promises, the hash sees every change, and the file survives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.config import FoldsConfig, TaskType
from workbench.errors import EvaluationError
from workbench.evaluation import folds

RNG = np.random.default_rng(7)
ROWS = 60
IDS = np.arange(100, 100 + ROWS)
CLASSES = RNG.integers(0, 3, ROWS)
VALUES = RNG.normal(size=ROWS)
GROUPS = RNG.permutation(np.arange(ROWS) % 12)
TIME = RNG.integers(0, 25, ROWS)


def made(task: TaskType = "multiclass", y: np.ndarray | None = None, **given: Any) -> folds.Folds:
    """Make folds of the sixty rows; keys of `folds:` and columns alike."""
    columns: dict[str, Any] = {key: given.pop(key) for key in ("ids", "groups", "time", "column") if key in given}
    y = (VALUES if task == "regression" else CLASSES) if y is None else y
    columns.setdefault("ids", np.arange(len(y)))
    return folds.make(FoldsConfig(**given), task=task, y=y, **columns)


@st.composite
def cases(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a kind of folds with data that it may find hard: rare classes, few groups, many equal times."""
    rows = draw(st.integers(12, 40))
    kind = draw(st.sampled_from(["holdout", "kfold", "stratified", "group", "group_stratified", "time", "column"]))
    numbers = st.lists(st.integers(0, 9), min_size=rows, max_size=rows)
    case: dict[str, Any] = {"kind": kind, "seed": draw(st.integers(0, 2**40)), "folds": draw(st.integers(2, 4))}
    case["y"] = np.array(draw(numbers)) // draw(st.sampled_from([1, 3, 9]))
    if kind in ("kfold", "stratified"):
        case["repeats"] = draw(st.integers(1, 3))
    if kind == "holdout":
        case["fraction"] = draw(st.floats(0.01, 0.99))
        case["groups"] = draw(st.sampled_from([None, np.arange(rows) % 5]))
    if kind.startswith("group"):
        case["groups"] = np.concatenate([np.arange(4), draw(numbers)])[:rows]
    if kind == "time":
        case["time"] = np.concatenate([draw(numbers), np.arange(5)])[-rows:]
    if kind == "column":
        case["column"] = np.concatenate([[1, 2, np.nan], np.array(draw(numbers)) - 2.0])[:rows]
        case["column_name"] = "fold"
    return case


@settings(max_examples=100, deadline=None)
@given(cases())
def test_every_split_keeps_the_promises_of_its_kind(case: dict[str, Any]) -> None:
    name = case.pop("column_name", None)
    columns = {key: case.pop(key) for key in ("groups", "time", "column") if key in case}
    config = FoldsConfig(**{key: value for key, value in case.items() if key != "y"}, column=name)
    made = folds.make(config, task="multiclass", y=case["y"], ids=np.arange(len(case["y"])), **columns)
    seen = np.zeros((made.repeats, len(case["y"])), int)
    for repeat, fold in made.pairs():
        train, valid = made.split(repeat, fold)
        assert len(train)
        assert len(valid)
        assert not set(train) & set(valid)
        seen[repeat, valid] += 1
        if columns.get("groups") is not None:
            assert not set(columns["groups"][train]) & set(columns["groups"][valid])
        if made.kind == "time":
            assert columns["time"][train].max() < columns["time"][valid].min()
            assert set(train) == set(np.flatnonzero(columns["time"] < columns["time"][valid].min()))
        else:
            assert len(train) + len(valid) == len(case["y"])
    assert seen.max() == 1
    assert ((seen == 1) == (made.assignment >= 0)).all()
    assert (made.validated == seen.all(axis=0)).all()
    if made.kind in ("kfold", "stratified", "group", "group_stratified"):
        assert made.validated.all()
        assert made.folds == config.folds
        assert len(made) == config.folds * config.repeats


def test_the_kind_follows_from_task_and_groups() -> None:
    assert made().kind == "stratified"
    assert made(groups=GROUPS).kind == "group_stratified"
    assert made("regression").kind == "kfold"
    assert made("regression", groups=GROUPS).kind == "group"


def test_stratified_folds_have_every_class_in_proportion() -> None:
    counts = pd.crosstab(made(folds=4).assignment[0], CLASSES)
    assert (counts.max() - counts.min() <= 1).all()


@pytest.mark.parametrize("kind", ["stratified", "group_stratified", "holdout"])
@pytest.mark.parametrize("sizes", [[30, 3, 1], [20, 20, 1], [4] * 8, [1] * 9, [7, 1, 1, 1, 2]])
def test_rare_classes_are_spread_without_a_warning(kind: str, sizes: list[int]) -> None:
    y = RNG.permutation(np.repeat(np.arange(len(sizes)), sizes))
    groups = np.arange(len(y)) // 2 if kind.startswith("group") else None
    dealt = made(y=y, kind=kind, groups=groups, folds=5 if groups is None else 2, fraction=0.5)
    assert all(len(train) and len(valid) for train, valid in (dealt.split(0, fold) for fold in range(dealt.folds)))
    counts = pd.crosstab(dealt.assignment[0], y)
    if kind == "stratified":
        assert (counts.max() - counts.min() <= 1).all()
        assert np.ptp(np.bincount(dealt.assignment[0])) <= 1
    if kind == "holdout" and max(sizes) > 1:
        assert set(y[dealt.split(0, 0)[0]]) == set(y)


def test_group_stratified_folds_are_never_empty_with_as_many_folds_as_groups() -> None:
    groups = np.repeat(np.arange(5), [4, 4, 9, 7, 7])
    y = np.array([0, 0, 1, 2, 0])[groups]
    # scikit-learn's greedy dealing leaves a fold without rows with this seed.
    dealt = made(y=y, groups=groups, folds=5, seed=1)
    assert dealt.kind == "group_stratified"
    assert sorted(np.bincount(dealt.assignment[0])) == [4, 4, 7, 7, 9]


def test_a_row_without_a_group_is_a_group_of_its_own() -> None:
    groups = np.array(["a", "a", None, None], dtype=object)
    dealt = made("regression", VALUES[:4], groups=groups, folds=3)
    assert dealt.assignment[0, 0] == dealt.assignment[0, 1]
    assert set(dealt.assignment[0]) == {0, 1, 2}
    with pytest.raises(EvaluationError, match=r"Received: 3. Set folds.folds to 3 or fewer"):
        made("regression", VALUES[:4], groups=groups, folds=4)


def test_a_holdout_has_the_share_that_was_asked_for() -> None:
    assert made(kind="holdout", fraction=0.3).validated.sum() == 18
    assert made("regression", kind="holdout", fraction=0.3).validated.sum() == 18
    dealt = made(kind="holdout", fraction=0.25, groups=GROUPS)
    assert len(set(GROUPS[dealt.validated])) == 3
    assert len(dealt) == 1


def test_time_folds_are_blocks_of_equal_size_after_a_first_one() -> None:
    shuffled = RNG.permutation(ROWS)
    dealt = made(
        "regression", kind="time", folds=5, time=pd.date_range("2024-01-01", periods=ROWS).to_numpy()[shuffled]
    )
    assert (dealt.assignment[0] == shuffled // 10 - 1).all()
    assert [len(dealt.split(0, fold)[0]) for fold in range(5)] == [10, 20, 30, 40, 50]
    assert not dealt.validated.all()


def test_new_rows_are_predicted_by_every_folds_model_but_in_time_by_the_last_alone() -> None:
    time = pd.date_range("2024-01-01", periods=ROWS).to_numpy()
    assert list(made("regression", kind="time", folds=4, time=time).prediction_pairs()) == [(0, 3)]
    dealt = made("regression", kind="kfold", folds=3, repeats=2)
    assert list(dealt.prediction_pairs()) == list(dealt.pairs())


def test_time_may_be_text_that_sorts() -> None:
    months = np.array([f"2024-{1 + i % 6:02}" for i in range(ROWS)], dtype=object)
    dealt = made("regression", kind="time", folds=2, time=months)
    assert set(months[dealt.split(0, 0)[1]]) == {"2024-03", "2024-04"}


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        ([2.0, 1, 2, np.nan, -1, 7], [1, 0, 1, -1, -1, 2]),
        (["b", "a", "b", "", None, " "], [1, 0, 1, -1, -1, -1]),
        (["10", "9", "10", "-1", "", None], [1, 0, 1, -1, -1, -1]),
        ([True, False, True, True, False, False], [1, 0, 1, 1, 0, 0]),
        ([3.0, np.nan, 3, np.nan, -1, -2], [0, -1, 0, -1, -1, -1]),
    ],
)
def test_a_users_column_becomes_folds_in_sorted_order(column: list[Any], expected: list[int]) -> None:
    values = np.array(column, dtype=object if isinstance(column[0], str) else None)
    dealt = folds.make(
        FoldsConfig(kind="column", column="fold"), task="multiclass", y=CLASSES[:6], ids=IDS[:6], column=values
    )
    assert dealt.assignment.tolist() == [expected]
    assert set(dealt.split(0, 0)[0]) == {row for row, fold in enumerate(expected) if fold != 0}


def test_repeats_deal_anew_and_rows_are_listed_repeat_by_repeat() -> None:
    dealt = made(repeats=2, folds=3)
    assert (dealt.assignment[0] != dealt.assignment[1]).any()
    assert (dealt.assignment[1] == made(folds=3, seed=8).assignment[0]).all()
    assert list(dealt.pairs()) == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]
    repeats, rows = dealt.oof_rows()
    assert rows.tolist() == [*range(ROWS)] * 2
    assert repeats.tolist() == [0] * ROWS + [1] * ROWS


def test_the_frame_lists_validated_rows_in_the_order_of_rows() -> None:
    dealt = made(kind="time", time=TIME, folds=3)
    table = folds.to_frame(dealt, IDS, "PassengerId")
    assert list(table) == ["PassengerId", "repeat", "fold"]
    assert (table["PassengerId"] == IDS[dealt.oof_rows()[1]]).all()
    assert (table["fold"] == dealt.assignment[0][dealt.validated]).all()


def test_folds_are_the_same_every_time_and_on_every_machine() -> None:
    assert made(ids=IDS).hash == made(ids=IDS).hash
    y = np.arange(8) % 2
    assert folds.compute_hash(task="binary", y=y, ids=np.arange(8), assignment=y[None]) == "de06dfbae1d2a0f4"
    assert folds.compute_hash(task="regression", y=y, ids=np.arange(8), assignment=y[None]) == "005ab94d5d6b77b8"


@pytest.mark.parametrize("task", ["multiclass", "regression"])
def test_the_hash_does_not_depend_on_storage_or_order_of_rows(task: TaskType) -> None:
    y = CLASSES if task == "multiclass" else VALUES
    dealt = made(task, ids=IDS, repeats=2)
    order = RNG.permutation(ROWS)
    others: list[tuple[Any, Any, np.ndarray]] = [
        (y[order], IDS[order], dealt.assignment[:, order]),
        (y, IDS.astype(str), dealt.assignment),
        (y, IDS.astype(float), np.asfortranarray(dealt.assignment)),
        (y.astype(object), IDS.astype(object), dealt.assignment.astype(np.int64)),
        (y.astype(np.int8) if task == "multiclass" else y.astype(">f8"), IDS.astype(np.uint16), dealt.assignment),
        (pd.Series(y), pd.Series(IDS).astype("string"), dealt.assignment),
    ]
    for other, ids, assignment in others:
        assert folds.compute_hash(task=task, y=other, ids=ids, assignment=assignment) == dealt.hash


def test_the_hash_changes_with_any_id_target_or_fold() -> None:
    assignment = made().assignment
    seen = {folds.compute_hash(task="multiclass", y=CLASSES, ids=IDS, assignment=assignment)}
    for row in (0, 31, ROWS - 1):
        y, ids, moved = CLASSES.copy(), IDS.copy(), assignment.copy()
        y[row] += 1
        ids[row] = 999
        moved[0, row] = (moved[0, row] + 1) % 5
        seen.add(folds.compute_hash(task="multiclass", y=y, ids=IDS, assignment=assignment))
        seen.add(folds.compute_hash(task="multiclass", y=CLASSES, ids=ids, assignment=assignment))
        seen.add(folds.compute_hash(task="multiclass", y=CLASSES, ids=IDS, assignment=moved))
    assert len(seen) == 10
    values = VALUES.copy()
    values[3] = np.nextafter(values[3], 9)
    assert made("regression").hash != made("regression", values).hash
    assert made("regression", VALUES * 0).hash == made("regression", -VALUES * 0).hash


@pytest.mark.parametrize("given", [{"repeats": 3}, {"kind": "time", "time": TIME}, {"kind": "holdout"}])
def test_folds_come_back_from_their_file_as_they_were(tmp_path: Path, given: dict[str, Any]) -> None:
    before = made(**given)
    folds.save(before, tmp_path / "deep" / "folds.parquet")
    folds.save(before, tmp_path / "deep" / "folds.parquet")
    after = folds.load(tmp_path / "deep" / "folds.parquet")
    assert (after.kind, after.hash, after.assignment.dtype) == (before.kind, before.hash, np.dtype(np.int16))
    for pair in before.pairs():
        for one, other in zip(before.split(*pair), after.split(*pair), strict=True):
            assert (one == other).all()
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["folds.parquet"]


def test_a_damaged_file_of_folds_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "folds.parquet"
    with pytest.raises(EvaluationError, match="Received: no file"):
        folds.load(path)
    folds.save(made(repeats=2), path)
    whole = path.read_bytes()
    for size in (0, 10, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(EvaluationError, match="must be the folds that a study wrote"):
            folds.load(path)
    flipped = bytearray(whole)
    flipped[whole.index(b"PAR1") + 60] ^= 0x55
    path.write_bytes(flipped)
    with pytest.raises(EvaluationError, match="must be the folds that a study wrote"):
        folds.load(path)
    pd.DataFrame({"repeat_0": [0, 1]}).to_parquet(path)
    with pytest.raises(EvaluationError, match="kind or hash is missing"):
        folds.load(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"assignment": np.array([[0, 2, 2]], np.int16)}, "a fold has no rows"),
        ({"assignment": np.array([[-1, -1]], np.int16)}, "a fold has no rows"),
        ({"assignment": np.array([[0, -2, 1]], np.int16)}, "a fold has no rows"),
        ({"assignment": np.array([[0.0, 1.0]])}, "a column has the wrong type"),
        ({"kind": "time"}, "'order' and the kind 'time' go together"),
        ({"kind": "bootstrap"}, "kind or hash is missing"),
        ({"hash": "12"}, "kind or hash is missing"),
    ],
)
def test_a_file_that_does_not_hold_together_is_refused(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    parts: dict[str, Any] = {
        "kind": "kfold",
        "assignment": np.array([[0, 1]], np.int16),
        "order": None,
        "hash": "0" * 16,
    } | change
    folds.save(folds.Folds(**parts), tmp_path / "folds.parquet")
    with pytest.raises(EvaluationError, match=message):
        folds.load(tmp_path / "folds.parquet")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"kind": "group"}, "needs data.group. Received: none. Set data.group"),
        ({"kind": "group_stratified"}, "needs data.group"),
        ({"kind": "time"}, "needs data.time"),
        ({"task": "regression", "kind": "stratified"}, "needs classes. .* Set it to 'kfold'"),
        ({"task": "regression", "kind": "group_stratified", "groups": GROUPS}, "needs classes. .* Set it to 'group'"),
        ({"kind": "kfold", "groups": GROUPS}, "keep the groups of data.group together. Received: 'kfold'"),
        ({"folds": 61}, "folds.folds: 61 needs 61 rows or more. Received: 60. Set folds.folds to 60 or fewer"),
        ({"folds": 13, "groups": GROUPS}, "needs 13 groups of data.group or more. Received: 12"),
        ({"kind": "holdout", "groups": np.zeros(ROWS)}, "needs 2 groups of data.group or more. Received: 1"),
        ({"kind": "holdout", "y": np.zeros(1, int)}, "needs 2 rows or more. Received: 1"),
        ({"kind": "time", "time": TIME % 3, "folds": 3}, "distinct values of data.time, 3. .* to 2 or fewer"),
        ({"kind": "time", "time": TIME * 0}, "Choose another folds.kind"),
        ({"kind": "time", "time": np.where(TIME == 3, np.nan, TIME)}, "data.time must be known for every row"),
        ({"kind": "time", "time": np.array([1, "a"] * 30, object)}, "can be sorted. Received: int and str"),
        ({"ids": np.zeros(ROWS)}, "ids must be unique. Received: '0' more than once"),
    ],
)
def test_folds_that_the_data_cannot_have_are_refused_with_a_remedy(given: dict[str, Any], message: str) -> None:
    with pytest.raises(EvaluationError, match=message):
        made(**given)


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (None, "needs folds.column"),
        (np.zeros(ROWS), "Received: 1 folds over 60 of 60 rows"),
        (np.full(ROWS, np.nan), "Received: 0 folds over 0 of 60 rows"),
    ],
)
def test_a_users_column_that_is_no_folds_is_refused(column: np.ndarray | None, message: str) -> None:
    config = FoldsConfig(kind="column", column="fold")
    with pytest.raises(EvaluationError, match=message):
        folds.make(config, task="multiclass", y=CLASSES, ids=IDS, column=column)


def test_a_column_of_ids_is_not_taken_for_folds() -> None:
    many = np.arange(1001)
    with pytest.raises(EvaluationError, match=r"at most 1000 folds. Received: 1001"):
        folds.make(FoldsConfig(kind="column", column="id"), task="regression", y=many, ids=many, column=many)
