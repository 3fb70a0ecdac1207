"""Pruners: who ends a trial, judged on boards that tests write themselves."""

from __future__ import annotations

import math

import numpy as np
import pytest

from workbench.search.pruners import (
    END,
    RUNGS,
    STRIDE,
    IntermediateValues,
    Place,
    decode_step,
    encode_step,
    pruner,
    pruners,
    rung_of,
)

FOLDS = 5
real = pytest.mark.parametrize("name", [name for name in pruners() if name != "none"])


def level(number: int) -> float:
    """Return how good a trial of the boards below is: 0 is the best."""
    return 0.1 * number


def curve(number: int, fold: int, rung: int, rng: np.random.Generator) -> float:
    return level(number) + 1 / rung + 0.02 * fold + rng.normal(0, 0.005)


def board_of(trials: int = 8) -> IntermediateValues:
    """Return a board of complete trials whose levels are 0.0, 0.1, 0.2 and so on."""
    board, rng = IntermediateValues(), np.random.default_rng(0)
    for number in range(trials):
        for fold in range(FOLDS):
            for rung in RUNGS[:12]:
                board.put(number, (fold, rung), curve(number, fold, rung, rng))
            board.put(number, (fold, END), level(number) + 0.02 * fold + rng.normal(0, 0.005))
        board.finish(number, level(number))
    return board


def ran(name: str, board: IntermediateValues, number: int, quality: float) -> Place | None:
    """Run a trial of `quality` against the board; return where it is ended."""
    ends = pruner(name)
    rng = np.random.default_rng(number)
    for fold in range(FOLDS):
        for rung in RUNGS[:12]:
            board.put(number, (fold, rung), quality + 1 / rung + 0.02 * fold + rng.normal(0, 0.005))
            if ends(board, number, (fold, rung)):
                return fold, rung
        board.put(number, (fold, END), quality + 0.02 * fold + rng.normal(0, 0.005))
        if fold < FOLDS - 1 and ends(board, number, (fold, END)):
            return fold, END
    board.finish(number, quality)
    return None


@real
def test_every_pruner_lets_the_best_trial_go_on(name: str) -> None:
    assert ran(name, board_of(), 100, -0.1) is None


@real
def test_every_pruner_ends_a_hopeless_trial(name: str) -> None:
    # Hyperband spares two of three trials the first decisions, by their number.
    places = [ran(name, board_of(), number, 5.0) for number in range(100, 106)]
    assert all(place is not None for place in places)
    if name == "wilcoxon":
        # Signed ranks of fewer than four folds cannot be below 0.1.
        assert places == [(3, END)] * 6
    else:
        assert any(fold == 0 and 2 <= rung <= 8 for fold, rung in places if rung != END)


def test_paired_ends_a_middling_trial_after_a_fold_or_two_and_no_good_one() -> None:
    middling = [ran("paired", board_of(), number, level(5)) for number in range(100, 110)]
    assert all(place in ((0, END), (1, END)) for place in middling)
    good = [ran("paired", board_of(), number, level(1)) for number in range(100, 110)]
    assert good == [None] * 10


def test_paired_is_not_fooled_by_folds_that_are_harder_for_all() -> None:
    board, rng = IntermediateValues(), np.random.default_rng(1)
    hard = np.array([5.0, 0.0, 0.0, 0.0, 0.0])
    for number in range(6):
        for fold in range(FOLDS):
            board.put(number, (fold, END), hard[fold] + rng.normal(0, 0.1))
        board.finish(number, 1.0 + number / 100)
    board.put(9, (0, END), 5.0)
    assert not pruner("paired")(board, 9, (0, END))


@real
def test_nobody_is_judged_by_too_few(name: str) -> None:
    assert ran(name, board_of(2), 100, 5.0) is None or name in ("halving", "hyperband")
    assert ran(name, IntermediateValues(), 100, 5.0) is None


def test_none_ends_nothing() -> None:
    assert ran("none", board_of(), 100, 50.0) is None


def test_values_that_mean_nothing_are_left_out() -> None:
    board = board_of()
    board.put(100, (0, END), math.nan)
    assert 100 not in board.values((0, END))
    board.put(100, (1, END), 0.5)
    # A mean over folds of which one says nothing cannot be held against others.
    assert 100 not in board.values((1, END))


def test_steps_are_unique_over_folds_and_rungs() -> None:
    places = [(fold, rung) for fold in range(10) for rung in (*RUNGS, END)]
    steps = [encode_step(place) for place in places]
    assert len(set(steps)) == len(places)
    assert steps == sorted(steps)
    assert [decode_step(step) for step in steps] == places
    assert max(RUNGS) < STRIDE - 1


@pytest.mark.parametrize(("progress", "rung"), [(0, None), (1, None), (2, 2), (5, 4), (100, 91), (10**9, RUNGS[-1])])
def test_a_rung_is_the_last_one_reached(progress: int, rung: int | None) -> None:
    assert rung_of(progress) == rung
