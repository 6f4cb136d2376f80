"""Starts a real vLLM with and without recording, for tests and measurements."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

START = Path(__file__).with_name("start.py")
TIMEOUT_S = 900


@dataclass(frozen=True)
class Started:
    """A start-up that is over."""

    ledger: Path
    exit_code: int
    output: str
    """Standard output and standard error, as they came."""
    seconds: float
    observed: dict[str, Any] = field(default_factory=dict)
    """Of a server: when its port last refused a connection, when it first answered, and its first tokens."""


def command(
    python: Path, model: Path, *arguments: str, record_to: Path | None = None, label: str | None = None
) -> list[str]:
    """Return the command line of a start, recorded or not."""
    start = [str(python), str(START), str(model), *arguments]
    if record_to is None:
        return start
    record = [str(python.with_name("compile-ledger")), "record", "--quiet", "--output", str(record_to)]
    return [*record, *(["--label", label] if label else []), "--", *start]


def environment(cache: Path, **variables: str) -> dict[str, str]:
    """Return the environment of a start whose caches are all below `cache`; an empty one makes it cold."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("COMPILE_LEDGER")}
    return {
        **kept,
        "VLLM_CACHE_ROOT": str(cache / "vllm"),
        "TORCHINDUCTOR_CACHE_DIR": str(cache / "inductor"),
        "VLLM_NO_USAGE_STATS": "1",
        **variables,
    }


def run(
    python: Path,
    model: Path,
    cache: Path,
    *arguments: str,
    ledger: Path,
    is_recorded: bool = True,
    label: str | None = None,
    **variables: str,
) -> Started:
    """Start vLLM once and wait until it is over."""
    began = time.monotonic()
    ran = subprocess.run(
        command(python, model, *arguments, record_to=ledger if is_recorded else None, label=label),
        env=environment(cache, **variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=TIMEOUT_S,
        check=False,
    )
    return Started(ledger, ran.returncode, ran.stdout, time.monotonic() - began)


def serve(python: Path, model: Path, cache: Path, *, ledger: Path) -> Started:
    """Serve a model with `vllm serve`, ask for four tokens as soon as it answers, and stop it."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    config = json.dumps({"mode": 3, "compile_sizes": [], "compile_mm_encoder": True})
    vllm = [
        str(python.with_name("vllm")), "serve", str(model), "--port", str(port), "--load-format", "dummy",
        "--max-model-len", "256", "--max-num-seqs", "2", "--dtype", "bfloat16",
        "--compilation-config", config, "--kv-cache-memory-bytes", str(1 << 30),
        "--limit-mm-per-prompt", json.dumps({"image": 1, "video": 0}),
    ]  # fmt: skip
    record = [str(python.with_name("compile-ledger")), "record", "--quiet", "--output", str(ledger), "--"]
    began, output = time.monotonic(), ledger.with_suffix(".log")
    with output.open("w") as log:
        program = subprocess.Popen(
            [*record, *vllm],
            env=environment(cache, COMPILE_ON_CPU="1", HF_HUB_OFFLINE="1"),
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            observed = _ask(program, f"http://127.0.0.1:{port}", str(model))
            # As a terminal does it: to the whole group.
            os.killpg(program.pid, signal.SIGINT)
            exit_code = program.wait(timeout=TIMEOUT_S)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(program.pid, signal.SIGKILL)
            program.wait()
    return Started(ledger, exit_code, output.read_text(), time.monotonic() - began, observed)


def _ask(program: "subprocess.Popen[bytes]", url: str, model: str) -> dict[str, Any]:
    observed: dict[str, Any] = {}
    deadline = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline and program.poll() is None:
        asked_ns = time.perf_counter_ns()
        try:
            urllib.request.urlopen(f"{url}/health", timeout=60).close()
        except OSError:
            observed["refused_ns"] = asked_ns
            time.sleep(0.05)
            continue
        observed["answered_ns"] = time.perf_counter_ns()
        body = json.dumps({"model": model, "prompt": [1, 5, 7], "max_tokens": 4}).encode()
        request = urllib.request.Request(f"{url}/v1/completions", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            observed["tokens"] = json.load(answer)["usage"]["completion_tokens"]
        return observed
    return observed
