from __future__ import annotations

import importlib
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from miniatures import COLUMNS, TRAIN, VALID, arrays, objects, strange, table
from sklearn.linear_model import LinearRegression

from workbench import features
from workbench.config import ColumnKind
from workbench.errors import FamilyError
from workbench.features import persistence

FIXTURES = Path(__file__).parent / "fixtures"

Y = {
    0: np.random.default_rng(1).normal(size=TRAIN),
    2: np.arange(TRAIN) % 2,
    3: np.arange(TRAIN) % 3,
}


def tree_ordinal(columns, x, classes=2):
    return features.tree_preprocessor(columns, x, categories="ordinal", classes=classes, seed=1)


def tree_target(columns, x, classes=2):
    return features.tree_preprocessor(columns, x, categories="target", classes=classes, seed=1)


def dense_standard(columns, x, classes=2):
    return features.dense_preprocessor(columns, x, numbers="standard", classes=classes, seed=1)


def dense_quantile(columns, x, classes=2):
    return features.dense_preprocessor(columns, x, numbers="quantile", classes=classes, seed=1)


def dense_pieces(columns, x, classes=2):
    return features.dense_preprocessor(columns, x, numbers="pieces", classes=classes, seed=1)


TREE, DENSE = [tree_ordinal, tree_target], [dense_standard, dense_quantile, dense_pieces]
PREPROCESSORS = [*TREE, *DENSE]


class WideAndDeep:
    """`features.fit_wide_and_deep` with the interface of the other preprocessors, for the contract."""

    def __init__(self, columns, x, classes=2):
        self.columns = columns

    def fit_transform(self, x, y=None):
        self.encoder = features.fit_wide_and_deep(self.columns, x, numbers="quantile", crosses=4, seed=1)
        return self.transform(x)

    def transform(self, x):
        return np.hstack(self.encoder.transform(x))


every_preprocessor = pytest.mark.parametrize("make", [*PREPROCESSORS, WideAndDeep])
# Preprocessors differ in how they encode numbers and categories; one of each interface covers all columns.
one_of_each_interface = pytest.mark.parametrize("make", [tree_target, dense_quantile, WideAndDeep])


def only(*names):
    return {name: COLUMNS[name] for name in names}, table(TRAIN)[list(names)]


@one_of_each_interface
def test_other_rows_change_neither_the_training_rows_nor_the_fitted_state(make):
    x = table()
    preprocessor = make(COLUMNS, x[:TRAIN])
    train = preprocessor.fit_transform(x[:TRAIN], Y[2])
    before = preprocessor.transform(x[TRAIN:])
    assert (len(train), len(before), train.shape[1]) == (TRAIN, VALID, before.shape[1])
    preprocessor.transform(strange())
    np.testing.assert_array_equal(preprocessor.transform(x[TRAIN:]), before)
    # A row's transform does not depend on the rows it comes with.
    np.testing.assert_array_equal(preprocessor.transform(x[TRAIN:].iloc[[3]]), before[[3]])
    again = make(COLUMNS, x[:TRAIN])
    np.testing.assert_array_equal(again.fit_transform(x[:TRAIN], Y[2]), train)


@every_preprocessor
def test_validation_rows_are_scaled_by_the_statistics_of_training_rows(make):
    columns, x = only("rooms")
    preprocessor = make(columns, x)
    preprocessor.fit_transform(x, Y[2])
    # Shifted rows stay shifted; a preprocessor that was fitted on them would centre them again.
    far = preprocessor.transform(x + 100)
    assert (far[:, 0] >= preprocessor.transform(x)[:, 0].max()).all()


@pytest.mark.parametrize("make", TREE)
def test_tree_preprocessor_is_float32_and_keeps_missing_values(make):
    matrix = make(COLUMNS, table(TRAIN)).fit_transform(table(TRAIN), Y[2])
    assert matrix.dtype == np.float32
    assert np.isnan(matrix[0, 0])
    assert np.isnan(matrix[:, 2]).all()


