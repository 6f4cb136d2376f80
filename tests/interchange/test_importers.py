"""The contract of every installed importer; and the command `import`, what it recognises and what it says."""

import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from ledger import Event, Ledger, MilestoneReached, UnrecognisedFile, parse_event
from ledger.adapters import Importer, UnreadLine
from ledger.interchange.importers import ENTRY_POINTS, HEAD_BYTES, LinesImporter, import_into, importer_of
from ledger.storage.store import Store
from tests.support.paths import DATA
from tests.support.reading_logs import LOGS, line
from tests.support.terminals import terminal
from tests.support.wrapping import interleaved, wrap

LOG = LOGS / "vllm-0.24.0-h200-vl-cold.log"
TRACES = DATA / "traces"
DEMO = DATA / "demo.jsonl"
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    def run(*arguments: str | Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "ledger.cli", "import", *map(str, arguments)]
        return subprocess.run(command, input=stdin, capture_output=True, text=True, cwd=tmp_path, check=False)

    return run


class Made:
    """An importer of what a test says."""

    name = "made up"

    def __init__(self, *items: Event | UnreadLine) -> None:
        self._items = items

    def recognises(self, path: Path, head: bytes) -> bool:
        return True

    def size(self, path: Path) -> int:
        return 0

    def read(self, path: Path, progress: Callable[[int], None]) -> Iterator[Event | UnreadLine]:
        yield from self._items


SAMPLES: dict[str, list[Path]] = {
    "jsonl": [DEMO],
    "vllm_log": sorted(LOGS.glob("*.log")),
    # The one of March 2025 has lines of vLLM's too.
    "sglang_log": [path for path in sorted((DATA / "sglang").glob("*.log")) if "2025-03" not in path.name],
    "torch_log": sorted((DATA / "torch_log").iterdir()),
    "torch_trace": [TRACES / "ranks", TRACES / "block", TRACES / "torch-2.4.1"],
    "vllm_bench": [DATA / "vllm_bench" / "startup.json", DATA / "vllm_bench" / "startup.txt"],
}
"""For each importer, by the name of its entry point, what it must recognise. A new importer needs one row."""
READS = [(name, path) for name, paths in SAMPLES.items() for path in paths]


def installed() -> dict[str, Importer]:
    entries = importlib.metadata.entry_points(group=ENTRY_POINTS)
    return {"jsonl": LinesImporter(is_checked=False), **{entry.name: entry.load()() for entry in entries}}


def head_of(path: Path) -> bytes:
    return b"" if path.is_dir() else path.read_bytes()[:HEAD_BYTES]


class TestContract:
    """What holds for every installed importer, whoever wrote it."""

    def test_every_installed_importer_has_a_sample(self) -> None:
        assert set(SAMPLES) == set(installed())
        assert all(SAMPLES.values())
        assert all(one.name.strip() == one.name != "" for one in installed().values())

    @pytest.mark.parametrize(("name", "sample"), READS, ids=lambda value: getattr(value, "name", value))
    def test_it_recognises_its_own_and_nothing_else(self, name: str, sample: Path) -> None:
        recognised = [key for key, one in installed().items() if one.recognises(sample, head_of(sample))]
        assert recognised == [name]

    @pytest.mark.parametrize("name", SAMPLES)
    @pytest.mark.parametrize("head", [b"hello\n", b"\x7fELF\0\0", b"SQLite format 3\0", b"{}\n", b"\xff\xfe"])
    def test_it_does_not_recognise_anything_else(self, name: str, head: bytes, tmp_path: Path) -> None:
        (tmp_path / "file").write_bytes(head)
        assert not installed()[name].recognises(tmp_path / "file", head)

    @pytest.mark.parametrize(("name", "sample"), READS, ids=lambda value: getattr(value, "name", value))
    def test_it_reads_the_same_events_each_time_with_no_number_left_out(
        self, name: str, sample: Path, tmp_path: Path
    ) -> None:
        importer = installed()[name]
        read_bytes: list[int] = []
        items = list(importer.read(sample, read_bytes.append))
        assert sum(read_bytes) == importer.size(sample)
        # What a file is called, and where it is, makes no difference.
        moved = tmp_path / "moved"
        (shutil.copytree if sample.is_dir() else shutil.copy)(sample, moved)
        assert list(importer.read(moved, lambda read: None)) == items
        events = [item for item in items if not isinstance(item, UnreadLine)]
        numbers: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
        for event in events:
            numbers[event.session, event.process].append(event.seq)
        assert numbers
        assert all(sorted(found) == list(range(len(found))) for found in numbers.values())

    @pytest.mark.parametrize("name", SAMPLES)
    def test_the_same_file_twice_changes_nothing(self, name: str) -> None:
        with closing(Store.in_memory()) as store:
            first, second = (
                import_into(store, SAMPLES[name][0], installed()[name], lambda read: None) for _ in range(2)
            )
        assert first.events > 0
        assert (second.events, second.duplicates, second.conflicting) == (0, first.events, 0)


