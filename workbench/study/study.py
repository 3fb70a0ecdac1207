"""The verbs of a study: run, search, leaderboard, ensemble, import, submit, predict, export, report, folds, gc."""

from __future__ import annotations

import contextlib
import os
import time
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from workbench import config as configs
from workbench import files
from workbench import home as homes
from workbench.config import StudyConfig
from workbench.data.cache import Cache, Tell, silent
from workbench.errors import StudyError
from workbench.study import output_paths
from workbench.study.ensemble import Ensemble
from workbench.study.run_budget import RunBudget
from workbench.study.run_result import Summary
from workbench.study.study_store import StudyStore
from workbench.study.study_validation import check
from workbench.study.task import Task

if TYPE_CHECKING:
    import pandas as pd

    from workbench.data import NewRows
    from workbench.ensemble import EnsembleResult
    from workbench.ensemble.options import Weighting
    from workbench.inference.predictor import Predictor
    from workbench.search.events import Event
    from workbench.search.storage import TrialRecord

# The seconds for the blend and the submission after the user has ended the search.
_SECONDS_AFTER_STOP = 12.0


def open(
    file: str | os.PathLike[str],
    home: str | os.PathLike[str] | None = None,
    *,
    tell: Tell = silent,
    **overrides: Any,
) -> Study:
    """Open the study that `file` describes, after checking the file, before anything heavy loads.

    Args:
        file: the study file.
        home: the folder of all studies. Default: WORKBENCH_HOME, else `mlruns` in the current folder, or beside the
            study file if only that is a home.
        tell: called with a line on the progress of reading many images.
        overrides: keys of the study file to replace, as in `seed=3`.

    Raises:
        WorkbenchError: the file, a value in it, or the data it names is wrong.
    """
    config = configs.load(file, **overrides)
    check(config)
    return Study(config, homes.find(home, file), tell)


