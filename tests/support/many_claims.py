"""Sessions of many claims, and of many intervals that they are about: each of a kind that took minutes."""

from collections.abc import Callable
from typing import Final

from ledger import Event
from ledger.testing import SessionBuilder

_MS: Final = 1_000_000
_LAST_NS: Final = 1_000_000_000_000


def of_components(number: int) -> list[Event]:
    """Each claim is of another component."""
    builder = _begun()
    for place in range(number):
        start_ns, component = place * 20 * _MS, f"component_{place}"
        _stage(builder, start_ns, 10 * _MS, component=component)
        builder.claim(start_ns + 10 * _MS, 10 * _MS, source="backend", component=component, resolution_ns=1)
    return builder.events


def of_roles(number: int) -> list[Event]:
    """Each claim is of the total of another role."""
    builder = _begun()
    for place in range(number):
        _stage(builder, place * 20 * _MS, 10 * _MS, role=f"role_{place}")
        builder.claim(
            _LAST_NS, 8 * _MS, source="engine", counts="total", role=f"role_{place}", resolution_ns=1
        )
    return builder.events


def of_one_whole(number: int) -> list[Event]:
    """All claims are about one interval with as many pieces, and each leaves something of its end out."""
    builder = _begun()
    whole = builder.start(0, "model_load", source="engine")
    for place in range(number):
        _stage(builder, place * 20 * _MS, 10 * _MS, stage="weights_load")
    builder.stop(number * 20 * _MS, whole)
    for place in range(number):
        builder.claim(
            number * 20 * _MS, number * 20 * _MS - 3 * _MS - place, source="backend", counts="addition",
            stage="model_load", interval=whole, resolution_ns=1,
        )  # fmt: skip
    return builder.events


def in_one_total(number: int) -> list[Event]:
    """One claim is of a total that holds half of what was measured, the rest of it in pieces."""
    builder = _begun()
    for place in range(number // 4):
        start_ns = place * 100 * _MS
        whole = builder.start(start_ns, "torch_compile", source="monitor")
        for inside, stage in enumerate(("dynamo", "backend_compile", "graph_split")):
            _stage(builder, start_ns + 25 * inside * _MS, 20 * _MS, stage=stage)
        builder.stop(start_ns + 90 * _MS, whole)
        if place % 2:
            builder.claim(
                start_ns + 90 * _MS, 90 * _MS, source="monitor", counts="addition", interval=whole,
                resolution_ns=1,
            )  # fmt: skip
    builder.claim(_LAST_NS, number * 10 * _MS, source="engine", counts="total", resolution_ns=1)
    return builder.events


def of_one_length(number: int) -> list[Event]:
    """All claims were logged at the end, and each is about the last interval that none before it took."""
    builder = _begun()
    for place in range(number):
        _stage(builder, place * 20 * _MS, 10 * _MS)
    for _ in range(number):
        builder.claim(_LAST_NS, 8 * _MS, source="backend", resolution_ns=1)
    return builder.events


def in_running_totals(number: int) -> list[Event]:
    """One accumulator, which is read after each ten additions, and twice as often in the end.

    What each claim leaves out is shown by all that comes after it, so that what all of them say grows as the
    square of their number.
    """
    builder = _begun()
    for place in range(number):
        stop_ns = place * 20 * _MS + 10 * _MS
        whole = builder.start(stop_ns - 10 * _MS, "torch_compile", source="monitor")
        builder.stop(stop_ns, whole)
        builder.claim(
            stop_ns, 10 * _MS + place % 2_000, source="monitor", counts="addition", interval=whole,
            resolution_ns=1,
        )  # fmt: skip
        if place % 10 == 9:
            held_ns = (place + 1) * 10 * _MS
            builder.claim(stop_ns, held_ns, source="engine", counts="total", resolution_ns=1)
    for place in range(number // 5):
        builder.claim(_LAST_NS, number * 10 * _MS - place, source="engine", counts="total", resolution_ns=1)
    return builder.events


def in_running_maxima(number: int) -> list[Event]:
    """The same of an engine's lines, which are of a whole, and too large: each of them looks at all ranks."""
    builder = _begun()
    for place in range(number):
        stop_ns = place * 20 * _MS + 10 * _MS
        whole = builder.start(stop_ns - 10 * _MS, "torch_compile", source="monitor")
        builder.stop(stop_ns, whole)
        builder.claim(stop_ns, 10 * _MS, source="monitor", counts="addition", interval=whole, resolution_ns=1)
        builder.claim(stop_ns, 10 * _MS, source="engine", interval=whole, text="took")
        if place % 10 == 9:
            held_ns = (place + 1) * 10 * _MS
            builder.claim(stop_ns, 7 * held_ns, source="engine", counts="ranks", text="took", resolution_ns=1)
    return builder.events


KINDS: Final[tuple[Callable[[int], list[Event]], ...]] = (
    of_components, of_roles, of_one_whole, in_one_total, of_one_length,
)  # fmt: skip
"""Each makes a session of about so many intervals."""


def _begun() -> SessionBuilder:
    builder = SessionBuilder(process="worker")
    builder.begin(host="host")
    return builder


def _stage(
    builder: SessionBuilder,
    start_ns: int,
    length_ns: int,
    *,
    stage: str = "torch_compile",
    role: str | None = None,
    component: str | None = None,
) -> None:
    interval = builder.start(start_ns, stage, source="monitor", role=role, component=component)
    builder.stop(start_ns + length_ns, interval)
