"""Reads, out of torch's sources and without importing them, what compile-ledger's hooks rest on.

The result is plain JSON, small enough to read in a diff when torch changes.
"""

import ast
from collections.abc import Callable, Iterable, Iterator
from typing import Any

UTILS = "torch/_dynamo/utils.py"
STUBS = "torch/_utils_internal.py"
EXCEPTIONS = "torch/_dynamo/exc.py"
CONVERT_FRAME = "torch/_dynamo/convert_frame.py"
OTHER_EXCEPTIONS = {
    "torch/_functorch/_aot_autograd/autograd_cache.py": ("BypassAOTAutogradCache", "FXGraphCacheMiss"),
    "torch/_inductor/codecache.py": ("BypassFxGraphCache",),
}
OUTPUT_GRAPH = "torch/_dynamo/output_graph.py"
AOT_COMPILE = "torch/_dynamo/aot_compile.py"
PROBES = "torch/_inductor/cpu_vec_isa.py"
INIT = "torch/__init__.py"
ASYNC_COMPILE = "torch/_inductor/async_compile.py"
AUTOTUNING = "torch/_inductor/runtime/triton_heuristics.py"
ANSWERING = {"torch/_inductor/compile_fx.py", "torch/_functorch/_aot_autograd/autograd_cache.py"}
HOOKS = ("record_chromium_event_internal", "log_compilation_event")
TIMING_FOLDERS = ("torch/_dynamo/", "torch/_functorch/", "torch/_inductor/")

Read = Callable[[str], str]


def facts(version: str, read: Read, names: Iterable[str]) -> dict[str, Any]:
    """Return the facts of one version; `read` returns a file's text, `names` are all files there are."""
    names = frozenset(names)
    sources = (UTILS, STUBS, EXCEPTIONS, CONVERT_FRAME)
    utils, stubs, exceptions, frames = (_parse(read, name) for name in sources)
    logger = _class(utils, "ChromiumEventLogger")
    classes = {node.name: _bases(node) for node in _classes(exceptions)}
    for name, wanted in OTHER_EXCEPTIONS.items():
        others = [node for node in _classes(_parse(read, name)) if node.name in wanted]
        classes |= {f"{_module(name)}.{node.name}": _bases(node) for node in others}
    return {
        "torch": version,
        "hooks": {name: _arguments(_function(stubs, name)) for name in HOOKS},
        "imported_by_utils": {name: _imported_from(utils, name) for name in HOOKS},
        "callers": {name: sorted(_callers(utils, name)) for name in HOOKS},
        "logger_methods": {
            node.name: _arguments(node)
            for node in logger.body
            if isinstance(node, ast.FunctionDef) and node.name in _LOGGER_METHODS
        },
        "logger_getter": _arguments(_function(utils, "get_chromium_event_logger")),
        "begin_is_reported_before_it_is_open": _reports_before_push(_function(logger, "log_event_start")),
        "event_keys": _event_keys(_function(logger, "_log_timed_event")),
        "dynamo_timed": _arguments(_function(utils, "dynamo_timed")),
        "exceptions": dict(sorted(classes.items())),
        "converter": {
            f"{name}.__call__": _arguments(_function(_class(frames, name), "__call__"))
            for name in ("ConvertFrame", "ConvertFrameAssert", "CatchErrorsWrapper")
        },
        "soft_errors": _soft_errors(_function(_class(frames, "ConvertFrame"), "__call__")),
        # What the adapter for vLLM watches of torch's: null in a version that compiles nothing ahead of time.
        "aot_save": _arguments(
            _function(_class(_parse(read, AOT_COMPILE), "AOTCompiledFunction"), "save_compiled_function")
        )
        if AOT_COMPILE in names
        else None,
        "probe": _arguments(_function(_class(_parse(read, PROBES), "VecISA"), "check_build")),
        "metrics_fields": {
            node.target.id: ast.unparse(node.annotation)
            for node in _class(utils, "CompilationMetrics").body
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
        },
        "legacy_fields": _legacy_fields(utils),
        "timed_fields": _timed_fields(read, names),
        "of_compiles": _of_compiles(read, names),
        "totals": _totals(utils, _parse(read, OUTPUT_GRAPH)),
        "entry_points": _entry_points(_parse(read, INIT)),
    }


