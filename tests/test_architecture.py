"""The rules of the house, read out of the source: what a room may import, how long things may be, what names say."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

import pytest

import workbench

PACKAGE = Path(workbench.__file__).parent

# The one room that may import a heavy library; numpy, pandas and scikit-learn may be imported anywhere.
OWNERS = {
    "keras": "models",
    "tensorflow": "models",
    "xgboost": "models",
    "lightgbm": "models",
    "catboost": "models",
    "keras_tuner": "space",
    "PIL": "data",
    "optuna": "search",
    "optuna_dashboard": "search",
    "mlflow": "tracking",
    "tensorboard": "tracking",
    "scipy.optimize": "ensemble",
    "typer": "cli",
    "rich": "cli",
    "matplotlib": "report",
    "plotly": "report",
}
NAMES = {"utils", "util", "common", "helpers", "helper", "base", "core", "manager", "types", "misc"}
LONGEST_FILE = 400
LONGEST_FUNCTION = 40
# Functions that may be longer, each with its reason.
EXCEPTIONS = {
    "ensemble/cross_fitting.py:assess": "15 lines of it are its parameters, one a line",
}

# (path, line number, what is wrong) of a rule that is broken.
Breach = tuple[str, int, str]
Rule = Callable[[Path], Iterator[Breach]]


@functools.cache
def parsed(text: str) -> ast.Module:
    return ast.parse(text)


def modules(package: Path) -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted(package.rglob("*.py")):
        yield path, parsed(path.read_text(encoding="utf-8"))


def where(package: Path, path: Path) -> str:
    return path.relative_to(package).as_posix()


def room(package: Path, path: Path) -> str:
    """Return the room of a file; the package's own __init__ and __main__ are in none of the list."""
    return path.relative_to(package).parts[0].removesuffix(".py")


def rooms(package: Path) -> list[str]:
    """Return the rooms in the docstring's order: lines indented by four, a name, then what it is."""
    words = ast.get_docstring(ast.parse((package / "__init__.py").read_text(encoding="utf-8")), clean=False) or ""
    return re.findall(r"^ {4}([a-z_]+) {2,}\S", words, flags=re.MULTILINE)


