"""Checks that this environment's torch reports its compiles to our hooks, by compiling something.

`python -m ledger_torch.self_test` prints the findings as JSON; `compile-ledger doctor` runs it so, in a
process of its own: a self-test in the program that is recorded would leave a span of ours in what torch keeps
and writes about its own compiles.
"""

import importlib.metadata
import json
import os
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import Any, Final, NamedTuple

from ledger_torch.hook_targets import EVENT_HOOK, METRICS_HOOK, UTILS
from ledger_torch.hooks import missing

_SPAN: Final = "ledger.self_test"
_ENTRY_POINT: Final = "ledger_torch.autoload:activate"


class Finding(NamedTuple):
    """One thing that recording torch.compile depends on."""

    name: str
    found: bool
    detail: str | None = None
    """Why it was not found; for torch itself, its version."""


def check() -> tuple[Finding, ...]:
    """Return what was found; imports torch and torch._dynamo, which takes seconds."""
    findings = [_entry_point()]
    try:
        torch: Any = import_module("torch")
        utils = import_module(UTILS)
    except Exception as error:
        return (*findings, Finding("torch", False, f"{type(error).__name__}: {error}"))
    findings.append(Finding("torch", True, str(torch.__version__)))
    reasons = {name: missing(utils, name) for name in (EVENT_HOOK, METRICS_HOOK)}
    if reasons[EVENT_HOOK] is None:
        reasons[EVENT_HOOK] = _spans_not_reported(utils)
    if reasons[METRICS_HOOK] is None:
        reasons[METRICS_HOOK] = _compiles_not_reported(torch, utils)
    findings += [Finding(f"{UTILS}.{name}", reason is None, reason) for name, reason in reasons.items()]
    return tuple(findings)


def _entry_point() -> Finding:
    name = "entry point torch.backends"
    if os.environ.get("TORCH_DEVICE_BACKEND_AUTOLOAD") == "0":
        return Finding(name, False, "TORCH_DEVICE_BACKEND_AUTOLOAD=0 turns it off")
    points = importlib.metadata.entry_points(group="torch.backends")
    if not any(point.value == _ENTRY_POINT for point in points):
        return Finding(name, False, "compile-ledger is not installed in this environment")
    return Finding(name, True)


@contextmanager
def _listening(utils: ModuleType, hook: str) -> Generator[list[Any]]:
    """Yield a list that collects what torch passes to a stub."""
    received: list[Any] = []
    before = getattr(utils, hook)
    setattr(utils, hook, received.append)
    try:
        yield received
    finally:
        setattr(utils, hook, before)


def _spans_not_reported(utils: Any) -> str | None:
    with _listening(utils, EVENT_HOOK) as events:
        try:
            with utils.dynamo_timed(_SPAN):
                pass
        except Exception as error:
            return f"dynamo_timed raised {type(error).__name__}: {error}"
        finally:
            utils.compilation_time_metrics.pop(_SPAN, None)
    phases = Counter(event.get("ph") for event in events if event.get("name") == _SPAN)
    if phases == {"B": 1, "E": 1}:
        return None
    return f"a span reported {phases['B']} begins and {phases['E']} ends instead of one each"


def _compiles_not_reported(torch: Any, utils: Any) -> str | None:
    def add_one(number: Any) -> Any:
        return number + 1

    with _listening(utils, METRICS_HOOK) as records:
        try:
            torch.compile(add_one, backend="eager")(torch.zeros(1))
        except Exception as error:
            return f"compiling x + 1 raised {type(error).__name__}: {error}"
        finally:
            torch._dynamo.reset()
    if records:
        return None
    for name in ("TORCHDYNAMO_DISABLE", "TORCH_COMPILE_DISABLE"):
        if os.environ.get(name) == "1":
            return f"torch.compile is turned off by {name}"
    if not torch._dynamo.config.log_compilation_metrics:
        return "torch._dynamo.config.log_compilation_metrics is off"
    return "a compile reported no CompilationMetrics"


def main() -> None:
    """Print the findings as a JSON array."""
    print(json.dumps([finding._asdict() for finding in check()]))


if __name__ == "__main__":
    main()
