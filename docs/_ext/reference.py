"""Reference pages as Markdown, generated from the code: study file, command line, families, metrics, source files."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

_SECTIONS = {
    "data": "DataConfig",
    "targets": "TargetConfig",
    "folds": "FoldsConfig",
    "search": "SearchConfig",
    "training": "TrainingConfig",
    "training.pretrained": "PretrainedConfig",
    "training.word_vectors": "WordVectorsConfig",
    "ensemble": "EnsembleConfig",
}
_EVERY_KIND = ("table", "text", "image", "sequence")


def study_file() -> str:
    """Return the reference of the study file: a section for each mapping, an entry for each key."""
    from workbench import config

    schema = config.json_schema()
    definitions = schema["$defs"]
    missing = set(definitions) - set(_SECTIONS.values())
    if missing:
        raise ValueError(f"docs/_ext/reference.py must have a section for each part. Missing: {sorted(missing)}")
    pages = [f"(study-top)=\n## Top level\n\n{_keys(schema, '', definitions)}"]
    for section, name in _SECTIONS.items():
        part = definitions[name]
        head = f"(study-{section.replace('.', '-').replace('_', '-')})=\n## `{section}`"
        path = "targets.NAME" if section == "targets" else section
        pages.append(f"{head}\n\n{part['description']}\n\n{_keys(part, path, definitions)}")
    return "\n\n".join(pages)


def _keys(part: Mapping[str, Any], section: str, definitions: Mapping[str, Any]) -> str:
    """Return a definition list of the keys of a mapping."""
    required = part.get("required", ())
    entries = []
    for key, spec in part["properties"].items():
        path = f"{section}.{key}" if section else key
        default = "required" if key in required else _default(spec)
        # A key without words of its own has those of its section.
        meant = definitions.get(spec.get("$ref", "").rpartition("/")[2], {})
        text = " ".join(spec.get("description", meant.get("description", "")).split())
        if not text:
            raise ValueError(f"{path} must have a docstring in workbench/config. It has none.")
        entries.append(f"[`{path}`]{{#key-{path}}} [{_type(spec)}; {default}]{{.key-type}}\n: {text}{_more(path)}")
    return "\n\n".join(entries)


def _more(path: str) -> str:
    """Return a link to the section of a key that holds a mapping."""
    if path not in _SECTIONS:
        return ""
    return f" See [`{path}`](#study-{path.replace('.', '-').replace('_', '-')})."


def _default(spec: Mapping[str, Any]) -> str:
    """Return the default of a key in words; what follows from data or metric is in its description."""
    default = spec.get("default")
    if default is None or default in ([], {}) or isinstance(default, Mapping):
        return "optional"
    return f"default `{str(default).lower() if isinstance(default, bool) else default}`"


def _type(spec: Mapping[str, Any]) -> str:
    """Return the type of a key in words, from its JSON schema."""
    if "anyOf" in spec:
        options = [_type(one) for one in spec["anyOf"] if one != {"type": "null"}]
        return " or ".join(dict.fromkeys(options))
    if "enum" in spec:
        return "one of " + ", ".join(f"`{value}`" for value in spec["enum"])
    if "const" in spec:
        return f"`{spec['const']}`"
    if "$ref" in spec:
        return "mapping"
    match spec.get("type"):
        case "array" if "prefixItems" in spec:
            return "list of " + str(len(spec["prefixItems"])) + f" × {_type(spec['prefixItems'][0])}"
        case "array":
            return f"list of {_type(spec['items'])}" if "type" in spec["items"] else "list"
        case "object":
            return "mapping"
        case "boolean":
            return "`true` or `false`"
        case "integer" | "number" as kind:
            return f"{kind}{_range(spec)}"
        case kind:
            return str(kind)


def _range(spec: Mapping[str, Any]) -> str:
    """Return the limits of a number."""
    low, above = spec.get("minimum"), spec.get("exclusiveMinimum")
    high, below = spec.get("maximum"), spec.get("exclusiveMaximum")
    limits = [("≥", low), (">", above), ("≤", high), ("<", below)]
    return "".join(f" {sign} {value:g}" for sign, value in limits if value is not None)


def command_line() -> str:
    """Return the reference of the command line: a section for each verb."""
    import typer

    from workbench.cli.commands import app

    group: Any = typer.main.get_command(app)
    return "\n\n".join(_verb(name, command) for name, command in group.commands.items())


def _verb(name: str, command: Any) -> str:
    """Return the section of one verb: usage, what it does, arguments and options."""
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    options = [one for one in command.params if one.param_type_name == "option"]
    usage = " ".join(["workbench", name, *(one.metavar or one.name.upper() for one in arguments)])
    needed = "".join(f" {one.opts[0]} {_value(one)}" for one in options if one.required)
    usage = f"{usage}{needed}{' [OPTIONS]' if len(options) > needed.count('-') else ''}"
    # A paragraph that is a list of indented commands stays as it is.
    text = re.sub(r"\n(mlflow .*)$", r"\n`\1`", command.help or "", flags=re.MULTILINE)
    entries = [f"`{one.metavar}`\n: {_escaped(one.help)}" for one in arguments]
    entries += [f"`{_spelt(one)}`\n: {_escaped(one.help)}{_standard(one)}" for one in options]
    head = f"(cli-{name})=\n## `{name}`\n\n```text\n{usage}\n```\n\n{text}"
    return "\n\n".join([head, *entries])


def _spelt(option: Any) -> str:
    """Return an option as it is written on the command line."""
    names = ", ".join([*option.opts, *option.secondary_opts])
    return names if getattr(option, "is_flag", False) else f"{names} {_value(option)}"


def _value(option: Any) -> str:
    """Return what an option's value is called."""
    choices = getattr(option.type_descriptor.annotation, "__args__", ())
    if not option.metavar and choices and all(isinstance(choice, str) for choice in choices):
        return "|".join(choices)
    return option.metavar or option.name.upper().replace("_", "-")


