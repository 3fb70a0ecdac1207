"""Every figure: its numbers against an independent calculation, and its drawing."""

from __future__ import annotations

import base64
import dataclasses
import io
import itertools
import re
import subprocess
import sys
from dataclasses import replace
from functools import cache
from typing import Any
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest
import report_datasets as datasets
from matplotlib.colors import to_rgb
from PIL import Image

from workbench.report import figure_export, figures, plot_style, ranking
from workbench.report.axis_limits import choose_limits
from workbench.report.density_scatter import MAX_POINTS, bin_rows
from workbench.report.figures import (
    calibration,
    confusion,
    contribution,
    curves,
    endings,
    error_correlation,
    filters,
    fold_scores,
    grad_cam,
    history,
    importances,
    pareto,
    precision_recall,
    predicted,
    residuals,
    roc,
    slices,
    weights,
)

SVG = "{http://www.w3.org/2000/svg}"
CLASSIFICATION = {"confusion", "roc", "precision_recall", "calibration"}
REGRESSION = {"predicted", "residuals"}
NETS = {"grad_cam", "filters"}
LARGEST_SVG = 300_000


@cache
def report_data(name: str) -> Any:
    """Return a study by the name that these tests give it."""
    if name in datasets.TASKS:
        return datasets.for_task(name)
    known = {
        "empty": [],
        "failed only": [row for row in datasets.trial_records("binary") if row.state == "failed"],
        "one trial": datasets.trial_records("regression", 1),
        "no ensemble": datasets.trial_records("binary", 30),
        "one family": datasets.trial_records("multiclass", 12, families=1),
        "strange names": datasets.trial_records("binary", 4),
    }
    rows = known[name]
    if name == "strange names":
        rows = [dataclasses.replace(row, family="<b>$x_1$ & 'co' #ffffff url(#x)</b>") for row in rows]
    return datasets.build("regression" if name == "one trial" else "binary", rows)


NAMES = [*datasets.TASKS, "empty", "failed only", "one trial", "no ensemble", "one family", "strange names"]


@cache
def numbers(name: str) -> dict[str, Any]:
    return {entry.name: (entry, found) for entry, found in figures.compute_figures(report_data(name))}


def expected(name: str) -> set[str]:
    """Return the figures that a study must have, and no others."""
    if name == "empty":
        return set()
    if name == "failed only":
        return {"endings"}
    search = set(figures.list_names("study")) - ({"endings", "slices"} if name == "one trial" else set())
    search -= {"endings"} if name == "strange names" else set()
    if name not in datasets.TASKS:
        return search
    missing = {"binary": REGRESSION | NETS, "multiclass": REGRESSION, "regression": CLASSIFICATION | {"grad_cam"}}
    return search | set(figures.list_names("ensemble")) - missing[name]


CASES = [(name, figure) for name in NAMES for figure in sorted(expected(name))]
# Figures of the search look the same for every task.
TO_DRAW = [
    (name, figure)
    for name, figure in CASES
    if figure in figures.list_names("ensemble") or name not in ("regression", "one family", "strange names")
] + [("strange names", "history"), ("strange names", "slices")]


@cache
def draw(name: str, figure: str) -> Any:
    entry, found = numbers(name)[figure]
    return sys.modules[f"workbench.report.figures.{entry.name}"].draw(found)


@cache
def svg(name: str, figure: str) -> str:
    return figure_export.to_svg(draw(name, figure))


@pytest.mark.parametrize("name", NAMES)
def test_a_study_has_the_expected_figures(name):
    assert set(numbers(name)) == expected(name)


def test_every_figure_is_covered():
    assert {figure for _, figure in CASES} == set(figures.list_names())


@pytest.mark.parametrize(("name", "figure"), CASES)
def test_numbers_are_finite(name, figure):
    for each in arrays(numbers(name)[figure][1]):
        assert np.isfinite(each).all()


