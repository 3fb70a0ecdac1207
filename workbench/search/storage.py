"""What was asked and what was told: Optuna's journal, the truth about every trial.

Each family is an Optuna study of its own, `STUDY/FAMILY`, so that a sampler never meets another family's
hyperparameters. A trial that a dead process left RUNNING goes back to WAITING and is asked for first: it keeps its
number, its hyperparameters and its finished folds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal, cast

import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState

from workbench.errors import SearchError
from workbench.search.default_sampler import DefaultSampler
from workbench.search.journal import storage as storage_of
from workbench.search.pruners import END, IntermediateValues, Place, decode_step, encode_step
from workbench.search.pruners import pruner as pruner_of
from workbench.search.samplers import make_sampler
from workbench.space import Hyperparameter
from workbench.trial import State, TrialResult

Distribution = CategoricalDistribution | IntDistribution | FloatDistribution

# A trial that was under way this often when the whole command died is taken to be the cause.
_MOST_RESTARTS = 3


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
    """Of its nets, where it has some."""

    @property
    def key(self) -> tuple[str, int]:
        """Family and number: what tells a trial from the study's others."""
        return self.family, self.number

    @classmethod
    def of(cls, result: TrialResult, run_id: str) -> TrialRecord:
        """Return the row of a result that MLflow knows as `run_id`."""
        return cls(
            run_id=run_id,
            std=result.std,
            fold_scores=list(result.fold_scores),
            hyperparameters=dict(result.hyperparameters),
            also=dict(result.also),
            parameters=result.size.get("parameters"),
            **{k: getattr(result, k) for k in ("family", "number", "score", "state", "seconds", "reason")},
        )


