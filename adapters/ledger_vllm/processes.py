"""Hooks of where vLLM starts processes, and of where one of them does nothing but wait for another one."""

import subprocess
import sys
import types
from collections.abc import Generator, Iterable
from typing import Any, Final

from ledger.adapters import WAITING
from ledger_engine.patching import Call, Ended
from ledger_engine.stages import Stages

_REGISTRY: Final = "vllm.model_executor.models.registry"


class Processes:
    """The hooks of the functions that start processes and wait for them."""

    def __init__(self, stages: Stages) -> None:
        self._stages = stages

    def spawn(self, call: Call) -> Generator[None, Ended, None]:
        """Record the start of processes by an object that keeps them, and which ones they are."""
        begun = self._stages.begin("process_spawn", "engine")
        ended = yield
        begun.note(**_children(_pids_of(call.owner)))
        self._stages.end(begun, ended.error)

    def spawn_worker(self, call: Call) -> Generator[None, Ended, None]:
        """Record the start of one worker's process."""
        begun = self._stages.begin("process_spawn", "engine")
        ended = yield
        begun.note(**_children(_pids([ended.result])))
        self._stages.end(begun, ended.error)

    def wait_for_engines(self, call: Call) -> Generator[None, Ended, None]:
        """Record the front end's wait for its engine cores to be ready."""
        given = call.given
        # Up to 0.27 the manager of the processes is an argument of its own.
        manager = given.get("proc_manager") or getattr(given.get("launch"), "engine_manager", None)
        yield from self._wait(_pids_of(manager), "the engine")

    def wait_for_coordinator(self, call: Call) -> Generator[None, Ended, None]:
        """Record the front end's wait for the addresses of the coordinator of its engines."""
        yield from self._wait(_pids_of(call.owner), "the coordinator")

    def wait_for_workers(self, call: Call) -> Generator[None, Ended, None]:
        """Record the engine's wait for its workers to have loaded their model."""
        handles: Iterable[Any] = next(iter(call.given.values()), ())
        yield from self._wait(_pids(handles), "the workers")

    def wait_for_replies(self, call: Call) -> Generator[None, Ended, None]:
        """Record the engine's wait while its workers do what it told them to; until it serves requests."""
        if call.given.get("non_block"):
            yield
            return
        method = call.given.get("method")
        name = method if isinstance(method, str) else getattr(method, "__name__", "a function")
        yield from self._wait(_pids(getattr(call.owner, "workers", ())), str(name))

    def wait_for_lookup(self, call: Call) -> Generator[None, Ended, None]:
        """Record the wait for a process that imports a model's class, only to look at it."""
        registry = sys.modules[_REGISTRY]
        begun = self._stages.begin(WAITING, "engine", data={"for": "the model's class"})
        pids: list[int] = []
        watched = getattr(registry, "subprocess", None) is subprocess
        if watched:
            registry.subprocess = _Noting(pids)  # pyright: ignore[reportAttributeAccessIssue]
        ended = yield
        if watched:
            registry.subprocess = subprocess  # pyright: ignore[reportAttributeAccessIssue]
        begun.note(**_children(pids))
        self._stages.end(begun, ended.error)

    def _wait(self, pids: list[int], what: str) -> Generator[None, Ended, None]:
        begun = self._stages.begin(WAITING, "engine", data={"for": what, **_children(pids)})
        self._stages.end(begun, (yield).error)


class _Noting(types.ModuleType):
    """The module `subprocess`, whose `run` also notes the process ids of its children."""

    def __init__(self, pids: list[int]) -> None:
        super().__init__(subprocess.__name__)
        run = subprocess.run

        class Popen(subprocess.Popen[Any]):
            def __init__(self, *args: Any, **kwargs: Any) -> None:
                super().__init__(*args, **kwargs)
                pids.append(self.pid)

        # The very code of `subprocess.run`: only the class that it makes is another one.
        self.run = types.FunctionType(
            run.__code__, {**vars(subprocess), "Popen": Popen}, run.__name__, run.__defaults__
        )
        self.run.__kwdefaults__ = run.__kwdefaults__

    def __getattr__(self, name: str) -> Any:
        return getattr(subprocess, name)


def _pids_of(keeper: Any) -> list[int]:
    """Return the ids of the processes that an object keeps: a manager has a list, a coordinator only one."""
    kept = getattr(keeper, "processes", None)
    return _pids(kept if kept is not None else [keeper])


def _pids(holders: Iterable[Any]) -> list[int]:
    """Return the ids of processes, or of what holds one each. Those of another host have none here."""
    found = [getattr(getattr(holder, "proc", holder), "pid", None) for holder in holders]
    return [pid for pid in found if isinstance(pid, int)]


def _children(pids: list[int]) -> dict[str, object]:
    if len(pids) == 1:
        return {"child_pid": pids[0]}
    return {"child_pids": pids} if pids else {}
