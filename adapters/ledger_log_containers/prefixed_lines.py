"""Lines that have something in front of them: a stamp, a stream, or the name of who wrote them."""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from ledger.adapters import LogLine, normal_stamp

_SAMPLE: Final = 500
LONGEST: Final = 1 << 20
"""A line that goes on for longer is passed on in pieces."""
_GAP: Final = r"(?: |\x1b\[[\d;]*m)*"
_COLOUR: Final = r"(?:\x1b\[[\d;]*m)*"
_TIME: Final = r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?\d*"
_ZONE: Final = r" ?(?:Z|UTC|GMT|[+-]\d\d(?::?\d\d)?)\b"
_ISO: Final = rf"(?P<stamp>{_TIME}(?:{_ZONE})?)"
_ZONED: Final = rf"(?P<stamp>{_TIME}{_ZONE})"
_MAX_PAIRS: Final = 200


class PrefixedLines:
    """Lines with a prefix that a pattern matches; its groups say what it contains.

    `stamp`, `service` (several of them: `service`, `service2`), `text`; `partial`, which matches where the
    next line of the same stream goes on with this one; `stream`.
    """

    def __init__(
        self, name: str, pattern: str, *, after: str = "", share: float = 0.8, order: int = 0
    ) -> None:
        self.name: Final = name
        self.order: Final = order
        self._match: Final = re.compile(rf"\ufeff?{pattern}(?P<text>.*){after}", re.DOTALL).fullmatch
        self._share: Final = share

    def recognises(self, lines: Sequence[str]) -> bool:
        """Whether most of the first lines have the prefix."""
        some = [line for line in lines if line.strip()][:_SAMPLE]
        found = [match for line in some if (match := self._match(line)) is not None]
        return bool(found) and len(found) >= self._share * len(some) and self._are_plausible(found)

    def unwrap(self, lines: Iterator[LogLine]) -> Iterator[LogLine]:
        """Yield the lines without the prefix."""
        begun: dict[object, LogLine] = {}
        match_of, inside = self._match, self._inside
        is_inside_line = False
        for line in lines:
            match = None if is_inside_line else match_of(line.text)
            is_inside_line = line.is_cut
            if match is None:
                yield line
                continue
            inner = inside(line, match)
            groups = match.groupdict()
            if "partial" not in groups:
                yield inner
                continue
            key = (inner.service, groups["stream"])
            before = begun.pop(key, None)
            whole = inner if before is None else before.with_text(before.text + inner.text)
            if groups["partial"] and len(whole.text) < LONGEST:
                begun[key] = whole
            else:
                yield whole
        yield from begun.values()

    def _are_plausible(self, found: Sequence[re.Match[str]]) -> bool:
        return True

    def _inside(self, line: LogLine, match: re.Match[str]) -> LogLine:
        groups = match.groupdict()
        names = [name for key in ("service", "service2", "service3") if (name := groups.get(key))]
        stamp = groups.get("stamp") or groups.get("epoch")
        inner = line.with_text(groups["text"])
        return inner.of("/".join(names) or None, normal_stamp(stamp) if stamp else None)


