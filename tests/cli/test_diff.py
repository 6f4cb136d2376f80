"""`compile-ledger diff` as a user runs it: what it answers, which sessions it takes, and what it refuses."""

import io
import json
from collections.abc import Iterable
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from ledger import Event, Ledger, LedgerError, parse_event
from ledger.analysis.cache_origins import KeyPart, Origins, Part
from ledger.analysis.cohorts import sides
from ledger.analysis.comparison import compare
from ledger.cli import app
from ledger.cli.console.printing import print_warning
from ledger.cli.diff import print_comparison
from ledger.events.rows import to_row
from ledger.storage.projections import bring_up_to_date
from ledger.storage.store import Store
from ledger.testing import SessionBuilder
from tests.support.paths import DATA
from tests.support.starts import kept, slowed

S = 1_000_000_000


def diff(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["diff", *map(str, arguments)])


def printed(*arguments: str | Path) -> str:
    result = diff(*arguments)
    assert result.exception is None, result.exception
    return result.stdout


def test_diff_says_where_unread_lines_could_change_its_answer(tmp_path: Path) -> None:
    begins = "INFO 03-22 12:15:20 [core.py:53] Initializing a V1 LLM engine (v0.8.1) with config: model='m'\n"
    loads = "INFO 03-22 12:23:50 [loader.py:429] Loading weights took 0.50 seconds\n"
    unread = "INFO 03-22 12:23:50 [x.py:1] Something new took 500.50 seconds\n"
    ledger = tmp_path / "a.db"
    for name, text in (("warm.log", begins + loads), ("cold.log", begins + loads + 2 * unread)):
        (tmp_path / name).write_text(text)
        shown = CliRunner().invoke(app, ["import", str(tmp_path / name), "-o", str(ledger)])
        assert shown.exception is None
    lines = printed("warm.log", "cold.log", "--ledger", ledger).splitlines()
    assert lines[1] == "2 lines of B could not be read (see rejected_lines), and no time in them is compared"
    found = json.loads(printed("warm.log", "cold.log", "--ledger", ledger, "--json"))
    assert (found["a"]["unread_lines"], found["b"]["unread_lines"]) == (0, 2)
    report = CliRunner().invoke(app, ["report", str(ledger), "--section", "gaps"]).stdout
    report = " ".join(report.split())
    assert "2 lines in this ledger could not be read; see rejected_lines" in report
    assert "cold.log, line 3: mentions a duration in an unknown wording: Something new took" in report


def refusal(*arguments: str | Path) -> str:
    result = diff(*arguments)
    assert isinstance(result.exception, LedgerError)
    assert "\n" not in str(result.exception)
    return str(result.exception)


def write(file: Path, events: Iterable[Event]) -> Path:
    store = Store.open(file)
    with store.transaction():
        store.append([to_row(event) for event in events])
    bring_up_to_date(store)
    store.close()
    return file


def session(
    name: str, label: str, ns: int = S, *, is_ready: bool = False, outcome: str | None = None
) -> list[Event]:
    """A session that ends so, or is still running."""
    builder = SessionBuilder(name)
    builder.begin(label=label)
    builder.stop(ns, builder.start(0, "torch_compile", role="encoder", component="Block", source="monitor"))
    if is_ready:
        builder.milestone(ns, "engine_ready")
    if outcome is not None:
        builder.end(ns, outcome)  # type: ignore[arg-type]
    return builder.events


@pytest.fixture(scope="module")
def vllm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    lines = (DATA / "vllm.jsonl").read_bytes().splitlines()
    return write(tmp_path_factory.mktemp("vllm") / "vllm.db", map(parse_event, lines))


@pytest.fixture(scope="module")
def starts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    events = [event for label in ("cold", "warm") for start in kept(label) for event in start]
    return write(tmp_path_factory.mktemp("starts") / "starts.db", events)


