"""The command `compile-ledger`, before anything of it is imported: Ctrl-C ends it without a word."""

import signal
from importlib import import_module


def main() -> None:
    """Run the command line."""
    is_usual = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if is_usual:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    command_line = import_module("ledger.cli")
    if is_usual:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    command_line.main()
