"""The metrics: a light table of what there is, and the `Metric` that scores predictions.

To add one: a line in `METRICS`, and its formula under the same name in `scores.py`.
"""

from __future__ import annotations

import ast
import importlib.util
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from workbench.errors import EvaluationError, format_list, suggest_word

if TYPE_CHECKING:
    from workbench.array import Array
    from workbench.config import TaskType

Direction = Literal["minimize", "maximize"]
Wants = Literal["probabilities", "labels", "values"]
Loss = Literal["log_loss", "squared_error", "absolute_error"]
Transform = Literal["none", "log1p"]

_CLASSES: frozenset[TaskType] = frozenset({"binary", "multiclass"})
_VALUES: frozenset[TaskType] = frozenset({"regression"})


@dataclass(frozen=True)
class MetricEntry:
    """What there is to know about a metric without importing its formula."""

    direction: Direction
    wants: Wants
    about: str
    tasks: frozenset[TaskType] = _CLASSES
    loss: Loss = "squared_error"
    """What a regression is trained on; classes are trained on log loss."""
    transform: Transform = "none"


METRICS = {
    "accuracy": MetricEntry("maximize", "labels", "share of rows whose class is right"),
    "balanced_accuracy": MetricEntry("maximize", "labels", "mean recall of the classes"),
    "log_loss": MetricEntry("minimize", "probabilities", "mean of -log of the probability given to the true class"),
    "roc_auc": MetricEntry(
        "maximize", "probabilities", "area under the ROC curve; more classes: mean of one against rest"
    ),
    "average_precision": MetricEntry(
        "maximize", "probabilities", "precision averaged over recall; more classes: mean of one against rest"
    ),
    "f1_macro": MetricEntry("maximize", "labels", "mean F1 of the classes"),
    "f1_micro": MetricEntry("maximize", "labels", "F1 of all classes' counts together"),
    "mcc": MetricEntry("maximize", "labels", "Matthews' correlation coefficient"),
    "qwk": MetricEntry(
        "maximize", "labels", "kappa with quadratic weights, of ordered classes or rounded values", _CLASSES | _VALUES
    ),
    "rmse": MetricEntry("minimize", "values", "root of the mean squared error", _VALUES),
    "mae": MetricEntry("minimize", "values", "mean absolute error", _VALUES, loss="absolute_error"),
    "rmsle": MetricEntry("minimize", "values", "RMSE of log(1 + value)", _VALUES, transform="log1p"),
    "mape": MetricEntry(
        "minimize", "values", "mean absolute error as a share of the value", _VALUES, loss="absolute_error"
    ),
    "r2": MetricEntry("maximize", "values", "share of the variance that is explained", _VALUES),
}

_OTHER_NAMES = {
    "auc": "roc_auc",
    "f1": "f1_macro",
    "kappa": "qwk",
    "quadratic_weighted_kappa": "qwk",
    "map": "average_precision",
    "cross_entropy": "log_loss",
}


