"""What is particular to models of images: gradient histograms, mixed rows, batches, optimizers, sizes of images."""

from __future__ import annotations

import numpy as np
import pytest

from workbench import models
from workbench.features.hog import HogFeatures, resize
from workbench.models.nn.mixup import Mixup
from workbench.models.protocol import FitContext, Problem, Rows
from workbench.space import Space, defaults

NETS = [name for name, entry in models.FAMILIES.items() if entry.keras and "image" in entry.kinds]
# `pretrained` may give its net features, and the weights of `hyper_efficientnet` are fetched; `multi_input` has a list
# of inputs, and mixes no rows.
CONVOLUTIONAL = [name for name in NETS if name not in {"mlp", "pretrained", "hyper_efficientnet", "multi_input"}]


def pictures(rows: int, *shape: int, seed: int = 0) -> np.ndarray:
    """Return noise of bytes, brighter in the right half of every second image."""
    x = np.random.default_rng(seed).integers(0, 128, (rows, *shape), dtype=np.uint8)
    x[1::2, :, shape[1] // 2 :] += 100
    return x


class Lazy:
    """An array as it may lie on disk: rows by number are a view, and what is read is written down."""

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


def test_a_vertical_edge_votes_for_one_direction_and_a_horizontal_one_for_another():
    standing = np.zeros((1, 8, 8), np.float32)
    standing[:, :, 4:] = 1
    shares = [HogFeatures(2, 8, 0).fit(x).transform(x).reshape(-1, 8).sum(axis=0) for x in (standing, standing.mT)]
    assert (shares[0] > 0).tolist() == [True] + 7 * [False]
    assert (shares[1] > 0).tolist() == [place == 4 for place in range(8)]


def test_a_slanted_edge_is_shared_by_the_two_nearest_directions():
    down, across = np.mgrid[:8, :8]
    slanted = (across * np.cos(np.pi / 16) + down * np.sin(np.pi / 16))[None].astype(np.float32)
    votes = HogFeatures(1, 8, 0).fit(slanted).transform(slanted).reshape(8)
    assert np.flatnonzero(votes > 1e-3).tolist() == [0, 1]
    np.testing.assert_allclose(votes[0], votes[1], rtol=1e-3)


def test_gradient_histograms_do_not_change_with_brightness_and_contrast():
    x = pictures(6, 28, 28).astype(np.float32)
    hog = HogFeatures(7, 9, 0).fit(x)
    np.testing.assert_allclose(hog.transform(x / 3 + 50), hog.transform(x), atol=1e-4)


@pytest.mark.parametrize("shape", [(8, 8), (28, 28), (28, 28, 1), (40, 17, 3), (128, 96, 3), (1, 1)])
def test_images_of_any_size_become_histograms_alone_as_among_others(shape):
    x = pictures(300, *shape)
    hog = HogFeatures().fit(x)
    matrix = hog.transform(x)
    assert matrix.dtype == np.float32
    assert np.isfinite(matrix).all()
    np.testing.assert_allclose(hog.transform(x[270:271]), matrix[270:271], atol=1e-5)


def test_a_shrunk_pixel_is_the_mean_of_what_it_covers():
    x = np.random.default_rng(1).normal(size=(2, 12, 18, 3)).astype(np.float32)
    np.testing.assert_allclose(resize(x, 6), x.reshape(2, 6, 2, 6, 3, 3).mean(axis=(2, 4)), atol=1e-6)
    np.testing.assert_allclose(resize(x, 5).mean(axis=(1, 2)), x.mean(axis=(1, 2)), atol=1e-5)


@pytest.mark.parametrize("loss", ["logistic", "hinge"])
def test_a_machine_on_histograms_gives_probabilities_that_mean_what_they_say(loss):
    rng = np.random.default_rng(4)
    y = rng.integers(0, 2, 900)
    # A fifth of the images do not show their class.
    shown = np.where(rng.random(900) < 0.2, 1 - y, y)
    x = rng.integers(0, 60, (900, 8, 8), dtype=np.uint8)
    x[shown == 1, :, 4:] += 150
    hp = Space(lambda question: loss if question.name == "loss" else 1.0 if question.name == "C" else question.default)
    setting = FitContext(3, 1, lambda epoch, losses, progress=None, of=None: None)
    problem = Problem("image", "binary", 2, {}, "log_loss")
    model = models.family("hog_svm").fit(hp, problem, Rows(x[:600], y[:600]), None, setting)
    told = model.predict(x[600:])
    assert 0.7 < told[shown[600:] == 1].mean() < 0.9
    assert 0.1 < told[shown[600:] == 0].mean() < 0.3


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("kind", ["mixup", "cutmix"])
def test_mixed_rows_have_targets_in_the_share_of_their_pixels(kind, dtype):
    pytest.importorskip("keras")
    x = np.concatenate([np.zeros((8, 10, 10)), np.full((8, 10, 10), 200)]).astype(dtype)
    y = np.repeat([0.0, 1.0], 8)
    mixed, targets, weight = Mixup(kind, 1.0).mixed(x, y, np.ones(16), seed=(1, 2, 3))
    assert mixed.dtype == dtype
    assert (x[:8] == 0).all()
    assert 0 < targets.mean() < 1
    np.testing.assert_allclose(mixed.mean(axis=(1, 2)) / 200, targets, atol=0.003)
    np.testing.assert_allclose(weight, 1)


@pytest.mark.slow
def test_batches_hold_every_row_once_an_epoch_in_an_order_of_its_own():
    from workbench.models.nn import data_loader

    read: list[int] = []
    x = np.arange(23)[:, None].astype(np.float32)
    batches = data_loader.Batches(Lazy(x, read), np.arange(23), batch=5, seed=1)
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
def test_a_net_trains_and_predicts_from_a_large_array_without_reading_it_whole(task, monkeypatch):
    from workbench.models.nn import data_loader
    from workbench.space.keras import HyperParameters

    monkeypatch.setattr(data_loader, "WHOLE", 1000)
    monkeypatch.setattr(data_loader, "PREDICTED_VALUES", 20 * 64)
    read: list[int] = []
    x, y = pictures(90, 8, 8), np.arange(90) % 3 if task == "multiclass" else (np.arange(90) % 2) * 7.0
    problem = Problem("image", task, 3 if task == "multiclass" else 0, {}, "log_loss")
    setting = FitContext(3, 1, lambda epoch, losses, progress=None, of=None: None, epochs=2)
    train, valid = Rows(Lazy(x[:60], read), y[:60], np.ones(60)), Rows(Lazy(x[60:], read), y[60:])
    model = models.family("cnn").fit(HyperParameters(defaults), problem, train, valid, setting)
    lazy = model.predict(valid.x)
    # At first a sample is looked at, here all of them; from then on batches.
    assert max(read[1:]) <= 32 < read[0] == 60
    np.testing.assert_allclose(lazy, model.predict(x[60:]), rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(28, 28, 1), (96, 128, 3)])
