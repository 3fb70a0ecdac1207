"""The report in both its forms: a page that needs nothing beside it, and Markdown for a repository."""

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
import report_datasets as stories

from workbench.report import Recipe, ReportData, formatting, markdown, page, report_tables
from workbench.report.render import RenderedFigure, render_figures

VOID = {"meta", "link", "br", "hr", "img", "input"}
BAD = '<script>alert("1")</script><img src=x onerror=alert(2)>'
SECTIONS = ("answer", "next", "search", "trials", "data", "again")


class Page(HTMLParser):
    """A page taken apart; what is not closed in its order is an error."""

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


def told(story: ReportData) -> ReportData:
    return replace(story, recipe=Recipe("name: miniature\n", 7, {"python": "3.11.7", "optuna": "5.0.0"}))


def strange() -> ReportData:
    """A study in which everything that somebody can name has a name that would do harm."""
    known = stories.of_task("multiclass")
    rows = [replace(row, hyperparameters={BAD: BAD}, reason=row.reason and BAD) for row in known.trials]
    facts: dict[str, Any] = {"study": BAD, "target": BAD, "source": BAD, "columns": {BAD: "number"}, "notes": (BAD,)}
    question = replace(known.question, classes=(BAD, *known.question.classes[1:]), file=f"{BAD}.yaml", **facts)
    members = [{**member, "name": f"{BAD} {i}"} for i, member in enumerate(known.ensemble["members"])]
    named = {f"{BAD} {i}": oof for i, oof in enumerate(known.members.values())}
    ensemble = {**known.ensemble, "members": members, "remark": BAD}
    nets: dict[str, Any] = {
        "architectures": [replace(each, name=BAD, table=BAD) for each in known.architectures],
        "looks": {BAD: replace(next(iter(known.looks.values())), layers=(BAD, BAD))},
    }
    recipe = Recipe(f"# {BAD}\n```\n", 7, {"python": BAD})
    return replace(
        known, question=question, trials=rows, ensemble=ensemble, members=named, recipe=recipe, notes=(BAD,), **nets
    )


@cache
def story(name: str) -> ReportData:
    if name in stories.TASKS:
        return told(stories.of_task(name))
    failed = [row for row in stories.trials("binary") if row.state == "failed"]
    known = {
        "no ensemble": lambda: stories.story("binary", stories.trials("binary", 30)),
        "only failed": lambda: stories.story("binary", failed),
        "one trial": lambda: stories.story("regression", stories.trials("regression", 1)),
        "running": lambda: replace(stories.of_task("binary"), under_way=2),
        "strange": strange,
    }
    return known[name]() if name == "strange" else told(known[name]())


@cache
def drawn(name: str) -> tuple[RenderedFigure, ...]:
    """All figures of one study, and the first of the others; figures have tests of their own."""
    return tuple(render_figures(story(name), until=None if name == "binary" else 0.0))


@cache
def html(name: str) -> str:
    return page.html(story(name), drawn(name))


NAMES = (*stories.TASKS, "no ensemble", "only failed", "one trial", "running", "strange")


@pytest.mark.parametrize("name", NAMES)
def test_a_page_is_whole_and_refers_to_nothing_outside(name: str) -> None:
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
def test_a_page_has_every_section_and_its_links_lead_there(name: str) -> None:
    found = Page(html(name))
    ids = [str(attributes["id"]) for _, attributes in found.tags if attributes.get("id")]
    assert [each for each, times in Counter(ids).items() if times > 1] == []
    assert set(SECTIONS) <= set(ids)
    assert ("ensemble" in ids) == (story(name).ensemble is not None)
    targets = [str(attributes["href"])[1:] for tag, attributes in found.tags if tag == "a"]
    assert set(targets) <= set(ids)
    labels = [str(attributes["aria-labelledby"]) for _, attributes in found.tags if "aria-labelledby" in attributes]
    assert set(labels) <= set(ids)


