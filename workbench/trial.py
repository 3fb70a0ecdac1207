"""One set of hyperparameters through all folds: out-of-fold and test predictions, scores, curves, seconds."""

from __future__ import annotations

import io
import json
import math
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from workbench import models
from workbench.config import TrainingConfig
from workbench.data import Dataset
from workbench.data.dataset import Target
from workbench.data.memmap import MemmapArray
from workbench.errors import FamilyError
from workbench.evaluation import Metric
from workbench.evaluation.folds import Folds
from workbench.evaluation.multi_target import MultiTargetMetric, TargetMetric
from workbench.files import stage_file, stage_folder
from workbench.home import folder_name
from workbench.models.nn import architecture
from workbench.models.protocol import Family, FitContext, Model, Problem, ProgressCallback, Rows, UnlabeledFeatures
from workbench.space import Suggest, defaults

State = Literal["complete", "pruned", "failed"]
Report = Callable[[int, int, int, float, int | None], bool]
"""Told of the fold (from 0, over all repeats), the epoch, the progress, the best validation loss so far, and how many
epochs there will be where that is settled, while a model trains; returns whether to go on."""
Transform = Literal["none", "log1p"]
Transforms = Transform | Sequence[Transform]
"""What a target is trained on; of several targets, each."""
Keep = Callable[[int, int, Model], None]
"""Given the repeat, the fold and the model trained on it."""


@dataclass(frozen=True)
class TrialSpec:
    """What a trial needs to know beside its hyperparameters; the same for all trials of a family."""

    family: str
    dataset: Dataset
    folds: Folds
    metric: Metric
    also: tuple[Metric, ...] = ()
    transform: Transforms = "none"
    """What the target is trained on; predictions are turned back."""
    class_weight: Literal["balanced"] | None = None
    seed: int = 7
    threads: int = 1
    deterministic: bool = False
    """Whether nets may use only operations that give the same bits each time."""
    training: TrainingConfig = field(default_factory=TrainingConfig)
    """What the study file says about the training of nets, its paths absolute."""
    cache: Path | None = None
    """Where what is made of the rows once, and takes long, may be kept for other trials."""
    source: str | None = None
    """A family of the user's own as every process finds it: `file.py:Name` with an absolute path."""

    @property
    def located(self) -> str:
        """The family as `models` finds it; `family` is what it is called."""
        return self.source or self.family

    @property
    def problem(self) -> Problem:
        """What the family is told."""
        data = self.dataset
        classes = len(data.classes) if data.classes else 0
        whole = Problem(data.kind, data.task, classes, data.columns, self.metric.loss)
        if not isinstance(self.metric, MultiTargetMetric):
            return whole
        parts = zip(data.targets, self.metric.parts, strict=True)
        return replace(whole, targets=tuple(_target(whole, target, part) for target, part in parts))

    @property
    def transforms(self) -> Transforms:
        """What each column of predictions is turned back from."""
        return output_transforms(self.dataset, self.transform)


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
    size: Mapping[str, int] = field(default_factory=dict)
    """What `models.architecture.size` says of the model: nothing where there is no net in it."""

    def save(self, folder: Path) -> None:
        """Write the fold into `folder`, whole or not at all."""
        folder.mkdir(parents=True, exist_ok=True)
        names = ("repeat", "fold", "score", "seconds", "hyperparameters", "curve", "size")
        facts = {k: getattr(self, k) for k in names}
        arrays: dict[str, Any] = {"oof": self.oof} | ({} if self.test is None else {"test": self.test})
        buffer = io.BytesIO()
        np.savez(buffer, facts=np.array(json.dumps(facts)), **arrays)
        file = folder / f"fold-{self.repeat}-{self.fold}.npz"
        # Not forced to the disk: that takes as long as some folds, and a fold that is lost is trained again.
        with stage_file(file, concurrent=True, sync=False) as part:
            part.write_bytes(buffer.getbuffer())

    @classmethod
    def load(cls, folder: Path, repeat: int, fold: int) -> FoldResult | None:
        """Read what `save` wrote; None where there is nothing."""
        file = folder / f"fold-{repeat}-{fold}.npz"
        if not file.exists():
            return None
        with np.load(file, allow_pickle=False) as arrays:
            facts = json.loads(str(arrays["facts"]))
            return cls(oof=arrays["oof"], test=arrays.get("test"), **facts)


@dataclass(frozen=True)
class InterruptedFold:
    """A fold that was begun and not finished."""

    repeat: int
    fold: int
    seconds: float
    curve: Mapping[str, list[float]]


