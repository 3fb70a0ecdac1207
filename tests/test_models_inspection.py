"""Grad-CAM and inspections of image nets, checked against calculations without gradients and on images with a known
relevant region."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_models_images import Lazy, make_images

from workbench import models
from workbench.config import PretrainedConfig, TrainingConfig
from workbench.models.nn import activation_maps, inspection
from workbench.models.nn.inspection import ImageInspection, choose_rows, inspect_images
from workbench.models.protocol import FitContext, Problem, Rows
from workbench.space import defaults

SIDE, CLASSES = 12, 3
# A net of plain, residual, branched and separable convolutions each; the other families consist of the same layers.
FAMILIES = ["cnn", "resnet", "inception", "xception"]
HEADS = ("activation", "dense", "nested", "two nets", "logits made probabilities")


def make_grey(rows: int = 5, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, SIDE, SIDE)).astype(np.float32)


def make_model(*nets: Any) -> Any:
    """Return a model of one net, or of a feature extractor and a net."""
    from workbench.models.nn.feature_extractor import FeatureExtractor
    from workbench.models.nn.keras_model import KerasModel

    return KerasModel(FeatureExtractor(nets[0]) if len(nets) > 1 else None, nets[-1], 0.0, 1.0)


def build_base(filters: int = 6) -> tuple[Any, Any]:
    """Return the input of a net and its last activation map."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(2)
    start = keras.Input((SIDE, SIDE))
    hidden = layers.Conv2D(4, 3, activation="relu")(layers.Reshape((SIDE, SIDE, 1))(start))
    return start, layers.Conv2D(filters, 3, strides=2, activation="relu", name="last")(hidden)


def build_linear_nets(head: str, outputs: int) -> list[Any]:
    """Return nets with a linear layer on the averages of the last map, in the forms that families and users build."""
    import keras
    from keras import layers

    start, last = build_base()
    average = layers.GlobalAveragePooling2D()(last)
    name = "softmax" if outputs > 1 else "sigmoid"
    if head == "two nets":
        given = keras.Input(average.shape[1:])
        return [keras.Model(start, average), keras.Model(given, layers.Dense(outputs, name, name="weighted")(given))]
    dense = layers.Dense(outputs, name if head in ("dense", "nested") else None, name="weighted")(average)
    inner = keras.Model(start, layers.Activation(name)(dense) if head == "activation" else dense)
    if head in ("activation", "dense"):
        return [inner]
    outer = keras.Input((SIDE, SIDE))
    hidden = inner(outer)
    return [keras.Model(outer, hidden if head == "nested" else layers.Activation(name)(hidden))]


def split_nets(nets: list[Any]) -> tuple[Any, Any]:
    """Return the net from images to the last map, and the weights of the linear layer."""
    import keras

    layers = {layer.name: layer for layer in activation_maps.list_layers(nets)}
    inner = next(
        net for net in [*nets, *nets[0].layers] if any(each.name == "last" for each in getattr(net, "layers", []))
    )
    return keras.Model(inner.input, layers["last"].output), layers["weighted"].kernel.numpy()


