"""KerasTuner's HyperParameters with values from `suggest`. Only Keras families import this module."""

from __future__ import annotations

from typing import Any

import keras_tuner

from workbench.space.distributions import Suggest, suggest_choice, suggest_number


class HyperParameters(keras_tuner.HyperParameters):  # type: ignore[misc]  # KerasTuner has no types
    """A drop-in replacement for `keras_tuner.HyperParameters`, with which any `build(hp)` or HyperModel runs unchanged.

    KerasTuner gives every hyperparameter its default when it is registered; here it gets the value from `suggest`
    before. Scopes, conditions and names are those of KerasTuner.
    """

    def __init__(self, suggest: Suggest) -> None:
        """Take the values of all registered and active hyperparameters from `suggest`."""
        super().__init__()
        self._suggest = suggest

    def _register(self, hyperparameter: Any, overwrite: bool = False) -> Any:
        """Set the suggested value of an active hyperparameter, then register it in KerasTuner's way."""
        hp = hyperparameter
        if self.is_active(hp) and (overwrite or hp.name not in self.values):
            self.values[hp.name] = self._suggest_value(hp)
        return super()._register(hp)

    def _suggest_value(self, hp: Any) -> Any:
        conditions = "".join(f" [{c.name}={'|'.join(map(str, c.values))}]" for c in hp.conditions)
        name = hp.name + conditions
        match hp:
            case keras_tuner.engine.hyperparameters.Fixed():
                return hp.value
            case keras_tuner.engine.hyperparameters.Boolean():
                return suggest_choice(self._suggest, name, [False, True], hp.default)
            case keras_tuner.engine.hyperparameters.Choice():
                return suggest_choice(self._suggest, name, hp.values, hp.default)
        return suggest_number(
            self._suggest,
            name,
            hp.min_value,
            hp.max_value,
            step=hp.step,
            sampling=hp.sampling,
            default=hp.default,
            integer=isinstance(hp, keras_tuner.engine.hyperparameters.Int),
        )