@dataclass(frozen=True)
class Metric:
    """A metric that can be asked: `metric.score(y, predictions)`."""

    name: str
    direction: Direction
    wants: Wants
    """What `function` takes; `score` itself always takes probabilities or values."""
    tasks: frozenset[TaskType]
    """The tasks that it can score."""
    loss: Loss
    """What a family should train on."""
    transform: Transform
    """The transform of the target under which that loss is this metric."""
    function: Callable[[Array, Array, Array | None], float]
    """The formula: (y, predictions, sample_weight) -> number."""

    def score(self, y: Array, predictions: Array, sample_weight: Array | None = None) -> float:
        """Return the score, in the metric's own unit and direction.

        NaN where the rows given leave it without a meaning, as for the ROC AUC of a fold with a single class.

        Args:
            y: (rows,) class numbers from 0 as integers, or values as floats.
            predictions: (rows,) probabilities of class 1, (rows, classes) probabilities, or (rows,) values.
            sample_weight: (rows,) how much each row counts; all the same unless given.

        Raises:
            EvaluationError: shapes or classes do not fit each other, or a prediction is not finite.
        """
        from workbench.evaluation import metric_functions

        y, predictions, weight = self._checked(y, predictions, sample_weight)
        if self.wants == "labels":
            predictions = metric_functions.labels(y, predictions)
        return self.function(y, predictions, weight)

    @property
    def facts(self) -> str:
        """What must stay the same for scores to be comparable."""
        return self.name

    def better(self, a: float, b: float) -> bool:
        """Return whether score `a` is better than score `b`; NaN is worse than any number."""
        if math.isnan(a) or math.isnan(b):
            return math.isnan(b) and not math.isnan(a)
        return self.loss_of(a) < self.loss_of(b)

    def loss_of(self, score: float) -> float:
        """Return `score` as a number to minimise: its sign is changed where more is better."""
        return score if self.direction == "minimize" else -score

    def check_target(self, task: TaskType, y: Array) -> None:
        """Refuse a target that this metric cannot score.

        Raises:
            EvaluationError: the metric is for other tasks, or the target has values it does not allow.
        """
        import numpy as np

        if task not in self.tasks:
            others = [name for name, entry in METRICS.items() if task in entry.tasks]
            raise EvaluationError(
                f"metric must suit the task {task!r}. Received: {self.name!r}. Choose one of: {format_list(others, 20)}."
            )
        values = np.asarray(y)
        if self.name == "rmsle" and (values < 0).any():
            raise EvaluationError(
                f"metric 'rmsle' needs targets of 0 or more. Received: {values.min():g}. Choose rmse or mae."
            )
        if self.name == "mape" and (values == 0).any():
            raise EvaluationError(
                f"metric 'mape' divides by the target, which must not be 0. Received: {int((values == 0).sum())} "
                "zeros. Choose mae or rmsle."
            )

    def _checked(self, y: Any, predictions: Any, weight: Any) -> tuple[Array, Array, Array | None]:
        """Return the arguments of `score` as arrays that the formulas can trust."""
        import numpy as np

        y, predictions = np.asarray(y), np.asarray(predictions, dtype=np.float64)
        if y.ndim != 1 or not len(y) or predictions.ndim not in (1, 2) or len(predictions) != len(y):
            raise EvaluationError(
                f"metric {self.name!r} must get as many predictions as targets, and at least one. "
                f"Received: shapes {predictions.shape} and {y.shape}."
            )
        if not np.isfinite(predictions).all():
            wrong = int((~np.isfinite(predictions)).sum())
            raise EvaluationError(
                f"metric {self.name!r} must get finite predictions. Received: {wrong} that are infinite or NaN."
            )
        if "regression" not in self.tasks or y.dtype.kind in "iub":
            y = self._class_numbers(y, predictions)
        else:
            y = y.astype(np.float64, copy=False)
        return y, predictions, None if weight is None else np.asarray(weight, dtype=np.float64)

    def _class_numbers(self, y: Array, predictions: Array) -> Array:
        """Return `y` as int64 after a look at its range; integers that a regression metric gets become floats."""
        import numpy as np

        if not self.tasks & _CLASSES:
            return y.astype(np.float64)
        classes = predictions.shape[1] if predictions.ndim == 2 else 2
        fits = y.dtype.kind in "iubf" and y.min() >= 0 and y.max() < classes
        if not fits or (y.dtype.kind == "f" and (y % 1).any()):
            hint = " Pass a regression's values as floats." if "regression" in self.tasks else ""
            raise EvaluationError(
                f"metric {self.name!r} must get class numbers from 0 to {classes - 1} for predictions of shape "
                f"{predictions.shape}. Received: {format_list(np.unique(y), 6)}.{hint}"
            )
        return y.astype(np.int64, copy=False)


def names() -> tuple[str, ...]:
    """Return the names of all metrics that come with workbench."""
    return tuple(METRICS)


def describe() -> list[dict[str, Any]]:
    """Return what there is to choose from: name, direction, wants, tasks and a line each."""
    return [
        {
            "name": name,
            "direction": entry.direction,
            "wants": entry.wants,
            "tasks": sorted(entry.tasks),
            "description": entry.about,
        }
        for name, entry in METRICS.items()
    ]


def default(task: TaskType) -> str:
    """Return the metric of a study that names none."""
    return "rmse" if task == "regression" else "log_loss"


def check(name: str, base: Callable[[str], Path] | None = None) -> None:
    """Refuse a metric that does not exist, without importing or running anything.

    Args:
        name: a name from `names()`, or `file.py:function`.
        base: finds the file that is meant by a relative path, as `StudyConfig.resolve` does.

    Raises:
        EvaluationError: the name is unknown, or the file is missing, is not Python or lacks the function.
    """
    if name in METRICS:
        return
    if ".py:" not in name:
        hint = suggest_word(_OTHER_NAMES.get(name.lower(), name.lower()), METRICS, most=20)
        raise EvaluationError(f"must be a known metric or file.py:function. Received: {name!r}.{hint}")
    path, function = _located(name, base)
    try:
        tree = ast.parse(path.read_bytes(), filename=str(path))
    except OSError as error:
        raise EvaluationError(
            f"metric {name!r}: {path} cannot be read ({error.strerror}). Paths start at the study file's folder."
        ) from error
    except (SyntaxError, ValueError) as error:
        where = f", line {error.lineno}" if isinstance(error, SyntaxError) else ""
        raise EvaluationError(f"metric {name!r}: {path}{where}: must be Python. {error.args[0]}.") from error
    known = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
    if function not in known:
        hint = suggest_word(function, known, label="Functions there")
        raise EvaluationError(f"metric {name!r}: {path} must define the function {function!r}.{hint}")