def imports(package: Path, path: Path, tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield every import of a file as line and dotted name, wherever it stands; from-imports name what is taken."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = [package.name, *path.relative_to(package).parent.parts]
            parents = above[: len(above) - node.level + 1] if node.level else []
            source = ".".join([*parents, *([node.module] if node.module else [])])
            yield from ((node.lineno, f"{source}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            yield from ((node.lineno, str(each.value)) for each in node.args[:1] if isinstance(each, ast.Constant))


def unlisted_rooms(package: Path) -> Iterator[Breach]:
    """Every module is in the list, and all of the list is there."""
    listed = rooms(package)
    there = {
        p.stem if p.is_file() else p.name
        for p in package.iterdir()
        if p.suffix == ".py" or (p / "__init__.py").exists()
    }
    there -= {"__init__", "__main__"}
    for name in sorted(there - set(listed)):
        yield name, 1, "is not in the list of rooms"
    for name in sorted(set(listed) - there):
        yield "__init__.py", 1, f"lists the room {name}, which is not there"
    for name in sorted({name for name in listed if listed.count(name) > 1}):
        yield "__init__.py", 1, f"lists the room {name} twice"


def imports_that_point_down(package: Path) -> Iterator[Breach]:
    """A room imports only from those above it."""
    order = rooms(package)
    for path, tree in modules(package):
        own = room(package, path)
        if own not in order:
            continue
        for line, name in imports(package, path, tree):
            parts = name.split(".")
            if parts[0] != package.name or len(parts) < 2 or parts[1] not in order:
                continue
            if order.index(parts[1]) > order.index(own):
                yield where(package, path), line, f"{own} imports {parts[1]}, which is below it"


def private_names_that_leave_their_module(package: Path) -> Iterator[Breach]:
    """A name that begins with an underscore is never imported elsewhere."""
    for path, tree in modules(package):
        for line, name in imports(package, path, tree):
            parts = name.split(".")
            hidden = [part for part in parts if part.startswith("_") and not part.startswith("__")]
            if parts[0] == package.name and hidden:
                yield where(package, path), line, f"imports {hidden[0]} of {'.'.join(parts[:-1])}"


def libraries_outside_their_room(package: Path) -> Iterator[Breach]:
    """A heavy library has one owner."""
    for path, tree in modules(package):
        for line, name in imports(package, path, tree):
            for library, owner in OWNERS.items():
                if f"{name}.".startswith(f"{library}.") and room(package, path) != owner:
                    yield where(package, path), line, f"imports {library}, which belongs to {owner}"


def code(path: Path, tree: ast.Module) -> list[int]:
    """Return the numbers of the lines that are neither empty, nor a comment, nor part of a docstring."""
    silent: set[int] = set()
    for node in ast.walk(tree):
        # A string that stands alone is a docstring, those below attributes too.
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            silent.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    lines = enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
    return [number for number, line in lines if number not in silent and line.strip() and line.strip()[0] != "#"]


def files_that_are_too_long(package: Path) -> Iterator[Breach]:
    """A file has at most 400 lines of code."""
    for path, tree in modules(package):
        count = len(code(path, tree))
        if count > LONGEST_FILE:
            yield where(package, path), 1, f"has {count} lines of code; {LONGEST_FILE} are the most"


def functions_that_are_too_long(package: Path, but: Collection[str] = tuple(EXCEPTIONS)) -> Iterator[Breach]:
    """A function has at most 40 lines of code."""
    for path, tree in modules(package):
        lines = code(path, tree)
        for node in ast.walk(tree):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            count = sum(node.lineno <= line <= (node.end_lineno or node.lineno) for line in lines)
            if count > LONGEST_FUNCTION and f"{where(package, path)}:{node.name}" not in but:
                yield (
                    where(package, path),
                    node.lineno,
                    f"{node.name} has {count} lines; {LONGEST_FUNCTION} are the most",
                )


def names_that_say_nothing(package: Path) -> Iterator[Breach]:
    """A file or folder is named for what is in it."""
    for path in sorted(package.rglob("*")):
        if path.stem in NAMES and (path.suffix == ".py" or path.is_dir()):
            yield where(package, path), 1, f"{path.stem} is no name for a room"


def imports_that_do_something(package: Path) -> Iterator[Breach]:
    """A module's own level defines and assigns; what is called there is not called for its effect."""
    for path, tree in modules(package):
        for node in outermost(tree):
            if not harmless(node):
                yield where(package, path), node.lineno, f"does something when imported: {ast.unparse(node)[:60]}"


def outermost(tree: ast.Module) -> Iterator[ast.stmt]:
    """Yield the statements that run at import, those inside of `if` and `try` included, `if __name__` not."""
    waiting: list[ast.stmt] = list(tree.body)
    while waiting:
        node = waiting.pop(0)
        if isinstance(node, ast.If):
            test = ast.unparse(node.test)
            main = test == "__name__ == '__main__'"
            waiting += [] if main or "TYPE_CHECKING" in test else [*node.body, *node.orelse]
        elif isinstance(node, ast.Try):
            waiting += [*node.body, *node.orelse, *node.finalbody, *(each for h in node.handlers for each in h.body)]
        else:
            yield node


def harmless(node: ast.stmt) -> bool:
    """Tell whether a statement only names something: a definition, an import, a value, a docstring."""
    definitions = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Import | ast.ImportFrom | ast.Pass
    if isinstance(node, definitions):
        return True
    if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        return all(isinstance(target, (ast.Name, ast.Tuple)) for target in targets)
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


RULES: list[Rule] = [
    unlisted_rooms,
    imports_that_point_down,
    private_names_that_leave_their_module,
    libraries_outside_their_room,
    files_that_are_too_long,
    functions_that_are_too_long,
    names_that_say_nothing,
    imports_that_do_something,
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_house_keeps_its_rules(rule):
    breaches = [f"workbench/{path}:{line} {what}" for path, line, what in rule(PACKAGE)]
    assert not breaches, "\n".join([str(rule.__doc__), *breaches])


def test_what_may_be_longer_is_longer():
    found = {f"{path}:{what.split()[0]}" for path, _, what in functions_that_are_too_long(PACKAGE, but=())}
    assert set(EXCEPTIONS) <= found


def test_the_list_of_rooms_is_read():
    assert rooms(PACKAGE)[:3] == ["errors", "home", "servers"]
    assert rooms(PACKAGE)[-2:] == ["study", "cli"]
    assert len(rooms(PACKAGE)) == len(workbench.__doc__.split("\n\n")[2].splitlines())


def house(folder: Path, **files: str) -> Path:
    """Build a small package with the rooms `facts` and `ends`; `a__b` is the file a/b.py."""
    package = folder / "home"
    listing = '"""A house.\n\nWords about it.\n\n    facts   what is known\n    ends    what comes of it\n"""\n'
    standard = {"__init__": listing, "facts": "", "ends__last": "", "ends____init__": ""}
    for name, text in (standard | files).items():
        path = package / (name.replace("____init__", "/__init__").replace("__last", "/last") + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return package


CELLAR = '"""A house.\n\n    facts   a\n    ends    b\n    cellar  c\n"""'
LONG = ["def f():", '    """Words.', "", "    More words.", '    """', "    # a comment", "", *["    x = 1"] * 40]
FACTS_LONG = "\n".join(LONG)
METHOD_LONG = "\n".join(["class C:", "    x = 1", *(f"    {line}" for line in LONG)])


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_a_house_in_order_breaks_no_rule(tmp_path, rule):
    facts = '"""Facts."""\nimport numpy as np\nfrom typing import TYPE_CHECKING\nN = int("3")\nx: int = 4\n'
    last = (
        "from home.facts import N\nfrom home import facts\n\n\ndef f():\n    from ..facts import x\n    return N, x\n"
    )
    guarded = 'if __name__ == "__main__":\n    print(1)\n'
    assert list(rule(house(tmp_path, facts=facts, ends__last=last, __main__=guarded))) == []


@pytest.mark.parametrize(
    ("rule", "files", "told"),
    [
        (unlisted_rooms, {"attic": ""}, [("attic", 1)]),
        (unlisted_rooms, {"__init__": CELLAR}, [("__init__.py", 1)]),
        (imports_that_point_down, {"facts": "import home.ends"}, [("facts.py", 1)]),
        (imports_that_point_down, {"facts": "from home import ends"}, [("facts.py", 1)]),
        (imports_that_point_down, {"facts": "from . import ends"}, [("facts.py", 1)]),
        (imports_that_point_down, {"facts": "from .ends import last"}, [("facts.py", 1)]),
        (imports_that_point_down, {"facts": "def f():\n    from home.ends.last import x"}, [("facts.py", 2)]),
        (
            imports_that_point_down,
            {"facts": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from home.ends import last"},
            [("facts.py", 3)],
        ),
        (imports_that_point_down, {"facts": "import importlib as i\ni.import_module('home.ends')"}, [("facts.py", 2)]),
        (private_names_that_leave_their_module, {"ends__last": "from home.facts import _x"}, [("ends/last.py", 1)]),
        (private_names_that_leave_their_module, {"ends__last": "from home._facts import x"}, [("ends/last.py", 1)]),
        (libraries_outside_their_room, {"facts": "import mlflow"}, [("facts.py", 1)]),
        (libraries_outside_their_room, {"facts": "def f():\n    from keras import ops"}, [("facts.py", 2)]),
        (libraries_outside_their_room, {"facts": "from scipy import optimize"}, [("facts.py", 1)]),
        (libraries_outside_their_room, {"facts": "import scipy.optimize as o\nimport scipy.stats"}, [("facts.py", 1)]),
        (libraries_outside_their_room, {"facts": "import keras_tuner"}, [("facts.py", 1)]),
        (files_that_are_too_long, {"facts": "x = 1\n" * 401}, [("facts.py", 1)]),
        (files_that_are_too_long, {"facts": "x = 1\n" * 400 + "\n# a comment\n" * 50 + '"""Words.\n\nMore."""\n'}, []),
        (functions_that_are_too_long, {"facts": FACTS_LONG}, [("facts.py", 1)]),
        (functions_that_are_too_long, {"facts": "\n".join(LONG[:-1])}, []),
        (functions_that_are_too_long, {"facts": METHOD_LONG}, [("facts.py", 3)]),
        (names_that_say_nothing, {"utils": ""}, [("utils.py", 1)]),
        (names_that_say_nothing, {"ends__last": "", "core____init__": ""}, [("core", 1)]),
        (imports_that_do_something, {"facts": "print(1)"}, [("facts.py", 1)]),
        (imports_that_do_something, {"facts": "import os\nos.environ['A'] = 'b'"}, [("facts.py", 2)]),
        (imports_that_do_something, {"facts": "try:\n    import x\nexcept OSError:\n    print(1)"}, [("facts.py", 4)]),
        (imports_that_do_something, {"facts": "if 1 < 2:\n    print(1)"}, [("facts.py", 2)]),
        (imports_that_do_something, {"facts": "for i in range(3):\n    pass"}, [("facts.py", 1)]),
    ],
)  # fmt: skip
def test_a_rule_tells_where_it_is_broken(tmp_path, rule, files, told):
    assert [(path, line) for path, line, _ in rule(house(tmp_path, **files))] == told
