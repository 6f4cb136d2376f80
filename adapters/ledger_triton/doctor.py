"""What `compile-ledger doctor` says about Triton: whether its kernels would be recorded here."""

from ledger.adapters import DoctorCheck
from ledger_engine.doctor import check_hooks, check_version, not_installed, package_root
from ledger_triton.hook_targets import TABLE


def examine() -> list[DoctorCheck]:
    """Return what was found in the sources of Triton; nothing of it is imported."""
    if (root := package_root(TABLE)) is None:
        return [not_installed(TABLE)]
    # AMD's builds of torch come with a Triton under other names.
    return [
        check_version(TABLE, (TABLE.package, "pytorch-triton", "pytorch-triton-rocm")),
        *check_hooks(TABLE, root),
    ]