@pytest.mark.parametrize("make", DENSE)
@pytest.mark.parametrize("classes", [0, 2, 3])
def test_dense_preprocessor_is_float32_and_never_missing(make, classes):
    preprocessor = make(COLUMNS, table(TRAIN), classes)
    for matrix in (preprocessor.fit_transform(table(TRAIN), Y[classes]), preprocessor.transform(strange())):
        assert matrix.dtype == np.float32
        assert np.isfinite(matrix).all()


def test_dense_preprocessor_puts_all_columns_on_one_scale():
    columns, x = only("size", "rooms", "old", "sold", "street")
    matrix = dense_standard(columns, x).fit_transform(x, Y[2])
    spread = matrix.std(axis=0)
    assert spread[spread > 1e-6].tolist() == pytest.approx(np.ones((spread > 1e-6).sum()), abs=0.01)
    assert abs(matrix.mean(axis=0)).max() < 0.1


def test_quantiles_make_heavy_tails_normal():
    x = pd.DataFrame({"size": np.exp(3 * np.random.default_rng(0).normal(size=300))})
    matrix = dense_quantile({"size": "number"}, x).fit_transform(x, np.zeros(300, int))
    inner = np.sort(matrix[:, 0])[15:-15]
    assert abs(inner).max() < 2
    assert inner.std() == pytest.approx(0.8, abs=0.05)


def test_dense_preprocessor_flags_missing_numbers():
    columns, x = only("size")
    matrix = dense_standard(columns, x).fit_transform(x, Y[2])
    assert matrix.shape == (TRAIN, 2)
    assert len(np.unique(matrix[x["size"].isna(), 1])) == 1
    assert matrix[x["size"].isna(), 1].min() > matrix[x["size"].notna(), 1].max()


def test_dense_preprocessor_has_a_column_for_each_level_of_a_short_category():
    columns, x = only("town")
    matrix = dense_standard(columns, x).fit_transform(x, Y[2])
    # Three towns, and one column for what is missing.
    assert matrix.shape[1] == 4
    assert (matrix.sum(axis=1) == 1).all()


@one_of_each_interface
@pytest.mark.parametrize("name", [name for name in COLUMNS if name != "blank"])
def test_every_column_may_be_the_only_one(make, name):
    columns, x = only(name)
    preprocessor = make(columns, x)
    train = preprocessor.fit_transform(x, Y[2])
    assert len(train) == TRAIN
    assert preprocessor.transform(strange()[[name]]).shape[1] == train.shape[1] > 0


@pytest.mark.parametrize("make", TREE)
def test_an_unseen_level_is_missing_or_the_overall_mean(make):
    columns, x = only("town", "street")
    preprocessor = make(columns, x)
    preprocessor.fit_transform(x, Y[2])
    unseen = preprocessor.transform(pd.DataFrame({"town": objects(["Pisa"]), "street": objects(["new"])}))
    assert np.isnan(unseen[0, 0])
    expected = Y[2].mean() if make is tree_target else np.nan
    assert unseen[0, 1] == pytest.approx(expected, nan_ok=True)


def test_categorical_columns_are_those_with_ordinal_codes():
    columns, x = only("size", "town", "street", "sold")
    preprocessor = tree_ordinal(columns, x)
    matrix = preprocessor.fit_transform(x, Y[2])
    flags = features.categorical_columns(columns, preprocessor)
    assert len(flags) == matrix.shape[1]
    assert flags[:4] == [False, True, True, False]
    assert sum(flags) == 2
    by_target = tree_target(columns, x)
    by_target.fit_transform(x, Y[2])
    assert sum(features.categorical_columns(columns, by_target)) == 1


@pytest.mark.parametrize("make", [tree_target, dense_standard])
@pytest.mark.parametrize("classes", [0, 2])
def test_target_means_of_a_training_row_do_not_leak_its_own_target(make, classes):
    rng = np.random.default_rng(3)
    rows = 600
    x = pd.DataFrame({"street": objects(f"street {i}" for i in rng.integers(0, 300, rows))})
    y = rng.integers(0, 2, rows) if classes else rng.normal(size=rows)
    preprocessor = make({"street": "category"}, x, classes)
    cross_fitted = preprocessor.fit_transform(x, y)[:, 0]
    # Means over all rows include the row's own target; with two rows for each level they leak most of it.
    leaky = preprocessor.transform(x)[:, 0]
    assert np.corrcoef(leaky, y)[0, 1] > 0.5
    assert abs(np.corrcoef(cross_fitted, y)[0, 1]) < 0.15


