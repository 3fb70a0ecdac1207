"""Models of images: histograms of oriented gradients, mixup, batches, optimizers, image sizes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from workbench import models
from workbench.features.hog import HogFeatures, resize
from workbench.models.nn.mixup import Mixup
from workbench.models.protocol import FitContext, Problem, Rows
from workbench.space import Space, defaults

NETS = [name for name, entry in models.FAMILIES.items() if entry.keras and "image" in entry.kinds]
# Without `pretrained`, whose net may take features, `hyper_efficientnet`, whose weights are downloaded, and
# `multi_input`, which has a list of inputs and no mixup.
CONVOLUTIONAL = [name for name in NETS if name not in {"mlp", "pretrained", "hyper_efficientnet", "multi_input"}]


def make_images(rows: int, *shape: int, seed: int = 0) -> np.ndarray:
    """Return noise of bytes, brighter in the right half of every second image."""
    x = np.random.default_rng(seed).integers(0, 128, (rows, *shape), dtype=np.uint8)
    x[1::2, :, shape[1] // 2 :] += 100
    return x


class Lazy:
    """A stand-in for an array on disk: indices give another lazy array, and `read` records the number of rows read."""

    def __init__(self, x: np.ndarray, read: list[int]) -> None:
        self.x, self.read = x, read
        self.shape, self.dtype = x.shape, x.dtype

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index):
        if isinstance(index, slice):
            self.read.append(len(self.x[index]))
            return self.x[index]
        return Lazy(self.x[index], self.read)

    def __array__(self, dtype=None, copy=None):
        self.read.append(len(self.x))
        return np.asarray(self.x, dtype=dtype)


def test_vertical_and_horizontal_edges_count_for_different_orientations():
    vertical = np.zeros((1, 8, 8), np.float32)
    vertical[:, :, 4:] = 1
    shares = [HogFeatures(2, 8, 0).fit(x).transform(x).reshape(-1, 8).sum(axis=0) for x in (vertical, vertical.mT)]
    assert (shares[0] > 0).tolist() == [True] + 7 * [False]
    assert (shares[1] > 0).tolist() == [index == 4 for index in range(8)]


def test_a_slanted_edge_is_split_between_the_two_nearest_orientations():
    down, across = np.mgrid[:8, :8]
    slanted = (across * np.cos(np.pi / 16) + down * np.sin(np.pi / 16))[None].astype(np.float32)
    votes = HogFeatures(1, 8, 0).fit(slanted).transform(slanted).reshape(8)
    assert np.flatnonzero(votes > 1e-3).tolist() == [0, 1]
    np.testing.assert_allclose(votes[0], votes[1], rtol=1e-3)


def test_hog_features_do_not_depend_on_brightness_and_contrast():
    x = make_images(6, 28, 28).astype(np.float32)
    hog = HogFeatures(7, 9, 0).fit(x)
    np.testing.assert_allclose(hog.transform(x / 3 + 50), hog.transform(x), atol=1e-4)


@pytest.mark.parametrize("shape", [(8, 8), (28, 28), (28, 28, 1), (40, 17, 3), (128, 96, 3), (1, 1)])
def test_hog_features_of_an_image_of_any_size_do_not_depend_on_the_other_rows(shape):
    x = make_images(300, *shape)
    hog = HogFeatures().fit(x)
    matrix = hog.transform(x)
    assert matrix.dtype == np.float32
    assert np.isfinite(matrix).all()
    np.testing.assert_allclose(hog.transform(x[270:271]), matrix[270:271], atol=1e-5)


def test_a_resized_pixel_is_the_mean_of_the_pixels_it_covers():
    x = np.random.default_rng(1).normal(size=(2, 12, 18, 3)).astype(np.float32)
    np.testing.assert_allclose(resize(x, 6), x.reshape(2, 6, 2, 6, 3, 3).mean(axis=(2, 4)), atol=1e-6)
    np.testing.assert_allclose(resize(x, 5).mean(axis=(1, 2)), x.mean(axis=(1, 2)), atol=1e-5)


@pytest.mark.parametrize("loss", ["logistic", "hinge"])
def test_hog_svm_gives_calibrated_probabilities(loss):
    rng = np.random.default_rng(4)
    y = rng.integers(0, 2, 900)
    # A fifth of the images show the other class.
    shown = np.where(rng.random(900) < 0.2, 1 - y, y)
    x = rng.integers(0, 60, (900, 8, 8), dtype=np.uint8)
    x[shown == 1, :, 4:] += 150
    hp = Space(lambda question: loss if question.name == "loss" else 1.0 if question.name == "C" else question.default)
    context = FitContext(3, 1, lambda epoch, losses, progress=None, of=None: None)
    problem = Problem("image", "binary", 2, {}, "log_loss")
    model = models.get_family("hog_svm").fit(hp, problem, Rows(x[:600], y[:600]), None, context)
    predicted = model.predict(x[600:])
    assert 0.7 < predicted[shown[600:] == 1].mean() < 0.9
    assert 0.1 < predicted[shown[600:] == 0].mean() < 0.3


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("kind", ["mixup", "cutmix"])
def test_mixed_targets_have_the_same_share_as_mixed_pixels(kind, dtype):
    pytest.importorskip("keras")
    x = np.concatenate([np.zeros((8, 10, 10)), np.full((8, 10, 10), 200)]).astype(dtype)
    y = np.repeat([0.0, 1.0], 8)
    mixed, targets, weight = Mixup(kind, 1.0).mix(x, y, np.ones(16), seed=(1, 2, 3))
    assert mixed.dtype == dtype
    assert (x[:8] == 0).all()
    assert 0 < targets.mean() < 1
    np.testing.assert_allclose(mixed.mean(axis=(1, 2)) / 200, targets, atol=0.003)
    assert weight is not None
    np.testing.assert_allclose(weight, 1)


@pytest.mark.slow
def test_batches_hold_every_row_once_and_are_reshuffled_every_epoch():
    from workbench.models.nn import data_loader

    read: list[int] = []
    x = np.arange(23)[:, None].astype(np.float32)
    batches = data_loader.Batches(Lazy(x, read), np.arange(23), batch_size=5, seed=1)
    epochs = []
    for _ in range(2):
        pairs = [batches[index] for index in range(len(batches))]
        epochs.append(np.concatenate([y for _, y in pairs]))
        np.testing.assert_array_equal(np.concatenate([rows for rows, _ in pairs])[:, 0], epochs[-1])
        batches.on_epoch_end()
    assert sorted(epochs[0]) == sorted(epochs[1]) == list(range(23))
    assert epochs[0].tolist() != epochs[1].tolist() != list(range(23))
    assert max(read) == 5


@pytest.mark.slow
@pytest.mark.parametrize("task", ["multiclass", "regression"])
def test_a_net_trains_and_predicts_from_a_large_array_in_batches(task, monkeypatch):
    from workbench.models.nn import data_loader
    from workbench.space.keras import HyperParameters

    monkeypatch.setattr(data_loader, "MAX_IN_MEMORY_BYTES", 1000)
    monkeypatch.setattr(data_loader, "MAX_PREDICTION_VALUES", 20 * 64)
    read: list[int] = []
    x, y = make_images(90, 8, 8), np.arange(90) % 3 if task == "multiclass" else (np.arange(90) % 2) * 7.0
    problem = Problem("image", task, 3 if task == "multiclass" else 0, {}, "log_loss")
    context = FitContext(3, 1, lambda epoch, losses, progress=None, of=None: None, epochs=2)
    train_x: Any = Lazy(x[:60], read)
    valid_x: Any = Lazy(x[60:], read)
    train, valid = Rows(train_x, y[:60], np.ones(60)), Rows(valid_x, y[60:])
    model = models.get_family("cnn").fit(HyperParameters(defaults), problem, train, valid, context)
    lazy = model.predict(valid.x)
    # The first read is the sample for pixel statistics, here all rows; later reads are batches.
    assert max(read[1:]) <= 32 < read[0] == 60
    np.testing.assert_allclose(lazy, model.predict(x[60:]), rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "shape"),
    [
        # KerasTuner's residual net takes a minute.
        *((name, (20, 28, 3)) for name in CONVOLUTIONAL if name != "hyper_resnet"),
        ("cnn", (28, 28, 1)),
        ("cnn", (96, 128, 3)),
    ],
)
def test_a_net_takes_byte_images_of_any_size_and_trains_with_mixup(family, shape):
    from workbench.space.keras import HyperParameters

    chosen = {"filters": 16, "mixing": "mixup", "augmentation": "much"}
    hp = HyperParameters(lambda question: chosen.get(question.name, question.default))
    x, y = make_images(12, *shape), np.arange(12) % 2
    problem = Problem("image", "binary", 2, {}, "log_loss")
    context = FitContext(3, 1, lambda epoch, losses, progress=None, of=None: None, epochs=1)
    model: Any = models.get_family(family).fit(hp, problem, Rows(x, y), Rows(x, y), context)
    assert model.net.input.dtype == "uint8"
    assert model.predict(x).shape == (12,)


@pytest.mark.slow
def test_a_shift_does_not_blur_an_image():
    import keras

    from workbench.models.nn import augmentation

    x = make_images(40, 28, 28, 1).astype("float32") / 255
    start = keras.Input((28, 28, 1))
    net = keras.Model(start, augmentation.augment({"shift": 0.1}, start))
    shifted = np.asarray(net(x, training=True))
    assert not np.array_equal(shifted, x)
    # Interpolation would create values that no pixel had.
    assert np.isin(shifted, [*np.unique(x), 0]).all()


@pytest.mark.slow
@pytest.mark.parametrize("schedule", ["plateau", "cosine", "step"])
@pytest.mark.parametrize("name", ["adamw", "adam", "rmsprop", "sgd", "adagrad"])
def test_every_optimizer_declares_only_its_own_hyperparameters(name, schedule):
    from workbench.models.nn import optimizer
    from workbench.space.keras import HyperParameters

    asked = []
    chosen = {"optimizer": name, "schedule": schedule}

    def suggest(question):
        asked.append(question.name)
        return chosen.get(question.name, question.default)

    hp = HyperParameters(suggest)
    found, rates = optimizer.search_optimizer(hp, optimizer.OptimizerChoices())
    assert type(found).__name__.lower() == name
    assert float(found.learning_rate) == pytest.approx(hp.values["learning_rate"], rel=1e-6)
    assert ("weight_decay" in hp.values) == (name == "adamw")
    assert ("momentum" in hp.values) == (name == "sgd")
    assert ("horizon" in hp.values) == (schedule != "plateau")
    assert len(asked) == len(hp.values)
    assert rates.kind == schedule
    assert rates.limit_epochs(1000) == (1000 if schedule == "plateau" else rates.horizon)


@pytest.mark.slow
def test_the_rate_rises_during_warm_up_and_falls_over_the_horizon():
    from workbench.models.nn.optimizer import LearningRateSchedule

    cosine = [LearningRateSchedule("cosine", 1.0, 2, 10).compute_rate(epoch, 0.5) for epoch in range(10)]
    np.testing.assert_allclose(cosine[:3], [1 / 3, 2 / 3, 1])
    assert cosine[2:] == sorted(cosine[2:], reverse=True)
    assert cosine[6] == pytest.approx(0.5)
    step = [LearningRateSchedule("step", 1.0, 0, 8).compute_rate(epoch, 0.5) for epoch in range(8)]
    np.testing.assert_allclose(step, [1, 1, 1, 1, 0.1, 0.1, 0.01, 0.01])
    plateau = [LearningRateSchedule("plateau", 1.0, 1, None).compute_rate(epoch, 0.3) for epoch in range(4)]
    np.testing.assert_allclose(plateau, [0.5, 1.0, 0.3, 0.3])
