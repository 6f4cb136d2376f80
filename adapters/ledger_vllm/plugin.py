"""Turns recording on in every vLLM process that has `COMPILE_LEDGER` set.

vLLM calls `register` as an entry point of the group `vllm.general_plugins`: in the front end before it has a
configuration, in the engine core before the executor, in each worker before its class, and in the subprocess
that looks a model up. An exception would stop vLLM's start.
"""

import os


def register() -> None:
    """Record vLLM if `COMPILE_LEDGER` is set; otherwise return at once."""
    if "COMPILE_LEDGER" not in os.environ:
        return
    try:
        from ledger_triton.autoload import activate
        from ledger_vllm.hooks import install_on_import

        install_on_import()
        activate()  # for where TORCH_DEVICE_BACKEND_AUTOLOAD=0 keeps torch from it
    except Exception as error:
        import logging

        logging.getLogger("ledger").warning(
            "compile-ledger: vLLM is not recorded: %s: %s", type(error).__name__, error
        )
