"""The version, which lies where it can be read without importing this package."""

from ledger_birth import __version__

__all__ = ["__version__"]
