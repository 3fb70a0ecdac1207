"""What the search tells whoever is looking: facts, in the order in which they happen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from workbench.search.storage import TrialRecord

Why = Literal["trials", "minutes", "families", "exhausted", "disk"]


@dataclass(frozen=True)
class TrialStarted:
    """A trial began, or went on."""

    family: str
    number: int
    folds: int
    """How many folds it has."""


@dataclass(frozen=True)
class EpochEnded:
    """A model trains; told a few times a second at most."""

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
    """What the budget will buy by the pace of this call; told when as many trials have ended as there are families."""

    trials: int
    """Finished trials that the study will have in the end."""
    seconds: float
    """Until then, from now."""


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
    """What it needs by its pace so far."""
    left: float
    """Seconds that the search has left."""


@dataclass(frozen=True)
class Stopped:
    """The search is over; `interrupted` trials wait for the next run."""

    why: Why
    interrupted: int


Event = TrialStarted | EpochEnded | FoldEnded | TrialEnded | TrialPutBack | Forecast | FamilySetAside | Stopped
