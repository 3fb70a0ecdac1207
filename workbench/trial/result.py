"""The results of a trial: what each fold gave, and all folds joined."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from workbench.array import Array
from workbench.evaluation.fidelity import Fidelity
from workbench.files import stage_file
from workbench.home import trial_name
from workbench.trial.spec import TrialSpec

State = Literal["complete", "pruned", "failed"]
# The fields of a FoldResult that its file holds as JSON; predictions are arrays beside them.
_JSON_FIELDS = ("repeat", "fold", "score", "seconds", "hyperparameters", "curve", "size", "cut_short", "length")
# The reason of a complete trial of which a training was cut short.
_CUT_SHORT = "ended by the deadline"


@dataclass(frozen=True)
class FoldResult:
    """The result of one fold."""

    repeat: int
    fold: int
    oof: Array
    """Predictions for the fold's validation rows, in row order: (rows,) or (rows, classes)."""
    test: Array | None
    """Predictions for the test rows."""
    score: float
    seconds: float
    hyperparameters: Mapping[str, Any]
    curve: Mapping[str, list[float]] = field(default_factory=dict)
    """Losses by epoch or boosting round; `epoch` holds their numbers, from 0."""
    size: Mapping[str, int] = field(default_factory=dict)
    """Parameter counts of the model's nets, as `models.nn.architecture` gives them; empty without a net."""
    cut_short: bool = False
    """Whether the deadline ended the training."""
    length: int | None = None
    """The number of boosting rounds or epochs that is best on the validation rows, if other folds predict with it."""

    def save(self, folder: Path) -> None:
        """Write the fold into `folder`; a kill leaves the whole file or none."""
        facts = {name: getattr(self, name) for name in _JSON_FIELDS}
        arrays: dict[str, Any] = {"oof": self.oof} | ({} if self.test is None else {"test": self.test})
        buffer = io.BytesIO()
        np.savez(buffer, facts=np.array(json.dumps(facts)), **arrays)
        file = folder / f"fold-{self.repeat}-{self.fold}.npz"
        # Not forced to the disk: that takes as long as some folds, and a fold that is lost is trained again.
        with stage_file(file, concurrent=True, sync=False) as part:
            part.write_bytes(buffer.getbuffer())

    @classmethod
    def load(cls, folder: Path, repeat: int, fold: int) -> FoldResult | None:
        """Read the fold that `save` wrote; return None if there is no file."""
        file = folder / f"fold-{repeat}-{fold}.npz"
        if not file.exists():
            return None
        with np.load(file, allow_pickle=False) as arrays:
            facts = json.loads(str(arrays["facts"]))
            return cls(oof=arrays["oof"], test=arrays.get("test"), **facts)


@dataclass(frozen=True)
class InterruptedFold:
    """A fold that began and did not finish."""

    repeat: int
    fold: int
    seconds: float
    curve: Mapping[str, list[float]]


@dataclass(frozen=True)
class TrialResult:
    """The result of a trial; only a trial that ran every fold has predictions."""

    family: str
    number: int
    state: State
    seconds: float
    hyperparameters: Mapping[str, Any]
    fold_scores: Sequence[float]
    score: float | None = None
    """The metric on all out-of-fold predictions together."""
    also: Mapping[str, float] = field(default_factory=dict)
    oof: Array | None = None
    """Predictions in the order of `Folds.rows`."""
    test: Array | None = None
    """Predictions for the test rows, averaged over the folds that predict new rows."""
    curves: Mapping[tuple[int, int], Mapping[str, list[float]]] = field(default_factory=dict)
    """The curve of each (repeat, fold)."""
    reason: str | None = None
    """Why the trial was pruned or failed, or that the deadline ended a training of a complete trial."""
    size: Mapping[str, int] = field(default_factory=dict)
    """Parameter counts of the last fold's nets, as in `FoldResult.size`."""
    length: int | None = None
    """The number of boosting rounds or epochs of the models that predict new rows, if it follows from all folds."""
    fidelity: Fidelity = "full"
    """The part of the data that the trial used."""

    @property
    def name(self) -> str:
        """Family and number, as people read them."""
        return trial_name(self.family, self.number)

    @property
    def std(self) -> float | None:
        """The standard deviation of the fold scores; None for fewer than two folds."""
        return float(np.std(self.fold_scores)) if len(self.fold_scores) > 1 else None


