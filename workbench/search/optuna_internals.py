"""Every use of Optuna's private interface, each with its reason; no other module may use a private name of Optuna."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.storages.journal._storage import JournalOperation
from optuna.trial import FrozenTrial, TrialState


def changes_trial_state(log: Mapping[str, Any]) -> bool:
    """Tell whether a line of the journal changes a trial's state.

    The numbers of the journal's operations have no public name.
    """
    return bool(log["op_code"] == JournalOperation.SET_TRIAL_STATE_VALUES)


def storage_id(trial: optuna.Trial | FrozenTrial) -> int:
    """Return the id by which the storage knows a trial.

    The public storage methods take this id, but a trial makes only its number public.
    """
    return int(trial._trial_id)


def get_stored_trial(study: optuna.Study, trial: optuna.Trial) -> FrozenTrial:
    """Return a trial as the storage has it, without a copy of all trials of its study.

    `study.trials` copies every trial, and a study does not make its storage public.
    """
    return study._storage.get_trial(trial._trial_id)


def suggest(trial: optuna.Trial, name: str, distribution: BaseDistribution) -> Any:
    """Suggest a value from a distribution.

    The public methods take the arguments of one kind of distribution each; this takes any distribution.
    """
    return trial._suggest(name, distribution)


class FilteredStudy(optuna.Study):
    """A study that shows a sampler other trials than it has.

    Samplers read trials only through `Study._get_trials`; Optuna has no public hook between the two.
    """

    def __init__(self, study: optuna.Study, select: Callable[[list[FrozenTrial]], list[FrozenTrial]]) -> None:
        """Show the trials that `select` returns; it must not change those that it receives."""
        super().__init__(study.study_name, study._storage, sampler=study.sampler, pruner=study.pruner)
        self._select = select

    def _get_trials(
        self, deepcopy: bool = True, states: Container[TrialState] | None = None, use_cache: bool = False
    ) -> list[FrozenTrial]:
        return self._select(super()._get_trials(deepcopy, states, use_cache))
