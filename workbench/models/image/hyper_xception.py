"""KerasTuner's HyperXception: depthwise separable convolutions with residuals (Chollet, 2017)."""

from __future__ import annotations

from typing import Any

from workbench.models.nn import applications, image_input
from workbench.models.nn.image_input import ImageStatistics
from workbench.models.nn.keras_model import KerasModel, load
from workbench.models.protocol import FitContext, Problem, Rows
from workbench.space.hypermodels import application

__all__ = ["fit", "load"]


def fit(hp: Any, problem: Problem, train: Rows, valid: Rows | None, context: FitContext) -> KerasModel:
    """Train a net that HyperXception builds."""
    return applications.fit(_build, "hyper_xception", hp, problem, train, valid, context)


def _build(hp: Any, problem: Problem, statistics: ImageStatistics) -> Any:
    _, hidden = image_input.build_image_input(None, statistics)
    return application("HyperXception", input_tensor=hidden, classes=problem.classes).build(hp)
