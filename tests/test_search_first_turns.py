"""The order and the length of first trials under a time limit, and the costs that they follow from."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest
from test_trial import spec_of

from workbench.evaluation.fidelity import reduce_folds
from workbench.search import allocation, first_turns
from workbench.search.allocation import FamilyProgress
from workbench.search.cost_estimate import CostEstimate
from workbench.search.family_costs import can_afford, estimate, measure_size


def family(name: str, seconds: float, least: float, gain: float = 0.5) -> FamilyProgress:
    return FamilyProgress(name, prior_seconds=seconds, least_seconds=least, gain=gain, keeps_deadline=least < seconds)


NET, BOOSTER, FOREST = family("net", 300, 90), family("booster", 60, 6, 1.0), family("forest", 40, 4)
LINEAR = family("linear", 5, 5)
ALL = [NET, FOREST, BOOSTER, LINEAR]


def test_cheap_and_strong_families_come_first_and_what_does_not_fit_is_left_out() -> None:
    assert first_turns.admit(ALL, 1000, 2000) == [LINEAR, BOOSTER, FOREST, NET]
    assert first_turns.admit(ALL, 80, 160) == [LINEAR, BOOSTER, FOREST]
    # The least seconds of all together exceed those of the workers.
    assert first_turns.admit(ALL, 100, 100) == [LINEAR, BOOSTER, FOREST]
    assert first_turns.admit([family("a", 5, 1), family("b", 5, 1)], 9, 9)[0].family == "a"


@pytest.mark.parametrize("left", [30.0, 60.0, 120.0, 600.0])
def test_every_admitted_family_gets_its_least_time_and_none_most_of_it(left: float) -> None:
    waiting, available, shares = first_turns.admit(ALL, left, left), left, {}
    while waiting:
        own, *waiting = waiting
        share = first_turns.share(own, waiting, available, available) if own.keeps_deadline else own.trial_seconds
        shares[own.family] = share
        assert share >= own.least_seconds
        assert share <= 0.6 * available or not waiting or share == own.least_seconds
        available -= share
    assert available >= -1e-9
    assert shares["booster"] > shares.get("forest", 0) or not waiting


def test_beside_four_families_one_is_started_only_if_it_needs_a_small_part_of_the_time() -> None:
    slow, quick = family("slow", 100, 20), family("quick", 100, 14)
    assert first_turns.admit([slow, quick], 100, 100, begun=3) == [slow, quick]
    assert first_turns.admit([slow, slow], 100, 100, begun=3) == [slow]
    assert first_turns.admit([slow, quick], 100, 100, begun=4) == [quick]
    assert first_turns.admit([slow, quick], 100, 200, begun=4) == [slow, quick]
    assert first_turns.share(BOOSTER, [slow], 50, 90, begun=5) == 50


def test_a_trial_has_the_rest_of_the_time_if_no_family_waits() -> None:
    assert first_turns.share(BOOSTER, [], 50, 90) == 50
    assert first_turns.share(BOOSTER, [family("slow", 500, 500)], 50, 90) == 50


def test_under_a_time_limit_the_choice_follows_the_cost_and_without_one_the_file() -> None:
    assert allocation.choose(ALL, None) is NET
    assert allocation.choose(ALL, 1000, 2000) is LINEAR
    assert allocation.choose([NET], 80, 160) is None


def test_the_rest_of_the_time_goes_to_a_family_that_keeps_deadlines() -> None:
    long = FamilyProgress("long", started=1, complete_seconds=[60.0], least_seconds=5, keeps_deadline=True)
    fixed = FamilyProgress("fixed", started=1, complete_seconds=[60.0])
    assert allocation.choose([fixed, long], 20) is long
    assert allocation.choose([fixed, long], 3) is None


def test_the_cost_follows_from_the_size_and_a_deadline_allows_less() -> None:
    spec = spec_of("binary", "xgboost")
    size = measure_size(spec)
    assert size.columns == spec.dataset.x.shape[1]
    assert size.rows < len(spec.dataset.y)
    cost, linear = estimate(spec, size), estimate(spec_of("binary", "linear"), size)
    assert 0 < cost.least < cost.seconds
    assert linear.least == linear.seconds
    assert cost.gain > linear.gain
    many, more = (estimate(spec, size._replace(rows=rows)).seconds for rows in (1_000_000, 4_000_000))
    assert more == pytest.approx(4**1.75 * many, rel=0.01)


def test_a_text_is_many_columns_and_a_level_is_one_for_linear_models() -> None:
    spec = spec_of("binary", "linear")
    x = pd.DataFrame(
        {"text": ["a b"] * len(spec.dataset.y), "level": [f"{i % 20}" for i in range(len(spec.dataset.y))]}
    )
    data = replace(spec.dataset, x=x, columns={"text": "text", "level": "category"})
    size = measure_size(replace(spec, dataset=data))
    assert (size.columns, size.indicators) == (65, 84)


def test_a_budget_buys_what_the_best_four_families_need() -> None:
    names = ("linear", "xgboost", "lightgbm", "extra_trees", "tabm")
    specs = [spec_of("binary", name) for name in names]
    size = measure_size(specs[0])
    needed = sum(estimate(spec, size).seconds for spec in specs[:4]) / 0.6
    assert can_afford(specs, needed + 0.01)
    assert not can_afford(specs, needed - 0.01)
    one = [replace(spec, folds=reduce_folds(spec.folds, "holdout")) for spec in specs]
    least = estimate(one[1], size).least
    assert can_afford(one[1:2], least / 0.6 + 0.01)
    assert not can_afford(one[1:2], least / 0.6 - 0.01)


def test_the_first_measured_fold_corrects_its_family_and_the_speed_of_the_others() -> None:
    specs = {name: spec_of("binary", name) for name in ("linear", "xgboost")}
    progress = {name: FamilyProgress(name) for name in specs}
    costs = CostEstimate(specs)
    costs.update(progress)
    before = {name: each.prior_seconds for name, each in progress.items()}
    folds = len(specs["linear"].folds)
    assert costs.measure("linear", 3 * before["linear"] / folds)
    assert not costs.measure("linear", 100.0)
    costs.update(progress)
    # One family tells little of the machine's speed: its own cost may be wrong.
    assert {name: each.prior_seconds / before[name] for name, each in progress.items()} == pytest.approx(
        {"linear": 3.0, "xgboost": 3.0 ** (1 / 3)}
    )
    assert costs.measure("xgboost", 1000.0)
    costs.update(progress)
    assert progress["xgboost"].prior_seconds == pytest.approx(4 * before["xgboost"])
    assert not CostEstimate({}).measure("linear", 1.0)