class StoppedFold(Exception):  # noqa: N818 - nothing went wrong
    """A fold was ended on request."""

    def __init__(self, cut: InterruptedFold) -> None:
        """Hold what there is of the fold."""
        super().__init__(f"in fold {cut.fold}")
        self.cut = cut


@dataclass(frozen=True)
class TrialResult:
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
    """Predictions for the test rows, averaged over the folds that predict new rows."""
    curves: Mapping[tuple[int, int], Mapping[str, list[float]]] = field(default_factory=dict)
    """The curve of each (repeat, fold)."""
    reason: str | None = None
    """Why a trial was pruned or failed."""
    size: Mapping[str, int] = field(default_factory=dict)
    """How many parameters its nets have, as `FoldResult.size`; of the last fold."""

    @property
    def std(self) -> float | None:
        """The standard deviation of the fold scores."""
        return float(np.std(self.fold_scores)) if len(self.fold_scores) > 1 else None


def space(family: str, suggest: Suggest) -> Any:
    """Return the hyperparameters of one trial, answered by `suggest`; every fold asks the same ones.

    KerasTuner's own for Keras families, light ones for the others. The family is named as in `TrialSpec.located`.
    """
    if models.entry(family).keras:
        from workbench.space.keras import HyperParameters

        return HyperParameters(suggest)
    from workbench.space import Space

    return Space(suggest)


def restore_space(family: str, values: Mapping[str, Any]) -> Any:
    """Return the hyperparameters of a trial that has ended, to train models with them again."""
    hp = space(family, defaults)
    hp.values.update(values)
    return hp


def run(
    spec: TrialSpec, number: int, hp: Any, *, folder: Path, report: Report | None = None, keep: Keep | None = None
) -> Iterator[FoldResult]:
    """Train and predict fold after fold; a fold that `folder` holds already is not run again.

    Args:
        spec: the family, the data and the folds.
        number: the trial's number, which its seeds follow from.
        hp: what `space` made for this trial.
        folder: where each fold is kept as soon as it is done.
        report: told of the progress of a model that trains.
        keep: given every model that was trained, after its fold was yielded.

    Raises:
        FamilyError: a model predicted what is not a number.
        Halted: `report` said not to go on.
    """
    shared = unlabeled_features(spec, number)
    for place, (repeat, fold) in enumerate(spec.folds.pairs()):
        result = FoldResult.load(folder, repeat, fold)
        if result is None:
            watch = _Watch(place, repeat, fold, report)
            model = fold_model(spec, number, hp, repeat, fold, watch, shared=shared)
            result = _fold(spec, hp, model, watch)
            result.save(folder)
            yield result
            if keep is not None:
                keep(repeat, fold, model)
        else:
            yield result


def join_folds(
    spec: TrialSpec,
    number: int,
    folds: Sequence[FoldResult],
    *,
    state: State = "complete",
    reason: str | None = None,
    hyperparameters: Mapping[str, Any] | None = None,
    cut: InterruptedFold | None = None,
) -> TrialResult:
    """Join the folds of a trial.

    Args:
        spec: the family, the data and the folds.
        number: the trial's number.
        folds: the results in the order of `Folds.pairs`; all of them for a complete trial.
        state: how the trial ended.
        reason: why, where it is not complete.
        hyperparameters: what was tried; what the last fold says, where there is one.
        cut: the fold that a trial ended in.
    """
    ended: list[FoldResult | InterruptedFold] = [*folds, *([] if cut is None else [cut])]
    facts: dict[str, Any] = {
        "family": spec.family,
        "number": number,
        "state": state,
        "seconds": sum(f.seconds for f in ended),
        "hyperparameters": dict(folds[-1].hyperparameters if folds else hyperparameters or {}),
        "fold_scores": [f.score for f in folds],
        "curves": {(f.repeat, f.fold): f.curve for f in ended},
        "reason": reason,
        "size": folds[-1].size if folds else {},
    }
    if state != "complete":
        return TrialResult(**facts)
    repeats, rows = spec.folds.oof_rows()
    oof = np.empty((spec.folds.assignment.shape[0], len(spec.dataset.y), *folds[0].oof.shape[1:]))
    for f in folds:
        oof[f.repeat, spec.folds.split(f.repeat, f.fold)[1]] = f.oof
    oof = oof[repeats, rows]
    y = spec.dataset.y[rows]
    predicting = set(spec.folds.prediction_pairs())
    tests = [f.test for f in folds if f.test is not None and (f.repeat, f.fold) in predicting]
    return TrialResult(
        score=spec.metric.score(y, oof),
        also={metric.name: metric.score(y, oof) for metric in spec.also},
        oof=oof,
        test=np.mean(tests, axis=0) if tests else None,
        **facts,
    )


