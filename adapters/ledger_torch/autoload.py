"""Turns recording on at the end of `import torch`, in every process that has `COMPILE_LEDGER` set.

torch calls `activate` as an entry point of the group `torch.backends`. An exception out of it would break
the program's `import torch`, and where recording is off it must cost one look-up: so nothing is imported
up here that torch has not imported long before.
"""

import os


def activate() -> None:
    """Listen to torch.compile where `COMPILE_LEDGER` is set; return at once where it is not."""
    if "COMPILE_LEDGER" not in os.environ:
        return
    try:
        from ledger_torch.hooks import install_on_import

        install_on_import()
    except Exception as error:
        import logging

        logging.getLogger("ledger").warning(
            "compile-ledger: torch.compile is not recorded: %s: %s", type(error).__name__, error
        )
