"""One set of hyperparameters through all folds: out-of-fold and test predictions, scores, curves, seconds."""

import io
import json
import os
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from workbench import models
from workbench.data import Dataset
from workbench.errors import FamilyError
from workbench.evaluation import Metric
from workbench.evaluation.folds import Folds
from workbench.models.protocol import Family, Model, Problem, Rows, Setting
from workbench.space import Suggest

State = Literal["complete", "pruned", "failed"]
Watch = Callable[[int, int, int], None]


@dataclass(frozen=True)
class Spec:
    """What a trial needs to know beside its hyperparameters; the same for all trials of a family."""

    family: str
    dataset: Dataset
    folds: Folds
    metric: Metric
    also: tuple[Metric, ...] = ()
    transform: Literal["none", "log1p"] = "none"
    """What the target is trained on; predictions are turned back."""
    class_weight: Literal["balanced"] | None = None
    seed: int = 7
    threads: int = 1

    @property
    def problem(self) -> Problem:
        """What the family is told."""
        data = self.dataset
        classes = len(data.classes) if data.classes else 0
        return Problem(data.kind, data.task, classes, data.columns, self.metric.loss)


@dataclass(frozen=True)
class FoldResult:
    """What one fold gave."""

    repeat: int
    fold: int
    oof: np.ndarray
    """Predictions for the fold's validation rows, in row order: (rows,) or (rows, classes)."""
    test: np.ndarray | None
    """Predictions for the test rows."""
    score: float
    seconds: float
    hyperparameters: Mapping[str, Any]
    curve: Mapping[str, list[float]] = field(default_factory=dict)
    """Losses by epoch or boosting round; `epoch` holds the numbers, from 0."""

    def save(self, folder: Path) -> None:
        """Write the fold into `folder`, whole or not at all."""
        folder.mkdir(parents=True, exist_ok=True)
        facts = {k: getattr(self, k) for k in ("repeat", "fold", "score", "seconds", "hyperparameters", "curve")}
        arrays: dict[str, Any] = {"oof": self.oof} | ({} if self.test is None else {"test": self.test})
        buffer = io.BytesIO()
        np.savez(buffer, facts=np.array(json.dumps(facts)), **arrays)
        file = folder / f"fold-{self.repeat}-{self.fold}.npz"
        part = file.with_suffix(f".{os.getpid()}.part")
        part.write_bytes(buffer.getbuffer())
        part.replace(file)

    @classmethod
    def load(cls, folder: Path, repeat: int, fold: int) -> "FoldResult | None":
        """Read what `save` wrote; None where there is nothing."""
        file = folder / f"fold-{repeat}-{fold}.npz"
        if not file.exists():
            return None
        with np.load(file, allow_pickle=False) as arrays:
            facts = json.loads(str(arrays["facts"]))
            return cls(oof=arrays["oof"], test=arrays.get("test"), **facts)


@dataclass(frozen=True)
class Result:
    """What a trial gave; predictions are there only when it ran every fold."""

    family: str
    number: int
    state: State
    seconds: float
    hyperparameters: Mapping[str, Any]
    fold_scores: Sequence[float]
    score: float | None = None
    """The metric on all out-of-fold predictions together."""
    also: Mapping[str, float] = field(default_factory=dict)
    oof: np.ndarray | None = None
    """Predictions in the order of `Folds.rows`."""
    test: np.ndarray | None = None
    """Predictions for the test rows, averaged over the folds."""
    curves: Mapping[tuple[int, int], Mapping[str, list[float]]] = field(default_factory=dict)
    """The curve of each (repeat, fold)."""
    reason: str | None = None
    """Why a trial was pruned or failed."""

    @property
    def std(self) -> float | None:
        """The standard deviation of the fold scores."""
        return float(np.std(self.fold_scores)) if len(self.fold_scores) > 1 else None


def run(spec: Spec, number: int, suggest: Suggest, *, folder: Path, watch: Watch | None = None) -> Iterator[FoldResult]:
    """Train and predict fold after fold; a fold that `folder` holds already is not run again.

    Args:
        spec: the family, the data and the folds.
        number: the trial's number, which its seeds follow from.
        suggest: answers the family's questions, the same question in every fold with the same answer.
        folder: where each fold is kept as soon as it is done.
        watch: told of repeat, fold and epoch while a model trains.

    Raises:
        FamilyError: a model predicted what is not a number.
    """
    family = models.family(spec.family)
    hp = _space(spec.family, suggest)
    for repeat, fold in spec.folds.pairs():
        result = FoldResult.load(folder, repeat, fold)
        if result is None:
            result = _fold(spec, family, hp, number, repeat, fold, watch)
            result.save(folder)
        yield result


