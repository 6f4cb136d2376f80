"""Takes what the hooks rest on in Triton anew: `python tests/triton_compat/take.py [VERSION …]`.

Without versions: of each that is kept here. Wheels are downloaded with pip and read where they lie; nothing
of them is imported or installed.
"""

import ast
import json
import sys
from pathlib import Path
from typing import Any

from ledger_engine.signature_check import Read, parameters
from ledger_triton.hook_targets import COMPILER, KNOBS, TABLE
from tests.support.wheels import for_platforms, wheel

HERE = Path(__file__).resolve().parent
# The newest Triton has no wheel for Python 3.10 any more, the oldest none for 3.14.
PYTHON = "3.12"
PLATFORMS = (
    "manylinux_2_17_x86_64",
    "manylinux2014_x86_64",
    "manylinux_2_27_x86_64",
    "manylinux_2_28_x86_64",
)
JIT = "triton.runtime.jit"
BUILD = "triton.runtime.build"


def main() -> None:
    """Write one file per version, beside this one."""
    kept = [path.stem.removeprefix("triton-") for path in HERE.glob("triton-*.json")]
    for version in sys.argv[1:] or sorted(kept):
        path = HERE / f"triton-{version}.json"
        path.write_text(json.dumps(of_wheel(version), indent=1) + "\n", encoding="utf-8")
        print(path.name, flush=True)


def of_wheel(version: str) -> dict[str, Any]:
    """Return the facts of a version, out of a wheel that is downloaded and thrown away."""
    with wheel(f"triton=={version}", *for_platforms(PYTHON, PLATFORMS)) as opened:
        return facts(version, opened.read)


def facts(version: str, read: Read) -> dict[str, Any]:
    """Return what the hooks rest on in one version, as plain JSON."""
    compiler = ast.parse(read(COMPILER) or "")
    compile_ = _function(compiler.body, "compile")
    return {
        "triton": version,
        "parameters": {
            f"{target.module}:{target.name}": None if found is None else ", ".join(found)
            for target in TABLE.own_targets
            for found in [parameters(target, read)]
        },
        "compile_makes_ir": sum(_last(call.func) == "make_ir" for call in _calls(compile_)),
        "compile_imported_by": {
            module: _imports_compile(ast.parse(read(module) or ""))
            for module in ("triton", "triton.compiler", JIT)
        },
        "init_handles_called_by": _callers(compiler, "CompiledKernel", "_init_handles"),
        "builds": "subprocess." in ast.unparse(_function(ast.parse(read(BUILD) or "").body, "_build")),
        "listener": _listener(compile_),
        "times": _fields(ast.parse(read(KNOBS) or ""), "CompileTimes"),
    }


def _function(body: list[ast.stmt], name: str) -> ast.FunctionDef:
    return next(node for node in body if isinstance(node, ast.FunctionDef) and node.name == name)


def _calls(tree: ast.AST) -> list[ast.Call]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.Call)]


def _last(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _imports_compile(tree: ast.Module) -> list[str]:
    """Return where a module has `compile` from: at its top, or inside the functions that are named."""
    found: list[str] = []
    for owner in ast.walk(tree):
        for node in ast.iter_child_nodes(owner):
            if isinstance(node, ast.ImportFrom) and any(alias.name == "compile" for alias in node.names):
                place = "." * node.level + (node.module or "")
                found.append(f"{getattr(owner, 'name', 'top')}: {place}")
    return sorted(found)


def _callers(tree: ast.Module, owner: str, name: str) -> str:
    kind = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == owner)
    return ", ".join(
        node.name
        for node in kind.body
        if isinstance(node, ast.FunctionDef) and any(_last(call.func) == name for call in _calls(node))
    )


def _listener(compile_: ast.FunctionDef) -> dict[str, Any] | None:
    """Return where `compile` has its listener from, and with what it calls it; None where it has none."""
    for node in compile_.body:
        if isinstance(node, ast.Assign) and _last(node.targets[0]) == "compilation_listener":
            calls = [call for call in _calls(compile_) if _last(call.func) == "compilation_listener"]
            return {
                "from": ast.unparse(node.value),
                "given": sorted(", ".join(str(k.arg) for k in call.keywords) for call in calls),
            }
    return None


def _fields(tree: ast.Module, owner: str) -> dict[str, str]:
    return {
        ast.unparse(node.target): ast.unparse(node.annotation)
        for kind in tree.body
        if isinstance(kind, ast.ClassDef) and kind.name == owner
        for node in kind.body
        if isinstance(node, ast.AnnAssign)
    }


if __name__ == "__main__":
    main()