def unlabeled_features(spec: TrialSpec, number: int) -> UnlabeledFeatures | None:
    """Return what all folds of a trial may learn from without labels; None for a family that does not.

    These are the features of every row, those of validation and test too. None with folds in order of time, where no
    model may see what is later.
    """
    if not models.entry(spec.located).unlabelled or spec.folds.kind == "time":
        return None
    learnt: Any = spec.dataset.x
    asked: Any = spec.dataset.x_test
    x = learnt if asked is None else pd.concat([learnt, asked], ignore_index=True)
    return UnlabeledFeatures(x, _seed(spec.seed, spec.family, number))


def fold_model(
    spec: TrialSpec,
    number: int,
    hp: Any,
    repeat: int,
    fold: int,
    watch: ProgressCallback | None = None,
    *,
    shared: UnlabeledFeatures | None = None,
) -> Model:
    """Train the model of one fold of a trial; with the same hyperparameters it is the same model again.

    Args:
        spec: the family, the data and the folds.
        number: the trial's number.
        hp: its hyperparameters.
        repeat: of the folds.
        fold: the one of the repeat.
        watch: told how training goes.
        shared: what `unlabelled` gave for this trial, to do only once what its folds have in common.
    """
    train, valid = spec.folds.split(repeat, fold)
    seed = _seed(spec.seed, spec.family, number, repeat, fold)
    told = watch or _Watch(0, repeat, fold, None)
    shared = unlabeled_features(spec, number) if shared is None else shared
    setting = _setting(spec, seed, told, f"{folder_name(spec.family, number)}/{repeat}-{fold}", unlabelled=shared)
    rows = _rows(spec, train, balanced=True)
    return _family(spec).fit(hp, spec.problem, rows, _rows(spec, valid), setting)


def full_model(spec: TrialSpec, number: int, hp: Any, *, seed: int, length: int | None) -> Model:
    """Train a trial's model on all rows, those of validation too.

    Args:
        spec: the family and the data.
        number: the trial's number.
        hp: what `restored` made of its hyperparameters.
        seed: in the place of the study's.
        length: what `length` says; None for families that do not stop early.
    """
    name = f"{folder_name(spec.family, number)}/all-{seed}"
    setting = _setting(
        spec,
        _seed(seed, spec.family, number),
        _Watch(0, 0, 0, None),
        name,
        length=length,
        unlabelled=unlabeled_features(replace(spec, seed=seed), number),
    )
    rows = _rows(spec, np.arange(len(spec.dataset.y)), balanced=True)
    return _family(spec).fit(hp, spec.problem, rows, None, setting)


def length(spec: TrialSpec, curves: Mapping[tuple[int, int], Mapping[str, Sequence[float]]]) -> int | None:
    """Return for how many epochs or rounds to train on all rows: the mean of what was best in the folds.

    Boosting rounds grow with the number of rows; a net's epochs do not, since each has more steps then.

    Args:
        spec: the family and the folds.
        curves: of the trial's folds; None is returned where they tell nothing.
    """
    best = [c["epoch"][int(np.nanargmin(c["val_loss"]))] + 1 for c in curves.values() if "val_loss" in c]
    if not best:
        return None
    seen = np.mean([len(spec.folds.split(repeat, fold)[0]) for repeat, fold in spec.folds.pairs()])
    growth = 1.0 if models.entry(spec.located).keras else len(spec.dataset.y) / float(seen)
    return max(1, round(float(np.mean(best)) * growth))


def predict(model: Model, x: Any, *, family: str, transform: Transforms) -> np.ndarray:
    """Predict in the target's own units.

    Args:
        model: what a family has fitted.
        x: the rows, as the model's training rows were.
        family: the model's, for messages.
        transform: what the target was trained on; of several, what each column of predictions is turned back from.

    Raises:
        FamilyError: the model predicted what is not a number.
    """
    predictions = _predicted(model, x)
    with np.errstate(over="ignore"):
        predictions = _through(np.expm1, predictions, transform)
    if not np.isfinite(predictions).all():
        bad = int((~np.isfinite(predictions)).sum())
        raise FamilyError(f"{family} predicted {bad} values that are not finite; its training diverged.")
    return predictions


def _predicted(model: Model, x: Any) -> np.ndarray:
    """Predict; rows that lie on disk are read some at a time."""
    if not isinstance(x, MemmapArray):
        return model.predict(x)
    return np.concatenate([model.predict(block) for _, block in x.blocks()])