@pytest.mark.slow
@pytest.mark.parametrize("head", HEADS)
def test_heat_of_a_linear_layer_on_averages_is_the_class_activation_map(head: str) -> None:
    nets, x = build_linear_nets(head, CLASSES), make_grey()
    to_map, weights = split_nets(nets)
    classes = np.arange(len(x)) % CLASSES
    plain = np.einsum("nijk,kn->nij", to_map(x).numpy(), weights[:, classes])
    assert (plain.max(axis=(1, 2)) > 0).all()
    expected = np.maximum(plain, 0) / plain.max(axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(activation_maps.compute_grad_cam(nets, x, classes), expected, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("head", HEADS)
def test_with_a_single_output_evidence_for_one_class_is_evidence_against_the_other(head: str) -> None:
    nets, x = build_linear_nets(head, 1), make_grey()
    to_map, weights = split_nets(nets)
    plain = to_map(x).numpy() @ weights[:, 0]
    for number, sign in ((1, 1), (0, -1)):
        expected = np.maximum(sign * plain, 0)
        found = activation_maps.compute_grad_cam(nets, x, np.full(len(x), number))
        strongest = expected.max(axis=(1, 2), keepdims=True)
        np.testing.assert_allclose(found, expected / np.where(strongest > 0, strongest, 1), atol=1e-5)


@pytest.mark.slow
def test_with_a_nonlinear_head_the_channel_weights_are_the_gradients_of_the_score() -> None:
    import keras
    from keras import layers

    start, last = build_base()
    hidden = layers.Dense(8, "gelu")(layers.Flatten()(last))
    net = keras.Model(start, layers.Dense(CLASSES, "softmax")(hidden))
    x, classes = make_grey(3), np.array([0, 1, 2])
    (w1, b1), (w2, b2) = (layer.get_weights() for layer in net.layers[-2:])
    maps = keras.Model(start, last)(x).numpy().astype(float)

    def score(image: int, raised: np.ndarray) -> float:
        inner = (maps[image] + raised).reshape(-1) @ w1 + b1
        active = np.asarray(keras.activations.gelu(inner))
        return float((active @ w2 + b2)[classes[image]])

    step = 1e-4
    for image in range(len(x)):
        gradients = [score(image, step * unit) - score(image, -step * unit) for unit in np.eye(maps.shape[3])]
        expected = np.maximum(maps[image] @ np.array(gradients), 0)
        found = activation_maps.compute_grad_cam([net], x, classes)[image]
        np.testing.assert_allclose(found, expected / max(expected.max(), 1e-12), atol=2e-3)


@pytest.mark.slow
def test_a_class_with_probability_1_has_heat() -> None:
    nets, x = build_linear_nets("activation", CLASSES), make_grey()
    last = nets[0].get_layer("weighted")
    last.set_weights([1e4 * weight for weight in last.get_weights()])
    sure = np.asarray(nets[0](x)).argmax(axis=1)
    assert np.asarray(nets[0](x)).max(axis=1) == pytest.approx(1, abs=0)
    assert activation_maps.compute_grad_cam(nets, x, sure).max(axis=(1, 2)) == pytest.approx(1)


def make_striped(rows: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return noise with a striped patch at a random position, vertical or horizontal by class, the classes, and the
    patch centres."""
    rng, y = np.random.default_rng(seed), np.arange(rows) % 2
    x = rng.integers(0, 90, (rows, 15, 15), dtype=np.uint8)
    at = rng.integers(0, 10, (rows, 2))
    for image, kind, (top, left) in zip(x, y, at, strict=True):
        patch = image[top : top + 5, left : left + 5]
        (patch.T if kind else patch)[::2] = 230
    return x, y, at + 2.5


@pytest.mark.slow
def test_heat_is_on_the_patch_that_determines_the_class() -> None:
    from workbench.space.keras import HyperParameters

    x, y, centres = make_striped(500)
    chosen = {"stride": 1, "blocks": 2, "batch_size": 32}
    hp = HyperParameters(lambda question: chosen.get(question.name, question.default))
    context = FitContext(3, 1, lambda epoch, losses, progress=None, of=None: None, epochs=12)
    train, valid = Rows(x[:400], y[:400]), Rows(x[400:], y[400:])
    problem = Problem("image", "binary", 2, {}, "log_loss")
    model: Any = models.get_family("cnn").fit(hp, problem, train, valid, context)
    predicted = (model.predict(valid.x) > 0.5).astype(int)
    assert (predicted == valid.y).mean() > 0.95
    heat = activation_maps.compute_grad_cam(list(model.nets.values()), x[400:], predicted)
    side = 15 / heat.shape[1]
    hottest = np.stack(np.unravel_index(heat.reshape(100, -1).argmax(axis=1), heat.shape[1:]), axis=1)
    off = np.abs((hottest + 0.5) * side - centres[400:]).max(axis=1)
    # A patch extends 2.5 pixels from its centre, and a position's receptive field a little further.
    assert (off < 2.5 + side).mean() > 0.9


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_convolutional_families_are_inspected_and_left_unchanged(family: str, tmp_path: Path) -> None:
    x, y = make_images(48, 16, 16), np.arange(48) % 2
    model = fit_family(family, x, y)
    before = model.predict(x)
    found = inspect_images(model, x, y, before, classes=2)
    assert found is not None
    assert found.heat.ndim == 3
    assert (found.heat >= 0).all()
    assert found.heat.max() <= 1
    assert found.heat.shape[1] * found.heat.shape[2] > 1
    assert np.array_equal(model.predict(x), before)
    for layer in activation_maps.list_layers(list(model.nets.values())):
        assert "call" not in vars(layer)
    check(found)
    found.save(tmp_path / inspection.FILE)
    loaded = ImageInspection.load(tmp_path / inspection.FILE)
    check(loaded)
    assert (loaded.layers, loaded.filters_in_all) == (found.layers, found.filters_in_all)
    for name in ("images", "heat", "truth", "predicted", "probability", "filters"):
        assert np.array_equal(getattr(loaded, name), getattr(found, name))
    for original, kept in zip(found.activations, loaded.activations, strict=True):
        np.testing.assert_allclose(kept, original, atol=1e-3)


def fit_family(family: str, x: np.ndarray, y: np.ndarray, task: Any = "binary", **training: Any) -> Any:
    if models.get_entry(family).keras:
        from workbench.space.keras import HyperParameters as SpaceKind
    else:
        from workbench.space import Space as SpaceKind  # type: ignore[assignment]
    few = {"stages": 2, "num_residual_blocks": 2, "sep_num_filters": 128, **training}
    hp = SpaceKind(lambda question: few.get(question.name, defaults(question)))
    problem = Problem(
        "image", task, 2 if task == "binary" else 0, {}, "log_loss" if task == "binary" else "squared_error"
    )
    known = TrainingConfig(pretrained=PretrainedConfig(base="MobileNetV2", weights="none"))
    context = FitContext(3, 1, lambda epoch, losses, progress=None, of=None: None, epochs=1, training=known)
    return models.get_family(family).fit(hp, problem, Rows(x, y), Rows(x, y), context)


def check(found: ImageInspection) -> None:
    count = len(found.images)
    assert found.images.dtype == np.uint8
    assert len(found.truth) == len(found.predicted) == len(found.probability) == count == 6
    assert found.filters.shape[3] in (1, 3)
    assert np.abs(found.filters).max() == pytest.approx(1)
    assert 1 <= len(found.layers) == len(found.activations) <= 4
    for channels in found.activations:
        assert channels.ndim == 3
        assert channels.min() >= 0
        assert channels.max() <= 1


@pytest.mark.slow
@pytest.mark.parametrize("way", ["features", "tuned"])
def test_a_pretrained_backbone_is_inspected(way: str) -> None:
    x, y = make_images(24, 32, 32, 3), np.arange(24) % 2
    model = fit_family("pretrained", x, y, way=way, cut=0.5, head_epochs=2)
    found = inspect_images(model, x, y, model.predict(x), classes=2)
    assert found is not None
    check(found)
    # The first filters have the three colour channels, and the backbone's last map has several positions.
    assert found.filters.shape[1:] == (3, 3, 3)
    assert found.heat.shape[1:] > (1, 1)


@pytest.mark.slow
@pytest.mark.parametrize("family", ["mlp", "hog_trees"])
def test_models_without_activation_maps_have_no_inspection(family: str) -> None:
    x, y = make_images(24, 16, 16), np.arange(24) % 2
    model = fit_family(family, x, y)
    assert inspect_images(model, x, y, model.predict(x), classes=2) is None


@pytest.mark.slow
def test_a_regression_has_filters_and_no_heat() -> None:
    x = make_images(24, 16, 16)
    y = x.mean(axis=(1, 2))
    model = fit_family("cnn", x, y, task="regression")
    predictions = model.predict(x)
    found = inspect_images(model, x, y, predictions, classes=0)
    assert found is not None
    assert found.heat.shape == (0, 0, 0)
    errors = np.abs(found.truth - found.predicted)
    assert errors[:3].max() <= np.sort(np.abs(y - predictions))[3]
    assert errors[3] == np.abs(y - predictions).max()
    check(found)


@pytest.mark.slow
def test_only_the_shown_images_are_read_from_disk_at_once_and_in_order() -> None:
    nets, x = build_linear_nets("dense", CLASSES), make_grey(40)
    read: list[int] = []
    predictions = np.asarray(nets[0](x))
    y = np.roll(predictions.argmax(axis=1), 1)
    found = inspect_images(make_model(*nets), Lazy(x, read), y, predictions, classes=CLASSES)
    assert found is not None
    assert read == [6]
    rows = choose_rows(y, predictions.argmax(axis=1), predictions.max(axis=1))
    low, high = x[rows].min(), x[rows].max()
    np.testing.assert_allclose(found.images[..., 0], 255 * (x[rows] - low) / (high - low), atol=0.51)


def test_shown_rows_are_confident_correct_ones_of_many_classes_then_confident_errors() -> None:
    y = np.array([0, 0, 0, 1, 2, 2, 1, 0, 1, 2])
    predicted = np.array([0, 0, 0, 1, 2, 2, 2, 1, 0, 0])
    sure = np.array([0.99, 0.98, 0.97, 0.6, 0.7, 0.65, 0.5, 0.9, 0.8, 0.7])
    assert choose_rows(y, predicted, sure).tolist() == [0, 4, 3, 7, 8, 9]
    # Without errors: one of each class, then the most confident ones.
    right = predicted == y
    assert choose_rows(y[right], predicted[right], sure[right]).tolist() == [0, 4, 3, 1, 2, 5]
    # Without correct rows all are errors.
    assert choose_rows(y[~right], predicted[~right], sure[~right]).tolist() == [1, 2, 3, 0]


def test_a_regression_shows_the_smallest_and_the_largest_errors() -> None:
    y, predicted = np.zeros(8), np.array([0.1, -0.2, 5, 0.3, -9, 1, 2, 7])
    assert choose_rows(y, predicted, np.full(8, np.nan)).tolist() == [0, 1, 3, 4, 7, 2]
    assert choose_rows(y[:1], predicted[:1], np.full(1, np.nan)).tolist() == [0]


@pytest.mark.slow
@pytest.mark.parametrize("whole", [False, True])
def test_convolutions_in_custom_layers_and_subclassed_nets_are_found(whole: bool) -> None:
    import keras
    from keras import layers

    class Block(layers.Layer):  # type: ignore[misc]  # Keras has no types
        def __init__(self) -> None:
            super().__init__()
            self.parts = [layers.Conv2D(4, 3, activation="relu"), layers.BatchNormalization()]

        def call(self, x: Any) -> Any:
            return self.parts[1](self.parts[0](x))

    class Net(keras.Model):  # type: ignore[misc]  # Keras has no types
        def __init__(self) -> None:
            super().__init__()
            self.all = [layers.Reshape((SIDE, SIDE, 1)), Block(), layers.GlobalAveragePooling2D()]
            self.top = layers.Dense(CLASSES, activation="softmax")

        def call(self, x: Any) -> Any:
            for layer in self.all:
                x = layer(x)
            return self.top(x)

    keras.utils.set_random_seed(2)
    if whole:
        net = Net()
    else:
        start = keras.Input((SIDE, SIDE))
        last = Block()(layers.Reshape((SIDE, SIDE, 1))(start))
        net = keras.Model(start, layers.Dense(CLASSES, "softmax")(layers.GlobalAveragePooling2D()(last)))
    x = make_grey(30)
    predictions = np.asarray(net(x))
    found = inspect_images(make_model(net), x, predictions.argmax(axis=1), predictions, classes=CLASSES)
    assert found is not None
    assert found.heat.shape == (6, 10, 10)
    assert found.filters.shape == (4, 3, 3, 1)
