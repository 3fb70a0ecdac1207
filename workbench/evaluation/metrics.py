"""The metrics: a table of all metrics that imports no numerical library, and `Metric`, which scores predictions.

To add a metric, add a line to `METRICS` and its formula, under the same name, to `metric_functions.py`.
"""

from __future__ import annotations

import ast
import importlib.util
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

from workbench.errors import EvaluationError, format_list, suggest_word

if TYPE_CHECKING:
    from workbench.array import Array
    from workbench.config import TaskType

Direction = Literal["minimize", "maximize"]
Wants = Literal["probabilities", "labels", "values"]
Loss = Literal["log_loss", "squared_error", "absolute_error"]
Transform = Literal["none", "log1p"]
LowerBounds: TypeAlias = "float | Sequence[float | None] | None"

_CLASSES: frozenset[TaskType] = frozenset({"binary", "multiclass"})
_VALUES: frozenset[TaskType] = frozenset({"regression"})


@dataclass(frozen=True)
class MetricEntry:
    """The properties of a metric that are known without importing its formula."""

    direction: Direction
    wants: Wants
    about: str
    tasks: frozenset[TaskType] = _CLASSES
    loss: Loss = "squared_error"
    """The loss that a regression is trained on; classifiers are trained on log loss."""
    transform: Transform = "none"
    lowest: float | None = None
    """The least prediction that the metric allows."""
    ranks: bool = False
    """Whether only the order of the predictions counts, so that a constant knows nothing."""


METRICS = {
    "accuracy": MetricEntry("maximize", "labels", "share of rows whose class is right"),
    "balanced_accuracy": MetricEntry("maximize", "labels", "mean recall of the classes"),
    "log_loss": MetricEntry("minimize", "probabilities", "mean of -log of the probability given to the true class"),
    "roc_auc": MetricEntry(
        "maximize", "probabilities", "area under the ROC curve; more classes: mean of one against rest", ranks=True
    ),
    "average_precision": MetricEntry(
        "maximize",
        "probabilities",
        "precision averaged over recall; more classes: mean of one against rest",
        ranks=True,
    ),
    "f1_macro": MetricEntry("maximize", "labels", "mean F1 of the classes"),
    "f1_micro": MetricEntry("maximize", "labels", "F1 of all classes' counts together"),
    "mcc": MetricEntry("maximize", "labels", "Matthews' correlation coefficient"),
    "qwk": MetricEntry(
        "maximize", "labels", "kappa with quadratic weights, of ordered classes or rounded values", _CLASSES | _VALUES
    ),
    "rmse": MetricEntry("minimize", "values", "root of the mean squared error", _VALUES),
    "mae": MetricEntry("minimize", "values", "mean absolute error", _VALUES, loss="absolute_error"),
    "rmsle": MetricEntry("minimize", "values", "RMSE of log(1 + value)", _VALUES, transform="log1p", lowest=0.0),
    "mape": MetricEntry(
        "minimize", "values", "mean absolute error as a share of the value", _VALUES, loss="absolute_error"
    ),
    "r2": MetricEntry("maximize", "values", "share of the variance that is explained", _VALUES),
}

# Other common names of metrics, for hints.
_ALIASES = {
    "auc": "roc_auc",
    "f1": "f1_macro",
    "kappa": "qwk",
    "quadratic_weighted_kappa": "qwk",
    "map": "average_precision",
    "cross_entropy": "log_loss",
}


