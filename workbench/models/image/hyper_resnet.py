"""KerasTuner's HyperResNet: the residual nets ResNet (He et al., 2015) and its second version (He et al., 2016)."""

from __future__ import annotations

from typing import Any

from workbench.models.nn import applications, image_input, training
from workbench.models.nn.training import load
from workbench.models.protocol import FitContext, Problem, Rows
from workbench.space.hypermodels import application

__all__ = ["fit", "load"]


def fit(hp: Any, problem: Problem, train: Rows, valid: Rows | None, setting: FitContext) -> training.Network:
    """Train a net that HyperResNet builds."""
    return applications.fit(_build, "hyper_resnet", hp, problem, train, valid, setting)


def _build(hp: Any, problem: Problem, known: image_input.PixelStatistics) -> Any:
    # ResNeXt, its third version, has a layer of Python code, which cannot be read back without running it.
    hp.Choice("version", ["v1", "v2"], default="v2")
    # Its default of 0.01 seldom learns anything from some thousand images.
    hp.Choice("learning_rate", [0.1, 0.01, 0.001], default=0.001)
    _, hidden = image_input.image_input(None, known)
    return application("HyperResNet", input_tensor=hidden, classes=problem.classes).build(hp)
