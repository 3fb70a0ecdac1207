from __future__ import annotations

import json
import zipfile

import numpy as np
import pandas as pd
import pytest
from miniatures import COLUMNS, TRAIN, VALID, arrays, objects, strange, table
from sklearn.linear_model import LinearRegression

from workbench import features
from workbench.errors import FamilyError

Y = {
    0: np.random.default_rng(1).normal(size=TRAIN),
    2: np.arange(TRAIN) % 2,
    3: np.arange(TRAIN) % 3,
}


def codes_by_order(columns, x, classes=2):
    return features.tree_preprocessor(columns, x, categories="ordinal", classes=classes, seed=1)


def codes_by_target(columns, x, classes=2):
    return features.tree_preprocessor(columns, x, categories="target", classes=classes, seed=1)


def dense_standard(columns, x, classes=2):
    return features.dense_preprocessor(columns, x, numbers="standard", classes=classes, seed=1)


def dense_quantile(columns, x, classes=2):
    return features.dense_preprocessor(columns, x, numbers="quantile", classes=classes, seed=1)


def dense_pieces(columns, x, classes=2):
    return features.dense_preprocessor(columns, x, numbers="pieces", classes=classes, seed=1)


CODES, DENSE = [codes_by_order, codes_by_target], [dense_standard, dense_quantile, dense_pieces]
VIEWS = [*CODES, *DENSE]


class Parted:
    """`features.parts`, which is fitted where it is made, in the words of the other views; for the contract."""

    def __init__(self, columns, x, classes=2):
        self.columns = columns

    def fit_transform(self, x, y=None):
        self.parts = features.fit_wide_and_deep(self.columns, x, numbers="quantile", crosses=4, seed=1)
        return self.transform(x)

    def transform(self, x):
        return np.hstack(self.parts.transform(x))


every_view = pytest.mark.parametrize("make", [*VIEWS, Parted])
# Views differ by how numbers and categories are coded; either coding shows what all columns have in common.
a_view_of_each_sort = pytest.mark.parametrize("make", [codes_by_target, dense_quantile, Parted])


def only(*names):
    return {name: COLUMNS[name] for name in names}, table(TRAIN)[list(names)]


@a_view_of_each_sort
def test_other_rows_change_neither_the_training_rows_nor_the_fitted_state(make):
    x = table()
    view = make(COLUMNS, x[:TRAIN])
    train = view.fit_transform(x[:TRAIN], Y[2])
    before = view.transform(x[TRAIN:])
    assert (len(train), len(before), train.shape[1]) == (TRAIN, VALID, before.shape[1])
    view.transform(strange())
    np.testing.assert_array_equal(view.transform(x[TRAIN:]), before)
    # A row's transform does not depend on the rows it comes with.
    np.testing.assert_array_equal(view.transform(x[TRAIN:].iloc[[3]]), before[[3]])
    again = make(COLUMNS, x[:TRAIN])
    np.testing.assert_array_equal(again.fit_transform(x[:TRAIN], Y[2]), train)


@every_view
def test_validation_rows_are_scaled_by_the_statistics_of_training_rows(make):
    columns, x = only("rooms")
    view = make(columns, x)
    view.fit_transform(x, Y[2])
    # Shifted rows come out shifted; a view that looked at them would centre them again.
    far = view.transform(x + 100)
    assert (far[:, 0] >= view.transform(x)[:, 0].max()).all()


@pytest.mark.parametrize("make", CODES)
def test_codes_are_float32_with_missing_values_kept(make):
    matrix = make(COLUMNS, table(TRAIN)).fit_transform(table(TRAIN), Y[2])
    assert matrix.dtype == np.float32
    assert np.isnan(matrix[0, 0])
    assert np.isnan(matrix[:, 2]).all()


@pytest.mark.parametrize("make", DENSE)
@pytest.mark.parametrize("classes", [0, 2, 3])
def test_dense_is_float32_and_holds_nothing_missing_whatever_comes(make, classes):
    view = make(COLUMNS, table(TRAIN), classes)
    for matrix in (view.fit_transform(table(TRAIN), Y[classes]), view.transform(strange())):
        assert matrix.dtype == np.float32
        assert np.isfinite(matrix).all()


def test_dense_gives_numbers_booleans_dates_and_long_categories_one_scale():
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


