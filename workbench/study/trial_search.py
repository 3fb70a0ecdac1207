"""The search for hyperparameters: the study's trials, run until the budget is spent."""

from __future__ import annotations

import contextlib
import multiprocessing
import shutil
import time
from collections.abc import Callable, Generator, Sequence
from typing import TYPE_CHECKING

from workbench import models
from workbench.study import output_paths
from workbench.study.study_store import TRIALS_WITH_CHECKPOINTS, StudyStore

if TYPE_CHECKING:
    from workbench.config import StudyConfig
    from workbench.evaluation.fidelity import Fidelity
    from workbench.search.events import Event
    from workbench.search.pool import Pool
    from workbench.search.scheduler import SearchPlan
    from workbench.study.task import Task


def preload(config: StudyConfig, workers: int | None) -> None:
    """Begin to load the libraries of the first trials in another process, if their threads do not depend on the data.

    Args:
        config: the study file.
        workers: as for `run_trials`.
    """
    from workbench.search.fork_server import FIRST_MODULES, cores, start_server, thread_environment

    count = workers or config.search.workers or cores()
    if count >= cores() and "forkserver" in multiprocessing.get_all_start_methods():
        start_server(FIRST_MODULES, thread_environment(1))


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
    from workbench.search.fork_server import FIRST_MODULES, cores
    from workbench.search.limits import Limits
    from workbench.search.pool import Pool
    from workbench.search.resource_usage import ResourceMeter
    from workbench.search.scheduler import SearchPlan

    output_paths.check_log_folders(store.config)
    task, home, name, search = store.task, store.home, store.config.name, store.config.search
    home.create()
    with home.lock(name), home.explain_disk_errors():
        count = workers or search.workers or cores()
        threads = task.threads(count, cores())
        # The libraries of the first trials load in another process while this one reads the data.
        pool = Pool(FIRST_MODULES, threads=threads, gpus=search.gpus)
        task.check()
        store.use_fidelity(_choose_fidelity(store, threads, count, end))
        store.begin_trials()
        plan = SearchPlan(
            specs=store.specs(threads),
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
            load=_make_loader(task, pool),
            must_stop=must_stop,
        )
        with contextlib.closing(pool):
            yield from _search(store, plan, pool)


def _choose_fidelity(store: StudyStore, threads: int, workers: int, end: float | None) -> Fidelity:
    """Return the highest fidelity that the time allows, and not a lower one than the study's trials have."""
    from workbench.evaluation.fidelity import list_fidelities
    from workbench.search.family_costs import can_afford

    task = store.task
    fidelities = list_fidelities(task.all_folds)
    begun = {trial.fidelity for trial in store.all_trials() if trial.family != models.BASELINE}
    if end is None:
        return fidelities[0]
    for fidelity in fidelities:
        task.fidelity = fidelity
        specs = [spec for family, spec in task.specs(threads).items() if family != models.BASELINE]
        if fidelity in begun or can_afford(specs, workers * (end - time.monotonic())):
            break
    return task.fidelity


def _search(store: StudyStore, plan: SearchPlan, pool: Pool) -> Generator[Event]:
    """Run the search with the data in a file for its processes, while MLflow loads."""
    from workbench.search.scheduler import Search

    # The next run replaces and removes the file that a kill leaves here.
    folder = store.home.trials(store.config.name).with_name("specs")
    try:
        pool.store(plan.specs, folder / "specs.pickle")
        search = Search(plan, store.storage, pool)
        store.begin_tracking_beside()
        yield from search.run()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        store.finish_tracking()


def _make_loader(task: Task, pool: Pool) -> Callable[[Sequence[str]], None]:
    """Return a function that begins to load what families need beside the first modules: TensorFlow, or skrub."""
    loaded: set[bool] = set()

    def load(families: Sequence[str]) -> None:
        nets = any(models.get_entry(family, task.config.resolve).keras for family in families)
        # The libraries of nets serve the other families too.
        if not loaded & {nets, True} and (nets or "date" in task.dataset.columns.values()):
            loaded.add(nets)
            pool.load(task.modules(nets=nets))

    return load
