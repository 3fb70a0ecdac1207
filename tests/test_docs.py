"""The documentation says what the code does: links, paths, study files, commands, examples and generated references."""

from __future__ import annotations

import doctest
import importlib
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

import workbench
from workbench import config, ensemble, evaluation, models
from workbench.cli.commands import app
from workbench.config import FoldsConfig, StudyConfig
from workbench.search.pruners import pruner_names
from workbench.search.samplers import sampler_names

ROOT = Path(workbench.__file__).parent.parent
DOCS = ROOT / "docs"
# The modules whose docstrings hold examples.
EXAMPLES = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in sorted(Path(workbench.__file__).parent.rglob("*.py"))
    if ">>> " in path.read_text(encoding="utf-8")
]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]
PAGES = [page for page in PAGES if "_build" not in page.parts]
IDS = [page.relative_to(ROOT).as_posix() for page in PAGES]

sys.path.insert(0, str(DOCS / "_ext"))
reference = importlib.import_module("reference")


def blocks(page: Path, *languages: str) -> Iterator[str]:
    """Yield the fenced code blocks of a page in some languages."""
    for language, code in re.findall(r"^```(\w+)\n(.*?)^```$", page.read_text(encoding="utf-8"), re.M | re.S):
        if language in languages:
            yield code


def first_cells(page: str, head: str) -> list[str]:
    """Return the names in the first column of the table that begins with `head`."""
    text = (DOCS / page).read_text(encoding="utf-8")
    table = text.partition(f"| {head} |")[2].partition("\n\n")[0]
    return [re.findall(r"`([^`]+)`", line.split("|")[1])[0] for line in table.splitlines()[2:]]


def test_the_readme_is_short():
    assert (ROOT / "README.md").stat().st_size <= 9_000


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_every_link_to_a_file_leads_to_one(page):
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    missing = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert missing == []


def paths(page: Path) -> list[str]:
    """Return the project's files and folders that a page names in backticks, patterns and placeholders left out."""
    text = page.read_text(encoding="utf-8")
    named = re.findall(r"`((?:workbench|tests|docs|studies|benchmarks)/[^`\s*]*)`", text)
    return [path for path in named if "/STUDY/" not in path and path != "docs/_build/html"]


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_every_path_on_a_page_exists(page):
    assert [path for path in paths(page) if not (ROOT / path).exists()] == []


def test_contributing_names_the_files_to_open():
    assert len(paths(ROOT / "CONTRIBUTING.md")) > 20


def test_contributing_says_where_each_of_the_ten_changes_begins():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    table = text.partition("| change | open | then |")[2].partition("\n\n")[0]
    changes = [line.split("|")[1].strip() for line in table.splitlines()[2:]]
    assert changes == [
        "add a model family",
        "add a metric",
        "add a sampler",
        "add a data source",
        "add a figure",
        "add an ensemble method",
        "add a column to the leaderboard",
        "change how folds are made",
        "change what the command line prints",
        "change where predictions are stored",
    ]


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_every_study_file_on_a_page_is_valid(page):
    for block in blocks(page, "yaml"):
        part = yaml.safe_load(block)
        if not isinstance(part, dict):
            continue
        study = {"name": "a", "families": ["linear"], **part}
        study["data"] = {"train": "train.csv", **study.get("data", {})}
        if study["data"].get("lags"):
            study["data"] = {"time": "day", **study["data"]}
        StudyConfig.of(study, Path("study.yaml"))


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_every_command_on_a_page_is_one(page):
    group: Any = typer.main.get_command(app)
    for block in blocks(page, "console"):
        for line in re.findall(r"^\$ (?:\S*/)?workbench (.+)$", block, re.M):
            words = shlex.split(line, comments=True)
            if words[0].startswith("--"):
                continue
            group.commands[words[0]].make_context(words[0], words[1:])


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_every_target_of_make_on_a_page_is_one(page):
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    phony = re.search(r"^\.PHONY: (.+)$", makefile, re.M)
    assert phony is not None
    targets = set(phony[1].split())
    named = re.findall(r"(?:`|^\$ )make ([a-z]+)", page.read_text(encoding="utf-8"), re.M)
    assert set(named) - targets == set()


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_examples_with_a_prompt_give_what_they_show(page):
    found = doctest.testfile(str(page), module_relative=False, encoding="utf-8")
    assert found.failed == 0


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_in_docstrings_give_what_they_show(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_every_python_example_is_python(page):
    for block in blocks(page, "python"):
        compile(block, str(page), "exec")


def test_tables_of_choices_name_each_choice_once():
    assert sorted(first_cells("guides/search.md", "`search.sampler`")) == sorted(sampler_names())
    assert sorted(first_cells("guides/search.md", "`search.pruner`")) == sorted(pruner_names())
    assert sorted(first_cells("guides/ensembles.md", "`ensemble.method`")) == sorted(ensemble.methods())
    kinds = FoldsConfig.model_json_schema()["properties"]["kind"]["anyOf"][0]["enum"]
    assert sorted(first_cells("guides/tables.md", "`folds.kind`")) == sorted(kinds)


def test_the_reference_of_the_command_line_has_every_verb_and_option():
    text = reference.command_line()
    group: Any = typer.main.get_command(app)
    for name, command in group.commands.items():
        section = text.partition(f"## `{name}`")[2].partition("\n## ")[0]
        assert section
        for option in (one for one in command.params if one.param_type_name == "option"):
            assert option.opts[-1] in section
    json = (DOCS / "reference" / "cli.md").read_text(encoding="utf-8")
    undocumented = [name for name in group.commands if name != "ui" and f"`{name}`" not in json]
    assert undocumented == []


def test_the_reference_of_the_study_file_has_every_key():
    text = reference.study_file()
    schema = config.json_schema()
    for part in (schema, *schema["$defs"].values()):
        for key in part["properties"]:
            assert re.search(rf"`(?:[\w.]+\.)?{key}`\]", text), key


def test_the_table_of_families_is_that_of_the_code():
    rows = reference.families().splitlines()[2:]
    assert [row.split("`")[1] for row in rows] == list(models.family_names())
    for row, entry in zip(rows, models.FAMILIES.values(), strict=True):
        assert entry.description in row
    assert [row.split("`")[1] for row in reference.metrics().splitlines()[2:]] == list(evaluation.names())


def test_the_architecture_lists_every_file_of_the_package():
    listed, section = set(), "workbench/"
    for line in reference.files(ROOT / "workbench").splitlines():
        if line.startswith("## `"):
            section = line.split("`")[1]
            listed.add(section)
        elif line.startswith("| `"):
            name = line.split("`")[1]
            listed.add(name if name.startswith("workbench/") else section + name)
    files = {path.relative_to(ROOT).as_posix() for path in (ROOT / "workbench").glob("*/**/*.py")}
    files |= {path.relative_to(ROOT).as_posix() for path in (ROOT / "workbench").glob("*.py")}
    files = {path.removesuffix("__init__.py") for path in files if not path.endswith("__main__.py")}
    assert listed == files - {"workbench/"}


@pytest.mark.slow
def test_the_site_is_built_without_a_warning(tmp_path):
    pytest.importorskip("sphinx")
    command = [sys.executable, "-m", "sphinx", "--fail-on-warning", "--keep-going", "--quiet"]
    built = subprocess.run([*command, str(DOCS), str(tmp_path)], capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    remote = re.compile(r"""(?:src|href)=["'](?:https?:)?//[^"']+\.(?:js|css|woff2?)""")
    for page in tmp_path.rglob("*.html"):
        assert not remote.search(page.read_text(encoding="utf-8")), page
