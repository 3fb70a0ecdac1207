"""A family for benchmarks alone: a perceptron in numpy that trains for just 50 epochs, each so many passes long.

Importing it makes it known as `perceptron`; a process of trials does so when it is told to load this module.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from workbench import models
from workbench.models.protocol import FitContext, Inputs, Problem, Rows

NAME = "perceptron"
EPOCHS = 50
PASSES = "BENCHMARK_PASSES"
_BATCH = 32
_PIXELS = 16.0


@dataclass(frozen=True)
class Perceptron:
    """One hidden layer, and a probability for each class."""

    hidden: np.ndarray
    output: np.ndarray

    def predict(self, x: Inputs) -> np.ndarray:
        """Return the probabilities of the classes."""
        return _forward(self, _flat(x))[1]

    def save(self, folder: Path) -> None:
        """Write `perceptron.npz`."""
        np.savez(folder / "perceptron.npz", hidden=self.hidden, output=self.output)


def load(folder: Path) -> Perceptron:
    """Read what `save` wrote."""
    with np.load(folder / "perceptron.npz") as arrays:
        return Perceptron(arrays["hidden"], arrays["output"])


def fit(hp: Any, problem: Problem, train: Rows, valid: Rows | None, setting: FitContext) -> Perceptron:
    """Train by stochastic gradient descent, and tell of every epoch."""
    rng = np.random.default_rng(setting.seed)
    x, goal = _flat(train.x), np.eye(problem.classes)[train.y]
    units = hp.Int("units", 16, 128, sampling="log", default=48)
    rate = hp.Float("learning_rate", 0.01, 0.3, sampling="log", default=0.1)
    spread = hp.Float("spread", 0.05, 0.3, default=0.1)
    net = Perceptron(rng.normal(0, spread, (x.shape[1], units)), rng.normal(0, spread, (units + 1, problem.classes)))
    for epoch in range(EPOCHS):
        for _ in range(int(os.environ.get(PASSES, "1"))):
            for batch in np.array_split(rng.permutation(len(x)), len(x) // _BATCH):
                _step(net, x[batch], goal[batch], rate)
        losses = {"loss": _loss(net, train)} | ({} if valid is None else {"val_loss": _loss(net, valid)})
        setting.on_epoch(epoch, losses)
    return net


def _flat(x: Inputs) -> np.ndarray:
    rows = np.asarray(x, dtype=np.float64).reshape(len(x), -1) / _PIXELS
    return np.hstack([rows, np.ones((len(rows), 1))])


def _forward(net: Perceptron, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    hidden = np.hstack([np.maximum(x @ net.hidden, 0), np.ones((len(x), 1))])
    raw = hidden @ net.output
    raised = np.exp(raw - raw.max(axis=1, keepdims=True))
    return hidden, raised / raised.sum(axis=1, keepdims=True)


def _step(net: Perceptron, x: np.ndarray, goal: np.ndarray, rate: float) -> None:
    hidden, probabilities = _forward(net, x)
    error = (probabilities - goal) / len(x)
    back = (error @ net.output[:-1].T) * (hidden[:, :-1] > 0)
    net.output[:] -= rate * hidden.T @ error
    net.hidden[:] -= rate * x.T @ back


def _loss(net: Perceptron, rows: Rows) -> float:
    chosen = _forward(net, _flat(rows.x))[1][np.arange(len(rows.y)), rows.y]
    return float(-np.log(np.clip(chosen, 1e-12, None)).mean())


models.FAMILIES[NAME] = models.FamilyEntry(__name__, "a perceptron in numpy, for benchmarks", "numpy")
