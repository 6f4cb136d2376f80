"""The budget as its author writes it: limits in TOML, read into models that say where a mistake is."""

import os
import sys
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Final, Literal, cast

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationError,
    model_validator,
)

from ledger.analysis.budget.amounts import Ratio, duration_text, parse_duration, parse_ratio, shortened
from ledger.errors import InvalidBudget
from ledger.formatting import NO_ROLE
from ledger.vocabulary import CAUSES, Counts, FindingName, Source

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Unit = Literal["ns", "count"]
_PAIR: Final = 2


def _duration_or_ratio(value: object) -> int | Ratio:
    if isinstance(value, str) and "%" in value:
        return parse_ratio(value)
    try:
        return parse_duration(value)
    except ValueError as error:
        raise ValueError(f'{error}, or as a ratio, "10 %"') from None


def _count_or_ratio(value: object) -> int | Ratio:
    return parse_ratio(value) if isinstance(value, str) else _count(value)


def _count(value: object) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"{shortened(value)} is not a number of anomalies; write 0, 1, 2, …")
    return value


def _two(value: object) -> object:
    if type(value) is not list or len(cast("list[object]", value)) != _PAIR or value[0] == value[1]:
        text = shortened(cast("object", value))
        raise ValueError(f'{text} is not a pair of sources; write it as ["monitor", "backend"]')
    return cast("object", value)


def _one_or_several(value: object) -> object:
    if value == []:
        raise ValueError('[] names no finding; write it as "recompiles" or ["recompiles", "graph_breaks"]')
    return [value] if isinstance(value, str) else value


def _cause(value: str) -> str:
    if value not in CAUSES:
        raise ValueError(f"{shortened(value)} is not a cause; there are {', '.join(CAUSES)}")
    return value


Name = Annotated[str, Field(min_length=1)]
Duration = Annotated[int, BeforeValidator(parse_duration)]
DurationOrRatio = Annotated[int | Ratio, PlainValidator(_duration_or_ratio)]
Count = Annotated[int, BeforeValidator(_count)]
CountOrRatio = Annotated[int | Ratio, PlainValidator(_count_or_ratio)]