@pytest.mark.parametrize("make", [tree_target, dense_standard])
@pytest.mark.parametrize(
    ("classes", "y"),
    [
        (2, np.zeros(TRAIN, int)),
        (2, np.eye(1, TRAIN, 3, dtype=int)[0]),
        (3, np.arange(TRAIN) % 2),
        (3, np.arange(TRAIN) % 2 * 2),
        (3, np.zeros(TRAIN, int)),
        (0, np.full(TRAIN, 5.0)),
    ],
)
def test_long_categories_are_encoded_where_a_fold_lacks_a_class(make, classes, y):
    columns, x = only("street")
    preprocessor = make(columns, x, classes)
    train = preprocessor.fit_transform(x, y)
    assert np.isfinite(train).all()
    assert preprocessor.transform(strange()[["street"]]).shape[1] == train.shape[1]


def test_a_date_has_columns_for_year_and_weekday():
    x = pd.DataFrame({"sold": pd.date_range("2019-01-01", periods=TRAIN, freq="40D").astype("datetime64[ns]")})
    matrix = tree_ordinal({"sold": "date"}, x).fit_transform(x, Y[2])
    known = [column.tolist() for column in matrix.T]
    assert x["sold"].dt.year.astype(float).tolist() in known
    assert (x["sold"].dt.day_of_week + 1.0).tolist() in known


def test_dense_preprocessor_encodes_seasons_as_circles():
    x = pd.DataFrame({"sold": pd.date_range("2019-01-01", periods=TRAIN, freq="73D").astype("datetime64[ns]")})
    matrix = dense_standard({"sold": "date"}, x).fit_transform(x, Y[2])
    # December is next to January.
    angle = 2 * np.pi * x["sold"].dt.month.to_numpy() / 12
    circle = np.column_stack([np.sin(angle), np.cos(angle)])
    correlations = [
        max(abs(np.corrcoef(each, column)[0, 1]) for column in matrix.T if column.std()) for each in circle.T
    ]
    assert min(correlations) > 0.99


@pytest.mark.parametrize("make", [tree_ordinal, dense_standard])
def test_similar_texts_are_nearer_than_different_ones(make):
    rng = np.random.default_rng(0)
    words = [["red", "brick", "house"], ["lake", "boat", "fishing"]]
    x = pd.DataFrame({"note": objects(" ".join(rng.permutation(words[i % 2])) for i in range(TRAIN))})
    matrix = make({"note": "text"}, x).fit_transform(x, Y[2])
    distance = np.linalg.norm(matrix[:, None] - matrix[None], axis=2)
    assert distance[::2, ::2].mean() < distance[::2, 1::2].mean() > distance[1::2, 1::2].mean()


def test_a_column_of_empty_texts_is_dropped():
    columns, x = only("size", "blank")
    x.loc[3, "blank"] = "  "
    assert dense_standard(columns, x).fit_transform(x, Y[2]).shape == (TRAIN, 2)
    assert tree_ordinal(columns, x).fit_transform(x, Y[2]).shape == (TRAIN, 1)


@pytest.mark.parametrize("kind", ["image", "sequence"])
@pytest.mark.parametrize("make", PREPROCESSORS)
def test_arrays_are_flattened(make, kind):
    x = arrays(kind)
    matrix = make({}, x).fit_transform(x, Y[2])
    assert matrix.shape == (len(x), x[0].size)
    assert matrix.dtype == np.float32


def test_byte_pixels_become_floats():
    x = np.full((3, 4, 4), 200, np.uint8)
    assert tree_ordinal({}, x).fit_transform(x).tolist() == [[200.0] * 16] * 3


