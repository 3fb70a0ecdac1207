"""Small files as people really have them, in the form of public bug reports, and what a study makes of each.

Other tests hold these kinds of file in many variants; here each is as it was reported, from the file to what is learnt.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from workbench import config as configs
from workbench import data, evaluation, space, submission, trial
from workbench.autoconfig.draft import Draft, draft
from workbench.config import FoldsConfig
from workbench.data import Dataset
from workbench.errors import DataError
from workbench.evaluation import folds as splitting
from workbench.study import target_metrics
from workbench.tracking.run_metrics import metric_name
from workbench.trial import TrialSpec

ROWS = 40
NUMBERS = np.random.default_rng(0).normal(size=(ROWS, 2)).round(3)
COLOURS = [("red", "green", "blue")[i % 3] for i in range(ROWS)]
ANSWERS = [i % 2 for i in range(ROWS)]
IDS = [f"{900 + i:05}" for i in range(ROWS)]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, empty."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def plain(**more: Any) -> dict[str, Any]:
    """Return the columns of an ordinary table."""
    return {"id": range(1000, 1000 + ROWS), "a": NUMBERS[:, 0], "b": NUMBERS[:, 1], "c": COLOURS, **more}


def text(columns: Mapping[str, Any], separator: str = ",", line_end: str = "\n") -> str:
    """Return the columns as the text of a table."""
    written = io.StringIO()
    writer = csv.writer(written, delimiter=separator, lineterminator=line_end)
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    return written.getvalue()


def with_commas(numbers: Any) -> list[str]:
    return [str(number).replace(".", ",") for number in numbers]


def put(**files: str | bytes | Mapping[str, Any]) -> None:
    """Write files: `train` is `train.csv`."""
    for name, content in files.items():
        written = content if isinstance(content, (str, bytes)) else text(content)
        Path(f"{name}.csv").write_bytes(written.encode() if isinstance(written, str) else written)


def init(train: str = "train.csv", **options: Any) -> tuple[Draft, Dataset]:
    """Draft a study of the files and load its data."""
    drafted = draft(train, out="study.yaml", **options)
    return drafted, data.load(configs.load("study.yaml"))


def load(**keys: Any) -> Dataset:
    """Load the data of a study with these keys of its section `data`."""
    document = {"name": "s", "data": {"train": "train.csv", "target": "y", **keys}, "families": ["linear"]}
    Path("study.yaml").write_text(yaml.safe_dump(document))
    return data.load(configs.load("study.yaml"))


def column(x: Any, name: str) -> list[Any]:
    assert isinstance(x, pd.DataFrame)
    values: list[Any] = x[name].tolist()
    return values


def fit(dataset: Dataset, metric: str, folder: Path) -> tuple[trial.TrialResult, TrialSpec]:
    """Fit the linear family with its defaults in five folds."""
    folds = splitting.make(FoldsConfig(folds=5), task=dataset.task, y=dataset.y, ids=dataset.ids)
    spec = TrialSpec("linear", dataset, folds, evaluation.metric(metric, task=dataset.task))
    fitted = trial.fit_folds(spec, 0, trial.build_space("linear", space.defaults), folder=folder)
    return trial.join_folds(spec, 0, list(fitted)), spec


def check_finite(result: trial.TrialResult) -> None:
    assert result.oof is not None
    assert result.test is not None
    assert np.isfinite(result.oof).all()
    assert np.isfinite(result.test).all()


def test_a_byte_order_mark_and_one_stray_byte_keep_the_id_and_the_column() -> None:
    towns = ["Köln" if i == 30 else ("Koln", "Bern")[i % 2] for i in range(ROWS)]
    content = text(plain(town=towns, y=ANSWERS)).encode().replace("ö".encode(), b"\xf6")
    put(train=b"\xef\xbb\xbf" + content, test=b"\xef\xbb\xbf" + text(plain(town=COLOURS)).encode())
    drafted, dataset = init()
    assert dataset.id_name == "id"
    assert dataset.ids[0] == 1000
    assert column(dataset.x, "town") == towns
    assert "train.csv: read as UTF-8, 1 byte that is not UTF-8 as 'ö'" in drafted.notes


def test_one_stray_byte_leaves_the_umlauts_of_names_and_values() -> None:
    levels = [("röt", "green")[i % 2] for i in range(ROWS)]
    levels[1] = "blauä"
    content = text(plain(größe=levels, y=ANSWERS)).encode()
    put(train=content.replace("ä".encode(), b"\xe4"), test=plain(größe=levels))
    _, dataset = init()
    assert column(dataset.x, "größe") == column(dataset.x_test, "größe") == levels
    assert dataset.notes == ("train.csv: read as UTF-8, 1 byte that is not UTF-8 as 'ä'",)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32"])
def test_wide_encodings_are_read_and_noted(encoding: str) -> None:
    put(train=text(plain(größe=COLOURS, y=ANSWERS)).encode(encoding))
    dataset = load(id="id")
    assert column(dataset.x, "größe") == COLOURS
    assert dataset.notes == (f"train.csv: read as {encoding[:6].upper()}",)


def test_carriage_returns_alone_end_lines() -> None:
    put(train=text(plain(y=ANSWERS), line_end="\r"), test=text(plain(), line_end="\r"))
    _, dataset = init()
    assert list(dataset.columns) == ["a", "b", "c"]
    assert dataset.y.tolist() == ANSWERS
    assert column(dataset.x_test, "a") == NUMBERS[:, 0].tolist()


def test_names_with_commas_do_not_divide_a_table_of_semicolons() -> None:
    names = ["Area (m2, net)", "Age (years, full)", "Colour (red, green, blue)"]
    columns: dict[str, Any] = dict(zip(["id", *names], plain().values(), strict=True))
    put(train=text({**columns, "y": ANSWERS}, ";").replace('"', ""), test=text(columns, ";").replace('"', ""))
    drafted, dataset = init()
    assert drafted.target == "y"
    assert dataset.columns == dict(zip(names, ["number", "number", "category"], strict=True))


@pytest.mark.parametrize("separator", [";", "\t", "|"])
@pytest.mark.parametrize("with_id", [True, False])
def test_decimal_commas_in_every_row_do_not_divide_it(separator: str, *, with_id: bool) -> None:
    columns: dict[str, Any] = {"id": range(ROWS)} if with_id else {}
    columns |= {"a": with_commas(NUMBERS[:, 0]), "y": with_commas(NUMBERS[:, 1])}
    put(train=text(columns, separator).replace('"', ""))
    _, dataset = init()
    assert dataset.task == "regression"
    assert column(dataset.x, "a") == NUMBERS[:, 0].tolist()
    assert dataset.y.tolist() == NUMBERS[:, 1].tolist()


def test_texts_with_as_many_commas_in_every_row_do_not_divide_it() -> None:
    put(train="id;text;y\n" + "".join(f"{i};one, two and, three {i};{i % 2}\n" for i in range(ROWS)))
    _, dataset = init()
    assert dataset.id_name == "id"
    assert column(dataset.x, "text")[0] == "one, two and, three 0"


def test_one_column_of_points_leaves_the_decimal_commas_of_others() -> None:
    releases = [("2.1", "3.0", "3.4")[i % 3] for i in range(ROWS)]
    columns: dict[str, Any] = plain(
        a=with_commas(NUMBERS[:, 0]), b=with_commas(NUMBERS[:, 1]), y=ANSWERS, release=releases
    )
    put(train=text(columns, ";"))
    _, dataset = init()
    assert dataset.columns == {"a": "number", "b": "number", "c": "category", "release": "number"}
    assert column(dataset.x, "b") == NUMBERS[:, 1].tolist()
    assert column(dataset.x, "release")[:3] == [2.1, 3.0, 3.4]


def test_prices_with_thousands_and_currency_are_a_regression() -> None:
    area, share = [1450 + 371 * i for i in range(ROWS)], [12.5 + i for i in range(ROWS)]
    columns: dict[str, Any] = {
        "id": range(ROWS),
        "area": [f"{each:,}" for each in area],
        "share": [f"{each}%" for each in share],
    }
    columns["fee"] = [f"${1.5 * each:,.2f}" for each in area]
    put(train={**columns, "price": [f"${300 * each:,}" for each in area]}, test=columns)
    drafted, dataset = init()
    assert (drafted.task, drafted.metric) == ("regression", "rmse")
    assert dataset.y.tolist() == [300 * each for each in area]
    assert dataset.x_test is not None
    for x in (dataset.x, dataset.x_test):
        assert column(x, "area") == area
        assert column(x, "share") == share
        assert column(x, "fee") == [1.5 * each for each in area]


@pytest.mark.parametrize(
    ("prices", "value"),
    [
        (["12.-", "1'250.-", "7.50"], [12, 1250, 7.5]),
        (["5,-", "6,--", "7,50"], [5, 6, 7.5]),
        (["CHF 12.–", "CHF 13.50", "CHF 14.—"], [12, 13.5, 14]),
        (["12-", "13", "14.5-"], [-12, 13, -14.5]),
        (["29.85", " ", "108.15"], [29.85, np.nan, 108.15]),
        (["1,5", "  ", "2,75"], [1.5, np.nan, 2.75]),
    ],
)
def test_dashes_for_cents_are_no_minus_and_blanks_are_missing(prices: list[str], value: list[float]) -> None:
    put(train=text({"price": prices * 4, "y": ANSWERS[:12]}, ";"))
    np.testing.assert_allclose(column(load().x, "price")[:3], value)


@pytest.mark.parametrize("zone", [" UTC", " GMT", "Z", "+00:00"])
def test_dates_with_a_zone_are_dates_and_an_id_like_a_date_is_none(zone: str) -> None:
    moments = pd.date_range("2012-05-01 17:26:21", periods=ROWS, freq="31h")
    columns: dict[str, Any] = {
        "key": [f"{each}.{i:07}" for i, each in enumerate(moments)],
        "picked_up": [f"{m}{zone}" for m in moments],
    }
    put(
        train={**columns, "fare": NUMBERS[:, 0]},
        test=columns,
        sample_submission={"key": columns["key"], "fare": [11.35] * ROWS},
    )
    _, dataset = init()
    assert dataset.columns == {"picked_up": "date"}
    assert column(dataset.x_test, "picked_up") == list(moments)
    assert dataset.id_name == "key"
    assert dataset.test_ids is not None
    assert dataset.test_ids.tolist() == columns["key"]


@pytest.mark.parametrize(
    ("ours", "theirs"), [("%Y-%m-%d", "%d.%m.%Y"), ("%d/%m/%Y", "%m/%d/%Y"), ("%d.%m.%Y", "%Y-%m-%d")]
)
def test_dates_of_another_format_in_the_test_are_refused(ours: str, theirs: str) -> None:
    days = pd.date_range("2020-01-13", periods=ROWS)
    put(
        train={"day": days.strftime(ours), "a": COLOURS, "y": ANSWERS},
        test={"day": days[:15].strftime(theirs), "a": COLOURS[:15]},
    )
    with pytest.raises(
        DataError, match=r"test\.csv: column 'day' must hold dates written as in training\. Received: '"
    ):
        load(test="test.csv")


def test_dates_that_mean_never_are_missing_and_not_refused() -> None:
    days = [*pd.date_range("2020-01-13", periods=ROWS - 1).strftime("%Y-%m-%d"), "9999-12-31"]
    put(train={"end": days, "a": COLOURS, "y": ANSWERS}, test={"end": ["9999-12-31"] * 5, "a": COLOURS[:5]})
    assert column(load(test="test.csv").x_test, "end") == [pd.NaT] * 5


def test_sentences_that_begin_with_a_lone_quotation_mark_are_all_read() -> None:
    sentences = [
        f"{chr(34) + ' ' if i % 7 == 4 else ''}a dull and tired mess , scene {i} of the film" for i in range(200)
    ]
    lines = [f"{sentence}\t{i % 2}" for i, sentence in enumerate(sentences)]
    Path("train.tsv").write_text("\n".join(["sentence\tlabel", *lines]) + "\n")
    drafted, dataset = init("train.tsv")
    assert column(dataset.x, "sentence") == sentences
    assert "train.tsv: quotation marks are read as text: they do not come in pairs around fields" in drafted.notes


def test_a_sample_with_the_target_first_and_another_order_gives_each_id_its_prediction() -> None:
    ids = [*plain()["id"]]
    put(train=plain(y=ANSWERS), test=plain(), sample_submission={"y": [0.5] * ROWS, "id": ids[::-1]})
    drafted, dataset = init()
    assert "id: id, as in the sample submission" in drafted.notes
    shares = np.arange(ROWS) / ROWS
    written = submission.make(dataset, shares, evaluation.metric("roc_auc"))
    assert list(written) == ["y", "id"]
    assert written["id"].astype(int).tolist() == ids[::-1]
    assert written["y"].tolist() == shares[::-1].tolist()


@pytest.mark.parametrize("shown", [IDS, [str(int(each)) for each in IDS]], ids=["with zeros", "without zeros"])
def test_ids_with_leading_zeros_under_another_name_stay_as_the_sample_writes_them(shown: list[str]) -> None:
    columns: dict[str, Any] = {name: values for name, values in plain().items() if name != "id"} | {"RecordID": IDS}
    put(train={**columns, "y": ANSWERS}, test=columns, sample_submission={"Id": shown[::-1], "y": [0.5] * ROWS})
    drafted, dataset = init()
    assert "id: RecordID, whose values the sample submission has as Id" in drafted.notes
    assert dataset.ids.tolist() == IDS
    shares = np.arange(ROWS) / ROWS
    written = submission.make(dataset, shares, evaluation.metric("roc_auc"))
    assert written.to_csv(index=False).splitlines()[1] == f"{shown[-1]},{shares[-1]}"
    assert written["y"].tolist() == shares[::-1].tolist()


def test_codes_beside_letters_are_the_same_levels_in_the_test_and_in_one_row() -> None:
    codes = [("0101", "1.10", "2.0", "0330", "X9")[i % 5] for i in range(ROWS)]
    flags = [("TRUE", "FALSE", "N/K")[i % 3] for i in range(ROWS)]
    columns: dict[str, Any] = {"id": range(ROWS), "code": codes, "flag": flags, "x": NUMBERS[:, 0], "y": NUMBERS[:, 1]}
    put(
        train=columns,
        test="id,code,flag,x\n90,0101,TRUE,1\n91,1.10,FALSE,2\n92,2.0,TRUE,3\n",
        one="id,code,flag,x\n7,0330,TRUE,1\n",
    )
    _, dataset = init()
    assert dataset.columns == {"code": "category", "flag": "category", "x": "number"}
    assert column(dataset.x, "code") == codes
    assert column(dataset.x_test, "code") == ["0101", "1.10", "2.0"]
    assert column(dataset.x_test, "flag") == ["TRUE", "FALSE", "TRUE"]
    assert dataset.reader is not None
    assert column(dataset.reader.read(Path("one.csv")).x, "code") == ["0330"]


def test_names_with_brackets_are_dropped_by_their_full_names() -> None:
    put(train=plain(**{"speed[/km]": [7] * ROWS, "[red]note": ["k"] * ROWS, "y": ANSWERS}))
    _, dataset = init()
    assert dataset.notes == ("dropped 'speed[/km]': constant", "dropped '[red]note': constant")


def test_an_index_that_repeats_the_id_is_read_once() -> None:
    frame = pd.DataFrame(plain(y=ANSWERS))
    frame.set_index("id", drop=False).to_parquet("train.parquet")
    frame.drop(columns="y").set_index("id", drop=False).to_parquet("test.parquet")
    _, dataset = init("train.parquet")
    assert dataset.ids.tolist() == list(range(1000, 1000 + ROWS))
    assert list(dataset.columns) == ["a", "b", "c"]


def test_types_of_arrow_are_read_as_plain_ones() -> None:
    frame = pd.DataFrame(plain(f=[i % 3 == 0 for i in range(ROWS)], y=ANSWERS))
    frame = frame.assign(w=pd.date_range("2021-03-01", periods=ROWS, freq="7h"), a=frame.a.where(frame.index != 5))
    frame.to_parquet("plain.parquet")
    frame.convert_dtypes(dtype_backend="pyarrow").to_parquet("train.parquet")
    arrow, expected = (load(train=f"{name}.parquet", id="id") for name in ("train", "plain"))
    assert arrow.columns == {"a": "number", "b": "number", "c": "category", "f": "boolean", "w": "date"}
    assert isinstance(arrow.x, pd.DataFrame)
    assert isinstance(expected.x, pd.DataFrame)
    pd.testing.assert_frame_equal(arrow.x, expected.x)
    assert (arrow.y.tolist(), arrow.ids.tolist()) == (ANSWERS, expected.ids.tolist())


def test_targets_with_signs_in_their_names_name_metrics_and_the_submission() -> None:
    names = ["price [€/m²]", "rate [/d] @3, %"]
    sample: dict[str, Any] = {"id": [*plain()["id"]], **dict.fromkeys(names, [0.5] * ROWS)}
    put(train=plain(**dict(zip(names, NUMBERS.T, strict=True))), test=plain(), sample_submission=sample)
    _, dataset = init()
    assert [target.name for target in dataset.targets] == names
    metric = target_metrics.metric(configs.load("study.yaml"), dataset)
    written = submission.make(dataset, NUMBERS, metric)
    assert written.columns.tolist() == ["id", *names]
    assert written[names].to_numpy().tolist() == NUMBERS.tolist()
    assert [metric_name(f"{name}.rmse") for name in names] == ["price __/m²_.rmse", "rate _/d_ _3_ _.rmse"]


@pytest.mark.parametrize(
    "lines",
    [
        [f"{4.8 + i % 7 / 10},{3 + i % 4 / 10:.1f},flower-{'abc'[i % 3]}" for i in range(ROWS)],
        [f"u{i},{i / 7:.2f},{i % 2}" for i in range(ROWS)],
        [f"2020-01-{i % 28 + 1:02},{i / 7:.2f},{i % 2}" for i in range(28)],
        [f"{('red', 'blue')[i % 2]},{('up', 'down')[i // 2 % 2]},{('yes', 'no')[i % 2]}" for i in range(ROWS)],
    ],
    ids=["measurements", "ids", "dates", "words"],
)
def test_a_file_without_column_names_gets_a_word(lines: list[str]) -> None:
    put(train="\n".join(lines))
    drafted, _ = init()
    start = "train.csv: the first line looks like data, not like column names"
    assert any(note.startswith(start) and "add a line of column names" in note for note in drafted.notes)


@pytest.mark.parametrize("names", ["id,2019,2020", "id,400.5,401.0", "x1,x2,y", "id,2020-01,2020-02"])
def test_column_names_that_are_numbers_or_dates_get_no_word(names: str) -> None:
    put(train="\n".join([names, *(f"{i},{i / 7:.2f},{i % 2}" for i in range(ROWS))]))
    assert load(target=names.split(",")[2]).notes == ()


def test_one_row_to_predict_is_one_row_of_the_submission() -> None:
    put(train=plain(y=ANSWERS), test="id,a,b,c\n11000,0.346,0.822,blue\n", sample_submission="id,y\n11000,0.5\n")
    _, dataset = init()
    written = submission.make(dataset, np.array([0.25]), evaluation.metric("roc_auc"))
    assert written.to_csv(index=False) == "id,y\n11000,0.25\n"


def test_classes_of_one_row_and_of_two_have_columns_in_every_fold(tmp_path: Path) -> None:
    labels = [("no finding", "Type 2 / mild", "Type 1")[i % 3] for i in range(ROWS)]
    labels[7], labels[8], labels[9] = "very rare ", "-1", "-1"
    put(train=plain(y=labels), test=plain())
    _, dataset = init()
    assert dataset.classes == ("-1", "Type 1", "Type 2 / mild", "no finding", "very rare ")
    result, _ = fit(dataset, "log_loss", tmp_path)
    assert result.oof is not None
    assert result.test is not None
    assert result.oof.shape == result.test.shape == (ROWS, 5)
    assert np.isfinite(result.fold_scores).all()
    written = submission.make(dataset, result.test, evaluation.metric("log_loss"))
    assert written.columns.tolist() == ["id", *(f"y_{label}" for label in dataset.classes)]


def test_a_score_of_logarithms_is_that_of_the_values_written(tmp_path: Path) -> None:
    sales = np.clip(3 * NUMBERS[:, 0] + NUMBERS[:, 1] - 1, 0, None)
    assert (sales == 0).mean() > 0.5
    put(train=plain(y=sales), test=plain())
    dataset = load(id="id", test="test.csv")
    result, spec = fit(dataset, "rmsle", tmp_path)
    assert result.oof is not None
    assert result.test is not None
    assert submission.make(dataset, result.test, spec.metric)["y"].min() == 0
    assert result.oof.min() == 0
    assert result.score == pytest.approx(np.sqrt(np.mean((np.log1p(result.oof) - np.log1p(sales)) ** 2)))


def test_weights_of_zero_in_nearly_all_rows_give_finite_predictions(tmp_path: Path) -> None:
    put(train=plain(y=ANSWERS, w=[2.0 if i < 6 else 0.0 for i in range(ROWS)]), test=plain())
    result, _ = fit(load(id="id", weight="w", test="test.csv"), "roc_auc", tmp_path)
    check_finite(result)


def test_ten_rows_are_enough_for_five_folds(tmp_path: Path) -> None:
    put(train={name: values[:10] for name, values in plain(y=ANSWERS).items()}, test=plain())
    _, dataset = init()
    result, _ = fit(dataset, "roc_auc", tmp_path)
    assert len(result.fold_scores) == 5
    check_finite(result)


def test_labels_of_any_characters_are_classes_as_they_are() -> None:
    labels = ("<b>$<10k_$</b>", "[/red] $x^_$", 'a|b "q"', "日本語 ✅")
    put(train=plain(y=[labels[i % 4] for i in range(ROWS)]))
    assert init()[1].classes == labels


def test_a_continent_na_is_told_of_and_kept_if_the_study_says_so() -> None:
    put(train=plain(continent=[("NA", "EU", "AS", "AF")[i % 4] for i in range(ROWS)]))
    remedy = "if it is a class, set data.missing: {continent: []}"
    note = f"train.csv: read 10 times 'NA' in the target 'continent' as missing; {remedy}"
    drafted, dataset = init()
    assert note in drafted.notes
    assert note in dataset.notes
    kept = load(target="continent", missing={"continent": []}, id="id")
    assert kept.classes == ("AF", "AS", "EU", "NA")
    assert len(kept.y) == ROWS


@pytest.mark.parametrize("words", [with_commas(NUMBERS[:, 0]), ["n.a.", "0,5"] * (ROWS // 2), ["high"] * ROWS])
def test_words_and_commas_among_the_numbers_of_the_test_are_refused(words: list[str]) -> None:
    put(train=plain(y=ANSWERS), test=plain(a=words))
    with pytest.raises(DataError, match=r"test\.csv: column 'a' must hold numbers, as in training\. Received: '"):
        init()


@pytest.mark.parametrize("empty", [";;;;;", '"";"";"";"";;', " ; ;; ;;"])
def test_empty_rows_at_the_end_and_columns_without_names_are_left_out(empty: str) -> None:
    rows = [f"{a};{b};red;{a};;" for a, b in zip(with_commas(NUMBERS[:, 0]), with_commas(NUMBERS[:, 1]), strict=True)]
    put(train="\n".join(["a;b;c;y;;", *rows, *[empty] * 20]) + "\n")
    drafted, dataset = init()
    assert drafted.task == "regression"
    assert "train.csv: left out 20 empty rows at its end" in drafted.notes
    assert dataset.y.tolist() == NUMBERS[:, 0].tolist()
    assert [note for note in dataset.notes if "without a name" in note] == [
        "dropped 'Unnamed: 4': a column without a name",
        "dropped 'Unnamed: 5': a column without a name",
    ]


def test_a_folder_of_parquet_parts_is_one_table() -> None:
    frame = pd.DataFrame(plain(y=ANSWERS))
    Path("train.parquet").mkdir()
    Path("train.parquet/_SUCCESS").touch()
    for part, rows in enumerate((frame[:25], frame[25:])):
        rows.to_parquet(f"train.parquet/part-0000{part}.snappy.parquet", index=False)
    _, dataset = init("train.parquet")
    assert dataset.ids.tolist() == frame.id.tolist()
    assert column(dataset.x, "a") == frame.a.tolist()


@pytest.mark.parametrize("largest", ["1.7976931348623157e+308", "-1.797e308", "1e400"])
def test_the_largest_double_is_missing_and_families_train(largest: str, tmp_path: Path) -> None:
    values = [*NUMBERS[:, 1]]
    put(train=plain(b=[*map(str, values[:7]), largest, *map(str, values[8:])], y=ANSWERS), test=plain())
    _, dataset = init()
    assert np.isnan(column(dataset.x, "b")).tolist() == [i == 7 for i in range(ROWS)]
    assert dataset.notes == ("read 1 value of 'b' as missing: infinite, or beyond 3.4e38",)
    check_finite(fit(dataset, "roc_auc", tmp_path)[0])


def test_a_word_among_numbers_is_told_of_and_may_be_a_missing_value() -> None:
    prices = [str(100 + number) for number in range(ROWS - 1)] + ["Contact agent"]
    put(train=plain(price=prices, y=NUMBERS[:, 0]))
    dataset = load(target="y", id="id")
    assert dataset.columns["price"] == "category"
    (note,) = [note for note in dataset.notes if "price" in note]
    assert "since 'Contact agent' is no number" in note
    assert "data.missing: {price: [Contact agent]}" in note
    dataset = load(target="y", id="id", missing={"price": ["Contact agent"]})
    assert dataset.columns["price"] == "number"
    assert isinstance(dataset.x, pd.DataFrame)
    assert dataset.x["price"].isna().tolist() == [False] * (ROWS - 1) + [True]
    assert not [note for note in dataset.notes if "no number" in note]
