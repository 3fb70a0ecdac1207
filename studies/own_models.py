"""Models of one's own, for own_models.yaml and own_nets.yaml: a hypermodel, a build function, makers of estimators."""

from __future__ import annotations

import keras
import keras_tuner
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC


class Layers(keras_tuner.HyperModel):
    """Dense layers; how long they are trained, and on how many rows at a time, is searched too."""

    def __init__(self, classes):
        """Take the number of classes, which the study knows."""
        super().__init__()
        self.classes = classes

    def build(self, hp):
        """Return a compiled net."""
        net = keras.Sequential()
        for _ in range(hp.Int("layers", 1, 3)):
            net.add(keras.layers.Dense(hp.Int("units", 16, 128, step=16, default=64), activation="relu"))
        if hp.Boolean("dropout"):
            with hp.conditional_scope("dropout", [True]):
                net.add(keras.layers.Dropout(hp.Float("rate", 0.1, 0.5, step=0.1)))
        net.add(keras.layers.Dense(self.classes, activation="softmax"))
        rate = hp.Float("learning_rate", 1e-4, 1e-2, sampling="log", default=2e-3)
        net.compile(keras.optimizers.Adam(rate), "categorical_crossentropy", metrics=["accuracy"])
        return net

    def fit(self, hp, model, *args, **kwargs):
        """Train it."""
        batch, epochs = hp.Choice("batch_size", [16, 32, 64]), hp.Int("epochs", 10, 60, step=10, default=40)
        return model.fit(*args, batch_size=batch, epochs=epochs, **kwargs)


def build(hp, input_shape, classes):
    """Return a small net of convolutions for grey images."""
    net = keras.Sequential([keras.Input(input_shape), keras.layers.Reshape((*input_shape, 1))])
    net.add(keras.layers.Rescaling(1 / 16))
    for filters in (32, 64)[: hp.Int("blocks", 1, 2, default=2)]:
        net.add(keras.layers.Conv2D(filters, hp.Choice("kernel", [3, 5]), padding="same", activation="relu"))
        net.add(keras.layers.MaxPooling2D())
    net.add(keras.layers.Flatten())
    net.add(keras.layers.Dense(classes, activation="softmax"))
    net.compile(
        keras.optimizers.Adam(hp.Float("rate", 3e-4, 1e-2, sampling="log", default=2e-3)), "categorical_crossentropy"
    )
    return net


def boosted(hp):
    """Return boosted trees on binned values."""
    return HistGradientBoostingClassifier(
        learning_rate=hp.Float("learning_rate", 0.02, 0.3, sampling="log", default=0.1),
        max_leaf_nodes=hp.Int("leaves", 4, 32, sampling="log", default=8),
        max_iter=hp.Int("trees", 25, 200, step=25, default=100),
    )


def machine(hp):
    """Return a linear support vector machine, which has no probabilities until it is calibrated."""
    return make_pipeline(StandardScaler(), LinearSVC(C=hp.Float("C", 1e-3, 10.0, sampling="log", default=0.1)))
