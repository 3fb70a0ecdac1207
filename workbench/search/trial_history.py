"""A study's history in Optuna: when trials ended, where in their ranges they were, which hyperparameters mattered."""

from __future__ import annotations

import math
import warnings
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.importance import PedAnovaImportanceEvaluator
from optuna.trial import FrozenTrial, TrialState

from workbench.search.storage import TrialStorage

# With fewer complete trials, importances would reflect chance rather than hyperparameters.
LEAST_TRIALS = 10
# The best tenth of the trials, and at least this many, are compared with all trials.
_MIN_BEST = 5


def end_times(storage: TrialStorage) -> dict[tuple[str, int], float]:
    """Return when each trial ended, by family and number: seconds since the first began, without pauses between runs.

    A pause is a time in which no trial was under way.
    """
    spans = {
        (family, trial.number): (trial.datetime_start.timestamp(), trial.datetime_complete.timestamp())
        for family in storage.families()
        for trial in storage.frozen_trials(family)
        if trial.datetime_start is not None and trial.datetime_complete is not None
    }
    starts, elapsed = _active_periods(sorted(spans.values()))
    ends = {}
    for key, (_, end) in spans.items():
        period = bisect_right(starts, end) - 1
        ends[key] = elapsed[period] + end - starts[period]
    return ends


def _active_periods(spans: Iterable[tuple[float, float]]) -> tuple[list[float], list[float]]:
    """Return the starts of the periods without a pause, and the seconds without pauses before each.

    Args:
        spans: start and end of each trial, sorted.
    """
    starts: list[float] = []
    elapsed: list[float] = []
    last_end = -math.inf
    for start, end in spans:
        if start > last_end:
            elapsed.append(elapsed[-1] + last_end - starts[-1] if starts else 0.0)
            starts.append(start)
        last_end = max(last_end, end)
    return starts, elapsed


def relative_positions(storage: TrialStorage) -> dict[tuple[str, int], dict[str, float]]:
    """Return the position of each numeric hyperparameter of each complete trial in its range, by family and number.

    The position is 0 at the low end and 1 at the high end, on a logarithmic scale if the search uses one.
    """
    return {
        (family, trial.number): {
            plain: position
            for plain, name in _optuna_names(trial, known).items()
            if (position := _relative_position(trial.params[name], trial.distributions[name])) is not None
        }
        for family in storage.families()
        for trials in [_complete(storage.frozen_trials(family))]
        for known in [_hyperparameter_names(trials)]
        for trial in trials
    }


def importances(storage: TrialStorage) -> dict[str, dict[str, float]]:
    """Return the importance of each hyperparameter by family: they sum to 1, largest first.

    A hyperparameter is important if it distinguishes the best trials from all trials, by PED-ANOVA (Watanabe et al.,
    2023, and its extension to conditional hyperparameters, 2026). Families with fewer than `LEAST_TRIALS` complete
    trials are left out, and those whose trials are equally good.
    """
    found = {
        family: _importances(_complete(storage.frozen_trials(family)), storage.sign) for family in storage.families()
    }
    return {family: shares for family, shares in found.items() if shares}


def _importances(trials: Sequence[FrozenTrial], sign: int) -> dict[str, float]:
    trials = [trial for trial in trials if trial.value is not None and math.isfinite(trial.value)]
    if len(trials) < LEAST_TRIALS:
        return {}
    known = _hyperparameter_names(trials)
    with warnings.catch_warnings():
        # Optuna warns about rare branches of a conditional space.
        warnings.simplefilter("ignore")
        study = optuna.create_study(direction="minimize")
        study.add_trials([_normalize(trial, known, sign) for trial in trials])
        quantile = min(0.5, max(0.1, _MIN_BEST / len(trials)))
        shares = PedAnovaImportanceEvaluator(target_quantile=quantile).evaluate(study)
    total = sum(shares.values())
    varied = {name for trial in study.get_trials(deepcopy=False) for name in _list_varied_names(trial)}
    # The total is 0 if all trials are equally good.
    return {name: share / total for name, share in shares.items() if name in varied} if total > 0 else {}


def _normalize(trial: FrozenTrial, known: Iterable[str], sign: int) -> FrozenTrial:
    """Return a complete trial with the leaderboard's names, and with a value to minimise."""
    names = _optuna_names(trial, known)
    return optuna.trial.create_trial(
        params={plain: trial.params[name] for plain, name in names.items()},
        distributions={plain: trial.distributions[name] for plain, name in names.items()},
        value=sign * (trial.value or 0.0),
    )


def _list_varied_names(trial: FrozenTrial) -> list[str]:
    return [name for name, distribution in trial.distributions.items() if not distribution.single()]


def _complete(trials: Iterable[FrozenTrial]) -> list[FrozenTrial]:
    return [trial for trial in trials if trial.state == TrialState.COMPLETE]


def _hyperparameter_names(trials: Iterable[FrozenTrial]) -> list[str]:
    """Return the names under which families know their hyperparameters, the longest first."""
    names = {name for trial in trials for name in trial.user_attrs.get("row", {}).get("hyperparameters", {})}
    return sorted(names, key=len, reverse=True)


def _optuna_names(trial: FrozenTrial, known: Iterable[str]) -> dict[str, str]:
    """Return Optuna's name of each hyperparameter, to which conditions, choices and ranges may have been added."""
    return {
        next((plain for plain in known if name == plain or name.startswith(f"{plain} ")), name): name
        for name in trial.params
    }


def _relative_position(value: Any, distribution: BaseDistribution) -> float | None:
    if not isinstance(distribution, IntDistribution | FloatDistribution) or distribution.single():
        return None
    low, high, number = distribution.low, distribution.high, float(value)
    if distribution.log:
        low, high, number = math.log(low), math.log(high), math.log(number)
    return min(1.0, max(0.0, (number - low) / (high - low)))
