"""Every message of vLLM's that states a duration is a claim, or known by name to be about something else."""

import itertools
import json
import re

import pytest

from ledger_vllm.messages import Durations, Notice
from ledger_vllm_log.message_meaning import meaning_of, search_line, search_other, states_duration
from ledger_vllm_log.other_durations import OTHER_DURATIONS
from tests.support.paths import DATA

KEPT = json.loads((DATA / "vllm_stated_durations.json").read_text(encoding="utf-8"))
MESSAGES = list(KEPT["messages"])

WORDS = {"for shape %s": "1", "range %s": "(1, 8192)", "loading took %s": "14.25", "experts %s": "(profile)",
         "experts%s": " (profile) "}  # fmt: skip
"""What stands for a word, by what is in front of it."""


def filled(message: str) -> str:
    """The first line of a message as vLLM would log it: without a component's tag."""
    values = itertools.count(12.3456789, 7.1)

    def value(found: re.Match[str]) -> str:
        kind = (found["kind"] or found["format"] or "s").removeprefix("0")
        if kind == "d":
            return "3"
        if kind[-1] == "f":
            return f"{next(values):{kind}}"
        before = message[: found.end()]
        if re.match(" (?:second|hour)", message[found.end() :]):
            return "12"
        return next(
            (word for end, word in WORDS.items() if before.endswith(end.removesuffix(" GiB"))), "word"
        )

    text = re.sub(
        r"%(?P<kind>[-+0-9.#]*[dfsr])|\{:?(?P<format>[^{}]*)\}", value, re.sub("^%s(?=\\w)", "", message)
    )
    return text.split("\n")[0].strip()


@pytest.mark.parametrize("message", MESSAGES)
def test_each_is_a_claim_or_is_known_to_be_about_something_else(message: str) -> None:
    text = filled(message)
    line = f"(EngineCore pid=1) INFO 05-01 20:45:04 [x.py:1] {text}".encode()
    assert search_line(line, 0, len(line)) is not None
    meaning = meaning_of(text)
    others = [other for other in OTHER_DURATIONS if re.match(other.pattern, text)]
    if meaning is None:
        assert len(others) == 1, text
        assert search_other(line, 0, len(line)) is not None
        assert not states_duration(text)
    else:
        assert isinstance(meaning, Durations) or (
            isinstance(meaning, Notice) and meaning.name == "shuts_down"
        )
        assert others == []
