"""Redaction: nothing is left of hosts, users and paths, and a session comes to the same numbers."""

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import (
    Event,
    GapNoted,
    MilestoneReached,
    ProcessJoined,
    SessionStarted,
    StageStarted,
    StageStopped,
    parse_event,
    reduce,
)
from ledger.events.jsonl import lines_of
from ledger.events.redaction import Redaction, redacted
from ledger.testing import SessionBuilder
from tests.support.growth import assert_linear
from tests.support.paths import DATA
from tests.support.random_sessions import sessions

KEY = {"session": "s", "process": "1-ab", "seq": 0, "at_ns": 0}
MARK = "zq9w"
"""In every word of what is to vanish, so that no word of it can be left unseen."""


def started(*command: str, **fields: Any) -> Event:
    return SessionStarted(**{**KEY, **fields}, command=command)


def noted(detail: str) -> Event:
    return GapNoted(**KEY, what="noted", detail=detail)


def with_data(**data: Any) -> Event:
    return StageStarted(**KEY, interval=0, stage="dynamo", source="torch", data=data)


def details(*texts: str, beside: Iterable[Event] = ()) -> list[str]:
    """Return what redaction makes of running texts, beside other events of the session."""
    events = [*beside, *map(noted, texts)]
    done = list(redacted(lambda: events))
    return [event.detail for event in done if isinstance(event, GapNoted) and event.detail is not None]


def data_of(**data: Any) -> Any:
    event = with_data(**data)
    [done] = redacted(lambda: [event])
    assert isinstance(done, StageStarted)
    return done.data


