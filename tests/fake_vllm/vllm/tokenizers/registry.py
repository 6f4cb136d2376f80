"""As in vLLM: loaded once for each name."""

from functools import lru_cache

from fake_work import work


def get_tokenizer(tokenizer_name: str) -> str:
    work("tokenizer")
    return tokenizer_name


cached_get_tokenizer = lru_cache(get_tokenizer)


def cached_tokenizer_from_config(name: str) -> str:
    return cached_get_tokenizer(name)
