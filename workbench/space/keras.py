"""KerasTuner's own HyperParameters, answered by whatever can suggest. Only Keras families load this file."""

from __future__ import annotations

from typing import Any

import keras_tuner

from workbench.space.distributions import Suggest, answer_choice, answer_number


class HyperParameters(keras_tuner.HyperParameters):  # type: ignore[misc]  # KerasTuner has no types
    """A drop-in for `keras_tuner.HyperParameters`, so that any `build(hp)` or HyperModel runs unchanged.

    KerasTuner registers every hyperparameter in one place and fills it with its default there; here the value
    is taken from `suggest` first. Scopes, conditions and names stay KerasTuner's own.
    """

    def __init__(self, suggest: Suggest) -> None:
        """Ask `suggest` for every hyperparameter that is registered and active."""
        super().__init__()
        self._suggest = suggest

    def _register(self, hyperparameter: Any, overwrite: bool = False) -> Any:
        """Give an active hyperparameter its suggested value, then register it as KerasTuner does."""
        hp = hyperparameter
        if self.is_active(hp) and (overwrite or hp.name not in self.values):
            self.values[hp.name] = self._answer(hp)
        return super()._register(hp)

    def _answer(self, hp: Any) -> Any:
        conditions = "".join(f" [{c.name}={'|'.join(map(str, c.values))}]" for c in hp.conditions)
        name = hp.name + conditions
        match hp:
            case keras_tuner.engine.hyperparameters.Fixed():
                return hp.value
            case keras_tuner.engine.hyperparameters.Boolean():
                return answer_choice(self._suggest, name, [False, True], hp.default)
            case keras_tuner.engine.hyperparameters.Choice():
                return answer_choice(self._suggest, name, hp.values, hp.default)
        return answer_number(
            self._suggest,
            name,
            hp.min_value,
            hp.max_value,
            step=hp.step,
            sampling=hp.sampling,
            default=hp.default,
            integer=isinstance(hp, keras_tuner.engine.hyperparameters.Int),
        )
