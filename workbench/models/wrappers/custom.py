"""Users' families, `file.py:Name` in a study file: a hypermodel, a function `build(hp)`, or an estimator's `make(hp)`.

The object at the name decides: a `keras_tuner.HyperModel` class, a function that returns a Keras model, or a function
that returns a scikit-learn estimator. Models are saved as those of every family, so nothing is pickled.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, is_classifier
from sklearn.calibration import CalibratedClassifierCV
from sklearn.dummy import DummyClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.utils import get_tags
from sklearn.utils.validation import has_fit_parameter

from workbench import features
from workbench.errors import FamilyError, format_list
from workbench.models.protocol import FitContext, Model, Problem, Rows
from workbench.models.registry import get_entry
from workbench.models.wrappers import sklearn_estimator, user_code
from workbench.models.wrappers.sklearn_estimator import EstimatorModel

_CALIBRATION_FOLDS = 5


@dataclass(frozen=True)
class CustomFamily:
    """A user's family."""

    name: str
    """`file.py:Name`, with an absolute path for training."""

    @property
    def label(self) -> str:
        """The family's name in messages."""
        file, _, attribute = self.name.rpartition(":")
        return f"{Path(file).name}:{attribute}"

    def fit(self, hp: Any, problem: Problem, train: Rows, valid: Rows | None, context: FitContext) -> Model:
        """Run the file, and train the net or the estimator that it returns.

        Raises:
            FamilyError: it returns neither a Keras model nor an estimator, or one that does not suit the task.
        """
        if get_entry(self.name).keras:
            return self._fit_net(hp, problem, train, valid, context)
        estimator = user_code.call_with_known(user_code.run(self.name), {"problem": problem}, self.label, hp)
        return self._fit_estimator(estimator, problem, train, context)

    def load(self, folder: Path) -> Model:
        """Return the model that its `save` wrote; the file is run only if the net has layers that it defines.

        Raises:
            FamilyError: the net has such layers, and the file is missing.
        """
        if (folder / "estimator.json").exists():
            return sklearn_estimator.load(folder)
        from workbench.models.nn import keras_model

        try:
            return keras_model.load(folder)
        except (TypeError, ValueError) as error:
            layers = self._load_layers(error)
        return keras_model.load(folder, layers)

    def _fit_net(self, hp: Any, problem: Problem, train: Rows, valid: Rows | None, context: FitContext) -> Model:
        from workbench.models.nn import hypermodel, training
        from workbench.space.hypermodels import is_hypermodel

        training.reset_keras(context.seed)
        inputs = hypermodel.prepare_inputs(problem, train, context)
        facts = hypermodel.describe_data(problem, inputs.row_shape)
        user_object, model = user_code.run(self.name), None
        if is_hypermodel(user_object):
            model = user_code.call_with_known(user_object, facts, self.label)
            net = model.build(hp)
        else:
            net = user_code.call_with_known(user_object, facts, self.label, hp)
        if not hypermodel.is_net(net):
            return self._fit_estimator(net, problem, train, context)
        built = hypermodel.BuiltNet(net, inputs, self.label, model)
        return hypermodel.train(built, hp, problem, train, valid, context)

    def _fit_estimator(self, estimator: Any, problem: Problem, train: Rows, context: FitContext) -> Model:
        self._check_estimator(estimator, problem)
        options: dict[str, Any] = {"classes": problem.classes, "seed": context.seed, "kind": problem.kind}
        # Estimators that accept missing values are mostly trees, which need no scaling.
        if get_tags(estimator).input_tags.allow_nan:
            codes = features.tree_preprocessor(problem.columns, train.x, categories="ordinal", **options)
            preprocessor = make_pipeline(codes, features.EmptyColumnImputer())
        else:
            preprocessor = features.dense_preprocessor(problem.columns, train.x, numbers="quantile", **options)
        matrix = preprocessor.fit_transform(train.x, train.y)
        fitted = _fit_calibrated(_set_seed_and_threads(estimator, context), self.label, problem, matrix, train)
        return _CustomEstimatorModel(preprocessor, fitted, problem.classes, self)

    def _check_estimator(self, estimator: Any, problem: Problem) -> None:
        if not isinstance(estimator, BaseEstimator) or not hasattr(estimator, "predict"):
            raise FamilyError(
                f"{self.label} must return a Keras model or an estimator of scikit-learn. "
                f"Received: {type(estimator).__name__}."
            )
        if is_classifier(estimator) != bool(problem.classes):
            expected = "a classifier" if problem.classes else "a regressor"
            raise FamilyError(
                f"{self.label} must return {expected} for {problem.task}. Received: {type(estimator).__name__}."
            )
        self._check_types(features.find_untrusted_types(estimator))

    def check_saved(self, file: Path) -> None:
        """Check that a saved estimator can be loaded.

        Raises:
            FamilyError: it has types that `features.load` refuses.
        """
        self._check_types(features.find_untrusted_types(file))

    def _check_types(self, untrusted: list[str]) -> None:
        if untrusted:
            raise FamilyError(
                f"{self.label} must return an estimator of scikit-learn's own types, or its weights cannot be read "
                f"back safely. Received: {format_list(untrusted)}. "
                "Leave them out, or write a family in workbench/models/."
            )

    def _load_layers(self, error: Exception) -> dict[str, type]:
        """Return the classes that the file defines."""
        if not Path(self.name.rpartition(":")[0]).is_file():
            raise FamilyError(
                f"{self.name} must be there to load its nets, which have layers of its own. Received: no such file. "
                "Predict where the study file is, or build nets of Keras's own layers."
            ) from error
        module = user_code.run_module(self.name)
        return {name: value for name, value in vars(module).items() if isinstance(value, type)}


