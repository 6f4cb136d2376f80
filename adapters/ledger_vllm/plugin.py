"""Turns recording on in every vLLM process that has `COMPILE_LEDGER` set.

vLLM calls `register` as an entry point of the group `vllm.general_plugins`: in the front end before it has a
configuration, in the engine core before the executor, in each worker before its class, and in the subprocess
that looks a model up. An exception out of it would stop vLLM's start.
"""

import os


def register() -> None:
    """Listen to vLLM where `COMPILE_LEDGER` is set; return at once where it is not."""
    if "COMPILE_LEDGER" not in os.environ:
        return
    try:
        from ledger_vllm.hooks import install_on_import

        install_on_import()
    except Exception as error:
        import logging

        logging.getLogger("ledger").warning(
            "compile-ledger: vLLM is not recorded: %s: %s", type(error).__name__, error
        )
