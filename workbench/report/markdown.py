"""A story for a repository: GitHub's Markdown, with the figures as files beside it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from html import escape
from urllib.parse import quote

from workbench.report import report_tables
from workbench.report import summary as answer
from workbench.report.formatting import command, count_noun
from workbench.report.recommendations import recommend
from workbench.report.render import RenderedFigure
from workbench.report.report_data import ReportData
from workbench.report.report_tables import ReportTable

# What would be read as markup anywhere in a line.
_MARKUP = re.compile(r"([\\`*_{}\[\]|~$#])")


def text(story: ReportData, pictures: Sequence[RenderedFigure], folder: str) -> str:
    """Return the report.

    Args:
        story: what to tell.
        pictures: its figures, drawn.
        folder: where their files are, `NAME.png` each, seen from the report's own.
    """
    parts = [
        _head(story),
        _next(story),
        _ensemble(story),
        *_shown(pictures, "ensemble", folder),
        *_architectures(story),
        "## Search",
        *_shown(pictures, "study", folder),
        *_best(story),
        "## Trials",
        _folded(count_noun(len(story.trials), "finished trial"), [_table(report_tables.trials(story))]),
        *_data(story),
        *_again(story),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def plain(words: object) -> str:
    """Return somebody's words on one line, with nothing in them that is read as markup."""
    return _MARKUP.sub(r"\\\1", escape(" ".join(str(words).split()), quote=False))


def code(words: str) -> str:
    """Return a line of code, whatever is in it."""
    line = " ".join(words.split())
    fence = _fence(line, 1)
    pad = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{fence}{pad}{line}{pad}{fence}"


def _head(story: ReportData) -> str:
    facts = answer.facts(story)
    lines = [f"# {plain(story.question.study)}", plain(answer.question(story))]
    cells = [[plain(each) for each in (fact.name, fact.value, fact.what)] for fact in facts]
    lines += ["\n".join(_grid(["", "", ""], cells))]
    lines += [plain(fact.remark) for fact in facts if fact.name == "Ensemble" and fact.remark]
    return "\n\n".join([*lines, "## Leaderboard", _table(report_tables.families(story))])


def _next(story: ReportData) -> str:
    lines = [
        f"{place}. **{plain(each.title)}.** {plain(each.reason)} {plain(each.where)}: {code(each.line)}"
        for place, each in enumerate(recommend(story), 1)
    ]
    return "\n\n".join(["## What to do next", "\n".join(lines) or "Nothing stands out."])


def _ensemble(story: ReportData) -> str:
    members, rivals = report_tables.members(story), report_tables.rivals(story)
    if members is None or rivals is None:
        return ""
    words, targets = f"{answer.honesty(story)} {answer.certificate(story)}", report_tables.targets(story)
    shown = [_table(members), _table(rivals), *([] if targets is None else [_table(targets)])]
    return "\n\n".join(["## Ensemble", plain(words), *shown])


def _architectures(story: ReportData) -> Iterator[str]:
    if story.architectures:
        yield "## Architectures"
        yield plain(answer.architectures(story))
    for net in story.architectures:
        sizes = f"{count_noun(net.parameters, 'parameter')}, {net.trainable:,} of them trained"
        yield _folded(f"{net.name}: {sizes}", [_block(net.table.rstrip(), "text")])


def _shown(pictures: Sequence[RenderedFigure], group: str, folder: str) -> Iterator[str]:
    for each in pictures:
        if each.group == group:
            yield f"![{plain(each.title)}]({quote(folder)}/{each.name}.png)\n\n*{plain(each.caption)}*"


def _best(story: ReportData) -> Iterator[str]:
    found = report_tables.hyperparameters(story)
    if found:
        yield "### Hyperparameters of the best trials"
    for table in found:
        yield _folded(table.caption, [_table(table, caption=False)])


def _data(story: ReportData) -> Iterator[str]:
    asked = story.question
    test = "" if asked.test_rows is None else f", {asked.test_rows:,} to predict"
    yield "## Data"
    yield plain(
        f"{count_noun(asked.rows, 'row')} ({asked.kind}) from {asked.source}{test}; {asked.folds}, hash "
    ) + code(asked.fold_hash)
    if asked.notes or story.notes:
        yield "\n".join(f"- {plain(note)}" for note in (*asked.notes, *story.notes))
    columns = report_tables.columns(story)
    if columns is not None:
        yield _folded(f"{count_noun(len(columns.rows), 'column')}: {report_tables.kinds(story)}", [_table(columns)])


def _again(story: ReportData) -> Iterator[str]:
    yield "## How to make it again"
    yield _block(
        command("run", story.question.file, f"--trials {report_tables.count_finished(story)}", "--workers 1"), "console"
    )
    versions = report_tables.versions(story)
    if story.recipe is not None and versions is not None:
        yield f"Seed {story.recipe.seed}."
        yield _folded(f"The study file, {story.question.file}", [_block(story.recipe.text.rstrip(), "yaml")])
        yield _folded("Versions", [_table(versions)])


def _table(table: ReportTable, *, caption: bool = True) -> str:
    rows = [
        [f"**{plain(cell.text)}**" if place in table.marked and cell.text else plain(cell.text) for cell in row]
        for place, row in enumerate(table.rows)
    ]
    lines = _grid([plain(column.title) for column in table.columns], rows, [column.number for column in table.columns])
    return "\n".join([*([f"{plain(table.caption)}\n"] if caption else []), *lines])


def _grid(heads: Sequence[str], rows: Sequence[Sequence[str]], numbers: Sequence[bool] = ()) -> list[str]:
    rules = ["---:" if place < len(numbers) and numbers[place] else "---" for place in range(len(heads))]
    return [f"| {' | '.join(cells)} |" for cells in (heads, rules, *rows)]


def _folded(summary: str, parts: Sequence[str]) -> str:
    return "\n\n".join([f"<details><summary>{escape(summary)}</summary>", *parts, "</details>"])


def _block(words: str, language: str) -> str:
    fence = _fence(words, 3)
    return f"{fence}{language}\n{words}\n{fence}"


def _fence(words: str, least: int) -> str:
    """Return more backticks than stand together in a text."""
    return "`" * max(least, *(len(run) + 1 for run in re.findall("`+", words)), 1)
