"""Training for a trial: one fold, all folds, or all rows; and prediction in the target's own units."""

from __future__ import annotations

import math
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from workbench import models
from workbench.array import Array
from workbench.data.memmap import MemmapArray
from workbench.errors import FamilyError
from workbench.evaluation.metrics import LowerBounds, clip
from workbench.files import stage_folder
from workbench.home import folder_name
from workbench.models.nn import architecture
from workbench.models.protocol import (
    Deadline,
    Family,
    FitContext,
    Model,
    ProgressCallback,
    Rows,
    StagedModel,
    UnlabeledFeatures,
)
from workbench.trial import training_lengths
from workbench.trial.result import FoldResult, InterruptedFold, find_length
from workbench.trial.spec import Transforms, TrialSpec

# The share of a trial's time in which its models are trained; the rest is for predictions.
_TRAINING_SHARE = 0.8

ReportProgress = Callable[[int, int, int, float, int | None], bool]
"""Receives the fold (from 0, over all repeats), the epoch, the progress, the best validation loss so far and, where it
is settled, the number of epochs, while a model trains; returns whether to go on."""
KeepModel = Callable[[int, int, Model], None]
"""Receives the repeat, the fold and the model trained on it."""


class StoppedFold(Exception):  # noqa: N818 - nothing went wrong
    """Ends the training of a fold because `report` returned False."""

    def __init__(self, fold: InterruptedFold) -> None:
        """Hold the unfinished fold."""
        super().__init__(f"in fold {fold.fold}")
        self.fold = fold


def fit_folds(
    spec: TrialSpec,
    number: int,
    hp: Any,
    *,
    folder: Path,
    report: ReportProgress | None = None,
    keep: KeepModel | None = None,
    end: float | None = None,
) -> Iterator[FoldResult]:
    """Train and predict fold after fold; a fold whose file is in `folder` is read, not trained.

    Args:
        spec: the family, the data and the folds.
        number: the trial's number, from which its seeds follow.
        hp: the hyperparameters that `build_space` made for this trial.
        folder: the folder in which each fold is saved as soon as it is done.
        report: receives the progress of a model that trains.
        keep: receives every model that predicts new rows: after its fold was yielded, or after the last fold where the
            folds together choose the lengths of training.
        end: the end of the trial, in seconds of `time.monotonic`, which families keep whose entry says so. The folds
            share the time equally.

    Raises:
        FamilyError: a model predicted values that are not finite.
        StoppedFold: `report` returned False.
    """
    fits = _FoldFits(spec, number, hp, folder, collect_unlabeled_features(spec, number))
    training_end = _find_training_end(spec, end)
    results: list[FoldResult] = []
    for index, (repeat, fold) in enumerate(spec.folds.pairs()):
        result, model = FoldResult.load(folder, repeat, fold), None
        if result is None:
            own = None if training_end is None else training_end.take(1 / (len(spec.folds) - index))
            result, model = fits.fit(_ProgressRecorder(index, repeat, fold, report), own)
        results.append(result)
        yield result
        if keep is not None and model is not None and result.length is None:
            keep(repeat, fold, model)
    for result in results:
        if result.length is not None:
            model = fits.choose_length(result, results)
            if keep is not None:
                keep(result.repeat, result.fold, model)


def _find_training_end(spec: TrialSpec, end: float | None) -> Deadline | None:
    """Return when the trainings of a trial must end so that it can predict until `end`; None without a deadline."""
    if end is None or not models.get_entry(spec.resolved_family).keeps_deadline:
        return None
    return Deadline(end).take(_TRAINING_SHARE)


