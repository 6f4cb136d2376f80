"""Reads, out of vLLM's sources and without importing them, what compile-ledger's hooks rest on.

The result is plain JSON, small enough to read in a diff when vLLM changes.
"""

import ast
import itertools
import re
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

from ledger_engine.signature_check import Read, parameters
from ledger_vllm.drafters import METHODS
from ledger_vllm.gpu_hook_targets import RUNNER, RUNNER_V2
from ledger_vllm.hook_targets import TABLE

MONITOR = "vllm.compilation.monitor"
DECORATORS = "vllm.compilation.decorators"
WRAPPER = "vllm.compilation.wrapper"
BACKENDS = "vllm.compilation.backends"
CACHING = "vllm.compilation.caching"
PIECEWISE = "vllm.compilation.piecewise_backend"
CONFIG = "vllm.config.compilation"
PARALLEL_CONFIG = "vllm.config.parallel"
PARALLEL_STATE = "vllm.distributed.parallel_state"
MULTIPROC = "vllm.v1.executor.multiproc_executor"
ENGINE_UTILS = "vllm.v1.engine.utils"
WORKER_BASE = "vllm.v1.worker.worker_base"
PLUGINS = "vllm.plugins"
PLUGIN_GROUP = "vllm.general_plugins"

STATES_TIME = re.compile(r"%\.\d+f ?(s|secs?|seconds|ms)\b")
"""What a message that states a duration looks like."""

MESSAGES_IN = (
    "vllm.compilation.",
    "vllm.model_executor.model_loader.",
    "vllm.model_executor.warmup.",
    "vllm.renderers.",
    "vllm.v1.engine.",
    "vllm.v1.executor.",
    "vllm.v1.worker.",
)
CLASSES_IN = ("vllm.compilation.", "vllm.model_executor.model_loader.", "vllm.v1.")
DRAFTERS_IN = ("vllm.v1.spec_decode.", "vllm.v1.worker.gpu.spec_decode.")
DRAFTERS_OF = {"drafter": RUNNER, "speculator": RUNNER_V2}
"""By the attribute that has it, the model runner that makes it."""
STARTS_IN = (
    "load_model",
    "profile_run",
    "_dummy_run",
    "_dummy_sampler_run",
    "profile_cudagraph_memory",
    "_warmup_and_capture",
    "capture_model",
)
"""Methods of a model runner that start it."""

ATTRIBUTES = {
    f"{BACKENDS}:CompilerManager": ("cache", "compiler", "disable_cache", "loaded_artifacts"),
    f"{BACKENDS}:VllmBackend": ("compilation_config", "compiler_manager", "is_encoder", "prefix"),
    f"{ENGINE_UTILS}:CoreEngineProcManager": ("processes",),
    f"{MULTIPROC}:MultiprocExecutor": ("workers",),
    f"{MULTIPROC}:UnreadyWorkerProcHandle": ("proc",),
    f"{MULTIPROC}:WorkerProcHandle": ("proc",),
    "vllm.v1.engine.coordinator:DPCoordinator": ("proc",),
    "vllm.v1.utils:APIServerProcessManager": ("processes",),
    "vllm.v1.engine:EngineCoreOutput": ("new_token_ids",),
    "vllm.v1.engine:EngineCoreOutputs": ("outputs",),
    f"{PIECEWISE}:PiecewiseBackend": (
        "compile_ranges",
        "piecewise_compile_index",
        "total_piecewise_compiles",
    ),
    f"{CACHING}:StandaloneCompiledArtifacts": ("num_artifacts", "num_entries"),
    f"{WORKER_BASE}:WorkerBase": ("parallel_config", "rank"),
}
"""What the watches read of the objects whose methods they watch."""

NAMED_BY = (
    "data_parallel_rank",
    "data_parallel_size",
    "decode_context_parallel_size",
    "enable_expert_parallel",
    "pipeline_parallel_size",
    "prefill_context_parallel_size",
    "tensor_parallel_size",
)
"""Fields of ParallelConfig, of which a worker's name is made."""


_Function = ast.FunctionDef | ast.AsyncFunctionDef


