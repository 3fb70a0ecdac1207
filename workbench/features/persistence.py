"""Fitted transformers and estimators on disk, without pickle (skops).

A skops file is a zip archive whose `schema.json` names the module and the class of every object. Files of older
versions name classes that have moved since; a table maps them to the present ones.
"""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

from workbench.errors import FamilyError, format_list

_KERNELS = ("ConstantKernel", "DotProduct", "Matern", "Product", "RBF", "RationalQuadratic", "Sum", "WhiteKernel")
# Types that `load` rebuilds beside those of scikit-learn, SciPy and NumPy that skops itself trusts.
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
        "workbench.features.array_transformers.EmptyColumnImputer",
        "workbench.features.array_transformers.Flatten",
        "workbench.features.array_transformers.SequenceStandardizer",
        "workbench.features.array_transformers.Thumbnails",
        "workbench.features.encoders.CategoryIndexEncoder",
        "workbench.features.encoders.FeatureCrosses",
        "workbench.features.encoders.TargetMeanEncoder",
        "workbench.features.hog.HogFeatures",
        "workbench.features.minirocket.MiniRocket",
        "workbench.features.number_centering.NumberCentering",
        "workbench.features.piecewise_linear.PiecewiseLinearEncoder",
        "workbench.features.sequence_scaler.SequenceScaler",
        "workbench.features.sequence_statistics.SequenceStatistics",
        "workbench.features.sparse.ExplicitZeros",
        "workbench.features.text_statistics.TextStatistics",
        "workbench.features.tfidf.LatentTopics",
        "workbench.features.tfidf.Tfidf",
        "workbench.models.sequence.rocket.ScaledLogisticRegression",
        "workbench.models.text.tfidf_linear.OneVsRestLogisticRegression",
    }
)
# Dotted names in files that older versions wrote -> the classes that load them now.
_RENAMED = {
    "workbench.features.grams.Grams": "workbench.features.tfidf.Tfidf",
    "workbench.features.grams.Topics": "workbench.features.tfidf.LatentTopics",
    "workbench.features.kernels.Kernels": "workbench.features.minirocket.MiniRocket",
    "workbench.features.looks.Looks": "workbench.features.text_statistics.TextStatistics",
    "workbench.features.pieces.Pieces": "workbench.features.piecewise_linear.PiecewiseLinearEncoder",
    "workbench.features.sparse.Stored": "workbench.features.sparse.ExplicitZeros",
    "workbench.features.steps.Steps": "workbench.features.sequence_scaler.SequenceScaler",
    "workbench.features.summaries.Summaries": "workbench.features.sequence_statistics.SequenceStatistics",
    "workbench.features.views.Codes": "workbench.features.encoders.CategoryIndexEncoder",
    "workbench.features.views.Crosses": "workbench.features.encoders.FeatureCrosses",
    "workbench.features.views.Flatten": "workbench.features.array_transformers.Flatten",
    "workbench.features.views.Means": "workbench.features.encoders.TargetMeanEncoder",
    "workbench.features.views.Present": "workbench.features.array_transformers.EmptyColumnImputer",
    "workbench.features.views.Scores": "workbench.features.array_transformers.SequenceStandardizer",
    "workbench.features.views.Thumbnails": "workbench.features.array_transformers.Thumbnails",
    "workbench.models.histograms.Histograms": "workbench.features.hog.HogFeatures",
    "workbench.models.rocket.Spanned": "workbench.models.sequence.rocket.ScaledLogisticRegression",
    "workbench.models.tfidf_linear.OneAgainstRest": "workbench.models.text.tfidf_linear.OneVsRestLogisticRegression",
}
_RENAMED_MODULES = frozenset(name.rpartition(".")[0] for name in _RENAMED)
_SCHEMA = "schema.json"


def save(transformer: Any, file: Path) -> None:
    """Write a fitted scikit-learn object with skops, which uses no pickle."""
    import skops.io

    skops.io.dump(transformer, file)


def find_untrusted_types(transformer: Any) -> list[str]:
    """Return the types that `load` would refuse, in a scikit-learn object or in the file at a `Path`."""
    import skops.io

    if isinstance(transformer, Path):
        return _find_untrusted(_read(transformer))
    try:
        return _find_untrusted({"data": skops.io.dumps(transformer)})
    except skops.io.exceptions.UnsupportedTypeException as error:
        return [str(error)]


def load(file: Path) -> Any:
    """Return the object that `save` wrote to a file, in this version or an older one.

    Only types of this package and of the libraries it trusts are rebuilt.

    Raises:
        FamilyError: the file holds another type, or is damaged.
    """
    import skops.io

    try:
        source = _read(file)
        untrusted = _find_untrusted(source)
    except (OSError, zipfile.BadZipFile, KeyError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise FamilyError(f"{file}: must be a file that workbench saved. Received: {error}.") from error
    if untrusted:
        raise FamilyError(f"{file}: must hold known types only. Received: {format_list(untrusted)}. It is not loaded.")
    read = skops.io.load if "file" in source else skops.io.loads
    return read(**source, trusted=sorted(_TRUSTED))


def _find_untrusted(source: dict[str, Any]) -> list[str]:
    """Return the untrusted types in a skops archive, sorted; `source` holds its `file` or its `data`."""
    import skops.io

    return sorted(set(skops.io.get_untrusted_types(**source)) - _TRUSTED)


def _read(file: Path) -> dict[str, Any]:
    """Return the archive as skops takes it: the `file`, or its `data` with the renamed classes in the schema."""
    with zipfile.ZipFile(file) as archive:
        schema = archive.read(_SCHEMA).decode("utf-8")
        if not any(f'"{module}"' in schema for module in _RENAMED_MODULES):
            return {"file": file}
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as renamed:
            for name in archive.namelist():
                renamed.writestr(name, archive.read(name) if name != _SCHEMA else _rename(schema))
    return {"data": buffer.getvalue()}


def _rename(schema: str) -> str:
    """Return a skops schema with the present module and name of every renamed class."""

    def rename_node(node: dict[str, Any]) -> dict[str, Any]:
        present = _RENAMED.get(f"{node.get('__module__')}.{node.get('__class__')}")
        if present is not None:
            node["__module__"], _, node["__class__"] = present.rpartition(".")
        return node

    return json.dumps(json.loads(schema, object_hook=rename_node))
