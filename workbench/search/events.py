"""The events of a search, in the order in which they happen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from workbench.evaluation.fidelity import Fidelity
from workbench.home import trial_name
from workbench.search.storage import TrialRecord

StopReason = Literal["trials", "minutes", "families", "exhausted", "disk", "asked"]


@dataclass(frozen=True)
class SearchStarted:
    """The search began; comes first, with what the study has from before."""

    counts: Mapping[str, int]
    """The number of trials by state: complete, pruned, failed."""
    best: TrialRecord | None
    """The best complete trial; this and the counts are of the fidelity of the search."""
    fidelity: Fidelity
    """The part of the data that the trials use."""
    rows: int
    """Training rows of the first fold."""


@dataclass(frozen=True)
class TrialStarted:
    """A trial began, or went on."""

    family: str
    number: int
    folds: int
    """The number of folds that it has."""


@dataclass(frozen=True)
class EpochEnded:
    """A model trains; comes a few times a second at most."""

    family: str
    number: int
    fold: int
    """From 0, over all repeats."""
    epoch: int
    """The epoch or boosting round, from 0."""


@dataclass(frozen=True)
class FoldEnded:
    """A trial finished a fold."""

    family: str
    number: int
    done: int
    """Folds done so far."""
    score: float


@dataclass(frozen=True)
class TrialEnded:
    """A trial was complete, pruned or failed; it is in Optuna and in MLflow."""

    row: TrialRecord


@dataclass(frozen=True)
class Forecast:
    """The expected number of trials at the pace of this call; comes when a trial has ended for each family."""

    trials: int
    """Finished trials that the study will have in the end."""
    seconds: float
    """Seconds from now until then."""


@dataclass(frozen=True)
class FamilySetAside:
    """A family failed too often in a row and gets no more trials in this call."""

    family: str
    reason: str


@dataclass(frozen=True)
class TrialPutBack:
    """A trial would not have ended in time; it waits for the next run, and so does its family."""

    family: str
    number: int
    seconds: float
    """Seconds that it still needs at its pace so far."""
    left: float
    """Seconds that the search has left."""

    @property
    def name(self) -> str:
        """The trial's family and number, as people read them."""
        return trial_name(self.family, self.number)


@dataclass(frozen=True)
class Stopped:
    """The search is over; `interrupted` trials wait for the next run."""

    why: StopReason
    interrupted: int
    not_started: Mapping[str, float] = field(default_factory=dict)
    """The seconds that a first trial needs, by family, of those that had no time for one."""


Event = (
    SearchStarted
    | TrialStarted
    | EpochEnded
    | FoldEnded
    | TrialEnded
    | TrialPutBack
    | Forecast
    | FamilySetAside
    | Stopped
)
