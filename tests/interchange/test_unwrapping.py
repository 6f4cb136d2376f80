"""How a file is read before it is known what it is: decompressed, decoded, in bounds, in constant memory."""

import gzip
import io
import os
import re
import threading
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ledger import UnrecognisedFile
from ledger.errors import MissingExtra
from ledger.interchange.unwrapping import Part, archives, files, normal_stamp, unwrapped, without_stamps
from ledger.interchange.unwrapping.files import LONGEST, lines_of
from ledger.interchange.unwrapping.layers import unwrappers
from tests.support.reading_logs import LOGS
from tests.support.wrapping import BYTES, wrap
from tests.support.wrapping import lines_of as lines_of_log

LOG = LOGS / "vllm-0.24.0-h200-llama-cold.log"
COMPRESSED = ["gzip", "zstd", "bzip2", "xz"]
Take = Callable[[bytes], Part]


@pytest.fixture
def take(tmp_path: Path) -> Take:
    """Return a function that unwraps a file of one log."""

    def take(content: bytes) -> Part:
        path = tmp_path / "x.log"
        path.write_bytes(content)
        folder = tmp_path / "unwrapped"
        folder.mkdir(exist_ok=True)
        [part] = unwrapped(path, "x.log", folder)
        return part

    return take


class TestStamps:
    @pytest.mark.parametrize(
        ("stamp", "found"),
        [
            ("2026-05-01T20:45:00.123456789Z", "2026-05-01T20:45:00.123456789Z"),
            ("2026-05-01T20:45:00Z", "2026-05-01T20:45:00.000000000Z"),
            ("2026-05-01 20:45:00,5 UTC", "2026-05-01T20:45:00.500000000Z"),
            ("2026-05-01T22:45:00.25+02:00", "2026-05-01T20:45:00.250000000Z"),
            ("2026-05-01T15:15:00-0530", "2026-05-01T20:45:00.000000000Z"),
            ("2026-01-01T00:30:00+01", "2025-12-31T23:30:00.000000000Z"),
            ("2026-05-01T20:45:00", "2026-05-01T20:45:00.000000000"),
            ("1777668300", "2026-05-01T20:45:00.000000000Z"),
            ("1777668300.25", "2026-05-01T20:45:00.250000000Z"),
            (1777668300.25, "2026-05-01T20:45:00.250000000Z"),
            (1777668300123, "2026-05-01T20:45:00.123000000Z"),
            ("1777668300123456", "2026-05-01T20:45:00.123456000Z"),
            ("1777668300123456789", "2026-05-01T20:45:00.123456789Z"),
            ("2026-13-01T20:45:00+01:00", None),
            ("9999-12-31T23:59:59-01:00", None),
            ("yesterday", None),
            ("12", None),
            ("1e9", None),
            (-1, None),
            (10**30, None),
            (float("nan"), None),
            (float("inf"), None),
        ],
    )
    def test_each_way_to_write_one_becomes_one(self, stamp: str | float, found: str | None) -> None:
        assert normal_stamp(stamp) == found


