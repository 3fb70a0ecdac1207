"""The result of an ensemble: members, weights, scores and what it was compared with.

Packages pass an `EnsembleResult`. Its JSON document, with the keys that homes and `--json` hold, is made and read at
the edges by `to_document` and `from_document`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from workbench.ensemble.aggregation import Aggregation, WeightedMean
from workbench.ensemble.cross_fitting import Alternative, Baseline
from workbench.ensemble.diversity import Diversity
from workbench.ensemble.methods import METHODS, aggregation_type
from workbench.ensemble.options import Weighting

DecisionThreshold = float | Mapping[str, float | None] | None
"""The probability from which on a row is of the second of two classes; for several targets, by the target's name."""


@dataclass(frozen=True)
class EnsembleMember:
    """A model that has weight: a trial, an import, or the mean of trials that differ by their seed only."""

    run_id: str
    """The run of the first of its trials."""
    family: str
    """The family; for an import, its name."""
    name: str
    """The name in tables and figures; a member of another study has that study's name in front."""
    score: float
    """The metric of its own out-of-fold predictions."""
    weight: float
    """At least 0; the mean where it has a weight for each output."""
    weight_se: float | None = None
    """The standard error of `weight` over resampled rows; None where nothing is fitted."""
    output_weights: Mapping[str, float] | None = None
    """The weight for each target or class, by its name; None where there is one weight for all."""
    study: str | None = None
    """The study that the run belongs to; None in documents that older versions wrote."""
    run_ids: tuple[str, ...] = ()
    """The runs of all its trials, `run_id` among them; `run_id` alone unless given."""

    def __post_init__(self) -> None:
        """Complete the runs."""
        if not self.run_ids:
            object.__setattr__(self, "run_ids", (self.run_id,))

    def to_document(self) -> dict[str, Any]:
        """Return the member as JSON holds it."""
        return {
            "run_id": self.run_id,
            "study": self.study,
            "family": self.family,
            "name": self.name,
            "score": self.score,
            "weight": self.weight,
            "weight_se": self.weight_se,
            "weights": None if self.output_weights is None else dict(self.output_weights),
            "run_ids": list(self.run_ids),
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> EnsembleMember:
        """Return the member that `to_document` described, also by an older version."""
        return cls(
            run_id=document["run_id"],
            study=document.get("study"),
            family=document["family"],
            name=document["name"],
            score=document["score"],
            weight=document["weight"],
            weight_se=document.get("weight_se"),
            output_weights=document.get("weights"),
            run_ids=tuple(document.get("run_ids", ())),
        )


@dataclass(frozen=True, eq=False)
class EnsembleResult:
    """An ensemble of a study's models."""

    method: str
    """The method that found the weights; a simpler one than `requested_method` where that was as good."""
    metric: str
    direction: Literal["minimize", "maximize"]
    score: float
    """The metric of the blended out-of-fold predictions, on the rows that the weights were fitted to."""
    members: tuple[EnsembleMember, ...]
    """The members, heaviest first."""
    run_id: str = ""
    """The ensemble's run; empty until it is recorded."""
    honest_score: float | None = None
    """The cross-fitted score: the metric of predictions blended with weights that were fitted on the other folds."""
    honest_se: float | None = None
    """The standard error of `honest_score`; None where the metric is not defined on most resamples."""
    optimism: float = 0.0
    """The difference by which `score` is better than `honest_score`, in the metric's units."""
    baselines: Mapping[str, Baseline] = field(default_factory=dict)
    """The best single model, the uniform mean and greedy selection, by `best`, `uniform` and `greedy`."""
    requested_method: str = ""
    """The method that the study file or the command names; `method` unless given."""
    remark: str | None = None
    """A sentence where the gain over a baseline is not above one standard error."""
    gap: float | None = None
    """A proven bound on how much better any weights can be, in the metric's units; None where none exists."""
    aggregation: Aggregation = field(default_factory=WeightedMean)
    """The aggregation of the members' predictions. Read from a document, `Aggregation.restore` completes it."""
    weighting: Weighting = "shared"
    """Whether a member has one weight, one for each target or one for each class."""
    alternatives: Mapping[Weighting, Alternative] = field(default_factory=dict)
    """Shared weights and those of each output beside each other, where both were fitted."""
    threshold: DecisionThreshold = None
    best_single_run_id: str | None = None
    """The run of the best single model."""
    also: Mapping[str, float] = field(default_factory=dict)
    """The study's further metrics, by name."""
    candidates: int = 1
    """The number of models from which the members were chosen."""
    diversity: Diversity | None = None
    """The differences between members; None in documents without them."""
    seconds: float = 0.0
    """The duration of the blends."""

    def __post_init__(self) -> None:
        """Complete the requested method."""
        if not self.requested_method:
            object.__setattr__(self, "requested_method", self.method)

    @property
    def predicts_probabilities(self) -> bool:
        """Whether the outputs are probabilities where the members' predictions are."""
        return METHODS[self.method].probabilities

    @property
    def is_calibrated(self) -> bool:
        """Whether the method itself corrects probabilities that are too high or too low."""
        return METHODS[self.method].calibrates

    def to_document(self) -> dict[str, Any]:
        """Return the ensemble as JSON holds it; `run_id` comes first and is left out until there is one."""
        alternatives = {weighting: asdict(each) for weighting, each in self.alternatives.items()}
        return {
            **({"run_id": self.run_id} if self.run_id else {}),
            "method": self.method,
            "metric": self.metric,
            "direction": self.direction,
            "score": self.score,
            "honest_score": self.honest_score,
            "honest_se": self.honest_se,
            "optimism": self.optimism,
            "best_single": self._baseline_score("best"),
            "uniform": self._baseline_score("uniform"),
            "greedy": self._baseline_score("greedy"),
            "rivals": {name: asdict(baseline) for name, baseline in self.baselines.items()},
            "asked": self.requested_method,
            "remark": self.remark,
            "gap": self.gap,
            "joiner": self.aggregation.document(),
            "weights": self.weighting,
            **({"alternatives": alternatives} if alternatives else {}),
            "threshold": dict(self.threshold) if isinstance(self.threshold, Mapping) else self.threshold,
            "best_single_run_id": self.best_single_run_id,
            "also": dict(self.also),
            "candidates": self.candidates,
            "members": [member.to_document() for member in self.members],
            **({} if self.diversity is None else {"diversity": self.diversity.document()}),
            "seconds": self.seconds,
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> EnsembleResult:
        """Return the ensemble that `to_document` described, also by an older version.

        The method, the metric, the score and the members must be there. Other keys have defaults, so that an ensemble
        of an older version opens.
        """
        weighting: Weighting = document.get("weights", "shared")
        aggregation = aggregation_type(document["method"], weighting)
        diversity = document.get("diversity")
        return cls(
            method=document["method"],
            metric=document["metric"],
            direction=document.get("direction", "minimize"),
            score=document["score"],
            members=tuple(EnsembleMember.from_document(member) for member in document["members"]),
            run_id=document.get("run_id", ""),
            honest_score=document.get("honest_score"),
            honest_se=document.get("honest_se"),
            optimism=document.get("optimism", 0.0),
            baselines={name: Baseline(**each) for name, each in document.get("rivals", {}).items()},
            requested_method=document.get("asked", ""),
            remark=document.get("remark"),
            gap=document.get("gap"),
            aggregation=aggregation.from_document(document["joiner"]) if "joiner" in document else WeightedMean(),
            weighting=weighting,
            alternatives={kind: Alternative(**each) for kind, each in document.get("alternatives", {}).items()},
            threshold=document.get("threshold"),
            best_single_run_id=document.get("best_single_run_id"),
            also=document.get("also", {}),
            candidates=document.get("candidates", len(document["members"])),
            diversity=None if diversity is None else Diversity.from_document(diversity),
            seconds=document.get("seconds", 0.0),
        )

    def _baseline_score(self, name: str) -> float | None:
        baseline = self.baselines.get(name)
        return None if baseline is None else baseline.score
