"""The model families. To add one: a file here with `fit` and `load`, and one line in `FAMILIES`.

The table is light: a study file is checked against it before anything heavy is imported. A family that is not in it is
the user's own, `file.py:Name` (see `own`): its file is looked at, not run.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from workbench.errors import FamilyError, suggest_word
from workbench.models.wrappers import user_code

if TYPE_CHECKING:
    from workbench.models.protocol import Family

__all__ = ["BASELINE", "FAMILIES", "FamilyEntry", "entry", "family", "module", "modules", "names", "resolve_family"]


@dataclass(frozen=True)
class FamilyEntry:
    """What there is to know about a family without importing it."""

    folder: str
    """The folder of `workbench/models` that holds its file."""
    about: str
    package: str
    """The library that must be installed; importing it is what a worker is warmed up with."""
    kinds: tuple[str, ...] = ("table", "text", "image", "sequence")
    """What it takes as it is; text is a table with a column of texts, mixed one with a column of images."""
    tasks: tuple[str, ...] = ("binary", "multiclass", "regression")
    """What it can be asked; several targets of these as well."""
    joint: bool = False
    """Whether one model of it learns several targets together; else it is one model for each."""
    also: tuple[str, ...] = ()
    """The other libraries that its models need, to train and to predict."""
    unlabelled: bool = False
    """Whether it also learns from the features, never from the labels, of the rows to validate on and to predict."""

    @property
    def keras(self) -> bool:
        """Whether the family speaks KerasTuner's own HyperParameters."""
        return self.package == "keras_tuner"

    def suits(self, kind: str, texts: bool = False) -> bool:
        """Tell whether it can learn from data of a kind, or from a part of what is mixed.

        Args:
            kind: what a row is.
            texts: whether there are texts among the columns of what is mixed.
        """
        parts = {"table", "image", *(["text"] if texts else [])} if kind == "mixed" else set()
        return kind in self.kinds or not parts.isdisjoint(self.kinds)

    @property
    def installed(self) -> bool:
        """Whether its libraries can be imported."""
        return all(importlib.util.find_spec(library) is not None for library in (self.package, *self.also))


BASELINE = "constant"
_CLASSES = ("binary", "multiclass")

FAMILIES = {
    BASELINE: FamilyEntry("tabular", "the baseline: the classes' frequencies, the mean or the median", "sklearn"),
    "tfidf_linear": FamilyEntry(
        "text", "a linear model over words, characters and runs of them", "sklearn", kinds=("text",)
    ),
    "tfidf_xgboost": FamilyEntry(
        "text", "gradient-boosted trees over words and runs of them", "xgboost", kinds=("text",)
    ),
    "linear": FamilyEntry("tabular", "ridge, logistic regression, elastic net", "sklearn"),
    "xgboost": FamilyEntry("tabular", "gradient-boosted trees (XGBoost)", "xgboost"),
    "lightgbm": FamilyEntry("tabular", "gradient-boosted trees (LightGBM)", "lightgbm"),
    "catboost": FamilyEntry("tabular", "gradient-boosted symmetric trees (CatBoost)", "catboost"),
    "extra_trees": FamilyEntry("tabular", "extremely randomised trees (Geurts et al., 2006)", "sklearn"),
    "random_forest": FamilyEntry("tabular", "random forest (Breiman, 2001)", "sklearn"),
    "mlp": FamilyEntry("tabular", "a net of dense layers", "keras_tuner", joint=True),
    "wide_and_deep": FamilyEntry(
        "tabular",
        "a linear part over crosses, trained with a deep part with embeddings (Cheng et al., 2016)",
        "keras_tuner",
        kinds=("table", "text", "mixed"),
        joint=True,
    ),
    "multi_input": FamilyEntry(
        "tabular",
        "a net with a branch for each kind of column: numbers, categories, texts and images",
        "keras_tuner",
        kinds=("mixed", "table", "text", "image"),
        joint=True,
    ),
    "tabm": FamilyEntry(
        "tabular",
        "many nets that share their matrices, averaged (Gorishniy et al., 2024)",
        "keras_tuner",
        kinds=("table", "text"),
        joint=True,
    ),
    "dae_mlp": FamilyEntry(
        "tabular",
        "dense layers on a denoising autoencoder's activations (Jahrer, 2017)",
        "keras_tuner",
        kinds=("table", "text"),
        unlabelled=True,
        joint=True,
    ),
    "dae_xgboost": FamilyEntry(
        "tabular",
        "boosted trees on the columns and a denoising autoencoder's activations (Jahrer, 2017)",
        "keras_tuner",
        kinds=("table", "text"),
        also=("xgboost",),
        unlabelled=True,
    ),
    "cnn": FamilyEntry(
        "image",
        "blocks of 3×3 convolutions (Simonyan and Zisserman, 2014)",
        "keras_tuner",
        kinds=("image",),
        joint=True,
    ),
    "resnet": FamilyEntry("image", "a residual net (He et al., 2015)", "keras_tuner", kinds=("image",), joint=True),
    "inception": FamilyEntry(
        "image",
        "branches of several window sizes, joined (Szegedy et al., 2015)",
        "keras_tuner",
        kinds=("image",),
        joint=True,
    ),
    "mobilenet": FamilyEntry(
        "image",
        "inverted residuals with depthwise convolutions (Sandler et al., 2018)",
        "keras_tuner",
        kinds=("image",),
        joint=True,
    ),
    "xception": FamilyEntry(
        "image", "separable convolutions with residuals (Chollet, 2017)", "keras_tuner", kinds=("image",), joint=True
    ),
    "pretrained": FamilyEntry(
        "image",
        "what a net has learnt from other images; needs `training: {pretrained: …}`",
        "keras_tuner",
        kinds=("image",),
        joint=True,
    ),
    "conv1d": FamilyEntry(
        "sequence",
        "convolutions along the steps (Wang et al., 2017)",
        "keras_tuner",
        kinds=("sequence", "text"),
        joint=True,
    ),
    "conv1d_gru": FamilyEntry(
        "sequence", "convolutions, then gated recurrent units", "keras_tuner", kinds=("sequence", "text"), joint=True
    ),
    "gru": FamilyEntry(
        "sequence", "gated recurrent units (Cho et al., 2014)", "keras_tuner", kinds=("sequence", "text"), joint=True
    ),
    "lstm": FamilyEntry(
        "sequence",
        "long short-term memory (Hochreiter and Schmidhuber, 1997)",
        "keras_tuner",
        kinds=("sequence", "text"),
        joint=True,
    ),
    "hyper_resnet": FamilyEntry("image", "KerasTuner's HyperResNet", "keras_tuner", kinds=("image",), tasks=_CLASSES),
    "hyper_xception": FamilyEntry(
        "image", "KerasTuner's HyperXception", "keras_tuner", kinds=("image",), tasks=_CLASSES
    ),
    "hyper_image_augment": FamilyEntry(
        "image",
        "KerasTuner's HyperImageAugment before a small net of convolutions",
        "keras_tuner",
        kinds=("image",),
        tasks=_CLASSES,
    ),
    "hyper_efficientnet": FamilyEntry(
        "image",
        "KerasTuner's HyperEfficientNet, whose weights are fetched",
        "keras_tuner",
        kinds=("image",),
        tasks=_CLASSES,
    ),
    "hog_svm": FamilyEntry("image", "a support vector machine on gradient histograms", "sklearn", kinds=("image",)),
    "hog_trees": FamilyEntry("image", "extra trees on gradient histograms", "sklearn", kinds=("image",)),
    "rocket": FamilyEntry(
        "sequence", "a linear model on random convolutions (Dempster et al., 2021)", "sklearn", kinds=("sequence",)
    ),
    "sequence_trees": FamilyEntry(
        "sequence", "extra trees on statistics and spectra of sequences", "sklearn", kinds=("sequence",)
    ),
    "sequence_xgboost": FamilyEntry(
        "sequence",
        "gradient-boosted trees on statistics and spectra of sequences",
        "xgboost",
        kinds=("sequence",),
    ),
}


