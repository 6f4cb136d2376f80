"""Turns recording on at the end of `import torch`, in every process that has `COMPILE_LEDGER` set.

torch calls `activate` as an entry point of the group `torch.backends`. An exception would break the
program's `import torch`, and with recording off it must cost no more than one look-up: so this module imports
only what torch has already imported.
"""

import os


def activate() -> None:
    """Record torch.compile if `COMPILE_LEDGER` is set; otherwise return at once."""
    if "COMPILE_LEDGER" not in os.environ:
        return
    try:
        from ledger_torch.hooks import install_on_import
        from ledger_torch.launcher_hooks import install_launcher_hooks

        install_on_import()
        install_launcher_hooks()
    except Exception as error:
        import logging

        logging.getLogger("ledger").warning(
            "compile-ledger: torch.compile is not recorded: %s: %s", type(error).__name__, error
        )
