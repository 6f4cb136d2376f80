"""The command `replay`: plays a session back, in real time, faster, or step by step."""

import json
import os
import select
import sys
import termios
import time
import tty
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Group, RenderableType
from rich.live import Live

from ledger.cli.console.input_files import readable
from ledger.cli.console.live_processes import ProcessNames
from ledger.cli.console.live_view import StageRow, line, process_table
from ledger.cli.console.options import SessionName
from ledger.cli.console.printing import open_ledger, printer, table
from ledger.cli.console.terminal import TerminalConsole, echo
from ledger.durations import seconds
from ledger.errors import LedgerError
from ledger.events.jsonl import read_events
from ledger.events.models import Event, SessionStarted
from ledger.events.rows import to_row
from ledger.formatting import one_line, with_label
from ledger.storage.record_rows import TABLES
from ledger.timeline.replay import Moment, Replay

_DRAW_EVERY_S: Final = 0.1
_KEY_BYTES: Final = 64
_CLAIMS_SHOWN: Final = 5
_PROCESSES_SHOWN: Final = 12
_TEXT_SHOWN: Final = 60
_OPEN_IN_JSON: Final = 200
"""A line has those stages that began last: with thousands in each, the output would be their square."""
_TOTALS_IN_JSON: Final = 200
"""Where there are more, a line has those of its event's process."""
_KEYS: Final = "space: play or pause · \N{LEFTWARDS ARROW} \N{RIGHTWARDS ARROW}: one event · "
_MORE_KEYS: Final = "page up, page down: 100 · m, M: milestone · + -: speed · home, end · q: leave"


def replay(
    file: Annotated[Path | None, typer.Argument(help="The ledger.")] = None,
    session: SessionName = None,
    speed: Annotated[
        float,
        typer.Option("--speed", "-x", min=0.001, help="Playback speed; 2 is twice as fast as recorded."),
    ] = 1.0,
    until: Annotated[
        str | None,
        typer.Option(
            "--until",
            "-u",
            metavar="T",
            help='Print only the state at T: "12.5 s", a milestone, or an event id.',
        ),
    ] = None,
    step: Annotated[bool, typer.Option("--step", help="Start paused, at the first event.")] = False,
    source: Annotated[
        Path | None,
        typer.Option("--from", metavar="JSONL", help="Read an exported session instead of a ledger."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the state after each event as a JSON line, without waiting.")
    ] = False,
) -> None:
    """Play a session back: open stages, and each role's time so far.

    Example: compile-ledger replay startup.db --until engine_ready
    """
    chosen = _chosen(file, source, session)
    if as_json:
        _print_states(chosen, until)
    elif until is None and sys.stdin.isatty() and sys.stdout.isatty():
        _play(Player(chosen, speed, is_playing=not step))
    else:
        printer().print(shown(chosen, chosen.at(len(chosen)) if until is None else chosen.until(until)))


def _print_states(replay: Replay, until: str | None) -> None:
    if until is not None:
        moment = replay.until(until)
        claims = [dict(zip(TABLES["claims"], claim, strict=True)) for claim in moment.claims]
        last = replay.event(moment.position) if moment.position else None
        echo(json.dumps({**_as_json(last, moment), "claims": claims}))
        return
    for event, moment in replay:
        echo(json.dumps(_as_json(event, moment)))


def _as_json(event: Event | None, moment: Moment) -> dict[str, object]:
    total_count = moment.total_count
    process = None if event is None or total_count <= _TOTALS_IN_JSON else event.process
    return {
        "position": moment.position,
        "at_ns": moment.at_ns,
        "event": None if event is None else event.model_dump(mode="json", exclude_none=True),
        "open": [stage._asdict() for stage in moment.opened_last(_OPEN_IN_JSON)],
        "open_count": moment.open_count,
        "totals": [total._asdict() for total in moment.totals_of(process)],
        "total_count": total_count,
        "claim_count": moment.claim_count,
        "milestones": moment.milestones,
    }


def _chosen(file: Path | None, source: Path | None, session: str | None) -> Replay:
    if (file is None) == (source is None):
        raise LedgerError("name either a ledger, or an exported session with --from")
    if source is not None:
        return _replay_from_text(source, session)
    assert file is not None
    with open_ledger(file) as ledger:
        return ledger.replay(session)


def _replay_from_text(source: Path, session: str | None) -> Replay:
    with readable(source) as file:
        events = list(read_events(file))
    labels = dict.fromkeys((event.session for event in events), "")
    labels.update({one.session: one.label or "" for one in events if isinstance(one, SessionStarted)})
    named = [one for one, label in labels.items() if session is None or label == session]
    named = named or [one for one in labels if one.startswith(session or "")]
    if len(named) != 1:
        sessions = ", ".join(with_label(one, label) for one, label in labels.items())
        raise LedgerError(f"{source}: name one of its sessions with --session: {sessions}")
    rows = list(map(to_row, events))
    return Replay(row for row in rows if row.session == named[0])


class Player:
    """Position and speed of a replay."""

    def __init__(self, replay: Replay, speed: float, *, is_playing: bool) -> None:
        self.replay: Final = replay
        self.speed = speed
        self.is_playing = is_playing
        self.position = min(1, len(replay))
        self._now_ns = replay.at(self.position).at_ns
        self._keys: Final[dict[str, Callable[[], None]]] = {
            " ": self._play_or_pause,
            "\x1b[C": lambda: self._go(self.position + 1),
            "\x1b[D": lambda: self._go(self.position - 1),
            "\x1b[6~": lambda: self._go(self.position + 100),
            "\x1b[5~": lambda: self._go(self.position - 100),
            "\x1b[H": lambda: self._go(1),
            "\x1b[F": lambda: self._go(len(self.replay)),
            "m": lambda: self._go_to_milestone(1),
            "M": lambda: self._go_to_milestone(-1),
            "+": lambda: self._change_speed(2),
            "-": lambda: self._change_speed(0.5),
        }

    @property
    def moment(self) -> Moment:
        """The session at the current time, which may be between two events."""
        return Moment(self.replay, self.position, self._now_ns)

    def press(self, keys: str) -> bool:
        """Handle typed keys; return whether to go on."""
        while keys:
            if keys[0] in "q\x03\x04":
                return False
            pressed = next((key for key in self._keys if keys.startswith(key)), None)
            if pressed is not None:
                self._keys[pressed]()
            keys = keys[len(pressed or " ") :]
        return True

    def pass_time(self, seconds: float) -> None:
        """Advance by `seconds` of the viewer's time."""
        if not self.is_playing:
            return
        self._now_ns += round(seconds * self.speed * 1e9)
        while self.position < len(self.replay) and self.replay.at(self.position + 1).at_ns <= self._now_ns:
            self.position += 1
        if self.position == len(self.replay):
            self.is_playing = False
            self._now_ns = self.replay.at(self.position).at_ns

    def _play_or_pause(self) -> None:
        if self.position == len(self.replay) and not self.is_playing:
            self._go(1)
        self.is_playing = not self.is_playing

    def _go(self, position: int) -> None:
        self.position = max(min(1, len(self.replay)), min(position, len(self.replay)))
        self._now_ns = self.replay.at(self.position).at_ns

    def _go_to_milestone(self, step: int) -> None:
        beyond = [place for place, _ in self.replay.reached if (place - self.position) * step > 0]
        if beyond:
            self._go(min(beyond) if step > 0 else max(beyond))

    def _change_speed(self, factor: float) -> None:
        self.speed *= factor


def _play(player: Player) -> None:
    console = TerminalConsole()
    with _unbuffered_keys(), Live(console=console, screen=True, auto_refresh=False) as live:
        last_s = time.monotonic()
        while True:
            live.update(_playing(player), refresh=True)
            ready, _, _ = select.select([sys.stdin], [], [], _DRAW_EVERY_S if player.is_playing else None)
            now_s = time.monotonic()
            player.pass_time(now_s - last_s)
            last_s = now_s
            if ready:
                keys = os.read(sys.stdin.fileno(), _KEY_BYTES).decode(errors="replace")
                if not keys or not player.press(keys):
                    break
    console.print(shown(player.replay, player.moment))


@contextmanager
def _unbuffered_keys() -> Generator[None]:
    """Put the terminal into cbreak mode, so that keys arrive at once and are not echoed."""
    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)
    tty.setcbreak(terminal)
    try:
        yield
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)


