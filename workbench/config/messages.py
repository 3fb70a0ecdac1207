"""What pydantic finds wrong with a study file, in the one sentence all errors share, and what to write instead."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from workbench.config.study_config import StudyConfig
from workbench.errors import did_you_mean, format_list, format_value, suggest_word

# What pydantic's errors are in our sentence, filled in from their context.
_MUST = {
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
_UNKNOWN = ("extra_forbidden", "invalid_key")


def describe_errors(error: ValidationError) -> str:
    """Say the first thing that is wrong, and how many more there are."""
    # A key that is misspelt is also missing; the misspelling is what helps.
    first = min(error.errors(), key=lambda e: e["type"] not in _UNKNOWN)
    others = error.error_count() - 1
    more = f" ({others} more {'mistake' if others == 1 else 'mistakes'})" if others else ""
    location = tuple(part for part in first["loc"] if part != "[key]")
    key = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location).lstrip(".")
    key = " ".join(key.split())
    if first["type"] in _UNKNOWN:
        key = key if first["type"] == "extra_forbidden" else format_value(first["input"])
        return f"{key} is not a key of a study file.{_right_key(location)}{more}"
    if first["type"] == "missing":
        return f"{key} is missing. Add it to the file.{more}"
    must = _MUST.get(first["type"], first["msg"]).format(**first.get("ctx", {}))
    return f"{key} {must}. Received: {format_value(first['input'])}.{_remedy(first, location)}{more}"


def _remedy(error: ErrorDetails, location: tuple[int | str, ...]) -> str:
    """Say what to write in place of a value that does not fit."""
    kind, value = error["type"], error["input"]
    if value is None:
        return " Fill it in, or remove the line."
    if kind == "literal_error":
        expected = str(error["ctx"]["expected"]).replace("'", "").replace(" or ", ", ")
        return did_you_mean(value, expected.split(", "))
    if kind == "string_type" and not isinstance(value, list | dict):
        return " Put it in quotes."
    if kind in ("int_type", "float_type") and isinstance(value, str) and value.strip().isdigit():
        return " Remove the quotes."
    if kind == "tuple_type" and isinstance(value, str):
        return f" Write [{value}]."
    if kind == "model_type":
        return f" Its keys: {format_list(_keys(location), 20)}."
    return ""


def _right_key(location: tuple[int | str, ...]) -> str:
    """Say which key was meant: the same one elsewhere, one that is spelt like it, or those that there are."""
    *above, key = location
    for place, known in _places():
        if key in known:
            return f" It belongs {f'under {place}' if place else 'at the top of the file'}."
    known = _keys(tuple(above))
    return suggest_word(key, known, label="Known keys", most=20)


def _places() -> Iterator[tuple[str, list[str]]]:
    """Yield every mapping of a study file by its key, with the keys that it may have."""
    yield "", _keys(())
    for name in _keys(()):
        yield name, _keys((name,))


def _keys(location: tuple[int | str, ...]) -> list[str]:
    """Return the keys that the mapping at `location` may have."""
    part: type[BaseModel] = StudyConfig
    for name in location:
        field = part.model_fields.get(str(name))
        if field is None or not (isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)):
            return []
        part = field.annotation
    return list(part.model_fields)
