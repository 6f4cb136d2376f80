"""The ledger's schema, version by version; `migrations.py` is what sqlite-utils finds and runs."""
