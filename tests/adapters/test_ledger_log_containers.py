"""A log says the same in whatever it is sent, kept or copied: each form, forms in forms, several services."""

import importlib.metadata
import json
import re
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from ledger import Event, GapNoted, SessionStarted, TotalClaimed, UnrecognisedFile, reduce
from ledger.adapters import LogLine, UnreadLine
from ledger.interchange.importers import importers_of
from ledger.interchange.unwrapping import ENTRY_POINTS, Part, unwrapped
from ledger_vllm_log.importer import importer
from tests.support.growth import assert_linear
from tests.support.paths import DATA
from tests.support.reading_logs import LOGS, line
from tests.support.wrapping import (
    BEGINS,
    FORMS,
    STAMPED,
    coloured,
    hard_wrapped,
    interleaved,
    iso,
    lines_of,
    ns_of,
    wrap,
)

REAL = {path.name: path.read_text() for path in sorted(LOGS.glob("*.log"))}
OLD, NEW = REAL["vllm-0.24.0-h200-llama-cold.log"], REAL["vllm-0.32.0-cpu-vl-cold.log"]
SHORT = "\n".join(
    (
        line("vLLM API server version 0.22.0", "20:45:00", "(APIServer pid=1) "),
        line("Loading weights took 8.25 seconds", "20:45:20", "(EngineCore pid=61) "),
        line("torch.compile took 30.00 s in total", "20:45:52", "(EngineCore pid=61) "),
        line(
            "init engine (profile, create kv cache, warmup model) took 50.00 s (compilation: 30.00 s)",
            "20:46:11",
            "(EngineCore pid=61) ",
        ),
        "",
    )
)
"""A log as short as those that people paste."""


class Read(NamedTuple):
    """What was read of a log."""

    part: Part
    claims: Sequence[tuple[object, ...]]
    intervals: Sequence[tuple[object, ...]]
    unread: int
    sessions: Sequence[str]
    versions: Sequence[str | None]
    has_stated_clock: bool


def read(content: bytes, name: str = "x.log") -> list[Read]:
    """Unwrap and import a file of this content: what is read for each service."""
    with TemporaryDirectory() as created:
        folder = Path(created)
        path = folder / name
        path.write_bytes(content)
        (folder / "unwrapped").mkdir()
        parts = unwrapped(path, name, folder / "unwrapped")
        return [
            _read(part, list(importer.read(part.path, lambda read: None)))
            for part, importer in importers_of(parts, folder / "unwrapped")
        ]


def _read(part: Part, items: Sequence[Event | UnreadLine]) -> Read:
    events = [item for item in items if not isinstance(item, UnreadLine)]
    sessions = list(dict.fromkeys(event.session for event in events))
    claims = [
        (one.source, one.stage, one.role, one.component, one.counts, one.claimed_ns, one.text)
        for one in events
        if isinstance(one, TotalClaimed)
    ]
    intervals = [
        (sessions.index(session), one.stage, one.role, one.component, one.start_ns, one.stop_ns)
        for session in sessions
        for one in reduce([event for event in events if event.session == session]).intervals
    ]
    return Read(
        part,
        sorted(claims, key=str),
        sorted(intervals, key=str),
        len(items) - len(events),
        sessions,
        [(one.versions or {}).get("vllm") for one in events if isinstance(one, SessionStarted)],
        not any(isinstance(one, GapNoted) and one.what == "wall_clock" for one in events),
    )


def same(found: Read, plain: Read) -> bool:
    """Whether two logs say the same about the start-up."""
    return (found.claims, found.intervals, found.versions) == (plain.claims, plain.intervals, plain.versions)


@pytest.fixture(scope="module")
def plain() -> dict[str, Read]:
    """What the logs say as they are."""
    found: dict[str, Read] = {}
    for name, text in {**REAL, "short": SHORT}.items():
        [found[name]] = read(text.encode())
    return found


