"""Pydantic's validation errors of a study file as one-line messages that say what to write instead."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from workbench.config.study_config import StudyConfig
from workbench.errors import did_you_mean, format_list, format_value, suggest_word

# The expectation behind each type of pydantic error; the fields are filled in from the error's context.
_EXPECTED = {
    "string_type": "must be text",
    "string_pattern_mismatch": "must be letters, digits, '_', '.' and '-', the first a letter or a digit",
    "string_too_long": "must have at most {max_length} characters",
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "finite_number": "must be a finite number",
    "tuple_type": "must be a list",
    "model_type": "must be a mapping",
    "dict_type": "must be a mapping",
    "greater_than": "must be above {gt:g}",
    "greater_than_equal": "must be at least {ge:g}",
    "less_than": "must be below {lt:g}",
    "less_than_equal": "must be at most {le:g}",
    "too_short": "must have at least {min_length} entry",
    "literal_error": "must be {expected}",
    "value_error": "{error}",
}
# The types of error for an unknown key.
_UNKNOWN = ("extra_forbidden", "invalid_key")


def describe_errors(error: ValidationError) -> str:
    """Return a message for the first error, with the number of further errors."""
    # A misspelt required key is also reported as missing; the message about the misspelling is the helpful one.
    first = min(error.errors(), key=lambda e: e["type"] not in _UNKNOWN)
    others = error.error_count() - 1
    more = f" ({others} more {'mistake' if others == 1 else 'mistakes'})" if others else ""
    location = tuple(part for part in first["loc"] if part != "[key]")
    key = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location).lstrip(".")
    key = " ".join(key.split())
    if first["type"] in _UNKNOWN:
        key = key if first["type"] == "extra_forbidden" else format_value(first["input"])
        return f"{key} is not a key of a study file.{_suggest_key(location)}{more}"
    if first["type"] == "missing":
        return f"{key} is missing. Add it to the file.{more}"
    expected = _EXPECTED.get(first["type"], first["msg"]).format(**first.get("ctx", {}))
    return f"{key} {expected}. Received: {format_value(first['input'])}.{_suggest_value(first, location)}{more}"


def _suggest_value(error: ErrorDetails, location: tuple[int | str, ...]) -> str:
    """Return a hint about what to write in place of a value that is not valid."""
    kind, value = error["type"], error["input"]
    if value is None:
        return " Fill it in, or remove the line."
    if kind == "literal_error":
        choices = str(error["ctx"]["expected"]).replace("'", "").replace(" or ", ", ")
        return did_you_mean(value, choices.split(", "))
    if kind == "string_type" and not isinstance(value, list | dict):
        return " Put it in quotes."
    if kind in ("int_type", "float_type") and isinstance(value, str) and value.strip().isdigit():
        return " Remove the quotes."
    if kind == "tuple_type" and isinstance(value, str):
        return f" Write [{value}]."
    if kind == "model_type":
        return f" Its keys: {format_list(_keys(location), 20)}."
    return ""


def _suggest_key(location: tuple[int | str, ...]) -> str:
    """Return a hint about an unknown key: the section it belongs to, a key that is spelt like it, or all keys."""
    *parent, key = location
    for section, known in _sections():
        if key in known:
            return f" It belongs {f'under {section}' if section else 'at the top of the file'}."
    known = _keys(tuple(parent))
    return suggest_word(key, known, label="Known keys", most=20)


def _sections() -> Iterator[tuple[str, list[str]]]:
    """Yield the key of every section with the keys that it may have; the empty key is the top of the file."""
    yield "", _keys(())
    for name in _keys(()):
        yield name, _keys((name,))


def _keys(location: tuple[int | str, ...]) -> list[str]:
    """Return the keys that the mapping at `location` may have."""
    section: type[BaseModel] = StudyConfig
    for name in location:
        field = section.model_fields.get(str(name))
        if field is None or not (isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)):
            return []
        section = field.annotation
    return list(section.model_fields)
