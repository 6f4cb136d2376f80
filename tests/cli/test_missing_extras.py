"""Where a package of an extra is missing, one line names it, and the command that installs it."""

import subprocess
import sys
from pathlib import Path

import pytest

from ledger import Recorder

WITHOUT = "import sys; sys.modules.update(dict.fromkeys({missing})); "


def run(missing: list[str], program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a program in a Python that finds none of some packages."""
    command = [sys.executable, "-c", WITHOUT.format(missing=missing) + program, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with Recorder.open(tmp_path / "startup.db") as recorder:
        recorder.milestone("engine_ready")
    return tmp_path / "startup.db"


@pytest.mark.parametrize(
    ("missing", "options", "what", "extra"),
    [
        ("torch", "demo -o", "the demo", "[torch]"),
        ("jinja2", "report --html x.html", "a page", "[html]"),
        ("altair", "report --html x.html", "a page", "[html]"),
        ("opentelemetry", "export --format otlp", "OTLP", "[otlp]"),
        ("perfetto", "export --format perfetto", "Perfetto's format", "[perfetto]"),
        ("fsspec", "export --format parquet -o lake", "Parquet", "[parquet]"),
        ("pyarrow", "export --format parquet -o lake", "Parquet", "[parquet]"),
        ("adbc_driver_sqlite", "export --format parquet -o lake", "Parquet", "[parquet]"),
        ("fsspec", "restore lake 1 -o", "Parquet", "[parquet]"),
    ],
)
def test_a_command(path: Path, missing: str, options: str, what: str, extra: str) -> None:
    shown = run([missing], "from ledger.cli import main; main()", *options.split(), str(path))
    assert (shown.returncode, shown.stdout, shown.stderr.count("\n")) == (2, "", 1)
    assert shown.stderr.startswith(
        f'compile-ledger: {what} needs {missing}, which is not installed: pip install "compile-ledger{extra}"'
    )


def test_a_data_frame(path: Path) -> None:
    program = (
        "import ledger\n"
        "with ledger.Ledger.open(sys.argv[1]) as opened:\n"
        "    try: opened.dataframe('SELECT 1')\n"
        "    except ledger.MissingExtra as error: print(isinstance(error, ImportError), error)"
    )
    shown = run(["pandas"], "\n" + program, str(path))
    assert shown.stdout == (
        'True this needs pandas, which is not installed: pip install "compile-ledger[pandas]"\n'
    ), shown


def test_telling_a_difference_from_chance() -> None:
    program = (
        "from ledger import MissingExtra\n"
        "from ledger.analysis.significance import permutation_test\n"
        "try: permutation_test([1.0, 2.0, 3.0], [4.0, 5.0, 6.0])\n"
        "except MissingExtra as error: print(error)"
    )
    shown = run(["numpy"], "\n" + program)
    assert 'pip install "compile-ledger[stats]"' in shown.stdout, shown
