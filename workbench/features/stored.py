"""Fitted transformers and estimators on disk, without pickle (skops)."""

import json
import zipfile
from pathlib import Path
from typing import Any

from workbench.errors import FamilyError, listed

# What may be rebuilt from a saved file beside scikit-learn's, SciPy's and NumPy's own types.
_TRUSTED = frozenset(
    {
        "numpy.dtype",
        "sklearn.model_selection._split.KFold",
        "sklearn.model_selection._split.StratifiedKFold",
        "sklearn.tree._tree.Tree",
        "skrub._apply_to_cols.ApplyToCols",
        "skrub._apply_to_each_col.ApplyToEachCol",
        "skrub._datetime_encoder.DatetimeEncoder",
        "skrub._datetime_encoder._CircularEncoder",
        "skrub._to_str.ToStr",
        "skrub.selectors._base.All",
        "workbench.features.grams.Grams",
        "workbench.features.grams.Topics",
        "workbench.features.kernels.Kernels",
        "workbench.features.looks.Looks",
        "workbench.features.sparse.Stored",
        "workbench.features.steps.Steps",
        "workbench.features.summaries.Summaries",
        "workbench.features.views.Codes",
        "workbench.features.views.Crosses",
        "workbench.features.views.Flatten",
        "workbench.features.views.Means",
        "workbench.features.views.Scores",
        "workbench.features.views.Thumbnails",
        "workbench.models.histograms.Histograms",
        "workbench.models.rocket.Spanned",
        "workbench.models.tfidf_linear.OneAgainstRest",
    }
)


def save(view: Any, file: Path) -> None:
    """Write a fitted scikit-learn object without pickle (skops)."""
    import skops.io

    skops.io.dump(view, file)


def load(file: Path) -> Any:
    """Read what `save` wrote; only types that this project and scikit-learn own are rebuilt.

    Raises:
        FamilyError: the file asks for another type, or is damaged.
    """
    import skops.io

    try:
        foreign = set(skops.io.get_untrusted_types(file=file)) - _TRUSTED
    except (OSError, zipfile.BadZipFile, KeyError, json.JSONDecodeError) as error:
        raise FamilyError(f"{file}: must be a file that workbench saved. Received: {error}.") from error
    if foreign:
        raise FamilyError(f"{file}: must hold known types only. Received: {listed(sorted(foreign))}. It is not loaded.")
    return skops.io.load(file, trusted=sorted(_TRUSTED))
