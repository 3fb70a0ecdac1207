"""The estimate of a trial's remaining time, from folds, epochs or the elapsed time."""

from __future__ import annotations

from workbench.search.time_estimate import TimeEstimate


def test_before_the_first_fold_ends_each_fold_takes_at_least_the_elapsed_time() -> None:
    estimate = TimeEstimate(5, fold_began=100.0)
    assert estimate.remaining(100.0) == 0
    assert estimate.remaining(160.0) == 5 * 60 - 60


def test_finished_folds_predict_the_others() -> None:
    estimate = TimeEstimate(5, fold_began=0.0)
    estimate.end_fold(10.0)
    estimate.end_fold(30.0)
    assert estimate.folds_done == 2
    assert estimate.remaining(30.0) == 3 * 15
    assert estimate.remaining(35.0) == 3 * 15 - 5
    # The third fold takes longer than the earlier ones.
    assert estimate.remaining(80.0) == 3 * 50 - 50


def test_epochs_predict_a_fold_and_the_first_epoch_does_not_count() -> None:
    estimate = TimeEstimate(2, fold_began=0.0)
    estimate.end_epoch(0, 11, 20.0)
    assert estimate.remaining(20.0) == 20
    estimate.end_epoch(1, 11, 21.0)
    assert estimate.remaining(21.0) == 21
    estimate.end_epoch(2, 11, 22.0)
    # A fold takes 20 seconds for the first epoch and one for each of the other ten.
    assert estimate.remaining(22.0) == 2 * 30 - 22
    estimate.end_fold(30.0)
    assert estimate.remaining(30.0) == 30


def test_epochs_predict_nothing_if_their_number_is_not_settled() -> None:
    estimate = TimeEstimate(2, fold_began=0.0)
    for epoch in range(5):
        estimate.end_epoch(epoch, None, 1.0 + epoch)
    assert estimate.remaining(5.0) == 5
