"""Labels of figures that hold markup, other scripts, emoji or many letters: literal, no warnings, no overlaps."""

from __future__ import annotations

import itertools
import logging
import re
import warnings
from dataclasses import replace
from functools import cache
from typing import Any
from xml.etree import ElementTree

import prediction_matrices
import pytest
import report_datasets as datasets
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from workbench.report import ReportData, figure_export, figure_text, figures, plot_style
from workbench.report.figure_text import FontFallback

# Japanese, which the fonts of most machines for tests do not have.
LABELS = {
    "markup": ("<b>$<10k_$</b>", 'a|b "q"', "[/red] $x^_$", "日本語 ✅"),
    "wide": ("W" * 40, "WWWWWWMMMM", "日本語" * 8, "MMMMMM $x$ 東京都"),
    "long": (
        "a long class label with many words",
        "another long class label",
        "x",
        "a third one, long enough to matter",
    ),
    "many": tuple(f"a long class label with many words {i}" for i in range(10)),
    "two": ("W" * 30, "日本語" * 10),
    "controls": ("a\x07b", "c\x1b[31md", "\u202ee", "f\rg"),
}
METRIC = "m.py:a_metric_with_a_name_that_is_very_long"


@cache
def study(kind: str) -> ReportData:
    """Return a study whose classes, families, members, hyperparameters and choices have the labels."""
    labels = LABELS[kind]
    count = len(labels)
    if count == 2:
        data = datasets.blend_study("binary", *prediction_matrices.breast_cancer())
    else:
        data = datasets.blend_study("multiclass", *prediction_matrices.random_classes(0, 6, 300, count))

    def family(name: str) -> str:
        return labels[datasets.FAMILIES.index(name) % count]

    def trial(name: str) -> str:
        before, _, number = name.rpartition(" #")
        return f"{family(before)} #{number}"

    def choices(values: Any) -> dict[str, Any]:
        pairs = enumerate(values.values())
        return {f"{labels[i % count]}{i}": labels[ord(v[0]) % count] if isinstance(v, str) else v for i, v in pairs}

    ensemble: Any = data.ensemble
    members = tuple(replace(member, name=trial(member.name)) for member in ensemble.members)
    return replace(
        data,
        study=replace(data.study, classes=labels, target=labels[0], metric=METRIC),
        trials=[
            replace(each, family=family(each.family), hyperparameters=choices(each.hyperparameters))
            for each in data.trials
        ],
        ensemble=replace(ensemble, members=members),
        curves={trial(name): found for name, found in data.curves.items()},
        importances={family(name): choices(shares) for name, shares in data.importances.items()},
        member_oof={trial(name): oof for name, oof in data.member_oof.items()},
        image_inspections={trial(name): seen for name, seen in data.image_inspections.items()},
        end_times={(family(name), number): ended for (name, number), ended in data.end_times.items()},
    )


@cache
def drawn(kind: str) -> dict[str, Figure]:
    return {entry.file_name: figure for entry, figure in figures.draw_figures(study(kind))}


CASES = [(kind, name) for kind in LABELS for name in figures.list_names()]


