"""What comes out of a ledger gives no orders to a terminal, through whatever it is printed."""

import ast
import re
import sys
from io import StringIO
from pathlib import Path

import pytest
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from ledger.cli.console.terminal import TerminalConsole
from ledger.formatting import one_line, printable
from tests.support.hostile_inputs import EVIL, ledger
from tests.support.paths import ROOT
from tests.support.terminals import terminal

OURS = re.compile(rb"\x1b\[[0-9;]*m|\x1b\[\?25[lh]|\x1b\[[0-9]*[ABCDJK]|\x1b[78DM]|\r")
"""Sequences of ours: styles, and the cursor of the live view and of progress."""
SET_BY_EVIL = (b"\x1b]", b"\x07", b"\x1b[2J", b"\xc2\x9b", b"\xe2\x80\xae", b"\xe2\x81\xa6", b"\x08", b"\x7f")
CLI = [sys.executable, "-m", "ledger.cli"]


def printed(*renderables: object, **options: object) -> str:
    file = StringIO()
    console = TerminalConsole(file=file, force_terminal=True, width=60, **options)  # type: ignore[arg-type]
    for one in renderables:
        console.print(one)
    return file.getvalue()


def orders_in(text: str) -> list[str]:
    left = OURS.sub(b"", text.encode()).decode()
    return [one for one in left if not one.isprintable() and one not in "\n\t"]


@pytest.mark.parametrize("text", ["usual", "caf\u00e9 \N{SNOWMAN} \u65e5\u672c", "a\nb\tc", "1\u00a0000"])
def test_a_text_that_gives_no_orders_stays(text: str) -> None:
    assert printable(text) == text


def test_each_character_that_a_terminal_acts_upon_is_replaced_and_nothing_else() -> None:
    for code in (*range(0x20), *range(0x7F, 0xA0), 0x202E, 0x2066, 0x200F, 0x2028, 0xFEFF, 0xD800, 0xE0001):
        one = chr(code)
        assert printable(f"a{one}b") == (f"a{one}b" if one in "\n\t" else "a\N{REPLACEMENT CHARACTER}b")
        assert one_line(f"a{one}b") == "a\N{REPLACEMENT CHARACTER}b"


def test_a_console_has_its_own_styles_and_none_of_a_text() -> None:
    table = Table("name", title=Text(EVIL))
    table.add_row(Text(EVIL, style="bold"))
    shown = printed(Text(EVIL, style="red"), table, EVIL)
    assert "\x1b[31m" in printed(Text("x", style="red"))
    assert orders_in(shown) == []
    assert not any(order in shown.encode() for order in SET_BY_EVIL)


def test_rows_of_a_table_stay_as_wide_as_each_other() -> None:
    table = Table("name", "number")
    for text in ("a", EVIL[:30], "\x1b\x1b\x1b\x1b"):
        table.add_row(Text(text), "1")
    shown = printed(table, no_color=True, color_system=None)
    assert len({len(line) for line in shown.splitlines() if "1" in line}) == 1


def test_progress_and_live_views_go_on_moving_the_cursor() -> None:
    file = StringIO()
    console = TerminalConsole(file=file, force_terminal=True, width=60)
    with Progress(console=console) as progress:
        progress.add_task(EVIL.replace("[", "("), total=1)
    shown = file.getvalue()
    assert "\x1b[" in shown
    assert not any(order in shown.encode() for order in SET_BY_EVIL)


def test_all_that_is_printed_goes_through_one_place() -> None:
    others: list[str] = []
    for path in sorted((ROOT / "ledger" / "cli").rglob("*.py")):
        if path.name == "terminal.py":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("Console", "typer.echo", "print"):
                others.append(f"{path.name}:{node.lineno}")
    assert others == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("report", "FILE"), ("report", "FILE", "--all", "--no-pager"), ("export", "FILE"), ("watch", "FILE"),
        ("sql", "FILE", "SELECT * FROM intervals", "--no-pager"), ("diff", "FILE", "FILE"),
        ("sql", "FILE", "SELECT role FROM events", "-f", "csv"),
    ],
)  # fmt: skip
def test_on_a_real_terminal_there_are_none_either(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    path = ledger(tmp_path / "evil.db", EVIL)
    with terminal([*CLI, *(part.replace("FILE", str(path)) for part in arguments)]) as shown:
        shown.finish()
    assert len(shown.screen) > 20
    assert [order for order in SET_BY_EVIL if order in shown.screen] == []
    left = OURS.sub(b"", shown.screen).decode("utf-8", "replace")
    assert [one for one in left if not one.isprintable() and one not in "\n\t"] == []


def test_the_live_view_of_a_recording_has_none(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        f"import time\nfrom ledger import Recorder\nr = Recorder.from_environment()\nevil = {EVIL!r}\n"
        "r.name_process('proc' + evil)\nr.milestone('mile' + evil)\n"
        "with r.stage('stage' + evil, role='role' + evil):\n    time.sleep(3)\n"
    )
    command = [
        *CLI,
        "record",
        "-o",
        str(tmp_path / "x.db"),
        "-l",
        "label",
        "--",
        sys.executable,
        str(program),
    ]
    with terminal(command) as shown:
        shown.wait_for("stagea")
        shown.finish()
    assert [order for order in SET_BY_EVIL if order in shown.screen] == []
