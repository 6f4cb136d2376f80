"""A log that was cut, or whose pages are in another order, says of what is left the same as the whole."""

import json
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from itertools import accumulate
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from ledger import SessionStarted, TotalClaimed, reduce
from ledger.interchange.unwrapping import unwrapped
from tests.support.reading_logs import LOGS, S, line, read

BEGINS = datetime(2026, 11, 22, 9, 0, tzinfo=timezone.utc)
ENGINE, SERVER = "(EngineCore pid=61) ", "(APIServer pid=1) "
INIT = "init engine (profile, create kv cache, warmup model) took {} s (compilation: {} s)"
SLOW = [HealthCheck.too_slow, HealthCheck.filter_too_much]


class Start(NamedTuple):
    """A start as a log has it."""

    lines: Sequence[str]
    weights_s: float
    compile_s: float
    init_s: float
    has_introduction: bool


@st.composite
def starts(draw: st.DrawFn, at_s: int = 0) -> Start:
    """A cold or a warm start, in the words of some version, with numbers that its stamps allow."""
    hundredths = st.integers(100, 3_000)
    weights, dynamo, graph, rest = (draw(hundredths) / 100 for _ in range(4))
    compiled = round(dynamo + graph, 2)
    init = round(compiled + rest + 2, 2)
    has_introduction = draw(st.booleans())
    ends = list(accumulate((1, weights + 2, 1, dynamo, graph, 1, rest + 2, 1), initial=at_s + 5.0))
    at = [f"{BEGINS + timedelta(seconds=int(second)):%H:%M:%S}" for second in ends]
    introduction = [
        line("vLLM API server version 0.22.0", at[0], SERVER),
        line("Initializing a V1 LLM engine (v0.22.0) with config: model='m'", at[1], ENGINE),
    ]
    lines = [
        *(introduction if has_introduction else []),
        line(f"Loading weights took {weights:.2f} seconds", at[2], ENGINE),
        line(f"Model loading took 3.50 GiB memory and {weights + 0.5:.6f} seconds", at[3], ENGINE),
        line(f"Dynamo bytecode transform time: {dynamo:.2f} s", at[4], ENGINE),
        line(f"Compiling a graph for compile range (1, 8192) takes {graph:.2f} s", at[5], ENGINE),
        line(f"torch.compile took {compiled:.2f} s in total", at[6], ENGINE),
        line(INIT.format(f"{init:.2f}", f"{compiled:.2f}"), at[7], ENGINE),
        line("Starting vLLM server on http://0.0.0.0:8000", at[8], SERVER),
    ]
    return Start(lines, weights, compiled, init, has_introduction)


@st.composite
def logs(draw: st.DrawFn, most: int = 4) -> list[Start]:
    """Starts one after the other."""
    return [draw(starts(at_s=number * 600)) for number in range(draw(st.integers(1, most)))]


class Told(NamedTuple):
    """What a log says."""

    claims: Counter[tuple[object, ...]]
    sessions: Sequence[Sequence[tuple[str | None, float]]]
    versions: Sequence[str | None]


def told(lines: Sequence[str], folder: Path) -> Told:
    path = folder / "x.log"
    path.write_text("".join(f"{text}\n" for text in lines))
    unpacked = folder / "unpacked"
    unpacked.mkdir(exist_ok=True)
    [part] = unwrapped(path, "x.log", unpacked)
    imported = read(part.path)
    claims = Counter(
        (one.source, one.stage, one.role, one.component, one.counts, one.claimed_ns, one.text)
        for one in imported.events
        if isinstance(one, TotalClaimed)
    )
    sessions = [
        sorted(
            (one.stage, one.claimed_ns / S)
            for one in session
            if isinstance(one, TotalClaimed)
        )
        for session in imported.sessions
    ]  # fmt: skip
    versions = [
        (one.versions or {}).get("vllm") for one in imported.events if isinstance(one, SessionStarted)
    ]
    return Told(claims, sessions, versions)


def expected(start: Start) -> list[tuple[str | None, float]]:
    return sorted(
        [
            ("weights_load", start.weights_s),
            ("model_load", round(start.weights_s + 0.5, 6)),
            *((("torch_compile", start.compile_s),) * 2),
            ("engine_init", start.init_s),
        ]
    )


