"""The checks of `compile-ledger doctor` that are the same for every engine; no engine is imported."""

import functools
import importlib.metadata
import importlib.util
from collections.abc import Iterable
from pathlib import Path

from ledger.adapters import DoctorCheck
from ledger_engine.hook_targets import HookTable, HookTarget
from ledger_engine.signature_check import Read, parameters, reader


def package_root(table: HookTable) -> Path | None:
    """Return the folder that an engine's package is in; None where the engine is not installed."""
    spec = importlib.util.find_spec(table.package)
    return None if spec is None or spec.origin is None else Path(spec.origin).parent.parent


def not_installed(table: HookTable) -> DoctorCheck:
    """Return the only check of an engine that is not installed."""
    return DoctorCheck(table.package, True, "not installed: there is nothing to record")


def check_version(table: HookTable, distributions: Iterable[str]) -> DoctorCheck:
    """Return which version is installed, by one of the distributions that have the package."""
    version = next(
        (
            distribution.version
            for name in distributions
            for distribution in importlib.metadata.distributions(name=name)
        ),
        None,
    )
    if version is None:
        return DoctorCheck(table.package, True, "installed, of an unknown version")
    return DoctorCheck(table.package, True, f"{version} (tested with {table.oldest} to {table.newest})")


def check_hooks(table: HookTable, root: Path) -> list[DoctorCheck]:
    """Return how many hooks would be in place, by the sources below `root`, and each that would not."""
    # A table has some forty targets in a dozen modules.
    read = functools.cache(reader(root))
    # A version need not have every module: of two model runners, one may be missing.
    present = [
        target
        for target in table.own_targets
        if target.since is None and target.until is None and read(target.module) is not None
    ]
    faults = {target: _fault(target, read) for target in present}
    good = sum(reason is None for reason in faults.values())
    checks = [
        DoctorCheck(f"{table.package} hooks", good == len(faults), f"{good} of {len(faults)} are in place")
    ]
    checks += [
        DoctorCheck(target.where, False, f"{reason}: {target.records} is not recorded")
        for target, reason in faults.items()
        if reason is not None
    ]
    return checks


def _fault(target: HookTarget, read: Read) -> str | None:
    try:
        return target.fault(parameters(target, read))
    except SyntaxError as error:
        return f"its source can't be read: {error}"