def names() -> tuple[str, ...]:
    """Return the names of all families."""
    return tuple(FAMILIES)


def resolve_family(name: str, resolve: Callable[[str], Path]) -> str:
    """Return a family as every process finds it: by its name, or a user's own by `file.py:Name` with an absolute path.

    Args:
        name: as the study file has it.
        resolve: finds the file that is meant by a relative path, as `StudyConfig.resolve` does.
    """
    return user_code.resolve_reference(name, resolve) if _own(name) else name


def entry(name: str, resolve: Callable[[str], Path] = Path) -> FamilyEntry:
    """Return what is known of a family; the file of one's own is looked at, not run.

    Args:
        name: a name from `names()`, or `file.py:Name`.
        resolve: as for `located`.

    Raises:
        FamilyError: there is none of that name, or its library is not installed.
    """
    if _own(name):
        keras = user_code.imported_libraries(user_code.check(name, resolve)) & {
            "keras",
            "keras_tuner",
            "kerastuner",
            "tensorflow",
        }
        return FamilyEntry("wrappers", f"your own, from {name}", "keras_tuner" if keras else "sklearn")
    if name not in FAMILIES:
        hint = suggest_word(name, FAMILIES)
        raise FamilyError(f"must be a known family. Received: {name!r}.{hint}")
    found = FAMILIES[name]
    if not found.installed:
        raise FamilyError(
            f"must be an installed family. Received: {name!r}. Install it with: pip install {found.package}."
        )
    return found


def family(name: str) -> Family:
    """Return what trains and loads the models of a family, imported now; a user's own file runs when it trains.

    Raises:
        FamilyError: there is none of that name, or its library is not installed.
    """
    entry(name)
    return module(name)


def module(name: str) -> Family:
    """Return what loads a family's models, and trains them: what only training needs may be missing.

    Of rows with images among their columns, a family that does not take them whole is given its part; for several
    targets, one that does not learn them together has a model for each.
    """
    from workbench.models.wrappers.modality import ModalityFamily
    from workbench.models.wrappers.multi_output import MultiOutputFamily

    if _own(name):
        from workbench.models.wrappers.custom import CustomFamily

        return MultiOutputFamily(ModalityFamily(CustomFamily(name), FamilyEntry.kinds), joint=False)
    known = FAMILIES[name]
    family = cast("Family", importlib.import_module(f"workbench.models.{known.folder}.{name}"))
    return MultiOutputFamily(
        family if "mixed" in known.kinds else ModalityFamily(family, known.kinds), joint=known.joint
    )


def modules(name: str) -> list[str]:
    """Return the names of the modules that a process which trains the family should have loaded."""
    if not _own(name):
        return [f"workbench.models.{FAMILIES[name].folder}.{name}"]
    return ["workbench.models.wrappers.custom", *(["workbench.models.nn.hypermodel"] if entry(name).keras else [])]


def _own(name: str) -> bool:
    return ".py" in name
