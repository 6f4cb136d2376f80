"""Reads, out of vLLM's sources and without importing them, what compile-ledger's hooks rest on.

The result is plain JSON, small enough to read in a diff when vLLM changes.
"""

import ast
import re
from collections.abc import Iterable, Iterator
from typing import Any

from ledger_vllm.reliance import TARGETS
from ledger_vllm.sources import Read, parameters

MONITOR = "vllm.compilation.monitor"
DECORATORS = "vllm.compilation.decorators"
BACKENDS = "vllm.compilation.backends"
CONFIG = "vllm.config.compilation"
PLUGINS = "vllm.plugins"
PLUGIN_GROUP = "vllm.general_plugins"

STATES_TIME = re.compile(r"\b(took|takes|time:|finished in|cache in) .*%")
"""What a message that states a duration looks like."""


def facts(version: str, read: Read, modules: Iterable[str]) -> dict[str, Any]:
    """Return the facts of one version; `modules` are the dotted names of all there are."""
    modules = sorted(modules)
    watched = sorted({target.module for target in TARGETS} | {MONITOR})
    trees = {module: ast.parse(text) for module in watched if (text := read(module)) is not None}
    adders = {module: _adders(read(module) or "") for module in modules if module.startswith("vllm.compi")}
    config = ast.parse(read(CONFIG) or "")
    return {
        "vllm": version,
        "parameters": {
            f"{target.module}:{target.name}": parameters(target, read)
            for target in TARGETS
            if target.module.startswith("vllm.") and target.module in trees
        },
        "absent_modules": [
            module for module in watched if module.startswith("vllm.") and module not in trees
        ],
        "messages": _messages(read, [name for name in modules if name.startswith(_MESSAGES_IN)]),
        "accumulators": sorted(
            node.target.id
            for node in ast.walk(config)
            if isinstance(node, ast.AnnAssign)
            and isinstance(node.target, ast.Name)
            and node.target.id.endswith("compilation_time")
        ),
        "added_to_by": {module: found for module, found in adders.items() if found},
        "tags": sorted(set(_tags(read, modules))),
        "load_is_monitored": "monitor_torch_compile"
        in _called(trees[DECORATORS], "_try_load_aot_compiled_fn"),
        "backend_calls": _called_in_order(
            trees[BACKENDS], "VllmBackend", "__call__", ("info", "configure_post_pass", "split_graph", "run")
        ),
        "plugin_group": PLUGIN_GROUP in (read(PLUGINS) or ""),
        "plugins_loaded_by": sorted(
            module for module in modules if "load_general_plugins()" in (read(module) or "")
        ),
    }


_MESSAGES_IN = (
    "vllm.compilation.",
    "vllm.model_executor.model_loader.",
    "vllm.model_executor.warmup.",
    "vllm.v1.engine.core",
    "vllm.v1.worker.",
)


def _messages(read: Read, modules: Iterable[str]) -> dict[str, list[str]]:
    """Return the messages that state a duration, as they are before their arguments are put in."""
    found: dict[str, list[str]] = {}
    for module in modules:
        text = read(module) or ""
        if "logger" not in text:
            continue
        messages = {
            node.args[0].value
            for node in ast.walk(ast.parse(text))
            if isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr.startswith(("info", "warning"))
            and node.args
            and isinstance(node.args[0], ast.Constant)
            and isinstance(node.args[0].value, str)
        }
        messages |= _default_messages(ast.parse(text))
        if stating := sorted(message for message in messages if STATES_TIME.search(message)):
            found[module] = stating
    return found


def _default_messages(tree: ast.Module) -> set[str]:
    """Return messages that are handed on: the monitor's own default, and what its callers give it."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name == "monitor_torch_compile":
            found |= {default.value for default in node.args.defaults if isinstance(default, ast.Constant)}
        if isinstance(node, ast.Call) and _name(node.func) == "monitor_torch_compile":
            found |= {given.value for given in node.args if isinstance(given, ast.Constant)}
    return {message for message in found if isinstance(message, str)}


def _adders(text: str) -> list[str]:
    """Return the functions that add to an accumulator of compile time."""
    if "compilation_time +=" not in text:
        return []
    return sorted(
        {
            f"{function.name}: {ast.unparse(node.target).rpartition('.')[2]}"
            for function in ast.walk(ast.parse(text))
            if isinstance(function, ast.FunctionDef)
            for node in ast.walk(function)
            if isinstance(node, ast.AugAssign) and ast.unparse(node.target).endswith("compilation_time")
        }
    )


def _tags(read: Read, modules: Iterable[str]) -> Iterator[str]:
    for module in modules:
        text = read(module) or ""
        if "set_model_tag(" not in text:
            continue
        for node in ast.walk(ast.parse(text)):
            given = node.args if isinstance(node, ast.Call) and _name(node.func) == "set_model_tag" else []
            if given and isinstance(given[0], ast.Constant):
                yield str(given[0].value)


def _name(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _called(tree: ast.Module, function: str) -> set[str]:
    return {
        _name(node.func)
        for owner in tree.body
        if isinstance(owner, ast.FunctionDef) and owner.name == function
        for node in ast.walk(owner)
        if isinstance(node, ast.Call)
    }


def _called_in_order(tree: ast.Module, kind: str, method: str, names: tuple[str, ...]) -> list[str]:
    """Return which of some functions a method calls, in the order of the text; log lines by their words."""
    (owner,) = (node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == kind)
    (function,) = (node for node in owner.body if isinstance(node, ast.FunctionDef) and node.name == method)
    calls = [node for node in ast.walk(function) if isinstance(node, ast.Call) and _name(node.func) in names]
    calls.sort(key=lambda node: (node.lineno, node.col_offset))
    said = [_said(node) for node in calls]
    return [what for what in said if what is not None]


def _said(call: ast.Call) -> str | None:
    name = _name(call.func)
    if name != "info":
        return name
    first = call.args[0] if call.args else None
    is_dynamo = isinstance(first, ast.Constant) and "Dynamo bytecode transform time" in str(first.value)
    return "logs Dynamo's time" if is_dynamo else None