def test_logs_and_traces_come_into_one_ledger(run: Run, path: Path) -> None:
    shown = run(LOG, TRACES / "ranks", TRACES / "block", "-o", path)
    assert (shown.returncode, shown.stderr) == (0, "")
    log, counts, ranks, _, block, _ = shown.stdout.splitlines()
    assert re.fullmatch(rf"{re.escape(str(LOG))}: a log of vLLM's: log-[0-9a-f]{{16}}", log)
    assert re.fullmatch(r"  \d+ new events, 0 already in the ledger, 0 unreadable lines", counts)
    assert "a TORCH_TRACE log or folder: trace-" in ranks
    assert "trace-" in block
    with Ledger.open(path) as ledger:
        assert len(ledger.sessions()) == 3
        assert ledger.sql("SELECT events_not_projected AS n FROM ledger_info") == [{"n": 0}]


def test_the_same_files_twice_change_nothing(run: Run, path: Path) -> None:
    first = run(LOG, TRACES / "ranks", "-o", path)
    before = path.read_bytes()
    second = run(LOG, TRACES / "ranks", "-o", path)
    for one, other in zip(first.stdout.splitlines(), second.stdout.splitlines(), strict=True):
        assert other == re.sub(r"(\d+) new events, 0 already", r"0 new events, \1 already", one)
    assert path.read_bytes() == before


def labels(path: Path) -> dict[str, object]:
    """The label of each session, by its id, of which what comes from the content is left out."""
    with Ledger.open(path) as ledger:
        rows = ledger.sql("SELECT session, label FROM sessions")
    return {re.sub(r"^(log|trace)-\w+", r"\1", str(row["session"])): row["label"] for row in rows}


def test_a_sessions_label_is_the_files_name_or_a_given_one(run: Run, tmp_path: Path) -> None:
    shutil.copy(LOG, tmp_path / "cold.log")
    run("cold.log", TRACES / "ranks", DEMO, "--unchecked", "-o", "a.db")
    run("cold.log", TRACES / "ranks", DEMO, "--unchecked", "-o", "b.db", "--label", "nightly")
    # A session as text keeps what it has.
    started = [event for event in map(parse_event, DEMO.read_bytes().splitlines()) if event.seq == 0]
    recorded = {event.session: event.label for event in started if event.kind == "session_started"}
    assert sorted(recorded.values(), key=str) == ["demo cold", "demo warm", "killed"]
    assert labels(tmp_path / "a.db") == {"log": "cold.log", "trace": "ranks", **recorded}
    assert labels(tmp_path / "b.db") == {"log": "nightly", "trace": "nightly", **recorded}
    with Ledger.open(tmp_path / "a.db") as a, Ledger.open(tmp_path / "b.db") as b:
        assert a.sessions() == b.sessions()


def test_a_label_stays_and_a_session_keeps_its_id(run: Run, tmp_path: Path) -> None:
    shutil.copy(LOG, tmp_path / "cold.log")
    shutil.copy(LOG, tmp_path / "copy.log")
    run("cold.log")
    before = (tmp_path / "startup.db").read_bytes()
    for arguments, said in (
        (["copy.log"], []),
        (["cold.log", "--label", "cold.log"], []),
        (["copy.log", "--label", "nightly"], ["  in the ledger already, and keeps its label: “cold.log”"]),
    ):
        _, counts, *more = run(*arguments).stdout.splitlines()
        assert counts.startswith("  0 new events, ")
        assert "not included" not in counts
        assert more == said
    assert (tmp_path / "startup.db").read_bytes() == before