def test_diff_of_a_real_cold_and_a_warm_start_of_vllm_says_what_was_loaded_instead_of_compiled(
    vllm: Path,
) -> None:
    text = printed("vllm cold", "vllm warm", "-l", vllm)
    first, second, *_ = text.splitlines()
    assert first.startswith(
        "B (vllm warm) is faster than A (vllm cold), though so few sessions can't rule out chance: "
    )
    assert second == (
        "In A compiled, in B loaded: encoder Qwen2_5_VisionBlock, encoder Qwen2_5_VisionPatchEmbed, "
        "encoder Qwen2_5_VisionPatchMerger, language_model backbone"
    )
    assert "It takes 5 on each side to test the " in text
    assert "gone" in text


def test_diff_of_several_real_starts_tests_them(starts: Path) -> None:
    text = printed("warm", "cold", "-l", starts)
    assert text.startswith("B (cold) is slower than A (warm): startup of the whole process by ")
    assert "In A loaded, in B compiled: encoder VisionEncoder, language_model DecoderLM\n" in text
    assert "A is warm: 24 sessions, " in text
    assert "Tested: the 3 rows that may differ by 50 ms" in text


def test_diff_finds_a_slowdown_in_one_component_of_real_starts(tmp_path: Path) -> None:
    before, after = kept("warm")[0::2], kept("warm")[1::2]
    write(tmp_path / "before.db", [event for start in before for event in start])
    write(tmp_path / "after.db", [event for start in after for event in slowed(start, "DecoderLM", S)])
    first, *_ = printed(*(f"{tmp_path / name}:warm" for name in ("before.db", "after.db"))).splitlines()
    assert "slower" in first
    assert "compile of language_model by " in first
    assert "encoder" not in first


def test_equal_real_starts_do_not_differ(tmp_path: Path) -> None:
    files = [tmp_path / "a.db", tmp_path / "b.db"]
    for offset, file in enumerate(files):
        write(file, [event for start in kept("warm")[offset::2] for event in start])
    first = printed(*(f"{file}:warm" for file in files)).splitlines()[0]
    assert first.startswith("Nothing differs between A (")
    assert first.endswith(") beyond the spread")


def test_diff_as_json_has_every_row_and_the_rule(starts: Path) -> None:
    found = json.loads(printed("warm", "cold", "-l", starts, "--json"))
    assert found["answer"].startswith("B (cold) is slower")
    assert (len(found["a"]["sessions"]), len(found["b"]["sessions"])) == (24, 6)
    rows = {(row["role"], row["activity"]): row for row in found["role_totals"]}
    encoder = rows["encoder", "compile"]
    assert (encoder["verdict"], encoder["is_real"]) == ("slower", True)
    assert encoder["difference_ns"] == encoder["b"]["median_ns"] - encoder["a"]["median_ns"]
    assert 0 < encoder["p"] < found["real_is"]["max_p"]
    assert {"role": "encoder", "component": "VisionEncoder", "a": {"loaded": 24}, "b": {"compiled": 6}} in (
        found["other_ways"]
    )
    assert {row["stage"] for row in found["stages"]} >= {"torch_compile", "warmup"}


