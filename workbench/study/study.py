"""The verbs of one study: run, search, leaderboard, ensemble, submit, folds."""

import contextlib
import json
import os
import shutil
import time
from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from workbench import config as configs
from workbench import home as homes
from workbench import models
from workbench.config import StudyConfig
from workbench.errors import ConfigError, StudyError, SubmissionError
from workbench.study.checks import check

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from workbench.data import Dataset
    from workbench.evaluation import Metric
    from workbench.evaluation.folds import Folds
    from workbench.search.books import Books, Row
    from workbench.search.events import Event
    from workbench.search.limits import Limits
    from workbench.tracking import Tracker, Vault, Weights
    from workbench.tracking.weights import Key
    from workbench.trial import Result, Spec

# A study file without a budget gets this one.
MINUTES = 10.0
# Fewer rows are trained faster by one thread than by two (measured with xgboost; nets want even more).
_ROWS_A_THREAD = 15_000
# What libraries import when they are first used: every trial would pay for it. One that is not there is passed over.
_LATE = ("narwhals._interchange.dataframe", "narwhals._pandas_like.namespace")
_LATE_KERAS = tuple(
    f"tensorflow.python.data.ops.{name}_op" for name in ("concatenate", "flat_map", "from_tensors", "range", "zip")
)
# How many trials of each family keep the weights of their models while the search goes on.
_TRIALS_WITH_WEIGHTS = 3
# The most models that are loaded for a blend.
_MOST_CANDIDATES = 60


@dataclass(frozen=True, eq=False)
class Ensemble:
    """Members, weights, and what they are worth."""

    document: Mapping[str, Any]
    """All of it as the command line prints it."""

    @property
    def members(self) -> list[dict[str, Any]]:
        """The members with run_id, family, name, score and weight, the heaviest first."""
        return list(self.document["members"])

    @property
    def weights(self) -> "np.ndarray":
        """The members' weights, (members,), at least 0, sum 1."""
        import numpy as np

        return np.array([member["weight"] for member in self.members])

    @property
    def score(self) -> float:
        """The metric of the blended out-of-fold predictions, on the rows that the weights were fitted to."""
        return float(self.document["score"])

    @property
    def honest_score(self) -> float | None:
        """The metric of predictions blended with weights that were fitted on other folds."""
        return None if self.document["honest_score"] is None else float(self.document["honest_score"])

    @property
    def gap(self) -> float | None:
        """A proven bound on how much better any weights of these candidates can be; None where there is none."""
        return None if self.document["gap"] is None else float(self.document["gap"])


@dataclass(frozen=True)
class Summary:
    """What one `run` came to."""

    study: str
    trials: Mapping[str, int]
    """How many are complete, pruned and failed, over the study's life."""
    best: Mapping[str, Any] | None
    """The best trial's row of the leaderboard."""
    ensemble: Mapping[str, Any] | None
    submission: str | None
    """Absolute path of the file."""
    seconds: float
    """What this call took."""
    test_scores: Mapping[str, float] | None = None
    """For sklearn: sources, the true scores of the first submission on the fifth that was set apart."""


def open(file: str | os.PathLike[str], home: str | os.PathLike[str] | None = None, **overrides: Any) -> "Study":
    """Open the study that `file` describes, and refuse what is wrong with it before anything heavy loads.

    Args:
        file: the study file.
        home: the folder of all studies; `mlruns` in the current folder unless given or in WORKBENCH_HOME.
        overrides: keys of the study file to replace, as in `seed=3`.

    Raises:
        WorkbenchError: the file, a word in it, or the data it names is wrong.
    """
    config = configs.load(file, **overrides)
    check(config)
    return Study(config, homes.find(home))


