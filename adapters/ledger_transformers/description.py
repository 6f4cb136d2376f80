"""What ledger says of transformers in the sessions that it takes part in."""

from typing import Final

from ledger.adapters import EngineDescription

TRANSFORMERS: Final = EngineDescription(
    package="transformers",
    environment=("HF_HUB_OFFLINE", "HF_ENABLE_PARALLEL_LOADING", "TOKENIZERS_PARALLELISM"),
)
