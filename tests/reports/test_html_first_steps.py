"""What a page shows first: the breakdown, the waterfall, findings and compilations, with intervals' names."""

import json
from collections import Counter

import pytest

from ledger import Ledger
from ledger.durations import seconds
from ledger.reports.html import Subject, page, subject_of
from ledger.reports.html.breakdown import NOBODY, breakdown_bars
from ledger.reports.html.families import FAMILIES
from ledger.reports.html.found import SHOWN
from ledger.reports.html.waterfall import waterfall
from ledger.reports.interval_names import IntervalNames
from ledger.testing import MemoryLedger, SessionBuilder
from tests.reports.test_html import SECOND, SESSIONS, Read, kept, rows_of
from tests.support.found import finding, seven_findings, with_findings
from tests.support.gpu_starts import gpu_events

US = 1_000
GPU_STARTS = [("tp2-cold", "tp2-cold"), ("dp2", "dp2-serve-cold"), ("fails", "fails-length")]


@pytest.fixture(scope="module")
def subjects() -> dict[str, Subject]:
    ledgers: dict[str, Ledger] = {name: kept(name) for name in ("demo", "vllm", "compilations")}
    found = {session: subject_of(ledgers[name], session) for name, session in SESSIONS}
    found["compilations"] = subject_of(ledgers["compilations"], ledgers["compilations"].session())
    for recording, label in GPU_STARTS:
        ledger = MemoryLedger(gpu_events(recording)[label])
        found[label] = subject_of(ledger, ledger.session())
    return found


ALL = [*(session for _, session in SESSIONS), "compilations", *(label for _, label in GPU_STARTS)]


@pytest.mark.parametrize("name", ALL)
def test_the_pieces_of_a_bar_add_up_to_its_window(subjects: dict[str, Subject], name: str) -> None:
    subject = subjects[name]
    bars = breakdown_bars(subject)
    assert bars
    for bar in bars:
        assert sum(piece.ns for piece in bar.pieces) == bar.window.duration_ns
        holes = [piece.ns for piece in bar.pieces if piece.family == NOBODY]
        assert sum(holes) == bar.window.unattributed_ns
        for piece in bar.pieces:
            assert piece.longest is None or piece.longest in subject.intervals


def test_torchs_own_stages_count_as_what_encloses_them(subjects: dict[str, Subject]) -> None:
    [bar] = breakdown_bars(subjects["vllm cold"])
    names = [piece.name for piece in bar.pieces]
    assert "graph_compile [encoder]" in names
    assert not [name for name in names if name.startswith("compile_file")]
    [compiling] = [piece for piece in bar.pieces if piece.name == "graph_compile [encoder]"]
    assert compiling.inside.startswith("compile_file ")
    [imports] = [piece for piece in bar.pieces if piece.family == "import"]
    assert imports.inside.startswith("torch ")


@pytest.mark.parametrize("name", ALL)
def test_every_interval_is_in_the_waterfall_where_it_was(subjects: dict[str, Subject], name: str) -> None:
    subject = subjects[name]
    drawn = waterfall(subject)
    begin_ns = subject.timeline.startup_windows[0].start_ns
    found: Counter[tuple[str, int, int, int]] = Counter()
    for lane, columns in zip(drawn.lanes["processes"], drawn.intervals["processes"], strict=True):
        at = 0
        for start, length, interval in zip(
            columns["start"], columns["length"], columns["interval"], strict=True
        ):
            at += start
            found[lane["id"], interval, at, length] += 1
    expected = Counter(
        (
            one.process,
            one.interval,
            (one.start_ns + subject.lives.offset_ns[one.process] - begin_ns) // US,
            (subject.stop_ns(one) - one.start_ns) // US,
        )
        for one in subject.timeline.intervals
    )
    assert found == expected


def test_a_lane_begins_with_its_process_and_imports_of_a_package_are_one(
    subjects: dict[str, Subject],
) -> None:
    subject = subjects["vllm cold"]
    lanes = waterfall(subject).lanes
    by_name = {lane["name"]: lane for lane in lanes["processes"]}
    assert list(by_name)[:2] == ["compile-ledger", "start.py"]
    assert next(name for name in by_name if name.startswith("python ")) == "python pid 18121"
    began = {life.process: life.began_ns for life in subject.lives.processes}
    first_ns = subject.timeline.startup_windows[0].start_ns
    for lane in lanes["processes"]:
        assert lane["began"] == (began[lane["id"]] - first_ns) // US
        assert min(lane["stages"]["start"], default=lane["began"]) >= lane["began"]
    front_end = by_name["start.py"]
    stages = [lanes["names"][name] for name in front_end["stages"]["name"]]
    assert stages == ["interpreter_start", "import vllm", "front_end_start"]
    outermost = [
        one
        for one in subject.timeline.intervals
        if one.process == front_end["id"] and one.enclosing is None and one.stage == "import"
    ]
    assert len(outermost) == 2  # vllm, and vllm.entrypoints.llm
    waits = [lanes["names"][name] for name in front_end["waits"]["name"]]
    assert waits == ["waiting for the model's class", "waiting for the engine"]
    assert {FAMILIES[family] for family in front_end["waits"]["family"]} == {"waiting"}


def test_holes_are_what_no_interval_of_the_process_covers() -> None:
    builder = SessionBuilder()
    builder.begin(label="holes")
    outer = builder.start(2 * SECOND, "model_load")
    builder.stop(3 * SECOND, builder.start(2 * SECOND, "weights_load"))
    builder.stop(4 * SECOND, outer)
    builder.stop(9 * SECOND, builder.start(7 * SECOND, "tokenizer_load"))
    builder.milestone(10 * SECOND, "server_ready")
    builder.stop(13 * SECOND, builder.start(12 * SECOND, "warmup"))
    builder.end(15 * SECOND)
    [lane] = waterfall(subject_of(MemoryLedger(builder.events), "session")).lanes["processes"]
    second = SECOND // US
    assert lane["holes"] == [[0, 2 * second], [4 * second, 3 * second], [9 * second, second]]
    assert (lane["after"], lane["ended"]) == (10 * second, 15 * second)