@pytest.mark.parametrize("name", NAMES)
def test_a_page_is_read_by_machines_that_read_aloud(name: str) -> None:
    found = Page(html(name))
    levels = [int(tag[1]) for tag, _ in found.tags if tag in ("h1", "h2", "h3")]
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert found.count("table") == found.count("caption") > 0
    assert all(attributes.get("scope") in ("row", "col") for tag, attributes in found.tags if tag == "th")
    assert found.count("svg") == found.count("figure") == found.count("figcaption") == len(drawn(name))
    assert all(attributes.get("role") == "img" for tag, attributes in found.tags if tag == "svg")
    assert next(attributes for tag, attributes in found.tags if tag == "html")["lang"] == "en"


def test_a_page_shows_every_trial_and_what_the_study_came_to() -> None:
    known, found = story("binary"), Page(html("binary"))
    heads = found.texts["th"]
    for row in known.trials:
        assert row.name in heads
    values = found.texts["dd"]
    assert formatting.number(known.complete[0].score) in values
    document = known.ensemble
    assert formatting.spread(document["honest_score"], document["honest_se"]) in values
    figures = [str(attributes["id"]) for tag, attributes in found.tags if tag == "figure"]
    assert figures == [f"figure-{each.name}" for each in sorted(drawn("binary"), key=lambda each: each.group)]