class TestForms:
    @pytest.mark.parametrize("form", FORMS)
    def test_a_log_says_the_same_in_each(self, form: str, plain: dict[str, Read]) -> None:
        for name, text in {**REAL, "short": SHORT}.items():
            [found] = read(wrap(text, form))
            assert same(found, plain[name]), name
            assert found.unread == plain[name].unread
            assert found.has_stated_clock == (form in STAMPED), name

    @pytest.mark.parametrize("form", FORMS)
    def test_a_log_of_whole_colour_says_the_same_in_each(self, form: str, plain: dict[str, Read]) -> None:
        if not form.startswith(("colours", "broken", "quoted-printable")):
            [found] = read(wrap(coloured(SHORT), form))
            assert same(found, plain["short"])

    @pytest.mark.parametrize("form", FORMS)
    def test_vllms_own_json_says_the_same_in_each(self, form: str) -> None:
        head = re.compile(r"\((\w+) pid=(\d+)\) INFO 11-22 ([\d:]+) \[x.py:1\] (.*)")
        records = [
            {
                "asctime": f"2026-11-22 {found[3]},123", "levelname": "INFO", "name": "vllm.x",
                "processName": found[1], "process": int(found[2]), "message": found[4],
            }
            for text in lines_of(SHORT)
            if (found := head.fullmatch(text)) is not None
        ]  # fmt: skip
        log = "".join(json.dumps(record) + "\n" for record in records)
        if not form.startswith(("colours", "broken", "quoted-printable")):
            [own], [found] = read(log.encode()), read(wrap(log, form))
            assert len(own.claims) == 4
            assert same(found, own)

    @pytest.mark.parametrize(
        "form", ["gzip", "zstd", "gzip-members", "utf-8-mark", "notebook", "colours-lost"]
    )
    def test_what_adds_nothing_keeps_the_sessions_id(self, form: str, plain: dict[str, Read]) -> None:
        [found] = read(wrap(OLD, form))
        assert found.sessions == plain["vllm-0.24.0-h200-llama-cold.log"].sessions

    def test_the_same_stamps_by_another_way_keep_the_sessions_id(self) -> None:
        forms = (
            "docker-json",
            "docker-timestamps",
            "cri",
            "kubectl-prefix-timestamps",
            "gcp-json",
            "loki-query",
        )
        assert len({tuple(read(wrap(OLD, form))[0].sessions) for form in forms}) == 1

    @pytest.mark.parametrize("name", REAL)
    def test_a_plain_log_is_read_where_it_is(self, name: str, tmp_path: Path) -> None:
        assert unwrapped(LOGS / name, name, tmp_path) == [Part(LOGS / name)]
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("path", [DATA / "demo.jsonl", *sorted((DATA / "traces").glob("*/*.log"))])
    def test_a_session_and_a_trace_are_read_where_they_are(self, path: Path, tmp_path: Path) -> None:
        assert unwrapped(path, path.name, tmp_path) == [Part(path)]

    def test_a_longer_line_than_anybody_reads_comes_through_whole(self) -> None:
        long = line("x" * 3_000_000)
        for form in ("docker-json", "compose", "nbsp"):
            [found] = read(wrap(f"{SHORT}{long}\n{SHORT}", form))
            assert (len(found.claims), found.unread) == (8, 1)

    def test_what_is_no_text_comes_through_as_it_is(self, tmp_path: Path) -> None:
        broken = SHORT.encode().replace(b"Loading", b"\xff\xc3 Loading")
        path = tmp_path / "x.log"
        path.write_bytes(b"".join(b"vllm-1  | " + each for each in broken.splitlines(keepends=True)))
        (tmp_path / "unwrapped").mkdir()
        [part] = unwrapped(path, "x.log", tmp_path / "unwrapped")
        assert part.path.read_bytes() == broken