class TestFiles:
    @pytest.mark.parametrize("form", BYTES)
    def test_what_is_inside_is_there_byte_by_byte(self, form: str, take: Take) -> None:
        assert take(wrap(LOG.read_text(), form)).path.read_bytes() == LOG.read_bytes()

    def test_a_file_may_be_compressed_more_than_once(self, take: Take) -> None:
        content = gzip.compress(BYTES["zstd"](gzip.compress(LOG.read_bytes())))
        assert take(content).path.read_bytes() == LOG.read_bytes()

    def test_it_keeps_the_time_of_the_last_change(self, tmp_path: Path) -> None:
        for form in ("gzip", "docker-json"):
            path = tmp_path / form
            path.write_bytes(wrap(LOG.read_text(), form))
            os.utime(path, ns=(10**18, 10**18))
            [part] = unwrapped(path, form, tmp_path)
            assert part.path.stat().st_mtime_ns == 10**18

    @pytest.mark.parametrize("form", COMPRESSED)
    def test_data_that_was_cut_off_is_refused_with_what_to_do(self, form: str, take: Take) -> None:
        content = wrap(LOG.read_text() * 50, form)
        with pytest.raises(
            UnrecognisedFile, match=r"data that was cut off; .*cat x\.log \| compile-ledger import -"
        ):
            take(content[: len(content) // 2])

    @pytest.mark.parametrize("form", COMPRESSED)
    def test_damaged_data_is_refused(self, form: str, take: Take) -> None:
        content = bytearray(wrap(LOG.read_text(), form))
        content[len(content) // 2 : len(content) // 2 + 60] = os.urandom(60)
        with pytest.raises(
            UnrecognisedFile, match=rf"x\.log: (damaged {form} data|{form} data that was cut off)"
        ):
            take(bytes(content))

    def test_zeros_after_the_end_are_padding(self, take: Take) -> None:
        content = gzip.compress(LOG.read_bytes()) + bytes(512)
        assert take(content).path.read_bytes() == LOG.read_bytes()

    @pytest.mark.parametrize("form", COMPRESSED)
    def test_what_grows_without_an_end_is_not_followed(
        self, form: str, take: Take, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(files, "FREE", 1 << 20)
        content = BYTES[form](LOG.read_bytes() + b"Running: 1 reqs\n" * 1_000_000)
        with pytest.raises(
            UnrecognisedFile, match=r"grows to more than 200 times its size: not read further than"
        ):
            take(content)
        # A log that repeats itself much is read all the same, as far as disks allow.
        monkeypatch.setattr(files, "FREE", 1 << 29)
        assert take(content).path.stat().st_size == LOG.stat().st_size + 16_000_000

    def test_of_binary_data_no_more_is_written_than_shows_it(self, take: Take) -> None:
        part = take(gzip.compress(bytes(50_000_000)))
        assert part.path.stat().st_size < 1_000_000

    @pytest.mark.parametrize(
        ("content", "said"),
        [(gzip.compress(b"PK\x03\x04" + bytes(60), mtime=0), "zip"), (bytes(257) + b"ustar", "tar")],
    )
    def test_an_archive_is_refused_with_what_to_do(self, content: bytes, said: str, take: Take) -> None:
        for each in (content, gzip.compress(content)):
            with pytest.raises(UnrecognisedFile, match=f"a {said} archive; extract it"):
                take(each)

    def test_without_its_package_zstd_is_refused_with_the_command(
        self, take: Take, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def missing(name: str) -> object:
            raise ImportError(name)

        content = BYTES["zstd"](LOG.read_bytes())
        monkeypatch.setattr(files, "import_module", missing)
        with pytest.raises(MissingExtra, match=re.escape('pip install "compile-ledger[zstd]"')):
            take(content)

    def test_a_pipe_is_read_to_its_end(self, tmp_path: Path) -> None:
        pipe = tmp_path / "pipe"
        os.mkfifo(pipe)
        writer = threading.Thread(target=pipe.write_bytes, args=(gzip.compress(LOG.read_bytes()),))
        writer.start()
        [part] = unwrapped(pipe, "pipe", tmp_path)
        writer.join()
        assert part.path.read_bytes() == LOG.read_bytes()

    def test_a_device_is_not_read(self, tmp_path: Path) -> None:
        with pytest.raises(UnrecognisedFile, match="/dev/zero: neither a file nor a folder nor a pipe"):
            unwrapped(Path("/dev/zero"), "/dev/zero", tmp_path)


class TestLines:
    def test_they_come_through_however_they_are_cut_into_chunks(self) -> None:
        content = "a\nbä—\r\n\n€".encode()
        for size in range(1, len(content) + 1):
            chunks = (content[begin : begin + size] for begin in range(0, len(content), size))
            assert [line.text for line in lines_of(chunks)] == ["a", "bä—", "", "€"]

    def test_a_long_one_comes_in_pieces(self) -> None:
        found = list(lines_of(iter([b"a" * (2 * LONGEST + 1), b"b\nc\n"])))
        assert [(len(line.text), line.is_cut) for line in found] == [
            (LONGEST, True), (LONGEST, True), (2, False), (1, False),
        ]  # fmt: skip


@pytest.fixture
def growing(tmp_path: Path) -> Callable[[str, int], int]:
    """Return a function that unwraps so many times 100 kB, and returns the most memory that it took."""

    def peak(form: str, pieces: int) -> int:
        begin = LOG.read_text()
        serving = "".join(
            f"(APIServer pid=1) INFO 11-22 09:20:{n % 60:02} [loggers.py:1] Running: {n} reqs\n"
            for n in range(1_400)
        )
        content = wrap(begin + serving * pieces, form)
        path = tmp_path / f"{form}-{pieces}"
        path.write_bytes(content)
        del content
        tracemalloc.start()
        try:
            unwrapped(path, form, tmp_path)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    return peak


@pytest.mark.parametrize("form", ["gzip", "docker-json", "loki-query"])
def test_memory_does_not_grow_with_the_file(form: str, growing: Callable[[str, int], int]) -> None:
    unwrappers()
    small, large = growing(form, 20), growing(form, 50)
    assert large < 1.3 * small


def test_stamps_can_be_taken_off_again(take: Take, tmp_path: Path) -> None:
    part = take(wrap(LOG.read_text(), "docker-json"))
    assert part.is_stamped
    first = part.path.read_text().splitlines()[0]
    assert first == f"2026-05-01T20:45:00.000000000Z {lines_of_log(LOG.read_text())[0]}"
    plain = without_stamps(part, tmp_path)
    assert plain.path.read_bytes() == LOG.read_bytes()
    assert not plain.is_stamped


def test_a_stream_is_read_without_being_sought_in(tmp_path: Path) -> None:
    class Stream(io.RawIOBase):
        def __init__(self, pieces: Iterator[bytes]) -> None:
            self._pieces = pieces

        def read(self, size: int = -1) -> bytes:
            return next(self._pieces, b"")

    content = LOG.read_bytes()
    pieces = (content[begin : begin + 999] for begin in range(0, len(content), 999))
    [part] = unwrapped(Stream(pieces), "standard input", tmp_path)  # type: ignore[arg-type]
    assert part.path.read_bytes() == content


def archive(files: dict[str, str]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, text in files.items():
            opened.writestr(name, text)
    return out.getvalue()


def parts_of(content: bytes, folder: Path, *, is_stream: bool) -> dict[str | None, str]:
    path = folder / "logs.zip"
    path.write_bytes(content)
    (folder / "unwrapped").mkdir()
    source = io.BytesIO(content) if is_stream else path
    return {
        part.service: part.path.read_text() for part in unwrapped(source, "logs.zip", folder / "unwrapped")
    }


@pytest.mark.parametrize("is_stream", [False, True])
def test_an_archive_of_githubs_has_a_log_for_each_job(tmp_path: Path, *, is_stream: bool) -> None:
    jobs = {"0_test (a100).txt": "a\n", "1_lint.txt": "b\n"}
    steps = {"test (a100)/1_Set up job.txt": "a\n", "test (a100)/2_Run.txt": "c\n"}
    found = parts_of(archive({**steps, **jobs}), tmp_path, is_stream=is_stream)
    assert found == {"test (a100)": "a\n", "lint": "b\n"}


def test_another_archive_has_a_log_for_each_file(tmp_path: Path) -> None:
    found = parts_of(
        archive({"pod-a/server.log": "a\n", "pod-b/server.log": "b\n"}), tmp_path, is_stream=False
    )
    assert found == {"pod-a/server.log": "a\n", "pod-b/server.log": "b\n"}


def test_a_file_of_an_archive_that_grows_without_an_end_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "FREE", 1 << 20)
    with pytest.raises(UnrecognisedFile, match="grows to more than 200 times its size in the archive"):
        parts_of(archive({"x.log": "0" * 3_000_000}), tmp_path, is_stream=False)


def test_a_damaged_archive_is_refused(tmp_path: Path) -> None:
    content = bytearray(archive({"x.log": "".join(f"{number}\n" for number in range(5_000))}))
    content[200:260] = bytes(60)
    with pytest.raises(UnrecognisedFile, match=r"x\.log: "):
        parts_of(bytes(content), tmp_path, is_stream=False)
