"""The description of Triton for the core."""

from typing import Final

from ledger.adapters import CacheVariable, EngineDescription

TRITON: Final = EngineDescription(
    package="triton",
    environment=(
        "TRITON_ALWAYS_COMPILE",
        "TRITON_CACHE_AUTOTUNING",
        "TRITON_CACHE_DIR",
        "TRITON_HOME",
        "TRITON_INTERPRET",
        "TRITON_STORE_BINARY_ONLY",
    ),
    # A program that sets the first one keeps kernels which another one compiles again in its warm starts.
    caches=(CacheVariable("TRITON_CACHE_DIR", where_unset="TRITON_HOME"),),
)
