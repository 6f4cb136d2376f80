"""Makes `python -m ledger.cli` the same as `compile-ledger`."""

from ledger.cli import main

main()