def without_parts(session: Sequence[tuple[str | None, float]]) -> list[tuple[str | None, float]]:
    return [one for one in session if one[0] not in ("dynamo", "graph_compile")]


@settings(max_examples=60, deadline=None, suppress_health_check=SLOW)
@given(logs())
def test_each_start_is_a_session_with_its_claims(starts: list[Start]) -> None:
    with TemporaryDirectory() as folder:
        found = told([text for start in starts for text in start.lines], Path(folder))
    assert [without_parts(one) for one in found.sessions] == [expected(start) for start in starts]


@settings(max_examples=60, deadline=None, suppress_health_check=SLOW)
@given(logs(), st.data())
def test_a_cut_takes_away_no_more_than_what_was_cut(starts: list[Start], data: st.DataObject) -> None:
    lines = [text for start in starts for text in start.lines]
    begin = data.draw(st.integers(0, len(lines) - 1))
    end = data.draw(st.integers(begin + 1, len(lines)))
    kept = lines[begin:end]
    with TemporaryDirectory() as folder:
        whole, cut = told(lines, Path(folder)), told(kept, Path(folder))
    of_all, of_kept = _messages(lines), _messages(kept)
    assert cut.claims == Counter(
        {one: count * of_kept[one[-1]] // of_all[one[-1]] for one, count in whole.claims.items()}
    )
    # Every start that is whole in what was kept is told as it was.
    place = 0
    for start in starts:
        is_whole = begin <= place and place + len(start.lines) <= end
        place += len(start.lines)
        if is_whole:
            assert expected(start) in [without_parts(one) for one in cut.sessions]


@settings(max_examples=40, deadline=None, suppress_health_check=SLOW)
@given(logs(3))
def test_the_newest_line_first_says_the_same(starts: list[Start]) -> None:
    lines = [text for start in starts for text in start.lines]
    with TemporaryDirectory() as folder:
        assert told(lines[::-1], Path(folder)) == told(lines, Path(folder))


@settings(max_examples=60, deadline=None, suppress_health_check=SLOW)
@given(logs(3), st.integers(1, 7), st.data())
def test_pages_of_records_in_any_order_say_the_same(
    starts: list[Start], size: int, data: st.DataObject
) -> None:
    lines = [text for start in starts for text in start.lines]
    records = [
        json.dumps(
            {"timestamp": f"{BEGINS + timedelta(seconds=number):%Y-%m-%dT%H:%M:%S}Z", "line": text}
        )
        for number, text in enumerate(lines)
    ]  # fmt: skip
    pages = [records[at : at + size] for at in range(0, len(records), size)]
    shuffled = [one for page in data.draw(st.permutations(pages)) for one in page]
    with TemporaryDirectory() as folder:
        assert told(shuffled, Path(folder)) == told(records, Path(folder)) == told(lines, Path(folder))


@pytest.mark.parametrize("name", ["vllm-0.24.0-h200-llama-cold", "vllm-0.32.0-cpu-vl-cold"])
@settings(max_examples=25, deadline=None, suppress_health_check=SLOW)
@given(data=st.data())
def test_a_real_log_cut_anywhere_keeps_its_claims(name: str, data: st.DataObject) -> None:
    lines = (LOGS / f"{name}.log").read_text().splitlines()
    begin = data.draw(st.integers(0, len(lines) - 1))
    kept = lines[begin : data.draw(st.integers(begin + 1, len(lines)))]
    assume(any(" INFO " in text for text in kept))
    with TemporaryDirectory() as folder:
        whole, cut = told(lines, Path(folder)), told(kept, Path(folder))
        # No claim is of two minds about how long it took, wherever it was cut.
        timelines = [reduce(session) for session in read(Path(folder) / "x.log").sessions]
    # A bar is dated by the stamps around it.
    stated = {claim[-1] for claim in whole.claims if "100%" not in str(claim[-1])}
    assert {claim[-1] for claim in cut.claims} - {claim[-1] for claim in whole.claims} == set()
    assert {claim[-1] for claim in cut.claims} >= {text for text in stated if _is_in(text, kept)}
    assert all((one.duration_ns or 0) >= 0 for timeline in timelines for one in timeline.intervals)


def _messages(lines: Sequence[str]) -> Counter[object]:
    return Counter(text.partition("] ")[2] for text in lines)


def _is_in(message: object, lines: Sequence[str]) -> bool:
    return any(str(message) in text for text in lines)