@dataclass(frozen=True)
class _FoldFits:
    """The trainings of a trial's folds."""

    spec: TrialSpec
    number: int
    hp: Any
    folder: Path
    """The folder of the folds, and of the models with stages."""
    shared: UnlabeledFeatures | None
    stages: dict[tuple[int, int], StagedModel] = field(default_factory=dict)
    """The models with stages that this process trained, by repeat and fold."""
    settled: set[tuple[int, int]] = field(default_factory=set)
    """The folds whose validation rows have their final predictions."""

    def fit(self, progress: _ProgressRecorder, deadline: Deadline | None) -> tuple[FoldResult, Model]:
        """Train and score a fold, and save its result."""
        spec, repeat, fold = self.spec, progress.repeat, progress.fold
        model = fit_fold(spec, self.number, self.hp, repeat, fold, progress, shared=self.shared, deadline=deadline)
        if spec.honest_lengths and isinstance(model, StagedModel):
            self.stages[repeat, fold] = model
            # Before the result, so that a fold that is done always has its stages.
            save_model(model, self._stages_folder(repeat, fold))
        oof = None
        if len(spec.folds) == 1 and self.stages:
            # No other fold chooses the length, so that these are the final predictions.
            oof = self._predict_honestly(model, progress.curve, (repeat, fold), [])
            self.settled.add((repeat, fold))
        result = _score_fold(spec, self.hp, model, progress, oof)
        result = replace(result, cut_short=deadline is not None and deadline.reached)
        result.save(self.folder)
        return result, model

    def choose_length(self, result: FoldResult, results: Sequence[FoldResult]) -> Model:
        """Predict with the lengths of `training_lengths`, and save a fold's result again.

        Args:
            result: the result of the fold.
            results: the results of all folds.

        Returns:
            The fold's model that predicts new rows.
        """
        spec, began, pair = self.spec, time.monotonic(), (result.repeat, result.fold)
        stages: Any = self.stages.get(pair) or _load_family(spec).load(self._stages_folder(*pair))
        oof, score = result.oof, result.score
        if pair not in self.settled:
            others = [each.length for each in results if each.repeat == pair[0] and each.fold != pair[1]]
            oof = self._predict_honestly(stages, result.curve, pair, others)
            score = spec.metric.score(spec.dataset.y[spec.folds.split(*pair)[1]], oof)
        model, test = training_lengths.truncate(stages, find_length(spec, results)), None
        if spec.dataset.x_test is not None and pair in set(spec.folds.prediction_pairs()):
            test = _predict(spec, model, spec.dataset.x_test)
        seconds = result.seconds + time.monotonic() - began
        replace(result, oof=oof, test=test, score=score, seconds=seconds).save(self.folder)
        return model

    def _predict_honestly(
        self, model: Any, curve: Mapping[str, Sequence[float]], pair: tuple[int, int], others: Sequence[int | None]
    ) -> Array:
        """Predict a fold's validation rows with a length that they did not choose."""
        predict = partial(_predict_stages, self.spec)
        options: dict[str, Any] = {"others": others, "curve": curve, "predict": predict}
        return training_lengths.predict_validation_rows(self.spec, pair, model, **options)

    def _stages_folder(self, repeat: int, fold: int) -> Path:
        return self.folder / "stages" / f"{repeat}-{fold}"


def collect_unlabeled_features(spec: TrialSpec, number: int) -> UnlabeledFeatures | None:
    """Return the features of all rows, for families that learn from them without labels; None for other families.

    The features of validation and test rows, and of rows without a target, are among them. With folds in order of time
    the result is None, because no model may see later rows.
    """
    if not models.get_entry(spec.resolved_family).unlabelled or spec.folds.kind == "time":
        return None
    dataset = spec.dataset
    tables: Any = [rows for rows in (dataset.x, dataset.x_test, dataset.unlabelled) if rows is not None]
    features = tables[0] if len(tables) == 1 else pd.concat(tables, ignore_index=True)
    return UnlabeledFeatures(features, _derive_seed(spec.seed, spec.family, number))


