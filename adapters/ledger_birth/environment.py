"""What the environment and the arguments say: where to record, and what this process is called."""

import os
import sys
import time

from ledger_birth.secrets_hidden import (
    hide_in_command,
    hide_in_environment,
    values_of_secret_variables,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

FILE_VARIABLE: "Final" = "COMPILE_LEDGER"
SESSION_VARIABLE: "Final" = "COMPILE_LEDGER_SESSION"
LABEL_VARIABLE: "Final" = "COMPILE_LEDGER_LABEL"

ENVIRONMENT_ALLOWED: "Final" = (
    "CUDA_VISIBLE_DEVICES",
    "LOCAL_RANK",
    "OMP_NUM_THREADS",
    "PYTORCH_CUDA_ALLOC_CONF",
    "RANK",
    "TORCHDYNAMO_DISABLE",
    "TORCHINDUCTOR_CACHE_DIR",
    "TORCHINDUCTOR_COMPILE_THREADS",
    "TORCHINDUCTOR_FORCE_DISABLE_CACHES",
    "TORCHINDUCTOR_FX_GRAPH_CACHE",
    "TORCHINDUCTOR_MAX_AUTOTUNE",
    "TORCH_COMPILE_DEBUG",
    "TORCH_COMPILE_DISABLE",
    "TORCH_LOGS",
    "TORCH_TRACE",
    "TRITON_CACHE_DIR",
    "WORLD_SIZE",
)
"""The variables that a session keeps, beside those of the engines that are registered.

By whole name, since a prefix would take keys and tokens along.
"""

_RANK_DIGITS: "Final" = 10
_WITH_VALUE: "Final" = "WX"
"""The interpreter's options that take a value, attached or as the next argument. `c` and `m` end them."""


def new_session_id() -> str:
    """Return an id that no other session has, and that sorts by time."""
    return time.strftime("%Y%m%d-%H%M%S-", time.gmtime()) + os.urandom(4).hex()


def program() -> "tuple[str, str]":
    """Return what the interpreter was started with: ("script" | "-m" | "-c" | "", its path, name or code).

    From the arguments as they were given: `sys.argv` does not exist yet where `.pth` files run.
    """
    arguments = iter(sys.orig_argv[1:])
    for argument in arguments:
        if argument == "--check-hash-based-pycs":
            next(arguments, None)
            continue
        if argument[:2] == "--":
            continue
        if argument[:1] != "-" or argument == "-":
            return ("", "") if argument == "-" else ("script", argument)
        for position, option in enumerate(argument[1:], 2):
            attached = argument[position:]
            if option in "cm":
                return "-" + option, attached or next(arguments, "")
            if option in _WITH_VALUE:
                if not attached:
                    next(arguments, None)
                break
    return "", ""


def process_name() -> str:
    """Return what a person would call this process: its multiprocessing name, or else its program's."""
    if (multiprocessing := sys.modules.get("multiprocessing.process")) is not None:
        # It may be in the middle of its own import.
        current = getattr(multiprocessing, "current_process", None)
        name = str(current().name) if current else "MainProcess"
        if name != "MainProcess":
            return name
    kind, text = program()
    arguments: list[str] = getattr(sys, "argv", [])
    script = os.path.basename(arguments[0]) if arguments and arguments[0] else ""
    if kind == "-m" and text and script in ("", "-m", "__main__.py", text.rpartition(".")[2] + ".py"):
        return text
    if kind == "-c" and text.startswith("from multiprocessing."):
        return text.split()[1].partition(".")[2]
    if script == "__main__.py":
        # A package that is run by its folder.
        return os.path.basename(os.path.dirname(os.path.abspath(arguments[0]))) or script
    if script not in ("", "-c", "-m"):
        return script
    return os.path.basename(text.rstrip("/")) or "python" if kind == "script" else "python"


def rank() -> "int | None":
    """Return this process's rank in a distributed program, as its launcher says it; None where it doesn't."""
    value = os.environ.get("RANK", "")
    return int(value) if value.isdecimal() and len(value) < _RANK_DIGITS else None


def allowed_environment(*more: str) -> "dict[str, str]":
    """Return the variables that a session keeps, and `more`, as far as they are set, without secrets."""
    names = sorted({*ENVIRONMENT_ALLOWED, *more})
    found = {name: os.environ[name] for name in names if name in os.environ}
    return hide_in_environment(found, values_of_secret_variables())


def own_command() -> "tuple[str, ...]":
    """Return the command that this process was started with, without secrets."""
    return hide_in_command(sys.orig_argv, values_of_secret_variables())
