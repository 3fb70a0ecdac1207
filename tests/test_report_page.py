"""The report in both formats: a self-contained page, and Markdown for a repository."""

from __future__ import annotations

import base64
import hashlib
import re
from collections import Counter
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser
from itertools import pairwise
from typing import Any
from urllib.parse import unquote

import pytest
import report_datasets as datasets

from workbench.report import Recipe, ReportData, formatting, markdown, page, report_tables
from workbench.report.render import RenderedFigure, render_figures

VOID = {"meta", "link", "br", "hr", "img", "input"}
BAD = '<script>alert("1")</script><img src=x onerror=alert(2)>'
SECTIONS = ("answer", "next", "search", "trials", "data", "again")


class Page(HTMLParser):
    """A parsed page; tags must be closed in their order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open:
            self.texts.setdefault(self._open[-1], []).append(data)

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.tags)

    def of(self, tag: str) -> str:
        return "".join(self.texts.get(tag, []))


def with_recipe(data: ReportData) -> ReportData:
    return replace(data, recipe=Recipe("name: miniature\n", 7, {"python": "3.11.7", "optuna": "5.0.0"}))


def strange() -> ReportData:
    """Return a study in which every name that a user can choose is a script."""
    known = datasets.for_task("multiclass")
    assert known.study.classes is not None
    assert known.ensemble is not None
    rows = [replace(row, hyperparameters={BAD: BAD}, reason=row.reason and BAD) for row in known.trials]
    facts: dict[str, Any] = {"name": BAD, "target": BAD, "source": BAD, "columns": {BAD: "number"}, "notes": (BAD,)}
    description = replace(known.study, classes=(BAD, *known.study.classes[1:]), file=f"{BAD}.yaml", **facts)
    members = tuple(replace(member, name=f"{BAD} {i}") for i, member in enumerate(known.ensemble.members))
    member_oof = {f"{BAD} {i}": oof for i, oof in enumerate(known.member_oof.values())}
    ensemble = replace(known.ensemble, members=members, remark=BAD)
    nets: dict[str, Any] = {
        "architectures": [replace(each, name=BAD, table=BAD) for each in known.architectures],
        "image_inspections": {BAD: replace(next(iter(known.image_inspections.values())), layers=(BAD, BAD))},
    }
    recipe = Recipe(f"# {BAD}\n```\n", 7, {"python": BAD})
    return replace(
        known,
        study=description,
        trials=rows,
        ensemble=ensemble,
        member_oof=member_oof,
        recipe=recipe,
        notes=(BAD,),
        **nets,
    )


@cache
def report_data(name: str) -> ReportData:
    if name in datasets.TASKS:
        return with_recipe(datasets.for_task(name))
    failed = [row for row in datasets.trial_records("binary") if row.state == "failed"]
    known = {
        "no ensemble": lambda: datasets.build("binary", datasets.trial_records("binary", 30)),
        "only failed": lambda: datasets.build("binary", failed),
        "one trial": lambda: datasets.build("regression", datasets.trial_records("regression", 1)),
        "running": lambda: replace(datasets.for_task("binary"), unfinished_trials=2),
        "strange": strange,
    }
    return known[name]() if name == "strange" else with_recipe(known[name]())


@cache
def figures(name: str) -> tuple[RenderedFigure, ...]:
    """Return all figures of one study, and the first one of the others; figures have their own tests."""
    return tuple(render_figures(report_data(name), until=None if name == "binary" else 0.0))


@cache
def html(name: str) -> str:
    return page.render_page(report_data(name), figures(name))


NAMES = (*datasets.TASKS, "no ensemble", "only failed", "one trial", "running", "strange")


@pytest.mark.parametrize("name", NAMES)
def test_a_page_is_well_formed_and_self_contained(name: str) -> None:
    text = html(name)
    found = Page(text)
    for tag, attributes in found.tags:
        for key, value in attributes.items():
            if key in ("src", "href", "xlink:href", "srcset", "action", "data", "poster", "background"):
                within = "data:image/png;base64," if tag in ("img", "image") else "#"
                assert str(value).startswith(within), (tag, key, value)
            if key == "style" or key in ("clip-path", "fill", "mask", "filter"):
                assert all(each.startswith("#") for each in re.findall(r"url\(['\"]?(.)", str(value)))
    assert {tag for tag, _ in found.tags} & {"link", "iframe", "object", "embed", "base", "form"} == set()
    sheet = found.of("style")
    assert "url(" not in sheet
    assert "@import" not in sheet


@pytest.mark.parametrize("name", NAMES)
def test_a_page_has_every_section_and_links_to_it(name: str) -> None:
    found = Page(html(name))
    ids = [str(attributes["id"]) for _, attributes in found.tags if attributes.get("id")]
    assert [each for each, times in Counter(ids).items() if times > 1] == []
    assert set(SECTIONS) <= set(ids)
    assert ("ensemble" in ids) == (report_data(name).ensemble is not None)
    targets = [str(attributes["href"])[1:] for tag, attributes in found.tags if tag == "a"]
    assert set(targets) <= set(ids)
    labels = [str(attributes["aria-labelledby"]) for _, attributes in found.tags if "aria-labelledby" in attributes]
    assert set(labels) <= set(ids)


@pytest.mark.parametrize("name", NAMES)
def test_a_page_is_accessible(name: str) -> None:
    found = Page(html(name))
    levels = [int(tag[1]) for tag, _ in found.tags if tag in ("h1", "h2", "h3")]
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert found.count("table") == found.count("caption") > 0
    assert all(attributes.get("scope") in ("row", "col") for tag, attributes in found.tags if tag == "th")
    assert found.count("svg") == found.count("figure") == found.count("figcaption") == len(figures(name))
    assert all(attributes.get("role") == "img" for tag, attributes in found.tags if tag == "svg")
    assert next(attributes for tag, attributes in found.tags if tag == "html")["lang"] == "en"


def test_a_page_shows_every_trial_and_the_key_results() -> None:
    known, found = report_data("binary"), Page(html("binary"))
    heads = found.texts["th"]
    for row in known.trials:
        assert row.name in heads
    values = found.texts["dd"]
    assert formatting.format_number(known.complete_trials[0].score) in values
    ensemble = known.ensemble
    assert formatting.format_with_error(ensemble.honest_score, ensemble.honest_se) in values
    shown = [str(attributes["id"]) for tag, attributes in found.tags if tag == "figure"]
    assert shown == [f"figure-{each.name}" for each in sorted(figures("binary"), key=lambda each: each.group)]


def test_the_content_security_policy_allows_only_the_pages_script() -> None:
    found = Page(html("strange"))
    policy = next(a["content"] for t, a in found.tags if t == "meta" and a.get("http-equiv"))
    digest = base64.b64encode(hashlib.sha256(found.of("script").encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in str(policy)
    assert str(policy).startswith("default-src 'none'")


def test_names_are_escaped_in_html() -> None:
    found = Page(html("strange"))
    assert found.count("script") == 1
    images = [attributes for tag, attributes in found.tags if tag == "img"]
    assert len(images) == len(report_data("strange").architectures)
    assert all(set(each) == {"class", "src", "alt"} and BAD in str(each["alt"]) for each in images)
    assert "alert" not in found.of("script")
    assert not any(key.startswith("on") for _, attributes in found.tags for key in attributes)
    assert BAD in found.texts["h1"]
    assert BAD in " ".join(found.texts["li"])
    assert BAD in " ".join(found.texts["code"])
    assert BAD in " ".join(found.texts["th"])


def test_a_page_of_five_hundred_trials_stays_small() -> None:
    data = with_recipe(datasets.large_study())
    text = page.render_page(data, [])
    assert Page(text).count("tr") > 500
    assert len(text) < 3_000_000


@pytest.mark.parametrize("name", NAMES)
def test_markdown_has_well_formed_tables_and_relative_pictures(name: str) -> None:
    text = markdown.render_markdown(report_data(name), figures(name), "a report")
    assert text.startswith("# ")
    for heading in ("## Leaderboard", "## What to do next", "## Search", "## Trials", "## Data"):
        assert f"\n{heading}\n" in text
    assert ("\n## Ensemble\n" in text) == (report_data(name).ensemble is not None)
    outside = re.sub(r"(`{3,}).*?\1", "", text, flags=re.DOTALL)
    blocks = re.findall(r"(?:^\|.*\n)+", outside, flags=re.MULTILINE)
    assert len(blocks) >= 3
    for block in blocks:
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}
        assert len(widths) == 1, block
        assert re.fullmatch(r"\|( -{3}:? \|)+", block.splitlines()[1])
    links = re.findall(r"!\[[^\n]*?\]\(([^)\s]+)\)", outside)
    assert [unquote(link) for link in links] == [
        f"a report/{each.name}.png" for each in sorted(figures(name), key=lambda each: each.group)
    ]
    assert outside.count("<details>") == outside.count("</details>") == outside.count("<summary>")


def test_names_are_escaped_in_markdown() -> None:
    text = markdown.render_markdown(report_data("strange"), figures("strange"), "pictures")
    outside = re.sub(r"(`{3,}).*?\n\1|`[^`\n]*`", "", text, flags=re.DOTALL)
    assert "<script" not in outside
    assert "<img" not in outside
    assert markdown.escape_text("a|b *c* _d_ [e](f) `g` #1 <b>\nh") == (
        r"a\|b \*c\* \_d\_ \[e\](f) \`g\` \#1 &lt;b&gt; h"
    )
    assert markdown.format_code("a `b` c") == "``a `b` c``"
    assert markdown.format_code("`b`") == "`` `b` ``"


def test_a_study_file_with_backticks_stays_in_its_block() -> None:
    text = markdown.render_markdown(report_data("strange"), [], "pictures")
    assert "````yaml\n" in text
    assert text.count("````") == 2


def test_tables_agree_with_the_data() -> None:
    known = report_data("multiclass")
    leaderboard = report_tables.build_leaderboard(known)
    for row in leaderboard.rows:
        own = known.trials_by_family[row[0].text]
        counts = {column.title: cell.value for column, cell in zip(leaderboard.columns, row, strict=True)}
        assert counts["trials"] == len(own)
        assert counts["pruned"] == sum(each.state == "pruned" for each in own)
        assert counts["time"] == pytest.approx(sum(each.seconds for each in own))
        assert counts[known.study.metric] == own[0].score
    members = report_tables.build_members(known)
    assert members is not None
    assert [row[1].value for row in members.rows] == [each.weight for each in known.ensemble.members]
    assert len(report_tables.build_trials(known).rows) == len(known.trials)
    for table in (
        leaderboard,
        members,
        report_tables.build_comparison(known),
        report_tables.build_trials(known),
        *report_tables.build_hyperparameters(known),
    ):
        assert {len(row) for row in table.rows} == {len(table.columns)}


def test_a_family_without_trials_is_on_the_leaderboard() -> None:
    known = report_data("binary")
    description = replace(known.study, families=("linear", "catboost"))
    table = report_tables.build_leaderboard(replace(known, study=description))
    assert table.rows[-1][0].text == "catboost"
    assert {len(row) for row in table.rows} == {len(table.columns)}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (formatting.format_number(None), "–"),
        (formatting.format_number(0.123456789), "0.12346"),
        (formatting.format_with_error(0.81234567, 0.00412), "0.81235 ± 0.0041"),
        (formatting.format_with_error(0.5, None), "0.5"),
        (formatting.format_duration(8.24), "8.2 s"),
        (formatting.format_duration(200), "3 min 20 s"),
        (formatting.format_duration(25500), "7 h 5 min"),
        (formatting.count_noun(1, "row"), "1 row"),
        (formatting.count_noun(12357, "row"), "12,357 rows"),
        (formatting.join_words(["a"]), "a"),
        (formatting.join_words(["a", "b", "c"]), "a, b and c"),
        (formatting.join_words(list("abcdef")), "a, b, c and 3 more"),
        (formatting.format_command("run", "my study.yaml", "--trials 3"), "workbench run 'my study.yaml' --trials 3"),
        (formatting.format_parameter(0.000123456), "0.0001235"),
        (formatting.format_parameter(None), "None"),
    ],
)
def test_numbers_are_formatted(text: str, expected: str) -> None:
    assert text == expected


def test_rendering_stops_at_the_time_limit_and_is_restricted_to_a_group() -> None:
    assert len(list(render_figures(report_data("multiclass"), until=0.0))) == 1
    assert [each.group for each in render_figures(report_data("multiclass"), "ensemble", until=0.0)] == ["ensemble"]


def test_figures_are_rendered_as_svg_and_png() -> None:
    assert {each.group for each in figures("binary")} == {"study", "ensemble"}
    assert all(each.png.startswith(b"\x89PNG") and each.svg.startswith("<svg") for each in figures("binary"))
    assert len({each.name for each in figures("binary")}) == len(figures("binary"))
