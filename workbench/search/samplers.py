"""Who suggests hyperparameters: Optuna's samplers by name, and the known-good default before them."""

from __future__ import annotations

import importlib.util
import warnings
import zlib
from typing import TYPE_CHECKING, Any

from workbench.errors import SearchError, suggest_word

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler

    from workbench.search.bounded_history import Judge

# Name: Optuna's class and its options. TPE's default of 10 random trials is much for a family's share of a study.
_SAMPLERS: dict[str, tuple[str, dict[str, Any]]] = {
    "tpe": ("TPESampler", {"n_startup_trials": 6}),
    "random": ("RandomSampler", {}),
    "cmaes": ("CmaEsSampler", {"warn_independent_sampling": False}),
    "qmc": ("QMCSampler", {"warn_independent_sampling": False, "warn_asynchronous_seeding": False}),
    "brute_force": ("BruteForceSampler", {}),
}


def samplers() -> tuple[str, ...]:
    """Return the names of all samplers."""
    return tuple(_SAMPLERS)


def check_sampler(name: str) -> None:
    """Refuse a sampler that is not known or not installed.

    Raises:
        SearchError: says which are known, or what to install.
    """
    if name not in _SAMPLERS:
        hint = suggest_word(name, _SAMPLERS)
        raise SearchError(f"must be a known sampler. Received: {name!r}.{hint}")
    if name == "cmaes" and importlib.util.find_spec("cmaes") is None:
        raise SearchError("must be an installed sampler. Received: 'cmaes'. Install it with: pip install cmaes.")


def check_goal(goal: str, sampler: str) -> None:
    """Refuse a goal of which the sampler would learn nothing.

    Raises:
        SearchError: says which sampler would.
    """
    if goal != "score" and sampler != "tpe":
        raise SearchError(
            f"must be 'score' with sampler {sampler!r}, which is shown nothing else. Received: {goal!r}. "
            "Choose the sampler tpe."
        )


def make_sampler(name: str, *, seed: int, family: str, number: int, judge: Judge | None = None) -> BaseSampler:
    """Return the sampler for one trial.

    A new one for every trial, seeded by study, family and trial number, suggests the same whether the study ran
    through or was stopped and resumed: what samplers learn from is in the storage, not in them.

    Args:
        name: a name of `samplers()`.
        seed: the study's seed.
        family: the family whose trial it is.
        number: the trial's number.
        judge: gives the values that `tpe` sees in the place of scores.
    """
    import numpy as np
    import optuna

    def seed_of(*words: int) -> int:
        return int(np.random.SeedSequence((seed, zlib.crc32(family.encode()), *words)).generate_state(1)[0] >> 1)

    kind, options = _SAMPLERS[name]
    own = seed_of(number)
    if name == "qmc":
        # One sequence of quasi-random points must keep its one seed; its position is in the storage. What is not in
        # the sequence, as a hyperparameter that only some trials have, is drawn anew for each trial.
        options = options | {"independent_sampler": optuna.samplers.RandomSampler(seed=own)}
        own = seed_of()
    with warnings.catch_warnings():
        # Quasi-random and exhaustive sampling are experimental by Optuna's word; whoever names them wants them.
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler: BaseSampler = getattr(optuna.samplers, kind)(seed=own, **options)
    if name == "tpe":
        from workbench.search.bounded_history import BoundedHistorySampler

        return BoundedHistorySampler(sampler, judge)
    return sampler
