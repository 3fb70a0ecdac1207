"""Fitted transformers and estimators on disk, without pickle (skops)."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

from workbench.errors import FamilyError, format_list

_KERNELS = ("ConstantKernel", "DotProduct", "Matern", "Product", "RBF", "RationalQuadratic", "Sum", "WhiteKernel")
# What may be rebuilt from a saved file beside scikit-learn's, SciPy's and NumPy's own types.
_TRUSTED = frozenset(
    {
        "numpy.dtype",
        "sklearn._loss.loss.HalfTweedieLossIdentity",
        "sklearn._loss.loss.HalfTweedieLoss",
        "sklearn.calibration._CalibratedClassifier",
        "sklearn.calibration._SigmoidCalibration",
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        "sklearn.gaussian_process._gpc._BinaryGaussianProcessClassifierLaplace",
        *(f"sklearn.gaussian_process.kernels.{name}" for name in _KERNELS),
        "sklearn.metrics._dist_metrics.EuclideanDistance64",
        "sklearn.metrics._dist_metrics.ManhattanDistance64",
        "sklearn.metrics._dist_metrics.MinkowskiDistance64",
        "sklearn.model_selection._split.KFold",
        "sklearn.model_selection._split.StratifiedKFold",
        "sklearn.neighbors._ball_tree.BallTree",
        "sklearn.neighbors._kd_tree.KDTree",
        "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
        "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
        "sklearn.tree._tree.Tree",
        "skrub._apply_to_cols.ApplyToCols",
        "skrub._apply_to_each_col.ApplyToEachCol",
        "skrub._datetime_encoder.DatetimeEncoder",
        "skrub._datetime_encoder._CircularEncoder",
        "skrub._to_str.ToStr",
        "skrub.selectors._base.All",
        "workbench.features.tfidf.Tfidf",
        "workbench.features.tfidf.LatentTopics",
        "workbench.features.minirocket.MiniRocket",
        "workbench.features.text_statistics.TextStatistics",
        "workbench.features.piecewise_linear.PiecewiseLinearEncoder",
        "workbench.features.sparse.ExplicitZeros",
        "workbench.features.sequence_scaler.SequenceScaler",
        "workbench.features.sequence_statistics.SequenceStatistics",
        "workbench.features.preprocessors.OrdinalCodes",
        "workbench.features.preprocessors.FeatureCrosses",
        "workbench.features.preprocessors.Flatten",
        "workbench.features.preprocessors.TargetMeanEncoder",
        "workbench.features.preprocessors.EmptyColumnFiller",
        "workbench.features.preprocessors.SequenceStandardizer",
        "workbench.features.preprocessors.Thumbnails",
        "workbench.features.hog.HogFeatures",
        "workbench.models.sequence.rocket.ScaledLogisticRegression",
        "workbench.models.text.tfidf_linear.OneAgainstRest",
    }
)


def save(view: Any, file: Path) -> None:
    """Write a fitted scikit-learn object without pickle (skops)."""
    import skops.io

    skops.io.dump(view, file)


def untrusted_types(view: Any) -> list[str]:
    """Return the types in a scikit-learn object, or in a file that `save` wrote, which `load` would refuse."""
    import skops.io

    if isinstance(view, Path):
        found = skops.io.get_untrusted_types(file=view)
    else:
        try:
            found = skops.io.get_untrusted_types(data=skops.io.dumps(view))
        except skops.io.exceptions.UnsupportedTypeException as error:
            return [str(error)]
    return sorted(set(found) - _TRUSTED)


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
        raise FamilyError(
            f"{file}: must hold known types only. Received: {format_list(sorted(foreign))}. It is not loaded."
        )
    return skops.io.load(file, trusted=sorted(_TRUSTED))