def facts(version: str, read: Read, modules: Iterable[str]) -> dict[str, Any]:
    """Return the facts of one version; `modules` are the dotted names of all there are."""
    return _Facts(read, sorted(modules)).all(version)


class _Facts:
    def __init__(self, read: Read, modules: list[str]) -> None:
        self.read = cache(read)
        self.modules = modules
        self.tree = cache(lambda module: ast.parse(self.read(module) or ""))

    def all(self, version: str) -> dict[str, Any]:
        own = TABLE.own_targets
        watched = sorted({target.module for target in own})
        return {
            "vllm": version,
            "parameters": {
                f"{target.module}:{target.name}": None if found is None else ", ".join(found)
                for target in own
                if self.read(target.module) is not None
                for found in [parameters(target, self.read)]
            },
            "absent_modules": [module for module in watched if self.read(module) is None],
            "decorators": self._decorators(),
            "called_by_name": self._called_by_name(),
            "overridden": self._overridden(),
            "messages": self._messages(),
            "accumulators": ", ".join(
                name for name in _fields(self.tree(CONFIG)) if name.endswith("compilation_time")
            ),
            "added_to_by": self._adders(),
            "modes": ", ".join(_fields(_class(self.tree(CONFIG), "CompilationMode"))),
            "monitors": self._monitors(),
            "monitor_used_by": [
                module
                for module in self._with_text("monitor_torch_compile")
                if module not in (MONITOR, DECORATORS)
            ],
            "model_made": self._model_made(),
            "tags": self._tags(),
            "drafters_without_tag": sorted(self._untagged()),
            "drafters": {
                attribute: self._drafters(attribute, module) for attribute, module in DRAFTERS_OF.items()
            },
            "attributes": {owner: self._attributes(owner, names) for owner, names in ATTRIBUTES.items()},
            "backend_calls": self._backend_calls(),
            "backend_called_by_load": ", ".join(_callers(self.tree(CACHING), "vllm_backend")),
            "cache_looked_up": self._cache_looked_up(),
            "cache_key_factors": self._cache_key_factors(),
            "warmup_returns": self._warmup_returns(),
            "workers": self._workers(),
            "engines_waited_for_by": self._engines_waited_for_by(),
            "plugins_loaded_flag": "plugins_loaded" in _fields(self.tree(PLUGINS)),
            "plugin_group": PLUGIN_GROUP in (self.read(PLUGINS) or ""),
            "plugins_loaded_by": ", ".join(self._with_text("load_general_plugins()")),
        }

    def _with_text(self, text: str) -> list[str]:
        return [module for module in self.modules if text in (self.read(module) or "")]

    def _decorators(self) -> dict[str, str]:
        """Return which of the watched functions are decorated, by the decorator."""
        found: dict[str, list[str]] = {}
        for target in TABLE.targets:
            function = _function(self.tree(target.module), target.name)
            for node in function.decorator_list if function else ():
                by = ast.unparse(node.func if isinstance(node, ast.Call) else node)
                found.setdefault(by, []).append(target.name)
        return {by: ", ".join(sorted(set(names))) for by, names in sorted(found.items())}

    def _called_by_name(self) -> dict[str, str]:
        """Return who calls the watched functions of a module, there, by their global name."""
        found: dict[str, set[str]] = {}
        for target in TABLE.targets:
            if target.name.isidentifier():
                callers = _callers(self.tree(target.module), target.name)
                found.setdefault(target.name, set()).update(callers)
        return {name: ", ".join(sorted(callers)) for name, callers in found.items()}

    def _overridden(self) -> list[str]:
        """Return the methods that take a watched one's place, and do not call it."""
        watched: dict[str, set[str]] = {}
        for target in TABLE.targets:
            owner, _, name = target.name.rpartition(".")
            watched.setdefault(owner, set()).add(name)
        classes = {
            f"{module}:{node.name}": node
            for module in self.modules
            if module.startswith(CLASSES_IN)
            for node in self.tree(module).body
            if isinstance(node, ast.ClassDef)
        }
        # By name: which module a base class comes from does not matter here.
        above = {name: name for name in watched if name}
        while new := {
            node.name: above[base]
            for node in classes.values()
            for base in (_last(base) for base in node.bases)
            if base in above and node.name not in above
        }:
            above |= new
        here = {f"{target.module}:{target.name}" for target in TABLE.targets}
        return sorted(
            f"{name}.{method.name}"
            for name, node in classes.items()
            if node.name in above
            for method in node.body
            if isinstance(method, ast.FunctionDef)
            and method.name in watched[above[node.name]]
            and f"{name}.{method.name}" not in here
            and not re.search(rf"\w+(\(\))?\.{method.name}\(", ast.unparse(method))
        )

    def _messages(self) -> dict[str, list[str]]:
        """Return the messages that state a duration, as they are before their arguments are put in."""
        found: dict[str, list[str]] = {}
        for module in self.modules:
            if not module.startswith(MESSAGES_IN) or "logger" not in (self.read(module) or ""):
                continue
            messages = {
                node.args[0].value
                for node in _calls(self.tree(module))
                if isinstance(node.func, ast.Attribute)
                and node.func.attr.startswith(("info", "warning"))
                and node.args
                and isinstance(node.args[0], ast.Constant)
                and isinstance(node.args[0].value, str)
            }
            messages |= _handed_on(self.tree(module))
            if stating := sorted(message for message in messages if STATES_TIME.search(message)):
                found[module] = stating
        return found

    def _adders(self) -> dict[str, list[str]]:
        """Return the functions that add to an accumulator of compile time."""
        return {
            module: sorted(
                {
                    f"{function.name}: {ast.unparse(node.target).rpartition('.')[2]}"
                    for function in ast.walk(self.tree(module))
                    if isinstance(function, ast.FunctionDef)
                    for node in ast.walk(function)
                    if isinstance(node, ast.AugAssign)
                    and ast.unparse(node.target).endswith("compilation_time")
                }
            )
            for module in self._with_text("compilation_time +=")
        }

    def _monitors(self) -> list[str]:
        """Return where the monitor is used, with the locals there that tell the model.

        `__call__(self): with monitor_profiling_run()`
        """
        used: list[str] = []
        for function, nodes in _functions(self.tree(DECORATORS)):
            statements = [node for node in nodes if isinstance(node, ast.With)]
            within = {item.context_expr for statement in statements for item in statement.items}
            names = _parameter_names(function) + [node.id for node in nodes if _is_bound(node)]
            known = ", ".join(sorted({"model", "self"} & set(names)))
            for node in nodes:
                if isinstance(node, ast.Call) and _name(node.func).startswith("monitor_"):
                    given = ", ".join(ast.unparse(argument) for argument in node.args[:1])
                    how = "with " if node in within else ""
                    used.append(f"{function.name}({known}): {how}{_name(node.func)}({given})")
        return sorted(used)

    def _model_made(self) -> dict[str, str]:
        """Return what a model is made with, and what its backend makes of that."""
        made = next(node for node in _calls(self.tree(DECORATORS)) if _is_init_of_wrapper(node))
        given = {str(keyword.arg): ast.unparse(keyword.value) for keyword in made.keywords}
        backend = _function(self.tree(BACKENDS), "VllmBackend.__init__")
        assert backend is not None
        for node in ast.walk(backend):
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) in (
                "self.prefix",
                "self.is_encoder",
            ):
                given[f"backend.{_last(node.targets[0])}"] = ast.unparse(node.value)
        for node in self.tree(BACKENDS).body:
            if isinstance(node, ast.AnnAssign) and ast.unparse(node.target).startswith("model_"):
                given[ast.unparse(node.target)] = ast.unparse(node.value) if node.value else ""
        return given

    def _tags(self) -> dict[str, str]:
        """Return the tags of parts of models: those that are given as an encoder's, and the others."""
        found: dict[str, set[str]] = {"encoders": set(), "others": set()}
        for module in self._with_text("set_model_tag("):
            for node in _calls(self.tree(module)):
                if _name(node.func) == "set_model_tag" and isinstance(node.args[0], ast.Constant):
                    is_encoder = any(keyword.arg == "is_encoder" for keyword in node.keywords)
                    found["encoders" if is_encoder else "others"].add(str(node.args[0].value))
        return {of: ", ".join(sorted(tags)) for of, tags in found.items()}

    def _untagged(self) -> Iterator[str]:
        """Return who loads a drafter outside of any `set_model_tag`."""
        for module in self.modules:
            if not module.startswith(DRAFTERS_IN):
                continue
            for function in ast.walk(self.tree(module)):
                if not isinstance(function, ast.FunctionDef):
                    continue
                tagged = {
                    call
                    for node in ast.walk(function)
                    if isinstance(node, ast.With)
                    and any("set_model_tag(" in ast.unparse(item) for item in node.items)
                    for call in _calls(node)
                }
                if any(
                    isinstance(node.func, ast.Name) and node.func.id == "get_model" and node not in tagged
                    for node in _calls(function)
                ):
                    yield f"{module}.{function.name}"

    def _drafters(self, attribute: str, module: str) -> dict[str, Any]:
        """Return where a runner makes its drafter, what it calls of it, and which class has what of that."""
        runner = f"self.{attribute}"
        made_in: set[str] = set()
        kinds: set[str] = set()
        called: dict[str, str] = {}
        for method in _class(self.tree(module), "GPUModelRunner").body:
            if not isinstance(method, ast.FunctionDef):
                continue
            made = [
                node.value
                for node in ast.walk(method)
                if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == runner
                if isinstance(node.value, ast.Call)
            ]
            if made:
                made_in.add(method.name)
                kinds |= {_name(call.func) for call in made}
            of_drafter = (call.func for call in _calls(method) if isinstance(call.func, ast.Attribute))
            names = sorted({func.attr for func in of_drafter if ast.unparse(func.value) == runner})
            if names and method.name in STARTS_IN:
                called[method.name] = ", ".join(names)
        if "init_speculator" in kinds:
            init = _function(self.tree("vllm.v1.worker.gpu.spec_decode"), "init_speculator")
            assert init is not None
            returned = [node.value for node in ast.walk(init) if isinstance(node, ast.Return)]
            kinds = {_name(call.func) for call in returned if isinstance(call, ast.Call)}
        looked_for = list(itertools.chain.from_iterable(METHODS[attribute].values()))
        return {
            "made_in": ", ".join(sorted(made_in)),
            "called": dict(sorted(called.items())),
            "classes": {
                kind: ", ".join(filter(None, (self._of_drafter(kind, name) for name in looked_for)))
                for kind in sorted(kinds)
                if kind[0].isupper()
            },
        }

    def _of_drafter(self, kind: str, name: str) -> str | None:
        """Return a method of a class of drafters, its own or inherited; None where there is none.

        `capture`, `capture: nothing` where it just returns, `load_model(target_model)`.
        """
        classes = {
            node.name: node
            for module in self.modules
            if module.startswith(DRAFTERS_IN)
            for node in self.tree(module).body
            if isinstance(node, ast.ClassDef)
        }
        ahead = [kind]
        while ahead:
            node = classes.get(ahead.pop(0))
            for method in node.body if node else ():
                if isinstance(method, ast.FunctionDef) and method.name == name:
                    if not any(isinstance(inner, (ast.Call, ast.Attribute)) for inner in ast.walk(method)):
                        return f"{name}: nothing"
                    return f"{name}(target_model)" if "target_model" in _parameter_names(method) else name
            ahead += [_last(base) for base in node.bases] if node else []
        return None

    def _attributes(self, owner: str, names: tuple[str, ...]) -> str:
        """Return which of some names a class has as attributes or methods."""
        module, _, kind = owner.partition(":")
        node = _class(self.tree(module), kind)
        has = {ast.unparse(inner.target) for inner in node.body if isinstance(inner, ast.AnnAssign)}
        has |= {inner.name for inner in node.body if isinstance(inner, ast.FunctionDef)}
        has |= {
            inner.attr
            for inner in ast.walk(node)
            if isinstance(inner, ast.Attribute)
            and isinstance(inner.ctx, ast.Store)
            and ast.unparse(inner.value) == "self"
        }
        return ", ".join(name for name in names if name in has)

    def _engines_waited_for_by(self) -> str:
        """Return the parameter that has the engines' processes, or what has them as `engine_manager`."""
        tree = self.tree(ENGINE_UTILS)
        function = _function(tree, "wait_for_engine_startup")
        assert function is not None
        launch = [
            node for node in tree.body if isinstance(node, ast.ClassDef) and "engine_manager" in _fields(node)
        ]
        return ", ".join(
            argument.arg
            for argument in function.args.args
            if argument.arg == "proc_manager"
            or (
                argument.annotation is not None
                and ast.unparse(argument.annotation) in {c.name for c in launch}
            )
        )

    def _backend_calls(self) -> str:
        """Return what the backend does, in the order of the text; log lines by their words."""
        function = _function(self.tree(BACKENDS), "VllmBackend.__call__")
        assert function is not None
        calls = sorted(_calls(function), key=lambda node: (node.lineno, node.col_offset))
        said = [_said(node) for node in calls]
        return ", ".join(what for what in said if what is not None)

    def _cache_looked_up(self) -> str:
        """Return the key under which the compiler manager looks for a graph."""
        load = _function(self.tree(BACKENDS), "CompilerManager.load")
        assert load is not None
        return next(
            ast.unparse(node.left)
            for node in ast.walk(load)
            if isinstance(node, ast.Compare) and ast.unparse(node.comparators[0]) == "self.cache"
        )

    def _cache_key_factors(self) -> dict[str, str]:
        function = _function(self.tree(BACKENDS), "VllmBackend.__call__")
        assert function is not None
        files = {
            node.value
            for node in ast.walk(function)
            if isinstance(node, ast.Constant) and str(node.value).endswith(".json")
        }
        keys = [
            str(key.value)
            for node in _calls(function)
            if _name(node.func) == "dump" and isinstance(node.args[0], ast.Dict)
            for key in node.args[0].keys
            if isinstance(key, ast.Constant)
        ]
        return {"file": ", ".join(sorted(files)), "keys": ", ".join(sorted(keys))}

    def _warmup_returns(self) -> dict[str, str]:
        returns = {
            target.name: ast.unparse(function.returns)
            for target in TABLE.targets
            if target.hook == "worker_warmup"
            and (function := _function(self.tree(target.module), target.name)) is not None
            and function.returns is not None
        }
        for node in self.tree(WORKER_BASE).body:
            if isinstance(node, ast.ClassDef) and node.name == "CompilationTimes":
                returns[node.name] = ", ".join(_fields(node))
        return returns

    def _workers(self) -> dict[str, Any]:
        """Return how vLLM names processes, and what their names are made of."""
        title = _function(self.tree(MULTIPROC), "WorkerProc.setup_proc_title_and_log_prefix")
        layout = _function(self.tree(PARALLEL_STATE), "initialize_model_parallel")
        assert title is not None
        assert layout is not None
        made = [node for node in ast.walk(layout) if isinstance(node, ast.Assign)]
        ranks = next(node.value for node in made if ast.unparse(node.targets[0]) == "all_ranks")
        assert isinstance(ranks, ast.Call)
        return {
            "processes": ", ".join(sorted(set(self._process_names()))),
            "title": "".join(
                ast.unparse(node.value).strip("f'")
                for node in ast.walk(title)
                if isinstance(node, (ast.Assign, ast.AugAssign))
                and "process_name" in ast.unparse(node).partition(" ")[0]
            ),
            "named_after": self._named_after(),
            "rank_layout": ", ".join(
                ast.unparse(argument).removesuffix("_parallel_size") for argument in ranks.args
            ),
            "dcp_spans_pcp": any(
                ast.unparse(node) == "dcp_ranks = dcp_ranks.transpose(-1, -2)" for node in made
            ),
            "parallel_config": ", ".join(
                name
                for name in NAMED_BY
                if name in _fields(_class(self.tree(PARALLEL_CONFIG), "ParallelConfig"))
            ),
        }

    def _process_names(self) -> Iterator[str]:
        for module in (MULTIPROC, ENGINE_UTILS):
            for node in _calls(self.tree(module)):
                if _name(node.func) == "Process":
                    given = next(keyword.value for keyword in node.keywords if keyword.arg == "name")
                    alternatives = [given.body, given.orelse] if isinstance(given, ast.IfExp) else [given]
                    yield from (ast.unparse(one).strip("f'\"") for one in alternatives)

    def _named_after(self) -> str:
        """Return what a worker's process has done of this when it is named: its groups exist then."""
        made = _function(self.tree(MULTIPROC), "WorkerProc.__init__")
        assert made is not None
        names = ("init_device", "setup_proc_title_and_log_prefix", "load_model")
        calls = sorted(_calls(made), key=lambda node: node.lineno)
        return ", ".join(_name(node.func) for node in calls if _name(node.func) in names)


