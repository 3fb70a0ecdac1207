"""What Optuna knows of a study's past: when its trials ended, where in their ranges they were, and what mattered."""

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

# Of fewer complete trials a family's importances would say more about chance than about hyperparameters.
LEAST_TRIALS = 10
# What the best trials have in common is told by so many of them at least, and a tenth of all.
_LEAST_BEST = 5


def end_times(books: TrialStorage) -> dict[tuple[str, int], float]:
    """Return when each trial ended, by family and number: seconds since the first began, pauses between runs left out.

    A pause is a time in which no trial was under way.
    """
    spans = {
        (family, trial.number): (trial.datetime_start.timestamp(), trial.datetime_complete.timestamp())
        for family in books.families()
        for trial in books.trials(family)
        if trial.datetime_start is not None and trial.datetime_complete is not None
    }
    starts, gone = _clock(sorted(spans.values()))
    found = {}
    for key, (_, end) in spans.items():
        last = bisect_right(starts, end) - 1
        found[key] = gone[last] + end - starts[last]
    return found


def _clock(spans: Iterable[tuple[float, float]]) -> tuple[list[float], list[float]]:
    """Return when a clock was started that stands still in between, and what it showed; of spans in their order."""
    starts: list[float] = []
    gone: list[float] = []
    reached = -math.inf
    for start, end in spans:
        if start > reached:
            gone.append(gone[-1] + reached - starts[-1] if starts else 0.0)
            starts.append(start)
        reached = max(reached, end)
    return starts, gone


def relative_positions(books: TrialStorage) -> dict[tuple[str, int], dict[str, float]]:
    """Return where in its range each numeric hyperparameter of each complete trial is, by family and number.

    It is 0 at the low end and 1 at the high end, on a logarithmic scale where the search is on one.
    """
    return {
        (family, trial.number): {
            plain: place
            for plain, name in _names(trial, known).items()
            if (place := _place(trial.params[name], trial.distributions[name])) is not None
        }
        for family in books.families()
        for trials in [_complete(books.trials(family))]
        for known in [_hyperparameters(trials)]
        for trial in trials
    }


def importances(books: TrialStorage) -> dict[str, dict[str, float]]:
    """Return, by family, how much each hyperparameter sets the best trials apart from all: sum 1, largest first.

    By PED-ANOVA (Watanabe et al., 2023, and its extension to conditional hyperparameters, 2026). Families with fewer
    than `LEAST_TRIALS` complete trials, and those of which nothing can be told, are left out.
    """
    found = {family: _importances(_complete(books.trials(family)), books.sign) for family in books.families()}
    return {family: shares for family, shares in found.items() if shares}


def _importances(trials: Sequence[FrozenTrial], sign: int) -> dict[str, float]:
    trials = [trial for trial in trials if trial.value is not None and math.isfinite(trial.value)]
    if len(trials) < LEAST_TRIALS:
        return {}
    known = _hyperparameters(trials)
    with warnings.catch_warnings():
        # Of rare branches of a conditional space it warns that they are rare.
        warnings.simplefilter("ignore")
        study = optuna.create_study(direction="minimize")
        study.add_trials([_plain(trial, known, sign) for trial in trials])
        quantile = min(0.5, max(0.1, _LEAST_BEST / len(trials)))
        shares = PedAnovaImportanceEvaluator(target_quantile=quantile).evaluate(study)
    total = sum(shares.values())
    varied = {name for trial in study.get_trials(deepcopy=False) for name in _varied(trial)}
    # Where all trials are equally good no hyperparameter tells them apart.
    return {name: share / total for name, share in shares.items() if name in varied} if total > 0 else {}


def _plain(trial: FrozenTrial, known: Iterable[str], sign: int) -> FrozenTrial:
    """Return a complete trial under the names that the leaderboard has, with a value to minimise."""
    names = _names(trial, known)
    return optuna.trial.create_trial(
        params={plain: trial.params[name] for plain, name in names.items()},
        distributions={plain: trial.distributions[name] for plain, name in names.items()},
        value=sign * (trial.value or 0.0),
    )


def _varied(trial: FrozenTrial) -> list[str]:
    return [name for name, distribution in trial.distributions.items() if not distribution.single()]


def _complete(trials: Iterable[FrozenTrial]) -> list[FrozenTrial]:
    return [trial for trial in trials if trial.state == TrialState.COMPLETE]


def _hyperparameters(trials: Iterable[FrozenTrial]) -> list[str]:
    """Return the names under which families know their hyperparameters, the longest first."""
    names = {name for trial in trials for name in trial.user_attrs.get("row", {}).get("hyperparameters", {})}
    return sorted(names, key=len, reverse=True)


def _names(trial: FrozenTrial, known: Iterable[str]) -> dict[str, str]:
    """Return Optuna's name of each hyperparameter, to which conditions, grids and ranges may have been added."""
    return {
        next((plain for plain in known if name == plain or name.startswith(f"{plain} ")), name): name
        for name in trial.params
    }


def _place(value: Any, distribution: BaseDistribution) -> float | None:
    if not isinstance(distribution, IntDistribution | FloatDistribution) or distribution.single():
        return None
    low, high, at = distribution.low, distribution.high, float(value)
    if distribution.log:
        low, high, at = math.log(low), math.log(high), math.log(at)
    return min(1.0, max(0.0, (at - low) / (high - low)))