def arrays(known: Any) -> Any:
    """Yield all numbers in a dataclass, a dictionary or a list."""
    if dataclasses.is_dataclass(known):
        known = [getattr(known, each.name) for each in dataclasses.fields(known)]
    if isinstance(known, dict):
        known = list(known.values())
    if isinstance(known, list | tuple):
        for each in known:
            yield from arrays(each)
    elif isinstance(known, int | float | np.ndarray):
        yield np.asarray(known, dtype=float)


SHAPES = {"svg", "title", "defs", "g", "path", "use", "text", "tspan", "clipPath", "rect", "pattern", "image"}


@pytest.mark.parametrize(("name", "figure"), TO_DRAW)
def test_a_figure_is_labelled_self_contained_and_uses_the_pages_colours(name, figure):
    whole, text = draw(name, figure), svg(name, figure)
    assert whole.get_suptitle()
    assert_labelled(whole)
    root = ElementTree.fromstring(text)
    assert_titled(root, whole.get_suptitle())
    assert_self_contained(root)
    assert_colours_are_variables(root)
    assert len(text) < LARGEST_SVG


def assert_labelled(whole: Any) -> None:
    shown = [axes for axes in whole.axes if axes.get_visible()]
    assert shown
    for axes in shown:
        assert axes.get_xlabel() or len(axes.get_shared_x_axes().get_siblings(axes)) > 1
        assert axes.get_ylabel() or whole.get_supylabel()


def assert_titled(root: Any, title: str) -> None:
    assert (root.tag, root.get("role")) == (f"{SVG}svg", "img")
    assert root.find(f"{SVG}title").text == title
    assert root.get("aria-labelledby") == root.find(f"{SVG}title").get("id")


def assert_self_contained(root: Any) -> None:
    """Assert that an SVG holds only shapes, text and embedded pixels, and refers to nothing external."""
    for each in root.iter(f"{SVG}image"):
        picture = base64.b64decode(each.attrib.pop("href").removeprefix("data:image/png;base64,"), validate=True)
        assert picture.startswith(b"\x89PNG")
    assert {each.tag.removeprefix(SVG) for each in root.iter()} <= SHAPES
    ids = [each.get("id") for each in root.iter() if each.get("id")]
    assert len(ids) == len(set(ids))
    inside = "".join(value for each in root.iter() for key, value in each.attrib.items() if key != "d")
    assert "http" not in inside
    assert {each.get("href") for each in root.iter() if each.get("href")} <= {f"#{each}" for each in ids}
    assert set(re.findall(r"url\(([^)]*)\)", inside)) <= {f"#{each}" for each in ids}


def assert_colours_are_variables(root: Any) -> None:
    """Assert that every colour is a variable that the style sheet sets."""
    looks = " ".join(each.get(key, "") for each in root.iter() for key in ("style", "fill", "stroke"))
    bare = re.sub(r"var\(--figure-\w+, #[0-9a-f]{6}\)", "", looks)
    assert "#" not in re.sub(r"url\(#[\w-]+\)", "", bare)
    assert set(re.findall(r"--figure-\w+", looks)) - {"--figure-font"} <= set(
        re.findall(r"--[\w-]+", figure_export.build_css())
    )


def test_the_style_sheet_has_every_colour_for_light_and_for_dark_pages():
    light, dark = figure_export.build_css().split("@media screen and (prefers-color-scheme: dark)")
    assert re.findall(r"--[\w-]+", light) == re.findall(r"--[\w-]+", dark)
    for sheet in (light, dark):
        behind = re.search(r"--figure-ground: (#\w+)", sheet)
        assert behind is not None
        ground = luminance(behind[1])
        for name, ink in re.findall(r"--figure-(ink|soft|\d): (#\w+)", sheet):
            assert contrast(luminance(ink), ground) >= (4.5 if name in ("ink", "soft") else 2.5), name


