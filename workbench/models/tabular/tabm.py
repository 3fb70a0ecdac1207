"""TabM (Gorishniy et al., 2024): an ensemble of nets that share their matrices, for little more than the cost of one.

The members share the matrix of every dense layer. Each has its own scaling of a layer's inputs and outputs, its own
biases (BatchEnsemble: Wen et al., 2020) and its own head. In training each member has its own loss, so that the members
stay diverse; predictions, and the validation loss that stops the training, are those of their mean.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import keras

from workbench import features
from workbench.models.nn import heads
from workbench.models.nn import training as keras_training
from workbench.models.nn.keras_model import KerasModel, load
from workbench.models.protocol import FitContext, Problem, Rows

__all__ = ["BatchEnsembleDense", "MemberHeads", "MemberMean", "fit", "load"]

_Layer = TypeVar("_Layer", bound=type)


def fit(hp: Any, problem: Problem, train: Rows, valid: Rows | None, context: FitContext) -> KerasModel:
    """Train the members side by side."""
    numbers: features.NumberScaling = hp.Choice("numbers", ["pieces", "quantile", "standard"])
    options: Any = {"classes": problem.classes, "target_encoding": not problem.targets, "seed": context.seed}
    preprocessor = features.dense_preprocessor(problem.columns, train.x, numbers=numbers, **options)
    matrix = preprocessor.fit_transform(train.x, train.y)
    members = hp.Choice("members", [8, 16, 32], default=16)

    def build() -> Any:
        entrance = keras.Input((matrix.shape[1],))
        hidden = _build_members(hp, keras.layers.RepeatVector(members)(entrance))
        outputs = heads.activate(MemberHeads(problem.outputs)(hidden), problem)
        return keras.Model(entrance, MemberMean()(outputs))

    spec = keras_training.NetSpec(build, preprocessor=preprocessor, train_inputs=matrix, members=members)
    return keras_training.fit(spec, hp, problem, train, valid, context)


def _build_members(hp: Any, hidden: Any) -> Any:
    """Return the hidden layers of all members, (rows, members, units)."""
    activation = hp.Choice("activation", ["relu", "gelu", "elu"])
    dropout = hp.Float("dropout", 0.0, 0.5, step=0.05, default=0.1)
    units = hp.Int("units", 32, 256, step=2, sampling="log", default=128)
    for layer in range(hp.Int("layers", 1, 3, default=2)):
        # Random signs of the inputs make the members differ; later layers start alike.
        hidden = BatchEnsembleDense(units, signs=layer == 0)(hidden)
        hidden = keras.layers.Activation(activation)(hidden)
        hidden = keras.layers.Dropout(dropout)(hidden)
    return hidden


def _register_as(name: str) -> Callable[[_Layer], _Layer]:
    """Register a layer under the name that saved nets have.

    A `.keras` file names a layer's class twice: by its registered name and, in the paths of the weights, by `__name__`.
    """

    def register(layer: _Layer) -> _Layer:
        layer.__name__ = name
        registered: _Layer = keras.saving.register_keras_serializable("workbench", name)(layer)
        return registered

    return register


@_register_as("Factored")
class BatchEnsembleDense(keras.layers.Layer):  # type: ignore[misc]  # Keras has no types
    """A dense layer with one matrix for all members: (rows, members, values) -> (rows, members, units)."""

    def __init__(self, units: int, signs: bool = False, **options: Any) -> None:
        """Set the options.

        Args:
            units: the number of outputs of each member.
            signs: whether the members' scalings of the inputs start as 1 or -1 at random, not as 1.
            options: those of every layer.
        """
        super().__init__(**options)
        self.units, self.signs = units, signs

    def build(self, input_shape: Any) -> None:
        """Create the matrix, and each member's scalings and biases."""
        _, members, values = input_shape
        uniform = keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform")
        self.matrix = self.add_weight((values, self.units), uniform, name="matrix")
        self.input_scale = self.add_weight((members, values), _draw_signs if self.signs else "ones", name="taken")
        self.output_scale = self.add_weight((members, self.units), "ones", name="given")
        self.bias = self.add_weight((members, self.units), "zeros", name="bias")

    def call(self, inputs: Any) -> Any:
        """Return the units of each member."""
        return keras.ops.matmul(inputs * self.input_scale, self.matrix) * self.output_scale + self.bias

    def compute_output_shape(self, input_shape: Any) -> tuple[Any, ...]:
        """Return the shape of the output."""
        return (*input_shape[:-1], self.units)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {**super().get_config(), "units": self.units, "signs": self.signs}


@_register_as("Heads")
class MemberHeads(keras.layers.Layer):  # type: ignore[misc]  # Keras has no types
    """A linear layer for each member: (rows, members, values) -> (rows, members, outputs)."""

    def __init__(self, outputs: int, **options: Any) -> None:
        """Set the number of outputs of each member."""
        super().__init__(**options)
        self.outputs = outputs

    def build(self, input_shape: Any) -> None:
        """Create a matrix and biases for each member."""
        _, members, values = input_shape
        bound = values**-0.5
        uniform = keras.initializers.RandomUniform(-bound, bound)
        self.matrices = self.add_weight((members, values, self.outputs), uniform, name="matrices")
        self.bias = self.add_weight((members, self.outputs), "zeros", name="bias")

    def call(self, inputs: Any) -> Any:
        """Return the outputs of each member."""
        return keras.ops.einsum("rmv,mvo->rmo", inputs, self.matrices) + self.bias

    def compute_output_shape(self, input_shape: Any) -> tuple[Any, ...]:
        """Return the shape of the output."""
        return (*input_shape[:-1], self.outputs)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {**super().get_config(), "outputs": self.outputs}


@_register_as("Mean")
class MemberMean(keras.layers.Layer):  # type: ignore[misc]  # Keras has no types
    """The members' own outputs in training, and their mean otherwise."""

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Return (rows, members, outputs) unchanged, or with the mean in every member's place."""
        if training:
            return inputs
        return keras.ops.zeros_like(inputs) + keras.ops.mean(inputs, axis=1, keepdims=True)


def _draw_signs(shape: tuple[int, ...], dtype: Any = None) -> Any:
    """Return 1 or -1 at random."""
    return 2 * keras.ops.floor(keras.random.uniform(shape, 0, 2, dtype=dtype)) - 1
