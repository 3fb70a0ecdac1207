"""The script that MLflow runs to load an ensemble or a member: given as a path, and taken along with the model."""

from pathlib import Path

from workbench.study import bundle
from workbench.tracking import logged

MODEL = logged.offer(Path(__file__).parent, lambda folder: bundle.read(folder).in_memory().serve)
