"""Many nets for little more than the price of one, averaged, after TabM (Gorishniy et al., 2024).

The members share every dense layer's matrix. Each has its own factors for what a layer takes and gives, its own biases
(BatchEnsemble: Wen et al., 2020), and a head of its own. While they train each answers for its own loss, so that they
stay different; predictions, and the validation loss that ends the training, are their mean's.
"""

from __future__ import annotations

from typing import Any

import keras

from workbench import features
from workbench.models.nn import heads
from workbench.models.nn import training as keras_training
from workbench.models.nn.keras_model import KerasModel, load
from workbench.models.protocol import FitContext, Problem, Rows

__all__ = ["Factored", "Heads", "Mean", "fit", "load"]


def fit(hp: Any, problem: Problem, train: Rows, valid: Rows | None, setting: FitContext) -> KerasModel:
    """Train the members side by side."""
    numbers: features.Scaling = hp.Choice("numbers", ["pieces", "quantile", "standard"])
    known: Any = {"classes": problem.classes, "labelled": not problem.targets, "seed": setting.seed}
    view = features.dense_preprocessor(problem.columns, train.x, numbers=numbers, **known)
    matrix = view.fit_transform(train.x, train.y)
    members = hp.Choice("members", [8, 16, 32], default=16)

    def build() -> Any:
        entrance = keras.Input((matrix.shape[1],))
        hidden = _members(hp, keras.layers.RepeatVector(members)(entrance))
        answers = heads.activate(Heads(problem.outputs)(hidden), problem)
        return keras.Model(entrance, Mean()(answers))

    spec = keras_training.NetSpec(build, preprocessor=view, train_inputs=matrix, members=members)
    return keras_training.fit(spec, hp, problem, train, valid, setting)


def _members(hp: Any, hidden: Any) -> Any:
    """Return the hidden layers of all members, (rows, members, units)."""
    activation = hp.Choice("activation", ["relu", "gelu", "elu"])
    dropout = hp.Float("dropout", 0.0, 0.5, step=0.05, default=0.1)
    units = hp.Int("units", 32, 256, step=2, sampling="log", default=128)
    for layer in range(hp.Int("layers", 1, 3, default=2)):
        # What makes the members differ is how they see the inputs; later factors begin alike.
        hidden = Factored(units, signs=layer == 0)(hidden)
        hidden = keras.layers.Activation(activation)(hidden)
        hidden = keras.layers.Dropout(dropout)(hidden)
    return hidden


@keras.saving.register_keras_serializable("workbench")
class Factored(keras.layers.Layer):  # type: ignore[misc]  # Keras has no types
    """A dense layer of one matrix for all members: (rows, members, values) -> (rows, members, units)."""

    def __init__(self, units: int, signs: bool = False, **options: Any) -> None:
        """Give so many units; with `signs` the members' factors of the inputs begin as 1 or -1 at random."""
        super().__init__(**options)
        self.units, self.signs = units, signs

    def build(self, input_shape: Any) -> None:
        """Make the matrix, and each member's factors and biases."""
        _, members, values = input_shape
        uniform = keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform")
        self.matrix = self.add_weight((values, self.units), uniform, name="matrix")
        self.taken = self.add_weight((members, values), _signs if self.signs else "ones", name="taken")
        self.given = self.add_weight((members, self.units), "ones", name="given")
        self.bias = self.add_weight((members, self.units), "zeros", name="bias")

    def call(self, inputs: Any) -> Any:
        """Return the units of each member."""
        return keras.ops.matmul(inputs * self.taken, self.matrix) * self.given + self.bias

    def compute_output_shape(self, input_shape: Any) -> tuple[Any, ...]:
        """Return the shape of what `call` gives."""
        return (*input_shape[:-1], self.units)

    def get_config(self) -> dict[str, Any]:
        """Return what the layer is made with."""
        return {**super().get_config(), "units": self.units, "signs": self.signs}


@keras.saving.register_keras_serializable("workbench")
class Heads(keras.layers.Layer):  # type: ignore[misc]  # Keras has no types
    """A linear layer of each member's own: (rows, members, values) -> (rows, members, outputs)."""

    def __init__(self, outputs: int, **options: Any) -> None:
        """Give so many outputs."""
        super().__init__(**options)
        self.outputs = outputs

    def build(self, input_shape: Any) -> None:
        """Make a matrix and biases for each member."""
        _, members, values = input_shape
        bound = values**-0.5
        uniform = keras.initializers.RandomUniform(-bound, bound)
        self.matrices = self.add_weight((members, values, self.outputs), uniform, name="matrices")
        self.bias = self.add_weight((members, self.outputs), "zeros", name="bias")

    def call(self, inputs: Any) -> Any:
        """Return the outputs of each member."""
        return keras.ops.einsum("rmv,mvo->rmo", inputs, self.matrices) + self.bias

    def compute_output_shape(self, input_shape: Any) -> tuple[Any, ...]:
        """Return the shape of what `call` gives."""
        return (*input_shape[:-1], self.outputs)

    def get_config(self) -> dict[str, Any]:
        """Return what the layer is made with."""
        return {**super().get_config(), "outputs": self.outputs}


@keras.saving.register_keras_serializable("workbench")
class Mean(keras.layers.Layer):  # type: ignore[misc]  # Keras has no types
    """While a net trains every member says what it says; after that all of them say their mean."""

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Return (rows, members, outputs) as they come, or their mean in every member's place."""
        if training:
            return inputs
        return keras.ops.zeros_like(inputs) + keras.ops.mean(inputs, axis=1, keepdims=True)


def _signs(shape: tuple[int, ...], dtype: Any = None) -> Any:
    """Return 1 or -1 at random."""
    return 2 * keras.ops.floor(keras.random.uniform(shape, 0, 2, dtype=dtype)) - 1