NESTABLE = (
    "docker-json", "docker-timestamps", "journald-json", "journald-short-iso", "loki-jsonl", "gcp-json-lines",
    "fluent-bit", "cri", "cri-partial", "compose", "kubectl-prefix", "github", "gitlab", "buildkite",
    "jenkins", "csv-named", "markdown-fence", "markdown-quote", "nbsp", "notebook", "html-page",
)  # fmt: skip
LINES = frozenset(NESTABLE) - {"cri-partial", "csv-named", "markdown-fence", "notebook", "html-page"}
"""Those in which each line stands for itself."""
NEWEST_FIRST = ("newest-first", "loki-query")
OUTERMOST = (
    "gzip",
    "zstd",
    "utf-16",
    "utf-8-mark",
    "newest-first",
    "cloudwatch-json",
    "loki-query",
    "json-list",
)


class TestFormsInForms:
    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(
        st.sampled_from((None, "colours", "colours-lost")),
        st.lists(st.sampled_from(NESTABLE), min_size=1, max_size=2),
        st.sampled_from((*OUTERMOST, None)),
        st.integers(0, 30),
        st.integers(30, 60),
    )
    def test_a_piece_of_a_log_says_the_same(
        self, colours: str | None, inner: list[str], outer: str | None, begin: int, end: int
    ) -> None:
        piece = "\n".join(lines_of(NEW)[begin:end]) + "\n"
        assume(importer().recognises(Path(), piece.encode()))
        text = wrap(piece, colours).decode() if colours else piece
        for form in inner:
            text = wrap(text, form).decode()
        # What goes over several lines can't be shown in another order.
        is_shown = outer is not None and not (outer in NEWEST_FIRST and not LINES.issuperset(inner))
        content = wrap(text, outer) if outer is not None and is_shown else text.encode()
        [own], [found] = read(piece.encode()), read(content)
        assert same(found, own)

    @settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(st.data())
    def test_services_that_write_at_once_are_each_as_alone(self, data: st.DataObject) -> None:
        names = [f"llm-{letter}-1" for letter in "abc"[: data.draw(st.integers(2, 3))]]
        logs = {name: REAL[data.draw(st.sampled_from(sorted(REAL)))] for name in names}
        waiting = {name: lines_of(log) for name, log in logs.items()}
        mixed: list[str] = []
        while any(waiting.values()):
            name = data.draw(st.sampled_from([one for one in names if waiting[one]]))
            count = data.draw(st.integers(1, 40))
            mixed += [f"{name}  | {text}" for text in waiting[name][:count]]
            waiting[name] = waiting[name][count:]
        found = {one.part.service: one for one in read("\n".join(mixed).encode() + b"\n")}
        assert found.keys() == logs.keys()
        for name, log in logs.items():
            [own] = read(log.encode())
            assert same(found[name], own)
            assert found[name].sessions == own.sessions


SERVICES = {"llm-0": OLD, "llm-1": NEW}
PREFIXES = {
    "compose": ("{name}  | ", "{name}"),
    "compose-coloured": ("\x1b[36m{name}  | \x1b[0m", "{name}"),
    "foreman": ("20:45:00 {name}  | ", "{name}"),
    "kubectl": ("[pod/{name}/server] ", "{name}/server"),
    "kubetail": ("[{name}] ", "{name}"),
    "kail": ("ns/{name}[server]: ", "ns/{name}[server]"),
    "stern": ("{name} server ", "{name}/server"),
    "stern-of-namespaces": ("llm {name} server ", "{name}/server"),
    "journal": ("May 01 20:45:00 gpu-1 {name}[7]: ", "gpu-1/{name}"),
    "journal-iso": ("2026-05-01T20:45:00+0200 gpu-1 {name}[7]: ", "gpu-1/{name}"),
    "syslog": ("<14>1 2026-05-01T20:45:00Z gpu-1 {name} 7 - - ", "gpu-1/{name}"),
    "github": ("{name}\tRun vLLM\t2026-05-01T20:45:00.0000000Z ", "{name}"),
    "logcli": ('2026-05-01T20:45:00Z {{app="x", pod="{name}"}} ', "{name}"),
    "cloudwatch": ("2026-05-01T20:45:00.000000+00:00 vllm/server/{name} ", "vllm/server/{name}"),
    "cri-of-pods": ("[pod/{name}/server] 2026-05-01T20:45:00.0Z stderr F ", "{name}/server"),
}

