"""Samplers: Optuna's by name, one instance for each trial."""

from __future__ import annotations

import importlib.util
import warnings
import zlib
from typing import TYPE_CHECKING, Any

from workbench.errors import SearchError, suggest_word

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler

    from workbench.search.bounded_history import IsComparable, SampledObjective

# Name: Optuna's class and its options. TPE's default of 10 random trials is a large part of a family's trials.
_SAMPLERS: dict[str, tuple[str, dict[str, Any]]] = {
    "tpe": ("TPESampler", {"n_startup_trials": 6}),
    "random": ("RandomSampler", {}),
    "cmaes": ("CmaEsSampler", {"warn_independent_sampling": False}),
    "qmc": ("QMCSampler", {"warn_independent_sampling": False, "warn_asynchronous_seeding": False}),
    "brute_force": ("BruteForceSampler", {}),
}


def sampler_names() -> tuple[str, ...]:
    """Return the names of all samplers."""
    return tuple(_SAMPLERS)


def check_sampler(name: str) -> None:
    """Refuse a sampler that is not known or not installed.

    Raises:
        SearchError: names the known samplers, or the package to install.
    """
    if name not in _SAMPLERS:
        hint = suggest_word(name, _SAMPLERS)
        raise SearchError(f"must be a known sampler. Received: {name!r}.{hint}")
    if name == "cmaes" and importlib.util.find_spec("cmaes") is None:
        raise SearchError("must be an installed sampler. Received: 'cmaes'. Install it with: pip install cmaes.")


def check_goal(goal: str, sampler: str) -> None:
    """Refuse a goal that the sampler cannot learn from.

    Raises:
        SearchError: names a sampler that can.
    """
    if goal != "score" and sampler != "tpe":
        raise SearchError(
            f"must be 'score' with sampler {sampler!r}, which learns from nothing else. Received: {goal!r}. "
            "Choose the sampler tpe."
        )


def make_sampler(
    name: str,
    *,
    seed: int,
    family: str,
    number: int,
    objective: SampledObjective | None = None,
    is_comparable: IsComparable = lambda trial: True,
) -> BaseSampler:
    """Return the sampler for one trial.

    Every trial gets a new sampler, seeded by study, family and trial number. A sampler learns from the storage alone,
    so a resumed study gets the same suggestions as one that ran through.

    Args:
        name: one of `sampler_names()`.
        seed: the study's seed.
        family: the trial's family.
        number: the trial's number.
        objective: gives the values that `tpe` sees instead of scores.
        is_comparable: tells which trials `tpe` sees.
    """
    import numpy as np
    import optuna

    def derive_seed(*parts: int) -> int:
        return int(np.random.SeedSequence((seed, zlib.crc32(family.encode()), *parts)).generate_state(1)[0] >> 1)

    kind, options = _SAMPLERS[name]
    trial_seed = derive_seed(number)
    if name == "qmc":
        # A quasi-random sequence must keep one seed; its position is in the storage. Hyperparameters outside of the
        # sequence, such as those that only some trials have, are drawn anew for each trial.
        options = options | {"independent_sampler": optuna.samplers.RandomSampler(seed=trial_seed)}
        trial_seed = derive_seed()
    with warnings.catch_warnings():
        # Optuna calls quasi-random and exhaustive sampling experimental; the study file names them explicitly.
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler: BaseSampler = getattr(optuna.samplers, kind)(seed=trial_seed, **options)
    if name == "tpe":
        from workbench.search.bounded_history import BoundedHistorySampler

        return BoundedHistorySampler(sampler, objective, is_comparable)
    return sampler