class TestPaths:
    @pytest.mark.parametrize(
        ("text", "left"),
        [
            ("in /home/alice/models/x.bin", "in <path-1>"),
            ("in ~/models/x", "in <path-1>"),
            ("of ~alice", "of <path-1>"),
            ("of ~alice/x y", "of <path-1>"),
            ("in ./models/x", "in <path-1>"),
            ("in ../x", "in <path-1>"),
            ("in models/x.py", "in <path-1>"),
            ("models/", "<path-1>"),
            (r"in C:\Users\Alice\My Models\x", "in <path-1>"),
            ("in C:/Users/Alice", "in <path-1>"),
            (r"on \\server\share\x", "on <path-1>"),
            (r"in models\x.py", "in <path-1>"),
            ("file:///home/alice/x", "<path-1>"),
            ("-I/usr/include", "<path-1>"),
            ("loading '/a b/c d' took 5 s", "loading '<path-1>' took 5 s"),
            ('{"path": "/a b/c", "n": 1}', '{"path": "<path-1>", "n": 1}'),
            (r"{\"path\": \"/a b/c\", \"n\": 1}", r"{\"path\": \"<path-1>\", \"n\": 1}"),
            ('File "/a/it\'s.py", line 3', 'File "<path-1>", line 3'),
            ("loading /a b/c took 5.2 s", "loading <path-1> took 5.2 s"),
            ("/a/b: no such file", "<path-1>: no such file"),
            ("from /a/b to /c/d.", "from <path-1> <path-2>."),
            ("(see /a/b), then", "(see <path-1>), then"),
            ("--model=/a/b", "--model=<path-1>"),
            ("/a/b and once more\n/a/b and once more", "<path-1>\n<path-1>"),
            ("an open quote '/a/b c", "an open quote '<path-1>"),
        ],
    )
    def test_a_path_goes_to_the_end_of_its_clause(self, text: str, left: str) -> None:
        assert details(text) == [left]

    @pytest.mark.parametrize(
        "text",
        [
            "torch.compile took 16.77 s in total",
            "[backbone] Initial profiling/warmup run took 0.01 s",
            "init engine (profile, create kv cache, warmup model) took 50.14 s (compilation: 45.06 s)",
            "Compiling a graph for compile range (1, 8192) takes 5.2 s",
            "at 12.5 tokens/s, 3 it/s, 2.60it/s and 1.01s/it",
            "1/2 of 0/0, step 3/4, 5 / 2",
            "torch._inductor.codecache.FxGraphCache at 12:34:56",
            "torch/_dynamo/utils.py and vllm/model_executor/x.py",
            "Qwen/Qwen2.5-VL-3B-Instruct, meta-llama/Llama-3.1-8B",
            "2.13.0+cpu, 0.11.1rc2.dev191+g80e945298.d20251012",
            "127.0.0.1, 0.0.0.0, localhost, ::1",
            "compile_fx.<locals>.fw_compiler_base",
            "N/A or w/o",
        ],
    )
    def test_what_has_a_slash_a_dot_or_a_colon_and_is_no_path_stays(self, text: str) -> None:
        assert details(text) == [text]

    def test_an_argument_is_a_path_to_its_end(self) -> None:
        event = started(
            "/usr/bin/python", "--model=my models/new, or so", "a b/c", "x=1", "serve", "-c", "a/1"
        )
        [done] = redacted(lambda: [event])
        assert isinstance(done, SessionStarted)
        assert done.command == ("<path-1>", "--model=<path-2>", "<path-3>", "x=1", "serve", "-c", "<path-4>")

    def test_an_option_says_what_comes_after_it_unless_that_is_an_option_itself(self) -> None:
        event = started(
            "serve", "--host", "node7", "--download-dir", "here", "--home", "--port", "80", "node7"
        )
        [done] = redacted(lambda: [event])
        assert isinstance(done, SessionStarted)
        assert done.command == (
            "serve", "--host", "<host-1>", "--download-dir", "<path-1>", "--home", "--port", "80", "<host-1>",
        )  # fmt: skip

    def test_a_value_s_key_may_say_that_it_is_a_path(self) -> None:
        assert data_of(cache_dir="here", co_filename="x.py", range="(1, 8)", n=3, path=None) == {
            "cache_dir": "<path-1>", "co_filename": "<path-2>", "range": "(1, 8)", "n": 3, "path": None,
        }  # fmt: skip

    def test_keys_are_texts_too(self) -> None:
        assert data_of(**{"/a/b": [{"c d": "/e f"}]}) == {"<path-1>": [{"c d": "<path-2>"}]}

    def test_a_path_that_seems_to_end_before_it_does_is_known_from_where_it_stands_alone(self) -> None:
        event = started("/data/new, or so/x (1)/y")
        assert details(
            "of /data/new, or so/x (1)/y: gone",
            "of /data/new, or so",
            'in "/data/new, or so/z"',
            beside=[event],
        ) == ["of <path-1>: gone", "of <path-2>", 'in "<path-3>"']

    def test_a_script_s_name_is_known_as_its_process_s(self) -> None:
        events = [started("python", "/home/alice/train it.py"), ProcessJoined(**KEY, name="train it.py")]
        done = list(redacted(lambda: events))
        assert isinstance(done[1], ProcessJoined)
        assert done[1].name == "<file-1>"

    def test_names_may_be_given_that_no_event_tells(self) -> None:
        done = redacted(lambda: [noted("alice's run")], users=["alice"])
        assert [event.detail for event in done if isinstance(event, GapNoted)] == ["<user-1>'s run"]

    def test_words_may_be_named_that_stay(self) -> None:
        events = [started("python", "/home/alice/train.py"), ProcessJoined(**KEY, name="train.py")]
        [_, done] = redacted(lambda: events, keep=["train.py"])
        assert isinstance(done, ProcessJoined)
        assert done.name == "train.py"

    def test_a_file_that_is_named_without_its_folder_stays_where_its_name_does(self) -> None:
        stopped = StageStopped(**KEY, interval=1, data={"co_filename": "train.py", "file": "other.py"})
        [kept] = redacted(lambda: [stopped], keep=["train.py"])
        assert isinstance(kept, StageStopped)
        assert kept.data == {"co_filename": "train.py", "file": "<path-1>"}


