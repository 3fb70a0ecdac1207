"""The table of model families. To add a family, write one file with `fit` and `load`, and add one line to `FAMILIES`.

The table imports nothing heavy, so a study file is checked against it before any family is imported. A name that is not
in the table is a user's family, `file.py:Name` (see `wrappers.custom`); its file is parsed, not run.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from workbench.errors import FamilyError, suggest_word
from workbench.models.wrappers import user_code

_PACKAGE = "workbench.models"
_KERAS = "keras_tuner"
_KERAS_IMPORTS = frozenset({"keras", "keras_tuner", "kerastuner", "tensorflow"})


@dataclass(frozen=True)
class FamilyEntry:
    """The facts about a family that are known without importing it."""

    module: str
    """Its module: relative to `workbench.models` if it begins with a dot, else absolute."""
    description: str
    library: str
    """The library that it needs; worker processes import it before their first trial."""
    kinds: tuple[str, ...] = ("table", "text", "image", "sequence")
    """The kinds of data that it accepts; text is a table with a column of texts, mixed one with a column of images."""
    tasks: tuple[str, ...] = ("binary", "multiclass", "regression")
    """The tasks that it solves; several targets of these as well."""
    joint: bool = False
    """Whether one model learns several targets together; otherwise each target has a model."""
    other_libraries: tuple[str, ...] = ()
    """Further libraries that its models need, to train and to predict."""
    unlabelled: bool = False
    """Whether it also learns from the features, never the labels, of the rows to validate on and to predict."""
    keeps_deadline: bool = False
    """Whether its training ends at the deadline of `FitContext` with a usable model: that of the trees so far, or a net
    whose learning-rate schedule was compressed."""

    @property
    def module_name(self) -> str:
        """The absolute name of its module."""
        return importlib.util.resolve_name(self.module, _PACKAGE)

    @property
    def keras(self) -> bool:
        """Whether its search space must be KerasTuner's HyperParameters."""
        return self.library == _KERAS

    @property
    def installed(self) -> bool:
        """Whether its libraries can be imported."""
        return all(importlib.util.find_spec(each) is not None for each in (self.library, *self.other_libraries))

    def suits(self, kind: str, texts: bool = False) -> bool:
        """Return whether it can learn from data of a kind; from mixed data, a part it accepts is enough.

        Args:
            kind: what a row is.
            texts: whether mixed data has a column of texts.
        """
        parts = {"table", "image", *(["text"] if texts else [])} if kind == "mixed" else set()
        return kind in self.kinds or not parts.isdisjoint(self.kinds)


BASELINE = "constant"
_TABLE, _TEXT, _IMAGE = ("table", "text"), ("text",), ("image",)
_SEQUENCE, _STEPS = ("sequence",), ("sequence", "text")
_CLASSIFICATION = ("binary", "multiclass")
_net = partial(FamilyEntry, library=_KERAS, joint=True, keeps_deadline=True)
_hypermodel = partial(FamilyEntry, library=_KERAS, kinds=_IMAGE, tasks=_CLASSIFICATION, keeps_deadline=True)
_trees = partial(FamilyEntry, keeps_deadline=True)

