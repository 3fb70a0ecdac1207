"""Families of the user's own, `file.py:Name` in a study file: a hypermodel, `build(hp)`, or an estimator's `make(hp)`.

What there is at the name decides: a `keras_tuner.HyperModel` class, a function that returns a Keras model, or one that
returns a scikit-learn estimator. Weights are saved as every family's are, so that nothing is pickled.
"""

from __future__ import annotations

import sys
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

from workbench import features, models
from workbench.errors import FamilyError, format_list
from workbench.models.protocol import FitContext, Model, Problem, Rows
from workbench.models.wrappers import sklearn_estimator, user_code
from workbench.models.wrappers.sklearn_estimator import EstimatorModel


@dataclass(frozen=True)
class CustomFamily:
    """A family of the user's own."""

    name: str
    """`file.py:Name`, with an absolute path to train with."""

    @property
    def label(self) -> str:
        """The family as messages name it."""
        file, _, wanted = self.name.rpartition(":")
        return f"{Path(file).name}:{wanted}"

    def fit(self, hp: Any, problem: Problem, train: Rows, valid: Rows | None, setting: FitContext) -> Model:
        """Run the file, and train what is made there.

        Raises:
            FamilyError: it is neither a Keras model nor an estimator, or does not suit the task.
        """
        if models.entry(self.name).keras:
            return self._net(hp, problem, train, valid, setting)
        made = user_code.call_with_known(user_code.run(self.name), {"problem": problem}, self.label, hp)
        return self._estimator(made, problem, train, setting)

    def load(self, folder: Path) -> Model:
        """Read what a model of the family wrote; the file is run only if the net has layers that are defined in it.

        Raises:
            FamilyError: it has, and the file is not there.
        """
        if (folder / "estimator.json").exists():
            return sklearn_estimator.load(folder)
        from workbench.models.nn import keras_model

        try:
            return keras_model.load(folder)
        except (TypeError, ValueError) as error:
            layers = self._layers(error)
        return keras_model.load(folder, layers)

    def _net(self, hp: Any, problem: Problem, train: Rows, valid: Rows | None, setting: FitContext) -> Model:
        from workbench.models.nn import hypermodel, training
        from workbench.space.hypermodels import is_hypermodel

        training.reset_keras(setting.seed)
        shown = hypermodel.prepare_inputs(problem, train, setting)
        facts = hypermodel.describe_data(problem, shown.row_shape)
        made, model = user_code.run(self.name), None
        if is_hypermodel(made):
            model = user_code.call_with_known(made, facts, self.label)
            net = model.build(hp)
        else:
            net = user_code.call_with_known(made, facts, self.label, hp)
        if not hypermodel.is_net(net):
            return self._estimator(net, problem, train, setting)
        built = hypermodel.BuiltNet(net, shown, self.label, model)
        return hypermodel.train(built, hp, problem, train, valid, setting)

    def _estimator(self, made: Any, problem: Problem, train: Rows, setting: FitContext) -> Model:
        if not isinstance(made, BaseEstimator) or not hasattr(made, "predict"):
            raise FamilyError(
                f"{self.label} must return a Keras model or an estimator of scikit-learn. "
                f"Received: {type(made).__name__}."
            )
        if is_classifier(made) != bool(problem.classes):
            wanted = "a classifier" if problem.classes else "a regressor"
            raise FamilyError(f"{self.label} must return {wanted} for {problem.task}. Received: {type(made).__name__}.")
        self._check(features.untrusted_types(made))
        options: dict[str, Any] = {"classes": problem.classes, "seed": setting.seed, "kind": problem.kind}
        # What takes missing values is mostly a tree, and wants values as they are.
        if get_tags(made).input_tags.allow_nan:
            codes = features.tree_preprocessor(problem.columns, train.x, categories="ordinal", **options)
            view = make_pipeline(codes, features.EmptyColumnFiller())
        else:
            view = features.dense_preprocessor(problem.columns, train.x, numbers="quantile", **options)
        matrix = view.fit_transform(train.x, train.y)
        fitted = _fitted(_settled(made, setting), self.label, problem, matrix, train)
        return _Trained(view, fitted, problem.classes, self)

    def check_saved(self, file: Path) -> None:
        """Refuse an estimator that could not be read back.

        Raises:
            FamilyError: it is made of types that are not scikit-learn's.
        """
        self._check(features.untrusted_types(file))

    def _check(self, foreign: list[str]) -> None:
        if foreign:
            raise FamilyError(
                f"{self.label} must return an estimator of scikit-learn's own types, or its weights cannot be read "
                f"back safely. Received: {format_list(foreign)}. Leave them out, or write a family in workbench/models/."
            )

    def _layers(self, error: Exception) -> dict[str, Any]:
        """Return the classes that the file defines."""
        if not Path(self.name.rpartition(":")[0]).is_file():
            raise FamilyError(
                f"{self.name} must be there to load its nets, which have layers of its own. Received: no such file. "
                "Predict where the study file is, or build nets of Keras's own layers."
            ) from error
        module = sys.modules[user_code.run(self.name).__module__]
        return {name: value for name, value in vars(module).items() if isinstance(value, type)}


