"""Writes a program's events to its own journal. It lives in other people's programs, and knows no SQLite."""
