"""The saved queries: each a file of SQL, whose first line is a comment that says what it answers.

PYTEST_DONT_REWRITE: see `ledger`.
"""

from importlib.resources import files

from ledger.errors import InvalidQuery


def saved_queries() -> dict[str, str]:
    """Return the saved queries' SQL by name. Each begins with a comment that says what it answers."""
    folder = files(__name__)
    texts = {entry.name: entry.read_text() for entry in folder.iterdir() if entry.name.endswith(".sql")}
    return {name.removesuffix(".sql"): texts[name] for name in sorted(texts)}


def saved_query(name: str) -> str:
    """Return a saved query's SQL. Raises InvalidQuery where there is none of that name."""
    saved = saved_queries()
    if name not in saved:
        raise InvalidQuery(f"no saved query {name!r}; there are: {', '.join(saved)}")
    return saved[name]


def query_title(text: str) -> str:
    """Return what a saved query says that it answers."""
    return text.splitlines()[0].removeprefix("--").strip()