def fit_fold(
    spec: TrialSpec,
    number: int,
    hp: Any,
    repeat: int,
    fold: int,
    progress: ProgressCallback | None = None,
    *,
    shared: UnlabeledFeatures | None = None,
    deadline: Deadline | None = None,
) -> Model:
    """Train the model of one fold of a trial; the same hyperparameters give the same model again.

    Args:
        spec: the family, the data and the folds.
        number: the trial's number.
        hp: its hyperparameters.
        repeat: the repeat of the folds.
        fold: the fold of that repeat.
        progress: receives the losses while the model trains.
        shared: the result of `collect_unlabeled_features` for this trial, so that its folds share the work on it.
        deadline: the end of the training.
    """
    train, valid = spec.folds.split(repeat, fold)
    shared = collect_unlabeled_features(spec, number) if shared is None else shared
    context = _fit_context(
        spec,
        _derive_seed(spec.seed, spec.family, number, repeat, fold),
        progress or _ProgressRecorder(0, repeat, fold, None),
        f"{folder_name(spec.family, number)}/{repeat}-{fold}",
        unlabelled=shared,
        deadline=deadline,
    )
    rows = _select_rows(spec, train, balanced=True)
    # A metric of order does not see the classes' frequencies, and weights would only add noise to early stopping.
    held_out = _select_rows(spec, valid, balanced=not spec.metric.ranks)
    return _load_family(spec).fit(hp, spec.problem, rows, held_out, context)


def fit_full(spec: TrialSpec, number: int, hp: Any, *, seed: int, length: int | None) -> Model:
    """Train a trial's model on all rows, without validation rows.

    Args:
        spec: the family and the data.
        number: the trial's number.
        hp: the hyperparameters that `restore_space` made.
        seed: replaces the study's seed.
        length: the number of epochs or boosting rounds; None for families that do not stop early.
    """
    context = _fit_context(
        spec,
        _derive_seed(seed, spec.family, number),
        _ProgressRecorder(0, 0, 0, None),
        f"{folder_name(spec.family, number)}/all-{seed}",
        length=length,
        unlabelled=collect_unlabeled_features(replace(spec, seed=seed), number),
    )
    rows = _select_rows(spec, np.arange(len(spec.dataset.y)), balanced=True)
    return _load_family(spec).fit(hp, spec.problem, rows, None, context)


def predict(model: Model, x: Any, *, family: str, transform: Transforms, bounds: LowerBounds = None) -> Array:
    """Predict in the target's own units and in the metric's range.

    Args:
        model: a fitted model.
        x: the rows, in the form of the model's training rows.
        family: the model's family, for messages.
        transform: the transform of the target; with several targets, of each column of predictions.
        bounds: the least prediction that the metric allows; with several targets, of each column.

    Raises:
        FamilyError: the model predicted values that are not finite.
    """
    return _restore_units(_predict_blocks(model, x), family=family, transform=transform, bounds=bounds)


def _restore_units(predictions: Array, *, family: str, transform: Transforms, bounds: LowerBounds) -> Array:
    """Return a model's predictions in the target's own units and in the metric's range."""
    with np.errstate(over="ignore"):
        predictions = _apply(np.expm1, predictions, transform)
    if not np.isfinite(predictions).all():
        bad = int((~np.isfinite(predictions)).sum())
        raise FamilyError(f"{family} predicted {bad} values that are not finite; its training diverged.")
    return clip(predictions, bounds)


def save_model(model: Model, folder: Path) -> None:
    """Write a model into a folder; a kill leaves the whole folder or none."""
    with stage_folder(folder) as part:
        model.save(part)


class _ProgressRecorder:
    """The progress callback of a fold: records the losses as a curve and reports them."""

    def __init__(self, index: int, repeat: int, fold: int, report: ReportProgress | None) -> None:
        self.repeat, self.fold = repeat, fold
        self.curve: dict[str, list[float]] = {}
        self._index, self._report = index, report
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
        if not self._report(self._index, epoch, epoch + 1 if progress is None else int(progress), self._best, of):
            raise StoppedFold(InterruptedFold(self.repeat, self.fold, self.seconds, self.curve))


def _load_family(spec: TrialSpec) -> Family:
    """Return the family's module, after making Keras deterministic if the study asks for that."""
    if spec.deterministic and models.get_entry(spec.resolved_family).keras:
        from workbench.models.nn import training

        training.enable_determinism()
    return models.get_family(spec.resolved_family)