def _standard(option: Any) -> str:
    """Return the default of an option in words."""
    shown = option.default not in (None, False) and isinstance(option.default, int | float | str)
    return f" Default: `{option.default}`." if shown else ""


def _escaped(text: str | None) -> str:
    """Return a help text in which no character is Markdown's."""
    return re.sub(r"([\[\]*_<>])", r"\\\1", text or "")


def families() -> str:
    """Return the table of the model families."""
    from workbench.models import FAMILIES

    rows = []
    for name, entry in FAMILIES.items():
        kinds = "all" if entry.kinds == _EVERY_KIND else ", ".join(entry.kinds)
        tasks = "all" if len(entry.tasks) == 3 else ", ".join(entry.tasks)
        rows.append((f"`{name}`", entry.description, kinds, tasks, "one model" if entry.joint else "one model a target"))
    return _table(("family", "model", "data", "tasks", "several targets"), rows)


def metrics() -> str:
    """Return the table of the metrics."""
    from workbench import evaluation

    rows = []
    for metric in evaluation.describe():
        best = "higher" if metric["direction"] == "maximize" else "lower"
        tasks = ", ".join(metric["tasks"])
        rows.append((f"`{metric['name']}`", metric["description"], best, metric["wants"], tasks))
    return _table(("metric", "definition", "better", "takes", "tasks"), rows)


def packages(package: Path) -> str:
    """Return the list of packages in import order, as the package's docstring has it."""
    text = ast.get_docstring(_parsed(package / "__init__.py")) or ""
    lines = [line[4:] for line in text.splitlines() if line.startswith("    ")]
    if not lines:
        raise ValueError(f"{package}/__init__.py must list the packages, indented by four spaces. It lists none.")
    return "```text\n" + "\n".join(lines) + "\n```"


def files(package: Path) -> str:
    """Return the source files of the package with the first sentence of each one's docstring."""
    top = [path for path in sorted(package.glob("*.py")) if path.name not in ("__init__.py", "__main__.py")]
    parts = ["## Modules at the top\n\n" + _files(package.parent, top)]
    for folder in _in_import_order(package):
        every = [path for path in sorted(folder.rglob("*.py")) if path.name != "__main__.py" and path.parent != path]
        about = _sentence(folder / "__init__.py")
        rows = [path for path in every if path != folder / "__init__.py"]
        parts.append(f"## `{folder.relative_to(package.parent).as_posix()}/`\n\n{about}\n\n{_files(folder, rows)}")
    return "\n\n".join(parts)


def _in_import_order(package: Path) -> Iterator[Path]:
    """Yield the sub-packages in the order in which the package's docstring lists them, the others after them."""
    order = re.findall(r"^ {4}(\w+)", ast.get_docstring(_parsed(package / "__init__.py")) or "", flags=re.MULTILINE)
    place = {name: number for number, name in enumerate(order)}
    folders = [path.parent for path in package.glob("*/__init__.py")]
    yield from sorted(folders, key=lambda folder: (place.get(folder.name, len(place)), folder.name))


def _files(root: Path, paths: Iterable[Path]) -> str:
    """Return a table of files, a sub-package under the name of its folder."""
    rows = []
    for path in paths:
        name = path.relative_to(root).as_posix()
        rows.append((f"`{name.removesuffix('__init__.py')}`", _sentence(path)))
    return _table(("file", "content"), rows)


def _sentence(path: Path) -> str:
    """Return the first paragraph of a module's docstring."""
    text = ast.get_docstring(_parsed(path))
    if not text:
        raise ValueError(f"{path} must begin with a docstring. It has none.")
    return _escaped(" ".join(text.partition("\n\n")[0].split()))


def _parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Return a Markdown table."""
    lines = [heads, tuple("---" for _ in heads), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
