"""The pace of a trial: what it needs is told from folds, epochs, or at least from the time gone."""

from __future__ import annotations

from workbench.search.time_estimate import TimeEstimate


def test_without_any_end_of_a_fold_a_trial_needs_at_least_what_each_fold_has_taken() -> None:
    pace = TimeEstimate(5, since=100.0)
    assert pace.needs(100.0) == 0
    assert pace.needs(160.0) == 5 * 60 - 60


def test_folds_done_tell_how_long_the_others_take() -> None:
    pace = TimeEstimate(5, since=0.0)
    pace.fold(10.0)
    pace.fold(30.0)
    assert pace.done == 2
    assert pace.needs(30.0) == 3 * 15
    assert pace.needs(35.0) == 3 * 15 - 5
    # The third takes longer than those before it did.
    assert pace.needs(80.0) == 3 * 50 - 50


def test_epochs_tell_it_early_and_the_first_which_compiles_does_not_count() -> None:
    pace = TimeEstimate(2, since=0.0)
    pace.epoch(0, 11, 20.0)
    assert pace.needs(20.0) == 20
    pace.epoch(1, 11, 21.0)
    assert pace.needs(21.0) == 21
    pace.epoch(2, 11, 22.0)
    # A fold: 20 seconds for the first epoch, one for each of the other ten.
    assert pace.needs(22.0) == 2 * 30 - 22
    pace.fold(30.0)
    assert pace.needs(30.0) == 30


def test_epochs_of_a_training_that_may_end_early_promise_nothing() -> None:
    pace = TimeEstimate(2, since=0.0)
    for epoch in range(5):
        pace.epoch(epoch, None, 1.0 + epoch)
    assert pace.needs(5.0) == 5
