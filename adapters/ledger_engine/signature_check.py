"""Reads the parameters of hook targets in an engine's sources, without importing them.

Importing an engine takes many seconds, and modules of a GPU's worker can't be imported where there is none.
"""

import ast
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from ledger_engine.hook_targets import HookTarget

_CACHES: Final = ("cache", "functools.cache", "functools.lru_cache", "lru_cache")

Read = Callable[[str], str | None]
"""Returns the text of a module, by its dotted name; None where there is none."""


def reader(root: Path) -> Read:
    """Return what reads modules below a folder that holds packages."""

    def read(module: str) -> str | None:
        path = root.joinpath(*module.split("."))
        for file in (path.with_suffix(".py"), path / "__init__.py"):
            if file.is_file():
                return file.read_text(encoding="utf-8")
        return None

    return read


def parameters(target: HookTarget, read: Read) -> list[str] | None:
    """Return the names of a target's parameters; None where there is no such function."""
    return _parameters(target.module, target.name, read)


def _parameters(module: str, name: str, read: Read) -> list[str] | None:
    text = read(module)
    if text is None:
        return None
    body = ast.parse(text).body
    *path, last = name.split(".")
    for part in path:
        inside = [node.body for node in body if isinstance(node, ast.ClassDef) and node.name == part]
        if not inside:
            return None
        body = inside[-1]
    functions = [
        node
        for node in body
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name == last
    ]
    if functions:
        return list(_names(functions[-1].args))
    for node in body:
        if (cached := _cached_function(node, last)) is not None:
            return _parameters(module, ".".join((*path, cached)), read)
        if isinstance(node, ast.ImportFrom) and any(alias.name == last for alias in node.names):
            return _parameters(_imported_from(node, module, read), last, read)
    stars = (node for node in body if isinstance(node, ast.ImportFrom) and node.names[0].name == "*")
    found = (_parameters(_imported_from(node, module, read), last, read) for node in stars)
    return next((names for names in found if names is not None), None)


def _cached_function(node: ast.stmt, name: str) -> str | None:
    """Return which function a name is that of a cache of: `name = lru_cache(function)`."""
    if not isinstance(node, ast.Assign) or [ast.unparse(target) for target in node.targets] != [name]:
        return None
    call = node.value
    if not isinstance(call, ast.Call) or ast.unparse(call.func) not in _CACHES or not call.args:
        return None
    return ast.unparse(call.args[0])


def _names(arguments: ast.arguments) -> Iterator[str]:
    for argument in (*arguments.posonlyargs, *arguments.args):
        yield argument.arg
    if arguments.vararg:
        yield arguments.vararg.arg
    for argument in arguments.kwonlyargs:
        yield argument.arg
    if arguments.kwarg:
        yield arguments.kwarg.arg


def _imported_from(node: ast.ImportFrom, module: str, read: Read) -> str:
    if not node.level:
        return node.module or ""
    # A package's own level is itself.
    is_package = read(f"{module}.__init__") is not None
    package = f"{module}.__init__" if is_package else module
    package = package.rsplit(".", node.level)[0]
    return f"{package}.{node.module}" if node.module else package
