"""Pruners on intermediate values that the tests write themselves."""

from __future__ import annotations

import math

import numpy as np
import pytest

from workbench.search.pruners import (
    END,
    RUNGS,
    STRIDE,
    IntermediateValues,
    Step,
    decode_step,
    encode_step,
    get_pruner,
    pruner_names,
    rung_of,
)

FOLDS = 5
real = pytest.mark.parametrize("name", [name for name in pruner_names() if name != "none"])


def level(number: int) -> float:
    """Return the loss of a complete trial: 0 is the best."""
    return 0.1 * number


def curve(number: int, fold: int, rung: int, rng: np.random.Generator) -> float:
    return level(number) + 1 / rung + 0.02 * fold + rng.normal(0, 0.005)


def complete_trials(trials: int = 8) -> IntermediateValues:
    """Return the values of complete trials whose levels are 0.0, 0.1, 0.2 and so on."""
    values, rng = IntermediateValues(), np.random.default_rng(0)
    for number in range(trials):
        for fold in range(FOLDS):
            for rung in RUNGS[:12]:
                values.add(number, (fold, rung), curve(number, fold, rung, rng))
            values.add(number, (fold, END), level(number) + 0.02 * fold + rng.normal(0, 0.005))
        values.add_complete(number, level(number))
    return values


def run_trial(name: str, values: IntermediateValues, number: int, quality: float) -> Step | None:
    """Run a trial whose loss is `quality`; return the step at which it is pruned."""
    should_prune = get_pruner(name)
    rng = np.random.default_rng(number)
    for fold in range(FOLDS):
        for rung in RUNGS[:12]:
            values.add(number, (fold, rung), quality + 1 / rung + 0.02 * fold + rng.normal(0, 0.005))
            if should_prune(values, number, (fold, rung)):
                return fold, rung
        values.add(number, (fold, END), quality + 0.02 * fold + rng.normal(0, 0.005))
        if fold < FOLDS - 1 and should_prune(values, number, (fold, END)):
            return fold, END
    values.add_complete(number, quality)
    return None


@real
def test_no_pruner_stops_the_best_trial(name: str) -> None:
    assert run_trial(name, complete_trials(), 100, -0.1) is None


@real
def test_every_pruner_stops_a_very_poor_trial(name: str) -> None:
    # Hyperband spares two of three trials the first decisions, by their number.
    pruned_at = [run_trial(name, complete_trials(), number, 5.0) for number in range(100, 106)]
    assert all(step is not None for step in pruned_at)
    if name == "wilcoxon":
        # The p-value of signed ranks of fewer than four folds cannot be below 0.1.
        assert pruned_at == [(3, END)] * 6
    else:
        assert any(fold == 0 and 2 <= rung <= 8 for fold, rung in filter(None, pruned_at) if rung != END)


def test_paired_stops_a_mediocre_trial_after_a_fold_or_two_and_no_good_one() -> None:
    middling = [run_trial("paired", complete_trials(), number, level(5)) for number in range(100, 110)]
    assert all(step in ((0, END), (1, END)) for step in middling)
    good = [run_trial("paired", complete_trials(), number, level(1)) for number in range(100, 110)]
    assert good == [None] * 10


def test_paired_allows_for_folds_that_are_harder_for_all_trials() -> None:
    values, rng = IntermediateValues(), np.random.default_rng(1)
    hard = np.array([5.0, 0.0, 0.0, 0.0, 0.0])
    for number in range(6):
        for fold in range(FOLDS):
            values.add(number, (fold, END), hard[fold] + rng.normal(0, 0.1))
        values.add_complete(number, 1.0 + number / 100)
    values.add(9, (0, END), 5.0)
    assert not get_pruner("paired")(values, 9, (0, END))


@real
def test_no_trial_is_pruned_without_enough_others(name: str) -> None:
    assert run_trial(name, complete_trials(2), 100, 5.0) is None or name in ("halving", "hyperband")
    assert run_trial(name, IntermediateValues(), 100, 5.0) is None


def test_none_stops_nothing() -> None:
    assert run_trial("none", complete_trials(), 100, 50.0) is None


def test_values_that_are_not_finite_are_left_out() -> None:
    values = complete_trials()
    values.add(100, (0, END), math.nan)
    assert 100 not in values.values_at((0, END))
    values.add(100, (1, END), 0.5)
    # A mean that lacks a fold is not comparable with others.
    assert 100 not in values.values_at((1, END))


def test_steps_are_unique_over_folds_and_rungs() -> None:
    steps = [(fold, rung) for fold in range(10) for rung in (*RUNGS, END)]
    numbers = [encode_step(step) for step in steps]
    assert len(set(numbers)) == len(steps)
    assert numbers == sorted(numbers)
    assert [decode_step(number) for number in numbers] == steps
    assert max(RUNGS) < STRIDE - 1


@pytest.mark.parametrize(("progress", "rung"), [(0, None), (1, None), (2, 2), (5, 4), (100, 91), (10**9, RUNGS[-1])])
def test_a_rung_is_the_last_one_reached(progress: int, rung: int | None) -> None:
    assert rung_of(progress) == rung
