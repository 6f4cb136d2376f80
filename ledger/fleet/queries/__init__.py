"""The fleet queries: each a file of SQL, whose first line is a comment that says what it answers.

They are in SQLite's SQL and are translated for each engine. So that every engine gives the same numbers:

- Times are integer nanoseconds up to the last step. Sums are of DECIMAL(38, 0), which none of them overflows.
- A percentile is the nearest rank: the smallest value that at least so many percent of them don't exceed.
- ORDER BY is total, and what is selected beside aggregates is in GROUP BY.
- `starts` is one row for each session: `starts.sql`, which every query that names it has as its first WITH.

PYTEST_DONT_REWRITE: see `ledger`.
"""

from importlib.resources import files

from ledger.errors import InvalidQuery
from ledger.storage.queries import saved_queries


def fleet_queries() -> dict[str, str]:
    """Return the fleet queries' SQL by name. Each begins with a comment that says what it answers."""
    folder = files(__name__)
    texts = {
        entry.name: entry.read_text("utf-8") for entry in folder.iterdir() if entry.name.endswith(".sql")
    }
    return {name.removesuffix(".sql"): texts[name] for name in sorted(texts)}


def query_over_lake(name: str) -> str:
    """Return the SQL of a fleet query or a saved one. Raises InvalidQuery where there is none."""
    known = {**saved_queries(), **fleet_queries()}
    if name not in known:
        raise InvalidQuery(f"no query {name!r}; `compile-ledger fleet LAKE` lists them")
    return known[name]


def starts_query() -> str:
    """Return the SQL of `starts`."""
    return (files("ledger.fleet") / "starts.sql").read_text("utf-8")
