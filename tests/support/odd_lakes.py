"""A lake of recorded starts whose labels, versions and times are what breaks a query that is not careful."""

from pathlib import Path
from typing import Any, Final

from ledger import Ledger
from tests.support.recorded_lakes import all_recorded, write_lake, write_ledger

LABELS: Final = (
    None,
    "",
    "it's",
    'a "quoted" one',
    "-- not a comment; DROP TABLE sessions",
    "naïve ☃",
    "a\\b%_",
    "NULL",
)
MODELS: Final = ("llama", "o'hara/7b", None)


def odd_lake(folder: Path) -> Path:
    """Write a lake: labels of several starts each, two versions, many times that tie, starts never ready."""
    ledger = Ledger.open(write_ledger(folder / "odd.db", all_recorded()))
    numbers: dict[str, int] = {}

    def edit(table: str, row: dict[str, Any]) -> None:
        number = numbers.setdefault(str(row["session"]), len(numbers))
        if table == "sessions":
            row["label"] = LABELS[number % len(LABELS)]
            row["torch_version"] = f"2.{number // 30}"
            model = MODELS[number % len(MODELS)]
            row["command"] = (
                '["vllm", "serve"]' if model is None else f'["x", "--model", "{model}", "--port", "1"]'
            )
        elif table == "startup_windows":
            row["duration_ns"] = (number % 7 + 1) * 10**10  # of a day's starts many take equally long
            row["duration_s"] = row["duration_ns"] / 1e9
            if number % 5 == 0:
                row["ended_by"] = "command_ended"
        elif table == "processes" and number % 4 == 0:
            row["host"] = None

    with ledger:
        return write_lake(folder / "lake", ledger, edit)
