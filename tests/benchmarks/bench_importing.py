"""Reading logs of vLLM's, of nothing but start-ups and of requests, beside `grep -E` over the same file."""

import random
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from measuring import Figure, Goal, peak_memory_mb, per_call_us

from ledger_vllm_log.importer import importer

_MB = 1_000_000
_SIZE = 50 * _MB
_LOGS = Path(__file__).resolve().parents[1] / "data" / "logs"
_SCAN = "took|takes|time:|finished in|Error"


def main() -> None:
    """Write both logs, and read each: 20 MB a second and 50 are 50 ms and 20 ms for a megabyte."""
    print(f"Reading logs of {_SIZE // _MB} MB")
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "vllm.log"
        for title, write, limit_ms in (
            ("start-ups", _write_starts, 50.0),
            ("requests", _write_requests, 20.0),
        ):
            write(path)
            print(Goal(f"a megabyte of {title}", _ms_per_mb(path, _read), limit_ms, "ms"))
            print(Figure(f"grep -E over a megabyte of {title}", _ms_per_mb(path, _grep), "ms"))
    print(Goal("peak memory", peak_memory_mb(), 150, "MB"))


def _ms_per_mb(path: Path, work: Callable[[Path], None]) -> float:
    return per_call_us(lambda: work(path), 1, 3) / 1e3 / (_SIZE / _MB)


def _write_starts(path: Path) -> None:
    start = b"".join(log.read_bytes() for log in sorted(_LOGS.glob("*.log")))
    with path.open("wb") as file:
        while file.tell() < _SIZE:
            file.write(start)


def _write_requests(path: Path) -> None:
    chance = random.Random(1)
    with path.open("w", encoding="utf-8") as file:
        file.write((_LOGS / "vllm-0.32.0-cpu-vl-cold.log").read_text())
        while file.tell() < _SIZE:
            file.write("".join(_request(chance) for _ in range(1_000)))


def _request(chance: random.Random) -> str:
    at = f"11-29 {chance.randrange(24):02}:{chance.randrange(60):02}:{chance.randrange(60):02}"
    logged = f"(APIServer pid=1) INFO {at} "
    kind = chance.randrange(10)
    if kind < 5:
        address = f"10.0.{chance.randrange(256)}.{chance.randrange(256)}:{chance.randrange(65_536)}"
        return f'(APIServer pid=1) INFO:     {address} - "POST /v1/chat/completions HTTP/1.1" 200 OK\n'
    if kind < 8:
        return (
            f"{logged}[loggers.py:257] Engine 000: Avg prompt throughput: {9 * chance.random():.1f} tokens/s"
            f", Running: {chance.randrange(99)} reqs, GPU KV cache usage: {chance.random() * 100:.1f}%\n"
        )
    if kind == 8:
        elapsed = f"iteration elapsed time: {chance.random():.2f} ms"
        return f"{logged}[loggers.py:199] Engine 000: Iteration(7): 1 context requests, {elapsed}\n"
    return (
        f"{logged}[logger.py:40] Received request chatcmpl-{chance.getrandbits(128):032x}: prompt: 'It took "
        f"5 seconds', params: SamplingParams(n=1, temperature=0.7, max_tokens={chance.randrange(9_999)})\n"
    )


def _read(path: Path) -> None:
    for _ in importer().read(path, lambda size: None):
        pass


def _grep(path: Path) -> None:
    # Into nothing, grep would stop at its first match.
    subprocess.run(["grep", "-a", "-c", "-E", _SCAN, str(path)], stdout=subprocess.PIPE, check=False)


if __name__ == "__main__":
    main()