def test_dense_says_where_a_number_was_missing():
    columns, x = only("size")
    matrix = dense_standard(columns, x).fit_transform(x, Y[2])
    assert matrix.shape == (TRAIN, 2)
    assert len(np.unique(matrix[x["size"].isna(), 1])) == 1
    assert matrix[x["size"].isna(), 1].min() > matrix[x["size"].notna(), 1].max()


def test_dense_gives_each_level_of_a_short_category_a_column():
    columns, x = only("town")
    matrix = dense_standard(columns, x).fit_transform(x, Y[2])
    # Three towns, and one column for what is missing.
    assert matrix.shape[1] == 4
    assert (matrix.sum(axis=1) == 1).all()


@a_view_of_each_sort
@pytest.mark.parametrize("name", [name for name in COLUMNS if name != "blank"])
def test_every_column_may_be_the_only_one(make, name):
    columns, x = only(name)
    view = make(columns, x)
    train = view.fit_transform(x, Y[2])
    assert len(train) == TRAIN
    assert view.transform(strange()[[name]]).shape[1] == train.shape[1] > 0


@pytest.mark.parametrize("make", CODES)
def test_an_unseen_level_is_coded_like_a_missing_one_or_by_the_overall_mean(make):
    columns, x = only("town", "street")
    view = make(columns, x)
    view.fit_transform(x, Y[2])
    unseen = view.transform(pd.DataFrame({"town": objects(["Pisa"]), "street": objects(["new"])}))
    assert np.isnan(unseen[0, 0])
    expected = Y[2].mean() if make is codes_by_target else np.nan
    assert unseen[0, 1] == pytest.approx(expected, nan_ok=True)


def test_categorical_says_which_columns_hold_ordinal_codes():
    columns, x = only("size", "town", "street", "sold")
    view = codes_by_order(columns, x)
    matrix = view.fit_transform(x, Y[2])
    flags = features.categorical_columns(columns, view)
    assert len(flags) == matrix.shape[1]
    assert flags[:4] == [False, True, True, False]
    assert sum(flags) == 2
    by_target = codes_by_target(columns, x)
    by_target.fit_transform(x, Y[2])
    assert sum(features.categorical_columns(columns, by_target)) == 1


@pytest.mark.parametrize("make", [codes_by_target, dense_standard])
@pytest.mark.parametrize("classes", [0, 2])
def test_a_training_row_is_not_told_its_own_target(make, classes):
    rng = np.random.default_rng(3)
    rows = 600
    x = pd.DataFrame({"street": objects(f"street {i}" for i in rng.integers(0, 300, rows))})
    y = rng.integers(0, 2, rows) if classes else rng.normal(size=rows)
    view = make({"street": "category"}, x, classes)
    crossed = view.fit_transform(x, y)[:, 0]
    # The means over all rows hold the row's own target; with two rows a level they tell most of it.
    leaky = view.transform(x)[:, 0]
    assert np.corrcoef(leaky, y)[0, 1] > 0.5
    assert abs(np.corrcoef(crossed, y)[0, 1]) < 0.15


@pytest.mark.parametrize("make", [codes_by_target, dense_standard])
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
    view = make(columns, x, classes)
    train = view.fit_transform(x, y)
    assert np.isfinite(train).all()
    assert view.transform(strange()[["street"]]).shape[1] == train.shape[1]


def test_a_date_tells_year_and_weekday():
    x = pd.DataFrame({"sold": pd.date_range("2019-01-01", periods=TRAIN, freq="40D").astype("datetime64[ns]")})
    matrix = codes_by_order({"sold": "date"}, x).fit_transform(x, Y[2])
    known = [column.tolist() for column in matrix.T]
    assert x["sold"].dt.year.astype(float).tolist() in known
    assert (x["sold"].dt.day_of_week + 1.0).tolist() in known


def test_seasons_are_circles_to_dense_models():
    x = pd.DataFrame({"sold": pd.date_range("2019-01-01", periods=TRAIN, freq="73D").astype("datetime64[ns]")})
    matrix = dense_standard({"sold": "date"}, x).fit_transform(x, Y[2])
    # So that December is next to January.
    angle = 2 * np.pi * x["sold"].dt.month.to_numpy() / 12
    circle = np.column_stack([np.sin(angle), np.cos(angle)])
    told = [max(abs(np.corrcoef(each, column)[0, 1]) for column in matrix.T if column.std()) for each in circle.T]
    assert min(told) > 0.99


