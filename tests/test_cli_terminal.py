"""Names and messages are printed literally: no markup is read, no control character is obeyed, no encoding fails."""

from __future__ import annotations

import ast
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from prediction_matrices import diabetes
from test_cli_tables import of_ensemble

import workbench
from workbench.cli import console_tables
from workbench.cli.progress import LineProgress, LiveProgress
from workbench.cli.terminal import LiteralConsole
from workbench.ensemble import diversity
from workbench.search.events import FamilySetAside, TrialEnded, TrialStarted
from workbench.search.storage import TrialRecord

MARKUP = ("[red]note", "speed[/km]", "[/]", "[bold]x[/bold]", ":smile:", "[link=file:///]y", "\\[z]")
CONTROLS = {
    "a\x1b[31mb": r"a\x1b[31mb",
    "bell\x07": r"bell\x07",
    "back\rto": r"back\rto",
    "c1\x9b2J": r"c1\x9b2J",
    "bidi\u202ecba": r"bidi\u202ecba",
    "isolate\u2066x": r"isolate\u2066x",
    "byte\udcff": r"byte\udcff",
}
SHOWN = {**dict(zip(MARKUP, MARKUP, strict=True)), **CONTROLS}
STUDY = """
name: odd
data: {train: train.csv, target: y, id: id}
metric: "[red]m.py:brier"
folds: {folds: 3}
families: [linear]
search: {trials: 2, workers: 1}
"""
METRIC = """
def brier(y, p):
    return float(((y - p) ** 2).mean())
brier.direction = "minimize"
"""


def record(family: str, reason: str | None = None) -> TrialRecord:
    return TrialRecord("run", family, 0, 0.5, 0.1, [0.5], "complete", 1.0, {}, also={family: 0.25}, reason=reason)


def printed(*renderables: object) -> str:
    text = io.StringIO()
    LiteralConsole(width=250, file=text).print(*renderables)
    return text.getvalue()


def table_of(kind: str, name: str) -> object:
    match kind:
        case "leaderboard":
            return console_tables.leaderboard([record(name, reason=name)], metric=name)
        case "by_family":
            return console_tables.by_family([record(name)], metric=name)
        case "ensemble":
            return console_tables.ensemble(of_ensemble([name, "other"]))
        case _:
            predictions, y = diabetes()
            return console_tables.diversity(diversity(predictions[:1], y, "rmse", np.ones(1), names=[name]))


@pytest.mark.parametrize("kind", ["leaderboard", "by_family", "ensemble", "diversity"])
@pytest.mark.parametrize("name", SHOWN, ids=ascii)
def test_tables_show_names_literally(kind: str, name: str) -> None:
    assert SHOWN[name] in printed(table_of(kind, name))


@pytest.mark.parametrize("name", SHOWN, ids=ascii)
def test_progress_shows_names_literally(name: str) -> None:
    events: list[Any] = [
        TrialStarted(name, 0, 3),
        FamilySetAside(name, f"fails: {name}"),
        TrialEnded(record(name, reason=name)),
        TrialStarted(name, 1, 3),
    ]
    printed_lines, printed_live = io.StringIO(), io.StringIO()
    lines = LiteralConsole(width=250, file=printed_lines)
    live = LiteralConsole(width=250, file=printed_live)
    screen = LiveProgress(live, title=name, maximize=False, trials=1, minutes=None)
    for event in events:
        LineProgress(lines, maximize=False)(event)
        screen(event)
    live.print(screen._draw())
    shown = SHOWN[name]
    assert f"{shown} is set aside: fails: {shown}" in printed_lines.getvalue()
    assert printed_lines.getvalue().count(shown) == 4
    text = printed_live.getvalue()
    assert text.startswith(shown)
    assert f"best 0.5 ({shown} #0)" in text
    assert f"{shown} is set aside: fails: {shown}" in text
    assert f"▸ {shown} #1" in text


def test_only_one_module_prints_and_makes_consoles_and_texts() -> None:
    folder = Path(workbench.__file__).parent / "cli"
    for file in folder.glob("*.py"):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        calls = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and hasattr(node.func, "id")}
        assert file.name == "terminal.py" or not calls & {"print", "Console", "Text"}, file


def command(folder: Path, *words: str, encoding: str = "ascii") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "workbench", *words],
        cwd=folder,
        env={**os.environ, "PYTHONIOENCODING": encoding, "LANG": "C"},
        capture_output=True,
        encoding=encoding,
        timeout=300,
        check=False,
    )


def write_table(file: Path) -> None:
    rows = "".join(f"{i},{i % 7},7,{'日本' if i % 3 else '[red]'},{i % 2}\n" for i in range(60))
    file.write_text("id,[/km],speed[/km],[red]note\x1b[31m,y\n" + rows, encoding="utf-8")


def test_init_names_columns_literally_on_an_ascii_terminal(tmp_path: Path) -> None:
    folder = tmp_path / "[red]größe"
    folder.mkdir()
    write_table(folder / "train.csv")
    ended = command(folder, "init", "train.csv", "--target", "[red]note\x1b[31m", "-o", "[red]ä.yaml")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "target: [red]note\\x1b[31m, as asked" in ended.stdout
    assert "2 classes: [red], ??" in ended.stdout
    assert "Wrote [red]?.yaml." in ended.stdout
    ended = command(folder, "init", "trän[/x]\x9b.csv")
    assert ended.returncode == 2
    assert "tr?n[/x]\\x9b.csv" in ended.stderr


def test_json_on_an_ascii_terminal_keeps_every_character(tmp_path: Path) -> None:
    write_table(tmp_path / "train.csv")
    ended = command(tmp_path, "init", "train.csv", "--target", "y", "-o", "größe.yaml", "--json")
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["path"].endswith("größe.yaml")


def test_lists_are_printed_on_an_ascii_terminal(tmp_path: Path) -> None:
    for verb in ("metrics", "families", "--help"):
        ended = command(tmp_path, verb)
        assert (ended.returncode, ended.stderr) == (0, ""), verb
        assert ended.stdout


@pytest.mark.slow
def test_a_whole_study_prints_odd_names(tmp_path: Path) -> None:
    write_table(tmp_path / "train.csv")
    (tmp_path / "[red]m.py").write_text(METRIC)
    (tmp_path / "odd.yaml").write_text(STUDY)
    ended = command(tmp_path, "run", "odd.yaml")
    assert ended.returncode == 0, ended.stderr
    assert "speed[/km]" in ended.stdout
    assert "[red]m.py:brier" in ended.stdout
    for verb, encoding in (("leaderboard", "ascii"), ("ensemble", "utf-8")):
        ended = command(tmp_path, verb, "odd.yaml", encoding=encoding)
        assert ended.returncode == 0, ended.stderr
        assert "[red]m.py:brier" in ended.stdout