def join_folds(
    spec: TrialSpec,
    number: int,
    folds: Sequence[FoldResult],
    *,
    state: State = "complete",
    reason: str | None = None,
    hyperparameters: Mapping[str, Any] | None = None,
    interrupted: InterruptedFold | None = None,
) -> TrialResult:
    """Join the folds of a trial into its result.

    Args:
        spec: the family, the data and the folds.
        number: the trial's number.
        folds: the finished folds in the order of `Folds.pairs`; all of them for a complete trial.
        state: how the trial ended.
        reason: why it ended, if it is not complete.
        hyperparameters: used only if there is no finished fold, which would hold them.
        interrupted: the fold in which the trial ended.

    Raises:
        EvaluationError: the metric cannot score the predictions.
    """
    started: list[FoldResult | InterruptedFold] = [*folds, *([] if interrupted is None else [interrupted])]
    fields: dict[str, Any] = {
        "family": spec.family,
        "number": number,
        "state": state,
        "seconds": sum(fold.seconds for fold in started),
        "hyperparameters": dict(folds[-1].hyperparameters if folds else hyperparameters or {}),
        "fold_scores": [fold.score for fold in folds],
        "curves": {(fold.repeat, fold.fold): fold.curve for fold in started},
        "reason": reason,
        "size": folds[-1].size if folds else {},
        "fidelity": spec.fidelity,
    }
    if state != "complete":
        return TrialResult(**fields)
    repeats, rows = spec.folds.oof_rows()
    oof = _out_of_fold(spec, folds)[repeats, rows]
    y = spec.dataset.y[rows]
    fields["reason"] = _CUT_SHORT if any(fold.cut_short for fold in folds) else reason
    return TrialResult(
        score=spec.metric.score(y, oof),
        also={metric.name: metric.score(y, oof) for metric in spec.also},
        oof=oof,
        test=_mean_test(spec, folds),
        length=find_length(spec, folds),
        **fields,
    )


def find_length(spec: TrialSpec, folds: Sequence[FoldResult]) -> int | None:
    """Return the length of the models that predict new rows: the mean over their folds; None where one has none."""
    predicting = set(spec.folds.prediction_pairs())
    return mean_length([fold.length for fold in folds if (fold.repeat, fold.fold) in predicting])


def mean_length(lengths: Sequence[float | None]) -> int | None:
    """Return the rounded mean of lengths; None if there is none, or if one is unknown."""
    known = [length for length in lengths if length is not None]
    return max(1, round(float(np.mean(known)))) if known and len(known) == len(lengths) else None


def _out_of_fold(spec: TrialSpec, folds: Sequence[FoldResult]) -> Array:
    """Return the out-of-fold predictions by repeat and row: (repeats, rows) or (repeats, rows, classes)."""
    oof = np.empty((spec.folds.assignment.shape[0], len(spec.dataset.y), *folds[0].oof.shape[1:]))
    for fold in folds:
        oof[fold.repeat, spec.folds.split(fold.repeat, fold.fold)[1]] = fold.oof
    return oof


def _mean_test(spec: TrialSpec, folds: Sequence[FoldResult]) -> Array | None:
    """Return the mean test predictions of the folds whose models predict new rows."""
    predicting = set(spec.folds.prediction_pairs())
    tests = [fold.test for fold in folds if fold.test is not None and (fold.repeat, fold.fold) in predicting]
    return np.mean(tests, axis=0) if tests else None