@pytest.mark.parametrize("make", [codes_by_order, dense_standard])
def test_like_texts_lie_nearer_than_unlike_ones(make):
    rng = np.random.default_rng(0)
    words = [["red", "brick", "house"], ["lake", "boat", "fishing"]]
    x = pd.DataFrame({"note": objects(" ".join(rng.permutation(words[i % 2])) for i in range(TRAIN))})
    matrix = make({"note": "text"}, x).fit_transform(x, Y[2])
    distance = np.linalg.norm(matrix[:, None] - matrix[None], axis=2)
    assert distance[::2, ::2].mean() < distance[::2, 1::2].mean() > distance[1::2, 1::2].mean()


def test_a_column_of_texts_without_any_text_is_left_out():
    columns, x = only("size", "blank")
    x.loc[3, "blank"] = "  "
    assert dense_standard(columns, x).fit_transform(x, Y[2]).shape == (TRAIN, 2)
    assert codes_by_order(columns, x).fit_transform(x, Y[2]).shape == (TRAIN, 1)


@pytest.mark.parametrize("kind", ["image", "sequence"])
@pytest.mark.parametrize("make", VIEWS)
def test_arrays_are_flattened(make, kind):
    x = arrays(kind)
    matrix = make({}, x).fit_transform(x, Y[2])
    assert matrix.shape == (len(x), x[0].size)
    assert matrix.dtype == np.float32


def test_pixels_of_one_byte_become_numbers():
    x = np.full((3, 4, 4), 200, np.uint8)
    assert codes_by_order({}, x).fit_transform(x).tolist() == [[200.0] * 16] * 3


def test_parts_are_integers_for_embeddings_and_floats_for_the_rest():
    x = table()
    parts = features.fit_wide_and_deep(COLUMNS, x[:TRAIN], numbers="standard", crosses=4, seed=1)
    dense, deep, wide = parts.transform(x[TRAIN:])
    assert dense.dtype == np.float32
    assert deep.dtype == wide.dtype == np.int32
    assert np.isfinite(dense).all()


@pytest.mark.parametrize("rows", [table(TRAIN), strange()], ids=["known", "strange"])
def test_codes_stay_below_the_levels_that_embeddings_are_made_for(rows):
    parts = features.fit_wide_and_deep(COLUMNS, table(TRAIN), numbers="standard", crosses=6, seed=1)
    _, deep, wide = parts.transform(rows)
    assert deep.min() >= 0
    assert (deep < parts.levels("deep")).all()
    tops = np.cumsum(parts.levels("wide"))
    # Each column of the wide part has codes of its own.
    assert (wide < tops).all()
    assert (wide >= np.array([0, *tops[:-1]])).all()


def test_an_unseen_or_missing_level_is_code_zero():
    x = pd.DataFrame({"town": objects(["Rome", "Oslo", "Bern"] * 20)})
    parts = features.fit_wide_and_deep({"town": "category"}, x, numbers="standard", crosses=0, seed=1)
    (deep, wide) = parts.transform(pd.DataFrame({"town": objects(["Pisa", np.nan, "Bern", "Rome"])}))
    assert deep[:, 0].tolist() == wide[:, 0].tolist() == [0, 0, 1, 3]


