"""Turns recording on when vLLM is imported, in every process that has `COMPILE_LEDGER` set.

vLLM loads its plugins only when it has an engine's arguments: by then a front end has read its command line.
torch, which vLLM imports first, calls `activate` as an entry point of the group `torch.backends`. Where
recording is off this must cost one look-up, so nothing is imported up here that torch has not imported long
before.
"""

import os


def activate() -> None:
    """Listen to vLLM where `COMPILE_LEDGER` is set; return at once where it is not."""
    if "COMPILE_LEDGER" not in os.environ:
        return
    try:
        from ledger_engine.imports import when_imported

        when_imported("vllm", lambda _: _install())
    except Exception as error:
        _warn(error)


def _install() -> None:
    # This runs inside of an import of the program's.
    try:
        from ledger_vllm.hooks import install_on_import

        install_on_import(until="vLLM was imported")
    except Exception as error:
        _warn(error)


def _warn(error: Exception) -> None:
    import logging

    logging.getLogger("ledger").warning(
        "compile-ledger: vLLM is not recorded from its beginning: %s: %s", type(error).__name__, error
    )