def luminance(ink: Any) -> float:
    """Return the relative luminance of a colour (WCAG 2)."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(ink)]
    return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))


def contrast(a: float, b: float) -> float:
    return (max(a, b) + 0.05) / (min(a, b) + 0.05)


def test_ids_of_one_page_do_not_collide():
    ids = [set(re.findall(r' id="([^"]+)"', svg("one trial", figure))) for figure in sorted(expected("one trial"))]
    assert all(ids)
    assert not any(a & b for a, b in itertools.combinations(ids, 2))


def test_the_same_figure_is_the_same_text():
    found = numbers("binary")["weights"][1]
    assert figure_export.to_svg(weights.draw(found)) == figure_export.to_svg(weights.draw(found))


def test_names_with_markup_stay_text():
    text = "".join(ElementTree.fromstring(svg("strange names", "history")).itertext())
    assert plot_style.shorten("<b>$x_1$ & 'co' #ffffff url(#x)</b>") in text
    assert "$x_1$" in text


@pytest.mark.parametrize(("name", "figure"), [case for case in TO_DRAW if case[0] in datasets.TASKS])
def test_series_are_distinct_without_colour(name, figure):
    keys = draw(name, figure).legends
    for a, b in itertools.combinations(keys[0].legend_handles if keys else [], 2):
        apart = abs(grey(a) - grey(b)) >= 0.1
        assert apart or outline(a) != outline(b)


def grey(handle: Any) -> float:
    """Return the lightness of a legend's handle on white."""
    color = handle.get_facecolor() if hasattr(handle, "get_facecolor") else handle.get_color()
    *_, alpha = color if isinstance(color, tuple) and len(color) == 4 else (1.0,)
    return alpha * luminance(color[:3] if isinstance(color, tuple) else color) + 1 - alpha


def outline(handle: Any) -> tuple[Any, ...]:
    """Return what distinguishes a handle beside its colour."""
    if hasattr(handle, "get_hatch"):
        return (handle.get_hatch(),)
    return handle.get_marker(), str(handle._dash_pattern), handle.get_linestyle()


def test_series_styles_are_distinct():
    looks = [plot_style.series_style(place) for place in range(35)]
    assert len({(look["color"], look["marker"], look["linestyle"]) for look in looks}) == 35
    assert len({look["marker"] for look in looks[:8]}) == 8


def test_neighbouring_colours_differ_in_lightness():
    light = [luminance(ink) for ink in plot_style.PALETTE]
    assert min(contrast(a, b) for a, b in itertools.pairwise(light)) >= 1.4


def test_a_png_is_small_and_has_a_white_background():
    raw = figure_export.to_png(draw("binary", "roc"))
    picture = Image.open(io.BytesIO(raw)).convert("RGBA")
    assert len(raw) < 150_000
    assert picture.width == round(plot_style.WIDTH * figure_export.DPI)
    assert picture.getpixel((2, picture.height - 2)) == (255, 255, 255, 255)


def test_matplotlibs_settings_stay_as_they_were():
    with matplotlib.rc_context({"font.size": 33, "text.color": "red"}):
        before = dict(matplotlib.rcParams)
        whole = weights.draw(numbers("binary")["weights"][1])
        figure_export.to_svg(whole)
        assert dict(matplotlib.rcParams) == before
        assert whole.axes[0].xaxis.label.get_color() == plot_style.TEXT_COLOR


