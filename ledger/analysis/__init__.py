"""Judges sessions: compares sets of them, and holds budgets against them."""
