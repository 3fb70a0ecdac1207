"""The input of a report: the study, its trials, the newest ensemble and what the figures need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from workbench.config import TaskType
from workbench.data.dataset import Target, output_spans
from workbench.report import figure_text

if TYPE_CHECKING:
    import numpy as np

    from workbench.ensemble import EnsembleResult
    from workbench.models.nn.inspection import ImageInspection
    from workbench.search.storage import TrialRecord

# The most characters of a metric's name on an axis, and those that leave room for the direction in the same line.
_MAX_METRIC, _SHORT_METRIC = 26, 16

Curves = dict[tuple[int, int], dict[str, list[float]]]
"""Losses by epoch or boosting round, by (repeat, fold); `epoch` holds the numbers of the epochs, from 0."""


@dataclass(frozen=True)
class StudyDescription:
    """The task of a study, its data and its folds."""

    name: str
    target: str
    task: TaskType
    metric: str
    direction: Literal["minimize", "maximize"]
    source: str
    """The training data, as the study file names them."""
    kind: str
    """The kind of data: table, text, image, sequence, mixed."""
    rows: int
    test_rows: int | None
    folds: str
    """The splitter, as in `stratified, 5 folds × 1`."""
    fold_hash: str
    columns: Mapping[str, str] = field(default_factory=dict)
    """The type of each column of a table, by its name."""
    classes: tuple[Any, ...] | None = None
    targets: tuple[Target, ...] = ()
    """The targets of a study of several, in the order of their predictions; empty for a single target."""
    also: tuple[str, ...] = ()
    """The further metrics."""
    target_scores: tuple[str, ...] = ()
    """The name of each target's score, for several targets."""
    notes: tuple[str, ...] = ()
    """Sentences about data that were left out and about assumptions."""
    families: tuple[str, ...] = ()
    """The families in the study file."""
    file: str = "STUDY.yaml"
    """The study file, as a command names it."""

    @property
    def tasks(self) -> set[str]:
        """The task types of all targets."""
        return {target.task for target in self.targets} or {self.task}


@dataclass(frozen=True)
class Architecture:
    """The layers of the nets of a trial."""

    name: str
    """The name of the trial."""
    parameters: int
    trainable: int
    """The number of trainable parameters."""
    table: str
    """The layers, one a line."""
    diagram: bytes | None = None
    """A PNG; None where none was drawn."""


@dataclass(frozen=True)
class Recipe:
    """The study file, the seed and the versions that reproduce a study."""

    text: str
    """The study file with its secrets masked."""
    seed: int
    versions: Mapping[str, str]
    """The versions of Python and of the libraries that train models, by name."""


@dataclass(frozen=True, eq=False)
class ReportData:
    """Everything that a report shows of a study."""

    study: StudyDescription
    trials: Sequence[TrialRecord]
    """Every finished trial, best first, then pruned, then failed ones."""
    end_times: Mapping[tuple[str, int], float]
    """The end of each trial by (family, number): seconds since the first trial began, without the pauses between
    runs."""
    importances: Mapping[str, Mapping[str, float]]
    """The share of the score's variation that each hyperparameter accounts for, by family: at least 0, sum 1, largest
    first. Families with too few trials are left out."""
    curves: Mapping[str, Curves]
    """The learning curves of the best trial of each family that has some, by the trial's name."""
    y: np.ndarray
    """(predictions,) the true class index or value of each out-of-fold prediction; (predictions, targets) for several
    targets."""
    fold: np.ndarray
    """(predictions,) the fold in which each row was held out."""
    ensemble: EnsembleResult | None = None
    """The newest ensemble. Where it is None, `oof` is None too."""
    oof: np.ndarray | None = None
    """The ensemble's out-of-fold predictions: (predictions,), (predictions, classes) or (predictions, outputs)."""
    member_oof: Mapping[str, np.ndarray] = field(default_factory=dict)
    """The members' out-of-fold predictions by name, heaviest first."""
    relative_positions: Mapping[tuple[str, int], Mapping[str, float]] = field(default_factory=dict)
    """The position of each numeric hyperparameter in its range, by (family, number) of a complete trial: 0 is the low
    end, 1 the high one."""
    architectures: Sequence[Architecture] = ()
    """The members that have nets, heaviest first; without an ensemble, the best trial of each family."""
    image_inspections: Mapping[str, ImageInspection] = field(default_factory=dict)
    """Heat maps and filters of the image nets among them, by the trial's name, in the same order."""
    recipe: Recipe | None = None
    unfinished_trials: int = 0
    notes: tuple[str, ...] = ()
    """Sentences about what cannot be read."""

    def select_target(self, index: int) -> ReportData:
        """Return the data of one of several targets, for figures of a single target."""
        target = self.study.targets[index]
        span = output_spans(self.study.targets)[index]
        outputs: Any = span.start if target.outputs == 1 else span
        study = replace(self.study, target=target.name, task=target.task, classes=target.classes, targets=())
        y = self.y[:, index] if target.classes is None else self.y[:, index].astype("int64")
        oof = None if self.oof is None else self.oof[:, outputs]
        member_oof = {name: predictions[:, outputs] for name, predictions in self.member_oof.items()}
        ensemble = self.ensemble
        if ensemble is not None and isinstance(ensemble.threshold, Mapping):
            ensemble = replace(ensemble, threshold=ensemble.threshold.get(target.name))
        return replace(self, study=study, y=y, oof=oof, member_oof=member_oof, ensemble=ensemble)

    @property
    def sign(self) -> int:
        """1 where low scores are good, -1 where high ones are."""
        return 1 if self.study.direction == "minimize" else -1

    @property
    def score_label(self) -> str:
        """The label of an axis of scores."""
        better = "lower" if self.sign > 0 else "higher"
        metric = figure_text.cut_middle(self.study.metric.rpartition(":")[2], _MAX_METRIC)
        space = " " if len(metric) <= _SHORT_METRIC else "\n"
        return f"{metric}{space}({better} is better)"

    @cached_property
    def complete_trials(self) -> list[TrialRecord]:
        """The trials that have a score, best first."""
        return [trial for trial in self.trials if trial.state == "complete" and trial.score is not None]

    @cached_property
    def trials_by_family(self) -> dict[str, list[TrialRecord]]:
        """The trials of each family, best first, the family with the best trial first."""
        return _group_by_family(self.trials)

    @cached_property
    def complete_by_family(self) -> dict[str, list[TrialRecord]]:
        """The trials that have a score, by family; families without any are left out."""
        return _group_by_family(self.complete_trials)


def _group_by_family(trials: Sequence[TrialRecord]) -> dict[str, list[TrialRecord]]:
    families: dict[str, list[TrialRecord]] = {}
    for trial in trials:
        families.setdefault(trial.family, []).append(trial)
    return families
