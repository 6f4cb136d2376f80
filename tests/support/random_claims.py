"""Random sessions with claims of every kind, close to what they are about; or of accumulators alone."""

from typing import Any

from hypothesis import strategies as st

from ledger import Event
from ledger.testing import SessionBuilder

_STAGES = st.sampled_from(
    [
        ["torch_compile"],
        ["torch_compile", "dynamo", "graph_compile"],
        ["torch_compile", "aot_load", "model_load"],
    ]
)
_ROLES = st.sampled_from([[None], ["a"], ["a", "b", None]])
_SOURCES = st.sampled_from([["monitor"], ["monitor", "torch"], ["backend", "torch", "log", "engine"]])
_COUNTS = st.sampled_from(["interval", *["addition"] * 3, "total", "total", "ranks"])
_RESOLUTIONS = st.sampled_from([None, 0, 1, 2, 8, 1_000_000])
_OFTEN, _SELDOM = st.sampled_from([True, False]), st.sampled_from([True, *[False] * 4])


@st.composite
def sessions_of_claims(draw: st.DrawFn) -> list[Event]:
    """Return the events of one process or two, with a dozen intervals and claims each."""
    names = draw(st.sampled_from([["p"], ["p", "q"]]))
    return [event for name in names for event in _process(draw, name)]


def _process(draw: st.DrawFn, name: str) -> list[Event]:
    builder = SessionBuilder(process=name)
    if draw(_OFTEN):
        builder.begin(host="host")
    longest_ns = draw(st.sampled_from([12, 40, 10_000_000]))
    times, lengths = st.integers(0, longest_ns), st.integers(-5, 3 * longest_ns)
    stages, roles, sources = draw(_STAGES), draw(_ROLES), draw(_SOURCES)
    ids: list[int] = []
    for _ in range(draw(st.integers(1, 12))):
        start_ns, stop_ns = sorted((draw(times), draw(times)))
        interval = builder.start(
            start_ns, draw(st.sampled_from(stages)), role=draw(st.sampled_from(roles)),
            source=draw(st.sampled_from(sources)), thread=draw(st.sampled_from("ab")),
            component=draw(st.sampled_from([None, "c"])),
        )  # fmt: skip
        builder.stop(stop_ns, interval, draw(st.sampled_from(["completed", "completed", "failed"])))
        ids.append(interval)
    if draw(_OFTEN):
        builder.milestone(draw(times), "engine_ready")
    for _ in range(draw(st.integers(0, 12))):
        counts = draw(_COUNTS)
        data: dict[str, Any] = {}
        if draw(_SELDOM):
            data["range"] = draw(st.sampled_from("xy"))
        if draw(_SELDOM):
            data["intervals"] = draw(st.lists(st.sampled_from(ids), max_size=4))
        if counts == "total" and draw(_OFTEN):
            data["adds_up"] = {stage: draw(st.integers(1, 6)) for stage in stages}
        if counts == "total" and draw(_SELDOM):
            data["within"] = [[draw(st.sampled_from(ids)), draw(times), draw(times)]]
        is_named = counts in ("interval", "addition") and "intervals" not in data and draw(_OFTEN)
        claimed_ns = draw(st.one_of(st.just(0), times, times, lengths))
        builder.claim(
            draw(times), claimed_ns, source=draw(st.sampled_from(sources)), counts=counts,
            stage=draw(st.sampled_from([*stages, None])), role=draw(st.sampled_from(roles)),
            component=draw(st.sampled_from([None, None, "c"])),
            interval=draw(st.sampled_from(ids)) if is_named else None, resolution_ns=draw(_RESOLUTIONS),
            text=draw(st.sampled_from([None, "took"])), data=data or None,
        )  # fmt: skip
    return builder.events


@st.composite
def sessions_of_running_totals(draw: st.DrawFn) -> list[Event]:
    """Return the events of a process that reads its accumulators again and again, while it adds to them."""
    builder = SessionBuilder(process="p")
    builder.begin(host="host")
    longest_ns = draw(st.sampled_from([12, 10_000_000]))
    roles, resolutions = draw(_ROLES), draw(st.sampled_from([[None], [1], [0, 8]]))
    sources = draw(st.sampled_from([["monitor"], ["monitor", "torch"]]))
    lengths, seldom_off = st.integers(0, longest_ns), st.sampled_from([0, 0, 0, 1, -1, 3, longest_ns])
    at_ns = held_ns = 0
    for _ in range(draw(st.integers(1, 12))):
        start_ns = max(0, at_ns + draw(st.sampled_from([1, 4, longest_ns, 0, -3])))
        stop_ns = start_ns + draw(lengths)
        known: dict[str, Any] = {
            "source": draw(st.sampled_from(sources)),
            "role": draw(st.sampled_from(roles)),
        }
        interval = builder.start(start_ns, "torch_compile", **known)
        builder.stop(stop_ns, interval, draw(st.sampled_from(["completed", "completed", "failed"])))
        at_ns = max(at_ns, stop_ns)
        if draw(_OFTEN):
            number_ns = stop_ns - start_ns + draw(seldom_off)
            builder.claim(
                max(0, stop_ns + draw(seldom_off)), number_ns, counts="addition", interval=interval,
                resolution_ns=draw(st.sampled_from(resolutions)), **known,
                data={"range": "x"} if longest_ns == 12 and not draw(st.integers(0, 5)) else None,
            )  # fmt: skip
            held_ns += number_ns
        for _ in range(draw(st.integers(0, 2))):
            builder.claim(
                max(0, at_ns + draw(seldom_off)), held_ns + draw(seldom_off), source="engine",
                counts=draw(st.sampled_from(["total", "total", "ranks"])),
                role=draw(st.sampled_from([None, *roles])),
                resolution_ns=draw(st.sampled_from(resolutions)),
            )  # fmt: skip
    if draw(_OFTEN):
        builder.milestone(draw(st.integers(0, at_ns)), "engine_ready")
    return builder.events