def result(
    spec: Spec, number: int, folds: Sequence[FoldResult], *, state: State = "complete", reason: str | None = None
) -> Result:
    """Join the folds of a trial.

    Args:
        spec: the family, the data and the folds.
        number: the trial's number.
        folds: the results in the order of `Folds.pairs`; all of them for a complete trial.
        state: how the trial ended.
        reason: why, where it is not complete.
    """
    facts: dict[str, Any] = {
        "family": spec.family,
        "number": number,
        "state": state,
        "seconds": sum(f.seconds for f in folds),
        "hyperparameters": dict(folds[-1].hyperparameters) if folds else {},
        "fold_scores": [f.score for f in folds],
        "curves": {(f.repeat, f.fold): f.curve for f in folds},
        "reason": reason,
    }
    if state != "complete":
        return Result(**facts)
    repeats, rows = spec.folds.rows()
    oof = np.empty((spec.folds.assignment.shape[0], len(spec.dataset.y), *folds[0].oof.shape[1:]))
    for f in folds:
        oof[f.repeat, spec.folds.split(f.repeat, f.fold)[1]] = f.oof
    oof = oof[repeats, rows]
    y = spec.dataset.y[rows]
    tests = [f.test for f in folds if f.test is not None]
    return Result(
        score=spec.metric.score(y, oof),
        also={metric.name: metric.score(y, oof) for metric in spec.also},
        oof=oof,
        test=np.mean(tests, axis=0) if tests else None,
        **facts,
    )


def _space(family: str, suggest: Suggest) -> Any:
    """Return KerasTuner's HyperParameters for Keras families, and the light ones for the others."""
    if models.entry(family).keras:
        from workbench.space.keras import HyperParameters

        return HyperParameters(suggest)
    from workbench.space import Space

    return Space(suggest)


def _fold(spec: Spec, family: Family, hp: Any, number: int, repeat: int, fold: int, watch: Watch | None) -> FoldResult:
    start = time.monotonic()
    data, problem = spec.dataset, spec.problem
    train, valid = spec.folds.split(repeat, fold)
    curve: dict[str, list[float]] = {}

    def on_epoch(epoch: int, losses: Mapping[str, float]) -> None:
        for name, value in {"epoch": epoch, **losses}.items():
            curve.setdefault(name, []).append(float(value))
        if watch is not None:
            watch(repeat, fold, epoch)

    words = (spec.seed, zlib.crc32(spec.family.encode()), number, repeat, fold)
    seed = int(np.random.SeedSequence(words).generate_state(1)[0] >> 1)
    model = family.fit(
        hp, problem, _rows(spec, train, balanced=True), _rows(spec, valid), Setting(seed, spec.threads, on_epoch)
    )
    oof = _predict(spec, model, _take(data.x, valid))
    test = None if data.x_test is None else _predict(spec, model, data.x_test)
    score = spec.metric.score(data.y[valid], oof)
    return FoldResult(repeat, fold, oof, test, score, time.monotonic() - start, dict(hp.values), curve)


def _take(x: Any, index: np.ndarray) -> Any:
    return x.iloc[index] if hasattr(x, "iloc") else x[index]


def _rows(spec: Spec, index: np.ndarray, *, balanced: bool = False) -> Rows:
    """Return rows as a family sees them: target transformed, class weights folded into the rows' weights."""
    y = spec.dataset.y[index]
    weight = None if spec.dataset.weight is None else spec.dataset.weight[index]
    if balanced and spec.class_weight == "balanced" and spec.dataset.classes:
        counts = np.bincount(y, minlength=len(spec.dataset.classes))
        share = len(y) / (np.count_nonzero(counts) * np.maximum(counts, 1))
        weight = share[y] * (1 if weight is None else weight)
    return Rows(_take(spec.dataset.x, index), np.log1p(y) if spec.transform == "log1p" else y, weight)


def _predict(spec: Spec, model: Model, x: Any) -> np.ndarray:
    """Predict in the target's own units, and refuse what is not a number."""
    predictions = model.predict(x)
    if spec.transform == "log1p":
        with np.errstate(over="ignore"):
            predictions = np.expm1(predictions)
    if not np.isfinite(predictions).all():
        bad = int((~np.isfinite(predictions)).sum())
        raise FamilyError(f"{spec.family} predicted {bad} values that are not finite; its training diverged.")
    return predictions
