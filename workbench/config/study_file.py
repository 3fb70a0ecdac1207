"""YAML file -> StudyConfig, or one sentence that says what is wrong."""

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
        overrides: keys to replace, for example `seed=3`.

    Raises:
        ConfigError: the file is missing, is not YAML, or a key or value does not fit.
    """
    path = Path(file)
    document = _parsed(path, _text(path))
    if not isinstance(document, dict):
        raise ConfigError(
            f"{path}: must be a mapping with name, data and families. "
            f"Received: {format_value(document)}.{_no_study(path)}"
        )
    try:
        return StudyConfig.of({**document, **overrides}, path)
    except ValidationError as error:
        raise ConfigError(f"{path}: {describe_errors(error)}") from error


class _Loader(yaml.SafeLoader):
    """YAML's safe loader that refuses duplicate keys, where YAML keeps the last one."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """Return a mapping without duplicate keys; the merge key `<<` may be repeated."""
        node = super().compose_mapping_node(anchor)
        keys = [key for key, _ in node.value if isinstance(key, yaml.ScalarNode) and key.value != "<<"]
        for place, key in enumerate(keys):
            if any(key.value == other.value for other in keys[:place]):
                raise yaml.MarkedYAMLError(problem=f"the key {key.value!r} stands twice", problem_mark=key.start_mark)
        return node


_YAML_HINTS = {
    "'\\t'": " Indent with spaces, not with tabs.",
    "mapping values": " Put a value that holds ': ' in quotes.",
    "stands twice": " Remove one of them.",
}


def _text(path: Path) -> str:
    """Return the content of the file."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}).{_instead(path)}") from error
    except UnicodeDecodeError as error:
        received = f"byte 0x{error.object[error.start]:02x} at position {error.start}"
        hint = _no_study(path) or " Save it as UTF-8."
        raise ConfigError(f"{path}: must be a UTF-8 text file. Received: {received}.{hint}") from error


def _parsed(path: Path, text: str) -> Any:
    """Parse the text as YAML."""
    try:
        return _Loader(text).get_single_data()
    except (yaml.YAMLError, ValueError) as error:
        mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        hints = (hint for words, hint in _YAML_HINTS.items() if words in str(problem))
        sentence = f"{path}{where}: is not YAML: {problem or error}.{next(hints, _no_study(path))}"
        raise ConfigError(" ".join(sentence.split())) from error


def _instead(path: Path) -> str:
    """Suggest another file for one that cannot be read."""
    folder = path if path.is_dir() else path.parent
    near = sorted(each.name for each in folder.glob("*.y*ml")) if folder.is_dir() else []
    if path.is_dir():
        return f" Name a study file in it: {format_list(near)}." if near else " Name a study file."
    if path.exists():
        return " Check who may read it."
    return did_you_mean(path.name, near) or " Make one with 'workbench init TRAIN.csv'."


def _no_study(path: Path) -> str:
    """Suggest `workbench init` if the file name is not that of a study file."""
    return "" if path.suffix.lower() in (".yaml", ".yml") else f" From data, make one with 'workbench init {path}'."
