"""An ensemble, as `Study.ensemble` returns it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from workbench.data import NewRows
    from workbench.ensemble import EnsembleResult


@dataclass(frozen=True, eq=False)
class Ensemble:
    """Members and weights, with their scores."""

    result: EnsembleResult
    """Everything that is known about the ensemble."""
    predict: Callable[[NewRows], pd.DataFrame]
    """Predicts new rows, given as a file or a frame, as `Study.predict` does, with the members of this ensemble."""

    @property
    def document(self) -> dict[str, Any]:
        """The JSON document that `workbench ensemble --json` prints."""
        return self.result.to_document()

    @property
    def members(self) -> list[dict[str, Any]]:
        """The members with run_id, family, name, score and weight, the heaviest first."""
        return [member.to_document() for member in self.result.members]

    @property
    def weights(self) -> np.ndarray:
        """The members' weights, (members,), at least 0, sum 1; the mean where targets or classes have their own."""
        import numpy as np

        return np.array([member.weight for member in self.result.members])

    @property
    def score(self) -> float:
        """The metric of the blended out-of-fold predictions, on the rows that the weights were fitted to."""
        return self.result.score

    @property
    def honest_score(self) -> float | None:
        """The cross-fitted score: the metric of predictions blended with weights that were fitted on other folds."""
        return self.result.honest_score

    @property
    def gap(self) -> float | None:
        """A proven bound on how much better any weights of these candidates can be; None where there is none."""
        return self.result.gap
