"""The two exporters, as entry points name them."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from ledger import Ledger, LedgerError, MissingExtra
from ledger.adapters import Exporter
from ledger_perfetto import chrome
from ledger_perfetto.drawing import Drawing, drawing

_Write = Callable[[Drawing], Iterator[bytes]]


class TraceExporter:
    """Writes one session as a trace."""

    can_redact = True

    def __init__(self, write: _Write, *, is_text: bool) -> None:
        self.is_text: Final = is_text
        self._write: Final = write

    def open_command(self, ledger: Path, written: Path) -> str:
        """Return the address of the viewer."""
        return "https://ui.perfetto.dev, where it stays on your machine"

    def chunks(self, ledger: Ledger, sessions: Sequence[str]) -> Iterator[bytes]:
        """Yield a trace of one session. Raises LedgerError for several."""
        if len(sessions) > 1:
            raise LedgerError("a trace holds one session; name one with --session")
        return self._write(drawing(ledger, sessions[0]))


def perfetto() -> Exporter:
    """Return what writes Perfetto's own format. Raises LedgerError if its package is missing or broken."""
    try:
        from ledger_perfetto import protobuf
    except ModuleNotFoundError as error:
        missing = MissingExtra.of("Perfetto's format", error.name, "perfetto")
        raise MissingExtra(f"{missing}; --format chrome needs no package") from error
    except Exception as error:  # protobuf has its own class for incompatible versions
        reason = " ".join(str(error).split())
        raise LedgerError(
            f"Perfetto's package can't be used here ({reason}): "
            'pip install --upgrade "compile-ledger[perfetto]"; --format chrome needs no package'
        ) from error
    return TraceExporter(protobuf.trace, is_text=False)


def chrome_json() -> Exporter:
    """Return what writes Chrome's trace events."""
    return TraceExporter(chrome.trace, is_text=True)
