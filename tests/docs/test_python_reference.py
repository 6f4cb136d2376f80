"""The Python page has every public name, in the words of its docstring."""

import inspect
from types import ModuleType

import pytest

import ledger
import ledger.adapters
import ledger.testing
from tests.support.handbook import DOCS, matches, table

TESTING = ("FakeClock", "MemoryLedger", "SessionBuilder")
WORDS = {
    "Event": "Any event: the union of the event models.",
    "__version__": "The version of this package.",
    "by_enclosure": "Return the key that sorts a process's intervals, each after all that enclose it.",
}


def kind_of(value: object) -> str:
    if inspect.isclass(value):
        return "error" if issubclass(value, Exception) else "class"
    return "function" if inspect.isfunction(value) else "value"


def row(module: ModuleType, name: str) -> list[str]:
    value = getattr(module, name)
    text = WORDS.get(name) or (inspect.getdoc(value) or "").split("\n\n")[0].replace("\n", " ")
    assert text, f"{name} has no docstring"
    return [f"`{name}`", kind_of(value), text]


@pytest.mark.parametrize(
    ("module", "names"),
    [
        (ledger, tuple(ledger.__all__)),
        (ledger.adapters, tuple(ledger.adapters.__all__)),
        (ledger.testing, TESTING),
    ],
    ids=["ledger", "ledger.adapters", "ledger.testing"],
)
def test_every_public_name_is_there(module: ModuleType, names: tuple[str, ...]) -> None:
    rows = [row(module, name) for name in sorted(names, key=str.lower)]
    matches(DOCS / "python.md", module.__name__, table(["name", "", "what it is"], rows))
