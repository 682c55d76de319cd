"""The structure of the package: which module may import which, and what is public."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "channels"

#: The floor of each module, or of the package that it is in. Where the design names none:
#: ``types``, ``log`` and ``version`` need nothing else (0); ``replies``
#: is the lower half of ``handler`` (5); ``decorators`` wraps consumers and ``headers`` reads
#: messages, both for ``sessions`` and its neighbours (5).
FLOORS = {
    "exceptions": 0,
    "conf": 0,
    "log": 0,
    "signals": 0,
    "types": 0,
    "utils": 0,
    "version": 0,
    "layers": 1,
    "pending": 1,
    "routing": 1,
    "asgi": 2,
    "channel": 3,
    "message": 4,
    "decorators": 5,
    "handler": 5,
    "headers": 5,
    "lifecycle": 5,
    "replies": 5,
    "auth": 6,
    "security": 6,
    "sessions": 6,
    "staticfiles": 6,
    "worker": 6,
    "binding": 7,
    "delay": 7,
    "generic": 7,
    "interface": 7,
    "apps": 8,
    "checks": 8,
    "management": 8,
    "test": 8,
    "tests": 8,
}

#: What stands above the package, and may use its public face.
MAY_IMPORT_THE_TOP = {"management", "test", "tests"}


def _modules() -> dict[str, Path]:
    """The files of all modules below ``channels``, by dotted name."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        found[".".join(part for part in parts if part != "__init__")] = path
    return found


MODULES = _modules()
INNER = [name for name in MODULES if name != "channels"]


def _is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)


def _import_nodes(node: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    """Every import that can run, inside functions too."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        yield node
        return
    children = node.orelse if _is_type_checking(node) else ast.iter_child_nodes(node)  # type: ignore[attr-defined]
    for child in children:
        yield from _import_nodes(child)


def _base(module: str, node: ast.ImportFrom) -> str:
    """The absolute name of what ``from ... import`` names first."""
    if not node.level:
        return node.module or ""
    is_package = MODULES[module].name == "__init__.py"
    parts = module.split(".")
    parts = parts[: len(parts) - node.level + is_package]
    return ".".join([*parts, node.module] if node.module else parts)


def imports(module: str) -> set[str]:
    """The modules of our own package that ``module`` imports."""
    found = set()
    for node in _import_nodes(ast.parse(MODULES[module].read_text())):
        if isinstance(node, ast.Import):
            names = {alias.name for alias in node.names}
        else:
            base = _base(module, node)
            candidates = {f"{base}.{alias.name}" for alias in node.names}
            names = {name if name in MODULES else base for name in candidates}
        found |= {name for name in names if name.split(".")[0] == "channels"}
    return found


def part(module: str) -> str:
    """What of the package ``module`` is, or is in; commands stand on top wherever they are."""
    parts = module.split(".")
    return "management" if "management" in parts else parts[1]


def test_the_parser_sees_every_form_of_import() -> None:
    assert "channels.types" in imports("channels.layers.base")
    assert "channels.exceptions" in imports("channels.layers.base")
    assert "channels.message" not in imports("channels.exceptions")
    assert "channels" in imports("channels.management.commands.runserver")


@pytest.mark.parametrize("module", INNER)
def test_every_module_has_a_floor(module: str) -> None:
    assert part(module) in FLOORS, f"add {part(module)!r} to FLOORS"


@pytest.mark.parametrize("module", INNER)
def test_a_module_imports_only_its_own_floor_or_lower(module: str) -> None:
    floor = FLOORS[part(module)]
    upwards = {
        name for name in imports(module) if name != "channels" and FLOORS[part(name)] > floor
    }
    assert not upwards, f"{module} is on floor {floor}"


@pytest.mark.parametrize("module", INNER)
def test_nothing_inside_imports_the_top(module: str) -> None:
    assert part(module) in MAY_IMPORT_THE_TOP or "channels" not in imports(module)


def test_no_module_imports_itself_in_a_circle() -> None:
    remaining = {module: imports(module) & set(INNER) - {module} for module in INNER}
    while free := [module for module, names in remaining.items() if not names & set(remaining)]:
        for module in free:
            del remaining[module]
    assert not remaining, "these import each other, or something that does"


@pytest.mark.parametrize("module", [name for name in INNER if part(name) != "management"])
def test_our_own_package_is_not_imported_inside_functions(module: str) -> None:
    tree = ast.parse(MODULES[module].read_text())
    functions = [
        n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    for function in functions:
        for node in _import_nodes(function):
            names = [alias.name for alias in node.names]
            base = _base(module, node) if isinstance(node, ast.ImportFrom) else names[0]
            assert base.split(".")[0] != "channels", f"in {function.name}()"


def test_the_layers_never_see_django() -> None:
    for module in INNER:
        if part(module) == "layers":
            for node in _import_nodes(ast.parse(MODULES[module].read_text())):
                names = {alias.name for alias in node.names}
                if isinstance(node, ast.ImportFrom):
                    names = {node.module or ""}
                assert not {name for name in names if name.split(".")[0] == "django"}, module
