"""What was asked and what was told: Optuna's journal, the truth about every trial.

Each family is an Optuna study of its own, `STUDY/FAMILY`, so that a sampler never meets another family's
hyperparameters. A trial that a dead process left RUNNING goes back to WAITING and is asked for first: it keeps its
number, its hyperparameters and its finished folds.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import filelock
import optuna
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from workbench.errors import SearchError
from workbench.search.defaults import Defaults
from workbench.search.pruners import make_pruner
from workbench.search.samplers import make_sampler
from workbench.space import Question
from workbench.trial import Result, State

# A trial that was under way this often when the whole command died is taken to be the cause.
_MOST_RESTARTS = 3


@dataclass(frozen=True)
class Row:
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

    @classmethod
    def of(cls, result: Result, run_id: str) -> "Row":
        """Return the row of a result that MLflow knows as `run_id`."""
        return cls(
            run_id=run_id,
            std=result.std,
            fold_scores=list(result.fold_scores),
            hyperparameters=dict(result.hyperparameters),
            also=dict(result.also),
            **{k: getattr(result, k) for k in ("family", "number", "score", "state", "seconds", "reason")},
        )


class _Lock:
    """A lock that the system lets go when its holder dies; Optuna's own would be waited for, for half a minute."""

    def __init__(self, path: Path) -> None:
        self._lock = filelock.FileLock(path)

    def acquire(self) -> bool:
        """Wait for the lock."""
        self._lock.acquire()
        return True

    def release(self) -> None:
        """Let go."""
        self._lock.release()


class Books:
    """The trials of one study."""

    def __init__(
        self,
        journal: Path,
        study: str,
        *,
        direction: Literal["minimize", "maximize"],
        sampler: str = "tpe",
        pruner: str = "median",
        folds: int = 5,
        seed: int = 7,
    ) -> None:
        """Open the journal; it is made when it is not there."""
        self._journal = journal
        self._study = study
        self._direction = direction
        self._sampler = sampler
        self._pruner = pruner
        self._folds = folds
        self._seed = seed
        self._studies: dict[str, optuna.Study] = {}
        self.paired = pruner == "wilcoxon"
        self.exhausted: set[str] = set()

    def families(self) -> list[str]:
        """Return the families that the journal knows of this study."""

        names = optuna.study.get_all_study_names(storage=self._storage)
        prefix = self._study + "/"
        return [name.removeprefix(prefix) for name in names if name.startswith(prefix)]

    def ask(self, family: str) -> "Live":
        """Begin a trial, or go on with one that waits."""
        study = self._open(family)
        trial = study.ask()
        return Live(self, study, family, trial)

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

    def wait(self, trial_id: int) -> None:
        """Put a trial, by its id in the storage, back in the queue."""

        self._storage.set_trial_state_values(trial_id, TrialState.WAITING)

    def rows(self) -> list[Row]:
        """Return the finished trials of all families, best first, then pruned, then failed ones."""
        found = []
        for family in self.families():
            for frozen in self._open(family).get_trials(deepcopy=False):
                if frozen.state.is_finished() and "row" in frozen.user_attrs:
                    found.append(Row(**frozen.user_attrs["row"]))
        order = {"complete": 0, "pruned": 1, "failed": 2}
        sign = 1 if self._direction == "minimize" else -1
        return sorted(found, key=lambda row: (order[row.state], sign * (row.score or 0), row.family, row.number))

    @cached_property
    def _storage(self) -> optuna.storages.JournalStorage:

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        lock: Any = _Lock(self._journal.with_suffix(".lock"))
        return optuna.storages.JournalStorage(JournalFileBackend(str(self._journal), lock_obj=lock))

    def _open(self, family: str) -> optuna.Study:

        if family not in self._studies:
            self._studies[family] = optuna.create_study(
                storage=self._storage,
                study_name=f"{self._study}/{family}",
                direction=self._direction,
                pruner=make_pruner(self._pruner, self._folds),
                load_if_exists=True,
            )
        return self._studies[family]

    def _sampler_of(self, family: str, number: int) -> optuna.samplers.BaseSampler:
        if number == 0:
            return Defaults()
        return make_sampler(self._sampler, seed=self._seed, family=family, number=number)


class Live:
    """A trial under way."""

    def __init__(self, books: Books, study: optuna.Study, family: str, trial: optuna.Trial) -> None:
        """Hold the trial that `study` gave."""
        self.family = family
        self.number = trial.number
        self._books = books
        self._study = study
        self._trial = trial
        self._sampler = books._sampler_of(family, trial.number)
        self._scores: list[float] = []
        self._fold = 0
        self._reported = set(study._storage.get_trial(trial._trial_id).intermediate_values)

    @property
    def hopeless(self) -> bool:
        """Whether the command died under this trial so often that it is taken to be the cause."""
        return int(self._trial.user_attrs.get("restarts", 0)) >= _MOST_RESTARTS

    def answer(self, question: Question) -> Any:
        """Suggest a value; the family's first trial takes the defaults, the same question gets the same answer.

        Raises:
            SearchError: earlier trials declared it otherwise, or the sampler cannot sample it.
        """
        if isinstance(self._sampler, Defaults):
            self._sampler.answers[question.name] = question.default
        # Trials of one family take turns with the Optuna study, each with its own sampler.
        self._study.sampler = self._sampler
        try:
            if question.kind == "categorical":
                return self._trial.suggest_categorical(question.name, question.choices)
            if question.kind == "int":
                low, high, step = int(question.low), int(question.high), int(question.step or 1)
                return self._trial.suggest_int(question.name, low, high, step=step, log=question.log)
            return self._trial.suggest_float(
                question.name, question.low, question.high, step=question.step, log=question.log
            )
        except ValueError as error:
            raise SearchError(
                f"{self.family}: hyperparameter {question.name!r} cannot be suggested: {error} "
                "If its declaration changed since earlier trials, give it another name; if not, choose another sampler."
            ) from error

    def prune(self, score: float) -> bool:
        """Report the next fold's score; return whether the trial should end here.

        A fold whose score means nothing, as an ROC AUC of one class, says nothing; nor does one that was reported
        before the trial was interrupted.
        """
        self._fold += 1
        if not math.isfinite(score):
            return False
        self._scores.append(score)
        mean = sum(self._scores) / len(self._scores)
        if self._fold not in self._reported:
            self._trial.report(score if self._books.paired else mean, step=self._fold)
        return bool(self._trial.should_prune())

    def end(self, result: Result, run_id: str) -> Row:
        """Close the trial with its result, which MLflow holds as `run_id`."""

        states = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}
        row = Row.of(result, run_id)
        self._trial.set_user_attr("row", asdict(row))
        self._study.sampler = self._sampler
        try:
            self._study.tell(self._trial, result.score, state=states[result.state])
        except RuntimeError as error:
            # So a sampler says that it has tried everything; Optuna expects that inside its own loop only.
            if "Study.stop" not in str(error):
                raise
            self._books.exhausted.add(self.family)
        return row

    def release(self) -> None:
        """Put the trial back in the queue: the next run goes on with it."""
        self._books.wait(self._trial._trial_id)
