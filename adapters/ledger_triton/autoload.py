"""Turns recording on at the end of `import torch`, in every process that has `COMPILE_LEDGER` set.

Triton has no entry points for this. torch calls `activate` as an entry point of the group `torch.backends`,
and vLLM's adapter calls it too, since torch's look-up can be turned off. Where recording is off this must
cost one look-up, so nothing is imported up here that torch has not imported long before.
"""

import os


def activate() -> None:
    """Listen to Triton where `COMPILE_LEDGER` is set; return at once where it is not."""
    if "COMPILE_LEDGER" not in os.environ:
        return
    try:
        from ledger_triton.hooks import install_on_import

        install_on_import()
    except Exception as error:
        import logging

        logging.getLogger("ledger").warning(
            "compile-ledger: Triton is not recorded: %s: %s", type(error).__name__, error
        )
