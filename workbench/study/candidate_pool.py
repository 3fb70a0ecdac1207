"""The models that a blend may choose from: trials and imports of a study, and of others with the same folds."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from workbench.errors import StudyError
from workbench.study.alignment import Alignment, align
from workbench.study.nomination import nominate
from workbench.study.study_store import StudyStore
from workbench.tracking import Predictions


@dataclass(frozen=True)
class Candidate:
    """A model that may become a member; several trials of one configuration are one model, their mean."""

    run_id: str
    """The run of the first of its trials."""
    study: str
    """The study that the run is of."""
    family: str
    """Of an import, its name."""
    name: str
    """What a reader knows it by; of another study, that one's name comes first."""
    score: float
    configuration: str
    """Family, hyperparameters and what they were given; trials that have it in common differ by their seed only."""
    run_ids: tuple[str, ...]
    """The runs of all its trials."""


Model = tuple[Candidate, Predictions]


def gather(own: StudyStore, others: Sequence[StudyStore], most: int) -> list[Model]:
    """Return the models worth blending, with predictions in the order of `own`, scored by its metric.

    Args:
        own: the study that blends.
        others: studies whose trials and imports may join.
        most: how many are loaded at most.

    Raises:
        StudyError: another study has nothing to offer, or its rows, target, folds or test rows are others.
    """
    names = [each.config.name for each in (own, *others)]
    for place, other in enumerate(others, 1):
        if names[place] in names[:place]:
            raise StudyError(
                f"{other.config.file}: --from must name other studies than {names[0]!r}, each once. "
                f"Received: {names[place]!r} again. Leave it out."
            )
    ranked = [_ranked(archive, own) for archive in (own, *others)]
    aligned = [Alignment(), *(_joined(own, *pair) for pair in zip(others, ranked[1:], strict=True))]
    shelves = dict(zip(names, zip((own, *others), aligned, strict=True), strict=True))
    wanted = own.task.schema.test_ids is not None
    found: dict[str, list[Model]] = {}
    for candidate in nominate(ranked, most):
        archive, alignment = shelves[candidate.study]
        loaded = archive.tracker.predictions(candidate.run_id, archive.task.schema, test=wanted)
        found.setdefault(candidate.configuration, []).append((candidate, alignment.placed(loaded)))
    return [_one(models, own) for models in found.values()]


def _joined(own: StudyStore, other: StudyStore, offered: Sequence[Candidate]) -> Alignment:
    """Hold another study against this one, and against what it was begun with."""
    if not offered:
        raise StudyError(
            f"Study {other.config.name!r} has no complete trial in {other.home.path}. "
            f"Run it: workbench run {other.config.file}"
        )
    theirs = other.task
    theirs.facts.settle(other.home.fingerprint(other.config.name), other.config)
    return align(own.task, theirs)


def _ranked(archive: StudyStore, own: StudyStore) -> list[Candidate]:
    """Return the complete trials and the imports of a study, best first by its own metric."""
    study, metric = archive.config.name, archive.task.metric
    prefix = "" if archive is own else f"{study}/"
    setting = archive.setting()

    def candidate(run_id: str, family: str, name: str, score: float, given: Any) -> Candidate:
        configuration = json.dumps([family, given], sort_keys=True, default=str)
        return Candidate(run_id, study, family, prefix + name, score, configuration, (run_id,))

    made = [
        candidate(row.run_id, row.family, row.name, row.score, [setting, row.hyperparameters])
        for row in archive.rows()
        if row.state == "complete" and row.score is not None
    ]
    made += [
        candidate(each.run_id, each.name, each.name, each.score, each.run_id)
        for each in archive.tracker.imports(metric.name)
    ]
    return sorted(made, key=lambda each: metric.loss_of(each.score))


def _one(models: Sequence[Model], own: StudyStore) -> Model:
    """Return the trials of one configuration as one model: their mean, scored by the metric of `own`."""
    # A trial of the study itself stands for the others: its weights are in reach.
    models = sorted(models, key=lambda model: model[0].study != own.config.name)
    (first, predictions), task = models[0], own.task
    if len(models) == 1 and first.study == own.config.name:
        return models[0]
    if len(models) > 1:
        tests = [found.test for _, found in models if found.test is not None]
        oof = np.mean([found.oof for _, found in models], axis=0)
        predictions = Predictions(oof, np.mean(tests, axis=0) if tests else None)
    score = task.metric.score(task.dataset.y[task.schema.rows], predictions.oof)
    return replace(first, score=score, run_ids=tuple(each.run_id for each, _ in models)), predictions
