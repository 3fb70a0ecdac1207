"""Measure the structure of the package: `python benchmarks/structure.py [PACKAGE]` prints one table.

The architecture tests hold most of these figures at zero; the table shows the rest, and compares two versions.
"""

from __future__ import annotations

import ast
import statistics
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

LONGEST_FUNCTION = 40
MOST_PARAMETERS = 8
# Participles that do not end in -ed.
_IRREGULAR = {
    *("begun", "bound", "brought", "built", "cast", "chosen", "cut", "drawn", "done", "found", "given", "held", "kept"),
    *("known", "learnt", "left", "lost", "made", "met", "put", "said", "seen", "sent", "set", "shown", "spent"),
    *("taken", "thrown", "told", "written"),
}
# Words that look like participles, but are verbs, or the first word of a metric's name.
_VERBS = {"balanced", "bind", "cast", "cut", "embed", "feed", "need", "proceed", "put", "read", "seed", "set", "speed"}
# The names that the document of an ensemble has where it travels as a dictionary.
_DOCUMENTS = {"document", "ensemble", "made", "newest", "member", "rival", "best", "known", "full"}
# The packages through which an ensemble travels.
_TRAVELS = {"ensemble", "tracking", "study", "inference", "report", "cli"}


def modules(package: Path) -> Iterator[tuple[Path, ast.Module]]:
    """Yield every module with its syntax tree."""
    for path in sorted(package.rglob("*.py")):
        yield path, ast.parse(path.read_text(encoding="utf-8"))


def silent_lines(tree: ast.Module) -> set[int]:
    """Return the numbers of the lines of docstrings."""
    lines: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            lines.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return lines


def functions(tree: ast.Module) -> Iterator[tuple[ast.FunctionDef | ast.AsyncFunctionDef, bool]]:
    """Yield every function, and whether it is a property."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node, any("property" in ast.unparse(decorator) for decorator in node.decorator_list)


def is_participle(name: str) -> bool:
    """Tell whether a function's name begins with a participle: `told`, `_left_out`.

    `Fixed` is a method of KerasTuner's interface.
    """
    words = name.strip("_").split("_")
    first = words[0]
    return name != "Fixed" and first not in _VERBS and (first in _IRREGULAR or first.endswith("ed"))


def parameters(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return how many parameters a function has, `self` and `cls` left out."""
    every = [each.arg for each in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
    return sum(name not in ("self", "cls") for name in every)


def imported(package: Path, path: Path, tree: ast.Module) -> set[str]:
    """Return the modules of the package that a module imports anywhere, those for type checking included."""
    there = {name_of(package, other) for other in package.rglob("*.py")}
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name in there}
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                found |= {full} if full in there else {node.module} & there
    return found - {name_of(package, path)}


def name_of(package: Path, path: Path) -> str:
    """Return a module's dotted name."""
    parts = path.relative_to(package.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def cycles(package: Path) -> list[list[str]]:
    """Return the groups of modules that import each other in a circle (Tarjan, 1972); packages' doors are left out."""
    graph = {
        name_of(package, path): imported(package, path, tree)
        for path, tree in modules(package)
        if path.name != "__init__.py"
    }
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in sorted(graph[node] & graph.keys()):
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            group = stack[stack.index(node) :]
            del stack[stack.index(node) :]
            if len(group) > 1:
                found.append(sorted(group))

    for node in sorted(graph):
        if node not in index:
            visit(node)
    return found


def document_reads(tree: ast.Module) -> int:
    """Return the number of reads of a document by a constant key, outside of `from_document`, where JSON is read."""
    edges = [node for node, _ in functions(tree) if node.name == "from_document"]
    inside = {id(each) for node in edges for each in ast.walk(node)}
    count = 0
    for node in ast.walk(tree):
        if not isinstance(node, ast.Subscript) or id(node) in inside or not isinstance(node.slice, ast.Constant):
            continue
        name = node.value.attr if isinstance(node.value, ast.Attribute) else getattr(node.value, "id", "")
        count += isinstance(node.slice.value, str) and name in _DOCUMENTS
    return count


def duplicates(names: Counter[str]) -> list[str]:
    """Return what occurs more than once."""
    return sorted(name for name, count in names.items() if count > 1)


def measure(package: Path) -> dict[str, object]:
    """Return every figure by its name."""
    lengths, long, wide, participles = [], 0, 0, 0
    classes: Counter[str] = Counter()
    files: Counter[str] = Counter()
    reads: dict[str, int] = defaultdict(int)
    for path, tree in modules(package):
        text = path.read_text(encoding="utf-8")
        lengths.append(len(text.splitlines()))
        silent = silent_lines(tree)
        lines = [n for n, line in enumerate(text.splitlines(), 1) if n not in silent and line.strip(" )]}")]
        lines = [n for n in lines if not text.splitlines()[n - 1].strip().startswith("#")]
        if path.name not in ("__init__.py", "__main__.py", "protocol.py"):
            files[path.name] += 1
        classes.update(node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef))
        for node, is_property in functions(tree):
            long += sum(node.lineno <= n <= (node.end_lineno or 0) for n in lines) > LONGEST_FUNCTION
            wide += parameters(node) > MOST_PARAMETERS
            participles += not is_property and is_participle(node.name)
        if path.relative_to(package).parts[0] in _TRAVELS and (count := document_reads(tree)):
            reads[str(path)] = count
    groups = cycles(package)
    return {
        "files": len(lengths),
        "lines, median": int(statistics.median(lengths)),
        "lines, 90th percentile": int(statistics.quantiles(lengths, n=10)[-1]),
        "lines, most": max(lengths),
        f"functions over {LONGEST_FUNCTION} lines of code": long,
        f"functions with over {MOST_PARAMETERS} parameters": wide,
        "class names that occur twice": len(duplicates(classes)),
        "file names that occur twice": len(duplicates(files)),
        "function names that are participles": participles,
        "string-keyed reads of the ensemble": f"{sum(reads.values())} in {len(reads)} files",
        "modules in import cycles, type checking included": sum(map(len, groups)),
    }


if __name__ == "__main__":
    where = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent.parent / "workbench"
    for name, value in measure(where.resolve()).items():
        print(f"{name:<50} {value}")