def test_the_script_is_the_only_one_that_may_run_and_no_style_comes_from_elsewhere() -> None:
    found = Page(html("strange"))
    policy = next(a["content"] for t, a in found.tags if t == "meta" and a.get("http-equiv"))
    digest = base64.b64encode(hashlib.sha256(found.of("script").encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in str(policy)
    assert str(policy).startswith("default-src 'none'")


def test_what_somebody_has_named_is_text_and_nothing_else() -> None:
    found = Page(html("strange"))
    assert found.count("script") == 1
    pictures = [attributes for tag, attributes in found.tags if tag == "img"]
    assert len(pictures) == len(story("strange").architectures)
    assert all(set(each) == {"class", "src", "alt"} and BAD in str(each["alt"]) for each in pictures)
    assert "alert" not in found.of("script")
    assert not any(key.startswith("on") for _, attributes in found.tags for key in attributes)
    assert BAD in found.texts["h1"]
    assert BAD in " ".join(found.texts["li"])
    assert BAD in " ".join(found.texts["code"])
    assert BAD in " ".join(found.texts["th"])


def test_a_page_of_five_hundred_trials_stays_small() -> None:
    crowd = told(stories.crowd())
    text = page.html(crowd, [])
    assert Page(text).count("tr") > 500
    assert len(text) < 3_000_000


@pytest.mark.parametrize("name", NAMES)
def test_markdown_has_well_formed_tables_and_relative_pictures(name: str) -> None:
    text = markdown.text(story(name), drawn(name), "a report")
    assert text.startswith("# ")
    for heading in ("## Leaderboard", "## What to do next", "## Search", "## Trials", "## Data"):
        assert f"\n{heading}\n" in text
    assert ("\n## Ensemble\n" in text) == (story(name).ensemble is not None)
    outside = re.sub(r"(`{3,}).*?\1", "", text, flags=re.DOTALL)
    blocks = re.findall(r"(?:^\|.*\n)+", outside, flags=re.MULTILINE)
    assert len(blocks) >= 3
    for block in blocks:
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}
        assert len(widths) == 1, block
        assert re.fullmatch(r"\|( -{3}:? \|)+", block.splitlines()[1])
    links = re.findall(r"!\[[^\n]*?\]\(([^)\s]+)\)", outside)
    assert [unquote(link) for link in links] == [
        f"a report/{each.name}.png" for each in sorted(drawn(name), key=lambda each: each.group)
    ]
    assert outside.count("<details>") == outside.count("</details>") == outside.count("<summary>")


def test_what_somebody_has_named_is_no_markup_in_markdown() -> None:
    text = markdown.text(story("strange"), drawn("strange"), "pictures")
    outside = re.sub(r"(`{3,}).*?\n\1|`[^`\n]*`", "", text, flags=re.DOTALL)
    assert "<script" not in outside
    assert "<img" not in outside
    assert markdown.plain("a|b *c* _d_ [e](f) `g` #1 <b>\nh") == (r"a\|b \*c\* \_d\_ \[e\](f) \`g\` \#1 &lt;b&gt; h")
    assert markdown.code("a `b` c") == "``a `b` c``"
    assert markdown.code("`b`") == "`` `b` ``"


def test_a_study_file_with_backticks_stays_in_its_block() -> None:
    text = markdown.text(story("strange"), [], "pictures")
    assert "````yaml\n" in text
    assert text.count("````") == 2


def test_tables_say_the_same_as_the_story() -> None:
    known = story("multiclass")
    leaderboard = report_tables.families(known)
    for row in leaderboard.rows:
        own = known.families[row[0].text]
        counts = {column.title: cell.value for column, cell in zip(leaderboard.columns, row, strict=True)}
        assert counts["trials"] == len(own)
        assert counts["pruned"] == sum(each.state == "pruned" for each in own)
        assert counts["time"] == pytest.approx(sum(each.seconds for each in own))
        assert counts[known.question.metric] == own[0].score
    members = report_tables.members(known)
    assert members is not None
    assert [row[1].value for row in members.rows] == [each["weight"] for each in known.ensemble["members"]]
    assert len(report_tables.trials(known).rows) == len(known.trials)
    for table in (
        leaderboard,
        members,
        report_tables.rivals(known),
        report_tables.trials(known),
        *report_tables.hyperparameters(known),
    ):
        assert {len(row) for row in table.rows} == {len(table.columns)}


def test_a_family_that_was_never_reached_is_on_the_leaderboard() -> None:
    known = story("binary")
    asked = replace(known.question, families=("linear", "catboost"))
    table = report_tables.families(replace(known, question=asked))
    assert table.rows[-1][0].text == "catboost"
    assert {len(row) for row in table.rows} == {len(table.columns)}


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (formatting.number(None), "–"),
        (formatting.number(0.123456789), "0.12346"),
        (formatting.spread(0.81234567, 0.00412), "0.81235 ± 0.0041"),
        (formatting.spread(0.5, None), "0.5"),
        (formatting.clock(8.24), "8.2 s"),
        (formatting.clock(200), "3 min 20 s"),
        (formatting.clock(25500), "7 h 5 min"),
        (formatting.count_noun(1, "row"), "1 row"),
        (formatting.count_noun(12357, "row"), "12,357 rows"),
        (formatting.listing(["a"]), "a"),
        (formatting.listing(["a", "b", "c"]), "a, b and c"),
        (formatting.listing(list("abcdef")), "a, b, c and 3 more"),
        (formatting.command("run", "my study.yaml", "--trials 3"), "workbench run 'my study.yaml' --trials 3"),
        (formatting.format_parameter(0.000123456), "0.0001235"),
        (formatting.format_parameter(None), "None"),
    ],
)
def test_numbers_are_said_in_few_words(said: str, expected: str) -> None:
    assert said == expected


def test_pictures_stop_when_the_time_is_up_and_may_be_of_one_group() -> None:
    assert len(list(render_figures(story("multiclass"), until=0.0))) == 1
    assert [each.group for each in render_figures(story("multiclass"), "ensemble", until=0.0)] == ["ensemble"]


def test_a_picture_is_there_for_a_page_and_for_a_file() -> None:
    assert {each.group for each in drawn("binary")} == {"study", "ensemble"}
    assert all(each.png.startswith(b"\x89PNG") and each.svg.startswith("<svg") for each in drawn("binary"))
    assert len({each.name for each in drawn("binary")}) == len(drawn("binary"))