def output_transforms(dataset: Dataset, transform: Transforms) -> Transforms:
    """Return what each column of predictions is turned back from, where there are several targets."""
    if isinstance(transform, str):
        return transform
    pairs = zip(dataset.targets, transform, strict=True)
    return [each for target, each in pairs for _ in range(target.outputs)]


def save(model: Model, folder: Path) -> None:
    """Write a model into a folder that is there whole or not at all."""
    with stage_folder(folder) as part:
        model.save(part)


class _Watch:
    """What a family tells while it trains a fold: kept as a curve, and reported."""

    def __init__(self, place: int, repeat: int, fold: int, report: Report | None) -> None:
        self.repeat, self.fold = repeat, fold
        self.curve: dict[str, list[float]] = {}
        self._place, self._report = place, report
        self._best = math.inf
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    def __call__(
        self, epoch: int, losses: Mapping[str, float], progress: float | None = None, of: int | None = None
    ) -> None:
        for name, value in {"epoch": epoch, **losses}.items():
            self.curve.setdefault(name, []).append(float(value))
        self._best = min(self._best, losses.get("val_loss", math.inf))
        if self._report is None or not math.isfinite(self._best):
            return
        if not self._report(self._place, epoch, epoch + 1 if progress is None else int(progress), self._best, of):
            raise StoppedFold(InterruptedFold(self.repeat, self.fold, self.seconds, self.curve))


def _family(spec: TrialSpec) -> Family:
    """Return the family's module, made to give the same bits each time where the study wants that."""
    if spec.deterministic and models.entry(spec.located).keras:
        from workbench.models.nn import training as network

        network.be_deterministic()
    return models.family(spec.located)


def _setting(spec: TrialSpec, seed: int, watch: ProgressCallback, name: str, **options: Any) -> FitContext:
    asked: dict[str, Any] = {"epochs": spec.training.epochs, "training": spec.training, "cache": spec.cache}
    return FitContext(seed, spec.threads, watch, name=name, **asked, **options)


def _seed(*words: int | str) -> int:
    """Return the seed that follows from the study's seed, the family, the trial and its fold."""
    numbers = [zlib.crc32(word.encode()) if isinstance(word, str) else word for word in words]
    return int(np.random.SeedSequence(numbers).generate_state(1)[0] >> 1)


def _fold(spec: TrialSpec, hp: Any, model: Model, watch: _Watch) -> FoldResult:
    """Return what a fold's model is worth."""
    data, repeat, fold = spec.dataset, watch.repeat, watch.fold
    valid = spec.folds.split(repeat, fold)[1]
    told: dict[str, Any] = {"family": spec.family, "transform": spec.transforms}
    oof = predict(model, _take(data.x, valid), **told)
    unasked = data.x_test is None or (repeat, fold) not in set(spec.folds.prediction_pairs())
    test = None if unasked else predict(model, data.x_test, **told)
    score = spec.metric.score(data.y[valid], oof)
    size = architecture.parameter_counts(model)
    return FoldResult(repeat, fold, oof, test, score, watch.seconds, dict(hp.values), watch.curve, size)


def _take(x: Any, index: np.ndarray) -> Any:
    return x.iloc[index] if hasattr(x, "iloc") else x[index]


def _rows(spec: TrialSpec, index: np.ndarray, *, balanced: bool = False) -> Rows:
    """Return rows as a family sees them: target transformed, class weights folded into the rows' weights."""
    y = spec.dataset.y[index]
    weight = None if spec.dataset.weight is None else spec.dataset.weight[index]
    if balanced and spec.class_weight == "balanced" and spec.dataset.classes:
        counts = np.bincount(y, minlength=len(spec.dataset.classes))
        share = len(y) / (np.count_nonzero(counts) * np.maximum(counts, 1))
        weight = share[y] * (1 if weight is None else weight)
    return Rows(_take(spec.dataset.x, index), _through(np.log1p, y, spec.transform), weight)


def _through(function: Callable[[np.ndarray], np.ndarray], values: np.ndarray, transform: Transforms) -> np.ndarray:
    """Return values, or those columns of them that are transformed, through a function."""
    if isinstance(transform, str):
        return function(values) if transform == "log1p" else values
    pairs = zip(values.T, transform, strict=True)
    return np.column_stack([function(column) if each == "log1p" else column for column, each in pairs])


def _target(whole: Problem, target: Target, part: TargetMetric) -> Problem:
    """Return one of several targets as a family sees it."""
    own: dict[str, Any] = {"task": target.task, "classes": part.classes, "loss": part.metric.loss}
    return replace(whole, name=target.name, weight=part.weight, **own)
