"""What `compile-ledger doctor` says about transformers: whether its models would be recorded here."""

import importlib.metadata
from typing import Final

from ledger.adapters import DoctorCheck
from ledger_engine.doctor import check_hooks, check_version, not_installed, package_root
from ledger_transformers.hook_targets import TABLE

_GROUP: Final = "torch.backends"
_ENTRY_POINT: Final = "ledger_transformers.autoload:activate"


def examine() -> list[DoctorCheck]:
    """Return what was found in the sources of transformers; nothing of it is imported."""
    if (root := package_root(TABLE)) is None:
        return [not_installed(TABLE)]
    return [check_version(TABLE, (TABLE.package,)), _entry_point(), *check_hooks(TABLE, root)]


def _entry_point() -> DoctorCheck:
    points = importlib.metadata.entry_points(group=_GROUP)
    is_there = any(point.value == _ENTRY_POINT for point in points)
    found = "found and loaded by torch" if is_there else "compile-ledger is not installed in this environment"
    return DoctorCheck(f"entry point {_GROUP} (transformers)", is_there, found)