def _class(tree: ast.Module, name: str) -> ast.ClassDef:
    return next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name)


def _function(tree: ast.Module, name: str) -> _Function | None:
    *path, last = name.split(".")
    body = tree.body
    for part in path:
        body = [
            inner
            for node in body
            if isinstance(node, ast.ClassDef) and node.name == part
            for inner in node.body
        ]
    return next((node for node in body if isinstance(node, _Function) and node.name == last), None)


def _fields(tree: ast.Module | ast.ClassDef) -> list[str]:
    """Return the names that classes assign in their bodies."""
    return [
        target.id
        for node in ast.walk(tree)
        if isinstance(node, (ast.AnnAssign, ast.Assign))
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name)
    ]


def _calls(tree: ast.AST) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def _functions(tree: ast.Module) -> Iterator[tuple[_Function, list[ast.AST]]]:
    """Return each function, with what is in it and not in a function inside of it."""
    for function in ast.walk(tree):
        if isinstance(function, _Function):
            nodes: list[ast.AST] = []
            ahead = list(ast.iter_child_nodes(function))
            while ahead:
                node = ahead.pop()
                nodes.append(node)
                if not isinstance(node, _Function):
                    ahead += ast.iter_child_nodes(node)
            yield function, nodes


def _callers(tree: ast.Module, name: str) -> list[str]:
    """Return the functions that call another one by its bare name."""
    calls = {node for node in _calls(tree) if isinstance(node.func, ast.Name) and node.func.id == name}
    found: set[str] = set()
    for function, nodes in _functions(tree):
        if inside := calls.intersection(nodes):
            found.add(function.name)
            calls -= inside
    return sorted(found | ({"<module>"} if calls else set()))