class Study:
    """A study: its task, and everything that its home keeps of it. Made by `open`."""

    def __init__(self, config: StudyConfig, home: homes.Home, tell: Tell = silent) -> None:
        """Keep the checked configuration; nothing is loaded yet."""
        self.config = config
        self.home = home
        self._tell = tell
        self.task = Task(config, cache=Cache(home.cache, tell))
        self.store = StudyStore(self.task, home)

    @property
    def name(self) -> str:
        """The study's name."""
        return self.config.name

    def check_settings(self) -> None:
        """Refuse a study file whose settings certainly make another study than the one that was begun; fast.

        Raises:
            StudyError: a setting has changed.
        """
        self.store.check_settings()

    def preload(self, *, workers: int | None = None) -> None:
        """Begin to load the libraries of the first trials in another process, so that `run` starts them sooner.

        Args:
            workers: as for `run`.
        """
        from workbench.study import trial_search

        trial_search.preload(self.config, workers)

    def run(
        self,
        *,
        trials: int | None = None,
        minutes: float | None = None,
        workers: int | None = None,
        out: str | os.PathLike[str] | None = None,
        listen: Callable[[Event], None] | None = None,
        must_stop: Callable[[], bool] = lambda: False,
    ) -> Summary:
        """Search, then blend, then write the submission; called again, it goes on where it stopped.

        Args:
            trials: the number of finished trials (complete or pruned) that the study should reach in all.
            minutes: the time limit of this call; with `trials` or `minutes` given, the file's budget is not used.
            workers: trials at the same time; one for each core unless given here or in the file.
            out: the submission's file, `NAME-submission.csv` in the current folder unless given.
            listen: called with every event of the search.
            must_stop: looked at every second; once it returns True, the search ends, and what there is is blended and
                written within 15 s.

        Raises:
            StudyError: the study is being run elsewhere, or its data, target, folds or metric have changed.
            SearchError: no family can be trained.
            SubmissionError: the sample submission does not fit the data, or the submission's file cannot be written.
        """
        began = time.monotonic()
        self._settle()
        if out is not None or self.config.data.test is not None:
            output_paths.check_out(self.config, self._submission_path(out))
        budget = RunBudget.of(self.config, trials, minutes, began)
        # Closing on an exception of `listen` puts unfinished trials back into the queue.
        search = self.search(trials=budget.trials, end=budget.search_end, workers=workers, must_stop=must_stop)
        with contextlib.closing(search) as events:
            for event in events:
                if listen is not None:
                    listen(event)
        budget = budget.shorten(_SECONDS_AFTER_STOP) if must_stop() else budget
        ensemble = self._blend(seconds=budget.blend_seconds())
        submission = None if self.task.dataset.test_ids is None else self.submit(out)
        model_id = self._log_models(ensemble.result, budget.end)
        self._publish(budget.end)
        return self._summary(ensemble, submission, model_id, began)

    def search(
        self,
        *,
        trials: int | None = None,
        end: float | None = None,
        workers: int | None = None,
        must_stop: Callable[[], bool] = lambda: False,
    ) -> Generator[Event]:
        """Run trials until the budget is spent, yielding the events.

        Args:
            trials: the number of finished trials that the study should reach in all.
            end: the end, in seconds of `time.monotonic`; finished folds of unfinished trials are kept.
            workers: the number of trials at the same time.
            must_stop: looked at every second; once it returns True, the search ends.

        Raises:
            StudyError: the study is being run elsewhere, or its data, target, folds or metric have changed.
            SearchError: no family can be trained.
        """
        self._settle()
        from workbench.study.trial_search import run_trials

        if not self.store.honest_lengths:
            self._tell(
                f"Study {self.name!r} was begun by an earlier version, whose rule it keeps: the rows that are scored "
                "choose the rounds and epochs, so scores are optimistic. A study of another name has honest ones."
            )
        yield from run_trials(self.store, trials=trials, end=end, workers=workers, must_stop=must_stop)

    def trials(self) -> list[TrialRecord]:
        """Return every finished trial, best first; those of another fidelity, which cannot be compared, come last.

        Raises:
            StudyError: there is none yet.
        """
        self._follow_metric()
        trials = self.store.all_trials()
        if not trials:
            raise StudyError(
                f"Study {self.name!r} has no trials yet. Run it: workbench run {self.config.file}. "
                f"Looked in {self.home.path}."
            )
        return trials

    def leaderboard(self) -> pd.DataFrame:
        """Return every finished trial as a table, best first.

        Raises:
            StudyError: there is none yet.
        """
        import pandas as pd

        return pd.DataFrame([asdict(trial) for trial in self.trials()])

    def ensemble(
        self,
        *,
        sources: Sequence[str | os.PathLike[str]] = (),
        method: str | None = None,
        weights: Weighting | None = None,
        members: int | None = None,
        seconds: float | None = None,
    ) -> Ensemble:
        """Blend the best and most diverse trials and imports, and record the result as a run of its own.

        Args:
            sources: the files of other studies of this home, whose trials and imports may become members too.
            method: the method, as in the study file unless given; where neither names one, nelder_mead or a
                simpler blend, as the cross-fitted scores decide.
            weights: whether a member has one weight, or one for each target or class; as in the study file unless
                given.
            members: the most members, as in the study file unless given.
            seconds: the time limit of all blends together.

        Raises:
            StudyError: there is no complete trial yet, or a source differs in rows, target or folds.
        """
        self._settle()
        from workbench.study import publishing

        ensemble = self._blend(sources=sources, method=method, weights=weights, members=members, seconds=seconds)
        publishing.attach_ensemble_figures(self.store, self.store.trials())
        return ensemble

    def _blend(
        self,
        *,
        sources: Sequence[str | os.PathLike[str]] = (),
        method: str | None = None,
        weights: Weighting | None = None,
        members: int | None = None,
        seconds: float | None = None,
    ) -> Ensemble:
        """Blend as `ensemble` does, without figures."""
        from workbench.ensemble import BlendOptions
        from workbench.study.blending import blend_candidates
        from workbench.study.candidate_pool import gather, pool_size

        task, defaults, facts = self.task, self.config.ensemble, self.home.fingerprint(self.name)
        self.store.settle_fidelity()
        if facts.exists():
            task.facts.check(facts, self.config)
        others = [open(file, self.home.path) for file in sources]
        for other in others:
            other._settle()
        models = gather(self.store, [other.store for other in others], pool_size(task))
        weighting = weights or defaults.weights
        if not models and self.trials():
            raise StudyError(f"Study {self.name!r} has no complete trial yet. Run it for longer.")
        options = BlendOptions(
            method=method or defaults.method or BlendOptions.method,
            weighting=weighting,
            # A blend that somebody chose is not replaced by a simpler one.
            simplify=method is None and defaults.method is None and weighting is None,
            members=members or defaults.members,
            seed=self.config.seed,
            seconds=seconds,
        )
        blended = blend_candidates(models, task, options)
        with self.home.explain_disk_errors():
            run_id = self.store.tracker.log_ensemble(
                blended.ensemble, blended.oof, blended.test, task.schema, metric=task.metric.name
            )
            self.store.update_description()
        recorded = replace(blended.ensemble, run_id=run_id)
        return Ensemble(recorded, lambda rows: self._assemble(recorded).predict(rows))

    def take(
        self, name: str, *, oof: str | os.PathLike[str], test: str | os.PathLike[str] | None = None
    ) -> dict[str, Any]:
        """Import predictions made elsewhere, which later ensembles may choose; they replace earlier ones of the name.

        Args:
            name: their name.
            oof: a table of id, fold (and repeat) and out-of-fold predictions, made with the study's folds.
            test: a table of id and predictions for the test rows, needed where the study has such rows.

        Returns:
            The `run_id`, the `score`, and whether they `replaced` earlier ones.

        Raises:
            ConfigError: the name cannot be used, or `test` is missing or not needed.
            DataError: the predictions do not fit the study's rows and folds.
            StudyError: the study is being run, or its data, target, folds or metric have changed.
        """
        self._settle()
        from workbench.study import external_predictions

        # They are for all folds, whatever the trials had time for.
        self.store.use_fidelity("full")

        file = None if test is None else Path(test)
        external_predictions.check(self.task, name, file)
        result = external_predictions.read(self.task, name, Path(oof), file)
        self.home.create()
        with self.home.lock(self.name), self.home.explain_disk_errors():
            self.store.begin()
            task = self.task
            run_id, replaced = self.store.tracker.log_import(result, task.schema, metric=task.metric.name)
        return {"run_id": run_id, "score": result.score, "replaced": replaced}

    def submit(self, out: str | os.PathLike[str] | None = None) -> Path:
        """Write the submission of the newest ensemble, and return the file.

        Args:
            out: the file, `NAME-submission.csv` in the current folder unless given.

        Raises:
            StudyError: there is no ensemble yet.
            SubmissionError: the predictions do not fit the sample submission, or the file cannot be written.
        """
        self._settle()
        from workbench.study.submission_file import write_submission

        path = self._submission_path(out)
        output_paths.check_out(self.config, path)
        write_submission(self.store, path)
        return path

    def _submission_path(self, out: str | os.PathLike[str] | None) -> Path:
        return Path(out or f"{self.name}-submission.csv").resolve()

    def predict(
        self,
        rows: NewRows,
        *,
        out: str | os.PathLike[str] | None = None,
        listen: Callable[[str], object] | None = None,
    ) -> pd.DataFrame:
        """Return the newest ensemble's predictions for new rows: the submission's columns, in the rows' own order.

        Args:
            rows: a file of the same form as the training data, or a frame; ids are row numbers where it has none.
            out: a file to write as well.
            listen: called with a line for each model that must be trained because it is not kept.

        Raises:
            StudyError: there is no ensemble yet, or members of it cannot be trained here.
            DataError: the rows lack columns, or columns hold values that they must not.
            SubmissionError: the file cannot be written.
        """
        self._settle()
        from workbench import submission

        if out is not None:
            output_paths.check_out(self.config, Path(out).resolve())
        # The rows are checked before MLflow loads, which takes seconds.
        new = self.store.inference.reader.read(rows, cache=self.task.cache)
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
        """Log the newest ensemble and its members as models that MLflow serves; they replace earlier ones.

        Args:
            out: a new or empty folder for a copy of the ensemble's model.
            register: whether the model becomes a version of the model that is registered under the study's name.
            listen: called with a line for each model that must be trained because it is not kept.

        Returns:
            `model_uri`, `path`, `registered` (name, version and alias, or None) and the ensemble's `run_id`.

        Raises:
            StudyError: there is no ensemble yet, or members of it cannot be trained here.
            ConfigError: `out` is not empty.
        """
        self._settle()
        from workbench.study import export

        folder = None if out is None else Path(out).resolve()
        export.check_out(folder)
        ensemble = self.store.tracker.newest_ensemble()
        models = export.Export(self.store, self._assemble(ensemble, listen), ensemble)
        model_id = cast("str", models.log())
        if folder is not None:
            models.copy(model_id, folder)
        return models.document(model_id, folder, register=register)

    def report(self, out: str | os.PathLike[str] | None = None, markdown: bool = False) -> Path:
        """Write a report of the study, which may be running, and return the file; MLflow gets the page as well.

        Args:
            out: the file, `NAME-report.html` or `NAME-report.md` in the current folder unless given.
            markdown: for a repository, with the figures as files in a folder beside it, instead of one HTML page.

        Raises:
            StudyError: there is no trial yet, or the data, target, folds or metric have changed.
            ConfigError: the file cannot be written.
        """
        self._settle()
        from workbench.study import publishing

        path = Path(out or f"{self.name}-report.{'md' if markdown else 'html'}").resolve()
        publishing.check_path(path, markdown=markdown)
        self.trials()
        publishing.make_report(self.store, self.store.trials(), path, markdown=markdown)
        return path

    def gc(self) -> int:
        """Free the checkpoints that neither the best trial nor the newest ensemble needs; return the bytes freed.

        Predictions are kept, so that any trial can be blended later. Decoded images that no study of the home has used
        for a week are removed as well; they are decoded again when they are needed.

        Raises:
            StudyError: the study is being run, or has no trials yet.
        """
        self._follow_metric()
        with self.home.lock(self.name):
            return self.store.free(self.trials()) + Cache(self.home.cache).sweep()

    def write_folds(self, out: str | os.PathLike[str]) -> str:
        """Write id, repeat and fold of every validated row as CSV, and return the fold hash."""
        from workbench.evaluation import folds

        path, task = Path(out), self.task
        with files.explain_write_errors(path):
            files.check_file(path)
            folds.to_frame(task.all_folds, task.dataset.ids, task.dataset.id_name).to_csv(path, index=False)
        return task.all_folds.hash

    def _settle(self) -> None:
        """Refuse settings that certainly make another study, before anything heavy loads, and follow the metric.

        Raises:
            StudyError: a setting has changed, or the trials cannot be scored by the metric.
        """
        self.check_settings()
        self._follow_metric()

    def _follow_metric(self) -> None:
        """Score the trials by the present metric if the study was begun with another one, and settle the fidelity."""
        if self.store.metric_may_differ():
            from workbench.study import rescoring

            rescoring.follow_metric(self.store, self._tell)
        if self.home.fingerprint(self.name).exists():
            self.store.settle_fidelity()

    def _assemble(self, ensemble: EnsembleResult, listen: Callable[[str], object] | None = None) -> Predictor:
        """Return an ensemble with its models."""
        from workbench.study import assemble

        return assemble.assemble(self.task, self.store, ensemble, self.trials(), listen or (lambda _: None))

    def _publish(self, end: float | None) -> None:
        from workbench.study import publishing

        publishing.publish(self.store, self.store.trials(), end)

    def _log_models(self, ensemble: EnsembleResult, end: float | None) -> str | None:
        """Log an ensemble's models where none has to be trained and there is time and room; return the model's id."""
        from workbench.study import assemble, export

        if self.home.is_full(self.config.search.disk) or not assemble.is_complete(
            self.task, self.store, ensemble, self.trials()
        ):
            return None
        return export.Export(self.store, self._assemble(ensemble), ensemble).log(end, export.MOST)

    def _summary(self, ensemble: Ensemble, submission: Path | None, model_id: str | None, began: float) -> Summary:
        from workbench.study.submission_file import reveal_test_scores

        trials = self.trials()
        counts = Counter(trial.state for trial in trials)
        best = next((trial for trial in trials if trial.state == "complete"), None)
        return Summary(
            study=self.name,
            trials={state: counts[state] for state in ("complete", "pruned", "failed")},
            best=None if best is None else asdict(best),
            ensemble=ensemble.document,
            submission=None if submission is None else str(submission),
            model_uri=model_id and f"models:/{model_id}",
            seconds=time.monotonic() - began,
            test_scores=None if submission is None else reveal_test_scores(self.store),
        )