@pytest.mark.parametrize("name", ["vllm cold", "dp2-serve-cold"])
def test_what_waits_for_the_command_has_the_holes_that_the_breakdown_charges_to_it(
    subjects: dict[str, Subject], name: str
) -> None:
    subject = subjects[name]
    [recorder, *_] = waterfall(subject).lanes["processes"]
    assert recorder["name"] == "compile-ledger"
    assert recorder["after"] == 0
    pieces = [
        piece
        for piece in subject.timeline.startup_breakdown
        if piece.process == recorder["id"] and piece.interval is None
    ]
    assert sum(length for _, length in recorder["holes"]) == pytest.approx(
        sum(piece.duration_ns for piece in pieces) / US, abs=len(pieces)
    )
    assert (sum(piece.duration_ns for piece in pieces) > 70 * SECOND) == (name == "dp2-serve-cold")


def test_intervals_are_called_by_what_they_compile(subjects: dict[str, Subject]) -> None:
    timeline = subjects["compilations"].timeline
    names = IntervalNames(timeline)
    of_dynamo = [names(one) for one in timeline.intervals if one.stage == "dynamo"]
    assert "dynamo [3/1] scaled <path-2>:34" in of_dynamo
    compiled = {(one.process, one.interval): (one.compile_id, one.function) for one in timeline.compilations}
    for one in timeline.intervals:
        if (one.process, one.interval) in compiled:
            compile_id, function = compiled[one.process, one.interval]
            assert compile_id is None or f"[{compile_id}]" in names(one)
            assert function is None or function in names(one)
    assert any(name.startswith("compile_file [0/0] forward ") for name in map(names, timeline.intervals))
    labels = [
        row["label"]
        for row in rows_of(Read(page([subjects["compilations"]])).data, "a-timeline", "intervals")
    ]
    assert "dynamo [3/1] scaled <path-2>:34" in labels


def test_of_many_findings_five_are_shown_and_the_others_are_folded(subjects: dict[str, Subject]) -> None:
    text = page([seven_findings(subjects["demo cold"])])
    first, folded = text.split("All 7 findings")
    assert first.count('<p class="advice">') == SHOWN
    assert folded.count('<p class="advice">') == 2
    assert "see <code>recompiles</code>" in first
    assert "and 1 more" in first


def test_a_finding_leads_to_intervals_that_are_in_the_waterfall(subjects: dict[str, Subject]) -> None:
    subject = seven_findings(subjects["demo cold"])
    read = Read(page([subject]))
    linked = [
        value.removeprefix("#interval=").rpartition("/")
        for name, value in read.attributes
        if name == "href" and value.startswith("#interval=")
    ]
    assert linked
    _, intervals = read.waterfalls
    lanes, _ = read.waterfalls
    place_of = {lane["id"]: place for place, lane in enumerate(lanes["a"]["processes"])}
    for process, _, interval in linked:
        assert int(interval) in intervals["a"]["processes"][place_of[process]]["interval"]


def test_a_session_without_findings_says_so(subjects: dict[str, Subject]) -> None:
    text = page([with_findings(subjects["demo cold"], [])])
    assert "Nothing was found that would save a noticeable part of the time." in text


def test_a_finding_that_names_what_is_not_there_is_shown_all_the_same(subjects: dict[str, Subject]) -> None:
    stray = subjects["vllm cold"].timeline.intervals[:1]
    subject = with_findings(subjects["demo cold"], [finding("recompiles", SECOND, "a", "b", stray)])
    assert "<p>a.</p>" in page([subject])


@pytest.mark.parametrize("name", ["compilations", "vllm cold"])
def test_the_compilations_are_the_ledgers(subjects: dict[str, Subject], name: str) -> None:
    subject = subjects[name]
    read = Read(page([subject]))
    rows = read.tables["compilations"]
    found = sorted(subject.timeline.compilations, key=lambda one: -(one.duration_ns or 0))
    assert [row[3][1] for row in rows] == [one.duration_ns for one in found]
    assert [row[2][0] for row in rows] == [one.kind for one in found]
    for row, one in zip(rows, found, strict=True):
        assert not one.function or one.function in row[0][0]
        assert not one.reason or " ".join(one.reason.split())[:60] in row[4][0]


def test_no_sum_of_torchs_own_is_a_bar_or_an_open_row(subjects: dict[str, Subject]) -> None:
    for name in ("demo cold", "vllm cold", "compilations"):
        subject = subjects[name]
        sums = [one for one in subject.timeline.claims if (one.source, one.counts) == ("torch", "total")]
        assert sums
        text = page([subject])
        bars = rows_of(Read(text).data, "a-bars", "bars")
        labels = [str(bar["label"]) for bar in bars]
        assert not [label for label in labels if "compile_times" in label or "calculate_time_spent" in label]
        assert f"{len(sums)} sums of torch's own, in the table of claims" in labels
        folded = text.split("Sums of torch&#39;s own", 1)[1].split("</details>", 1)[0]
        assert folded.count("<tr>") + folded.count('<tr role="row">') == len(sums) + 1  # and the head
        assert seconds(max(one.claimed_ns for one in sums)) in folded


def test_what_is_parsed_at_first_is_small(subjects: dict[str, Subject]) -> None:
    drawn = waterfall(subjects["vllm cold"])
    assert len(json.dumps(drawn.lanes)) * 5 < len(json.dumps(drawn.intervals))