def test_standard_input_is_read_like_a_file_and_has_no_name(run: Run, tmp_path: Path) -> None:
    unread = line("Something took 3.100ms to complete.")
    from_file, piped = run(LOG, "-o", "a.db"), run("-", "-o", "b.db", stdin=LOG.read_text() + unread)
    assert from_file.returncode == piped.returncode == 0
    assert piped.stdout.startswith("standard input: a log of vLLM's: log-")
    assert labels(tmp_path / "b.db") == {"log": None}
    assert run("-", "-o", "b.db", "--label", "x", stdin=LOG.read_text()).stdout.count("not included") == 0
    with Ledger.open(tmp_path / "b.db") as ledger:
        [row] = ledger.sql("SELECT DISTINCT file FROM rejected_lines")
        assert row == {"file": "standard input"}
        assert len(ledger.sessions()) == 2
    exported = run("-", "--unchecked", "-o", "c.db", stdin=DEMO.read_text())
    assert exported.stdout.startswith("standard input: a session as text: ")
    unfinished = run("-", "-o", "d.db", stdin=DEMO.read_text())
    assert (unfinished.returncode, unfinished.stderr.count("\n")) == (2, 1)
    assert re.match(r"compile-ledger: standard input: cut off after line \d+", unfinished.stderr)
    empty = run("-", "-o", "d.db")
    assert (empty.returncode, empty.stderr) == (
        2, "compile-ledger: standard input: an empty file; nothing to import\n",
    )  # fmt: skip
    assert not (tmp_path / "d.db").exists()


def test_each_service_of_a_file_is_a_session_with_a_label_of_its_own(run: Run, tmp_path: Path) -> None:
    other = LOGS / "vllm-0.32.0-cpu-vl-cold.log"
    unread = line("Frobnicating took 3.10 s")
    logs = {
        "llm-a-1": f"{LOG.read_text()}{unread}\n",
        "llm-b-1": other.read_text(),
        "web": "GET / 200\n" * 30,
    }
    (tmp_path / "compose.log").write_text(f"Attaching to llm-a-1, llm-b-1, web\n{interleaved(logs)}")
    shown = run("compose.log", "-o", "a.db")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert re.findall(r"compose\.log \(([\w-]+)\): a log of vLLM's: log-\w{16}\n", shown.stdout) == [
        "llm-a-1",
        "llm-b-1",
    ]
    assert run(LOG, other, "-o", "b.db").returncode == 0
    with Ledger.open(tmp_path / "a.db") as a, Ledger.open(tmp_path / "b.db") as b:
        query = "SELECT stage, counts, claimed_ns FROM claims ORDER BY stage, counts, claimed_ns, text"
        assert a.sql(query) == b.sql(query)
        assert [row["label"] for row in a.sql("SELECT label FROM sessions ORDER BY label")] == [
            "compose.log llm-a-1", "compose.log llm-b-1",
        ]  # fmt: skip
        assert a.sql("SELECT DISTINCT file FROM rejected_lines") == [{"file": "compose.log (llm-a-1)"}]
    before = (tmp_path / "a.db").read_bytes()
    assert run("compose.log", "-o", "a.db", "--label", "nightly").stdout.count("0 new events") == 2
    assert (tmp_path / "a.db").read_bytes() == before
    run("compose.log", "-o", "c.db", "--label", "nightly")
    with Ledger.open(tmp_path / "c.db") as c:
        assert {row["label"] for row in c.sql("SELECT label FROM sessions")} == {
            "nightly llm-a-1",
            "nightly llm-b-1",
        }