def test_the_registry_imports_nothing_heavy_and_drawing_does_not_import_pyplot():
    code = (
        "import sys\nfrom pathlib import Path\nfrom workbench.report import figures\n"
        "files = Path(figures.__file__).parent.glob('*.py')\n"
        "assert sorted(figures.list_names()) == sorted(file.stem for file in files if file.stem != '__init__')\n"
        "assert 'matplotlib' not in sys.modules and 'numpy' not in sys.modules\n"
        "from workbench.report.figures import weights\n"
        "figure = weights.draw(weights.MemberWeights(('a', 'b'), (0.6, 0.4), None, ''))\n"
        "from workbench.report import figure_export\nfigure_export.to_svg(figure)\nfigure_export.to_png(figure)\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_figures_can_be_selected():
    assert [entry.name for entry, _ in figures.draw_figures(report_data("binary"), ("weights", "history"))] == [
        "history",
        "weights",
    ]
    assert set(figures.list_names("study")) | set(figures.list_names("ensemble")) == set(figures.list_names())


def test_captions_say_what_is_left_out():
    entry, found = numbers("binary")["history"]
    assert found.note
    assert entry.caption.endswith(found.note)


@pytest.mark.slow
def test_figures_of_a_large_study_are_small():
    shown = {
        entry.name: (entry, figure_export.to_svg(whole))
        for entry, whole in figures.draw_figures(datasets.large_study())
    }
    assert set(shown) == set(figures.list_names()) - REGRESSION
    assert max(len(text) for _, text in shown.values()) < LARGEST_SVG
    for left in ("families", "hyperparameter"):
        assert any(left in entry.caption for entry, _ in shown.values())
    assert "10 of 30 classes" in shown["confusion"][0].caption


# Numbers against an independent calculation.


def test_history_has_the_best_so_far_of_each_family():
    data = report_data("binary")
    for line in history.compute(data).lines:
        own = sorted((data.end_times[row.key], row.score) for row in data.complete_trials if row.family == line.family)
        assert [(a, b) for a, b in zip(line.seconds, line.scores, strict=True)] == own
        assert line.best.tolist() == [min(score for _, score in own[: place + 1]) for place in range(len(own))]


def test_history_of_a_metric_to_maximise_rises():
    lines = history.compute(report_data("multiclass")).lines
    assert all((np.diff(line.best) >= 0).all() for line in lines)
    assert lines[0].best[-1] == report_data("multiclass").complete_trials[0].score


def test_importances_are_those_of_the_data_largest_first():
    data = report_data("binary")
    for family, shares in importances.compute(data).families.items():
        assert dict(shares) == data.importances[family]
        assert list(shares.values()) == sorted(shares.values(), reverse=True)


def test_slices_hold_values_and_scores_of_the_trials():
    data = report_data("no ensemble")
    for each in slices.compute(data).slices:
        rows = sorted(data.complete_by_family[each.family], key=lambda row: row.number)
        values = [each.choices[int(value)] if each.choices else value for value in each.values]
        assert values == [row.hyperparameters[each.name] for row in rows]
        assert each.scores.tolist() == [row.score for row in rows]
        assert each.log_axis == (each.name == "rate")


def test_fold_scores_are_those_of_the_best_trials_and_the_members():
    data = report_data("binary")
    found = {each.name: each for each in fold_scores.compute(data).trials}
    members = {member.name for member in data.ensemble.members}
    assert members >= {name for name, each in found.items() if each.is_member}
    for row in data.complete_trials:
        each = found.get(row.name)
        if each is not None:
            assert each.scores.tolist() == row.fold_scores
            assert each.std == pytest.approx(row.std)
    assert any(each.is_member for each in found.values())


def test_a_learning_curves_mean_keeps_the_last_loss_of_folds_that_ended():
    data = report_data("binary")
    for trial in curves.compute(data).trials:
        epochs, means = trial.means["val_loss"]
        folds = [curve["val_loss"] for curve in data.curves[trial.name].values()]
        assert len(epochs) == sorted(len(each) for each in folds)[len(folds) // 2]
        padded = [[each[min(i, len(each) - 1)] for i in range(len(epochs))] for each in folds]
        assert means == pytest.approx(np.mean(padded, axis=0))


def test_a_long_learning_curve_is_thinned_and_keeps_its_lowest_point():
    losses = np.abs(np.arange(5000) - 1777.0) + 1
    data = dataclasses.replace(report_data("binary"), curves={"mlp #1": {(0, 0): {"val_loss": losses.tolist()}}})
    epochs, means = curves.compute(data).trials[0].means["val_loss"]
    assert len(epochs) < 200
    assert epochs[means.argmin()] == 1778
    assert epochs[-1] == 5000


def test_losses_that_are_not_finite_are_left_out():
    broken = {(0, 0): {"epoch": [0, 1, 2], "loss": [1.0, float("nan"), 0.5], "val_loss": [float("inf")] * 3}}
    data = dataclasses.replace(report_data("binary"), curves={"mlp #1": broken, "mlp #2": {(0, 0): {}}})
    (trial,) = curves.compute(data).trials
    assert trial.means["loss"][1].tolist() == [1.0, 0.5]
    assert "val_loss" not in trial.means


@pytest.mark.parametrize("name", ["binary", "multiclass"])
def test_the_front_holds_the_trials_that_no_other_beats(name):
    data = report_data(name)
    front = {each for each, _, _ in pareto.compute(data).front}
    for row in data.complete_trials:
        beaten = any(
            other.seconds <= row.seconds and data.sign * other.score < data.sign * row.score
            for other in data.complete_trials
        )
        assert (row.name in front) != beaten


def test_endings_are_counted_and_reasons_that_differ_in_a_number_are_one():
    data = report_data("binary")
    found = endings.compute(data)
    assert np.sum(list(found.families.values()), axis=0).tolist() == [
        sum(row.state == state for row in data.trials) for state in ("complete", "pruned", "failed")
    ]
    assert {(state, reason) for state, reason, _ in found.reasons} == {
        ("pruned", "pruned in fold 1"),
        ("failed", "ValueError: … rows"),
    }


def test_weights_are_those_of_the_ensemble_heaviest_first():
    data = report_data("binary")
    found = weights.compute(data)
    assert found.standard_errors is not None
    assert sum(found.weights) == pytest.approx(1)
    assert list(found.weights) == sorted(found.weights, reverse=True)
    assert dict(zip(found.names, found.standard_errors, strict=True)) == {
        member.name: member.weight_se for member in data.ensemble.members
    }


def test_contributions_are_those_of_the_ensemble_largest_first():
    data = report_data("regression")
    found = contribution.compute(data)
    assert list(found.contributions) == sorted(found.contributions, reverse=True)
    contributions = {each.name: each.contribution for each in data.ensemble.diversity.members}
    assert dict(zip(found.names, found.contributions, strict=True)) == contributions


def test_dots_show_a_members_weight_for_each_target():
    data = report_data("binary")
    parts = {"sold": 0.1, "price": 0.9}
    members = tuple(replace(member, output_weights=parts) for member in data.ensemble.members)
    found = weights.compute(replace(data, ensemble=replace(data.ensemble, members=members, weighting="target")))
    assert found is not None
    assert found.output_weights == ((0.1, 0.9),) * len(found.names)
    assert "A dot is the weight for one target" in found.note
    spans = [np.asarray(line.get_xdata()) for line in weights.draw(found).axes[0].lines]
    assert max(span.max() for span in spans if len(span) == 2) == 0.9
    assert weights.compute(data).output_weights == ()


def test_error_correlation_is_that_of_the_members_errors():
    data = report_data("regression")
    found = error_correlation.compute(data)
    errors = [data.member_oof[name] - data.y for name in found.names]
    assert found.matrix == pytest.approx(np.corrcoef(errors))
    assert 0 <= found.low <= found.matrix.min()


def test_negative_correlations_are_hatched():
    found = error_correlation.ErrorCorrelation(("a", "b"), np.array([[1, -0.5], [-0.5, 1]]), "m", "")
    whole = error_correlation.draw(found)
    assert found.low == 0
    assert whole.legends[0].get_texts()[0].get_text() == "below 0"
    assert any(patch.get_hatch() for patch in whole.axes[0].patches)


@pytest.mark.parametrize("draw", ["error_correlation", "weights", "contribution"])
def test_many_members_with_long_names_fit(draw):
    names = tuple(f"a study elsewhere/a_family_with_a_long_name #{place}" for place in range(25))
    gains = tuple(np.linspace(0.04, -0.01, 25))
    whole = {
        "error_correlation": lambda: error_correlation.draw(
            error_correlation.ErrorCorrelation(names, np.full((25, 25), 0.9), "", "")
        ),
        "weights": lambda: weights.draw(weights.MemberWeights(names, tuple(map(abs, gains)), (0.02,) * 25, "")),
        "contribution": lambda: contribution.draw(
            contribution.MemberContributions(
                names, gains, (True, False) * 12 + (True,), "a_metric_with_a_long_name", ""
            )
        ),
    }[draw]()
    text = figure_export.to_svg(whole)
    assert len(text) < LARGEST_SVG
    width, height = whole.bbox.width, whole.bbox.height
    for axes in whole.axes:
        box = axes.get_tightbbox()
        assert box.x0 >= -1
        assert box.x1 <= width + 1
        assert box.y0 >= -1
        assert box.y1 <= height + 1


@pytest.mark.parametrize("threshold", [None, 0.2])
def test_confusion_of_two_classes_is_at_the_ensembles_threshold(threshold):
    from sklearn.metrics import confusion_matrix

    data = report_data("binary")
    data = dataclasses.replace(data, ensemble=replace(data.ensemble, threshold=threshold))
    found = confusion.compute(data)
    labels = data.oof >= (0.5 if threshold is None else threshold)
    assert found.counts.tolist() == confusion_matrix(data.y, labels).tolist()
    assert found.shares == pytest.approx(confusion_matrix(data.y, labels, normalize="true"))
    assert ("0.2" in found.note) == (threshold is not None)


def test_confusion_of_many_classes_shows_the_most_confused():
    from sklearn.metrics import confusion_matrix

    data = datasets.large_study()
    found = confusion.compute(data)
    whole = confusion_matrix(data.y, data.oof.argmax(axis=1))
    shown = [data.study.classes.index(name) for name in found.classes]
    assert found.counts.tolist() == whole[np.ix_(shown, shown)].tolist()
    errors = whole.sum(0) + whole.sum(1) - 2 * np.diag(whole)
    assert errors[shown].min() >= np.delete(errors, shown).max()
    assert found.shares == pytest.approx(
        confusion_matrix(data.y, data.oof.argmax(1), normalize="true")[np.ix_(shown, shown)]
    )


def test_roc_of_two_classes_is_scikit_learns():
    from sklearn.metrics import roc_auc_score, roc_curve

    data = report_data("binary")
    own, *others = roc.compute(data).curves
    assert own.name == "ensemble"
    assert [each.name for each in others] == list(data.member_oof)[:3]
    for each, oof in [(own, data.oof), *((each, data.member_oof[each.name]) for each in others)]:
        assert each.area == pytest.approx(roc_auc_score(data.y, oof))
        known = set(zip(*roc_curve(data.y, oof, drop_intermediate=False)[:2], strict=True))
        assert set(zip(each.false_positive, each.true_positive, strict=True)) <= known


def test_roc_of_more_classes_is_scikit_learns_one_against_rest():
    from sklearn.metrics import roc_auc_score

    data = report_data("multiclass")
    whole, *classes = roc.compute(data).curves
    assert whole.area == pytest.approx(roc_auc_score(data.y, data.oof, multi_class="ovr"))
    assert np.trapezoid(whole.true_positive, whole.false_positive) == pytest.approx(whole.area, abs=0.01)
    for each in classes:
        index = data.study.classes.index(each.name)
        assert each.area == pytest.approx(roc_auc_score(data.y == index, data.oof[:, index]))
    assert [each.area for each in classes] == sorted(each.area for each in classes)


@pytest.mark.parametrize("name", ["binary", "multiclass"])
def test_precision_and_recall_are_scikit_learns(name):
    from sklearn.metrics import average_precision_score, precision_recall_curve

    data = report_data(name)
    for each in precision_recall.compute(data).curves:
        positive, score = data.y == 1, {"ensemble": data.oof, **data.member_oof}.get(each.name)
        if name == "multiclass":
            index = data.study.classes.index(each.name)
            positive, score = data.y == index, data.oof[:, index]
        assert each.average_precision == pytest.approx(average_precision_score(positive, score))
        assert each.prevalence == pytest.approx(positive.mean())
        precision, recall, _ = precision_recall_curve(positive, score)
        known = {(round(r, 9), round(p, 9)) for r, p in zip(recall, precision, strict=True)}
        own = {(round(r, 9), round(p, 9)) for r, p in zip(each.recall, each.precision, strict=True)}
        assert len(own & known) / len(own) > 0.95


def test_a_class_that_never_occurs_has_no_curve():
    data = report_data("multiclass")
    some = data.y != 3
    data = dataclasses.replace(data, y=data.y[some], oof=data.oof[some])
    assert set(ranking.rank_classes(data)) == set(range(10)) - {3}
    assert "class 3" not in {each.name for each in precision_recall.compute(data).curves}
    alone = dataclasses.replace(report_data("binary"), y=np.zeros_like(report_data("binary").y))
    assert roc.compute(alone) is None
    assert precision_recall.compute(alone) is None


@pytest.mark.parametrize("name", ["binary", "multiclass"])
def test_calibration_is_scikit_learns(name):
    from sklearn.calibration import calibration_curve

    data = report_data(name)
    found = calibration.compute(data)
    probability = data.oof if name == "binary" else data.oof.max(axis=1)
    hit = data.y == (1 if name == "binary" else data.oof.argmax(axis=1))
    observed, predictions = calibration_curve(hit, probability.clip(0, 1), n_bins=10, strategy="quantile")
    assert found.observed == pytest.approx(observed)
    assert found.predicted == pytest.approx(predictions)
    assert found.counts.sum() == found.histogram.sum() == len(data.y)
    assert (found.low <= found.observed).all()
    assert (found.observed <= found.high).all()


def test_the_intervals_of_calibration_are_wilsons():
    from scipy.stats import binomtest

    found = calibration.compute(report_data("binary"))
    hits = (found.observed * found.counts).round().astype(int)
    known = [binomtest(int(k), int(n)).proportion_ci(method="wilson") for k, n in zip(hits, found.counts, strict=True)]
    assert found.low == pytest.approx([each.low for each in known], abs=1e-4)
    assert found.high == pytest.approx([each.high for each in known], abs=1e-4)


def test_repeated_predictions_do_not_narrow_the_intervals():
    data = report_data("binary")
    twice = dataclasses.replace(data, y=np.tile(data.y, 2), oof=np.tile(data.oof, 2))
    once, again = calibration.compute(data), calibration.compute(twice)
    assert again.high - again.low == pytest.approx(once.high - once.low, rel=0.15)


def test_ranks_have_no_calibration():
    data = report_data("binary")
    assert calibration.compute(dataclasses.replace(data, ensemble=replace(data.ensemble, method="rank"))) is None


def test_predictions_and_residuals_are_the_rows():
    data = report_data("regression")
    found, off = predicted.compute(data), residuals.compute(data)
    assert found.rows.x.tolist() == data.y.tolist()
    assert found.rows.y.tolist() == data.oof.tolist()
    assert off.rows.y == pytest.approx(data.oof - data.y)
    assert off.histogram.sum() == len(data.y)


def test_the_band_of_residuals_holds_the_middle_four_fifths():
    rng = np.random.default_rng(0)
    oof = rng.uniform(0, 10, 24_000)
    data = dataclasses.replace(report_data("regression"), y=oof - rng.normal(1, 2, len(oof)), oof=oof)
    low, middle, high = residuals.compute(data).quantiles
    assert middle == pytest.approx(1, abs=0.2)
    assert high - low == pytest.approx(2 * 2 * 1.2816, abs=0.4)


def test_many_rows_are_counted_in_cells():
    rng = np.random.default_rng(0)
    y = rng.lognormal(3, 1.5, MAX_POINTS + 1)
    data = dataclasses.replace(report_data("regression"), y=y, oof=y * rng.lognormal(0, 0.2, len(y)))
    found = predicted.compute(data)
    assert found is not None
    assert found.rows.counts.sum() == len(y)
    assert found.log_axes
    assert "1,001 rows" in found.note
    assert len(figure_export.to_svg(predicted.draw(found))) < LARGEST_SVG


def test_a_constant_value_has_a_range():
    binned = bin_rows(np.full(2000, 3.0), np.zeros(2000))
    assert binned.counts.sum() == 2000
    assert binned.x_edges is not None
    assert binned.x_edges[0] < 3 < binned.x_edges[-1]


def test_limits_hold_the_best_scores_and_exclude_outliers():
    scores = [0.1, 0.11, 0.12, 0.13, 0.7]
    assert choose_limits(scores, 1).contains(scores).tolist() == [True] * 4 + [False]
    high = [-score for score in scores]
    assert choose_limits(high, -1).contains(high).tolist() == [True] * 4 + [False]
    assert choose_limits(scores, 1).clip([0.7]).tolist() == [0.13]


@pytest.mark.parametrize("scores", [[0.5], [0.5, 0.5], [0.1, 0.2, 0.3], [1, 1, 1, 1, 2]])
def test_limits_of_few_or_similar_scores_hold_all(scores):
    assert choose_limits(scores, 1).contains(scores).all()


def test_a_thinned_curve_keeps_its_ends_and_its_shape():
    rng = np.random.default_rng(0)
    positive = rng.random(50_000) < 0.3
    whole = ranking.Ranking.from_predictions(positive, positive * 0.5 + rng.random(50_000))
    x, y = ranking.thin_points(*whole.roc())
    assert len(x) <= ranking.MAX_POINTS + 1
    assert (x[0], y[0], x[-1], y[-1]) == (0, 0, 1, 1)
    assert np.trapezoid(y, x) == pytest.approx(whole.area(), abs=1e-3)


@pytest.mark.parametrize(
    ("text", "limit", "expected"), [("short", 9, "short"), ("a long name", 8, "a lon…me"), (7, 9, "7")]
)
def test_long_names_lose_their_middle(text, limit, expected):
    assert plot_style.shorten(text, limit) == expected
    assert len(plot_style.shorten(text, limit)) <= limit


@pytest.mark.parametrize(
    ("seconds", "unit"), [(5, "seconds"), (179, "seconds"), (600, "minutes"), (9000, "hours"), (4e5, "days")]
)
def test_the_unit_of_time_fits_its_length(seconds, unit):
    assert plot_style.choose_time_unit(seconds)[1] == unit


def test_heat_is_drawn_at_its_position():
    data = report_data("multiclass")
    seen = grad_cam.compute(data).members[0]
    (name, inspection), *_ = data.image_inspections.items()
    assert seen.name == name
    heat = np.zeros((4, 3), np.float32)
    heat[3, 0] = 1
    orange = np.argwhere(grad_cam.overlay_heat(np.zeros((56, 42, 1), np.uint8), heat)[..., 0] > 200)
    assert len(orange) > 0
    assert orange[:, 0].min() > 56 * 0.7
    assert orange[:, 1].max() < 42 * 0.35
    plain = grad_cam.overlay_heat(inspection.images[0], np.zeros((4, 3), np.float32))
    assert (np.ptp(plain, axis=2) == 0).all()


def test_small_images_are_enlarged_without_other_changes():
    image = np.arange(64, dtype=np.uint8).reshape(8, 8, 1)
    found = grad_cam.overlay_heat(image, np.zeros((2, 2), np.float32))
    assert found.shape == (40, 40, 3)
    assert (np.diff(found[::5, ::5, 0].ravel().astype(int)) >= 0).all()


def test_labels_of_heat_maps_give_the_predicted_and_the_true_class():
    data = report_data("multiclass")
    labels = grad_cam.compute(data).members[0].labels
    assert labels[0] == "class 0\n100.0%\n"
    assert labels[5] == "class 6\n50.0%\n✗ class 5"


def test_heat_maps_are_of_the_heaviest_members_only():
    data = report_data("multiclass")
    found = grad_cam.compute(data)
    heaviest = sorted(data.ensemble.members, key=lambda member: -member.weight)
    assert [each.name for each in found.members] == [member.name for member in heaviest[:2]]
    assert found.note == "The heaviest 2 of 3 members that are convolutional nets are shown."


def test_without_an_ensemble_there_are_no_figures_of_nets():
    data = dataclasses.replace(report_data("multiclass"), ensemble=None)
    assert grad_cam.compute(data) is None
    assert filters.compute(data) is None


def test_filters_say_how_many_are_left_out():
    found = filters.compute(report_data("regression"))
    assert found.note == "6 more filters are not shown."
    assert [channels.shape[0] for channels in found.activations] == [8, 5]
