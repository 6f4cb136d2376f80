"""The command line, `compile-ledger`: one module per subcommand, and the terminal output in `console`."""

import sys

import typer
from rich.console import Console
from rich.text import Text

from ledger._version import __version__
from ledger.cli import (
    bench,
    check,
    collect,
    demo,
    diff,
    doctor,
    export,
    import_,
    merge,
    migrate,
    rebuild,
    record,
    replay,
    report,
    sql,
    verify,
    watch,
)
from ledger.cli.console.standard_streams import OutputClosed, replace_standard_streams
from ledger.cli.console.usage_errors import USAGE_ERROR, usage_line
from ledger.errors import LedgerError

NAME = "compile-ledger"
WRONG_USE = 2
INTERRUPTED = 130

app = typer.Typer(
    name=NAME,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Record and explain where torch.compile and engine start-up spend their time.",
    epilog="To get started: compile-ledger demo",
)
app.command()(demo.demo)
app.command(context_settings={"allow_interspersed_args": False})(record.record)
app.command(context_settings={"allow_interspersed_args": False})(bench.bench)
app.command()(report.report)
app.command()(sql.sql)
app.command()(replay.replay)
app.command()(watch.watch)
app.command()(diff.diff)
app.command()(check.check)
app.command("import")(import_.import_files)
app.command()(export.export)
app.command()(collect.collect)
app.command()(merge.merge)
app.command()(rebuild.rebuild)
app.command()(verify.verify)
app.command()(migrate.migrate)
app.command()(doctor.doctor)


def _show_version(is_wanted: bool) -> None:
    if is_wanted:
        typer.echo(f"{NAME} {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: bool = typer.Option(
        False, "--version", callback=_show_version, is_eager=True, help="Print the version and exit."
    ),
) -> None:
    pass


def main() -> None:
    """Run the command line. What goes wrong becomes one line on stderr, and the exit code."""
    replace_standard_streams()
    sys.exit(_exit_code())


def _exit_code() -> int | str | None:
    try:
        try:
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
    except typer.Abort:
        return INTERRUPTED


def _failed(line: str, code: int) -> int:
    Console(stderr=True, soft_wrap=True).print(Text(line))
    return code