_LOGGER_METHODS = ("get_stack", "log_event_start", "log_event_end", "_log_timed_event", "reset")


def _parse(read: Read, name: str) -> ast.Module:
    return ast.parse(read(name), name)


def _module(name: str) -> str:
    return name.removesuffix(".py").replace("/", ".")


def _classes(tree: ast.Module) -> Iterator[ast.ClassDef]:
    return (node for node in tree.body if isinstance(node, ast.ClassDef))


def _class(tree: ast.Module, name: str) -> ast.ClassDef:
    return next(node for node in _classes(tree) if node.name == name)


def _function(owner: ast.Module | ast.ClassDef, name: str) -> ast.FunctionDef:
    # The last one: what comes before it under the same name are overloads.
    return [node for node in owner.body if isinstance(node, ast.FunctionDef) and node.name == name][-1]


def _bases(node: ast.ClassDef) -> list[str]:
    return [ast.unparse(base) for base in node.bases]


def _arguments(node: ast.FunctionDef) -> list[str]:
    """Return the names of a function's parameters; one with a default ends in "="."""
    positional = [*node.args.posonlyargs, *node.args.args]
    required = len(positional) - len(node.args.defaults)
    names = [argument.arg + ("" if at < required else "=") for at, argument in enumerate(positional)]
    names += [f"*{node.args.vararg.arg}"] if node.args.vararg else []
    for argument, default in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True):
        names.append(argument.arg + ("" if default is None else "="))
    return names + ([f"**{node.args.kwarg.arg}"] if node.args.kwarg else [])


def _imported_from(tree: ast.Module, name: str) -> str | None:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and any(alias.name == name for alias in node.names):
            return node.module
    return None


def _calls(tree: ast.AST, name: str) -> bool:
    return any(_called(node) == name for node in ast.walk(tree))


def _called(node: ast.AST) -> str | None:
    """Return the last part of what a call calls: `append` for `self.get_stack().append(…)`."""
    if not isinstance(node, ast.Call):
        return None
    if isinstance(node.func, ast.Attribute):
        return node.func.attr
    return node.func.id if isinstance(node.func, ast.Name) else None


def _callers(tree: ast.Module, name: str) -> Iterator[str]:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and _calls(node, name):
            yield node.name
        elif isinstance(node, ast.ClassDef):
            for method in node.body:
                if isinstance(method, ast.FunctionDef) and _calls(method, name):
                    yield f"{node.name}.{method.name}"


def _reports_before_push(start: ast.FunctionDef) -> bool:
    order = [
        _called(statement.value)
        for statement in start.body
        if isinstance(statement, ast.Expr) and _called(statement.value) in ("_log_timed_event", "append")
    ]
    return order[:2] == ["_log_timed_event", "append"]


def _event_keys(function: ast.FunctionDef) -> list[str]:
    event = next(node for node in ast.walk(function) if isinstance(node, ast.Dict))
    return [key.value for key in event.keys if isinstance(key, ast.Constant) and isinstance(key.value, str)]


def _soft_errors(call: ast.FunctionDef) -> list[str]:
    for node in ast.walk(call):
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "soft_fail":
            assert isinstance(node.value, ast.Call)
            kinds = node.value.args[1]
            return [ast.unparse(kind) for kind in (kinds.elts if isinstance(kinds, ast.Tuple) else [kinds])]
    return []


def _legacy_fields(utils: ast.Module) -> dict[str, str]:
    """Return the fields that torch makes of another one, and of which."""
    found: dict[str, str] = {}
    for node in ast.walk(utils):
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "legacy_metrics":
            assert isinstance(node.value, ast.Dict)
            for key, value in zip(node.value.keys, node.value.values, strict=True):
                texts = [leaf.value for leaf in ast.walk(value) if isinstance(leaf, ast.Constant)]
                others = [text for text in texts if isinstance(text, str) and text.endswith("_us")]
                assert isinstance(key, ast.Constant)
                if others:
                    found[key.value] = others[0]
    return found


