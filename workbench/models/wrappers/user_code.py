"""Files of Python that a study file names as `file.py:Name`: looked at without running them, and run."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import sys
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from workbench.errors import FamilyError, did_you_mean, format_list


def check(name: str, resolve: Callable[[str], Path] = Path) -> ast.Module:
    """Look whether a file has a class or a function of that name; nothing in it is run.

    Args:
        name: `file.py:Name`.
        resolve: finds the file that is meant by a relative path, as `StudyConfig.resolve` does.

    Returns:
        What the file says.

    Raises:
        FamilyError: it is written otherwise, the file is not there or not Python, or it has none.
    """
    file, _, wanted = name.rpartition(":")
    if not file.endswith(".py") or not wanted.isidentifier():
        raise FamilyError(f"must be file.py:Name. Received: {name!r}.")
    path = resolve(file)
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise FamilyError(f"must name a file that is there. Received: {name!r} ({path}: {error.strerror}).") from error
    except (SyntaxError, ValueError) as error:
        raise FamilyError(f"must name a file of Python. Received: {name!r} ({error}).") from error
    there = [node.name for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef)]
    if wanted not in there:
        raise FamilyError(f"must name what {path.name} defines. Received: {name!r}.{did_you_mean(wanted, there)}")
    return tree


def imported_libraries(tree: ast.Module) -> set[str]:
    """Return the names of the libraries that a file imports, wherever in it."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found


def resolve_reference(name: str, resolve: Callable[[str], Path]) -> str:
    """Return `file.py:Name` with an absolute path, which means the same in every process."""
    file, _, wanted = name.rpartition(":")
    return f"{resolve(file).absolute()}:{wanted}"


def run(name: str) -> Any:
    """Run the file, as a module of its own, and return what it calls by the name; what it raises is let through."""
    file, _, wanted = name.rpartition(":")
    # The same file is the same module wherever it runs; two files of one name are two.
    module_name = f"workbench_own_{Path(file).stem}_{zlib.crc32(file.encode()):08x}"
    spec = importlib.util.spec_from_file_location(module_name, file)
    if spec is None or spec.loader is None:
        raise FamilyError(f"{file}: must be a file of Python. Received: {name!r}.")
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look their module up while it still runs.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return getattr(module, wanted)


def call_with_known(make: Callable[..., Any], known: Mapping[str, Any], name: str, *given: Any) -> Any:
    """Call what makes a model with those of the known arguments that it names.

    Raises:
        FamilyError: it needs others.
    """
    asked = inspect.signature(make).parameters
    own = {key: value for key, value in known.items() if key in asked}
    needed = [
        key
        for key, parameter in list(asked.items())[len(given) :]
        if parameter.default is parameter.empty and not str(parameter).startswith("*")
    ]
    strange = [key for key in needed if key not in own]
    if strange:
        raise FamilyError(
            f"{name} must need no arguments but {format_list(['hp', *known])}. Received: {format_list(strange)}. "
            "Give them defaults."
        )
    return make(*given, **own)