FAMILIES = {
    BASELINE: FamilyEntry(
        ".tabular.constant", "the baseline: the classes' frequencies, the mean or the median", "sklearn"
    ),
    "tfidf_linear": FamilyEntry(
        ".text.tfidf_linear", "a linear model over words, characters and runs of them", "sklearn", kinds=_TEXT
    ),
    "tfidf_xgboost": _trees(
        ".text.tfidf_xgboost", "gradient-boosted trees over words and runs of them", "xgboost", kinds=_TEXT
    ),
    "linear": FamilyEntry(".tabular.linear", "ridge, logistic regression, elastic net", "sklearn"),
    "xgboost": _trees(".tabular.xgboost", "gradient-boosted trees (XGBoost)", "xgboost"),
    "lightgbm": _trees(".tabular.lightgbm", "gradient-boosted trees (LightGBM)", "lightgbm"),
    "catboost": _trees(".tabular.catboost", "gradient-boosted symmetric trees (CatBoost)", "catboost"),
    "extra_trees": _trees(".tabular.extra_trees", "extremely randomised trees (Geurts et al., 2006)", "sklearn"),
    "random_forest": _trees(".tabular.random_forest", "random forest (Breiman, 2001)", "sklearn"),
    "mlp": _net(".tabular.mlp", "a net of dense layers"),
    "wide_and_deep": _net(
        ".tabular.wide_and_deep",
        "a linear part over crosses, trained with a deep part with embeddings (Cheng et al., 2016)",
        kinds=("table", "text", "mixed"),
    ),
    "multi_input": _net(
        ".tabular.multi_input",
        "a net with a branch for each kind of column: numbers, categories, texts and images",
        kinds=("mixed", "table", "text", "image"),
    ),
    "tabm": _net(
        ".tabular.tabm", "many nets that share their matrices, averaged (Gorishniy et al., 2024)", kinds=_TABLE
    ),
    "dae_mlp": _net(
        ".tabular.dae_mlp",
        "dense layers on a denoising autoencoder's activations (Jahrer, 2017)",
        kinds=_TABLE,
        unlabelled=True,
    ),
    "dae_xgboost": _net(
        ".tabular.dae_xgboost",
        "boosted trees on the columns and a denoising autoencoder's activations (Jahrer, 2017)",
        kinds=_TABLE,
        other_libraries=("xgboost",),
        unlabelled=True,
        joint=False,
    ),
    "cnn": _net(".image.cnn", "blocks of 3×3 convolutions (Simonyan and Zisserman, 2014)", kinds=_IMAGE),
    "resnet": _net(".image.resnet", "a residual net (He et al., 2015)", kinds=_IMAGE),
    "inception": _net(
        ".image.inception", "branches of several window sizes, joined (Szegedy et al., 2015)", kinds=_IMAGE
    ),
    "mobilenet": _net(
        ".image.mobilenet", "inverted residuals with depthwise convolutions (Sandler et al., 2018)", kinds=_IMAGE
    ),
    "xception": _net(".image.xception", "separable convolutions with residuals (Chollet, 2017)", kinds=_IMAGE),
    "pretrained": _net(
        ".image.pretrained", "what a net has learnt from other images; needs `training: {pretrained: …}`", kinds=_IMAGE
    ),
    "conv1d": _net(".sequence.conv1d", "convolutions along the steps (Wang et al., 2017)", kinds=_STEPS),
    "conv1d_gru": _net(".sequence.conv1d_gru", "convolutions, then gated recurrent units", kinds=_STEPS),
    "gru": _net(".sequence.gru", "gated recurrent units (Cho et al., 2014)", kinds=_STEPS),
    "lstm": _net(".sequence.lstm", "long short-term memory (Hochreiter and Schmidhuber, 1997)", kinds=_STEPS),
    "hyper_resnet": _hypermodel(".image.hyper_resnet", "KerasTuner's HyperResNet"),
    "hyper_xception": _hypermodel(".image.hyper_xception", "KerasTuner's HyperXception"),
    "hyper_image_augment": _hypermodel(
        ".image.hyper_image_augment", "KerasTuner's HyperImageAugment before a small net of convolutions"
    ),
    "hyper_efficientnet": _hypermodel(
        ".image.hyper_efficientnet", "KerasTuner's HyperEfficientNet, whose weights are fetched"
    ),
    "hog_svm": FamilyEntry(
        ".image.hog_svm", "a support vector machine on gradient histograms", "sklearn", kinds=_IMAGE
    ),
    "hog_trees": _trees(".image.hog_trees", "extra trees on gradient histograms", "sklearn", kinds=_IMAGE),
    "rocket": FamilyEntry(
        ".sequence.rocket", "a linear model on random convolutions (Dempster et al., 2021)", "sklearn", kinds=_SEQUENCE
    ),
    "sequence_trees": _trees(
        ".sequence.sequence_trees", "extra trees on statistics and spectra of sequences", "sklearn", kinds=_SEQUENCE
    ),
    "sequence_xgboost": _trees(
        ".sequence.sequence_xgboost",
        "gradient-boosted trees on statistics and spectra of sequences",
        "xgboost",
        kinds=_SEQUENCE,
    ),
}


def family_names() -> tuple[str, ...]:
    """Return the names of all families in the table."""
    return tuple(FAMILIES)


def is_custom(name: str) -> bool:
    """Return whether a name is that of a user's family, `file.py:Name`."""
    return ".py" in name


def resolve_family(name: str, resolve: Callable[[str], Path]) -> str:
    """Return a name that means the same family in every process: that of a user's family has an absolute path.

    Args:
        name: the name in the study file.
        resolve: returns the file that a relative path means, as `StudyConfig.resolve` does.
    """
    return user_code.resolve_reference(name, resolve) if is_custom(name) else name


def get_entry(name: str, resolve: Callable[[str], Path] = Path) -> FamilyEntry:
    """Return the entry of a family; the file of a user's family is parsed, not run.

    Args:
        name: a name from `family_names()`, or `file.py:Name`.
        resolve: as for `resolve_family`.

    Raises:
        FamilyError: there is no family of that name, or its library is not installed.
    """
    if is_custom(name):
        keras = user_code.find_imported_libraries(user_code.check(name, resolve)) & _KERAS_IMPORTS
        return FamilyEntry(".wrappers.custom", f"your own, from {name}", _KERAS if keras else "sklearn")
    if name not in FAMILIES:
        hint = suggest_word(name, FAMILIES)
        raise FamilyError(f"must be a known family. Received: {name!r}.{hint}")
    entry = FAMILIES[name]
    if not entry.installed:
        raise FamilyError(
            f"must be an installed family. Received: {name!r}. Install it with: pip install {entry.library}."
        )
    return entry


def module_names(name: str) -> list[str]:
    """Return the names of the modules that a worker process imports before it trains the family."""
    entry = get_entry(name) if is_custom(name) else FAMILIES[name]
    hypermodels = [f"{_PACKAGE}.nn.hypermodel"] if is_custom(name) and entry.keras else []
    return [entry.module_name, *hypermodels]