class _Written(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Limit(_Written):
    """What all limits have in common: how much is allowed, and what is made of what isn't there."""

    kind: ClassVar[str]
    unit: ClassVar[Unit] = "ns"
    _selecting: ClassVar[tuple[str, ...]] = ()

    name: Name | None = None
    """What reports call it; by default its kind and what it selects."""
    at_most: Duration | None = None
    at_most_over_baseline: DurationOrRatio | None = None
    """How much more than the median of the baseline's sessions: "10 %", or "2 s"."""
    beyond_spread: bool = False
    """Whether what is more than that breaks the limit only where it's also more than their maximum."""
    may_be_missing: bool = False
    """Whether the limit holds where nothing of what it selects was measured."""

    @model_validator(mode="after")
    def _is_limited(self) -> "Limit":
        if self.at_most is None and self.at_most_over_baseline is None:
            raise ValueError("says no limit: it needs at_most or at_most_over_baseline")
        if self.beyond_spread and self.at_most_over_baseline is None:
            raise ValueError("beyond_spread is of the baseline's sessions: it needs at_most_over_baseline")
        return self

    def title(self, group: tuple[str | None, ...] = ()) -> str:
        """Return what reports call it; `group` is the one of `each` that is meant."""
        selected = [getattr(self, key) for key in self._selecting]
        called = self.name or f"{self.kind}: {', '.join(self._words(selected)) or 'all'}"
        return called + (f" [{', '.join(name or NO_ROLE for name in group)}]" if group else "")

    @staticmethod
    def _words(values: list[Any]) -> Iterator[str]:
        for value in values:
            if isinstance(value, tuple):
                yield " and ".join(cast("tuple[str, ...]", value))
            elif value is not None:
                yield str(value)


class Selection(Limit):
    """Selects intervals: those that have all that is given here."""

    _selecting: ClassVar[tuple[str, ...]] = ("role", "component", "stage", "activity", "source")

    role: Name | None = None
    component: Name | None = None
    stage: Name | None = None
    activity: Name | None = None
    source: Source | None = None
    each: Literal["role", "component"] | None = None
    """Limits each role, or each component of each role, by itself."""


class Total(Selection):
    """The time that passed in the intervals: the union of them in the process that took longest."""

    kind: ClassVar[str] = "total"


class Unattributed(Selection):
    """The time in the intervals that nothing inside accounts for, in the process with most of it."""

    kind: ClassVar[str] = "unattributed"


class Disagreement(Limit):
    """How far two sources' own totals of the same lie apart, in the process where it is most."""

    kind: ClassVar[str] = "disagreement"
    _selecting: ClassVar[tuple[str, ...]] = ("role", "component", "stage", "activity", "between")

    between: Annotated[tuple[Source, Source], Field(strict=False), BeforeValidator(_two)]
    role: Name | None = None
    component: Name | None = None
    stage: Name | None = None
    activity: Name | None = None


class Difference(Limit):
    """How far a claim lies from what was measured, in either direction; of several, the one that is most."""

    kind: ClassVar[str] = "difference"
    _selecting: ClassVar[tuple[str, ...]] = ("source", "role", "component", "stage", "counts", "cause")

    source: Source | None = None
    role: Name | None = None
    component: Name | None = None
    stage: Name | None = None
    counts: Counts | None = None
    cause: Annotated[str, AfterValidator(_cause)] | None = None
    """Counts only the part of the difference that this cause explains."""
    may_be_unmatched: bool = False
    """Whether the limit holds where a claim speaks of nothing that was recorded."""


class WorstFinding(Limit):
    """The time at stake in the worst finding of these kinds; where there is none, 0."""

    kind: ClassVar[str] = "finding"
    _selecting: ClassVar[tuple[str, ...]] = ("finding", "role", "component", "process")

    finding: Annotated[tuple[FindingName, ...], Field(strict=False), BeforeValidator(_one_or_several)]
    role: Name | None = None
    component: Name | None = None
    process: Name | None = None
    """The name of a process, with or without its rank; findings about several processes have none."""


class Anomalies(Limit):
    """How many anomalies there are."""

    kind: ClassVar[str] = "anomalies"
    unit: ClassVar[Unit] = "count"
    _selecting: ClassVar[tuple[str, ...]] = ("what",)

    at_most: Count | None = None
    at_most_over_baseline: CountOrRatio | None = None
    what: Name | None = None
    """Counts those of this kind only."""
    but_not: Annotated[tuple[str, ...], Field(strict=False, alias="except")] = ()
    """Does not count those of these kinds."""


class Budget(_Written):
    """What a session may take. `read` and `from_mapping` raise InvalidBudget: a line per mistake."""

    baseline: Name | None = None
    """The label of the sessions that limits over a baseline compare with."""
    total: Annotated[tuple[Total, ...], Field(strict=False)] = ()
    difference: Annotated[tuple[Difference, ...], Field(strict=False)] = ()
    disagreement: Annotated[tuple[Disagreement, ...], Field(strict=False)] = ()
    unattributed: Annotated[tuple[Unattributed, ...], Field(strict=False)] = ()
    finding: Annotated[tuple[WorstFinding, ...], Field(strict=False)] = ()
    anomalies: Annotated[tuple[Anomalies, ...], Field(strict=False)] = ()

    @property
    def limits(self) -> tuple[Limit, ...]:
        """Every limit, in the order in which reports show them."""
        return (
            *self.total, *self.difference, *self.disagreement, *self.unattributed, *self.finding,
            *self.anomalies,
        )  # fmt: skip

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> "Budget":
        """Read a budget from a TOML file. Raises InvalidBudget."""
        file = os.fspath(path)
        try:
            with open(file, encoding="utf-8-sig") as opened:
                written = tomllib.loads(opened.read())
        except OSError as error:
            raise InvalidBudget(f"{file}: the budget can't be read ({error.strerror})") from error
        except ValueError as error:
            # Also bytes that are no UTF-8, and numbers without end.
            raise InvalidBudget(f"{file}: invalid TOML: {error}") from error
        return cls.from_mapping(written, file)

    @classmethod
    def from_mapping(cls, written: Mapping[str, object], place: str = "budget") -> "Budget":
        """Return the budget that a mapping is, written as TOML reads it. Raises InvalidBudget."""
        try:
            budget = cls.model_validate(dict(written))
        except ValidationError as error:
            faults = "\n".join(f"{place}: {fault}" for fault in dict.fromkeys(_faults(error)))
            raise InvalidBudget(faults) from None
        if not budget.limits:
            raise InvalidBudget(f"{place}: no limit in it; `compile-ledger check --example` shows some")
        return budget


TABLES: Final[Mapping[str, type[Limit]]] = {
    limit.kind: limit for limit in (Total, Difference, Disagreement, Unattributed, WorstFinding, Anomalies)
}


def allowance_text(limit: Limit, allowance: int | Ratio) -> str:
    """Return what is allowed as it was written, or could have been."""
    if isinstance(allowance, Ratio) or limit.unit == "count":
        return str(allowance)
    return duration_text(allowance)


def _faults(error: ValidationError) -> Iterator[str]:
    """Yield a line for each mistake: its place, what is wrong, and what is allowed there."""
    for fault in error.errors():
        table, *inside = fault["loc"] or ("",)
        place = f"[[{table}]]" if table in TABLES else shortened(table)
        if inside and isinstance(inside[0], int):
            place = f"{place} {inside[0] + 1}"
        key = next((part for part in inside if isinstance(part, str)), "")
        yield _fault_text(fault["type"], table, place, "except" if key == "but_not" else key, fault)


def _fault_text(kind: str, table: str | int, place: str, key: str, fault: Any) -> str:
    at_key = f"{place}, {key}" if key else place
    if kind == "extra_forbidden":
        return _no_such_key(table, place, key)
    if kind == "missing":
        return f"{place}: {key} is missing"
    if kind == "value_error":
        return f"{at_key}: {fault['ctx']['error']}"
    if kind == "literal_error":
        return f"{at_key}: {shortened(fault['input'])} is none of {fault['ctx']['expected']}"
    if kind == "tuple_type" and key:
        return f'{at_key}: {shortened(fault["input"])} is not a list; write it as ["…"]'
    if table in TABLES and not key:
        return f"{place}: each limit is a table of its own, under a line [[{table}]]"
    return f"{at_key}: {shortened(fault['input'])}: {fault['msg'][:1].lower()}{fault['msg'][1:]}"


def _no_such_key(table: str | int, place: str, key: str) -> str:
    if not key:
        tables = ", ".join(f"[[{name}]]" for name in TABLES)
        return f"{place} does not belong in a budget; there are baseline, {tables}"
    if key == "baseline":
        return f"{place}: baseline belongs at the top of the file, before the first [[table]]"
    keys = [field.alias or name for name, field in TABLES[str(table)].model_fields.items()]
    return f"{place}: no key {shortened(key)} here; there are {', '.join(keys)}"