RECORDS: dict[str, Callable[[str, str, int], object]] = {
    "fluent-bit": lambda name, text, n: {
        "log": f"{text}\n", "time": iso(BEGINS + timedelta(seconds=n)), "kubernetes": {"pod_name": name},
    },
    "journald": lambda name, text, n: {
        "MESSAGE": text, "__REALTIME_TIMESTAMP": str(ns_of(BEGINS) // 1000 + n * 10**6),
        "_SYSTEMD_UNIT": name,
    },
    "gcp": lambda name, text, n: {
        "textPayload": text, "timestamp": iso(BEGINS + timedelta(seconds=n)),
        "resource": {"labels": {"pod_name": name}},
    },
    "cloudwatch": lambda name, text, n: {
        "logStreamName": name, "timestamp": ns_of(BEGINS) // 10**6 + n * 1000, "message": text,
    },
    "loki": lambda name, text, n: {
        "labels": {"pod": name}, "line": text, "timestamp": iso(BEGINS + timedelta(seconds=n)),
    },
    "compose": lambda name, text, n: {
        "log": f"{text}\n", "stream": "stdout", "attrs": {"com.docker.compose.service": name},
        "time": iso(BEGINS + timedelta(seconds=n)),
    },
    "elastic": lambda name, text, n: {
        "_source": {
            "@timestamp": iso(BEGINS + timedelta(seconds=n)), "message": text,
            "kubernetes": {"pod": {"name": name}},
        }
    },
}  # fmt: skip


class TestSeveralServices:
    def check(self, found: Sequence[Read], named: str = "{name}") -> None:
        services = {one.part.service: one for one in found}
        assert services.keys() == {named.format(name=name) for name in SERVICES}
        for name, log in SERVICES.items():
            [own] = read(log.encode())
            assert same(services[named.format(name=name)], own)

    @pytest.mark.parametrize("prefix", PREFIXES)
    def test_each_is_a_log_by_its_prefix(self, prefix: str) -> None:
        text, named = PREFIXES[prefix]
        self.check(read(interleaved(SERVICES, text).encode()), named)

    @pytest.mark.parametrize("form", RECORDS)
    def test_each_is_a_log_by_its_records(self, form: str) -> None:
        pairs = [each.split("\t", 1) for each in lines_of(interleaved(SERVICES, "{name}\t"))]
        records = [RECORDS[form](name, text, number) for number, (name, text) in enumerate(pairs)]
        self.check(read("".join(f"{json.dumps(record)}\n" for record in records).encode()))
        self.check(read(json.dumps(records, indent=1).encode()))
        self.check(read(json.dumps(records[::-1]).encode()))

    def test_lines_without_a_name_are_of_the_service_before_them(self) -> None:
        text = interleaved(SERVICES).replace("\n", "\nWARN: a line that compose wrote\n", 1)
        self.check(read(f"Attaching to llm-0, llm-1\n{text}".encode()))

    def test_other_services_are_left_out(self) -> None:
        logs = {**SERVICES, "web": '10.0.0.1 - "GET / HTTP/1.1" 200\n' * 50}
        self.check(read(interleaved(logs).encode()))

    def test_the_streams_of_one_are_put_in_order(self, plain: dict[str, Read]) -> None:
        [found] = read(wrap(NEW, "loki-query-of-streams"))
        assert same(found, plain["vllm-0.32.0-cpu-vl-cold.log"])


class TestOrder:
    def test_a_few_lines_out_of_order_are_left_as_they_are(self, tmp_path: Path) -> None:
        lines = lines_of(OLD)
        lines[3], lines[20] = lines[20], lines[3]
        path = tmp_path / "x.log"
        path.write_text("\n".join(lines))
        assert unwrapped(path, "x.log", tmp_path) == [Part(path)]

    def test_records_of_several_lines_stay_whole(self) -> None:
        pieces = [f"{a}\n{b}" for a, b in zip(lines_of(OLD)[::2], lines_of(OLD)[1::2], strict=False)]
        records = [
            {"textPayload": text, "timestamp": iso(BEGINS + timedelta(seconds=number))}
            for number, text in enumerate(pieces)
        ]
        [own] = read("\n".join(pieces).encode() + b"\n")
        [found] = read("".join(f"{json.dumps(one)}\n" for one in records[::-1]).encode())
        assert same(found, own)


class TestCopies:
    @pytest.mark.parametrize("width", [72, 80, 100, 132, 200])
    def test_lines_that_a_terminal_broke_are_joined(self, width: int, plain: dict[str, Read]) -> None:
        for name in ("vllm-0.24.0-h200-llama-cold.log", "vllm-0.32.0-cpu-llama-cold.log"):
            [found] = read(hard_wrapped(REAL[name], width).encode())
            assert same(found, plain[name])

    def test_messages_that_a_mail_broke_at_spaces_are_joined(self) -> None:
        words = (
            ("Model loading took 3.50 GiB memory and 9.500000", "seconds"),
            ("torch.compile took 30.00 s in", "total"),
            ("Dynamo bytecode transform time:", "5.03 s"),
            ("init engine (profile, create kv cache, warmup model) took 50.00 s", "(compilation: 30.00 s)"),
        )
        broken = "".join(f"{line(a)}\n{b}\n" for a, b in words)
        whole = "".join(f"{line(f'{a} {b}')}\n" for a, b in words)
        [found], [own] = read(broken.encode()), read(whole.encode())
        assert same(found, own)
        assert len(found.claims) == 5

    def test_messages_without_a_stamp_are_read_by_the_containers(self) -> None:
        messages = ("Loading weights took 8.25 seconds", "torch.compile took 19.37 s in total")
        log = "".join(f"(EngineCore pid=61) INFO {message}\n" for message in messages)
        [found] = read(wrap(log, "docker-json"))
        assert [claim[-1] for claim in found.claims] == sorted(messages, key=lambda text: text[:1] != "L")
        assert found.has_stated_clock

    @pytest.mark.parametrize("front", ["", "INFO ", "- ", "> ", "(EngineCore pid=61) INFO ", "20:45:00 "])
    def test_without_any_stamp_it_is_said_what_is_missing(self, front: str) -> None:
        messages = ("Loading weights took 8.25 seconds", "torch.compile took 19.37 s in total")
        log = "".join(f"{front}{message}\n" for message in messages)
        with pytest.raises(UnrecognisedFile, match="no time stamps: 2 lines are messages of vLLM's"):
            read(log.encode())


def test_each_form_is_found_by_its_entry_point() -> None:
    entries = importlib.metadata.entry_points(group=ENTRY_POINTS)
    found = [entry.load()() for entry in entries]
    assert len({one.name for one in found}) == len(found) > 20
    for one in found:
        assert not one.recognises([])
        assert not one.recognises([""])
        assert not one.recognises(["hello"])
        assert list(one.unwrap(iter([]))) == []


HOSTILE = (
    " ", "a", "a-1 ", "\x1b[m", "\t", "[", "{", '{"a":', "'", "\\'", '"', "<br ", "<!--", "&#", "=20=",
    "a  |", "> ", "[1;", "\u00a0", "took 5 s ", '"a",', "1,",
)  # fmt: skip


@pytest.mark.parametrize("piece", HOSTILE, ids=repr)
def test_no_line_takes_more_than_its_length(piece: str) -> None:
    found = [entry.load()() for entry in importlib.metadata.entry_points(group=ENTRY_POINTS)]

    def work_on(size: int) -> Callable[[], object]:
        text = piece * (size // len(piece))
        lines = [f"2026-05-01T20:45:00.0Z {text}", text]
        return lambda: [(one.recognises(lines), list(one.unwrap(map(LogLine, lines)))) for one in found]

    assert_linear(work_on, 40_000)