def test_wide_and_deep_inputs_are_integers_for_embeddings_and_floats_for_the_rest():
    x = table()
    encoder = features.fit_wide_and_deep(COLUMNS, x[:TRAIN], numbers="standard", crosses=4, seed=1)
    dense, deep, wide = encoder.transform(x[TRAIN:])
    assert dense.dtype == np.float32
    assert deep.dtype == wide.dtype == np.int32
    assert np.isfinite(dense).all()


@pytest.mark.parametrize("rows", [table(TRAIN), strange()], ids=["known", "strange"])
def test_indices_are_below_the_levels_of_the_embeddings(rows):
    encoder = features.fit_wide_and_deep(COLUMNS, table(TRAIN), numbers="standard", crosses=6, seed=1)
    _, deep, wide = encoder.transform(rows)
    assert deep.min() >= 0
    assert (deep < encoder.levels("deep")).all()
    tops = np.cumsum(encoder.levels("wide"))
    # No index occurs in two columns of the wide part.
    assert (wide < tops).all()
    assert (wide >= np.array([0, *tops[:-1]])).all()


def test_an_unseen_or_missing_level_has_index_zero():
    x = pd.DataFrame({"town": objects(["Rome", "Oslo", "Bern"] * 20)})
    encoder = features.fit_wide_and_deep({"town": "category"}, x, numbers="standard", crosses=0, seed=1)
    (deep, wide) = encoder.transform(pd.DataFrame({"town": objects(["Pisa", np.nan, "Bern", "Rome"])}))
    assert deep[:, 0].tolist() == wide[:, 0].tolist() == [0, 0, 1, 3]