@dataclass(frozen=True)
class _CustomEstimatorModel(EstimatorModel):
    """A user's fitted estimator."""

    family: CustomFamily

    def save(self, folder: Path) -> None:
        """Write the files of every estimator, and check that they can be loaded."""
        super().save(folder)
        self.family.check_saved(folder / "estimator.skops")


def _set_seed_and_threads(estimator: Any, context: FitContext) -> Any:
    """Return the estimator with this training's threads, and its seed where none is set."""
    parameters = estimator.get_params()
    seeds = {name: context.seed for name, value in parameters.items() if _is(name, "random_state") and value is None}
    threads = {name: context.threads for name, value in parameters.items() if _is(name, "n_jobs") and value is not None}
    return estimator.set_params(**seeds, **threads)


def _is(name: str, parameter: str) -> bool:
    """Return whether a name is that of a parameter, of the estimator itself or of one inside it."""
    return name.rpartition("__")[2] == parameter


def _fit_calibrated(estimator: Any, label: str, problem: Problem, matrix: Any, train: Rows) -> Any:
    """Fit the estimator; a classifier without probabilities is calibrated (Platt, 1999)."""
    if problem.classes:
        counts = np.unique(train.y, return_counts=True)[1]
        if len(counts) == 1:
            # Most classifiers refuse a fold with a single class.
            return DummyClassifier().fit(matrix, train.y)
        if not hasattr(estimator, "predict_proba"):
            if counts.min() < 2:
                raise FamilyError(
                    f"{label} must return a classifier with predict_proba where a fold has one row of a class. "
                    f"Received: {type(estimator).__name__}. Choose another, or fewer folds."
                )
            weights = _sample_weight_argument(estimator, label, train)
            calibrated = _calibrate(estimator, int(min(_CALIBRATION_FOLDS, counts.min())))
            return calibrated.fit(matrix, train.y, **weights)
    return estimator.fit(matrix, train.y, **_sample_weight_argument(estimator, label, train))


def _calibrate(estimator: Any, folds: int) -> Any:
    """Return a classifier with probabilities; in a pipeline only the last step, which receives weights."""
    if not isinstance(estimator, Pipeline):
        return CalibratedClassifierCV(estimator, cv=folds, ensemble=False)
    *before, (name, last) = estimator.steps
    return Pipeline([*before, (name, _calibrate(last, folds))])


def _sample_weight_argument(estimator: Any, label: str, train: Rows) -> dict[str, Any]:
    """Return the rows' weights under the name that the estimator's `fit` gives them."""
    if train.sample_weight is None:
        return {}
    steps = getattr(estimator, "steps", None)
    last = estimator if steps is None else steps[-1][1]
    if not has_fit_parameter(last, "sample_weight"):
        raise FamilyError(
            f"{label} must return an estimator whose fit takes sample_weight, since rows have weights. "
            f"Received: {type(last).__name__}. Choose another, or leave out class_weight and data.weight."
        )
    return {"sample_weight" if steps is None else f"{steps[-1][0]}__sample_weight": train.sample_weight}