class NamedLines(PrefixedLines):
    """Lines behind names that could be any words: there are few of them, and they come again."""

    def _are_plausible(self, found: Sequence[re.Match[str]]) -> bool:
        groups = [group for group in found[0].groupdict() if group.startswith("service")]
        names = {match.group(*groups) for match in found}
        return len(names) <= min(_MAX_PAIRS, max(1, len(found) // 2))


class LabelledLines(PrefixedLines):
    """`logcli query`: a stamp, and the labels of the stream."""

    def __init__(self) -> None:
        super().__init__(
            "logcli's output",
            rf"{_COLOUR}{_ISO}{_COLOUR}\s+{_COLOUR}"
            rf'(?P<labels>\{{(?:\w+="(?:[^"\\]|\\.)*"(?:, ?)?)*\}}){_COLOUR}\s+',
        )

    def _inside(self, line: LogLine, match: re.Match[str]) -> LogLine:
        from ledger_log_containers.record_fields import service_of

        labels = dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', match["labels"]))
        return line.with_text(match["text"]).of(service_of(labels), normal_stamp(match["stamp"]))


_NAME: Final = r"[a-zA-Z0-9][\w.@-]*"
_POD: Final = r"[a-z0-9][a-z0-9.-]*-(?:\d+|[a-z0-9]{5})"
_SYSLOG_STAMP: Final = r"[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d(?:\.\d+)?"
_WEEKDAY: Final = r"(?:[A-Z][a-z]{2} )?"
_UNIT: Final = r"(?P<service>[^\s/\[\]]+) (?P<service2>[^\s:\[\]()]+)(?:\[\d+\])?: ?"
"""A host, and a program with its process."""


def cri() -> PrefixedLines:
    """`/var/log/pods/*/*.log`: containerd's and CRI-O's."""
    return PrefixedLines(
        "a Kubernetes container's log", rf"{_ZONED} (?P<stream>stdout|stderr) (?:(?P<partial>P)|F)(?::\S+)? ?"
    )


def compose() -> PrefixedLines:
    """`docker compose logs`, `docker service logs`, foreman, pm2."""
    return PrefixedLines(
        "docker compose's output",
        rf"{_COLOUR}(?:\d+\|)?(?P<service>{_NAME}){_GAP}\|{_COLOUR} ?{_COLOUR}",
    )


def kubectl() -> PrefixedLines:
    """`kubectl logs --prefix`, kubetail, kail."""
    return PrefixedLines(
        "kubectl's prefixes",
        rf"{_COLOUR}(?:\[(?:pod/)?(?P<service>[a-z0-9][\w.-]*)(?:/(?P<service2>[\w.-]+))?\]"
        rf"|(?P<service3>[a-z0-9][\w.-]*/[\w.-]+\[[\w.-]+\]):){_COLOUR} ?{_COLOUR}",
    )


def stern() -> PrefixedLines:
    """Stern: a pod and a container, with their namespace where there are several."""
    return NamedLines(
        "stern's output",
        rf"{_COLOUR}(?:[a-z0-9][a-z0-9-]* {_COLOUR})??(?P<service>{_POD}){_COLOUR} {_COLOUR}"
        rf"(?:\u203a )?(?P<service2>[a-z0-9][a-z0-9.-]*){_COLOUR} {_COLOUR}",
    )


def cloudwatch_tail() -> PrefixedLines:
    """`aws logs tail`: a stamp and the stream."""
    return NamedLines(
        "aws logs tail's output",
        rf"{_COLOUR}(?P<stamp>\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?\+00:00){_COLOUR} "
        rf"{_COLOUR}(?P<service>[a-zA-Z0-9]+[-/._][^\s(){{}}:,]*|[0-9a-f]{{16,}})"
        rf"{_COLOUR} {_COLOUR}",
    )


def cloudwatch_text() -> PrefixedLines:
    """`aws logs get-log-events` and `filter-log-events` with `--output text`."""
    return PrefixedLines(
        "CloudWatch's events as text",
        r"EVENTS\t(?:\d{14,}\t\d{13}\t(?P<service>[^\t]+)|\d{13})\t",
        after=r"\t(?P<stamp>\d{13})",
    )


def github() -> PrefixedLines:
    """`gh run view --log`: a job, a step and a stamp."""
    return PrefixedLines("GitHub's log of a run", rf"(?P<service>[^\t\n]+)\t[^\t\n]+\t\ufeff?{_ZONED} ?")


def gitlab() -> PrefixedLines:
    """GitLab's job logs: a stamp, a stream, and a mark where a line goes on."""
    return PrefixedLines("GitLab's log of a job", rf"{_ZONED} (?P<stream>\d\d[OE])(?:(?P<partial>\+)| )")


def buildkite() -> PrefixedLines:
    """Buildkite's raw logs, whose stamps have lost their escape character in some copies."""
    return PrefixedLines(
        "Buildkite's log of a job", r"(?:\x1b|\^\[)?_bk;t=(?P<stamp>\d{13})(?:\x07|\^G|\x1b\\)?", share=0.5
    )


def journal() -> PrefixedLines:
    """`journalctl` without options and in its other forms of one line, and syslog's files."""
    return NamedLines(
        "a system log",
        rf"(?:{_WEEKDAY}{_SYSLOG_STAMP}|{_WEEKDAY}{_ISO}|\[ *\d+\.\d+\]|(?P<epoch>\d{{10}}\.\d{{6}}))"
        rf" {_UNIT}",
    )


def syslog() -> PrefixedLines:
    """RFC 5424."""
    return PrefixedLines(
        "a system log (RFC 5424)",
        rf"<\d{{1,3}}>1 {_ZONED} (?P<service>\S+) (?P<service2>\S+) \S+ \S+ "
        r"(?:-|(?:\[(?:[^\]\\]|\\.)*\])+) ?\ufeff?",
    )


def tagged() -> PrefixedLines:
    """Fluentd's files: a stamp, a tag and a record."""
    return PrefixedLines("fluentd's file", rf"{_ZONED}\t(?P<service>[^\t]+)\t(?=\{{)")


def labelled() -> PrefixedLines:
    """`logcli query`."""
    return LabelledLines()


def stamped() -> PrefixedLines:
    """A stamp and nothing else: `docker logs -t`, `kubectl logs --timestamps`, GitHub, Jenkins, `ts`.

    One without a zone may be the program's own, and only goes where a record follows.
    """
    return PrefixedLines(
        "stamps in front of lines",
        rf"{_COLOUR}(?:\d{{13}}\t)?\[?(?P<stamp>{_TIME}(?:{_ZONE}|(?=\]?[ \t]+\{{)))\]?{_COLOUR}"
        rf"(?:[ \t]*[|:])?(?:[ \t]|$){_COLOUR}",
        order=1,
    )


def counted() -> PrefixedLines:
    """A time since the epoch and nothing else."""
    return PrefixedLines(
        "times since the epoch in front of lines",
        r"\[?(?P<stamp>[12]\d{9}(?:\.\d{1,9})?|[12]\d{12}|[12]\d{15}|[12]\d{18})\]?[ \t]+",
        order=1,
    )


def clocked() -> PrefixedLines:
    """A time of day in front of a record or of a service's name: foreman, Jenkins."""
    return PrefixedLines(
        "times of day in front of lines",
        rf"{_COLOUR}\[?\d\d:\d\d:\d\d(?:[.,]\d+)?\]?[ \t]+{_COLOUR}(?=\{{|{_NAME} *\|)",
        order=1,
    )
