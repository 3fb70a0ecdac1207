"""Python files that a study file names as `file.py:Name`: parsed without running them, or run."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import sys
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from workbench.errors import FamilyError, did_you_mean, format_list


def check(name: str, resolve: Callable[[str], Path] = Path) -> ast.Module:
    """Check that a file defines a class or a function of a name, and return its syntax tree; nothing in it is run.

    Args:
        name: `file.py:Name`.
        resolve: returns the file that a relative path means, as `StudyConfig.resolve` does.

    Raises:
        FamilyError: the reference is malformed, the file is missing or not Python, or it defines no such name.
    """
    file, _, attribute = name.rpartition(":")
    if not file.endswith(".py") or not attribute.isidentifier():
        raise FamilyError(f"must be file.py:Name. Received: {name!r}.")
    path = resolve(file)
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise FamilyError(f"must name a file that is there. Received: {name!r} ({path}: {error.strerror}).") from error
    except (SyntaxError, ValueError) as error:
        raise FamilyError(f"must name a file of Python. Received: {name!r} ({error}).") from error
    defined = [node.name for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef)]
    if attribute not in defined:
        raise FamilyError(f"must name what {path.name} defines. Received: {name!r}.{did_you_mean(attribute, defined)}")
    return tree


def find_imported_libraries(tree: ast.Module) -> set[str]:
    """Return the top-level names of the libraries that a file imports anywhere."""
    libraries: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            libraries |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            libraries.add(node.module.partition(".")[0])
    return libraries


def resolve_reference(name: str, resolve: Callable[[str], Path]) -> str:
    """Return `file.py:Name` with an absolute path, which means the same in every process."""
    file, _, attribute = name.rpartition(":")
    return f"{resolve(file).absolute()}:{attribute}"


def run(name: str) -> Any:
    """Run a file as a module, and return the object that `file.py:Name` names; errors in the file propagate."""
    return getattr(run_module(name), name.rpartition(":")[2])


def run_module(name: str) -> ModuleType:
    """Run the file of `file.py:Name` as a module, and return the module; errors in the file propagate."""
    file = name.rpartition(":")[0]
    # The path's checksum distinguishes files of one name; the same file has the same module name in every process.
    module_name = f"workbench_own_{Path(file).stem}_{zlib.crc32(file.encode()):08x}"
    spec = importlib.util.spec_from_file_location(module_name, file)
    if spec is None or spec.loader is None:
        raise FamilyError(f"{file}: must be a file of Python. Received: {name!r}.")
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look up their module while it runs.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def call_with_known(make: Callable[..., Any], known: Mapping[str, Any], name: str, *args: Any) -> Any:
    """Call a user's function or class with positional arguments and those of the known ones that it declares.

    Args:
        make: the function or class.
        known: the arguments that it may declare, by name.
        name: its name in messages.
        args: its positional arguments.

    Raises:
        FamilyError: it requires an argument that is not known.
    """
    parameters = inspect.signature(make).parameters
    keywords = {key: value for key, value in known.items() if key in parameters}
    required = [
        key
        for key, parameter in list(parameters.items())[len(args) :]
        if parameter.default is parameter.empty and not str(parameter).startswith("*")
    ]
    unknown = [key for key in required if key not in keywords]
    if unknown:
        raise FamilyError(
            f"{name} must need no arguments but {format_list(['hp', *known])}. Received: {format_list(unknown)}. "
            "Give them defaults."
        )
    return make(*args, **keywords)