def _handed_on(tree: ast.Module) -> set[str]:
    """Return messages that are handed on: the monitor's own default, and what its callers give it."""
    found: set[Any] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name == "monitor_torch_compile":
            found |= {default.value for default in node.args.defaults if isinstance(default, ast.Constant)}
        if isinstance(node, ast.Call) and _name(node.func) == "monitor_torch_compile":
            found |= {given.value for given in node.args if isinstance(given, ast.Constant)}
    return {message for message in found if isinstance(message, str)}


def _parameter_names(function: _Function) -> list[str]:
    return [argument.arg for argument in (*function.args.posonlyargs, *function.args.args)]


def _is_bound(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)


def _is_init_of_wrapper(node: ast.Call) -> bool:
    return ast.unparse(node.func) == "TorchCompileWithNoGuardsWrapper.__init__"


def _name(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _last(node: ast.expr) -> str:
    """Return the last part of a dotted name, without what it is subscripted with."""
    return ast.unparse(node).partition("[")[0].rpartition(".")[2]


def _said(call: ast.Call) -> str | None:
    name = _name(call.func)
    if name in ("initialize_cache", "configure_post_pass", "split_graph", "run", "save_to_file"):
        return name
    if not name.startswith("info") or not call.args or not isinstance(call.args[0], ast.Constant):
        return None
    words = {"Dynamo bytecode": "logs Dynamo's time", "Saved compiler": "logs the saving's time"}
    return next((said for word, said in words.items() if word in str(call.args[0].value)), None)
