"""As in vLLM: loaded once for each name."""

from functools import lru_cache

from fake_work import work


def get_processor(processor_name: str) -> str:
    work("processor")
    return processor_name


cached_get_processor = lru_cache(get_processor)
