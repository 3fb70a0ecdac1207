"""KerasTuner's HyperResNet: the residual nets ResNet (He et al., 2015) and its second version (He et al., 2016)."""

from __future__ import annotations

from typing import Any

from workbench.models.nn import applications, image_input
from workbench.models.nn.image_input import ImageStatistics
from workbench.models.nn.keras_model import KerasModel, load
from workbench.models.protocol import FitContext, Problem, Rows
from workbench.space.hypermodels import application

__all__ = ["fit", "load"]


def fit(hp: Any, problem: Problem, train: Rows, valid: Rows | None, context: FitContext) -> KerasModel:
    """Train a net that HyperResNet builds."""
    return applications.fit(_build, "hyper_resnet", hp, problem, train, valid, context)


def _build(hp: Any, problem: Problem, statistics: ImageStatistics) -> Any:
    # Without ResNeXt, the third version: its Lambda layer cannot be loaded safely.
    hp.Choice("version", ["v1", "v2"], default="v2")
    # KerasTuner's default of 0.01 seldom learns anything from a few thousand images.
    hp.Choice("learning_rate", [0.1, 0.01, 0.001], default=0.001)
    _, hidden = image_input.build_image_input(None, statistics)
    return application("HyperResNet", input_tensor=hidden, classes=problem.classes).build(hp)
