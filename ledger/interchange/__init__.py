"""Brings in what was written elsewhere, and writes sessions in the formats of other programs."""
