"""Reading of study files: YAML -> StudyConfig."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from workbench.config.messages import describe_errors
from workbench.config.study_config import StudyConfig
from workbench.errors import ConfigError, did_you_mean, format_list, format_value


def load(file: str | os.PathLike[str], **overrides: Any) -> StudyConfig:
    """Read a study file.

    Args:
        file: the study file.
        overrides: values that replace those of the file, for example `seed=3`.

    Raises:
        ConfigError: the file is missing, is not YAML, or a key or value is not valid.
    """
    path = Path(file)
    document = _parse(path, _read(path))
    if not isinstance(document, dict):
        raise ConfigError(
            f"{path}: must be a mapping with name, data and families. "
            f"Received: {format_value(document)}.{_suggest_init(path)}"
        )
    try:
        return StudyConfig.of({**document, **overrides}, path)
    except ValidationError as error:
        raise ConfigError(f"{path}: {describe_errors(error)}") from error


class _Loader(yaml.SafeLoader):
    """A safe YAML loader that refuses a mapping with a repeated key; PyYAML would take the last one."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """Return a mapping node whose keys are unique; the merge key `<<` may be repeated."""
        node = super().compose_mapping_node(anchor)
        keys = [key for key, _ in node.value if isinstance(key, yaml.ScalarNode) and key.value != "<<"]
        for index, key in enumerate(keys):
            if any(key.value == other.value for other in keys[:index]):
                raise yaml.MarkedYAMLError(problem=f"the key {key.value!r} stands twice", problem_mark=key.start_mark)
        return node


_YAML_HINTS = {
    "'\\t'": " Indent with spaces, not with tabs.",
    "mapping values": " Put a value that holds ': ' in quotes.",
    "stands twice": " Remove one of them.",
}


def _read(path: Path) -> str:
    """Return the content of the file."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}).{_suggest_file(path)}") from error
    except UnicodeDecodeError as error:
        received = f"byte 0x{error.object[error.start]:02x} at position {error.start}"
        hint = _suggest_init(path) or " Save it as UTF-8."
        raise ConfigError(f"{path}: must be a UTF-8 text file. Received: {received}.{hint}") from error


def _parse(path: Path, text: str) -> Any:
    """Return the YAML document in the text."""
    try:
        return _Loader(text).get_single_data()
    except (yaml.YAMLError, ValueError) as error:
        mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        hints = (hint for words, hint in _YAML_HINTS.items() if words in str(problem))
        sentence = f"{path}{where}: is not YAML: {problem or error}.{next(hints, _suggest_init(path))}"
        raise ConfigError(" ".join(sentence.split())) from error


def _suggest_file(path: Path) -> str:
    """Return a hint about what to read in place of a file that cannot be read."""
    folder = path if path.is_dir() else path.parent
    near = sorted(each.name for each in folder.glob("*.y*ml")) if folder.is_dir() else []
    if path.is_dir():
        return f" Name a study file in it: {format_list(near)}." if near else " Name a study file."
    if path.exists():
        return " Check who may read it."
    return did_you_mean(path.name, near) or " Make one with 'workbench init TRAIN.csv'."


def _suggest_init(path: Path) -> str:
    """Return the hint to make a study file from data if the file's name is not that of a study file."""
    return "" if path.suffix.lower() in (".yaml", ".yml") else f" From data, make one with 'workbench init {path}'."
