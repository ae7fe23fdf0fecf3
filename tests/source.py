"""Our own source, read as syntax trees by the tests of the house's rules."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
PACKAGES = ("voketag", "consumers", "producers")
# What looks at the system from outside: it may import all of it, and nothing imports it.
OUTSIDE = ("chaos", "soak", "benchmarks", "screenshots")


@cache
def modules() -> dict[str, ast.Module]:
    """Every module of ours by its dotted name."""
    found = {}
    for package in PACKAGES:
        for path in sorted((REPOSITORY / package).rglob("*.py")):
            parts = path.relative_to(REPOSITORY).with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            found[name] = ast.parse(path.read_text(), str(path))
    return found


def files(*folders: str) -> list[Path]:
    return [path for folder in folders for path in sorted((REPOSITORY / folder).rglob("*.py"))]


def imports(tree: ast.AST) -> Iterator[str]:
    """The dotted names that a module imports, in whatever place; those for type checks aside."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports name the whole path"
            for alias in node.names:
                below = f"{node.module}.{alias.name}"
                yield below if below in modules() else str(node.module)
        else:
            yield from imports(node)