def find_overlaps(figure: Figure) -> list[tuple[str, ...]]:
    """Return pairs of texts that overlap and texts beyond the figure, apart from numbers and from slanted texts."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    shown = [
        (text.get_text(), text.get_window_extent(canvas.get_renderer()))
        for text in figure.findobj(Text)
        if text.get_visible()
        and (text.axes is None or text.axes.get_visible())
        and re.search(r"[^\d.%,−e\-\n ]", text.get_text())
        and text.get_rotation() in (0, 90)
    ]
    width, height = figure.bbox.width, figure.bbox.height
    beyond = [(a,) for a, box in shown if min(box.x0, box.y0) < -1 or box.x1 > width + 1 or box.y1 > height + 1]
    return beyond + [
        (a, b)
        for (a, one), (b, other) in itertools.combinations(shown, 2)
        if min(one.x1, other.x1) - max(one.x0, other.x0) > 0.5 and min(one.y1, other.y1) - max(one.y0, other.y0) > 1.5
    ]


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_labels_are_drawn_without_warnings_and_overlaps(kind: str, name: str, caplog: pytest.LogCaptureFixture) -> None:
    figure = drawn(kind).get(name)
    if figure is None:
        assert name not in {entry.name for entry, _ in figures.compute_figures(study(kind), [name])}
        return
    with warnings.catch_warnings(), caplog.at_level(logging.WARNING):
        warnings.simplefilter("error")
        assert figure_export.to_png(figure)
        ElementTree.fromstring(figure_export.to_svg(figure))
        with figure_text.use_available_fonts(figure):
            assert find_overlaps(figure) == []
    assert caplog.records == []


def texts_of(svg: str) -> set[str]:
    return {
        "".join(element.itertext()).strip()
        for element in ElementTree.fromstring(svg).iter()
        if element.tag.endswith("text")
    }


def test_the_page_keeps_every_character_and_the_browser_finds_the_font() -> None:
    figure = drawn("markup")["confusion"]
    figure_export.to_png(figure)
    shown = texts_of(figure_export.to_svg(figure))
    assert {'a|b "q"', "[/red] $x^_$", "日本語 ✅"} <= shown


def test_an_image_has_one_box_for_a_run_of_characters_without_a_font(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figure_text, "_fallback", lambda: FontFallback([], lambda _: []))
    figure = drawn("markup")["confusion"]
    axes = figure.axes[0]
    with figure_text.use_available_fonts(figure):
        figure.draw_without_rendering()
        assert [label.get_text() for label in axes.get_yticklabels()][-1] == "□ □"
    assert [label.get_text() for label in axes.get_yticklabels()][-1] == "日本語 ✅"


def test_another_installed_font_is_used_for_the_characters_that_it_has() -> None:
    found = figure_text._fallback()
    wanted = set(figure_text._list_characters("STIXGeneral")) - set(map(chr, figure_text._base_characters()))
    letter = min(letter for letter in wanted if letter.isprintable())
    family = found.find([letter])[letter]
    figure, _ = plot_style.create_figure(f"a {letter} title")
    with figure_text.use_available_fonts(figure):
        assert figure.get_suptitle() == f"a {letter} title"
        assert figure.texts[0].get_fontfamily() == [figure_text.FONT, family]
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            figure.draw_without_rendering()


def test_each_character_is_looked_for_once_in_the_preferred_fonts_first() -> None:
    opened: list[str] = []

    def read(family: str) -> str:
        opened.append(family)
        return {"One Sans": "ab", "Two": "bc"}[family]

    fallback = FontFallback(["One Sans", "Two"], read)
    assert fallback.find("ab") == {"a": "One Sans", "b": "One Sans"}
    assert opened == ["One Sans"]
    assert fallback.find("bcd") == {"b": "One Sans", "c": "Two"}
    assert fallback.find("cd") == {"c": "Two"}
    assert opened == ["One Sans", "One Sans", "Two"]


@pytest.mark.parametrize(
    ("text", "limit", "width", "shown"),
    [
        ("short", 20, 12.0, "short"),
        ("two\n words", 20, 12.0, "two words"),
        ("a\x1bb", 20, 12.0, r"a\x1bb"),
        ("W" * 12, 20, 6.0, "WWW…WW"),
        ("日本語日本語日本語", 9, 5.5, "日本語…語"),
        ("W", 20, 0.1, "W"),
        ("", 20, 12.0, ""),
    ],
)
def test_a_text_is_elided_to_its_width(text: str, limit: int, width: float, shown: str) -> None:
    assert figure_text.elide(text, limit, width) == shown


def test_the_width_of_a_text_is_that_of_its_glyphs() -> None:
    figure = Figure(figsize=(10, 2), dpi=72)
    text = figure.text(0, 0.5, "Grown-up labels, 42 ms", fontsize=20, fontfamily=figure_text.FONT)
    width = text.get_window_extent(FigureCanvasAgg(figure).get_renderer()).width
    assert figure_text.measure_text(text.get_text()) == pytest.approx(width / 20, rel=0.05)
