"""The result of one `run`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Summary:
    """The result of one `run`, as the command line prints it."""

    study: str
    trials: Mapping[str, int]
    """The number of complete, pruned and failed trials over the study's life."""
    best: Mapping[str, Any] | None
    """The best trial's row of the leaderboard."""
    ensemble: Mapping[str, Any] | None
    """The JSON document of the ensemble."""
    submission: str | None
    """The absolute path of the file."""
    seconds: float
    """The duration of this call."""
    model_uri: str | None = None
    """The ensemble's model in MLflow; None where it was not logged."""
    test_scores: Mapping[str, float] | None = None
    """For sklearn: sources, the true scores of the first submission on the fifth that was set apart."""
