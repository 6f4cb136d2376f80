"""How Datasette is to show each table: what stands first, and by what one chooses."""

from typing import Final, NamedTuple

FACET_SIZE: Final = 10
"""So many values of a column are offered. A start-up has fifty stages, which would fill a screen."""


class Shown(NamedTuple):
    """How a table or a view is shown: in which order, and of which columns the values are offered."""

    by: str
    is_descending: bool
    facets: tuple[str, ...]


SHOWN: Final = {
    "sessions": Shown("started_at", True, ("outcome", "vllm_version", "torch_version")),
    "processes": Shown("started_at", True, ("session", "outcome", "host")),
    "session_totals": Shown("max_ns", True, ("session", "role", "activity")),
    "role_totals": Shown("total_ns", True, ("session", "role", "activity")),
    "source_totals": Shown("double_counted_ns", True, ("session", "role", "activity", "source")),
    "intervals": Shown("duration_ns", True, ("session", "role", "activity", "stage", "source", "outcome")),
    "claims": Shown("claimed_ns", True, ("session", "role", "stage", "source", "counts")),
    "reconciliation": Shown("difference_ns", True, ("session", "role", "source", "main_cause")),
    "causes": Shown("ns", True, ("session", "cause", "stage")),
    "anomalies": Shown("ns", True, ("session", "what")),
    "milestones": Shown("at_ns", False, ("session", "name")),
    "gaps": Shown("at_ns", False, ("session", "what")),
    "events": Shown("id", False, ("session", "kind", "source")),
    "rejected_lines": Shown("id", False, ("file", "reason")),
}
"""What is not here has a row or two, or is hidden."""
