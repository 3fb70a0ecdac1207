"""The search for hyperparameters: the study's trials, run until the budget is spent."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterator
from typing import TYPE_CHECKING

from workbench import models
from workbench.study import output_paths
from workbench.study.study_store import TRIALS_WITH_CHECKPOINTS, StudyStore

if TYPE_CHECKING:
    from workbench.search.events import Event
    from workbench.search.pool import Pool
    from workbench.study.task import Task

# The modules of the process that the first trials are forked from: what all families without a net need, and no more.
_FIRST_MODULES = (
    "workbench.trial",
    *(f"workbench.models.tabular.{name}" for name in ("linear", "xgboost", "lightgbm")),
)


def run_trials(
    store: StudyStore, *, trials: int | None, end: float | None, workers: int | None, must_stop: Callable[[], bool]
) -> Generator[Event]:
    """Run trials until the budget is spent, yielding the events of the search; see `Study.search`.

    Args:
        store: the study's.
        trials: the number of finished trials that the study should reach in all.
        end: the end of the search, in seconds of `time.monotonic`.
        workers: the number of trials at the same time; one for each core unless given here or in the study file.
        must_stop: tells whether the search must end now.

    Raises:
        ConfigError: a log folder cannot be written to, or families, metrics or keys do not suit the data.
        SubmissionError: the sample submission does not fit the data.
        StudyError: the study is being run elsewhere, or its data, target, folds or metric have changed.
        SearchError: no family can be trained.
    """
    from workbench.search.limits import Limits
    from workbench.search.pool import Pool, cores
    from workbench.search.resource_usage import ResourceMeter
    from workbench.search.scheduler import Search, SearchPlan

    output_paths.check_log_folders(store.config)
    task, home, name, search = store.task, store.home, store.config.name, store.config.search
    home.create()
    with home.lock(name), home.explain_disk_errors():
        count = workers or search.workers or cores()
        threads = task.threads(count, cores())
        # The libraries of the first trials load in another process while this one reads the data.
        pool = Pool(_FIRST_MODULES, threads=threads, gpus=search.gpus)
        task.check()
        store.begin_trials()
        plan = SearchPlan(
            specs=task.specs(threads),
            trial_folder=lambda family, number: home.trial(name, family, number),
            record=store.record,
            can_record=lambda: store.is_tracking,
            workers=count,
            trials=trials,
            deadline=end,
            limits=Limits(search.trial_seconds, search.trial_memory, store.is_full),
            blend_weights=store.family_weights,
            trials_with_checkpoints=TRIALS_WITH_CHECKPOINTS,
            meter=ResourceMeter() if search.system_metrics else None,
            must_stop=must_stop,
        )
        with contextlib.closing(pool):
            search_run = Search(plan, store.storage, pool).run()
            store.begin_tracking_beside()
            try:
                yield from _load_nets(store.task, pool, search_run)
            finally:
                store.finish_tracking()


def _load_nets(task: Task, pool: Pool, events: Iterator[Event]) -> Generator[Event]:
    """Yield the events of a search, and load the libraries of all families once a trial is under way or needs them."""
    from workbench.search.events import TrialStarted

    entries = [models.get_entry(family, task.config.resolve) for family in task.config.families]
    waits = not all(entry.keras for entry in entries)
    if not waits:
        pool.load(task.modules())
    for event in events:
        if waits and isinstance(event, TrialStarted) and event.family != models.BASELINE:
            waits = False
            pool.load(task.modules())
        yield event