@pytest.mark.parametrize("family", CONVOLUTIONAL)
def test_a_net_takes_images_of_any_size_as_bytes_and_learns_from_mixed_ones(family, shape):
    from workbench.space.keras import HyperParameters

    told = {"filters": 16, "mixing": "mixup", "augmentation": "much"}
    hp = HyperParameters(lambda question: told.get(question.name, question.default))
    x, y = pictures(12, *shape), np.arange(12) % 2
    problem = Problem("image", "binary", 2, {}, "log_loss")
    setting = FitContext(3, 1, lambda epoch, losses, progress=None, of=None: None, epochs=1)
    model = models.family(family).fit(hp, problem, Rows(x, y), Rows(x, y), setting)
    assert model.net.input.dtype == "uint8"
    assert model.predict(x).shape == (12,)


@pytest.mark.slow
def test_a_shifted_image_is_as_sharp_as_it_was():
    import keras

    from workbench.models.nn import augmentation

    x = pictures(40, 28, 28, 1).astype("float32") / 255
    start = keras.Input((28, 28, 1))
    net = keras.Model(start, augmentation.augment({"shift": 0.1}, start))
    shifted = np.asarray(net(x, training=True))
    assert not np.array_equal(shifted, x)
    # Between two pixels there would be values that no pixel had.
    assert np.isin(shifted, [*np.unique(x), 0]).all()


@pytest.mark.slow
@pytest.mark.parametrize("schedule", ["plateau", "cosine", "step"])
@pytest.mark.parametrize("name", ["adamw", "adam", "rmsprop", "sgd", "adagrad"])
def test_every_optimizer_has_a_rate_in_its_own_range_and_no_other_question(name, schedule):
    from workbench.models.nn import optimizer
    from workbench.space.keras import HyperParameters

    asked = []
    told = {"optimizer": name, "schedule": schedule}
    hp = HyperParameters(lambda question: asked.append(question.name) or told.get(question.name, question.default))
    found, way = optimizer.search_optimizer(hp)
    assert type(found).__name__.lower() == name
    assert float(found.learning_rate) == pytest.approx(hp.values["learning_rate"], rel=1e-6)
    assert ("weight_decay" in hp.values) == (name == "adamw")
    assert ("momentum" in hp.values) == (name == "sgd")
    assert ("horizon" in hp.values) == (schedule != "plateau")
    assert len(asked) == len(hp.values)
    assert way.kind == schedule
    assert way.epochs(1000) == (1000 if schedule == "plateau" else way.horizon)


@pytest.mark.slow
def test_the_rate_rises_while_it_warms_up_and_falls_over_the_horizon():
    from workbench.models.nn.optimizer import LearningRateSchedule

    cosine = [LearningRateSchedule("cosine", 1.0, 2, 10).at(epoch, 0.5) for epoch in range(10)]
    np.testing.assert_allclose(cosine[:3], [1 / 3, 2 / 3, 1])
    assert cosine[2:] == sorted(cosine[2:], reverse=True)
    assert cosine[6] == pytest.approx(0.5)
    step = [LearningRateSchedule("step", 1.0, 0, 8).at(epoch, 0.5) for epoch in range(8)]
    np.testing.assert_allclose(step, [1, 1, 1, 1, 0.1, 0.1, 0.01, 0.01])
    plateau = [LearningRateSchedule("plateau", 1.0, 1, None).at(epoch, 0.3) for epoch in range(4)]
    np.testing.assert_allclose(plateau, [0.5, 1.0, 0.3, 0.3])
