"""Records torch.compile: its own spans as intervals, its CompilationMetrics as claims.

Imports are deferred: `ledger_torch.autoload` is loaded at the end of every
`import torch`.

PYTEST_DONT_REWRITE: avoids a pytest warning in programs that import this before they run pytest.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ledger_torch.recording import recording_to

__all__ = ["recording_to"]


def __getattr__(name: str) -> object:
    if name == "recording_to":
        from ledger_torch.recording import recording_to

        return recording_to
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