class TestNames:
    @pytest.mark.parametrize(
        "place",
        [
            "/home/{}/x", "/Users/{}", r"C:\Users\{}\x", "/tmp/torchinductor_{}/cache", "~{}/x",
            "/tmp/pytest-of-{}/pytest-0", "/export/home/{}/", "file:///home/{}/x",
        ],
    )  # fmt: skip
    def test_a_user_is_known_by_a_home_and_gone_wherever_the_name_stands_alone(self, place: str) -> None:
        texts = ["by alice", "by Alice: done", "alice_model of alice-laptop", "malice and alices"]
        assert details(*texts, beside=[started(place.format("alice"))]) == [
            "by <user-1>", "by <user-2>: done", "<user-1>_model of <user-1>-laptop", "malice and alices",
        ]  # fmt: skip

    def test_a_user_may_be_named_by_an_address_an_option_or_a_key(self) -> None:
        named = [
            started("--user", "alice", "--owner=bob"),
            with_data(login="carol"),
            noted("to dave@acme.com"),
        ]
        left = details("alice, bob, carol and dave", beside=named)
        assert left == ["to <user-4>@<host-1>", "<user-1>, <user-2>, <user-3> and <user-4>"]

    def test_a_host_is_gone_with_its_domain_and_its_neighbours(self) -> None:
        joined = ProcessJoined(**KEY, name="Worker", host="node7.lab.acme.example")
        left = details(
            "node7: up", "on NODE7.lab.acme.example:8000", "from node8.lab.acme.example", "node70",
            beside=[joined],
        )  # fmt: skip
        assert left == [
            "<host-2>: up", "on <host-3>:8000", "from <host-4>", "node70",
        ]  # fmt: skip

    @pytest.mark.parametrize(
        "text",
        [
            "10.1.2.3", "10.1.2.3:8000", "fe80::1ff:fe23:4567:890a", "[2001:db8::7]:80",
            "ip-10-1-2-3.x.internal", "db.acme.com", "macbook.local", "tcp://10.1.2.3:29500", "https://acme.example/x?y=z",
            "GPU-8932f937-d72c-4106-c12f-20bd9faed9f6", "0a:1b:2c:3d:4e:5f", "alice@acme.com",
        ],
    )  # fmt: skip
    def test_an_address_is_known_by_its_form(self, text: str) -> None:
        [left] = details(f"at {text}.")
        assert left.startswith("at ")
        assert left.endswith(".")
        assert "<" in left
        for part in ("10", "fe80", "2001", "acme", "macbook", "8932", "0a:", "alice"):
            assert part not in left

    def test_what_tells_one_machine_from_another_is_blotted_and_still_tells_them_apart(self) -> None:
        fields = {
            "name": "w",
            "boot_id": "2188d274",
            "time_namespace": "time:[1]",
            "pid_namespace": "pid:[2]",
        }
        events = [
            ProcessJoined(**KEY, host="one", **fields),
            ProcessJoined(**KEY, host="two", **fields),
            ProcessJoined(**KEY, host="one", **{**fields, "boot_id": "other"}),
        ]
        done = [event for event in redacted(lambda: events) if isinstance(event, ProcessJoined)]
        assert [(event.host, event.boot_id) for event in done] == [
            ("<host-1>", "<boot-1>"), ("<host-2>", "<boot-1>"), ("<host-1>", "<boot-2>"),
        ]  # fmt: skip
        assert {(event.time_namespace, event.pid_namespace) for event in done} == {
            ("<namespace-1>", "<namespace-2>")
        }

    def test_a_digest_of_what_is_a_place_or_a_host_is_blotted_as_it_could_be_guessed(self) -> None:
        digests = {
            "VLLM_HOST_IP": "12ae32cb1ec0",
            "VLLM_CACHE_ROOT": "12ae32cb1ec0",
            "VLLM_USE_AOT": "b5bea41b6c62",
        }
        assert data_of(cache_key_env=digests) == {
            "cache_key_env": {
                "VLLM_HOST_IP": "<digest-1>", "VLLM_CACHE_ROOT": "<digest-1>", "VLLM_USE_AOT": "b5bea41b6c62",
            }
        }  # fmt: skip

    def test_the_format_s_own_words_stay_whoever_is_called_so(self) -> None:
        beside = [started("/home/encoder/x", "/home/vllm/x"), ProcessJoined(**KEY, name="w", host="dynamo")]
        text = "encoder: dynamo, by vllm"
        assert details(text, beside=beside) == [text]

    def test_a_process_that_is_called_by_its_host_has_a_number_in_the_order_of_the_ids(self) -> None:
        ids = ["pid-5@10.0.0.9", "pid-5@10.0.0.10", "pid-7", "pid-7:lost"]
        events = [MilestoneReached(**{**KEY, "process": name}, name="ready") for name in ids]
        done = [event.process for event in redacted(lambda: events)]
        assert done == ["<process-2>", "<process-1>", "<process-3>", "<process-3>:lost"]