@dataclass(frozen=True)
class _Trained(EstimatorModel):
    """A fitted estimator of the user's."""

    family: CustomFamily

    def save(self, folder: Path) -> None:
        """Write what every estimator writes, and see whether it can be read back."""
        super().save(folder)
        self.family.check_saved(folder / "estimator.skops")


def _settled(made: Any, setting: FitContext) -> Any:
    """Return the estimator with this training's seed, where it has none, and threads."""
    parameters = made.get_params()
    seeds = {name: setting.seed for name, value in parameters.items() if _is(name, "random_state") and value is None}
    threads = {name: setting.threads for name, value in parameters.items() if _is(name, "n_jobs") and value is not None}
    return made.set_params(**seeds, **threads)


def _is(name: str, parameter: str) -> bool:
    return name.rpartition("__")[2] == parameter


def _fitted(made: Any, label: str, problem: Problem, matrix: Any, train: Rows) -> Any:
    """Return the estimator fitted; one without probabilities is calibrated to give some (Platt, 1999)."""
    if problem.classes:
        counts = np.unique(train.y, return_counts=True)[1]
        if len(counts) == 1:
            # A fold may hold one class only, which most classifiers refuse.
            return DummyClassifier().fit(matrix, train.y)
        if not hasattr(made, "predict_proba"):
            if counts.min() < 2:
                raise FamilyError(
                    f"{label} must return a classifier with predict_proba where a fold has one row of a class. "
                    f"Received: {type(made).__name__}. Choose another, or fewer folds."
                )
            weights, made = _weights(made, label, train), _calibrated(made, int(min(5, counts.min())))
            return made.fit(matrix, train.y, **weights)
    return made.fit(matrix, train.y, **_weights(made, label, train))


def _calibrated(made: Any, folds: int) -> Any:
    """Return a classifier that gives probabilities; of a pipeline the last step, which alone is told of weights."""
    if not isinstance(made, Pipeline):
        return CalibratedClassifierCV(made, cv=folds, ensemble=False)
    *before, (name, last) = made.steps
    return Pipeline([*before, (name, _calibrated(last, folds))])


def _weights(made: Any, label: str, train: Rows) -> dict[str, Any]:
    """Return the rows' weights under the name by which the estimator's `fit` takes them."""
    if train.weight is None:
        return {}
    steps = getattr(made, "steps", None)
    last = made if steps is None else steps[-1][1]
    if not has_fit_parameter(last, "sample_weight"):
        raise FamilyError(
            f"{label} must return an estimator whose fit takes sample_weight, since rows have weights. "
            f"Received: {type(last).__name__}. Choose another, or leave out class_weight and data.weight."
        )
    return {"sample_weight" if steps is None else f"{steps[-1][0]}__sample_weight": train.weight}
