"""The time limit of a method, and the count of its evaluations."""

from __future__ import annotations

import time
from dataclasses import dataclass, field


@dataclass
class Budget:
    """A clock that methods check, and the number of losses that they have computed."""

    seconds: float
    evaluations: int = 0
    began: float = field(default_factory=time.monotonic)

    @property
    def used(self) -> float:
        """Seconds since it began."""
        return time.monotonic() - self.began

    def is_spent(self, share: float = 1.0) -> bool:
        """Return whether `share` of the seconds are over."""
        return self.used >= share * self.seconds