def test_a_wrapped_log_is_read_from_a_file_a_pipe_and_standard_input(tmp_path: Path) -> None:
    content = wrap(wrap(LOG.read_text(), "docker-json").decode(), "gzip")
    (tmp_path / "x.log.gz").write_bytes(content)
    command = [sys.executable, "-m", "ledger.cli", "import"]
    found: set[str] = set()
    for number, (arguments, stdin) in enumerate(
        ((["x.log.gz"], b""), (["-"], content), (["/dev/stdin"], content), (["<(cat x.log.gz)"], b""))
    ):
        shell = ["bash", "-c", " ".join([*command, *arguments, "-o", f"{number}.db"])]
        shown = subprocess.run(shell, input=stdin, capture_output=True, cwd=tmp_path, check=True)
        found.update(re.findall(r"log-\w{16}", shown.stdout.decode()))
    assert len(found) == 1


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            b"Loading weights took 8.25 seconds\n",
            "no time stamps: a line is a message of vLLM's without the logger's `INFO MM-DD hh:mm:ss",
        ),
        (wrap("hello\n" * 9, "docker-json"), "no line of a logger that is known"),
        (
            wrap(LOG.read_text(), "gzip")[:900],
            "gzip data that was cut off; to read what there is of it: zcat x.log |",
        ),
        (b"PK\x03\x04" + bytes(99), "a damaged zip archive: "),
        (bytes(257) + b"ustar" + bytes(99), "a tar archive; extract it, and import the log in it"),
        (b"\x89PNG\r\n\x1a\n" + bytes(9), "a picture: copy its text into a file; "),
        (b"%PDF-1.7\n", "a PDF document: copy its text into a file; "),
        (b"SQLite format 3\0" + bytes(99), "an SQLite database; a ledger is read by `compile-ledger report`"),
        (b"PAR1" + bytes(99), "Parquet, which has no lines: export the log as text or JSON; "),
        (
            b'{\n "a": [1, 2],\n "b": "x"}\n',
            "JSON, but no log: nothing in it is a line of a log (a field `log`",
        ),
        (b"[[1, 2], [3, 4]]\n", "JSON, but no log: "),
        (b" \n\n \n", "nothing but white space; "),
        (
            b"<?xml version='1.0'?>\n<a>b</a>\n",
            "markup without a line of a log in it: save the log as text; ",
        ),
        (
            b"Collecting torch\n  Downloading torch-2.6.0.whl (700 MB)\nSuccessfully installed torch-2.6.0\n",
            "no time stamps: none of its first 3 lines has one, and no level is named; ",
        ),
        (b"INFO 05-01 20:4", "no time stamps: its line has none; "),
        (
            b'(APIServer pid=1) INFO:     10.0.0.1:55 - "GET /health HTTP/1.1" 200 OK\n' * 3,
            "no time stamps: none of its first 3 lines has one; ",
        ),
        (
            b'10.0.0.1 - - [01/May/2026:20:45:00 +0000] "GET / HTTP/1.1" 200 612\n' * 3,
            "no line of a logger that is known: its lines have time stamps, but are of another program; ",
        ),
        (
            b"2026-05-01T20:45:00.123456Z  INFO text_generation_launcher: Args { model_id: x }\n" * 2,
            "no line of a logger that is known: its lines have time stamps, but are of another program; ",
        ),
    ],
)
def test_what_is_nearly_a_log_is_refused_with_what_is_missing(
    run: Run, tmp_path: Path, content: bytes, said: str
) -> None:
    (tmp_path / "x.log").write_bytes(content)
    shown = run("x.log")
    assert (shown.returncode, shown.stdout, shown.stderr.count("\n")) == (2, "", 1)
    assert shown.stderr.startswith(f"compile-ledger: x.log: {said}")
    assert not (tmp_path / "startup.db").exists()


def test_a_log_in_which_nothing_is_known_says_so(run: Run, tmp_path: Path) -> None:
    (tmp_path / "x.log").write_text(line("Using max model len 256"))
    shown = run("x.log")
    assert (shown.returncode, shown.stdout.splitlines()[0]) == (
        0, "x.log: a log of vLLM's: no session: none of its lines is known to be about a start-up",
    )  # fmt: skip


def test_many_sessions_are_named_by_the_first_and_the_last(run: Run, tmp_path: Path) -> None:
    begins = line("Initializing a V1 LLM engine (v0.24.0) with config: x")
    loads = line("Loading weights took 3.00 seconds")
    (tmp_path / "vllm.log").write_text(f"{begins}\n{loads}\n" * 4)
    assert re.search(r": 4 sessions, log-(\w{16}) to log-\1-4\n  \d+ new events", run("vllm.log").stdout)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "an empty file; nothing to import"),
        (os.urandom(1_000) + b"\0", "binary data (not text in UTF-8 or UTF-16)"),
        (b"hello\n", "no time stamps: its line has none"),
        (b"\n" * HEAD_BYTES + LOG.read_bytes(), "nothing but white space"),
    ],
)
def test_what_nobody_reads_is_said_in_one_line_and_nothing_is_written(
    run: Run, tmp_path: Path, path: Path, content: bytes, said: str
) -> None:
    (tmp_path / "x.log").write_bytes(content)
    # The log before it is not imported either.
    shown = run(LOG, "x.log", "-o", path)
    assert (shown.returncode, shown.stdout, shown.stderr.count("\n")) == (2, "", 1)
    assert f"x.log: {said}" in shown.stderr
    if content:
        assert "; what can be read: " in shown.stderr
        assert "a log of vLLM's" in shown.stderr
        assert "a TORCH_TRACE log or folder" in shown.stderr
    assert not path.exists()


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name, said in (
        ("pipe", "save it to a file first, or pipe it into `compile-ledger import -`"),
        ("missing.log", "No such file"),
        ("", "a folder without a file that is known; what can be read: "),
    ):
        with pytest.raises(UnrecognisedFile, match=said):
            importer_of(tmp_path / name)