class TestAgain:
    def test_what_is_redacted_already_stays_as_it_is(self) -> None:
        events = [started("/a/b", "--host", "node7"), noted("node7: /a/b"), with_data(path="x")]
        once = list(redacted(lambda: events))
        assert list(redacted(lambda: once)) == once

    def test_what_comes_to_it_has_numbers_of_its_own(self) -> None:
        assert details("<path-1> and /a/b", "<path-2>") == ["<path-1> and <path-3>", "<path-2>"]

    def test_what_was_blotted_is_counted(self) -> None:
        events = [started("/a/b", "/c/d", "--host", "node7")]
        redaction = Redaction(events)
        assert [redaction(event) for event in events]
        assert redaction.counts == {"path": 2, "host": 1}


# Secrets: every word of them has the mark, so that whatever is left of one is seen.

odd = st.text("aé漢ß9", max_size=2)
marked = st.builds(lambda before, after: f"{before}{MARK}{after}", odd, odd)
hosts = st.builds(
    lambda name, domain: f"{MARK}{name}{domain}",
    st.text("abc019-", max_size=3).map(lambda text: text.strip("-")),
    st.sampled_from(["", "", f".{MARK}lab.example", f".{MARK}.corp"]),
)
addresses = st.sampled_from(["10.77.88.99", "2001:db8:77::99"])
PLAIN = [" ", ".", "'", '"', "-", "_"]
"""What stands between the words of a name."""
ENDING = [", ", ") ", "; ", "' ", '" ', ": "]
"""The same, where in running text a name would seem to end."""


def joined(between: list[str], words: st.SearchStrategy[str], most: int) -> st.SearchStrategy[str]:
    return st.builds(
        lambda sign, some: sign.join(some),
        st.sampled_from(between),
        st.lists(words, min_size=1, max_size=most),
    )


def users(between: list[str]) -> st.SearchStrategy[str]:
    return joined([*between, ""], marked, 2)


def paths(between: list[str]) -> st.SearchStrategy[str]:
    folders = st.lists(joined(between, marked, 3), min_size=1, max_size=3)
    slashed = folders.map("/".join)
    return st.one_of(
        st.builds(lambda root, rest: root + rest, st.sampled_from(["/", "~/", "./", "../"]), slashed),
        st.builds(lambda user, rest: f"/home/{user}/{rest}", users(between), slashed),
        st.builds(lambda user, names: "\\".join(["C:", "Users", user, *names]), users(between), folders),
        st.builds(lambda host, names: "\\".join(["", "", host, *names]), hosts, folders),
    )


PLACES: list[Callable[[str], str]] = [
    str,
    lambda secret: f"loading {secret}",
    lambda secret: f"loading {secret!r}: failed",
    lambda secret: json.dumps({"of": secret, "n": 1}),
    lambda secret: json.dumps([secret], ensure_ascii=False),
    lambda secret: f"--option={secret}",
    lambda secret: f"{secret}: no such thing",
    lambda secret: f"(see {secret})",
    lambda secret: f"{secret} took 5.22 s",
    lambda secret: f"cannot take {secret}, giving up",
    lambda secret: f"from {secret} to {secret}",
    lambda secret: f"one\n{secret}\nthree",
]
places = st.sampled_from(PLACES)


def left_of(events: Iterable[Event]) -> list[str]:
    """Return the lines of a redacted export in which something is left of a secret."""
    lines = b"".join(lines_of(events)).decode().splitlines()
    return [line for line in lines if any(sign in line.lower() for sign in (MARK, "77.88", "db8:77"))]


