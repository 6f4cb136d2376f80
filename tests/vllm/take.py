"""Records what README and handbook show of vLLM, and keeps it as tests/data/vllm.jsonl: `make docs-record`.

Two sessions: a cold and a warm start of the model with an encoder.
"""

import tempfile
from pathlib import Path

from tests.support.keeping import keep
from tests.vllm import environment, models, starting

KEPT = "vllm.jsonl"


def main() -> None:
    """Start twice, and write the events as lines."""
    python = environment.python()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = models.write_encoder_model(folder / "encoder")
        for label in ("cold", "warm"):
            started = starting.run(
                python, model, folder / "cache", ledger=folder / "vllm.db", label=f"vllm {label}"
            )
            assert started.exit_code == 0, started.output[-2000:]
        keep(folder / "vllm.db", KEPT)


if __name__ == "__main__":
    main()
