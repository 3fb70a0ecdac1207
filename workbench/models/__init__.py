"""The model families, each a module with `fit` and `load`.

registry   the table of families: what each accepts, and where it is
protocol   what a family and its models are
tabular/   families for tables
image/     families for images
text/      families for texts
sequence/  families for sequences
nn/        parts of nets that the Keras families share
wrappers/  families made of something else: a scikit-learn estimator, a user's file, a model for each target
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, cast

from workbench.models.registry import (
    BASELINE,
    FAMILIES,
    FamilyEntry,
    family_names,
    get_entry,
    is_custom,
    module_names,
    resolve_family,
)

if TYPE_CHECKING:
    from workbench.models.protocol import Family

__all__ = [
    "BASELINE",
    "FAMILIES",
    "FamilyEntry",
    "family_names",
    "get_entry",
    "get_family",
    "module_names",
    "resolve_family",
]


def get_family(name: str, *, check: bool = True) -> Family:
    """Import a family, and return it with the wrappers that it needs; a user's file runs only when it trains.

    A family that does not accept mixed data is given the part that it accepts. If it does not learn several targets
    together, it trains a model for each.

    Args:
        name: a name from `family_names()`, or `file.py:Name`.
        check: whether it must be ready to train; loading models needs less, not even a user's file.

    Raises:
        FamilyError: there is no family of that name, or its library is not installed.
    """
    from workbench.models.wrappers.modality import ModalityFamily
    from workbench.models.wrappers.multi_output import MultiOutputFamily

    if check:
        get_entry(name)
    if is_custom(name):
        from workbench.models.wrappers.custom import CustomFamily

        return MultiOutputFamily(ModalityFamily(CustomFamily(name), FamilyEntry.kinds), joint=False)
    entry = FAMILIES[name]
    family = cast("Family", importlib.import_module(entry.module_name))
    return MultiOutputFamily(
        family if "mixed" in entry.kinds else ModalityFamily(family, entry.kinds), joint=entry.joint
    )