def _playing(player: Player) -> Group:
    state = f"playing at {player.speed:g}x" if player.is_playing else "paused"
    view = shown(player.replay, player.moment)
    return Group(view, line(""), line(state, "bold"), line(_KEYS, "dim"), line(_MORE_KEYS, "dim"))


def shown(replay: Replay, moment: Moment) -> Group:
    """Return a moment for display."""
    names = _names(replay)
    last = _event_text(replay.event(moment.position), names) if moment.position else "no event yet"
    stages = [
        StageRow(stage.process, stage.stage, stage.role, stage.component, stage.open_ns)
        for stage in moment.open
    ]
    totals = [
        [names[total.process].name, one_line(total.role or ""), total.activity, seconds(total.total_ns)]
        for total in moment.totals
    ]
    claims = [
        [
            claim.source,
            one_line(claim.role or ""),
            seconds(claim.claimed_ns),
            one_line((claim.text or "")[:_TEXT_SHOWN]),
        ]
        for claim in moment.claims[-_CLAIMS_SHOWN:]
    ]
    head = f"{seconds(moment.at_ns)} s, event {moment.position:,} of {len(replay):,}"
    parts: list[RenderableType] = [line(head, "bold"), line(f"  {last}")]
    if moment.milestones:
        parts.append(line(f"  reached: {', '.join(map(one_line, moment.milestones))}"))
    if replay.unplaced:
        unplaced = ", ".join(names[process].name for process in replay.unplaced)
        parts.append(line(f"  clock not aligned with the others: {unplaced}", "yellow"))
    parts += [line(""), process_table(stages, names, _PROCESSES_SHOWN)]
    if totals:
        parts += [line(""), table(["process", "role", "activity", "seconds so far"], totals)]
    if claims:
        title = f"Claims so far: {len(moment.claims):,}"
        parts.append(table(["source", "role", "seconds", "text"], claims, title))
    return Group(*parts)


@lru_cache(maxsize=1)
def _names(replay: Replay) -> ProcessNames:
    names = ProcessNames()
    for row in replay.rows:
        names.add(row)
    return names


def _event_text(event: Event, names: ProcessNames) -> str:
    about = (getattr(event, name, None) for name in ("stage", "name", "what", "text", "outcome"))
    subject = next((_beginning(str(value)) for value in about if value is not None), "")
    return f"{names[event.process].name}: {event.kind} {subject}".rstrip()


def _beginning(text: str) -> str:
    return one_line(text[:_TEXT_SHOWN])
