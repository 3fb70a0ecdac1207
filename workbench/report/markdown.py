"""The report for a repository: GitHub's Markdown, with the figures as files beside it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from html import escape
from urllib.parse import quote

from workbench.report import report_tables, summary
from workbench.report.formatting import count_noun, format_command
from workbench.report.recommendations import recommend
from workbench.report.render import RenderedFigure
from workbench.report.report_data import ReportData
from workbench.report.report_tables import ReportTable

# Characters that are markup anywhere in a line.
_MARKUP = re.compile(r"([\\`*_{}\[\]|~$#])")


def render_markdown(data: ReportData, figures: Sequence[RenderedFigure], folder: str) -> str:
    """Return the report.

    Args:
        data: the study.
        figures: its rendered figures.
        folder: the folder of their files, `NAME.png` each, relative to the report's own folder.
    """
    parts = [
        _head(data),
        _recommendations(data),
        _ensemble(data),
        *_figures(figures, "ensemble", folder),
        *_architectures(data),
        "## Search",
        *_figures(figures, "study", folder),
        *_hyperparameters(data),
        "## Trials",
        _fold_section(count_noun(len(data.trials), "finished trial"), [_table(report_tables.build_trials(data))]),
        *_data(data),
        *_reproduction(data),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def escape_text(text: object) -> str:
    """Return text on one line in which nothing is read as markup."""
    return _MARKUP.sub(r"\\\1", escape(" ".join(str(text).split()), quote=False))


def format_code(text: str) -> str:
    """Return inline code, whatever characters it holds."""
    line = " ".join(text.split())
    fence = _fence(line, 1)
    pad = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{fence}{pad}{line}{pad}{fence}"


def _head(data: ReportData) -> str:
    results = summary.list_key_results(data)
    lines = [f"# {escape_text(data.study.name)}", escape_text(summary.describe_task(data))]
    cells = [[escape_text(text) for text in (each.name, each.value, each.description)] for each in results]
    lines += ["\n".join(_grid(["", "", ""], cells))]
    lines += [escape_text(each.remark) for each in results if each.name == "Ensemble" and each.remark]
    return "\n\n".join([*lines, "## Leaderboard", _table(report_tables.build_leaderboard(data))])


def _recommendations(data: ReportData) -> str:
    lines = [
        f"{number}. **{escape_text(each.title)}.** {escape_text(each.reason)} {escape_text(each.where)}: "
        f"{format_code(each.line)}"
        for number, each in enumerate(recommend(data), 1)
    ]
    return "\n\n".join(["## What to do next", "\n".join(lines) or "Nothing stands out."])


def _ensemble(data: ReportData) -> str:
    members, comparison = report_tables.build_members(data), report_tables.build_comparison(data)
    if members is None or comparison is None:
        return ""
    text, targets = (
        f"{summary.explain_cross_fitting(data)} {summary.explain_certificate(data)}",
        report_tables.build_targets(data),
    )
    tables = [_table(members), _table(comparison), *([] if targets is None else [_table(targets)])]
    return "\n\n".join(["## Ensemble", escape_text(text), *tables])


def _architectures(data: ReportData) -> Iterator[str]:
    if data.architectures:
        yield "## Architectures"
        yield escape_text(summary.introduce_architectures(data))
    for net in data.architectures:
        sizes = f"{count_noun(net.parameters, 'parameter')}, {net.trainable:,} of them trained"
        yield _fold_section(f"{net.name}: {sizes}", [_code_block(net.table.rstrip(), "text")])


def _figures(figures: Sequence[RenderedFigure], group: str, folder: str) -> Iterator[str]:
    for each in figures:
        if each.group == group:
            yield f"![{escape_text(each.title)}]({quote(folder)}/{each.name}.png)\n\n*{escape_text(each.caption)}*"


def _hyperparameters(data: ReportData) -> Iterator[str]:
    tables = report_tables.build_hyperparameters(data)
    if tables:
        yield "### Hyperparameters of the best trials"
    for table in tables:
        yield _fold_section(table.caption, [_table(table, caption=False)])


def _data(data: ReportData) -> Iterator[str]:
    study = data.study
    test = "" if study.test_rows is None else f", {study.test_rows:,} to predict"
    yield "## Data"
    yield escape_text(
        f"{count_noun(study.rows, 'row')} ({study.kind}) from {study.source}{test}; {study.folds}, hash "
    ) + format_code(study.fold_hash)
    if study.notes or data.notes:
        yield "\n".join(f"- {escape_text(note)}" for note in (*study.notes, *data.notes))
    columns = report_tables.build_columns(data)
    if columns is not None:
        title = f"{count_noun(len(columns.rows), 'column')}: {report_tables.count_column_types(data)}"
        yield _fold_section(title, [_table(columns)])


def _reproduction(data: ReportData) -> Iterator[str]:
    yield "## How to reproduce the study"
    trials = f"--trials {report_tables.count_finished(data)}"
    yield _code_block(format_command("run", data.study.file, trials, "--workers 1"), "console")
    versions = report_tables.build_versions(data)
    if data.recipe is not None and versions is not None:
        yield f"Seed {data.recipe.seed}."
        yield _fold_section(f"The study file, {data.study.file}", [_code_block(data.recipe.text.rstrip(), "yaml")])
        yield _fold_section("Versions", [_table(versions)])


def _table(table: ReportTable, *, caption: bool = True) -> str:
    rows = [
        [
            f"**{escape_text(cell.text)}**" if index in table.marked and cell.text else escape_text(cell.text)
            for cell in row
        ]
        for index, row in enumerate(table.rows)
    ]
    titles = [escape_text(column.title) for column in table.columns]
    lines = _grid(titles, rows, [column.number for column in table.columns])
    return "\n".join([*([f"{escape_text(table.caption)}\n"] if caption else []), *lines])


def _grid(titles: Sequence[str], rows: Sequence[Sequence[str]], numbers: Sequence[bool] = ()) -> list[str]:
    rules = ["---:" if index < len(numbers) and numbers[index] else "---" for index in range(len(titles))]
    return [f"| {' | '.join(cells)} |" for cells in (titles, rules, *rows)]


def _fold_section(title: str, parts: Sequence[str]) -> str:
    return "\n\n".join([f"<details><summary>{escape(title)}</summary>", *parts, "</details>"])


def _code_block(text: str, language: str) -> str:
    fence = _fence(text, 3)
    return f"{fence}{language}\n{text}\n{fence}"


def _fence(text: str, shortest: int) -> str:
    """Return a fence of at least `shortest` backticks that is longer than every run of them in the text."""
    return "`" * max(shortest, *(len(run) + 1 for run in re.findall("`+", text)), 1)