def test_a_side_is_a_label_an_id_a_file_or_a_name_in_a_file(
    vllm: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Ledger.open(vllm) as ledger:
        cold, warm = ledger.sessions()
    for a, b in (("vllm cold", vllm), (cold, f"{vllm}:{warm}"), (f"{vllm}:vllm cold", f"{vllm}:")):
        of_a, of_b = sides(str(a), str(b), vllm, on_open=print_warning)
        assert (of_a.sessions, of_b.sessions) == ((cold,), (warm,))
    monkeypatch.chdir(vllm.parent)
    assert "A is vllm.db:vllm cold: " in printed("vllm.db:vllm cold", "vllm.db")


def test_sessions_that_did_not_come_to_their_end_are_left_out_and_named(tmp_path: Path) -> None:
    events = [
        *session("1-good", "before", S, outcome="completed"),
        *session("2-failed", "before", S, outcome="failed"),
        *session("3-running", "before", S),
        *session("4-ready", "before", S, is_ready=True),
        *session("5-served", "before", S, is_ready=True, outcome="failed"),
        *session("6-after", "after", 2 * S, outcome="completed"),
    ]
    file = write(tmp_path / "startup.db", events)
    text = printed("before", "after", "-l", file)
    assert "A is before: 3 sessions, 1-good to 5-served" in text
    assert "  not included: 2-failed failed, and has not become ready\n" in text
    assert "  not included: 3-running is running, and has not become ready\n" in text
    left_out = json.loads(printed("before", "after", "-l", file, "--json"))["a"]["left_out"]
    assert [each["session"] for each in left_out] == ["2-failed", "3-running"]
    refused = refusal("2-failed", "after", "-l", file)
    assert refused.endswith("; 2-failed failed, and has not become ready")


def test_imported_logs_do_not_say_how_they_ended_and_are_compared(tmp_path: Path) -> None:
    file = tmp_path / "logs.db"
    logs = sorted((DATA / "logs").glob("vllm-0.32.0-cpu-*-cold.log"))
    CliRunner().invoke(app, ["import", *map(str, logs), "-o", str(file)])
    with Ledger.open(file) as ledger:
        a, b = ledger.sessions()
    assert "(" in printed(a, b, "-l", file)


def test_other_versions_are_told(tmp_path: Path) -> None:
    versions = {"before": {"torch": "2.12.0"}, "after": {"torch": "2.13.0"}}
    events = [
        event.model_copy(update={"versions": versions[label]}) if event.kind == "session_started" else event
        for label in versions
        for event in session(label, label, outcome="completed")
    ]
    text = printed("before", "after", "-l", write(tmp_path / "startup.db", events))
    assert text.startswith("Nothing differs between A (before) and B (after) by at least 5 % and 50 ms\n")
    assert "In A torch 2.12.0, in B 2.13.0" in text


def test_what_can_not_be_compared_is_refused_in_one_line(
    vllm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "is on both sides" in refusal("vllm cold", "vllm cold", "-l", vllm)
    assert "no session 'nightly'" in refusal("nightly", "vllm cold", "-l", vllm)
    assert "nightly: no such file, and no ledger startup.db" in refusal("nightly", "vllm cold")
    (tmp_path / "text.db").write_text("no ledger" * 1000)
    assert "text.db" in refusal("text.db", vllm)


def test_what_only_some_sessions_loaded_and_other_keys_are_told(tmp_path: Path) -> None:
    events = [event for name in "123" for event in session(name, name, outcome="completed")]
    a, b = sides("1", "2", write(tmp_path / "startup.db", events), on_open=print_warning)
    block, key = Part("encoder", "Block"), KeyPart("Block", "code_hash")
    variables = [KeyPart(None, f"VLLM_{number:02}") for number in range(12)]
    of_a = Origins({block: "loaded"}, {key: frozenset("x"), **dict.fromkeys(variables, frozenset("x"))})
    of_b = Origins({block: "loaded"}, {key: frozenset("y"), **dict.fromkeys(variables, frozenset("y"))})
    compiled = of_b._replace(ways={block: "compiled"})
    a, b = a._replace(origins=(of_a,)), b._replace(origins=(of_b, of_b, compiled))
    text = io.StringIO()
    print_comparison(a, b, compare(a.timelines, b.timelines), Console(file=text, width=1000))
    lines = text.getvalue().splitlines()
    assert lines[1] == "In A loaded, in B loaded in 2 and compiled in 1 of 3 sessions: encoder Block"
    assert lines[2].startswith("Different among the variables in the cache key: VLLM_00, VLLM_01, ")
    assert lines[2].endswith(", VLLM_09, and 2 more")
    assert lines[3] == "Different in the cache key of Block: code_hash"


@pytest.mark.parametrize("width", [80, 200])
def test_no_line_is_wider_than_the_terminal(vllm: Path, starts: Path, width: int) -> None:
    for file, a, b in ((vllm, "vllm cold", "vllm warm"), (starts, "warm", "cold")):
        of_a, of_b = sides(a, b, file, on_open=print_warning)
        text = io.StringIO()
        console = Console(file=text, width=width, force_terminal=True, color_system=None)
        print_comparison(of_a, of_b, compare(of_a.timelines, of_b.timelines), console)
        assert max(map(len, text.getvalue().splitlines())) <= width
        assert ("range" in text.getvalue()) == (width == 200 and file == starts)