@st.composite
def planted(draw: st.DrawFn) -> list[Event]:
    """Return a session with secrets in all of its texts; each of them is named as what it is somewhere."""
    host, user, path, address = (
        draw(hosts),
        draw(users(PLAIN + ENDING)),
        draw(paths(PLAIN + ENDING)),
        draw(addresses),
    )
    secrets = [host, user, path, address, f"/home/{user}", f"{path}/{MARK}"]
    pool = [draw(places)(draw(st.sampled_from(secrets))) for _ in range(4)]
    pool += [f"tcp://{address}:1/{quote(path)}", f"{user}@{host}", f"file://{quote(path)}", host.upper()]
    texts = st.sampled_from(pool)
    fields = {
        "host": st.just(host),
        "path": texts,
        "n": st.integers(),
        "at": st.lists(texts),
        draw(texts): texts,
    }
    data = st.none() | st.fixed_dictionaries({}, optional=fields)
    known: dict[object, Any] = {}

    def of(value: object) -> Any:
        """Return what stands for a value wherever it stands: a secret's text, or itself."""
        if value not in known:
            known[value] = draw(texts) if value is not None and draw(st.booleans()) else value
        return known[value]

    ways = st.sampled_from(
        [str, lambda name: f"{name}@{host}", lambda name: f"{name}@{address}", lambda name: f"{path}/{name}"]
    )
    way = draw(ways)
    hosts_of = {"one": host, "two": address}
    key = {
        "session": draw(st.sampled_from(["s", f"{user}-nightly", path])),
        "process": way("begin"),
        "at_ns": 0,
    }
    begin = SessionStarted(
        **key,
        seq=0,
        label=draw(texts),
        command=(path, f"/home/{user}", draw(texts)),
        versions={"torch": "2.13.0+cpu", draw(texts): draw(texts)},
        environment={"X": path, draw(texts): draw(texts)},
    )
    events: list[Event] = [begin, ProcessJoined(**key, seq=1, name="w", host=host)]
    for event in draw(sessions()):
        new: dict[str, Any] = {"session": key["session"], "process": way(event.process.removesuffix(":lost"))}
        if event.process.endswith(":lost"):
            new["process"] += ":lost"
        for name, value in event:
            if name in ("name", "stage", "role", "component", "thread", "boot_id", "time_namespace"):
                new[name] = of(value)
            elif name in ("error", "text", "what", "detail"):
                new[name] = draw(texts)
            elif name == "data":
                new[name] = draw(data)
            elif name == "host":
                new[name] = hosts_of.get(str(value), value)
            elif name in ("hooks", "missing_hooks"):
                new[name] = tuple(draw(st.lists(texts, max_size=2)))
            elif name == "lost":
                new[name] = way(value)
        events.append(event.model_copy(update=new))
    return events


MEASURED = {"outcome", "activity", "source", "counts", "cause", "main_cause"}
"""Columns of words of ours."""


def numbers(events: list[Event]) -> dict[str, list[str]]:
    """Return everything derived from a session, less its names and texts."""
    timeline = reduce(events)
    tables = {
        name: getattr(timeline, name) for name in type(timeline).__dataclass_fields__ if name != "session"
    }
    found: dict[str, list[str]] = {}
    for name, rows in tables.items():
        measured = [
            {
                column: value
                for column, value in row._asdict().items()
                if column in MEASURED or not isinstance(value, (str, tuple))
            }
            for row in rows
        ]
        found[name] = sorted(map(str, measured))
    return found