def test_crosses_join_the_pairs_with_the_fewest_levels():
    towns, n = objects(["Rome", "Oslo"] * 30), np.arange(60)
    x = pd.DataFrame({"a": towns, "b": objects(np.array(["x", "y"])[n // 2 % 2]), "c": objects(n % 10)})
    kinds: dict[str, ColumnKind] = dict.fromkeys("abc", "category")
    encoder = features.fit_wide_and_deep(kinds, x.astype(str).astype(object), numbers="standard", crosses=1, seed=1)
    _, wide = encoder.transform(x.astype(str).astype(object))
    assert wide.shape[1] == 4
    joint = pd.Series(wide[:, 3]).groupby([x["a"], x["b"]]).nunique()
    assert joint.tolist() == [1, 1, 1, 1]
    assert len(np.unique(wide[:, 3])) == 4


@pytest.mark.parametrize("make", [tree_target, dense_quantile])
def test_a_loaded_preprocessor_transforms_as_before(make, tmp_path):
    x = table()
    preprocessor = make(COLUMNS, x[:TRAIN])
    preprocessor.fit_transform(x[:TRAIN], Y[2])
    features.save(preprocessor, tmp_path / "view.skops")
    loaded = features.load(tmp_path / "view.skops")
    for rows in (x[TRAIN:], strange()):
        np.testing.assert_array_equal(loaded.transform(rows), preprocessor.transform(rows))


@pytest.mark.parametrize("names", [("size", "town", "sold"), ("size",), ("town",), ("note",)])
def test_a_loaded_wide_and_deep_encoder_transforms_as_before(names, tmp_path):
    columns, x = only(*names)
    encoder = features.fit_wide_and_deep(columns, x, numbers="quantile", crosses=4, seed=1)
    encoder.save(tmp_path)
    loaded = features.WideAndDeepEncoder.load(tmp_path)
    rows = strange()[list(names)]
    before, after = encoder.transform(rows), loaded.transform(rows)
    assert len(before) == len(after) > 0
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(one, other)


def rewrite_schema(file, rewrite):
    """Rewrite a saved file with its `schema.json` changed by `rewrite`."""
    with zipfile.ZipFile(file) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    contents["schema.json"] = rewrite(json.loads(contents["schema.json"])).encode()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in contents.items():
            archive.writestr(name, content)


def test_a_file_with_an_untrusted_type_is_refused(tmp_path):
    file = tmp_path / "view.skops"
    features.save(features.Flatten(), file)
    rewrite_schema(file, lambda schema: json.dumps({**schema, "__class__": "Popen", "__module__": "subprocess"}))
    with pytest.raises(FamilyError, match=r"must hold known types only. Received: subprocess\.Popen. It is not loaded"):
        features.load(file)


def test_files_of_the_version_before_the_classes_were_renamed_give_the_same_features():
    """The fixture holds a fitted transformer of every class that was renamed, and its output."""
    with np.load(FIXTURES / "old_transformers.npz") as arrays:
        x = {name.removeprefix("in_"): arrays[name] for name in arrays if name.startswith("in_")}
        expected = {name.removeprefix("out_"): arrays[name] for name in arrays if name.startswith("out_")}
    notes = objects(["a red house", "a red boat", "the old mill", "the old boat"] * 10)
    tfidf = features.Tfidf("words").fit_transform(notes)
    sold = pd.date_range("2019-01-01", periods=40, freq="40D").astype("datetime64[ns]")
    numbers = np.random.default_rng(0).normal(size=40)
    numbers[3] = np.nan
    towns = objects(np.array(["Rome", "Oslo", "Bern"])[np.arange(40) % 3])
    x |= {
        "table": pd.DataFrame({"size": numbers, "town": towns, "note": notes, "sold": sold}),
        "streets": pd.DataFrame({"street": objects(f"s{i // 2}" for i in range(40))}),
        "notes": notes,
        "tfidf": tfidf,
        "float32": x["matrix"].astype(np.float32),
    }
    inputs = {
        "table": "table", "Means": "streets", "Crosses": "codes", "Codes": "codes", "Flatten": "sequences",
        "Present": "gappy", "Thumbnails": "large", "Scores": "matrix", "Grams": "notes", "Topics": "tfidf",
        "Kernels": "sequences", "Looks": "notes", "Pieces": "matrix", "Stored": "matrix", "Summaries": "sequences",
        "Histograms": "images", "Spanned": "float32", "OneAgainstRest": "tfidf",
    }  # fmt: skip
    loaded = features.load(FIXTURES / "old_transformers.skops")
    assert set(loaded) == set(inputs) == set(expected)
    for name, transformer in loaded.items():
        transform = getattr(transformer, "transform", None) or transformer.predict_proba
        found = transform(x[inputs[name]])
        found = found.toarray() if hasattr(found, "toarray") else found
        np.testing.assert_array_equal(found, expected[name], err_msg=name)


def test_only_whole_names_in_the_table_are_renamed(tmp_path):
    file = tmp_path / "view.skops"
    features.save(features.Flatten(), file)
    rewrite_schema(
        file, lambda schema: json.dumps({**schema, "__class__": "Popen", "__module__": "workbench.features.views"})
    )
    with pytest.raises(FamilyError, match=r"known types only. Received: workbench\.features\.views\.Popen"):
        features.load(file)


def test_every_class_that_a_file_may_name_can_be_imported():
    named = {name for name in persistence._TRUSTED if name.startswith("workbench.")}
    assert set(persistence._RENAMED.values()) <= named
    for name in named:
        module, _, attribute = name.rpartition(".")
        assert getattr(importlib.import_module(module), attribute).__module__ == module


@pytest.mark.parametrize("damage", ["missing", "text", "truncated", "schema"])
def test_a_damaged_file_is_refused(damage, tmp_path):
    file = tmp_path / "view.skops"
    if damage != "missing":
        features.save(features.Flatten(), file)
    if damage == "text":
        file.write_text("not a skops file")
    if damage == "truncated":
        file.write_bytes(file.read_bytes()[:100])
    if damage == "schema":
        rewrite_schema(file, lambda schema: "{")
    with pytest.raises(FamilyError, match="must be a file that workbench saved"):
        features.load(file)


def test_scores_of_sequences_are_never_missing_and_clipped():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 6, 2)).astype("float32")
    x[np.arange(6) >= rng.integers(1, 5, 40)[:, None]] = np.nan
    x[:2, 4] = [[0, 0], [1e-3, 1e-3]]
    preprocessor = features.dense_preprocessor({}, x, numbers="standard", classes=2, seed=0, kind="sequence").fit(x)
    new = np.full((2, 6, 2), np.nan, "float32")
    new[1] = 7.0
    matrix = preprocessor.transform(np.concatenate([x, new]))
    assert np.isfinite(matrix).all()
    assert np.abs(matrix).max() == 10
    np.testing.assert_array_equal(matrix[-2], 0)
    np.testing.assert_allclose(matrix[:40, :2].mean(axis=0), 0, atol=1e-6)
    kept = features.tree_preprocessor({}, x, categories="ordinal", classes=2, seed=0, kind="sequence").fit_transform(x)
    np.testing.assert_array_equal(kept, x.reshape(40, 12))


def test_piecewise_linear_encoding_is_the_share_of_each_bin_below_a_value():
    encoder = features.PiecewiseLinearEncoder(bins=2).fit([[0.0, 5], [1, 5], [3, 5]])
    shares = encoder.transform([[0.5, 5], [2, 6], [9, 4], [-9, 5.5]])
    # Bins 0 to 1 and 1 to 3; a column of one value has a bin from there on.
    np.testing.assert_allclose(shares, [[0.5, 0, 0], [1, 0.5, 1], [1.0, 1, 0], [0, 0, 0.5]])
    assert shares.dtype == np.float32


def test_a_linear_model_on_pieces_fits_what_one_on_the_number_cannot():
    x = np.random.default_rng(0).normal(size=(300, 1))
    y = np.abs(x[:, 0])
    bent = LinearRegression().fit(features.PiecewiseLinearEncoder().fit_transform(x), y)
    assert bent.score(features.PiecewiseLinearEncoder().fit(x).transform(x), y) > 0.95
    assert LinearRegression().fit(x, y).score(x, y) < 0.1


def test_without_target_encoding_categories_with_many_levels_are_one_hot():
    x = table(TRAIN)
    preprocessor = features.dense_preprocessor(
        {"street": "category"}, x, numbers="quantile", classes=0, seed=1, target_encoding=False
    )
    matrix = preprocessor.fit_transform(x)
    assert matrix.shape == (TRAIN, features.MAX_LEVELS)
    np.testing.assert_array_equal(matrix.sum(axis=1), 1)


def test_large_numbers_of_a_small_spread_stay_distinct_for_trees(tmp_path: Path) -> None:
    seconds = 1_700_000_000 + np.arange(3600.0)
    frame = pd.DataFrame({"time": seconds, "day": 20_190_000 + np.arange(3600) % 365, "size": np.linspace(-1, 9, 3600)})
    frame.loc[7, "time"] = np.nan
    kinds: dict[str, Any] = dict.fromkeys(map(str, frame), "number")
    fitted = features.tree_preprocessor(kinds, frame, categories="ordinal", classes=0, seed=0).fit(frame)
    matrix = fitted.transform(frame)
    assert matrix.dtype == np.float32
    assert len(np.unique(matrix[np.isfinite(matrix[:, 0]), 0])) == 3599
    assert np.isnan(matrix[7, 0])
    assert len(np.unique(matrix[:, 1])) == 365
    # Other numbers are left as they are.
    np.testing.assert_array_equal(matrix[:, 2], frame["size"].astype(np.float32))
    features.save(fitted, tmp_path / "view.skops")
    np.testing.assert_array_equal(features.load(tmp_path / "view.skops").transform(frame), matrix)


def test_columns_without_a_spread_or_without_values_are_not_centred() -> None:
    frame = pd.DataFrame({"same": [5e9, 5e9], "none": [np.nan, np.nan], "small": [1.0, 2.0]})
    kinds: dict[str, Any] = dict.fromkeys(map(str, frame), "number")
    matrix = features.tree_preprocessor(kinds, frame, categories="ordinal", classes=0, seed=0).fit_transform(frame)
    np.testing.assert_array_equal(matrix, frame.to_numpy(np.float32))
