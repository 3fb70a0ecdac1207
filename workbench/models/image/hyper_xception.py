"""KerasTuner's HyperXception: depthwise separable convolutions with residuals (Chollet, 2017)."""

from __future__ import annotations

from typing import Any

from workbench.models.nn import applications, image_input, training
from workbench.models.nn.training import load
from workbench.models.protocol import FitContext, Problem, Rows
from workbench.space.hypermodels import application

__all__ = ["fit", "load"]


def fit(hp: Any, problem: Problem, train: Rows, valid: Rows | None, setting: FitContext) -> training.Network:
    """Train a net that HyperXception builds."""
    return applications.fit(_build, "hyper_xception", hp, problem, train, valid, setting)


def _build(hp: Any, problem: Problem, known: image_input.PixelStatistics) -> Any:
    _, hidden = image_input.image_input(None, known)
    return application("HyperXception", input_tensor=hidden, classes=problem.classes).build(hp)