class TestNothingIsLeft:
    @given(planted())
    def test_of_what_is_named_anywhere_in_whatever_text(self, events: list[Event]) -> None:
        done = list(redacted(lambda: events))
        assert left_of(done) == []
        assert [(event.kind, event.seq, event.at_ns) for event in done] == [
            (event.kind, event.seq, event.at_ns) for event in events
        ]
        assert [parse_event(line) for line in list(lines_of(done))[:-1]] == done

    @given(planted())
    def test_and_the_session_comes_to_the_same_numbers(self, events: list[Event]) -> None:
        assert numbers(list(redacted(lambda: events))) == numbers(events)

    @given(paths(PLAIN), places)
    def test_of_a_path_that_only_running_text_has(self, path: str, place: Callable[[str], str]) -> None:
        events = [noted(place(path))]
        assert left_of(redacted(lambda: events)) == []

    @pytest.mark.parametrize(
        "text",
        ["/", "\\", "'/", '\\"/a', "a.", "a:", ":", "a@", "~a", "/home/", "<path-", "/x y ", "ab1", " "],
    )
    def test_a_text_takes_time_by_its_length_and_no_more(self, text: str) -> None:
        def redacting(length: int) -> Callable[[], object]:
            repeated = "/a" + text * (length // len(text))
            return lambda: details(repeated)

        assert_linear(redacting, 20_000)

    @given(st.text(max_size=60))
    def test_whatever_the_text_is_it_can_be_redacted_and_different_texts_stay_different(
        self, text: str
    ) -> None:
        events = [noted(text), noted(f"{text} "), noted(f"/{text}"), noted(text.swapcase())]
        done = [event.detail for event in redacted(lambda: events) if isinstance(event, GapNoted)]
        assert len(set(done)) == len({event.detail for event in events if isinstance(event, GapNoted)})


@pytest.mark.parametrize("name", ["demo", "vllm"])
def test_of_a_real_session_nothing_is_left_and_its_numbers_stay(name: str) -> None:
    # The recordings are redacted: what is put in place of a placeholder is what was there, at another place.
    text = (DATA / f"{name}.jsonl").read_text()
    text = re.sub(r"<path-(\d+)>", r"/home/alice/my models/acme/\1", text)
    lines = re.sub(r"<host-(\d+)>", r"node7.acme.example", text).splitlines()
    sessions_of: defaultdict[str, list[Event]] = defaultdict(list)
    for line in lines:
        event = parse_event(line)
        sessions_of[event.session].append(event)
    redaction = Redaction([event for events in sessions_of.values() for event in events])
    for events in sessions_of.values():
        done = list(map(redaction, events))
        left = b"".join(lines_of(done)).decode()
        for secret in ("alice", "my models", "acme", "/opt", "/tmp", "node7", "2188d274", "site-packages"):
            assert secret not in left
        assert "torch.compile took" in left or name == "demo"
        assert numbers(done) == numbers(events)
    assert redaction.counts["path"] > 5


def test_only_modules_of_public_packages_are_named() -> None:
    builder = SessionBuilder()
    builder.begin()
    names = [
        "acme_secret.models.giant",
        "acme_secret",
        "torch._dynamo",
        "json.decoder",
        "stated.part",
        "torchish",
    ]
    for at_ns, name in enumerate(names):
        builder.start(at_ns, "import", component=name, source="python")
    builder.start(9, "torch_compile", component="torchish", source="monitor")
    events = [
        event.model_copy(update={"versions": {"stated": "1.0"}}) if event.kind == "session_started" else event
        for event in builder.events
    ]
    redaction = Redaction(events)
    done = list(map(redaction, events))
    assert [event.component for event in done if event.kind == "stage_started"] == [
        "<module-1>", "<module-2>", "torch._dynamo", "json.decoder", "stated.part", "<module-3>", "torchish",
    ]  # fmt: skip
    assert redaction.counts["module"] == 3
    assert list(redacted(lambda: done)) == done


def test_a_session_of_an_unknown_command() -> None:
    builder = SessionBuilder()
    builder.begin()
    assert next(redacted(lambda: builder.events)).model_dump()["command"] == ()


class TestSecrets:
    COMMAND = (
        "vllm",
        "serve",
        "m",
        "--api-key",
        f"{MARK}Abc123",
        "--hf-token=hunter22",
        "-e",
        f"DB_PASSWORD={MARK}",
    )

    def test_those_of_a_command_are_hidden_wherever_else_they_stand(self) -> None:
        beside = started(*self.COMMAND, environment={"VLLM_API_KEY": f"{MARK}Def456"})
        found = details(f"key {MARK}Abc123, {MARK}Def456 and hunter22 took 5 s", beside=[beside])
        assert found == ["key <secret>, <secret> and <secret> took 5 s"]

    def test_a_command_of_an_older_version_keeps_all_but_its_secrets(self) -> None:
        event = started(*self.COMMAND, environment={"VLLM_API_KEY": f"{MARK}Def456"})
        [done] = redacted(lambda: [event])
        assert isinstance(done, SessionStarted)
        assert done.command == (
            "vllm", "serve", "m", "--api-key", "<secret>", "--hf-token=<secret>", "-e",
            "DB_PASSWORD=<secret>",
        )  # fmt: skip
        assert done.environment == {"VLLM_API_KEY": "<secret>"}

    def test_those_of_the_one_who_exports_are_hidden(self) -> None:
        [done] = redacted(lambda: [noted("got hunter22 here")], secrets=["hunter22"])
        assert isinstance(done, GapNoted)
        assert done.detail == "got <secret> here"

    def test_data_is_hidden_by_its_key_and_digests_of_a_cache_stay(self) -> None:
        digests = {"VLLM_API_KEY": "74234e98afe7", "VLLM_PLUGINS": "12ae32cb1ec0"}
        assert data_of(api_key=MARK, n={"password": MARK}, key="abc", cache_key_env=digests) == {
            "api_key": "<secret>", "n": {"password": "<secret>"}, "key": "abc", "cache_key_env": digests,
        }  # fmt: skip

    def test_what_is_hidden_already_stays(self) -> None:
        event = started("x", "--hf-token", "<secret>", "HF_TOKEN=<secret>", "Authorization: <secret>")
        [done] = redacted(lambda: [event])
        assert done == event


class TestQuotedCode:
    GUARD = (
        f"5/1: text == '{MARK}'        # return {MARK}(text)  # train.py:41 in {{name}}\n"
        f'User stack trace:\n  File "/src/train.py", line 41, in f\n    return {MARK}(text) # {MARK}\n'
        f'           ^^^^^^^^\n  File "/src/x.py", line 7, in g\n    {MARK}()\n'
    )

    def test_of_a_guard_its_value_and_the_lines_of_the_program_are_replaced(self) -> None:
        found = data_of(recompile_reason=self.GUARD.format(name="f"))["recompile_reason"]
        assert MARK not in found
        assert found.startswith("5/1: text == <value-1>        # <code-1>  # ")
        assert "line 41, in f\n    <code-2>\n" in found
        assert "line 7, in g\n    <code-3>\n" in found

    def test_the_same_value_and_the_same_line_have_the_same_placeholder(self) -> None:
        texts = [f"{number}/0: L['mode'] == '{MARK}'  # {MARK}()  # x.py:{number} in f" for number in (1, 2)]
        first, second = data_of(reasons={"recompile_reason": texts})["reasons"]["recompile_reason"]
        assert first == "1/0: L['mode'] == <value-1>  # <code-1>  # x.py:1 in f"
        assert second == "2/0: L['mode'] == <value-1>  # <code-1>  # x.py:2 in f"

    @pytest.mark.parametrize(
        "text",
        [
            "0/0: tensor 'L['x']' size mismatch at index 0. expected 2, actual 3",
            "0/0: L['self'].config['name'] == 3",
            "0/0: len(L['xs']) == 2",
            "0/0: ___check_obj_id(L['f'], 140)",
        ],
    )
    def test_what_was_measured_and_the_names_stay(self, text: str) -> None:
        assert data_of(recompile_reason=text) == {"recompile_reason": text}

    def test_lines_below_frames_are_replaced_in_any_text(self) -> None:
        text = f'from user code:\n   File "/src/x.py", line 3, in f\n    x = {MARK}\n\nSet TORCH_LOGS'
        assert details(text) == [
            'from user code:\n   File "<path-1>", line 3, in f\n    <code-1>\n\nSet TORCH_LOGS'
        ]


@pytest.mark.parametrize(
    "piece",
    [
        "a/",
        "\\a",
        "'/",
        '"/x',
        "./",
        "/)",
        "/a.",
        "http://",
        "/home/x/",
        "/home/a,",
        "<path-1>/",
        "# ",
        "~/ ",
    ],
)
@pytest.mark.parametrize("place", ["prose", "command", "data"])
def test_a_text_of_many_separators_takes_no_longer_than_it_is_long(piece: str, place: str) -> None:
    def work_on(size: int) -> Callable[[], object]:
        text = piece * (size // len(piece))
        event = {
            "prose": noted(text),
            "command": started(text),
            "data": with_data(path=text, recompile_reason=text),
        }[place]  # fmt: skip
        return lambda: list(redacted(lambda: [event]))

    assert_linear(work_on, 24_000)


def test_thousands_of_odd_paths_are_found_in_one_pass() -> None:
    def work_on(size: int) -> Callable[[], object]:
        events = [with_data(path=f"/data/new, or so/{number}") for number in range(size)]
        events += [noted(f"of /data/new, or so/{number}: gone") for number in range(size)]
        return lambda: list(redacted(lambda: events))

    assert_linear(work_on, 2_400)
