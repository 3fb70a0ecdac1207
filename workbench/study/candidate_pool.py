"""The models that a blend may choose from: trials and imports of a study, and of others with the same folds."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from workbench.errors import StudyError
from workbench.study.alignment import Alignment, align
from workbench.study.nomination import MOST_BLENDED, nominate
from workbench.study.study_store import StudyStore
from workbench.study.task import Task
from workbench.tracking import Predictions


@dataclass(frozen=True)
class Candidate:
    """A model that may become a member; several trials of one configuration are one model, their mean."""

    run_id: str
    """The run of the first of its trials."""
    study: str
    """The study that the run belongs to."""
    family: str
    """The family; for an import, its name."""
    name: str
    """The name in tables and figures; a candidate of another study has that study's name in front."""
    score: float
    configuration: str
    """Family, hyperparameters and training data; trials with the same configuration differ by their seed only."""
    run_ids: tuple[str, ...]
    """The runs of all its trials."""


Model = tuple[Candidate, Predictions]

# The most models that are loaded for a blend, and the most bytes of their predictions.
_MOST_LOADED = 2 * MOST_BLENDED
_MOST_BYTES = 1e9


def pool_size(task: Task) -> int:
    """Return how many models to load: more than are blended, so that each fold has others to choose.

    Which models are blended is chosen by their scores, and a cross-fitted score must hold that choice too. It hardly
    matters where there are so many rows that no more than `MOST_BLENDED` fit into the memory.
    """
    tests = 0 if task.schema.test_ids is None else len(task.schema.test_ids)
    size = 8 * (len(task.schema.rows) + tests) * max(1, len(task.schema.outputs))
    return int(np.clip(_MOST_BYTES / size, MOST_BLENDED, _MOST_LOADED))


def gather(store: StudyStore, others: Sequence[StudyStore], most: int) -> list[Model]:
    """Return the models worth blending, with predictions in the order of `store`, scored by its metric.

    Args:
        store: the study that blends.
        others: studies whose trials and imports may join.
        most: the most that are loaded.

    Raises:
        StudyError: another study has no complete trial, or its rows, target, folds or test rows differ.
    """
    names = [each.config.name for each in (store, *others)]
    for place, other in enumerate(others, 1):
        if names[place] in names[:place]:
            raise StudyError(
                f"{other.config.file}: --from must name other studies than {names[0]!r}, each once. "
                f"Received: {names[place]!r} again. Leave it out."
            )
    ranked = [_rank(each, store) for each in (store, *others)]
    aligned = [Alignment(), *(_align(store, *pair) for pair in zip(others, ranked[1:], strict=True))]
    sources = dict(zip(names, zip((store, *others), aligned, strict=True), strict=True))
    wanted = store.task.schema.test_ids is not None
    by_configuration: dict[str, list[Model]] = {}
    for candidate in nominate(ranked, most, baseline=not store.task.metric.ranks):
        source, alignment = sources[candidate.study]
        loaded = source.tracker.predictions(candidate.run_id, source.task.schema, test=wanted)
        by_configuration.setdefault(candidate.configuration, []).append((candidate, alignment.reorder(loaded)))
    return [_merge(models, store) for models in by_configuration.values()]


def _align(store: StudyStore, other: StudyStore, offered: Sequence[Candidate]) -> Alignment:
    """Check another study against this one and against its own fingerprint; return the order of its rows."""
    if not offered:
        raise StudyError(
            f"Study {other.config.name!r} has no complete trial in {other.home.path}. "
            f"Run it: workbench run {other.config.file}"
        )
    theirs = other.task
    theirs.facts.check(other.home.fingerprint(other.config.name), other.config)
    return align(store.task, theirs)


def _rank(source: StudyStore, store: StudyStore) -> list[Candidate]:
    """Return the complete trials and the imports of a source, best first by its own metric."""
    study, metric = source.config.name, source.task.metric
    prefix = "" if source is store else f"{study}/"
    conditions = source.training_conditions()

    def candidate(run_id: str, family: str, name: str, score: float, given: Any) -> Candidate:
        configuration = json.dumps([family, given], sort_keys=True, default=str)
        return Candidate(run_id, study, family, prefix + name, score, configuration, (run_id,))

    made = [
        candidate(trial.run_id, trial.family, trial.name, trial.score, [conditions, trial.hyperparameters])
        for trial in source.trials()
        if trial.state == "complete" and trial.score is not None
    ]
    made += [
        candidate(each.run_id, each.name, each.name, each.score, each.run_id)
        for each in source.tracker.imports(metric.name)
    ]
    return sorted(made, key=lambda each: metric.loss_of(each.score))


def _merge(models: Sequence[Model], store: StudyStore) -> Model:
    """Return the trials of one configuration as one model: their mean, scored by the metric of `store`."""
    # A trial of this study represents the others, because its checkpoints are in this home.
    models = sorted(models, key=lambda model: model[0].study != store.config.name)
    (first, predictions), task = models[0], store.task
    if len(models) == 1 and first.study == store.config.name:
        return models[0]
    if len(models) > 1:
        tests = [found.test for _, found in models if found.test is not None]
        oof = np.mean([found.oof for _, found in models], axis=0)
        predictions = Predictions(oof, np.mean(tests, axis=0) if tests else None)
    score = task.metric.score(task.dataset.y[task.schema.rows], predictions.oof)
    return replace(first, score=score, run_ids=tuple(each.run_id for each, _ in models)), predictions
