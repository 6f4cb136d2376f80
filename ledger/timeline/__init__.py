"""Reduces a session's events to intervals, totals, and claims with their causes: pure, without I/O."""
