"""Results of `vllm bench startup`, printed and as JSON: made-up measurements, written by vLLM 0.33's code."""

from pathlib import Path

import pytest

from ledger import Event, GapNoted, SessionStarted, TotalClaimed, reduce
from ledger.adapters import UnreadLine
from ledger_vllm_bench import BenchImporter
from tests.support.paths import DATA

RESULTS = DATA / "vllm_bench"
OLD = """COLD STARTUP:
Avg total startup time: 68.47 seconds
Avg compilation time:   30.69 seconds
Startup time percentiles:
  10%: 68.47 seconds
"""


def read(path: Path) -> list[Event]:
    items = list(BenchImporter().read(path, lambda _: None))
    assert not [item for item in items if isinstance(item, UnreadLine)]
    return [item for item in items if not isinstance(item, UnreadLine)]


def claims(path: Path, label: str) -> list[tuple[str | None, str | None, float]]:
    found = read(path)
    [session] = [e.session for e in found if isinstance(e, SessionStarted) and e.label == label]
    of_it = [e for e in found if isinstance(e, TotalClaimed) and e.session == session]
    return [(claim.stage, claim.role, claim.claimed_ns / 1e9) for claim in of_it]


def test_each_start_of_a_json_result_is_a_session_of_claims() -> None:
    found = read(RESULTS / "startup.json")
    labels = [event.label for event in found if isinstance(event, SessionStarted)]
    assert labels == ["cold-1", "cold-2", "warm-1", "warm-2"]
    assert claims(RESULTS / "startup.json", "cold-2") == [
        ("startup", None, 53.5644),
        ("torch_compile", "language_model", 28.2124),
        ("torch_compile", "encoder", 3.5),
    ]


@pytest.mark.parametrize("name", ["startup.json", "startup.txt"])
def test_a_result_has_no_intervals_and_says_so(name: str) -> None:
    found = read(RESULTS / name)
    for session in {event.session for event in found}:
        timeline = reduce(event for event in found if event.session == session)
        assert timeline.intervals == ()
        assert {one.main_cause for one in timeline.reconciliation} == {"unmatched"}
    assert all("no time stamps" in (e.detail or "") for e in found if isinstance(e, GapNoted))


def test_a_printed_result_states_averages_and_percentiles_of_each_kind_of_start() -> None:
    # (48.1816 + 53.5644) / 2, and six percentiles of each of three times.
    assert claims(RESULTS / "startup.txt", "cold")[0] == ("startup", None, 50.87)
    assert len(claims(RESULTS / "startup.txt", "cold")) == 3 * 7


def test_the_wording_before_the_encoders_is_read(tmp_path: Path) -> None:
    path = tmp_path / "printed.txt"
    path.write_text(f"STARTUP TIME BENCHMARK RESULTS\n{OLD}")
    assert claims(path, "cold") == [
        ("startup", None, 68.47),
        ("torch_compile", "language_model", 30.69),
        ("startup", None, 68.47),
    ]


def test_a_result_among_the_engines_own_lines_is_left_to_the_reader_of_logs() -> None:
    line = b"INFO 11-22 09:18:02 [monitor.py:53] torch.compile took 16.77 s in total\n"
    head = line + (RESULTS / "startup.txt").read_bytes()
    assert not BenchImporter().recognises(RESULTS / "startup.txt", head)
