"""Report data for the tests of `workbench.report`: small sets of real predictions, blended as a study does it."""

from __future__ import annotations

import base64
from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np
import prediction_matrices

from workbench import evaluation
from workbench.config import TaskType
from workbench.ensemble import BlendOptions
from workbench.models.nn.inspection import ImageInspection
from workbench.report import Architecture, ReportData, StudyDescription
from workbench.search.storage import TrialRecord
from workbench.study import blending
from workbench.study.candidate_pool import Candidate
from workbench.tracking.prediction_schema import Predictions

FAMILIES = ("linear", "xgboost", "mlp")
TASKS = ("binary", "multiclass", "regression")
DOT = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg==")
"""A PNG of one pixel."""
METRICS: dict[TaskType, str] = {"binary": "log_loss", "multiclass": "accuracy", "regression": "rmse"}


@cache
def for_task(task: TaskType) -> ReportData:
    """Return a study with an ensemble of real models, pruned and failed trials among the others."""
    name = {"binary": "breast_cancer", "multiclass": "digits", "regression": "diabetes"}[task]
    return blend_study(task, *getattr(prediction_matrices, name)())


@cache
def large_study() -> ReportData:
    """Return a study with many trials, hyperparameters, members, classes, families and rows."""
    predictions, y = prediction_matrices.random_classes(0, 25, 900, 30)
    return blend_study("multiclass", predictions, y, trials=500, hyperparameters=60, families=12)


def blend_study(task: TaskType, predictions: Any, y: np.ndarray, **counts: int) -> ReportData:
    """Return a study whose ensemble is a blend of some predictions, (models, rows) or (models, rows, classes)."""
    metric = evaluation.metric(METRICS[task], task=task)
    records = trial_records(task, **counts)
    complete = [row for row in records if row.state == "complete"]
    models = [
        (_candidate(row, metric.score(y, oof)), Predictions(oof, None))
        for row, oof in zip(complete, predictions, strict=False)
    ]
    fold = np.arange(len(y)) % 3
    study_task: Any = SimpleNamespace(
        metric=metric, also=(), dataset=SimpleNamespace(y=y), folds=SimpleNamespace(repeats=1),
        schema=SimpleNamespace(rows=np.arange(len(y)), folds=fold), groups=None,
    )  # fmt: skip
    options = BlendOptions("greedy", weighting=None, members=25, simplify=False, seconds=1.0)
    blended = blending.blend_candidates(models, study_task, options)
    result, oof = blended.ensemble, blended.oof
    by_name = {candidate.name: predictions.oof for candidate, predictions in models}
    member_oof = {member.name: by_name[member.name] for member in result.members}
    classes = predictions.shape[2] if predictions.ndim == 3 else 2
    names = None if task == "regression" else tuple(f"class {index}" for index in range(classes))
    heaviest = [member.name for member in sorted(result.members, key=lambda member: -member.weight)]
    nets: dict[str, Any] = {
        "architectures": [Architecture(name, 1234, 1200, f"{name} (Dense)\n", DOT) for name in heaviest[:2]],
        # The first task has no image nets.
        "image_inspections": {} if task == "binary" else {name: inspect_images(task, classes) for name in heaviest[:3]},
    }
    return build(task, records, y=y, fold=fold, ensemble=result, oof=oof, member_oof=member_oof, classes=names, **nets)


def inspect_images(task: str, classes: int = 0) -> ImageInspection:
    """Return images of a net: grey ones with heat maps for classification, colour ones without for regression."""
    rng = np.random.default_rng(3)
    classifies = task != "regression"
    images, channels = (6, 1) if classifies else (5, 3)
    truth = np.arange(images) % classes if classifies else rng.normal(size=images)
    return ImageInspection(
        images=rng.integers(0, 256, (images, 56, 42, channels), dtype=np.uint8),
        heat=rng.random((images, 4, 3), dtype=np.float32) if classifies else np.zeros((0, 0, 0), np.float32),
        truth=truth,
        predicted=np.where(np.arange(images) < 3, truth, (truth + 1) % max(classes, 1)) if classifies else truth + 0.1,
        probability=np.linspace(1, 0.5, images) if classifies else np.full(images, np.nan),
        filters=rng.uniform(-1, 1, (24, 3, 3, channels)).astype(np.float32),
        filters_in_all=30,
        layers=("activation, 112×84", "a_layer_with_a_long_name_7, 4×3"),
        activations=(rng.random((8, 32, 24), dtype=np.float32), rng.random((5, 4, 3), dtype=np.float32)),
    )


