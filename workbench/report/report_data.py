"""What a report tells, gathered by the conductor: the question, every trial, the ensemble, what figures need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from workbench.config import TaskType
from workbench.data.dataset import Target, output_spans

if TYPE_CHECKING:
    import numpy as np

    from workbench.models.nn.inspection import ImageInspection
    from workbench.search.storage import TrialRecord

Curves = dict[tuple[int, int], dict[str, list[float]]]
"""By (repeat, fold): losses by epoch or boosting round; `epoch` holds the numbers, from 0."""


@dataclass(frozen=True)
class StudyFacts:
    """What a study asks."""

    study: str
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
    """In words, as in `stratified, 5 folds × 1`."""
    fold_hash: str
    columns: Mapping[str, str] = field(default_factory=dict)
    """A table's columns, and what each is."""
    classes: tuple[Any, ...] | None = None
    targets: tuple[Target, ...] = ()
    """Several targets, in the order of their predictions; none where there is one."""
    also: tuple[str, ...] = ()
    """The further metrics."""
    target_scores: tuple[str, ...] = ()
    """Of several targets, what the score of each is called."""
    notes: tuple[str, ...] = ()
    """What was left out of the data or assumed, a sentence each."""
    families: tuple[str, ...] = ()
    """Those that the study file names."""
    file: str = "STUDY.yaml"
    """The study file, as a command names it."""

    @property
    def tasks(self) -> set[str]:
        """What is asked, of one target or several."""
        return {target.task for target in self.targets} or {self.task}


@dataclass(frozen=True)
class Architecture:
    """What the nets of a trial look like."""

    name: str
    """The trial's."""
    parameters: int
    trainable: int
    """How many of the parameters are trained."""
    table: str
    """The layers, a line each."""
    diagram: bytes | None = None
    """As PNG, where one was drawn."""


@dataclass(frozen=True)
class Recipe:
    """What makes a study again."""

    text: str
    """The study file word for word, but for what looks like a secret."""
    seed: int
    versions: Mapping[str, str]
    """Of Python and of what the models are made with, by name."""


@dataclass(frozen=True, eq=False)
class ReportData:
    """A study, told from its beginning to its newest ensemble."""

    question: StudyFacts
    trials: Sequence[TrialRecord]
    """Every finished trial, best first, then pruned, then failed ones."""
    ended: Mapping[tuple[str, int], float]
    """When each trial ended, by family and number: seconds since the first trial began, pauses between runs left
    out."""
    importances: Mapping[str, Mapping[str, float]]
    """By family, how much of the score's variation each hyperparameter accounts for: at least 0, sum 1, largest first.
    Families with too few trials to say are left out."""
    curves: Mapping[str, Curves]
    """The curves of the best trial of each family that has some, by the trial's name."""
    y: np.ndarray
    """(predictions,): the true class index or value of each out-of-fold prediction; a column for each of several
    targets."""
    fold: np.ndarray
    """(predictions,): the fold each was held out in."""
    ensemble: Mapping[str, Any] | None = None
    """The newest ensemble's document; None where there is none yet, and then there are no predictions either."""
    oof: np.ndarray | None = None
    """The ensemble's out-of-fold predictions: (predictions,), (predictions, classes) or (predictions, outputs)."""
    members: Mapping[str, np.ndarray] = field(default_factory=dict)
    """The members' out-of-fold predictions by name, the heaviest first."""
    places: Mapping[tuple[str, int], Mapping[str, float]] = field(default_factory=dict)
    """Where in its range each numeric hyperparameter of each complete trial is, by family and number: 0 at the low end,
    1 at the high one."""
    architectures: Sequence[Architecture] = ()
    """Of the members that have nets, the heaviest first; without an ensemble, of each family's best trial."""
    looks: Mapping[str, ImageInspection] = field(default_factory=dict)
    """What those that are nets of images look at, by the trial's name, in the same order."""
    recipe: Recipe | None = None
    under_way: int = 0
    """How many trials have not ended."""
    notes: tuple[str, ...] = ()
    """What could not be told, a sentence each."""

    def alone(self, place: int) -> ReportData:
        """Return the story of one of several targets, for what is told of a single one."""
        target = self.question.targets[place]
        span = output_spans(self.question.targets)[place]
        own: Any = span.start if target.outputs == 1 else span
        asked = replace(self.question, target=target.name, task=target.task, classes=target.classes, targets=())
        y = self.y[:, place] if target.classes is None else self.y[:, place].astype("int64")
        oof = None if self.oof is None else self.oof[:, own]
        members = {name: found[:, own] for name, found in self.members.items()}
        ensemble = None if self.ensemble is None else dict(self.ensemble)
        if ensemble is not None and isinstance(ensemble.get("threshold"), Mapping):
            ensemble["threshold"] = ensemble["threshold"].get(target.name)
        return replace(self, question=asked, y=y, oof=oof, members=members, ensemble=ensemble)

    @property
    def sign(self) -> int:
        """1 where low scores are good, -1 where high ones are."""
        return 1 if self.question.direction == "minimize" else -1

    @property
    def score_label(self) -> str:
        """What an axis of scores is called."""
        better = "lower" if self.sign > 0 else "higher"
        return f"{self.question.metric.rpartition(':')[2]} ({better} is better)"

    @cached_property
    def complete(self) -> list[TrialRecord]:
        """The trials that have a score, best first."""
        return [row for row in self.trials if row.state == "complete" and row.score is not None]

    @cached_property
    def families(self) -> dict[str, list[TrialRecord]]:
        """The trials of each family, best first, the family with the best trial first."""
        names = dict.fromkeys(row.family for row in self.trials)
        return {name: [row for row in self.trials if row.family == name] for name in names}

    @cached_property
    def scored(self) -> dict[str, list[TrialRecord]]:
        """The trials of each family that have a score, as `families` has them; families without any are left out."""
        names = dict.fromkeys(row.family for row in self.complete)
        return {name: [row for row in self.complete if row.family == name] for name in names}