class Study:
    """A question, and everything that was tried to answer it. Made by `open`."""

    def __init__(self, config: StudyConfig, home: homes.Home) -> None:
        """Hold what was checked; nothing is loaded yet."""
        self.config = config
        self.home = home

    @property
    def name(self) -> str:
        """The study's name."""
        return self.config.name

    @cached_property
    def dataset(self) -> "Dataset":
        """The data, loaded when first asked for."""
        from workbench import data

        return data.load(self.config)

    @cached_property
    def metric(self) -> "Metric":
        """What is optimised."""
        from workbench import evaluation

        name = self.config.metric or evaluation.default(self.dataset.task)
        return self._checked_metric("metric", name)

    @property
    def scored_by(self) -> "Metric":
        """What is optimised, without a look at the data where the study file names it."""
        from workbench import evaluation

        return evaluation.metric(self.config.metric, self.config.resolve) if self.config.metric else self.metric

    @cached_property
    def also(self) -> "tuple[Metric, ...]":
        """What else is shown."""
        return tuple(self._checked_metric(f"also[{i}]", name) for i, name in enumerate(self.config.also))

    @cached_property
    def folds(self) -> "Folds":
        """The folds; the same study file and data give the same."""
        from workbench.errors import EvaluationError
        from workbench.evaluation import folds

        data = self.dataset
        options = {"groups": data.groups, "time": data.time, "column": data.fold_column}
        try:
            return folds.make(self.config.folds, task=data.task, y=data.y, ids=data.ids, **options)
        except EvaluationError as error:
            raise ConfigError(f"{self.config.file}: {error}") from error

    def run(
        self,
        *,
        trials: int | None = None,
        minutes: float | None = None,
        workers: int | None = None,
        out: str | os.PathLike[str] | None = None,
        listen: "Callable[[Event], None] | None" = None,
    ) -> Summary:
        """Search, then blend, then write the submission; called again, it goes on where it stopped.

        Args:
            trials: how many finished trials (complete or pruned) the study should reach in all.
            minutes: how long this call may take; with `trials` or `minutes` given, the file's budget is not used.
            workers: trials at the same time; one for each core unless given here or in the file.
            out: the submission's file, `NAME-submission.csv` in the current folder unless given.
            listen: told of every event of the search.

        Raises:
            StudyError: the study is being run elsewhere, or was begun with something else.
            SearchError: no family can be trained.
        """
        began = time.monotonic()
        trials, minutes = self._budget(trials, minutes)
        end = None if minutes is None else began + 60 * minutes
        search_end = end and end - _reserve(60 * (minutes or 0))
        # Closed at once when `listen` raises, so that trials under way go back to the queue.
        with contextlib.closing(self.search(trials=trials, end=search_end, workers=workers)) as events:
            for event in events:
                if listen is not None:
                    listen(event)
        left = None if end is None else max(2.0, 0.6 * (end - time.monotonic()))
        ensemble = self.ensemble(seconds=left)
        submission = None if self.dataset.test_ids is None else self.submit(out)
        return self._summary(ensemble, submission, began)

    def search(
        self, *, trials: int | None = None, end: float | None = None, workers: int | None = None
    ) -> "Generator[Event]":
        """Run trials until the budget is spent, yielding what happens.

        Args:
            trials: how many finished trials the study should reach in all.
            end: when to stop, in seconds of `time.monotonic`; finished folds of trials under way are kept.
            workers: trials at the same time.

        Raises:
            StudyError: the study is being run elsewhere, or was begun with something else.
            SearchError: no family can be trained.
        """
        from workbench.search.pool import Pool, cores
        from workbench.search.scheduler import Plan, Search

        self.home.create()
        with self.home.lock(self.name), self.home.room():
            count = workers or self.config.search.workers or cores()
            modules = _modules(self.config.families, self.dataset)
            # The libraries load in another process while MLflow loads in this one.
            threads = max(1, min(cores() // count, len(self.dataset.y) // _ROWS_A_THREAD))
            pool = Pool(modules, threads=threads, gpus=self.config.search.gpus)
            self._begin()
            books = self._books
            books.reclaim()
            self._tidy(books)
            plan = Plan(
                specs=self._specs(threads),
                folder=lambda family, number: self.home.trial(self.name, family, number),
                record=self._record,
                workers=count,
                trials=trials,
                deadline=end,
                limits=self._limits(),
                weigh=self._weigh,
                weights=_TRIALS_WITH_WEIGHTS,
            )
            with contextlib.closing(pool):
                yield from Search(plan, books, pool).events()

    def rows(self) -> "list[Row]":
        """Return every finished trial, best first.

        Raises:
            StudyError: there is none yet.
        """
        rows = self._books.rows() if self.home.journal.exists() else []
        if not rows:
            raise StudyError(f"Study {self.name!r} has no trials yet. Run it: workbench run {self.config.file}")
        return rows

    def leaderboard(self) -> "pd.DataFrame":
        """Return every finished trial as a table, best first.

        Raises:
            StudyError: there is none yet.
        """
        import pandas as pd

        return pd.DataFrame([asdict(row) for row in self.rows()])

    def ensemble(
        self, *, method: str | None = None, members: int | None = None, seconds: float | None = None
    ) -> Ensemble:
        """Blend the best and most different trials, and keep the result as a run of its own.

        Args:
            method: how weights are found, as in the study file unless given.
            members: the most members, as in the study file unless given.
            seconds: how long the blends may take together.

        Raises:
            StudyError: there is no complete trial yet.
        """
        from workbench.study.blending import blended, nominated

        rows = nominated(self.rows(), self.metric.direction, _MOST_CANDIDATES)
        if not rows:
            raise StudyError(f"Study {self.name!r} has no complete trial yet. Run it for longer.")
        vault = self._vault
        document, oof, test = blended(
            rows,
            [self._tracker.predictions(row.run_id, vault) for row in rows],
            self.dataset.y[vault.rows],
            self.metric,
            self.also,
            fold=vault.folds,
            groups=vault.rows if self.folds.repeats > 1 else self._groups,
            method=method or self.config.ensemble.method,
            members=members or self.config.ensemble.members,
            seed=self.config.seed,
            seconds=seconds,
        )
        with self.home.room():
            run_id = self._tracker.record_ensemble(document, oof, test, vault, metric=self.metric.name)
        return Ensemble({"run_id": run_id, **document})

    def submit(self, out: str | os.PathLike[str] | None = None) -> Path:
        """Write the submission that the newest ensemble makes, and return the file.

        Args:
            out: the file, `NAME-submission.csv` in the current folder unless given.

        Raises:
            StudyError: there is no ensemble yet.
            SubmissionError: the predictions do not fit the sample submission, or the file cannot be written.
        """
        import numpy as np

        from workbench import submission

        path = Path(out or f"{self.name}-submission.csv").resolve()
        document = self._tracker.newest_ensemble()
        data, run_id = self.dataset, document["run_id"]
        test = self._tracker.predictions(run_id, self._vault).test
        if data.test_ids is None or test is None:
            raise SubmissionError(f"{self.config.file}: the study has no rows to predict. Set data.test.")
        numbered = self.config.data.id is None and np.array_equal(data.test_ids, np.arange(len(data.test_ids)))
        frame = submission.make(data, test, self.metric, by_position=numbered)
        score = {"metric": self.metric.name, "score": document["score"], "honest_score": document["honest_score"]}
        submission.write(frame, path, {"study": self.name, "run_id": run_id, **score})
        self._tracker.attach(run_id, path)
        return path

    def gc(self) -> int:
        """Free the weights that neither the best trial nor the newest ensemble needs; return the bytes freed.

        Predictions are kept, so that any trial can be blended later.

        Raises:
            StudyError: the study is being run, or has no trials yet.
        """
        with self.home.lock(self.name):
            rows = self.rows()
            needed = {rows[0].key, *self._needed(rows)}
            return self._weights.keep([*needed], needed)

    def write_folds(self, out: str | os.PathLike[str]) -> str:
        """Write id, repeat and fold of every validated row as CSV, and return the fold hash."""
        from workbench.evaluation import folds

        path = Path(out)
        try:
            folds.frame(self.folds, self.dataset.ids, self.dataset.id_name).to_csv(path, index=False)
        except OSError as error:
            raise ConfigError(f"{path}: cannot be written ({error.strerror}). Name another file with -o.") from error
        return self.folds.hash

    @cached_property
    def _tracker(self) -> "Tracker":
        from workbench.tracking import Tracker

        return Tracker(self.home, self.name)

    @cached_property
    def _weights(self) -> "Weights":
        from workbench.tracking import Weights

        return Weights(self.home, self.name)

    @cached_property
    def _books(self) -> "Books":
        from workbench.search.books import Books

        search = self.config.search
        return Books(
            self.home.journal,
            self.name,
            direction=self.scored_by.direction,
            sampler=search.sampler,
            pruner=search.pruner,
            seed=self.config.seed,
        )

    @cached_property
    def _vault(self) -> "Vault":
        from workbench.tracking import Vault

        data, (repeats, rows) = self.dataset, self.folds.rows()
        outputs: tuple[str, ...] = ("prediction",)
        if data.classes is not None and len(data.classes) > 2:
            outputs = tuple(f"prediction_{label}" for label in data.classes)
        return Vault(
            id_name=data.id_name,
            ids=data.ids,
            test_ids=data.test_ids,
            repeats=repeats,
            rows=rows,
            folds=self.folds.assignment[repeats, rows],
            hash=self.folds.hash,
            outputs=outputs,
        )

    @property
    def _groups(self) -> "np.ndarray | None":
        """Return which out-of-fold predictions belong together: those of a group."""
        groups = self.dataset.groups
        return None if groups is None else groups[self._vault.rows]

    @cached_property
    def _transform(self) -> Literal["none", "log1p"]:
        """What the target is trained on."""
        transform = self.config.data.target_transform or self.metric.transform
        if transform == "log1p" and (self.dataset.y <= -1).any():
            raise self.config.error("data.target_transform", "needs a target above -1", "log1p")
        return transform if self.dataset.task == "regression" else "none"

    def _checked_metric(self, key: str, name: str) -> "Metric":
        """Return a metric that suits the data."""
        from workbench import evaluation
        from workbench.errors import EvaluationError

        data = self.dataset
        try:
            metric = evaluation.metric(name, self.config.resolve, task=data.task)
            metric.check_target(data.task, data.y)
        except EvaluationError as error:
            raise ConfigError(f"{self.config.file}: {key}: {error}") from error
        return metric

    def _begin(self) -> None:
        """Load the data, refuse what does not suit it, and hold it against what the study was begun with."""
        from workbench.evaluation import folds
        from workbench.study.facts import Facts

        for number, family in enumerate(self.config.families):
            entry = models.entry(family)
            if self.dataset.kind not in entry.kinds or self.dataset.task not in entry.tasks:
                able = [n for n, e in models.FAMILIES.items() if self.dataset.kind in e.kinds and e.installed]
                what = f"must suit {self.dataset.task} on data of kind {self.dataset.kind}"
                raise self.config.error(f"families[{number}]", what, family, f" Choose from: {', '.join(able)}.")
        _ = self.also, self._transform
        facts = Facts.of(self.dataset, self.metric.name, self.folds.hash)
        facts.settle(self.home.facts(self.name), self.config)
        if not self.home.folds(self.name).exists():
            folds.save(self.folds, self.home.folds(self.name))
        also = [metric.name for metric in self.also]
        self._tracker.describe(self._description(), metric=self.metric.name, also=also, direction=self.metric.direction)

    def _tidy(self, books: "Books") -> None:
        """Put right what a kill came between: ensembles half written, folders of trials that Optuna was told of."""
        self._tracker.close()
        under_way = {self.home.trial(self.name, *trial) for trial in books.under_way()}
        for folder in set(self.home.trials(self.name).glob("*")) - under_way:
            shutil.rmtree(folder, ignore_errors=True)

    def _description(self) -> str:
        """Return what the UI shows above the study's runs."""
        data, folds = self.dataset, self.folds
        test = "" if data.test_ids is None else f", {len(data.test_ids)} to predict"
        return (
            f"**{self.name}**: predict `{data.target}` ({data.task}) from {self.config.data.train}\n\n"
            f"- {len(data.y)} rows{test}; kind of data: {data.kind}\n"
            f"- metric: **{self.metric.name}** ({self.metric.direction})\n"
            f"- folds: {folds.kind}, {folds.folds} folds × {folds.repeats}; hash `{folds.hash}`\n"
            f"- families: {', '.join(self.config.families)}\n" + "".join(f"- {note}\n" for note in data.notes)
        )

    def _specs(self, threads: int) -> "dict[str, Spec]":
        """Return what the trials of each family need to know, the baseline's too."""
        from workbench.trial import Spec

        shared: dict[str, Any] = {"metric": self.metric, "also": self.also, "transform": self._transform}
        shared |= {"class_weight": self.config.class_weight, "seed": self.config.seed, "threads": threads}
        shared |= {"deterministic": self.config.deterministic}
        families = dict.fromkeys([models.BASELINE, *self.config.families])
        return {family: Spec(family, self.dataset, self.folds, **shared) for family in families}

    def _record(self, result: "Result", folder: Path) -> str:
        """Write a trial to MLflow, and keep its weights where they are whole and it is among its family's best."""
        from workbench.search import worker
        from workbench.tracking.weights import best

        made = folder / worker.WEIGHTS
        if result.state == "complete" and all((made / f"{r}-{f}").is_dir() for r, f in self.folds.pairs()):
            own, rows = (result.family, result.number), self._books.rows()
            self._weights.take(own, made)
            scores = {own: result.score} | {row.key: row.score for row in rows if row.state == "complete"}
            ranked = sorted(scores, key=lambda key: self.metric.loss_of(scores[key] or 0.0))
            needed = self._needed(rows)
            self._weights.keep([*needed, *best(ranked, _TRIALS_WITH_WEIGHTS)], needed)
        return self._tracker.record(result, self._vault, metric=self.metric.name, log=folder / worker.LOG)

    def _needed(self, rows: "Sequence[Row]") -> "set[Key]":
        """Return the trials among `rows` that are members of the newest ensemble."""
        keys = {row.run_id: row.key for row in rows}
        try:
            members = self._tracker.newest_ensemble()["members"]
        except StudyError:
            return set()
        return {keys[member["run_id"]] for member in members if member["run_id"] in keys}

    def _limits(self) -> "Limits":
        from workbench.search.limits import Limits

        search = self.config.search
        return Limits(search.trial_seconds, search.trial_memory, self._full)

    def _full(self) -> bool:
        """Tell whether the home has no room for another trial, also when the weights that can be spared are freed."""
        most = self.config.search.disk
        if not self.home.full(most):
            return False
        needed = self._needed(self._books.rows())
        self._weights.keep([*needed], needed)
        return self.home.full(most)

    def _weigh(self, rows: "Sequence[Row]") -> "Mapping[str, float]":
        """Return the weights of the families' best trials in a quick blend of them."""
        from workbench.study.blending import weights

        vault = self._vault
        oof = [self._tracker.predictions(row.run_id, vault, test=False).oof for row in rows]
        found = weights(oof, self.dataset.y[vault.rows], self.metric)
        return {row.family: weight for row, weight in zip(rows, found, strict=True)}

    def _budget(self, trials: int | None, minutes: float | None) -> tuple[int | None, float | None]:
        """Return the call's own budget, else the file's, else a usual one."""
        if trials is not None or minutes is not None:
            return trials, minutes
        search = self.config.search
        if search.trials is not None or search.minutes is not None:
            return search.trials, search.minutes
        return None, MINUTES

    def _summary(self, ensemble: Ensemble, submission: Path | None, began: float) -> Summary:
        rows = self.rows()
        counts = Counter(row.state for row in rows)
        best = next((row for row in rows if row.state == "complete"), None)
        return Summary(
            study=self.name,
            trials={state: counts[state] for state in ("complete", "pruned", "failed")},
            best=None if best is None else asdict(best),
            ensemble=dict(ensemble.document),
            submission=None if submission is None else str(submission),
            seconds=time.monotonic() - began,
            test_scores=None if submission is None else self._reveal(),
        )

    def _reveal(self) -> dict[str, float] | None:
        """Score the rows that a sklearn: source set apart: once, after which the answer stays what it was."""
        from workbench import data

        file = self.home.facts(self.name).with_name("test_scores.json")
        if file.exists():
            scores: dict[str, float] = json.loads(file.read_text())
            return scores
        known = data.truth(self.config)
        if known is None:
            return None
        # Such a source always has test rows, so its ensembles have predictions for them.
        test = cast(
            "np.ndarray", self._tracker.predictions(self._tracker.newest_ensemble()["run_id"], self._vault).test
        )
        scores = {m.name: m.score(known[1], test) for m in (self.metric, *self.also)}
        file.write_text(json.dumps(scores))
        return scores


def _modules(families: Sequence[str], dataset: "Dataset") -> list[str]:
    """Return what a trial's process should have loaded."""
    keras = ["workbench.space.keras", *_LATE_KERAS] if any(models.entry(family).keras for family in families) else []
    skrub = ["skrub"] if {"date", "text"} & set(dataset.columns.values()) else []
    return [
        "workbench.trial",
        "skops.io",
        *_LATE,
        *keras,
        *skrub,
        *(f"workbench.models.{family}" for family in families),
    ]


def _reserve(seconds: float) -> float:
    """Return how much of a budget is kept for ensemble and submission."""
    return min(max(4.0, 0.08 * seconds), 40.0)