def test_crosses_join_the_pairs_with_the_fewest_levels():
    towns, n = objects(["Rome", "Oslo"] * 30), np.arange(60)
    x = pd.DataFrame({"a": towns, "b": objects(np.array(["x", "y"])[n // 2 % 2]), "c": objects(n % 10)})
    kinds = dict.fromkeys("abc", "category")
    parts = features.fit_wide_and_deep(kinds, x.astype(str).astype(object), numbers="standard", crosses=1, seed=1)
    _, wide = parts.transform(x.astype(str).astype(object))
    assert wide.shape[1] == 4
    joint = pd.Series(wide[:, 3]).groupby([x["a"], x["b"]]).nunique()
    assert joint.tolist() == [1, 1, 1, 1]
    assert len(np.unique(wide[:, 3])) == 4


@pytest.mark.parametrize("make", [codes_by_target, dense_quantile])
def test_a_saved_view_transforms_as_before(make, tmp_path):
    x = table()
    view = make(COLUMNS, x[:TRAIN])
    view.fit_transform(x[:TRAIN], Y[2])
    features.save(view, tmp_path / "view.skops")
    loaded = features.load(tmp_path / "view.skops")
    for rows in (x[TRAIN:], strange()):
        np.testing.assert_array_equal(loaded.transform(rows), view.transform(rows))


@pytest.mark.parametrize("names", [("size", "town", "sold"), ("size",), ("town",), ("note",)])
def test_saved_parts_transform_as_before(names, tmp_path):
    columns, x = only(*names)
    parts = features.fit_wide_and_deep(columns, x, numbers="quantile", crosses=4, seed=1)
    parts.save(tmp_path)
    loaded = features.WideAndDeepInputs.load(tmp_path)
    rows = strange()[list(names)]
    before, after = parts.transform(rows), loaded.transform(rows)
    assert len(before) == len(after) > 0
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(one, other)


def rewritten(file, rewrite):
    """Write a saved view anew, with its `schema.json` changed by `rewrite`."""
    with zipfile.ZipFile(file) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    contents["schema.json"] = rewrite(json.loads(contents["schema.json"])).encode()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in contents.items():
            archive.writestr(name, content)


def test_a_file_that_asks_for_a_foreign_type_is_refused(tmp_path):
    file = tmp_path / "view.skops"
    features.save(features.Flatten(), file)
    rewritten(file, lambda schema: json.dumps({**schema, "__class__": "Popen", "__module__": "subprocess"}))
    with pytest.raises(FamilyError, match=r"must hold known types only. Received: subprocess\.Popen. It is not loaded"):
        features.load(file)


@pytest.mark.parametrize("damage", ["missing", "text", "truncated", "schema"])
def test_a_damaged_file_is_refused(damage, tmp_path):
    file = tmp_path / "view.skops"
    if damage != "missing":
        features.save(features.Flatten(), file)
    if damage == "text":
        file.write_text("not a view")
    if damage == "truncated":
        file.write_bytes(file.read_bytes()[:100])
    if damage == "schema":
        rewritten(file, lambda schema: "{")
    with pytest.raises(FamilyError, match="must be a file that workbench saved"):
        features.load(file)


def test_scores_of_sequences_have_no_holes_and_none_is_far_out():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 6, 2)).astype("float32")
    x[np.arange(6) >= rng.integers(1, 5, 40)[:, None]] = np.nan
    x[:2, 4] = [[0, 0], [1e-3, 1e-3]]
    view = features.dense_preprocessor({}, x, numbers="standard", classes=2, seed=0, kind="sequence").fit(x)
    new = np.full((2, 6, 2), np.nan, "float32")
    new[1] = 7.0
    matrix = view.transform(np.concatenate([x, new]))
    assert np.isfinite(matrix).all()
    assert np.abs(matrix).max() == 10
    np.testing.assert_array_equal(matrix[-2], 0)
    np.testing.assert_allclose(matrix[:40, :2].mean(axis=0), 0, atol=1e-6)
    kept = features.tree_preprocessor({}, x, categories="ordinal", classes=2, seed=0, kind="sequence").fit_transform(x)
    np.testing.assert_array_equal(kept, x.reshape(40, 12))


def test_pieces_say_how_much_of_each_bin_lies_below_a_value():
    pieces = features.PiecewiseLinearEncoder(bins=2).fit([[0.0, 5], [1, 5], [3, 5]])
    shares = pieces.transform([[0.5, 5], [2, 6], [9, 4], [-9, 5.5]])
    # Bins 0 to 1 and 1 to 3; a column of one value has a bin from there on.
    np.testing.assert_allclose(shares, [[0.5, 0, 0], [1, 0.5, 1], [1, 1, 0], [0, 0, 0.5]])
    assert shares.dtype == np.float32


def test_a_linear_model_on_pieces_bends_where_one_on_the_number_does_not():
    x = np.random.default_rng(0).normal(size=(300, 1))
    y = np.abs(x[:, 0])
    bent = LinearRegression().fit(features.PiecewiseLinearEncoder().fit_transform(x), y)
    assert bent.score(features.PiecewiseLinearEncoder().fit(x).transform(x), y) > 0.95
    assert LinearRegression().fit(x, y).score(x, y) < 0.1


def test_without_labels_categories_of_many_levels_are_coded_all_the_same():
    x = table(TRAIN)
    view = features.dense_preprocessor({"street": "category"}, x, numbers="quantile", classes=0, seed=1, labelled=False)
    matrix = view.fit_transform(x)
    assert matrix.shape == (TRAIN, features.MOST_LEVELS)
    np.testing.assert_array_equal(matrix.sum(axis=1), 1)
