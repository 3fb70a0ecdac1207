"""The rules of the architecture, read from the source: imports, sizes, names, owners of libraries."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

import pytest
import structure

import workbench
from workbench import models

PACKAGE = Path(workbench.__file__).parent

# The one package that may import a heavy library; numpy, pandas and scikit-learn may be imported anywhere.
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
# Words of an earlier vocabulary that nobody outside knows; architecture.md has the present ones.
RETIRED = {
    "Able", "Archive", "Bank", "Board", "Books", "Bundle", "Competition", "Facts", "Goal", "Grams", "Horizon",
    "Joiner", "Judge", "Kernels", "Logged", "Looks", "Meter", "Origin", "Pace", "Panel", "Pieces", "Row",
    "Setting", "Standing", "Story", "Vault", "Watch", "bank", "books", "bundle", "grams", "joiner", "joiners",
    "judge", "panel", "story", "told", "vault", "views",
}  # fmt: skip
# Tags of MLflow runs that look like modules of the package.
MLFLOW_TAGS = {"workbench.study", "workbench.trial"}
# Commands have as many parameters as options.
MANY_OPTIONS = {"cli/commands.py"}
# Functions that may have more than eight parameters, each with its reason.
MANY_PARAMETERS = {
    "ensemble/blend.py:blend": "its keyword arguments are public",
    "ensemble/cross_fitting.py:assess": "its keyword arguments are public",
    "ensemble/diversity.py:diversity": "its keyword arguments are public",
}
OPTUNA_INTERNALS = "search/optuna_internals.py"
OPTUNA_PRIVATE = {"_storage", "_trial_id", "_study_id", "_get_trials", "_cached_frozen_trial"}
LONGEST_FILE = 400
LONGEST_FUNCTION = 40
# Functions that may be longer, each with its reason.
EXCEPTIONS: dict[str, str] = {}

# (path, line number, what is wrong).
Violation = tuple[str, int, str]
Rule = Callable[[Path], Iterator[Violation]]


@functools.cache
def parse(text: str) -> ast.Module:
    return ast.parse(text)


def modules(package: Path) -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted(package.rglob("*.py")):
        yield path, parse(path.read_text(encoding="utf-8"))


def relative(package: Path, path: Path) -> str:
    return path.relative_to(package).as_posix()


def package_of(package: Path, path: Path) -> str:
    """Return the package of a file; the top-level __init__ and __main__ are in none."""
    return path.relative_to(package).parts[0].removesuffix(".py")


def packages(package: Path) -> list[str]:
    """Return the packages in the docstring's order: lines indented by four, a name, then a description."""
    words = ast.get_docstring(ast.parse((package / "__init__.py").read_text(encoding="utf-8")), clean=False) or ""
    return re.findall(r"^ {4}([a-z_]+) {2,}\S", words, flags=re.MULTILINE)


