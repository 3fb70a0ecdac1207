"""The search for hyperparameters: the study's trials, run until the budget is spent."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING

from workbench.study import output_paths
from workbench.study.study_store import TRIALS_WITH_CHECKPOINTS, StudyStore

if TYPE_CHECKING:
    from workbench.search.events import Event


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
        # The libraries load in another process while MLflow loads in this one.
        pool = Pool(task.modules(), threads=threads, gpus=search.gpus)
        task.check()
        store.begin()
        plan = SearchPlan(
            specs=store.specs(threads),
            trial_folder=lambda family, number: home.trial(name, family, number),
            record=store.record,
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
            yield from Search(plan, store.storage, pool).run()
