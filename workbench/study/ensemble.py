"""An ensemble, as `Study.ensemble` returns it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from workbench.data import NewRows


@dataclass(frozen=True, eq=False)
class Ensemble:
    """Members, weights, and what they are worth."""

    document: Mapping[str, Any]
    """All of it as the command line prints it."""
    predict: Callable[[NewRows], pd.DataFrame]
    """Predicts new rows, given as a file or a frame, as `Study.predict` does, with the members of this ensemble."""

    @property
    def members(self) -> list[dict[str, Any]]:
        """The members with run_id, family, name, score and weight, the heaviest first."""
        return list(self.document["members"])

    @property
    def weights(self) -> np.ndarray:
        """The members' weights, (members,), at least 0, sum 1; where targets or classes have their own, the mean."""
        import numpy as np

        return np.array([member["weight"] for member in self.members])

    @property
    def score(self) -> float:
        """The metric of the blended out-of-fold predictions, on the rows that the weights were fitted to."""
        return float(self.document["score"])

    @property
    def honest_score(self) -> float | None:
        """The metric of predictions blended with weights that were fitted on other folds."""
        return None if self.document["honest_score"] is None else float(self.document["honest_score"])

    @property
    def gap(self) -> float | None:
        """A proven bound on how much better any weights of these candidates can be; None where there is none."""
        return None if self.document["gap"] is None else float(self.document["gap"])
