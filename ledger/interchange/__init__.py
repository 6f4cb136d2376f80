"""Imports files into a ledger, and exports sessions in the formats of other programs."""
