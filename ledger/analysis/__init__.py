"""Compares sets of sessions, and checks sessions against budgets."""
