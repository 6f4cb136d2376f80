"""Reads the messages that state a duration out of vLLM's sources, without importing them.

A message is kept as it is before its arguments are put in: `%.2f`, and of an f-string `{}` with its format.
`tests/vllm_compat/take.py` takes them anew.
"""

import ast
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from packaging.version import Version

KEPT = Path(__file__).resolve().parent.parent / "data" / "vllm_stated_durations.json"
"""By message: the modules that log it, the first version that does, and the last one."""

Read = Callable[[str], str | None]

_LEVELS = re.compile(r"(?:debug|info|warning|warn|error|exception|critical|log)(?:_once|_rank0)?")
_VALUE = r"(?:%[-+0-9.#]*[dfgisr]|\{[^{}]*\})"
_UNIT = r"(?:[mu]?s|µs|[mun]?secs?|(?:milli|micro)?seconds?|mins?|minutes?|hours?|[mh])\b(?!=)"
_STATES = re.compile(
    # "%ss" is mostly a plural, and so is "%s s".
    rf"(?:(?!%s){_VALUE}|(?<=[=:])%s|using %s|\d)\s?\[?{_UNIT}|%s (?:seconds?|hours)\b"
    r"|(?i:\b(?:took|takes|elapsed|duration|latency|time)|_(?:seconds|secs|ms|s)|\(ms\):)"
    rf"\W{{1,3}}{_VALUE}(?! [GM])"
)


def stated_durations(read: Read, modules: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield a module and a message of its logger for each message that states a duration."""
    for module in sorted(modules):
        source = read(module) or ""
        if "log" not in source:
            continue
        tree = ast.parse(source)
        variables = _variables(tree)
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            for argument in call.args[:2] if _is_of_logger(call) else ():
                message = variables.get(argument.id) if isinstance(argument, ast.Name) else _text(argument)
                if message is not None and _STATES.search(message):
                    yield module, message


def merged(found: Mapping[str, Iterable[tuple[str, str]]]) -> dict[str, dict[str, object]]:
    """Return what is kept, out of what was found in each version."""
    kept: dict[str, dict[str, object]] = {}
    for version in sorted(found, key=Version):
        for module, message in sorted(found[version]):
            row = kept.setdefault(message, {"module": module, "since": version, "until": version})
            row |= {"module": module, "until": version}
    return dict(sorted(kept.items()))


def write(found: Mapping[str, Iterable[tuple[str, str]]]) -> None:
    """Keep what was found in each version."""
    versions = sorted(found, key=Version)
    kept = {"versions": versions, "messages": merged(found)}
    KEPT.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _variables(tree: ast.Module) -> dict[str, str]:
    """Return the texts that variables are set to which are handed to a logger."""
    return {
        target.id: text
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and (text := _text(node.value)) is not None and _STATES.search(text)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def _is_of_logger(call: ast.Call) -> bool:
    function = call.func
    return (
        isinstance(function, ast.Attribute)
        and _LEVELS.fullmatch(function.attr) is not None
        and "log" in ast.unparse(function.value).lower()
    )


def _text(node: ast.expr) -> str | None:
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr():
            return "".join(map(_of_piece, node.values))
        case ast.BinOp(op=ast.Add()):
            left, right = _text(node.left), _text(node.right)
            return None if left is None and right is None else f"{left or '%s'}{right or '%s'}"
        case ast.BinOp(op=ast.Mod()):
            return _text(node.left)
        case ast.Call(func=ast.Attribute(attr="format")):
            return _text(node.func.value)
        case _:
            return None


def _of_piece(piece: ast.expr) -> str:
    if isinstance(piece, ast.FormattedValue):
        spec = "" if piece.format_spec is None else (_text(piece.format_spec) or "")
        return f"{{:{spec}}}" if spec else "{}"
    return str(piece.value) if isinstance(piece, ast.Constant) else ""
