"""A search space with KerasTuner's methods that does not import KerasTuner, for families that do not use Keras."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from workbench.errors import SpaceError
from workbench.space.distributions import Sampling, Scalar, Suggest, suggest_choice, suggest_number


class Space:
    """The hyperparameters that a family's code has declared; `values` holds their values by name."""

    def __init__(self, suggest: Suggest) -> None:
        """Take the values of all declared and active hyperparameters from `suggest`."""
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
        """Return one of `values`; the first is the default if none is given."""
        if not values:
            raise SpaceError(f"Hyperparameter {name!r} must have at least one choice. Received: [].")
        first = default if default is not None or None in values else values[0]
        return self._resolve(name, lambda key: suggest_choice(self._suggest, key, values, first))

    def Boolean(self, name: str, *, default: bool = False) -> Any:  # noqa: N802 - KerasTuner's name
        """Return True or False."""
        return self._resolve(name, lambda key: suggest_choice(self._suggest, key, [False, True], default))

    def Fixed(self, name: str, value: Any) -> Any:  # noqa: N802 - KerasTuner's name
        """Return `value` and record it as a hyperparameter."""
        return self._resolve(name, lambda _: value)

    @contextmanager
    def conditional_scope(self, parent_name: str, parent_values: Scalar | Sequence[Any]) -> Iterator[None]:
        """Declare hyperparameters that are active only if the parent has one of the values; otherwise they are None."""
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
        return self._resolve(
            name,
            lambda key: suggest_number(
                self._suggest, key, low, high, step=step, sampling=sampling, default=default, integer=integer
            ),
        )

    def _resolve(self, name: str, suggest: Callable[[str], Any]) -> Any:
        """Return the value of a name, which is suggested once; None if the conditions do not hold."""
        self._declared.add(name)
        if any(self.values.get(parent) not in values for parent, values in self._conditions):
            return None
        if name not in self.values:
            conditions = "".join(f" [{p}={'|'.join(map(str, values))}]" for p, values in self._conditions)
            self.values[name] = suggest(name + conditions)
        return self.values[name]