@dataclass(frozen=True)
class Metric:
    """A metric with its formula and its properties."""

    name: str
    direction: Direction
    wants: Wants
    """The kind of predictions that `function` takes; `score` always takes probabilities or values."""
    tasks: frozenset[TaskType]
    """The tasks that the metric can score."""
    loss: Loss
    """The loss that a model should minimise in training."""
    transform: Transform
    """The transform of the target under which `loss` is equivalent to this metric."""
    function: Callable[[Array, Array, Array | None], float]
    """The formula: (y, predictions, sample_weight) -> score."""
    lowest: float | None = None
    """The least prediction that the metric allows."""
    ranks: bool = False
    """Whether only the order of the predictions counts."""

    def score(self, y: Array, predictions: Array, sample_weight: Array | None = None) -> float:
        """Return the score in the metric's own unit and direction.

        The score is NaN if it is undefined for the given rows, such as the ROC AUC of a fold with a single class.

        Args:
            y: (rows,) class numbers from 0 as integers, or values as floats.
            predictions: (rows,) probabilities of class 1, (rows, classes) probabilities, or (rows,) values.
            sample_weight: (rows,) the weight of each row; equal weights by default.

        Raises:
            EvaluationError: the shapes or classes do not match, or a prediction is not finite.
        """
        from workbench.evaluation import metric_functions

        y, predictions, weight = self._check_arguments(y, predictions, sample_weight)
        if self.wants == "labels":
            predictions = metric_functions.labels(y, predictions)
        return self.function(y, predictions, weight)

    @property
    def signature(self) -> str:
        """The text that must be equal for scores to be comparable."""
        return self.name

    @property
    def bounds(self) -> LowerBounds:
        """The least prediction that is allowed; for several targets, that of each column."""
        return self.lowest

    def clip(self, predictions: Array) -> Array:
        """Return predictions in the metric's range; what is scored and what is written are these."""
        return clip(predictions, self.bounds)

    def is_better(self, a: float, b: float) -> bool:
        """Return whether score `a` is better than score `b`; NaN is worse than any number."""
        if math.isnan(a) or math.isnan(b):
            return math.isnan(b) and not math.isnan(a)
        return self.loss_of(a) < self.loss_of(b)

    def loss_of(self, score: float) -> float:
        """Return `score` as a number to minimise: negated if the metric is maximised."""
        return score if self.direction == "minimize" else -score

    def check_target(self, task: TaskType, y: Array) -> None:
        """Check that this metric can score a target.

        Raises:
            EvaluationError: the metric is for other tasks, or the target has values that the metric does not allow.
        """
        import numpy as np

        if task not in self.tasks:
            others = [name for name, entry in METRICS.items() if task in entry.tasks]
            raise EvaluationError(
                f"metric must suit the task {task!r}. Received: {self.name!r}. "
                f"Choose one of: {format_list(others, 20)}."
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

    def _check_arguments(self, y: Any, predictions: Any, weight: Any) -> tuple[Array, Array, Array | None]:
        """Return the arguments of `score` as valid arrays."""
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
            y = self._check_class_numbers(y, predictions)
        else:
            y = y.astype(np.float64, copy=False)
        return y, predictions, None if weight is None else np.asarray(weight, dtype=np.float64)

    def _check_class_numbers(self, y: Array, predictions: Array) -> Array:
        """Return `y` as int64 after a check of its range; for a regression metric, return it as float64."""
        import numpy as np

        if not self.tasks & _CLASSES:
            return y.astype(np.float64)
        classes = predictions.shape[1] if predictions.ndim == 2 else 2
        valid = y.dtype.kind in "iubf" and y.min() >= 0 and y.max() < classes
        if not valid or (y.dtype.kind == "f" and (y % 1).any()):
            hint = " Pass a regression's values as floats." if "regression" in self.tasks else ""
            raise EvaluationError(
                f"metric {self.name!r} must get class numbers from 0 to {classes - 1} for predictions of shape "
                f"{predictions.shape}. Received: {format_list(np.unique(y), 6)}.{hint}"
            )
        return y.astype(np.int64, copy=False)


def clip(predictions: Array, bounds: LowerBounds) -> Array:
    """Raise predictions to their lower bounds.

    Args:
        predictions: (rows,) or (rows, columns).
        bounds: one bound for all, or one for each column; None where there is none.
    """
    import numpy as np

    if bounds is None or (not isinstance(bounds, float | int) and all(bound is None for bound in bounds)):
        return predictions
    least = [bounds] if isinstance(bounds, float | int) else bounds
    # A negative zero would be written as -0.0.
    lowest = np.array([-np.inf if bound is None else bound for bound in least], dtype=predictions.dtype)
    return np.asarray(np.maximum(predictions, lowest) + 0)


def names() -> tuple[str, ...]:
    """Return the names of all built-in metrics."""
    return tuple(METRICS)


def describe() -> list[dict[str, Any]]:
    """Return the built-in metrics with name, direction, kind of predictions, tasks and a description."""
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
    """Return the name of the default metric of a task."""
    return "rmse" if task == "regression" else "log_loss"


def check(name: str, base: Callable[[str], Path] | None = None) -> None:
    """Check that a metric exists, without importing or running anything.

    Args:
        name: a name from `names()`, or `file.py:function`.
        base: a function that resolves a relative path, such as `StudyConfig.resolve`.

    Raises:
        EvaluationError: the name is unknown, or the file is missing, is not valid Python, or lacks the function.
    """
    if name in METRICS:
        return
    if ".py:" not in name:
        hint = suggest_word(_ALIASES.get(name.lower(), name.lower()), METRICS, most=20)
        raise EvaluationError(f"must be a known metric or file.py:function. Received: {name!r}.{hint}")
    path, function = _locate(name, base)
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
    """Return a built-in metric by its name, or load a custom one from `file.py:function`.

    A custom function has the signature `function(y_true, y_pred)`, optionally with a third parameter `sample_weight`,
    where `y_true` holds class numbers or values. It must have the attribute `direction`, `"minimize"` or `"maximize"`,
    and may have the attribute `wants`.

    Args:
        name: a name from `names()`, or `file.py:function`.
        base: a function that resolves a relative path, such as `StudyConfig.resolve`.
        task: the task, which decides `loss` (and the default of `wants`) for a metric of both classes and values.

    Raises:
        EvaluationError: the metric does not exist, or a custom metric cannot be loaded.

    Examples:
        >>> import numpy as np
        >>> metric("accuracy", task="binary").score(np.array([0, 1, 1, 0]), np.array([0.2, 0.9, 0.4, 0.1]))
        0.75
    """
    check(name, base)
    if name not in METRICS:
        return _load_custom(name, base, task)
    from workbench.evaluation import metric_functions

    entry = METRICS[name]
    loss = entry.loss if _scores_values(entry.tasks, task) else "log_loss"
    function = getattr(metric_functions, name)
    return Metric(
        name, entry.direction, entry.wants, entry.tasks, loss, entry.transform, function, entry.lowest, entry.ranks
    )


def _scores_values(tasks: frozenset[TaskType], task: TaskType | None) -> bool:
    """Return whether a metric for `tasks` scores values rather than classes."""
    return task == "regression" if task else tasks == _VALUES


def _locate(name: str, base: Callable[[str], Path] | None) -> tuple[Path, str]:
    """Return the path and the function's name in `file.py:function`."""
    file, _, function = name.rpartition(":")
    return (base or Path)(file), function


def _load_custom(name: str, base: Callable[[str], Path] | None, task: TaskType | None) -> Metric:
    """Run the user's file and return the metric, after its attributes have been checked."""
    path, attribute = _locate(name, base)
    function = getattr(_run_file(name, path), attribute)
    direction = _read_attribute(name, function, "direction", get_args(Direction), None)
    wants = _read_attribute(
        name, function, "wants", get_args(Wants), "values" if task == "regression" else "probabilities"
    )
    tasks = _CLASSES | _VALUES
    if hasattr(function, "wants"):
        tasks = _VALUES if wants == "values" else _CLASSES
    loss: Loss = "squared_error" if _scores_values(tasks, task) else "log_loss"
    return Metric(name, direction, wants, tasks, loss, "none", _CustomFunction(name, path, function))


def _run_file(name: str, path: Path) -> Any:
    """Run the user's file as a module and return it."""
    spec = importlib.util.spec_from_file_location(f"workbench_metric_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise EvaluationError(f"metric {name!r}: {path} must be a file of Python.")
    module = importlib.util.module_from_spec(spec)
    # A dataclass in the file looks up its module in `sys.modules` while the file runs.
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise EvaluationError(f"metric {name!r}: {path} fails with {type(error).__name__}: {error}.") from error
    return module


def _read_attribute(name: str, function: Any, key: str, choices: tuple[str, ...], default: str | None) -> Any:
    """Return a checked attribute of the user's function."""
    value = getattr(function, key, default)
    if value not in choices:
        label = name.rpartition(":")[2]
        raise EvaluationError(
            f"metric {name!r} must say its {key}, one of {format_list(choices)}. Received: {value!r}. "
            f'Add a line below the function: {label}.{key} = "{choices[-1]}".'
        )
    return value


@dataclass(frozen=True)
class _CustomFunction:
    """A user's function with the signature of the formulas; unpickling loads it again from its file."""

    name: str
    path: Path
    function: Callable[..., Any]

    def __reduce__(self) -> tuple[Any, ...]:
        return _reload, (self.name, self.path)

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


def _reload(name: str, path: Path) -> _CustomFunction:
    """Return a user's function in a process that has not run its file."""
    return _CustomFunction(name, path, getattr(_run_file(name, path), name.rpartition(":")[2]))
