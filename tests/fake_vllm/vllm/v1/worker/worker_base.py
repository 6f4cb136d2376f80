"""As in vLLM."""

from typing import NamedTuple


class CompilationTimes(NamedTuple):
    """What a worker tells the engine of its compile times, from 0.20 on."""

    language_model: float
    encoder: float