# From complete trials of one family, and every finished trial, to values by number; empty where the score is to count.
Judge = Callable[[Sequence[TrialRecord], Sequence[TrialRecord]], Mapping[int, float]]


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
        judge: Judge | None = None,
    ) -> None:
        """Open the journal; it is made when it is not there.

        Args:
            journal: Optuna's file, which many studies share.
            study: the study's name.
            direction: of its scores.
            sampler: who suggests.
            pruner: who ends a poor trial.
            seed: the study's seed.
            judge: gives what the sampler is to learn from in the place of scores.
        """
        self._journal = journal
        self._study = study
        self._direction = direction
        self._sampler = sampler
        self._seed = seed
        self._judge = judge
        self._studies: dict[str, optuna.Study] = {}
        self.boards: dict[str, IntermediateValues] = {}
        self.spaces: dict[str, dict[str, Distribution]] = {}
        self.ends = pruner_of(pruner)
        self.sign = 1 if direction == "minimize" else -1
        # Quasi-random points fill the range that the first trial had.
        self.holds_ranges = sampler == "qmc"
        self.exhausted: set[str] = set()

    def families(self) -> list[str]:
        """Return the families that the journal knows of this study."""
        names = optuna.study.get_all_study_names(storage=self._storage)
        prefix = self._study + "/"
        return [name.removeprefix(prefix) for name in names if name.startswith(prefix)]

    def trials(self, family: str) -> list[optuna.trial.FrozenTrial]:
        """Return all trials of a family as Optuna knows them, to be read only."""
        return self._open(family).get_trials(deepcopy=False)

    def ask(self, family: str) -> ActiveTrial:
        """Begin a trial, or go on with one that waits."""
        study = self._open(family)
        trial = study.ask()
        return ActiveTrial(self, study, family, trial)

    def waiting(self, family: str) -> bool:
        """Tell whether a trial of the family was interrupted and waits to go on."""
        return bool(self._open(family).get_trials(deepcopy=False, states=(TrialState.WAITING,)))

    def reclaim(self) -> int:
        """Put the trials that a dead process left RUNNING back in the queue; return how many.

        Only for a process that holds the study's lock: then nobody else can be running them.
        """
        count = 0
        for family in self.families():
            for frozen in self._open(family).get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
                restarts = frozen.user_attrs.get("restarts", 0) + 1
                self._storage.set_trial_user_attr(frozen._trial_id, "restarts", restarts)
                self.wait(frozen._trial_id)
                count += 1
        return count

    def under_way(self) -> list[tuple[str, int]]:
        """Return family and number of every trial that has not ended."""
        return [
            (family, frozen.number)
            for family in self.families()
            for frozen in self._open(family).get_trials(deepcopy=False)
            if not frozen.state.is_finished()
        ]

    def wait(self, trial_id: int) -> None:
        """Put a trial, by its id in the storage, back in the queue."""
        self._storage.set_trial_state_values(trial_id, TrialState.WAITING)

    def rows(self) -> list[TrialRecord]:
        """Return the finished trials of all families, best first, then pruned, then failed ones."""
        found = []
        for family in self.families():
            for frozen in self._open(family).get_trials(deepcopy=False):
                if frozen.state.is_finished() and "row" in frozen.user_attrs:
                    found.append(TrialRecord(**frozen.user_attrs["row"]))
        order = {"complete": 0, "pruned": 1, "failed": 2}
        return sorted(found, key=lambda row: (order[row.state], self.sign * (row.score or 0), row.family, row.number))

    @cached_property
    def _storage(self) -> optuna.storages.JournalStorage:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        return storage_of(self._journal)

    def _open(self, family: str) -> optuna.Study:
        """Open a family's study, and read what its trials came to."""
        if family not in self._studies:
            study = optuna.create_study(
                storage=self._storage,
                study_name=f"{self._study}/{family}",
                direction=self._direction,
                load_if_exists=True,
            )
            self._studies[family] = study
            self.boards[family], self.spaces[family] = IntermediateValues(), {}
            for frozen in study.get_trials(deepcopy=False):
                self._learn(family, frozen)
        return self._studies[family]

    def _learn(self, family: str, frozen: optuna.trial.FrozenTrial) -> None:
        board, space = self.boards[family], self.spaces[family]
        for name, distribution in frozen.distributions.items():
            space.setdefault(name, cast("Distribution", distribution))
        for step, value in sorted(frozen.intermediate_values.items()):
            board.put(frozen.number, decode_step(step), self.sign * value)
        if frozen.state == TrialState.COMPLETE and frozen.value is not None:
            board.finish(frozen.number, self.sign * frozen.value)

    def _sampler_of(self, family: str, number: int) -> optuna.samplers.BaseSampler:
        if number == 0:
            return DefaultSampler()
        judge = None if self._judge is None else self._judged
        return make_sampler(self._sampler, seed=self._seed, family=family, number=number, judge=judge)

    def _judged(self, trials: Sequence[optuna.trial.FrozenTrial]) -> Mapping[int, float]:
        """Ask the judge about complete trials of a family."""
        return self._judge([TrialRecord(**t.user_attrs["row"]) for t in trials], self.rows()) if self._judge else {}


