"""The command line, `compile-ledger`: one module per subcommand, and the terminal output in `console`."""

import signal
import sys
from collections.abc import Iterable
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Final

import typer

from ledger._version import __version__
from ledger.cli.console.ending import Ended, end_by, ending_signals_raise, system_error_line
from ledger.cli.console.standard_streams import OutputClosed, OutputNotWritable, replace_standard_streams
from ledger.cli.console.terminal import echo, print_line
from ledger.cli.console.usage_errors import USAGE_ERROR, usage_line
from ledger.errors import LedgerError
from ledger.storage.waiting import tell_waits

if TYPE_CHECKING:
    app: typer.Typer

NAME = "compile-ledger"
WRONG_USE = 2
INTERRUPTED = 130

_MODULES: Final = {"import": "import_"}
"""Of the commands that can't be called like their module."""
_FUNCTIONS: Final = {"import": "import_files"}
_SETTINGS: Final = {"allow_interspersed_args": False}
"""Of those that run another command."""
COMMANDS: Final = (
    *("demo", "record", "bench", "report", "sql", "replay", "watch", "diff", "check", "import", "export"),
    *("collect", "merge", "archive", "restore", "fleet", "rebuild", "verify", "migrate", "doctor"),
)
"""In the order in which the help lists them."""


def _show_version(is_wanted: bool) -> None:
    if is_wanted:
        echo(f"{NAME} {__version__}")
        raise typer.Exit


def _options(
    version: bool = typer.Option(
        False, "--version", callback=_show_version, is_eager=True, help="Print the version and exit."
    ),
) -> None:
    pass


def application(names: Iterable[str] = COMMANDS) -> typer.Typer:
    """Return the command line with some of its commands: only their modules are imported."""
    made = typer.Typer(
        name=NAME,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
        help="Record and explain where torch.compile and engine start-up spend their time.",
        epilog="To get started: compile-ledger demo",
    )
    made.callback()(_options)
    for name in names:
        module = import_module(f"{__name__}.{_MODULES.get(name, name)}")
        settings = _SETTINGS if name in ("record", "bench") else None
        made.command(name, context_settings=settings)(getattr(module, _FUNCTIONS.get(name, name)))
    return made


def __getattr__(name: str) -> typer.Typer:
    """Make the whole command line, `app`, where somebody asks for it."""
    if name == "app":
        globals()[name] = made = application()
        return made
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def main() -> None:
    """Run the command line. What goes wrong becomes one line on stderr, and the exit code."""
    try:
        replace_standard_streams()
        tell_waits(print_line)
        with ending_signals_raise():
            code = _exit_code()
    except KeyboardInterrupt:  # on the way out of something else
        code = INTERRUPTED
    except Ended as ended:
        code = end_by(ended.number)
    _leave(code)


def _leave(code: int | str | None) -> None:
    """Exit, and write what is left to be written; what can't be is no traceback."""
    with suppress(ValueError):  # in another thread than the main one
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
    with suppress(OutputClosed, OutputNotWritable, KeyboardInterrupt):
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:  # pyright: ignore[reportUnnecessaryComparison]
                stream.flush()
    sys.exit(code)


def _exit_code() -> int | str | None:
    try:
        try:
            # What one command needs takes a fraction of what all of them do.
            named = [argument for argument in sys.argv[1:2] if argument in COMMANDS]
            app = application(named or COMMANDS)
            code = app(standalone_mode=False, prog_name=NAME) or 0
        except SystemExit as ended:
            code = ended.code
        if sys.stdout is not None:  # pyright: ignore[reportUnnecessaryComparison]
            sys.stdout.flush()
        return code
    except OutputClosed:
        return 0
    except LedgerError as error:
        return _failed(f"{NAME}: {error}", WRONG_USE)
    except USAGE_ERROR as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            return _failed(str(error), WRONG_USE)
        return _failed(usage_line(error), WRONG_USE)
    except (typer.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except OSError as error:
        return _failed(f"{NAME}: {system_error_line(error)}", WRONG_USE)
    except MemoryError:
        return _failed(f"{NAME}: there is not enough memory for this", WRONG_USE)


def _failed(line: str, code: int) -> int:
    print_line(line)
    return code
