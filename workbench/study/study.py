"""The verbs of one study: run, search, leaderboard, ensemble, import, submit, predict, export, report, folds."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from workbench import config as configs
from workbench import home as homes
from workbench.config import StudyConfig
from workbench.data.cache import Cache, Tell, silent
from workbench.errors import ConfigError, StudyError, SubmissionError
from workbench.study.ensemble import Ensemble
from workbench.study.study_store import TRIALS_WITH_WEIGHTS, StudyStore
from workbench.study.study_validation import check
from workbench.study.task import Task

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from workbench.data import NewRows
    from workbench.ensemble import EnsembleResult
    from workbench.ensemble.methods import Whose
    from workbench.inference.predictor import Predictor
    from workbench.search.events import Event
    from workbench.search.storage import TrialRecord

# A study file without a budget gets this one.
MINUTES = 10.0
# The most models that are loaded for a blend.
_MOST_CANDIDATES = 60


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
    model_uri: str | None = None
    """The ensemble as MLflow knows it; None where it was not logged."""
    test_scores: Mapping[str, float] | None = None
    """For sklearn: sources, the true scores of the first submission on the fifth that was set apart."""


def open(
    file: str | os.PathLike[str],
    home: str | os.PathLike[str] | None = None,
    *,
    tell: Tell = silent,
    **overrides: Any,
) -> Study:
    """Open the study that `file` describes, and refuse what is wrong with it before anything heavy loads.

    Args:
        file: the study file.
        home: the folder of all studies; `mlruns` in the current folder unless given or in WORKBENCH_HOME.
        tell: told in a line how far the reading of many images is.
        overrides: keys of the study file to replace, as in `seed=3`.

    Raises:
        WorkbenchError: the file, a word in it, or the data it names is wrong.
    """
    config = configs.load(file, **overrides)
    check(config)
    return Study(config, homes.find(home), tell)


class Study:
    """A question, and everything that was tried to answer it. Made by `open`."""

    def __init__(self, config: StudyConfig, home: homes.Home, tell: Tell = silent) -> None:
        """Hold what was checked; nothing is loaded yet."""
        self.config = config
        self.home = home
        self.task = Task(config, cache=Cache(home.cache, tell))
        self.store = StudyStore(self.task, home)

    @property
    def name(self) -> str:
        """The study's name."""
        return self.config.name

    def run(
        self,
        *,
        trials: int | None = None,
        minutes: float | None = None,
        workers: int | None = None,
        out: str | os.PathLike[str] | None = None,
        listen: Callable[[Event], None] | None = None,
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
        ensemble = self._blended(seconds=left)
        submission = None if self.task.dataset.test_ids is None else self.submit(out)
        model_id = self._log_models(ensemble.result, end)
        self._publish(end)
        return self._summary(ensemble, submission, model_id, began)

    def search(
        self, *, trials: int | None = None, end: float | None = None, workers: int | None = None
    ) -> Generator[Event]:
        """Run trials until the budget is spent, yielding what happens.

        Args:
            trials: how many finished trials the study should reach in all.
            end: when to stop, in seconds of `time.monotonic`; finished folds of trials under way are kept.
            workers: trials at the same time.

        Raises:
            StudyError: the study is being run elsewhere, or was begun with something else.
            SearchError: no family can be trained.
        """
        from workbench.search.limits import Limits
        from workbench.search.pool import Pool, cores
        from workbench.search.resource_usage import ResourceMeter
        from workbench.search.scheduler import Search, SearchPlan

        self.home.create()
        with self.home.lock(self.name), self.home.explain_disk_errors():
            count = workers or self.config.search.workers or cores()
            own, archive, search = self.task, self.store, self.config.search
            threads = own.threads(count, cores())
            # The libraries load in another process while MLflow loads in this one.
            pool = Pool(own.modules(), threads=threads, gpus=search.gpus)
            own.check()
            archive.begin()
            plan = SearchPlan(
                specs=own.specs(threads),
                trial_folder=lambda family, number: self.home.trial(self.name, family, number),
                record=archive.record,
                workers=count,
                trials=trials,
                deadline=end,
                limits=Limits(search.trial_seconds, search.trial_memory, archive.full),
                blend_weights=archive.weigh,
                trials_with_checkpoints=TRIALS_WITH_WEIGHTS,
                meter=ResourceMeter() if search.system_metrics else None,
            )
            with contextlib.closing(pool):
                yield from Search(plan, archive.storage, pool).run()

    def rows(self) -> list[TrialRecord]:
        """Return every finished trial, best first.

        Raises:
            StudyError: there is none yet.
        """
        rows = self.store.rows()
        if not rows:
            raise StudyError(f"Study {self.name!r} has no trials yet. Run it: workbench run {self.config.file}")
        return rows

    def leaderboard(self) -> pd.DataFrame:
        """Return every finished trial as a table, best first.

        Raises:
            StudyError: there is none yet.
        """
        import pandas as pd

        return pd.DataFrame([asdict(row) for row in self.rows()])

    def ensemble(
        self,
        *,
        sources: Sequence[str | os.PathLike[str]] = (),
        method: str | None = None,
        weights: Whose | None = None,
        members: int | None = None,
        seconds: float | None = None,
    ) -> Ensemble:
        """Blend the best and most different trials and imports, and keep the result as a run of its own.

        Args:
            sources: the files of other studies of this home, whose trials and imports may become members too.
            method: how weights are found, as in the study file unless given.
            weights: whether a member has one, or one for each target or class, as in the study file unless given.
            members: the most members, as in the study file unless given.
            seconds: how long the blends may take together.

        Raises:
            StudyError: there is no complete trial yet, or a source has other rows, another target or other folds.
        """
        from workbench.study import publishing

        made = self._blended(sources=sources, method=method, weights=weights, members=members, seconds=seconds)
        publishing.picture(self.store, self.store.rows())
        return made

    def _blended(
        self,
        *,
        sources: Sequence[str | os.PathLike[str]] = (),
        method: str | None = None,
        weights: Whose | None = None,
        members: int | None = None,
        seconds: float | None = None,
    ) -> Ensemble:
        """Blend as `ensemble` does, and draw nothing."""
        from workbench.study.blending import blend_candidates
        from workbench.study.candidate_pool import gather

        own, tracker = self.task, self.store.tracker
        if self.home.fingerprint(self.name).exists():
            own.facts.check(self.home.fingerprint(self.name), self.config)
        others = [open(file, self.home.path).store for file in sources]
        found = gather(self.store, others, _MOST_CANDIDATES)
        asked = weights or self.config.ensemble.weights
        if not found and self.rows():
            raise StudyError(f"Study {self.name!r} has no complete trial yet. Run it for longer.")
        result, oof, test = blend_candidates(
            found,
            own,
            method=method or self.config.ensemble.method,
            weights=asked,
            # What is asked for by name is not replaced by what is simpler.
            simplify=None if method is None and asked is None else False,
            members=members or self.config.ensemble.members,
            seed=self.config.seed,
            seconds=seconds,
        )
        with self.home.explain_disk_errors():
            run_id = tracker.log_ensemble(result, oof, test, own.schema, metric=own.metric.name)
            self.store.tell()
        recorded = replace(result, run_id=run_id)
        return Ensemble(recorded, lambda rows: self._assemble(recorded).predict(rows))

    def take(
        self, name: str, *, oof: str | os.PathLike[str], test: str | os.PathLike[str] | None = None
    ) -> dict[str, Any]:
        """Take predictions made elsewhere into the study: its later ensembles may choose them.

        What was taken under the same name before is replaced.

        Args:
            name: what they are called.
            oof: a table of id, fold (and repeat) and out-of-fold predictions, made with the study's folds.
            test: a table of id and predictions for the test rows, needed where the study has such rows.

        Returns:
            The `run_id`, the `score`, and whether they `replaced` others.

        Raises:
            ConfigError: the name cannot be used, or `test` is missing or not needed.
            DataError: the predictions do not fit the study's rows and folds.
            StudyError: the study is being run, or was begun with something else.
        """
        from workbench.study import external_predictions

        file = None if test is None else Path(test)
        external_predictions.check(self.task, name, file)
        result = external_predictions.read(self.task, name, Path(oof), file)
        self.home.create()
        with self.home.lock(self.name), self.home.explain_disk_errors():
            self.store.begin()
            own = self.task
            run_id, replaced = self.store.tracker.log_import(result, own.schema, metric=own.metric.name)
        return {"run_id": run_id, "score": result.score, "replaced": replaced}

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
        own, tracker = self.task, self.store.tracker
        ensemble = tracker.newest_ensemble()
        data, run_id = own.dataset, ensemble.run_id
        test = tracker.predictions(run_id, own.schema).test
        if data.test_ids is None or test is None:
            raise SubmissionError(f"{self.config.file}: the study has no rows to predict. Set data.test.")
        numbered = self.config.data.id is None and np.array_equal(data.test_ids, np.arange(len(data.test_ids)))
        frame = submission.make(data, test, own.metric, by_position=numbered, threshold=ensemble.threshold)
        score = {"metric": own.metric.name, "score": ensemble.score, "honest_score": ensemble.honest_score}
        submission.write(frame, path, {"study": self.name, "run_id": run_id, **score})
        tracker.log_artifact(run_id, path)
        return path

    def predict(
        self,
        rows: NewRows,
        *,
        out: str | os.PathLike[str] | None = None,
        listen: Callable[[str], object] | None = None,
    ) -> pd.DataFrame:
        """Return what the newest ensemble predicts for new rows: the submission's columns, in the rows' own order.

        Args:
            rows: a file of the same form as the training data, or a frame; ids are row numbers where it has none.
            out: a file to write as well.
            listen: told in a line of each model that must be trained because it is not kept.

        Raises:
            StudyError: there is no ensemble yet, or members of it cannot be trained here.
            DataError: the rows do not have the columns, or what columns must hold.
            SubmissionError: the file cannot be written.
        """
        from workbench import submission

        # What is wrong with the rows is said before MLflow loads, which takes seconds.
        new = self.task.reader.read(rows, cache=self.task.cache)
        ensemble = self.store.tracker.newest_ensemble()
        frame = self._assemble(ensemble, listen).table(new)
        if out is not None:
            submission.write(frame, Path(out).resolve(), {"study": self.name, "run_id": ensemble.run_id})
        return frame

    def export(
        self,
        out: str | os.PathLike[str] | None = None,
        *,
        register: bool = False,
        listen: Callable[[str], object] | None = None,
    ) -> dict[str, Any]:
        """Log the newest ensemble and its members as models that MLflow serves, in the place of earlier ones.

        Args:
            out: a new or empty folder to write the ensemble's model to as well.
            register: whether it becomes a version of the model that is registered under the study's name.
            listen: told in a line of each model that must be trained because it is not kept.

        Returns:
            `model_uri`, `path`, `registered` (name, version and alias, or None) and the ensemble's `run_id`.

        Raises:
            StudyError: there is no ensemble yet, or members of it cannot be trained here.
            ConfigError: there is something in `out`.
        """
        from workbench.study import export

        folder = None if out is None else Path(out).resolve()
        export.check_out(folder)
        ensemble = self.store.tracker.newest_ensemble()
        made = export.Export(self.store, self._assemble(ensemble, listen), ensemble)
        model_id = cast("str", made.log())
        if folder is not None:
            made.copy(model_id, folder)
        return made.document(model_id, folder, register=register)

    def report(self, out: str | os.PathLike[str] | None = None, markdown: bool = False) -> Path:
        """Write a report of the study, which may be running, and return the file; MLflow gets the page as well.

        Args:
            out: the file, `NAME-report.html` or `NAME-report.md` in the current folder unless given.
            markdown: for a repository, with the figures as files in a folder beside it, instead of one HTML page.

        Raises:
            StudyError: there is no trial yet, or the study was begun with something else.
            ConfigError: the file cannot be written.
        """
        from workbench.study import publishing

        path = Path(out or f"{self.name}-report.{'md' if markdown else 'html'}").resolve()
        publishing.place(path, pictured=markdown)
        rows = self.rows()
        from workbench.report.render import render_figures
        from workbench.study import report_inputs

        story = report_inputs.gather_report(self.task, self.store, rows)
        drawn = list(render_figures(story))
        publishing.write(story, drawn, path, pictured=markdown)
        publishing.keep(self.store, story, drawn)
        return path

    def gc(self) -> int:
        """Free the weights that neither the best trial nor the newest ensemble needs; return the bytes freed.

        Predictions are kept, so that any trial can be blended later. Decoded images that no study of the home has used
        for a week go, too; they are made again when they are needed.

        Raises:
            StudyError: the study is being run, or has no trials yet.
        """
        with self.home.lock(self.name):
            return self.store.free(self.rows()) + Cache(self.home.cache).sweep()

    def write_folds(self, out: str | os.PathLike[str]) -> str:
        """Write id, repeat and fold of every validated row as CSV, and return the fold hash."""
        from workbench.evaluation import folds

        path, own = Path(out), self.task
        try:
            folds.to_frame(own.folds, own.dataset.ids, own.dataset.id_name).to_csv(path, index=False)
        except OSError as error:
            raise ConfigError(f"{path}: cannot be written ({error.strerror}). Name another file with -o.") from error
        return own.folds.hash

    def _assemble(self, ensemble: EnsembleResult, listen: Callable[[str], object] | None = None) -> Predictor:
        """Return an ensemble with its models."""
        from workbench.study import assemble

        return assemble.assemble(self.task, self.store, ensemble, self.rows(), listen or (lambda _: None))

    def _publish(self, end: float | None) -> None:
        """Put figures and page into MLflow, as far as there is time until `end`."""
        from workbench.study import publishing

        publishing.publish(self.store, self.rows(), end)

    def _budget(self, trials: int | None, minutes: float | None) -> tuple[int | None, float | None]:
        """Return the call's own budget, else the file's, else a usual one."""
        if trials is not None or minutes is not None:
            return trials, minutes
        search = self.config.search
        if search.trials is not None or search.minutes is not None:
            return search.trials, search.minutes
        return None, MINUTES

    def _log_models(self, ensemble: EnsembleResult, end: float | None) -> str | None:
        """Log an ensemble's models where nothing has to be trained for them, and there is time and room."""
        from workbench.study import assemble, export

        if self.home.is_full(self.config.search.disk) or not assemble.complete(
            self.task, self.store, ensemble, self.rows()
        ):
            return None
        return export.Export(self.store, self._assemble(ensemble), ensemble).log(end, export.MOST)

    def _summary(self, ensemble: Ensemble, submission: Path | None, model_id: str | None, began: float) -> Summary:
        rows = self.rows()
        counts = Counter(row.state for row in rows)
        best = next((row for row in rows if row.state == "complete"), None)
        return Summary(
            study=self.name,
            trials={state: counts[state] for state in ("complete", "pruned", "failed")},
            best=None if best is None else asdict(best),
            ensemble=ensemble.document,
            submission=None if submission is None else str(submission),
            model_uri=model_id and f"models:/{model_id}",
            seconds=time.monotonic() - began,
            test_scores=None if submission is None else self._reveal(),
        )

    def _reveal(self) -> dict[str, float] | None:
        """Score the rows that a sklearn: source set apart: once, after which the answer stays what it was."""
        from workbench import data
        from workbench.study.blending import score_ensemble

        file = self.home.fingerprint(self.name).with_name("test_scores.json")
        if file.exists():
            scores: dict[str, float] = json.loads(file.read_text())
            return scores
        known = data.load_answers(self.config)
        if known is None:
            return None
        own, ensemble = self.task, self.store.tracker.newest_ensemble()
        # Such a source always has test rows, so its ensembles have predictions for them.
        test = cast("np.ndarray", self.store.tracker.predictions(ensemble.run_id, own.schema).test)
        scores = score_ensemble((own.metric, *own.also), known[1], test, ensemble.threshold)
        file.write_text(json.dumps(scores))
        return scores


def _reserve(seconds: float) -> float:
    """Return how much of a budget is kept for ensemble and submission."""
    return min(max(4.0, 0.1 * seconds), 50.0)
