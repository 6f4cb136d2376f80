"""`python -m ledger.cli` is `compile-ledger`."""

from ledger.cli import main

main()