def _timed_fields(read: Read, names: Iterable[str]) -> dict[str, list[str]]:
    """Return, by field of CompilationMetrics, the stages whose spans `dynamo_timed` adds to it.

    A name that is made up at run time counts as "…".
    """
    found: dict[str, set[str]] = {}
    for name in names:
        if not name.startswith(TIMING_FOLDERS) or not name.endswith(".py"):
            continue
        text = read(name)
        if "dynamo_compile_column_us=" not in text:
            continue
        for node in ast.walk(ast.parse(text, name)):
            if not isinstance(node, ast.Call):
                continue
            given = {keyword.arg: keyword.value for keyword in node.keywords}
            field = given.get("dynamo_compile_column_us")
            if not isinstance(field, ast.Constant):
                continue
            # `functools.partial(dynamo_timed, "key", …)` has the function itself as its first argument.
            positional = [argument for argument in node.args if ast.unparse(argument) != "dynamo_timed"]
            stage = given.get("phase_name", positional[0] if positional else None)
            known = isinstance(stage, ast.Constant) and isinstance(stage.value, str)
            found.setdefault(field.value, set()).add(stage.value if known else "…")
    return {field: sorted(stages) for field, stages in sorted(found.items())}


def _of_compiles(read: Read, names: Iterable[str]) -> dict[str, Any]:
    """Return what torch keeps of a compile: breaks, failed guards, stages with a cache's answer, kernels."""
    reason = _class(_parse(read, OUTPUT_GRAPH), "GraphCompileReason")
    lists = ("graph_break_reasons", "guard_failures")
    answered: set[str] = set()
    for name in ANSWERING & set(names):
        for node in ast.walk(_parse(read, name)):
            if isinstance(node, ast.Call) and any(keyword.arg == "cache_state" for keyword in node.keywords):
                answered |= {text.value for text in node.args if isinstance(text, ast.Constant)}
    return {
        "lists": sorted(
            node.target.id
            for node in _parse(read, UTILS).body
            if isinstance(node, ast.AnnAssign)
            and isinstance(node.target, ast.Name)
            and node.target.id in lists
        ),
        "graph_break": [ast.unparse(node.target) for node in reason.body if isinstance(node, ast.AnnAssign)],
        "cache_state_of": sorted(answered),
        "kernels": "_triton_kernel_metrics" in read(ASYNC_COMPILE),
        "autotune_answer": "autotune_cache_state" in read(AUTOTUNING),
    }


def _totals(utils: ast.Module, graph: ast.Module) -> dict[str, Any]:
    """Return what torch adds the lengths of spans up in, who reads it, and what clears it."""
    kept = ("compilation_time_metrics", "cumulative_time_spent_ns")
    report = _function(utils, "calculate_time_spent")
    timings = [node for node in _classes(graph) if node.name == "BytecodeTracingTimings"]
    return {
        "report": _arguments(report),
        "report_names": sorted(_texts(report)),
        "kept": {
            node.target.id: ast.unparse(node.annotation).lower()
            for node in utils.body
            if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) in kept
        },
        "cleared_by": sorted(
            node.name
            for node in utils.body
            if isinstance(node, ast.FunctionDef)
            and {f"{name}.clear()" for name in kept} <= {ast.unparse(part) for part in ast.walk(node)}
        ),
        # Measured in the trace of the bytecode without a span of its own: none in the oldest versions.
        "without_a_span": [
            ast.unparse(node.target)
            for owner in timings
            for node in owner.body
            if isinstance(node, ast.AnnAssign)
        ],
    }


def _entry_points(init: ast.Module) -> dict[str, Any]:
    function = _function(init, "_import_device_backends")
    enabled = _function(init, "_is_device_backend_autoload_enabled")
    return {
        "groups": [text for text in _texts(function) if text.startswith("torch.")],
        "loads": _calls(function, "load"),
        "calls_what_it_loaded": _calls(function, "entrypoint"),
        "called_by_the_module": any(
            _calls(node, function.name) for node in init.body if isinstance(node, (ast.If, ast.Expr))
        ),
        "turned_off_by": [text for text in _texts(enabled) if text.isupper()],
    }


def _texts(function: ast.FunctionDef) -> list[str]:
    """Return the string constants in a function, without those in its docstring."""
    inside = (node for statement in function.body[1:] for node in ast.walk(statement))
    return [node.value for node in inside if isinstance(node, ast.Constant) and isinstance(node.value, str)]
