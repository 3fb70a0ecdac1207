"""The trials of a study in Optuna's journal, which is the source of truth about every trial.

Each family is an Optuna study of its own, `STUDY/FAMILY`, so that a sampler never meets another family's
hyperparameters. A trial that a dead process left RUNNING goes back to WAITING and is the next to be asked for: it keeps
its number, its hyperparameters and its finished folds.

The trials of a study may have different fidelities. Samplers and pruners compare those of one fidelity only. The first
trial of a family at a fidelity has the hyperparameters of the family's best trial at a lower one.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal, cast

import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState

from workbench.errors import SearchError
from workbench.evaluation.fidelity import FIDELITIES, Fidelity
from workbench.home import trial_name
from workbench.search import optuna_internals
from workbench.search.default_sampler import DefaultSampler
from workbench.search.journal import open_storage
from workbench.search.pruners import END, IntermediateValues, Step, decode_step, encode_step, get_pruner
from workbench.search.samplers import make_sampler
from workbench.space import Hyperparameter
from workbench.trial import State, TrialResult

Distribution = CategoricalDistribution | IntDistribution | FloatDistribution

# A trial that was under way this often when the whole command died is taken to be the cause.
_MAX_RESTARTS = 3
RECORD = "row"
"""The user attribute of a finished trial that holds its TrialRecord."""
# The fields of a TrialRecord that a TrialResult has too.
_SAME_FIELDS = ("family", "number", "score", "state", "seconds", "reason", "length", "fidelity")


@dataclass(frozen=True)
class TrialRecord:
    """A finished trial, as the leaderboard shows it."""

    run_id: str
    family: str
    number: int
    score: float | None
    std: float | None
    fold_scores: Sequence[float]
    state: State
    seconds: float
    hyperparameters: Mapping[str, Any]
    also: Mapping[str, float] = field(default_factory=dict)
    reason: str | None = None
    parameters: int | None = None
    """The parameter count of its nets; None without a net."""
    length: int | None = None
    """The number of boosting rounds or epochs of its models, if its folds chose it together."""
    fidelity: Fidelity = "full"
    """The part of the data that it used; only trials of one fidelity are comparable."""

    @property
    def key(self) -> tuple[str, int]:
        """Family and number, which identify a trial within its study."""
        return self.family, self.number

    @property
    def name(self) -> str:
        """Family and number, as people read them."""
        return trial_name(self.family, self.number)

    @classmethod
    def of(cls, result: TrialResult, run_id: str) -> TrialRecord:
        """Return the record of a result, whose MLflow run is `run_id`."""
        return cls(
            run_id=run_id,
            std=result.std,
            fold_scores=list(result.fold_scores),
            hyperparameters=dict(result.hyperparameters),
            also=dict(result.also),
            parameters=result.size.get("parameters"),
            **{name: getattr(result, name) for name in _SAME_FIELDS},
        )


FIDELITY = "fidelity"
"""The user attribute of a trial that tells its fidelity; trials without it have the full one."""

Objective = Callable[[Sequence[TrialRecord], Sequence[TrialRecord]], Mapping[int, float]]
"""Receives the complete trials of one family and every finished trial; returns values by number, or none if the scores
apply."""


def read_fidelity(frozen: optuna.trial.FrozenTrial) -> Fidelity:
    """Return the fidelity of a trial."""
    return cast("Fidelity", frozen.user_attrs.get(FIDELITY, "full"))


class TrialStorage:
    """The trials of one study."""

    def __init__(
        self,
        journal: Path,
        study: str,
        *,
        direction: Literal["minimize", "maximize"],
        sampler: str = "tpe",
        pruner: str = "paired",
        seed: int = 7,
        objective: Objective | None = None,
    ) -> None:
        """Set the options; the journal is opened at the first use, and a missing one is created.

        Args:
            journal: Optuna's file, which many studies share.
            study: the study's name.
            direction: the direction of its scores.
            sampler: the name of the sampler.
            pruner: the name of the pruner.
            seed: the study's seed.
            objective: gives the values that the sampler learns from instead of scores.
        """
        self._journal = journal
        self._study = study
        self._direction = direction
        self._sampler = sampler
        self._seed = seed
        self._objective = objective
        self._studies: dict[str, optuna.Study] = {}
        self._opening = threading.RLock()
        self.fidelity: Fidelity = "full"
        self.intermediate_values: dict[str, IntermediateValues] = {}
        self.distributions: dict[str, dict[str, Distribution]] = {}
        self.should_prune = get_pruner(pruner)
        self.sign = 1 if direction == "minimize" else -1
        # A quasi-random sequence is drawn for the ranges of the first trial.
        self.keeps_ranges = sampler == "qmc"
        self.exhausted: set[str] = set()

    def use_fidelity(self, fidelity: Fidelity) -> None:
        """Set the fidelity of new trials, with which samplers and pruners compare."""
        if fidelity != self.fidelity:
            self.fidelity = fidelity
            # Opened again, with the values of this fidelity.
            self._studies.clear()

    def families(self) -> list[str]:
        """Return the families that the journal knows of this study."""
        names = optuna.study.get_all_study_names(storage=self._storage)
        prefix = self._study + "/"
        return [name.removeprefix(prefix) for name in names if name.startswith(prefix)]

    def frozen_trials(self, family: str) -> list[optuna.trial.FrozenTrial]:
        """Return a family's trials of this fidelity as Optuna has them; they must not be changed."""
        trials = self._open(family).get_trials(deepcopy=False)
        return [frozen for frozen in trials if read_fidelity(frozen) == self.fidelity]

    def ask(self, family: str) -> ActiveTrial:
        """Begin a trial, or go on with one that waits."""
        study = self._open(family)
        trial = study.ask()
        if trial.user_attrs.get(FIDELITY, "full") != self.fidelity:
            trial.set_user_attr(FIDELITY, self.fidelity)
        return ActiveTrial(self, study, family, trial)

    def has_waiting(self, family: str) -> bool:
        """Tell whether a trial of the family was interrupted and waits to go on."""
        return bool(self._open(family).get_trials(deepcopy=False, states=(TrialState.WAITING,)))

    def requeue_running(self) -> int:
        """Put the trials that a dead process left RUNNING back in the queue; return their number.

        Only for a process that holds the study's lock: then no other process can be running them.
        """
        count = 0
        for family in self.families():
            for frozen in self._open(family).get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
                restarts = frozen.user_attrs.get("restarts", 0) + 1
                trial_id = optuna_internals.storage_id(frozen)
                self._storage.set_trial_user_attr(trial_id, "restarts", restarts)
                self.requeue(trial_id)
                count += 1
        return count

    def list_unfinished(self) -> list[tuple[str, int]]:
        """Return family and number of every trial of this fidelity that has not ended."""
        return [
            (family, frozen.number)
            for family in self.families()
            for frozen in self.frozen_trials(family)
            if not frozen.state.is_finished()
        ]

    def requeue(self, trial_id: int) -> None:
        """Put a trial, by its id in the storage, back in the queue."""
        self._storage.set_trial_state_values(trial_id, TrialState.WAITING)

    def records(self) -> list[TrialRecord]:
        """Return the finished trials of all families and fidelities: by state, fidelity and score, best first."""
        records = []
        for family in self.families():
            for frozen in self._open(family).get_trials(deepcopy=False):
                if frozen.state.is_finished() and RECORD in frozen.user_attrs:
                    records.append(TrialRecord(**frozen.user_attrs[RECORD]))
        states = ("complete", "pruned", "failed")

        def rank(record: TrialRecord) -> tuple[Any, ...]:
            position = states.index(record.state), FIDELITIES.index(record.fidelity)
            return *position, self.sign * (record.score or 0), *record.key

        return sorted(records, key=rank)

    def comparable_records(self) -> list[TrialRecord]:
        """Return the finished trials of this fidelity, in the order of `records`."""
        return [record for record in self.records() if record.fidelity == self.fidelity]

    def sampler_for(self, family: str, number: int) -> optuna.samplers.BaseSampler:
        """Return the sampler of a trial: the defaults, or the best of a lower fidelity, for a family's first one."""
        if all(frozen.number >= number for frozen in self.frozen_trials(family)):
            return DefaultSampler(self._find_best_below(family))
        objective = None if self._objective is None else self._evaluate
        return make_sampler(
            self._sampler,
            seed=self._seed,
            family=family,
            number=number,
            objective=objective,
            is_comparable=lambda frozen: read_fidelity(frozen) == self.fidelity,
        )

    def _find_best_below(self, family: str) -> Mapping[str, Any]:
        """Return the hyperparameters of the best trial at the next lower fidelity that has some; empty if none has."""
        below = [
            frozen
            for frozen in self._open(family).get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
            if FIDELITIES.index(read_fidelity(frozen)) > FIDELITIES.index(self.fidelity) and frozen.value is not None
        ]

        def rank(frozen: optuna.trial.FrozenTrial) -> tuple[int, float]:
            return FIDELITIES.index(read_fidelity(frozen)), self.sign * (frozen.value or 0.0)

        return min(below, key=rank).params if below else {}

    @cached_property
    def _storage(self) -> optuna.storages.JournalStorage:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        return open_storage(self._journal)

    def _open(self, family: str) -> optuna.Study:
        """Open a family's study, and read the values of its trials; trials are recorded in another thread."""
        with self._opening:
            return self._open_alone(family)

    def _open_alone(self, family: str) -> optuna.Study:
        if family not in self._studies:
            study = optuna.create_study(
                storage=self._storage,
                study_name=f"{self._study}/{family}",
                direction=self._direction,
                load_if_exists=True,
            )
            self._studies[family] = study
            self.intermediate_values[family], self.distributions[family] = IntermediateValues(), {}
            for frozen in study.get_trials(deepcopy=False):
                for name, distribution in frozen.distributions.items():
                    self.distributions[family].setdefault(name, cast("Distribution", distribution))
                if read_fidelity(frozen) == self.fidelity:
                    self._read_values(family, frozen)
        return self._studies[family]

    def _read_values(self, family: str, frozen: optuna.trial.FrozenTrial) -> None:
        values = self.intermediate_values[family]
        for step, value in sorted(frozen.intermediate_values.items()):
            values.add(frozen.number, decode_step(step), self.sign * value)
        if frozen.state == TrialState.COMPLETE and frozen.value is not None:
            values.add_complete(frozen.number, self.sign * frozen.value)

    def _evaluate(self, trials: Sequence[optuna.trial.FrozenTrial]) -> Mapping[int, float]:
        """Evaluate the objective for complete trials of a family."""
        if self._objective is None:
            return {}
        return self._objective([TrialRecord(**t.user_attrs[RECORD]) for t in trials], self.comparable_records())