def build(task: TaskType, records: list[TrialRecord], *, classes: Any = None, **fields: Any) -> ReportData:
    """Return a study of trials; `fields` are further fields of `ReportData`."""
    metric = evaluation.metric(METRICS[task], task=task)
    y = fields.pop("y", np.zeros(0))
    description: Any = {
        "name": "miniature", "target": "y", "task": task, "metric": metric.name, "direction": metric.direction,
        "source": "train.csv", "kind": "table", "rows": len(y), "test_rows": None, "folds": "kfold, 3 folds × 1",
        "fold_hash": "abc", "classes": classes,
    }  # fmt: skip
    loss = metric.loss_of
    ranked = sorted(records, key=lambda row: (row.state != "complete", loss(row.score or 0), row.state != "pruned"))
    ended = {row.key: 2.0 * place + 1 for place, row in enumerate(records)}
    data = ReportData(
        StudyDescription(**description), ranked, ended, {}, {}, y, fields.pop("fold", np.zeros(len(y), int)), **fields
    )
    for family, own in data.complete_by_family.items():
        shares = {name: 0.5**place for place, name in enumerate(own[0].hyperparameters, 1)}
        data.importances[family] = {name: share / sum(shares.values()) for name, share in shares.items()}  # type: ignore[index]
        data.curves[f"{family} #{own[0].number}"] = _curves(own[0].number)  # type: ignore[index]
    return data


def trial_records(task: str, trials: int = 24, hyperparameters: int = 4, families: int = 3) -> list[TrialRecord]:
    """Return trials in the order in which they ended, every seventh pruned and every eleventh failed."""
    rng = np.random.default_rng(trials)
    names = [*FAMILIES, *(f"family_with_a_long_name_{index}" for index in range(families))][:families]
    return [_trial(task, number, names[number % families], hyperparameters, rng) for number in range(trials)]


def _trial(task: str, number: int, family: str, hyperparameters: int, rng: np.random.Generator) -> TrialRecord:
    state: Any = "pruned" if number % 7 == 6 else "failed" if number % 11 == 10 else "complete"
    scale = 50.0 if task == "regression" else 0.3
    # The first trial is as poor as a constant.
    folds = (scale * (4 if number == 0 else 1) * rng.uniform(0.5, 1.0, 3)).clip(0, 400 if scale > 1 else 1)
    values: dict[str, Any] = {"rate": float(10 ** rng.uniform(-5, -1)), "kind": str(rng.choice(["a", "b", "c"]))}
    values |= {f"hyperparameter_number_{index}": int(rng.integers(1, 9)) for index in range(2, hyperparameters)}
    reasons = {"pruned": f"pruned in fold 1 after epoch {number}", "failed": f"ValueError: {number} rows\nand more"}
    complete = state == "complete"
    return TrialRecord(
        f"run{number}", family, number, float(folds.mean()) if complete else None, float(folds.std()),
        folds.tolist() if complete else [], state, float(rng.uniform(0.2, 30)), values, {}, reasons.get(state),
    )  # fmt: skip


def _candidate(row: TrialRecord, score: float) -> Candidate:
    name = row.name
    return Candidate(row.run_id, "miniature", row.family, name, score, name, (row.run_id,))


def _curves(number: int) -> dict[tuple[int, int], dict[str, list[float]]]:
    epochs = {fold: np.arange(20 + 10 * fold, dtype=float) for fold in range(3)}
    return {
        (0, fold): {
            "epoch": each.tolist(),
            "loss": (np.exp(-each / 9) + 0.01).tolist(),
            "val_loss": (np.exp(-each / 9) + 0.1 + 0.01 * fold + 0.001 * each).tolist(),
        }
        for fold, each in epochs.items()
    }