def imports(package: Path, path: Path, tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield every import of a file as line and dotted name, those inside functions included."""
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


def unlisted_packages(package: Path) -> Iterator[Violation]:
    """The docstring lists every package, and every listed package exists."""
    listed = packages(package)
    there = {
        p.stem if p.is_file() else p.name
        for p in package.iterdir()
        if p.suffix == ".py" or (p / "__init__.py").exists()
    }
    there -= {"__init__", "__main__"}
    for name in sorted(there - set(listed)):
        yield name, 1, "is not in the list of packages"
    for name in sorted(set(listed) - there):
        yield "__init__.py", 1, f"lists {name}, which does not exist"
    for name in sorted({name for name in listed if listed.count(name) > 1}):
        yield "__init__.py", 1, f"lists {name} twice"


def imports_against_the_order(package: Path) -> Iterator[Violation]:
    """A package imports only from those above it."""
    order = packages(package)
    for path, tree in modules(package):
        own = package_of(package, path)
        if own not in order:
            continue
        for line, name in imports(package, path, tree):
            parts = name.split(".")
            if parts[0] != package.name or len(parts) < 2 or parts[1] not in order:
                continue
            if order.index(parts[1]) > order.index(own):
                yield relative(package, path), line, f"{own} imports {parts[1]}, which is below it"


def private_names_imported_elsewhere(package: Path) -> Iterator[Violation]:
    """No module imports a name with a leading underscore from another."""
    for path, tree in modules(package):
        for line, name in imports(package, path, tree):
            parts = name.split(".")
            hidden = [part for part in parts if part.startswith("_") and not part.startswith("__")]
            if parts[0] == package.name and hidden:
                yield relative(package, path), line, f"imports {hidden[0]} of {'.'.join(parts[:-1])}"


def libraries_outside_their_owner(package: Path) -> Iterator[Violation]:
    """Each heavy library has one owner."""
    for path, tree in modules(package):
        for line, name in imports(package, path, tree):
            for library, owner in OWNERS.items():
                if f"{name}.".startswith(f"{library}.") and package_of(package, path) != owner:
                    yield relative(package, path), line, f"imports {library}, which belongs to {owner}"


def code(path: Path, tree: ast.Module) -> list[int]:
    """Return the numbers of the lines of code: neither empty, nor a comment, nor part of a docstring."""
    docstrings: set[int] = set()
    for node in ast.walk(tree):
        # A string that is a statement is a docstring, also below an attribute.
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            docstrings.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    lines = enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
    return [number for number, line in lines if number not in docstrings and line.strip() and line.strip()[0] != "#"]


def long_files(package: Path) -> Iterator[Violation]:
    """A file has at most 400 lines of code."""
    for path, tree in modules(package):
        count = len(code(path, tree))
        if count > LONGEST_FILE:
            yield relative(package, path), 1, f"has {count} lines of code; {LONGEST_FILE} are the most"


def long_functions(package: Path, but: Collection[str] = tuple(EXCEPTIONS)) -> Iterator[Violation]:
    """A function has at most 40 lines of code."""
    for path, tree in modules(package):
        lines = code(path, tree)
        for node in ast.walk(tree):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            count = sum(node.lineno <= line <= (node.end_lineno or node.lineno) for line in lines)
            if count > LONGEST_FUNCTION and f"{relative(package, path)}:{node.name}" not in but:
                yield (
                    relative(package, path),
                    node.lineno,
                    f"{node.name} has {count} lines; {LONGEST_FUNCTION} are the most",
                )


def vague_names(package: Path) -> Iterator[Violation]:
    """The name of a file or folder says what it holds."""
    for path in sorted(package.rglob("*")):
        if path.stem in NAMES and (path.suffix == ".py" or path.is_dir()):
            yield relative(package, path), 1, f"{path.stem} says nothing about its content"


def imports_with_side_effects(package: Path) -> Iterator[Violation]:
    """Importing a module has no side effect: its top level only defines and assigns."""
    for path, tree in modules(package):
        for node in import_time_statements(tree):
            if not is_declaration(node):
                yield relative(package, path), node.lineno, f"has a side effect at import: {ast.unparse(node)[:60]}"


def import_time_statements(tree: ast.Module) -> Iterator[ast.stmt]:
    """Yield the statements that run at import, also inside `if` and `try`, but not under `if __name__`."""
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


def is_declaration(node: ast.stmt) -> bool:
    """Tell whether a statement only declares: a definition, an import, an assignment, a docstring."""
    definitions = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Import | ast.ImportFrom | ast.Pass
    if isinstance(node, definitions):
        return True
    if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        return all(isinstance(target, (ast.Name, ast.Tuple)) for target in targets)
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def duplicate_class_names(package: Path) -> Iterator[Violation]:
    """No class name occurs twice in the package."""
    seen: dict[str, str] = {}
    for path, tree in modules(package):
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                if node.name in seen:
                    yield relative(package, path), node.lineno, f"{node.name} is also a class of {seen[node.name]}"
                seen.setdefault(node.name, relative(package, path))


def duplicate_file_names(package: Path) -> Iterator[Violation]:
    """No file name occurs twice in the package, but for __init__, __main__ and protocol."""
    seen: dict[str, str] = {}
    for path, _ in modules(package):
        if path.stem not in ("__init__", "__main__", "protocol"):
            if path.name in seen:
                yield relative(package, path), 1, f"has the name of {seen[path.name]}"
            seen.setdefault(path.name, relative(package, path))


def functions_named_by_participles(package: Path) -> Iterator[Violation]:
    """A function is named by a verb, never by a participle; a property may be an adjective."""
    for path, tree in modules(package):
        for node, is_property in structure.functions(tree):
            if not is_property and structure.is_participle(node.name):
                yield relative(package, path), node.lineno, f"{node.name} is a participle"


def functions_with_many_parameters(package: Path) -> Iterator[Violation]:
    """A function has at most 8 parameters; a command of the command line may have more options."""
    for path, tree in modules(package):
        if relative(package, path) in MANY_OPTIONS:
            continue
        for node, _ in structure.functions(tree):
            count = structure.parameters(node)
            place = f"{relative(package, path)}:{node.name}"
            if count > structure.MOST_PARAMETERS and place not in MANY_PARAMETERS:
                yield relative(package, path), node.lineno, f"{node.name} has {count} parameters; 8 are the most"


def retired_words(package: Path) -> Iterator[Violation]:
    """No identifier is a word of the vocabulary that was given up."""
    for path, tree in modules(package):
        for node in ast.walk(tree):
            names = {
                ast.Name: lambda n: [n.id],
                ast.arg: lambda n: [n.arg],
                ast.ClassDef: lambda n: [n.name],
                ast.FunctionDef: lambda n: [n.name],
                ast.alias: lambda n: [n.asname or "", n.name.rpartition(".")[2]],
            }.get(type(node), lambda n: [])(node)
            for name in {name.strip("_") for name in names} & RETIRED:
                line = getattr(node, "lineno", 1)
                yield relative(package, path), line, f"{name} is retired; see docs/architecture.md"


def import_cycles(package: Path) -> Iterator[Violation]:
    """Modules import each other in no circle; imports for type checking count."""
    for group in structure.cycles(package):
        yield group[0], 1, f"is in a cycle: {', '.join(group)}"


def private_api_of_optuna(package: Path) -> Iterator[Violation]:
    """One file uses Optuna's private names."""
    for path, tree in modules(package):
        if relative(package, path) == OPTUNA_INTERNALS:
            continue
        for line, name in imports(package, path, tree):
            parts = name.split(".")
            if parts[0] == "optuna" and any(part.startswith("_") for part in parts):
                yield relative(package, path), line, f"imports {name}"
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and node.attr in OPTUNA_PRIVATE:
                own = isinstance(node.value, ast.Name) and node.value.id == "self"
                if not own and package_of(package, path) == "search":
                    yield relative(package, path), node.lineno, f"uses {node.attr} of Optuna"


RULES: list[Rule] = [
    unlisted_packages,
    imports_against_the_order,
    private_names_imported_elsewhere,
    libraries_outside_their_owner,
    long_files,
    long_functions,
    vague_names,
    imports_with_side_effects,
    duplicate_class_names,
    duplicate_file_names,
    functions_named_by_participles,
    functions_with_many_parameters,
    retired_words,
    import_cycles,
    private_api_of_optuna,
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_package_keeps_the_rule(rule):
    violations = [f"workbench/{path}:{line} {what}" for path, line, what in rule(PACKAGE)]
    assert not violations, "\n".join([str(rule.__doc__), *violations])


def test_each_exception_is_needed():
    found = {f"{path}:{what.split()[0]}" for path, _, what in long_functions(PACKAGE, but=())}
    assert set(EXCEPTIONS) <= found


def test_the_list_of_packages_is_read():
    assert packages(PACKAGE)[0] == "errors"
    assert packages(PACKAGE)[-3:] == ["study", "autoconfig", "cli"]
    assert len(packages(PACKAGE)) == len(workbench.__doc__.split("\n\n")[2].splitlines())


def build_package(folder: Path, **files: str) -> Path:
    """Build a small package with the rooms `facts` and `ends`; `a__b` is the file a/b.py."""
    package = folder / "home"
    listing = '"""A house.\n\nWords about it.\n\n    facts   what is known\n    ends    what comes of it\n"""\n'
    standard = {"__init__": listing, "facts": "", "ends__last": "", "ends____init__": ""}
    for name, text in (standard | files).items():
        path = package / (re.sub(r"(?<=[a-z])__(?=[a-z_])", "/", name, count=1) + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return package


CELLAR = '"""A house.\n\n    facts   a\n    ends    b\n    cellar  c\n"""'
LONG = ["def f():", '    """Words.', "", "    More words.", '    """', "    # a comment", "", *["    x = 1"] * 40]
FACTS_LONG = "\n".join(LONG)
METHOD_LONG = "\n".join(["class C:", "    x = 1", *(f"    {line}" for line in LONG)])


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_a_package_in_order_breaks_no_rule(tmp_path, rule):
    facts = '"""Facts."""\nimport numpy as np\nfrom typing import TYPE_CHECKING\nN = int("3")\nx: int = 4\n'
    last = (
        "from home.facts import N\nfrom home import facts\n\n\ndef f():\n    from ..facts import x\n    return N, x\n"
    )
    guarded = 'if __name__ == "__main__":\n    print(1)\n'
    assert list(rule(build_package(tmp_path, facts=facts, ends__last=last, __main__=guarded))) == []


@pytest.mark.parametrize(
    ("rule", "files", "expected"),
    [
        (unlisted_packages, {"attic": ""}, [("attic", 1)]),
        (unlisted_packages, {"__init__": CELLAR}, [("__init__.py", 1)]),
        (imports_against_the_order, {"facts": "import home.ends"}, [("facts.py", 1)]),
        (imports_against_the_order, {"facts": "from home import ends"}, [("facts.py", 1)]),
        (imports_against_the_order, {"facts": "from . import ends"}, [("facts.py", 1)]),
        (imports_against_the_order, {"facts": "from .ends import last"}, [("facts.py", 1)]),
        (imports_against_the_order, {"facts": "def f():\n    from home.ends.last import x"}, [("facts.py", 2)]),
        (
            imports_against_the_order,
            {"facts": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from home.ends import last"},
            [("facts.py", 3)],
        ),
        (imports_against_the_order, {"facts": "import importlib as i\ni.import_module('home.ends')"},
         [("facts.py", 2)]),
        (private_names_imported_elsewhere, {"ends__last": "from home.facts import _x"}, [("ends/last.py", 1)]),
        (private_names_imported_elsewhere, {"ends__last": "from home._facts import x"}, [("ends/last.py", 1)]),
        (libraries_outside_their_owner, {"facts": "import mlflow"}, [("facts.py", 1)]),
        (libraries_outside_their_owner, {"facts": "def f():\n    from keras import ops"}, [("facts.py", 2)]),
        (libraries_outside_their_owner, {"facts": "from scipy import optimize"}, [("facts.py", 1)]),
        (libraries_outside_their_owner, {"facts": "import scipy.optimize as o\nimport scipy.stats"}, [("facts.py", 1)]),
        (libraries_outside_their_owner, {"facts": "import keras_tuner"}, [("facts.py", 1)]),
        (long_files, {"facts": "x = 1\n" * 401}, [("facts.py", 1)]),
        (long_files, {"facts": "x = 1\n" * 400 + "\n# a comment\n" * 50 + '"""Words.\n\nMore."""\n'}, []),
        (long_functions, {"facts": FACTS_LONG}, [("facts.py", 1)]),
        (long_functions, {"facts": "\n".join(LONG[:-1])}, []),
        (long_functions, {"facts": METHOD_LONG}, [("facts.py", 3)]),
        (vague_names, {"utils": ""}, [("utils.py", 1)]),
        (vague_names, {"ends__last": "", "core____init__": ""}, [("core", 1)]),
        (imports_with_side_effects, {"facts": "print(1)"}, [("facts.py", 1)]),
        (imports_with_side_effects, {"facts": "import os\nos.environ['A'] = 'b'"}, [("facts.py", 2)]),
        (imports_with_side_effects, {"facts": "try:\n    import x\nexcept OSError:\n    print(1)"}, [("facts.py", 4)]),
        (imports_with_side_effects, {"facts": "if 1 < 2:\n    print(1)"}, [("facts.py", 2)]),
        (imports_with_side_effects, {"facts": "for i in range(3):\n    pass"}, [("facts.py", 1)]),
        (duplicate_class_names, {"facts": "class A: ...", "ends__last": "class A: ..."}, [("facts.py", 1)]),
        (duplicate_file_names, {"ends__last": "", "more__last": ""}, [("more/last.py", 1)]),
        (functions_named_by_participles, {"facts": "def told(): ..."}, [("facts.py", 1)]),
        (functions_named_by_participles, {"facts": "class C:\n    @property\n    def left(self): ..."}, []),
        (functions_with_many_parameters, {"facts": "def f(a, b, c, d, e, f, g, h, i): ..."}, [("facts.py", 1)]),
        (functions_with_many_parameters, {"facts": "def f(self, a, b, c, d, e, f, g, h): ..."}, []),
        (retired_words, {"facts": "class Vault: ..."}, [("facts.py", 1)]),
        (retired_words, {"facts": "def f(x):\n    bank = x\n    return bank"}, [("facts.py", 2), ("facts.py", 3)]),
        (
            import_cycles,
            {"ends__last": "from home.ends import more", "ends__more": "def f():\n    from home.ends import last"},
            [("home.ends.last", 1)],
        ),
        (private_api_of_optuna, {"facts": "from optuna.storages._x import y"}, [("facts.py", 1)]),
        (private_api_of_optuna, {"search__asks": "def f(study):\n    return study._storage"}, [("search/asks.py", 2)]),
    ],
)  # fmt: skip
def test_a_rule_names_the_place_that_breaks_it(tmp_path, rule, files, expected):
    assert [(path, line) for path, line, _ in rule(build_package(tmp_path, **files))] == expected


def module_strings(package: Path) -> Iterator[tuple[str, int, str]]:
    """Yield the strings of the package that name one of its modules or what a module holds."""
    pattern = re.compile(rf"{package.name}(\.[A-Za-z_]\w*)+")
    known = set(packages(package))
    for path, tree in modules(package):
        # The keys of a table of old names name what is gone.
        keys = {id(key) for node in ast.walk(tree) if isinstance(node, ast.Dict) for key in node.keys}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and pattern.fullmatch(node.value):
                parts = node.value.split(".")
                if parts[1] in known and id(node) not in keys and node.value not in MLFLOW_TAGS:
                    yield relative(package, path), node.lineno, node.value


@pytest.mark.parametrize("name", sorted({name for _, _, name in module_strings(PACKAGE)}))
def test_a_string_that_names_a_module_can_be_imported(name):
    assert find_module(name), f"{name} does not exist"


def find_module(name: str) -> bool:
    """Tell by the files alone whether a dotted name is a module, or a top-level name of one."""
    parts = name.split(".")[1:]
    for count in (len(parts), len(parts) - 1):
        place = PACKAGE.joinpath(*parts[:count])
        file = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
        if file.exists():
            rest = parts[count:]
            return not rest or any(getattr(node, "name", None) == rest[0] for node in ast.parse(file.read_text()).body)
    return False


def test_the_registry_of_families_names_modules():
    wrong = [name for family in models.FAMILIES for name in models.module_names(family) if not find_module(name)]
    assert wrong == []