class ActiveTrial:
    """A trial under way."""

    def __init__(self, storage: TrialStorage, study: optuna.Study, family: str, trial: optuna.Trial) -> None:
        """Wrap the trial that `study` gave."""
        self.family = family
        self.number = trial.number
        self._storage = storage
        self._study = study
        self._trial = trial
        self._sampler = storage.sampler_for(family, trial.number)
        self._values = storage.intermediate_values[family]
        self._distributions = storage.distributions[family]
        self._reported = set(optuna_internals.get_stored_trial(study, trial).intermediate_values)

    @property
    def exceeds_restarts(self) -> bool:
        """Whether the command died under this trial so often that the trial is taken to be the cause."""
        return int(self._trial.user_attrs.get("restarts", 0)) >= _MAX_RESTARTS

    @property
    def hyperparameters(self) -> Mapping[str, Any]:
        """The values suggested so far, under Optuna's names."""
        return self._trial.params

    def suggest(self, hyperparameter: Hyperparameter) -> Any:
        """Suggest a value; the same hyperparameter gets the same value again.

        Raises:
            SearchError: the sampler cannot sample it.
        """
        distribution = _distribution(hyperparameter)
        name = self._optuna_name(hyperparameter, distribution)
        if isinstance(self._sampler, DefaultSampler):
            self._sampler.values.setdefault(name, hyperparameter.default)
        # Trials of one family share the Optuna study; each sets its own sampler before it uses it.
        self._study.sampler = self._sampler
        try:
            return optuna_internals.suggest(self._trial, name, distribution)
        except ValueError as error:
            raise SearchError(
                f"{self.family}: hyperparameter {hyperparameter.name!r} cannot be suggested: {error} "
                "Choose another sampler."
            ) from error

    def report(self, step: Step, value: float) -> bool:
        """Store a value of the trial; return whether the pruner would stop the trial here.

        A value that is not finite, such as the ROC AUC of one class, is ignored. A step that was reported before the
        trial was interrupted is not stored twice.

        Args:
            step: fold and rung.
            value: the score at the end of a fold, the best validation loss so far within one.
        """
        if not math.isfinite(value):
            return False
        loss = self._storage.sign * value if step[1] == END else value
        number = encode_step(step)
        if number not in self._reported:
            self._trial.report(self._storage.sign * loss, step=number)
            self._reported.add(number)
        self._values.add(self.number, step, loss)
        return self._storage.should_prune(self._values, self.number, step)

    def count_better(self, folds: int) -> int:
        """Return the number of the family's complete trials that were better than this one after `folds` folds."""
        means = self._values.mean_losses.get(folds - 1, {})
        own = means.get(self.number, math.inf)
        return sum(mean < own for number, mean in means.items() if number in self._values.complete)

    def finish(self, result: TrialResult, run_id: str) -> TrialRecord:
        """Finish the trial with its result, whose MLflow run is `run_id`."""
        states = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}
        record = TrialRecord.of(result, run_id)
        self._trial.set_user_attr(RECORD, asdict(record))
        self._study.sampler = self._sampler
        try:
            self._study.tell(self._trial, result.score, state=states[result.state])
        except RuntimeError as error:
            # An exhaustive sampler calls `Study.stop` when it has tried everything, which Optuna allows only inside
            # of `Study.optimize`.
            if "Study.stop" not in str(error):
                raise
            self._storage.exhausted.add(self.family)
        if result.state == "complete" and result.score is not None:
            self._values.add_complete(self.number, self._storage.sign * result.score)
        return record

    def requeue(self) -> None:
        """Put the trial back in the queue, unless it has ended; the next run goes on with it."""
        if not optuna_internals.get_stored_trial(self._study, self._trial).state.is_finished():
            self._storage.requeue(optuna_internals.storage_id(self._trial))

    def _optuna_name(self, hyperparameter: Hyperparameter, distribution: Distribution) -> str:
        """Return the hyperparameter's name in Optuna, which allows one kind of distribution under a name.

        A range may change under its name, unless the sampler keeps the first one. Other choices, or another kind or
        scale, get a name of their own; the trials under the old name keep their values.
        """
        known = self._distributions.setdefault(hyperparameter.name, distribution)
        signature = partial(_signature, ranges=self._storage.keeps_ranges)
        if signature(known) == signature(distribution):
            return hyperparameter.name
        name = f"{hyperparameter.name} {signature(distribution)}"
        self._distributions.setdefault(name, distribution)
        return name


def _distribution(hyperparameter: Hyperparameter) -> Distribution:
    """Return Optuna's distribution of a hyperparameter."""
    if hyperparameter.kind == "categorical":
        return CategoricalDistribution(hyperparameter.choices)
    low, high, step = hyperparameter.low, hyperparameter.high, hyperparameter.step
    if hyperparameter.kind == "int":
        return IntDistribution(int(low), int(high), log=hyperparameter.log, step=int(step or 1))
    return FloatDistribution(low, high, log=hyperparameter.log, step=step)


def _signature(distribution: Distribution, *, ranges: bool) -> str:
    """Return what must stay the same under a name: choices, or a number's kind and scale, and its range if `ranges`.

    The text is a part of names in the journal.
    """
    if isinstance(distribution, CategoricalDistribution):
        return "{" + ", ".join(map(repr, distribution.choices)) + "}"
    parts = ["whole" if isinstance(distribution, IntDistribution) else "real"]
    parts += ["log"] if distribution.log else []
    parts += [f"{distribution.low:g} to {distribution.high:g}"] if ranges else []
    return f"({', '.join(parts)})"
