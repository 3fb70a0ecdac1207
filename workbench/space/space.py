"""The light search space: KerasTuner's methods without KerasTuner, for families that never load Keras."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from workbench.errors import SpaceError
from workbench.space.distributions import Sampling, Scalar, Suggest, answer_choice, answer_number


class Space:
    """Hyperparameters as a family's code asks for them; `values` holds every answer so far."""

    def __init__(self, suggest: Suggest) -> None:
        """Ask `suggest` for every hyperparameter that is declared and active."""
        self.values: dict[str, Any] = {}
        self._suggest = suggest
        self._conditions: list[tuple[str, tuple[Any, ...]]] = []
        self._declared: set[str] = set()

    def Int(  # noqa: N802 - KerasTuner's name
        self,
        name: str,
        min_value: int,
        max_value: int,
        *,
        step: int | None = None,
        sampling: Sampling = "linear",
        default: int | None = None,
    ) -> Any:
        """Return an integer from `min_value` to `max_value`, both included."""
        return self._number(name, min_value, max_value, step, sampling, default, integer=True)

    def Float(  # noqa: N802 - KerasTuner's name
        self,
        name: str,
        min_value: float,
        max_value: float,
        *,
        step: float | None = None,
        sampling: Sampling = "linear",
        default: float | None = None,
    ) -> Any:
        """Return a number from `min_value` to `max_value`, both included."""
        return self._number(name, min_value, max_value, step, sampling, default, integer=False)

    def Choice(self, name: str, values: Sequence[Any], *, default: Scalar = None) -> Any:  # noqa: N802
        """Return one of `values`; the first is the default unless one is named."""
        if not values:
            raise SpaceError(f"Hyperparameter {name!r} must have at least one choice. Received: [].")
        start = default if default is not None or None in values else values[0]
        return self._value(name, lambda key: answer_choice(self._suggest, key, values, start))

    def Boolean(self, name: str, *, default: bool = False) -> Any:  # noqa: N802 - KerasTuner's name
        """Return True or False."""
        return self._value(name, lambda key: answer_choice(self._suggest, key, [False, True], default))

    def Fixed(self, name: str, value: Any) -> Any:  # noqa: N802 - KerasTuner's name
        """Return `value`, and keep it among the hyperparameters."""
        return self._value(name, lambda _: value)

    @contextmanager
    def conditional_scope(self, parent_name: str, parent_values: Scalar | Sequence[Any]) -> Iterator[None]:
        """Declare hyperparameters that are active, not None, only while the parent has one of the values."""
        if parent_name not in self._declared:
            raise SpaceError(f"Hyperparameter {parent_name!r} must be declared before its conditional scope.")
        values = tuple(parent_values) if isinstance(parent_values, (list, tuple)) else (parent_values,)
        self._conditions.append((parent_name, values))
        try:
            yield
        finally:
            self._conditions.pop()

    def _number(
        self,
        name: str,
        low: float,
        high: float,
        step: float | None,
        sampling: Sampling,
        default: float | None,
        *,
        integer: bool,
    ) -> Any:
        return self._value(
            name,
            lambda key: answer_number(
                self._suggest, key, low, high, step=step, sampling=sampling, default=default, integer=integer
            ),
        )

    def _value(self, name: str, ask: Any) -> Any:
        """Ask once for a name; None where its conditions do not hold."""
        self._declared.add(name)
        if any(self.values.get(parent) not in values for parent, values in self._conditions):
            return None
        if name not in self.values:
            conditions = "".join(f" [{p}={'|'.join(map(str, values))}]" for p, values in self._conditions)
            self.values[name] = ask(name + conditions)
        return self.values[name]
