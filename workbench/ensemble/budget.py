"""How long a method may take and how much it has asked."""

from __future__ import annotations

import time
from dataclasses import dataclass, field


@dataclass
class Budget:
    """A clock that methods look at, and the count of losses that they have asked for."""

    seconds: float
    evaluations: int = 0
    began: float = field(default_factory=time.monotonic)

    @property
    def used(self) -> float:
        """Seconds since it began."""
        return time.monotonic() - self.began

    def spent(self, share: float = 1.0) -> bool:
        """Whether `share` of the seconds are over."""
        return self.used >= share * self.seconds
