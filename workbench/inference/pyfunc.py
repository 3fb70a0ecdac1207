"""The script that MLflow runs to load an ensemble or a member; MLflow copies it into the model."""

from __future__ import annotations

from pathlib import Path

from workbench.inference import predictor
from workbench.tracking import model_registry

MODEL = model_registry.set_pyfunc_model(
    Path(__file__).parent, lambda folder: predictor.read(folder).load_models().serve
)
