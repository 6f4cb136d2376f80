"""How Datasette shows each table: its order, and the columns to filter by."""

from typing import Final, NamedTuple

FACET_SIZE: Final = 10
"""Values offered for a column. All of a start-up's fifty stages would fill a screen."""


class TableDisplay(NamedTuple):
    """How a table or a view is shown: the column that it is sorted by, and the columns to filter by."""

    by: str
    is_descending: bool
    facets: tuple[str, ...]


TABLE_DISPLAYS: Final = {
    "sessions": TableDisplay("started_at", True, ("outcome", "vllm_version", "torch_version")),
    "processes": TableDisplay("started_at", True, ("session", "outcome", "host")),
    "process_names": TableDisplay("name", False, ("session",)),
    "session_totals": TableDisplay("max_ns", True, ("session", "role", "activity")),
    "compilations": TableDisplay("duration_ns", True, ("session", "kind", "role", "outcome")),
    "graph_breaks": TableDisplay("count", True, ("session", "file")),
    "findings": TableDisplay("stake_ns", True, ("session", "finding", "process")),
    "cache_key_changes": TableDisplay("component", False, ("session", "part")),
    "startup_windows": TableDisplay("duration_ns", True, ("session", "began_by", "ended_by")),
    "startup_breakdown": TableDisplay("duration_ns", True, ("session", "process", "stage", "activity")),
    "role_totals": TableDisplay("total_ns", True, ("session", "role", "activity")),
    "source_totals": TableDisplay("double_counted_ns", True, ("session", "role", "activity", "source")),
    "intervals": TableDisplay(
        "duration_ns", True, ("session", "role", "activity", "stage", "source", "outcome")
    ),
    "claims": TableDisplay("claimed_ns", True, ("session", "role", "stage", "source", "counts")),
    "reconciliation": TableDisplay("difference_ns", True, ("session", "role", "source", "main_cause")),
    "causes": TableDisplay("ns", True, ("session", "cause", "stage")),
    "anomalies": TableDisplay("ns", True, ("session", "what")),
    "milestones": TableDisplay("at_ns", False, ("session", "name")),
    "gaps": TableDisplay("at_ns", False, ("session", "what")),
    "events": TableDisplay("id", False, ("session", "kind", "source")),
    "rejected_lines": TableDisplay("id", False, ("file", "reason")),
}
"""Tables that are not here have a row or two, or are hidden."""