class ActiveTrial:
    """A trial under way."""

    def __init__(self, books: TrialStorage, study: optuna.Study, family: str, trial: optuna.Trial) -> None:
        """Hold the trial that `study` gave."""
        self.family = family
        self.number = trial.number
        self._storage = books
        self._study = study
        self._trial = trial
        self._sampler = books._sampler_of(family, trial.number)
        self._board = books.boards[family]
        self._space = books.spaces[family]
        self._reported = set(study._storage.get_trial(trial._trial_id).intermediate_values)

    @property
    def hopeless(self) -> bool:
        """Whether the command died under this trial so often that it is taken to be the cause."""
        return int(self._trial.user_attrs.get("restarts", 0)) >= _MOST_RESTARTS

    @property
    def hyperparameters(self) -> Mapping[str, Any]:
        """What was suggested so far, under Optuna's names."""
        return self._trial.params

    def answer(self, question: Hyperparameter) -> Any:
        """Suggest a value; the family's first trial takes the defaults, the same question gets the same answer.

        Raises:
            SearchError: the sampler cannot sample it.
        """
        distribution = _distribution(question)
        name = self._name(question, distribution)
        if isinstance(self._sampler, DefaultSampler):
            self._sampler.answers[name] = question.default
        # Trials of one family take turns with the Optuna study, each with its own sampler.
        self._study.sampler = self._sampler
        try:
            return self._trial._suggest(name, distribution)
        except ValueError as error:
            raise SearchError(
                f"{self.family}: hyperparameter {question.name!r} cannot be suggested: {error} Choose another sampler."
            ) from error

    def report(self, place: Place, value: float) -> bool:
        """Write down what the trial came to; return whether the pruner would end it here.

        What means nothing, as the ROC AUC of one class, says nothing; nor does what was reported before the trial was
        interrupted.

        Args:
            place: fold and rung.
            value: the score at the end of a fold, the best validation loss so far within one.
        """
        if not math.isfinite(value):
            return False
        loss = self._storage.sign * value if place[1] == END else value
        step = encode_step(place)
        if step not in self._reported:
            self._trial.report(self._storage.sign * loss, step=step)
            self._reported.add(step)
        self._board.put(self.number, place, loss)
        return self._storage.ends(self._board, self.number, place)

    def rank(self, folds: int) -> int:
        """Return how many complete trials of the family were better than this one after so many folds."""
        means = self._board.means.get(folds - 1, {})
        own = means.get(self.number, math.inf)
        return sum(mean < own for number, mean in means.items() if number in self._board.complete)

    def end(self, result: TrialResult, run_id: str) -> TrialRecord:
        """Close the trial with its result, which MLflow holds as `run_id`."""
        states = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}
        row = TrialRecord.of(result, run_id)
        self._trial.set_user_attr("row", asdict(row))
        self._study.sampler = self._sampler
        try:
            self._study.tell(self._trial, result.score, state=states[result.state])
        except RuntimeError as error:
            # So a sampler says that it has tried everything; Optuna expects that inside its own loop only.
            if "Study.stop" not in str(error):
                raise
            self._storage.exhausted.add(self.family)
        if result.state == "complete" and result.score is not None:
            self._board.finish(self.number, self._storage.sign * result.score)
        return row

    def release(self) -> None:
        """Put the trial back in the queue, unless it has ended: the next run goes on with it."""
        if not self._study._storage.get_trial(self._trial._trial_id).state.is_finished():
            self._storage.wait(self._trial._trial_id)

    def _name(self, question: Hyperparameter, distribution: Distribution) -> str:
        """Return the hyperparameter's name in Optuna, which keeps one sort of values under one name.

        A range may change under its name, unless the sampler holds on to the first one. Other choices, or another
        kind or scale, are told apart by a name of their own: what was learnt under the old one stays with it.
        """
        known = self._space.setdefault(question.name, distribution)
        sort = partial(_sort, ranges=self._storage.holds_ranges)
        if sort(known) == sort(distribution):
            return question.name
        name = f"{question.name} {sort(distribution)}"
        self._space.setdefault(name, distribution)
        return name


def _distribution(question: Hyperparameter) -> Distribution:
    """Return a question in Optuna's words."""
    if question.kind == "categorical":
        return CategoricalDistribution(question.choices)
    if question.kind == "int":
        low, high, step = int(question.low), int(question.high), int(question.step or 1)
        return IntDistribution(low, high, log=question.log, step=step)
    return FloatDistribution(question.low, question.high, log=question.log, step=question.step)


def _sort(distribution: Distribution, *, ranges: bool) -> str:
    """Return what must not change under a name: choices, or a number's kind and scale, with `ranges` its range too."""
    if isinstance(distribution, CategoricalDistribution):
        return "{" + ", ".join(map(repr, distribution.choices)) + "}"
    words = ["whole" if isinstance(distribution, IntDistribution) else "real"]
    words += ["log"] if distribution.log else []
    words += [f"{distribution.low:g} to {distribution.high:g}"] if ranges else []
    return f"({', '.join(words)})"