def metric(name: str, base: Callable[[str], Path] | None = None, *, task: TaskType | None = None) -> Metric:
    """Return a metric by its name, or load the user's own from `file.py:function`.

    The user's function takes class numbers or values and predictions, `function(y_true, y_pred)`, and optionally
    `sample_weight`. It must say `function.direction = "minimize"` or `"maximize"`, and may say `function.wants`.

    Args:
        name: a name from `names()`, or `file.py:function`.
        base: finds the file that is meant by a relative path, as `StudyConfig.resolve` does.
        task: settles `loss` (and a user's `wants`) where the metric suits classes and values alike.

    Raises:
        EvaluationError: there is no such metric, or the user's cannot be loaded.
    """
    check(name, base)
    if name not in METRICS:
        return _custom(name, base, task)
    from workbench.evaluation import metric_functions

    entry = METRICS[name]
    loss = entry.loss if _of_values(entry.tasks, task) else "log_loss"
    function = getattr(metric_functions, name)
    return Metric(name, entry.direction, entry.wants, entry.tasks, loss, entry.transform, function)


def _of_values(tasks: frozenset[TaskType], task: TaskType | None) -> bool:
    """Return whether a metric of `tasks` is asked about values."""
    return task == "regression" if task else tasks == _VALUES


def _located(name: str, base: Callable[[str], Path] | None) -> tuple[Path, str]:
    """Return the file and the function that `file.py:function` means."""
    file, _, function = name.rpartition(":")
    return (base or Path)(file), function


def _custom(name: str, base: Callable[[str], Path] | None, task: TaskType | None) -> Metric:
    """Return the user's metric, after its file has run and its attributes have been checked."""
    path, attribute = _located(name, base)
    function = getattr(_module(name, path), attribute)
    direction = _attribute(name, function, "direction", get_args(Direction), None)
    wants = _attribute(name, function, "wants", get_args(Wants), "values" if task == "regression" else "probabilities")
    tasks = _CLASSES | _VALUES
    if hasattr(function, "wants"):
        tasks = _VALUES if wants == "values" else _CLASSES
    loss: Loss = "squared_error" if _of_values(tasks, task) else "log_loss"
    return Metric(name, direction, wants, tasks, loss, "none", _Custom(name, path, function))


def _module(name: str, path: Path) -> Any:
    """Run the user's file as a module of its own."""
    spec = importlib.util.spec_from_file_location(f"workbench_metric_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise EvaluationError(f"metric {name!r}: {path} must be a file of Python.")
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look their module up while it still runs.
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise EvaluationError(f"metric {name!r}: {path} fails with {type(error).__name__}: {error}.") from error
    return module


def _attribute(name: str, function: Any, key: str, choices: tuple[str, ...], otherwise: str | None) -> Any:
    """Return what the user's function says about itself."""
    value = getattr(function, key, otherwise)
    if value not in choices:
        label = name.rpartition(":")[2]
        raise EvaluationError(
            f"metric {name!r} must say its {key}, one of {format_list(choices)}. Received: {value!r}. "
            f'Add a line below the function: {label}.{key} = "{choices[-1]}".'
        )
    return value


@dataclass(frozen=True)
class _Custom:
    """A user's function under the signature of the formulas; another process loads it anew from its file."""

    name: str
    path: Path
    function: Callable[..., Any]

    def __reduce__(self) -> tuple[Any, ...]:
        return _reloaded, (self.name, self.path)

    def __call__(self, y: Array, predictions: Array, weight: Array | None) -> float:
        import inspect
        import numbers

        if weight is not None and "sample_weight" not in inspect.signature(self.function).parameters:
            raise EvaluationError(
                f"metric {self.name!r} must take sample_weight to be asked with weights. Add it as a third parameter."
            )
        score = self.function(y, predictions) if weight is None else self.function(y, predictions, sample_weight=weight)
        if isinstance(score, bool) or not isinstance(score, numbers.Real):
            raise EvaluationError(f"metric {self.name!r} must return a number. Received: {score!r}.")
        return float(score)


def _reloaded(name: str, path: Path) -> _Custom:
    """Return a user's function in a process that has not run its file yet."""
    return _Custom(name, path, getattr(_module(name, path), name.rpartition(":")[2]))