def _fit_context(spec: TrialSpec, seed: int, progress: ProgressCallback, name: str, **options: Any) -> FitContext:
    options |= {"epochs": spec.training.epochs, "training": spec.training, "cache": spec.cache}
    return FitContext(seed, spec.threads, progress, name=name, **options)


def _derive_seed(*parts: int | str) -> int:
    """Return the seed that follows from the study's seed, the family, the trial and the fold."""
    numbers = [zlib.crc32(part.encode()) if isinstance(part, str) else part for part in parts]
    return int(np.random.SeedSequence(numbers).generate_state(1)[0] >> 1)


def _score_fold(spec: TrialSpec, hp: Any, model: Model, progress: _ProgressRecorder, oof: Array | None) -> FoldResult:
    """Return the result of a fold; the model predicts the validation rows unless `oof` has their predictions."""
    data, repeat, fold = spec.dataset, progress.repeat, progress.fold
    valid = spec.folds.split(repeat, fold)[1]
    oof = _predict(spec, model, _take(data.x, valid)) if oof is None else oof
    length = model.length if spec.honest_lengths and isinstance(model, StagedModel) else None
    predicts_test = data.x_test is not None and (repeat, fold) in set(spec.folds.prediction_pairs())
    # With a length, new rows are predicted when all folds have theirs, and not at all by a trial that is pruned.
    test = _predict(spec, model, data.x_test) if predicts_test and length is None else None
    score = spec.metric.score(data.y[valid], oof)
    size = architecture.count_parameters(model)
    result = FoldResult(repeat, fold, oof, test, score, progress.seconds, dict(hp.values), progress.curve, size)
    return replace(result, length=length)


def _predict(spec: TrialSpec, model: Model, x: Any) -> Array:
    """Predict in the target's own units."""
    return predict(model, x, family=spec.family, transform=spec.transforms, bounds=spec.metric.bounds)


def _predict_stages(spec: TrialSpec, model: StagedModel, rows: Array, lengths: Sequence[int]) -> list[Array]:
    """Predict training rows after several lengths, in the target's own units; rows on disk are read block by block."""
    x = _take(spec.dataset.x, rows)
    parts = (block for _, block in x.blocks()) if isinstance(x, MemmapArray) else (x,)
    stages = zip(*(model.predict_stages(part, lengths) for part in parts), strict=True)
    options: dict[str, Any] = {"family": spec.family, "transform": spec.transforms, "bounds": spec.metric.bounds}
    return [_restore_units(np.concatenate(stage), **options) for stage in stages]


def _predict_blocks(model: Model, x: Any) -> Array:
    """Predict; rows on disk are read block by block."""
    if not isinstance(x, MemmapArray):
        return model.predict(x)
    return np.concatenate([model.predict(block) for _, block in x.blocks()])


def _take(x: Any, index: Array) -> Any:
    return x.iloc[index] if hasattr(x, "iloc") else x[index]


def _select_rows(spec: TrialSpec, index: Array, *, balanced: bool = False) -> Rows:
    """Return rows for a family: the target transformed, class weights multiplied into the sample weights."""
    y = spec.dataset.y[index]
    sample_weight = None if spec.dataset.weight is None else spec.dataset.weight[index]
    if balanced and spec.class_weight == "balanced" and spec.dataset.classes:
        counts = np.bincount(y, minlength=len(spec.dataset.classes))
        class_weight = len(y) / (np.count_nonzero(counts) * np.maximum(counts, 1))
        sample_weight = class_weight[y] * (1 if sample_weight is None else sample_weight)
    return Rows(_take(spec.dataset.x, index), _apply(np.log1p, y, spec.transform), sample_weight)


def _apply(function: Callable[[Array], Array], values: Array, transform: Transforms) -> Array:
    """Apply a function to the values, or to those of their columns whose transform is log1p."""
    if isinstance(transform, str):
        return function(values) if transform == "log1p" else values
    pairs = zip(values.T, transform, strict=True)
    return np.column_stack([function(column) if each == "log1p" else column for column, each in pairs])