def test_a_log_may_begin_with_other_lines(run: Run, tmp_path: Path) -> None:
    (tmp_path / "ci.log").write_bytes(b"Collecting vllm\n" * 60_000 + LOG.read_bytes())
    assert ": a log of vLLM's: log-" in run("ci.log").stdout


def test_a_broken_encoding_and_a_line_of_10_mb_cost_nothing_else(
    run: Run, tmp_path: Path, path: Path
) -> None:
    events = re.search(r"\d+ new events", run(LOG, "-o", "whole.db").stdout)
    assert events is not None
    broken = LOG.read_bytes().replace("—".encode(), b"\x97")
    (tmp_path / "x.log").write_bytes(
        broken[:5_000] + b"\n\xff\xc3(" + b" took 5 s" * 1_100_000 + broken[5_000:]
    )
    shown = run("x.log", "-o", path)
    assert f"{events[0]}, 0 already in the ledger, 1 unreadable lines (see rejected_lines)" in shown.stdout
    with Ledger.open(path) as ledger:
        [row] = ledger.sql("SELECT file, reason FROM rejected_lines")
        assert row == {"file": "x.log", "reason": "a line of more than 65,536 bytes: not read"}


def test_the_first_lines_that_could_not_be_read_are_shown(run: Run, tmp_path: Path, path: Path) -> None:
    times = ["3 s", "4 s", "5 min", "6 ms"]
    (tmp_path / "x.log").write_text("".join(f"{line(f'Something took {time}')}\n" for time in times))
    _, counts, *lines = run("x.log", "-o", path).stdout.splitlines()
    assert counts.endswith("4 unreadable lines (see rejected_lines)")
    assert lines == [
        f"  line {number}: mentions a duration in an unknown wording: Something took {time}"
        for number, time in enumerate(times[:3], 1)
    ]
    [found] = json.loads(run("x.log", "-o", "other.db", "--json").stdout)["imported"]
    assert found["unread"] == 4
    assert [one["line"] for one in found["first_unread"]] == [1, 2, 3]


def test_what_another_version_read_otherwise_is_left_out_and_counted(path: Path) -> None:
    first = MilestoneReached(session="s", process="p", seq=0, at_ns=1, name="engine_ready")
    other = first.model_copy(update={"name": "first_token"})
    store = Store.open(path)
    import_into(store, path, Made(first), lambda _: None)
    done = import_into(store, path, Made(other), lambda _: None)
    store.close()
    assert (done.events, done.duplicates, done.conflicting) == (0, 0, 1)


def test_on_a_terminal_a_bar_shows_how_far_it_has_come(tmp_path: Path, path: Path) -> None:
    file = tmp_path / "[red]vllm.log"
    serving = line("Avg prompt throughput: 1.0 tokens/s, Running: 4 reqs", who="(APIServer pid=1) ")
    file.write_bytes(LOG.read_bytes() + f"{serving}\n".encode() * 500_000)
    with terminal([sys.executable, "-m", "ledger.cli", "import", str(file), "-o", str(path)]) as shown:
        assert shown.finish() == 0
        text = re.sub(rb"\x1b\[[0-9;?]*[A-Za-z]", b"", shown.screen).decode()
    percents = [int(percent) for percent in re.findall(r"\[red\]vllm\.log [━╸╺ ]+ (\d+)%", text)]
    assert percents == sorted(percents)
    assert percents[-1] == 100
    assert any(0 < percent < 100 for percent in percents)
