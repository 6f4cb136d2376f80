"""Prometheus' text format: a HELP and a TYPE line for each metric, and a line for each sample.

https://prometheus.io/docs/instrumenting/exposition_formats/. Samples have no timestamps, which the textfile
collector would refuse.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

_NOT_IN_A_NAME: Final = re.compile(r"[^a-zA-Z0-9_]")
_NS_PER_S: Final = 1_000_000_000


class Sample(NamedTuple):
    """One value of a metric."""

    labels: Mapping[str, str]
    value: str


def metric_lines(name: str, description: str, samples: Sequence[Sample]) -> str:
    """Return a metric's lines, all of them gauges. Without samples it has none."""
    if not samples:
        return ""
    head = [f"# HELP {name} {_escaped_help(description)}", f"# TYPE {name} gauge"]
    return "\n".join([*head, *(_line(name, sample) for sample in samples), ""])


def seconds(ns: int) -> str:
    """Return nanoseconds as seconds, exactly."""
    whole, rest = divmod(ns, _NS_PER_S)
    return f"{whole}.{rest:09}".rstrip("0").rstrip(".")


def label_name(text: str) -> str:
    """Return a text as the name of a label: ASCII letters, digits and underscores, no digit first."""
    name = _NOT_IN_A_NAME.sub("_", text)
    return f"_{name}" if name[:1].isdigit() else name


def _line(name: str, sample: Sample) -> str:
    labels = ",".join(f'{label}="{_escaped_value(value)}"' for label, value in sample.labels.items())
    return f"{name}{{{labels}}} {sample.value}"


def _escaped_help(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n")


def _escaped_value(text: str) -> str:
    # Control characters are valid. But a NUL ends the text for readers that are written in C, and a terminal
    # obeys others.
    seen = "".join(one if one.isprintable() or one == "\n" else "\N{REPLACEMENT CHARACTER}" for one in text)
    return _escaped_help(seen).replace('"', r"\"")
