"""Writes flame graphs in the file format of speedscope: https://www.speedscope.app/file-format-schema.json."""

import json
from collections.abc import Iterator, Sequence
from typing import Final

from ledger._version import __version__
from ledger.reports.flame_graphs import FlameGraphs, Profile

SCHEMA: Final = "https://www.speedscope.app/file-format-schema.json"
_PROFILES: Final = '"profiles":['


def speedscope(name: str, graphs: FlameGraphs) -> Iterator[bytes]:
    """Yield the file that speedscope opens, under a name, profile by profile."""
    head = {
        "$schema": SCHEMA,
        "name": name,
        "exporter": f"compile-ledger {__version__}",
        "activeProfileIndex": _most_to_see(graphs.profiles),
        "shared": {"frames": [{"name": frame.name, "file": frame.source} for frame in graphs.frames]},
    }
    yield f"{_json(head)[:-1]},{_PROFILES}".encode()
    for place, profile in enumerate(graphs.profiles):
        yield f"{',' if place else ''}{_json(_profile(profile))}".encode()
    yield b"]}"


def _profile(profile: Profile) -> dict[str, object]:
    return {
        "type": "sampled",
        "name": profile.name,
        "unit": "nanoseconds",
        "startValue": 0,
        "endValue": profile.total_ns,
        "samples": [sample.stack for sample in profile.samples],
        "weights": [sample.ns for sample in profile.samples],
    }


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def _most_to_see(profiles: Sequence[Profile]) -> int:
    """Return the place of the profile to be shown first: the largest is often a single stage that waits."""
    return max(range(len(profiles)), key=lambda place: len(profiles[place].samples), default=0)
